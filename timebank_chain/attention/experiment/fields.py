"""The fields of a plan's document, each checked when it is asked for."""

from __future__ import annotations

import re
from typing import Any

from timebank_chain.errors import AttentionError

#: Columns every log has; the plan's own are called otherwise.
LOG_COLUMNS = ("member", "arm", "at")

# Cells of a log are read without spaces around them.
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_. -]{0,62}[A-Za-z0-9_.-])?")
_SALT = re.compile(r"0x[0-9a-f]{64}")


class Fields:
    """An object of a document, its fields asked for one by one.

    Parameters
    ----------
    names, maybe
        Fields that must be there, and those that may.

    Raises
    ------
    AttentionError
        From here and every method: something is missing, unknown, of another kind or out of range, and
        the field is named.
    """

    def __init__(
        self, found: object, where: str, names: tuple[str, ...], maybe: tuple[str, ...] = ()
    ) -> None:
        if not isinstance(found, dict):
            raise AttentionError(f"expected an object, not {short(found)}", where=where)
        for name in found:
            if name not in names and name not in maybe:
                raise AttentionError(
                    f"unknown field {short(name)}", hint=f"known: {', '.join(names + maybe)}", where=where
                )
        for name in names:
            if name not in found:
                raise AttentionError(f"field {name!r} is missing", where=where)
        self._found: dict[str, Any] = found
        self._where = where

    def given(self) -> set[str]:
        """Return the names of the fields that are there."""
        return set(self._found)

    def place(self, name: str) -> str:
        """Name a field for an error: ``plan.json, field 'alpha'``."""
        return f"{self._where}, field {name!r}"

    def value(self, name: str) -> Any:
        """Return a field as it is."""
        return self._found[name]

    def part(self, name: str, names: tuple[str, ...]) -> Fields:
        """Return an object inside this one, which has exactly the fields ``names``."""
        return Fields(self._found[name], self.place(name), names)

    def parts(
        self, name: str, names: tuple[str, ...], least: int, most: int, *, maybe: tuple[str, ...] = ()
    ) -> list[Fields]:
        """Return a list of ``least`` to ``most`` objects; fields in ``maybe`` may be missing."""
        found = self._found[name]
        if not isinstance(found, list) or not least <= len(found) <= most:
            raise AttentionError(f"expected a list of {least} to {most} objects", where=self.place(name))
        return [Fields(one, f"{self.place(name)}[{i}]", names, maybe) for i, one in enumerate(found)]

    def choice(self, name: str, among: tuple[str, ...]) -> str:
        """Return a text that is one of some."""
        found = self._found[name]
        if found not in among:
            raise AttentionError(f"{short(found)} is none of {', '.join(among)}", where=self.place(name))
        return str(found)

    def label(self, name: str) -> str:
        """Return a name."""
        found = self._found[name]
        if not isinstance(found, str) or not _NAME.fullmatch(found):
            raise AttentionError(
                f"{short(found)} is no name",
                hint="up to 64 letters, digits, spaces and _ . -, not starting with a sign",
                where=self.place(name),
            )
        return found

    def column(self, name: str, *, own: bool = False) -> str:
        """Return a column's name; of another file than the log if ``own``."""
        found = self.label(name)
        if found in LOG_COLUMNS and not own:
            raise AttentionError(f"the log's column {found!r} has another meaning", where=self.place(name))
        return found

    def salt(self) -> bytes:
        """Return the 32 bytes of ``salt``."""
        found = self._found["salt"]
        if not isinstance(found, str) or not _SALT.fullmatch(found):
            raise AttentionError("expected 0x and 64 hexadecimal digits", where=self.place("salt"))
        return bytes.fromhex(found[2:])

    def flag(self, name: str) -> bool:
        """Return true or false."""
        found = self._found[name]
        if not isinstance(found, bool):
            raise AttentionError(f"expected true or false, not {short(found)}", where=self.place(name))
        return found

    def integer(self, name: str, least: int, most: int) -> int:
        """Return a whole number of a range."""
        return self.integer_value(self._found[name], name, least, most)

    def integer_value(self, found: object, name: str, least: int, most: int) -> int:
        """Return a value of the field ``name``, a whole number of a range."""
        # To Python, true is a 1; a plan that says so is a mistake.
        if isinstance(found, bool) or not isinstance(found, int) or not least <= found <= most:
            raise AttentionError(
                f"expected a whole number from {least} to {most}, not {short(found)}", where=self.place(name)
            )
        return found

    def number(self, name: str, least: float, most: float) -> float:
        """Return a finite number of a range."""
        found = self._found[name]
        if isinstance(found, bool) or not isinstance(found, int | float) or not least <= found <= most:
            raise AttentionError(
                f"expected a number from {least:g} to {most:g}, not {short(found)}", where=self.place(name)
            )
        return float(found)


def short(value: object) -> str:
    """Return a value as a message shows it."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
