"""The rows of CSV and JSON lines with the bytes they stand in, as the feed readers tell rows apart.

A reader gives records; whoever rewrites a file needs the lines behind each, with their ends, and a way to
write a row's lines again with some cells changed and all others as they were.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import os
import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import BinaryIO, cast

from timebank_chain.activity.mapping import ColumnMapping, did_you_mean, own_mapping
from timebank_chain.activity.record import RawRecord
from timebank_chain.activity.sources.files import MAX_LINE, open_input
from timebank_chain.activity.sources.jsonl import json_record
from timebank_chain.attention.privacy.member_tables import (
    ACTED,
    FOREIGN,
    acting_names,
    foreign_record,
    read_keys,
    unread,
)
from timebank_chain.attention.privacy.spellings import has_foreign_bytes
from timebank_chain.documents import parse_json
from timebank_chain.errors import ActivityError, AttentionError

LINES = frozenset({".csv", ".jsonl", ".ndjson"})
ROWS = LINES | {".parquet"}
#: Tables like CSV, with tabs between the cells.
_TABBED = frozenset({".tsv", ".tab"})
#: What stands between cells where it is no comma; where two make as many cells, the first is meant.
_DELIMITERS = ",;\t|"

_BOM = b"\xef\xbb\xbf"
_AS_UTF8 = "save the table as UTF-8, then erase again"
_WIDE_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)
_GZIP = b"\x1f\x8b"


def row_suffix(path: Path) -> str:
    """Return what kind of rows a file's name promises, packed (``feed.csv.gz``) or not; ``.csv`` for tabs."""
    inner = _inner_suffix(path)
    if inner in _TABBED:
        return ".csv"
    return inner if inner in LINES else path.suffix.lower()


def _inner_suffix(path: Path) -> str:
    return Path(path.name.lower().removesuffix(".gz")).suffix


def delimiter_of(header: str, path: Path) -> str:
    """Return what stands between the cells of a table, by its name and its first line."""
    if _inner_suffix(path) in _TABBED:
        return "\t"
    try:
        cells = {mark: len(next(csv.reader([header], delimiter=mark), [])) for mark in _DELIMITERS}
    except csv.Error:
        return ","
    return max(cells, key=lambda mark: cells[mark])


@dataclass
class LineRow:
    """Lines that belong together; ``record`` is ``None`` for a header or an empty line."""

    lines: list[bytes]
    record: RawRecord | None = None
    rebuild: Callable[[Callable[[str], str]], list[bytes]] | None = None


def csv_line_rows(
    lines: Iterator[bytes], path: Path, mapping: ColumnMapping | None, column: str | None = None
) -> Iterator[LineRow]:
    """Yield header, rows and empty lines of CSV; a row whose columns nobody knows is refused as foreign.

    Between cells may stand a tab, a semicolon or a bar too: what the header is parted by.

    Parameters
    ----------
    column
        The column that holds the member, as somebody named it for this file; empty: nobody is in it.

    Raises
    ------
    AttentionError
        If it is no CSV: a quote that never closes, or UTF-16; or has no such column.
    """
    taken: list[bytes] = []

    def text() -> Iterator[str]:
        for line in lines:
            taken.append(line)
            plain = line.removeprefix(_BOM) if len(taken) == 1 and first else line
            yield plain.decode("utf-8", "surrogateescape")

    first = True
    begin = next(lines, b"")
    if column and begin.startswith(_WIDE_MARKS):
        raise AttentionError(
            "it is UTF-16 or UTF-32, in which no column is found",
            where=str(path),
            hint=_AS_UTF8,
        )
    delimiter = delimiter_of(begin.removeprefix(_BOM).decode("utf-8", "surrogateescape"), path)
    lines = chain([begin] if begin else [], lines)
    reader = csv.reader(text(), delimiter=delimiter, strict=True)
    try:
        header = [cell.strip() for cell in next(reader, [])]
        if column and column not in header and any(map(has_foreign_bytes, header)):
            raise AttentionError("its header is no UTF-8", where=str(path), hint=_AS_UTF8)
        yield LineRow(taken[:])
        taken.clear()
        first = False
        rules = rules_for(header, mapping, column, path)
        free = (
            unread(header, column)
            if rules is None
            else [name for name in header if name not in rules.columns()]
        )
        open_to_all = [name in free for name in header]
        line = reader.line_num + 1
        for cells in reader:
            row, here, line = LineRow(taken[:]), line, reader.line_num + 1
            taken.clear()
            if cells:
                row.record = _csv_record(cells, header, rules, str(path), here, column)
                if len(cells) == len(header) and any(open_to_all):
                    row.rebuild = _csv_rebuild(cells, open_to_all, row.lines, delimiter)
            yield row
        if taken:
            yield LineRow(taken)
    except csv.Error as error:
        raise AttentionError(
            f"not CSV: {error}",
            where=f"{path}:{reader.line_num}",
            hint="look for a quote that does not close",
        ) from error


def _csv_record(
    cells: list[str],
    header: list[str],
    rules: ColumnMapping | None,
    name: str,
    line: int,
    column: str | None,
) -> RawRecord:
    if len(cells) != len(header):
        return RawRecord(name, line, original=",".join(cells), refused=("", "wrong number of cells"))
    row = dict(zip(header, cells, strict=True))
    if rules is None:
        return foreign_record(row, name, line, column)
    return rules.record(row, name, line)


def _csv_rebuild(
    cells: list[str], open_to_all: list[bool], lines: list[bytes], delimiter: str
) -> Callable[[Callable[[str], str]], list[bytes]]:
    def rebuild(change: Callable[[str], str]) -> list[bytes]:
        new = [change(cell) if open_ else cell for cell, open_ in zip(cells, open_to_all, strict=True)]
        if new == cells:
            return lines
        buffer = io.StringIO(newline="")
        csv.writer(buffer, delimiter=delimiter, lineterminator="").writerow(new)
        encoded = buffer.getvalue().encode("utf-8", "surrogateescape") + line_end(lines[-1])
        return encoded.splitlines(keepends=True)

    return rebuild


def json_line_rows(
    lines: Iterator[bytes], path: Path, mapping: ColumnMapping | None, column: str | None = None
) -> Iterator[LineRow]:
    """Yield the lines of JSON lines; what is no JSON, or of unknown keys, is refused as foreign."""
    for number, raw in enumerate(lines, start=1):
        text = raw.removeprefix(_BOM).decode("utf-8", "surrogateescape").strip()
        row = LineRow([raw])
        if text:
            row.record, read = _json_record(text, str(path), number, mapping, column)
            if read is not None:
                row.rebuild = _json_rebuild(text, read, raw)
        yield row


def _json_record(
    text: str, name: str, line: int, mapping: ColumnMapping | None, column: str | None
) -> tuple[RawRecord, frozenset[str] | None]:
    """Return a line's record, and the keys that are read; ``None`` where no other key may hold a name."""
    if mapping is not None and not column:
        mapped = json_record(text, name, line, mapping)
        if mapped.member is not None:
            return mapped, frozenset(mapping.columns())
    if not column:
        own = json_record(text, name, line)
        if own.refused is None:
            return own, None
    try:
        row = parse_json(text)
    except (ValueError, ArithmeticError):
        row = None
    if not isinstance(row, dict):
        return RawRecord(name, line, original=text, refused=FOREIGN), None
    record = foreign_record(row, name, line, column)
    if record.member is None and not column and acting_names(row):
        record = replace(record, refused=ACTED)
    elif record.member is None:
        return record, None
    return record, read_keys(column)


def _json_rebuild(
    text: str, read: frozenset[str], raw: bytes
) -> Callable[[Callable[[str], str]], list[bytes]]:
    def rebuild(change: Callable[[str], str]) -> list[bytes]:
        line = redacted_json(text, read, change)
        return [raw] if line == text else [line.encode("utf-8", "surrogateescape") + line_end(raw)]

    return rebuild


def redacted_json(text: str, read: frozenset[str], change: Callable[[str], str]) -> str:
    """Return a JSON text with its strings changed, numbers digit by digit as they were.

    Parameters
    ----------
    text
        As it stands; it is returned as it is where nothing changes.
    read
        Paths (``actor``, ``user.id``) whose values stay.
    change
        Gives what takes a string's place.
    """

    def walk(value: object, place: str) -> object:
        if place in read:
            return value
        if isinstance(value, dict):
            return {key: walk(inner, f"{place}.{key}" if place else key) for key, inner in value.items()}
        if isinstance(value, list):
            return [walk(inner, place) for inner in value]
        return change(value) if isinstance(value, str) else value

    # What is written with an escape is seen when the text is parsed.
    if change(text) == text and "\\" not in text:
        return text
    # Numbers pass as text behind a word nobody guesses, so that they keep the digits they have.
    guard = secrets.token_hex(16)
    before = parse_json(text, parse_float=lambda digits: guard + digits)
    after = walk(before, "")
    if after == before:
        return text
    return re.sub(rf'"{guard}([^"]*)"', r"\1", json.dumps(after, ensure_ascii=False))


def rules_for(
    columns: list[str], mapping: ColumnMapping | None, column: str | None, path: Path
) -> ColumnMapping | None:
    """Return what the columns mean: by the mapping if it fits, by our own names, or ``None``.

    Raises
    ------
    AttentionError
        If a column was named for the member that is not there.
    """
    if column:
        if column not in columns:
            raise AttentionError(
                f"no column {column!r} for the member",
                where=str(path),
                hint=did_you_mean(column, columns) or f"the file has: {', '.join(columns)}",
            )
        return None
    if mapping is not None and set(mapping.columns()) <= set(columns):
        return mapping
    try:
        return own_mapping(columns, "")
    except ActivityError:
        return None


def line_end(line: bytes) -> bytes:
    """Return what ends a line; nothing for a last one that has no end."""
    return line[len(line.rstrip(b"\r\n")) :]


def is_packed(path: Path) -> bool:
    """Tell whether a file is gzip."""
    with path.open("rb") as file:
        return file.read(2) == _GZIP


class lines_of:  # noqa: N801 - reads as a statement: `with lines_of(path) as lines:`
    """The lines of a file, plain or packed, with their ends, as the feed readers tell them apart."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._input = open_input(path)

    def __enter__(self) -> Iterator[bytes]:
        binary = self._input.__enter__()
        return self._csv(binary) if row_suffix(self.path) == ".csv" else self._json(binary)

    def __exit__(self, *error: object) -> None:
        self._input.__exit__(*error)  # type: ignore[arg-type]  # handed through as it came

    def _csv(self, binary: BinaryIO) -> Iterator[bytes]:
        # latin-1 keeps every byte; only line ends matter here, a lone carriage return among them.
        with io.TextIOWrapper(binary, encoding="latin-1", newline="") as text:
            for line in text:
                yield line.encode("latin-1")

    def _json(self, binary: BinaryIO) -> Iterator[bytes]:
        while line := binary.readline(MAX_LINE):
            yield line


class packing:  # noqa: N801 - as above
    """Writes a file, packed if the one it takes the place of is; on the disk when it is closed."""

    def __init__(self, part: Path, packed: bool) -> None:
        self._file = part.open("wb")
        # No time and no name in the archive: the same rows give the same bytes.
        self._out = gzip.GzipFile("", "wb", fileobj=self._file, mtime=0) if packed else self._file

    def __enter__(self) -> BinaryIO:
        return cast("BinaryIO", self._out)

    def __exit__(self, *error: object) -> None:
        if self._out is not self._file:
            self._out.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
