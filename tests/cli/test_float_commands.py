"""A rate that floats, by hand and at a terminal, against a real anvil.

::

    the manual road, while the rate floats
    |- epoch build takes the rate the chain requires, and says so; signed, proposed and finalised by hand
    |- --rate-q24 wins, with a warning; oracle sign refuses such an epoch with both rates and signs nothing
    |- what nobody can know yet is not built and not signed: epochs beyond the next one
    |- a final epoch is built again as it became final
    |- a final or pending one is not replaced by another: the chain tells, or without it the journal
    |- without a node: build refused unless told the rate; sign the same, where the deployment floats
    `- fixed again, several epochs at once get the chain's rate
    policies, after governance changed theirs
    |- build takes no other than the chain's: refused with its hash; with --policy built, signed, final
    |- --policy wins, with a warning; sign refuses the epoch, and a signer's --policy that is not the chain's
    |- one that an earlier epoch had is taken from the folder; a final epoch is built again by its own
    |- a document that is gone from the folder is damage
    |- several epochs of which a later one needs another: refused, nothing built
    |- propose refuses what was built where no chain was asked, with the whole command that mends it
    `- without a node: build needs --policy; sign compares with --policy, or says that nobody compared
    bonus pots
    |- build refuses one that the fee pool does not hold, alone or with those before it; sign and propose too
    |- one that it holds is built, signed, and becomes final
    `- without a node or deployment: said that nobody compared it
    without a deployment
    `- the policy's rate, then the one before; it says that no chain was asked
    set-float
    |- a step at which the rate never moves is refused, with the bound; so by deploy
    |- a rate so small that it never moves is refused: by set-float, set-rate while it floats, and deploy
    |- as it is already: nothing sent; --anew makes the rate that stands the base
    `- warns of fees of 0 and of a step below what an epoch mints; so does deploy
    set-fee, set-rate
    `- as it is already: nothing sent; a fee of 0 is warned of
    status
    `- rate, float and bounds, fees, and what the guardian has stopped, as text and JSON
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import pytest

from tests.chain_fixtures import free_port
from tests.cli.bank_stage import Ran, run
from tests.published import EPOCH_MS, START_MS, activity, finalise, identity, propose, publish_next
from tests.world import SIGNERS, World, deploy_world
from timebank_chain.activity import ActivityTable, write_activity
from timebank_chain.attention.monitor.hold import Hold, Release
from timebank_chain.attention.monitor.holds import HoldsBook, default_path
from timebank_chain.chain.connection import Connection
from timebank_chain.chain.keystore import KeystoreWallets
from timebank_chain.config import (
    ENV_DEPLOYMENT,
    ENV_EPOCHS,
    ENV_FROM,
    ENV_KEYSTORE,
    ENV_KEYSTORES,
    ENV_PASSWORD,
    ENV_RPC_URL,
)
from timebank_chain.epoch import account_proof, published_numbers, read_epoch
from timebank_chain.errors import OracleError
from timebank_chain.oracle.journal import Journal
from timebank_chain.oracle.propose import propose_call
from timebank_chain.oracle.settings import JOURNAL_FILE, STATE_FOLDER
from timebank_chain.oracle.state import read_state
from timebank_chain.spec.floating_rate import MIN_RATE_Q24, max_move
from timebank_chain.units import Q24, format_micro, format_time
from timebank_chain.valuation import policy_call, policy_document, policy_hash

pytestmark = pytest.mark.anvil
QUORUM = ("signer1", "signer2", "signer3")
STEP = 50_000_000
MEMBERS = ["ada", "bob"]


@dataclass
class Road:
    """A floating system with two final epochs, and the files of a person who builds the third by hand."""

    folder: Path
    world: World

    @property
    def epochs(self) -> Path:
        return self.folder / "epochs"

    @property
    def rate(self) -> int:
        """The rate that stands on chain."""
        return self.world.timebank.rate_oracle.rate_q24()

    def build(self, *arguments: object, epoch: int = 3) -> Ran:
        """Build ``epoch`` from its acts, with its usual end."""
        acts = self.folder / f"acts{epoch}.parquet"
        write_activity(in_order(activity(MEMBERS, number=epoch)), acts)
        return run(
            *("epoch", "build", "--activity", acts, "--members", self.folder / "members.csv"),
            *(arguments or ("--end", end_of(epoch))),
        )

    def sign(self, *arguments: object, role: str = "signer1", epoch: int = 3) -> Ran:
        given = ("--trust-published", "--from", self.world.address(role))
        return run("oracle", "sign", epoch, *given, *arguments)


def in_order(table: ActivityTable) -> ActivityTable:
    """The rows by time and id, as a table's file has them."""
    rows = sorted(range(len(table)), key=lambda row: (int(table.occurred_ms[row]), table.id[row]))
    sorted_columns: dict[str, Any] = {}
    for column in fields(table):
        values = getattr(table, column.name)
        sorted_columns[column.name] = (
            [values[row] for row in rows] if isinstance(values, list) else values[rows]
        )
    return ActivityTable(**sorted_columns)


def end_of(epoch: int) -> str:
    return format_time(START_MS + epoch * EPOCH_MS)


@pytest.fixture
def road(tmp_path: Path, anvil: Connection, monkeypatch: pytest.MonkeyPatch) -> Road:
    wallets = KeystoreWallets(tmp_path / "wallets", scrypt_n=2)
    for role in ("governor", "guardian", *QUORUM):
        wallets.import_key(SIGNERS[role]._account.key, "the password")
    (tmp_path / "password").write_text("the password\n")
    world = deploy_world(
        anvil, policy=identity(), governance_delay=600, float_step_micro=STEP, service_fee_bps=0
    )
    (tmp_path / "deployment.json").write_text(json.dumps(world.timebank.deployment.to_json()))
    (tmp_path / "members.csv").write_text(f"member,address\nada,{world.address('member1')}\n")
    for name in (ENV_FROM, ENV_KEYSTORE):
        monkeypatch.delenv(name, raising=False)
    for name, value in (
        (ENV_RPC_URL, anvil.url),
        (ENV_KEYSTORES, wallets.folder),
        (ENV_PASSWORD, tmp_path / "password"),
        (ENV_DEPLOYMENT, tmp_path / "deployment.json"),
        (ENV_EPOCHS, tmp_path / "epochs"),
    ):
        monkeypatch.setenv(name, str(value))
    for _ in range(2):
        published = publish_next(
            world.timebank, tmp_path / "epochs", MEMBERS, {"ada": world.address("member1")}
        )
        propose(world.timebank, published, [SIGNERS[role] for role in QUORUM])
        finalise(world.timebank, published, SIGNERS["stranger"])
    found = Road(tmp_path, world)
    assert found.rate not in (Q24, read_epoch(found.epochs, 2).header.rate_q24)
    return found


class TestManualRoad:
    def test_an_epoch_gets_the_rate_that_the_chain_requires(self, road: Road) -> None:
        required = road.rate
        built = road.build("--end", end_of(3), "--json")
        assert built.code == 0, built.err
        (entry,) = built.document["epochs"]
        assert (entry["rateQ24"], entry["rate_source"], entry["chain_rate_q24"]) == (
            required,
            "chain",
            required,
        )
        assert f"(Q24 {required}), which the chain requires of epoch 3: there it floats" in built.err
        for role in QUORUM:
            signed = road.sign("--json", role=role)
            assert signed.code == 0, signed.err
            assert (signed.document["rate_q24"], signed.document["rate_compared_with"]) == (required, "chain")
        sender = ("--from", road.world.address("signer1"), "--yes", "--json")
        proposed = run("oracle", "propose", 3, *sender)
        assert proposed.code == 0, proposed.out
        road.world.connection.advance_time(3_601)
        assert run("oracle", "finalise", 3, *sender).code == 0
        assert road.world.timebank.rate_oracle.latest_epoch() == 3
        assert road.rate != required

    def test_another_rate_is_warned_of_and_not_signed(self, road: Road) -> None:
        built = road.build("--end", end_of(3), "--rate-q24", Q24, "--json")
        assert built.code == 0, built.err
        (entry,) = built.document["epochs"]
        assert (entry["rateQ24"], entry["rate_source"], entry["chain_rate_q24"]) == (Q24, "given", road.rate)
        assert "warning: the chain requires another rate of epoch 3" in built.err
        refused = road.sign("--json")
        assert refused.code == 1
        assert f"(Q24 {Q24}), the chain requires" in refused.error["message"]
        assert f"(Q24 {road.rate})" in refused.error["message"]
        assert "timebank epoch build --epoch 3 --force" in refused.error["hint"]
        assert not list((road.epochs / "000003").rglob("signatures/*"))
        again = road.build("--end", end_of(3), "--epoch", 3, "--force")
        assert again.code == 0, again.err
        assert road.sign("--dry-run").code == 0
        matching = road.build("--end", end_of(3), "--epoch", 3, "--rate-q24", road.rate)
        assert matching.code == 0
        assert "warning" not in matching.err

    def test_epochs_beyond_the_next_one_wait(self, road: Road) -> None:
        both = road.build("--every", "1h", "--until", end_of(4), "--json")
        assert both.code == 2
        assert "epoch 4 cannot be built yet: the rate floats" in both.error["message"]
        assert "--end" in both.error["hint"]
        assert published_numbers(road.epochs) == [1, 2]

        assert road.build().code == 0
        early = road.build(epoch=4)
        assert early.code == 2
        assert "known once epoch 3 is final" in early.err
        blind = road.build("--end", end_of(4), "--rate-q24", road.rate, epoch=4)
        assert blind.code == 0
        assert "warning: the rate is not compared with the chain's: the rate floats" in blind.err
        unsigned = road.sign("--json", epoch=4)
        assert unsigned.code == 1
        assert "epoch 4 cannot be signed yet" in unsigned.error["message"]

    def test_a_final_epoch_is_built_again_as_it_became_final(self, road: Road) -> None:
        before = read_epoch(road.epochs, 2).header
        again = road.build("--end", end_of(2), "--epoch", 2, "--json", epoch=2)
        assert again.code == 0, again.err
        assert "with which epoch 2 became final on chain" in again.err
        assert read_epoch(road.epochs, 2).header == before
        assert before.rate_q24 != road.rate

    def test_a_final_or_pending_epoch_is_not_replaced(self, road: Road) -> None:
        files = {path: path.read_bytes() for path in (road.epochs / "000002").rglob("*") if path.is_file()}
        other = (*("--end", end_of(2), "--epoch", 2, "--force", "--rate-q24", Q24 + 1), "--json")
        refused = road.build(*other, epoch=2)
        assert (refused.code, refused.error["code"]) == (1, "EpochError")
        assert "epoch 2 is final on chain with the header 0x" in refused.error["message"]
        assert "next epoch" in refused.error["hint"]
        # Damaged files of it are mended.
        broken = road.epochs / "000002" / "accounts.parquet"
        broken.write_bytes(broken.read_bytes()[:-9])
        assert road.build("--end", end_of(2), "--epoch", 2, "--force", epoch=2).code == 0
        assert {path: path.read_bytes() for path in files} == files

        assert road.build().code == 0
        honest = read_epoch(road.epochs, 3).header.hash()
        for role in QUORUM:
            assert road.sign(role=role).code == 0
        sender = ("--from", road.world.address("signer1"), "--yes", "--json")
        assert run("oracle", "propose", 3, *sender).code == 0
        third = ("--end", end_of(3), "--epoch", 3, "--force", "--rate-q24", Q24, "--json")
        refused = road.build(*third)
        assert (refused.code, refused.error["code"]) == (1, "EpochError")
        assert "epoch 3 is proposed with the header 0x" in refused.error["message"]
        assert "void-epoch" in refused.error["hint"]
        assert read_epoch(road.epochs, 3).header.hash() == honest

    def test_status_has_no_empty_table_of_holds(self, road: Road) -> None:
        end = START_MS + EPOCH_MS
        one = Hold("ada", 1, end, end, 9.0, 1.0, 0.03, ("stood out",), ("a",), Release(end, "me", "fine"))
        HoldsBook(default_path(road.epochs), [one]).save()
        assert "held back" in run("oracle", "status").out
        HoldsBook(default_path(road.epochs), [replace(one, taken=2)]).save()
        assert "held back" not in run("oracle", "status").out

    def test_without_a_chain_the_journal_tells_what_was_proposed(
        self, road: Road, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert road.build().code == 0
        for role in QUORUM:
            assert road.sign(role=role).code == 0
        assert run("oracle", "propose", 3, "--from", road.world.address("signer1"), "--yes").code == 0
        monkeypatch.delenv(ENV_DEPLOYMENT)
        again = ("--end", end_of(3), "--epoch", 3, "--force")
        same = road.build(*again, "--rate-q24", road.rate)
        assert same.code == 0, same.err
        refused = road.build(*again, "--rate-q24", Q24, "--json")
        assert (refused.code, refused.error["code"]) == (1, "EpochError")
        assert "epoch 3 was proposed by the journal" in refused.error["message"]
        assert "--deployment" in refused.error["hint"]
        journal = Journal(road.epochs / STATE_FOLDER / JOURNAL_FILE, {})
        journal.include(2, [])
        journal.close()
        final = road.build(
            "--end", end_of(2), "--epoch", 2, "--force", "--rate-q24", Q24 + 1, "--json", epoch=2
        )
        assert "epoch 2 is final by the journal" in final.error["message"]

    def test_the_node_has_the_last_word(self, road: Road) -> None:
        built = road.build("--end", end_of(3))
        assert built.code == 0, built.err
        for told in (Q24, road.rate + 1):
            wrong = road.sign("--rate-q24", told, "--json")
            assert (wrong.code, wrong.error["code"]) == (2, "UsageError")
            assert f"not the rate the chain requires, {road.rate}" in wrong.error["message"]
        other = road.build("--end", end_of(3), "--rate-q24", Q24, "--epoch", 3, "--force")
        assert other.code == 0, other.err
        wrong = road.sign("--rate-q24", Q24, "--json")
        assert (wrong.code, wrong.error["code"]) == (1, "OracleError")
        assert "the chain requires" in wrong.error["message"]

    def test_without_a_node(self, road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
        required = road.rate
        monkeypatch.setenv(ENV_RPC_URL, f"http://127.0.0.1:{free_port()}")
        refused = road.build("--end", end_of(3), "--json")
        assert (refused.code, refused.error["code"]) == (1, "ConnectionFailed")
        assert "--rate-q24" in refused.error["hint"]
        built = road.build("--end", end_of(3), "--rate-q24", required, "--policy", "identity")
        assert built.code == 0, built.err
        assert "warning: the rate is not compared with the chain's" in built.err

        told_down = road.sign("--rate-q24", required + 1, "--policy", "identity")
        assert told_down.code == 1
        assert "the chain could not be asked" in told_down.err
        assert "--rate-q24 says" in told_down.err
        down = road.sign("--json")
        assert (down.code, down.error["code"]) == (1, "ConnectionFailed")
        assert "--rate-q24" in down.error["hint"]
        monkeypatch.delenv(ENV_RPC_URL)
        unknowing = road.sign("--json")
        assert unknowing.code == 2
        assert "the rate of this deployment floats" in unknowing.error["message"]
        assert road.sign("--rate-q24", required + 1).code == 1
        told = road.sign("--rate-q24", required, "--json")
        assert told.code == 0, told.err
        assert told.document["rate_compared_with"] == "given"

    def test_fixed_again_several_epochs_get_the_chains_rate(self, road: Road) -> None:
        road.world.govern(road.world.timebank.rate_float.set_float(0))
        road.world.govern(road.world.timebank.rate_oracle.set_rate(3 * Q24))
        built = road.build("--every", "1h", "--until", end_of(4), "--json")
        assert built.code == 0, built.err
        assert [entry["rateQ24"] for entry in built.document["epochs"]] == [3 * Q24] * 2
        said = [line for line in built.err.splitlines() if line.startswith("rate ")]
        assert len(said) == 1
        assert "it is fixed until governance changes it" in said[0]

    def test_without_a_deployment_no_chain_is_asked(
        self, road: Road, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv(ENV_DEPLOYMENT)
        built = road.build("--end", end_of(3), "--json")
        (entry,) = built.document["epochs"]
        assert (entry["rate_source"], entry["chain_rate_q24"]) == ("previous epoch", None)
        assert entry["rateQ24"] == read_epoch(road.epochs, 2).header.rate_q24
        assert "as epoch 2 has it; without --deployment the chain was not asked" in built.err
        monkeypatch.setenv(ENV_EPOCHS, str(road.folder / "others"))
        first = ("--policy", "identity", "--start", format_time(START_MS), "--end", end_of(1))
        fresh = road.build(*first, "--json", epoch=1)
        assert fresh.document["epochs"][0]["rate_source"] == "policy"
        assert "with which policy 'identity' begins" in fresh.err


class TestPolicies:
    def change(self, road: Road) -> tuple[Path, str]:
        """Bring another policy into force; return its file and its hash."""
        file = road.folder / "policy3.json"
        rules = replace(identity(), name="the third epoch's")
        file.write_text(json.dumps(policy_document(rules)))
        timebank = road.world.timebank
        road.world.send("stranger", timebank.policy_registry.register(policy_call(rules)))
        road.world.govern(timebank.rate_oracle.set_policy(policy_hash(rules), ""))
        return file, "0x" + policy_hash(rules).hex()

    def test_a_build_takes_no_other_than_the_chains(self, road: Road) -> None:
        file, wanted = self.change(road)
        refused = road.build("--end", end_of(3), "--json")
        assert (refused.code, refused.error["code"]) == (2, "UsageError")
        assert wanted in refused.error["message"]
        assert "--policy FILE" in refused.error["hint"] and wanted in refused.error["hint"]
        assert published_numbers(road.epochs) == [1, 2]

        built = road.build("--end", end_of(3), "--policy", file, "--json")
        assert built.code == 0, built.err
        (entry,) = built.document["epochs"]
        assert (entry["policyHash"], entry["policy_source"], entry["chain_policy_hash"]) == (
            wanted,
            "given",
            wanted,
        )
        assert "warning" not in built.err
        for role in QUORUM:
            signed = road.sign("--json", role=role)
            assert signed.code == 0, signed.err
            assert (signed.document["policy_hash"], signed.document["policy_compared_with"]) == (
                wanted,
                "chain",
            )
        sender = ("--from", road.world.address("signer1"), "--yes", "--json")
        assert run("oracle", "propose", 3, *sender).code == 0
        road.world.connection.advance_time(3_601)
        assert run("oracle", "finalise", 3, *sender).code == 0

        # From now on the folder has it.
        fourth = road.build("--end", end_of(4), "--json", epoch=4)
        assert fourth.code == 0, fourth.err
        assert fourth.document["epochs"][0]["policy_source"] == "chain"
        assert f"policy 'the third epoch's' ({wanted}), which the chain requires of epoch 4" in fourth.err
        again = road.build("--end", end_of(2), "--epoch", 2, "--json", epoch=2)
        assert again.code == 0, again.err
        assert again.document["epochs"][0]["policyHash"] == "0x" + policy_hash(identity()).hex()
        both = road.build("--epoch", 2, "--every", "1h", "--until", end_of(3), "--force", "--json")
        assert both.code == 2
        assert f"epoch 3 needs another policy than epoch 2: {wanted}" in both.error["message"]

    def test_a_document_that_is_gone(self, road: Road) -> None:
        (road.epochs / "policies" / f"{policy_hash(identity()).hex()}.json").unlink()
        ran = road.build("--end", end_of(3), "--json")
        assert (ran.code, ran.error["code"]) == (1, "TamperedEpoch")

    def test_another_one_is_warned_of_and_not_signed(self, road: Road) -> None:
        file, wanted = self.change(road)
        old = "0x" + policy_hash(identity()).hex()
        built = road.build("--end", end_of(3), "--policy", "identity", "--json")
        assert built.code == 0, built.err
        assert f"warning: policy 'identity' is {old}, epoch 3 needs {wanted}" in built.err
        for given in ((), ("--policy", "identity"), ("--policy", file)):
            refused = road.sign(*given, "--json")
            assert (refused.code, refused.error["code"]) == (1, "OracleError")
            assert old in refused.error["message"] and wanted in refused.error["message"]
            assert "timebank epoch build --epoch 3 --force --policy FILE`" in refused.error["hint"]
        assert not list((road.epochs / "000003").rglob("signatures/*"))
        mended = road.build("--end", end_of(3), "--epoch", 3, "--force", "--policy", file)
        assert mended.code == 0, mended.err
        mine = road.sign("--policy", "identity", "--json")
        assert (mine.code, mine.error["code"]) == (2, "UsageError")
        assert road.sign("--policy", file).code == 0

    def test_propose_tells_the_whole_command(self, road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
        file, wanted = self.change(road)
        with monkeypatch.context() as alone:
            alone.delenv(ENV_DEPLOYMENT)
            blind = road.build("--end", end_of(3), "--rate-q24", road.rate, "--json")
        assert blind.code == 0, blind.err
        (entry,) = blind.document["epochs"]
        assert (entry["policy_source"], entry["chain_policy_hash"]) == ("previous epoch", None)
        header = read_epoch(road.epochs, 3).header
        state = read_state(road.world.timebank, SIGNERS["signer1"].address)
        with pytest.raises(OracleError, match="it was valued by policy") as unproposed:
            propose_call(road.world.timebank, state, header, [])
        hint = unproposed.value.hint or ""
        command = f"timebank epoch build --epoch 3 --force --rate-q24 {road.rate} --policy FILE`"
        assert command in hint and wanted in hint
        typed = command.removeprefix("timebank epoch build ").rstrip("`").replace("FILE", str(file)).split()
        assert road.build("--end", end_of(3), *typed).code == 0
        propose_call(road.world.timebank, state, read_epoch(road.epochs, 3).header, [])

    def test_without_a_node(self, road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
        file, wanted = self.change(road)
        rate = ("--rate-q24", road.rate)
        assert road.build("--end", end_of(3), "--policy", file).code == 0
        monkeypatch.setenv(ENV_RPC_URL, f"http://127.0.0.1:{free_port()}")
        refused = road.build("--end", end_of(4), *rate, "--json", epoch=4)
        assert (refused.code, refused.error["code"]) == (1, "ConnectionFailed")
        assert "--policy" in refused.error["hint"]
        built = road.build("--end", end_of(4), *rate, "--policy", file, epoch=4)
        assert built.code == 0, built.err
        assert "warning: the policy is not compared with the chain's" in built.err
        down = road.sign(*rate, "--json")
        assert (down.code, down.error["code"]) == (1, "ConnectionFailed")
        assert "--policy" in down.error["hint"]
        other = road.sign(*rate, "--policy", "identity", "--json")
        assert (other.code, other.error["code"]) == (1, "OracleError")
        told = road.sign(*rate, "--policy", file, "--json")
        assert told.document["policy_compared_with"] == "given"
        monkeypatch.delenv(ENV_RPC_URL)
        unasked = road.sign(*rate, "--json")
        assert unasked.document["policy_compared_with"] is None
        assert f"policy {wanted}: not compared with the chain's" in unasked.err


class TestPots:
    def test_a_pot_above_the_pools_is_refused(self, road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
        held, timebank = pay_fees(road), road.world.timebank
        refused = road.build("--end", end_of(3), "--pot", held + 1, "--json")
        assert (refused.code, refused.error["code"]) == (1, "OracleError")
        grants, holds = format_micro(held + 1), format_micro(held)
        assert refused.error["message"] == (
            f"epoch 3 grants a bonus pot of {grants} credits, the fee pool holds {holds}"
        )
        hint = refused.error["hint"]
        assert hint.startswith(f"the pot is {held + 1} micro-credits, the pool has {held} for it")
        assert f"--pot {held}`" in hint
        assert hint.endswith("nothing was built")
        assert published_numbers(road.epochs) == [1, 2]

        # Built where no chain is asked, it is refused by whoever signs, and by whoever proposes.
        with monkeypatch.context() as alone:
            alone.delenv(ENV_DEPLOYMENT)
            blind = road.build("--end", end_of(3), "--rate-q24", road.rate, "--pot", held + 1)
        assert blind.code == 0, blind.err
        assert "without --deployment it was not compared with the fee pool" in blind.err
        unsigned = road.sign("--json")
        assert (unsigned.code, unsigned.error["code"]) == (1, "OracleError")
        assert f"the pool has {held} for it" in unsigned.error["hint"]
        assert unsigned.error["hint"].endswith("nothing was signed")
        assert not list((road.epochs / "000003").rglob("signatures/*"))
        header, state = read_epoch(road.epochs, 3).header, read_state(timebank, SIGNERS["signer1"].address)
        with pytest.raises(OracleError, match=r"its pot is .* the fee pool holds") as unproposed:
            propose_call(timebank, state, header, [])
        assert f"--rate-q24 {road.rate} --pot {held} --policy FILE`" in (unproposed.value.hint or "")

    def test_a_pot_that_the_pool_holds_becomes_final(self, road: Road) -> None:
        held = pay_fees(road)
        built = road.build("--end", end_of(3), "--pot", held, "--json")
        assert built.code == 0, built.err
        signed = road.sign("--json").document
        assert (signed["pot_micro"], signed["pot_compared_with"]) == (held, "chain")
        published = read_epoch(road.epochs, 3)
        propose(road.world.timebank, published, [SIGNERS[role] for role in QUORUM])
        finalise(road.world.timebank, published, SIGNERS["stranger"])
        assert road.world.timebank.fee_pool.bonus() == 0
        # It was paid: built or looked at again, nothing is asked of the pool.
        again = road.build("--end", end_of(3), "--epoch", 3, "--force", "--pot", held)
        assert again.code == 0, again.err
        assert road.sign("--dry-run").code == 0

    def test_the_pots_of_all_epochs_to_come_count(self, road: Road) -> None:
        held = pay_fees(road)
        road.world.govern(road.world.timebank.rate_float.set_float(0))
        half = held // 2 + 1
        both = road.build("--every", "1h", "--until", end_of(4), "--pot", half, "--json")
        assert both.code == 1
        assert both.error["message"].startswith("epoch 4 grants a bonus pot of")
        assert both.error["message"].endswith(f", {format_micro(half)} of that for earlier epochs")
        assert f"--pot {held - half}`" in both.error["hint"]
        assert published_numbers(road.epochs) == [1, 2]
        assert road.build("--end", end_of(3), "--pot", half).code == 0
        later = road.build("--end", end_of(4), "--pot", half, "--json", epoch=4)
        assert later.error["message"] == both.error["message"]
        assert road.build("--end", end_of(4), "--pot", held - half, epoch=4).code == 0

    def test_without_a_node(self, road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
        held, rate = pay_fees(road), road.rate
        monkeypatch.setenv(ENV_RPC_URL, f"http://127.0.0.1:{free_port()}")
        built = road.build("--end", end_of(3), "--rate-q24", rate, "--policy", "identity", "--pot", held + 1)
        assert built.code == 0, built.err
        assert "warning: the bonus pot is not compared with the fee pool" in built.err
        monkeypatch.delenv(ENV_RPC_URL)
        signed = road.sign("--rate-q24", rate, "--json")
        assert signed.code == 0, signed.err
        assert (signed.document["pot_micro"], signed.document["pot_compared_with"]) == (held + 1, None)
        assert f"bonus pot {format_micro(held + 1)}: not compared with what the fee pool holds" in signed.err


def pay_fees(road: Road) -> int:
    """Let a member pay, and return what the fee leaves in the bonus pot, micro-credits."""
    world = road.world
    member, payments = world.address("member1"), world.timebank.credit_payments
    proof = account_proof(read_epoch(road.epochs, 2), bytes.fromhex(member[2:]))
    world.send("stranger", world.timebank.credit_distributor.claim(proof.leaf, proof.siblings))
    amount = world.timebank.attention_credit.balance_of(member)
    world.send("member1", world.timebank.attention_credit.approve(payments.address, amount))
    world.send("member1", payments.pay(world.address("payee"), amount, bytes(32)))
    held = world.timebank.fee_pool.bonus()
    assert held > 1
    return held


class TestSetFloat:
    @pytest.mark.parametrize("step", ["0.000001", "0.000005"])
    def test_a_step_that_never_moves_the_rate_is_refused(self, road: Road, step: str) -> None:
        sender = ("--from", road.world.address("governor"))
        for command in (["chain", "set-float", step], ["chain", "deploy", "--float-step", step, *DEPLOY]):
            refused = run(*command, *sender, "--json")
            assert refused.code == 2
            assert "the rate never moves" in refused.error["message"]
            assert "at least 0.000006 credits" in refused.error["hint"]

    def test_a_rate_that_never_moves_is_refused(self, road: Road) -> None:
        sender = ("--from", road.world.address("governor"), "--yes", "--json")
        block = road.world.connection.block_number()
        for command in (
            ["set-rate", MIN_RATE_Q24 - 1],
            ["deploy", "--float-step", 100, "--rate", MIN_RATE_Q24 - 1, *DEPLOY],
        ):
            refused = run("chain", *command, *sender)
            assert (refused.code, refused.error["code"]) == (2, "UsageError")
            assert "a rate of 7 (Q24) never moves" in refused.error["message"]
            assert "at least 8" in refused.error["hint"]
        assert road.world.connection.block_number() == block
        assert run("chain", "set-rate", MIN_RATE_Q24, *sender, "--dry-run").code == 0
        deploy = ("chain", "deploy", "--rate", MIN_RATE_Q24 - 1, *DEPLOY, *sender, "--dry-run")
        assert run(*deploy).code == 0, "a fixed rate may be as small as it likes"

        road.world.govern(road.world.timebank.rate_float.set_float(0))
        assert run("chain", "set-rate", MIN_RATE_Q24 - 1, *sender, "--dry-run").code == 0
        road.world.govern(road.world.timebank.rate_oracle.set_rate(MIN_RATE_Q24 - 1))
        refused = run("chain", "set-float", 100, *sender)
        assert refused.code == 2
        assert "a rate of 7 (Q24) never moves" in refused.error["message"]

        # The contract takes it: what it shows then is that nothing moves.
        road.world.govern(road.world.timebank.rate_float.set_float(STEP))
        shown = run("chain", "status", "--json").document["float"]
        assert (shown["lowest_rate_q24"], shown["highest_rate_q24"]) == (7, 7)

    def test_what_is_so_already_is_left_alone(self, road: Road) -> None:
        block = road.world.connection.block_number()
        # It needs no key: nothing is sent.
        for command in (
            ["set-float", "50"],
            ["set-rate", str(road.rate)],
            ["bank", "set-fee", "payments", "50"],
            ["bank", "set-fee", "services", "0"],
        ):
            said = run("chain", *command)
            assert said.code == 0, said.err
            assert "already so, nothing was sent" in said.err
            told = run("chain", *command, "--json").document
            assert (told["state"], told["sent"]) == ("unchanged", False)
        assert road.world.connection.block_number() == block

        sender = ("--from", road.world.address("governor"), "--yes", "--json")
        before = road.world.timebank.rate_float.floating()
        assert before.excess != 0
        assert run("chain", "set-float", "50", "--anew", *sender).document["state"] == "scheduled"
        road.world.connection.advance_time(601)
        assert run("chain", "set-float", "50", "--anew", *sender).document["state"] == "done"
        after = road.world.timebank.rate_float.floating()
        assert (after.step, after.base_rate_q24, after.excess) == (STEP, before.rate_q24, 0)
        road.world.govern(road.world.timebank.rate_float.set_float(0))
        fixed = run("chain", "set-float", "0")
        assert "its float: fixed" in fixed.err

    def test_warnings(self, road: Road) -> None:
        sender = ("--from", road.world.address("governor"))
        mint = max(read_epoch(road.epochs, number).header.total_mint for number in (1, 2))
        # The service fee of this deployment is 0.
        told = run("chain", "set-float", "20", *sender, "--dry-run", "--json").document
        free, small = told["warnings"]
        assert free.startswith("the fee on services is 0")
        assert small.startswith("a step of 20.000000 credits is less than what an epoch mints")
        assert mint > 20_000_000
        text = run("chain", "set-float", "20", *sender, "--dry-run")
        assert f"warning: {small}" in text.err
        assert f"warning: {free}" in text.err
        road.world.govern(road.world.timebank.service_escrow.set_service_fee(1))
        wide = run("chain", "set-float", str(mint // 10**6 + 1), *sender, "--dry-run", "--json")
        assert wide.document["warnings"] == []
        assert run("chain", "set-float", "0", *sender, "--dry-run", "--json").document["warnings"] == []

        nothing, circle = run(
            "chain", "bank", "set-fee", "payments", 0, *sender, "--dry-run", "--json"
        ).document["warnings"]
        assert nothing == "with a fee of 0 on payments no income comes from there"
        assert circle.startswith("the fee on payments is 0")
        rent = run("chain", "bank", "set-fee", "rent", 0, *sender, "--dry-run")
        assert "warning: with a fee of 0 on rent no income comes from there" in rent.err
        assert (
            run("chain", "bank", "set-fee", "payments", 1, *sender, "--dry-run", "--json").document[
                "warnings"
            ]
            == []
        )

    def test_a_deployment_is_warned_of_fees_of_nothing(self, road: Road) -> None:
        given = ["--float-step", "100", "--fee-bps", 0, "--dry-run", *DEPLOY]
        shown = run("chain", "deploy", *given, "--from", road.world.address("governor"))
        assert shown.code == 0, shown.err
        assert "warning: the fee on payments is 0" in shown.err
        given[1] = "0"
        assert (
            "the fee on" not in run("chain", "deploy", *given, "--from", road.world.address("governor")).err
        )


DEPLOY = ["--policy", "identity", "--threshold", 1, "--signer", SIGNERS["signer1"].address]


def test_status(road: Road) -> None:
    floating = road.world.timebank.rate_float.floating()
    facts = run("chain", "status", "--json").document
    assert facts["oracle"]["rate_q24"] == road.rate
    assert facts["float"] == {
        "floats": True,
        "step_micro": STEP,
        "base_rate_q24": Q24,
        "excess_micro": floating.excess,
        "demand_micro": 0,
        "lowest_rate_q24": Q24 // 16,
        "highest_rate_q24": Q24 * 16,
        "max_move_micro": max_move(STEP),
    }
    assert (facts["fee_bps"], facts["trade_fee_bps"], facts["service_fee_bps"]) == (50, 30, 0)
    stoppable = ("proposals", "borrowing", "leasing", "trading", "ordering")
    assert facts["paused"] == dict.fromkeys(stoppable, False)
    text = run("chain", "status")
    assert text.code == 0, text.err
    lines = [" ".join(line.split()) for line in text.out.splitlines()]
    assert "paused nothing" in lines
    assert "service fee 0 basis points" in lines
    assert f"rate {road.rate / Q24:.6f} credits per value (Q24 {road.rate})" in lines
    assert (
        f"base 1.000000 (Q24 {Q24}), from 0.062500 (Q24 {Q24 // 16}) to 16.000000 (Q24 {Q24 * 16})" in lines
    )
    assert any(line.startswith("excess -") and "within 200.000000 of 0" in line for line in lines)
    guardian = ("--from", road.world.address("guardian"), "--yes", "--json")
    for what in stoppable:
        assert run("chain", "pause", "--what", what, *guardian).code == 0
        assert run("chain", "status", "--json").document["paused"][what] is True
    assert "paused proposals, borrowing, leasing, trading, ordering" in " ".join(
        run("chain", "status").out.split()
    )
    road.world.govern(road.world.timebank.rate_float.set_float(0))
    fixed = run("chain", "status", "--json").document["float"]
    assert (fixed["floats"], fixed["lowest_rate_q24"], fixed["max_move_micro"]) == (False, None, None)
    assert "its float fixed" in " ".join(run("chain", "status").out.split())
