"""Suspiciously good: not refused, since it may be honest, but said loudly, with the columns that carry it.

Attention is hard to foresee. Of what it is worth to warn:

- the model's squared error on the newest rows is `FAR_BELOW` or more below the best baseline's;
- a column alone reaches R2 `GOOD_R2` or |Spearman| `GOOD_SPEARMAN` on later rows, or in a stretch of time;
- a sum of columns reaches both;
- a column falls silent in the newest rows, and where it speaks it says something of the target
  (`SOME_R2` or `SOME_SPEARMAN`): it looks filled in later;
- in an older block the model's R2 is `GAP` or more above that on the newest rows: what it lived on may not
  be known there yet.

Where rows are few, a bound must be passed by three standard errors (`leakage.Window`).

On the benchmark's real tables the errors are at most 38 % below the best baseline's. Columns are named by
permutation: how much of the advantage is lost when one column's values change rows (L. Breiman, Machine
Learning 45, 2001). Of copies of one leak each may look harmless that way; the single columns' own scores
name them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from timebank_chain.attention.model.dataset import Dataset
from timebank_chain.attention.model.evidence import Score
from timebank_chain.attention.model.frozen import Frozen
from timebank_chain.attention.model.leakage import score_alone, silences, windows
from timebank_chain.attention.model.sums import best_sum
from timebank_chain.attention.model.trained import Evaluation

FAR_BELOW = 0.5
GOOD_R2, GOOD_SPEARMAN = 0.5, 0.7
SOME_R2, SOME_SPEARMAN = 0.1, 0.3
GAP = 0.4
_SURE = 3.0
#: Columns that lose less than this part of what the strongest loses carry nothing.
_CARRIES = 0.25
_SHUFFLES = 3


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why a model is suspiciously good.

    Attributes
    ----------
    below_baseline
        Part by which its squared error on the newest rows is below the best baseline's.
    columns
        Those that carry it, strongest first, each with the squared error that mixing it up adds, as a part
        of the best baseline's; 0 for a column that only its own score names.
    reasons
        A sentence each.
    """

    below_baseline: float
    columns: tuple[tuple[str, float], ...]
    reasons: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "below_best_baseline": self.below_baseline,
            "columns": [{"column": name, "carries": part} for name, part in self.columns],
            "reasons": list(self.reasons),
        }


def find_doubt(
    rows: Dataset,
    judge: Dataset,
    frozen: Frozen,
    rehearsal: Evaluation,
    blocks: Sequence[Score],
    *,
    seed: int,
) -> Doubt | None:
    """Return why a rehearsed model is too good for comfort.

    Parameters
    ----------
    rows
        All rows, in order of time: single columns and sums are looked for in windows of them.
    judge
        The newest block, on which ``frozen`` was rehearsed.
    frozen, rehearsal
        The model as it was rehearsed, and how it did.
    blocks
        How what was chosen did in the older blocks of time.
    seed
        Of the permutations.

    Returns
    -------
    Doubt or None
        ``None`` if nothing is suspicious.
    """
    reasons: list[str] = []
    named: dict[str, float] = {}
    best = min(one.mse for one in rehearsal.baselines.values())
    below = 1.0 - rehearsal.model.mse / best if best > 0 else 0.0
    if below >= FAR_BELOW:
        reasons.append(f"its squared error on the newest rows is {below:.0%} below that of the best baseline")
        named |= _carriers(judge, frozen, best, seed)
    best_block = max(blocks, key=lambda one: one.r2 or 0.0)
    if _apart(best_block, rehearsal.model):
        reasons.append(
            f"in an older block it reaches R2 {best_block.r2 or 0.0:.2f}, on the newest rows "
            f"{rehearsal.model.r2 or 0.0:.2f}: what it lived on may not be known there yet"
        )
        named |= {silence.column: 0.0 for silence in silences(rows) if silence.column not in named}
    for reason, columns in (*_alone(rows), *_sums(rows)):
        reasons.append(reason)
        for name in columns:
            named.setdefault(name, 0.0)
    for silence in silences(rows):
        r2, rank = silence.score.r2 or 0.0, abs(silence.score.spearman or 0.0)
        if r2 >= silence.window.r2(SOME_R2) or rank >= silence.window.spearman(SOME_SPEARMAN):
            reasons.append(f"{silence.column!r} {silence.told}")
            named.setdefault(silence.column, 0.0)
    return Doubt(below, tuple(named.items()), tuple(reasons)) if reasons else None


def _apart(block: Score, newest: Score) -> bool:
    """Tell whether a block's R2 is grossly above that of the newest rows, and not by chance."""
    if min(block.rows, newest.rows) <= 3:
        return False
    high, low = max(block.r2 or 0.0, 0.0), max(newest.r2 or 0.0, 0.0)
    scatter = math.sqrt(1 / (block.rows - 3) + 1 / (newest.rows - 3))
    # An R2 of 1 has an infinite arc tangent.
    apart = math.atanh(math.sqrt(min(high, 0.999999))) - math.atanh(math.sqrt(min(low, 0.999999)))
    return high - low >= GAP and apart >= _SURE * scatter


def _alone(rows: Dataset) -> list[tuple[str, tuple[str, ...]]]:
    """Return what is to be said of single columns, each by the window where it is best."""
    best: dict[str, tuple[float, str]] = {}
    for window in windows(rows):
        for name in rows.names:
            one = score_alone(rows, name, window)
            r2, rank = one.r2 or 0.0, abs(one.spearman or 0.0)
            if r2 >= window.r2(GOOD_R2) or rank >= window.spearman(GOOD_SPEARMAN):
                told = f"{name!r} alone reaches R2 {r2:.2f}, Spearman {rank:.2f} on {window.where}"
                best[name] = max(best.get(name, (-math.inf, "")), (r2, told))
    return [(told, (name,)) for name, (_, told) in sorted(best.items(), key=lambda pair: -pair[1][0])]


def _sums(rows: Dataset) -> list[tuple[str, tuple[str, ...]]]:
    """Return what is to be said of sums: of the first window that has one."""
    for window in windows(rows):
        found = best_sum(
            rows,
            window.early,
            window.late,
            r2=window.r2(GOOD_R2),
            spearman=window.spearman(GOOD_SPEARMAN),
        )
        if found is not None and len(found.columns) > 1:
            told = (
                f"a sum of {', '.join(map(repr, found.columns))} reaches R2 {found.r2:.2f}, "
                f"Spearman {found.spearman:.2f} on {window.where}"
            )
            return [(told, found.columns)]
    return []


def _carriers(judge: Dataset, frozen: Frozen, unit: float, seed: int) -> dict[str, float]:
    """Return the columns whose mixing up costs most, as parts of ``unit``, strongest first."""

    def error(values: np.ndarray[Any, Any]) -> float:
        return float(np.square(judge.target - frozen.predict(values, judge.time_ms)).mean())

    chance = np.random.default_rng(seed)
    orders = [chance.permutation(len(judge)) for _ in range(_SHUFFLES)]
    plain = error(judge.values)
    lost = {}
    for place, name in enumerate(judge.names):
        mixed = judge.values.copy()
        errors = []
        for order in orders:
            mixed[:, place] = judge.values[order, place]
            errors.append(error(mixed))
        lost[name] = (float(np.mean(errors)) - plain) / unit
    most = max(lost.values())
    strongest = sorted(lost.items(), key=lambda pair: -pair[1])
    return {name: part for name, part in strongest if part > 0 and part >= _CARRIES * most}
