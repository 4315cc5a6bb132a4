"""scripts/bench_tree
|- the made-up leaves make a valid tree, whose proof verifies, at any count
|- prints a table with the comparison it measured in the same run (needs Node and its packages)
`- refuses a count below one
"""

import importlib.util
import json
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "bench_tree.py"


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_tree", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench_tree"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("count", [1, 2, 3, 500])
def test_our_tree_is_measured_end_to_end(bench: ModuleType, count: int) -> None:
    assert bench.measure_ours(bench.account_columns(count)) > 0


def test_both_trees_are_measured_in_one_run(bench: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    if not shutil.which("node") or not (bench.CONTRACTS / "node_modules/@openzeppelin/merkle-tree").is_dir():
        pytest.skip("node or contracts/node_modules is missing: run scripts/setup test")
    assert bench.main(["--leaves", "300", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["npm_seconds"] > 0
    assert figures["ratio"] == pytest.approx(figures["npm_seconds"] / figures["first_seconds"])
    assert bench.main(["--leaves", "300"]) == 0
    printed = capsys.readouterr().out
    assert "@openzeppelin/merkle-tree" in printed
    assert "times faster" in printed


def test_a_count_below_one_is_refused(bench: ModuleType) -> None:
    with pytest.raises(SystemExit) as caught:
        bench.main(["--leaves", "0"])
    assert caught.value.code == 2
