"""Roles: the manager decides by what its events say, and what differs from the deployment is told aloud.

A governor may give every role to anybody, close a contract or let another role drop what it schedules: the
manager allows it, so it fails no check. Yet whoever relies on the roles that the deployment gave must see
that they are others now. State that no event explains is a fault, as everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from eth_utils.abi import collapse_if_tuple

from timebank_chain.audit.case import AuditCase
from timebank_chain.audit.evidence import ViewFailed
from timebank_chain.audit.replay import GOVERNED
from timebank_chain.audit.report import Tally
from timebank_chain.audit.role_book import (
    ADMIN_ROLE,
    CANCELLER_ROLE,
    GOVERNOR_ROLE,
    GUARDIAN_ROLE,
    PUBLIC_ROLE,
    REGISTRAR_ROLE,
    Change,
    Closed,
    FunctionRole,
    GrantDelay,
    Member,
    Names,
    RoleAdmin,
    RoleBook,
    RoleGuardian,
    Rule,
    State,
    TargetDelay,
    replay_roles,
    role_name,
)
from timebank_chain.audit.storage_root import keccak
from timebank_chain.units import format_time

#: (contract, role) -> functions that only it may call, as every deployment gives them; a list of the audit's
#: own, so that a fault in the list the deployment works by cannot hide itself here.
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
    ("RateOracle", ADMIN_ROLE): ("setChallenge", "setRateFloat"),
    ("RateFloat", GOVERNOR_ROLE): ("setFloat",),
    ("FeePool", GOVERNOR_ROLE): ("setSplit",),
    ("FeePool", ADMIN_ROLE): ("setPayees", "setSpenders"),
    ("CreditPayments", GOVERNOR_ROLE): ("setFee",),
    ("MemberRegistry", REGISTRAR_ROLE): ("requestLink",),
    ("MemberRegistry", CANCELLER_ROLE): ("rejectLink",),
    ("TimeBank", GOVERNOR_ROLE): ("addTerm", "setTermOpen", "setIncomeFee", "setReleaseTime"),
    ("CreditLending", GOVERNOR_ROLE): ("setRisk", "resumeBorrowing"),
    ("CreditLending", GUARDIAN_ROLE): ("pauseBorrowing",),
    ("CreditLease", GOVERNOR_ROLE): ("setLeaseFee", "resumeLeasing"),
    ("CreditLease", GUARDIAN_ROLE): ("pauseLeasing",),
    ("CreditExchange", GOVERNOR_ROLE): ("setTradeFee", "resumeTrading"),
    ("CreditExchange", GUARDIAN_ROLE): ("pauseTrading",),
    ("ServiceEscrow", GOVERNOR_ROLE): ("setServiceFee", "resumeOrdering"),
    ("ServiceEscrow", GUARDIAN_ROLE): ("pauseOrdering",),
}

#: Roles that a deployment gives.
ROLES = (ADMIN_ROLE, GOVERNOR_ROLE, GUARDIAN_ROLE, REGISTRAR_ROLE, CANCELLER_ROLE)


def check_roles(case: AuditCase, tally: Tally) -> tuple[int, int]:
    """Check the manager's rules against its events, and tell what differs from the deployment.

    Returns
    -------
    tuple of int
        How many roles and permissions were looked at, and how many changes there were since the deployment.
    """
    names = _names(case)
    functions = {FunctionRole(target, selector) for target, selector in _restricted(case, names)}
    evidence = case.evidence
    book = replay_roles(evidence.events, evidence.timestamp, deployed_state(case, names))
    looked_at = _check_state(case, tally, book, functions, names)
    _warn_of_changes(case, tally, book, names)
    tally.evidence["roles"] = [
        {"role": rule.role, "account": rule.account}
        for rule in sorted(
            (rule for rule in book.state if isinstance(rule, Member)),
            key=lambda rule: (rule.role, rule.account),
        )
    ]
    return looked_at, len(book.later)


def deployed_state(case: AuditCase, names: Names) -> State:
    """Return what a deployment by the manifest's plan gives, and nothing beside it."""
    plan = case.deployment.plan
    state: State = {
        Member(ADMIN_ROLE, plan.governor): plan.governance_delay,
        Member(GOVERNOR_ROLE, plan.governor): plan.governance_delay,
        Member(GUARDIAN_ROLE, plan.guardian): 0,
        Member(REGISTRAR_ROLE, plan.registrar): 0,
        Member(CANCELLER_ROLE, plan.canceller): 0,
        RoleGuardian(GOVERNOR_ROLE): CANCELLER_ROLE,
    }
    for (target, selector), role in _restricted(case, names).items():
        if role != ADMIN_ROLE:
            state[FunctionRole(target, selector)] = role
    return state


def _names(case: AuditCase) -> Names:
    functions = {}
    for contract, artifact in case.evidence.artifacts.items():
        for entry in artifact.entries("function"):
            types = ",".join(collapse_if_tuple(dict(item)) for item in entry["inputs"])
            selector = keccak(f"{entry['name']}({types})".encode())[:4]
            functions[case.evidence.address(contract), selector] = str(entry["name"])
    contracts = {address: name for name, address in case.evidence.addresses.items()}
    return Names(contracts, functions)


def _restricted(case: AuditCase, names: Names) -> dict[tuple[str, bytes], int]:
    """Return (target, selector) -> role of the functions of ``RESTRICTED``."""
    selectors = {(target, name): selector for (target, selector), name in names.functions.items()}
    found = {}
    for (contract, role), functions in RESTRICTED.items():
        target = case.evidence.address(contract)
        for name in functions:
            selector = selectors.get((target, name))
            if selector is None:
                raise ViewFailed(f"the artifact of {contract} has no function {name}")
            found[target, selector] = role
    return found


def _check_state(
    case: AuditCase, tally: Tally, book: RoleBook, functions: set[FunctionRole], names: Names
) -> int:
    """Check that every rule on chain has the value its events gave it; return how many were looked at."""
    now = case.evidence.timestamp(case.evidence.to_block)
    rules = dict.fromkeys([*functions, *_usual_rules(case), *(change.rule for change in book.changes)])
    for rule in rules:
        said = book.state.get(rule)
        match rule:
            case Member():
                _check_member(case, tally, book, rule)
            case FunctionRole(target, selector):
                found = _ask(case, "getTargetFunctionRole", target, selector)
                where = f"AccessManager, {names.function(target, selector)}, role"
                tally.equal(where, said or ADMIN_ROLE, found, "who may call it was changed without an event")
                tally.require(
                    found != PUBLIC_ROLE, where, "a role", "open to everybody", "anybody may govern this"
                )
            case RoleAdmin(role):
                found = _ask(case, "getRoleAdmin", role)
                where = f"AccessManager, who gives {role_name(role)}"
                tally.equal(where, said or ADMIN_ROLE, found, "it was changed without an event")
                tally.require(
                    found != PUBLIC_ROLE, where, "a role", "everybody", "anybody may take this role"
                )
            case RoleGuardian(role):
                found = _ask(case, "getRoleGuardian", role)
                where = f"AccessManager, who drops what {role_name(role)} has scheduled"
                tally.equal(where, said or ADMIN_ROLE, found, "it was changed without an event")
            case GrantDelay(role):
                found = _ask(case, "getRoleGrantDelay", role)
                where = f"AccessManager, grant delay of {role_name(role)}, seconds"
                tally.equal(where, book.in_force(rule, now), found, "it was changed without an event")
            case TargetDelay(target):
                found = _ask(case, "getTargetAdminDelay", target)
                where = f"AccessManager, admin delay of {names.contract(target)}, seconds"
                tally.equal(where, book.in_force(rule, now), found, "it was changed without an event")
            case Closed(target):
                found = _ask(case, "isTargetClosed", target)
                where = f"AccessManager, {names.contract(target)} closed"
                tally.equal(where, bool(said), found, "it was opened or closed without an event")
    return len(rules)


def _check_member(case: AuditCase, tally: Tally, book: RoleBook, rule: Member) -> None:
    since, current, pending, effect = _ask(case, "getAccess", rule.role, rule.account)
    where = f"AccessManager, {role_name(rule.role)} of {rule.account}"
    expected = book.members_since.get(rule, 0)
    tally.equal(f"{where}, since", expected, since, "a role was given or taken without an event")
    # A delay made shorter waits for the difference; until then the new one stands beside the old one.
    delay = pending if effect else current
    tally.equal(
        f"{where}, delay in seconds", book.state.get(rule, 0), delay, "a delay was changed without an event"
    )


def _usual_rules(case: AuditCase) -> Iterator[Rule]:
    """Yield what is asked although no event may speak of it."""
    for role in ROLES:
        yield from (RoleAdmin(role), RoleGuardian(role), GrantDelay(role))
    for contract in (*GOVERNED, "AccessManager", "CreditDistributor"):
        target = case.evidence.address(contract)
        yield from (TargetDelay(target), Closed(target))


def _ask(case: AuditCase, view: str, *args: Any) -> Any:
    return case.evidence.call("AccessManager", view, *args)


def _warn_of_changes(case: AuditCase, tally: Tally, book: RoleBook, names: Names) -> None:
    """Tell which rules are not as the deployment gave them, and which were not for a while."""
    if book.begun is None:
        for rule in book.differences():
            tally.fail(
                "AccessManager, as deployed",
                rule.sentence(book.deployed.get(rule), names),
                rule.sentence(book.state.get(rule), names),
                "the roles were never what the deployment's manifest says",
            )
        return
    now = case.evidence.timestamp(case.evidence.to_block)
    lines: dict[Rule, list[Change]] = {}
    for change in book.later:
        lines.setdefault(change.rule, []).append(change)
    for rule, line in lines.items():
        given = book.deployed.get(rule)
        last = line[-1]
        if last.new == given:
            for change in line[:-1]:
                tally.note(
                    f"from block {change.event.block} on {rule.sentence(change.new, names)}; since block "
                    f"{last.event.block} as at the deployment again"
                )
            continue
        begins = f" (from {format_time(last.since * 1000)} on)" if last.since > now else ""
        tally.warn(
            f"since block {last.event.block} {rule.sentence(last.new, names)}{begins}; at the deployment: "
            f"{rule.sentence(given, names)}"
        )
