"""Credits to and from the bank's contracts: every movement is told by an event of the same transaction.

An event of the time bank, the pool or the lease says which credits moved; each of those transfers must be
there, and no other may leave one of the three. What comes in without a word is a gift: the bank takes it in
as income, the pool passes it on to the fee pool.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from timebank_chain.audit.evidence import Event
from timebank_chain.audit.replay import ZERO_ADDRESS
from timebank_chain.audit.report import Check, Difference, Tally
from timebank_chain.units import format_micro

if TYPE_CHECKING:
    from timebank_chain.audit.case import AuditCase

ROOMS = ("TimeBank", "CreditLending", "CreditLease")

#: Event that takes gifts in -> its amount of them.
_TAKEN_IN = {("TimeBank", "IncomeReceived"): "gifts", ("CreditLending", "FeesPaid"): "strays"}


@dataclass(frozen=True)
class Movement:
    """Credits an event says have moved, just before it or just after."""

    sender: str
    receiver: str
    amount: int
    before: bool = False


@dataclass
class Movements:
    """What moved and what was told of it.

    Attributes
    ----------
    told
        How many movements events told of.
    differences
        Transfers that were told and are missing, and transfers that nobody told of.
    gifts
        Room -> micro-credits that came in without a word and are not taken in yet.
    gift_differences
        Room -> amounts taken in as gifts that are not what came in.
    """

    told: int = 0
    differences: list[Difference] = field(default_factory=list)
    gifts: Counter[str] = field(default_factory=Counter)
    gift_differences: dict[str, list[Difference]] = field(default_factory=lambda: defaultdict(list))


def told_by(event: Event, addresses: Mapping[str, str]) -> Iterator[Movement]:
    """Yield what moved according to one event of the bank."""
    here, pool = addresses[event.contract], addresses["FeePool"]
    distributor = addresses["CreditDistributor"]
    args = event.args
    number = {name: int(value) for name, value in args.items() if isinstance(value, int)}
    match event.contract, event.name:
        case "TimeBank", "Deposited":
            if args["depositor"] == distributor:
                yield Movement(ZERO_ADDRESS, here, number["amount"], before=True)
            else:
                yield Movement(args["depositor"], here, number["amount"])
        case "TimeBank", "Withdrawn":
            yield Movement(here, args["to"], number["principal"] + number["income"] - number["fee"])
            yield from _fee(here, pool, number["fee"])
        case "TimeBank", "ExitedEarly":
            yield Movement(here, args["to"], number["principal"] - number["penalty"])
        case "TimeBank", "IncomeCollected":
            yield Movement(here, args["to"], number["income"] - number["fee"])
            yield from _fee(here, pool, number["fee"])
        case "TimeBank", "RolledOver":
            yield from _fee(here, pool, number["fee"])
        case "TimeBank", "IncomeReceived" if number["fromFees"]:
            yield Movement(pool, here, number["fromFees"], before=True)
        case "CreditLending", "Deposit":
            yield Movement(args["sender"], here, number["assets"])
        case "CreditLending", "Withdraw":
            yield Movement(here, args["receiver"], number["assets"])
        case "CreditLending", "Borrowed" | "BorrowedOnStanding":
            yield Movement(here, args["receiver"], number["amount"])
        case "CreditLending", "Repaid":
            yield Movement(args["payer"], here, number["amount"])
        case "CreditLending", "StandingRepaid":
            yield _payment(args["payer"], here, number["amount"], distributor)
        case "CreditLending", "Recovered":
            recovered = number["ofPool"] + number["ofReserve"]
            yield _payment(args["payer"], here, recovered, distributor)
            yield from _fee(here, pool, recovered)
        case "CreditLending", "Liquidated":
            yield Movement(addresses["TimeBank"], here, number["proceeds"], before=True)
            yield Movement(here, args["liquidator"], number["incentive"])
            if number["returned"]:
                yield Movement(here, args["borrower"], number["returned"])
        case "CreditLending", "WrittenOff" if number["fromReserve"]:
            yield Movement(pool, here, number["fromReserve"], before=True)
        case "CreditLending", "FeesPaid":
            yield Movement(here, pool, number["fees"] + number["strays"])
        case "CreditLease", "LeaseTaken":
            yield Movement(args["lender"], args["lessee"], number["principal"])
        case "CreditLease", "LeaseSettled":
            yield Movement(addresses["TimeBank"], here, number["proceeds"], before=True)
            # The lender is named by the lease; see _rent.


def _fee(sender: str, pool: str, fee: int) -> Iterator[Movement]:
    if fee:
        yield Movement(sender, pool, fee)


def _payment(payer: str, here: str, amount: int, distributor: str) -> Movement:
    """A payment out of a claim was minted to the room just before; any other is taken from the payer."""
    if payer == distributor:
        return Movement(ZERO_ADDRESS, here, amount, before=True)
    return Movement(payer, here, amount)


def _rent(event: Event, addresses: Mapping[str, str], lease: Event) -> Iterator[Movement]:
    """Yield what moved when money for a lease came in; ``lease`` is its ``LeaseTaken``."""
    here, pool = addresses["CreditLease"], addresses["FeePool"]
    args, lender = event.args, lease.args["lender"]
    fee = int(args["fee"])
    if event.name == "LeaseSettled":
        yield from told_by(event, addresses)
        yield Movement(here, lender, int(args["toLender"]))
        yield from _fee(here, pool, fee)
        if args["returned"]:
            yield Movement(here, lease.args["lessee"], int(args["returned"]))
        return
    amount = int(args["amount"])
    payer = here if args["fromClaim"] else args["payer"]
    if args["fromClaim"]:
        yield Movement(ZERO_ADDRESS, here, amount, before=True)
    yield Movement(payer, lender, amount - fee)
    yield from _fee(payer, pool, fee)


def trace(events: Iterable[Event], addresses: Mapping[str, str]) -> Movements:
    """Lay every movement that events tell of beside the transfers of the credit."""
    events = list(events)
    leases = {
        int(event.args["leaseId"]): event
        for event in events
        if (event.contract, event.name) == ("CreditLease", "LeaseTaken")
    }

    def tell(event: Event) -> list[Movement]:
        lease = leases.get(int(event.args["leaseId"])) if "leaseId" in event.args else None
        if event.name in ("LeaseRepaid", "LeaseSettled") and lease is not None:
            return list(_rent(event, addresses, lease))
        return list(told_by(event, addresses))

    return lay_beside(events, {addresses[room]: room for room in ROOMS}, tell)


def lay_beside(
    events: Iterable[Event], rooms: Mapping[str, str], tell: Callable[[Event], list[Movement]]
) -> Movements:
    """Lay what events of some contracts tell of beside the transfers of the credit.

    Parameters
    ----------
    rooms
        Address -> name of the contracts.
    tell
        Gives the movements an event of one of them tells of.
    """
    found = Movements()
    names = set(rooms.values())
    transactions: dict[bytes, list[Event]] = defaultdict(list)
    for event in events:
        transactions[event.transaction].append(event)
    for logs in transactions.values():
        transfers = [log for log in logs if (log.contract, log.name) == ("AttentionCredit", "Transfer")]
        explained: set[tuple[int, str]] = set()
        for event in logs:
            if event.contract not in names:
                continue
            told = tell(event)
            found.told += len(told)
            for movement in told:
                _match(found, event, movement, transfers, explained)
        _leave_over(found, logs, rooms, explained)
    return found


def _match(
    found: Movements,
    event: Event,
    movement: Movement,
    transfers: list[Event],
    explained: set[tuple[int, str]],
) -> None:
    """Find the transfer a movement tells of: the nearest one on its side of the event."""
    near = reversed(transfers) if movement.before else transfers
    for transfer in near:
        args = transfer.args
        key = (transfer.log_index, event.contract)
        if (
            key not in explained
            and (transfer.log_index < event.log_index) == movement.before
            and (args["from"], args["to"], int(args["value"]))
            == (movement.sender, movement.receiver, movement.amount)
        ):
            explained.add(key)
            return
    found.differences.append(
        Difference(
            event.where,
            f"a transfer of {movement.amount} from {movement.sender} to {movement.receiver}",
            "none in this transaction",
            "credits were booked that did not move",
        )
    )


def _leave_over(
    found: Movements, logs: list[Event], rooms: Mapping[str, str], explained: set[tuple[int, str]]
) -> None:
    """What leaves a room untold is a fault; what comes in untold is a gift until the room takes it in."""
    for event in logs:
        if (event.contract, event.name) in _TAKEN_IN:
            _take_in(found, event, int(event.args[_TAKEN_IN[event.contract, event.name]]))
        if (event.contract, event.name) != ("AttentionCredit", "Transfer"):
            continue
        args, amount = event.args, int(event.args["value"])
        sender, receiver = rooms.get(args["from"]), rooms.get(args["to"])
        if sender is not None and (event.log_index, sender) not in explained:
            found.differences.append(
                Difference(
                    event.where,
                    f"an event of {sender} in the same transaction that tells of it",
                    f"{amount} to {args['to']}",
                    f"credits left {sender} and nobody says why",
                )
            )
        # Who has a room pay to itself makes it a gift: the payment is told, the receipt is not.
        if receiver is not None and (receiver == sender or (event.log_index, receiver) not in explained):
            found.gifts[receiver] += amount


def _take_in(found: Movements, event: Event, amount: int) -> None:
    expected = found.gifts.pop(event.contract, 0)
    if amount != expected:
        found.gift_differences[event.contract].append(
            Difference(
                event.where,
                f"{expected} that came in without a word",
                str(amount),
                "other gifts were taken in than were given",
            )
        )


def check_movements(case: AuditCase) -> Check:
    """Check that every credit to or from the bank's contracts is told by one of their events."""
    tally = Tally("A47", "every credit moved to or from the bank's contracts is told by one of their events")
    movements = case.movements
    for difference in movements.differences:
        tally.add(difference)
    held = case.evidence.call("AttentionCredit", "balanceOf", case.evidence.address("CreditLease"))
    lost = movements.gifts["CreditLease"]
    tally.equal(
        "CreditLease, balance",
        lost,
        held,
        "the lease passes everything on: it holds what was sent there in error",
    )
    if lost:
        tally.note(
            f"{format_micro(lost)} credits were sent to the lease by a plain transfer; nobody can use them"
        )
    tally.evidence.update(movements=movements.told, lost_in_lease=lost)
    return tally.done(f"{movements.told:,} movements")
