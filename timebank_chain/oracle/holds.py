"""Acts kept out of an epoch until a person released them, as far as an oracle needs to know.

Who is held and why is for whoever keeps the holds (``attention.monitor.holding``). An oracle hands over the
acts it knows, builds from what it gets back, and says which header it is about to publish; without holds,
`NothingHeld` gives everything back as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from timebank_chain.activity import ActivityTable
from timebank_chain.epoch import EpochHeader, PublishedEpoch
from timebank_chain.valuation import Policy


class NewHold(Protocol):
    """A member held anew: how far they stood out, why, and which acts wait."""

    @property
    def member(self) -> str:
        """Their outside id."""

    @property
    def score(self) -> float:
        """How far they stood out."""

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why, in sentences."""

    @property
    def acts(self) -> tuple[str, ...]:
        """Ids of the acts."""

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""


class HeldEpoch(Protocol):
    """An epoch as the holds leave it, from reading them to publishing it."""

    @property
    def table(self) -> ActivityTable:
        """The acts to build it from."""

    @property
    def fresh(self) -> Sequence[NewHold]:
        """Who is held anew."""

    @property
    def held_back(self) -> int:
        """How many acts are held back."""

    @property
    def brought_in(self) -> int:
        """How many released acts of earlier epochs enter."""

    @property
    def gone(self) -> Sequence[tuple[str, str]]:
        """Released acts that were erased, with their members: (member, act)."""

    @property
    def missing(self) -> Sequence[tuple[str, str]]:
        """Released acts without a row, likewise; the next epoch tries again."""

    @property
    def lacking(self) -> Sequence[str]:
        """What earlier epochs took by the file of holds, and do not have."""

    @property
    def note(self) -> str | None:
        """Why nobody was judged, though it was asked for."""

    def publishing(self, header: EpochHeader) -> None:
        """Write down what holds once this header is published; call it right before that."""


class Holds(Protocol):
    """The holds beside a folder of epochs."""

    @property
    def path(self) -> Path | None:
        """Their file, if there can be one."""

    def building(
        self, table: ActivityTable, *, epoch: int, start_ms: int, end_ms: int, policy: Policy
    ) -> AbstractContextManager[HeldEpoch]:
        """Have the holds for oneself while an epoch is built and published; ``table`` has all acts."""

    def seen_from(self, table: ActivityTable, published: PublishedEpoch) -> ActivityTable:
        """Return the acts that a published epoch should have."""

    def records(self) -> frozenset[bytes]:
        """Return the record ids of all acts that are, or were, held: none of them came late."""


@dataclass(frozen=True, eq=False, slots=True)
class Everything:
    """An epoch of which nothing is held."""

    table: ActivityTable
    fresh: tuple[NewHold, ...] = ()
    held_back: int = 0
    brought_in: int = 0
    gone: tuple[tuple[str, str], ...] = ()
    missing: tuple[tuple[str, str], ...] = ()
    lacking: tuple[str, ...] = ()
    note: str | None = None

    def publishing(self, header: EpochHeader) -> None:
        """There is nothing to write down."""


class NothingHeld:
    """No holds: every act enters the epoch it settles in."""

    path: Path | None = None

    def building(
        self, table: ActivityTable, *, epoch: int, start_ms: int, end_ms: int, policy: Policy
    ) -> AbstractContextManager[HeldEpoch]:
        """Give the table back as it is."""
        return nullcontext(Everything(table))

    def seen_from(self, table: ActivityTable, published: PublishedEpoch) -> ActivityTable:
        """Give the table back as it is."""
        return table

    def records(self) -> frozenset[bytes]:
        """Return none."""
        return frozenset()
