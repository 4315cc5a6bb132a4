"""What a treatment may not harm.

guardrails
├── Gini: the mean absolute difference over twice the mean, all pairs; 0 alike, 1 one has all
├── its jackknife error is the one with every row left out in turn, and covers
├── in groups: one harmed group is found though all together are fine
├── exposure: the share of the least shown, from pooled counts; ratio's error; equal arms are alike
├── mean: up and down
├── kept, undecided, harmed by where the interval lies; without end before it counts
└── an arm with too few members, or that was shown nothing, decides nothing
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.attention.experiment.builders import alternating, log_of, make
from timebank_chain.attention.experiment.guardrails import check_guardrail, gini_with_error
from timebank_chain.attention.experiment.log import Exposures, OutcomeLog
from timebank_chain.attention.experiment.plan import Guardrail

amounts = st.lists(st.integers(0, 1_000), min_size=3, max_size=40).filter(any)


def gini_of_pairs(values: np.ndarray) -> float:
    pairs = np.abs(values[:, None] - values[None, :]).sum()
    return float(pairs / (len(values) * (len(values) - 1)) / (2 * values.mean()))


@given(amounts)
def test_gini_is_that_of_all_pairs(values: list[int]) -> None:
    found = gini_with_error(np.array(values, dtype=float))
    assert found is not None
    assert found.value == pytest.approx(gini_of_pairs(np.array(values)), abs=1e-12)
    assert 0 <= found.value <= 1 + 1e-12


@given(amounts.filter(lambda values: sorted(values)[-2] > 0))
def test_gini_error_is_the_jackknife(values: list[int]) -> None:
    array = np.array(values, dtype=float)
    without = [gini_of_pairs(np.delete(array, row)) for row in range(len(array))] if len(array) > 3 else None
    found = gini_with_error(array)
    assert found is not None
    if without is not None:
        count = len(array)
        wanted = math.sqrt((count - 1) / count * np.square(without - np.mean(without)).sum())
        assert found.error == pytest.approx(wanted, rel=1e-6, abs=1e-9)


def test_gini_of_extremes() -> None:
    alike = gini_with_error(np.full(9, 4.0))
    assert alike is not None and (alike.value, alike.error) == pytest.approx((0.0, 0.0), abs=1e-9)
    one = gini_with_error(np.array([0.0] * 9 + [5.0]))
    assert one is not None and one.value == pytest.approx(1.0)
    nothing = gini_with_error(np.zeros(5))
    assert nothing is not None and nothing.value == 0.0
    assert gini_with_error(np.array([1.0, 2.0])) is None


def test_gini_interval_covers() -> None:
    chance = np.random.default_rng(1)
    # An exponential's Gini index is one half.
    inside = 0
    for _ in range(400):
        found = gini_with_error(chance.exponential(1.0, 300))
        assert found is not None
        inside += abs(found.value - 0.5) < 1.96 * found.error
    assert inside / 400 > 0.91


def test_one_harmed_group_is_found() -> None:
    arm, chance = alternating(4_000), np.random.default_rng(2)
    cohort = np.where(np.arange(4_000) % 10 < 2, "new", "old")
    values = chance.gamma(4.0, 1.0, 4_000)
    rich = (arm == 1) & (cohort == "new") & (chance.random(4_000) < 0.1)
    values = np.where(rich, 30.0, values)
    plan = make()
    log = log_of(plan, arm, values, numbers={"replies": values}, groups={"cohort": cohort.tolist()})
    rule = Guardrail("gini", "replies", 0.08, by="cohort")
    found = {one.group: one for one in check_guardrail(rule, log, 1, None, 1.96)}
    assert found["new"].verdict == "harmed"
    assert found["old"].verdict == "kept"
    assert found[None].harm is not None and 0 < found[None].harm < (found["new"].harm or 0)


def exposed(starved: float, seed: int, share: float = 0.5) -> tuple[OutcomeLog, Exposures, np.ndarray]:
    """Return members who saw ten offers each, the treated the last five of twenty less often."""
    chance = np.random.default_rng(seed)
    arm = (chance.random(2_000) < share).astype(np.int64)
    members = np.repeat(np.arange(2_000), 10)
    offer = chance.integers(0, 20, members.size)
    away = (arm[members] == 1) & (offer >= 15) & (chance.random(members.size) < starved)
    offer = np.where(away, chance.integers(0, 15, members.size), offer)
    log = log_of(make(), arm, np.zeros(2_000))
    return log, Exposures(members, offer, [f"o{number:02d}" for number in range(20)]), arm


EXPOSURE = Guardrail("exposure", "offer", 0.02, lowest=0.25)


def test_starved_offers_are_harm() -> None:
    log, shown, arm = exposed(0.5, 3)
    (found,) = check_guardrail(EXPOSURE, log, 1, shown, 1.96)
    assert found.verdict == "harmed"
    low = shown.offer >= 15
    for number, value in ((0, found.control), (1, found.treatment)):
        assert value == pytest.approx(low[arm[shown.member_row] == number].mean())


@pytest.mark.parametrize("share", [0.5, 0.1])
def test_arms_alike_do_not_harm_whatever_their_size(share: float) -> None:
    harms = []
    for seed in range(20):
        log, shown, _ = exposed(0.0, seed, share)
        (found,) = check_guardrail(EXPOSURE, log, 1, shown, 1.96)
        assert found.harm is not None and found.low is not None
        harms.append(found.harm / (found.harm - found.low) * 1.96)
    # Means of twenty standard scores: the least shown of both together favour neither arm.
    assert abs(np.mean(harms)) < 4 / math.sqrt(20)
    assert np.std(harms) < 2


@pytest.mark.parametrize(("better", "sign"), [("up", -1), ("down", 1)])
def test_mean_and_where_its_interval_lies(better: str, sign: int) -> None:
    arm, chance = alternating(2_000), np.random.default_rng(4)
    noise = chance.normal(0, 1, 2_000)
    log = log_of(make(), arm, noise, numbers={"posts": noise + sign * 0.3 * arm})

    def verdict(tolerance: float, reach: float = 1.96) -> str:
        rule = Guardrail("mean", "posts", tolerance, better=better)
        (found,) = check_guardrail(rule, log, 1, None, reach)
        assert found.harm == pytest.approx(0.3, abs=0.15)
        return found.verdict

    assert [verdict(t) for t in (0.05, 0.3, 0.6)] == ["harmed", "undecided", "kept"]
    assert verdict(0.0, math.inf) == "undecided"


def test_too_little_decides_nothing() -> None:
    arm = np.array([0, 0, 0, 0, 1], dtype=np.int64)
    values = np.arange(5.0)
    log = log_of(make(), arm, values, numbers={"posts": values, "replies": values})
    for rule in (Guardrail("mean", "posts", 0.1, better="up"), Guardrail("gini", "replies", 0.1)):
        (found,) = check_guardrail(rule, log, 1, None, 1.96)
        assert (found.treatment, found.harm, found.verdict) == (None, None, "undecided")
        assert found.control is not None
    shown = Exposures(np.array([0, 1]), np.array([0, 1]), ["a", "b"])
    (found,) = check_guardrail(EXPOSURE, log, 1, shown, 1.96)
    assert found.treatment is None and found.verdict == "undecided"
    with pytest.raises(ValueError, match="without exposures"):
        check_guardrail(EXPOSURE, log, 1, None, 1.96)
