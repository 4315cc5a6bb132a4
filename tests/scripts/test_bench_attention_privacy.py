"""scripts/bench_attention_privacy.py: what was opened is what was sealed; without data it says so."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "bench_attention_privacy.py"


def test_it_runs_without_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = importlib.util.spec_from_file_location("bench_attention_privacy", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    arguments = ["bench", "--mebibytes", "1", "--data", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", arguments)  # the script reads its own command line
    module.main()
    out = capsys.readouterr().out
    assert "MiB/s" in out
    assert "the rest needs stackexchange_quantumcomputing" in out
