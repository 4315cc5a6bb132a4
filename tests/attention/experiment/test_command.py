"""``timebank attention experiment`` from the command line.

experiment
├── plan -> assign -> analyse: the whole way, text and JSON, a picture; the arms are the plan's
├── a start that is past: refused, or admitted and told at every analysis; when it was planned stands there
├── plan: from members; a part of the baseline; refused flags say what to write
├── analyse: exit 3 from a mismatch; a plan changed afterwards; a log from the future; exposures
├── analyse: the method that was not planned is for information; exit codes stand in the help
├── off-policy: estimates, warnings, clipping; a propensity of zero by row
└── help and a plan need none of the heavy libraries
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.attention.experiment.builders import DAY_MS, write_csv
from timebank_chain.attention.experiment.assign import assign_many
from timebank_chain.attention.experiment.plan import read_plan
from timebank_chain.cli.attention.experiment import app
from timebank_chain.errors import AttentionError, CheckFailed, TimebankError, UsageError

#: Past, whatever the clock says.
START_MS = 1_600_000_000_000
PLAN = (
    "plan", "--metric", "replies", "--baseline", 2, "--spread", 2, "--start", START_MS, "--backdated",
    "--salt", "0x" + "07" * 32,
)  # fmt: skip


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def done(*arguments: object) -> dict[str, Any]:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)  # type: ignore[no-any-return]  # a document


def failure(*arguments: object) -> TimebankError:
    result = run(*arguments)
    assert isinstance(result.exception, TimebankError), result.output
    return result.exception


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "plan.json"
    done(*PLAN, "--effect", "20%", "--guardrail", "exposure:offer:0.05:0.25", "-o", path)
    return path


def write_log(plan: Path, *, lift: float, lose: float = 0.0) -> tuple[Path, Path]:
    """Write what 2,000 members saw, and their log, which loses a part of the treated."""
    made, chance = read_plan(plan), np.random.default_rng(3)
    members = [f"m{number}" for number in range(2_000)]
    rows, shown = [], []
    for number, (member, arm) in enumerate(zip(members, assign_many(made, members), strict=True)):
        treated = arm != made.arms[0].name
        at = START_MS + number * 20 * DAY_MS // 2_000
        shown += [f"{member},o{chance.integers(0, 20)}" for _ in range(3)]
        if treated and chance.random() < lose:
            continue
        rows.append(f"{member},{arm},{at},{chance.gamma(2.0, 1.0) + lift * treated:.4f}")
    return (
        write_csv(plan.with_name("log.csv"), "member,arm,at,replies", *rows),
        write_csv(plan.with_name("shown.csv"), "member,offer", *shown),
    )


def test_the_whole_way(plan: Path, tmp_path: Path) -> None:
    made = read_plan(plan)
    members = write_csv(tmp_path / "members.csv", "member", *(f"m{number}" for number in range(50)))
    told = done("assign", plan, members, "-o", tmp_path / "assigned.csv")
    assert sum(told["counts"].values()) == 50 and told["plan_hash"] == "0x" + made.hash().hex()
    lines = (tmp_path / "assigned.csv").read_text().splitlines()
    assert lines[0] == "member,arm" and len(lines) == 51
    one = done("assign", plan, "--member", "m7")
    assert f"m7,{one['assignments']['m7']}" in lines
    log, shown = write_log(plan, lift=0.5)
    picture = tmp_path / "effect.svg"
    at = START_MS + 21 * DAY_MS
    found = done("analyse", plan, log, "--exposures", shown, "--plot", picture, "--at", at)
    assert found["schema"] == "timebank.attention.experiment.analysis/1"
    (treatment,) = found["treatments"]
    assert treatment["verdict"] == "ship" and treatment["significant"]
    assert [look["day"] for look in treatment["looks"]] == list(range(1, 21))
    assert treatment["guardrails"][0]["verdict"] == "kept"
    assert picture.read_text().startswith("<?xml")
    text = run("analyse", plan, log, "--exposures", shown, "--at", at)
    assert text.exit_code == 0
    for words in ("treatment against control: SHIP", "Guardrails", "sample ratio fits", "exposure of offer"):
        assert words in text.stdout


def test_past_start_is_refused_or_told_of(plan: Path, tmp_path: Path) -> None:
    asked = ("plan", "--metric", "replies", "--baseline", 2, "--spread", 2, "--effect", 0.2)
    other = tmp_path / "other.json"
    error = failure(*asked, "--start", START_MS, "-o", other)
    assert isinstance(error, UsageError)
    assert "2020-09-13T12:26:40Z, is past" in str(error) and "--backdated" in (error.hint or "")
    assert "nothing backdated" in str(failure(*asked, "--backdated", "-o", other))
    assert not other.exists()
    now = done(*asked, "-o", other)["plan"]
    assert now["planned_ms"] == now["start_ms"] > START_MS and now["backdated"] is False
    later = done(*asked, "--start", now["start_ms"] + DAY_MS, "-o", tmp_path / "later.json")["plan"]
    assert later["planned_ms"] < later["start_ms"]
    log, shown = write_log(plan, lift=0.5)
    analysis = ("analyse", plan, log, "--exposures", shown, "--at", START_MS + 21 * DAY_MS)
    found = done(*analysis)
    assert found["backdated"] is True and found["planned_ms"] >= now["planned_ms"] - DAY_MS
    assert found["warnings"][0].startswith("BACKDATED: planned ")
    assert "warning: BACKDATED: planned " in run(*analysis).stdout


def test_plan_from_members_and_what_it_says(tmp_path: Path) -> None:
    told = done(
        *PLAN, "--members", 4_000, "--covariate", "before", "--correlation", 0.6, "-o", tmp_path / "a"
    )
    assert told["plan"]["members_per_arm"] == [2_000, 2_000]
    assert told["members"]["fixed"] < told["members"]["planned"] < told["members"]["without_covariate"]
    rate = done("plan", "--metric", "replied", "--baseline", 0.1, "--effect", "10%", "-o", tmp_path / "b")
    assert rate["plan"]["metric"]["kind"] == "rate" and rate["plan"]["minimal_effect"] == pytest.approx(0.01)
    assert len(set(rate["plan"]["salt"])) > 4, "drawn at random"
    text = run(
        *PLAN, "--effect", 0.2, "--end", START_MS + DAY_MS, "--fixed", "--arm", "old=3", "--arm", "new=1",
        "--guardrail", "gini:replies:0.02:cohort", "--guardrail", "mean:posts:0.1:up", "-o", tmp_path / "c",
    )  # fmt: skip
    assert text.exit_code == 0, text.output
    for words in ("old", "smallest effect seen", "looked at as often as wanted", "ends", "hash"):
        assert words in text.stdout


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--effect", "much"), "is no number"),
        (("--effect", "0.2", "--members", "100"), "say either"),
        ((), "say either"),
        (("--members", "1000000000000"), "give an arm more than"),
        (("--effect", "0.2", "--arm", "control"), "has no weight"),
        (("--effect", "0.2", "--arm", "control=1"), "list of 2 to 16"),
        (("--effect", "0.2", "--salt", "0x12"), "not 32 bytes"),
        (("--effect", "0.2", "--start", "soon"), "--start: not a time"),
        (("--effect", "0.2", "--correlation", "0.5"), "without a covariate"),
        (("--effect", "0.2", "--guardrail", "gini"), "'gini' is none"),
        (("--effect", "0.2", "--guardrail", "exposure:offer:0.1"), "lacks the part of offers"),
        (("--effect", "0.2", "--guardrail", "mean:posts:0.1"), "lacks up or down"),
        (("--effect", "0.2", "--guardrail", "gini:replies:x"), "'x' is no number"),
        (("--effect", "0.2", "--better", "sideways"), "none of up, down"),
    ],
)
def test_refused_plans_say_what_to_write(tmp_path: Path, flags: tuple[str, ...], words: str) -> None:
    error = failure(*PLAN, *flags, "-o", tmp_path / "plan.json")
    assert isinstance(error, UsageError)
    assert words in str(error)
    assert not list(tmp_path.iterdir())


def test_assign_asks_whom(plan: Path, tmp_path: Path) -> None:
    assert "whom to assign" in str(failure("assign", plan))
    assert "without a name" in str(failure("assign", plan, "--member", ""))
    text = run("assign", plan, "--member", "ada", "--member", "ada")
    assert text.stdout.split() == ["ada", assign_many(read_plan(plan), ["ada"])[0]]
    external = tmp_path / "external.json"
    done(*PLAN, "--effect", 0.2, "--external-assignment", "-o", external)
    assert "another system" in str(failure("assign", external, "--member", "ada"))


def test_mismatch_ends_with_three(plan: Path) -> None:
    log, shown = write_log(plan, lift=2.0, lose=0.2)
    error = failure("analyse", plan, log, "--exposures", shown)
    assert isinstance(error, CheckFailed) and error.exit_code == 3
    assert "sample-ratio mismatch" in str(error)


def test_analyse_refuses(plan: Path, tmp_path: Path) -> None:
    log, shown = write_log(plan, lift=0.0)
    assert "guardrail on exposure" in str(failure("analyse", plan, log))
    early = failure("analyse", plan, log, "--exposures", shown, "--at", START_MS + DAY_MS)
    assert "is after" in str(early)
    assert ".png or .svg" in str(failure("analyse", plan, log, "--exposures", shown, "--plot", "a.pdf").hint)
    document = json.loads(plan.read_text())
    document["members_per_arm"] = [10, 10]
    plan.write_text(json.dumps(document))
    error = failure("analyse", plan, log, "--exposures", shown)
    assert isinstance(error, AttentionError) and "changed after it was made" in str(error)


def test_no_difference_is_said(plan: Path) -> None:
    log, shown = write_log(plan, lift=0.0)
    text = run("analyse", plan, log, "--exposures", shown, "--at", START_MS + 21 * DAY_MS)
    assert text.exit_code == 0
    assert "NO DIFFERENCE SHOWN" in text.stdout and "not significant" in text.stdout


def test_what_was_not_planned_is_for_information(tmp_path: Path) -> None:
    for method, planned, beside in (
        (["--fixed"], "Fixed test at the horizon\n", "members; not planned, for information\n"),
        ([], "2,000 members\n", "Fixed test at the horizon; not planned, for information\n"),
    ):
        path = tmp_path / f"plan{len(method)}.json"
        done(*PLAN, *method, "--members", 100_000, "-o", path)
        log, _ = write_log(path, lift=2.0)
        text = run("analyse", path, log, "--at", START_MS + 21 * DAY_MS)
        assert text.exit_code == 0, text.output
        # A fixed plan waits for its horizon, whatever the other interval would have said by now.
        assert ("WAIT" in text.stdout, "would decide on day" in text.stdout) == (bool(method),) * 2
        for words in (planned, beside):
            assert words in text.stdout.replace(" \n", "\n")


def test_exit_codes_stand_in_the_help() -> None:
    for command, words in (("analyse", "Exit code 0 whatever the verdict"), ("off-policy", "Exit code 3")):
        assert words in " ".join(run(command, "--help").stdout.split())


def test_off_policy(tmp_path: Path) -> None:
    chance = np.random.default_rng(4)
    rows = []
    for _ in range(600):
        action = int(chance.random() < 0.2)
        propensity = 0.2 if action else 0.8
        rows.append(f"{'ba'[action]},{propensity},{int(chance.random() < 0.3 + 0.3 * action)},top")
    log = write_csv(tmp_path / "log.csv", "item,p,click,place", *rows)
    policy = write_csv(tmp_path / "policy.csv", "place,item,probability", "top,a,0.8", "top,b,0.2")
    names = ("--action", "item", "--reward", "click", "--propensity", "p", "--context", "place")
    told = done("off-policy", log, "--policy", policy, *names, "--bootstrap", 100)
    for one in told["estimates"].values():
        assert one["normal"][0] < 0.54 < one["normal"][1]
        assert one["value"] > told["logged"]["mean"]
    text = run("off-policy", log, "--policy", policy, *names, "--bootstrap", 100, "--clip", 2)
    assert text.exit_code == 0
    for words in ("SNIPS", "effective rows", "weights are cut to 2", "bias by clipping"):
        assert words in text.stdout
    assert "out of range" in str(failure("off-policy", log, "--policy", policy, *names, "--alpha", 0.9))
    smaller = (row.replace("0.8", "0.5").replace("0.2", "0.05") for row in rows)
    wrong = write_csv(tmp_path / "wrong.csv", "item,p,click,place", *smaller)
    assert isinstance(failure("off-policy", wrong, "--policy", policy, *names), CheckFailed)
    bad = write_csv(tmp_path / "bad.csv", "item,p,click,place", "a,0,1,top")
    error = failure("off-policy", bad, "--policy", policy, *names)
    assert isinstance(error, AttentionError) and error.where == f"{bad}:2, field 'p'"


def test_help_and_assignment_load_no_heavy_library(plan: Path) -> None:
    code = (
        "import sys; sys.argv = ['timebank', *sys.argv[1:]]\n"
        "from timebank_chain.cli.main import run\n"
        "try:\n    run()\nexcept SystemExit as end:\n    if end.code: raise\n"
        "names = ('web3', 'scipy', 'sklearn', 'statsmodels', 'matplotlib', 'pandas', 'pyarrow')\n"
        "heavy = [name for name in names if name in sys.modules]\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    words = ["attention", "experiment"]
    for arguments in ([*words, "analyse", "--help"], [*words, "assign", str(plan), "--member", "ada"]):
        ended = subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stderr
