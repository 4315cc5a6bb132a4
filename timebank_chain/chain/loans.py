"""The lending pool as borrowers and suppliers look at it: what it costs, allows and would refuse.

A quote is the contract's own arithmetic at one block. Its ``refusal`` is the named error that sending it
would raise: commands raise it before anything is sent, so that no approval is given for a loan that is not
made.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from eth_typing import ChecksumAddress
from web3.types import BlockIdentifier

from timebank_chain.chain.addresses import address_text
from timebank_chain.chain.bank_plan import ONE_BPS, RiskPlan
from timebank_chain.chain.bank_reverts import (
    BorrowingPaused,
    LoanOverdue,
    LoanTooSmall,
    NotEnoughCash,
    NotReceiptHolder,
    OtherAccount,
    PledgeTooSmall,
    StandingTooLow,
    UnsecuredCapReached,
)
from timebank_chain.chain.credit_lending import PoolBooks
from timebank_chain.chain.member_registry import ZERO_ADDRESS
from timebank_chain.chain.openzeppelin_reverts import ERC721InsufficientApproval
from timebank_chain.chain.reverts import ClaimsPledged, NotAccountHolder
from timebank_chain.chain.system import Timebank
from timebank_chain.epoch.leaves import AccountLeaf
from timebank_chain.errors import ContractError
from timebank_chain.spec import adaptive_rate, decay
from timebank_chain.spec.share_math import owed_up, to_shares_up
from timebank_chain.units import MicroCredit, mul_div_down, mul_div_up

YEAR = adaptive_rate.YEAR
WAD = adaptive_rate.WAD
#: Approved beyond what is owed when a loan is repaid whole: interest goes on until the repayment is mined.
REPAY_MARGIN_SECONDS = 3_600


@dataclass(frozen=True)
class Pool:
    """The lending pool at one block, interest up to it included; amounts in micro-credits, rates per second.

    Attributes
    ----------
    books, risk
        As the contract has them.
    unsecured_shares
        Debt shares of all loans on standing.
    share_supply
        All ERC-4626 shares.
    reserve
        What the fee pool holds against losses.
    """

    block: BlockIdentifier
    books: PoolBooks
    unsecured_shares: int
    risk: RiskPlan
    share_supply: int
    reserve: MicroCredit

    @property
    def utilisation(self) -> int:
        """Part of the pool that is lent out, scaled by 1e18."""
        return adaptive_rate.utilisation(self.books.debt, self.books.cash)

    @property
    def borrow_rate(self) -> int:
        """Interest per second that borrowers pay, scaled by 1e18."""
        return adaptive_rate.borrow_rate(self.books.rate_at_target, self.utilisation)

    @property
    def supply_rate(self) -> int:
        """Interest per second that suppliers earn, scaled by 1e18: what borrowers pay, less the fee."""
        earned = mul_div_down(self.borrow_rate, self.utilisation, WAD)
        return mul_div_down(earned, ONE_BPS - self.books.fee_bps, ONE_BPS)

    @property
    def unsecured(self) -> MicroCredit:
        """Owed on standing."""
        books = self.books
        return MicroCredit(owed_up(self.unsecured_shares, books.debt, books.debt_shares))

    @property
    def unsecured_cap(self) -> MicroCredit:
        """Most that may be owed on standing: a part of the assets that have stayed for a day."""
        return MicroCredit(mul_div_down(self.books.cap_base, self.risk.unsecured_cap_bps, ONE_BPS))

    def rate_after(self, amount: int) -> int:
        """Return the interest per second once ``amount`` more is lent out."""
        books = self.books
        used = adaptive_rate.utilisation(books.debt + amount, max(0, books.cash - amount))
        return adaptive_rate.borrow_rate(books.rate_at_target, used)

    def owed_after(self, shares: int, amount: int) -> MicroCredit:
        """Return what a loan of so many debt shares owes once it has borrowed ``amount`` more."""
        debt, all_shares = self.books.debt, self.books.debt_shares
        new = to_shares_up(amount, debt, all_shares)
        return MicroCredit(owed_up(shares + new, debt + amount, all_shares + new))


def read_pool(timebank: Timebank, *, block: BlockIdentifier = "latest") -> Pool:
    """Read the lending pool."""
    lending = timebank.credit_lending
    return Pool(
        block=block,
        books=lending.accrued_books(block=block),
        unsecured_shares=lending.unsecured_shares(block=block),
        risk=lending.risk(block=block),
        share_supply=lending.total_supply(block=block),
        reserve=timebank.fee_pool.accounts(block=block).reserve,
    )


def yearly_ppm(rate: int) -> int:
    """Return a rate per second (scaled by 1e18) as millionths a year, compounded as the pool does."""
    return mul_div_down(adaptive_rate.growth(rate, YEAR), 10**6, WAD)


@dataclass(frozen=True)
class LoanQuote:
    """What borrowing would mean; amounts in micro-credits, rates per second scaled by 1e18.

    Attributes
    ----------
    receipt_id
        The pledge; ``None`` for a loan on standing.
    account
        For a loan on standing, the account whose leaf is proved.
    amount, debt
        To be borrowed, and owed after it.
    limit
        Most that may be owed after it.
    threshold
        From more debt than this on the pledge can be liquidated; ``None`` on standing.
    due_at
        Unix seconds from which claims repay it; ``None`` against a receipt, which is never due.
    rate, rate_after
        Interest before and after it. It goes on moving with the pool.
    refusal
        The contract's first objection, or ``None``.
    """

    receipt_id: int | None
    account: ChecksumAddress | None
    amount: MicroCredit
    debt: MicroCredit
    limit: MicroCredit
    threshold: MicroCredit | None
    due_at: int | None
    rate: int
    rate_after: int
    refusal: ContractError | None

    def interest(self, seconds: int) -> MicroCredit:
        """Return the interest on the debt over a time if the rate stayed as it would be, rounded up."""
        return MicroCredit(mul_div_up(self.debt, adaptive_rate.growth(self.rate_after, seconds), WAD))


def quote_on_receipt(
    timebank: Timebank,
    borrower: ChecksumAddress | None,
    receipt_id: int,
    amount: int,
    *,
    block: BlockIdentifier = "latest",
) -> LoanQuote:
    """Work out a loan against a receipt, pledged already or still in the wallet.

    Parameters
    ----------
    borrower
        Who would borrow; ``None`` for whoever holds or has pledged the receipt.
    """
    bank, lending = timebank.time_bank, timebank.credit_lending
    pool = read_pool(timebank, block=block)
    worth = bank.exit_value(receipt_id, block=block)
    loan = lending.pledged_loan(receipt_id, block=block)
    debt = pool.owed_after(loan.debt_shares, amount)
    limit = MicroCredit(mul_div_down(worth, pool.risk.max_ltv_bps, ONE_BPS))

    def refusals() -> Iterator[ContractError]:
        owner = bank.owner_of(receipt_id, block=block)
        if borrower is not None and borrower not in (owner, loan.borrower):
            yield NotReceiptHolder({"id": receipt_id, "caller": borrower})
        room = next((name for name, address in timebank.addresses().items() if address == owner), None)
        if room is not None and loan.borrower == ZERO_ADDRESS:
            # Whoever handed it in does not hold it now, and its keeper approves nobody.
            refusal = ERC721InsufficientApproval({"operator": lending.address, "tokenId": receipt_id})
            refusal.hint = f"it is in the custody of the {room}: free it there first (timebank deposit list)"
            yield refusal
        yield from _refused_by_pool(pool, amount, debt)
        if debt > limit:
            yield PledgeTooSmall({"receiptId": receipt_id, "debt": debt, "limit": limit})

    return LoanQuote(
        receipt_id=receipt_id,
        account=None,
        amount=MicroCredit(amount),
        debt=debt,
        limit=limit,
        threshold=MicroCredit(mul_div_down(worth, pool.risk.liquidation_ltv_bps, ONE_BPS)),
        due_at=None,
        rate=pool.borrow_rate,
        rate_after=pool.rate_after(amount),
        refusal=next(refusals(), None),
    )


def quote_on_standing(
    timebank: Timebank,
    borrower: ChecksumAddress,
    leaf: AccountLeaf,
    amount: int,
    *,
    now: int,
    decay_k: int | None = None,
    block: BlockIdentifier = "latest",
) -> LoanQuote:
    """Work out a loan on the standing in a leaf of the newest final epoch.

    Parameters
    ----------
    now
        When it would be made, Unix seconds.
    decay_k
        Decay constant of the policy in force; the one the pool knows when not given.
    """
    lending, oracle, distributor = timebank.credit_lending, timebank.rate_oracle, timebank.credit_distributor
    pool = read_pool(timebank, block=block)
    loan = lending.standing_loan(borrower, block=block)
    account = address_text(leaf.account)
    debt = pool.owed_after(loan.debt_shares, amount)
    limit = standing_limit(
        leaf.standing,
        age_ms=now * 1_000 - oracle.latest_end_ms(block=block),
        decay_k=lending.accepted_policy(block=block)[1] if decay_k is None else decay_k,
        rate_q24=oracle.rate_q24(block=block),
        standing_bps=pool.risk.standing_bps,
    )

    def refusals() -> Iterator[ContractError]:
        if pool.books.paused:
            yield BorrowingPaused({})
        if loan.due_at and now >= loan.due_at:
            yield LoanOverdue({"borrower": borrower, "dueAt": loan.due_at})
        if loan.due_at and account != loan.account:
            yield OtherAccount({"account": account, "loanAccount": loan.account})
        if distributor.receiver_of(account, block=block) != borrower:
            yield NotAccountHolder({"account": account, "caller": borrower})
        yield from _refused_by_pool(pool, amount, debt)
        if debt > limit:
            yield StandingTooLow({"debt": debt, "limit": limit})
        unsecured = pool.owed_after(pool.unsecured_shares, amount)
        if unsecured > pool.unsecured_cap:
            yield UnsecuredCapReached({"unsecured": unsecured, "cap": pool.unsecured_cap})
        for claimant in (account, borrower):
            creditor = distributor.creditor_of(claimant, block=block)
            if creditor not in (None, lending.address):
                yield ClaimsPledged({"account": claimant, "creditor": creditor})

    return LoanQuote(
        receipt_id=None,
        account=account,
        amount=MicroCredit(amount),
        debt=debt,
        limit=limit,
        threshold=None,
        due_at=loan.due_at or now + pool.risk.standing_term,
        rate=pool.borrow_rate,
        rate_after=pool.rate_after(amount),
        refusal=next(refusals(), None),
    )


def standing_limit(
    standing: int, *, age_ms: int, decay_k: int, rate_q24: int, standing_bps: int
) -> MicroCredit:
    """Return what a standing (micro-value) carries, rounded down at every step as the pool does.

    Parameters
    ----------
    age_ms
        Milliseconds since the end of the epoch it stands in.
    """
    weight = decay.weight(max(0, age_ms), decay_k)
    decayed = (standing * weight) >> 31
    return MicroCredit(mul_div_down((decayed * rate_q24) >> 24, standing_bps, ONE_BPS))


def owed_with_margin(debt: int, rate: int) -> MicroCredit:
    """Return what to approve to repay a debt whole: with an hour of interest; only what is owed is taken."""
    growth = adaptive_rate.growth(rate, REPAY_MARGIN_SECONDS)
    return MicroCredit(debt + mul_div_up(debt, growth, WAD) + 1)


def _refused_by_pool(pool: Pool, amount: int, debt: int) -> Iterator[ContractError]:
    if pool.books.paused:
        yield BorrowingPaused({})
    if amount > pool.books.cash:
        yield NotEnoughCash({"amount": amount, "cash": pool.books.cash})
    if debt < pool.risk.min_loan:
        yield LoanTooSmall({"debt": debt, "minLoan": pool.risk.min_loan})
