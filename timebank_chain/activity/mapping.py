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

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import ROUND_FLOOR, Context, Decimal, InvalidOperation
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from timebank_chain.activity.record import RawRecord, Thousandths
from timebank_chain.documents import TooLarge, read_small_text
from timebank_chain.errors import ActivityError

SCHEMA_NAME = "timebank.mapping/1"
INDICATORS = ("interaction", "originality", "engagement")
_TEXT_FIELDS = ("id", "member", "domain")
_FIELDS = (*_TEXT_FIELDS, "occurred", "window", *INDICATORS)
_NUMBER_ENTRIES = ("column", "sum", "constant", "scale", "at_least", "at_most", "empty", "base")
_NUMBER = re.compile(r"-?[0-9]{1,30}(?:\.[0-9]{1,30})?")
_OFFSET = re.compile(r"([+-])([01][0-9]|2[0-3]):([0-5][0-9])")
#: Wide enough that sums and products of 30-digit cells are exact.
_EXACT = Context(prec=400)


class MappingRefusal(Exception):
    """A row cannot be mapped; carries the field and the reason."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field
        self.reason = reason


@dataclass(frozen=True, slots=True)
class TextRule:
    """Text from columns joined by ``separator``, or a constant."""

    columns: tuple[str, ...] = ()
    separator: str = ":"
    prefix: str = ""
    lower: bool = False
    constant: str | None = None


@dataclass(frozen=True, slots=True)
class TimeRule:
    """A time from one column; ``zone`` is for times that carry none."""

    column: str
    format: str = "iso"
    zone: tzinfo | None = None


@dataclass(frozen=True, slots=True)
class WindowRule:
    """An observation window: a column (duration text or ms), a constant, or neither (the default)."""

    column: str | None = None
    constant: str | None = None


@dataclass(frozen=True, slots=True)
class NumberRule:
    """An indicator: one column as recorded, a weighted sum, or a constant.

    ``whole_milli`` reads the column as a whole number of thousandths (our own ``*_milli`` columns).
    """

    terms: tuple[tuple[str, Decimal], ...] = ()
    scale: Decimal | None = None
    at_least: Decimal | None = None
    at_most: Decimal | None = None
    empty: Decimal | None = None
    constant: Decimal | None = None
    base: Decimal | None = None
    whole_milli: bool = False

    @property
    def as_recorded(self) -> bool:
        """Whether the cell is handed on untouched, so that the cleaner sees it as it stood."""
        given = (self.scale, self.at_least, self.at_most, self.empty, self.constant, self.base)
        return len(self.terms) == 1 and self.terms[0][1] == 1 and given == (None,) * 6


@dataclass(frozen=True, slots=True)
class RejectRule:
    """Turns away rows whose ``column`` equals ``equals``."""

    column: str
    equals: str
    reason: str


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """How rows of one shape become raw records."""

    id: TextRule
    member: TextRule
    domain: TextRule
    occurred: TimeRule
    window: WindowRule
    interaction: NumberRule
    originality: NumberRule
    engagement: NumberRule
    rejects: tuple[RejectRule, ...] = ()
    title: str = ""

    def columns(self) -> tuple[str, ...]:
        """Return the columns the mapping reads, sorted."""
        names = {*self.id.columns, *self.member.columns, *self.domain.columns, self.occurred.column}
        names.update(term[0] for name in INDICATORS for term in getattr(self, name).terms)
        names.update(rule.column for rule in self.rejects)
        if self.window.column:
            names.add(self.window.column)
        return tuple(sorted(names))

    def check_columns(self, available: Sequence[str], where: str) -> None:
        """Refuse a file that lacks a column the mapping reads.

        Raises
        ------
        ActivityError
            Naming the first column that is missing, and the ones there are.
        """
        for column in self.columns():
            if column not in available:
                raise ActivityError(
                    f"no column {column!r}",
                    where=where,
                    hint=_did_you_mean(column, available) or f"the file has: {', '.join(available)}",
                )

    def record(self, row: Mapping[str, object], source: str, line: int) -> RawRecord:
        """Map one row; a row that cannot be mapped comes back refused, with its reason."""
        name: str | None = None
        try:
            name = text_value("id", self.id, row)
            for rule in self.rejects:
                if _plain(cell_value(row, rule.column)) == rule.equals:
                    raise MappingRefusal(rule.column, rule.reason)
            return RawRecord(
                source,
                line,
                id=name,
                member=text_value("member", self.member, row),
                domain=text_value("domain", self.domain, row),
                occurred=time_value("occurred", self.occurred, row),
                window=cell_value(row, self.window.column) if self.window.column else self.window.constant,
                interaction=number_value("interaction", self.interaction, row),
                originality=number_value("originality", self.originality, row),
                engagement=number_value("engagement", self.engagement, row),
                original=row,
            )
        except MappingRefusal as refusal:
            # Whose it is, is told although nothing else is: an erased person's row must not be shown.
            whose = self._member_of(row)
            problem = (refusal.field, refusal.reason)
            return RawRecord(source, line, id=name, member=whose, original=row, refused=problem)

    def _member_of(self, row: Mapping[str, object]) -> str | None:
        try:
            return text_value("member", self.member, row)
        except MappingRefusal:
            return None


@dataclass(frozen=True, slots=True)
class FieldShape:
    """What a mapping of another schema than ours holds: fields by kind, and settings beside them."""

    schema: str
    texts: tuple[str, ...] = ()
    times: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FieldRules:
    """The rules of such a mapping, by field; what is optional and left out is not there."""

    texts: Mapping[str, TextRule]
    times: Mapping[str, TimeRule]
    numbers: Mapping[str, NumberRule]
    rejects: tuple[RejectRule, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)

    def turned_away(self, row: Mapping[str, object]) -> tuple[str, str] | None:
        """Return (column, reason) of the first reject rule a row meets."""
        for rule in self.rejects:
            if _plain(cell_value(row, rule.column)) == rule.equals:
                return rule.column, rule.reason
        return None


def own_mapping(columns: Sequence[str], where: str) -> ColumnMapping:
    """Return the mapping of our own column names.

    Either as recorded (``id, member, domain, occurred, [window,] interaction, originality, engagement``)
    or as in the table (``occurred_ms``, ``window_ms``, ``interaction_milli`` ...). A ``salt`` column is
    passed over: salts are made anew.

    Raises
    ------
    ActivityError
        If a column is missing, given in both ways, or unknown.
    """

    def chosen(plain: str, *exact: str, optional: bool = False) -> str | None:
        both = [name for name in (plain, *exact) if name in columns]
        if len(both) == 2:
            raise ActivityError(
                f"both {both[0]!r} and {both[1]!r} are given", where=where, hint="keep one of the two columns"
            )
        if not both and not optional:
            raise ActivityError(
                f"no column {plain!r}",
                where=where,
                hint=_did_you_mean(plain, columns)
                or f"rename a column, or say with --mapping which is meant: {', '.join(columns)}",
            )
        return both[0] if both else None

    def number(name: str) -> NumberRule:
        column = chosen(name, f"{name}_milli") or name
        return NumberRule(terms=((column, Decimal(1)),), whole_milli=column.endswith("_milli"))

    for name in _TEXT_FIELDS:
        chosen(name)
    mapping = ColumnMapping(
        id=TextRule(("id",)),
        member=TextRule(("member",)),
        domain=TextRule(("domain",)),
        occurred=TimeRule(chosen("occurred", "occurred_ms") or "occurred"),
        window=WindowRule(chosen("window", "window_ms", optional=True)),
        interaction=number("interaction"),
        originality=number("originality"),
        engagement=number("engagement"),
    )
    for name in columns:
        if name not in mapping.columns() and name != "salt":
            raise ActivityError(
                f"unknown column {name!r}",
                where=where,
                hint="drop the column, or say with --mapping what the columns mean",
            )
    return mapping


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
                    hint=_did_you_mean(name, names) or f"known here: {', '.join(names)}",
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
        if not number.is_finite() or not _NUMBER.fullmatch(str(number)):
            raise self.error(entry, f"is not a plain number: {value}")
        return number

    def error(self, entry: str, problem: str) -> ActivityError:
        return ActivityError(f"{entry} {problem}", where=self.where, hint="see the examples' *.mapping.toml")


def cell_value(row: Mapping[str, object], column: str) -> object:
    """Look a column up: by its name, else as a path into nested objects."""
    if column in row:
        return row[column]
    value: object = row
    for part in column.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return None
        value = value[part]
    return value


def _plain(value: object) -> str | None:
    """Return a cell as text without surrounding spaces; ``None`` when it is no text."""
    if isinstance(value, str):
        return value.strip()
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def text_value(field: str, rule: TextRule, row: Mapping[str, object]) -> str:
    """Return a row's text by a rule.

    Raises
    ------
    MappingRefusal
        If a column is empty, no text, or holds the separator.
    """
    if rule.constant is not None:
        return rule.constant
    parts = []
    for column in rule.columns:
        value = cell_value(row, column)
        text = _plain(value)
        if value is None or text == "":
            raise MappingRefusal(field, f"missing: column {column!r} is empty")
        if text is None:
            raise MappingRefusal(field, f"not text: column {column!r} holds {value!r:.60}")
        if len(rule.columns) > 1 and rule.separator and rule.separator in text:
            # 'a:b' + 'c' and 'a' + 'b:c' would be one id for two acts.
            raise MappingRefusal(field, f"separator inside a part: column {column!r} holds {text!r:.60}")
        parts.append(text)
    joined = rule.prefix + rule.separator.join(parts)
    return joined.lower() if rule.lower else joined


def time_value(field: str, rule: TimeRule, row: Mapping[str, object]) -> object:
    """Return a row's time: aware ``datetime``, Unix milliseconds, or the cell as it stood.

    Raises
    ------
    MappingRefusal
        If it is missing, in another format, or ambiguous.
    """
    value = cell_value(row, rule.column)
    if value is None or value == "":
        raise MappingRefusal(field, f"missing: column {rule.column!r} is empty")
    if rule.format in {"unix", "unix_ms"}:
        text = "" if isinstance(value, bool) else str(value).strip()
        if not _NUMBER.fullmatch(text) or text.startswith("-"):
            raise MappingRefusal(field, f"not a Unix time: {text!r:.60}")
        # Seconds are scaled exactly and cut to the millisecond, like every other time.
        return int(_EXACT.multiply(Decimal(text), Decimal(1_000 if rule.format == "unix" else 1)))
    if isinstance(value, datetime):
        return _with_zone(field, value, rule)
    if not isinstance(value, str):
        return value
    text = value.strip()
    try:
        if rule.format == "iso":
            moment = None if text.isdigit() else datetime.fromisoformat(text)
        else:
            moment = datetime.strptime(text, rule.format)
    except ValueError:
        raise MappingRefusal(field, f"not a time in the format {rule.format}: {text!r:.60}") from None
    return text if moment is None else _with_zone(field, moment, rule)


def _with_zone(field: str, moment: datetime, rule: TimeRule) -> datetime:
    if moment.tzinfo is not None:
        return moment
    if rule.zone is None:
        raise MappingRefusal(field, f"time without a zone: {moment.isoformat()!r}")
    local = moment.replace(tzinfo=rule.zone)
    if local.utcoffset() != local.replace(fold=1).utcoffset():
        raise MappingRefusal(field, f"time that exists twice or never in its zone: {moment.isoformat()!r}")
    return local


def number_value(field: str, rule: NumberRule, row: Mapping[str, object]) -> object:
    """Return a row's number by a rule: the cell as it stood, or `Thousandths`.

    Raises
    ------
    MappingRefusal
        If a column is empty or no plain number.
    """
    if rule.as_recorded:
        value = cell_value(row, rule.terms[0][0])
        if not rule.whole_milli:
            return value
        text = "" if isinstance(value, bool) else str(value).strip()
        if not re.fullmatch(r"[0-9]{1,30}", text):
            raise MappingRefusal(field, f"not a whole number of thousandths: {value!r:.60}")
        return Thousandths(text)
    if rule.constant is not None:
        total = rule.constant
    else:
        total = rule.base or Decimal(0)
        for column, weight in rule.terms:
            value = _addend(field, column, cell_value(row, column), rule.empty)
            total = _EXACT.add(total, _EXACT.multiply(value, weight))
    if rule.scale is not None:
        total = _EXACT.multiply(total, rule.scale)
    if rule.at_least is not None:
        total = max(total, rule.at_least)
    if rule.at_most is not None:
        total = min(total, rule.at_most)
    milli = _EXACT.multiply(total, Decimal(1_000)).to_integral_value(ROUND_FLOOR, context=_EXACT)
    return Thousandths(int(milli))


def _addend(field: str, column: str, value: object, empty: Decimal | None) -> Decimal:
    text = "" if value is None else "?" if isinstance(value, bool) else repr(value)
    if isinstance(value, str | Decimal | int) and not isinstance(value, bool):
        text = str(value).strip()
    if text == "":
        if empty is None:
            raise MappingRefusal(field, f"missing: column {column!r} is empty")
        return empty
    if not _NUMBER.fullmatch(text):
        raise MappingRefusal(field, f"not a plain number: column {column!r} holds {value!r:.60}")
    return Decimal(text)


def _did_you_mean(name: str, known: Iterable[str]) -> str | None:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {close[0]!r}?" if close else None
