"""Files of each kind as readings: the standards' checks first, then what a record tells of a member."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from timebank_chain.activity.mapping import FieldRules
from timebank_chain.activity.sources.files import open_input
from timebank_chain.attention.collect.activitystreams import activitystreams_events, check_activitystreams
from timebank_chain.attention.collect.cloudevents import check_cloudevent, cloudevent_event
from timebank_chain.attention.collect.event import MemberEvent, NothingToCount
from timebank_chain.attention.collect.feed import Reading
from timebank_chain.attention.collect.reading import MAX_RECORD_BYTES, bounded_lines, json_records
from timebank_chain.attention.collect.syntax import Fault
from timebank_chain.attention.collect.tabular import row_event, table_rows
from timebank_chain.attention.collect.weblog import line_identity, log_event, parse_log_line
from timebank_chain.attention.collect.xapi import check_statement, statement_event
from timebank_chain.documents import TooLarge, read_small
from timebank_chain.errors import ActivityError, AttentionError

_Found = MemberEvent | Fault | NothingToCount
_MAX_ALIASES_BYTES = 128 << 20


def activitystreams_readings(path: Path | str) -> Iterator[Reading]:
    """Yield what an ActivityStreams 2.0 file holds: a document, or one a line.

    Raises
    ------
    AttentionError
        If the file cannot be read or is empty.
    """

    def read(document: Any) -> Iterable[_Found]:
        check_activitystreams(document)
        return activitystreams_events(document)

    yield from _json_readings(path, read, lists=False)


def xapi_readings(path: Path | str) -> Iterator[Reading]:
    """Yield what an xAPI file holds: a statement, a list, a store's answer (``statements``), or one a line.

    Raises
    ------
    AttentionError
        If the file cannot be read or is empty.
    """

    def read(document: Any) -> Iterable[_Found]:
        if isinstance(document, dict) and set(document) <= {"statements", "more"} and document:
            held = document.get("statements")
            if not isinstance(held, list):
                raise Fault("$.statements", "is not a list")
            for position, statement in enumerate(held):
                try:
                    yield _one(statement)
                except Fault as fault:
                    yield Fault(f"$.statements[{position}]{fault.path[1:]}", fault.problem)
                except NothingToCount as nothing:
                    yield nothing
            return
        yield _one(document)

    def _one(statement: Any) -> MemberEvent:
        check_statement(statement)
        return statement_event(statement)

    yield from _json_readings(path, read, lists=True)


def cloudevents_readings(path: Path | str, rules: FieldRules | None = None) -> Iterator[Reading]:
    """Yield what a CloudEvents file holds: an envelope, a batch, or one a line.

    Parameters
    ----------
    path
        The file.
    rules
        A feed mapping that says where member, verb and the like stand (``data.user.id``); source and id stay
        the envelope's. ``None``: `cloudevent_event`.

    Raises
    ------
    AttentionError
        If the file cannot be read or is empty.
    """

    def read(document: Any) -> Iterable[_Found]:
        envelope = check_cloudevent(document)
        if rules is None:
            yield cloudevent_event(envelope)
            return
        told = row_event(envelope, rules, source=envelope["source"], text=envelope["id"], seen={})
        yield replace(told, source=envelope["source"], id=envelope["id"])

    yield from _json_readings(path, read, lists=True)


def weblog_readings(path: Path | str, *, by_host: bool = False) -> Iterator[Reading]:
    """Yield what a web server's log holds, a line each.

    Raises
    ------
    AttentionError
        If the file cannot be read or is empty.
    """
    name, seen, line = str(path), dict[str, int](), 0
    with _opened(path) as file:
        for raw, whole in bounded_lines(file):
            line += 1
            text = raw.decode("utf-8", "surrogateescape").strip("\r\n \ufeff")
            if not text:
                continue
            found: _Found
            try:
                if not whole:
                    raise Fault("$", f"is a line of more than {MAX_RECORD_BYTES:,} bytes")
                found = log_event(parse_log_line(text), line_identity(text, seen), by_host=by_host)
            except (Fault, NothingToCount) as problem:
                found = problem
            yield Reading(name, line, text, found)
    if line == 0:
        raise AttentionError("the file is empty", where=name, hint="name a file with lines in it")


def table_readings(path: Path | str, rules: FieldRules) -> Iterator[Reading]:
    """Yield what a table holds, through a feed mapping.

    Raises
    ------
    AttentionError
        As `table_rows`.
    """
    name, seen, rows = str(path), dict[str, int](), 0
    source = Path(path).name.split(".")[0] or "table"
    for row in table_rows(path, rules):
        rows += 1
        found: _Found
        if row.cells is None:
            found = row.fault or Fault("$", "is no row")
        else:
            try:
                found = row_event(row.cells, rules, source=source, text=row.text, seen=seen)
            except (Fault, NothingToCount) as problem:
                found = problem
        yield Reading(name, row.line, row.text, found)
    if rows == 0:
        raise AttentionError(
            "the file has a header and no row", where=name, hint="name a file with rows in it"
        )


def load_aliases(path: Path | str) -> dict[str, str]:
    """Read who a source's names belong to: CSV with the header ``alias,member``.

    Raises
    ------
    AttentionError
        If the file cannot be read, has another header, a row is incomplete, or an alias stands twice.
    """
    where = str(path)
    try:
        content = read_small(path, _MAX_ALIASES_BYTES).decode("utf-8-sig")
    except (OSError, TooLarge, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise AttentionError(
            f"cannot read the aliases: {reason}", where=where, hint="name a CSV file in UTF-8"
        ) from error
    rows = csv.reader(io.StringIO(content, newline=""), strict=True)
    aliases: dict[str, str] = {}
    try:
        if [cell.strip() for cell in next(rows, [])] != ["alias", "member"]:
            raise AttentionError("the header is not alias,member", where=f"{where}:1", hint="add that header")
        for row in rows:
            if not row:
                continue
            cells = [cell.strip() for cell in row]
            place = f"{where}:{rows.line_num}"
            if len(cells) != 2 or not all(cells):
                raise AttentionError("a row is not alias,member", where=place, hint="give both, once each")
            if aliases.setdefault(cells[0], cells[1]) != cells[1]:
                raise AttentionError(
                    f"alias {cells[0]!r} belongs to two members", where=place, hint="keep one of the rows"
                )
    except csv.Error as error:
        raise AttentionError(f"not CSV: {error}", where=where, hint="look for an open quote") from error
    return aliases


def ledger_readings(
    events: Iterable[MemberEvent], aliases: Mapping[str, str] | None = None
) -> Iterator[Reading]:
    """Yield the ledger's events as readings; the line is the position in the history.

    ``aliases`` are outside ids by address, from the members file.
    """
    names = aliases or {}
    for position, event in enumerate(events, 1):
        if event.member in names:
            event = replace(event, member=names[event.member])
        yield Reading("ledger", position, event.id, event)


def _json_readings(
    path: Path | str, read: Callable[[Any], Iterable[_Found]], *, lists: bool
) -> Iterator[Reading]:
    name = str(path)
    for record in json_records(path, lists=lists):
        if record.fault is not None:
            yield Reading(name, record.line, record.text, record.fault)
            continue
        try:
            for found in read(record.value):
                yield Reading(name, record.line, record.text, found)
        except (Fault, NothingToCount) as problem:
            yield Reading(name, record.line, record.text, problem)


@contextmanager
def _opened(path: Path | str) -> Iterator[BinaryIO]:
    """Open as `open_input` does; its troubles are told as the twin's."""
    try:
        with open_input(path) as file:
            yield file
    except ActivityError as error:
        raise AttentionError(error.message, where=error.where, hint=error.hint) from error
