"""scripts/bench_rate
|- every run under a constant demand settles, where a step is at least 0.4 epochs of it
|- no adversary leaves the bounds, or moves faster than an eighth
|- a credit paid in a circle ends as one credit more minted
|- the plot is well-formed and has every line; the one the README shows is what is drawn
`- too few epochs are wrong usage
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[2]
SVG = "{http://www.w3.org/2000/svg}"


def bench(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "scripts/bench_rate.py", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    done = bench("--json")
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_a_constant_demand_settles(figures: dict[str, Any]) -> None:
    for one in figures["settling"]:
        if one["step_of_demand"] >= 0.4:
            assert one["settled_after"] is not None, one
            assert one["swing"] < 0.0001, one
        else:
            assert one["settled_after"] is None
            assert one["swing"] < 0.125, one


def test_no_adversary_leaves_the_bounds(figures: dict[str, Any]) -> None:
    assert len(figures["adversaries"]) == 6
    for one in figures["adversaries"]:
        assert 1 / 16 <= one["lowest"] <= 1 <= one["highest"] <= 16, one
        assert one["fastest_up"] < 0.1250001, one
        assert one["fastest_down"] < 0.1111112, one
    assert figures["drift_micro"] == 0
    extremes = {one["name"]: one for one in figures["adversaries"]}
    assert extremes["flood in every epoch"]["highest"] == 16
    assert extremes["nothing is spent"]["lowest"] == 1 / 16


def test_a_circle_costs_its_fee_and_mints_itself(figures: dict[str, Any]) -> None:
    for one in figures["circles"]:
        assert one["minted_more"] == pytest.approx(1, abs=1e-4)
        assert one["pays_above"] == pytest.approx(0.005, rel=1e-4)


def test_the_plot_has_every_line(tmp_path: Path) -> None:
    path = tmp_path / "rate.svg"
    done = bench("--epochs", 80, "--svg", path)
    assert done.returncode == 0, done.stderr
    assert "Adversarial demand" in done.stdout
    drawn = ElementTree.fromstring(path.read_text("utf-8"))  # noqa: S314 - drawn here
    lines = drawn.findall(f"{SVG}polyline")
    assert [len(line.attrib["points"].split()) for line in lines] == [80] * 11
    words = {text.text for text in drawn.findall(f"{SVG}text")}
    assert {"flood in every epoch", "1/16", "16", "epochs"} <= words


def test_the_shown_plot_is_the_drawn_one(tmp_path: Path) -> None:
    path = tmp_path / "rate.svg"
    assert bench("--svg", path).returncode == 0
    shown = ROOT / "contracts" / "floating-rate.svg"
    assert shown.read_text("utf-8") == path.read_text("utf-8"), "scripts/bench_rate.py --svg " + shown.name


def test_too_few_epochs_are_wrong_usage() -> None:
    assert bench("--epochs", 10).returncode == 2
