"""JSON documents that hold a list of records: xAPI statements, ActivityStreams collections, any array.

A record goes if its actor is the person (`member_tables.acting_names`) or, where a column was named (a path:
``user.id``), if that holds them; also where others acted with them. Of others' records the name is taken out.
The document is cut, not written anew: all that stays keeps its bytes, numbers their digits. Where a list told
beside itself how long it is (``totalItems``), it still does.

A record whose actor is not understood is never taken out, nor is one that stands in no list: the search
afterwards looks for the name there, and where the name is too short for that, the file is told of.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from timebank_chain.activity.erased import cells_of
from timebank_chain.activity.rules import cell_value
from timebank_chain.activity.sources.files import open_input
from timebank_chain.attention.privacy.member_tables import acting_names, names_in, read_keys
from timebank_chain.attention.privacy.row_lines import is_packed, redacted_json
from timebank_chain.attention.privacy.rows import Whose
from timebank_chain.attention.privacy.spellings import Doubts
from timebank_chain.documents import TooLarge, parse_json
from timebank_chain.errors import ActivityError

#: A document is held in memory; larger ones are looked through only.
MAX_BYTES = 256 << 20
_SPACE = re.compile(r"[ \t\r\n]*")
#: Where a collection tells how long its list is.
_LENGTH = "totalItems"
_BOM = "\ufeff"


@dataclass(frozen=True, slots=True)
class Listed:
    """A record in a list: where its text begins and ends, and what it is."""

    start: int
    end: int
    value: Any


@dataclass(frozen=True, slots=True)
class RecordList:
    """A list with records in it; ``told`` is where its length stands beside it, if it does."""

    records: tuple[Listed, ...]
    told: tuple[int, int] | None = None

    def cuts(self, gone: list[int]) -> list[tuple[int, int, str]]:
        """Return the changes (start, end, text) that take some records out, by their places."""
        cuts = []
        last_kept = max(set(range(len(self.records))) - set(gone), default=-1)
        for place in gone:
            one = self.records[place]
            if place < last_kept:  # with the comma behind it
                cuts.append((one.start, self.records[place + 1].start, ""))
            elif place:  # with the comma before it
                cuts.append((self.records[place - 1].end, one.end, ""))
            else:
                cuts.append((one.start, one.end, ""))
        if gone and self.told is not None:
            cuts.append((*self.told, str(len(self.records) - len(gone))))
        return cuts


@dataclass(frozen=True)
class WithoutRecords:
    """What a document is without a person's records.

    Attributes
    ----------
    content
        Its bytes, packed if they were; ``None`` where nothing changes.
    theirs
        The records that go, with their position in their list, from 1.
    redacted
        How many others' records named the person.
    unclear
        Why something of theirs may be left that no search sees; empty where nothing may.
    """

    content: bytes | None = None
    theirs: tuple[tuple[int, Any], ...] = ()
    redacted: int = 0
    unclear: str = ""


def is_ours(path: Path) -> bool:
    """Tell whether a document is one of this program's: a manifest, a policy, a deployment."""
    try:
        document = parse_json(_content(path))
    except (ValueError, ArithmeticError):
        return False
    schema = document.get("schema") if isinstance(document, dict) else None
    return isinstance(schema, str) and schema.startswith("timebank.")


def without_records(path: Path, whose: Whose, column: str | None = None) -> WithoutRecords:
    """Cut a person's records out of a document; nothing is written.

    Parameters
    ----------
    column
        Where the member's id stands in a record, if it is not its actor; empty: nobody is in it.
    """
    try:
        text = _content(path).decode("utf-8")
        document = _Document(text, column)
    except (ValueError, ArithmeticError) as error:
        why = "" if whose.distinctive or column == "" else f"not read as JSON: {error}"
        return WithoutRecords(unclear=why)
    changes: list[tuple[int, int, str]] = []
    theirs: list[tuple[int, Any]] = []
    unknown: list[Any] = []
    doubts = Doubts()
    redacted = 0
    for listed in document.lists:
        gone = []
        for place, record in enumerate(listed.records):
            names = document.names(record.value)
            if not whose.names.isdisjoint(names):
                gone.append(place)
                theirs.append((place + 1, record.value))
            elif names:
                for name in filter(whose.may_be_called, names):
                    doubts.add(name)
                old = text[record.start : record.end]
                new = redacted_json(old, document.read, whose.redacted)
                redacted += new != old
                changes.append((record.start, record.end, new))
            else:
                unknown.append(record.value)
        changes += listed.cuts(gone)
    why = ""
    if not whose.distinctive and column != "":
        if unknown:
            why = f"of {len(unknown):,} records nobody could tell whose they are"
        elif any(cell.removeprefix("mailto:") in whose.names for cell in cells_of(document.rest)):
            why = "the id stands where no list of records is"
        elif any(map(whose.fills, _keys_of(document.whole))):
            why = "the id is a key"
        why = "; ".join(filter(None, (why, doubts.told("names"))))
    if not theirs and not redacted:
        return WithoutRecords(unclear=why)
    for start, end, new in sorted(changes, reverse=True):
        text = text[:start] + new + text[end:]
    content = text.encode("utf-8")
    if is_packed(path):
        content = gzip.compress(content, mtime=0)
    return WithoutRecords(content, tuple(theirs), redacted, why)


def _keys_of(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield from value
    if isinstance(value, Mapping | list):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _keys_of(inner)


class _Document:
    """The lists of records in a JSON text, and the values beside them.

    Parameters
    ----------
    column
        As for `without_records`.

    Raises
    ------
    ValueError
        If it is no JSON, or nested too deep.
    """

    def __init__(self, text: str, column: str | None) -> None:
        self.lists: list[RecordList] = []
        self.rest: list[Any] = []
        self.read = read_keys(column)
        self._column, self._text = column, text
        begin = 1 if text.startswith(_BOM) else 0
        # Checked whole, once: what follows may take its syntax for granted.
        self.whole = parse_json(text[begin:])
        self._decode = json.JSONDecoder().raw_decode
        self._value(self._skip(begin))

    def names(self, record: Any) -> frozenset[str]:
        """Return what a record calls its member; none where it cannot be told."""
        if not isinstance(record, Mapping):
            return frozenset()
        return names_in(cell_value(record, self._column)) if self._column else acting_names(record)

    def _skip(self, at: int) -> int:
        space = _SPACE.match(self._text, at)
        return at if space is None else space.end()

    def _value(self, at: int) -> int:
        """Take in the value at a place; return where it ends."""
        value, end = self._decode(self._text, at)
        if isinstance(value, list) and any(isinstance(one, dict) for one in value):
            self.lists.append(RecordList(self._records(at)))
        elif isinstance(value, dict) and (not self.names(value) or self._holds_records(value)):
            self._members(at)
        else:
            self.rest.append(value)
        return int(end)

    def _holds_records(self, value: Mapping[str, Any]) -> bool:
        lists = (inner for inner in value.values() if isinstance(inner, list))
        return any(self.names(one) for inner in lists for one in inner)

    def _members(self, at: int) -> None:
        told: tuple[int, int, int] | None = None
        before = len(self.lists)
        at = self._skip(at + 1)
        while self._text[at] != "}":
            key, at = self._decode(self._text, at)
            at = self._skip(self._skip(at) + 1)
            if key == _LENGTH and self._text[at].isdigit():
                value, end = self._decode(self._text, at)
                told = (at, end, value)
            else:
                end = self._value(at)
            at = self._skip(end)
            if self._text[at] == ",":
                at = self._skip(at + 1)
        if told is not None and len(self.lists) == before + 1 and told[2] == len(self.lists[-1].records):
            self.lists[-1] = replace(self.lists[-1], told=told[:2])

    def _records(self, at: int) -> tuple[Listed, ...]:
        found = []
        at = self._skip(at + 1)
        while self._text[at] != "]":
            value, end = self._decode(self._text, at)
            found.append(Listed(at, end, value))
            at = self._skip(end)
            if self._text[at] == ",":
                at = self._skip(at + 1)
        return tuple(found)


def _content(path: Path) -> bytes:
    """Return a document's bytes, unpacked.

    Raises
    ------
    ValueError
        If they are more than `MAX_BYTES`, or do not unpack; whoever looks for traces says so too.
    """
    try:
        with open_input(path) as file:
            content = file.read(MAX_BYTES + 1)
    except ActivityError as error:
        raise ValueError(error.message) from error
    if len(content) > MAX_BYTES:
        raise TooLarge(f"more than {MAX_BYTES:,} bytes")
    return content
