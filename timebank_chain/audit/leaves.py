"""Every leaf of every epoch recomputed: activities, accounts, roots and totals."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from timebank_chain.audit.case import AuditCase, EpochCase
from timebank_chain.audit.files import Columns
from timebank_chain.audit.recompute import activities_of, unsettled_rows
from timebank_chain.audit.report import DIFFERENCES_KEPT, Check, Tally
from timebank_chain.epoch import EpochHeader, MerkleTree
from timebank_chain.epoch.leaves import hash_account_leaves, hash_activity_leaves
from timebank_chain.errors import TimebankError
from timebank_chain.units import format_micro, format_time
from timebank_chain.valuation import Policy, activity_values


def check_activity_leaves(case: AuditCase) -> Check:
    """Check each activity row: settled in the epoch, in order, once, its value and running sum right."""
    tally = Tally("A27", "every activity leaf: order, settlement, value and running sum recomputed")
    count = 0
    for epoch in case.epochs:
        rows = epoch.files.activities
        where = f"epoch {epoch.number}, activities.parquet"
        if rows is None or epoch.policy is None or epoch.header is None:
            tally.fail(where, "rows to recompute", _reason(epoch), "this epoch's activities are unproven")
            continue
        count += len(rows["value"])
        _check_order(tally, rows, where)
        for row, settled in unsettled_rows(rows, epoch.policy, epoch.header):
            tally.fail(
                f"{where}, row {row}",
                f"settled after {format_time(epoch.header.start_ms)}, by {format_time(epoch.header.end_ms)}",
                format_time(settled),
                "the act belongs to another epoch",
            )
        _check_values(tally, rows, epoch.policy, epoch.header, where)
    tally.evidence.update(leaves=count)
    return tally.done(f"{count:,} leaves in {len(case.epochs)} epochs")


def _check_order(tally: Tally, rows: Columns, where: str) -> None:
    keys = np.concatenate([rows["account"], rows["record_id"]], axis=1)
    # Bytes compare as Python compares them: unsigned, first difference decides.
    words = np.ascontiguousarray(np.pad(keys, ((0, 0), (0, 4)))).view(">u8").astype(np.uint64)
    for row in _not_rising(words):
        same = bool((keys[row] == keys[row + 1]).all())
        tally.fail(
            f"{where}, row {row + 1}",
            "after the row before it, by account and record id",
            "the same record again" if same else "out of order",
            "an act would be paid twice" if same else "leaves in another order have another root",
        )
    ids = np.ascontiguousarray(rows["record_id"]).view("V32").reshape(-1)
    unique, first, times = np.unique(ids, return_index=True, return_counts=True)
    for at in np.flatnonzero(times > 1)[:DIFFERENCES_KEPT]:
        tally.fail(
            f"{where}, row {int(first[at])}",
            "each record id once",
            f"{int(times[at])} times 0x{unique[at].tobytes().hex()}",
            "one act counts more than once",
        )


def _not_rising(words: NDArray[np.uint64]) -> list[int]:
    """Return the rows whose successor is not greater, comparing word by word."""
    if len(words) < 2:
        return []
    before, after = words[:-1], words[1:]
    decided = np.zeros(len(before), dtype=bool)
    rising = np.zeros(len(before), dtype=bool)
    for column in range(words.shape[1]):
        less, more = before[:, column] < after[:, column], before[:, column] > after[:, column]
        rising |= ~decided & less
        decided |= less | more
    return [int(row) for row in np.flatnonzero(~rising)]


def _check_values(tally: Tally, rows: Columns, policy: Policy, header: EpochHeader, where: str) -> None:
    try:
        values = activity_values(activities_of(rows), policy, end_ms=header.end_ms)
    except TimebankError as error:
        tally.fail(where, "rows the policy can value", str(error), "this epoch's activities are unproven")
        return
    meaning = "the row's value is not what the policy's formula gives for its indicators and age"
    _compare(tally, where, "value", values, rows["value"], meaning)
    running = np.cumsum(values, dtype=np.int64)
    _compare(
        tally, where, "running", running, rows["running"], "the running sum does not follow from the values"
    )


def check_account_leaves(case: AuditCase) -> Check:
    """Check each account row against the activities and the account's leaf in the epoch before."""
    tally = Tally("A28", "every account leaf: range, earned, standing, mint, running sums, cumulative")
    count = 0
    for epoch in case.epochs:
        where = f"epoch {epoch.number}, accounts.parquet"
        rows, expected = epoch.files.accounts, epoch.recomputed.accounts
        if rows is None or expected is None:
            tally.fail(where, "rows to compare with", _reason(epoch), "this epoch's accounts are unproven")
            continue
        count += len(rows["account"])
        published, wanted = _names(rows), _names(expected)
        if published != wanted:
            known, right = set(published), set(wanted)
            for account in sorted(right - known):
                tally.fail(
                    where, f"a leaf of 0x{account.hex()}", "none", "the account cannot claim what is its own"
                )
            for account in sorted(known - right):
                tally.fail(
                    where,
                    "only accounts with acts or history",
                    f"0x{account.hex()}",
                    "an account was invented: it has neither acts in the epoch nor a place in the one before",
                )
            if known == right:
                tally.fail(where, "sorted by account, each once", "another order", "its root is another's")
            continue
        for column in expected:
            if column != "account":
                _compare(
                    tally,
                    where,
                    column,
                    expected[column],
                    rows[column],
                    f"{column} does not follow from the activities, the policy and the epoch before",
                    published,
                )
    tally.evidence.update(leaves=count)
    return tally.done(f"{count:,} leaves in {len(case.epochs)} epochs")


def check_nobody_dropped(case: AuditCase) -> Check:
    """Check that every account of an epoch is in the next one, and its cumulative mint never falls."""
    tally = Tally("A29", "accounts are never dropped and their cumulative mint never falls")
    before: dict[bytes, int] = {}
    for epoch in case.epochs:
        rows = epoch.files.accounts
        if rows is None:
            continue  # reported by A28
        now = dict(zip(_names(rows), (int(amount) for amount in rows["cumulative_mint"]), strict=True))
        for account, amount in before.items():
            where = f"epoch {epoch.number}, account 0x{account.hex()}"
            if account not in now:
                tally.fail(where, "a leaf, as in the epoch before", "none", "what it has not claimed is lost")
            else:
                tally.require(
                    now[account] >= amount,
                    f"{where}, cumulative_mint",
                    f"at least {amount}",
                    now[account],
                    "earned credits were taken back",
                )
        before = now
    tally.evidence.update(accounts=len(before))
    return tally.done(f"{len(before):,} accounts at the end")


def check_roots(case: AuditCase) -> Check:
    """Check both roots, counts and totals of each accepted header against published and recomputed rows."""
    tally = Tally("A30", "roots, counts and totals of each header = published rows = recomputed rows")
    minted = 0
    for epoch in case.epochs:
        header = epoch.header
        if header is None:
            continue  # reported by A22
        where = f"epoch {epoch.number}, header"
        minted += header.total_mint
        published = (
            ("activityRoot", epoch.files.activities, hash_activity_leaves, header.activity_root),
            ("accountRoot", epoch.files.accounts, hash_account_leaves, header.account_root),
        )
        for name, rows, hashing, root in published:
            if rows is None:
                continue  # reported by A25
            try:
                found = MerkleTree(hashing(rows)).root
            except TimebankError as error:
                tally.fail(f"{where}, {name}", root, str(error), "the published rows make no leaves")
                continue
            tally.equal(
                f"{where}, {name} over the published rows",
                root,
                found,
                "the published rows are not those the chain accepted",
            )
        _check_totals(tally, epoch, header, where)
    tally.evidence.update(total_mint=minted)
    return tally.done(f"{2 * len(case.epochs)} roots, {format_micro(minted)} credits minted")


def _check_totals(tally: Tally, epoch: EpochCase, header: EpochHeader, where: str) -> None:
    again = epoch.recomputed
    if again.activities is None or again.accounts is None:
        tally.fail(
            where, "an epoch that can be recomputed", _reason(epoch), "its totals and roots are unproven"
        )
        return
    meaning = "the header the chain accepted does not follow from the published activities"
    for name, expected, found in (
        ("activityRoot, recomputed", again.activity_root, header.activity_root),
        ("accountRoot, recomputed", again.account_root, header.account_root),
        ("activityCount", len(again.activities["value"]), header.activity_count),
        ("accountCount", len(again.accounts["account"]), header.account_count),
        ("activeCount", again.active_count, header.active_count),
        ("totalEarned", again.total_earned, header.total_earned),
        ("totalMint", again.total_mint, header.total_mint),
    ):
        tally.equal(f"{where}, {name}", expected, found, meaning)


def check_record_ids(case: AuditCase) -> Check:
    """Check published record ids against the raw activity table, when one was handed in."""
    tally = Tally("A33", "record ids = hash of salt and raw record (--activity)")
    if case.activity_file is None:
        return tally.not_checked("no raw activity table given (--activity FILE)")
    from timebank_chain.activity import read_activity, record_ids
    from timebank_chain.activity.erased import load_erased

    forgotten = None if case.erased_file is None else load_erased(case.erased_file)
    table = read_activity(case.activity_file)
    ids = record_ids(table)
    raw = {row.tobytes(): index for index, row in enumerate(ids)}
    matched = gone = 0
    for epoch in case.epochs:
        rows = epoch.files.activities
        if rows is None or epoch.policy is None:
            continue  # reported by A25, A26
        domains = epoch.policy.domain_names()
        for row, record in enumerate(rows["record_id"]):
            where = f"epoch {epoch.number}, activities.parquet, row {row}"
            index = raw.get(record.tobytes())
            if index is None and forgotten is not None and record.tobytes() in forgotten.records:
                gone += 1
                continue
            if index is None:
                tally.fail(
                    where,
                    f"a record of {case.activity_file}",
                    f"0x{record.tobytes().hex()}",
                    "the published act is none of the recorded ones",
                )
                continue
            matched += 1
            domain = int(rows["domain"][row])
            published = (
                int(rows["occurred_ms"][row]),
                int(rows["interaction_milli"][row]),
                int(rows["originality_milli"][row]),
                int(rows["engagement_milli"][row]),
                domains[domain] if domain < len(domains) else str(domain),
            )
            recorded = (
                int(table.occurred_ms[index]),
                int(table.interaction_milli[index]),
                int(table.originality_milli[index]),
                int(table.engagement_milli[index]),
                table.domain[index],
            )
            tally.equal(
                f"{where} (id {table.id[index]})",
                str(recorded),
                str(published),
                "the published row says something else than the record it names",
            )
    tally.evidence.update(records=len(table), matched=matched, erased=gone)
    figure = f"{matched:,} published acts among {len(table):,} records"
    if gone:
        # Said aloud: whoever wrote the list could have called an invented record erased.
        tally.note(f"{gone:,} published acts were erased at a person's wish: nothing is left to compare")
        figure += f", {gone:,} erased"
    return tally.done(figure)


def _names(rows: Columns) -> list[bytes]:
    return [row.tobytes() for row in rows["account"]]


def _reason(epoch: EpochCase) -> str:
    return epoch.recomputed.reason or epoch.header_fault or "unreadable"


def _compare(
    tally: Tally,
    where: str,
    column: str,
    expected: NDArray[Any],
    found: NDArray[Any],
    meaning: str,
    accounts: list[bytes] | None = None,
) -> None:
    rows = np.flatnonzero(expected != found)
    for row in rows[:DIFFERENCES_KEPT]:
        owner = f" (0x{accounts[row].hex()})" if accounts else ""
        tally.fail(f"{where}, row {row}{owner}, {column}", int(expected[row]), int(found[row]), meaning)
    tally.more(max(0, len(rows) - DIFFERENCES_KEPT))
