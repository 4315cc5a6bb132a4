"""Suspicious acts kept out of an epoch until a person released them, with every reason written down.

Which acts enter an epoch is the publisher's and the quorum's word: the chain can prove a wrong value, not a
missing act. So a hold is a file (``timebank.attention.holds/1``) that whoever signs reads too: with it, their
own feed gives the published epoch; without it the missing acts are named as missing.

A held act cannot simply enter a later epoch. It settles in its own, by the policy, and an act that settles
outside its epoch is a fault anybody proves (a late act enters none, for the same reason). Released acts
therefore have two ways:

- into their own epoch, built again before it is signed (``timebank epoch build --epoch N --force``);
- into the next epoch, as a record of their own: id ``released:N:<id>``, its time moved by as much as the
  epochs' ends lie apart, so that its age, and with it its value, is what it would have been in its own. That
  the record's time is not the act's own is said by its id and by this file: the price of a wrong hold.

What the acts had added to their epoch's totals (fairness, bonus pot) comes an epoch later. An act stands in
one epoch at most: which one took it is written here, and ``hold_checks`` holds the file against the published
epochs, because a file can be written by anybody.

File and epoch are two writes, and a process can end between them. So before an epoch is published the file
says both: what is in force, and under ``building`` what will be once the epoch of that header is published.
Publishing decides, since a folder takes its place in one step; whoever reads the file beside the published
epochs goes by them (`HoldsBook.settle`), and the next build writes it down.

The record ids beside the acts are for the day the raw rows are gone: whoever reads the file then still knows
which published leaf was whose hold, and that nothing was paid twice. Who is erased leaves their hold behind
as hashes under the key of the list of the erased, without name, reasons or ids of acts.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from timebank_chain.activity import ActivityTable, record_ids
from timebank_chain.activity.erased import Erased
from timebank_chain.attention.monitor.hold import ERASED_PREFIX, Hold, Release, hold_from_json
from timebank_chain.attention.monitor.hold_rows import RowsOfActs, as_entered
from timebank_chain.attention.monitor.spans import joined
from timebank_chain.attention.monitor.state import write_document
from timebank_chain.attention.monitor.suspicion import Suspicion
from timebank_chain.documents import TooDeep, TooLarge, parse_json, read_small, stale_parts
from timebank_chain.epoch import epoch_folder
from timebank_chain.epoch.file import read_header
from timebank_chain.errors import AttentionError, EpochError

SCHEMA = "timebank.attention.holds/1"
#: What stands for their name in the reasons of others.
REDACTED = "(erased)"
_HEADER_HASH = re.compile(r"0x[0-9a-f]{64}")
#: Shorter ids may stand in a sentence by chance.
_LEAST_NAME = 4

_REMAKE = "restore the file from a copy: it alone knows what is held and which epoch took what was released"


@dataclass(frozen=True, eq=False, slots=True)
class Adjusted:
    """A table as the holds leave it for one epoch: how many acts are held back, and were brought in.

    ``gone`` names the released acts that have no row any more, with their members: they are not in it. Of
    them, ``missing`` are not known to be erased: they wait for their row.
    """

    table: ActivityTable
    held_back: int
    brought_in: int
    gone: tuple[tuple[str, str], ...] = ()
    missing: tuple[tuple[str, str], ...] = ()


@dataclass
class Building:
    """What the holds will be once an epoch is published under a header (32-byte hash)."""

    epoch: int
    header_hash: bytes
    holds: list[Hold]

    def is_published(self, epochs: Path) -> bool:
        """Tell whether it is; an epoch that cannot be read is none of this header."""
        try:
            return read_header(epoch_folder(epochs, self.epoch), self.epoch).hash() == self.header_hash
        except EpochError:
            return False

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "epoch": self.epoch,
            "headerHash": "0x" + self.header_hash.hex(),
            "holds": [one.to_json() for one in self.holds],
        }


@dataclass
class HoldsBook:
    """All holds of a community, in a file.

    ``building`` is there while an epoch is being published, and after a build that did not come to its end.
    """

    path: Path
    holds: list[Hold] = field(default_factory=list)
    building: Building | None = None

    @classmethod
    def load(cls, path: Path, epochs: Path | None = None) -> HoldsBook:
        """Read the file; where there is none, nothing is held.

        Parameters
        ----------
        epochs
            The folder of published epochs, which decides what of an interrupted build is in force.

        Raises
        ------
        AttentionError
            If it is not such a file.
        """
        if not path.exists():
            return cls(path)
        try:
            document = parse_json(read_small(path))
            if not isinstance(document, dict) or document.get("schema") != SCHEMA:
                raise ValueError(f"its schema is not {SCHEMA}")
            made = cls(path, _holds(document["holds"]), _building(document.get("building")))
        except (OSError, TooLarge, TooDeep, ValueError, KeyError, TypeError) as error:
            reason = f"field {error} is missing" if isinstance(error, KeyError) else str(error)
            raise AttentionError(f"not a file of holds: {reason}", where=str(path), hint=_REMAKE) from error
        if epochs is not None:
            made.settle(epochs)
        return made

    def save(self) -> None:
        """Write the file in one step."""
        document: dict[str, Any] = {"schema": SCHEMA, "holds": [one.to_json() for one in self.holds]}
        if self.building is not None:
            document["building"] = self.building.to_json()
        write_document(self.path, document)

    def settle(self, epochs: Path) -> bool:
        """Decide by the published epochs what is in force; tell whether there was anything to decide."""
        if self.building is None:
            return False
        if self.building.is_published(epochs):
            self.holds = self.building.holds
        self.building = None
        return True

    def versions(self) -> tuple[list[Hold], ...]:
        """Return the holds in force and, where it is not decided yet, those that may be."""
        return (self.holds,) if self.building is None else (self.holds, self.building.holds)

    def held_ids(self) -> frozenset[str]:
        """Return the ids of all acts that are held and not released."""
        return frozenset(act for one in self.holds if one.release is None for act in one.acts)

    def hold(
        self,
        found: Iterable[Suspicion],
        acts: ActivityTable,
        *,
        epoch: int,
        end_ms: int,
        now_ms: int,
        threshold: float,
        rate: float,
    ) -> list[Hold]:
        """Hold the acts of suspicious members, and return who is held anew.

        Who was released for this epoch is not held again: a person has spoken. Who is held already stays so,
        with the acts there are now.

        Parameters
        ----------
        acts
            The acts that settle in the epoch.
        """
        at = {(one.member, one.epoch): place for place, one in enumerate(self.holds)}
        fresh = []
        for one in found:
            rows = np.flatnonzero(np.array([member == one.who for member in acts.member], dtype=bool))
            theirs = acts.take(rows)
            ids, records = tuple(theirs.id), tuple(row.tobytes().hex() for row in record_ids(theirs))
            place = at.get((one.who, epoch))
            made = Hold(
                one.who, epoch, end_ms, now_ms, one.score, threshold, rate,
                tuple(reason.text for reason in one.reasons), ids, records=records,
            )  # fmt: skip
            if place is None:
                self.holds.append(made)
                fresh.append(made)
            elif self.holds[place].release is None:
                self.holds[place] = replace(made, held_at_ms=self.holds[place].held_at_ms)
        return fresh

    def release(self, member: str | None, *, by: str, reason: str, now_ms: int) -> list[Hold]:
        """Release a member's holds, or everybody's, and return them.

        Raises
        ------
        AttentionError
            If no reason is given, or nothing is held.
        """
        if not reason.strip():
            raise AttentionError("a release needs a reason", hint="say what you found: --reason TEXT")
        released: dict[tuple[str, int], Hold] = {}
        for holds in self.versions():
            for place, one in enumerate(holds):
                if one.release is None and not one.erased and member in (None, one.member):
                    holds[place] = replace(one, release=Release(now_ms, by, reason.strip()))
                    released[one.member, one.epoch] = holds[place]
        if not released:
            names = sorted({one.member for one in self.holds if one.release is None and not one.erased})
            shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
            raise AttentionError(
                "nothing is held" if member is None else f"nothing of {member!r} is held",
                where=str(self.path),
                hint=f"held: {shown}" if names else "there is nothing to release",
            )
        return list(released.values())

    def adjust(
        self,
        table: ActivityTable,
        *,
        epoch: int,
        start_ms: int,
        end_ms: int,
        is_erased: Callable[[Hold, int], bool] = lambda _one, _place: False,
    ) -> Adjusted:
        """Return the table to build an epoch from, and note which released acts it takes.

        A released act without a row is left out and named. If it was erased, that is all; otherwise (the feed
        was shorter this time, or has two rows of its id) it is not taken, and the next epoch tries again.

        Parameters
        ----------
        is_erased
            Tells whether a hold's act, by its place, is known to be erased.
        """
        acts = RowsOfActs(table)
        adjusted = self._adjust(
            acts, epoch, start_ms, end_ms, stays=lambda one: one.stays(epoch), as_noted=False
        )
        noted: list[Hold] = []
        missing: list[tuple[str, str]] = []
        for one in self.holds:
            if one.erased:
                noted.append(one)
                continue
            rows = acts.rows(one)
            known = replace(one, records=_updated(one.records, acts.records(rows)))
            if one.epoch > epoch or not one.stays(epoch):
                noted.append(known)
                continue
            earlier = tuple(number for number in one.missed if number != epoch)
            waits = [at for at, row in enumerate(rows) if row is None and not is_erased(one, at)]
            takes = [at for at in range(len(rows)) if at not in waits]
            if takes:
                taken = replace(known.only(takes), taken=epoch, missed=earlier)
                # What was erased is not in the epoch that is built: it entered as nothing.
                entered = (
                    acts.entered(taken, [rows[at] for at in takes], start_ms=start_ms, end_ms=end_ms)
                    if one.epoch < epoch
                    else ()
                )
                noted.append(replace(taken, entered=entered))
            if waits:
                noted.append(replace(known.only(waits), taken=None, entered=(), missed=(*earlier, epoch)))
                missing += [(one.member, one.acts[at]) for at in waits]
        self.holds = noted
        return replace(adjusted, missing=tuple(missing))

    def seen_from(self, table: ActivityTable, *, epoch: int, start_ms: int, end_ms: int) -> Adjusted:
        """Return the table that a published epoch should agree with; nothing is noted."""
        return self._adjust(
            RowsOfActs(table), epoch, start_ms, end_ms, stays=lambda one: one.taken == epoch, as_noted=True
        )

    def with_released(self, table: ActivityTable, *, epoch: int, start_ms: int, end_ms: int) -> ActivityTable:
        """Return the table and the records as which an epoch took released acts, nothing left out."""
        taken = [one for one in self.holds if one.taken == epoch and one.epoch < epoch]
        brought, _ = _brought_in(RowsOfActs(table), taken, start_ms=start_ms, end_ms=end_ms, as_noted=True)
        return table if brought is None else joined(table, brought)

    def _adjust(
        self,
        acts: RowsOfActs,
        epoch: int,
        start_ms: int,
        end_ms: int,
        *,
        stays: Callable[[Hold], bool],
        as_noted: bool,
    ) -> Adjusted:
        table = acts.table
        away = [one for one in self.holds if one.epoch == epoch and not stays(one)]
        out = {row for one in away for row in acts.rows(one) if row is not None}
        kept = np.array([row for row in range(len(table)) if row not in out], dtype=np.int64)
        later = [one for one in self.holds if one.epoch < epoch and stays(one)]
        brought, gone = _brought_in(acts, later, start_ms=start_ms, end_ms=end_ms, as_noted=as_noted)
        rest = table.take(kept) if out else table
        if brought is None:
            return Adjusted(rest, len(out), 0, gone)
        return Adjusted(joined(rest, brought), len(out), len(brought), gone)


def _brought_in(
    acts: RowsOfActs, holds: Sequence[Hold], *, start_ms: int, end_ms: int, as_noted: bool
) -> tuple[ActivityTable | None, tuple[tuple[str, str], ...]]:
    """Return released acts as records of the epoch ``(start_ms, end_ms]``, and those that have no row.

    With ``as_noted`` those are missing too that the epoch left out by the file, whoever still has their row.
    """
    brought: ActivityTable | None = None
    gone: list[tuple[str, str]] = []
    for one in holds:
        rows = acts.rows(one)
        gone += [(one.member, act) for act, row in zip(one.acts, rows, strict=True) if row is None]
        left_out = [as_noted and one.left_out(at) for at in range(len(rows))]
        found = [row for row, out in zip(rows, left_out, strict=True) if row is not None and not out]
        if found:
            moved = as_entered(
                acts.table, found, epoch=one.epoch, own_end_ms=one.end_ms, start_ms=start_ms, end_ms=end_ms
            )
            brought = moved if brought is None else joined(brought, moved)
    return brought, tuple(gone)


def _updated(before: tuple[str, ...], now: tuple[str, ...]) -> tuple[str, ...]:
    """Return the record ids as the rows give them now, and as they were where a row is gone."""
    return tuple(new or old for old, new in zip(before or ("",) * len(now), now, strict=True))


@contextmanager
def locked(path: Path, waiting: Callable[[str], None] = lambda _text: None) -> Iterator[None]:
    """Hold a file of holds alone while it is read, changed and written; wait for whoever has it.

    The lock lies beside the file, since every change puts a new file in its place. The kernel lets go of it
    when the process ends, however it ends.

    Raises
    ------
    AttentionError
        If the lock cannot be made.
    """
    lock = path.with_name(f".{path.name}.lock")
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise AttentionError(
            f"cannot be locked: {error.strerror}", where=str(path), hint="name a folder you may write to"
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting(f"another command changes {path}: waiting for it")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        # Copies of the file that killed writers left name whom it names, and nobody else looks for them.
        with suppress(OSError):  # whoever erases looks again, and says so
            for part in stale_parts(path.parent):
                part.unlink(missing_ok=True)
        yield
    finally:
        os.close(descriptor)


def holds_of(path: Path, member: str) -> list[Hold]:
    """Return what a file says of one member: every hold, with reasons, acts and who released it.

    Raises
    ------
    AttentionError
        If it is not such a file.
    """
    found: list[Hold] = []
    # Of a build that was interrupted both versions name them.
    for holds in HoldsBook.load(path).versions():
        found += [one for one in holds if one.member == member and not one.erased and one not in found]
    return found


def erase_from_holds(path: Path, member: str, *, erased: Erased) -> int:
    """Take a member out of a file of holds, and return how many holds changed.

    What builds and audits need stays: epochs, how many acts, their record ids, who released them and when;
    name and acts become hashes under the key of the list of the erased, reasons go. Others' reasons and
    releases that name the member (a ring praises each other by name) lose the name. Where a short id or a
    number stands in others' sentences nobody can tell it from a figure: those stay.

    Parameters
    ----------
    erased
        The list that has, or is about to have, the member.

    Raises
    ------
    AttentionError
        If it is not such a file, or cannot be written.
    """
    if not path.exists():
        return 0
    with locked(path):
        book = HoldsBook.load(path)
        changed = set()
        for holds in book.versions():
            for place, one in enumerate(holds):
                holds[place] = (
                    _forgotten(one, erased)
                    if one.member == member and not one.erased
                    else _silent(one, member)
                )
                if holds[place] != one:
                    changed.add((one.member, one.epoch))
        if changed:
            book.save()
    return len(changed)


def _forgotten(one: Hold, erased: Erased) -> Hold:
    release = one.release
    return replace(
        one,
        member=ERASED_PREFIX + erased.member_hash(one.member).hex(),
        acts=tuple(ERASED_PREFIX + erased.act_hash(act).hex() for act in one.acts),
        reasons=(),
        # Free text about them: what a person found may tell more than the name.
        release=None
        if release is None
        else Release(release.at_ms, _without(release.by, one.member), REDACTED),
        erased=True,
    )


def _silent(one: Hold, member: str) -> Hold:
    release = one.release
    if release is not None:
        release = Release(release.at_ms, _without(release.by, member), _without(release.reason, member))
    return replace(one, reasons=tuple(_without(text, member) for text in one.reasons), release=release)


def _without(text: str, member: str) -> str:
    if text == member:
        return REDACTED
    if len(member) < _LEAST_NAME or member.isdigit():
        return text
    return re.sub(rf"(?<!\w){re.escape(member)}(?!\w)", REDACTED, text, flags=re.IGNORECASE)


def default_path(epochs: Path) -> Path:
    """Return where a folder of epochs has its holds: beside it, since the folder itself is published.

    A link to the folder has them beside itself or, if there are none, beside what it leads to.
    """
    if epochs.name in ("", ".."):  # from within
        epochs = epochs.resolve()
    path = epochs.with_name(f"{epochs.name}.holds.json")
    if epochs.is_symlink() and not path.exists():
        real = epochs.resolve()
        return real.with_name(f"{real.name}.holds.json")
    return path


def _holds(entries: Any) -> list[Hold]:
    holds = [hold_from_json(entry) for entry in entries]
    _refuse_twice(holds)
    return holds


def _building(entry: Any) -> Building | None:
    if entry is None:
        return None
    epoch, header_hash = entry["epoch"], entry["headerHash"]
    if type(epoch) is not int or epoch < 1:
        raise ValueError(f"field 'epoch' of what is being built is no epoch: {epoch!r}")
    if not isinstance(header_hash, str) or not _HEADER_HASH.fullmatch(header_hash):
        raise ValueError(f"field 'headerHash' of what is being built is no hash: {header_hash!r}")
    return Building(epoch, bytes.fromhex(header_hash[2:]), _holds(entry["holds"]))


def _refuse_twice(holds: Sequence[Hold]) -> None:
    """Refuse a member held twice in an epoch, and an act held twice at all: an act has one epoch.

    What was released may stand in two parts: the acts that were taken, and those that wait for their rows.

    Raises
    ------
    ValueError
        Naming the first.
    """
    released: dict[tuple[str, int], bool] = {}
    acts: set[str] = set()
    for one in holds:
        whose = (one.member, one.epoch)
        if not (one.release is not None and released.get(whose, True)) and whose in released:
            raise ValueError(f"{one.member!r} is held twice in epoch {one.epoch}")
        released[whose] = one.release is not None
        for act in one.acts:
            if act in acts:
                raise ValueError(f"act {act!r} is held twice, the second time in epoch {one.epoch}")
            acts.add(act)
