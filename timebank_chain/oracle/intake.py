"""From the feed to one epoch's acts: cleaned, windowed, and told apart by when they settle.

An act belongs to the epoch in which its observation window closes. Whatever arrives after that epoch
was closed is late: it is listed in the rejects, and no later epoch takes it, because a late report
waits for no one and nobody may wait for a better moment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from timebank_chain.activity import ActivityTable, CleanResult, RawRecord, Reject, clean, record_ids
from timebank_chain.activity.erased import Erased
from timebank_chain.activity.mapping import ColumnMapping
from timebank_chain.activity.sources import csv_rows, jsonl_rows, parquet_rows
from timebank_chain.units import format_duration, format_time
from timebank_chain.valuation import Policy, other_windows

_READERS = {".csv": csv_rows, ".jsonl": jsonl_rows, ".ndjson": jsonl_rows, ".parquet": parquet_rows}


@dataclass(frozen=True, slots=True)
class EpochIntake:
    """One epoch's acts, and every row that is in no epoch.

    ``table`` holds the acts that settle in the epoch, ``known`` those of all times; ``rejects`` the refused
    and late rows; ``late_ids`` the record ids of the late ones; ``waiting`` counts acts that settle later.
    """

    table: ActivityTable
    known: ActivityTable
    rejects: tuple[Reject, ...]
    late_ids: tuple[bytes, ...]
    waiting: int


def feed_records(files: dict[str, Path], mapping: ColumnMapping | None) -> Iterator[RawRecord]:
    """Yield the raw records of all feed files, by name; files without a whole line give none."""
    for name, path in files.items():
        if path.stat().st_size:
            yield from _READERS[path.suffix.lower()](path, mapping, source=name)


def read_intake(
    files: dict[str, Path],
    mapping: ColumnMapping | None,
    policy: Policy,
    *,
    start_ms: int,
    end_ms: int,
    now_ms: int,
    salt_key: bytes,
    is_closed: Callable[[bytes], bool],
    published: Callable[[bytes], int | None],
    erased: Erased | None = None,
) -> EpochIntake:
    """Clean the whole feed and take the acts that settle in ``(start_ms, end_ms]``.

    Parameters
    ----------
    files
        Standstill copies of the feed files, by name.
    is_closed
        Tells whether a record id stands in a closed epoch, is or was held, or was listed as late before.
    published
        Tells which finalised epoch holds a record id. Where several records have one id, that one stays
        and the others are rejected; without it, all of them are.
    erased
        Whose records are turned away, leaving nothing of them in the rejects.

    Raises
    ------
    ActivityError
        If a file as a whole cannot be read.
    """
    windows = {domain.name: domain.window_ms for domain in policy.domains}
    records = feed_records(files, mapping)
    cleaned = clean(
        records if erased is None else erased.turned_away(records),
        now_ms=now_ms,
        salt_key=salt_key,
        windows=windows,
        domains=windows.keys(),
        published=published,
    )
    table, odd = _with_policy_windows(cleaned, policy)
    settled = table.occurred_ms + np.array([windows[name] for name in table.domain], dtype=np.int64)
    inside = np.flatnonzero((settled > start_ms) & (settled <= end_ms))
    before = table.take(np.flatnonzero(settled <= start_ms))
    late: dict[str, str] = {}
    late_ids: list[bytes] = []
    for row, record_id in enumerate(record_ids(before)):
        if not is_closed(record_id.tobytes()):
            moment = int(before.occurred_ms[row]) + windows[before.domain[row]]
            late[before.id[row]] = f"late: it settled at {format_time(moment)}, in an epoch closed before"
            late_ids.append(record_id.tobytes())
    rejects = (
        *cleaned.rejects,
        *_where_they_stood(files, mapping, odd),
        *_where_they_stood(files, mapping, late),
    )
    return EpochIntake(table.take(inside), table, rejects, tuple(late_ids), int((settled > end_ms).sum()))


def _with_policy_windows(cleaned: CleanResult, policy: Policy) -> tuple[ActivityTable, dict[str, str]]:
    """Leave out acts counted over another window than the policy's; one such row must not stop the rest."""
    table = cleaned.table
    windows = {domain.name: domain.window_ms for domain in policy.domains}
    other = other_windows(table, policy)
    odd = {
        table.id[row]: (
            f"other window: counted over {format_duration(int(table.window_ms[row]))}, "
            f"the policy waits {format_duration(windows[table.domain[row]])}"
        )
        for row in other.tolist()
    }
    return (table.take(np.delete(np.arange(len(table)), other)) if odd else table), odd


def _where_they_stood(
    files: dict[str, Path], mapping: ColumnMapping | None, reasons: dict[str, str]
) -> Iterator[Reject]:
    """Read the feed again for the places of a few rows, which the clean table no longer knows."""
    if not reasons:
        return
    import json

    for record in feed_records(files, mapping):
        if record.refused is None and isinstance(record.id, str) and record.id in reasons:
            original = record.original if isinstance(record.original, str) else dict(record.original)
            text = json.dumps(original, ensure_ascii=False, default=str)
            yield Reject(record.source, record.line, record.id, "occurred", reasons[record.id], text)
