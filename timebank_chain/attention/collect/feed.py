"""The joined feed: every source's events in one table, each once, ordered, the same on every machine.

=========== ======== =====================================================================
column      type     meaning
=========== ======== =====================================================================
source      string   where the event was recorded
id          string   its name there; unique with the source
member      string   who, after aliases
at_ms       int64    when, Unix milliseconds
verb        string   what was done, in common words
object      string   to what; may be empty
domain      string   what kind of thing
value       float64  a measured size in its base unit; null where there is none
unit        string   of the value; empty where there is none
=========== ======== =====================================================================

Rows are ordered by ``(at_ms, source, id)``. The data hash is over the rows, so a feed has the same whether it
is kept as Parquet or CSV.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from timebank_chain.activity.clean import Reject
from timebank_chain.activity.erased import REASON as ERASED_REASON
from timebank_chain.activity.erased import Erased, cells_of
from timebank_chain.attention.collect.event import MemberEvent, NothingToCount, Retraction
from timebank_chain.attention.collect.measures import to_base
from timebank_chain.attention.collect.syntax import Fault, shown
from timebank_chain.attention.collect.xapi import mailbox_hashes
from timebank_chain.documents import parse_json
from timebank_chain.errors import AttentionError
from timebank_chain.units import format_time

SCHEMA_NAME = "timebank.attention.feed/1"
COLUMNS = tuple(one.name for one in fields(MemberEvent))
TEXT_COLUMNS = tuple(name for name in COLUMNS if name not in {"at_ms", "value"})
_BETWEEN_WORDS = re.compile(r"[\s,;\"'`<>{}()\[\]|=]+")
#: What stands where another member's event named an erased one.
ERASED = "[erased]"
_fields = attrgetter(*COLUMNS)
_LIMITS = {"source": 512, "id": 512, "member": 512, "verb": 64, "object": 2_048, "domain": 512, "unit": 32}
_NEEDED = frozenset({"source", "id", "member", "verb"})


@dataclass(frozen=True, slots=True)
class Reading:
    """One thing a reader found, with the place it stood at.

    Attributes
    ----------
    file, line
        Where.
    text
        The record as it stood.
    found
        The event; the fault that refuses the record; or why it is valid and gives no event.
    """

    file: str
    line: int
    text: str
    found: MemberEvent | Fault | NothingToCount


@dataclass(frozen=True, eq=False, slots=True)
class Feed:
    """The table in columns; lists and arrays of one length."""

    source: list[str]
    id: list[str]
    member: list[str]
    at_ms: NDArray[np.int64]
    verb: list[str]
    object: list[str]
    domain: list[str]
    value: NDArray[np.float64]
    unit: list[str]

    def __len__(self) -> int:
        return len(self.id)

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """Yield the rows as plain Python values in column order; a missing value is ``None``."""
        values = (None if math.isnan(value) else value for value in self.value.tolist())
        return zip(
            self.source, self.id, self.member, self.at_ms.tolist(), self.verb, self.object, self.domain,
            values, self.unit, strict=True,
        )  # fmt: skip

    def data_hash(self) -> str:
        """Return the SHA-256 over the rows, each as one line of JSON."""
        digest = hashlib.sha256()
        encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode
        for row in self.rows():
            digest.update(encode(row).encode() + b"\n")
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class CollectResult:
    """What became of everything that was read: ``read == len(feed) + len(rejects)``.

    Attributes
    ----------
    feed
        The joined table.
    rejects
        Everything else, ordered by place.
    read
        How many events, faults and nothings the readers found.
    refused
        Records that their standard refuses, or that are no records.
    uncounted
        Valid records that give no event.
    duplicates
        Rejects that repeat a kept event exactly.
    conflicting
        Rejects that share source and id with a different event.
    retracted
        Rejects that a later record took back.
    backwards
        By file: how many events stood behind a later one.
    erased
        Records of people who asked to be forgotten.
    """

    feed: Feed
    rejects: tuple[Reject, ...]
    read: int
    refused: int
    uncounted: int
    duplicates: int
    conflicting: int
    retracted: int = 0
    backwards: Mapping[str, int] = field(default_factory=dict)
    erased: int = 0

    def reasons(self) -> dict[str, int]:
        """Count the rejects by kind of reason, most frequent first."""
        counts = Counter(reject.reason.split(": ", 1)[0] for reject in self.rejects)
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def build_feed(
    readings: Iterable[Reading],
    *,
    now_ms: int,
    aliases: Mapping[str, str] | None = None,
    erased: Erased | None = None,
) -> CollectResult:
    """Join what the readers found: validate, standardise units, name members alike, drop repetitions, order.

    Of events with one (source, id) and one content the first by place stays. Of those with different contents
    none does: the order of delivery must not decide what is true. What was taken back does not stay, wherever
    the record stands that says so.

    Parameters
    ----------
    readings
        Of any sources in any order.
    now_ms
        The present, Unix milliseconds: what happened later is turned away.
    aliases
        Member by what a source calls them; who is not in it keeps the source's name.
    erased
        Who asked to be forgotten: their records are turned away, and of them the place and the reason alone
        reaches the rejects; what others did to them loses their name, and in the rejects the record.
    """
    names = aliases or {}
    rejects: list[Reject] = []
    kept: dict[tuple[str, str], list[tuple[MemberEvent, Reading]]] = {}
    latest: dict[str, int] = {}
    backwards: Counter[str] = Counter()
    retractions: dict[tuple[str, str], list[tuple[str | None, Reading]]] = {}
    read = refused = uncounted = forgotten = 0
    for reading in readings:
        read += 1
        found = reading.found
        if erased is not None:
            if _is_erased(reading, names, erased):
                if isinstance(found, Retraction):
                    _note_retraction(retractions, found, names, reading)
                forgotten += 1
                rejects.append(Reject(reading.file, reading.line, "", "$.member", ERASED_REASON, ""))
                continue
            if isinstance(found, MemberEvent):
                found = _without_erased(found, names, erased)
        if isinstance(found, MemberEvent):
            if found.at_ms < latest.get(reading.file, 0):
                backwards[reading.file] += 1
            latest[reading.file] = max(found.at_ms, latest.get(reading.file, 0))
            try:
                event = _standardised(found, names, now_ms)
            except Fault as fault:
                found = fault
            else:
                kept.setdefault((event.source, event.id), []).append((event, reading))
                continue
        if isinstance(found, Fault):
            refused += 1
            rejects.append(_reject(reading, "", found.path, f"refused: {found.problem}"))
        else:
            if isinstance(found, Retraction):
                _note_retraction(retractions, found, names, reading)
            uncounted += 1
            rejects.append(_reject(reading, "", found.path, found.reason))
    events, duplicates, conflicting, retracted = [], 0, 0, 0
    for claims in _by_address(kept.values(), names):
        claims.sort(key=lambda claim: (claim[1].file, claim[1].line))
        (event, first), *others = claims
        if any(other != event for other, _ in others):
            reason = f"conflicting duplicate: {len(claims)} different events have this source and id"
            rejects.extend(_reject(reading, event.id, "$.id", reason) for _, reading in claims)
            conflicting += len(claims)
            continue
        back = _taken_back(event, retractions)
        if back is not None:
            retracted += len(claims)
            reason = f"retracted: by {back.file}:{back.line}"
            rejects.extend(_reject(reading, event.id, "$.id", reason) for _, reading in claims)
            continue
        events.append(event)
        duplicates += len(others)
        same = f"duplicate: same as {first.file}:{first.line}"
        rejects.extend(_reject(reading, event.id, "$.id", same) for _, reading in others)
    events.sort(key=lambda one: (one.at_ms, one.source, one.id))
    if erased is not None:
        rejects = [_without_names(one, names, erased) for one in rejects]
    rejects.sort(key=lambda one: (one.source, one.line, one.id, one.field, one.reason))
    return CollectResult(
        feed_of(events),
        tuple(rejects),
        read,
        refused,
        uncounted,
        duplicates,
        conflicting,
        retracted,
        dict(backwards),
        forgotten,
    )


def _by_address(
    claims: Collection[list[tuple[MemberEvent, Reading]]], names: Mapping[str, str]
) -> Iterator[list[tuple[MemberEvent, Reading]]]:
    """Yield claims in which the hash of an address is who is known by the address, if anybody is."""
    known = {**{member: member for member in names.values()}, **names}
    for listed in claims:
        for event, one in listed:
            if isinstance(one.found, MemberEvent):
                known[one.found.member] = event.member
    hashes = [(mailbox_hashes(name), member) for name, member in known.items()]
    # An address in other letters gives way to the one that is written so.
    member_of = {one: member for told, member in hashes for one in told[:-1]}
    member_of |= {told[-1]: member for told, member in hashes if told}
    for listed in claims:
        yield [
            (
                replace(
                    event,
                    member=member_of.get(event.member, event.member),
                    object=member_of.get(event.object, event.object),
                )
                if event.source == "xapi"
                else event,
                one,
            )
            for event, one in listed
        ]


def feed_of(events: Iterable[MemberEvent]) -> Feed:
    """Put events into columns, in the order given."""
    columns = list(zip(*map(_fields, events), strict=True)) or [()] * len(COLUMNS)
    by_name = dict(zip(COLUMNS, columns, strict=True))
    return Feed(
        **{name: [str(text) for text in by_name[name]] for name in TEXT_COLUMNS},
        at_ms=np.array(by_name["at_ms"], dtype=np.int64),
        value=np.array([math.nan if one is None else one for one in by_name["value"]], dtype=np.float64),
    )


def check_feed(feed: Feed, *, where: str) -> None:
    """Refuse a feed whose rows are out of order or repeat.

    Raises
    ------
    AttentionError
        Naming the first row at fault.
    """
    keys = list(zip(feed.at_ms.tolist(), feed.source, feed.id, strict=True))
    for row in range(1, len(keys)):
        if keys[row - 1] >= keys[row]:
            raise AttentionError(
                f"rows are not ordered by (at_ms, source, id): {feed.id[row]!r} comes too late or twice",
                where=f"{where}, row {row}",
                hint="make the feed again with 'timebank attention collect'",
            )


def _note_retraction(
    retractions: dict[tuple[str, str], list[tuple[str | None, Reading]]],
    found: Retraction,
    names: Mapping[str, str],
    reading: Reading,
) -> None:
    who = None if found.member is None else names.get(found.member, found.member)
    retractions.setdefault((found.source, found.id), []).append((who, reading))


def _is_erased(reading: Reading, names: Mapping[str, str], erased: Erased) -> bool:
    """Tell whether a record is one of an erased person's, under any name or id they are known by."""
    found = reading.found
    if isinstance(found, MemberEvent):
        return (
            erased.has_member(found.member)
            or erased.has_member(names.get(found.member, found.member))
            or erased.act_hash(found.id) in erased.acts
        )
    # What gives no event has no member: what stands in it may tell.
    return _names_erased(reading.text, names, erased)


def _names_erased(text: str, names: Mapping[str, str], erased: Erased) -> bool:
    """Tell whether an erased person stands in a text: as a cell, a word, or an address (``mailto:``)."""
    cells: object = text
    with suppress(ValueError):
        cells = parse_json(text)
    told = set(cells_of(cells))
    told |= {word for cell in (*told, text) for word in _BETWEEN_WORDS.split(cell)}
    told |= {word.partition(":")[2] for word in told if ":" in word}
    return any(erased.has_member(name) or erased.has_member(names.get(name, name)) for name in told if name)


def _without_names(reject: Reject, names: Mapping[str, str], erased: Erased) -> Reject:
    """Return another's reject without what it says of an erased person."""
    if _names_erased(reject.record, names, erased):
        return replace(reject, reason=reject.reason.partition(": ")[0], record="")
    return reject


def _without_erased(event: MemberEvent, names: Mapping[str, str], erased: Erased) -> MemberEvent:
    if event.object and (
        erased.has_member(event.object) or erased.has_member(names.get(event.object, event.object))
    ):
        return replace(event, object=ERASED)
    return event


def _taken_back(
    event: MemberEvent, retractions: Mapping[tuple[str, str], list[tuple[str | None, Reading]]]
) -> Reading | None:
    """Return the first record by place that takes an event back."""
    # The second actor of an activity has an event of their own, under the activity's name and a number.
    names = {event.id, event.id.rpartition("#actor-")[0]}
    said = [one for name in names for one in retractions.get((event.source, name), ())]
    valid = [reading for who, reading in said if who is None or who == event.member]
    return min(valid, key=lambda reading: (reading.file, reading.line), default=None)


def _standardised(event: MemberEvent, names: Mapping[str, str], now_ms: int) -> MemberEvent:
    event = replace(event, member=names.get(event.member, event.member))
    if event.value is not None:
        if not math.isfinite(event.value):
            raise Fault("$.value", f"infinite: {event.value}")
        value, unit = to_base(event.value, event.unit)
        if not math.isfinite(value):
            raise Fault(
                "$.value", f"too large: {event.value:g} {event.unit} are beyond all numbers in {unit}"
            )
        event = replace(event, value=value, unit=unit)
    for name in TEXT_COLUMNS:
        _check_text(name, getattr(event, name))
    if event.at_ms > now_ms:
        raise Fault("$.at_ms", f"time in the future: {format_time(event.at_ms)}")
    return event


def _check_text(name: str, text: str) -> None:
    path = f"$.{name}"
    if not text:
        if name in _NEEDED:
            raise Fault(path, "missing")
        return
    if not text.isprintable():
        kinds = {unicodedata.category(character) for character in text}
        if "Cs" in kinds:
            raise Fault(path, f"not UTF-8: {shown(text)}")
        if kinds & {"Cc", "Zl", "Zp"}:
            raise Fault(path, f"control character: {shown(text)}")
    limit = _LIMITS[name]
    if len(text) > limit or len(text.encode()) > limit:
        raise Fault(path, f"longer than {limit} bytes: {shown(text)}")


def _reject(reading: Reading, name: str, path: str, reason: str) -> Reject:
    return Reject(reading.file, reading.line, name, path, reason, reading.text)
