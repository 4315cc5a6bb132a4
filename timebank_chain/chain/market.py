"""A book of orders against the chain: which can be filled, how far, and what the best of them cost together.

All is read at one block, many orders a call. A reason why an order cannot be filled has the name the contract
would give it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from eth_typing import ChecksumAddress
from web3.types import BlockIdentifier

from timebank_chain.chain.credit_exchange import COIN, OrderStatus, TradeOrder, trade_fee
from timebank_chain.chain.exchange_reverts import (
    BadFill,
    BadOrderSignature,
    MakerIsTaker,
    NothingTraded,
    NotTradeTaker,
    TokenIsCredit,
    TradeFeeAboveOrder,
    TradeOrderExpired,
    TradeOrderIsCancelled,
    TradeSeriesIsOver,
    TradingPaused,
)
from timebank_chain.chain.foreign_token import ForeignToken, token_fault
from timebank_chain.chain.member_registry import ZERO_ADDRESS
from timebank_chain.chain.openzeppelin_reverts import ERC20InsufficientAllowance, ERC20InsufficientBalance
from timebank_chain.chain.order_book import BookLine, SignedOrder
from timebank_chain.chain.system import Timebank
from timebank_chain.errors import ContractError, TimebankError, TradeOrderError, TransactionFailed
from timebank_chain.units import MicroCredit, mul_div_up

#: Orders asked about in one call; halved where a node or an order spends too much gas.
BATCH = 100

#: Units of a token against which one unit of rounding is a hundredth.
_FAIR_UNITS = 100

#: Tells what is wrong with a token, asking each once.
TokenFault = Callable[[ChecksumAddress], TradeOrderError | None]


@dataclass(frozen=True)
class MarketState:
    """The exchange at one block.

    Attributes
    ----------
    time
        Of the block, or of the next one where a development chain knows it; Unix seconds.
    paused
        Whether the guardian has stopped filling.
    fee_bps
        Fee of the credits, basis points.
    credit
        Address of the credit.
    """

    time: int
    paused: bool
    fee_bps: int
    credit: ChecksumAddress


@dataclass(frozen=True)
class BookEntry:
    """One order of a book as the chain sees it.

    Attributes
    ----------
    line
        Its line in the file; 0 for an order by itself.
    status
        What stands behind it; ``None`` for an order of another chain or contract, and where the chain gives
        no answer.
    left
        Micro-credits not yet exchanged.
    covered
        Of them, what the maker's balance and allowance cover, this order looked at alone.
    dead
        Why nothing of it can be filled; ``None`` if something can.
    """

    line: int
    signed: SignedOrder
    status: OrderStatus | None
    left: MicroCredit
    covered: MicroCredit
    dead: TimebankError | None

    @property
    def order(self) -> TradeOrder:
        """What was signed."""
        return self.signed.order

    @property
    def price(self) -> Fraction:
        """Units of the token for a micro-credit."""
        return Fraction(self.order.amount, self.order.credits)


@dataclass(frozen=True)
class Part:
    """A part of an order that a sweep would fill: micro-credits, their fee, and units of the token."""

    entry: BookEntry
    credits: MicroCredit
    fee: MicroCredit
    amount: int

    @property
    def least(self) -> MicroCredit:
        """Micro-credits worth filling when others leave no more: rounding worsens the price by 1 % at most.

        All of the part where the token's unit is so coarse that fewer credits could cost as much.
        """
        order = self.entry.order
        return MicroCredit(min(self.credits, mul_div_up(_FAIR_UNITS, order.credits, order.amount)))


@dataclass(frozen=True)
class Sweep:
    """The best orders of a book together.

    Attributes
    ----------
    missing
        Micro-credits that no order of the book fills.
    too_small
        Why orders that have as much left do not fill what is missing: as a part of them it would round to
        nothing. Empty where the book is too thin.
    """

    parts: tuple[Part, ...]
    missing: MicroCredit
    too_small: tuple[NothingTraded, ...] = ()

    @property
    def credits(self) -> MicroCredit:
        """Micro-credits exchanged, fee included."""
        return MicroCredit(sum(part.credits for part in self.parts))

    @property
    def fee(self) -> MicroCredit:
        """Of them, what goes to the fee pool."""
        return MicroCredit(sum(part.fee for part in self.parts))

    @property
    def amount(self) -> int:
        """Units of the token."""
        return sum(part.amount for part in self.parts)


def read_market(
    timebank: Timebank, lines: Sequence[BookLine], taker: ChecksumAddress | None = None
) -> tuple[MarketState, list[BookEntry]]:
    """Ask the chain about every order of a book.

    Parameters
    ----------
    taker
        Who would fill; anybody when not given.
    """
    connection, exchange = timebank.connection, timebank.credit_exchange
    block = connection.simulation_block
    faults: dict[ChecksumAddress, TradeOrderError | None] = {}

    def fault(token: ChecksumAddress) -> TradeOrderError | None:
        if token not in faults:
            faults[token] = token_fault(ForeignToken(connection, token), exchange.address, block=block)
        return faults[token]

    state = MarketState(
        time=connection.pending_timestamp(),
        paused=exchange.trading_paused(block=block),
        fee_bps=exchange.trade_fee_bps(block=block),
        credit=timebank.attention_credit.address,
    )
    here = [line for line in lines if _is_here(timebank, line.signed)]
    statuses = dict(zip((line.number for line in here), _inspect(timebank, here, block), strict=True))
    return state, [_entry(timebank, state, line, statuses.get(line.number), taker, fault) for line in lines]


def best_of(
    entries: Sequence[BookEntry], token: ChecksumAddress, credits_wanted: int, fee_bps: int, *, buying: bool
) -> Sweep:
    """Return the orders that together exchange an amount of credits at the best price.

    Parameters
    ----------
    credits_wanted
        Micro-credits, fee included.
    buying
        Whether the taker buys credits, so that orders that sell them are looked at, the cheapest first;
        else those that buy them, the dearest first.

    Notes
    -----
    Orders of one maker draw on one balance and one allowance: what one of them takes is gone for the next.
    """
    open_orders = [
        entry
        for entry in entries
        if entry.dead is None and entry.order.token == token and entry.order.sells_credits == buying
    ]
    # Of two at one price the first of the file; sorted() keeps their order.
    open_orders = sorted(open_orders, key=lambda entry: entry.price if buying else -entry.price)
    taken: dict[str, int] = defaultdict(int)
    used: set[bytes] = set()
    parts: list[Part] = []
    too_small: list[NothingTraded] = []
    missing = credits_wanted
    for entry in open_orders:
        if missing == 0:
            break
        if entry.signed.order_hash in used:
            continue  # the same order under another signature: what is left of it is left once
        covered = _cover(entry, taken[entry.order.maker])
        micro = min(missing, covered)
        amount, fee = entry.order.amount_for(micro), trade_fee(micro, fee_bps)
        nothing = _nothing(entry.order, micro, fee_bps)
        if nothing is not None:
            # The contract refuses what rounds to nothing: the order is too small, or what is asked of it is.
            if micro == missing and _nothing(entry.order, covered, fee_bps) is None:
                too_small.append(nothing)
            continue
        parts.append(Part(entry, MicroCredit(micro), fee, amount))
        used.add(entry.signed.order_hash)
        taken[entry.order.maker] += micro if buying else amount
        missing -= micro
    return Sweep(tuple(parts), MicroCredit(missing), tuple(too_small) if missing else ())


def require_part(entry: BookEntry, micro: int, fee_bps: int) -> Part:
    """Return a part of one order, or say why it cannot be filled.

    Raises
    ------
    TimebankError
        The named refusal the contract would give.
    """
    if entry.dead is not None:
        raise entry.dead
    if not 0 < micro <= entry.left:
        raise BadFill({"most": micro, "least": micro, "left": entry.left})
    nothing = _nothing(entry.order, micro, fee_bps)
    if nothing is not None:
        raise nothing
    if micro > entry.covered and entry.status is not None:
        raise _uncovered(entry, entry.status, micro)
    return Part(entry, MicroCredit(micro), trade_fee(micro, fee_bps), entry.order.amount_for(micro))


def end_of(timebank: Timebank, line: BookLine) -> TimebankError | None:
    """Return why nobody can ever fill an order again, so that cancelling it would change nothing."""
    state, (entry,) = read_market(timebank, [line])
    if entry.status is None:
        return None
    order, status = entry.order, entry.status
    if status.cancelled:
        return TradeOrderIsCancelled({"orderHash": status.order_hash})
    if order.series < status.series:
        return TradeSeriesIsOver({"series": order.series, "current": status.series})
    if entry.left == 0:
        return BadFill({"most": order.credits, "least": 0, "left": 0})
    if state.time > order.expires_at:
        return TradeOrderExpired({"expiresAt": order.expires_at, "current": state.time})
    return None


def _is_here(timebank: Timebank, signed: SignedOrder) -> bool:
    here = (timebank.connection.chain_id, timebank.credit_exchange.address)
    return (signed.chain_id, signed.contract) == here


def _inspect(
    timebank: Timebank, lines: Sequence[BookLine], block: BlockIdentifier
) -> Iterator[OrderStatus | None]:
    """Ask in batches; where one fails it is halved, so that one bad token or wallet spoils only its own."""
    for first in range(0, len(lines), BATCH):
        yield from _inspect_some(timebank, lines[first : first + BATCH], block)


def _inspect_some(
    timebank: Timebank, lines: Sequence[BookLine], block: BlockIdentifier
) -> list[OrderStatus | None]:
    signed = [line.signed for line in lines]
    try:
        return list(
            timebank.credit_exchange.inspect(
                [one.order for one in signed], [one.signature for one in signed], block=block
            )
        )
    except (ContractError, TransactionFailed):
        if len(lines) == 1:
            return [None]
        half = len(lines) // 2
        return [
            *_inspect_some(timebank, lines[:half], block),
            *_inspect_some(timebank, lines[half:], block),
        ]


def _entry(
    timebank: Timebank,
    state: MarketState,
    line: BookLine,
    status: OrderStatus | None,
    taker: ChecksumAddress | None,
    fault: TokenFault,
) -> BookEntry:
    order = line.signed.order
    left = MicroCredit(order.credits - (status.filled if status else 0))
    entry = BookEntry(line.number, line.signed, status, left, MicroCredit(0), None)
    if not _is_here(timebank, line.signed):
        here = timebank.credit_exchange.address
        return replace(
            entry,
            dead=TradeOrderError(
                f"it is for {line.signed.contract} on chain {line.signed.chain_id}, this is {here} on chain "
                f"{timebank.connection.chain_id}",
                hint="give the deployment it was signed for with --deployment",
            ),
        )
    if status is None:
        return replace(
            entry,
            dead=TradeOrderError("its token or its maker's wallet gives no answer", hint="leave it alone"),
        )
    entry = replace(entry, covered=MicroCredit(_cover(entry, 0)))
    return replace(entry, dead=next(_refusals(state, entry, status, taker, fault), None))


def _refusals(
    state: MarketState,
    entry: BookEntry,
    status: OrderStatus,
    taker: ChecksumAddress | None,
    fault: TokenFault,
) -> Iterator[TimebankError]:
    """Give every reason why nothing of it can be filled, in the order the contract looks."""
    order = entry.order
    if state.paused:
        yield TradingPaused({})
    if order.token == state.credit:
        yield TokenIsCredit({"token": order.token})
    if state.time > order.expires_at:
        yield TradeOrderExpired({"expiresAt": order.expires_at, "current": state.time})
    if order.series != status.series:
        yield TradeSeriesIsOver({"series": order.series, "current": status.series})
    if status.cancelled:
        yield TradeOrderIsCancelled({"orderHash": status.order_hash})
    if taker is not None and order.taker not in (ZERO_ADDRESS, taker):
        yield NotTradeTaker({"taker": order.taker, "caller": taker})
    if order.maker in (taker, order.taker):
        yield MakerIsTaker({"maker": order.maker})
    if state.fee_bps > order.max_fee_bps:
        yield TradeFeeAboveOrder({"feeBps": state.fee_bps, "maxFeeBps": order.max_fee_bps})
    if entry.left == 0:
        yield BadFill({"most": order.credits, "least": 0, "left": 0})
    # A part is never worth more than the whole: if that rounds to nothing, so does every part.
    nothing = _nothing(order, entry.left, state.fee_bps)
    if nothing is not None:
        yield nothing
    if not status.signature_valid:
        yield BadOrderSignature({"maker": order.maker, "orderHash": status.order_hash})
    wrong = None if order.token == COIN else fault(order.token)
    if wrong is not None:
        yield wrong
    if entry.covered == 0:
        yield _uncovered(entry, status, entry.left)
    nothing = _nothing(order, entry.covered, state.fee_bps)
    if nothing is not None:
        yield nothing


def _nothing(order: TradeOrder, micro: int, fee_bps: int) -> NothingTraded | None:
    """Say that a part is too small: its side of the token rounds to nothing, or all of it is fee."""
    amount, fee = order.amount_for(micro), trade_fee(micro, fee_bps)
    if amount and fee < micro:
        return None
    return NothingTraded({"credits": micro, "fee": fee, "amount": amount})


def _uncovered(entry: BookEntry, status: OrderStatus, micro: int) -> TimebankError:
    """Say that the maker's balance or allowance does not cover a part."""
    order = entry.order
    if not order.sells_credits:
        return TradeOrderError(
            f"{order.maker} has {status.balance} units of {order.token} and allows {status.allowance}, "
            f"{order.amount_for(micro)} are needed",
            hint="fill less, or another order",
        )
    # The credit asks for the allowance first.
    if status.allowance < micro:
        spender = entry.signed.contract
        return ERC20InsufficientAllowance(
            {"spender": spender, "allowance": status.allowance, "needed": micro}
        )
    return ERC20InsufficientBalance({"sender": order.maker, "balance": status.balance, "needed": micro})


def _cover(entry: BookEntry, taken: int) -> int:
    """Return how many micro-credits balance and allowance cover when ``taken`` of them is gone already."""
    status, order = entry.status, entry.order
    if status is None:
        return 0
    given = max(0, min(status.balance, status.allowance) - taken)
    if order.sells_credits:
        return min(entry.left, given)
    # The most credits whose amount, rounded down, is at most what the maker can give; never for nothing.
    micro = min(entry.left, ((given + 1) * order.credits - 1) // order.amount)
    return micro if order.amount_for(micro) else 0
