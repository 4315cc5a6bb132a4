"""Conformal intervals.

calibrate
├── worked by hand; the same as mapie's, lopsided
├── holds at least its share of the rows it is made from
├── over many exchangeable samples, holds its share of the next row
└── refused: too few residuals, a share that is none
deciles
└── every row once, in order of the prediction, shares inside counted
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mapie.conformity_scores import AbsoluteConformityScore
from mapie.regression import SplitConformalRegressor
from sklearn.dummy import DummyRegressor

from timebank_chain.attention.model.intervals import calibrate, deciles, needed_rows, share_inside
from timebank_chain.errors import AttentionError


def test_by_hand() -> None:
    # 19 residuals, 90 %: the smallest and the largest.
    made = calibrate(np.arange(19.0) - 5, 0.9)
    assert (made.low, made.high, made.rows) == (-5.0, 13.0, 19)
    # 39 residuals: rank 38 of 39 on each side.
    assert (calibrate(np.arange(39.0), 0.9).low, calibrate(np.arange(39.0), 0.9).high) == (1.0, 37.0)
    lower, upper = made.around(np.array([10.0]))
    assert (lower[0], upper[0]) == (5.0, 23.0)


@pytest.mark.parametrize("rows", [60, 199, 500])
@pytest.mark.parametrize("coverage", [0.8, 0.9])
def test_same_as_mapie(rows: int, coverage: float) -> None:
    chance = np.random.default_rng(rows)
    target = chance.exponential(size=rows)
    features = np.zeros((rows, 1))
    model = DummyRegressor(strategy="constant", constant=1.0).fit(features, target)
    theirs = SplitConformalRegressor(
        model, confidence_level=coverage, conformity_score=AbsoluteConformityScore(sym=False), prefit=True
    )
    theirs.conformalize(features, target)
    _, ends = theirs.predict_interval(features[:1])
    ours = calibrate(target - 1.0, coverage)
    assert ours.around(np.array([1.0])) == (pytest.approx(ends[0, 0]), pytest.approx(ends[0, 1]))


@given(
    st.lists(st.floats(-100, 100), min_size=60, max_size=120),
    st.sampled_from([0.5, 0.8, 0.9, 0.95]),
)
def test_holds_its_share_of_its_own_rows(residuals: list[float], coverage: float) -> None:
    made = calibrate(np.array(residuals), coverage)
    assert share_inside(np.array(residuals), *made.around(np.zeros(len(residuals)))) >= coverage


def test_holds_its_share_of_the_next_row() -> None:
    chance = np.random.default_rng(0)
    held = 0
    for _ in range(4_000):
        sample = chance.exponential(size=41)
        lower, upper = calibrate(sample[:40], 0.9).around(np.zeros(1))
        held += int(lower[0] <= sample[40] <= upper[0])
    # Exactly 37/41 by theory: between ranks 2 and 39 of 40, of 41 equally likely places. Four deviations.
    assert abs(held / 4_000 - 37 / 41) < 4 * np.sqrt(37 / 41 * 4 / 41 / 4_000)


def test_refused() -> None:
    assert needed_rows(0.9) == 19
    with pytest.raises(AttentionError, match="18 rows to calibrate an interval of 90% on, 19 are needed"):
        calibrate(np.zeros(18), 0.9)
    for coverage in (0.0, 1.0, float("nan")):
        with pytest.raises(AttentionError, match="a coverage of"):
            calibrate(np.zeros(100), coverage)


def test_deciles_hold_every_row_once() -> None:
    predicted = np.random.default_rng(0).normal(size=105)
    true = predicted + 1.0
    parts = deciles(predicted, true, true - 0.5, np.where(predicted > 0, true, true - 0.1))
    assert len(parts) == 10
    assert sum(one.rows for one in parts) == 105
    assert [one.predicted for one in parts] == sorted(one.predicted for one in parts)
    assert all(one.observed == pytest.approx(one.predicted + 1.0) for one in parts)
    assert (parts[0].inside, parts[-1].inside) == (0.0, 1.0)
    assert len(deciles(predicted[:3], true[:3], true[:3], true[:3])) == 3
