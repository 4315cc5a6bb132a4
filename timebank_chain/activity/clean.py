"""The cleaner: believes nothing, loses nothing.

Takes raw records from any source in any order, gives one table and the list of everything that is
not in it, each with its reason. ``read == kept + rejected`` always holds, and shuffling the input
changes neither the table nor the rejects.

A record is kept when

- id and member are non-empty text of at most 512 UTF-8 bytes, the domain of at most 32, all without
  control characters or surrounding spaces;
- the domain is one of the known ones, when a list is given;
- it occurred at a time with a zone, not before 1970 and not after ``now``, and its window ends
  before 2**48 ms;
- each indicator is a plain non-negative decimal of at most three places, below 4,294,967.296.

Of records with one id and one content the first by (source, line) is kept. Records with one id and
different contents are all rejected: which of them came first must not decide what is true. Only a
finalised epoch decides: the record it holds is kept, and the others are rejected for it.
"""

from __future__ import annotations

import codecs
import csv
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np

from timebank_chain.activity.record import RawRecord, Thousandths, canonical_bytes, record_id, salt_of
from timebank_chain.activity.table import SALT_BYTES, ActivityRow, ActivityTable
from timebank_chain.documents import writing_whole
from timebank_chain.errors import ActivityError
from timebank_chain.units import MAX_INDICATOR, MAX_TIME_MS, format_time, parse_duration, parse_time

MAX_TEXT_BYTES = 512
MAX_DOMAIN_BYTES = 32
#: How the reason begins of a record that claims to be later than the clock.
IN_THE_FUTURE = "time in the future"
REJECT_COLUMNS = ("source", "line", "id", "field", "reason", "record")

_DECIMAL = re.compile(r"([0-9]{1,30})(?:\.([0-9]{1,30}))?")
_EXPONENT = re.compile(r"[+-]?[0-9.]+[eE][+-]?[0-9]+")
_NOT_FINITE = {"nan", "inf", "infinity"}
_SHOWN_CHARACTERS = 60
# Times in seconds from September 2001 to the year 5138; in milliseconds they lie before March 1973.
_LOOKS_LIKE_SECONDS = range(10**9, 10**11)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that is not in the table, and why.

    Attributes
    ----------
    source, line
        Where it stood.
    id
        Its id as far as it had one.
    field
        The field at fault; empty when the whole record is.
    reason
        One sentence; the part before the first ``": "`` names the kind of fault.
    record
        The original record, as JSON.
    """

    source: str
    line: int
    id: str
    field: str
    reason: str
    record: str


@dataclass(frozen=True, slots=True)
class CleanResult:
    """What the cleaner made of its input.

    Attributes
    ----------
    table
        The kept acts, ordered.
    rejects
        Everything else, ordered by (source, line).
    read
        How many records came in: ``len(table) + len(rejects)``.
    duplicates
        How many rejects repeat a kept record exactly.
    """

    table: ActivityTable
    rejects: tuple[Reject, ...]
    read: int
    duplicates: int

    def reasons(self) -> dict[str, int]:
        """Count the rejects by kind of fault, most frequent first."""
        counts = Counter(reject.reason.split(": ", 1)[0] for reject in self.rejects)
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


class _Refusal(Exception):
    """A field cannot be believed; carries the field and the reason."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field
        self.reason = reason


def clean(
    records: Iterable[RawRecord],
    *,
    now_ms: int,
    salt_key: bytes,
    windows: Mapping[str, int] | None = None,
    domains: Collection[str] | None = None,
    until_ms: int | None = None,
    published: Callable[[bytes], int | None] | None = None,
) -> CleanResult:
    """Validate, drop duplicates, order and salt.

    Parameters
    ----------
    records
        Raw records of any sources, in any order. They are held in memory until the end, because only
        the last one tells whether the first has a conflicting duplicate.
    now_ms
        The present, Unix milliseconds: nothing that occurred later is believed.
    salt_key
        Key of the salts (`load_salt_key`).
    windows
        Observation window in ms per domain, for records that carry none; a domain not named here has 0.
    domains
        The known domains; ``None`` accepts any.
    until_ms
        Turn away what occurred later; ``None``: nothing.
    published
        Tells which finalised epoch holds a record id, ``None`` if none does. It is asked only about
        records whose id others have too.
    """
    defaults = windows or {}
    rejects: list[Reject] = []
    kept: dict[str, list[tuple[ActivityRow, RawRecord]]] = {}
    read = 0
    for record in records:
        read += 1
        if record.refused is not None:
            rejects.append(_reject(record, *record.refused))
            continue
        try:
            row = _clean_row(record, now_ms, defaults, domains)
            if until_ms is not None and row[3] > until_ms:
                raise _Refusal("occurred", f"after --until: {format_time(row[3])}")
        except _Refusal as refusal:
            rejects.append(_reject(record, refusal.field, refusal.reason))
        else:
            kept.setdefault(row[0], []).append((row, record))
    rows: list[ActivityRow] = []
    duplicates = 0
    for claims in kept.values():
        if len(claims) == 1:
            rows.append(claims[0][0])
            continue
        claims.sort(key=lambda claim: (claim[1].source, claim[1].line))
        kept_row, reason = claims[0][0], ""
        if any(row != kept_row for row, _ in claims):
            final = _published_row([row for row, _ in claims], salt_key, published)
            if final is None:
                reason = f"conflicting duplicate: {len(claims)} different records have this id"
                rejects.extend(_reject(record, "id", reason) for _, record in claims)
                continue
            kept_row, epoch = final
            reason = f"id already published in epoch {epoch}"
        rows.append(kept_row)
        first, *again = (record for row, record in claims if row == kept_row)
        duplicates += len(again)
        same = f"duplicate: same as {first.source}:{first.line}"
        rejects.extend(_reject(record, "id", same) for record in again)
        rejects.extend(_reject(record, "id", reason) for row, record in claims if row != kept_row)
    rows.sort(key=lambda row: (row[3], row[0]))
    rejects.sort(key=lambda r: (r.source, r.line, r.id, r.field, r.reason, r.record))
    return CleanResult(_to_table(rows, salt_key), tuple(rejects), read, duplicates)


def occurred_ms(record: RawRecord) -> int | None:
    """Return when a record occurred as the cleaner reads it, Unix milliseconds; ``None`` if it cannot."""
    try:
        return _time(record.occurred)
    except _Refusal:
        return None


def write_rejects(path: Path | str, rejects: Iterable[Reject]) -> None:
    """Write the rejects as CSV (source, line, id, field, reason, record); whole or not at all.

    Bytes that were no UTF-8 in the source appear as ``\\udcXX``.

    Raises
    ------
    ActivityError
        If the file cannot be written.
    """
    target = Path(path)
    try:
        with writing_whole(target, mode=0o644) as file:
            text = codecs.getwriter("utf-8")(file, "backslashreplace")
            writer = csv.writer(text, lineterminator="\n")
            writer.writerow(REJECT_COLUMNS)
            for reject in rejects:
                writer.writerow(
                    (reject.source, reject.line, reject.id, reject.field, reject.reason, reject.record)
                )
    except OSError as error:
        raise ActivityError(
            f"cannot write the rejects: {error.strerror}", where=str(target), hint="choose another --rejects"
        ) from error


def _published_row(
    rows: list[ActivityRow], salt_key: bytes, published: Callable[[bytes], int | None] | None
) -> tuple[ActivityRow, int] | None:
    """Return the row that stands in a finalised epoch (the earliest one), and that epoch."""
    if published is None:
        return None
    found: dict[ActivityRow, int] = {}
    for row in dict.fromkeys(rows):
        content = canonical_bytes(row)
        epoch = published(record_id(salt_of(salt_key, content), content))
        if epoch is not None:
            found[row] = epoch
    return min(found.items(), key=lambda entry: entry[1], default=None)


def _clean_row(
    record: RawRecord, now_ms: int, windows: Mapping[str, int], domains: Collection[str] | None
) -> ActivityRow:
    name = _text("id", record.id, MAX_TEXT_BYTES)
    member = _text("member", record.member, MAX_TEXT_BYTES)
    domain = _text("domain", record.domain, MAX_DOMAIN_BYTES)
    if domains is not None and domain not in domains:
        raise _Refusal("domain", f"unknown domain: {domain!r} is none of {', '.join(sorted(domains))}")
    occurred = _time(record.occurred)
    if occurred > now_ms:
        raise _Refusal("occurred", f"{IN_THE_FUTURE}: {format_time(occurred)}")
    window = _window(record.window, windows.get(domain, 0))
    if occurred + window > MAX_TIME_MS:
        raise _Refusal("window", f"window ends out of range: {_show(record.window)}")
    return (
        name,
        member,
        domain,
        occurred,
        window,
        _milli("interaction", record.interaction),
        _milli("originality", record.originality),
        _milli("engagement", record.engagement),
    )


def _text(field: str, value: object, limit: int) -> str:
    if value is None or value == "":
        raise _Refusal(field, "missing")
    if not isinstance(value, str):
        raise _Refusal(field, f"not text: {_show(value)}")
    if not value.isprintable():
        kinds = {unicodedata.category(character) for character in value}
        if "Cs" in kinds:
            raise _Refusal(field, f"not UTF-8: {_show(value)}")
        if kinds & {"Cc", "Zl", "Zp"}:
            raise _Refusal(field, f"control character: {_show(value)}")
    if value != value.strip():
        raise _Refusal(field, f"surrounding spaces: {_show(value)}")
    if len(value) > limit or len(value.encode()) > limit:
        raise _Refusal(field, f"longer than {limit} bytes: {_show(value)}")
    return value


def _time(value: object) -> int:
    field = "occurred"
    if value is None or value == "":
        raise _Refusal(field, "missing")
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise _Refusal(field, f"time without a zone: {_show(value)}")
        delta = value - _EPOCH
        ms = delta.days * 86_400_000 + delta.seconds * 1_000 + delta.microseconds // 1_000
    elif isinstance(value, str):
        try:
            ms = int(parse_time(value[:MAX_TEXT_BYTES]))
        except (ValueError, OverflowError) as error:
            raise _Refusal(field, str(error)) from None
    elif isinstance(value, int) and not isinstance(value, bool):
        ms = value
    else:
        raise _Refusal(field, f"not a time: {_show(value)}")
    if not 0 <= ms <= MAX_TIME_MS:
        raise _Refusal(field, f"time out of range: {_show(value)}")
    if ms in _LOOKS_LIKE_SECONDS:
        raise _Refusal(
            field,
            f"Unix seconds? {_show(value)} would be {format_time(ms)} in milliseconds; write milliseconds, "
            'or a mapping with format = "unix"',
        )
    return ms


def _window(value: object, default: int) -> int:
    if value is None or value == "":
        return default
    if isinstance(value, str):
        if re.fullmatch(r"0+(ms|s|m|h|d|w)?", value):
            return 0
        text = f"{value}ms" if re.fullmatch(r"[0-9]{1,15}", value) else value
        try:
            return int(parse_duration(text[:MAX_TEXT_BYTES]))
        except ValueError as error:
            raise _Refusal("window", str(error)) from None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_TIME_MS:
        raise _Refusal("window", f"not a duration: {_show(value)}")
    return value


def _milli(field: str, value: object) -> int:
    """Read an indicator as thousandths, exactly; nothing is rounded."""
    if value is None or value == "":
        raise _Refusal(field, "missing")
    if isinstance(value, Thousandths):
        milli = int(value)
        if milli < 0:
            raise _Refusal(field, f"negative number: {milli} thousandths")
    elif isinstance(value, bool):
        raise _Refusal(field, f"not a number: {_show(value)}")
    elif isinstance(value, int | float | Decimal | str):
        # A float is read by its shortest decimal, which is the same on every machine.
        milli = _milli_of_text(field, repr(value) if isinstance(value, float) else str(value).strip())
    else:
        raise _Refusal(field, f"not a number: {_show(value)}")
    if milli > MAX_INDICATOR:
        raise _Refusal(field, f"too large, at most 4294967.295: {_show(value)}")
    return milli


def _milli_of_text(field: str, text: str) -> int:
    match = _DECIMAL.fullmatch(text)
    if match is None:
        if text.lstrip("+-").lower() in _NOT_FINITE:
            raise _Refusal(field, f"not a finite number: {_show(text)}")
        if text.startswith("-") and _DECIMAL.fullmatch(text[1:]):
            raise _Refusal(field, f"negative number: {_show(text)}")
        if _EXPONENT.fullmatch(text):
            raise _Refusal(field, f"number with an exponent: {_show(text)}")
        if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
            raise _Refusal(field, f"too many digits: {_show(text)}")
        raise _Refusal(field, f"not a number: {_show(text)}")
    decimals = (match[2] or "").rstrip("0")
    if len(decimals) > 3:
        raise _Refusal(field, f"more than three decimals: {_show(text)}")
    return int(match[1]) * 1_000 + int(decimals.ljust(3, "0"))


def _show(value: object) -> str:
    text = value if isinstance(value, str) else str(value)
    shown = repr(text)
    return shown if len(shown) <= _SHOWN_CHARACTERS else f"{shown[:_SHOWN_CHARACTERS]}..."


def _reject(record: RawRecord, field: str, reason: str) -> Reject:
    original = record.original
    if isinstance(original, str):
        text = json.dumps(original, ensure_ascii=False)
    else:
        text = json.dumps(dict(original), ensure_ascii=False, default=str)
    name = record.id if isinstance(record.id, str) else "" if record.id is None else str(record.id)
    return Reject(record.source, record.line, name, field, reason, text)


def _to_table(rows: list[ActivityRow], salt_key: bytes) -> ActivityTable:
    salts = b"".join(salt_of(salt_key, canonical_bytes(row)) for row in rows)
    return ActivityTable(
        id=[row[0] for row in rows],
        member=[row[1] for row in rows],
        domain=[row[2] for row in rows],
        occurred_ms=np.array([row[3] for row in rows], dtype=np.int64),
        window_ms=np.array([row[4] for row in rows], dtype=np.int64),
        interaction_milli=np.array([row[5] for row in rows], dtype=np.uint32),
        originality_milli=np.array([row[6] for row in rows], dtype=np.uint32),
        engagement_milli=np.array([row[7] for row in rows], dtype=np.uint32),
        salt=np.frombuffer(salts, dtype=np.uint8).reshape(-1, SALT_BYTES),
    )
