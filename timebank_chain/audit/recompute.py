"""An epoch computed again from its published activities: values, accounts, both trees.

Uses the array arithmetic of ``valuation`` for every row; ``sample.py`` checks that arithmetic against
the plain-integer specification. Nothing the files claim about results is used: the activities' raw
indicators, the policy and the accounts of the epoch before are all that goes in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from timebank_chain.audit.files import Columns, EpochFiles
from timebank_chain.epoch import EpochHeader, MerkleTree
from timebank_chain.epoch.leaves import hash_account_leaves, hash_activity_leaves
from timebank_chain.errors import TimebankError
from timebank_chain.valuation import Activities, Policy, PreviousAccounts, settled_ms, value_epoch


@dataclass(frozen=True)
class Recomputed:
    """What an epoch must have been.

    Attributes
    ----------
    reason
        Why it could not be recomputed; empty when it could.
    activities, accounts
        Columns as published, with every result recomputed.
    activity_root, account_root
        Roots over the recomputed leaves.
    total_earned, active_count, total_mint
        Totals of the header.
    """

    reason: str = ""
    activities: Columns | None = None
    accounts: Columns | None = None
    previous: Columns | None = None
    activity_root: bytes = b""
    account_root: bytes = b""
    total_earned: int = 0
    active_count: int = 0
    total_mint: int = 0

    @classmethod
    def impossible(cls, reason: str) -> Recomputed:
        """Say why there is nothing to compare with."""
        return cls(reason=reason)


def activities_of(columns: Columns) -> Activities:
    """Return published rows as the valuation takes them, results left out."""
    return Activities(
        record_id=columns["record_id"],
        account=columns["account"],
        domain=columns["domain"],
        occurred_ms=columns["occurred_ms"],
        interaction=columns["interaction_milli"],
        originality=columns["originality_milli"],
        engagement=columns["engagement_milli"],
    )


def recompute(files: EpochFiles, previous: Columns | None, policy: Policy, header: EpochHeader) -> Recomputed:
    """Value the epoch again.

    Parameters
    ----------
    files
        The published epoch; only raw columns are used.
    previous
        Account leaves of the epoch before, ``None`` for the first.
    policy, header
        The rules, and from the header: start, end, rate and pot.
    """
    rows = files.activities
    if rows is None:
        return Recomputed.impossible("its activities cannot be read")
    before = (
        PreviousAccounts.none()
        if previous is None
        else PreviousAccounts(previous["account"], previous["standing"], previous["cumulative_mint"])
    )
    try:
        valuation = value_epoch(
            activities_of(rows),
            before,
            policy,
            start_ms=header.start_ms,
            end_ms=header.end_ms,
            rate_q24=header.rate_q24,
            pot=header.pot,
        )
    except TimebankError as error:
        return Recomputed.impossible(f"the published activities cannot be valued: {error}")
    acts, owners = valuation.activities, valuation.accounts
    activities: Columns = {
        "record_id": acts.record_id,
        "account": acts.account,
        "domain": acts.domain,
        "occurred_ms": acts.occurred_ms,
        "interaction_milli": acts.interaction,
        "originality_milli": acts.originality,
        "engagement_milli": acts.engagement,
        "value": acts.value,
        "running": acts.running,
    }
    accounts: Columns = {
        "account": owners.account,
        "activity_end": owners.activity_end,
        "earned": owners.earned,
        "running_earned": owners.running_earned,
        "running_active": owners.running_active,
        "standing": owners.standing,
        "mint": owners.mint,
        "running_mint": owners.running_mint,
        "cumulative_mint": owners.cumulative_mint,
    }
    return Recomputed(
        activities=activities,
        accounts=accounts,
        previous=previous,
        activity_root=MerkleTree(hash_activity_leaves(activities)).root,
        account_root=MerkleTree(hash_account_leaves(accounts)).root,
        total_earned=valuation.totals.total_earned,
        active_count=valuation.totals.active_count,
        total_mint=valuation.totals.total_mint,
    )


def unsettled_rows(columns: Columns, policy: Policy, header: EpochHeader) -> list[tuple[int, int]]:
    """Return (row, settled) of every published act that does not settle in the epoch."""
    if len(columns["domain"]) and int(columns["domain"].max()) >= len(policy.domains):
        return []
    settled = settled_ms(activities_of(columns), policy)
    outside = np.flatnonzero((settled <= header.start_ms) | (settled > header.end_ms))
    return [(int(row), int(settled[row])) for row in outside]
