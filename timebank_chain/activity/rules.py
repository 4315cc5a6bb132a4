"""The rules a mapping is made of, and the value each gives for a row.

A rule says which columns a text, a time or a number is taken from. Arithmetic is exact decimal arithmetic.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from decimal import ROUND_FLOOR, Context, Decimal

from timebank_chain.activity.record import Thousandths

#: What a rule reads as a plain number.
PLAIN_NUMBER = re.compile(r"-?[0-9]{1,30}(?:\.[0-9]{1,30})?")
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

    def meets(self, row: Mapping[str, object]) -> bool:
        """Whether the rule turns this row away."""
        return _plain(cell_value(row, self.column)) == self.equals


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
        if not PLAIN_NUMBER.fullmatch(text) or text.startswith("-"):
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
    if not PLAIN_NUMBER.fullmatch(text):
        raise MappingRefusal(field, f"not a plain number: column {column!r} holds {value!r:.60}")
    return Decimal(text)
