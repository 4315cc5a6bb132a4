"""A file without one member's rows, and rows that have served their time.

rewriting ......... whatever the cells hold, the others' rows and line numbers stay (property)
                    CSV with quotes, line ends in cells, BOM, CRLF; JSON lines; Parquet of ours and others'
marks ............. the boundary of what was read is found in the new file; another file is refused (property)
whose ............. a row by its member alone; foreign tables by cells, never for ids like numbers
                    a row the mapping refuses still tells whose it is
erased list ....... turned-away records leave nothing; damaged lists stop the intake
retention ......... older than its rule and final: gone; younger, open, undated, without a rule: kept, and why
                    the audit of the raw table knows; the oracle goes on; rules that are none are refused
real data ......... one person of a real site: every act of theirs gone, nobody else's
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.activity.builders import research_data
from tests.audit.history import EPOCH_MS, START_MS, History
from tests.oracle.stage import Stage
from timebank_chain.activity import RawRecord, clean, load_salt_key, read_activity, write_activity
from timebank_chain.activity.erased import REASON, SCHEMA, load_erased, new_erased, write_erased
from timebank_chain.activity.mapping import ColumnMapping
from timebank_chain.activity.rules import NumberRule, TextRule, TimeRule, WindowRule
from timebank_chain.activity.sources import csv_rows, jsonl_rows, parquet_rows, stackexchange_acts
from timebank_chain.attention.privacy.erasure import Oracle
from timebank_chain.attention.privacy.places import places
from timebank_chain.attention.privacy.retention import (
    DAY_MS,
    NO_RULE,
    OPEN,
    UNDATED,
    YOUNG,
    Rule,
    Settled,
    load_rules,
    retain,
    settled_by,
)
from timebank_chain.attention.privacy.rows import REDACTED, Whose, rows_of_file, without
from timebank_chain.audit import run_audit
from timebank_chain.errors import ActivityError, AttentionError
from timebank_chain.oracle.feed import take_snapshot
from timebank_chain.oracle.journal import FeedMark

ADA = "ada@example.org"
HEADER = ["id", "member", "domain", "occurred", "interaction", "originality", "engagement"]
MAPPING = ColumnMapping(
    id=TextRule(("id",)),
    member=TextRule(("site", "user"), prefix="x:"),
    domain=TextRule(constant="code"),
    occurred=TimeRule("occurred"),
    window=WindowRule(),
    interaction=NumberRule(),
    originality=NumberRule(),
    engagement=NumberRule(),
)
CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
MEMBERS = st.sampled_from([ADA, "ben@example.org", "", " ada@example.org "])


def table(rows: list[list[str]], end: str = "\n") -> bytes:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator=end).writerows([HEADER, *rows])
    return buffer.getvalue().encode()


def erase(path: Path, member: str = ADA, mark: FeedMark | None = None, **more: object) -> FeedMark | None:
    whose = Whose(member)
    new = without(path, whose.owns, whose=whose, mark=mark, **more)  # type: ignore[arg-type]  # passed on
    new.replace()
    assert not list(path.parent.glob(f".{path.name}.*"))
    return new.mark


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(CELL, MEMBERS, CELL, CELL), max_size=12),
    end=st.sampled_from(["\n", "\r\n"]),
    bom=st.booleans(),
    read=st.integers(0, 12),
)
def test_csv_keeps_the_others_and_their_places_and_the_oracle_reads_on(
    tmp_path: Path, rows: list[tuple[str, str, str, str]], end: str, bom: bool, read: int
) -> None:
    path = tmp_path / "feed.csv"
    full = [[*row, "1", "1", "1"] for row in rows]
    first = (b"\xef\xbb\xbf" if bom else b"") + table(full[:read], end)
    path.write_bytes(first)
    copies = tmp_path / "copies"
    shutil.rmtree(copies, ignore_errors=True)
    copies.mkdir()
    marks = {one.name: one for one in take_snapshot(path, {}, copies).marks}
    path.write_bytes(first + table(full[read:], end)[len(table([], end)) :])
    before = [record for record in csv_rows(path) if not Whose(ADA).owns(record)]
    mark = erase(path, mark=marks["feed.csv"])
    assert list(csv_rows(path)) == before, "the same records on the same lines"
    assert mark is not None
    snapshot = take_snapshot(path, {mark.name: mark}, copies)
    assert snapshot.marks[0].size >= mark.size
    assert ADA.encode() not in path.read_bytes() or all(row[1].strip() != ADA for row in rows)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(CELL, MEMBERS), max_size=12), cut=st.integers(0, 12))
def test_json_lines_keep_the_others_and_their_places(
    tmp_path: Path, rows: list[tuple[str, str]], cut: int
) -> None:
    path = tmp_path / "feed.jsonl"
    lines = [
        json.dumps(dict(zip(HEADER, [name, member, "code", 1, 1.250, 1, 1], strict=True)))
        for name, member in rows
    ]
    content = "".join(f"{line}\n" for line in lines).encode()
    size = sum(len(line) + 1 for line in lines[:cut])
    path.write_bytes(content)
    before = [record for record in jsonl_rows(path) if not Whose(ADA).owns(record)]
    mark = erase(path, mark=FeedMark("feed.jsonl", size, hashlib.sha256(content[:size]).hexdigest(), 0))
    assert list(jsonl_rows(path)) == before
    assert mark is not None
    assert hashlib.sha256(path.read_bytes()[: mark.size]).hexdigest() == mark.sha256


def test_a_lone_carriage_return_in_a_cell_is_a_line_of_its_own(tmp_path: Path) -> None:
    # Found by the test above: an erased row's "\\r" and "\\n" stood together and made one line end of two.
    path = tmp_path / "feed.csv"
    path.write_bytes(table([["\r", ADA, "c", "1", "1", "1", "1"], ["d", "ben", "c", "1", "1", "1", "1"]]))
    before = [record.line for record in csv_rows(path) if record.member == "ben"]
    erase(path)
    assert [record.line for record in csv_rows(path)] == before


def test_a_row_of_several_lines_leaves_as_many(tmp_path: Path) -> None:
    path = tmp_path / "feed.csv"
    path.write_bytes(table([["a\nb", ADA, "c", "1", "1", "1", "1"], ["d", "ben", "c", "1", "1", "1", "1"]]))
    erase(path)
    assert path.read_bytes() == ",".join(HEADER).encode() + b"\n\n\nd,ben,c,1,1,1,1\n"


@pytest.mark.parametrize("change", [b"x", b""])
def test_a_file_the_oracle_did_not_read_is_refused(tmp_path: Path, change: bytes) -> None:
    path = tmp_path / "feed.csv"
    content = table([["1", ADA, "c", "1", "1", "1", "1"]])
    mark = FeedMark("feed.csv", len(content), hashlib.sha256(content).hexdigest(), 0)
    path.write_bytes(content.replace(b"c", change))
    with pytest.raises(AttentionError, match="not the one the oracle read") as caught:
        erase(path, mark=mark)
    assert "--forget-feed" in (caught.value.hint or "")
    assert [one.name for one in tmp_path.iterdir()] == ["feed.csv"]


def test_a_packed_feed_the_oracle_reads_is_refused(tmp_path: Path) -> None:
    import gzip

    path = tmp_path / "feed.csv"
    path.write_bytes(gzip.compress(table([])))
    with pytest.raises(AttentionError, match="packed"):
        erase(path, mark=FeedMark("feed.csv", 1, "", 0))


def test_parquet_of_anybody_keeps_schema_and_others(tmp_path: Path) -> None:
    path = tmp_path / "feed.parquet"
    schema = pa.schema(
        [
            ("id", pa.string()),
            ("site", pa.string()),
            ("user", pa.int64()),
            ("occurred", pa.int64()),
            ("note", pa.string()),
        ],
        metadata={b"from": b"somebody"},
    )
    rows = [
        {"id": str(n), "site": "s", "user": n % 3, "occurred": n, "note": "by x:s:1" if n % 2 else None}
        for n in range(9)
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema), path)
    whose = Whose("x:s:1")
    new = without(path, whose.owns, mapping=MAPPING, whose=whose, mark=FeedMark("feed.parquet", 0, "", 6))
    new.replace()
    after = pq.read_table(path)
    assert after.schema.equals(schema, check_metadata=True)
    assert after["id"].to_pylist() == ["0", "2", "3", "5", "6", "8"]
    assert after["note"].to_pylist() == [None, None, f"by {REDACTED}", f"by {REDACTED}", None, None]
    assert new.mark is not None
    assert (new.mark.rows, new.redacted) == (4, 2)
    with pytest.raises(AttentionError, match="6 rows, 7 were read"):
        without(path, whose.owns, mapping=MAPPING, mark=FeedMark("feed.parquet", 0, "", 7))
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(AttentionError, match="not a readable Parquet"):
        without(path, whose.owns)


def test_a_foreign_table_is_told_by_its_cells_but_not_by_numbers(tmp_path: Path) -> None:
    path = tmp_path / "survey.csv"
    path.write_text(f"person,answer\n{ADA},7\nben,42\n")
    assert [record.line for record in rows_of_file(path, None) if Whose(ADA).owns(record)] == [2]
    assert not [record for record in rows_of_file(path, None) if Whose("42").owns(record)]
    lines = tmp_path / "survey.jsonl"
    lines.write_text(f'{{"person": {{"mail": "{ADA}"}}, "n": 7}}\n{{"person": 1}}\nno json by {ADA}\n')
    assert [record.line for record in rows_of_file(lines, None) if Whose(ADA).owns(record)] == [1]


def test_a_row_the_mapping_refuses_tells_whose_it_is(tmp_path: Path) -> None:
    path = tmp_path / "feed.csv"
    path.write_text("id,site,user,occurred\n,s,1,x\n5,s,,1\n")
    refused = list(csv_rows(path, MAPPING))
    assert [record.member for record in refused] == ["x:s:1", None]
    assert all(record.refused for record in refused)
    assert Whose("x:s:1").owns(refused[0])


def test_other_words_and_longer_ids_are_left_alone() -> None:
    whose = Whose("member1")
    assert (
        whose.redacted("member1, member12, MEMBER1: Xmember1")
        == f"{REDACTED}, member12, {REDACTED}: Xmember1"
    )
    assert Whose("ada").redacted("ada") == "ada"
    assert Whose("12345").redacted("12345") == "12345"


def test_a_broken_csv_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "feed.csv"
    path.write_text('id,member\n"a,b\n')
    with pytest.raises(AttentionError, match="not CSV"):
        erase(path)


# --- the list of the erased ----------------------------------------------------------------------------


def test_a_record_of_an_erased_person_leaves_nothing(tmp_path: Path) -> None:
    erased = new_erased().with_person(ADA, ["act 1"], [bytes(32)])
    write_erased(erased, tmp_path / "erased.json")
    assert load_erased(tmp_path / "erased.json") == erased
    assert load_erased(tmp_path / "none.json") is None
    good = RawRecord("f", 5, id="act 5", member="ben", original={"who": "ben", "to": "ada"})
    records = [
        RawRecord("f", 1, id="act 9", member=ADA, original={"x": "secret"}),
        RawRecord("f", 2, id="act 1", member="deleted", original="secret"),
        RawRecord("f", 3, original=f"act 7;{ADA};secret", refused=("", "wrong number of cells")),
        RawRecord("f", 4, original={"a": {"b": [f" {ADA} "]}}, refused=("id", "missing")),
        good,
    ]
    out = list(erased.turned_away(records))
    assert out[-1] is good
    assert out[:-1] == [RawRecord("f", n, refused=("member", REASON)) for n in (1, 2, 3, 4)]
    result = clean(out[:-1], now_ms=1, salt_key=load_salt_key(None))
    assert {(one.id, one.record, one.reason) for one in result.rejects} == {("", "{}", REASON)}
    assert len(new_erased().member_hash(ADA)) == 32
    assert new_erased().member_hash(ADA) != new_erased().member_hash(ADA), "every list has its own key"


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"schema": "timebank.erased/1"}', '{"schema": "timebank.erased/2", "key": ""}',
     json.dumps({"schema": SCHEMA, "key": "0" * 64, "members": ["x"], "acts": [], "records": []}),
     json.dumps({"schema": SCHEMA, "key": "0" * 64, "members": "x", "acts": [], "records": []})],
)  # fmt: skip
def test_a_damaged_list_stops_the_intake(tmp_path: Path, text: str) -> None:
    path = tmp_path / "erased.json"
    path.write_text(text)
    with pytest.raises(ActivityError) as caught:
        load_erased(path)
    assert "restore it" in (caught.value.hint or "")


# --- retention -----------------------------------------------------------------------------------------


def test_rows_go_when_they_are_old_and_final(tmp_path: Path) -> None:
    now = 20_000 * DAY_MS
    times = {"young": now - DAY_MS, "old": now - 40 * DAY_MS, "open": now - 35 * DAY_MS, "undated": "soon"}
    rows = [[name, "ben", "code", str(time), "1", "1", "1"] for name, time in times.items()]
    for name in ("feed.csv", "other.csv"):
        (tmp_path / name).write_bytes(table(rows))

    def run(*, dry_run: bool) -> list[tuple[int, dict[str, int]]]:
        done = retain(
            places([tmp_path]),
            (Rule("feed*", 30),),
            mapping=None,
            oracle=Oracle(),
            epochs=None,
            erased_file=tmp_path / "erased.json",
            now_ms=now,
            dry_run=dry_run,
        )
        assert done[0].oldest_ms == times["young"]
        return [(one.deleted, one.kept) for one in done]

    assert run(dry_run=True) == [(2, {YOUNG: 1, UNDATED: 1}), (0, {NO_RULE: 4})]
    assert (tmp_path / "feed.csv").read_bytes() == table(rows)
    assert run(dry_run=False)[0][0] == 2
    assert [record.id for record in csv_rows(tmp_path / "feed.csv")] == ["young", "undated"]
    assert not (tmp_path / "erased.json").exists(), "a feed's rows have no record ids yet"


def test_a_window_that_is_open_keeps_a_row() -> None:
    settled = Settled(10, {"answer": 5})
    assert settled.has(RawRecord("f", 1, domain="answer"), 5)
    assert not settled.has(RawRecord("f", 1, domain="answer"), 6)
    assert settled.has(RawRecord("f", 1, domain="code"), 10)


def test_retention_of_a_raw_table_leaves_the_audit_green(lived: History, tmp_path: Path) -> None:
    activity, erased = tmp_path / "activity.parquet", tmp_path / "erased.json"
    shutil.copy(lived.activity, activity)
    rows = len(read_activity(activity))
    now = START_MS + 2 * EPOCH_MS + 30 * DAY_MS
    (done,) = retain(
        places([activity]),
        (Rule("*", 30),),
        mapping=None,
        oracle=Oracle(),
        epochs=lived.epochs,
        erased_file=erased,
        now_ms=now,
        dry_run=False,
    )
    assert (done.deleted, done.kept[YOUNG]) == (rows - len(read_activity(activity)), 40)
    assert done.deleted >= 79, "the third epoch has none after it: it counts as open"
    report = run_audit(
        lived.connection, lived.world.timebank.deployment, lived.epochs, activity=activity, erased=erased
    )
    assert not report.failed
    (check,) = [one for one in report.checks if one.number == "A33"]
    assert f"{done.deleted:,} erased" in check.figure
    assert check.notes
    assert settled_by(lived.epochs, set()).end_ms == START_MS + 2 * EPOCH_MS
    assert settled_by(lived.epochs, {3}).end_ms == START_MS + 3 * EPOCH_MS
    assert settled_by(tmp_path / "none", set()) == Settled(0, {})


def test_the_oracle_goes_on_after_retention(stage: Stage) -> None:
    from tests.attention.privacy.test_erasure_of_a_person import close

    stage.act("a", "ben", 5)
    close(stage, 1)
    stage.act("b", "ben", 65)

    def run() -> dict[str, int]:
        (done,) = retain(
            places([stage.feed]),
            (Rule("*", 0),),
            mapping=None,
            oracle=Oracle(stage.feed, stage.settings.state_folder),
            epochs=stage.epochs,
            erased_file=stage.settings.erased_path,
            now_ms=stage.start_ms + 10 * DAY_MS,
            dry_run=False,
        )
        return {"deleted": done.deleted} | done.kept

    # Epoch 1 is final on chain, but the journal learns of it when the next one closes.
    assert run() == {"deleted": 0, OPEN: 2}
    close(stage, 2)
    assert run() == {"deleted": 1, OPEN: 1}
    stage.act("c", "ben", 125)
    close(stage, 3)
    assert [record.id for record in csv_rows(stage.feed)] == ["b", "c"]


@pytest.mark.parametrize(
    "text",
    ["", "rule = 1", "[[rule]]\nsource = '*'", "[[rule]]\nsource = '*'\ndays = -1",
     "[[rule]]\nsource = ''\ndays = 1", "[[rule]]\nsource = '*'\ndays = 1.5",
     "[[rule]]\nsource = '*'\ndays = true", "x = 1\n[[rule]]\nsource='*'\ndays=1",
     "[[rule]", "[[rule]]\nsource = '*'\ndays = 99999"],
)  # fmt: skip
def test_rules_that_are_none_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(text)
    with pytest.raises(AttentionError):
        load_rules(path)
    with pytest.raises(AttentionError, match="cannot be read"):
        load_rules(tmp_path / "none.toml")


def test_the_first_rule_that_fits_decides(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text('[[rule]]\nsource = "sensors/*.csv"\ndays = 30\n[[rule]]\nsource = "*"\ndays = 365\n')
    first, rest = load_rules(path)
    assert first.fits(Path("feed/sensors/a.csv"))
    assert not first.fits(Path("feed/a.csv"))
    assert rest.fits(Path("feed/a.csv"))


# --- real data -----------------------------------------------------------------------------------------


@pytest.mark.data
def test_one_person_of_a_real_site(tmp_path: Path) -> None:
    now = 1_793_000_000_000
    windows = dict.fromkeys(("question", "answer", "comment"), 7 * DAY_MS)
    acts = stackexchange_acts(research_data("stackexchange_conlang_meta"), windows=windows, now_ms=now)
    kept = clean(acts, now_ms=now, salt_key=b"0" * 16).table
    people = kept.member
    whose = max(set(people), key=people.count)
    path = tmp_path / "activity.parquet"
    write_activity(kept, path)
    erase(path, whose)
    left = [record.member for record in parquet_rows(path)]
    assert people.count(whose) > 10
    assert left == [member for member in people if member != whose]
