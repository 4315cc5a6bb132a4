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


def ranks(
    raw_milli: NDArray[np.integer],
    knots: tuple[Knot, ...],
    *,
    out: NDArray[np.int64] | None = None,
    scratch: NDArray[np.int64] | None = None,
) -> NDArray[np.int64]:
    """Return the ranks (thousandths, 0 .. 10,000) of raw indicators (thousandths, u32).

    ``out`` and ``scratch`` (each n) spare allocations in a loop.

    >>> ranks(np.array([0, 500, 2_000], dtype=np.uint32), (Knot(0, 1_000), Knot(1_000, 2_000))).tolist()
    [1000, 1500, 2000]
    """
    result = np.empty(raw_milli.shape, dtype=np.int64) if out is None else out
    first, last = knots[0], knots[-1]
    if len(knots) == 2 and last.raw_milli - first.raw_milli == last.rank_milli - first.rank_milli:
        # One segment of slope 1 is a clip and a shift (ranks given directly, for example).
        np.minimum(raw_milli, last.raw_milli, out=result)
        if first.raw_milli > 0:
            np.maximum(result, first.raw_milli, out=result)
        if first.rank_milli != first.raw_milli:
            result += first.rank_milli - first.raw_milli
    elif last.raw_milli < _TABLE_LIMIT:
        index = np.empty(raw_milli.shape, dtype=np.int64) if scratch is None else scratch
        index[...] = raw_milli
        # 'clip' is the rule itself here: beyond the last knot the last rank holds.
        _rank_table(knots).take(index, out=result, mode="clip")
    else:
        result[...] = _interpolate(raw_milli.astype(np.int64), knots)
    return result


def quality(
    interaction_rank: NDArray[np.int64],
    originality_rank: NDArray[np.int64],
    engagement_rank: NDArray[np.int64],
    *,
    out: NDArray[np.int64] | None = None,
) -> NDArray[np.int64]:
    """Return ``S = I * O * E // 1000`` in micro-value from ranks in thousandths.

    >>> quality(np.array([4_000]), np.array([2_000]), np.array([4_000])).tolist()
    [32000000]
    """
    product = np.multiply(interaction_rank, originality_rank, out=out)
    product *= engagement_rank
    # Never negative, and numpy divides unsigned integers by a constant faster.
    unsigned = product.view(np.uint64)
    unsigned //= np.uint64(MILLI)
    return product


def incentive(
    quality_micro: NDArray[np.int64], domain: DomainPolicy, *, out: NDArray[np.int64] | None = None
) -> NDArray[np.int64]:
    """Return quality after the incentive bands of a domain, in micro-value; negative when penalised.

    ``out`` may be ``quality_micro`` itself.
    """
    # The bands do not overlap (low <= high where both are set). Few acts are in one: picking them out
    # is faster than a masked pass over all.
    rewarded = np.flatnonzero(quality_micro >= domain.high) if domain.high > 0 else None
    penalised = np.flatnonzero(quality_micro < domain.low) if domain.low > 0 else None
    result = quality_micro.copy() if out is None else out
    if out is not None and out is not quality_micro:
        out[...] = quality_micro
    if rewarded is not None:
        result[rewarded] = result[rewarded] * domain.bonus_milli // MILLI
    if penalised is not None:
        result[penalised] = -((domain.low - result[penalised]) * domain.penalty_milli // MILLI)
    return result
