"""An epoch being made wrong: its columns, open to change, and everything that follows from them.

Used by ``timebank_chain.epoch.lies`` and ``timebank_chain.epoch.corrupt``, for tests and drills only.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from timebank_chain.epoch.faults import TreeName, rows_in, values_by_rule
from timebank_chain.epoch.file import PublishedEpoch
from timebank_chain.epoch.rows import ActivityRows
from timebank_chain.spec import fairness as exact_fairness
from timebank_chain.units import MAX_TIME_MS
from timebank_chain.valuation import Policy, fairness, weight
from timebank_chain.valuation.decay import decayed

Columns = dict[str, NDArray[Any]]
LeafRows = NDArray[np.int64]


class Draft:
    """An epoch being made wrong: its columns, and what is said in the header."""

    def __init__(self, published: PublishedEpoch, previous: PublishedEpoch | None, policy: Policy) -> None:
        self.published = published
        self.previous = previous
        self.policy = policy
        self.activities: Columns = {name: c.copy() for name, c in published.activities.columns().items()}
        self.accounts: Columns = {name: c.copy() for name, c in published.accounts.columns().items()}
        #: Header fields that do not follow from the rows.
        self.said: dict[str, Any] = {}
        #: A leaf under the root that the rows do not have: (tree, position, index it says).
        self.stray: tuple[TreeName, int, int] | None = None
        self.publish_honest = False
        self.missing: str | None = None

    @property
    def end_ms(self) -> int:
        """The epoch's end as the header will say it, Unix ms."""
        return int(self.said.get("end_ms", self.published.header.end_ms))

    def columns(self, tree: TreeName) -> Columns:
        """Return the columns of one tree's rows."""
        return self.activities if tree == "activity" else self.accounts

    def count(self, tree: TreeName) -> int:
        """Return the number of rows of one tree."""
        return len(self.columns(tree)["account"])

    def starts(self) -> LeafRows:
        """Return where each account's range of activities starts."""
        ends = self.accounts["activity_end"].astype(np.int64)
        return np.concatenate([np.zeros(1, dtype=np.int64), ends])[: len(ends)]

    def before(self) -> LeafRows:
        """Return each account's row in the epoch before, -1 for none."""
        if self.previous is None:
            return np.full(len(self.accounts["account"]), -1, dtype=np.int64)
        return rows_in(self.accounts["account"], self.previous.accounts.account)

    def change(self, tree: TreeName, column: str, row: int, change: int) -> str:
        """Change one number and tell it."""
        cells = self.columns(tree)[column]
        was = int(cells[row])
        cells[row] = was + change
        return f"{tree} {row}: {column} is {was + change}, was {was}"

    def follow(self, column: str = "", row: int = 0, change: int = 0) -> None:
        """Compute again all that is derived, with ``change`` added to one cell where its turn comes."""

        def planted(name: str, values: NDArray[Any]) -> NDArray[Any]:
            if name == column:
                values = values.copy()
                values[row] += change
            return values

        header, acts, accounts = self.published.header, self.activities, self.accounts
        values, judged = values_by_rule(ActivityRows(**acts), self.policy, self.end_ms)
        acts["value"] = planted("value", np.where(judged, values, acts["value"]))
        acts["running"] = np.cumsum(planted("running", acts["value"]), dtype=np.int64)

        starts, ends = self.starts(), accounts["activity_end"].astype(np.int64)
        filled = np.flatnonzero((starts < ends) & (ends <= len(acts["running"])))
        earned = np.zeros(len(ends), dtype=np.int64)
        first = np.where(starts[filled] > 0, acts["running"][starts[filled] - 1], 0)
        earned[filled] = np.maximum(acts["running"][ends[filled] - 1] - first, 0)
        accounts["earned"] = earned = planted("earned", earned)
        accounts["running_earned"] = np.cumsum(planted("running_earned", earned), dtype=np.int64)
        active = planted("running_active", (earned > 0).astype(np.int64))
        accounts["running_active"] = np.cumsum(active, dtype=np.int64).astype(np.uint32)
        totals = {
            "total_earned": int(accounts["running_earned"][-1]) if len(ends) else 0,
            "active_count": int(accounts["running_active"][-1]) if len(ends) else 0,
        }
        self.said |= totals | {name: totals[name] + change for name in totals if name == column}

        there, before = self.before() >= 0, self.before()
        old_standing, old_mint = np.zeros((2, len(ends)), dtype=np.int64)
        if self.previous is not None:
            old_standing[there] = self.previous.accounts.standing[before[there]]
            old_mint[there] = self.previous.accounts.cumulative_mint[before[there]]
        elapsed = min(self.end_ms - header.start_ms, MAX_TIME_MS)
        kept = decayed(old_standing, weight(elapsed, self.policy.decay_k))
        accounts["standing"] = planted("standing", kept + earned)
        mean = exact_fairness.mean(self.said["total_earned"], self.said["active_count"])
        minted = fairness.mint(
            fairness.phi(earned, mean, self.policy.brackets), earned,
            rate_q24=header.rate_q24, pot=header.pot, total_earned=self.said["total_earned"],
        )  # fmt: skip
        accounts["mint"] = mint = planted("mint", np.array(minted, dtype=np.int64))
        accounts["running_mint"] = np.cumsum(planted("running_mint", mint), dtype=np.int64)
        accounts["cumulative_mint"] = planted("cumulative_mint", old_mint + mint)
        self.said["total_mint"] = int(accounts["running_mint"][-1]) if len(ends) else 0
