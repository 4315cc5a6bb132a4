"""What the chain says, read at one block: every decision of a tick rests on the same state."""

from __future__ import annotations

from dataclasses import dataclass

from eth_typing import ChecksumAddress

from timebank_chain.chain.addresses import address_bytes
from timebank_chain.chain.connection import Connection
from timebank_chain.chain.rate_oracle import PendingEpoch
from timebank_chain.chain.system import Timebank
from timebank_chain.units import EpochNumber, MicroCredit, Milliseconds, RateQ24


@dataclass(frozen=True, slots=True)
class OracleState:
    """The oracle's state on chain.

    Attributes
    ----------
    block
        Number all of it was read at.
    time_ms
        Time of the block that would come next, Unix milliseconds.
    bonus
        What the fee pool holds for active members: the most the next epoch's pot may be.
    withdrawable_wei
        Bonds waiting for the account asked about.
    final_from
        Unix seconds from which the pending proposal can be finalised: the end of its challenge window, or
        later where leaves were asked for; ``None`` while one is, or if nothing is pending.
    open_requests
        How many leaves of the pending proposal are being asked for.
    """

    block: int
    time_ms: Milliseconds
    latest_epoch: EpochNumber
    latest_header_hash: bytes
    latest_end_ms: Milliseconds
    pending: PendingEpoch | None
    policy_hash: bytes
    rate_q24: RateQ24
    quorum: frozenset[bytes]
    threshold: int
    bond_wei: int
    paused: bool
    bonus: MicroCredit
    withdrawable_wei: int
    final_from: int | None
    open_requests: int


def read_state(timebank: Timebank, account: ChecksumAddress) -> OracleState:
    """Read the oracle's state, and the bonds waiting for ``account``, at the newest block."""
    oracle, requests = timebank.rate_oracle, timebank.leaf_requests
    block = timebank.connection.block_number()
    pending = oracle.pending(block=block)
    final_from, asked = None, 0
    if pending is not None:
        proposal = (pending.header_hash, pending.challenge_ends_at)
        final_from = requests.held_until(*proposal, block=block)
        asked = requests.open_requests(*proposal, block=block)
    return OracleState(
        block=block,
        time_ms=Milliseconds(chain_time(timebank.connection) * 1_000),
        latest_epoch=oracle.latest_epoch(block=block),
        latest_header_hash=oracle.latest_header_hash(block=block),
        latest_end_ms=oracle.latest_end_ms(block=block),
        pending=pending,
        policy_hash=oracle.policy_hash(block=block),
        rate_q24=oracle.rate_q24(block=block),
        quorum=frozenset(address_bytes(signer) for signer in oracle.signers(block=block)),
        threshold=oracle.threshold(block=block),
        bond_wei=oracle.bond_wei(block=block),
        paused=oracle.proposals_paused(block=block),
        bonus=timebank.fee_pool.bonus(block=block),
        withdrawable_wei=oracle.withdrawable_wei(account, block=block),
        final_from=final_from,
        open_requests=asked,
    )


def chain_time(connection: Connection) -> int:
    """Return the time the next block would have, Unix seconds.

    A development chain mines only when something is sent: its newest block may be hours old.
    """
    pending = connection.w3.eth.get_block("pending")
    return max(connection.timestamp(), int(pending.get("timestamp") or 0))
