"""Columns that know the future: found because they are too good to be true on later rows.

A column recorded after posting often carries what is to be predicted. Where its time of recording is
declared, reading the table refuses it (`timebank_chain.attention.model.table`). Where it is not, five signs
are left, all looked for on rows later than those a rule was made from:

alone
    One column by itself predicts the target with R2 of at least `ALONE_R2`, or ranks it with |Spearman| of at
    least `ALONE_SPEARMAN`. Attention is not like that.
filled in later
    A column that says something in the older rows (at least `NOTABLE_R2` or `NOTABLE_SPEARMAN` where it does)
    and falls silent in the newest ones: blank, or the same value, in `FALLS_SILENT` more of them. So looks
    what is recorded only after posting, and it is of no use for a new post either way.
against the rest
    One column by itself reaches `NOTABLE_R2` and at least `TIMES_THE_REST` times what all others together do.
together
    All columns together reach `TOGETHER_R2`. Those are named that the prediction most depends on.
sum
    A least-squares sum of columns reaches it, of the target or of the plain count (see
    `timebank_chain.attention.model.sums`): parts that say nothing alone may add up to the target.

*Where they are looked for* (`windows`): on the newest rows, by a rule from all before; then, for a leak that
is only in a part of the rows, on each of six stretches of time, by a rule from all before it and by one from
its own older rows; and a column with blanks on the rows where it is filled in. In a stretch of few rows an
honest column may come far by chance, and there are many stretches: there, a bound must be passed by three
standard errors (R. A. Fisher, Metron 1, 1921).

A weaker leak is not seen this way; what is merely suspiciously good is warned of
(`timebank_chain.attention.model.doubt`), and declaring when columns are known is what helps against the rest.
A column that is rightly this good is let through by name.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from timebank_chain.attention.model.dataset import (
    CATEGORICAL,
    MISSING_CODE,
    Dataset,
    Floats,
    Integers,
)
from timebank_chain.attention.model.evidence import Score, known_before, score
from timebank_chain.attention.model.frozen import BOOSTING
from timebank_chain.attention.model.recipes import Recipe, fit
from timebank_chain.attention.model.sums import best_sum
from timebank_chain.attention.model.task import lengths_of
from timebank_chain.errors import CheckFailed

ALONE_R2 = 0.75
ALONE_SPEARMAN = 0.85
NOTABLE_R2, NOTABLE_SPEARMAN = 0.4, 0.7
TIMES_THE_REST = 2.0
TOGETHER_R2 = 0.9
#: Part of the newest rows, beyond that of the older ones, in which a column falls silent.
FALLS_SILENT = 0.3

#: Where the rule is made and where it is judged: this part of the rows is the earlier one.
EARLIER = 0.6
#: Which rows are the newest, where a column is looked at for falling silent.
_NEWEST = 0.15
#: Stretches of time that are each looked at, and by how many standard errors a bound must be passed there.
_STRETCHES = 6
_SURE = 3.0
_BINS = 20
_FEWEST = 20
_PROBE = Recipe(
    BOOSTING,
    (("trees", 100.0), ("rate", 0.1), ("leaves", 8.0), ("least", 10.0), ("penalty", 1.0)),
)


@dataclass(frozen=True, slots=True)
class Window:
    """Rows a rule is made from and later ones it is judged on, positions in order of time.

    Parameters
    ----------
    early, late
        The rows.
    where
        What a message calls the later ones.
    strict
        Whether bounds must be passed by `_SURE` standard errors: the window is one of many, or small.
    """

    early: Integers
    late: Integers
    where: str
    strict: bool

    def r2(self, bound: float) -> float:
        """Return the R2 that a bound asks for here."""
        return self._raised(math.sqrt(bound)) ** 2

    def spearman(self, bound: float) -> float:
        """Return the rank correlation that a bound asks for here."""
        return self._raised(bound)

    def _raised(self, bound: float) -> float:
        # Fisher: the arc tangent of a correlation of n rows scatters by about 1 / sqrt(n - 3).
        return math.tanh(math.atanh(bound) + _SURE / math.sqrt(len(self.late) - 3)) if self.strict else bound

    @property
    def enough(self) -> bool:
        """Whether it has the rows to tell anything."""
        return min(len(self.early), len(self.late)) >= _FEWEST


@dataclass(frozen=True, slots=True)
class Silence:
    """A column that says less in the newest rows: shares of silent rows, and how good it is where it speaks.

    ``like`` is what it then is: blank, or always the same value.
    """

    column: str
    newest: float
    before: float
    like: str
    window: Window
    score: Score

    @property
    def told(self) -> str:
        """Say so, without the name."""
        return (
            f"looks filled in later: {self.like} in {self.newest:.0%} of the newest rows and in "
            f"{self.before:.0%} of those before, it reaches {_shown(self.score)} alone where it is not"
        )


@dataclass(frozen=True, slots=True)
class Suspect:
    """A column that is too good, and how it shows: see the signs above."""

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
    # First, since it explains itself best.
    found = [
        _suspect(one.column, "filled in later", one.score, f"it {one.told}")
        for one in silences(data)
        if _reaches(one.score, one.window, NOTABLE_R2, NOTABLE_SPEARMAN)
    ]
    for window in windows(data):
        found += _in_window(data.without([suspect.column for suspect in found]), window, seed)
    left = data.without([suspect.column for suspect in found])
    for place, feature in enumerate(left.features):
        filled = filled_window(left, place)
        if filled is None:
            continue
        one = score_alone(left, feature.name, filled)
        if _reaches(one, filled, ALONE_R2, ALONE_SPEARMAN):
            found.append(
                _suspect(feature.name, "alone", one, f"alone it reaches {_shown(one)} on {filled.where}")
            )
    return tuple(found)


def windows(data: Dataset) -> tuple[Window, ...]:
    """Return where leaks are looked for: the newest rows first; none where there are too few to tell."""
    rows = len(data)
    cut = int(rows * EARLIER)
    if cut < _FEWEST or rows - cut < _FEWEST:
        return ()
    found = [Window(known_before(data, int(data.time_ms[cut])), np.arange(cut, rows), "later rows", False)]
    edges = [rows * number // _STRETCHES for number in range(_STRETCHES + 1)]
    for start, end in pairwise(edges):
        where = f"rows {{}} to {end:,} of {rows:,} in order of time"
        before = known_before(data, int(data.time_ms[start]))
        found.append(Window(before, np.arange(start, end), where.format(f"{start + 1:,}"), True))
        # The oldest rows have none before them. Whose window was still open does not matter here: no honest
        # column is near a bound because neighbours' votes overlap.
        inner = start + int((end - start) * EARLIER)
        found.append(
            Window(np.arange(start, inner), np.arange(inner, end), where.format(f"{inner + 1:,}"), True)
        )
    return tuple(window for window in found if window.enough)


def filled_window(data: Dataset, place: int) -> Window | None:
    """Return the rows where a column with blanks is filled in; ``None`` if it has none, or too few rows."""
    blank = _blank(data, place)
    return _speaking_window(blank, "the later of the rows where it is filled in") if blank.any() else None


def silences(data: Dataset) -> tuple[Silence, ...]:
    """Return the columns that fall silent in the newest rows, each with how good it is where it speaks."""
    start = int(len(data) * (1 - _NEWEST))
    if start < _FEWEST or len(data) - start < _FEWEST:
        return ()
    found = []
    for place, feature in enumerate(data.features):
        blank = _blank(data, place)
        kinds = [("blank", blank)]
        said, often = np.unique(data.values[start:, place][~blank[start:]], return_counts=True)
        if len(said):
            kinds.append(("blank or the same", blank | (data.values[:, place] == said[np.argmax(often)])))
        for like, silent in kinds:
            newest, before = float(silent[start:].mean()), float(silent[:start].mean())
            window = _speaking_window(silent, "the rows where it says something")
            if newest - before >= FALLS_SILENT and window is not None:
                one = score_alone(data, feature.name, window)
                found.append(Silence(feature.name, newest, before, like, window, one))
                break
    return tuple(found)


def score_alone(data: Dataset, name: str, window: Window) -> Score:
    """Return how well a column alone predicts the later rows of a window."""
    place = data.names.index(name)
    words = data.features[place].kind == CATEGORICAL
    return _alone(data, place, window.early, window.late, words=words)


def refuse_leaks(
    suspects: Collection[Suspect],
    trusted: Collection[str],
    *,
    where: str,
    task: Mapping[str, Any] | None = None,
) -> None:
    """Refuse data with a suspect nobody vouches for.

    ``task`` (`Dataset.task`) tells how the columns came in, and so how they are left out.

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
        hint=f"leave it out ({_way_out(left[0].column, task or {})}); if it truly is known at posting: "
        f"--trust {left[0].column}",
    )


def _way_out(column: str, task: Mapping[str, Any]) -> str:
    """Name the option that leaves a column out: what was asked for by name is no longer to be asked for."""
    named = task.get("task", {}) if task.get("kind") == "table" else {}
    for text in named.get("text_length", ()):
        if column in lengths_of(text):
            return f"without --text-length {text}"
    for option in ("categorical", "numeric"):
        if column in named.get(option, ()):
            return f"without --{option} {column}"
    return f"--ignore {column}"


def _in_window(data: Dataset, window: Window, seed: int) -> tuple[Suspect, ...]:
    """Return the columns that are too good on a window's later rows, the strongest first."""
    found: list[Suspect] = []
    scores = {name: score_alone(data, name, window) for name in data.names}
    for name, one in scores.items():
        if _reaches(one, window, ALONE_R2, ALONE_SPEARMAN):
            found.append(_suspect(name, "alone", one, f"alone it reaches {_shown(one)} on {window.where}"))
    # Few rows teach one column enough, and all others together only noise.
    fair = not window.strict or len(window.early) >= 2 * len(window.late)
    for name, one in scores.items() if fair else ():
        r2 = one.r2 or 0.0
        if r2 >= window.r2(NOTABLE_R2) and not any(suspect.column == name for suspect in found):
            others = data.without([*(suspect.column for suspect in found), name])
            # Together they are at least as good as the best of them: trees may learn less from few rows.
            best = max((scores[other].r2 or 0.0 for other in others.names), default=0.0)
            rest = max(_together(others, window, seed), best)
            if r2 >= TIMES_THE_REST * max(rest, 0.0):
                reason = f"alone it reaches R2 {r2:.2f} on {window.where}, all others together {rest:.2f}"
                found.append(_suspect(name, "against the rest", one, reason))
    found.sort(key=lambda suspect: (-suspect.spearman, suspect.column))
    rest_of = data.without([suspect.column for suspect in found])
    summed = _summed(rest_of, window)
    rest_of = rest_of.without([suspect.column for suspect in summed])
    return (*found, *summed, *_jointly(rest_of, window, seed))


def _reaches(one: Score, window: Window, r2: float, spearman: float) -> bool:
    return (one.r2 or 0.0) >= window.r2(r2) or abs(one.spearman or 0.0) >= window.spearman(spearman)


def _suspect(name: str, sign: str, one: Score, reason: str) -> Suspect:
    return Suspect(name, sign, one.r2 or 0.0, abs(one.spearman or 0.0), reason)


def _shown(one: Score) -> str:
    return f"R2 {one.r2 or 0.0:.2f}, Spearman {abs(one.spearman or 0.0):.2f}"


def _blank(data: Dataset, place: int) -> NDArray[np.bool_]:
    column = data.values[:, place]
    return column == MISSING_CODE if data.features[place].kind == CATEGORICAL else np.isnan(column)


def _speaking_window(silent: NDArray[np.bool_], where: str) -> Window | None:
    """Return the rows where a column is not silent, the older ones to learn from."""
    rows = np.flatnonzero(~silent)
    cut = int(len(rows) * EARLIER)
    window = Window(rows[:cut], rows[cut:], where, True)
    return window if window.enough else None


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


def _together(data: Dataset, window: Window, seed: int) -> float:
    if not data.features:
        return 0.0
    model = fit(_PROBE, data.take(window.early), seed=seed)
    late = window.late
    return score(data.target[late], model.predict(data.values[late], data.time_ms[late])).r2 or 0.0


def _summed(data: Dataset, window: Window) -> tuple[Suspect, ...]:
    """Return the columns whose sum is the target."""
    found = best_sum(
        data,
        window.early,
        window.late,
        r2=window.r2(TOGETHER_R2),
        spearman=window.spearman(ALONE_SPEARMAN),
    )
    if found is None:
        return ()
    what = "the plain count" if found.plain else "the target"
    reason = f"a sum of {len(found.columns)} columns is {what} with R2 {found.r2:.4g} on {window.where}"
    return tuple(Suspect(name, "sum", found.r2, found.spearman, reason) for name in found.columns)


def _jointly(data: Dataset, window: Window, seed: int) -> tuple[Suspect, ...]:
    """Return the columns behind a prediction that is too good as a whole."""
    if not data.features:
        return ()
    late = window.late
    model = fit(_PROBE, data.take(window.early), seed=seed)
    values, times, target = data.values[late], data.time_ms[late], data.target[late]
    whole = score(target, model.predict(values, times))
    r2 = whole.r2 or 0.0
    if r2 < window.r2(TOGETHER_R2):
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
            f"together the columns reach R2 {r2:.2f} on {window.where}, {loss:.2f} less without this one's "
            "order",
        )
        for name, loss in sorted(losses.items(), key=lambda pair: -pair[1])
        if loss >= most / 4
    )
