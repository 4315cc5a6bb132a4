"""``timebank attention dashboard``: a Grafana dashboard over the monitor's metrics."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from timebank_chain.cli.output import say
from timebank_chain.cli.outputs import check_outputs
from timebank_chain.errors import UsageError


def command(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write it here.")
    ] = None,
) -> None:
    """Print the Grafana dashboard that shows every metric of `timebank attention monitor`.

    Import it in Grafana (Dashboards, New, Import) and choose your Prometheus as its source.

    Example: timebank attention dashboard -o dashboard.json
    """
    import json

    from timebank_chain.attention.monitor.dashboard import dashboard
    from timebank_chain.attention.monitor.state import write_document

    if output is None:
        sys.stdout.write(json.dumps(dashboard(), indent=2) + "\n")
        return
    check_outputs([("--output", output)], [])
    if output.exists() and not _is_dashboard(output):
        raise UsageError(f"--output is no dashboard, and is left alone: {output}", hint="choose another name")
    write_document(output, dashboard())
    say(f"dashboard: {output}")


def _is_dashboard(path: Path) -> bool:
    """Return whether a file is one of Grafana's dashboards, which a newer one may replace."""
    from timebank_chain.documents import parse_json, read_small

    try:
        found = parse_json(read_small(path))
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and "panels" in found and "schemaVersion" in found
