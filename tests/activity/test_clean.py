"""The cleaner and the table; see activity.tree."""

from __future__ import annotations

import csv
import json
import random
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.activity.builders import KEY, NOW_MS, record
from timebank_chain.activity import (
    PUBLIC_SALT_KEY,
    ActivityTable,
    CleanResult,
    RawRecord,
    Thousandths,
    canonical_record,
    canonical_records,
    clean,
    load_salt_key,
    read_activity,
    record_id,
    record_ids,
    write_activity,
    write_rejects,
)
from timebank_chain.errors import ActivityError


def cleaned(*records: RawRecord, **options: object) -> CleanResult:
    return clean(records, now_ms=NOW_MS, salt_key=KEY, **options)  # type: ignore[arg-type]  # keyword pass-through


def only_reject(raw: RawRecord, **options: object) -> tuple[str, str]:
    result = cleaned(raw, **options)
    assert (result.read, len(result.table), len(result.rejects)) == (1, 0, 1)
    return result.rejects[0].field, result.rejects[0].reason


@pytest.mark.parametrize(
    ("given_value", "milli"),
    [
        (4, 4_000),
        ("4", 4_000),
        ("4.5", 4_500),
        ("0.001", 1),
        ("007", 7_000),
        (4.5, 4_500),
        (" 3 ", 3_000),
        (Decimal("4.500000"), 4_500),
        ("2.5000", 2_500),
        (Thousandths(7), 7),
        (0, 0),
        ("4294967.295", 4_294_967_295),
        (4_294_967, 4_294_967_000),
    ],
)
def test_keeps_exact_thousandths(given_value: object, milli: int) -> None:
    table = cleaned(record(interaction=given_value)).table
    assert table.interaction_milli.tolist() == [milli]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "missing"),
        ("", "missing"),
        (True, "not a number: 'True'"),
        ("four", "not a number: 'four'"),
        (-3, "negative number: '-3'"),
        ("-0.5", "negative number: '-0.5'"),
        (Thousandths(-1), "negative number"),
        (float("nan"), "not a finite number: 'nan'"),
        ("Infinity", "not a finite number"),
        (float("-inf"), "not a finite"),
        (Decimal("NaN"), "not a finite number"),
        ("1e3", "number with an exponent: '1e3'"),
        (1e22, "number with an exponent"),
        (Decimal("1E+3"), "number with an exponent"),
        ("0.0001", "more than three decimals: '0.0001'"),
        (0.1 + 0.2, "more than three decimals"),
        ("4294967.296", "too large"),
        (10**12, "too large"),
        ("9" * 31, "too many digits"),
        ("9" * 5_000, "too many digits"),
        ([1], "not a number"),
        ("１２", "not a number"),
        ("1,5", "not a number"),
        ("+1", "not a number"),
        (".5", "not a number"),
        ("1_000", "not a number"),
    ],
)
@pytest.mark.parametrize("field", ["interaction", "originality", "engagement"])
def test_rejects_an_indicator_with_its_reason(field: str, value: object, reason: str) -> None:
    where, why = only_reject(record(**{field: value}))
    assert where == field
    assert why.startswith(reason)


@pytest.mark.parametrize("field", ["id", "member", "domain"])
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "missing"),
        ("", "missing"),
        (17, "not text: '17'"),
        ("a\nb", "control character"),
        ("a\0", "control character"),
        ("a\u2028b", "control character"),
        ("caf\udce9", "not UTF-8"),
        (" a", "surrounding spaces"),
        ("a\u00a0", "surrounding spaces"),
        ("x" * 513, "longer than"),
        ("é" * 257, "longer than"),
    ],
)
def test_rejects_text_with_its_reason(field: str, value: object, reason: str) -> None:
    where, why = only_reject(record(**{field: value}))
    assert where == field
    assert why.startswith(reason)


def test_domain_must_fit_its_on_chain_name_and_be_known() -> None:
    assert only_reject(record(domain="d" * 33)) == ("domain", f"longer than 32 bytes: {'d' * 33!r}")
    where, why = only_reject(record(domain="cod"), domains=["code", "review"])
    assert (where, why) == ("domain", "unknown domain: 'cod' is none of code, review")
    assert len(cleaned(record(), domains=["code"]).table) == 1


@pytest.mark.parametrize(
    ("value", "ms"),
    [
        ("2023-11-14T22:13:20Z", 1_700_000_000_000),
        ("2023-11-15T06:13:20+08:00", 1_700_000_000_000),
        (1_700_000_000_000, 1_700_000_000_000),
        ("1700000000000", 1_700_000_000_000),
        (0, 0),
        (NOW_MS, NOW_MS),
        (datetime(2023, 11, 14, 22, 13, 20, 1_999, tzinfo=UTC), 1_700_000_000_001),
    ],
)
def test_reads_times_with_a_zone(value: object, ms: int) -> None:
    assert cleaned(record(occurred=value)).table.occurred_ms.tolist() == [ms]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "missing"),
        ("2023-11-14T22:13:20", "time without a zone"),
        ("yesterday", "not a time"),
        (datetime(2023, 11, 14), "time without a zone"),
        (1.5, "not a time"),
        (True, "not a time"),
        (NOW_MS + 1, "time in the future"),
        ("2100-01-01T00:00:00Z", "time in the future"),
        (-1, "time out of range"),
        (2**48, "time out of range"),
        ("1969-12-31T23:59:59Z", "time out of range"),
    ],
)
def test_rejects_a_time_with_its_reason(value: object, reason: str) -> None:
    where, why = only_reject(record(occurred=value))
    assert where == "occurred"
    assert why.startswith(reason)


@pytest.mark.parametrize(
    ("value", "ms"),
    [(None, 77), ("", 77), ("14d", 1_209_600_000), ("0s", 0), ("0", 0), (5, 5), ("1500", 1_500)],
)
def test_reads_windows(value: object, ms: int) -> None:
    assert cleaned(record(window=value), windows={"code": 77}).table.window_ms.tolist() == [ms]


@pytest.mark.parametrize("value", ["soon", -1, 1.5, True, 2**48, "-3d", "99999999999999999w"])
def test_rejects_windows(value: object) -> None:
    assert only_reject(record(window=value))[0] == "window"


def test_until_turns_away_what_came_later() -> None:
    result = cleaned(record(1, occurred=1_000), record(2, occurred=1_001), until_ms=1_000)
    assert result.table.id == ["test:1"]
    assert result.rejects[0].reason == "after --until: 1970-01-01T00:00:01.001Z"


def test_exact_duplicates_keep_the_first_and_name_it() -> None:
    result = cleaned(record(5, id="a"), record(3, id="a", interaction="1.000"), record(9, id="b"))
    assert result.table.id == ["a", "b"]
    assert [(r.line, r.reason) for r in result.rejects] == [(5, "duplicate: same as feed.csv:3")]
    assert result.duplicates == 1


def test_conflicting_duplicates_are_all_rejected() -> None:
    result = cleaned(record(1, id="a"), record(2, id="a", engagement=4), record(3, id="a"), record(4))
    assert result.table.id == ["test:4"]
    assert [r.line for r in result.rejects] == [1, 2, 3]
    assert {r.reason for r in result.rejects} == {"conflicting duplicate: 3 different records have this id"}
    assert result.duplicates == 0


def test_a_refusal_of_the_source_goes_to_the_rejects() -> None:
    assert only_reject(record(refused=("member", "a bot: x"))) == ("member", "a bot: x")


def test_rejects_file_holds_every_row_with_its_original(tmp_path: Path) -> None:
    result = cleaned(
        record(2, member="", original={"member": "", "n": Decimal("1.5"), "bad": "\udcff"}),
        record(1, id="x", occurred="x", original='a,"b'),
    )
    write_rejects(tmp_path / "r.csv", result.rejects)
    with (tmp_path / "r.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["source"], row["line"], row["id"], row["field"]) for row in rows] == [
        ("feed.csv", "1", "x", "occurred"),
        ("feed.csv", "2", "test:2", "member"),
    ]
    assert json.loads(rows[0]["record"]) == 'a,"b'
    assert json.loads(rows[1]["record"]) == {"member": "", "n": "1.5", "bad": "\udcff"}
    with pytest.raises(ActivityError, match="cannot write the rejects"):
        write_rejects(tmp_path / "no" / "r.csv", result.rejects)


WILD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 10**13),
    st.floats(),
    st.decimals(),
    st.text(max_size=5),
    st.sampled_from(["4", "4.5", "2023-11-14T22:13:20Z", "14d", "code", "ada"]),
)
WILD_RECORDS = st.lists(
    st.builds(
        RawRecord,
        st.sampled_from(["a.csv", "b.csv"]),
        st.integers(1, 9),
        id=st.sampled_from(["1", "2", "3", ""]) | WILD,
        member=st.just("ada") | WILD,
        domain=st.just("code") | WILD,
        occurred=st.integers(0, 9) | WILD,
        window=st.none() | WILD,
        interaction=st.integers(0, 1) | WILD,
        originality=st.just(1) | WILD,
        engagement=st.just(1) | WILD,
    ),
    max_size=12,
)


@given(WILD_RECORDS, st.randoms())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_rows_add_up_and_order_never_matters(records: list[RawRecord], order: random.Random) -> None:
    result = cleaned(*records)
    assert result.read == len(records) == len(result.table) + len(result.rejects)
    shuffled = list(records)
    order.shuffle(shuffled)
    again = cleaned(*shuffled)
    assert list(canonical_records(again.table)) == list(canonical_records(result.table))
    assert again.table.salt.tobytes() == result.table.salt.tobytes()
    assert again.rejects == result.rejects


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 3)), max_size=40), st.randoms())
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_shuffled_input_gives_identical_bytes(
    tmp_path: Path, acts: list[tuple[int, int]], order: random.Random
) -> None:
    records = [
        record(line, id=f"test:{name}", occurred=name // 5, interaction=rank)
        for line, (name, rank) in enumerate(acts)
    ]
    write_activity(cleaned(*records).table, tmp_path / "one.parquet")
    order.shuffle(records)
    write_activity(cleaned(*records).table, tmp_path / "two.parquet")
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()


def some_table() -> ActivityTable:
    return cleaned(
        record(1, member="zoë", occurred=5, interaction="4.5"), record(2, occurred=3), record(3, occurred=3)
    ).table


def test_canonical_record_is_pinned() -> None:
    table = some_table()
    assert table.id == ["test:2", "test:3", "test:1"]
    expected = (
        '{"domain":"code","engagement_milli":3000,"id":"test:1","interaction_milli":4500,"member":"zoë",'
        '"occurred_ms":5,"originality_milli":2000,"window_ms":0}'
    ).encode()
    assert canonical_record(table, 2) == expected
    assert list(canonical_records(table))[2] == expected
    assert record_ids(table)[2].tobytes() == record_id(table.salt[2].tobytes(), expected)


def test_another_key_gives_other_ids_and_the_same_records() -> None:
    ours, public = some_table(), clean([record()], now_ms=NOW_MS, salt_key=PUBLIC_SALT_KEY).table
    other = clean([record()], now_ms=NOW_MS, salt_key=KEY).table
    assert canonical_record(public, 0) == canonical_record(other, 0)
    assert record_ids(public).tobytes() != record_ids(other).tobytes()
    assert len({row.tobytes() for row in ours.salt}) == 3


def test_salt_key_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_bytes(b"0123456789abcdef\n")
    assert load_salt_key(file) == b"0123456789abcdef\n"
    assert load_salt_key(None) == PUBLIC_SALT_KEY
    file.write_bytes(b"too short")
    with pytest.raises(ActivityError, match="9 bytes, at least 16") as caught:
        load_salt_key(file)
    assert "too short" not in f"{caught.value} {caught.value.hint}"
    with pytest.raises(ActivityError, match="cannot read the salt key"):
        load_salt_key(tmp_path / "none")


def test_table_round_trip(tmp_path: Path) -> None:
    for table in (some_table(), cleaned().table):
        write_activity(table, tmp_path / "t.parquet")
        back = read_activity(tmp_path / "t.parquet")
        assert (back.id, back.member, back.domain) == (table.id, table.member, table.domain)
        for column in (
            "occurred_ms",
            "window_ms",
            "interaction_milli",
            "originality_milli",
            "engagement_milli",
            "salt",
        ):
            ours, theirs = getattr(table, column), getattr(back, column)
            assert ours.dtype == theirs.dtype
            assert ours.tobytes() == theirs.tobytes()
    assert list((tmp_path).iterdir()) == [tmp_path / "t.parquet"]


def test_take_picks_rows_in_the_given_order() -> None:
    table = some_table().take(np.array([2, 0]))
    assert table.id == ["test:1", "test:2"]
    assert table.interaction_milli.tolist() == [4_500, 1_000]


@pytest.mark.parametrize("cut", [1, 4, 9, 200])
def test_refuses_a_truncated_file(tmp_path: Path, cut: int) -> None:
    file = tmp_path / "t.parquet"
    write_activity(some_table(), file)
    file.write_bytes(file.read_bytes()[:-cut])
    with pytest.raises(ActivityError, match="not a readable Parquet file"):
        read_activity(file)


def test_refuses_foreign_and_missing_files(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pytest.raises(ActivityError, match="no such file"):
        read_activity(tmp_path / "none.parquet")
    pq.write_table(pa.table({"x": [1]}), tmp_path / "x.parquet")
    with pytest.raises(ActivityError, match="not an activity table"):
        read_activity(tmp_path / "x.parquet")
    write_activity(some_table(), tmp_path / "t.parquet")
    arrow = pq.read_table(tmp_path / "t.parquet")
    pq.write_table(arrow.drop_columns(["salt"]), tmp_path / "x.parquet")
    with pytest.raises(ActivityError, match="'salt' is missing"):
        read_activity(tmp_path / "x.parquet")
    wide = arrow.set_column(5, "interaction_milli", arrow["interaction_milli"].cast(pa.int64()))
    pq.write_table(wide.replace_schema_metadata(arrow.schema.metadata), tmp_path / "x.parquet")
    with pytest.raises(ActivityError, match="'interaction_milli' is int64, not uint32"):
        read_activity(tmp_path / "x.parquet")
    pq.write_table(arrow.take([1, 0, 2]), tmp_path / "x.parquet")
    with pytest.raises(ActivityError, match="not ordered") as caught:
        read_activity(tmp_path / "x.parquet")
    assert caught.value.where == f"{tmp_path / 'x.parquet'}, row 1"
    pq.write_table(arrow.take([0, 0, 2]), tmp_path / "x.parquet")
    with pytest.raises(ActivityError, match="id repeats: 'test:2'"):
        read_activity(tmp_path / "x.parquet")


def test_refuses_to_write_what_could_not_be_read(tmp_path: Path) -> None:
    with pytest.raises(ActivityError, match="not ordered"):
        write_activity(some_table().take(np.array([2, 0])), tmp_path / "t.parquet")
    with pytest.raises(ActivityError, match="cannot write"):
        write_activity(some_table(), tmp_path / "no" / "t.parquet")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("occurred", [1_767_225_600, "1767225600", 10**9, 10**11 - 1])
def test_seconds_are_not_taken_for_milliseconds(occurred: object) -> None:
    result = clean([record(occurred=occurred)], now_ms=NOW_MS, salt_key=KEY)
    assert len(result.table) == 0
    (reject,) = result.rejects
    assert reject.field == "occurred"
    assert reject.reason.startswith("Unix seconds?")
    assert "milliseconds" in reject.reason
