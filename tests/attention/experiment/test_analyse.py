"""What an experiment concludes, and when it does not.

analyse
├── not believed: sizes off the weights (and not by accident); a covariate that differs; nothing concluded
├── no mismatch is seen in few members, or where weights are unequal as planned
├── fixed: waits for the horizon; members after it do not count; the planned end is a horizon; scipy's figures
├── always-valid: may conclude at any day, keeps to it
├── looked at every day: the days a fixed test would have said yes are named, and called false if so
├── verdicts: ship, hold, do not ship (worse; harmed guardrail), no difference shown, wait
├── several treatments: each at a part of alpha, its own verdict
├── covariate: variance taken away; members without one stay; all without; a constant one
├── few successes are said to be few
└── refused: a metric that never varies, within arms either; a covariate that is the metric; an empty arm
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from tests.attention.experiment.builders import (
    BEFORE,
    DAY_MS,
    GINI,
    RATE,
    START_MS,
    alternating,
    log_of,
    make,
)
from timebank_chain.attention.experiment.analyse import analyse, check_ratio
from timebank_chain.attention.experiment.log import OutcomeLog
from timebank_chain.attention.experiment.plan import Arm, Guardrail, Plan
from timebank_chain.errors import AttentionError, CheckFailed


def outcomes(plan: Plan, count: int, lift: float, seed: int) -> OutcomeLog:
    """Return a log of ``count`` members, the treatment's outcome higher by ``lift``."""
    chance = np.random.default_rng(seed)
    arm = alternating(count)
    before = chance.gamma(2.0, 1.0, count)
    outcome = 0.8 * before + chance.gamma(1.0, 0.8, count) + lift * arm
    covariate = before if plan.covariate is not None else None
    return log_of(plan, arm, outcome, covariate=covariate)


@pytest.mark.parametrize(
    ("counts", "mismatch"),
    [
        ([1_000, 1_000], False),
        ([1_060, 940], False),
        ([1_100, 900], True),
        ([3, 1], False),
        ([10, 0], False),
        ([14, 0], True),
        ([60_000, 59_000], False),
        ([60_000, 58_500], True),
    ],
)
def test_sample_ratio(counts: list[int], mismatch: bool) -> None:
    sizes = np.array(counts)
    wanted = stats.binomtest(counts[0], sum(counts)).pvalue
    if not mismatch:
        found = check_ratio(make(), sizes)
        assert found == pytest.approx(wanted, abs=0.05)
        return
    with pytest.raises(CheckFailed, match="nothing is concluded") as error:
        check_ratio(make(), sizes)
    assert error.value.exit_code == 3


def test_sample_ratio_of_unequal_and_of_few() -> None:
    nine = make(arms=(Arm("control", 9), Arm("new", 1)))
    assert check_ratio(nine, np.array([9_000, 1_000])) == 1.0
    with pytest.raises(CheckFailed, match=r"control has 5,000 \(expected 9,000\)"):
        check_ratio(nine, np.array([5_000, 5_000]))
    three = make(arms=(Arm("a", 1), Arm("b", 1), Arm("c", 1)), members_per_arm=(9, 9, 9))
    assert check_ratio(three, np.array([4, 0, 0])) is None
    with pytest.raises(CheckFailed, match="sample-ratio mismatch"):
        check_ratio(three, np.array([400, 400, 500]))


def test_mismatch_concludes_nothing() -> None:
    plan = make()
    arm = (np.arange(2_000) % 10 < 4).astype(np.int64)
    outcome = np.random.default_rng(1).gamma(2.0, 1.0, 2_000) + 3.0 * arm
    with pytest.raises(CheckFailed, match="sample-ratio mismatch"):
        analyse(plan, log_of(plan, arm, outcome))


def test_covariate_that_differs_concludes_nothing() -> None:
    plan = make(covariate=BEFORE)
    arm = alternating(2_000)
    chance = np.random.default_rng(2)
    before = chance.gamma(2.0, 1.0, 2_000)
    outcome = before + chance.gamma(1.0, 1.0, 2_000)
    assert analyse(plan, log_of(plan, arm, outcome, covariate=before)).covariate_p is not None
    # Measured after the treatment began: it carries the treatment's own effect.
    with pytest.raises(CheckFailed, match="'before' differs between the arms") as error:
        analyse(plan, log_of(plan, arm, outcome, covariate=before + 0.5 * arm))
    assert "before the experiment starts" in str(error.value.hint)


def test_fixed_test_waits_for_its_horizon() -> None:
    plan = make(method="fixed", members_per_arm=(900, 900))
    log = outcomes(plan, 1_000, 2.0, 3)
    early = analyse(plan, log).treatments[0]
    assert (early.verdict, early.fixed, early.significant) == ("wait", None, False)
    assert early.decided_day is not None, "what an always-valid plan would have said"
    ended = make(method="fixed", members_per_arm=(900, 900), end_ms=START_MS + 10 * DAY_MS)
    assert analyse(ended, log, now_ms=START_MS + 10 * DAY_MS - 1).treatments[0].verdict == "wait"
    late = analyse(ended, log, now_ms=START_MS + 10 * DAY_MS).treatments[0]
    assert (late.verdict, late.fixed.day) == ("ship", 9)


def test_members_after_the_horizon_do_not_count() -> None:
    plan = make(method="fixed", members_per_arm=(200, 200))
    log = outcomes(plan, 1_000, 0.2, 4)
    found = analyse(plan, log)
    assert found.horizon_day == 3
    fixed = found.treatments[0].fixed
    outcome, arm = log.outcome[:400], log.arm[:400]
    tested = stats.ttest_ind(outcome[arm == 1], outcome[arm == 0], equal_var=False)
    assert fixed.members == 400
    assert fixed.p == pytest.approx(tested.pvalue)
    assert (fixed.low, fixed.high) == pytest.approx(tuple(tested.confidence_interval()))


def test_always_valid_concludes_early_and_keeps_to_it() -> None:
    plan = make(members_per_arm=(5_000, 5_000))
    found = analyse(plan, outcomes(plan, 1_000, 0.8, 5)).treatments[0]
    assert found.verdict == "ship" and found.fixed is None
    assert found.decided_day is not None and found.decided_day < 9
    upto = found.decided_day + 1
    assert not ((found.looks.low[: upto - 1] > 0) | (found.looks.high[: upto - 1] < 0)).any()
    assert found.looks.p[upto - 1] < 0.05


def lucky_start(plan: Plan) -> OutcomeLog:
    """Return a log without an effect, but for two lucky days at the start."""
    outcome = np.random.default_rng(6).gamma(4.0, 0.5, 2_000)
    arm = alternating(2_000)
    outcome[:400] += 0.25 * arm[:400]
    return log_of(plan, arm, outcome)


@pytest.mark.parametrize("method", ["fixed", "always-valid"])
def test_daily_looks_with_a_fixed_test_are_called_what_they_are(method: str) -> None:
    plan = make(method=method)
    found = analyse(plan, lucky_start(plan)).treatments[0]
    assert found.verdict == "no difference shown" and not found.significant
    assert found.fixed is not None and not found.fixed.significant
    assert found.alarms and found.false_alarms
    for alarm in found.alarms:
        assert found.looks.fixed_p[alarm.day] == alarm.p < 0.05
        assert alarm.day < found.fixed.day
    assert any("would have said yes on" in reason for reason in found.reasons)


def test_worse_is_not_shipped_and_down_may_be_better() -> None:
    plan = make()
    worse = analyse(plan, outcomes(plan, 2_000, -0.8, 7)).treatments[0]
    assert worse.verdict == "do not ship" and "worse than the control" in worse.reasons[0]
    down = make(metric=replace(plan.metric, better="down"))
    assert analyse(down, outcomes(down, 2_000, -0.8, 7)).treatments[0].verdict == "ship"


@pytest.mark.parametrize("method", ["fixed", "always-valid"])
def test_win_that_harms_a_guardrail_is_not_shipped(method: str) -> None:
    plan = make(method=method, guardrails=(GINI,))
    arm = alternating(2_000)
    chance = np.random.default_rng(8)
    outcome = chance.gamma(4.0, 0.5, 2_000)
    # A few of the treated get nearly everything: the mean wins.
    rich = (arm == 1) & (chance.random(2_000) < 0.2)
    outcome = np.where(rich, outcome + 6.0, outcome)
    found = analyse(plan, log_of(plan, arm, outcome, numbers={"replies": outcome})).treatments[0]
    assert found.significant and found.guardrails[0].verdict == "harmed"
    assert found.verdict == "do not ship"
    assert found.reasons == (
        f"better than the control ({'fixed test' if method == 'fixed' else 'always-valid interval'}), "
        "but not at this price",
        "guardrail harmed: gini of replies",
    )


def test_win_with_an_undecided_guardrail_is_held_and_with_kept_ones_shipped() -> None:
    rule = Guardrail("mean", "posts", 0.5, better="up")
    plan = make(guardrails=(rule,))
    arm, chance = alternating(2_000), np.random.default_rng(9)
    outcome = chance.gamma(4.0, 0.5, 2_000) + 0.5 * arm
    wild, calm = chance.normal(0, 10, 2_000), chance.normal(0, 1, 2_000)
    held = analyse(plan, log_of(plan, arm, outcome, numbers={"posts": wild})).treatments[0]
    assert held.verdict == "hold" and "not shown to be kept: mean of posts" in held.reasons[1]
    kept = analyse(plan, log_of(plan, arm, outcome, numbers={"posts": calm})).treatments[0]
    assert kept.verdict == "ship"
    harmed = analyse(plan, log_of(plan, arm, outcome - 0.5 * arm, numbers={"posts": calm - 2 * arm}))
    assert harmed.treatments[0].verdict == "do not ship"
    assert "no difference" in harmed.treatments[0].reasons[0]


def test_guardrails_are_not_judged_before_the_horizon_of_a_fixed_plan() -> None:
    plan = make(method="fixed", guardrails=(GINI,), members_per_arm=(5_000, 5_000))
    log = outcomes(plan, 1_000, 0.1, 10)
    log = replace(log, numbers={"replies": log.outcome})
    found = analyse(plan, log).treatments[0]
    assert found.verdict == "wait"
    assert found.guardrails[0].verdict == "undecided" and found.guardrails[0].low is None


def test_each_treatment_has_its_own_verdict() -> None:
    plan = make(
        arms=(Arm("control", 1), Arm("same", 1), Arm("good", 1)), members_per_arm=(1_000, 1_000, 1_000)
    )
    arm = np.arange(3_000, dtype=np.int64) % 3
    outcome = np.random.default_rng(11).gamma(4.0, 0.5, 3_000) + 0.5 * (arm == 2)
    found = analyse(plan, log_of(plan, arm, outcome))
    assert plan.level == 0.025
    assert [(one.arm, one.verdict) for one in found.treatments] == [
        ("same", "no difference shown"),
        ("good", "ship"),
    ]


def test_covariate_takes_variance_away() -> None:
    plan = make(covariate=BEFORE)
    log = outcomes(plan, 2_000, 0.15, 12)
    found = analyse(plan, log)
    one = found.treatments[0]
    left = 1 - np.corrcoef(log.covariate, log.outcome)[0, 1] ** 2
    assert one.variance_reduction == pytest.approx(1 - left, abs=0.02)
    plain = analyse(make(), outcomes(make(), 2_000, 0.15, 12)).treatments[0]
    assert one.looks.high[-1] - one.looks.low[-1] < 0.75 * (plain.looks.high[-1] - plain.looks.low[-1])
    assert one.fixed.high - one.fixed.low < 0.75 * (plain.fixed.high - plain.fixed.low)
    assert one.fixed.effect == pytest.approx(one.looks.effect[one.fixed.day])


def test_members_without_a_covariate_stay() -> None:
    plan = make(covariate=BEFORE)
    log = outcomes(plan, 2_000, 0.15, 13)
    some = np.where(np.arange(2_000) % 7 == 0, np.nan, log.covariate)
    found = analyse(plan, replace(log, covariate=some))
    assert found.without_covariate == 286
    assert sum(found.members.values()) == 2_000
    assert 0.2 < found.treatments[0].variance_reduction < 0.9
    none = analyse(plan, replace(log, covariate=np.full(2_000, np.nan)))
    assert none.covariate_p is None
    assert none.treatments[0].variance_reduction == pytest.approx(0, abs=1e-9)
    assert none.notes == ("no member has the covariate 'before': it takes no variance away",)
    assert found.notes == ()


def test_constant_covariate_is_called_so() -> None:
    plan = make(covariate=BEFORE)
    log = outcomes(plan, 2_000, 0.15, 13)
    found = analyse(plan, replace(log, covariate=np.full(2_000, 7.5)))
    assert found.notes == ("the covariate 'before' is 7.5 for every member: it takes no variance away",)
    assert found.treatments[0].variance_reduction == pytest.approx(0, abs=1e-9)


def test_rates() -> None:
    plan = make(metric=RATE)
    arm = alternating(2_000)
    chance = np.random.default_rng(14)
    outcome = (chance.random(2_000) < 0.2 + 0.1 * arm).astype(float)
    found = analyse(plan, log_of(plan, arm, outcome)).treatments[0]
    assert found.verdict == "ship" and found.fixed is not None
    assert found.fixed.low < found.treatment_mean - found.control_mean < found.fixed.high
    few = np.zeros(2_000)
    few[[1, 500, 901]] = 1
    rare = analyse(plan, log_of(plan, arm, few)).treatments[0]
    assert rare.verdict == "no difference shown"
    assert "only 3 successes so far" in rare.reasons[-1]
    often = analyse(plan, log_of(plan, arm, 1 - few)).treatments[0]
    assert "only 3 failures so far" in often.reasons[-1]


@pytest.mark.parametrize(
    ("plan", "outcome", "words"),
    [
        (make(), np.full(2_000, 2.5), "is 2.5 for every member"),
        (make(metric=RATE), np.zeros(2_000), "is 0 for every member"),
        (make(), alternating(2_000) * 3.0, "does not vary within an arm"),
    ],
)
def test_metric_that_does_not_vary_is_refused(plan: Plan, outcome: np.ndarray, words: str) -> None:
    with pytest.raises(AttentionError, match=words):
        analyse(plan, log_of(plan, alternating(2_000), outcome))


def test_covariate_that_is_the_metric_is_refused() -> None:
    plan = make(covariate=BEFORE)
    outcome = np.random.default_rng(15).gamma(2.0, 1.0, 2_000)
    for copy in (outcome, 7 - 3 * outcome):
        with pytest.raises(AttentionError, match="'before' tells the metric 'replies' exactly"):
            analyse(plan, log_of(plan, alternating(2_000), outcome, covariate=copy))


def test_arm_that_does_not_vary_is_compared() -> None:
    arm = alternating(2_000)
    outcome = np.where(arm == 1, np.random.default_rng(16).gamma(1.0, 1.0, 2_000), 5.0 + 1e-12 * arm)
    found = analyse(make(), log_of(make(), arm, outcome)).treatments[0]
    assert found.verdict == "do not ship"


def test_arm_with_nobody_is_refused() -> None:
    with pytest.raises(AttentionError, match="arm new has 0 members"):
        analyse(make(), log_of(make(), np.zeros(5, dtype=np.int64), np.arange(5.0)))
