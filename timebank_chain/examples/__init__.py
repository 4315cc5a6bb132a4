"""Shipped example files, ready to be read by the commands.

Takes an example's name, gives its path on disk: ``example_names()``, ``example_path(name)``,
``example_about(name)``.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["example_about", "example_names", "example_path"]

_ABOUT = {
    "bank.json": (
        "The bank's policy as deployed by default: terms, multipliers, penalties, fees and bounds of lending."
    ),
    "libuv.mapping.toml": (
        "Makes activity of a table of commits (one CSV row each): a mapping to start one's own from."
    ),
    "worked_example.csv": (
        "Ten acts, 1 to 10 seconds old at 2026-01-01T00:00:10Z: with tau 100s they are worth 269.108441."
    ),
}


def example_names() -> tuple[str, ...]:
    """Return the names of the shipped examples, sorted."""
    return tuple(sorted(_ABOUT))


def example_about(name: str) -> str:
    """Return one sentence on what an example shows.

    Raises
    ------
    KeyError
        If no example of this name is shipped.
    """
    return _ABOUT[name]


def example_path(name: str) -> Path:
    """Return where an example lies on disk (the package is always installed unpacked).

    Raises
    ------
    KeyError
        If no example of this name is shipped.
    """
    if name not in _ABOUT:
        raise KeyError(name)
    return Path(__file__).with_name(name)
