"""scripts/bench_attention_model.py.

├── without the data: skipped, saying so, and no figure
└── a table measured: every model beside every baseline, block by block, and printed
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.attention.model.communities import community
from timebank_chain.attention.model.recipes import RECIPES

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "bench_attention_model.py"


@pytest.fixture
def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_attention_model", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_skipped_without_data(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--data", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert f"no data at {tmp_path}: skipped" in done.stderr


def test_table_is_measured_and_printed(
    bench: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # One recipe is enough to see the table; all of them take half a minute.
    monkeypatch.setattr("timebank_chain.attention.model.training.RECIPES", RECIPES[:1])
    found = bench.measure(community(600), 0, at_random=True)
    assert list(found["in_order_of_time"]) == ["mean", "recent", "seasonal", "ridge", "chosen"]
    assert len(found["in_order_of_time"]["ridge"]["r2_by_block"]) == 4
    bench.show("Made up", "compared: nothing", found)
    shown = capsys.readouterr().out
    assert "Made up: 600 rows, 4 blocks" in shown
    assert f"{found['rehearsal']['model']['r2']:.3f}" in shown
    assert "NOT EVIDENCE" in shown
