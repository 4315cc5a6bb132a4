"""What `timebank attention collect` writes: the joined feed, features by span, and the manifest beside them.

Any table with a column ``member``, or one that was named, is understood as far as that goes: whose a row is,
and when (``at_ms``; of features ``start_ms``). Ids are matched whole there, so that numbers and short names
are as good as long ones. Of statements and activities in JSON the actor tells.
The feed is read and written by its own reader and writer, which carry its data hash; the manifest is written
anew with it, so that who checks a feed against its manifest finds them agreed.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from timebank_chain.activity.erased import id_text
from timebank_chain.activity.record import RawRecord
from timebank_chain.activity.rules import cell_value
from timebank_chain.activity.sources.files import open_input
from timebank_chain.attention.collect import feed_of, read_feed, write_feed
from timebank_chain.attention.collect.event import MemberEvent
from timebank_chain.attention.collect.feed import COLUMNS, SCHEMA_NAME, Feed
from timebank_chain.attention.collect.files import MANIFEST_SCHEMA, file_sha256, write_json
from timebank_chain.documents import TooLarge, parse_json, read_small

#: Why a row is refused whose columns neither the mapping nor our own names explain.
FOREIGN = ("", "foreign columns")
#: The same of a JSON record that is no row, and tells who acted.
ACTED = ("", "foreign record of somebody's act")
#: When a row of such a table was; the first that is there counts.
_TIMES = ("at_ms", "start_ms")
#: The columns that are read; any other may name somebody.
_READ = frozenset({"id", *_TIMES})
#: What stands for ``member`` where nobody names a column.
MEMBER = "member"
#: Who acted: in xAPI and ActivityStreams, of objects of the latter, in CloudEvents; the first that tells.
_ACTORS = ("member", "actor", "attributedTo", "authid", "data.member")
_AGENT_NAMES = ("id", "@id", "href", "mbox", "openid")
_MAX_MANIFEST_BYTES = 64 << 20
_MAX_HEADER_BYTES = 1 << 20
#: A whole number as it is written where the column's numbers became floats.
_WHOLE = re.compile(r"(-?[0-9]+)(?:\.0*|,0{1,2})")


def read_keys(column: str | None) -> frozenset[str]:
    """Return the columns, or paths, that are read; any other may name somebody."""
    return _READ | ({column} if column else {*_ACTORS})


def unread(columns: list[str], column: str | None = None) -> list[str]:
    """Return the columns in which another member may be named; none where nobody knows whose a row is."""
    read = _READ | {column or MEMBER}
    return [name for name in columns if name not in read] if (column or MEMBER) in columns else []


def acting_names(record: Mapping[str, Any]) -> frozenset[str]:
    """Return what a JSON record calls who acted, in all its ways; none where it does not tell."""
    return next((found for name in _ACTORS if (found := names_in(cell_value(record, name)))), frozenset())


def whole_number(text: str) -> str:
    """Return a whole number without its empty fraction (``4711.0``), any other text as it is."""
    whole = _WHOLE.fullmatch(text)
    return whole[1] if whole else text


def names_in(value: object) -> frozenset[str]:
    """Return what an actor is called: an id, an agent, a group with its members, or several of them."""
    if isinstance(value, str | int | float | Decimal):
        text = (id_text(value) or "").removeprefix("mailto:")
        return frozenset({text, whole_number(text)} - {""})
    if isinstance(value, list):
        return frozenset().union(*map(names_in, value))
    if not isinstance(value, Mapping):
        return frozenset()
    found = frozenset().union(*(names_in(value.get(name)) for name in (*_AGENT_NAMES, "member")))
    found |= frozenset(name.lower() for name in names_in(value.get("mbox_sha1sum")))
    account = value.get("account")
    if isinstance(account, Mapping) and (own := names_in(account.get("name"))):
        # As `collect` joins them, and alone.
        found |= own | {f"{account['name']}@{account.get('homePage')}"}
    return found


def foreign_record(row: Mapping[str, Any], name: str, line: int, column: str | None = None) -> RawRecord:
    """Return a row of a foreign table, with its member and time where it has columns for them.

    Parameters
    ----------
    column
        The member's column, or a path to it; ``None`` or empty: ``member``.
    """
    member, own = id_text(cell_value(row, column or MEMBER)), row.get("id")
    if member is None:
        return RawRecord(name, line, original=row, refused=FOREIGN)
    return RawRecord(
        name,
        line,
        id=own if isinstance(own, str) else None,
        member=member,
        domain=row.get("domain"),
        occurred=next((row[time] for time in _TIMES if time in row), None),
        original=row,
        refused=FOREIGN,
    )


def is_feed(path: Path) -> bool:
    """Tell whether a file is a joined feed."""
    if path.suffix.lower() == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            metadata = pq.read_schema(path).metadata or {}
        except (pa.ArrowException, OSError):
            return False
        return bool(metadata.get(b"timebank.schema") == SCHEMA_NAME.encode())
    if path.suffix.lower() != ".csv":
        return False
    with open_input(path) as binary:
        head = binary.readline(_MAX_HEADER_BYTES).decode("utf-8", "replace")
    return tuple(next(csv.reader(io.StringIO(head)), [])) == COLUMNS


def feed_without(
    path: Path, part: Path, drop: Callable[[RawRecord], bool], redacted: Callable[[str], str]
) -> tuple[list[RawRecord], int, int]:
    """Write a feed aside without some rows, and with the others' objects and domains redacted.

    Parameters
    ----------
    path, part
        The feed, and where the new one goes; ``part`` ends as ``path`` does.
    drop
        Tells which rows go.
    redacted
        Returns a cell without the member's name.

    Returns
    -------
    tuple
        The rows that went, how many others were redacted, how many stay. Where both are none, nothing was
        written.

    Raises
    ------
    AttentionError
        If the feed is damaged or cannot be written.
    """
    dropped: list[RawRecord] = []
    kept: list[MemberEvent] = []
    changed = 0
    for number, cells in enumerate(read_feed(path).rows(), start=1):
        event = MemberEvent(*cells)
        record = foreign_record(dict(zip(COLUMNS, cells, strict=True)), str(path), number)
        if drop(record):
            dropped.append(record)
            continue
        new = replace(event, object=redacted(event.object), domain=redacted(event.domain))
        changed += new != event
        kept.append(new)
    if dropped or changed:
        write_feed(feed_of(kept), part)
    return dropped, changed, len(kept)


def renew_manifests(path: Path, part: Path, kept: int) -> None:
    """Write the manifests beside a file anew for what takes its place.

    Parameters
    ----------
    path, part
        The file, and what is put in its place next.
    kept
        Its rows then.
    """
    for manifest in sorted(path.parent.glob("*.manifest.json")):
        try:
            document = parse_json(read_small(manifest, _MAX_MANIFEST_BYTES))
        except (OSError, TooLarge, ValueError):
            continue  # none of ours
        if not isinstance(document, dict) or document.get("schema") != MANIFEST_SCHEMA:
            continue
        before = dict(document)
        if document.get("feed") == path.name and is_feed(part):
            document |= _of_feed(read_feed(part)) | {"file_sha256": file_sha256(part)}
        for entry, count in (("features", "rows"), ("activity", "acts")):
            about = document.get(entry)
            if isinstance(about, dict) and about.get("file") == path.name:
                document[entry] = about | {count: kept}
        if document != before:
            write_json(manifest, document)


def _of_feed(feed: Feed) -> dict[str, Any]:
    return {
        "data_sha256": feed.data_hash(),
        "rows": len(feed),
        "members": len(set(feed.member)),
        "first_ms": int(feed.at_ms[0]) if len(feed) else None,
        "last_ms": int(feed.at_ms[-1]) if len(feed) else None,
    }
