"""Shipped valuation policies, one JSON document each.

Takes a preset's name, gives its text: ``preset_names()``, ``read_preset(name)``.
"""

from __future__ import annotations

from importlib.resources import files

__all__ = ["preset_names", "read_preset"]


def preset_names() -> tuple[str, ...]:
    """Return the names of the shipped policies, sorted."""
    return tuple(
        sorted(entry.name[:-5] for entry in files(__name__).iterdir() if entry.name.endswith(".json"))
    )


def read_preset(name: str) -> str:
    """Return the JSON text of a shipped policy.

    Raises
    ------
    KeyError
        If no policy of this name is shipped.
    """
    if name not in preset_names():
        raise KeyError(name)
    return files(__name__).joinpath(f"{name}.json").read_text(encoding="utf-8")
