"""Leaves somebody shows, checked against the header of an epoch.

Every leaf comes with exactly as many siblings as the tree is deep, and stands among those the header counts.
"Neighbours" are the leaf in question and the one before it, or the leaf alone if it is the first; what comes
before the first is an empty leaf, whose sums and range end are 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from timebank_chain.spec import epoch_tree
from timebank_chain.spec.epoch_tree import AccountLeaf, ActivityLeaf, hash_pair
from timebank_chain.spec.rate_oracle import ZERO_HASH, EpochHeader
from timebank_chain.spec.revert import Reverted, require

__all__ = [
    "AccountEvidence",
    "ActivityEvidence",
    "Tree",
    "account",
    "account_stands",
    "activity",
    "activity_stands",
    "depth",
    "find",
    "misplaced",
    "neighbour_accounts",
    "neighbour_activities",
    "padded_right",
]


class Tree(IntEnum):
    """The two trees of an epoch."""

    ACTIVITY = 0
    ACCOUNT = 1


@dataclass(frozen=True, slots=True)
class ActivityEvidence:
    """One activity or two neighbours, and the siblings that lead to the root, left before right."""

    leaves: Sequence[ActivityLeaf] = ()
    siblings: Sequence[bytes] = ()


@dataclass(frozen=True, slots=True)
class AccountEvidence:
    """One account or two neighbours, and the siblings that lead to the root, left before right.

    No leaf at all where something is absent from an empty tree.
    """

    leaves: Sequence[AccountLeaf] = ()
    siblings: Sequence[bytes] = ()


NO_ACTIVITY: Final = ActivityLeaf(0, ZERO_HASH, bytes(20), 0, 0, 0, 0, 0, 0, 0)
NO_ACCOUNT: Final = AccountLeaf(0, bytes(20), 0, 0, 0, 0, 0, 0, 0, 0)


def activity(header: EpochHeader, shown: ActivityEvidence) -> ActivityLeaf:
    """Return the one activity that is shown."""
    leaves = _activities(header, shown)
    require(len(leaves) == 1, "NotNeighbours", Tree.ACTIVITY, len(leaves), leaves[0].index)
    return leaves[0]


def account(root: bytes, count: int, shown: AccountEvidence) -> AccountLeaf:
    """Return the one account that is shown."""
    leaves = _accounts(root, count, shown)
    require(len(leaves) == 1, "NotNeighbours", Tree.ACCOUNT, len(leaves), leaves[0].index)
    return leaves[0]


def neighbour_activities(header: EpochHeader, shown: ActivityEvidence) -> tuple[ActivityLeaf, ActivityLeaf]:
    """Return the activity before the one in question, and that one."""
    leaves = _activities(header, shown)
    if len(leaves) == 2:
        return leaves[0], leaves[1]
    require(leaves[0].index == 0, "NotNeighbours", Tree.ACTIVITY, 1, leaves[0].index)
    return NO_ACTIVITY, leaves[0]


def neighbour_accounts(header: EpochHeader, shown: AccountEvidence) -> tuple[AccountLeaf, AccountLeaf]:
    """Return the account before the one in question, and that one."""
    leaves = _accounts(header.account_root, header.account_count, shown)
    if len(leaves) == 2:
        return leaves[0], leaves[1]
    require(leaves[0].index == 0, "NotNeighbours", Tree.ACCOUNT, 1, leaves[0].index)
    return NO_ACCOUNT, leaves[0]


def find(root: bytes, count: int, shown: AccountEvidence, wanted: bytes) -> AccountLeaf | None:
    """Return an account's leaf, or ``None`` if what is shown proves that it has none.

    Leaves ascend by account, so neighbours around it, or the first or last leaf beside it, leave no room.
    """
    if count == 0:
        return None
    leaves = _accounts(root, count, shown)
    first = leaves[0]
    if len(leaves) == 2:
        around = first.account < wanted < leaves[1].account
        require(around, "NothingSaidOf", "0x" + wanted.hex())
        return None
    if first.account == wanted:
        return first
    beyond = first.index == 0 if wanted < first.account else first.index + 1 == count
    require(beyond, "NothingSaidOf", "0x" + wanted.hex())
    return None


def activity_stands(
    header: EpochHeader, leaf: ActivityLeaf, position: int, siblings: Sequence[bytes]
) -> None:
    """Revert unless a leaf stands at a position, whatever index it says."""
    _stands_at(
        Tree.ACTIVITY,
        epoch_tree.hash_activity_leaf(leaf),
        position,
        siblings,
        header.activity_count,
        header.activity_root,
    )


def account_stands(header: EpochHeader, leaf: AccountLeaf, position: int, siblings: Sequence[bytes]) -> None:
    """Revert unless a leaf stands at a position, whatever index it says."""
    _stands_at(
        Tree.ACCOUNT,
        epoch_tree.hash_account_leaf(leaf),
        position,
        siblings,
        header.account_count,
        header.account_root,
    )


def misplaced(index: int, position: int, count: int, siblings: Sequence[bytes]) -> bool:
    """Return whether a leaf is where it should not be."""
    if index != position or position >= count:
        return True
    return position + 1 == count and padded_right(position, siblings) is not None


def padded_right(position: int, siblings: Sequence[bytes]) -> int | None:
    """Return the lowest level on which something other than padding stands right of a position."""
    empty = ZERO_HASH
    for level, sibling in enumerate(siblings):
        if not position >> level & 1 and sibling != empty:
            return level
        empty = hash_pair(empty, empty)
    return None


def depth(count: int) -> int:
    """Return the levels of a tree: ``ceil(log2(count))``, 0 for none or one.

    >>> [depth(count) for count in (0, 1, 2, 3, 4, 5)]
    [0, 0, 1, 2, 2, 3]
    """
    return max(0, count - 1).bit_length()


def _activities(header: EpochHeader, shown: ActivityEvidence) -> Sequence[ActivityLeaf]:
    _require_side_by_side(Tree.ACTIVITY, [leaf.index for leaf in shown.leaves])
    hashes = [epoch_tree.hash_activity_leaf(leaf) for leaf in shown.leaves]
    first, count = shown.leaves[0].index, header.activity_count
    _require_stand(Tree.ACTIVITY, hashes, first, shown.siblings, count, header.activity_root)
    return shown.leaves


def _accounts(root: bytes, count: int, shown: AccountEvidence) -> Sequence[AccountLeaf]:
    _require_side_by_side(Tree.ACCOUNT, [leaf.index for leaf in shown.leaves])
    hashes = [epoch_tree.hash_account_leaf(leaf) for leaf in shown.leaves]
    _require_stand(Tree.ACCOUNT, hashes, shown.leaves[0].index, shown.siblings, count, root)
    return shown.leaves


def _require_side_by_side(tree: Tree, indices: Sequence[int]) -> None:
    """One leaf, or two of which the second says the next index."""
    if len(indices) not in (1, 2):
        raise Reverted("NotNeighbours", tree, len(indices), 0)
    follows = len(indices) == 1 or indices[1] == indices[0] + 1
    require(follows, "NotNeighbours", tree, len(indices), indices[-1])


def _require_stand(
    tree: Tree, hashes: Sequence[bytes], first: int, siblings: Sequence[bytes], count: int, root: bytes
) -> None:
    """Leaves stand side by side under a root, among those that are counted."""
    stand = first + len(hashes) <= count and epoch_tree.verify_range(
        hashes, first, siblings, depth(count), root
    )
    require(stand, "NotInTree", tree, first, count)


def _stands_at(
    tree: Tree, leaf_hash: bytes, position: int, siblings: Sequence[bytes], count: int, root: bytes
) -> None:
    stands = len(siblings) == depth(count) and epoch_tree.verify(leaf_hash, position, siblings, root)
    require(stands, "NotInTree", tree, position, count)
