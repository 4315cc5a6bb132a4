"""Verbs in common words: what other people's vocabularies call the same thing.

A verb not listed here is kept as it is, folded to lower case; the quality report counts it as unknown.
"""

from __future__ import annotations

import re

#: Makes something that others may take note of.
ACTS = frozenset({"create", "answer", "comment", "review", "teach", "offer", "deliver"})
#: Takes note of what another made.
REACTIONS = frozenset(
    {"like", "dislike", "share", "follow", "rate", "view", "listen", "read", "attend", "save"}
)
#: Moves credits.
TRANSFERS = frozenset({"claim", "pay", "send", "order", "deposit", "withdraw", "borrow", "repay", "trade"})
#: Anything else we have a word for.
OTHERS = frozenset(
    {"join", "leave", "update", "delete", "undo", "accept", "reject", "invite", "block", "flag", "move",
     "complete", "start", "measure", "request", "sell", "cancel", "dispute", "settle", "add", "remove"}
)  # fmt: skip
KNOWN_VERBS = ACTS | REACTIONS | TRANSFERS | OTHERS

_SAME = {
    # ActivityStreams 2.0
    "announce": "share",
    "arrive": "attend",
    "ignore": "dislike",
    "tentativeaccept": "accept",
    "tentativereject": "reject",
    "travel": "move",
    # xAPI, ADL and TinCan registries
    "answered": "answer",
    "asked": "create",
    "attempted": "start",
    "attended": "attend",
    "authored": "create",
    "commented": "comment",
    "completed": "complete",
    "created": "create",
    "deleted": "delete",
    "disliked": "dislike",
    "experienced": "view",
    "failed": "complete",
    "favorited": "save",
    "followed": "follow",
    "initialized": "start",
    "interacted": "view",
    "joined": "join",
    "launched": "start",
    "left": "leave",
    "liked": "like",
    "listened": "listen",
    "mastered": "complete",
    "passed": "complete",
    "progressed": "view",
    "rated": "rate",
    "read": "read",
    "responded": "answer",
    "shared": "share",
    "terminated": "leave",
    "updated": "update",
    "viewed": "view",
    "voted-up": "like",
    "voted-down": "dislike",
    "watched": "view",
    # HTTP
    "get": "view",
    "post": "request",
    "put": "update",
    "patch": "update",
}


def common_verb(word: str) -> str:
    """Return the common word for a verb, or the verb itself in lower case.

    >>> common_verb("Announce"), common_verb("Experienced"), common_verb("yodel")
    ('share', 'view', 'yodel')
    """
    folded = word.strip().lower()
    return _SAME.get(folded, folded)


def last_segment(iri: str) -> str:
    """Return what stands behind the last slash, hash or colon of an IRI.

    >>> last_segment("http://adlnet.gov/expapi/verbs/attended")
    'attended'
    """
    return re.split(r"[/#:]", iri.rstrip("/#:"))[-1]
