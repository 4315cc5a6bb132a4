"""``timebank chain powers``: what each role can do, who has it, how long they wait, what nobody can do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from timebank_chain.cli.options import DEFAULT_RPC_URL, AsJson, DeploymentFile, RpcUrl, open_system
from timebank_chain.cli.output import out, print_json, print_table
from timebank_chain.cli.scheduled_view import describe, operation_document
from timebank_chain.errors import CheckFailed
from timebank_chain.units import format_duration, format_time

if TYPE_CHECKING:
    from timebank_chain.chain.powers import Power, Powers, RolePowers
    from timebank_chain.chain.role_members import Member


def command(
    rpc_url: RpcUrl = DEFAULT_RPC_URL, deployment: DeploymentFile = None, as_json: AsJson = False
) -> None:
    """List from the deployed contracts exactly what each role can do, and what nobody can do.

    Every function that writes is tried, without sending anything: as a stranger, as our own contracts, as the
    members of roles. What it is refused with says whom it asks for. The code must be the shipped one.

    What is scheduled is shown with its arguments, so that the canceller can judge it. The canceller drops
    what the governor schedules; not what an administrator schedules as such, above all changes of roles.

    A contract that was put under another manager ends it with exit code 3, after all the others are listed.

    Example: timebank chain powers --deployment deployments/31337/deployment.json
    """
    from timebank_chain.chain.powers import read_powers

    timebank = open_system(rpc_url, deployment)
    seen = read_powers(timebank)
    if as_json:
        print_json("timebank.chain.powers/1", powers_document(seen))
        if seen.foreign:
            raise typer.Exit(CheckFailed.exit_code)
        return
    _print(seen, {address: name for name, address in timebank.addresses().items()})
    if seen.foreign:
        moved = ", ".join(f"{one.contract} under {one.manager}" for one in seen.foreign)
        raise CheckFailed(
            f"under another manager than the deployment's: {moved}",
            hint="who governs it is decided there; `timebank audit` tells when it changed",
        )


def powers_document(seen: Powers) -> dict[str, Any]:
    """Return everything as JSON values; delays in seconds, times Unix seconds."""
    return {
        "ok": not seen.foreign,
        "block": seen.block,
        "time": seen.time,
        "roles": [asdict(role) for role in seen.roles],
        "nobody": [asdict(one) for one in seen.reserved],
        "ungoverned": list(seen.ungoverned),
        "quorum": {"threshold": seen.threshold, "signers": list(seen.signers)},
        "everybody": {name: list(signatures) for name, signatures in seen.everybody.items()},
        "foreign": [asdict(one) for one in seen.foreign],
        "waiting": [operation_document(one) for one in seen.waiting],
    }


def _print(seen: Powers, contracts: Mapping[str, str]) -> None:
    from timebank_chain.chain.access_manager import ADMIN_ROLE, role_name

    out().print(f"At block {seen.block}, {format_time(seen.time * 1000)}", markup=False)
    for role in seen.roles:
        out().print()
        print_table(
            f"{role.name}: {_held_by(role)}",
            ["contract", "function", "to", "after"],
            [(one.contract, one.function, _words(one), _after(role, one)) for one in role.powers],
        )
        grant = f", beginning {_wait(role.grant_delay)} later" if role.grant_delay else ""
        out().print(
            f"given and taken by {role.admin}{grant}; {role.canceller} may drop what it has scheduled",
            markup=False,
        )
    out().print()
    print_table(
        "Nobody: only these contracts themselves, or no longer at all",
        ["contract", "function", "who"],
        [
            (one.contract, one.function, ", ".join(one.callers) or "done once, never again")
            for one in seen.reserved
        ],
    )
    out().print()
    out().print(f"No role has any say in {', '.join(seen.ungoverned)}.", markup=False)
    count = sum(len(signatures) for signatures in seen.everybody.values())
    out().print(
        f"{count} other functions are open to everybody within their own rules (--json lists them). An epoch "
        f"needs the signatures of {seen.threshold} of {len(seen.signers)}: {', '.join(seen.signers)}.",
        markup=False,
    )
    if seen.foreign:
        out().print()
        print_table(
            "Under another manager: who may call these is decided there",
            ["contract", "manager", "functions"],
            [(one.contract, one.manager, ", ".join(one.functions)) for one in seen.foreign],
        )
    if seen.waiting:
        out().print()
        print_table(
            "Scheduled and not executed",
            ["id", "from", "by", "may drop it", "what"],
            [
                (
                    f"0x{one.operation_id.hex()[:8]}",
                    format_time(one.ready_at * 1000),
                    one.caller,
                    role_name(one.canceller),
                    describe(one, contracts),
                )
                for one in seen.waiting
            ],
        )
        out().print("timebank chain cancel ID drops one of them.", markup=False)
    if any(role.role == ADMIN_ROLE and role.canceller == role.name for role in seen.roles):
        out().print(
            "Whoever drops what the governor has scheduled cannot drop what an administrator schedules as "
            "such, above all changes of roles.",
            markup=False,
        )


def _held_by(role: RolePowers) -> str:
    if not role.members:
        return "held by nobody"
    return ", ".join(f"{one.account} ({_wait(one.delay)})" for one in role.members)


def _words(one: Power) -> str:
    return one.meaning + (" (closed: not even the role may, now)" if one.closed else "")


def _after(role: RolePowers, one: Power) -> str:
    if not role.members:
        return "nobody can"
    quickest: Member = min(role.members, key=lambda member: member.delay)
    # Dropping a scheduled operation needs no schedule of its own.
    delay = 0 if one.function == "cancel" else max(quickest.delay, one.delay)
    return _wait(delay)


def _wait(seconds: int) -> str:
    return format_duration(seconds * 1000) if seconds else "at once"
