"""What the books of the bank's rooms have in common: they follow events, and say what cannot have been.

A book is the state of one contract as its events leave it. Every number an event carries is computed anew
from the state before it; where the two differ, the event's number goes on (it is what the chain holds) and
the difference is kept, under the name of the group of checks that reports it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from timebank_chain.audit.evidence import Event
from timebank_chain.audit.report import Difference

#: One whole, in hundredths of a percent.
ONE_BPS = 10_000

Anomalies = list[tuple[str, Difference]]


class Book:
    """The state of one contract that follows from its events.

    Attributes
    ----------
    addresses
        Contract name -> checksummed address.
    anomalies
        What the contract could never have emitted: group of checks -> difference.
    """

    #: Event name -> method that books it; other events change nothing kept here.
    HANDLERS: ClassVar[Mapping[str, Callable[[Any, Event, int], None]]] = {}

    def __init__(self, addresses: Mapping[str, str], anomalies: Anomalies) -> None:
        self.addresses = addresses
        self.anomalies = anomalies

    def apply(self, event: Event, now: int) -> None:
        """Book one event of the block whose time is ``now``, in Unix seconds."""
        handler = self.HANDLERS.get(event.name)
        if handler is not None:
            handler(self, event, now)

    def anomaly(self, group: str, event: Event, expected: object, found: object, meaning: str) -> None:
        """Keep what could never have been emitted."""
        self.anomalies.append((group, Difference(event.where, str(expected), str(found), meaning)))

    def equal(
        self, group: str, event: Event, name: str, expected: object, meaning: str, found: object = None
    ) -> bool:
        """Compare an event's value (or ``found``) with what it must be; tell whether it is."""
        value = event.args[name] if found is None else found
        if value == expected:
            return True
        self.anomalies.append(
            (group, Difference(f"{event.where}, {name}", str(expected), str(value), meaning))
        )
        return False

    def require(
        self, condition: bool, group: str, event: Event, expected: object, found: object, meaning: str
    ) -> bool:
        """Keep an anomaly unless ``condition`` holds; tell whether it does."""
        if not condition:
            self.anomaly(group, event, expected, found, meaning)
        return condition
