"""Pushing claims: after an epoch is final, everybody who has something new gets it.

Anyone may pay for anyone's claim. Neighbours in the account tree share one proof, so accounts are
claimed in ranges; accounts within a range that have nothing new, or no wallet yet, are skipped by
the contract.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from eth_utils.address import to_checksum_address

from timebank_chain.activity import is_placeholder
from timebank_chain.chain.system import Timebank
from timebank_chain.chain.transactions import Call
from timebank_chain.epoch import PublishedEpoch
from timebank_chain.oracle.journal import Journal

BATCH = 100
#: A skipped account costs about as much calldata as an extra proof and transaction spread over this many.
MAX_GAP = 4


@dataclass(frozen=True, slots=True)
class ClaimRange:
    """Neighbouring leaves to claim together: ``count`` of them from index ``first``."""

    first: int
    count: int

    @property
    def key(self) -> str:
        """How the journal names it."""
        return f"{self.first}+{self.count}"


def ranges(indices: Sequence[int], *, batch: int = BATCH, max_gap: int = MAX_GAP) -> Iterator[ClaimRange]:
    """Group ascending leaf indices into ranges of at most ``batch`` leaves.

    A gap of up to ``max_gap`` leaves is bridged, because one transaction more costs more than they do.

    >>> [(r.first, r.count) for r in ranges([0, 1, 3, 20, 21], batch=3)]
    [(0, 2), (3, 1), (20, 2)]
    """
    first = last = None
    for index in indices:
        if first is None or last is None:
            first = last = index
        elif index - last - 1 <= max_gap and index - first < batch:
            last = index
        else:
            yield ClaimRange(first, last - first + 1)
            first = last = index
    if first is not None and last is not None:
        yield ClaimRange(first, last - first + 1)


def outstanding(timebank: Timebank, epoch: PublishedEpoch, journal: Journal, *, block: int) -> dict[int, int]:
    """Return the leaf indices with something to claim, and how much, micro-credits.

    The chain is asked, pinned to ``block``, only about accounts whose leaf grew since they were last
    seen claimed. Placeholders nobody is linked to are left out.
    """
    accounts = epoch.accounts
    known = journal.claimed()
    news: dict[bytes, int] = {}
    found: dict[int, int] = {}
    for index, cumulative in enumerate(accounts.cumulative_mint.tolist()):
        account = accounts.account[index].tobytes()
        if cumulative <= known.get(account, 0):
            continue
        address = to_checksum_address(account)
        claimed = int(timebank.credit_distributor.claimed(address, block=block))
        if claimed > known.get(account, 0):
            news[account] = claimed
        if cumulative <= claimed:
            continue
        if is_placeholder(account) and timebank.member_registry.wallet_of(address, block=block) is None:
            continue
        found[index] = cumulative - claimed
    journal.saw_claimed(news)
    return found


def claim_call(timebank: Timebank, epoch: PublishedEpoch, part: ClaimRange) -> Call:
    """Return the claim of a range of neighbours."""
    tree = epoch.accounts.tree
    leaves = [epoch.accounts.leaf(index) for index in range(part.first, part.first + part.count)]
    return timebank.credit_distributor.claim_many(
        leaves, tree.range_proof(part.first, part.count), tree.depth
    )


def total(claims: Mapping[int, int]) -> int:
    """Return the sum of outstanding claims, micro-credits."""
    return sum(claims.values())
