"""RateOracle: epochs, the quorum that signs them, and the rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from eth_typing import ChecksumAddress
from eth_utils.address import to_checksum_address
from web3.types import BlockIdentifier

from timebank_chain.chain.member_registry import ZERO_ADDRESS
from timebank_chain.chain.pausing import Pausing
from timebank_chain.chain.transactions import Call
from timebank_chain.epoch.header import EpochHeader
from timebank_chain.units import EpochNumber, Milliseconds, RateQ24


@dataclass(frozen=True)
class PendingEpoch:
    """A proposed epoch in its challenge window.

    ``bond_wei`` is the proposer's, ``challenge_ends_at`` Unix seconds.
    """

    epoch: EpochNumber
    header_hash: bytes
    proposer: ChecksumAddress
    bond_wei: int
    challenge_ends_at: int


class RateOracle(Pausing):
    """Takes quorum-signed headers with a bond, lets anybody object, then finalises them."""

    NAME: ClassVar[str] = "RateOracle"

    def distributor(self) -> ChecksumAddress:
        """Return the distributor this oracle created."""
        return to_checksum_address(self._read("distributor"))

    def credit(self) -> ChecksumAddress:
        """Return the credit its distributor created."""
        return to_checksum_address(self._read("credit"))

    def fee_pool(self) -> ChecksumAddress:
        """Return the fee pool its distributor created."""
        return to_checksum_address(self._read("feePool"))

    def challenge(self) -> ChecksumAddress:
        """Return who voids proposals by proof; the zero address before it is set."""
        return to_checksum_address(self._read("challenge"))

    def leaf_requests(self) -> ChecksumAddress:
        """Return who voids proposals for withheld leaves; the zero address before it is set."""
        return to_checksum_address(self._read("leafRequests"))

    def rate_float(self) -> ChecksumAddress:
        """Return what moves the rate after each epoch; the zero address before it is set."""
        return to_checksum_address(self._read("rateFloat"))

    def latest_epoch(self, *, block: BlockIdentifier = "latest") -> EpochNumber:
        """Return the number of the newest finalised epoch, 0 before the first."""
        return EpochNumber(self._read("latestEpoch", block=block))

    def latest_header_hash(self, *, block: BlockIdentifier = "latest") -> bytes:
        """Return the newest finalised header's hash."""
        return bytes(self._read("latestHeaderHash", block=block))

    def latest_end_ms(self, *, block: BlockIdentifier = "latest") -> Milliseconds:
        """Return where the newest finalised epoch ends: where the next one must start."""
        return Milliseconds(self._read("latestEndMs", block=block))

    def header_hash_of(self, epoch: int, *, block: BlockIdentifier = "latest") -> bytes:
        """Return the hash of a finalised epoch's header (zeros if there is none)."""
        return bytes(self._read("headerHashOf", epoch, block=block))

    def rate_q24(self, *, block: BlockIdentifier = "latest") -> RateQ24:
        """Return micro-credits per micro-value, Q24."""
        return RateQ24(self._read("rateQ24", block=block))

    def policy_hash(self, *, block: BlockIdentifier = "latest") -> bytes:
        """Return the hash of the policy the next epoch must follow."""
        return bytes(self._read("policyHash", block=block))

    def signers(self, *, block: BlockIdentifier = "latest") -> list[ChecksumAddress]:
        """Return the quorum's members."""
        return [to_checksum_address(signer) for signer in self._read("signers", block=block)]

    def threshold(self, *, block: BlockIdentifier = "latest") -> int:
        """Return how many members must sign."""
        return int(self._read("threshold", block=block))

    def bond_wei(self, *, block: BlockIdentifier = "latest") -> int:
        """Return the bond a proposal must bring, wei."""
        return int(self._read("bond", block=block))

    def challenge_window(self, *, block: BlockIdentifier = "latest") -> int:
        """Return the challenge window, seconds."""
        return int(self._read("challengeWindow", block=block))

    def challenger_share_bps(self, *, block: BlockIdentifier = "latest") -> int:
        """Return the challenger's share of a voided epoch's bond, basis points; the rest is burned."""
        return int(self._read("challengerShareBps", block=block))

    def proposals_paused(self, *, block: BlockIdentifier = "latest") -> bool:
        """Return whether the guardian has stopped new proposals."""
        return bool(self._read("proposalsPaused", block=block))

    def hash_header(self, header: EpochHeader) -> bytes:
        """Return the contract's own hash of a header; equals ``header.hash()``."""
        return bytes(self._read("hashHeader", header.as_call()))

    def withdrawable_wei(self, account: str, *, block: BlockIdentifier = "latest") -> int:
        """Return the wei an account can withdraw (returned bonds, challenger shares)."""
        return int(self._read("withdrawableBond", account, block=block))

    def pending(self, *, block: BlockIdentifier = "latest") -> PendingEpoch | None:
        """Return the proposed, not yet finalised epoch, or ``None``."""
        epoch, header_hash, proposer, bond, challenge_ends_at = self._read("pending", block=block)
        if to_checksum_address(proposer) == ZERO_ADDRESS:
            return None
        return PendingEpoch(
            epoch=EpochNumber(epoch),
            header_hash=bytes(header_hash),
            proposer=to_checksum_address(proposer),
            bond_wei=int(bond),
            challenge_ends_at=int(challenge_ends_at),
        )

    def propose(self, header: EpochHeader, signatures: Sequence[bytes], bond_wei: int) -> Call:
        """Propose an epoch.

        Parameters
        ----------
        signatures
            65 bytes each, ordered by the signers' addresses ascending.
        bond_wei
            Exactly :meth:`bond_wei`; comes back when the epoch is finalised.
        """
        return self._write("propose", header=header.as_call(), signatures=list(signatures), value=bond_wei)

    def finalise(self, header: EpochHeader) -> Call:
        """Propose finalising after the challenge window, once no request for a leaf holds it; anyone may."""
        return self._write("finalise", header=header.as_call())

    def withdraw_bond(self, receiver: str) -> Call:
        """Propose sending the sender's returned bonds and challenger shares to ``receiver``."""
        return self._write("withdrawBond", receiver=receiver)

    def void_proposal(self, header_hash: bytes, challenger: str, reason: str) -> Call:
        """Propose voiding the pending epoch (governance).

        Parameters
        ----------
        header_hash
            The pending header's: scheduled, the call can void no other proposal of the same number.
        challenger
            Who found the fault and gets a share of the bond; the zero address burns it whole.
        """
        return self._write("voidProposal", headerHash=header_hash, challenger=challenger, reason=reason)

    def set_challenge(self, challenge: str, leaf_requests: str) -> Call:
        """Propose who voids proposals by proof; works once (administrator)."""
        return self._write("setChallenge", newChallenge=challenge, newRequests=leaf_requests)

    def set_rate_float(self, rate_float: str) -> Call:
        """Propose what moves the rate after each epoch; works once (administrator)."""
        return self._write("setRateFloat", newFloat=rate_float)

    def set_policy(self, policy_hash: bytes, uri: str) -> Call:
        """Propose another, registered policy from the next epoch on (governance)."""
        return self._write("setPolicy", newPolicyHash=policy_hash, policyURI=uri)

    def set_rate(self, rate_q24: int) -> Call:
        """Propose another rate from the next epoch on (governance)."""
        return self._write("setRate", newRateQ24=rate_q24)

    def set_quorum(self, signers: Sequence[str], threshold: int) -> Call:
        """Propose another quorum (governance)."""
        return self._write("setQuorum", newSigners=list(signers), newThreshold=threshold)

    def set_bond(self, bond_wei: int) -> Call:
        """Propose another bond for later proposals (governance)."""
        return self._write("setBond", newBond=bond_wei)

    def set_challenge_window(self, seconds: int) -> Call:
        """Propose another challenge window for later proposals (governance)."""
        return self._write("setChallengeWindow", newWindow=seconds)

    def pause_proposals(self) -> Call:
        """Propose stopping new proposals (guardian)."""
        return self._write("pauseProposals")

    def resume_proposals(self, pause: int) -> Call:
        """Propose allowing new proposals again, by ending the pause of this number (governor)."""
        return self._write("resumeProposals", pause=pause)
