"""The real forge binary: npm's wrapper around it always exits 0."""

from __future__ import annotations

import platform
import shutil
from pathlib import Path

CONTRACTS = Path(__file__).resolve().parents[2] / "contracts"


def forge_binary() -> str | None:
    """Path of forge, from npm or the PATH."""
    machine = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), "amd64")
    name = f"forge-{platform.system().lower()}-{machine}"
    binary = CONTRACTS / "node_modules/@foundry-rs" / name / "bin/forge"
    return str(binary) if binary.exists() else shutil.which("forge")
