"""What every event shares: where it stands on the chain, and whose it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from eth_typing import ChecksumAddress


@dataclass(frozen=True, slots=True)
class Place:
    """Where an event stands on the chain; ordered by block, then by log index."""

    block: int
    log_index: int
    transaction: bytes
    contract: ChecksumAddress


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events.

    ``NAME`` is the name in the ABI where it is not the class's own.
    """

    at: Place

    CONTRACT: ClassVar[str]
    NAME: ClassVar[str] = ""
