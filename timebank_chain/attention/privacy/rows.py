"""One member's rows in a file of rows, and the file without them, so that whoever reads it goes on.

Files are read as the feed readers read them. In CSV and JSON lines a dropped row leaves its line ends and
nothing else: readers pass over empty lines, and the others' rows keep the line numbers that rejects name.
What the oracle has read of a growing file is remembered as (bytes, SHA-256); the same boundary in the
rewritten file is found on the way, if the file is still the one that was read.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from timebank_chain.activity.erased import cells_of
from timebank_chain.activity.mapping import ColumnMapping
from timebank_chain.activity.record import RawRecord
from timebank_chain.activity.rules import cell_value
from timebank_chain.activity.table import SCHEMA_NAME, read_activity, write_activity
from timebank_chain.attention.collect.feed import ERASED
from timebank_chain.attention.privacy.member_tables import (
    ACTED,
    FOREIGN,
    MEMBER,
    acting_names,
    feed_without,
    foreign_record,
    is_feed,
    renew_manifests,
    unread,
    whole_number,
)
from timebank_chain.attention.privacy.row_lines import (
    csv_line_rows,
    is_packed,
    json_line_rows,
    line_end,
    lines_of,
    packing,
    row_suffix,
    rules_for,
)
from timebank_chain.attention.privacy.spellings import (
    Doubts,
    equals,
    has_foreign_bytes,
    in_other_encodings,
    may_be,
)
from timebank_chain.attention.privacy.traces import distinctive
from timebank_chain.errors import AttentionError
from timebank_chain.oracle.journal import FeedMark

#: What stands where another member's row named the erased one.
REDACTED = ERASED

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
    aliases
        What sources call the member, if they have other names for them.
    """

    member: str
    acts: frozenset[str] = frozenset()
    aliases: frozenset[str] = frozenset()

    @cached_property
    def names(self) -> frozenset[str]:
        """The member's id and aliases."""
        return self.aliases | {self.member}

    @cached_property
    def searchable(self) -> frozenset[str]:
        """Those of the names that can be looked for in text."""
        return frozenset(filter(distinctive, self.names))

    @cached_property
    def is_latin(self) -> bool:
        """Whether all names are written alike in every encoding that begins with ASCII."""
        return all(map(str.isascii, self.names))

    @property
    def distinctive(self) -> bool:
        """Whether all names can be looked for in text: four characters or more, and not all digits."""
        return self.searchable == self.names

    def owns(self, record: RawRecord) -> bool:
        """Tell whether a record is the member's."""
        if isinstance(record.member, str):
            # A feed of ours takes 4711.0 for another member than 4711; elsewhere both are one number.
            told = self.is_called if record.refused == FOREIGN else self.names.__contains__
            return told(record.member.strip())
        if isinstance(record.id, str) and record.id in self.acts:
            return True
        if record.refused == ACTED:
            # Somebody else's record that names the member is theirs.
            return not self.names.isdisjoint(_actors(record))
        if record.refused is None or not self.searchable:
            return False
        # xAPI writes an address as a URI.
        cells = (cell.removeprefix("mailto:") for cell in cells_of(record.original))
        return not self.searchable.isdisjoint(cells)

    def is_called(self, text: str) -> bool:
        """Tell whether a cell is one of the names, also as a whole number that became a float."""
        return text in self.names or whole_number(text) in self.names

    def fills(self, text: str) -> bool:
        """Tell whether a text as a whole is one of the names, in any capitals or writing of a number."""
        return self.is_called(text) or text.casefold() in self._folded or equals(text, self.names)

    @cached_property
    def _folded(self) -> frozenset[str]:
        return frozenset(map(str.casefold, self.names))

    def may_be_called(self, text: str) -> bool:
        """Tell whether a cell may be, in another writing, a name that cannot be looked for in text."""
        return self.is_coded(text) or (not self.distinctive and may_be(text, self.names - self.searchable))

    def is_coded(self, text: str) -> bool:
        """Tell whether a cell is one of the names in another encoding than UTF-8, as which it was read."""
        return text.strip() in self._coded

    @cached_property
    def _coded(self) -> frozenset[str]:
        return frozenset().union(*map(in_other_encodings, self.names)) - self.names

    def redacted(self, text: str) -> str:
        """Return a text without the member's names."""
        return text if self._pattern is None else self._pattern.sub(REDACTED, text)

    def redacted_cell(self, text: str) -> str:
        """Return the cell of a column that names things or people: a short name is out if it fills it."""
        return REDACTED if text.strip() in self.names else self.redacted(text)

    @cached_property
    def _pattern(self) -> re.Pattern[str] | None:
        if not self.searchable:
            return None
        # The longest first: one name may begin as another does.
        names = "|".join(map(re.escape, sorted(self.searchable, key=len, reverse=True)))
        return re.compile(rf"(?<!\w)(?:{names})(?!\w)", re.IGNORECASE)


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
        """Put the new file in the old one's place, and what is said of it in manifests before.

        Raises
        ------
        AttentionError
            If it cannot be put there.
        """
        if self.part is not None:
            try:
                # Cut off between the two, this is done again as long as the old file is there.
                renew_manifests(self.path, self.part, self.kept)
                self.part.replace(self.path)
            except OSError as error:
                self.discard()
                raise AttentionError(f"cannot be replaced: {error.strerror}", where=str(self.path)) from error

    def discard(self) -> None:
        """Throw the new file away."""
        if self.part is not None:
            self.part.unlink(missing_ok=True)


def rows_of_file(path: Path, mapping: ColumnMapping | None, column: str | None = None) -> Iterator[RawRecord]:
    """Yield every row of a file; where neither the mapping nor our own names fit, refused as foreign.

    Parameters
    ----------
    column
        The column that holds the member, named for this file; empty: nobody is in it.
    """
    kind = row_suffix(path)
    if kind == ".parquet":
        yield from (record for record, _ in _parquet_rows(path, mapping, column))
        return
    with lines_of(path) as lines:
        read = csv_line_rows if kind == ".csv" else json_line_rows
        yield from (row.record for row in read(lines, path, mapping, column) if row.record is not None)


def unclear_rows(path: Path, mapping: ColumnMapping | None, whose: Whose, column: str | None) -> str:
    """Say why rows of a person may be left in a file that no search finds; empty where none may.

    A name that can be looked for in text is found wherever it stands as text. A short one, or a number, is
    told by the member's column alone, and may stand there in another writing; and no name is found in a
    column of that kind whose cells are no ids.
    """
    if column == "" or (whose.distinctive and column is None):
        return ""
    foreign = damaged = strange = 0
    columns: set[str] = set()
    kinds: set[str] = set()
    doubts, ours = Doubts(), Doubts()
    for record in rows_of_file(path, mapping, column):
        if whose.owns(record):
            continue
        if record.refused == ACTED:
            for name in filter(whose.may_be_called, _actors(record)):
                doubts.add(name)
            continue
        if isinstance(record.member, str) and record.member.strip():
            if not whose.is_latin and has_foreign_bytes(record.member):
                strange += 1
                kinds.add("text that is no UTF-8")
            elif record.refused != FOREIGN:
                # Feeds of ours are read by character: only a number is likely to have been another one.
                if whose.is_coded(record.member) or equals(record.member, whose.names):
                    ours.add(record.member)
            elif whose.may_be_called(record.member):
                doubts.add(record.member)
            continue
        if record.refused is None:
            continue
        row = record.original if isinstance(record.original, Mapping) else {}
        cell = cell_value(row, column or MEMBER)
        if record.refused == FOREIGN and not _is_blank(cell):
            strange += 1
            kinds.add(type(cell).__name__)
            continue
        if whose.distinctive:
            continue
        named = [name for name, cell in row.items() if any(map(whose.fills, cells_of([cell])))]
        if record.refused != FOREIGN:
            damaged += any(map(whose.is_called, cells_of(record.original)))
        elif (column or MEMBER) not in row or named:
            foreign += 1
            columns.update(named)
    found = [f"no member's column is known of {foreign:,} rows"] if foreign else []
    if columns:
        found.append(f"the id fills cells of {', '.join(sorted(columns))}")
    if strange:
        what = f"{strange:,} cells of {column or MEMBER}"
        found.append(f"{what} are of a kind that no id is compared with: {', '.join(sorted(kinds))}")
    if damaged:
        found.append(f"{damaged:,} rows that cannot be read hold the id")
    found += [doubts.told(f"cells of {column or MEMBER}"), ours.told("cells of members")]
    return "; ".join(filter(None, found))


def _actors(record: RawRecord) -> frozenset[str]:
    return acting_names(record.original) if isinstance(record.original, Mapping) else frozenset()


def _is_blank(cell: object) -> bool:
    """Tell whether a cell is nobody's: empty, or no number where all are numbers."""
    if isinstance(cell, str):
        return not cell.strip()
    return cell is None or (isinstance(cell, float) and math.isnan(cell))


def without(
    path: Path,
    drop: Callable[[RawRecord], bool],
    *,
    mapping: ColumnMapping | None = None,
    whose: Whose | None = None,
    mark: FeedMark | None = None,
    column: str | None = None,
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
    column
        The column that holds the member, as for `rows_of_file`.

    Raises
    ------
    AttentionError
        If the file is not the one the oracle read, is no table, or cannot be written.
    """
    # No `writing_whole`: the new file outlives this call; its caller moves the oracle's mark, then puts it
    # in place, or on a dry run throws it away.
    try:
        handle, name = tempfile.mkstemp(
            prefix=f".{path.name}.", suffix=f".part{path.suffix}", dir=path.parent
        )
        os.close(handle)
    except OSError as error:
        raise AttentionError(
            f"nothing can be written beside it: {error.strerror}", where=str(path)
        ) from error
    part = Path(name)
    done = Rewritten(path, None, ())
    try:
        if mark is None and is_feed(path):
            change = (lambda cell: cell) if whose is None else whose.redacted_cell
            gone, redacted, kept = feed_without(path, part, drop, change)
            changed = part if gone or redacted else None
            done = Rewritten(path, changed, tuple(gone), redacted, kept)
        elif path.suffix.lower() == ".parquet":
            done = _parquet_without(path, part, drop, mapping, whose, mark, column)
        else:
            done = _lines_without(path, part, drop, mapping, whose, mark, column)
        if done.part is not None:
            shutil.copymode(path, part)
        return done
    except OSError as error:
        raise AttentionError(f"cannot be rewritten: {error}", where=str(path)) from error
    finally:
        if done.part is None:
            part.unlink(missing_ok=True)


# --- lines -------------------------------------------------------------------------------------------


def _lines_without(
    path: Path,
    part: Path,
    drop: Callable[[RawRecord], bool],
    mapping: ColumnMapping | None,
    whose: Whose | None,
    mark: FeedMark | None,
    column: str | None,
) -> Rewritten:
    packed = is_packed(path)
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
    with lines_of(path) as lines, packing(part, packed) as out:
        read = csv_line_rows if row_suffix(path) == ".csv" else json_line_rows
        for row in read(lines, path, mapping, column):
            new = row.lines
            if row.record is not None:
                if drop(row.record):
                    dropped.append(row.record)
                    new = [line_end(line) for line in row.lines]
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


# --- Parquet -----------------------------------------------------------------------------------------


def _parquet_rows(
    path: Path, mapping: ColumnMapping | None, column: str | None = None
) -> Iterator[tuple[RawRecord, list[str]]]:
    """Yield each row's record, and the columns nobody reads."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    # From where on a float of so few bits stands for several integers.
    exact = {pa.float16(): (2.0**11, np.float16), pa.float32(): (2.0**24, np.float32)}
    try:
        with pq.ParquetFile(path) as file:
            columns = [name for name in file.schema_arrow.names if name != "salt"]
            rules = rules_for(list(file.schema_arrow.names), mapping, column, path)
            free = (
                unread(columns, column)
                if rules is None
                else [name for name in columns if name not in rules.columns()]
            )
            line = 0
            short = [(one.name, *exact[one.type]) for one in file.schema_arrow if one.type in exact]
            for batch in file.iter_batches(batch_size=8_192, columns=columns):
                for row in batch.to_pylist():
                    line += 1
                    for name, least, rounded in short:
                        if row[name] is not None and abs(row[name]) >= least:
                            row[name] = rounded(row[name])  # which says no id
                    if rules is None:
                        yield foreign_record(row, str(path), line, column), free
                    else:
                        yield rules.record(row, str(path), line), free
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
    column: str | None,
) -> Rewritten:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    dropped: list[RawRecord] = []
    stays: list[bool] = []
    named: dict[int, dict[str, str]] = {}
    for record, free in _parquet_rows(path, mapping, column):
        gone = drop(record)
        stays.append(not gone)
        if gone:
            dropped.append(record)
        elif whose is not None and isinstance(record.original, Mapping):
            cells = {name: record.original[name] for name in free}
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
    table = _without_views(pq.read_table(path))
    if (table.schema.metadata or {}).get(b"timebank.schema") == SCHEMA_NAME.encode():
        write_activity(read_activity(path).take(np.flatnonzero(stays)), part)
    else:
        for changed in {name for changes in named.values() for name in changes}:
            values = table[changed].to_pylist()
            for row, changes in named.items():
                values[row] = changes.get(changed, values[row])
            position = table.schema.get_field_index(changed)
            kind = table.schema.field(position)
            table = table.set_column(position, kind, pa.array(values, _plain_type(kind.type)).cast(kind.type))
        pq.write_table(_without_unused(table.filter(pa.array(stays))), part, compression="zstd")
    moved = None
    if mark is not None:
        content = part.read_bytes()
        # Rows are only appended: as many of those read before stay as stand among the first ones.
        rows = sum(stays[: mark.rows])
        moved = FeedMark(mark.name, len(content), hashlib.sha256(content).hexdigest(), rows)
    return Rewritten(path, part, tuple(dropped), len(named), kept, moved)


def _without_views(table: Any) -> Any:
    """Return a table whose texts and bytes are no views, which Arrow cannot filter."""
    import pyarrow as pa

    plain = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}
    fields = [field.with_type(plain.get(field.type, field.type)) for field in table.schema]
    return table.cast(pa.schema(fields, table.schema.metadata))


def _plain_type(kind: Any) -> Any:
    """Return the type of the values where a column is kept as a dictionary of them."""
    import pyarrow as pa

    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _without_unused(table: Any) -> Any:
    """Return a table whose dictionaries hold what its rows use and nothing else.

    Rows that are filtered out leave their values in the dictionary, and the file would still hold them.
    """
    import pyarrow as pa

    for position, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            values = pa.chunked_array(
                [chunk.cast(field.type.value_type) for chunk in table.column(position).chunks],
                type=field.type.value_type,
            )
            table = table.set_column(
                position, field, values.combine_chunks().dictionary_encode().cast(field.type)
            )
    return table
