"""What an act is worth before anything else is known: indicators -> ranks -> quality -> incentive.

``rank``
    piecewise linear through the policy's knots, in thousandths: between two knots
    ``r0 + floor((raw - raw0) * (r1 - r0) / (raw1 - raw0))``, floor toward minus infinity also where the
    line falls; below the first knot the first rank, above the last the last.
``S = I * O * E // 1000``
    on ranks in thousandths gives micro-value, at most 1e9.
incentive bands
    ``S >= high`` (where ``high > 0``) earns ``S * bonus // 1000``; ``S < low`` costs
    ``(low - S) * penalty // 1000``; between them S itself.

Everything fits int64: ``|result| <= 4e9``.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from timebank_chain.units import MILLI
from timebank_chain.valuation.policy import DomainPolicy, Knot

#: Greatest absolute value an act can have after its band, before decay: 1e9 * 4000 / 1000.
MAX_INCENTIVE = 4_000_000_000

# Knots that end below this raw value are tabulated: 2^16 entries of 8 bytes stay in the second-level cache.
_TABLE_LIMIT = 1 << 16


@lru_cache(maxsize=256)
def _rank_table(knots: tuple[Knot, ...]) -> NDArray[np.int64]:
    table = _interpolate(np.arange(knots[-1].raw_milli + 1, dtype=np.int64), knots)
    table.flags.writeable = False
    return table


def _interpolate(raw: NDArray[np.int64], knots: tuple[Knot, ...]) -> NDArray[np.int64]:
    raws = np.array([knot.raw_milli for knot in knots], dtype=np.int64)
    marks = np.array([knot.rank_milli for knot in knots], dtype=np.int64)
    if len(knots) == 1:
        return np.full(raw.shape, marks[0], dtype=np.int64)
    inside = np.clip(raw, raws[0], raws[-1])
    segment = np.minimum(np.searchsorted(raws, inside, side="right") - 1, len(knots) - 2)
    rise = np.diff(marks)[segment]
    run = np.diff(raws)[segment]
    # (raw - raw0) * (r1 - r0) <= 2^32 * 10^4 < 2^46.
    return marks[segment] + (inside - raws[segment]) * rise // run


def ranks(raw_milli: NDArray[np.integer], knots: tuple[Knot, ...]) -> NDArray[np.int64]:
    """Return the ranks (thousandths, 0 .. 10,000) of raw indicators (thousandths, u32).

    >>> ranks(np.array([0, 500, 2_000], dtype=np.uint32), (Knot(0, 1_000), Knot(1_000, 2_000))).tolist()
    [1000, 1500, 2000]
    """
    first, last = knots[0], knots[-1]
    if len(knots) == 2 and last.raw_milli - first.raw_milli == last.rank_milli - first.rank_milli:
        # One segment of slope 1 is a clip and a shift (ranks given directly, for example).
        inside = np.clip(raw_milli, first.raw_milli, last.raw_milli)
        shifted: NDArray[np.int64] = inside.astype(np.int64)
        if first.rank_milli != first.raw_milli:
            shifted += first.rank_milli - first.raw_milli
        return shifted
    if last.raw_milli < _TABLE_LIMIT:
        # 'clip' is the rule itself here: beyond the last knot the last rank holds.
        result: NDArray[np.int64] = _rank_table(knots).take(raw_milli, mode="clip")
        return result
    return _interpolate(raw_milli.astype(np.int64), knots)


def quality(
    interaction_rank: NDArray[np.int64],
    originality_rank: NDArray[np.int64],
    engagement_rank: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Return ``S = I * O * E // 1000`` in micro-value from ranks in thousandths.

    >>> quality(np.array([4_000]), np.array([2_000]), np.array([4_000])).tolist()
    [32000000]
    """
    product = interaction_rank * originality_rank
    product *= engagement_rank
    # Never negative, and numpy divides unsigned integers by a constant faster.
    unsigned = product.view(np.uint64)
    unsigned //= np.uint64(MILLI)
    return product


def incentive(
    quality_micro: NDArray[np.int64], low: int, high: int, bonus_milli: int, penalty_milli: int
) -> NDArray[np.int64]:
    """Return quality after the incentive bands, in micro-value; negative for a penalised act.

    Parameters
    ----------
    quality_micro
        S, micro-value.
    low, high
        Bounds of the bands in micro-value; ``high = 0`` means no bonus band, ``low = 0`` no penalty.
    bonus_milli, penalty_milli
        Factors in thousandths.

    >>> incentive(np.array([5, 50, 500]), 10, 100, 2_000, 3_000).tolist()
    [-15, 50, 1000]
    """
    result = quality_micro
    if high > 0 and bonus_milli != MILLI:
        result = np.where(quality_micro >= high, quality_micro * bonus_milli // MILLI, result)
    if low > 0:
        fine = (low - quality_micro) * penalty_milli // MILLI
        result = np.where(quality_micro < low, -fine, result)
    return result


def banded(quality_micro: NDArray[np.int64], domain: DomainPolicy) -> NDArray[np.int64]:
    """Return quality after the bands of a domain, in micro-value."""
    return incentive(quality_micro, domain.low, domain.high, domain.bonus_milli, domain.penalty_milli)
