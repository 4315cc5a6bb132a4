"""An honest history of the market for services, on top of epochs as tests.audit.history makes them.

1.  a lesson is offered and ordered: paid; refunded; half of it ruled; a part conceded
2.  a garden wants help: the provider asks, both sides counter, the buyer accepts; nothing is delivered
3.  orders are cancelled and lapse in every stage; stock and fee change; ordering is paused and resumed
4.  both sides rate; at the end orders stand open in every stage, and credits lie where they were sent
    in error
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.audit.history import History, make_history
from timebank_chain.chain.connection import Connection
from timebank_chain.chain.member_registry import ZERO_ADDRESS
from timebank_chain.chain.transactions import Call
from timebank_chain.spec.service_escrow import Listing, ListingKind, Order, Periods, Proposal

HOUR = 3_600
DAY = 24 * HOUR
PRICE = 10_001
TEXT = b"\x07" * 32
OFFERER, BUYER, OTHER, ARBITER = "member1", "member2", "member3", "member4"


@dataclass
class ServiceHistory:
    """The history, and shorthands for what its members do."""

    history: History

    def send(self, role: str, call: Call) -> None:
        self.history.world.send(role, call)

    @property
    def escrow(self) -> Any:
        return self.history.world.timebank.service_escrow

    def order(self, number: int) -> Order:
        order: Order = self.escrow.order_of(number)
        return order

    def proposal(self, price: int = PRICE) -> Proposal:
        return Proposal(price, DAY, self.history.world.address(ARBITER), TEXT)

    def list(self, role: str, kind: ListingKind, stock: int = 20) -> int:
        now = self.history.connection.timestamp()
        listing = Listing(
            owner=ZERO_ADDRESS,
            expires_at=now + 300 * DAY,
            kind=kind,
            stock=stock,
            default_bps=3_333,
            periods=Periods(DAY, DAY, DAY, DAY),
            proposal=self.proposal(),
        )
        self.send(role, self.escrow.list_service(listing))
        return int(self.escrow.listing_count())

    def place(self, role: str, listing: int = 1, price: int = PRICE) -> int:
        self.send(role, self.escrow.place_order(listing, self.proposal(price)))
        return int(self.escrow.order_count())

    def accepted(self, role: str = BUYER) -> int:
        number = self.place(role)
        self.send(OFFERER, self.escrow.accept(number, 1))
        return number

    def delivered(self, role: str = BUYER) -> int:
        number = self.accepted(role)
        self.send(OFFERER, self.escrow.deliver(number, TEXT))
        return number

    def contested(self, part: int, role: str = BUYER) -> int:
        number = self.delivered(role)
        self.send(role, self.escrow.contest(number, part, TEXT))
        return number

    def disputed(self, part: int = 0, role: str = BUYER) -> int:
        number = self.contested(part, role)
        self.send(OFFERER, self.escrow.dispute(number, TEXT))
        return number

    def lapse(self, *numbers: int) -> None:
        """Wait for the last of their deadlines; a stranger moves them."""
        late = max(self.order(number).deadline for number in numbers) + 1
        self.history.connection.advance_time(late - self.history.connection.timestamp())
        for number in numbers:
            self.send("stranger", self.escrow.move(number))


def make_service_history(connection: Connection, folder: Path) -> History:
    """Live through the whole history on a fresh chain."""
    history = make_history(connection, folder)
    market = ServiceHistory(history)
    escrow, credit = market.escrow, history.world.timebank.attention_credit
    for role in (OFFERER, BUYER, OTHER):
        market.send(role, credit.approve(escrow.address, 1 << 62))

    market.list(OFFERER, ListingKind.OFFER)
    paid = market.delivered()
    market.send(BUYER, escrow.approve(paid))
    market.send(OFFERER, escrow.refund(market.accepted(OTHER)))
    ruled = market.disputed()
    market.send(ARBITER, escrow.rule(ruled, PRICE // 2, TEXT))
    market.send(OFFERER, escrow.concede(market.contested(3_000)))
    market.send(BUYER, escrow.rate(paid, 5, TEXT))
    market.send(OFFERER, escrow.rate(paid, 4, bytes(32)))

    wanted = market.list(BUYER, ListingKind.REQUEST)
    asked = market.place(OTHER, wanted, 20_000)
    market.send(BUYER, escrow.counter(asked, market.proposal(15_000)))
    market.send(OTHER, escrow.counter(asked, market.proposal(18_000)))
    market.send(BUYER, escrow.counter(asked, market.proposal(12_000)))
    market.send(OTHER, escrow.counter(asked, market.proposal(11_000)))
    market.send(BUYER, escrow.accept(asked, 5))

    history.world.govern(escrow.set_service_fee(100))
    market.send(BUYER, escrow.cancel(market.place(BUYER)))
    market.lapse(market.place(OTHER), market.delivered(OTHER), market.contested(1), market.disputed(), asked)
    market.send("guardian", escrow.pause_ordering())
    history.world.govern(escrow.resume_ordering(escrow.pauses()))
    market.send(OFFERER, escrow.set_stock(1, 7))

    market.place(BUYER)
    market.place(OTHER, wanted)
    market.accepted(OTHER)
    market.delivered()
    market.contested(5)
    market.disputed(7, OTHER)
    market.send(BUYER, credit.transfer(escrow.address, 123))
    return replace(history)
