"""Figures as files: drawn without a screen, the same bytes for the same figures."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from timebank_chain.attention.extra import need
from timebank_chain.documents import write_whole
from timebank_chain.errors import AttentionError, UsageError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = ("png", "svg")
#: Letters as outlines, ids from a fixed salt: no machine's fonts and no chance in the file.
_SETTINGS = {"svg.hashsalt": "timebank", "svg.fonttype": "path", "font.family": "DejaVu Sans"}


def picture_kind(path: Path) -> str:
    """Return ``png`` or ``svg``, by a file's name; to be asked before long work.

    Raises
    ------
    UsageError
        If the name ends otherwise.
    """
    kind = path.suffix.lower().removeprefix(".")
    if kind not in KINDS:
        raise UsageError(f"a picture named {path.name!r}", hint="end its name in .png or .svg")
    return kind


def picture_bytes(draw: Callable[[], Figure], kind: str) -> bytes:
    """Return what ``draw`` draws as ``png`` or ``svg``, without date or version in it."""
    buffer = io.BytesIO()
    with need("matplotlib").rc_context(_SETTINGS):
        metadata = {"Software": None} if kind == "png" else {"Date": None, "Creator": None}
        draw().savefig(buffer, format=kind, dpi=120, metadata=metadata)
    return buffer.getvalue()


def write_picture(path: Path, draw: Callable[[], Figure]) -> None:
    """Write what ``draw`` draws in one step, as its file's name says.

    Raises
    ------
    UsageError
        If the name ends in neither ``.png`` nor ``.svg``.
    AttentionError
        If the file cannot be written.
    """
    content = picture_bytes(draw, picture_kind(path))
    try:
        write_whole(path, content)
    except OSError as error:
        raise AttentionError(
            f"cannot write the picture: {error.strerror}", where=str(path), hint="choose another file"
        ) from error
