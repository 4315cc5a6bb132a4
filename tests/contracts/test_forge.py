"""The contracts' own tests, run by the real forge.

forge
├── every test function in contracts/test/*.t.sol runs and passes (forge exits 0 also when nothing matches)
├── the sources are formatted
└── the sources are free of lint
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections import Counter

import pytest

from tests.contracts.forge import CONTRACTS, forge_binary

ROOMS = ("bank", "governance", "interfaces", "lending", "libraries", "market", "oracle", "test", "token")
TEST_FUNCTION = re.compile(r"^\s*function ((?:test|testFuzz|invariant)_\w+)\(", re.MULTILINE)

pytestmark = pytest.mark.anvil


# forge lint marks changed sources as seen without compiling them: with one cache, forge test would
# leave out their tests.
LINT_CACHE = {"FOUNDRY_CACHE_PATH": "cache/lint", "FOUNDRY_OUT": "cache/lint/out"}


def forge(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    binary = forge_binary()
    if binary is None:
        pytest.skip("no forge: run scripts/setup test, which installs it from npm")
    return subprocess.run(
        [binary, *arguments],
        cwd=CONTRACTS,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_solidity_test_passes() -> None:
    written = Counter(
        name
        for path in CONTRACTS.glob("test/*.t.sol")
        for name in TEST_FUNCTION.findall(path.read_text("utf-8"))
    )
    done = forge("test", "--json")
    # With --json the results are one line on stdout; a compiler error leaves none.
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    assert lines, done.stdout + done.stderr
    suites = json.loads(lines[-1])
    results = [
        (name.split("(")[0], result["status"], result.get("reason"))
        for suite in suites.values()
        for name, result in suite["test_results"].items()
    ]
    failures = [result for result in results if result[1] != "Success"]
    assert not failures
    assert Counter(name for name, _, _ in results) == written
    assert done.returncode == 0, done.stderr


def test_sources_are_formatted() -> None:
    done = forge("fmt", "--check", *ROOMS)
    assert done.returncode == 0, done.stdout + done.stderr


def test_sources_are_free_of_lint() -> None:
    done = forge("lint", *ROOMS, **LINT_CACHE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in done.stdout + done.stderr
