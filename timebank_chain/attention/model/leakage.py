"""Columns that know the future: found because they are too good to be true on later rows.

A column recorded after posting often carries what is to be predicted. Where its time of recording is
declared, reading the table refuses it (`timebank_chain.attention.model.table`). Where it is not, four signs
are left, all looked for on rows later than those the rule was made from:

alone
    One column by itself predicts the target with R2 of at least `ALONE_R2`, or ranks it with |Spearman| of at
    least `ALONE_SPEARMAN`. Attention is not like that.
against the rest
    One column by itself reaches `NOTABLE_R2` and at least `TIMES_THE_REST` times what all others together do.
together
    All columns together reach `TOGETHER_R2`. Those are named that the prediction most depends on.
sum
    A least-squares sum of columns reaches it, of the target or of the plain count (see
    `timebank_chain.attention.model.sums`): parts that say nothing alone may add up to the target.

A weaker leak is not seen this way; what is merely suspiciously good is warned of
(`timebank_chain.attention.model.doubt`), and declaring when columns are known is what helps against the rest.
A column that is rightly this good is let through by name.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from timebank_chain.attention.model.dataset import CATEGORICAL, Dataset, Floats
from timebank_chain.attention.model.evidence import Score, known_before, score
from timebank_chain.attention.model.frozen import BOOSTING
from timebank_chain.attention.model.recipes import Recipe, fit
from timebank_chain.attention.model.sums import best_sum
from timebank_chain.errors import CheckFailed

ALONE_R2 = 0.75
ALONE_SPEARMAN = 0.85
NOTABLE_R2 = 0.4
TIMES_THE_REST = 2.0
TOGETHER_R2 = 0.9

#: Where the rule is made and where it is judged: this part of the rows is the earlier one.
EARLIER = 0.6
_BINS = 20
_FEWEST = 20
_PROBE = Recipe(
    BOOSTING,
    (("trees", 100.0), ("rate", 0.1), ("leaves", 8.0), ("least", 10.0), ("penalty", 1.0)),
)


@dataclass(frozen=True, slots=True)
class Suspect:
    """A column that is too good, and how it shows: ``alone``, ``against the rest``, ``together``, ``sum``."""

    column: str
    sign: str
    r2: float
    spearman: float
    reason: str

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "column": self.column,
            "sign": self.sign,
            "r2": self.r2,
            "spearman": self.spearman,
            "reason": self.reason,
        }


def find_leaks(data: Dataset, *, seed: int = 0) -> tuple[Suspect, ...]:
    """Return the columns that predict later rows better than anything known at posting does.

    Parameters
    ----------
    data
        Rows with targets, in order of time.
    seed
        Of the probe that sees all other columns.

    Returns
    -------
    tuple of Suspect
        The strongest first; empty where there are too few rows to tell.
    """
    cut = int(len(data) * EARLIER)
    if cut < _FEWEST or len(data) - cut < _FEWEST:
        return ()
    early = known_before(data, int(data.time_ms[cut]))
    if len(early) < _FEWEST:
        return ()
    late = np.arange(cut, len(data))
    found: list[Suspect] = []
    scores = scores_alone(data)
    for name, one in scores.items():
        r2, rank = one.r2 or 0.0, abs(one.spearman or 0.0)
        if r2 >= ALONE_R2 or rank >= ALONE_SPEARMAN:
            found.append(
                Suspect(
                    name,
                    "alone",
                    r2,
                    rank,
                    f"alone it reaches R2 {r2:.2f}, Spearman {rank:.2f} on later rows",
                )
            )
    for name, one in scores.items():
        r2 = one.r2 or 0.0
        if r2 >= NOTABLE_R2 and not any(suspect.column == name for suspect in found):
            rest = _together(data.without([*(suspect.column for suspect in found), name]), early, late, seed)
            if r2 >= TIMES_THE_REST * max(rest, 0.0):
                reason = f"alone it reaches R2 {r2:.2f} on later rows, all others together {rest:.2f}"
                found.append(Suspect(name, "against the rest", r2, abs(one.spearman or 0.0), reason))
    found.sort(key=lambda suspect: (-suspect.spearman, suspect.column))
    rest_of = data.without([suspect.column for suspect in found])
    summed = _summed(rest_of, early, late)
    rest_of = rest_of.without([suspect.column for suspect in summed])
    return (*found, *summed, *_jointly(rest_of, early, late, seed))


def scores_alone(data: Dataset) -> dict[str, Score]:
    """Return how well each column alone predicts the later rows; empty where there are too few to tell."""
    cut = int(len(data) * EARLIER)
    if cut < _FEWEST or len(data) - cut < _FEWEST:
        return {}
    early = known_before(data, int(data.time_ms[cut]))
    if len(early) < _FEWEST:
        return {}
    late = np.arange(cut, len(data))
    return {
        feature.name: _alone(data, place, early, late, words=feature.kind == CATEGORICAL)
        for place, feature in enumerate(data.features)
    }


def refuse_leaks(suspects: Collection[Suspect], trusted: Collection[str], *, where: str) -> None:
    """Refuse data with a suspect nobody vouches for.

    Raises
    ------
    CheckFailed
        Naming the columns.
    """
    left = [suspect for suspect in suspects if suspect.column not in trusted]
    if not left:
        return
    names = ", ".join(repr(suspect.column) for suspect in left)
    # Several columns may share a reason: it is said once.
    reasons = list(dict.fromkeys(suspect.reason for suspect in left))
    what = f"column {names} leaks" if len(left) == 1 else f"columns {names} leak"
    raise CheckFailed(
        f"{what} the future: " + "; ".join(reasons[:3]),
        where=where,
        hint=f"leave it out (--ignore {left[0].column}); if it truly is known at posting: "
        f"--trust {left[0].column}",
    )


def _alone(
    data: Dataset, place: int, early: np.ndarray[Any, Any], late: np.ndarray[Any, Any], *, words: bool
) -> Score:
    """Predict later rows by the mean of earlier ones in the same bin; a missing value is a bin of its own."""
    column = data.values[:, place]
    bins = column.astype(np.int64) + 3 if words else _binned(column, column[early])
    bins = np.where(bins < 0, 0, bins)
    size = int(bins.max()) + 1
    count = np.bincount(bins[early], minlength=size)
    total = np.bincount(bins[early], weights=data.target[early], minlength=size)
    mean = float(data.target[early].mean())
    # One row's worth of the mean steadies bins with hardly a row.
    means = (total + mean) / (count + 1)
    return score(data.target[late], means[bins[late]])


def _binned(column: Floats, early: Floats) -> np.ndarray[Any, Any]:
    known = early[~np.isnan(early)]
    if not len(known):
        return np.zeros(len(column), dtype=np.int64)
    edges = np.unique(np.quantile(known, np.linspace(0, 1, _BINS + 1)[1:-1]))
    return np.where(np.isnan(column), 0, 1 + np.searchsorted(edges, column, side="left"))


def _together(data: Dataset, early: np.ndarray[Any, Any], late: np.ndarray[Any, Any], seed: int) -> float:
    if not data.features:
        return 0.0
    model = fit(_PROBE, data.take(early), seed=seed)
    return score(data.target[late], model.predict(data.values[late], data.time_ms[late])).r2 or 0.0


def _summed(data: Dataset, early: np.ndarray[Any, Any], late: np.ndarray[Any, Any]) -> tuple[Suspect, ...]:
    """Return the columns whose sum is the target."""
    found = best_sum(data, early, late, r2=TOGETHER_R2, spearman=ALONE_SPEARMAN)
    if found is None:
        return ()
    what = "the plain count" if found.plain else "the target"
    reason = f"a sum of {len(found.columns)} columns is {what} with R2 {found.r2:.4g} on later rows"
    return tuple(Suspect(name, "sum", found.r2, found.spearman, reason) for name in found.columns)


def _jointly(
    data: Dataset, early: np.ndarray[Any, Any], late: np.ndarray[Any, Any], seed: int
) -> tuple[Suspect, ...]:
    """Return the columns behind a prediction that is too good as a whole."""
    if not data.features:
        return ()
    model = fit(_PROBE, data.take(early), seed=seed)
    values, times, target = data.values[late], data.time_ms[late], data.target[late]
    whole = score(target, model.predict(values, times))
    r2 = whole.r2 or 0.0
    if r2 < TOGETHER_R2:
        return ()
    shuffled = np.random.default_rng(seed).permutation(len(values))
    losses = {}
    for place, name in enumerate(data.names):
        mixed = values.copy()
        mixed[:, place] = values[shuffled, place]
        losses[name] = r2 - (score(target, model.predict(mixed, times)).r2 or 0.0)
    most = max(losses.values())
    return tuple(
        Suspect(
            name,
            "together",
            r2,
            abs(whole.spearman or 0.0),
            f"together the columns reach R2 {r2:.2f} on later rows, {loss:.2f} less without this one's order",
        )
        for name, loss in sorted(losses.items(), key=lambda pair: -pair[1])
        if loss >= most / 4
    )
