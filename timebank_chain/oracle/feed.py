"""A feed that grows while it is read: one CSV, JSONL or Parquet file, or a folder of them.

Before an epoch is built, the whole lines of every file are copied aside, so that a writer may go on
appending. A last line without a newline is left for the next time. What was read is remembered as
(bytes, SHA-256); a file that shrank, vanished or was rewritten stops the oracle, because the rows it
held may already stand in a closed epoch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from timebank_chain.errors import OracleError
from timebank_chain.oracle.journal import FeedMark

LINE_FORMATS = frozenset({".csv", ".jsonl", ".ndjson"})
FORMATS = LINE_FORMATS | {".parquet"}
#: A packed file does not grow line by line.
PACKED = (
    "a packed file is unpacked first, or taken by timebank ingest, whose table timebank epoch build and "
    "oracle sign read (--activity)"
)
_CHUNK = 1 << 20
_REPLACED = (
    "put the file back; if it was replaced on purpose, run once with --forget-feed: "
    "closed epochs stay as they are, and rows that settle in them are late"
)


class FeedChanged(OracleError):
    """A file that was read before vanished, shrank or was rewritten: a person has to decide."""


@dataclass(frozen=True, slots=True)
class FeedSnapshot:
    """A standstill copy of the feed.

    ``files`` maps names (relative to the feed) to the copies; ``marks`` is what to remember once an
    epoch has been built from them; ``held_back`` counts bytes after the last newline; ``ignored``
    names files of unknown format, packed ones among them.
    """

    files: dict[str, Path]
    marks: tuple[FeedMark, ...]
    held_back: dict[str, int]
    ignored: tuple[str, ...]


def list_feed(feed: Path) -> tuple[dict[str, Path], tuple[str, ...]]:
    """Return the feed's files by name, and the names of files in no known format.

    Raises
    ------
    OracleError
        If there is nothing at ``feed``, or a single file has no known format.
    """
    if feed.is_dir():
        found = sorted(
            path
            for path in feed.rglob("*")
            if path.is_file() and not any(part.startswith(".") for part in path.relative_to(feed).parts)
        )
        names = {path.relative_to(feed).as_posix(): path for path in found}
    elif feed.exists():
        if feed.suffix.lower() not in FORMATS:
            raise OracleError(
                f"no known feed format: {feed.suffix or 'no ending'!r}",
                where=str(feed),
                hint=f"name it with one of {', '.join(sorted(FORMATS))}; {PACKED}",
            )
        names = {feed.name: feed}
    else:
        raise OracleError(
            "the feed is not there",
            where=str(feed),
            hint="check --feed; a file that was read before must stay where it is",
        )
    taken = {name: path for name, path in names.items() if path.suffix.lower() in FORMATS}
    return taken, tuple(name for name in names if name not in taken)


def take_snapshot(feed: Path, marks: Mapping[str, FeedMark], into: Path) -> FeedSnapshot:
    """Copy the whole lines of the feed into the empty folder ``into``.

    Parameters
    ----------
    feed
        A file or a folder.
    marks
        What was read before, by name.
    into
        Where the copies go, under the same names.

    Raises
    ------
    FeedChanged
        If a file that was read before has vanished, shrunk or been rewritten.
    OracleError
        If there is nothing to read, or a Parquet file is not whole.
    """
    if marks and not feed.exists():
        raise FeedChanged("the feed that was read before has vanished", where=str(feed), hint=_REPLACED)
    paths, ignored = list_feed(feed)
    for name in marks:
        if name not in paths:
            raise FeedChanged("a feed file that was read before has vanished", where=name, hint=_REPLACED)
    files: dict[str, Path] = {}
    new_marks: list[FeedMark] = []
    held_back: dict[str, int] = {}
    for name, path in paths.items():
        copy = into / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() in LINE_FORMATS:
            mark, rest = _copy_lines(name, path, copy, marks.get(name))
            if rest:
                held_back[name] = rest
        else:
            mark = _copy_parquet(name, path, copy, marks.get(name))
        files[name] = copy
        new_marks.append(mark)
    return FeedSnapshot(files, tuple(new_marks), held_back, ignored)


def _copy_lines(name: str, source: Path, copy: Path, before: FeedMark | None) -> tuple[FeedMark, int]:
    size = source.stat().st_size
    if before is not None and size < before.size:
        raise FeedChanged(
            f"a feed file shrank from {before.size} to {size} bytes: rows of closed epochs may be lost",
            where=name,
            hint=_REPLACED,
        )
    complete = _complete_length(source, size)
    if before is not None and complete < before.size:
        raise FeedChanged("a feed file was rewritten after it was read", where=name, hint=_REPLACED)
    digest = hashlib.sha256()
    position = 0
    with source.open("rb") as reader, copy.open("wb") as writer:
        while position < complete:
            # Stop at the old mark once, to compare the part that was read before.
            stop = before.size if before is not None and position < before.size else complete
            block = reader.read(min(_CHUNK, stop - position))
            if not block:
                raise FeedChanged("a feed file shrank while it was read", where=name, hint=_REPLACED)
            digest.update(block)
            writer.write(block)
            position += len(block)
            if before is not None and position == before.size and digest.hexdigest() != before.sha256:
                raise FeedChanged(
                    f"a feed file was rewritten: its first {before.size} bytes are not those read before",
                    where=name,
                    hint=_REPLACED,
                )
    return FeedMark(name, complete, digest.hexdigest(), 0), size - complete


def _complete_length(path: Path, size: int) -> int:
    """Return the offset after the last newline within the first ``size`` bytes."""
    with path.open("rb") as reader:
        end = size
        while end > 0:
            start = max(0, end - _CHUNK)
            reader.seek(start)
            found = reader.read(end - start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            end = start
    return 0


def _copy_parquet(name: str, source: Path, copy: Path, before: FeedMark | None) -> FeedMark:
    import pyarrow as pa
    import pyarrow.parquet as pq

    digest = hashlib.sha256()
    size = 0
    with source.open("rb") as reader, copy.open("wb") as writer:
        while block := reader.read(_CHUNK):
            digest.update(block)
            writer.write(block)
            size += len(block)
    try:
        rows = int(pq.read_metadata(copy).num_rows)
    except (pa.ArrowException, OSError) as error:
        raise OracleError(
            f"not a whole Parquet file: {error}",
            where=name,
            hint="write Parquet files elsewhere and rename them into the feed when they are complete",
        ) from error
    if before is not None and rows < before.rows:
        raise FeedChanged(
            f"a feed file shrank from {before.rows} to {rows} rows: rows of closed epochs may be lost",
            where=name,
            hint=_REPLACED,
        )
    return FeedMark(name, size, digest.hexdigest(), rows)
