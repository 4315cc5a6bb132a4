"""A small oracle on stage: a deployed system, a growing feed, members, keys, and a clock of its own.

Roles as in ``tests.world``; the policy's epoch is one minute, the challenge window ten seconds, and
two of three quorum members must sign.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from tests.world import SIGNERS, World, fund, plan
from timebank_chain.activity import placeholder_address
from timebank_chain.chain.challenge_events import AccountAnswered, ActivityAnswered
from timebank_chain.chain.connection import Connection
from timebank_chain.chain.deployment import deploy
from timebank_chain.chain.event import Event
from timebank_chain.chain.events import (
    BondWithdrawn,
    Claimed,
    EpochFinalised,
    EpochProposed,
    read_events,
)
from timebank_chain.chain.system import open_timebank
from timebank_chain.oracle.daemon import OracleDaemon
from timebank_chain.oracle.journal import Journal
from timebank_chain.oracle.settings import OracleSettings
from timebank_chain.oracle.state import chain_time
from timebank_chain.oracle.submit import Checkpoint, no_checkpoint
from timebank_chain.valuation import Policy, load_policy, policy_with

EPOCH_MS = 60_000
WINDOW_SECONDS = 10
ANSWER_SECONDS = 2
QUORUM = ("signer1", "signer2", "signer3")
THRESHOLD = 2
HEADER = "id,member,domain,occurred,interaction,originality,engagement\n"


class ChainClock:
    """Tells the chain's own time; sleeping moves it."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def now_ms(self) -> int:
        return chain_time(self.connection) * 1_000

    def sleep(self, seconds: float) -> None:
        self.connection.advance_time(max(1, round(seconds)))


def test_policy() -> Policy:
    return policy_with(load_policy("identity"), epoch_ms=EPOCH_MS)


test_policy.__test__ = False  # type: ignore[attr-defined]  # a helper, not a test


@dataclass
class Stage:
    """Everything an oracle needs, and what to look at afterwards."""

    world: World
    folder: Path
    start_ms: int
    settings: OracleSettings
    policy: Policy

    @property
    def feed(self) -> Path:
        return self.settings.feed

    @property
    def epochs(self) -> Path:
        return self.settings.epochs

    def journal(self) -> Journal:
        self.settings.state_folder.mkdir(parents=True, exist_ok=True)
        return Journal(self.settings.journal_path, {"chain": "test"})

    def daemon(
        self,
        *roles: str,
        checkpoint: Checkpoint = no_checkpoint,
        journal: Journal | None = None,
        **changes: object,
    ) -> OracleDaemon:
        """A daemon with the keys of ``roles`` (default: two signers); the first one pays."""
        return OracleDaemon(
            self.world.timebank,
            replace(self.settings, **changes),  # type: ignore[arg-type]  # keywords of the settings
            [SIGNERS[role] for role in roles or ("signer1", "signer2")],
            journal or self.journal(),
            ChainClock(self.world.connection),
            checkpoint=checkpoint,
            wait_seconds=5,
        )

    def act(self, name: str, member: str, second: int, ranks: tuple[str, str, str] = ("4", "3", "5")) -> None:
        """Append an act that happens ``second`` seconds after the first epoch's start."""
        with self.feed.open("a", encoding="utf-8") as file:
            when = self.start_ms + second * 1_000
            file.write(f"{name},{member},{self.policy.domains[0].name},{when},{','.join(ranks)}\n")

    def run_until(self, daemon: OracleDaemon, epoch: int) -> None:
        """Tick, moving the clock when there is nothing to do, until ``epoch`` is final and claimed."""
        for _ in range(60):
            tick = daemon.tick()
            if tick.idle:
                if self.world.timebank.rate_oracle.latest_epoch() >= epoch:
                    return
                self.world.connection.advance_time(5)
        raise AssertionError(f"epoch {epoch} does not come")

    def events(self) -> list[Event]:
        kinds: list[type[Event]] = [EpochProposed, EpochFinalised, Claimed, BondWithdrawn]
        timebank = self.world.timebank
        found = read_events(
            timebank.connection, timebank.addresses(), kinds, from_block=timebank.deployment.first_block
        )
        return list(found)

    def answers(self) -> list[ActivityAnswered | AccountAnswered]:
        """Leaves that were shown on chain."""
        timebank = self.world.timebank
        found = read_events(
            timebank.connection,
            timebank.addresses(),
            [ActivityAnswered, AccountAnswered],
            from_block=timebank.deployment.first_block,
        )
        return [one for one in found if isinstance(one, ActivityAnswered | AccountAnswered)]

    def counts(self) -> dict[str, int]:
        """How many events of each kind are on chain."""
        names = [type(event).__name__ for event in self.events()]
        return {name: names.count(name) for name in sorted(set(names))}

    def claimed(self) -> dict[str, int]:
        """What each account has been paid, micro-credits; no account may be paid twice for an epoch."""
        paid: dict[str, int] = {}
        seen: set[tuple[str, int]] = set()
        for event in self.events():
            if isinstance(event, Claimed):
                assert (event.account, event.epoch) not in seen
                seen.add((event.account, event.epoch))
                paid[event.account] = paid.get(event.account, 0) + event.amount
        return paid


def set_stage(connection: Connection, folder: Path) -> Stage:
    """Deploy a system for the test policy and lay out an empty feed."""
    fund(connection)
    policy = test_policy()
    quorum = sorted((SIGNERS[role].address for role in QUORUM), key=str.lower)
    deployment = deploy(
        connection,
        SIGNERS["deployer"],
        plan(
            policy=policy,
            signers=tuple(quorum),
            threshold=THRESHOLD,
            challenge_window=WINDOW_SECONDS,
            answer_time=ANSWER_SECONDS,
            governance_delay=1,
            link_delay=1,
        ),
    )
    world = World(connection, open_timebank(connection, deployment))
    members = folder / "members.csv"
    rows = [f"{role},{SIGNERS[role].address}\n" for role in ("member1", "member2", "member3")]
    members.write_text("member,address\n" + "".join(rows), "utf-8")
    feed = folder / "feed.csv"
    feed.write_text(HEADER, "utf-8")
    start_ms = connection.timestamp() * 1_000
    settings = OracleSettings(
        feed=feed, members=members, policy=policy, epochs=folder / "epochs", first_epoch_start_ms=start_ms
    )
    return Stage(world, folder, start_ms, settings, policy)


def placeholder(member: str) -> bytes:
    return placeholder_address(member)
