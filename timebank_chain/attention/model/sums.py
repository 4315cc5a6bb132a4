"""Columns that add up to the target: found by least squares, judged on later rows.

Two parts of a total may each say nothing of it, where what one has too much the other has too little. Trees
see such a pair poorly, a linear model of the transformed target hardly; least squares sees it exactly, if it
looks in the right units. So it is tried on the target as it is modelled and on the plain count, from the
columns as they are and from their signed logarithms (then a product is a sum).

Honest columns do not come near: on the real tables of the benchmark no sum reaches an R2 of 0.3. Of a plain
count a few giants can make any R2, so the ranks must fit too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from timebank_chain.attention.model.dataset import CATEGORICAL, LOG1P, Dataset, Floats, backward
from timebank_chain.attention.model.evidence import score

Places = np.ndarray[Any, Any]
#: Beyond these many standard deviations a column's later values tell of themselves, not of the sum.
_FAR = 1e6
#: A column that moves the sum by this part of what the strongest does is named too.
_COUNTS = 0.25


@dataclass(frozen=True, slots=True)
class Sum:
    """A sum of columns that is the target, or the ``plain`` count: R2 and Spearman on later rows."""

    columns: tuple[str, ...]
    plain: bool
    r2: float
    spearman: float


def best_sum(data: Dataset, early: Places, late: Places, *, r2: float, spearman: float) -> Sum | None:
    """Return a small group of columns whose least-squares sum is the target.

    Parameters
    ----------
    data
        Rows with targets.
    early, late
        Rows the sum is fitted on, and later ones it is judged by.
    r2, spearman
        What it must reach on the later ones, both.

    Returns
    -------
    Sum or None
        Columns in the order of how much they move the sum; the group grows in that order until it reaches
        both, then takes in what moves it nearly as much. ``None`` if all columns together do not.
    """
    numeric = [place for place, one in enumerate(data.features) if one.kind != CATEGORICAL]
    if not numeric:
        return None
    targets = [(False, data.target)]
    if data.transform == LOG1P:
        targets.append((True, backward(LOG1P, data.target)))
    for logarithms in (False, True):
        blocks = [_columns(data.values[:, place], early, logarithms=logarithms) for place in numeric]
        for plain, target in targets:
            if not _reaches(blocks, target, early, late, r2, spearman):
                continue
            weight = _weights(blocks, target, early, late)
            order = sorted(range(len(numeric)), key=lambda one: -weight[one])
            for size in range(1, len(order) + 1):
                group = order[:size]
                reached = _reaches([blocks[one] for one in group], target, early, late, r2, spearman)
                if reached:
                    # Copies share the weight of one column: each of them is named.
                    group += [one for one in order[size:] if weight[one] >= _COUNTS * weight[order[0]]]
                    names = tuple(data.names[numeric[one]] for one in group)
                    return Sum(names, plain, *reached)
    return None


def _columns(column: Floats, early: Places, *, logarithms: bool) -> Floats:
    """Return a column standardised, as it is or its logarithm, and where it is missing: (n, 1 or 2)."""
    missing = np.isnan(column)
    known = column[early][~missing[early]]
    filled = np.where(missing, np.median(known) if len(known) else 0.0, column)
    parts = [filled]
    if logarithms:
        # arsinh is a logarithm on both sides of zero, from the column's own smallest value on.
        size = np.abs(filled[early])
        small = size[size > 0].min() if (size > 0).any() else 1.0
        parts = [np.arcsinh(filled / small)]
    if missing.any():
        parts.append(missing.astype(np.float64))
    block = np.column_stack(parts)
    centre, spread = block[early].mean(axis=0), block[early].std(axis=0)
    return np.asarray(np.clip((block - centre) / np.where(spread > 0, spread, 1.0), -_FAR, _FAR))


def _fit(blocks: list[Floats], target: Floats, early: Places) -> tuple[Floats, float]:
    design = np.column_stack(blocks)[early]
    mean = float(target[early].mean())
    factors, *_ = np.linalg.lstsq(design, target[early] - mean, rcond=None)
    return np.asarray(factors, dtype=np.float64), mean


def _weights(blocks: list[Floats], target: Floats, early: Places, late: Places) -> list[float]:
    """Return how much each column moves the sum of all on later rows: a standard deviation."""
    factors, _ = _fit(blocks, target, early)
    ends = np.cumsum([block.shape[1] for block in blocks])
    return [
        float((block[late] @ factors[end - block.shape[1] : end]).std())
        for block, end in zip(blocks, ends, strict=True)
    ]


def _reaches(
    blocks: list[Floats], target: Floats, early: Places, late: Places, r2: float, spearman: float
) -> tuple[float, float] | None:
    factors, mean = _fit(blocks, target, early)
    found = score(target[late], np.column_stack(blocks)[late] @ factors + mean)
    reached = (found.r2 or 0.0, found.spearman or 0.0)
    return reached if reached[0] >= r2 and reached[1] >= spearman else None
