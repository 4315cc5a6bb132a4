"""Where a command's picture goes: the place tried before the work, the file written in one step."""

from __future__ import annotations

import tempfile
from pathlib import Path

from timebank_chain.documents import write_whole
from timebank_chain.errors import TimebankError


def check_place(path: Path) -> None:
    """Refuse a place where no picture can be written, before anything is worked out for it.

    Raises
    ------
    TimebankError
        If the folder is not there or cannot be written to, or the path is a folder itself.
    """
    if path.is_dir():
        raise _cannot(path, "it is a folder")
    try:
        if _is_special(path):
            path.open("ab").close()
        else:
            # Nameless, and gone when it is closed.
            tempfile.TemporaryFile(dir=path.resolve().parent).close()
    except OSError as error:
        raise _cannot(path, error.strerror or str(error)) from error


def write_picture(path: Path, svg: bytes) -> None:
    """Write a picture whole or not at all.

    Raises
    ------
    TimebankError
        If it cannot be written.
    """
    try:
        if _is_special(path):
            path.write_bytes(svg)
        else:
            # In place of what a link points to: the link stays one.
            write_whole(path.resolve(), svg, mode=0o644)
    except OSError as error:
        raise _cannot(path, error.strerror or str(error)) from error


def _is_special(path: Path) -> bool:
    """Whether it is a device or a pipe (``/dev/stdout``): written to, never replaced."""
    return path.exists() and not path.is_file()


def _cannot(path: Path, why: str) -> TimebankError:
    return TimebankError(
        f"cannot write the picture: {why}",
        where=str(path),
        hint="give --svg a file in a folder that is there",
    )
