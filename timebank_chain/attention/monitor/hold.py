"""One hold: a member's acts of one epoch, and how it stands in the file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from timebank_chain.units import MAX_TIME_MS

#: What the name and the acts of somebody erased begin with; a hash follows.
ERASED_PREFIX = "erased:"
_ERASED = re.compile(ERASED_PREFIX + r"[0-9a-f]{64}")
_RECORD = re.compile(r"[0-9a-f]{64}|")


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
    records
        Record ids of the acts, in hexadecimal and in their order; an empty text where one is not known, and
        none at all in a file that was written before they were kept.
    entered
        Likewise the record ids as which a later epoch took them; empty for an act it left out because its
        row was gone.
    missed
        The epochs that would have taken the released acts, and found no row of them; they are still to come.
    erased
        Whether the member was erased: member and acts are hashes then (`erase_from_holds`).
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
    records: tuple[str, ...] = ()
    entered: tuple[str, ...] = ()
    erased: bool = False
    missed: tuple[int, ...] = ()

    def stays(self, epoch: int) -> bool:
        """Tell whether an epoch that is built now may have the acts."""
        return self.release is not None and not self.erased and self.taken in (None, epoch)

    def concerns(self, epoch: int) -> bool:
        """Tell whether building an epoch depends on this hold."""
        return self.epoch == epoch or (self.epoch < epoch and self.stays(epoch))

    def decides(self, epoch: int) -> bool:
        """Tell whether what a published epoch should have depends on this hold."""
        waits = self.release is not None and self.taken is None and not self.erased
        return epoch in (self.epoch, self.taken) or (waits and self.epoch < epoch)

    def left_out(self, place: int) -> bool:
        """Tell whether the epoch that took the acts left this one out: its row was gone."""
        return bool(self.entered) and not self.entered[place]

    def only(self, places: Sequence[int]) -> Hold:
        """Return the hold with some of its acts, by their places."""

        def chosen(texts: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(texts[place] for place in places) if texts else ()

        return replace(
            self, acts=chosen(self.acts), records=chosen(self.records), entered=chosen(self.entered)
        )

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
            "records": list(self.records),
            "entered": list(self.entered),
            "erased": self.erased,
            "missed": list(self.missed),
        }


def hold_from_json(entry: Any) -> Hold:
    """Read a hold from JSON values.

    Raises
    ------
    ValueError
        If a field is odd, or two contradict each other.
    KeyError, TypeError
        If one is missing, or it is no object.
    """
    release = entry["release"]
    made = Hold(
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
        records=_records(entry, "records"),
        entered=_records(entry, "entered"),
        erased=entry.get("erased", False),
        missed=_epochs(entry.get("missed", [])),
    )
    whose = f"the hold of {made.member!r} in epoch {made.epoch}"
    if type(made.erased) is not bool:
        raise ValueError(f"{whose}: field 'erased' is neither true nor false")
    if made.erased and not all(_ERASED.fullmatch(text) for text in (made.member, *made.acts)):
        raise ValueError(f"{whose}: it is erased, and something else than hashes stands in it")
    if made.taken is not None and (made.release is None or made.taken < made.epoch):
        raise ValueError(f"{whose}: epoch {made.taken} took what was not released, or not held yet")
    if any(len(ids) not in (0, len(made.acts)) for ids in (made.records, made.entered)):
        raise ValueError(f"{whose}: not one record id an act")
    return made


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


def _records(entry: Any, name: str) -> tuple[str, ...]:
    value = entry.get(name, [])
    if not isinstance(value, list) or not all(
        isinstance(one, str) and _RECORD.fullmatch(one) for one in value
    ):
        raise ValueError(f"field {name!r} is no list of record ids")
    return tuple(value)


def _epochs(value: Any) -> tuple[int, ...]:
    if not isinstance(value, list) or not all(type(one) is int and 0 < one <= MAX_TIME_MS for one in value):
        raise ValueError("field 'missed' is no list of epochs")
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
