"""The lending pool: supply for shares, loans against receipts and on standing, to the unit.

Every call works on a copy of the books with interest up to now and keeps it at the end. A loan is a number of
shares of the pool's debt: what it owes is those shares' part, rounded up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from timebank_chain.spec import adaptive_rate, decay, share_math
from timebank_chain.spec.attention_credit import MAX_UINT256, ZERO_ADDRESS, AttentionCredit
from timebank_chain.spec.credit_distributor import Claims
from timebank_chain.spec.epoch_tree import AccountLeaf
from timebank_chain.spec.fee_pool import ONE_BPS, FeePool
from timebank_chain.spec.policy_registry import PolicyHead, hash_head
from timebank_chain.spec.revert import require
from timebank_chain.spec.time_bank import TimeBank
from timebank_chain.units import MicroCredit, mul_div_down, mul_div_up

__all__ = [
    "CreditLending",
    "OracleState",
    "PledgedLoan",
    "PoolBooks",
    "RiskSettings",
    "StandingLoan",
]

#: Cash and debt each stay within this many micro-credits.
MAX_AMOUNT = (1 << 64) - 1

#: Shares that are worth nothing stay; without a bound they would outgrow 256 bits after enough total losses.
MAX_SHARES = (1 << 160) - 1

_DAY = 86_400

#: Seconds in which the base of the cap rises by all the assets.
CAP_RISE_TIME = _DAY


@dataclass(frozen=True)
class RiskSettings:
    """What governance may set; fields and units as in ``interfaces/ICreditLending.sol``."""

    max_ltv_bps: int
    liquidation_ltv_bps: int
    incentive_bps: int
    standing_bps: int
    unsecured_cap_bps: int
    fee_bps: int
    standing_term: int
    grace: int
    min_loan: int


@dataclass
class PoolBooks:
    """The books as stored; fields and units as in ``interfaces/ICreditLending.sol``."""

    debt: int = 0
    cash: int = 0
    debt_shares: int = 0
    fees_owed: int = 0
    cap_base: int = 0
    rate_at_target: int = 0
    accrued_at: int = 0
    fee_bps: int = 0
    paused: bool = False

    @property
    def assets(self) -> int:
        """What belongs to the suppliers."""
        return self.cash + self.debt - self.fees_owed

    @property
    def utilisation(self) -> int:
        """The part that is lent out, scaled by 1e18."""
        return adaptive_rate.utilisation(self.debt, self.cash)

    def owed(self, shares: int) -> int:
        """What shares of the debt owe, rounded up; all of them owe all of it."""
        owed = share_math.to_assets_up(shares, self.debt, self.debt_shares)
        return max(owed, self.debt) if shares == self.debt_shares else owed

    def retire(self, debt: int, shares: int) -> None:
        """Take a debt out of the books; loans together can owe a unit each more than is in them."""
        self.debt -= min(debt, self.debt)
        self.debt_shares -= shares


@dataclass
class PledgedLoan:
    """A loan against a receipt; zeros for none."""

    borrower: str = ZERO_ADDRESS
    debt_shares: int = 0


@dataclass
class StandingLoan:
    """A loan on standing, one a borrower; zeros for none."""

    account: str = ZERO_ADDRESS
    debt_shares: int = 0
    principal: int = 0
    due_at: int = 0
    lost_by_pool: int = 0
    lost_by_reserve: int = 0

    @property
    def is_repaid(self) -> bool:
        """Whether nothing is left, neither owed nor written off."""
        return self.debt_shares == self.lost_by_pool == self.lost_by_reserve == 0


@dataclass
class OracleState:
    """What standing is valued by: the policy in force, the rate, the end of the latest epoch."""

    policy_hash: bytes
    rate_q24: int
    latest_end_ms: int


class Oracle(Protocol):
    """What the pool needs of the oracle: an :class:`OracleState` will do."""

    @property
    def policy_hash(self) -> bytes:
        """The policy in force."""
        ...

    @property
    def rate_q24(self) -> int:
        """Micro-credits per micro-value, 2**24 = 1.0."""
        ...

    @property
    def latest_end_ms(self) -> int:
        """End of the latest finalised epoch, Unix milliseconds."""
        ...


@dataclass
class CreditLending:
    """``lending/CreditLending.sol``: amounts in micro-credits, addresses as text, ``now`` in Unix seconds.

    Attributes
    ----------
    address
        Its own, as in the credit's balances.
    governor, guardian
        The only addresses with the roles for the settings and for pausing.
    shares
        The suppliers' shares: an ERC-20 like the credit.
    unsecured_shares
        Debt shares of all loans on standing.
    accepted_policy, decay_k
        The policy whose decay constant is known, and that constant; zeros before the first.
    """

    credit: AttentionCredit
    oracle: Oracle
    time_bank: TimeBank
    fee_pool: FeePool
    distributor: Claims
    address: str
    governor: str
    guardian: str
    risk: RiskSettings
    initial_rate_at_target: int
    created_at: int
    books: PoolBooks = field(default_factory=PoolBooks)
    shares: AttentionCredit = field(default_factory=AttentionCredit)
    pledges: dict[int, PledgedLoan] = field(default_factory=dict)
    standing_loans: dict[str, StandingLoan] = field(default_factory=dict)
    accepted_policy: bytes = bytes(32)
    decay_k: int = 0
    unsecured_shares: int = 0
    pauses: int = 0

    def __post_init__(self) -> None:
        """Refuse what the constructor refuses, and open the books."""
        lowest, highest = adaptive_rate.MIN_RATE_AT_TARGET, adaptive_rate.MAX_RATE_AT_TARGET
        require(lowest <= self.initial_rate_at_target <= highest, "BadRiskSettings")
        self._check_risk(self.risk)
        self.books.rate_at_target = self.initial_rate_at_target
        self.books.accrued_at = self.created_at
        self.books.fee_bps = self.risk.fee_bps

    # Supply: ERC-4626

    def deposit(self, caller: str, assets: int, receiver: str, *, now: int) -> int:
        """Supply credits of the caller; return the receiver's new shares."""
        books = self.accrued_books(now=now)
        require(assets <= self._room(books), "ERC4626ExceededMaxDeposit", receiver, assets, self._room(books))
        shares = self._shares_down(books, assets)
        self._supply(books, caller, receiver, assets, shares)
        return shares

    def mint(self, caller: str, shares: int, receiver: str, *, now: int) -> MicroCredit:
        """Supply what a number of shares costs; return it."""
        books = self.accrued_books(now=now)
        most = self._shares_down(books, self._room(books))
        require(shares <= most, "ERC4626ExceededMaxMint", receiver, shares, most)
        assets = self._assets_up(books, shares)
        self._supply(books, caller, receiver, assets, shares)
        return MicroCredit(assets)

    def withdraw(self, caller: str, assets: int, receiver: str, owner: str, *, now: int) -> int:
        """Pay out credits for shares of an owner; return the shares it took."""
        books = self.accrued_books(now=now)
        most = self._max_withdraw(books, owner)
        require(assets <= most, "ERC4626ExceededMaxWithdraw", owner, assets, most)
        shares = self._shares_up(books, assets)
        self._pay_out(books, caller, receiver, owner, assets, shares)
        return shares

    def redeem(self, caller: str, shares: int, receiver: str, owner: str, *, now: int) -> MicroCredit:
        """Pay out what shares of an owner are worth; return it."""
        books = self.accrued_books(now=now)
        most = self._max_redeem(books, owner)
        require(shares <= most, "ERC4626ExceededMaxRedeem", owner, shares, most)
        assets = self._assets_down(books, shares)
        self._pay_out(books, caller, receiver, owner, assets, shares)
        return MicroCredit(assets)

    def total_assets(self, *, now: int) -> MicroCredit:
        """Return what belongs to the suppliers, interest up to now included."""
        return MicroCredit(self.accrued_books(now=now).assets)

    def convert_to_shares(self, assets: int, *, now: int) -> int:
        """Return the shares an amount is, rounded down."""
        return self._shares_down(self.accrued_books(now=now), assets)

    def convert_to_assets(self, shares: int, *, now: int) -> MicroCredit:
        """Return the amount shares are, rounded down."""
        return MicroCredit(self._assets_down(self.accrued_books(now=now), shares))

    def preview_deposit(self, assets: int, *, now: int) -> int:
        """Return the shares ``deposit`` would give."""
        return self._shares_down(self.accrued_books(now=now), assets)

    def preview_mint(self, shares: int, *, now: int) -> MicroCredit:
        """Return what ``mint`` would cost."""
        return MicroCredit(self._assets_up(self.accrued_books(now=now), shares))

    def preview_withdraw(self, assets: int, *, now: int) -> int:
        """Return the shares ``withdraw`` would take."""
        return self._shares_up(self.accrued_books(now=now), assets)

    def preview_redeem(self, shares: int, *, now: int) -> MicroCredit:
        """Return what ``redeem`` would pay."""
        return MicroCredit(self._assets_down(self.accrued_books(now=now), shares))

    def max_deposit(self, receiver: str, *, now: int) -> MicroCredit:
        """Return the most ``deposit`` takes."""
        return MicroCredit(self._room(self.accrued_books(now=now)))

    def max_mint(self, receiver: str, *, now: int) -> int:
        """Return the most ``mint`` gives."""
        books = self.accrued_books(now=now)
        return self._shares_down(books, self._room(books))

    def max_withdraw(self, owner: str, *, now: int) -> MicroCredit:
        """Return the most ``withdraw`` pays: what the owner has, as far as there is cash."""
        return MicroCredit(self._max_withdraw(self.accrued_books(now=now), owner))

    def max_redeem(self, owner: str, *, now: int) -> int:
        """Return the most ``redeem`` takes."""
        return self._max_redeem(self.accrued_books(now=now), owner)

    # Lending against a receipt

    def pledge(self, caller: str, receipt: int) -> None:
        """Take a receipt of the caller into custody."""
        self.time_bank.transfer_from(self.address, caller, self.address, receipt)
        self.pledges[receipt] = PledgedLoan(caller)

    def borrow(self, caller: str, receipt: int, amount: int, receiver: str, *, now: int) -> int:
        """Borrow against a pledged receipt; return the new debt shares."""
        require(amount != 0, "ZeroAmount")
        loan = self.pledged_loan(receipt)
        require(loan.borrower == caller, "NotBorrower", receipt, caller, loan.borrower)
        return self._borrow(loan, receipt, amount, receiver, now)

    def pledge_and_borrow(self, caller: str, receipt: int, amount: int, receiver: str, *, now: int) -> int:
        """Pledge a receipt and borrow against it; return the debt shares."""
        self.time_bank.check_transfer_from(self.address, caller, self.address, receipt)
        require(amount != 0, "ZeroAmount")
        shares = self._borrow(PledgedLoan(caller), receipt, amount, receiver, now)
        self.time_bank.transfer_from(self.address, caller, self.address, receipt)
        return shares

    def repay(self, caller: str, receipt: int, amount: int, *, now: int) -> MicroCredit:
        """Repay a loan against a receipt, at most what is owed; return what was paid."""
        require(amount != 0, "ZeroAmount")
        loan = self.pledged_loan(receipt)
        require(loan.debt_shares != 0, "NoDebt")
        books = self.accrued_books(now=now)
        paid, shares = self._take_in(books, loan.debt_shares, amount)
        self.credit.check_transfer_from(self.address, caller, self.address, paid)

        self._keep(books)
        self.pledges[receipt].debt_shares -= shares
        self.credit.transfer_from(self.address, caller, self.address, paid)
        return MicroCredit(paid)

    def release(self, caller: str, receipt: int, *, now: int) -> None:
        """Give a receipt without debt back to its borrower."""
        loan = self.pledged_loan(receipt)
        require(loan.borrower == caller, "NotBorrower", receipt, caller, loan.borrower)
        if loan.debt_shares != 0:
            require(False, "DebtLeft", receipt, self.debt_of(receipt, now=now))
        del self.pledges[receipt]
        self.time_bank.transfer_from(self.address, self.address, caller, receipt)

    def liquidate(self, caller: str, receipt: int, *, now: int) -> MicroCredit:
        """Close a pledge that no longer covers its debt; return what the caller got."""
        loan = self.pledged_loan(receipt)
        require(loan.debt_shares != 0, "NoDebt")
        books = self.accrued_books(now=now)
        debt = books.owed(loan.debt_shares)
        value = self.time_bank.exit_value_of(receipt, now=now)
        threshold = mul_div_down(value, self.risk.liquidation_ltv_bps, ONE_BPS)
        require(debt > threshold, "PledgeCovers", receipt, debt, threshold)

        del self.pledges[receipt]
        proceeds = self.time_bank.close(self.address, receipt, self.address, now=now)
        incentive = mul_div_down(proceeds, self.risk.incentive_bps, ONE_BPS)
        repaid = min(debt, proceeds - incentive)
        books.cash += repaid
        books.retire(debt, loan.debt_shares)
        # The pledge covered the whole debt whenever something was lent on it: what is not repaid is interest.
        self._lose_interest(books, debt - repaid)
        self._keep(books)
        self.credit.transfer(self.address, caller, incentive)
        self.credit.transfer(self.address, loan.borrower, proceeds - incentive - repaid)
        return MicroCredit(incentive)

    # Lending on standing

    def borrow_on_standing(
        self, caller: str, leaf: AccountLeaf, proof: Sequence[bytes], amount: int, receiver: str, *, now: int
    ) -> int:
        """Borrow on proven standing; return the new debt shares."""
        require(amount != 0, "ZeroAmount")
        books = self.accrued_books(now=now)
        require(not books.paused, "BorrowingPaused")
        account = "0x" + leaf.account.hex()
        loan = self.standing_loan(caller)
        is_new = loan.due_at == 0
        require(is_new or now < loan.due_at, "LoanOverdue", caller, loan.due_at)
        require(is_new or account == loan.account, "OtherAccount", account, loan.account)
        require(self.distributor.receiver_of(account) == caller, "NotAccountHolder", account, caller)
        proven = self.distributor.is_latest_leaf(leaf, proof)
        require(proven, "StandingNotProven", leaf.index, self.distributor.account_root)
        limit = self.standing_limit(leaf.standing, now=now)
        shares, debt = self._lend(books, loan.debt_shares, amount)
        require(debt <= limit, "StandingTooLow", debt, limit)
        unsecured = books.owed(self.unsecured_shares + shares)
        cap = mul_div_down(books.cap_base, self.risk.unsecured_cap_bps, ONE_BPS)
        require(unsecured <= cap, "UnsecuredCapReached", unsecured, cap)
        for pledged in (account, caller) if is_new else ():
            creditor = self.distributor.creditor_of(pledged)
            require(creditor in (ZERO_ADDRESS, self.address), "ClaimsPledged", pledged, creditor)
        self.credit.check_transfer(self.address, receiver, amount)

        if is_new:
            loan.account = account
            loan.due_at = now + self.risk.standing_term
            self.distributor.pledge_claims(self.address, account, caller)
        loan.debt_shares += shares
        loan.principal += amount
        self.unsecured_shares += shares
        self._keep(books)
        self.standing_loans[caller] = loan
        self.credit.transfer(self.address, receiver, amount)
        return shares

    def repay_standing(self, caller: str, borrower: str, amount: int, *, now: int) -> MicroCredit:
        """Repay a loan on standing, or what was written off of it; return what was paid."""
        require(amount != 0, "ZeroAmount")
        loan = self.standing_loan(borrower)
        require(loan.due_at != 0, "NoDebt")
        paid = min(amount, self.standing_debt_of(borrower, now=now))
        self.credit.check_transfer_from(self.address, caller, self.address, paid)

        self.credit.transfer_from(self.address, caller, self.address, paid)
        self._repay_standing(loan, borrower, paid, now)
        return MicroCredit(paid)

    def repay_from_claim(self, caller: str, borrower: str, amount: int, *, now: int) -> None:
        """Book a repayment out of a claim, minted to the pool just before."""
        distributor = self.distributor.address
        require(caller == distributor, "NotClaimsDistributor", caller, distributor)
        self._repay_standing(self.standing_loan(borrower), borrower, amount, now)

    def write_off(self, caller: str, borrower: str, *, now: int) -> None:
        """Write off a loan on standing that is unpaid after due day and grace; anybody may."""
        loan = self.standing_loan(borrower)
        require(loan.debt_shares != 0, "NoDebt")
        fails_at = loan.due_at + self.risk.grace
        require(now >= fails_at, "NotYetFailed", borrower, fails_at, now)
        books = self.accrued_books(now=now)
        debt = books.owed(loan.debt_shares)
        interest = debt - min(debt, loan.principal)

        books.retire(debt, loan.debt_shares)
        self.unsecured_shares -= loan.debt_shares
        from_reserve = self.fee_pool.cover_loss(self.address, debt - interest)
        books.cash += from_reserve
        self._lose_interest(books, interest)
        self._keep(books)
        loan.debt_shares = loan.principal = 0
        loan.lost_by_reserve = from_reserve
        loan.lost_by_pool = debt - from_reserve
        self.standing_loans[borrower] = loan

    def accept_policy(self, caller: str, head: PolicyHead) -> None:
        """Take over the decay constant of the policy in force, given its head."""
        given, expected = hash_head(head), self.oracle.policy_hash
        require(given == expected, "NotPolicyInForce", given, expected)
        self.accepted_policy = given
        self.decay_k = PolicyHead(*head).decay_k

    # Upkeep and settings

    def accrue(self, caller: str, *, now: int) -> None:
        """Add the interest up to now to the debt and adapt the rate."""
        self._keep(self.accrued_books(now=now))

    def pay_fees(self, caller: str, *, now: int) -> MicroCredit:
        """Pay the fees owed, as far as there is cash, and all stray credits to the fee pool."""
        books = self.accrued_books(now=now)
        strays = self.credit.balance_of(self.address) - books.cash
        fees = min(books.fees_owed, books.cash)
        books.fees_owed -= fees
        books.cash -= fees
        self._keep(books)
        if fees + strays:
            self.credit.transfer(self.address, self.fee_pool.address, fees + strays)
            self.fee_pool.sync()
        return MicroCredit(fees + strays)

    def set_risk(self, caller: str, new_settings: RiskSettings, *, now: int) -> None:
        """Change the settings; interest is accrued under the old ones first."""
        require(caller == self.governor, "AccessManagedUnauthorized", caller)
        self._check_risk(new_settings)
        self._keep(self.accrued_books(now=now))
        self.risk = new_settings
        self.books.fee_bps = new_settings.fee_bps

    def pause_borrowing(self, caller: str) -> None:
        """Stop new borrowing."""
        require(caller == self.guardian, "AccessManagedUnauthorized", caller)
        self.books.paused = True
        self.pauses += 1

    def resume_borrowing(self, caller: str, pause: int) -> None:
        """Allow new borrowing again, by ending the pause of this number."""
        require(caller == self.governor, "AccessManagedUnauthorized", caller)
        require(pause == self.pauses, "WrongPause", pause, self.pauses)
        self.books.paused = False

    # Views

    def accrued_books(self, *, now: int) -> PoolBooks:
        """Return a copy of the books with interest up to now."""
        books = replace(self.books)
        elapsed = now - books.accrued_at
        books.accrued_at = now
        if elapsed == 0 or books.debt == books.cash == 0:
            return books
        used = books.utilisation
        mean, books.rate_at_target = adaptive_rate.adapt(books.rate_at_target, used, elapsed)
        growth = adaptive_rate.growth(adaptive_rate.borrow_rate(mean, used), elapsed)
        interest = min(mul_div_up(growth, books.debt, adaptive_rate.WAD), MAX_AMOUNT - books.debt)
        books.debt += interest
        books.fees_owed += mul_div_down(interest, books.fee_bps, ONE_BPS)
        rise = mul_div_up(books.assets, elapsed, CAP_RISE_TIME)
        books.cap_base = min(books.assets, books.cap_base + rise)
        return books

    def pledged_loan(self, receipt: int) -> PledgedLoan:
        """Return a loan against a receipt; zeros when there is none."""
        return replace(self.pledges.get(receipt, PledgedLoan()))

    def standing_loan(self, borrower: str) -> StandingLoan:
        """Return a loan on standing; zeros when there is none."""
        return replace(self.standing_loans.get(borrower, StandingLoan()))

    def debt_of(self, receipt: int, *, now: int) -> MicroCredit:
        """Return what is owed on a receipt."""
        return MicroCredit(self.accrued_books(now=now).owed(self.pledged_loan(receipt).debt_shares))

    def standing_debt_of(self, borrower: str, *, now: int) -> MicroCredit:
        """Return what is owed on standing, written-off amounts included."""
        loan = self.standing_loan(borrower)
        owed = self.accrued_books(now=now).owed(loan.debt_shares)
        return MicroCredit(owed + loan.lost_by_pool + loan.lost_by_reserve)

    def due_from_claims(self, borrower: str, *, now: int) -> MicroCredit:
        """Return how much of the borrower's next claims goes to its debt; 0 while it is not overdue."""
        due_at = self.standing_loan(borrower).due_at
        if due_at == 0 or now < due_at:
            return MicroCredit(0)
        return self.standing_debt_of(borrower, now=now)

    def standing_limit(self, standing: int, *, now: int) -> MicroCredit:
        """Return the most that a standing in the latest finalised epoch allows now."""
        in_force = self.oracle.policy_hash
        require(in_force == self.accepted_policy, "PolicyNotAccepted", in_force, self.accepted_policy)
        age_ms = now * 1000 - self.oracle.latest_end_ms
        decayed = standing * decay.weight(age_ms, self.decay_k) >> 31
        worth = decayed * self.oracle.rate_q24 >> 24
        return MicroCredit(mul_div_down(worth, self.risk.standing_bps, ONE_BPS))

    def borrow_rate(self, *, now: int) -> int:
        """Return the interest per second, scaled by 1e18."""
        books = self.accrued_books(now=now)
        return adaptive_rate.borrow_rate(books.rate_at_target, books.utilisation)

    # Checks

    @staticmethod
    def _check_risk(settings: RiskSettings) -> None:
        sane = (
            settings.max_ltv_bps < settings.liquidation_ltv_bps
            and settings.liquidation_ltv_bps >= 5_000
            and settings.incentive_bps <= 1_000
            and settings.liquidation_ltv_bps + settings.incentive_bps <= ONE_BPS
            and settings.standing_bps <= ONE_BPS
            and settings.unsecured_cap_bps <= 5_000
            and settings.fee_bps <= 2_500
            and _DAY <= settings.standing_term <= 730 * _DAY
            and settings.grace <= 365 * _DAY
        )
        require(sane, "BadRiskSettings")

    # Arithmetic

    def _room(self, books: PoolBooks) -> int:
        """What the pool can take in."""
        return min(MAX_AMOUNT - books.cash, self._assets_down(books, MAX_SHARES - self.shares.supply))

    def _shares_down(self, books: PoolBooks, assets: int) -> int:
        return share_math.to_shares_down(assets, books.assets, self.shares.supply)

    def _shares_up(self, books: PoolBooks, assets: int) -> int:
        return share_math.to_shares_up(assets, books.assets, self.shares.supply)

    def _assets_down(self, books: PoolBooks, shares: int) -> int:
        return share_math.to_assets_down(shares, books.assets, self.shares.supply)

    def _assets_up(self, books: PoolBooks, shares: int) -> int:
        return share_math.to_assets_up(shares, books.assets, self.shares.supply)

    def _max_withdraw(self, books: PoolBooks, owner: str) -> int:
        return min(self._assets_down(books, self.shares.balance_of(owner)), books.cash)

    def _max_redeem(self, books: PoolBooks, owner: str) -> int:
        shares = self.shares.balance_of(owner)
        if self._assets_down(books, shares) <= books.cash:
            return shares
        return self._shares_down(books, books.cash)

    def _lend(self, books: PoolBooks, owned: int, amount: int) -> tuple[int, int]:
        """Book a borrowing of a loan with ``owned`` shares; return its new shares and all it then owes."""
        require(amount <= books.cash, "NotEnoughCash", amount, books.cash)
        shares = share_math.to_shares_up(amount, books.debt, books.debt_shares)
        books.cash -= amount
        books.debt += amount
        # Interest stops there; what is borrowed beyond it does not fit.
        require(books.debt <= MAX_AMOUNT, "SafeCastOverflowedUintDowncast", 64, books.debt)
        books.debt_shares += shares
        debt = books.owed(owned + shares)
        require(debt >= self.risk.min_loan, "LoanTooSmall", debt, self.risk.min_loan)
        return shares, debt

    @staticmethod
    def _take_in(books: PoolBooks, owned: int, amount: int) -> tuple[int, int]:
        """Book a repayment of a loan with ``owned`` shares; return what was paid and the shares retired."""
        debt = books.owed(owned)
        paid, shares = debt, owned
        if amount < debt:
            paid = amount
            shares = min(share_math.to_shares_down(amount, books.debt, books.debt_shares), owned - 1)
        books.cash += paid
        books.retire(paid, shares)
        return paid, shares

    @staticmethod
    def _lose_interest(books: PoolBooks, interest: int) -> None:
        """Book what a loss does to the fees owed: those on its interest go. Its debt is out of the books."""
        fees_left = max(0, books.fees_owed - mul_div_down(interest, books.fee_bps, ONE_BPS))
        books.fees_owed = min(fees_left, books.cash + books.debt)

    # Writes

    def _keep(self, books: PoolBooks) -> None:
        """Make these the books; the base of the cap falls with the assets at once."""
        books.cap_base = min(books.cap_base, books.assets)
        self.books = books

    def _supply(self, books: PoolBooks, caller: str, receiver: str, assets: int, shares: int) -> None:
        require(receiver != ZERO_ADDRESS, "ERC20InvalidReceiver", receiver)
        self.credit.check_transfer_from(self.address, caller, self.address, assets)
        books.cash += assets
        self._keep(books)
        self.shares.mint(receiver, shares)
        self.credit.transfer_from(self.address, caller, self.address, assets)

    def _pay_out(
        self, books: PoolBooks, caller: str, receiver: str, owner: str, assets: int, shares: int
    ) -> None:
        allowed = MAX_UINT256 if caller == owner else self.shares.allowances[owner, caller]
        require(shares <= allowed, "ERC20InsufficientAllowance", caller, allowed, shares)
        # Nobody approves for the zero address: spending its allowance fails even for 0 shares.
        require(owner != ZERO_ADDRESS, "ERC20InvalidApprover", owner)
        self.credit.check_transfer(self.address, receiver, assets)
        if allowed != MAX_UINT256:
            self.shares.allowances[owner, caller] -= shares
        books.cash -= assets
        self._keep(books)
        self.shares.burn(owner, shares)
        self.credit.transfer(self.address, receiver, assets)

    def _borrow(self, loan: PledgedLoan, receipt: int, amount: int, receiver: str, now: int) -> int:
        books = self.accrued_books(now=now)
        require(not books.paused, "BorrowingPaused")
        shares, debt = self._lend(books, loan.debt_shares, amount)
        limit = mul_div_down(self.time_bank.exit_value_of(receipt, now=now), self.risk.max_ltv_bps, ONE_BPS)
        require(debt <= limit, "PledgeTooSmall", receipt, debt, limit)
        self.credit.check_transfer(self.address, receiver, amount)

        loan.debt_shares += shares
        self._keep(books)
        self.pledges[receipt] = loan
        self.credit.transfer(self.address, receiver, amount)
        return shares

    def _repay_standing(self, loan: StandingLoan, borrower: str, amount: int, now: int) -> None:
        """Book a payment that is here: on the debt, or on what was written off of it."""
        books = self.accrued_books(now=now)
        to_reserve = 0
        if loan.debt_shares != 0:
            _, shares = self._take_in(books, loan.debt_shares, amount)
            loan.debt_shares -= shares
            loan.principal = max(0, loan.principal - amount)
            self.unsecured_shares -= shares
        else:
            of_pool = min(amount, loan.lost_by_pool)
            of_reserve = min(amount - of_pool, loan.lost_by_reserve)
            loan.lost_by_pool -= of_pool
            loan.lost_by_reserve -= of_reserve
            to_reserve = of_pool + of_reserve
        self._keep(books)
        self.standing_loans[borrower] = loan
        if to_reserve:
            self.credit.transfer(self.address, self.fee_pool.address, to_reserve)
            self.fee_pool.restore_reserve(self.address, to_reserve)
        if loan.is_repaid:
            del self.standing_loans[borrower]
            self.distributor.release_claims(self.address, loan.account, borrower)
