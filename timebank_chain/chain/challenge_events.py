"""What happened to proposals under challenge: one class per event of EpochChallenge and LeafRequests.

Fields, after ``at``, are the event's parameters in the order of the ABI; deposits in wei, times in Unix
seconds. A tree is named as in ``epoch.faults``: ``activity`` or ``account``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from eth_typing import ChecksumAddress

from timebank_chain.chain.event import Event
from timebank_chain.epoch.evidence import AccountEvidence, ActivityEvidence
from timebank_chain.epoch.faults import TreeName

#: The contracts' ``Tree``, by number.
TREES: tuple[TreeName, ...] = ("activity", "account")


@dataclass(frozen=True, slots=True)
class Committed(Event):
    """Somebody will prove something; what is not said yet."""

    commitment: bytes
    sender: ChecksumAddress
    CONTRACT: ClassVar[str] = "EpochChallenge"


@dataclass(frozen=True, slots=True)
class FaultProved(Event):
    """A fault was proved and the proposal voided; ``index`` is the leaf's, 0 for the header itself."""

    epoch: int
    header_hash: bytes
    challenger: ChecksumAddress
    fault_class: int
    tree: TreeName
    index: int
    CONTRACT: ClassVar[str] = "EpochChallenge"


@dataclass(frozen=True, slots=True)
class LeafRequested(Event):
    """A leaf was asked for; an answer counts until ``answer_until`` at least."""

    header_hash: bytes
    requester: ChecksumAddress
    tree: TreeName
    index: int
    deposit: int
    answer_until: int
    CONTRACT: ClassVar[str] = "LeafRequests"


@dataclass(frozen=True, slots=True)
class ActivityAnswered(Event):
    """An activity that had been asked for was shown; the epoch cannot become final before ``held_until``."""

    header_hash: bytes
    responder: ChecksumAddress
    index: int
    activity: ActivityEvidence
    deposit: int
    held_until: int
    CONTRACT: ClassVar[str] = "LeafRequests"


@dataclass(frozen=True, slots=True)
class AccountAnswered(Event):
    """An account that had been asked for was shown; the epoch cannot become final before ``held_until``."""

    header_hash: bytes
    responder: ChecksumAddress
    index: int
    account: AccountEvidence
    deposit: int
    held_until: int
    CONTRACT: ClassVar[str] = "LeafRequests"


@dataclass(frozen=True, slots=True)
class DepositReturned(Event):
    """A deposit was given back, because the proposal was voided."""

    header_hash: bytes
    requester: ChecksumAddress
    tree: TreeName
    index: int
    deposit: int
    CONTRACT: ClassVar[str] = "LeafRequests"


@dataclass(frozen=True, slots=True)
class LeafWithheld(Event):
    """A leaf was not shown in time, and the proposal voided for it; ``challenger`` had asked."""

    epoch: int
    header_hash: bytes
    challenger: ChecksumAddress
    tree: TreeName
    index: int
    CONTRACT: ClassVar[str] = "LeafRequests"


CHALLENGE_EVENTS: tuple[type[Event], ...] = (
    Committed,
    FaultProved,
    LeafRequested,
    ActivityAnswered,
    AccountAnswered,
    DepositReturned,
    LeafWithheld,
)
