"""What a model learns from: rows in order of time, features known at posting, attention received later."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from timebank_chain.errors import AttentionError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

NUMERIC, CATEGORICAL = "numeric", "categorical"
LOG1P, PLAIN = "log1p", "none"
TRANSFORMS = (LOG1P, PLAIN)

#: Fewer rows than this are no evidence of anything after cutting them into blocks of time.
MIN_ROWS = 100
#: Numbers beyond this overflow when squared and summed; they count as infinite.
LARGEST = 1e100
#: Code of an empty cell of a categorical column, and of a word the model has never seen.
MISSING_CODE, UNKNOWN_CODE = -1, -2


@dataclass(frozen=True, slots=True)
class Feature:
    """One column a model reads.

    Parameters
    ----------
    name
        Its name in the data.
    kind
        ``numeric`` or ``categorical``.
    words
        Of a categorical column: its words, sorted; a cell is the place of its word here.
    """

    name: str
    kind: str = NUMERIC
    words: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"name": self.name, "kind": self.kind, "words": list(self.words)}


@dataclass(frozen=True, slots=True)
class Dataset:
    """Rows in order of time, oldest first.

    Parameters
    ----------
    name
        What the data are called in reports.
    features
        The k columns of ``values``.
    ids
        (n) name of each row.
    time_ms
        (n) int64, when it was posted.
    known_ms
        (n) int64, when its target could be known: posted + window. Only then may a model learn from it.
    target
        (n) float64, attention received, transformed; NaN where it is not known.
    values
        (n, k) float64; NaN is a missing number; categorical columns hold codes (`MISSING_CODE`,
        `UNKNOWN_CODE`).
    target_name, transform
        What the target is, and how it was transformed (`TRANSFORMS`).
    window_ms
        How long attention was counted; 0: not stated.
    notes
        What was found wrong and what was done about it, a sentence each.
    limits
        What a reader of the figures must know of how the data came to be.
    task
        How the data were read, as JSON values: a model keeps it, and reads later data the same way.
    """

    name: str
    features: tuple[Feature, ...]
    ids: tuple[str, ...]
    time_ms: Integers
    known_ms: Integers
    target: Floats
    values: Floats
    target_name: str
    transform: str = LOG1P
    window_ms: int = 0
    notes: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    task: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features."""
        return tuple(feature.name for feature in self.features)

    def take(self, rows: NDArray[Any]) -> Dataset:
        """Return some of the rows: a mask, or positions in order of time."""
        places = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        return replace(
            self,
            ids=tuple(self.ids[place] for place in places.tolist()),
            time_ms=self.time_ms[places],
            known_ms=self.known_ms[places],
            target=self.target[places],
            values=self.values[places],
        )

    def without(self, names: Sequence[str]) -> Dataset:
        """Return the data without some of the features."""
        keep = [place for place, name in enumerate(self.names) if name not in names]
        return replace(
            self, features=tuple(self.features[place] for place in keep), values=self.values[:, keep]
        )

    def labelled(self) -> Dataset:
        """Return the rows whose target is known."""
        return self.take(np.isfinite(self.target))

    def digest(self) -> str:
        """Return the SHA-256 (hex) of everything a model could learn from, and of nothing else.

        Covers, in this order: names, kinds and words of the features, target and transform as canonical
        JSON; then ids (UTF-8, each ended by a zero byte), times, times of knowledge, target and values as
        little-endian bytes, NaNs made alike. Folder and file names do not enter.
        """
        head = {
            "features": [feature.to_json() for feature in self.features],
            "target": self.target_name,
            "transform": self.transform,
            "rows": len(self),
        }
        state = hashlib.sha256(json.dumps(head, sort_keys=True, separators=(",", ":")).encode())
        state.update(b"".join(name.encode("utf-8", "surrogatepass") + b"\0" for name in self.ids))
        for whole in (self.time_ms, self.known_ms):
            state.update(np.ascontiguousarray(whole, dtype="<i8").tobytes())
        for numbers in (self.target, self.values):
            # Not-a-number has many bit patterns, and zero has two.
            alike = np.where(np.isnan(numbers), np.nan, numbers) + 0.0
            state.update(np.ascontiguousarray(alike, dtype="<f8").tobytes())
        return state.hexdigest()


def forward(transform: str, plain: Floats) -> Floats:
    """Bring a target from its own units to the model's."""
    return np.log1p(plain) if transform == LOG1P else plain.astype(np.float64)


def backward(transform: str, modelled: Floats) -> Floats:
    """Bring a target from the model's units to its own."""
    return np.expm1(modelled) if transform == LOG1P else modelled


def in_order(data: Dataset) -> Dataset:
    """Return the rows by time (equal times keep their order), saying how often time went backwards."""
    steps = np.diff(data.time_ms)
    if not (steps < 0).any():
        return data
    note = f"time went backwards {int((steps < 0).sum()):,} times: the rows were sorted by time"
    return replace(data.take(np.argsort(data.time_ms, kind="stable")), notes=(*data.notes, note))


def usable(data: Dataset, *, where: str) -> Dataset:
    """Return what can be learned from: numbers finite, columns that say something, a target that varies.

    Infinite numbers become missing, columns all missing or constant are left out, each with a note.

    Raises
    ------
    AttentionError
        If there are no rows, too few with a target (`MIN_ROWS`), no usable column, or a constant target.
    """
    if not len(data):
        raise AttentionError("there are no rows", where=where, hint="give it a table with rows")
    notes = list(data.notes)
    labelled = np.isfinite(data.target)
    if labelled.sum() < MIN_ROWS:
        raise AttentionError(
            f"{int(labelled.sum())} rows have a known target, at least {MIN_ROWS} are needed",
            where=where,
            hint="collect longer, or take a shorter window",
        )
    if np.ptp(data.target[labelled]) == 0:
        raise AttentionError(
            f"the target {data.target_name!r} is the same in every row: there is nothing to learn",
            where=where,
        )
    values = data.values.copy()
    poor: list[str] = []
    for place, feature in enumerate(data.features):
        column = values[:, place]
        if feature.kind == CATEGORICAL:
            empty, same = bool((column < 0).all()), len(np.unique(column)) == 1
        else:
            huge = ~np.isnan(column) & ~(np.abs(column) <= LARGEST)
            if huge.any():
                notes.append(f"column {feature.name!r}: {int(huge.sum()):,} infinite values count as missing")
                column[huge] = np.nan
            known = column[~np.isnan(column)]
            empty = not len(known)
            same = not empty and len(known) == len(column) and np.ptp(known) == 0
        if empty or same:
            notes.append(f"column {feature.name!r} is {'all missing' if empty else 'constant'}: left out")
            poor.append(feature.name)
    kept = replace(data, values=values, notes=tuple(notes)).without(poor)
    if not kept.features:
        raise AttentionError(
            "no usable feature column is left", where=where, hint="; ".join(notes[-3:]) or "name some"
        )
    return kept


def codes(words: Sequence[str | None], known: Sequence[str]) -> Floats:
    """Return the place of each word among the known ones, missing and unknown words marked."""
    place = {word: float(at) for at, word in enumerate(known)}
    return np.array(
        [MISSING_CODE if word is None else place.get(word, UNKNOWN_CODE) for word in words], dtype=np.float64
    )
