"""LeafRequests: ask that a leaf of a proposed epoch be shown on chain, and show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from eth_typing import ChecksumAddress
from eth_utils.address import to_checksum_address
from web3.types import BlockIdentifier

from timebank_chain.chain.challenge_events import TREES
from timebank_chain.chain.contract import ContractClient
from timebank_chain.chain.epoch_challenge import evidence_call
from timebank_chain.chain.member_registry import ZERO_ADDRESS
from timebank_chain.chain.transactions import Call
from timebank_chain.epoch.evidence import AccountEvidence, ActivityEvidence
from timebank_chain.epoch.faults import TreeName
from timebank_chain.epoch.header import EpochHeader

#: What the contract says while a request is open: no time at all.
_HELD_FOR_EVER = (1 << 256) - 1


@dataclass(frozen=True)
class LeafRequest:
    """A request that a leaf be shown.

    ``deposit_wei`` goes to whoever answers, back to ``requester`` otherwise; from ``answer_until`` (Unix
    seconds) on the epoch can be voided.
    """

    requester: ChecksumAddress
    deposit_wei: int
    answer_until: int


class LeafRequests(ContractClient):
    """Holds requests for leaves and their deposits; a leaf nobody shows voids the proposal.

    A proposal is named by its header's hash and the end of its challenge window, because the same header
    can be proposed again after a void.
    """

    NAME: ClassVar[str] = "LeafRequests"

    def oracle(self) -> ChecksumAddress:
        """Return the oracle whose proposals are challenged."""
        return to_checksum_address(self._read("oracle"))

    def answer_time(self) -> int:
        """Return the seconds to answer a request, and from an answer on to prove what it shows wrong."""
        return int(self._read("answerTime"))

    def request_deposit_wei(self) -> int:
        """Return what a requester's first open request costs, wei."""
        return int(self._read("requestDeposit"))

    def max_open_per_requester(self) -> int:
        """Return how many requests one requester can have open at once."""
        return int(self._read("MAX_OPEN_PER_REQUESTER"))

    def request_price(self, requester: ChecksumAddress, *, block: BlockIdentifier = "latest") -> int:
        """Return what the requester's next request for a leaf of the pending proposal costs, wei."""
        return int(self._read("requestPrice", requester, block=block))

    def open_requests(
        self, header_hash: bytes, challenge_ends_at: int, *, block: BlockIdentifier = "latest"
    ) -> int:
        """Return how many requests of a proposal are neither answered nor given back."""
        return int(self._read("openRequests", header_hash, challenge_ends_at, block=block))

    def held_until(
        self, header_hash: bytes, challenge_ends_at: int, *, block: BlockIdentifier = "latest"
    ) -> int | None:
        """Return the Unix seconds from which a proposal can be finalised; ``None`` while leaves are asked."""
        until = int(self._read("heldUntil", header_hash, challenge_ends_at, block=block))
        return None if until == _HELD_FOR_EVER else until

    def request_of(
        self,
        header_hash: bytes,
        challenge_ends_at: int,
        tree: TreeName,
        index: int,
        *,
        block: BlockIdentifier = "latest",
    ) -> LeafRequest | None:
        """Return an open request, or ``None`` if nobody asks for that leaf (or it was shown)."""
        requester, deposit, answer_until = self._read(
            "requestOf", header_hash, challenge_ends_at, TREES.index(tree), index, block=block
        )
        if to_checksum_address(requester) == ZERO_ADDRESS:
            return None
        return LeafRequest(to_checksum_address(requester), int(deposit), int(answer_until))

    def request_leaf(self, header: EpochHeader, tree: TreeName, index: int, deposit_wei: int) -> Call:
        """Propose asking for a leaf of the pending epoch.

        Parameters
        ----------
        deposit_wei
            Exactly the sender's :meth:`request_price`; goes to whoever shows the leaf, comes back
            if nobody does.
        """
        return self._write(
            "requestLeaf", header=header.as_call(), tree=TREES.index(tree), index=index, value=deposit_wei
        )

    def answer_activity(self, header: EpochHeader, evidence: ActivityEvidence) -> Call:
        """Propose showing an activity that was asked for; anyone may, and gets the deposit."""
        return self._write("answerActivity", header=header.as_call(), activity=evidence_call(evidence))

    def answer_account(self, header: EpochHeader, evidence: AccountEvidence) -> Call:
        """Propose showing an account that was asked for; anyone may, and gets the deposit."""
        return self._write("answerAccount", header=header.as_call(), account=evidence_call(evidence))

    def answer_many(
        self,
        header: EpochHeader,
        activities: Sequence[ActivityEvidence],
        accounts: Sequence[AccountEvidence],
    ) -> Call:
        """Propose showing many leaves at once; those nobody asks for (any more) are passed over."""
        return self._write(
            "answerMany",
            header=header.as_call(),
            activities=[evidence_call(one) for one in activities],
            accounts=[evidence_call(one) for one in accounts],
        )

    def void_unanswered(self, header: EpochHeader, tree: TreeName, index: int) -> Call:
        """Propose voiding the pending epoch for a leaf that was not shown in time; anyone may."""
        return self._write("voidUnanswered", header=header.as_call(), tree=TREES.index(tree), index=index)

    def reclaim_deposit(self, header_hash: bytes, challenge_ends_at: int, tree: TreeName, index: int) -> Call:
        """Propose giving a deposit back to who asked, once the proposal was voided; anyone may."""
        return self._write(
            "reclaimDeposit",
            headerHash=header_hash,
            challengeEndsAt=challenge_ends_at,
            tree=TREES.index(tree),
            index=index,
        )
