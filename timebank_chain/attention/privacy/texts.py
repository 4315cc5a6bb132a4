"""Which texts of the market a member wrote: their hashes stand in the escrow's events, with who gave them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from timebank_chain.chain.event import Event
from timebank_chain.chain.events import read_events
from timebank_chain.chain.service_events import (
    ServiceContested,
    ServiceCountered,
    ServiceDelivered,
    ServiceDisputed,
    ServiceListed,
    ServiceOrdered,
    ServiceRated,
    ServiceSettled,
)
from timebank_chain.chain.system import Timebank
from timebank_chain.spec.service_escrow import Stage

_EVENTS: tuple[type[Event], ...] = (
    ServiceListed,
    ServiceOrdered,
    ServiceCountered,
    ServiceDelivered,
    ServiceContested,
    ServiceDisputed,
    ServiceSettled,
    ServiceRated,
)


def texts_by(
    timebank: Timebank,
    accounts: Collection[bytes],
    *,
    progress: Callable[[int, int], None] | None = None,
) -> frozenset[bytes]:
    """Return the hashes of all texts that some accounts wrote, from the chain's events.

    Parameters
    ----------
    accounts
        Addresses, 20 bytes each.
    progress
        As for `read_events`.
    """
    block = timebank.connection.block_number()
    events = read_events(
        timebank.connection,
        timebank.addresses(),
        _EVENTS,
        from_block=timebank.deployment.first_block,
        to_block=block,
        progress=progress,
    )
    wanted = {f"0x{account.hex()}" for account in accounts}
    return frozenset(text for author, text in _written(events) if author.lower() in wanted and any(text))


def _written(events: Iterator[Event]) -> Iterator[tuple[str, bytes]]:
    """Yield who wrote each text."""
    sides: dict[int, tuple[str, str]] = {}
    for event in events:
        if isinstance(event, ServiceListed):
            yield event.owner, event.listing.proposal.content_hash
        elif isinstance(event, ServiceOrdered):
            sides[event.order_id] = (event.buyer, event.provider)
            by = event.buyer if event.stage == Stage.ASKED_PROVIDER else event.provider
            yield by, event.proposal.content_hash
        elif isinstance(event, ServiceCountered):
            yield event.caller, event.proposal.content_hash
        elif isinstance(event, ServiceDelivered | ServiceDisputed):
            yield sides[event.order_id][1], event.content_hash
        elif isinstance(event, ServiceContested):
            yield sides[event.order_id][0], event.content_hash
        elif isinstance(event, ServiceSettled):
            yield event.caller, event.content_hash
        elif isinstance(event, ServiceRated):
            yield event.rater, event.content_hash
