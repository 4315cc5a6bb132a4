"""Reading JSON that others wrote: nesting is bounded before the parser sees it.

Python's JSON parser recurses in C. Packages of the embedded chain raise the recursion limit so far that
a deeply nested document no longer raises ``RecursionError`` but ends the process.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

#: Our own documents need seven levels.
MAX_DEPTH = 64

# A string that never closes runs to the end, so that the search stays linear.
_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[\[{\]}]', re.DOTALL)


class TooDeep(ValueError):
    """A document nests deeper than any of ours."""


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
        If it is not JSON, or bytes are not UTF-8.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8")
    if _too_deep(text):
        raise TooDeep(f"nested deeper than {MAX_DEPTH} levels")
    return json.loads(
        text, object_pairs_hook=object_pairs_hook, parse_float=parse_float, parse_constant=parse_constant
    )


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
