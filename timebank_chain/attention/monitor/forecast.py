"""What the next hour, day and epoch will bring: level, trend and season, with intervals that were tried out.

Several ways to forecast a sum over the next hours stand beside each other:

``mean``          the mean hour so far
``last week``     what the same hours brought a week before (seasonal naive)
``level``         the present level times the hour-of-week profile; the level is an exponentially weighted sum
                  of counts over that of the profile's weights, half-life a day to four weeks
``trend``         Holt's damped trend (statsmodels) through the last days' levels, times the profile

One is chosen by its mean absolute error on the middle of the history; what it missed there, and later,
gives the interval (split conformal, of the latest misses only, so that it follows a change). Misses of spans
that overlap say the same again: where fewer than ``2 / (1 - nominal) - 1`` spans stand side by side, no order
of misses reaches the nominal share, and the interval is Student's, with as many degrees of freedom as there
are such spans less one; wide, as it must be. How often intervals held is counted on the end of the history,
which had no part in either choice.

Sources: V. Vovk et al., *Algorithmic Learning in a Random World* (2005), for conformal intervals;
E. Gardner and E. McKenzie, "Forecasting trends in time series", Management Science 31 (1985).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from timebank_chain.attention.extra import need
from timebank_chain.attention.monitor.holt import HOURS_A_DAY, damped_trend
from timebank_chain.attention.monitor.series import HOUR_MS, Series
from timebank_chain.errors import AttentionError

Floats = NDArray[np.float64]

HOURS_A_WEEK = 168
#: Least history: two weeks tell a season of a week apart from a single week.
MIN_HOURS = 2 * HOURS_A_WEEK
#: Older hours are not looked at: two years.
MAX_HOURS = 104 * HOURS_A_WEEK
HALF_LIVES_H = (24.0, 72.0, 168.0, 672.0)
#: Where the history is cut: profile and smoothing / choice and first misses / coverage.
SPLITS = (0.4, 0.6)
#: So many misses an interval is taken from.
RECENT = 1_000
_LEAST_MISSES = 20
#: But as many spans side by side, where they are long.
_SPANS = 20
#: Below this part of what is usual, the lower bound of what cannot be negative is nothing.
_NOTHING = 0.01
_EPSILON = 1e-12
_TOLD = 1e-5


@dataclass(frozen=True, slots=True)
class Backtest:
    """How a horizon's forecasts did on the end of the history.

    Attributes
    ----------
    origins
        How many forecasts were compared with what came; ``independent`` of them do not overlap.
    coverage
        Share of intervals that held, ``None`` if none could be tried.
    errors
        Mean absolute error of every way, by name; in units of the series.
    """

    origins: int
    independent: int
    coverage: float | None
    errors: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Forecast:
    """A sum over the next hours.

    Attributes
    ----------
    quantity, horizon
        What, and over what: ``hour``, ``day``, ``epoch``.
    hours
        Length of the horizon.
    begin_ms
        Where it begins: the end of the history.
    value, low, high
        Point and interval; the interval is ``None`` where the history is too short to tell.
    nominal
        The share of intervals meant to hold.
    way
        Which way was chosen.
    """

    quantity: str
    horizon: str
    hours: int
    begin_ms: int
    value: float
    low: float | None
    high: float | None
    nominal: float
    way: str
    backtest: Backtest

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "quantity": self.quantity,
            "horizon": self.horizon,
            "hours": self.hours,
            "beginMs": self.begin_ms,
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "nominal": self.nominal,
            "way": self.way,
            "backtest": {
                "origins": self.backtest.origins,
                "independent": self.backtest.independent,
                "coverage": self.backtest.coverage,
                "meanAbsoluteErrors": dict(self.backtest.errors),
            },
        }


@dataclass(frozen=True, eq=False, slots=True)
class Outlook:
    """Present state of a series and what comes next.

    Attributes
    ----------
    level
        Sum a day at the present level.
    trend
        Change of that a day, by Holt's damped trend.
    profile
        Weight of each hour of the week from Monday 00:00 UTC, mean 1, float64 of shape (168,).
    season_strength
        Share of the hourly variance that the profile explains, 0 to 1; ``None`` where nothing varies.
    """

    quantity: str
    hours: int
    level: float
    trend: float
    profile: Floats
    season_strength: float | None
    forecasts: tuple[Forecast, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "quantity": self.quantity,
            "historyHours": self.hours,
            "levelPerDay": self.level,
            "trendPerDay": self.trend,
            "seasonStrength": self.season_strength,
            "profile": [round(float(weight), 6) for weight in self.profile],
            "forecasts": [one.to_json() for one in self.forecasts],
        }


def outlook(series: Series, horizons: Mapping[str, int], *, nominal: float = 0.9) -> Outlook:
    """Describe a series and forecast its next hours.

    Parameters
    ----------
    series
        Of any step that divides an hour, or of hours; see :func:`filled` for unknown ones.
    horizons
        Names and lengths in hours, at least 1.
    nominal
        The share of intervals meant to hold, 0.5 to 0.99.

    Raises
    ------
    AttentionError
        If the history is shorter than two weeks, is all unknown, or the step does not fit an hour.
    ValueError
        If a horizon or ``nominal`` is out of range.
    """
    if not 0.5 <= nominal <= 0.99:
        raise ValueError(f"nominal is {nominal}, not 0.5 to 0.99")
    if any(hours < 1 for hours in horizons.values()):
        raise ValueError("a horizon is at least an hour")
    if series.step_ms > HOUR_MS or HOUR_MS % series.step_ms:
        raise AttentionError(
            f"a step of {series.step_ms} ms does not fit into an hour", hint="take a step of 5m, 15m or 1h"
        )
    hourly = series.coarser(HOUR_MS).last(MAX_HOURS)
    known_hours = ~np.isnan(hourly.values)
    if known_hours.any():
        # Before the first hour anybody told of there is no history.
        hourly = hourly.last(len(hourly) - int(known_hours.argmax()))
    if len(hourly) < MIN_HOURS:
        raise AttentionError(
            f"{len(hourly)} hours of {series.name} are known, at least {MIN_HOURS} are needed",
            where=f"series {series.name!r}",
            hint="two weeks of history tell a season apart from chance; wait, or give an older feed",
        )
    if not known_hours.any():
        raise AttentionError("all values are missing", where=f"series {series.name!r}")
    of_week = _hours_of_week(hourly)
    train = int(len(hourly) * SPLITS[0])
    # For the trial, nothing later than the training part shapes the profile.
    early = hour_of_week_profile(hourly.values[:train], of_week[:train])
    known = filled(hourly.values, of_week, early)
    trial = _Ways(known, of_week, early, train)
    final_profile = hour_of_week_profile(hourly.values, of_week)
    whole = filled(hourly.values, of_week, final_profile)
    final = _Ways(whole, of_week, final_profile, len(whole))
    made = tuple(
        _forecast(hourly, name, hours, nominal, trial, final, known, train)
        for name, hours in horizons.items()
    )
    weights = final_profile[of_week]
    deviation = whole - whole.mean()
    explained = 1.0 - float(((whole - whole.mean() * weights) ** 2).sum()) / max(
        float((deviation**2).sum()), _EPSILON
    )
    level, trend = final.present()
    return Outlook(
        series.name,
        len(hourly),
        level,
        trend,
        final_profile,
        None if np.ptp(hourly.values[~np.isnan(hourly.values)]) == 0 else min(1.0, max(0.0, explained)),
        made,
    )


def hour_of_week_profile(values: Floats, of_week: NDArray[np.int64], *, strength: float = 4.0) -> Floats:
    """Return how much of an average hour each hour of the week brings; mean 1, never below zero.

    Each hour of the week is drawn towards its hour of day, and that towards 1, by ``strength`` average
    hours: what was seen twice does not count as known. Single bursts are cut at the 99.5 % quantile.
    """
    known = ~np.isnan(values)
    if not known.any():
        return np.ones(HOURS_A_WEEK)
    # Penalties can make a value negative; a profile is about when things happen, not about their sign.
    size = np.abs(values[known])
    cut = np.minimum(size, np.quantile(size, 0.995)) if size.max() > 0 else size
    mean = float(cut.mean()) or float(size.mean())
    if mean <= 0:
        return np.ones(HOURS_A_WEEK)
    of_day = of_week[known] % HOURS_A_DAY
    pull = strength * mean
    daily = (np.bincount(of_day, weights=cut, minlength=HOURS_A_DAY) + pull) / (
        np.bincount(of_day, minlength=HOURS_A_DAY) * mean + pull
    )
    prior = np.tile(daily, 7)
    weekly = (np.bincount(of_week[known], weights=cut, minlength=HOURS_A_WEEK) + pull * prior) / (
        np.bincount(of_week[known], minlength=HOURS_A_WEEK) * mean + pull
    )
    return np.asarray(weekly / weekly.mean(), dtype=np.float64)


def _hours_of_week(hourly: Series) -> NDArray[np.int64]:
    # 1970-01-01 was a Thursday; the week begins on Monday.
    return (hourly.times_ms() // HOUR_MS + 72) % HOURS_A_WEEK


def filled(values: Floats, of_week: NDArray[np.int64], profile: Floats) -> Floats:
    """Put where nothing is known what the profile expects at the mean of all that was known before it.

    Later hours have no say: a gap in a trial's past would else know of the level after it.

    Parameters
    ----------
    values
        What each hour brought, NaN where nobody knows; the first is known.
    of_week
        Which hour of the week each is, 0 to 167.
    profile
        Weights of the hours of the week, mean 1.
    """
    unknown = np.isnan(values)
    if not unknown.any():
        return values
    mean_so_far = np.cumsum(np.where(unknown, 0.0, values)) / np.maximum(np.cumsum(~unknown), 1)
    # At an unknown hour, sum and number so far are those of the hours before it.
    return np.where(unknown, mean_so_far * profile[of_week], values)


def told(value: float, form: str = ",.4g") -> str:
    """Return a number as people are told it: what is below ten millionths of an act or credit is nothing."""
    return format(0.0 if abs(value) < _TOLD else value, form)


class _Ways:
    """Every way to forecast, from any hour of one history.

    An origin ``t`` stands before hour ``t``: hours ``0 .. t - 1`` are known there.
    """

    def __init__(self, values: Floats, of_week: NDArray[np.int64], profile: Floats, train: int) -> None:
        self.values = values
        self.weights = profile[of_week]
        self._first = int(of_week[0])
        self._week = profile
        self._sums = np.concatenate([[0.0], np.cumsum(values)])
        self._train = train
        self._levels = {half: _weighted_level(values, self.weights, half) for half in HALF_LIVES_H}
        self._daily_level, self._daily_trend, self._damping = damped_trend(values, self.weights, train)

    def names(self) -> list[str]:
        return ["mean", "last week", *(f"level {half:g} h" for half in HALF_LIVES_H), "trend"]

    def present(self) -> tuple[float, float]:
        """Return level and trend a day at the end of the history."""
        return float(self._daily_level[-1]) * HOURS_A_DAY, float(self._daily_trend[-1]) * HOURS_A_DAY

    def sums(self, name: str, origins: NDArray[np.int64], hours: int) -> Floats:
        """Return forecasts of the sum over the next hours, float64 of shape (origins,)."""
        if name == "mean":
            return np.asarray(self._sums[origins] / np.maximum(origins, 1) * hours, dtype=np.float64)
        if name == "last week":
            return self._last_week(origins, hours)
        season = self._season(origins, hours)
        if name.startswith("level"):
            level = self._levels[float(name.split()[1])][origins]
            return np.asarray(level * season, dtype=np.float64)
        # Damped trend: days ahead add phi, phi + phi^2, ...; within a day the sum so far holds.
        days = np.arange(1, hours // HOURS_A_DAY + 2)
        steps = np.cumsum(self._damping**days)
        whole, rest = divmod(hours, HOURS_A_DAY)
        lift = float(steps[:whole].sum() * HOURS_A_DAY + steps[whole] * rest) / hours
        level = self._daily_level[origins] + self._daily_trend[origins] * lift
        return np.asarray(np.maximum(level, 0.0) * season, dtype=np.float64)

    def _season(self, origins: NDArray[np.int64], hours: int) -> Floats:
        """Return the sum of the profile over the next hours."""
        weeks, rest = divmod(hours, HOURS_A_WEEK)
        twice = np.concatenate([[0.0], np.cumsum(np.tile(self._week, 2))])
        at = (self._first + origins) % HOURS_A_WEEK
        return np.asarray(weeks * self._week.sum() + twice[at + rest] - twice[at], dtype=np.float64)

    def _last_week(self, origins: NDArray[np.int64], hours: int) -> Floats:
        """Return the last whole weeks over which the horizon fits, taken as often as needed."""
        weeks = -(-hours // HOURS_A_WEEK)
        begin = np.maximum(origins - weeks * HOURS_A_WEEK, 0)
        stop = np.minimum(begin + hours, origins)
        short = np.maximum(stop - begin, 1)
        return np.asarray((self._sums[stop] - self._sums[begin]) * hours / short, dtype=np.float64)


def _weighted_level(values: Floats, weights: Floats, half_life_h: float) -> Floats:
    """Return the level an hour, known before each hour and after the last; float64 of shape (n + 1,).

    Exponentially weighted sum of counts over that of the profile's weights. It begins as if one half-life
    of average hours had been seen, the average being that of the first week.
    """
    signal: Any = need("scipy.signal")
    keep = 0.5 ** (1.0 / half_life_h)
    prior = 1.0 / (1.0 - keep) * 0.5
    first = float(values[:HOURS_A_WEEK].mean())
    above, _ = signal.lfilter([1.0], [1.0, -keep], values, zi=[keep * prior * first])
    below, _ = signal.lfilter([1.0], [1.0, -keep], weights, zi=[keep * prior])
    return np.concatenate([[first], above / np.maximum(below, _EPSILON)])


def _forecast(
    hourly: Series,
    name: str,
    hours: int,
    nominal: float,
    trial: _Ways,
    final: _Ways,
    known: Floats,
    train: int,
) -> Forecast:
    """Choose a way, take its misses, count its coverage, and forecast from the end."""
    count = len(known)
    sums = np.concatenate([[0.0], np.cumsum(known)])
    # Every hour is an origin, but no more than a few thousand: neighbours say the same again.
    stride = max(1, (count - train) // 4_000)
    origins = np.arange(train, count - hours + 1, stride, dtype=np.int64)
    truth = sums[origins + hours] - sums[origins]
    cut = int(count * SPLITS[1])
    # Only what was over when the later part began may choose for it.
    middle, late = origins + hours <= cut, origins >= cut
    ways = {way: trial.sums(way, origins, hours) for way in trial.names()}
    chosen = _best(ways, truth, middle if middle.any() else np.zeros_like(middle))
    guess = ways[chosen]
    scale = _Scale(guess, truth, middle)
    misses = (truth - guess) / scale(guess)
    span = _Span(bool((known >= 0).all()), bool((known == np.rint(known)).all()), scale)
    recent = max(RECENT, int(_SPANS * hours / stride))
    covered, tried = 0, 0
    for place in np.flatnonzero(late).tolist():
        over = int(np.searchsorted(origins + hours, origins[place], side="right"))
        bounds = _bounds(misses[max(0, over - recent) : over], stride / hours, nominal)
        if bounds is None:
            continue
        tried += 1
        least, most = span.interval(float(guess[place]), bounds)
        covered += bool(least <= truth[place] <= most)
    at = np.array([count], dtype=np.int64)
    value = float(final.sums(chosen, at, hours)[0])
    bounds = _bounds(misses[-recent:], stride / hours, nominal)
    low, high = (None, None) if bounds is None else span.interval(value, bounds)
    looked = late if late.any() else np.ones_like(late)
    backtest = Backtest(
        origins=tried,
        # Origins stand ``stride`` apart: so many later ones begin before a span is over.
        independent=-(-tried // -(-hours // stride)),
        coverage=covered / tried if tried else None,
        errors={
            way: float(np.abs(found - truth)[looked].mean()) for way, found in ways.items() if len(truth)
        },
    )
    return Forecast(hourly.name, name, hours, hourly.end_ms, value, low, high, nominal, chosen, backtest)


def _best(ways: Mapping[str, Floats], truth: Floats, chosen: NDArray[np.bool_]) -> str:
    """Return the way with the least mean absolute error; the mean where none could be tried."""
    if not chosen.any():
        return "mean"
    errors = {way: float(np.abs(found - truth)[chosen].mean()) for way, found in ways.items()}
    return min(errors, key=lambda way: errors[way])


class _Span:
    """From bounds of a miss to an interval of the quantity."""

    def __init__(self, nonnegative: bool, whole: bool, scale: _Scale) -> None:
        self._nonnegative, self._whole, self._scale = nonnegative, whole, scale

    def interval(self, value: float, bounds: tuple[float, float]) -> tuple[float, float]:
        width = float(self._scale(np.array([value]))[0])
        low, high = value + bounds[0] * width, value + bounds[1] * width
        if self._nonnegative:
            low, high = (0.0 if low < _NOTHING * self._scale.usual else low), max(0.0, high)
        if self._whole:
            # Acts come whole: nothing lies between two counts.
            low, high = float(np.floor(low + _EPSILON)), float(np.ceil(high - _EPSILON)) + 0.0  # no -0
        return low, high


class _Scale:
    """What misses are measured in: the root of the forecast, as counts scatter.

    A tenth of the usual is added, so that a forecast of nothing still has a width.
    """

    def __init__(self, guess: Floats, truth: Floats, chosen: NDArray[np.bool_]) -> None:
        known = truth[chosen] if chosen.any() else guess
        self.usual = max(float(np.abs(known).mean()) if len(known) else 0.0, _EPSILON)

    def __call__(self, found: Floats) -> Floats:
        return np.asarray(np.sqrt((np.abs(found) + 0.1 * self.usual) * self.usual), dtype=np.float64)


def _bounds(misses: Floats, independent_each: float, nominal: float) -> tuple[float, float] | None:
    """Return bounds of the next miss, or ``None`` where fewer than two spans stand side by side.

    Parameters
    ----------
    independent_each
        What part of a span of its own each miss is: the distance of origins over the horizon, at most 1.
    """
    count = len(misses)
    independent = int(count * min(1.0, independent_each))
    tail = (1.0 - nominal) / 2.0
    rank = int(np.floor(tail * (count + 1)))
    if count >= _LEAST_MISSES and rank >= 1 and independent + 1 >= 1.0 / tail:
        ordered = np.partition(misses, [rank - 1, count - rank])
        return float(ordered[rank - 1]), float(ordered[count - rank])
    if independent < 2:
        return None
    student: Any = need("scipy.stats").t
    spread = float(np.sqrt((misses**2).mean()))
    width = float(student.ppf(1.0 - tail, independent - 1)) * spread * np.sqrt(1.0 + 1.0 / independent)
    return -float(width), float(width)
