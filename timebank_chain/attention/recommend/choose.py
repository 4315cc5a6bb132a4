"""Choosing a ranker by what would have been right in the past, never by a random split.

The interactions are cut in time twice: what came last is the test, what came last before it the
validation. Every candidate learns from what is left and is judged on the validation; the best (NDCG, then
the plainer) learns again from all before the test and is reported on it, once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from timebank_chain.attention.recommend.guard import guarded, least_taken
from timebank_chain.attention.recommend.interactions import Interactions, Split
from timebank_chain.attention.recommend.measures import Measures, measure
from timebank_chain.attention.recommend.rankers import RANKERS, Ranker, Scores, profiles
from timebank_chain.errors import AttentionError

#: Members scored at a time: bounds memory to this many rows of all items.
_BLOCK = 512


@dataclass(frozen=True)
class Judged:
    """A candidate and how it did."""

    name: str
    parameters: dict[str, int | float | None]
    measures: Measures


@dataclass(frozen=True)
class Choice:
    """What was chosen, and on what grounds.

    ``validation``: all candidates. ``test``: the best of each kind on the later rows, that nothing was
    chosen by. ``guarded``: the chosen one on the same rows with places kept for the least seen.
    """

    split: str
    k: int
    floor: float
    validation: tuple[Judged, ...]
    test: tuple[Judged, ...]
    chosen: Judged
    guarded: Measures


def choose(
    interactions: Interactions,
    rankers: Sequence[Ranker],
    *,
    split: Split,
    k: int = 10,
    floor: float = 0.1,
    relevant_from: float | None = None,
    progress: Callable[[str], None] | None = None,
) -> Choice:
    """Judge rankers on later rows and choose one.

    Parameters
    ----------
    interactions
        All there is.
    rankers
        Candidates, the plainest first.
    split
        How to cut; applied twice.
    k
        Length of the lists.
    floor
        Part of the places kept for the least seen.
    relevant_from
        Only later rows of at least this value count as found; the past is learned from whole.
    progress
        Told what is being done.

    Raises
    ------
    AttentionError
        If there is nothing to learn from or nothing to judge by: too few rows, one member or one moment
        alone, or no candidate that finds anything again.
    """
    say = progress or (lambda _: None)
    _refuse_alone(interactions)
    after = split.held(interactions)
    before = interactions.where(~after)
    later = split.held(before)
    validation: list[Judged] = []
    past, held = before.where(~later), before.where(later)
    _refuse_nothing(past, held, interactions.where(after), relevant_from, str(split))
    for number, ranker in enumerate(rankers, 1):
        say(f"candidate {number} of {len(rankers)}: {ranker.name} {_words(ranker)}")
        ranker.fit(past)
        validation.append(
            Judged(ranker.name, ranker.parameters, _judge(ranker, past, held, k, 0.0, relevant_from))
        )
    if not any(one.measures.ndcg for one in validation):
        raise AttentionError(
            "no candidate finds anything that was taken later: there is nothing to choose by",
            hint="give more rows, or a longer --length",
        )
    best_of = {
        name: max(
            (one for one in range(len(rankers)) if rankers[one].name == name),
            key=lambda one: (validation[one].measures.ndcg, -one),
        )
        for name in RANKERS
        if any(ranker.name == name for ranker in rankers)
    }
    chosen_at = max(best_of.values(), key=lambda one: (validation[one].measures.ndcg, -one))
    test: list[Judged] = []
    unseen = interactions.where(after)
    for at in best_of.values():
        ranker = rankers[at]
        say(f"test: {ranker.name} {_words(ranker)}")
        ranker.fit(before)
        test.append(
            Judged(ranker.name, ranker.parameters, _judge(ranker, before, unseen, k, 0.0, relevant_from))
        )
    chosen = rankers[chosen_at]
    return Choice(
        split=str(split),
        k=k,
        floor=floor,
        validation=tuple(validation),
        test=tuple(test),
        chosen=next(one for one in test if one.name == chosen.name),
        guarded=_judge(chosen, before, unseen, k, floor, relevant_from),
    )


def hide(scores: Scores, seen: Any, allowed: NDArray[np.bool_]) -> None:
    """Give ``-inf`` to what the members of the rows took before, and to what may not be shown."""
    scores[:, ~allowed] = -np.inf
    rows = seen.tocoo()
    scores[rows.row, rows.col] = -np.inf


def _judge(
    ranker: Ranker, past: Interactions, held: Interactions, k: int, floor: float, relevant_from: float | None
) -> Measures:
    matrix = profiles(past, ranker.half_life)
    wanted = _wanted(past, held, relevant_from)
    members = np.array(sorted(wanted), dtype=np.int64)
    taken = past.taken()
    allowed = past.offered | (taken > 0)
    least = least_taken(taken, allowed)
    lists = []
    for start in range(0, len(members), _BLOCK):
        block = members[start : start + _BLOCK]
        scores = ranker.scores(matrix, block)
        hide(scores, matrix[block], allowed)
        scores[block[:, None] == past.makers[None, :]] = -np.inf
        lists.append(guarded(scores, k, least, floor, [past.members[one] for one in block]))
    return measure(np.concatenate(lists), [wanted[int(one)] for one in members], least)


def _wanted(
    past: Interactions, held: Interactions, relevant_from: float | None
) -> dict[int, NDArray[np.int64]]:
    """Return by member what they took afterwards for the first time; only of members with a past."""
    good = np.ones(len(held), dtype=np.bool_) if relevant_from is None else held.value >= relevant_from
    size = len(past.items)
    pairs = held.member[good].astype(np.int64) * size + held.item[good]
    fresh = np.setdiff1d(pairs, past.member.astype(np.int64) * size + past.item)
    fresh = fresh[np.isin(fresh // size, past.member)]
    if not len(fresh):
        return {}
    members, starts = np.unique(fresh // size, return_index=True)
    return dict(zip(members.tolist(), np.split(fresh % size, starts[1:]), strict=True))


def _refuse_alone(interactions: Interactions) -> None:
    if len(interactions) and (interactions.at_ms == interactions.at_ms[0]).all():
        raise AttentionError(
            "all rows have the same time: nothing came after anything",
            hint="give each row the time when it was taken",
        )
    if len(interactions) and len(np.unique(interactions.member)) < 2:
        raise AttentionError(
            "one member alone: nothing can be learned from what others take",
            hint="give rows of more members",
        )


def _refuse_nothing(
    past: Interactions, held: Interactions, unseen: Interactions, relevant_from: float | None, split: str
) -> None:
    hint = f"{split}: give more rows, or another --split"
    if not len(past):
        raise AttentionError("no rows are left to learn from", hint=hint)
    for what, rows, before in (("validate", held, past), ("test", unseen, past)):
        if not _wanted(before, rows, relevant_from):
            raise AttentionError(f"no member with a past took anything new to {what} by", hint=hint)


def _words(ranker: Ranker) -> str:
    return ", ".join(f"{name} {value}" for name, value in ranker.parameters.items() if value is not None)
