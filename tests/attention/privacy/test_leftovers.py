"""What killed commands leave beside the epochs and in the folders that are searched: it goes with the person.

a killed release .. leaves a copy of the file of holds: told of by a dry run, removed by the erasure; also
                    by whoever opens the file next
a writer at work .. keeps its part
tables ............ a part beside its table goes, anything that only looks like one stays
epochs ............ unpublished ones go; what was replaced goes if another took its place
the state ......... copies of the feed go, and nothing else of the oracle's
nothing else ...... of whom a leftover alone tells nothing is known, and it stays
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.attention.monitor.test_holds_killed import killed_at
from tests.attention.privacy.test_member_tables import ADA
from timebank_chain.attention.monitor.hold import Hold
from timebank_chain.attention.monitor.holds import HoldsBook, default_path, locked
from timebank_chain.attention.privacy.erasure import Erasure, Oracle, erase_person
from timebank_chain.attention.privacy.leftovers import leftovers
from timebank_chain.attention.privacy.person import Search
from timebank_chain.attention.privacy.places import places
from timebank_chain.documents import writing_whole
from timebank_chain.errors import AttentionError
from timebank_chain.oracle.settings import STATE_FOLDER

SHORT = "m8"


class Place:
    """A community with holds of two people, and its epochs' folder."""

    def __init__(self, folder: Path) -> None:
        self.epochs = folder / "epochs"
        self.state = self.epochs / STATE_FOLDER
        self.data = folder / "data"
        self.erased = folder / "erased.json"
        self.state.mkdir(parents=True)
        self.data.mkdir()
        (self.data / "known.csv").write_text(f"member,n\n{ADA},1\n{SHORT},2\ncy,3\n")
        book = HoldsBook(default_path(self.epochs))
        for member in (ADA, SHORT):
            acts = (f"act-{len(member)}",)
            book.holds.append(Hold(member, 1, 9, 9, 2.0, 1.0, 0.03, ("like a clock",), acts))
        book.save()

    def kill_a_release(self) -> Path:
        """Kill ``attention release`` before the file takes its place; return what it leaves."""
        holds = default_path(self.epochs)
        words = ("attention", "release", ADA, "--reason", "a person", "--epochs", self.epochs)
        assert killed_at(holds, 1, *words, said=self.data.parent / "said")
        (part,) = holds.parent.glob(".*.part")
        assert ADA in part.read_text()
        return part

    def erase(self, member: str = ADA, *, dry_run: bool = False) -> Erasure:
        search = Search(tuple(places([self.data, self.epochs])))
        oracle = Oracle(None, self.state)
        return erase_person(
            search, member, erased_file=self.erased, oracle=oracle, epochs=self.epochs, dry_run=dry_run
        )


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.mark.parametrize("member", [ADA, SHORT])
def test_a_copy_of_the_holds_goes_with_the_person(place: Place, member: str) -> None:
    part = place.kill_a_release()
    looked = place.erase(member, dry_run=True)
    assert looked.removed == [str(part)] and part.exists()
    result = place.erase(member)
    assert (result.removed, part.exists(), result.left) == ([str(part)], False, {})
    assert place.erase(member).nothing_to_do


def test_whoever_opens_the_holds_next_removes_it(place: Place) -> None:
    part = place.kill_a_release()
    with locked(default_path(place.epochs)):
        assert not part.exists()


def test_a_writer_at_work_keeps_its_part(place: Place) -> None:
    with writing_whole(place.data / "other.csv") as file:
        file.write(b"member\ncy\n")
        file.flush()
        assert place.erase().removed == []
    assert (place.data / "other.csv").read_text() == "member\ncy\n"


def test_a_table_that_had_not_taken_its_place(place: Place) -> None:
    part = place.data / ".known.csv.ab_12xyz.part.csv"
    own = [place.data / name for name in (".gone.csv.ab_12xyz.part.csv", ".known.csv.previous", "x.part")]
    for path in (part, *own):
        path.write_text("member,n\ncy,3\n")
    assert place.erase().removed == [str(part)]
    assert not part.exists() and all(path.exists() for path in own)


def test_epochs_that_were_not_published(place: Place) -> None:
    gone = [place.epochs / f".000002.{end}" for end in ("ab_12xyz", "fetch-abcdefgh")]
    kept = [place.epochs / f".000002.{end}" for end in ("old.abcdefgh", "lock")]
    for path in (*gone, *kept):
        path.mkdir()
        (path / "header.json").write_text("{}")
    result = place.erase()
    assert result.removed == sorted(map(str, gone))
    assert not any(path.exists() for path in gone) and all(path.exists() for path in kept)
    # What another took the place of is no only copy any more.
    (place.epochs / "000002").mkdir()
    assert leftovers([], place.epochs, None) == kept[:1]


def test_what_the_oracle_read(place: Place) -> None:
    snapshot = place.state / "feed-ab_12xyz"
    snapshot.mkdir()
    (snapshot / "a.csv").write_text(f"who,n\n{SHORT},1\n{ADA},2\n")
    (place.state / "rejects.csv").write_text("source,line,id,field,reason,record\n")
    result = place.erase(SHORT)
    assert (result.removed, result.unclear, snapshot.exists()) == ([str(snapshot)], {}, False)
    assert (place.state / "rejects.csv").exists()


def test_a_leftover_alone_makes_nobody_known(place: Place) -> None:
    part = place.kill_a_release()
    with pytest.raises(AttentionError, match="nothing is known"):
        place.erase("nobody@example.org")
    assert part.exists()
