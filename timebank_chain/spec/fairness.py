"""From the value an account earned to the credits it may claim: progressive brackets, rate and bonus pot."""

from __future__ import annotations

from collections.abc import Sequence

from timebank_chain.units import MicroCredit, MicroValue

__all__ = ["mean", "mint", "phi"]


def mean(total_earned: int, active_count: int) -> MicroValue:
    """Return the mean earned value of the active accounts, rounded down; 0 when nobody earned."""
    return MicroValue(total_earned // active_count if active_count else 0)


def phi(earned: int, mean_earned: int, brackets: Sequence[tuple[int, int]]) -> MicroValue:
    """Return the value that counts, rounded down in every bracket.

    Parameters
    ----------
    earned
        Micro-value of the account.
    mean_earned
        Mean earned value of the epoch's active accounts, micro-value.
    brackets
        ``(from_multiple_milli, slope_milli)``, ascending, the first from 0: where a step begins in
        thousandths of the mean, and the share of the value inside it that counts.

    >>> phi(3_000_000, 1_000_000, [(0, 1_000), (2_000, 500)])
    2500000
    """
    counted = 0
    for position, (from_multiple, slope) in enumerate(brackets):
        lower = mean_earned * from_multiple // 1000
        if earned <= lower:
            break
        upper = earned
        if position + 1 < len(brackets):
            upper = min(upper, mean_earned * brackets[position + 1][0] // 1000)
        counted += (upper - lower) * slope // 1000
    return MicroValue(counted)


def mint(counted: int, rate_q24: int, earned: int, pot: int, total_earned: int) -> MicroCredit:
    """Return the micro-credits an account may claim for an epoch; both terms are rounded down.

    Parameters
    ----------
    counted
        Result of :func:`phi`, micro-value.
    rate_q24
        Micro-credits per micro-value, 2**24 = 1.0.
    earned, total_earned
        Micro-value of the account, and of all accounts.
    pot
        Bonus pot of the epoch, micro-credits.
    """
    share = earned * pot // total_earned if total_earned else 0
    return MicroCredit(((counted * rate_q24) >> 24) + share)
