"""Who can do what, asked of the deployed contracts themselves: roles, and what no role reaches.

No list of ours is believed. The code at every address must be the shipped artifact, so the ABI names every
function there is. Each one that writes is called, without sending anything, by an address that nobody has:
what it is refused with says whom it asks for. A function that asks the AccessManager belongs to the role the
manager names; one that refuses its caller is tried again as each of our contracts, and as each member of a
role; what is left is everybody's, as far as its own rules let them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eth_abi.abi import encode as abi_encode
from eth_typing import ChecksumAddress
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from hexbytes import HexBytes

from timebank_chain.artifacts import load_artifact
from timebank_chain.chain.access_manager import ADMIN_ROLE, PUBLIC_ROLE, role_name
from timebank_chain.chain.deployment import ensure_trusted
from timebank_chain.chain.events import TargetFunctionRoleUpdated, canonical_type, read_events
from timebank_chain.chain.member_registry import ZERO_ADDRESS
from timebank_chain.chain.node_errors import InsufficientFunds, translated
from timebank_chain.chain.openzeppelin_reverts import (
    AccessManagedUnauthorized,
    AccessManagerUnauthorizedAccount,
)
from timebank_chain.chain.revert import Revert
from timebank_chain.chain.role_members import Member, role_members
from timebank_chain.chain.scheduled import ScheduledOperation, read_scheduled
from timebank_chain.chain.system import Timebank
from timebank_chain.errors import CheckFailed, TimebankError

MANAGER = "AccessManager"
#: An address nobody has the key of.
NOBODY = to_checksum_address(keccak(text="timebank: an address that holds nothing")[12:])

#: What asks the manager: its own modifier, and the distributor's one question in its life.
_ASKS_THE_MANAGER = frozenset({"AccessManagedUnauthorized", "NotAdministrator"})
#: Only the manager itself calls it, when an administrator has it ``updateAuthority``.
_BY_THE_MANAGER = "setAuthority"
#: Works once: the view that is not zero any more when it is done with, and whose address it is asked about.
_ONCE: Mapping[tuple[str, str], tuple[str, str | None]] = {
    ("RateOracle", "setChallenge"): ("challenge", None),
    ("RateOracle", "setRateFloat"): ("rateFloat", None),
    ("FeePool", "setPayees"): ("timeBank", None),
    ("FeePool", "setSpenders"): ("isSpender", "CreditPayments"),
    ("CreditDistributor", "setRooms"): ("timeBank", None),
}
_GRANTS = ("grantRole", "revokeRole")

#: What a restricted function does, for people; others go by their names.
MEANINGS: Mapping[str, str] = {
    "voidProposal": "void the pending epoch, named by its header's hash",
    "setPolicy": "bring another registered policy into force",
    "setRate": "set the rate of the next epochs, the base of a floating one",
    "setFloat": "let the rate follow what is spent, or fix it where it stands",
    "setRateFloat": "say what moves the rate; once",
    "setQuorum": "choose who signs epochs, and how many must",
    "setBond": "set the bond of later proposals",
    "setChallengeWindow": "set the challenge window of later proposals",
    "pauseProposals": "stop new proposals",
    "resumeProposals": "allow new proposals again",
    "setChallenge": "say who voids proposals by proof; once",
    "requestLink": "ask to link a placeholder to a wallet, which waits for its delay",
    "rejectLink": "drop a requested link; the wallet itself may, too",
    "setFee": "set the fee on payments, within its limit",
    "setSplit": "divide later fees between depositors, bonus pot and reserve",
    "setSpenders": "say through which contracts members spend; once",
    "setPayees": "say who may draw on the fee pool; once",
    "setRooms": "make the bank known to the distributor; once",
    "addTerm": "offer another term of deposit",
    "setTermOpen": "open or close a term for new deposits",
    "setIncomeFee": "set the fee on deposit income, within its limit",
    "setReleaseTime": "set how slowly income is released",
    "setRisk": "set limits, fees and incentives of lending, within their limits",
    "pauseBorrowing": "stop new loans",
    "resumeBorrowing": "allow new loans again",
    "setLeaseFee": "set the fee on rent, within its limit",
    "pauseLeasing": "stop new leases",
    "resumeLeasing": "allow new leases again",
    "setTradeFee": "set the fee on trades, within its limit",
    "pauseTrading": "stop new trades",
    "resumeTrading": "allow new trades again",
    "setServiceFee": "set the fee on services, within its limit",
    "pauseOrdering": "stop new orders of services",
    "resumeOrdering": "allow new orders of services again",
    "labelRole": "name a role for explorers",
    "setRoleAdmin": "choose which role gives and takes a role",
    "setRoleGuardian": "choose which role drops what a role has scheduled",
    "setGrantDelay": "set how long a newly given role waits to begin",
    "setTargetAdminDelay": "set how long changes of a contract's rules must wait",
    "setTargetClosed": "close the restricted functions of a contract to every role, or open them",
    "setTargetFunctionRole": "choose which role a restricted function asks for",
    "updateAuthority": "put a contract's restricted functions under another manager",
}


@dataclass(frozen=True, slots=True)
class Power:
    """One function a role may call.

    Attributes
    ----------
    argument
        The role it is about, where it gives, takes or guards one; else ``None``.
    delay
        Seconds it waits at least, whoever of the role calls; members may have to wait longer.
    closed
        Whether the contract is closed, so that not even the role may call now.
    """

    contract: str
    function: str
    signature: str
    meaning: str
    argument: str | None = None
    delay: int = 0
    closed: bool = False


@dataclass(frozen=True, slots=True)
class RolePowers:
    """A role: who has it, who gives it, who may drop what it has scheduled, what it can do."""

    role: int
    name: str
    members: tuple[Member, ...]
    admin: str
    canceller: str
    grant_delay: int
    powers: tuple[Power, ...]


@dataclass(frozen=True, slots=True)
class Reserved:
    """A function that nobody can call: only our contracts call it, or its one time is over.

    ``callers`` is empty for the latter.
    """

    contract: str
    function: str
    signature: str
    callers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Foreign:
    """A contract that obeys another manager: who may call these functions is decided there, unknown to us."""

    contract: str
    manager: ChecksumAddress
    functions: tuple[str, ...]


@dataclass(frozen=True)
class Powers:
    """All that can be done, at one block.

    Attributes
    ----------
    reserved
        What nobody can do: members of roles were refused as well as strangers.
    ungoverned
        Contracts in which no role has any function.
    everybody
        Contract -> signatures that ask for no role; each within its own rules.
    foreign
        Contracts that were put under another manager, with what they ask it for; no role here has that.
    signers, threshold
        Whose signatures an epoch needs, and how many: anybody proposes, nobody without them.
    """

    block: int
    time: int
    roles: tuple[RolePowers, ...]
    reserved: tuple[Reserved, ...]
    ungoverned: tuple[str, ...]
    everybody: Mapping[str, tuple[str, ...]]
    foreign: tuple[Foreign, ...]
    waiting: tuple[ScheduledOperation, ...]
    signers: tuple[ChecksumAddress, ...]
    threshold: int


@dataclass(frozen=True, slots=True)
class _Function:
    contract: str
    target: ChecksumAddress
    name: str
    signature: str
    data: bytes

    @property
    def selector(self) -> bytes:
        return self.data[:4]


def read_powers(timebank: Timebank) -> Powers:
    """Ask the deployed contracts who can do what, at the newest block.

    Raises
    ------
    CodeMismatch
        If the code at an address is not the shipped artifact: then nothing is known of its functions.
    CheckFailed
        If the manager or a contract lets somebody do otherwise than the roles say.
    InsufficientFunds
        On the embedded chain, which lets only rich accounts try a call.
    """
    return _Reader(timebank).read()


class _Reader:
    def __init__(self, timebank: Timebank) -> None:
        self._timebank = timebank
        self._manager = timebank.access_manager
        self._connection = timebank.connection
        self._block = timebank.connection.block_number()
        self._addresses = timebank.addresses()
        self._members: dict[int, tuple[Member, ...]] = {}
        self._foreign: dict[str, ChecksumAddress] = {}

    def read(self) -> Powers:
        for name, address in self._addresses.items():
            ensure_trusted(self._connection, self._timebank.deployment, address)
            manager = self._manager_of(name, address)
            if manager is not None and manager != self._manager.address:
                self._foreign[name] = manager
        members = self._read_members()
        people = sorted({one.account for holders in members.values() for one in holders})
        powers: dict[int, list[Power]] = {role: [] for role in members}
        reserved: list[Reserved] = []
        everybody: dict[str, list[str]] = {}
        governed: set[str] = set()
        elsewhere: dict[str, list[str]] = {name: [] for name in self._foreign}
        for function in self._functions():
            if function.contract == MANAGER:
                if not self._take_managers_own(function, powers):
                    everybody.setdefault(MANAGER, []).append(function.signature)
                continue
            refusal = self._refusal(function, NOBODY)
            role = self._role_of(function, refusal)
            if function.contract in self._foreign and role is not None and not self._done_with(function):
                elsewhere[function.contract].append(function.signature)
                continue
            if role is not None and role != PUBLIC_ROLE:
                if self._done_with(function):
                    reserved.append(Reserved(function.contract, function.name, function.signature, ()))
                    continue
                governed.add(function.contract)
                powers.setdefault(role, []).append(self._power(function, members.get(role, ())))
                continue
            callers = self._callers(function, refusal, people)
            if callers:
                reserved.append(Reserved(function.contract, function.name, function.signature, callers))
            else:
                everybody.setdefault(function.contract, []).append(function.signature)
        self._add_guards(powers)
        with translated():
            time = int(self._connection.w3.eth.get_block(self._block)["timestamp"])
        return Powers(
            block=self._block,
            time=time,
            roles=tuple(
                RolePowers(
                    role=role,
                    name=role_name(role),
                    members=members.get(role, ()),
                    admin=role_name(self._manager.role_admin(role, block=self._block)),
                    canceller=role_name(self._manager.role_guardian(role, block=self._block)),
                    grant_delay=self._manager.grant_delay(role, block=self._block),
                    powers=tuple(found),
                )
                for role, found in sorted(powers.items())
            ),
            reserved=tuple(reserved),
            ungoverned=tuple(sorted(set(self._addresses) - governed - {MANAGER} - set(self._foreign))),
            everybody={name: tuple(signatures) for name, signatures in everybody.items()},
            foreign=tuple(
                Foreign(name, self._foreign[name], tuple(asked)) for name, asked in elsewhere.items()
            ),
            waiting=tuple(read_scheduled(self._timebank, block=self._block)),
            signers=tuple(self._timebank.rate_oracle.signers(block=self._block)),
            threshold=self._timebank.rate_oracle.threshold(block=self._block),
        )

    # ------------------------------------------------------------ what the chain says

    def _manager_of(self, name: str, address: ChecksumAddress) -> ChecksumAddress | None:
        """Return the manager a contract obeys; ``None`` if it asks none."""
        if not any(entry.get("name") == "authority" for entry in load_artifact(name).abi):
            return None
        answer = self._call(address, keccak(text="authority()")[:4], NOBODY)
        return to_checksum_address(answer[12:32])

    def _read_members(self) -> dict[int, tuple[Member, ...]]:
        """Return the members of every role that was ever given or asked for."""
        self._members.update(role_members(self._timebank, block=self._block))
        for event in self._events((TargetFunctionRoleUpdated,)):
            if isinstance(event, TargetFunctionRoleUpdated) and event.role_id != PUBLIC_ROLE:
                self._members.setdefault(event.role_id, ())
        return self._members

    def _events(self, kinds: Sequence[type[Any]]) -> Iterable[Any]:
        return read_events(
            self._connection,
            self._addresses,
            kinds,
            from_block=self._timebank.deployment.first_block,
            to_block=self._block,
        )

    # ------------------------------------------------------------ functions and whom they ask for

    def _functions(self) -> Iterable[_Function]:
        for contract, target in self._addresses.items():
            for entry in load_artifact(contract).abi:
                if entry["type"] == "function" and entry["stateMutability"] not in ("view", "pure"):
                    inputs = entry["inputs"]
                    types = [canonical_type(parameter) for parameter in inputs]
                    signature = f"{entry['name']}({','.join(types)})"
                    data = keccak(text=signature)[:4]
                    data += abi_encode(types, [_nothing(parameter) for parameter in inputs])
                    yield _Function(contract, target, entry["name"], signature, data)

    def _call(self, target: ChecksumAddress, data: bytes, sender: ChecksumAddress) -> bytes:
        with translated():
            call: Any = {"from": sender, "to": target, "data": HexBytes(data)}
            return bytes(self._connection.w3.eth.call(call, self._block))

    def _refusal(self, function: _Function, sender: ChecksumAddress) -> TimebankError | None:
        """Return what a call of nothing but zeros is refused with; ``None`` if it would go through."""
        try:
            self._call(function.target, function.data, sender)
        except InsufficientFunds:
            raise
        except TimebankError as refusal:
            return refusal
        return None

    def _role_of(self, function: _Function, refusal: TimebankError | None) -> int | None:
        """Return the role a function asks for; ``None`` if it asks for none."""
        if function.name == _BY_THE_MANAGER:
            return None
        role = self._manager.function_role(function.target, function.selector, block=self._block)
        # A function that also lets others through may not ask for the role when called with zeros.
        asks = type(refusal).__name__ in _ASKS_THE_MANAGER
        return role if asks or role != ADMIN_ROLE else None

    def _callers(
        self, function: _Function, refusal: TimebankError | None, people: Sequence[ChecksumAddress]
    ) -> tuple[str, ...]:
        """Return which of our contracts a function lets through that refuses everybody else."""
        if function.name == _BY_THE_MANAGER:
            return (self._foreign.get(function.contract, MANAGER),)
        if not isinstance(refusal, Revert) or NOBODY not in refusal.values.values():
            return ()
        callers = tuple(
            name
            for name, address in self._addresses.items()
            if type(self._refusal(function, address)) is not type(refusal)
        )
        for account in people if callers else ():
            if account not in self._addresses.values() and not isinstance(
                self._refusal(function, account), type(refusal)
            ):
                raise CheckFailed(f"{function.contract}.{function.signature} lets {account} through")
        return callers

    def _done_with(self, function: _Function) -> bool:
        once = _ONCE.get((function.contract, function.name))
        if once is None:
            return False
        view, about = once
        data = keccak(text=f"{view}()" if about is None else f"{view}(address)")[:4]
        if about is not None:
            data += abi_encode(["address"], [self._addresses[about]])
        return any(self._call(function.target, data, NOBODY))

    def _power(self, function: _Function, members: Sequence[Member]) -> Power:
        closed = self._manager.is_closed(function.target, block=self._block)
        for one in members:
            can = self._manager.can_call(one.account, function.target, function.selector, block=self._block)
            if (can.immediate, can.delay) != ((False, 0) if closed else (one.delay == 0, one.delay)):
                raise CheckFailed(
                    f"the manager lets {one.account} call {function.contract}.{function.name} otherwise than "
                    f"its role says: {'at once' if can.immediate else f'after {can.delay} s'}",
                    hint="ask another node; if it says the same, run timebank audit",
                )
        return Power(
            function.contract, function.name, function.signature, _meaning(function.name), closed=closed
        )

    # ------------------------------------------------------------ the manager's own functions

    def _take_managers_own(self, function: _Function, powers: dict[int, list[Power]]) -> bool:
        """Add one of the manager's own functions to the role it asks for; ``False`` if it asks for none."""
        refusal = self._refusal(function, NOBODY)
        if not isinstance(refusal, AccessManagerUnauthorizedAccount):
            if isinstance(refusal, AccessManagedUnauthorized):
                raise CheckFailed(f"{MANAGER}.{function.signature} asks another manager")
            return False
        if function.name not in _GRANTS:
            role = int(refusal.values["roleId"])
            powers.setdefault(role, []).append(
                Power(
                    MANAGER,
                    function.name,
                    function.signature,
                    _meaning(function.name),
                    delay=self._admin_delay(function.name),
                )
            )
            return True
        for role in sorted(self._members):
            giver = self._manager.role_admin(role, block=self._block)
            verb = "give" if function.name == "grantRole" else "take away"
            powers.setdefault(giver, []).append(
                Power(
                    MANAGER,
                    function.name,
                    function.signature,
                    f"{verb} the role {role_name(role)}",
                    argument=role_name(role),
                )
            )
        return True

    def _admin_delay(self, function: str) -> int:
        """Return the least of the delays that contracts ask for before their rules are changed."""
        if function not in ("setTargetClosed", "setTargetFunctionRole", "updateAuthority"):
            return 0
        return min(
            self._manager.target_admin_delay(address, block=self._block)
            for name, address in self._addresses.items()
            if name != MANAGER
        )

    def _add_guards(self, powers: dict[int, list[Power]]) -> None:
        def cancel(canceller: int, what: str, role: str | None) -> None:
            signature = "cancel(address,address,bytes)"
            powers.setdefault(canceller, []).append(
                Power(MANAGER, "cancel", signature, f"drop what {what} has scheduled", argument=role)
            )

        # Administrators may drop anything; a role's guardian, as the manager calls it, what its members did.
        cancel(ADMIN_ROLE, "any role", None)
        for role in sorted(self._members):
            canceller = self._manager.role_guardian(role, block=self._block)
            if canceller != ADMIN_ROLE:
                cancel(canceller, role_name(role), role_name(role))


def _meaning(function: str) -> str:
    """Return what a function does; of one we have no words for, its name in words."""
    words = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in function)
    return MEANINGS.get(function, words)


def _nothing(parameter: Mapping[str, Any]) -> Any:
    """Return the emptiest value of an ABI parameter."""
    kind = str(parameter["type"])
    if kind.endswith("[]"):
        return []
    if kind.startswith("tuple"):
        return tuple(_nothing(part) for part in parameter["components"])
    if kind.startswith("bytes"):
        return bytes(int(kind[5:] or 0))
    return {"address": ZERO_ADDRESS, "bool": False, "string": ""}.get(kind, 0)
