"""verify_epoch and verify_records
|- nothing is found in genuine epochs
|- a lie that hangs together (roots, manifest and header follow from it) is found, naming row and field
|  |- each column of the activities, in the first, a middle and the last row
|  |- each column of the accounts, likewise
|  |- activities swapped, repeated, dropped; of another epoch; of an unknown domain; an impossible time
|  |- accounts dropped or invented
|  `- each field of the header
|- another policy, another previous epoch, none at all
`- an activity table that differs: a changed record, one too many, one missing, another indicator
"""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.epoch import sample
from timebank_chain.activity import Members
from timebank_chain.epoch import (
    AccountRows,
    ActivityRows,
    Finding,
    PublishedEpoch,
    build_epoch,
    verify_epoch,
    verify_records,
)
from timebank_chain.epoch.header import HEADER_FIELDS
from timebank_chain.valuation import policy_with


@pytest.fixture(scope="module")
def epochs(tmp_path_factory: pytest.TempPathFactory) -> list[PublishedEpoch]:
    return sample.publish_all(tmp_path_factory.mktemp("epochs"))


def places(findings: list[Finding]) -> list[str]:
    return [finding.where for finding in findings]


def take(rows: Any, order: Any) -> Any:
    return replace(rows, **{name: column[order] for name, column in rows.columns().items()})


def test_genuine_epochs_hold(epochs: list[PublishedEpoch]) -> None:
    previous = None
    for published in epochs:
        assert verify_epoch(published, previous, sample.policy()) == []
        table = sample.table_of(sample.records())
        assert verify_records(published, table, sample.MEMBERS, sample.policy()) == []
        previous = published


ACTIVITY_COLUMNS = [field.name for field in fields(ActivityRows)]
ACCOUNT_COLUMNS = [field.name for field in fields(AccountRows)]


@pytest.mark.parametrize("column", ["value", "running"])
@pytest.mark.parametrize("place", [0, 0.5, 1])
def test_a_false_activity_value_is_named(
    epochs: list[PublishedEpoch], tmp_path: Path, column: str, place: float
) -> None:
    row = int(place * (len(epochs[1].activities) - 1))
    false = int(getattr(epochs[1].activities, column)[row]) + 1
    forged = sample.forge(
        tmp_path, epochs[1], activities=sample.changed(epochs[1].activities, column, row, false)
    )
    findings = verify_epoch(forged, epochs[0], sample.policy())
    assert findings[0] == Finding(
        "activities",
        f"activities.parquet, row {row}, field '{column}'",
        f"{false}, should be {false - 1}",
    )
    assert len(findings) == 1


@pytest.mark.parametrize("column", ["domain", "interaction_milli", "originality_milli", "engagement_milli"])
def test_a_changed_input_makes_its_value_wrong(
    epochs: list[PublishedEpoch], tmp_path: Path, column: str
) -> None:
    rows = epochs[1].activities
    # A row of plain talk, where every rank counts.
    worth = (rows.domain == 1) & (rows.value > 0) & (rows.interaction_milli < 9_000)
    row = int(np.flatnonzero(worth & (rows.originality_milli < 9_000) & (rows.engagement_milli < 9_000))[0])
    false = 0 if column == "domain" else int(getattr(rows, column)[row]) + 1_000
    acts = sample.changed(rows, column, row, false)
    forged = sample.forge(tmp_path, epochs[1], activities=acts)
    found = places(verify_epoch(forged, epochs[0], sample.policy()))
    assert found[0] in {
        f"activities.parquet, row {row}, field 'value'",
        f"activities.parquet, row {row}, field 'occurred_ms'",  # in another domain it settles elsewhere
    }


def test_a_changed_time_makes_its_value_wrong(epochs: list[PublishedEpoch], tmp_path: Path) -> None:
    rows = epochs[1].activities
    row = int(np.flatnonzero((rows.domain == 1) & (rows.value > 10_000_000))[0])
    acts = sample.changed(rows, "occurred_ms", row, int(rows.occurred_ms[row]) - sample.DAY // 2)
    forged = sample.forge(tmp_path, epochs[1], activities=acts)
    found = places(verify_epoch(forged, epochs[0], sample.policy()))
    assert found[0].startswith(f"activities.parquet, row {row}, field ")


@pytest.mark.parametrize("column", ACCOUNT_COLUMNS)
@pytest.mark.parametrize("place", [0, 0.5, 1])
def test_a_false_account_is_named(
    epochs: list[PublishedEpoch], tmp_path: Path, column: str, place: float
) -> None:
    rows = epochs[1].accounts
    row = int(place * (len(rows) - 1))
    value: Any = getattr(rows, column)[row]
    value = bytes([*value[:-1], value[-1] ^ 1]) if column == "account" else int(value) + 1
    forged = sample.forge(tmp_path, epochs[1], accounts=sample.changed(rows, column, row, value))
    findings = verify_epoch(forged, epochs[0], sample.policy())
    assert len(findings) == 1
    assert findings[0].part == "accounts"
    assert findings[0].where.startswith(f"accounts.parquet, row {row} (0x")
    assert findings[0].where.endswith(f"field '{column}'")
    assert "should be" in findings[0].message


def test_a_negative_amount_is_a_finding_and_no_crash(epochs: list[PublishedEpoch], tmp_path: Path) -> None:
    genuine = epochs[1]
    forged = replace(genuine, accounts=sample.changed(genuine.accounts, "mint", 2, -5))
    found = verify_epoch(forged, epochs[0], sample.policy())
    assert Finding("roots", "row 2, field 'mint'", "-5 does not fit u64") in found
    assert any(finding.part == "accounts" for finding in found)


@pytest.mark.parametrize(
    ("order", "message"),
    [
        (lambda n: [1, 0, *range(2, n)], "is out of order"),
        (lambda n: [0, 1, 1, *range(2, n)], "stands twice"),
        (lambda n: [*range(n - 1), n - 1, n - 1], "stands twice"),
        (lambda n: list(range(n))[::-1], "is out of order"),
    ],
    ids=["swapped", "repeated", "last repeated", "reversed"],
)
def test_activities_out_of_order_are_named(
    epochs: list[PublishedEpoch], tmp_path: Path, order: Any, message: str
) -> None:
    acts = take(epochs[1].activities, order(len(epochs[1].activities)))
    forged = sample.forge(tmp_path, epochs[1], activities=acts)
    findings = verify_epoch(forged, epochs[0], sample.policy())
    assert findings[0].part == "activities"
    assert message in findings[0].message


def test_a_record_under_two_accounts_is_named(epochs: list[PublishedEpoch], tmp_path: Path) -> None:
    rows = epochs[1].activities
    last_of_first = int(epochs[1].accounts.activity_end[0]) - 1
    record = rows.record_id[last_of_first].tobytes()
    # A greater id keeps the first account's rows in order: nothing but the repeat is wrong.
    other = next(row for row in range(last_of_first + 1, len(rows)) if rows.record_id[row].tobytes() > record)
    forged = sample.forge(
        tmp_path,
        epochs[1],
        activities=sample.changed(rows, "record_id", last_of_first, rows.record_id[other].tobytes()),
    )
    assert [str(finding) for finding in verify_epoch(forged, epochs[0], sample.policy())] == [
        f"activities.parquet, row {other}, field 'record_id': 0x{rows.record_id[other].tobytes().hex()} "
        f"stands twice: in row {last_of_first} too"
    ]


def test_a_dropped_activity_is_noticed(epochs: list[PublishedEpoch], tmp_path: Path) -> None:
    count = len(epochs[1].activities)
    acts = take(epochs[1].activities, [row for row in range(count) if row != 4])
    forged = sample.forge(tmp_path, epochs[1], activities=acts)
    found = places(verify_epoch(forged, epochs[0], sample.policy()))
    assert found[0] == "activities.parquet, row 4, field 'running'"


@pytest.mark.parametrize("days", [-40, 40])
def test_an_activity_of_another_epoch_is_named(
    epochs: list[PublishedEpoch], tmp_path: Path, days: int
) -> None:
    rows = epochs[1].activities
    acts = sample.changed(rows, "occurred_ms", 5, int(rows.occurred_ms[5]) + days * sample.DAY)
    forged = sample.forge(tmp_path, epochs[1], activities=acts)
    findings = verify_epoch(forged, epochs[0], sample.policy())
    assert places(findings) == ["activities.parquet, row 5, field 'occurred_ms'"]
    assert "outside the epoch" in findings[0].message


def test_an_unknown_domain_and_an_impossible_time_are_named(
    epochs: list[PublishedEpoch], tmp_path: Path
) -> None:
    rows = epochs[1].activities
    forged = sample.forge(tmp_path / "a", epochs[1], activities=sample.changed(rows, "domain", 3, 2))
    found = verify_epoch(forged, epochs[0], sample.policy())
    assert [finding.message for finding in found] == ["domain 2 is unknown, 'sample' has 2"]
    negative = replace(epochs[1], activities=sample.changed(rows, "occurred_ms", 6, -1))
    found = verify_epoch(negative, epochs[0], sample.policy())
    assert found[0] == Finding(
        "activities", "activities.parquet, row 6, field 'occurred_ms'", "-1 is no time"
    )


def test_a_dropped_account_is_named(epochs: list[PublishedEpoch], tmp_path: Path) -> None:
    accounts = take(epochs[1].accounts, slice(0, -1))
    forged = sample.forge(tmp_path, epochs[1], accounts=accounts)
    found = verify_epoch(forged, epochs[0], sample.policy())
    count = len(epochs[1].accounts)
    assert found[0] == Finding("accounts", "accounts.parquet", f"{count - 1} accounts, should be {count}")
    assert any(finding.where == "header, field 'accountCount'" for finding in found)


@pytest.mark.parametrize(
    ("field", "change", "part"),
    [
        ("epoch", lambda value: value + 1, "chain"),
        ("previous_header_hash", lambda value: bytes(32), "chain"),
        ("start_ms", lambda value: value - 1, "chain"),
        ("end_ms", lambda value: value + 1, "chain"),
        ("policy_hash", lambda value: bytes(32), "policy"),
        ("activity_root", lambda value: bytes([value[0] ^ 1]) + value[1:], "roots"),
        ("account_root", lambda value: bytes([value[0] ^ 1]) + value[1:], "roots"),
        ("activity_count", lambda value: value - 1, "totals"),
        ("account_count", lambda value: value + 1, "totals"),
        ("active_count", lambda value: value - 1, "totals"),
        ("total_earned", lambda value: value + 1, "totals"),
        ("total_mint", lambda value: value + 1, "totals"),
        ("rate_q24", lambda value: value * 2, "accounts"),
        ("pot", lambda value: value * 2, "accounts"),
    ],
)
def test_a_false_header_field_is_named(
    epochs: list[PublishedEpoch], field: str, change: Any, part: str
) -> None:
    header = epochs[1].header
    forged = replace(epochs[1], header=replace(header, **{field: change(getattr(header, field))}))
    findings = verify_epoch(forged, epochs[0], sample.policy())
    assert part in {finding.part for finding in findings}
    if part in ("chain", "roots", "totals"):
        camel = next(name for plain, name, _ in HEADER_FIELDS if plain == field)
        assert f"header, field {camel!r}" in places(findings)


def test_another_previous_epoch_is_noticed(epochs: list[PublishedEpoch]) -> None:
    found = places(verify_epoch(epochs[2], epochs[0], sample.policy()))
    assert found[:3] == [
        "header, field 'epoch'",
        "header, field 'previousHeaderHash'",
        "header, field 'startMs'",
    ]
    found = places(verify_epoch(epochs[1], None, sample.policy()))
    assert found[:2] == ["header, field 'epoch'", "header, field 'previousHeaderHash'"]


def test_another_policy_is_noticed(epochs: list[PublishedEpoch]) -> None:
    other = policy_with(sample.policy(), tau_ms=sample.DAY)
    assert places(verify_epoch(epochs[0], None, other)) == ["header, field 'policyHash'"]


def test_values_by_another_formula_are_noticed(epochs: list[PublishedEpoch], tmp_path: Path) -> None:
    other = build_epoch(
        sample.table_of(sample.records()),
        sample.MEMBERS,
        policy_with(sample.policy(), tau_ms=50 * sample.DAY),
        start_ms=sample.START,
        end_ms=sample.START + sample.EPOCH,
        previous=None,
    )
    forged = sample.forge(
        tmp_path,
        epochs[0],
        activities=other.activities,
        accounts=other.accounts,
        total_earned=other.header.total_earned,
        total_mint=other.header.total_mint,
    )
    findings = verify_epoch(forged, None, sample.policy())
    assert findings[0].part == "activities"
    assert {finding.part for finding in findings} == {"activities", "accounts", "totals"}


def test_a_table_that_differs_is_named(epochs: list[PublishedEpoch], tmp_path: Path) -> None:
    first, policy = epochs[0], sample.policy()
    rows = sample.records()
    inside = next(
        at
        for at, row in enumerate(rows)
        if row.domain == "talk" and 0 < row.occurred - sample.START < sample.EPOCH
    )
    changed = [*rows[:inside], replace(rows[inside], interaction="9.5"), *rows[inside + 1 :]]
    found = verify_records(first, sample.table_of(changed), sample.MEMBERS, policy)
    assert "is not in the activity table" in found[0].message
    fewer = sample.table_of([*rows[:inside], *rows[inside + 1 :]])
    found = verify_records(first, fewer, sample.MEMBERS, policy)
    assert "is not in the activity table" in found[0].message
    more = sample.table_of([*rows, replace(rows[inside], id="sample:new")])
    found = verify_records(first, more, sample.MEMBERS, policy)
    assert found[0].where == "activities.parquet"
    assert "is missing from the epoch" in found[0].message
    found = verify_records(first, sample.table_of(rows), Members(), policy)
    assert "is not in the activity table" in found[0].message
    acts = sample.changed(first.activities, "engagement_milli", 4, 77)
    forged = sample.forge(tmp_path, first, activities=acts)
    found = verify_records(forged, sample.table_of(rows), sample.MEMBERS, policy)
    assert found[0].where == "activities.parquet, row 4, field 'engagement_milli'"
    assert found[0].message.startswith("77, the activity table says ")


def test_a_table_of_another_window_is_a_finding(epochs: list[PublishedEpoch]) -> None:
    rows = sample.records(3)
    table = sample.table_of([replace(rows[0], window=1), *rows[1:]])
    found = verify_records(epochs[0], table, sample.MEMBERS, sample.policy())
    assert found[0].part == "source"
    assert "field 'window_ms'" in found[0].where
