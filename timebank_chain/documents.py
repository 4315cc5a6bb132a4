"""Reading what others wrote: size is bounded before it is in memory, nesting before the parser sees it.

A size that the file system tells is no bound: of a device or a growing file it says nothing.

Python's JSON parser recurses in C. Packages of the embedded chain raise the recursion limit so far that
a deeply nested document no longer raises ``RecursionError`` but ends the process.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: Most bytes of a document, unless its kind has a bound of its own.
MAX_BYTES = 16 << 20
#: Our own documents need seven levels.
MAX_DEPTH = 64
#: The largest integer of a contract, 2**256 - 1, has so many digits.
MAX_DIGITS = 78

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
