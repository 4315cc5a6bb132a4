"""``timebank value``, ``policy`` and ``examples``, run as a user runs them.

::

    value
    |- worked example: exact total as JSON and as text
    |- the same rows as CSV, JSON lines, Parquet, our own table, in any order, give one answer
    |- mapping, members, --tau, --at, --why, --skip-rejected do what they say
    `- refuses: rejected rows (by place), bad times, unknown policy, no file, damaged Parquet
    policy    list, show, check, hash
    examples  list, path, unknown name
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from timebank_chain.activity import PUBLIC_SALT_KEY, clean, placeholder_address, write_activity
from timebank_chain.activity.sources import csv_rows
from timebank_chain.cli import main
from timebank_chain.examples import example_names, example_path
from timebank_chain.policies import preset_names, read_preset
from timebank_chain.valuation import load_policy, policy_from_json, policy_hash, policy_with

WORKED = ("--policy", "identity", "--tau", "100s", "--at", "2026-01-01T00:00:10Z")
TOTAL = 269_108_441


@dataclass(frozen=True)
class Done:
    stdout: str
    stderr: str


def run(*arguments: object, code: int = 0) -> Done:
    """Run the real entry point in process: it decides exit codes and the error shape."""
    stdout, stderr = io.StringIO(), io.StringIO()
    argv = ["timebank", *map(str, arguments)]
    with (
        command_line(argv),
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
        pytest.raises(SystemExit) as ended,
    ):
        main.run()
    done = Done(stdout.getvalue(), stderr.getvalue())
    assert ended.value.code == code, done.stdout + done.stderr
    return done


@contextlib.contextmanager
def command_line(argv: list[str]) -> Iterator[None]:
    before, sys.argv = sys.argv, argv
    try:
        yield
    finally:
        sys.argv = before


def answer(*arguments: object) -> dict:
    return json.loads(run(*arguments, "--json").stdout)


def failure(*arguments: object, code: int = 1) -> dict:
    document = json.loads(run(*arguments, "--json", code=code).stdout)
    assert document["schema"] == "timebank.error/1"
    return document["error"]


def worked_rows() -> list[dict[str, str]]:
    with example_path("worked_example.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def write_csv(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_worked_example_as_json():
    document = answer("value", example_path("worked_example.csv"), *WORKED)
    policy = policy_with(load_policy("identity"), tau_ms=100_000)
    assert document["schema"] == "timebank.value/1"
    assert document["total_micro"] == TOTAL
    assert document["policy_hash"] == f"0x{policy_hash(policy).hex()}"
    assert (document["tau_ms"], document["half_life_ms"]) == (100_000, 69_315)
    assert (document["activities"], document["rejected"], document["not_settled"]) == (10, 0, 0)
    (entry,) = document["accounts"]
    assert bytes.fromhex(entry.pop("account")[2:]) == placeholder_address("author")
    assert entry == {
        "member": "author",
        "placeholder": True,
        "activities": 10,
        **dict.fromkeys(("earned_micro", "phi_micro", "standing_micro", "mint_micro"), TOTAL),
    }


def test_worked_example_from_a_shell():
    command = [sys.executable, "-c", "from timebank_chain.cli.main import run; run()", "value"]
    done = subprocess.run(
        [*command, str(example_path("worked_example.csv")), *WORKED, "--json"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout)["total_micro"] == TOTAL


def test_worked_example_as_text():
    text = run("value", example_path("worked_example.csv"), *WORKED, "--why", "author").stdout
    assert "total earned 269.108441" in text
    assert "mean lifetime (tau) 100s, half-life 69.315s" in text
    assert "act-10" in text
    assert "43.432197" in text  # 48 * exp(-0.1)


def test_every_format_and_order_gives_one_answer(tmp_path):
    rows = worked_rows()
    random.Random(1).shuffle(rows)
    files = [example_path("worked_example.csv"), write_csv(tmp_path / "mixed.csv", rows)]
    lines = tmp_path / "rows.jsonl"
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows))
    foreign = tmp_path / "rows.parquet"
    pq.write_table(pa.Table.from_pylist(rows), foreign)
    own = tmp_path / "activity.parquet"
    write_activity(clean(csv_rows(files[0]), now_ms=2**47, salt_key=PUBLIC_SALT_KEY).table, own)
    answers = [answer("value", file, *WORKED) for file in (*files, lines, foreign, own)]
    assert all(document == answers[0] for document in answers)
    assert answers[0]["total_micro"] == TOTAL


def test_default_time_is_when_the_last_act_settles():
    document = answer("value", example_path("worked_example.csv"), "--policy", "identity", "--tau", "100s")
    assert document["at"] == "2026-01-01T00:00:09Z"


def test_later_acts_are_counted_as_not_settled():
    arguments = (*WORKED[:-1], "2026-01-01T00:00:05Z")
    document = answer("value", example_path("worked_example.csv"), *arguments)
    assert (document["activities"], document["not_settled"]) == (6, 4)


def test_zone_of_the_time_matters():
    arguments = (*WORKED[:-1], "2026-01-01T08:00:10+08:00")
    assert answer("value", example_path("worked_example.csv"), *arguments)["total_micro"] == TOTAL


def test_receipt_adds_up():
    receipt = answer("value", example_path("worked_example.csv"), *WORKED, "--why", "author")["receipt"]
    assert len(receipt["activities"]) == 10
    assert receipt["sum_micro"] == sum(act["value_micro"] for act in receipt["activities"]) == TOTAL
    for act in receipt["activities"]:
        ranks = (act[f"{name}_rank_milli"] for name in ("interaction", "originality", "engagement"))
        first, second, third = ranks
        assert act["quality_micro"] == first * second * third // 1000
        assert act["value_micro"] == act["incentive_micro"] * act["weight_q31"] >> 31


def test_receipt_of_a_stranger_is_refused():
    error = failure("value", example_path("worked_example.csv"), *WORKED, "--why", "nobody", code=2)
    assert "'nobody'" in error["message"]


def test_members_file_names_the_account(tmp_path):
    members = tmp_path / "members.csv"
    members.write_text("member,address\nauthor,0x52908400098527886E0F7030069857D2E4169EE7\n")
    (entry,) = answer("value", example_path("worked_example.csv"), *WORKED, "--members", members)["accounts"]
    assert (entry["account"], entry["placeholder"]) == ("0x52908400098527886E0F7030069857D2E4169EE7", False)


def test_mapping_reads_foreign_columns(tmp_path):
    foreign = [
        {"n": str(n), "who": "author", "when": row["occurred"], "a": row["interaction"],
         "b": row["originality"], "c": row["engagement"]}
        for n, row in enumerate(worked_rows())
    ]  # fmt: skip
    mapping = tmp_path / "mapping.toml"
    mapping.write_text(
        'schema = "timebank.mapping/1"\ntitle = "t"\n'
        '[fields.id]\ncolumn = "n"\n[fields.member]\ncolumn = "who"\n[fields.domain]\nconstant = "general"\n'
        '[fields.occurred]\ncolumn = "when"\n[fields.interaction]\ncolumn = "a"\n'
        '[fields.originality]\ncolumn = "b"\n[fields.engagement]\ncolumn = "c"\n'
    )
    file = write_csv(tmp_path / "foreign.csv", foreign)
    assert answer("value", file, *WORKED, "--mapping", mapping)["total_micro"] == TOTAL


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("interaction", "-1", "negative"),
        ("originality", "many", "not a number"),
        ("engagement", "99999999999", "too large"),
        ("occurred", "2026-01-01T00:00:05", "without a zone"),
        ("occurred", "2999-01-01T00:00:05Z", "future"),
        ("domain", "generel", "unknown domain"),
        ("id", "act-01", "duplicate"),
    ],
)
def test_rejected_rows_are_named_and_refused(tmp_path, field, value, reason):
    rows = worked_rows()
    rows[4][field] = value
    file = write_csv(tmp_path / "bad.csv", rows)
    error = failure("value", file, *WORKED)
    assert reason in error["message"]
    assert f"bad.csv:{'2' if reason == 'duplicate' else '6'}" in error["where"]
    assert "--skip-rejected" in error["hint"]
    document = answer("value", file, *WORKED, "--skip-rejected")
    lost = 2 if reason == "duplicate" else 1
    assert (document["activities"], document["rejected"], len(document["rejects"])) == (10 - lost, lost, lost)
    assert 0 < document["total_micro"] < TOTAL


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--at", "2026-01-01T00:00:10"), "without a zone"),
        (("--at", "yesterday"), "not a time"),
        (("--at", "0"), "nothing can have settled"),
        (("--tau", "100"), "not a duration"),
        (("--tau", "0s"), "positive"),
    ],
)
def test_bad_options_are_usage_errors(arguments, message):
    error = failure("value", example_path("worked_example.csv"), *WORKED, *arguments, code=2)
    assert message in error["message"]
    assert error["hint"]


def test_missing_policy_option_is_a_usage_error():
    assert "--policy" in failure("value", example_path("worked_example.csv"), code=2)["message"]


def test_unknown_policy_and_missing_file_are_refused(tmp_path):
    error = failure("value", example_path("worked_example.csv"), "--policy", "identiy")
    assert error["hint"] == "Did you mean 'identity'?"
    assert "cannot read" in failure("value", tmp_path / "none.csv", *WORKED)["message"]


def test_truncated_parquet_is_refused(tmp_path):
    own = tmp_path / "activity.parquet"
    table = clean(csv_rows(example_path("worked_example.csv")), now_ms=2**47, salt_key=PUBLIC_SALT_KEY).table
    write_activity(table, own)
    own.write_bytes(own.read_bytes()[:-20])
    error = failure("value", own, *WORKED)
    assert str(own) in error["where"]


def test_indicators_of_another_window_are_refused(tmp_path):
    own = tmp_path / "activity.parquet"
    rows = csv_rows(example_path("worked_example.csv"))
    table = clean(rows, now_ms=2**47, salt_key=PUBLIC_SALT_KEY, windows={"general": 1_000}).table
    write_activity(table, own)
    error = failure("value", own, *WORKED)
    assert "counted within 1s" in error["message"]
    assert error["where"].startswith("activity row 1 (id ")


def test_policy_list_and_hash():
    listed = answer("policy", "list")["policies"]
    assert [entry["name"] for entry in listed] == list(preset_names())
    for entry in listed:
        digest = f"0x{policy_hash(load_policy(entry['name'])).hex()}"
        assert entry["policy_hash"] == digest
        assert run("policy", "hash", entry["name"]).stdout.strip() == digest


@pytest.mark.parametrize("name", ["git", "identity", "stackexchange"])
def test_policy_show_is_readable_and_its_document_reads_back(name):
    text = run("policy", "show", name).stdout
    assert f"hash 0x{policy_hash(load_policy(name)).hex()}" in text
    assert "180d" in text
    assert "124.767d" in text
    for domain in load_policy(name).domain_names():
        assert f"Domain {domain} " in text
    document = run("policy", "show", name, "--document").stdout
    assert policy_from_json(document) == load_policy(name)
    assert answer("policy", "show", name)["policy"] == json.loads(document)


def test_policy_check_names_the_fault(tmp_path):
    file = tmp_path / "mine.json"
    document = json.loads(read_preset("identity"))
    file.write_text(json.dumps(document))
    assert answer("policy", "check", file)["ok"] is True
    document["domains"][0]["interaction"][1] = [0, 10_000]
    file.write_text(json.dumps(document))
    error = failure("policy", "check", file)
    assert error["where"] == f"{file}: domains[0].interaction[1]"


def test_examples_are_listed_and_found():
    listed = answer("examples")["examples"]
    assert [entry["name"] for entry in listed] == list(example_names())
    text = run("examples").stdout
    for entry in listed:
        assert entry["name"] in text
        assert (
            run("examples", entry["name"]).stdout.strip() == entry["path"] == str(example_path(entry["name"]))
        )
        assert Path(entry["path"]).is_file()
    assert "no example" in failure("examples", "worked", code=2)["message"]


@pytest.mark.parametrize("command", [("value",), ("policy",), ("policy", "show"), ("examples",)])
def test_every_help_has_an_example(command):
    assert "Example: timebank" in run(*command, "--help").stdout
