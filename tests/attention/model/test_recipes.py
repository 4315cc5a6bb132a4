"""Fitting, and the arrays that are left of it.

frozen
├── each family's arrays predict what a pipeline of scikit-learn's, built here, predicts on other rows,
│   with numbers missing and words rare or never seen
├── an anchored model starts from the newest level that was known
└── arrays that do not predict what the library does are not handed out
baselines
├── mean, last week's mean
└── mean by hour of the week, by weekday where there are no hours; an empty slot has the mean
reproducible
├── the same rows and seed: the same arrays
└── another seed: another network
check
├── every honest model passes
└── trees that lead back or outside, numbers that are none, wrong shapes, unknown kinds: refused
"""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from tests.attention.model.communities import DAY_MS, HOUR_MS, MONDAY_MS, community
from timebank_chain.attention.model import recipes
from timebank_chain.attention.model.dataset import MISSING_CODE, UNKNOWN_CODE, Dataset, Floats
from timebank_chain.attention.model.frozen import (
    BOOSTING,
    FAMILIES,
    MEAN,
    NETWORK,
    RECENT,
    RIDGE,
    SEASONAL,
    BadArrays,
    Frozen,
    check,
)
from timebank_chain.attention.model.recipes import BASELINE_RECIPES, NETWORKS, RECIPES, Recipe, fit
from timebank_chain.errors import TimebankError

FIRST = {family: next(one for one in RECIPES if one.family == family) for family in FAMILIES}


def rows_with_everything(rows: int = 300) -> Dataset:
    """Rows where ``talk`` is rare (one column with others), and some topics are missing."""
    data = community(rows)
    values = data.values.copy()
    values[values[:, 2] == 2, 2] = 0
    values[:4, 2] = 2
    values[20:40, 2] = MISSING_CODE
    return replace(data, values=values)


def others() -> Floats:
    values = community(80, seed=9).values.copy()
    values[:10, 2] = UNKNOWN_CODE
    values[10:20, 2] = MISSING_CODE
    values[5:15, 0] = np.nan
    values[16, 0] = 40.0  # far outside
    return values


def pipeline(model: object, *, scaled: bool) -> object:
    """The same encoding in scikit-learn's own terms; ``skill`` is cut like ours by never reaching the cut."""
    numbers = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    words = OneHotEncoder(
        handle_unknown="infrequent_if_exist", min_frequency=10, max_categories=40, sparse_output=False
    )
    parts = make_column_transformer((numbers if scaled else "passthrough", [0, 1]), (words, [2]))
    return make_pipeline(parts, model)


@pytest.mark.parametrize("number", range(3))
def test_ridge_predicts_as_scikit_learn(number: int) -> None:
    data = rows_with_everything()
    recipe = [one for one in RECIPES if one.family == RIDGE][number]
    theirs = pipeline(Ridge(alpha=dict(recipe.settings)["alpha"]), scaled=True)
    theirs.fit(data.values, data.target)  # type: ignore[attr-defined]  # sklearn has no types here
    values = others()
    values[16, 0] = 1.0
    np.testing.assert_allclose(
        fit(recipe, data, seed=0).predict(values, data.time_ms[:80]),
        theirs.predict(values),  # type: ignore[attr-defined]  # sklearn has no types here
        atol=1e-9,
    )


def test_boosting_predicts_as_scikit_learn() -> None:
    data = rows_with_everything()
    theirs = pipeline(
        HistGradientBoostingRegressor(
            max_iter=100,
            learning_rate=0.05,
            max_leaf_nodes=8,
            min_samples_leaf=20,
            l2_regularization=1,
            early_stopping=False,
        ),
        scaled=False,
    )
    theirs.fit(data.values, data.target)  # type: ignore[attr-defined]  # sklearn has no types here
    np.testing.assert_allclose(
        fit(FIRST[BOOSTING], data, seed=0).predict(others(), data.time_ms[:80]),
        theirs.predict(others()),  # type: ignore[attr-defined]  # sklearn has no types here
        atol=1e-9,
    )


def test_network_predicts_as_scikit_learn() -> None:
    data = rows_with_everything()
    centre, spread = data.target.mean(), data.target.std()
    values = others()
    values[16, 0] = 1.0
    total = np.zeros(80)
    for number in range(NETWORKS):
        theirs = pipeline(
            MLPRegressor(hidden_layer_sizes=(16,), alpha=3, max_iter=40, batch_size=64, random_state=number),
            scaled=True,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # few passes are meant
            theirs.fit(data.values, (data.target - centre) / spread)  # type: ignore[attr-defined]  # no types
        total += theirs.predict(values)  # type: ignore[attr-defined]  # no types
    np.testing.assert_allclose(
        fit(FIRST[NETWORK], data, seed=0).predict(values, data.time_ms[:80]),
        total / NETWORKS * spread + centre,
        atol=1e-8,
    )


def test_wild_cell_does_not_carry_a_prediction_away() -> None:
    data = rows_with_everything()
    model = fit(FIRST[RIDGE], data, seed=0)
    values = data.values[:2].copy()
    values[1] = values[0]
    values[:, 0] = [6.0 * np.nanstd(data.values[:, 0]), 1e9]
    first, second = model.predict(values, data.time_ms[:2])
    assert first == second


def test_words_and_columns_a_block_never_had() -> None:
    """In an early block a column may be all missing, and every word rare."""
    data = community(120)
    values = data.values.copy()
    values[:, 1] = np.nan
    values[:, 2] = np.arange(120) % 3
    data = replace(data, values=values).take(np.arange(20))
    for recipe in FIRST.values():
        assert np.isfinite(fit(recipe, data, seed=0).predict(others(), np.zeros(80, dtype=np.int64))).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_anchored_models_start_from_the_newest_level(family: str) -> None:
    data = community(300)
    step = np.where(np.arange(300) < 150, 0.0, 5.0)
    data = replace(data, target=data.target + step)
    recipe = next(one for one in RECIPES if one.family == family and dict(one.settings).get("anchored"))
    later = community(40, seed=5)
    times = later.time_ms + 300 * 3 * HOUR_MS
    error = fit(recipe, data, seed=0).predict(later.values, times) - (later.target + 5.0)
    plain = fit(FIRST[family], data, seed=0).predict(later.values, times) - (later.target + 5.0)
    # The week of the step itself was learned as far above its level, so it is not quite nothing.
    assert abs(error.mean()) < 1.0
    assert abs(plain.mean()) > 2.0


def test_arrays_that_disagree_are_not_handed_out() -> None:
    data = community(150)
    frozen = fit(FIRST[RIDGE], data, seed=0)
    with pytest.raises(TimebankError, match="do not predict what scikit-learn predicts"):
        recipes._checked(frozen, data, frozen.predict(data.values, data.time_ms) + 1e-6)


def test_baselines_by_hand() -> None:
    data = community(200)
    assert fit(Recipe(MEAN), data, seed=0).arrays["level"][0] == pytest.approx(data.target.mean())
    week = data.target[data.time_ms > data.time_ms[-1] - 7 * DAY_MS]
    assert len(week) == 56
    assert fit(Recipe(RECENT), data, seed=0).arrays["level"][0] == pytest.approx(week.mean())
    hourly = fit(Recipe(SEASONAL), data, seed=0)
    monday_noon = MONDAY_MS + 700 * DAY_MS + 12 * HOUR_MS
    same = [row for row in range(200) if (data.time_ms[row] - monday_noon) % (7 * DAY_MS) == 0]
    found = hourly.predict(data.values[:2], np.array([monday_noon, monday_noon + HOUR_MS]))
    assert found[0] == pytest.approx(data.target[same].mean())
    assert found[1] == pytest.approx(data.target.mean())  # nothing was ever posted at that hour
    daily = fit(Recipe(SEASONAL), replace(data, time_ms=data.time_ms // DAY_MS * DAY_MS), seed=0)
    mondays = [row for row in range(200) if (data.time_ms[row] - MONDAY_MS) // DAY_MS % 7 == 0]
    assert len(daily.arrays["slots"]) == 7
    assert daily.arrays["slots"][0] == pytest.approx(data.target[mondays].mean())


@pytest.mark.parametrize("family", FAMILIES)
def test_same_seed_same_arrays(family: str) -> None:
    data = community(150)
    first, second = (fit(FIRST[family], data, seed=3) for _ in range(2))
    assert all((first.arrays[name] == second.arrays[name]).all() for name in first.arrays)
    if family == NETWORK:
        other = fit(FIRST[family], data, seed=4)
        assert (other.arrays["0.0.weight"] != first.arrays["0.0.weight"]).any()


HONEST = {one.family: fit(one, community(150), seed=0) for one in (*FIRST.values(), *BASELINE_RECIPES)}


@pytest.mark.parametrize("kind", HONEST)
def test_honest_models_pass(kind: str) -> None:
    check(HONEST[kind], 3)


def spoiled(kind: str, name: str, place: int, value: float) -> Frozen:
    arrays = {key: array.copy() for key, array in HONEST[kind].arrays.items()}
    arrays[name].reshape(-1)[place] = value
    return Frozen(kind, arrays)


def inner_node() -> int:
    return int(np.flatnonzero(HONEST[BOOSTING].arrays["leaf"] == 0)[0])


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (spoiled(BOOSTING, "left", inner_node(), inner_node()), "left: leads back"),
        (spoiled(BOOSTING, "right", inner_node(), 10**9), "right: points outside"),
        (spoiled(BOOSTING, "feature", inner_node(), 99), "feature: points outside"),
        (spoiled(BOOSTING, "first", 0, -1), "first: points outside"),
        (spoiled(BOOSTING, "value", 0, np.nan), "value: not finite"),
        (spoiled(RIDGE, "weight", 0, np.inf), "weight: not finite"),
        (spoiled(RIDGE, "scale", 0, 0.0), "scale: not above zero"),
        (spoiled(RIDGE, "numeric", 0, 3), "numeric: points outside"),
        (spoiled(NETWORK, "gaps", 0, 7), "gaps: points outside"),
        (Frozen("oracle", {}), "unknown kind 'oracle'"),
        (Frozen(MEAN, {}), "level"),
        (Frozen(SEASONAL, {"slots": np.zeros(8)}), "not 7 or 168"),
        (Frozen(RIDGE, {**HONEST[RIDGE].arrays, "weight": np.zeros(2)}), "weight: shape"),
        (Frozen(NETWORK, {**HONEST[NETWORK].arrays, "1.1.weight": np.zeros((3, 1))}), r"1\.1\.weight: shape"),
        (Frozen(RIDGE, {"weight": np.zeros(2), "bias": np.zeros(1)}), "numeric: missing"),
    ],
)
def test_arrays_that_are_no_model_are_refused(model: Frozen, message: str) -> None:
    with pytest.raises(BadArrays, match=message):
        check(model, 3)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_whatever_passes_predicts_finite_numbers(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(sorted(HONEST)))
    arrays = HONEST[kind].arrays
    name = data.draw(st.sampled_from(sorted(arrays)))
    if not arrays[name].size:
        return
    model = spoiled(
        kind,
        name,
        data.draw(st.integers(0, arrays[name].size - 1)),
        data.draw(st.integers(-5, 200)),
    )
    try:
        check(model, 3)
    except BadArrays:
        return
    assert np.isfinite(model.predict(others(), community(80).time_ms)).all()
