"""``timebank chain role grant | revoke``: who holds a role, changed by an administrator after the delay."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from timebank_chain.cli.options import (
    DEFAULT_RPC_URL,
    AsJson,
    DeploymentFile,
    DryRun,
    FromAddress,
    Keystore,
    PasswordFile,
    RpcUrl,
    Yes,
    open_signer,
    open_system,
    whole_seconds,
)
from timebank_chain.cli.output import say
from timebank_chain.cli.writes import govern, leave_alone
from timebank_chain.errors import UsageError
from timebank_chain.units import format_duration

if TYPE_CHECKING:
    from eth_typing import ChecksumAddress

    from timebank_chain.chain.role_members import Member
    from timebank_chain.chain.system import Timebank

app = typer.Typer(
    help=(
        "Give and take roles: run a command once to schedule it, after the administrator's delay to execute "
        "it.\n\nExample: timebank chain role revoke guardian 0x... --from 0x..."
    ),
    no_args_is_help=True,
)

#: With a longer one a role is of no use, and the only administrator's would lock everybody out. Seconds.
_LONGEST_DELAY = 365 * 86_400


class Role(StrEnum):
    """The roles by name."""

    GOVERNOR = "governor"
    GUARDIAN = "guardian"
    REGISTRAR = "registrar"
    CANCELLER = "canceller"
    ADMIN = "admin"

    @property
    def number(self) -> int:
        """The role's number in the AccessManager."""
        from timebank_chain.chain.access_manager import ROLE_NAMES

        return next(number for number, name in ROLE_NAMES.items() if name == self.name)


#: Who can change things, and who is there to stop them.
_RULING = (Role.GOVERNOR, Role.ADMIN)
_GUARDING = (Role.GUARDIAN, Role.CANCELLER)

#: What nobody can do while nobody holds a role.
_MISSED: Mapping[Role, str] = {
    Role.GOVERNOR: "change parameters, resume what is paused or void an epoch without a proof",
    Role.GUARDIAN: "pause anything",
    Role.REGISTRAR: "link members to wallets",
    Role.CANCELLER: "drop what the governor has scheduled, but the governor and administrators",
}

RoleName = Annotated[Role, typer.Argument(metavar="ROLE", help="Which role.")]
Account = Annotated[str, typer.Argument(metavar="ADDRESS", help="Whose role it is.")]


@app.command("grant")
def grant(
    role: RoleName,
    account: Account,
    delay: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="How long it must schedule ahead (default: of governor and admin, as long as who gives it; "
            "else 0s, at once).",
        ),
    ] = None,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    keystore: Keystore = None,
    password_file: PasswordFile = None,
    sender: FromAddress = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Give a role (administrator), or its holder another delay: run once to schedule, then to execute.

    Whoever had the role before keeps it: take it with timebank chain role revoke.

    Example: timebank chain role grant guardian 0x... --from 0x...

    Example: timebank chain role grant governor 0x... --delay 12h --from 0x...
    """
    from timebank_chain.chain.access_manager import ADMIN_ROLE
    from timebank_chain.chain.addresses import parse_address

    holder = parse_address(account)
    asked = None if delay is None else whole_seconds(delay, "--delay")
    if asked is not None and asked > _LONGEST_DELAY:
        raise UsageError(
            f"--delay: {delay} is too long: the role could hardly be used",
            hint=f"at most {format_duration(_LONGEST_DELAY * 1_000)}",
        )
    timebank = open_system(rpc_url, deployment)
    _require_somebody(timebank, holder)
    signer = open_signer(keystore, sender, password_file)
    manager = timebank.access_manager
    given = manager.given(role.number, holder)
    schema = "timebank.chain.role.grant/1"
    facts: dict[str, Any] = {"role": role.name, "account": holder}
    if given.is_member and asked in (None, given.delay):
        leave_alone(
            f"{holder} is {role.value}, {_delay(given.delay)}",
            schema=schema,
            facts={**facts, "delay": given.delay, "warnings": []},
            as_json=as_json,
        )
        return
    own = manager.has_role(ADMIN_ROLE, signer.address).delay
    seconds = asked if asked is not None else own if role in _RULING else 0
    if role is Role.GOVERNOR:
        _require_time_to_void(timebank, seconds)
    members = _members(timebank)
    warnings = _grant_warnings(role, holder, seconds, members)
    if given.is_member and seconds < given.delay:
        later = format_duration((given.delay - seconds) * 1_000)
        warnings.append(f"the shorter delay begins {later} after this is executed")
    if wait := manager.grant_delay(role.number):
        warnings.append(f"the role begins {format_duration(wait * 1_000)} after this is executed")
    for warning in warnings:
        say(f"warning: {warning}")
    govern(
        timebank,
        signer,
        manager.grant_role(role.number, holder, seconds),
        question=f"make {holder} {role.value}, {_delay(seconds)}?",
        schema=schema,
        facts={**facts, "delay": seconds, "warnings": warnings},
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
    )


@app.command("revoke")
def revoke(
    role: RoleName,
    account: Account,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    keystore: Keystore = None,
    password_file: PasswordFile = None,
    sender: FromAddress = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Take a role away (administrator): run once to schedule, after the delay to execute.

    What the account has scheduled in that role cannot be executed any more. The last administrator's role is
    not taken: nobody could give or take any role after that.

    Example: timebank chain role revoke guardian 0x... --from 0x...
    """
    from timebank_chain.chain.addresses import parse_address

    holder = parse_address(account)
    timebank = open_system(rpc_url, deployment)
    signer = open_signer(keystore, sender, password_file)
    manager = timebank.access_manager
    schema = "timebank.chain.role.revoke/1"
    facts: dict[str, Any] = {"role": role.name, "account": holder}
    if not manager.given(role.number, holder).is_member:
        fact = f"{holder} is not {role.value}"
        leave_alone(fact, schema=schema, facts={**facts, "warnings": []}, as_json=as_json)
        return
    members = _members(timebank)
    others = [one for one in members.get(role.number, ()) if one.account != holder]
    if role is Role.ADMIN and not others:
        raise UsageError(
            f"{holder} is the last administrator: nobody could give or take a role, or set any rule of them, "
            "ever again",
            hint="make another one first, and wait until it is one: timebank chain role grant admin ADDRESS",
        )
    warnings: list[str] = []
    if not others:
        warnings.append(f"nobody is {role.value} then: nobody can {_MISSED[role]}")
    if role is not Role.ADMIN and _holds(members, Role.ADMIN, holder):
        warnings.append(f"{holder} is an administrator, too, and can give itself the role again")
    for warning in warnings:
        say(f"warning: {warning}")
    govern(
        timebank,
        signer,
        manager.revoke_role(role.number, holder),
        question=f"take the role {role.value} from {holder}?",
        schema=schema,
        facts={**facts, "warnings": warnings},
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
    )


def _members(timebank: Timebank) -> Mapping[int, tuple[Member, ...]]:
    from timebank_chain.chain.role_members import role_members

    return role_members(timebank, block=timebank.connection.block_number())


def _holds(members: Mapping[int, tuple[Member, ...]], role: Role, account: str) -> bool:
    return any(one.account == account for one in members.get(role.number, ()))


def _require_somebody(timebank: Timebank, account: ChecksumAddress) -> None:
    """Refuse addresses that can never call anything: a role there is held by nobody."""
    from timebank_chain.chain.member_registry import ZERO_ADDRESS

    name = next((name for name, address in timebank.addresses().items() if address == account), None)
    if account == ZERO_ADDRESS or name is not None:
        raise UsageError(
            f"{account} is {name or 'nobody'}: it could never use the role",
            hint="give it to a person's wallet, or to a contract that acts for people (a multisig)",
        )


def _require_time_to_void(timebank: Timebank, seconds: int) -> None:
    window = timebank.rate_oracle.challenge_window()
    if seconds >= window:
        raise UsageError(
            f"a delay of {format_duration(seconds * 1_000)} is not shorter than the challenge window of "
            f"{format_duration(window * 1_000)}: this governor could never void a wrong epoch in time",
            hint="give a shorter --delay, or lengthen the window first (timebank chain set-window)",
        )


def _grant_warnings(
    role: Role, account: str, seconds: int, members: Mapping[int, tuple[Member, ...]]
) -> list[str]:
    warnings = []
    if role in _RULING and not seconds:
        warnings.append("without a delay nobody sees a change before it holds, and nobody can drop it")
    if role is Role.GUARDIAN and seconds:
        warnings.append("a guardian with a delay cannot stop anything at once, nor by timebank chain pause")
    if role is Role.CANCELLER and seconds:
        warnings.append(
            "a canceller with a delay must schedule the rejection of a link, which could meet a later request"
        )
    if role in _RULING:
        warnings += [
            f"{account} is {other.value}, too: {_both(other)}"
            for other in _GUARDING
            if _holds(members, other, account)
        ]
    ruling = [other for other in _RULING if _holds(members, other, account)]
    if role in _GUARDING and ruling:
        warnings.append(f"{account} is {' and '.join(ruling)}, too: {_both(role)}")
    return warnings


def _both(guarding: Role) -> str:
    if guarding is Role.GUARDIAN:
        return "one stolen key can pause, and decides whether it is resumed"
    return "one stolen key changes the rules, and nobody else drops what it schedules"


def _delay(seconds: int) -> str:
    return f"with a delay of {format_duration(seconds * 1_000)}" if seconds else "without a delay"
