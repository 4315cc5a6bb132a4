"""From data to a model.

model
├── the same data and seed: the same file, byte for byte; another seed: another
├── learns a signal, and says that it beats the baselines on later rows
├── pure noise: nothing better than a mean comes out, and a kept baseline is called one
├── intervals hold about their share of later rows
├── an anchored one says that it ages
└── only the families asked for are tried
blocks
├── nothing the rehearsal is measured on was chosen, fitted or calibrated on
└── rows whose window was open at a boundary are in no block before it
random split
└── only when asked for, and marked as no evidence
refused
├── too few rows, or too few known before the last blocks
├── all times equal; no row whose target is known
└── a plan that is none
later
├── evaluation leaves out every row the model may have seen
├── without later rows there is none
├── words in another order mean the same; unseen ones are counted
├── ages in days tell no time in another table
└── data of another kind are refused
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.attention.model.communities import DAY_MS, HOUR_MS, community
from timebank_chain.attention.model import Task, card_markdown, training, verdict
from timebank_chain.attention.model.dataset import CATEGORICAL, Dataset, Feature
from timebank_chain.attention.model.file import encode_model
from timebank_chain.attention.model.frozen import BASELINES, NETWORK, RIDGE
from timebank_chain.attention.model.recipes import RECIPES
from timebank_chain.attention.model.training import Plan, train
from timebank_chain.errors import AttentionError, UsageError

QUICK = Plan(families=(RIDGE,), splits=3)


def test_equal_times_are_told() -> None:
    data = community(300)
    same = np.full_like(data.time_ms, data.time_ms[0])
    with pytest.raises(AttentionError, match=r"all 300 times are equal \(2024-01-01T00:00:00Z\)"):
        train(replace(data, time_ms=same, known_ms=same + DAY_MS), QUICK)


def test_no_known_target_is_told() -> None:
    data = community(300)
    with pytest.raises(AttentionError, match="none of the 300 rows has a known target"):
        train(replace(data, target=np.full(300, np.nan)), QUICK)


def later_than(data: Dataset, rows: int, seed: int) -> Dataset:
    """Rows of the same community, after all of ``data``."""
    more = community(rows, seed=seed)
    shift = data.time_ms[-1] - more.time_ms[0] + 3 * HOUR_MS
    return replace(more, time_ms=more.time_ms + shift, known_ms=more.known_ms + shift)


def test_same_seed_same_file() -> None:
    data = community(300)
    plan = Plan(splits=2, families=(NETWORK,))
    first, second = (encode_model(train(data, plan)) for _ in range(2))
    assert first == second
    assert encode_model(train(data, replace(plan, seed=1))) != first
    assert encode_model(train(community(300, seed=1), plan)) != first


def test_signal_is_learned() -> None:
    model = train(community(600), QUICK)
    assert model.recipe.family == RIDGE
    assert set(model.card["time_ordered"]["families"]) == {*BASELINES, RIDGE, "chosen"}
    assert model.card["rehearsal"]["beats_baselines"] is True
    assert model.card["rehearsal"]["model"]["r2"] > 0.1
    assert "below that of the best baseline" in verdict(model.card)
    assert 0.8 <= model.card["rehearsal"]["intervals"]["inside"] <= 1.0


@pytest.mark.parametrize("seed", range(4))
def test_noise_is_not_sold_as_a_model(seed: int) -> None:
    model = train(community(400, seed=seed, signal=0.0), Plan(families=(RIDGE, "boosting"), splits=3))
    kept = model.recipe.family in BASELINES
    assert model.card["model"]["is_baseline"] is kept
    # On 60 rows a useless model may come out a little ahead by chance, not more.
    assert model.card["rehearsal"]["model"]["r2"] < 0.1
    if kept:
        assert "that is what was kept" in verdict(model.card)


def test_intervals_hold_on_later_rows() -> None:
    data = community(800)
    model = train(data, QUICK)
    found = model.evaluate(later_than(data, 1_000, 7))
    # 120 rows calibrate: a share of 90 % then varies by about 2.7 points; four of those.
    assert abs(found.inside - 0.9) < 0.11
    assert found.left_out == 0
    assert found.beats_baselines


def test_blocks_do_not_touch(monkeypatch: pytest.MonkeyPatch) -> None:
    data = community(500)
    data = replace(data, known_ms=data.time_ms + 5 * DAY_MS)
    fitted: list[tuple[int, int]] = []
    plain = training.fit

    def spy(recipe: object, rows: Dataset, *, seed: int) -> object:
        fitted.append((int(rows.known_ms.max()), len(rows)))
        return plain(recipe, rows, seed=seed)  # type: ignore[arg-type]  # handed on as it came

    # What a fit is given is seen nowhere else.
    monkeypatch.setattr(training, "fit", spy)
    card = train(data, QUICK).card
    judge_begins = int(data.time_ms[int(500 * 0.85)])
    calibrate_begins = int(data.time_ms[int(500 * 0.7)])
    (rehearsal_known, rehearsal_rows), *_ = fitted
    assert rehearsal_known < calibrate_begins
    assert max(known for known, _ in fitted) < judge_begins
    assert card["blocks"]["choose"]["rows"] == rehearsal_rows == 350 - 40
    assert card["blocks"]["calibrate"]["rows"] == 75 - 40
    assert card["blocks"]["judge"]["rows"] == 75
    assert card["folds"][0]["left_out_window_open"] == 40


def test_random_split_is_no_evidence() -> None:
    data = community(300)
    assert "random_split" not in train(data, QUICK).card
    model = train(data, replace(QUICK, random_split=True))
    assert model.card["random_split"]["evidence"] is False
    assert "## Random split: not evidence" in card_markdown(model.card)


def test_card_tells_what_a_reader_needs() -> None:
    data = community(300)
    model = train(replace(data, notes=("one thing was mended",), limits=("of one town only",)), QUICK)
    page = card_markdown(model.card)
    for words in (
        model.learned.digest,
        "one thing was mended",
        "of one town only",
        "counted for 1d",
        "| recent |",
        "`skill`",
        "no credit may depend on it",
        "Intervals meant to hold 90%",
    ):
        assert words in page


def test_anchored_model_says_that_it_ages(monkeypatch: pytest.MonkeyPatch) -> None:
    anchored = next(one for one in RECIPES if "anchored" in dict(one.settings))
    # Only what is tried is changed: which recipe wins is chance otherwise.
    monkeypatch.setattr(training, "RECIPES", (anchored,))
    model = train(community(400), QUICK)
    assert model.recipe == anchored
    assert any("train it anew as time goes on" in limit for limit in model.card["limits"])
    assert not any("train it anew" in limit for limit in MODEL.card["limits"])


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(AttentionError, match="at least 100 are needed"):
        train(community(60), QUICK)
    data = community(150)
    with pytest.raises(AttentionError, match="too few for 3 blocks of time"):
        train(replace(data, known_ms=data.time_ms + 12 * DAY_MS), QUICK)
    with pytest.raises(AttentionError, match="0 rows to choose on"):
        train(replace(data, known_ms=data.time_ms + 16 * DAY_MS), QUICK)
    with pytest.raises(AttentionError, match="rows to calibrate an interval of 99%"):
        train(community(400), replace(QUICK, coverage=0.99))


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ({"families": ("forest",)}, "no such family of models: forest"),
        ({"families": ()}, "no such family"),
        ({"splits": 1}, "1 blocks of time"),
        ({"seed": -1}, "a seed of -1"),
    ],
)
def test_bad_plans_are_refused(plan: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Plan(**plan)  # type: ignore[arg-type]  # wrong on purpose


MODEL = train(community(300), QUICK)


def test_only_later_rows_judge() -> None:
    data = community(300)
    later = later_than(data, 50, 3)
    both = replace(
        later,
        ids=(*data.ids, *later.ids),
        time_ms=np.concatenate([data.time_ms, later.time_ms]),
        known_ms=np.concatenate([data.known_ms, later.known_ms]),
        target=np.concatenate([data.target, later.target]),
        values=np.concatenate([data.values, later.values]),
    )
    found = MODEL.evaluate(both)
    assert (found.rows, found.left_out) == (50, 300)
    assert found.model == MODEL.evaluate(later).model
    with pytest.raises(AttentionError, match="0 rows with a target are later"):
        MODEL.evaluate(data)


def test_ages_tell_no_later_time() -> None:
    task = Task(time="age", target="votes", time_kind="age_days").to_json()
    aged = replace(MODEL, task={"kind": "table", "task": task})
    with pytest.raises(AttentionError, match="ages in days"):
        aged.evaluate(later_than(community(300), 50, 3))


def test_words_in_another_order_mean_the_same() -> None:
    data = community(100, seed=4)
    words = ("talk", "code", "opera", "art")
    code = np.array([3.0, 1.0, 0.0])[data.values[:, 2].astype(int)]
    other = replace(
        data,
        features=(Feature("topic", CATEGORICAL, words), data.features[0], data.features[1]),
        values=np.column_stack([code, data.values[:, 0], data.values[:, 1]]),
    )
    first, second = MODEL.predict(data), MODEL.predict(other)
    assert (first.expected == second.expected).all()
    assert (first.unknown_words, second.unknown_words) == (0, 0)
    assert ((first.lower <= first.expected) & (first.expected <= first.upper)).all()
    assert (first.lower >= 0).all()
    opera = replace(other, values=np.column_stack([np.full(100, 2.0), *other.values[:, 1:].T]))
    assert MODEL.predict(opera).unknown_words == 100


def test_other_data_are_refused() -> None:
    with pytest.raises(AttentionError, match="lack the numeric feature 'skill'"):
        MODEL.predict(community(10).without(["skill"]))


def test_infinite_cells_predict_as_missing() -> None:
    values = community(2).values.copy()
    values[0, 0], values[1, 0] = np.inf, np.nan
    values[:, 1:] = values[0, 1:]
    first, second = MODEL.predict(replace(community(2), values=values)).expected
    assert first == second
