"""timebank watch as a process of its own, against a real anvil.

watch
|- usage (exit 2): a source, gateway, store or another option that is none, before any node is asked
|- an account that is empty, or has less than a challenge may cost: said at the start, with figures
|- a fault nobody can pay the proof of: told with the error, exit 3
|- a drill with files withheld: signed and proposed from its own folder, and asked about
|- killed while the proof is on its way: the next start tells which epoch it ended, exit 3
|- SIGTERM while the commitment is in no block: ends within seconds, names the transaction
`- started again while it still is in none: waits for it, proves, sends nothing twice
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from tests.chain_fixtures import free_port, snapshot
from tests.cli.bank_stage import Ran, run
from tests.oracle.drill import CHALLENGER, Case, Drill, settle
from tests.world import SIGNERS
from timebank_chain.chain.challenge_events import Committed, FaultProved, LeafRequested
from timebank_chain.chain.connection import connect
from timebank_chain.chain.events import EpochVoided
from timebank_chain.chain.keystore import KeystoreWallets

PASSWORD = "correct horse battery staple"
TIMEOUT = 60
#: A stop is taken at once; a block is waited for two seconds more, and a process takes its time to end.
PROMPT_SECONDS = 10


@pytest.mark.parametrize("mode", [(), ("--once",), ("--dry-run",), ("--once", "--dry-run")], ids=" ".join)
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--source", "ftp://mirror.example"), "cannot fetch from ftp"),
        (("--source", "http://"), "not an address of a server"),
        (("--source", "http://mirror.example:99999"), "not an address of a server"),
        (("--source", "ipfs://"), "not an IPFS address"),
        (("--source", "no/such/folder"), "no such folder"),
        (("--source", ""), "names nothing"),
        (("--source", "sha256:" + "ab" * 32, "--store", "."), "of one epoch"),
        (("--gateway", "gateway.example"), "gateway"),
        (("--gateway", ""), "gateway"),
        (("--store", "no/such/folder"), "store"),
        (("--store", "ftp://store.example"), "store"),
        (("--deadline", "nan"), "--deadline"),
        (("--deadline", "inf"), "--deadline"),
        (("--max-mib", "0"), "--max-mib"),
        (("--poll", "soon"), "--poll"),
        (("--budget", "lots"), "--budget"),
        (("--max-deposit", "1e999999"), "--max-deposit"),
        (("--cache", __file__), "--cache"),
        (("--cache", ""), "names no folder"),
        (("--cache", "/proc/nope/cache"), "cannot be made"),
        (("--cache", f"{__file__}/cache"), "cannot be made"),
        (("--state", __file__), "--state"),
        (("--state", ""), "names no folder"),
    ],
    ids=lambda value: " ".join(value)[:30] if isinstance(value, tuple) else None,
)
def test_wrong_usage_is_told_at_once(
    tmp_path: Path, mode: tuple[str, ...], options: tuple[str, ...], said: str
) -> None:
    """No node answers and no manifest is there: neither was needed to see what is wrong."""
    ran = run(
        *("watch", "--cache", tmp_path / "cache", *mode, *options),
        *("--deployment", tmp_path / "none.json", "--rpc-url", f"http://127.0.0.1:{free_port()}"),
    )
    assert ran.code == 2, ran.out + ran.err
    assert said in ran.err, ran.err
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("option", ["--source", "--gateway", "--store"])
def test_wrong_usage_tells_the_way_out(tmp_path: Path, option: str) -> None:
    ran = run("watch", "--cache", tmp_path, "--json", option, "ftp://a.example")
    assert ran.code == 2
    assert ran.error["code"] == "UsageError"
    assert "ftp://a.example" in ran.error["message"]
    assert ran.error["hint"]


@dataclass
class Post:
    """A watchtower's machine: keystore, manifest, cache, state."""

    drill: Drill
    folder: Path
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def arguments(self, *more: str) -> list[str]:
        return [
            *("watch", "--deployment", str(self.folder / "deployment.json")),
            *("--rpc-url", self.drill.world.connection.url, "--source", str(self.drill.served)),
            *("--cache", str(self.folder / "cache"), "--keystore", str(self.folder / "wallets")),
            *("--password-file", str(self.folder / "password"), "--json", *more),
        ]

    def start(self, *more: str) -> subprocess.Popen[str]:
        """Start the watchtower; its log lines can be read from ``stderr``."""
        code = "from timebank_chain.cli.main import run; run()"
        process = subprocess.Popen(
            [sys.executable, "-c", code, *self.arguments("--json-logs", *more)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("ETH_", "TIMEBANK_"))
            },
        )
        self.processes.append(process)
        return process

    def look(self) -> Ran:
        """Look once, in a process: the log goes where a person sees it."""
        process = self.start("--once")
        out, err = process.communicate(timeout=TIMEOUT)
        return Ran(process.returncode, out, err)

    def ask(self, method: str, *parameters: Any) -> Any:
        answer = self.drill.world.connection.w3.provider.make_request(method, list(parameters))  # type: ignore[union-attr, arg-type]  # of this provider, any method
        assert "error" not in answer, answer
        return answer["result"]


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory, anvil_url: str) -> Callable[[Path], Drill]:
    made = settle(connect(anvil_url), tmp_path_factory.mktemp("watched"))
    back = snapshot(made.world.connection)

    def again(folder: Path) -> Drill:
        back()
        return replace(made, folder=folder, looks=[], corruption=None, state=None)

    return again


@pytest.fixture
def post(ground: Callable[[Path], Drill], tmp_path: Path) -> Iterator[Post]:
    post = Post(ground(tmp_path), tmp_path)
    KeystoreWallets(tmp_path / "wallets", scrypt_n=2).import_key(SIGNERS[CHALLENGER]._account.key, PASSWORD)
    (tmp_path / "password").write_text(PASSWORD + "\n")
    manifest = post.drill.world.timebank.deployment.to_json()
    (tmp_path / "deployment.json").write_text(json.dumps(manifest))
    # Decoding a stranger's files apart takes its time: the epochs before were fetched long ago.
    shutil.copytree(post.drill.epochs, tmp_path / "cache", ignore=shutil.ignore_patterns("000003"))
    yield post
    for process in post.processes:
        process.kill()
        process.communicate()
    post.ask("evm_setAutomine", True)
    post.ask("evm_mine")


def read_until(process: subprocess.Popen[str], event: str) -> list[dict[str, Any]]:
    """Read log lines up to the one that says ``event``."""
    assert process.stderr is not None
    seen: list[dict[str, Any]] = []
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        line = process.stderr.readline()
        assert line, f"ended before {event!r}: {seen}"
        seen.append(json.loads(line))
        if seen[-1]["event"] == event:
            return seen
    raise AssertionError(f"no {event!r}: {seen}")


def ended(process: subprocess.Popen[str]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Wait for the end; return the document and the rest of the log."""
    out, err = process.communicate(timeout=TIMEOUT)
    assert out, err
    return json.loads(out), [json.loads(line) for line in err.splitlines()]


@pytest.mark.anvil
@pytest.mark.parametrize(
    ("balance", "event"), [(0, "the account is empty"), (1, "the account has too little")]
)
def test_an_account_that_cannot_pay_is_warned_of(post: Post, balance: int, event: str) -> None:
    post.drill.propose_honest()
    account = SIGNERS[CHALLENGER].address
    post.ask("anvil_setBalance", account, hex(balance))
    ran = post.look()
    assert ran.code == 0, ran.err
    (warning,) = (line for line in map(json.loads, ran.err.splitlines()) if line["event"] == event)
    assert warning["level"] == "warning"
    funds = ran.document["funds"]
    assert funds["account"] == warning["account"] == account
    assert funds["enough"] is False
    assert funds["balanceWei"] == balance
    deposit = post.drill.world.timebank.leaf_requests.request_deposit_wei()
    assert funds["depositWei"] == deposit
    assert funds["neededWei"] == funds["commitWei"] + funds["proofWei"] + funds["requestWei"] > deposit
    assert 0 < funds["commitWei"] < funds["proofWei"]
    assert float(warning["needed"]) == pytest.approx(funds["neededWei"] / 10**18)

    post.ask("anvil_setBalance", account, hex(2 * funds["neededWei"]))
    again = post.look()
    assert again.document["funds"]["enough"] is True
    assert "the account" not in again.err


@pytest.mark.anvil
def test_what_is_said_to_be_enough_is_enough(post: Post) -> None:
    """With just what the start asks for, a fault is committed to and proved."""
    assert post.drill.plant(Case(1, "value", "last", rehash=True)) is not None
    account = SIGNERS[CHALLENGER].address
    tower = post.drill.tower()
    tower.startup()
    assert tower.funds is not None
    post.ask("anvil_setBalance", account, hex(tower.funds.needed))
    ran = post.look()
    assert ran.code == 3, ran.err
    assert any(look["voided"] for look in ran.document["looks"]), ran.out
    assert "the account" not in ran.err


@pytest.mark.anvil
def test_a_fault_is_told_by_who_cannot_pay_for_its_proof(post: Post) -> None:
    assert post.drill.plant(Case(1, "value", "last", rehash=True)) is not None
    post.ask("anvil_setBalance", SIGNERS[CHALLENGER].address, "0x0")
    ran = post.look()
    assert ran.code == 3, ran.err
    assert ran.document["funds"]["enough"] is False
    (look,) = ran.document["looks"]
    assert look["verdict"] == "faulty"
    assert look["faults"][0]["class"] == 1
    assert look["actions"] == []
    assert ran.document["error"]["code"] == "InsufficientFunds"
    assert ran.document["error"]["message"] in ran.err


@pytest.mark.anvil
def test_a_fault_is_told_when_nothing_left_on_its_way_can_be_finished(post: Post) -> None:
    assert post.drill.plant(Case(1, "value", "last", rehash=True)) is not None
    post.ask("evm_setAutomine", False)
    first = post.start()
    read_until(first, "sending")
    time.sleep(0.5)  # handed to the node
    first.kill()
    first.communicate()
    post.ask("anvil_dropAllTransactions")
    post.ask("evm_setAutomine", True)
    post.ask("anvil_setBalance", SIGNERS[CHALLENGER].address, "0x0")
    ran = post.look()
    assert ran.code == 3, ran.out + ran.err
    assert ran.document["looks"][0]["verdict"] == "faulty"
    assert ran.document["error"]["code"] == "InsufficientFunds"


@pytest.mark.anvil
@pytest.mark.parametrize("variant", ["no-activities-file", "no-accounts-file"])
def test_a_drill_of_withheld_files_is_held_from_its_folder(post: Post, variant: str) -> None:
    drill, wallets = post.drill, KeystoreWallets(post.folder / "wallets", scrypt_n=2)
    for role in ("signer1", "signer2", "signer3", "proposer"):
        wallets.import_key(SIGNERS[role]._account.key, PASSWORD)
    lie = ("--class", "10", "--variant", variant, "--epochs", drill.epochs, "--to", drill.served)
    made = run("epoch", "corrupt", *lie)
    assert made.code == 0, made.err
    for step in ("sign", "propose"):
        assert f"timebank oracle {step} 3 --drill --epochs {drill.served}" in made.out
    assert (drill.served / "000003" / "header.json").exists()
    common = ("--drill", "--epochs", drill.served, "--deployment", post.folder / "deployment.json")
    keys = ("--keystore", post.folder / "wallets", "--password-file", post.folder / "password")
    for role in ("signer1", "signer2", "signer3"):
        signed = run("oracle", "sign", "3", *common, *keys, "--from", SIGNERS[role].address)
        assert signed.code == 0, signed.err
    node = ("--rpc-url", drill.world.connection.url, "--yes")
    proposed = run("oracle", "propose", "3", *common, *keys, *node, "--from", SIGNERS["proposer"].address)
    assert proposed.code == 0, proposed.err
    ran = run(*post.arguments("--once", "--from", SIGNERS[CHALLENGER].address))
    assert ran.code == 1, ran.err
    assert ran.document["looks"][0]["verdict"] == "unavailable"
    assert drill.happened(LeafRequested)


@pytest.mark.anvil
def test_killed_with_a_proof_on_its_way_the_next_start_names_the_epoch(post: Post) -> None:
    made = post.drill.plant(Case(1, "value", "last", rehash=True))
    assert made is not None
    first = post.start()
    read_until(first, "done")  # the commitment
    post.ask("evm_setAutomine", False)
    read_until(first, "sending")
    time.sleep(0.5)  # handed to the node
    first.kill()
    first.communicate()
    post.ask("evm_mine")
    post.ask("evm_setAutomine", True)
    ran = post.look()
    assert ran.code == 3, ran.out + ran.err
    (ended,) = (look["ended"] for look in ran.document["looks"] if look["ended"])
    assert ended["epoch"] == 3
    assert ended["headerHash"] == "0x" + made.header.hash().hex()
    assert ended["by"] == SIGNERS[CHALLENGER].address
    assert len(post.drill.happened(EpochVoided)) == 1


@pytest.mark.anvil
def test_a_stop_does_not_wait_for_a_block_and_the_next_start_goes_on(post: Post) -> None:
    assert post.drill.plant(Case(7, "mint", "last", rehash=True)) is not None
    post.ask("evm_setAutomine", False)
    first = post.start()
    read_until(first, "sending")
    time.sleep(0.5)  # handed to the node
    asked = time.monotonic()
    first.send_signal(signal.SIGTERM)
    document, rest = ended(first)
    assert time.monotonic() - asked < PROMPT_SECONDS
    assert first.returncode == 3, "the epoch is wrong, whether or not that is proved by now"
    (action,) = document["looks"][-1]["actions"]
    assert action["kind"] == "commit"
    assert action["waiting"] is True
    (said,) = (line for line in rest if line["level"] == "warning")
    assert action["tx"] in said["what"]
    assert "next start" in said["next"]

    second = post.start("--once")
    seen = read_until(second, "taking up")
    assert seen[-1]["tx"] == action["tx"]
    time.sleep(1)
    post.ask("evm_mine")
    post.ask("evm_setAutomine", True)
    document, rest = ended(second)
    assert second.returncode == 3
    assert any(look["voided"] for look in document["looks"])
    assert not [line for line in rest if line["level"] == "error" or line["event"] == "given up"]
    assert len(post.drill.happened(Committed)) == 1
    assert len(post.drill.happened(FaultProved)) == len(post.drill.happened(EpochVoided)) == 1


@pytest.mark.anvil
def test_a_commitment_of_ours_that_the_journal_has_lost_is_used(post: Post) -> None:
    """The journal was moved away while the commitment was in no block: it still is ours."""
    assert post.drill.plant(Case(7, "mint", "last", rehash=True)) is not None
    post.ask("evm_setAutomine", False)
    first = post.start()
    read_until(first, "sending")
    time.sleep(0.5)
    first.kill()
    first.communicate()
    for path in (post.folder / "cache" / ".watch").glob("journal.sqlite*"):
        path.unlink()
    second = post.start("--once")
    read_until(second, "committed to before")
    post.ask("evm_mine")
    post.ask("evm_setAutomine", True)
    document, rest = ended(second)
    assert second.returncode == 3
    assert any(look["voided"] for look in document["looks"])
    assert not [line for line in rest if line["level"] == "error"]
    assert len(post.drill.happened(Committed)) == 1
    assert len(post.drill.happened(FaultProved)) == 1
