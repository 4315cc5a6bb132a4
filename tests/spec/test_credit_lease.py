"""The lease in plain Python integers: every promise, every refusal in its order, sums that hold at random.

::

    hash: the client's digest of the same offer, on every chain and contract
    take
    |- pays the lessee, keeps the receipt, books the lease
    |- refuses in the contract's order, each time without a trace
    |- goes in parts down to the last odd one; the parts' rents are the whole one's or a unit a part above
    `- at the last second; on a receipt worth exactly what is owed; never when the bank would not cover it
    take_on_standing: pays and pledges; refuses in the contract's order; to the limit and no further
    repay: whole by anybody, never more than owed; in part only on standing; out of the payer's allowance
    settle: once due, never before, a year late; pays the lender first when income was taxed
    forgive, cancel, cancel_all: the lender's alone; what was taken goes on
    claims: the lessee's before the due day, the lender's first after it, free when all is paid
    settings: by role, bounded, for later leases; pausing stops taking and nothing else
    any parts of the rent: the same fee in all
    any sequence of calls
    |- a refusal leaves no trace
    |- no credits are made, lost or kept; fees are in the fee pool's books
    |- receipts are held for leases that run, and cover them
    |- claims are pledged while a lease on standing runs
    `- lenders got what came in, less the fee on the rent
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.strategies import DataObject

from timebank_chain.chain import credit_lease as client
from timebank_chain.chain.addresses import address_text
from timebank_chain.spec import epoch_tree
from timebank_chain.spec.attention_credit import MAX_UINT256, ZERO_ADDRESS, AttentionCredit
from timebank_chain.spec.credit_distributor import CreditDistributor
from timebank_chain.spec.credit_lease import CreditLease, Lease, LeaseOffer, hash_offer
from timebank_chain.spec.credit_lending import CreditLending, OracleState, RiskSettings
from timebank_chain.spec.epoch_tree import AccountLeaf
from timebank_chain.spec.fee_pool import FeePool
from timebank_chain.spec.policy_registry import PolicyHead, hash_head
from timebank_chain.spec.revert import Reverted
from timebank_chain.spec.time_bank import Term, TimeBank

DAY = 86_400
START = 1_800_000_000
AMOUNT, MIN_TAKE, RENT = 50_000_000, 1_000_000, 400_001
TERM = 7 * DAY
FEE_BPS = 1_000
FEE = 40_001
DEMAND, WEEK, MONTH = 0, 1, 2
GRANT = 10**9
#: A mean lifetime of thirty days.
DECAY_K = 40_106_919
HEAD = PolicyHead(b"policy".ljust(32, b"\0"), 1, DECAY_K, 0, 1 << 24, b"\x01" * 32, b"\x02" * 32)
POLICY = hash_head(HEAD)

LEASE, BANK, POOL, FEES, CLAIMS = (f"0x{number:040x}" for number in range(0xC1, 0xC6))
LENDER, OTHER_LENDER, LESSEE, STRANGER, GOVERNOR, GUARDIAN = (f"0x{number:040x}" for number in range(1, 7))
PLACEHOLDER = "0x" + b"timebank".hex() + "00" * 11 + "01"
ACCOUNTS = (LESSEE, STRANGER, PLACEHOLDER)
MEMBERS = (LENDER, OTHER_LENDER, LESSEE, STRANGER)


@dataclass
class Stage:
    """The bank's rooms, wired as a deployment does, and the epoch claims are proved in."""

    credit: AttentionCredit
    fee_pool: FeePool
    bank: TimeBank
    oracle: OracleState
    distributor: CreditDistributor
    lending: CreditLending
    lease: CreditLease
    wallets: dict[str, str]
    now: int = START
    leaves: list[AccountLeaf] = field(default_factory=list)
    proofs: list[list[bytes]] = field(default_factory=list)

    @classmethod
    def build(cls) -> Stage:
        credit = AttentionCredit()
        fee_pool = FeePool(credit, FEES, BANK, POOL, 5_000, 3_000)
        terms = [Term(0, 1_000, 0), Term(7 * DAY, 1_500, 100), Term(30 * DAY, 2_500, 200)]
        bank = TimeBank(credit, fee_pool, BANK, CLAIMS, GOVERNOR, terms, 500, 7 * DAY)
        oracle = OracleState(POLICY, 1 << 24, START * 1_000)
        wallets: dict[str, str] = {}
        distributor = CreditDistributor(credit, CLAIMS, wallets)
        risk = RiskSettings(9_000, 9_500, 200, 5_000, 2_000, 1_000, 30 * DAY, 7 * DAY, 10_000)
        lending = CreditLending(
            credit, oracle, bank, fee_pool, distributor, POOL, GOVERNOR, GUARDIAN, risk, 1_268_391_679, START
        )
        lending.accept_policy(STRANGER, HEAD)
        lease = CreditLease(
            credit, bank, lending, fee_pool, distributor, LEASE, 31_337, GOVERNOR, GUARDIAN, FEE_BPS
        )
        distributor.time_bank = bank
        distributor.creditors = (lending, lease)
        return cls(credit, fee_pool, bank, oracle, distributor, lending, lease, wallets)

    def books(self) -> Any:
        """All state, without the zeros that looking leaves behind."""
        lease, bank, claims = self.lease, self.bank, self.distributor
        return copy.deepcopy(
            (
                {holder: amount for holder, amount in self.credit.balances.items() if amount},
                {pair: amount for pair, amount in self.credit.allowances.items() if amount},
                self.credit.supply,
                (self.fee_pool.depositors, self.fee_pool.bonus, self.fee_pool.reserve),
                (bank.books, bank.positions, bank.owners, bank.approvals),
                {account: claims.creditor_of(account) for account in (*MEMBERS, PLACEHOLDER)},
                (lease.leases, lease.offers, lease.standing_leases, lease.series, lease.lease_count),
                (lease.lease_fee_bps, lease.leasing_paused),
            )
        )

    def refused(self, name: str, *values: object) -> _Refusal:
        return _Refusal(self, name, values)

    def fund(self, holder: str, amount: int, spender: str = LEASE) -> None:
        self.credit.mint(holder, amount)
        self.credit.approve(holder, spender, MAX_UINT256)

    def receipt(self, owner: str, amount: int, term_id: int = DEMAND) -> int:
        """A receipt of the owner, approved for the lease."""
        self.fund(owner, amount, BANK)
        receipt = self.bank.deposit(owner, amount, term_id, owner, now=self.now)
        self.bank.approve(owner, LEASE, receipt)
        return receipt

    def income(self, amount: int) -> None:
        self.credit.mint(BANK, amount)
        self.bank.collect(STRANGER, now=self.now)

    def epoch(self, grant: int = GRANT) -> None:
        """An epoch that grants as much to every account; standing is all that was ever granted."""
        self.now += DAY
        before = [leaf.cumulative_mint for leaf in self.leaves] or [0] * len(ACCOUNTS)
        self.leaves = [
            AccountLeaf(
                index=index,
                account=bytes.fromhex(account[2:]),
                activity_end=index + 1,
                earned=grant,
                running_earned=grant * (index + 1),
                running_active=index + 1,
                standing=before[index] + grant,
                mint=grant,
                running_mint=grant * (index + 1),
                cumulative_mint=before[index] + grant,
            )
            for index, account in enumerate(ACCOUNTS)
        ]
        hashes = [*(epoch_tree.hash_account_leaf(leaf) for leaf in self.leaves), bytes(32)]
        left = epoch_tree.hash_pair(hashes[0], hashes[1])
        right = epoch_tree.hash_pair(hashes[2], hashes[3])
        self.proofs = [[hashes[1], right], [hashes[0], right], [hashes[3], left]]
        self.distributor.accept_root(self.distributor.epoch + 1, epoch_tree.hash_pair(left, right))
        self.oracle.latest_end_ms = (self.now - DAY) * 1_000

    def claim(self, index: int) -> int:
        return self.distributor.claim(STRANGER, self.leaves[index], self.proofs[index], now=self.now)

    def take(
        self, offer: LeaseOffer, amount: int, receipt: int, *, caller: str = LESSEE, valid: bool = True
    ) -> int:
        return self.lease.take(caller, offer, valid, amount, receipt, now=self.now)

    def take_on_standing(
        self, offer: LeaseOffer, amount: int, *, index: int = 0, caller: str = LESSEE, valid: bool = True
    ) -> int:
        return self.lease.take_on_standing(
            caller, offer, valid, amount, self.leaves[index], self.proofs[index], now=self.now
        )


class _Refusal:
    """A call that must revert with exactly this, and change nothing."""

    def __init__(self, stage: Stage, name: str, values: tuple[object, ...]) -> None:
        self.stage, self.name, self.values = stage, name, values

    def __enter__(self) -> None:
        self.before = self.stage.books()

    def __exit__(self, kind: object, error: object, trace: object) -> bool:
        assert isinstance(error, Reverted), f"not refused with {self.name}"
        assert (error.name, error.values) == (self.name, self.values)
        assert self.stage.books() == self.before
        return True


@pytest.fixture
def stage() -> Stage:
    stage = Stage.build()
    stage.fund(LENDER, 10 * AMOUNT)
    return stage


def offer_of(amount: int = AMOUNT, rent: int = RENT, **changes: Any) -> LeaseOffer:
    offer = LeaseOffer(
        lender=LENDER,
        lessee=ZERO_ADDRESS,
        amount=amount,
        min_take=min(MIN_TAKE, amount),
        rent=rent,
        term=TERM,
        on_standing=True,
        expires_at=START + 60 * DAY,
        series=0,
        salt=0,
    )
    return replace(offer, **changes)


# hash


@given(
    st.integers(0, (1 << 160) - 1),
    st.integers(0, (1 << 256) - 1),
    st.integers(1, (1 << 256) - 1),
    st.booleans(),
)
def test_hash_is_the_clients_digest(lender: int, salt: int, chain_id: int, on_standing: bool) -> None:
    offer = offer_of(lender=f"0x{lender:040x}", salt=salt, on_standing=on_standing, series=3)
    checksummed = address_text(lender.to_bytes(20, "big"))
    same = client.LeaseOffer(
        lender=checksummed,
        lessee=address_text(bytes(20)),
        amount=client.MicroCredit(offer.amount),
        min_take=client.MicroCredit(offer.min_take),
        rent=client.MicroCredit(offer.rent),
        term=offer.term,
        on_standing=offer.on_standing,
        expires_at=offer.expires_at,
        series=offer.series,
        salt=offer.salt,
    )
    assert hash_offer(offer, chain_id, LEASE) == same.digest(chain_id, LEASE)
    assert hash_offer(offer, chain_id, POOL) != same.digest(chain_id, LEASE)


# take


def test_take_pays_the_lessee_and_keeps_the_receipt(stage: Stage) -> None:
    offer, receipt = offer_of(), stage.receipt(LESSEE, 2 * AMOUNT)
    assert stage.take(offer, AMOUNT, receipt) == 1
    assert stage.credit.balance_of(LESSEE) == AMOUNT
    assert stage.credit.balance_of(LENDER) == 9 * AMOUNT
    assert stage.credit.balance_of(LEASE) == 0
    assert stage.bank.owner_of(receipt) == LEASE
    assert stage.lease.lease_of(1) == Lease(
        lender=LENDER,
        due_at=START + TERM,
        receipt_id=receipt,
        fee_bps=FEE_BPS,
        lessee=LESSEE,
        principal=AMOUNT,
        account=ZERO_ADDRESS,
        rent=RENT,
        repaid=0,
    )
    assert stage.lease.owed_on(1) == AMOUNT + RENT
    assert stage.lease.taken_of(stage.lease.hash_offer(offer)) == AMOUNT
    assert stage.lease.standing_lease_of(LESSEE) == 0
    assert stage.lease.due_from_claims(LESSEE, now=START + 10 * TERM) == 0


def test_take_refuses_in_the_contracts_order(stage: Stage) -> None:
    receipt = stage.receipt(LESSEE, 2 * AMOUNT)
    small = stage.receipt(LESSEE, AMOUNT + RENT - 1)
    foreign = stage.receipt(STRANGER, 2 * AMOUNT)
    stage.bank.approve(LESSEE, ZERO_ADDRESS, receipt)
    stage.credit.approve(LENDER, LEASE, 0)
    stage.credit.transfer(LENDER, STRANGER, 10 * AMOUNT)
    stage.lease.pause_leasing(GUARDIAN)
    offer = offer_of(lender=LESSEE, lessee=STRANGER, min_take=0, expires_at=1, series=3)

    def refused(name: str, *values: object, amount: int = 0, receipt: int = 99, valid: bool = False) -> None:
        with stage.refused(name, *values):
            stage.take(offer, amount, receipt, valid=valid)

    refused("LeasingPaused")
    stage.lease.resume_leasing(GOVERNOR, stage.lease.pauses)
    refused("BadOffer")
    offer = replace(offer, min_take=MIN_TAKE)
    refused("OfferExpired", 1, START)
    offer = replace(offer, expires_at=START)
    refused("SeriesIsOver", 3, 0)
    offer = replace(offer, series=0)
    stage.lease.cancel(LESSEE, offer)
    refused("OfferIsCancelled", stage.lease.hash_offer(offer))
    offer = replace(offer, salt=1)
    refused("NotForCaller", STRANGER, LESSEE)
    offer = replace(offer, lessee=LESSEE)
    refused("LenderIsLessee", LESSEE)
    offer = replace(offer, lender=LENDER)
    refused("BadTake", 0, MIN_TAKE, AMOUNT)
    refused("BadTake", MIN_TAKE - 1, MIN_TAKE, AMOUNT, amount=MIN_TAKE - 1)
    refused("BadTake", AMOUNT + 1, MIN_TAKE, AMOUNT, amount=AMOUNT + 1)
    refused("BadOfferSignature", LENDER, stage.lease.hash_offer(offer), amount=AMOUNT)
    refused("ERC721NonexistentToken", 99, amount=AMOUNT, valid=True)
    refused("NotReceiptOwner", foreign, LESSEE, amount=AMOUNT, receipt=foreign, valid=True)
    owed = AMOUNT + RENT
    refused("ReceiptTooSmall", small, owed - 1, owed, amount=AMOUNT, receipt=small, valid=True)
    refused("ERC721InsufficientApproval", LEASE, receipt, amount=AMOUNT, receipt=receipt, valid=True)
    stage.bank.approve(LESSEE, LEASE, receipt)
    refused("ERC20InsufficientAllowance", LEASE, 0, AMOUNT, amount=AMOUNT, receipt=receipt, valid=True)
    stage.credit.approve(LENDER, LEASE, AMOUNT)
    refused("ERC20InsufficientBalance", LENDER, 0, AMOUNT, amount=AMOUNT, receipt=receipt, valid=True)
    stage.credit.mint(LENDER, AMOUNT)
    assert stage.take(offer, AMOUNT, receipt) == 1
    assert stage.credit.allowances[LENDER, LEASE] == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"min_take": 0},
        {"min_take": AMOUNT + 1},
        {"amount": 0, "min_take": 0},
        {"amount": 0, "min_take": 1},
        {"term": 0},
        {"term": CreditLease.MAX_LEASE_TERM + 1},
        {"rent": (1 << 64) - AMOUNT},
    ],
)
def test_offer_that_cannot_be_is_refused(stage: Stage, changes: dict[str, int]) -> None:
    receipt = stage.receipt(LESSEE, 2 * AMOUNT)
    with stage.refused("BadOffer"):
        stage.take(offer_of(**changes), AMOUNT, receipt)


def test_longest_term_last_second_and_exact_receipt_are_enough(stage: Stage) -> None:
    offer = offer_of(term=CreditLease.MAX_LEASE_TERM, expires_at=START)
    assert stage.take(offer, AMOUNT, stage.receipt(LESSEE, AMOUNT + RENT)) == 1
    assert stage.lease.lease_of(1).due_at == START + 4 * 365 * DAY


def test_operator_for_all_receipts_is_approval_enough(stage: Stage) -> None:
    receipt = stage.receipt(LESSEE, 2 * AMOUNT)
    stage.bank.approve(LESSEE, ZERO_ADDRESS, receipt)
    stage.bank.set_approval_for_all(LESSEE, LEASE, True)
    assert stage.take(offer_of(), AMOUNT, receipt) == 1


def test_penalty_counts_against_a_receipt(stage: Stage) -> None:
    receipt = stage.receipt(LESSEE, AMOUNT + RENT, MONTH)
    penalty = -(-(AMOUNT + RENT) * 200 // 10_000)
    with stage.refused("ReceiptTooSmall", receipt, AMOUNT + RENT - penalty, AMOUNT + RENT):
        stage.take(offer_of(), AMOUNT, receipt)
    stage.now += 30 * DAY
    assert stage.take(offer_of(), AMOUNT, receipt) == 1


def test_receipt_in_custody_is_nobody_elses(stage: Stage) -> None:
    receipt = stage.receipt(LESSEE, 2 * AMOUNT)
    stage.take(offer_of(), MIN_TAKE, receipt)
    with stage.refused("NotReceiptOwner", receipt, LESSEE):
        stage.take(offer_of(), MIN_TAKE, receipt)
    with stage.refused("ERC721InsufficientApproval", LESSEE, receipt):
        stage.bank.transfer_from(LESSEE, LEASE, LESSEE, receipt)
    with stage.refused("NotReceiptHolder", receipt, LESSEE):
        stage.bank.close(LESSEE, receipt, LESSEE, now=stage.now)


@settings(deadline=None)
@given(st.integers(1, 10**15), st.data())
def test_parts_go_down_to_the_last_odd_one(amount: int, data: DataObject) -> None:
    stage = Stage.build()
    stage.fund(LENDER, amount)
    rent = data.draw(st.integers(0, 10**15), "rent")
    offer = offer_of(amount, rent, min_take=data.draw(st.integers(1, amount), "smallest"))
    left, rents, parts = amount, 0, 0
    while left:
        part = (
            min(left, data.draw(st.integers(min(offer.min_take, left), left), "part")) if parts < 5 else left
        )
        lease_id = stage.take(offer, part, stage.receipt(LESSEE, part + rent + 1_000))
        rents += stage.lease.owed_on(lease_id) - part
        left -= part
        parts += 1
    assert rent <= rents < rent + parts
    assert stage.credit.balance_of(LESSEE) == amount
    with stage.refused("BadTake", 1, offer.min_take, 0):
        stage.take(offer, 1, 99)


# take_on_standing


def test_standing_lease_pays_and_pledges(stage: Stage) -> None:
    stage.epoch()
    assert stage.take_on_standing(offer_of(), AMOUNT) == 1
    assert stage.credit.balance_of(LESSEE) == AMOUNT
    assert stage.lease.standing_lease_of(LESSEE) == 1
    assert stage.lease.lease_of(1).account == LESSEE
    assert stage.distributor.creditor_of(LESSEE) == LEASE


def test_take_on_standing_refuses_in_the_contracts_order(stage: Stage) -> None:
    stage.epoch()
    stale, stale_proof = stage.leaves[0], stage.proofs[0]
    stage.epoch()
    root = stage.distributor.account_root
    limit = stage.lending.standing_limit(stage.leaves[0].standing, now=stage.now)
    offer = offer_of(on_standing=False)
    offer_hash = stage.lease.hash_offer(offer)

    def take_stale(amount: int, *, valid: bool = True) -> None:
        stage.lease.take_on_standing(LESSEE, offer, valid, amount, stale, stale_proof, now=stage.now)

    with stage.refused("BadOfferSignature", LENDER, offer_hash):
        take_stale(AMOUNT, valid=False)
    with stage.refused("StandingNotAccepted", offer_hash):
        take_stale(AMOUNT)
    stage.take_on_standing(offer_of(), MIN_TAKE)
    offer = offer_of(limit + 1, 0, salt=1)
    with stage.refused("StandingLeaseRuns", LESSEE, 1):
        take_stale(limit + 1)
    stage.lease.forgive(LENDER, 1)
    with stage.refused("StandingNotProven", 0, root):
        take_stale(limit + 1)
    for index, account in ((1, STRANGER), (2, PLACEHOLDER)):
        with stage.refused("NotAccountHolder", account, LESSEE):
            stage.take_on_standing(offer, limit + 1, index=index)
    stage.oracle.policy_hash = bytes(32)
    with stage.refused("PolicyNotAccepted", bytes(32), POLICY):
        stage.take_on_standing(offer, limit + 1)
    stage.oracle.policy_hash = POLICY
    with stage.refused("StandingTooLow", limit + 1, limit):
        stage.take_on_standing(offer, limit + 1)
    stage.fund(STRANGER, 100 * AMOUNT, POOL)
    stage.lending.deposit(STRANGER, 100 * AMOUNT, STRANGER, now=stage.now)
    stage.lending.books.cap_base = 100 * AMOUNT  # as if it had stayed for a day
    stage.lending.borrow_on_standing(LESSEE, stage.leaves[0], stage.proofs[0], AMOUNT, LESSEE, now=stage.now)
    with stage.refused("ClaimsPledged", LESSEE, POOL):
        stage.take_on_standing(offer, limit)
    stage.credit.approve(LESSEE, POOL, MAX_UINT256)
    stage.lending.repay_standing(LESSEE, LESSEE, 2 * AMOUNT, now=stage.now)
    stage.credit.approve(LENDER, LEASE, limit - 1)
    with stage.refused("ERC20InsufficientAllowance", LEASE, limit - 1, limit):
        stage.take_on_standing(offer, limit)
    stage.fund(LENDER, limit)
    assert stage.take_on_standing(offer, limit) == 2


def test_changed_leaf_is_not_proven(stage: Stage) -> None:
    stage.epoch()
    leaf = replace(stage.leaves[0], standing=stage.leaves[0].standing + 1)
    with stage.refused("StandingNotProven", 0, stage.distributor.account_root):
        stage.lease.take_on_standing(LESSEE, offer_of(), True, AMOUNT, leaf, stage.proofs[0], now=stage.now)


def test_standing_fades(stage: Stage) -> None:
    stage.epoch()
    offer = offer_of(expires_at=START + 999 * DAY)
    stage.now += 365 * DAY
    limit = stage.lending.standing_limit(stage.leaves[0].standing, now=stage.now)
    with stage.refused("StandingTooLow", AMOUNT + RENT, limit):
        stage.take_on_standing(offer, AMOUNT)


# repay


def test_repayment_pays_lender_and_fee_and_returns_the_receipt(stage: Stage) -> None:
    receipt = stage.receipt(LESSEE, 2 * AMOUNT)
    stage.take(offer_of(), AMOUNT, receipt)
    stage.fund(STRANGER, 3 * AMOUNT)
    assert stage.lease.repay(STRANGER, 1, 2 * AMOUNT) == AMOUNT + RENT
    assert stage.credit.balance_of(STRANGER) == 2 * AMOUNT - RENT
    assert stage.credit.balance_of(LENDER) == 10 * AMOUNT + RENT - FEE
    assert stage.fee_pool.depositors + stage.fee_pool.bonus + stage.fee_pool.reserve == FEE
    assert stage.bank.owner_of(receipt) == LESSEE
    assert stage.lease.lease_of(1) == Lease()
    for call in (
        lambda: stage.lease.repay(STRANGER, 1, 1),
        lambda: stage.lease.settle(STRANGER, 1, now=stage.now + 365 * DAY),
        lambda: stage.lease.forgive(LENDER, 1),
    ):
        with stage.refused("NoSuchLease", 1):
            call()


def test_lease_on_a_receipt_is_not_repaid_in_part(stage: Stage) -> None:
    stage.take(offer_of(), AMOUNT, stage.receipt(LESSEE, 2 * AMOUNT))
    owed = AMOUNT + RENT
    with stage.refused("ZeroAmount"):
        stage.lease.repay(LESSEE, 1, 0)
    for amount in (1, owed - 1):
        with stage.refused("PartialRepayment", 1, owed, amount):
            stage.lease.repay(LESSEE, 1, amount)
    with stage.refused("NoSuchLease", 2):
        stage.lease.repay(LESSEE, 2, owed)


def test_payer_without_allowance_or_balance_is_refused(stage: Stage) -> None:
    stage.take(offer_of(), AMOUNT, stage.receipt(LESSEE, 2 * AMOUNT))
    owed, to_lender = AMOUNT + RENT, AMOUNT + RENT - FEE
    stage.credit.approve(LESSEE, LEASE, to_lender - 1)
    with stage.refused("ERC20InsufficientAllowance", LEASE, to_lender - 1, to_lender):
        stage.lease.repay(LESSEE, 1, owed)
    stage.credit.approve(LESSEE, LEASE, MAX_UINT256)
    with stage.refused("ERC20InsufficientBalance", LESSEE, AMOUNT, to_lender):
        stage.lease.repay(LESSEE, 1, owed)
    stage.credit.mint(LESSEE, RENT - 1)
    with stage.refused("ERC20InsufficientBalance", LESSEE, FEE - 1, FEE):
        stage.lease.repay(LESSEE, 1, owed)
    stage.credit.mint(LESSEE, 1)
    stage.credit.approve(LESSEE, LEASE, owed - 1)
    with stage.refused("ERC20InsufficientAllowance", LEASE, FEE - 1, FEE):
        stage.lease.repay(LESSEE, 1, owed)
    stage.credit.approve(LESSEE, LEASE, owed)
    assert stage.lease.repay(LESSEE, 1, MAX_UINT256) == owed
    assert stage.credit.balance_of(LESSEE) == 0


def test_lender_may_repay_its_own_lease(stage: Stage) -> None:
    receipt = stage.receipt(LESSEE, 2 * AMOUNT)
    stage.take(offer_of(), AMOUNT, receipt)
    stage.credit.transfer(LENDER, STRANGER, 7 * AMOUNT)
    assert stage.lease.repay(LENDER, 1, MAX_UINT256) == AMOUNT + RENT
    assert stage.credit.balance_of(LENDER) == 2 * AMOUNT - FEE
    assert stage.bank.owner_of(receipt) == LESSEE


# settle


def test_settling_waits_for_the_due_day(stage: Stage) -> None:
    stage.take(offer_of(), AMOUNT, stage.receipt(LESSEE, 2 * AMOUNT))
    for now in (START, START + TERM):
        with stage.refused("NotDue", 1, START + TERM, now):
            stage.lease.settle(STRANGER, 1, now=now)
    stage.lease.settle(STRANGER, 1, now=START + TERM + 1)
    assert stage.credit.balance_of(LENDER) == 10 * AMOUNT + RENT - FEE
    assert stage.credit.balance_of(LESSEE) == 2 * AMOUNT - RENT
    assert stage.credit.balance_of(LEASE) == 0
    assert stage.lease.lease_of(1) == Lease()


def test_settling_a_year_late_costs_no_more(stage: Stage) -> None:
    stage.take(offer_of(), AMOUNT, stage.receipt(LESSEE, 2 * AMOUNT))
    stage.lease.settle(STRANGER, 1, now=START + 366 * DAY)
    assert stage.credit.balance_of(LENDER) == 10 * AMOUNT + RENT - FEE


def test_lease_on_standing_is_not_settled(stage: Stage) -> None:
    stage.epoch()
    stage.take_on_standing(offer_of(), AMOUNT)
    with stage.refused("NotOnReceipt", 1):
        stage.lease.settle(STRANGER, 1, now=stage.now + 366 * DAY)


def test_taxed_income_leaves_the_lender_what_there_is(stage: Stage) -> None:
    stage.bank.set_income_fee(GOVERNOR, 0)
    receipt = stage.receipt(LESSEE, 1_000)
    stage.income(AMOUNT)
    stage.now += 10_000 * DAY
    exit_value = stage.bank.exit_value_of(receipt, now=stage.now)
    offer = offer_of(exit_value - 1_000, 1_000, expires_at=stage.now)
    stage.take(offer, offer.amount, receipt)
    stage.bank.set_income_fee(GOVERNOR, 2_000)
    stage.now += TERM + 1
    proceeds = stage.bank.exit_value_of(receipt, now=stage.now)
    assert proceeds < offer.amount
    before = stage.credit.balance_of(LENDER), stage.credit.balance_of(LESSEE)
    stage.lease.settle(STRANGER, 1, now=stage.now)
    assert stage.credit.balance_of(LENDER) == before[0] + proceeds
    assert stage.credit.balance_of(LESSEE) == before[1]
    assert stage.credit.balance_of(LEASE) == 0


@settings(deadline=None)
@given(
    st.integers(1_000, 10**15), st.data(), st.sampled_from([DEMAND, WEEK, MONTH]), st.integers(1, 400 * DAY)
)
def test_settling_pays_the_lender_whole(amount: int, data: DataObject, term_id: int, late: int) -> None:
    stage = Stage.build()
    stage.fund(LENDER, amount)
    rent = data.draw(st.integers(0, amount), "rent")
    receipt = stage.receipt(LESSEE, (amount + rent) * 103 // 100 + 1, term_id)
    stage.take(offer_of(amount, rent), amount, receipt)
    stage.income(data.draw(st.integers(0, 10**15), "income"))
    now = START + TERM + late
    proceeds = stage.bank.exit_value_of(receipt, now=now)
    assert proceeds >= amount + rent
    stage.lease.settle(STRANGER, 1, now=now)
    fee = -(-rent * FEE_BPS // 10_000)
    assert stage.credit.balance_of(LENDER) == amount + rent - fee
    assert stage.credit.balance_of(LESSEE) == proceeds - rent
    assert stage.credit.balance_of(LEASE) == 0


# forgive, cancel


def test_only_the_lender_forgives(stage: Stage) -> None:
    receipt = stage.receipt(LESSEE, 2 * AMOUNT)
    stage.take(offer_of(), AMOUNT, receipt)
    with stage.refused("NotLender", 1, LESSEE, LENDER):
        stage.lease.forgive(LESSEE, 1)
    stage.lease.forgive(LENDER, 1)
    assert stage.bank.owner_of(receipt) == LESSEE
    assert stage.credit.balance_of(LENDER) == 9 * AMOUNT
    assert stage.lease.lease_of(1) == Lease()


def test_forgiving_frees_claims(stage: Stage) -> None:
    stage.epoch()
    stage.take_on_standing(offer_of(), AMOUNT)
    stage.lease.forgive(LENDER, 1)
    assert stage.distributor.creditor_of(LESSEE) == ZERO_ADDRESS
    assert stage.take_on_standing(offer_of(salt=1), AMOUNT) == 2


def test_only_the_lender_cancels_and_what_was_taken_goes_on(stage: Stage) -> None:
    offer = offer_of()
    stage.take(offer, MIN_TAKE, stage.receipt(LESSEE, 2 * AMOUNT))
    with stage.refused("NotOfferLender", STRANGER, LENDER):
        stage.lease.cancel(STRANGER, offer)
    stage.lease.cancel(LENDER, offer)
    stage.lease.cancel(LENDER, offer)
    receipt = stage.receipt(LESSEE, 2 * AMOUNT)
    with stage.refused("OfferIsCancelled", stage.lease.hash_offer(offer)):
        stage.take(offer, MIN_TAKE, receipt)
    assert stage.take(replace(offer, salt=1), MIN_TAKE, receipt) == 2
    assert stage.lease.owed_on(1) > MIN_TAKE


def test_ended_series_voids_its_offers_and_the_next_is_not_yet(stage: Stage) -> None:
    offer, following = offer_of(), offer_of(series=1)
    receipt = stage.receipt(LESSEE, 2 * AMOUNT)
    with stage.refused("SeriesIsOver", 1, 0):
        stage.take(following, AMOUNT, receipt)
    assert stage.lease.cancel_all(LENDER) == 1
    with stage.refused("SeriesIsOver", 0, 1):
        stage.take(offer, AMOUNT, receipt)
    assert not stage.lease.is_cancelled(stage.lease.hash_offer(offer))
    assert stage.take(following, AMOUNT, receipt) == 1


# claims


def test_claims_are_the_lessees_until_the_due_day(stage: Stage) -> None:
    stage.epoch()
    stage.take_on_standing(offer_of(), AMOUNT)
    stage.now += TERM
    assert stage.lease.due_from_claims(LESSEE, now=stage.now) == 0
    assert stage.claim(0) == GRANT
    assert stage.credit.balance_of(LESSEE) == AMOUNT + GRANT
    assert stage.lease.due_from_claims(LESSEE, now=stage.now + 1) == AMOUNT + RENT


def test_overdue_claims_repay_first_and_are_free_when_all_is_paid(stage: Stage) -> None:
    stage.epoch()
    stage.take_on_standing(offer_of(), AMOUNT)
    stage.claim(0)
    stage.now += TERM + 1
    lender, paid = stage.credit.balance_of(LENDER), 0
    for grant in (AMOUNT - 3, RENT // 2, GRANT):
        stage.epoch(grant)
        stage.claim(0)
        paid = min(paid + grant, AMOUNT + RENT)
        fee = -(-max(0, paid - AMOUNT) * FEE_BPS // 10_000)
        assert stage.credit.balance_of(LENDER) == lender + paid - fee
        assert stage.credit.balance_of(LEASE) == 0
    assert stage.credit.balance_of(LESSEE) == 2 * GRANT + AMOUNT - 3 + RENT // 2 - RENT
    assert stage.distributor.creditor_of(LESSEE) == ZERO_ADDRESS
    assert stage.lease.lease_of(1) == Lease()


def test_placeholder_stands_for_its_wallet(stage: Stage) -> None:
    stage.wallets[PLACEHOLDER] = LESSEE
    stage.epoch()
    stage.take_on_standing(offer_of(), AMOUNT, index=2)
    assert stage.lease.lease_of(1).account == PLACEHOLDER
    assert {stage.distributor.creditor_of(account) for account in (PLACEHOLDER, LESSEE)} == {LEASE}
    stage.now += TERM + 1
    stage.claim(2)
    assert stage.credit.balance_of(LENDER) == 10 * AMOUNT + RENT - FEE
    assert {stage.distributor.creditor_of(account) for account in (PLACEHOLDER, LESSEE)} == {ZERO_ADDRESS}


def test_only_the_distributor_repays_from_claims(stage: Stage) -> None:
    stage.epoch()
    stage.take_on_standing(offer_of(), AMOUNT)
    with stage.refused("NotClaimsDistributor", STRANGER, CLAIMS):
        stage.lease.repay_from_claim(STRANGER, LESSEE, 1, now=stage.now)


# settings


def test_settings_are_the_roles_and_bounded(stage: Stage) -> None:
    with stage.refused("AccessManagedUnauthorized", GUARDIAN):
        stage.lease.set_lease_fee(GUARDIAN, 0)
    with stage.refused("AccessManagedUnauthorized", GOVERNOR):
        stage.lease.pause_leasing(GOVERNOR)
    with stage.refused("AccessManagedUnauthorized", GUARDIAN):
        stage.lease.resume_leasing(GUARDIAN, stage.lease.pauses)
    with stage.refused("LeaseFeeTooHigh", 2_001, 2_000):
        stage.lease.set_lease_fee(GOVERNOR, 2_001)
    with pytest.raises(Reverted, match="LeaseFeeTooHigh"):
        replace(stage.lease, lease_fee_bps=2_001)


def test_new_fee_is_for_later_leases(stage: Stage) -> None:
    stage.take(offer_of(), MIN_TAKE, stage.receipt(LESSEE, 2 * AMOUNT))
    stage.lease.set_lease_fee(GOVERNOR, 2_000)
    stage.take(offer_of(), MIN_TAKE, stage.receipt(LESSEE, 2 * AMOUNT))
    assert [stage.lease.lease_of(number).fee_bps for number in (1, 2)] == [FEE_BPS, 2_000]


def test_pausing_stops_taking_and_nothing_else(stage: Stage) -> None:
    for salt in range(3):
        stage.take(offer_of(salt=salt), AMOUNT, stage.receipt(LESSEE, 2 * AMOUNT))
    stage.lease.pause_leasing(GUARDIAN)
    stage.fund(LESSEE, AMOUNT)
    stage.lease.repay(LESSEE, 1, MAX_UINT256)
    stage.lease.forgive(LENDER, 2)
    stage.lease.settle(STRANGER, 3, now=START + TERM + 1)
    stage.lease.cancel(LENDER, offer_of())
    stage.lease.cancel_all(LENDER)
    assert stage.lease.leases == {}


# any parts of the rent


@settings(deadline=None)
@given(st.integers(0, AMOUNT), st.integers(0, 2_000), st.data())
def test_fee_is_the_same_however_the_rent_is_split(rent: int, fee_bps: int, data: DataObject) -> None:
    stage = Stage.build()
    stage.fund(LENDER, AMOUNT)
    stage.fund(STRANGER, 2 * AMOUNT)
    stage.lease.set_lease_fee(GOVERNOR, fee_bps)
    stage.epoch()
    stage.take_on_standing(offer_of(AMOUNT, rent), AMOUNT)
    for _ in range(20):
        owed = stage.lease.owed_on(1)
        part = data.draw(st.integers(1, owed) | st.integers(1, min(owed, 40)), "part")
        if data.draw(st.booleans(), "from a claim"):
            stage.credit.mint(LEASE, part)
            stage.lease.repay_from_claim(CLAIMS, LESSEE, part, now=stage.now)
        else:
            stage.lease.repay(STRANGER, 1, part)
        if part == owed:
            break
    else:
        stage.lease.repay(STRANGER, 1, MAX_UINT256)
    fee = -(-rent * fee_bps // 10_000)
    assert stage.credit.balance_of(FEES) == fee
    assert stage.credit.balance_of(LENDER) == AMOUNT + rent - fee
    assert stage.credit.balance_of(LEASE) == 0


# any sequence of calls


class LeaseMachine(RuleBasedStateMachine):
    """Everything anybody can do, right or wrong; the clerk's books beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.stage = Stage.build()
        self.offers: list[LeaseOffer] = []
        # By lease: the lease as it was last seen, and what its lender got so far.
        self.seen: dict[int, tuple[Lease, int]] = {}

    @initialize()
    def fill(self) -> None:
        for member in MEMBERS:
            self.stage.fund(member, 10**12)
        self.stage.epoch()
        self.offers.append(offer_of())

    def call(self, call: Callable[[], object]) -> bool:
        """Call; a refusal must leave no trace. Tells whether it was accepted."""
        before = self.stage.books()
        try:
            call()
        except Reverted:
            assert self.stage.books() == before
            return False
        return True

    def wish(self, data: DataObject) -> tuple[LeaseOffer, int]:
        """An offer, mostly a good one, and an amount, mostly a possible one."""
        good = [offer for offer in self.offers if self.is_good(offer)] or [self.sign(data)]
        offer = data.draw(st.sampled_from(good), "offer")
        if data.draw(st.integers(0, 9), "any") == 0:
            offer = data.draw(st.sampled_from(self.offers), "any offer")
        left = offer.amount - self.stage.lease.taken_of(self.stage.lease.hash_offer(offer))
        if data.draw(st.integers(0, 9), "odd") == 0:
            return offer, data.draw(st.integers(0, left + 1), "odd amount")
        return offer, data.draw(st.integers(min(offer.min_take, left), left), "amount")

    def is_good(self, offer: LeaseOffer) -> bool:
        lease, offer_hash = self.stage.lease, self.stage.lease.hash_offer(offer)
        return (
            lease.taken_of(offer_hash) < offer.amount
            and self.stage.now <= offer.expires_at
            and offer.series == lease.series_of(offer.lender)
            and not lease.is_cancelled(offer_hash)
        )

    def sign(self, data: DataObject) -> LeaseOffer:
        lender = data.draw(st.sampled_from(MEMBERS[:2]), "lender")
        amount = data.draw(st.integers(1, 10**9), "offered")
        offer = offer_of(
            amount,
            data.draw(st.integers(0, 10**8), "rent"),
            lender=lender,
            min_take=max(1, amount // 3),
            term=data.draw(st.integers(1, 10 * DAY), "term"),
            lessee=data.draw(st.sampled_from((ZERO_ADDRESS, ZERO_ADDRESS, LESSEE)), "lessee"),
            on_standing=data.draw(st.sampled_from((True, True, False)), "on standing"),
            expires_at=self.stage.now + 20 * DAY,
            series=self.stage.lease.series_of(lender),
            salt=len(self.offers),
        )
        self.offers.append(offer)
        return offer

    def paid(self, lease_id: int, call: Callable[[], object]) -> None:
        """A call that may pay a lease: its lender gets what came in less the growth of the fee."""
        stage = self.stage
        lease = stage.lease.lease_of(lease_id)
        before = stage.credit.balance_of(lease.lender)
        if not self.call(call) or lease_id not in self.seen:
            return
        after = stage.lease.lease_of(lease_id)
        repaid = lease.principal + lease.rent if after == Lease() else after.repaid
        rent_paid = max(0, repaid - lease.principal)
        received = self.seen[lease_id][1] + stage.credit.balance_of(lease.lender) - before
        assert received == repaid - -(-rent_paid * lease.fee_bps // 10_000)
        self.seen[lease_id] = (after, received)
        if after == Lease():
            del self.seen[lease_id]

    def taken(self, call: Callable[[], int]) -> None:
        if self.call(call):
            lease_id = self.stage.lease.lease_count
            self.seen[lease_id] = (self.stage.lease.lease_of(lease_id), 0)

    @rule(data=st.data(), caller=st.sampled_from(MEMBERS[1:]), term_id=st.sampled_from((DEMAND, WEEK, MONTH)))
    def take(self, data: DataObject, caller: str, term_id: int) -> None:
        stage, (offer, amount) = self.stage, self.wish(data)
        receipt = stage.receipt(caller, (amount + offer.rent) * 103 // 100 + 1_000, term_id)
        valid = data.draw(st.sampled_from((True, True, True, False)), "valid")
        self.taken(lambda: stage.take(offer, amount, receipt, caller=caller, valid=valid))

    @rule(data=st.data(), index=st.integers(0, 1))
    def take_on_standing(self, data: DataObject, index: int) -> None:
        stage, (offer, amount) = self.stage, self.wish(data)
        self.taken(
            lambda: stage.take_on_standing(
                offer, amount, index=index, caller=data.draw(st.sampled_from(ACCOUNTS[:2]))
            )
        )

    @precondition(lambda self: self.seen)
    @rule(data=st.data(), payer=st.sampled_from(MEMBERS))
    def repay(self, data: DataObject, payer: str) -> None:
        lease_id = data.draw(st.sampled_from(sorted(self.seen)), "lease")
        owed = self.stage.lease.owed_on(lease_id)
        amount = data.draw(st.integers(0, owed + 1) | st.just(owed), "amount")
        if payer == self.seen[lease_id][0].lender:
            # What a lender pays itself shows in no balance.
            return
        self.paid(lease_id, lambda: self.stage.lease.repay(payer, lease_id, amount))

    @precondition(lambda self: self.seen)
    @rule(data=st.data())
    def settle(self, data: DataObject) -> None:
        lease_id = data.draw(st.sampled_from(sorted(self.seen)), "lease")
        due_at = self.seen[lease_id][0].due_at
        if data.draw(st.booleans(), "wait for the due day"):
            self.stage.now = max(
                self.stage.now, due_at + data.draw(st.sampled_from((0, 1, 365 * DAY)), "late")
            )
        self.paid(lease_id, lambda: self.stage.lease.settle(STRANGER, lease_id, now=self.stage.now))

    @rule(data=st.data(), what=st.sampled_from(("forgive", "cancel", "cancel all", "fee", "pause")))
    def change(self, data: DataObject, what: str) -> None:
        stage, caller = self.stage, data.draw(st.sampled_from(MEMBERS[:2]), "caller")
        if what == "forgive" and self.seen:
            lease_id = data.draw(st.sampled_from(sorted(self.seen)), "lease")
            if self.call(lambda: stage.lease.forgive(caller, lease_id)):
                del self.seen[lease_id]
        elif what == "cancel":
            offer = data.draw(st.sampled_from(self.offers), "offer")
            self.call(lambda: stage.lease.cancel(caller, offer))
        elif what == "cancel all":
            stage.lease.cancel_all(caller)
        elif what == "fee":
            fee_bps = data.draw(st.integers(0, 2_100), "fee")
            self.call(lambda: stage.lease.set_lease_fee(GOVERNOR, fee_bps))
        elif what == "pause":
            offer, amount = self.wish(data)
            stage.lease.pause_leasing(GUARDIAN)
            assert not self.call(lambda: stage.take(offer, amount, 1, caller=caller))
            stage.lease.resume_leasing(GOVERNOR, stage.lease.pauses)

    @rule(seconds=st.integers(1, 3 * DAY), income=st.integers(0, 10**9))
    def wait(self, seconds: int, income: int) -> None:
        self.stage.income(income)
        self.stage.now += seconds

    @rule(grant=st.integers(1, GRANT), index=st.integers(0, 1))
    def claim(self, grant: int, index: int) -> None:
        lease_id = self.stage.lease.standing_lease_of(ACCOUNTS[index])
        if lease_id:
            self.stage.now = max(self.stage.now, self.seen[lease_id][0].due_at)
        self.stage.epoch(grant)
        self.paid(lease_id, lambda: self.stage.claim(index))

    @invariant()
    def no_credits_are_made_lost_or_kept(self) -> None:
        credit, fees = self.stage.credit, self.stage.fee_pool
        assert sum(credit.balances.values()) == credit.supply
        assert credit.balance_of(LEASE) == 0
        # The bank's fee on a settled receipt's income waits for the next sync.
        assert credit.balance_of(FEES) >= fees.depositors + fees.bonus + fees.reserve

    @invariant()
    def receipts_are_held_for_leases_that_run_and_cover_them(self) -> None:
        stage = self.stage
        running = [lease for lease in stage.lease.leases.values() if lease.receipt_id]
        held = {receipt for receipt, owner in stage.bank.owners.items() if owner == LEASE}
        assert held == {lease.receipt_id for lease in running}
        for lease in running:
            assert stage.bank.exit_value_of(lease.receipt_id, now=stage.now) >= lease.owed

    @invariant()
    def claims_are_pledged_while_a_lease_on_standing_runs(self) -> None:
        stage = self.stage
        standing = {number: lease for number, lease in stage.lease.leases.items() if not lease.receipt_id}
        assert stage.lease.standing_leases == {lease.lessee: number for number, lease in standing.items()}
        for member in MEMBERS:
            pledged = member in stage.lease.standing_leases
            assert stage.distributor.creditor_of(member) == (LEASE if pledged else ZERO_ADDRESS)

    @invariant()
    def offers_are_never_taken_beyond_their_amount(self) -> None:
        for offer in self.offers:
            assert self.stage.lease.taken_of(self.stage.lease.hash_offer(offer)) <= offer.amount

    @invariant()
    def the_clerk_knows_every_lease(self) -> None:
        assert set(self.stage.lease.leases) == set(self.seen)


LeaseMachine.TestCase.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)
TestAnySequence = LeaseMachine.TestCase
