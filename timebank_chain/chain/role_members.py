"""Who holds the roles: the AccessManager lists nobody, so its events name them and it is asked about each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from eth_typing import ChecksumAddress

from timebank_chain.chain.access_manager import ADMIN_ROLE
from timebank_chain.chain.events import RoleGranted, read_events
from timebank_chain.chain.system import Timebank


@dataclass(frozen=True, slots=True)
class Member:
    """Who holds a role, and the seconds they must schedule ahead (0: at once)."""

    account: ChecksumAddress
    delay: int


def role_members(timebank: Timebank, *, block: int) -> Mapping[int, tuple[Member, ...]]:
    """Return the members of every role that was ever given, at a block; who has yet to begin is none."""
    candidates: dict[int, set[ChecksumAddress]] = {ADMIN_ROLE: set()}
    for event in read_events(
        timebank.connection,
        timebank.addresses(),
        (RoleGranted,),
        from_block=timebank.deployment.first_block,
        to_block=block,
    ):
        if isinstance(event, RoleGranted):
            candidates.setdefault(event.role_id, set()).add(event.account)
    members: dict[int, tuple[Member, ...]] = {}
    for role, accounts in candidates.items():
        held = [
            (account, timebank.access_manager.has_role(role, account, block=block))
            for account in sorted(accounts)
        ]
        members[role] = tuple(Member(account, one.delay) for account, one in held if one.is_member)
    return members
