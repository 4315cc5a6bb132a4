"""Wrong artifacts: a copy of the shipped folder, changed; see audit.tree."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.audit.history import History
from tests.audit.spoil import audit, failed
from timebank_chain.audit.run import shipped_artifacts
from timebank_chain.errors import DeploymentError


@pytest.fixture
def artifacts(tmp_path: Path) -> Path:
    folder = tmp_path / "artifacts"
    shutil.copytree(shipped_artifacts(), folder)
    return folder


def edit(folder: Path, name: str, by: Callable[[dict[str, Any]], None]) -> None:
    path = folder / f"{name}.json"
    document = json.loads(path.read_text())
    by(document)
    path.write_text(json.dumps(document))


def flip(text: str, position: int) -> str:
    return text[:position] + format(int(text[position], 16) ^ 1, "x") + text[position + 1 :]


def test_a_copy_of_the_shipped_artifacts_is_green(history: History, artifacts: Path) -> None:
    assert failed(audit(history, artifacts=artifacts)) == []


def test_changed_bytecode(history: History, artifacts: Path) -> None:
    def by(document: dict[str, Any]) -> None:
        runtime = document["deployedBytecode"]
        changed = flip(runtime, len(runtime) - 1)
        document["deployedBytecode"] = changed
        document["bytecode"] = document["bytecode"].replace(runtime[2:], changed[2:])

    edit(artifacts, "CreditPayments", by)
    report = audit(history, artifacts=artifacts)
    assert failed(report) == ["A3"]
    assert report.check("A3").differences[0].where.startswith("CreditPayments at")


def test_changed_runtime_code_only(history: History, artifacts: Path) -> None:
    edit(
        artifacts,
        "MemberRegistry",
        lambda document: document.update(deployedBytecode=flip(document["deployedBytecode"], 100)),
    )
    assert failed(audit(history, artifacts=artifacts)) == ["A2", "A3"]


def test_changed_creation_code_of_an_inner_contract(history: History, artifacts: Path) -> None:
    edit(artifacts, "FeePool", lambda document: document.update(bytecode=flip(document["bytecode"], 20)))
    report = audit(history, artifacts=artifacts)
    assert failed(report) == ["A2"]
    assert "FeePool" in report.check("A2").differences[0].where


def test_changed_event_in_the_abi(history: History, artifacts: Path) -> None:
    def by(document: dict[str, Any]) -> None:
        for entry in document["abi"]:
            if entry.get("name") == "Claimed":
                entry["name"] = "Paid"

    edit(artifacts, "CreditDistributor", by)
    report = audit(history, artifacts=artifacts)
    assert {"A2", "A5"} <= set(failed(report))
    assert "event Paid" in report.check("A2").differences[0].where


def test_changed_view_in_the_abi(history: History, artifacts: Path) -> None:
    def by(document: dict[str, Any]) -> None:
        for entry in document["abi"]:
            if entry.get("name") == "totalSupply":
                entry["name"] = "supply"

    edit(artifacts, "AttentionCredit", by)
    report = audit(history, artifacts=artifacts)
    assert {"A2", "A7", "A8"} <= set(failed(report))


@pytest.mark.parametrize("part", ["settings", "sources", "gone"])
def test_changed_compiler_input(history: History, artifacts: Path, part: str) -> None:
    path = artifacts / "standard-input.json"
    document = json.loads(path.read_text())
    if part == "settings":
        document["settings"]["optimizer"]["runs"] = 200
    else:
        document["sources"]["contracts/token/FeePool.sol"]["content"] += "// harmless"
    path.write_text(json.dumps(document))
    if part == "gone":
        path.unlink()
    assert failed(audit(history, artifacts=artifacts)) == ["A2"]


@pytest.mark.parametrize("damage", [None, "{", "[]", '{"abi": 1}'])
def test_an_artifact_that_is_none_is_trouble(history: History, artifacts: Path, damage: str | None) -> None:
    path = artifacts / "FeePool.json"
    path.unlink()
    if damage is not None:
        path.write_text(damage)
    with pytest.raises(DeploymentError, match=r"FeePool\.json"):
        audit(history, artifacts=artifacts)
