"""One look at the feed after the other: count, judge, forecast, warn.

Every look begins from the whole history the feed holds, so a restart needs no model file; what was warned
of before is remembered, and so is what nobody heard yet (`State`). Only findings fresh enough are warned of:
history is no news. Members who stand out are warned of once an epoch's length: then their acts are others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from timebank_chain.attention.monitor.detect import BURST, DRIFT, KINDS, LULL, DetectorSettings, Judged, judge
from timebank_chain.attention.monitor.feed import Feed
from timebank_chain.attention.monitor.forecast import Outlook, outlook
from timebank_chain.attention.monitor.metrics import Metrics
from timebank_chain.attention.monitor.outbox import Outbox, Sink
from timebank_chain.attention.monitor.series import DAY_MS, HOUR_MS, Series
from timebank_chain.attention.monitor.spans import Praise, spans_of
from timebank_chain.attention.monitor.state import State
from timebank_chain.attention.monitor.suspicion import SuspicionSettings, Verdict, suspects
from timebank_chain.attention.monitor.warn import SUSPECT, Suppressor, Suspected, Warned
from timebank_chain.errors import AttentionError, TimebankError

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
    cool_down_ms
        After a warning of a kind, none of it for so long.
    nominal
        Share of intervals meant to hold.
    """

    step_ms: int = HOUR_MS
    epoch_ms: int = 7 * DAY_MS
    fresh_ms: int = DAY_MS
    cool_down_ms: int = 6 * HOUR_MS
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
        Warnings given, each with who heard it; the others hear it at a later look.
    waiting
        How many warnings wait to be delivered, by sink.
    verdict
        Whose engagement of the last epoch's length stands out; ``None`` where acts are not kept, or too few.
    """

    until_ms: int
    acts: int
    refused: int
    judged: Judged | None
    outlooks: tuple[Outlook, ...]
    warned: tuple[tuple[Warned | Suspected, dict[str, bool]], ...]
    waiting: dict[str, int]
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
                # Of less than two days no threshold of lulls is known: minus infinity, which JSON has not.
                "below": judged.below if math.isfinite(judged.below) else None,
                "above": judged.above,
                "findings": {kind: sum(one.kind == kind for one in judged.findings) for kind in KINDS},
            },
            "outlooks": [one.to_json() for one in self.outlooks],
            "warnings": [{**warned.to_json(), "delivered": heard} for warned, heard in self.warned],
            "waiting": self.waiting,
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
    state
        What was said before; default: nothing, and it is not kept.
    epochs
        Folder of published epochs for value and mint, or ``None``.
    fees
        Reads the fees by time anew, or ``None``.
    """

    def __init__(
        self,
        feed: Feed,
        settings: MonitorSettings,
        *,
        state: State | None = None,
        sinks: Sequence[Sink] = (),
        metrics: Metrics | None = None,
        epochs: Path | None = None,
        fees: Callable[[], Series] | None = None,
    ) -> None:
        self._feed, self._settings, self._epochs, self._fees = feed, settings, epochs, fees
        self._state, self._metrics = state or State(), metrics
        self._outbox = Outbox(sinks, self._state)
        self._kinds = Suppressor(settings.cool_down_ms, self._state.kinds)
        self._members = Suppressor(max(settings.epoch_ms, settings.cool_down_ms), self._state.members)
        self._forecast_at = -1
        self._outlooks: tuple[Outlook, ...] = ()
        self._verdict: Verdict | None = None
        self._counted: dict[str, int] = {}
        self._notes: tuple[str, ...] = ()
        self._ahead_logged = False

    def look(self, *, now_ms: int, as_of_ms: int | None = None, lag_ms: int = 0) -> Look:
        """Read what is new, judge it and warn.

        Parameters
        ----------
        now_ms
            The present; what claims to be later is passed over, and said so.
        as_of_ms
            Judge as if it were this time, at most the present: of feed, epochs and fees nothing later counts.
            Default the present. ``-1``: when the latest act was done, which bounds the feed alone.
        lag_ms
            How late acts reach the feed: without ``as_of_ms`` it is looked at as it was then.

        Raises
        ------
        TimebankError
            If the feed cannot be read.
        """
        feed, settings = self._feed, self._settings
        if self._outbox.retry():
            self._state.save()
        feed.read(now_ms=now_ms)
        until = now_ms - lag_ms if as_of_ms is None else min(as_of_ms, now_ms)
        if until < 0:
            until = feed.latest_ms or now_ms
        series = feed.series(step_ms=settings.step_ms, until_ms=until).last(MAX_JUDGED)
        notes = self._ahead()
        judged = None
        try:
            judged = judge(series, settings.detector)
        except AttentionError as error:
            notes.append(f"nothing is judged: {error.message}")
        suspected: list[Suspected] = []
        if self._forecast_at != until // HOUR_MS:
            self._forecast(series, as_of_ms)
            suspected = self._suspect(until)
            self._forecast_at = until // HOUR_MS
        notes += self._notes
        said: list[Warned | Suspected] = [*self._found(judged, until), *suspected]
        warned = [(one, self._outbox.hand(one.to_json())) for one in said]
        self._state.save()
        seen = Look(
            series.end_ms,
            feed.acts,
            feed.refused,
            judged,
            self._outlooks,
            tuple(warned),
            self._outbox.waiting,
            self._verdict,
            tuple(notes),
        )
        if self._metrics is not None:
            self._show(seen, self._metrics)
        return seen

    def _ahead(self) -> list[str]:
        """Tell of rows the clock has not reached: in every look, in the log once until there are none."""
        count = self._feed.ahead
        if not count:
            self._ahead_logged = False
            return []
        note = f"quality: {count:,} rows lie in the future of this machine's clock and are passed over"
        if not self._ahead_logged:
            log.warning(note, feed=str(self._feed.path), hint="check the clocks of feed and machine")
        self._ahead_logged = True
        return [note]

    def _forecast(self, series: Series, as_of_ms: int | None) -> None:
        quantities, notes = [series], []
        if self._epochs is not None:
            from timebank_chain.attention.monitor.ledger import epoch_series

            try:
                quantities += epoch_series(self._epochs)[0].values()
            except AttentionError as error:
                notes.append(f"no forecast of value and mint: {error.message}")
        if self._fees is not None:
            try:
                quantities.append(self._fees())
            except (TimebankError, OSError) as error:
                # A chain that is away, or a file being written, is no reason to look away from the feed.
                notes.append(
                    f"no forecast of fees: {error.message if isinstance(error, TimebankError) else error}"
                )
        if as_of_ms is not None and as_of_ms >= 0:
            quantities = [one.until(as_of_ms) for one in quantities]
        made = []
        for one in quantities:
            try:
                made.append(outlook(one, self._settings.horizons, nominal=self._settings.nominal))
            except AttentionError as error:
                notes.append(f"no forecast of {one.name}: {error.message}")
        self._outlooks, self._notes = tuple(made), tuple(notes)

    def _suspect(self, until_ms: int) -> list[Suspected]:
        """Judge the members of the last epoch's length of acts; return who is to be warned of."""
        acts = self._feed.table()
        if acts is None:
            return []
        span, earlier = spans_of(
            acts, Praise.none(), start_ms=until_ms - self._settings.epoch_ms, end_ms=until_ms
        )
        try:
            verdict = self._verdict = suspects(span, earlier, self._settings.suspicion)
        except AttentionError as error:
            self._verdict = None
            self._notes += (f"no member is judged: {error.message}",)
            return []
        said = []
        for one in verdict.held:
            kept = self._members.admit(one.who, until_ms)
            if kept is not None:
                said.append(Suspected(one, until_ms, verdict.threshold, verdict.rate, kept))
        self._members.forget(until_ms)
        return said

    def _found(self, judged: Judged | None, until_ms: int) -> list[Warned]:
        """Return the fresh findings to warn of."""
        if judged is None:
            return []
        fresh = [one for one in judged.findings if one.at_ms > until_ms - self._settings.fresh_ms]
        return [
            Warned(judged.series.name, one, None if one.kind == DRIFT else judged.rate, kept)
            for one, kept in self._kinds.sift(fresh)
        ]

    def _show(self, seen: Look, metrics: Metrics) -> None:
        for name, count in (("acts_total", seen.acts), ("refused_total", seen.refused)):
            metrics.add(name, max(0, count - self._counted.get(name, 0)))
            self._counted[name] = count
        for warned, _ in seen.warned:
            metrics.add("warnings_total", kind=warned.kind)
        for (sink, outcome), count in self._outbox.counts.items():
            metrics.add("deliveries_total", count, sink=sink, outcome=outcome)
        self._outbox.counts.clear()
        for kind, count in (*self._kinds.kept_back.items(), (SUSPECT, self._members.kept_back.total())):
            metrics.add("suppressed_total", count, kind=kind)
        self._kinds.kept_back.clear()
        self._members.kept_back.clear()
        for sink, count in seen.waiting.items():
            metrics.set("waiting", count, sink=sink)
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
