"""Answering: whoever asks for a leaf of a proposed epoch is shown it, so that no honest bond is lost."""

from __future__ import annotations

from collections.abc import Sequence

from timebank_chain.chain.challenge_events import LeafRequested
from timebank_chain.chain.rate_oracle import PendingEpoch
from timebank_chain.chain.system import Timebank
from timebank_chain.chain.transactions import Call
from timebank_chain.epoch import PublishedEpoch
from timebank_chain.epoch.evidence import AccountEvidence, ActivityEvidence


def answer_call(timebank: Timebank, epoch: PublishedEpoch, request: LeafRequested) -> Call:
    """Return the transaction that shows the leaf asked for, with its siblings.

    Raises
    ------
    EpochError
        If the published rows hold what no leaf can.
    """
    requests, index = timebank.leaf_requests, request.index
    if request.tree == "activity":
        acts = epoch.activities
        siblings = tuple(acts.tree.range_proof(index, 1))
        return requests.answer_activity(epoch.header, ActivityEvidence((acts.leaf(index),), siblings))
    accounts = epoch.accounts
    siblings = tuple(accounts.tree.range_proof(index, 1))
    return requests.answer_account(epoch.header, AccountEvidence((accounts.leaf(index),), siblings))


def answers_call(timebank: Timebank, epoch: PublishedEpoch, asked: Sequence[LeafRequested]) -> Call:
    """Return the one transaction that shows many leaves; those nobody asks for any more are passed over.

    Raises
    ------
    EpochError
        If the published rows hold what no leaf can.
    """
    acts, accounts = epoch.activities, epoch.accounts
    return timebank.leaf_requests.answer_many(
        epoch.header,
        [
            ActivityEvidence((acts.leaf(one.index),), tuple(acts.tree.range_proof(one.index, 1)))
            for one in asked
            if one.tree == "activity"
        ],
        [
            AccountEvidence((accounts.leaf(one.index),), tuple(accounts.tree.range_proof(one.index, 1)))
            for one in asked
            if one.tree == "account"
        ],
    )


def answer_key(pending: PendingEpoch, *asked: LeafRequested) -> str:
    """Return how the journal names an answer to one or many requests.

    The end of the window is part of it: the same header can be proposed again, and asked about again.
    """
    leaves = ", ".join(f"{one.tree} {one.index}" for one in asked)
    return f"0x{pending.header_hash.hex()} until {pending.challenge_ends_at}: {leaves}"
