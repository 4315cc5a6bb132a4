"""Mapping files, and the CSV, JSON-lines and Parquet sources that read through them; see activity.tree."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from tests.activity.builders import KEY, NOW_MS, record
from timebank_chain.activity import (
    CleanResult,
    RawRecord,
    Thousandths,
    canonical_records,
    clean,
    write_activity,
)
from timebank_chain.activity.mapping import ColumnMapping
from timebank_chain.activity.mapping_file import load_mapping
from timebank_chain.activity.sources import csv_rows, jsonl_rows, parquet_rows
from timebank_chain.activity.sources.files import MAX_LINE
from timebank_chain.errors import ActivityError
from timebank_chain.examples import example_path

BASE = """
schema = "timebank.mapping/1"
fields.id = { columns = ["queue", "number"], separator = "-", prefix = "ticket:" }
fields.member = { column = "agent", lower = true }
fields.domain = { constant = "support" }
fields.occurred = { column = "closed" }
fields.interaction = { column = "replies" }
fields.originality.sum = { words = 0.1, links = 2, copied = -50 }
fields.originality.scale = 0.5
fields.originality.at_least = 0
fields.originality.at_most = 20
fields.engagement = { constant = 1.5 }
"""
ROW: dict[str, object] = {
    "queue": "it",
    "number": 7,
    "agent": " Ada@Example.org",
    "closed": "2023-11-14T22:13:20Z",
    "replies": "3.25",
    "words": "33",
    "links": "4",
    "copied": "0",
}


def mapping_of(tmp_path: Path, text: str) -> ColumnMapping:
    file = tmp_path / "m.toml"
    file.write_text(text, "utf-8")
    return load_mapping(file)


def cleaned(*records: RawRecord) -> CleanResult:
    return clean(records, now_ms=NOW_MS, salt_key=KEY)


def canonical(*records: RawRecord) -> list[dict[str, object]]:
    return [json.loads(text) for text in canonical_records(cleaned(*records).table)]


def test_maps_text_times_and_exact_sums(tmp_path: Path) -> None:
    assert canonical(mapping_of(tmp_path, BASE).record(ROW, "f", 1)) == [
        {
            "id": "ticket:it-7",
            "member": "ada@example.org",
            "domain": "support",
            "occurred_ms": 1_700_000_000_000,
            "window_ms": 0,
            "interaction_milli": 3_250,
            "originality_milli": 5_650,
            "engagement_milli": 1_500,
        }
    ]


@pytest.mark.parametrize(
    ("cells", "milli"),
    [
        ({"words": "0", "links": "0"}, 0),
        ({"words": "33.3333"}, 5_666),  # (3.33333 + 8) / 2 = 5.666665: rounded down
        ({"copied": "1"}, 0),
        ({"words": "1000000"}, 20_000),
        ({"words": Decimal("33")}, 5_650),
        ({"words": 33.3333}, 5_666),
    ],
)
def test_sums_are_limited_and_rounded_down(tmp_path: Path, cells: dict[str, object], milli: int) -> None:
    made = mapping_of(tmp_path, BASE).record({**ROW, **cells}, "f", 1)
    assert made.originality == Thousandths(milli)


@pytest.mark.parametrize(
    ("cells", "field", "reason"),
    [
        ({"words": ""}, "originality", "missing: column 'words' is empty"),
        ({"words": "many"}, "originality", "not a plain number: column 'words'"),
        ({"words": "1e3"}, "originality", "not a plain number"),
        ({"words": [1]}, "originality", "not a plain number"),
        ({"words": True}, "originality", "not a plain number"),
        ({"agent": "  "}, "member", "missing: column 'agent' is empty"),
        ({"agent": 1.5}, "member", "not text"),
        ({"queue": "a-b"}, "id", "separator inside a part"),
        ({"closed": ""}, "occurred", "missing"),
        ({"closed": "2023-11-14T22:13:20"}, "occurred", "time without a zone"),
        ({"closed": "14.11.2023"}, "occurred", "not a time in the format iso"),
    ],
)
def test_a_row_that_cannot_be_mapped_is_refused(
    tmp_path: Path, cells: dict[str, object], field: str, reason: str
) -> None:
    reject = cleaned(mapping_of(tmp_path, BASE).record({**ROW, **cells}, "f", 3)).rejects[0]
    assert (reject.line, reject.field) == (3, field)
    assert reject.reason.startswith(reason)


def test_an_empty_cell_can_count_and_a_sum_can_start_above_zero(tmp_path: Path) -> None:
    text = BASE.replace(
        "scale = 0.5", "scale = 0.5\nfields.originality.empty = 5\nfields.originality.base = 10"
    )
    made = mapping_of(tmp_path, text).record({**ROW, "words": ""}, "f", 1)
    assert made.originality == Thousandths(9_250)  # (10 + 0.5 + 8) / 2


@pytest.mark.parametrize(
    ("style", "cell", "moment"),
    [
        ('format = "unix"', "1700000000", 1_700_000_000_000),
        ('format = "unix"', "1700000000.0019", 1_700_000_000_001),
        ('format = "unix_ms"', 1_700_000_000_000, 1_700_000_000_000),
        ('format = "%d.%m.%Y %H:%M", zone = "Europe/Berlin"', "14.11.2023 23:13", 1_699_999_980_000),
        ('format = "%d.%m.%Y %H:%M %z"', "14.11.2023 23:13 +0100", 1_699_999_980_000),
        ('zone = "UTC"', "2023-11-14T22:13:20", 1_700_000_000_000),
        ('zone = "-05:30"', "2023-11-14T16:43:20", 1_700_000_000_000),
        ('zone = "UTC"', "2023-11-15T06:13:20+08:00", 1_700_000_000_000),
        ('zone = "UTC"', datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC), 1_700_000_000_000),
    ],
)
def test_reads_times_in_their_format_and_zone(tmp_path: Path, style: str, cell: object, moment: int) -> None:
    text = BASE.replace('column = "closed"', f'column = "closed", {style}')
    made = mapping_of(tmp_path, text).record({**ROW, "closed": cell}, "f", 1)
    assert cleaned(made).table.occurred_ms.tolist() == [moment]


@pytest.mark.parametrize("clock", ["2023-10-29T02:30:00", "2023-03-26T02:30:00"])
def test_a_local_time_that_exists_twice_or_never_is_refused(tmp_path: Path, clock: str) -> None:
    text = BASE.replace('column = "closed"', 'column = "closed", zone = "Europe/Berlin"')
    made = mapping_of(tmp_path, text).record({**ROW, "closed": clock}, "f", 1)
    assert made.refused is not None
    assert made.refused[1].startswith("time that exists twice or never")


def test_reject_rules_turn_rows_away_with_their_reason(tmp_path: Path) -> None:
    text = BASE + '[[reject]]\ncolumn = "queue"\nequals = "spam"\nreason = "spam queue"\n'
    rules = mapping_of(tmp_path, text)
    assert rules.record({**ROW, "queue": " spam "}, "f", 1).refused == ("queue", "spam queue")
    assert rules.record(ROW, "f", 1).refused is None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("mapping/1", "mapping/2", "schema is 'timebank.mapping/2'"),
        ("fields.member", "fields.membre", "unknown entry 'fields.membre'"),
        ("fields.engagement = { constant = 1.5 }", "", "fields.engagement is missing"),
        ("lower = true", "lowr = true", "unknown entry 'fields.member.lowr'"),
        ("lower = true", "lower = 1", "fields.member.lower is neither"),
        ('{ constant = "support" }', "{}", "fields.domain needs exactly one of"),
        ('{ constant = "support" }', '"support"', "fields.domain is not a table"),
        ('{ constant = "support" }', "{ constant = 5 }", "fields.domain.constant is not text"),
        (
            'columns = ["queue", "number"], separator = "-"',
            'constant = "x"',
            "would give every row the same id",
        ),
        ('columns = ["queue", "number"]', "columns = [1]", "fields.id.columns is not a list"),
        ("scale = 0.5", "scale = nan", "fields.originality.scale is not a plain number"),
        ("scale = 0.5", "scale = true", "fields.originality.scale is not a number"),
        ("at_least = 0", "at_least = 30", "fields.originality.at_least 30 is above at_most 20"),
        ("sum = { words = 0.1, links = 2, copied = -50 }", "sum = {}", "fields.originality.sum is empty"),
        ('"closed" }', '"closed", format = "epoch" }', "fields.occurred.format is 'epoch'"),
        (
            '"closed" }',
            '"closed", zone = "Mars/Olympus" }',
            "fields.occurred.zone is no zone: 'Mars/Olympus'",
        ),
        ("schema =", "schema", "the mapping is not TOML"),
    ],
)
def test_refuses_a_bad_mapping_naming_the_entry(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in BASE
    with pytest.raises(ActivityError) as caught:
        mapping_of(tmp_path, BASE.replace(old, new))
    assert message in caught.value.message
    assert caught.value.hint
    assert caught.value.where == str(tmp_path / "m.toml")


def test_misspelt_entries_are_recognised(tmp_path: Path) -> None:
    with pytest.raises(ActivityError) as caught:
        mapping_of(tmp_path, BASE.replace("fields.member", "fields.membre"))
    assert caught.value.hint == "did you mean 'member'?"
    with pytest.raises(ActivityError, match="cannot read the mapping"):
        load_mapping(tmp_path / "none.toml")


OWN = "id,member,domain,occurred,window,interaction,originality,engagement\n"
GOOD = "a:1,ada,code,2023-11-14T22:13:20Z,14d,1,2.5,3\n"


def test_csv_in_our_own_columns(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("\ufeff" + OWN + GOOD, "utf-8")
    row = canonical(*csv_rows(file))[0]
    assert (row["id"], row["window_ms"], row["originality_milli"]) == ("a:1", 1_209_600_000, 2_500)
    packed = tmp_path / "a.csv.gz"
    packed.write_bytes(gzip.compress(file.read_bytes()))
    assert canonical(*csv_rows(packed)) == [row]


def test_csv_keeps_good_rows_beside_bad_ones(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    quoted = 'a:2,"two\nlines",code,2023-11-14T22:13:20Z,14d,1,2,3\n'
    file.write_bytes((OWN + GOOD + quoted + "a:3,too,few\n\n").encode() + b"a:4,caf\xe9,code,1,0,1,1,1\n")
    result = cleaned(*csv_rows(file, source="feed"))
    assert result.table.id == ["a:1"]
    assert [(r.source, r.line, r.field, r.reason.split(":")[0]) for r in result.rejects] == [
        ("feed", 3, "member", "control character"),
        ("feed", 5, "", "wrong number of cells"),
        ("feed", 7, "member", "not UTF-8"),
    ]
    assert result.read == 4


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("", "no header", 1),
        (OWN + 'a,"b\n', "not CSV", 2),
        ("id,id\n", "'id' stands twice", 1),
    ],
)
def test_csv_broken_as_a_whole_is_refused(tmp_path: Path, text: str, message: str, line: int) -> None:
    file = tmp_path / "a.csv"
    file.write_text(text)
    with pytest.raises(ActivityError, match=message) as caught:
        list(csv_rows(file))
    assert caught.value.where == f"{file}:{line}"


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("id,membr,domain,occurred,interaction,originality,engagement", "no column 'member'"),
        ("id,member,domain,occurred,occurred_ms,interaction,originality,engagement", "both 'occurred' and"),
        ("id,member,domain,occurred,interaction,originality,engagement,mood", "unknown column 'mood'"),
    ],
)
def test_own_columns_are_checked(tmp_path: Path, header: str, message: str) -> None:
    (tmp_path / "a.csv").write_text(header + "\n")
    with pytest.raises(ActivityError, match=message) as caught:
        list(csv_rows(tmp_path / "a.csv"))
    assert caught.value.hint


def test_a_mapped_file_must_have_the_columns(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("queue,nummer,agent,closed,replies,words,links,copied\n")
    with pytest.raises(ActivityError, match="no column 'number'") as caught:
        list(csv_rows(tmp_path / "a.csv", mapping_of(tmp_path, BASE)))
    assert caught.value.hint == "did you mean 'nummer'?"


@pytest.mark.parametrize("cut", [3, 12, 25])
def test_truncated_gzip_is_refused(tmp_path: Path, cut: int) -> None:
    file = tmp_path / "a.csv.gz"
    file.write_bytes(gzip.compress((OWN + GOOD).encode())[:-cut])
    with pytest.raises(ActivityError, match="gzip stream is damaged or truncated"):
        list(csv_rows(file))


#: Sizes of a text with one endless line, and in which line it begins.
ENDLESS = {
    "csv": (csv_rows, OWN + GOOD + "a:2," + "x" * (8 * MAX_LINE), 3),
    "csv header": (csv_rows, "i" * (8 * MAX_LINE), 1),
    # No cell is too long for the parser, and no line: the row never ends.
    "csv row": (csv_rows, OWN + GOOD + '"a\n",' * (2 * MAX_LINE), 3),
    "jsonl": (jsonl_rows, '{"id": "a"}\n{"id": "' + "x" * (8 * MAX_LINE), 2),
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", ENDLESS)
def test_an_endless_line_is_refused_with_its_number(tmp_path: Path, kind: str, packed: bool) -> None:
    read, text, line = ENDLESS[kind]
    file = tmp_path / "a"
    file.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    tracemalloc.start()
    try:
        with pytest.raises(ActivityError, match=r"is longer than 1,048,576 (bytes|characters)") as caught:
            list(read(file, source="feed"))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.where == f"feed:{line}"
    assert caught.value.hint
    # The file has eight times the bound and more. Strings beside the row's text: the many cells of "csv row".
    assert peak < (40 if kind == "csv row" else 6) * MAX_LINE


@pytest.mark.parametrize("over", [0, 1])
def test_a_line_may_be_as_long_as_the_bound(tmp_path: Path, over: int) -> None:
    reads: dict[str, tuple[Callable[[Path], Iterator[RawRecord]], str, str]] = {
        "csv": (csv_rows, OWN + "\n", "a:2,"),
        "jsonl": (jsonl_rows, "\n", '{"id": "'),
    }
    for name, (read, before, begin) in reads.items():
        file = tmp_path / name
        # CSV's own bound of a cell is lower: many cells.
        filler = "x," * (MAX_LINE // 2)
        file.write_text(before + begin + filler[: MAX_LINE + over - len(begin) - 1] + "\n" + "\n")
        if over:
            with pytest.raises(ActivityError, match="is longer than"):
                list(read(file))
        else:
            (row,) = read(file)
            assert row.refused


def test_jsonl_takes_numbers_as_written_and_nested_keys(tmp_path: Path) -> None:
    text = BASE.replace('column = "agent"', 'column = "who.mail"')
    file = tmp_path / "a.jsonl"
    nested = {**ROW, "who": {"mail": "B@x"}, "replies": 3.25}
    lines = [
        json.dumps(nested),
        "",
        "{broken",
        "[1]",
        '{"queue": 1, "queue": 2}',
        json.dumps({**nested, "number": 8, "replies": 1})
        .replace("1}", "1e3}")
        .replace('"replies": 1,', '"replies": 1e3,'),
        json.dumps({**nested, "number": 9, "who": {}}),
        json.dumps({**nested, "number": 10, "replies": float("nan")}),
        "[" * 100_000,
        '{"unclosed": ["' + '\\"[' * 50_000 + "\\",
        json.dumps({**nested, "number": 11, "note": "[" * 100}),
    ]
    file.write_text("\n".join(lines))
    result = cleaned(*jsonl_rows(file, mapping_of(tmp_path, text)))
    assert result.table.id == ["ticket:it-11", "ticket:it-7"]
    assert result.table.member == ["b@x", "b@x"]
    assert [(r.line, r.field, r.reason.split(":")[0]) for r in result.rejects] == [
        (3, "", "not JSON"),
        (4, "", "not a JSON object"),
        (5, "", "not JSON"),
        (6, "interaction", "number with an exponent"),
        (7, "member", "missing"),
        (8, "interaction", "not a finite number"),
        (9, "", "nested deeper than 64 levels"),
        (10, "", "not JSON"),
    ]
    assert result.table.interaction_milli.tolist() == [3_250, 3_250]
    assert result.read == 10


def test_jsonl_in_our_own_keys(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    row = {"id": "a", "member": "m", "domain": "d", "occurred_ms": 5, "interaction_milli": 1_500}
    row |= {"originality_milli": 0, "engagement_milli": 7}
    file.write_text(f"{json.dumps(row)}\n{json.dumps({**row, 'mood': 1})}\n")
    result = cleaned(*jsonl_rows(file))
    assert result.table.interaction_milli.tolist() == [1_500]
    assert [r.reason for r in result.rejects] == ["not our keys: unknown column 'mood'"]


def test_our_own_table_comes_back_unchanged(tmp_path: Path) -> None:
    table = cleaned(record(1, window="3d", interaction="0.001"), record(2, member="zoë")).table
    write_activity(table, tmp_path / "t.parquet")
    assert list(canonical_records(cleaned(*parquet_rows(tmp_path / "t.parquet")).table)) == list(
        canonical_records(table)
    )


def test_parquet_types_are_read_exactly_or_refused(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    moment = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    columns = {
        "id": ["a", "b", "c"],
        "member": ["m", "m", None],
        "domain": ["d", "d", "d"],
        "occurred": pa.array([moment] * 3, pa.timestamp("us", tz="UTC")),
        "interaction": [4.5, 0.1 + 0.2, 1.0],
        "originality": pa.array([Decimal("2.50")] * 3, pa.decimal128(9, 2)),
        "engagement": pa.array([1, 2, 3], pa.int8()),
    }
    pq.write_table(pa.table(columns), tmp_path / "x.parquet")
    result = cleaned(*parquet_rows(tmp_path / "x.parquet"))
    assert result.table.interaction_milli.tolist() == [4_500]
    assert result.table.originality_milli.tolist() == [2_500]
    assert result.table.occurred_ms.tolist() == [1_700_000_000_000]
    assert [(r.line, r.field) for r in result.rejects] == [(2, "interaction"), (3, "member")]


def test_truncated_parquet_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "t.parquet"
    write_activity(cleaned(record()).table, file)
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(ActivityError, match="truncated or damaged"):
        list(parquet_rows(file))
    with pytest.raises(ActivityError, match="no such file"):
        list(parquet_rows(tmp_path / "none"))


def test_the_shipped_mapping_can_be_read() -> None:
    rules = load_mapping(example_path("libuv.mapping.toml"))
    assert "commit_time" in rules.columns()
