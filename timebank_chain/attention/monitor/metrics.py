"""What the monitor shows to Prometheus. `METRICS` is the one list: exposition and dashboard follow it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from timebank_chain.attention.extra import need

GAUGE, COUNTER = "gauge", "counter"


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
    """

    name: str
    kind: str
    text: str
    labels: tuple[str, ...] = ()
    panel: str = ""
    unit: str = "short"


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
    Metric(_PREFIX + "warnings_total", COUNTER, "Warnings given.", ("kind",), panel="Warnings"),
    Metric(
        _PREFIX + "suppressed_total", COUNTER, "Findings kept back as repeats.", ("kind",), panel="Warnings"
    ),
    Metric(
        _PREFIX + "deliveries_total",
        COUNTER,
        "Warnings handed to a sink, by what became of them.",
        ("sink", "outcome"),
        panel="Deliveries",
    ),
    Metric(_PREFIX + "looks_total", COUNTER, "Looks at the feed, by outcome.", ("outcome",), panel="Looks"),
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
    """The metrics of one monitor, in a registry of their own."""

    def __init__(self) -> None:
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
