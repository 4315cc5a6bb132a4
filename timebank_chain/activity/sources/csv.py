"""CSV: comma-separated rows under a header, UTF-8, plain or gzip."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from timebank_chain.activity.mapping import ColumnMapping, own_mapping
from timebank_chain.activity.record import RawRecord
from timebank_chain.activity.sources.files import open_input
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
        If the file as a whole is no CSV: no header, repeated column names, a quote that never closes.
        A single row with too few or too many cells is refused by itself.
    """
    name = source or str(path)
    # Bytes that are no UTF-8 become lone surrogates, which the cleaner rejects row by row.
    with (
        open_input(path) as binary,
        io.TextIOWrapper(binary, encoding="utf-8-sig", errors="surrogateescape", newline="") as text,
    ):
        reader = csv.reader(text, strict=True)
        try:
            header = [cell.strip() for cell in next(reader, [])]
            _check_header(header, name)
            rules = mapping or own_mapping(header, name)
            rules.check_columns(header, name)
            line = reader.line_num + 1
            for cells in reader:
                here, line = line, reader.line_num + 1
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
