"""Holt's damped trend through the last days, known before each hour (statsmodels runs the recursion).

Source: E. Gardner and E. McKenzie, "Forecasting trends in time series", Management Science 31 (1985).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from timebank_chain.attention.extra import need

Floats = NDArray[np.float64]

HOURS_A_DAY = 24
_EPSILON = 1e-12


def damped_trend(values: Floats, weights: Floats, train: int) -> tuple[Floats, Floats, float]:
    """Return Holt's level and trend (an hour, and its change a day) before each hour, and the damping.

    Days are blocks of 24 hours that end at the hour in question, so there are 24 interleaved series of
    days; smoothing is fitted once, on the training part.

    Parameters
    ----------
    values, weights
        What each hour brought, and the weight of its hour of the week; float64 of shape (n,).
    train
        How many first hours smoothing is fitted on.

    Returns
    -------
    tuple
        Level and trend, float64 of shape (n + 1,), and the damping of a day.
    """
    holt: Any = need("statsmodels.tsa.holtwinters").Holt
    count = len(values)
    above = np.concatenate([[0.0], np.cumsum(values)])
    below = np.concatenate([[0.0], np.cumsum(weights)])
    ends = np.arange(HOURS_A_DAY, count + 1)
    daily = (above[ends] - above[ends - HOURS_A_DAY]) / np.maximum(
        below[ends] - below[ends - HOURS_A_DAY], _EPSILON
    )
    level, trend = np.zeros(count + 1), np.zeros(count + 1)
    level[:HOURS_A_DAY] = values[:HOURS_A_DAY].mean()
    fit = daily[: max(train - HOURS_A_DAY, 10 * HOURS_A_DAY) : HOURS_A_DAY]
    smoothing, slope, damping = 0.2, 0.05, 0.9
    if np.ptp(fit) > 0:
        # Optimised over a grid of our own: the library's optimiser warns and wanders on counts of nothing.
        best = np.inf
        for one in (0.05, 0.1, 0.2, 0.4):
            for two in (0.02, 0.1):
                for three in (0.8, 0.9, 0.98):
                    error = _holt_run(holt, fit, one, two, three)[2]
                    if error < best:
                        best, smoothing, slope, damping = error, one, two, three
    for anchor in range(HOURS_A_DAY):
        line = daily[anchor::HOURS_A_DAY]
        if len(line) < 3:
            continue
        levels, trends, _ = _holt_run(holt, line, smoothing, slope, damping)
        at = ends[anchor::HOURS_A_DAY]
        level[at], trend[at] = np.maximum(levels, 0.0), trends
    return level, trend, damping


def _holt_run(
    holt: Any, line: Floats, smoothing: float, slope: float, damping: float
) -> tuple[Floats, Floats, float]:
    # Information criteria, which nobody reads here, take the logarithm of what was missed: of nothing, on a
    # series that does not vary.
    with np.errstate(divide="ignore"):
        fitted = holt(
            line,
            damped_trend=True,
            initialization_method="known",
            initial_level=float(line[0]),
            initial_trend=0.0,
        ).fit(smoothing_level=smoothing, smoothing_trend=slope, damping_trend=damping, optimized=False)
    return np.asarray(fitted.level), np.asarray(fitted.trend), float(np.abs(fitted.resid).mean())
