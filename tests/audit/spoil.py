"""Ways to spoil a history, and to ask the audit what it sees."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tests.audit.history import History
from timebank_chain.audit import AuditReport, run_audit
from timebank_chain.epoch import EpochHeader
from timebank_chain.epoch.file import encode_header, encode_manifest, encode_rows
from timebank_chain.epoch.rows import AccountRows, ActivityRows


def audit(history: History, **options: Any) -> AuditReport:
    return run_audit(history.connection, history.world.timebank.deployment, history.epochs, **options)


def failed(report: AuditReport) -> list[str]:
    return [check.number for check in report.failed]


def rpc(history: History, method: str, *params: Any) -> Any:
    answer = history.connection.w3.provider.make_request(method, list(params))  # type: ignore[union-attr, arg-type]  # a synchronous provider, a method of anvil's
    assert "error" not in answer, answer
    return answer["result"]


def forge(history: History, contract: str, slot: bytes | int, value: int) -> None:
    """Write a storage slot past the contract."""
    word = slot if isinstance(slot, bytes) else slot.to_bytes(32, "big")
    rpc(
        history,
        "anvil_setStorageAt",
        history.address(contract),
        "0x" + word.hex(),
        "0x" + value.to_bytes(32, "big").hex(),
    )


def change(rows: Any, row: int, **values: Any) -> Any:
    """Return columns with some cells of one row changed."""
    columns = {}
    for name, value in values.items():
        column = np.array(getattr(rows, name))
        column[row] = value
        columns[name] = column
    return replace(rows, **columns)


def take(rows: Any, order: list[int]) -> Any:
    """Return columns with rows in another order, repeated or left out."""
    return type(rows)(**{name: getattr(rows, name)[order] for name in type(rows).__dataclass_fields__})


def rewrite(
    folder: Path,
    header: EpochHeader,
    activities: ActivityRows,
    accounts: AccountRows,
    *,
    manifest: bool = True,
    **changes: Any,
) -> EpochHeader:
    """Write an epoch's files anew: rows alone, or with a manifest and a header that agree with them."""
    data = {
        "activities.parquet": encode_rows("activities.parquet", activities),
        "accounts.parquet": encode_rows("accounts.parquet", accounts),
    }
    for name, content in data.items():
        (folder / name).write_bytes(content)
    if not manifest:
        return header
    listed = encode_manifest(header.epoch, data)
    (folder / "manifest.json").write_bytes(listed)
    agreed = replace(
        header,
        activity_root=activities.tree.root,
        account_root=accounts.tree.root,
        activity_count=len(activities),
        account_count=len(accounts),
        data_hash=hashlib.sha256(listed).digest(),
        **changes,
    )
    (folder / "header.json").write_bytes(encode_header(agreed))
    return agreed


def edit_json(path: Path, changes: Mapping[str, Any]) -> None:
    document = json.loads(path.read_text())
    document.update(changes)
    path.write_text(json.dumps(document))
