"""The market for services from its events alone: every event is a call that the specification must allow.

The book replays ServiceEscrow's events through ``spec.service_escrow``, at the time of their blocks: whoever
an event names makes the call it tells of. What the specification refuses, and every number it would have
written differently, is kept as an anomaly. The credits each call must have moved come out of the same replay.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from timebank_chain.audit.book import Anomalies, Book
from timebank_chain.audit.evidence import Event
from timebank_chain.audit.replay import Position
from timebank_chain.spec.attention_credit import ZERO_ADDRESS, AttentionCredit
from timebank_chain.spec.fee_pool import FeePool
from timebank_chain.spec.revert import Reverted
from timebank_chain.spec.service_escrow import (
    Listing,
    ListingKind,
    Order,
    Outcome,
    Periods,
    Proposal,
    ServiceEscrow,
    Stage,
)

GROUP = "services"

#: What only a call that the contract refuses could have brought about.
_REFUSED = "the contract allows no such call at that time"


class _Told(AttentionCredit):
    """The credit as the escrow sees it: everybody can pay, and what moves is written down.

    Whether somebody could pay is for the transfers to show.
    """

    def __init__(self) -> None:
        super().__init__()
        self.moved: list[tuple[str, str, int]] = []

    def transfer(self, sender: str, receiver: str, amount: int) -> None:
        if amount:
            self.moved.append((sender, receiver, amount))

    def transfer_from(self, spender: str, owner: str, receiver: str, amount: int) -> None:
        self.transfer(owner, receiver, amount)


class ServiceBook(Book):
    """The state of the market for services.

    Attributes
    ----------
    spec
        The escrow as its events leave it.
    told
        Position of an event -> the transfers it tells of (sender, receiver, micro-credits), in order.
    ratings
        How many there are.
    """

    def __init__(self, addresses: Mapping[str, str], anomalies: Anomalies) -> None:
        super().__init__(addresses, anomalies)
        self._credit = _Told()
        escrow = addresses["ServiceEscrow"]
        pool = FeePool(
            self._credit, addresses["FeePool"], ZERO_ADDRESS, ZERO_ADDRESS, 0, 0, spenders={escrow}
        )
        # Roles are another check's: here whoever changes a setting may.
        self.spec = ServiceEscrow(self._credit, pool, escrow, ZERO_ADDRESS, ZERO_ADDRESS, service_fee_bps=0)
        self.told: dict[Position, list[tuple[str, str, int]]] = defaultdict(list)
        self.ratings = 0

    @property
    def held(self) -> int:
        """Micro-credits in escrow for open orders."""
        return sum(order.held for order in self.spec.orders.values())

    def apply(self, event: Event, now: int) -> None:
        """Book one event; a stage, kind or outcome there is not is an anomaly like others."""
        try:
            super().apply(event, now)
        except ValueError as error:
            self.anomaly(GROUP, event, "a stage, kind or outcome there is", error, _REFUSED)

    def _call(self, event: Event, call: Callable[[], Any]) -> Any:
        """Make the call an event tells of; ``None`` if it would have been refused."""
        try:
            result = call()
        except Reverted as refused:
            self.anomaly(GROUP, event, "a call that is allowed", f"one refused with {refused}", _REFUSED)
            return None
        self.told[event.position] += self._credit.moved
        self._credit.moved = []
        return True if result is None else result

    def _same(self, event: Event, **expected: object) -> None:
        """Compare what an event says with what the specification wrote."""
        for name, value in expected.items():
            self.equal(GROUP, event, name, value, "the event says otherwise than the call that made it")

    def _order(self, event: Event) -> Order:
        return self.spec.order_of(int(event.args["orderId"]))

    # ------------------------------------------------------------------ listings

    def _listed(self, event: Event, now: int) -> None:
        listing = listing_of(event.args["listing"])
        number = self._call(event, lambda: self.spec.list(event.args["owner"], listing, now=now))
        if number is not None:
            self._same(event, listingId=number)
            self.equal(
                GROUP,
                event,
                "listing",
                event.args["owner"],
                "a listing is of who wrote it",
                found=listing.owner,
            )

    def _stock_set(self, event: Event, now: int) -> None:
        number, stock = int(event.args["listingId"]), int(event.args["stock"])
        before = self.spec.listing_of(number)
        # Only the owner may; the event leaves the caller out.
        if self._call(event, lambda: self.spec.set_stock(before.owner, number, stock)):
            self._same(event, previous=before.stock)

    # ------------------------------------------------------------------ agreeing

    def _ordered(self, event: Event, now: int) -> None:
        args = event.args
        proposal, listing_id = proposal_of(args["proposal"]), int(args["listingId"])
        by_buyer = self.spec.listing_of(listing_id).kind == ListingKind.OFFER
        caller = args["buyer"] if by_buyer else args["provider"]
        number = self._call(event, lambda: self.spec.place_order(caller, listing_id, proposal, now=now))
        if number is not None:
            order = self.spec.order_of(number)
            self._same(
                event,
                orderId=number,
                buyer=order.buyer,
                provider=order.provider,
                stage=order.stage,
                held=order.held,
                feeBps=order.fee_bps,
                deadline=order.deadline,
            )

    def _countered(self, event: Event, now: int) -> None:
        args, proposal = event.args, proposal_of(event.args["proposal"])
        number = int(args["orderId"])
        if self._call(event, lambda: self.spec.counter(args["caller"], number, proposal, now=now)):
            order = self._order(event)
            self._same(
                event,
                revision=order.revision,
                stage=order.stage,
                held=order.held,
                deadline=order.deadline,
            )

    def _accepted(self, event: Event, now: int) -> None:
        number, caller = int(event.args["orderId"]), event.args["caller"]
        revision = self._order(event).revision
        if self._call(event, lambda: self.spec.accept(caller, number, revision, now=now)):
            order = self._order(event)
            stock = self.spec.listing_of(order.listing_id).stock
            self._same(event, held=order.held, stock=stock, deadline=order.deadline)

    def _cancelled(self, event: Event, now: int) -> None:
        number, caller = int(event.args["orderId"]), event.args["caller"]
        held, asked = self._order(event).held, (Stage.ASKED_PROVIDER, Stage.ASKED_BUYER)
        if event.args["lapsed"] and self._order(event).stage in asked:
            done = self._call(event, lambda: self.spec.move(caller, number, now=now))
        else:
            done = self._call(event, lambda: self.spec.cancel(caller, number, now=now))
        if done:
            self._same(event, refunded=held)

    # ------------------------------------------------------------------ delivering, quarrelling

    def _delivered(self, event: Event, now: int) -> None:
        order, number = self._order(event), int(event.args["orderId"])
        if self._call(event, lambda: self.spec.deliver(order.provider, number, now=now)):
            self._same(event, deadline=order.deadline)

    def _contested(self, event: Event, now: int) -> None:
        order, number, part = self._order(event), int(event.args["orderId"]), int(event.args["part"])
        if self._call(event, lambda: self.spec.contest(order.buyer, number, part, now=now)):
            self._same(event, deadline=order.deadline)

    def _disputed(self, event: Event, now: int) -> None:
        order, number = self._order(event), int(event.args["orderId"])
        if self._call(event, lambda: self.spec.dispute(order.provider, number, now=now)):
            self._same(event, arbiter=order.proposal.arbiter, deadline=order.deadline)

    def _settled(self, event: Event, now: int) -> None:
        args, spec, number = event.args, self.spec, int(event.args["orderId"])
        order, caller, outcome = self._order(event), event.args["caller"], Outcome(event.args["outcome"])
        held = order.held
        part = int(args["toProvider"]) + int(args["fee"])
        calls: dict[Outcome, Callable[[], None]] = {
            Outcome.APPROVED: lambda: spec.approve(caller, number, now=now),
            Outcome.REFUNDED: lambda: spec.refund(caller, number, now=now),
            Outcome.CONCEDED: lambda: spec.concede(caller, number, now=now),
            Outcome.RULED: lambda: spec.rule(caller, number, part, now=now),
        }
        silence = {
            Stage.ACCEPTED: Outcome.NOT_DELIVERED,
            Stage.DELIVERED: Outcome.NOT_REVIEWED,
            Stage.CONTESTED: Outcome.NOT_ANSWERED,
            Stage.DISPUTED: Outcome.NOT_RULED,
        }
        if outcome not in calls:
            self._same(event, outcome=silence.get(order.stage))
        call = calls.get(outcome, lambda: spec.move(caller, number, now=now))
        if self._call(event, call):
            fee = -(-order.part * order.fee_bps // 10_000)
            self._same(event, toProvider=order.part - fee, fee=fee, toBuyer=held - order.part)

    # ------------------------------------------------------------------ rating, settings

    def _rated(self, event: Event, now: int) -> None:
        args, number = event.args, int(event.args["orderId"])
        rater, stars = args["rater"], int(args["stars"])
        if self._call(event, lambda: self.spec.rate(rater, number, stars)):
            self.ratings += 1
            order = self._order(event)
            self._same(event, rated=order.provider if rater == order.buyer else order.buyer)

    def _fee_set(self, event: Event, now: int) -> None:
        self._same(event, previousBps=self.spec.service_fee_bps)
        self._call(event, lambda: self.spec.set_service_fee(ZERO_ADDRESS, int(event.args["feeBps"])))

    def _paused_set(self, event: Event, now: int) -> None:
        self.spec.ordering_paused = bool(event.args["paused"])

    HANDLERS: ClassVar[Mapping[str, Callable[[Any, Event, int], None]]] = {
        "ServiceListed": _listed,
        "ServiceStockSet": _stock_set,
        "ServiceOrdered": _ordered,
        "ServiceCountered": _countered,
        "ServiceAccepted": _accepted,
        "ServiceCancelled": _cancelled,
        "ServiceDelivered": _delivered,
        "ServiceContested": _contested,
        "ServiceDisputed": _disputed,
        "ServiceSettled": _settled,
        "ServiceRated": _rated,
        "ServiceFeeSet": _fee_set,
        "OrderingPausedSet": _paused_set,
    }


def proposal_of(values: Mapping[str, Any]) -> Proposal:
    """Read the struct ``Proposal`` as an event or a view gives it."""
    return Proposal(
        price=int(values["price"]),
        delivery=int(values["delivery"]),
        arbiter=values["arbiter"],
        content_hash=bytes(values["contentHash"]),
    )


def listing_of(values: Mapping[str, Any]) -> Listing:
    """Read the struct ``Listing`` as an event or a view gives it."""
    periods = values["periods"]
    return Listing(
        owner=values["owner"],
        expires_at=int(values["expiresAt"]),
        kind=ListingKind(values["kind"]),
        stock=int(values["stock"]),
        default_bps=int(values["defaultBps"]),
        periods=Periods(*(int(periods[name]) for name in ("response", "review", "answer", "ruling"))),
        proposal=proposal_of(values["proposal"]),
    )


def order_of(values: Mapping[str, Any]) -> Order:
    """Read the struct ``Order`` as a view gives it."""
    return Order(
        buyer=values["buyer"],
        deadline=int(values["deadline"]),
        stage=Stage(values["stage"]),
        revision=int(values["revision"]),
        fee_bps=int(values["feeBps"]),
        stars_by_buyer=int(values["starsByBuyer"]),
        stars_by_provider=int(values["starsByProvider"]),
        provider=values["provider"],
        listing_id=int(values["listingId"]),
        held=int(values["held"]),
        part=int(values["part"]),
        proposal=proposal_of(values["proposal"]),
    )
