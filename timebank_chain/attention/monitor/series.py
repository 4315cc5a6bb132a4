"""Quantities by time: an evenly spaced series, made from acts, from a file of counts, or from epochs.

A step with nothing in it is zero where single acts are counted, and unknown (NaN) where a file of
counts says nothing of it: silence and a missing reading are not the same.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from timebank_chain.activity.sources.files import open_input
from timebank_chain.epoch import PublishedEpoch
from timebank_chain.errors import AttentionError
from timebank_chain.units import MAX_TIME_MS, format_time, parse_time

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
WEEK_MS = 7 * DAY_MS
#: Most steps of one series: two centuries of hours, eighteen years of five minutes.
MAX_STEPS = 1_900_000
#: Greatest count of a row: beyond, float64 hardly tells neighbours apart.
MAX_COUNT = 1e15


@dataclass(frozen=True, eq=False, slots=True)
class Series:
    """What came in each of many steps of equal length.

    Attributes
    ----------
    name
        What is counted: ``activity``, ``value``, ``mint`` or ``fees``.
    start_ms
        Begin of the first step, Unix milliseconds, a multiple of ``step_ms``.
    step_ms
        Length of a step in milliseconds.
    values
        float64 of shape (n,), NaN where nothing is known.
    """

    name: str
    start_ms: int
    step_ms: int
    values: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.values)

    @property
    def end_ms(self) -> int:
        """End of the last step."""
        return self.start_ms + len(self.values) * self.step_ms

    def times_ms(self) -> NDArray[np.int64]:
        """Return when each step begins, int64 of shape (n,)."""
        return self.start_ms + np.arange(len(self.values), dtype=np.int64) * self.step_ms

    def last(self, steps: int) -> Series:
        """Return the last steps only."""
        skipped = max(0, len(self.values) - steps)
        return Series(self.name, self.start_ms + skipped * self.step_ms, self.step_ms, self.values[skipped:])

    def until(self, end_ms: int) -> Series:
        """Return the steps that are over by then."""
        steps = min(len(self.values), max(0, (end_ms - self.start_ms) // self.step_ms))
        return Series(self.name, self.start_ms, self.step_ms, self.values[:steps])

    def coarser(self, step_ms: int) -> Series:
        """Return sums over longer steps; those that are not whole at either end are left out.

        Unknown steps count as nothing unless all of a longer step is unknown.

        Raises
        ------
        ValueError
            If ``step_ms`` is no multiple of the present step.
        """
        if step_ms % self.step_ms:
            raise ValueError(f"{step_ms} is no multiple of {self.step_ms}")
        each = step_ms // self.step_ms
        first = -(-self.start_ms // step_ms) * step_ms
        skipped = min((first - self.start_ms) // self.step_ms, len(self.values))
        whole = (len(self.values) - skipped) // each
        blocks = self.values[skipped : skipped + whole * each].reshape(whole, each)
        unknown = np.isnan(blocks)
        sums = np.where(unknown, 0.0, blocks).sum(axis=1)
        return Series(self.name, first, step_ms, np.where(unknown.all(axis=1), np.nan, sums))


def series_of_times(
    times_ms: NDArray[np.int64],
    *,
    step_ms: int,
    until_ms: int,
    name: str = "activity",
    weights: NDArray[np.float64] | None = None,
) -> Series:
    """Count acts by the time they were done.

    Parameters
    ----------
    times_ms
        Unix milliseconds in any order, int64 of shape (n,).
    until_ms
        Only steps that are over by then are whole, and only they are counted.
    weights
        What each act counts for, float64 of shape (n,); default 1.

    Raises
    ------
    AttentionError
        If there is no act before the end of the last whole step, a weight is not finite, or the span
        between first act and end has more than ``MAX_STEPS`` steps.
    """
    end = until_ms // step_ms * step_ms
    inside = times_ms < end
    if not inside.any():
        raise AttentionError(
            "there is no act to count",
            where=f"before {format_time(min(max(end, 0), MAX_TIME_MS))}",
            hint="check the feed and --as-of; an act counts once its step is over",
        )
    if weights is not None and not np.isfinite(weights).all():
        row = int(np.flatnonzero(~np.isfinite(weights))[0])
        raise AttentionError(f"weight {row} is {weights[row]}, not a finite number")
    times = times_ms[inside]
    start = int(times.min()) // step_ms * step_ms
    steps = (end - start) // step_ms
    _check_span(steps, start, end)
    values = np.bincount(
        (times - start) // step_ms, weights=None if weights is None else weights[inside], minlength=steps
    )
    return Series(name, start, step_ms, values.astype(np.float64))


def read_counts(path: Path | str, *, step_ms: int, name: str = "activity") -> Series:
    """Read a file of two columns, time and count, as a series; see `read_count_rows`."""
    return series_of_counts(read_count_rows(path), step_ms=step_ms, name=name, where=str(path))


def read_count_rows(path: Path | str) -> list[tuple[int, float]]:
    """Read a file of two columns, time and count (CSV with a header, plain or gzip).

    A time without a zone is taken as UTC.

    Raises
    ------
    AttentionError
        If a time is none or runs backwards, a count is not from 0 to ``MAX_COUNT``, or a row has not two
        cells; naming the line.
    """
    where = str(path)
    with open_input(path) as binary, io.TextIOWrapper(binary, encoding="utf-8-sig", newline="") as text:
        try:
            reader = csv.reader(text, strict=True)
            header = next(reader, [])
            if len(header) != 2:
                raise AttentionError(
                    f"{len(header)} columns where time and count are expected",
                    where=f"{where}:1",
                    hint="for a feed of acts use the columns that timebank ingest knows, or --mapping",
                )
            return list(_count_rows(reader, where))
        except (csv.Error, UnicodeDecodeError) as error:
            raise AttentionError(f"not CSV: {error}", where=where, hint="save it as UTF-8 CSV") from error


def series_of_counts(
    rows: Sequence[tuple[int, float]], *, step_ms: int, name: str = "activity", where: str = "counts"
) -> Series:
    """Return (time, count) rows in order of time as a series; steps nobody told of are unknown.

    Counts that fall into one step are added.

    Raises
    ------
    AttentionError
        If there is no row, or they span more than ``MAX_STEPS`` steps.
    """
    if not rows:
        raise AttentionError("there is no row", where=where, hint="the file needs rows under its header")
    start = rows[0][0] // step_ms * step_ms
    steps = rows[-1][0] // step_ms - start // step_ms + 1
    _check_span(steps, start, rows[-1][0])
    values = np.full(steps, np.nan)
    for time_ms, count in rows:
        place = (time_ms - start) // step_ms
        values[place] = count if np.isnan(values[place]) else values[place] + count
    return Series(name, start, step_ms, values)


def _count_rows(reader: Iterable[list[str]], where: str) -> Iterator[tuple[int, float]]:
    before = -1
    for line, cells in enumerate(reader, start=2):
        if not cells:
            continue
        place = f"{where}:{line}"
        if len(cells) != 2:
            raise AttentionError(f"{len(cells)} cells, not 2", where=place, hint="one time and one count")
        try:
            time_ms = _time(cells[0])
        except ValueError as error:
            raise AttentionError(str(error), where=place, hint="write 2026-01-31T12:00:00Z") from None
        if time_ms < before:
            raise AttentionError(
                f"time goes backwards: {format_time(time_ms)} after {format_time(before)}",
                where=place,
                hint="sort the rows by time",
            )
        try:
            count = float(cells[1])
        except ValueError:
            count = math.nan
        if not 0 <= count <= MAX_COUNT:  # never true of NaN
            raise AttentionError(
                f"not a count: {cells[1]!r}", where=place, hint=f"a number from 0 to {MAX_COUNT:g}"
            )
        before = time_ms
        yield time_ms, count


def _time(text: str) -> int:
    try:
        return int(parse_time(text))
    except ValueError:
        moment = datetime.fromisoformat(text.strip())
        if moment.tzinfo is not None:
            raise
        return int(parse_time(moment.replace(tzinfo=UTC).isoformat()))


def series_of_epochs(
    epochs: Sequence[PublishedEpoch], *, window_ms: int, step_ms: int = HOUR_MS
) -> dict[str, Series]:
    """Return value and mint of published epochs by the time of the acts behind them.

    ``value`` are the values of the rows, in value units (a penalty counts below zero). ``mint`` spreads each
    account's mint of an epoch over its acts in proportion to what each added, in credits: a credit is minted
    when its epoch ends, but this tells which hours earned it.

    Parameters
    ----------
    epochs
        Consecutive epochs in order.
    window_ms
        The longest observation window of their policies. Acts of the last window may not have settled, so
        the series ends that long before the last epoch does.

    Raises
    ------
    AttentionError
        If none of them has an act old enough.
    """
    times: list[NDArray[np.int64]] = []
    value: list[NDArray[np.float64]] = []
    mint: list[NDArray[np.float64]] = []
    for epoch in epochs:
        rows, accounts = epoch.activities, epoch.accounts
        # Rows stand in the order of the accounts, each account's range ending where its leaf says.
        place = np.searchsorted(accounts.activity_end.astype(np.int64), np.arange(len(rows)), side="right")
        worth = rows.value.astype(np.float64) / 1e6
        gain = np.maximum(worth, 0.0)
        total = np.bincount(place, weights=gain, minlength=len(accounts))[place]
        share = np.divide(gain, total, out=np.zeros_like(gain), where=total > 0)
        times.append(rows.occurred_ms.astype(np.int64))
        value.append(worth)
        mint.append(share * accounts.mint.astype(np.float64)[place] / 1e6)
    if not any(len(one) for one in times):
        raise AttentionError("the published epochs have no act", hint="build epochs that have some")
    when, until = np.concatenate(times), epochs[-1].header.end_ms - window_ms
    return {
        name: series_of_times(when, step_ms=step_ms, until_ms=until, name=name, weights=np.concatenate(parts))
        for name, parts in (("value", value), ("mint", mint))
    }


def _check_span(steps: int, start: int, end: int) -> None:
    if steps > MAX_STEPS:
        raise AttentionError(
            f"{steps:,} steps between {format_time(start)} and {format_time(min(end, MAX_TIME_MS))}, at most "
            f"{MAX_STEPS:,} are kept",
            hint="look for a time that is wrong by years, or take a longer --step",
        )
