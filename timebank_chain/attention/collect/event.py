"""One event of a member, whatever its source; and what is said of a record that gives none."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MemberEvent:
    """Somebody did something to something, at a time.

    Attributes
    ----------
    source, id
        Together they name the event: one that comes twice is counted once.
    member
        Who, as the source knows them (an e-mail address, a URL, an account on chain).
    at_ms
        When, Unix milliseconds.
    verb
        What was done, in common words (`verbs.common_verb`).
    object
        To what; empty when the source does not say.
    domain
        What kind of thing that is.
    value
        A measured size (seconds spent, credits moved, a sensor's reading); ``None`` when there is none.
    unit
        Of the value: ``s``, ``credit``, ``degC``, ``scaled`` ...; empty without one.
    """

    source: str
    id: str
    member: str
    at_ms: int
    verb: str
    object: str = ""
    domain: str = ""
    value: float | None = None
    unit: str = ""


class NothingToCount(Exception):
    """A record is valid and still gives no event; carries the place and the reason."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class Retraction(NothingToCount):
    """A record takes an event back: an xAPI statement that voids, an ActivityStreams ``Undo``.

    Parameters
    ----------
    path, reason
        As of `NothingToCount`.
    source, id
        The event that is taken back.
    member
        Who alone may take it back, namely who did it; ``None``: whoever may write to the source.
    """

    def __init__(self, path: str, reason: str, *, source: str, id: str, member: str | None) -> None:  # noqa: A002 - the event's own word
        super().__init__(path, reason)
        self.source = source
        self.id = id
        self.member = member
