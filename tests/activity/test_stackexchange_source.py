"""The Stack Exchange source on small dumps; see activity.tree."""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.activity.builders import DAY_MS, KEY, NOW_MS, write_dump
from timebank_chain.activity import CleanResult, canonical_records, clean
from timebank_chain.activity.sources import stackexchange_acts
from timebank_chain.errors import ActivityError
from timebank_chain.units import format_time, parse_time

START = int(parse_time("2023-11-01T12:00:00Z"))
HOUR_MS = 3_600_000
WINDOWS = dict.fromkeys(("question", "answer", "comment"), 7 * DAY_MS)
ASKER, EXPERT, READER = 1, 2, 3
Row = dict[str, Any]


def at(ms: int) -> str:
    return format_time(START + ms).removesuffix("Z")


def question(number: int, owner: int | None, ms: int = 0, **more: object) -> Row:
    return {"Id": number, "PostTypeId": 1, "CreationDate": at(ms), "Body": "b", "OwnerUserId": owner, **more}


def answer(number: int, owner: int | None, parent: int, ms: int = HOUR_MS, **more: object) -> Row:
    return {**question(number, owner, ms), "PostTypeId": 2, "ParentId": parent, **more}


def comment(number: int, user: int | None, post: int, ms: int = 2 * HOUR_MS, **more: object) -> Row:
    return {"Id": number, "PostId": post, "Text": "t", "CreationDate": at(ms), "UserId": user, **more}


def vote(number: int, post: int, kind: int, day: int = 1, user: int | None = None) -> Row:
    midnight = START - START % DAY_MS + day * DAY_MS
    return {
        "Id": number,
        "PostId": post,
        "VoteTypeId": kind,
        "CreationDate": format_time(midnight).removesuffix("Z"),
        "UserId": user,
    }


#: The last sign of life, so that every window before it is closed.
CLOSING = question(9_000, 9_000, 60 * DAY_MS)


def ingest(
    folder: Path,
    posts: Sequence[Mapping[str, object]],
    comments: Sequence[Mapping[str, object]] = (),
    votes: Sequence[Mapping[str, object]] = (),
    *,
    until_ms: int | None = None,
    now_ms: int = NOW_MS,
    closing: bool = True,
) -> CleanResult:
    write_dump(
        folder / "stackexchange_tea",
        posts=[*posts, *([CLOSING] if closing else [])],
        comments=comments,
        votes=votes,
    )
    acts = stackexchange_acts(folder / "stackexchange_tea", windows=WINDOWS, now_ms=now_ms, until_ms=until_ms)
    return clean(acts, now_ms=now_ms, salt_key=KEY)


def indicators(result: CleanResult) -> dict[str, tuple[int, int, int]]:
    table = result.table
    rows = zip(table.interaction_milli, table.originality_milli, table.engagement_milli, strict=True)
    prefix = "stackexchange:tea:"
    return {
        name.removeprefix(prefix): (int(i), int(o), int(e))
        for name, (i, o, e) in zip(table.id, rows, strict=True)
    }


def reasons(result: CleanResult) -> dict[str, str]:
    rejects = {reject.id.removeprefix("stackexchange:tea:"): reject.reason for reject in result.rejects}
    rejects.pop("post:9000", None)
    return rejects


def test_a_question_counts_commenters_approval_votes_answers_and_favourites(tmp_path: Path) -> None:
    result = ingest(
        tmp_path,
        [question(1, ASKER), answer(2, EXPERT, 1), answer(3, EXPERT, 1), answer(4, READER, 1)],
        [comment(1, READER, 1), comment(2, READER, 1), comment(3, EXPERT, 1)],
        [
            *(vote(n, 1, 2) for n in range(3)),
            vote(10, 1, 3),
            vote(11, 1, 5, user=READER),
            vote(12, 1, 5, user=READER),
        ],
    )
    assert indicators(result)["post:1"] == (2_000, 666, 3_000 + 2_000 + 1_000)
    assert result.table.member[result.table.id.index("stackexchange:tea:post:1")] == "stackexchange:tea:1"
    assert result.table.domain[result.table.id.index("stackexchange:tea:post:2")] == "answer"


def test_an_answer_counts_commenters_approval_votes_and_acceptance(tmp_path: Path) -> None:
    result = ingest(
        tmp_path,
        [question(1, ASKER), answer(2, EXPERT, 1), answer(3, READER, 1)],
        [comment(1, ASKER, 2), comment(2, READER, 2)],
        [vote(1, 2, 1), vote(2, 2, 2), vote(3, 2, 2)],
    )
    assert indicators(result)["post:2"] == (2_000, 750, 5_000)
    assert indicators(result)["post:3"] == (0, 500, 0)


def test_a_comment_counts_who_spoke_after_it_and_the_owners_reply(tmp_path: Path) -> None:
    result = ingest(
        tmp_path,
        [question(1, ASKER)],
        [
            comment(1, READER, 1, 1 * HOUR_MS),
            comment(2, EXPERT, 1, 2 * HOUR_MS),
            comment(3, ASKER, 1, 3 * HOUR_MS),
            comment(4, READER, 1, 4 * HOUR_MS),
            comment(5, READER, 1, 5 * HOUR_MS),
        ],
    )
    assert indicators(result) == {
        "post:1": (2_000, 500, 0),
        "comment:1": (2_000, 1_000, 1_000),
        "comment:2": (2_000, 1_000, 1_000),
        "comment:4": (0, 500, 0),
        "comment:5": (0, 333, 0),
    }
    assert reasons(result) == {"comment:3": "own post: a comment on one's own post earns nothing"}


def test_a_vote_counts_when_its_whole_day_lies_in_the_window(tmp_path: Path) -> None:
    # Asked at noon of day 0: the window closes at noon of day 7, so day 6 is the last whole day.
    posts = [question(1, ASKER), answer(2, EXPERT, 1, 0)]
    for day, engagement in ((6, 4_000), (7, 0)):
        result = indicators(ingest(tmp_path, posts, votes=[vote(1, 2, 2, day), vote(2, 2, 1, day)]))
        assert result["post:2"][2] == engagement


def test_comments_and_answers_after_the_window_do_not_count(tmp_path: Path) -> None:
    posts = [question(1, ASKER), answer(2, EXPERT, 1, 7 * DAY_MS), answer(3, READER, 1, 7 * DAY_MS + 1)]
    comments = [comment(1, EXPERT, 1, 7 * DAY_MS), comment(2, READER, 1, 7 * DAY_MS + 1)]
    assert indicators(ingest(tmp_path, posts, comments))["post:1"] == (1_000, 500, 1_000)


def test_what_one_does_oneself_does_not_count(tmp_path: Path) -> None:
    result = ingest(
        tmp_path,
        [question(1, ASKER), answer(2, ASKER, 1), question(3, ASKER), answer(4, ASKER, 3)],
        [comment(1, ASKER, 1), comment(2, ASKER, 2), comment(3, READER, 4)],
        [vote(1, 1, 5, user=ASKER), vote(2, 1, 2, user=ASKER), vote(3, 2, 1), vote(4, 4, 1), vote(5, 4, 2)],
    )
    assert indicators(result) == {
        "post:1": (0, 500, 0),
        "post:3": (0, 500, 0),
        "post:4": (1_000, 666, 1_000),  # others reacted to it; accepting it oneself adds nothing
        "comment:3": (0, 1_000, 0),
    }
    assert reasons(result)["post:2"].startswith("own answer: nobody else reacted")
    assert set(reasons(result)) == {"post:2", "comment:1", "comment:2"}


def test_a_disliked_own_answer_is_kept(tmp_path: Path) -> None:
    result = ingest(tmp_path, [question(1, ASKER), answer(2, ASKER, 1)], votes=[vote(1, 2, 3), vote(2, 2, 3)])
    assert indicators(result)["post:2"] == (0, 250, 0)


def test_deleted_users_and_bots_earn_nothing_and_count_for_nobody(tmp_path: Path) -> None:
    result = ingest(
        tmp_path,
        [question(1, ASKER), answer(2, None, 1), answer(3, -1, 1), question(4, None), answer(5, EXPERT, 4)],
        [comment(1, None, 1), comment(2, -1, 1)],
        [vote(1, 5, 1)],
    )
    assert indicators(result) == {"post:1": (0, 500, 0), "post:5": (0, 500, 0)}
    assert reasons(result) == {
        "post:2": "deleted user: the row has no user id",
        "post:3": "a bot: the Community user (-1)",
        "post:4": "deleted user: the row has no user id",
        "comment:1": "deleted user: the row has no user id",
        "comment:2": "a bot: the Community user (-1)",
    }


def test_rows_that_cannot_be_used_are_rejected_with_their_line(tmp_path: Path) -> None:
    result = ingest(
        tmp_path,
        [
            question(1, ASKER),
            {**question(2, ASKER), "PostTypeId": 5},
            question(3, ASKER, CreationDate="yesterday"),
            question(4, ASKER, Id="four"),
            question(5, ASKER, CreationDate=None),
        ],
        [comment(1, READER, 77), comment(2, READER, 1, PostId=None)],
        [vote(1, 1, 2), vote(1, 1, 2), {"Id": 2, "PostId": 1}],
    )
    assert indicators(result) == {"post:1": (0, 666, 1_000)}
    found = {
        (reject.source, reject.line): (reject.field, reject.reason.split(":")[0]) for reject in result.rejects
    }
    assert found == {
        ("stackexchange_tea/Posts.xml", 4): ("PostTypeId", "neither question nor answer"),
        ("stackexchange_tea/Posts.xml", 5): ("CreationDate", "not a time"),
        ("stackexchange_tea/Posts.xml", 6): ("Id", "not a number"),
        ("stackexchange_tea/Posts.xml", 7): ("CreationDate", "missing"),
        ("stackexchange_tea/Posts.xml", 8): ("window", "window still open"),
        ("stackexchange_tea/Comments.xml", 3): ("PostId", "unknown post"),
        ("stackexchange_tea/Comments.xml", 4): ("PostId", "missing"),
        ("stackexchange_tea/Votes.xml", 4): ("Id", "duplicate vote"),
        ("stackexchange_tea/Votes.xml", 5): ("CreationDate", "missing"),
    }
    assert "Body" not in result.rejects[0].record


def test_repeated_posts_conflict_or_are_dropped(tmp_path: Path) -> None:
    same = ingest(tmp_path / "a", [question(1, ASKER), question(1, ASKER)])
    assert (len(same.table), same.duplicates) == (1, 1)
    other = ingest(tmp_path / "b", [question(1, ASKER), question(1, READER)])
    assert reasons(other) == {"post:1": "conflicting duplicate: 2 different records have this id"}


def test_the_dump_ends_with_its_latest_row(tmp_path: Path) -> None:
    posts = [question(1, ASKER), question(2, ASKER, 1), question(3, ASKER, 7 * DAY_MS)]
    result = ingest(tmp_path, posts, closing=False)
    assert set(indicators(result)) == {"post:1"}
    assert set(reasons(result).values()) == {
        "window still open: until 2023-11-08T12:00:00.001Z, the data ends 2023-11-08T12:00:00Z",
        "window still open: until 2023-11-15T12:00:00Z, the data ends 2023-11-08T12:00:00Z",
    }


def test_until_and_the_future_are_turned_away(tmp_path: Path) -> None:
    posts = [question(1, ASKER), question(2, ASKER, 8 * DAY_MS)]
    result = ingest(tmp_path, posts, until_ms=START + 7 * DAY_MS)
    assert set(indicators(result)) == {"post:1"}
    assert reasons(result)["post:2"].startswith("after --until")
    result = ingest(tmp_path, posts, now_ms=START + 7 * DAY_MS, closing=False)
    assert reasons(result)["post:2"].startswith("time in the future")
    assert not len(result.table)  # a time in the future does not show that the dump reaches there


def test_packed_files_and_the_sites_name(tmp_path: Path) -> None:
    whole = list(canonical_records(ingest(tmp_path, [question(1, ASKER)]).table))
    folder = tmp_path / "stackexchange_tea"
    for file in list(folder.iterdir()):
        (folder / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
        file.unlink()
    packed = clean(stackexchange_acts(folder, windows=WINDOWS, now_ms=NOW_MS), now_ms=NOW_MS, salt_key=KEY)
    assert list(canonical_records(packed.table)) == whole
    named = stackexchange_acts(folder, windows=WINDOWS, now_ms=NOW_MS, site="chai")
    assert next(named).id == "stackexchange:chai:post:1"


@pytest.mark.parametrize(
    ("change", "message", "place"),
    [
        (lambda text: text[: text.index("PostTypeId")], "not well-formed XML", ":3, column"),
        (lambda text: text.replace("</posts>", ""), "no element found", ":6, column 1"),
        (lambda text: text.replace('Id="1"', "Id=1"), "not well-formed XML", ":3, column"),
        (lambda _: "", "the file is empty", ":1, column 1"),
        (lambda text: text.replace("posts>", "users>"), "the root element is <users>, not <posts>", ":1"),
        (
            lambda text: text.replace("<posts>", '<!DOCTYPE x [<!ENTITY e "e">]><posts>'),
            "document type",
            ":2",
        ),
    ],
)
def test_malformed_xml_is_refused_with_its_place(
    tmp_path: Path, change: Any, message: str, place: str
) -> None:
    folder = write_dump(tmp_path / "d", posts=[question(1, ASKER), question(2, ASKER)])
    file = folder / "Posts.xml"
    file.write_text(change(file.read_text()))
    with pytest.raises(ActivityError, match=message) as caught:
        list(stackexchange_acts(folder, windows=WINDOWS, now_ms=NOW_MS))
    assert caught.value.where is not None
    assert caught.value.where.startswith(f"{file}{place}")
    assert caught.value.hint


def test_truncated_gzip_and_missing_files_are_refused(tmp_path: Path) -> None:
    folder = write_dump(tmp_path / "d", posts=[question(1, ASKER)])
    (folder / "Votes.xml.gz").write_bytes(gzip.compress((folder / "Votes.xml").read_bytes())[:-9])
    with pytest.raises(ActivityError, match=r"both Votes\.xml and Votes\.xml\.gz are there"):
        list(stackexchange_acts(folder, windows=WINDOWS, now_ms=NOW_MS))
    (folder / "Votes.xml").unlink()
    with pytest.raises(ActivityError, match="damaged or truncated"):
        list(stackexchange_acts(folder, windows=WINDOWS, now_ms=NOW_MS))
    (folder / "Votes.xml.gz").unlink()
    with pytest.raises(ActivityError, match=r"Votes\.xml is missing"):
        list(stackexchange_acts(folder, windows=WINDOWS, now_ms=NOW_MS))
    with pytest.raises(ActivityError, match="no such folder"):
        list(stackexchange_acts(tmp_path / "none", windows=WINDOWS, now_ms=NOW_MS))


EVENT = st.tuples(
    st.sampled_from(["question", "answer", "comment", "up", "down", "accept", "favourite"]),
    st.sampled_from([ASKER, EXPERT, READER]),
    st.integers(0, 9),  # which earlier post it is about
    st.integers(0, 60),  # hours since the event before
)


def history(events: Sequence[tuple[str, int, int, int]]) -> tuple[list[Row], list[Row], list[Row]]:
    """Play events in order of time into the three files."""
    posts, comments, votes = [question(1, ASKER)], [], []
    ms = 0
    for number, (kind, user, target, hours) in enumerate(events, start=100):
        ms += hours * HOUR_MS
        about = posts[target % len(posts)]
        parent = about["Id"] if about["PostTypeId"] == 1 else about["ParentId"]
        day = (START % DAY_MS + ms) // DAY_MS
        if kind == "question":
            posts.append(question(number, user, ms))
        elif kind == "answer":
            posts.append(answer(number, user, parent, ms))
        elif kind == "comment":
            comments.append(comment(number, user, about["Id"], ms))
        else:
            code = {"up": 2, "down": 3, "accept": 1, "favourite": 5}[kind]
            # Only favourites carry their voter, as in the published dumps.
            votes.append(vote(number, about["Id"], code, day, user if kind == "favourite" else None))
    return posts, comments, votes


SLOW = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@given(st.lists(EVENT, min_size=1, max_size=25), st.integers(0, 25))
@SLOW
def test_later_events_never_change_an_act_whose_window_had_closed(
    tmp_path: Path, events: list[tuple[str, int, int, int]], cut: int
) -> None:
    early = ingest(tmp_path / "early", *history(events[:cut]), closing=False)
    # The rest happens at least a day later, since votes know only their day.
    rest = [(*event[:3], event[3] + (24 if n == 0 else 0)) for n, event in enumerate(events[cut:])]
    late = ingest(tmp_path / "late", *history([*events[:cut], *rest]))
    before = dict(zip(early.table.id, canonical_records(early.table), strict=True))
    after = dict(zip(late.table.id, canonical_records(late.table), strict=True))
    assert {name: after.get(name) for name in before} == before


@given(st.lists(EVENT, max_size=15), st.sampled_from([ASKER, EXPERT]), st.data())
@SLOW
def test_nothing_one_does_to_oneself_raises_ones_own_score(
    tmp_path: Path, events: list[tuple[str, int, int, int]], member: int, data: st.DataObject
) -> None:
    posts, comments, votes = history(events)
    own = [post for post in posts if post["OwnerUserId"] == member]
    before = ingest(tmp_path / "before", posts, comments, votes)
    for number in range(5_000, 5_000 + data.draw(st.integers(1, 4))):
        if not own:
            break
        mine = data.draw(st.sampled_from(own))
        ms = int(parse_time(f"{mine['CreationDate']}Z")) - START + data.draw(st.integers(0, 100)) * HOUR_MS
        day = (START % DAY_MS + ms) // DAY_MS
        deed = data.draw(st.sampled_from(["comment", "answer", "favourite", "up", "accept"]))
        if deed == "comment":
            comments.append(comment(number, member, mine["Id"], ms))
        elif deed == "answer" and mine["PostTypeId"] == 1:
            posts.append(answer(number, member, mine["Id"], ms))
        elif deed == "accept":
            mine_asked = {post["Id"] for post in own if post["PostTypeId"] == 1}
            if mine.get("ParentId") in mine_asked:
                votes.append(vote(number, mine["Id"], 1, day))
        elif deed in {"favourite", "up"}:
            votes.append(vote(number, mine["Id"], 5 if deed == "favourite" else 2, day, member))
    after = ingest(tmp_path / "after", posts, comments, votes)
    owner = f"stackexchange:tea:{member}"

    def scores(result: CleanResult) -> dict[str, tuple[int, int, int]]:
        names = {n for n, m in zip(result.table.id, result.table.member, strict=True) if m == owner}
        return {n: row for n, row in indicators(result).items() if f"stackexchange:tea:{n}" in names}

    was, now = scores(before), scores(after)
    assert set(now) <= set(was)
    for name, row in now.items():
        assert all(new <= old for new, old in zip(row, was[name], strict=True))
