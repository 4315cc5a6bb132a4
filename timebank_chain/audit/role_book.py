"""Who may do what, as the AccessManager's events leave it: members, rules of roles, functions, contracts.

Everything the manager decides by is a rule with one value: the delay of a member, the role a function asks
for, the role that gives another one, and so on. The events set these values one by one; what the deployment
gives is a state of the same shape, so that the two can be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from timebank_chain.audit.evidence import Event
from timebank_chain.units import format_duration

ADMIN_ROLE = 0
GOVERNOR_ROLE = 1
GUARDIAN_ROLE = 2
REGISTRAR_ROLE = 3
CANCELLER_ROLE = 4
#: OpenZeppelin's role of everybody.
PUBLIC_ROLE = (1 << 64) - 1

_ROLE_NAMES = {
    ADMIN_ROLE: "ADMIN",
    GOVERNOR_ROLE: "GOVERNOR",
    GUARDIAN_ROLE: "GUARDIAN",
    REGISTRAR_ROLE: "REGISTRAR",
    CANCELLER_ROLE: "CANCELLER",
    PUBLIC_ROLE: "everybody",
}


def role_name(role: int) -> str:
    """Return a role as people know it."""
    return _ROLE_NAMES.get(role, f"role {role}")


def _delay(seconds: int) -> str:
    return f"a delay of {format_duration(seconds * 1000)}" if seconds else "no delay"


@dataclass(frozen=True)
class Member:
    """An account's membership of a role; its value is the delay in seconds, ``None``: no member."""

    role: int
    account: str

    def sentence(self, value: int | None, _names: Names) -> str:
        """Say who may act in the role."""
        if value is None:
            return f"{self.account} does not hold {role_name(self.role)}"
        return f"{self.account} holds {role_name(self.role)} with {_delay(value)}"


@dataclass(frozen=True)
class FunctionRole:
    """The role a contract's function asks for."""

    target: str
    selector: bytes

    def sentence(self, value: int | None, names: Names) -> str:
        """Say who may call the function."""
        return f"{role_name(value or ADMIN_ROLE)} may call {names.function(self.target, self.selector)}"


@dataclass(frozen=True)
class RoleAdmin:
    """The role whose members give and take a role."""

    role: int

    def sentence(self, value: int | None, _names: Names) -> str:
        """Say who gives and takes the role."""
        return f"{role_name(value or ADMIN_ROLE)} gives and takes {role_name(self.role)}"


@dataclass(frozen=True)
class RoleGuardian:
    """The role whose members may drop what a role's members have scheduled."""

    role: int

    def sentence(self, value: int | None, _names: Names) -> str:
        """Say who may drop the role's operations."""
        return f"{role_name(value or ADMIN_ROLE)} may drop what {role_name(self.role)} has scheduled"


@dataclass(frozen=True)
class GrantDelay:
    """Seconds between giving a role and its beginning."""

    role: int

    def sentence(self, value: int | None, _names: Names) -> str:
        """Say how long a new member of the role waits."""
        return f"who is given {role_name(self.role)} gets it with {_delay(value or 0)}"


@dataclass(frozen=True)
class TargetDelay:
    """Seconds an administrator must wait at least for a change of a contract's rules."""

    target: str

    def sentence(self, value: int | None, names: Names) -> str:
        """Say how long a change of the contract's rules takes at least."""
        return f"administrators change the rules of {names.contract(self.target)} with {_delay(value or 0)}"


@dataclass(frozen=True)
class Closed:
    """Whether a contract's restricted functions are closed to every role: 1 if they are."""

    target: str

    def sentence(self, value: int | None, names: Names) -> str:
        """Say whether the contract can be governed."""
        return f"{names.contract(self.target)} is {'closed: no role may call it' if value else 'open'}"


Rule = Member | FunctionRole | RoleAdmin | RoleGuardian | GrantDelay | TargetDelay | Closed

#: What is not as it is without any event; a rule that is not there has its first value (0, or no member).
State = dict[Rule, int]


@dataclass(frozen=True)
class Names:
    """What addresses and selectors are called."""

    contracts: Mapping[str, str]
    functions: Mapping[tuple[str, bytes], str]

    def contract(self, address: str) -> str:
        """Return a contract's name, or the address of one that is none of ours."""
        return self.contracts.get(address, address)

    def function(self, target: str, selector: bytes) -> str:
        """Return ``Contract.function``, or the selector where the artifact has no such function."""
        name = self.functions.get((target, selector), f"0x{selector.hex()}")
        return f"{self.contract(target)}.{name}"


@dataclass(frozen=True)
class Change:
    """An event that set a rule.

    Attributes
    ----------
    old, new
        The value before and after; ``None``: the first value.
    at, since
        Unix seconds: when it was made, and from when on it holds (a delay becomes shorter later).
    """

    rule: Rule
    old: int | None
    new: int | None
    event: Event
    at: int
    since: int


@dataclass
class RoleBook:
    """The manager's rules as the events leave them.

    Attributes
    ----------
    deployed
        The state the deployment gives.
    state
        The state after the last event.
    members_since
        Unix seconds from when on a member holds a role; 0 for who lost it.
    changes
        Every time a value was set, in order, from the deployment's own on.
    begun
        How many of them made the state that the deployment gives; ``None``: it was never so.
    """

    deployed: State
    state: State = field(default_factory=dict)
    members_since: dict[Member, int] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    begun: int | None = None

    @property
    def later(self) -> list[Change]:
        """What was given another value after the deployment."""
        made = [] if self.begun is None else self.changes[self.begun :]
        return [change for change in made if change.old != change.new]

    def differences(self) -> list[Rule]:
        """Return the rules whose value is another than the deployment gives."""
        rules = dict.fromkeys([*self.deployed, *self.state])
        return [rule for rule in rules if self.deployed.get(rule) != self.state.get(rule)]

    def in_force(self, rule: GrantDelay | TargetDelay, now: int) -> int:
        """Return a delay as the manager counts it at ``now``: a new one begins only after some days."""
        before, after, since = 0, 0, 0
        for change in self.changes:
            if change.rule == rule:
                before = after if since <= change.at else before
                after, since = change.new or 0, change.since
        return after if since <= now else before

    def apply(self, event: Event, now: int) -> None:
        """Take in one event of the AccessManager, made at ``now``."""
        read = _READERS.get(event.name)
        if read is None:
            return
        rule, value, since = read(event, now)
        if isinstance(rule, Member):
            if value is None:
                self.members_since[rule] = 0
            elif event.args["newMember"]:
                self.members_since[rule] = since
        # Also what is set to the value it has: a delay that is set again begins anew.
        self.changes.append(Change(rule, self.state.get(rule), value, event, now, since))
        if value is None:
            self.state.pop(rule, None)
        else:
            self.state[rule] = value
        if self.begun is None and self.state == self.deployed:
            self.begun = len(self.changes)


def replay_roles(events: Iterable[Event], timestamp: Callable[[int], int], deployed: State) -> RoleBook:
    """Return the rules after all events of the AccessManager.

    Parameters
    ----------
    timestamp
        Block number -> Unix seconds.
    deployed
        The state the deployment gives.
    """
    book = RoleBook(deployed)
    for event in events:
        if event.contract == "AccessManager":
            book.apply(event, timestamp(event.block))
    return book


#: A rule, its value (``None``: the first one), and when it begins.
_Read = tuple[Rule, int | None, int]


def _granted(event: Event, _now: int) -> _Read:
    args = event.args
    return Member(int(args["roleId"]), args["account"]), int(args["delay"]), int(args["since"])


def _revoked(event: Event, now: int) -> _Read:
    return Member(int(event.args["roleId"]), event.args["account"]), None, now


def _function_role(event: Event, now: int) -> _Read:
    args = event.args
    return FunctionRole(args["target"], bytes(args["selector"])), int(args["roleId"]) or None, now


def _role_admin(event: Event, now: int) -> _Read:
    return RoleAdmin(int(event.args["roleId"])), int(event.args["admin"]) or None, now


def _role_guardian(event: Event, now: int) -> _Read:
    return RoleGuardian(int(event.args["roleId"])), int(event.args["guardian"]) or None, now


def _grant_delay(event: Event, _now: int) -> _Read:
    args = event.args
    return GrantDelay(int(args["roleId"])), int(args["delay"]) or None, int(args["since"])


def _target_delay(event: Event, _now: int) -> _Read:
    args = event.args
    return TargetDelay(args["target"]), int(args["delay"]) or None, int(args["since"])


def _closed(event: Event, now: int) -> _Read:
    return Closed(event.args["target"]), int(event.args["closed"]) or None, now


_READERS: Mapping[str, Callable[[Event, int], _Read]] = {
    "RoleGranted": _granted,
    "RoleRevoked": _revoked,
    "TargetFunctionRoleUpdated": _function_role,
    "RoleAdminChanged": _role_admin,
    "RoleGuardianChanged": _role_guardian,
    "RoleGrantDelayChanged": _grant_delay,
    "TargetAdminDelayUpdated": _target_delay,
    "TargetClosed": _closed,
}
