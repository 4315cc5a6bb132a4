"""Proving from published epoch files: the newest finalised epoch, checked against the chain.

A claim and a loan or lease on standing prove the same leaf.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from eth_typing import ChecksumAddress

from timebank_chain.chain.addresses import address_bytes
from timebank_chain.chain.reverts import NoEpochFinalised
from timebank_chain.chain.system import Timebank
from timebank_chain.chain.transactions import Call
from timebank_chain.epoch import AccountLeaf, AccountProof, PublishedEpoch, account_proof, read_epoch
from timebank_chain.errors import ChainError, TamperedEpoch
from timebank_chain.units import MicroCredit


class EpochNotFinalised(ChainError):
    """The epoch to claim from is proposed or unknown, not final."""


class EpochSuperseded(ChainError):
    """A later epoch is final: claims are proved against the newest only, and carry everything before."""


@dataclass(frozen=True)
class ProvenClaim:
    """A claim ready to be sent.

    ``claimable`` is what it mints: the leaf's cumulative mint less what is claimed, at least 0.
    """

    epoch: int
    leaf: AccountLeaf
    claimable: MicroCredit
    call: Call


def final_epoch(timebank: Timebank, epochs: Path, *, epoch: int | None = None) -> PublishedEpoch:
    """Read the published epoch that leaves are proved in: the newest final one, as the chain has it.

    Parameters
    ----------
    epochs
        Folder of published epochs.
    epoch
        Insist on this epoch.

    Raises
    ------
    NoEpochFinalised, EpochNotFinalised, EpochSuperseded
        If the chain has no such final epoch.
    TamperedEpoch
        If the published epoch is not the one on chain.
    """
    oracle = timebank.rate_oracle
    latest = oracle.latest_epoch()
    if epoch is not None and epoch > latest:
        pending = oracle.pending()
        state = "is proposed but not final" if pending and pending.epoch == epoch else "is not on chain"
        raise EpochNotFinalised(
            f"epoch {epoch} {state}: the newest final epoch is {latest or 'none'}",
            hint="claim after it is finalised: timebank oracle finalise",
        )
    if latest == 0:
        raise NoEpochFinalised({})
    if epoch is not None and epoch < latest:
        raise EpochSuperseded(
            f"epoch {epoch} is no longer claimed from: {latest} is the newest final epoch",
            hint="leave --epoch out: the newest epoch carries everything earned before",
        )
    published = read_epoch(epochs, latest)
    on_chain = oracle.header_hash_of(latest)
    if published.header.hash() != on_chain:
        raise TamperedEpoch(
            f"the published epoch {latest} hashes to 0x{published.header.hash().hex()}, "
            f"final on chain is 0x{on_chain.hex()}",
            where=str(epochs),
            hint="fetch the epoch's files again from who publishes them",
        )
    return published


def prove_account(timebank: Timebank, epochs: Path, account: ChecksumAddress) -> AccountProof:
    """Prove an account's leaf in the newest final epoch, as a loan or lease on standing asks for it.

    Raises
    ------
    NoEpochFinalised, TamperedEpoch
        As :func:`final_epoch`.
    EpochError
        If the account earned nothing up to that epoch.
    """
    return account_proof(final_epoch(timebank, epochs), address_bytes(account))


def prove_claim(
    timebank: Timebank, epochs: Path, account: ChecksumAddress, *, epoch: int | None = None
) -> ProvenClaim:
    """Build an account's claim from the published epoch that is final on chain.

    Parameters
    ----------
    epochs
        Folder of published epochs.
    account
        Wallet or placeholder that earned.
    epoch
        Insist on this epoch; the newest final one when not given.

    Raises
    ------
    NoEpochFinalised, EpochNotFinalised, EpochSuperseded, TamperedEpoch
        As :func:`final_epoch`.
    EpochError
        If the account earned nothing up to that epoch.
    """
    published = final_epoch(timebank, epochs, epoch=epoch)
    proof = account_proof(published, address_bytes(account))
    claimed = timebank.credit_distributor.claimed(account)
    return ProvenClaim(
        epoch=published.number,
        leaf=proof.leaf,
        claimable=MicroCredit(max(0, proof.leaf.cumulative_mint - claimed)),
        call=timebank.credit_distributor.claim(proof.leaf, proof.siblings),
    )
