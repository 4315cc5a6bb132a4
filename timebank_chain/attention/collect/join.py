"""Joining by member and time: the last event before a moment, and what was done in every span of time.

Both look only back: a row never learns of an event at or after its own time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from timebank_chain.attention.collect.feed import Feed
from timebank_chain.attention.collect.verbs import ACTS, REACTIONS, TRANSFERS
from timebank_chain.errors import AttentionError
from timebank_chain.units import format_time

#: More spans than this are a mistake in the width, not a wish.
MAX_BUCKETS = 50_000_000
_KINDS = {"acts": ACTS, "reactions": REACTIONS, "transfers": TRANSFERS}


@dataclass(frozen=True, eq=False, slots=True)
class FeatureTable:
    """Numbers by member and span.

    Attributes
    ----------
    member, start_ms
        Key of each row; ordered by both.
    columns
        Names of the features.
    values
        float64 of shape (rows, columns); NaN where there is nothing to say.
    """

    member: list[str]
    start_ms: NDArray[np.int64]
    columns: tuple[str, ...]
    values: NDArray[np.float64]

    def column(self, name: str) -> NDArray[np.float64]:
        """Return one feature, shape (rows,)."""
        column: NDArray[np.float64] = self.values[:, self.columns.index(name)]
        return column


def last_before(
    members: Sequence[str],
    times_ms: NDArray[np.int64],
    feed: Feed,
    *,
    tolerance_ms: int | None = None,
) -> NDArray[np.int64]:
    """Return for each (member, time) the row of the member's last event strictly before it, or -1.

    Parameters
    ----------
    members, times_ms
        What is asked, in any order; shape (n,).
    feed
        Events of any members, ordered by time.
    tolerance_ms
        How old an event may be; ``None``: any age.

    Returns
    -------
    NDArray[np.int64]
        Row numbers of the feed, shape (n,).
    """
    asked = np.asarray(times_ms, dtype=np.int64)
    if len(members) != len(asked):
        raise ValueError(f"{len(members)} members and {len(asked)} times")
    codes = {name: code for code, name in enumerate(dict.fromkeys(feed.member))}
    event_code = np.array([codes[name] for name in feed.member], dtype=np.int64)
    asked_code = np.array([codes.get(name, -1) for name in members], dtype=np.int64)
    order = np.lexsort((feed.at_ms, event_code))
    sorted_code, sorted_at = event_code[order], feed.at_ms[order]
    found = np.full(len(asked), -1, dtype=np.int64)
    first = np.searchsorted(sorted_code, asked_code, side="left")
    end = np.searchsorted(sorted_code, asked_code, side="right")
    for row in np.flatnonzero(asked_code >= 0).tolist():
        begin, stop = int(first[row]), int(end[row])
        at = begin + int(np.searchsorted(sorted_at[begin:stop], asked[row], side="left")) - 1
        if at >= begin and (tolerance_ms is None or asked[row] - sorted_at[at] <= tolerance_ms):
            found[row] = order[at]
    return found


def bucket_features(
    feed: Feed, width_ms: int, *, start_ms: int | None = None, end_ms: int | None = None, empty: bool = False
) -> FeatureTable:
    """Count and sum each member's events in spans of equal width.

    Features: ``events``; ``acts``, ``reactions`` and ``transfers`` by the verb; ``objects`` (different ones);
    ``value_UNIT`` (sum by unit, NaN where none was measured); ``since_ms`` (from the member's last event
    before the span to its start, NaN at first).

    Parameters
    ----------
    feed
        The events.
    width_ms
        Width of a span, milliseconds. Spans begin at multiples of it since 1970.
    start_ms, end_ms
        Events before the first or from the second on are left out.
    empty
        Whether spans between a member's first and last event in which nothing happened get a row.

    Raises
    ------
    AttentionError
        If the width is not positive or makes more than 50 million rows, or values add up to more than a
        float holds.
    """
    if width_ms <= 0:
        raise AttentionError(f"a span of {width_ms} ms is none", hint="write for example 1h or 1d")
    inside = np.ones(len(feed), dtype=bool)
    if start_ms is not None:
        inside &= feed.at_ms >= start_ms
    if end_ms is not None:
        inside &= feed.at_ms < end_ms
    rows = np.flatnonzero(inside)
    names = sorted({feed.member[row] for row in rows.tolist()})
    codes = {name: code for code, name in enumerate(names)}
    units = sorted({unit for unit in feed.unit if unit})
    columns = ("events", *_KINDS, "objects", *(f"value_{unit}" for unit in units), "since_ms")
    member = np.array([codes[feed.member[row]] for row in rows.tolist()], dtype=np.int64)
    bucket = feed.at_ms[rows] // width_ms
    keys, place = np.unique(np.stack([member, bucket], axis=1), axis=0, return_inverse=True)
    place = place.reshape(-1)
    if empty and len(keys):
        keys, offset = _filled(keys)
        place = offset[member] + bucket
    values = np.zeros((len(keys), len(columns)))
    by_name = {name: number for number, name in enumerate(columns)}
    np.add.at(values[:, by_name["events"]], place, 1)
    verbs = np.array([feed.verb[row] for row in rows.tolist()], dtype=object)
    for kind, words in _KINDS.items():
        hit = np.array([verb in words for verb in verbs], dtype=bool)
        np.add.at(values[:, by_name[kind]], place[hit], 1)
    pairs = {
        (int(at), feed.object[row]) for at, row in zip(place, rows.tolist(), strict=True) if feed.object[row]
    }
    np.add.at(values[:, by_name["objects"]], np.array([at for at, _ in pairs], dtype=np.int64), 1)
    unit_of = np.array([feed.unit[row] for row in rows.tolist()], dtype=object)
    for unit in units:
        hit = (unit_of == unit) & ~np.isnan(feed.value[rows])
        column = values[:, by_name[f"value_{unit}"]]
        with np.errstate(over="ignore"):  # what it becomes is refused below, by name
            np.add.at(column, place[hit], feed.value[rows][hit])
        beyond = np.flatnonzero(np.isinf(column))
        if len(beyond):
            code, span = keys[beyond[0]].tolist()
            raise AttentionError(
                f"the values of {names[code]!r} in {unit} add up to more than any number, in the span from "
                f"{format_time(span * width_ms)}",
                hint="look for values that cannot be; a smaller unit or a narrower span does not mend them",
            )
        column[np.setdiff1d(np.arange(len(keys)), place[hit])] = np.nan
    starts = keys[:, 1] * width_ms
    labels = [names[code] for code in keys[:, 0].tolist()]
    before = last_before(labels, starts, feed)
    since = np.where(before >= 0, starts - feed.at_ms[before] if len(feed) else 0, np.nan)
    values[:, by_name["since_ms"]] = since
    return FeatureTable(labels, starts.astype(np.int64), columns, values)


def _filled(keys: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Add the spans between each member's first and last.

    Also what added to a span gives its row, for each member; members are 0, 1, 2 ... in the keys.
    """
    codes, first = np.unique(keys[:, 0], return_index=True)
    last = np.append(first[1:], len(keys)) - 1
    counts = keys[last, 1] - keys[first, 1] + 1
    if int(counts.sum()) > MAX_BUCKETS:
        raise AttentionError(
            f"{int(counts.sum()):,} spans are more than {MAX_BUCKETS:,}", hint="choose a wider span"
        )
    starts = np.cumsum(counts) - counts
    offset = starts - keys[first, 1]
    code = np.repeat(codes, counts)
    return np.stack([code, np.arange(int(counts.sum())) - offset[code]], axis=1), offset
