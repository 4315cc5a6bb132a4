"""From the feed to acts with indicators: what ``timebank ingest csv`` reads, and the ledger values.

An act is what a member made (verbs ``create``, ``offer``, ``deliver``, ``teach``). For its window after that:
``interaction`` counts the other members who answered it (``comment``, ``answer``, ``review``), ``engagement``
those who took note of it (``like``, ``share``, ``view``, ``rate`` ...). ``originality`` is 1: a feed does not
tell how new a thing is. Who made a thing never counts for it, and nobody counts twice. A dislike counts
nothing: it would be paid for.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from timebank_chain.attention.collect.feed import Feed
from timebank_chain.attention.collect.files import write_rows
from timebank_chain.attention.collect.verbs import REACTIONS
from timebank_chain.units import format_duration, format_time

MAKING = frozenset({"create", "offer", "deliver", "teach"})
ANSWERING = frozenset({"comment", "answer", "review"})
TAKING_NOTE = REACTIONS - {"dislike", "follow"}
HEADER = ("id", "member", "domain", "occurred", "window", "interaction", "originality", "engagement")


@dataclass(frozen=True, slots=True)
class Act:
    """An act as a row of ``timebank ingest csv``."""

    id: str
    member: str
    domain: str
    at_ms: int
    window_ms: int
    interaction: int
    engagement: int

    def row(self) -> tuple[str, ...]:
        """Return it in the columns of `HEADER`."""
        return (
            self.id,
            self.member,
            self.domain,
            format_time(self.at_ms),
            format_duration(self.window_ms),
            str(self.interaction),
            "1",
            str(self.engagement),
        )


def acts_of(feed: Feed, *, window_ms: int, now_ms: int) -> tuple[list[Act], int]:
    """Return the acts of a feed, and how many were left out because their window is still open.

    Of several makings of one thing the first counts. What happened to it is counted from its making to the
    end of the window, both included.

    Parameters
    ----------
    feed
        The events, ordered.
    window_ms
        How long reactions count, milliseconds.
    now_ms
        The present: what could still be reacted to is left out, so that a later feed changes no act.
    """
    made: dict[str, tuple[str, str, str, int]] = {}
    touched: dict[str, list[tuple[int, str, str]]] = defaultdict(list)
    for source, name, member, at_ms, verb, thing, domain, _, _ in feed.rows():
        if verb in MAKING:
            whole = f"{source}:{name}"
            made.setdefault(thing or whole, (whole, member, domain, at_ms))
        elif thing and (verb in ANSWERING or verb in TAKING_NOTE):
            touched[thing].append((at_ms, member, verb))
    acts, still_open = [], 0
    for thing, (name, member, domain, at_ms) in made.items():
        if at_ms + window_ms > now_ms:
            still_open += 1
            continue
        others = [
            (who, verb)
            for when, who, verb in touched.get(thing, ())
            if at_ms <= when <= at_ms + window_ms and who != member
        ]
        acts.append(
            Act(
                name,
                member,
                domain or "activity",
                at_ms,
                window_ms,
                len({who for who, verb in others if verb in ANSWERING}),
                len({who for who, verb in others if verb in TAKING_NOTE}),
            )
        )
    return acts, still_open


def write_acts(acts: list[Act], path: Path | str) -> None:
    """Write acts as CSV for ``timebank ingest csv``, whole or not at all.

    Raises
    ------
    AttentionError
        If the file cannot be written.
    """
    write_rows(path, HEADER, (act.row() for act in acts))
