"""What happened in the market for services: one class per event of ServiceEscrow.

Fields, after ``at``, are the event's parameters in the order of the ABI; amounts in micro-credits, times in
Unix seconds. ``held`` is what is in escrow for an order once the event has happened.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from eth_typing import ChecksumAddress

from timebank_chain.chain.event import Event
from timebank_chain.spec.service_escrow import Listing, Outcome, Proposal, Stage


@dataclass(frozen=True, slots=True)
class ServiceListed(Event):
    """Somebody offers a service or asks for one."""

    listing_id: int
    owner: ChecksumAddress
    listing: Listing
    CONTRACT: ClassVar[str] = "ServiceEscrow"


@dataclass(frozen=True, slots=True)
class ServiceStockSet(Event):
    """The owner changed how many orders of a listing can still be accepted."""

    listing_id: int
    previous: int
    stock: int
    CONTRACT: ClassVar[str] = "ServiceEscrow"


@dataclass(frozen=True, slots=True)
class ServiceOrdered(Event):
    """An order was placed; the buyer of an offer paid ``held`` in."""

    order_id: int
    buyer: ChecksumAddress
    provider: ChecksumAddress
    listing_id: int
    stage: Stage
    proposal: Proposal
    held: int
    fee_bps: int
    deadline: int
    CONTRACT: ClassVar[str] = "ServiceEscrow"


@dataclass(frozen=True, slots=True)
class ServiceCountered(Event):
    """The side that was asked proposed something else."""

    order_id: int
    caller: ChecksumAddress
    revision: int
    stage: Stage
    proposal: Proposal
    held: int
    deadline: int
    CONTRACT: ClassVar[str] = "ServiceEscrow"


@dataclass(frozen=True, slots=True)
class ServiceAccepted(Event):
    """The two sides agree; ``stock`` orders of the listing can still be accepted."""

    order_id: int
    caller: ChecksumAddress
    held: int
    stock: int
    deadline: int
    CONTRACT: ClassVar[str] = "ServiceEscrow"


@dataclass(frozen=True, slots=True)
class ServiceCancelled(Event):
    """An order ended before it was accepted; ``lapsed`` if it was time that ended it."""

    order_id: int
    caller: ChecksumAddress
    refunded: int
    lapsed: bool
    CONTRACT: ClassVar[str] = "ServiceEscrow"


@dataclass(frozen=True, slots=True)
class ServiceDelivered(Event):
    """The provider says it is done."""

    order_id: int
    content_hash: bytes
    deadline: int
    CONTRACT: ClassVar[str] = "ServiceEscrow"


@dataclass(frozen=True, slots=True)
class ServiceContested(Event):
    """The buyer would pay ``part`` only, or nothing."""

    order_id: int
    part: int
    content_hash: bytes
    deadline: int
    CONTRACT: ClassVar[str] = "ServiceEscrow"


@dataclass(frozen=True, slots=True)
class ServiceDisputed(Event):
    """The provider asks the arbiter."""

    order_id: int
    arbiter: ChecksumAddress
    content_hash: bytes
    deadline: int
    CONTRACT: ClassVar[str] = "ServiceEscrow"


@dataclass(frozen=True, slots=True)
class ServiceSettled(Event):
    """The credits were divided: ``to_provider + fee + to_buyer`` were held."""

    order_id: int
    caller: ChecksumAddress
    outcome: Outcome
    to_provider: int
    fee: int
    to_buyer: int
    content_hash: bytes
    CONTRACT: ClassVar[str] = "ServiceEscrow"


@dataclass(frozen=True, slots=True)
class ServiceRated(Event):
    """One side of a settled order rated the other, 1 to 5."""

    order_id: int
    rater: ChecksumAddress
    rated: ChecksumAddress
    stars: int
    content_hash: bytes
    CONTRACT: ClassVar[str] = "ServiceEscrow"


@dataclass(frozen=True, slots=True)
class ServiceFeeSet(Event):
    """The fee of later orders changed, basis points."""

    previous_bps: int
    fee_bps: int
    CONTRACT: ClassVar[str] = "ServiceEscrow"


@dataclass(frozen=True, slots=True)
class OrderingPausedSet(Event):
    """The guardian stopped new orders, or the governor allowed them again."""

    paused: bool
    pause: int
    CONTRACT: ClassVar[str] = "ServiceEscrow"


SERVICE_EVENTS: tuple[type[Event], ...] = (
    ServiceListed,
    ServiceStockSet,
    ServiceOrdered,
    ServiceCountered,
    ServiceAccepted,
    ServiceCancelled,
    ServiceDelivered,
    ServiceContested,
    ServiceDisputed,
    ServiceSettled,
    ServiceRated,
    ServiceFeeSet,
    OrderingPausedSet,
)
