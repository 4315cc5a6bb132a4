"""Compile the contracts into ``timebank_chain/artifacts``, or check that they compile to what is there.

Run it as ``scripts/build-contracts``, which sets up what it needs. The compiler is pinned: py-solc-x installs
the native one where it can be had, else npm's build of the same version serves through ``scripts/solc-shim``.
Both give the same bytecode. Metadata is left out of the bytecode, so that no path of a machine enters it.

Examples
--------
::

    scripts/build-contracts                              write the artifacts
    scripts/build-contracts --check                      compare, exit 1 naming what differs
    scripts/build-contracts --check-sources              a second: were the artifacts made of these sources?
    scripts/build-contracts --full-input input.json      also write one self-contained compiler input
"""

from __future__ import annotations

import argparse
import hashlib
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
ROOMS = ("bank", "governance", "interfaces", "lending", "libraries", "market", "oracle", "token")
LIBRARY_PREFIX = "@openzeppelin/contracts/"
SOLC_VERSION = "0.8.30"

SHIPPED = {
    "AccessManager": "@openzeppelin/contracts/access/manager/AccessManager.sol",
    "AttentionCredit": "contracts/token/AttentionCredit.sol",
    "CreditDistributor": "contracts/token/CreditDistributor.sol",
    "CreditExchange": "contracts/market/CreditExchange.sol",
    "CreditLease": "contracts/lending/CreditLease.sol",
    "CreditLending": "contracts/lending/CreditLending.sol",
    "CreditPayments": "contracts/token/CreditPayments.sol",
    "EpochChallenge": "contracts/oracle/EpochChallenge.sol",
    "FeePool": "contracts/token/FeePool.sol",
    "LeafRequests": "contracts/oracle/LeafRequests.sol",
    "MemberRegistry": "contracts/token/MemberRegistry.sol",
    "PolicyRegistry": "contracts/oracle/PolicyRegistry.sol",
    "RateFloat": "contracts/oracle/RateFloat.sol",
    "RateOracle": "contracts/oracle/RateOracle.sol",
    "ServiceEscrow": "contracts/market/ServiceEscrow.sol",
    "TimeBank": "contracts/bank/TimeBank.sol",
}

SETTINGS: dict[str, Any] = {
    "evmVersion": "cancun",
    "metadata": {"appendCBOR": False, "bytecodeHash": "none"},
    "optimizer": {"enabled": True, "runs": 1_000_000},
    "viaIR": True,
}
#: Said of OpenZeppelin's transient reentrancy guard, and in the same breath that such guards are safe.
TRANSIENT_STORAGE_WARNING = "2394"

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
    return {
        "language": "Solidity",
        "sources": {name: {"content": text} for name, text in sources.items()},
        "settings": {**SETTINGS, "outputSelection": {"*": {"*": outputs or OUTPUTS}}},
    }


def shipped_input(sources: dict[str, str]) -> dict[str, Any]:
    """Return the standard-JSON input as shipped: our text, OpenZeppelin's by hash and package address."""
    version = json.loads((CONTRACTS / "node_modules" / LIBRARY_PREFIX / "package.json").read_text())[
        "version"
    ]
    full = compiler_input(sources)
    for name, text in sources.items():
        if name.startswith(LIBRARY_PREFIX):
            rest = name.removeprefix(LIBRARY_PREFIX)
            digest = sha3.keccak_256(text.encode()).hexdigest()
            full["sources"][name] = {
                "keccak256": f"0x{digest}",
                "urls": [f"npm:@openzeppelin/contracts@{version}/{rest}"],
            }
    return full


def find_solc() -> Path:
    """Return the pinned compiler: ``TIMEBANK_SOLC``, py-solc-x's native one, or the shim over npm's."""
    import solcx

    if os.environ.get("TIMEBANK_SOLC"):
        return Path(os.environ["TIMEBANK_SOLC"])
    if SOLC_VERSION not in [str(version) for version in solcx.get_installed_solc_versions()]:
        try:
            solcx.install_solc(SOLC_VERSION)
        except Exception:  # offline, or no build for this system: the shim compiles the same
            return SHIM
    return Path(solcx.install.get_executable(SOLC_VERSION))


def compile_sources(sources: dict[str, str], outputs: list[str] | None = None) -> dict[str, Any]:
    """Compile and return the compiler's ``contracts`` output.

    Raises
    ------
    BuildError
        On errors and on warnings: the contracts compile silently or not at all.
    """
    import solcx
    from solcx.exceptions import SolcError

    solc = find_solc()
    version = solcx.wrapper.get_solc_version(solc)
    if str(version) != SOLC_VERSION:
        raise BuildError(f"{solc} is solc {version}, wanted {SOLC_VERSION}")
    try:
        result = solcx.compile_standard(compiler_input(sources, outputs), solc_binary=solc)
    except SolcError as error:
        raise BuildError(error.message) from error
    messages = [
        entry["formattedMessage"]
        for entry in result.get("errors", [])
        if entry.get("errorCode") != TRANSIENT_STORAGE_WARNING
    ]
    if messages:
        raise BuildError("\n".join(messages))
    contracts: dict[str, Any] = result["contracts"]
    return contracts


def make_artifact(source: str, name: str, output: dict[str, Any]) -> dict[str, Any]:
    """Return one artifact document from the compiler's output."""
    evm = output[source][name]["evm"]
    return {
        "schema": "timebank.artifact/1",
        "contractName": name,
        "sourceName": source,
        "compiler": {"version": SOLC_VERSION, "settings": SETTINGS},
        "abi": output[source][name]["abi"],
        "bytecode": "0x" + evm["bytecode"]["object"],
        "deployedBytecode": "0x" + evm["deployedBytecode"]["object"],
        "immutableReferences": evm["deployedBytecode"].get("immutableReferences", {}),
        "linkReferences": evm["bytecode"].get("linkReferences", {}),
    }


def build() -> dict[str, str]:
    """Compile and return the text of every file that belongs into the artifacts folder, by file name."""
    sources = shipped_sources()
    output = compile_sources(sources)
    standard_input = as_text(shipped_input(sources))
    # Each artifact names the input it was compiled from: an auditor without a compiler sees a swapped one.
    origin = {"standardInputSha256": hashlib.sha256(standard_input.encode()).hexdigest()}
    built = {
        f"{name}.json": as_text({**make_artifact(source, name, output), **origin})
        for name, source in SHIPPED.items()
    }
    built["standard-input.json"] = standard_input
    return built


def as_text(document: dict[str, Any]) -> str:
    """Return a document as it is shipped."""
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


def differences(built: dict[str, str], folder: Path = ARTIFACTS) -> list[str]:
    """Return the names of files that differ from a build, are missing, or should not be there."""
    there = {path.name for path in folder.glob("*.json")}
    different = {
        name
        for name, text in built.items()
        if name in there and (folder / name).read_text(encoding="utf-8") != text
    }
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


def stale(folder: Path = ARTIFACTS) -> bool:
    """Say whether a source has changed, be it a comment, since the artifacts were made; compiles nothing."""
    path = folder / "standard-input.json"
    return not path.exists() or path.read_text(encoding="utf-8") != as_text(shipped_input(shipped_sources()))


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="scripts/build-contracts",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--check", action="store_true", help="compare with what is there instead of writing")
    parser.add_argument(
        "--check-sources", action="store_true", help="only see whether a source changed since; no compiler"
    )
    parser.add_argument(
        "--full-input", type=Path, metavar="FILE", help="write the self-contained compiler input"
    )
    options = parser.parse_args(arguments)
    try:
        if options.check_sources:
            changed = stale()
            if changed:
                print("error: a contract changed, run scripts/build-contracts", file=sys.stderr)
            return int(changed)
        if options.full_input:
            text = json.dumps(compiler_input(shipped_sources()), indent=1, sort_keys=True) + "\n"
            options.full_input.write_text(text, encoding="utf-8")
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
