"""timebank chain powers, against a real anvil.

::

    as deployed ...... each role has what roles.py and contracts/README.md say, by the chain's own answers
        nobody ....... what only contracts call, what is done with, what no role has a say in
        everybody .... all other functions that write; none is left out
        text ......... roles, holders, delays, functions in words
    after changes .... a role given and taken, a function moved, one opened to all, a contract closed,
                       an operation scheduled
    scheduled ........ arguments in words and as JSON, who may drop it; what is no call, as bytes
    another manager .. the contract told apart with what it asks there, the rest listed, exit 3
    refused .......... other code, no deployment
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.cli.bank_stage import Ran, run
from tests.world import SIGNERS, World, plan
from timebank_chain.artifacts import load_artifact
from timebank_chain.chain.access_manager import GUARDIAN_ROLE, PUBLIC_ROLE, REGISTRAR_ROLE, ROLE_NAMES
from timebank_chain.chain.contract import selector
from timebank_chain.chain.deployment import deploy
from timebank_chain.chain.roles import RESTRICTED
from timebank_chain.config import ENV_DEPLOYMENT, ENV_RPC_URL

pytestmark = pytest.mark.anvil
SET_AUTHORITY = ("FeePool", "setAuthority")
ADMINS_OWN = {
    "labelRole",
    "setGrantDelay",
    "setRoleAdmin",
    "setRoleGuardian",
    "setTargetAdminDelay",
    "setTargetClosed",
    "setTargetFunctionRole",
    "updateAuthority",
}


@pytest.fixture
def place(anvil_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    manifest = tmp_path / "deployment.json"
    manifest.write_text(json.dumps(anvil_world.timebank.deployment.to_json()))
    monkeypatch.setenv(ENV_DEPLOYMENT, str(manifest))
    monkeypatch.setenv(ENV_RPC_URL, anvil_world.connection.url)
    return anvil_world


def powers() -> dict[str, Any]:
    ran = run("chain", "powers", "--json")
    assert ran.code == 0, ran.out + ran.err
    return ran.document


def role(document: dict[str, Any], name: str) -> dict[str, Any]:
    return next(dict(one) for one in document["roles"] if one["name"] == name)


def functions(document: dict[str, Any], name: str) -> set[tuple[str, str]]:
    return {(one["contract"], one["function"]) for one in role(document, name)["powers"]}


class TestAsDeployed:
    def test_roles_and_nobody_and_everybody(self, place: World) -> None:
        told = powers()
        assert told["schema"] == "timebank.chain.powers/1"
        for number, name in ROLE_NAMES.items():
            expected = {
                (contract, function)
                for (contract, of), names in RESTRICTED.items()
                for function in names
                if of == number and number != 0
            }
            own = {one for one in functions(told, name) if one[0] != "AccessManager"}
            assert own == expected, name
        assert functions(told, "ADMIN") == {
            ("AccessManager", one) for one in ADMINS_OWN | {"grantRole", "revokeRole", "cancel"}
        }
        given = [one["argument"] for one in role(told, "ADMIN")["powers"] if one["function"] == "grantRole"]
        assert given == list(ROLE_NAMES.values())
        for name, holder, delay in (
            ("ADMIN", "governor", 600),
            ("GOVERNOR", "governor", 600),
            ("GUARDIAN", "guardian", 0),
            ("REGISTRAR", "registrar", 0),
            ("CANCELLER", "canceller", 0),
        ):
            members = [{"account": place.address(holder), "delay": delay}]
            assert role(told, name)["members"] == members
            assert role(told, name)["admin"] == "ADMIN"
        assert role(told, "GOVERNOR")["canceller"] == "CANCELLER"
        assert ("AccessManager", "cancel") in functions(told, "CANCELLER")
        # New risk is paused by the guardian, who can do nothing else.
        assert functions(told, "GUARDIAN") == {
            ("RateOracle", "pauseProposals"),
            ("CreditLending", "pauseBorrowing"),
            ("CreditLease", "pauseLeasing"),
            ("CreditExchange", "pauseTrading"),
            ("ServiceEscrow", "pauseOrdering"),
        }

        nobody = {(one["contract"], one["function"]): tuple(one["callers"]) for one in told["nobody"]}
        governed = {contract for contract, _ in RESTRICTED} - {"AccessManager"}
        assert nobody == {
            ("RateOracle", "voidByProof"): ("EpochChallenge", "LeafRequests"),
            ("RateOracle", "setChallenge"): (),
            ("RateOracle", "setRateFloat"): (),
            ("RateFloat", "follow"): ("RateOracle",),
            ("FeePool", "setSpenders"): (),
            ("FeePool", "recordSpending"): ("CreditPayments", "CreditExchange", "ServiceEscrow"),
            ("FeePool", "setPayees"): (),
            ("CreditDistributor", "setRooms"): (),
            ("CreditDistributor", "acceptRoot"): ("RateOracle",),
            ("CreditDistributor", "pledgeClaims"): ("CreditLending", "CreditLease"),
            ("CreditDistributor", "releaseClaims"): ("CreditLending", "CreditLease"),
            ("AttentionCredit", "mint"): ("CreditDistributor",),
            ("FeePool", "burnPot"): ("CreditDistributor",),
            ("FeePool", "coverLoss"): ("CreditLending",),
            ("FeePool", "restoreReserve"): ("CreditLending",),
            ("FeePool", "payDepositors"): ("TimeBank",),
            ("TimeBank", "depositClaim"): ("CreditDistributor",),
            ("CreditLending", "repayFromClaim"): ("CreditDistributor",),
            ("CreditLease", "repayFromClaim"): ("CreditDistributor",),
            **{(contract, "setAuthority"): ("AccessManager",) for contract in governed},
        }
        assert set(told["ungoverned"]) == set(place.timebank.addresses()) - governed - {"AccessManager"}
        assert {"AttentionCredit", "CreditDistributor"} <= set(told["ungoverned"])
        # Nothing that writes is left out, and nothing stands in two places.
        listed = [(one["contract"], one["signature"]) for one in told["nobody"]]
        listed += [(name, one) for name, signatures in told["everybody"].items() for one in signatures]
        listed += {
            (one["contract"], one["signature"])
            for each in told["roles"]
            for one in each["powers"]
            if one["function"] != "cancel"
        }
        writing = [
            name
            for name in place.timebank.addresses()
            for entry in load_artifact(name).abi
            if entry["type"] == "function" and entry["stateMutability"] not in ("view", "pure")
        ]
        assert len(listed) == len(set(listed)) == len(writing)
        assert "transfer(address,uint256)" in told["everybody"]["AttentionCredit"]
        assert "withdraw(uint256,address)" in told["everybody"]["TimeBank"]
        assert told["waiting"] == []
        assert told["quorum"] == {"threshold": 3, "signers": list(plan().signers)}

    def test_text(self, place: World) -> None:
        ran = run("chain", "powers")
        assert ran.code == 0, ran.err
        for words in (
            f"GUARDIAN: {place.address('guardian')} (at once)",
            f"GOVERNOR: {place.address('governor')} (10m)",
            "stop new proposals",
            "done once, never again",
            "No role has any say in AttentionCredit",
            "3 of 5",
        ):
            assert words in ran.out


class TestAfterChanges:
    def test_what_changed_shows(self, place: World) -> None:
        timebank = place.timebank
        manager, payments = timebank.access_manager, timebank.credit_payments.address
        set_fee = selector("CreditPayments", "setFee")
        place.govern(manager.set_function_role(payments, [set_fee], REGISTRAR_ROLE))
        place.govern(manager.grant_role(GUARDIAN_ROLE, place.address("member1"), 60))
        place.govern(manager.revoke_role(GUARDIAN_ROLE, place.address("guardian")))
        collect = selector("CreditLending", "pauseBorrowing")
        place.govern(manager.set_function_role(timebank.credit_lending.address, [collect], PUBLIC_ROLE))
        waiting = timebank.rate_oracle.set_bond(5)
        place.send("governor", manager.schedule(waiting))
        told = powers()
        assert ("CreditPayments", "setFee") in functions(told, "REGISTRAR")
        assert ("CreditPayments", "setFee") not in functions(told, "GOVERNOR")
        assert role(told, "GUARDIAN")["members"] == [{"account": place.address("member1"), "delay": 60}]
        assert "pauseBorrowing()" in told["everybody"]["CreditLending"]
        assert [(one["contract"], one["function"], one["caller"]) for one in told["waiting"]] == [
            ("RateOracle", "setBond", place.address("governor"))
        ]
        assert told["waiting"][0]["ready_at"] > told["time"]

    def test_a_closed_contract(self, place: World) -> None:
        manager = place.timebank.access_manager
        call = manager._write("setTargetClosed", target=place.timebank.credit_lease.address, closed=True)
        place.govern(call)
        told = powers()
        closed = {one["contract"] for each in told["roles"] for one in each["powers"] if one["closed"]}
        assert closed == {"CreditLease"}


class TestScheduled:
    def test_arguments_are_shown(self, place: World) -> None:
        timebank, governor = place.timebank, place.address("governor")
        manager, oracle = timebank.access_manager, timebank.rate_oracle
        stranger, member = place.address("stranger"), place.address("member1")
        digest, pool = b"\x17" * 32, timebank.fee_pool
        weird = "by\x1b[2J\u202e\x9b"
        quorum = [place.address(f"signer{n}") for n in range(1, 6)] + [stranger]
        split = pool._write("setSplit", newSplit=(4_000, 3_000, 3_000))
        moved = manager.set_function_role(
            pool.address, [selector("FeePool", "setSplit"), b"\x01\x02\x03\x04"], REGISTRAR_ROLE
        )
        data = oracle.set_bond(5).data
        no_text = oracle.void_proposal(digest, stranger, "?").data.replace(b"?", b"\xff")
        calls = [
            oracle.set_bond(5 * 10**17),
            oracle.set_quorum(quorum, 2),
            oracle.set_challenge_window(7_200),
            oracle.void_proposal(digest, stranger, weird),
            split,
            timebank.rate_float.set_float(12_500_000),
            manager.grant_role(GUARDIAN_ROLE, member, 60),
            moved,
            replace(oracle.set_bond(5), data=data[:20]),
            replace(oracle.set_bond(5), data=no_text),
        ]
        for call in calls:
            place.send("governor", manager.schedule(call))
        waiting = powers()["waiting"]
        assert [one["caller"] for one in waiting] == [governor] * len(calls)
        assert [(one["function"], one["arguments"]) for one in waiting] == [
            ("setBond", {"newBond": 5 * 10**17}),
            ("setQuorum", {"newSigners": quorum, "newThreshold": 2}),
            ("setChallengeWindow", {"newWindow": 7_200}),
            ("voidProposal", {"headerHash": "0x" + "17" * 32, "challenger": stranger, "reason": weird}),
            ("setSplit", {"newSplit": {"depositorsBps": 4_000, "bonusBps": 3_000, "reserveBps": 3_000}}),
            ("setFloat", {"newStep": 12_500_000}),
            ("grantRole", {"roleId": GUARDIAN_ROLE, "account": member, "executionDelay": 60}),
            (
                "setTargetFunctionRole",
                {
                    "target": pool.address,
                    "selectors": ["0x" + selector("FeePool", "setSplit").hex(), "0x01020304"],
                    "roleId": REGISTRAR_ROLE,
                },
            ),
            ("setBond", {"data": "0x" + data[:20].hex()}),
            ("voidProposal", {"data": "0x" + no_text.hex()}),
        ]
        # Role changes are the administrator's, and so is dropping them.
        droppers = {one["function"]: one["canceller"] for one in waiting}
        assert droppers["grantRole"] == droppers["setTargetFunctionRole"] == "ADMIN"
        assert {droppers[name] for name in ("setBond", "voidProposal", "setFloat")} == {"CANCELLER"}

        ran = run("chain", "powers")
        assert ran.code == 0, ran.err
        for words in (
            "RateOracle.setBond(newBond: 0.5 coin)",
            f"RateOracle.setQuorum(newSigners: [{', '.join(quorum)}], newThreshold: 2)",
            "RateOracle.setChallengeWindow(newWindow: 2h)",
            f"RateOracle.voidProposal(headerHash: 0x{'17' * 32}, challenger: {stranger}, reason: 'by\\x1b[2J",
            "FeePool.setSplit(newSplit: (depositorsBps: 4000 basis points, bonusBps: 3000 basis points, ",
            "RateFloat.setFloat(newStep: 12.500000 credits)",
            f"AccessManager.grantRole(roleId: GUARDIAN, account: {member}, executionDelay: 1m)",
            f"setTargetFunctionRole(target: FeePool {pool.address}, selectors: [setSplit, 0x01020304], "
            "roleId: REGISTRAR)",
            "cannot drop what an administrator schedules as such",
        ):
            assert words in ran.out
        assert not set(weird) - set("by[2J") & set(ran.out), "nothing reaches the terminal raw"


class TestAnotherManager:
    def test_the_rest_is_listed(self, place: World) -> None:
        before = powers()
        assert (before["ok"], before["foreign"]) == (True, [])
        other = deploy(place.connection, SIGNERS["deployer"], plan()).contracts["AccessManager"].address
        manager = place.timebank.access_manager
        call = manager._write("updateAuthority", target=place.timebank.fee_pool.address, newAuthority=other)
        place.govern(call)
        ran = run("chain", "powers", "--json")
        assert ran.code == 3
        told = ran.document
        assert told["ok"] is False
        assert told["foreign"] == [
            {
                "contract": "FeePool",
                "manager": other,
                "functions": ["setSplit((uint16,uint16,uint16))"],
            }
        ]
        # Nobody here governs it any more; all else is as it was.
        for each in before["roles"]:
            kept = [one for one in each["powers"] if one["contract"] != "FeePool"]
            assert role(told, each["name"])["powers"] == kept
        assert "FeePool" not in told["ungoverned"]
        assert told["everybody"] == before["everybody"]
        moved = [
            one | ({"callers": [other]} if (one["contract"], one["function"]) == SET_AUTHORITY else {})
            for one in before["nobody"]
        ]
        assert told["nobody"] == moved

        text = run("chain", "powers")
        assert text.code == 3
        assert f"FeePool under {other}" in text.err
        assert "stop new proposals" in text.out
        assert "Under another manager" in text.out


class TestRefused:
    def test_other_code(self, place: World) -> None:
        address = place.timebank.credit_payments.address
        code = "0x" + place.connection.code_at(address).hex()[:-2] + "00"
        place.connection.w3.provider.make_request("anvil_setCode", [address, code])  # type: ignore[union-attr]  # a node
        ran = run("chain", "powers", "--json")
        assert (ran.code, ran.error["code"]) == (1, "CodeMismatch")

    def test_no_deployment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv(ENV_DEPLOYMENT, raising=False)
        ran: Ran = run("chain", "powers", "--json")
        assert ran.code == 2
