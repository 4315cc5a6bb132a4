"""``timebank attention``: the twin of a community's attention. One module here an area of its work.

Area modules import no library of the extra ``models`` themselves: `timebank --help` stays quick.
"""

from __future__ import annotations

import importlib

import typer

app = typer.Typer(
    help="Model, watch, forecast, recommend, try out and protect a community's attention.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

#: Areas in the order of the data's way; each module offers ``app`` (several verbs) or ``command``.
AREAS = (
    "collect",
    "model",
    "forecast",
    "monitor",
    "dashboard",
    "suspects",
    "release",
    "recommend",
    "experiment",
    "privacy",
    "report",
)

for _area in AREAS:
    _module = importlib.import_module(f"timebank_chain.cli.attention.{_area}")
    if hasattr(_module, "app"):
        app.add_typer(_module.app, name=_area.replace("_", "-"))
    else:
        app.command(name=_area.replace("_", "-"))(_module.command)
