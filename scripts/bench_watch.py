"""Time from a proposal to its end: a watchtower finds one wrong leaf among a million and proves it.

Usage: .venv/bin/python scripts/bench_watch.py [--activities N] [--json]

An epoch of N activities of N/8 accounts is valued, one leaf is made wrong at a place nobody told the
watchtower, and all above is hashed anew; the epoch is published in a folder and proposed on the embedded
chain. The watchtower starts with an empty cache. Beside it: the same activities judged one by one by the
specification in plain Python (``timebank_chain/spec``), measured on a part of them and scaled.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import structlog
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parent))

from bench_gas import THRESHOLD, Bench

from timebank_chain.chain.addresses import address_bytes
from timebank_chain.epoch import FetchOptions, PublishedEpoch
from timebank_chain.epoch.build import value_and_commit
from timebank_chain.epoch.corrupt import Corruption, corrupt_epoch
from timebank_chain.epoch.file import epoch_folder
from timebank_chain.oracle.clock import SystemClock
from timebank_chain.oracle.journal import Journal
from timebank_chain.oracle.watchtower import WatchSettings, Watchtower
from timebank_chain.spec import decay, quality
from timebank_chain.units import Q24
from timebank_chain.valuation import Activities, Policy, load_policy

ACTIVITIES = 1_000_000
SPEC_PART = 20_000
WEEK_MS = 604_800_000


def honest_epoch(count: int, policy: Policy, end_ms: int) -> PublishedEpoch:
    """Value an epoch of ``count`` acts in memory."""
    chance = np.random.default_rng(7)
    accounts = chance.integers(0, 256, size=(max(1, count // 8), 20), dtype=np.uint8)
    start_ms = end_ms - WEEK_MS
    acts = Activities(
        record_id=chance.integers(0, 256, size=(count, 32), dtype=np.uint8),
        account=accounts[chance.integers(0, len(accounts), size=count)],
        domain=np.zeros(count, dtype=np.uint16),
        occurred_ms=chance.integers(start_ms + 1, end_ms, size=count),
        interaction=chance.integers(0, 10_000, size=count, dtype=np.uint32),
        originality=chance.integers(0, 10_000, size=count, dtype=np.uint32),
        engagement=chance.integers(0, 10_000, size=count, dtype=np.uint32),
    )
    valued = value_and_commit(acts, policy, None, start_ms=start_ms, end_ms=end_ms, rate_q24=Q24)
    return PublishedEpoch(Path("memory"), valued.header, valued.activities, valued.accounts)


def spec_seconds(epoch: PublishedEpoch, policy: Policy) -> float:
    """Seconds the specification would take for the values of all activities."""
    rows, domain = epoch.activities, policy.domains[0]
    part = min(SPEC_PART, len(rows))
    knots = [
        [(knot.raw_milli, knot.rank_milli) for knot in side]
        for side in (domain.interaction, domain.originality, domain.engagement)
    ]
    began = time.perf_counter()
    for row in range(part):
        ranks = [
            quality.rank(int(column[row]), points)
            for points, column in zip(
                knots, (rows.interaction_milli, rows.originality_milli, rows.engagement_milli), strict=True
            )
        ]
        worth = quality.incentive(
            quality.quality(*ranks), domain.low, domain.high, domain.bonus_milli, domain.penalty_milli
        )
        weight = decay.weight(epoch.header.end_ms - int(rows.occurred_ms[row]), policy.decay_k)
        if quality.value(worth, weight) != int(rows.value[row]):
            raise AssertionError(f"specification and valuation differ in row {row}")
    return (time.perf_counter() - began) * len(rows) / part


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Time for a watchtower to find and prove one wrong leaf.")
    parser.add_argument("--activities", type=int, default=ACTIVITIES, metavar="N")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    given = parser.parse_args()
    policy = replace(load_policy("identity"), epoch_ms=0)
    bench = Bench(policy)
    honest = honest_epoch(given.activities, policy, (bench.connection.timestamp() - 60) * 1_000)
    made = corrupt_epoch(honest, None, policy, fault_class=1, at="random", seed=11)
    with tempfile.TemporaryDirectory(prefix="bench-watch-") as folder:
        figures = measure(bench, made, Path(folder))
    figures["the same values by the specification in plain Python"] = spec_seconds(honest, policy)
    if given.json:
        sys.stdout.write(json.dumps({"activities": given.activities, "seconds": figures}, indent=2) + "\n")
        return
    table = Table(title=f"One wrong leaf among {given.activities:,} activities (leaf {made.planted.index:,})")
    table.add_column("what")
    table.add_column("seconds", justify="right")
    for name, seconds in figures.items():
        table.add_row(name, f"{seconds:.1f}")
    Console().print(table)


def measure(bench: Bench, made: Corruption, folder: Path) -> dict[str, float]:
    """Propose the epoch and let a watchtower end it; return seconds by step."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    served = epoch_folder(folder / "served", 1)
    served.mkdir(parents=True)
    for name, content in made.files.items():
        (served / name).write_bytes(content)
    oracle = bench.timebank.rate_oracle
    digest = made.header.digest(bench.connection.chain_id, address_bytes(oracle.address))
    signatures = [one.sign_digest(digest) for one in bench.quorum[:THRESHOLD]]
    bench.send(bench.proposer, oracle.propose(made.header, signatures, oracle.bond_wei()))
    settings = WatchSettings(cache=folder / "cache", fetch=FetchOptions(source=str(folder / "served")))
    journal = Journal(folder / "journal.sqlite", {"chain": "bench"})
    tower = Watchtower(bench.timebank, settings, bench.holder, journal, SystemClock(), secret=bytes(32))
    began = time.perf_counter()
    tower.look()
    found = time.perf_counter()
    bench.connection.advance_time(1)
    mined = time.perf_counter()
    look = tower.look()
    proved = time.perf_counter()
    if not look.voided:
        raise AssertionError(f"the epoch still stands: {look}")
    return {
        "fetch, check, decode, value anew, find the leaf, commit": found - began,
        "prove (evidence, simulation, transaction)": proved - mined,
        "together": found - began + proved - mined,
    }


if __name__ == "__main__":
    main()
