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

from rich.console import Console
from rich.table import Table

from timebank_chain.errors import TimebankError


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
    """Print a table; columns whose name starts with ``>`` are aligned right."""
    table = Table(title=title, title_justify="left", title_style="bold", header_style="bold", box=None)
    for name in columns:
        table.add_column(name.removeprefix(">"), justify="right" if name.startswith(">") else "left")
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    out().print(table)


def say(message: str) -> None:
    """Tell a person what is going on (standard error)."""
    err().print(message, markup=False)


def print_error(error: TimebankError, *, as_json: bool) -> None:
    """Print an error with its way out."""
    if as_json:
        body = {"code": error.code, "message": error.message, "where": error.where, "hint": error.hint}
        sys.stdout.write(json.dumps({"schema": "timebank.error/1", "error": body}, indent=2) + "\n")
        return
    console = err()
    console.print(f"error: {error}", style="red", markup=False)
    if error.hint:
        console.print(f"  try: {error.hint}", markup=False)
