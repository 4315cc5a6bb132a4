"""The embedded chain's machine, spoken to directly: calls in any block at any time, a millisecond each.

The state is the chain's own, after everything that was mined there. What is called here is executed by the
same machine in a block that never ends, whose number and time the caller sets; nothing of it is mined.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from eth.vm.message import Message

from timebank_chain.chain.connection import Connection

#: As much as a call could ever need.
GAS = 10**9


@dataclass(frozen=True)
class Outcome:
    """What became of a call: what it returned or reverted with, and its logs (address, topics, data)."""

    succeeded: bool
    returned: bytes
    logs: Sequence[tuple[bytes, tuple[int, ...], bytes]]
    gas_used: int


class Evm:
    """The machine of an embedded connection."""

    def __init__(self, connection: Connection) -> None:
        tester: Any = connection._tester
        assert tester is not None, "only the embedded chain's machine can be spoken to"
        self._state = tester.backend.chain.get_vm().state
        self._context = self._state.execution_context

    @property
    def now(self) -> int:
        """The block's time, Unix seconds."""
        return int(self._context.timestamp)

    @property
    def block(self) -> int:
        """The block's number."""
        return int(self._context.block_number)

    def next_block(self, seconds: int = 1) -> None:
        """Go on to the next block, so much later; no time at all is the same moment again."""
        self._context._timestamp += seconds
        self._context._block_number += 1

    def call(self, sender: str, to: str, data: bytes, *, value: int = 0) -> Outcome:
        """Call a contract; its changes stay if it succeeds."""
        target = _bytes(to)
        message = Message(
            gas=GAS,
            to=target,
            sender=_bytes(sender),
            value=value,
            data=data,
            code=self._state.get_code(target),
        )
        context = self._state.get_transaction_context_class()(gas_price=0, origin=_bytes(sender))
        done = self._state.computation_class.apply_message(self._state, message, context)
        logs = done.get_log_entries() if done.is_success else ()
        return Outcome(done.is_success, bytes(done.output), logs, GAS - done.get_gas_remaining())

    def balance(self, address: str) -> int:
        """Wei of an address."""
        return int(self._state.get_balance(_bytes(address)))

    def set_balance(self, address: str, wei: int) -> None:
        """Give an address so much."""
        self._state.set_balance(_bytes(address), wei)

    def storage(self, address: str, slot: int) -> int:
        """One word of a contract's storage."""
        return int(self._state.get_storage(_bytes(address), slot))

    def set_storage(self, address: str, slot: int, value: int) -> None:
        """Overwrite one word of a contract's storage."""
        self._state.set_storage(_bytes(address), slot, value)

    @contextmanager
    def undone(self) -> Iterator[None]:
        """Undo what happens inside, block and time too."""
        held = self._state.snapshot()
        number, moment = self._context._block_number, self._context._timestamp
        try:
            yield
        finally:
            self._state.revert(held)
            self._context._block_number, self._context._timestamp = number, moment


def _bytes(address: str) -> bytes:
    return bytes.fromhex(address.removeprefix("0x"))
