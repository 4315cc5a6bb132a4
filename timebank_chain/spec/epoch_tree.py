"""Leaves, and proofs that they stand at their index under a root.

A binary keccak tree whose leaves carry their own index. Missing leaves up to the next power of two are zero
hashes; one leaf is its own root, no leaf at all is root zero. Leaves are 93 and 81 bytes, nodes 64, and the
two kinds of leaf start with different tags: none can pass for another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sha3

__all__ = [
    "MAX_DEPTH",
    "AccountLeaf",
    "ActivityLeaf",
    "hash_account_leaf",
    "hash_activity_leaf",
    "hash_pair",
    "keccak",
    "verify",
    "verify_range",
]

ACTIVITY_TAG = b"\x01"
ACCOUNT_TAG = b"\x02"
MAX_DEPTH = 32


@dataclass(frozen=True, slots=True)
class ActivityLeaf:
    """One settled act; fields and units as in ``libraries/EpochTree.sol``."""

    index: int
    record_id: bytes
    account: bytes
    domain: int
    occurred_ms: int
    interaction_milli: int
    originality_milli: int
    engagement_milli: int
    value: int
    running: int


@dataclass(frozen=True, slots=True)
class AccountLeaf:
    """One account at the end of an epoch; fields and units as in ``libraries/EpochTree.sol``."""

    index: int
    account: bytes
    activity_end: int
    earned: int
    running_earned: int
    running_active: int
    standing: int
    mint: int
    running_mint: int
    cumulative_mint: int


def keccak(data: bytes) -> bytes:
    """Return keccak256."""
    digest: bytes = sha3.keccak_256(data).digest()
    return digest


def hash_activity_leaf(leaf: ActivityLeaf) -> bytes:
    """Return keccak256 of the 93 packed bytes."""
    return keccak(
        ACTIVITY_TAG
        + leaf.index.to_bytes(4, "big")
        + leaf.record_id
        + leaf.account
        + leaf.domain.to_bytes(2, "big")
        + leaf.occurred_ms.to_bytes(6, "big")
        + leaf.interaction_milli.to_bytes(4, "big")
        + leaf.originality_milli.to_bytes(4, "big")
        + leaf.engagement_milli.to_bytes(4, "big")
        + leaf.value.to_bytes(8, "big", signed=True)
        + leaf.running.to_bytes(8, "big", signed=True)
    )


def hash_account_leaf(leaf: AccountLeaf) -> bytes:
    """Return keccak256 of the 81 packed bytes."""
    return keccak(
        ACCOUNT_TAG
        + leaf.index.to_bytes(4, "big")
        + leaf.account
        + leaf.activity_end.to_bytes(4, "big")
        + leaf.earned.to_bytes(8, "big")
        + leaf.running_earned.to_bytes(8, "big")
        + leaf.running_active.to_bytes(4, "big")
        + leaf.standing.to_bytes(8, "big")
        + leaf.mint.to_bytes(8, "big")
        + leaf.running_mint.to_bytes(8, "big")
        + leaf.cumulative_mint.to_bytes(8, "big")
    )


def hash_pair(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node: keccak256 of its two children, left first."""
    return keccak(left + right)


def verify(leaf_hash: bytes, index: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Return whether a leaf hash stands at an index under a root.

    Parameters
    ----------
    leaf_hash
        32 bytes.
    index
        Position; bit ``k`` says on which side level ``k`` joins. An index beyond the proof is refused.
    proof
        Sibling hashes from the leaf up.
    root
        32 bytes.
    """
    node = leaf_hash
    for sibling in proof:
        node = hash_pair(sibling, node) if index & 1 else hash_pair(node, sibling)
        index >>= 1
    return index == 0 and node == root


def verify_range(
    leaf_hashes: Sequence[bytes], first: int, proof: Sequence[bytes], depth: int, root: bytes
) -> bool:
    """Return whether neighbouring leaves stand at ``first``, ``first + 1``, ... under a root.

    Parameters
    ----------
    leaf_hashes
        32 bytes each; none is refused.
    first
        Index of the first leaf.
    proof
        Siblings, bottom-up, left before right; all must be used.
    depth
        Height of the tree: ``ceil(log2(leaf count))``, at most 32.
    root
        32 bytes.
    """
    nodes = list(leaf_hashes)
    if not nodes or depth > MAX_DEPTH or first + len(nodes) > 1 << depth:
        return False
    used = 0
    for _ in range(depth):
        left_missing = first & 1
        right_missing = (first + len(nodes)) & 1
        if used + left_missing + right_missing > len(proof):
            return False
        if left_missing:
            nodes.insert(0, proof[used])
        used += left_missing
        if right_missing:
            nodes.append(proof[used])
        used += right_missing
        nodes = [hash_pair(nodes[i], nodes[i + 1]) for i in range(0, len(nodes), 2)]
        first >>= 1
    return used == len(proof) and nodes[0] == root
