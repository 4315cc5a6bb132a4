"""Which role may call which function, and how the deployer hands everything over.

Every function that the contracts restrict is listed here; a test reads the sources and compares.
"""

from __future__ import annotations

from collections.abc import Mapping

from eth_typing import ChecksumAddress

from timebank_chain.chain.access_manager import (
    ADMIN_ROLE,
    GOVERNOR_ROLE,
    GUARDIAN_ROLE,
    REGISTRAR_ROLE,
    ROLE_NAMES,
    AccessManager,
)
from timebank_chain.chain.connection import Connection
from timebank_chain.chain.contract import selector
from timebank_chain.chain.deployment_plan import DeploymentPlan
from timebank_chain.chain.transactions import Call

#: (contract, role) -> functions.
RESTRICTED: Mapping[tuple[str, int], tuple[str, ...]] = {
    ("RateOracle", GOVERNOR_ROLE): (
        "voidProposal",
        "setPolicy",
        "setRate",
        "setQuorum",
        "setBond",
        "setChallengeWindow",
    ),
    ("RateOracle", GUARDIAN_ROLE): ("setProposalsPaused",),
    ("MemberRegistry", REGISTRAR_ROLE): ("requestLink",),
    ("MemberRegistry", GUARDIAN_ROLE): ("rejectLink",),
    ("CreditPayments", GOVERNOR_ROLE): ("setFee",),
    ("FeePool", GOVERNOR_ROLE): ("setSplit",),
}


def role_calls(
    connection: Connection,
    addresses: Mapping[str, ChecksumAddress],
    plan: DeploymentPlan,
    deployer: ChecksumAddress,
) -> Call:
    """Propose all roles as one transaction of the deployer: set up entirely, or not at all.

    The governor becomes admin with the same delay as for everything else; last of all the deployer
    gives up being admin, unless it is the governor itself.
    """
    manager = AccessManager(connection, addresses["AccessManager"])
    calls = [
        manager.set_function_role(addresses[contract], [selector(contract, name) for name in functions], role)
        for (contract, role), functions in RESTRICTED.items()
    ]
    calls += [manager.label_role(role, name) for role, name in ROLE_NAMES.items() if role != ADMIN_ROLE]
    calls += [
        # Whoever can pause can also stop a scheduled operation that should not run.
        manager.set_role_guardian(GOVERNOR_ROLE, GUARDIAN_ROLE),
        manager.grant_role(GOVERNOR_ROLE, plan.governor, plan.governance_delay),
        manager.grant_role(GUARDIAN_ROLE, plan.guardian, 0),
        manager.grant_role(REGISTRAR_ROLE, plan.registrar, 0),
        manager.grant_role(ADMIN_ROLE, plan.governor, plan.governance_delay),
    ]
    if plan.governor != deployer:
        calls.append(manager.renounce_role(ADMIN_ROLE, deployer))
    return manager.multicall(calls)
