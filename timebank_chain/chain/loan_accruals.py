"""What every loan of an account cost, event by event, in the pool's own integers.

A loan is a number of shares of the pool's debt; what it owes is rounded up. So the whole pool is replayed:
its debt and its shares, and of the account's loans what each event changed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from eth_typing import ChecksumAddress

from timebank_chain.chain.accrual import ANOTHER_NODE, Accrual
from timebank_chain.chain.bank_events import (
    Borrowed,
    BorrowedOnStanding,
    InterestAccrued,
    Liquidated,
    Recovered,
    Repaid,
    StandingRepaid,
    WrittenOff,
)
from timebank_chain.chain.credit_lending import PoolBooks
from timebank_chain.chain.event import Event, Place
from timebank_chain.errors import CheckFailed
from timebank_chain.spec.share_math import owed_up

#: What loans' accruals are read from.
LOAN_EVENTS: tuple[type[Event], ...] = (
    InterestAccrued,
    Borrowed,
    BorrowedOnStanding,
    Repaid,
    StandingRepaid,
    Liquidated,
    WrittenOff,
    Recovered,
)

#: A loan against a receipt is named by the receipt, one on standing by its borrower.
_LoanId = int | ChecksumAddress


@dataclass(frozen=True)
class LoanTotal:
    """A loan that is open at the statement's block; micro-credits.

    Attributes
    ----------
    receipt_id
        The receipt that secures it; 0 on standing.
    borrowed, repaid, interest
        So far; what rounding changed is counted as interest.
    owed
        Checked against the pool's ``debtOf`` or ``standingDebtOf``.
    """

    receipt_id: int
    borrowed: int = 0
    repaid: int = 0
    interest: int = 0
    owed: int = 0


class LoanLedger:
    """Replays the pool's events for one account.

    Parameters
    ----------
    account
        Whose loans are followed.
    distributor
        Pays what comes out of claims.
    """

    def __init__(self, account: ChecksumAddress, distributor: ChecksumAddress) -> None:
        self._account = account
        self._distributor = distributor
        self._debt = 0
        self._debt_shares = 0
        self._shares: defaultdict[_LoanId, int] = defaultdict(int)
        self._lost: defaultdict[_LoanId, int] = defaultdict(int)  # written off and still owed
        self._mine: dict[_LoanId, LoanTotal] = {}
        self.accruals: list[Accrual] = []

    def take_in(self, event: Event) -> None:
        """Take in an event, in the order of the chain."""
        if isinstance(event, InterestAccrued):
            with self._change(event.at, "interest"):
                self._debt += event.interest
        elif isinstance(event, Borrowed):
            self._borrow(event.at, event.receipt_id, event.borrower, event.amount, event.shares)
        elif isinstance(event, BorrowedOnStanding):
            self._borrow(event.at, event.borrower, event.borrower, event.amount, event.shares)
        elif isinstance(event, Repaid):
            self._repay(event.at, event.receipt_id, event.amount, event.shares, "repaid")
        elif isinstance(event, StandingRepaid):
            kind = "repaid from claim" if event.from_claim else "repaid"
            self._repay(event.at, event.borrower, event.amount, event.shares, kind)
        elif isinstance(event, Liquidated):
            loan_id = event.receipt_id
            with self._change(event.at, "rounding"):
                self._book(event.at, loan_id, "liquidated", -event.repaid)
                self._book(event.at, loan_id, "written off", event.repaid - event.debt)
                self._retire(loan_id, event.debt, self._shares[loan_id])
            self._mine.pop(loan_id, None)
        elif isinstance(event, WrittenOff) and not event.receipt_id:
            # The pool's books forget the debt, the borrower goes on owing it: nothing grows any more.
            debt = event.from_reserve + event.from_pool
            with self._change(event.at, "rounding"):
                self._retire(event.borrower, debt, self._shares[event.borrower])
                self._lost[event.borrower] = debt
            if event.borrower in self._mine:
                owed = self._mine[event.borrower].owed
                self.accruals.append(Accrual(event.at, "loan on standing", 0, "written off", 0, owed))
        elif isinstance(event, Recovered):
            kind = "repaid from claim" if event.payer == self._distributor else "repaid"
            paid = event.of_pool + event.of_reserve
            with self._change(event.at, "rounding"):
                self._book(event.at, event.borrower, kind, -paid)
                self._lost[event.borrower] -= paid
            self._forget_when_paid(event.borrower)

    def due(self, stored: PoolBooks, accrued: PoolBooks) -> None:
        """Add the interest since the last event: the pool counts it as owed already.

        Parameters
        ----------
        stored, accrued
            The pool's books at the statement's block, without and with interest up to it.

        Raises
        ------
        CheckFailed
            If the account has a loan and what was replayed is not what the pool has stored.
        """
        if self._mine and (self._debt, self._debt_shares) != (stored.debt, stored.debt_shares):
            raise CheckFailed(
                f"the debt behind {self._names()} adds up to {self._debt} ({self._debt_shares} shares), the "
                f"pool says {stored.debt} micro-credits ({stored.debt_shares} shares): an event is missing",
                hint=ANOTHER_NODE,
            )
        with self._change(None, "interest due"):
            self._debt = accrued.debt

    def open_loans(self) -> list[LoanTotal]:
        """Return the account's open loans, the one on standing last; to be compared with the chain's."""
        return sorted(
            (loan for loan in self._mine.values() if loan.owed), key=lambda loan: loan.receipt_id or 1 << 64
        )

    # ------------------------------------------------------------ inside

    def _borrow(
        self, at: Place, loan_id: _LoanId, borrower: ChecksumAddress, amount: int, shares: int
    ) -> None:
        if borrower == self._account:
            self._mine.setdefault(loan_id, LoanTotal(loan_id if isinstance(loan_id, int) else 0))
        with self._change(at, "rounding"):
            self._book(at, loan_id, "borrowed", amount)
            self._debt += amount
            self._debt_shares += shares
            self._shares[loan_id] += shares

    def _repay(self, at: Place, loan_id: _LoanId, amount: int, shares: int, kind: str) -> None:
        with self._change(at, "rounding"):
            self._book(at, loan_id, kind, -amount)
            self._retire(loan_id, amount, shares)
        self._forget_when_paid(loan_id)

    def _retire(self, loan_id: _LoanId, debt: int, shares: int) -> None:
        if shares > self._shares[loan_id]:
            name = f"receipt {loan_id}" if isinstance(loan_id, int) else f"{loan_id} on standing"
            raise CheckFailed(
                f"the loan of {name} is repaid beyond what was borrowed: an event is missing",
                hint=ANOTHER_NODE,
            )
        # All loans are rounded up: together they can owe a few units more than the pool counts.
        self._debt -= min(debt, self._debt)
        self._debt_shares -= shares
        self._shares[loan_id] -= shares

    def _forget_when_paid(self, loan_id: _LoanId) -> None:
        if not self._shares[loan_id] and not self._lost[loan_id]:
            self._mine.pop(loan_id, None)

    def _owed(self, loan_id: _LoanId) -> int:
        return owed_up(self._shares[loan_id], self._debt, self._debt_shares) + self._lost[loan_id]

    @contextmanager
    def _change(self, at: Place | None, kind: str) -> Iterator[None]:
        """Book, under ``kind``, what happens meanwhile to what the account's loans owe."""
        yield
        for loan_id in self._mine:
            self._book(at, loan_id, kind, self._owed(loan_id) - self._mine[loan_id].owed)

    def _book(self, at: Place | None, loan_id: _LoanId, kind: str, amount: int) -> None:
        loan = self._mine.get(loan_id)
        if loan is None or not amount:
            return
        loan = replace(loan, owed=loan.owed + amount)
        if kind == "borrowed":
            loan = replace(loan, borrowed=loan.borrowed + amount)
        elif kind.startswith("repaid"):
            loan = replace(loan, repaid=loan.repaid - amount)
        elif kind in ("interest", "interest due", "rounding"):
            loan = replace(loan, interest=loan.interest + amount)
        self._mine[loan_id] = loan
        subject = "loan" if loan.receipt_id else "loan on standing"
        self.accruals.append(Accrual(at, subject, loan.receipt_id, kind, amount, loan.owed))

    def _names(self) -> str:
        return " and ".join(
            f"the loan on receipt {loan_id}" if isinstance(loan_id, int) else "the loan on standing"
            for loan_id in self._mine
        )
