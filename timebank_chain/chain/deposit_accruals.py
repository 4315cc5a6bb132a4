"""What every deposit of an account earned, release by release, in the bank's own integers.

The bank keeps one index: income per unit of weight. A deposit's unpaid income is ``(index now - index when
it was settled) * weight >> 64``, rounded down once, at the time it is asked for. So each release brings a
deposit the difference of two such numbers, and they add up to the bank's own figure to the micro-credit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from eth_typing import ChecksumAddress

from timebank_chain.chain.accrual import ANOTHER_NODE, Accrual
from timebank_chain.chain.bank_events import (
    Deposited,
    ExitedEarly,
    IncomeCollected,
    IncomeReleased,
    LeaseTaken,
    Pledged,
    ReceiptTransferred,
    RolledOver,
    Withdrawn,
)
from timebank_chain.chain.event import Event, Place
from timebank_chain.chain.member_registry import ZERO_ADDRESS
from timebank_chain.chain.time_bank import BankBooks
from timebank_chain.errors import CheckFailed

#: The index counts micro-credits per unit of weight in units of 2^-64.
INDEX_BITS = 64

#: What deposits' accruals are read from.
DEPOSIT_EVENTS: tuple[type[Event], ...] = (
    ReceiptTransferred,
    Deposited,
    Withdrawn,
    ExitedEarly,
    IncomeCollected,
    RolledOver,
    IncomeReleased,
    Pledged,
    LeaseTaken,
)


@dataclass(frozen=True)
class DepositTotal:
    """A deposit the account holds at the statement's block; micro-credits, ``matures_at`` Unix seconds.

    ``unpaid_income`` is checked against the bank's ``incomeOf``; ``pledged_to`` holds the receipt in custody.
    """

    receipt_id: int
    principal: int
    term_id: int
    matures_at: int
    unpaid_income: int
    pledged_to: ChecksumAddress | None


@dataclass
class _Deposit:
    principal: int
    term_id: int
    matures_at: int
    weight: int
    index: int
    owner: ChecksumAddress
    pledged_by: ChecksumAddress | None = None
    unpaid: int = 0  # as of the last release that was told


class DepositLedger:
    """Replays the bank's events for one account.

    Parameters
    ----------
    account
        Whose deposits are followed: those it holds and those it has pledged.
    multipliers
        Weight of a credit by term, in thousandths.
    custodians
        Contracts that hold receipts for those who pledged them.
    """

    def __init__(
        self,
        account: ChecksumAddress,
        multipliers: Mapping[int, int],
        custodians: Iterable[ChecksumAddress],
    ) -> None:
        self._account = account
        self._multipliers = multipliers
        self._custodians = frozenset(custodians)
        self._index = 0
        self._deposits: dict[int, _Deposit] = {}
        self._mine: set[int] = set()
        self.accruals: list[Accrual] = []

    def transaction(self, events: list[Event]) -> None:
        """Take in the events of one transaction, in the order of the chain."""
        # A pledge is told beside the transfer into custody: known first, the receipt never looks sold.
        for event in events:
            if isinstance(event, Pledged):
                self._deposit(event.receipt_id).pledged_by = event.borrower
            elif isinstance(event, LeaseTaken) and event.receipt_id:
                self._deposit(event.receipt_id).pledged_by = event.lessee
        for event in events:
            self._take_in(event)

    def _take_in(self, event: Event) -> None:
        if isinstance(event, IncomeReleased):
            self._release(event)
        elif isinstance(event, Deposited):
            weight = event.amount * self._multiplier(event.term_id)
            self._deposits[event.receipt_id] = _Deposit(
                event.amount, event.term_id, event.matures_at, weight, self._index, event.owner
            )
            if event.owner == self._account:
                self._mine.add(event.receipt_id)
        elif isinstance(event, ReceiptTransferred):
            # Making and closing a receipt have events of their own that say more.
            if ZERO_ADDRESS not in (event.sender, event.receiver):
                self._hand_over(event)
        elif isinstance(event, IncomeCollected):
            deposit = self._settle(event.at, "income paid", event.receipt_id, event.income, event.fee)
            deposit.index = self._index
        elif isinstance(event, RolledOver):
            deposit = self._settle(event.at, "income to principal", event.receipt_id, event.income, event.fee)
            deposit.index = self._index
            deposit.principal = event.principal
            deposit.term_id, deposit.matures_at = event.term_id, event.matures_at
            deposit.weight = event.principal * self._multiplier(event.term_id)
        elif isinstance(event, Withdrawn):
            self._settle(event.at, "income paid", event.receipt_id, event.income, event.fee)
            self._close(event.receipt_id)
        elif isinstance(event, ExitedEarly):
            self._settle(event.at, "income forfeited", event.receipt_id, event.forfeited, 0)
            self._close(event.receipt_id)

    def due(self, books: BankBooks, release_seconds: int, now: int) -> None:
        """Add what has been due since the last release: the bank counts it as earned already.

        Parameters
        ----------
        books
            The bank's books at the statement's block.
        now
            Time of that block, Unix seconds.
        """
        amount, index = release_due(books, release_seconds, now, income_index=self._index)
        if amount:
            for receipt_id in sorted(self._mine):
                self._earn(receipt_id, index, None, "income due", amount, books.total_weight)

    def open_deposits(self) -> list[DepositTotal]:
        """Return the account's open deposits by number; their income is to be compared with the chain's."""
        return [
            DepositTotal(
                receipt_id,
                deposit.principal,
                deposit.term_id,
                deposit.matures_at,
                deposit.unpaid,
                deposit.owner if deposit.owner in self._custodians else None,
            )
            for receipt_id, deposit in sorted(self._deposits.items())
            if receipt_id in self._mine
        ]

    # ------------------------------------------------------------ inside

    def _multiplier(self, term_id: int) -> int:
        if term_id not in self._multipliers:
            raise CheckFailed(
                f"a deposit under term {term_id}, which the bank does not have", hint=ANOTHER_NODE
            )
        return self._multipliers[term_id]

    def _deposit(self, receipt_id: int) -> _Deposit:
        if receipt_id not in self._deposits:
            raise CheckFailed(
                f"deposit {receipt_id} changes but was never made: an event is missing", hint=ANOTHER_NODE
            )
        return self._deposits[receipt_id]

    def _holder(self, deposit: _Deposit) -> ChecksumAddress:
        if deposit.owner in self._custodians and deposit.pledged_by is not None:
            return deposit.pledged_by
        return deposit.owner

    def _release(self, event: IncomeReleased) -> None:
        self._index = event.income_index
        for receipt_id in sorted(self._mine):
            self._earn(receipt_id, self._index, event.at, "income", event.amount, event.total_weight)

    def _earn(
        self, receipt_id: int, index: int, at: Place | None, kind: str, released: int, total_weight: int
    ) -> None:
        deposit = self._deposits[receipt_id]
        income = income_down(deposit.weight, deposit.index, index)
        before, deposit.unpaid = deposit.unpaid, income
        if income != before:
            self.accruals.append(
                Accrual(
                    at,
                    "deposit",
                    receipt_id,
                    kind,
                    income - before,
                    income,
                    released=released,
                    weight=deposit.weight,
                    total_weight=total_weight,
                )
            )

    def _settle(self, at: Place, kind: str, receipt_id: int, income: int, fee: int) -> _Deposit:
        """Compare a settlement with what was earned and book it."""
        deposit = self._deposit(receipt_id)
        earned = income_down(deposit.weight, deposit.index, self._index)
        if earned != income:
            raise CheckFailed(
                f"deposit {receipt_id} was settled with an income of {income}, its releases add up to "
                f"{earned} micro-credits: an event is missing",
                hint=ANOTHER_NODE,
            )
        deposit.unpaid = 0
        if receipt_id in self._mine and income:
            self.accruals.append(Accrual(at, "deposit", receipt_id, kind, -income, 0, fee=fee))
        return deposit

    def _close(self, receipt_id: int) -> None:
        self._mine.discard(receipt_id)
        del self._deposits[receipt_id]

    def _hand_over(self, event: ReceiptTransferred) -> None:
        deposit = self._deposit(event.receipt_id)
        before = self._holder(deposit)
        deposit.owner = event.receiver
        if event.receiver not in self._custodians:
            deposit.pledged_by = None
        after = self._holder(deposit)
        if before == after or self._account not in (before, after):
            return
        income = income_down(deposit.weight, deposit.index, self._index)
        if after == self._account:
            self._mine.add(event.receipt_id)
            deposit.unpaid = income
            if income:
                self.accruals.append(
                    Accrual(event.at, "deposit", event.receipt_id, "income acquired", income, income)
                )
        else:
            self._mine.discard(event.receipt_id)
            deposit.unpaid = 0
            if income:
                self.accruals.append(
                    Accrual(event.at, "deposit", event.receipt_id, "income handed over", -income, 0)
                )


def income_down(weight: int, index: int, index_now: int) -> int:
    """Return a deposit's income between two values of the index, rounded down as the bank does."""
    return (index_now - index) * weight >> INDEX_BITS


def release_due(
    books: BankBooks, release_seconds: int, now: int, *, income_index: int | None = None
) -> tuple[int, int]:
    """Return what the bank would release at ``now``, and the index after it (the bank's ``_releaseDue``).

    Parameters
    ----------
    books
        As stored; pending and weight are taken from there.
    now
        Unix seconds, not before the last release.
    income_index
        The index before it, when it is not the books'.

    >>> release_due(BankBooks(0, 1_000, 0, 2, 10**9, 10**6, 1_000), 100, 1_100)
    (500, 9223372036854)
    """
    before = books.income_index if income_index is None else income_index
    if books.total_weight == 0:
        return 0, before
    elapsed = now - books.accrued_at
    due = books.pending * elapsed // (elapsed + release_seconds)
    # Only what the index, rounded down, can express is released.
    delta = (due << INDEX_BITS) // books.total_weight
    amount = -(-(delta * books.total_weight) >> INDEX_BITS)
    return amount, before + delta
