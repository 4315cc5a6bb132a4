"""Options of the commands that fetch published epochs: from where, and what that may take."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from math import isfinite
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from timebank_chain.errors import UsageError

if TYPE_CHECKING:
    from timebank_chain.epoch import FetchOptions

_PARAMETER = "fetching"
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Fetching:
    """What a command's options say about fetching; field by field an option of every such command."""

    gateway: Annotated[
        str | None,
        typer.Option("--gateway", metavar="URL", help="IPFS gateway (default: the one of this machine)."),
    ] = None
    store: Annotated[
        str | None,
        typer.Option("--store", metavar="DIR|URL", help="Where sha256: addresses are looked up."),
    ] = None
    allow_private: Annotated[
        bool, typer.Option("--allow-private", help="Let a header lead to addresses of the inner network.")
    ] = False
    allow_local: Annotated[
        bool, typer.Option("--allow-local", help="Let a header lead to files of this machine.")
    ] = False
    max_mib: Annotated[
        int, typer.Option("--max-mib", metavar="N", min=1, help="Most the files, or the rows, may take.")
    ] = 4096
    deadline_s: Annotated[
        float,
        typer.Option("--deadline", metavar="SECONDS", min=1, help="Longest fetching an epoch may take."),
    ] = 600.0

    def options(self, source: str | None) -> FetchOptions:
        """Return the options as the fetching takes them, from ``source`` if that is given.

        Raises
        ------
        UsageError
            If source, gateway or store is none, whether or not anything will be fetched from it.
        """
        from timebank_chain.epoch import FetchOptions
        from timebank_chain.epoch.places import DEFAULT_GATEWAY, check_places

        if not isfinite(self.deadline_s):
            raise UsageError(f"--deadline: not a number of seconds: {self.deadline_s}", hint="write 600")
        options = FetchOptions(
            source=source,
            gateway=DEFAULT_GATEWAY if self.gateway is None else self.gateway,
            store=self.store,
            allow_private=self.allow_private,
            allow_local=self.allow_local,
            max_bytes=self.max_mib << 20,
            deadline_s=self.deadline_s,
        )
        check_places(options)
        return options


DEFAULT_FETCHING = Fetching()


def takes_fetching(command: Callable[..., _Result]) -> Callable[..., _Result]:
    """Give a command the options of `Fetching` in place of its parameter ``fetching``."""
    own = inspect.signature(command, eval_str=True)
    shared = inspect.signature(Fetching, eval_str=True).parameters

    @wraps(command)
    def with_options(**given: Any) -> _Result:
        fetching = Fetching(**{name: given.pop(name) for name in shared})
        return command(**given, **{_PARAMETER: fetching})

    parameters: list[inspect.Parameter] = []
    for parameter in own.parameters.values():
        if parameter.name == _PARAMETER:
            parameters += [one.replace(kind=parameter.kind) for one in shared.values()]
        else:
            parameters.append(parameter)
    # The type checker knows no functions that carry a signature of their own; typer reads this one.
    with_options.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]  # as said
    with_options.__annotations__ = {one.name: one.annotation for one in parameters}
    return with_options
