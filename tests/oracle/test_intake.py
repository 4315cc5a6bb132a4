"""Rows, rejects and ranges: the small parts.

rejects file
|- each reject once, also over restarts
|- a line cut off by a crash is written anew
|- a record longer than csv's own bound of a cell stops no restart
`- a file that cannot be written stops the oracle: nothing is left out unsaid
intake
|- acts settle when their window closes; the order of the feed does not matter
|- an act counted over another window is rejected, the others are taken
|- records with one id and different contents: all rejected while no final epoch holds one of them,
|  else that one stays, wherever it stands, and each other names the epoch
`- what final epochs hold: read only when asked, linked by header hashes, the open epoch left out
claim ranges
`- cover every wanted index once, bridge small gaps, stay within the batch
why not next
`- each way a header can fail to be next is named
"""

from __future__ import annotations

import csv
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.epoch import sample
from tests.oracle.test_sign import HEADER as EPOCH_HEADER
from timebank_chain.activity import Reject, record_ids
from timebank_chain.activity.sources.files import MAX_LINE
from timebank_chain.errors import OracleError
from timebank_chain.oracle.claims import MAX_GAP, ranges
from timebank_chain.oracle.intake import EpochIntake, read_intake
from timebank_chain.oracle.propose import why_not_next
from timebank_chain.oracle.recompute import final_records
from timebank_chain.oracle.rejects import RejectsFile
from timebank_chain.oracle.state import OracleState
from timebank_chain.units import EpochNumber, MicroCredit, Milliseconds, RateQ24
from timebank_chain.valuation import load_policy, policy_with

HEADER = "id,member,domain,occurred,window,interaction,originality,engagement\n"
BASE_MS = 1_700_000_000_000
SALT_KEY = b"0123456789abcdef"


def reject(number: int, record: str = '{"a": "1,2"}') -> Reject:
    return Reject("feed.csv", number, f"id {number}", "occurred", "late: it settled before", record)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_long_record_is_read_back(tmp_path: Path) -> None:
    path, limit = tmp_path / "rejects.csv", csv.field_size_limit()
    long = reject(1, "x" * MAX_LINE)
    assert RejectsFile(path).append([long, reject(2)]) == 2
    assert RejectsFile(path).append([long, reject(2), reject(3)]) == 1
    assert csv.field_size_limit() == limit


def test_each_reject_is_listed_once_also_over_restarts(tmp_path: Path) -> None:
    path = tmp_path / "rejects.csv"
    assert RejectsFile(path).append([reject(1), reject(2, "several\nlines")]) == 2
    again = RejectsFile(path)
    assert again.append([reject(1), reject(2, "several\nlines"), reject(3)]) == 1
    assert again.append([reject(3)]) == 0
    assert [row["line"] for row in rows(path)] == ["1", "2", "3"]


def test_a_line_cut_off_by_a_crash_is_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "rejects.csv"
    RejectsFile(path).append([reject(1), reject(2)])
    path.write_bytes(path.read_bytes()[:-9])
    assert RejectsFile(path).append([reject(1), reject(2)]) == 1
    assert rows(path)[-1]["record"] == reject(2).record


def test_a_rejects_file_that_cannot_be_written_stops(tmp_path: Path) -> None:
    with pytest.raises(OracleError, match="rejects file cannot be written"):
        RejectsFile(tmp_path / "no such folder" / "rejects.csv").append([reject(1)])


def intake(
    path: Path, *, start: int, end: int, published: Callable[[bytes], int | None] = lambda _record: None
) -> EpochIntake:
    """Take what settles in ``(start, end]``, milliseconds after `BASE_MS`."""
    return read_intake(
        {"feed.csv": path},
        None,
        policy_with(load_policy("identity"), window_ms=1_000),
        start_ms=BASE_MS + start,
        end_ms=BASE_MS + end,
        now_ms=BASE_MS + 10_000,
        salt_key=SALT_KEY,
        is_closed=lambda record: published(record) is not None,
        published=published,
    )


def line(name: str, at: int, window: str = "", interaction: str = "1") -> str:
    return f"{name},member,general,{BASE_MS + at},{window},{interaction},1,1\n"


def test_acts_settle_when_their_window_closes_in_any_order(tmp_path: Path) -> None:
    lines = [line(f"a{at}", at) for at in (0, 1, 1_000, 1_001, 2_000, 2_001, 9_000)]
    tables = []
    for seed in range(3):
        random.Random(seed).shuffle(lines)
        path = tmp_path / f"{seed}.csv"
        path.write_text(HEADER + "".join(lines))
        tables.append(intake(path, start=1_000, end=2_001))
    for taken in tables:
        assert taken.table.id == ["a1", "a1000", "a1001"]
        assert taken.waiting == 3
        assert [one.id for one in taken.rejects] == ["a0"]
        assert taken.table.salt.tobytes() == tables[0].table.salt.tobytes()


def test_an_act_of_another_window_is_rejected_alone(tmp_path: Path) -> None:
    path = tmp_path / "feed.csv"
    path.write_text(HEADER + line("right", 500, "1s") + line("other", 500, "2s") + line("none", 500, "0s"))
    taken = intake(path, start=0, end=5_000)
    assert taken.table.id == ["right"]
    other, none = taken.rejects
    assert (other.id, other.line) == ("other", 3)
    assert other.reason == "other window: counted over 2s, the policy waits 1s"
    assert none.id == "none"


@pytest.mark.parametrize("seed", range(4))
def test_a_published_record_stays_and_the_newcomers_are_rejected(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "feed.csv"
    path.write_text(HEADER + line("a", 500) + line("b", 600))
    first = intake(path, start=0, end=2_000).table
    final = {record.tobytes(): 7 for record in record_ids(first)}

    rows_now = [line("a", 500), line("a", 500), line("b", 600), line("c", 650), line("c", 660)]
    rows_now += [line("a", 500, interaction="9"), line("a", 3_000)]
    random.Random(seed).shuffle(rows_now)
    path.write_text(HEADER + "".join(rows_now))
    again = intake(path, start=0, end=2_000, published=final.get)
    assert again.table.id == ["a", "b"]
    assert record_ids(again.table).tobytes() == record_ids(first).tobytes()
    reasons = sorted((one.id, one.reason) for one in again.rejects)
    assert reasons[0][1].startswith("duplicate: same as feed.csv:")
    assert reasons[1:] == [
        ("a", "id already published in epoch 7"),
        ("a", "id already published in epoch 7"),
        ("c", "conflicting duplicate: 2 different records have this id"),
        ("c", "conflicting duplicate: 2 different records have this id"),
    ]
    later = intake(path, start=2_000, end=5_000, published=final.get)
    assert later.table.id == [], "the newcomer would settle here, but its id is spent"
    # Without a final epoch the order of the feed must not decide: nobody wins.
    assert intake(path, start=0, end=2_000).table.id == ["b"]


def test_of_two_published_records_the_earlier_epoch_decides(tmp_path: Path) -> None:
    path = tmp_path / "feed.csv"
    path.write_text(HEADER + line("a", 500))
    early = record_ids(intake(path, start=0, end=2_000).table)[0].tobytes()
    path.write_text(HEADER + line("a", 600))
    late = record_ids(intake(path, start=0, end=2_000).table)[0].tobytes()
    path.write_text(HEADER + line("a", 600) + line("a", 500))
    taken = intake(path, start=0, end=2_000, published={late: 4, early: 3}.get)
    assert record_ids(taken.table)[0].tobytes() == early
    assert [one.reason for one in taken.rejects] == ["id already published in epoch 3"]


def test_final_records_are_those_the_headers_vouch_for(tmp_path: Path) -> None:
    epochs = sample.publish_all(tmp_path)
    first, second, third = ([row.tobytes() for row in epoch.activities.record_id] for epoch in epochs)
    open_epoch = final_records(tmp_path, epochs[2], is_final=lambda: False)
    assert {open_epoch(record) for record in first} == {1}
    assert {open_epoch(record) for record in second} == {2}
    assert {open_epoch(record) for record in third} == {None}
    closed = final_records(tmp_path, epochs[2], is_final=lambda: True)
    assert {closed(record) for record in third} == {3}
    assert closed(bytes(32)) is None


def test_final_records_of_another_history_are_refused(tmp_path: Path) -> None:
    epochs = sample.publish_all(tmp_path)
    other = replace(epochs[2], header=replace(epochs[2].header, previous_header_hash=b"\x01" * 32))
    ask = final_records(tmp_path, other, is_final=lambda: False)  # nothing is read yet
    with pytest.raises(OracleError, match="epoch 3 follows the header 0x0101") as caught:
        ask(bytes(32))
    assert caught.value.where == str(epochs[1].folder)


@given(
    wanted=st.sets(st.integers(0, 400)).map(sorted),
    batch=st.integers(1, 120),
)
def test_ranges_cover_every_index_once(wanted: list[int], batch: int) -> None:
    made = list(ranges(wanted, batch=batch))
    covered = [index for part in made for index in range(part.first, part.first + part.count)]
    assert len(set(covered)) == len(covered)
    assert set(wanted) <= set(covered)
    assert all(1 <= part.count <= batch for part in made)
    assert len(covered) <= len(wanted) * (MAX_GAP + 1)


STATE = OracleState(
    block=1,
    time_ms=Milliseconds(10),
    latest_epoch=EpochNumber(0),
    latest_header_hash=bytes(32),
    latest_end_ms=Milliseconds(0),
    pending=None,
    policy_hash=bytes(32),
    rate_q24=RateQ24(1),
    quorum=frozenset(),
    threshold=1,
    bond_wei=1,
    paused=False,
    bonus=MicroCredit(5),
    withdrawable_wei=0,
    final_from=None,
    open_requests=0,
)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"epoch": 2}, "the next one is 1"),
        ({"previous_header_hash": b"\x01" * 32}, "follows another header"),
        ({"policy_hash": b"\x01" * 32}, "valued by policy 0x0101"),
        ({"rate_q24": 2}, "its rate is 2, the chain's is 1"),
        ({"pot": 6}, "its pot is 6 micro-credits, the fee pool holds 5"),
    ],
)
def test_why_a_header_is_not_next(changes: dict[str, object], reason: str) -> None:
    assert why_not_next(EPOCH_HEADER, STATE) is None
    found = why_not_next(replace(EPOCH_HEADER, **changes), STATE)  # type: ignore[arg-type]  # fields of the header
    assert found is not None
    assert reason in found
