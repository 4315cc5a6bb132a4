#!/usr/bin/env python3
"""Measures an account tree end to end, beside npm's @openzeppelin/merkle-tree in the same run.

Both start from rows in memory and end with the root and one proof: ours packs, hashes and links
81-byte account leaves; the npm package ABI-encodes, hashes, sorts and links (address, uint256) rows
with its StandardMerkleTree. Needs Node and ``contracts/node_modules`` (scripts/setup test).

Example: .venv/bin/python scripts/bench_tree.py --leaves 50000
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from timebank_chain.epoch import keccak
from timebank_chain.epoch.leaves import hash_account_leaves
from timebank_chain.epoch.tree import MerkleTree, verify_leaf
from timebank_chain.units import MICRO

LEAVES = 1_000_000
AIM = 50
CONTRACTS = Path(__file__).resolve().parent.parent / "contracts"

_NPM_TREE = """
const { StandardMerkleTree } = require("@openzeppelin/merkle-tree");
const count = Number(process.argv[1]);
const rows = [];
for (let i = 0; i < count; i++) {
  rows.push(["0x" + (i + 1).toString(16).padStart(40, "0"), String(BigInt(i) * 1000003n)]);
}
const start = process.hrtime.bigint();
const tree = StandardMerkleTree.of(rows, ["address", "uint256"]);
const proof = tree.getProof(count >> 1);
const seconds = Number(process.hrtime.bigint() - start) / 1e9;
if (!tree.verify(count >> 1, proof)) throw new Error("the proof does not verify");
console.log(JSON.stringify({ seconds, root: tree.root, proof: proof.length }));
"""


@dataclass(frozen=True)
class TreeFigures:
    """Seconds for the same number of leaves: ours with and without loading the kernel, and npm's."""

    leaves: int
    first_seconds: float
    again_seconds: float
    npm_seconds: float | None

    @property
    def ratio(self) -> float | None:
        """How many times faster ours is, counted with the kernel's loading; ``None`` without npm."""
        return self.npm_seconds / self.first_seconds if self.npm_seconds is not None else None


def account_columns(count: int) -> dict[str, np.ndarray]:
    """Return ``count`` made-up account leaves as columns, sorted by account."""
    random = np.random.default_rng(1)
    earned = random.integers(0, 1_000 * MICRO, count, dtype=np.int64)
    mint = earned * 9 // 10
    account = np.zeros((count, 20), dtype=np.uint8)
    account[:, 12:] = np.arange(1, count + 1, dtype=">u8").view(np.uint8).reshape(count, 8)
    return {
        "account": account,
        "activity_end": np.arange(1, count + 1, dtype=np.int64),
        "earned": earned,
        "running_earned": np.cumsum(earned),
        "running_active": np.cumsum(earned > 0),
        "standing": earned * 3,
        "mint": mint,
        "running_mint": np.cumsum(mint),
        "cumulative_mint": mint * 5,
    }


def measure_ours(columns: dict[str, np.ndarray]) -> float:
    """Return the seconds from columns to root and one proof, and check the proof."""
    count = len(columns["account"])
    start = time.perf_counter()
    tree = MerkleTree(hash_account_leaves(columns))
    root, proof = tree.root, tree.proof(count // 2)
    seconds = time.perf_counter() - start
    if not verify_leaf(tree.leaf_hash(count // 2), count // 2, proof, root):
        raise AssertionError("the proof does not verify")
    return seconds


def measure_npm(count: int) -> float | None:
    """Return npm's seconds for ``count`` rows; ``None`` where Node or the package is missing."""
    node = shutil.which("node")
    if node is None or not (CONTRACTS / "node_modules/@openzeppelin/merkle-tree").is_dir():
        return None
    done = subprocess.run(
        [node, "--max-old-space-size=6144", "-e", _NPM_TREE, str(count)],
        cwd=CONTRACTS,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the npm tree failed: {done.stderr.strip()[-400:]}")
    return float(json.loads(done.stdout)["seconds"])


def measure(leaves: int = LEAVES) -> TreeFigures:
    """Measure both trees over ``leaves`` leaves."""
    columns = account_columns(leaves)
    first, again = measure_ours(columns), measure_ours(columns)
    return TreeFigures(leaves, first, again, measure_npm(leaves))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--leaves", type=int, default=LEAVES, help=f"leaves in both trees ({LEAVES:,})")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args(arguments)
    if options.leaves < 1:
        parser.error(f"--leaves must be at least 1, not {options.leaves}")
    print(f"a tree over {options.leaves:,} leaves, then npm's on the same count", file=sys.stderr)
    figures = measure(options.leaves)
    way = "compiled" if keccak.kernel_loaded() else "portable"
    if options.json:
        body = {**vars(figures), "ratio": figures.ratio, "aim": AIM, "keccak": way}
        print(json.dumps({"schema": "timebank.bench.tree/1", **body}))
        return 0
    table = Table(title=f"Tree over {figures.leaves:,} leaves, rows to root and proof", box=None)
    table.add_column("what")
    table.add_column("seconds", justify="right")
    table.add_column("ratio", justify="right")
    table.add_row(f"ours, {way} Keccak, first in a process", f"{figures.first_seconds:.2f}", "1")
    again = figures.again_seconds
    table.add_row("ours, again", f"{again:.2f}", f"{again / figures.first_seconds:.2f}")
    if figures.npm_seconds is None or figures.ratio is None:
        table.add_row("@openzeppelin/merkle-tree", "not installed", "run scripts/setup test")
    else:
        table.add_row("@openzeppelin/merkle-tree", f"{figures.npm_seconds:.2f}", f"{figures.ratio:.0f}")
    Console().print(table)
    if figures.ratio is not None:
        print(f"ours is {figures.ratio:.0f} times faster (aim at {LEAVES:,} leaves: {AIM})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
