"""The whole way on a chain: packed records under aliases, a hold, a release, an erasure; signed and audited.

collected ......... a packed table whose people have two names each; packed acts; an activity table
held .............. who stands out is held in epoch 1, released, paid in epoch 2: signer and audit agree,
                    the signer by the publisher's file of holds, and not without it
erased ............ while epoch 3 waits for signatures: no trace is left, the audit passes before and after,
                    by default with the list in the oracle's state;
                    epoch 3 is not signed as it is, the hint says how it is; built again it is signed
another signer .... who has their own packed records and the list of the erased comes to the same epoch
"""

from __future__ import annotations

import gzip
import json
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.audit.history import EPOCH_MS, POLICY, START_MS, WINDOW_MS, the_policy
from tests.chain_fixtures import own_anvil
from tests.cli.bank_stage import Ran, run
from tests.world import World, deploy_world
from timebank_chain.attention.monitor.holds import HoldsBook, default_path
from timebank_chain.attention.privacy.vault import make_vault
from timebank_chain.epoch import read_epoch

pytestmark = pytest.mark.anvil

EVE = "eve@example.org"
PEOPLE = ("ana", "ben", "cid", "dot", "fay", "gus", "hal", "ivy", "jon", EVE)
MAPPING = """
schema = "timebank.feed-mapping/1"
source = "forum"
[fields.id]
column = "id"
[fields.member]
column = "who"
[fields.at]
column = "at"
format = "unix_ms"
[fields.verb]
column = "did"
[fields.object]
column = "thing"
[fields.domain]
constant = "review"
"""


def records() -> Iterator[str]:
    """Yield three epochs of a forum: half of it under other names, one works like a clock, liked by all."""
    yield "id,who,at,did,thing\n"
    draw = random.Random(7)
    for epoch in range(3):
        for person in PEOPLE:
            for turn in range(6):
                offset = turn * 400_000 + 1 if person == EVE else draw.randint(1, EPOCH_MS - 2 * WINDOW_MS)
                at = START_MS + epoch * EPOCH_MS + offset
                name = f"acct:{person}" if turn % 2 else person
                act = f"{PEOPLE.index(person)}-{epoch}-{turn}"
                yield f"{act},{name},{at},created,post {act}\n"
                others = [one for one in PEOPLE if one not in (person, EVE)]
                for fan in others if person == EVE else draw.sample(others, 2):
                    what = "liked" if person == EVE else draw.choice(["liked", "commented"])
                    yield f"{act}-{fan},{fan},{at + draw.randint(1, WINDOW_MS - 1)},{what},post {act}\n"


@dataclass
class Community:
    """A folder with everything of one community, or of one signer, and the commands."""

    world: World
    folder: Path
    epochs: Path

    @property
    def activity(self) -> Path:
        return self.folder / "activity.parquet"

    @property
    def manifest(self) -> Path:
        return self.epochs.parent / "deployment.json"

    def lay_out(self) -> None:
        self.folder.mkdir(exist_ok=True)
        (self.folder / "record.csv.gz").write_bytes(gzip.compress("".join(records()).encode()))
        (self.folder / "record.toml").write_text(MAPPING)
        aliases = "".join(f"acct:{one},{one}\n" for one in PEOPLE)
        (self.folder / "aliases.csv").write_text("alias,member\n" + aliases)
        (self.folder / "policy.json").write_text(POLICY)

    def collect(self, *words: object) -> None:
        """From the packed table to the activity table, by way of packed acts."""
        table = f"{self.folder / 'record.csv.gz'}={self.folder / 'record.toml'}"
        acts = self.folder / "acts.csv"
        fine(
            "attention", "collect", "--table", table, "--aliases", self.folder / "aliases.csv", "-o",
            self.folder / "feed.csv", "--activity", acts, "--window", f"{WINDOW_MS // 1_000}s", *words,
        )  # fmt: skip
        packed = self.folder / "acts.csv.gz"
        packed.write_bytes(gzip.compress(acts.read_bytes()))
        acts.unlink()
        fine("ingest", "csv", packed, "--policy", self.folder / "policy.json", "-o", self.activity)

    def build(self, number: int, *words: object) -> Ran:
        start = START_MS + (number - 1) * EPOCH_MS
        return fine(
            "epoch", "build", "--activity", self.activity, "--policy", self.folder / "policy.json",
            "--epochs", self.epochs, "--start", start, "--end", start + EPOCH_MS, "--epoch", number, *words,
        )  # fmt: skip

    def finalise(self, number: int) -> None:
        header = read_epoch(self.epochs, number).header
        self.world.propose(header)
        self.world.finalise(header)

    def sign(self, number: int, *words: object) -> Ran:
        return run(
            "oracle", "sign", number, "--epochs", self.epochs, "--activity", self.activity,
            "--deployment", self.manifest, "--rpc-url", self.world.connection.url, "--dry-run", *words,
        )  # fmt: skip

    def audit(self, *words: object) -> Ran:
        return run(
            "audit", "--epochs", self.epochs, "--activity", self.activity,
            "--deployment", self.manifest, "--rpc-url", self.world.connection.url, *words,
        )  # fmt: skip


def fine(*arguments: object) -> Ran:
    ran = run(*arguments)
    assert ran.code == 0, ran.out + ran.err
    return ran


@pytest.fixture
def world() -> Iterator[World]:
    with own_anvil() as connection:
        yield deploy_world(connection, policy=the_policy(), link_delay=600)


def test_held_released_and_erased_with_everything_signed_and_audited(world: World, tmp_path: Path) -> None:
    community = Community(world, tmp_path / "publisher", tmp_path / "epochs")
    community.lay_out()
    community.collect()
    (tmp_path / "deployment.json").write_text(json.dumps(world.timebank.deployment.to_json()))
    shutil.copytree(community.folder, tmp_path / "signer")
    signer = Community(world, tmp_path / "signer", community.epochs)

    # Held in epoch 1.
    community.build(1, "--hold-suspicious", "--hold-rate", "0.2")
    holds = default_path(community.epochs)
    assert [one.member for one in HoldsBook.load(holds).holds] == [EVE]
    assert community.sign(1).code == 0
    elsewhere = holds.rename(tmp_path / "by post.json")
    unknowing = signer.sign(1)
    assert unknowing.code == 1 and "missing from the epoch" in unknowing.err
    assert signer.sign(1, "--holds", elsewhere).code == 0
    elsewhere.rename(holds)
    community.finalise(1)

    # Released, and paid in epoch 2.
    fine("attention", "release", EVE, "--reason", "runs the weather station", "--epochs", community.epochs)
    assert "6 released ones brought in" in community.build(2).err
    assert signer.sign(2).code == 0
    community.finalise(2)
    assert community.audit().code == 0

    # Erased while epoch 3 waits for signatures.
    community.build(3)
    assert signer.sign(3).code == 0
    vault, identity = tmp_path / "vault", tmp_path / "ana.identity"
    make_vault(vault, "ana", identity)
    fine(
        "attention", "privacy", "erase", EVE, "--data", community.folder, "--epochs", community.epochs,
        "--vault", vault, "--identity", identity, "--yes",
    )  # fmt: skip
    for path in [*community.folder.rglob("*"), *community.epochs.rglob("*"), holds]:
        if path.is_file():
            content = path.read_bytes()
            plain = gzip.decompress(content) if path.suffix == ".gz" else content
            assert EVE.encode() not in plain, path
    erased = vault / "erased.json"
    assert community.audit("--erased", erased).code == 0
    without = community.audit()
    assert without.code == 3 and "A33" in without.out
    # Where an oracle runs the list lies in its state, and nobody has to name it.
    state = community.epochs / ".oracle"
    state.mkdir()
    shutil.copy(erased, state)
    assert community.audit().code == 0
    shutil.rmtree(state)
    refused = community.sign(3, "--erased", erased, "--json")
    assert refused.code == 1
    assert "timebank epoch build --epoch 3 --force" in refused.error["hint"]
    assert "was erased since" in refused.error["hint"]
    assert "compare feeds" in community.sign(3, "--json").error["hint"], "nobody said who is erased"

    # Built again it is signed, by whoever erased, and by whoever collects with the list.
    community.build(3, "--force")
    assert community.sign(3, "--erased", erased).code == 0
    still = signer.sign(3)
    assert still.code == 1 and "missing from the epoch" in still.err
    signer.collect("--erased", erased)
    assert signer.sign(3, "--erased", erased).code == 0
    community.finalise(3)
    assert community.audit("--erased", erased).code == 0
    fine(
        "epoch", "verify", "--epochs", community.epochs, "--activity", community.activity, "--erased", erased
    )
