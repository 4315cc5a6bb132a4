"""The feed on disk: Parquet or CSV, a manifest beside it that says what it is made of and its data hash."""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from timebank_chain.activity.sources.files import open_input
from timebank_chain.attention.collect.event import MemberEvent
from timebank_chain.attention.collect.feed import (
    COLUMNS,
    SCHEMA_NAME,
    TEXT_COLUMNS,
    CollectResult,
    Feed,
    check_feed,
    feed_of,
)
from timebank_chain.documents import writing_whole
from timebank_chain.errors import ActivityError, AttentionError

MANIFEST_SCHEMA = "timebank.attention.feed-manifest/1"
_SCHEMA_KEY = b"timebank.schema"
_HASH_KEY = b"timebank.data_sha256"
_REMAKE = "make the feed again with 'timebank attention collect'"


@contextmanager
def _writing(path: Path | str) -> Iterator[BinaryIO]:
    try:
        with writing_whole(path, mode=0o644) as file:
            yield file
    except OSError as error:
        raise AttentionError(
            f"cannot write the file: {error.strerror or error}",
            where=str(path),
            hint="choose another place",
        ) from error


def write_json(path: Path | str, document: Mapping[str, Any]) -> None:
    """Write a JSON document, whole or not at all.

    Raises
    ------
    AttentionError
        If it cannot be written.
    """
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    with _writing(path) as file:
        file.write(text.encode("utf-8"))


def write_rows(path: Path | str, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write rows as CSV, whole or not at all; a missing value is an empty cell.

    Raises
    ------
    AttentionError
        If they cannot be written.
    """
    with _writing(path) as file:
        writer = csv.writer(codecs.getwriter("utf-8")(file), lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def write_feed(feed: Feed, path: Path | str) -> str:
    """Write a feed, as CSV when the name ends in ``.csv``, else as Parquet; return its data hash.

    Raises
    ------
    AttentionError
        If the rows are out of order or the file cannot be written.
    """
    check_feed(feed, where=str(path))
    digest = feed.data_hash()
    if Path(path).suffix.lower() == ".csv":
        write_rows(
            path, COLUMNS, [[*row[:7], "" if row[7] is None else repr(row[7]), row[8]] for row in feed.rows()]
        )
        return digest
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {name: pa.array(getattr(feed, name), pa.string()) for name in TEXT_COLUMNS}
    columns["at_ms"] = pa.array(feed.at_ms, pa.int64())
    columns["value"] = pa.array(feed.value, pa.float64(), mask=np.isnan(feed.value))
    schema = pa.schema(
        [pa.field(name, columns[name].type, nullable=name == "value") for name in COLUMNS],
        metadata={_SCHEMA_KEY: SCHEMA_NAME.encode(), _HASH_KEY: digest.encode()},
    )
    table = pa.Table.from_arrays([columns[name] for name in COLUMNS], schema=schema)
    with _writing(path) as file:
        pq.write_table(table, file, compression="zstd", version="2.6")
    return digest


def read_feed(path: Path | str, *, data_hash: str | None = None) -> Feed:
    """Read a feed and check it: schema, order, and its data hash where it carries one or one is given.

    Raises
    ------
    AttentionError
        If the file is missing, damaged, no feed, or not the one of the hash.
    """
    where = str(path)
    if Path(path).suffix.lower() == ".csv":
        feed, told = _read_csv(path), None
    else:
        feed, told = _read_parquet(path)
    check_feed(feed, where=where)
    for wanted, whose in ((told, "its own"), (data_hash, "the given")):
        if wanted is not None and feed.data_hash() != wanted:
            raise AttentionError(f"the rows are not those of {whose} data hash", where=where, hint=_REMAKE)
    return feed


def manifest(
    result: CollectResult,
    *,
    output: Path,
    inputs: Sequence[tuple[str, Path]],
    made_at_ms: int,
    more: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return what a feed is made of.

    Parameters
    ----------
    result
        What was collected.
    output
        The feed as written.
    inputs
        Kind and path of every file that was read; each is named with its SHA-256.
    made_at_ms
        When, Unix milliseconds.
    more
        Further entries (scaling parameters, say).
    """
    feed = result.feed
    return {
        "schema": MANIFEST_SCHEMA,
        "feed": output.name,
        "feed_schema": SCHEMA_NAME,
        "data_sha256": feed.data_hash(),
        "file_sha256": file_sha256(output),
        "made_at_ms": made_at_ms,
        "rows": len(feed),
        "members": len(set(feed.member)),
        "first_ms": int(feed.at_ms[0]) if len(feed) else None,
        "last_ms": int(feed.at_ms[-1]) if len(feed) else None,
        "read": result.read,
        "rejected": len(result.rejects),
        "refused": result.refused,
        "uncounted": result.uncounted,
        "duplicates": result.duplicates,
        "conflicting": result.conflicting,
        "retracted": result.retracted,
        "erased": result.erased,
        "inputs": [{"kind": kind, "file": path.name, "sha256": file_sha256(path)} for kind, path in inputs],
        **(more or {}),
    }


def file_sha256(path: Path | str) -> str:
    """Return a file's SHA-256.

    Raises
    ------
    AttentionError
        If it cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise AttentionError(
            f"cannot read the file: {error.strerror}", where=str(path), hint="name a readable file"
        ) from error


def _read_csv(path: Path | str) -> Feed:
    where = str(path)
    events = []
    try:
        with open_input(path) as binary:
            text = binary.read().decode("utf-8")
        rows = csv.reader(io.StringIO(text, newline=""), strict=True)
        if tuple(next(rows, ())) != COLUMNS:
            raise AttentionError("the header is not that of a feed", where=f"{where}:1", hint=_REMAKE)
        for row in filter(None, rows):  # where a row was erased, its line end may stand
            source, name, member, at_ms, verb, thing, domain, value, unit = row
            events.append(
                MemberEvent(
                    source,
                    name,
                    member,
                    int(at_ms),
                    verb,
                    thing,
                    domain,
                    float(value) if value else None,
                    unit,
                )
            )
            if events[-1].value is not None and not math.isfinite(events[-1].value):
                raise ValueError(f"value {value!r}")
    except ActivityError as error:
        raise AttentionError(error.message, where=error.where, hint=error.hint) from error
    except (ValueError, csv.Error) as error:
        raise AttentionError(f"no row of a feed: {error}", where=where, hint=_REMAKE) from error
    return feed_of(events)


def _read_parquet(path: Path | str) -> tuple[Feed, str | None]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    where = str(path)
    if not Path(path).is_file():
        raise AttentionError("no such file", where=where, hint="name a feed")
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise AttentionError(
            f"not a readable Parquet file: {(str(error).splitlines() or [repr(error)])[0]}",
            where=where,
            hint=_REMAKE,
        ) from error
    kept = table.schema.metadata or {}
    if kept.get(_SCHEMA_KEY) != SCHEMA_NAME.encode() or tuple(table.column_names) != COLUMNS:
        raise AttentionError(f"no feed of schema {SCHEMA_NAME}", where=where, hint=_REMAKE)
    for name in COLUMNS:
        wanted = pa.int64() if name == "at_ms" else pa.float64() if name == "value" else pa.string()
        column = table.column(name)
        if column.type != wanted or (name != "value" and column.null_count):
            raise AttentionError(f"column {name!r} is not of type {wanted}, whole", where=where, hint=_REMAKE)
    texts = {name: table.column(name).to_pylist() for name in TEXT_COLUMNS}
    value = table.column("value").to_numpy(zero_copy_only=False).astype(np.float64)
    told = kept.get(_HASH_KEY)
    feed = Feed(**texts, at_ms=table.column("at_ms").to_numpy().astype(np.int64), value=value)
    return feed, None if told is None else told.decode("ascii", "replace")
