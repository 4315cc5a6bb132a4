"""Which role may call which function, and how the deployer hands everything over.

Every function that the contracts restrict is listed here; a test reads the sources and compares.
"""

from __future__ import annotations

from collections.abc import Mapping

from eth_typing import ChecksumAddress

from timebank_chain.chain.access_manager import (
    ADMIN_ROLE,
    CANCELLER_ROLE,
    GOVERNOR_ROLE,
    GUARDIAN_ROLE,
    REGISTRAR_ROLE,
    ROLE_NAMES,
    AccessManager,
)
from timebank_chain.chain.connection import Connection
from timebank_chain.chain.contract import selector
from timebank_chain.chain.credit_distributor import CreditDistributor
from timebank_chain.chain.deployment_plan import DeploymentPlan
from timebank_chain.chain.fee_pool import FeePool
from timebank_chain.chain.rate_float import RateFloat
from timebank_chain.chain.rate_oracle import RateOracle
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
        "resumeProposals",
    ),
    ("RateOracle", GUARDIAN_ROLE): ("pauseProposals",),
    ("RateFloat", GOVERNOR_ROLE): ("setFloat",),
    ("MemberRegistry", REGISTRAR_ROLE): ("requestLink",),
    ("MemberRegistry", CANCELLER_ROLE): ("rejectLink",),
    ("CreditPayments", GOVERNOR_ROLE): ("setFee",),
    ("FeePool", GOVERNOR_ROLE): ("setSplit",),
    ("TimeBank", GOVERNOR_ROLE): ("addTerm", "setTermOpen", "setIncomeFee", "setReleaseTime"),
    ("CreditLending", GOVERNOR_ROLE): ("setRisk", "resumeBorrowing"),
    ("CreditLending", GUARDIAN_ROLE): ("pauseBorrowing",),
    ("CreditLease", GOVERNOR_ROLE): ("setLeaseFee", "resumeLeasing"),
    ("CreditLease", GUARDIAN_ROLE): ("pauseLeasing",),
    ("CreditExchange", GOVERNOR_ROLE): ("setTradeFee", "resumeTrading"),
    ("CreditExchange", GUARDIAN_ROLE): ("pauseTrading",),
    ("ServiceEscrow", GOVERNOR_ROLE): ("setServiceFee", "resumeOrdering"),
    ("ServiceEscrow", GUARDIAN_ROLE): ("pauseOrdering",),
    # Each works once, and is done with in the transaction that gives the roles.
    ("FeePool", ADMIN_ROLE): ("setPayees", "setSpenders"),
    ("RateOracle", ADMIN_ROLE): ("setChallenge", "setRateFloat"),
}

#: Role -> the role whose members may drop what it has scheduled, where that is not ADMIN. It is a role of its
#: own: who pauses must not be able to keep the governor from resuming.
ROLE_GUARDIANS: Mapping[int, int] = {GOVERNOR_ROLE: CANCELLER_ROLE}

#: Contracts through which members spend: what passes through them counts as demand.
SPENDERS = ("CreditPayments", "CreditExchange", "ServiceEscrow")


def planned_members(plan: DeploymentPlan) -> dict[tuple[int, ChecksumAddress], int]:
    """Return (role, account) -> delay in seconds: who holds which role when the deployment is done."""
    return {
        (GOVERNOR_ROLE, plan.governor): plan.governance_delay,
        (GUARDIAN_ROLE, plan.guardian): 0,
        (REGISTRAR_ROLE, plan.registrar): 0,
        (CANCELLER_ROLE, plan.canceller): 0,
        (ADMIN_ROLE, plan.governor): plan.governance_delay,
    }


def role_calls(
    connection: Connection,
    addresses: Mapping[str, ChecksumAddress],
    plan: DeploymentPlan,
    deployer: ChecksumAddress,
) -> Call:
    """Propose all roles as one transaction of the deployer: set up entirely, or not at all.

    First the oracle learns who voids by proof and what moves its rate, the rooms of the bank are wired to the
    distributor and the fee pool, and the pool learns whose spending counts, which works only once. The
    governor becomes admin with the same delay as for everything
    else; last of all the deployer gives up being admin, unless it is the governor itself.
    """
    manager = AccessManager(connection, addresses["AccessManager"])
    bank, lending, lease = (addresses[name] for name in ("TimeBank", "CreditLending", "CreditLease"))
    oracle, rate_float = (addresses[name] for name in ("RateOracle", "RateFloat"))
    fee_pool = FeePool(connection, addresses["FeePool"])
    calls = [
        manager.execute(
            RateOracle(connection, oracle).set_challenge(
                addresses["EpochChallenge"], addresses["LeafRequests"]
            )
        ),
        manager.execute(RateOracle(connection, oracle).set_rate_float(rate_float)),
        manager.execute(
            CreditDistributor(connection, addresses["CreditDistributor"]).set_rooms(bank, lending, lease)
        ),
        manager.execute(fee_pool.set_payees(bank, lending)),
        manager.execute(fee_pool.set_spenders([addresses[name] for name in SPENDERS])),
    ]
    if plan.float_step_micro:
        calls.append(manager.execute(RateFloat(connection, rate_float).set_float(plan.float_step_micro)))
    calls += [
        manager.set_function_role(addresses[contract], [selector(contract, name) for name in functions], role)
        for (contract, role), functions in RESTRICTED.items()
        if role != ADMIN_ROLE
    ]
    calls += [manager.label_role(role, name) for role, name in ROLE_NAMES.items() if role != ADMIN_ROLE]
    calls += [manager.set_role_guardian(role, guardian) for role, guardian in ROLE_GUARDIANS.items()]
    calls += [
        manager.grant_role(role, account, delay) for (role, account), delay in planned_members(plan).items()
    ]
    if plan.governor != deployer:
        calls.append(manager.renounce_role(ADMIN_ROLE, deployer))
    return manager.multicall(calls)
