"""What became of an order, from its events: proposals, delivery, quarrel, settlement, ratings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from eth_typing import ChecksumAddress

from timebank_chain.chain.accrual import ANOTHER_NODE
from timebank_chain.chain.event import Event
from timebank_chain.chain.events import read_events
from timebank_chain.chain.node_errors import translated
from timebank_chain.chain.service_escrow import NO_TEXT
from timebank_chain.chain.service_events import (
    ServiceAccepted,
    ServiceCancelled,
    ServiceContested,
    ServiceCountered,
    ServiceDelivered,
    ServiceDisputed,
    ServiceOrdered,
    ServiceRated,
    ServiceSettled,
)
from timebank_chain.chain.service_reverts import STAGE_WORDS, WrongStage
from timebank_chain.chain.system import Timebank
from timebank_chain.errors import CheckFailed
from timebank_chain.spec.service_escrow import Listing, Order, Outcome, Stage

ORDER_EVENTS: tuple[type[Event], ...] = (
    ServiceOrdered,
    ServiceCountered,
    ServiceAccepted,
    ServiceCancelled,
    ServiceDelivered,
    ServiceContested,
    ServiceDisputed,
    ServiceSettled,
    ServiceRated,
)


@dataclass(frozen=True)
class OrderStep:
    """One thing that happened to an order.

    Attributes
    ----------
    time, block
        Unix seconds and number of the block.
    kind
        ``ordered``, ``countered``, ``accepted``, ``cancelled``, ``lapsed``, ``delivered``, ``contested``,
        ``disputed``, ``settled: ...`` with the reason, or ``rated``.
    by
        Who did it; ``None`` where the event leaves out the only one who could.
    amount
        Micro-credits: the price proposed, held, refunded, offered as a part, or paid to the provider with
        the fee; for a rating its stars.
    content_hash
        Of the text that belongs to it, or ``None``.
    """

    time: int
    block: int
    kind: str
    by: ChecksumAddress | None
    amount: int
    content_hash: bytes | None


@dataclass(frozen=True)
class Division:
    """Where the credits of an order that is over went, micro-credits.

    Attributes
    ----------
    outcome
        ``approved``, ``refunded``, ``conceded``, ``ruled``, ``not delivered``, ``not reviewed``,
        ``not answered`` or ``not ruled``; ``cancelled`` or ``lapsed`` for one that was never accepted.
    to_provider
        What reached the provider, the fee taken off.
    fee
        What went to the fee pool.
    to_buyer
        What went back to the buyer.
    """

    outcome: str
    to_provider: int
    fee: int
    to_buyer: int


@dataclass(frozen=True)
class OrderRecord:
    """An order from its beginning.

    Attributes
    ----------
    division
        ``None`` while the order is open.
    time
        Of the block read, Unix seconds.
    """

    order_id: int
    order: Order
    listing: Listing
    steps: tuple[OrderStep, ...]
    division: Division | None
    time: int


def read_order(
    timebank: Timebank, order_id: int, *, progress: Callable[[int, int], None] | None = None
) -> OrderRecord:
    """Read an order, open or over, with everything that happened to it.

    Raises
    ------
    WrongStage
        If there never was one of this number.
    CheckFailed
        If events and contract disagree about it.
    """
    connection, escrow = timebank.connection, timebank.service_escrow
    block = connection.block_number()
    order = escrow.order_of(order_id, block=block)
    listing = None if order is None else escrow.listing_of(order.listing_id, block=block)
    if order is None or listing is None:
        raise WrongStage({"orderId": order_id, "stage": Stage.NONE})
    events = [
        event
        for event in read_events(
            connection,
            timebank.addresses(),
            ORDER_EVENTS,
            from_block=timebank.deployment.first_block,
            to_block=block,
            progress=progress,
        )
        if getattr(event, "order_id", None) == order_id
    ]
    found = [_step(event) for event in events]
    if not found or found[0][1] != "ordered":
        raise CheckFailed(
            f"order {order_id} is there, but the event that placed it is missing", hint=ANOTHER_NODE
        )
    division = next((one for one in map(_division, events) if one is not None), None)
    if (division is None) == (order.stage in (Stage.SETTLED, Stage.CANCELLED)):
        raise CheckFailed(
            f"order {order_id} is {STAGE_WORDS[order.stage]}, but its events "
            f"{'do not say where its credits went' if division is None else 'say it is over'}",
            hint=ANOTHER_NODE,
        )
    with translated():
        times = {
            number: int(connection.w3.eth.get_block(number)["timestamp"])
            for number in {block, *(number for number, *_ in found)}
        }
    steps = tuple(
        OrderStep(times[number], number, kind, by, amount, text) for number, kind, by, amount, text in found
    )
    return OrderRecord(order_id, order, listing, steps, division, times[block])


def _step(event: Event) -> tuple[int, str, ChecksumAddress | None, int, bytes | None]:
    block = event.at.block
    if isinstance(event, ServiceOrdered):
        by = event.buyer if event.stage == Stage.ASKED_PROVIDER else event.provider
        return block, "ordered", by, event.proposal.price, _text(event.proposal.content_hash)
    if isinstance(event, ServiceCountered):
        text = _text(event.proposal.content_hash)
        return block, "countered", event.caller, event.proposal.price, text
    if isinstance(event, ServiceAccepted):
        return block, "accepted", event.caller, event.held, None
    if isinstance(event, ServiceCancelled):
        return block, "lapsed" if event.lapsed else "cancelled", event.caller, event.refunded, None
    if isinstance(event, ServiceDelivered):
        return block, "delivered", None, 0, _text(event.content_hash)
    if isinstance(event, ServiceContested):
        return block, "contested", None, event.part, _text(event.content_hash)
    if isinstance(event, ServiceDisputed):
        return block, "disputed", None, 0, _text(event.content_hash)
    if isinstance(event, ServiceSettled):
        kind = f"settled: {_words(event.outcome)}"
        return block, kind, event.caller, event.to_provider + event.fee, _text(event.content_hash)
    if isinstance(event, ServiceRated):
        return block, "rated", event.rater, event.stars, _text(event.content_hash)
    raise TypeError(f"{type(event).__name__} is no event of an order")


def _division(event: Event) -> Division | None:
    """Read where the credits went from the event that ends an order; ``None`` for any other."""
    if isinstance(event, ServiceCancelled):
        return Division("lapsed" if event.lapsed else "cancelled", 0, 0, event.refunded)
    if isinstance(event, ServiceSettled):
        return Division(_words(event.outcome), event.to_provider, event.fee, event.to_buyer)
    return None


def _words(outcome: Outcome) -> str:
    return outcome.name.lower().replace("_", " ")


def _text(content_hash: bytes) -> bytes | None:
    return None if content_hash == NO_TEXT else content_hash


@dataclass(frozen=True)
class Rating:
    """What one side of a settled order says of the other.

    Attributes
    ----------
    of_provider
        Whether the rated side did the work, or had it done.
    paid
        Micro-credits the provider got for the order, fee included: a rating for nothing says little.
    content_hash
        Of the review's text, or ``None``.
    """

    order_id: int
    rater: ChecksumAddress
    of_provider: bool
    stars: int
    paid: int
    content_hash: bytes | None


def read_ratings(
    timebank: Timebank, account: ChecksumAddress, *, progress: Callable[[int, int], None] | None = None
) -> tuple[Rating, ...]:
    """Read every rating of an account, oldest first."""
    connection, found, paid, providers = timebank.connection, [], {}, {}
    for event in read_events(
        connection,
        timebank.addresses(),
        (ServiceOrdered, ServiceSettled, ServiceRated),
        from_block=timebank.deployment.first_block,
        to_block=connection.block_number(),
        progress=progress,
    ):
        if isinstance(event, ServiceOrdered):
            providers[event.order_id] = event.provider
        elif isinstance(event, ServiceSettled):
            paid[event.order_id] = event.to_provider + event.fee
        elif isinstance(event, ServiceRated) and event.rated == account:
            found.append(
                Rating(
                    order_id=event.order_id,
                    rater=event.rater,
                    of_provider=providers.get(event.order_id) == account,
                    stars=event.stars,
                    paid=paid.get(event.order_id, 0),
                    content_hash=_text(event.content_hash),
                )
            )
    return tuple(found)
