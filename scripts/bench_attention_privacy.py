"""What privacy costs, on a real community's record: sealing, pseudonyms, erasing a person, noise.

Usage: bench_attention_privacy.py [--data DIR] [--mebibytes N]
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

from timebank_chain import config
from timebank_chain.activity import ActivityTable, clean, write_activity
from timebank_chain.activity.sources import stackexchange_acts
from timebank_chain.activity.table import rows_of
from timebank_chain.attention.privacy.erasure import Oracle, erase_person
from timebank_chain.attention.privacy.grouped import OTHERS, grouped_report
from timebank_chain.attention.privacy.keys import new_keyring
from timebank_chain.attention.privacy.noisy import Query, release
from timebank_chain.attention.privacy.person import Search
from timebank_chain.attention.privacy.places import places
from timebank_chain.attention.privacy.pseudonym import pseudonym
from timebank_chain.attention.privacy.sealed import rewrap, seal, unseal

SITE = "stackexchange_quantumcomputing"
NOW_MS = 1_793_000_000_000
WINDOW_MS = 7 * 86_400_000
HEADER = ("id", "member", "domain", "occurred", "window", "interaction", "originality", "engagement")
DRAWS = 200
T = TypeVar("T")


def timed(work: Callable[[], T], repeat: int = 1) -> tuple[T, float]:
    """Return what work gives, and the median seconds it takes."""
    taken = []
    for _ in range(repeat):
        start = time.perf_counter()
        given = work()
        taken.append(time.perf_counter() - start)
    return given, statistics.median(taken)


def sealing(folder: Path, mebibytes: int) -> None:
    """Print the speed of sealing beside that of hashing the same bytes, and what rotation takes."""
    plain, target, out = folder / "plain.csv", folder / "plain.csv.sealed", folder / "opened.csv"
    plain.write_bytes(os.urandom(1 << 20) * mebibytes)
    ring = new_keyring(0)
    _, sealed_s = timed(lambda: seal(plain, target, ring), 3)
    _, opened_s = timed(lambda: unseal(target, out, ring), 3)
    if out.read_bytes() != plain.read_bytes():
        sys.exit("what was opened is not what was sealed")
    _, hashed_s = timed(lambda: hashlib.sha256(plain.read_bytes()).digest(), 3)
    _, wrapped_s = timed(lambda: rewrap(target, ring.with_new_key(1)))
    speeds = [f"{mebibytes / seconds:,.0f} MiB/s" for seconds in (sealed_s, opened_s, hashed_s)]
    print(f"seal {speeds[0]}, open {speeds[1]} ({mebibytes} MiB, written and synced)")
    print(f"  beside it: SHA-256 of the same bytes {speeds[2]}; wrapping the key anew {wrapped_s:.2f} s")


def community(data: Path) -> ActivityTable:
    """Return a real community's acts."""
    acts = stackexchange_acts(
        data / SITE, windows=dict.fromkeys(("question", "answer", "comment"), WINDOW_MS), now_ms=NOW_MS
    )
    return clean(acts, now_ms=NOW_MS, salt_key=os.urandom(32)).table


def erasing(table: ActivityTable, folder: Path) -> None:
    """Print what erasing the most active member takes, from a feed and a table of everybody's acts."""
    raw = folder / "raw"
    raw.mkdir()
    write_activity(table, raw / "activity.parquet")
    with (raw / "feed.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        writer.writerows((*row[:5], *(f"{one / 1000:.3f}" for one in row[5:])) for row in rows_of(table))
    member = statistics.mode(table.member)
    search = Search(tuple(places([raw])))
    result, seconds = timed(
        lambda: erase_person(search, member, erased_file=folder / "erased.json", oracle=Oracle())
    )
    with (raw / "feed.csv").open(newline="", encoding="utf-8") as file:
        left = sum(row["member"] == member for row in csv.DictReader(file))
    print(
        f"erase the most active of {len(set(table.member)):,} members, {result.acts:,} of {len(table):,} "
        f"acts, feed and table: {seconds:.1f} s, {sum(result.left.values()) + left} traces left"
    )


def figures(table: ActivityTable) -> None:
    """Print how much is shown with k, and how far noisy figures are from the true ones."""
    report = grouped_report(table, ("domain", "month"), 5)
    groups = len(report.groups) - (report.groups[-1].name == OTHERS) + report.merged
    print(f"report by domain and month, k = 5: {groups - report.merged:,} of {groups:,} groups stand alone")
    true = len(set(table.member))
    for epsilon in (Decimal("0.1"), Decimal(1)):
        draws = [release(table, Query.MEMBERS, (), 1, epsilon)[0].value for _ in range(DRAWS)]
        error = statistics.mean(abs(value - true) for value in draws)
        print(f"members with noise, epsilon {epsilon}: mean error {error:.1f} of {true:,} ({DRAWS} draws)")
    for cap in (10, 100, 1_000):
        draws = [release(table, Query.ACTS, (), cap, Decimal(1))[0].value for _ in range(DRAWS)]
        off = statistics.mean(abs(value - len(table)) for value in draws) / len(table)
        print(f"acts with noise, epsilon 1, at most {cap:,} a member: {off:.1%} off the true {len(table):,}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    default = config.setting("TIMEBANK_TEST_DATA")
    parser.add_argument("--data", type=Path, default=Path(default) if default else None)
    parser.add_argument("--mebibytes", type=int, default=256)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="timebank-bench-") as name:
        folder = Path(name)
        sealing(folder, given.mebibytes)
        key = os.urandom(32)
        _, seconds = timed(lambda: [pseudonym(key, f"member{n}") for n in range(100_000)], 3)
        print(f"pseudonyms: {100_000 / seconds:,.0f} a second")
        if given.data is None or not (given.data / SITE).is_dir():
            print(f"the rest needs {SITE}: add --data DIR, or set TIMEBANK_TEST_DATA")
            return
        table = community(given.data)
        erasing(table, folder)
        figures(table)


if __name__ == "__main__":
    main()
