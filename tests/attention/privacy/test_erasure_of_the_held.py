"""Erasing and exporting somebody whose acts were held, released and paid an epoch later, on a chain.

before ............ audit with the raw table is green
export ............ has the hold with its reasons
erase ............. no name, act or reason of theirs in the file of holds; the dry run changes nothing
after ............. audit is green with the list of the erased, verify too; without the list both fail
goes on ........... the next epoch is built from what is left, and audited
earlier ........... a file of holds from before record ids were kept in it, all the same
only there ........ of whom nothing but a hold is left can be exported and erased as well
forged ............ acts paid in an epoch, held and released by hand: the audit refuses
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.audit.history import EPOCH_MS, POLICY, START_MS, the_activity, the_policy
from tests.chain_fixtures import own_chain
from tests.cli.bank_stage import Ran, run
from tests.world import World, deploy_world
from timebank_chain.activity import read_activity, write_activity
from timebank_chain.attention.monitor.hold import Hold, Release
from timebank_chain.attention.monitor.holds import HoldsBook, default_path
from timebank_chain.attention.privacy.erasure import Erasure, Oracle, erase_person
from timebank_chain.attention.privacy.person import Search, export_person, find
from timebank_chain.attention.privacy.places import places
from timebank_chain.audit import run_audit
from timebank_chain.chain.connection import Connection
from timebank_chain.cli.epoch_holds import records_file
from timebank_chain.epoch import read_epoch
from timebank_chain.errors import AttentionError, CheckFailed

MEMBER = "member2"
NOW_MS = 1_800_000_000_000


@dataclass
class Held:
    """A community whose epoch 2 took what epoch 1 held back."""

    world: World
    folder: Path

    @property
    def activity(self) -> Path:
        return self.folder / "activity.parquet"

    @property
    def epochs(self) -> Path:
        return self.folder / "epochs"

    @property
    def holds(self) -> Path:
        return default_path(self.epochs)

    @property
    def erased(self) -> Path:
        return self.folder / "erased.json"

    def build(self, number: int) -> Ran:
        """Build an epoch, and have the chain accept it."""
        policy = self.folder / "policy.json"
        policy.write_text(POLICY)
        start = START_MS + (number - 1) * EPOCH_MS
        ran = run(
            "epoch", "build", "--activity", self.activity, "--policy", policy, "--epochs", self.epochs,
            "--start", start, "--end", start + EPOCH_MS, "--epoch", number,
        )  # fmt: skip
        assert ran.code == 0, ran.out + ran.err
        header = read_epoch(self.epochs, number).header
        self.world.propose(header)
        self.world.finalise(header)
        return ran

    def hold(self, member: str, number: int) -> Hold:
        """Return a hold of everything a member did in an epoch."""
        start = START_MS + (number - 1) * EPOCH_MS
        table = read_activity(self.activity)
        settled = table.occurred_ms + table.window_ms
        acts = tuple(
            table.id[row]
            for row in np.flatnonzero((settled > start) & (settled <= start + EPOCH_MS))
            if table.member[row] == member
        )
        assert len(acts) > 3
        why = f"{member} likes everything at five past"
        return Hold(member, number, start + EPOCH_MS, start + EPOCH_MS, 9.0, 1.0, 0.03, (why,), acts)

    def audit(self, *, erased: bool) -> list[str]:
        """Return the numbers of the checks that fail, as `timebank audit --activity` gives them."""
        with records_file(self.activity, self.epochs, None, self.erased if erased else None) as given:
            records, forgotten = given
            report = run_audit(
                self.world.connection,
                self.world.timebank.deployment,
                self.epochs,
                activity=records,
                erased=forgotten,
            )
        return [check.number for check in report.failed]

    def verify(self, *words: object) -> int:
        return run("epoch", "verify", "--epochs", self.epochs, "--activity", self.activity, *words).code

    def search(self) -> Search:
        return Search(tuple(places([self.activity, self.epochs])))

    def erase(self, *, dry_run: bool = False) -> Erasure:
        return erase_person(
            self.search(),
            MEMBER,
            erased_file=self.erased,
            oracle=Oracle(),
            epochs=self.epochs,
            dry_run=dry_run,
        )


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Held]:
    with own_chain() as connection:
        yield held_on(connection, tmp_path)


def held_on(connection: Connection, folder: Path) -> Held:
    made = Held(deploy_world(connection, policy=the_policy(), link_delay=600), folder)
    write_activity(the_activity(), made.activity)
    book = HoldsBook(made.holds, [made.hold(MEMBER, 1)])
    book.save()
    made.build(1)
    book = HoldsBook.load(made.holds)
    book.release(None, by="a person", reason=f"{MEMBER} keeps a weather station", now_ms=1)
    book.save()
    assert "released ones brought in" in made.build(2).err
    return made


def test_held_released_paid_and_erased(held: Held) -> None:
    assert held.audit(erased=False) == []
    assert held.verify() == 0
    (mine,) = HoldsBook.load(held.holds).holds
    assert mine.taken == 2
    archive = held.folder / "person.zip"
    assert (
        export_person(held.search(), find(held.search(), MEMBER), held.epochs, archive, NOW_MS)["holds"] == 1
    )
    with zipfile.ZipFile(archive) as opened:
        (name,) = [one for one in opened.namelist() if one.startswith("holds/")]
        assert json.loads(opened.read(name))["reasons"] == list(mine.reasons)
    before = held.holds.read_bytes()
    looked = held.erase(dry_run=True)
    assert held.holds.read_bytes() == before
    result = held.erase()
    assert result.changed == looked.changed and result.changed[str(held.holds)] == 1
    assert not result.left
    text = held.holds.read_text()
    assert MEMBER not in text and "weather" not in text and not any(act in text for act in mine.acts)
    assert held.audit(erased=True) == []
    assert held.verify("--erased", held.erased) == 0
    assert held.audit(erased=False) == ["A33"]
    assert held.verify() == 3
    held.build(3)
    assert held.audit(erased=True) == []
    assert held.verify("--erased", held.erased) == 0
    assert held.erase().again and held.erase().nothing_to_do


def test_a_file_without_record_ids_is_no_hindrance(held: Held) -> None:
    document = json.loads(held.holds.read_text())
    for one in document["holds"]:
        del one["records"], one["entered"], one["erased"]
    held.holds.write_text(json.dumps(document))
    assert held.audit(erased=False) == []
    held.erase()
    assert MEMBER not in held.holds.read_text()
    assert held.audit(erased=True) == []
    assert held.verify("--erased", held.erased) == 0


def test_of_whom_only_a_hold_is_left(held: Held) -> None:
    table = read_activity(held.activity)
    others = np.flatnonzero(np.array([name != MEMBER for name in table.member], dtype=bool))
    write_activity(table.take(others), held.activity)
    archive = held.folder / "person.zip"
    counts = export_person(held.search(), find(held.search(), MEMBER), held.epochs, archive, NOW_MS)
    assert (counts["holds"], counts.get("tables")) == (1, None)
    assert held.erase().changed == {str(held.holds): 1}
    assert MEMBER not in held.holds.read_text()
    held.holds.unlink()
    with pytest.raises(AttentionError, match="nothing is known"):
        erase_person(held.search(), "member9", erased_file=held.erased, oracle=Oracle(), epochs=held.epochs)


def test_a_double_payment_by_hand_is_no_green_audit(held: Held) -> None:
    book = HoldsBook.load(held.holds)
    paid = held.hold("member3", 1)
    book.holds.append(
        Hold(
            paid.member, 2, paid.end_ms + EPOCH_MS, 1, 9.0, 1.0, 0.03, (), paid.acts,
            release=Release(1, "a friend", "fine"), taken=3,
        )
    )  # fmt: skip
    book.save()
    with pytest.raises(CheckFailed, match=rf"{paid.acts[0]}.*settles at") as caught:
        held.audit(erased=False)
    assert caught.value.exit_code == 3
