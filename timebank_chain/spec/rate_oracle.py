"""The oracle's epochs: one header after the other, each proposed for a bond and final or void in the end.

Of ``oracle/RateOracle.sol`` this is what happens to a proposal. Who signed it is not looked at: every header
proposed here is taken to be signed by a quorum. Settings are attributes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Final

from timebank_chain.spec.attention_credit import ZERO_ADDRESS
from timebank_chain.spec.epoch_tree import keccak
from timebank_chain.spec.fee_pool import ONE_BPS
from timebank_chain.spec.rate_float import RateFloat
from timebank_chain.spec.revert import require

__all__ = ["NO_HEADER", "ZERO_HASH", "EpochHeader", "Proposal", "RateOracle", "hash_header"]

ZERO_HASH: Final = bytes(32)

MAX_DATA_URI_BYTES: Final = 512

_HEADER_TYPE_HASH = keccak(
    b"EpochHeader(uint32 epoch,uint48 startMs,uint48 endMs,bytes32 policyHash,bytes32 activityRoot,"
    b"uint32 activityCount,bytes32 accountRoot,uint32 accountCount,uint32 activeCount,uint64 totalEarned,"
    b"uint64 totalMint,uint64 rateQ24,uint64 pot,bytes32 previousHeaderHash,bytes32 dataHash,string dataURI)"
)


@dataclass(frozen=True, slots=True)
class EpochHeader:
    """What stands for an epoch on chain; fields, order and units as in ``interfaces/IRateOracle.sol``."""

    epoch: int
    start_ms: int
    end_ms: int
    policy_hash: bytes
    activity_root: bytes
    activity_count: int
    account_root: bytes
    account_count: int
    active_count: int
    total_earned: int
    total_mint: int
    rate_q24: int
    pot: int
    previous_header_hash: bytes
    data_hash: bytes
    data_uri: str


#: What is shown where nobody looks: the header before the first epoch.
NO_HEADER: Final = EpochHeader(
    0, 0, 0, ZERO_HASH, ZERO_HASH, 0, ZERO_HASH, 0, 0, 0, 0, 0, 0, ZERO_HASH, ZERO_HASH, ""
)


def hash_header(header: EpochHeader) -> bytes:
    """Return the EIP-712 struct hash of a header."""
    words = [_HEADER_TYPE_HASH]
    for one in fields(EpochHeader):
        value = getattr(header, one.name)
        if isinstance(value, str):
            value = keccak(value.encode())
        words.append(value if isinstance(value, bytes) else value.to_bytes(32, "big"))
    return keccak(b"".join(words))


def _require_address(data_uri: bytes) -> None:
    """Revert unless the data's address is short and ASCII: followers of the chain must be able to read it."""
    require(len(data_uri) <= MAX_DATA_URI_BYTES, "DataURITooLong", len(data_uri), MAX_DATA_URI_BYTES)
    for at in range(0, len(data_uri), 32):
        require(data_uri[at : at + 32].isascii(), "DataURINotAscii", at)


@dataclass(frozen=True, slots=True)
class Proposal:
    """A proposal that is pending; all zero where none is. Wei and Unix seconds."""

    epoch: int = 0
    header_hash: bytes = ZERO_HASH
    proposer: str = ZERO_ADDRESS
    bond: int = 0
    challenge_ends_at: int = 0


NO_PROPOSAL: Final = Proposal()


@dataclass
class RateOracle:
    """``oracle/RateOracle.sol``: bonds in wei, times in Unix seconds, addresses as lower-case text.

    Attributes
    ----------
    available_pot
        Micro-credits an epoch may take as its pot: the fee pool's bonus account.
    challenge, leaf_requests
        The two contracts that may void by proof; zero before they are set.
    held_until
        ``LeafRequests.heldUntil``, once it is set.
    rate_float
        What moves the rate after each epoch; without it the rate is only what governance sets.
    withdrawable
        Wei each address can withdraw.
    burned
        Wei destroyed so far.
    """

    policy_hash: bytes
    rate_q24: int
    bond: int
    challenge_window: int
    challenger_share_bps: int
    available_pot: int = 0
    challenge: str = ZERO_ADDRESS
    leaf_requests: str = ZERO_ADDRESS
    held_until: Callable[[bytes, int], int] | None = None
    rate_float: RateFloat | None = None
    latest_epoch: int = 0
    latest_end_ms: int = 0
    header_hash_of: dict[int, bytes] = field(default_factory=dict)
    pending: Proposal = NO_PROPOSAL
    withdrawable: dict[str, int] = field(default_factory=dict)
    burned: int = 0

    def propose(self, caller: str, header: EpochHeader, *, sent: int, now: int) -> bytes:
        """Propose the next epoch for a bond; return the header's hash."""
        at_work = self.pending != NO_PROPOSAL
        require(not at_work, "EpochPending", self.pending.epoch, self.pending.header_hash)
        require(sent == self.bond, "WrongBond", sent, self.bond)
        self._require_continues(header, now)
        _require_address(header.data_uri.encode())
        header_hash = hash_header(header)
        ends_at = now + self.challenge_window
        self.pending = Proposal(header.epoch, header_hash, caller, sent, ends_at)
        return header_hash

    def finalise(self, caller: str, header: EpochHeader, *, now: int) -> None:
        """Make the pending epoch final; anybody may, once its window is over and no request holds it."""
        pending = self.pending
        require(pending != NO_PROPOSAL, "NothingPending")
        header_hash = hash_header(header)
        require(header_hash == pending.header_hash, "HeaderMismatch", header_hash, pending.header_hash)
        ends_at = pending.challenge_ends_at
        require(now >= ends_at, "ChallengeWindowOpen", ends_at, now)
        if self.held_until is not None:
            held_until = self.held_until(header_hash, ends_at)
            require(now >= held_until, "EpochHeld", held_until, now)

        self.pending = NO_PROPOSAL
        self.latest_epoch = header.epoch
        self.latest_end_ms = header.end_ms
        self.header_hash_of[header.epoch] = header_hash
        self._credit(pending.proposer, pending.bond)
        move = self.rate_float.follow(self.rate_q24, header.total_mint) if self.rate_float else None
        if move is not None:
            self.rate_q24 = move.rate_q24

    def void_by_proof(self, caller: str, header_hash: bytes, challenger: str) -> int:
        """Void the pending proposal; return the part of its bond that goes to the challenger."""
        require(caller in (self.challenge, self.leaf_requests), "NotChallenge", caller)
        return self.void(header_hash, challenger)

    def void(self, header_hash: bytes, challenger: str) -> int:
        """Void the pending proposal, as the guardian does with ``voidProposal``."""
        pending = self.pending
        require(pending != NO_PROPOSAL, "NothingPending")
        require(header_hash == pending.header_hash, "ProposalNotPending", header_hash, pending.header_hash)
        share = 0 if challenger == ZERO_ADDRESS else self.challenger_share_bps
        # Rounded down against the challenger: the difference is burned.
        reward = pending.bond * share // ONE_BPS

        self.pending = NO_PROPOSAL
        self._credit(challenger, reward)
        self.burned += pending.bond - reward
        return reward

    def withdraw_bond(self, caller: str) -> int:
        """Pay the caller what it can withdraw; return the wei."""
        amount = self.withdrawable.pop(caller, 0)
        require(amount != 0, "NoBondToWithdraw", caller)
        return amount

    def latest_header_hash(self) -> bytes:
        """Return the hash of the newest final header; zero before the first."""
        return self.header_hash_of.get(self.latest_epoch, ZERO_HASH)

    def _credit(self, owner: str, wei: int) -> None:
        self.withdrawable[owner] = self.withdrawable.get(owner, 0) + wei

    def _require_continues(self, header: EpochHeader, now: int) -> None:
        """Revert unless the header is the next one, under policy and rate as they stand, within its grant."""
        expected, first = self.latest_epoch + 1, self.latest_epoch == 0
        require(header.epoch == expected, "UnexpectedEpoch", header.epoch, expected)
        follows = first or header.start_ms == self.latest_end_ms
        require(follows, "StartNotPreviousEnd", header.start_ms, self.latest_end_ms)
        require(header.end_ms > header.start_ms, "EndNotAfterStart", header.start_ms, header.end_ms)
        require(header.end_ms <= now * 1000, "EndInFuture", header.end_ms, now * 1000)
        named, latest = header.previous_header_hash, self.latest_header_hash()
        require(named == latest, "PreviousHeaderMismatch", named, latest)
        require(
            header.policy_hash == self.policy_hash, "PolicyMismatch", header.policy_hash, self.policy_hash
        )
        require(header.rate_q24 == self.rate_q24, "RateMismatch", header.rate_q24, self.rate_q24)
        require(header.pot <= self.available_pot, "PotTooLarge", header.pot, self.available_pot)
        limit = (header.total_earned * header.rate_q24 >> 24) + header.pot
        require(header.total_mint <= limit, "MintTooLarge", header.total_mint, limit)
