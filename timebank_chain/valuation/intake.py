"""From a table of what people did to the arrays that are valued.

Names become accounts (members file, or placeholder), domains become indices of the policy, and every
record gets its committed id. One rule guards the way, for everybody who values a table: a row's
indicators were counted over its domain's window, neither more nor less (0 where it waits for nothing).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from timebank_chain.activity import ActivityTable, Members, record_ids
from timebank_chain.errors import ActivityError
from timebank_chain.units import format_duration
from timebank_chain.valuation.policy import Policy, domain_indices
from timebank_chain.valuation.value import Activities


def activities_of(table: ActivityTable, members: Members, policy: Policy) -> Activities:
    """Return a table's rows, in its order, ready to be valued under a policy.

    Raises
    ------
    PolicyError
        If the policy does not know a row's domain.
    ActivityError
        If a row's indicators were counted over another window than its domain's.
    """
    domain = fitting_domains(table, policy)
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


def fitting_domains(table: ActivityTable, policy: Policy) -> NDArray[np.uint16]:
    """Return every row's domain as its index in the policy, once all windows are found to fit.

    Raises
    ------
    PolicyError
        If the policy does not know a row's domain.
    ActivityError
        If a row's window is not its domain's, naming the first such row.
    """
    domain, windows = _domains_and_windows(table, policy)
    wrong = np.flatnonzero(table.window_ms != windows)
    if len(wrong):
        row = int(wrong[0])
        raise ActivityError(
            f"{_window(int(table.window_ms[row]))}, but policy '{policy.name}' values {table.domain[row]!r} "
            f"by what happened within {format_duration(int(windows[row]))}",
            where=f"activity row {row + 1} (id {table.id[row]!r}), field 'window_ms'",
            hint="ingest again with the policy's window, or value it by the policy it was ingested for",
        )
    return domain


def other_windows(table: ActivityTable, policy: Policy) -> NDArray[np.intp]:
    """Return the rows whose window is not their domain's.

    Raises
    ------
    PolicyError
        If the policy does not know a row's domain.
    """
    return np.flatnonzero(table.window_ms != _domains_and_windows(table, policy)[1])


def _domains_and_windows(
    table: ActivityTable, policy: Policy
) -> tuple[NDArray[np.uint16], NDArray[np.int64]]:
    domain = np.array(domain_indices(table.domain, policy), dtype=np.uint16)
    return domain, np.array([rules.window_ms for rules in policy.domains], dtype=np.int64)[domain]


def _window(window_ms: int) -> str:
    if window_ms == 0:
        return "its indicators were given directly (window 0)"
    return f"its indicators were counted within {format_duration(window_ms)}"
