"""CreditExchange: credits against any ERC-20 or the chain's own coin, by signed orders.

A maker signs a :class:`TradeOrder` off chain: no transaction, no gas; ``order_book`` keeps orders in files.
Credits are micro-credits, ``amount`` the token's smallest units, times Unix seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

from eth_typing import ChecksumAddress
from eth_utils.address import to_checksum_address
from web3.types import BlockIdentifier

from timebank_chain.chain.member_registry import ZERO_ADDRESS
from timebank_chain.chain.pausing import Pausing
from timebank_chain.chain.signer import Signer
from timebank_chain.chain.transactions import Call
from timebank_chain.chain.typed_data import MessageType
from timebank_chain.errors import TradeOrderError
from timebank_chain.units import MicroCredit, mul_div_down, mul_div_up

#: Stands for the chain's own coin.
COIN = ZERO_ADDRESS

#: The contract's ``MAX_TRADE_FEE_BPS``: five percent.
MAX_TRADE_FEE_BPS = 500

ONE_BPS = 10_000

#: What a maker signs.
ORDER_TYPE = MessageType(
    "timebank CreditExchange",
    "TradeOrder",
    (
        ("maker", "maker", "address"),
        ("taker", "taker", "address"),
        ("token", "token", "address"),
        ("sells_credits", "sellsCredits", "bool"),
        ("credits", "credits", "uint64"),
        ("amount", "amount", "uint128"),
        ("max_fee_bps", "maxFeeBps", "uint16"),
        ("expires_at", "expiresAt", "uint40"),
        ("series", "series", "uint64"),
        ("salt", "salt", "uint256"),
    ),
)


def trade_fee(part: int, fee_bps: int) -> MicroCredit:
    """Return the fee on micro-credits exchanged, rounded up as the contract does."""
    return MicroCredit(mul_div_up(part, fee_bps, ONE_BPS))


@dataclass(frozen=True, slots=True)
class TradeOrder:
    """What a maker signs.

    Attributes
    ----------
    maker
        Who offers; a contract wallet signs by ERC-1271.
    taker
        Who may fill it; the zero address means anybody.
    token
        What credits are exchanged for: an ERC-20, or the zero address for the chain's own coin.
    sells_credits
        Whether the maker gives credits for the token, or the token for credits.
    credits
        Micro-credits in all, fee included.
    amount
        Units of the token for all credits.
    max_fee_bps
        Highest fee at which it can be filled, basis points.
    expires_at
        Unix seconds until which it can be filled.
    series
        The maker's :meth:`CreditExchange.series_of` at the time of signing.
    salt
        Makes orders with equal terms different.

    Raises
    ------
    TradeOrderError
        If the contract would refuse it whatever happens, or a number does not fit its type.
    """

    maker: ChecksumAddress
    taker: ChecksumAddress
    token: ChecksumAddress
    sells_credits: bool
    credits: MicroCredit
    amount: int
    max_fee_bps: int
    expires_at: int
    series: int
    salt: int

    def __post_init__(self) -> None:
        ORDER_TYPE.require_ranges(self, TradeOrderError)
        for attribute in ("credits", "amount"):
            if getattr(self, attribute) == 0:
                raise TradeOrderError("0 is no side of a trade", where=f"field {attribute!r}")
        if not self.sells_credits and self.token == COIN:
            raise TradeOrderError(
                "the chain's own coin cannot be signed away: nothing could fetch it",
                where="field 'token'",
                hint="buy with a wrapped coin (an ERC-20), or fill an order that sells credits for coin",
            )

    def amount_for(self, part: int) -> int:
        """Return the token's side of a part (micro-credits), rounded for the maker as the contract does."""
        divide = mul_div_up if self.sells_credits else mul_div_down
        return divide(self.amount, part, self.credits)

    def digest(self, chain_id: int, contract: str) -> bytes:
        """Return the EIP-712 digest for the exchange ``contract``: what is signed, and its hash there."""
        return ORDER_TYPE.digest(self.as_call(), chain_id, contract)

    def typed_data(self, chain_id: int, contract: str) -> dict[str, Any]:
        """Return what a wallet shows and signs by ``eth_signTypedData_v4``; its large numbers are text."""
        return ORDER_TYPE.for_wallet(self.as_call(), chain_id, contract)

    def sign(self, signer: Signer, chain_id: int, contract: str) -> bytes:
        """Sign for the CreditExchange ``contract`` on a chain and return the 65 bytes ``r || s || v``.

        Raises
        ------
        TradeOrderError
            If the signer is not the maker.
        """
        if signer.address != self.maker:
            raise TradeOrderError(
                f"the order is {self.maker}'s, the wallet signs as {signer.address}",
                hint="sign with the maker's wallet, or make an order of your own",
            )
        return signer.sign_digest(self.digest(chain_id, contract))

    def as_call(self) -> tuple[str | int, ...]:
        """Return the fields in the order of the contract's struct ``TradeOrder``."""
        return tuple(getattr(self, field.name) for field in fields(self))

    @classmethod
    def from_call(cls, values: Sequence[Any]) -> Self:
        """Read the contract's struct ``TradeOrder``."""
        maker, taker, token, sells_credits, micro, *rest = values
        return cls(
            to_checksum_address(maker),
            to_checksum_address(taker),
            to_checksum_address(token),
            sells_credits,
            MicroCredit(micro),
            *rest,
        )


@dataclass(frozen=True, slots=True)
class OrderStatus:
    """What stands behind an order at one block (``CreditExchange.inspect``).

    Attributes
    ----------
    order_hash
        Its name on the contract.
    filled
        Micro-credits of it that were exchanged.
    cancelled, signature_valid
        Whether it was cancelled by itself, and whether the signature is the maker's.
    series
        The series the maker's orders must be signed under.
    balance, allowance
        What the maker has of what it gives (micro-credits, or units of the token), and what of it the
        exchange may move.
    """

    order_hash: bytes
    filled: MicroCredit
    cancelled: bool
    signature_valid: bool
    series: int
    balance: int
    allowance: int


class CreditExchange(Pausing):
    """Members exchange credits for tokens and coin by signed orders."""

    NAME: ClassVar[str] = "CreditExchange"

    def hash_order(self, order: TradeOrder) -> bytes:
        """Return the contract's own hash of an order; equals ``order.digest``."""
        return bytes(self._read("hashOrder", order.as_call()))

    def filled_of(self, order_hash: bytes, *, block: BlockIdentifier = "latest") -> MicroCredit:
        """Return what was exchanged of an order so far."""
        return MicroCredit(self._read("filledOf", order_hash, block=block))

    def is_cancelled(self, order_hash: bytes, *, block: BlockIdentifier = "latest") -> bool:
        """Return whether an order was cancelled by itself; :meth:`cancel_all` shows in :meth:`series_of`."""
        return bool(self._read("isCancelled", order_hash, block=block))

    def series_of(self, maker: str, *, block: BlockIdentifier = "latest") -> int:
        """Return the series a maker's orders must be signed under."""
        return int(self._read("seriesOf", maker, block=block))

    def quote(
        self, order: TradeOrder, part: int, *, block: BlockIdentifier = "latest"
    ) -> tuple[int, MicroCredit]:
        """Return what a part of an order costs now: units of the token, and the fee of the credits."""
        amount, fee = self._read("quote", order.as_call(), part, block=block)
        return int(amount), MicroCredit(fee)

    def inspect(
        self, orders: Sequence[TradeOrder], signatures: Sequence[bytes], *, block: BlockIdentifier = "latest"
    ) -> list[OrderStatus]:
        """Return what stands behind many orders, in one call."""
        found = self._read("inspect", [order.as_call() for order in orders], list(signatures), block=block)
        return [
            OrderStatus(bytes(order_hash), MicroCredit(filled), *rest) for order_hash, filled, *rest in found
        ]

    def trade_fee_bps(self, *, block: BlockIdentifier = "latest") -> int:
        """Return the fee on fills, basis points of the credits."""
        return int(self._read("tradeFeeBps", block=block))

    def trading_paused(self, *, block: BlockIdentifier = "latest") -> bool:
        """Return whether the guardian has stopped filling."""
        return bool(self._read("tradingPaused", block=block))

    def max_trade_fee_bps(self) -> int:
        """Return the highest fee governance can set, basis points."""
        return int(self._read("MAX_TRADE_FEE_BPS"))

    def credit(self) -> ChecksumAddress:
        """Return the credit that is exchanged."""
        return to_checksum_address(self._read("credit"))

    def fee_pool(self) -> ChecksumAddress:
        """Return where fees go."""
        return to_checksum_address(self._read("feePool"))

    def fill(
        self,
        order: TradeOrder,
        signature: bytes,
        most: int,
        limit: int,
        *,
        least: int = 1,
        max_fee_bps: int | None = None,
    ) -> Call:
        """Propose filling an order up to a part; coin goes along where the order asks for it.

        Parameters
        ----------
        most
            Micro-credits, fee included; when less is left of the order, that is filled.
        limit
            Units of the token for ``most``, for fewer credits its share: the most to pay where the order
            sells credits, the least to get where it buys.
        least
            Micro-credits below which nothing is to happen; ``most`` for all or nothing.
        max_fee_bps
            Highest fee to trade at, basis points; the order's own when not given.

        Notes
        -----
        Coin that the fill does not cost comes back in the same transaction.
        """
        return self._write(
            "fill",
            value=order.amount_for(most) if order.token == COIN else 0,
            order=order.as_call(),
            signature=signature,
            terms=(most, least, order.max_fee_bps if max_fee_bps is None else max_fee_bps, limit),
        )

    def cancel(self, order: TradeOrder) -> Call:
        """Propose cancelling an order (its maker)."""
        return self._write("cancel", order=order.as_call())

    def cancel_all(self) -> Call:
        """Propose ending the sender's series: every order signed under it is void."""
        return self._write("cancelAll")

    def set_trade_fee(self, fee_bps: int) -> Call:
        """Propose another fee on later fills (governance)."""
        return self._write("setTradeFee", newFeeBps=fee_bps)

    def pause_trading(self) -> Call:
        """Propose stopping the filling of orders (guardian)."""
        return self._write("pauseTrading")

    def resume_trading(self, pause: int) -> Call:
        """Propose allowing the filling of orders again, by ending the pause of this number (governor)."""
        return self._write("resumeTrading", pause=pause)
