"""The ledger's own history as members' events: claims, payments, transfers, deposits, loans, services.

Every event names the account that acted and the time of its block. A transfer that another event explains
(a payment's, a deposit's) is not counted again. An account linked to an outside id by the members file goes
by that id, so that the ledger's events join those of other sources.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from timebank_chain.attention.collect.event import MemberEvent
from timebank_chain.chain.bank_events import (
    Borrowed,
    BorrowedOnStanding,
    Deposited,
    Repaid,
    StandingRepaid,
    Withdrawn,
)
from timebank_chain.chain.event import Event
from timebank_chain.chain.events import Claimed, Paid, Transfer, read_events
from timebank_chain.chain.exchange_events import TradeFilled
from timebank_chain.chain.movements import MOVEMENT_EVENTS, Movements
from timebank_chain.chain.node_errors import translated
from timebank_chain.chain.service_events import (
    ServiceCancelled,
    ServiceDelivered,
    ServiceListed,
    ServiceOrdered,
    ServiceRated,
    ServiceSettled,
)
from timebank_chain.units import MICRO

if TYPE_CHECKING:
    from timebank_chain.chain.system import Timebank

_KINDS: tuple[type[Event], ...] = tuple(
    dict.fromkeys((*MOVEMENT_EVENTS, ServiceListed, ServiceDelivered, ServiceRated))
)
#: One meaning of an event: who, what, to what, how much, in which unit.
_Meaning = tuple[str, str, str, float | None, str]


def ledger_events(
    timebank: Timebank,
    *,
    to_block: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[MemberEvent]:
    """Read the ledger up to a block (the newest when ``None``) as members' events.

    Raises
    ------
    CheckFailed
        If the node leaves events out.
    """
    connection = timebank.connection
    last = connection.block_number() if to_block is None else to_block
    events = list(
        read_events(
            connection,
            timebank.addresses(),
            _KINDS,
            from_block=timebank.deployment.first_block,
            to_block=last,
            progress=progress,
        )
    )
    contracts = set(timebank.addresses().values())
    plain = {
        (one.at.block, one.at.log_index)
        for one in Movements.of_nobody(timebank.addresses()).plain_transfers(events)
        if one.sender not in contracts
    }
    source = f"ledger:{timebank.deployment.chain_id}"
    times: dict[int, int] = {}
    for event, (member, verb, thing, value, unit) in _meanings(events, plain):
        block = event.at.block
        if block not in times:
            with translated():
                times[block] = int(connection.w3.eth.get_block(block)["timestamp"]) * 1_000
        yield MemberEvent(
            source=source,
            id=f"0x{event.at.transaction.hex()}:{event.at.log_index}",
            member=member,
            at_ms=times[block],
            verb=verb,
            object=thing,
            domain="ledger",
            value=value,
            unit=unit,
        )


def _meanings(events: Sequence[Event], plain: set[tuple[int, int]]) -> Iterator[tuple[Event, _Meaning]]:
    orders: dict[int, tuple[str, str]] = {}
    for event in events:
        if isinstance(event, ServiceOrdered):
            orders[event.order_id] = (event.provider, f"listing:{event.listing_id}")
        meaning = _meaning(event, orders)
        if isinstance(event, Transfer) and (event.at.block, event.at.log_index) in plain:
            meaning = (event.sender, "send", event.receiver, event.amount / MICRO, "credit")
        if meaning is not None:
            yield event, meaning


def _meaning(event: Event, orders: dict[int, tuple[str, str]]) -> _Meaning | None:
    match event:
        case Claimed():
            return event.account, "claim", f"epoch:{event.epoch}", event.amount / MICRO, "credit"
        case Paid():
            return event.payer, "pay", event.payee, event.amount / MICRO, "credit"
        case Deposited():
            return event.owner, "deposit", f"receipt:{event.receipt_id}", event.amount / MICRO, "credit"
        case Withdrawn():
            amount = event.principal + event.income
            return event.owner, "withdraw", f"receipt:{event.receipt_id}", amount / MICRO, "credit"
        case Borrowed():
            return event.borrower, "borrow", f"receipt:{event.receipt_id}", event.amount / MICRO, "credit"
        case BorrowedOnStanding():
            return event.borrower, "borrow", "standing", event.amount / MICRO, "credit"
        case Repaid():
            return event.payer, "repay", f"receipt:{event.receipt_id}", event.amount / MICRO, "credit"
        case StandingRepaid():
            return event.borrower, "repay", "standing", event.amount / MICRO, "credit"
        case TradeFilled():
            return event.taker, "trade", event.maker, event.credits / MICRO, "credit"
        case ServiceListed():
            return event.owner, "offer", f"listing:{event.listing_id}", None, ""
        case ServiceOrdered():
            return event.buyer, "order", f"listing:{event.listing_id}", event.held / MICRO, "credit"
        case ServiceDelivered():
            # The order came before: the escrow knows of no other.
            provider, listing = orders[event.order_id]
            return provider, "deliver", listing, None, ""
        case ServiceCancelled():
            return event.caller, "cancel", _listing(orders, event.order_id), event.refunded / MICRO, "credit"
        case ServiceSettled():
            return (
                event.caller,
                "settle",
                _listing(orders, event.order_id),
                event.to_provider / MICRO,
                "credit",
            )
        case ServiceRated():
            return event.rater, "rate", _listing(orders, event.order_id), float(event.stars), "stars"
        case _:
            return None


def _listing(orders: dict[int, tuple[str, str]], order_id: int) -> str:
    return orders[order_id][1]
