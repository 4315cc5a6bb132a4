"""What runs and one day wants tending: loans, leases on receipts, bound deposits, orders of services.

A pledge that no longer covers its debt is liquidated, a failed loan on standing written off, a due lease
settled, a mature deposit lapsed, an overdue order moved on, by whoever calls it; nothing of it happens by
itself. What runs the events say; what it owes and is worth the pool and the bank, asked at one block.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

from eth_typing import ChecksumAddress
from eth_utils.address import to_checksum_address

from timebank_chain.chain.accrual import ANOTHER_NODE
from timebank_chain.chain.bank_events import (
    Borrowed,
    BorrowedOnStanding,
    Deposited,
    ExitedEarly,
    LeaseClosed,
    LeaseTaken,
    Liquidated,
    Repaid,
    RolledOver,
    StandingRepaid,
    Withdrawn,
    WrittenOff,
)
from timebank_chain.chain.bank_plan import ONE_BPS
from timebank_chain.chain.event import Event
from timebank_chain.chain.events import read_events
from timebank_chain.chain.service_events import (
    ServiceAccepted,
    ServiceCancelled,
    ServiceContested,
    ServiceCountered,
    ServiceDelivered,
    ServiceDisputed,
    ServiceOrdered,
    ServiceSettled,
)
from timebank_chain.chain.system import Timebank
from timebank_chain.errors import CheckFailed
from timebank_chain.spec.share_math import owed_up
from timebank_chain.units import MicroCredit, mul_div_down

#: What open items are read from.
ITEM_EVENTS: tuple[type[Event], ...] = (
    Borrowed,
    Repaid,
    Liquidated,
    BorrowedOnStanding,
    StandingRepaid,
    WrittenOff,
    LeaseTaken,
    LeaseClosed,
    Deposited,
    RolledOver,
    Withdrawn,
    ExitedEarly,
    ServiceOrdered,
    ServiceCountered,
    ServiceAccepted,
    ServiceDelivered,
    ServiceContested,
    ServiceDisputed,
    ServiceSettled,
    ServiceCancelled,
)


@dataclass(frozen=True, slots=True)
class ItemRow:
    """An open item as a row of a table.

    ``shares`` are of the pool's debt, for an order micro-credits held; ``due_at`` is in Unix seconds.
    """

    kind: str
    name: str
    shares: int
    due_at: int


@dataclass
class OpenItems:
    """What is open after the events taken in.

    Attributes
    ----------
    loans
        Shares of the pool's debt, by pledged receipt.
    standing
        Shares of the debt and Unix seconds of the due day, by borrower. What is written off is not in it.
    leases
        Unix seconds of the due day, by lease on a receipt.
    bound
        Unix seconds of maturity, by receipt of a term deposit.
    orders
        Micro-credits held and Unix seconds of the present deadline, by order of a service.
    """

    loans: dict[int, int] = field(default_factory=dict)
    standing: dict[ChecksumAddress, tuple[int, int]] = field(default_factory=dict)
    leases: dict[int, int] = field(default_factory=dict)
    bound: dict[int, int] = field(default_factory=dict)
    orders: dict[int, tuple[int, int]] = field(default_factory=dict)

    @property
    def debt_shares(self) -> int:
        """Shares of the pool's debt of all loans."""
        return sum(self.loans.values()) + sum(shares for shares, _ in self.standing.values())

    def take_in(self, event: Event) -> None:
        """Take in an event, in the order of the chain."""
        if isinstance(event, Borrowed | Repaid):
            change = event.shares if isinstance(event, Borrowed) else -event.shares
            self.loans[event.receipt_id] = self.loans.get(event.receipt_id, 0) + change
            if self.loans[event.receipt_id] <= 0:
                del self.loans[event.receipt_id]
        elif isinstance(event, Liquidated):
            self.loans.pop(event.receipt_id, None)
        elif isinstance(event, BorrowedOnStanding):
            shares, _ = self.standing.get(event.borrower, (0, 0))
            self.standing[event.borrower] = shares + event.shares, event.due_at
        elif isinstance(event, StandingRepaid):
            shares, due_at = self.standing.pop(event.borrower, (0, 0))
            if shares > event.shares:
                self.standing[event.borrower] = shares - event.shares, due_at
        elif isinstance(event, WrittenOff) and not event.receipt_id:
            self.standing.pop(event.borrower, None)
        elif isinstance(event, LeaseTaken) and event.receipt_id:
            self.leases[event.lease_id] = event.due_at
        elif isinstance(event, LeaseClosed):
            self.leases.pop(event.lease_id, None)
        elif isinstance(event, Deposited | RolledOver) and event.term_id:
            self.bound[event.receipt_id] = event.matures_at
        elif isinstance(event, RolledOver | Withdrawn | ExitedEarly):
            self.bound.pop(event.receipt_id, None)
        elif isinstance(event, ServiceSettled | ServiceCancelled):
            self.orders.pop(event.order_id, None)
        elif isinstance(event, ServiceOrdered | ServiceCountered | ServiceAccepted):
            self.orders[event.order_id] = event.held, event.deadline
        elif isinstance(event, ServiceDelivered | ServiceContested | ServiceDisputed):
            held, _ = self.orders.get(event.order_id, (0, 0))
            self.orders[event.order_id] = held, event.deadline

    def rows(self) -> list[ItemRow]:
        """Return all items as rows."""
        return [
            *(ItemRow("loan", str(receipt), shares, 0) for receipt, shares in self.loans.items()),
            *(ItemRow("standing", who, shares, due) for who, (shares, due) in self.standing.items()),
            *(ItemRow("lease", str(lease), 0, due) for lease, due in self.leases.items()),
            *(ItemRow("deposit", str(receipt), 0, due) for receipt, due in self.bound.items()),
            *(ItemRow("order", str(order), held, due) for order, (held, due) in self.orders.items()),
        ]

    @classmethod
    def from_rows(cls, rows: Iterable[ItemRow]) -> Self:
        """Return the items of rows that `rows` gave."""
        items = cls()
        for row in rows:
            if row.kind == "loan":
                items.loans[int(row.name)] = row.shares
            elif row.kind == "standing":
                items.standing[to_checksum_address(row.name)] = row.shares, row.due_at
            elif row.kind == "lease":
                items.leases[int(row.name)] = row.due_at
            elif row.kind == "order":
                items.orders[int(row.name)] = row.shares, row.due_at
            else:
                items.bound[int(row.name)] = row.due_at
        return items


def read_open_items(timebank: Timebank, *, block: int) -> OpenItems:
    """Read what is open at a block from all events up to it."""
    items = OpenItems()
    take_in_events(timebank, items, timebank.deployment.first_block, block)
    return items


def take_in_events(timebank: Timebank, items: OpenItems, from_block: int, to_block: int) -> None:
    """Let items take in what happened between two blocks, both included."""
    for event in read_events(
        timebank.connection, timebank.addresses(), ITEM_EVENTS, from_block=from_block, to_block=to_block
    ):
        items.take_in(event)


@dataclass(frozen=True)
class UncoveredLoan:
    """A pledge that no longer covers its debt: anybody may liquidate it; micro-credits.

    Attributes
    ----------
    debt, worth
        Owed on the receipt, and what closing it would pay.
    lost
        What of the debt a liquidation leaves unpaid.
    """

    receipt_id: int
    debt: MicroCredit
    worth: MicroCredit
    lost: MicroCredit


@dataclass(frozen=True)
class FailedLoan:
    """A loan on standing that is unpaid after due day and grace: anybody may write it off.

    Attributes
    ----------
    debt
        Micro-credits owed, all of them lost when it is written off; later claims bring some back.
    failed_at
        Unix seconds.
    """

    borrower: ChecksumAddress
    debt: MicroCredit
    failed_at: int


@dataclass(frozen=True)
class BadLoans:
    """The pool's loans that want closing, the largest loss first."""

    uncovered: tuple[UncoveredLoan, ...]
    failed: tuple[FailedLoan, ...]

    def __bool__(self) -> bool:
        return bool(self.uncovered or self.failed)

    @property
    def lost(self) -> MicroCredit:
        """Micro-credits that closing them leaves to the reserve and the suppliers."""
        return MicroCredit(sum(one.lost for one in self.uncovered) + sum(one.debt for one in self.failed))


def find_bad_loans(timebank: Timebank, items: OpenItems, *, block: int, now: int) -> BadLoans:
    """Find the loans that can be liquidated or written off.

    Parameters
    ----------
    items
        What is open at ``block``.
    now
        Unix seconds; loans on standing fail by it.

    Raises
    ------
    CheckFailed
        If the pool has other loans than the items say.
    """
    lending, bank = timebank.credit_lending, timebank.time_bank
    books, risk = lending.accrued_books(block=block), lending.risk(block=block)
    if items.debt_shares != books.debt_shares:
        raise CheckFailed(
            f"the loans add up to {items.debt_shares} shares of the pool's debt, the pool says "
            f"{books.debt_shares}: an event is missing",
            hint=ANOTHER_NODE,
        )
    uncovered = []
    for receipt_id, shares in items.loans.items():
        debt = owed_up(shares, books.debt, books.debt_shares)
        worth = bank.exit_value(receipt_id, block=block)
        if debt > mul_div_down(worth, risk.liquidation_ltv_bps, ONE_BPS):
            left = worth - mul_div_down(worth, risk.incentive_bps, ONE_BPS)
            lost = MicroCredit(max(0, debt - left))
            uncovered.append(UncoveredLoan(receipt_id, MicroCredit(debt), worth, lost))
    failed = [
        FailedLoan(who, MicroCredit(owed_up(shares, books.debt, books.debt_shares)), due_at + risk.grace)
        for who, (shares, due_at) in items.standing.items()
        if now >= due_at + risk.grace
    ]
    return BadLoans(
        tuple(sorted(uncovered, key=lambda one: -one.lost)), tuple(sorted(failed, key=lambda one: -one.debt))
    )


def read_bad_loans(timebank: Timebank, *, block: int, now: int) -> BadLoans:
    """Find the loans that can be liquidated or written off, from all events up to a block."""
    return find_bad_loans(timebank, read_open_items(timebank, block=block), block=block, now=now)
