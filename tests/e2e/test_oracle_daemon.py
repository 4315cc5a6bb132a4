"""The daemon as a process of its own, against a real anvil, with a feed that grows while it runs.

e2e
|- three epochs; SIGKILL in the middle of each, SIGTERM in between: one of every event, all claimed
|- SIGTERM while idle: exit 0, the lock is free again
|- a second daemon on the same state folder is refused, exit 1
|- a quorum of two processes' keys: `oracle sign` from one's own feed, then propose and finalise by hand
|- with --hold-suspicious: held, in the status, released, paid in the next epoch; others sign by the file
|- a later row with a published id: `oracle sign` and `audit --activity` both stay with the published one
`- wrong password, another chain's deployment: one sentence, exit 1
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import structlog
from click.testing import Result
from typer.testing import CliRunner

from tests.chain_fixtures import start_anvil, stop
from tests.world import SIGNERS, fund, plan
from timebank_chain.activity import placeholder_address
from timebank_chain.audit import run_audit
from timebank_chain.chain.connection import connect
from timebank_chain.chain.deployment import deploy, load_deployment
from timebank_chain.chain.event import Event
from timebank_chain.chain.events import (
    BondWithdrawn,
    Claimed,
    EpochFinalised,
    EpochProposed,
    read_events,
)
from timebank_chain.chain.keystore import KeystoreWallets
from timebank_chain.chain.system import Timebank, open_timebank
from timebank_chain.cli.attention import app as attention_app
from timebank_chain.cli.ingest import app as ingest_app
from timebank_chain.cli.oracle import app
from timebank_chain.epoch import read_epoch
from timebank_chain.errors import OracleError
from timebank_chain.valuation import load_policy, policy_to_json, policy_with

pytestmark = [pytest.mark.anvil, pytest.mark.e2e]

EPOCH_MS = 3_000
WINDOW_SECONDS = 2
PASSWORD = "correct horse battery staple"
HEADER = "id,member,domain,occurred,interaction,originality,engagement\n"
TIMEOUT = 90


@dataclass
class Site:
    """Files of one oracle and the chain it works on."""

    folder: Path
    url: str
    timebank: Timebank
    keystores: dict[str, Path]
    start_ms: int
    processes: list[subprocess.Popen[str]] = field(default_factory=list)
    acts: int = 0

    @property
    def feed(self) -> Path:
        return self.folder / "feed.csv"

    @property
    def epochs(self) -> Path:
        return self.folder / "epochs"

    def command(self, verb: str, *arguments: str) -> list[str]:
        code = "from timebank_chain.cli.main import run; run()"
        shared = ["--epochs", str(self.epochs), "--deployment", str(self.folder / "deployment.json")]
        return [sys.executable, "-c", code, "oracle", verb, *arguments, *shared]

    def run_arguments(self, *roles: str) -> list[str]:
        keys = [part for role in roles for part in ("--keystore", str(self.keystores[role]))]
        return [
            *("--feed", str(self.feed), "--members", str(self.folder / "members.csv")),
            *("--policy", str(self.folder / "policy.json"), "--rpc-url", self.url),
            *("--password-file", str(self.folder / "password"), "--poll", "200ms"),
            *("--first-epoch-start", str(self.start_ms), *keys),
        ]

    def start(self, *roles: str) -> subprocess.Popen[str]:
        """Start the daemon; its log lines can be read from ``stderr``."""
        process = subprocess.Popen(
            self.command("run", *self.run_arguments(*roles), "--json-logs"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        self.processes.append(process)
        return process

    def call(self, verb: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(verb, *arguments),
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
            env=environment(),
        )

    def inside(self, verb: str, *arguments: str) -> Result:
        """Run a short command in this process: starting Python takes longer than the command."""
        try:
            return CliRunner().invoke(app, self.command(verb, *arguments)[4:])
        finally:
            structlog.reset_defaults()

    def act(self, member: str, at_ms: int | None = None) -> None:
        self.acts += 1
        when = time.time_ns() // 1_000_000 if at_ms is None else at_ms
        with self.feed.open("a", encoding="utf-8") as file:
            file.write(f"act {self.acts},{member},general,{when},4,3,5\n")

    def events(self) -> list[Event]:
        kinds: list[type[Event]] = [EpochProposed, EpochFinalised, Claimed, BondWithdrawn]
        timebank = self.timebank
        found = read_events(
            timebank.connection, timebank.addresses(), kinds, from_block=timebank.deployment.first_block
        )
        return list(found)


def environment() -> dict[str, str]:
    """Our own environment without what would stand in for an option."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("ETH_", "TIMEBANK_"))}


def wait_for(process: subprocess.Popen[str], event: str, epoch: int | None = None) -> dict[str, Any]:
    """Read log lines until one says ``event`` (about ``epoch``)."""
    assert process.stderr is not None
    seen = []
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        line = process.stderr.readline()
        if not line:
            break
        seen.append(line)
        if line.startswith("{"):
            said: dict[str, Any] = json.loads(line)
            if said["event"] == event and epoch in (None, said.get("epoch")):
                return said
    raise AssertionError(f"no {event!r} about epoch {epoch}; said:\n{''.join(seen)}")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    node, url = start_anvil()
    try:
        connection = connect(url)
        fund(connection)
        policy = policy_with(load_policy("identity"), epoch_ms=EPOCH_MS)
        (tmp_path / "policy.json").write_text(policy_to_json(policy))
        quorum = sorted((SIGNERS[role].address for role in ("signer1", "signer2")), key=str.lower)
        deployment = deploy(
            connection,
            SIGNERS["deployer"],
            plan(
                policy=policy,
                signers=tuple(quorum),
                threshold=2,
                challenge_window=WINDOW_SECONDS,
                governance_delay=0,
            ),
            tmp_path / "deployment.json",
        )
        (tmp_path / "password").write_text(PASSWORD + "\n")
        wallets = KeystoreWallets(tmp_path / "keystores")
        keystores = {}
        for role in ("signer1", "signer2"):
            key = bytes(SIGNERS[role]._account.key)
            keystores[role] = wallets.import_key(key, PASSWORD).path
        members = [f"{role},{SIGNERS[role].address}\n" for role in ("member1", "member2")]
        (tmp_path / "members.csv").write_text("member,address\n" + "".join(members))
        (tmp_path / "feed.csv").write_text(HEADER)
        start_ms = connection.timestamp() * 1_000
        made = Site(tmp_path, url, open_timebank(connection, deployment), keystores, start_ms)
        yield made
        for process in made.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
            if process.stderr is not None:
                process.stderr.close()
    finally:
        stop(node)


def test_three_epochs_through_kills_and_stops(site: Site) -> None:
    # A block a second, as elsewhere; the other tests run on anvil's default, a block a transaction.
    site.timebank.connection.w3.provider.make_request("evm_setIntervalMining", [1])  # type: ignore[arg-type,union-attr]  # anvil's own method
    site.act("member1", site.start_ms + 1)
    site.act("somebody without a wallet", site.start_ms + 2)
    daemon = site.start("signer1", "signer2")
    wait_for(daemon, "sending", 1)  # journalled, about to be broadcast
    daemon.send_signal(signal.SIGKILL)
    daemon.wait()

    site.act("member2")
    daemon = site.start("signer1", "signer2")
    wait_for(daemon, "finalised", 1)
    daemon.send_signal(signal.SIGKILL)  # before its claims are pushed
    daemon.wait()

    site.act("member1")
    daemon = site.start("signer1", "signer2")
    wait_for(daemon, "proposed", 2)
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(timeout=TIMEOUT) == 0

    daemon = site.start("signer1", "signer2")
    wait_for(daemon, "bond withdrawn")
    wait_for(daemon, "finalised", 3)
    wait_for(daemon, "bond withdrawn")
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(timeout=TIMEOUT) == 0

    events = site.events()
    proposed = [event.epoch for event in events if isinstance(event, EpochProposed)]
    assert proposed[:3] == [1, 2, 3]
    assert len(set(proposed)) == len(proposed)
    finalised = [event.epoch for event in events if isinstance(event, EpochFinalised)]
    assert len(set(finalised)) == len(finalised)
    claims = [(event.account, event.epoch) for event in events if isinstance(event, Claimed)]
    assert len(set(claims)) == len(claims)
    headers = [read_epoch(site.epochs, number).header for number in (1, 2, 3)]
    assert headers[0].activity_count == 2
    granted = sum(header.total_mint for header in headers)
    paid = sum(event.amount for event in events if isinstance(event, Claimed) and event.epoch <= 3)
    accounts = read_epoch(site.epochs, 3).accounts
    unlinked = sum(
        int(cumulative)
        for account, cumulative in zip(accounts.account, accounts.cumulative_mint, strict=True)
        if account.tobytes().startswith(b"timebank")
    )
    assert unlinked > 0
    assert paid == granted - unlinked
    report = run_audit(
        site.timebank.connection, load_deployment(site.folder / "deployment.json"), site.epochs
    )
    assert [check.name for check in report.checks if not check.ok] == []


def test_stops_while_idle_and_refuses_a_second_daemon(site: Site) -> None:
    site.start_ms += 3_600_000
    daemon = site.start("signer1", "signer2")
    wait_for(daemon, "waiting for the epoch to end", 1)
    second = site.call("run", *site.run_arguments("signer1"))
    assert second.returncode == 1
    assert f"another process ({daemon.pid}) works in this state folder" in second.stderr
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(timeout=TIMEOUT) == 0
    site.start_ms -= 3_600_000
    once = site.call("run", *site.run_arguments("signer1"), "--dry-run", "--json")
    assert once.returncode == 0, once.stderr
    assert json.loads(once.stdout)["sent"] is False
    assert site.events() == []


def test_members_sign_propose_and_finalise_by_hand(site: Site) -> None:
    site.act("member1", site.start_ms + 1)
    wait = max(0.0, (site.start_ms + EPOCH_MS) / 1_000 + 2 - time.time())
    time.sleep(wait)
    wallets = ["--keystore", str(site.folder / "keystores")]
    unclear = site.call("run", *site.run_arguments(), *wallets, "--once")
    assert unclear.returncode == 2
    assert "choose one with --from" in unclear.stderr
    operator = ["--from", SIGNERS["signer1"].address]
    first = site.call("run", *site.run_arguments(), *wallets, *operator, "--once")
    assert first.returncode == 0, first.stderr
    wallet = ["--keystore", str(site.keystores["signer2"]), "--password-file", str(site.folder / "password")]
    send = [*wallet, "--rpc-url", site.url, "--json", "--yes"]
    too_few = site.inside("propose", "1", *send)
    assert isinstance(too_few.exception, OracleError)
    assert "1 of 2 signatures for epoch 1" in too_few.exception.message

    other = site.folder / "other.csv"
    other.write_text(site.feed.read_text().replace(",4,3,5", ",4,3,4"))
    own = [
        "--policy",
        str(site.folder / "policy.json"),
        "--members",
        str(site.folder / "members.csv"),
        *wallet,
    ]
    refused = site.inside("sign", "1", "--feed", str(other), *own)
    assert isinstance(refused.exception, OracleError)
    assert "is not what your own data gives" in refused.exception.message
    signed = site.inside("sign", "1", "--feed", str(site.feed), *own, "--json")
    assert signed.exit_code == 0, signed.exception
    assert Path(json.loads(signed.stdout)["signature_file"]).exists()

    looked = site.inside("propose", "1", *send, "--dry-run")
    assert looked.exit_code == 0, looked.exception
    assert json.loads(looked.stdout)["sent"] is False
    proposed = site.inside("propose", "1", *send)
    assert proposed.exit_code == 0, proposed.exception
    early = site.inside("propose", "1", *send)
    assert isinstance(early.exception, OracleError)
    assert "is pending until" in early.exception.message
    time.sleep(WINDOW_SECONDS + 2)
    finalised = site.inside("finalise", "1", *send)
    assert finalised.exit_code == 0, finalised.exception
    again = site.inside("finalise", "1", *send)
    assert isinstance(again.exception, OracleError)
    assert "no epoch is pending" in again.exception.message
    status = json.loads(site.inside("status", "--rpc-url", site.url, "--json").stdout)
    assert status["latest_epoch"] == 1
    assert [intent["outcome"] for intent in status["intents"]] == ["mined", "mined"]
    nothing = site.inside("propose", "1", *send)
    assert isinstance(nothing.exception, OracleError)
    assert nothing.exception.message == "epoch 1 is finalised already, nothing to do"

    # Later the same id comes again, saying something else: the published record stays.
    published = site.feed.read_text().splitlines()[-1]
    with site.feed.open("a", encoding="utf-8") as file:
        file.write(published.replace(",4,3,5", ",9,9,9") + "\n")
    check = ["sign", "1", "--feed", str(site.feed), *own, "--dry-run"]
    agrees = site.inside(*check, "--rpc-url", site.url)
    assert agrees.exit_code == 0, agrees.exception
    unknowing = site.inside(*check)
    assert isinstance(unknowing.exception, OracleError), "without a node the epoch may still be open"
    table = site.folder / "activity.parquet"
    ingest = [str(site.feed), "--policy", str(site.folder / "policy.json"), "-o", str(table)]
    ingest += ["--skip-rejected", "--final-epochs", str(site.epochs)]
    ingested = CliRunner().invoke(ingest_app, ["csv", *ingest])
    assert ingested.exit_code == 0, ingested.exception
    assert "id already published in epoch 1" in (site.folder / "activity.rejects.csv").read_text()
    report = run_audit(
        site.timebank.connection,
        load_deployment(site.folder / "deployment.json"),
        site.epochs,
        activity=table,
    )
    assert [check.name for check in report.checks if not check.ok] == []
    by_table = site.inside("sign", "1", "--activity", str(table), *own, "--dry-run")
    assert by_table.exit_code == 0, by_table.exception


def test_suspicious_acts_are_held_released_and_signed(site: Site) -> None:
    with site.feed.open("a", encoding="utf-8") as file:
        for number in range(11):
            for act in range(5):
                at = site.start_ms + 1 + (number * 37 + act * 523) % (EPOCH_MS - 100)
                likes = 90 if number == 0 else 1 + (number + act) % 5
                file.write(f"{number}:{act},m{number},general,{at},3,2,{likes}\n")
    time.sleep(max(0.0, (site.start_ms + EPOCH_MS) / 1_000 + 2 - time.time()))
    hold = ["--hold-suspicious", "--hold-rate", "0.2", "--once", "--json"]
    missing = site.call("run", *site.run_arguments("signer1"), "--holds", str(site.folder / "none"), "--once")
    assert missing.returncode == 2 and "--holds: no such file" in missing.stderr
    first = site.call("run", *site.run_arguments("signer1"), *hold)
    assert first.returncode == 0, first.stderr
    (waiting,) = json.loads(first.stdout)["holds"]["waiting"]
    assert (waiting["member"], waiting["epoch"], waiting["acts"], waiting["released"]) == ("m0", 1, 5, None)
    assert any("engagement" in reason for reason in waiting["reasons"])
    shown = site.inside("status", "--rpc-url", site.url)
    assert "timebank attention release" in shown.stdout and "m0" in shown.stdout
    keys = ["--keystore", str(site.keystores["signer2"]), "--password-file", str(site.folder / "password")]
    own = ["--policy", str(site.folder / "policy.json"), "--members", str(site.folder / "members.csv"), *keys]
    own += ["--feed", str(site.feed), "--json"]
    published = site.folder / "epochs.holds.json"
    elsewhere = published.rename(site.folder / "from the publisher.json")
    without = site.inside("sign", "1", *own)
    assert isinstance(without.exception, OracleError) and "missing from the epoch" in str(without.exception)
    assert site.inside("sign", "1", *own, "--holds", str(elsewhere)).exit_code == 0
    elsewhere.rename(published)

    words = ["release", "m0", "--reason", "a club's news", "--epochs", str(site.epochs)]
    released = CliRunner().invoke(attention_app, words)
    structlog.reset_defaults()
    assert released.exit_code == 0, released.exception
    time.sleep(WINDOW_SECONDS + EPOCH_MS / 1_000)
    # Epoch 1 is proposed, finalised and, its window being over, followed by the next one.
    deadline = time.monotonic() + TIMEOUT
    while not (site.epochs / "000002").exists() and time.monotonic() < deadline:
        again = site.call("run", *site.run_arguments("signer1"), "--once")
        assert again.returncode == 0, again.stderr
        time.sleep(1)
    rows = read_epoch(site.epochs, 2).activities
    account = placeholder_address("m0")
    assert sum(row.tobytes() == account for row in rows.account) == 5
    status = json.loads(site.inside("status", "--rpc-url", site.url, "--json").stdout)
    assert status["holds"]["waiting"] == [] and status["holds"]["acts_taken"] == 5
    signed = site.inside("sign", "2", *own)
    assert signed.exit_code == 0, signed.exception


def test_a_wrong_password_and_another_chain_end_at_once(site: Site) -> None:
    (site.folder / "password").write_text("wrong\n")
    locked = site.call("run", *site.run_arguments("signer1"))
    assert locked.returncode == 1
    assert "password" in locked.stderr
    (site.folder / "password").write_text(PASSWORD + "\n")
    manifest = site.folder / "deployment.json"
    document = json.loads(manifest.read_text())
    document["chainId"] = 1
    manifest.write_text(json.dumps(document))
    elsewhere = site.call("run", *site.run_arguments("signer1"))
    assert elsewhere.returncode == 1
    assert "chain 1" in elsewhere.stderr
