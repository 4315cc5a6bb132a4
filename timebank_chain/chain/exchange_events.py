"""What happened on the exchange: one class per event of CreditExchange.

Fields, after ``at``, are the event's parameters in the order of the ABI; credits in micro-credits, ``amount``
in the token's smallest units.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from eth_typing import ChecksumAddress

from timebank_chain.chain.credit_exchange import TradeOrder
from timebank_chain.chain.event import Event


@dataclass(frozen=True, slots=True)
class TradeFilled(Event):
    """An order was filled, whole or in part; ``fee`` is a part of ``credits``."""

    order_hash: bytes
    maker: ChecksumAddress
    taker: ChecksumAddress
    order: TradeOrder
    credits: int
    amount: int
    fee: int
    CONTRACT: ClassVar[str] = "CreditExchange"

    @property
    def seller(self) -> ChecksumAddress:
        """Who gave credits."""
        return self.maker if self.order.sells_credits else self.taker

    @property
    def buyer(self) -> ChecksumAddress:
        """Who got credits."""
        return self.taker if self.order.sells_credits else self.maker


@dataclass(frozen=True, slots=True)
class TradeOrderCancelled(Event):
    """An order was cancelled."""

    maker: ChecksumAddress
    order_hash: bytes
    CONTRACT: ClassVar[str] = "CreditExchange"


@dataclass(frozen=True, slots=True)
class TradeSeriesEnded(Event):
    """A maker ended a series of orders."""

    maker: ChecksumAddress
    new_series: int
    CONTRACT: ClassVar[str] = "CreditExchange"


@dataclass(frozen=True, slots=True)
class TradeFeeSet(Event):
    """The fee on fills changed, basis points."""

    previous_bps: int
    fee_bps: int
    CONTRACT: ClassVar[str] = "CreditExchange"


@dataclass(frozen=True, slots=True)
class TradingPausedSet(Event):
    """The guardian stopped filling, or the governor allowed it again."""

    paused: bool
    pause: int
    CONTRACT: ClassVar[str] = "CreditExchange"


#: Every event above.
EXCHANGE_EVENTS: tuple[type[Event], ...] = (
    TradeFilled,
    TradeOrderCancelled,
    TradeSeriesEnded,
    TradeFeeSet,
    TradingPausedSet,
)
