"""The ``timebank`` command: assembles the nouns and turns errors into exit codes.

Exit codes: 0 done, 1 trouble, 2 wrong usage, 3 a check failed.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from functools import cache
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from timebank_chain import __version__
from timebank_chain.cli.output import print_error
from timebank_chain.errors import TimebankError, UsageError

#: Nouns in the order of the way of the data; each module offers ``app`` (several verbs) or ``command``.
NOUNS = (
    "ingest",
    "value",
    "policy",
    "epoch",
    "chain",
    "oracle",
    "watch",
    "wallet",
    "deposit",
    "loan",
    "lease",
    "market",
    "service",
    "audit",
    "fairness",
    "attention",
    "examples",
    "demo",
)


#: How the help of every command begins its examples.
_EXAMPLE = "Example: "


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"timebank {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Recorded activity in, attention credits out, and every step recomputable."""


def command_for(words: Sequence[str] = ()) -> Callable[..., Any]:
    """Return the command line some words are meant for: with the noun they begin with, or with all.

    Building all of it takes longer than most commands run.
    """
    noun = words[0] if words and words[0] in NOUNS else None
    return _command(noun)


@cache
def _command(only: str | None) -> Callable[..., Any]:
    app = typer.Typer(
        name="timebank",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        add_completion=False,
    )
    app.callback()(_root)
    for noun in NOUNS if only is None else (only,):
        module = importlib.import_module(f"timebank_chain.cli.{noun}")
        if hasattr(module, "app"):
            app.add_typer(module.app, name=noun)
        else:
            app.command(name=noun)(module.command)
    return typer.main.get_command(app)


def _usage_hint(error: TyperException) -> str:
    """Show how the command is meant: the first example of its help."""
    context = getattr(error, "ctx", None)
    told = (context.command.help or "") if context is not None else ""
    for line in told.splitlines():
        if line.startswith(_EXAMPLE):
            return f"for example: {line.removeprefix(_EXAMPLE)} (--help shows all options)"
    return "add --help to see the options"


def run() -> None:
    """Run the command line and exit."""
    as_json = "--json" in sys.argv[1:]
    try:
        code = command_for(sys.argv[1:])(standalone_mode=False)
    except TimebankError as error:
        print_error(error, as_json=as_json)
        sys.exit(error.exit_code)
    except TyperException as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            # `timebank wallet` alone: the message is the help text itself.
            typer.echo(error.format_message(), err=True)
            sys.exit(UsageError.exit_code)
        print_error(UsageError(error.format_message(), hint=_usage_hint(error)), as_json=as_json)
        sys.exit(UsageError.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        print_error(TimebankError("interrupted"), as_json=as_json)
        sys.exit(1)
    except BrokenPipeError:
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)
