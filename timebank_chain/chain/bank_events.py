"""What happened in the bank: one class per event of TimeBank, CreditLending and CreditLease.

Fields, after ``at``, are the event's parameters in the order of the ABI; amounts in micro-credits, times in
Unix seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from eth_typing import ChecksumAddress

from timebank_chain.chain.event import Event


@dataclass(frozen=True, slots=True)
class ReceiptTransferred(Event):
    """A receipt changed hands; from the zero address: made, to it: closed."""

    sender: ChecksumAddress
    receiver: ChecksumAddress
    receipt_id: int
    CONTRACT: ClassVar[str] = "TimeBank"
    NAME: ClassVar[str] = "Transfer"


@dataclass(frozen=True, slots=True)
class Deposited(Event):
    """A deposit was made; micro-credits. ``depositor`` is the distributor for a standing order."""

    receipt_id: int
    owner: ChecksumAddress
    depositor: ChecksumAddress
    amount: int
    term_id: int
    matures_at: int
    CONTRACT: ClassVar[str] = "TimeBank"


@dataclass(frozen=True, slots=True)
class Withdrawn(Event):
    """A mature deposit was closed: ``principal + income - fee`` was paid to ``to``."""

    receipt_id: int
    owner: ChecksumAddress
    to: ChecksumAddress
    principal: int
    income: int
    fee: int
    CONTRACT: ClassVar[str] = "TimeBank"


@dataclass(frozen=True, slots=True)
class ExitedEarly(Event):
    """A deposit was closed before maturity: ``principal - penalty`` was paid to ``to``."""

    receipt_id: int
    owner: ChecksumAddress
    to: ChecksumAddress
    principal: int
    penalty: int
    forfeited: int
    CONTRACT: ClassVar[str] = "TimeBank"


@dataclass(frozen=True, slots=True)
class IncomeCollected(Event):
    """Income was paid out, ``income - fee`` to ``to``; the deposit goes on."""

    receipt_id: int
    to: ChecksumAddress
    income: int
    fee: int
    CONTRACT: ClassVar[str] = "TimeBank"


@dataclass(frozen=True, slots=True)
class RolledOver(Event):
    """A deposit began anew: ``income - fee`` was added to its principal."""

    receipt_id: int
    term_id: int
    income: int
    fee: int
    principal: int
    matures_at: int
    lapsed: bool
    CONTRACT: ClassVar[str] = "TimeBank"


@dataclass(frozen=True, slots=True)
class IncomeReceived(Event):
    """Income arrived and is pending; micro-credits."""

    from_fees: int
    gifts: int
    CONTRACT: ClassVar[str] = "TimeBank"


@dataclass(frozen=True, slots=True)
class IncomeReleased(Event):
    """Pending income was released to all positions; ``income_index`` is scaled by 2**64."""

    amount: int
    income_index: int
    total_weight: int
    CONTRACT: ClassVar[str] = "TimeBank"


@dataclass(frozen=True, slots=True)
class TermAdded(Event):
    """Another kind of deposit; seconds, thousandths, basis points."""

    term_id: int
    duration: int
    multiplier_milli: int
    penalty_bps: int
    CONTRACT: ClassVar[str] = "TimeBank"


@dataclass(frozen=True, slots=True)
class TermOpenSet(Event):
    """A term takes new deposits, or no longer."""

    term_id: int
    is_open: bool
    CONTRACT: ClassVar[str] = "TimeBank"


@dataclass(frozen=True, slots=True)
class IncomeFeeSet(Event):
    """The fee on income changed, basis points."""

    previous_bps: int
    fee_bps: int
    CONTRACT: ClassVar[str] = "TimeBank"


@dataclass(frozen=True, slots=True)
class ReleaseTimeSet(Event):
    """The release time changed, seconds."""

    previous_seconds: int
    release_seconds: int
    CONTRACT: ClassVar[str] = "TimeBank"


@dataclass(frozen=True, slots=True)
class SharesTransferred(Event):
    """Shares of the pool changed hands; from the zero address: made, to it: redeemed."""

    sender: ChecksumAddress
    receiver: ChecksumAddress
    shares: int
    CONTRACT: ClassVar[str] = "CreditLending"
    NAME: ClassVar[str] = "Transfer"


@dataclass(frozen=True, slots=True)
class Supplied(Event):
    """Credits were supplied to the pool."""

    sender: ChecksumAddress
    owner: ChecksumAddress
    assets: int
    shares: int
    CONTRACT: ClassVar[str] = "CreditLending"
    NAME: ClassVar[str] = "Deposit"


@dataclass(frozen=True, slots=True)
class SupplyWithdrawn(Event):
    """Credits were taken out of the pool."""

    sender: ChecksumAddress
    receiver: ChecksumAddress
    owner: ChecksumAddress
    assets: int
    shares: int
    CONTRACT: ClassVar[str] = "CreditLending"
    NAME: ClassVar[str] = "Withdraw"


@dataclass(frozen=True, slots=True)
class InterestAccrued(Event):
    """Interest was added to the debt; micro-credits, the rate per second scaled by 1e18."""

    interest: int
    fee: int
    rate_at_target: int
    CONTRACT: ClassVar[str] = "CreditLending"


@dataclass(frozen=True, slots=True)
class Pledged(Event):
    """A receipt was pledged."""

    receipt_id: int
    borrower: ChecksumAddress
    CONTRACT: ClassVar[str] = "CreditLending"


@dataclass(frozen=True, slots=True)
class Released(Event):
    """A receipt went back to its borrower."""

    receipt_id: int
    borrower: ChecksumAddress
    CONTRACT: ClassVar[str] = "CreditLending"


@dataclass(frozen=True, slots=True)
class Borrowed(Event):
    """Credits were borrowed against a receipt."""

    receipt_id: int
    borrower: ChecksumAddress
    receiver: ChecksumAddress
    amount: int
    shares: int
    CONTRACT: ClassVar[str] = "CreditLending"


@dataclass(frozen=True, slots=True)
class Repaid(Event):
    """A loan against a receipt was repaid, in part or whole."""

    receipt_id: int
    payer: ChecksumAddress
    amount: int
    shares: int
    CONTRACT: ClassVar[str] = "CreditLending"


@dataclass(frozen=True, slots=True)
class Liquidated(Event):
    """A pledge was liquidated: ``proceeds`` = incentive + repaid + returned."""

    receipt_id: int
    borrower: ChecksumAddress
    liquidator: ChecksumAddress
    proceeds: int
    incentive: int
    debt: int
    repaid: int
    returned: int
    CONTRACT: ClassVar[str] = "CreditLending"


@dataclass(frozen=True, slots=True)
class BorrowedOnStanding(Event):
    """Credits were borrowed on standing."""

    borrower: ChecksumAddress
    account: ChecksumAddress
    receiver: ChecksumAddress
    amount: int
    shares: int
    limit: int
    due_at: int
    CONTRACT: ClassVar[str] = "CreditLending"


@dataclass(frozen=True, slots=True)
class StandingRepaid(Event):
    """A loan on standing was repaid, in part or whole."""

    borrower: ChecksumAddress
    payer: ChecksumAddress
    amount: int
    shares: int
    from_claim: bool
    CONTRACT: ClassVar[str] = "CreditLending"


@dataclass(frozen=True, slots=True)
class WrittenOff(Event):
    """A debt was written off against reserve and suppliers; ``interest`` is what of it was never lent."""

    borrower: ChecksumAddress
    receipt_id: int
    from_reserve: int
    from_pool: int
    interest: int
    CONTRACT: ClassVar[str] = "CreditLending"


@dataclass(frozen=True, slots=True)
class Recovered(Event):
    """Part of a written-off debt came in, of the pool's loss and the reserve's; all went to the reserve."""

    borrower: ChecksumAddress
    payer: ChecksumAddress
    of_pool: int
    of_reserve: int
    CONTRACT: ClassVar[str] = "CreditLending"


@dataclass(frozen=True, slots=True)
class FeesPaid(Event):
    """Fees and stray credits went to the fee pool."""

    fees: int
    strays: int
    CONTRACT: ClassVar[str] = "CreditLending"


@dataclass(frozen=True, slots=True)
class PolicyAccepted(Event):
    """The decay constant of a policy was taken over."""

    policy_hash: bytes
    decay_k: int
    CONTRACT: ClassVar[str] = "CreditLending"


@dataclass(frozen=True, slots=True)
class RiskSet(Event):
    """The settings changed; a tuple in the order of ``RiskPlan``."""

    settings: tuple[int, ...]
    CONTRACT: ClassVar[str] = "CreditLending"


@dataclass(frozen=True, slots=True)
class BorrowingPausedSet(Event):
    """The guardian stopped borrowing, or the governor allowed it again."""

    paused: bool
    pause: int
    CONTRACT: ClassVar[str] = "CreditLending"


@dataclass(frozen=True, slots=True)
class LeaseTaken(Event):
    """A lease began."""

    lease_id: int
    offer_hash: bytes
    lessee: ChecksumAddress
    lender: ChecksumAddress
    principal: int
    rent: int
    due_at: int
    receipt_id: int
    account: ChecksumAddress
    fee_bps: int
    CONTRACT: ClassVar[str] = "CreditLease"


@dataclass(frozen=True, slots=True)
class LeaseRepaid(Event):
    """Money came in on a lease: ``amount - fee`` went to the lender."""

    lease_id: int
    payer: ChecksumAddress
    amount: int
    fee: int
    from_claim: bool
    CONTRACT: ClassVar[str] = "CreditLease"


@dataclass(frozen=True, slots=True)
class LeaseClosed(Event):
    """A lease is over."""

    lease_id: int
    CONTRACT: ClassVar[str] = "CreditLease"


@dataclass(frozen=True, slots=True)
class LeaseSettled(Event):
    """An overdue lease was settled from its receipt."""

    lease_id: int
    caller: ChecksumAddress
    proceeds: int
    to_lender: int
    fee: int
    returned: int
    CONTRACT: ClassVar[str] = "CreditLease"


@dataclass(frozen=True, slots=True)
class LeaseForgiven(Event):
    """The lender gave up what was left."""

    lease_id: int
    amount: int
    CONTRACT: ClassVar[str] = "CreditLease"


@dataclass(frozen=True, slots=True)
class OfferCancelled(Event):
    """An offer was cancelled."""

    lender: ChecksumAddress
    offer_hash: bytes
    CONTRACT: ClassVar[str] = "CreditLease"


@dataclass(frozen=True, slots=True)
class SeriesEnded(Event):
    """A lender ended a series of offers."""

    lender: ChecksumAddress
    new_series: int
    CONTRACT: ClassVar[str] = "CreditLease"


@dataclass(frozen=True, slots=True)
class LeaseFeeSet(Event):
    """The fee on rent changed, basis points."""

    previous_bps: int
    fee_bps: int
    CONTRACT: ClassVar[str] = "CreditLease"


@dataclass(frozen=True, slots=True)
class LeasingPausedSet(Event):
    """The guardian stopped leasing, or the governor allowed it again."""

    paused: bool
    pause: int
    CONTRACT: ClassVar[str] = "CreditLease"


#: Every event above, contract by contract.
BANK_EVENTS: tuple[type[Event], ...] = (
    ReceiptTransferred,
    Deposited,
    Withdrawn,
    ExitedEarly,
    IncomeCollected,
    RolledOver,
    IncomeReceived,
    IncomeReleased,
    TermAdded,
    TermOpenSet,
    IncomeFeeSet,
    ReleaseTimeSet,
    SharesTransferred,
    Supplied,
    SupplyWithdrawn,
    InterestAccrued,
    Pledged,
    Released,
    Borrowed,
    Repaid,
    Liquidated,
    BorrowedOnStanding,
    StandingRepaid,
    WrittenOff,
    Recovered,
    FeesPaid,
    PolicyAccepted,
    RiskSet,
    BorrowingPausedSet,
    LeaseTaken,
    LeaseRepaid,
    LeaseClosed,
    LeaseSettled,
    LeaseForgiven,
    OfferCancelled,
    SeriesEnded,
    LeaseFeeSet,
    LeasingPausedSet,
)
