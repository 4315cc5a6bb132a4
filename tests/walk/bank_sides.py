"""The bank on a chain, and its specification beside it: steps taken on both, everything compared.

For every step the specification says beforehand what the contract must return or revert with, to the byte.
"""

from __future__ import annotations

import inspect
import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import astuple, dataclass, field, replace
from typing import Any

from eth_utils.address import to_checksum_address

from tests.walk.chain_side import Driver, Node, Step, encoded_error, encoded_result, told
from tests.world import SIGNERS, deploy_world
from timebank_chain.chain.bank_plan import BankPlan, RiskPlan
from timebank_chain.chain.connection import connect
from timebank_chain.spec.attention_credit import MAX_UINT256, ZERO_ADDRESS, AttentionCredit
from timebank_chain.spec.credit_distributor import CreditDistributor
from timebank_chain.spec.credit_lease import CreditLease, LeaseOffer
from timebank_chain.spec.credit_lending import CreditLending, OracleState, RiskSettings
from timebank_chain.spec.fee_pool import FeePool
from timebank_chain.spec.revert import Reverted
from timebank_chain.spec.time_bank import Term, TimeBank
from timebank_chain.units import Q24
from timebank_chain.valuation import load_policy, policy_hash

WALKERS = 8
DAY = 86_400
POLICY = load_policy("identity")
BANK = BankPlan(risk=replace(RiskPlan(), standing_term=3 * DAY, grace=2 * DAY))
PLACEHOLDERS = ["0x74696d6562616e6b" + f"{number:024x}" for number in (1, 2, 3)]
#: Whose they are: one member has two.
LINKED = (0, 0, 1)
#: Contracts that hold credits.
_HOLDERS = ("TimeBank", "CreditLending", "CreditLease", "FeePool", "CreditDistributor")


class Disagreement(AssertionError):
    """Contract and specification differ; the message says where."""


@dataclass(frozen=True)
class Planned:
    """A step with what the specification is called with, where that differs from the contract's arguments."""

    step: Step
    spec_arguments: tuple[Any, ...] | None = None


@dataclass
class BothSides:
    """A node, a deployed system, eight members, and the specification of all of it.

    ``counts`` says how often each function succeeded and with which error it reverted. All chance comes from
    ``draw``, seeded once.
    """

    url: str
    seed: int
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.draw = random.Random(self.seed)
        self.node = Node(self.url)
        self.world = deploy_world(connect(self.url), policy=POLICY, bank=BANK)
        self.driver = Driver(self.node, WALKERS)
        self.members = self.driver.walkers
        self.addresses = {name: str(at).lower() for name, at in self.world.timebank.addresses().items()}
        self.numbers = {address: number for number, address in enumerate(self.members)}
        self.offers: list[LeaseOffer] = []
        self._link_placeholders()
        self._specify()
        self.accounts = [*self.members, *PLACEHOLDERS]
        self.now = self.node.now()

    @property
    def rooms(self) -> list[str]:
        """Contracts that take members' credits or receipts; the bank itself is first."""
        return [self.addresses[name] for name in ("TimeBank", "CreditLending", "CreditLease")]

    def plan(self, walker: int, contract: str, function: str, *arguments: Any) -> Planned:
        """A step both sides are given the same arguments of."""
        return Planned(Step(walker, contract, function, arguments))

    def balance(self, walker: int) -> int:
        """A member's credits."""
        return self.credit.balance_of(self.members[walker])

    # ------------------------------------------------------------------ the start

    def _link_placeholders(self) -> None:
        registry = self.world.timebank.member_registry
        for placeholder, member in self._links().items():
            known = to_checksum_address(placeholder)
            self.world.send("registrar", registry.request_link(known, to_checksum_address(member)))
            link = registry.requested_link(known)
            assert link is not None
            self.node.pass_time(link.effective_at + 1 - self.node.now())
            self.world.send("stranger", registry.confirm_link(known))

    def _links(self) -> dict[str, str]:
        return {
            placeholder: self.members[number]
            for placeholder, number in zip(PLACEHOLDERS, LINKED, strict=True)
        }

    def _specify(self) -> None:
        at, plan = self.addresses, self.world.timebank.deployment.plan
        governor, guardian = (SIGNERS[role].address.lower() for role in ("governor", "guardian"))
        self.credit = AttentionCredit()
        self.fee_pool = FeePool(
            self.credit,
            at["FeePool"],
            at["TimeBank"],
            at["CreditLending"],
            plan.fee_split.depositors_bps,
            plan.fee_split.bonus_bps,
        )
        self.distributor = CreditDistributor(self.credit, at["CreditDistributor"], self._links())
        self.oracle = OracleState(policy_hash(POLICY), Q24, 0)
        self.bank = TimeBank(
            self.credit,
            self.fee_pool,
            at["TimeBank"],
            at["CreditDistributor"],
            governor,
            [Term(term.duration, term.multiplier_milli, term.penalty_bps) for term in BANK.terms],
            BANK.income_fee_bps,
            BANK.release_seconds,
        )
        self.lending = CreditLending(
            self.credit,
            self.oracle,
            self.bank,
            self.fee_pool,
            self.distributor,
            at["CreditLending"],
            governor,
            guardian,
            RiskSettings(*BANK.risk.as_call()),
            BANK.initial_rate_per_second,
            self.world.timebank.credit_lending.books().accrued_at,
        )
        self.lease = CreditLease(
            self.credit,
            self.bank,
            self.lending,
            self.fee_pool,
            self.distributor,
            at["CreditLease"],
            self.world.connection.chain_id,
            governor,
            guardian,
            BANK.lease_fee_bps,
        )
        self.bank.rooms = (at["CreditLending"], at["CreditLease"])
        self.distributor.time_bank = self.bank
        self.distributor.creditors = (self.lending, self.lease)
        self.specified: dict[str, Any] = {
            "AttentionCredit": self.credit,
            "FeePool": self.fee_pool,
            "CreditDistributor": self.distributor,
            "TimeBank": self.bank,
            "CreditLending": self.lending,
            "CreditLease": self.lease,
        }

    def allow_everything(self) -> None:
        """Every member allows every room everything."""
        for number in range(WALKERS):
            self.block(
                [
                    *(
                        self.plan(number, "AttentionCredit", "approve", room, MAX_UINT256)
                        for room in self.rooms
                    ),
                    *(
                        self.plan(number, "TimeBank", "setApprovalForAll", room, True)
                        for room in self.rooms[1:]
                    ),
                ],
                1,
            )

    # ------------------------------------------------------------------ steps

    def must(self, walker: int, contract: str, function: str, *arguments: Any) -> None:
        """Take one step that has to succeed."""
        name = f"{contract}.{function}"
        before = self.counts[name]
        self.block([self.plan(walker, contract, function, *arguments)], 1)
        if self.counts[name] != before + 1:
            raise Disagreement(f"{name}{arguments} of walker {walker} had to succeed: {dict(self.counts)}")

    def block(self, planned: Sequence[Planned], pause: int) -> None:
        """Take steps in one block, compare what each returned, then the books."""
        self.now += pause
        self.node.next_block_at(self.now)
        found = self.driver.take([one.step for one in planned], self.addresses)
        for one, (succeeded, returned) in zip(planned, found, strict=True):
            expected_success, expected = self._expect(one)
            if (succeeded, returned) != (expected_success, expected):
                raise Disagreement(
                    f"{one.step} at {self.now}: contract "
                    f"{'returned' if succeeded else 'reverted with'} {told(returned)}, specification "
                    f"{'returns' if expected_success else 'reverts with'} {told(expected)}"
                )
        self.compare_books()

    def _expect(self, planned: Planned) -> tuple[bool, bytes]:
        step = planned.step
        method = getattr(self.specified[step.contract], _snake(step.function))
        arguments = step.arguments if planned.spec_arguments is None else planned.spec_arguments
        taken = inspect.signature(method).parameters
        keywords = {"now": self.now} if "now" in taken else {}
        caller = (
            () if step.contract == "FeePool" and step.function == "sync" else (self.members[step.walker],)
        )
        try:
            result = method(*caller, *arguments, **keywords)
        except Reverted as error:
            self.counts[f"{step.contract}.{step.function} {error.name}"] += 1
            return False, encoded_error(error)
        self.counts[f"{step.contract}.{step.function}"] += 1
        if step.contract == "AttentionCredit":
            result = True
        return True, encoded_result(step.contract, step.function, result)

    # ------------------------------------------------------------------ comparing

    def compare_books(self) -> None:
        """The contracts' books against the specification's, and the sums a bank clerk would check."""
        holders = [*self.members, *(self.addresses[name] for name in _HOLDERS)]
        views: list[tuple[str, str, tuple[Any, ...]]] = [
            ("TimeBank", "books", ()),
            ("CreditLending", "books", ()),
            ("CreditLending", "accruedBooks", ()),
            ("CreditLending", "unsecuredShares", ()),
            ("CreditLending", "totalSupply", ()),
            ("CreditLending", "totalAssets", ()),
            ("FeePool", "depositors", ()),
            ("FeePool", "bonus", ()),
            ("FeePool", "reserve", ()),
            ("CreditLease", "leaseCount", ()),
            ("AttentionCredit", "totalSupply", ()),
            *(("AttentionCredit", "balanceOf", (holder,)) for holder in holders),
        ]
        expected: list[Any] = [
            astuple(self.bank.books),
            astuple(self.lending.books),
            astuple(self.lending.accrued_books(now=self.now)),
            self.lending.unsecured_shares,
            self.lending.shares.supply,
            self.lending.total_assets(now=self.now),
            self.fee_pool.depositors,
            self.fee_pool.bonus,
            self.fee_pool.reserve,
            self.lease.lease_count,
            self.credit.supply,
            *(self.credit.balance_of(holder) for holder in holders),
        ]
        self._agree(views, expected)
        self._clerk()

    def _clerk(self) -> None:
        books, pool = self.bank.books, self.lending.books
        held = self.credit.balance_of(self.bank.address)
        assert books.principal + books.pending + books.owed <= held, "bank: holdings cover what is owed"
        assert sum(one.principal for one in self.bank.positions.values()) == books.principal
        incomes = sum(self.bank.income_of(receipt, now=self.now) for receipt in self.bank.positions)
        assert incomes <= books.owed + books.pending
        assert pool.cash <= self.credit.balance_of(self.lending.address), "pool: cash is there"
        assert self.credit.balance_of(self.lease.address) == 0, "a lease holds no credits between steps"
        fees = self.fee_pool.depositors + self.fee_pool.bonus + self.fee_pool.reserve
        assert fees <= self.credit.balance_of(self.fee_pool.address)
        assert sum(self.credit.balances.values()) == self.credit.supply

    def compare_all(self) -> None:
        """Every position, loan, lease, share, allowance and claim."""
        views: list[tuple[str, str, tuple[Any, ...]]] = []
        expected: list[Any] = []

        def look(contract: str, function: str, arguments: tuple[Any, ...], value: Any) -> None:
            views.append((contract, function, arguments))
            expected.append(value)

        for receipt in range(1, self.bank.books.next_id):
            if receipt not in self.bank.positions:
                if receipt % 97 == 0:
                    look("TimeBank", "positionOf", (receipt,), None)
                continue
            look("TimeBank", "positionOf", (receipt,), astuple(self.bank.position_of(receipt)))
            look("TimeBank", "ownerOf", (receipt,), self.bank.owner_of(receipt))
            look("TimeBank", "getApproved", (receipt,), self.bank.get_approved(receipt))
            look("TimeBank", "incomeOf", (receipt,), self.bank.income_of(receipt, now=self.now))
            look("TimeBank", "exitValueOf", (receipt,), self.bank.exit_value_of(receipt, now=self.now))
            look("CreditLending", "pledgedLoan", (receipt,), astuple(self.lending.pledged_loan(receipt)))
            look("CreditLending", "debtOf", (receipt,), self.lending.debt_of(receipt, now=self.now))
        for member in self.members:
            look("TimeBank", "balanceOf", (member,), self.bank.balance_of(member))
            look("CreditLending", "balanceOf", (member,), self.lending.shares.balance_of(member))
            look("CreditLending", "maxRedeem", (member,), self.lending.max_redeem(member, now=self.now))
            look("CreditLending", "maxWithdraw", (member,), self.lending.max_withdraw(member, now=self.now))
            look("CreditLending", "standingLoan", (member,), astuple(self.lending.standing_loan(member)))
            debt = self.lending.standing_debt_of(member, now=self.now)
            look("CreditLending", "standingDebtOf", (member,), debt)
            look("CreditLease", "standingLeaseOf", (member,), self.lease.standing_lease_of(member))
            look("CreditLease", "seriesOf", (member,), self.lease.series_of(member))
        for account in self.accounts:
            look("CreditDistributor", "claimed", (account,), self.distributor.claimed(account))
            look("CreditDistributor", "creditorOf", (account,), self.distributor.creditor_of(account))
            look(
                "CreditDistributor",
                "standingOrderOf",
                (account,),
                self.distributor.standing_order_of(account),
            )
        for lease_id in self.lease.leases:
            look("CreditLease", "leaseOf", (lease_id,), astuple(self.lease.lease_of(lease_id)))
        for offer in self.offers:
            digest = self.lease.hash_offer(offer)
            look("CreditLease", "takenOf", (digest,), self.lease.taken_of(digest))
        look("CreditLending", "borrowRate", (), self.lending.borrow_rate(now=self.now))
        self._agree(views, expected)
        for receipt, owner in self.bank.owners.items():
            if owner == self.lending.address:
                assert self.lending.pledged_loan(receipt).borrower != ZERO_ADDRESS, (
                    "every pledge has its loan"
                )
            if owner == self.lease.address:
                assert any(one.receipt_id == receipt for one in self.lease.leases.values())

    def _agree(self, views: Sequence[tuple[str, str, tuple[Any, ...]]], expected: Sequence[Any]) -> None:
        for at in range(0, len(views), 400):
            part = views[at : at + 400]
            for (contract, function, arguments), value, found in zip(
                part, expected[at : at + 400], self.driver.read(part, self.addresses), strict=True
            ):
                if found != value:
                    raise Disagreement(
                        f"{contract}.{function}{arguments} at {self.now} is {found}, specified {value}"
                    )


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
