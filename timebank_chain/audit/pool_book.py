"""The lending pool as its events leave it: cash and debt, shares of both, loans, and what was lost.

Interest follows from rate, utilisation and time (``spec.adaptive_rate``), shares of the debt and of the pool
from the totals (``spec.share_math``), each rounded the way ``ICreditLending`` says.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from timebank_chain.audit.book import ONE_BPS, Anomalies, Book
from timebank_chain.audit.deposit_book import DepositBook
from timebank_chain.audit.evidence import Event
from timebank_chain.audit.replay import ZERO_ADDRESS, Timeline
from timebank_chain.audit.report import Difference
from timebank_chain.spec import adaptive_rate, share_math
from timebank_chain.units import mul_div_down, mul_div_up

#: Cash and debt each stay within this many micro-credits.
MAX_AMOUNT = (1 << 64) - 1

#: Seconds in which the base of the cap on loans on standing rises by all the assets.
CAP_RISE_TIME = 86_400

#: Setting -> its lowest and highest value.
RISK_BOUNDS = {
    "standingBps": (0, ONE_BPS),
    "unsecuredCapBps": (0, 5_000),
    "feeBps": (0, 2_500),
    "standingTerm": (86_400, 730 * 86_400),
    "grace": (0, 365 * 86_400),
}


@dataclass
class PledgedLoan:
    """A loan against a receipt: who gets the receipt back, and its shares of the debt."""

    borrower: str
    shares: int = 0


@dataclass
class StandingLoan:
    """A loan on standing; ``principal`` is what was lent and not repaid, ``lost`` what is not recovered."""

    account: str
    due_at: int
    shares: int = 0
    principal: int = 0
    lost_by_pool: int = 0
    lost_by_reserve: int = 0

    @property
    def lost(self) -> int:
        """Written off and not recovered, micro-credits."""
        return self.lost_by_pool + self.lost_by_reserve


@dataclass(frozen=True)
class _Loss:
    """A debt that is out of the books and not accounted for yet."""

    borrower: str
    receipt: int
    amount: int


class PoolBook(Book):
    """The state of the lending pool.

    Attributes
    ----------
    debt, cash, debt_shares, accrued_at, rate_at_target, fees_owed, cap_base, paused
        The books, as ``PoolBooks`` names them.
    unsecured_shares
        Shares of the debt of all loans on standing.
    shares, supply, allowance_pairs
        ERC-20: suppliers' shares, their sum, (owner, spender) of every approval.
    pledges, standing
        Receipt -> loan against it; borrower -> loan on standing.
    risk, policy
        Settings, and (hash, decay constant) of the policy taken over, through time.
    interest, fees
        Micro-credits since the first loan: interest, and the fee pool's part of it.
    lost_by_pool, lost_by_reserve, recovered
        Micro-credits since the first loss.
    lost_on_pledges
        Part of the losses that came from liquidated pledges: nobody owes them any more.
    """

    def __init__(
        self,
        addresses: Mapping[str, str],
        anomalies: Anomalies,
        deposits: DepositBook,
        rate_at_target: int,
    ) -> None:
        super().__init__(addresses, anomalies)
        self._deposits = deposits
        self.debt = 0
        self.cash = 0
        self.debt_shares = 0
        self.accrued_at = 0
        self.rate_at_target = rate_at_target
        self.fees_owed = 0
        self.cap_base = 0
        self.unsecured_shares = 0
        self.paused = False
        self.shares: dict[str, int] = defaultdict(int)
        self.supply = 0
        self.allowance_pairs: set[tuple[str, str]] = set()
        self.pledges: dict[int, PledgedLoan] = {}
        self.standing: dict[str, StandingLoan] = {}
        self.risk: Timeline[Mapping[str, int]] = Timeline()
        self.policy: Timeline[tuple[bytes, int]] = Timeline()
        self.standing_borrowings: list[tuple[Event, int]] = []
        self.interest = 0
        self.fees = 0
        self.lost_by_pool = 0
        self.lost_by_reserve = 0
        self.lost_on_pledges = 0
        self.recovered = 0
        self._loss: _Loss | None = None
        self._covered: Event | None = None
        self._restored = 0
        self._minted: tuple[Event, str, int] | None = None
        self._value = (1, share_math.VIRTUAL_SHARES)

    def apply(self, event: Event, now: int) -> None:
        """Book one event; what the contract could not have booked stops at zero, as an anomaly."""
        super().apply(event, now)
        for name in ("debt", "cash", "debt_shares", "unsecured_shares", "supply"):
            value = getattr(self, name)
            if value < 0:
                self.anomaly("pool", event, f"{name} of 0 or more", value, "more was taken than there was")
                setattr(self, name, 0)
        # Between a liquidation and its write-off the fees owed are not cut yet.
        if self._loss is not None:
            return
        if self.assets < 0:
            self.anomaly(
                "pool", event, "assets of 0 or more", self.assets, "fees were owed beyond all there is"
            )
            self.fees_owed = self.cash + self.debt
        self.cap_base = min(self.cap_base, self.assets)

    # ------------------------------------------------------------------ what follows from the state

    @property
    def assets(self) -> int:
        """Micro-credits that belong to the suppliers."""
        return self.cash + self.debt - self.fees_owed

    @property
    def lost(self) -> int:
        """Written off loans on standing and not recovered yet, micro-credits."""
        return sum(loan.lost for loan in self.standing.values())

    def owed(self, shares: int) -> int:
        """Return what shares of the debt owe, rounded up; whoever has all of them owes all of it."""
        return self._owed_of(shares, self.debt)

    def _owed_of(self, shares: int, debt: int) -> int:
        owed = share_math.to_assets_up(shares, debt, self.debt_shares)
        return max(owed, debt) if shares == self.debt_shares else owed

    def due_interest(self, now: int) -> tuple[int, int, int]:
        """Return interest and fee since the last accrual, and the rate at target after it."""
        elapsed = now - self.accrued_at
        if elapsed <= 0 or (self.debt == 0 and self.cash == 0):
            return 0, 0, self.rate_at_target
        used = adaptive_rate.utilisation(self.debt, self.cash)
        mean, end = adaptive_rate.adapt(self.rate_at_target, used, elapsed)
        growth = adaptive_rate.growth(adaptive_rate.borrow_rate(mean, used), elapsed)
        interest = min(mul_div_up(growth, self.debt, adaptive_rate.WAD), MAX_AMOUNT - self.debt)
        return interest, mul_div_down(interest, self._risk("feeBps"), ONE_BPS), end

    def due_cap_base(self, now: int) -> int:
        """Return the base of the cap once interest is accrued up to ``now``."""
        interest, fee, _ = self.due_interest(now)
        assets = self.assets + interest - fee
        return min(assets, self.cap_base + mul_div_up(assets, max(0, now - self.accrued_at), CAP_RISE_TIME))

    def due_from_claims(self, borrower: str, now: int) -> int:
        """Return how much of the borrower's next claims goes to its loan on standing."""
        loan = self.standing.get(borrower)
        if loan is None or now < loan.due_at:
            return 0
        return self._owed_of(loan.shares, self.debt + self.due_interest(now)[0]) + loan.lost

    def account_of(self, borrower: str) -> str | None:
        """Return the account a borrower's loan on standing was made on."""
        loan = self.standing.get(borrower)
        return None if loan is None else loan.account

    def finish(self) -> None:
        """Close the last operation: a debt that vanished must have been written off, shares paid for."""
        if self._loss is not None:
            where = f"loan of {self._loss.borrower}"
            meaning = "a debt vanished from the books without a word"
            difference = Difference(where, f"{self._loss.amount} written off", "nothing", meaning)
            self.anomalies.append(("losses", difference))
        self._require_paid_for()

    def _require_paid_for(self) -> None:
        if self._minted is not None:
            event, holder, amount = self._minted
            self.anomaly(
                "shares", event, "a deposit or withdrawal", f"{amount} of {holder}", "shares from nowhere"
            )

    def _risk(self, name: str) -> int:
        return int((self.risk.last or {}).get(name, 0))

    # ------------------------------------------------------------------ shares

    def _transfer(self, event: Event, now: int) -> None:
        sender, receiver, amount = event.args["from"], event.args["to"], int(event.args["value"])
        if ZERO_ADDRESS in (sender, receiver):
            self._require_paid_for()
            self._minted = (event, receiver if sender == ZERO_ADDRESS else sender, amount)
        if sender == ZERO_ADDRESS:
            self.supply += amount
        else:
            self.require(
                amount <= self.shares[sender],
                "shares",
                event,
                f"at most {self.shares[sender]} shares to leave {sender}",
                amount,
                "shares were moved that no event ever gave to this address",
            )
            self.shares[sender] -= amount
        if receiver == ZERO_ADDRESS:
            self.supply -= amount
        else:
            self.shares[receiver] += amount

    def _approval(self, event: Event, now: int) -> None:
        self.allowance_pairs.add((event.args["owner"], event.args["spender"]))

    def _supplied(self, event: Event, now: int) -> None:
        self._require_accrued(event, now)
        assets, shares = int(event.args["assets"]), int(event.args["shares"])
        self._pay_for_shares(event, event.args["owner"], shares)
        before = max(0, self.supply - shares)
        exact = (
            share_math.to_shares_down(assets, self.assets, before),
            share_math.to_assets_up(shares, self.assets, before),
        )
        self.require(
            shares == exact[0] or assets == exact[1],
            "shares",
            event,
            f"{exact[0]} shares for {assets} (rounded down), or {exact[1]} for {shares} shares (rounded up)",
            f"{shares} shares for {assets}",
            "shares were issued at another price than the pool's",
        )
        self.cash += assets
        self._value_kept(event)

    def _withdrawn(self, event: Event, now: int) -> None:
        self._require_accrued(event, now)
        assets, shares = int(event.args["assets"]), int(event.args["shares"])
        self._pay_for_shares(event, event.args["owner"], shares)
        before = self.supply + shares
        exact = (
            share_math.to_shares_up(assets, self.assets, before),
            share_math.to_assets_down(shares, self.assets, before),
        )
        self.require(
            shares == exact[0] or assets == exact[1],
            "shares",
            event,
            f"{exact[0]} shares for {assets} (rounded up), or {exact[1]} for {shares} shares (rounded down)",
            f"{shares} shares for {assets}",
            "shares were redeemed at another price than the pool's",
        )
        self._pay_cash(event, assets)
        self._value_kept(event)

    def _pay_for_shares(self, event: Event, holder: str, shares: int) -> None:
        """The shares were minted or burned just before."""
        minted, self._minted = self._minted, None
        self.require(
            minted is not None
            and minted[0].transaction == event.transaction
            and minted[1:] == (holder, shares),
            "shares",
            event,
            f"{shares} shares of {holder} minted or burned just before",
            None if minted is None else minted[1:],
            "shares and what was paid for them do not belong together",
        )

    def _value_kept(self, event: Event) -> None:
        """A share is never worth less than before."""
        assets, shares = self.assets + share_math.VIRTUAL_ASSETS, self.supply + share_math.VIRTUAL_SHARES
        self.require(
            assets * self._value[1] >= self._value[0] * shares,
            "shares",
            event,
            f"a share worth at least {self._value[0]} / {self._value[1]}",
            f"{assets} / {shares}",
            "suppliers' shares lost value without a write-off",
        )
        self._value = (assets, shares)

    # ------------------------------------------------------------------ interest

    def _accrued(self, event: Event, now: int) -> None:
        interest, fee, rate = self.due_interest(now)
        self.require(
            now > self.accrued_at, "interest", event, f"after {self.accrued_at}", now, "interest twice"
        )
        meaning = "interest is what rate, utilisation and elapsed time make of the debt"
        self.equal("interest", event, "interest", interest, meaning)
        self.equal("interest", event, "fee", fee, "the fee is its part of the interest, rounded down")
        self.equal("interest", event, "rateAtTarget", rate, "the rate moved otherwise than utilisation asks")
        self.cap_base = self.due_cap_base(now)
        self.debt += int(event.args["interest"])
        self.fees_owed += int(event.args["fee"])
        self.interest += int(event.args["interest"])
        self.fees += int(event.args["fee"])
        self.rate_at_target = int(event.args["rateAtTarget"])
        self.accrued_at = now
        self._value_kept(event)

    def _require_accrued(self, event: Event, now: int) -> None:
        """Whatever changes the books accrues first."""
        self.require(
            self.accrued_at == now,
            "interest",
            event,
            f"interest accrued up to {now}",
            self.accrued_at,
            "somebody borrowed or repaid at a debt of another time",
        )

    # ------------------------------------------------------------------ loans against receipts

    def _pledged(self, event: Event, now: int) -> None:
        receipt, borrower = int(event.args["receiptId"]), event.args["borrower"]
        holder = self._deposits.owners.get(receipt, ZERO_ADDRESS)
        self.equal("loans", event, "borrower", holder, "a receipt was pledged by who did not hold it")
        self.require(
            receipt not in self.pledges,
            "loans",
            event,
            "a free receipt",
            receipt,
            "a receipt was pledged twice",
        )
        self.pledges[receipt] = PledgedLoan(borrower)

    def _released(self, event: Event, now: int) -> None:
        receipt = int(event.args["receiptId"])
        loan = self._pledge(event)
        self.equal("loans", event, "borrower", loan.borrower, "a receipt was released to another")
        self.require(
            loan.shares == 0,
            "loans",
            event,
            "no debt",
            loan.shares,
            "a receipt was released with a debt on it",
        )
        self.pledges.pop(receipt, None)

    def _borrowed(self, event: Event, now: int) -> None:
        self._require_accrued(event, now)
        receipt = int(event.args["receiptId"])
        loan = self._pledge(event)
        self.equal("loans", event, "borrower", loan.borrower, "another borrowed on the pledge")
        loan.shares += self._lend(event)
        self._require_not_small(event, loan.shares)
        if receipt in self._deposits.deposits:
            value = self._deposits.exit_value(receipt, now)
            limit = mul_div_down(value, self._risk("maxLtvBps"), ONE_BPS)
            debt = self.owed(loan.shares)
            self.require(
                debt <= limit,
                "loans",
                event,
                f"a debt of at most {limit}",
                debt,
                "more was lent than it carries",
            )
        self._value_kept(event)

    def _repaid(self, event: Event, now: int) -> None:
        self._require_accrued(event, now)
        loan = self._pledge(event)
        loan.shares -= self._take_in(event, loan.shares)
        self._value_kept(event)

    def _liquidated(self, event: Event, now: int) -> None:
        self._require_accrued(event, now)
        loan, receipt = self._pledge(event), int(event.args["receiptId"])
        names = ("proceeds", "incentive", "debt", "repaid", "returned")
        args = {name: int(event.args[name]) for name in names}
        here = self.addresses["CreditLending"]
        closing = self._deposits.closed.get(receipt)
        if closing is None or (closing.transaction, closing.to, closing.owner) != (
            event.transaction,
            here,
            here,
        ):
            self.anomaly(
                "loans", event, f"receipt {receipt} closed for it", closing, "no deposit was closed for it"
            )
        else:
            self.equal("loans", event, "proceeds", closing.paid, "the deposit brought another sum")
        debt, proceeds = self.owed(loan.shares), args["proceeds"]
        threshold = mul_div_down(proceeds, self._risk("liquidationLtvBps"), ONE_BPS)
        incentive = mul_div_down(proceeds, self._risk("incentiveBps"), ONE_BPS)
        repaid = min(debt, proceeds - incentive)
        self.equal("loans", event, "borrower", loan.borrower, "another's pledge was liquidated")
        self.equal("loans", event, "debt", debt, "another debt was settled than was owed")
        self.require(
            debt > threshold,
            "loans",
            event,
            f"a debt above {threshold}",
            debt,
            "a pledge that covered was liquidated",
        )
        self.equal(
            "loans", event, "incentive", incentive, "the incentive is its part of the proceeds, rounded down"
        )
        self.equal("loans", event, "repaid", repaid, "what the incentive leaves repays the debt")
        self.equal("loans", event, "returned", proceeds - incentive - repaid, "the rest is the borrower's")
        self.cash += args["repaid"]
        self._retire(args["debt"], loan.shares)
        self.pledges.pop(receipt, None)
        if args["repaid"] < args["debt"]:
            self._loss = _Loss(loan.borrower, receipt, args["debt"] - args["repaid"])
        else:
            self._value_kept(event)

    def _pledge(self, event: Event) -> PledgedLoan:
        receipt = int(event.args["receiptId"])
        if receipt not in self.pledges:
            self.anomaly("loans", event, f"receipt {receipt} pledged", "it is not", "there is no such pledge")
        return self.pledges.get(receipt, PledgedLoan(ZERO_ADDRESS))

    def _lend(self, event: Event) -> int:
        """Book new debt; return its shares."""
        amount, shares = int(event.args["amount"]), int(event.args["shares"])
        expected = share_math.to_shares_up(amount, self.debt, self.debt_shares)
        self.equal("loans", event, "shares", expected, "a borrowing owes its shares of the debt, rounded up")
        self.require(
            not self.paused and amount > 0,
            "loans",
            event,
            "some amount, not paused",
            amount,
            "it was refused",
        )
        self._pay_cash(event, amount)
        self.debt += amount
        self.debt_shares += shares
        return shares

    def _require_not_small(self, event: Event, shares: int) -> None:
        debt, least = self.owed(shares), self._risk("minLoan")
        self.require(
            debt >= least, "loans", event, f"a debt of at least {least}", debt, "a loan below the smallest"
        )

    def _take_in(self, event: Event, owned: int) -> int:
        """Book a repayment; return the shares it retires."""
        amount, shares = int(event.args["amount"]), int(event.args["shares"])
        owed = self.owed(owned)
        self.require(
            0 < amount <= owed, "loans", event, f"1 to {owed}", amount, "another sum was paid than is owed"
        )
        part = share_math.to_shares_down(amount, self.debt, self.debt_shares)
        expected = owned if amount >= owed else part
        self.equal(
            "loans", event, "shares", expected, "a repayment retires its shares of the debt, rounded down"
        )
        self.cash += amount
        self._retire(amount, shares)
        return shares

    def _retire(self, debt: int, shares: int) -> None:
        self.debt -= min(debt, self.debt)
        self.debt_shares -= shares

    def _pay_cash(self, event: Event, amount: int) -> None:
        self.require(
            amount <= self.cash,
            "pool",
            event,
            f"at most the cash, {self.cash}",
            amount,
            "it paid what it had not",
        )
        self.cash -= amount

    # ------------------------------------------------------------------ loans on standing

    def _borrowed_on_standing(self, event: Event, now: int) -> None:
        self._require_accrued(event, now)
        borrower, account = event.args["borrower"], event.args["account"]
        loan = self.standing.get(borrower)
        if loan is None:
            loan = self.standing[borrower] = StandingLoan(account, now + self._risk("standingTerm"))
        else:
            self.require(
                now < loan.due_at,
                "loans",
                event,
                f"before {loan.due_at}",
                now,
                "who is overdue borrowed more",
            )
        self.equal("loans", event, "account", loan.account, "one loan, one account")
        self.equal("loans", event, "dueAt", loan.due_at, "another due day than the first borrowing's")
        shares = self._lend(event)
        loan.shares += shares
        loan.principal += int(event.args["amount"])
        self.unsecured_shares += shares
        self._require_not_small(event, loan.shares)
        debt, limit = self.owed(loan.shares), int(event.args["limit"])
        self.require(
            debt <= limit, "loans", event, f"a debt of at most {limit}", debt, "standing did not allow it"
        )
        unsecured = self.owed(self.unsecured_shares)
        cap = mul_div_down(self.cap_base, self._risk("unsecuredCapBps"), ONE_BPS)
        self.require(
            unsecured <= cap, "loans", event, f"at most {cap} lent on standing", unsecured, "beyond the cap"
        )
        self.standing_borrowings.append((event, now))
        self._value_kept(event)

    def _standing_repaid(self, event: Event, now: int) -> None:
        self._require_accrued(event, now)
        loan = self._standing_loan(event)
        self._require_overdue(event, loan, now, bool(event.args["fromClaim"]))
        shares = self._take_in(event, loan.shares)
        loan.shares -= shares
        loan.principal = max(0, loan.principal - int(event.args["amount"]))
        self.unsecured_shares -= shares
        self._close_repaid(event.args["borrower"], loan)
        self._value_kept(event)

    def _recovered(self, event: Event, now: int) -> None:
        self._require_accrued(event, now)
        loan = self._standing_loan(event)
        self._require_overdue(event, loan, now, event.args["payer"] == self.addresses["CreditDistributor"])
        of_pool, of_reserve = int(event.args["ofPool"]), int(event.args["ofReserve"])
        self.require(
            loan.shares == 0
            and of_pool + of_reserve > 0
            and of_pool <= loan.lost_by_pool
            and of_reserve <= loan.lost_by_reserve
            and (of_reserve == 0 or of_pool == loan.lost_by_pool),
            "losses",
            event,
            f"up to {loan.lost_by_pool} of the pool's loss, then {loan.lost_by_reserve} of the reserve's",
            f"{of_pool} and {of_reserve}",
            "more was recovered than was lost, or in another order",
        )
        loan.lost_by_pool -= of_pool
        loan.lost_by_reserve -= of_reserve
        self.recovered += of_pool + of_reserve
        self._close_repaid(event.args["borrower"], loan)
        self._value_kept(event)

    def _standing_loan(self, event: Event) -> StandingLoan:
        borrower = event.args["borrower"]
        if borrower not in self.standing:
            self.anomaly("loans", event, f"a loan of {borrower}", "none", "there is no such loan")
        return self.standing.get(borrower, StandingLoan(ZERO_ADDRESS, 0))

    def _require_overdue(self, event: Event, loan: StandingLoan, now: int, from_claim: bool) -> None:
        self.require(
            not from_claim or now >= loan.due_at,
            "loans",
            event,
            f"from {loan.due_at} on",
            now,
            "a claim was taken for a loan that was not due",
        )

    def _close_repaid(self, borrower: str, loan: StandingLoan) -> None:
        if loan.shares == 0 and loan.lost == 0:
            self.standing.pop(borrower, None)

    # ------------------------------------------------------------------ losses

    def _loss_covered(self, event: Event, now: int) -> None:
        self._covered = event

    def _written_off(self, event: Event, now: int) -> None:
        self._require_accrued(event, now)
        receipt = int(event.args["receiptId"])
        from_reserve, from_pool = int(event.args["fromReserve"]), int(event.args["fromPool"])
        loan = None if receipt else self._standing_loan(event)
        # A pledge covered its debt whenever something was lent on it: what it does not repay is interest.
        lost_principal = 0
        if loan is not None:
            failed_at = loan.due_at + self._risk("grace")
            debt = self.owed(loan.shares)
            self.require(
                loan.shares > 0 and now >= failed_at,
                "losses",
                event,
                f"a debt, and at least {failed_at}",
                f"{debt} at {now}",
                "a loan was written off that had not failed",
            )
            lost_principal = min(debt, loan.principal)
            self._retire(debt, loan.shares)
            self.unsecured_shares -= loan.shares
            loan.shares = loan.principal = 0
            loan.lost_by_pool, loan.lost_by_reserve = from_pool, from_reserve
            self._loss = _Loss(event.args["borrower"], 0, debt)
        else:
            self.lost_on_pledges += from_reserve + from_pool
        loss, self._loss = self._loss, None
        self.require(
            loss == _Loss(event.args["borrower"], receipt, from_reserve + from_pool),
            "losses",
            event,
            "no loss" if loss is None else f"{loss.amount} of {loss.borrower}",
            f"{from_reserve + from_pool} of {event.args['borrower']}",
            "the loss is another than the debt that was not paid",
        )
        interest = from_reserve + from_pool - lost_principal
        self.equal("losses", event, "interest", interest, "what was lent is lost first, the rest is interest")
        self._require_covered(event, receipt, lost_principal, from_reserve)
        self.cash += from_reserve
        fees_left = max(0, self.fees_owed - mul_div_down(interest, self._risk("feeBps"), ONE_BPS))
        self.fees_owed = min(fees_left, self.cash + self.debt)
        self.lost_by_pool += from_pool
        self.lost_by_reserve += from_reserve
        supply = self.supply + share_math.VIRTUAL_SHARES
        self.require(
            (self.assets + from_pool + share_math.VIRTUAL_ASSETS) * self._value[1] >= self._value[0] * supply,
            "losses",
            event,
            f"the suppliers to lose at most {from_pool}",
            f"{self.assets} left of {self._value[0] - share_math.VIRTUAL_ASSETS}",
            "the suppliers lost more than was written off",
        )
        self._value = (self.assets + share_math.VIRTUAL_ASSETS, supply)

    def _require_covered(self, event: Event, receipt: int, lost_principal: int, from_reserve: int) -> None:
        """The reserve was asked for the principal a loan on standing lost, and for nothing of a pledge's."""
        covered, self._covered = self._covered, None
        if covered is not None and covered.transaction != event.transaction:
            covered = None
        asked = None if covered is None else (int(covered.args["loss"]), int(covered.args["paid"]))
        self.require(
            asked == (None if receipt else (lost_principal, from_reserve)) and from_reserve <= lost_principal,
            "losses",
            event,
            "nothing from the reserve"
            if receipt
            else f"the fee pool's reserve asked for {lost_principal}, paying {from_reserve}",
            f"{from_reserve}, asked for and paid: {asked}",
            "the reserve says otherwise about the loss, or paid for interest",
        )

    # ------------------------------------------------------------------ upkeep and settings

    def _fees_paid(self, event: Event, now: int) -> None:
        self._require_accrued(event, now)
        fees = int(event.args["fees"])
        expected = min(self.fees_owed, self.cash)
        self.equal("pool", event, "fees", expected, "fees are paid as far as there is cash")
        self.require(
            fees + int(event.args["strays"]) > 0, "pool", event, "something", 0, "nothing was passed on"
        )
        self.fees_owed -= fees
        self.cash -= fees
        self._value_kept(event)

    def _risk_set(self, event: Event, now: int) -> None:
        if self.risk.last is None:
            self.accrued_at = now  # the constructor's
        self._require_accrued(event, now)
        settings = {name: int(value) for name, value in event.args["settings"].items()}
        sane = (
            settings["maxLtvBps"] < settings["liquidationLtvBps"]
            and settings["liquidationLtvBps"] + settings["incentiveBps"] <= ONE_BPS
            and all(low <= settings[name] <= high for name, (low, high) in RISK_BOUNDS.items())
        )
        self.require(
            sane, "pool", event, "settings within their bounds", settings, "the pool refuses these settings"
        )
        self.risk.set(event.position, settings)

    def _paused_set(self, event: Event, now: int) -> None:
        self.paused = bool(event.args["paused"])

    def _policy_accepted(self, event: Event, now: int) -> None:
        self.policy.set(event.position, (event.args["policyHash"], int(event.args["decayK"])))

    HANDLERS: ClassVar[Mapping[str, Callable[[Any, Event, int], None]]] = {
        "Transfer": _transfer,
        "Approval": _approval,
        "Deposit": _supplied,
        "Withdraw": _withdrawn,
        "InterestAccrued": _accrued,
        "Pledged": _pledged,
        "Released": _released,
        "Borrowed": _borrowed,
        "Repaid": _repaid,
        "Liquidated": _liquidated,
        "BorrowedOnStanding": _borrowed_on_standing,
        "StandingRepaid": _standing_repaid,
        "Recovered": _recovered,
        "LossCovered": _loss_covered,
        "WrittenOff": _written_off,
        "FeesPaid": _fees_paid,
        "RiskSet": _risk_set,
        "BorrowingPausedSet": _paused_set,
        "PolicyAccepted": _policy_accepted,
    }
