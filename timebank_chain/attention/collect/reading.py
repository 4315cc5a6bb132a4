"""JSON records out of files: one document, a list of them, or one a line; plain or gzip.

Whatever a stranger put into the file comes out as records or as faults, one by one: what is no JSON, names a
key twice, holds a number beyond all numbers, nests deeper than 64 levels, is no UTF-8 or fills a line of more
than 16 MiB spoils itself and nothing beside it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from timebank_chain.activity.sources.files import open_input
from timebank_chain.attention.collect.syntax import Fault, key_path
from timebank_chain.documents import TooDeep, parse_json
from timebank_chain.errors import ActivityError, AttentionError

#: Most bytes of a line, and of a file that is one document.
MAX_RECORD_BYTES = 16 << 20
#: What the rejects file shows of a record that is longer.
MAX_SHOWN_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class JsonRecord:
    """A record of a file.

    Attributes
    ----------
    line
        Line, or position in a list, from 1.
    text
        As it stood, for the rejects; at most 1 MiB of it.
    value
        The parsed value, when there is no fault.
    fault
        Why there is no value.
    """

    line: int
    text: str
    value: Any = None
    fault: Fault | None = None


def json_records(path: Path | str, *, lists: bool, decimals: bool = False) -> Iterator[JsonRecord]:
    """Yield the records of a file.

    A file is read a line each when its name ends in ``.jsonl`` or ``.ndjson`` (before ``.gz``), or when it is
    more than one JSON value; else it is one document.

    Parameters
    ----------
    path
        The file.
    lists
        Whether a list at the top is a batch of records; else it is one record, which its standard refuses.
    decimals
        Whether numbers with a point keep the digits they are written with (``Decimal``).

    Raises
    ------
    AttentionError
        If the file cannot be read, is empty, or is one list of more than 16 MiB.
    """
    name = Path(path).name.lower().removesuffix(".gz")
    lines = name.endswith((".jsonl", ".ndjson"))
    parse = partial(parse_record, decimals=decimals)
    try:
        with open_input(path) as file:
            empty = True
            for record in (
                _lines(file, parse) if lines else _document(file, parse, lists=lists, where=str(path))
            ):
                empty = False
                yield record
    except ActivityError as error:
        raise AttentionError(error.message, where=error.where, hint=error.hint) from error
    if empty:
        raise AttentionError("the file is empty", where=str(path), hint="name a file with records in it")


def parse_record(raw: bytes, *, decimals: bool = False) -> Any:
    """Parse one JSON value strictly.

    Raises
    ------
    Fault
        If it is not UTF-8, not JSON, too deep, names a key twice, or a number is not finite.
    """
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Fault("$", f"is not UTF-8: byte {raw[error.start]:#04x} at {error.start}") from None
    twice: list[tuple[dict[str, Any], str]] = []
    try:
        value = parse_json(
            text,
            object_pairs_hook=partial(_unique, twice),
            parse_float=_decimal if decimals else _finite,
            parse_constant=_no_constant,
        )
    except Fault:
        raise
    except TooDeep as error:
        raise Fault("$", str(error)) from None
    except (ValueError, RecursionError) as error:
        raise Fault("$", f"is not JSON: {error}") from None
    if twice:
        # The last one found encloses others, or stands beside them: it is part of the value for sure.
        row, key = twice[-1]
        raise Fault(key_path(_path_to(value, row), key), "stands twice in one object")
    return value


def _document(
    file: BinaryIO, parse: Callable[[bytes], Any], *, lists: bool, where: str
) -> Iterator[JsonRecord]:
    raw = file.read(MAX_RECORD_BYTES + 1)
    if len(raw) > MAX_RECORD_BYTES:
        if raw.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"["):
            raise AttentionError(
                f"a list of more than {MAX_RECORD_BYTES:,} bytes",
                where=where,
                hint="write one record a line, into a file that ends in .jsonl",
            )
        yield from _lines(file, parse, before=raw)
        return
    if not raw.strip(b"\xef\xbb\xbf \t\r\n"):
        return
    try:
        value = parse(raw)
    except Fault as fault:
        # A spoilt first line must not take the others with it.
        first = [line for line in raw.lstrip(b"\xef\xbb\xbf").split(b"\n", 8)[:8] if line.strip()][:2]
        if len(first) == 2 and any(map(_is_object, first)):
            yield from _lines(file, parse, before=raw)
        else:
            yield JsonRecord(1, _shown(raw), fault=fault)
        return
    if lists and isinstance(value, list):
        for position, item in enumerate(value, 1):
            yield JsonRecord(position, _dumped(item), item)
    else:
        yield JsonRecord(1, _shown(raw), value)


def _is_object(raw: bytes) -> bool:
    try:
        return isinstance(parse_record(raw), dict)
    except Fault:
        return False


def _lines(file: BinaryIO, parse: Callable[[bytes], Any], before: bytes = b"") -> Iterator[JsonRecord]:
    line = 0
    for raw, whole in bounded_lines(file, before):
        line += 1
        if not whole:
            problem = f"is a line of more than {MAX_RECORD_BYTES:,} bytes"
            yield JsonRecord(line, _shown(raw), fault=Fault("$", problem))
            continue
        stripped = raw.strip(b"\xef\xbb\xbf \t\r\n" if line == 1 else b" \t\r\n")
        if not stripped:
            continue
        try:
            yield JsonRecord(line, _shown(stripped), parse(stripped))
        except Fault as fault:
            yield JsonRecord(line, _shown(stripped), fault=fault)


def bounded_lines(file: BinaryIO, before: bytes = b"") -> Iterator[tuple[bytes, bool]]:
    """Yield lines and whether each is whole; of one that is too long its beginning, and the rest is skipped.

    ``before`` is what was read of the file already.
    """
    held = before
    while True:
        if b"\n" in held:
            raw, _, held = held.partition(b"\n")
            yield raw[:MAX_RECORD_BYTES], len(raw) <= MAX_RECORD_BYTES
            continue
        raw = held + file.readline(max(1, MAX_RECORD_BYTES + 1 - len(held)))
        held = b""
        if not raw:
            return
        if raw.endswith(b"\n") or len(raw) <= MAX_RECORD_BYTES:
            yield raw, True
            continue
        while (more := file.readline(MAX_RECORD_BYTES)) and not more.endswith(b"\n"):
            pass
        yield raw[:MAX_SHOWN_BYTES], False


def _shown(raw: bytes) -> str:
    return raw[:MAX_SHOWN_BYTES].decode("utf-8", "surrogateescape").strip()


def _dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True)[:MAX_SHOWN_BYTES]


def _unique(twice: list[tuple[dict[str, Any], str]], pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object; if a key stands twice in it, note both."""
    row: dict[str, Any] = {}
    for key, value in pairs:
        if key in row:
            twice.append((row, key))
        row[key] = value
    return row


def _path_to(value: Any, wanted: dict[str, Any]) -> str:
    """Return the path of an object that is part of a value."""
    open_ = [("$", value)]
    while open_:
        path, one = open_.pop()
        if one is wanted:
            return path
        if isinstance(one, dict):
            open_ += [(key_path(path, key), part) for key, part in one.items()]
        elif isinstance(one, list):
            open_ += [(f"{path}[{place}]", part) for place, part in enumerate(one)]
    raise AssertionError("an object of the value is in the value")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise Fault("$", f"holds a number beyond all numbers: {text[:40]}")
    return number


def _decimal(text: str) -> Decimal:
    _finite(text)
    return Decimal(text)


def _no_constant(text: str) -> float:
    raise Fault("$", f"holds {text}, which is no JSON")
