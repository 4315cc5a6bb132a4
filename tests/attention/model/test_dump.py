"""A dump as a model's data.

features
├── worked by hand: author's, question's and tags' past, at the hour of posting
├── a vote counts from the day after on, the author's own never
└── nothing of the future: a dump cut off at any midnight gives the same features for what was posted before
target
├── votes whose whole day lies in the window; NaN while the window is open
├── without a window: totals, said to be so; what earlier posts came to still has one
└── rows dated in the future are no evidence that a window has closed
refused
├── no folder, a file missing, both plain and packed, no XML, entities
└── a window that is no whole number of days
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.activity.builders import research_data
from tests.attention.model.communities import DAY_MS, HOUR_MS, write_dump
from timebank_chain.attention.model.dataset import Dataset
from timebank_chain.attention.model.dump import dump_dataset
from timebank_chain.errors import AttentionError
from timebank_chain.units import format_time

#: A Friday, midnight UTC.
FRIDAY_MS = 1_704_412_800_000


def at(days: float) -> str:
    return format_time(FRIDAY_MS + int(days * DAY_MS)).removesuffix("Z")


def question(number: int, days: float, owner: int = 1, tags: str = "<a><b>") -> dict[str, object]:
    return {
        "Id": number,
        "PostTypeId": 1,
        "CreationDate": at(days),
        "OwnerUserId": owner,
        "Title": "What is it?",
        "Tags": tags,
        "Body": "<p>One two <code>three</code></p>",
    }


def answer(number: int, days: float, parent: int, owner: int = 2) -> dict[str, object]:
    return {
        "Id": number,
        "PostTypeId": 2,
        "ParentId": parent,
        "CreationDate": at(days),
        "OwnerUserId": owner,
        "Body": "<p>Four</p>",
    }


def vote(number: int, post: int, day: int, kind: int = 2, **more: object) -> dict[str, object]:
    return {"Id": number, "PostId": post, "VoteTypeId": kind, "CreationDate": at(day), **more}


POSTS = [
    question(1, 0.5),
    answer(2, 0.75, 1),
    question(3, 2.5, owner=2, tags="<b>"),
    answer(4, 3.0, 3, owner=1),
    question(5, 20.5, owner=1),
]
VOTES = [
    vote(1, 1, 0),
    vote(2, 1, 1),
    vote(3, 2, 2),
    vote(4, 3, 3),
    vote(5, 1, 1, UserId=1),  # by the author
    vote(6, 1, 2, kind=3),
    vote(7, 1, 12),
]


def row_of(data: Dataset, number: int) -> dict[str, float]:
    return dict(zip(data.names, data.values[data.ids.index(f"post:{number}")].tolist(), strict=True))


def test_features_by_hand(tmp_path: Path) -> None:
    comments = [{"Id": 1, "PostId": 3, "CreationDate": at(2.6), "UserId": 1}]
    data = dump_dataset(write_dump(tmp_path / "d", posts=POSTS, votes=VOTES, comments=comments))
    first, second, third, fourth = (row_of(data, number) for number in (1, 2, 3, 4))
    assert (first["hour"], first["weekday"], fourth["weekday"]) == (12.0, 4.0, 0.0)
    assert (first["body_code"], first["body_words"]) == (1.0, pytest.approx(np.log1p(3)))
    assert (first["author_posts"], first["title_asks"]) == (0.0, 1.0)
    assert np.isnan(first["question_ups"])
    assert second["question_age_hours"] == pytest.approx(np.log1p(6))
    assert second["question_ups"] == 0.0  # the vote of the same day is not over yet
    # The author of 3 wrote 2, whose vote of day 2 is known from day 3 on.
    assert (third["author_posts"], third["author_ups"]) == (pytest.approx(np.log1p(1)), 0.0)
    # The author of 4 wrote 1: two votes by others up to day 2, one down; and a comment.
    assert fourth["author_ups"] == pytest.approx(np.log1p(2))
    assert fourth["author_downs"] == pytest.approx(np.log1p(1))
    assert fourth["author_comments"] == pytest.approx(np.log1p(1))
    assert fourth["question_comments"] == pytest.approx(np.log1p(1))
    # An answer has its question's tags: b, on questions 1 and 3 and on answer 2 before.
    assert (fourth["tags"], fourth["tag_posts_most"]) == (1.0, pytest.approx(np.log1p(3)))


def test_target_counts_whole_days_in_the_window(tmp_path: Path) -> None:
    folder = write_dump(tmp_path / "d", posts=POSTS, votes=VOTES)
    week = dump_dataset(folder, window_ms=7 * DAY_MS)
    assert np.expm1(week.target[:4]).round().tolist() == [2, 1, 1, 0]
    assert np.isnan(week.target[4])
    assert (week.known_ms - week.time_ms == 7 * DAY_MS).all()
    assert np.expm1(dump_dataset(folder, window_ms=14 * DAY_MS).target[:4]).round().tolist() == [3, 1, 1, 0]
    # The vote of day 1 ends with day 2: half a day after a window of one day from noon of day 0.
    assert np.expm1(dump_dataset(folder, window_ms=DAY_MS).target[0]).round() == 1
    total = dump_dataset(folder, window_ms=None)
    assert np.expm1(total.target).round().tolist() == [3, 1, 1, 0, 0]
    assert any("totals at dump time" in limit for limit in total.limits)


def test_future_rows_close_no_window(tmp_path: Path) -> None:
    posts = [*POSTS, question(6, 400.0)]
    folder = write_dump(tmp_path / "d", posts=posts, votes=VOTES)
    data = dump_dataset(folder, now_ms=FRIDAY_MS + 21 * DAY_MS)
    assert data.ids == tuple(f"post:{number}" for number in range(1, 6))
    assert np.isnan(data.target[4])
    assert any(note.startswith("1 rows of the dump") for note in data.notes)


def cut(folder: Path, end_ms: int, target: Path) -> Path:
    """Write a dump as it was at a midnight: rows created before it."""
    kept: dict[str, list[Mapping[str, object]]] = {"posts": [], "votes": [], "comments": []}
    for name, rows in kept.items():
        path = next(folder.glob(f"{name.capitalize()}.xml*"))
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        lines = content.decode().splitlines()
        stamp = format_time(end_ms).removesuffix("Z")
        keep = [
            line
            for line in lines
            if "<row " not in line or re.search(r' CreationDate="([^"]*)"', line)[1] < stamp  # type: ignore[index]  # every row has one
        ]
        target.mkdir(exist_ok=True)
        (target / f"{name.capitalize()}.xml").write_text("\n".join(keep), "utf-8")
        assert not rows
    return target


def assert_same_past(whole: Dataset, past: Dataset) -> None:
    """Codes of words differ between the two; words do not."""
    assert whole.ids[: len(past)] == past.ids
    for place, feature in enumerate(whole.features):
        column, early = whole.values[: len(past), place], past.values[:, place]
        if feature.words:
            words = past.features[place].words
            assert [feature.words[int(c)] if c >= 0 else None for c in column] == [
                words[int(c)] if c >= 0 else None for c in early
            ]
        else:
            np.testing.assert_array_equal(column, early, err_msg=feature.name)


@pytest.mark.parametrize("window_ms", [7 * DAY_MS, None])
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_nothing_of_the_future_is_in_a_feature(
    tmp_path: Path, window_ms: int | None, data: st.DataObject
) -> None:
    days = st.integers(0, 40 * 24).map(lambda hours: hours / 24)
    posts: list[dict[str, object]] = []
    for number in range(1, data.draw(st.integers(2, 8)) + 1):
        when, owner = data.draw(days), data.draw(st.integers(1, 3))
        if posts and data.draw(st.booleans()):
            posts.append(answer(number, when, data.draw(st.integers(1, number - 1)), owner))
        else:
            posts.append(question(number, when, owner, data.draw(st.sampled_from(["", "<a>", "<a><b>"]))))
    votes = [
        vote(
            number,
            data.draw(st.integers(1, len(posts))),
            data.draw(st.integers(0, 41)),
            data.draw(st.integers(1, 3)),
        )
        for number in range(data.draw(st.integers(0, 12)))
    ]
    comments = [
        {"Id": number, "PostId": data.draw(st.integers(1, len(posts))), "CreationDate": at(data.draw(days))}
        for number in range(3)
    ]
    folder = write_dump(tmp_path / "whole", posts=posts, votes=votes, comments=comments)
    end_ms = FRIDAY_MS + data.draw(st.integers(1, 40)) * DAY_MS
    past = dump_dataset(cut(folder, end_ms, tmp_path / "past"), window_ms=window_ms)
    if len(past):
        assert_same_past(dump_dataset(folder, window_ms=window_ms), past)


@pytest.mark.data
@pytest.mark.parametrize("window_ms", [7 * DAY_MS, None])
def test_nothing_of_the_future_on_a_real_dump(tmp_path: Path, window_ms: int | None) -> None:
    folder = research_data("stackexchange_quantumcomputing")
    # 1 June 2018, about the middle.
    past = dump_dataset(cut(folder, 1_527_811_200_000, tmp_path / "past"), window_ms=window_ms)
    assert len(past) > 500
    assert_same_past(dump_dataset(folder, window_ms=window_ms), past)


def test_bad_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AttentionError, match="no such folder"):
        dump_dataset(tmp_path / "none")
    folder = write_dump(tmp_path / "d", posts=POSTS)
    (folder / "Votes.xml.gz").write_bytes(gzip.compress(b"<votes></votes>"))
    with pytest.raises(AttentionError, match=r"both Votes.xml and Votes.xml.gz"):
        dump_dataset(folder)
    (folder / "Votes.xml.gz").unlink()
    (folder / "Votes.xml").write_text("<votes><row")
    with pytest.raises(AttentionError, match="not well-formed XML"):
        dump_dataset(folder)
    (folder / "Votes.xml").write_text('<!DOCTYPE x [<!ENTITY a "b">]><votes></votes>')
    with pytest.raises(AttentionError, match="document type or entities"):
        dump_dataset(folder)
    (folder / "Votes.xml").unlink()
    with pytest.raises(AttentionError, match=r"Votes.xml is missing"):
        dump_dataset(folder)


@pytest.mark.parametrize("window_ms", [0, HOUR_MS, DAY_MS + 1])
def test_window_of_no_whole_days_is_refused(tmp_path: Path, window_ms: int) -> None:
    with pytest.raises(AttentionError, match="votes carry days"):
        dump_dataset(tmp_path, window_ms=window_ms)


def test_bodies_are_measured_in_one_pass(tmp_path: Path) -> None:
    """A body of nothing but opening brackets must not take time in its square."""
    posts = [{**question(1, 1.0), "Body": "<" * 400_000}, question(2, 2.0)]
    data = dump_dataset(write_dump(tmp_path / "d", posts=posts))
    assert row_of(data, 1)["body_characters"] == pytest.approx(np.log1p(400_000))
