"""A refusal: the custom error a contract reverts with, by its name and arguments."""

from __future__ import annotations

__all__ = ["Reverted", "require"]


class Reverted(Exception):
    """A contract would revert; nothing of the call remains.

    Attributes
    ----------
    name
        Name of the custom error, such as ``NotMature``.
    values
        Its arguments in the order of the declaration.

    >>> raise Reverted("NoIncome", 7)
    Traceback (most recent call last):
    timebank_chain.spec.revert.Reverted: NoIncome(7)
    """

    def __init__(self, name: str, *values: object) -> None:
        super().__init__(f"{name}({', '.join(str(value) for value in values)})")
        self.name = name
        self.values = values


def require(condition: bool, name: str, *values: object) -> None:
    """Revert with a custom error unless a condition holds."""
    if not condition:
        raise Reverted(name, *values)
