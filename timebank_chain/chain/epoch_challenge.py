"""EpochChallenge: commit to a proof, then prove a proposed epoch wrong."""

from __future__ import annotations

from typing import ClassVar

from eth_abi.abi import encode as abi_encode
from eth_typing import ChecksumAddress
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from web3.types import BlockIdentifier

from timebank_chain.chain.contract import ContractClient, function_abi
from timebank_chain.chain.transactions import Call
from timebank_chain.epoch.evidence import (
    AccountEvidence,
    ActivityEvidence,
    Argument,
    DomainEvidence,
    Evidence,
    HeadEvidence,
)
from timebank_chain.epoch.header import HEADER_FIELDS, EpochHeader
from timebank_chain.epoch.leaves import AccountLeaf, ActivityLeaf
from timebank_chain.valuation.policy import Bracket, domain_call, domain_hashes, policy_head_call

SALT_BYTES = 32

#: Stands where nobody looks at a header: before the first epoch there is none.
_NO_HEADER = tuple(
    "" if kind == "string" else bytes(32) if kind == "bytes32" else 0 for _, _, kind in HEADER_FIELDS
)


class EpochChallenge(ContractClient):
    """Takes commitments to proofs, then the proofs; a proposal that is proved wrong is void at once.

    ::

        proof = challenge.prove(evidence, secrets.token_bytes(32))
        timebank.send(signer, challenge.commit(challenge.commitment_of(signer.address, proof.data)))
        timebank.send(signer, proof)                                # in a later block

    Nodes simulate on their newest block: they refuse a proof until the block after its commitment is there.
    """

    NAME: ClassVar[str] = "EpochChallenge"

    def oracle(self) -> ChecksumAddress:
        """Return the oracle whose proposals are challenged."""
        return to_checksum_address(self._read("oracle"))

    def committed_at(self, commitment: bytes, *, block: BlockIdentifier = "latest") -> int:
        """Return the block a commitment was made in; 0 if it was not, or has been used."""
        return int(self._read("committedAt", commitment, block=block))

    @staticmethod
    def commitment_of(challenger: str, call_data: bytes) -> bytes:
        """Return what ``challenger`` commits to before sending ``call_data``, the data of a :meth:`prove`.

        Computed here and not asked of the contract: no node sees the proof before its commitment stands.
        """
        return keccak(abi_encode(["address", "bytes32"], [challenger, keccak(call_data)]))

    def commit(self, commitment: bytes) -> Call:
        """Propose committing to a proof, at least one block ahead of it."""
        return self._write("commit", commitment=commitment)

    def prove(self, evidence: Evidence, salt: bytes) -> Call:
        """Propose proving a fault, which voids the proposal.

        Parameters
        ----------
        evidence
            As ``epoch.evidence_of`` collects it.
        salt
            32 random bytes, so that nobody can guess what was committed to.
        """
        if len(salt) != SALT_BYTES:
            raise ValueError(f"a salt of {len(salt)} bytes, not {SALT_BYTES}")
        values = [salt, evidence.header.as_call(), *map(_argument, evidence.arguments)]
        names = [one["name"] for one in function_abi(self.NAME, evidence.function)["inputs"]]
        return self._write(evidence.function, **dict(zip(names, values, strict=True)))


def evidence_call(evidence: ActivityEvidence | AccountEvidence) -> tuple[object, ...]:
    """Return leaves and siblings as the contracts take them."""
    return tuple(leaf.as_call() for leaf in evidence.leaves), evidence.siblings


def _argument(value: Argument) -> object:
    """Return an argument of a proof as the contract takes it."""
    match value:
        case None:
            return _NO_HEADER
        case EpochHeader() | ActivityLeaf() | AccountLeaf():
            return value.as_call()
        case ActivityEvidence() | AccountEvidence():
            return evidence_call(value)
        case HeadEvidence(policy):
            return policy_head_call(policy)
        case DomainEvidence(policy, domain):
            return policy_head_call(policy), domain_hashes(policy), domain_call(policy.domains[domain])
        case tuple():
            return tuple(
                (one.from_multiple_milli, one.slope_milli) if isinstance(one, Bracket) else one
                for one in value
            )
    return value
