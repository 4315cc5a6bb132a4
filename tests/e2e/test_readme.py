"""The README is run, not believed: its tutorial in one shell, on a real node, as a reader would.

tutorial ... every block runs with `set -e`; Ada ends with a claimed, spent and audited balance
daemon ..... takes up a file added while it runs, finalises, pushes the claim, ends on SIGTERM; audited
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chain_fixtures import anvil_binary, free_port
from timebank_chain.epoch import published_numbers, read_epoch

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"<!-- tutorial -->\n```bash\n(.*?)```", re.DOTALL)

pytestmark = [pytest.mark.e2e, pytest.mark.anvil]


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
