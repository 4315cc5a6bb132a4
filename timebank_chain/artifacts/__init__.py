"""Compiled contracts: takes a contract's name, gives its ABI and bytecode.

Made by ``scripts/build-contracts`` from ``contracts/`` and shipped in the wheel, so that nobody needs a
compiler. The tests recompile and compare.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, cast

from timebank_chain.errors import InputError

__all__ = ["Artifact", "artifact_names", "load_artifact", "standard_input"]

_STANDARD_INPUT = "standard-input.json"


@dataclass(frozen=True, slots=True)
class Artifact:
    """One compiled contract.

    Attributes
    ----------
    name
        The contract's name, such as ``RateOracle``.
    source_name
        The source unit that defines it.
    compiler_version
        Pinned version of solc.
    settings
        The compiler settings that give this bytecode.
    abi
        The JSON ABI; shared between callers, not to be changed.
    bytecode
        Creation code without constructor arguments.
    deployed_bytecode
        Code at the address, with zeros where immutables are filled in.
    immutable_ranges
        ``(start, length)`` in bytes of every immutable in ``deployed_bytecode``, ascending.
    """

    name: str
    source_name: str
    compiler_version: str
    settings: dict[str, Any]
    abi: list[dict[str, Any]]
    bytecode: bytes
    deployed_bytecode: bytes
    immutable_ranges: tuple[tuple[int, int], ...]

    def masked(self, code: bytes) -> bytes:
        """Return code found at an address with immutables set to zero, as in ``deployed_bytecode``.

        Code of another length is returned with whatever of the ranges it has set to zero: it differs anyway.
        """
        plain = bytearray(code)
        for start, length in self.immutable_ranges:
            covered = len(plain[start : start + length])
            plain[start : start + length] = bytes(covered)
        return bytes(plain)


def artifact_names() -> tuple[str, ...]:
    """Return the names of all shipped contracts, sorted."""
    names = (entry.name for entry in files(__name__).iterdir())
    return tuple(
        sorted(n.removesuffix(".json") for n in names if n.endswith(".json") and n != _STANDARD_INPUT)
    )


@cache
def load_artifact(name: str) -> Artifact:
    """Return one shipped contract.

    Raises
    ------
    InputError
        If there is no such contract.
    """
    if name not in artifact_names():
        raise InputError(f"no such contract: {name!r}", hint=f"use one of {', '.join(artifact_names())}")
    document = _read(f"{name}.json")
    references = document["immutableReferences"].values()
    ranges = sorted((int(place["start"]), int(place["length"])) for places in references for place in places)
    return Artifact(
        name=document["contractName"],
        source_name=document["sourceName"],
        compiler_version=document["compiler"]["version"],
        settings=document["compiler"]["settings"],
        abi=document["abi"],
        bytecode=bytes.fromhex(document["bytecode"][2:]),
        deployed_bytecode=bytes.fromhex(document["deployedBytecode"][2:]),
        immutable_ranges=tuple(ranges),
    )


@cache
def standard_input() -> dict[str, Any]:
    """Return the compiler's input: our sources in full, OpenZeppelin's by hash and package address."""
    return _read(_STANDARD_INPUT)


def _read(file_name: str) -> dict[str, Any]:
    text = (files(__name__) / file_name).read_text(encoding="utf-8")
    return cast("dict[str, Any]", json.loads(text))
