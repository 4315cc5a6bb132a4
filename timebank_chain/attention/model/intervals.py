"""How sure a prediction is: conformal intervals, and how often they held.

Split conformal prediction (Vovk, Gammerman and Shafer, 2005; Lei et al., 2018, "Distribution-free predictive
inference for regression"): residuals on rows the model never learned from, later than those it did. Of n
residuals r = true - predicted in ascending order, the interval around a prediction p is

    p + r[n + 1 - k]  to  p + r[k],   k = ceil((n + 1) (1 - a / 2)),   a = 1 - coverage

(counted from 1), so that each side fails about as often: attention is lopsided. If the rows to come were
exchangeable with those it was calibrated on, at least ``coverage`` of them would lie inside. Time is not
exchangeable: that is why the share that did is measured on later rows and stands in the model card.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from timebank_chain.attention.model.dataset import Floats
from timebank_chain.errors import AttentionError


@dataclass(frozen=True, slots=True)
class Intervals:
    """What is added to a prediction to get the ends of its interval, in the model's units.

    Parameters
    ----------
    coverage
        Share of rows meant to lie inside, such as 0.9.
    low, high
        Offsets, low <= high.
    rows
        How many residuals they come from.
    """

    coverage: float
    low: float
    high: float
    rows: int

    def around(self, predicted: Floats) -> tuple[Floats, Floats]:
        """Return the lower and upper end around each prediction."""
        return predicted + self.low, predicted + self.high

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"coverage": self.coverage, "low": self.low, "high": self.high, "rows": self.rows}


def needed_rows(coverage: float) -> int:
    """Return how many residuals an interval of this coverage needs at least."""
    return math.ceil(2.0 / (1.0 - coverage) - 1.0 - 1e-9)


def calibrate(residuals: Floats, coverage: float) -> Intervals:
    """Make intervals from residuals (true - predicted) of rows the model did not learn from.

    Raises
    ------
    AttentionError
        If the coverage is not between 0.5 and 0.999, or there are too few residuals for it.
    """
    if not 0.5 <= coverage <= 0.999:
        raise AttentionError(f"a coverage of {coverage:g}", hint="use one from 0.5 to 0.999")
    rows = len(residuals)
    rank = math.ceil((rows + 1) * (1.0 - (1.0 - coverage) / 2.0) - 1e-9)
    if rank > rows:
        raise AttentionError(
            f"{rows} rows to calibrate an interval of {coverage:.0%} on, {needed_rows(coverage)} are needed",
            hint="give it more rows, or a lower coverage",
        )
    ordered = np.sort(residuals)
    return Intervals(coverage, float(ordered[rows - rank]), float(ordered[rank - 1]), rows)


def share_inside(true: Floats, lower: Floats, upper: Floats) -> float:
    """Return the share of rows that lie in their interval, ends included."""
    return float(np.mean((lower <= true) & (true <= upper)))


@dataclass(frozen=True, slots=True)
class Decile:
    """Rows of about the same prediction: what was predicted, what came, and how often the interval held."""

    rows: int
    predicted: float
    observed: float
    lower: float
    upper: float
    inside: float

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "rows": self.rows,
            "predicted": self.predicted,
            "observed": self.observed,
            "lower": self.lower,
            "upper": self.upper,
            "inside": self.inside,
        }


def deciles(
    predicted: Floats, true: Floats, lower: Floats, upper: Floats, parts: int = 10
) -> tuple[Decile, ...]:
    """Cut rows into equal parts by prediction and return each part's means and share inside."""
    order = np.argsort(predicted, kind="stable")
    return tuple(
        Decile(
            len(part),
            float(predicted[part].mean()),
            float(true[part].mean()),
            float(lower[part].mean()),
            float(upper[part].mean()),
            share_inside(true[part], lower[part], upper[part]),
        )
        for part in np.array_split(order, min(parts, len(order)))
        if len(part)
    )
