"""CSV: comma-separated rows under a header, UTF-8, plain or gzip."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from timebank_chain.activity.mapping import ColumnMapping, own_mapping
from timebank_chain.activity.record import RawRecord
from timebank_chain.activity.sources.files import MAX_LINE, open_input
from timebank_chain.errors import ActivityError


def csv_rows(
    path: Path | str, mapping: ColumnMapping | None = None, *, source: str | None = None
) -> Iterator[RawRecord]:
    """Yield the rows of a CSV file as raw records.

    Parameters
    ----------
    path
        The file.
    mapping
        What the columns mean; ``None``: they carry our own names (`own_mapping`).
    source
        What the rejects call the file, default its path.

    Raises
    ------
    ActivityError
        If the file as a whole is no CSV: no header, repeated column names, a quote that never closes, a row
        longer than ``MAX_LINE`` characters (no more of it is read).
        A single row with too few or too many cells is refused by itself.
    """
    name = source or str(path)
    # Bytes that are no UTF-8 become lone surrogates, which the cleaner rejects row by row.
    with (
        open_input(path) as binary,
        io.TextIOWrapper(binary, encoding="utf-8-sig", errors="surrogateescape", newline="") as text,
    ):
        lines = _Lines(text, name)
        reader = csv.reader(lines, strict=True)
        try:
            header = [cell.strip() for cell in next(reader, [])]
            _check_header(header, name)
            rules = mapping or own_mapping(header, name)
            rules.check_columns(header, name)
            lines.start_row()
            for cells in reader:
                here = lines.row_start
                lines.start_row()
                if not cells:
                    continue
                if len(cells) != len(header):
                    yield RawRecord(
                        name,
                        here,
                        original=",".join(cells),
                        refused=(
                            "",
                            f"wrong number of cells: {len(cells)} where the header has {len(header)}",
                        ),
                    )
                else:
                    yield rules.record(dict(zip(header, cells, strict=True)), name, here)
        except csv.Error as error:
            raise ActivityError(
                f"not CSV: {error}",
                where=f"{name}:{reader.line_num}",
                hint="look for a quote that does not close",
            ) from error


class _Lines:
    """The lines of a text, as long as no row of them gets too long.

    Attributes
    ----------
    row_start
        Number of the row's first line, from 1.
    """

    def __init__(self, text: TextIO, name: str) -> None:
        self.row_start = 1
        self._text = text
        self._name = name
        self._count = 0
        self._room = MAX_LINE

    def start_row(self) -> None:
        """Say that the next line begins a row."""
        self.row_start, self._room = self._count + 1, MAX_LINE

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._text.readline(self._room + 1)
        if not line:
            raise StopIteration
        self._count += 1
        self._room -= len(line)
        if self._room < 0:
            raise ActivityError(
                f"a row is longer than {MAX_LINE:,} characters",
                where=f"{self._name}:{self.row_start}",
                hint="write one act a line; look for a quote that does not close",
            )
        return line


def _check_header(header: list[str], name: str) -> None:
    if not any(header):
        raise ActivityError(
            "the file has no header", where=f"{name}:1", hint="make column names the first line"
        )
    for column in header:
        if header.count(column) > 1:
            raise ActivityError(
                f"column {column!r} stands twice in the header",
                where=f"{name}:1",
                hint="rename one of the two",
            )
