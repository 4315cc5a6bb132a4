"""A Grafana dashboard over the monitor's metrics, made from their list, so that none is forgotten."""

from __future__ import annotations

from typing import Any

from timebank_chain.attention.monitor.metrics import COUNTER, METRICS, Metric

UID = "timebank-attention"
_PER_ROW, _WIDTH, _HEIGHT = 2, 12, 8


def dashboard() -> dict[str, Any]:
    """Return the dashboard as Grafana's import takes it (schema 39); the data source is asked for there."""
    panels: dict[str, list[Metric]] = {}
    for one in METRICS:
        panels.setdefault(one.panel, []).append(one)
    return {
        "__inputs": [
            {
                "name": "DS_PROMETHEUS",
                "label": "Prometheus",
                "type": "datasource",
                "pluginId": "prometheus",
                "pluginName": "Prometheus",
            }
        ],
        "uid": UID,
        "title": "Timebank: attention",
        "description": "What the monitor sees, expects and warns of.",
        "tags": ["timebank"],
        "timezone": "utc",
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-7d", "to": "now"},
        "templating": {"list": []},
        "panels": [_panel(number, title, shown) for number, (title, shown) in enumerate(panels.items())],
    }


def _panel(number: int, title: str, shown: list[Metric]) -> dict[str, Any]:
    row, column = divmod(number, _PER_ROW)
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": title,
        "description": " ".join(one.text for one in shown),
        "datasource": {"type": "prometheus", "uid": "${DS_PROMETHEUS}"},
        "gridPos": {"h": _HEIGHT, "w": _WIDTH, "x": column * _WIDTH, "y": row * _HEIGHT},
        "fieldConfig": {"defaults": {"unit": shown[0].unit, "custom": {"fillOpacity": 0}}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}},
        "targets": [
            {
                "refId": chr(ord("A") + place),
                "expr": _expression(one),
                "legendFormat": " ".join(
                    [
                        one.name.removeprefix("timebank_attention_"),
                        *(f"{{{{{label}}}}}" for label in one.labels),
                    ]
                ),
            }
            for place, one in enumerate(shown)
        ],
    }


def _expression(one: Metric) -> str:
    if one.kind == COUNTER and one.labels:
        # What the first look counts stands there at the first scrape, and is no increase to Prometheus: of a
        # counter that was not there an hour ago, everything is of this hour.
        return f"({one.name} unless {one.name} offset 1h) or increase({one.name}[1h])"
    if one.kind == COUNTER:
        # The first look reads the whole history; that is not what came in an hour.
        return f"increase({one.name}[1h])"
    if one.name.endswith("_timestamp_seconds"):
        return f"time() - {one.name}"
    return one.name
