"""Warns of what does not fit: bursts, lulls and drift, at a stated rate of false alarms.

Every step's ``log(1 + value)`` is compared with what is expected of it: a slowly moving level plus a
profile of the time of week, both learned from what came before and both little moved by one wild step.
The differences averaged over the last hour are the scores of bursts, averaged over the last day those of
lulls: that nothing came for a while is no news where little comes. On the training part an order statistic
gives the threshold of bursts: a later score is beyond it with probability at most half ``rate``, as long as
the scores to come are distributed like those (exchangeable, or stationary and many). That is split conformal
prediction, as in R. Laxhammar and G. Falkman, "Inductive conformal anomaly detection", 2013. Means of a day
overlap, so their order statistic says less than it seems; the threshold of lulls is the lower of it and of
Student's bound for the next mean, with as many degrees of freedom as there were days less one. A real
community is not stationary; how many warnings were false is measured by ``scripts/bench attention-monitor``.

Drift is told by river's ADWIN on the same differences (A. Bifet and R. Gavaldà, "Learning from
time-changing data with adaptive windowing", 2007), against a level that stands still after training.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from timebank_chain.attention.extra import need
from timebank_chain.attention.monitor.series import DAY_MS, HOUR_MS, MAX_STEPS, WEEK_MS, Series
from timebank_chain.errors import AttentionError

Floats = NDArray[np.float64]

BURST, LULL, DRIFT = "burst", "lull", "drift"
KINDS = (BURST, LULL, DRIFT)
_MONDAY_MS = 4 * DAY_MS  # 1970-01-05, the first Monday after the epoch
#: A step moves level and profile by no more than as if it had differed by this much.
_CLIP = 1.5
#: What ADWIN sees is cut at so many robust deviations; a burst alone is no drift.
_DRIFT_CLIP = 3.0


@dataclass(frozen=True, slots=True)
class DetectorSettings:
    """How steps are judged.

    Attributes
    ----------
    rate
        Share of ordinary steps warned of, bursts and lulls together.
    train
        Share of the series thresholds are taken from, below 1; or a whole number of steps from 2.
    smooth
        Over how many of the last steps differences are averaged for bursts; 0: over an hour's, at least one.
        For lulls over a day's.
    season_ms
        Period of the profile: a day or a week.
    drift_delta
        ADWIN's bound on calling a cut between two equal parts a change; smaller is calmer.
    """

    rate: float = 0.01
    train: float = 0.5
    smooth: int = 0
    season_ms: int = WEEK_MS
    drift_delta: float = 0.002

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        if not 0.0 < self.rate <= 0.2:
            raise AttentionError(
                f"rate of false alarms {self.rate}, not above 0 and up to 0.2", hint="write 0.001"
            )
        if not (0.0 < self.train < 1.0 or (2 <= self.train <= MAX_STEPS and self.train == int(self.train))):
            raise AttentionError(
                f"training part {self.train:g} is neither a share between 0 and 1 nor a number of steps",
                hint="write 0.5",
            )
        if self.smooth < 0:
            raise AttentionError(f"smoothing over {self.smooth} steps", hint="0 or more")
        if not 0.0 < self.drift_delta < 1.0:
            raise AttentionError(f"delta of drift {self.drift_delta}, not between 0 and 1")


@dataclass(frozen=True, slots=True)
class Finding:
    """One step that does not fit.

    Attributes
    ----------
    kind
        ``burst``, ``lull`` or ``drift``.
    at_ms
        End of the step, when it was known.
    value, expected
        What came in the step and what was expected (for drift: the mean a step of the last two days, and of
        those since the change before).
    score, threshold
        The averaged difference of logarithms, and what it went beyond; both 0 for drift.
    """

    kind: str
    at_ms: int
    value: float
    expected: float
    score: float
    threshold: float


@dataclass(frozen=True, eq=False, slots=True)
class Judged:
    """A series, step by step.

    Attributes
    ----------
    expected
        What each step was expected to bring, float64 of shape (n,).
    scores, slow_scores
        How far the last hour and the last day were off, float64 of shape (n,).
    trained
        How many steps were training; nothing is warned of among them.
    below, above
        Thresholds: of the slow score for lulls, of the other for bursts.
    rate
        The stated rate of false alarms a step: what the thresholds guarantee under the assumption above.
    """

    series: Series
    expected: Floats
    scores: Floats
    slow_scores: Floats
    trained: int
    below: float
    above: float
    rate: float
    findings: tuple[Finding, ...]


def judge(series: Series, settings: DetectorSettings) -> Judged:
    """Judge every step of a series by what came before it.

    Raises
    ------
    AttentionError
        If a value is infinite, all are missing or nothing ever came, if the training part leaves
        nothing to judge, or is too short for the rate: two tails of ``rate / 2`` need ``2 / rate`` scores.
    """
    values = series.values
    _check(series)
    steps = len(series)
    trained = int(settings.train if settings.train > 1 else settings.train * steps)
    if trained >= steps:
        raise AttentionError(
            f"the training part is to have {trained:,} steps, and there are {steps:,}",
            where=f"series {series.name!r}",
            hint="nothing would be left to judge: take a smaller --train or more history",
        )
    smooth = settings.smooth or max(1, HOUR_MS // series.step_ms)
    slots = max(1, settings.season_ms // series.step_ms)
    warm = _warm_up(trained, slots)
    log = np.log1p(np.maximum(values, 0.0))
    expected, differences = _expect(log, _first_slot(series, settings.season_ms), slots)
    scores = _averages(differences, smooth)
    slow = _averages(differences, max(smooth, DAY_MS // series.step_ms))
    learned, slow_learned = scores[warm:trained], slow[warm:trained]
    # Where one is known the other is: they end with the same step.
    learned, slow_learned = learned[~np.isnan(learned)], slow_learned[~np.isnan(learned)]
    rank = math.floor(settings.rate / 2.0 * (len(learned) + 1))
    if rank < 1:
        wanted = math.ceil(2.0 / settings.rate) - 1
        raise AttentionError(
            f"the training part has {len(learned)} steps after warming up; a rate of {settings.rate:g} needs "
            f"{wanted}",
            where=f"series {series.name!r}",
            hint="take a greater --rate, a shorter --step or more history",
        )
    above = float(np.sort(learned)[len(learned) - rank])
    day = DAY_MS // series.step_ms
    below = min(float(np.sort(slow_learned)[rank - 1]), _least_mean(slow_learned, day, settings.rate / 2.0))
    shown = np.expm1(expected)
    found = [
        Finding(
            kind,
            series.start_ms + (step + 1) * series.step_ms,
            float(values[step]),
            float(shown[step]),
            float(of[step]),
            bound,
        )
        for kind, of, bound, beyond in (
            (BURST, scores, above, scores > above),
            (LULL, slow, below, slow < below),
        )
        for step in np.flatnonzero(beyond).tolist()
        if step >= trained and not np.isnan(values[step])
    ]
    found += _drifts(series, log, trained, settings)
    found.sort(key=lambda one: (one.at_ms, KINDS.index(one.kind)))
    return Judged(series, shown, scores, slow, trained, below, above, settings.rate, tuple(found))


def _check(series: Series) -> None:
    values = series.values
    where = f"series {series.name!r}"
    if np.isinf(values).any():
        raise AttentionError("a value is infinite", where=where, hint="look for a division by zero upstream")
    if not len(values) or np.isnan(values).all():
        raise AttentionError("all values are missing", where=where, hint="check the feed")
    known = values[~np.isnan(values)]
    if known.min() == known.max():
        raise AttentionError(
            f"every step has the same value, {known[0]:g}: nothing can be learned from it",
            where=where,
            hint="check that the right column is counted",
        )


def _warm_up(trained: int, slots: int) -> int:
    """Return how many first steps only warm level and profile up: a season, but at most half the training."""
    return min(slots, trained // 2)


def _first_slot(series: Series, season_ms: int) -> int:
    return int((series.start_ms - _MONDAY_MS) % season_ms // series.step_ms)


def _expect(log: Floats, first_slot: int, slots: int) -> tuple[Floats, Floats]:
    """Return what was expected of each step, and by how much it differed; NaN where nothing is known.

    One pass; nothing of a step enters its own expectation. The profile of a slot moves by a tenth of a
    difference, the level as over a day of steps; neighbours share a quarter of what a slot learns.
    """
    count = len(log)
    profile = [0.0] * slots
    known = log[~np.isnan(log)]
    level = float(known[: max(1, min(slots, 288))].mean())
    level_gain = 1.5 / min(slots, 2016) if slots > 24 else 0.05
    expected = np.empty(count)
    differences = np.full(count, np.nan)
    for step, value in enumerate(log.tolist()):
        slot = (first_slot + step) % slots
        guess = level + profile[slot]
        expected[step] = guess
        if math.isnan(value):
            continue
        difference = value - guess
        differences[step] = difference
        cut = min(_CLIP, max(-_CLIP, difference))
        level += level_gain * cut
        profile[slot] += 0.1 * cut
        profile[slot - 1] += 0.025 * cut
        profile[(slot + 1) % slots] += 0.025 * cut
    return np.maximum(expected, 0.0), differences


def _least_mean(means: Floats, each: int, tail: float) -> float:
    """Return what the next mean of a day is below with probability ``tail``, by Student's t."""
    days = len(means) // each
    if days < 2:
        return -math.inf
    student: Any = need("scipy.stats").t
    width = float(student.ppf(1.0 - tail, days - 1)) * float(means.std()) * math.sqrt(1.0 + 1.0 / days)
    return float(means.mean()) - width


def _averages(differences: Floats, smooth: int) -> Floats:
    """Return the mean of the last ``smooth`` known differences up to each step; NaN where there is none."""
    unknown = np.isnan(differences)
    sums = np.concatenate([[0.0], np.cumsum(np.where(unknown, 0.0, differences))])
    counts = np.concatenate([[0], np.cumsum(~unknown)])
    stop = np.arange(1, len(differences) + 1)
    start = np.maximum(stop - smooth, 0)
    known = counts[stop] - counts[start]
    empty = np.full(len(differences), np.nan)
    found: Floats = np.divide(sums[stop] - sums[start], known, out=empty, where=known > 0)
    return found


def _drifts(series: Series, log: Floats, trained: int, settings: DetectorSettings) -> list[Finding]:
    """Return changes of level that stay, by quarters of a day against the training part's.

    ADWIN's bound is for independent values; steps of a feed are not, means of six hours against the same
    quarter (of the same weekday, once four weeks are known) are nearly so.
    """
    adwin: Any = need("river.drift").ADWIN
    each = max(1, DAY_MS // 4 // series.step_ms)
    count = len(log) // each
    learned = trained // each
    if learned < 28:
        return []
    blocks = log[: count * each].reshape(count, each)
    known = ~np.isnan(blocks)
    sums, sizes = np.where(known, blocks, 0.0).sum(axis=1), known.sum(axis=1)
    means: Floats = np.divide(sums, sizes, out=np.full(count, np.nan), where=sizes > 0)
    period = 28 if learned >= 4 * 28 else 4
    middle = float(np.nanmedian(means[:learned]))
    usual = np.array([_median(means[:learned][slot::period], middle) for slot in range(period)])
    differences = means - usual[np.arange(count) % period]
    trial = differences[:learned]
    # Where most quarters are alike the median deviation is 0; where all are, nothing scatters at all.
    spread = (
        1.4826 * float(np.nanmedian(np.abs(trial - np.nanmedian(trial)))) or float(np.nanstd(trial)) or 1.0
    )
    detector = adwin(delta=settings.drift_delta, clock=1, min_window_length=4, grace_period=28)
    found = []
    since = 0
    for block, difference in enumerate(differences.tolist()):
        if math.isnan(difference):
            continue
        # Between 0 and 1, as the bound wants it.
        scaled = min(_DRIFT_CLIP, max(-_DRIFT_CLIP, difference / spread))
        detector.update((scaled + _DRIFT_CLIP) / (2 * _DRIFT_CLIP))
        stop = (block + 1) * each
        if not detector.drift_detected or stop <= trained:
            continue
        begin = max(since, stop - 8 * each)
        before, after = series.values[since:begin], series.values[begin:stop]
        if not len(before) or np.isnan(before).all():
            before = series.values[:trained]
        at_ms = series.start_ms + stop * series.step_ms
        found.append(Finding(DRIFT, at_ms, float(np.nanmean(after)), float(np.nanmean(before)), 0.0, 0.0))
        since = stop
    return found


def _median(values: Floats, otherwise: float) -> float:
    return float(np.nanmedian(values)) if len(values) and not np.isnan(values).all() else otherwise
