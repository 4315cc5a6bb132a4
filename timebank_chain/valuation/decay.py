"""How much an act of a given age still weighs: ``w = exp(-age / tau)``, exactly, in integers.

The weight is computed as ``2^-x`` with ``x = age / half-life``. A policy stores only the constant
``K = round(2^56 / (tau_ms * ln 2))``; then, for an age ``a`` in milliseconds::

    x  = (a * K) >> 32                   half-lives in Q24; weight 0 once a * K >= 2^62
    n  = x >> 24                         whole half-lives
    hi = (x >> 12) & 4095                upper, lower 12 bits of the fraction
    lo = x & 4095
    w  = ((HI[hi] * LO[lo]) >> 31) >> n  Q31, 2^31 = 1.0

``HI`` and ``LO`` are products of ``c_k = round(2^31 * 2^(-2^-k))`` over the set bits, most significant
first, each step ``t = (t * c_k) >> 31``. The contracts multiply the set bits, we look the products up:
the integers are the same on every machine. Against ``math.exp`` the error stays under 4.2e-8 for tau up
to a month and under 2e-7 up to three years.

``tau`` is the *mean lifetime*; the half-life is ``tau * ln 2``.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import cache
from math import isqrt

import numpy as np
from numpy.typing import NDArray

from timebank_chain.units import MAX_TIME_MS, Q31, WeightQ31

_FRACTION_BITS = 12
_TABLE_SIZE = 1 << _FRACTION_BITS
_LOW_BITS = _TABLE_SIZE - 1
_ROOT_BITS = 256  # working precision of the square roots: far more than the 31 bits kept
_EXHAUSTED = 1 << 62  # a * K from which on the weight is 0
_EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)
_LN2 = _EXACT.ln(Decimal(2))


def decay_constant(tau_ms: int) -> int:
    """Return ``K = round(2^56 / (tau_ms * ln 2))`` for a mean lifetime in milliseconds.

    Worked out with 60 decimal digits, so the rounding is right on every machine.

    Raises
    ------
    ValueError
        If ``tau_ms`` is not in 1 .. 2^48 - 1.

    >>> decay_constant(100_000)
    1039571335769
    """
    if not 1 <= tau_ms <= MAX_TIME_MS:
        raise ValueError(f"tau must be 1 .. {MAX_TIME_MS} ms, not {tau_ms}")
    exact = _EXACT.divide(Decimal(1 << 56), _EXACT.multiply(Decimal(tau_ms), _LN2))
    return int(exact.to_integral_value(rounding=ROUND_HALF_EVEN))


#: Largest constant a policy may hold: a mean lifetime of one millisecond.
MAX_DECAY_K = decay_constant(1)


def tau_of(decay_k: int) -> int:
    """Return the mean lifetime in ms (nearest) that a decay constant stands for; for display only."""
    exact = _EXACT.divide(Decimal(1 << 56), _EXACT.multiply(Decimal(decay_k), _LN2))
    return int(exact.to_integral_value(rounding=ROUND_HALF_EVEN))


def half_life_of(decay_k: int) -> int:
    """Return the half-life in ms (nearest), ``tau * ln 2 = 2^56 / K``; for display only."""
    return ((1 << 57) + decay_k) // (2 * decay_k)


@cache
def step_constants() -> tuple[int, ...]:
    """Return ``c_1 .. c_24`` with ``c_k = round(2^31 * 2^(-2^-k))``.

    ``2^(-2^-k)`` is the k-th repeated square root of one half, so integer square roots give it to
    any precision.
    """
    root = 1 << (_ROOT_BITS - 1)
    constants = []
    for _ in range(2 * _FRACTION_BITS):
        root = isqrt(root << _ROOT_BITS)
        shift = _ROOT_BITS - 31
        constants.append((root + (1 << (shift - 1))) >> shift)
    return tuple(constants)


@cache
def _tables() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    numbers = np.arange(_TABLE_SIZE, dtype=np.int64)
    tables = []
    for first in (0, _FRACTION_BITS):
        product = np.full(_TABLE_SIZE, Q31, dtype=np.int64)
        for step, constant in enumerate(step_constants()[first : first + _FRACTION_BITS]):
            bit_set = (numbers >> (_FRACTION_BITS - 1 - step)) & 1 == 1
            product[bit_set] = (product[bit_set] * constant) >> 31
        product.flags.writeable = False
        tables.append(product)
    return tables[0], tables[1]


def longest_age(decay_k: int) -> int:
    """Return the greatest age in ms that still has ``age * K < 2^62``; anything older weighs 0."""
    return (_EXHAUSTED - 1) // decay_k


def weights(
    age_ms: NDArray[np.int64],
    decay_k: int,
    *,
    out: NDArray[np.int64] | None = None,
    scratch: NDArray[np.int64] | None = None,
) -> NDArray[np.int64]:
    """Return the Q31 weights of ages in milliseconds (each 0 .. 2^48 - 1).

    Parameters
    ----------
    age_ms
        Left as it is.
    decay_k
        The policy's constant.
    out, scratch
        Room for the result (n) and for intermediate numbers (2, n), to spare allocations in a loop.

    >>> weights(np.array([0, 100_000]), decay_constant(100_000)).tolist()
    [2147483648, 790015094]
    """
    n = len(age_ms)
    weight = np.empty(n, dtype=np.int64) if out is None else out
    if not n:
        return weight
    scaled, index = np.empty((2, n), dtype=np.int64) if scratch is None else scratch
    high, low = _tables()
    limit = longest_age(decay_k)
    oldest = int(age_ms.max())
    # Ages beyond the limit are counted as the limit, so that nothing overflows, and set to 0 at the end.
    np.multiply(age_ms if oldest <= limit else np.minimum(age_ms, limit, out=scaled), decay_k, out=scaled)
    # scaled < 2^62: Q56 half-lives
    np.right_shift(scaled, 44, out=index)
    index &= _LOW_BITS
    # Indices are masked to the tables' size; 'clip' only spares numpy a buffer and a second check.
    high.take(index, out=weight, mode="clip")
    np.right_shift(scaled, 32, out=index)
    index &= _LOW_BITS
    scaled >>= 56
    scaled += 31
    # (p >> 31) >> n is p >> (31 + n); p <= 2^62, so that a shift by 63 already gives the 0 of any more.
    if (oldest * decay_k) >> 56 > 63 - 31:
        np.minimum(scaled, 63, out=scaled)
    weight *= low.take(index, mode="clip")
    weight >>= scaled
    if oldest > limit:
        weight[age_ms > limit] = 0
    return weight


def weight(age_ms: int, decay_k: int) -> WeightQ31:
    """Return the Q31 weight of one age in milliseconds (0 .. 2^48 - 1).

    >>> weight(0, decay_constant(1000)) == 2**31
    True
    """
    if not 0 <= age_ms <= MAX_TIME_MS:
        raise ValueError(f"age must be 0 .. {MAX_TIME_MS} ms, not {age_ms}")
    return WeightQ31(int(weights(np.array([age_ms], dtype=np.int64), decay_k)[0]))


def decayed(amounts: NDArray[np.int64], weight_q31: int) -> NDArray[np.int64]:
    """Return ``floor(amount * w / 2^31)`` for non-negative 64-bit amounts, without overflow.

    The product is split at bit 31: ``(h * 2^31 + l) * w >> 31 = h * w + (l * w >> 31)``.
    """
    return (amounts >> 31) * weight_q31 + (((amounts & (Q31 - 1)) * weight_q31) >> 31)
