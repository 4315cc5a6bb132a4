"""From a table of what people did to the arrays that are valued.

Names become accounts (members file, or placeholder), domains become indices of the policy, and every
record gets its committed id.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from timebank_chain.activity import ActivityTable, Members, record_ids
from timebank_chain.errors import ActivityError
from timebank_chain.units import format_duration, format_time
from timebank_chain.valuation.policy import Policy, domain_indices
from timebank_chain.valuation.value import Activities


def activities_of(table: ActivityTable, members: Members, policy: Policy) -> Activities:
    """Return a table's rows, in its order, ready to be valued under a policy.

    Raises
    ------
    PolicyError
        If the policy does not know a row's domain.
    ActivityError
        If a row's indicators were counted over another window than the policy's; a row with window 0
        was given directly and fits any.
    """
    domain = np.array(domain_indices(table.domain, policy), dtype=np.uint16)
    _check_windows(table, domain, policy)
    accounts = {member: members.account_of(member) for member in set(table.member)}
    packed = b"".join(accounts[member] for member in table.member)
    return Activities(
        record_id=record_ids(table),
        account=np.frombuffer(packed, dtype=np.uint8).reshape(-1, 20),
        domain=domain,
        occurred_ms=table.occurred_ms,
        interaction=table.interaction_milli,
        originality=table.originality_milli,
        engagement=table.engagement_milli,
    )


def _check_windows(table: ActivityTable, domain: NDArray[np.uint16], policy: Policy) -> None:
    windows = np.array([rules.window_ms for rules in policy.domains], dtype=np.int64)[domain]
    wrong = np.flatnonzero((table.window_ms != 0) & (table.window_ms != windows))
    if len(wrong):
        row = int(wrong[0])
        raise ActivityError(
            f"activity {table.id[row]!r} ({format_time(int(table.occurred_ms[row]))}) was counted over "
            f"{format_duration(int(table.window_ms[row]))}, but policy '{policy.name}' waits "
            f"{format_duration(int(windows[row]))} in domain {table.domain[row]!r}",
            hint="ingest again with the policy's window, or change the policy's",
            where=f"activity {row + 1}",
        )
