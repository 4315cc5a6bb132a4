"""What experiments conclude: false alarms counted, a real A/B test, and a policy judged by another's log.

Usage: .venv/bin/python scripts/bench_attention_experiment.py [--experiments 10000] [--data DIR] [--json]

*False alarms*: simulated A/A tests, so that every alarm is false; a fixed test at the horizon, the
always-valid interval looked at every day, and beside them what daily looks with the fixed test would have
said. A fixed test of a mean has 5 % by construction, give or take the standard error.

*Open Bandit* (Saito et al. 2020, arXiv:2008.07146; folder ``open_bandit`` of the research data, skipped,
saying so, where absent): 10,000 impressions each of a uniform random policy and of Bernoulli Thompson
sampling (bts), shown side by side in one week. The A/B test between them, and each one's value from the
other's log beside what it earned itself.

What bts would have shown at an impression of the other is not in the data, as it learned all week. For each
item and position its logged propensities are interpolated in time, hour by hour, and scaled to sum to one.
Inverses are interpolated: an item is shown in proportion to its propensity p, so that the mean of 1/p over
what was shown is the inverse of p's mean over time, while the mean of p would favour the times it was large.
Smoothing over 3 to 24 hours instead gives 0.33 % to 0.41 %, within the interval.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.stats import binomtest

from timebank_chain.attention.experiment.analyse import Analysis, analyse
from timebank_chain.attention.experiment.design import Question, make_plan, rate_spread
from timebank_chain.attention.experiment.log import OutcomeLog
from timebank_chain.attention.experiment.off_policy import LoggedRows, OffPolicyResult, evaluate
from timebank_chain.attention.experiment.plan import Arm, Metric
from timebank_chain.attention.experiment.simulate import Setting, simulate
from timebank_chain.config import setting

EXPERIMENTS = 10_000
LEVEL = 0.05
SEED = 0
ITEMS, POSITIONS, HOURS = 80, 3, 7 * 24
_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS

SETTINGS = {
    "a rate of 5 %": Setting("rate", 0.05),
    "a rate of 0.4 %, as in Open Bandit": Setting("rate", 0.004, daily=1_000, days=7),
    "a skewed mean": Setting("mean", 2.0),
    "a skewed mean, one arm of ten parts": Setting("mean", 2.0, daily=180, treated=20),
    "a skewed mean with CUPED": Setting("mean", 2.0, correlation=0.7),
}


def count_alarms(experiments: int, seed: int = SEED) -> list[dict[str, Any]]:
    """Simulate each setting; parts of the experiments that gave an alarm."""
    rows = []
    for name, one in SETTINGS.items():
        started = time.perf_counter()
        drawn = Setting(**{**asdict(one), "experiments": experiments})
        alarms = simulate(drawn, seed=seed)
        rows.append(
            {
                "setting": name,
                "members": sum(one.a_day) * one.days,
                "looks": one.days,
                "experiments": experiments,
                "fixed": alarms.fixed,
                "fixed_error": alarms.error_of(LEVEL),
                # A part whose truth is 5 % lies above it half of the time: is it more than chance above?
                "above_level_p": float(
                    binomtest(
                        round(max(alarms.fixed, alarms.always_valid) * experiments),
                        experiments,
                        LEVEL,
                        alternative="greater",
                    ).pvalue
                ),
                "always_valid": alarms.always_valid,
                "peeked_fixed": alarms.peeked,
                "seconds": time.perf_counter() - started,
            }
        )
    return rows


def read_bandit(folder: Path, policy: str) -> pd.DataFrame:
    """Return a policy's log: ``at_ms``, ``item`` and ``position`` from 0, ``click``, ``propensity``."""
    columns = ["timestamp", "item_id", "position", "click", "propensity_score"]
    frame = pd.read_csv(folder / f"{policy}_all.csv.gz", usecols=columns)
    stamp = pd.to_datetime(frame["timestamp"], format="ISO8601")
    return pd.DataFrame(
        {
            "at_ms": (stamp - pd.Timestamp(0, tz="UTC")) // pd.Timedelta(milliseconds=1),
            "item": frame["item_id"].to_numpy(),
            "position": frame["position"].to_numpy() - 1,
            "click": frame["click"].astype(float).to_numpy(),
            "propensity": frame["propensity_score"].to_numpy(),
        }
    )


def compare_policies(control: pd.DataFrame, treatment: pd.DataFrame) -> Analysis:
    """Analyse random (control) against bts as the A/B test it was, an impression a member, day by day."""
    both = pd.concat([control, treatment])
    start_ms = int(both["at_ms"].min()) // _DAY_MS * _DAY_MS
    rate = float(control["click"].mean())
    plan = make_plan(
        Question(
            name="open bandit",
            salt=bytes(32),
            # Planned with the week's own rate at hand, and so after its start.
            planned_ms=start_ms + 1,
            backdated=True,
            start_ms=start_ms,
            end_ms=None,
            external=True,
            arms=(Arm("random", 1), Arm("bts", 1)),
            metric=Metric("click", "rate", "up", rate, rate_spread(rate)),
            covariate=None,
            method="always-valid",
            alpha=LEVEL,
            power=0.8,
            effect=None,
            members=len(both),
            burn_in=50,
            guardrails=(),
        )
    )
    log = OutcomeLog(
        member=[str(row) for row in range(len(both))],
        arm=np.repeat(np.array([0, 1], dtype=np.int64), [len(control), len(treatment)]),
        day=((both["at_ms"].to_numpy() - start_ms) // _DAY_MS).astype(np.int64),
        last_ms=int(both["at_ms"].max()),
        outcome=both["click"].to_numpy(),
        covariate=None,
        numbers={},
        groups={},
    )
    return analyse(plan, log)


def policy_by_hour(log: pd.DataFrame, start_ms: int) -> tuple[NDArray[np.float64], float]:
    """Return a policy's probabilities, (hours * positions, items), and what they summed to before scaling."""
    hours = (np.arange(HOURS) + 0.5) * _HOUR_MS + start_ms
    table = np.zeros((HOURS, POSITIONS, ITEMS))
    for (position, item), rows in log.sort_values("at_ms").groupby(["position", "item"]):
        table[:, position, item] = 1 / np.interp(hours, rows["at_ms"], 1 / rows["propensity"])
    sums = table.sum(axis=2, keepdims=True)
    return (table / sums).reshape(-1, ITEMS), float(sums.mean())


def logged_rows(log: pd.DataFrame, target: NDArray[np.float64], start_ms: int) -> LoggedRows:
    """Join a log with the policy to be judged; a context is an hour and a position."""
    hour = np.minimum((log["at_ms"].to_numpy() - start_ms) // _HOUR_MS, HOURS - 1)
    context = np.arange(HOURS * POSITIONS)
    return LoggedRows(
        reward=log["click"].to_numpy(),
        propensity=log["propensity"].to_numpy(),
        action=log["item"].to_numpy().astype(np.int64),
        context=(hour * POSITIONS + log["position"].to_numpy()).astype(np.int64),
        target=target,
        # The reward model knows the position; 168 hours of some 60 impressions would teach it nothing.
        features=(context % POSITIONS)[:, None].astype(np.int64),
    )


def judge_policies(folder: Path) -> dict[str, Any]:
    """Run the A/B test and both off-policy estimates."""
    logs = {name: read_bandit(folder, name) for name in ("random", "bts")}
    found = compare_policies(logs["random"], logs["bts"])
    start_ms = found.plan.start_ms
    bts, before_scaling = policy_by_hour(logs["bts"], start_ms)
    uniform = np.full((HOURS * POSITIONS, ITEMS), 1 / ITEMS)
    one = found.treatments[0]
    if one.fixed is None:
        raise SystemExit("the A/B test has not reached its horizon")
    return {
        "ab": {
            "random": one.control_mean,
            "bts": one.treatment_mean,
            "effect": float(one.looks.effect[-1]),
            "fixed": [one.fixed.low, one.fixed.high],
            "fixed_p": one.fixed.p,
            "always_valid": [float(one.looks.low[-1]), float(one.looks.high[-1])],
            "always_valid_p": float(one.looks.p[-1]),
            "significant": one.significant or one.fixed.significant,
            "smallest_effect_seen": found.plan.minimal_effect,
            "verdict": one.verdict,
            "daily_fixed_alarms": len(one.alarms),
        },
        "bts_propensities_before_scaling": before_scaling,
        "off_policy": [
            _judged("bts", "random", logs, evaluate(logged_rows(logs["random"], bts, start_ms), level=LEVEL)),
            _judged(
                "random", "bts", logs, evaluate(logged_rows(logs["bts"], uniform, start_ms), level=LEVEL)
            ),
            _judged(
                "random",
                "bts",
                logs,
                evaluate(logged_rows(logs["bts"], uniform, start_ms), level=LEVEL, clip=20.0),
            ),
        ],
    }


def _judged(
    target: str, logged: str, logs: dict[str, pd.DataFrame], found: OffPolicyResult
) -> dict[str, Any]:
    clicks = logs[target]["click"].to_numpy()
    truth = float(clicks.mean())
    error = float(clicks.std(ddof=1)) / math.sqrt(len(clicks))
    return {
        "policy": target,
        "from_log_of": logged,
        "on_policy": truth,
        "on_policy_interval": [truth - 1.96 * error, truth + 1.96 * error],
        "clip": found.clip,
        "effective_rows": found.effective_rows,
        "mean_weight": found.mean_weight,
        "warnings": list(found.warnings),
        "estimates": {
            one.name: {
                "value": one.value,
                "normal": [one.low, one.high],
                "bootstrap": [one.bootstrap_low, one.bootstrap_high],
                "clip_bias": one.clip_bias,
                "holds_on_policy": one.low <= truth <= one.high
                and one.bootstrap_low <= truth <= one.bootstrap_high,
            }
            for one in found.estimates
        },
    }


def _print(rows: list[dict[str, Any]], bandit: dict[str, Any] | None) -> None:
    console = Console(width=140)
    table = Table(title="False alarms in simulated A/A tests, level 5 %", title_justify="left", box=None)
    for name in (
        "setting",
        "tests",
        "fixed, at the horizon",
        "always-valid, daily",
        "fixed test, daily looks",
        "more than 5 %?",
        "s",
    ):
        table.add_column(name)
    for row in rows:
        table.add_row(
            row["setting"],
            f"{row['experiments']:,}",
            f"{row['fixed']:.2%} (+- {row['fixed_error']:.2%})",
            f"{row['always_valid']:.2%}",
            f"{row['peeked_fixed']:.2%}",
            f"{'YES' if row['above_level_p'] < 0.01 else 'no'}, p = {row['above_level_p']:.2f}",
            f"{row['seconds']:.1f}",
        )
    console.print(table)
    if bandit is None:
        return
    ab = bandit["ab"]
    says = "significant" if ab["significant"] else "NOT significant"
    console.print(
        f"\nOpen Bandit, A/B: random {ab['random']:.4%}, bts {ab['bts']:.4%}: {says}; {ab['verdict']}\n"
        f"  effect {ab['effect']:+.4%}, fixed {_between(ab['fixed'])} p = {ab['fixed_p']:.3f}, always-valid "
        f"{_between(ab['always_valid'])} p = {ab['always_valid_p']:.3f}; so many impressions "
        f"show effects of {ab['smallest_effect_seen']:.3%} and more",
        markup=False,
    )
    table = Table(title="\nOne policy's click rate from the other's log", title_justify="left", box=None)
    for name in (
        "policy <- log",
        "on-policy",
        "estimator",
        "estimate",
        "normal 95 %",
        "bootstrap 95 %",
        "",
        "rows",
    ):
        table.add_column(name)
    for row in bandit["off_policy"]:
        clip = "" if row["clip"] is None else f", weights cut to {row['clip']:g}"
        for name, one in row["estimates"].items():
            table.add_row(
                f"{row['policy']} <- {row['from_log_of']}{clip}",
                f"{row['on_policy']:.3%} {_between(row['on_policy_interval'])}",
                name.upper(),
                f"{one['value']:.3%}",
                _between(one["normal"]),
                _between(one["bootstrap"]),
                "holds it" if one["holds_on_policy"] else "MISSES it",
                f"{row['effective_rows']:,.0f}",
            )
    console.print(table)
    for row in bandit["off_policy"]:
        for warning in row["warnings"]:
            console.print(f"  {row['policy']} from {row['from_log_of']}: {warning}", markup=False)
    console.print(
        "  bts' interpolated propensities summed to "
        f"{bandit['bts_propensities_before_scaling']:.2f} before scaling",
        markup=False,
    )


def _between(ends: list[float]) -> str:
    return f"[{ends[0]:.3%}, {ends[1]:.3%}]"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--experiments", type=int, default=EXPERIMENTS)
    parser.add_argument("--data", type=Path, help="folder of the research data (default: TIMEBANK_TEST_DATA)")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    root = Path(__file__).resolve().parents[1]
    data = arguments.data or Path(setting("TIMEBANK_TEST_DATA") or root.parent / "shared" / "data")
    folder = data / "open_bandit"
    rows = count_alarms(arguments.experiments)
    bandit = None
    if folder.is_dir():
        bandit = judge_policies(folder)
    else:
        print(f"skipped: no research data at {folder}; set TIMEBANK_TEST_DATA", file=sys.stderr)
    if arguments.json:
        print(
            json.dumps(
                {"schema": "timebank.bench.attention_experiment/1", "alarms": rows, "open_bandit": bandit},
                indent=2,
            )
        )
    else:
        _print(rows, bandit)


if __name__ == "__main__":
    main()
