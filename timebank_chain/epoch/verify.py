"""Recomputes a published epoch from its rows and names the first thing that is wrong with each part.

``read_epoch`` has shown that the files are the ones the header vouches for; here is asked whether what
they say is right: rows in order and settled in the epoch, every value, sum, standing and mint, both
roots, every total, and the chain of headers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from timebank_chain.activity import ActivityTable, Members
from timebank_chain.epoch.build import settled_activities
from timebank_chain.epoch.file import PublishedEpoch
from timebank_chain.epoch.rows import AccountRows, ActivityRows, rows_of_valuation
from timebank_chain.errors import EpochError, TimebankError
from timebank_chain.units import format_duration, format_time
from timebank_chain.valuation import (
    Activities,
    EpochValuation,
    Policy,
    PreviousAccounts,
    policy_hash,
    settled_ms,
    value_epoch,
)
from timebank_chain.valuation.order import leaf_order, not_ascending, repeated_records


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault: in which part, at which row or field, and what should stand there.

    ``part`` is ``policy``, ``chain``, ``activities``, ``accounts``, ``roots``, ``totals``, ``source`` or
    ``holds``.
    """

    part: str
    where: str
    message: str

    def to_json(self) -> dict[str, str]:
        """Return the finding as JSON values."""
        return {"part": self.part, "where": self.where, "message": self.message}

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


def verify_epoch(published: PublishedEpoch, previous: PublishedEpoch | None, policy: Policy) -> list[Finding]:
    """Recompute everything an epoch says.

    Parameters
    ----------
    previous
        The epoch before; ``None`` only for the first.
    policy
        The policy the header names.

    Returns
    -------
    list of Finding
        Empty when all is right; otherwise the first fault of each part. Rows that cannot be valued at all
        (out of order, of another epoch) end the comparison: nothing can be recomputed from them.
    """
    header = published.header
    findings = _check_chain(published, previous, policy)
    if header.policy_hash != policy_hash(policy):
        findings.append(
            Finding("policy", "header, field 'policyHash'", f"another policy than '{policy.name}' is named")
        )
        return findings
    rows = _check_rows(published, policy)
    findings += rows
    findings += _check_roots(published)
    if rows:
        return findings
    try:
        valuation = value_epoch(
            published.activities.as_activities(),
            PreviousAccounts.none() if previous is None else previous.accounts.as_previous(),
            policy,
            start_ms=header.start_ms,
            end_ms=header.end_ms,
            rate_q24=header.rate_q24,
            pot=header.pot,
        )
    except EpochError as error:
        findings.append(Finding("activities", error.where or "activities", error.message))
        return findings
    activities, accounts = rows_of_valuation(valuation)
    findings += _compare_activities(published.activities, activities)
    findings += _compare_accounts(published.accounts, accounts)
    findings += _compare_totals(published, valuation, activities, accounts)
    return findings


def verify_records(
    published: PublishedEpoch,
    table: ActivityTable,
    members: Members,
    policy: Policy,
    forgotten: frozenset[bytes] = frozenset(),
) -> list[Finding]:
    """Compare the published activities with an activity table at hand: record ids, accounts, indicators.

    Parameters
    ----------
    table
        It may hold acts of other epochs too; within the epoch it must be complete.
    forgotten
        Record ids of acts that were erased since: published, and nothing is left to compare them with.
    """
    header = published.header
    try:
        expected, _ = settled_activities(
            table, members, policy, start_ms=header.start_ms, end_ms=header.end_ms
        )
        order, _, _ = leaf_order(expected.account, expected.record_id)
    except TimebankError as error:
        return [Finding("source", error.where or "activity table", error.message)]
    return _compare_records(published.activities, expected.take(order), forgotten)


def _check_chain(published: PublishedEpoch, previous: PublishedEpoch | None, policy: Policy) -> list[Finding]:
    header = published.header
    number = 1 if previous is None else previous.number + 1
    before = bytes(32) if previous is None else previous.header.hash()
    findings = []

    def expect(field: str, found: object, expected: object) -> None:
        if found != expected:
            findings.append(Finding("chain", f"header, field {field!r}", f"{found}, should be {expected}"))

    expect("epoch", header.epoch, number)
    expect("previousHeaderHash", f"0x{header.previous_header_hash.hex()}", f"0x{before.hex()}")
    if previous is not None:
        expect("startMs", format_time(header.start_ms), format_time(previous.header.end_ms))
    if policy.epoch_ms:
        expect("endMs", format_time(header.end_ms), format_time(header.start_ms + policy.epoch_ms))
    return findings


def _check_rows(published: PublishedEpoch, policy: Policy) -> list[Finding]:
    """Find rows that cannot be valued: unknown domain, out of order, or of another epoch."""
    rows, header = published.activities, published.header
    for row in np.flatnonzero(rows.domain >= len(policy.domains))[:1]:
        known = f"'{policy.name}' has {len(policy.domains)}"
        return [_activity(row, "domain", f"domain {int(rows.domain[row])} is unknown, {known}")]
    for row in np.flatnonzero((rows.occurred_ms < 0) | (rows.occurred_ms >= 1 << 48))[:1]:
        return [_activity(row, "occurred_ms", f"{int(rows.occurred_ms[row])} is no time")]
    findings = []
    for row in not_ascending(rows.account, rows.record_id)[:1].tolist():
        message = f"{_record(rows, row)} is out of order: rows rise by account, then record id"
        if (rows.record_id[row] == rows.record_id[row - 1]).all():
            message = f"{_record(rows, row)} stands twice"
        findings.append(_activity(row, "record_id", message))
    for first, row in repeated_records(rows.record_id)[: 0 if findings else 1].tolist():
        findings.append(_activity(row, "record_id", f"{_record(rows, row)} stands twice: in row {first} too"))
    settled = settled_ms(rows.as_activities(), policy)
    windows = [format_duration(domain.window_ms) for domain in policy.domains]
    for late in np.flatnonzero((settled <= header.start_ms) | (settled > header.end_ms))[:1]:
        findings.append(
            _activity(
                late,
                "occurred_ms",
                f"settles at {format_time(int(settled[late]))} "
                f"({windows[int(rows.domain[late])]} after the act), outside "
                f"the epoch ({format_time(header.start_ms)}, {format_time(header.end_ms)}]",
            )
        )
    return findings


def _check_roots(published: PublishedEpoch) -> list[Finding]:
    """Compare the roots of the published rows with the header's."""
    header = published.header
    findings = []
    for field, rows, root in (
        ("activityRoot", published.activities, header.activity_root),
        ("accountRoot", published.accounts, header.account_root),
    ):
        try:
            found = rows.tree.root
        except EpochError as error:
            findings.append(Finding("roots", error.where or field, error.message))
            continue
        if found != root:
            message = f"0x{root.hex()}, the published rows give 0x{found.hex()}"
            findings.append(Finding("roots", f"header, field {field!r}", message))
    return findings


def _compare_activities(published: ActivityRows, computed: ActivityRows) -> list[Finding]:
    # The rows are in leaf order (checked before), so both sides stand row by row.
    first = _first_difference(
        {name: (getattr(published, name), getattr(computed, name)) for name in ("value", "running")}
    )
    if first is None:
        return []
    row, name = first
    found, expected = int(getattr(published, name)[row]), int(getattr(computed, name)[row])
    return [_activity(row, name, f"{found}, should be {expected}")]


def _compare_accounts(published: AccountRows, computed: AccountRows) -> list[Finding]:
    findings = []
    count = min(len(published), len(computed))
    if len(published) != len(computed):
        message = f"{len(published)} accounts, should be {len(computed)}"
        findings.append(Finding("accounts", "accounts.parquet", message))
    first = _first_difference(
        {
            name: (column[:count], getattr(computed, name)[:count])
            for name, column in published.columns().items()
        }
    )
    if first is not None:
        row, name = first
        found, expected = (_shown(getattr(side, name)[row]) for side in (published, computed))
        account = f"0x{published.account[row].tobytes().hex()}"
        place = f"accounts.parquet, row {row} ({account}), field {name!r}"
        findings.append(Finding("accounts", place, f"{found}, should be {expected}"))
    return findings


def _compare_totals(
    published: PublishedEpoch, valuation: EpochValuation, activities: ActivityRows, accounts: AccountRows
) -> list[Finding]:
    header, totals = published.header, valuation.totals
    return [
        Finding("totals", f"header, field {field!r}", f"{found}, should be {expected}")
        for field, found, expected in (
            ("activityCount", header.activity_count, len(activities)),
            ("accountCount", header.account_count, len(accounts)),
            ("activeCount", header.active_count, totals.active_count),
            ("totalEarned", header.total_earned, totals.total_earned),
            ("totalMint", header.total_mint, totals.total_mint),
        )
        if found != expected
    ]


def _compare_records(
    published: ActivityRows, expected: Activities, forgotten: frozenset[bytes]
) -> list[Finding]:
    def keys(account: NDArray[np.uint8], record: NDArray[np.uint8]) -> list[bytes]:
        return [row.tobytes() for row in np.concatenate([account, record], axis=1)]

    found_at = {key: row for row, key in enumerate(keys(published.account, published.record_id))}
    wanted_at = {key: row for row, key in enumerate(keys(expected.account, expected.record_id))}
    compared: list[int] = []
    for key, row in found_at.items():
        if key not in wanted_at and key[20:] in forgotten:
            continue
        compared.append(row)
        if key not in wanted_at:
            what = f"record 0x{key[20:].hex()} of account 0x{key[:20].hex()} is not in the activity table"
            return [_activity(row, "record_id", what, part="source")]
    for key in wanted_at:
        if key not in found_at:
            what = f"record 0x{key[20:].hex()} of account 0x{key[:20].hex()} is missing from the epoch"
            return [Finding("source", "activities.parquet", what)]
    mine = np.array(compared, dtype=np.int64)
    rows = np.array([wanted_at[key] for key in found_at if key in wanted_at], dtype=np.int64)
    sides: dict[str, tuple[NDArray[Any], NDArray[Any]]] = {
        "domain": (published.domain[mine], expected.domain[rows]),
        "occurred_ms": (published.occurred_ms[mine], expected.occurred_ms[rows]),
        "interaction_milli": (published.interaction_milli[mine], expected.interaction[rows]),
        "originality_milli": (published.originality_milli[mine], expected.originality[rows]),
        "engagement_milli": (published.engagement_milli[mine], expected.engagement[rows]),
    }
    first = _first_difference(sides)
    if first is None:
        return []
    row, name = first
    found, should = (int(side[row]) for side in sides[name])
    return [_activity(mine[row], name, f"{found}, the activity table says {should}", part="source")]


def _first_difference(sides: dict[str, tuple[NDArray[Any], NDArray[Any]]]) -> tuple[int, str] | None:
    """Return the first row in which a column differs, and the first such column."""
    first: tuple[int, str] | None = None
    for name, (left, right) in sides.items():
        unequal = (left != right).any(axis=1) if left.ndim == 2 else left != right
        rows = np.flatnonzero(unequal)
        if len(rows) and (first is None or rows[0] < first[0]):
            first = int(rows[0]), name
    return first


def _activity(row: int | np.integer[Any], field: str, message: str, *, part: str = "activities") -> Finding:
    return Finding(part, f"activities.parquet, row {int(row)}, field {field!r}", message)


def _record(rows: ActivityRows, row: int) -> str:
    return f"0x{rows.record_id[row].tobytes().hex()}"


def _shown(value: Any) -> str:
    return f"0x{value.tobytes().hex()}" if isinstance(value, np.ndarray) else str(int(value))
