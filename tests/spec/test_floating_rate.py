"""The floating rate against exact numbers, and what becomes of it over many epochs.

::

    floating rate
    |- the power
    |  |- is the exact one within 5e-8 and a unit, rounded down
    |  |- never falls where the excess rises, also across whole steps
    |  `- is at least 8 and at most what fits
    |- one epoch
    |  |- moves the rate by at most an eighth of it, to the unit, for all bases and steps
    |  |- has nothing cut off by that where a unit is little
    |  |- comes up later with what was cut off, from any rate of at least 8; a smaller one stays
    |  |- leaves the excess as it is where demand is supply
    |  |- never moves it below the least step, and does from there on
    |  `- the constant of the bound is the largest that roundings allow, rounded to ten
    |- many epochs
    |  |- settle where an epoch mints what is spent, from any start, if a step is at least the demand
    |  |- settle within one move of it, if the step is far too small
    |  |- stay at the bound where no rate within it mints what is spent
    |  |- under any demand stay within the bounds, and end where a bookkeeper ends without a bound
    |  `- lose what a bound cut off: the way back begins at once
    `- the contract around it
       |- without a float nothing moves
       |- a rate set meanwhile is the new base, the same rate set again changes nothing
       |- what was spent before the float was set does not count
       `- an oracle's epochs move it, a voided one does not
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal, localcontext
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timebank_chain.spec.attention_credit import AttentionCredit
from timebank_chain.spec.fee_pool import FeePool
from timebank_chain.spec.floating_rate import (
    MAX_DOUBLINGS,
    MAX_MOVE_Q24,
    MAX_RATE_Q24,
    MIN_RATE_Q24,
    MIN_STEP,
    bounded_move,
    excess_after,
    max_move,
    rate,
)
from timebank_chain.spec.rate_float import Floating, RateFloat, RateMove
from timebank_chain.spec.rate_oracle import ZERO_HASH, EpochHeader, RateOracle, hash_header
from timebank_chain.spec.revert import Reverted
from timebank_chain.units import Q24

STEPS = st.integers(1, 2**64 - 1) | st.integers(1, 1000)
BASES = st.integers(0, 2**64 - 1) | st.integers(0, 1000)
AMOUNTS = st.integers(0, 2**64 - 1) | st.integers(0, 10_000)


@st.composite
def states(draw: st.DrawFn) -> tuple[int, int]:
    """Give a step, and an excess within its bounds: anywhere, or within three units of a whole step."""
    step = draw(STEPS)
    bound = MAX_DOUBLINGS * step
    near = st.builds(lambda whole, off: whole * step + off, st.integers(-4, 4), st.integers(-3, 3))
    excess = draw(st.integers(-bound, bound) | near)
    return step, max(-bound, min(excess, bound))


# The power


@given(BASES, states())
def test_the_power_is_the_exact_one_rounded_down(base: int, state: tuple[int, int]) -> None:
    step, excess = state
    with localcontext() as context:
        context.prec = 60
        exact = Decimal(base) * Decimal(2) ** (Decimal(excess) / Decimal(step))
        allowed = exact * Decimal("1.5e-7") + 1
    found = rate(base, excess, step)
    if exact > Decimal(MAX_RATE_Q24) * Decimal("1.01"):
        assert found == MAX_RATE_Q24
    elif exact < MAX_RATE_Q24:
        assert exact - allowed <= found <= max(exact + exact * Decimal("1.5e-7"), MIN_RATE_Q24)


@given(BASES, states(), st.integers(0, 10) | st.integers(0, 2**64))
def test_more_excess_never_lowers_the_rate(base: int, state: tuple[int, int], more: int) -> None:
    step, excess = state
    higher = min(excess + more, MAX_DOUBLINGS * step)
    assert rate(base, higher, step) >= rate(base, excess, step)


def test_the_rate_is_at_least_eight_and_at_most_what_fits() -> None:
    assert rate(0, 0, 7) == rate(1, -28, 7) == rate(127, -28, 7) == 8
    assert rate(128, -28, 7) == 8
    assert rate(144, -28, 7) == 9
    assert rate(MAX_RATE_Q24, 28, 7) == rate(MAX_RATE_Q24, 1, 7) == MAX_RATE_Q24
    assert rate(MAX_RATE_Q24, 0, 7) == MAX_RATE_Q24


# One epoch


@given(BASES, states(), AMOUNTS, AMOUNTS)
def test_one_epoch_moves_the_rate_by_at_most_an_eighth(
    base: int, state: tuple[int, int], demand: int, supply: int
) -> None:
    step, excess = state
    before = rate(base, excess, step)
    target = rate(base, excess_after(excess, step, demand, supply), step)
    after = bounded_move(before, target)
    assert 8 * abs(after - before) <= before
    assert min(before, target) <= after <= max(before, target)
    # Where a unit is little, the bound on the excess is the bound on the rate: nothing is left to cut off.
    if min(before, target) >= Q24 // 2:
        assert after == target


def test_a_rate_of_a_few_units_moves_by_at_most_an_eighth() -> None:
    """By hand: 15 * (9/8)**3 = 21.36, but of 18 an eighth is 2 units; of 7 it is none."""
    spent, found = 0, []
    float_ = RateFloat(lambda: spent)
    float_.set_float(15, 1_000_000)
    now = 15
    for demand in (10**6, 10**6, 10**6, 0):
        spent += demand
        move = float_.follow(now, 0)
        assert move is not None
        now = move.rate_q24
        found.append(now)
    assert found == [16, 18, 20, 21]
    for low in (1, 7):
        for _ in range(20):
            spent += 10**6
            move = float_.follow(low, 0)
            assert move is not None
            assert move.rate_q24 == low


@given(st.integers(0, MAX_RATE_Q24) | st.integers(0, 100), st.integers(MIN_RATE_Q24, MAX_RATE_Q24))
def test_what_was_cut_off_is_made_up_for(start: int, target: int) -> None:
    now, moves = start, 0
    while (after := bounded_move(now, target)) != now:
        assert 8 * abs(after - now) <= now
        now, moves = after, moves + 1
    assert now == (target if start >= MIN_RATE_Q24 else start)
    # log(2**64 / 8) / log(9 / 8) = 359, and some more while an eighth rounds down to a few units.
    assert moves < 400


@given(states(), AMOUNTS)
def test_there_is_no_drift_where_demand_is_supply(state: tuple[int, int], both: int) -> None:
    step, excess = state
    assert excess_after(excess, step, both, both) == excess


@given(st.integers(1, 1000), AMOUNTS, AMOUNTS)
def test_below_the_least_step_nothing_moves_the_rate(step: int, demand: int, supply: int) -> None:
    """Every epoch's excess is the one before: a step that small is a fixed rate that says it floats."""
    assert MIN_STEP * MAX_MOVE_Q24 >= 1 << 24 > (MIN_STEP - 1) * MAX_MOVE_Q24
    excess = excess_after(0, step, demand, supply)
    if step < MIN_STEP:
        assert (max_move(step), excess) == (0, 0)
        assert rate(Q24, excess, step) == Q24
    else:
        assert (excess > 0, excess < 0) == (demand > supply, demand < supply)
        assert (rate(Q24, excess, step) > Q24, rate(Q24, excess, step) < Q24) == (excess > 0, excess < 0)


def test_the_bound_of_one_move() -> None:
    with localcontext() as context:
        context.prec = 40
        exact = (Decimal(9) / Decimal(8)).ln() / Decimal(2).ln() * Q24
    assert int(exact) == 2_850_868
    assert 0 < int(exact) - MAX_MOVE_Q24 < 10
    assert max_move(Q24) == MAX_MOVE_Q24
    assert max_move(5) == 0, "a step of a few micro-credits cannot move at all"


# Many epochs


def run(
    base: int, excess: int, step: int, value: int, demands: Callable[[int, int], int], epochs: int
) -> list[tuple[int, int, int]]:
    """Give rate, mint and excess of each epoch: ``value`` is earned in each, ``demands`` spent."""
    found = []
    now = rate(base, excess, step)
    for number in range(epochs):
        mint = value * now >> 24
        found.append((now, mint, excess))
        excess = excess_after(excess, step, demands(number, mint), mint)
        now = bounded_move(now, rate(base, excess, step))
    return found


@given(
    st.integers(10**8, 10**13),
    st.integers(100, 1000),
    st.floats(-3.9, 3.9),
    st.floats(-4, 4),
)
def test_under_a_constant_demand_the_rate_settles_where_an_epoch_mints_it(
    demand: int, steps_percent: int, distance: float, start: float
) -> None:
    step = demand * steps_percent // 100
    # What is earned, so that at the base rate an epoch mints 2**distance of the demand.
    value = int(demand * 2**distance)
    mints = [mint for _, mint, _ in run(Q24, int(start * step), step, value, lambda *_: demand, 450)]
    assert abs(mints[-1] - demand) <= demand / 100_000
    # Nearer in each epoch, apart from roundings: a step of at least the demand does not swing.
    distances = [abs(mint - demand) for mint in mints]
    assert all(later <= sooner + demand / 100_000 for sooner, later in pairwise(distances))


@given(st.integers(10**8, 10**13), st.integers(2, 1000), st.floats(-3.5, 3.5), st.floats(-4, 4))
def test_with_a_step_far_too_small_it_stays_within_one_move(
    demand: int, divisor: int, distance: float, start: float
) -> None:
    step, value = demand // divisor, int(demand * 2**distance)
    mints = [mint for _, mint, _ in run(Q24, int(start * step), step, value, lambda *_: demand, 120)]
    assert all(demand * 0.88 <= mint <= demand * 1.13 for mint in mints[60:])


@pytest.mark.parametrize(("distance", "end"), [(5, Q24 // 16), (-5, 16 * Q24)])
def test_it_stays_at_the_bound_where_no_rate_is_right(distance: int, end: int) -> None:
    demand = 10**9
    value = int(demand * 2.0**distance)
    rates = [now for now, _, _ in run(Q24, 0, demand, value, lambda *_: demand, 60)]
    assert rates[-1] == end


@given(
    states(),
    st.integers(1, 2**40),
    st.lists(AMOUNTS | st.just(0), min_size=1, max_size=60),
    st.integers(0, 2**40),
)
def test_under_any_demand_it_stays_within_the_bounds(
    state: tuple[int, int], base: int, demands: list[int], value: int
) -> None:
    step, excess = state
    history = run(base, excess, step, value, lambda number, _: demands[number], len(demands))
    for now, _, held in history:
        assert max(MIN_RATE_Q24, base // 16) <= now <= max(MIN_RATE_Q24, 16 * base)
        assert abs(held) <= MAX_DOUBLINGS * step
    for (sooner, _, _), (later, _, _) in pairwise(history):
        assert 8 * abs(later - sooner) <= sooner


@given(st.lists(st.integers(-1000, 1000), max_size=200))
def test_within_the_bounds_nothing_is_lost(moves: list[int]) -> None:
    step, excess = 10**6, 0
    for move in moves:
        excess = excess_after(excess, step, 5000 + move, 5000)
    assert excess == sum(moves)


def test_after_a_bound_the_way_back_begins_at_once() -> None:
    step = 10**6
    excess = 0
    for _ in range(100):
        excess = excess_after(excess, step, 10**12, 0)
    assert excess == MAX_DOUBLINGS * step
    assert excess_after(excess, step, 0, 1) == excess - 1


# The contract around it


def test_without_a_float_nothing_moves() -> None:
    float_ = RateFloat(lambda: 5)
    assert float_.follow(Q24, 10) is None
    float_.set_float(Q24, 0)
    assert float_.follow(Q24, 10) is None
    assert float_.floating == Floating(0, Q24, Q24, 0, 5)


def test_a_rate_set_meanwhile_is_the_new_base() -> None:
    spent = 0
    float_ = RateFloat(lambda: spent)
    float_.set_float(Q24, 1000)
    spent = 60
    assert float_.follow(Q24, 10) == RateMove(60, 10, 0, 50, rate(Q24, 50, 1000))
    moved = float_.floating.rate_q24
    # The very rate that stands, set again, is no other: it goes on from where it was.
    assert float_.floating.as_of(moved) == float_.floating
    spent = 90
    assert float_.follow(2 * Q24, 10) == RateMove(30, 10, 0, 20, rate(2 * Q24, 20, 1000))
    assert float_.floating == Floating(1000, 2 * Q24, rate(2 * Q24, 20, 1000), 20, 90)


def test_what_was_spent_before_does_not_count() -> None:
    spent = 700
    float_ = RateFloat(lambda: spent)
    float_.set_float(Q24, 1000)
    spent = 710
    move = float_.follow(Q24, 0)
    assert move is not None
    assert move.demand == 10


def test_an_oracles_epochs_move_it() -> None:
    credit = AttentionCredit()
    pool = FeePool(credit, "0xpool", "0xbank", "0xlending", 5_000, 3_000)
    with pytest.raises(Reverted) as refused:
        pool.record_spending("0xpayments", 1)
    assert refused.value.name == "NotSpender"
    pool.set_spenders(["0xpayments"])
    for again in (["0xother"], []):
        with pytest.raises(Reverted):
            pool.set_spenders(again)
    float_ = RateFloat(lambda: pool.spent)
    oracle = RateOracle(ZERO_HASH, Q24, 1, 10, 5_000, rate_float=float_)
    float_.set_float(oracle.rate_q24, 1_000_000)
    credit.mint("0xpool", 5)
    assert pool.record_spending("0xpayments", 995) == 5
    assert pool.spent == 1_000

    def header(number: int) -> EpochHeader:
        previous = oracle.latest_header_hash()
        return EpochHeader(
            number, number - 1, number, ZERO_HASH, ZERO_HASH, 0, ZERO_HASH, 1, 1,
            10_000, 400, oracle.rate_q24, 0, previous, ZERO_HASH, "",
        )  # fmt: skip

    oracle.propose("0xproposer", header(1), sent=1, now=100)
    oracle.void(hash_header(header(1)), "0xnobody")
    assert oracle.rate_q24 == Q24
    oracle.propose("0xproposer", header(1), sent=1, now=100)
    oracle.finalise("0xanybody", header(1), now=110)
    assert float_.floating.excess == 600
    assert oracle.rate_q24 == rate(Q24, 600, 1_000_000) > Q24
    with pytest.raises(Reverted) as stale:
        oracle.propose("0xproposer", replace(header(2), rate_q24=Q24), sent=1, now=120)
    assert stale.value.name == "RateMismatch"
    oracle.propose("0xproposer", header(2), sent=1, now=120)
