"""Series by time and what comes next.

series
├── acts are counted by step; only steps that are over count; quiet steps are 0
├── counts fall into steps and add up; steps nobody told of are unknown
├── coarser steps keep every act, whatever the offset
└── refused, naming the line: backwards, negative, infinite, absurd, no number, no time, three cells, empty
outlook
├── season: an hour that brings three times as much has three times the weight
├── level and trend of what grows by the same amount a day
├── the chosen way is no worse than the mean and last week, where there is a season
├── nine of ten intervals hold on Poisson counts, hour and day
├── an epoch too long for the history: a wide interval of few spans, or none, and said so
├── counts stay whole and not below zero; quiet communities have intervals that hold
├── unknown hours are filled and bend nothing; a gap knows nothing of what came after it
├── no more spans stand apart than were tried; people are told of no trillionths
├── where nothing varies: no warning, no season, no minus zero
└── refused: too short, all missing, a step that fits no hour
epochs: value and mint by hour add up to the header's totals
pictures: the same bytes twice, png and svg; another ending is refused
real data: tweets of two companies, one way better than the mean, coverage near what it says
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.activity.builders import research_data
from tests.epoch.sample import publish_all
from timebank_chain.attention.monitor.detect import DetectorSettings, judge
from timebank_chain.attention.monitor.forecast import filled, hour_of_week_profile, outlook, told
from timebank_chain.attention.monitor.plots import forecast_figure, warnings_figure
from timebank_chain.attention.monitor.series import (
    DAY_MS,
    HOUR_MS,
    Series,
    read_counts,
    series_of_counts,
    series_of_epochs,
    series_of_times,
)
from timebank_chain.attention.pictures import write_picture
from timebank_chain.errors import AttentionError

MONDAY_MS = 4 * DAY_MS
HORIZONS = {"hour": 1, "day": 24, "epoch": 168}


def seasonal(weeks: int, *, mean: float = 6.0, seed: int = 0, growth: float = 0.0) -> Series:
    """Return Poisson counts with a daily season, from a Monday."""
    hours = weeks * 168
    clock = np.arange(hours)
    rate = mean * np.exp(0.8 * np.sin(2 * np.pi * clock / 24)) * (1 + growth * clock / hours)
    values = np.random.default_rng(seed).poisson(rate).astype(np.float64)
    return Series("activity", MONDAY_MS, HOUR_MS, values)


def test_acts_are_counted_by_whole_steps() -> None:
    times = np.array([HOUR_MS * 5 + 7, HOUR_MS * 5, HOUR_MS * 7 + 1, HOUR_MS * 9 + 1], dtype=np.int64)
    series = series_of_times(times, step_ms=HOUR_MS, until_ms=HOUR_MS * 9 + 1800)
    assert series.start_ms == HOUR_MS * 5 and series.end_ms == HOUR_MS * 9
    assert series.values.tolist() == [2, 0, 1, 0]
    with pytest.raises(AttentionError, match="no act to count"):
        series_of_times(times, step_ms=HOUR_MS, until_ms=HOUR_MS * 5 + 59)


def test_steps_nobody_told_of_are_unknown(tmp_path: Path) -> None:
    file = tmp_path / "counts.csv"
    file.write_text("time,n\n1970-01-05T00:00:00Z,3\n1970-01-05 00:30:00,4\n1970-01-05T03:10:00+01:00,5\n")
    series = read_counts(file, step_ms=HOUR_MS)
    assert series.start_ms == MONDAY_MS
    np.testing.assert_array_equal(series.values, [7, np.nan, 5])


@given(st.lists(st.integers(0, 200 * HOUR_MS), min_size=1, max_size=60), st.sampled_from([2, 3, 6, 24]))
def test_coarser_steps_keep_every_act_of_whole_ones(times: list[int], factor: int) -> None:
    fine = series_of_times(np.array(times, dtype=np.int64), step_ms=HOUR_MS, until_ms=201 * HOUR_MS)
    coarse = fine.coarser(factor * HOUR_MS)
    inside = [one for one in times if coarse.start_ms <= one < coarse.end_ms]
    assert coarse.values.sum() == len(inside)
    assert coarse.start_ms % (factor * HOUR_MS) == 0


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("1970-01-04T00:00:00Z,1", "time goes backwards"),
        ("1970-01-06T00:00:00Z,-1", "not a count"),
        ("1970-01-06T00:00:00Z,inf", "not a count"),
        ("1970-01-06T00:00:00Z,nan", "not a count"),
        ("1970-01-06T00:00:00Z,many", "not a count"),
        ("1970-01-06T00:00:00Z,1e308", "not a count"),
        ("1970-01-06T00:00:00Z,1.1e15", "not a count"),
        ("yesterday,1", "isoformat"),
        ("1970-01-06T00:00:00Z,1,2", "3 cells"),
    ],
)
def test_bad_rows_are_refused_by_line(tmp_path: Path, row: str, reason: str) -> None:
    file = tmp_path / "counts.csv"
    file.write_text(f"time,n\n1970-01-05T00:00:00Z,3\n{row}\n")
    with pytest.raises(AttentionError, match=reason) as error:
        read_counts(file, step_ms=HOUR_MS)
    assert error.value.where == f"{file}:3"


def test_files_without_rows_or_with_other_columns_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "counts.csv"
    file.write_text("time,n\n")
    with pytest.raises(AttentionError, match="there is no row"):
        read_counts(file, step_ms=HOUR_MS)
    file.write_text("a,b,c\n1,2,3\n")
    with pytest.raises(AttentionError, match="3 columns"):
        read_counts(file, step_ms=HOUR_MS)
    with pytest.raises(AttentionError, match="steps between"):
        series_of_counts([(0, 1.0), (1 << 47, 1.0)], step_ms=HOUR_MS)


def test_the_profile_learns_the_busy_hour() -> None:
    of_week = np.arange(168 * 12) % 168
    values = np.where(of_week % 24 == 9, 30.0, 10.0)
    profile = hour_of_week_profile(values, of_week)
    assert profile.mean() == pytest.approx(1.0)
    busy = profile[9::24].mean() / np.delete(profile.reshape(7, 24), 9, axis=1).mean()
    assert busy == pytest.approx(3.0, rel=0.15)


def test_level_and_trend_of_steady_growth() -> None:
    # 24 more a day each week of hours: a level of 24 x hours, growing by 24/7 a day.
    values = 10.0 + np.arange(168 * 20) / 168
    found = outlook(Series("activity", MONDAY_MS, HOUR_MS, values), HORIZONS)
    assert found.level == pytest.approx(24 * values[-24:].mean(), rel=0.02)
    # Damped: never more than it is, and of a steady growth most of it.
    assert 0.6 * 24 / 7 < found.trend <= 1.01 * 24 / 7
    day = next(one for one in found.forecasts if one.horizon == "day")
    assert day.value == pytest.approx(24 * (values[-1] + 0.07), rel=0.05)


def test_intervals_hold_as_often_as_they_say_and_the_season_is_used() -> None:
    found = outlook(seasonal(30), HORIZONS, nominal=0.9)
    assert found.season_strength is not None and found.season_strength > 0.3
    for one in found.forecasts[:2]:
        assert one.low is not None and one.high is not None and one.low <= one.value <= one.high
        assert one.backtest.coverage is not None and 0.86 <= one.backtest.coverage <= 0.97, one
        errors = one.backtest.errors
        assert errors[one.way] <= min(errors["mean"], errors["last week"]) + 1e-9
    assert found.forecasts[0].begin_ms == MONDAY_MS + 30 * 168 * HOUR_MS


def test_a_short_history_widens_or_withholds_an_epochs_interval() -> None:
    series = seasonal(8)
    week = outlook(series, {"week": 168}).forecasts[0]
    assert week.low is not None and week.high is not None
    # Few spans: Student's interval, much wider than the counts' own scatter.
    assert week.high - week.low > 2 * 1.645 * np.sqrt(week.value)
    month = outlook(series, {"month": 28 * 24}).forecasts[0]
    assert month.low is None and month.high is None and month.backtest.coverage is None
    assert month.value > 0


def test_a_quiet_community_has_whole_intervals_that_hold() -> None:
    values = np.zeros(168 * 40)
    values[np.random.default_rng(3).integers(0, len(values), 60)] = 1
    for one in outlook(Series("activity", MONDAY_MS, HOUR_MS, values), HORIZONS).forecasts:
        assert one.low is not None and one.high is not None
        assert one.low == int(one.low) >= 0 and one.high == int(one.high)
        assert one.backtest.coverage is not None and one.backtest.coverage >= 0.85, one


def test_unknown_hours_bend_nothing() -> None:
    whole = seasonal(20, seed=5)
    holes = whole.values.copy()
    holes[np.random.default_rng(1).choice(len(holes), 300, replace=False)] = np.nan
    one, other = (
        outlook(Series("activity", MONDAY_MS, HOUR_MS, values), HORIZONS) for values in (whole.values, holes)
    )
    assert other.level == pytest.approx(one.level, rel=0.1)
    for left, right in zip(one.forecasts, other.forecasts, strict=True):
        assert right.value == pytest.approx(left.value, rel=0.15)


def test_a_gap_knows_only_what_was_before() -> None:
    of_week, profile = np.arange(600) % 168, np.ones(168)
    values = np.full(600, 10.0)
    values[300:320] = np.nan
    later = values.copy()
    later[320:] = 1_000.0
    for history in (values, later):
        assert filled(history, of_week, profile)[300:320] == pytest.approx(10.0)
    assert filled(np.where(np.isnan(values), np.nan, np.arange(600.0)), of_week, profile)[
        300
    ] == pytest.approx(np.arange(300).mean())
    # Nothing was before the first hour anybody told of.
    begun = np.concatenate([np.full(500, np.nan), np.full(400, 10.0)])
    found = outlook(Series("activity", MONDAY_MS, HOUR_MS, begun), HORIZONS)
    assert (found.hours, found.level) == (400, pytest.approx(240))
    with pytest.raises(AttentionError, match="300 hours of activity are known"):
        outlook(Series("activity", MONDAY_MS, HOUR_MS, begun[:800]), HORIZONS)


def test_no_more_spans_stand_apart_than_were_tried() -> None:
    # So long a history is tried at every second hour only.
    found = outlook(seasonal(100), HORIZONS)
    for one in found.forecasts:
        assert one.backtest.independent <= one.backtest.origins
    hour, day = (one.backtest for one in found.forecasts[:2])
    assert hour.independent == hour.origins
    assert day.independent == -(-day.origins // 12)


def test_people_are_told_of_no_trillionths() -> None:
    assert [told(one) for one in (1.742e-12, -3e-13, 0.0, 0.00012, 1234.5)] == [
        "0",
        "0",
        "0",
        "0.00012",
        "1,234",
    ]
    assert (told(-6.39e-06, "+,.3g"), told(0.25, "+,.3g")) == ("+0", "+0.25")


def test_what_cannot_be_forecast_is_refused() -> None:
    with pytest.raises(AttentionError, match="at least 336"):
        outlook(Series("activity", 0, HOUR_MS, np.ones(335)), HORIZONS)
    with pytest.raises(AttentionError, match="all values are missing"):
        outlook(Series("activity", 0, HOUR_MS, np.full(400, np.nan)), HORIZONS)
    with pytest.raises(AttentionError, match="does not fit into an hour"):
        outlook(Series("activity", 0, 7 * 60_000, np.ones(9_000)), HORIZONS)
    constant = outlook(Series("activity", 0, HOUR_MS, np.full(400, 3.0)), HORIZONS)
    assert constant.forecasts[0].value == pytest.approx(3.0)


def test_value_and_mint_of_epochs_add_up(tmp_path: Path) -> None:
    published = publish_all(tmp_path)
    found = series_of_epochs(published, window_ms=0)
    value = sum(int(one.activities.value.sum()) for one in published) / 1e6
    mint = sum(int(one.accounts.mint.sum()) for one in published) / 1e6
    assert found["value"].values.sum() == pytest.approx(value)
    # Standing of earlier epochs mints nothing by itself, so every mint has an hour.
    assert found["mint"].values.sum() == pytest.approx(mint)


@pytest.mark.parametrize("value", [0.0, 5.0, 1e15])
def test_where_nothing_varies(value: float) -> None:
    # Any warning of a library is an error in these tests.
    found = outlook(Series("activity", MONDAY_MS, HOUR_MS, np.full(6 * 168, value)), HORIZONS)
    assert found.season_strength is None and found.trend == 0
    for one in found.forecasts:
        assert one.low == one.value == one.high == value * one.hours
        assert not np.signbit([one.low, one.high]).any(), "no minus zero"
    json.dumps(found.to_json(), allow_nan=False)


@pytest.mark.parametrize("ending", [".png", ".svg"])
def test_pictures_are_the_same_bytes_twice(tmp_path: Path, ending: str) -> None:
    series = seasonal(6)
    found, judged = outlook(series, HORIZONS), judge(series, DetectorSettings(rate=0.02))
    for name, draw in (
        ("forecast", lambda: forecast_figure(series, found)),
        ("warnings", lambda: warnings_figure(judged)),
    ):
        files = [tmp_path / f"{name}{number}{ending}" for number in (1, 2)]
        for file in files:
            write_picture(file, draw)
        first, second = (file.read_bytes() for file in files)
        assert first == second and len(first) > 5_000


@pytest.mark.data
@pytest.mark.parametrize("name", ["FB", "IBM"])
def test_tweets_are_forecast_better_than_by_their_mean(name: str) -> None:
    file = research_data("nab") / "realTweets" / f"Twitter_volume_{name}.csv"
    found = outlook(read_counts(file, step_ms=HOUR_MS), {"hour": 1, "day": 24})
    for one in found.forecasts:
        errors = one.backtest.errors
        assert min(error for way, error in errors.items() if way != "mean") < errors["mean"]
        assert one.backtest.coverage is not None and 0.8 <= one.backtest.coverage <= 0.98
