"""What ``timebank market quote`` and ``fill`` share: a book, its best orders, what came of filling them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from timebank_chain.cli import market_view
from timebank_chain.cli.writes import format_ether
from timebank_chain.errors import CheckFailed, TradeOrderError, UsageError
from timebank_chain.units import format_micro

if TYPE_CHECKING:
    from eth_typing import ChecksumAddress

    from timebank_chain.chain.exchange_events import TradeFilled
    from timebank_chain.chain.market import BookEntry, MarketState, Sweep
    from timebank_chain.chain.order_book import Book, BookLine
    from timebank_chain.chain.system import Timebank
    from timebank_chain.chain.transactions import Call, Receipt
    from timebank_chain.cli.market_view import Token


class Side(StrEnum):
    """What the one who fills does with credits."""

    BUY = "buy"
    SELL = "sell"


class Filled:
    """What fills came to, learnt from their receipts: micro-credits, and units of the token."""

    def __init__(self) -> None:
        self.fills: list[TradeFilled] = []

    @property
    def credits(self) -> int:
        """Micro-credits exchanged, fee included."""
        return sum(fill.credits for fill in self.fills)

    @property
    def amount(self) -> int:
        """Units of the token that moved."""
        return sum(fill.amount for fill in self.fills)

    def learn(self, receipt: Receipt) -> Mapping[str, Any]:
        """Take in a receipt, and return what all of them say."""
        from timebank_chain.chain.events import decode_logs
        from timebank_chain.chain.exchange_events import TradeFilled

        for event in decode_logs(receipt.logs, [TradeFilled]):
            if isinstance(event, TradeFilled):
                self.fills.append(event)
        fee = sum(fill.fee for fill in self.fills)
        return {
            "filled": {
                "credits_micro": self.credits,
                "fee_micro": fee,
                "net_micro": self.credits - fee,
                "amount": str(self.amount),
            }
        }


def require_fee_bound(max_fee_bps: int | None) -> None:
    """Refuse a bound on the fee that the contract's own makes meaningless."""
    from timebank_chain.chain.credit_exchange import MAX_TRADE_FEE_BPS

    if max_fee_bps is not None and max_fee_bps > MAX_TRADE_FEE_BPS:
        raise UsageError(
            f"--max-fee-bps {max_fee_bps}: no fee on trades can be above {MAX_TRADE_FEE_BPS} basis points",
            hint=f"give 0 to {MAX_TRADE_FEE_BPS}, or leave it out for the fee in force",
        )


def read_orders(
    timebank: Timebank, file: Path, taker: ChecksumAddress | None
) -> tuple[MarketState, list[BookEntry], Book]:
    """Read a book and ask the chain about its orders; with what the file holds."""
    from timebank_chain.chain.market import read_market
    from timebank_chain.chain.order_book import read_book

    book = read_book(file)
    if not book.lines:
        raise TradeOrderError("the book is empty", where=str(file), hint="add an order: timebank market sell")
    state, entries = read_market(timebank, book.lines, taker)
    return state, entries, book


def find_line(lines: Sequence[BookLine], which: str | None, what: str) -> BookLine:
    """Find the one line meant: by its number, by how its hash begins, or because it is the only one."""
    if which is None:
        found = list(lines)
    elif which.isascii() and which.isdigit():
        found = [line for line in lines if line.number == int(which)]
    else:
        start = which.lower()
        found = [line for line in lines if f"0x{line.signed.order_hash.hex()}".startswith(start)]
    if len(found) != 1:
        raise UsageError(
            f"{len(found) or 'none'} of the {what} {'is' if len(found) < 2 else 'are'} meant",
            hint="name one with --order: its line, or how its hash begins (timebank market book)",
        )
    return found[0]


def _no_token_chosen(tokens: int, *, buying: bool) -> UsageError:
    """Say why it is not clear which token is meant: no order fits, or orders for several tokens do."""
    theirs, yours = ("sells", "buy") if buying else ("buys", "sell")
    if tokens == 0:
        return UsageError(
            f"you want to {yours} credits, and no order in this book {theirs} any",
            hint=f"see what it has: timebank market book; or make an order yourself: timebank market {yours}",
        )
    return UsageError(
        f"{tokens} different tokens can be exchanged for credits in this book, and it is not said which one "
        f"you want to {'pay with' if buying else 'get'}",
        hint="choose one with --token ADDRESS, or --token coin; the book shows them: timebank market book",
    )


def choose(
    timebank: Timebank,
    state: MarketState,
    entries: Sequence[BookEntry],
    micro: int,
    side: Side,
    token: str | None,
    which: str | None,
) -> tuple[Token, Sweep]:
    """Return the token, and the parts to fill: of the order named, or of the best ones."""
    from timebank_chain.chain.market import Sweep, best_of, require_part
    from timebank_chain.chain.order_book import BookLine
    from timebank_chain.units import MicroCredit

    buying = side is Side.BUY
    fitting = [entry for entry in entries if entry.order.sells_credits == buying]
    if which is not None:
        lines = [BookLine(entry.line, entry.signed) for entry in entries]
        number = find_line(lines, which, "orders of the book").number
        entry = next(one for one in entries if one.line == number)
        if entry not in fitting:
            raise UsageError(
                f"the order in line {number} {'buys' if buying else 'sells'} credits, like you",
                hint=f"give --side {'sell' if buying else 'buy'}",
            )
        part = require_part(entry, micro, state.fee_bps)
        return market_view.known_token(timebank, entry.order.token), Sweep((part,), MicroCredit(0))
    if token is not None:
        chosen = market_view.open_token(timebank, market_view.parse_token(token))
    else:
        addresses = list(dict.fromkeys(entry.order.token for entry in fitting))
        if len(addresses) != 1:
            raise _no_token_chosen(len(addresses), buying=buying)
        chosen = market_view.known_token(timebank, addresses[0])
    return chosen, best_of(entries, chosen.address, micro, state.fee_bps, buying=buying)


def require_whole(sweep: Sweep) -> None:
    """Refuse a sweep that leaves credits over, saying whether the book is too thin or the rest too small."""
    if sweep.too_small:
        raise CheckFailed(
            f"{format_micro(sweep.missing)} of the credits find no order, as a part too small for those that "
            f"are left: {sweep.too_small[0].message}",
            hint=f"ask for {format_micro(sweep.credits)}, or for more" if sweep.parts else "ask for more",
        )
    if sweep.missing:
        raise CheckFailed(
            f"the book is too thin: {format_micro(sweep.missing)} of the credits find no order",
            hint=f"ask for {format_micro(sweep.credits)} or less" if sweep.parts else None,
        )


def approvals(
    timebank: Timebank, taker: ChecksumAddress, sweep: Sweep, token: Token, *, buying: bool
) -> list[Call]:
    """Check that the taker has what it gives, and propose the approval that is missing."""
    from timebank_chain.chain.credit_exchange import COIN
    from timebank_chain.chain.foreign_token import ForeignToken
    from timebank_chain.chain.openzeppelin_reverts import ERC20InsufficientBalance

    exchange, credit = timebank.credit_exchange.address, timebank.attention_credit
    at = timebank.connection.simulation_block
    if not buying:
        balance = credit.balance_of(taker, block=at)
        if balance < sweep.credits:
            raise ERC20InsufficientBalance({"sender": taker, "balance": balance, "needed": sweep.credits})
        allowed = credit.allowance(taker, exchange, block=at)
        return [] if allowed >= sweep.credits else [credit.approve(exchange, sweep.credits)]
    if token.address == COIN:
        wei = timebank.connection.balance_wei(taker)
        if wei < sweep.amount:
            raise TradeOrderError(
                f"{taker} has {format_ether(wei)} coin, {token.write(sweep.amount)} are needed"
            )
        return []
    foreign = ForeignToken(timebank.connection, token.address)
    held = foreign.balance_of(taker, block=at)
    if held < sweep.amount:
        raise TradeOrderError(
            f"{taker} has {token.write(held)} {token.name}, {token.write(sweep.amount)} are needed"
        )
    return foreign.approvals(taker, exchange, sweep.amount, block=at)
