"""The acts of an epoch's length and of those before it, and who praised whom in them."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from timebank_chain.activity import ActivityTable
from timebank_chain.activity.sources.files import open_input
from timebank_chain.errors import AttentionError
from timebank_chain.units import parse_time


@dataclass(frozen=True, eq=False, slots=True)
class Praise:
    """Who praised, answered or commented on whom, and when; entries belong together by their place."""

    giver: tuple[str, ...]
    receiver: tuple[str, ...]
    occurred_ms: NDArray[np.int64]

    @classmethod
    def none(cls) -> Praise:
        """Return that nothing is known."""
        return cls((), (), np.empty(0, dtype=np.int64))

    def between(self, start_ms: int, end_ms: int) -> Praise:
        """Return what happened in ``(start_ms, end_ms]``."""
        rows = np.flatnonzero((self.occurred_ms > start_ms) & (self.occurred_ms <= end_ms)).tolist()
        return Praise(
            tuple(self.giver[row] for row in rows),
            tuple(self.receiver[row] for row in rows),
            self.occurred_ms[rows] if rows else np.empty(0, dtype=np.int64),
        )


@dataclass(frozen=True, eq=False, slots=True)
class Span:
    """The acts of one span, and who praised whom in it.

    ``who`` is what is judged, one entry an act: its member, or its offer. ``held`` are those of them who were
    held in it and not released since.
    """

    acts: ActivityTable
    who: tuple[str, ...]
    praise: Praise
    held: frozenset[str] = frozenset()

    def without_held(self) -> Span:
        """Return the span as if who is held had done nothing."""
        rows = [row for row, name in enumerate(self.who) if name not in self.held]
        acts = self.acts.take(np.array(rows, dtype=np.int64))
        return Span(acts, tuple(self.who[row] for row in rows), self.praise)


def last_settled_ms(acts: ActivityTable) -> int:
    """Return when the last act settles, Unix milliseconds: where the newest span of a table ends."""
    return int((acts.occurred_ms + acts.window_ms).max())


def spans_of(
    acts: ActivityTable,
    praise: Praise,
    *,
    start_ms: int,
    end_ms: int,
    most: int = 12,
    who: Mapping[str, str] | None = None,
    held: frozenset[str] = frozenset(),
) -> tuple[Span, list[Span]]:
    """Cut the span ``(start_ms, end_ms]`` by the time acts settle, and as many of its length before it.

    Parameters
    ----------
    who
        Which offer an act belongs to, by the act's id; acts of none are left out. Default: its member.
    held
        Ids of acts that were held and not released: whose they are is marked in the spans before.
    """
    settled = acts.occurred_ms + acts.window_ms
    length = end_ms - start_ms

    def cut(begin: int, stop: int, *, mark: frozenset[str]) -> Span:
        rows = [
            row
            for row in np.flatnonzero((settled > begin) & (settled <= stop)).tolist()
            if who is None or acts.id[row] in who
        ]
        chosen = acts.take(np.array(rows, dtype=np.int64))
        names = tuple(chosen.member if who is None else (who[name] for name in chosen.id))
        marked = frozenset(name for act, name in zip(chosen.id, names, strict=True) if act in mark)
        return Span(chosen, names, praise.between(begin, stop), marked)

    earlier = []
    first = int(settled.min()) if len(acts) else start_ms
    for number in range(1, most + 1):
        begin = start_ms - number * length
        if begin + length <= first:
            break
        earlier.append(cut(begin, begin + length, mark=held))
    return cut(start_ms, end_ms, mark=frozenset()), earlier


def joined(one: ActivityTable, other: ActivityTable) -> ActivityTable:
    """Return both tables' rows in the order of an activity table."""
    joined = ActivityTable(
        id=one.id + other.id,
        member=one.member + other.member,
        domain=one.domain + other.domain,
        occurred_ms=np.concatenate([one.occurred_ms, other.occurred_ms]),
        window_ms=np.concatenate([one.window_ms, other.window_ms]),
        interaction_milli=np.concatenate([one.interaction_milli, other.interaction_milli]),
        originality_milli=np.concatenate([one.originality_milli, other.originality_milli]),
        engagement_milli=np.concatenate([one.engagement_milli, other.engagement_milli]),
        salt=np.concatenate([one.salt, other.salt]),
    )
    order = sorted(range(len(joined)), key=lambda row: (int(joined.occurred_ms[row]), joined.id[row]))
    return joined.take(np.array(order, dtype=np.int64))


def read_pairs(path: Path, columns: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Read a CSV file of exactly these columns (``giver,receiver,occurred`` or ``id,offer``).

    Raises
    ------
    AttentionError
        If the header is another, or a row has another number of cells; naming the line.
    """
    where = str(path)
    with open_input(path) as binary, io.TextIOWrapper(binary, encoding="utf-8-sig", newline="") as text:
        try:
            reader = csv.reader(text, strict=True)
            header = tuple(cell.strip() for cell in next(reader, []))
            if header != columns:
                raise AttentionError(
                    f"columns {','.join(header)!r}, not {','.join(columns)!r}", where=f"{where}:1"
                )
            rows = []
            for line, cells in enumerate(reader, start=2):
                if cells and len(cells) != len(columns):
                    raise AttentionError(f"{len(cells)} cells, not {len(columns)}", where=f"{where}:{line}")
                if cells:
                    rows.append(tuple(cells))
        except (csv.Error, UnicodeDecodeError) as error:
            raise AttentionError(f"not CSV: {error}", where=where, hint="save it as UTF-8 CSV") from error
    return rows


def read_praise(path: Path) -> Praise:
    """Read who praised whom (CSV: giver, receiver, occurred).

    Raises
    ------
    AttentionError
        As `read_pairs`, or if a time is none.
    """
    givers, receivers, times = [], [], []
    for number, (giver, receiver, occurred) in enumerate(
        read_pairs(path, ("giver", "receiver", "occurred")), start=1
    ):
        try:
            times.append(int(parse_time(occurred)))
        except ValueError as error:
            raise AttentionError(str(error), where=f"{path}, row {number}, field 'occurred'") from None
        givers.append(giver)
        receivers.append(receiver)
    return Praise(tuple(givers), tuple(receivers), np.array(times, dtype=np.int64))
