"""``timebank attention dashboard``: a Grafana dashboard over the monitor's metrics."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from timebank_chain.cli.output import say


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
    write_document(output, dashboard())
    say(f"dashboard: {output}")
