"""Operations that wait for their delay: what the manager has scheduled, and neither run nor dropped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eth_abi.abi import decode as abi_decode
from eth_abi.exceptions import DecodingError
from eth_typing import ChecksumAddress
from eth_utils.abi import function_abi_to_4byte_selector
from eth_utils.address import to_checksum_address

from timebank_chain.artifacts import load_artifact
from timebank_chain.chain.events import (
    OperationCanceled,
    OperationExecuted,
    OperationScheduled,
    canonical_type,
    read_events,
)
from timebank_chain.chain.system import Timebank
from timebank_chain.chain.transactions import Call, plain
from timebank_chain.errors import ChainError, UsageError

#: So many hex digits of an id are enough to name an operation, where they name only one.
_FEWEST_DIGITS = 8


class NotScheduled(ChainError):
    """No operation that waits has this id."""


@dataclass(frozen=True, slots=True)
class ScheduledOperation:
    """An operation that may run from ``ready_at`` (Unix seconds) on, until it expires.

    Attributes
    ----------
    operation_id
        32 bytes: of caller, target and data, as the manager hashes them.
    caller
        Who has scheduled it and alone may execute it.
    call
        What would run; contract and function are address and selector where they are not ours. The arguments
        are plain: addresses and hex as text, structs by their fields; what cannot be read is all ``data``.
    canceller
        The role whose members may drop it, beside administrators and its caller.
    """

    operation_id: bytes
    caller: ChecksumAddress
    call: Call
    ready_at: int
    canceller: int


def read_scheduled(timebank: Timebank, *, block: int) -> Iterator[ScheduledOperation]:
    """Yield the operations that wait at a block, in the order in which they were scheduled."""
    waiting: dict[bytes, OperationScheduled] = {}
    for event in read_events(
        timebank.connection,
        timebank.addresses(),
        (OperationScheduled, OperationExecuted, OperationCanceled),
        from_block=timebank.deployment.first_block,
        to_block=block,
    ):
        if isinstance(event, OperationScheduled):
            waiting[event.operation_id] = event
        elif isinstance(event, OperationExecuted | OperationCanceled):
            waiting.pop(event.operation_id, None)
    contracts = {address: name for name, address in timebank.addresses().items()}
    for operation_id, event in waiting.items():
        ready_at = timebank.access_manager.schedule_of(operation_id, block=block)
        if ready_at:  # else it has expired
            contract = contracts.get(event.target)
            function, arguments = _decoded(contract, event.data)
            call = Call(contract or event.target, function, event.target, event.data, arguments)
            manager = timebank.access_manager
            role = manager.function_role(event.target, event.data[:4], block=block)
            canceller = manager.role_guardian(role, block=block)
            yield ScheduledOperation(operation_id, event.caller, call, ready_at, canceller)


def function_name(contract: str | None, wanted: bytes) -> str:
    """Return the name of the function a selector stands for, or the selector where it is unknown."""
    entry = _entry(contract, wanted)
    return "0x" + wanted.hex() if entry is None else str(entry["name"])


def _entry(contract: str | None, wanted: bytes) -> Mapping[str, Any] | None:
    for entry in load_artifact(contract).abi if contract else ():
        if entry["type"] == "function" and function_abi_to_4byte_selector(entry) == wanted:  # type: ignore[arg-type]  # an ABIFunction of ours
            return dict(entry)
    return None


def _decoded(contract: str | None, data: bytes) -> tuple[str, dict[str, object]]:
    """Return a call's function and its arguments by name.

    Whoever schedules chooses the bytes: what is no call of the function is shown as it is.
    """
    entry = _entry(contract, data[:4])
    if entry is not None:
        inputs = entry["inputs"]
        try:
            values = abi_decode([canonical_type(parameter) for parameter in inputs], data[4:])
        except (DecodingError, UnicodeDecodeError):
            return str(entry["name"]), {"data": plain(data)}
        return str(entry["name"]), _named(inputs, values)
    return "0x" + data[:4].hex(), {"data": plain(data)}


def _named(parameters: Sequence[Mapping[str, Any]], values: Sequence[Any]) -> dict[str, object]:
    return {
        str(parameter["name"]): _plain_argument(parameter, str(parameter["type"]), value)
        for parameter, value in zip(parameters, values, strict=True)
    }


def _plain_argument(parameter: Mapping[str, Any], kind: str, value: Any) -> object:
    if kind.endswith("]"):
        return [_plain_argument(parameter, kind[: kind.rindex("[")], item) for item in value]
    if kind == "tuple":
        return _named(parameter["components"], value)
    return to_checksum_address(value) if kind == "address" else plain(value)


def find_scheduled(timebank: Timebank, text: str) -> ScheduledOperation:
    """Return the waiting operation whose id is, or begins with, ``0x`` and some hex digits.

    Raises
    ------
    UsageError
        If it is no such text, or begins several ids.
    NotScheduled
        If nothing that waits has this id.
    """
    digits = text.strip().lower().removeprefix("0x")
    if not _FEWEST_DIGITS <= len(digits) <= 64 or not set(digits) <= set("0123456789abcdef"):
        raise UsageError(
            f"not the id of an operation: {text!r}",
            hint=f"copy it from timebank chain powers; its first {_FEWEST_DIGITS} digits are enough",
        )
    block = timebank.connection.block_number()
    found = [
        one for one in read_scheduled(timebank, block=block) if one.operation_id.hex().startswith(digits)
    ]
    if not found:
        raise NotScheduled(
            f"no operation that waits has the id 0x{digits}",
            hint="timebank chain powers lists what waits; one that has run, expired or been dropped is gone",
        )
    if len(found) > 1:
        raise UsageError(f"{len(found)} operations begin with 0x{digits}", hint="give more digits of the id")
    return found[0]
