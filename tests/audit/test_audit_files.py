"""Changed, missing and broken epoch files and raw records; see audit.tree."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from tests.audit.history import History
from tests.audit.spoil import audit, change, edit_json, failed, rewrite, take
from timebank_chain.activity import read_activity, write_activity
from timebank_chain.epoch import PublishedEpoch, read_epoch


def second(history: History) -> PublishedEpoch:
    return read_epoch(history.epochs, 2)


def test_an_activity_row_changed_in_the_file(history: History) -> None:
    epoch = second(history)
    row = 7
    rows = change(epoch.activities, row, engagement_milli=1, interaction_milli=4_000)
    rewrite(epoch.folder, epoch.header, rows, epoch.accounts, manifest=False)
    report = audit(history)
    assert {"A25", "A27", "A28", "A30"} <= set(failed(report))
    assert "activities.parquet" in report.check("A25").differences[0].where
    assert f"epoch 2, activities.parquet, row {row}, value" == report.check("A27").differences[0].where
    assert int(report.check("A27").differences[0].found) == int(epoch.activities.value[row])


def test_an_activity_value_changed_in_the_file(history: History) -> None:
    epoch = second(history)
    rows = change(epoch.activities, 3, value=int(epoch.activities.value[3]) + 1)
    rewrite(epoch.folder, epoch.header, rows, epoch.accounts, manifest=False)
    report = audit(history)
    assert failed(report) == ["A25", "A27", "A30", "A31"]
    assert report.check("A27").difference_count == 1


def test_an_activity_row_changed_and_everything_republished(history: History) -> None:
    """All files agree with each other, and with the formulas; only the chain says otherwise."""
    epoch = second(history)
    from timebank_chain.audit.files import read_epoch_files
    from timebank_chain.audit.recompute import recompute
    from timebank_chain.epoch.rows import AccountRows, ActivityRows

    rows = change(epoch.activities, 7, engagement_milli=9_000)
    rewrite(epoch.folder, epoch.header, rows, epoch.accounts, manifest=False)
    first = read_epoch(history.epochs, 1).accounts
    previous = {name: getattr(first, name) for name in type(first).__dataclass_fields__}
    again = recompute(read_epoch_files(history.epochs, 2), previous, history.policy, epoch.header)
    assert again.activities is not None and again.accounts is not None
    rewrite(
        epoch.folder,
        epoch.header,
        ActivityRows(**again.activities),
        AccountRows(**again.accounts),
        total_earned=again.total_earned,
        total_mint=again.total_mint,
    )
    report = audit(history)
    assert {"A22", "A25", "A30"} <= set(failed(report))
    assert "A27" not in failed(report)
    assert "manifest.json" in report.check("A25").differences[0].where


def test_an_account_row_changed(history: History) -> None:
    epoch = second(history)
    rows = change(epoch.accounts, 0, mint=int(epoch.accounts.mint[0]) + 5)
    rewrite(epoch.folder, epoch.header, epoch.activities, rows, manifest=False)
    report = audit(history)
    assert failed(report) == ["A25", "A28", "A30", "A31"]
    assert report.check("A28").difference_count == 1
    assert ", mint" in report.check("A28").differences[0].where


def test_rows_swapped(history: History) -> None:
    epoch = second(history)
    order = list(range(len(epoch.activities)))
    order[4], order[5] = order[5], order[4]
    rewrite(epoch.folder, epoch.header, take(epoch.activities, order), epoch.accounts, manifest=False)
    report = audit(history)
    assert {"A25", "A27", "A30"} <= set(failed(report))
    assert "out of order" in {difference.found for difference in report.check("A27").differences}


def test_a_record_that_stands_twice(history: History) -> None:
    epoch = second(history)
    order = [0, *range(len(epoch.activities))]
    rewrite(epoch.folder, epoch.header, take(epoch.activities, order), epoch.accounts, manifest=False)
    report = audit(history)
    assert {"A25", "A27", "A28", "A30"} <= set(failed(report))
    assert "the same record again" in {difference.found for difference in report.check("A27").differences}


def test_an_act_of_another_epoch(history: History) -> None:
    epoch = second(history)
    early = epoch.header.start_ms - 200_000
    rewrite(
        epoch.folder,
        epoch.header,
        change(epoch.activities, 9, occurred_ms=early),
        epoch.accounts,
        manifest=False,
    )
    report = audit(history)
    assert {"A25", "A27", "A28", "A30"} <= set(failed(report))
    assert report.check("A27").differences[0].meaning == "the act belongs to another epoch"


def test_a_dropped_account(history: History) -> None:
    epoch = second(history)
    rows = take(epoch.accounts, list(range(1, len(epoch.accounts))))
    rewrite(epoch.folder, epoch.header, epoch.activities, rows, manifest=False)
    report = audit(history)
    assert {"A25", "A28", "A29", "A30"} <= set(failed(report))
    lost = "0x" + epoch.accounts.account[0].tobytes().hex()
    assert lost in report.check("A29").differences[0].where


@pytest.mark.parametrize(
    ("changes", "what"),
    [({"totalMint": 1}, "hash"), ({"epoch": "two"}, "uint32"), ({"surprise": 1}, "surprise")],
)
def test_a_tampered_header(history: History, changes: dict[str, object], what: str) -> None:
    edit_json(history.epochs / "000002" / "header.json", changes)
    report = audit(history)
    assert failed(report) == ["A22"]
    assert what in report.check("A22").differences[0].found


def test_a_header_rewritten_consistently(history: History) -> None:
    from timebank_chain.epoch.file import encode_header

    epoch = second(history)
    other = replace(epoch.header, total_mint=epoch.header.total_mint + 1)
    (epoch.folder / "header.json").write_bytes(encode_header(other))
    report = audit(history)
    assert failed(report) == ["A22"]
    assert report.check("A22").differences[0].where.endswith("header.json, totalMint")


def test_a_changed_policy_file(history: History) -> None:
    (path,) = (history.epochs / "policies").glob("*.json")
    edit_json(path, {"version": 2})
    report = audit(history)
    assert failed(report) == ["A26", "A48"]
    (difference,) = report.check("A48").differences
    assert difference.where == f"{path}, version"
    assert (difference.expected, difference.found) == ("1", "2")


def test_a_changed_policy_file_that_values_otherwise(history: History) -> None:
    (path,) = (history.epochs / "policies").glob("*.json")
    document = json.loads(path.read_text())
    document["decay_k"] //= 2
    path.write_text(json.dumps(document))
    assert {"A26", "A27", "A28", "A30", "A31", "A48"} <= set(failed(audit(history)))


@pytest.mark.parametrize("content", [None, b"", b"{", b"\xff\xfe\x00"])
def test_a_policy_file_that_is_none(history: History, content: bytes | None) -> None:
    (path,) = (history.epochs / "policies").glob("*.json")
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    report = audit(history)
    assert "A26" in failed(report)
    assert path.name in report.check("A26").differences[0].where


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("activities.parquet", "A25"),
        ("accounts.parquet", "A25"),
        ("manifest.json", "A25"),
        ("header.json", "A22"),
    ],
)
@pytest.mark.parametrize("damage", ["missing", "truncated", "empty", "garbage"])
def test_a_broken_file_is_named(history: History, name: str, number: str, damage: str) -> None:
    path = history.epochs / "000002" / name
    content = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes(
            {"truncated": content[: len(content) // 2], "empty": b""}.get(damage, b"\x00garbage")
        )
    report = audit(history)
    assert number in failed(report)
    assert any(str(path) in difference.where for difference in report.check(number).differences)


def test_a_missing_epoch_is_named_and_the_next_is_not_believed(history: History) -> None:
    shutil.rmtree(history.epochs / "000002")
    report = audit(history)
    assert {"A11", "A25", "A27", "A28", "A30"} <= set(failed(report))
    assert report.check("A25").differences[0].where == str(history.epochs / "000002")


def test_signature_files_do_not_matter(history: History) -> None:
    folder = history.epochs / "000001" / "signatures"
    folder.mkdir(exist_ok=True)
    (folder / "0x0000000000000000000000000000000000000001.json").write_text("not a signature")
    assert failed(audit(history)) == []


def test_raw_records_that_were_changed(history: History) -> None:
    table = read_activity(history.activity)
    engagement = np.array(table.engagement_milli)
    engagement[11] += 1
    path = history.folder / "changed.parquet"
    write_activity(replace(table, engagement_milli=engagement), path)
    report = audit(history, activity=path)
    assert failed(report) == ["A33"]
    assert report.check("A33").difference_count == 1
