"""How orders and trades look: tables for people, plain values for programs.

Credits are micro-credits in documents; amounts of a token are its smallest units, as text because they can be
larger than what many readers of JSON keep exactly.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from timebank_chain.cli.output import out, print_table
from timebank_chain.errors import UsageError
from timebank_chain.units import MICRO, format_micro, format_time

if TYPE_CHECKING:
    from eth_typing import ChecksumAddress

    from timebank_chain.chain.market import BookEntry, MarketState, Part, Sweep
    from timebank_chain.chain.order_book import BadLine, Book
    from timebank_chain.chain.system import Timebank
    from timebank_chain.errors import TimebankError

COIN_WORD = "coin"


@dataclass(frozen=True)
class Token:
    """What credits are exchanged for, as people write and read it.

    Attributes
    ----------
    decimals
        0 for a token that does not say: then amounts are its smallest units.
    name
        ``coin``, or the token's address with the symbol it gives itself.
    """

    address: ChecksumAddress
    decimals: int
    name: str

    def parse(self, text: str, what: str) -> int:
        """Read an amount as smallest units, at least one."""
        whole, rest = require_amount(text, what)
        if len(rest) > self.decimals:
            raise UsageError(f"{what}: {text} has more than the {self.decimals} decimals of {self.name}")
        units = int(whole + rest.ljust(self.decimals, "0"))
        if not 0 < units < 1 << 128:
            raise UsageError(f"{what}: {text} is out of range", hint="above 0, and below 2**128 units")
        return units

    def write(self, units: int) -> str:
        """Write smallest units as an amount."""
        whole, rest = divmod(units, 10**self.decimals)
        tail = f".{rest:0{self.decimals}d}".rstrip("0") if rest else ""
        return f"{whole:,}{tail}"

    def price(self, units: int, micro: int) -> str:
        """Write the price of a whole credit, rounded down to the token's decimals."""
        return self.write(units * MICRO // micro)


def require_amount(text: str, what: str) -> tuple[str, str]:
    """Return the digits before and after an amount's point (without trailing zeros), or refuse it."""
    match = re.fullmatch(r"([0-9]{1,40})(?:\.([0-9]+))?", text.strip())
    if match is None:
        raise UsageError(f"{what}: not an amount: {text!r}", hint="write 12 or 12.5")
    return match.group(1), (match.group(2) or "").rstrip("0")


def parse_token(text: str) -> ChecksumAddress:
    """Read ``--token``: ``coin`` for the chain's own, or the address of an ERC-20."""
    from timebank_chain.chain.addresses import parse_address
    from timebank_chain.chain.member_registry import ZERO_ADDRESS

    return ZERO_ADDRESS if text.strip().lower() == COIN_WORD else parse_address(text, what="--token")


def open_token(timebank: Timebank, address: ChecksumAddress) -> Token:
    """Return a token somebody named, or refuse what is none."""
    if address == timebank.attention_credit.address:
        raise UsageError("--token is the credit itself", hint="name another token, or `coin`")
    return known_token(timebank, address, strict=True)


def known_token(timebank: Timebank, address: ChecksumAddress, *, strict: bool = False) -> Token:
    """Ask a token how it is written; with ``strict`` what is no ERC-20 is refused."""
    from timebank_chain.chain.credit_exchange import COIN
    from timebank_chain.chain.foreign_token import COIN_DECIMALS, ForeignToken, require_token, token_fault

    if address == COIN:
        return Token(COIN, COIN_DECIMALS, COIN_WORD)
    token = ForeignToken(timebank.connection, address)
    if strict:
        require_token(token)
        fault = token_fault(token, timebank.credit_exchange.address)
        if fault is not None:
            raise fault
    symbol, decimals = token.symbol(), token.decimals()
    return Token(address, decimals or 0, f"{symbol} ({address})" if symbol else address)


def moment(seconds: int) -> str:
    """Write Unix seconds as time."""
    return format_time(seconds * 1000)


def refusal_document(dead: TimebankError | None) -> dict[str, Any] | None:
    """Return why an order cannot be filled."""
    return None if dead is None else {"code": dead.code, "message": dead.message}


def entry_document(entry: BookEntry) -> dict[str, Any]:
    """Return an order of a book and what the chain says of it."""
    return {
        "line": entry.line,
        "order_hash": "0x" + entry.signed.order_hash.hex(),
        "order": entry.signed.to_json()["order"],
        "left_micro": entry.left,
        "covered_micro": entry.covered,
        "fillable": entry.dead is None,
        "refusal": refusal_document(entry.dead),
    }


def bad_line_document(line: BadLine) -> dict[str, Any]:
    """Return a line of a book that is no order, and why."""
    error = line.error
    return {"line": line.number, **(refusal_document(error) or {}), "where": error.where, "hint": error.hint}


def bad_lines_document(book: Book) -> dict[str, Any]:
    """Return the lines of a book that are no order, and how many more there are."""
    return {
        "bad_lines": [bad_line_document(line) for line in book.bad],
        "more_bad_lines": book.more_bad,
    }


def print_book(
    state: MarketState,
    entries: Sequence[BookEntry],
    book: Book,
    tokens: Mapping[ChecksumAddress, Token],
) -> None:
    """Print a book: what can be filled, and why the rest cannot."""
    rows = []
    for entry in entries:
        order, token = entry.order, tokens[entry.order.token]
        rows.append(
            (
                entry.line,
                "sells" if order.sells_credits else "buys",
                format_micro(entry.covered if entry.dead is None else entry.left),
                token.price(order.amount, order.credits),
                token.name,
                moment(order.expires_at),
                order.maker,
                "open" if entry.dead is None else entry.dead.message,
            )
        )
    columns = [">line", "maker", ">credits left", ">for each", "of", "until", "who", "state"]
    print_table(f"Book at {moment(state.time)}, fee {state.fee_bps} basis points", columns, rows)
    say_dead([], book)
    dead = sum(entry.dead is not None for entry in entries)
    out().print(f"{len(entries) - dead} of {len(entries)} orders can be filled")


def part_document(part: Part) -> dict[str, Any]:
    """Return a part of an order that would be filled."""
    return {
        "line": part.entry.line,
        "order_hash": "0x" + part.entry.signed.order_hash.hex(),
        "maker": part.entry.order.maker,
        "credits_micro": part.credits,
        "fee_micro": part.fee,
        "amount": str(part.amount),
    }


def sweep_document(sweep: Sweep, token: Token, wanted: int, *, buying: bool) -> dict[str, Any]:
    """Return what filling parts of orders together means for the taker."""
    return {
        "side": "buy" if buying else "sell",
        "token": token.address,
        "token_decimals": token.decimals,
        "wanted_micro": wanted,
        "credits_micro": sweep.credits,
        "missing_micro": sweep.missing,
        "missing_refusal": refusal_document(sweep.too_small[0]) if sweep.too_small else None,
        "fee_micro": sweep.fee,
        "net_micro": sweep.credits - sweep.fee,
        "amount": str(sweep.amount),
        "parts": [part_document(part) for part in sweep.parts],
    }


def print_sweep(sweep: Sweep, token: Token, *, buying: bool) -> None:
    """Print what filling parts of orders together means for the taker."""
    rows = [
        (
            part.entry.line,
            part.entry.order.maker,
            format_micro(part.credits),
            token.price(part.entry.order.amount, part.entry.order.credits),
            token.write(part.amount),
        )
        for part in sweep.parts
    ]
    columns = [">line", "maker", ">credits", ">for each", f">{'you pay' if buying else 'you get'}"]
    print_table(f"{'Buying' if buying else 'Selling'} credits for {token.name}", columns, rows)
    if sweep.parts:
        out().print(sentence(sweep, token, buying=buying))


def sentence(sweep: Sweep, token: Token, *, buying: bool) -> str:
    """Say what the taker gives and gets."""
    net = format_micro(sweep.credits - sweep.fee)
    amount = f"{token.write(sweep.amount)} {token.name}"
    if buying:
        return f"pay {amount} and get {net} credits ({format_micro(sweep.credits)} less the fee)"
    return f"give {format_micro(sweep.credits)} credits and get {amount} (the makers get {net})"


def say_dead(entries: Sequence[BookEntry], book: Book) -> None:
    """Say which orders cannot be filled and which lines are none, and why."""
    for entry in entries:
        if entry.dead is not None:
            out().print(f"line {entry.line} is dead: {entry.dead.message}", markup=False)
    for line in book.bad:
        out().print(f"line {line.number} is dead: {line.error}", markup=False)
    if book.more_bad:
        out().print(f"and {book.more_bad:,} more lines are no orders")
