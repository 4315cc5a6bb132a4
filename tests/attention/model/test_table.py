"""Tables as a model's data.

read
├── CSV, gzip and Parquet of the same rows give the same data
├── numbers, words and lengths of texts become features; empty cells are missing
├── "*" takes every other column of numbers; those that are something else are told of, with a row
├── an odd cell among numbers: refused with its row, not the column dropped
├── times: iso and dates, ms, s, days, ages in days (older first)
├── time going backwards is sorted, rows without a time or with an impossible target are left out and counted
└── known_after moves the time of knowledge, not the time of posting
predict
├── a word the model never saw is coded unknown, an empty cell missing
├── the target may be absent
└── a column the model learned from is missing: refused by name
declared leaks (exit 3, by name)
├── known a duration after posting
├── recorded, row by row, after posting or nobody knows when
└── recorded at posting: fine
refused
├── empty file, header twice, ragged row, no UTF-8, a broken Parquet, missing column, no feature
├── a word in a column of numbers; a time that is none: with row and column
├── no row to learn from: the target is missing, infinite, too low, or no time is told
├── a target that is known before its post appears
├── ignored or said to be available, and in no column; ignored and named to be learned from
└── task documents: unknown, missing, wrong fields; the time or target as a feature; another schema
"""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.attention.model.communities import DAY_MS, MONDAY_MS, table_columns, write_csv
from timebank_chain.attention.model.dataset import MISSING_CODE, UNKNOWN_CODE, Feature
from timebank_chain.attention.model.table import table_dataset
from timebank_chain.attention.model.task import SCHEMA, Task, read_task, task_from_json
from timebank_chain.errors import AttentionError, CheckFailed, UsageError

TASK = Task(
    time="posted",
    target="shares",
    id="post",
    categorical=("topic",),
    text_length=("text",),
    known_after="7d",
)


def test_csv_gzip_and_parquet_agree(tmp_path: Path) -> None:
    columns = table_columns(50)
    plain = write_csv(tmp_path / "t.csv", columns)
    packed = tmp_path / "t.csv.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    numbers = {**columns, **{name: [float(str(x)) for x in columns[name]] for name in ("skill", "shares")}}
    parquet = tmp_path / "t.parquet"
    pq.write_table(pa.table(numbers), parquet)
    first, *others = (table_dataset(path, TASK) for path in (plain, packed, parquet))
    assert [one.digest() for one in others] == [first.digest()] * 2
    assert first.names == ("skill", "text:characters", "text:words", "topic")
    assert first.time_ms[0] == MONDAY_MS
    assert (first.known_ms - first.time_ms == 7 * DAY_MS).all()
    assert first.values[0, 2] == pytest.approx(np.log1p(1))
    assert first.target[0] == pytest.approx(np.log1p(float(str(columns["shares"][0]))))


def test_star_takes_numbers_only(tmp_path: Path) -> None:
    columns = {
        "t": [1, 2],
        "y": [1, 2],
        "a": [1.5, ""],
        "b": ["x", 2],
        "c": ["NA", "3e2"],
        "d": [1, 1],
    }
    task = Task(time="t", time_kind="s", target="y", ignore=("d",))
    data = table_dataset(write_csv(tmp_path / "t.csv", columns), task)
    assert data.names == ("a", "c")
    assert "left out, as they are no numbers: 'b' (row 1: 'x')" in data.notes
    assert np.isnan(data.values[1, 0])
    assert np.isnan(data.values[0, 1])


@pytest.mark.parametrize(
    ("kind", "cells", "expected"),
    [
        ("iso", ["1970-01-02", "1970-01-03T00:00:00+00:00"], [DAY_MS, 2 * DAY_MS]),
        ("ms", [5, 7], [5, 7]),
        ("s", [5, 7.5], [5_000, 7_500]),
        ("days", [1, 2], [DAY_MS, 2 * DAY_MS]),
    ],
)
def test_times(tmp_path: Path, kind: str, cells: list[object], expected: list[int]) -> None:
    path = write_csv(tmp_path / "t.csv", {"t": cells, "y": [1, 2], "a": [1, 2]})
    assert table_dataset(path, Task(time="t", time_kind=kind, target="y")).time_ms.tolist() == expected


def test_ages_put_the_oldest_first_and_say_so(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", {"t": [1, 30, 2], "y": [1, 2, 3], "a": [1, 2, 3]})
    data = table_dataset(path, Task(time="t", time_kind="age_days", target="y"))
    assert data.ids == ("2", "3", "1")
    assert data.time_ms[1] - data.time_ms[0] == 28 * DAY_MS
    assert any("only keep order" in limit for limit in data.limits)


def test_rows_out_of_order_or_unusable_are_reported(tmp_path: Path) -> None:
    columns = {"t": [3, 1, "", 2, 4], "y": [1, 2, 3, "inf", ""], "a": [1, 2, 3, 4, 5]}
    data = table_dataset(write_csv(tmp_path / "t.csv", columns), Task(time="t", time_kind="s", target="y"))
    assert data.ids == ("2", "1", "5")
    assert np.isnan(data.target[2])
    assert any("1 rows with an infinite or impossible target" in note for note in data.notes)
    assert any("1 rows without a time" in note for note in data.notes)
    assert any("1 rows have no target" in note for note in data.notes)
    assert any("time went backwards" in note for note in data.notes)


def test_target_below_what_its_transform_takes(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", {"t": [1, 2], "y": [-1, 5], "a": [1, 2]})
    assert len(table_dataset(path, Task(time="t", time_kind="s", target="y"))) == 1
    assert len(table_dataset(path, Task(time="t", time_kind="s", target="y", transform="none"))) == 2


def test_predicting_knows_the_models_words(tmp_path: Path) -> None:
    learned = table_dataset(write_csv(tmp_path / "t.csv", table_columns(30)), TASK)
    later = table_columns(3)
    later["topic"] = ["opera", "", "code"]
    del later["shares"]
    data = table_dataset(write_csv(tmp_path / "n.csv", later), TASK, features=learned.features)
    assert data.names == learned.names
    assert data.values[:, 3].tolist() == [UNKNOWN_CODE, MISSING_CODE, 1.0]
    assert np.isnan(data.target).all()
    del later["skill"]
    with pytest.raises(AttentionError, match="lacks the column 'skill'"):
        table_dataset(write_csv(tmp_path / "n.csv", later), TASK, features=learned.features)


def test_column_declared_known_later_is_caught_by_name(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", table_columns(30))
    task = Task(time="posted", target="shares", numeric=("skill",), available={"skill": "3d"})
    with pytest.raises(
        CheckFailed, match="column 'skill' leaks: it is declared to be known only 3d"
    ) as error:
        table_dataset(path, task)
    assert error.value.exit_code == 3


def test_column_recorded_later_is_caught_by_name(tmp_path: Path) -> None:
    columns = table_columns(30)
    columns["taken"] = list(columns["posted"])
    task = Task(time="posted", target="shares", numeric=("skill",), available={"skill": "column:taken"})
    assert table_dataset(write_csv(tmp_path / "t.csv", columns), task).names == ("skill",)
    for late in ("2030-01-01T00:00:00Z", ""):
        columns["taken"][4] = late
        with pytest.raises(CheckFailed, match="column 'skill' leaks: in 1 rows 'taken' does not say so"):
            table_dataset(write_csv(tmp_path / "t.csv", columns), task)
    columns["skill"][4] = ""
    assert len(table_dataset(write_csv(tmp_path / "t.csv", columns), task)) == 30


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"t,y,a\n", "no rows"),
        (b"t,y,a,a\n1,1,1,1\n", "'a' stands twice"),
        (b"t,y,a\n1,1\n", "2 cells where the header has 3"),
        (b't,y,a\n1,1,"x\n', "not CSV"),
        (b"t,y,a\n1,1,\xff\n", "no UTF-8"),
        (b"PAR1 and no more", "not a readable Parquet"),
        (b"t,z,a\n1,1,1\n", "lacks the column 'y'"),
        (b"t,y\n1,1\n", "no feature column"),
        (b"t,y,a\nsoon,1,1\n", "'soon' is no time of the kind s"),
        (b"t,y,a\n1,many,1\n", "'many' is no number"),
        (b"\x1f\x8b broken", "gzip"),
    ],
)
def test_bad_tables_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(AttentionError, match=message):
        table_dataset(path, Task(time="t", time_kind="s", target="y"))


BASE = Task(time="t", time_kind="s", target="y")


def test_odd_cell_does_not_drop_its_column(tmp_path: Path) -> None:
    columns: dict[str, list[object]] = {name: list(range(20)) for name in ("t", "y", "a", "b")}
    columns["a"][4] = "n.a."
    path = write_csv(tmp_path / "t.csv", columns)
    with pytest.raises(
        AttentionError, match=r"'n.a.' is no number, but 19 of the column's 20 cells are"
    ) as error:
        table_dataset(path, BASE)
    assert error.value.where == f"{path}, column 'a', row 5"
    assert "--ignore a" in (error.value.hint or "")
    assert table_dataset(path, replace(BASE, ignore=("a",))).names == ("b",)
    columns["a"][4] = ""
    assert table_dataset(write_csv(path, columns), BASE).names == ("a", "b")


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["", "NA", ""], "target 'y' is missing in all 3 rows"),
        (["inf", "-inf", "inf"], "target 'y' is infinite in all 3 rows"),
        ([-5, -1, -5], "target 'y' is at or below -1 in all 3 rows"),
        (["", "inf", -5], "in none of 3 rows: missing in 1, infinite in 1, at or below -1 in 1"),
    ],
)
def test_target_no_row_has_is_told(tmp_path: Path, cells: list[object], message: str) -> None:
    path = write_csv(tmp_path / "t.csv", {"t": [1, 2, 3], "y": cells, "a": [1, 2, 3]})
    with pytest.raises(AttentionError, match=message):
        table_dataset(path, BASE)


def test_time_no_row_has_is_told(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", {"t": ["", "NA"], "y": [1, 2], "a": [1, 2]})
    with pytest.raises(AttentionError, match="time 't' is missing in all 2 rows"):
        table_dataset(path, BASE)


def test_target_known_before_its_post_appears(tmp_path: Path) -> None:
    columns: dict[str, list[object]] = {"t": [1, 2, 4_102_444_800], "y": [1, 2, 3], "a": [1, 2, 3]}
    path = write_csv(tmp_path / "t.csv", columns)
    with pytest.raises(AttentionError, match=r"time in the future: 2100-01-01T00:00:00Z") as error:
        table_dataset(path, BASE, now_ms=MONDAY_MS)
    assert error.value.where == f"{path}, column 't', row 3"
    # A post that is yet to appear may stand there without one.
    columns["y"][2] = ""
    assert len(table_dataset(write_csv(path, columns), BASE, now_ms=MONDAY_MS)) == 3


@pytest.mark.parametrize("change", [{"ignore": ("lter",)}, {"available": {"lter": "7d"}}])
def test_name_in_no_column_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    path = write_csv(tmp_path / "t.csv", {"t": [1, 2], "y": [1, 2], "a": [1, 2], "later": [1, 2]})
    task = replace(BASE, **change)
    with pytest.raises(UsageError, match="'lter' is ") as error:
        table_dataset(path, task)
    assert error.value.hint == "it has: a, later, t, y"
    # To predict, a column that was left out need not be there.
    assert len(table_dataset(path, task, features=(Feature("a"),))) == 2


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AttentionError, match="cannot read"):
        table_dataset(tmp_path / "none.csv", TASK)


def test_word_among_numbers_names_row_and_column(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", {"t": [1, 2], "y": [1, 2], "a": [1, "x"]})
    with pytest.raises(AttentionError) as error:
        table_dataset(path, Task(time="t", time_kind="s", target="y", numeric=("a",)))
    assert error.value.where == f"{path}, column 'a', row 2"


def test_task_survives_its_document(tmp_path: Path) -> None:
    path = tmp_path / "task.json"
    path.write_text(json.dumps(TASK.to_json()))
    assert read_task(path) == TASK


DOCUMENT = {"schema": SCHEMA, "time": {"column": "t"}, "target": {"column": "y"}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": "timebank.attention.task/9"}, "task/9"),
        ({"extra": 1}, "unknown: extra"),
        ({"time": {}}, "missing: column"),
        ({"time": {"column": "t", "kind": "moon"}}, "unknown kind of time 'moon'"),
        ({"target": {"column": "y", "transform": "sqrt"}}, "unknown transform"),
        ({"target": {"column": "y", "known_after": "soon"}}, "soon"),
        ({"numeric": "a"}, "not a list"),
        ({"numeric": ["a", "a"]}, "named twice"),
        ({"categorical": ["a"], "ignore": ["a"]}, "'a' is both named to be learned from and ignored"),
        ({"numeric": ["y"]}, "is the target, not a feature"),
        ({"categorical": ["t"]}, "is the time, not a feature"),
        ({"available": {"a": "never"}}, "'a' is available 'never'"),
        ({"id": 3}, "not a text"),
    ],
)
def test_bad_tasks_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(AttentionError, match=message):
        task_from_json({**DOCUMENT, **change})


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=8,
    )
)
def test_any_document_is_a_task_or_refused(document: object) -> None:
    for one in (document, {**DOCUMENT, "numeric": document}, {**DOCUMENT, "available": document}):
        try:
            task = task_from_json(one)
        except AttentionError:
            continue
        assert task_from_json(task.to_json()) == task
