"""ServiceEscrow: offers, requests, and the credits between order and settlement.

Listings and orders come as the specification's own types, with checksummed addresses. Amounts are
micro-credits, times and periods Unix seconds and seconds. What a text says stands off chain, under its
hash: see ``timebank_chain.content``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from eth_typing import ChecksumAddress
from eth_utils.address import to_checksum_address
from web3.types import BlockIdentifier

from timebank_chain.chain.member_registry import ZERO_ADDRESS
from timebank_chain.chain.pausing import Pausing
from timebank_chain.chain.transactions import Call
from timebank_chain.spec.service_escrow import Listing, ListingKind, Order, Periods, Proposal, Stage

#: The contract's ``MIN_PERIOD`` and ``MAX_PERIOD``, seconds.
MIN_PERIOD = 3_600
MAX_PERIOD = 365 * 86_400

#: No text: what stands where a hash could.
NO_TEXT = bytes(32)


def proposal_from_call(values: Sequence[Any]) -> Proposal:
    """Read the contract's struct ``Proposal``."""
    price, delivery, arbiter, content_hash = values
    return Proposal(price, delivery, to_checksum_address(arbiter), bytes(content_hash))


def listing_from_call(values: Sequence[Any]) -> Listing:
    """Read the contract's struct ``Listing``."""
    owner, expires_at, kind, stock, default_bps, periods, proposal = values
    return Listing(
        owner=to_checksum_address(owner),
        expires_at=expires_at,
        kind=ListingKind(kind),
        stock=stock,
        default_bps=default_bps,
        periods=Periods(*periods),
        proposal=proposal_from_call(proposal),
    )


def order_from_call(values: Sequence[Any]) -> Order:
    """Read the contract's struct ``Order``."""
    (
        buyer,
        deadline,
        stage,
        revision,
        fee_bps,
        stars_by_buyer,
        stars_by_provider,
        provider,
        listing_id,
        held,
        part,
        proposal,
    ) = values
    return Order(
        buyer=to_checksum_address(buyer),
        deadline=deadline,
        stage=Stage(stage),
        revision=revision,
        fee_bps=fee_bps,
        stars_by_buyer=stars_by_buyer,
        stars_by_provider=stars_by_provider,
        provider=to_checksum_address(provider),
        listing_id=listing_id,
        held=held,
        part=part,
        proposal=proposal_from_call(proposal),
    )


def proposal_as_call(proposal: Proposal) -> tuple[Any, ...]:
    """Return a proposal in the order of the contract's struct."""
    return (proposal.price, proposal.delivery, proposal.arbiter, proposal.content_hash)


def listing_as_call(listing: Listing) -> tuple[Any, ...]:
    """Return a listing in the order of the contract's struct."""
    periods = listing.periods
    return (
        listing.owner,
        listing.expires_at,
        int(listing.kind),
        listing.stock,
        listing.default_bps,
        (periods.response, periods.review, periods.answer, periods.ruling),
        proposal_as_call(listing.proposal),
    )


class ServiceEscrow(Pausing):
    """Members offer services and ask for them; credits wait in escrow until the work is done."""

    NAME: ClassVar[str] = "ServiceEscrow"

    def listing_of(self, listing_id: int, *, block: BlockIdentifier = "latest") -> Listing | None:
        """Return a listing, or ``None`` when there is none."""
        listing = listing_from_call(self._read("listingOf", listing_id, block=block))
        return None if listing.owner == ZERO_ADDRESS else listing

    def order_of(self, order_id: int, *, block: BlockIdentifier = "latest") -> Order | None:
        """Return an order, or ``None`` when there is none."""
        order = order_from_call(self._read("orderOf", order_id, block=block))
        return None if order.stage == Stage.NONE else order

    def listing_count(self, *, block: BlockIdentifier = "latest") -> int:
        """Return how many listings there were: the number of the newest."""
        return int(self._read("listingCount", block=block))

    def order_count(self, *, block: BlockIdentifier = "latest") -> int:
        """Return how many orders there were: the number of the newest."""
        return int(self._read("orderCount", block=block))

    def service_fee_bps(self, *, block: BlockIdentifier = "latest") -> int:
        """Return the fee on what providers get from new orders, basis points."""
        return int(self._read("serviceFeeBps", block=block))

    def ordering_paused(self, *, block: BlockIdentifier = "latest") -> bool:
        """Return whether the guardian has stopped new orders."""
        return bool(self._read("orderingPaused", block=block))

    def max_service_fee_bps(self) -> int:
        """Return the highest fee governance can set, basis points."""
        return int(self._read("MAX_SERVICE_FEE_BPS"))

    def min_period(self) -> int:
        """Return the shortest time a side can have, seconds."""
        return int(self._read("MIN_PERIOD"))

    def max_period(self) -> int:
        """Return the longest time a side can have, seconds."""
        return int(self._read("MAX_PERIOD"))

    def credit(self) -> ChecksumAddress:
        """Return the credit services are paid in."""
        return to_checksum_address(self._read("credit"))

    def fee_pool(self) -> ChecksumAddress:
        """Return where fees go."""
        return to_checksum_address(self._read("feePool"))

    def list_service(self, listing: Listing) -> Call:
        """Propose a listing of the sender; its ``owner`` is ignored."""
        return self._write("list", listing=listing_as_call(listing))

    def set_stock(self, listing_id: int, stock: int) -> Call:
        """Propose how many orders can still be accepted; 0 ends the listing (its owner)."""
        return self._write("setStock", listingId=listing_id, stock=stock)

    def place_order(self, listing_id: int, proposal: Proposal) -> Call:
        """Propose an order; on an offer the price, approved before, goes into escrow."""
        return self._write("placeOrder", listingId=listing_id, proposal=proposal_as_call(proposal))

    def counter(self, order_id: int, proposal: Proposal) -> Call:
        """Propose something else (the side that is asked)."""
        return self._write("counter", orderId=order_id, proposal=proposal_as_call(proposal))

    def accept(self, order_id: int, revision: int) -> Call:
        """Propose accepting the proposal of this number (the side that is asked)."""
        return self._write("accept", orderId=order_id, revision=revision)

    def cancel(self, order_id: int) -> Call:
        """Propose ending an order that is not accepted yet (either side)."""
        return self._write("cancel", orderId=order_id)

    def deliver(self, order_id: int, content_hash: bytes) -> Call:
        """Propose saying that it is done (the provider)."""
        return self._write("deliver", orderId=order_id, contentHash=content_hash)

    def approve(self, order_id: int) -> Call:
        """Propose paying the provider in full (the buyer)."""
        return self._write("approve", orderId=order_id)

    def refund(self, order_id: int) -> Call:
        """Propose giving everything back (the provider)."""
        return self._write("refund", orderId=order_id)

    def contest(self, order_id: int, part: int, content_hash: bytes) -> Call:
        """Propose paying a part of a delivery only, or nothing (the buyer)."""
        return self._write("contest", orderId=order_id, part=part, contentHash=content_hash)

    def concede(self, order_id: int) -> Call:
        """Propose agreeing to the buyer's part (the provider)."""
        return self._write("concede", orderId=order_id)

    def dispute(self, order_id: int, content_hash: bytes) -> Call:
        """Propose asking the arbiter (the provider)."""
        return self._write("dispute", orderId=order_id, contentHash=content_hash)

    def rule(self, order_id: int, to_provider: int, content_hash: bytes) -> Call:
        """Propose a division of the credits (the arbiter)."""
        return self._write("rule", orderId=order_id, toProvider=to_provider, contentHash=content_hash)

    def move(self, order_id: int) -> Call:
        """Propose ending an order whose deadline has passed; anyone may."""
        return self._write("move", orderId=order_id)

    def rate(self, order_id: int, stars: int, content_hash: bytes) -> Call:
        """Propose rating the other side of a settled order, 1 to 5."""
        return self._write("rate", orderId=order_id, stars=stars, contentHash=content_hash)

    def set_service_fee(self, fee_bps: int) -> Call:
        """Propose another fee of later orders (governance)."""
        return self._write("setServiceFee", newFeeBps=fee_bps)

    def pause_ordering(self) -> Call:
        """Propose stopping new orders (guardian)."""
        return self._write("pauseOrdering")

    def resume_ordering(self, pause: int) -> Call:
        """Propose allowing new orders again, by ending the pause of this number (governor)."""
        return self._write("resumeOrdering", pause=pause)
