"""Scaling of features with recorded parameters: fitted on the past, applied to the future as it is.

``zscore`` takes away the mean and divides by the standard deviation; ``robust`` takes away the median and
divides by the interquartile range over 1.349, which for normal data is the standard deviation too and hardly
moves with outliers. Missing values stay missing. A column without spread is centred and marked constant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from timebank_chain.errors import AttentionError

SCHEMA_NAME = "timebank.attention.scaling/1"
METHODS = ("zscore", "robust")
#: Interquartile range of the standard normal distribution: 2 * 0.67449.
_NORMAL_IQR = 1.3489795003921634
#: Squares of larger numbers, and quotients by smaller ones, are beyond a float.
_MOST, _LEAST = 1e150, 1e-150
#: A spread below this part of the values is what rounding makes.
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class ColumnScale:
    """How one column is scaled: ``(x - centre) / spread``."""

    name: str
    centre: float
    spread: float
    fitted_on: int
    constant: bool


@dataclass(frozen=True, slots=True)
class Scaling:
    """How a table is scaled."""

    method: str
    columns: tuple[ColumnScale, ...]

    def apply(self, names: Sequence[str], values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return scaled values of shape (rows, columns).

        Raises
        ------
        AttentionError
            If the columns are not those it was fitted on.
        """
        fitted = tuple(column.name for column in self.columns)
        if tuple(names) != fitted:
            raise AttentionError(
                f"the columns are {', '.join(names)}, the scaling was fitted on {', '.join(fitted)}",
                hint="fit it anew on the table at hand",
            )
        centre = np.array([column.centre for column in self.columns])
        spread = np.array([column.spread for column in self.columns])
        scaled: NDArray[np.float64] = (np.asarray(values, dtype=np.float64) - centre) / spread
        return scaled

    def document(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "schema": SCHEMA_NAME,
            "method": self.method,
            "columns": [
                {
                    "name": column.name,
                    "centre": column.centre,
                    "spread": column.spread,
                    "fitted_on": column.fitted_on,
                    "constant": column.constant,
                }
                for column in self.columns
            ],
        }


def fit_scaling(
    names: Sequence[str],
    values: NDArray[np.float64],
    *,
    method: str = "robust",
    rows: NDArray[np.bool_] | None = None,
) -> Scaling:
    """Fit a scaling.

    Parameters
    ----------
    names
        Names of the columns.
    values
        Shape (rows, columns); NaN is missing.
    method
        ``zscore`` or ``robust``.
    rows
        Which rows to learn from (those before a split, say); ``None``: all.

    Raises
    ------
    AttentionError
        If the method is unknown, no row is left to learn from, or a column is infinite, beyond 1e150 or all
        missing there.
    """
    if method not in METHODS:
        raise AttentionError(f"unknown scaling {method!r}", hint=f"use {' or '.join(METHODS)}")
    table = np.asarray(values, dtype=np.float64)
    table = table if rows is None else table[rows]
    if len(table) == 0:
        raise AttentionError("no row to learn a scaling from", hint="choose a later time to fit until")
    fitted = []
    for number, name in enumerate(names):
        column = table[:, number]
        if np.isinf(column).any():
            raise AttentionError(f"column {name!r} holds infinite values", hint="look at the quality report")
        held = column[~np.isnan(column)]
        if len(held) == 0:
            raise AttentionError(f"column {name!r} has no value at all", hint="leave the column out")
        size = float(np.abs(held).max())
        if size > _MOST:
            raise AttentionError(
                f"column {name!r} holds {size:g}, too large to scale", hint="change its unit"
            )
        centre, spread = float(held.mean()), float(held.std())
        if method == "robust":
            low, middle, high = np.quantile(held, [0.25, 0.5, 0.75])
            centre, middle_half = float(middle), float(high - low) / _NORMAL_IQR
            # Most values alike and some far off: the middle half has no spread, the column has.
            if middle_half > max(abs(low), abs(high)) * _ROUNDING + _LEAST:
                spread = middle_half
        constant = not spread > abs(centre) * _ROUNDING + _LEAST
        fitted.append(ColumnScale(name, centre, 1.0 if constant else spread, len(held), constant))
    return Scaling(method, tuple(fitted))


def scaling_from_document(document: Mapping[str, Any], *, where: str | None = None) -> Scaling:
    """Read a scaling back.

    Raises
    ------
    AttentionError
        If the document is none.
    """
    try:
        if document["schema"] != SCHEMA_NAME or document["method"] not in METHODS:
            raise ValueError(f"schema {document['schema']!r}, method {document['method']!r}")
        columns = tuple(
            ColumnScale(
                str(one["name"]),
                float(one["centre"]),
                float(one["spread"]),
                int(one["fitted_on"]),
                bool(one["constant"]),
            )
            for one in document["columns"]
        )
        if not all(np.isfinite([one.centre, one.spread]).all() and one.spread > 0 for one in columns):
            raise ValueError("a centre or spread is no size")
    except (KeyError, TypeError, ValueError) as error:
        raise AttentionError(f"no scaling: {error}", where=where, hint="fit it anew") from error
    return Scaling(str(document["method"]), columns)
