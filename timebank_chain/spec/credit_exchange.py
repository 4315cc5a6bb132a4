"""Credits against a token or the chain's coin, by signed orders, to the unit.

For a part of an order, in micro-credits, the token's side is ``order.amount * part / order.credits``, rounded
in the maker's favour: up where the maker sells credits, down where it buys them. The fee is
``ceil(part * fee_bps / 10_000)`` of the credits; whoever gets the credits gets the rest. A taker asks for
credits up to a number and gets what is left of the order; its limit is a price, rounded as the order's is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from timebank_chain.spec.attention_credit import MAX_UINT256, ZERO_ADDRESS, AttentionCredit
from timebank_chain.spec.epoch_tree import keccak
from timebank_chain.spec.fee_pool import ONE_BPS, FeePool
from timebank_chain.spec.revert import Reverted, require
from timebank_chain.units import MicroCredit, mul_div_down, mul_div_up

__all__ = [
    "CreditExchange",
    "FillTerms",
    "ForeignToken",
    "TradeOrder",
    "TradeState",
    "amount_for",
    "fee_for",
    "hash_order",
    "limit_for",
]

_DOMAIN_TYPE = b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
_ORDER_TYPE = (
    b"TradeOrder(address maker,address taker,address token,bool sellsCredits,uint64 credits,uint128 amount,"
    b"uint16 maxFeeBps,uint40 expiresAt,uint64 series,uint256 salt)"
)


@dataclass(frozen=True)
class TradeOrder:
    """What a maker signs; fields and units as in ``interfaces/ICreditExchange.sol``."""

    maker: str
    taker: str
    token: str
    sells_credits: bool
    credits: int
    amount: int
    max_fee_bps: int
    expires_at: int
    series: int
    salt: int


@dataclass(frozen=True)
class FillTerms:
    """What a taker asks for; fields and units as in ``interfaces/ICreditExchange.sol``."""

    most: int
    least: int
    max_fee_bps: int
    limit: int


@dataclass
class TradeState:
    """What became of an order: micro-credits exchanged of it, and whether its maker cancelled it."""

    filled: int = 0
    cancelled: bool = False


@dataclass
class ForeignToken:
    """An ERC-20 of somebody else: balances and allowances in its smallest units.

    Attributes
    ----------
    arriving
        What of an amount reaches the receiver; an honest token's is the amount itself.
    """

    balances: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    allowances: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    arriving: Callable[[int], int] = int

    def would_move(self, spender: str, owner: str, amount: int) -> bool:
        """Return whether ``transferFrom`` would succeed."""
        return self.allowances[owner, spender] >= amount and self.balances[owner] >= amount

    def move(self, spender: str, owner: str, receiver: str, amount: int) -> None:
        """Move units of an owner out of an allowance."""
        if self.allowances[owner, spender] != MAX_UINT256:
            self.allowances[owner, spender] -= amount
        self.balances[owner] -= amount
        self.balances[receiver] += self.arriving(amount)


def amount_for(order: TradeOrder, part: int) -> int:
    """Return the token's side of a part of an order, rounded in the maker's favour.

    Never worse for the maker than the order, by cross-multiplication: ``result * order.credits`` is at least
    ``order.amount * part`` when it sells credits, at most that when it buys them.
    """
    divide = mul_div_up if order.sells_credits else mul_div_down
    return divide(order.amount, part, order.credits)


def limit_for(order: TradeOrder, terms: FillTerms, part: int) -> int:
    """Return the taker's limit for a part: its share of the limit for ``most``, rounded as the price is.

    By cross-multiplication: an amount is within it if ``(amount - 1) * most < limit * part`` where the order
    sells credits, ``(amount + 1) * most > limit * part`` where it buys them.
    """
    divide = mul_div_up if order.sells_credits else mul_div_down
    return divide(terms.limit, part, terms.most)


def fee_for(part: int, fee_bps: int) -> MicroCredit:
    """Return the fee on credits exchanged, rounded up in the fee pool's favour."""
    return MicroCredit(mul_div_up(part, fee_bps, ONE_BPS))


def hash_order(order: TradeOrder, chain_id: int, contract: str) -> bytes:
    """Return an order's EIP-712 digest for a chain and contract: what its maker signs, and its name there."""
    domain = keccak(
        keccak(_DOMAIN_TYPE)
        + keccak(b"timebank CreditExchange")
        + keccak(b"1")
        + _word(chain_id)
        + _word(contract)
    )
    words = (
        order.maker,
        order.taker,
        order.token,
        int(order.sells_credits),
        order.credits,
        order.amount,
        order.max_fee_bps,
        order.expires_at,
        order.series,
        order.salt,
    )
    struct = keccak(keccak(_ORDER_TYPE) + b"".join(_word(word) for word in words))
    return keccak(b"\x19\x01" + domain + struct)


@dataclass
class CreditExchange:
    """``market/CreditExchange.sol``: credits in micro-credits, addresses as text, ``now`` in Unix seconds.

    Whether a signature is the maker's is an argument: who signs, and how, is no arithmetic.

    Attributes
    ----------
    address
        Its own, as in the credit's allowances.
    credit_address
        Of the credit, which no order may name as its token.
    chain_id
        Of the chain it stands on, for the hashes of orders.
    governor, guardian
        The only addresses with the roles for the fee and for pausing.
    tokens
        By address; what is none does not move.
    coin
        Wei by holder; the taker's is taken with the call.
    refuses_coin
        Contracts that do not take it.
    """

    MAX_TRADE_FEE_BPS = 500

    credit: AttentionCredit
    credit_address: str
    fee_pool: FeePool
    address: str
    chain_id: int
    governor: str
    guardian: str
    trade_fee_bps: int
    trading_paused: bool = False
    pauses: int = 0
    tokens: dict[str, ForeignToken] = field(default_factory=dict)
    coin: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    refuses_coin: set[str] = field(default_factory=set)
    orders: dict[bytes, TradeState] = field(default_factory=dict)
    series: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what the constructor refuses."""
        self._check_trade_fee(self.trade_fee_bps)

    # Filling

    def fill(
        self,
        caller: str,
        order: TradeOrder,
        signature_valid: bool,
        terms: FillTerms,
        *,
        value: int = 0,
        now: int,
    ) -> tuple[MicroCredit, int]:
        """Fill an order up to ``terms.most``; return the credits and the units of the token that moved."""
        order_hash, part = self._check_open(caller, order, terms, now)
        amount, fee = self.quote(order, part)
        require(amount != 0 and part > fee, "NothingTraded", part, fee, amount)
        limit = limit_for(order, terms, part)
        within = amount <= limit if order.sells_credits else amount >= limit
        require(within, "LimitNotMet", amount, limit)
        coin = amount if order.token == ZERO_ADDRESS else 0
        require(value >= coin if coin else value == 0, "WrongCoin", value, coin)
        require(signature_valid, "BadOrderSignature", order.maker, order_hash)

        seller, buyer = (order.maker, caller) if order.sells_credits else (caller, order.maker)
        self._check_credits(seller, buyer, part - fee, fee)
        if coin:
            require(seller not in self.refuses_coin, "CoinRefused", seller, coin)
            back = value - coin
            require(not back or caller not in self.refuses_coin, "CoinRefused", caller, back)
        else:
            self._check_token(order.token, buyer, seller, amount)

        self.orders.setdefault(order_hash, TradeState()).filled += part
        self.credit.transfer_from(self.address, seller, buyer, part - fee)
        if fee:
            self.credit.transfer_from(self.address, seller, self.fee_pool.address, fee)
        self.fee_pool.record_spending(self.address, part - fee)
        if coin:
            self.coin[buyer] -= coin
            self.coin[seller] += coin
        else:
            self.tokens[order.token].move(self.address, buyer, seller, amount)
        return part, amount

    # Orders

    def cancel(self, caller: str, order: TradeOrder) -> None:
        """Cancel an order; only its maker."""
        require(caller == order.maker, "NotOrderMaker", caller, order.maker)
        self.orders.setdefault(self.hash_order(order), TradeState()).cancelled = True

    def cancel_all(self, caller: str) -> int:
        """End the caller's series; return the new one."""
        self.series[caller] = self.series_of(caller) + 1
        return self.series[caller]

    # Settings

    def set_trade_fee(self, caller: str, new_fee_bps: int) -> None:
        """Change the fee of later fills."""
        require(caller == self.governor, "AccessManagedUnauthorized", caller)
        self._check_trade_fee(new_fee_bps)
        self.trade_fee_bps = new_fee_bps

    def pause_trading(self, caller: str) -> None:
        """Stop filling."""
        require(caller == self.guardian, "AccessManagedUnauthorized", caller)
        self.trading_paused = True
        self.pauses += 1

    def resume_trading(self, caller: str, pause: int) -> None:
        """Allow filling again, by ending the pause of this number."""
        require(caller == self.governor, "AccessManagedUnauthorized", caller)
        require(pause == self.pauses, "WrongPause", pause, self.pauses)
        self.trading_paused = False

    # Views

    def quote(self, order: TradeOrder, part: int) -> tuple[int, MicroCredit]:
        """Return what a part of an order costs: units of the token, and the fee of the credits."""
        return amount_for(order, part), fee_for(part, self.trade_fee_bps)

    def hash_order(self, order: TradeOrder) -> bytes:
        """Return an order's EIP-712 digest here."""
        return hash_order(order, self.chain_id, self.address)

    def filled_of(self, order_hash: bytes) -> MicroCredit:
        """Return what was exchanged of an order so far."""
        return MicroCredit(self.orders.get(order_hash, TradeState()).filled)

    def is_cancelled(self, order_hash: bytes) -> bool:
        """Return whether an order was cancelled by itself."""
        return self.orders.get(order_hash, TradeState()).cancelled

    def series_of(self, maker: str) -> int:
        """Return the series a maker's orders must be signed under."""
        return self.series.get(maker, 0)

    # Checks

    def _check_open(
        self, caller: str, order: TradeOrder, terms: FillTerms, now: int
    ) -> tuple[bytes, MicroCredit]:
        """Check all but price and signature, in the interface's order; return the hash and the part."""
        require(not self.trading_paused, "TradingPaused")
        require(order.credits != 0 and order.amount != 0, "NoPrice", order.credits, order.amount)
        require(order.token != self.credit_address, "TokenIsCredit", order.token)
        require(order.sells_credits or order.token != ZERO_ADDRESS, "CoinCannotBeSigned", order.maker)
        require(now <= order.expires_at, "TradeOrderExpired", order.expires_at, now)
        series = self.series_of(order.maker)
        require(order.series == series, "TradeSeriesIsOver", order.series, series)
        order_hash = self.hash_order(order)
        require(not self.is_cancelled(order_hash), "TradeOrderIsCancelled", order_hash)
        require(order.taker in (ZERO_ADDRESS, caller), "NotTradeTaker", order.taker, caller)
        require(order.maker != caller, "MakerIsTaker", order.maker)
        allowed = self.trade_fee_bps <= order.max_fee_bps
        require(allowed, "TradeFeeAboveOrder", self.trade_fee_bps, order.max_fee_bps)
        allowed = self.trade_fee_bps <= terms.max_fee_bps
        require(allowed, "TradeFeeAboveTerms", self.trade_fee_bps, terms.max_fee_bps)
        left = order.credits - self.filled_of(order_hash)
        part = min(terms.most, left)
        require(part != 0 and part >= terms.least, "BadFill", terms.most, terms.least, left)
        return order_hash, MicroCredit(part)

    def _check_credits(self, seller: str, buyer: str, net: int, fee: int) -> None:
        """Revert where the buyer's part or, after it, the fee could not be taken from the seller."""
        self.credit.check_transfer_from(self.address, seller, buyer, net)
        allowed = self.credit.allowances[seller, self.address]
        if fee and allowed != MAX_UINT256 and allowed - net < fee:
            raise Reverted("ERC20InsufficientAllowance", self.address, allowed - net, fee)
        left = self.credit.balance_of(seller) - net
        if fee and left < fee:
            raise Reverted("ERC20InsufficientBalance", seller, left, fee)

    def _check_token(self, address: str, sender: str, receiver: str, amount: int) -> None:
        token = self.tokens.get(address)
        moves = token is not None and token.would_move(self.address, sender, amount)
        require(moves, "TokenNotMoved", address, sender, receiver, amount)
        arrived = token.arriving(amount) if token is not None else 0
        require(arrived == amount, "TokenMovedOtherwise", address, arrived, amount)

    def _check_trade_fee(self, fee_bps: int) -> None:
        require(fee_bps <= self.MAX_TRADE_FEE_BPS, "TradeFeeTooHigh", fee_bps, self.MAX_TRADE_FEE_BPS)


def _word(value: int | str) -> bytes:
    """Return a number or an address as the 32 bytes the ABI gives it."""
    number = int(value, 16) if isinstance(value, str) else value
    return number.to_bytes(32, "big")
