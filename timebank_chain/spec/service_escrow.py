"""Offers, requests and orders: the credits between order and settlement, to the unit.

The drawing of an order's stages is in ``interfaces/IServiceEscrow.sol``. Until a stage's deadline its sides
act; after it nothing but ``move`` works, which anybody may call.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import IntEnum

from timebank_chain.spec.attention_credit import ZERO_ADDRESS, AttentionCredit
from timebank_chain.spec.fee_pool import ONE_BPS, FeePool
from timebank_chain.spec.revert import require
from timebank_chain.units import mul_div_down, mul_div_up

__all__ = [
    "Listing",
    "ListingKind",
    "Order",
    "Outcome",
    "Periods",
    "Proposal",
    "ServiceEscrow",
    "Stage",
]

_NO_HASH = bytes(32)
_MAX_STARS = 5


class ListingKind(IntEnum):
    """Who wrote a listing: who does the work, or who wants it done."""

    OFFER = 0
    REQUEST = 1


class Stage(IntEnum):
    """Where an order stands."""

    NONE = 0
    ASKED_PROVIDER = 1
    ASKED_BUYER = 2
    ACCEPTED = 3
    DELIVERED = 4
    CONTESTED = 5
    DISPUTED = 6
    SETTLED = 7
    CANCELLED = 8


class Outcome(IntEnum):
    """Why an order was settled as it was."""

    APPROVED = 0
    REFUNDED = 1
    CONCEDED = 2
    RULED = 3
    NOT_DELIVERED = 4
    NOT_REVIEWED = 5
    NOT_ANSWERED = 6
    NOT_RULED = 7


_ASKED = (Stage.ASKED_PROVIDER, Stage.ASKED_BUYER)
_AGREED = (Stage.ACCEPTED, Stage.DELIVERED, Stage.CONTESTED, Stage.DISPUTED)


@dataclass(frozen=True)
class Periods:
    """How long each side has, in seconds."""

    response: int
    review: int
    answer: int
    ruling: int


@dataclass(frozen=True)
class Proposal:
    """What the two sides bargain about; units as in ``interfaces/IServiceEscrow.sol``."""

    price: int = 0
    delivery: int = 0
    arbiter: str = ZERO_ADDRESS
    content_hash: bytes = _NO_HASH


@dataclass(frozen=True)
class Listing:
    """An offer or a request; zeros for none. Fields and units as in ``interfaces/IServiceEscrow.sol``."""

    owner: str = ZERO_ADDRESS
    expires_at: int = 0
    kind: ListingKind = ListingKind.OFFER
    stock: int = 0
    default_bps: int = 0
    periods: Periods = Periods(0, 0, 0, 0)
    proposal: Proposal = Proposal()


@dataclass
class Order:
    """An order; zeros for none. Fields and units as in ``interfaces/IServiceEscrow.sol``."""

    buyer: str = ZERO_ADDRESS
    deadline: int = 0
    stage: Stage = Stage.NONE
    revision: int = 0
    fee_bps: int = 0
    stars_by_buyer: int = 0
    stars_by_provider: int = 0
    provider: str = ZERO_ADDRESS
    listing_id: int = 0
    held: int = 0
    part: int = 0
    proposal: Proposal = Proposal()


@dataclass
class ServiceEscrow:
    """``market/ServiceEscrow.sol``: amounts in micro-credits, addresses as text, ``now`` in Unix seconds.

    Attributes
    ----------
    address
        Its own, as in the credit's balances.
    governor, guardian
        The only addresses with the roles for the fee and for pausing.
    listings, orders
        All there have ever been, by number.
    """

    MAX_SERVICE_FEE_BPS = 1_000
    MIN_PERIOD = 3_600
    MAX_PERIOD = 365 * 86_400

    credit: AttentionCredit
    fee_pool: FeePool
    address: str
    governor: str
    guardian: str
    service_fee_bps: int
    ordering_paused: bool = False
    pauses: int = 0
    listings: dict[int, Listing] = field(default_factory=dict)
    orders: dict[int, Order] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what the constructor refuses."""
        self._check_fee(self.service_fee_bps)

    # Listings

    def list(self, caller: str, listing: Listing, *, now: int) -> int:
        """Offer a service, or ask for one; return the listing's number."""
        require(now <= listing.expires_at, "ListingExpired", 0, listing.expires_at, now)
        require(listing.stock != 0, "SoldOut", 0)
        require(listing.default_bps <= ONE_BPS, "BadDefault", listing.default_bps)
        periods = listing.periods
        for period in (periods.response, periods.review, periods.answer, periods.ruling):
            self._check_period(period)
        self._check_possible(listing.proposal, self.service_fee_bps, caller, caller)

        listing_id = len(self.listings) + 1
        self.listings[listing_id] = replace(listing, owner=caller)
        return listing_id

    def set_stock(self, caller: str, listing_id: int, stock: int) -> None:
        """Change how many orders can still be accepted; only the owner."""
        listing = self._check_listing(listing_id)
        require(caller == listing.owner, "NotListingOwner", listing_id, caller, listing.owner)
        self.listings[listing_id] = replace(listing, stock=stock)

    # Agreeing

    def place_order(self, caller: str, listing_id: int, proposal: Proposal, *, now: int) -> int:
        """Place an order; the price comes in where the caller is the buyer. Return the order's number."""
        require(not self.ordering_paused, "OrderingPaused")
        listing = self._check_listing(listing_id)
        require(now <= listing.expires_at, "ListingExpired", listing_id, listing.expires_at, now)
        require(listing.stock != 0, "SoldOut", listing_id)
        require(listing.owner != caller, "OwnListing", listing_id, listing.owner)
        self._check_possible(proposal, self.service_fee_bps, listing.owner, caller)
        by_buyer = listing.kind == ListingKind.OFFER
        if by_buyer:
            self.credit.transfer_from(self.address, caller, self.address, proposal.price)

        order_id = len(self.orders) + 1
        buyer, provider = (caller, listing.owner) if by_buyer else (listing.owner, caller)
        order = Order(buyer=buyer, provider=provider, listing_id=listing_id, fee_bps=self.service_fee_bps)
        self.orders[order_id] = order
        self._propose(order, proposal, by_buyer, now)
        return order_id

    def counter(self, caller: str, order_id: int, proposal: Proposal, *, now: int) -> None:
        """Propose something else; the other side is asked."""
        order, by_buyer = self._check_asked(caller, order_id, now)
        self._check_possible(proposal, order.fee_bps, order.buyer, order.provider)
        if by_buyer:
            self._move_held(order, proposal.price)
        self._propose(order, proposal, by_buyer, now)

    def accept(self, caller: str, order_id: int, revision: int, *, now: int) -> None:
        """Accept the proposal that stands."""
        order, _ = self._check_asked(caller, order_id, now)
        require(order.revision == revision, "WrongRevision", order_id, revision, order.revision)
        listing = self.listings[order.listing_id]
        require(listing.stock != 0, "SoldOut", order.listing_id)
        self._move_held(order, order.proposal.price)
        self.listings[order.listing_id] = replace(listing, stock=listing.stock - 1)
        self._enter(order, Stage.ACCEPTED, now + order.proposal.delivery)

    def cancel(self, caller: str, order_id: int, *, now: int) -> None:
        """Take an order back, or decline it, before it is accepted."""
        order = self.order_of(order_id)
        require(order.stage in _ASKED, "WrongStage", order_id, order.stage)
        self._check_in_time(order_id, order, now)
        require(caller in (order.buyer, order.provider), "NotYours", order_id, caller)
        self._cancel(order)

    # Delivering

    def deliver(self, caller: str, order_id: int, *, now: int) -> None:
        """Say that it is done; only the provider."""
        order = self._check_stage(order_id, (Stage.ACCEPTED,), now)
        require(caller == order.provider, "NotYours", order_id, caller)
        self._enter(order, Stage.DELIVERED, now + self.listings[order.listing_id].periods.review)

    def approve(self, caller: str, order_id: int, *, now: int) -> None:
        """Pay the provider in full; only the buyer."""
        order = self._check_stage(order_id, _AGREED, now)
        require(caller == order.buyer, "NotYours", order_id, caller)
        self._settle(order, order.held)

    def refund(self, caller: str, order_id: int, *, now: int) -> None:
        """Give everything back; only the provider."""
        order = self._check_stage(order_id, _AGREED, now)
        require(caller == order.provider, "NotYours", order_id, caller)
        self._settle(order, 0)

    # Quarrelling

    def contest(self, caller: str, order_id: int, part: int, *, now: int) -> None:
        """Reject a delivery, or accept a part of it; only the buyer."""
        order = self._check_stage(order_id, (Stage.DELIVERED,), now)
        require(caller == order.buyer, "NotYours", order_id, caller)
        require(part < order.held, "BadPart", part, order.held)
        order.part = part
        self._enter(order, Stage.CONTESTED, now + self.listings[order.listing_id].periods.answer)

    def concede(self, caller: str, order_id: int, *, now: int) -> None:
        """Agree to the buyer's part; only the provider."""
        order = self._check_stage(order_id, (Stage.CONTESTED, Stage.DISPUTED), now)
        require(caller == order.provider, "NotYours", order_id, caller)
        self._settle(order, order.part)

    def dispute(self, caller: str, order_id: int, *, now: int) -> None:
        """Ask the arbiter; only the provider."""
        order = self._check_stage(order_id, (Stage.CONTESTED,), now)
        require(caller == order.provider, "NotYours", order_id, caller)
        self._enter(order, Stage.DISPUTED, now + self.listings[order.listing_id].periods.ruling)

    def rule(self, caller: str, order_id: int, to_provider: int, *, now: int) -> None:
        """Divide the credits; only the order's arbiter."""
        order = self._check_stage(order_id, (Stage.DISPUTED,), now)
        require(caller == order.proposal.arbiter, "NotYours", order_id, caller)
        require(to_provider <= order.held, "BadPart", to_provider, order.held)
        self._settle(order, to_provider)

    # Time

    def move(self, caller: str, order_id: int, *, now: int) -> None:
        """End an order whose deadline has passed; anybody may."""
        order = self.order_of(order_id)
        require(order.stage in _ASKED + _AGREED, "WrongStage", order_id, order.stage)
        require(now > order.deadline, "NotOverdue", order_id, order.deadline, now)
        if order.stage in _ASKED:
            self._cancel(order)
        elif order.stage == Stage.ACCEPTED:
            self._settle(order, 0)
        elif order.stage == Stage.DELIVERED:
            self._settle(order, order.held)
        elif order.stage == Stage.CONTESTED:
            self._settle(order, order.part)
        else:
            default_bps = self.listings[order.listing_id].default_bps
            self._settle(order, mul_div_down(order.held, default_bps, ONE_BPS))

    # Rating

    def rate(self, caller: str, order_id: int, stars: int) -> None:
        """Rate the other side of a settled order, once."""
        order = self.order_of(order_id)
        require(order.stage == Stage.SETTLED, "WrongStage", order_id, order.stage)
        require(caller in (order.buyer, order.provider), "NotYours", order_id, caller)
        require(1 <= stars <= _MAX_STARS, "BadStars", stars)
        earlier = order.stars_by_buyer if caller == order.buyer else order.stars_by_provider
        require(earlier == 0, "AlreadyRated", order_id, caller)
        if caller == order.buyer:
            order.stars_by_buyer = stars
        else:
            order.stars_by_provider = stars

    # Settings

    def set_service_fee(self, caller: str, new_fee_bps: int) -> None:
        """Change the fee of later orders."""
        require(caller == self.governor, "AccessManagedUnauthorized", caller)
        self._check_fee(new_fee_bps)
        self.service_fee_bps = new_fee_bps

    def pause_ordering(self, caller: str) -> None:
        """Stop placing, countering and accepting."""
        require(caller == self.guardian, "AccessManagedUnauthorized", caller)
        self.ordering_paused = True
        self.pauses += 1

    def resume_ordering(self, caller: str, pause: int) -> None:
        """Allow placing, countering and accepting again, by ending the pause of this number."""
        require(caller == self.governor, "AccessManagedUnauthorized", caller)
        require(pause == self.pauses, "WrongPause", pause, self.pauses)
        self.ordering_paused = False

    # Views

    def listing_of(self, listing_id: int) -> Listing:
        """Return a listing; zeros when there is none."""
        return self.listings.get(listing_id, Listing())

    def order_of(self, order_id: int) -> Order:
        """Return an order; zeros when there is none."""
        return self.orders.get(order_id, Order())

    # Checks

    def _check_asked(self, caller: str, order_id: int, now: int) -> tuple[Order, bool]:
        """Check that the caller is the side that is asked; return whether that is the buyer."""
        require(not self.ordering_paused, "OrderingPaused")
        order = self.order_of(order_id)
        require(order.stage in _ASKED, "WrongStage", order_id, order.stage)
        self._check_in_time(order_id, order, now)
        by_buyer = order.stage == Stage.ASKED_BUYER
        require(caller == (order.buyer if by_buyer else order.provider), "NotYours", order_id, caller)
        return order, by_buyer

    def _check_stage(self, order_id: int, stages: tuple[Stage, ...], now: int) -> Order:
        order = self.order_of(order_id)
        require(order.stage in stages, "WrongStage", order_id, order.stage)
        self._check_in_time(order_id, order, now)
        return order

    def _check_in_time(self, order_id: int, order: Order, now: int) -> None:
        require(now <= order.deadline, "TooLate", order_id, order.deadline, now)

    def _check_listing(self, listing_id: int) -> Listing:
        require(listing_id in self.listings, "NoSuchListing", listing_id)
        return self.listings[listing_id]

    def _check_possible(self, proposal: Proposal, fee_bps: int, one_side: str, other_side: str) -> None:
        fee = mul_div_up(proposal.price, fee_bps, ONE_BPS)
        require(proposal.price > fee, "BadPrice", proposal.price, fee)
        self._check_period(proposal.delivery)
        arbiter = proposal.arbiter
        require(arbiter not in (ZERO_ADDRESS, one_side, other_side), "BadArbiter", arbiter)

    def _check_period(self, period: int) -> None:
        possible = self.MIN_PERIOD <= period <= self.MAX_PERIOD
        require(possible, "BadPeriod", period, self.MIN_PERIOD, self.MAX_PERIOD)

    def _check_fee(self, fee_bps: int) -> None:
        require(fee_bps <= self.MAX_SERVICE_FEE_BPS, "ServiceFeeTooHigh", fee_bps, self.MAX_SERVICE_FEE_BPS)

    # Inside

    def _propose(self, order: Order, proposal: Proposal, by_buyer: bool, now: int) -> None:
        """Write what one side proposes and ask the other; a buyer's price is in escrow already."""
        order.proposal = proposal
        order.revision += 1
        if by_buyer:
            order.held = proposal.price
        stage = Stage.ASKED_PROVIDER if by_buyer else Stage.ASKED_BUYER
        self._enter(order, stage, now + self.listings[order.listing_id].periods.response)

    def _enter(self, order: Order, stage: Stage, deadline: int) -> None:
        order.stage, order.deadline = stage, deadline

    def _move_held(self, order: Order, held: int) -> None:
        """Take from the buyer what is missing, or give back what is too much."""
        if held > order.held:
            self.credit.transfer_from(self.address, order.buyer, self.address, held - order.held)
        elif held < order.held:
            self.credit.transfer(self.address, order.buyer, order.held - held)
        order.held = held

    def _cancel(self, order: Order) -> None:
        self.credit.transfer(self.address, order.buyer, order.held)
        order.stage, order.deadline, order.held = Stage.CANCELLED, 0, 0

    def _settle(self, order: Order, part: int) -> None:
        """Divide what is held: ``part`` to the provider, less the fee, and the rest to the buyer."""
        fee = mul_div_up(part, order.fee_bps, ONE_BPS)
        to_buyer = order.held - part
        order.stage, order.deadline, order.held, order.part = Stage.SETTLED, 0, 0, part
        self.credit.transfer(self.address, order.provider, part - fee)
        self.credit.transfer(self.address, order.buyer, to_buyer)
        self.credit.transfer(self.address, self.fee_pool.address, fee)
        if part:
            self.fee_pool.record_spending(self.address, part - fee)
