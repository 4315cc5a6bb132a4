"""``timebank examples``: shipped files to try the commands on."""

from __future__ import annotations

import difflib
from typing import Annotated

import typer

from timebank_chain.cli.options import AsJson
from timebank_chain.cli.output import out, print_json, print_table
from timebank_chain.errors import UsageError
from timebank_chain.examples import example_about, example_names, example_path


def command(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Print this example's path.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the shipped examples, or print where one lies.

    Example: timebank value "$(timebank examples worked_example.csv)" --policy identity --tau 100s
    --at 2026-01-01T00:00:10Z
    """
    if name is None:
        if as_json:
            examples = [_entry(known) for known in example_names()]
            print_json("timebank.examples/1", {"examples": examples})
            return
        print_table(
            "Shipped examples (print a path: timebank examples NAME)",
            ["name", "what it shows"],
            [(known, example_about(known)) for known in example_names()],
        )
        return
    if name not in example_names():
        close = difflib.get_close_matches(name, example_names(), n=1)
        raise UsageError(
            f"there is no example {name!r}",
            hint=f"Did you mean {close[0]!r}?" if close else f"choose from {', '.join(example_names())}",
        )
    if as_json:
        print_json("timebank.examples/1", {"examples": [_entry(name)]})
        return
    out().print(str(example_path(name)), markup=False)


def _entry(name: str) -> dict[str, str]:
    return {"name": name, "path": str(example_path(name)), "about": example_about(name)}
