"""Order books as files: JSON Lines, one signed order of the exchange a line.

::

    {"schema": "timebank.market.order/1", "chainId": 31337, "contract": "0x...",
     "order": {"maker": "0x...", "taker": "0x...", "token": "0x...", "sellsCredits": true,
               "credits": 10000000, "amount": "3000000000000000000", "maxFeeBps": 30,
               "expiresAt": 1800000000, "series": 0, "salt": "0x..."},
     "orderHash": "0x...", "signature": "0x..."}

(in the file all on one line). ``contract`` is the CreditExchange an order is signed for; credits are
micro-credits, ``amount`` is the token's smallest units as text, times are Unix seconds; a taker of zero means
anybody, a token of zero the chain's own coin. An order that was changed is refused by its hash. Books are put
together by appending lines; an order that stands twice counts once.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from eth_keys.datatypes import Signature
from eth_keys.exceptions import BadSignature
from eth_typing import ChecksumAddress
from eth_utils.exceptions import ValidationError

from timebank_chain.chain.addresses import parse_address
from timebank_chain.chain.credit_exchange import ORDER_FIELDS, TradeOrder
from timebank_chain.chain.signer import Signer
from timebank_chain.documents import TooLarge, parse_json, read_small
from timebank_chain.errors import TradeOrderError, UsageError

ORDER_SCHEMA = "timebank.market.order/1"

_FIELDS = ("schema", "chainId", "contract", "order", "orderHash", "signature")
_HEX = re.compile(r"0x(?:[0-9a-fA-F]{2})*")
_UNITS = re.compile(r"[1-9][0-9]{0,38}")
_HALF_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141 // 2
# A contract wallet's signature can be longer than a key's 65 bytes.
_MAX_SIGNATURE_BYTES = 8_192
_MAX_LINE_BYTES = 32_768
_MAX_BOOK_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class SignedOrder:
    """An order with its signature, for one CreditExchange on one chain.

    Attributes
    ----------
    signature
        ``r || s || v`` of a key, or whatever the maker's contract wallet takes.
    """

    order: TradeOrder
    chain_id: int
    contract: ChecksumAddress
    signature: bytes

    @property
    def order_hash(self) -> bytes:
        """Its name on that contract: the digest that is signed."""
        return self.order.digest(self.chain_id, self.contract)

    def signed_by_key(self) -> bool:
        """Return whether the signature is one of the maker's key, by the contract's rules.

        ``False`` also for a contract wallet's (ERC-1271): only its chain can tell.
        """
        r, s, v = self.signature[:32], self.signature[32:64], self.signature[64:]
        if len(v) != 1 or v[0] not in (27, 28) or int.from_bytes(s, "big") > _HALF_ORDER:
            return False
        try:
            key = Signature(r + s + bytes([v[0] - 27])).recover_public_key_from_msg_hash(self.order_hash)
        except (BadSignature, ValidationError):
            return False
        return key.to_checksum_address() == self.order.maker

    def to_json(self) -> dict[str, Any]:
        """Return the document ``timebank.market.order/1``."""
        values = dict(zip((name for _, name, _ in ORDER_FIELDS), self.order.as_call(), strict=True))
        return {
            "schema": ORDER_SCHEMA,
            "chainId": self.chain_id,
            "contract": self.contract,
            "order": values | {"amount": str(self.order.amount), "salt": f"0x{self.order.salt:064x}"},
            "orderHash": "0x" + self.order_hash.hex(),
            "signature": "0x" + self.signature.hex(),
        }

    def line(self) -> str:
        """Return its line in a book, without the end of the line."""
        return json.dumps(self.to_json(), separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class BookLine:
    """An order and the line of the file it stands in, the first is 1."""

    number: int
    signed: SignedOrder


def sign_order(order: TradeOrder, signer: Signer, chain_id: int, contract: ChecksumAddress) -> SignedOrder:
    """Sign an order for the CreditExchange at ``contract``.

    Raises
    ------
    TradeOrderError
        If the signer is not the maker.
    """
    return SignedOrder(order, chain_id, contract, order.sign(signer, chain_id, contract))


def append_order(path: Path, signed: SignedOrder) -> None:
    """Add an order to the end of a book, making the file if there is none."""
    text = signed.line() + "\n"
    with path.open("ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                text = "\n" + text
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())


def read_book(path: Path) -> list[BookLine]:
    """Read a book; empty lines are skipped, and what stands twice counts at its first place.

    Raises
    ------
    TradeOrderError
        If a line is no ``timebank.market.order/1`` document, a field is missing, unknown, twice there, of
        the wrong type or range, or the hash is not the order's; naming line and field.
    """
    try:
        content = read_small(path, _MAX_BOOK_BYTES)
    except TooLarge as error:
        raise TradeOrderError(f"too large for an order book: {error}", where=str(path)) from error
    except OSError as error:
        raise TradeOrderError(f"not a readable file: {error.strerror}", where=str(path)) from error
    return parse_book(content.split(b"\n"), where=str(path))


def parse_book(lines: Iterable[str | bytes], *, where: str = "book") -> list[BookLine]:
    """Read the lines of a book; see :func:`read_book`."""
    found: dict[bytes, BookLine] = {}
    for number, line in enumerate(lines, start=1):
        if line.strip():
            signed = parse_order(line, where=f"{where}:{number}")
            found.setdefault(signed.order_hash + signed.signature, BookLine(number, signed))
    return list(found.values())


def parse_order(content: str | bytes, *, where: str = "order") -> SignedOrder:
    """Read one line of a book; see :func:`read_book`."""
    if len(content) > _MAX_LINE_BYTES:
        raise TradeOrderError(f"{len(content)} bytes are too many for an order", where=where)
    try:
        document = parse_json(
            content, object_pairs_hook=_unique, parse_float=_no_float, parse_constant=_no_float
        )
    except ValueError as error:
        raise TradeOrderError(f"not an order's JSON: {error}", where=where) from error
    if not isinstance(document, dict) or document.get("schema") != ORDER_SCHEMA:
        raise TradeOrderError(f"not a {ORDER_SCHEMA} document", where=where)
    _require_fields(document, _FIELDS, where)
    terms = document["order"]
    if not isinstance(terms, dict):
        raise TradeOrderError(f"not an object: {terms!r}", where=f"{where}, field 'order'")
    _require_fields(terms, tuple(name for _, name, _ in ORDER_FIELDS), where)
    values = {
        attribute: _value(terms[name], kind, f"{where}, field {name!r}")
        for attribute, name, kind in ORDER_FIELDS
    }
    try:
        order = TradeOrder(**values)
    except TradeOrderError as error:
        raise TradeOrderError(error.message, where=f"{where}, {error.where}", hint=error.hint) from None
    chain_id = document["chainId"]
    if type(chain_id) is not int or not 0 < chain_id < 1 << 256:
        raise TradeOrderError(f"not a chain id: {chain_id!r}", where=f"{where}, field 'chainId'")
    signed = SignedOrder(
        order=order,
        chain_id=chain_id,
        contract=_address(document["contract"], f"{where}, field 'contract'"),
        signature=_hex(document["signature"], f"{where}, field 'signature'"),
    )
    if len(signed.signature) > _MAX_SIGNATURE_BYTES:
        raise TradeOrderError(
            f"{len(signed.signature)} bytes are too many", where=f"{where}, field 'signature'"
        )
    if _hex(document["orderHash"], f"{where}, field 'orderHash'") != signed.order_hash:
        raise TradeOrderError(
            f"the order's hash is 0x{signed.order_hash.hex()}",
            where=f"{where}, field 'orderHash'",
            hint="the order was changed after it was signed: ask the maker for it again",
        )
    return signed


def _require_fields(document: dict[str, Any], names: tuple[str, ...], where: str) -> None:
    for name in names:
        if name not in document:
            raise TradeOrderError(f"field {name!r} is missing", where=where)
    for name in document:
        if name not in names:
            raise TradeOrderError(f"unknown field {name!r}", where=where)


def _value(value: object, kind: str, where: str) -> Any:
    """Read one term of an order; its range is the order's own matter."""
    if kind == "address":
        return _address(value, where)
    if kind == "uint256":
        raw = _hex(value, where)
        if len(raw) != 32:
            raise TradeOrderError(f"{len(raw)} bytes, not 32", where=where)
        return int.from_bytes(raw, "big")
    if kind == "uint128":
        # As text: many readers of JSON round numbers of that size.
        if not isinstance(value, str) or not _UNITS.fullmatch(value):
            raise TradeOrderError(f"not a positive whole number as text: {value!r}", where=where)
        return int(value)
    # bool is an int for Python, so the type itself is compared.
    if type(value) is not (bool if kind == "bool" else int):
        raise TradeOrderError(f"not a {kind}: {value!r}", where=where)
    return value


def _address(value: object, where: str) -> ChecksumAddress:
    if not isinstance(value, str) or value != value.strip():
        raise TradeOrderError(f"not an address: {value!r}", where=where)
    try:
        return parse_address(value, what="contents")
    except UsageError as error:
        raise TradeOrderError(error.message, where=where, hint=error.hint) from None


def _hex(value: object, where: str) -> bytes:
    # Python's own reading of hexadecimal lets spaces pass.
    if not isinstance(value, str) or not _HEX.fullmatch(value):
        raise TradeOrderError(f"not hexadecimal with 0x: {value!r}", where=where)
    return bytes.fromhex(value[2:])


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a field stands twice")
    return document


def _no_float(text: str) -> NoReturn:
    raise ValueError(f"{text} is no whole number")
