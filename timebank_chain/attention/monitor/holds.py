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
one epoch at most: which one took it is written here before the epoch is published.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from timebank_chain.activity import ActivityTable
from timebank_chain.attention.monitor.state import write_document
from timebank_chain.attention.monitor.suspicion import Suspicion, joined
from timebank_chain.documents import TooDeep, TooLarge, parse_json, read_small
from timebank_chain.errors import AttentionError
from timebank_chain.units import MAX_TIME_MS

SCHEMA = "timebank.attention.holds/1"
_REMAKE = "restore the file from a copy: it alone knows what is held and which epoch took what was released"


@dataclass(frozen=True, slots=True)
class Release:
    """Who released a hold, when and why."""

    at_ms: int
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Hold:
    """One member's acts of one epoch.

    Attributes
    ----------
    epoch, end_ms
        The epoch they settle in, and its end.
    score, threshold, rate
        How far the member stood out, beyond what they are held, and the stated share of honest members held.
    reasons
        Why, in sentences.
    acts
        Ids of the acts.
    release
        ``None`` while held.
    taken
        The epoch that took the released acts, ``None`` before one did.
    """

    member: str
    epoch: int
    end_ms: int
    held_at_ms: int
    score: float
    threshold: float
    rate: float
    reasons: tuple[str, ...]
    acts: tuple[str, ...]
    release: Release | None = None
    taken: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        gone = self.release
        return {
            "member": self.member,
            "epoch": self.epoch,
            "endMs": self.end_ms,
            "heldAtMs": self.held_at_ms,
            "score": self.score,
            "threshold": self.threshold,
            "rate": self.rate,
            "reasons": list(self.reasons),
            "acts": list(self.acts),
            "release": None if gone is None else {"atMs": gone.at_ms, "by": gone.by, "reason": gone.reason},
            "taken": self.taken,
        }


@dataclass(frozen=True, eq=False, slots=True)
class Adjusted:
    """A table as the holds leave it for one epoch: how many acts are held back, and were brought in."""

    table: ActivityTable
    held_back: int
    brought_in: int


@dataclass
class HoldsBook:
    """All holds of a community, in a file."""

    path: Path
    holds: list[Hold] = field(default_factory=list)

    @classmethod
    def load(cls, path: Path) -> HoldsBook:
        """Read the file; where there is none, nothing is held.

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
            holds = [_hold(entry) for entry in document["holds"]]
            seen: set[tuple[str, int]] = set()
            for one in holds:
                if (one.member, one.epoch) in seen:
                    raise ValueError(f"{one.member!r} is held twice in epoch {one.epoch}")
                seen.add((one.member, one.epoch))
        except (OSError, TooLarge, TooDeep, ValueError, KeyError, TypeError) as error:
            reason = f"field {error} is missing" if isinstance(error, KeyError) else str(error)
            raise AttentionError(f"not a file of holds: {reason}", where=str(path), hint=_REMAKE) from error
        return cls(path, holds)

    def save(self) -> None:
        """Write the file in one step."""
        write_document(self.path, {"schema": SCHEMA, "holds": [one.to_json() for one in self.holds]})

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
            ids = tuple(act for act, member in zip(acts.id, acts.member, strict=True) if member == one.who)
            place = at.get((one.who, epoch))
            made = Hold(
                one.who, epoch, end_ms, now_ms, one.score, threshold, rate,
                tuple(reason.text for reason in one.reasons), ids,
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
        released = []
        for place, one in enumerate(self.holds):
            if one.release is None and member in (None, one.member):
                self.holds[place] = replace(one, release=Release(now_ms, by, reason.strip()))
                released.append(self.holds[place])
        if not released:
            names = sorted({one.member for one in self.holds if one.release is None})
            shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
            raise AttentionError(
                "nothing is held" if member is None else f"nothing of {member!r} is held",
                where=str(self.path),
                hint=f"held: {shown}" if names else "there is nothing to release",
            )
        return released

    def adjust(self, table: ActivityTable, *, epoch: int, start_ms: int, end_ms: int) -> Adjusted:
        """Return the table to build an epoch from, and note which released acts it takes.

        Raises
        ------
        AttentionError
            If a released act is no longer in the table.
        """
        adjusted = self._adjust(
            table,
            epoch,
            start_ms,
            end_ms,
            stays=lambda one: one.release is not None and one.taken in (None, epoch),
        )
        for place, one in enumerate(self.holds):
            if one.release is not None and one.taken is None and one.epoch <= epoch:
                self.holds[place] = replace(one, taken=epoch)
        return adjusted

    def seen_from(self, table: ActivityTable, *, epoch: int, start_ms: int, end_ms: int) -> Adjusted:
        """Return the table that a published epoch should agree with; nothing is noted."""
        return self._adjust(table, epoch, start_ms, end_ms, stays=lambda one: one.taken == epoch)

    def with_released(self, table: ActivityTable, *, epoch: int, start_ms: int, end_ms: int) -> ActivityTable:
        """Return the table and the records as which an epoch took released acts, nothing left out."""
        taken = [one for one in self.holds if one.taken == epoch and one.epoch < epoch]
        brought = _brought_in(table, taken, start_ms=start_ms, end_ms=end_ms)
        return table if brought is None else joined(table, brought)

    def _adjust(
        self, table: ActivityTable, epoch: int, start_ms: int, end_ms: int, *, stays: Callable[[Hold], bool]
    ) -> Adjusted:
        out = {act for one in self.holds if one.epoch == epoch and not stays(one) for act in one.acts}
        kept = np.array([row for row, act in enumerate(table.id) if act not in out], dtype=np.int64)
        held_back = len(table) - len(kept)
        later = [one for one in self.holds if one.epoch < epoch and stays(one)]
        brought = _brought_in(table, later, start_ms=start_ms, end_ms=end_ms)
        if not held_back and brought is None:
            return Adjusted(table, 0, 0)
        rest = table.take(kept)
        if brought is None:
            return Adjusted(rest, held_back, 0)
        return Adjusted(joined(rest, brought), held_back, len(brought))


def _brought_in(
    table: ActivityTable, holds: Sequence[Hold], *, start_ms: int, end_ms: int
) -> ActivityTable | None:
    """Return released acts as records of the epoch ``(start_ms, end_ms]``."""
    place = {act: row for row, act in enumerate(table.id)}
    rows: list[int] = []
    ids: list[str] = []
    times: list[int] = []
    for one in holds:
        for act in one.acts:
            row = place.get(act)
            if row is None:
                raise AttentionError(
                    f"released act {act!r} is not in the activity table",
                    where=f"holds of {one.member!r}, epoch {one.epoch}",
                    hint="ingest all of the feed, not only its end: the act's row is needed",
                )
            moved = int(table.occurred_ms[row]) + end_ms - one.end_ms
            # In an epoch shorter than its own it might settle before the start; it settles at once then.
            settled = moved + int(table.window_ms[row])
            rows.append(row)
            ids.append(f"released:{one.epoch}:{act}")
            times.append(moved + max(0, start_ms + 1 - settled))
    if not rows:
        return None
    taken = table.take(np.array(rows, dtype=np.int64))
    return replace(taken, id=ids, occurred_ms=np.array(times, dtype=np.int64))


def default_path(epochs: Path) -> Path:
    """Return where a folder of epochs has its holds: beside it, since the folder itself is published."""
    return epochs.with_name(f"{epochs.name}.holds.json")


def _hold(entry: Any) -> Hold:
    release = entry["release"]
    return Hold(
        member=_text(entry, "member"),
        epoch=_whole(entry, "epoch"),
        end_ms=_whole(entry, "endMs"),
        held_at_ms=_whole(entry, "heldAtMs"),
        score=_real(entry, "score"),
        threshold=_real(entry, "threshold"),
        rate=_real(entry, "rate"),
        reasons=_texts(entry, "reasons"),
        acts=_texts(entry, "acts"),
        release=None
        if release is None
        else Release(_whole(release, "atMs"), _text(release, "by"), _text(release, "reason")),
        taken=None if entry["taken"] is None else _whole(entry, "taken"),
    )


def _text(entry: Any, name: str) -> str:
    value = entry[name]
    if not isinstance(value, str) or not value:
        raise ValueError(f"field {name!r} is no text: {value!r}")
    return value


def _texts(entry: Any, name: str) -> tuple[str, ...]:
    value = entry[name]
    if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
        raise ValueError(f"field {name!r} is no list of texts")
    return tuple(value)


def _whole(entry: Any, name: str) -> int:
    value = entry[name]
    if type(value) is not int or not 0 <= value <= MAX_TIME_MS:
        raise ValueError(f"field {name!r} is no whole number in range: {value!r}")
    return value


def _real(entry: Any, name: str) -> float:
    value = entry[name]
    if type(value) not in (int, float) or not np.isfinite(value):
        raise ValueError(f"field {name!r} is no number: {value!r}")
    return float(value)
