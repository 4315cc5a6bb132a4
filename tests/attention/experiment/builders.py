"""Plans and logs for the tests of experiments."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from timebank_chain.attention.experiment.log import OutcomeLog
from timebank_chain.attention.experiment.plan import Arm, Covariate, Guardrail, Metric, Plan

START_MS = 1_790_000_000_000
DAY_MS = 86_400_000
SALT = bytes(range(32))


def make(**changes: Any) -> Plan:
    """Return a plan of two arms and a mean, with changes."""
    return Plan(
        **{
            "name": "trial",
            "salt": SALT,
            "planned_ms": START_MS - DAY_MS,
            "backdated": False,
            "start_ms": START_MS,
            "end_ms": None,
            "assignment": "external",
            "arms": (Arm("control", 1), Arm("new", 1)),
            "metric": Metric("replies", "mean", "up", 2.0, 2.0),
            "covariate": None,
            "method": "always-valid",
            "alpha": 0.05,
            "power": 0.8,
            "minimal_effect": 0.3,
            "members_per_arm": (1_000, 1_000),
            "burn_in": 50,
            "guardrails": (),
            **changes,
        }
    )


RATE = Metric("replied", "rate", "up", 0.2, 0.4)
BEFORE = Covariate("before", 0.7)
GINI = Guardrail("gini", "replies", 0.02)


def log_of(
    plan: Plan,
    arm: Sequence[int] | NDArray[np.int64],
    outcome: NDArray[np.float64],
    *,
    days: int = 10,
    covariate: NDArray[np.float64] | None = None,
    **more: Any,
) -> OutcomeLog:
    """Return a log whose rows come evenly over ``days``."""
    count = len(outcome)
    day = np.arange(count) * days // count
    return OutcomeLog(
        **{
            "member": [f"m{row}" for row in range(count)],
            "arm": np.asarray(arm, dtype=np.int64),
            "day": day,
            "last_ms": plan.start_ms + days * DAY_MS - 1,
            "outcome": np.asarray(outcome, dtype=np.float64),
            "covariate": covariate,
            "numbers": {},
            "groups": {},
            **more,
        }
    )


def alternating(count: int) -> NDArray[np.int64]:
    """Return arms 0, 1, 0, 1, ..."""
    return np.arange(count, dtype=np.int64) % 2


def write_csv(path: Path, header: str, *rows: str) -> Path:
    """Write a CSV file of a header and rows."""
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def write_json_lines(path: Path, *rows: dict[str, Any]) -> Path:
    """Write objects, one a line."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path
