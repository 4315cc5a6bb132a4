"""The plan's document.

plan
├── reads back as it was written, and has one hash
├── any field changed: another hash, and a file that states the old one is refused
├── not JSON, too deep, twice the same field, NaN, an unknown or missing field: refused, named
├── a number out of range, a rate's wrong spread, two arms alike, end before start: refused, field named
├── younger than its start: says so of itself, or is refused
├── guardrails: each kind with its own field, no other's
├── the covariate is not the metric; columns of the log are not taken twice
└── a file that is there is not overwritten, and nothing is left of a failed write
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.attention.experiment.builders import BEFORE, GINI, RATE, make
from timebank_chain.attention.experiment.plan import (
    Arm,
    Guardrail,
    Plan,
    plan_from_json,
    read_plan,
    write_plan,
)
from timebank_chain.errors import AttentionError, UsageError

FULL = make(
    covariate=BEFORE,
    end_ms=make().start_ms + 1,
    guardrails=(
        replace(GINI, by="cohort"),
        Guardrail("exposure", "offer", 0.01, lowest=0.25),
        Guardrail("mean", "posts", 0.1, better="up"),
    ),
)

plans = st.builds(
    make,
    name=st.from_regex(r"[A-Za-z0-9_]([A-Za-z0-9_. -]{0,20}[A-Za-z0-9_.-])?", fullmatch=True),
    salt=st.binary(min_size=32, max_size=32),
    arms=st.lists(
        st.builds(Arm, st.sampled_from(["a", "b", "c", "d"]), st.integers(1, 1_000_000)),
        min_size=2,
        max_size=2,
        unique_by=lambda arm: arm.name,
    ).map(tuple),
    alpha=st.floats(1e-6, 0.5),
    power=st.floats(0.5, 0.99),
    minimal_effect=st.floats(1e-6, 1e6),
    members_per_arm=st.tuples(st.integers(2, 10**9), st.integers(2, 10**9)),
    covariate=st.sampled_from([None, BEFORE]),
    guardrails=st.sampled_from([(), (GINI,), FULL.guardrails]),
)


@given(plans)
def test_reads_back_as_written(plan: Plan) -> None:
    again = plan_from_json(json.dumps(plan.to_json()))
    assert again == plan
    assert again.hash() == plan.hash()


def changed(path: tuple[str | int, ...], value: Any, plan: Plan = FULL) -> str:
    document = plan.to_json()
    place: Any = document
    for step in path[:-1]:
        place = place[step]
    if value is KeyError:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return json.dumps(document)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("name",), "other"),
        (("salt",), "0x" + "00" * 32),
        (("alpha",), 0.1),
        (("members_per_arm", 0), 999),
        (("metric", "better"), "down"),
        (("guardrails", 0, "tolerance"), 0.5),
        (("method",), "fixed"),
        (("planned_ms",), 0),
        (("hash",), "0x" + "00" * 32),
    ],
)
def test_changed_plan_is_refused(path: tuple[str | int, ...], value: Any) -> None:
    with pytest.raises(AttentionError, match="changed after it was made") as error:
        plan_from_json(changed(path, value))
    assert error.value.where == "plan, field 'hash'"


@pytest.mark.parametrize(
    ("path", "value", "words", "field"),
    [
        (("extra",), 1, "unknown field 'extra'", None),
        (("alpha",), KeyError, "'alpha' is missing", None),
        (("schema",), "timebank.attention.experiment.plan/2", "this version reads", None),
        (("alpha",), 0.9, "from 1e-06 to 0.5", "alpha"),
        (("alpha",), True, "not True", "alpha"),
        (("alpha",), "0.05", "not '0.05'", "alpha"),
        (("power",), 1.0, "from 0.5", "power"),
        (("start_ms",), -1, "whole number", "start_ms"),
        (("end_ms",), 5, "end is not after", "end_ms"),
        (("backdated",), 1, "true or false", "backdated"),
        (("backdated",), True, "says to be backdated", "backdated"),
        (("planned_ms",), FULL.start_ms + 1, "says not to be backdated", "backdated"),
        (("planned_ms",), KeyError, "'planned_ms' is missing", None),
        (("salt",), "0x12", "64 hexadecimal", "salt"),
        (("arms",), [{"name": "control", "weight": 1}], "2 to 16", "arms"),
        (("arms", 1, "name"), "control", "two arms", "arms"),
        (("arms", 1, "name"), "=1", "is no name", "name"),
        (("metric", "name"), "replies ", "is no name", "name"),
        (("arms", 0, "weight"), 0, "whole number", "weight"),
        (("members_per_arm",), [5], "each of 2 arms", "members_per_arm"),
        (("members_per_arm", 0), 1, "whole number", "members_per_arm"),
        (("metric", "kind"), "median", "none of rate, mean", "kind"),
        (("metric", "name"), "arm", "another meaning", "name"),
        (("metric", "spread"), 0.0, "from 1e-12", "spread"),
        (("covariate", "name"), "replies", "the metric itself", "name"),
        (("covariate", "correlation"), 1.0, "from -0.999", "correlation"),
        (("guardrails", 0, "lowest"), 0.5, "gini has no 'lowest'", "lowest"),
        (("guardrails", 1, "lowest"), KeyError, "exposure needs 'lowest'", "lowest"),
        (("guardrails", 2, "better"), "sideways", "none of up, down", "better"),
        (("guardrails", 0, "tolerance"), 1.5, "from 0 to 1", "tolerance"),
        (("guardrails", 0), 7, "expected an object", None),
    ],
)
def test_broken_rule_is_named(path: tuple[str | int, ...], value: Any, words: str, field: str | None) -> None:
    with pytest.raises(AttentionError, match=words) as error:
        plan_from_json(changed(path, value))
    assert field is None or f"field {field!r}" in str(error.value.where)


def test_rate_has_the_spread_of_a_rate() -> None:
    assert plan_from_json(json.dumps(make(metric=RATE).to_json())).metric == RATE
    with pytest.raises(AttentionError, match=r"standard deviation of 0.4"):
        plan_from_json(json.dumps(make(metric=replace(RATE, spread=0.3)).to_json()))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not JSON"),
        ("[" * 100 + "]" * 100, "deeper than"),
        ('{"schema": 1, "schema": 2}', "stands twice"),
        ("[]", "expected an object"),
        (json.dumps(FULL.to_json()).replace('"alpha": 0.05', '"alpha": NaN'), "no JSON number"),
        (json.dumps(FULL.to_json()).replace('"alpha": 0.05', '"alpha": 1e999'), "not inf"),
        (b"\xff", "not JSON"),
    ],
)
def test_unreadable_document_is_refused(text: str | bytes, words: str) -> None:
    with pytest.raises(AttentionError, match=words):
        plan_from_json(text)


def test_file_is_written_once(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    write_plan(path, FULL)
    assert read_plan(path) == FULL
    with pytest.raises(UsageError, match="is there already"):
        write_plan(path, make())
    write_plan(path, make(), force=True)
    assert read_plan(path) == make()
    with pytest.raises(UsageError, match="cannot write"):
        write_plan(tmp_path / "nowhere" / "plan.json", FULL)
    assert [one.name for one in tmp_path.iterdir()] == ["plan.json"]


def test_missing_or_endless_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AttentionError, match="cannot read the plan"):
        read_plan(tmp_path / "none.json")
    big = tmp_path / "big.json"
    big.write_bytes(b" " * 70_000)
    with pytest.raises(AttentionError, match="not a plan: more than"):
        read_plan(big)
