"""Is a deployment what it says: numbered checks of chain, code, links and roles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from eth_utils.address import to_checksum_address
from hexbytes import HexBytes

from timebank_chain.artifacts import load_artifact
from timebank_chain.chain.access_manager import ADMIN_ROLE, ROLE_NAMES, AccessManager, Membership, role_name
from timebank_chain.chain.connection import Connection
from timebank_chain.chain.contract import ContractClient, selector
from timebank_chain.chain.deployment import CONTRACTS, Deployment, code_fault
from timebank_chain.chain.event import Event
from timebank_chain.chain.events import (
    RoleGrantDelayChanged,
    RoleGranted,
    TargetAdminDelayUpdated,
    read_events,
)
from timebank_chain.chain.node_errors import translated
from timebank_chain.chain.roles import RESTRICTED, ROLE_GUARDIANS, planned_members
from timebank_chain.errors import ChainError

#: Contracts that a transaction of the deployer created (the others are created by these).
CREATED_BY_DEPLOYER = (
    "AccessManager",
    "MemberRegistry",
    "PolicyRegistry",
    "RateOracle",
    "EpochChallenge",
    "LeafRequests",
    "RateFloat",
    "CreditPayments",
    "CreditExchange",
    "ServiceEscrow",
)

#: (contract, its view function, the contract it must name).
LINKS = (
    ("RateOracle", "distributor", "CreditDistributor"),
    ("RateOracle", "credit", "AttentionCredit"),
    ("RateOracle", "feePool", "FeePool"),
    ("RateOracle", "registry", "MemberRegistry"),
    ("RateOracle", "policies", "PolicyRegistry"),
    ("RateOracle", "challenge", "EpochChallenge"),
    ("RateOracle", "leafRequests", "LeafRequests"),
    ("RateOracle", "rateFloat", "RateFloat"),
    ("RateOracle", "authority", "AccessManager"),
    ("RateFloat", "oracle", "RateOracle"),
    ("RateFloat", "feePool", "FeePool"),
    ("RateFloat", "authority", "AccessManager"),
    ("EpochChallenge", "oracle", "RateOracle"),
    ("LeafRequests", "oracle", "RateOracle"),
    ("CreditDistributor", "oracle", "RateOracle"),
    ("CreditDistributor", "credit", "AttentionCredit"),
    ("CreditDistributor", "feePool", "FeePool"),
    ("CreditDistributor", "registry", "MemberRegistry"),
    ("AttentionCredit", "minter", "CreditDistributor"),
    ("FeePool", "credit", "AttentionCredit"),
    ("FeePool", "distributor", "CreditDistributor"),
    ("FeePool", "authority", "AccessManager"),
    ("CreditPayments", "credit", "AttentionCredit"),
    ("CreditPayments", "feePool", "FeePool"),
    ("CreditPayments", "authority", "AccessManager"),
    ("MemberRegistry", "authority", "AccessManager"),
    ("CreditExchange", "credit", "AttentionCredit"),
    ("CreditExchange", "feePool", "FeePool"),
    ("CreditExchange", "authority", "AccessManager"),
    ("ServiceEscrow", "credit", "AttentionCredit"),
    ("ServiceEscrow", "feePool", "FeePool"),
    ("ServiceEscrow", "authority", "AccessManager"),
)


@dataclass(frozen=True)
class Check:
    """One check and its outcome."""

    number: int
    name: str
    ok: bool
    detail: str


def verify_deployment(connection: Connection, deployment: Deployment) -> list[Check]:
    """Check everything a deployment's manifest claims against the chain.

    Returns
    -------
    list of Check
        All of them, passed or not; nothing is raised for a difference.
    """
    return [
        Check(number, name, ok, detail)
        for number, (name, ok, detail) in enumerate(_checks(connection, deployment), start=1)
    ]


def _checks(connection: Connection, deployment: Deployment) -> Iterator[tuple[str, bool, str]]:
    serving = int(connection.w3.eth.chain_id)
    yield (
        "chain",
        serving == deployment.chain_id,
        f"the node serves {serving}, manifest {deployment.chain_id}",
    )
    sound = True
    for name in CONTRACTS:
        contract = deployment.contracts[name]
        fault = code_fault(connection, contract)
        sound = sound and fault is None
        said = fault or f"as compiled, {len(connection.code_at(contract.address))} bytes"
        yield f"code of {name}", fault is None, f"{contract.address}: {said}"
    for name in CREATED_BY_DEPLOYER:
        fault = _creation_fault(connection, deployment, name)
        yield (
            f"creation of {name}",
            fault is None,
            fault or "its transaction carries the shipped creation code",
        )
    if not sound or serving != deployment.chain_id:
        # Asking contracts that are not ours about themselves proves nothing.
        yield "links and roles", False, "not asked: the code above differs"
        return
    wrong = [
        f"{contract}.{function} is {found}"
        for contract, function, expected in LINKS
        if (found := _link(connection, deployment, contract, function)) != deployment.address(expected)
    ]
    yield "links", not wrong, "; ".join(wrong) or f"{len(LINKS)} links between contracts as deployed"
    yield _function_roles(connection, deployment)
    manager = AccessManager(connection, deployment.address("AccessManager"))
    events = list(
        read_events(
            connection,
            deployment.addresses(),
            (RoleGranted, RoleGrantDelayChanged, TargetAdminDelayUpdated),
            from_block=deployment.first_block,
        )
    )
    yield _members(manager, deployment, events)
    yield _role_rules(manager, events)
    yield _closed_contracts(manager, deployment, events)
    if deployment.plan.governor == deployment.deployer:
        yield "admin", True, "the deployer is the governor and stays admin, as planned"
    else:
        still = manager.has_role(ADMIN_ROLE, deployment.deployer).is_member
        yield "admin", not still, f"the deployer {'is still' if still else 'gave up being'} admin"


def _creation_fault(connection: Connection, deployment: Deployment, name: str) -> str | None:
    contract = deployment.contracts[name]
    try:
        with translated():
            transaction = connection.w3.eth.get_transaction(HexBytes(contract.creation_transaction))
    except ChainError as error:
        return f"the creation transaction cannot be read: {error.message}"
    if bytes(transaction["input"]) != load_artifact(name).bytecode + contract.constructor_arguments:
        return "the creation transaction carries other code or arguments than the manifest"
    return None


class _Any(ContractClient):
    """A contract asked for whatever its artifact declares."""

    def __init__(self, connection: Connection, address: str, name: str) -> None:
        super().__init__(connection, address)
        self._name = name

    def address_of(self, function: str) -> str:
        self.NAME = self._name  # type: ignore[misc]  # one client for several artifacts, here only
        return to_checksum_address(self._read(function))


def _link(connection: Connection, deployment: Deployment, contract: str, function: str) -> str:
    return _Any(connection, deployment.address(contract), contract).address_of(function)


def _function_roles(connection: Connection, deployment: Deployment) -> tuple[str, bool, str]:
    manager = AccessManager(connection, deployment.address("AccessManager"))
    wrong = []
    count = 0
    for (contract, role), functions in RESTRICTED.items():
        for function in functions:
            count += 1
            found = manager.function_role(deployment.address(contract), selector(contract, function))
            if found != role:
                wrong.append(f"{contract}.{function} asks for {role_name(found)}")
    return "function roles", not wrong, "; ".join(wrong) or f"{count} restricted functions as shipped"


def _members(
    manager: AccessManager, deployment: Deployment, events: Sequence[Event]
) -> tuple[str, bool, str]:
    """Compare who holds which role with which delay, among all who were ever given one, with the plan."""
    planned = planned_members(deployment.plan)
    given = {(one.role_id, one.account) for one in events if isinstance(one, RoleGranted)}
    wrong = []
    for role, account in sorted(given | set(planned)):
        found = manager.given(role, account)
        if not found.is_member and (role, account) in planned:
            wrong.append(f"{account} does not hold {role_name(role)}, and should")
        elif found.is_member and (role, account) not in planned:
            wrong.append(f"{account} holds {role_name(role)}, and should not")
        elif found.is_member and found != Membership(True, planned[role, account]):
            wrong.append(
                f"{account} holds {role_name(role)} with a delay of {found.delay} s, "
                f"not of {planned[role, account]} s"
            )
    return "members", not wrong, "; ".join(wrong) or f"{len(planned)} roles held as planned"


def _role_rules(manager: AccessManager, events: Sequence[Event]) -> tuple[str, bool, str]:
    """Compare who gives a role, who drops what it schedules and how long new members wait with the plan."""
    roles = {*ROLE_NAMES, *(one.role_id for one in events if isinstance(one, RoleGranted))}
    coming = {one.role_id: one.delay for one in events if isinstance(one, RoleGrantDelayChanged)}
    wrong = []
    for role in sorted(roles | set(coming)):
        giver, guardian = manager.role_admin(role), manager.role_guardian(role)
        if giver != ADMIN_ROLE:
            wrong.append(f"{role_name(role)} is given by {role_name(giver)}, not by {role_name(ADMIN_ROLE)}")
        wanted = ROLE_GUARDIANS.get(role, ADMIN_ROLE)
        if guardian != wanted:
            wrong.append(
                f"what {role_name(role)} has scheduled is dropped by {role_name(guardian)}, "
                f"not by {role_name(wanted)}"
            )
        # A new delay begins days later; until then only its event tells.
        delay = coming.get(role, 0) or manager.grant_delay(role)
        if delay:
            wrong.append(f"who is given {role_name(role)} waits {delay} s, not 0 s")
    return "rules of roles", not wrong, "; ".join(wrong) or "given by ADMIN, at once; dropped as planned"


def _closed_contracts(
    manager: AccessManager, deployment: Deployment, events: Sequence[Event]
) -> tuple[str, bool, str]:
    """Check that no contract is closed to its roles, and none asks administrators for a delay of its own."""
    coming = {one.target: one.delay for one in events if isinstance(one, TargetAdminDelayUpdated)}
    wrong = []
    for name, address in deployment.addresses().items():
        if manager.is_closed(address):
            wrong.append(f"{name} is closed to every role")
        delay = coming.get(address, 0) or manager.target_admin_delay(address)
        if delay:
            wrong.append(f"the rules of {name} change after {delay} s at least, not 0 s")
    return "closed contracts", not wrong, "; ".join(wrong) or "none is closed or asks for a delay of its own"
