"""Joining by member and time, scaling, the quality report, and acts for the ledger.

features
├── last before: agrees with a search by hand; never at the moment itself; never another member's; tolerance
├── spans: counts, sums and ages by hand; empty spans; bounds; totals agree with the feed; no width, too many
├── scaling: centre 0 and spread 1 on what it was fitted on; fitted on the past only; outliers, constants,
│   missing and infinite columns; written and read back; another table's columns
├── quality: missing, constant, infinite, out of range, unknown, rejected, backwards: each where it is
└── acts: makers, answers and notice of others within the window, each once; open windows; nothing made
"""

from __future__ import annotations

import bisect
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.attention.collect.builders import DAY_MS, HOUR_MS, NOON_MS, NOW_MS, collected, event, feed
from timebank_chain.attention.collect import (
    FeatureTable,
    acts_of,
    bucket_features,
    features_quality,
    feed_quality,
    fit_scaling,
    last_before,
    scaling_from_document,
)
from timebank_chain.attention.collect.quality import number_quality, text_quality
from timebank_chain.errors import AttentionError

SMALL = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 50)), max_size=25)


@settings(deadline=None)
@given(SMALL, SMALL, st.none() | st.integers(0, 20))
def test_last_before_agrees_with_a_search_by_hand(
    held: list[tuple[str, int]], asked: list[tuple[str, int]], tolerance: int | None
) -> None:
    made = feed(event(number, member=member, at_ms=at) for number, (member, at) in enumerate(held))
    members = [member for member, _ in [*asked, ("nobody", 10)]]
    times = np.array([at for _, at in [*asked, ("nobody", 10)]], dtype=np.int64)
    found = last_before(members, times, made, tolerance_ms=tolerance)
    for member, at, row in zip(members, times.tolist(), found.tolist(), strict=True):
        own = sorted(when for who, when in held if who == member)
        place = bisect.bisect_left(own, at) - 1
        expected = own[place] if place >= 0 and (tolerance is None or at - own[place] <= tolerance) else None
        assert (None if row < 0 else int(made.at_ms[row])) == expected
        assert row < 0 or made.member[row] == member


def test_last_before_wants_as_many_times_as_members() -> None:
    with pytest.raises(ValueError, match="1 members and 2 times"):
        last_before(["a"], np.array([1, 2]), feed([]))


def test_spans_count_and_sum() -> None:
    made = feed(
        [
            event(0, verb="create", object="p"),
            event(1, verb="view", object="p", value=10.0, unit="s"),
            event(2, verb="view", object="q", value=5.0, unit="s"),
            event(3, verb="pay", object="bob", value=2.0, unit="credit"),
            event(60, verb="yodel", object=""),
            event(1, member="bob", id="b"),
        ]
    )
    table = bucket_features(made, DAY_MS)
    day = NOON_MS // DAY_MS * DAY_MS
    assert list(zip(table.member, table.start_ms.tolist(), strict=True)) == [
        ("ada", day), ("ada", day + 3 * DAY_MS), ("bob", day),
    ]  # fmt: skip
    assert table.columns == (
        "events", "acts", "reactions", "transfers", "objects", "value_credit", "value_s", "since_ms",
    )  # fmt: skip
    first, later, _ = table.values.tolist()
    assert first[:7] == [4, 1, 2, 1, 3, 2.0, 15.0]
    assert math.isnan(first[7])
    assert later[:5] == [1, 0, 0, 0, 0]
    assert math.isnan(later[5])
    assert math.isnan(later[6])
    assert later[7] == day + 3 * DAY_MS - (NOON_MS + 3 * HOUR_MS)


def test_spans_in_which_nothing_happened_and_bounds() -> None:
    made = feed([event(0), event(72), event(96)])
    full = bucket_features(made, DAY_MS, empty=True)
    assert full.column("events").tolist() == [1, 0, 0, 1, 1]
    bounded = bucket_features(made, DAY_MS, start_ms=NOON_MS + 1, end_ms=NOON_MS + 96 * HOUR_MS)
    assert bounded.column("events").tolist() == [1]
    assert bucket_features(feed([]), DAY_MS).values.shape == (0, 6)


@settings(deadline=None)
@given(SMALL, st.integers(1, 20), st.booleans())
def test_spans_lose_no_event(held: list[tuple[str, int]], width: int, fill: bool) -> None:
    made = feed(event(number, member=member, at_ms=at) for number, (member, at) in enumerate(held))
    table = bucket_features(made, width, empty=fill)
    assert table.column("events").sum() == len(held)
    assert len({*zip(table.member, table.start_ms.tolist(), strict=True)}) == len(table.member)
    assert (table.column("since_ms")[~np.isnan(table.column("since_ms"))] > 0).all()


def test_more_members_than_fit_into_sixteen_bits() -> None:
    many = feed(event(0, id=f"{number:05}", member=f"m{number:05}") for number in range(40_000))
    for fill in (False, True):
        table = bucket_features(many, 1_000, empty=fill)
        assert len(table.member) == 40_000
        assert table.column("events").tolist() == [1.0] * 40_000


@settings(deadline=None)
@given(SMALL, st.integers(1, 20))
def test_filled_spans_hold_what_the_others_hold(held: list[tuple[str, int]], width: int) -> None:
    made = feed(event(number, member=member, at_ms=at) for number, (member, at) in enumerate(held))
    plain, filled = (bucket_features(made, width, empty=fill) for fill in (False, True))

    def counted(table: FeatureTable) -> dict[tuple[str, int], float]:
        keys = zip(table.member, table.start_ms.tolist(), strict=True)
        return {key: count for key, count in zip(keys, table.column("events").tolist(), strict=True) if count}

    assert counted(filled) == counted(plain)


def test_widths_that_are_none() -> None:
    with pytest.raises(AttentionError, match="is none"):
        bucket_features(feed([event(0)]), 0)
    with pytest.raises(AttentionError, match="more than 50,000,000"):
        bucket_features(feed([event(0, at_ms=0), event(1, at_ms=10**9)]), 1, empty=True)


# ---------------------------------------------------------------- scaling


@pytest.mark.parametrize("method", ["zscore", "robust"])
@settings(deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=50))
def test_scaled_columns_have_centre_0_and_spread_1(method: str, held: list[float]) -> None:
    values = np.array(held)[:, None]
    scaling = fit_scaling(["a"], values, method=method)
    scaled = scaling.apply(["a"], values)[:, 0]
    centre = np.mean(scaled) if method == "zscore" else np.median(scaled)
    assert abs(centre) < 1e-6
    if not scaling.columns[0].constant and method == "zscore":
        assert np.std(scaled) == pytest.approx(1, rel=1e-6)
    # What was scaled can be told again from the recorded parameters.
    back = scaled * scaling.columns[0].spread + scaling.columns[0].centre
    assert np.allclose(back, values[:, 0], atol=1e-6)


@settings(deadline=None)
@given(st.lists(st.sampled_from([0.0, 1e-308, -2.0, 1e-160, 5.0, 1e149, -1e140]), min_size=1, max_size=9))
def test_scaling_never_leaves_the_numbers(held: list[float]) -> None:
    values = np.array(held)[:, None]
    for method in ("zscore", "robust"):
        scaling = fit_scaling(["a"], values, method=method)
        assert np.isfinite(scaling.apply(["a"], values)).all()
        assert np.isfinite([scaling.columns[0].centre, scaling.columns[0].spread]).all()


def test_robust_scaling_is_the_standard_deviation_of_normal_data_and_minds_no_outlier() -> None:
    normal = np.random.default_rng(7).normal(3.0, 2.0, 20_000)
    spoilt = np.append(normal, [1e9] * 20)[:, None]
    column = fit_scaling(["a"], spoilt, method="robust").columns[0]
    assert column.centre == pytest.approx(3.0, abs=0.1)
    assert column.spread == pytest.approx(2.0, abs=0.1)


def test_scaling_learns_from_the_past_only() -> None:
    values = np.array([[1.0], [2.0], [3.0], [1_000.0]])
    past = np.array([True, True, True, False])
    scaling = fit_scaling(["a"], values, method="zscore", rows=past)
    assert scaling == fit_scaling(["a"], values[:3], method="zscore")
    assert scaling.columns[0].fitted_on == 3
    assert scaling.apply(["a"], values)[3, 0] > 1_000


def test_constant_and_missing_values() -> None:
    values = np.array([[5.0, 1.0], [5.0, np.nan], [5.0, 3.0]])
    scaling = fit_scaling(["c", "m"], values, method="robust")
    constant, held = scaling.columns
    assert (constant.constant, constant.spread, held.constant, held.fitted_on) == (True, 1.0, False, 2)
    scaled = scaling.apply(["c", "m"], values)
    assert scaled[:, 0].tolist() == [0, 0, 0]
    assert math.isnan(scaled[1, 1])
    # More than half the values alike: the range says nothing, the deviation does.
    mostly = np.array([[1.0]] * 9 + [[100.0]])
    assert fit_scaling(["a"], mostly, method="robust").columns[0].spread == pytest.approx(float(mostly.std()))


@pytest.mark.parametrize(
    ("values", "options", "problem"),
    [
        ([[np.inf]], {}, "infinite"),
        ([[1e200], [0.0]], {}, "too large"),
        ([[np.nan], [np.nan]], {}, "no value at all"),
        ([[1.0]], {"rows": np.array([False])}, "no row"),
        ([[1.0]], {"method": "minmax"}, "unknown scaling"),
    ],
)
def test_columns_that_cannot_be_scaled(
    values: list[list[float]], options: dict[str, object], problem: str
) -> None:
    with pytest.raises(AttentionError, match=problem):
        fit_scaling(["a"], np.array(values), **options)  # type: ignore[arg-type]  # wrong on purpose


def test_a_scaling_is_kept_and_refused_when_it_is_none() -> None:
    scaling = fit_scaling(["a", "b"], np.array([[1.0, 2.0], [3.0, 5.0]]), method="zscore")
    assert scaling_from_document(scaling.document()) == scaling
    with pytest.raises(AttentionError, match="fitted on a, b"):
        scaling.apply(["b", "a"], np.zeros((1, 2)))
    for broken in ({}, {**scaling.document(), "schema": "x"}, {**scaling.document(), "columns": [{}]}):
        with pytest.raises(AttentionError, match="no scaling"):
            scaling_from_document(broken)
    zero = scaling.document()
    zero["columns"][0]["spread"] = 0
    with pytest.raises(AttentionError, match="no scaling"):
        scaling_from_document(zero)


# ---------------------------------------------------------------- quality


def test_a_good_feed_has_no_fault() -> None:
    report = feed_quality(
        collected(event(1, value=1.0, unit="s"), event(2, member="bob", value=2.0, unit="s"))
    )
    assert report.faults == ()
    assert report.counts["kept"] == report.counts["read"] == 2


@pytest.mark.parametrize(
    ("events", "fault"),
    [
        ([event(2), event(1)], "1 events stand behind a later one in their file: time goes backwards"),
        ([event(1), event(2, verb="yodel")], "verb: 1 of unknown kind (yodel)"),
        ([event(1), event(2, value=1.0, unit="parsec")], "unit: 1 of unknown kind (parsec)"),
        ([event(1), event(2, value=-1.0, unit="s")], "value: 1 values beyond what it can be"),
        ([event(1), event(2, value=6.0, unit="stars")], "value: 1 values beyond what it can be"),
        ([event(0, at_ms=1_700_000_000), event(1)], "at_ms: 1 values beyond what it can be"),
        ([event(1), event(1, member="bob")], "2 events share source and id with a different one"),
    ],
)
def test_each_fault_is_found_and_nothing_else(events: list[object], fault: str) -> None:
    report = feed_quality(collected(*events))  # type: ignore[arg-type]  # events all
    assert report.faults[:1] == (fault,)
    assert len([one for one in report.faults if one != "no event is left"]) == 1


def test_quality_of_columns() -> None:
    numbers = number_quality("n", np.array([1.0, np.nan, np.inf, 1.0]))
    assert (numbers.missing, numbers.infinite, numbers.distinct, numbers.constant) == (1, 1, 2, False)
    assert (numbers.least, numbers.most) == (1.0, 1.0)
    assert number_quality("c", np.array([2.0, 2.0])).constant
    empty = number_quality("m", np.array([np.nan, np.nan]))
    assert (empty.missing, empty.constant, empty.least) == (2, False, None)
    texts = text_quality("t", ["a", "", "b", "b"], known={"a"})
    assert (texts.missing, texts.distinct, texts.unknown, texts.examples) == (1, 2, 2, ("b",))
    assert number_quality("z", np.array([])).rows == 0


def test_rejects_count_for_the_column_they_are_about() -> None:
    report = feed_quality(collected(event(1), event(2, value=math.inf), event(3, member="")))
    rejected = {column.name: column.rejected for column in report.columns}
    assert (rejected["value"], rejected["member"], rejected["verb"]) == (1, 1, 0)


def test_infinite_values_that_were_turned_away_count_as_such() -> None:
    report = feed_quality(collected(event(1), event(2, value=math.inf), event(3, value=-math.inf)))
    infinite = {column.name: column.infinite for column in report.columns}
    assert infinite == {**dict.fromkeys(infinite, 0), "value": 2}
    assert report.faults == ("2 records were refused", "value: 2 infinite values")


def test_quality_of_features() -> None:
    table = bucket_features(feed([event(0), event(48)]), DAY_MS)
    assert features_quality(table).faults == ()
    spoilt = replace(table, values=table.values.copy())
    spoilt.values[0, 0] = np.inf
    spoilt.values[:, 1] = np.nan
    assert features_quality(spoilt).faults == ("events: 1 infinite values", "acts: all values are missing")


# ---------------------------------------------------------------- acts


def test_acts_count_others_once_within_the_window() -> None:
    made = feed(
        [
            event(0, id="made", verb="create", object="p", domain="note"),
            event(1, verb="like", member="ada", object="p"),  # the maker's own
            event(2, verb="like", member="bob", object="p"),
            event(3, verb="view", member="bob", object="p"),  # bob again
            event(4, verb="share", member="cat", object="p"),
            event(5, verb="comment", member="bob", object="p"),
            event(6, verb="dislike", member="dan", object="p"),
            event(7, verb="like", member="dan", object="other"),
            event(24, verb="like", member="eve", object="p"),  # the window's last instant
            event(25, verb="like", member="fay", object="p"),  # after it
        ]
    )
    (act,), still_open = acts_of(made, window_ms=DAY_MS, now_ms=NOW_MS)
    assert (act.id, act.member, act.domain, act.at_ms) == ("s:made", "ada", "note", NOON_MS)
    assert (act.interaction, act.engagement, still_open) == (1, 3, 0)
    assert act.row()[3:5] == ("2024-01-01T12:00:00Z", "1d")


def test_the_first_making_counts_and_open_windows_wait() -> None:
    made = feed(
        [
            event(0, verb="create", object="p"),
            event(1, verb="create", object="p", member="thief"),
            event(2, verb="offer", object=""),
            event(3, verb="offer", object=""),
        ]
    )
    acts, _ = acts_of(made, window_ms=HOUR_MS, now_ms=NOW_MS)
    assert [act.member for act in acts] == ["ada", "ada", "ada"]
    assert acts_of(made, window_ms=HOUR_MS, now_ms=NOON_MS + HOUR_MS) == (acts[:1], 2)
    assert acts_of(feed([event(1)]), window_ms=1, now_ms=NOW_MS) == ([], 0)
