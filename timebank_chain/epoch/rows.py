"""An epoch's rows as columns: what the leaves of both trees are packed from.

Rows are in leaf order and the row number is the leaf's index. Units and widths are those of
:mod:`timebank_chain.epoch.leaves`; value, sums and amounts are int64.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from timebank_chain.epoch.leaves import AccountLeaf, ActivityLeaf, hash_account_leaves, hash_activity_leaves
from timebank_chain.epoch.tree import MerkleTree
from timebank_chain.valuation import (
    Activities,
    EpochValuation,
    PreviousAccounts,
    ValuedAccounts,
    ValuedActivities,
)


class _Rows:
    """Shared by both kinds of rows: columns by name, one row as plain values."""

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the columns by name, in the order of the published file."""
        return {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]  # subclasses are dataclasses

    def _values(self, index: int) -> dict[str, Any]:
        return {
            name: column[index].tobytes() if column.ndim == 2 else int(column[index])
            for name, column in self.columns().items()
        }


@dataclass(frozen=True, eq=False)
class ActivityRows(_Rows):
    """The activities of an epoch, sorted by (account, record id)."""

    record_id: NDArray[np.uint8]
    account: NDArray[np.uint8]
    domain: NDArray[np.uint16]
    occurred_ms: NDArray[np.int64]
    interaction_milli: NDArray[np.uint32]
    originality_milli: NDArray[np.uint32]
    engagement_milli: NDArray[np.uint32]
    value: NDArray[np.int64]
    running: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.value)

    @cached_property
    def tree(self) -> MerkleTree:
        """The tree over these rows' leaves, built at first use."""
        return MerkleTree(hash_activity_leaves(self.columns()))

    def leaf(self, index: int) -> ActivityLeaf:
        """Return the leaf at ``index``."""
        return ActivityLeaf(index=index, **self._values(index))

    def as_activities(self, rows: slice = slice(None)) -> Activities:
        """Return what the valuation needs of these rows."""
        return Activities(
            record_id=self.record_id[rows],
            account=self.account[rows],
            domain=self.domain[rows],
            occurred_ms=self.occurred_ms[rows],
            interaction=self.interaction_milli[rows],
            originality=self.originality_milli[rows],
            engagement=self.engagement_milli[rows],
        )

    @classmethod
    def of(cls, valued: ValuedActivities) -> Self:
        """Return the rows of a valuation."""
        return cls(
            record_id=valued.record_id,
            account=valued.account,
            domain=valued.domain,
            occurred_ms=valued.occurred_ms,
            interaction_milli=valued.interaction,
            originality_milli=valued.originality,
            engagement_milli=valued.engagement,
            value=valued.value,
            running=valued.running,
        )


@dataclass(frozen=True, eq=False)
class AccountRows(_Rows):
    """Every account ever credited, sorted by account."""

    account: NDArray[np.uint8]
    activity_end: NDArray[np.uint32]
    earned: NDArray[np.int64]
    running_earned: NDArray[np.int64]
    running_active: NDArray[np.uint32]
    standing: NDArray[np.int64]
    mint: NDArray[np.int64]
    running_mint: NDArray[np.int64]
    cumulative_mint: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.earned)

    @cached_property
    def tree(self) -> MerkleTree:
        """The tree over these rows' leaves, built at first use."""
        return MerkleTree(hash_account_leaves(self.columns()))

    def leaf(self, index: int) -> AccountLeaf:
        """Return the leaf at ``index``."""
        return AccountLeaf(index=index, **self._values(index))

    def find(self, account: bytes) -> int | None:
        """Return the index of an account (20 bytes), or ``None`` if it has no leaf."""
        found = np.flatnonzero((self.account == np.frombuffer(account, dtype=np.uint8)).all(axis=1))
        return int(found[0]) if len(found) else None

    def activities_of(self, index: int) -> slice:
        """Return where the activities of the account at ``index`` are among the activity rows."""
        return slice(int(self.activity_end[index - 1]) if index else 0, int(self.activity_end[index]))

    def as_previous(self) -> PreviousAccounts:
        """Return what the next epoch's valuation needs of these rows."""
        return PreviousAccounts(
            account=self.account, standing=self.standing, cumulative_mint=self.cumulative_mint
        )

    @classmethod
    def of(cls, valued: ValuedAccounts) -> Self:
        """Return the rows of a valuation."""
        return cls(**{field.name: getattr(valued, field.name) for field in fields(cls)})


def rows_of_valuation(valuation: EpochValuation) -> tuple[ActivityRows, AccountRows]:
    """Return both kinds of rows of a valued epoch."""
    return ActivityRows.of(valuation.activities), AccountRows.of(valuation.accounts)
