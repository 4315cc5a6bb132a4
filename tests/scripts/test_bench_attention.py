"""scripts/bench_attention.py and what it takes from the rooms.

├── without the data: each room skipped, saying so, exit code 0 and no figure
├── a room that fails ends it with that room's words
└── simulated honest members: counted by the weeks known before, near the stated rate
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


def loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # A dataclass looks its own module up.
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def test_skipped_without_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = loaded("bench_attention")
    # The others need no data, or fetch it.
    monkeypatch.setattr(bench, "ROOMS", ("model", "monitor", "suspects"))
    monkeypatch.setenv("TIMEBANK_TEST_DATA", str(tmp_path / "none"))
    monkeypatch.setattr(sys, "argv", ["bench_attention.py", "--json"])
    assert bench.main() == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["rows"] == []
    assert shown.err.count("skipped: no data at ") == 3


def test_a_failing_room_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = loaded("bench_attention")
    (tmp_path / "bench_attention_broken.py").write_text("raise SystemExit('no such thing')\n")
    monkeypatch.setattr(bench, "FOLDER", tmp_path)
    monkeypatch.setattr(bench, "ROOMS", ("broken",))
    monkeypatch.setattr(sys, "argv", ["bench_attention.py"])
    with pytest.raises(SystemExit, match="no such thing"):
        bench.main()


def test_simulated_members_are_counted() -> None:
    rows = loaded("bench_attention_suspects").simulate(30)
    assert [row["weeks_before"] for row in rows] == [2, 4]
    # A thousand members each, three standard errors are 0.016.
    assert all(row["scored"] > 950 and row["held"] / row["scored"] <= 0.03 + 0.016 for row in rows)
    assert all(row["held"] for row in rows)
