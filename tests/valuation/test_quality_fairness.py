"""Ranks, quality, incentive bands, brackets and mint.

::

    rank      equals the specification; below, above, between and falling; table and search agree
    quality   equals the specification up to the largest ranks
    incentive equals the specification at and around both bounds
    phi       equals the specification; never above earned; keeps the order; equal parts cost nothing
    mint      equals the specification beyond 64-bit products; shares of a pot never exceed it
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.valuation.valuation_cases import bracket_lists, domain_policies, knots, pairs
from timebank_chain.spec import fairness as spec_fairness
from timebank_chain.spec import quality as spec_quality
from timebank_chain.valuation import Bracket, Knot
from timebank_chain.valuation.fairness import mint, phi, pot_shares, thresholds
from timebank_chain.valuation.quality import MAX_INCENTIVE, incentive, quality, ranks

AMOUNTS = st.integers(0, 10**12) | st.integers(0, 2**62)


@given(knots(), st.lists(st.integers(0, 2**32 - 1) | st.integers(0, 30_000), max_size=40))
def test_ranks_equal_the_specification(points, raws):
    ours = ranks(np.array(raws, np.uint32), points).tolist()
    assert ours == [spec_quality.rank(raw, pairs(points)) for raw in raws]


@given(knots())
def test_ranks_at_knots_are_the_knots(points):
    raws = np.array([knot.raw_milli for knot in points], np.uint32)
    assert ranks(raws, points).tolist() == [knot.rank_milli for knot in points]


def test_falling_segment_rounds_toward_minus_infinity():
    # 1 raw above 0 falls by 10/3: floor(-3.33) = -4, not -3.
    assert ranks(np.array([1], np.uint32), (Knot(0, 10), Knot(3, 0))).tolist() == [6]


def test_table_and_search_agree_across_their_border():
    inside = (Knot(10, 0), Knot(65_535, 10_000))
    beyond = (Knot(10, 0), Knot(65_535, 10_000), Knot(65_536, 10_000))
    raws = np.arange(0, 65_536, dtype=np.uint32)
    assert (ranks(raws, inside) == ranks(raws, beyond)).all()


def test_unit_slope_is_a_clip_and_a_shift():
    raws = np.array([0, 99, 100, 150, 200, 4_000_000_000], np.uint32)
    assert ranks(raws, (Knot(100, 300), Knot(200, 400))).tolist() == [300, 300, 300, 350, 400, 400]


@given(st.lists(st.tuples(*[st.integers(0, 10_000)] * 3), max_size=30))
def test_quality_equals_the_specification(triples):
    columns = np.array(triples, np.int64).reshape(-1, 3).T
    assert quality(*columns).tolist() == [spec_quality.quality(*triple) for triple in triples]


def test_highest_ranks_give_the_highest_quality():
    top = np.array([10_000])
    assert quality(top, top, top).tolist() == [10**9]


@given(domain_policies("any"), st.lists(st.integers(0, 10**9), max_size=20))
def test_incentive_equals_the_specification(domain, drawn):
    edges = [edge + step for edge in (domain.low, domain.high) for step in (-1, 0, 1)]
    worth = [amount for amount in (*drawn, *edges) if 0 <= amount <= 10**9]
    ours = incentive(np.array(worth, np.int64), domain)
    expected = [
        spec_quality.incentive(amount, domain.low, domain.high, domain.bonus_milli, domain.penalty_milli)
        for amount in worth
    ]
    assert ours.tolist() == expected
    assert all(abs(amount) <= MAX_INCENTIVE for amount in expected)


@given(bracket_lists(), st.lists(AMOUNTS, max_size=20), AMOUNTS)
def test_phi_equals_the_specification(brackets, earned, mean):
    steps = [(bracket.from_multiple_milli, bracket.slope_milli) for bracket in brackets]
    ours = phi(np.array(earned, np.int64), mean, brackets).tolist()
    assert ours == [spec_fairness.phi(amount, mean, steps) for amount in earned]
    assert all(share <= amount for share, amount in zip(ours, earned, strict=True))


@given(bracket_lists(), st.lists(AMOUNTS, min_size=2, max_size=20), AMOUNTS)
def test_who_earned_more_never_counts_for_less(brackets, earned, mean):
    ours = phi(np.array(sorted(earned), np.int64), mean, brackets).tolist()
    assert ours == sorted(ours)


def test_brackets_by_hand():
    brackets = (Bracket(0, 1_000), Bracket(2_000, 750), Bracket(5_000, 500))
    earned = np.array([0, 1_999, 2_000, 2_001, 5_000, 7_001], np.int64)
    assert thresholds(1_000, brackets) == [0, 2_000, 5_000]
    # 7_001: 2000 + 3000 * 0.75 + floor(2001 * 0.5)
    assert phi(earned, 1_000, brackets).tolist() == [0, 1_999, 2_000, 2_000, 4_250, 5_250]


@given(
    st.lists(st.tuples(AMOUNTS, AMOUNTS), max_size=10),
    st.integers(0, 2**64 - 1) | st.integers(0, 2**26),
    st.integers(0, 2**63 - 1),
)
def test_mint_equals_the_specification(rows, rate_q24, pot):
    counted = np.array([min(row) for row in rows], np.int64)
    earned = np.array([max(row) for row in rows], np.int64)
    total = sum(int(amount) for amount in earned)
    ours = mint(counted, earned, rate_q24=rate_q24, pot=pot, total_earned=total)
    assert ours == [
        spec_fairness.mint(int(share), rate_q24, int(amount), pot, total)
        for share, amount in zip(counted, earned, strict=True)
    ]
    assert sum(pot_shares(earned, pot, total)) <= pot


def test_pot_is_kept_when_nobody_earned():
    assert pot_shares(np.zeros(3, np.int64), 1_000, 0) == [0, 0, 0]


def test_mint_takes_rates_and_totals_of_64_bits_where_nothing_counts():
    nothing, most = np.zeros(2, dtype=np.int64), (1 << 64) - 1
    assert mint(nothing, nothing, rate_q24=most, pot=5, total_earned=most) == [0, 0]


@pytest.mark.parametrize("rate_q24", [1 << 24, (1 << 24) + 1, 1 << 40])
def test_mint_rounds_down(rate_q24):
    counted = np.array([1, 2, 3], np.int64)
    ours = mint(counted, counted, rate_q24=rate_q24, pot=0, total_earned=6)
    assert ours == [amount * rate_q24 // 2**24 for amount in (1, 2, 3)]
