"""The rows of held acts: found in an activity table, and moved into the epoch that takes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from timebank_chain.activity import ActivityTable, record_ids
from timebank_chain.attention.monitor.hold import Hold


class RowsOfActs:
    """Finds held acts in a table: by id, or, where the id was erased, by the record id beside it."""

    def __init__(self, table: ActivityTable) -> None:
        self.table = table

    def rows(self, one: Hold) -> list[int | None]:
        """Return each act's row, ``None`` where there is none (any more)."""
        if one.erased:
            return [self._by_record.get(record) for record in one.records or ("",) * len(one.acts)]
        return [self._by_id.get(act) for act in one.acts]

    def records(self, rows: Sequence[int | None]) -> tuple[str, ...]:
        """Return the record ids of rows in hexadecimal, an empty text for none."""
        return _named(self.table, rows)

    def entered(
        self, one: Hold, rows: Sequence[int | None], *, start_ms: int, end_ms: int
    ) -> tuple[str, ...]:
        """Return the record ids as which the epoch ``(start_ms, end_ms]`` takes a hold's rows."""
        found = [row for row in rows if row is not None]
        moved = as_entered(
            self.table, found, epoch=one.epoch, own_end_ms=one.end_ms, start_ms=start_ms, end_ms=end_ms
        )
        place = iter(range(len(found)))
        return _named(moved, [None if row is None else next(place) for row in rows])

    @cached_property
    def _by_id(self) -> dict[str, int]:
        return {act: row for row, act in enumerate(self.table.id)}

    @cached_property
    def _by_record(self) -> dict[str, int]:
        # Every row is hashed: only where somebody who was held is erased.
        return {record.tobytes().hex(): row for row, record in enumerate(record_ids(self.table))}


def as_entered(
    table: ActivityTable, rows: Sequence[int], *, epoch: int, own_end_ms: int, start_ms: int, end_ms: int
) -> ActivityTable:
    """Return acts of an epoch as the records that enter a later one, in the order of ``rows``.

    The id says whence they come; the time is moved by as much as the epochs' ends lie apart.

    Parameters
    ----------
    epoch, own_end_ms
        The epoch the acts settle in, and its end.
    start_ms, end_ms
        The epoch that takes them.
    """
    taken = table.take(np.array(rows, dtype=np.int64))
    moved = taken.occurred_ms + (end_ms - own_end_ms)
    # In an epoch shorter than its own an act might settle before the start; it settles at once then.
    moved = moved + np.maximum(0, start_ms + 1 - (moved + taken.window_ms))
    return replace(taken, id=[f"released:{epoch}:{act}" for act in taken.id], occurred_ms=moved)


def _named(table: ActivityTable, rows: Sequence[int | None]) -> tuple[str, ...]:
    found = np.array([row for row in rows if row is not None], dtype=np.int64)
    ids = iter(record_ids(table.take(found)))
    return tuple("" if row is None else next(ids).tobytes().hex() for row in rows)
