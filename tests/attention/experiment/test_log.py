"""A log that must fit its plan.

log
├── CSV and JSON lines give the same
├── refused, line and field named
│   ├── a column missing; a cell empty, no number, NaN, infinite, with an underscore
│   ├── an unknown arm; a member in two arms; a member twice; another arm than assigned
│   ├── before the start; at the end or after; a time without a zone; ten years late
│   ├── a rate that is not 0 or 1; a negative amount for a Gini index
│   └── not UTF-8, no rows, ragged, twice the same column, an endless cell, not an object
├── a member without a covariate is kept
├── exposures: members of the log only; needed exactly when the plan says so
└── members to assign: each once
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from tests.attention.experiment.builders import (
    BEFORE,
    DAY_MS,
    GINI,
    RATE,
    START_MS,
    make,
    write_csv,
    write_json_lines,
)
from timebank_chain.attention.experiment.assign import assign
from timebank_chain.attention.experiment.columns import read_columns
from timebank_chain.attention.experiment.log import (
    read_exposures,
    read_log,
    read_members,
    require_exposures,
)
from timebank_chain.attention.experiment.plan import Guardrail, Plan
from timebank_chain.errors import AttentionError, UsageError
from timebank_chain.units import format_time

PLAN = make(end_ms=START_MS + 30 * DAY_MS)
AT = format_time(START_MS + DAY_MS)
HEADER = "member,arm,at,replies"


def test_csv_and_json_lines_are_the_same(tmp_path: Path) -> None:
    late = START_MS + 3 * DAY_MS
    table = write_csv(
        tmp_path / "log.csv", "\ufeff" + HEADER, f"ada,control,{AT},1.5", f'"b,ob", new ,{late},-2e1', ""
    )
    lines = write_json_lines(
        tmp_path / "log.jsonl",
        {"member": "ada", "arm": "control", "at": AT, "replies": 1.5},
        {"member": "b,ob", "arm": "new", "at": late, "replies": -20},
    )
    one, two = read_log(table, PLAN), read_log(lines, PLAN)
    assert one.member == two.member == ["ada", "b,ob"]
    for found in (one, two):
        assert found.arm.tolist() == [0, 1]
        assert found.day.tolist() == [1, 3]
        assert found.outcome.tolist() == [1.5, -20.0]
        assert found.last_ms == late


@pytest.mark.parametrize(
    ("row", "words", "line", "field"),
    [
        (f"eve,other,{AT},1", "'other' is none of the plan's", 3, "arm"),
        (f"ada,new,{AT},1", r"in two arms: control \(line 2\) and new", 3, "arm"),
        (f"ada,control,{AT},1", "stands in line 2 already", 3, "member"),
        (f",control,{AT},1", "empty", 3, "member"),
        (f"eve,new,{AT},", "empty", 3, "replies"),
        (f"eve,new,{AT},nan", "'nan' is no finite number", 3, "replies"),
        (f"eve,new,{AT},inf", "no finite number", 3, "replies"),
        (f"eve,new,{AT},1e999", "no finite number", 3, "replies"),
        (f"eve,new,{AT},1_0", "no finite number", 3, "replies"),
        (f"eve,new,{START_MS - 1},1", "before the experiment's start", 3, "at"),
        (f"eve,new,{START_MS + 30 * DAY_MS},1", "not before the experiment's end", 3, "at"),
        ("eve,new,2026-10-01T00:00:00,1", "without a zone", 3, "at"),
    ],
)
def test_wrong_row_is_named(tmp_path: Path, row: str, words: str, line: int, field: str) -> None:
    path = write_csv(tmp_path / "log.csv", HEADER, f"ada,control,{AT},1", row)
    with pytest.raises(AttentionError, match=words) as error:
        read_log(path, PLAN)
    assert error.value.where == f"{path}:{line}, field {field!r}"


def test_arm_other_than_assigned_is_refused(tmp_path: Path) -> None:
    plan = make(assignment="hash")
    right = {name: assign(plan, name) for name in ("ada", "bob", "eve")}
    rows = [f"{name},{arm},{AT},1" for name, arm in right.items()]
    assert len(read_log(write_csv(tmp_path / "log.csv", HEADER, *rows), plan).member) == 3
    wrong = "new" if right["eve"] == "control" else "control"
    path = write_csv(tmp_path / "log.csv", HEADER, *rows[:2], f"eve,{wrong},{AT},1")
    with pytest.raises(AttentionError, match=f"logged in arm {wrong}, the plan assigns {right['eve']}"):
        read_log(path, plan)


def test_too_long_an_experiment_is_refused(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "log.csv", HEADER, f"ada,control,{START_MS + 4_000 * DAY_MS},1")
    with pytest.raises(AttentionError, match="more than 3660 days"):
        read_log(path, make())


def test_values_of_their_kind(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "log.csv", "member,arm,at,replied", f"ada,control,{AT},0.5")
    with pytest.raises(AttentionError, match="a rate's values are 0 and 1"):
        read_log(path, make(metric=RATE))
    path = write_csv(tmp_path / "log.csv", HEADER, f"ada,control,{AT},-1")
    with pytest.raises(AttentionError, match="not negative ones"):
        read_log(path, make(guardrails=(GINI,)))
    assert read_log(path, make()).outcome.tolist() == [-1.0]


@pytest.mark.parametrize(
    ("plan", "column"),
    [
        (make(metric=RATE), "replied"),
        (make(covariate=BEFORE), "before"),
        (make(guardrails=(Guardrail("mean", "posts", 0.1, better="up"),)), "posts"),
        (make(guardrails=(Guardrail("gini", "replies", 0.1, by="cohort"),)), "cohort"),
    ],
)
def test_missing_column_is_named(tmp_path: Path, plan: Plan, column: str) -> None:
    path = write_csv(tmp_path / "log.csv", HEADER, f"ada,control,{AT},1")
    with pytest.raises(AttentionError, match=f"column '{column}' is missing") as error:
        read_log(path, plan)
    assert "the file has member, arm, at, replies" in str(error.value.hint)


def test_member_without_a_covariate_is_kept(tmp_path: Path) -> None:
    header = HEADER + ",before"
    path = write_csv(tmp_path / "log.csv", header, f"ada,control,{AT},1,2", f"eve,new,{AT},1,")
    found = read_log(path, make(covariate=BEFORE)).covariate
    assert found is not None
    assert found[0] == 2.0 and math.isnan(found[1])
    path = write_csv(tmp_path / "log.csv", header, f"ada,control,{AT},1,nan")
    with pytest.raises(AttentionError, match="'nan' is no finite number"):
        read_log(path, make(covariate=BEFORE))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", b"member\n", "no rows"),
        ("a.csv", b"", "header"),
        ("a.csv", b"member,member\na,b\n", "the same name"),
        ("a.csv", b"member,arm\na\n", "1 cells under 2 columns"),
        ("a.csv", b'member\n"a"b\n', "not CSV"),
        ("a.csv", b"member\n\xff\n", "not UTF-8"),
        ("a.csv", b"member\n" + b"x" * 5_000 + b"\n", "characters, at most"),
        ("a.csv", ",".join(str(number) for number in range(1_001)).encode(), "1 to 1000 columns"),
        ("a.jsonl", b"[1]\n", "expected an object"),
        ("a.jsonl", b'{"a": [1]}\n', "expected a text or a number"),
        ("a.jsonl", b"{\n", "not JSON"),
    ],
)
def test_unreadable_file_is_refused(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(AttentionError, match=words):
        read_columns(path)


def test_file_that_is_not_there_or_too_large(tmp_path: Path) -> None:
    with pytest.raises(AttentionError, match="cannot read"):
        read_columns(tmp_path / "none.csv")
    path = write_csv(tmp_path / "a.csv", "member", "ada", "bob")
    with pytest.raises(AttentionError, match="too large"):
        read_columns(path, limit=10)


def test_exposures(tmp_path: Path) -> None:
    log = read_log(write_csv(tmp_path / "l.csv", HEADER, f"ada,control,{AT},1", f"eve,new,{AT},2"), PLAN)
    path = write_csv(tmp_path / "e.csv", "member,offer", "eve,o2", "ada,o1", "eve,o1")
    found = read_exposures(path, "offer", log)
    assert found.offers == ["o1", "o2"]
    assert found.member_row.tolist() == [1, 0, 1]
    assert found.offer.tolist() == [1, 0, 0]
    path = write_csv(tmp_path / "e.csv", "member,offer", "zoe,o2")
    with pytest.raises(AttentionError, match="'zoe' is not in the log"):
        read_exposures(path, "offer", log)


def test_exposures_are_asked_for_when_needed(tmp_path: Path) -> None:
    rule = Guardrail("exposure", "offer", 0.01, lowest=0.25)
    assert require_exposures(make(), None) is None
    assert require_exposures(make(guardrails=(rule,)), tmp_path) == "offer"
    with pytest.raises(UsageError, match="has a guardrail on exposure"):
        require_exposures(make(guardrails=(rule,)), None)
    with pytest.raises(UsageError, match="no guardrail on exposure"):
        require_exposures(make(), tmp_path)
    with pytest.raises(UsageError, match="2 columns of exposures: offer, post"):
        other = Guardrail("exposure", "post", 0.01, lowest=0.25)
        require_exposures(make(guardrails=(rule, other)), tmp_path)


def test_members_to_assign_stand_once(tmp_path: Path) -> None:
    assert read_members(write_csv(tmp_path / "m.csv", "member,x", "ada,1", "bob,2")) == ["ada", "bob"]
    with pytest.raises(AttentionError, match="stands in line 2 already"):
        read_members(write_csv(tmp_path / "m.csv", "member", "ada", "bob", "ada"))
    with pytest.raises(AttentionError, match="'member' is missing"):
        read_members(write_csv(tmp_path / "m.csv", "name", "ada"))


def test_columns_as_numbers_keep_their_digits(tmp_path: Path) -> None:
    table = read_columns(write_csv(tmp_path / "n.csv", "x", "0.1", "+2.", ".5", "-1E-3"))
    assert table.numbers("x").dtype == np.float64
    assert table.numbers("x").tolist() == [0.1, 2.0, 0.5, -0.001]
