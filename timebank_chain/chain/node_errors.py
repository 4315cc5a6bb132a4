"""What a node says when it refuses, turned into this project's exceptions.

Nodes tell the same thing in different ways. A custom error reaches web3 as raw bytes from anvil and
geth (``error.data``), and as the text of a Python bytes literal from eth-tester; a lack of funds or a
used nonce is an RPC error with a code that differs per client, or eth-tester's ValidationError. This
module is the only place that knows.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from contextlib import contextmanager

import requests
from web3.exceptions import (
    BadFunctionCallOutput,
    ContractLogicError,
    TimeExhausted,
    TransactionNotFound,
    Web3Exception,
)

from timebank_chain.chain.reverts import decode
from timebank_chain.errors import ConnectionFailed, TimebankError, TransactionFailed


class InsufficientFunds(TransactionFailed):
    """The sender cannot pay for value and gas."""


class NonceTaken(TransactionFailed):
    """Another transaction of this sender used the nonce: two programs send from one account."""


class AlreadyKnown(TransactionFailed):
    """The node holds this very transaction already; waiting for it is enough."""


class NotMined(TransactionFailed):
    """The transaction was sent but no block includes it yet."""


class NotADeployment(TransactionFailed):
    """The contract at an address does not answer as ours does."""


class RevertedSilently(TransactionFailed):
    """A contract reverted and said nothing: usually it has no such function."""


_REVERTED = "execution reverted"
_FUNDS = re.compile(
    r"insufficient funds|cannot afford|insufficient balance|not (?:have )?enough balance", re.IGNORECASE
)
_NONCE = re.compile(
    r"nonce too low|invalid transaction nonce|nonce has already|replacement transaction", re.IGNORECASE
)
_KNOWN = re.compile(r"already known|known transaction|already imported", re.IGNORECASE)


def revert_data(error: BaseException) -> bytes | None:
    """Return the bytes a contract reverted with (``b""`` if none); ``None`` if this is no revert."""
    if isinstance(error, ContractLogicError):
        data = error.data
        if isinstance(data, str) and data.startswith("0x"):
            return bytes.fromhex(data[2:])
        return b""
    if type(error).__module__.startswith("eth_tester") and type(error).__name__ == "TransactionFailed":
        text = str(error.args[0]) if error.args else ""
        text = text.removeprefix(f"{_REVERTED}: ")
        if text.startswith(("b'", 'b"')):
            try:
                literal = ast.literal_eval(text)
            except (ValueError, SyntaxError):
                return b""
            return literal if isinstance(literal, bytes) else b""
        return b""
    return None


def translate(error: BaseException) -> TimebankError | None:
    """Return our exception for what web3, requests or eth-tester raised; ``None`` for anything else."""
    if isinstance(error, TimebankError):
        return error
    data = revert_data(error)
    if data is not None:
        return _reverted(data, error)
    text = str(error)
    if isinstance(error, requests.RequestException):
        return ConnectionFailed(f"the node does not answer ({type(error).__name__})")
    if _FUNDS.search(text):
        return InsufficientFunds(
            f"the sender cannot pay for this transaction: {_short(text)}",
            hint="send some of the chain's own coin to the sending address first",
        )
    if _KNOWN.search(text):
        return AlreadyKnown("the node already holds this transaction", hint="wait until it is mined")
    if _NONCE.search(text):
        return NonceTaken(
            f"the sender's nonce was used meanwhile: {_short(text)}",
            hint="another program sends from this account; run the command again",
        )
    if isinstance(error, BadFunctionCallOutput):
        return NotADeployment(
            "the address does not answer as the contract does",
            hint="check --deployment and --rpc-url: `timebank chain verify` names what differs",
        )
    if isinstance(error, TimeExhausted):
        return NotMined(_short(text), hint="look at the node; the transaction may still be mined")
    if isinstance(error, TransactionNotFound):
        return NotMined(_short(text))
    if isinstance(error, Web3Exception) or type(error).__module__.startswith(
        ("eth_tester", "eth_utils", "eth.")
    ):
        return TransactionFailed(f"the node refuses: {_short(text)}")
    return None


@contextmanager
def translated() -> Iterator[None]:
    """Raise this project's exceptions for whatever the node refuses inside the block."""
    try:
        yield
    except TimebankError:
        raise
    except Exception as error:  # every node library raises its own; unknown ones pass through unchanged
        ours = translate(error)
        if ours is None:
            raise
        raise ours from error


def _reverted(data: bytes, error: BaseException) -> TimebankError:
    if data:
        return decode(data)
    text = str(error.args[0]) if error.args else str(error)
    reason = text.removeprefix(_REVERTED).removeprefix(": ").strip()
    if not reason or reason in ("b''", 'b""', "no data"):
        return RevertedSilently(
            "the contract reverted without a reason",
            hint="the function may not exist there, or received value it does not take",
        )
    return TransactionFailed(f"the contract reverted: {_short(reason)}")


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 200 else line[:200] + "..."
