"""The feed as the oracle reads it, followed as it grows: only what was appended is read again.

A file of lines (CSV, JSONL) is read up to its last newline, and next time from there. A Parquet file, a
packed one, or a file of counts is read whole when it changed. A file that shrank or vanished is an error:
acts cannot be taken back (the oracle stops for the same reason).

Records are checked as ``timebank ingest`` checks them; of two with one id the first stays. Rows whose time
the clock has not reached are passed over: lines are turned away for good, as the oracle does, rows of tables
and counts until their time has come.
"""

from __future__ import annotations

import csv
import tempfile
from bisect import bisect_right
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from timebank_chain.activity import PUBLIC_SALT_KEY, ActivityTable, clean, read_activity
from timebank_chain.activity.clean import IN_THE_FUTURE
from timebank_chain.activity.mapping import ColumnMapping
from timebank_chain.activity.sources.files import open_input
from timebank_chain.activity.table import SCHEMA_NAME
from timebank_chain.attention.monitor.series import (
    HOUR_MS,
    Series,
    read_count_rows,
    series_of_counts,
    series_of_times,
)
from timebank_chain.attention.monitor.spans import joined
from timebank_chain.errors import AttentionError
from timebank_chain.oracle.feed import LINE_FORMATS, list_feed
from timebank_chain.oracle.intake import feed_records
from timebank_chain.units import MAX_TIME_MS, format_time

_GZIP_MAGIC = b"\x1f\x8b"
_MAX_HEADER_BYTES = 1 << 20
_CHUNK_BYTES = 1 << 20
_TAKEN_BACK = "put the file back, or start the monitor anew to read the feed as it is"


class Feed:
    """Acts, or counts, that a file or folder holds so far.

    Parameters
    ----------
    path
        A file or a folder, as ``timebank oracle run --feed`` takes it; an activity table; or one CSV of two
        columns, time and count.
    mapping
        What the columns mean, if they have not our names.
    keep_acts
        Whether whole acts are kept (see `table`), some hundred bytes each, and not only their times.

    Attributes
    ----------
    acts, refused
        How many acts or counts were taken, and how many rows were turned away.
    """

    def __init__(self, path: Path, mapping: ColumnMapping | None = None, *, keep_acts: bool = False) -> None:
        self.path = path
        self.acts = 0
        self.refused = 0
        self._mapping = mapping
        #: Of files of lines: bytes read so far. Of others: size and time of change when they were read.
        self._read_to: dict[str, int] = {}
        self._seen: dict[str, tuple[int, int]] = {}
        self._ids: set[str] = set()
        self._kept: list[ActivityTable] | None = [] if keep_acts else None
        self._times: list[NDArray[np.int64]] = []
        self._counts: list[tuple[int, float]] = []
        #: The clock of the last reading, and how many lines it turned away as later.
        self._now_ms = 0
        self._refused_ahead = 0
        self._is_counts = mapping is None and _is_counts(path)

    @property
    def latest_ms(self) -> int | None:
        """When the latest act was done, Unix milliseconds; of counts, until when the last row counts.

        A row of counts covers the time until the next would stand there: the middle pause between rows, at
        most an hour, the longest step. Never later than the clock of the last reading.
        """
        if not self._is_counts:
            past = (part[part <= self._now_ms] for part in self._times)
            return max((int(part.max()) for part in past if len(part)), default=None)
        times = np.array([time_ms for time_ms, _ in self._past_counts(self._now_ms)], dtype=np.int64)
        if not len(times):
            return None
        pauses = np.diff(times)
        pauses = pauses[pauses > 0]
        covered = min(int(np.median(pauses)), HOUR_MS) if len(pauses) else HOUR_MS
        return min(int(times[-1]) + covered, self._now_ms)

    @property
    def ahead(self) -> int:
        """How many rows lay in the future of the clock when they were read last: they are passed over."""
        if self._is_counts:
            return len(self._counts) - len(self._past_counts(self._now_ms))
        waiting = sum(int((part > self._now_ms).sum()) for part in self._times)
        return waiting + self._refused_ahead

    def read(self, *, now_ms: int) -> int:
        """Take in what is new; return how many acts that were.

        Parameters
        ----------
        now_ms
            The present, Unix milliseconds; what claims to be later is passed over.

        Raises
        ------
        TimebankError
            If a file shrank, vanished or cannot be read. What other files hold was taken in, and the next
            call begins where this one failed.
        """
        self._now_ms = now_ms
        if self._is_counts:
            return self._read_counts()
        paths, _ = list_feed(self.path)
        for name in (*self._read_to, *self._seen):
            if name not in paths:
                raise AttentionError(
                    "a feed file that was read before has vanished", where=name, hint=_TAKEN_BACK
                )
        before = self.acts
        for name, path in paths.items():
            if path.suffix.lower() in LINE_FORMATS and not _is_packed(path):
                self._read_lines(name, path, now_ms)
            else:
                self._read_whole(name, path, now_ms)
        return self.acts - before

    def table(self) -> ActivityTable | None:
        """Return the acts so far in order; ``None`` where there are none, or only their times are kept."""
        if not self._kept:
            return None
        while len(self._kept) > 1:
            self._kept.append(joined(self._kept.pop(), self._kept.pop()))
        return self._kept[0]

    def series(self, *, step_ms: int, until_ms: int) -> Series:
        """Return what came in each step that is over by ``until_ms``, and by the clock of the last reading.

        Raises
        ------
        AttentionError
            If there is nothing yet.
        """
        until_ms = min(until_ms, self._now_ms)
        if self._is_counts:
            # A row that is not over by then is no step yet, and one far ahead must not stretch the series.
            counts = self._past_counts(until_ms)
            if not counts:
                raise AttentionError(
                    "there is no row to count",
                    where=f"{self.path}, until {format_time(min(max(until_ms, 0), MAX_TIME_MS))}",
                    hint="check the file's times, --as-of and this machine's clock",
                )
            return series_of_counts(counts, step_ms=step_ms, where=str(self.path)).until(until_ms)
        times = np.concatenate(self._times) if self._times else np.empty(0, dtype=np.int64)
        return series_of_times(times, step_ms=step_ms, until_ms=until_ms)

    def _read_counts(self) -> int:
        found = _size_and_change(self.path)
        if self._seen.get("") == found:
            return 0
        self._counts = read_count_rows(self.path)
        self._seen[""] = found
        before, self.acts = self.acts, len(self._counts)
        return self.acts - before

    def _past_counts(self, until_ms: int) -> list[tuple[int, float]]:
        """Return the rows of counts up to a time; they stand in order."""
        return self._counts[: bisect_right(self._counts, until_ms, key=itemgetter(0))]

    def _read_whole(self, name: str, path: Path, now_ms: int) -> None:
        found = _size_and_change(path)
        if self._seen.get(name) == found:
            return
        if path.suffix.lower() == ".parquet" and _is_activity(path):
            self._take(read_activity(path))
        else:
            self._clean(name, path, now_ms)
        self._seen[name] = found

    def _read_lines(self, name: str, path: Path, now_ms: int) -> None:
        """Read the whole lines that were appended, under the file's header where it has one."""
        read_to, size = self._read_to.get(name, 0), path.stat().st_size
        if size < read_to:
            raise AttentionError(
                f"a feed file shrank from {read_to} to {size} bytes", where=name, hint=_TAKEN_BACK
            )
        if size == read_to:
            return
        with path.open("rb") as file, tempfile.TemporaryDirectory(prefix="timebank-feed-") as folder:
            header = file.readline(_MAX_HEADER_BYTES) if path.suffix.lower() == ".csv" else b""
            if header and not header.endswith(b"\n"):
                return  # not even the header is whole yet
            begin = max(read_to, len(header))
            file.seek(begin)
            copy = Path(folder) / f"appended{path.suffix.lower()}"
            whole = _copy_whole_lines(file, copy, header)
            if whole:
                self._clean(name, copy, now_ms)
        # Not before: what could not be read is read again.
        self._read_to[name] = begin + whole

    def _clean(self, name: str, path: Path, now_ms: int) -> None:
        # The salt matters to ids on chain only; here nothing is kept but times.
        cleaned = clean(feed_records({name: path}, self._mapping), now_ms=now_ms, salt_key=PUBLIC_SALT_KEY)
        self._take(cleaned.table)
        self.refused += len(cleaned.rejects)
        self._refused_ahead += sum(one.reason.startswith(IN_THE_FUTURE) for one in cleaned.rejects)

    def _take(self, table: ActivityTable) -> None:
        fresh = [row for row, name in enumerate(table.id) if name not in self._ids]
        self._ids.update(table.id[row] for row in fresh)
        chosen = table.take(np.array(fresh, dtype=np.int64))
        self._times.append(chosen.occurred_ms)
        if self._kept is not None and fresh:
            self._kept.append(chosen)
        self.acts += len(fresh)


def _copy_whole_lines(source: BinaryIO, target: Path, header: bytes) -> int:
    """Copy up to the last newline, under the header; return how many bytes of the source that were."""
    whole = copied = 0
    with target.open("wb") as writer:
        writer.write(header)
        while block := source.read(_CHUNK_BYTES):
            newline = block.rfind(b"\n")
            if newline >= 0:
                whole = copied + newline + 1
            writer.write(block)
            copied += len(block)
        writer.truncate(len(header) + whole)
    return whole


def _size_and_change(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def _is_packed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == _GZIP_MAGIC


def _is_activity(path: Path) -> bool:
    """Tell an activity table from somebody else's Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_schema(path).metadata or {}
    except (pa.ArrowException, OSError):
        return False  # whoever reads it says what is wrong with it
    return bool(metadata.get(b"timebank.schema", b"").decode("utf-8", "replace") == SCHEMA_NAME)


def _is_counts(path: Path) -> bool:
    """Tell a file of times and counts from one of acts: it has two columns."""
    if not path.is_file() or path.suffix.lower() != ".csv":
        return False
    with open_input(path) as binary:
        first = binary.readline(_MAX_HEADER_BYTES).decode("utf-8-sig", "replace")
    return len(next(csv.reader([first]), [])) == 2
