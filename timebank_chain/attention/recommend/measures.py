"""How good lists are: what they find again, how much of the offer they show, and how evenly.

Recall and NDCG are means over members who took something afterwards; exposure of a place in a list is
``1 / log2(1 + place)`` (Singh and Joachims 2018), summed over all lists.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Measures:
    """Measures of a set of lists of length ``k``; shares between 0 and 1.

    ``recall``: found of what the member took, of at most all of it. ``ndcg``: the same with a discount by
    place. ``coverage``: items shown to anybody, of all. ``least_seen``: exposure that went to the half of the
    items that had been taken least. ``exposure_gini``: 0 when every item is shown alike.
    """

    k: int
    members: int
    recall: float
    ndcg: float
    coverage: float
    least_seen: float
    exposure_gini: float


def discounts(k: int) -> NDArray[np.float64]:
    """Return what each place of a list is worth."""
    return np.asarray(1 / np.log2(np.arange(2, k + 2)), dtype=np.float64)


def measure(lists: NDArray[np.int64], wanted: list[NDArray[np.int64]], least: NDArray[np.bool_]) -> Measures:
    """Measure lists against what the members took afterwards.

    Parameters
    ----------
    lists
        Items, shape (members, k), -1 where a list is shorter.
    wanted
        For every member the items taken afterwards, each once; members with none are left out of the means.
    least
        For every item whether it is of the least taken half, shape (items,).
    """
    k = lists.shape[1]
    worth = discounts(k)
    recall: list[float] = []
    ndcg: list[float] = []
    for row, taken in zip(lists, wanted, strict=True):
        if not len(taken):
            continue
        hits = np.isin(row, taken)
        recall.append(float(hits.sum()) / len(taken))
        ndcg.append(float(worth[hits].sum() / worth[: min(len(taken), k)].sum()))
    shown = lists >= 0
    exposure = np.bincount(
        lists[shown], weights=np.broadcast_to(worth, lists.shape)[shown], minlength=len(least)
    ).astype(np.float64)
    total = float(exposure.sum())
    return Measures(
        k=k,
        members=len(recall),
        recall=float(np.mean(recall)) if recall else 0.0,
        ndcg=float(np.mean(ndcg)) if ndcg else 0.0,
        coverage=float((exposure > 0).mean()) if len(least) else 0.0,
        least_seen=float(exposure[least].sum()) / total if total else 0.0,
        exposure_gini=gini(exposure),
    )


def gini(amounts: NDArray[np.float64]) -> float:
    """Return the Gini coefficient of what is not negative; 0 of nothing."""
    total = float(amounts.sum())
    if not total:
        return 0.0
    ascending = np.sort(amounts)
    size = len(ascending)
    ranks = 2 * np.arange(1, size + 1) - size - 1
    return float((ranks * ascending).sum() / (size * total))
