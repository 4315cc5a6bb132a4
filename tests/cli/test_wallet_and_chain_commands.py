"""timebank chain and timebank wallet, against a real anvil.

::

    chain
    |- deploy: dry run sends nothing; deploys; again does nothing; impossible plans (exit 2)
    |- status: text and JSON
    |- verify: passes; changed code -> exit 3, naming the contract
    |- set-rate, set-policy, set-quorum, void-epoch: schedule, wait, execute
    |- a float: none unless deployed with one or set, shown by status, set in two runs
    |- void-epoch is bound to a header: by number, by hash, after another proposal took the number, too late
    `- pause: at once
    wallet
    |- create, import (file and standard input), list; nothing secret is printed
    |- send, pay, claim, statement (text, JSON, CSV with memos), balance
    |- claim of a placeholder after link request and confirm
    |- dry runs send nothing
    `- mistakes: wrong password, address without checksum, second claim, not final, no epochs, no deployment,
       no terminal to ask, amounts, node down, wrong chain, empty account: exit code, sentence, way out
"""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.chain_fixtures import free_port
from tests.published import finalise, identity, propose, publish_next
from tests.world import SIGNERS, World, deploy_world
from timebank_chain.artifacts import load_artifact
from timebank_chain.chain.access_manager import AccessManager
from timebank_chain.chain.connection import Connection
from timebank_chain.chain.keystore import KeystoreWallets
from timebank_chain.chain.reverts import WrongPause
from timebank_chain.cli import chain, main, wallet
from timebank_chain.cli.writes import format_ether, parse_ether
from timebank_chain.config import (
    ENV_DEPLOYMENT,
    ENV_EPOCHS,
    ENV_FROM,
    ENV_KEYSTORE,
    ENV_KEYSTORES,
    ENV_PASSWORD,
    ENV_RPC_URL,
)
from timebank_chain.epoch.evidence import AccountEvidence
from timebank_chain.errors import UsageError
from timebank_chain.units import format_rate
from timebank_chain.valuation.policy import load_policy, policy_call, policy_hash

pytestmark = pytest.mark.anvil

MEMBER, PAYEE, REGISTRAR = (SIGNERS[role].address for role in ("member1", "payee", "registrar"))
QUORUM = [SIGNERS[f"signer{n}"] for n in range(1, 4)]


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        return dict(json.loads(self.out))

    @property
    def error(self) -> dict[str, Any]:
        return dict(self.document["error"])


def run(*arguments: object, stdin: str = "") -> Ran:
    """Run a command as its entry point does; standard input is no terminal."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["timebank", *map(str, arguments)])
        patch.setattr(sys, "stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as ended:
            main.run()
    return Ran(int(ended.value.code or 0), out.getvalue(), err.getvalue())


def keys(folder: Path, roles: Sequence[str]) -> KeystoreWallets:
    wallets = KeystoreWallets(folder / "wallets", scrypt_n=2)
    for role in roles:
        wallets.import_key(SIGNERS[role]._account.key, "the password")
    return wallets


@pytest.fixture
def home(tmp_path: Path, anvil: Connection, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A person's folder: wallets of every role and the variables that point at them."""
    wallets = keys(
        tmp_path, ["deployer", "governor", "guardian", "registrar", "canceller", "member1", "stranger"]
    )
    (tmp_path / "password").write_text("the password\n")
    for name in (ENV_FROM, ENV_KEYSTORE, ENV_EPOCHS, ENV_DEPLOYMENT):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(ENV_RPC_URL, anvil.url)
    monkeypatch.setenv(ENV_KEYSTORES, str(wallets.folder))
    monkeypatch.setenv(ENV_PASSWORD, str(tmp_path / "password"))
    return tmp_path


def sender(role: str) -> list[str]:
    return ["--from", SIGNERS[role].address]


@pytest.fixture
def deployed(home: Path, anvil: Connection, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, World]:
    """A deployed system, its manifest in the environment, one final epoch in ``epochs``."""
    world = deploy_world(anvil, policy=identity(), governance_delay=600)
    manifest = home / "deployment.json"
    manifest.write_text(json.dumps(world.timebank.deployment.to_json()))
    monkeypatch.setenv(ENV_DEPLOYMENT, str(manifest))
    monkeypatch.setenv(ENV_EPOCHS, str(home / "epochs"))
    published = publish_next(world.timebank, home / "epochs", ["ada", "bob"], {"ada": MEMBER})
    propose(world.timebank, published, QUORUM)
    finalise(world.timebank, published, SIGNERS["stranger"])
    return home, world


DEPLOY = [
    *("chain", "deploy", "--policy", "identity", "--threshold", 2),
    *("--signer", SIGNERS["signer1"].address, "--signer", SIGNERS["signer2"].address),
    *("--challenge-window", "1h", "--governance-delay", "10m", "--fee-bps", 50, "--bond", "0.02"),
    *("--governor", SIGNERS["governor"].address, "--fee-split", "5000/3000/2000"),
    *sender("deployer"),
]


class TestChain:
    def test_deploy(self, home: Path, anvil: Connection) -> None:
        manifest = home / "d" / "deployment.json"
        block = anvil.block_number()
        dry = run(*DEPLOY, "--deployment", manifest, "--dry-run")
        assert dry.code == 0, dry.err
        assert "nothing was sent" in dry.err
        assert anvil.block_number() == block
        assert not manifest.exists()

        asked = run(*DEPLOY, "--deployment", manifest)
        assert asked.code == 2
        assert "--yes" in asked.err
        assert anvil.block_number() == block

        done = run(*DEPLOY, "--deployment", manifest, "--yes", "--json")
        assert done.code == 0, done.err
        assert done.document["schema"] == "timebank.chain.deploy/1"
        assert done.document["deployment"] == json.loads(manifest.read_text())
        parameters = done.document["deployment"]["parameters"]
        assert parameters["bondWei"] == 2 * 10**16
        assert parameters["challengeWindow"] == 3600
        block = anvil.block_number()

        again = run(*DEPLOY, "--deployment", manifest, "--yes")
        assert again.code == 0, again.err
        assert "already deployed" in again.err
        assert anvil.block_number() == block
        assert run("chain", "verify", "--deployment", manifest).code == 0

    @pytest.mark.parametrize(
        ("change", "code", "said"),
        [
            (["--threshold", "0"], 2, "threshold of 0 with 2 signers"),
            (["--threshold", "3"], 2, "threshold of 3 with 2 signers"),
            (["--governance-delay", "2h"], 2, "could never be voided"),
            (["--fee-split", "1/2/3"], 2, "adds up to 6"),
            (["--bond", "lots"], 2, "not an amount of coins"),
            (["--challenge-window", "soon"], 2, "--challenge-window"),
            (["--answer-time", "0s"], 2, "answer time of 0 s"),
            (["--answer-time", "20m"], 2, "answer time of 1200 s"),
            (["--challenger-share-bps", "10001"], 2, "10001"),
            (["--rate", "0"], 2, "rate 0 is not between"),
            (["--request-deposit", "0"], 2, "deposit of 0 wei"),
            (["--signer", SIGNERS["signer3"].address.lower()], 2, SIGNERS["signer3"].address),
            (["--policy", "nonsense"], 1, "nonsense"),
            (["--fee-bps", "2000"], 2, "2000 basis points"),
            (["--float-step", "lots"], 2, "--float-step"),
        ],
    )
    def test_impossible_plans(
        self, home: Path, anvil: Connection, change: list[str], code: int, said: str
    ) -> None:
        block = anvil.block_number()
        ran = run(*DEPLOY, *change, "--deployment", home / "x.json", "--yes")
        assert ran.code == code
        assert said in ran.err
        assert anvil.block_number() == block
        assert not (home / "x.json").exists()

    def test_status(self, deployed: tuple[Path, World]) -> None:
        ran = run("chain", "status")
        assert ran.code == 0, ran.err
        assert "3 of 5" in ran.out
        facts = run("chain", "status", "--json").document
        assert facts["schema"] == "timebank.chain.status/1"
        assert (facts["latest_epoch"], facts["supply_micro"], facts["pending"]) == (1, 0, None)
        assert facts["policy_hash"] == "0x" + policy_hash(identity()).hex()
        assert facts["roles"]["ADMIN"] == [{"account": SIGNERS["governor"].address, "delay": 600}]

    def test_status_shows_what_holds_a_proposal(self, deployed: tuple[Path, World]) -> None:
        _, world = deployed
        member = world.address("member1")
        epoch = world.make_epoch({member: 5, world.address("member2"): 7})
        header = replace(epoch.header, policy_hash=world.timebank.rate_oracle.policy_hash())
        world.propose(header)
        assert run("chain", "status", "--json").document["pending"]["open_requests"] == []
        price = run("chain", "status", "--json").document["leaf_requests"]["deposit_wei"]
        world.ask("stranger", header, "account", 1)
        facts = run("chain", "status", "--json").document
        (asked,) = facts["pending"]["open_requests"]
        assert (asked["tree"], asked["index"], asked["deposit_wei"]) == ("account", 1, price)
        assert asked["requester"] == world.address("stranger")
        assert facts["pending"]["held_until"] is None
        shown = run("chain", "status")
        assert shown.code == 0, shown.err
        assert "account 1, to be shown by" in shown.out
        assert "all that is asked for is shown" in shown.out
        leaf = AccountEvidence((epoch.leaves[1],), tuple(epoch.tree.range_proof(1, 1)))
        receipt = world.send("payee", world.timebank.leaf_requests.answer_account(header, leaf))
        shown_at = world.connection.w3.eth.get_block(receipt.block_number)["timestamp"]
        facts = run("chain", "status", "--json").document
        assert facts["pending"]["open_requests"] == []
        window_end = facts["pending"]["challenge_ends_at"]
        answer_time = facts["leaf_requests"]["answer_time"]
        assert facts["pending"]["held_until"] == max(window_end, shown_at + answer_time)

    def test_verify_names_changed_code(self, deployed: tuple[Path, World]) -> None:
        _, world = deployed
        assert run("chain", "verify").code == 0
        code = bytearray(load_artifact("FeePool").deployed_bytecode)
        code[-1] ^= 1
        request: Any = world.connection.w3.provider.make_request
        request("anvil_setCode", [world.timebank.fee_pool.address, "0x" + bytes(code).hex()])
        ran = run("chain", "verify")
        assert ran.code == 3
        assert "code of FeePool" in ran.err
        ran = run("chain", "verify", "--json")
        assert ran.code == 3
        assert ran.document["ok"] is False
        assert next(one["name"] for one in ran.document["checks"] if not one["ok"]) == "code of FeePool"

    def test_governing_takes_two_runs(self, deployed: tuple[Path, World]) -> None:
        _, world = deployed
        command = ["chain", "set-rate", "123", *sender("governor"), "--yes", "--json"]
        assert run(*command, "--dry-run").document["sent"] is False
        assert run(*command).document["state"] == "scheduled"
        waiting = run(*command)
        assert waiting.document["state"] == "waiting"
        assert waiting.code == 0
        world.connection.advance_time(601)
        assert run(*command).document["state"] == "done"
        assert world.timebank.rate_oracle.rate_q24() == 123
        refused = run("chain", "set-rate", "5", *sender("stranger"), "--yes", "--json")
        assert refused.code == 1
        assert refused.error["code"] == "AccessManagedUnauthorized"

    def test_a_float_is_deployed_and_shown(self, home: Path, anvil: Connection) -> None:
        manifest = home / "floating" / "deployment.json"
        shown = run(*DEPLOY, "--float-step", "250000", "--deployment", manifest, "--dry-run")
        assert "doubles with 250,000.000000 credits spent" in " ".join(shown.out.split())
        done = run(*DEPLOY, "--float-step", "250000", "--deployment", manifest, "--yes", "--json")
        assert done.document["deployment"]["parameters"]["floatStepMicro"] == 250_000_000_000
        facts = run("chain", "status", "--deployment", manifest, "--json").document
        assert facts["float"]["step_micro"] == 250_000_000_000
        assert facts["float"]["base_rate_q24"] == facts["oracle"]["rate_q24"]
        assert (facts["float"]["excess_micro"], facts["float"]["demand_micro"]) == (0, 0)
        assert "excess 0.000000" in run("chain", "status", "--deployment", manifest).out
        assert run("chain", "verify", "--deployment", manifest).code == 0

    def test_a_float_is_set_in_two_runs(self, deployed: tuple[Path, World]) -> None:
        _, world = deployed
        assert run("chain", "status", "--json").document["float"]["step_micro"] == 0
        assert "fixed" in run("chain", "status").out
        self.govern(world, "set-float", "12.5")
        assert world.timebank.rate_float.floating().step == 12_500_000
        assert run("chain", "status", "--json").document["float"]["step_micro"] == 12_500_000
        self.govern(world, "set-float", "0")
        assert world.timebank.rate_float.floating().step == 0
        refused = run("chain", "set-float", "1", *sender("stranger"), "--yes", "--json")
        assert refused.error["code"] == "AccessManagedUnauthorized"
        for wrong in ("lots", "-1", "0.0000001"):
            assert run("chain", "set-float", wrong).code == 2

    def govern(self, world: World, *arguments: object) -> None:
        command = ["chain", *arguments, *sender("governor"), "--yes", "--json"]
        scheduled = run(*command)
        assert scheduled.code == 0, scheduled.out
        assert scheduled.document["state"] == "scheduled"
        world.connection.advance_time(601)
        assert run(*command).document["state"] == "done"

    def test_policy_quorum_and_void(self, deployed: tuple[Path, World]) -> None:
        home, world = deployed
        oracle = world.timebank.rate_oracle
        second = publish_next(world.timebank, home / "epochs", ["ada"], {"ada": MEMBER})
        propose(world.timebank, second, QUORUM)
        self.govern(world, "void-epoch", 2, "--challenger", PAYEE, "--reason", "leaf 0 is wrong")
        assert oracle.pending() is None
        assert oracle.withdrawable_wei(PAYEE) > 0
        self.govern(world, "set-policy", "git", "--uri", "https://example.org/git.json")
        assert oracle.policy_hash() == policy_hash(load_policy("git"))
        self.govern(world, "set-quorum", "--signer", MEMBER, "--signer", PAYEE, "--threshold", 2)
        assert (set(oracle.signers()), oracle.threshold()) == ({MEMBER, PAYEE}, 2)
        assert run("chain", "set-quorum", "--signer", MEMBER, "--threshold", 2).code == 2
        assert run("chain", "set-rate", "0").code == 2

    def test_a_policy_is_registered_before_it_is_set(self, deployed: tuple[Path, World]) -> None:
        _, world = deployed
        registry, block = world.timebank.policy_registry, world.connection.block_number()
        digest = policy_hash(load_policy("git"))
        command = ["chain", "set-policy", "git", *sender("governor"), "--yes"]

        rehearsal = run(*command, "--json", "--dry-run").document
        assert (rehearsal["state"], rehearsal["sent"]) == ("unregistered", False)
        assert rehearsal["call"] == "PolicyRegistry.register"
        assert "nothing was sent" in run(*command, "--dry-run").err
        refused = run("chain", "set-policy", "git", *sender("stranger"), "--yes", "--json")
        assert refused.error["code"] == "AccessManagedUnauthorized"
        assert not registry.is_registered(digest)
        assert world.connection.block_number() == block

        scheduled = run(*command, "--json").document
        assert scheduled["state"] == "scheduled"
        assert scheduled["policy_hash"] == "0x" + digest.hex()
        assert scheduled["registration"]["call"] == "PolicyRegistry.register"
        assert registry.is_registered(digest)
        waiting = run(*command, "--json").document
        assert (waiting["state"], waiting["registration"]) == ("waiting", None)

        # Registered by whomever: the governor's command has nothing to add.
        world.send("stranger", registry.register(policy_call(load_policy("stackexchange"))))
        other = ["chain", "set-policy", "stackexchange", *command[3:], "--json"]
        assert run(*other).document["registration"] is None

    def test_a_void_is_for_one_header(self, deployed: tuple[Path, World]) -> None:
        home, world = deployed
        timebank, oracle = world.timebank, world.timebank.rate_oracle
        told = ["--challenger", PAYEE, "--reason", "leaf 0 is wrong", *sender("governor"), "--yes", "--json"]
        assert run("chain", "void-epoch", *told).code == 2
        assert run("chain", "void-epoch", "--header-hash", "0x12", *told).code == 2
        nothing = run("chain", "void-epoch", 2, *told)
        assert (nothing.code, nothing.error["code"]) == (1, "NotTheProposal")
        assert "no epoch is proposed" in nothing.error["message"]

        wrong = publish_next(timebank, home / "epochs", ["ada"], {"ada": MEMBER}).header
        world.propose(wrong)
        assert "epoch 2 is (header" in run("chain", "void-epoch", 3, *told).error["message"]
        scheduled = run("chain", "void-epoch", 2, *told).document
        wrong_hash = "0x" + wrong.hash().hex()
        assert (scheduled["state"], scheduled["epoch"]) == ("scheduled", 2)
        assert scheduled["header_hash"] == wrong_hash
        waiting = run("chain", "void-epoch", 2, *told).document
        assert (waiting["state"], waiting["header_hash"]) == ("waiting", wrong_hash)

        # Another governance call voids it first; then a corrected one takes its number.
        other = oracle.void_proposal(wrong.hash(), MEMBER, "leaf 0 is wrong")
        timebank.govern(SIGNERS["governor"], other)
        world.connection.advance_time(601)
        timebank.govern(SIGNERS["governor"], other)
        right = replace(wrong, total_mint=wrong.total_mint - 1)
        right_hash = "0x" + right.hash().hex()
        world.propose(right)
        by_number = run("chain", "void-epoch", 2, *told)
        by_hash = run("chain", "void-epoch", "--header-hash", wrong_hash, *told)
        for ran in (by_number, by_hash):
            assert (ran.code, ran.error["code"]) == (1, "NotTheProposal")
            assert "void" in ran.error["message"] and "was for another header" in ran.error["message"]
            assert wrong_hash in ran.error["message"] and right_hash in ran.error["message"]
        assert right_hash in by_number.error["hint"]
        pending = oracle.pending()
        assert pending is not None and pending.header_hash == right.hash()

        self.govern(
            world, "void-epoch", 2, "--header-hash", right_hash, "--challenger", PAYEE, "--reason", "too"
        )
        assert oracle.pending() is None

    def test_pause_and_resume(self, deployed: tuple[Path, World]) -> None:
        _, world = deployed
        assert run("chain", "pause", *sender("guardian"), "--yes").code == 0
        assert world.timebank.rate_oracle.proposals_paused()
        refused = run("chain", "resume", *sender("guardian"), "--yes", "--json")
        assert refused.error["code"] == "AccessManagedUnauthorized"
        self.govern(world, "resume")
        assert not world.timebank.rate_oracle.proposals_paused()
        again = run("chain", "resume", *sender("governor"), "--yes", "--json").document
        assert (again["state"], again["sent"]) == ("unchanged", False)

    def test_a_resumption_kept_back_does_not_end_the_next_pause(self, deployed: tuple[Path, World]) -> None:
        _, world = deployed
        oracle, guardian = world.timebank.rate_oracle, [*sender("guardian"), "--yes"]
        resume = ["chain", "resume", *sender("governor"), "--yes", "--json"]
        assert run("chain", "pause", *guardian).code == 0
        first = run(*resume).document
        assert (first["state"], first["pause"]) == ("scheduled", 1)
        world.connection.advance_time(601)
        # Another danger appears.
        assert run("chain", "pause", *guardian).code == 0
        second = run(*resume).document
        assert (second["state"], second["pause"]) == ("scheduled", 2), "it waits from the start"
        assert oracle.proposals_paused()
        with pytest.raises(WrongPause, match="pause 1 was meant, but the latest is 2"):
            world.send("governor", world.timebank.access_manager.execute(oracle.resume_proposals(1)))
        world.connection.advance_time(601)
        assert run(*resume).document["state"] == "done"
        assert not oracle.proposals_paused()

    def test_bond_and_window(self, deployed: tuple[Path, World]) -> None:
        _, world = deployed
        oracle = world.timebank.rate_oracle
        self.govern(world, "set-bond", "0.5")
        self.govern(world, "set-window", "2h")
        assert (oracle.bond_wei(), oracle.challenge_window()) == (5 * 10**17, 7_200)
        governor = [*sender("governor"), "--yes", "--json"]
        for setting in (["set-bond", "0.50"], ["set-window", "120m"]):
            assert run("chain", *setting, *governor).document["state"] == "unchanged"
        for text, words in (
            ("10m", "never be voided"),  # the governor's own delay
            ("299s", "never be voided"),
            ("0s", "TIME"),
            ("1y", "TIME"),
            ("-1h", ""),
        ):
            refused = run("chain", "set-window", text, *governor)
            assert refused.code == 2, text
            assert words in refused.out + refused.err
        for text in (
            "-1",
            "0.0000000000000000001",
            "much",
            "1e30",
            "nan",
            "1e999999",
            "79228162514.264337593543950336",
        ):
            assert run("chain", "set-bond", text, *governor).code == 2, text

    def test_the_largest_bond_is_read_to_the_last_wei(self, deployed: tuple[Path, World]) -> None:
        _, world = deployed
        self.govern(world, "set-bond", "79228162514.264337593543950335")
        assert world.timebank.rate_oracle.bond_wei() == 2**96 - 1

    def test_a_closed_contract_says_who_opens_it(self, deployed: tuple[Path, World]) -> None:
        """The contract itself only says that nobody may, whoever asks."""
        _, world = deployed
        manager, oracle = world.timebank.access_manager, world.timebank.rate_oracle
        assert run("chain", "status", "--json").document["closed"] == []
        self.govern_call(world, manager, oracle.address, closed=True)
        for command, role in (("pause", "guardian"), ("set-rate", "governor"), ("set-rate", "stranger")):
            arguments = ["5"] if command == "set-rate" else []
            refused = run("chain", command, *arguments, *sender(role), "--yes", "--json").error
            assert refused["code"] == "ContractClosed"
            assert "RateOracle is closed" in refused["message"]
            assert f"AccessManager.setTargetClosed({oracle.address}, false)" in refused["hint"]
        assert run("chain", "status", "--json").document["closed"] == ["RateOracle"]
        assert any(
            line.split() == ["closed", "RateOracle"] for line in run("chain", "status").out.splitlines()
        )
        # The others are as open as before, also to the sentence for who lacks the role.
        refused = run("chain", "set-float", "9", *sender("stranger"), "--yes", "--json").error
        assert refused["code"] == "AccessManagedUnauthorized"
        self.govern_call(world, manager, oracle.address, closed=False)
        assert run("chain", "pause", *sender("guardian"), "--yes").code == 0

    def govern_call(self, world: World, manager: AccessManager, target: str, *, closed: bool) -> None:
        world.govern(manager._write("setTargetClosed", target=target, closed=closed))

    def test_roles_in_one_hand_are_warned_of(self, home: Path) -> None:
        own = SIGNERS["deployer"].address
        one = run(*DEPLOY, "--governor", own, "--governance-delay", "0s", "--dry-run")
        assert one.code == 0, one.err
        said = [line for line in one.err.splitlines() if line.startswith("warning: ")]
        assert [line.removeprefix("warning: ").split(":")[0] for line in said] == [
            "the governor is the deployer, which stays administrator",
            "the guardian is the governor",
            "the canceller is the governor",
            "the registrar is the canceller",
            "without a governance delay changes take effect at once",
        ]
        body = run(*DEPLOY, "--governor", own, "--governance-delay", "0s", "--dry-run", "--json")
        assert [f"warning: {text}" for text in body.document["warnings"]] == said
        assert body.err == ""

    def test_roles_in_several_hands_are_not(self, home: Path) -> None:
        apart = [
            part
            for role in ("guardian", "registrar", "canceller")
            for part in (f"--{role}", SIGNERS[role].address)
        ]
        done = run(*DEPLOY, *apart, "--deployment", home / "apart.json", "--yes", "--json")
        assert done.document["warnings"] == []
        pair = [
            *apart,
            "--guardian",
            SIGNERS["canceller"].address,
            "--registrar",
            SIGNERS["governor"].address,
        ]
        warnings = run(*DEPLOY, *pair, "--dry-run", "--json").document["warnings"]
        assert [text.split(":")[0] for text in warnings] == [
            "the guardian is the canceller",
            "the registrar is the governor",
        ]

    def test_cancel(self, deployed: tuple[Path, World]) -> None:
        _, world = deployed
        rate = world.timebank.rate_oracle.rate_q24()
        setting = ["chain", "set-rate", rate + 1, *sender("governor"), "--yes", "--json"]
        assert run(*setting).document["state"] == "scheduled"
        (waiting,) = run("chain", "powers", "--json").document["waiting"]
        shown = waiting["operation_id"][:10]
        assert f"{shown}" in run("chain", "powers").out
        assert f"RateOracle.setRate(newRateQ24: {format_rate(rate + 1)})" in run("chain", "powers").out
        asked = run("chain", "cancel", shown, *sender("canceller"))
        assert (asked.code, f"setRate(newRateQ24: {format_rate(rate + 1)})" in asked.err) == (2, True)
        rehearsed = run("chain", "cancel", shown, *sender("canceller"), "--dry-run")
        assert f"drops RateOracle.setRate(newRateQ24: {format_rate(rate + 1)})" in rehearsed.err
        cancel = ["chain", "cancel", shown, "--yes", "--json"]
        refused = run(*cancel, *sender("guardian"))
        assert refused.error["code"] == "AccessManagerUnauthorizedCancel"
        done = run(*cancel, *sender("canceller"))
        assert done.code == 0, done.out + done.err
        assert done.document["scheduled_arguments"] == waiting.pop("arguments") == {"newRateQ24": rate + 1}
        assert {name: done.document[name] for name in waiting} == waiting
        assert run("chain", "powers", "--json").document["waiting"] == []
        world.connection.advance_time(601)
        assert run(*setting).document["state"] == "scheduled", "it waits from the start"
        assert world.timebank.rate_oracle.rate_q24() == rate
        assert run(*cancel[:-1], *sender("governor")).code == 0, "who scheduled it may, too"
        gone = run(*cancel, *sender("canceller"))
        assert (gone.code, gone.error["code"]) == (1, "NotScheduled")
        for text in ("0x1c9e", "nothing", "0x" + "g" * 8, "0x" + "0" * 65):
            assert run("chain", "cancel", text, *sender("canceller"), "--yes", "--json").code == 2


class TestKeys:
    def test_create_import_list(self, home: Path) -> None:
        folder = home / "more"
        made = run("wallet", "create", "--keystore", folder, "--json")
        assert made.code == 0, made.err
        key = "0x" + "17" * 32
        (home / "key").write_text(key + "\n")
        from_file = run("wallet", "import", "--key-file", home / "key", "--keystore", folder)
        assert from_file.code == 0, from_file.err
        piped = run("wallet", "import", "--key-file", "-", "--keystore", folder, stdin="18" * 32 + "\n")
        assert piped.code == 0, piped.err
        for ran in (made, from_file, piped):
            assert "17" * 32 not in ran.out + ran.err
            assert "the password" not in ran.out + ran.err
        listed = run("wallet", "list", "--keystore", folder, "--json").document["wallets"]
        assert {one["address"] for one in listed} == {
            made.document["address"],
            from_file.out.strip(),
            piped.out.strip(),
        }
        again = run("wallet", "import", "--key-file", home / "key", "--keystore", folder, "--json")
        assert again.code == 1
        assert "already" in again.error["message"]

    def test_key_is_never_taken_as_an_argument(self, home: Path) -> None:
        ran = run("wallet", "import", "17" * 32)
        assert ran.code == 2
        assert run("wallet", "import").code == 2

    def test_no_password_and_no_terminal(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv(ENV_PASSWORD)
        ran = run("wallet", "create", "--keystore", home / "more")
        assert ran.code == 2
        assert "--password-file" in ran.err


class TestMoney:
    def test_claim_send_pay_statement(self, deployed: tuple[Path, World]) -> None:
        home, _world = deployed
        claimed = run("wallet", "claim", *sender("member1"), "--yes", "--json")
        assert claimed.code == 0, claimed.err
        got = claimed.document["amount_micro"]
        assert claimed.document["epoch"] == 1
        assert (claimed.document["to_wallet_micro"], claimed.document["receiver"]) == (got, MEMBER)
        assert (claimed.document["to_creditor_micro"], claimed.document["deposit_id"]) == (0, None)
        sent = run("wallet", "send", PAYEE, "0.5", *sender("member1"), "--yes")
        assert sent.code == 0, sent.err
        paid = run(
            "wallet", "pay", PAYEE, "1.000001", "--memo", "lesson", *sender("member1"), "--yes", "--json"
        )
        assert paid.code == 0, paid.err
        assert (paid.document["fee_micro"], paid.document["received_micro"]) == (5_001, 995_000)

        balance = run("wallet", "balance", MEMBER, "--json").document
        assert balance["balance_micro"] == got - 500_000 - 1_000_001
        assert balance["claimed_micro"] == got
        assert run("wallet", "balance", *sender("member1")).code == 0

        (home / "memos").write_text("rent\nlesson\n")
        document = run("wallet", "statement", MEMBER, "--memo-file", home / "memos", "--json").document
        assert [(one["kind"], one["amount_micro"], one["memo"]) for one in document["movements"]] == [
            ("claim", got, None),
            ("transfer out", -500_000, None),
            ("payment out", -1_000_001, "lesson"),
        ]
        assert document["balance_micro"] == balance["balance_micro"]
        rows = list(csv.DictReader(io.StringIO(run("wallet", "statement", PAYEE, "--csv").out)))
        assert [(row["kind"], row["amount_micro"]) for row in rows] == [
            ("transfer in", "500000"),
            ("payment in", "995000"),
        ]
        text = run("wallet", "statement", MEMBER, "--memo", "lesson")
        assert "lesson" in text.out
        assert "as on chain" in text.out

        second = run("wallet", "claim", *sender("member1"), "--yes", "--json")
        assert second.code == 1
        assert second.error["code"] == "NothingToClaim"
        assert second.error["hint"]

    def test_dry_runs_send_nothing(self, deployed: tuple[Path, World]) -> None:
        _, world = deployed
        block = world.connection.block_number()
        ran = run("wallet", "claim", *sender("member1"), "--dry-run", "--json")
        assert ran.code == 0, ran.err
        assert ran.document["sent"] is False
        assert ran.document["arguments"]["leaf"]
        text = run("wallet", "claim", *sender("member1"), "--dry-run")
        assert text.code == 0
        assert "nothing was sent" in text.err
        assert world.connection.block_number() == block

    def test_permit_is_fresh_on_a_node_that_was_idle(self, deployed: tuple[Path, World]) -> None:
        """An idle development node's newest block is old; a deadline counted from it would be past."""
        _, world = deployed
        assert run("wallet", "claim", *sender("member1"), "--yes").code == 0
        request: Any = world.connection.w3.provider.make_request
        request("evm_increaseTime", [7_200])  # no block is mined
        paid = run("wallet", "pay", PAYEE, "1", *sender("member1"), "--yes")
        assert paid.code == 0, paid.err

    def test_placeholder_is_linked_then_claimed(self, deployed: tuple[Path, World]) -> None:
        _, world = deployed
        claim = ["wallet", "claim", "--member", "bob", *sender("stranger"), "--yes", "--json"]
        assert run(*claim).error["code"] == "NotLinked"
        link = ["wallet", "link"]
        assert run(*link, "request", "bob", PAYEE, *sender("registrar"), "--yes").code == 0
        shown = run(*link, "show", "bob", "--json").document
        assert (shown["wallet"], shown["requested"]["wallet"]) == (None, PAYEE)
        early = run(*link, "confirm", "bob", *sender("stranger"), "--yes", "--json")
        assert early.error["code"] == "TooEarly"
        world.connection.advance_time(7_201)
        assert run(*link, "confirm", "bob", *sender("stranger"), "--yes").code == 0
        assert run(*link, "show", "bob", "--json").document["wallet"] == PAYEE
        claimed = run(*claim)
        assert claimed.code == 0, claimed.err
        assert world.timebank.attention_credit.balance_of(PAYEE) == claimed.document["amount_micro"]

    def test_link_can_be_rejected(self, deployed: tuple[Path, World]) -> None:
        link = ["wallet", "link"]
        assert run(*link, "request", "bob", PAYEE, *sender("registrar"), "--yes").code == 0
        assert run(*link, "reject", "bob", *sender("canceller"), "--yes").code == 0
        assert run(*link, "show", "bob", "--json").document["requested"] is None


class TestMistakes:
    def refused(self, code: int, name: str, *arguments: object) -> dict[str, Any]:
        ran = run(*arguments, "--json")
        assert ran.code == code, ran.out + ran.err
        assert ran.document["schema"] == "timebank.error/1"
        assert ran.error["code"] == name
        assert ran.error["hint"], "every mistake has a way out"
        return ran.error

    def test_wrong_password(self, deployed: tuple[Path, World]) -> None:
        home, _ = deployed
        (home / "wrong").write_text("not the password")
        error = self.refused(
            1,
            "WrongPassword",
            *("wallet", "send", PAYEE, "1", *sender("member1"), "--password-file", home / "wrong", "--yes"),
        )
        assert MEMBER in error["message"]

    def test_address_without_a_checksum(self, deployed: tuple[Path, World]) -> None:
        error = self.refused(2, "UsageError", "wallet", "send", PAYEE.lower(), "1", *sender("member1"))
        assert PAYEE in error["hint"]
        swapped = PAYEE[:-1] + PAYEE[-1].swapcase() if PAYEE[-1].isalpha() else PAYEE.swapcase()
        self.refused(2, "UsageError", "wallet", "send", swapped, "1", *sender("member1"))
        self.refused(2, "UsageError", "wallet", "send", "bob", "1", *sender("member1"))

    @pytest.mark.parametrize("amount", ["0", "1.0000001", "1e3", "NaN", "99999999999999999999"])
    def test_amounts(self, deployed: tuple[Path, World], amount: str) -> None:
        ran = run("wallet", "send", PAYEE, amount, *sender("member1"), "--json")
        assert ran.code == 2
        assert amount in ran.error["message"]

    def test_more_than_there_is(self, deployed: tuple[Path, World]) -> None:
        error = self.refused(
            1, "ERC20InsufficientBalance", "wallet", "send", PAYEE, "1", *sender("member1"), "--yes"
        )
        assert "0.000000 credits, 1.000000 are needed" in error["message"]

    def test_epoch_that_is_not_final(self, deployed: tuple[Path, World]) -> None:
        home, world = deployed
        self.refused(1, "EpochNotFinalised", "wallet", "claim", "--epoch", "2", *sender("member1"), "--yes")
        second = publish_next(world.timebank, home / "epochs", ["ada"], {"ada": MEMBER})
        propose(world.timebank, second, QUORUM)
        error = self.refused(
            1, "EpochNotFinalised", "wallet", "claim", "--epoch", "2", *sender("member1"), "--yes"
        )
        assert "proposed but not final" in error["message"]

    def test_who_earned_nothing(self, deployed: tuple[Path, World]) -> None:
        self.refused(1, "EpochError", "wallet", "claim", *sender("stranger"), "--yes")

    def test_nothing_given(self, deployed: tuple[Path, World], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv(ENV_EPOCHS)
        self.refused(2, "UsageError", "wallet", "claim", *sender("member1"), "--yes")
        self.refused(2, "UsageError", "wallet", "send", PAYEE, "1", "--yes")
        monkeypatch.delenv(ENV_DEPLOYMENT)
        self.refused(2, "UsageError", "wallet", "balance", MEMBER)
        self.refused(2, "UsageError", "chain", "status")

    def test_nobody_to_ask(self, deployed: tuple[Path, World]) -> None:
        _, world = deployed
        block = world.connection.block_number()
        error = self.refused(2, "UsageError", "wallet", "claim", *sender("member1"))
        assert "--yes" in error["hint"]
        assert world.connection.block_number() == block

    def test_unknown_wallet(self, deployed: tuple[Path, World]) -> None:
        self.refused(
            1, "WalletError", "wallet", "send", PAYEE, "1", "--from", SIGNERS["proposer"].address, "--yes"
        )

    def test_node_down(self, deployed: tuple[Path, World]) -> None:
        url = f"http://127.0.0.1:{free_port()}"
        error = self.refused(1, "ConnectionFailed", "wallet", "balance", MEMBER, "--rpc-url", url)
        assert url in error["message"]

    def test_wrong_chain(self, deployed: tuple[Path, World]) -> None:
        home, world = deployed
        document = world.timebank.deployment.to_json() | {"chainId": 5}
        (home / "other.json").write_text(json.dumps(document))
        self.refused(1, "WrongChain", "chain", "status", "--deployment", home / "other.json")
        ran = run("chain", "verify", "--deployment", home / "other.json")
        assert ran.code == 3

    def test_broken_manifest(self, deployed: tuple[Path, World]) -> None:
        home, _ = deployed
        (home / "broken.json").write_text("{")
        ran = run("chain", "status", "--deployment", home / "broken.json", "--json")
        assert ran.code == 1
        assert ran.error["code"] == "DeploymentError"
        assert "broken.json" in ran.error["where"]


def test_every_command_has_an_example() -> None:
    for noun in (["chain"], ["wallet"], ["wallet", "link"]):
        shown = run(*noun, "--help")
        assert shown.code == 0
        assert "Example:" in shown.out
    names = {
        "chain": [command.name for command in chain.app.registered_commands],
        "wallet": [command.name for command in wallet.app.registered_commands],
    }
    for noun, commands in names.items():
        for name in commands:
            text = run(noun, name, "--help").out
            assert "Example: timebank" in text, (noun, name)
            assert "--json" in text, (noun, name)


@pytest.mark.parametrize("wei", [0, 1, 10**19, 2**96 - 1, 2**256 - 1])
def test_coins_are_read_as_they_are_written(wei: int) -> None:
    assert parse_ether(format_ether(wei)) == wei


@pytest.mark.parametrize("text", ["", "x", "-1", "nan", "inf", "1e-19", "1e999999", str(2**256)])
def test_what_is_no_amount_of_coins_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--budget: not an amount of coins"):
        parse_ether(text, "--budget")
