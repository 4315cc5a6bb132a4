"""Mapping files: how foreign columns become the fields of an act, without a line of code.

A mapping is TOML (schema ``timebank.mapping/1``)::

    schema = "timebank.mapping/1"
    title = "Support tickets"

    [fields.id]                    # text: columns joined by a separator, a prefix before them
    columns = ["queue", "number"]
    separator = "-"
    prefix = "ticket:"

    [fields.member]
    column = "agent"
    lower = true                   # fold to lower case

    [fields.domain]
    constant = "support"

    [fields.occurred]
    column = "closed_at"
    format = "%d.%m.%Y %H:%M"      # iso (default), unix, unix_ms, or a strptime format
    zone = "Europe/Berlin"         # for times that carry none: UTC, +02:00, or an IANA name

    [fields.window]                # optional; left out: the policy's window of the domain
    constant = "14d"

    [fields.interaction]
    column = "replies"             # as recorded: at most three decimals, nothing is rounded

    [fields.originality]
    sum = { words = 0.1, links = 2, copied = -50 }   # weights, also negative
    scale = 0.5                    # applied to the sum; the result is rounded down to thousandths
    at_least = 0
    at_most = 2000
    base = 1                       # what the sum starts from
    empty = 0                      # what an empty cell counts; left out: the row is rejected

    [fields.engagement]
    constant = 1

    [[reject]]                     # rows to turn away; they end in the rejects with this reason
    column = "agent"
    equals = "autoresponder"
    reason = "a bot"

Arithmetic is exact decimal arithmetic. In JSON lines a column may be a path (``actor.name``).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, timedelta, timezone, tzinfo
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from timebank_chain.activity.mapping import (
    INDICATORS,
    TEXT_FIELDS,
    ColumnMapping,
    FieldRules,
    did_you_mean,
)
from timebank_chain.activity.rules import (
    PLAIN_NUMBER,
    NumberRule,
    RejectRule,
    TextRule,
    TimeRule,
    WindowRule,
)
from timebank_chain.documents import TooLarge, read_small_text
from timebank_chain.errors import ActivityError

SCHEMA_NAME = "timebank.mapping/1"
_FIELDS = (*TEXT_FIELDS, "occurred", "window", *INDICATORS)
_NUMBER_ENTRIES = ("column", "sum", "constant", "scale", "at_least", "at_most", "empty", "base")
_OFFSET = re.compile(r"([+-])([01][0-9]|2[0-3]):([0-5][0-9])")


@dataclass(frozen=True, slots=True)
class FieldShape:
    """What a mapping of another schema than ours holds: fields by kind, and settings beside them."""

    schema: str
    texts: tuple[str, ...] = ()
    times: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()


def load_mapping(path: Path | str) -> ColumnMapping:
    """Read a mapping file.

    Raises
    ------
    ActivityError
        If it cannot be read, is no TOML, or has an unknown, missing or contradictory entry.
    """
    return _Reader(str(path)).mapping(_toml(path))


def load_field_rules(path: Path | str, shape: FieldShape) -> FieldRules:
    """Read a mapping file of another schema, with the same kinds of rules.

    Raises
    ------
    ActivityError
        As `load_mapping`.
    """
    return _Reader(str(path)).rules(_toml(path), shape)


def _toml(path: Path | str) -> dict[str, Any]:
    where = str(path)
    try:
        text = read_small_text(path)
    except OSError as error:
        raise ActivityError(
            f"cannot read the mapping: {error.strerror}", where=where, hint="name a readable TOML file"
        ) from error
    except TooLarge as error:
        raise ActivityError(
            f"the mapping has {error}", where=where, hint="hand in the mapping, not the data"
        ) from error
    except UnicodeDecodeError as error:
        raise ActivityError(
            f"the mapping is not UTF-8: {error}", where=where, hint="save it as UTF-8"
        ) from error
    try:
        return tomllib.loads(text, parse_float=Decimal)
    except (tomllib.TOMLDecodeError, InvalidOperation, RecursionError) as error:
        raise ActivityError(
            f"the mapping is not TOML: {error}", where=where, hint="correct the line"
        ) from error


class _Reader:
    """Reads a mapping document strictly; every refusal names the entry."""

    def __init__(self, where: str) -> None:
        self.where = where

    def mapping(self, document: Mapping[str, object]) -> ColumnMapping:
        self.known(document, ("schema", "title", "fields", "reject"), "")
        if document.get("schema") != SCHEMA_NAME:
            raise self.error("schema", f"is {document.get('schema')!r}, not {SCHEMA_NAME!r}")
        fields = self.table(document.get("fields"), "fields")
        self.known(fields, _FIELDS, "fields")
        for name in _FIELDS:
            if name not in fields and name != "window":
                raise self.error(f"fields.{name}", "is missing")
        return ColumnMapping(
            id=self.text_rule("id", fields["id"]),
            member=self.text_rule("member", fields["member"]),
            domain=self.text_rule("domain", fields["domain"]),
            occurred=self.time_rule("occurred", fields["occurred"]),
            window=self.window_rule(fields.get("window")),
            interaction=self.number_rule("interaction", fields["interaction"]),
            originality=self.number_rule("originality", fields["originality"]),
            engagement=self.number_rule("engagement", fields["engagement"]),
            rejects=self.reject_rules(document.get("reject", [])),
            title=self.string(document, "title", "title") or "",
        )

    def rules(self, document: Mapping[str, object], shape: FieldShape) -> FieldRules:
        self.known(document, ("schema", "title", "fields", "reject", *shape.settings), "")
        if document.get("schema") != shape.schema:
            raise self.error("schema", f"is {document.get('schema')!r}, not {shape.schema!r}")
        fields = self.table(document.get("fields"), "fields")
        self.known(fields, (*shape.texts, *shape.times, *shape.numbers), "fields")
        for name in shape.required:
            if name not in fields:
                raise self.error(f"fields.{name}", "is missing")
        settings = {name: self.string(document, name, name) for name in shape.settings}
        return FieldRules(
            texts={name: self.text_rule(name, fields[name]) for name in shape.texts if name in fields},
            times={name: self.time_rule(name, fields[name]) for name in shape.times if name in fields},
            numbers={name: self.number_rule(name, fields[name]) for name in shape.numbers if name in fields},
            rejects=self.reject_rules(document.get("reject", [])),
            settings={name: text for name, text in settings.items() if text is not None},
        )

    def text_rule(self, name: str, value: object) -> TextRule:
        entry = f"fields.{name}"
        table = self.table(value, entry)
        self.known(table, ("column", "columns", "separator", "prefix", "lower", "constant"), entry)
        self.one_of(table, ("column", "columns", "constant"), entry)
        lower = table.get("lower", False)
        if not isinstance(lower, bool):
            raise self.error(f"{entry}.lower", "is neither true nor false")
        columns = table.get("columns", [])
        if "column" in table:
            columns = [table["column"]]
        if not isinstance(columns, list) or not all(isinstance(column, str) for column in columns):
            raise self.error(f"{entry}.columns", "is not a list of column names")
        if not columns and "constant" not in table:
            raise self.error(f"{entry}.columns", "is empty")
        if name == "id" and not columns:
            raise self.error(f"{entry}.constant", "would give every row the same id")
        separator = self.string(table, "separator", f"{entry}.separator")
        return TextRule(
            columns=tuple(columns),
            separator=":" if separator is None else separator,
            prefix=self.string(table, "prefix", f"{entry}.prefix") or "",
            lower=lower,
            constant=self.string(table, "constant", f"{entry}.constant"),
        )

    def time_rule(self, name: str, value: object) -> TimeRule:
        entry = f"fields.{name}"
        table = self.table(value, entry)
        self.known(table, ("column", "format", "zone"), entry)
        column = self.string(table, "column", f"{entry}.column")
        if not column:
            raise self.error(f"{entry}.column", "is missing")
        style = self.string(table, "format", f"{entry}.format") or "iso"
        if style not in {"iso", "unix", "unix_ms"} and "%" not in style:
            raise self.error(
                f"{entry}.format", f"is {style!r}: write iso, unix, unix_ms or a strptime format"
            )
        zone = self.string(table, "zone", f"{entry}.zone")
        return TimeRule(column, style, None if zone is None else self.zone(zone, f"{entry}.zone"))

    def zone(self, text: str, entry: str) -> tzinfo:
        if text in {"UTC", "Z"}:
            return UTC
        match = _OFFSET.fullmatch(text)
        if match:
            sign = -1 if match[1] == "-" else 1
            return timezone(sign * timedelta(hours=int(match[2]), minutes=int(match[3])))
        try:
            return ZoneInfo(text)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise self.error(entry, f"is no zone: {text!r} (write UTC, +02:00 or Europe/Berlin)") from None

    def window_rule(self, value: object) -> WindowRule:
        if value is None:
            return WindowRule()
        entry = "fields.window"
        table = self.table(value, entry)
        self.known(table, ("column", "constant"), entry)
        self.one_of(table, ("column", "constant"), entry)
        return WindowRule(
            self.string(table, "column", f"{entry}.column"),
            self.string(table, "constant", f"{entry}.constant"),
        )

    def number_rule(self, name: str, value: object) -> NumberRule:
        entry = f"fields.{name}"
        table = self.table(value, entry)
        self.known(table, _NUMBER_ENTRIES, entry)
        self.one_of(table, ("column", "sum", "constant"), entry)
        terms: tuple[tuple[str, Decimal], ...] = ()
        if "column" in table:
            terms = ((self.string(table, "column", f"{entry}.column") or "", Decimal(1)),)
        elif "sum" in table:
            weights = table["sum"]
            if isinstance(weights, list):
                weights = {str(column): 1 for column in weights}
            weights = self.table(weights, f"{entry}.sum")
            if not weights:
                raise self.error(f"{entry}.sum", "is empty")
            terms = tuple(
                (column, self.decimal(weight, f"{entry}.sum.{column}")) for column, weight in weights.items()
            )
        scale, least, most, empty, constant, base = (
            self.decimal(table[key], f"{entry}.{key}") if key in table else None
            for key in ("scale", "at_least", "at_most", "empty", "constant", "base")
        )
        if least is not None and most is not None and least > most:
            raise self.error(f"{entry}.at_least", f"{least} is above at_most {most}")
        return NumberRule(terms, scale, least, most, empty, constant, base)

    def reject_rules(self, value: object) -> tuple[RejectRule, ...]:
        if not isinstance(value, list):
            raise self.error("reject", "is not a list: write [[reject]]")
        rules = []
        for position, item in enumerate(value):
            entry = f"reject[{position}]"
            table = self.table(item, entry)
            self.known(table, ("column", "equals", "reason"), entry)
            texts = {key: self.string(table, key, f"{entry}.{key}") for key in ("column", "equals", "reason")}
            for key, text in texts.items():
                if text is None or (key != "equals" and not text):
                    raise self.error(f"{entry}.{key}", "is missing")
            rules.append(RejectRule(*(text or "" for text in texts.values())))
        return tuple(rules)

    def known(self, table: Mapping[str, object], names: Sequence[str], entry: str) -> None:
        for name in table:
            if name not in names:
                path = f"{entry}.{name}" if entry else name
                raise ActivityError(
                    f"unknown entry {path!r}",
                    where=self.where,
                    hint=did_you_mean(name, names) or f"known here: {', '.join(names)}",
                )

    def one_of(self, table: Mapping[str, object], names: Sequence[str], entry: str) -> None:
        given = [name for name in names if name in table]
        if len(given) != 1:
            found = " and ".join(given) if given else "none"
            raise self.error(entry, f"needs exactly one of {', '.join(names)}; it has {found}")

    def table(self, value: object, entry: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self.error(entry, "is missing" if value is None else "is not a table")
        return value

    def string(self, table: Mapping[str, object], key: str, entry: str) -> str | None:
        value = table.get(key)
        if value is not None and not isinstance(value, str):
            raise self.error(entry, f"is not text: {value!r}")
        return value

    def decimal(self, value: object, entry: str) -> Decimal:
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            raise self.error(entry, f"is not a number: {value!r}")
        number = Decimal(value)
        if not number.is_finite() or not PLAIN_NUMBER.fullmatch(str(number)):
            raise self.error(entry, f"is not a plain number: {value}")
        return number

    def error(self, entry: str, problem: str) -> ActivityError:
        return ActivityError(f"{entry} {problem}", where=self.where, hint="see the examples' *.mapping.toml")
