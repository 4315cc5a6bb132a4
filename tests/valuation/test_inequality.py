"""Inequality: every measure against a second implementation that follows the textbook, not our formulas.

measure
  any amounts ............ Gini, Jain, Lorenz, top shares, mean, median exactly; Theil to 1e-12
  100,000 amounts ........ the same, against sums in plain integers and fsum
  groups ................. within + between = whole, each group as if it were alone
  known cases ............ all alike, one has all, nothing at all, one person
  amounts near 2^63 ...... nothing overflows
  a negative amount ...... refused
mobility
  any two orders ......... Spearman on averaged ranks to 1e-12, moves counted one by one
  nobody moved, all turned around, no order at all, too few
"""

from __future__ import annotations

import math
import random
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from timebank_chain.valuation.inequality import doubled_ranks, exact_dot, exact_sum, measure, median, mobility

LARGEST = 2**63 - 1
AMOUNTS = st.lists(
    st.integers(0, 9) | st.integers(0, 10**9) | st.integers(0, LARGEST), min_size=1, max_size=40
)


def column(values: list[int]) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def gini_by_differences(values: list[int]) -> Fraction:
    """Half the mean absolute difference of all pairs over the mean."""
    differences = sum(abs(one - other) for one in values for other in values)
    return Fraction(differences, 2 * len(values) * sum(values))


def theil_by_terms(values: list[int]) -> float:
    mean = Fraction(sum(values), len(values))
    return math.fsum(float(x / mean) * math.log(float(x / mean)) for x in values if x) / len(values)


@given(AMOUNTS)
def test_against_the_textbook(values: list[int]) -> None:
    seen = measure(column(values))
    if not sum(values):
        assert seen is None
        return
    assert seen is not None
    total, people = sum(values), len(values)
    assert (seen.people, seen.total, seen.holders) == (people, total, sum(x > 0 for x in values))
    assert seen.mean == Fraction(total, people)
    assert seen.gini == gini_by_differences(values)
    assert seen.jain == Fraction(total**2, people * sum(x * x for x in values))
    assert seen.theil == pytest.approx(theil_by_terms(values), rel=1e-12, abs=1e-12)
    assert seen.theil_within + seen.theil_between == pytest.approx(seen.theil, abs=1e-12)
    richest = sorted(values, reverse=True)
    assert seen.top_1_percent == Fraction(sum(richest[: math.ceil(people / 100)]), total)
    assert seen.top_10_percent == Fraction(sum(richest[: math.ceil(people / 10)]), total)
    for count, amount in seen.lorenz:
        assert amount == sum(sorted(values)[:count])
    assert (seen.lorenz[0], seen.lorenz[-1]) == ((0, 0), (people, total))
    ordered = sorted(values)
    middle = people // 2
    expected = Fraction(ordered[middle]) if people % 2 else Fraction(ordered[middle - 1] + ordered[middle], 2)
    assert seen.median == median(column(values)) == expected


def test_a_hundred_thousand_against_plain_sums() -> None:
    chance = random.Random(3)
    values = [int(chance.paretovariate(1.2) * 10**6) if chance.random() > 0.1 else 0 for _ in range(100_000)]
    groups = [chance.randrange(4) for _ in values]
    seen = measure(column(values), np.array(groups), ("a", "b", "c", "d"))
    assert seen is not None
    total, people = sum(values), len(values)
    by_rank = sum((2 * place - people - 1) * x for place, x in enumerate(sorted(values), start=1))
    assert seen.gini == Fraction(by_rank, people * total)
    assert seen.jain == Fraction(total**2, people * sum(x * x for x in values))
    assert seen.theil == pytest.approx(theil_by_terms(values), abs=1e-12)
    assert seen.theil_within + seen.theil_between == pytest.approx(seen.theil, abs=1e-12)
    within = 0.0
    for number, group in enumerate(seen.groups):
        own = [x for x, where in zip(values, groups, strict=True) if where == number]
        assert (group.people, group.amount) == (len(own), sum(own))
        assert group.theil == pytest.approx(theil_by_terms(own), abs=1e-12)
        within += sum(own) / total * theil_by_terms(own)
    assert seen.theil_within == pytest.approx(within, abs=1e-12)


def test_groups_without_people_or_amounts() -> None:
    seen = measure(column([0, 0, 6, 2]), np.array([0, 0, 2, 2]), ("idle", "nobody", "busy"))
    assert seen is not None
    assert [(one.name, one.people, one.amount) for one in seen.groups] == [("idle", 2, 0), ("busy", 2, 8)]
    assert seen.theil_between == pytest.approx(math.log(2), abs=1e-15)


def test_known_cases() -> None:
    alike = measure(column([7] * 10))
    assert alike is not None
    assert (alike.gini, alike.jain) == (0, 1)
    assert alike.theil == pytest.approx(0, abs=1e-15)
    single = measure(column([0] * 9 + [5]))
    assert single is not None
    assert (single.gini, single.jain) == (Fraction(9, 10), Fraction(1, 10))
    assert single.theil == pytest.approx(math.log(10), abs=1e-15)
    assert single.top_1_percent == single.top_10_percent == 1
    assert measure(column([0, 0])) is measure(column([])) is median(column([])) is None
    one = measure(column([3]))
    assert one is not None and (one.gini, one.jain, one.theil) == (0, 1, 0)


def test_nothing_overflows() -> None:
    values = [LARGEST] * 3 + [1, 0]
    assert exact_sum(column(values)) == sum(values)
    assert exact_dot(column(values), column(values)) == sum(x * x for x in values)
    seen = measure(column(values))
    assert seen is not None and seen.gini == gini_by_differences(values)


def test_negative_amounts_are_refused() -> None:
    with pytest.raises(ValueError, match="negative: -4"):
        measure(column([3, -4]))


def averaged_ranks(values: list[int]) -> list[Fraction]:
    return [
        Fraction(sum(other < x for other in values) * 2 + sum(other == x for other in values) + 1, 2)
        for x in values
    ]


PAIRS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, LARGEST) | st.integers(0, 3)), max_size=30)


@given(PAIRS)
def test_mobility_against_averaged_ranks(pairs: list[tuple[int, int]]) -> None:
    before, after = [one for one, _ in pairs], [other for _, other in pairs]
    seen = mobility(column(before), column(after))
    if len(pairs) < 2:
        assert seen is None
        return
    assert seen is not None
    people = len(pairs)
    first, second = averaged_ranks(before), averaged_ranks(after)
    assert doubled_ranks(column(before)).tolist() == [2 * rank for rank in first]
    middle = Fraction(people + 1, 2)
    spread = [sum((rank - middle) ** 2 for rank in ranks) for ranks in (first, second)]
    if all(spread):
        together = sum((a - middle) * (b - middle) for a, b in zip(first, second, strict=True))
        expected = float(together) / math.sqrt(float(spread[0]) * float(spread[1]))
        assert seen.correlation == pytest.approx(expected, abs=1e-12)
    else:
        assert seen.correlation is None
    assert seen.mean_shift == sum(abs(a - b) for a, b in zip(first, second, strict=True)) / people / people
    fifths = [
        [min(4, math.floor((rank - Fraction(1, 2)) * 5 / people)) for rank in ranks]
        for ranks in (first, second)
    ]
    counted = [[0] * 5 for _ in range(5)]
    for origin, target in zip(*fifths, strict=True):
        counted[origin][target] += 1
    assert [list(row) for row in seen.moves] == counted
    assert seen.stayed == Fraction(sum(counted[n][n] for n in range(5)), people)


def test_known_moves() -> None:
    rising = column(list(range(10)))
    same, turned = mobility(rising, rising), mobility(rising, rising[::-1])
    assert same is not None and turned is not None
    assert (same.correlation, same.mean_shift, same.stayed) == (1.0, 0, 1)
    assert turned.correlation == -1.0 and turned.moves[0][4] == turned.moves[4][0] == 2
    flat = mobility(rising, column([3] * 10))
    assert flat is not None and flat.correlation is None
