"""The time bank as its events leave it: deposits, who holds their receipts, and where all income went.

Numbers are computed anew as ``ITimeBank`` says: released income from what is pending and the time since the
last release, income of a deposit from index and weight (rounded down), fee and penalty (rounded up).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from timebank_chain.audit.book import ONE_BPS, Anomalies, Book
from timebank_chain.audit.evidence import Event
from timebank_chain.audit.replay import ZERO_ADDRESS
from timebank_chain.units import mul_div_up

#: Bounds of the contract.
MIN_DEPOSIT = 1_000
MAX_MULTIPLIER_MILLI = 10_000
MAX_PENALTY_BPS = 2_000
MAX_INCOME_FEE_BPS = 2_000
MAX_RELEASE_SECONDS = 90 * 86_400

#: The index counts micro-credits per weight in units of 2^-64.
INDEX_BITS = 64

#: The term that claims fall back to and that term deposits lapse to.
DEMAND = 0


@dataclass
class Term:
    """A kind of deposit: seconds, thousandths, hundredths of a percent."""

    duration: int
    multiplier_milli: int
    penalty_bps: int
    open: bool = True


@dataclass
class Deposit:
    """One deposit: micro-credits, Unix seconds, its term, index up to which its income is settled."""

    principal: int
    matures_at: int
    term_id: int
    income_index: int


@dataclass(frozen=True)
class Closing:
    """What closing a deposit paid, to whom, and by which transaction."""

    transaction: bytes
    owner: str
    to: str
    paid: int


class DepositBook(Book):
    """The state of the time bank.

    Attributes
    ----------
    terms, deposits
        By number.
    owners, receipts_of, approved, operators
        ERC-721: holder of each receipt, receipts of each holder, who is approved for a receipt, and who for
        all of a holder's.
    income_index, accrued_at, owed, next_id, total_weight, pending
        The books, as ``BankBooks`` names them.
    closed
        Receipt -> how its deposit ended.
    received, penalties, released, paid, fees
        Micro-credits since the first deposit: fees and gifts that came in, penalties, income released,
        income paid out (its fees included), fees on it.
    """

    def __init__(self, addresses: Mapping[str, str], anomalies: Anomalies) -> None:
        super().__init__(addresses, anomalies)
        self.terms: list[Term] = []
        self.deposits: dict[int, Deposit] = {}
        self.owners: dict[int, str] = {}
        self.receipts_of: Counter[str] = Counter()
        self.approved: dict[int, str] = {}
        self.operators: dict[tuple[str, str], bool] = {}
        self.income_index = 0
        self.accrued_at = 0
        self.owed = 0
        self.next_id = 1
        self.total_weight = 0
        self.pending = 0
        self.income_fee_bps = 0
        self.release_seconds = 0
        self.closed: dict[int, Closing] = {}
        self.received = 0
        self.penalties = 0
        self.released = 0
        self.paid = 0
        self.fees = 0
        self._burned: dict[int, str] = {}

    # ------------------------------------------------------------------ what follows from the state

    @property
    def principal(self) -> int:
        """Sum of the principals."""
        return sum(deposit.principal for deposit in self.deposits.values())

    def release_due(self, now: int) -> tuple[int, int]:
        """Return what is to be released at ``now`` and the index after it.

        Only as much as the index, rounded down, can express; rounded up, so that ``owed`` covers everybody.
        """
        if self.total_weight <= 0 or self.pending <= 0 or now <= self.accrued_at:
            return 0, self.income_index
        elapsed = now - self.accrued_at
        due = self.pending * elapsed // (elapsed + self.release_seconds)
        delta = (due << INDEX_BITS) // self.total_weight
        return mul_div_up(delta, self.total_weight, 1 << INDEX_BITS), self.income_index + delta

    def weight(self, deposit: Deposit) -> int:
        """Return a deposit's weight in the income."""
        return deposit.principal * self.multiplier(deposit)

    def multiplier(self, deposit: Deposit) -> int:
        """Return the multiplier of a deposit's term, in thousandths."""
        return self._term(deposit.term_id).multiplier_milli

    def income(self, deposit: Deposit, index: int | None = None) -> int:
        """Return what a deposit has earned up to an index (by default the present one), rounded down."""
        grown = (self.income_index if index is None else index) - deposit.income_index
        return grown * self.weight(deposit) >> INDEX_BITS

    def exit_value(self, receipt: int, now: int) -> int:
        """Return what closing a deposit would pay at ``now``."""
        deposit = self.deposits[receipt]
        if now < deposit.matures_at:
            return deposit.principal - self._penalty(deposit)
        income = self.income(deposit, self.release_due(now)[1])
        return deposit.principal + income - self._fee(income)

    def _term(self, term_id: int) -> Term:
        return self.terms[term_id] if term_id < len(self.terms) else Term(0, 0, 0, open=False)

    def _fee(self, income: int) -> int:
        return mul_div_up(income, self.income_fee_bps, ONE_BPS)

    def _penalty(self, deposit: Deposit) -> int:
        return mul_div_up(deposit.principal, self._term(deposit.term_id).penalty_bps, ONE_BPS)

    # ------------------------------------------------------------------ receipts

    def _transfer(self, event: Event, now: int) -> None:
        sender, receiver, receipt = event.args["from"], event.args["to"], int(event.args["tokenId"])
        holder = self.owners.pop(receipt, ZERO_ADDRESS)
        self.equal("deposits", event, "from", holder, "a receipt was handed over by who does not hold it")
        if sender == ZERO_ADDRESS:
            self.equal("deposits", event, "tokenId", self.next_id, "receipts are numbered in order")
        else:
            self.receipts_of[sender] -= 1
        self.approved.pop(receipt, None)
        if receiver == ZERO_ADDRESS:
            self._burned[receipt] = sender
        else:
            self.owners[receipt] = receiver
            self.receipts_of[receiver] += 1

    def _approval(self, event: Event, now: int) -> None:
        self.approved[int(event.args["tokenId"])] = event.args["approved"]

    def _approval_for_all(self, event: Event, now: int) -> None:
        self.operators[event.args["owner"], event.args["operator"]] = bool(event.args["approved"])

    # ------------------------------------------------------------------ deposits

    def _deposited(self, event: Event, now: int) -> None:
        args = event.args
        receipt, amount, term_id = int(args["id"]), int(args["amount"]), int(args["termId"])
        self._require_released(event, now)
        self.equal("deposits", event, "id", self.next_id, "deposits are numbered in order")
        self.equal(
            "deposits",
            event,
            "owner",
            self.owners.get(receipt, ZERO_ADDRESS),
            "the receipt went to another than the deposit's owner",
        )
        term = self._term(term_id)
        by_claim = args["depositor"] == self.addresses["CreditDistributor"]
        self.require(
            term.multiplier_milli > 0 and (term.open or (by_claim and term_id == DEMAND)),
            "deposits",
            event,
            "a term that is open",
            f"term {term_id}",
            "a deposit was taken under a term that takes none",
        )
        least = 1 if by_claim else MIN_DEPOSIT
        self.require(
            amount >= least, "deposits", event, f"at least {least}", amount, "a deposit below the smallest"
        )
        self.equal(
            "deposits", event, "maturesAt", now + term.duration, "a deposit matures after its term, not else"
        )
        if self.total_weight == 0:  # no time before the first depositor is paid for
            self.accrued_at = now
        deposit = Deposit(amount, int(args["maturesAt"]), term_id, self.income_index)
        self.deposits[receipt] = deposit
        self.total_weight += self.weight(deposit)
        self.next_id = receipt + 1

    def _withdrawn(self, event: Event, now: int) -> None:
        self._require_released(event, now)
        deposit = self._closing(event)
        if deposit is None:
            return
        income, fee = self._settle(event, deposit, now)
        self.owed -= income
        self._remove(event, deposit, now, deposit.principal + income - fee)

    def _exited_early(self, event: Event, now: int) -> None:
        self._require_released(event, now)
        deposit = self._closing(event)
        if deposit is None:
            return
        penalty, forfeited = int(event.args["penalty"]), int(event.args["forfeited"])
        self.require(
            now < deposit.matures_at,
            "deposits",
            event,
            f"before {deposit.matures_at}",
            now,
            "a mature deposit pays no penalty",
        )
        meaning = "an early exit was charged another penalty than its term's, rounded up"
        self.equal("income", event, "penalty", self._penalty(deposit), meaning)
        meaning = "an early exit forfeits the income accrued, no more and no less"
        self.equal("income", event, "forfeited", self.income(deposit), meaning)
        self.owed -= forfeited
        self.penalties += penalty
        self._add_pending(penalty + forfeited, now)
        self._remove(event, deposit, now, deposit.principal - penalty)

    def _income_collected(self, event: Event, now: int) -> None:
        self._require_released(event, now)
        deposit = self._standing(event)
        if deposit is None:
            return
        income, _ = self._settle(event, deposit, now)
        self.require(income > 0, "income", event, "some income", income, "nothing was collected")
        self.owed -= income
        deposit.income_index = self.income_index

    def _rolled_over(self, event: Event, now: int) -> None:
        self._require_released(event, now)
        deposit = self._standing(event)
        if deposit is None:
            return
        term_id, lapsed = int(event.args["termId"]), bool(event.args["lapsed"])
        income, fee = self._settle(event, deposit, now)
        term, before = self._term(term_id), self._term(deposit.term_id)
        self.require(
            (term_id == DEMAND and before.duration != 0) if lapsed else term.open,
            "deposits",
            event,
            "from a term deposit to demand" if lapsed else "a term that is open",
            f"from term {deposit.term_id} to term {term_id}",
            "a deposit was renewed under a term it could not go to",
        )
        meaning = "a renewed deposit is the old one and its income less the fee"
        self.equal("income", event, "principal", deposit.principal + income - fee, meaning)
        meaning = "a deposit matures after its term, not else"
        self.equal("deposits", event, "maturesAt", now + term.duration, meaning)
        self.owed -= income
        self.total_weight -= self.weight(deposit)
        deposit.principal = int(event.args["principal"])
        deposit.matures_at = int(event.args["maturesAt"])
        deposit.term_id = term_id
        deposit.income_index = self.income_index
        self.total_weight += self.weight(deposit)

    def _settle(self, event: Event, deposit: Deposit, now: int) -> tuple[int, int]:
        """Check income and fee of a mature deposit; return both as the event has them."""
        self.require(
            now >= deposit.matures_at,
            "deposits",
            event,
            f"from {deposit.matures_at} on",
            now,
            "a deposit was paid as mature that was not",
        )
        income, fee = int(event.args["income"]), int(event.args["fee"])
        meaning = "the income is what the index grew by, times the weight, rounded down"
        self.equal("income", event, "income", self.income(deposit), meaning)
        self.equal("income", event, "fee", self._fee(income), "the fee is the rate in force, rounded up")
        self.paid += income
        self.fees += fee
        return income, fee

    def _standing(self, event: Event) -> Deposit | None:
        receipt = int(event.args["id"])
        deposit = self.deposits.get(receipt)
        self.require(
            deposit is not None, "deposits", event, f"deposit {receipt}", "none", "there is no such deposit"
        )
        return deposit

    def _closing(self, event: Event) -> Deposit | None:
        """Return the deposit that ends; its receipt was burned just before."""
        deposit = self._standing(event)
        if deposit is not None:
            holder = self._burned.get(int(event.args["id"]), ZERO_ADDRESS)
            self.equal("deposits", event, "owner", holder, "another's receipt was burned")
            meaning = "another principal was paid out than was deposited"
            self.equal("deposits", event, "principal", deposit.principal, meaning)
        return deposit

    def _remove(self, event: Event, deposit: Deposit, now: int, paid: int) -> None:
        receipt = int(event.args["id"])
        self.closed[receipt] = Closing(event.transaction, event.args["owner"], event.args["to"], paid)
        self.total_weight -= self.weight(deposit)
        del self.deposits[receipt]
        if not self.deposits:  # nobody is left whom remainders of rounding could be owed to
            rest, self.owed = self.owed, 0
            self._add_pending(rest, now)

    # ------------------------------------------------------------------ income

    def _income_received(self, event: Event, now: int) -> None:
        self._require_released(event, now)
        amount = int(event.args["fromFees"]) + int(event.args["gifts"])
        self.require(amount > 0, "income", event, "some income", amount, "nothing was received")
        self.received += amount
        self._add_pending(amount, now)

    def _income_released(self, event: Event, now: int) -> None:
        amount, index = self.release_due(now)
        meaning = (
            "released is pending * elapsed / (elapsed + release time), as far as the index can express it"
        )
        self.equal("income", event, "amount", amount, meaning)
        self.equal("income", event, "incomeIndex", index, "the index grows by what is released per weight")
        self.equal("income", event, "totalWeight", self.total_weight, "income went to another weight")
        found = int(event.args["amount"])
        self.require(
            0 < found <= self.pending,
            "income",
            event,
            f"1 to {self.pending}",
            found,
            "income was released that never came in",
        )
        self.pending -= found
        self.owed += found
        self.released += found
        self.income_index = int(event.args["incomeIndex"])
        self.accrued_at = now

    def _add_pending(self, amount: int, now: int) -> None:
        if amount:
            self.pending += amount
            self.accrued_at = now

    def _require_released(self, event: Event, now: int) -> None:
        """Whatever changes the books releases first: nothing may be due any more."""
        due, _ = self.release_due(now)
        self.require(
            due == 0, "income", event, "all that is due released before", due, "income was held back"
        )

    # ------------------------------------------------------------------ settings

    def _term_added(self, event: Event, now: int) -> None:
        args = {name: int(value) for name, value in event.args.items()}
        term = Term(args["duration"], args["multiplierMilli"], args["penaltyBps"])
        self.equal("deposits", event, "termId", len(self.terms), "terms are numbered in order")
        self.require(
            0 < term.multiplier_milli <= MAX_MULTIPLIER_MILLI
            and term.penalty_bps <= MAX_PENALTY_BPS
            and (term.duration > 0 or term.penalty_bps == 0)
            and (bool(self.terms) or term.duration == 0),
            "deposits",
            event,
            "a possible term, the first of them demand",
            args,
            "a term was added that the bank refuses",
        )
        self.terms.append(term)

    def _term_open_set(self, event: Event, now: int) -> None:
        term_id = int(event.args["termId"])
        if self.require(
            term_id < len(self.terms), "deposits", event, "a term", term_id, "there is no such term"
        ):
            self.terms[term_id].open = bool(event.args["open"])

    def _income_fee_set(self, event: Event, now: int) -> None:
        meaning = "the fee before was another than the last one set"
        self.equal("income", event, "previousBps", self.income_fee_bps, meaning)
        self.income_fee_bps = int(event.args["feeBps"])
        self.require(
            self.income_fee_bps <= MAX_INCOME_FEE_BPS,
            "income",
            event,
            f"at most {MAX_INCOME_FEE_BPS}",
            self.income_fee_bps,
            "no fee on income can be this high",
        )

    def _release_time_set(self, event: Event, now: int) -> None:
        if self.release_seconds:
            self._require_released(event, now)
        meaning = "the release time before was another than the last one set"
        self.equal("income", event, "previousSeconds", self.release_seconds, meaning)
        self.release_seconds = int(event.args["releaseSeconds"])
        self.require(
            0 < self.release_seconds <= MAX_RELEASE_SECONDS,
            "income",
            event,
            f"1 to {MAX_RELEASE_SECONDS}",
            self.release_seconds,
            "no release time can be this",
        )

    HANDLERS: ClassVar[Mapping[str, Callable[[Any, Event, int], None]]] = {
        "Transfer": _transfer,
        "Approval": _approval,
        "ApprovalForAll": _approval_for_all,
        "Deposited": _deposited,
        "Withdrawn": _withdrawn,
        "ExitedEarly": _exited_early,
        "IncomeCollected": _income_collected,
        "RolledOver": _rolled_over,
        "IncomeReceived": _income_received,
        "IncomeReleased": _income_released,
        "TermAdded": _term_added,
        "TermOpenSet": _term_open_set,
        "IncomeFeeSet": _income_fee_set,
        "ReleaseTimeSet": _release_time_set,
    }
