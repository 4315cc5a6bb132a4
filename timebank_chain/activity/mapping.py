"""How the columns of a row become the fields of an act.

`own_mapping` is that of our own column names; `timebank_chain.activity.mapping_file` reads others.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from timebank_chain.activity.record import RawRecord
from timebank_chain.activity.rules import (
    MappingRefusal,
    NumberRule,
    RejectRule,
    TextRule,
    TimeRule,
    WindowRule,
    cell_value,
    number_value,
    text_value,
    time_value,
)
from timebank_chain.errors import ActivityError

TEXT_FIELDS = ("id", "member", "domain")
INDICATORS = ("interaction", "originality", "engagement")


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
                    hint=did_you_mean(column, available) or f"the file has: {', '.join(available)}",
                )

    def record(self, row: Mapping[str, object], source: str, line: int) -> RawRecord:
        """Map one row; a row that cannot be mapped comes back refused, with its reason."""
        name: str | None = None
        try:
            name = text_value("id", self.id, row)
            for rule in self.rejects:
                if rule.meets(row):
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
            if rule.meets(row):
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
                hint=did_you_mean(plain, columns)
                or f"rename a column, or say with --mapping which is meant: {', '.join(columns)}",
            )
        return both[0] if both else None

    def number(name: str) -> NumberRule:
        column = chosen(name, f"{name}_milli") or name
        return NumberRule(terms=((column, Decimal(1)),), whole_milli=column.endswith("_milli"))

    for name in TEXT_FIELDS:
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


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """Return a hint with the known name closest to ``name``, if one is close."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {close[0]!r}?" if close else None
