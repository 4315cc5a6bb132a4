"""The storage root: the trie against py-evm's own, the layout against the compiler's."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import rlp
from trie import HexaryTrie

from timebank_chain.audit.storage import LAYOUTS
from timebank_chain.audit.storage_root import EMPTY_ROOT, keccak, mapping_slot, storage_root, string_slots

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


@pytest.mark.parametrize("count", [0, 1, 2, 3, 16, 17, 700])
def test_root_is_the_one_py_evm_computes(count: int) -> None:
    draw = random.Random(count)
    slots = {draw.randbytes(32): draw.choice([0, 1, 127, 128, draw.getrandbits(256)]) for _ in range(count)}
    trie = HexaryTrie({})
    for slot, value in slots.items():
        if value:
            trie[keccak(slot)] = rlp.encode(value)
    assert storage_root(slots) == trie.root_hash


def test_no_slot_and_zero_slots_have_the_empty_root() -> None:
    assert storage_root({}) == EMPTY_ROOT == keccak(rlp.encode(b""))
    assert storage_root({bytes(32): 0}) == EMPTY_ROOT


def test_one_bit_in_a_value_changes_the_root() -> None:
    slots = {mapping_slot(bytes([n]) * 20, 0): n + 1 for n in range(40)}
    root = storage_root(slots)
    for slot in list(slots)[:5]:
        assert storage_root({**slots, slot: slots[slot] ^ 1}) != root


@pytest.mark.parametrize("length", [0, 1, 31, 32, 33, 64, 65])
def test_strings_take_the_slots_solidity_gives_them(length: int) -> None:
    text = bytes(range(1, length + 1))
    slots = string_slots(3, text)
    head = slots[(3).to_bytes(32, "big")]
    if length < 32:
        assert len(slots) == 1
        assert head.to_bytes(32, "big") == text.ljust(31, b"\0") + bytes([2 * length])
    else:
        assert head == 2 * length + 1
        first = int.from_bytes(keccak((3).to_bytes(32, "big")), "big")
        words = [slots[(first + at).to_bytes(32, "big")].to_bytes(32, "big") for at in range(len(slots) - 1)]
        assert b"".join(words).rstrip(b"\0") == text


@pytest.fixture(scope="module")
def layouts() -> dict[str, Any]:
    """The compiler's own storage layouts; compiled by a process of its own, as scripts/ does it."""
    program = (
        f"import sys, json; sys.path.insert(0, {str(SCRIPTS)!r}); import build_contracts as build\n"
        "output = build.compile_sources(build.shipped_sources(), ['storageLayout'])\n"
        "print(json.dumps({name: output[source][name]['storageLayout']['storage']"
        " for name, source in build.SHIPPED.items()}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    storage = json.loads(done.stdout.splitlines()[-1])
    return {
        name: {entry["label"]: int(entry["slot"]) for entry in entries} for name, entries in storage.items()
    }


@pytest.mark.parametrize("contract", LAYOUTS)
def test_slots_are_those_of_the_compiler(layouts: dict[str, Any], contract: str) -> None:
    assert layouts[contract] == LAYOUTS[contract]


def test_only_the_access_manager_is_left_out(layouts: dict[str, Any]) -> None:
    assert set(layouts) - set(LAYOUTS) == {"AccessManager"}
