"""What borrowing costs, and how that price finds its level.

The rate follows utilisation along two straight lines through the rate at target; the rate at target itself is
multiplied by ``exp(50 / year * error * dt)``. All numbers are scaled by 1e18, rates are per second. What is
approximated and how far it can be off stands in ``libraries/AdaptiveRate.sol``.
"""

from __future__ import annotations

from timebank_chain.units import mul_div_down, mul_div_up

__all__ = [
    "MAX_EXPONENT",
    "MAX_RATE_AT_TARGET",
    "MIN_RATE_AT_TARGET",
    "TARGET",
    "WAD",
    "YEAR",
    "adapt",
    "borrow_rate",
    "exp",
    "growth",
    "utilisation",
]

#: 1.0.
WAD = 10**18

#: Seconds.
YEAR = 365 * 86_400

#: The utilisation the rate steers to: 90 %.
TARGET = 9 * WAD // 10

#: Rate at full utilisation over rate at target, and rate at target over rate of an idle pool.
STEEPNESS = 4

#: Exponent a second adds at full error.
ADAPTATION_PER_SECOND = 50 * WAD // YEAR

#: Bounds of the rate at target: 0.1 % and 200 % a year.
MIN_RATE_AT_TARGET = WAD // 1000 // YEAR
MAX_RATE_AT_TARGET = 2 * WAD // YEAR

#: Exponents are cut here: a year at the highest rate there can be.
MAX_EXPONENT = 8 * WAD

_LN_2_UP = 693_147_180_559_945_310
_A = 693_147_180_559_945_309
_B = 3 * WAD - 4 * _A
_C = 3 * _A - 2 * WAD


def utilisation(debt: int, cash: int) -> int:
    """Return the part of the pool that is lent out, rounded down; 0 for an empty pool."""
    return mul_div_down(debt, WAD, debt + cash) if debt else 0


def borrow_rate(rate_at_target: int, used: int) -> int:
    """Return the interest per second at a utilisation, rounded down.

    >>> borrow_rate(1_000_000_000, TARGET)
    1000000000
    >>> borrow_rate(1_000_000_000, WAD)
    4000000000
    >>> borrow_rate(1_000_000_000, 0)
    250000000
    """
    above, error = _error(used)
    steep = rate_at_target * (STEEPNESS - 1)
    if above:
        return rate_at_target + mul_div_down(steep, error, WAD)
    return rate_at_target - mul_div_up(steep, error, STEEPNESS * WAD)


def adapt(rate_at_target: int, used: int, dt: int) -> tuple[int, int]:
    """Move the rate at target over ``dt`` seconds of constant utilisation.

    Returns
    -------
    tuple
        Its mean over the period, rounded down, and its value at the end.
    """
    above, error = _error(used)
    exponent = min(mul_div_down(ADAPTATION_PER_SECOND, error * dt, WAD), MAX_EXPONENT)
    middle = _moved(rate_at_target, above, exponent // 2)
    end = _moved(rate_at_target, above, exponent)
    return (rate_at_target + 2 * middle + end) // 4, end


def growth(rate: int, dt: int) -> int:
    """Return what a debt of 1 grows by: never above ``e**x - 1`` of ``x = rate * dt``, which is capped.

    >>> growth(WAD // 10 // YEAR, YEAR) / WAD
    0.10516666663...
    """
    x = min(rate * dt, MAX_EXPONENT)
    return x + x * x // (2 * WAD) + x * x * x // (6 * WAD * WAD)


def exp(x: int) -> int:
    """Return ``e**x``, never above it and short of it by less than 0.062 %."""
    power = mul_div_down(x, WAD, _LN_2_UP)
    f = power % WAD
    cubic = WAD + f * (_A + f * (_B + f * _C // WAD) // WAD) // WAD
    return cubic << (power // WAD)


def _error(used: int) -> tuple[bool, int]:
    """Return the side of the target, and the distance as a part of the way to that side's end."""
    if used > TARGET:
        return True, mul_div_down(used - TARGET, WAD, WAD - TARGET)
    return False, mul_div_down(TARGET - used, WAD, TARGET)


def _moved(rate_at_target: int, above: bool, exponent: int) -> int:
    """Return a rate at target after an exponent, rounded toward where it was, within the bounds."""
    if above:
        return min(mul_div_down(rate_at_target, exp(exponent), WAD), MAX_RATE_AT_TARGET)
    return max(mul_div_up(rate_at_target, WAD, exp(exponent)), MIN_RATE_AT_TARGET)
