"""Finds out what a root commits to when the published rows do not have it, one shown leaf after another.

Whoever published rows that differ from what was committed cannot be proved wrong from those rows. But a leaf
that is asked for on chain is shown with its siblings, and each sibling tells whether the half under it is the
published one. So the next question goes where it is not:

::

    root differs        ask for leaf 0; its siblings cover 1, 2-3, 4-7, ...
    4-7 differs         ask for leaf 4; its siblings cover 5, 6-7
    6-7 differs         ask for leaf 6; it differs: take it over
    root is the same    now the rows are those that were committed, and are judged as such

As many questions as the tree is deep find one leaf that differs, and each one found makes the rest smaller.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import numpy as np

from timebank_chain.epoch.faults import CommittedLeaf, TreeName
from timebank_chain.epoch.header import EpochHeader
from timebank_chain.epoch.keccak import keccak
from timebank_chain.epoch.leaves import (
    AccountLeaf,
    ActivityLeaf,
    hash_account_leaves,
    hash_activity_leaves,
)
from timebank_chain.epoch.rows import AccountRows, ActivityRows
from timebank_chain.epoch.tree import MerkleTree, tree_depth
from timebank_chain.errors import EpochError, InvalidProof


@dataclass(frozen=True, slots=True)
class Question:
    """The leaf to ask for next."""

    tree: TreeName
    index: int


Rows = TypeVar("Rows", ActivityRows, AccountRows)


@dataclass(frozen=True, eq=False)
class KnownTree(Generic[Rows]):
    """What is known of a committed tree: the nodes that were shown, and published subtrees under one of them.

    Attributes
    ----------
    rows
        The published rows with every leaf that was shown in its place. Amounts of 2^63 and more, which no
        file holds, stand as the same 64 bits.
    own
        The tree over these rows.
    known
        Nodes under the header's root by (level, position), the root included.
    shown
        The leaves that were shown, by position.
    misplaced
        A shown leaf that names another index than its place: no row can hold it.
    """

    tree: TreeName
    rows: Rows
    own: MerkleTree
    known: Mapping[tuple[int, int], bytes]
    shown: Mapping[int, ActivityLeaf | AccountLeaf]
    misplaced: CommittedLeaf | None = None

    @property
    def complete(self) -> bool:
        """Whether the rows are those that were committed."""
        return self.misplaced is None and self.own.root == self.known[self.own.depth, 0]

    @property
    def question(self) -> Question | None:
        """What to ask next; ``None`` when nothing is left to find out by asking."""
        if self.misplaced is not None or self.complete:
            return None
        if not self.own.count:
            raise EpochError(
                f"the {self.tree} tree has a root but no leaf",
                hint="the header is wrong by itself: proveTotals",
            )
        level, position = self.own.depth, 0
        while level:
            left, right = (level - 1, 2 * position), (level - 1, 2 * position + 1)
            if left not in self.known:
                break
            level, position = next(node for node in (left, right) if self.known[node] != self.own.node(*node))
        # Something in the padding shows when the last leaf has to be shown with nothing to its right.
        return Question(self.tree, min(position << level, self.own.count - 1))

    def node(self, level: int, position: int) -> bytes:
        """Return a node that is under the header's root.

        Raises
        ------
        EpochError
            If nobody has shown it, and it is not in a published part that is the committed one.
        """
        above = (level, position)
        while above not in self.known:
            above = (above[0] + 1, above[1] >> 1)
        if self.known[above] == self.own.node(*above):
            return self.own.node(level, position)
        if above == (level, position):
            return self.known[above]
        raise EpochError(
            f"nobody has shown what stands at {position} of level {level} of the {self.tree} tree"
        )

    def leaf(self, index: int) -> ActivityLeaf | AccountLeaf:
        """Return a leaf that is committed to.

        Raises
        ------
        EpochError
            If it is not known which one is.
        """
        if index in self.shown:
            return self.shown[index]
        leaf = self.rows.leaf(index)
        if self.node(0, index) != leaf.hash():
            raise EpochError(
                f"{self.tree} leaf {index} is another than was published, and nobody has shown it"
            )
        return leaf

    def range_proof(self, first: int, count: int) -> list[bytes]:
        """Return the siblings of neighbours, as ``MerkleTree.range_proof``.

        Raises
        ------
        EpochError
            If one of them is not known.
        """
        siblings: list[bytes] = []
        left, right = first, first + count - 1
        for level in range(self.own.depth):
            if left % 2 == 1:
                siblings.append(self.node(level, left - 1))
            if right % 2 == 0:
                siblings.append(self.node(level, right + 1))
            left, right = left // 2, right // 2
        return siblings


def reveal(rows: Rows, header: EpochHeader, shown: Iterable[CommittedLeaf]) -> KnownTree[Rows]:
    """Bring published rows nearer to what the header commits to.

    Parameters
    ----------
    rows
        As published, as many as the header counts.
    shown
        Leaves of this tree as they were shown on chain; those of the other tree are passed over.

    Raises
    ------
    InvalidProof
        If a shown leaf is not under the header's root.
    EpochError
        If a row holds what no leaf can.
    """
    tree: TreeName = "activity" if isinstance(rows, ActivityRows) else "account"
    root = header.activity_root if tree == "activity" else header.account_root
    hashes = (
        hash_activity_leaves(rows.columns()) if tree == "activity" else hash_account_leaves(rows.columns())
    ).copy()
    known = {(tree_depth(len(rows)), 0): root}
    leaves: dict[int, ActivityLeaf | AccountLeaf] = {}
    misplaced = None
    for answer in shown:
        if answer.tree != tree:
            continue
        if not answer.under(header):
            raise InvalidProof(f"{tree} leaf {answer.position} is not under the root of epoch {header.epoch}")
        known.update(_nodes(answer))
        if answer.leaf.index != answer.position:
            misplaced = answer
            continue
        leaves[answer.position] = answer.leaf
        hashes[answer.position] = np.frombuffer(answer.leaf.hash(), dtype=np.uint8)
    return KnownTree(tree, _with_leaves(rows, leaves), MerkleTree(hashes), known, leaves, misplaced)


def _nodes(answer: CommittedLeaf) -> Iterable[tuple[tuple[int, int], bytes]]:
    """Yield the nodes an answer tells of: ((level, position), hash), its own path and its siblings."""
    node, position = answer.leaf.hash(), answer.position
    for level, sibling in enumerate(answer.siblings):
        yield (level, position), node
        yield (level, position ^ 1), sibling
        node = keccak(sibling + node if position & 1 else node + sibling)
        position >>= 1


def _with_leaves(rows: Rows, leaves: Mapping[int, ActivityLeaf | AccountLeaf]) -> Rows:
    columns: dict[str, Any] = {}
    for name, column in rows.columns().items():
        columns[name] = column.copy()
        for position, leaf in leaves.items():
            value = getattr(leaf, name)
            if isinstance(value, bytes):
                columns[name][position] = np.frombuffer(value, dtype=np.uint8)
            else:
                # A file's column is signed: beyond 2^63 the same bits say a negative number.
                columns[name][position] = (
                    value - (1 << 64) if value >= 1 << 63 and column.dtype == np.int64 else value
                )
    return replace(rows, **columns)
