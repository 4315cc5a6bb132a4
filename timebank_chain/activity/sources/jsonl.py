"""JSON lines: one object a line, UTF-8, plain or gzip."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from timebank_chain.activity.mapping import ColumnMapping, own_mapping
from timebank_chain.activity.record import RawRecord
from timebank_chain.activity.sources.files import MAX_LINE, open_input
from timebank_chain.documents import TooDeep, parse_json
from timebank_chain.errors import ActivityError


def jsonl_rows(
    path: Path | str, mapping: ColumnMapping | None = None, *, source: str | None = None
) -> Iterator[RawRecord]:
    """Yield the lines of a JSON-lines file as raw records; empty lines are passed over.

    Numbers keep the digits they are written with. A line that is no JSON object, names a key twice or
    nests deeper than 64 levels is refused by itself.

    Parameters
    ----------
    path
        The file.
    mapping
        What the keys mean; ``None``: they carry our own names (`own_mapping`).
    source
        What the rejects call the file, default its path.

    Raises
    ------
    ActivityError
        If the file cannot be read or a line is longer than ``MAX_LINE`` bytes; no more of it is read.
    """
    name = source or str(path)
    with open_input(path) as binary:
        line = 0
        while raw := binary.readline(MAX_LINE + 1):
            line += 1
            if len(raw) > MAX_LINE:
                raise ActivityError(
                    f"a line is longer than {MAX_LINE:,} bytes",
                    where=f"{name}:{line}",
                    hint="write one JSON object a line",
                )
            text = raw.decode("utf-8-sig" if line == 1 else "utf-8", "surrogateescape").strip()
            if text:
                yield json_record(text, name, line, mapping)


def json_record(text: str, name: str, line: int, mapping: ColumnMapping | None = None) -> RawRecord:
    """Read one line of such a file; what cannot be read comes back refused."""
    try:
        row = parse_json(text, parse_float=Decimal, object_pairs_hook=_unique)
    except TooDeep as error:
        return RawRecord(name, line, original=text, refused=("", str(error)))
    except (ValueError, ArithmeticError) as error:
        return RawRecord(name, line, original=text, refused=("", f"not JSON: {error}"))
    if not isinstance(row, dict):
        return RawRecord(name, line, original=text, refused=("", "not a JSON object"))
    if mapping is None:
        try:
            mapping = own_mapping(tuple(row), f"{name}:{line}")
        except ActivityError as error:
            return RawRecord(name, line, original=text, refused=("", f"not our keys: {error.message}"))
    return mapping.record(row, name, line)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for key, value in pairs:
        if key in row:
            raise ValueError(f"key {key!r} stands twice")
        row[key] = value
    return row
