"""Compile the contracts into ``timebank_chain/artifacts``, or check that they compile to what is there.

Run it as ``scripts/build-contracts``, which sets up what it needs. The compiler is pinned: py-solc-x installs
the native one where it can be had, else npm's build of the same version serves through ``scripts/solc-shim``.
Both give the same bytecode. Metadata is left out of the bytecode, so that no path of a machine enters it.

Examples
--------
::

    scripts/build-contracts                              write the artifacts
    scripts/build-contracts --check                      compare, exit 1 naming what differs
    scripts/build-contracts --full-input input.json      also write one self-contained compiler input
"""

from __future__ import annotations

import argparse
import json
import os
import posixpath
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import sha3

ROOT = Path(__file__).resolve().parent.parent
CONTRACTS = ROOT / "contracts"
ARTIFACTS = ROOT / "timebank_chain" / "artifacts"
SHIM = ROOT / "scripts" / "solc-shim"
ROOMS = ("governance", "interfaces", "libraries", "oracle", "token")
LIBRARY_PREFIX = "@openzeppelin/contracts/"
SOLC_VERSION = "0.8.30"

SHIPPED = {
    "AccessManager": "@openzeppelin/contracts/access/manager/AccessManager.sol",
    "AttentionCredit": "contracts/token/AttentionCredit.sol",
    "CreditDistributor": "contracts/token/CreditDistributor.sol",
    "CreditPayments": "contracts/token/CreditPayments.sol",
    "FeePool": "contracts/token/FeePool.sol",
    "MemberRegistry": "contracts/token/MemberRegistry.sol",
    "RateOracle": "contracts/oracle/RateOracle.sol",
}

SETTINGS: dict[str, Any] = {
    "evmVersion": "cancun",
    "metadata": {"appendCBOR": False, "bytecodeHash": "none"},
    "optimizer": {"enabled": True, "runs": 1_000_000},
    "viaIR": True,
}
OUTPUTS = [
    "abi",
    "evm.bytecode.object",
    "evm.bytecode.linkReferences",
    "evm.deployedBytecode.object",
    "evm.deployedBytecode.immutableReferences",
]

_IMPORT = re.compile(r"""^\s*import\s+(?:[^"';]*?\bfrom\s+)?["']([^"']+)["']\s*;""", re.MULTILINE)


class BuildError(Exception):
    """The contracts do not compile, or a source is missing; the message says which."""


def read_source(name: str) -> str:
    """Return the text of a source unit (``contracts/...`` or ``@openzeppelin/contracts/...``)."""
    folder = CONTRACTS / "node_modules" if name.startswith("@") else ROOT
    try:
        return (folder / name).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BuildError(f"source not found: {name} (scripts/setup test installs the npm packages)") from None


def collect_sources(names: list[str]) -> dict[str, str]:
    """Return the given source units and everything they import, by name, sorted."""
    found: dict[str, str] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found[name] = read_source(name)
        for target in _IMPORT.findall(found[name]):
            if target.startswith("."):
                target = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
            waiting.append(target)
    return dict(sorted(found.items()))


def shipped_sources() -> dict[str, str]:
    """Return all sources the shipped contracts are made of: ours, and what they use of OpenZeppelin."""
    names = [
        path.relative_to(ROOT).as_posix()
        for room in ROOMS
        for path in sorted((CONTRACTS / room).glob("*.sol"))
    ]
    return collect_sources(names)


def compiler_input(sources: dict[str, str], outputs: list[str] | None = None) -> dict[str, Any]:
    """Return a self-contained standard-JSON input."""
    return {name: to_json(document) for name, document in documents.items()}


def to_json(document: dict[str, Any]) -> str:
    """Return the one way a document is written, so that files can be compared as text."""
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


def differences(built: dict[str, str], folder: Path = ARTIFACTS) -> list[str]:
    """Return the names of files that differ from a build, are missing, or should not be there."""
    there = {path.name for path in folder.glob("*.json")}
    there_as_text = {name: (folder / name).read_text(encoding="utf-8") for name in there}
    different = {name for name, text in built.items() if there_as_text.get(name, text) != text}
    return sorted(different | (there ^ set(built)))


def write(built: dict[str, str], folder: Path = ARTIFACTS) -> None:
    """Write every file, each in one step, and remove artifacts of contracts that are gone."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in built.items():
        descriptor, temporary = tempfile.mkstemp(dir=folder)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(folder / name)
    for path in folder.glob("*.json"):
        if path.name not in built:
            path.unlink()


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="scripts/build-contracts",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--check", action="store_true", help="compare with what is there instead of writing")
    parser.add_argument(
        "--full-input", type=Path, metavar="FILE", help="write the self-contained compiler input"
    )
    options = parser.parse_args(arguments)
    try:
        if options.full_input:
            options.full_input.write_text(to_json(compiler_input(shipped_sources())), encoding="utf-8")
            print(f"wrote {options.full_input}", file=sys.stderr)
        print(f"compiling with solc {SOLC_VERSION} (half a minute with npm's build)", file=sys.stderr)
        built = build()
    except BuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if options.check:
        wrong = differences(built)
        for name in wrong:
            print(
                f"error: {name} is not what the sources compile to: run scripts/build-contracts",
                file=sys.stderr,
            )
        return 1 if wrong else 0
    write(built)
    print(f"wrote {len(built)} files to {ARTIFACTS.relative_to(ROOT)}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
