"""Time of a fairness report over a million accounts, and how far it is from a second implementation.

Usage: .venv/bin/python scripts/bench_fairness.py [--accounts N] [--json]

Two epochs of N accounts in three domains, their acts as unequal as in real communities, are valued,
published, proposed and finalised on the embedded chain. Then the report is made as ``timebank fairness
report`` makes it: files read and checked against the chain, all trees hashed, events replayed, everything
measured. Beside it: Gini, Theil, Jain and top shares of the same earnings in plain Python, by the textbook:
sums over sorted integers, and ``math.fsum`` of exact quotients.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import sys
import tempfile
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parent))

from bench_gas import THRESHOLD, Bench

from timebank_chain.chain.addresses import address_bytes
from timebank_chain.chain.distribution import Distribution, fairness_report, read_distribution
from timebank_chain.epoch import EpochHeader, PublishedEpoch
from timebank_chain.epoch.file import (
    ACCOUNTS_FILE,
    ACTIVITIES_FILE,
    HEADER_FILE,
    MANIFEST_FILE,
    encode_header,
    encode_manifest,
    encode_rows,
    epoch_folder,
    policy_file,
    read_epoch,
)
from timebank_chain.epoch.rows import rows_of_valuation
from timebank_chain.units import Q24
from timebank_chain.valuation import (
    Activities,
    Policy,
    PreviousAccounts,
    load_policy,
    policy_hash,
    policy_to_json,
    value_epoch,
)

ACCOUNTS = 1_000_000
WEEK_MS = 604_800_000
DOMAINS = ("answer", "comment", "question")


def three_domains() -> Policy:
    """Return a policy of three domains whose ranks are given directly."""
    rules = load_policy("identity")
    return replace(
        rules,
        name="bench",
        epoch_ms=WEEK_MS,
        domains=tuple(replace(rules.domains[0], name=name) for name in DOMAINS),
    )


def make_epoch(
    policy: Policy, people: np.ndarray, previous: PublishedEpoch | None, start_ms: int, folder: Path
) -> PublishedEpoch:
    """Value and publish an epoch: all act in the first, four of five in the second, some very much."""
    number = 1 if previous is None else 2
    chance = np.random.default_rng(number)
    active = (chance.random(len(people)) < 0.8) | (number == 1)
    account = people[active]
    count = len(account)
    end_ms = start_ms + WEEK_MS
    heavy = np.minimum(chance.pareto(1.1, size=(3, count)) * 500 + 200, 10_000).astype(np.uint32)
    acts = Activities(
        record_id=chance.integers(0, 256, size=(count, 32), dtype=np.uint8),
        account=account,
        domain=chance.integers(0, len(DOMAINS), size=count).astype(np.uint16),
        occurred_ms=chance.integers(start_ms + 1, end_ms, size=count),
        interaction=heavy[0],
        originality=heavy[1],
        engagement=heavy[2],
    )
    before = PreviousAccounts.none() if previous is None else previous.accounts.as_previous()
    valued = value_epoch(acts, before, policy, start_ms=start_ms, end_ms=end_ms, rate_q24=Q24, pot=0)
    activities, holders = rows_of_valuation(valued)
    data = {
        ACTIVITIES_FILE: encode_rows(ACTIVITIES_FILE, activities),
        ACCOUNTS_FILE: encode_rows(ACCOUNTS_FILE, holders),
    }
    manifest = encode_manifest(number, data)
    header = EpochHeader(
        epoch=number,
        start_ms=start_ms,
        end_ms=end_ms,
        policy_hash=policy_hash(policy),
        activity_root=activities.tree.root,
        activity_count=len(activities),
        account_root=holders.tree.root,
        account_count=len(holders),
        active_count=valued.totals.active_count,
        total_earned=valued.totals.total_earned,
        total_mint=valued.totals.total_mint,
        rate_q24=Q24,
        pot=0,
        previous_header_hash=bytes(32) if previous is None else previous.header.hash(),
        data_hash=hashlib.sha256(manifest).digest(),
        data_uri="",
    )
    target = epoch_folder(folder, number)
    target.mkdir(parents=True)
    for name, content in {HEADER_FILE: encode_header(header), MANIFEST_FILE: manifest, **data}.items():
        (target / name).write_bytes(content)
    return read_epoch(folder, number)


def finalise(bench: Bench, header: EpochHeader) -> None:
    """Sign, propose and finalise."""
    oracle = bench.timebank.rate_oracle
    digest = header.digest(bench.connection.chain_id, address_bytes(oracle.address))
    signatures = [one.sign_digest(digest) for one in bench.quorum[:THRESHOLD]]
    bench.send(bench.proposer, oracle.propose(header, signatures, oracle.bond_wei()))
    bench.connection.advance_time(oracle.challenge_window() + 1)
    bench.send(bench.proposer, oracle.finalise(header))


def plain_measures(amounts: list[int], groups: list[int]) -> dict[str, float]:
    """Measure by the textbook, one number after the other."""
    people, total = len(amounts), sum(amounts)
    ascending = sorted(amounts)
    by_rank = sum((2 * place - people - 1) * x for place, x in enumerate(ascending, start=1))
    theil = math.fsum(x * people / total * math.log(x * people / total) for x in amounts if x) / people
    sums: dict[int, int] = {}
    counts: dict[int, int] = {}
    for x, group in zip(amounts, groups, strict=True):
        sums[group] = sums.get(group, 0) + x
        counts[group] = counts.get(group, 0) + 1
    between = math.fsum(
        share / total * math.log(share * people / (total * counts[group]))
        for group, share in sums.items()
        if share
    )
    return {
        "Gini": float(Fraction(by_rank, people * total)),
        "Jain": float(Fraction(total * total, people * sum(x * x for x in amounts))),
        "top 1 %": float(Fraction(sum(ascending[people - math.ceil(people / 100) :]), total)),
        "top 10 %": float(Fraction(sum(ascending[people - math.ceil(people / 10) :]), total)),
        "Theil": theil,
        "Theil within": theil - between,
        "Theil between": between,
    }


def measure(accounts: int, folder: Path) -> dict[str, object]:
    """Build, report, compare; return seconds, measures and the greatest difference."""
    policy = three_domains()
    bench = Bench(policy)
    people = np.random.default_rng(0).integers(0, 256, size=(accounts, 20), dtype=np.uint8)
    policies = policy_file(folder, policy_hash(policy))
    policies.parent.mkdir(parents=True)
    policies.write_text(policy_to_json(policy))
    previous, start_ms = None, (bench.connection.timestamp() - 3 * 604_800) * 1_000
    for _ in range(2):
        previous = make_epoch(policy, people, previous, start_ms, folder)
        finalise(bench, previous.header)
        start_ms = previous.header.end_ms
    cpu = time.process_time()
    began = time.perf_counter()
    seen: Distribution = read_distribution(bench.timebank, folder)
    read = time.perf_counter()
    found = fairness_report(seen)
    reported = time.perf_counter()
    cpu = time.process_time() - cpu
    amounts, groups = seen.earned.tolist(), seen.domain.tolist()
    plain_began = time.perf_counter()
    plain = plain_measures(amounts, groups)
    plain_ended = time.perf_counter()
    earned = found.measures["earned"]
    if earned is None:
        raise AssertionError("nobody earned anything")
    ours = {
        "Gini": float(earned.gini),
        "Jain": float(earned.jain),
        "top 1 %": float(earned.top_1_percent),
        "top 10 %": float(earned.top_10_percent),
        "Theil": earned.theil,
        "Theil within": earned.theil_within,
        "Theil between": earned.theil_between,
    }
    return {
        "people": found.people,
        "seconds": {
            "read both epochs, check them against the chain, replay events": read - began,
            "measure everything, ranks and newcomers too": reported - read,
            "the whole report": reported - began,
            "the same in processor time": cpu,
            "plain Python, the same measures of the earnings alone": plain_ended - plain_began,
        },
        "measures": {name: {"ours": ours[name], "plain": plain[name]} for name in ours},
        "greatest_difference": max(abs(ours[name] - plain[name]) for name in ours),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Time and exactness of a fairness report.")
    parser.add_argument("--accounts", type=int, default=ACCOUNTS, metavar="N")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-fairness-") as folder:
        figures = measure(given.accounts, Path(folder))
    if given.json:
        sys.stdout.write(json.dumps({"schema": "timebank.bench.fairness/1", **figures}, indent=2) + "\n")
        return
    table = Table(title=f"Fairness report over {figures['people']:,} people, two epochs", box=None)
    table.add_column("what")
    table.add_column("seconds", justify="right")
    for name, seconds in figures["seconds"].items():  # type: ignore[attr-defined]  # a dict of floats
        table.add_row(name, f"{seconds:.2f}")
    Console().print(table)
    table = Table(title="Measured twice", box=None)
    for name in ("measure", "ours", "plain Python"):
        table.add_column(name, justify="left" if name == "measure" else "right")
    for name, pair in figures["measures"].items():  # type: ignore[attr-defined]  # a dict of pairs
        table.add_row(name, f"{pair['ours']:.15f}", f"{pair['plain']:.15f}")
    Console().print(table)
    print(f"greatest difference {figures['greatest_difference']:.1e} (aim: 1e-12)")


if __name__ == "__main__":
    main()
