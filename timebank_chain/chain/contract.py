"""What the client of every contract shares: the shipped ABI, reads pinned to a block, proposed writes."""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar

from eth_abi.abi import decode as abi_decode
from eth_abi.abi import encode as abi_encode
from eth_abi.exceptions import DecodingError, EncodingError
from eth_typing import ChecksumAddress
from eth_utils.abi import function_abi_to_4byte_selector, get_abi_input_types, get_abi_output_types
from eth_utils.address import to_checksum_address
from hexbytes import HexBytes
from web3.types import BlockIdentifier

from timebank_chain.artifacts import load_artifact
from timebank_chain.chain.connection import Connection
from timebank_chain.chain.node_errors import NotADeployment, RevertedSilently, translated
from timebank_chain.chain.transactions import Call
from timebank_chain.errors import UsageError


@cache
def function_abi(contract: str, function: str) -> dict[str, Any]:
    """Return the ABI entry of a function from the shipped artifact."""
    found = [
        entry
        for entry in load_artifact(contract).abi
        if entry["type"] == "function" and entry["name"] == function
    ]
    if len(found) != 1:
        raise LookupError(f"{contract}.{function}: {len(found)} functions of that name in the artifact")
    return dict(found[0])


def selector(contract: str, function: str) -> bytes:
    """Return a function's 4-byte selector."""
    return bytes(function_abi_to_4byte_selector(function_abi(contract, function)))  # type: ignore[arg-type]  # our artifact's entry is an ABIFunction


def encode(contract: str, function: str, *arguments: object) -> bytes:
    """Return the encoded call of a function.

    Raises
    ------
    UsageError
        If an argument does not fit the function's parameter.
    """
    entry = function_abi(contract, function)
    types = get_abi_input_types(entry)  # type: ignore[arg-type]  # as above
    try:
        return selector(contract, function) + abi_encode(types, arguments)
    except EncodingError:
        for kind, parameter, value in zip(types, entry["inputs"], arguments, strict=True):
            _require_fits(f"{contract}.{function}", kind, parameter["name"], value)
        raise


def _require_fits(function: str, kind: str, name: str, value: object) -> None:
    try:
        abi_encode([kind], [value])
    except EncodingError as error:
        text = str(value)
        shown = text if len(text) <= 100 else text[:97] + "..."
        raise UsageError(
            f"{shown} is out of range for {function}",
            hint=f"check the numbers given: {name or 'it'} is a {kind}",
        ) from error


def encode_constructor(contract: str, *arguments: object) -> bytes:
    """Return the encoded arguments of a contract's constructor."""
    for entry in load_artifact(contract).abi:
        if entry["type"] == "constructor":
            return bytes(abi_encode(get_abi_input_types(entry), arguments))  # type: ignore[arg-type]  # as above
    return b""


class ContractClient:
    """A contract at an address; subclasses add one typed method per function."""

    NAME: ClassVar[str]

    def __init__(self, connection: Connection, address: str) -> None:
        self.connection = connection
        self.address: ChecksumAddress = to_checksum_address(address)

    def __repr__(self) -> str:
        return f"{self.NAME}({self.address})"

    def _read(self, function: str, *arguments: object, block: BlockIdentifier = "latest") -> Any:
        """Call a view function; one result comes alone, several as a tuple."""
        types = get_abi_output_types(function_abi(self.NAME, function))  # type: ignore[arg-type]  # as above
        try:
            with translated():
                raw = self.connection.w3.eth.call(
                    {"to": self.address, "data": HexBytes(encode(self.NAME, function, *arguments))}, block
                )
            values = abi_decode(types, bytes(raw))
        except (DecodingError, RevertedSilently) as error:
            raise NotADeployment(
                f"{self.address} does not answer {function} as {self.NAME} does",
                hint="check --deployment and --rpc-url: `timebank chain verify` names what differs",
            ) from error
        return values[0] if len(values) == 1 else values

    def _write(self, function: str, *, value: int = 0, **arguments: object) -> Call:
        """Propose a write; ``arguments`` in the order of the function's parameters."""
        return Call(
            contract=self.NAME,
            function=function,
            target=self.address,
            data=encode(self.NAME, function, *arguments.values()),
            arguments=arguments,
            value=value,
        )
