"""Operations that wait for their delay, as text and JSON: what would run, with which arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from timebank_chain.cli.writes import format_ether
from timebank_chain.units import format_duration, format_micro, format_rate

if TYPE_CHECKING:
    from timebank_chain.chain.scheduled import ScheduledOperation

#: Longer texts and bytes are cut, never addresses or lists of them; --json has them whole.
_LONGEST = 200


def operation_document(one: ScheduledOperation) -> dict[str, Any]:
    """Return an operation as JSON values: ``ready_at`` in Unix seconds, amounts as the contract has them."""
    from timebank_chain.chain.access_manager import role_name

    return {
        "operation_id": "0x" + one.operation_id.hex(),
        "caller": one.caller,
        "contract": one.call.contract,
        "function": one.call.function,
        "arguments": dict(one.call.arguments),
        "canceller": role_name(one.canceller),
        "ready_at": one.ready_at,
    }


def describe(one: ScheduledOperation, contracts: Mapping[str, str]) -> str:
    """Return what would run, for people: ``RateOracle.setBond(newBond: 0.5 coin)``.

    Parameters
    ----------
    contracts
        Address -> name of our contracts.
    """
    words = _Words(contracts, contracts.get(str(one.call.arguments.get("target"))))
    return f"{one.call.name}({words.of_all(one.call.arguments)})"


class _Words:
    """Arguments in words; their names tell their units."""

    def __init__(self, contracts: Mapping[str, str], target: str | None) -> None:
        self._contracts = contracts
        self._target = target

    def of_all(self, arguments: Mapping[str, object]) -> str:
        return ", ".join(f"{name}: {self.of(name, value)}" for name, value in arguments.items())

    def of(self, name: str, value: object) -> str:
        from timebank_chain.chain.scheduled import function_name

        if isinstance(value, Mapping):
            return f"({self.of_all(value)})"
        if isinstance(value, list):
            return "[" + ", ".join(self.of(name, item) for item in value) + "]"
        if isinstance(value, int) and not isinstance(value, bool):
            return _number(name, value)
        if name == "selectors" and isinstance(value, str):
            return function_name(self._target, bytes.fromhex(value[2:]))
        if isinstance(value, str) and value in self._contracts:
            return f"{self._contracts[value]} {value}"
        # Text of whoever scheduled it: what is not printable must not reach a terminal.
        plain = isinstance(value, str) and value.isalnum() and value.isascii()
        return _cut(str(value) if plain else repr(value))


def _number(name: str, value: int) -> str:
    if name.endswith("Bps"):
        return f"{value} basis points"
    return _UNITS.get(name, str)(value)


def _seconds(value: int) -> str:
    return format_duration(value * 1000) if value else "none"


def _credits(value: int) -> str:
    return f"{format_micro(value)} credits"


def _coin(value: int) -> str:
    return f"{format_ether(value)} coin"


def _role(value: int) -> str:
    from timebank_chain.chain.access_manager import role_name

    return role_name(value)


#: Name of a number among the arguments of what governance schedules -> how it is written; others as they are.
_UNITS: Mapping[str, Callable[[int], str]] = {
    "newBond": _coin,
    "newRateQ24": format_rate,
    "newStep": _credits,
    "minLoan": _credits,
    "roleId": _role,
    "admin": _role,
    "guardian": _role,
    "newWindow": _seconds,
    "newReleaseSeconds": _seconds,
    "executionDelay": _seconds,
    "newDelay": _seconds,
    "duration": _seconds,
    "standingTerm": _seconds,
    "grace": _seconds,
}


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
