"""Judging in order of time.

score
├── agrees with scikit-learn and scipy
├── a constant prediction ranks nothing: 0, not undefined
└── targets all alike: R2 and Spearman are undefined, the error is not
folds
├── nothing is learned from a row whose target was not known before the block began
├── without windows they are TimeSeriesSplit's own, but for rows of the block's very first moment
├── a block with too few rows to learn from is passed over
└── random folds mix past and future
choice
├── in a block, the settings that did best before it; its own rows have no say
└── before the first block, those that did best inside its training rows
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import mean_squared_error, r2_score
from sklearn.model_selection import TimeSeriesSplit

from tests.attention.model.communities import DAY_MS, community
from timebank_chain.attention.model.evidence import (
    MIN_TRAINING,
    Fold,
    Validation,
    mean_score,
    random_folds,
    rows_of,
    score,
    time_folds,
    validate,
)
from timebank_chain.attention.model.frozen import MEAN, RIDGE
from timebank_chain.attention.model.recipes import BASELINE_RECIPES, RECIPES, Recipe


def test_score_agrees_with_others() -> None:
    chance = np.random.default_rng(0)
    true = chance.normal(size=50).round(1)
    found = true + chance.normal(size=50)
    one = score(true, found)
    assert one.mse == pytest.approx(mean_squared_error(true, found))
    assert one.r2 == pytest.approx(r2_score(true, found))
    assert one.spearman == pytest.approx(spearmanr(true, found).statistic)


def test_score_without_ranks() -> None:
    flat = score(np.array([1.0, 2.0, 3.0]), np.full(3, 2.0))
    assert (flat.r2, flat.spearman) == (0.0, 0.0)
    same = score(np.full(3, 2.0), np.array([1.0, 2.0, 3.0]))
    assert (same.r2, same.spearman) == (None, None)
    assert same.mse == pytest.approx(2 / 3)
    assert mean_score([flat, same]).r2 == 0.0


@given(window_days=st.integers(0, 20), splits=st.integers(2, 8), ties=st.booleans())
def test_nothing_unknown_is_learned_from(window_days: int, splits: int, ties: bool) -> None:
    data = community(400)
    times = data.time_ms // DAY_MS * DAY_MS if ties else data.time_ms
    data = replace(data, time_ms=times, known_ms=times + window_days * DAY_MS)
    folds = time_folds(data, splits)
    for fold in folds:
        begins = data.time_ms[fold.test].min()
        assert (data.known_ms[fold.train] < begins).all()
        assert len(fold.train) >= MIN_TRAINING
        assert len(fold.train) + fold.left_out == fold.test[0]
    if window_days == 0 and not ties:
        expected = [(a, b) for a, b in TimeSeriesSplit(splits).split(data.values) if len(a) >= MIN_TRAINING]
        assert len(folds) == len(expected)
        for fold, (train, test) in zip(folds, expected, strict=True):
            assert fold.train.tolist() == train.tolist()
            assert fold.test.tolist() == test.tolist()


def test_random_folds_mix_past_and_future() -> None:
    folds = random_folds(community(200), 4, seed=1)
    assert sorted(np.concatenate([fold.test for fold in folds]).tolist()) == list(range(200))
    assert all(fold.train.max() > fold.test.min() for fold in folds)


def made(errors: dict[Recipe, list[float]], warm_up: dict[Recipe, float]) -> Validation:
    """Blocks of two rows whose target is 0: a recipe's error in each is what it predicts."""
    blocks = len(next(iter(errors.values())))
    fold = Fold(np.arange(2), np.arange(2), 0)
    return Validation(
        (fold,) * blocks,
        {one: tuple(np.full(2, error) for error in each) for one, each in errors.items()},
        (np.zeros(2),) * blocks,
        warm_up,
    )


def test_choice_is_made_before_the_block() -> None:
    first, second = RECIPES[0], RECIPES[1]
    found = made({first: [1.0, 9.0, 1.0], second: [2.0, 1.0, 8.0]}, {first: 0.0, second: 0.0})
    assert [one.mse for one in found.followed([RIDGE])] == [1.0, 81.0, 64.0]
    assert found.best() == second
    warm = made({first: [1.0, 9.0, 1.0], second: [2.0, 1.0, 8.0]}, {first: 5.0, second: 0.0})
    assert warm.followed()[0].mse == 4.0


@given(st.lists(st.lists(st.floats(0, 10), min_size=4, max_size=4), min_size=2, max_size=4), st.floats(0, 10))
def test_a_blocks_own_rows_have_no_say(errors: list[list[float]], other: float) -> None:
    recipes = dict(zip(RECIPES, errors, strict=False))
    quiet = dict.fromkeys(recipes, 0.0)
    chosen = made(recipes, quiet).best(before=3)
    changed = {one: [*each[:3], other] for one, each in recipes.items()}
    assert made(changed, quiet).best(before=3) == chosen


def test_validation_of_real_signal() -> None:
    data = community(900)
    told: list[str] = []
    recipes = (RECIPES[0], RECIPES[3], *BASELINE_RECIPES)
    found = validate(data, recipes, time_folds(data, 3), seed=0, progress=told.append)
    table = rows_of(found)
    assert list(table) == ["mean", "recent", "seasonal", "ridge", "boosting", "chosen"]
    # Of the variance, 0.36 + 0.25 * 2/9 is signal and 0.64 noise.
    assert 0.25 < (mean_score(table["chosen"]).r2 or 0) < 0.55
    assert (mean_score(table["mean"]).r2 or 0) <= 0
    assert len(told) == len(recipes)
    assert found.best().family != MEAN
    assert set(found.warm_up.values()) != {0.0}
