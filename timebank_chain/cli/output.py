"""What a command prints: tables for people, one versioned JSON document for programs.

Results go to standard output, progress and errors to standard error, so that ``--json`` can be
piped. Every success document carries ``schema``; every failure has the one shape
``{"schema": "timebank.error/1", "error": {"code", "message", "where", "hint"}}``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console, JustifyMethod
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from timebank_chain.errors import TimebankError

_ENDLESS = 10_000


def out() -> Console:
    """Return the console for results."""
    return Console(file=sys.stdout, highlight=False, soft_wrap=True)


def err() -> Console:
    """Return the console for progress and errors."""
    return Console(file=sys.stderr, highlight=False, soft_wrap=True)


def print_json(schema: str, body: Mapping[str, Any]) -> None:
    """Print one JSON document named ``schema`` (for example ``timebank.value/1``)."""
    sys.stdout.write(json.dumps({"schema": schema, **body}, indent=2, ensure_ascii=False) + "\n")


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table; columns whose name starts with ``>`` are aligned right.

    Nothing is cut off: a terminal folds long cells, a pipe or file gets lines as long as they need.
    Cells are plain text: what looks like rich's markup in somebody's id is shown as it is.
    """
    table = Table(title=title, title_justify="left", title_style="bold", header_style="bold", box=None)
    for name in columns:
        justify: JustifyMethod = "right" if name.startswith(">") else "left"
        table.add_column(name.removeprefix(">"), justify=justify, overflow="fold")
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    console = out()
    if not console.is_terminal:
        needed = Measurement.get(console, console.options.update(max_width=_ENDLESS), table).maximum
        console.width = max(console.width, needed)
    console.print(table)


def say(message: str) -> None:
    """Tell a person what is going on (standard error)."""
    err().print(message, markup=False)


def error_body(error: TimebankError) -> dict[str, Any]:
    """Return an error as JSON values."""
    return {"code": error.code, "message": error.message, "where": error.where, "hint": error.hint}


def print_error(error: TimebankError, *, as_json: bool) -> None:
    """Print an error with its way out."""
    if as_json:
        document = {"schema": "timebank.error/1", "error": error_body(error)}
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
        return
    console = err()
    console.print(f"error: {error}", style="red", markup=False)
    if error.hint:
        console.print(f"  try: {error.hint}", markup=False)
