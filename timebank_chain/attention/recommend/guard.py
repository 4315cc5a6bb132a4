"""The equity guard: in every list some places are kept for what is seen least.

Rankers learn from what was taken, so what was never shown is never learned: the guard breaks the ring. The
least seen are the half of the items (of those that may be shown) that were taken least, new ones among
them. In a list of ``k`` the last ``floor(k * floor)`` places are theirs, unless the ranker put as many there
by itself. So their part of all places is never below ``floor(k * floor) / k``. By lot every second kept
place goes to the best of them for the member, the others to any of them: for new ones nothing speaks yet,
and they are to be shown to somebody too.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np
from numpy.typing import NDArray

from timebank_chain.attention.recommend.rankers import Scores

_TO_THE_BEST = 0.5


def least_taken(taken: NDArray[np.int64], allowed: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which of the allowed items are of the least taken half (a tie goes to the later position)."""
    places = np.flatnonzero(allowed)
    order = places[np.lexsort((-places, taken[places]))]
    least = np.zeros(len(taken), dtype=np.bool_)
    least[order[: len(places) // 2]] = True
    return least


def kept_places(k: int, floor: float) -> int:
    """Return how many places of a list are kept; errors lie on the side of the ranker."""
    return math.floor(k * floor + 1e-9)


def best(scores: Scores, k: int) -> NDArray[np.int64]:
    """Return the ``k`` best items a row, ties by position; -1 where there is no score (``-inf``)."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    found = np.where(np.isneginf(np.take_along_axis(scores, order, axis=1)), -1, order).astype(np.int64)
    if found.shape[1] < k:
        found = np.pad(found, ((0, 0), (0, k - found.shape[1])), constant_values=-1)
    return found


def guarded(
    scores: Scores, k: int, least: NDArray[np.bool_], floor: float, names: list[str]
) -> NDArray[np.int64]:
    """Return lists of ``k`` with places kept for the least seen.

    Parameters
    ----------
    scores
        Shape (members, items); ``-inf`` for what may not be shown.
    k
        Length of a list.
    least
        Which items are seen least, shape (items,).
    floor
        Part of the places to keep, 0 to 1.
    names
        Members' names: the lot is drawn from them, the same for the same member.
    """
    lists = best(scores, k)
    keep = kept_places(k, floor)
    if not keep or not least.any():
        return lists
    for row, own, name in zip(lists, scores, names, strict=True):
        missing = keep - int(least[row[row >= 0]].sum())
        if missing <= 0:
            continue
        spare = np.flatnonzero(least & ~np.isneginf(own))
        spare = spare[~np.isin(spare, row)]
        chosen = _drawn(spare, own[spare], missing, name)
        row[:] = _with_kept(row[row >= 0], chosen, least, k)
    return lists


def _drawn(spare: NDArray[np.int64], scores: NDArray[np.float64], count: int, name: str) -> NDArray[np.int64]:
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    chance = np.random.default_rng(seed)
    left = spare[np.argsort(-scores, kind="stable")].tolist()
    return np.array(
        [
            left.pop(0 if chance.random() < _TO_THE_BEST else int(chance.integers(len(left))))
            for _ in range(min(count, len(left)))
        ],
        dtype=np.int64,
    )


def _with_kept(
    others: NDArray[np.int64], chosen: NDArray[np.int64], least: NDArray[np.bool_], k: int
) -> NDArray[np.int64]:
    """Put the chosen last, leaving out as many of the often seen as need be, from the end."""
    surplus = max(len(others) + len(chosen) - k, 0)
    often = np.flatnonzero(~least[others])
    full = np.concatenate((np.delete(others, often[len(often) - surplus :]), chosen))
    return np.pad(full, (0, k - len(full)), constant_values=-1)
