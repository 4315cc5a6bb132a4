"""The time bank: deposits that earn what was really paid in, to the unit and in the contract's order.

How income reaches depositors: what arrives is ``pending``. After ``elapsed`` seconds with at least one
depositor, ``pending * elapsed / (elapsed + release_seconds)`` of it is released to all positions by weight,
and is ``owed`` until it is paid out. ``income_index`` is the income per weight since the first deposit, times
2^64.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from timebank_chain.spec.attention_credit import ZERO_ADDRESS, AttentionCredit
from timebank_chain.spec.fee_pool import ONE_BPS, FeePool
from timebank_chain.spec.revert import require
from timebank_chain.units import MicroCredit, mul_div_down, mul_div_up

__all__ = ["DEMAND", "INDEX_ONE", "BankBooks", "Position", "Term", "TimeBank"]

#: Where a claim goes whose term is gone, and where term deposits lapse to.
DEMAND = 0

#: One micro-credit per weight, as the index counts it.
INDEX_ONE = 1 << 64


@dataclass
class Term:
    """A kind of deposit; only ``open`` can change."""

    duration: int
    multiplier_milli: int
    penalty_bps: int
    open: bool = True


@dataclass
class Position:
    """A deposit: micro-credits, Unix seconds, number of its term, index up to which its income is settled."""

    principal: int
    matures_at: int
    term_id: int
    income_index: int


@dataclass
class BankBooks:
    """The books as stored: income due since ``accrued_at`` is not released in them."""

    income_index: int = 0
    accrued_at: int = 0
    owed: int = 0
    next_id: int = 1
    total_weight: int = 0
    principal: int = 0
    pending: int = 0


@dataclass
class TimeBank:
    """``bank/TimeBank.sol``: amounts in micro-credits, addresses as text, ``now`` in Unix seconds.

    Attributes
    ----------
    address
        Its own, as in the credit's balances.
    distributor
        The only address that may deposit claims.
    governor
        The only address with the role for the settings.
    owners, approvals, operators
        Receipts as ERC-721 tokens: who holds one, who is approved for one, and (owner, operator) for all.
    rooms
        The lending pool and the lease, once they are there: they take only receipts they fetch themselves.
    """

    MIN_DEPOSIT = 1_000
    MAX_MULTIPLIER_MILLI = 10_000
    MAX_PENALTY_BPS = 2_000
    MAX_INCOME_FEE_BPS = 2_000
    MAX_RELEASE_SECONDS = 90 * 86_400

    credit: AttentionCredit
    fee_pool: FeePool
    address: str
    distributor: str
    governor: str
    terms: list[Term]
    income_fee_bps: int
    release_seconds: int
    books: BankBooks = field(default_factory=BankBooks)
    positions: dict[int, Position] = field(default_factory=dict)
    owners: dict[int, str] = field(default_factory=dict)
    approvals: dict[int, str] = field(default_factory=dict)
    operators: set[tuple[str, str]] = field(default_factory=set)
    rooms: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what the constructor refuses."""
        require(bool(self.terms), "NoSuchTerm", DEMAND, 0)
        first = self.terms[DEMAND]
        require(first.duration == 0, "BadTerm", first.duration, first.multiplier_milli, first.penalty_bps)
        for term in self.terms:
            self._check_term(term)
        self._check_income_fee(self.income_fee_bps)
        self._check_release_time(self.release_seconds)

    # Deposits

    def deposit(self, caller: str, amount: int, term_id: int, owner: str, *, now: int) -> int:
        """Deposit the caller's credits for an owner; return the number of the receipt."""
        term = self._check_deposit(caller, amount, term_id, owner)
        self.credit.check_transfer_from(self.address, caller, self.address, amount)
        receipt = self._open(amount, term_id, term, owner, now)
        self.credit.transfer_from(self.address, caller, self.address, amount)
        return receipt

    def deposit_with_permit(self, caller: str, amount: int, term_id: int, owner: str, *, now: int) -> int:
        """As ``deposit``, with a valid permit of the caller for ``amount``, used only where it is needed."""
        self._check_deposit(caller, amount, term_id, owner)
        self.credit.check_transfer(caller, self.address, amount)
        if self.credit.allowances[caller, self.address] < amount:
            self.credit.approve(caller, self.address, amount)
        return self.deposit(caller, amount, term_id, owner, now=now)

    def deposit_claim(self, caller: str, owner: str, amount: int, term_id: int, *, now: int) -> int:
        """Book claimed credits that were minted to the bank just before; return the number of the receipt."""
        require(caller == self.distributor, "NotClaimsDistributor", caller, self.distributor)
        if term_id >= len(self.terms) or not self.terms[term_id].open:
            term_id = DEMAND
        self._check_receiver(owner)
        return self._open(amount, term_id, self.terms[term_id], owner, now)

    def withdraw(self, caller: str, receipt: int, to: str, *, now: int) -> MicroCredit:
        """Close a mature or demand deposit; return what was paid."""
        self._check_holder(caller, receipt)
        self._check_mature(receipt, now)
        position = self.positions[receipt]
        books = self._released(now)
        income = self._income_down(position, books)
        fee = self._fee_up(income)
        paid = position.principal + income - fee
        self.credit.check_transfer(self.address, to, paid)

        books.owed -= income
        self._remove(receipt, books, now)
        self.credit.transfer(self.address, to, paid)
        self._pay_fee(fee)
        return MicroCredit(paid)

    def exit_early(self, caller: str, receipt: int, to: str, *, now: int) -> MicroCredit:
        """Close a deposit before maturity at the price of its income and a penalty; return what was paid."""
        self._check_holder(caller, receipt)
        position = self.positions[receipt]
        require(not self._is_mature(position, now), "AlreadyMature", receipt, position.matures_at)
        books = self._released(now)
        income = self._income_down(position, books)
        penalty = self._penalty_up(position)
        paid = position.principal - penalty
        self.credit.check_transfer(self.address, to, paid)

        books.owed -= income
        self._add_pending(books, penalty + income, now)
        self._remove(receipt, books, now)
        self.credit.transfer(self.address, to, paid)
        return MicroCredit(paid)

    def close(self, caller: str, receipt: int, to: str, *, now: int) -> MicroCredit:
        """Close a deposit whichever way its age asks for; return what was paid."""
        self._check_holder(caller, receipt)
        if self._is_mature(self.positions[receipt], now):
            return self.withdraw(caller, receipt, to, now=now)
        return self.exit_early(caller, receipt, to, now=now)

    def collect_income(self, caller: str, receipt: int, to: str, *, now: int) -> MicroCredit:
        """Pay the income of a mature or demand deposit, which goes on; return what was paid."""
        self._check_holder(caller, receipt)
        self._check_mature(receipt, now)
        position = self.positions[receipt]
        books = self._released(now)
        income = self._income_down(position, books)
        require(income != 0, "NoIncome", receipt)
        fee = self._fee_up(income)
        paid = income - fee
        self.credit.check_transfer(self.address, to, paid)

        books.owed -= income
        self.books = books
        position.income_index = books.income_index
        self.credit.transfer(self.address, to, paid)
        self._pay_fee(fee)
        return MicroCredit(paid)

    def roll_over(self, caller: str, receipt: int, term_id: int, *, now: int) -> None:
        """Start a mature or demand deposit anew under a term, its income added."""
        self._check_holder(caller, receipt)
        self._check_mature(receipt, now)
        self._check_open(term_id)
        self._renew(receipt, term_id, now)

    def lapse(self, caller: str, receipt: int, *, now: int) -> None:
        """Move a mature term deposit to demand, its income added; anybody may."""
        self._check_exists(receipt)
        term = self.terms[self.positions[receipt].term_id]
        require(term.duration != 0, "NothingToLapse", receipt)
        self._check_mature(receipt, now)
        self._renew(receipt, DEMAND, now)

    # Income

    def collect(self, caller: str, *, now: int) -> tuple[MicroCredit, MicroCredit]:
        """Take in what has arrived and release what is due; return what came from fees and as gifts."""
        from_fees = self.fee_pool.pay_depositors(self.address)
        books = self._released(now)
        booked = books.principal + books.pending + books.owed
        gifts = self.credit.balance_of(self.address) - booked - from_fees
        self._add_pending(books, from_fees + gifts, now)
        self.books = books
        return from_fees, MicroCredit(gifts)

    # Settings

    def add_term(self, caller: str, duration: int, multiplier_milli: int, penalty_bps: int) -> int:
        """Add a term, open for deposits; return its number."""
        self._check_role(caller)
        term = Term(duration, multiplier_milli, penalty_bps)
        self._check_term(term)
        self.terms.append(term)
        return len(self.terms) - 1

    def set_term_open(self, caller: str, term_id: int, open_: bool) -> None:
        """Open or close a term for new deposits."""
        self._check_role(caller)
        self.term_of(term_id).open = open_

    def set_income_fee(self, caller: str, new_fee_bps: int) -> None:
        """Change the fee on income."""
        self._check_role(caller)
        self._check_income_fee(new_fee_bps)
        self.income_fee_bps = new_fee_bps

    def set_release_time(self, caller: str, new_release_seconds: int, *, now: int) -> None:
        """Change the release time; what is due is released under the old one first."""
        self._check_role(caller)
        self._check_release_time(new_release_seconds)
        self.books = self._released(now)
        self.release_seconds = new_release_seconds

    # Views

    def position_of(self, receipt: int) -> Position:
        """Return a deposit."""
        self._check_exists(receipt)
        return replace(self.positions[receipt])

    def income_of(self, receipt: int, *, now: int) -> MicroCredit:
        """Return what a deposit has earned up to now, before the fee."""
        self._check_exists(receipt)
        return MicroCredit(self._income_down(self.positions[receipt], self._released(now)))

    def exit_value_of(self, receipt: int, *, now: int) -> MicroCredit:
        """Return what ``close`` would pay now."""
        income = self.income_of(receipt, now=now)
        position = self.positions[receipt]
        if self._is_mature(position, now):
            return MicroCredit(position.principal + income - self._fee_up(income))
        return MicroCredit(position.principal - self._penalty_up(position))

    def term_of(self, term_id: int) -> Term:
        """Return a term."""
        require(term_id < len(self.terms), "NoSuchTerm", term_id, len(self.terms))
        return self.terms[term_id]

    def term_count(self) -> int:
        """Return how many terms there are."""
        return len(self.terms)

    # Receipts (ERC-721)

    def owner_of(self, receipt: int) -> str:
        """Return who holds a receipt."""
        self._check_exists(receipt)
        return self.owners[receipt]

    def balance_of(self, owner: str) -> int:
        """Return how many receipts somebody holds."""
        require(owner != ZERO_ADDRESS, "ERC721InvalidOwner", owner)
        return sum(holder == owner for holder in self.owners.values())

    def get_approved(self, receipt: int) -> str:
        """Return who is approved for a receipt; the zero address for nobody."""
        self._check_exists(receipt)
        return self.approvals.get(receipt, ZERO_ADDRESS)

    def is_approved_for_all(self, owner: str, operator: str) -> bool:
        """Return whether somebody may dispose of all receipts of an owner."""
        return (owner, operator) in self.operators

    def approve(self, caller: str, to: str, receipt: int) -> None:
        """Let somebody dispose of a receipt; the zero address for nobody."""
        owner = self.owner_of(receipt)
        require(caller == owner or (owner, caller) in self.operators, "ERC721InvalidApprover", caller)
        self.approvals[receipt] = to

    def set_approval_for_all(self, caller: str, operator: str, approved: bool) -> None:
        """Let somebody dispose of all receipts of the caller, or no longer."""
        require(operator != ZERO_ADDRESS, "ERC721InvalidOperator", operator)
        if approved:
            self.operators.add((caller, operator))
        else:
            self.operators.discard((caller, operator))

    def check_transfer_from(self, caller: str, from_: str, to: str, receipt: int) -> None:
        """Revert where ``transfer_from`` would."""
        self._check_asked(caller, to)
        self._check_receiver(to)
        self._check_exists(receipt)
        require(self._is_authorized(caller, receipt), "ERC721InsufficientApproval", caller, receipt)
        owner = self.owners[receipt]
        require(owner == from_, "ERC721IncorrectOwner", from_, receipt, owner)

    def transfer_from(self, caller: str, from_: str, to: str, receipt: int) -> None:
        """Give a receipt to somebody else."""
        self.check_transfer_from(caller, from_, to, receipt)
        self.approvals.pop(receipt, None)
        self.owners[receipt] = to

    # Checks

    def _check_role(self, caller: str) -> None:
        require(caller == self.governor, "AccessManagedUnauthorized", caller)

    def _check_exists(self, receipt: int) -> None:
        require(receipt in self.owners, "ERC721NonexistentToken", receipt)

    def _check_receiver(self, to: str) -> None:
        require(to != ZERO_ADDRESS, "ERC721InvalidReceiver", to)

    def _check_holder(self, caller: str, receipt: int) -> None:
        self._check_exists(receipt)
        require(self._is_authorized(caller, receipt), "NotReceiptHolder", receipt, caller)

    def _check_mature(self, receipt: int, now: int) -> None:
        position = self.positions[receipt]
        require(self._is_mature(position, now), "NotMature", receipt, position.matures_at, now)

    def _check_open(self, term_id: int) -> Term:
        term = self.term_of(term_id)
        require(term.open, "TermClosed", term_id)
        return term

    def _check_asked(self, caller: str, to: str) -> None:
        require(to == caller or to not in self.rooms, "UnaskedReceipt", to, caller)

    def _check_deposit(self, caller: str, amount: int, term_id: int, owner: str) -> Term:
        require(amount >= self.MIN_DEPOSIT, "DepositTooSmall", amount, self.MIN_DEPOSIT)
        self._check_asked(caller, owner)
        term = self._check_open(term_id)
        self._check_receiver(owner)
        return term

    def _check_term(self, term: Term) -> None:
        possible = (
            0 < term.multiplier_milli <= self.MAX_MULTIPLIER_MILLI
            and term.penalty_bps <= self.MAX_PENALTY_BPS
            and (term.duration != 0 or term.penalty_bps == 0)
        )
        require(possible, "BadTerm", term.duration, term.multiplier_milli, term.penalty_bps)

    def _check_income_fee(self, fee_bps: int) -> None:
        require(fee_bps <= self.MAX_INCOME_FEE_BPS, "IncomeFeeTooHigh", fee_bps, self.MAX_INCOME_FEE_BPS)

    def _check_release_time(self, seconds: int) -> None:
        possible = 0 < seconds <= self.MAX_RELEASE_SECONDS
        require(possible, "BadReleaseTime", seconds, self.MAX_RELEASE_SECONDS)

    def _is_authorized(self, caller: str, receipt: int) -> bool:
        owner = self.owners[receipt]
        approved = self.approvals.get(receipt, ZERO_ADDRESS)
        return caller != ZERO_ADDRESS and (caller in (owner, approved) or (owner, caller) in self.operators)

    @staticmethod
    def _is_mature(position: Position, now: int) -> bool:
        return now >= position.matures_at

    # Arithmetic

    def _weight_of(self, position: Position) -> int:
        return position.principal * self.terms[position.term_id].multiplier_milli

    def _income_down(self, position: Position, books: BankBooks) -> int:
        grown = books.income_index - position.income_index
        return mul_div_down(grown, self._weight_of(position), INDEX_ONE)

    def _fee_up(self, income: int) -> int:
        return mul_div_up(income, self.income_fee_bps, ONE_BPS)

    def _penalty_up(self, position: Position) -> int:
        return mul_div_up(position.principal, self.terms[position.term_id].penalty_bps, ONE_BPS)

    def _released(self, now: int) -> BankBooks:
        """Return the books with what is due released; the caller keeps them or not."""
        books = replace(self.books)
        if books.total_weight == 0:
            return books
        elapsed = now - books.accrued_at
        due = mul_div_down(books.pending, elapsed, elapsed + self.release_seconds)
        delta = mul_div_down(due, INDEX_ONE, books.total_weight)
        if delta == 0:
            return books
        amount = mul_div_up(delta, books.total_weight, INDEX_ONE)
        books.income_index += delta
        books.owed += amount
        books.pending -= amount
        books.accrued_at = now
        return books

    # Writes

    @staticmethod
    def _add_pending(books: BankBooks, amount: int, now: int) -> None:
        if amount == 0:
            return
        books.pending += amount
        books.accrued_at = now

    def _open(self, amount: int, term_id: int, term: Term, owner: str, now: int) -> int:
        books = self._released(now)
        if books.total_weight == 0:
            books.accrued_at = now
        receipt = books.next_id
        books.next_id += 1
        books.total_weight += amount * term.multiplier_milli
        books.principal += amount
        self.books = books
        self.positions[receipt] = Position(amount, now + term.duration, term_id, books.income_index)
        self.owners[receipt] = owner
        return receipt

    def _remove(self, receipt: int, books: BankBooks, now: int) -> None:
        position = self.positions[receipt]
        books.total_weight -= self._weight_of(position)
        books.principal -= position.principal
        if books.total_weight == 0:
            rest, books.owed = books.owed, 0
            self._add_pending(books, rest, now)
        self.books = books
        del self.positions[receipt], self.owners[receipt]
        self.approvals.pop(receipt, None)

    def _renew(self, receipt: int, term_id: int, now: int) -> None:
        position = self.positions[receipt]
        term = self.terms[term_id]
        books = self._released(now)
        income = self._income_down(position, books)
        fee = self._fee_up(income)
        principal = position.principal + income - fee

        books.owed -= income
        books.total_weight += principal * term.multiplier_milli - self._weight_of(position)
        books.principal += income - fee
        self.books = books
        self.positions[receipt] = Position(principal, now + term.duration, term_id, books.income_index)
        self._pay_fee(fee)

    def _pay_fee(self, fee: int) -> None:
        # The fee pool books it at its next sync.
        self.credit.transfer(self.address, self.fee_pool.address, fee)
