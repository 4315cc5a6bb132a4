"""Measures the valuation of many acts beside pandas' float64 arithmetic, in one run.

Usage: .venv/bin/python scripts/bench_valuation.py [--rows 10000000] [--accounts 100000] [--repeat 5] [--json]

Both sides do the same work on the same rows: rank, multiply three indicators, weigh by age, sum per
account. pandas gets what suits it best (float64 columns, ranks already looked up, integer account
numbers); ours goes from raw u32 indicators to exact integers. Medians over the repetitions; each round
runs every candidate once, so that a noisy neighbour hits all of them.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from timebank_chain.valuation import (
    Activities,
    Policy,
    PreviousAccounts,
    activity_values,
    load_policy,
    policy_with,
    value_epoch,
)
from timebank_chain.valuation.decay import weights
from timebank_chain.valuation.order import leaf_order
from timebank_chain.valuation.quality import incentive, quality, ranks

_TAU_MS = 30 * 86_400_000
_END_MS = 1_780_000_000_000


@dataclass(frozen=True)
class Workload:
    """The same acts three ways: arrays in leaf order, arrays shuffled, and pandas frames of both."""

    ordered: Activities
    starts: NDArray[np.int64]
    shuffled: Activities
    ordered_frame: pd.DataFrame
    shuffled_frame: pd.DataFrame


def make_workload(rows: int, accounts: int, seed: int = 7) -> Workload:
    """Draw ``rows`` acts of ``accounts`` accounts; ranks 0 to 10 in thousandths, ages up to 90 days."""
    rng = np.random.default_rng(seed)
    names = rng.integers(0, 256, (accounts, 20), dtype=np.uint8)
    number = rng.integers(0, accounts, rows, dtype=np.int64)
    acts = Activities(
        record_id=rng.integers(0, 256, (rows, 32), dtype=np.uint8),
        account=names[number],
        domain=np.zeros(rows, dtype=np.uint16),
        occurred_ms=_END_MS - rng.integers(0, 90 * 86_400_000, rows, dtype=np.int64),
        interaction=rng.integers(0, 10_001, rows, dtype=np.uint32),
        originality=rng.integers(0, 10_001, rows, dtype=np.uint32),
        engagement=rng.integers(0, 10_001, rows, dtype=np.uint32),
    )
    order, keys, ends = leaf_order(acts.account, acts.record_id)
    in_order = np.repeat(np.arange(len(keys)), np.diff(ends, prepend=0))
    ordered = acts.take(order)
    shuffled_number = np.empty(rows, dtype=np.int64)
    shuffled_number[order] = in_order
    return Workload(
        ordered=ordered,
        starts=np.concatenate(([0], ends[:-1])),
        shuffled=acts,
        ordered_frame=_frame(ordered, in_order),
        shuffled_frame=_frame(acts, shuffled_number),
    )


def _frame(acts: Activities, number: NDArray[np.int64]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "account": number,
            "interaction": acts.interaction / 1000.0,
            "originality": acts.originality / 1000.0,
            "engagement": acts.engagement / 1000.0,
            "age": (_END_MS - acts.occurred_ms).astype(np.float64),
        }
    )


def pandas_value(frame: pd.DataFrame, tau_ms: float = _TAU_MS) -> pd.Series[float]:
    """Value per account the usual way, in float64."""
    value = frame["interaction"] * frame["originality"] * frame["engagement"] * np.exp(-frame["age"] / tau_ms)
    return value.groupby(frame["account"]).sum()


def our_value(
    acts: Activities, starts: NDArray[np.int64], policy: Policy, threads: int | None = None
) -> NDArray[np.int64]:
    """Value per account of acts already in leaf order: ranks, quality, decay, sums.

    ``starts`` (first row of each account) comes with that order, as the account numbers come with pandas'
    frames: neither side is charged for finding out who is who.
    """
    values = activity_values(acts, policy, end_ms=_END_MS, threads=threads)
    return np.add.reduceat(values, starts)


def measure(rows: int = 10_000_000, accounts: int = 100_000, repeat: int = 5) -> dict[str, Any]:
    """Return medians in seconds per candidate, and the relative error of ours against float64."""
    load = make_workload(rows, accounts)
    identity = policy_with(load_policy("identity"), tau_ms=_TAU_MS)
    # The same arithmetic with several knots per dimension and bands, as real policies have them.
    knotted = policy_with(load_policy("stackexchange"), tau_ms=_TAU_MS, window_ms=0)

    def whole_epoch() -> object:
        return value_epoch(
            load.shuffled,
            PreviousAccounts.none(),
            identity,
            start_ms=0,
            end_ms=_END_MS,
            rate_q24=1 << 24,
            pot=0,
        )

    candidates: dict[str, Callable[[], object]] = {
        "pandas, rows in account order": lambda: pandas_value(load.ordered_frame),
        "pandas, rows shuffled": lambda: pandas_value(load.shuffled_frame),
        "ours, rows in leaf order": lambda: our_value(load.ordered, load.starts, identity),
        "ours, one thread": lambda: our_value(load.ordered, load.starts, identity, threads=1),
        "ours, knots and bands": lambda: our_value(load.ordered, load.starts, knotted),
        "ours, leaf order of shuffled rows": lambda: leaf_order(
            load.shuffled.account, load.shuffled.record_id
        ),
        "ours, whole epoch from shuffled rows": whole_epoch,
    }
    times: dict[str, list[float]] = {name: [] for name in candidates}
    processor: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(repeat):
        for name, run in candidates.items():
            start, used = time.perf_counter(), time.process_time()
            run()
            times[name].append(time.perf_counter() - start)
            processor[name].append(time.process_time() - used)
    return {
        "rows": rows,
        "accounts": accounts,
        "repeat": repeat,
        "cores": os.cpu_count(),
        "seconds": {name: statistics.median(taken) for name, taken in times.items()},
        "processor_seconds": {name: statistics.median(taken) for name, taken in processor.items()},
        "all_seconds": times,
        **_errors(load, identity),
    }


def _errors(load: Workload, policy: Policy) -> dict[str, float]:
    ours = our_value(load.ordered, load.starts, policy) / 1e6
    theirs = pandas_value(load.ordered_frame).to_numpy()
    sample = slice(0, min(1_000_000, len(load.ordered)))
    domain = policy.domains[0]
    acts = load.ordered
    exact_quality = incentive(
        quality(
            ranks(acts.interaction[sample], domain.interaction),
            ranks(acts.originality[sample], domain.originality),
            ranks(acts.engagement[sample], domain.engagement),
        ),
        domain,
    )
    frame = load.ordered_frame.iloc[sample]
    float_quality = (frame["interaction"] * frame["originality"] * frame["engagement"]).to_numpy()
    age = _END_MS - acts.occurred_ms[sample]
    weight_error = np.abs(weights(age, policy.decay_k) / 2.0**31 - np.exp(-age / _TAU_MS))
    return {
        "max_relative_error_per_account": float(np.max(np.abs(ours - theirs) / np.maximum(theirs, 1e-6))),
        "max_weight_error": float(weight_error.max()),
        "max_quality_error_micro": float(np.max(np.abs(exact_quality - float_quality * 1e6))),
    }


def print_report(result: dict[str, Any]) -> None:
    """Print the measurements as a table."""
    rows = result["rows"]
    ordered = result["seconds"]["pandas, rows in account order"]
    shuffled = result["seconds"]["pandas, rows shuffled"]
    print(f"Valuation of {rows:,} acts of {result['accounts']:,} accounts, {result['cores']} cores, ", end="")
    print(f"median of {result['repeat']}")
    print(f"{'':<40}{'seconds':>9}{'cpu s':>8}{'ns/row':>8}{'x pandas':>10}")
    for name, seconds in result["seconds"].items():
        base = shuffled if "shuffled" in name else ordered
        factor = f"{base / seconds:>9.2f}x"
        processor = result["processor_seconds"][name]
        print(f"{name:<40}{seconds:>9.3f}{processor:>8.3f}{seconds / rows * 1e9:>8.1f}{factor}")
    print(
        "x pandas: against pandas on rows in the same order; cpu s: processor time of all threads together,"
    )
    print("which other load on the machine hardly changes")
    per_account = result["max_relative_error_per_account"]
    print(f"largest relative difference of an account's sum from float64: {per_account:.2e}")
    print(f"largest difference of a weight from exp: {result['max_weight_error']:.2e}")
    print(
        f"largest difference of a quality from float64: {result['max_quality_error_micro']:.3f} micro-value"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(description="Measure valuation beside pandas.")
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    chosen = parser.parse_args(arguments)
    if chosen.rows < 1 or chosen.accounts < 1 or chosen.repeat < 1:
        parser.error("--rows, --accounts and --repeat must be at least 1")
    result = measure(chosen.rows, chosen.accounts, chosen.repeat)
    if chosen.json:
        print(json.dumps({"schema": "timebank.bench.valuation/1", **result}, indent=2))
    else:
        print_report(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
