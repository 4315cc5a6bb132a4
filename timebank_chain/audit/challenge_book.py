"""Proposals under challenge, from the events alone: commitments to proofs, and requests for leaves.

Pure: takes decoded events in the order of the chain and the proposals they belong to. What the contract
``LeafRequests`` could never have emitted is kept as an anomaly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from timebank_chain.audit.evidence import Event
from timebank_chain.audit.replay import Position, Proposal
from timebank_chain.audit.report import Difference
from timebank_chain.spec.leaf_requests import LeafRequests

#: The contracts' ``Tree``, by number.
TREES = ("activity", "account")

Leaf = tuple[int, int]
ProposalKey = tuple[bytes, int]


@dataclass
class Request:
    """A leaf that was asked for; wei and Unix seconds."""

    event: Event
    requester: str
    deposit: int
    answer_until: int
    state: Literal["open", "answered"] = "open"


@dataclass
class Inquiry:
    """Everything asked of one proposal, by tree and index; ``held_until`` is 0 before the first answer.

    The same header proposed twice within a second is one proposal here, as it is for the contract: then
    ``proposal`` is the later one. What was given back is no request any more.
    """

    proposal: Proposal
    requests: dict[Leaf, Request] = field(default_factory=dict)
    held_until: int = 0

    @property
    def open(self) -> list[Request]:
        """The requests that are not answered."""
        return [request for request in self.requests.values() if request.state == "open"]

    def open_of(self, requester: str) -> int:
        """How many of them are a requester's."""
        return sum(request.requester == requester for request in self.open)


@dataclass
class ChallengeBook:
    """What the events of both contracts say.

    Attributes
    ----------
    committed
        Commitment -> the event that made it, the newest where one was used and made again.
    inquiries
        Header hash and end of the challenge window -> what was asked of that proposal.
    asked
        How many requests there were in all.
    held
        Position of an ``EpochFinalised`` -> requests open then, and until when the epoch was held.
    """

    committed: dict[bytes, Event] = field(default_factory=dict)
    inquiries: dict[ProposalKey, Inquiry] = field(default_factory=dict)
    asked: int = 0
    held: dict[Position, tuple[int, int]] = field(default_factory=dict)
    anomalies: list[Difference] = field(default_factory=list)

    @property
    def deposits(self) -> int:
        """Wei of all requests that are neither answered nor given back."""
        return sum(request.deposit for inquiry in self.inquiries.values() for request in inquiry.open)


@dataclass
class ChallengeRules:
    """What the contract was created with, and the time of a block: ``timestamp(number)``."""

    answer_time: int
    request_deposit: int
    timestamp: Callable[[int], int]


def replay_challenges(
    events: Iterable[Event], proposals: Sequence[Proposal], rules: ChallengeRules
) -> ChallengeBook:
    """Replay what happened to proposals under challenge."""
    run = _Run(ChallengeBook(), proposals, rules)
    for event in events:
        if event.contract == "EpochChallenge" and event.name == "Committed":
            run.book.committed[event.args["commitment"]] = event
        elif event.contract == "RateOracle" and event.name == "EpochFinalised":
            run.finalised(event)
        elif event.contract == "LeafRequests":
            _HANDLERS[event.name](run, event)
    return run.book


class _Run:
    def __init__(self, book: ChallengeBook, proposals: Sequence[Proposal], rules: ChallengeRules) -> None:
        self.book = book
        self.proposals = proposals
        self.rules = rules

    def anomaly(self, event: Event, expected: object, found: object, meaning: str) -> None:
        self.book.anomalies.append(Difference(event.where, str(expected), str(found), meaning))

    def pending(self, event: Event) -> Inquiry | None:
        """Return what is asked of the proposal that is pending at an event and named by it."""
        for proposal in reversed(self.proposals):
            if proposal.event.position > event.position:
                continue
            end = proposal.outcome_event
            if (end is None or end.position > event.position) and (
                proposal.header_hash == event.args["headerHash"]
            ):
                key = (proposal.header_hash, proposal.challenge_ends_at)
                inquiry = self.book.inquiries.setdefault(key, Inquiry(proposal))
                inquiry.proposal = proposal
                return inquiry
            break
        self.anomaly(
            event, "a pending proposal", f"0x{event.args['headerHash'].hex()}", "no such proposal is pending"
        )
        return None

    def requested(self, event: Event) -> None:
        inquiry = self.pending(event)
        if inquiry is None:
            return
        args, rules = event.args, self.rules
        leaf = (int(args["tree"]), int(args["index"]))
        now = rules.timestamp(event.block)
        if now >= inquiry.proposal.challenge_ends_at:
            self.anomaly(
                event,
                f"before {inquiry.proposal.challenge_ends_at}",
                now,
                "leaves are asked for while the challenge window is open",
            )
        count = int(inquiry.proposal.header["accountCount" if leaf[0] else "activityCount"])
        if leaf[1] >= count:
            self.anomaly(event, f"an index below {count}", leaf[1], "a leaf was asked for that is not there")
        if leaf in inquiry.requests:
            self.anomaly(event, "a leaf not asked for yet", leaf, "a leaf is asked for once")
        mine = inquiry.open_of(args["requester"])
        if mine >= LeafRequests.MAX_OPEN_PER_REQUESTER:
            self.anomaly(event, "a free place", mine, "a requester has a bounded number of requests open")
        price = rules.request_deposit * (1 + mine) ** 2
        if int(args["deposit"]) != price:
            self.anomaly(event, price, args["deposit"], "each request of one requester costs more")
        until = now + rules.answer_time
        if int(args["answerUntil"]) != until:
            self.anomaly(event, until, args["answerUntil"], "who has the leaf has a fixed time to show it")
        self.book.asked += 1
        inquiry.requests[leaf] = Request(
            event, args["requester"], int(args["deposit"]), int(args["answerUntil"])
        )

    def answered(self, event: Event) -> None:
        inquiry = self.pending(event)
        if inquiry is None:
            return
        tree = 0 if event.name == "ActivityAnswered" else 1
        request = inquiry.requests.get((tree, int(event.args["index"])))
        if request is None or request.state != "open":
            self.anomaly(event, "a leaf that is asked for", event.args["index"], "nobody was waiting for it")
            return
        self._paid(event, request)
        request.state = "answered"
        until = self.rules.timestamp(event.block) + self.rules.answer_time
        if int(event.args["heldUntil"]) != until:
            self.anomaly(
                event, until, event.args["heldUntil"], "there is a fixed time to prove an answer wrong"
            )
        inquiry.held_until = int(event.args["heldUntil"])

    def returned(self, event: Event) -> None:
        leaf = (int(event.args["tree"]), int(event.args["index"]))
        gone = [
            inquiry
            for (header_hash, _), inquiry in self.book.inquiries.items()
            if header_hash == event.args["headerHash"]
            and leaf in inquiry.requests
            and inquiry.requests[leaf].state == "open"
            and inquiry.requests[leaf].requester == event.args["requester"]
            and inquiry.proposal.outcome_event is not None
            and inquiry.proposal.outcome_event.position < event.position
        ]
        # The event does not say which of several proposals of one header: any with the same deposit will do.
        deposit = int(event.args["deposit"])
        fitting = [inquiry for inquiry in gone if inquiry.requests[leaf].deposit == deposit] or gone
        if not fitting:
            self.anomaly(
                event,
                "an open request of a proposal that is gone",
                event.args["index"],
                "a deposit was given back that was not held",
            )
            return
        self._paid(event, fitting[0].requests.pop(leaf))

    def withheld(self, event: Event) -> None:
        inquiry = self.pending(event)
        if inquiry is None:
            return
        request = inquiry.requests.get((int(event.args["tree"]), int(event.args["index"])))
        if (
            request is None
            or request.state != "open"
            or request.requester != event.args["challenger"]
            or self.rules.timestamp(event.block) < request.answer_until
        ):
            self.anomaly(
                event,
                f"an open request of {event.args['challenger']} whose time is over",
                "none" if request is None else f"{request.state}, until {request.answer_until}",
                "an epoch was voided although nobody had waited in vain",
            )

    def finalised(self, event: Event) -> None:
        for inquiry in self.book.inquiries.values():
            if inquiry.proposal.outcome_event is event:
                self.book.held[event.position] = (len(inquiry.open), inquiry.held_until)

    def _paid(self, event: Event, request: Request) -> None:
        if int(event.args["deposit"]) != request.deposit:
            self.anomaly(event, request.deposit, event.args["deposit"], "another deposit than was paid in")


_HANDLERS: dict[str, Callable[[_Run, Event], None]] = {
    "LeafRequested": _Run.requested,
    "ActivityAnswered": _Run.answered,
    "AccountAnswered": _Run.answered,
    "DepositReturned": _Run.returned,
    "LeafWithheld": _Run.withheld,
}
