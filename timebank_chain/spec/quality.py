"""From recorded indicators to the value of one act.

indicator -> rank (piecewise linear) -> quality (product of three ranks) -> incentive bands -> value (times
the decay weight). Ranks are thousandths, everything later is millionths.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from timebank_chain.units import MicroValue, MilliRank

__all__ = ["incentive", "quality", "rank", "value"]


def rank(raw_milli: int, knots: Sequence[tuple[int, int]]) -> MilliRank:
    """Return the rank a raw indicator earns, rounded toward minus infinity between knots.

    Parameters
    ----------
    raw_milli
        Recorded indicator in thousandths.
    knots
        ``(raw_milli, rank_milli)``, at least one, ascending by raw. Below the first the first rank holds,
        above the last the last; segments may fall.

    >>> rank(1_500, [(1_000, 0), (2_000, 10_000)])
    5000
    """
    if raw_milli <= knots[0][0]:
        return MilliRank(knots[0][1])
    for (raw_from, rank_from), (raw_to, rank_to) in pairwise(knots):
        if raw_milli < raw_to:
            rise = (raw_milli - raw_from) * (rank_to - rank_from) // (raw_to - raw_from)
            return MilliRank(rank_from + rise)
    return MilliRank(knots[-1][1])


def quality(interaction_rank: int, originality_score: int, engagement_level: int) -> MicroValue:
    """Return the quality S of three ranks in thousandths, rounded down; at most 10**9 micro-value.

    >>> quality(4_000, 2_000, 4_000)
    32000000
    """
    return MicroValue(interaction_rank * originality_score * engagement_level // 1000)


def incentive(quality_micro: int, low: int, high: int, bonus_milli: int, penalty_milli: int) -> MicroValue:
    """Return the quality after the incentive bands; bonus and penalty are rounded toward zero.

    Parameters
    ----------
    quality_micro
        Micro-value.
    low
        Below this the act costs its author, in micro-value; 0 for no penalty.
    high
        From this on the act earns the bonus, in micro-value; 0 for no bonus.
    bonus_milli, penalty_milli
        Factors in thousandths.
    """
    if high > 0 and quality_micro >= high:
        return MicroValue(quality_micro * bonus_milli // 1000)
    if quality_micro < low:
        return MicroValue(-((low - quality_micro) * penalty_milli // 1000))
    return MicroValue(quality_micro)


def value(effective_quality: int, weight_q31: int) -> MicroValue:
    """Return what an act is worth at the epoch's end, rounded toward minus infinity.

    Parameters
    ----------
    effective_quality
        Quality after the incentive bands, micro-value, may be negative.
    weight_q31
        Decay weight, 2**31 = 1.0.
    """
    return MicroValue((effective_quality * weight_q31) >> 31)
