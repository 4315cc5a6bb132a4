"""What is wrong with a feed or a table of features, column by column, before anything is learned from it.

A *fault* is something to be put right (`--strict` makes it the exit code); a *note* is something to know.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from timebank_chain.activity.clean import Reject
from timebank_chain.attention.collect.feed import TEXT_COLUMNS, CollectResult, Feed
from timebank_chain.attention.collect.join import FeatureTable
from timebank_chain.attention.collect.measures import CONVERSIONS
from timebank_chain.attention.collect.verbs import KNOWN_VERBS

#: What a value of a base unit can be.
_RANGES = {
    "s": (0.0, math.inf),
    "B": (0.0, math.inf),
    "m": (-math.inf, math.inf),
    "ratio": (0.0, 1.0),
    "degC": (-273.15, math.inf),
    "Hz": (0.0, math.inf),
    "J": (0.0, math.inf),
    "credit": (0.0, math.inf),
    "lx": (0.0, math.inf),
    "scaled": (-1.0, 1.0),
    "stars": (1.0, 5.0),
    "count": (0.0, math.inf),
}
#: Milliseconds before March 1973 are seconds that nobody converted.
_LIKELY_SECONDS_MS = 10**11
_EXAMPLES = 5
#: How the reason of a record begins whose value was endless.
_INFINITE = "refused: infinite: "


@dataclass(frozen=True, slots=True)
class ColumnQuality:
    """One column.

    Attributes
    ----------
    name
        Its name.
    rows, missing, distinct
        How many rows it has, how many without a value, how many different values.
    constant
        Whether all values that are there are one.
    infinite, out_of_range
        How many values are infinite, those a feed turned away for it too, or beyond what the quantity can be.
    unknown
        How many values are no known category; ``examples`` are the most frequent of them.
    rejected
        How many records were turned away for this column.
    least, most
        Of the finite numbers; ``None`` for text or where there are none.
    """

    name: str
    rows: int
    missing: int
    distinct: int
    constant: bool
    infinite: int = 0
    out_of_range: int = 0
    unknown: int = 0
    examples: tuple[str, ...] = ()
    rejected: int = 0
    least: float | None = None
    most: float | None = None


@dataclass(frozen=True, slots=True)
class Quality:
    """A report: columns, counts over the whole, and what follows from them.

    Attributes
    ----------
    columns
        In the table's order.
    counts
        ``read``, ``kept``, ``refused``, ``uncounted``, ``duplicates``, ``conflicting``, ``retracted``,
        ``erased``, ``backwards``.
    backwards
        By file, where time goes backwards.
    reasons
        Rejects by kind of reason.
    faults, notes
        Sentences.
    """

    columns: tuple[ColumnQuality, ...]
    counts: Mapping[str, int] = field(default_factory=dict)
    backwards: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, int] = field(default_factory=dict)
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "schema": "timebank.attention.quality/1",
            "columns": [
                {name: getattr(column, name) for name in ColumnQuality.__slots__}
                | {"examples": list(column.examples)}
                for column in self.columns
            ],
            "counts": dict(self.counts),
            "backwards": dict(self.backwards),
            "reasons": dict(self.reasons),
            "faults": list(self.faults),
            "notes": list(self.notes),
        }


def feed_quality(result: CollectResult) -> Quality:
    """Report on a feed and on what was turned away on the way to it."""
    feed = result.feed
    rejected = Counter(_column_of(reject) for reject in result.rejects)
    columns = []
    for name in ("source", "id", "member", "at_ms", "verb", "object", "domain", "value", "unit"):
        turned_away = rejected.get(name, 0)
        if name == "at_ms":
            early = int((feed.at_ms < _LIKELY_SECONDS_MS).sum())
            columns.append(number_quality(name, feed.at_ms, out_of_range=early, rejected=turned_away))
        elif name == "value":
            endless = sum(
                _column_of(reject) == name and reject.reason.startswith(_INFINITE)
                for reject in result.rejects
            )
            columns.append(
                number_quality(
                    name, feed.value, infinite=endless, out_of_range=_beyond(feed), rejected=turned_away
                )
            )
        else:
            known = {"verb": KNOWN_VERBS, "unit": CONVERSIONS.keys()}.get(name)
            columns.append(text_quality(name, getattr(feed, name), known=known, rejected=turned_away))
    counts = {
        "read": result.read,
        "kept": len(feed),
        "refused": result.refused,
        "uncounted": result.uncounted,
        "duplicates": result.duplicates,
        "conflicting": result.conflicting,
        "retracted": result.retracted,
        "erased": result.erased,
        "backwards": sum(result.backwards.values()),
    }
    faults = [
        text
        for count, text in (
            (counts["refused"], "records were refused"),
            (counts["conflicting"], "events share source and id with a different one"),
            (counts["backwards"], "events stand behind a later one in their file: time goes backwards"),
        )
        if count
        for text in [f"{count:,} {text}"]
    ]
    notes = [
        f"{count:,} {text}"
        for count, text in (
            (counts["uncounted"], "valid records give no event"),
            (counts["duplicates"], "events came again and were counted once"),
            (counts["retracted"], "events were taken back"),
            (counts["erased"], "records are of people who asked to be forgotten"),
        )
        if count
    ]
    if len(feed) == 0:
        faults.append("no event is left")
    more_faults, more_notes = _findings(columns, numbers_may_be_missing=True)
    return Quality(
        tuple(columns),
        counts,
        result.backwards,
        result.reasons(),
        (*faults, *more_faults),
        (*notes, *more_notes),
    )


def features_quality(table: FeatureTable) -> Quality:
    """Report on a table of features."""
    columns = [number_quality(name, table.column(name)) for name in table.columns]
    faults, notes = _findings(columns, numbers_may_be_missing=False)
    return Quality(tuple(columns), {"rows": len(table.member)}, faults=tuple(faults), notes=tuple(notes))


def number_quality(
    name: str, values: NDArray[Any], *, infinite: int = 0, out_of_range: int = 0, rejected: int = 0
) -> ColumnQuality:
    """Report on numbers of shape (rows,); NaN is missing, ``infinite`` more were turned away."""
    column = np.asarray(values)
    floats = column.astype(np.float64)
    there = ~np.isnan(floats)
    finite = floats[np.isfinite(floats)]
    distinct = len(np.unique(column[there]))
    return ColumnQuality(
        name,
        rows=len(column),
        missing=int((~there).sum()),
        distinct=distinct,
        constant=distinct == 1 and int(there.sum()) > 1,
        infinite=infinite + int(np.isinf(floats).sum()),
        out_of_range=out_of_range,
        rejected=rejected,
        least=float(finite.min()) if len(finite) else None,
        most=float(finite.max()) if len(finite) else None,
    )


def text_quality(
    name: str, values: Sequence[str], *, known: Collection[str] | None = None, rejected: int = 0
) -> ColumnQuality:
    """Report on texts; an empty one is missing."""
    counts = Counter(values)
    missing = counts.pop("", 0)
    strange = Counter(
        {text: count for text, count in counts.items() if known is not None and text not in known}
    )
    frequent = sorted(strange.items(), key=lambda item: (-item[1], item[0]))[:_EXAMPLES]
    return ColumnQuality(
        name,
        rows=len(values),
        missing=missing,
        distinct=len(counts),
        constant=len(counts) == 1 and len(values) - missing > 1,
        unknown=sum(strange.values()),
        examples=tuple(text for text, _ in frequent),
        rejected=rejected,
    )


def _findings(
    columns: Sequence[ColumnQuality], *, numbers_may_be_missing: bool
) -> tuple[list[str], list[str]]:
    faults: list[str] = []
    notes: list[str] = []
    for column in columns:
        name = column.name
        if column.infinite:
            faults.append(f"{name}: {column.infinite:,} infinite values")
        if column.out_of_range:
            faults.append(f"{name}: {column.out_of_range:,} values beyond what it can be")
        if column.unknown:
            faults.append(f"{name}: {column.unknown:,} of unknown kind ({', '.join(column.examples)})")
        if column.rows and column.missing == column.rows:
            text = f"{name}: all values are missing"
            (notes if numbers_may_be_missing else faults).append(text)
        elif column.missing:
            notes.append(f"{name}: {column.missing:,} of {column.rows:,} values are missing")
        if column.constant:
            notes.append(f"{name}: constant")
    return faults, notes


def _beyond(feed: Feed) -> int:
    units = np.array(feed.unit, dtype=object)
    beyond = 0
    for unit, (least, most) in _RANGES.items():
        held = feed.value[units == unit]
        beyond += int(((held < least) | (held > most)).sum())
    return beyond


def _column_of(reject: Reject) -> str:
    """Return the feed's column a reject is about, empty when it is about the whole record."""
    top = reject.field.removeprefix("$.").partition(".")[0].partition("[")[0]
    same = {
        "actor": "member", "authid": "member", "user": "member", "attributedTo": "member",
        "published": "at_ms", "updated": "at_ms", "startTime": "at_ms", "endTime": "at_ms",
        "timestamp": "at_ms", "stored": "at_ms", "time": "at_ms", "at": "at_ms", "type": "verb",
        "result": "value", "duration": "value", "subject": "object",
    }  # fmt: skip
    found = same.get(top, top)
    return found if found in {*TEXT_COLUMNS, "at_ms", "value"} else ""
