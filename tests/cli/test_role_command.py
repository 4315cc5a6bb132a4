"""timebank chain role grant and revoke, against a real anvil.

::

    a role has gone bad
    |- a guardian is replaced: scheduled, waited for, executed; the old one pauses nothing, the new one does
    |- a canceller cannot drop its own revocation
    `- what a governor had scheduled cannot run after its role is taken
    the last administrator
    |- stays: nothing is sent, also while another was made one but has yet to begin
    `- can go once there is another, who then gives and takes, and nobody else
    delays
    |- default: governor and admin wait as long as who gives it, others not at all
    |- none for governor or admin, one for guardian or canceller: warned of
    |- as long as the window, or endless: refused
    `- another one for who has the role; a shorter one begins later, and is said so
    already so ......... nothing sent, whatever the default
    both at once ....... guardian or canceller who also governs, either way round: warned of
    nobody left ........ the last of another role, or one whose holder can take it back: warned of
    refused ............ who is no administrator, our contracts, nobody, no role, no checksum; dry run
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.cli.bank_stage import Stage, run
from timebank_chain.chain.access_manager import (
    ADMIN_ROLE,
    CANCELLER_ROLE,
    GOVERNOR_ROLE,
    GUARDIAN_ROLE,
    Membership,
)
from timebank_chain.chain.member_registry import ZERO_ADDRESS

pytestmark = pytest.mark.anvil
GRANT, REVOKE = ("chain", "role", "grant"), ("chain", "role", "revoke")
DELAY = 600


def held(stage: Stage, role: int, who: str) -> Membership:
    return stage.world.timebank.access_manager.has_role(role, stage.world.address(who))


def change(stage: Stage, by: str, *arguments: object, wait: int = DELAY) -> dict[str, Any]:
    """Schedule as ``by``, wait, execute."""
    assert stage.done(by, *arguments)["state"] == "scheduled"
    assert stage.done(by, *arguments)["state"] == "waiting"
    stage.world.connection.advance_time(wait + 1)
    document = stage.done(by, *arguments)
    assert document["state"] == "done"
    return document


def warned(stage: Stage, *arguments: object) -> str:
    """What the governor would be warned of."""
    ran = run(*arguments, "--from", stage.world.address("governor"), "--dry-run", "--json")
    assert ran.code == 0, ran.out + ran.err
    said = [line.removeprefix("warning: ") for line in ran.err.splitlines() if line.startswith("warning: ")]
    assert said == ran.document["warnings"]
    return "\n".join(said)


class TestGoneBad:
    def test_a_guardian_is_replaced(self, stage: Stage) -> None:
        old, new = stage.world.address("guardian"), stage.world.address("stranger")
        stage.done("guardian", "chain", "pause", "--what", "trading")
        document = stage.done("governor", *REVOKE, "guardian", old)
        assert document["schema"] == "timebank.chain.role.revoke/1"
        assert (document["state"], document["role"], document["account"]) == ("scheduled", "GUARDIAN", old)
        assert held(stage, GUARDIAN_ROLE, "guardian").is_member
        assert stage.done("governor", *GRANT, "guardian", new)["state"] == "scheduled"
        stage.world.connection.advance_time(DELAY + 1)
        assert stage.done("governor", *GRANT, "guardian", new)["state"] == "done"
        assert stage.done("governor", *REVOKE, "guardian", old)["state"] == "done"
        pause = ("chain", "pause", "--what", "ordering")
        assert stage.refused("guardian", *pause) == "AccessManagedUnauthorized"
        stage.done("stranger", *pause)
        assert held(stage, GUARDIAN_ROLE, "stranger") == Membership(True, 0)

    def test_a_canceller_cannot_drop_its_own_revocation(self, stage: Stage) -> None:
        revoke = (*REVOKE, "canceller", stage.world.address("canceller"))
        assert stage.done("governor", *revoke)["state"] == "scheduled"
        (waiting,) = stage.told("chain", "powers")["waiting"]
        assert (waiting["function"], waiting["canceller"]) == ("revokeRole", "ADMIN")
        refused = stage.refused("canceller", "chain", "cancel", waiting["operation_id"])
        assert refused == "AccessManagerUnauthorizedCancel"
        stage.world.connection.advance_time(DELAY + 1)
        assert stage.done("governor", *revoke)["state"] == "done"
        assert not held(stage, CANCELLER_ROLE, "canceller").is_member

    def test_what_a_governor_had_scheduled_cannot_run(self, stage: Stage) -> None:
        second = stage.world.address("payee")
        change(stage, "governor", *GRANT, "governor", second)
        bond = ("chain", "set-bond", "7")
        assert stage.done("payee", *bond)["state"] == "scheduled"
        change(stage, "governor", *REVOKE, "governor", second)
        assert stage.refused("payee", *bond) == "AccessManagedUnauthorized"
        assert stage.world.timebank.rate_oracle.bond_wei() != 7 * 10**18


class TestLastAdministrator:
    def test_stays(self, stage: Stage) -> None:
        revoke = (*REVOKE, "admin", stage.world.address("governor"))
        ran = run(*revoke, "--from", stage.world.address("governor"), "--yes", "--json")
        assert ran.error["message"].startswith(f"{revoke[-1]} is the last administrator")
        assert "timebank chain role grant admin" in ran.error["hint"]
        assert stage.refused("governor", *revoke, code=2) == "UsageError"
        # One who has yet to begin is none: until then nobody else could act.
        manager = stage.world.timebank.access_manager
        stage.world.govern(manager._write("setGrantDelay", roleId=ADMIN_ROLE, newDelay=86_400))
        stage.world.connection.advance_time(5 * 86_400 + 1)
        grant = (*GRANT, "admin", stage.world.address("payee"))
        assert "the role begins 1d after this is executed" in warned(stage, *grant)
        change(stage, "governor", *grant)
        assert not held(stage, ADMIN_ROLE, "payee").is_member
        assert stage.done("governor", *grant)["state"] == "unchanged"
        assert stage.refused("governor", *revoke, code=2) == "UsageError"
        stage.world.connection.advance_time(86_401)
        change(stage, "governor", *revoke)
        assert not held(stage, ADMIN_ROLE, "governor").is_member

    def test_can_go_when_there_is_another(self, stage: Stage) -> None:
        old, new = stage.world.address("governor"), stage.world.address("payee")
        change(stage, "governor", *GRANT, "admin", new)
        # Each of two may be taken; whoever is executed second would be the last one.
        assert stage.done("governor", *REVOKE, "admin", old)["state"] == "scheduled"
        assert stage.done("payee", *REVOKE, "admin", new)["state"] == "scheduled"
        stage.world.connection.advance_time(DELAY + 1)
        assert stage.done("governor", *REVOKE, "admin", old)["state"] == "done"
        assert stage.refused("payee", *REVOKE, "admin", new, code=2) == "UsageError"
        assert held(stage, ADMIN_ROLE, "payee").is_member
        give = (*GRANT, "registrar", stage.world.address("stranger"))
        assert stage.refused("governor", *give) == "AccessManagerUnauthorizedAccount"
        change(stage, "payee", *give)


class TestDelays:
    @pytest.mark.parametrize(("role", "number", "seconds"), [("governor", 1, DELAY), ("canceller", 4, 0)])
    def test_default(self, stage: Stage, role: str, number: int, seconds: int) -> None:
        document = change(stage, "governor", *GRANT, role, stage.world.address("payee"))
        assert (document["delay"], document["warnings"]) == (seconds, [])
        assert held(stage, number, "payee") == Membership(True, seconds)

    @pytest.mark.parametrize(
        ("role", "delay", "words"),
        [
            ("governor", "0s", "nobody sees a change before it holds"),
            ("admin", "0", "nobody sees a change before it holds"),
            ("guardian", "1m", "cannot stop anything at once"),
            ("canceller", "1m", "rejection of a link"),
        ],
    )
    def test_warned_of(self, stage: Stage, role: str, delay: str, words: str) -> None:
        payee = stage.world.address("payee")
        assert words in warned(stage, *GRANT, role, payee, "--delay", delay)

    def test_refused(self, stage: Stage) -> None:
        window = stage.world.timebank.rate_oracle.challenge_window()
        payee = stage.world.address("payee")
        for role, delay in (("governor", f"{window}s"), ("admin", "366d"), ("guardian", "soon")):
            given = (*GRANT, role, payee, "--delay", delay)
            assert stage.refused("governor", *given, code=2) == "UsageError"
        change(stage, "governor", *GRANT, "governor", payee, "--delay", f"{window - 1}s")

    def test_another_one(self, stage: Stage) -> None:
        governor = stage.world.address("governor")
        longer = (*GRANT, "governor", governor, "--delay", "1000s")
        change(stage, "governor", *longer)
        assert held(stage, GOVERNOR_ROLE, "governor").delay == 1_000
        shorter = (*GRANT, "governor", governor, "--delay", "400s")
        assert "the shorter delay begins 10m after this is executed" in warned(stage, *shorter)
        change(stage, "governor", *shorter)
        assert held(stage, GOVERNOR_ROLE, "governor").delay == 1_000
        assert stage.done("governor", *shorter)["state"] == "unchanged"
        stage.world.connection.advance_time(601)
        assert held(stage, GOVERNOR_ROLE, "governor").delay == 400


def test_already_so(stage: Stage) -> None:
    guardian, governor = stage.world.address("guardian"), stage.world.address("governor")
    block = stage.world.connection.block_number()
    for given in (
        (*GRANT, "guardian", guardian),
        (*GRANT, "guardian", guardian, "--delay", "0s"),
        (*GRANT, "admin", governor),
        (*REVOKE, "guardian", stage.world.address("stranger")),
    ):
        document = stage.done("governor", *given)
        assert (document["state"], document["sent"]) == ("unchanged", False)
    assert stage.world.connection.block_number() == block
    text = run(*GRANT, "admin", governor, "--from", governor, "--yes")
    assert "already so, nothing was sent" in text.err
    assert "with a delay of 10m" in text.err


def test_both_at_once(stage: Stage) -> None:
    at = stage.world.address
    pauses, drops = "one stolen key can pause", "nobody else drops what it schedules"
    assert f"{at('guardian')} is guardian, too: {pauses}" in warned(stage, *GRANT, "governor", at("guardian"))
    assert f"{at('canceller')} is canceller, too" in warned(stage, *GRANT, "admin", at("canceller"))
    for role, words in (("guardian", pauses), ("canceller", drops)):
        said = warned(stage, *GRANT, role, at("governor"))
        assert said.startswith(f"{at('governor')} is governor and admin, too: one stolen key")
        assert words in said
    assert warned(stage, *GRANT, "registrar", at("governor")) == ""


def test_nobody_left(stage: Stage) -> None:
    at = stage.world.address
    for role, words in (
        ("guardian", "pause anything"),
        ("registrar", "link members to wallets"),
        ("canceller", "drop what the governor has scheduled"),
    ):
        assert f"nobody is {role} then: nobody can {words}" in warned(stage, *REVOKE, role, at(role))
    assert "can give itself the role again" in warned(stage, *REVOKE, "governor", at("governor"))
    change(stage, "governor", *GRANT, "guardian", at("stranger"))
    assert warned(stage, *REVOKE, "guardian", at("guardian")) == ""


def test_refused(stage: Stage) -> None:
    at = stage.world.address
    for role in ("stranger", "guardian", "canceller"):
        name = stage.refused(role, *GRANT, "guardian", at("payee"))
        assert name == "AccessManagerUnauthorizedAccount"
        name = stage.refused(role, *REVOKE, "guardian", at("guardian"))
        assert name == "AccessManagerUnauthorizedAccount"
    for nobody in (ZERO_ADDRESS, stage.world.timebank.rate_oracle.address):
        assert stage.refused("governor", *GRANT, "admin", nobody, code=2) == "UsageError"
    assert stage.refused("governor", *GRANT, "guardian", at("payee").lower(), code=2) == "UsageError"
    assert run(*GRANT, "king", at("payee"), "--json").code == 2
    block = stage.world.connection.block_number()
    dry = run(*GRANT, "guardian", at("payee"), "--from", at("governor"), "--dry-run")
    assert dry.code == 0, dry.err
    assert "AccessManager.schedule" in dry.out
    assert "dry run: nothing was sent" in dry.err
    asked = run(*GRANT, "guardian", at("payee"), "--from", at("governor"))
    assert asked.code == 2
    assert f"make {at('payee')} guardian, without a delay?" in asked.err
    assert stage.world.connection.block_number() == block
