"""The adaptive rate against exact numbers.

::

    adaptive rate
    |- utilisation is a part, and 0 without debt
    |- the curve
    |  |- passes through its three points
    |  `- never costs less for more utilisation
    |- adapting
    |  |- stays within the stated distance of the exact exponential, and within the bounds
    |  |- the mean stays within the stated distance of the exact mean
    |  |- moves nothing at the target or in no time
    |  `- in many short steps ends where one long step ends
    |- exp is never above e**x and within the stated distance, also where its pieces meet
    `- growth
       |- is never above e**x - 1 and within the stated distance
       `- is capped at a year of the highest rate
"""

from __future__ import annotations

from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timebank_chain.spec.adaptive_rate import (
    MAX_EXPONENT,
    MAX_RATE_AT_TARGET,
    MIN_RATE_AT_TARGET,
    TARGET,
    WAD,
    YEAR,
    adapt,
    borrow_rate,
    exp,
    growth,
    utilisation,
)

LN_2 = Decimal("0.693147180559945309417232121458176568")
EXP_ERROR = Decimal("0.00062")
RATES = st.integers(MIN_RATE_AT_TARGET, MAX_RATE_AT_TARGET)
USES = st.integers(0, WAD) | st.sampled_from([0, TARGET - 1, TARGET, TARGET + 1, WAD])
# All magnitudes, and a few units around the seams of exp.
EXPONENTS = (
    st.integers(0, MAX_EXPONENT)
    | st.integers(0, 10**6)
    | st.builds(
        lambda power, off: max(0, int(power * LN_2 * WAD) + off), st.integers(0, 11), st.integers(-3, 3)
    )
)


def exact_exp(x: Decimal) -> Decimal:
    with localcontext() as context:
        context.prec = 60
        return x.exp()


def exact_error(used: int) -> Decimal:
    """In [-1, 1]."""
    u, target = Decimal(used) / WAD, Decimal(TARGET) / WAD
    return (u - target) / (1 - target) if u > target else (u - target) / target


@given(st.integers(0, 2**64), st.integers(0, 2**64))
def test_utilisation_is_a_part(debt: int, cash: int) -> None:
    used = utilisation(debt, cash)
    assert 0 <= used <= WAD
    if debt == 0:
        assert used == 0
    elif cash == 0:
        assert used == WAD


@given(RATES)
def test_the_curve_passes_through_its_three_points(rate: int) -> None:
    assert borrow_rate(rate, 0) == rate // 4
    assert borrow_rate(rate, TARGET) == rate
    assert borrow_rate(rate, WAD) == 4 * rate


@given(RATES, USES, USES)
def test_more_utilisation_never_costs_less(rate: int, one: int, other: int) -> None:
    assert borrow_rate(rate, min(one, other)) <= borrow_rate(rate, max(one, other))


@given(RATES, USES, st.integers(0, 2 * YEAR) | st.integers(0, 86_400))
def test_adapting_follows_the_exact_exponential(rate: int, used: int, dt: int) -> None:
    _, end = adapt(rate, used, dt)
    exact = rate * exact_exp(50 * exact_error(used) * dt / Decimal(YEAR))
    low, high = Decimal(MIN_RATE_AT_TARGET), Decimal(MAX_RATE_AT_TARGET)
    # Two units for the roundings of rate and speed, 1e-9 for the speed per second and the error.
    slack = EXP_ERROR + Decimal("1e-9")
    assert min(max(exact * (1 - slack) - 2, low), high) <= end <= max(min(exact * (1 + slack) + 2, high), low)


@given(RATES, USES, st.integers(1, YEAR // 50))
def test_the_mean_is_near_the_exact_mean(rate: int, used: int, dt: int) -> None:
    x = 50 * exact_error(used) * dt / Decimal(YEAR)
    if not MIN_RATE_AT_TARGET < rate * exact_exp(x) < MAX_RATE_AT_TARGET or abs(x) < Decimal("1e-12"):
        return
    mean, end = adapt(rate, used, dt)
    exact = rate * (exact_exp(x) - 1) / x
    assert exact * (1 - EXP_ERROR) - 3 <= mean <= exact * Decimal("1.022") + 3
    assert min(rate, end) <= mean + 1
    assert mean <= max(rate, end)


@given(RATES, USES, st.integers(0, YEAR))
def test_nothing_moves_at_the_target_or_in_no_time(rate: int, used: int, dt: int) -> None:
    assert adapt(rate, TARGET, dt) == (rate, rate)
    assert adapt(rate, used, 0) == (rate, rate)


@pytest.mark.parametrize("used", [0, WAD // 2, WAD])
@pytest.mark.parametrize("step", [1, 12, 3_600])
def test_many_short_steps_end_where_one_long_step_ends(used: int, step: int) -> None:
    rate = start = WAD * 4 // 100 // YEAR
    for _ in range(86_400 // step):
        _, rate = adapt(rate, used, step)
    _, long = adapt(start, used, 86_400)
    assert abs(rate - long) <= long * EXP_ERROR + 86_400 // step


@given(EXPONENTS)
def test_exp_is_within_the_stated_distance_below(x: int) -> None:
    with localcontext() as context:
        context.prec = 60
        exact = exact_exp(Decimal(x) / WAD) * WAD
        assert exact * (1 - EXP_ERROR) - 10 < exp(x) <= exact


@given(EXPONENTS, EXPONENTS)
def test_exp_never_falls(one: int, other: int) -> None:
    assert exp(min(one, other)) <= exp(max(one, other))


@given(EXPONENTS)
def test_growth_is_within_the_stated_distance_below(x: int) -> None:
    with localcontext() as context:
        context.prec = 60
        ratio = Decimal(x) / WAD
        exact = (exact_exp(ratio) - 1) * WAD
        assert exact - ratio**4 / 24 * exact_exp(ratio) * WAD - 3 <= growth(x, 1) <= exact


def test_growth_is_capped_at_a_year_of_the_highest_rate() -> None:
    highest = borrow_rate(MAX_RATE_AT_TARGET, WAD)
    assert growth(highest, YEAR - 1) < growth(highest, YEAR) <= growth(MAX_EXPONENT, 1)
    assert growth(highest, 100 * YEAR) == growth(2**64, 2**64) == growth(MAX_EXPONENT, 1)
    assert growth(MAX_EXPONENT, 1) == 125 * WAD + WAD // 3
