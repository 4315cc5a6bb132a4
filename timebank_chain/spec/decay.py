"""How much an act of some age still weighs: ``exp(-age / tau)`` as ``2**-x`` in integers.

``x`` is the age in half-lives as a Q24 number: whole half-lives are a shift, the 24 fraction bits a product
of constants, one per set bit. The order of the products is part of the definition.
"""

from __future__ import annotations

from timebank_chain.units import Q31, WeightQ31

__all__ = ["FACTORS", "PRODUCT_END", "weight"]

#: ``round(2**31 * 2**(-2**-k))`` for k = 1 .. 24.
FACTORS = (
    1518500250, 1805811301, 1969251188, 2056437387, 2101467502, 2124350982,
    2135885998, 2141676973, 2144578345, 2146030505, 2146756953, 2147120270,
    2147301951, 2147392798, 2147438222, 2147460935, 2147472292, 2147477970,
    2147480809, 2147482228, 2147482938, 2147483293, 2147483471, 2147483559,
)  # fmt: skip

#: From this product of age and decay constant on (64 half-lives) the weight is zero.
PRODUCT_END = 1 << 62


def weight(age_ms: int, decay_k: int) -> WeightQ31:
    """Return the decay weight of an act, rounded down.

    Parameters
    ----------
    age_ms
        Age in milliseconds, 0 .. 2**48 - 1.
    decay_k
        The policy's decay constant, ``round(2**56 / (tau_ms * ln 2))``, 0 .. 2**64 - 1.

    Returns
    -------
    WeightQ31
        2**31 is 1.0.

    >>> weight(0, 1_000_000)
    2147483648
    """
    product = age_ms * decay_k
    if product >= PRODUCT_END:
        return WeightQ31(0)
    half_lives = product >> 32
    upper = _product((half_lives >> 12) & 4095, FACTORS[:12])
    lower = _product(half_lives & 4095, FACTORS[12:])
    return WeightQ31(((upper * lower) >> 31) >> (half_lives >> 24))


def _product(bits: int, factors: tuple[int, ...]) -> int:
    """Multiply the factors whose bit is set, most significant bit of twelve first."""
    product = Q31
    for position, factor in enumerate(factors):
        if bits & (2048 >> position):
            product = (product * factor) >> 31
    return product
