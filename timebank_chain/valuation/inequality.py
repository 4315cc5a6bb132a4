"""How unequally something is shared out: Gini, Lorenz, Theil, Jain, top shares, and how ranks move.

Amounts are non-negative int64 columns, one row a person. Whatever integers can say is exact: Gini, Jain, the
points of the Lorenz curve, top shares, means and medians are :class:`~fractions.Fraction`. Only Theil's index
and the rank correlation need a logarithm or a root and are floats (of 53 bits; no amount is made of them).

With ``x`` ascending, ``n`` rows, ``S`` their sum and ``m = S / n``::

    Lorenz   L(k) = (x_1 + .. + x_k) / S             M. O. Lorenz 1905
    Gini     G = 2 sum(i x_i) / (n S) - (n + 1) / n  C. Gini 1912; in this form A. Sen 1973: half the mean
             absolute difference over the mean; 0 all alike, (n - 1) / n one has all
    Theil    T = sum(x / S * ln(x / m))              H. Theil 1967; 0 all alike, ln n one has all
             = sum_g s_g T_g + sum_g s_g ln(s_g / p_g)   within and between groups: s_g a group's share of the
             sum, p_g its share of the rows, T_g its own index (A. F. Shorrocks 1980)
    Jain     J = S^2 / (n sum(x^2))                  Jain, Chiu, Hawe 1984; 1 all alike, 1 / n one has all
    top p    the sum of the greatest ceil(p n) rows over S
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

#: Points of a Lorenz curve: every hundredth of the people.
LORENZ_STEPS = 100
#: Parts the ranking is cut into to see who moves.
FIFTHS = 5

_LIMB_BITS = 21
_LIMB = (1 << _LIMB_BITS) - 1
# Two limbs multiply to 42 bits; 2^20 of them stay under 2^62.
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class GroupShare:
    """A group's part: people, their amount, and Theil's index among them (0 where they have nothing)."""

    name: str
    people: int
    amount: int
    theil: float


@dataclass(frozen=True, slots=True)
class Inequality:
    """How an amount is shared out among ``people``.

    Attributes
    ----------
    holders
        How many have more than nothing.
    total
        In the unit of the rows.
    lorenz
        ``(people, amount)`` of the poorest, from (0, 0) to (people, total).
    theil, theil_within, theil_between
        The index, and its two parts: inside the groups and between their means.
    """

    people: int
    holders: int
    total: int
    median: Fraction
    gini: Fraction
    jain: Fraction
    theil: float
    theil_within: float
    theil_between: float
    top_1_percent: Fraction
    top_10_percent: Fraction
    lorenz: tuple[tuple[int, int], ...]
    groups: tuple[GroupShare, ...]

    @property
    def mean(self) -> Fraction:
        """Amount a person."""
        return Fraction(self.total, self.people)


@dataclass(frozen=True, slots=True)
class Mobility:
    """How a ranking moved between two times.

    Attributes
    ----------
    people
        Who stands in both.
    correlation
        Spearman's, ties in the middle of their ranks: 1 nobody moved, 0 no relation, -1 turned around;
        ``None`` where one side has no order at all.
    mean_shift
        How far one moved on average, as a part of the whole ranking.
    stayed
        Share who stayed in their fifth.
    moves
        ``moves[from][to]``: people by their fifth before and after, the lowest first.
    """

    people: int
    correlation: float | None
    mean_shift: Fraction
    stayed: Fraction
    moves: tuple[tuple[int, ...], ...]


def measure(
    amounts: NDArray[np.int64], groups: NDArray[np.intp] | None = None, names: Sequence[str] = ()
) -> Inequality | None:
    """Measure how amounts are shared out; ``None`` where there is nothing to share.

    Parameters
    ----------
    amounts
        One row a person, none negative.
    groups
        Each person's group, an index into ``names``; one group for all when not given.

    >>> measure(np.array([1, 2, 3, 4])).gini
    Fraction(1, 4)
    """
    people = len(amounts)
    if people and int(amounts.min()) < 0:
        raise ValueError(f"an amount is negative: {int(amounts.min())}")
    total = exact_sum(amounts)
    if not total:
        return None
    if groups is None:
        groups, names = np.zeros(people, dtype=np.intp), ("all",)
    ascending = np.sort(amounts)
    shares = _group_shares(amounts, groups, names)
    within = math.fsum(one.amount / total * one.theil for one in shares)
    between = math.fsum(
        one.amount / total * math.log(one.amount * people / (total * one.people))
        for one in shares
        if one.amount
    )
    places = sorted({people * step // LORENZ_STEPS for step in range(LORENZ_STEPS + 1)})
    return Inequality(
        people=people,
        holders=int(np.count_nonzero(amounts)),
        total=total,
        median=_median(ascending),
        gini=_gini(ascending, total),
        jain=Fraction(total * total, people * exact_dot(amounts, amounts)),
        theil=_theil(amounts, total, people),
        theil_within=within,
        theil_between=between,
        top_1_percent=_top_share(ascending, total, 1),
        top_10_percent=_top_share(ascending, total, 10),
        lorenz=tuple(zip(places, _sums_up_to(ascending, places), strict=True)),
        groups=shares,
    )


def mobility(before: NDArray[np.int64], after: NDArray[np.int64]) -> Mobility | None:
    """Say how a ranking moved; the rows of both are the same people. ``None`` for fewer than two.

    >>> mobility(np.array([1, 2, 3]), np.array([3, 2, 1])).correlation
    -1.0
    """
    people = len(before)
    if people < 2:
        return None
    first, second = doubled_ranks(before), doubled_ranks(after)
    sums = exact_sum(first), exact_sum(second)
    spread = [
        people * exact_dot(ranks, ranks) - total * total
        for ranks, total in zip((first, second), sums, strict=True)
    ]
    together = people * exact_dot(first, second) - sums[0] * sums[1]
    correlation = together / math.sqrt(spread[0] * spread[1]) if all(spread) else None
    fifths = [np.minimum((ranks - 1) * FIFTHS // (2 * people), FIFTHS - 1) for ranks in (first, second)]
    moves = np.bincount(fifths[0] * FIFTHS + fifths[1], minlength=FIFTHS * FIFTHS).reshape(FIFTHS, FIFTHS)
    return Mobility(
        people=people,
        correlation=correlation,
        mean_shift=Fraction(exact_sum(np.abs(first - second)), 2 * people * people),
        stayed=Fraction(int(moves.trace()), people),
        moves=tuple(tuple(int(count) for count in row) for row in moves),
    )


def median(amounts: NDArray[np.int64]) -> Fraction | None:
    """Return the median, exactly; ``None`` of nothing.

    >>> median(np.array([5, 1, 2, 3]))
    Fraction(5, 2)
    """
    return _median(np.sort(amounts)) if len(amounts) else None


def doubled_ranks(amounts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return twice each row's rank from 1 on, so that the middle rank of ties is an integer.

    >>> doubled_ranks(np.array([10, 30, 10])).tolist()
    [3, 6, 3]
    """
    _, place, counts = np.unique(amounts, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    # Ties from rank (end - count + 1) to end: twice their middle is the sum of both.
    return np.asarray((2 * ends - counts + 1)[place.reshape(-1)], dtype=np.int64)


def exact_sum(amounts: NDArray[np.int64]) -> int:
    """Return the sum of non-negative numbers, whatever its size.

    >>> exact_sum(np.array([2**63 - 1, 2**63 - 1])) == 2**64 - 2
    True
    """
    return (int((amounts >> 32).sum()) << 32) + int((amounts & 0xFFFF_FFFF).sum())


def exact_dot(left: NDArray[np.int64], right: NDArray[np.int64]) -> int:
    """Return ``sum(left * right)`` of non-negative numbers, whatever its size.

    Both sides are cut into limbs of 21 bits, so that no partial sum leaves 63 bits.
    """
    result = 0
    for start in range(0, len(left), _BLOCK):
        one, other = _limbs(left[start : start + _BLOCK]), _limbs(right[start : start + _BLOCK])
        for i, low in enumerate(one):
            for j, high in enumerate(other):
                result += int(np.dot(low, high)) << (_LIMB_BITS * (i + j))
    return result


def _limbs(numbers: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    bits = int(numbers.max()).bit_length() if len(numbers) else 0
    return [(numbers >> shift) & _LIMB for shift in range(0, bits, _LIMB_BITS)]


def _gini(ascending: NDArray[np.int64], total: int) -> Fraction:
    people = len(ascending)
    weighted = exact_dot(np.arange(1, people + 1, dtype=np.int64), ascending)
    return Fraction(2 * weighted - (people + 1) * total, people * total)


def _theil(amounts: NDArray[np.int64], total: int, people: int) -> float:
    """Return Theil's index; rows without anything add nothing, as x ln x falls to 0."""
    some = amounts[amounts > 0]
    if not len(some):
        return 0.0
    share = some / total
    # numpy adds pairwise: a million terms lose no more than a few units of the last place.
    return float((share * np.log(share * people)).sum())


def _group_shares(
    amounts: NDArray[np.int64], groups: NDArray[np.intp], names: Sequence[str]
) -> tuple[GroupShare, ...]:
    """Return each group's part, groups without people left out, in the order of their names."""
    order = np.argsort(groups, kind="stable")
    ends = np.searchsorted(groups[order], np.arange(len(names)), side="right")
    shares, start = [], 0
    for name, end in zip(names, ends.tolist(), strict=True):
        if end > start:
            own = amounts[order[start:end]]
            total = exact_sum(own)
            shares.append(GroupShare(name, end - start, total, _theil(own, total, end - start)))
        start = end
    return tuple(shares)


def _median(ascending: NDArray[np.int64]) -> Fraction:
    middle = len(ascending)
    return Fraction(int(ascending[(middle - 1) // 2]) + int(ascending[middle // 2]), 2)


def _top_share(ascending: NDArray[np.int64], total: int, percent: int) -> Fraction:
    count = -(-len(ascending) * percent // 100)
    return Fraction(exact_sum(ascending[len(ascending) - count :]), total)


def _sums_up_to(ascending: NDArray[np.int64], places: Sequence[int]) -> list[int]:
    """Return the sum of the first rows up to each place (ascending, the first 0)."""
    sums = [0]
    for start, end in pairwise(places):
        sums.append(sums[-1] + exact_sum(ascending[start:end]))
    return sums
