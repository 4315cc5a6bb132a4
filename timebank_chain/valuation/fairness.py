"""Who gets how much of an epoch: progressive brackets, then the rate, then the bonus pot.

With ``mean`` the epoch's total earned over its active accounts (floored), bracket ``k`` starts at
``mean * from_multiple // 1000``. Of what an account earned, the part inside each bracket counts with
the bracket's slope, floored per bracket: ``phi = sum(part_k * slope_k // 1000)``. Slopes never rise
and never exceed 1, so ``phi <= earned`` and whoever earned more never gets less.

``mint = (phi * rate >> 24) + earned * pot // total_earned``, in micro-credits.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from timebank_chain.units import MAX_AMOUNT, MILLI
from timebank_chain.valuation.policy import Bracket


def thresholds(mean_earned: int, brackets: Sequence[Bracket]) -> list[int]:
    """Return where each bracket starts, in micro-value.

    >>> thresholds(2_000, [Bracket(0, 1000), Bracket(1500, 500)])
    [0, 3000]
    """
    return [mean_earned * bracket.from_multiple_milli // MILLI for bracket in brackets]


def phi(earned: NDArray[np.int64], mean_earned: int, brackets: Sequence[Bracket]) -> NDArray[np.int64]:
    """Return the fair share of what was earned, in micro-value; never above ``earned``.

    Parameters
    ----------
    earned
        Micro-value per account, not negative.
    mean_earned
        Micro-value; mean over active accounts, floored.
    brackets
        The policy's, first one from 0.

    >>> phi(np.array([1_000, 4_000]), 2_000, [Bracket(0, 1000), Bracket(1500, 500)]).tolist()
    [1000, 3500]
    """
    starts = thresholds(mean_earned, brackets)
    result = np.zeros(earned.shape, dtype=np.int64)
    for number, bracket in enumerate(brackets):
        if starts[number] > MAX_AMOUNT:
            break  # nobody can have earned as much
        part = np.maximum(earned - starts[number], 0)
        if number + 1 < len(starts):
            part = np.minimum(part, min(starts[number + 1] - starts[number], MAX_AMOUNT))
        # Split at 1000 so that no product leaves 64 bits:
        # floor((1000 q + r) s / 1000) = q s + floor(r s / 1000).
        result += part // MILLI * bracket.slope_milli + part % MILLI * bracket.slope_milli // MILLI
    return result


def credits_at_rate(phi_micro: NDArray[np.int64], rate_q24: int) -> list[int]:
    """Return ``phi * rate >> 24`` in micro-credits, as plain integers of any size."""
    if not len(phi_micro):
        return []
    if rate_q24 <= MAX_AMOUNT and int(phi_micro.max()) * rate_q24 <= MAX_AMOUNT:
        return [int(amount) for amount in ((phi_micro * rate_q24) >> 24).tolist()]
    return [int(amount) * rate_q24 >> 24 for amount in phi_micro.tolist()]


def pot_shares(earned: NDArray[np.int64], pot: int, total_earned: int) -> list[int]:
    """Return ``earned * pot // total_earned`` in micro-credits; all 0 when nobody earned anything."""
    if not total_earned or not pot:
        return [0] * len(earned)
    if len(earned) and max(int(earned.max()) * pot, pot, total_earned) <= MAX_AMOUNT:
        return [int(amount) for amount in (earned * pot // total_earned).tolist()]
    return [int(amount) * pot // total_earned for amount in earned.tolist()]


def mint(
    phi_micro: NDArray[np.int64], earned: NDArray[np.int64], *, rate_q24: int, pot: int, total_earned: int
) -> list[int]:
    """Return each account's new credits in micro-credits, as plain integers of any size.

    The caller checks that the sum fits a ledger of 64 bits.

    >>> mint(np.array([10]), np.array([10]), rate_q24=1 << 24, pot=5, total_earned=10)
    [15]
    """
    base = credits_at_rate(phi_micro, rate_q24)
    bonus = pot_shares(earned, pot, total_earned)
    return [by_rate + by_pot for by_rate, by_pot in zip(base, bonus, strict=True)]
