"""A drill: honest epochs on chain, then a wrong one, its proposer, and a watchtower that does not know.

The proposer is as clever as it can be: it answers every request for a leaf that it can answer.

    python -m tests.oracle.drill [--anvil URL]     plants every variant at every place, alone and rehashed
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.chain_fixtures import snapshot
from tests.epoch.sample import build, changed, policy
from tests.oracle.stage import ChainClock
from tests.world import SIGNERS, World, deploy_world
from timebank_chain.chain.connection import Connection, connect
from timebank_chain.chain.event import Event
from timebank_chain.chain.events import read_events
from timebank_chain.chain.inquiries import open_requests
from timebank_chain.epoch import AccountEvidence, ActivityEvidence, FetchOptions, PublishedEpoch, publish
from timebank_chain.epoch.corrupt import Corruption, Place, corrupt_epoch, write_corruption
from timebank_chain.epoch.file import (
    ACCOUNTS_FILE,
    ACTIVITIES_FILE,
    MANIFEST_FILE,
    encode_manifest,
    encode_rows,
)
from timebank_chain.epoch.lies import variants
from timebank_chain.errors import ContractError, EpochError
from timebank_chain.oracle.journal import Journal
from timebank_chain.oracle.watchtower import Look, WatchSettings, Watchtower

CHALLENGER = "stranger"
DAY = 86_400


@dataclass(frozen=True)
class Case:
    """What to plant."""

    fault_class: int
    variant: str
    at: Place
    rehash: bool

    def __str__(self) -> str:
        return f"{self.fault_class}-{self.variant}-{self.at}-{'rehashed' if self.rehash else 'alone'}"


#: Six of each variant, side by side.
ALL = [
    Case(fault_class, one.name, at, rehash)
    for fault_class in range(1, 11)
    for one in variants(fault_class)
    for at in ("first", "last", "random")
    for rehash in (False, True)
]


@dataclass
class Drill:
    """One wrong epoch on a chain that has two final ones."""

    world: World
    epochs: Path
    second: PublishedEpoch
    third: PublishedEpoch
    folder: Path
    looks: list[Look] = field(default_factory=list)
    corruption: Corruption | None = None
    state: Path | None = None

    @property
    def served(self) -> Path:
        """Where the proposer publishes."""
        return self.folder / "served"

    def propose_honest(self) -> None:
        """Publish and propose the honest third epoch."""
        shutil.copytree(self.epochs, self.served)
        self.world.propose(self.third.header)

    def plant(self, case: Case) -> Corruption | None:
        """Publish a wrong third epoch and propose it; ``None`` where the sample has no place for it."""
        try:
            made = corrupt_epoch(
                self.third,
                self.second,
                policy(),
                fault_class=case.fault_class,
                variant=case.variant,
                at=case.at,
                rehash=case.rehash,
                seed=7,
            )
        except EpochError as error:
            if "has no place" in error.message:
                return None
            raise
        self.serve(made)
        return made

    def serve(self, made: Corruption) -> None:
        """Publish an epoch where the watchtower looks, and propose it."""
        write_corruption(made, self.epochs, self.served)
        self.world.propose(made.header)
        self.corruption = made

    def lose_second(self, how: str) -> None:
        """Take the second epoch from where it is served, or serve other rows than it committed to."""
        folder = self.served / "000002"
        shutil.rmtree(folder)
        if how == "other rows":
            data = {
                ACTIVITIES_FILE: encode_rows(ACTIVITIES_FILE, self.second.activities),
                ACCOUNTS_FILE: encode_rows(ACCOUNTS_FILE, changed(self.second.accounts, "standing", 0, 1)),
            }
            folder.mkdir()
            for name, content in data.items():
                (folder / name).write_bytes(content)
            (folder / MANIFEST_FILE).write_bytes(encode_manifest(2, data))

    def tower(
        self,
        *,
        act: bool = True,
        role: str = CHALLENGER,
        same_state: bool = False,
        checkpoint: Any = None,
        **settings: object,
    ) -> Watchtower:
        """A watchtower with a state folder of its own, or the one of the last."""
        if not same_state or self.state is None:
            self.state = Path(tempfile.mkdtemp(prefix="tower-", dir=self.folder))
            # The epochs before were fetched long ago: decoding strangers' files apart takes its time.
            shutil.copytree(self.epochs, self.state / "cache", ignore=shutil.ignore_patterns("000003"))
        fetch = FetchOptions(source=str(self.served))
        chosen = {"cache": self.state / "cache", "fetch": fetch, **settings}
        return Watchtower(
            self.world.timebank,
            WatchSettings(**chosen),  # type: ignore[arg-type]  # keywords of the settings
            SIGNERS[role] if act else None,
            Journal(self.state / "journal.sqlite", {"chain": "drill"}),
            ChainClock(self.world.connection),
            secret=b"\x5a" * 32,
            wait_seconds=5,
            **({} if checkpoint is None else {"checkpoint": checkpoint}),
        )

    def run(self, tower: Watchtower, *, answers: bool = True, most: int = 200) -> Look:
        """Let the tower look until it has ended the epoch or rests; the proposer answers what it can."""
        requests = self.world.timebank.leaf_requests
        for _ in range(most):
            look = tower.look()
            self.looks.append(look)
            if look.voided or look.pending is None:
                return look
            if look.sent or (answers and self.answer()):
                continue
            if not requests.open_requests(look.pending.header_hash, look.pending.challenge_ends_at):
                return look
            self.world.connection.advance_time(requests.answer_time() + 1)
        raise AssertionError("the watchtower does not come to an end")

    def answer(self) -> bool:
        """Answer the open requests that can be answered; return whether there was one."""
        timebank, made = self.world.timebank, self.corruption
        pending = timebank.rate_oracle.pending()
        assert pending is not None
        answered = False
        for request in open_requests(timebank, pending, timebank.connection.block_number()):
            assert made is not None, "an honest epoch is not asked about"
            shown = made.answer(request.tree, request.index)
            requests, leaf = timebank.leaf_requests, shown.leaf
            try:
                if request.tree == "activity":
                    acts = ActivityEvidence((leaf,), shown.siblings)  # type: ignore[arg-type]  # of this tree
                    self.world.send("proposer", requests.answer_activity(made.header, acts))
                else:
                    accounts = AccountEvidence((leaf,), shown.siblings)  # type: ignore[arg-type]  # as above
                    self.world.send("proposer", requests.answer_account(made.header, accounts))
            except ContractError:
                continue  # it cannot be shown: that is what ends the epoch
            answered = True
        return answered

    def happened(self, *kinds: type[Event]) -> list[Event]:
        """Return what happened on this chain."""
        timebank = self.world.timebank
        first = timebank.deployment.first_block
        return list(read_events(timebank.connection, timebank.addresses(), kinds, from_block=first))


def settle(connection: Connection, folder: Path) -> Drill:
    """Deploy, finalise two honest epochs of the sample and publish the honest third beside them."""
    world = deploy_world(
        connection, policy=policy(), rate_q24=policy().initial_rate_q24, challenge_window=DAY
    )
    epochs = folder / "epochs"
    published: list[PublishedEpoch] = []
    for number in (1, 2, 3):
        made = build(number, published[-1] if published else None, pot=0)
        published.append(publish(made, epochs))
        if number < 3:
            world.propose(made.header)
            world.finalise(made.header)
    return Drill(world, epochs, published[1], published[2], folder)


def main() -> int:
    """Plant everything everywhere."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--anvil", metavar="URL", help="use this node instead of the embedded chain")
    given = parser.parse_args()
    began = time.monotonic()
    ended = absent = 0
    with tempfile.TemporaryDirectory(prefix="drill-") as folder:
        made = settle(connect(given.anvil) if given.anvil else connect(), Path(folder))
        back = snapshot(made.world.connection)
        for number, case in enumerate(ALL, start=1):
            back()
            place = Path(folder) / str(number)
            place.mkdir()
            drill = replace(made, folder=place, looks=[], corruption=None, state=None)
            if drill.plant(case) is None:
                absent += 1
            elif drill.run(drill.tower(), answers=not case.variant.endswith("-file")).voided:
                ended += 1
            else:
                sys.stdout.write(f"NOT ENDED: {case}\n")
            shutil.rmtree(place)
            sys.stderr.write(f"\r{number} of {len(ALL)}")
            sys.stderr.flush()
    sys.stdout.write(
        f"\n{ended} of {len(ALL) - absent} planted faults ended their epoch ({absent} have no place in the "
        f"sample), {time.monotonic() - began:.0f} s\n"
    )
    return 0 if ended == len(ALL) - absent else 1


if __name__ == "__main__":
    raise SystemExit(main())
