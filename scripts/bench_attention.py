"""The twin's figures on real data in one table, each beside what it is compared with.

Usage: .venv/bin/python scripts/bench_attention.py [--json]

Runs the benchmarks of the rooms (`bench_attention_*.py`, each prints more) and takes from each what it was
to reach. Five minutes on two cores; the model's is the longest. Where data is not at hand, a room is skipped.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

ROOMS = ("model", "monitor", "recommend", "experiment", "suspects")
FOLDER = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Figure:
    """One row: what was measured, what it is compared with, and, where an aim was set, if it was reached."""

    data: str
    measure: str
    here: str
    beside: str
    reached: bool | None


def figures(found: dict[str, Any]) -> Iterator[Figure]:
    """Yield the rows from what the rooms' benchmarks printed."""
    rooms: dict[str, Callable[[Any], Iterator[Figure]]] = {
        "model": lambda one: _model(one["tables"]),
        "monitor": lambda one: _monitor(one["nab"]),
        "recommend": _recommend,
        "experiment": _experiment,
        "suspects": _suspects,
    }
    for room, rows in rooms.items():
        if room in found:
            yield from rows(found[room])


def _model(tables: dict[str, Any]) -> Iterator[Figure]:
    for name, table in tables.items():
        scores = table["in_order_of_time"]
        chosen = scores["chosen"]
        best = max(scores[one]["r2"] for one in ("mean", "recent", "seasonal"))
        asked = "Quantum Computing" in name
        goal = "asked 0.142 / 0.52" if asked else "compared: about 0.0"
        yield Figure(
            name,
            "R2 / Spearman, in order of time",
            f"{chosen['r2']:.3f} / {chosen['spearman']:.3f}",
            f"{goal}; best baseline R2 {best:.3f}",
            chosen["r2"] >= 0.142 and chosen["spearman"] >= 0.52 if asked else None,
        )


def _monitor(ways: dict[str, Any]) -> Iterator[Figure]:
    def words(one: dict[str, Any]) -> str:
        return f"{one['precision']:.2f} / {one['recall']:.2f} / {one['median_delay_hours']:.1f} h"

    ours = next(one for name, one in ways.items() if name.startswith("monitor"))
    plain = next(one for name, one in ways.items() if name.startswith("z-score above"))
    yield Figure(
        "NAB, five series of tweets",
        "precision / recall / median delay",
        f"{words(ours)}, F1 {ours['f1']:.2f}",
        f"z-score above 3: {words(plain)}, F1 {plain['f1']:.2f}",
        None,
    )


def _recommend(choices: dict[str, Any]) -> Iterator[Figure]:
    for name, choice in choices.items():
        chosen, guarded = choice["chosen"], choice["guarded"]
        popular = next(one for one in choice["test"] if one["name"] == "popularity")
        asked = "last 5" in name
        yield Figure(
            name,
            "recall@10 (with places kept)",
            f"{chosen['measures']['recall']:.4f} ({guarded['recall']:.4f}), {chosen['name']}",
            f"popularity {popular['measures']['recall']:.4f}"
            + ("; asked 0.175, the baseline's, judged in the same way" if asked else ""),
            chosen["measures"]["recall"] > 0.175 if asked else None,
        )


def _experiment(found: dict[str, Any]) -> Iterator[Figure]:
    for row in found["alarms"]:
        yield Figure(
            f"{row['experiments']:,} A/A tests, {row['setting']}",
            "false alarms, fixed / always-valid",
            f"{row['fixed']:.2%} / {row['always_valid']:.2%}",
            f"allowed 5 % (more by chance: p {row['above_level_p']:.2f}); "
            f"fixed test peeked at daily: {row['peeked_fixed']:.1%}",
            row["above_level_p"] > 0.01 and row["always_valid"] <= 0.05,
        )
    bandit = found["open_bandit"]
    if bandit is None:
        return
    ab = bandit["ab"]
    yield Figure(
        "Open Bandit, the two policies side by side",
        "difference of click rates",
        f"{ab['effect']:.4f}, p {ab['fixed_p']:.2f}: {ab['verdict']}",
        "not significant, to be said so",
        not ab["significant"],
    )
    for row in bandit["off_policy"]:
        if row["clip"] is None:
            three = {name: row["estimates"][name] for name in ("ips", "snips", "dr")}
            yield Figure(
                f"Open Bandit, {row['policy']} from the log of {row['from_log_of']}",
                "IPS / SNIPS / DR",
                " / ".join(f"{one['value']:.3%}" for one in three.values()),
                f"on-policy {row['on_policy']:.3%}",
                all(one["holds_on_policy"] for one in three.values()),
            )


def _suspects(found: dict[str, Any]) -> Iterator[Figure]:
    held = ", ".join(f"{kind} {share:.0%}" for kind, share in found["held"].items())
    yield Figure("Bots planted in Quantum Computing", "held", held, f"spans of {found['days']} days", None)
    yield Figure(
        "the same, honest members",
        "held, of those scored / of all",
        f"{found['honest_held_of_scored']:.2%} (n = {found['honest_scored']}, 95 %: "
        f"{found['honest_held_interval'][0]:.1%} to {found['honest_held_interval'][1]:.1%}) / "
        f"{found['honest_held_of_all']:.2%}",
        f"stated {found['rate']:.0%}, at most 5 %",
        found["honest_held_of_scored"] <= 0.05,
    )
    held_of, scored = (sum(row[name] for row in found["simulated"]) for name in ("held", "scored"))
    yield Figure(
        "simulated honest members",
        "held, of those scored",
        f"{held_of / scored:.1%} (n = {scored:,})",
        f"stated {found['rate']:.0%}, at most 5 %",
        held_of / scored <= 0.05,
    )


def main() -> int:
    """Run every room's benchmark; 1 if an aim was missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    found = {}
    for room in ROOMS:
        began = time.monotonic()
        print(f"{room} ...", end=" ", file=sys.stderr, flush=True)
        command = [sys.executable, str(FOLDER / f"bench_attention_{room}.py"), "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"failed:\n{done.stderr}")
        if not done.stdout.strip():
            # A room whose data is not at hand says which, prints no figure and is no failure.
            print(f"skipped: {done.stderr.strip()}", file=sys.stderr)
            continue
        found[room] = json.loads(done.stdout)
        print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)
    rows = list(figures(found))
    if options.json:
        body = {"schema": "timebank.bench.attention/1", "rows": [asdict(row) for row in rows]}
        print(json.dumps(body, indent=1))
    else:
        table = Table("data", "measure", "here", "beside it", "reached")
        for row in rows:
            reached = "" if row.reached is None else "yes" if row.reached else "NO"
            table.add_row(row.data, row.measure, row.here, row.beside, reached)
        Console(width=None if sys.stdout.isatty() else 170).print(table)
    return int(any(row.reached is False for row in rows))


if __name__ == "__main__":
    sys.exit(main())
