"""scripts/bench_fairness.py: the whole report over a few thousand accounts, and plain Python to 1e-12."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "bench_fairness.py"


def test_report_and_plain_python_agree(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("bench_fairness", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench_fairness"] = module
    spec.loader.exec_module(module)
    figures = module.measure(3_000, tmp_path)
    assert figures["people"] == 3_000
    assert figures["greatest_difference"] < 1e-12
    assert 0.5 < figures["measures"]["Gini"]["ours"] < 1
    assert figures["measures"]["Theil"]["ours"] > 0
