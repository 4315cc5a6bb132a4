"""``timebank ingest`` from the command line; see activity.tree."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.activity.builders import Repository, write_dump
from timebank_chain.activity import read_activity
from timebank_chain.cli.ingest import app
from timebank_chain.config import ENV_SALT_KEY
from timebank_chain.errors import ActivityError, TimebankError, UsageError
from timebank_chain.examples import example_path

OWN = "id,member,domain,occurred,interaction,originality,engagement\n"
GOOD = "a:1,ada,code,2023-11-14T22:13:20Z,1,2.5,3\n"


def run(*arguments: object) -> Any:
    # A salt key of whoever runs the tests must not decide how they end.
    return CliRunner(env={ENV_SALT_KEY: None}).invoke(app, [str(argument) for argument in arguments])


def failure(*arguments: object) -> TimebankError:
    result = run(*arguments)
    assert isinstance(result.exception, TimebankError), result.output
    assert result.exception.hint
    return result.exception


def test_rows_add_up_and_rejects_are_written(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(OWN + GOOD + "a:2,,code,2023-11-14T22:13:20Z,1,1,1\n" + GOOD)
    out = tmp_path / "activity.parquet"
    result = run("csv", tmp_path / "a.csv", "-o", out, "--skip-rejected")
    assert result.exit_code == 0, result.output
    assert "3 rows read = 1 kept + 2 turned away" in result.stdout
    assert (
        f"warning: 2 of 3 rows were turned away; each stands with its reason in {tmp_path}" in result.stderr
    )
    assert "salted with the public key" in result.stderr
    assert read_activity(out).id == ["a:1"]
    with (tmp_path / "activity.rejects.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["line"], row["field"], row["reason"]) for row in rows] == [
        ("3", "member", "missing: column 'member' is empty"),
        ("4", "id", f"duplicate: same as {tmp_path / 'a.csv'}:2"),
    ]


def test_json_is_versioned_and_whole(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_bytes(bytes(range(32)))
    (tmp_path / "a.csv").write_text(OWN + GOOD)
    rejects = tmp_path / "r.csv"
    result = run(
        "csv", tmp_path / "a.csv", "-o", tmp_path / "t.parquet", "--policy", "git", "--salt-key", key,
        "--rejects", rejects, "--json",
    )  # fmt: skip
    body = json.loads(result.stdout)
    assert body["schema"] == "timebank.ingest/1"
    assert (body["rows_read"], body["rows_kept"], body["rows_rejected"]) == (1, 1, 0)
    assert body["domains"][0]["windows_ms"] == [14 * 86_400_000]  # from the policy
    assert (body["salt"], body["rejects"]) == ("keyed", str(rejects))
    assert rejects.read_text() == "source,line,id,field,reason,record\n"


def test_an_old_rejects_file_does_not_pass_for_this_runs(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text(OWN + GOOD + "a:2,,code,1,1,1,1\n")
    run("csv", file, "-o", tmp_path / "t.parquet")
    assert len((tmp_path / "t.rejects.csv").read_text().splitlines()) == 2
    file.write_text(OWN + GOOD)
    run("csv", file, "-o", tmp_path / "t.parquet")
    assert len((tmp_path / "t.rejects.csv").read_text().splitlines()) == 1


def test_nothing_is_written_when_nothing_can_be_used(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(OWN + GOOD.replace("2.5", "-2.5"))
    error = failure("csv", tmp_path / "a.csv", "-o", tmp_path / "t.parquet")
    assert isinstance(error, ActivityError)
    assert error.message == "no row can be used of 1 read (1 negative number)"
    assert not (tmp_path / "t.parquet").exists()
    assert "negative number: '-2.5'" in (tmp_path / "t.rejects.csv").read_text()


def test_a_broken_file_leaves_the_old_table_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(OWN + GOOD)
    run("csv", tmp_path / "a.csv", "-o", tmp_path / "t.parquet")
    before = (tmp_path / "t.parquet").read_bytes()
    (tmp_path / "a.csv").write_text(OWN + GOOD + 'a:2,"open')
    assert "not CSV" in failure("csv", tmp_path / "a.csv", "-o", tmp_path / "t.parquet").message
    assert (tmp_path / "t.parquet").read_bytes() == before


def test_unknown_domains_are_turned_away_when_a_policy_is_given(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(OWN + GOOD + GOOD.replace("a:1", "a:2").replace("code", "cod"))
    words = ("csv", tmp_path / "a.csv", "-o", tmp_path / "t.parquet", "--policy", "git", "--json")
    result = run(*words, "--skip-rejected")
    assert json.loads(result.stdout)["reasons"] == {"unknown domain": 1}


def test_a_wrong_row_of_a_table_ends_the_command_and_loses_nothing(tmp_path: Path) -> None:
    feed, out = tmp_path / "a.csv", tmp_path / "t.parquet"
    feed.write_text(OWN + GOOD + "a:2,ada,code,2023-11-14,1,1,1\n")
    result = run("csv", feed, "-o", out)
    assert result.exit_code != 0
    assert isinstance(result.exception, ActivityError)
    assert result.exception.exit_code == 1
    assert result.exception.where == f"{feed}:3, field 'occurred'"
    assert "--skip-rejected" in (result.exception.hint or "")
    assert not out.exists()
    assert "without a zone" in (tmp_path / "t.rejects.csv").read_text()


def test_an_exact_duplicate_is_dropped_without_a_fuss(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(OWN + GOOD + GOOD)
    result = run("csv", tmp_path / "a.csv", "-o", tmp_path / "t.parquet")
    assert result.exit_code == 0, result.output
    assert "2 rows read = 1 kept + 1 turned away" in result.stdout


def test_git_and_its_window(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "project")
    repository.commit({"a": "1\n"}, at_s=1_700_000_000, message="A\n\nReviewed-by: B <b@x>")
    repository.commit({"a": "2\n"}, at_s=1_700_003_600, email="b@x", name="Bob")
    out = tmp_path / "t.parquet"
    result = run("git", repository.path, "-o", out, "--json")
    assert result.exit_code == 0, result.output
    table = read_activity(out)
    assert sorted(table.domain) == ["code", "code", "review"]
    assert set(table.window_ms.tolist()) == {14 * 86_400_000}
    assert max(table.engagement_milli.tolist()) == 2_000
    run("git", repository.path, "-o", out, "--window", "59m")
    assert max(read_activity(out).engagement_milli.tolist()) == 1_000
    result = run(
        "git", repository.path, "-o", out, "--bot", "^ada", "--until", "2024-01-01T00:00:00Z", "--json"
    )
    assert json.loads(result.stdout)["reasons"] == {"a bot": 1}


def test_stackexchange(tmp_path: Path) -> None:
    row = {"Id": 1, "PostTypeId": 1, "OwnerUserId": 5, "CreationDate": "2023-11-01T12:00:00.000"}
    folder = write_dump(
        tmp_path / "d", posts=[row, {**row, "Id": 2, "CreationDate": "2023-12-01T12:00:00.000"}]
    )
    result = run("stackexchange", folder, "-o", tmp_path / "t.parquet", "--site", "tea", "--json")
    assert result.exit_code == 0, result.output
    assert read_activity(tmp_path / "t.parquet").member == ["stackexchange:tea:5"]


def test_jsonl_and_parquet_merge(tmp_path: Path) -> None:
    row = {"id": "b", "member": "bob", "domain": "code", "occurred": 5, "interaction": 1, "originality": 1}
    (tmp_path / "b.jsonl").write_text(json.dumps({**row, "engagement": 1}))
    (tmp_path / "a.csv").write_text(OWN + GOOD)
    for kind, name in (("csv", "a.csv"), ("jsonl", "b.jsonl")):
        assert run(kind, tmp_path / name, "-o", tmp_path / f"{name}.parquet").exit_code == 0
    inputs = [tmp_path / "a.csv.parquet", tmp_path / "b.jsonl.parquet"]
    assert run("parquet", *inputs, "-o", tmp_path / "t.parquet").exit_code == 0
    assert read_activity(tmp_path / "t.parquet").id == ["b", "a:1"]


def test_the_worked_example_needs_no_mapping(tmp_path: Path) -> None:
    result = run("csv", example_path("worked_example.csv"), "-o", tmp_path / "t.parquet")
    assert "10 rows read = 10 kept + 0 turned away" in result.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-o", "none/t.parquet"], "--output lies in no folder that is there"),
        (["-o", "."], "--output is a folder"),
        (["-o", "a.csv"], "--output would overwrite an input"),
        (["-o", "t.parquet", "--rejects", "a.csv"], "--rejects would overwrite an input"),
        (["-o", "t.parquet", "--rejects", "t.parquet"], "are the same file"),
        (["-o", "t.parquet", "--until", "yesterday"], "--until: not a time"),
        (["-o", "t.parquet", "--until", "2026-01-01T00:00:00"], "--until: time without a zone"),
    ],
)
def test_wrong_options_are_named_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text(OWN + GOOD)
    error = failure("csv", "a.csv", *options)
    assert isinstance(error, UsageError)
    assert error.message.startswith(message) or message in error.message
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv"]


def test_wrong_git_options(tmp_path: Path) -> None:
    assert "--window" in failure("git", tmp_path, "-o", tmp_path / "t", "--window", "soon").message
    assert "--bot" in failure("git", tmp_path, "-o", tmp_path / "t", "--bot", "(").message


@pytest.mark.parametrize("verb", ["git", "stackexchange", "csv", "jsonl", "parquet"])
def test_every_help_text_has_an_example(verb: str) -> None:
    assert f"Example: timebank ingest {verb} " in run(verb, "--help").output
