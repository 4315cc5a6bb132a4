"""What becomes of the deployment's roles is told by the audit and by ``chain verify``; see audit.tree."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.audit.history import History
from tests.audit.spoil import audit, failed, forge
from tests.cli.bank_stage import run
from tests.world import SIGNERS, fund, plan
from timebank_chain.audit import roles as audit_roles
from timebank_chain.audit import run_audit
from timebank_chain.audit.role_book import PUBLIC_ROLE
from timebank_chain.audit.storage_root import mapping_slot
from timebank_chain.chain import roles as deployed_roles
from timebank_chain.chain.access_manager import (
    ADMIN_ROLE,
    CANCELLER_ROLE,
    GOVERNOR_ROLE,
    GUARDIAN_ROLE,
    REGISTRAR_ROLE,
)
from timebank_chain.chain.connection import Connection
from timebank_chain.chain.contract import selector
from timebank_chain.chain.deployment import deploy
from timebank_chain.chain.transactions import Call
from timebank_chain.chain.verification import verify_deployment

pytestmark = pytest.mark.anvil

DAY = 86_400
#: Of the manager's storage: its contracts' rules, and its roles.
TARGETS, ROLES = 0, 1


def write(history: History, function: str, **arguments: Any) -> Call:
    return history.world.timebank.access_manager._write(function, **arguments)


def grant(role: int, holder: str = "guardian", delay: int = 0) -> Callable[[History], Call]:
    return lambda history: history.world.timebank.access_manager.grant_role(
        role, history.world.address(holder), delay
    )


def move(contract: str, function: str, role: int) -> Callable[[History], Call]:
    return lambda history: history.world.timebank.access_manager.set_function_role(
        history.address(contract), [selector(contract, function)], role
    )


def rule(function: str, **arguments: Any) -> Callable[[History], Call]:
    return lambda history: write(history, function, **arguments)


def target(function: str, contract: str, **arguments: Any) -> Callable[[History], Call]:
    return lambda history: write(history, function, target=history.address(contract), **arguments)


#: What a governor does, what the audit says of it, and the check of ``chain verify`` that fails.
CHANGES = {
    "another governor": (
        grant(GOVERNOR_ROLE),
        "{guardian} holds GOVERNOR with no delay; at the deployment: {guardian} does not hold GOVERNOR",
        "members",
    ),
    "another administrator": (
        grant(ADMIN_ROLE),
        "{guardian} holds ADMIN with no delay; at the deployment: {guardian} does not hold ADMIN",
        "members",
    ),
    "a role of no deployment": (
        grant(77, "stranger", 60),
        "{stranger} holds role 77 with a delay of 1m; at the deployment: {stranger} does not hold role 77",
        "members",
    ),
    "another delay": (
        grant(GOVERNOR_ROLE, "governor", 1200),
        "{governor} holds GOVERNOR with a delay of 20m; at the deployment: {governor} holds GOVERNOR with a "
        "delay of 10m",
        "members",
    ),
    "a role taken": (
        lambda history: history.world.timebank.access_manager.revoke_role(
            CANCELLER_ROLE, history.world.address("canceller")
        ),
        "{canceller} does not hold CANCELLER; at the deployment: {canceller} holds CANCELLER with no delay",
        "members",
    ),
    "a role's admin": (
        rule("setRoleAdmin", roleId=CANCELLER_ROLE, admin=CANCELLER_ROLE),
        "CANCELLER gives and takes CANCELLER; at the deployment: ADMIN gives and takes CANCELLER",
        "rules of roles",
    ),
    "a role's guardian": (
        rule("setRoleGuardian", roleId=GOVERNOR_ROLE, guardian=ADMIN_ROLE),
        "ADMIN may drop what GOVERNOR has scheduled; at the deployment: CANCELLER may drop what GOVERNOR has "
        "scheduled",
        "rules of roles",
    ),
    "a role's grant delay": (
        rule("setGrantDelay", roleId=REGISTRAR_ROLE, newDelay=DAY),
        "who is given REGISTRAR gets it with a delay of 1d",
        "rules of roles",
    ),
    "a function of another role": (
        move("RateOracle", "resumeProposals", GUARDIAN_ROLE),
        "GUARDIAN may call RateOracle.resumeProposals; at the deployment: GOVERNOR may call "
        "RateOracle.resumeProposals",
        "function roles",
    ),
    "a function of the bank": (
        move("TimeBank", "setIncomeFee", GUARDIAN_ROLE),
        "GUARDIAN may call TimeBank.setIncomeFee; at the deployment: GOVERNOR may call TimeBank.setIncomeFee",
        "function roles",
    ),
    "a function that is done with": (
        move("FeePool", "setPayees", GUARDIAN_ROLE),
        "GUARDIAN may call FeePool.setPayees; at the deployment: ADMIN may call FeePool.setPayees",
        "function roles",
    ),
    "a contract's admin delay": (
        target("setTargetAdminDelay", "RateOracle", newDelay=30 * DAY),
        "administrators change the rules of RateOracle with a delay of 30d",
        "closed contracts",
    ),
    "a closed contract": (
        target("setTargetClosed", "ServiceEscrow", closed=True),
        "ServiceEscrow is closed: no role may call it; at the deployment: ServiceEscrow is open",
        "closed contracts",
    ),
}


def told(history: History, sentence: str) -> str:
    return sentence.format(
        **{role: history.world.address(role) for role in ("governor", "guardian", "canceller", "stranger")}
    )


def verified(history: History) -> dict[str, str]:
    """Checks of ``chain verify`` that fail, with what they say."""
    checks = verify_deployment(history.connection, history.world.timebank.deployment)
    return {check.name: check.detail for check in checks if not check.ok}


def test_the_list_of_the_audit_is_what_deployments_give() -> None:
    assert dict(audit_roles.RESTRICTED) == dict(deployed_roles.RESTRICTED)


def test_as_deployed_nothing_is_said(history: History) -> None:
    report = audit(history)
    assert (failed(report), report.warnings) == ([], ())
    assert report.body()["warnings"] == []
    assert verified(history) == {}


@pytest.mark.parametrize("case", CHANGES)
def test_a_change_is_told_with_its_block(history: History, case: str) -> None:
    change, sentence, check = CHANGES[case]
    before = audit(history).check("A19")
    history.world.govern(change(history))
    block = history.connection.block_number()
    report = audit(history)
    assert failed(report) == []
    [(number, text)] = report.warnings
    assert number == "A19"
    assert text.startswith(f"since block {block} {told(history, sentence)}")
    assert report.check("A19").evidence["changes"] == before.evidence["changes"] + 1
    assert report.verdict.endswith("; 1 warning: A19")
    assert list(verified(history)) == [check]


def test_governance_turned_upside_down(history: History) -> None:
    """All at once, as an intruder would: each is told, and nothing hides behind another."""
    cases = [
        "another governor",
        "another administrator",
        "a role's admin",
        "a role's guardian",
        "a contract's admin delay",
        "a closed contract",
    ]
    before = audit(history).check("A19")
    for case in cases:
        history.world.govern(CHANGES[case][0](history))
    report = audit(history)
    assert failed(report) == []
    for case, (_, text) in zip(cases, report.warnings, strict=True):
        assert told(history, CHANGES[case][1]) in text
    assert report.check("A19").evidence["changes"] == before.evidence["changes"] + len(cases)
    assert list(verified(history)) == ["members", "rules of roles", "closed contracts"]


@pytest.mark.parametrize("delay", [0, 600])
def test_all_roles_in_the_deployers_hand_are_as_deployed(
    embedded: Connection, tmp_path: Path, delay: int
) -> None:
    """The deployer, administrator from the first block on, stays it with the plan's delay."""
    fund(embedded)
    own = dict.fromkeys(("governor", "guardian", "registrar", "canceller"), SIGNERS["deployer"].address)
    made = deploy(embedded, SIGNERS["deployer"], plan(**own, governance_delay=delay))
    check = run_audit(embedded, made, tmp_path).check("A19")
    assert (check.status, check.notes, check.warnings, check.evidence["changes"]) == ("ok", (), (), 0)
    assert [one.detail for one in verify_deployment(embedded, made) if not one.ok] == []


def test_a_delay_that_has_not_begun_says_when(history: History) -> None:
    """A contract's new admin delay begins five days later; the manager shows the old one until then."""
    delay = target("setTargetAdminDelay", "RateOracle", newDelay=30 * DAY)(history)
    history.world.govern(delay)
    assert " (from 20" in audit(history).warnings[0][1]
    history.connection.advance_time(6 * DAY)
    history.world.send(
        "member1", history.world.timebank.attention_credit.transfer(history.world.address("payee"), 1)
    )
    report = audit(history)
    assert failed(report) == []
    assert " (from 20" not in report.warnings[0][1]


def test_a_change_taken_back_is_a_note(history: History) -> None:
    world = history.world
    world.govern(target("setTargetClosed", "RateFloat", closed=True)(history))
    shut = history.connection.block_number()
    world.govern(target("setTargetClosed", "RateFloat", closed=False)(history))
    report = audit(history)
    assert (failed(report), report.warnings) == ([], ())
    note = f"from block {shut} on RateFloat is closed: no role may call it; since block "
    assert any(one.startswith(note) for one in report.check("A19").notes)
    assert verified(history) == {}


def test_who_may_be_given_a_role_by_anybody_is_a_finding(history: History) -> None:
    history.world.govern(rule("setRoleAdmin", roleId=GUARDIAN_ROLE, admin=PUBLIC_ROLE)(history))
    report = audit(history)
    assert failed(report) == ["A19"]
    assert report.check("A19").differences[0].meaning == "anybody may take this role"


def test_roles_that_the_manifest_does_not_name_are_a_finding(history: History) -> None:
    """A manifest with another guardian than the deployment's is another deployment's."""
    deployment = history.world.timebank.deployment
    stranger = history.world.address("stranger")
    other = replace(deployment, plan=replace(deployment.plan, guardian=stranger))
    assert [one.name for one in verify_deployment(history.connection, other) if not one.ok] == ["members"]
    report = run_audit(history.connection, other, history.epochs)
    assert failed(report) == ["A19"]
    assert {one.meaning for one in report.check("A19").differences} == {
        "the roles were never what the deployment's manifest says"
    }
    assert f"{stranger} holds GUARDIAN with no delay" in {
        one.expected for one in report.check("A19").differences
    }


def word(value: int) -> bytes:
    return value.to_bytes(32, "big")


def after(slot: bytes, count: int) -> bytes:
    return word(int.from_bytes(slot, "big") + count)


def address(history: History, contract: str) -> bytes:
    return bytes.fromhex(history.address(contract)[2:])


#: What is written past the manager: slot, value, and where the audit says so. A role's slots are its members,
#: then admin (64 bits), guardian (64 bits) and grant delay (112 bits); a contract's the roles of its
#: functions, then admin delay (112 bits) and whether it is closed.
FORGERIES: dict[str, tuple[Callable[[History], bytes], int, str]] = {
    "role's admin": (
        lambda _: after(mapping_slot(word(GUARDIAN_ROLE), ROLES), 1),
        GUARDIAN_ROLE,
        "who gives GUARDIAN",
    ),
    "role's guardian": (
        lambda _: after(mapping_slot(word(REGISTRAR_ROLE), ROLES), 1),
        GUARDIAN_ROLE << 64,
        "who drops what REGISTRAR has scheduled",
    ),
    "grant delay": (
        lambda _: after(mapping_slot(word(GUARDIAN_ROLE), ROLES), 1),
        60 << 128,
        "grant delay of GUARDIAN, seconds",
    ),
    "admin delay": (
        lambda history: after(mapping_slot(address(history, "RateOracle").rjust(32, b"\0"), TARGETS), 1),
        60,
        "admin delay of RateOracle, seconds",
    ),
    "closed": (
        lambda history: after(mapping_slot(address(history, "FeePool").rjust(32, b"\0"), TARGETS), 1),
        1 << 112,
        "FeePool closed",
    ),
    "function no event speaks of": (
        lambda history: mapping_slot(
            selector("RateOracle", "setChallenge").ljust(32, b"\0"),
            int.from_bytes(mapping_slot(address(history, "RateOracle").rjust(32, b"\0"), TARGETS), "big"),
        ),
        GUARDIAN_ROLE,
        "RateOracle.setChallenge, role",
    ),
}


@pytest.mark.parametrize("case", FORGERIES)
def test_what_no_event_explains_is_a_finding(history: History, case: str) -> None:
    slot, value, where = FORGERIES[case]
    forge(history, "AccessManager", slot(history), value)
    report = audit(history)
    assert failed(report) == ["A19"]
    assert [one.where for one in report.check("A19").differences] == [f"AccessManager, {where}"]


def test_the_commands_say_it_where_a_person_sees_it(history: History, tmp_path: Path) -> None:
    history.world.govern(grant(GOVERNOR_ROLE)(history))
    block = history.connection.block_number()
    manifest = tmp_path / "deployment.json"
    manifest.write_text(json.dumps(history.world.timebank.deployment.to_json()))
    where = ["--rpc-url", history.connection.url, "--deployment", manifest]
    told_by_audit = f"A19 WARNING: since block {block} {history.world.address('guardian')} holds GOVERNOR"
    ran = run("audit", *where, "--epochs", history.epochs)
    assert ran.code == 0
    *_, warning, _, verdict = ran.out.splitlines()
    assert warning.startswith(told_by_audit)
    assert verdict.startswith("GREEN: ")
    assert verdict.endswith("; 1 warning: A19")
    document = run("audit", *where, "--epochs", history.epochs, "--json").document
    assert [one["number"] for one in document["warnings"]] == ["A19"]
    ran = run("chain", "verify", *where, "--json")
    assert ran.code == 3
    wrong = [one for one in ran.document["checks"] if not one["ok"]]
    assert [one["name"] for one in wrong] == ["members"]
    assert wrong[0]["detail"] == f"{history.world.address('guardian')} holds GOVERNOR, and should not"
