"""One member's rows in a file of rows, and the file without them, so that whoever reads it goes on.

Files are read as the feed readers read them. In CSV and JSON lines a dropped row leaves its line ends and
nothing else: readers pass over empty lines, and the others' rows keep the line numbers that rejects name.
What the oracle has read of a growing file is remembered as (bytes, SHA-256); the same boundary in the
rewritten file is found on the way, if the file is still the one that was read.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, cast

from timebank_chain.activity.erased import cells_of
from timebank_chain.activity.mapping import ColumnMapping, own_mapping
from timebank_chain.activity.record import RawRecord
from timebank_chain.activity.sources.files import open_input
from timebank_chain.activity.sources.jsonl import MAX_LINE_BYTES, json_record
from timebank_chain.activity.table import SCHEMA_NAME, read_activity, write_activity
from timebank_chain.documents import parse_json
from timebank_chain.errors import ActivityError, AttentionError
from timebank_chain.oracle.journal import FeedMark

#: What stands where another member's row named the erased one.
REDACTED = "[erased]"
LINES = frozenset({".csv", ".jsonl", ".ndjson"})
ROWS = LINES | {".parquet"}

_BOM = b"\xef\xbb\xbf"
_GZIP = b"\x1f\x8b"
_FOREIGN = ("", "foreign columns")
_MARK_HINT = (
    "the oracle would stop at it too: settle that first (timebank oracle run --forget-feed), then erase"
)


@dataclass(frozen=True)
class Whose:
    """Tells a member's rows.

    A row whose columns are understood is told by its member alone. In any other, a cell that equals the
    member's id tells, if the id cannot be taken for a number or a word.

    Attributes
    ----------
    member
        The outside id.
    acts
        Ids of the member's acts, as far as they are known.
    """

    member: str
    acts: frozenset[str] = frozenset()

    @property
    def distinctive(self) -> bool:
        """Whether the id can be looked for in text: four characters or more, and not all digits."""
        return len(self.member) >= 4 and not self.member.isdigit()

    def owns(self, record: RawRecord) -> bool:
        """Tell whether a record is the member's."""
        if isinstance(record.member, str):
            return record.member.strip() == self.member
        if isinstance(record.id, str) and record.id in self.acts:
            return True
        return self.distinctive and record.refused is not None and self.member in cells_of(record.original)

    def redacted(self, text: str) -> str:
        """Return a text without the member's id."""
        return self._pattern.sub(REDACTED, text) if self.distinctive else text

    @property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(rf"(?<!\w){re.escape(self.member)}(?!\w)", re.IGNORECASE)


@dataclass(frozen=True)
class Rewritten:
    """A file without some of its rows, written aside.

    Attributes
    ----------
    part
        The new file beside the old one, or ``None`` where nothing changes.
    dropped
        The records that are not in it.
    redacted
        How many other rows named the member in a column nobody reads.
    mark
        What the oracle has to remember of the new file, if it remembered the old one.
    """

    path: Path
    part: Path | None
    dropped: tuple[RawRecord, ...]
    redacted: int = 0
    kept: int = 0
    mark: FeedMark | None = None

    def replace(self) -> None:
        """Put the new file in the old one's place."""
        if self.part is not None:
            try:
                self.part.replace(self.path)
            except OSError as error:
                self.discard()
                raise AttentionError(f"cannot be replaced: {error.strerror}", where=str(self.path)) from error

    def discard(self) -> None:
        """Throw the new file away."""
        if self.part is not None:
            self.part.unlink(missing_ok=True)


def rows_of_file(path: Path, mapping: ColumnMapping | None) -> Iterator[RawRecord]:
    """Yield every row of a file; where neither the mapping nor our own names fit, refused as foreign."""
    kind = path.suffix.lower()
    if kind == ".parquet":
        yield from (record for record, _ in _parquet_rows(path, mapping))
        return
    with _lines_of(path) as lines:
        rows = _csv_rows(lines, path, mapping) if kind == ".csv" else _json_rows(lines, path, mapping)
        yield from (row.record for row in rows if row.record is not None)


def without(
    path: Path,
    drop: Callable[[RawRecord], bool],
    *,
    mapping: ColumnMapping | None = None,
    whose: Whose | None = None,
    mark: FeedMark | None = None,
) -> Rewritten:
    """Write a file aside without the rows that ``drop`` says.

    Parameters
    ----------
    path
        CSV, JSON lines or Parquet.
    drop
        Tells which rows go.
    mapping
        What the columns mean, where they carry other names than ours.
    whose
        Whose id is taken out of the columns of other rows that the mapping does not read.
    mark
        What the oracle remembers of the file.

    Raises
    ------
    AttentionError
        If the file is not the one the oracle read, is no table, or cannot be written.
    """
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise AttentionError(
            f"nothing can be written beside it: {error.strerror}", where=str(path)
        ) from error
    part = Path(name)
    done = Rewritten(path, None, ())
    try:
        if path.suffix.lower() == ".parquet":
            done = _parquet_without(path, part, drop, mapping, whose, mark)
        else:
            done = _lines_without(path, part, drop, mapping, whose, mark)
        if done.part is not None:
            shutil.copymode(path, part)
        return done
    except OSError as error:
        raise AttentionError(f"cannot be rewritten: {error}", where=str(path)) from error
    finally:
        if done.part is None:
            part.unlink(missing_ok=True)


# --- lines -------------------------------------------------------------------------------------------


@dataclass
class _Row:
    """Lines that belong together; ``record`` is ``None`` for a header or an empty line."""

    lines: list[bytes]
    record: RawRecord | None = None
    rebuild: Callable[[Callable[[str], str]], list[bytes]] | None = None


def _lines_without(
    path: Path,
    part: Path,
    drop: Callable[[RawRecord], bool],
    mapping: ColumnMapping | None,
    whose: Whose | None,
    mark: FeedMark | None,
) -> Rewritten:
    packed = _is_packed(path)
    if packed and mark is not None:
        raise AttentionError(
            "the oracle reads this file while it is packed, so its rows cannot be taken out",
            where=str(path),
            hint="unpack it, run the oracle once with --forget-feed, then erase",
        )
    dropped: list[RawRecord] = []
    kept = redacted = 0
    boundary = _Boundary(mark)
    last = b""
    with _lines_of(path) as lines, _packing(part, packed) as out:
        rows = (
            _csv_rows(lines, path, mapping)
            if path.suffix.lower() == ".csv"
            else _json_rows(lines, path, mapping)
        )
        for row in rows:
            new = row.lines
            if row.record is not None:
                if drop(row.record):
                    dropped.append(row.record)
                    new = [_line_end(line) for line in row.lines]
                else:
                    kept += 1
                    if whose is not None and row.rebuild is not None:
                        new = row.rebuild(whose.redacted)
                        redacted += new != row.lines
            for old_line, new_line in zip(row.lines, new, strict=True):
                if last.endswith(b"\r") and new_line == b"\n":
                    new_line = b"\r\n"  # two line ends must not become one
                last = new_line
                boundary.step(old_line, new_line)
                out.write(new_line)
    moved = boundary.moved(path)
    changed = bool(dropped or redacted)
    return Rewritten(path, part if changed else None, tuple(dropped), redacted, kept, moved)


class _Boundary:
    """Finds, in the new file, where the oracle's reading of the old one ended."""

    def __init__(self, mark: FeedMark | None) -> None:
        self.mark = mark
        self.old_size = self.new_size = 0
        self.old, self.new = hashlib.sha256(), hashlib.sha256()
        self.found: FeedMark | None = None
        self.done_before = False
        if mark is not None:
            self._look(mark)

    def step(self, old: bytes, new: bytes) -> None:
        if self.mark is None:
            return
        self.old.update(old)
        self.new.update(new)
        self.old_size += len(old)
        self.new_size += len(new)
        self._look(self.mark)

    def _look(self, mark: FeedMark) -> None:
        if self.old_size == mark.size and self.old.hexdigest() == mark.sha256:
            self.found = replace(mark, size=self.new_size, sha256=self.new.hexdigest())
        elif self.new_size == mark.size and self.new.hexdigest() == mark.sha256:
            # An erasure that was interrupted after the journal and before the file.
            self.done_before = True

    def moved(self, path: Path) -> FeedMark | None:
        if self.mark is None or self.found is not None:
            return self.found
        if self.done_before:
            return self.mark
        raise AttentionError(
            "the file is not the one the oracle read: it shrank or was rewritten",
            where=str(path),
            hint=_MARK_HINT,
        )


def _csv_rows(lines: Iterator[bytes], path: Path, mapping: ColumnMapping | None) -> Iterator[_Row]:
    taken: list[bytes] = []

    def text() -> Iterator[str]:
        for line in lines:
            taken.append(line)
            plain = line.removeprefix(_BOM) if len(taken) == 1 and first else line
            yield plain.decode("utf-8", "surrogateescape")

    first = True
    reader = csv.reader(text(), strict=True)
    try:
        header = [cell.strip() for cell in next(reader, [])]
        yield _Row(taken[:])
        taken.clear()
        first = False
        rules = rules_for(header, mapping)
        unread = None if rules is None else [name not in rules.columns() for name in header]
        line = reader.line_num + 1
        for cells in reader:
            row, here, line = _Row(taken[:]), line, reader.line_num + 1
            taken.clear()
            if cells:
                row.record = _csv_record(cells, header, rules, str(path), here)
                if len(cells) == len(header) and unread is not None and any(unread):
                    row.rebuild = _csv_rebuild(cells, unread, row.lines)
            yield row
        if taken:
            yield _Row(taken)
    except csv.Error as error:
        raise AttentionError(
            f"not CSV: {error}",
            where=f"{path}:{reader.line_num}",
            hint="look for a quote that does not close",
        ) from error


def _csv_record(
    cells: list[str], header: list[str], rules: ColumnMapping | None, name: str, line: int
) -> RawRecord:
    if len(cells) != len(header):
        return RawRecord(name, line, original=",".join(cells), refused=("", "wrong number of cells"))
    row = dict(zip(header, cells, strict=True))
    if rules is None:
        return RawRecord(name, line, original=row, refused=_FOREIGN)
    return rules.record(row, name, line)


def _csv_rebuild(
    cells: list[str], unread: list[bool], lines: list[bytes]
) -> Callable[[Callable[[str], str]], list[bytes]]:
    def rebuild(change: Callable[[str], str]) -> list[bytes]:
        new = [change(cell) if open_ else cell for cell, open_ in zip(cells, unread, strict=True)]
        if new == cells:
            return lines
        buffer = io.StringIO(newline="")
        csv.writer(buffer, lineterminator="").writerow(new)
        encoded = buffer.getvalue().encode("utf-8", "surrogateescape") + _line_end(lines[-1])
        return encoded.splitlines(keepends=True)

    return rebuild


def _json_rows(lines: Iterator[bytes], path: Path, mapping: ColumnMapping | None) -> Iterator[_Row]:
    for number, raw in enumerate(lines, start=1):
        text = raw.removeprefix(_BOM).decode("utf-8", "surrogateescape").strip()
        row = _Row([raw])
        if text:
            row.record, rules = _json_record(text, str(path), number, mapping)
            if rules is not None:
                row.rebuild = _json_rebuild(text, rules, raw)
        yield row


def _json_record(
    text: str, name: str, line: int, mapping: ColumnMapping | None
) -> tuple[RawRecord, ColumnMapping | None]:
    if mapping is not None:
        mapped = json_record(text, name, line, mapping)
        if mapped.member is not None:
            return mapped, mapping
    own = json_record(text, name, line)
    if own.refused is None:
        return own, None
    try:
        row = parse_json(text)
    except (ValueError, ArithmeticError):
        row = None
    original: Mapping[str, object] | str = row if isinstance(row, dict) else text
    if isinstance(row, dict) and isinstance(row.get("member"), str):
        return replace(own, member=row["member"], original=original), None
    return RawRecord(name, line, original=original, refused=_FOREIGN), None


def _json_rebuild(
    text: str, rules: ColumnMapping, raw: bytes
) -> Callable[[Callable[[str], str]], list[bytes]]:
    read = set(rules.columns())

    def walk(value: object, place: str, change: Callable[[str], str]) -> object:
        if place in read:
            return value
        if isinstance(value, dict):
            return {
                key: walk(inner, f"{place}.{key}" if place else key, change) for key, inner in value.items()
            }
        if isinstance(value, list):
            return [walk(inner, place, change) for inner in value]
        return change(value) if isinstance(value, str) else value

    def rebuild(change: Callable[[str], str]) -> list[bytes]:
        if change(text) == text:
            return [raw]
        # Numbers pass as text behind a word nobody guesses, so that they keep the digits they have.
        guard = secrets.token_hex(16)
        before = parse_json(text, parse_float=lambda digits: guard + digits)
        after = walk(before, "", change)
        if after == before:
            return [raw]
        line = re.sub(rf'"{guard}([^"]*)"', r"\1", json.dumps(after, ensure_ascii=False))
        return [line.encode("utf-8", "surrogateescape") + _line_end(raw)]

    return rebuild


def rules_for(columns: list[str], mapping: ColumnMapping | None) -> ColumnMapping | None:
    """Return what the columns mean: by the mapping if it fits, by our own names, or ``None``."""
    if mapping is not None and set(mapping.columns()) <= set(columns):
        return mapping
    try:
        return own_mapping(columns, "")
    except ActivityError:
        return None


def _line_end(line: bytes) -> bytes:
    return line[len(line.rstrip(b"\r\n")) :]


def _is_packed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == _GZIP


class _lines_of:  # noqa: N801 - reads as a statement: `with _lines_of(path) as lines:`
    """The lines of a file, plain or packed, with their ends, as the feed readers tell them apart."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._input = open_input(path)

    def __enter__(self) -> Iterator[bytes]:
        binary = self._input.__enter__()
        return self._csv(binary) if self.path.suffix.lower() == ".csv" else self._json(binary)

    def __exit__(self, *error: object) -> None:
        self._input.__exit__(*error)  # type: ignore[arg-type]  # handed through as it came

    def _csv(self, binary: BinaryIO) -> Iterator[bytes]:
        # latin-1 keeps every byte; only line ends matter here, a lone carriage return among them.
        with io.TextIOWrapper(binary, encoding="latin-1", newline="") as text:
            for line in text:
                yield line.encode("latin-1")

    def _json(self, binary: BinaryIO) -> Iterator[bytes]:
        while line := binary.readline(MAX_LINE_BYTES):
            yield line


class _packing:  # noqa: N801 - as above
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


# --- Parquet -----------------------------------------------------------------------------------------


def _parquet_rows(path: Path, mapping: ColumnMapping | None) -> Iterator[tuple[RawRecord, list[str]]]:
    """Yield each row's record, and the columns nobody reads."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            columns = [name for name in file.schema_arrow.names if name != "salt"]
            rules = rules_for(list(file.schema_arrow.names), mapping)
            unread = [] if rules is None else [name for name in columns if name not in rules.columns()]
            line = 0
            for batch in file.iter_batches(batch_size=8_192, columns=columns):
                for row in batch.to_pylist():
                    line += 1
                    if rules is None:
                        yield RawRecord(str(path), line, original=row, refused=_FOREIGN), unread
                    else:
                        yield rules.record(row, str(path), line), unread
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise AttentionError(
            f"not a readable Parquet file: {str(error).splitlines()[0] if str(error) else error!r}",
            where=str(path),
        ) from error


def _parquet_without(
    path: Path,
    part: Path,
    drop: Callable[[RawRecord], bool],
    mapping: ColumnMapping | None,
    whose: Whose | None,
    mark: FeedMark | None,
) -> Rewritten:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    dropped: list[RawRecord] = []
    stays: list[bool] = []
    named: dict[int, dict[str, str]] = {}
    for record, unread in _parquet_rows(path, mapping):
        gone = drop(record)
        stays.append(not gone)
        if gone:
            dropped.append(record)
        elif whose is not None and isinstance(record.original, Mapping):
            cells = {name: record.original[name] for name in unread}
            changes = {
                name: new
                for name, cell in cells.items()
                if isinstance(cell, str) and (new := whose.redacted(cell)) != cell
            }
            if changes:
                named[len(stays) - 1] = changes
    if mark is not None and len(stays) < mark.rows:
        raise AttentionError(
            f"the file is not the one the oracle read: it has {len(stays)} rows, {mark.rows} were read",
            where=str(path),
            hint=_MARK_HINT,
        )
    kept = sum(stays)
    if not dropped and not named:
        return Rewritten(path, None, (), 0, kept, mark)
    table = pq.read_table(path)
    if (table.schema.metadata or {}).get(b"timebank.schema") == SCHEMA_NAME.encode():
        write_activity(read_activity(path).take(np.flatnonzero(stays)), part)
    else:
        for column in {name for changes in named.values() for name in changes}:
            values = table[column].to_pylist()
            for row, changes in named.items():
                values[row] = changes.get(column, values[row])
            position = table.schema.get_field_index(column)
            kind = table.schema.field(position)
            table = table.set_column(position, kind, pa.array(values, kind.type))
        pq.write_table(table.filter(pa.array(stays)), part, compression="zstd")
    moved = None
    if mark is not None:
        content = part.read_bytes()
        # Rows are only appended: as many of those read before stay as stand among the first ones.
        rows = sum(stays[: mark.rows])
        moved = FeedMark(mark.name, len(content), hashlib.sha256(content).hexdigest(), rows)
    return Rewritten(path, part, tuple(dropped), len(named), kept, moved)
