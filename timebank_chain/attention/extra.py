"""Libraries of the extra ``models``: loaded when first needed, and a way out where they are not there."""

from __future__ import annotations

import importlib
from types import ModuleType

from timebank_chain.errors import UsageError


def need(module: str, extra: str = "models") -> ModuleType:
    """Return a module of an extra.

    Raises
    ------
    UsageError
        If its package is not installed; the hint is the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise  # the package is there and something of its own is not
        raise UsageError(
            f"this needs {error.name}, which is not installed",
            hint=f"pip install 'timebank-chain[{extra}]'",
        ) from error
