"""How everybody leaves the bank at the end: every debt repaid or ended, everything taken out."""

from __future__ import annotations

from tests.walk.bank_members import Members
from tests.walk.bank_sides import BANK, DAY, WALKERS


def everybody_out(walk: Members) -> None:
    """Repay every debt, then take everything out: nothing but what is nobody's stays behind."""
    walk.run_epoch()
    walk.allow_everything()
    walk.block([walk.claim(account) for account in walk.accounts], 1)
    _repay_leases(walk)
    _close_deposits(walk)
    _repay_loans(walk)
    walk.compare_all()
    _close_deposits(walk)
    assert not walk.bank.owners, "no receipt is left in custody"
    _redeem(walk)
    assert walk.bank.books.principal == 0
    assert walk.bank.books.owed == 0, "what rounding left is pending again, for the next depositor"
    assert walk.lending.shares.supply == 0
    pool = walk.lending.books
    assert pool.debt_shares == 0
    # What is left besides fees belongs to the virtual shares: dust.
    assert pool.cash + pool.debt - pool.fees_owed <= max(1_000, walk.credit.supply // 10**6), pool


def _close_deposits(walk: Members) -> None:
    for receipt, owner in list(walk.bank.owners.items()):
        if owner in walk.numbers:
            walk.must(walk.numbers[owner], "TimeBank", "close", receipt, owner)


def _redeem(walk: Members) -> None:
    for number, member in enumerate(walk.members):
        shares = walk.lending.max_redeem(member, now=walk.now + 1)
        if shares:
            walk.must(number, "CreditLending", "redeem", shares, member, member)


def _repay_leases(walk: Members) -> None:
    for lease_id, lease in list(walk.lease.leases.items()):
        if lease.receipt_id:
            continue
        if walk.balance(walk.numbers[lease.lessee]) >= lease.owed:
            walk.must(walk.numbers[lease.lessee], "CreditLease", "repay", lease_id, lease.owed)
        else:
            walk.must(walk.numbers[lease.lender], "CreditLease", "forgive", lease_id)
    walk.block([], 8 * DAY)
    for lease_id in list(walk.lease.leases):
        walk.must(0, "CreditLease", "settle", lease_id)


def _repay_loans(walk: Members) -> None:
    for receipt, owner in list(walk.bank.owners.items()):
        if owner == walk.lending.address:
            _free(walk, receipt)
    for number, member in enumerate(walk.members):
        _fund(walk, number, walk.lending.standing_debt_of(member, now=walk.now + 60))
        if walk.lending.standing_loan(member).due_at and walk.balance(number):
            walk.must(number, "CreditLending", "repayStanding", member, walk.balance(number))
    if any(walk.lending.standing_loan(member).debt_shares for member in walk.members):
        walk.block([], BANK.risk.standing_term + BANK.risk.grace + 1)
    for member in walk.members:
        if walk.lending.standing_loan(member).debt_shares:
            walk.must(0, "CreditLending", "writeOff", member)


def _free(walk: Members, receipt: int) -> None:
    borrower = walk.lending.pledged_loan(receipt).borrower
    number = walk.numbers[borrower]
    if walk.lending.pledged_loan(receipt).debt_shares:
        _fund(walk, number, walk.lending.debt_of(receipt, now=walk.now + 60))
        if walk.balance(number) < walk.lending.debt_of(receipt, now=walk.now + 60):
            # Either the pledge has ceased to cover it, or more is earned until it can be repaid.
            walk.block([walk.plan(number, "CreditLending", "liquidate", receipt)], 1)
            if walk.bank.owners.get(receipt) != walk.lending.address:
                return
            while walk.balance(number) < walk.lending.debt_of(receipt, now=walk.now + 60):
                walk.run_epoch()
                walk.block([walk.claim(account) for account in walk.accounts], 1)
                _close_deposits(walk)
                _fund(walk, number, walk.lending.debt_of(receipt, now=walk.now + 60))
        walk.must(number, "CreditLending", "repay", receipt, walk.balance(number))
    walk.must(number, "CreditLending", "release", receipt)


def _fund(walk: Members, number: int, amount: int) -> None:
    """Let the others help a member who cannot pay."""
    for other in range(WALKERS):
        missing = amount - walk.balance(number)
        if missing > 0 and other != number and walk.balance(other):
            part = min(missing, walk.balance(other))
            walk.must(other, "AttentionCredit", "transfer", walk.members[number], part)
