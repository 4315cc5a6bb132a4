"""A Merkle tree whose positions are bound by index.

Node = keccak256(left || right), without sorting the pair: bit k of a leaf's index says on which side
its ancestor stands at level k, so a proof holds for one position only. Leaves are 81 or 93 bytes long
and nodes 64, so neither can pass for the other. The tree is padded to the next power of two with zero
hashes; nobody knows a leaf that hashes to zero, so nothing can be proved in the padding.

::

    level 2              root
                       /      \\
    level 1          n0        n1          n1 = keccak(h2 || 0)
                    /  \\      /  \\
    level 0       h0    h1  h2   (0)       3 leaves, padded to 4
    index         00    01  10   11
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from timebank_chain.epoch.keccak import keccak, keccak_many
from timebank_chain.errors import EpochError

ZERO_HASH = bytes(32)


def tree_depth(count: int) -> int:
    """Return the number of levels above ``count`` leaves: ceil(log2(count)), 0 for none or one."""
    return max(0, count - 1).bit_length()


class MerkleTree:
    """The tree over ``leaf_hashes`` (n, 32); the empty tree has the root of 32 zero bytes.

    Only nodes above real leaves are stored: what lies right of them is one known hash per level.
    """

    def __init__(self, leaf_hashes: NDArray[np.uint8]) -> None:
        if leaf_hashes.ndim != 2 or leaf_hashes.shape[1] != 32 or leaf_hashes.dtype != np.uint8:
            raise ValueError(f"expected hashes of shape (n, 32), dtype uint8; got {leaf_hashes.shape}")
        self.count = len(leaf_hashes)
        self.depth = tree_depth(self.count)
        self._levels = [np.ascontiguousarray(leaf_hashes)]
        self._empty = [ZERO_HASH]
        for level in range(self.depth):
            below, empty = self._levels[level], self._empty[level]
            if len(below) % 2:
                below = np.concatenate([below, np.frombuffer(empty, dtype=np.uint8).reshape(1, 32)])
            self._levels.append(keccak_many(below.reshape(-1, 64)))
            self._empty.append(keccak(empty + empty))

    @property
    def root(self) -> bytes:
        """The root: one leaf's own hash for a single leaf, zeros for none."""
        return self.node(self.depth, 0)

    def leaf_hash(self, index: int) -> bytes:
        """Return the hash of the leaf at ``index``."""
        self._require(index, 1)
        return self.node(0, index)

    def proof(self, index: int) -> list[bytes]:
        """Return the siblings of the leaf at ``index``, bottom-up, ``depth`` of them."""
        self._require(index, 1)
        return [self.node(level, (index >> level) ^ 1) for level in range(self.depth)]

    def range_proof(self, first: int, count: int) -> list[bytes]:
        """Return the siblings that ``count`` neighbours from ``first`` on need to reach the root.

        Level by level, bottom-up: the left neighbour when the range starts on a right child, then
        the right neighbour when it ends on a left child. A range of one is the ordinary proof.
        """
        self._require(first, count)
        siblings: list[bytes] = []
        left, right = first, first + count - 1
        for level in range(self.depth):
            if left % 2 == 1:
                siblings.append(self.node(level, left - 1))
            if right % 2 == 0:
                siblings.append(self.node(level, right + 1))
            left, right = left // 2, right // 2
        return siblings

    def node(self, level: int, position: int) -> bytes:
        """Return the node at ``position`` of ``level`` (0: the leaves); right of the leaves it is padding."""
        nodes = self._levels[level]
        return nodes[position].tobytes() if position < len(nodes) else self._empty[level]

    def _require(self, first: int, count: int) -> None:
        if count < 1 or first < 0 or first + count > self.count:
            wanted = f"leaf {first}" if count == 1 else f"{count} leaves from {first} on"
            raise EpochError(
                f"the tree has {self.count} leaves, not {wanted}",
                hint=f"ask for an index from 0 to {self.count - 1}" if self.count else "the epoch is empty",
            )


def verify_leaf(leaf_hash: bytes, index: int, siblings: Sequence[bytes], root: bytes) -> bool:
    """Tell whether ``leaf_hash`` is at ``index`` under ``root``; needs no leaf count."""
    if not 0 <= index < 1 << len(siblings):
        return False
    node = leaf_hash
    for level, sibling in enumerate(siblings):
        pair = sibling + node if index >> level & 1 else node + sibling
        node = keccak(pair)
    return node == root


def verify_range(
    leaf_hashes: Sequence[bytes], first: int, siblings: Sequence[bytes], depth: int, root: bytes
) -> bool:
    """Tell whether neighbours from ``first`` on are under ``root`` of a tree ``depth`` levels high.

    Every sibling has to be used: a proof with something left over is refused.
    """
    if not leaf_hashes or first < 0 or first + len(leaf_hashes) > 1 << depth:
        return False
    nodes = list(leaf_hashes)
    left, used = first, 0
    for _ in range(depth):
        if left % 2 == 1:
            if used == len(siblings):
                return False
            nodes.insert(0, siblings[used])
            left, used = left - 1, used + 1
        if len(nodes) % 2 == 1:
            if used == len(siblings):
                return False
            nodes.append(siblings[used])
            used += 1
        nodes = [keccak(nodes[at] + nodes[at + 1]) for at in range(0, len(nodes), 2)]
        left //= 2
    return used == len(siblings) and nodes == [root]
