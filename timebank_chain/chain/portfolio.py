"""What an account has in the bank: its deposits, loans, leases and pool shares, read at one block.

Events say which receipts, pledges and leases are the account's; the contracts, asked at the same block,
say what they are worth. Where the two disagree an event is missing, and the portfolio is refused rather
than shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from eth_typing import ChecksumAddress

from timebank_chain.chain.bank_events import (
    LeaseClosed,
    LeaseTaken,
    Liquidated,
    Pledged,
    ReceiptTransferred,
    Released,
    SharesTransferred,
)
from timebank_chain.chain.bank_plan import ONE_BPS, RiskPlan
from timebank_chain.chain.credit_lease import Lease
from timebank_chain.chain.event import Event
from timebank_chain.chain.events import LinkConfirmed, read_events
from timebank_chain.chain.member_registry import ZERO_ADDRESS
from timebank_chain.chain.node_errors import translated
from timebank_chain.chain.system import Timebank
from timebank_chain.chain.time_bank import Term
from timebank_chain.errors import CheckFailed
from timebank_chain.units import MicroCredit, mul_div_down

_KINDS: tuple[type[Event], ...] = (
    LinkConfirmed,
    ReceiptTransferred,
    Pledged,
    Released,
    Liquidated,
    SharesTransferred,
    LeaseTaken,
    LeaseClosed,
)


class Creditor(StrEnum):
    """Who holds a receipt, or a member's claims, as security."""

    LENDING = "lending"
    LEASE = "lease"


@dataclass(frozen=True)
class HeldDeposit:
    """A deposit of the account, in its wallet or in a creditor's custody.

    Attributes
    ----------
    receipt_id, term
        Number of its receipt, and what it was made under.
    principal
        Micro-credits.
    income
        Micro-credits earned and not paid, before the fee on income; an early exit forfeits them.
    exit_value
        Micro-credits that closing it would pay at the portfolio's block.
    matures_at
        Unix seconds.
    mature
        Whether it can be closed whole at the portfolio's block.
    creditor
        Who has it in custody, ``None`` in the wallet.
    lease_id
        The lease it secures, ``None`` otherwise.
    """

    receipt_id: int
    term: Term
    principal: MicroCredit
    income: MicroCredit
    exit_value: MicroCredit
    matures_at: int
    mature: bool
    creditor: Creditor | None
    lease_id: int | None


@dataclass(frozen=True)
class ReceiptLoan:
    """A loan against a receipt, which may have no debt left; micro-credits.

    Attributes
    ----------
    limit
        Most debt a new borrowing may leave on the receipt.
    threshold
        From more debt than this on anybody may liquidate.
    """

    receipt_id: int
    debt: MicroCredit
    limit: MicroCredit
    threshold: MicroCredit

    @property
    def health_bps(self) -> int | None:
        """Threshold over debt in basis points: liquidated below 10 000; ``None`` without debt."""
        return mul_div_down(self.threshold, ONE_BPS, self.debt) if self.debt else None

    @property
    def liquidatable(self) -> bool:
        """Whether the pledge no longer covers its debt."""
        return self.debt > self.threshold

    @property
    def borrowable(self) -> MicroCredit:
        """What can still be borrowed on the receipt, the pool's cash permitting."""
        return MicroCredit(max(0, self.limit - self.debt))


@dataclass(frozen=True)
class OwnStandingLoan:
    """The account's loan on standing.

    Attributes
    ----------
    account
        Whose leaf was proved: the borrower, or a placeholder linked to it.
    debt
        Micro-credits owed now, written-off amounts included.
    written_off
        The part of it that the suppliers or the reserve have lost so far.
    due_at, fails_at
        Unix seconds from which claims repay it, and from which it can be written off.
    overdue
        Whether claims repay it at the portfolio's block.
    due_from_claims
        Micro-credits that the next claims bring in first; 0 while it is not overdue.
    """

    account: ChecksumAddress
    debt: MicroCredit
    written_off: MicroCredit
    due_at: int
    fails_at: int
    overdue: bool
    due_from_claims: MicroCredit


@dataclass(frozen=True)
class OwnLease:
    """A running lease in which the account is lender or lessee; ``offer_hash`` names the offer taken."""

    lease: Lease
    offer_hash: bytes
    overdue: bool

    @property
    def lease_id(self) -> int:
        """Its number."""
        return self.lease.lease_id

    @property
    def to_lender(self) -> MicroCredit:
        """What the lender still gets when everything owed comes in: the fee on the rent is taken off.

        Money comes in for the principal first, so the fee on rent already paid has been paid too.
        """
        lease = self.lease
        rent_paid = max(0, lease.repaid - lease.principal)
        fee_paid = -(-rent_paid * lease.fee_bps // ONE_BPS)
        return MicroCredit(lease.owed - (lease.fee - fee_paid))


@dataclass(frozen=True)
class PoolSupply:
    """What the account has supplied to the lending pool.

    Attributes
    ----------
    shares
        Of the pool (ERC-4626).
    worth
        Micro-credits they stand for, rounded down.
    withdrawable
        Micro-credits that can be taken out at once: limited by the pool's cash.
    """

    shares: int
    worth: MicroCredit
    withdrawable: MicroCredit


@dataclass(frozen=True)
class ClaimRoute:
    """Where the claims of the account, or of a placeholder linked to it, go.

    ``order`` is the term they are deposited under (``None``: to the wallet), ``creditor`` who is repaid first
    once a debt is overdue.
    """

    account: ChecksumAddress
    order: Term | None
    creditor: Creditor | None


@dataclass(frozen=True)
class Portfolio:
    """Everything an account has in the bank and owes it, at one block; amounts in micro-credits.

    Attributes
    ----------
    account, block, time
        Whose, at which block, and that block's Unix seconds.
    balance
        Credits in the wallet.
    deposits
        In the wallet and in custody, by number.
    loans
        Against receipts, by number; each stands beside its deposit.
    standing_loan
        ``None`` when nothing is owed on standing.
    leases_lent, leases_owed
        Running leases with the account as lender, and as lessee, by number.
    supply
        Shares of the lending pool.
    claims
        The account's own claims first, then those of the placeholders linked to it.
    risk, income_fee_bps
        The settings the above was computed under.
    """

    account: ChecksumAddress
    block: int
    time: int
    balance: MicroCredit
    deposits: tuple[HeldDeposit, ...]
    loans: tuple[ReceiptLoan, ...]
    standing_loan: OwnStandingLoan | None
    leases_lent: tuple[OwnLease, ...]
    leases_owed: tuple[OwnLease, ...]
    supply: PoolSupply
    claims: tuple[ClaimRoute, ...]
    risk: RiskPlan
    income_fee_bps: int

    def deposit(self, receipt_id: int) -> HeldDeposit | None:
        """Return one of the deposits, or ``None``."""
        return next((one for one in self.deposits if one.receipt_id == receipt_id), None)

    def loan(self, receipt_id: int) -> ReceiptLoan | None:
        """Return the loan against a receipt, or ``None``."""
        return next((one for one in self.loans if one.receipt_id == receipt_id), None)

    @property
    def assets(self) -> MicroCredit:
        """Wallet, deposits at their exit value, shares at their worth, and what lessees still owe."""
        return MicroCredit(
            self.balance
            + sum(one.exit_value for one in self.deposits)
            + self.supply.worth
            + sum(one.to_lender for one in self.leases_lent)
        )

    @property
    def debts(self) -> MicroCredit:
        """What is owed on receipts, on standing and on leases."""
        return MicroCredit(
            sum(one.debt for one in self.loans)
            + (self.standing_loan.debt if self.standing_loan else 0)
            + sum(one.lease.owed for one in self.leases_owed)
        )

    @property
    def net(self) -> int:
        """Assets less debts."""
        return self.assets - self.debts


@dataclass
class _Trace:
    """What the events say: holders of receipts, pledges, running leases, and the account's own shares."""

    holders: dict[int, ChecksumAddress] = field(default_factory=dict)
    pledges: dict[int, ChecksumAddress] = field(default_factory=dict)
    leases: dict[int, LeaseTaken] = field(default_factory=dict)
    leases_taken: int = 0
    placeholders: list[ChecksumAddress] = field(default_factory=list)
    shares: int = 0

    @classmethod
    def of(cls, events: Iterable[Event], account: ChecksumAddress) -> _Trace:
        trace = cls()
        for event in events:
            if isinstance(event, ReceiptTransferred):
                trace.holders[event.receipt_id] = event.receiver
            elif isinstance(event, Pledged):
                trace.pledges[event.receipt_id] = event.borrower
            elif isinstance(event, Released | Liquidated):
                trace.pledges.pop(event.receipt_id, None)
            elif isinstance(event, SharesTransferred):
                trace.shares += event.shares * ((event.receiver == account) - (event.sender == account))
            elif isinstance(event, LeaseTaken):
                trace.leases[event.lease_id] = event
                trace.leases_taken += 1
            elif isinstance(event, LeaseClosed):
                trace.leases.pop(event.lease_id, None)
            elif isinstance(event, LinkConfirmed) and event.wallet == account:
                trace.placeholders.append(event.placeholder)
        return trace


def read_portfolio(
    timebank: Timebank,
    account: ChecksumAddress,
    *,
    block: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Portfolio:
    """Read what an account has in the bank.

    Parameters
    ----------
    block
        The newest when not given; everything is read there.
    progress
        Called with (blocks read, blocks in all).

    Raises
    ------
    CheckFailed
        If events and contracts disagree about what is the account's.
    """
    connection = timebank.connection
    at = connection.block_number() if block is None else block
    with translated():
        time = int(connection.w3.eth.get_block(at)["timestamp"])
    trace = _Trace.of(
        read_events(
            connection,
            timebank.addresses(),
            _KINDS,
            from_block=timebank.deployment.first_block,
            to_block=at,
            progress=progress,
        ),
        account,
    )
    _check(timebank, account, trace, at)
    bank, lending = timebank.time_bank, timebank.credit_lending
    terms = bank.terms(block=at)
    risk = lending.risk(block=at)
    leases = _leases(timebank, account, trace, at, time)
    deposits = _deposits(timebank, account, trace, leases, terms, at, time)
    return Portfolio(
        account=account,
        block=at,
        time=time,
        balance=timebank.attention_credit.balance_of(account, block=at),
        deposits=deposits,
        loans=tuple(
            ReceiptLoan(
                receipt_id=one.receipt_id,
                debt=lending.debt_of(one.receipt_id, block=at),
                limit=MicroCredit(mul_div_down(one.exit_value, risk.max_ltv_bps, ONE_BPS)),
                threshold=MicroCredit(mul_div_down(one.exit_value, risk.liquidation_ltv_bps, ONE_BPS)),
            )
            for one in deposits
            if one.creditor is Creditor.LENDING
        ),
        standing_loan=_standing_loan(timebank, account, risk, at, time),
        leases_lent=tuple(one for one in leases if one.lease.lender == account),
        leases_owed=tuple(one for one in leases if one.lease.lessee == account),
        supply=PoolSupply(
            shares=trace.shares,
            worth=lending.convert_to_assets(trace.shares, block=at),
            withdrawable=lending.max_withdraw(account, block=at),
        ),
        claims=_claims(timebank, [account, *trace.placeholders], terms, at),
        risk=risk,
        income_fee_bps=bank.income_fee_bps(block=at),
    )


def _check(timebank: Timebank, account: ChecksumAddress, trace: _Trace, block: int) -> None:
    """Hold the events against the contracts: counts that a missing event would change."""
    held = sum(1 for holder in trace.holders.values() if holder == account)
    counted = timebank.time_bank.balance_of(account, block=block)
    if held != counted:
        raise _missing(f"the events give {account} {held} receipts, the bank says {counted}")
    shares = timebank.credit_lending.balance_of(account, block=block)
    if trace.shares != shares:
        raise _missing(f"the events give {account} {trace.shares} pool shares, the pool says {shares}")
    taken = timebank.credit_lease.lease_count(block=block)
    if trace.leases_taken != taken:
        raise _missing(f"the events tell of {trace.leases_taken} leases, the contract of {taken}")
    lending = timebank.credit_lending
    for receipt_id, holder in trace.holders.items():
        borrower = trace.pledges.get(receipt_id)
        in_pool = holder == lending.address
        if borrower == account and not in_pool:
            raise _missing(f"{account} pledged receipt {receipt_id}, yet {holder} holds it")
        if borrower == account or (in_pool and borrower is None):
            said = lending.pledged_loan(receipt_id, block=block).borrower
            if said != (borrower or ZERO_ADDRESS):
                raise _missing(
                    f"by the events {borrower or 'nobody'} pledged receipt {receipt_id}, by the pool {said}"
                )


def _missing(sentence: str) -> CheckFailed:
    return CheckFailed(
        f"{sentence}: an event is missing", hint="ask another node; if it says the same, run timebank audit"
    )


def _leases(
    timebank: Timebank, account: ChecksumAddress, trace: _Trace, block: int, time: int
) -> list[OwnLease]:
    found = []
    for lease_id, taken in sorted(trace.leases.items()):
        if account not in (taken.lender, taken.lessee):
            continue
        lease = timebank.credit_lease.lease_of(lease_id, block=block)
        if lease is None:
            raise _missing(f"the events say that lease {lease_id} runs, the contract that it is over")
        found.append(OwnLease(lease, taken.offer_hash, overdue=time > lease.due_at))
    return found


def _deposits(
    timebank: Timebank,
    account: ChecksumAddress,
    trace: _Trace,
    leases: Iterable[OwnLease],
    terms: list[Term],
    block: int,
    time: int,
) -> tuple[HeldDeposit, ...]:
    leased = {
        one.lease.receipt_id: one.lease_id
        for one in leases
        if one.lease.lessee == account and one.lease.receipt_id
    }
    bank, found = timebank.time_bank, []
    for receipt_id, holder in sorted(trace.holders.items()):
        if holder == account:
            creditor = None
        elif trace.pledges.get(receipt_id) == account:
            creditor = Creditor.LENDING
        elif receipt_id in leased:
            creditor = Creditor.LEASE
        else:
            continue
        position = bank.position(receipt_id, block=block)
        found.append(
            HeldDeposit(
                receipt_id=receipt_id,
                term=terms[position.term_id],
                principal=position.principal,
                income=bank.income(receipt_id, block=block),
                exit_value=bank.exit_value(receipt_id, block=block),
                matures_at=position.matures_at,
                mature=time >= position.matures_at,
                creditor=creditor,
                lease_id=leased.get(receipt_id),
            )
        )
    return tuple(found)


def _standing_loan(
    timebank: Timebank, account: ChecksumAddress, risk: RiskPlan, block: int, time: int
) -> OwnStandingLoan | None:
    lending = timebank.credit_lending
    loan = lending.standing_loan(account, block=block)
    if loan.due_at == 0:
        return None
    return OwnStandingLoan(
        account=loan.account,
        debt=lending.standing_debt_of(account, block=block),
        written_off=MicroCredit(loan.lost_by_pool + loan.lost_by_reserve),
        due_at=loan.due_at,
        fails_at=loan.due_at + risk.grace,
        overdue=time >= loan.due_at,
        due_from_claims=lending.due_from_claims(account, block=block),
    )


def _claims(
    timebank: Timebank, accounts: Iterable[ChecksumAddress], terms: list[Term], block: int
) -> tuple[ClaimRoute, ...]:
    distributor = timebank.credit_distributor
    rooms = {
        timebank.credit_lending.address: Creditor.LENDING,
        timebank.credit_lease.address: Creditor.LEASE,
    }
    found = []
    for account in accounts:
        term_id = distributor.standing_order_of(account, block=block)
        creditor = distributor.creditor_of(account, block=block)
        found.append(
            ClaimRoute(
                account=account,
                order=None if term_id is None else terms[term_id],
                creditor=None if creditor is None else rooms.get(creditor),
            )
        )
    return tuple(found)
