"""The exchange as its events leave it: what was filled of each order, which orders and series are over.

A fill's event carries its whole order, so that each is judged by itself: the price by the order's, the fee by
the rate in force, the part by what was left.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from timebank_chain.audit.book import ONE_BPS, Anomalies, Book
from timebank_chain.audit.evidence import Event
from timebank_chain.audit.replay import ZERO_ADDRESS
from timebank_chain.units import mul_div_down, mul_div_up

#: Bound of the contract.
MAX_TRADE_FEE_BPS = 500


@dataclass(frozen=True)
class Fill:
    """One fill; micro-credits, and units of the order's token.

    Attributes
    ----------
    order
        The order's fields by their names in Solidity.
    fee_bps
        The fee in force, basis points.
    seller, buyer
        Of credits.
    """

    event: Event
    order_hash: bytes
    order: Mapping[str, Any]
    maker: str
    taker: str
    credits: int
    amount: int
    fee: int
    fee_bps: int

    @property
    def seller(self) -> str:
        """Who gave credits."""
        return self.maker if self.order["sellsCredits"] else self.taker

    @property
    def buyer(self) -> str:
        """Who got credits."""
        return self.taker if self.order["sellsCredits"] else self.maker


class ExchangeBook(Book):
    """The state of the exchange.

    Attributes
    ----------
    fills
        Every fill in the order of the chain.
    filled, cancelled
        Order -> micro-credits exchanged of it; orders cancelled.
    series
        Maker -> its series.
    """

    def __init__(self, addresses: Mapping[str, str], anomalies: Anomalies) -> None:
        super().__init__(addresses, anomalies)
        self.fills: list[Fill] = []
        self.filled: dict[bytes, int] = defaultdict(int)
        self.cancelled: dict[bytes, Event] = {}
        self.series: dict[str, int] = defaultdict(int)
        self.fee_bps = 0
        self.paused = False

    @property
    def makers(self) -> set[str]:
        """Whoever ended a series or had an order filled."""
        return set(self.series) | {fill.maker for fill in self.fills}

    def _filled(self, event: Event, now: int) -> None:
        args = event.args
        order = args["order"]
        fill = Fill(
            event=event,
            order_hash=args["orderHash"],
            order=order,
            maker=args["maker"],
            taker=args["taker"],
            credits=int(args["credits"]),
            amount=int(args["amount"]),
            fee=int(args["fee"]),
            fee_bps=self.fee_bps,
        )
        self.equal("exchange", event, "maker", order["maker"], "another than the order's maker gave")
        divide = mul_div_up if order["sellsCredits"] else mul_div_down
        if self.require(
            int(order["credits"]) > 0 and int(order["amount"]) > 0,
            "exchange",
            event,
            "an order with a price",
            f"{order['credits']} micro-credits for {order['amount']} units",
            "an order over nothing was filled",
        ):
            amount = divide(int(order["amount"]), fill.credits, int(order["credits"]))
            self.equal(
                "exchange",
                event,
                "amount",
                amount,
                "the price is not the order's, rounded for the maker",
            )
        fee = mul_div_up(fill.credits, self.fee_bps, ONE_BPS)
        self.equal("exchange", event, "fee", fee, f"another fee than {self.fee_bps} basis points, rounded up")
        left = int(order["credits"]) - self.filled[fill.order_hash]
        allowed = (
            not self.paused
            and fill.order_hash not in self.cancelled
            and int(order["series"]) == self.series.get(fill.maker, 0)
            and now <= int(order["expiresAt"])
            and order["taker"] in (ZERO_ADDRESS, fill.taker)
            and fill.taker != fill.maker
            and self.fee_bps <= int(order["maxFeeBps"])
            and 0 < fill.credits <= left
            and fill.amount > 0
        )
        self.require(
            allowed,
            "exchange",
            event,
            "a part within an order that is open",
            f"{fill.credits} of {left} left, by {fill.taker} at {now}",
            "an order was filled that did not allow it",
        )
        self.fills.append(fill)
        self.filled[fill.order_hash] += fill.credits

    def _cancelled(self, event: Event, _now: int) -> None:
        # Cancelling again changes nothing: the first one counts.
        self.cancelled.setdefault(event.args["orderHash"], event)

    def _series_ended(self, event: Event, _now: int) -> None:
        maker, new = event.args["maker"], int(event.args["newSeries"])
        self.equal("exchange", event, "newSeries", self.series[maker] + 1, "series follow one another")
        self.series[maker] = new

    def _fee_set(self, event: Event, _now: int) -> None:
        fee = int(event.args["feeBps"])
        self.equal("exchange", event, "previousBps", self.fee_bps, "the fee was changed without an event")
        self.require(
            fee <= MAX_TRADE_FEE_BPS,
            "exchange",
            event,
            f"at most {MAX_TRADE_FEE_BPS}",
            fee,
            "the fee on trades is bounded",
        )
        self.fee_bps = fee

    def _paused_set(self, event: Event, _now: int) -> None:
        self.paused = bool(event.args["paused"])

    HANDLERS: ClassVar[Mapping[str, Callable[[Any, Event, int], None]]] = {
        "TradeFilled": _filled,
        "TradeOrderCancelled": _cancelled,
        "TradeSeriesEnded": _series_ended,
        "TradeFeeSet": _fee_set,
        "TradingPausedSet": _paused_set,
    }
