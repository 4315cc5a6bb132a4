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

import io
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_typing import ChecksumAddress

from timebank_chain.chain.credit_exchange import ORDER_TYPE, TradeOrder
from timebank_chain.chain.signed_documents import DocumentKind, Signed
from timebank_chain.chain.signer import Signer
from timebank_chain.chain.typed_data import is_key_signature
from timebank_chain.errors import TradeOrderError

ORDER_SCHEMA = "timebank.market.order/1"

_KIND = DocumentKind(ORDER_SCHEMA, "order", "an order", "maker", ORDER_TYPE, TradeOrder, TradeOrderError)
_MAX_LINE_BYTES = 32_768
_MAX_BOOK_BYTES = 64 << 20
#: More lines, empty ones aside, than a file of that many bytes has where each is an order.
MAX_LINES = 200_000
#: So many lines that are no order are kept with their reason; of more it is only known how many there are.
MAX_BAD_LINES = 1_000


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
        return is_key_signature(self.order.maker, self.order_hash, self.signature)

    def to_json(self) -> dict[str, Any]:
        """Return the document ``timebank.market.order/1``."""
        return _KIND.document(Signed(self.order, self.chain_id, self.contract, self.signature))

    def line(self) -> str:
        """Return its line in a book, without the end of the line."""
        return json.dumps(self.to_json(), separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class BookLine:
    """An order and the line of the file it stands in, the first is 1."""

    number: int
    signed: SignedOrder


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line of the file that is no order, and why not."""

    number: int
    error: TradeOrderError


@dataclass(frozen=True, slots=True)
class Book:
    """What a file holds, in the order of the file.

    Attributes
    ----------
    lines
        Its orders.
    bad
        The first lines that are no order, at most ``MAX_BAD_LINES``.
    more_bad
        How many lines after those are no order either.
    """

    lines: tuple[BookLine, ...]
    bad: tuple[BadLine, ...] = ()
    more_bad: int = 0


def sign_order(order: TradeOrder, signer: Signer, chain_id: int, contract: ChecksumAddress) -> SignedOrder:
    """Sign an order for the CreditExchange at ``contract``.

    Raises
    ------
    TradeOrderError
        If the signer is not the maker.
    """
    return SignedOrder(order, chain_id, contract, order.sign(signer, chain_id, contract))


def require_book(path: Path) -> None:
    """Refuse a file no order can be added to; to be asked before anything is sent for the order's sake.

    Raises
    ------
    TradeOrderError
        If it is no ordinary file, or neither it nor its folder can be written.
    """
    folder = path if path.is_dir() else path.parent
    if path.is_dir() or (path.exists() and not path.is_file()):
        raise TradeOrderError(
            "not an ordinary file", where=str(path), hint="name a file for the book with -o"
        )
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise TradeOrderError("the book cannot be written", where=str(path), hint="choose another with -o")


def append_order(path: Path, signed: SignedOrder) -> None:
    """Add an order to the end of a book, making the file if there is none.

    Raises
    ------
    TradeOrderError
        If it cannot be written.
    """
    text = signed.line() + "\n"
    try:
        with path.open("ab+") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    text = "\n" + text
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise TradeOrderError(
            f"the order could not be kept: {error.strerror}",
            where=str(path),
            hint="sign it again with another -o; what was approved stays approved",
        ) from error


def read_book(path: Path) -> Book:
    """Read a book; empty lines are skipped, and what stands twice counts at its first place.

    A line that is no order spoils no other: it is kept with its reason, or counted where there are many.

    Raises
    ------
    TradeOrderError
        If the file cannot be read or is too large, or lines are there but none of them is an order.
    """
    content = _KIND.read_file(path, _MAX_BOOK_BYTES, what="an order book")
    # Line by line: as a list, a file of many short lines would take many times its size.
    return parse_book(io.BytesIO(content), where=str(path))


def parse_book(lines: Iterable[str | bytes], *, where: str = "book") -> Book:
    """Read the lines of a book; see :func:`read_book`."""
    found: dict[bytes, BookLine] = {}
    bad: list[BadLine] = []
    seen = more_bad = 0
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        seen += 1
        if seen > MAX_LINES:
            raise TradeOrderError(
                f"too large for an order book: more than {MAX_LINES:,} lines",
                where=where,
                hint="give a file with one signed order a line, or split it",
            )
        try:
            signed = parse_order(line, where=f"{where}:{number}")
        except TradeOrderError as error:
            if len(bad) < MAX_BAD_LINES:
                bad.append(BadLine(number, error))
            else:
                more_bad += 1
        else:
            found.setdefault(signed.order_hash + signed.signature, BookLine(number, signed))
    if bad and not found:
        first = bad[0].error
        raise TradeOrderError(f"no line is an order: {first.message}", where=first.where, hint=first.hint)
    return Book(tuple(found.values()), tuple(bad), more_bad)


def parse_order(content: str | bytes, *, where: str = "order") -> SignedOrder:
    """Read one line of a book.

    Raises
    ------
    TradeOrderError
        If it is no ``timebank.market.order/1`` document, a field is missing, unknown, twice there, of the
        wrong type or range, or the hash is not the order's; naming line and field.
    """
    if len(content) > _MAX_LINE_BYTES:
        raise TradeOrderError(f"{len(content)} bytes are too many for an order", where=where)
    found = _KIND.parse(content, where=where)
    return SignedOrder(found.message, found.chain_id, found.contract, found.signature)
