"""Web servers' logs: Common and Combined Log Format, as Apache and nginx write them.

Counts what a member was shown or sent: requests with a user name that were answered well (2xx, or 304: shown
from the reader's own copy). The query of an address is left out: it may hold secrets and makes one page many.
"""

from __future__ import annotations

import hashlib
import re
from calendar import timegm
from typing import NamedTuple

from timebank_chain.attention.collect.event import MemberEvent, NothingToCount
from timebank_chain.attention.collect.syntax import Fault, shown
from timebank_chain.attention.collect.verbs import common_verb
from timebank_chain.units import MAX_TIME_MS

#: Servers refuse requests long before.
MAX_LINE = 1 << 17
_TEXT = r'"((?:[^"\\]|\\.)*+)"'
_LINE = re.compile(
    rf"(\S+) (\S+) (.+?) \[([^\]]{{1,64}})\] {_TEXT} ([0-9]{{3}}) ([0-9]{{1,18}}|-)(?: {_TEXT} {_TEXT})?\s*"
)
_REQUEST = re.compile(r"([A-Z]{1,20}) (\S+)(?: HTTP/[0-9.]+)?")
_MONTHS = {
    name: number
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1
    )
}
_TIME = re.compile(
    r"([0-3][0-9])/([A-Z][a-z]{2})/([0-9]{4}):([0-2][0-9]):([0-5][0-9]):([0-6][0-9])"
    r" ([+-])([0-2][0-9])([0-5][0-9])"
)
_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_BOT = re.compile(r"bot\b|crawl|spider|slurp|curl/|wget/|python-|httpclient|monitor", re.IGNORECASE)


class LogEntry(NamedTuple):
    """A line of a log, taken apart."""

    host: str
    user: str
    at_ms: int
    method: str
    path: str
    status: int
    size: int | None
    agent: str


def parse_log_line(text: str) -> LogEntry:
    """Take a line apart.

    Raises
    ------
    Fault
        Naming the part that is wrong.
    """
    if len(text) > MAX_LINE:
        raise Fault("$", f"is a line of {len(text):,} characters, at most {MAX_LINE:,} are read")
    match = _LINE.fullmatch(text)
    if match is None:
        raise Fault("$", "is not in the Common or Combined Log Format")
    host, _, user, moment, request, status, size, _, agent = match.groups()
    asked = _REQUEST.fullmatch(request)
    if asked is None:
        raise Fault("$.request", f"is no HTTP request: {shown(request)}")
    path = asked[2].partition("?")[0].partition("#")[0] or "/"
    return LogEntry(
        host,
        user,
        _log_time(moment),
        asked[1],
        path,
        int(status),
        None if size == "-" else int(size),
        agent or "",
    )


def log_event(entry: LogEntry, identity: str, *, by_host: bool = False) -> MemberEvent:
    """Read a line as an event.

    Parameters
    ----------
    entry
        The line.
    identity
        What names it (`line_identity`).
    by_host
        Whether a request without a user counts for the address it came from.

    Raises
    ------
    NothingToCount
        If it has no user, was not answered well, or came from a robot.
    """
    member = entry.user
    if member == "-":
        if not by_host:
            raise NothingToCount("$.user", "no user")
        member = entry.host
    if not (200 <= entry.status < 300 or entry.status == 304):
        raise NothingToCount("$.status", f"not answered well: status {entry.status}")
    if _BOT.search(entry.agent):
        raise NothingToCount("$.agent", f"a robot: {shown(entry.agent)}")
    return MemberEvent(
        source="weblog",
        id=identity,
        member=member,
        at_ms=entry.at_ms,
        verb=common_verb(entry.method),
        object=entry.path,
        domain="web",
        value=None if entry.size is None else float(entry.size),
        unit="" if entry.size is None else "B",
    )


def log_names(text: str) -> tuple[str, ...]:
    """Return whose request a line is and where it came from; nothing of a text that is no log's line."""
    words = text.split(maxsplit=3)
    return (words[0], words[2]) if len(words) == 4 and words[3].startswith("[") else ()


def line_identity(text: str, seen: dict[str, int]) -> str:
    """Return what names a line that has no name of its own: its content, and the how-manieth it is.

    Two alike in one file are two requests; the same file read twice is not. ``seen`` counts for one file.
    """
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:40]
    number = seen[digest] = seen.get(digest, 0) + 1
    return digest if number == 1 else f"{digest}-{number}"


def _log_time(text: str) -> int:
    match = _TIME.fullmatch(text)
    month = _MONTHS.get(match[2], 0) if match else 0
    if match is None or month == 0 or not 1 <= int(match[1]) <= _DAYS[month - 1] or int(match[4]) > 23:
        raise Fault("$.time", f"is no time of a log: {shown(text)}")
    seconds = timegm((int(match[3]), month, int(match[1]), int(match[4]), int(match[5]), int(match[6])))
    offset = int(match[8]) * 3_600 + int(match[9]) * 60
    ms = (seconds - offset if match[7] == "+" else seconds + offset) * 1_000
    if not 0 <= ms <= MAX_TIME_MS:
        raise Fault("$.time", f"is out of range: {shown(text)}")
    return ms
