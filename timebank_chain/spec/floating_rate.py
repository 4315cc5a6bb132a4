"""What a unit of value mints, when spending decides it: ``base * 2**(excess / step)``.

The excess is by how many micro-credits more was spent than minted since the float was set. How far the rate
moves at once and in all, and when it settles, stands in ``libraries/FloatingRate.sol``.
"""

from __future__ import annotations

from typing import Final

from timebank_chain.spec import decay
from timebank_chain.units import MicroCredit, RateQ24

__all__ = [
    "MAX_DOUBLINGS",
    "MAX_MOVE_Q24",
    "MAX_RATE_Q24",
    "MIN_RATE_Q24",
    "MIN_STEP",
    "bounded_move",
    "excess_after",
    "max_move",
    "rate",
]

#: The rate stays within this many doublings, and halvings, of its base.
MAX_DOUBLINGS: Final = 4

#: The part of a step an excess moves by at most, Q24: a little less than log2(9/8), so that the rate moves by
#: at most 12.5 % after all roundings but that to a whole number, which ``bounded_move`` cuts off.
MAX_MOVE_Q24: Final = 2_850_860

#: The least step at which the rate can move: below it a move of ``step * MAX_MOVE_Q24 / 2**24`` micro-credits
#: rounds down to nothing, however much is spent.
MIN_STEP: Final = -(-(1 << 24) // MAX_MOVE_Q24)

#: No rate falls below this: the least of which an eighth is a whole unit, so that it can rise again. A rate
#: that governance sets below it stays as it is.
MIN_RATE_Q24: Final = 8

#: What fits.
MAX_RATE_Q24: Final = (1 << 64) - 1

#: ``2**-x`` as a decay: with this constant an age counts units of 2**-24 half-lives.
_UNIT_DECAY_K: Final = 1 << 32


def max_move(step: int) -> MicroCredit:
    """Return by how many micro-credits an excess moves at most in one epoch."""
    return MicroCredit(step * MAX_MOVE_Q24 >> 24)


def excess_after(excess: int, step: int, demand: int, supply: int) -> MicroCredit:
    """Return the excess after an epoch; the bounds round toward no change.

    Parameters
    ----------
    excess
        Micro-credits, within four steps of 0.
    step
        Micro-credits of excess that double the rate; not 0.
    demand, supply
        Micro-credits spent since the last epoch, and minted by this one.

    >>> excess_after(0, 1_000_000, demand=150_000, supply=100_000)
    50000
    """
    move = _clamp(demand - supply, max_move(step))
    return MicroCredit(_clamp(excess + move, MAX_DOUBLINGS * step))


def rate(base_rate_q24: int, excess: int, step: int) -> RateQ24:
    """Return ``base * 2**(excess / step)``, rounded down, at least ``MIN_RATE_Q24``, at most what fits.

    Parameters
    ----------
    base_rate_q24
        The rate at an excess of 0, micro-credits per micro-value, 2**24 = 1.0.

    >>> rate(1 << 24, -1_000_000, 1_000_000) == 1 << 23
    True
    """
    above = excess + MAX_DOUBLINGS * step
    # 2**(above / step) = 2**doublings * 2**-x.
    doublings = (above + step - 1) // step
    x = (doublings << 24) - (above << 24) // step
    weight_q31 = decay.weight(x, _UNIT_DECAY_K)
    exact = base_rate_q24 * weight_q31 >> (31 + MAX_DOUBLINGS - doublings)
    return RateQ24(min(max(MIN_RATE_Q24, exact), MAX_RATE_Q24))


def bounded_move(rate_q24: int, target_q24: int) -> RateQ24:
    """Return the rate after an epoch: as far toward the target as an eighth of the rate before it reaches.

    Parameters
    ----------
    rate_q24
        The rate before the epoch.
    target_q24
        What :func:`rate` says after it.

    >>> bounded_move(100, 200), bounded_move(100, 90), bounded_move(7, 200)
    (112, 90, 7)
    """
    return RateQ24(rate_q24 + _clamp(target_q24 - rate_q24, rate_q24 // 8))


def _clamp(number: int, limit: int) -> int:
    """Return the number, within ``limit`` of 0."""
    return max(-limit, min(number, limit))
