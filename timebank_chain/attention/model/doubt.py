"""Suspiciously good: not refused, since it may be honest, but said loudly, with the columns that carry it.

Attention is hard to foresee. Of what it is worth to warn:

- the model's squared error on the newest rows is `FAR_BELOW` or more below the best baseline's;
- a column alone reaches R2 `GOOD_R2` or |Spearman| `GOOD_SPEARMAN` on later rows;
- a sum of columns reaches both.

On the benchmark's real tables the errors are at most 38 % below the best baseline's. Columns are named by
permutation: how much of the advantage is lost when one column's values change rows (L. Breiman, Machine
Learning 45, 2001). Of copies of one leak each may look harmless that way; the single columns' own scores
name them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from timebank_chain.attention.model.dataset import Dataset
from timebank_chain.attention.model.evidence import known_before
from timebank_chain.attention.model.frozen import Frozen
from timebank_chain.attention.model.leakage import EARLIER, scores_alone
from timebank_chain.attention.model.sums import best_sum
from timebank_chain.attention.model.trained import Evaluation

FAR_BELOW = 0.5
GOOD_R2, GOOD_SPEARMAN = 0.5, 0.7
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
    rows: Dataset, judge: Dataset, frozen: Frozen, rehearsal: Evaluation, *, seed: int
) -> Doubt | None:
    """Return why a rehearsed model is too good for comfort.

    Parameters
    ----------
    rows
        All rows, in order of time: single columns and sums are looked at on the later ones.
    judge
        The newest block, on which ``frozen`` was rehearsed.
    frozen, rehearsal
        The model as it was rehearsed, and how it did.
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
    for name, one in sorted(scores_alone(rows).items(), key=lambda pair: -(pair[1].r2 or 0.0)):
        r2, rank = one.r2 or 0.0, abs(one.spearman or 0.0)
        if r2 >= GOOD_R2 or rank >= GOOD_SPEARMAN:
            reasons.append(f"{name!r} alone reaches R2 {r2:.2f}, Spearman {rank:.2f} on later rows")
            named.setdefault(name, 0.0)
    cut = int(len(rows) * EARLIER)
    early = known_before(rows, int(rows.time_ms[cut]))
    if len(early):
        late = np.arange(cut, len(rows))
        found = best_sum(rows, early, late, r2=GOOD_R2, spearman=GOOD_SPEARMAN)
        if found is not None and len(found.columns) > 1:
            reasons.append(
                f"a sum of {', '.join(map(repr, found.columns))} reaches R2 {found.r2:.2f}, "
                f"Spearman {found.spearman:.2f} on later rows"
            )
            for name in found.columns:
                named.setdefault(name, 0.0)
    return Doubt(below, tuple(named.items()), tuple(reasons)) if reasons else None


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
