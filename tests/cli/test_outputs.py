"""No command writes over what it reads.

outputs
├── the file itself, another spelling of it, a symbolic and a hard link to it: refused
├── a data file of a folder that is read: refused; a picture or a model beside them: written
├── a folder, no folder, two outputs in one file: refused
├── every command of the twin refuses before it reads, and the file is as it was
├── assignments over their own plan: the plan and its salt are still there
└── a dashboard replaces a dashboard, and nothing else
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from timebank_chain.cli.attention import app
from timebank_chain.cli.outputs import check_outputs
from timebank_chain.errors import UsageError

PLAN = ("experiment", "plan", "--metric", "replies", "--baseline", "2", "--spread", "2", "--effect", "20%")


def run(*arguments: object) -> BaseException | None:
    return CliRunner().invoke(app, [str(argument) for argument in arguments]).exception


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("in.csv").write_text("member\nada\n")
    Path("other.csv").write_text("member\nben\n")
    Path("in.png").write_text("a log by an unlucky name\n")
    Path("dump").mkdir()
    Path("dump/Posts.xml").write_text("<posts/>")
    Path("dump/old.png").write_text("old")
    return tmp_path


@pytest.mark.parametrize("target", ["in.csv", "./dump/../in.csv", "soft.csv", "hard.csv", "dump/Posts.xml"])
def test_an_input_is_refused(folder: Path, target: str) -> None:
    Path("soft.csv").symlink_to("in.csv")
    os.link("in.csv", "hard.csv")
    with pytest.raises(UsageError, match="--output would overwrite an input"):
        check_outputs([("--output", Path(target))], [None, Path("in.csv"), Path("dump")])


def test_what_is_no_input_is_written(folder: Path) -> None:
    results = [Path("new.csv"), Path("other.csv"), Path("dump/old.png"), Path("dump/new.csv"), None]
    check_outputs([(f"--{place}", one) for place, one in enumerate(results)], [Path("in.csv"), Path("dump")])


@pytest.mark.parametrize(
    ("target", "words"),
    [("dump", "is a folder"), ("no/x", "lies in no folder that is there"), ("out.csv", "are the same file")],
)
def test_what_cannot_be_written_is_refused(folder: Path, target: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        check_outputs([("--output", Path("out.csv")), ("--rejects", Path(target))], [])


@pytest.mark.parametrize(
    "arguments",
    [
        "experiment assign in.csv other.csv --to in.csv",
        "experiment assign other.csv in.csv --to in.csv",
        "experiment analyse other.csv in.png --plot in.png",
        "privacy pseudonymise in.csv --out in.csv",
        "recommend train in.csv --output in.csv",
        "recommend train dump --output dump/Posts.xml",
        "model train in.csv --time t --target y --output in.csv",
        "model train other.csv --task in.csv --output in.csv",
        "model predict other.csv in.csv --output in.csv",
        "model predict in.csv other.csv --output in.csv",
        "model evaluate other.csv in.png --picture in.png",
        "model card in.csv --output in.csv",
        "model card other.csv --output in.png --picture in.png",
        "report --feed in.csv --output in.csv",
        "report --plan other.csv --log in.csv --output in.csv",
        "forecast in.png --plot in.png",
        "monitor in.png --once --plot in.png",
    ],
)
def test_every_command_leaves_its_inputs(folder: Path, arguments: str) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*.*")}
    error = run(*arguments.split())
    assert isinstance(error, UsageError), error
    assert "would overwrite an input" in error.message or "are the same file" in error.message
    assert {path: path.read_bytes() for path in folder.rglob("*.*")} == before


def test_a_plan_outlives_its_assignments(folder: Path) -> None:
    assert run(*PLAN, "-o", "plan.json") is None
    plan = Path("plan.json").read_bytes()
    for target in ("plan.json", "in.csv"):
        assert isinstance(run("experiment", "assign", "plan.json", "in.csv", "-o", target), UsageError)
    assert (Path("plan.json").read_bytes(), Path("in.csv").read_text()) == (plan, "member\nada\n")
    assert run("experiment", "assign", "plan.json", "in.csv", "-o", "arms.csv") is None
    assert Path("arms.csv").read_text().startswith("member,arm\nada,")


def test_a_dashboard_replaces_only_a_dashboard(folder: Path) -> None:
    assert run("dashboard", "-o", "board.json") is None
    first = Path("board.json").read_bytes()
    Path("board.json").write_text(json.dumps({**json.loads(first), "title": "mine"}))
    assert run("dashboard", "-o", "board.json") is None
    assert Path("board.json").read_bytes() == first
    error = run("dashboard", "-o", "in.csv")
    assert isinstance(error, UsageError)
    assert "is no dashboard" in error.message
    assert Path("in.csv").read_text() == "member\nada\n"
