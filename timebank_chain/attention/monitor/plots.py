"""Forecasts and warnings as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from timebank_chain.attention.extra import need
from timebank_chain.attention.monitor.detect import BURST, DRIFT, LULL, Judged
from timebank_chain.attention.monitor.forecast import Outlook, told
from timebank_chain.attention.monitor.series import DAY_MS, HOUR_MS, Series

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BLUE, _ORANGE, _GREY, _RED = "#1f5fa8", "#d97b1c", "#8a8a8a", "#b3261e"
_COLOURS = {BURST: _RED, LULL: _ORANGE, DRIFT: "#6a3d9a"}
_MARKS = {BURST: "^", LULL: "v", DRIFT: "D"}
_SHOWN_HOURS = 21 * 24


def forecast_figure(series: Series, found: Outlook, *, size: tuple[float, float] = (9.0, 5.5)) -> Figure:
    """Draw the last three weeks by hour, the hour-of-week profile, and the next hour, day and epoch.

    Parameters
    ----------
    series
        The history the outlook was made from.
    size
        Width and height in inches.
    """
    figure = _figure(size)
    # One grid: matplotlib lays out only what stands in one.
    grid = figure.add_gridspec(2, 2)
    upper = figure.add_subplot(grid[0, :])
    lower_left, lower_right = figure.add_subplot(grid[1, 0]), figure.add_subplot(grid[1, 1])
    hourly = series.coarser(HOUR_MS).last(_SHOWN_HOURS)
    upper.plot(_days(hourly.times_ms().tolist()), hourly.values, color=_BLUE, linewidth=0.8)
    level, trend = told(found.level), told(found.trend, "+,.3g")
    upper.set_title(f"{found.quantity}: {level} a day, trend {trend} a day", loc="left", fontsize=10)
    upper.set_ylabel("an hour")
    upper.xaxis_date()
    upper.tick_params(axis="x", labelrotation=20, labelsize=8)
    lower_left.step(np.arange(168), found.profile, where="post", color=_BLUE, linewidth=0.9)
    lower_left.set_xticks(range(0, 168, 24), ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"])
    lower_left.set_title("profile of the week (mean 1, UTC)", loc="left", fontsize=9)
    names = [one.horizon for one in found.forecasts]
    for place, one in enumerate(found.forecasts):
        # Each against its own point, so that an hour is not lost beside an epoch.
        scale = abs(one.value) or 1.0
        if one.low is not None and one.high is not None:
            lower_right.plot(
                [one.low / scale, one.high / scale], [place, place], color=_BLUE, linewidth=3, alpha=0.5
            )
        lower_right.plot([one.value / scale], [place], "o", color=_BLUE, markersize=5)
        covered = one.backtest.coverage
        text = told(one.value) + ("" if covered is None else f"  ({covered:.0%} of intervals held)")
        lower_right.annotate(
            text, (one.value / scale, place), (0, 7), textcoords="offset points", ha="center", fontsize=8
        )
    lower_right.set_yticks(range(len(names)), names)
    lower_right.set_ylim(-0.5, len(names) - 0.2)
    lower_right.set_title("next, relative to the forecast", loc="left", fontsize=9)
    return figure


def warnings_figure(judged: Judged, *, size: tuple[float, float] = (9.0, 4.5)) -> Figure:
    """Draw what came and what was expected, and the score with its thresholds; findings are marked."""
    figure = _figure(size)
    upper, lower = figure.add_subplot(2, 1, 1), figure.add_subplot(2, 1, 2)
    series = judged.series
    dates = _days(series.times_ms().tolist())
    upper.plot(dates, series.values, color=_BLUE, linewidth=0.6, label="came")
    upper.plot(dates, judged.expected, color=_GREY, linewidth=0.6, label="expected")
    for scores, bound, colour, name in (
        (judged.scores, judged.above, _BLUE, "last hour, burst above"),
        (judged.slow_scores, judged.below, _ORANGE, "last day, lull below"),
    ):
        lower.plot(dates, scores, color=colour, linewidth=0.6, label=name)
        if np.isfinite(bound):
            lower.axhline(bound, color=colour, linewidth=0.8, linestyle="--")
    lower.legend(loc="upper left", fontsize=7, frameon=False, ncols=2)
    if judged.trained < len(dates):
        for axes in (upper, lower):
            axes.axvspan(dates[0], dates[judged.trained], color=_GREY, alpha=0.12, linewidth=0)
    for kind, colour in _COLOURS.items():
        chosen = [one for one in judged.findings if one.kind == kind]
        if chosen:
            upper.plot(
                _days([one.at_ms for one in chosen]), [one.value for one in chosen], _MARKS[kind],
                color=colour, markersize=5, label=kind,
            )  # fmt: skip
    upper.set_title(
        f"{series.name}: at most {judged.rate:g} of ordinary steps are warned of; grey: training",
        loc="left", fontsize=10,
    )  # fmt: skip
    upper.legend(loc="upper left", fontsize=7, frameon=False, ncols=5)
    lower.set_ylabel("score")
    for axes in (upper, lower):
        axes.xaxis_date()
        axes.tick_params(axis="x", labelrotation=15, labelsize=8)
    return figure


def _figure(size: tuple[float, float]) -> Figure:
    made: Any = need("matplotlib.figure").Figure(figsize=size, layout="constrained")
    need("matplotlib.backends.backend_agg").FigureCanvasAgg(made)
    return made  # type: ignore[no-any-return]  # matplotlib is an extra, loaded by name


def _days(times_ms: Sequence[int]) -> list[float]:
    """Return times as matplotlib counts them: days since 1970."""
    return [time_ms / DAY_MS for time_ms in times_ms]
