"""What is wrong with loans, and the command that puts it right: for borrowers, lenders and suppliers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from timebank_chain.cli.loan_calls import moment
from timebank_chain.cli.output import say
from timebank_chain.units import format_micro

if TYPE_CHECKING:
    from timebank_chain.chain.open_items import BadLoans
    from timebank_chain.chain.portfolio import OwnStandingLoan, Portfolio
    from timebank_chain.chain.system import Timebank

#: As many are named one by one.
SHOWN = 5


@dataclass(frozen=True, slots=True)
class LoanWarning:
    """A sentence and the command that puts it right."""

    message: str
    command: str

    def to_json(self) -> dict[str, str]:
        """Return it as documents have it."""
        return {"message": self.message, "command": self.command}


def say_warnings(warnings: Sequence[LoanWarning]) -> None:
    """Print warnings for people (standard error)."""
    for one in warnings:
        say(f"warning: {one.message}; try: {one.command}")


def read_warnings(timebank: Timebank, portfolio: Portfolio) -> list[LoanWarning]:
    """Return what is wrong with an account's loans and leases, and with the pool if it supplies it."""
    from timebank_chain.chain.open_items import read_bad_loans

    found = list(_own(portfolio))
    if portfolio.supply.shares:
        found += pool_warnings(read_bad_loans(timebank, block=portfolio.block, now=portfolio.time))
    return found


def pool_warnings(bad: BadLoans) -> list[LoanWarning]:
    """Return what is wrong with the pool's loans."""
    found = [
        LoanWarning(
            f"the loan on receipt {one.receipt_id} is not covered any more: {format_micro(one.debt)} credits "
            f"are owed, closing it pays {format_micro(one.worth)}; the pool loses {format_micro(one.lost)}",
            f"timebank loan liquidate {one.receipt_id}",
        )
        for one in bad.uncovered
    ]
    return found + [
        LoanWarning(
            f"the loan of {one.borrower} on standing failed at {moment(one.failed_at)}: "
            f"the pool loses {format_micro(one.debt)} credits until later claims bring some back",
            f"timebank loan write-off {one.borrower}",
        )
        for one in bad.failed
    ]


def ways_out(bad: BadLoans) -> str:
    """Return the commands that close bad loans, the largest loss first."""
    commands = [one.command for one in pool_warnings(bad)]
    more = len(commands) - SHOWN
    return "; ".join(commands[:SHOWN]) + (f"; and {more} more: timebank loan pool" if more > 0 else "")


def _own(portfolio: Portfolio) -> Iterator[LoanWarning]:
    for loan in portfolio.loans:
        if loan.liquidatable:
            yield LoanWarning(
                f"receipt {loan.receipt_id} is not enough any more for the {format_micro(loan.debt)} credits "
                "owed on it: anybody may liquidate it",
                f"timebank loan repay {loan.receipt_id}",
            )
    if portfolio.standing_loan is not None:
        yield from _standing(portfolio, portfolio.standing_loan)
    for lease in portfolio.leases_owed:
        if lease.overdue:
            yield LoanWarning(
                f"lease {lease.lease_id} was due at {moment(lease.lease.due_at)}",
                f"timebank lease close {lease.lease_id}",
            )
    for lease in portfolio.leases_lent:
        if lease.overdue and lease.lease.receipt_id:
            yield LoanWarning(
                f"lease {lease.lease_id} of yours was due at {moment(lease.lease.due_at)}: its receipt pays",
                f"timebank lease settle {lease.lease_id}",
            )


def _standing(portfolio: Portfolio, loan: OwnStandingLoan) -> Iterator[LoanWarning]:
    if loan.debt <= loan.written_off:
        return  # its interest has stopped
    if portfolio.time >= loan.fails_at:
        yield LoanWarning(
            f"the loan on standing failed at {moment(loan.fails_at)}, and its interest goes on until "
            "somebody writes it off",
            f"timebank loan close --standing, or timebank loan write-off {portfolio.account}",
        )
    elif loan.overdue:
        yield LoanWarning(
            f"the loan on standing is overdue since {moment(loan.due_at)}: claims repay it first, and from "
            f"{moment(loan.fails_at)} on it can be written off",
            "timebank loan close --standing",
        )
