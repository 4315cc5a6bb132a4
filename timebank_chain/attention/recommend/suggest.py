"""The list a member sees: each line with its reason, new members and new items among them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from timebank_chain.attention.recommend.choose import Choice, hide
from timebank_chain.attention.recommend.guard import guarded, least_taken
from timebank_chain.attention.recommend.interactions import MEMBER, Interactions
from timebank_chain.attention.recommend.rankers import Because, Popular, Ranker, profiles
from timebank_chain.errors import AttentionError


@dataclass(frozen=True)
class Suggestion:
    """One line: an item, why it is there, and the items of the member's past that speak for it."""

    place: int
    item: str
    kind: str
    score: float | None
    reason: str
    because: tuple[str, ...]
    kept: bool


@dataclass(frozen=True)
class Recommender:
    """A fitted ranker, the items it knows, and what it was chosen by.

    ``data_hash`` is of the interactions it learned from. It holds who was taken, not who took: no member but
    those that are items themselves (kind ``member``). Learn it anew when one of those is erased.
    """

    ranker: Ranker
    items: tuple[str, ...]
    kinds: tuple[str, ...]
    data_hash: str
    choice: Choice

    def suggest(
        self, member: str, history: Interactions, *, k: int = 10, kind: str | None = None, floor: float = 0.1
    ) -> list[Suggestion]:
        """Return the list of a member.

        Parameters
        ----------
        member
            Their name; unknown ones get what is taken most, said so.
        history
            Interactions up to now: the member's past, and what may be shown.
        k
            Length.
        kind
            Only items of this kind.
        floor
            Part of the places kept for the least seen.
        """
        if not set(zip(self.kinds, self.items, strict=True)) & set(
            zip(history.kinds, history.items, strict=True)
        ):
            raise AttentionError(
                "the recommender knows no item of this history",
                hint="it is another community's: train one on this history",
            )
        history = history.under(self.items, self.kinds)
        place = history.position(member)
        mine = history.where(history.member == (-1 if place is None else place))
        taken = history.taken()
        # Only what is there today: an item the model knows and the history does not has been taken back.
        allowed = (history.offered | (taken > 0)) & np.array(
            [
                (kind is None or one == kind) and not (one == MEMBER and name == member)
                for one, name in zip(history.kinds, history.items, strict=True)
            ],
            dtype=np.bool_,
        )
        if place is not None:
            allowed &= history.makers != place
        if not allowed.any():
            raise AttentionError(
                f"there is no item of the kind {kind}" if kind else "there is nothing to suggest",
                hint=f"kinds of this history: {', '.join(sorted(set(history.kinds)))}",
            )
        ranker, known = self.ranker, len(self.items)
        if not len(mine):
            ranker, known = Popular(), len(history.items)
            ranker.fit(history)
        profile = profiles(mine, ranker.half_life)[[place or 0]]
        scores = np.zeros((1, len(history.items)))
        scores[:, :known] = ranker.scores(profile[:, :known], np.zeros(1, dtype=np.int64))
        hide(scores, profile, allowed)
        least = least_taken(taken, allowed)
        (plain,) = guarded(scores, k, least, 0.0, [member])
        (chosen,) = guarded(scores, k, least, floor, [member])
        lines = []
        for number, item in enumerate(chosen[chosen >= 0].tolist(), 1):
            kept = item not in plain
            reason, because = self._why(ranker, profile[:, :known], item, kept, new=not len(mine))
            score = float(scores[0, item]) if item < known else None
            lines.append(
                Suggestion(
                    number,
                    history.items[item],
                    history.kinds[item],
                    score,
                    reason,
                    tuple(history.items[one] for one in because),
                    kept,
                )
            )
        return lines

    def _why(self, ranker: Ranker, profile: Any, item: int, kept: bool, *, new: bool) -> Because:
        if kept:
            return "seldom seen so far: a place is kept for such", ()
        if item >= profile.shape[1]:
            return "new since the model was made", ()
        reason, because = ranker.because(profile, item)
        return (f"you are new here; {reason}" if new else reason), because
