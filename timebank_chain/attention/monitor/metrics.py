"""What the monitor shows to Prometheus. `METRICS` is the one list: exposition and dashboard follow it."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from timebank_chain.attention.extra import need
from timebank_chain.attention.monitor.outbox import OUTCOMES
from timebank_chain.attention.monitor.warn import WARNING_KINDS

GAUGE, COUNTER = "gauge", "counter"
#: What becomes of a look.
DONE, FAILED_LOOK = "done", "failed"
LOOKS = (DONE, FAILED_LOOK)


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes
    ----------
    name
        As Prometheus shows it; counters end in ``_total``.
    kind
        ``gauge`` or ``counter``.
    text
        What it is, with its unit.
    labels
        Their names.
    panel
        Which panel of the dashboard shows it.
    unit
        Grafana's unit of that panel.
    known
        Values of the labels that are known from the begin. A counter that appears with its first event has
        not risen for Prometheus: all are exposed at 0 before.
    """

    name: str
    kind: str
    text: str
    labels: tuple[str, ...] = ()
    panel: str = ""
    unit: str = "short"
    known: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


_PREFIX = "timebank_attention_"
METRICS: tuple[Metric, ...] = (
    Metric(_PREFIX + "acts_total", COUNTER, "Acts read from the feed.", panel="Feed", unit="short"),
    Metric(_PREFIX + "refused_total", COUNTER, "Rows of the feed turned away.", panel="Feed"),
    Metric(_PREFIX + "step_value", GAUGE, "What the last whole step brought.", panel="Activity a step"),
    Metric(_PREFIX + "step_expected", GAUGE, "What it was expected to bring.", panel="Activity a step"),
    Metric(
        _PREFIX + "score",
        GAUGE,
        "How far the last hour (burst) or day (lull) was off, difference of logs.",
        ("side",),
        panel="Score",
    ),
    Metric(
        _PREFIX + "threshold",
        GAUGE,
        "Scores beyond are warned of, difference of logs.",
        ("side",),
        panel="Score",
    ),
    Metric(
        _PREFIX + "false_alarm_rate",
        GAUGE,
        "Stated share of ordinary steps that are warned of.",
        panel="Stated rate of false alarms",
        unit="percentunit",
    ),
    Metric(_PREFIX + "level_per_day", GAUGE, "Present level, a day.", ("quantity",), panel="Level and trend"),
    Metric(
        _PREFIX + "trend_per_day",
        GAUGE,
        "Change of the level, a day.",
        ("quantity",),
        panel="Level and trend",
    ),
    Metric(
        _PREFIX + "forecast",
        GAUGE,
        "Sum over the next hour, day or epoch: low, value or high.",
        ("quantity", "horizon", "bound"),
        panel="Forecasts",
    ),
    Metric(
        _PREFIX + "interval_coverage",
        GAUGE,
        "Share of past intervals that held.",
        ("quantity", "horizon"),
        panel="Coverage of the intervals",
        unit="percentunit",
    ),
    Metric(
        _PREFIX + "warnings_total",
        COUNTER,
        "Warnings given.",
        ("kind",),
        panel="Warnings",
        known={"kind": WARNING_KINDS},
    ),
    Metric(
        _PREFIX + "suppressed_total",
        COUNTER,
        "Findings kept back as repeats.",
        ("kind",),
        panel="Warnings",
        known={"kind": WARNING_KINDS},
    ),
    Metric(
        _PREFIX + "deliveries_total",
        COUNTER,
        "Attempts to hand a warning to a sink, and warnings dropped as too many waited.",
        ("sink", "outcome"),
        panel="Deliveries",
        known={"outcome": OUTCOMES},
    ),
    Metric(
        _PREFIX + "waiting",
        GAUGE,
        "Warnings a sink has not taken yet; they are tried again at every look.",
        ("sink",),
        panel="Warnings that wait",
    ),
    Metric(
        _PREFIX + "looks_total",
        COUNTER,
        "Looks at the feed, by outcome.",
        ("outcome",),
        panel="Looks",
        known={"outcome": LOOKS},
    ),
    Metric(
        _PREFIX + "last_step_timestamp_seconds",
        GAUGE,
        "End of the last whole step, Unix seconds.",
        panel="Age of the last step",
        unit="s",
    ),
    Metric(
        _PREFIX + "suspects",
        GAUGE,
        "Members whose engagement looks bought or automated.",
        panel="Suspects",
    ),
)


class Metrics:
    """The metrics of one monitor, in a registry of their own.

    Parameters
    ----------
    sinks
        Names of those who hear of warnings.
    """

    def __init__(self, sinks: Iterable[str] = ("log",)) -> None:
        client: Any = need("prometheus_client")
        self._registry = client.CollectorRegistry()
        self._render = client.generate_latest
        self.content_type: str = client.CONTENT_TYPE_LATEST
        kinds = {GAUGE: client.Gauge, COUNTER: client.Counter}
        self._of = {
            one.name.removeprefix(_PREFIX): kinds[one.kind](
                one.name, one.text, one.labels, registry=self._registry
            )
            for one in METRICS
        }
        heard = {"sink": tuple(sinks)}
        for one in METRICS:
            known = {**heard, **one.known}
            if one.labels and all(label in known for label in one.labels):
                for values in itertools.product(*(known[label] for label in one.labels)):
                    self._of[one.name.removeprefix(_PREFIX)].labels(*values)

    def set(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge, named without the common prefix."""
        one = self._of[name]
        (one.labels(**labels) if labels else one).set(value)

    def add(self, name: str, count: float = 1.0, **labels: str) -> None:
        """Raise a counter, named without the common prefix."""
        one = self._of[name]
        (one.labels(**labels) if labels else one).inc(count)

    def render(self) -> bytes:
        """Return all of them as Prometheus reads them."""
        return bytes(self._render(self._registry))
