"""Signed messages as JSON: what a person publishes, and whoever wants to act on it reads.

::

    {"schema": SCHEMA, "chainId": 31337, "contract": "0x...", NOUN: {...}, NOUN + "Hash": "0x...",
     "signature": "0x..."}

``contract`` is whom a message is signed for; the hash is its EIP-712 digest there, so that what was changed
is refused. Numbers are numbers but for those of 128 bits, which are text because many readers of JSON round
them, and those of 256 bits, which are 32 bytes of hexadecimal.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NoReturn, TypeVar

from eth_typing import ChecksumAddress

from timebank_chain.chain.addresses import parse_address
from timebank_chain.chain.typed_data import MessageType, Signable
from timebank_chain.documents import TooLarge, parse_json, read_small
from timebank_chain.errors import InputError, UsageError

_HEX = re.compile(r"0x(?:[0-9a-fA-F]{2})*")
_UNITS = re.compile(r"[1-9][0-9]{0,38}")
# A contract wallet's signature can be longer than a key's 65 bytes.
_MAX_SIGNATURE_BYTES = 8_192

Message = TypeVar("Message", bound=Signable)


@dataclass(frozen=True)
class Signed(Generic[Message]):
    """A message as its document states it; the hash was that of the message."""

    message: Message
    chain_id: int
    contract: ChecksumAddress
    signature: bytes


@dataclass(frozen=True)
class DocumentKind(Generic[Message]):
    """A kind of signed message that is kept as JSON.

    Attributes
    ----------
    schema
        Value of the field ``schema``.
    noun
        Name of the field with the message, and with ``Hash`` behind it of the one with its digest.
    title
        What it is called, with its article: ``a lease offer``.
    signer
        What the one who signs is called: ``lender``.
    message_type
        What is signed.
    make
        Builds the message from the attributes of ``message_type``, and refuses what cannot be with ``error``.
    error
        Raised for whatever is wrong.
    """

    schema: str
    noun: str
    title: str
    signer: str
    message_type: MessageType
    make: Callable[..., Message]
    error: type[InputError]

    def document(self, signed: Signed[Message]) -> dict[str, Any]:
        """Return the JSON document of a signed message."""
        terms = {
            name: _written(value, kind)
            for (_, name, kind), value in zip(self.message_type.fields, signed.message.as_call(), strict=True)
        }
        return {
            "schema": self.schema,
            "chainId": signed.chain_id,
            "contract": signed.contract,
            self.noun: terms,
            f"{self.noun}Hash": "0x" + signed.message.digest(signed.chain_id, signed.contract).hex(),
            "signature": "0x" + signed.signature.hex(),
        }

    def parse(self, content: str | bytes, *, where: str) -> Signed[Message]:
        """Read a document.

        Raises
        ------
        InputError
            ``error``, if it is no such document, a field is missing, unknown, twice there, of the wrong type
            or range, or the hash is not the message's; naming the field.
        """
        document = self._fields(content, where)
        terms = document[self.noun]
        if not isinstance(terms, dict):
            raise self.error(f"not an object: {terms!r}", where=f"{where}, field {self.noun!r}")
        self._require_fields(terms, tuple(name for _, name, _ in self.message_type.fields), where)
        values = {
            attribute: self._value(terms[name], kind, f"{where}, field {name!r}")
            for attribute, name, kind in self.message_type.fields
        }
        try:
            message = self.make(**values)
        except self.error as error:
            raise self.error(error.message, where=f"{where}, {error.where}", hint=error.hint) from None
        chain_id = document["chainId"]
        if type(chain_id) is not int or not 0 < chain_id < 1 << 256:
            raise self.error(f"not a chain id: {chain_id!r}", where=f"{where}, field 'chainId'")
        contract = self._address(document["contract"], f"{where}, field 'contract'")
        signature = self._hex(document["signature"], f"{where}, field 'signature'")
        if len(signature) > _MAX_SIGNATURE_BYTES:
            raise self.error(f"{len(signature)} bytes are too many", where=f"{where}, field 'signature'")
        name, digest = f"{self.noun}Hash", message.digest(chain_id, contract)
        if self._hex(document[name], f"{where}, field {name!r}") != digest:
            raise self.error(
                f"the {self.noun}'s hash is 0x{digest.hex()}",
                where=f"{where}, field {name!r}",
                hint=f"it was changed after it was signed: ask the {self.signer} for it again",
            )
        return Signed(message, chain_id, contract, signature)

    def read_file(self, path: Path, limit: int, *, what: str | None = None) -> bytes:
        """Read a file of at most ``limit`` bytes, or say as ``error`` that it is no readable ``what``."""
        try:
            return read_small(path, limit)
        except TooLarge as error:
            raise self.error(f"too large for {what or self.title}: {error}", where=str(path)) from error
        except OSError as error:
            raise self.error(f"not a readable file: {error.strerror}", where=str(path)) from error

    def _fields(self, content: str | bytes, where: str) -> dict[str, Any]:
        try:
            document = parse_json(
                content, object_pairs_hook=_unique, parse_float=_no_float, parse_constant=_no_float
            )
        except ValueError as error:
            raise self.error(f"not {self.title}'s JSON: {error}", where=where) from error
        if not isinstance(document, dict) or document.get("schema") != self.schema:
            raise self.error(f"not a {self.schema} document", where=where)
        names = ("schema", "chainId", "contract", self.noun, f"{self.noun}Hash", "signature")
        self._require_fields(document, names, where)
        return document

    def _require_fields(self, document: dict[str, Any], names: tuple[str, ...], where: str) -> None:
        for name in names:
            if name not in document:
                raise self.error(f"field {name!r} is missing", where=where)
        for name in document:
            if name not in names:
                raise self.error(f"unknown field {name!r}", where=where)

    def _value(self, value: object, kind: str, where: str) -> Any:
        """Read one term of a message; its range is the message's own matter."""
        if kind == "address":
            return self._address(value, where)
        if kind == "uint256":
            raw = self._hex(value, where)
            if len(raw) != 32:
                raise self.error(f"{len(raw)} bytes, not 32", where=where)
            return int.from_bytes(raw, "big")
        if kind == "uint128":
            if not isinstance(value, str) or not _UNITS.fullmatch(value):
                raise self.error(f"not a positive whole number as text: {value!r}", where=where)
            return int(value)
        # bool is an int for Python, so the type itself is compared.
        if type(value) is not (bool if kind == "bool" else int):
            raise self.error(f"not a {kind}: {value!r}", where=where)
        return value

    def _address(self, value: object, where: str) -> ChecksumAddress:
        if not isinstance(value, str) or value != value.strip():
            raise self.error(f"not an address: {value!r}", where=where)
        try:
            return parse_address(value, what="contents")
        except UsageError as error:
            raise self.error(error.message, where=where, hint=error.hint) from None

    def _hex(self, value: object, where: str) -> bytes:
        # Python's own reading of hexadecimal lets spaces pass.
        if not isinstance(value, str) or not _HEX.fullmatch(value):
            raise self.error(f"not hexadecimal with 0x: {value!r}", where=where)
        return bytes.fromhex(value[2:])


def _written(value: str | int, kind: str) -> str | int:
    if kind == "uint256":
        return f"0x{value:064x}"
    return str(value) if kind == "uint128" else value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a field stands twice")
    return document


def _no_float(text: str) -> NoReturn:
    raise ValueError(f"{text} is no whole number")
