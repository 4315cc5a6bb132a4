"""The privacy ledger: who saw or did what, one line each, none of which can be changed or taken out unseen.

A line is a JSON object; its ``mac`` is HMAC-SHA256 under the ledger's key over the line without it, and the
line names the mac before. Beside the ledger lies its head (number of lines, bytes, last mac), under the same
key, so that lines cut off at the end are missed too. What one machine cannot tell is a ledger *and* head put
back together from an old copy: note the head elsewhere from time to time, and verify against it.

No line names a member: the subject is a pseudonym under the ledger's own key, which still shows, to who
holds the key, that one person was exported and erased. Spending of the privacy budget stands here too.
"""

from __future__ import annotations

import fcntl
import hmac
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from timebank_chain.attention.privacy.keys import write_private
from timebank_chain.attention.privacy.pseudonym import pseudonym
from timebank_chain.documents import parse_json, read_small
from timebank_chain.errors import AttentionError, CheckFailed

SCHEMA = "timebank.privacy-ledger/1"
FIRST = "0" * 64

_MAX_LINE = 1 << 16
_FIELDS = ("action", "at_ms", "detail", "level", "outcome", "previous", "seq", "subject", "who")
_HINT = "see which line is at fault: timebank attention privacy ledger --verify --vault DIR"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line.

    Attributes
    ----------
    seq
        Its number, from 1.
    at_ms
        When, Unix milliseconds.
    who
        Name of the person in the roles, or ``unknown``.
    action, level, outcome
        What was done; at which level of access; ``granted``, ``refused`` or ``done``.
    subject
        The member concerned, as a pseudonym under the ledger's key; empty when it is nobody in particular.
    detail
        Numbers and plain words, never raw data.
    previous, mac
        Of the line before, and of this one.
    """

    seq: int
    at_ms: int
    who: str
    action: str
    level: str
    outcome: str
    subject: str
    detail: Mapping[str, Any]
    previous: str
    mac: str = ""

    def body(self) -> dict[str, Any]:
        """Return the line without its mac."""
        return {name: getattr(self, name) for name in _FIELDS}

    def encoded(self) -> bytes:
        """Return the line as it stands in the file."""
        return _canonical(self.body() | {"mac": self.mac}) + b"\n"


@dataclass(frozen=True, slots=True)
class Head:
    """How far the ledger reaches: lines, bytes, and the last mac."""

    lines: int = 0
    size: int = 0
    mac: str = FIRST


@dataclass(frozen=True)
class Ledger:
    """The ledger of a vault."""

    path: Path
    head_path: Path
    key: bytes = field(repr=False)

    def subject(self, member: str) -> str:
        """Return what a member is called in the ledger."""
        return pseudonym(self.key, member)

    @contextmanager
    def open(self) -> Iterator[Pen]:
        """Hold the ledger alone, to read it and write to it without anybody writing between.

        Raises
        ------
        AttentionError
            If it cannot be written, or its end is not what its head says.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise AttentionError(
                f"the ledger cannot be opened: {error.strerror}", where=str(self.path)
            ) from error
        with os.fdopen(handle, "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield Pen(self, file, self._recovered(file))

    def entries(self) -> Iterator[Entry]:
        """Yield all lines, each checked against the one before.

        Raises
        ------
        CheckFailed
            At the first line that was changed, moved, left out or put in.
        """
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH)  # no line is half written meanwhile
            yield from self._walk(file)

    def verify(self, noted: str | None = None) -> Head:
        """Check every line, the head, and, if one is given, that a head noted earlier is among them.

        Raises
        ------
        CheckFailed
            Naming the line at fault.
        """
        last, lines, size, seen = FIRST, 0, 0, noted is None
        for entry in self.entries():
            last, lines, size = entry.mac, entry.seq, size + len(entry.encoded())
            seen = seen or entry.mac == noted
        head = self.head()
        if head.lines > lines or (head.lines == lines and head.mac != last):
            raise CheckFailed(
                f"the ledger has {lines} lines, its head counts {head.lines}: lines were cut off",
                where=str(self.path),
                hint="restore it from a copy; what stands in the missing lines is unknown",
            )
        if not seen:
            raise CheckFailed(
                f"the head noted earlier, {noted!r:.80}, is no line of this ledger",
                where=str(self.path),
                hint="the ledger was put back to an older state, or the note is another ledger's",
            )
        return Head(lines, size, last)

    def head(self) -> Head:
        """Return the head as it was written last.

        Raises
        ------
        CheckFailed
            If it is damaged, or missing beside a ledger that has lines.
        """
        where = str(self.head_path)
        try:
            document = parse_json(read_small(self.head_path, _MAX_LINE))
            mac = document.pop("mac_of_head")
            if not hmac.compare_digest(str(mac), self._mac(document)):
                raise CheckFailed("the ledger's head was changed", where=where, hint=_HINT)
            return Head(int(document["lines"]), int(document["size"]), str(document["mac"]))
        except FileNotFoundError:
            if self.path.exists() and self.path.stat().st_size:
                raise CheckFailed("the ledger's head is missing", where=where, hint=_HINT) from None
            return Head()
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CheckFailed(f"the ledger's head is damaged: {error}", where=where, hint=_HINT) from None

    def _write_head(self, head: Head) -> None:
        document: dict[str, Any] = {"lines": head.lines, "size": head.size, "mac": head.mac}
        document["mac_of_head"] = self._mac(document)
        write_private(self.head_path, _canonical(document) + b"\n", replace=True)

    def _recovered(self, file: BinaryIO) -> Head:
        """Return the head; take a line up that a crash left without one, drop half of one."""
        head = self.head()
        size = os.fstat(file.fileno()).st_size
        if size < head.size:
            raise AttentionError("lines were cut off the ledger", where=str(self.path), hint=_HINT)
        file.seek(head.size)
        rest = file.read(_MAX_LINE + 1)
        if not rest:
            return head
        if b"\n" not in rest:
            # Nobody was told that this line was written.
            file.truncate(head.size)
            return head
        try:
            entry = self._entry(rest.rstrip(b"\n"), head.lines + 1, head.mac)
        except CheckFailed as error:
            raise AttentionError(error.message, where=str(self.path), hint=_HINT) from error
        if len(rest) != len(entry.encoded()):
            raise AttentionError("lines were put into the ledger", where=str(self.path), hint=_HINT)
        taken = Head(entry.seq, head.size + len(rest), entry.mac)
        self._write_head(taken)
        return taken

    def _walk(self, file: BinaryIO) -> Iterator[Entry]:
        last, number = FIRST, 0
        while line := file.readline(_MAX_LINE + 1):
            number += 1
            if not line.endswith(b"\n"):
                raise CheckFailed(f"line {number} is not whole", where=f"{self.path}:{number}")
            entry = self._entry(line[:-1], number, last)
            last = entry.mac
            yield entry

    def _entry(self, line: bytes, number: int, previous: str) -> Entry:
        where = f"{self.path}:{number}"
        try:
            document = parse_json(line)
            mac = document.pop("mac")
            if set(document) != set(_FIELDS):
                raise ValueError("its fields are others")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CheckFailed(f"line {number} is damaged: {error}", where=where) from None
        if not hmac.compare_digest(str(mac).encode(), self._mac(document).encode()):
            raise CheckFailed(f"line {number} was changed, or is another ledger's", where=where)
        if document["seq"] != number or document["previous"] != previous:
            raise CheckFailed(
                f"line {number} does not follow the one before: a line was moved, left out or put in",
                where=where,
            )
        return Entry(**document, mac=str(mac))

    def _mac(self, document: Mapping[str, Any]) -> str:
        return hmac.new(self.key, _canonical(document), "sha256").hexdigest()


class Pen:
    """Writes to a ledger that is held alone; made by `Ledger.open`."""

    def __init__(self, ledger: Ledger, file: BinaryIO, head: Head) -> None:
        self._ledger = ledger
        self._file = file
        self.head = head

    def entries(self) -> Iterator[Entry]:
        """Yield all lines, checked."""
        self._file.seek(0)
        yield from self._ledger._walk(self._file)

    def write(
        self,
        who: str,
        action: str,
        *,
        level: str,
        outcome: str,
        now_ms: int,
        subject: str = "",
        detail: Mapping[str, Any] | None = None,
    ) -> Entry:
        """Write a line; it is on the disk when this returns.

        Raises
        ------
        AttentionError
            If it cannot be written.
        """
        ledger, head = self._ledger, self.head
        entry = Entry(
            head.lines + 1, now_ms, who, action, level, outcome, subject, dict(detail or {}), head.mac
        )
        line = _canonical(entry.body() | {"mac": (mac := ledger._mac(entry.body()))}) + b"\n"
        try:
            self._file.seek(head.size)
            self._file.write(line)
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise AttentionError(
                f"the ledger cannot be written: {error.strerror}",
                where=str(ledger.path),
                hint="make room: what is not recorded is not done",
            ) from error
        self.head = Head(entry.seq, head.size + len(line), mac)
        ledger._write_head(self.head)
        return Entry(**entry.body(), mac=mac)


def _canonical(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
