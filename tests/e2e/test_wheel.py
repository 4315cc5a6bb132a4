"""What a user installs: the wheel carries all it needs to run, and nothing it does not.

wheel
  holds artifacts, compiler input, policies, examples, the typing marker
  holds no test, no contract source of its own, no script
  its programs run where only the wheel is: no checkout, no Node, no compiler
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from timebank_chain.artifacts import artifact_names

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_what_the_runtime_reads(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    wanted = {f"timebank_chain/artifacts/{name}.json" for name in artifact_names()}
    wanted |= {"timebank_chain/artifacts/standard-input.json", "timebank_chain/py.typed"}
    wanted |= {f"timebank_chain/policies/{name}.json" for name in ("identity", "git", "stackexchange")}
    wanted |= {"timebank_chain/examples/worked_example.csv", "timebank_chain/examples/libuv.mapping.toml"}
    assert wanted <= names
    tops = {name.split("/")[0] for name in names}
    assert tops == {"timebank_chain", next(top for top in tops if top.endswith(".dist-info"))}


def test_the_wheel_runs_without_the_checkout(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    # The dependencies come from this environment; the package itself only from the unpacked wheel.
    code = (
        "import sys; sys.path.insert(0, sys.argv.pop(1))\n"
        "import timebank_chain; assert timebank_chain.__file__.startswith(sys.path[0])\n"
        "from timebank_chain.cli.main import run; run()"
    )
    feed = tmp_path / "feed.csv"
    feed.write_text(
        "id,member,domain,occurred,interaction,originality,engagement\n"
        + "".join(f"act-{day},ada,code,2026-01-{day:02}T10:00:00Z,1,{day},2\n" for day in range(1, 29))
    )
    environment = {"PATH": str(tmp_path), "HOME": str(tmp_path), "LANG": os.environ.get("LANG", "C.UTF-8")}
    done = subprocess.run(
        [sys.executable, "-c", code, str(site), "demo", "--activity", str(feed), "--epochs", "2", "--json"],
        capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ok"]
