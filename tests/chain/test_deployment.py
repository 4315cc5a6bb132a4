"""Deployments.

::

    deploy
    |- everything linked, roles set, the deployer gave up admin
    |- the governor may be the deployer: it stays admin
    |- manifest written, read again: the same
    |- run again when complete: nothing is sent
    |- interrupted after each single transaction: goes on, nothing twice
    |- interrupted between signing and sending: the same transaction is sent
    |- another plan, deployer or chain in the manifest -> DeploymentError
    `- chain reset under a complete manifest -> DeploymentError
    plan: each impossible parameter is named
    load: missing, broken, unfinished -> DeploymentError
    verify: all checks pass; each kind of difference fails its check
    before a write: foreign target, changed code, wrong chain -> nothing is sent
    every restricted function of the sources has its role
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.chain_fixtures import snapshot
from tests.world import POLICY, SIGNERS, World, plan
from timebank_chain.artifacts import load_artifact, standard_input
from timebank_chain.chain import deployment as deployment_module
from timebank_chain.chain.access_manager import (
    ADMIN_ROLE,
    GOVERNOR_ROLE,
    GUARDIAN_ROLE,
    REGISTRAR_ROLE,
    AccessManager,
    Membership,
)
from timebank_chain.chain.connection import Connection, connect
from timebank_chain.chain.deployment import (
    CONTRACTS,
    deploy,
    ensure_trusted,
    load_deployment,
)
from timebank_chain.chain.deployment_plan import DeploymentPlan, FeeSplit
from timebank_chain.chain.rate_float import Floating
from timebank_chain.chain.roles import RESTRICTED
from timebank_chain.chain.system import open_timebank
from timebank_chain.chain.verification import verify_deployment
from timebank_chain.errors import CodeMismatch, DeploymentError, UsageError, WrongChain

DEPLOYER = SIGNERS["deployer"]
TRANSACTIONS = 15


def sent_by_deployer(connection: Connection) -> int:
    return int(connection.w3.eth.get_transaction_count(DEPLOYER.address))


class TestDeploy:
    def test_roles_are_set_and_the_deployer_gave_up_admin(self, world: World) -> None:
        manager = world.timebank.access_manager
        assert manager.has_role(ADMIN_ROLE, DEPLOYER.address) == Membership(False, 0)
        assert manager.has_role(ADMIN_ROLE, world.address("governor")) == Membership(True, 600)
        assert manager.has_role(GOVERNOR_ROLE, world.address("governor")) == Membership(True, 600)
        assert manager.has_role(GUARDIAN_ROLE, world.address("guardian")) == Membership(True, 0)
        assert manager.has_role(REGISTRAR_ROLE, world.address("registrar")) == Membership(True, 0)

    def test_parameters_arrived(self, world: World) -> None:
        timebank, wanted = world.timebank, plan()
        assert timebank.rate_oracle.policy_hash() == wanted.policy_hash
        assert timebank.policy_registry.is_registered(wanted.policy_hash)
        assert not timebank.policy_registry.is_registered(bytes(32))
        assert timebank.rate_oracle.rate_q24() == wanted.rate_q24
        assert tuple(timebank.rate_oracle.signers()) == wanted.signers
        assert timebank.rate_oracle.threshold() == 3
        assert timebank.rate_oracle.bond_wei() == wanted.bond_wei
        assert timebank.rate_oracle.challenge_window() == 3600
        assert timebank.rate_oracle.challenger_share_bps() == 5000
        assert timebank.rate_oracle.challenge() == timebank.epoch_challenge.address
        assert timebank.rate_oracle.leaf_requests() == timebank.leaf_requests.address
        assert timebank.epoch_challenge.oracle() == timebank.rate_oracle.address
        assert timebank.leaf_requests.oracle() == timebank.rate_oracle.address
        assert timebank.rate_oracle.rate_float() == timebank.rate_float.address
        assert timebank.rate_float.floating() == Floating(0, wanted.rate_q24, wanted.rate_q24, 0, 0)  # type: ignore[arg-type]  # plain integers as rates
        assert timebank.fee_pool.is_spender(timebank.credit_payments.address)
        assert not timebank.fee_pool.is_spender(DEPLOYER.address)
        assert timebank.leaf_requests.answer_time() == 75
        assert timebank.leaf_requests.request_deposit_wei() == wanted.request_deposit_wei
        assert timebank.member_registry.link_delay() == 7200
        assert timebank.credit_payments.fee_bps() == 50
        assert timebank.fee_pool.split() == (4000, 4000, 2000)
        assert timebank.attention_credit.name() == "Attention Credit"
        assert timebank.attention_credit.symbol() == "ATC"

    def test_governor_who_deploys_stays_admin(self, anvil: Connection) -> None:
        own = plan(governor=DEPLOYER.address)
        timebank = open_timebank(anvil, deploy(anvil, DEPLOYER, own))
        assert timebank.access_manager.has_role(ADMIN_ROLE, DEPLOYER.address) == Membership(True, 600)
        assert all(check.ok for check in verify_deployment(anvil, timebank.deployment))

    def test_manifest_reads_as_it_was_made(self, anvil: Connection, tmp_path: Path) -> None:
        path = tmp_path / "deployments" / "deployment.json"
        made = deploy(anvil, DEPLOYER, plan(), path)
        assert load_deployment(path) == made
        document = json.loads(path.read_text())
        assert document["schema"] == "timebank.deployment/1"
        assert list(document["contracts"]) == list(CONTRACTS)
        assert "steps" not in document
        assert [one.name for one in path.parent.iterdir()] == ["deployment.json"]

    def test_run_again_when_complete_sends_nothing(self, chain: Connection, tmp_path: Path) -> None:
        path = tmp_path / "deployment.json"
        made = deploy(chain, DEPLOYER, plan(), path)
        count = sent_by_deployer(chain)
        assert count == TRANSACTIONS
        assert deploy(chain, DEPLOYER, plan(), path) == made
        assert sent_by_deployer(chain) == count


class _Interrupted(Exception):
    pass


class TestResume:
    @pytest.mark.parametrize("after", range(1, TRANSACTIONS + 1))
    def test_goes_on_after_each_transaction(
        self, anvil: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
    ) -> None:
        """The process dies right after its ``after``-th transaction was broadcast, before anybody waits."""
        self.die_and_go_on(anvil, tmp_path / "deployment.json", monkeypatch, after)

    def test_goes_on_over_json_rpc(
        self, anvil: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.die_and_go_on(anvil, tmp_path / "deployment.json", monkeypatch, 3)

    def die_and_go_on(
        self, chain: Connection, path: Path, monkeypatch: pytest.MonkeyPatch, after: int
    ) -> None:
        broadcasts = 0
        real = deployment_module.broadcast

        def dying(connection: Connection, signed: Any) -> None:
            nonlocal broadcasts
            real(connection, signed)
            broadcasts += 1
            if broadcasts == after:
                raise _Interrupted

        monkeypatch.setattr(deployment_module, "broadcast", dying)
        with pytest.raises(_Interrupted):
            deploy(chain, DEPLOYER, plan(), path)
        with pytest.raises(DeploymentError, match="unfinished"):
            load_deployment(path)
        monkeypatch.setattr(deployment_module, "broadcast", real)
        made = deploy(chain, DEPLOYER, plan(), path)
        assert sent_by_deployer(chain) == TRANSACTIONS
        assert all(check.ok for check in verify_deployment(chain, made))

    @pytest.mark.parametrize("before", range(1, TRANSACTIONS + 1))
    def test_sends_the_very_same_transaction_when_it_died_before_sending(
        self, anvil: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int
    ) -> None:
        path = tmp_path / "deployment.json"
        broadcasts = 0
        real = deployment_module.broadcast

        def dying(connection: Connection, signed: Any) -> None:
            nonlocal broadcasts
            broadcasts += 1
            if broadcasts == before:
                raise _Interrupted
            real(connection, signed)

        monkeypatch.setattr(deployment_module, "broadcast", dying)
        with pytest.raises(_Interrupted):
            deploy(anvil, DEPLOYER, plan(), path)
        noted = list(json.loads(path.read_text())["steps"].values())[-1]["transaction"]
        monkeypatch.setattr(deployment_module, "broadcast", real)
        deploy(anvil, DEPLOYER, plan(), path)
        assert sent_by_deployer(anvil) == TRANSACTIONS
        assert anvil.w3.eth.get_transaction_receipt(noted)["status"] == 1

    def test_sends_a_fresh_one_when_the_nonce_went_elsewhere(
        self, anvil: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "deployment.json"

        def dying(connection: Connection, signed: Any) -> None:
            raise _Interrupted

        real = deployment_module.broadcast
        monkeypatch.setattr(deployment_module, "broadcast", dying)
        with pytest.raises(_Interrupted):
            deploy(anvil, DEPLOYER, plan(), path)
        monkeypatch.setattr(deployment_module, "broadcast", real)
        from timebank_chain.chain.transactions import Call, send

        send(anvil, DEPLOYER, Call("coin", "transfer", SIGNERS["payee"].address, b"", value=1))
        made = deploy(anvil, DEPLOYER, plan(), path)
        assert sent_by_deployer(anvil) == TRANSACTIONS + 1
        assert all(check.ok for check in verify_deployment(anvil, made))

    def test_other_options_are_refused(self, anvil: Connection, tmp_path: Path) -> None:
        path = tmp_path / "deployment.json"
        deploy(anvil, DEPLOYER, plan(), path)
        with pytest.raises(DeploymentError, match="feeBps is 50 there, 60 here"):
            deploy(anvil, DEPLOYER, plan(fee_bps=60), path)
        with pytest.raises(DeploymentError, match="another deployer"):
            deploy(anvil, SIGNERS["stranger"], plan(), path)
        document = json.loads(path.read_text())
        path.write_text(json.dumps(document | {"chainId": 5}))
        with pytest.raises(DeploymentError, match="another chain"):
            deploy(anvil, DEPLOYER, plan(), path)

    def test_reset_chain_is_noticed(self, tmp_path: Path, anvil: Connection) -> None:
        path = tmp_path / "deployment.json"
        back = snapshot(anvil)
        deploy(anvil, DEPLOYER, plan(), path)
        back()
        with pytest.raises(DeploymentError, match="was the chain reset"):
            deploy(anvil, DEPLOYER, plan(), path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"policy": replace(POLICY, version=0)}, "refuse the policy: 0 is out of range"),
        ({"policy": replace(POLICY, domains=())}, "refuse the policy: 0 domains"),
        ({"signers": (SIGNERS["signer1"].address,) * 3}, "named twice"),
        ({"threshold": 6}, "threshold of 6 with 5"),
        ({"threshold": 0}, "threshold of 0"),
        ({"rate_q24": 0}, "rate 0"),
        ({"fee_bps": 1001}, "1001 basis points"),
        ({"fee_bps": -1}, "-1 basis points"),
        ({"challenge_window": 0}, "challenge window"),
        ({"governance_delay": 3600}, "could never be voided"),
        ({"challenger_share_bps": 10_001}, "10001"),
        ({"answer_time": 0}, "answer time of 0 s"),
        ({"answer_time": 901}, "answer time of 901 s with a challenge window of 3600 s"),
        ({"request_deposit_wei": 0}, "deposit of 0 wei"),
        ({"request_deposit_wei": 1 << 96}, "deposit of 79228162514264337593543950336 wei"),
    ],
)
def test_impossible_plans_are_named(change: dict[str, Any], said: str) -> None:
    with pytest.raises(DeploymentError, match=said):
        plan(**change).check()


def test_plan_survives_json() -> None:
    wanted = plan(contract_uri="ipfs://x", policy_uri="https://example.org/p.json")
    assert DeploymentPlan.from_json(json.loads(json.dumps(wanted.to_json())), where="") == wanted


@pytest.mark.parametrize("text", ["", "1/2", "a/b/c", "5000/5000/1", "-1/5000/5001"])
def test_fee_split_adds_up(text: str) -> None:
    assert FeeSplit.parse("4000/3500/2500").reserve_bps == 2500
    with pytest.raises(UsageError):
        FeeSplit.parse(text)


class TestLoad:
    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(DeploymentError, match="no such deployment manifest"):
            load_deployment(tmp_path / "none.json")

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": "timebank.deployment/2"}'])
    def test_broken(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / "deployment.json"
        path.write_text(text)
        with pytest.raises(DeploymentError, match=r"deployment\.json"):
            load_deployment(path)

    @pytest.mark.parametrize("field", ["chainId", "deployer", "contracts", "parameters"])
    def test_each_part_is_needed(self, embedded_world: World, tmp_path: Path, field: str) -> None:
        document = embedded_world.timebank.deployment.to_json()
        del document[field]
        path = tmp_path / "deployment.json"
        path.write_text(json.dumps(document))
        with pytest.raises(DeploymentError):
            load_deployment(path)


def changed(world: World, name: str, **fields: Any) -> Any:
    """The deployment with one contract's record changed."""
    deployment = world.timebank.deployment
    contracts = dict(deployment.contracts)
    contracts[name] = replace(contracts[name], **fields)
    return replace(deployment, contracts=contracts)


class TestVerify:
    def test_everything_passes(self, world: World) -> None:
        checks = verify_deployment(world.connection, world.timebank.deployment)
        assert [check.detail for check in checks if not check.ok] == []
        assert [check.number for check in checks] == list(range(1, len(checks) + 1))

    def failed(self, world: World, deployment: Any) -> list[str]:
        return [check.name for check in verify_deployment(world.connection, deployment) if not check.ok]

    def test_wrong_chain(self, world: World) -> None:
        assert "chain" in self.failed(world, replace(world.timebank.deployment, chain_id=5))

    def test_swapped_addresses(self, world: World) -> None:
        other = world.timebank.deployment.address("FeePool")
        assert "code of AttentionCredit" in self.failed(
            world, changed(world, "AttentionCredit", address=other)
        )

    def test_no_code(self, world: World) -> None:
        nobody = world.address("stranger")
        assert "code of FeePool" in self.failed(world, changed(world, "FeePool", address=nobody))

    def test_other_immutables(self, world: World) -> None:
        assert "code of RateOracle" in self.failed(world, changed(world, "RateOracle", code_hash=bytes(32)))

    def test_other_creation(self, world: World) -> None:
        failed = self.failed(world, changed(world, "CreditPayments", constructor_arguments=b"\x01"))
        assert failed == ["creation of CreditPayments"]
        failed = self.failed(world, changed(world, "CreditPayments", creation_transaction=b"\x01" * 32))
        assert failed == ["creation of CreditPayments"]

    def test_parts_of_another_system(self, anvil: Connection) -> None:
        """A genuine FeePool, but another deployment's: only the links tell."""
        first = deploy(anvil, DEPLOYER, plan())
        second = deploy(anvil, DEPLOYER, plan())
        mixed = replace(first, contracts={**first.contracts, "FeePool": second.contracts["FeePool"]})
        failed = [check for check in verify_deployment(anvil, mixed) if not check.ok]
        assert {check.name for check in failed} >= {"links"}
        assert "FeePool" in next(check.detail for check in failed if check.name == "links")

    def test_changed_function_role(self, anvil: Connection) -> None:
        made = deploy(anvil, DEPLOYER, plan(governor=DEPLOYER.address, governance_delay=0))
        timebank = open_timebank(anvil, made)
        public = (1 << 64) - 1
        call = timebank.access_manager.set_function_role(
            timebank.rate_oracle.address, [timebank.rate_oracle.set_rate(1).data[:4]], public
        )
        timebank.send(DEPLOYER, call)
        failed = [check for check in verify_deployment(anvil, made) if not check.ok]
        assert [check.name for check in failed] == ["function roles"]
        assert "RateOracle.setRate" in failed[0].detail

    def test_deployer_who_is_admin_again(self, anvil: Connection) -> None:
        """Planned as handed over, but the deployer holds admin: as if the last step had been left out."""
        made = deploy(anvil, DEPLOYER, plan(governor=DEPLOYER.address))
        pretended = replace(made, plan=replace(made.plan, governor=SIGNERS["governor"].address))
        failed = [check.name for check in verify_deployment(anvil, pretended) if not check.ok]
        assert failed == ["members", "admin"]


class TestTrust:
    def test_changed_code_stops_a_write(self, anvil_world: World) -> None:
        world = anvil_world
        target = world.timebank.attention_credit.address
        code = bytearray(load_artifact("AttentionCredit").deployed_bytecode)
        code[100] ^= 1
        request: Any = world.connection.w3.provider.make_request
        request("anvil_setCode", [target, "0x" + bytes(code).hex()])
        before = world.connection.block_number()
        with pytest.raises(CodeMismatch, match="not the shipped artifact"):
            world.send("member1", world.timebank.attention_credit.approve(world.address("payee"), 1))
        assert world.connection.block_number() == before

    def test_changed_immutable_stops_a_write(self, anvil_world: World) -> None:
        world = anvil_world
        target = world.timebank.credit_distributor.address
        code = bytearray(world.connection.code_at(target))
        start, length = load_artifact("CreditDistributor").immutable_ranges[0]
        code[start + length - 1] ^= 1
        request: Any = world.connection.w3.provider.make_request
        request("anvil_setCode", [target, "0x" + bytes(code).hex()])
        with pytest.raises(CodeMismatch, match="immutables differ"):
            ensure_trusted(world.connection, world.timebank.deployment, target)

    def test_foreign_target_is_refused(self, world: World) -> None:
        with pytest.raises(CodeMismatch, match="none of the deployment"):
            ensure_trusted(world.connection, world.timebank.deployment, world.address("stranger"))

    def test_wrong_chain_is_refused_before_a_write(self, world: World) -> None:
        deployment = replace(world.timebank.deployment, chain_id=5)
        with pytest.raises(WrongChain):
            open_timebank(world.connection, deployment)
        elsewhere = replace(world.timebank, deployment=deployment)
        with pytest.raises(WrongChain):
            elsewhere.send(world.signers["member1"], world.timebank.fee_pool.sync())


def test_every_restricted_function_has_its_role() -> None:
    found = set()
    for source in standard_input()["sources"].values():
        if "content" in source:
            contract = re.search(r"^contract (\w+)", source["content"], re.MULTILINE)
            if contract is None:
                continue
            for function, head in re.findall(r"function (\w+)\(([^{;]*?)\{", source["content"], re.DOTALL):
                if re.search(r"\brestricted\b", head):
                    found.add((contract.group(1), function))
    assert found, "no restricted function found: the sources are not read as written"
    # rejectLink asks the manager itself, because the wallet may call it without a role.
    found.add(("MemberRegistry", "rejectLink"))
    assert found == {(contract, name) for (contract, _), names in RESTRICTED.items() for name in names}


def test_nobody_but_the_roles_may_call(world: World) -> None:
    manager: AccessManager = world.timebank.access_manager
    from timebank_chain.chain.contract import selector

    for (contract, _), functions in RESTRICTED.items():
        for function in functions:
            target = world.timebank.addresses()[contract]
            permission = manager.can_call(world.address("stranger"), target, selector(contract, function))
            assert (permission.immediate, permission.delay) == (False, 0), function


def test_two_embedded_deployments_give_the_same_code() -> None:
    hashes = []
    for _ in range(2):
        from tests.world import deploy_world

        deployment = deploy_world(connect()).timebank.deployment
        hashes.append({name: contract.code_hash for name, contract in deployment.contracts.items()})
    assert hashes[0] == hashes[1]
