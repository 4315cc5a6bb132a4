"""Reading what others wrote, within bounds, and writing files that are there whole or not at all.

Size is bounded before it is in memory, nesting before the parser sees it. A size that the file system
tells is no bound: of a device or a growing file it says nothing.

Python's JSON parser recurses in C. Packages of the embedded chain raise the recursion limit so far that
a deeply nested document no longer raises ``RecursionError`` but ends the process.

A file is written under another name beside its own and then takes its place in one step: whoever reads
sees the old one or the new one, and a crash never leaves half of either. What a killed writer leaves is the
other name: `stale_parts` finds it, since the kernel lets go of the writer's lock.
"""

from __future__ import annotations

import fcntl
import io
import json
import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

#: Most bytes of a document, unless its kind has a bound of its own.
MAX_BYTES = 16 << 20
#: Our own documents need seven levels.
MAX_DEPTH = 64
#: The largest integer of a contract, 2**256 - 1, has so many digits.
MAX_DIGITS = 78

_OWNER_ONLY = 0o600
_PART = re.compile(r"\.[0-9a-f]{16}\.part")

# A string that never closes runs to the end, so that the search stays linear.
_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[\[{\]}]', re.DOTALL)


class TooDeep(ValueError):
    """A document nests deeper than any of ours."""


class TooLarge(ValueError):
    """A file has more bytes than any document of its kind."""


def read_small(path: Path | str, limit: int = MAX_BYTES) -> bytes:
    """Read a file of at most ``limit`` bytes, never more of it than that.

    Raises
    ------
    TooLarge
        If there is more.
    OSError
        If it cannot be read.
    """
    with Path(path).open("rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise TooLarge(f"more than {limit:,} bytes")
    return content


def read_small_text(path: Path | str, limit: int = MAX_BYTES) -> str:
    """Read a text of at most ``limit`` bytes as ``Path.read_text`` does; see :func:`read_small`.

    Raises
    ------
    TooLarge, OSError
        As there.
    UnicodeDecodeError
        If it is not UTF-8.
    """
    return io.TextIOWrapper(io.BytesIO(read_small(path, limit)), encoding="utf-8").read()


def parse_json(
    text: str | bytes,
    *,
    object_pairs_hook: Callable[[list[tuple[str, Any]]], Any] | None = None,
    parse_float: Callable[[str], Any] | None = None,
    parse_constant: Callable[[str], Any] | None = None,
) -> Any:
    """Parse JSON as ``json.loads`` does, whatever a stranger put into it.

    Raises
    ------
    TooDeep
        If it nests deeper than ``MAX_DEPTH`` levels.
    ValueError
        If it is not JSON, an integer has more than ``MAX_DIGITS`` digits, or bytes are not UTF-8.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8")
    if _too_deep(text):
        raise TooDeep(f"nested deeper than {MAX_DEPTH} levels")
    return json.loads(
        text,
        object_pairs_hook=object_pairs_hook,
        parse_float=parse_float,
        parse_int=_integer,
        parse_constant=parse_constant,
    )


@contextmanager
def writing_whole(
    path: Path | str, *, mode: int | None = None, sync: bool = False, replace: bool = True
) -> Iterator[BinaryIO]:
    """Open a file to write that gets its name when all is written; leave it open.

    Any exception, from the body too, leaves what was there before and nothing else. A link at ``path`` is
    itself replaced; resolve the path to write what it points to.

    Parameters
    ----------
    path
        Its name; the folder must be there.
    mode
        Its permissions, whatever the umask; until it has its name its owner alone can read it. ``None``
        gives it, from the start, those of any new file.
    sync
        Whether it survives a power cut once it has its name.
    replace
        Whether it may take the place of another file.

    Raises
    ------
    FileExistsError
        If ``replace`` is false and something has the name already, when all is written.
    OSError
        If it cannot be written.
    """
    path = Path(path)
    # The name is not made of the file's: with more letters that could become too long.
    part = path.parent / f".{secrets.token_hex(8)}.part"
    at_first = 0o666 if mode is None else _OWNER_ONLY
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, at_first)
    # The lock is the open file's, and this keeps it until the file has its name.
    held = os.dup(handle)
    try:
        with suppress(OSError):  # on a file system without locks no part is taken for a stale one
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            if mode is not None and mode != at_first:
                os.fchmod(handle, mode)
            if sync:
                os.fsync(handle)
        if replace:
            part.replace(path)
        else:
            # link, unlike rename, refuses to replace a file that appeared meanwhile.
            os.link(part, path)
    finally:
        part.unlink(missing_ok=True)
        os.close(held)


def stale_parts(folder: Path | str) -> list[Path]:
    """Return what killed writers left in a folder: parts of documents that nobody is writing any more.

    Raises
    ------
    OSError
        If the folder cannot be read.
    """
    return sorted(path for path in Path(folder).iterdir() if _PART.fullmatch(path.name) and _is_stale(path))


def _is_stale(part: Path) -> bool:
    try:
        handle = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    else:
        # An empty one may be a writer's that has not locked it yet, and holds nothing.
        return os.fstat(handle).st_size > 0
    finally:
        os.close(handle)


def write_whole(
    path: Path | str,
    content: bytes | str,
    *,
    mode: int | None = None,
    sync: bool = False,
    replace: bool = True,
) -> None:
    """Write a file, text as UTF-8, whole or not at all; see :func:`writing_whole`.

    Raises
    ------
    OSError
        As there.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    with writing_whole(path, mode=mode, sync=sync, replace=replace) as file:
        file.write(data)


def _integer(text: str) -> int:
    if len(text.lstrip("-")) > MAX_DIGITS:
        raise ValueError(f"a number of {len(text)} digits, at most {MAX_DIGITS} are read")
    return int(text)


def _too_deep(text: str) -> bool:
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return False
    depth = 0
    for bracket in _BRACKETS.findall(text):
        if bracket in {"[", "{"}:
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif bracket in {"]", "}"}:
            depth -= 1
    return False
