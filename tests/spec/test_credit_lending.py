"""The lending pool's specification.

::

    credit lending
    |- supply
    |  |- the first share is a millionth of a micro-credit; donations move no price
    |  |- previews are what happens, and no way there and back gains
    |  |- a pool drained to the last unit pays nothing, and everything once repaid
    |  `- refused: beyond the limits, to nobody, without an allowance
    |- loans against receipts
    |  |- pledged, borrowed up to the limit, repaid in parts, released
    |  |- refused in the contract's order
    |  `- liquidated: incentive, debt, the rest back; a shortfall from pool and fees, never the reserve
    |- loans on standing
    |  |- within limit, cap and due day, on one account; refused in the contract's order
    |  |- the cap's base rises in a day, however often it is looked at, and falls at once
    |  |- repaid from claims once due; the last unit frees the claims
    |  `- written off: the reserve pays what was lent, never interest; recovered for the reserve
    |- whoever has the only loan owes all of the debt
    |- interest compounds, is capped, and stops before it overflows
    |- fees and strays go to the fee pool
    |- settings keep their bounds and roles
    `- any sequence: sums, custody and price hold, and whoever repays everything leaves nobody short
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from timebank_chain.spec import adaptive_rate
from timebank_chain.spec.attention_credit import MAX_UINT256, ZERO_ADDRESS, AttentionCredit
from timebank_chain.spec.credit_lending import (
    MAX_AMOUNT,
    MAX_SHARES,
    CreditLending,
    OracleState,
    PledgedLoan,
    RiskSettings,
    StandingLoan,
)
from timebank_chain.spec.epoch_tree import AccountLeaf
from timebank_chain.spec.fee_pool import FeePool
from timebank_chain.spec.policy_registry import PolicyHead, hash_head
from timebank_chain.spec.revert import Reverted
from timebank_chain.spec.share_math import VIRTUAL_SHARES
from timebank_chain.spec.time_bank import Term, TimeBank

DAY = 86_400
YEAR = 365 * DAY
START = 1_800_000_000
HEAD = PolicyHead(b"policy".ljust(32, b"\0"), 1, 1 << 28, 0, 1 << 24, b"\x01" * 32, b"\x02" * 32)
POLICY = hash_head(HEAD)
ROOT = b"\x02" * 32
OTHER_ROOT = b"\x03" * 32
RISK = RiskSettings(
    max_ltv_bps=9_000,
    liquidation_ltv_bps=9_500,
    incentive_bps=200,
    standing_bps=5_000,
    unsecured_cap_bps=2_000,
    fee_bps=1_000,
    standing_term=30 * DAY,
    grace=7 * DAY,
    min_loan=10_000,
)
RATE = adaptive_rate.WAD * 4 // 100 // YEAR


def member(number: int) -> str:
    """An address."""
    return f"0x{number:040x}"


SUPPLIER, BORROWER, LIQUIDATOR, STRANGER = (member(number) for number in range(0x11, 0x15))
PLACEHOLDER = "0x74696d6562616e6b" + "0" * 23 + "1"
LENDING, BANK, FEES, DISTRIBUTOR, GOVERNOR, GUARDIAN, LEASE = (member(n) for n in range(1, 8))


@dataclass
class Distributor:
    """Whose claims are pledged to whom; a proof is the root it was made against."""

    lending: str
    address: str = DISTRIBUTOR
    account_root: bytes = ROOT
    wallets: dict[str, str] = field(default_factory=dict)
    creditors: dict[str, str] = field(default_factory=dict)

    def is_latest_leaf(self, leaf: AccountLeaf, proof: Sequence[bytes]) -> bool:
        return list(proof) == [self.account_root]

    def receiver_of(self, account: str) -> str:
        if account.startswith("0x74696d6562616e6b"):
            return self.wallets.get(account, ZERO_ADDRESS)
        return account

    def creditor_of(self, account: str) -> str:
        return self.creditors.get(account, ZERO_ADDRESS)

    def pledge_claims(self, caller: str, account: str, wallet: str) -> None:
        assert self.receiver_of(account) == wallet
        assert {self.creditor_of(account), self.creditor_of(wallet)} <= {ZERO_ADDRESS, caller}
        self.creditors[account] = self.creditors[wallet] = caller

    def release_claims(self, caller: str, account: str, wallet: str) -> None:
        assert self.creditor_of(account) == self.creditor_of(wallet) == caller
        del self.creditors[account]
        self.creditors.pop(wallet, None)


class World:
    """A bank, a fee pool and the lending pool, and a clock."""

    def __init__(self) -> None:
        self.now = START
        self.credit = AttentionCredit()
        self.fee_pool = FeePool(self.credit, FEES, BANK, LENDING, 5_000, 3_000)
        self.bank = TimeBank(
            self.credit, self.fee_pool, BANK, DISTRIBUTOR, GOVERNOR,
            [Term(0, 1_000, 0), Term(7 * DAY, 1_500, 100)], 500, 7 * DAY,
        )  # fmt: skip
        self.oracle = OracleState(POLICY, 1 << 24, START * 1000)
        self.distributor = Distributor(LENDING)
        self.pool = CreditLending(
            self.credit, self.oracle, self.bank, self.fee_pool, self.distributor,
            LENDING, GOVERNOR, GUARDIAN, RISK, RATE, START,
        )  # fmt: skip
        self.pool.accept_policy(STRANGER, HEAD)

    def fund(self, holder: str, amount: int) -> None:
        self.credit.mint(holder, amount)
        self.credit.approve(holder, LENDING, MAX_UINT256)
        self.credit.approve(holder, BANK, MAX_UINT256)

    def supply(self, amount: int, supplier: str = SUPPLIER, *, stayed: bool = False) -> int:
        """Supply; ``stayed``: as if a day had passed since."""
        self.fund(supplier, amount)
        shares = self.pool.deposit(supplier, amount, supplier, now=self.now)
        if stayed:
            self.pool.books.cap_base = self.pool.books.assets
        return shares

    def receipt(self, amount: int, owner: str = BORROWER, term: int = 0) -> int:
        self.fund(owner, amount)
        receipt = self.bank.deposit(owner, amount, term, owner, now=self.now)
        self.bank.approve(owner, LENDING, receipt)
        return receipt

    def loan(self, value: int, amount: int) -> int:
        receipt = self.receipt(value)
        self.pool.pledge_and_borrow(BORROWER, receipt, amount, BORROWER, now=self.now)
        return receipt

    def borrow_on_standing(
        self,
        amount: int,
        *,
        caller: str = BORROWER,
        account: str = "",
        root: bytes = ROOT,
        standing: int = 10**9,
    ) -> int:
        leaf = leaf_of(account or caller, standing)
        return self.pool.borrow_on_standing(caller, leaf, [root], amount, caller, now=self.now)

    def fail(self, reserve: int) -> int:
        """A loan on standing that has failed; return its debt."""
        self.supply(10**10, stayed=True)
        self.borrow_on_standing(10**8)
        self.now += RISK.standing_term + RISK.grace
        self.fill_reserve(reserve)
        return self.pool.standing_debt_of(BORROWER, now=self.now)

    def fill_reserve(self, amount: int) -> None:
        self.credit.mint(FEES, amount * 5)
        self.fee_pool.sync()
        assert self.fee_pool.reserve == amount

    def claim(self, amount: int) -> int:
        """As the distributor mints a claim of the borrower; return what the pool got of it."""
        due = min(self.pool.due_from_claims(BORROWER, now=self.now), amount)
        if due:
            self.credit.mint(LENDING, due)
            self.pool.repay_from_claim(DISTRIBUTOR, BORROWER, due, now=self.now)
        self.credit.mint(BORROWER, amount - due)
        return due


def leaf_of(account: str, standing: int) -> AccountLeaf:
    return AccountLeaf(0, bytes.fromhex(account[2:]), 1, 0, 0, 0, standing, 0, 0, 0)


def refused(call: Callable[[], object], name: str, *values: object) -> None:
    with pytest.raises(Reverted) as error:
        call()
    assert (error.value.name, error.value.values) == (name, values)


@pytest.fixture
def world() -> World:
    return World()


# Supply


def test_the_first_share_is_a_millionth_of_a_micro_credit(world: World) -> None:
    assert world.supply(5_000) == 5_000 * 10**6
    assert world.pool.total_assets(now=world.now) == 5_000


def test_donations_move_no_price(world: World) -> None:
    world.supply(1)
    world.credit.mint(LENDING, 10**12)
    shares = world.supply(10**6, STRANGER)
    assert shares == 10**12
    assert world.pool.redeem(STRANGER, shares, STRANGER, STRANGER, now=world.now) == 10**6


AMOUNTS = st.integers(0, 10**12)


@given(AMOUNTS, AMOUNTS, st.integers(0, 2 * YEAR), AMOUNTS, st.integers(0, 3))
def test_previews_are_what_happens_and_no_way_there_and_back_gains(
    supplied: int, lent: int, waited: int, seed: int, way: int
) -> None:
    world = World()
    pool = world.pool
    world.supply(supplied)
    lent = min(lent, supplied)
    if lent >= RISK.min_loan:
        world.loan(2 * lent, lent)
    world.now += waited
    now = world.now
    world.fund(STRANGER, 10**16)

    amount = seed
    if way < 2:
        shares = pool.preview_deposit(amount, now=now)
        assert pool.deposit(STRANGER, amount, STRANGER, now=now) == shares
        cost = amount
    else:
        shares = pool.convert_to_shares(amount, now=now)
        cost = pool.preview_mint(shares, now=now)
        assert pool.mint(STRANGER, shares, STRANGER, now=now) == cost
    if way % 2:
        back = pool.preview_redeem(shares, now=now)
        assert pool.redeem(STRANGER, shares, STRANGER, STRANGER, now=now) == back
        assert back <= cost
    else:
        most = pool.max_withdraw(STRANGER, now=now)
        spent = pool.preview_withdraw(most, now=now)
        assert pool.withdraw(STRANGER, most, STRANGER, STRANGER, now=now) == spent
        assert most <= cost
        assert spent <= shares


def test_a_drained_pool_pays_nothing_and_everything_once_repaid(world: World) -> None:
    world.supply(10**9)
    receipt = world.loan(10**10, 10**9)
    pool = world.pool
    assert pool.max_withdraw(SUPPLIER, now=world.now) == pool.max_redeem(SUPPLIER, now=world.now) == 0
    refused(
        lambda: pool.withdraw(SUPPLIER, 1, SUPPLIER, SUPPLIER, now=world.now),
        "ERC4626ExceededMaxWithdraw", SUPPLIER, 1, 0,
    )  # fmt: skip
    refused(lambda: pool.borrow(BORROWER, receipt, 1, BORROWER, now=world.now), "NotEnoughCash", 1, 0)
    world.now += 30 * DAY
    world.fund(BORROWER, 10**9)
    pool.repay(BORROWER, receipt, MAX_UINT256, now=world.now)
    shares = pool.shares.balance_of(SUPPLIER)
    assert pool.max_redeem(SUPPLIER, now=world.now) == shares
    assert pool.redeem(SUPPLIER, shares, SUPPLIER, SUPPLIER, now=world.now) > 10**9
    pool.pay_fees(STRANGER, now=world.now)
    assert world.credit.balance_of(LENDING) == pool.books.cash <= 1


def test_supply_is_refused_beyond_the_limits_to_nobody_and_without_an_allowance(world: World) -> None:
    pool, now = world.pool, world.now
    shares = world.supply(10**6)
    room = MAX_AMOUNT - 10**6
    assert pool.max_deposit(STRANGER, now=now) == room
    refused(
        lambda: pool.deposit(STRANGER, room + 1, STRANGER, now=now),
        "ERC4626ExceededMaxDeposit", STRANGER, room + 1, room,
    )  # fmt: skip
    most = pool.max_mint(STRANGER, now=now)
    refused(
        lambda: pool.mint(STRANGER, most + 1, STRANGER, now=now),
        "ERC4626ExceededMaxMint", STRANGER, most + 1, most,
    )  # fmt: skip
    refused(
        lambda: pool.redeem(SUPPLIER, shares + 1, SUPPLIER, SUPPLIER, now=now),
        "ERC4626ExceededMaxRedeem", SUPPLIER, shares + 1, shares,
    )  # fmt: skip
    refused(lambda: pool.deposit(STRANGER, 1, ZERO_ADDRESS, now=now), "ERC20InvalidReceiver", ZERO_ADDRESS)
    refused(lambda: pool.deposit(STRANGER, 1, STRANGER, now=now), "ERC20InsufficientAllowance", LENDING, 0, 1)
    refused(
        lambda: pool.redeem(STRANGER, 5, STRANGER, SUPPLIER, now=now),
        "ERC20InsufficientAllowance", STRANGER, 0, 5,
    )  # fmt: skip
    refused(
        lambda: pool.redeem(STRANGER, 0, STRANGER, ZERO_ADDRESS, now=now),
        "ERC20InvalidApprover", ZERO_ADDRESS,
    )  # fmt: skip
    refused(
        lambda: pool.withdraw(SUPPLIER, 1, ZERO_ADDRESS, SUPPLIER, now=now),
        "ERC20InvalidReceiver", ZERO_ADDRESS,
    )  # fmt: skip
    pool.shares.approve(SUPPLIER, STRANGER, 10**6)
    assert pool.withdraw(STRANGER, 1, STRANGER, SUPPLIER, now=now) == 10**6
    assert pool.shares.allowances[SUPPLIER, STRANGER] == 0
    assert world.credit.balance_of(STRANGER) == 1


# Loans against receipts


def test_a_loan_is_pledged_borrowed_repaid_and_released(world: World) -> None:
    pool, now = world.pool, world.now
    world.supply(10**9)
    receipt = world.receipt(10**6)
    pool.pledge(BORROWER, receipt)
    assert world.bank.owner_of(receipt) == LENDING
    refused(lambda: pool.pledge(BORROWER, receipt), "ERC721IncorrectOwner", BORROWER, receipt, LENDING)
    refused(
        lambda: world.bank.transfer_from(BORROWER, LENDING, BORROWER, receipt),
        "ERC721InsufficientApproval", BORROWER, receipt,
    )  # fmt: skip
    assert pool.borrow(BORROWER, receipt, 500_000, STRANGER, now=now) == 500_000 * 10**6
    assert world.credit.balance_of(STRANGER) == 500_000
    refused(
        lambda: pool.borrow(BORROWER, receipt, 400_001, BORROWER, now=now),
        "PledgeTooSmall", receipt, 900_001, 900_000,
    )  # fmt: skip
    world.fund(BORROWER, 10**6)
    assert pool.repay(BORROWER, receipt, 200_000, now=now) == 200_000
    refused(lambda: pool.release(BORROWER, receipt, now=now), "DebtLeft", receipt, 300_000)
    refused(lambda: pool.release(STRANGER, receipt, now=now), "NotBorrower", receipt, STRANGER, BORROWER)
    assert pool.repay(BORROWER, receipt, MAX_UINT256, now=now) == 300_000
    pool.release(BORROWER, receipt, now=now)
    assert world.bank.owner_of(receipt) == BORROWER
    assert pool.pledged_loan(receipt) == PledgedLoan()


def test_borrowing_is_refused_in_the_contracts_order(world: World) -> None:
    pool, now = world.pool, world.now
    world.supply(10**6)
    receipt = world.receipt(10**5)

    def borrow(amount: int, caller: str = BORROWER, receiver: str = BORROWER) -> Callable[[], object]:
        return lambda: pool.borrow(caller, receipt, amount, receiver, now=now)

    refused(borrow(0, STRANGER), "ZeroAmount")
    refused(borrow(1), "NotBorrower", receipt, BORROWER, ZERO_ADDRESS)
    pool.pledge(BORROWER, receipt)
    pool.pause_borrowing(GUARDIAN)
    refused(borrow(1, STRANGER), "NotBorrower", receipt, STRANGER, BORROWER)
    refused(borrow(10**7), "BorrowingPaused")
    pool.resume_borrowing(GOVERNOR, pool.pauses)
    refused(borrow(10**7), "NotEnoughCash", 10**7, 10**6)
    refused(borrow(9_999), "LoanTooSmall", 9_999, 10_000)
    refused(borrow(10**6), "PledgeTooSmall", receipt, 10**6, 90_000)
    refused(borrow(50_000, receiver=ZERO_ADDRESS), "ERC20InvalidReceiver", ZERO_ADDRESS)
    refused(lambda: pool.repay(BORROWER, receipt, 0, now=now), "ZeroAmount")
    refused(lambda: pool.repay(BORROWER, receipt, 1, now=now), "NoDebt")
    refused(lambda: pool.liquidate(STRANGER, receipt, now=now), "NoDebt")
    assert pool.books.cash == 10**6


def test_pledging_comes_before_borrowing(world: World) -> None:
    world.supply(10**6)
    receipt = world.receipt(10**6)

    def both(caller: str, amount: int) -> Callable[[], object]:
        return lambda: world.pool.pledge_and_borrow(caller, receipt, amount, caller, now=world.now)

    refused(both(STRANGER, 0), "ERC721IncorrectOwner", STRANGER, receipt, BORROWER)
    refused(both(BORROWER, 0), "ZeroAmount")
    refused(both(BORROWER, 900_001), "PledgeTooSmall", receipt, 900_001, 900_000)
    assert world.bank.owner_of(receipt) == BORROWER
    assert world.bank.get_approved(receipt) == LENDING


def test_a_liquidation_pays_incentive_debt_and_the_rest_back(world: World) -> None:
    world.supply(900_000)
    receipt = world.loan(10**6, 900_000)
    pool = world.pool
    refused(lambda: pool.liquidate(LIQUIDATOR, receipt, now=START), "PledgeCovers", receipt, 900_000, 950_000)
    while (debt := pool.debt_of(receipt, now=world.now)) <= 950_000:
        world.now += DAY
    assert debt < 980_000
    assert pool.liquidate(LIQUIDATOR, receipt, now=world.now) == 20_000
    assert world.credit.balance_of(LIQUIDATOR) == 20_000
    assert world.credit.balance_of(BORROWER) == 900_000 + 980_000 - debt
    assert pool.books.cash == world.credit.balance_of(LENDING) == debt
    assert (pool.books.debt, pool.books.debt_shares, pool.pledges) == (0, 0, {})


def drown(world: World) -> int:
    """A pledge far under its debt, and a reserve of 30,000; return the receipt."""
    world.supply(10**6)
    receipt = world.loan(1_200_000, 10**6)
    world.fill_reserve(30_000)
    for _ in range(3):
        world.now += YEAR
        world.pool.accrue(STRANGER, now=world.now)
    return receipt


def test_a_shortfall_is_the_suppliers_and_the_fees_bear_their_part(world: World) -> None:
    receipt = drown(world)
    fees, debt = world.pool.books.fees_owed, world.pool.books.debt
    world.pool.liquidate(LIQUIDATOR, receipt, now=world.now)
    assert world.fee_pool.reserve == 30_000
    assert world.pool.books.cash == 1_176_000
    assert world.pool.books.fees_owed == fees - (debt - 1_176_000) // 10
    assert world.pool.total_assets(now=world.now) == 1_176_000 - world.pool.books.fees_owed > 10**6


def test_what_suppliers_do_not_own_any_more_the_fees_lose(world: World) -> None:
    receipt = drown(world)
    # Fees of a time when they were higher: their part of the loss is none now.
    world.pool.set_risk(GOVERNOR, replace(RISK, fee_bps=0), now=world.now)
    world.pool.liquidate(LIQUIDATOR, receipt, now=world.now)
    assert world.pool.books.cash == world.pool.books.fees_owed == 1_176_000
    assert world.pool.total_assets(now=world.now) == 0


def test_whoever_has_the_only_loan_owes_all_of_the_debt(world: World) -> None:
    world.supply(3 * 10**6)
    first, last = world.loan(2 * 10**6, 10**6), world.loan(4 * 10**6, 2 * 10**6)
    pool = world.pool
    for _ in range(3):
        world.now += YEAR
        pool.accrue(STRANGER, now=world.now)
    owed = [pool.debt_of(receipt, now=world.now) for receipt in (first, last)]
    assert sum(owed) < pool.books.debt
    world.fund(BORROWER, 10**15)
    pool.repay(BORROWER, first, MAX_UINT256, now=world.now)
    debt = pool.books.debt
    assert pool.debt_of(last, now=world.now) == debt
    assert pool.repay(BORROWER, last, debt - 1, now=world.now) == debt - 1
    assert pool.debt_of(last, now=world.now) == 1
    pool.repay(BORROWER, last, 1, now=world.now)
    assert pool.books.debt == pool.books.debt_shares == 0


def test_total_losses_never_make_more_shares_than_fit(world: World) -> None:
    pool = world.pool
    for _ in range(6):
        amount = min(10**12, pool.max_deposit(SUPPLIER, now=world.now))
        world.supply(amount)
        assert pool.shares.supply <= MAX_SHARES
        pool.books.cash = 0  # as if everything were lost
    assert pool.max_deposit(SUPPLIER, now=world.now) == pool.max_mint(SUPPLIER, now=world.now) == 0


# Loans on standing


def test_standing_is_enough_to_borrow_within_the_limit(world: World) -> None:
    world.supply(10**10, stayed=True)
    pool = world.pool
    limit = pool.standing_limit(10**9, now=world.now)
    assert limit == 10**9 // 2
    refused(lambda: world.borrow_on_standing(limit + 1), "StandingTooLow", limit + 1, limit)
    assert world.borrow_on_standing(10**8) == 10**14
    assert world.distributor.creditor_of(BORROWER) == LENDING
    due_at = START + 30 * DAY
    assert pool.standing_loan(BORROWER) == StandingLoan(BORROWER, 10**14, 10**8, due_at, 0, 0)
    world.now += DAY
    world.borrow_on_standing(10**8)
    assert pool.standing_loan(BORROWER).due_at == due_at
    assert pool.standing_loan(BORROWER).principal == 2 * 10**8
    world.now = due_at
    assert pool.due_from_claims(BORROWER, now=due_at - 1) == 0
    refused(lambda: world.borrow_on_standing(10**8), "LoanOverdue", BORROWER, due_at)


def test_standing_fades(world: World) -> None:
    limits = [world.pool.standing_limit(10**9, now=START + DAY * day) for day in range(200)]
    assert limits == sorted(limits, reverse=True)
    assert limits[-1] == 0


def test_borrowing_on_standing_is_refused_in_the_contracts_order(world: World) -> None:
    pool = world.pool
    world.supply(10**8, stayed=True)
    pool.pause_borrowing(GUARDIAN)
    refused(lambda: world.borrow_on_standing(0), "ZeroAmount")
    refused(lambda: world.borrow_on_standing(1, root=OTHER_ROOT), "BorrowingPaused")
    pool.resume_borrowing(GOVERNOR, pool.pauses)
    refused(
        lambda: world.borrow_on_standing(1, account=SUPPLIER, root=OTHER_ROOT),
        "NotAccountHolder", SUPPLIER, BORROWER,
    )  # fmt: skip
    second = HEAD._replace(version=2)
    world.oracle.policy_hash = hash_head(second)
    refused(lambda: world.borrow_on_standing(1, root=OTHER_ROOT), "StandingNotProven", 0, ROOT)
    refused(lambda: world.borrow_on_standing(1), "PolicyNotAccepted", hash_head(second), POLICY)
    refused(lambda: pool.accept_policy(STRANGER, HEAD), "NotPolicyInForce", POLICY, hash_head(second))
    pool.accept_policy(STRANGER, second)
    refused(lambda: world.borrow_on_standing(10**8 + 1), "NotEnoughCash", 10**8 + 1, 10**8)
    refused(lambda: world.borrow_on_standing(9_999), "LoanTooSmall", 9_999, 10_000)
    refused(lambda: world.borrow_on_standing(10**8, standing=100), "StandingTooLow", 10**8, 50)
    refused(lambda: world.borrow_on_standing(3 * 10**7), "UnsecuredCapReached", 3 * 10**7, 2 * 10**7)
    world.distributor.creditors[BORROWER] = LEASE
    refused(lambda: world.borrow_on_standing(10**7), "ClaimsPledged", BORROWER, LEASE)
    assert pool.standing_loans == {}
    assert pool.books.cash == 10**8


def test_one_loan_is_on_one_account(world: World) -> None:
    world.supply(10**10, stayed=True)
    refused(
        lambda: world.borrow_on_standing(10**8, account=PLACEHOLDER),
        "NotAccountHolder", PLACEHOLDER, BORROWER,
    )  # fmt: skip
    world.distributor.wallets[PLACEHOLDER] = BORROWER
    world.borrow_on_standing(10**8, account=PLACEHOLDER)
    assert world.distributor.creditors == {PLACEHOLDER: LENDING, BORROWER: LENDING}
    refused(lambda: world.borrow_on_standing(10**8), "OtherAccount", BORROWER, PLACEHOLDER)
    world.fund(BORROWER, 0)
    assert world.pool.repay_standing(BORROWER, BORROWER, 10**9, now=world.now) == 10**8
    assert world.distributor.creditors == {}
    refused(lambda: world.pool.repay_standing(BORROWER, BORROWER, 1, now=world.now), "NoDebt")
    refused(lambda: world.pool.repay_standing(BORROWER, BORROWER, 0, now=world.now), "ZeroAmount")


def test_claims_repay_once_due_and_the_last_unit_frees_them(world: World) -> None:
    world.supply(10**10, stayed=True)
    world.borrow_on_standing(10**8)
    assert world.claim(10**7) == 0
    world.now += RISK.standing_term
    owed = world.pool.standing_debt_of(BORROWER, now=world.now)
    assert world.claim(10**7) == 10**7
    left = world.pool.standing_debt_of(BORROWER, now=world.now)
    assert owed - 10**7 <= left <= owed - 10**7 + 1
    assert world.claim(10**9) == left
    assert world.distributor.creditors == {}
    assert world.pool.standing_loans == {}
    assert world.pool.unsecured_shares == 0
    assert world.credit.balance_of(LENDING) == world.pool.books.cash
    refused(
        lambda: world.pool.repay_from_claim(STRANGER, BORROWER, 1, now=world.now),
        "NotClaimsDistributor", STRANGER, DISTRIBUTOR,
    )  # fmt: skip


def test_a_failed_loan_is_written_off_and_recovered_for_the_reserve(world: World) -> None:
    debt = world.fail(3 * 10**7)
    pool = world.pool
    world.now -= 1
    fails_at = START + RISK.standing_term + RISK.grace
    refused(
        lambda: pool.write_off(STRANGER, BORROWER, now=world.now),
        "NotYetFailed", BORROWER, fails_at, fails_at - 1,
    )  # fmt: skip
    world.now += 1
    books = pool.accrued_books(now=world.now)
    pool.write_off(STRANGER, BORROWER, now=world.now)
    lost = debt - 3 * 10**7
    fees_lost = (debt - 10**8) * RISK.fee_bps // 10_000
    assert books.fees_owed == fees_lost > 0
    assert pool.total_assets(now=world.now) == books.assets - lost + fees_lost
    assert pool.standing_loan(BORROWER) == StandingLoan(
        BORROWER, 0, 0, START + RISK.standing_term, lost, 3 * 10**7
    )
    refused(lambda: pool.write_off(STRANGER, BORROWER, now=world.now), "NoDebt")
    refused(lambda: world.borrow_on_standing(10**8), "LoanOverdue", BORROWER, START + RISK.standing_term)
    world.now += YEAR
    assert pool.due_from_claims(BORROWER, now=world.now) == debt
    assets = pool.total_assets(now=world.now)
    assert world.claim(lost + 5) == lost + 5
    assert pool.total_assets(now=world.now) == assets, "nobody can supply for a moment and take a recovery"
    assert world.fee_pool.reserve == lost + 5
    world.fund(STRANGER, 10**9)
    assert pool.repay_standing(STRANGER, BORROWER, 10**9, now=world.now) == 3 * 10**7 - 5
    assert world.fee_pool.reserve == debt
    assert world.distributor.creditors == pool.standing_loans == {}
    assert world.credit.balance_of(LENDING) == pool.books.cash


@pytest.mark.parametrize("reserve", [0, 4 * 10**7, 10**9])
@pytest.mark.parametrize("repaid", [0, 6 * 10**7, 10**8, 10**8 + 1])
def test_the_reserve_pays_what_was_lent_and_never_interest(world: World, reserve: int, repaid: int) -> None:
    world.supply(2 * 10**10, stayed=True)
    world.loan(2 * 10**10, 13 * 10**9)
    world.borrow_on_standing(10**8)
    world.now += RISK.standing_term + RISK.grace
    world.fill_reserve(reserve)
    pool = world.pool
    if repaid:
        world.fund(STRANGER, repaid)
        pool.repay_standing(STRANGER, BORROWER, repaid, now=world.now)
    principal = max(0, 10**8 - repaid)
    assert pool.standing_loan(BORROWER).principal == principal
    debt = pool.standing_debt_of(BORROWER, now=world.now)
    books = pool.accrued_books(now=world.now)
    pool.write_off(STRANGER, BORROWER, now=world.now)
    covered = min(reserve, principal)
    loan = pool.standing_loan(BORROWER)
    assert (loan.lost_by_reserve, loan.lost_by_pool) == (covered, debt - covered)
    assert pool.books.fees_owed == books.fees_owed - (debt - principal) // 10
    assert world.fee_pool.reserve == reserve - covered


def test_the_reserve_pays_nothing_for_a_pledge(world: World) -> None:
    receipt = world.receipt(10**7)
    world.supply(8_900_001, BORROWER)
    world.pool.pledge_and_borrow(BORROWER, receipt, 8_900_000, BORROWER, now=world.now)
    world.fill_reserve(1_275_000)
    world.now += 45 * DAY
    assert world.pool.debt_of(receipt, now=world.now) > 10**7
    world.pool.liquidate(BORROWER, receipt, now=world.now)
    shares = world.pool.max_redeem(BORROWER, now=world.now)
    world.pool.redeem(BORROWER, shares, BORROWER, BORROWER, now=world.now)
    assert world.fee_pool.reserve == 1_275_000
    assert world.credit.balance_of(BORROWER) <= 10**7 + 8_900_001


def test_supply_that_has_just_come_does_not_raise_the_cap(world: World) -> None:
    world.supply(5 * 10**6, stayed=True)
    world.supply(20 * 10**6, STRANGER)
    refused(lambda: world.borrow_on_standing(4_900_000), "UnsecuredCapReached", 4_900_000, 10**6)
    world.now += 12
    refused(lambda: world.borrow_on_standing(4_900_000), "UnsecuredCapReached", 4_900_000, 1_000_694)
    world.now += DAY
    world.borrow_on_standing(4_900_000)


def test_the_base_of_the_cap_falls_with_the_assets_at_once(world: World) -> None:
    world.supply(10**8, stayed=True)
    world.pool.withdraw(SUPPLIER, 10**8 - 10**6, SUPPLIER, SUPPLIER, now=world.now)
    assert world.pool.books.cap_base == 10**6
    world.pool.deposit(SUPPLIER, 10**8 - 10**6, SUPPLIER, now=world.now)
    assert world.pool.books.cap_base == 10**6


@given(st.integers(1, 10**15), st.lists(st.integers(1, DAY // 4), max_size=12))
def test_the_base_rises_in_a_day_however_often_it_is_looked_at(amount: int, pauses: list[int]) -> None:
    world = World()
    world.supply(amount)
    assert world.pool.books.cap_base == 0
    for number, pause in enumerate(pauses, 1):
        world.now += pause
        world.pool.accrue(STRANGER, now=world.now)
        straight = min(amount, amount * (world.now - START) // DAY)
        assert straight <= world.pool.books.cap_base <= straight + number
    assert world.pool.accrued_books(now=max(world.now, START + DAY)).cap_base == amount


# Interest, fees, settings


@given(st.integers(10_000, 10**12), st.integers(1, 3 * YEAR))
def test_interest_never_exceeds_the_exponential_at_the_highest_rate(lent: int, waited: int) -> None:
    world = World()
    world.supply(10**12)
    receipt = world.loan(2 * 10**12, lent)
    owed = world.pool.debt_of(receipt, now=START + waited)
    most = lent * adaptive_rate.growth(adaptive_rate.MAX_EXPONENT, 1) // adaptive_rate.WAD
    assert lent <= owed <= lent + most + 2
    assert world.pool.borrow_rate(now=START + waited) <= 4 * adaptive_rate.MAX_RATE_AT_TARGET


def test_an_empty_pool_keeps_its_rate_and_an_idle_one_lowers_it(world: World) -> None:
    world.pool.accrue(STRANGER, now=START + YEAR)
    assert world.pool.books.rate_at_target == RATE
    world.now += YEAR
    world.supply(1)
    world.pool.accrue(STRANGER, now=START + 2 * YEAR)
    assert world.pool.books.rate_at_target == adaptive_rate.MIN_RATE_AT_TARGET


def test_debt_stops_growing_before_it_overflows(world: World) -> None:
    world.supply(4 * 10**18)
    receipt = world.loan(5 * 10**18, 4 * 10**18)
    for year in range(1, 4):
        world.pool.accrue(STRANGER, now=START + year * YEAR)
    assert world.pool.books.debt == MAX_AMOUNT
    assert world.pool.books.fees_owed <= MAX_AMOUNT
    world.pool.liquidate(LIQUIDATOR, receipt, now=START + 4 * YEAR)
    assert world.pool.books.debt_shares == 0


def test_fees_and_strays_go_to_the_fee_pool_as_far_as_there_is_cash(world: World) -> None:
    world.supply(10**9)
    receipt = world.loan(10**10, 10**9)
    world.now += 30 * DAY
    fees = world.pool.accrued_books(now=world.now).fees_owed
    assert fees > 1
    assert world.pool.pay_fees(STRANGER, now=world.now) == 0
    world.pool.repay(BORROWER, receipt, fees - 1, now=world.now)
    world.credit.mint(LENDING, 777)
    assert world.pool.pay_fees(STRANGER, now=world.now) == fees - 1 + 777
    assert world.pool.books.fees_owed == 1
    assert world.credit.balance_of(FEES) == fees - 1 + 777
    assert world.fee_pool.depositors + world.fee_pool.bonus + world.fee_pool.reserve == fees - 1 + 777


@pytest.mark.parametrize(
    "change",
    [
        {"max_ltv_bps": 9_500},
        {"liquidation_ltv_bps": 9_801},
        {"max_ltv_bps": 4_000, "liquidation_ltv_bps": 4_999},
        {"incentive_bps": 1_001, "max_ltv_bps": 7_000, "liquidation_ltv_bps": 8_000},
        {"standing_bps": 10_001},
        {"unsecured_cap_bps": 5_001},
        {"fee_bps": 2_501},
        {"standing_term": DAY - 1},
        {"standing_term": 730 * DAY + 1},
        {"grace": 365 * DAY + 1},
    ],
)
def test_settings_keep_their_bounds(world: World, change: dict[str, int]) -> None:
    refused(lambda: world.pool.set_risk(GOVERNOR, replace(RISK, **change), now=world.now), "BadRiskSettings")
    assert world.pool.risk == RISK


def test_the_incentive_keeps_its_bound(world: World) -> None:
    low = replace(RISK, max_ltv_bps=5_000, liquidation_ltv_bps=6_000, incentive_bps=1_000)
    pool = replace(world.pool, risk=low, books=replace(world.pool.books))
    refused(
        lambda: pool.set_risk(GOVERNOR, replace(low, incentive_bps=1_001), now=world.now), "BadRiskSettings"
    )
    pool.set_risk(GOVERNOR, replace(low, liquidation_ltv_bps=9_000), now=world.now)


def test_settings_need_roles(world: World) -> None:
    refused(lambda: world.pool.set_risk(GUARDIAN, RISK, now=world.now), "AccessManagedUnauthorized", GUARDIAN)
    refused(lambda: world.pool.pause_borrowing(GOVERNOR), "AccessManagedUnauthorized", GOVERNOR)
    refused(
        lambda: world.pool.resume_borrowing(GUARDIAN, world.pool.pauses),
        "AccessManagedUnauthorized",
        GUARDIAN,
    )


@pytest.mark.parametrize("rate", [adaptive_rate.MIN_RATE_AT_TARGET - 1, adaptive_rate.MAX_RATE_AT_TARGET + 1])
def test_the_first_rate_keeps_its_bounds(world: World, rate: int) -> None:
    refused(lambda: replace(world.pool, initial_rate_at_target=rate), "BadRiskSettings")


# Any sequence


class Pool(RuleBasedStateMachine):
    """Four members do everything anybody can; a clerk's sums must hold after every step."""

    members = st.sampled_from([member(number) for number in range(0x21, 0x25)])
    amounts = st.integers(1, 10**9) | st.integers(1, 30_000)

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.pool = self.world.pool
        for number in range(0x21, 0x25):
            self.world.fund(member(number), 10**12)
        self.price = (1, VIRTUAL_SHARES)
        self.written_off = False

    @property
    def now(self) -> int:
        return self.world.now

    def attempt(self, call: Callable[[], object]) -> None:
        before = repr(
            (self.pool.books, self.pool.pledges, self.pool.standing_loans, self.world.credit.supply)
        )
        try:
            call()
        except Reverted:
            after = repr(
                (self.pool.books, self.pool.pledges, self.pool.standing_loans, self.world.credit.supply)
            )
            assert after == before, "a refusal changes nothing"

    @rule(seconds=st.integers(1, 2 * DAY) | st.integers(DAY, 400 * DAY))
    def wait(self, seconds: int) -> None:
        self.world.now += seconds

    @rule(who=members, amount=amounts)
    def supply(self, who: str, amount: int) -> None:
        self.attempt(lambda: self.pool.deposit(who, amount, who, now=self.now))

    @rule(who=members, amount=amounts)
    def mint(self, who: str, amount: int) -> None:
        self.attempt(lambda: self.pool.mint(who, amount * VIRTUAL_SHARES // 3, who, now=self.now))

    @rule(who=members, part=st.integers(1, 4))
    def withdraw(self, who: str, part: int) -> None:
        amount = self.pool.max_withdraw(who, now=self.now) // part
        self.pool.withdraw(who, amount, who, who, now=self.now)

    @rule(who=members, part=st.integers(1, 4))
    def redeem(self, who: str, part: int) -> None:
        shares = self.pool.max_redeem(who, now=self.now) // part
        self.pool.redeem(who, shares, who, who, now=self.now)

    @rule(who=members, value=amounts, term=st.integers(0, 1), percent=st.integers(50, 95))
    def borrow(self, who: str, value: int, term: int, percent: int) -> None:
        if value < TimeBank.MIN_DEPOSIT:
            return
        receipt = self.world.receipt(value, who, term)
        amount = value * percent // 100
        self.attempt(lambda: self.pool.pledge_and_borrow(who, receipt, amount, who, now=self.now))

    @precondition(lambda self: self.pool.pledges)
    @rule(data=st.data(), part=st.integers(1, 3), payer=members)
    def repay(self, data: st.DataObject, part: int, payer: str) -> None:
        receipt = data.draw(st.sampled_from(sorted(self.pool.pledges)))
        owed = self.pool.debt_of(receipt, now=self.now)
        if owed == 0:
            self.pool.release(self.pool.pledges[receipt].borrower, receipt, now=self.now)
            return
        self.attempt(lambda: self.pool.repay(payer, receipt, max(1, owed // part), now=self.now))

    @precondition(lambda self: self.pool.pledges)
    @rule(data=st.data(), who=members)
    def liquidate(self, data: st.DataObject, who: str) -> None:
        receipt = data.draw(st.sampled_from(sorted(self.pool.pledges)))
        cash = self.pool.books.cash
        owed = self.pool.debt_of(receipt, now=self.now)
        self.attempt(lambda: self.pool.liquidate(who, receipt, now=self.now))
        if receipt not in self.pool.pledges and self.pool.books.cash - cash < owed:
            self.written_off = True

    @rule(who=members, amount=amounts)
    def borrow_on_standing(self, who: str, amount: int) -> None:
        self.world.oracle.latest_end_ms = self.now * 1000
        self.attempt(lambda: self.world.borrow_on_standing(amount, caller=who, standing=10**9))

    @rule(who=members, payer=members, part=st.integers(1, 3))
    def repay_standing(self, who: str, payer: str, part: int) -> None:
        owed = self.pool.standing_debt_of(who, now=self.now)
        self.attempt(lambda: self.pool.repay_standing(payer, who, owed // part, now=self.now))

    @rule(who=members, amount=amounts)
    def claim(self, who: str, amount: int) -> None:
        due = min(self.pool.due_from_claims(who, now=self.now), amount)
        if due:
            self.world.credit.mint(LENDING, due)
            self.pool.repay_from_claim(DISTRIBUTOR, who, due, now=self.now)

    @rule(who=members)
    def write_off(self, who: str) -> None:
        loan = self.pool.standing_loan(who)
        self.attempt(lambda: self.pool.write_off(STRANGER, who, now=self.now))
        self.written_off |= loan.debt_shares != self.pool.standing_loan(who).debt_shares

    @rule(amount=amounts)
    def donate(self, amount: int) -> None:
        self.world.credit.mint(LENDING, amount)

    @rule()
    def pay_fees(self) -> None:
        self.pool.pay_fees(STRANGER, now=self.now)

    @invariant()
    def sums_hold(self) -> None:
        books = self.pool.accrued_books(now=self.now)
        assert min(books.debt, books.cash, books.fees_owed, books.assets) >= 0
        assert books.cash <= self.world.credit.balance_of(LENDING)
        loans = list(self.pool.pledges.values())
        standing = list(self.pool.standing_loans.values())
        unsecured = sum(loan.debt_shares for loan in standing)
        assert self.pool.unsecured_shares == unsecured
        assert 0 <= books.cap_base <= books.assets
        # Each rounding of the steps so far may have taken a unit from what a loan owes.
        assert all(0 <= loan.principal <= books.owed(loan.debt_shares) + 50 for loan in standing)
        assert books.debt_shares == unsecured + sum(loan.debt_shares for loan in loans)
        owed = sum(books.owed(loan.debt_shares) for loan in [*loans, *standing])
        assert owed <= books.debt + len(loans) + len(standing) + 1
        assert sum(self.pool.shares.balances.values()) == self.pool.shares.supply

    @invariant()
    def custody_holds(self) -> None:
        held = {receipt for receipt, owner in self.world.bank.owners.items() if owner == LENDING}
        assert held == set(self.pool.pledges)
        indebted = {who for who, loan in self.pool.standing_loans.items() if not loan.is_repaid}
        assert set(self.world.distributor.creditors) == indebted == set(self.pool.standing_loans)

    @invariant()
    def a_share_is_only_worth_less_after_a_write_off(self) -> None:
        assets = self.pool.total_assets(now=self.now) + 1
        shares = self.pool.shares.supply + VIRTUAL_SHARES
        if not self.written_off:
            assert assets * self.price[1] >= shares * self.price[0]
        self.price = (assets, shares)
        self.written_off = False

    def teardown(self) -> None:
        """Once everything is repaid every supplier gets out what is theirs."""
        self.world.fund(STRANGER, 10**24)
        for who in list(self.pool.standing_loans):
            self.pool.repay_standing(STRANGER, who, MAX_UINT256, now=self.now)
        for receipt, loan in list(self.pool.pledges.items()):
            if loan.debt_shares:
                self.pool.repay(STRANGER, receipt, MAX_UINT256, now=self.now)
            self.pool.release(loan.borrower, receipt, now=self.now)
        assert self.pool.books.debt_shares == self.pool.books.debt == 0
        for number in range(0x21, 0x25):
            who = member(number)
            worth = self.pool.convert_to_assets(self.pool.shares.balance_of(who), now=self.now)
            shares = self.pool.shares.balance_of(who)
            assert self.pool.redeem(who, shares, who, who, now=self.now) == worth


PoolTest = Pool.TestCase
PoolTest.settings = settings(max_examples=60, stateful_step_count=50, deadline=None)
