"""One look at the feed after the other: count, judge, forecast, warn.

Every look begins from the whole history the feed holds, so a restart needs no model file; what was warned
of before is remembered (`Suppressor`). Only findings fresh enough are warned of: history is no news.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from timebank_chain.attention.monitor.detect import BURST, DRIFT, KINDS, LULL, DetectorSettings, Judged, judge
from timebank_chain.attention.monitor.feed import Feed
from timebank_chain.attention.monitor.forecast import Outlook, outlook
from timebank_chain.attention.monitor.metrics import Metrics
from timebank_chain.attention.monitor.series import DAY_MS, HOUR_MS, Series
from timebank_chain.attention.monitor.suspicion import Praise, SuspicionSettings, Verdict, spans_of, suspects
from timebank_chain.attention.monitor.warn import Sink, Suppressor, Warned, deliver
from timebank_chain.errors import AttentionError

log = structlog.get_logger("timebank.attention")

#: Most steps of history that are judged: two years of five minutes.
MAX_JUDGED = 210_240


@dataclass(frozen=True, slots=True)
class MonitorSettings:
    """How the monitor looks.

    Attributes
    ----------
    step_ms
        Length of a step; an hour or what divides it.
    epoch_ms
        Length of an epoch, for its forecast.
    fresh_ms
        Findings older than this are history.
    nominal
        Share of intervals meant to hold.
    """

    step_ms: int = HOUR_MS
    epoch_ms: int = 7 * DAY_MS
    fresh_ms: int = DAY_MS
    nominal: float = 0.9
    detector: DetectorSettings = field(default_factory=DetectorSettings)
    suspicion: SuspicionSettings = field(default_factory=SuspicionSettings)

    @property
    def horizons(self) -> dict[str, int]:
        """Names and hours of what is forecast."""
        return {"hour": 1, "day": 24, "epoch": max(1, round(self.epoch_ms / HOUR_MS))}


@dataclass(frozen=True, eq=False, slots=True)
class Look:
    """What one look saw.

    Attributes
    ----------
    until_ms
        Up to when: the end of the last whole step.
    judged
        ``None`` with a reason in ``notes`` while the history is too short.
    warned
        Warnings given, each with who heard it.
    verdict
        Whose engagement of the last epoch's length stands out; ``None`` where acts are not kept, or too few.
    """

    until_ms: int
    acts: int
    refused: int
    judged: Judged | None
    outlooks: tuple[Outlook, ...]
    warned: tuple[tuple[Warned, dict[str, bool]], ...]
    verdict: Verdict | None
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        judged = self.judged
        return {
            "untilMs": self.until_ms,
            "acts": self.acts,
            "refused": self.refused,
            "detector": None
            if judged is None
            else {
                "steps": len(judged.series),
                "stepMs": judged.series.step_ms,
                "trainedSteps": judged.trained,
                "falseAlarmRate": judged.rate,
                "below": judged.below,
                "above": judged.above,
                "findings": {kind: sum(one.kind == kind for one in judged.findings) for kind in KINDS},
            },
            "outlooks": [one.to_json() for one in self.outlooks],
            "warnings": [{**warned.to_json(), "delivered": heard} for warned, heard in self.warned],
            "suspects": None
            if self.verdict is None
            else {
                "scored": len(self.verdict.found),
                "threshold": self.verdict.threshold,
                "rate": self.verdict.rate,
                "found": [one.to_json() for one in self.verdict.held],
            },
            "notes": list(self.notes),
        }


class Monitor:
    """Looks at a feed.

    Parameters
    ----------
    epochs
        Folder of published epochs for value and mint, or ``None``.
    """

    def __init__(
        self,
        feed: Feed,
        settings: MonitorSettings,
        *,
        suppressor: Suppressor,
        sinks: Sequence[Sink] = (),
        metrics: Metrics | None = None,
        epochs: Path | None = None,
    ) -> None:
        self._feed, self._settings, self._epochs = feed, settings, epochs
        self._suppressor, self._sinks, self._metrics = suppressor, sinks, metrics
        self._forecast_at = -1
        self._outlooks: tuple[Outlook, ...] = ()
        self._verdict: Verdict | None = None
        self._counted: dict[str, int] = {}
        self._notes: tuple[str, ...] = ()

    def look(self, *, now_ms: int, as_of_ms: int | None = None) -> Look:
        """Read what is new, judge it and warn.

        Parameters
        ----------
        now_ms
            The present; what claims to be later is turned away.
        as_of_ms
            Judge as if it were this time; default the present. ``-1``: when the latest act was done.

        Raises
        ------
        TimebankError
            If the feed cannot be read.
        """
        feed, settings = self._feed, self._settings
        feed.read(now_ms=now_ms)
        until = now_ms if as_of_ms is None else as_of_ms
        if until < 0:
            until = feed.latest_ms or now_ms
        series = feed.series(step_ms=settings.step_ms, until_ms=until).last(MAX_JUDGED)
        notes: list[str] = []
        judged = None
        try:
            judged = judge(series, settings.detector)
        except AttentionError as error:
            notes.append(f"nothing is judged: {error.message}")
        if self._forecast_at != until // HOUR_MS:
            self._forecast(series)
            self._suspect(until)
            self._forecast_at = until // HOUR_MS
        notes += self._notes
        warned = self._warn(judged, until)
        seen = Look(
            series.end_ms,
            feed.acts,
            feed.refused,
            judged,
            self._outlooks,
            tuple(warned),
            self._verdict,
            tuple(notes),
        )
        if self._metrics is not None:
            self._show(seen, self._metrics)
        return seen

    def _forecast(self, series: Series) -> None:
        quantities, notes = [series], []
        if self._epochs is not None:
            from timebank_chain.attention.monitor.ledger import epoch_series

            try:
                quantities += epoch_series(self._epochs)[0].values()
            except AttentionError as error:
                notes.append(f"no forecast of value and mint: {error.message}")
        made = []
        for one in quantities:
            try:
                made.append(outlook(one, self._settings.horizons, nominal=self._settings.nominal))
            except AttentionError as error:
                notes.append(f"no forecast of {one.name}: {error.message}")
        self._outlooks, self._notes = tuple(made), tuple(notes)

    def _suspect(self, until_ms: int) -> None:
        """Judge the members of the last epoch's length of acts, and say who stands out anew."""
        acts = self._feed.table()
        if acts is None:
            return
        before = set() if self._verdict is None else {one.who for one in self._verdict.held}
        span, earlier = spans_of(
            acts, Praise.none(), start_ms=until_ms - self._settings.epoch_ms, end_ms=until_ms
        )
        try:
            self._verdict = suspects(span, earlier, self._settings.suspicion)
        except AttentionError as error:
            self._verdict = None
            self._notes += (f"no member is judged: {error.message}",)
            return
        for one in self._verdict.held:
            if one.who not in before:
                log.warning(
                    "engagement stands out",
                    who=one.who,
                    acts=one.acts,
                    score=round(one.score, 2),
                    threshold=round(self._verdict.threshold, 2),
                    reasons=[reason.text for reason in one.reasons],
                )

    def _warn(self, judged: Judged | None, until_ms: int) -> list[tuple[Warned, dict[str, bool]]]:
        if judged is None:
            return []
        fresh = [one for one in judged.findings if one.at_ms > until_ms - self._settings.fresh_ms]
        before = {kind: self._suppressor.kept_back(kind) for kind in KINDS}
        said = []
        for finding, kept in self._suppressor.sift(fresh):
            rate = None if finding.kind == DRIFT else judged.rate
            warned = Warned(judged.series.name, finding, rate, kept)
            heard = deliver(warned, self._sinks)
            said.append((warned, heard))
            before[finding.kind] = 0
            if self._metrics is not None:
                self._metrics.add("warnings_total", kind=finding.kind)
                for sink, done in heard.items():
                    self._metrics.add(
                        "deliveries_total", sink=sink, outcome="delivered" if done else "failed"
                    )
        if fresh:
            self._suppressor.save()
        if self._metrics is not None:
            for kind in KINDS:
                self._metrics.add(
                    "suppressed_total", max(0, self._suppressor.kept_back(kind) - before[kind]), kind=kind
                )
        return said

    def _show(self, seen: Look, metrics: Metrics) -> None:
        for name, count in (("acts_total", seen.acts), ("refused_total", seen.refused)):
            metrics.add(name, max(0, count - self._counted.get(name, 0)))
            self._counted[name] = count
        metrics.set("last_step_timestamp_seconds", seen.until_ms / 1_000)
        if seen.judged is not None:
            judged = seen.judged
            metrics.set("step_value", float(judged.series.values[-1]))
            metrics.set("step_expected", float(judged.expected[-1]))
            metrics.set("score", float(judged.scores[-1]), side=BURST)
            metrics.set("score", float(judged.slow_scores[-1]), side=LULL)
            metrics.set("threshold", judged.above, side=BURST)
            metrics.set("threshold", judged.below, side=LULL)
            metrics.set("false_alarm_rate", judged.rate)
        if seen.verdict is not None:
            metrics.set("suspects", len(seen.verdict.held))
        for one in seen.outlooks:
            metrics.set("level_per_day", one.level, quantity=one.quantity)
            metrics.set("trend_per_day", one.trend, quantity=one.quantity)
            for forecast in one.forecasts:
                labels = {"quantity": one.quantity, "horizon": forecast.horizon}
                for bound, value in (
                    ("low", forecast.low), ("value", forecast.value), ("high", forecast.high)
                ):  # fmt: skip
                    metrics.set("forecast", float("nan") if value is None else value, **labels, bound=bound)
                if forecast.backtest.coverage is not None:
                    metrics.set("interval_coverage", forecast.backtest.coverage, **labels)
