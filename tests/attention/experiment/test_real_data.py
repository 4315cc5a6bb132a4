"""Two policies' logs of a real week: the figures of scripts/bench_attention_experiment.py.

open bandit
├── the A/B test between them is not significant, and is said to be so
├── bts from random's log, and random from bts' log: inside their intervals
└── rebuilt propensities are probabilities, likelier than the uniform on what bts did show
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from tests.activity.builders import research_data

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    path = Path(__file__).resolve().parents[3] / "scripts" / "bench_attention_experiment.py"
    spec = importlib.util.spec_from_file_location("bench_attention_experiment", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench_attention_experiment"] = module
    spec.loader.exec_module(module)
    return module


def test_open_bandit(bench: ModuleType) -> None:
    found = bench.judge_policies(research_data("open_bandit"))
    ab = found["ab"]
    assert (round(ab["random"], 6), round(ab["bts"], 6)) == (0.0038, 0.0042)
    assert not ab["significant"] and ab["verdict"] == "no difference shown"
    assert ab["always_valid"][0] < ab["fixed"][0] < 0 < ab["fixed"][1] < ab["always_valid"][1]
    assert ab["fixed_p"] > 0.5 and ab["smallest_effect_seen"] > 10 * abs(ab["effect"])
    assert [(one["policy"], one["from_log_of"]) for one in found["off_policy"]] == [
        ("bts", "random"),
        ("random", "bts"),
        ("random", "bts"),
    ]
    for one in found["off_policy"]:
        assert all(estimate["holds_on_policy"] for estimate in one["estimates"].values()), one
    # The cut is paid for and said.
    assert any("biased by about" in warning for warning in found["off_policy"][2]["warnings"])
    assert found["off_policy"][2]["effective_rows"] > 2 * found["off_policy"][1]["effective_rows"]


def test_rebuilt_propensities(bench: ModuleType) -> None:
    log = bench.read_bandit(research_data("open_bandit"), "bts")
    start = int(log["at_ms"].min()) // bench._DAY_MS * bench._DAY_MS
    table, _ = bench.policy_by_hour(log, start)
    np.testing.assert_allclose(table.sum(axis=1), 1.0)
    rows = bench.logged_rows(log, table, start)
    assert np.log(table[rows.context, rows.action]).mean() > np.log(1 / bench.ITEMS) + 0.8
