"""What every named refusal of a contract shares: its values, its sentence, its way out."""

from __future__ import annotations

from typing import Any, ClassVar

from timebank_chain.errors import ContractError
from timebank_chain.units import format_micro, format_time

#: The contracts' ``Tree``, by number.
_TREES = ("activity", "account")


class Revert(ContractError):
    """A contract refused with a custom error.

    Attributes
    ----------
    SIGNATURE
        The error as Solidity declares it, with the names of its values.
    SENTENCE, HINT
        What it means and the way out, with the values filled in. ``:credits`` shows micro-credits as
        credits, ``:s`` and ``:ms`` Unix seconds and milliseconds as time, ``:tree`` the name of a tree.
    values
        The values by name: addresses checksummed, bytes as bytes.
    """

    SIGNATURE: ClassVar[str]
    SENTENCE: ClassVar[str]
    HINT: ClassVar[str | None] = None

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values
        shown = {name: _Shown(value) for name, value in values.items()}
        hint = self.HINT.format_map(shown) if self.HINT else None
        super().__init__(self.SENTENCE.format_map(shown), hint=hint)

    def __reduce__(self) -> tuple[type[Revert], tuple[dict[str, Any]]]:
        return type(self), (self.values,)


class _Shown:
    """A value as sentences show it."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __format__(self, form: str) -> str:
        value = self._value
        if form == "credits":
            return format_micro(value)
        if form == "s":
            return format_time(value * 1_000)
        if form == "ms":
            return format_time(value)
        if form == "tree":
            return _TREES[value] if value < len(_TREES) else f"tree {value}"
        return "0x" + value.hex() if isinstance(value, bytes) else str(value)
