"""A small world for the epoch tests: two domains, seven members, three epochs, and a way to forge one."""

from __future__ import annotations

import hashlib
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from timebank_chain.activity import PUBLIC_SALT_KEY, ActivityTable, Members, RawRecord, clean
from timebank_chain.epoch import (
    AccountRows,
    ActivityRows,
    EpochBuild,
    EpochHeader,
    MerkleTree,
    PublishedEpoch,
    build_epoch,
    publish,
    read_epoch,
)
from timebank_chain.epoch.file import (
    ACCOUNTS_FILE,
    ACTIVITIES_FILE,
    HEADER_FILE,
    MANIFEST_FILE,
    encode_header,
    encode_manifest,
    encode_rows,
)
from timebank_chain.epoch.leaves import hash_account_leaves, hash_activity_leaves
from timebank_chain.valuation import Policy, policy_from_json

DAY = 86_400_000
START = 1_767_225_600_000  # 2026-01-01T00:00:00Z
EPOCH = 28 * DAY
NOW = START + 400 * DAY
WALLET = bytes.fromhex("5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed")

POLICY_JSON = """
{"schema": "timebank.policy/1", "name": "sample", "version": 1, "title": "for tests", "sources": "made up",
 "tau": "60d", "epoch": "28d", "initial_rate_q24": 25165824,
 "brackets": [{"from_multiple_milli": 0, "slope_milli": 1000},
              {"from_multiple_milli": 1500, "slope_milli": 700}],
 "domains": [
  {"name": "code", "window": "7d", "low": 2000000, "high": 200000000,
   "bonus_milli": 1500, "penalty_milli": 1000,
   "interaction": [[0, 500], [4000, 9000]], "originality": [[0, 100], [9000, 8000]],
   "engagement": [[0, 0], [2000, 6000], [9000, 3000]]},
  {"name": "talk", "window": "0s", "low": 0, "high": 0, "bonus_milli": 1000, "penalty_milli": 0,
   "interaction": [[0, 0], [10000, 10000]], "originality": [[0, 0], [10000, 10000]],
   "engagement": [[0, 0], [10000, 10000]]}]}
"""
MEMBERS = Members({"m0": WALLET})


def policy() -> Policy:
    return policy_from_json(POLICY_JSON)


def records(count: int = 120) -> list[RawRecord]:
    chance = random.Random(5)
    made = []
    for number in range(count):
        domain = chance.choice(["code", "talk"])
        made.append(
            RawRecord(
                source="sample",
                line=number + 1,
                id=f"sample:{number}",
                member=f"m{chance.randrange(7)}",
                domain=domain,
                occurred=START - 10 * DAY + chance.randrange(80 * DAY),
                window=7 * DAY if domain == "code" else 0,
                interaction=str(chance.randrange(10)),
                originality=str(chance.randrange(10)),
                engagement=str(chance.randrange(10)),
            )
        )
    return made


def table_of(made: list[RawRecord]) -> ActivityTable:
    result = clean(made, now_ms=NOW, salt_key=PUBLIC_SALT_KEY)
    assert not result.rejects
    return result.table


def build(number: int, previous: PublishedEpoch | None, **changes: Any) -> EpochBuild:
    start = START + (number - 1) * EPOCH
    arguments: dict[str, Any] = {"start_ms": start, "end_ms": start + EPOCH, "previous": previous, "pot": 0}
    arguments |= {"table": table_of(records()), "members": MEMBERS, "policy": policy()}
    arguments |= {"pot": 1_000_003} if number == 2 else {}
    arguments |= changes
    return build_epoch(arguments.pop("table"), arguments.pop("members"), arguments.pop("policy"), **arguments)


def publish_all(folder: Path, count: int = 3) -> list[PublishedEpoch]:
    published: list[PublishedEpoch] = []
    for number in range(1, count + 1):
        published.append(publish(build(number, published[-1] if published else None), folder))
    return published


def changed(rows: Any, column: str, row: int, value: Any) -> Any:
    """Return rows with one cell replaced."""
    copy = getattr(rows, column).copy()
    copy[row] = np.frombuffer(value, dtype=np.uint8) if isinstance(value, bytes) else value
    return replace(rows, **{column: copy})


def forge(
    folder: Path,
    genuine: PublishedEpoch,
    *,
    activities: ActivityRows | None = None,
    accounts: AccountRows | None = None,
    **fields: Any,
) -> PublishedEpoch:
    """Publish a lie that hangs together: roots, manifest and header follow from the false rows."""
    acts = genuine.activities if activities is None else activities
    owners = genuine.accounts if accounts is None else accounts
    data = {
        ACTIVITIES_FILE: encode_rows(ACTIVITIES_FILE, acts),
        ACCOUNTS_FILE: encode_rows(ACCOUNTS_FILE, owners),
    }
    manifest = encode_manifest(genuine.number, data)
    values = {
        "activity_root": MerkleTree(hash_activity_leaves(acts.columns())).root,
        "activity_count": len(acts),
        "account_root": MerkleTree(hash_account_leaves(owners.columns())).root,
        "account_count": len(owners),
        "data_hash": hashlib.sha256(manifest).digest(),
    }
    header: EpochHeader = replace(genuine.header, **{**values, **fields})
    target = folder / f"{genuine.number:06d}"
    target.mkdir(parents=True)
    for name, content in {MANIFEST_FILE: manifest, HEADER_FILE: encode_header(header), **data}.items():
        (target / name).write_bytes(content)
    return read_epoch(folder, genuine.number)
