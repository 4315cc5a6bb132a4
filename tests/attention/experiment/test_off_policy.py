"""A policy judged by another's log.

off-policy
├── the log's own policy: IPS, SNIPS and DR are the log's mean, its error the mean's
├── IPS and SNIPS by hand on four rows; DR by hand with the fitted model
├── a world whose truth is known: all three hold it, intervals cover as often as they say
├── DR's error is less where the model knows something; a row's own reward is not in its model
├── clipping: weights end there, the stated bias is the estimate less the unclipped one
├── effective rows; actions never seen are said; few rows are said
├── nothing is concluded where the weights' mean is not 1, nor where one row decides everything
├── true propensities are not doubted, whatever a log of few rows happens to lack
├── the same seed gives the same
├── one row that weighs more than all should: said, and all numbers stay finite
├── refused, row named: a propensity hardly ever shown, of 0, negative, above 1, NaN
├── refused, line named: probabilities not adding up, twice, negative
├── refused: a context the policy does not know; nothing in common; one row; clip and bootstrap out of range
└── several context columns; actions the policy alone knows
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.attention.experiment.builders import write_csv
from timebank_chain.attention.experiment.off_policy import (
    LEAST_EFFECTIVE,
    LoggedRows,
    OffPolicyResult,
    evaluate,
    reward_model,
)
from timebank_chain.attention.experiment.off_policy_log import LogColumns, read_logged_rows
from timebank_chain.errors import AttentionError, CheckFailed, UsageError

CONTEXTS, ACTIONS = 3, 5
CHANCE = np.linspace(0.05, 0.8, CONTEXTS * ACTIONS).reshape(CONTEXTS, ACTIONS)[:, ::-1]


def policies(seed: int) -> tuple[np.ndarray, np.ndarray]:
    chance = np.random.default_rng(seed)
    return chance.dirichlet(np.full(ACTIONS, 5.0), CONTEXTS), chance.dirichlet(
        np.full(ACTIONS, 2.0), CONTEXTS
    )


def draw(logging: np.ndarray, target: np.ndarray, rows: int, seed: int) -> LoggedRows:
    """Draw a log of the logging policy in a world of known chances."""
    chance = np.random.default_rng(seed)
    context = chance.integers(0, CONTEXTS, rows)
    action = (
        (logging.cumsum(axis=1)[context] < chance.random(rows)[:, None]).sum(axis=1).clip(max=ACTIONS - 1)
    )
    return LoggedRows(
        reward=(chance.random(rows) < CHANCE[context, action]).astype(float),
        propensity=logging[context, action],
        action=action,
        context=context,
        target=target,
        features=np.arange(CONTEXTS)[:, None],
    )


def named(found: OffPolicyResult) -> dict[str, object]:
    return {one.name: one for one in found.estimates}


def test_own_policy_is_the_logs_mean() -> None:
    logging, _ = policies(1)
    log = draw(logging, logging, 500, 1)
    found = evaluate(log, bootstrap=200)
    assert found.effective_rows == pytest.approx(500)
    assert (found.mean_weight, found.warnings) == (pytest.approx(1.0), ())
    for one in found.estimates[:2]:
        assert one.value == pytest.approx(log.reward.mean())
        assert one.error == pytest.approx(found.logged_error)
        assert one.bootstrap_low < one.value < one.bootstrap_high
    assert found.estimates[2].value == pytest.approx(log.reward.mean(), abs=0.01)


def test_by_hand() -> None:
    log = LoggedRows(
        reward=np.array([1.0, 0.0, 4.0, 2.0]),
        propensity=np.array([0.5, 0.5, 0.25, 0.25]),
        action=np.array([0, 0, 1, 1]),
        context=np.zeros(4, dtype=np.int64),
        target=np.array([[0.25, 0.75]]),
        features=np.zeros((1, 0), dtype=np.int64),
    )
    ips, snips, dr = evaluate(log, bootstrap=10).estimates
    assert ips.value == pytest.approx((0.5 * 1 + 0 + 3 * 4 + 3 * 2) / 4)
    assert snips.value == pytest.approx(18.5 / 7)
    logged, expected = reward_model(log)
    assert dr.value == pytest.approx(np.mean(expected + [0.5, 0.5, 3.0, 3.0] * (log.reward - logged)))


@pytest.mark.parametrize("seed", range(3))
def test_known_truth_is_held(seed: int) -> None:
    logging, target = policies(seed)
    truth = float((target * CHANCE).sum(axis=1).mean())
    found = evaluate(draw(logging, target, 20_000, seed), level=0.001, bootstrap=200)
    for one in found.estimates:
        assert one.low < truth < one.high, one
        assert one.error < 0.05
        # Both intervals tell of the same error.
        assert one.bootstrap_high - one.bootstrap_low == pytest.approx(one.high - one.low, rel=0.35)


def test_intervals_cover_as_often_as_they_say() -> None:
    logging, target = policies(5)
    truth = float((target * CHANCE).sum(axis=1).mean())
    held = np.zeros((3, 2))
    times = 200
    for seed in range(times):
        for place, one in enumerate(evaluate(draw(logging, target, 400, seed), bootstrap=100).estimates):
            held[place] += (one.low < truth < one.high, one.bootstrap_low < truth < one.bootstrap_high)
    # Nine in ten is three standard errors below 0.95 less what a hundred bootstrap samples lose.
    assert (held / times > 0.88).all(), held / times
    assert (held / times < 1.0).all(), held / times


def test_model_helps_and_has_not_seen_the_row() -> None:
    logging, target = policies(6)
    log = draw(logging, target, 20_000, 6)
    ips, _, dr = evaluate(log, bootstrap=10).estimates
    assert dr.error < 0.9 * ips.error
    logged, _ = reward_model(log)
    assert np.corrcoef(logged, CHANCE[log.context, log.action])[0, 1] > 0.9
    # Rewards of pure noise: a model that had seen a row would lean to its reward.
    chance = np.random.default_rng(7)
    noise = replace(log, reward=chance.standard_normal(20_000))
    assert abs(np.corrcoef(reward_model(noise)[0], noise.reward)[0, 1]) < 0.03


@settings(max_examples=20, deadline=None)
@given(st.floats(0.05, 20), st.integers(0, 50))
def test_clipping_says_its_bias(clip: float, seed: int) -> None:
    logging, target = policies(seed)
    log = draw(logging, target, 300, seed)
    free, cut = evaluate(log, bootstrap=10), evaluate(log, bootstrap=10, clip=clip)
    assert cut.clipped_rows == int((log.weights() > clip).sum())
    for one, other in zip(free.estimates, cut.estimates, strict=True):
        assert one.clip_bias == 0
        assert other.value - one.value == pytest.approx(other.clip_bias, abs=1e-9)
    assert cut.estimates[0].value <= free.estimates[0].value + 1e-12
    assert any("are cut to" in warning for warning in cut.warnings) == (cut.clipped_rows > 0)


def test_what_a_reader_must_know_is_said() -> None:
    logging, target = policies(8)
    log = draw(logging, target, 2_000, 8)
    weight = log.weights()
    found = evaluate(log, bootstrap=10)
    assert found.effective_rows == pytest.approx(weight.sum() ** 2 / (weight**2).sum())
    assert found.warnings == ()
    wider = np.concatenate([target * 0.8, np.full((CONTEXTS, 1), 0.2)], axis=1)
    blind = evaluate(replace(log, target=wider), bootstrap=10)
    assert blind.unseen_mass == pytest.approx(0.2)
    assert any("20.00% of what the target shows is never seen" in warning for warning in blind.warnings)
    few = evaluate(draw(logging, target, 50, 8), bootstrap=10)
    assert "rows' worth of evidence" in few.warnings[0]


@pytest.mark.parametrize("factor", [0.7, 1.3])
def test_nothing_is_concluded_from_other_propensities(factor: float) -> None:
    logging, target = policies(8)
    log = draw(logging, target, 4_000, 8)
    wrong = replace(log, propensity=np.minimum(log.propensity * factor, 1.0))
    for clip in (None, 5.0):
        with pytest.raises(CheckFailed, match=r"the weights' mean is .* nothing is concluded") as error:
            evaluate(wrong, bootstrap=10, clip=clip)
        assert error.value.hint


def test_nothing_is_concluded_from_one_row() -> None:
    logging, target = policies(3)
    log = draw(logging, target, 4_000, 3)
    log.propensity[11], log.reward[11] = 1e-9, 1.0
    with pytest.raises(CheckFailed, match="the effective sample size is 1 of 4,000 rows: one row"):
        evaluate(log, bootstrap=10)
    # Cut, it is one row among others.
    assert evaluate(log, bootstrap=10, clip=20.0).effective_rows > 100


@pytest.mark.parametrize("rows", [2, 20, 300])
def test_true_propensities_are_not_doubted(rows: int) -> None:
    # The rare action is all but never shown, and a log without it has weights that are all alike.
    logging, target = (np.array([[part, 1 - part]] * CONTEXTS) for part in (0.99, 0.95))
    for seed in range(40):
        context = np.random.default_rng(seed).integers(0, CONTEXTS, rows)
        action = (np.random.default_rng(seed + 1_000).random(rows) > 0.99).astype(np.int64)
        log = LoggedRows(
            reward=np.arange(rows) % 2.0,
            propensity=logging[context, action],
            action=action,
            context=context,
            target=target,
            features=np.arange(CONTEXTS)[:, None],
        )
        evaluate(log, bootstrap=10)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 50), st.integers(1, 9), st.sampled_from([None, 20.0]))
def test_row_of_enormous_weight_is_told_of(seed: int, digits: int, clip: float | None) -> None:
    logging, target = policies(seed)
    log = draw(logging, target, 300, seed)
    log.propensity[11] = 10.0**-digits
    used = log.weights() if clip is None else np.minimum(log.weights(), clip)
    if used.sum() ** 2 / (used**2).sum() < LEAST_EFFECTIVE:
        with pytest.raises(CheckFailed, match="decides everything"):
            evaluate(log, bootstrap=10, clip=clip)
        return
    found = evaluate(log, bootstrap=10, clip=clip)
    assert 1 <= found.effective_rows <= 300
    for one in found.estimates:
        assert all(map(math.isfinite, (one.value, one.error, one.low, one.high, one.clip_bias)))
    told = any("more than all 300 should together" in warning for warning in found.warnings)
    assert told == (log.weights().max() > 300 and clip is None)


def test_propensity_no_log_would_show_is_refused() -> None:
    logging, target = policies(3)
    log = draw(logging, target, 300, 3)
    for tiny in (1e-300, 5e-324, 0.9e-6 / 300 / ACTIONS):
        log.propensity[11] = tiny
        with pytest.raises(AttentionError, match="300 rows has less than one chance in a million") as error:
            evaluate(log)
        assert error.value.where == "row 11"
    log.propensity[11] = 1.1e-6 / 300 / ACTIONS
    log.reward[11] = 1.0
    with pytest.raises(CheckFailed, match="decides everything"):
        evaluate(log, bootstrap=10)
    with pytest.raises(AttentionError, match="cannot be summed"):
        evaluate(replace(log, reward=np.full(300, 1e200)))


def test_same_seed_same_numbers() -> None:
    logging, target = policies(9)
    log = draw(logging, target, 300, 9)
    assert evaluate(log, bootstrap=50, seed=4) == evaluate(log, bootstrap=50, seed=4)
    assert evaluate(log, bootstrap=50, seed=4) != evaluate(log, bootstrap=50, seed=5)


@pytest.mark.parametrize("bad", [0.0, -0.1, 1.1, math.nan])
def test_wrong_propensity_in_memory_is_refused(bad: float) -> None:
    logging, target = policies(10)
    log = draw(logging, target, 20, 10)
    log.propensity[7] = bad
    with pytest.raises(AttentionError, match=r"not in \(0, 1\]") as error:
        evaluate(log)
    assert error.value.where == "row 7"


def test_arguments_out_of_range_and_empty_evidence_are_refused() -> None:
    logging, target = policies(11)
    log = draw(logging, target, 20, 11)
    for clip in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(UsageError, match="cannot be clipped"):
            evaluate(log, clip=clip)
    for samples in (0, 1_000_000):
        with pytest.raises(UsageError, match="bootstrap samples"):
            evaluate(log, bootstrap=samples)
    elsewhere = np.zeros((CONTEXTS, ACTIONS + 1))
    elsewhere[:, -1] = 1
    with pytest.raises(AttentionError, match="no probability to anything"):
        evaluate(replace(log, target=elsewhere))
    one = draw(logging, target, 1, 12)
    with pytest.raises(AttentionError, match="one row"):
        evaluate(one)


LOG = ("action,propensity,reward,place,hour", "a,0.5,1,top,1", "b,0.25,0,top,2")
POLICY = ("place,action,probability", "top,a,0.7", "top,c,0.3")
PLACE = LogColumns(context=("place",))


def test_files_are_joined(tmp_path: Path) -> None:
    log, policy = write_csv(tmp_path / "log.csv", *LOG), write_csv(tmp_path / "policy.csv", *POLICY)
    rows = read_logged_rows(log, policy, PLACE)
    assert rows.weights().tolist() == pytest.approx([1.4, 0.0])
    assert rows.target.shape == (1, 3)
    assert rows.unseen_mass() == pytest.approx(0.3)
    two = write_csv(
        tmp_path / "two.csv", "hour,place,action,probability", "1,top,a,1", "2,top,b,0.999999", "2,low,b,1"
    )
    rows = read_logged_rows(log, two, LogColumns(context=("place", "hour")))
    assert rows.weights().tolist() == pytest.approx([2.0, 4.0])
    assert rows.features.tolist() == [[0, 0], [0, 1], [1, 1]]
    everywhere = write_csv(tmp_path / "all.csv", "action,probability", "a,0.5", "b,0.5")
    assert read_logged_rows(log, everywhere, LogColumns()).weights().tolist() == pytest.approx([1.0, 2.0])


@pytest.mark.parametrize(
    ("row", "words", "field"),
    [
        ("a,0,1,top,1", r"propensity 0 is not in \(0, 1\]", "propensity"),
        ("a,0.0,1,top,1", "not in", "propensity"),
        ("a,-0.1,1,top,1", "not in", "propensity"),
        ("a,1.01,1,top,1", "not in", "propensity"),
        ("a,nan,1,top,1", "no finite number", "propensity"),
        ("a,,1,top,1", "empty", "propensity"),
        ("a,1e-300,1,top,1", "propensity 1e-300: a log of 3 rows has less than one chance", "propensity"),
        ("a,0.5,inf,top,1", "no finite number", "reward"),
        (",0.5,1,top,1", "empty", "action"),
        ("a,0.5,1,side,1", "says nothing of context side", "place"),
    ],
)
def test_wrong_row_of_the_log_is_named(tmp_path: Path, row: str, words: str, field: str) -> None:
    log = write_csv(tmp_path / "log.csv", *LOG, row)
    with pytest.raises(AttentionError, match=words) as error:
        read_logged_rows(log, write_csv(tmp_path / "policy.csv", *POLICY), PLACE)
    assert error.value.where == f"{log}:4, field {field!r}"


@pytest.mark.parametrize(
    ("rows", "words", "line"),
    [
        (("top,a,0.7", "top,b,0.2"), "context top add up to 0.9, not 1", 2),
        (("top,a,0.5", "top,a,0.5"), "stands twice", 2),
        (("top,a,1.2", "top,b,-0.2"), r"1.2 is not in \[0, 1\]", 2),
        (("top,a,1", "low,b,nan"), "no finite number", 3),
    ],
)
def test_wrong_policy_is_named(tmp_path: Path, rows: tuple[str, ...], words: str, line: int) -> None:
    policy = write_csv(tmp_path / "policy.csv", POLICY[0], *rows)
    with pytest.raises(AttentionError, match=words) as error:
        read_logged_rows(write_csv(tmp_path / "log.csv", *LOG), policy, PLACE)
    assert f"{policy}:{line}" in str(error.value.where)


def test_missing_column_is_named(tmp_path: Path) -> None:
    log, policy = write_csv(tmp_path / "log.csv", *LOG), write_csv(tmp_path / "policy.csv", *POLICY)
    with pytest.raises(AttentionError, match="column 'click' is missing"):
        read_logged_rows(log, policy, LogColumns(reward="click", context=("place",)))
    with pytest.raises(AttentionError, match="column 'hour' is missing"):
        read_logged_rows(log, policy, LogColumns(context=("hour",)))
