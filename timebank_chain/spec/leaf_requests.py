"""Ends an epoch whose data is withheld: leaves asked for, shown, or not shown in time (fault class 10)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Final

from timebank_chain.spec import evidence
from timebank_chain.spec.attention_credit import MAX_UINT256, ZERO_ADDRESS
from timebank_chain.spec.evidence import AccountEvidence, ActivityEvidence, Tree
from timebank_chain.spec.rate_oracle import EpochHeader, RateOracle, hash_header
from timebank_chain.spec.revert import Reverted, require

__all__ = ["Inquiry", "LeafRequest", "LeafRequests"]


@dataclass(frozen=True, slots=True)
class LeafRequest:
    """A request that a leaf be shown: who asked, wei, Unix seconds until which an answer counts.

    Once it is answered only the time is left, so that the leaf is not asked for again.
    """

    requester: str = ZERO_ADDRESS
    deposit: int = 0
    answer_until: int = 0


_NOBODY_ASKED: Final = LeafRequest()


@dataclass
class Inquiry:
    """What is asked of one proposal, in all and by requester.

    ``held_until`` is in Unix seconds, 0 before the first answer.
    """

    open: int = 0
    open_of: Counter[str] = field(default_factory=Counter)
    held_until: int = 0
    requests: dict[tuple[Tree, int], LeafRequest] = field(default_factory=dict)


@dataclass
class LeafRequests:
    """``oracle/LeafRequests.sol``: wei, Unix seconds, addresses as lower-case text.

    Attributes
    ----------
    address
        Its own.
    answer_time
        Seconds to answer a request, and from an answer on to prove what it shows wrong.
    request_deposit
        Wei a requester's first open request costs.
    inquiries
        By header hash and end of the challenge window, which together tell a proposal from another.
    paid
        Wei each address was paid.
    """

    MAX_OPEN_PER_REQUESTER = 16

    oracle: RateOracle
    address: str
    answer_time: int
    request_deposit: int
    inquiries: dict[tuple[bytes, int], Inquiry] = field(default_factory=dict)
    paid: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what the constructor refuses."""
        sane = self.answer_time != 0 and self.request_deposit != 0
        require(sane, "BadParameters", self.answer_time, self.request_deposit)

    # Asking and answering

    def request_leaf(
        self, caller: str, header: EpochHeader, tree: Tree, index: int, *, sent: int, now: int
    ) -> None:
        """Ask that a leaf of the pending epoch be shown, for a deposit."""
        header_hash, ends_at = self._pending(header)
        require(now < ends_at, "RequestsClosed", ends_at, now)
        count = header.activity_count if tree == Tree.ACTIVITY else header.account_count
        require(index < count, "NoSuchLeaf", tree, index, count)
        inquiry = self._inquiry(header_hash, ends_at)
        mine, most = inquiry.open_of[caller], self.MAX_OPEN_PER_REQUESTER
        require(mine < most, "TooManyRequests", mine, most)
        price = self._price(mine)
        require(sent == price, "WrongDeposit", sent, price)
        known = inquiry.requests.get((tree, index), _NOBODY_ASKED)
        require(known.answer_until == 0, "AlreadyRequested", tree, index)

        inquiry.requests[tree, index] = LeafRequest(caller, price, now + self.answer_time)
        inquiry.open += 1
        inquiry.open_of[caller] += 1
        self.inquiries[header_hash, ends_at] = inquiry

    def answer_activity(
        self, caller: str, header: EpochHeader, activity: ActivityEvidence, *, now: int
    ) -> int:
        """Show an activity that was asked for; return the deposit, which goes to the caller."""
        leaf = evidence.activity(header, activity)
        level = evidence.padded_right(leaf.index, activity.siblings)
        return self._answer(caller, header, Tree.ACTIVITY, leaf.index, header.activity_count, level, now)

    def answer_account(self, caller: str, header: EpochHeader, account: AccountEvidence, *, now: int) -> int:
        """Show an account that was asked for; return the deposit, which goes to the caller."""
        leaf = evidence.account(header.account_root, header.account_count, account)
        level = evidence.padded_right(leaf.index, account.siblings)
        return self._answer(caller, header, Tree.ACCOUNT, leaf.index, header.account_count, level, now)

    def answer_many(
        self,
        caller: str,
        header: EpochHeader,
        activities: Sequence[ActivityEvidence],
        accounts: Sequence[AccountEvidence],
        *,
        now: int,
    ) -> int:
        """Show many leaves; what is not asked for is passed over. Return how many were asked for."""
        before = deepcopy(self.inquiries), dict(self.paid)
        shown = 0
        try:
            for activity in activities:
                index = evidence.activity(header, activity).index
                if self._is_asked(header, Tree.ACTIVITY, index):
                    self.answer_activity(caller, header, activity, now=now)
                    shown += 1
            for account in accounts:
                index = evidence.account(header.account_root, header.account_count, account).index
                if self._is_asked(header, Tree.ACCOUNT, index):
                    self.answer_account(caller, header, account, now=now)
                    shown += 1
            require(shown != 0, "NoneRequested")
        except Reverted:
            self.inquiries, self.paid = before  # all or nothing, as a transaction is
            raise
        return shown

    def void_unanswered(self, caller: str, header: EpochHeader, tree: Tree, index: int, *, now: int) -> None:
        """Void the pending epoch because a leaf was not shown in time; the reward goes to who asked."""
        header_hash, ends_at = self._pending(header)
        request = self.request_of(header_hash, ends_at, tree, index)
        require(request.requester != ZERO_ADDRESS, "NotRequested", tree, index)
        require(now >= request.answer_until, "AnswerTimeOpen", request.answer_until, now)
        self.oracle.void_by_proof(self.address, header_hash, request.requester)

    def reclaim_deposit(
        self, caller: str, header_hash: bytes, challenge_ends_at: int, tree: Tree, index: int
    ) -> int:
        """Give a deposit back to who asked, because the proposal was voided; return it. Anybody may."""
        pending = self.oracle.pending
        gone = (pending.header_hash, pending.challenge_ends_at) != (header_hash, challenge_ends_at)
        require(gone, "ProposalStillPending", header_hash)
        request = self.request_of(header_hash, challenge_ends_at, tree, index)
        require(request.requester != ZERO_ADDRESS, "NotRequested", tree, index)

        inquiry = self.inquiries[header_hash, challenge_ends_at]
        # Nobody has shown it: should this very proposal come back, it can be asked for again.
        del inquiry.requests[tree, index]
        inquiry.open -= 1
        inquiry.open_of[request.requester] -= 1
        self._pay(request.requester, request.deposit)
        return request.deposit

    # Views

    def request_price(self, requester: str) -> int:
        """Return the wei the requester's next request for a leaf of the pending proposal costs."""
        pending = self.oracle.pending
        return self._price(self.open_requests_of(pending.header_hash, pending.challenge_ends_at, requester))

    def held_until(self, header_hash: bytes, challenge_ends_at: int) -> int:
        """Return when a proposal can become final; the largest number while a leaf is asked for."""
        inquiry = self._inquiry(header_hash, challenge_ends_at)
        return MAX_UINT256 if inquiry.open else max(challenge_ends_at, inquiry.held_until)

    def open_requests(self, header_hash: bytes, challenge_ends_at: int) -> int:
        """Return how many requests of a proposal are neither answered nor given back."""
        return self._inquiry(header_hash, challenge_ends_at).open

    def open_requests_of(self, header_hash: bytes, challenge_ends_at: int, requester: str) -> int:
        """Return how many of them are a requester's."""
        return self._inquiry(header_hash, challenge_ends_at).open_of[requester]

    def request_of(self, header_hash: bytes, challenge_ends_at: int, tree: Tree, index: int) -> LeafRequest:
        """Return a request; all zero when there is none."""
        requests = self._inquiry(header_hash, challenge_ends_at).requests
        return requests.get((tree, index), _NOBODY_ASKED)

    # Shared

    def _is_asked(self, header: EpochHeader, tree: Tree, index: int) -> bool:
        """Return whether a leaf of the pending header is being asked for."""
        return self.request_of(*self._pending(header), tree, index).requester != ZERO_ADDRESS

    def _answer(
        self,
        caller: str,
        header: EpochHeader,
        tree: Tree,
        index: int,
        count: int,
        level: int | None,
        now: int,
    ) -> int:
        """Book an answer: the request is over, the epoch held so that there is time to look at the leaf."""
        header_hash, ends_at = self._pending(header)
        request = self.request_of(header_hash, ends_at, tree, index)
        require(request.requester != ZERO_ADDRESS, "NotRequested", tree, index)
        require(index + 1 != count or level is None, "NotLastLeaf", tree, index, level)

        inquiry = self.inquiries[header_hash, ends_at]
        # The time stays: what was shown once need not be shown again.
        inquiry.requests[tree, index] = replace(request, requester=ZERO_ADDRESS, deposit=0)
        inquiry.open -= 1
        inquiry.open_of[request.requester] -= 1
        inquiry.held_until = now + self.answer_time
        self._pay(caller, request.deposit)
        return request.deposit

    def _pending(self, header: EpochHeader) -> tuple[bytes, int]:
        """Return hash and end of the challenge window of the pending header, which this must be."""
        given, pending = hash_header(header), self.oracle.pending
        require(given == pending.header_hash, "HeaderNotPending", given, pending.header_hash)
        return given, pending.challenge_ends_at

    def _inquiry(self, header_hash: bytes, challenge_ends_at: int) -> Inquiry:
        return self.inquiries.get((header_hash, challenge_ends_at)) or Inquiry()

    def _price(self, open_requests: int) -> int:
        return self.request_deposit * (1 + open_requests) ** 2

    def _pay(self, receiver: str, wei: int) -> None:
        self.paid[receiver] = self.paid.get(receiver, 0) + wei
