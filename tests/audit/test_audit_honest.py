"""An honest history is green, wherever it is looked at from; see audit.tree."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import pytest

from tests.audit.history import History, build, the_activity, the_members
from tests.audit.spoil import audit, failed, forge, rpc
from tests.chain_fixtures import start_anvil, stop
from timebank_chain.audit import CHECKS, run_audit
from timebank_chain.audit.storage_root import mapping_slot
from timebank_chain.chain.connection import connect
from timebank_chain.epoch import publish, read_epoch
from timebank_chain.errors import UsageError


def test_embedded_history_is_green_with_raw_records(embedded_history: History) -> None:
    report = audit(embedded_history, activity=embedded_history.activity)
    assert failed(report) == []
    assert {check.status for check in report.checks} == {"ok"}
    assert report.verdict == f"GREEN: {len(CHECKS)} of {len(CHECKS)} checks passed, none failed"


@pytest.mark.anvil
def test_anvil_history_is_green(history: History) -> None:
    report = audit(history, activity=history.activity)
    assert failed(report) == []
    assert report.check("A27").figure == "120 leaves in 3 epochs"
    assert report.check("A21").figure == "3 finalised epochs, 1 voided"
    assert any("sent to the pool" in note for note in report.check("A18").notes)


@pytest.mark.anvil
def test_a_copied_state_is_green_and_a_forged_copy_is_not(history: History, tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    dumped = rpc(history, "anvil_dumpState", True)
    state.write_bytes(gzip.decompress(bytes.fromhex(dumped[2:])))
    process, url = start_anvil("--load-state", str(state))
    try:
        copied = replace(history, world=replace(history.world, connection=connect(url)))
        assert copied.connection.block_number() == history.connection.block_number()
        assert failed(audit(copied)) == []
        stranger = bytes.fromhex(history.world.address("stranger")[2:])
        forge(copied, "AttentionCredit", mapping_slot(stranger, 0), 10**12)
        assert failed(audit(copied)) == ["A8", "A9"]
        assert failed(audit(history)) == []  # the original is as it was
    finally:
        stop(process)


def test_numbers_are_stable(lived_history: History) -> None:
    report = audit(lived_history)
    numbers = [number for number, _ in CHECKS]
    assert numbers == [f"A{number}" for number in range(1, len(CHECKS) + 1)]
    assert [check.number for check in report.checks] == numbers


def test_without_raw_records_says_not_checked(lived_history: History) -> None:
    report = audit(lived_history)
    assert report.check("A33").status == "not checked"
    assert report.verdict.endswith("not checked: A33")
    assert report.ok


@pytest.mark.anvil
def test_a_pending_epoch_is_audited(history: History) -> None:
    world = history.world
    last = read_epoch(history.epochs, 3)
    built = build(history, the_activity(), the_members(world), last)
    publish(built, history.epochs)
    world.propose(built.header)
    report = audit(history)
    assert failed(report) == []
    assert report.check("A21").figure == "3 finalised epochs, 1 voided, 1 pending"
    assert report.check("A28").figure.endswith("in 4 epochs")


@pytest.mark.anvil
def test_an_earlier_block_can_be_audited(history: History) -> None:
    newest = history.connection.block_number()
    report = audit(history, to_block=newest - 1)
    assert failed(report) == []
    assert report.to_block == newest - 1
    assert report.check("A9").status == "not checked"  # anvil lists only its newest state


def test_a_range_that_cannot_be_replayed_is_wrong_usage(lived_history: History) -> None:
    first = lived_history.world.timebank.deployment.first_block
    with pytest.raises(UsageError, match="after the deployment"):
        audit(lived_history, from_block=first + 1)
    with pytest.raises(UsageError, match="not mined yet"):
        audit(lived_history, to_block=10**9)


def test_starting_before_the_deployment_changes_nothing(lived_history: History) -> None:
    assert failed(audit(lived_history, from_block=0)) == []


def test_another_chain_is_named(lived_history: History) -> None:
    elsewhere = replace(lived_history.world.timebank.deployment, chain_id=1)
    report = run_audit(lived_history.connection, elsewhere, lived_history.epochs)
    assert failed(report) == ["A1"]
