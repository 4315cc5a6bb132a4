"""Where a command's picture goes: the place tried before the work, the file written in one step."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

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
            handle, part = _part(path)
            os.close(handle)
            part.unlink()
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
            return
        handle, part = _part(path)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(svg)
            part.chmod(0o644)
            part.replace(path.resolve())
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise _cannot(path, error.strerror or str(error)) from error


def _is_special(path: Path) -> bool:
    """Whether it is a device or a pipe (``/dev/stdout``): written to, never replaced."""
    return path.exists() and not path.is_file()


def _part(path: Path) -> tuple[int, Path]:
    # Beside what a link points to: the link stays one.
    target = path.resolve()
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    return handle, Path(name)


def _cannot(path: Path, why: str) -> TimebankError:
    return TimebankError(
        f"cannot write the picture: {why}",
        where=str(path),
        hint="give --svg a file in a folder that is there",
    )
