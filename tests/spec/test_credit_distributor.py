"""The distributor as plain integers.

::

    distributor
    |- claim
    |  |- pays the account what is new, whoever sends it; a linked placeholder pays its wallet
    |  `- refuses before an epoch, another leaf or proof, no wallet, nothing new
    |- claim_many
    |  |- pays everybody who can be paid, and nobody twice
    |  `- refuses no leaves, a gap, another leaf
    |- standing order
    |  |- deposits what is claimed; a new order replaces the old; ended, claims go to the wallet
    |  `- refuses a stranger, a placeholder itself, no bank, no such term
    |- pledge
    |  |- what is overdue is repaid first, then deposited, then paid
    |  |- paying off frees the claims in the middle of a claim, and forgets nothing
    |  |- placeholder and wallet both repay; repeated and needless steps change nothing
    |  `- refuses a stranger, another wallet, another creditor, on either of the two accounts
    |- any debt, claim and order: creditor, deposit and wallet are the claim together
    `- a refusal changes nothing
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from timebank_chain.epoch.tree import MerkleTree
from timebank_chain.spec.attention_credit import ZERO_ADDRESS, AttentionCredit
from timebank_chain.spec.credit_distributor import CreditDistributor
from timebank_chain.spec.epoch_tree import AccountLeaf, hash_account_leaf
from timebank_chain.spec.fee_pool import FeePool
from timebank_chain.spec.revert import Reverted
from timebank_chain.spec.time_bank import Term, TimeBank

DISTRIBUTOR, BANK, POOL = "0xDistributor", "0xBank", "0xPool"
LENDING, LEASE = "0xLending", "0xLease"
SAVER, BORROWER, HOLDER, STRANGER = ("0x" + f"{n:02x}" * 20 for n in (0x11, 0x22, 0x33, 0x44))
PLACEHOLDER, UNLINKED = ("0x" + (b"timebank" + bytes([n]) * 12).hex() for n in (1, 2))
ACCOUNTS = (SAVER, BORROWER, HOLDER, PLACEHOLDER, UNLINKED)
GRANT = 1_000_000
NOW = 1_800_000_000
DAY, WEEK = 1, 2


@dataclass
class Debts:
    """A creditor that keeps what is overdue, and frees the claims once it is paid."""

    address: str
    distributor: CreditDistributor
    due: dict[str, int] = field(default_factory=dict)
    accounts: dict[str, str] = field(default_factory=dict)

    def lend(self, account: str, borrower: str, debt: int) -> None:
        self.distributor.pledge_claims(self.address, account, borrower)
        self.due[borrower], self.accounts[borrower] = debt, account

    def due_from_claims(self, borrower: str, *, now: int) -> int:
        assert now == NOW
        return self.due[borrower]

    def repay_from_claim(self, caller: str, borrower: str, amount: int, *, now: int) -> None:
        assert caller == DISTRIBUTOR
        assert 0 < amount <= self.due[borrower]
        self.due[borrower] -= amount
        if self.due[borrower] == 0:
            self.distributor.release_claims(self.address, self.accounts[borrower], borrower)


@dataclass
class Desk:
    """A distributor with its rooms, and epochs to claim from."""

    distributor: CreditDistributor
    bank: TimeBank
    lending: Debts
    lease: Debts
    leaves: list[AccountLeaf] = field(default_factory=list)
    tree: MerkleTree | None = None

    @property
    def credit(self) -> AttentionCredit:
        return self.distributor.credit

    def run_epoch(self) -> None:
        """Grant every account as much again."""
        number = self.distributor.epoch + 1
        self.leaves = [
            AccountLeaf(
                index=index,
                account=bytes.fromhex(account[2:]),
                activity_end=index,
                earned=GRANT,
                running_earned=GRANT * (index + 1),
                running_active=index + 1,
                standing=GRANT,
                mint=GRANT,
                running_mint=GRANT * (index + 1),
                cumulative_mint=GRANT * number,
            )
            for index, account in enumerate(ACCOUNTS)
        ]
        hashes = b"".join(hash_account_leaf(leaf) for leaf in self.leaves)
        self.tree = MerkleTree(np.frombuffer(hashes, dtype=np.uint8).reshape(-1, 32))
        self.distributor.accept_root(number, self.tree.root)

    def proof(self, index: int) -> list[bytes]:
        assert self.tree is not None
        return list(self.tree.proof(index))

    def claim(self, account: str) -> int:
        index = ACCOUNTS.index(account)
        return self.distributor.claim(STRANGER, self.leaves[index], self.proof(index), now=NOW)

    def claim_range(self, first: int, count: int) -> int:
        assert self.tree is not None
        leaves, proof = self.leaves[first : first + count], self.tree.range_proof(first, count)
        return self.distributor.claim_many(STRANGER, leaves, proof, 3, now=NOW)

    def order(self, account: str, term_id: int = WEEK) -> None:
        holder = self.distributor.receiver_of(account)
        self.distributor.set_standing_order(holder, account, term_id)


def open_desk() -> Desk:
    credit = AttentionCredit()
    pool = FeePool(credit, POOL, BANK, LENDING, depositors_bps=5_000, bonus_bps=3_000)
    distributor = CreditDistributor(credit, DISTRIBUTOR, {PLACEHOLDER: HOLDER})
    terms = [Term(0, 1_000, 0), Term(86_400, 1_100, 50), Term(7 * 86_400, 1_500, 100)]
    bank = TimeBank(
        credit, pool, BANK, DISTRIBUTOR, "0xGovernor", terms, income_fee_bps=500, release_seconds=86_400
    )
    desk = Desk(distributor, bank, Debts(LENDING, distributor), Debts(LEASE, distributor))
    distributor.time_bank, distributor.creditors = bank, (desk.lending, desk.lease)
    return desk


@pytest.fixture
def desk() -> Desk:
    made = open_desk()
    made.run_epoch()
    return made


def refused(name: str, *values: object) -> pytest.RaisesContext[Reverted]:
    return pytest.raises(Reverted, check=lambda error: (error.name, error.values) == (name, values))


# Claim


def test_a_claim_pays_what_is_new(desk: Desk) -> None:
    assert desk.claim(SAVER) == GRANT
    desk.run_epoch()
    desk.run_epoch()
    assert desk.claim(SAVER) == 2 * GRANT
    assert desk.credit.balance_of(SAVER) == desk.distributor.claimed(SAVER) == 3 * GRANT
    assert desk.credit.balance_of(STRANGER) == 0


def test_a_linked_placeholder_pays_its_wallet(desk: Desk) -> None:
    assert desk.claim(PLACEHOLDER) == GRANT
    assert desk.credit.balance_of(HOLDER) == desk.distributor.claimed(PLACEHOLDER) == GRANT
    assert desk.distributor.claimed(HOLDER) == 0
    assert [desk.distributor.receiver_of(one) for one in ACCOUNTS] == [
        SAVER,
        BORROWER,
        HOLDER,
        HOLDER,
        ZERO_ADDRESS,
    ]


def test_bad_claims_are_refused(desk: Desk) -> None:
    fresh = open_desk()
    with refused("NoEpochFinalised"):
        fresh.distributor.claim(STRANGER, desk.leaves[0], desk.proof(0), now=NOW)
    root = desk.distributor.account_root
    for leaf, proof in (
        (replace(desk.leaves[0], cumulative_mint=GRANT + 1), desk.proof(0)),
        (desk.leaves[0], desk.proof(1)),
        (desk.leaves[0], desk.proof(0)[1:]),
    ):
        assert not desk.distributor.is_latest_leaf(leaf, proof)
        with refused("LeafNotInRoot", 0, root):
            desk.distributor.claim(STRANGER, leaf, proof, now=NOW)
    with refused("NotLinked", UNLINKED):
        desk.claim(UNLINKED)
    desk.claim(SAVER)
    with refused("NothingToClaim", SAVER, GRANT):
        desk.claim(SAVER)
    old, proof = desk.leaves[1], desk.proof(1)
    assert desk.distributor.is_latest_leaf(old, proof)
    desk.run_epoch()
    assert not desk.distributor.is_latest_leaf(old, proof)


def test_neighbours_claim_together_whoever_can_be_paid(desk: Desk) -> None:
    desk.claim(BORROWER)
    assert desk.claim_range(0, 5) == 3 * GRANT
    assert desk.claim_range(1, 3) == 0
    assert desk.credit.supply == 4 * GRANT
    assert desk.distributor.claimed(UNLINKED) == 0


def test_bad_ranges_are_refused(desk: Desk) -> None:
    distributor, leaves = desk.distributor, desk.leaves
    with refused("NoEpochFinalised"):
        open_desk().distributor.claim_many(STRANGER, [], [], 3, now=NOW)
    with refused("NoLeaves"):
        distributor.claim_many(STRANGER, [], [], 3, now=NOW)
    with refused("LeavesNotContiguous", 2, 1):
        distributor.claim_many(STRANGER, [leaves[0], leaves[2]], [], 3, now=NOW)
    for depth in (2, 4):
        with refused("LeafNotInRoot", 0, distributor.account_root):
            distributor.claim_many(STRANGER, leaves, [], depth, now=NOW)


# Standing orders


def test_an_order_deposits_what_is_claimed(desk: Desk) -> None:
    desk.order(SAVER)
    desk.order(PLACEHOLDER, DAY)
    assert desk.claim_range(0, 4) == 4 * GRANT
    assert [desk.bank.owner_of(receipt) for receipt in (1, 2)] == [SAVER, HOLDER]
    assert [desk.bank.position_of(receipt).term_id for receipt in (1, 2)] == [WEEK, DAY]
    assert desk.credit.balance_of(BANK) == desk.bank.books.principal == 2 * GRANT
    assert desk.credit.balance_of(SAVER) == 0
    assert desk.credit.balance_of(HOLDER) == GRANT


def test_an_order_is_replaced_and_ended(desk: Desk) -> None:
    desk.order(SAVER, WEEK)
    desk.order(SAVER, DAY)
    assert desk.distributor.standing_order_of(SAVER) == (True, DAY)
    for _ in range(2):
        desk.distributor.end_standing_order(SAVER, SAVER)
        assert desk.distributor.standing_order_of(SAVER) == (False, 0)
    desk.claim(SAVER)
    assert desk.credit.balance_of(SAVER) == GRANT


def test_bad_orders_are_refused(desk: Desk) -> None:
    distributor = desk.distributor
    for caller, account in ((STRANGER, SAVER), (PLACEHOLDER, PLACEHOLDER), (HOLDER, UNLINKED)):
        with refused("NotAccountHolder", account, caller):
            distributor.set_standing_order(caller, account, 99)
        with refused("NotAccountHolder", account, caller):
            distributor.end_standing_order(caller, account)
    with refused("NoSuchTerm", 3, 3):
        distributor.set_standing_order(SAVER, SAVER, 3)
    distributor.time_bank = None
    with refused("RoomsNotSet"):
        distributor.set_standing_order(SAVER, SAVER, 99)


# Pledges


def test_what_is_overdue_is_repaid_first(desk: Desk) -> None:
    desk.lending.lend(BORROWER, BORROWER, GRANT + 400_000)
    desk.claim(BORROWER)
    assert desk.credit.balance_of(LENDING) == GRANT
    assert desk.distributor.creditor_of(BORROWER) == LENDING
    desk.order(BORROWER)
    desk.run_epoch()
    desk.claim(BORROWER)
    assert desk.credit.balance_of(LENDING) == GRANT + 400_000
    assert desk.bank.position_of(1).principal == GRANT - 400_000
    assert desk.credit.balance_of(BORROWER) == 0


def test_nothing_overdue_leaves_the_claim_alone(desk: Desk) -> None:
    desk.lease.lend(BORROWER, BORROWER, 0)
    desk.claim(BORROWER)
    assert desk.credit.balance_of(BORROWER) == GRANT
    assert desk.distributor.creditor_of(BORROWER) == LEASE


def test_paying_off_frees_the_claims_and_forgets_nothing(desk: Desk) -> None:
    desk.lending.lend(BORROWER, BORROWER, GRANT)
    desk.order(BORROWER, DAY)
    desk.claim(BORROWER)
    assert desk.distributor.creditor_of(BORROWER) == ZERO_ADDRESS
    assert desk.distributor.claimed(BORROWER) == GRANT
    assert desk.distributor.standing_order_of(BORROWER) == (True, DAY)
    assert desk.bank.books.principal == 0
    with refused("NothingToClaim", BORROWER, GRANT):
        desk.claim(BORROWER)


def test_placeholder_and_wallet_both_repay(desk: Desk) -> None:
    desk.lending.lend(PLACEHOLDER, HOLDER, GRANT + 1)
    desk.claim(PLACEHOLDER)
    assert desk.lending.due[HOLDER] == 1
    desk.claim(HOLDER)
    assert desk.credit.balance_of(HOLDER) == GRANT - 1
    assert desk.distributor.creditor_of(PLACEHOLDER) == desk.distributor.creditor_of(HOLDER) == ZERO_ADDRESS


def test_repeated_and_needless_steps_change_nothing(desk: Desk) -> None:
    desk.claim(BORROWER)
    distributor = desk.distributor
    for _ in range(2):
        distributor.pledge_claims(LENDING, BORROWER, BORROWER)
        assert distributor.creditor_of(BORROWER) == LENDING
    for _ in range(2):
        distributor.release_claims(LENDING, BORROWER, BORROWER)
        assert distributor.creditor_of(BORROWER) == ZERO_ADDRESS
    assert distributor.claimed(BORROWER) == GRANT


def test_bad_pledges_are_refused(desk: Desk) -> None:
    distributor = desk.distributor
    for step in (distributor.pledge_claims, distributor.release_claims):
        with refused("NotCreditor", BORROWER):
            step(BORROWER, BORROWER, BORROWER)
    for account, wallet in ((BORROWER, SAVER), (UNLINKED, HOLDER), (UNLINKED, ZERO_ADDRESS)):
        with refused("NotAccountHolder", account, wallet):
            distributor.pledge_claims(LENDING, account, wallet)
    distributor.pledge_claims(LENDING, HOLDER, HOLDER)
    for step in (distributor.pledge_claims, distributor.release_claims):
        with refused("ClaimsPledged", HOLDER, LENDING):
            step(LEASE, PLACEHOLDER, HOLDER)
    distributor.pledge_claims(LENDING, PLACEHOLDER, HOLDER)
    for step in (distributor.pledge_claims, distributor.release_claims):
        with refused("ClaimsPledged", PLACEHOLDER, LENDING):
            step(LEASE, PLACEHOLDER, HOLDER)


# All together


@given(debt=st.integers(0, 2 * GRANT), ordered=st.booleans(), claimed_before=st.booleans())
def test_creditor_deposit_and_wallet_are_the_claim(debt: int, ordered: bool, claimed_before: bool) -> None:
    desk = open_desk()
    desk.run_epoch()
    before = desk.claim(BORROWER) if claimed_before else 0
    desk.run_epoch()
    desk.lease.lend(BORROWER, BORROWER, debt)
    if ordered:
        desk.order(BORROWER)
    amount = desk.claim(BORROWER)
    assert before + amount == desk.credit.supply == desk.distributor.claimed(BORROWER) == 2 * GRANT
    repaid = min(debt, amount)
    assert desk.credit.balance_of(LEASE) == repaid
    assert desk.credit.balance_of(BANK) == desk.bank.books.principal == (amount - repaid if ordered else 0)
    assert desk.credit.balance_of(BORROWER) == before + (0 if ordered else amount - repaid)
    assert desk.bank.books.next_id == (2 if ordered and amount > repaid else 1)


@pytest.mark.parametrize(
    "step",
    [
        lambda desk: desk.claim(UNLINKED),
        lambda desk: desk.distributor.set_standing_order(SAVER, SAVER, 3),
        lambda desk: desk.distributor.set_standing_order(STRANGER, SAVER, WEEK),
        lambda desk: desk.distributor.pledge_claims(LEASE, PLACEHOLDER, HOLDER),
        lambda desk: desk.distributor.release_claims(LEASE, PLACEHOLDER, HOLDER),
    ],
)
def test_a_refusal_changes_nothing(desk: Desk, step: Callable[[Desk], object]) -> None:
    desk.distributor.pledge_claims(LENDING, HOLDER, HOLDER)
    before = copy.deepcopy((desk.distributor.records, desk.credit, desk.bank.books))
    with pytest.raises(Reverted):
        step(desk)
    assert (desk.distributor.records, desk.credit, desk.bank.books) == before
