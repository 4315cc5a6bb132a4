"""AccessManager (OpenZeppelin): who may do what, and how long they must wait for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from eth_typing import ChecksumAddress
from web3.types import BlockIdentifier

from timebank_chain.chain.contract import ContractClient
from timebank_chain.chain.transactions import Call

#: May do everything, including changing roles; held by the governor only, after deployment.
ADMIN_ROLE = 0
#: Policy, rate, quorum, bond, fees, voiding a pending epoch, resuming what was paused.
GOVERNOR_ROLE = 1
#: Pauses new risk at once (proposals, borrowing, leasing, trading, ordering); nothing else, not even resume.
GUARDIAN_ROLE = 2
#: Requests links from placeholders to wallets.
REGISTRAR_ROLE = 3
#: Drops what waits for its delay: the governor's scheduled operations, the registrar's requested links.
CANCELLER_ROLE = 4

ROLE_NAMES = {
    ADMIN_ROLE: "ADMIN",
    GOVERNOR_ROLE: "GOVERNOR",
    GUARDIAN_ROLE: "GUARDIAN",
    REGISTRAR_ROLE: "REGISTRAR",
    CANCELLER_ROLE: "CANCELLER",
}

#: The role of everybody.
PUBLIC_ROLE = (1 << 64) - 1


def role_name(role: int) -> str:
    """Return a role as people know it."""
    return ROLE_NAMES.get(role, "everybody" if role == PUBLIC_ROLE else f"role {role}")


@dataclass(frozen=True)
class Membership:
    """Whether an account has a role, and the delay (seconds) between scheduling and executing."""

    is_member: bool
    delay: int


@dataclass(frozen=True)
class Permission:
    """Whether a caller may call a function: at once, or after ``delay`` seconds (0: not at all)."""

    immediate: bool
    delay: int


class AccessManager(ContractClient):
    """Roles and delayed operations over all our contracts."""

    NAME: ClassVar[str] = "AccessManager"

    def has_role(self, role: int, account: str, *, block: BlockIdentifier = "latest") -> Membership:
        """Return an account's membership of a role."""
        is_member, delay = self._read("hasRole", role, account, block=block)
        return Membership(bool(is_member), int(delay))

    def given(self, role: int, account: str, *, block: BlockIdentifier = "latest") -> Membership:
        """Return an account's membership as it was given: also one, or a delay, that has yet to begin."""
        since, delay, coming_delay, coming_at = self._read("getAccess", role, account, block=block)
        return Membership(since != 0, int(coming_delay if coming_at else delay))

    def function_role(self, target: str, selector: bytes, *, block: BlockIdentifier = "latest") -> int:
        """Return the role a function asks for."""
        return int(self._read("getTargetFunctionRole", target, selector, block=block))

    def can_call(
        self, caller: str, target: str, selector: bytes, *, block: BlockIdentifier = "latest"
    ) -> Permission:
        """Return whether a caller may call a function, and when."""
        immediate, delay = self._read("canCall", caller, target, selector, block=block)
        return Permission(bool(immediate), int(delay))

    def role_admin(self, role: int, *, block: BlockIdentifier = "latest") -> int:
        """Return the role whose members give and take this role."""
        return int(self._read("getRoleAdmin", role, block=block))

    def role_guardian(self, role: int, *, block: BlockIdentifier = "latest") -> int:
        """Return the role whose members may drop what this role's members have scheduled."""
        return int(self._read("getRoleGuardian", role, block=block))

    def grant_delay(self, role: int, *, block: BlockIdentifier = "latest") -> int:
        """Return the seconds between giving this role and its beginning."""
        return int(self._read("getRoleGrantDelay", role, block=block))

    def target_admin_delay(self, target: str, *, block: BlockIdentifier = "latest") -> int:
        """Return the seconds an administrator must wait at least for changes of a contract's rules."""
        return int(self._read("getTargetAdminDelay", target, block=block))

    def is_closed(self, target: str, *, block: BlockIdentifier = "latest") -> bool:
        """Return whether a contract's restricted functions are closed to every role."""
        return bool(self._read("isTargetClosed", target, block=block))

    def operation_id(self, caller: str, call: Call) -> bytes:
        """Return the id of a scheduled operation."""
        return bytes(self._read("hashOperation", caller, _target(call), call.data))

    def ready_at(self, caller: str, call: Call, *, block: BlockIdentifier = "latest") -> int:
        """Return when a scheduled operation may run, Unix seconds; 0 if it is not scheduled or expired."""
        return int(self._read("getSchedule", self.operation_id(caller, call), block=block))

    def schedule_of(self, operation_id: bytes, *, block: BlockIdentifier = "latest") -> int:
        """Return when an operation may run, Unix seconds; 0 if it is not scheduled or expired."""
        return int(self._read("getSchedule", operation_id, block=block))

    def schedule(self, call: Call, when: int = 0) -> Call:
        """Propose scheduling a call.

        Parameters
        ----------
        when
            Unix seconds, at least the delay from now; 0 means as soon as allowed.
        """
        return self._write("schedule", target=_target(call), data=call.data, when=when)

    def execute(self, call: Call) -> Call:
        """Propose running a scheduled call whose time has come."""
        return self._write("execute", target=_target(call), data=call.data)

    def cancel(self, caller: str, call: Call) -> Call:
        """Propose dropping a scheduled call."""
        return self._write("cancel", caller=caller, target=_target(call), data=call.data)

    def grant_role(self, role: int, account: str, delay: int) -> Call:
        """Propose giving a role, with the delay (seconds) its holder must wait."""
        return self._write("grantRole", roleId=role, account=account, executionDelay=delay)

    def revoke_role(self, role: int, account: str) -> Call:
        """Propose taking a role away."""
        return self._write("revokeRole", roleId=role, account=account)

    def renounce_role(self, role: int, account: str) -> Call:
        """Propose giving up one's own role."""
        return self._write("renounceRole", roleId=role, callerConfirmation=account)

    def label_role(self, role: int, label: str) -> Call:
        """Propose naming a role (for explorers)."""
        return self._write("labelRole", roleId=role, label=label)

    def set_role_guardian(self, role: int, guardian: int) -> Call:
        """Propose which role may cancel another role's scheduled operations."""
        return self._write("setRoleGuardian", roleId=role, guardian=guardian)

    def set_function_role(self, target: str, selectors: Sequence[bytes], role: int) -> Call:
        """Propose which role some functions of a contract ask for."""
        return self._write("setTargetFunctionRole", target=target, selectors=list(selectors), roleId=role)

    def multicall(self, calls: Sequence[Call]) -> Call:
        """Propose several of this contract's calls as one transaction: all or none."""
        return self._write("multicall", data=[call.data for call in calls])


def _target(call: Call) -> ChecksumAddress:
    if call.target is None:
        raise ValueError("creating a contract cannot be scheduled")
    return call.target
