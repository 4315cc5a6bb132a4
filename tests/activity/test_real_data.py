"""The sources on real data: every row is accounted for, and the counts are those the data's readme names."""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest

from tests.activity.builders import DAY_MS, KEY, research_data
from timebank_chain.activity import CleanResult, canonical_records, clean
from timebank_chain.activity.mapping_file import load_mapping
from timebank_chain.activity.sources import csv_rows, stackexchange_acts
from timebank_chain.examples import example_path
from timebank_chain.units import parse_time

pytestmark = pytest.mark.data

NOW_MS = int(parse_time("2026-11-01T00:00:00Z"))
WINDOWS = dict.fromkeys(("question", "answer", "comment"), 7 * DAY_MS)


@cache
def dump(folder: str, *, until_ms: int | None = None) -> CleanResult:
    acts = stackexchange_acts(research_data(folder), windows=WINDOWS, now_ms=NOW_MS, until_ms=until_ms)
    return clean(acts, now_ms=NOW_MS, salt_key=KEY)


def test_libuv_commits_through_the_shipped_mapping() -> None:
    rows = csv_rows(
        research_data("git_libuv") / "commits.csv", load_mapping(example_path("libuv.mapping.toml"))
    )
    result = clean(
        rows,
        now_ms=NOW_MS,
        salt_key=KEY,
        windows={"code": 14 * DAY_MS},
        domains=["code", "review", "coauthor"],
    )
    assert (result.read, len(result.table), len(result.rejects)) == (5_596, 5_596, 0)
    assert len(set(result.table.member)) == 669
    first = result.table.occurred_ms.tolist()[0]
    assert first == int(parse_time("2011-03-23T01:39:59-07:00"))
    assert int(result.table.originality_milli.max()) == 2_000_000
    row = result.table.id.index("git:133b4e399922")
    assert int(result.table.originality_milli[row]) == 145 * 500
    # A revert has no originality and keeps its row.
    assert int((result.table.originality_milli == 0).sum()) > 0


def test_quantum_computing_is_accounted_for() -> None:
    result = dump("stackexchange_quantumcomputing")
    assert result.read == 1_986 + 3_413 == len(result.table) + len(result.rejects)
    assert Counter(result.table.domain) == {"question": 596, "answer": 1_028, "comment": 2_219}
    assert result.reasons() == {
        "own post": 1_092,
        "neither question nor answer": 314,
        "window still open": 141,
        "own answer": 6,
        "deleted user": 3,
    }


def test_conlang_meta_is_accounted_for() -> None:
    result = dump("stackexchange_conlang_meta")
    assert result.read == 177 + 230 == len(result.table) + len(result.rejects)
    assert Counter(result.table.domain) == {"question": 52, "answer": 109, "comment": 164}
    assert result.reasons() == {
        "own post": 50,
        "deleted user": 20,
        "neither question nor answer": 8,
        "window still open": 3,
        "a bot": 1,
    }


@pytest.mark.parametrize("moment", ["2018-05-01T00:00:00Z", "2018-07-15T13:30:00Z"])
def test_a_later_dump_never_changes_what_was_closed(moment: str) -> None:
    then = dump("stackexchange_quantumcomputing", until_ms=int(parse_time(moment)))
    now = set(canonical_records(dump("stackexchange_quantumcomputing").table))
    assert len(then.table) > 500
    assert set(canonical_records(then.table)) <= now
