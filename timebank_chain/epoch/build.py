"""Builds an epoch: picks the acts that settle in it, values them, commits to them.

Takes a clean activity table, the members, a policy and the epoch before; gives rows, files and header,
in memory. Nothing depends on the order of the table.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from timebank_chain.activity import ActivityTable, Members
from timebank_chain.epoch.file import (
    ACCOUNTS_FILE,
    ACTIVITIES_FILE,
    HEADER_FILE,
    MANIFEST_FILE,
    PublishedEpoch,
    encode_header,
    encode_manifest,
    encode_rows,
)
from timebank_chain.epoch.header import EpochHeader
from timebank_chain.epoch.rows import AccountRows, ActivityRows, rows_of_valuation
from timebank_chain.errors import EpochError
from timebank_chain.units import format_duration, format_time
from timebank_chain.valuation import (
    Activities,
    EpochValuation,
    Policy,
    PreviousAccounts,
    activities_of,
    fitting_domains,
    policy_hash,
    value_epoch,
)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Acts of the table that do not settle in the epoch: before its start, and after its end."""

    earlier: int
    later: int


@dataclass(frozen=True, eq=False)
class ValuedEpoch:
    """Acts valued and committed to, before there are files of them."""

    header: EpochHeader
    valuation: EpochValuation
    activities: ActivityRows
    accounts: AccountRows


@dataclass(frozen=True, eq=False)
class EpochBuild:
    """A built epoch, not yet published.

    Attributes
    ----------
    files
        The published files by name, header and manifest included.
    left_out
        How many acts of the table belong to other epochs.
    """

    header: EpochHeader
    policy: Policy
    valuation: EpochValuation
    activities: ActivityRows
    accounts: AccountRows
    files: Mapping[str, bytes]
    left_out: LeftOut


def build_epoch(
    table: ActivityTable,
    members: Members,
    policy: Policy,
    *,
    start_ms: int,
    end_ms: int,
    previous: PublishedEpoch | None,
    rate_q24: int | None = None,
    pot: int = 0,
    data_uri: str = "",
) -> EpochBuild:
    """Build the epoch ``(start_ms, end_ms]`` that follows ``previous``.

    Parameters
    ----------
    table
        Acts of any time; those that settle in the epoch are taken, the rest counted in ``left_out``.
    previous
        The epoch before, ``None`` for the first.
    rate_q24
        Micro-credits per micro-value in Q24; default: the previous epoch's, or the policy's initial rate.
    pot
        Bonus in micro-credits, shared in proportion to what was earned.

    Raises
    ------
    ActivityError
        If an act's indicators were counted in another observation window than its domain's.
    PolicyError
        If the policy does not know an act's domain.
    EpochError
        If the epoch does not follow the previous one, has another length than the policy's, or an
        amount leaves the range of the ledger.
    """
    check_interval(policy, previous, start_ms=start_ms, end_ms=end_ms)
    if rate_q24 is None:
        rate_q24 = policy.initial_rate_q24 if previous is None else previous.header.rate_q24
    settled, left_out = settled_activities(table, members, policy, start_ms=start_ms, end_ms=end_ms)
    valued = value_and_commit(
        settled,
        policy,
        previous,
        start_ms=start_ms,
        end_ms=end_ms,
        rate_q24=rate_q24,
        pot=pot,
        data_uri=data_uri,
    )
    data = {
        ACTIVITIES_FILE: encode_rows(ACTIVITIES_FILE, valued.activities),
        ACCOUNTS_FILE: encode_rows(ACCOUNTS_FILE, valued.accounts),
    }
    manifest = encode_manifest(valued.header.epoch, data)
    header = replace(valued.header, data_hash=hashlib.sha256(manifest).digest())
    files = {HEADER_FILE: encode_header(header), MANIFEST_FILE: manifest, **data}
    return EpochBuild(header, policy, valued.valuation, valued.activities, valued.accounts, files, left_out)


def value_and_commit(
    settled: Activities,
    policy: Policy,
    previous: PublishedEpoch | None,
    *,
    start_ms: int,
    end_ms: int,
    rate_q24: int,
    pot: int = 0,
    data_hash: bytes = bytes(32),
    data_uri: str = "",
) -> ValuedEpoch:
    """Value acts and commit to them in the header of the epoch that follows ``previous``.

    Parameters
    ----------
    settled
        Acts that settle in ``(start_ms, end_ms]``; whether they do, and whether the epoch is as long as the
        policy says, is not looked at.
    data_hash
        What the header says of the files, which may be made afterwards.

    Raises
    ------
    EpochError
        If an amount leaves the range of the ledger.
    """
    before = PreviousAccounts.none() if previous is None else previous.accounts.as_previous()
    valuation = value_epoch(
        settled, before, policy, start_ms=start_ms, end_ms=end_ms, rate_q24=rate_q24, pot=pot
    )
    activities, accounts = rows_of_valuation(valuation)
    header = EpochHeader(
        epoch=1 if previous is None else previous.number + 1,
        start_ms=start_ms,
        end_ms=end_ms,
        policy_hash=policy_hash(policy),
        activity_root=activities.tree.root,
        activity_count=len(activities),
        account_root=accounts.tree.root,
        account_count=len(accounts),
        active_count=valuation.totals.active_count,
        total_earned=valuation.totals.total_earned,
        total_mint=valuation.totals.total_mint,
        rate_q24=rate_q24,
        pot=pot,
        previous_header_hash=bytes(32) if previous is None else previous.header.hash(),
        data_hash=data_hash,
        data_uri=data_uri,
    )
    return ValuedEpoch(header, valuation, activities, accounts)


def settled_activities(
    table: ActivityTable, members: Members, policy: Policy, *, start_ms: int, end_ms: int
) -> tuple[Activities, LeftOut]:
    """Return the acts that settle in ``(start_ms, end_ms]``, and how many settle elsewhere.

    Raises
    ------
    ActivityError
        If an act's observation window is not its domain's.
    PolicyError
        If the policy does not know an act's domain.
    """
    windows = np.array([entry.window_ms for entry in policy.domains], dtype=np.int64)
    settled = table.occurred_ms + windows[fitting_domains(table, policy)]
    earlier, later = settled <= start_ms, settled > end_ms
    chosen = table.take(np.flatnonzero(~(earlier | later)))
    activities = activities_of(chosen, members, policy)
    return activities, LeftOut(int(earlier.sum()), int(later.sum()))


def check_interval(policy: Policy, previous: PublishedEpoch | None, *, start_ms: int, end_ms: int) -> None:
    """Refuse an epoch that does not follow the one before or is not as long as the policy says.

    Raises
    ------
    EpochError
        With the time it should start or end at.
    """
    if previous is not None and start_ms != previous.header.end_ms:
        raise EpochError(
            f"the epoch starts at {format_time(start_ms)}, the one before ended at "
            f"{format_time(previous.header.end_ms)}",
            hint="leave the start out: it is where the previous epoch ended",
        )
    if policy.epoch_ms and end_ms - start_ms != policy.epoch_ms:
        raise EpochError(
            f"the epoch is {format_duration(max(0, end_ms - start_ms))} long, policy '{policy.name}' says "
            f"{format_duration(policy.epoch_ms)}",
            hint=f"end it at {format_time(start_ms + policy.epoch_ms)}, or use a policy with another epoch",
        )
