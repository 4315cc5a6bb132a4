"""CreditDistributor: claims against the newest finalised account root. Amounts are micro-credits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from web3.types import BlockIdentifier

from timebank_chain.chain.contract import ContractClient
from timebank_chain.chain.transactions import Call
from timebank_chain.epoch.leaves import AccountLeaf
from timebank_chain.units import EpochNumber, MicroCredit


@dataclass(frozen=True)
class AcceptedRoot:
    """The root claims are proved against, and the epoch it closes (0 before the first)."""

    root: bytes
    epoch: EpochNumber


class CreditDistributor(ContractClient):
    """Mints what finalised epochs grant; anyone may pay for anyone's claim."""

    NAME: ClassVar[str] = "CreditDistributor"

    def claimed(self, account: str, *, block: BlockIdentifier = "latest") -> MicroCredit:
        """Return what has been claimed for an account (placeholder or wallet) over all epochs."""
        return MicroCredit(self._read("claimed", account, block=block))

    def accepted_root(self, *, block: BlockIdentifier = "latest") -> AcceptedRoot:
        """Return the newest finalised account root."""
        root = bytes(self._read("accountRoot", block=block))
        return AcceptedRoot(root, EpochNumber(self._read("epoch", block=block)))

    def claim(self, leaf: AccountLeaf, proof: Sequence[bytes]) -> Call:
        """Propose claiming for one account.

        Parameters
        ----------
        proof
            Siblings of the leaf, bottom up.
        """
        return self._write("claim", leaf=leaf.as_call(), proof=list(proof))

    def claim_many(self, leaves: Sequence[AccountLeaf], proof: Sequence[bytes], depth: int) -> Call:
        """Propose claiming for neighbours: contiguous leaves under one range proof.

        Parameters
        ----------
        depth
            Levels of the tree: ceil(log2(accounts in the epoch)).
        """
        return self._write(
            "claimMany", leaves=[leaf.as_call() for leaf in leaves], proof=list(proof), depth=depth
        )
