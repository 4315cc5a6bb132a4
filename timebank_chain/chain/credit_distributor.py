"""CreditDistributor: claims against the newest finalised account root. Amounts are micro-credits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from eth_typing import ChecksumAddress
from eth_utils.address import to_checksum_address
from web3.types import BlockIdentifier

from timebank_chain.chain.contract import ContractClient
from timebank_chain.chain.member_registry import ZERO_ADDRESS
from timebank_chain.chain.transactions import Call
from timebank_chain.epoch.leaves import AccountLeaf
from timebank_chain.units import EpochNumber, MicroCredit


@dataclass(frozen=True)
class Rooms:
    """The bank's contracts as the distributor knows them."""

    time_bank: ChecksumAddress
    lending: ChecksumAddress
    lease: ChecksumAddress


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

    def receiver_of(self, account: str, *, block: BlockIdentifier = "latest") -> ChecksumAddress | None:
        """Return who gets what an account claims; ``None`` for a placeholder without a wallet."""
        return _someone(self._read("receiverOf", account, block=block))

    def creditor_of(self, account: str, *, block: BlockIdentifier = "latest") -> ChecksumAddress | None:
        """Return the creditor an account's claims are pledged to, or ``None``."""
        return _someone(self._read("creditorOf", account, block=block))

    def standing_order_of(self, account: str, *, block: BlockIdentifier = "latest") -> int | None:
        """Return the term an account's claims are deposited under, or ``None``."""
        active, term_id = self._read("standingOrderOf", account, block=block)
        return int(term_id) if active else None

    def is_latest_leaf(
        self, leaf: AccountLeaf, proof: Sequence[bytes], *, block: BlockIdentifier = "latest"
    ) -> bool:
        """Return whether a leaf stands under the newest finalised account root."""
        return bool(self._read("isLatestLeaf", leaf.as_call(), list(proof), block=block))

    def rooms(self, *, block: BlockIdentifier = "latest") -> Rooms | None:
        """Return the bank's contracts, or ``None`` before they are set."""
        time_bank, lending, lease = (
            _someone(self._read(view, block=block)) for view in ("timeBank", "lending", "lease")
        )
        if time_bank is None or lending is None or lease is None:
            return None
        return Rooms(time_bank, lending, lease)

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

    def set_standing_order(self, account: str, term_id: int) -> Call:
        """Propose depositing an account's later claims under a term; only its holder may."""
        return self._write("setStandingOrder", account=account, termId=term_id)

    def end_standing_order(self, account: str) -> Call:
        """Propose that later claims go to the wallet again; only the account's holder may."""
        return self._write("endStandingOrder", account=account)

    def set_rooms(self, time_bank: str, lending: str, lease: str) -> Call:
        """Propose the bank's contracts: once, by the access manager's administrator."""
        return self._write("setRooms", newTimeBank=time_bank, newLending=lending, newLease=lease)


def _someone(address: str) -> ChecksumAddress | None:
    """Return an address, or ``None`` for the zero address, which stands for nobody."""
    found = to_checksum_address(address)
    return None if found == ZERO_ADDRESS else found
