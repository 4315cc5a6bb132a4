"""The chain's side of the walk: many steps in one block, many views in one call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import requests
from eth_abi.abi import decode, encode, is_encodable
from eth_utils.abi import collapse_if_tuple
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from scripts.build_contracts import collect_sources, compile_sources
from timebank_chain.artifacts import artifact_names, load_artifact
from timebank_chain.chain.contract import encode as encode_call
from timebank_chain.chain.contract import function_abi
from timebank_chain.spec.revert import Reverted

SOURCE = "contracts/test/BankWalk.sol"
STEPPED = keccak(text="Stepped(bool,bytes)")


@cache
def error_types() -> dict[str, tuple[tuple[str, ...], ...]]:
    """Every custom error of the shipped contracts, and OpenZeppelin's: name -> types of its arguments.

    Two contracts may have an error of one name, with other arguments.
    """
    found: dict[str, dict[tuple[str, ...], None]] = {}
    for contract in artifact_names():
        for entry in load_artifact(contract).abi:
            if entry["type"] == "error":
                types = tuple(collapse_if_tuple(dict(item)) for item in entry["inputs"])
                found.setdefault(entry["name"], {})[types] = None
    return {name: tuple(kinds) for name, kinds in found.items()}


def encoded_error(error: Reverted) -> bytes:
    """What a contract returns when it reverts with this error."""
    (types,) = (
        types
        for types in error_types()[error.name]
        if len(types) == len(error.values) and all(map(is_encodable, types, error.values))
    )
    return keccak(text=f"{error.name}({','.join(types)})")[:4] + encode(types, error.values)


def encoded_result(contract: str, function: str, result: Any) -> bytes:
    """What a function returns when it returns this."""
    types = [collapse_if_tuple(dict(item)) for item in function_abi(contract, function)["outputs"]]
    if not types:
        return b""
    return bytes(encode(types, result if len(types) > 1 else (result,)))


def told(returned: bytes) -> str:
    """Returned bytes in words: the error they encode, or hex."""
    for name, kinds in error_types().items():
        for types in kinds:
            if returned[:4] == keccak(text=f"{name}({','.join(types)})")[:4]:
                return f"{name}{decode(types, returned[4:])}"
    return returned.hex()


@dataclass(frozen=True)
class Step:
    """One call of one walker."""

    walker: int
    contract: str
    function: str
    arguments: tuple[Any, ...]

    @property
    def data(self) -> bytes:
        """Encoded call."""
        return encode_call(self.contract, self.function, *self.arguments)

    def __str__(self) -> str:
        return f"walker {self.walker}: {self.contract}.{self.function}{self.arguments}"


class Node:
    """A node spoken to without ceremony: thousands of blocks in a minute."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = requests.Session()
        self.sender = self.ask("eth_accounts")[0]
        # A walk of one seed is the same on every machine: blocks are a second apart, whatever the clock says.
        self.ask("anvil_setBlockTimestampInterval", 1)

    def ask(self, method: str, *params: Any) -> Any:
        """One JSON-RPC request."""
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        answer = self._session.post(self.url, json=body, timeout=300).json()
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def transact(self, to: str | None, data: bytes) -> dict[str, Any]:
        """Send from the node's own account and return the receipt."""
        fields = {"from": self.sender, "data": "0x" + data.hex(), "gas": hex(10**10), "gasPrice": hex(10**10)}
        if to is not None:
            fields["to"] = to
        sent = self.ask("eth_sendTransaction", fields)
        receipt: dict[str, Any] | None = None
        while receipt is None:  # mined right after the answer, at the latest
            receipt = self.ask("eth_getTransactionReceipt", sent)
        assert int(receipt["status"], 16) == 1
        return receipt

    def now(self) -> int:
        """Time of the newest block, Unix seconds."""
        return int(self.ask("eth_getBlockByNumber", "latest", False)["timestamp"], 16)

    def pass_time(self, seconds: int) -> None:
        """Mine an empty block so much later."""
        self.next_block_at(self.now() + seconds)
        self.ask("evm_mine")

    def next_block_at(self, moment: int) -> None:
        """Set the time of the next block."""
        self.ask("evm_setNextBlockTimestamp", moment)


class Driver:
    """The walkers on chain."""

    def __init__(self, node: Node, count: int) -> None:
        self.node = node
        output = compile_sources(collect_sources([SOURCE]))[SOURCE]["BankWalk"]
        code = bytes.fromhex(output["evm"]["bytecode"]["object"]) + encode(["uint256"], [count])
        self.address = to_checksum_address(node.transact(None, code)["contractAddress"])
        self.walkers = [self._walker(number) for number in range(count)]

    def _walker(self, number: int) -> str:
        data = keccak(text="walkers(uint256)")[:4] + encode(["uint256"], [number])
        answer = self.node.ask("eth_call", {"to": self.address, "data": "0x" + data.hex()}, "latest")
        return str(decode(["address"], bytes.fromhex(answer[2:]))[0]).lower()

    def take(self, steps: Sequence[Step], addresses: dict[str, str]) -> list[tuple[bool, bytes]]:
        """Take the steps in the next block; say what became of each."""
        words = [(step.walker, addresses[step.contract], step.data) for step in steps]
        data = keccak(text="take((uint256,address,bytes)[])")[:4]
        data += encode(["(uint256,address,bytes)[]"], [words])
        receipt = self.node.transact(self.address, data)
        found = [
            decode(["bool", "bytes"], bytes.fromhex(log["data"][2:]))
            for log in receipt["logs"]
            if log["address"].lower() == self.address.lower() and log["topics"][0] == "0x" + STEPPED.hex()
        ]
        assert len(found) == len(steps)
        return [(bool(succeeded), bytes(returned)) for succeeded, returned in found]

    def read(
        self, views: Sequence[tuple[str, str, tuple[Any, ...]]], addresses: dict[str, str]
    ) -> Iterator[Any]:
        """Answers of views (contract, function, arguments) at the newest block; ``None``: reverts."""
        targets = [addresses[contract] for contract, _, _ in views]
        calls = [encode_call(contract, function, *arguments) for contract, function, arguments in views]
        data = keccak(text="read(address[],bytes[])")[:4] + encode(["address[]", "bytes[]"], [targets, calls])
        call = {"to": self.address, "data": "0x" + data.hex(), "gas": hex(10**10)}
        (answers,) = decode(["bytes[]"], bytes.fromhex(self.node.ask("eth_call", call, "latest")[2:]))
        for (contract, function, _), answer in zip(views, answers, strict=True):
            if not answer:
                yield None
                continue
            types = [collapse_if_tuple(dict(item)) for item in function_abi(contract, function)["outputs"]]
            values = tuple(_plain(value) for value in decode(types, answer))
            yield values[0] if len(values) == 1 else values


def _plain(value: Any) -> Any:
    if isinstance(value, str) and value.startswith("0x") and len(value) == 42:
        return value.lower()
    if isinstance(value, tuple | list):
        return tuple(_plain(item) for item in value)
    return value
