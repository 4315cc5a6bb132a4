"""Which leaves of the pending proposal are being asked for, and which were shown, from the chain's events."""

from __future__ import annotations

from timebank_chain.chain.challenge_events import (
    AccountAnswered,
    ActivityAnswered,
    DepositReturned,
    LeafRequested,
)
from timebank_chain.chain.event import Event
from timebank_chain.chain.events import CHUNK_BLOCKS, EpochProposed, read_events
from timebank_chain.chain.rate_oracle import PendingEpoch
from timebank_chain.chain.system import Timebank
from timebank_chain.epoch.faults import CommittedLeaf

_KINDS: tuple[type[Event], ...] = (
    EpochProposed,
    LeafRequested,
    ActivityAnswered,
    AccountAnswered,
    DepositReturned,
)


def open_requests(timebank: Timebank, pending: PendingEpoch, block: int) -> list[LeafRequested]:
    """Return the requests for leaves of a pending proposal that nobody has answered, oldest first.

    Parameters
    ----------
    block
        Number of the block to look at; the proposal is pending there.
    """
    asked: dict[tuple[str, int], LeafRequested] = {}
    for event in _since_proposal(timebank, pending, block):
        if isinstance(event, LeafRequested):
            asked[event.tree, event.index] = event
        elif isinstance(event, ActivityAnswered):
            asked.pop(("activity", event.index), None)
        elif isinstance(event, AccountAnswered):
            asked.pop(("account", event.index), None)
        elif isinstance(event, DepositReturned) and event.header_hash == pending.header_hash:
            asked.pop((event.tree, event.index), None)
    return list(asked.values())


def shown_leaves(timebank: Timebank, pending: PendingEpoch, block: int) -> list[CommittedLeaf]:
    """Return the leaves of a pending proposal that were shown on chain, oldest first; as `open_requests`."""
    shown: list[CommittedLeaf] = []
    for event in _since_proposal(timebank, pending, block):
        if isinstance(event, ActivityAnswered):
            (leaf,) = event.activity.leaves
            shown.append(CommittedLeaf("activity", event.index, leaf, event.activity.siblings))
        elif isinstance(event, AccountAnswered):
            (holder,) = event.account.leaves
            shown.append(CommittedLeaf("account", event.index, holder, event.account.siblings))
    return shown


def _since_proposal(timebank: Timebank, pending: PendingEpoch, block: int) -> list[Event]:
    """Return what happened since the proposal was made: read backwards, it is never long ago.

    An earlier proposal of the same header was voided, and its requests are none of this one's, unless both
    were made within one second: then the contract takes them for one.
    """

    def is_it(event: Event) -> bool:
        return (
            isinstance(event, EpochProposed)
            and event.header_hash == pending.header_hash
            and event.challenge_ends_at == pending.challenge_ends_at
        )

    events: list[Event] = []
    seen = False
    last, first_block = block, timebank.deployment.first_block
    while last >= first_block:
        first = max(first_block, last - CHUNK_BLOCKS + 1)
        part = list(
            read_events(timebank.connection, timebank.addresses(), _KINDS, from_block=first, to_block=last)
        )
        events = part + events
        if seen:  # one chunk more than needed: far more than a second
            break
        seen = any(map(is_it, part))
        last = first - 1
    start = next((at for at, event in enumerate(events) if is_it(event)), -1)
    return events[start + 1 :]
