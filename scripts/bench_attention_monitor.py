"""Warnings on real series with labelled anomalies, beside a plain z-score; and how many are false.

Usage: .venv/bin/python scripts/bench_attention_monitor.py [--data DIR] [--worlds N] [--json]

The five series of tweet counts (5 minutes) of the Numenta Anomaly Benchmark. As NAB does, the first 15 % are
for learning; windows that end there do not count. A warning is right if it falls into a labelled window.
Precision: right warnings among all; recall: windows with a warning; delay: from the window's begin to its
first warning (a window begins up to a day and a half before what its label names). After a warning none for
a day, for everybody.

The plain z-score is (x - mean) / sd over the last week, warned of above 3; also with its threshold taken from
the same training part at the same rate as ours. Ours: the monitor with steps of 5 minutes, bursts only, at a
rate of 0.001 a step; other rates and averages stand below, so that nobody need believe one was picked.

Simulation: Poisson counts of 12 weeks of hours with a daily and weekly season, and the same with the scatter
of a busy community (negative binomial); half is training. What is found in the other half is false.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from timebank_chain.attention.monitor.detect import BURST, DRIFT, DetectorSettings, judge
from timebank_chain.attention.monitor.series import DAY_MS, HOUR_MS, Series, read_counts
from timebank_chain.config import setting

SERIES = ("AAPL", "AMZN", "FB", "GOOG", "IBM")
STEP_MS = 300_000
TRAIN = 0.15
COOL_DOWN_MS = DAY_MS
RATE = 0.001
WORLDS = 200
_WEEK_STEPS = 7 * DAY_MS // STEP_MS


@dataclass(frozen=True)
class Labelled:
    """A series and the windows its anomalies lie in, Unix milliseconds."""

    name: str
    series: Series
    windows: tuple[tuple[int, int], ...]

    @property
    def trained(self) -> int:
        """How many steps are for learning."""
        return int(len(self.series) * TRAIN)


@dataclass
class Score:
    """What warnings of some series were worth."""

    warnings: int = 0
    right: int = 0
    windows: int = 0
    hit: int = 0
    delays_ms: tuple[int, ...] = ()

    def add(self, one: Labelled, times_ms: Iterable[int]) -> None:
        """Count the warnings of one series, repeats within the cool-down left out."""
        start = one.series.start_ms + one.trained * STEP_MS
        said: list[int] = []
        for time_ms in times_ms:
            if time_ms > start and (not said or time_ms - said[-1] >= COOL_DOWN_MS):
                said.append(time_ms)
        windows = [(begin, end) for begin, end in one.windows if end > start]
        self.warnings += len(said)
        self.right += sum(any(begin <= time <= end for begin, end in windows) for time in said)
        self.windows += len(windows)
        for begin, end in windows:
            inside = [time for time in said if begin <= time <= end]
            if inside:
                self.hit += 1
                self.delays_ms += (inside[0] - begin,)

    def figures(self) -> dict[str, Any]:
        """Return precision, recall, F1 and the median delay in hours."""
        precision = self.right / self.warnings if self.warnings else 0.0
        recall = self.hit / self.windows if self.windows else 0.0
        both = precision + recall
        return {
            "warnings": self.warnings,
            "right": self.right,
            "windows": self.windows,
            "hit": self.hit,
            "precision": precision,
            "recall": recall,
            "f1": 2 * precision * recall / both if both else 0.0,
            "median_delay_hours": float(np.median(self.delays_ms)) / HOUR_MS if self.delays_ms else None,
        }


def load(folder: Path) -> list[Labelled]:
    """Read the five series and their windows."""
    windows = json.loads((folder / "combined_windows.json").read_text("utf-8"))
    found = []
    for name in SERIES:
        file = f"realTweets/Twitter_volume_{name}.csv"
        spans = tuple((_ms(begin), _ms(end)) for begin, end in windows[file])
        found.append(Labelled(name, read_counts(folder / file, step_ms=STEP_MS), spans))
    return found


def _ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1_000)


def z_scores(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (x - mean) / sd over the week before, 0 on the first day; missing values count as the mean."""
    filled = np.where(np.isnan(values), np.nanmean(values), values)
    first, second = (np.concatenate([[0.0], np.cumsum(part)]) for part in (filled, filled**2))
    stop = np.arange(len(filled))
    start = np.maximum(stop - _WEEK_STEPS, 0)
    known = np.maximum(stop - start, 1)
    mean = (first[stop] - first[start]) / known
    spread = np.sqrt(np.maximum((second[stop] - second[start]) / known - mean**2, 1e-9))
    return np.where(stop >= DAY_MS // STEP_MS, (filled - mean) / spread, 0.0)


def ours(rate: float, smooth: int = 0) -> Callable[[Labelled], list[int]]:
    """Return what warns as the monitor does."""

    def warn(one: Labelled) -> list[int]:
        settings = DetectorSettings(rate=rate, train=TRAIN, smooth=smooth, season_ms=DAY_MS)
        return [found.at_ms for found in judge(one.series, settings).findings if found.kind == BURST]

    return warn


def plain(threshold: float | None) -> Callable[[Labelled], list[int]]:
    """Return what warns above a z-score; ``None``: the training part's order statistic, at our rate."""

    def warn(one: Labelled) -> list[int]:
        scores = z_scores(one.series.values)
        learned = np.sort(scores[DAY_MS // STEP_MS : one.trained])
        rank = max(1, int(RATE / 2 * (len(learned) + 1)))
        bound = float(learned[len(learned) - rank]) if threshold is None else threshold
        return (one.series.start_ms + (np.flatnonzero(scores > bound) + 1) * STEP_MS).tolist()

    return warn


WAYS: dict[str, Callable[[Labelled], list[int]]] = {
    "monitor, rate 0.001, mean of an hour": ours(RATE),
    "monitor, rate 0.001, each step": ours(RATE, 1),
    "monitor, rate 0.001, mean of two hours": ours(RATE, 24),
    "monitor, rate 0.01, mean of an hour": ours(0.01),
    "z-score above 3": plain(3.0),
    "z-score above 5": plain(5.0),
    "z-score, threshold learned at 0.001": plain(None),
}


def measure(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the figures of every way over all series."""
    data = load(folder)
    found = {}
    for name, warn in WAYS.items():
        score = Score()
        for one in data:
            score.add(one, warn(one))
        found[name] = score.figures()
    return found


def simulate(worlds: int, rate: float = 0.01) -> dict[str, dict[str, float]]:
    """Return the share of ordinary steps that was found not to fit, and of worlds called drifting."""
    hours = 12 * 7 * 24
    clock = np.arange(hours)
    season = np.exp(0.6 * np.sin(2 * np.pi * clock / 24) + 0.3 * np.sin(2 * np.pi * clock / 168))
    found = {}
    for name, spread in (("Poisson", 0.0), ("negative binomial", 0.5)):
        chance = np.random.default_rng(7)
        steps = wrong = drifting = 0
        for _ in range(worlds):
            mean = 8.0 * season
            if spread:
                mean = mean * chance.gamma(1 / spread, spread, size=hours)
            series = Series("simulated", 0, HOUR_MS, chance.poisson(mean).astype(np.float64))
            judged = judge(series, DetectorSettings(rate=rate))
            steps += hours - judged.trained
            wrong += sum(one.kind != DRIFT for one in judged.findings)
            drifting += any(one.kind == DRIFT for one in judged.findings)
        found[name] = {"stated": rate, "measured": wrong / steps, "worlds_called_drifting": drifting / worlds}
    chance = np.random.default_rng(8)
    days: list[float] = []
    for _ in range(worlds):
        mean = 8.0 * season * np.where(clock < hours * 3 // 4, 1.0, 2.0)
        series = Series("simulated", 0, HOUR_MS, chance.poisson(mean).astype(np.float64))
        told = [
            one.at_ms
            for one in judge(series, DetectorSettings(rate=rate)).findings
            if one.kind == DRIFT and one.at_ms > hours * 3 // 4 * HOUR_MS
        ]
        if told:
            days.append((told[0] - hours * 3 // 4 * HOUR_MS) / DAY_MS)
    found["level doubles after 9 weeks"] = {
        "told": len(days) / worlds,
        "median_days": float(np.median(days)) if days else float("nan"),
    }
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Warnings beside a plain z-score, and false alarms.")
    root = setting("TIMEBANK_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=Path(root) / "nab", metavar="DIR")
    parser.add_argument("--worlds", type=int, default=WORLDS, metavar="N")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    given = parser.parse_args()
    if not given.data.is_dir():
        print(f"no data at {given.data}: skipped (set TIMEBANK_TEST_DATA, or add --data)", file=sys.stderr)
        return
    figures, simulated = measure(given.data), simulate(given.worlds)
    if given.json:
        body = {"schema": "timebank.bench.attention_monitor/1", "nab": figures, "simulated": simulated}
        sys.stdout.write(json.dumps(body, indent=2) + "\n")
        return
    table = Table(title="NAB tweets, five series: warnings against labelled windows", box=None)
    for name in ("way", "warnings", "right", "windows hit", "precision", "recall", "F1", "delay, hours"):
        table.add_column(name, justify="left" if name == "way" else "right")
    for name, one in figures.items():
        delay = one["median_delay_hours"]
        table.add_row(
            name, str(one["warnings"]), str(one["right"]), f"{one['hit']} of {one['windows']}",
            f"{one['precision']:.2f}", f"{one['recall']:.2f}", f"{one['f1']:.2f}",
            "-" if delay is None else f"{delay:.1f}",
        )  # fmt: skip
    Console(width=140).print(table)
    table = Table(title=f"False alarms in {given.worlds:,} simulated communities", box=None)
    for name in ("community", "stated, a step", "measured", "called drifting"):
        table.add_column(name, justify="left" if name == "community" else "right")
    for name, one in simulated.items():
        if "stated" in one:
            table.add_row(
                name, f"{one['stated']:.4f}", f"{one['measured']:.4f}",
                f"{one['worlds_called_drifting']:.1%}",
            )  # fmt: skip
    Console(width=140).print(table)
    change = simulated["level doubles after 9 weeks"]
    print(
        f"a level that doubles for good: told in {change['told']:.0%}, after {change['median_days']:.0f} days"
    )


if __name__ == "__main__":
    main()
