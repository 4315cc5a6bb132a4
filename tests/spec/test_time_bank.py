"""The time bank as plain integers.

::

    time bank
    |- deposit
    |  |- is booked, receipted and paid; by permit; numbers go up
    |  |- claims become deposits; a term that is gone becomes demand
    |  `- refuses dust, no such term, a closed term, nobody as owner, what the depositor has not
    |- closing
    |  |- withdraw pays income less the fee; the rest of rounding goes back
    |  |- exit_early leaves penalty and income to those who stay
    |  `- refuses too early, too late, twice, a stranger, nobody as receiver
    |- going on
    |  |- collect_income once; roll_over binds anew; lapse by anybody leaves the value
    |  `- refuses what is not mature, no income, closed terms, demand
    |- income
    |  |- from fees, gifts, neither
    |  |- is released by the formula, for any numbers
    |  |- nobody gains within a block
    |  |- dust every block puts nothing off
    |  |- releases in steps are never below one release
    |  `- time without depositors pays nobody
    |- settings: role, bounds; a new release time counts from now
    |- receipts: approvals, operators, transfers and their refusals; no room gets one it did not fetch
    |- a refusal changes nothing
    `- any sequence of steps (machine)
       |- holdings = principals + pending + owed + gifts not collected
       |- sums of principals and weights are booked
       |- incomes are owed
       |- exit values never fall
       `- everybody can close and gets the exit value
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from timebank_chain.spec.attention_credit import MAX_UINT256, ZERO_ADDRESS, AttentionCredit
from timebank_chain.spec.fee_pool import FeePool
from timebank_chain.spec.revert import Reverted
from timebank_chain.spec.time_bank import DEMAND, INDEX_ONE, Position, Term, TimeBank

BANK, POOL, DISTRIBUTOR, GOVERNOR = "0xBank", "0xPool", "0xDistributor", "0xGovernor"
SAVER, NEIGHBOUR, GIVER, STRANGER = "0xSaver", "0xNeighbour", "0xGiver", "0xStranger"
MEMBERS = (SAVER, NEIGHBOUR, GIVER)
GRANT = 10**12
START = 1_800_000_000
DAY_SECONDS = 86_400
RELEASE = 7 * DAY_SECONDS
DAY, WEEK, MONTH = 1, 2, 3

AMOUNTS = st.integers(1_000, 10**6) | st.integers(1_000, GRANT // 10)
ELAPSED = st.integers(0, 60) | st.integers(0, 400 * DAY_SECONDS)


def open_bank() -> TimeBank:
    credit = AttentionCredit()
    pool = FeePool(credit, POOL, BANK, "0xLending", depositors_bps=5_000, bonus_bps=3_000)
    for member in MEMBERS:
        credit.mint(member, GRANT)
        credit.approve(member, BANK, MAX_UINT256)
    terms = [
        Term(0, 1_000, 0),
        Term(DAY_SECONDS, 1_100, 50),
        Term(7 * DAY_SECONDS, 1_500, 100),
        Term(30 * DAY_SECONDS, 2_500, 200),
    ]
    return TimeBank(
        credit, pool, BANK, DISTRIBUTOR, GOVERNOR, terms, income_fee_bps=500, release_seconds=RELEASE
    )


@pytest.fixture
def bank() -> TimeBank:
    return open_bank()


def give(bank: TimeBank, amount: int, now: int) -> None:
    bank.credit.transfer(GIVER, BANK, amount)
    bank.collect(STRANGER, now=now)


def refused(name: str, *values: object) -> AbstractContextManager[object]:
    return pytest.raises(Reverted, match="^" + _escaped(Reverted(name, *values)) + "$")


def _escaped(error: Reverted) -> str:
    return str(error).replace("(", r"\(").replace(")", r"\)")


# Deposit


def test_a_deposit_is_booked_receipted_and_paid(bank: TimeBank) -> None:
    assert bank.deposit(SAVER, 5_000_000, WEEK, NEIGHBOUR, now=START) == 1
    assert bank.deposit(SAVER, 1_000, DEMAND, SAVER, now=START) == 2
    assert bank.owner_of(1) == NEIGHBOUR
    assert bank.position_of(1) == Position(5_000_000, START + RELEASE, WEEK, 0)
    assert bank.credit.balance_of(BANK) == bank.books.principal == 5_001_000
    assert bank.books.total_weight == 5_000_000 * 1_500 + 1_000 * 1_000
    assert bank.books.accrued_at == START
    assert bank.balance_of(SAVER) == bank.balance_of(NEIGHBOUR) == 1


def test_a_permit_serves_where_the_allowance_does_not(bank: TimeBank) -> None:
    bank.credit.approve(SAVER, BANK, 5_000)
    bank.deposit_with_permit(SAVER, 5_000, DAY, SAVER, now=START)
    bank.deposit_with_permit(SAVER, 6_000, DAY, SAVER, now=START)
    assert bank.books.principal == 11_000
    assert bank.credit.allowances[SAVER, BANK] == 0


def test_claims_become_deposits(bank: TimeBank) -> None:
    bank.set_term_open(GOVERNOR, WEEK, False)
    bank.set_term_open(GOVERNOR, DEMAND, False)
    bank.credit.mint(BANK, 3)
    assert bank.deposit_claim(DISTRIBUTOR, SAVER, 1, MONTH, now=START) == 1
    assert bank.deposit_claim(DISTRIBUTOR, SAVER, 1, WEEK, now=START) == 2
    assert bank.deposit_claim(DISTRIBUTOR, SAVER, 1, 65_535, now=START) == 3
    assert [bank.position_of(receipt).term_id for receipt in (1, 2, 3)] == [MONTH, DEMAND, DEMAND]
    assert bank.collect(STRANGER, now=START) == (0, 0)
    with refused("NotClaimsDistributor", STRANGER, DISTRIBUTOR):
        bank.deposit_claim(STRANGER, SAVER, 1, DEMAND, now=START)


def test_bad_deposits_are_refused(bank: TimeBank) -> None:
    for amount in (0, 1, 999):
        with refused("DepositTooSmall", amount, 1_000):
            bank.deposit(SAVER, amount, DEMAND, SAVER, now=START)
    with refused("NoSuchTerm", 4, 4):
        bank.deposit(SAVER, 1_000, 4, SAVER, now=START)
    bank.set_term_open(GOVERNOR, WEEK, False)
    with refused("TermClosed", WEEK):
        bank.deposit(SAVER, 1_000, WEEK, SAVER, now=START)
    with refused("ERC721InvalidReceiver", ZERO_ADDRESS):
        bank.deposit(SAVER, 1_000, DAY, ZERO_ADDRESS, now=START)
    with refused("ERC20InsufficientBalance", SAVER, GRANT, GRANT + 1):
        bank.deposit(SAVER, GRANT + 1, DAY, SAVER, now=START)
    with refused("ERC20InsufficientAllowance", BANK, 0, 1_000):
        bank.deposit(STRANGER, 1_000, DAY, SAVER, now=START)
    with refused("ERC20InsufficientBalance", STRANGER, 0, 1_000):
        bank.deposit_with_permit(STRANGER, 1_000, DAY, SAVER, now=START)


# Closing


def test_a_withdrawal_pays_income_less_the_fee(bank: TimeBank) -> None:
    bank.deposit(SAVER, 5_000_000, WEEK, SAVER, now=START)
    give(bank, 1_000_001, START)
    assert bank.income_of(1, now=START + RELEASE) == 499_999
    assert bank.exit_value_of(1, now=START + RELEASE) == 5_000_000 + 499_999 - 25_000
    assert bank.withdraw(SAVER, 1, STRANGER, now=START + RELEASE) == 5_000_000 + 499_999 - 25_000
    assert bank.credit.balance_of(STRANGER) == 5_474_999
    assert bank.fee_pool.sync() == 25_000
    assert (bank.books.owed, bank.books.pending) == (0, 500_002)


def test_an_early_exit_pays_those_who_stay(bank: TimeBank) -> None:
    bank.deposit(SAVER, 10_000_001, MONTH, SAVER, now=START)
    bank.deposit(NEIGHBOUR, 25_000_000, DEMAND, NEIGHBOUR, now=START)
    give(bank, 2_000_000, START)
    income = bank.income_of(1, now=START + RELEASE)
    assert income == 500_000
    assert bank.close(SAVER, 1, SAVER, now=START + RELEASE) == 10_000_001 - 200_001
    assert bank.books.pending == 1_000_000 + 200_001 + income
    assert bank.books.accrued_at == START + RELEASE
    assert bank.fee_pool.sync() == 0


def test_bad_closings_are_refused(bank: TimeBank) -> None:
    bank.deposit(SAVER, 1_000, DAY, SAVER, now=START)
    matures_at = START + DAY_SECONDS
    with refused("NotReceiptHolder", 1, STRANGER):
        bank.close(STRANGER, 1, STRANGER, now=START)
    with refused("NotMature", 1, matures_at, matures_at - 1):
        bank.withdraw(SAVER, 1, SAVER, now=matures_at - 1)
    with refused("AlreadyMature", 1, matures_at):
        bank.exit_early(SAVER, 1, SAVER, now=matures_at)
    for now in (START, matures_at):
        with refused("ERC20InvalidReceiver", ZERO_ADDRESS):
            bank.close(SAVER, 1, ZERO_ADDRESS, now=now)
    assert bank.close(SAVER, 1, SAVER, now=matures_at) == 1_000
    for closing in (bank.close, bank.withdraw, bank.exit_early, bank.collect_income):
        with refused("ERC721NonexistentToken", 1):
            closing(SAVER, 1, SAVER, now=matures_at)


# Going on


def test_income_is_collected_once(bank: TimeBank) -> None:
    bank.deposit(SAVER, 8_000_000, DEMAND, SAVER, now=START)
    give(bank, 2_000_000, START)
    later = START + RELEASE
    income = bank.income_of(1, now=later)
    assert bank.collect_income(SAVER, 1, STRANGER, now=later) == income - -(-income // 20)
    assert bank.position_of(1).principal == 8_000_000
    with refused("NoIncome", 1):
        bank.collect_income(SAVER, 1, STRANGER, now=later)
    bank.deposit(SAVER, 1_000, DAY, SAVER, now=later)
    with refused("NotMature", 2, later + DAY_SECONDS, later):
        bank.collect_income(SAVER, 2, SAVER, now=later)


def test_a_roll_over_adds_income_and_binds_anew(bank: TimeBank) -> None:
    bank.deposit(SAVER, 8_000_000, DAY, SAVER, now=START)
    give(bank, 2_000_000, START)
    later = START + RELEASE
    value = bank.exit_value_of(1, now=later)
    bank.roll_over(SAVER, 1, MONTH, now=later)
    index = bank.books.income_index
    assert bank.position_of(1) == Position(value, later + 30 * DAY_SECONDS, MONTH, index)
    assert bank.books.total_weight == value * 2_500
    with refused("NotMature", 1, later + 30 * DAY_SECONDS, later):
        bank.roll_over(SAVER, 1, DAY, now=later)
    bank.set_term_open(GOVERNOR, DAY, False)
    for term_id, name, values in ((DAY, "TermClosed", (DAY,)), (4, "NoSuchTerm", (4, 4))):
        with refused(name, *values):
            bank.roll_over(SAVER, 1, term_id, now=later + 30 * DAY_SECONDS)


def test_anybody_moves_a_mature_deposit_to_demand(bank: TimeBank) -> None:
    bank.deposit(SAVER, 8_000_000, MONTH, SAVER, now=START)
    give(bank, 2_000_000, START)
    later = START + 30 * DAY_SECONDS
    with refused("NotMature", 1, later, later - 1):
        bank.lapse(STRANGER, 1, now=later - 1)
    value = bank.exit_value_of(1, now=later)
    bank.lapse(STRANGER, 1, now=later)
    assert bank.exit_value_of(1, now=later) == value
    assert bank.books.total_weight == value * 1_000
    with refused("NothingToLapse", 1):
        bank.lapse(STRANGER, 1, now=later)


# Income


def test_fees_and_gifts_are_collected(bank: TimeBank) -> None:
    bank.deposit(SAVER, 1_000, DEMAND, SAVER, now=START)
    bank.credit.transfer(GIVER, POOL, 1_001)
    bank.credit.transfer(GIVER, BANK, 7)
    assert bank.collect(STRANGER, now=START + 5) == (500, 7)
    assert (bank.books.pending, bank.books.accrued_at) == (507, START + 5)
    assert bank.collect(STRANGER, now=START + 6) == (0, 0)


@given(AMOUNTS, AMOUNTS, ELAPSED)
def test_income_is_released_by_the_formula(principal: int, gift: int, elapsed: int) -> None:
    bank = open_bank()
    bank.deposit(SAVER, principal, WEEK, SAVER, now=START)
    give(bank, gift, START)
    due = gift * elapsed // (elapsed + RELEASE)
    income = bank.income_of(1, now=START + elapsed)
    assert due - 1 <= income <= due
    bank.collect(STRANGER, now=START + elapsed)
    assert bank.income_of(1, now=START + elapsed) == income
    assert bank.books.pending + bank.books.owed == gift
    # What the index promises is covered.
    assert bank.books.income_index * bank.books.total_weight <= bank.books.owed * INDEX_ONE


@given(AMOUNTS, AMOUNTS, ELAPSED, st.sampled_from([DEMAND, DAY, MONTH]))
def test_nobody_gains_within_a_block(amount: int, gift: int, elapsed: int, term_id: int) -> None:
    bank = open_bank()
    bank.deposit(NEIGHBOUR, 1_000, DEMAND, NEIGHBOUR, now=START)
    give(bank, gift, START)
    bank.credit.transfer(GIVER, BANK, gift)
    now = START + elapsed
    bank.deposit(SAVER, amount, term_id, SAVER, now=now)
    bank.collect(STRANGER, now=now)
    assert bank.income_of(2, now=now) == 0
    assert bank.close(SAVER, 2, SAVER, now=now) <= amount


@given(st.integers(10**6, GRANT // 10), st.integers(1, 200), st.integers(1, 3_600))
def test_dust_every_block_puts_nothing_off(gift: int, blocks: int, seconds: int) -> None:
    bank = open_bank()
    bank.deposit(SAVER, 50_000_000, DEMAND, SAVER, now=START)
    give(bank, gift, START)
    for block in range(1, blocks + 1):
        give(bank, 1, START + block * seconds)
    elapsed = blocks * seconds
    # Each release drops less than one micro-credit, the index another for all of them.
    assert bank.income_of(1, now=START + elapsed) >= gift * elapsed // (elapsed + RELEASE) - blocks - 1


@given(AMOUNTS, st.lists(st.integers(1, 30 * DAY_SECONDS), min_size=1, max_size=8))
def test_releases_in_steps_are_never_below_one_release(gift: int, steps: list[int]) -> None:
    bank = open_bank()
    bank.deposit(SAVER, 50_000_000, DEMAND, SAVER, now=START)
    give(bank, gift, START)
    now = START
    for step in steps:
        now += step
        bank.collect(STRANGER, now=now)
    elapsed = now - START
    assert bank.income_of(1, now=now) >= gift * elapsed // (elapsed + RELEASE) - len(steps) - 1


def test_time_without_depositors_pays_nobody(bank: TimeBank) -> None:
    give(bank, 4_000_000, START)
    now = START + 365 * DAY_SECONDS
    bank.collect(STRANGER, now=now)
    assert bank.books.pending == 4_000_000
    bank.deposit(SAVER, 1_000, DEMAND, SAVER, now=now)
    assert bank.income_of(1, now=now) == 0
    assert bank.income_of(1, now=now + RELEASE) in (1_999_999, 2_000_000)


# Settings


def test_settings_have_a_role_and_bounds(bank: TimeBank) -> None:
    changes: list[Callable[[str], object]] = [
        lambda caller: bank.add_term(caller, 1, 1, 0),
        lambda caller: bank.set_term_open(caller, 0, True),
        lambda caller: bank.set_income_fee(caller, 2_000),
        lambda caller: bank.set_release_time(caller, 7_776_000, now=START),
    ]
    for change in changes:
        with refused("AccessManagedUnauthorized", STRANGER):
            change(STRANGER)
        change(GOVERNOR)
    assert (bank.term_count(), bank.income_fee_bps, bank.release_seconds) == (5, 2_000, 7_776_000)
    for term in ((1, 0, 0), (1, 10_001, 0), (1, 1, 2_001), (0, 1, 1)):
        with refused("BadTerm", *term):
            bank.add_term(GOVERNOR, *term)
    with refused("IncomeFeeTooHigh", 2_001, 2_000):
        bank.set_income_fee(GOVERNOR, 2_001)
    for seconds in (0, 7_776_001):
        with refused("BadReleaseTime", seconds, 7_776_000):
            bank.set_release_time(GOVERNOR, seconds, now=START)
    for action in (bank.term_of, lambda term_id: bank.set_term_open(GOVERNOR, term_id, True)):
        with refused("NoSuchTerm", 5, 5):
            action(5)


def test_a_new_release_time_counts_from_now(bank: TimeBank) -> None:
    bank.deposit(SAVER, 5_000_000, DEMAND, SAVER, now=START)
    give(bank, 4_000_000, START)
    now = START + RELEASE
    income = bank.income_of(1, now=now)
    bank.set_release_time(GOVERNOR, 1, now=now)
    assert bank.income_of(1, now=now) == income
    assert bank.income_of(1, now=now + 1) >= income + 1_000_000 - 1


def test_bad_parameters_open_no_bank() -> None:
    credit = AttentionCredit()
    pool = FeePool(credit, POOL, BANK, "0xLending", 5_000, 3_000)
    with refused("NoSuchTerm", 0, 0):
        TimeBank(credit, pool, BANK, DISTRIBUTOR, GOVERNOR, [], 500, RELEASE)
    with refused("BadTerm", 1, 1_000, 0):
        TimeBank(credit, pool, BANK, DISTRIBUTOR, GOVERNOR, [Term(1, 1_000, 0)], 500, RELEASE)


# Receipts


def test_a_room_gets_no_receipt_that_it_did_not_fetch(bank: TimeBank) -> None:
    bank.rooms = ("0xPool", "0xRent")
    bank.deposit(SAVER, 1_000, DEMAND, SAVER, now=START)
    bank.set_approval_for_all(SAVER, "0xPool", True)
    for room, caller in (("0xPool", SAVER), ("0xRent", SAVER), ("0xRent", "0xPool")):
        with refused("UnaskedReceipt", room, caller):
            bank.transfer_from(caller, SAVER, room, 1)
        with refused("UnaskedReceipt", room, caller):
            bank.deposit(caller, 1_000, DEMAND, room, now=START)
    bank.transfer_from("0xPool", SAVER, "0xPool", 1)
    bank.transfer_from("0xPool", "0xPool", SAVER, 1)
    assert bank.owner_of(1) == SAVER


def test_approvals_operators_and_transfers(bank: TimeBank) -> None:
    for _ in range(2):
        bank.deposit(SAVER, 1_000, DEMAND, SAVER, now=START)
    with refused("ERC721InvalidApprover", STRANGER):
        bank.approve(STRANGER, STRANGER, 1)
    bank.approve(SAVER, STRANGER, 1)
    assert bank.get_approved(1) == STRANGER
    with refused("ERC721InvalidApprover", STRANGER):
        bank.approve(STRANGER, NEIGHBOUR, 1)
    with refused("ERC721InvalidReceiver", ZERO_ADDRESS):
        bank.transfer_from(STRANGER, SAVER, ZERO_ADDRESS, 1)
    with refused("ERC721IncorrectOwner", GIVER, 1, SAVER):
        bank.transfer_from(STRANGER, GIVER, NEIGHBOUR, 1)
    bank.transfer_from(STRANGER, SAVER, NEIGHBOUR, 1)
    assert bank.owner_of(1) == NEIGHBOUR
    assert bank.get_approved(1) == ZERO_ADDRESS
    for caller in (SAVER, STRANGER):
        with refused("ERC721InsufficientApproval", caller, 1):
            bank.transfer_from(caller, NEIGHBOUR, SAVER, 1)
    with refused("ERC721InvalidOperator", ZERO_ADDRESS):
        bank.set_approval_for_all(SAVER, ZERO_ADDRESS, True)
    bank.set_approval_for_all(SAVER, GIVER, True)
    assert bank.is_approved_for_all(SAVER, GIVER)
    bank.approve(GIVER, STRANGER, 2)
    assert bank.withdraw(STRANGER, 2, STRANGER, now=START) == 1_000
    for question in (bank.owner_of, bank.get_approved, bank.position_of):
        with refused("ERC721NonexistentToken", 2):
            question(2)
    with refused("ERC721NonexistentToken", 2):
        bank.transfer_from(SAVER, SAVER, GIVER, 2)
    with refused("ERC721InvalidOwner", ZERO_ADDRESS):
        bank.balance_of(ZERO_ADDRESS)


# A refusal changes nothing, any sequence of steps


class Counter(RuleBasedStateMachine):
    """Everybody does everything; after each step a clerk adds up."""

    @initialize()
    def open(self) -> None:
        self.bank = open_bank()
        self.now = START
        self.uncollected = 0
        self.seen: dict[int, int] = {}

    def attempt(self, action: Callable[[], object]) -> bool:
        """Whether it was done; what is refused must change nothing."""
        before = copy.deepcopy(self.bank)
        try:
            action()
        except Reverted:
            assert self.bank == before
            return False
        return True

    @rule(caller=st.sampled_from(MEMBERS), amount=AMOUNTS | st.integers(0, 2_000), term=st.integers(0, 4))
    def deposit(self, caller: str, amount: int, term: int) -> None:
        self.attempt(lambda: self.bank.deposit(caller, amount, term, caller, now=self.now))

    @rule(owner=st.sampled_from(MEMBERS), amount=st.integers(1, 10**9), term=st.integers(0, 5))
    def deposit_claim(self, owner: str, amount: int, term: int) -> None:
        self.bank.credit.mint(BANK, amount)
        self.bank.deposit_claim(DISTRIBUTOR, owner, amount, term, now=self.now)

    def any_receipt(self, seed: int) -> int:
        held = sorted(self.bank.owners)
        return held[seed % len(held)] if held else 1

    @rule(caller=st.sampled_from(MEMBERS), seed=st.integers(0, 99), way=st.integers(0, 3))
    def pay_out(self, caller: str, seed: int, way: int) -> None:
        receipt = self.any_receipt(seed)
        bank = self.bank
        action = (bank.withdraw, bank.exit_early, bank.close, bank.collect_income)[way]
        if self.attempt(lambda: action(caller, receipt, caller, now=self.now)):
            self.seen.pop(receipt, None)

    @rule(caller=st.sampled_from(MEMBERS), seed=st.integers(0, 99), term=st.integers(0, 4))
    def roll_over(self, caller: str, seed: int, term: int) -> None:
        receipt = self.any_receipt(seed)
        if self.attempt(lambda: self.bank.roll_over(caller, receipt, term, now=self.now)):
            self.seen.pop(receipt, None)

    @rule(seed=st.integers(0, 99))
    def lapse(self, seed: int) -> None:
        self.attempt(lambda: self.bank.lapse(STRANGER, self.any_receipt(seed), now=self.now))

    @rule(caller=st.sampled_from(MEMBERS), to=st.sampled_from(MEMBERS), seed=st.integers(0, 99))
    def transfer(self, caller: str, to: str, seed: int) -> None:
        self.attempt(lambda: self.bank.transfer_from(caller, caller, to, self.any_receipt(seed)))

    @rule(amount=st.integers(1, 100) | AMOUNTS)
    def give(self, amount: int) -> None:
        if self.bank.credit.balance_of(GIVER) >= amount:
            self.bank.credit.transfer(GIVER, BANK, amount)
            self.uncollected += amount

    @rule(amount=AMOUNTS)
    def pay_fee(self, amount: int) -> None:
        self.attempt(lambda: self.bank.credit.transfer(NEIGHBOUR, POOL, amount))

    @rule()
    def collect(self) -> None:
        _, gifts = self.bank.collect(STRANGER, now=self.now)
        assert gifts == self.uncollected
        self.uncollected = 0

    @rule(seconds=ELAPSED)
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @rule(term=st.integers(0, 3), is_open=st.booleans())
    def set_term_open(self, term: int, is_open: bool) -> None:
        self.bank.set_term_open(GOVERNOR, term, is_open)

    @rule(seconds=st.integers(1, 7_776_000))
    def set_release_time(self, seconds: int) -> None:
        self.bank.set_release_time(GOVERNOR, seconds, now=self.now)

    @precondition(lambda self: self.bank.income_fee_bps > 0)
    @rule(step=st.integers(1, 500))
    def lower_income_fee(self, step: int) -> None:
        self.bank.set_income_fee(GOVERNOR, max(0, self.bank.income_fee_bps - step))

    @invariant()
    def the_books_add_up(self) -> None:
        if not hasattr(self, "bank"):
            return
        bank, books = self.bank, self.bank.books
        booked = books.principal + books.pending + books.owed
        assert bank.credit.balance_of(BANK) == booked + self.uncollected
        positions = bank.positions.values()
        assert books.principal == sum(position.principal for position in positions)
        weights = [
            position.principal * bank.terms[position.term_id].multiplier_milli for position in positions
        ]
        assert books.total_weight == sum(weights)
        grown = [books.income_index - position.income_index for position in positions]
        assert sum(g * w for g, w in zip(grown, weights, strict=True)) <= books.owed * INDEX_ONE

    @invariant()
    def exit_values_never_fall(self) -> None:
        if not hasattr(self, "bank"):
            return
        for receipt in self.bank.positions:
            value = self.bank.exit_value_of(receipt, now=self.now)
            assert value >= self.seen.get(receipt, 0)
            self.seen[receipt] = value

    @invariant()
    def everybody_can_close(self) -> None:
        if not hasattr(self, "bank"):
            return
        bank = copy.deepcopy(self.bank)
        for receipt, owner in list(bank.owners.items()):
            expected = bank.exit_value_of(receipt, now=self.now)
            assert bank.close(owner, receipt, owner, now=self.now) == expected
        assert (bank.books.principal, bank.books.total_weight, bank.books.owed) == (0, 0, 0)
        assert bank.credit.balance_of(BANK) == bank.books.pending + self.uncollected


TestAnySequenceOfSteps = Counter.TestCase
TestAnySequenceOfSteps.settings = settings(deadline=None, stateful_step_count=40, max_examples=80)
