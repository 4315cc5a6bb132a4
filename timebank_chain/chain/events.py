"""Everything that happened, as typed events over block ranges.

Each class below is one event of one contract; its fields, after ``at``, are the event's parameters in
the order of the ABI. ``read_events`` gives them in the order of the chain, fetching logs in chunks and
halving a chunk when a node finds it too large.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from eth_abi.abi import decode as abi_decode
from eth_typing import ChecksumAddress
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from web3.exceptions import Web3RPCError

from timebank_chain.artifacts import load_artifact
from timebank_chain.chain.bank_events import BANK_EVENTS
from timebank_chain.chain.challenge_events import (
    CHALLENGE_EVENTS,
    TREES,
    AccountAnswered,
    ActivityAnswered,
)
from timebank_chain.chain.connection import Connection
from timebank_chain.chain.credit_exchange import TradeOrder
from timebank_chain.chain.event import Event, Place
from timebank_chain.chain.exchange_events import EXCHANGE_EVENTS, TradeFilled
from timebank_chain.chain.float_events import FLOAT_EVENTS
from timebank_chain.chain.node_errors import translated
from timebank_chain.chain.service_escrow import listing_from_call, proposal_from_call
from timebank_chain.chain.service_events import SERVICE_EVENTS, ServiceListed, ServiceSettled
from timebank_chain.epoch.evidence import AccountEvidence, ActivityEvidence
from timebank_chain.epoch.header import EpochHeader
from timebank_chain.epoch.leaves import AccountLeaf, ActivityLeaf
from timebank_chain.errors import ChainError
from timebank_chain.spec.service_escrow import Outcome, Stage

#: Blocks per request; most public nodes allow this many.
CHUNK_BLOCKS = 2_000


@dataclass(frozen=True, slots=True)
class Transfer(Event):
    """Credits moved; from the zero address: minted, to it: burned. Micro-credits."""

    sender: ChecksumAddress
    receiver: ChecksumAddress
    amount: int
    CONTRACT: ClassVar[str] = "AttentionCredit"


@dataclass(frozen=True, slots=True)
class Approval(Event):
    """An allowance was set. Micro-credits."""

    owner: ChecksumAddress
    spender: ChecksumAddress
    amount: int
    CONTRACT: ClassVar[str] = "AttentionCredit"


@dataclass(frozen=True, slots=True)
class RootAccepted(Event):
    """A finalised epoch's account root came into force."""

    epoch: int
    account_root: bytes
    total_mint: int
    pot: int
    CONTRACT: ClassVar[str] = "CreditDistributor"


@dataclass(frozen=True, slots=True)
class Claimed(Event):
    """``amount`` micro-credits of ``account`` were minted to ``receiver``; ``cumulative`` so far."""

    account: ChecksumAddress
    receiver: ChecksumAddress
    epoch: int
    amount: int
    cumulative: int
    CONTRACT: ClassVar[str] = "CreditDistributor"


@dataclass(frozen=True, slots=True)
class ClaimRouted(Event):
    """A claim repaid an overdue debt, became a deposit, or both; the rest reached the wallet."""

    account: ChecksumAddress
    creditor: ChecksumAddress
    to_creditor: int
    deposit_id: int
    to_deposit: int
    CONTRACT: ClassVar[str] = "CreditDistributor"


@dataclass(frozen=True, slots=True)
class StandingOrderSet(Event):
    """Later claims of ``account`` become deposits of a term; with ``active`` false no longer."""

    account: ChecksumAddress
    active: bool
    term_id: int
    CONTRACT: ClassVar[str] = "CreditDistributor"


@dataclass(frozen=True, slots=True)
class ClaimsPledgeSet(Event):
    """Claims of ``account`` and ``wallet`` were pledged to ``creditor``, or with the zero address freed."""

    account: ChecksumAddress
    wallet: ChecksumAddress
    creditor: ChecksumAddress
    CONTRACT: ClassVar[str] = "CreditDistributor"


@dataclass(frozen=True, slots=True)
class RoomsSet(Event):
    """The rooms of the bank were made known to the distributor, for ever."""

    time_bank: ChecksumAddress
    lending: ChecksumAddress
    lease: ChecksumAddress
    CONTRACT: ClassVar[str] = "CreditDistributor"


@dataclass(frozen=True, slots=True)
class Paid(Event):
    """A payment: the payee received ``amount - fee`` micro-credits."""

    payer: ChecksumAddress
    payee: ChecksumAddress
    memo_hash: bytes
    amount: int
    fee: int
    CONTRACT: ClassVar[str] = "CreditPayments"


@dataclass(frozen=True, slots=True)
class FeeSet(Event):
    """The payment fee changed, basis points."""

    previous_bps: int
    fee_bps: int
    CONTRACT: ClassVar[str] = "CreditPayments"


@dataclass(frozen=True, slots=True)
class FeesCollected(Event):
    """Fees were divided, micro-credits."""

    amount: int
    to_depositors: int
    to_bonus: int
    to_reserve: int
    CONTRACT: ClassVar[str] = "FeePool"


@dataclass(frozen=True, slots=True)
class PotBurned(Event):
    """An epoch's bonus pot was burned; its mint contains the same amount. Micro-credits."""

    epoch: int
    amount: int
    CONTRACT: ClassVar[str] = "FeePool"


@dataclass(frozen=True, slots=True)
class DepositorsPaid(Event):
    """The depositors' account was paid to the time bank, micro-credits."""

    amount: int
    CONTRACT: ClassVar[str] = "FeePool"


@dataclass(frozen=True, slots=True)
class LossCovered(Event):
    """The reserve paid ``paid`` of a ``loss`` of the lending pool, micro-credits."""

    loss: int
    paid: int
    CONTRACT: ClassVar[str] = "FeePool"


@dataclass(frozen=True, slots=True)
class ReserveRestored(Event):
    """A recovered loss went back into the reserve, micro-credits."""

    amount: int
    CONTRACT: ClassVar[str] = "FeePool"


@dataclass(frozen=True, slots=True)
class PayeesSet(Event):
    """Who may draw on the fee pool's accounts was set, for ever."""

    time_bank: ChecksumAddress
    lending: ChecksumAddress
    CONTRACT: ClassVar[str] = "FeePool"


@dataclass(frozen=True, slots=True)
class SplitSet(Event):
    """The fee split changed, basis points."""

    depositors_bps: int
    bonus_bps: int
    reserve_bps: int
    CONTRACT: ClassVar[str] = "FeePool"


@dataclass(frozen=True, slots=True)
class LinkRequested(Event):
    """A placeholder is to become a wallet's, at ``effective_at`` (Unix seconds) or later."""

    placeholder: ChecksumAddress
    wallet: ChecksumAddress
    effective_at: int
    CONTRACT: ClassVar[str] = "MemberRegistry"


@dataclass(frozen=True, slots=True)
class LinkRejected(Event):
    """A requested link was dropped by ``caller``."""

    placeholder: ChecksumAddress
    wallet: ChecksumAddress
    caller: ChecksumAddress
    CONTRACT: ClassVar[str] = "MemberRegistry"


@dataclass(frozen=True, slots=True)
class LinkConfirmed(Event):
    """A placeholder is a wallet's for ever."""

    placeholder: ChecksumAddress
    wallet: ChecksumAddress
    CONTRACT: ClassVar[str] = "MemberRegistry"


@dataclass(frozen=True, slots=True)
class PolicyRegistered(Event):
    """A policy was registered whole: the struct ``Policy``, as ``valuation.policy_call`` gives it."""

    policy_hash: bytes
    policy: tuple[object, ...]
    CONTRACT: ClassVar[str] = "PolicyRegistry"


@dataclass(frozen=True, slots=True)
class EpochProposed(Event):
    """A header was proposed, signed by ``signers``, with a bond (wei)."""

    epoch: int
    header_hash: bytes
    proposer: ChecksumAddress
    header: EpochHeader
    signers: tuple[ChecksumAddress, ...]
    bond: int
    challenge_ends_at: int
    CONTRACT: ClassVar[str] = "RateOracle"


@dataclass(frozen=True, slots=True)
class EpochFinalised(Event):
    """A header became final. Micro-credits."""

    epoch: int
    header_hash: bytes
    account_root: bytes
    total_mint: int
    pot: int
    CONTRACT: ClassVar[str] = "RateOracle"


@dataclass(frozen=True, slots=True)
class EpochVoided(Event):
    """A proposed epoch was voided; wei."""

    epoch: int
    header_hash: bytes
    challenger: ChecksumAddress
    reward: int
    burned: int
    reason: str
    CONTRACT: ClassVar[str] = "RateOracle"


@dataclass(frozen=True, slots=True)
class BondWithdrawn(Event):
    """Returned bonds or shares were paid out, wei."""

    owner: ChecksumAddress
    receiver: ChecksumAddress
    amount: int
    CONTRACT: ClassVar[str] = "RateOracle"


@dataclass(frozen=True, slots=True)
class PolicySet(Event):
    """Another policy came into force."""

    policy_hash: bytes
    policy_uri: str
    CONTRACT: ClassVar[str] = "RateOracle"


@dataclass(frozen=True, slots=True)
class RateSet(Event):
    """Another rate came into force, Q24."""

    previous_rate_q24: int
    rate_q24: int
    CONTRACT: ClassVar[str] = "RateOracle"


@dataclass(frozen=True, slots=True)
class QuorumSet(Event):
    """Another quorum came into force."""

    signers: tuple[ChecksumAddress, ...]
    threshold: int
    CONTRACT: ClassVar[str] = "RateOracle"


@dataclass(frozen=True, slots=True)
class BondSet(Event):
    """Another bond came into force, wei."""

    previous_bond: int
    bond: int
    CONTRACT: ClassVar[str] = "RateOracle"


@dataclass(frozen=True, slots=True)
class ChallengeWindowSet(Event):
    """Another challenge window came into force, seconds."""

    previous_window: int
    challenge_window: int
    CONTRACT: ClassVar[str] = "RateOracle"


@dataclass(frozen=True, slots=True)
class ProposalsPausedSet(Event):
    """The guardian stopped proposals, or the governor allowed them again."""

    paused: bool
    pause: int
    CONTRACT: ClassVar[str] = "RateOracle"


@dataclass(frozen=True, slots=True)
class ChallengeSet(Event):
    """Who voids proposals by proof was set, for ever."""

    challenge: ChecksumAddress
    leaf_requests: ChecksumAddress
    CONTRACT: ClassVar[str] = "RateOracle"


@dataclass(frozen=True, slots=True)
class OperationScheduled(Event):
    """A governance operation may run from ``schedule`` (Unix seconds) on."""

    operation_id: bytes
    nonce: int
    schedule: int
    caller: ChecksumAddress
    target: ChecksumAddress
    data: bytes
    CONTRACT: ClassVar[str] = "AccessManager"


@dataclass(frozen=True, slots=True)
class OperationExecuted(Event):
    """A scheduled operation ran."""

    operation_id: bytes
    nonce: int
    CONTRACT: ClassVar[str] = "AccessManager"


@dataclass(frozen=True, slots=True)
class OperationCanceled(Event):
    """A scheduled operation was dropped."""

    operation_id: bytes
    nonce: int
    CONTRACT: ClassVar[str] = "AccessManager"


@dataclass(frozen=True, slots=True)
class RoleGranted(Event):
    """An account has a role from ``since`` (Unix seconds) on."""

    role_id: int
    account: ChecksumAddress
    delay: int
    since: int
    new_member: bool
    CONTRACT: ClassVar[str] = "AccessManager"


@dataclass(frozen=True, slots=True)
class RoleRevoked(Event):
    """An account lost a role."""

    role_id: int
    account: ChecksumAddress
    CONTRACT: ClassVar[str] = "AccessManager"


@dataclass(frozen=True, slots=True)
class TargetFunctionRoleUpdated(Event):
    """A function asks for another role."""

    target: ChecksumAddress
    selector: bytes
    role_id: int
    CONTRACT: ClassVar[str] = "AccessManager"


@dataclass(frozen=True, slots=True)
class RoleGrantDelayChanged(Event):
    """Who is given a role waits ``delay`` seconds for it, which holds from ``since`` (Unix seconds) on."""

    role_id: int
    delay: int
    since: int
    CONTRACT: ClassVar[str] = "AccessManager"


@dataclass(frozen=True, slots=True)
class TargetAdminDelayUpdated(Event):
    """A contract's rules change after ``delay`` seconds at least, from ``since`` (Unix seconds) on."""

    target: ChecksumAddress
    delay: int
    since: int
    CONTRACT: ClassVar[str] = "AccessManager"


#: Every event with a class. What the ABIs declare beyond these moves nothing of ours (role labels,
#: EIP-712 domain changes that our contracts never make, ...); a test lists and pins the difference.
EVENTS: tuple[type[Event], ...] = (
    Transfer,
    Approval,
    RootAccepted,
    Claimed,
    ClaimRouted,
    StandingOrderSet,
    ClaimsPledgeSet,
    RoomsSet,
    Paid,
    FeeSet,
    FeesCollected,
    PotBurned,
    DepositorsPaid,
    LossCovered,
    ReserveRestored,
    PayeesSet,
    SplitSet,
    LinkRequested,
    LinkRejected,
    LinkConfirmed,
    PolicyRegistered,
    EpochProposed,
    EpochFinalised,
    EpochVoided,
    BondWithdrawn,
    PolicySet,
    RateSet,
    QuorumSet,
    BondSet,
    ChallengeWindowSet,
    ProposalsPausedSet,
    ChallengeSet,
    OperationScheduled,
    OperationExecuted,
    OperationCanceled,
    RoleGranted,
    RoleRevoked,
    TargetFunctionRoleUpdated,
    RoleGrantDelayChanged,
    TargetAdminDelayUpdated,
    *CHALLENGE_EVENTS,
    *FLOAT_EVENTS,
    *BANK_EVENTS,
    *EXCHANGE_EVENTS,
    *SERVICE_EVENTS,
)


@dataclass(frozen=True)
class _Layout:
    topic: bytes
    names: tuple[str, ...]
    types: tuple[str, ...]
    indexed: tuple[bool, ...]


#: (event, parameter) -> what its value is here; ``Event`` stands for every event.
_OWN_TYPES: Mapping[tuple[type[Event], str], Callable[[Any], object]] = {
    (Event, "tree"): TREES.__getitem__,
    (EpochProposed, "header"): EpochHeader.from_call,
    (TradeFilled, "order"): TradeOrder.from_call,
    (Event, "stage"): Stage,
    (Event, "proposal"): proposal_from_call,
    (ServiceListed, "listing"): listing_from_call,
    (ServiceSettled, "outcome"): Outcome,
    (ActivityAnswered, "activity"): lambda shown: ActivityEvidence(
        tuple(ActivityLeaf.from_call(leaf) for leaf in shown[0]), tuple(shown[1])
    ),
    (AccountAnswered, "account"): lambda shown: AccountEvidence(
        tuple(AccountLeaf.from_call(leaf) for leaf in shown[0]), tuple(shown[1])
    ),
}


def canonical_type(parameter: Mapping[str, Any]) -> str:
    """Return an ABI parameter's type as in signatures: tuples spelled out."""
    kind = str(parameter["type"])
    if not kind.startswith("tuple"):
        return kind
    inner = ",".join(canonical_type(part) for part in parameter["components"])
    return f"({inner}){kind[len('tuple') :]}"


_LAYOUTS: dict[type[Event], _Layout] = {}


def layout(event: type[Event]) -> _Layout:
    """Return how an event is written, from the shipped ABI of its contract."""
    known = _LAYOUTS.get(event)
    if known is None:
        known = _LAYOUTS[event] = _find_layout(event)
    return known


def _find_layout(event: type[Event]) -> _Layout:
    for entry in load_artifact(event.CONTRACT).abi:
        if entry["type"] == "event" and entry["name"] == (event.NAME or event.__name__):
            inputs = entry["inputs"]
            types = tuple(canonical_type(parameter) for parameter in inputs)
            return _Layout(
                topic=keccak(text=f"{entry['name']}({','.join(types)})"),
                names=tuple(parameter["name"] for parameter in inputs),
                types=types,
                indexed=tuple(bool(parameter["indexed"]) for parameter in inputs),
            )
    raise LookupError(f"{event.CONTRACT} has no event {event.NAME or event.__name__}")


def decode_log(event: type[Event], log: Mapping[str, Any]) -> Event:
    """Decode a log that is known to be ``event``."""
    form = layout(event)
    topics = [bytes(topic) for topic in log["topics"][1:]]
    plain_types = [kind for kind, indexed in zip(form.types, form.indexed, strict=True) if not indexed]
    plain = list(abi_decode(plain_types, bytes(log["data"])))
    values = [
        _typed(kind, abi_decode([kind], topics.pop(0))[0] if indexed else plain.pop(0))
        for kind, indexed in zip(form.types, form.indexed, strict=True)
    ]
    place = Place(
        block=int(log["blockNumber"]),
        log_index=int(log["logIndex"]),
        transaction=bytes(log["transactionHash"]),
        contract=to_checksum_address(log["address"]),
    )
    for at, name in enumerate(form.names):
        read = _OWN_TYPES.get((event, name)) or _OWN_TYPES.get((Event, name))
        if read is not None:
            values[at] = read(values[at])
    return event(place, *values)


def decode_logs(logs: Iterable[Mapping[str, Any]], kinds: Sequence[type[Event]] = EVENTS) -> list[Event]:
    """Decode the logs that are one of ``kinds``, for example a receipt's; others are left out.

    Logs are recognised by their topics only: the caller knows whose they are. Where two kinds look alike
    (transfers of credits and of pool shares), the first of ``kinds`` is meant.
    """
    by_topic: dict[tuple[bytes, int], type[Event]] = {}
    for kind in kinds:
        form = layout(kind)
        by_topic.setdefault((form.topic, 1 + sum(form.indexed)), kind)
    found = []
    for log in logs:
        known = by_topic.get((bytes(log["topics"][0]), len(log["topics"]))) if log["topics"] else None
        if known is not None:
            found.append(decode_log(known, log))
    return found


def read_events(
    connection: Connection,
    contracts: Mapping[str, str],
    kinds: Sequence[type[Event]] = EVENTS,
    *,
    from_block: int,
    to_block: int | None = None,
    chunk_blocks: int = CHUNK_BLOCKS,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Event]:
    """Read events in the order of the chain.

    Parameters
    ----------
    contracts
        Address of each contract by name (``Deployment.addresses()``); only their logs are read.
    kinds
        Which events.
    from_block, to_block
        Inclusive; the newest block when ``to_block`` is ``None``.
    chunk_blocks
        Most blocks per request.
    progress
        Called with (blocks read, blocks in all).
    """
    last = connection.block_number() if to_block is None else to_block
    by_source: dict[tuple[str, bytes], type[Event]] = {}
    for kind in kinds:
        if kind.CONTRACT in contracts:
            by_source[contracts[kind.CONTRACT].lower(), layout(kind).topic] = kind
    addresses = sorted({address for address, _ in by_source})
    topics = sorted({topic for _, topic in by_source})
    if not addresses:
        return
    first, step = from_block, chunk_blocks
    while first <= last:
        until = min(first + step - 1, last)
        logs = _logs(connection, addresses, topics, first, until)
        if logs is None:
            if step == 1:
                raise ChainError(
                    f"the node refuses the logs of block {first}", hint="use a node without that limit"
                )
            step = max(1, step // 2)
            continue
        for log in sorted(logs, key=lambda one: (one["blockNumber"], one["logIndex"])):
            source = by_source.get((str(log["address"]).lower(), bytes(log["topics"][0])))
            if source is not None:
                yield decode_log(source, log)
        if progress is not None:
            progress(until - from_block + 1, last - from_block + 1)
        first = until + 1


def _logs(
    connection: Connection, addresses: Sequence[str], topics: Sequence[bytes], first: int, last: int
) -> list[Any] | None:
    """Return the logs, or ``None`` if the node wants a smaller range."""
    query: Any = {
        "fromBlock": first,
        "toBlock": last,
        "address": [to_checksum_address(address) for address in addresses],
        # As text: eth-tester compares types, and HexBytes is not bytes.
        "topics": [["0x" + topic.hex() for topic in topics]],
    }
    try:
        return list(connection.w3.eth.get_logs(query))
    except Web3RPCError as error:
        text = str(error).lower()
        if any(word in text for word in ("range", "limit", "too many", "more than", "exceed")):
            return None
        with translated():
            raise


def _typed(kind: str, value: Any) -> Any:
    """Addresses as checksummed text, arrays as tuples, everything else as decoded."""
    if kind == "address":
        return to_checksum_address(value)
    if kind == "address[]":
        return tuple(to_checksum_address(item) for item in value)
    return value


def field_names(event: type[Event]) -> list[str]:
    """Return an event's own fields, without ``at``."""
    return [field.name for field in fields(event) if field.name != "at"]
