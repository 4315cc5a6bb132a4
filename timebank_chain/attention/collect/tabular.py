"""Sensor logs and any other table: CSV, JSON lines and Parquet through a feed mapping.

A feed mapping is TOML (schema ``timebank.feed-mapping/1``), its rules those of the activity mapping
(`timebank_chain.activity.mapping_file`)::

    schema = "timebank.feed-mapping/1"
    source = "reading-room"        # names the source in the feed; left out: the file's name
    unit = "min"                   # of the value; stored in the base unit (here seconds)

    [fields.member]
    column = "badge"

    [fields.at]
    column = "entered"
    format = "%d.%m.%Y %H:%M"      # iso (default), unix, unix_ms, or a strptime format
    zone = "Europe/Berlin"

    [fields.verb]
    constant = "attend"

    [fields.object]                # optional, as are domain, value and id
    column = "room"

    [fields.value]
    column = "stayed"

Without ``fields.id`` a row is named by its content. A ``[[reject]]`` turns rows away, with its reason.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from timebank_chain.activity.mapping import FieldRules
from timebank_chain.activity.mapping_file import FieldShape, load_field_rules
from timebank_chain.activity.record import Thousandths
from timebank_chain.activity.rules import MappingRefusal, number_value, text_value, time_value
from timebank_chain.activity.sources.files import open_input
from timebank_chain.attention.collect.event import MemberEvent, NothingToCount
from timebank_chain.attention.collect.reading import MAX_RECORD_BYTES, json_records
from timebank_chain.attention.collect.syntax import Fault, shown
from timebank_chain.attention.collect.verbs import common_verb
from timebank_chain.attention.collect.weblog import line_identity
from timebank_chain.errors import ActivityError, AttentionError
from timebank_chain.units import parse_time

SHAPE = FieldShape(
    schema="timebank.feed-mapping/1",
    texts=("id", "member", "verb", "object", "domain"),
    times=("at",),
    numbers=("value",),
    required=("member", "at", "verb"),
    settings=("source", "unit"),
)
#: More columns than any honest table has; a row of commas alone would fill the memory.
_MAX_CELLS = 10_000
_NUMBER = re.compile(
    r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[+-]?inf(?:inity)?", re.IGNORECASE | re.ASCII
)
#: What stands for a value that was not measured.
_MISSING = frozenset({"", "-", "na", "n/a", "nan", "null", "none"})


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row of a table, or why it is none."""

    line: int
    text: str
    cells: Mapping[str, Any] | None
    fault: Fault | None = None


def load_feed_mapping(path: Path | str) -> FieldRules:
    """Read a feed mapping.

    Raises
    ------
    ActivityError
        If it cannot be read, is no TOML, or has an unknown, missing or contradictory entry.
    """
    return load_field_rules(path, SHAPE)


def table_rows(path: Path | str, rules: FieldRules) -> Iterator[TableRow]:
    """Yield a table's rows; how it is read follows from its name (``.csv``, ``.jsonl``, ``.parquet``).

    Raises
    ------
    AttentionError
        If the file cannot be read, is of no kind we read, is empty, or lacks a column of the mapping.
    """
    kind = Path(Path(path).name.lower().removesuffix(".gz")).suffix
    if kind in {".jsonl", ".ndjson", ".json"}:
        for record in json_records(path, lists=True, decimals=True):
            fault = record.fault
            if fault is None and not isinstance(record.value, dict):
                fault = Fault("$", f"is not an object: {shown(record.value)}")
            yield TableRow(record.line, record.text, None if fault else record.value, fault)
    elif kind == ".parquet":
        yield from _parquet_rows(path, rules)
    elif kind in {".csv", ".txt"}:
        yield from _csv_rows(path, rules)
    else:
        raise AttentionError(
            f"no kind of table ends in {kind!r}", where=str(path), hint="name a .csv, .jsonl or .parquet file"
        )


def row_event(
    row: Mapping[str, Any], rules: FieldRules, *, source: str, text: str, seen: dict[str, int]
) -> MemberEvent:
    """Read a row as an event.

    Raises
    ------
    Fault
        If a field cannot be read; its path is the field's.
    NothingToCount
        If a reject rule turns it away.
    """
    away = rules.turned_away(row)
    if away is not None:
        raise NothingToCount(f"$.{away[0]}", away[1])
    try:
        texts = {name: text_value(name, rule, row) for name, rule in rules.texts.items() if name != "object"}
        # What was done may be done to nothing in particular.
        thing = _optional(rules, "object", row)
        at_ms = _at(time_value("at", rules.times["at"], row))
        value = (
            _value(number_value("value", rules.numbers["value"], row)) if "value" in rules.numbers else None
        )
    except MappingRefusal as refusal:
        raise Fault(f"$.{refusal.field}", refusal.reason) from None
    return MemberEvent(
        source=rules.settings.get("source", source),
        id=texts.get("id") or line_identity(text, seen),
        member=texts["member"],
        at_ms=at_ms,
        verb=common_verb(texts["verb"]),
        object=thing,
        domain=texts.get("domain", "log"),
        value=value,
        unit="" if value is None else rules.settings.get("unit", ""),
    )


def _optional(rules: FieldRules, name: str, row: Mapping[str, Any]) -> str:
    if name not in rules.texts:
        return ""
    try:
        return text_value(name, rules.texts[name], row)
    except MappingRefusal as refusal:
        if refusal.reason.startswith("missing: "):
            return ""
        raise


def _at(value: object) -> int:
    if isinstance(value, bool):
        raise MappingRefusal("at", f"not a time: {shown(value)}")
    if isinstance(value, datetime):
        value = value.isoformat()
    if isinstance(value, int | str):
        try:
            return int(parse_time(str(value)))
        except (ValueError, OverflowError) as error:
            raise MappingRefusal("at", str(error)) from None
    raise MappingRefusal("at", f"not a time: {shown(value)}")


def _value(value: object) -> float | None:
    if value is None or (isinstance(value, str) and value.strip().lower() in _MISSING):
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise MappingRefusal("value", f"not a number: {shown(value)}")
    # Python itself reads 1_000 and the digits of every script.
    if isinstance(value, str) and not _NUMBER.fullmatch(value.strip()):
        raise MappingRefusal("value", f"not a number: {shown(value)}")
    try:
        number = int(value) / 1_000 if isinstance(value, Thousandths) else float(value)
    except (ValueError, OverflowError):
        raise MappingRefusal("value", f"not a number: {shown(value)}") from None
    if math.isnan(number):
        return None
    if math.isinf(number):
        raise MappingRefusal("value", f"infinite: {shown(value)}")
    return number


def _csv_rows(path: Path | str, rules: FieldRules) -> Iterator[TableRow]:
    where = str(path)
    try:
        with (
            open_input(path) as binary,
            io.TextIOWrapper(binary, encoding="utf-8-sig", errors="surrogateescape", newline="") as text,
        ):
            reader = csv.reader(_bounded(text, where), strict=True)
            header = [cell.strip() for cell in next(reader, [])]
            _check_columns(header, rules, where)
            line = reader.line_num + 1
            for cells in reader:
                here, line = line, reader.line_num + 1
                if not cells:
                    continue
                original = io.StringIO()
                csv.writer(original, lineterminator="").writerow(cells)
                if len(cells) != len(header):
                    fault = Fault("$", f"has {len(cells)} cells where the header has {len(header)}")
                    yield TableRow(here, original.getvalue(), None, fault)
                else:
                    yield TableRow(here, original.getvalue(), dict(zip(header, cells, strict=True)))
    except csv.Error as error:
        raise AttentionError(
            f"not CSV: {error}", where=where, hint="look for a quote that does not close, or a huge cell"
        ) from error
    except ActivityError as error:
        raise AttentionError(error.message, where=error.where, hint=error.hint) from error


def _bounded(text: io.TextIOWrapper, where: str) -> Iterator[str]:
    """Yield lines, none of which fills the memory."""
    number = 0
    while line := text.readline(MAX_RECORD_BYTES):
        number += 1
        if len(line) == MAX_RECORD_BYTES and not line.endswith("\n"):
            raise AttentionError(
                f"a line is longer than {MAX_RECORD_BYTES:,} characters",
                where=f"{where}:{number}",
                hint="write a row a line",
            )
        yield line


def _parquet_rows(path: Path | str, rules: FieldRules) -> Iterator[TableRow]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    where = str(path)
    if not Path(path).is_file():
        raise AttentionError("no such file", where=where, hint="name a Parquet file")
    try:
        with pq.ParquetFile(path) as file:
            columns = list(file.schema_arrow.names)
            _check_columns(columns, rules, where)
            line = 0
            for batch in file.iter_batches(batch_size=8_192):
                for row in batch.to_pylist():
                    line += 1
                    yield TableRow(line, json.dumps(row, default=str), row)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        lines = str(error).splitlines()
        raise AttentionError(
            f"not a readable Parquet file: {lines[0] if lines else error!r}",
            where=where,
            hint="write it again",
        ) from error


def _check_columns(header: list[str], rules: FieldRules, where: str) -> None:
    if not any(header):
        raise AttentionError("the file is empty", where=where, hint="make column names the first line")
    if len(header) > _MAX_CELLS:
        raise AttentionError(f"{len(header):,} columns", where=where, hint=f"at most {_MAX_CELLS:,} are read")
    twice = [column for column, count in Counter(header).items() if count > 1]
    if twice:
        raise AttentionError(
            f"column {twice[0]!r} stands twice in the header", where=where, hint="rename one"
        )
    wanted = [column for rule in rules.texts.values() for column in rule.columns]
    wanted += [rule.column for rule in rules.times.values()]
    wanted += [column for rule in rules.numbers.values() for column, _ in rule.terms]
    wanted += [rule.column for rule in rules.rejects]
    for column in wanted:
        if column not in header:
            raise AttentionError(
                f"no column {column!r}", where=where, hint=f"the file has: {', '.join(header)}"
            )
