"""A CSV or Parquet table as a model's data, its columns as a `Task` says."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from timebank_chain.activity.sources.files import open_input
from timebank_chain.attention.model.dataset import (
    CATEGORICAL,
    LOG1P,
    Dataset,
    Feature,
    Floats,
    codes,
    forward,
    in_order,
)
from timebank_chain.attention.model.task import (
    ALL,
    AT_POSTING,
    MOST_COLUMNS,
    Task,
    duration,
    lengths_of,
)
from timebank_chain.errors import ActivityError, AttentionError, CheckFailed, UsageError
from timebank_chain.units import MAX_TIME_MS, format_time, parse_time

DAY_MS = 86_400_000
#: Most rows of a table.
MAX_ROWS = 2_000_000
#: Cells that say nothing, whatever their case.
EMPTY = frozenset({"", "na", "n/a", "nan", "null", "none"})
#: A column of which this part of the filled cells are numbers is meant to be one of numbers.
NEARLY_ALL = 0.9
#: Most columns named in one note.
_NAMED = 12

_OF_AGES = (
    "Times are ages in days at the moment the table was made: dates given here only keep order and distance."
)

_PARQUET_MAGIC = b"PAR1"
_WORD = re.compile(r"\w+")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")

Columns = Mapping[str, Sequence[Any]]


def table_dataset(
    path: Path, task: Task, *, features: Sequence[Feature] | None = None, now_ms: int | None = None
) -> Dataset:
    """Read a table.

    Parameters
    ----------
    path
        CSV (UTF-8, a header, plain or gzip) or Parquet, told apart by its first bytes.
    task
        What its columns mean.
    features
        Those of a model that is to predict: the table must have their columns, and words are coded as the
        model knows them. The target may then be missing, in a row or altogether.
    now_ms
        The present: what has a target cannot be dated later. ``None``: not looked at.

    Returns
    -------
    Dataset
        By time, as far as it can be read; `usable` refuses what cannot be learned from.

    Raises
    ------
    AttentionError
        If the file is no table, lacks a column, or a cell is not what its column is declared to be; if a
        column that ``*`` is to find holds nearly only numbers (`NEARLY_ALL`) and a cell that is none; if, to
        learn from, no row has a usable target; if a row with a target is dated after ``now_ms``.
    UsageError
        If a column that is ignored, or declared to be known at some time, is not in a table to learn from.
    CheckFailed
        If a feature is declared to be known only after posting; it names the column.
    """
    where = str(path)
    columns = _read(path)
    _need_columns(columns, task, where, target=features is None)
    rows = len(columns[task.time])
    notes: list[str] = []
    if features is None:
        numeric = _numeric_columns(columns, task, where, notes)
    else:
        numeric = _numeric_of(features, task)
    missing = [name for name in numeric if name not in columns]
    if missing:
        raise AttentionError(
            f"the table lacks the column {missing[0]!r}",
            where=where,
            hint="the model learned from it: predict from a table with the same columns",
        )
    time_ms = _times(columns[task.time], task, task.time, where)
    _check_availability(columns, task, numeric, time_ms, where)
    named, values = _features(columns, task, numeric, features, where)
    target = (
        _numbers(columns[task.target], task.target, where)
        if task.target in columns
        else np.full(rows, np.nan)
    )
    floor = -1.0 if task.transform == LOG1P else -math.inf
    unusable = ~np.isnan(target) & ~(np.isfinite(target) & (target > floor))
    if features is None:
        _need_targets(target, task.target, unusable, where)
    if unusable.any():
        notes.append(f"{int(unusable.sum()):,} rows with an infinite or impossible target were left out")
    if np.isnan(target).any():
        notes.append(f"{int(np.isnan(target).sum()):,} rows have no target")
    timeless = np.isnan(time_ms)
    if timeless.any():
        notes.append(f"{int(timeless.sum()):,} rows without a time were left out")
        if timeless.all():
            raise AttentionError(
                f"time {task.time!r} is missing in all {rows:,} rows",
                where=where,
                hint="name another column of times",
            )
    if now_ms is not None and task.time_kind != "age_days":
        _need_past(time_ms, target, now_ms, task.time, where)
    keep = ~timeless & ~unusable
    posted = time_ms[keep].astype(np.int64)
    window_ms = duration(task.known_after)
    ids = columns[task.id] if task.id is not None else range(1, rows + 1)
    return in_order(
        Dataset(
            name=path.name,
            features=named,
            ids=tuple(str(one) for one, kept in zip(ids, keep.tolist(), strict=True) if kept),
            time_ms=posted,
            known_ms=posted + window_ms,
            target=forward(task.transform, target[keep]),
            values=values[keep],
            target_name=task.target,
            transform=task.transform,
            window_ms=window_ms,
            notes=tuple(notes),
            limits=(*task.limits, _OF_AGES) if task.time_kind == "age_days" else task.limits,
            task={"kind": "table", "task": task.to_json()},
        )
    )


def _read(path: Path) -> Columns:
    try:
        with open_input(path) as binary:
            start = binary.read(4)
        return _read_parquet(path) if start == _PARQUET_MAGIC else _read_csv(path)
    except ActivityError as error:
        raise AttentionError(error.message, hint=error.hint, where=error.where) from error


def _read_csv(path: Path) -> Columns:
    with (
        open_input(path) as binary,
        io.TextIOWrapper(binary, encoding="utf-8-sig", newline="") as text,
    ):
        reader = csv.reader(text, strict=True)
        try:
            header = [cell.strip() for cell in next(reader, [])]
            _check_header(header, str(path))
            columns: list[list[str]] = [[] for _ in header]
            for cells in reader:
                if not cells:
                    continue
                if len(cells) != len(header):
                    raise AttentionError(
                        f"{len(cells)} cells where the header has {len(header)}",
                        where=f"{path}:{reader.line_num}",
                        hint="mend the row",
                    )
                if len(columns[0]) >= MAX_ROWS:
                    raise AttentionError(f"more than {MAX_ROWS:,} rows", where=str(path), hint="split it")
                for column, cell in zip(columns, cells, strict=True):
                    column.append(cell)
        except csv.Error as error:
            raise AttentionError(
                f"not CSV: {error}",
                where=f"{path}:{reader.line_num}",
                hint="look for a quote that does not close",
            ) from error
        except UnicodeDecodeError as error:
            raise AttentionError(f"the file is no UTF-8: {error.reason}", where=str(path)) from error
    return dict(zip(header, columns, strict=True))


def _check_header(header: Sequence[str], where: str) -> None:
    if not any(header):
        raise AttentionError("the table is empty", where=where, hint="give it a header and rows")
    if len(header) > MOST_COLUMNS:
        raise AttentionError(f"more than {MOST_COLUMNS} columns", where=where)
    twice = {name for name in header if header.count(name) > 1}
    if twice:
        raise AttentionError(
            f"column {min(twice)!r} stands twice in the header", where=where, hint="rename one of the two"
        )


def _read_parquet(path: Path) -> Columns:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            _check_header(list(file.schema_arrow.names), str(path))
            if file.metadata.num_rows > MAX_ROWS:
                raise AttentionError(f"more than {MAX_ROWS:,} rows", where=str(path), hint="split it")
            table = file.read()
    except (pa.ArrowException, OSError) as error:
        lines = str(error).splitlines()
        raise AttentionError(
            f"not a readable Parquet file: {lines[0] if lines else error!r}", where=str(path)
        ) from error
    return {name: table.column(name).to_pylist() for name in table.column_names}


def _need_columns(columns: Columns, task: Task, where: str, *, target: bool) -> None:
    named = [task.time, *task.categorical, *task.text_length, *(one for one in task.numeric if one != ALL)]
    named += [task.target] if target else []
    named += [task.id] if task.id is not None else []
    named += [when.removeprefix("column:") for when in task.available.values() if when.startswith("column:")]
    for name in named:
        if name not in columns:
            raise AttentionError(
                f"the table lacks the column {name!r}",
                where=where,
                hint=_it_has(columns),
            )
    # What a later table need not have is looked for where it is learned from.
    for role, names in (("ignored", task.ignore), ("said to be available", task.available)) if target else ():
        for name in names:
            if name not in columns:
                # A name with a slip would leave nothing out, and guard nothing.
                raise UsageError(f"{name!r} is {role}, but no column of {where}", hint=_it_has(columns))
    if not columns[task.time]:
        raise AttentionError("there are no rows", where=where, hint="give it a table with rows")


def _it_has(columns: Columns) -> str:
    return "it has: " + ", ".join(sorted(columns)[:12]) + (", ..." if len(columns) > 12 else "")


def _need_targets(target: Floats, name: str, unusable: NDArray[np.bool_], where: str) -> None:
    """Refuse a table none of whose rows can be learned from, saying why."""
    if not (np.isnan(target) | unusable).all():
        return
    counted = {
        "missing": int(np.isnan(target).sum()),
        "infinite": int(np.isinf(target).sum()),
        "at or below -1": int((unusable & np.isfinite(target)).sum()),
    }
    reasons = {reason: count for reason, count in counted.items() if count}
    what = (
        f"is {next(iter(reasons))} in all {len(target):,} rows"
        if len(reasons) == 1
        else f"can be used in none of {len(target):,} rows: "
        + ", ".join(f"{reason} in {count:,}" for reason, count in reasons.items())
    )
    raise AttentionError(
        f"target {name!r} {what}",
        where=where,
        hint="a logarithm takes none of these: --transform none"
        if list(reasons) == ["at or below -1"]
        else "name the column of the attention received",
    )


def _need_past(time_ms: Floats, target: Floats, now_ms: int, name: str, where: str) -> None:
    """Refuse rows whose attention was counted before they were posted."""
    future = ~np.isnan(target) & (time_ms > now_ms)
    if future.any():
        first = int(np.argmax(future))
        raise AttentionError(
            f"time in the future: {format_time(int(time_ms[first]))}, and the target is known already "
            f"({int(future.sum()):,} such rows)",
            where=f"{where}, column {name!r}, row {first + 1}",
            hint="mend the time, or say how times are written: --time-kind",
        )


def _numeric_columns(columns: Columns, task: Task, where: str, notes: list[str]) -> tuple[str, ...]:
    """Return the columns of numbers, with a note of those that are none."""
    if ALL not in task.numeric:
        return task.numeric
    taken = {
        task.time,
        task.target,
        task.id,
        *task.categorical,
        *task.text_length,
        *task.ignore,
        *task.numeric,
    }
    taken |= {when.removeprefix("column:") for when in task.available.values()}
    named = tuple(name for name in task.numeric if name != ALL)
    found, texts = [], []
    for name in columns:
        if name in taken:
            continue
        odd = [row for row, cell in enumerate(columns[name]) if not _is_number(cell)]
        if not odd:
            found.append(name)
            continue
        first = str(columns[name][odd[0]])[:40]
        filled = sum(not _empty(cell) for cell in columns[name])
        if filled - len(odd) >= NEARLY_ALL * filled:
            raise AttentionError(
                f"{first!r} is no number, but {filled - len(odd):,} of the column's {filled:,} cells are",
                where=f"{where}, column {name!r}, row {odd[0] + 1}",
                hint=f"mend or empty the cell, or leave the column out (--ignore {name}), "
                f"or learn from its words (--categorical {name})",
            )
        texts.append(f"{name!r} (row {odd[0] + 1}: {first!r})")
    if texts:
        more = f" and {len(texts) - _NAMED:,} more" if len(texts) > _NAMED else ""
        notes.append(f"left out, as they are no numbers: {', '.join(texts[:_NAMED])}{more}")
    return (*named, *found)


def _numeric_of(features: Sequence[Feature], task: Task) -> tuple[str, ...]:
    """Return the numeric columns a model reads: its features, but those made of a text."""
    made = {name for text in task.text_length for name in lengths_of(text)}
    return tuple(one.name for one in features if one.kind != CATEGORICAL and one.name not in made)


def _is_number(cell: Any) -> bool:
    try:
        _number(cell)
    except (ValueError, TypeError):
        return False
    return True


def _empty(cell: Any) -> bool:
    return cell is None or (isinstance(cell, str) and cell.strip().lower() in EMPTY)


def _number(cell: Any) -> float:
    return math.nan if _empty(cell) else float(cell)


def _numbers(cells: Sequence[Any], column: str, where: str) -> Floats:
    found = np.empty(len(cells))
    for row, cell in enumerate(cells):
        try:
            found[row] = _number(cell)
        except (ValueError, TypeError):
            raise AttentionError(
                f"{str(cell)[:40]!r} is no number",
                where=f"{where}, column {column!r}, row {row + 1}",
                hint="declare the column categorical, or mend the cell",
            ) from None
    return found


def _times(cells: Sequence[Any], task: Task, column: str, where: str) -> Floats:
    """Return Unix ms as float64 (exact below 2**53); NaN where a cell is empty."""
    found = np.empty(len(cells))
    for row, cell in enumerate(cells):
        try:
            found[row] = _one_time(cell, task.time_kind)
        except (ValueError, TypeError, OverflowError):
            raise AttentionError(
                f"{str(cell)[:40]!r} is no time of the kind {task.time_kind}",
                where=f"{where}, column {column!r}, row {row + 1}",
                hint="declare how times are written: iso, ms, s, days or age_days",
            ) from None
    return found


def _one_time(cell: Any, kind: str) -> float:
    if _empty(cell):
        return math.nan
    if isinstance(cell, datetime):
        return float(parse_time((cell if cell.tzinfo else cell.replace(tzinfo=UTC)).isoformat()))
    if kind == "iso":
        text = str(cell).strip()
        return float(parse_time(f"{text}T00:00:00Z" if _DATE.fullmatch(text) else text))
    number = float(cell)
    if kind == "age_days":
        # How old a row was says when it was posted but for a constant, the day the table was made: only
        # the order and the distances matter, so that day is put where no age can reach below zero.
        number = 20_000.0 * DAY_MS - number * DAY_MS
    else:
        number *= {"ms": 1, "s": 1_000, "days": DAY_MS}[kind]
    if not 0 <= number <= MAX_TIME_MS:
        raise ValueError
    return float(round(number))


def _check_availability(
    columns: Columns, task: Task, numeric: Sequence[str], time_ms: Floats, where: str
) -> None:
    for column in (*numeric, *task.categorical, *task.text_length):
        when = task.available.get(column, AT_POSTING)
        if when == AT_POSTING:
            continue
        if when.startswith("column:"):
            other = when.removeprefix("column:")
            recorded = _times(columns[other], task, other, where)
            filled = np.array([not _empty(cell) for cell in columns[column]])
            # A value that nobody knows the time of is no value known at posting.
            late = int((filled & ~np.isnan(time_ms) & ~(recorded <= time_ms)).sum())
            if late:
                raise CheckFailed(
                    f"column {column!r} leaks: in {late:,} rows {other!r} does not say so early",
                    where=where,
                    hint=f"leave {column!r} out, or rebuild what was known at posting",
                )
        elif duration(when) > 0:
            raise CheckFailed(
                f"column {column!r} leaks: it is declared to be known only {when} after posting",
                where=where,
                hint=f"leave {column!r} out, or rebuild what was known at posting",
            )


def _features(
    columns: Columns, task: Task, numeric: Sequence[str], features: Sequence[Feature] | None, where: str
) -> tuple[tuple[Feature, ...], Floats]:
    made: dict[str, tuple[Feature, Floats]] = {}
    for name in numeric:
        made[name] = (Feature(name), _numbers(columns[name], name, where))
    for name in task.text_length:
        texts = ["" if cell is None else str(cell) for cell in columns[name]]
        characters, words = lengths_of(name)
        made[characters] = (Feature(characters), np.log1p([float(len(text)) for text in texts]))
        made[words] = (Feature(words), np.log1p([float(len(_WORD.findall(text))) for text in texts]))
    known = {feature.name: feature for feature in features or ()}
    for name in task.categorical:
        cells = [None if _empty(cell) else str(cell).strip() for cell in columns[name]]
        words_of = (
            known[name].words if name in known else tuple(sorted({one for one in cells if one is not None}))
        )
        made[name] = (Feature(name, CATEGORICAL, words_of), codes(cells, words_of))
    order = list(made) if features is None else [feature.name for feature in features]
    if not order:
        raise AttentionError("no feature column is named or found", where=where, hint="name some: --numeric")
    return tuple(made[name][0] for name in order), np.column_stack([made[name][1] for name in order])
