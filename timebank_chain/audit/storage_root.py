"""The root a contract's whole storage must have, computed from the slots it should hold.

An Ethereum node commits to a contract's storage with one hash: the root of a Merkle Patricia trie that
maps ``keccak(slot)`` to ``rlp(value)`` for every slot that is not zero. If the slots that the events
explain give the same root, then there is no other slot: a balance written past the contract, for an
address nobody has ever heard of, cannot hide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sha3

#: Root of a trie without entries: ``keccak(rlp(b""))``.
EMPTY_ROOT = bytes.fromhex("56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421")

_Node = bytes | list["_Node"]


def keccak(data: bytes) -> bytes:
    """Return keccak-256 of ``data``."""
    return bytes(sha3.keccak_256(data).digest())


def mapping_slot(key: bytes, base: bytes | int) -> bytes:
    """Return the slot of ``mapping[key]``: Solidity's ``keccak(pad32(key) ‖ base)``."""
    base_word = base.to_bytes(32, "big") if isinstance(base, int) else base
    return keccak(key.rjust(32, b"\0") + base_word)


def string_slots(base: int, text: bytes) -> dict[bytes, int]:
    """Return the slots of a Solidity ``string``: in place up to 31 bytes, else length and data words."""
    base_word = base.to_bytes(32, "big")
    if len(text) < 32:
        return {base_word: int.from_bytes(text.ljust(31, b"\0") + bytes([2 * len(text)]), "big")}
    first = int.from_bytes(keccak(base_word), "big")
    slots = {base_word: 2 * len(text) + 1}
    for word, start in enumerate(range(0, len(text), 32)):
        chunk = text[start : start + 32].ljust(32, b"\0")
        slots[(first + word).to_bytes(32, "big")] = int.from_bytes(chunk, "big")
    return slots


def storage_root(slots: Mapping[bytes, int]) -> bytes:
    """Return the root of the storage trie that holds exactly ``slots`` (32-byte slot -> value).

    Zero values are not stored, as on chain.
    """
    entries = sorted(
        (_nibbles(keccak(slot)), _rlp(value.to_bytes((value.bit_length() + 7) // 8, "big")))
        for slot, value in slots.items()
        if value
    )
    if not entries:
        return EMPTY_ROOT
    return keccak(_rlp(_build(entries, 0)))


def _build(entries: Sequence[tuple[bytes, bytes]], depth: int) -> _Node:
    """Build the node over sorted ``entries`` whose paths agree on the first ``depth`` nibbles."""
    if len(entries) == 1:
        path, value = entries[0]
        return [_hex_prefix(path[depth:], leaf=True), value]
    first, last = entries[0][0], entries[-1][0]
    shared = depth
    while first[shared] == last[shared]:
        shared += 1
    if shared > depth:
        return [_hex_prefix(first[depth:shared], leaf=False), _reference(_build(entries, shared))]
    children: list[_Node] = []
    start = 0
    for nibble in range(16):
        end = start
        while end < len(entries) and entries[end][0][depth] == nibble:
            end += 1
        children.append(_reference(_build(entries[start:end], depth + 1)) if end > start else b"")
        start = end
    return [*children, b""]


def _reference(node: _Node) -> _Node:
    """Return how a parent names ``node``: itself when short, else its hash."""
    encoded = _rlp(node)
    return node if len(encoded) < 32 else keccak(encoded)


def _nibbles(data: bytes) -> bytes:
    return bytes(nibble for byte in data for nibble in (byte >> 4, byte & 15))


def _hex_prefix(nibbles: bytes, *, leaf: bool) -> bytes:
    flag = 2 if leaf else 0
    padded = bytes([flag + 1]) + nibbles if len(nibbles) % 2 else bytes([flag, 0]) + nibbles
    return bytes(padded[i] << 4 | padded[i + 1] for i in range(0, len(padded), 2))


def _rlp(item: _Node) -> bytes:
    if isinstance(item, bytes):
        if len(item) == 1 and item[0] < 0x80:
            return item
        return _rlp_length(len(item), 0x80) + item
    payload = b"".join(_rlp(part) for part in item)
    return _rlp_length(len(payload), 0xC0) + payload


def _rlp_length(length: int, offset: int) -> bytes:
    if length < 56:
        return bytes([offset + length])
    encoded = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([offset + 55 + len(encoded)]) + encoded
