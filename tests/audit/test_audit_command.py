"""``timebank audit`` as a process: exit codes, table, JSON; see audit.tree."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.audit.history import History
from tests.audit.spoil import edit_json, forge
from tests.chain_fixtures import free_port
from timebank_chain.audit import CHECKS
from timebank_chain.audit.storage_root import mapping_slot

TIMEBANK = Path(sys.executable).with_name("timebank")


def timebank(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("ETH_", "TIMEBANK_"))
    }
    return subprocess.run(
        [str(TIMEBANK), "audit", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=environment,
    )


def flags(history: History) -> list[str]:
    return [
        "--rpc-url",
        history.connection.url,
        "--deployment",
        str(history.deployment),
        "--epochs",
        str(history.epochs),
    ]


@pytest.mark.anvil
@pytest.mark.e2e
def test_green_is_exit_0_with_a_table(history: History) -> None:
    done = timebank(*flags(history), "--activity", str(history.activity))
    assert done.returncode == 0, done.stderr
    for number, _ in CHECKS:
        assert f" {number} " in done.stdout
    assert done.stdout.rstrip().endswith(f"GREEN: {len(CHECKS)} of {len(CHECKS)} checks passed, none failed")
    assert "120 leaves in 3 epochs" in done.stdout
    assert "FAILED" not in done.stdout
    assert "A27" in done.stderr  # progress goes to standard error


@pytest.mark.anvil
@pytest.mark.e2e
def test_red_is_exit_3_and_names_the_check(history: History) -> None:
    member = history.world.address("member3")
    forge(history, "AttentionCredit", mapping_slot(bytes.fromhex(member[2:]), 0), 10**15)
    done = timebank(*flags(history))
    assert done.returncode == 3
    assert "A8 FAILED: balances" in done.stdout
    assert f"AttentionCredit.balanceOf({member})" in done.stdout
    assert "1000000000000000" in done.stdout
    assert done.stdout.rstrip().splitlines()[-1].startswith(f"RED: 2 of {len(CHECKS)} checks failed: A8")


@pytest.mark.anvil
@pytest.mark.e2e
def test_json_is_one_versioned_document(history: History) -> None:
    edit_json(history.epochs / "000002" / "header.json", {"totalMint": 1})
    done = timebank(*flags(history), "--json")
    assert done.returncode == 3
    document = json.loads(done.stdout)
    assert document["schema"] == "timebank.audit/1"
    assert document["ok"] is False
    assert document["failed"] == ["A22"]
    assert [check["number"] for check in document["checks"]] == [number for number, _ in CHECKS]
    check = next(check for check in document["checks"] if check["number"] == "A22")
    assert check["status"] == "failed"
    assert check["differences"][0]["where"].endswith("000002/header.json")
    assert set(check["differences"][0]) == {"where", "expected", "found", "meaning"}
    supply = next(check for check in document["checks"] if check["number"] == "A7")["evidence"]
    assert supply["minted"] - supply["burned"] == supply["total_supply"]


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--no-such-flag"], "no-such-flag"),
        ([], "no deployment given"),
        (["--deployment", "nowhere.json"], "no folder of published epochs"),
        (["--deployment", "d.json", "--epochs", "/nonexistent/epochs"], "no such folder"),
        (["--deployment", "d.json", "--epochs", ".", "--from-block", "-1"], "from-block"),
        (["--deployment", "d.json", "--epochs", ".", "--activity", "/nonexistent.parquet"], "no such file"),
        (["--rpc-url", "not an address", "--deployment", "d.json", "--epochs", "."], "not an address"),
    ],
)
def test_wrong_usage_is_exit_2(arguments: list[str], said: str) -> None:
    done = timebank(*arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.e2e
def test_no_node_is_exit_1(lived_history: History, tmp_path: Path) -> None:
    done = timebank(
        "--rpc-url",
        f"http://127.0.0.1:{free_port()}",
        "--deployment",
        str(lived_history.deployment),
        "--epochs",
        str(lived_history.epochs),
        "--json",
    )
    assert done.returncode == 1
    document = json.loads(done.stdout)
    assert document["schema"] == "timebank.error/1"
    assert document["error"]["code"] == "ConnectionFailed"


@pytest.mark.anvil
@pytest.mark.e2e
def test_a_missing_manifest_is_exit_1(history: History) -> None:
    done = timebank("--rpc-url", history.connection.url, "--deployment", "nowhere.json", "--epochs", ".")
    assert done.returncode == 1
    assert "nowhere.json" in done.stderr


@pytest.mark.e2e
def test_help_has_an_example() -> None:
    done = timebank("--help")
    assert done.returncode == 0
    assert "Example: timebank audit" in done.stdout
