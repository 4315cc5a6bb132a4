"""Collects what proves a fault: leaves, siblings, headers and rules, as ``EpochChallenge`` takes them.

``evidence_of`` gives a function's arguments in their order, without the salt and the header that every
function takes first. ``None`` stands for the previous header of the first epoch, which nobody looks at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from timebank_chain.epoch.faults import Fault, TreeName, check_context
from timebank_chain.epoch.file import PublishedEpoch
from timebank_chain.epoch.header import EpochHeader
from timebank_chain.epoch.leaves import AccountLeaf, ActivityLeaf
from timebank_chain.epoch.proof import checked_tree
from timebank_chain.epoch.rows import AccountRows, ActivityRows
from timebank_chain.epoch.tree import MerkleTree
from timebank_chain.errors import EpochError
from timebank_chain.valuation import Bracket, Policy
from timebank_chain.valuation.order import accounts_as_keys


@dataclass(frozen=True, slots=True)
class ActivityEvidence:
    """One activity, or two neighbours, and the siblings of their range proof; none is the empty one."""

    leaves: tuple[ActivityLeaf, ...] = ()
    siblings: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class AccountEvidence:
    """One account, or two neighbours, and the siblings of their range proof; none is the empty one."""

    leaves: tuple[AccountLeaf, ...] = ()
    siblings: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class HeadEvidence:
    """What the policy's hash is made of: the head of this policy."""

    policy: Policy


@dataclass(frozen=True, slots=True)
class DomainEvidence:
    """The rules of one domain: head and domain hashes of this policy, and its domain of this index.

    Where an activity's domain is unknown the domain is the first: nobody looks at it.
    """

    policy: Policy
    domain: int


Argument = (
    EpochHeader
    | DomainEvidence
    | HeadEvidence
    | ActivityEvidence
    | AccountEvidence
    | ActivityLeaf
    | AccountLeaf
    | tuple[Bracket, ...]
    | tuple[bytes, ...]
    | int
    | None
)


@dataclass(frozen=True, slots=True)
class Evidence:
    """A call of ``EpochChallenge``: the function, the header, and the arguments that follow it in order."""

    function: str
    header: EpochHeader
    arguments: tuple[Argument, ...]


class Leaves(Protocol):
    """Where leaves and their siblings come from."""

    def leaf(self, index: int) -> ActivityLeaf | AccountLeaf:
        """Return a leaf that is committed to."""

    def range_proof(self, first: int, count: int) -> list[bytes]:
        """Return the siblings of neighbours."""


def evidence_of(
    fault: Fault,
    published: PublishedEpoch,
    previous: PublishedEpoch | None,
    policy: Policy,
    *,
    trees: Mapping[TreeName, Leaves] | None = None,
) -> Evidence:
    """Collect what proves a fault.

    Parameters
    ----------
    fault
        As ``find_faults`` or ``position_fault`` gave it for the same epoch.
    published, previous, policy
        As given to ``find_faults``. Only a fault of two epochs (class 6 and 8) needs the previous one.
    trees
        Where the epoch's own leaves come from when its rows do not have the roots (``revealed.KnownTree``).

    Raises
    ------
    TamperedEpoch
        If the rows do not have the roots of their header: what they say was not committed.
    EpochError
        If policy or previous epoch are not those the header names, or a row holds what no leaf can.
    """
    needs_previous = fault.function in _OF_TWO_EPOCHS
    check_context(published.header, previous, policy, without_previous=not needs_previous)
    arguments = _ARGUMENTS[fault.function](_Source(published, previous, policy, trees), fault)
    return Evidence(fault.function, published.header, arguments)


@dataclass(frozen=True, eq=False)
class _Checked:
    """The leaves of rows that have the header's root."""

    rows: ActivityRows | AccountRows
    tree: MerkleTree

    def leaf(self, index: int) -> ActivityLeaf | AccountLeaf:
        return self.rows.leaf(index)

    def range_proof(self, first: int, count: int) -> list[bytes]:
        return self.tree.range_proof(first, count)


class _Source:
    """Where evidence comes from: both epochs and the policy."""

    def __init__(
        self,
        published: PublishedEpoch,
        previous: PublishedEpoch | None,
        policy: Policy,
        trees: Mapping[TreeName, Leaves] | None,
    ) -> None:
        self.trees = trees
        self.published = published
        self.previous = previous
        self.policy = policy
        self.previous_header = None if previous is None else previous.header

    def activities(self, first: int, count: int = 1) -> ActivityEvidence:
        source = self._leaves("activity", self.published)
        leaves: Any = tuple(source.leaf(row) for row in range(first, first + count))
        return ActivityEvidence(leaves, tuple(source.range_proof(first, count)))

    def accounts(self, first: int, count: int = 1, *, of: PublishedEpoch | None = None) -> AccountEvidence:
        source = self._leaves("account", of or self.published)
        leaves: Any = tuple(source.leaf(row) for row in range(first, first + count))
        return AccountEvidence(leaves, tuple(source.range_proof(first, count)))

    def _leaves(self, tree: TreeName, epoch: PublishedEpoch) -> Leaves:
        if self.trees is not None and epoch is self.published:
            return self.trees[tree]
        return _Checked(epoch.activities if tree == "activity" else epoch.accounts, checked_tree(epoch, tree))

    def activity_neighbours(self, row: int) -> ActivityEvidence:
        return self.activities(row - 1, 2) if row else self.activities(0)

    def account_neighbours(self, row: int) -> AccountEvidence:
        return self.accounts(row - 1, 2) if row else self.accounts(0)

    def account_before(self, account: bytes) -> AccountEvidence:
        """Return an account's leaf in the epoch before, or what proves that it had none."""
        if self.previous is None:
            return AccountEvidence()
        row = self.previous.accounts.find(account)
        return self.absence(account, self.previous) if row is None else self.accounts(row, of=self.previous)

    def absence(self, account: bytes, epoch: PublishedEpoch | None) -> AccountEvidence:
        """Return what proves that an account has no leaf; nothing for an epoch without accounts."""
        if epoch is None or not epoch.header.account_count:
            return AccountEvidence()
        first, count = _around(account, epoch.accounts, epoch.header.account_count)
        return self.accounts(first, count, of=epoch)

    def domain(self, row: int) -> DomainEvidence:
        domain = int(self.published.activities.domain[row])
        return DomainEvidence(self.policy, domain if domain < len(self.policy.domains) else 0)

    def head(self) -> HeadEvidence:
        return HeadEvidence(self.policy)


def _around(account: bytes, accounts: AccountRows, counted: int) -> tuple[int, int]:
    """Return first row and number of the leaves around an account that is not among those counted.

    They exist even where the accounts are out of order: from a first one below to a last one above, some
    neighbours must step over it. What hides in the padding proves nothing: no evidence reaches there.
    """
    keys = accounts_as_keys(accounts.account[:counted])
    below = keys < np.frombuffer(account, dtype=keys.dtype)[0]
    if not below[0]:
        return 0, 1
    if below[-1]:
        return len(keys) - 1, 1
    return int(np.flatnonzero(below[:-1] & ~below[1:])[0]), 2


def _rules_and_activity(source: _Source, fault: Fault) -> tuple[Argument, ...]:
    return source.domain(fault.index), source.activities(fault.index)


def _activity_neighbours(source: _Source, fault: Fault) -> tuple[Argument, ...]:
    return (source.activity_neighbours(fault.index),)


def _account_neighbours(source: _Source, fault: Fault) -> tuple[Argument, ...]:
    return (source.account_neighbours(fault.index),)


def _position(_: _Source, fault: Fault) -> tuple[Argument, ...]:
    shown = fault.committed
    if shown is None:
        raise EpochError("a fault of position needs the leaf as it was shown", hint="see position_fault")
    return shown.leaf, shown.position, shown.siblings


def _two_activities(source: _Source, fault: Fault) -> tuple[Argument, ...]:
    return source.activities(fault.index), source.activities(_other(fault))


def _range(source: _Source, fault: Fault) -> tuple[Argument, ...]:
    return source.account_neighbours(fault.index), source.activities(_other(fault))


def _earned(source: _Source, fault: Fault) -> tuple[Argument, ...]:
    acts = source.published.accounts.activities_of(fault.index)
    empty = acts.start == acts.stop
    return (
        source.account_neighbours(fault.index),
        source.activities(acts.start - 1) if acts.start and not empty else ActivityEvidence(),
        ActivityEvidence() if empty else source.activities(acts.stop - 1),
    )


def _standing(source: _Source, fault: Fault) -> tuple[Argument, ...]:
    account = source.published.accounts.account[fault.index].tobytes()
    return (
        source.previous_header,
        source.head(),
        source.accounts(fault.index),
        source.account_before(account),
    )


def _mint(source: _Source, fault: Fault) -> tuple[Argument, ...]:
    return source.head(), source.policy.brackets, source.accounts(fault.index)


def _dropped(source: _Source, fault: Fault) -> tuple[Argument, ...]:
    previous = source.previous
    if previous is None:
        raise EpochError("the first epoch has no account to drop")
    account = previous.accounts.account[fault.index].tobytes()
    return (
        previous.header,
        source.accounts(fault.index, of=previous),
        source.absence(account, source.published),
    )


def _invented(source: _Source, fault: Fault) -> tuple[Argument, ...]:
    account = source.published.accounts.account[fault.index].tobytes()
    return (
        source.previous_header,
        source.account_neighbours(fault.index),
        source.absence(account, source.previous),
    )


def _totals(source: _Source, fault: Fault) -> tuple[Argument, ...]:
    # A root or count that is wrong by itself needs no leaf, and may have none to show.
    by_leaf = fault.field in ("total_earned", "active_count", "total_mint")
    count = source.published.header.account_count
    return (source.accounts(count - 1) if by_leaf and count else AccountEvidence(),)


def _length(source: _Source, _: Fault) -> tuple[Argument, ...]:
    return (source.head(),)


def _other(fault: Fault) -> int:
    if fault.other is None:
        raise EpochError(f"{fault.function} needs a second leaf", hint="take it from find_faults")
    return fault.other


_OF_TWO_EPOCHS = frozenset({"proveStanding", "proveDropped", "proveInvented"})

_ARGUMENTS: dict[str, Callable[[_Source, Fault], tuple[Argument, ...]]] = {
    "proveValue": _rules_and_activity,
    "proveActivitySum": _activity_neighbours,
    "proveActivityPosition": _position,
    "proveActivityOrder": _activity_neighbours,
    "proveDuplicate": _two_activities,
    "proveSettlement": _rules_and_activity,
    "proveAccountSum": _account_neighbours,
    "proveAccountPosition": _position,
    "proveAccountOrder": _account_neighbours,
    "proveRange": _range,
    "proveRangeEnd": _account_neighbours,
    "proveEarned": _earned,
    "proveStanding": _standing,
    "proveMint": _mint,
    "proveDropped": _dropped,
    "proveInvented": _invented,
    "proveTotals": _totals,
    "proveLength": _length,
}
