"""The README is run, not believed: its tutorial in one shell, on a real node, as a reader would.

tutorial ... every block runs with `set -e`; Ada ends with a claimed, spent and audited balance
twin ....... from a community's dump to forecasts, warnings, recommendations and one page (real data)
daemon ..... takes up a file added while it runs, finalises, pushes the claim, ends on SIGTERM; audited
"""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.activity.builders import research_data
from tests.chain_fixtures import anvil_binary, free_port
from timebank_chain.epoch import published_numbers, read_epoch

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"<!-- tutorial -->\n```bash\n(.*?)```", re.DOTALL)
TWIN = re.compile(r"<!-- twin -->\n```bash\n(.*?)```", re.DOTALL)

pytestmark = pytest.mark.e2e


@pytest.mark.data
def test_the_twin_is_made_from_a_dump(tmp_path: Path) -> None:
    dump = research_data("stackexchange_quantumcomputing")
    (block,) = TWIN.findall((ROOT / "README.md").read_text("utf-8"))
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("ETH_", "TIMEBANK_"))}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block], cwd=tmp_path, capture_output=True, text=True, timeout=600,
        env={**clean, "PATH": path, "HOME": str(tmp_path), "DUMP": str(dump)}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    made = {one.name for one in tmp_path.iterdir()}
    assert made >= {"expected.csv", "forecast.png", "warnings.svg", "report.html"}
    assert "below that of the best baseline" in done.stdout
    # The member of the walk-through is one of the community, under the name the step before prints.
    assert "For stackexchange:" in done.stdout
    assert "is not in the history" not in done.stderr
    page = (tmp_path / "report.html").read_text("utf-8")
    assert page.count("<section") == 5
    assert "Not made" not in page
    # Posts whose week was still open when the dump was made, each with an interval around its prediction.
    rows = list(csv.DictReader((tmp_path / "expected.csv").read_text("utf-8").splitlines()))
    assert rows
    assert all(float(row["lower"]) <= float(row["expected"]) <= float(row["upper"]) for row in rows)


@pytest.mark.anvil
def test_the_tutorial_ends_with_a_green_audit(tmp_path: Path) -> None:
    binary = anvil_binary()
    if binary is None:
        pytest.skip("no anvil: run scripts/setup test, which installs it from npm")
    blocks = BLOCK.findall((ROOT / "README.md").read_text("utf-8"))
    assert len(blocks) >= 6, "the README has lost its tutorial"
    port = free_port()
    script = "set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null' EXIT\n" + "\n".join(blocks)
    script = script.replace("8545", str(port))
    # The first block finds the programs in the reader's checkout; here they may live elsewhere.
    path = f"{Path(sys.executable).parent}:{Path(binary).parent}:{os.environ['PATH']}"
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("ETH_", "TIMEBANK_"))}
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env={**clean, "PATH": path, "HOME": str(tmp_path)},
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("GREEN:") == 3, done.stdout
    assert "activity.rejects.csv" in done.stdout + done.stderr, "the row without a zone is not lost"
    rejects = (tmp_path / "my-timebank" / "activity.rejects.csv").read_text()
    assert "answer-2" in rejects and "zone" in rejects
    epochs = tmp_path / "my-timebank" / "daemon" / "epochs"
    acts = [read_epoch(epochs, number).header.activity_count for number in published_numbers(epochs)]
    assert sum(acts) == 1, "the act of the file that came while the daemon ran"
    log = (tmp_path / "my-timebank" / "daemon" / "log").read_text()
    assert all(step in log for step in ("started", "published", "finalised", "claimed", "stopped")), log
