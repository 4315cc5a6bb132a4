"""A table from outside, CSV or JSON lines, as columns of text that are checked when they are asked for."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from timebank_chain.documents import TooLarge, parse_json, read_small_text
from timebank_chain.errors import AttentionError
from timebank_chain.units import parse_time

#: A million rows of a log take about a quarter of it.
MAX_LOG_BYTES = 256 << 20
MAX_COLUMNS = 1_000
MAX_CELL = 4_096

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Columns:
    """Rows of a file by column, as text; ``lines`` are the rows' line numbers (from 1)."""

    path: Path
    cells: dict[str, list[str]]
    lines: list[int]

    def __len__(self) -> int:
        return len(self.lines)

    def place(self, row: int, column: str) -> str:
        """Name a cell: ``log.csv:17, field 'at'``."""
        return f"{self.path}:{self.lines[row]}, field {column!r}"

    def require(self, names: Sequence[str], *, what: str) -> None:
        """Check that columns are there.

        Raises
        ------
        AttentionError
            If one is not; the first is named.
        """
        for name in names:
            if name not in self.cells:
                raise AttentionError(
                    f"column {name!r} is missing",
                    hint=f"{what} needs {', '.join(names)}; the file has {', '.join(self.cells) or 'none'}"[
                        :500
                    ],
                    where=str(self.path),
                )

    def text(self, name: str) -> list[str]:
        """Return a column of non-empty texts.

        Raises
        ------
        AttentionError
            If a cell is empty.
        """
        found = self.cells[name]
        for row, cell in enumerate(found):
            if not cell:
                raise AttentionError("the cell is empty", where=self.place(row, name))
        return found

    def numbers(self, name: str, *, empty: float | None = None) -> NDArray[np.float64]:
        """Return a column of finite numbers, ``empty`` for an empty cell where that is allowed.

        Raises
        ------
        AttentionError
            If a cell is empty, no number, or not finite.
        """
        values = np.empty(len(self), dtype=np.float64)
        for row, cell in enumerate(self.cells[name]):
            if not cell and empty is not None:
                values[row] = empty
                continue
            # float() would take "nan", "infinity" and "1_000" too.
            number = float(cell) if _NUMBER.fullmatch(cell) else math.nan
            if not math.isfinite(number):
                raise AttentionError(
                    f"{cell[:60]!r} is no finite number" if cell else "the cell is empty",
                    hint="every row needs a plain number: 12, 0.5 or 1e-3",
                    where=self.place(row, name),
                )
            values[row] = number
        return values

    def times(self, name: str) -> NDArray[np.int64]:
        """Return a column of times as Unix milliseconds.

        Raises
        ------
        AttentionError
            If a cell is no time with a zone.
        """
        values = np.empty(len(self), dtype=np.int64)
        for row, cell in enumerate(self.cells[name]):
            try:
                values[row] = parse_time(cell)
            except ValueError as error:
                raise AttentionError(str(error), where=self.place(row, name)) from None
        return values


def read_columns(path: Path, *, limit: int = MAX_LOG_BYTES) -> Columns:
    """Read ``*.jsonl`` as an object a line, anything else as CSV with a header.

    Raises
    ------
    AttentionError
        If the file cannot be read, is larger than ``limit`` bytes, not UTF-8, or a row does not fit.
    """
    try:
        text = read_small_text(path, limit).removeprefix("\ufeff")
    except TooLarge as error:
        raise AttentionError(f"too large: {error}", where=str(path)) from None
    except UnicodeDecodeError as error:
        raise AttentionError(f"not UTF-8: {error.reason}", where=str(path)) from None
    except OSError as error:
        raise AttentionError(f"cannot read the file: {error.strerror or error}", where=str(path)) from None
    table = _json_lines(path, text) if path.suffix == ".jsonl" else _csv(path, text)
    if not len(table):
        raise AttentionError("the file has no rows", where=str(path))
    return table


def _csv(path: Path, text: str) -> Columns:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        names = [name.strip() for name in next(reader, [])]
        if not names or len(names) > MAX_COLUMNS:
            raise AttentionError(f"expected a header of 1 to {MAX_COLUMNS} columns", where=f"{path}:1")
        if len(set(names)) != len(names):
            raise AttentionError("two columns have the same name", where=f"{path}:1")
        columns: list[list[str]] = [[] for _ in names]
        lines = []
        for row in reader:
            if not row:
                continue
            if len(row) != len(names):
                raise AttentionError(
                    f"{len(row)} cells under {len(names)} columns", where=f"{path}:{reader.line_num}"
                )
            for column, cell in zip(columns, row, strict=True):
                column.append(_cell(cell, f"{path}:{reader.line_num}"))
            lines.append(reader.line_num)
    except csv.Error as error:
        raise AttentionError(f"not CSV: {error}", where=f"{path}:{reader.line_num}") from None
    return Columns(path, dict(zip(names, columns, strict=True)), lines)


def _json_lines(path: Path, text: str) -> Columns:
    rows: list[dict[str, str]] = []
    lines = []
    names: dict[str, None] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            found = parse_json(line)
        except ValueError as error:
            raise AttentionError(f"not JSON: {error}", where=where) from None
        if not isinstance(found, dict):
            raise AttentionError("expected an object", where=where)
        names.update(dict.fromkeys(found))
        if len(names) > MAX_COLUMNS:
            raise AttentionError(f"more than {MAX_COLUMNS} fields", where=where)
        rows.append({name: _cell(_as_text(value, where, name), where) for name, value in found.items()})
        lines.append(number)
    return Columns(path, {name: [row.get(name, "") for row in rows] for name in names}, lines)


def _as_text(value: object, where: str, name: str) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, str | int | float):
        return str(value)
    raise AttentionError("expected a text or a number", where=f"{where}, field {name!r}")


def _cell(cell: str, where: str) -> str:
    if len(cell) > MAX_CELL:
        raise AttentionError(
            f"a cell of {len(cell):,} characters, at most {MAX_CELL:,} are read", where=where
        )
    return cell.strip()
