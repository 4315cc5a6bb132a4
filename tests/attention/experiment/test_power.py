"""How many members, and what effect.

power
├── two means and two proportions as the textbook's formulas say
├── members and smallest effect are each other's inverse
├── planned members have the planned power, simulated; looking daily costs members, not alarms
├── a covariate saves its square; more arms cost; a larger arm costs
├── an impossible effect, no effect, too few or endless members: refused
├── as many members as a plan may have; any numbers: a plan or a usage error, nothing else
└── a plan: effect or members, not both; alternatives beside it
"""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tests.attention.experiment.builders import BEFORE, DAY_MS, RATE, SALT, START_MS
from timebank_chain.attention.experiment.design import Question, compare_sizes, make_plan, rate_spread
from timebank_chain.attention.experiment.plan import Arm, Covariate, Metric
from timebank_chain.attention.experiment.power import (
    Design,
    detectable_effect,
    members_needed,
    power_at,
)
from timebank_chain.attention.experiment.simulate import Alarms, Setting, simulate
from timebank_chain.errors import UsageError


def design(**changes: object) -> Design:
    return Design(
        **{
            "kind": "mean",
            "baseline": 2.0,
            "spread": 3.0,
            "direction": 1,
            "weights": (1, 1),
            "level": 0.05,
            "power": 0.8,
            "always_valid": False,
            **changes,
        }
    )


def test_two_means_as_in_the_textbook() -> None:
    z = stats.norm.isf(0.025) + stats.norm.ppf(0.8)
    wanted = 2 * (z * 3.0 / 0.2) ** 2
    # The t-test asks for one or two more.
    assert members_needed(design(), 0.2)[0] == pytest.approx(wanted, abs=3)


def test_two_rates_as_in_the_textbook() -> None:
    p, q, z = 0.1, 0.12, stats.norm.isf(0.025)
    pooled = (p + q) / 2
    plain = (
        z * math.sqrt(2 * pooled * (1 - pooled)) + stats.norm.ppf(0.8) * math.sqrt(p * (1 - p) + q * (1 - q))
    ) ** 2 / (q - p) ** 2
    # Fleiss' correction for continuity.
    wanted = plain / 4 * (1 + math.sqrt(1 + 4 / (plain * (q - p)))) ** 2
    rate = design(kind="rate", baseline=p, spread=0.3)
    assert members_needed(rate, q - p)[0] == pytest.approx(wanted, rel=2e-3)


@settings(max_examples=15, deadline=None)
@given(
    st.sampled_from(["mean", "rate"]),
    st.floats(0.01, 0.08),
    st.floats(0.001, 0.1),
    st.booleans(),
    st.floats(-0.9, 0.9),
    st.integers(1, 9),
)
def test_members_and_effect_are_inverse(
    kind: str, effect: float, level: float, always: bool, correlation: float, weight: int
) -> None:
    one = design(
        kind=kind, baseline=0.3, spread=0.45, level=level, always_valid=always,
        correlation=correlation, weights=(weight, 1),
    )  # fmt: skip
    members = members_needed(one, effect)
    assert power_at(one, members, effect) >= 0.8 - 1e-6
    found = detectable_effect(one, members)
    assert found <= effect * (1 + 1e-6)
    assert found == pytest.approx(effect, rel=0.1)


def test_planned_members_have_the_planned_power() -> None:
    rate = {"kind": "rate", "baseline": 0.1, "spread": 0.3}
    fixed = members_needed(design(**rate), 0.03)[0]
    always = members_needed(design(**rate, always_valid=True), 0.03)[0]
    assert 1.5 < always / fixed < 2.5

    def run(members: int, days: int) -> Alarms:
        setting = Setting("rate", 0.1, daily=members // days, days=days, lift=1.3, experiments=4_000)
        return simulate(setting, seed=5)

    once = run(fixed, 10)
    assert once.fixed == pytest.approx(0.8, abs=0.03)
    daily = run(always, 20)
    assert daily.always_valid >= 0.8


def test_what_costs_and_what_saves() -> None:
    plain = sum(members_needed(design(), 0.2))
    assert sum(members_needed(design(correlation=0.8), 0.2)) == pytest.approx(plain * 0.36, rel=0.01)
    assert sum(members_needed(design(weights=(9, 1)), 0.2)) > 2 * plain
    assert sum(members_needed(design(level=0.025), 0.2)) > plain
    assert members_needed(design(), 1e5) == (3, 3) or members_needed(design(), 1e5) == (2, 2)


@pytest.mark.parametrize(
    ("changes", "effect", "words"),
    [
        ({}, 0.0, "is none"),
        ({}, -0.1, "is none"),
        ({}, math.inf, "is none"),
        ({"kind": "rate", "baseline": 0.9}, 0.2, "cannot change by 0.2"),
        ({"kind": "rate", "baseline": 0.1, "direction": -1}, 0.2, "cannot change by 0.2"),
        ({}, 1e-6, "needs more than"),
    ],
)
def test_impossible_effects_are_refused(changes: dict[str, object], effect: float, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        members_needed(design(**changes), effect)


def test_too_few_members_are_refused() -> None:
    with pytest.raises(UsageError, match="so few members"):
        detectable_effect(design(kind="rate", baseline=0.5, spread=0.5), (2, 2))


def question(**changes: object) -> Question:
    return Question(
        **{
            "name": "trial",
            "salt": SALT,
            "planned_ms": START_MS,
            "backdated": False,
            "start_ms": START_MS,
            "end_ms": START_MS + 30 * DAY_MS,
            "external": False,
            "arms": (Arm("control", 1), Arm("new", 1)),
            "metric": Metric("replies", "mean", "up", 2.0, 3.0),
            "covariate": BEFORE,
            "method": "always-valid",
            "alpha": 0.05,
            "power": 0.8,
            "effect": 0.2,
            "members": None,
            "burn_in": 50,
            "guardrails": (),
            **changes,
        }
    )


def test_plan_from_an_effect_and_from_members() -> None:
    plan = make_plan(question())
    sizes = compare_sizes(plan)
    assert sizes.planned == sum(plan.members_per_arm) == sizes.always_valid
    assert sizes.fixed is not None and sizes.fixed < sizes.planned
    assert sizes.without_covariate == pytest.approx(sizes.planned / 0.51, rel=0.01)
    again = make_plan(question(effect=None, members=sizes.planned))
    assert again.minimal_effect == pytest.approx(0.2, rel=1e-3)
    assert again.members_per_arm == plan.members_per_arm
    three = make_plan(question(arms=(Arm("control", 1), Arm("a", 1), Arm("b", 1))))
    assert three.level == 0.025 and three.members_per_arm[0] > plan.members_per_arm[0]
    down = make_plan(question(metric=Metric("replied", "rate", "down", 0.2, 0.4), effect=0.05))
    assert down.minimal_effect == 0.05


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"effect": None}, "say either"),
        ({"members": 100}, "say either"),
        ({"effect": None, "members": 3}, "less than two"),
        ({"effect": None, "members": 10**12}, "give an arm more than 1,000,000,000"),
        ({"effect": None, "members": 10**40}, "give an arm more than 1,000,000,000"),
        ({"alpha": 0.9}, "field 'alpha'"),
        ({"effect": math.nan}, "not finite"),
        ({"metric": RATE, "effect": 0.9}, "cannot change"),
    ],
)
def test_questions_without_an_answer(changes: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        make_plan(question(**changes))


@pytest.mark.parametrize("covariate", [None, Covariate("before", 0.999)])
@pytest.mark.parametrize("metric", [Metric("replies", "mean", "up", 2.0, 3.0), RATE])
def test_as_many_members_as_can_be_planned(covariate: Covariate | None, metric: Metric) -> None:
    """Effects smaller than where the search begins, and alternatives that would take too many."""
    plan = make_plan(question(effect=None, members=2 * 10**9, covariate=covariate, metric=metric))
    sizes = compare_sizes(plan)
    assert plan.members_per_arm == (10**9, 10**9)
    assert sizes.planned == 2 * 10**9
    assert sizes.without_covariate is None


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(["rate", "mean"]),
    baseline=st.sampled_from([1e-9, 0.001, 0.3, 1 - 1e-9]),
    spread=st.sampled_from([1e-12, 0.5, 1e15, math.inf, math.nan, 0.0]),
    sought=st.sampled_from([(None, 0), (None, 4), (None, 10**6), (None, 2 * 10**9), (None, 10**12)])
    | st.sampled_from([(1e-12, None), (0.01, None), (1e15, None), (math.inf, None), (-1.0, None)]),
    alpha=st.sampled_from([1e-6, 0.05, 0.5, 0.0, math.nan]),
    power=st.sampled_from([0.5, 0.8, 0.9999, 1.0]),
    weight=st.sampled_from([1, 1_000_000]),
    method=st.sampled_from(["fixed", "always-valid"]),
)
def test_any_numbers_give_a_plan_or_a_usage_error(
    kind: str,
    baseline: float,
    spread: float,
    sought: tuple[float | None, int | None],
    alpha: float,
    power: float,
    weight: int,
    method: str,
) -> None:
    asked = question(
        metric=Metric("one", kind, "up", baseline, rate_spread(baseline) if kind == "rate" else spread),
        effect=sought[0],
        members=sought[1],
        alpha=alpha,
        power=power,
        arms=(Arm("control", 1), Arm("new", weight)),
        method=method,
    )
    try:
        plan = make_plan(asked)
    except UsageError:
        return
    assert plan.minimal_effect > 0
    assert compare_sizes(plan).planned == sum(plan.members_per_arm)


def test_spread_of_a_rate() -> None:
    assert rate_spread(0.2) == 0.4
    with pytest.raises(UsageError, match="is none"):
        rate_spread(1.0)
