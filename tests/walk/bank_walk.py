"""A random walk through the whole bank, contract and specification side by side.

Eight members with contract wallets deposit, hand over, pledge, borrow, repay, supply, lease, claim, donate
and default as chance has it, with good arguments and bad. For every step the specification says beforehand
what the contract must return or revert with, to the byte; after every block the books agree, and every so
often all state does. At the end everybody takes out what is theirs.

::

    .venv/bin/python -m tests.walk.bank_walk --steps 100000 --seed 1     # on a node of its own
"""

from __future__ import annotations

import argparse
import inspect
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, field, replace
from typing import Any

import numpy as np
from eth_utils.crypto import keccak

from tests.chain_fixtures import start_anvil, stop
from tests.walk.chain_side import Driver, Node, Step, encoded_error, encoded_result, told
from tests.world import GENESIS_MS, SIGNERS, deploy_world
from timebank_chain.chain.addresses import address_bytes
from timebank_chain.chain.bank_plan import BankPlan, RiskPlan
from timebank_chain.chain.connection import connect
from timebank_chain.epoch.header import EpochHeader
from timebank_chain.epoch.leaves import AccountLeaf
from timebank_chain.epoch.tree import MerkleTree
from timebank_chain.spec.attention_credit import MAX_UINT256, ZERO_ADDRESS, AttentionCredit
from timebank_chain.spec.credit_distributor import CreditDistributor
from timebank_chain.spec.credit_lease import CreditLease, LeaseOffer
from timebank_chain.spec.credit_lending import CreditLending, OracleState, RiskSettings
from timebank_chain.spec.fee_pool import FeePool
from timebank_chain.spec.revert import Reverted
from timebank_chain.spec.time_bank import Term, TimeBank
from timebank_chain.units import Q24
from timebank_chain.valuation import load_policy, policy_hash, policy_head_call

WALKERS = 8
DAY = 86_400
#: Steps between two epochs, and blocks between two comparisons of all state.
EPOCH_EVERY, LOOK_EVERY = 1_000, 40
POLICY = load_policy("identity")
BANK = BankPlan(risk=replace(RiskPlan(), standing_term=3 * DAY, grace=2 * DAY))
#: How long a block is after the one before, seconds: mostly moments, now and then a month or a year.
PAUSES = (1, 1, 1, 12, 12, 60, 3_600, DAY, DAY, 7 * DAY)
LONG_PAUSES = (30 * DAY, 365 * DAY)
PLACEHOLDERS = ["0x74696d6562616e6b" + f"{number:024x}" for number in (1, 2, 3)]
#: Whose they are: one member has two.
LINKED = (0, 0, 1)


class Disagreement(AssertionError):
    """Contract and specification differ; the message says where."""


@dataclass(frozen=True)
class Proven:
    """An account's leaf in an epoch, with its proof."""

    leaf: AccountLeaf
    proof: tuple[bytes, ...]


@dataclass(frozen=True)
class Planned:
    """A step with what the specification is called with, where that differs from the contract's arguments."""

    step: Step
    spec_arguments: tuple[Any, ...] | None = None


@dataclass
class Walk:
    """One walk: a node, a deployed system, eight members, and the specification of all of it.

    ``counts`` says how often each function succeeded and with which error it reverted.
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
        self.granted: Counter[str] = Counter()
        self.proven: dict[str, Proven] = {}
        self.old_proofs: list[Proven] = []
        self._link_placeholders()
        self._specify()
        self.accounts = [*self.members, *PLACEHOLDERS]
        self.now = self.node.now()
        self._prepare()

    # ------------------------------------------------------------------ the start

    def _link_placeholders(self) -> None:
        from eth_utils.address import to_checksum_address

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

    def _prepare(self) -> None:
        """Allowances, a first epoch, its claims."""
        self._allow_everything()
        self.run_epoch()
        self.block([self._claim(account) for account in self.accounts], 1)
        accept = Step(0, "CreditLending", "acceptPolicy", (policy_head_call(POLICY),))
        self.block([Planned(accept, (policy_head_call(POLICY),))], 1)

    def _allow_everything(self) -> None:
        for number in range(WALKERS):
            self.block(
                [
                    *(
                        self._plan(number, "AttentionCredit", "approve", room, MAX_UINT256)
                        for room in _rooms(self)
                    ),
                    *(
                        self._plan(number, "TimeBank", "setApprovalForAll", room, True)
                        for room in _rooms(self)[1:]
                    ),
                ],
                1,
            )

    # ------------------------------------------------------------------ blocks

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

    # ------------------------------------------------------------------ epochs

    def run_epoch(self) -> None:
        """Grant something to most accounts, prove standing to all, and make an epoch of it final."""
        draw, oracle = self.draw, self.world.timebank.rate_oracle
        self.old_proofs = list(self.proven.values()) or self.old_proofs
        leaves, earned = [], 0
        pot = draw.choice([0, self.fee_pool.bonus // 2])
        mints = [
            draw.choice([0, draw.randrange(1, 50), draw.randrange(10**6, 5 * 10**8)]) for _ in self.accounts
        ]
        for index, (account, mint) in enumerate(zip(sorted(self.accounts), mints, strict=True)):
            self.granted[account] += mint
            earned += mint
            leaves.append(
                AccountLeaf(
                    index=index,
                    account=address_bytes(_checksum(account)),
                    activity_end=0,
                    earned=mint,
                    running_earned=earned,
                    running_active=index + 1,
                    standing=draw.choice([0, draw.randrange(10**3), draw.randrange(10**9)]),
                    mint=mint,
                    running_mint=earned,
                    cumulative_mint=self.granted[account],
                )
            )
        hashes = b"".join(leaf.hash() for leaf in leaves)
        tree = MerkleTree(np.frombuffer(hashes, dtype=np.uint8).reshape(-1, 32))
        number = oracle.latest_epoch() + 1
        start = oracle.latest_end_ms() if number > 1 else GENESIS_MS
        header = EpochHeader(
            epoch=number,
            start_ms=start,
            end_ms=max(start + 1, self.node.now() * 1_000),
            policy_hash=policy_hash(POLICY),
            activity_root=bytes(32),
            activity_count=0,
            account_root=tree.root,
            account_count=len(leaves),
            active_count=len(leaves),
            total_earned=max(earned, 1),
            total_mint=earned,
            rate_q24=Q24,
            pot=pot,
            previous_header_hash=oracle.latest_header_hash(),
            data_hash=keccak(text=f"epoch {number}"),
            data_uri="",
        )
        self.world.propose(header)
        self.node.pass_time(oracle.challenge_window())
        self.world.send("stranger", oracle.finalise(header))
        self.now = self.node.now()
        self.fee_pool.burn_pot(pot)
        self.distributor.accept_root(number, tree.root)
        self.oracle.latest_end_ms = header.end_ms
        self.tree = tree
        self.proven = {
            account: Proven(leaf, tuple(tree.proof(leaf.index)))
            for account, leaf in zip(sorted(self.accounts), leaves, strict=True)
        }
        self.compare_books()

    # ------------------------------------------------------------------ steps

    def step(self) -> Planned:
        """One step of one member, as chance has it."""
        kinds, weights = zip(*_KINDS, strict=True)
        kind: Callable[[Walk, int], Planned] = self.draw.choices(kinds, weights)[0]
        return kind(self, self.draw.randrange(WALKERS))

    def _plan(self, walker: int, contract: str, function: str, *arguments: Any) -> Planned:
        return Planned(Step(walker, contract, function, arguments))

    def _claim(self, account: str) -> Planned:
        proven = self.proven[account]
        step = Step(
            self.draw.randrange(WALKERS),
            "CreditDistributor",
            "claim",
            (proven.leaf.as_call(), list(proven.proof)),
        )
        return Planned(step, (proven.leaf, proven.proof))

    def someone(self) -> str:
        """A member's address."""
        return self.draw.choice(self.members)

    def amount(self, around: int) -> int:
        """An amount: nothing, dust, a part of ``around``, all of it, or more."""
        draw = self.draw
        return draw.choice(
            [
                0,
                1,
                draw.randrange(2, 1_000),
                draw.randrange(1_000, 20_000),
                *([draw.randrange(around + 1)] * 6),
                around,
                around + 1,
                2 * around + 1,
            ]
        )

    def balance(self, walker: int) -> int:
        """A member's credits."""
        return self.credit.balance_of(self.members[walker])

    def receipt(self, walker: int | None = None) -> int:
        """A receipt: mostly one the member holds, else any, sometimes one that is not there."""
        draw = self.draw
        if draw.random() < 0.03 or not self.bank.positions:
            return draw.choice([0, self.bank.books.next_id, draw.randrange(self.bank.books.next_id + 1)])
        if walker is not None and draw.random() < 0.85:
            mine = [one for one, owner in self.bank.owners.items() if owner == self.members[walker]]
            if mine:
                return draw.choice(mine)
        return draw.choice(list(self.bank.positions))

    def pledge_of(self, walker: int | None) -> int:
        """A pledged receipt: mostly the member's own."""
        loans = [
            receipt
            for receipt, owner in self.bank.owners.items()
            if owner == self.lending.address
            and (walker is None or self.lending.pledged_loan(receipt).borrower == self.members[walker])
        ]
        return self.draw.choice(loans) if loans and self.draw.random() < 0.95 else self.receipt()

    def pledge_and_room(self, walker: int) -> tuple[int, int]:
        """A pledged receipt, and an amount around what it still carries: at its edge a year makes it fail."""
        receipt = self.pledge_of(walker)
        if receipt not in self.bank.positions:
            return receipt, self.amount(10**6)
        value = self.bank.exit_value_of(receipt, now=self.now)
        room = value * BANK.risk.max_ltv_bps // 10_000 - self.lending.debt_of(receipt, now=self.now)
        return receipt, self.draw.choice([max(0, room - 5), self.amount(max(0, room))])

    def lease_id(self) -> int:
        """A lease: mostly one that runs."""
        running = list(self.lease.leases)
        if running and self.draw.random() < 0.95:
            return self.draw.choice(running)
        return self.draw.randrange(self.lease.lease_count + 2)

    def offer(self) -> LeaseOffer:
        """An offer: an old one, or a new one with mostly good fields."""
        draw = self.draw
        good = [one for one in self.offers if one.expires_at > self.now] or self.offers
        if good and draw.random() < 0.6:
            return draw.choice(good if draw.random() < 0.9 else self.offers)
        amount = draw.choice([draw.randrange(1, 100), draw.randrange(10**4, 10**8)])
        lender = self.someone()
        made = LeaseOffer(
            lender=lender,
            lessee=self.someone() if draw.random() < 0.1 else ZERO_ADDRESS,
            amount=amount if draw.random() < 0.98 else 0,
            min_take=draw.choice([1, max(1, amount // 3), amount if draw.random() < 0.9 else amount + 1]),
            rent=draw.choice([0, 1, amount // 20, amount // 3]),
            term=draw.choice([1, 3_600, DAY, 7 * DAY, DAY if draw.random() < 0.95 else 0]),
            on_standing=draw.random() < 0.6,
            expires_at=self.now + (draw.choice([30 * DAY, 365 * DAY]) if draw.random() < 0.95 else -1),
            series=self.lease.series_of(lender) if draw.random() < 0.97 else draw.randrange(3),
            salt=draw.randrange(2**256),
        )
        self.offers = [*self.offers[-30:], made]
        return made

    def proof(self, walker: int) -> Proven:
        """A proof of standing: mostly the member's own and fresh."""
        draw = self.draw
        if draw.random() < 0.04 and self.old_proofs:
            return draw.choice(self.old_proofs)
        if draw.random() < 0.04:
            return self.proven[draw.choice(self.accounts)]
        proven = self.proven[draw.choice(_mine(self, walker))]
        if draw.random() < 0.02:
            return replace(proven, leaf=replace(proven.leaf, standing=proven.leaf.standing + 1))
        return proven

    # ------------------------------------------------------------------ the walk

    def run(self, steps: int, progress: Callable[[int], None] = lambda _: None) -> None:
        """Take so many steps, then let everybody out."""
        taken = blocks = 0
        next_epoch, next_look = EPOCH_EVERY, LOOK_EVERY
        while taken < steps:
            size = min(self.draw.choice([1, 10, 40, 60, 80]), steps - taken)
            # A step is drawn from the state before its block: by its turn it may be out of date, which is
            # one more way to be wrong.
            planned = [self.step() for _ in range(size)]
            long = self.draw.random() < 0.01
            self.block(planned, self.draw.choice(LONG_PAUSES if long else PAUSES))
            taken += size
            blocks += 1
            if long:
                self._sweep()
            if taken >= next_epoch:
                next_epoch += EPOCH_EVERY
                self.run_epoch()
            if blocks >= next_look:
                next_look += LOOK_EVERY
                self.compare_all()
                progress(taken)
        self.compare_all()
        self.everybody_out()

    def _sweep(self) -> None:
        """After a long silence somebody looks after every debt: what no longer stands is ended."""
        pledged = [one for one, owner in self.bank.owners.items() if owner == self.lending.address]
        sweep = [self._plan(0, "CreditLending", "liquidate", receipt) for receipt in pledged]
        sweep += [self._plan(0, "CreditLending", "writeOff", member) for member in self.members]
        self.block(sweep, 1)

    def everybody_out(self) -> None:
        """Repay every debt, then take everything out: nothing but what is nobody's stays behind."""
        self.run_epoch()
        self._allow_everything()
        self.block([self._claim(account) for account in self.accounts], 1)
        self._repay_leases()
        self._close_deposits()
        self._repay_loans()
        self.compare_all()
        self._close_deposits()
        assert not self.bank.owners, "no receipt is left in custody"
        self._redeem()
        assert self.bank.books.principal == 0
        assert self.bank.books.owed == 0, "what rounding left is pending again, for the next depositor"
        assert self.lending.shares.supply == 0
        pool = self.lending.books
        assert pool.debt_shares == 0
        # What is left besides fees belongs to the virtual shares: dust.
        assert pool.cash + pool.debt - pool.fees_owed <= max(1_000, self.credit.supply // 10**6), pool

    def _close_deposits(self) -> None:
        for receipt, owner in list(self.bank.owners.items()):
            if owner in self.numbers:
                self.must(self.numbers[owner], "TimeBank", "close", receipt, owner)

    def _redeem(self) -> None:
        for number, member in enumerate(self.members):
            shares = self.lending.max_redeem(member, now=self.now + 1)
            if shares:
                self.must(number, "CreditLending", "redeem", shares, member, member)

    def _repay_leases(self) -> None:
        for lease_id, lease in list(self.lease.leases.items()):
            if lease.receipt_id:
                continue
            if self.balance(self.numbers[lease.lessee]) >= lease.owed:
                self.must(self.numbers[lease.lessee], "CreditLease", "repay", lease_id, lease.owed)
            else:
                self.must(self.numbers[lease.lender], "CreditLease", "forgive", lease_id)
        self.block([], 8 * DAY)
        for lease_id in list(self.lease.leases):
            self.must(0, "CreditLease", "settle", lease_id)

    def _repay_loans(self) -> None:
        for receipt, owner in list(self.bank.owners.items()):
            if owner == self.lending.address:
                self._free(receipt)
        for number, member in enumerate(self.members):
            self._fund(number, self.lending.standing_debt_of(member, now=self.now + 60))
            if self.lending.standing_loan(member).due_at and self.balance(number):
                self.must(number, "CreditLending", "repayStanding", member, self.balance(number))
        if any(self.lending.standing_loan(member).debt_shares for member in self.members):
            self.block([], BANK.risk.standing_term + BANK.risk.grace + 1)
        for member in self.members:
            if self.lending.standing_loan(member).debt_shares:
                self.must(0, "CreditLending", "writeOff", member)

    def _free(self, receipt: int) -> None:
        borrower = self.lending.pledged_loan(receipt).borrower
        number = self.numbers[borrower]
        if self.lending.pledged_loan(receipt).debt_shares:
            self._fund(number, self.lending.debt_of(receipt, now=self.now + 60))
            if self.balance(number) < self.lending.debt_of(receipt, now=self.now + 60):
                # Either the pledge has ceased to cover it, or more is earned until it can be repaid.
                self.block([self._plan(number, "CreditLending", "liquidate", receipt)], 1)
                if self.bank.owners.get(receipt) != self.lending.address:
                    return
                while self.balance(number) < self.lending.debt_of(receipt, now=self.now + 60):
                    self.run_epoch()
                    self.block([self._claim(account) for account in self.accounts], 1)
                    self._close_deposits()
                    self._fund(number, self.lending.debt_of(receipt, now=self.now + 60))
            self.must(number, "CreditLending", "repay", receipt, self.balance(number))
        self.must(number, "CreditLending", "release", receipt)

    def _fund(self, number: int, amount: int) -> None:
        """Let the others help a member who cannot pay."""
        for other in range(WALKERS):
            missing = amount - self.balance(number)
            if missing > 0 and other != number and self.balance(other):
                part = min(missing, self.balance(other))
                self.must(other, "AttentionCredit", "transfer", self.members[number], part)

    def must(self, walker: int, contract: str, function: str, *arguments: Any) -> None:
        """Take one step that has to succeed."""
        name = f"{contract}.{function}"
        before = self.counts[name]
        self.block([self._plan(walker, contract, function, *arguments)], 1)
        if self.counts[name] != before + 1:
            raise Disagreement(f"{name}{arguments} of walker {walker} had to succeed: {dict(self.counts)}")


_HOLDERS = ("TimeBank", "CreditLending", "CreditLease", "FeePool", "CreditDistributor")


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _checksum(address: str) -> Any:
    from eth_utils.address import to_checksum_address

    return to_checksum_address(address)


def _offer_call(offer: LeaseOffer) -> tuple[Any, ...]:
    return astuple(offer)


def _take(walk: Walk, walker: int) -> Planned:
    offer, valid = walk.offer(), walk.draw.random() < 0.97
    signature = b"\x01" if valid else walk.draw.choice([b"", b"\x02", b"\x01\x01"])
    state = walk.lease.offers.get(walk.lease.hash_offer(offer))
    amount = walk.amount(offer.amount - (state.taken if state else 0))
    receipt = walk.receipt(walker)
    step = Step(walker, "CreditLease", "take", (_offer_call(offer), signature, amount, receipt))
    return Planned(step, (offer, valid, amount, receipt))


def _take_on_standing(walk: Walk, walker: int) -> Planned:
    offer, valid = walk.offer(), walk.draw.random() < 0.97
    signature = b"\x01" if valid else b"\x02"
    proven, amount = walk.proof(walker), walk.amount(offer.amount)
    words = (_offer_call(offer), signature, amount, proven.leaf.as_call(), list(proven.proof))
    step = Step(walker, "CreditLease", "takeOnStanding", words)
    return Planned(step, (offer, valid, amount, proven.leaf, proven.proof))


def _borrow_on_standing(walk: Walk, walker: int) -> Planned:
    proven = walk.proof(walker)
    # Mostly what the cap lets through, now and then as much as it must refuse.
    wanted = walk.lending.books.cash // walk.draw.choice((8, 8, 8, 2))
    amount = walk.amount(min(proven.leaf.standing // 2, wanted))
    words = (proven.leaf.as_call(), list(proven.proof), amount, walk.someone())
    step = Step(walker, "CreditLending", "borrowOnStanding", words)
    return Planned(step, (proven.leaf, proven.proof, amount, words[3]))


def _cancel(walk: Walk, walker: int) -> Planned:
    offer = walk.offer()
    if walk.draw.random() < 0.1:
        return walk._plan(walker, "CreditLease", "cancelAll")
    if walk.draw.random() < 0.8:
        walker = walk.numbers[offer.lender]
    return Planned(Step(walker, "CreditLease", "cancel", (_offer_call(offer),)), (offer,))


def _claim_many(walk: Walk, walker: int) -> Planned:
    order = sorted(walk.accounts)
    first = walk.draw.randrange(len(order) - 1)
    count = walk.draw.randrange(1, len(order) - first + 1)
    proven = [walk.proven[account] for account in order[first : first + count]]
    depth = max(0, (len(order) - 1).bit_length())
    proof = list(walk.tree.range_proof(first, count))
    words = ([one.leaf.as_call() for one in proven], proof, depth)
    leaves = [one.leaf for one in proven]
    return Planned(Step(walker, "CreditDistributor", "claimMany", words), (leaves, proof, depth))


def _mine(walk: Walk, walker: int) -> list[str]:
    own = [one for one, number in zip(PLACEHOLDERS, LINKED, strict=True) if number == walker]
    return [walk.members[walker], *own]


def _account(walk: Walk, walker: int) -> str:
    mine = _mine(walk, walker)
    return walk.draw.choice([*mine, *mine, *mine, walk.draw.choice(walk.accounts)])


def _receiver(walk: Walk) -> str:
    """Of a receipt: somebody, now and then a room that did not ask for it."""
    return walk.draw.choice(_rooms(walk)[1:]) if walk.draw.random() < 0.05 else walk.someone()


#: What a member may do, and how often.
_KINDS: tuple[tuple[Callable[[Walk, int], Planned], int], ...] = (
    (
        lambda w, n: w._plan(
            n, "TimeBank", "deposit", w.amount(w.balance(n) // 3), w.draw.randrange(5), _receiver(w)
        ),
        9,
    ),
    (lambda w, n: w._plan(n, "TimeBank", "withdraw", w.receipt(n), w.someone()), 5),
    (lambda w, n: w._plan(n, "TimeBank", "exitEarly", w.receipt(n), w.someone()), 3),
    (lambda w, n: w._plan(n, "TimeBank", "close", w.receipt(n), w.someone()), 2),
    (lambda w, n: w._plan(n, "TimeBank", "collectIncome", w.receipt(n), w.someone()), 4),
    (lambda w, n: w._plan(n, "TimeBank", "rollOver", w.receipt(n), w.draw.randrange(5)), 4),
    (lambda w, n: w._plan(n, "TimeBank", "lapse", w.receipt()), 3),
    (lambda w, n: w._plan(n, "TimeBank", "collect"), 4),
    (lambda w, n: w._plan(n, "TimeBank", "approve", w.draw.choice(_rooms(w)), w.receipt(n)), 8),
    (
        lambda w, n: w._plan(
            n,
            "TimeBank",
            "setApprovalForAll",
            w.draw.choice([*_rooms(w), w.someone()]),
            w.draw.random() < 0.7,
        ),
        1,
    ),
    (lambda w, n: w._plan(n, "TimeBank", "transferFrom", w.members[n], _receiver(w), w.receipt(n)), 3),
    (lambda w, n: w._plan(n, "CreditLending", "deposit", w.amount(w.balance(n) // 3), w.someone()), 6),
    (lambda w, n: w._plan(n, "CreditLending", "mint", w.amount(w.balance(n) * 10**5), w.someone()), 2),
    (
        lambda w, n: w._plan(
            n,
            "CreditLending",
            "withdraw",
            w.amount(w.lending.max_withdraw(w.members[n], now=w.now)),
            w.someone(),
            w.members[n] if w.draw.random() < 0.9 else w.someone(),
        ),
        3,
    ),
    (
        lambda w, n: w._plan(
            n,
            "CreditLending",
            "redeem",
            w.amount(w.lending.max_redeem(w.members[n], now=w.now)),
            w.someone(),
            w.members[n] if w.draw.random() < 0.9 else w.someone(),
        ),
        3,
    ),
    (lambda w, n: w._plan(n, "CreditLending", "pledge", w.receipt(n)), 6),
    (
        lambda w, n: w._plan(n, "CreditLending", "borrow", *w.pledge_and_room(n), w.someone()),
        7,
    ),
    (
        lambda w, n: w._plan(
            n,
            "CreditLending",
            "pledgeAndBorrow",
            w.receipt(n),
            w.amount(w.lending.books.cash // 20),
            w.someone(),
        ),
        3,
    ),
    (lambda w, n: w._plan(n, "CreditLending", "repay", w.pledge_of(n), w.amount(w.balance(n) // 4)), 6),
    (lambda w, n: w._plan(n, "CreditLending", "release", w.pledge_of(n)), 4),
    (lambda w, n: w._plan(n, "CreditLending", "liquidate", w.pledge_of(None)), 3),
    (_borrow_on_standing, 8),
    (lambda w, n: w._plan(n, "CreditLending", "repayStanding", w.someone(), w.amount(w.balance(n) // 4)), 3),
    (lambda w, n: w._plan(n, "CreditLending", "writeOff", w.someone()), 3),
    (lambda w, n: w._plan(n, "CreditLending", "accrue"), 1),
    (lambda w, n: w._plan(n, "CreditLending", "payFees"), 2),
    (_take, 7),
    (_take_on_standing, 6),
    (lambda w, n: w._plan(n, "CreditLease", "repay", w.lease_id(), w.amount(w.balance(n) // 4)), 5),
    (lambda w, n: w._plan(n, "CreditLease", "settle", w.lease_id()), 4),
    (lambda w, n: w._plan(n, "CreditLease", "forgive", w.lease_id()), 1),
    (_cancel, 1),
    (lambda w, n: w._claim(_account(w, n)), 5),
    (_claim_many, 1),
    (
        lambda w, n: w._plan(n, "CreditDistributor", "setStandingOrder", _account(w, n), w.draw.randrange(5)),
        2,
    ),
    (lambda w, n: w._plan(n, "CreditDistributor", "endStandingOrder", _account(w, n)), 1),
    (lambda w, n: w._plan(n, "FeePool", "sync"), 1),
    (
        lambda w, n: w._plan(
            n,
            "AttentionCredit",
            "transfer",
            w.draw.choice(
                [*w.members, *(w.addresses[name] for name in ("TimeBank", "CreditLending", "FeePool"))]
            ),
            w.amount(w.balance(n) // 20),
        ),
        4,
    ),
    (
        lambda w, n: w._plan(
            n,
            "AttentionCredit",
            "approve",
            w.draw.choice(_rooms(w)),
            w.draw.choice([MAX_UINT256, MAX_UINT256, MAX_UINT256, w.amount(w.balance(n))]),
        ),
        2,
    ),
)


def _rooms(walk: Walk) -> list[str]:
    return [walk.addresses[name] for name in ("TimeBank", "CreditLending", "CreditLease")]


def main(arguments: Sequence[str] | None = None) -> int:
    """Walk and say what happened how often."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    process, url = start_anvil(*ANVIL)
    began = time.monotonic()
    try:
        walk = Walk(url, options.seed)

        def progress(taken: int) -> None:
            print(f"{taken:,} steps, {time.monotonic() - began:.0f} s", file=sys.stderr)

        walk.run(options.steps, progress)
    finally:
        stop(process)
    for name, count in sorted(walk.counts.items()):
        print(f"{count:>8,}  {name}")
    print(f"{sum(walk.counts.values()):,} steps agreed to the unit")
    return 0


#: Everything the walk does; the test asks that each succeeded and, but for the last, was refused somewhere.
FUNCTIONS = (
    *(f"TimeBank.{name}" for name in (
        "deposit", "withdraw", "exitEarly", "close", "collectIncome", "rollOver", "lapse", "approve",
        "transferFrom",
    )),
    *(f"CreditLending.{name}" for name in (
        "deposit", "mint", "withdraw", "redeem", "pledge", "borrow", "pledgeAndBorrow", "repay", "release",
        "liquidate", "borrowOnStanding", "repayStanding", "writeOff",
    )),
    *(f"CreditLease.{name}" for name in ("take", "takeOnStanding", "repay", "settle", "forgive", "cancel")),
    *(f"CreditDistributor.{name}" for name in ("claim", "setStandingOrder", "endStandingOrder")),
    "AttentionCredit.transfer",
)  # fmt: skip
NEVER_REFUSED = (
    "TimeBank.collect", "TimeBank.setApprovalForAll", "CreditLending.accrue", "CreditLending.payFees",
    "CreditLease.cancelAll", "CreditDistributor.claimMany", "FeePool.sync", "AttentionCredit.approve",
)  # fmt: skip

#: Blocks as large as a walk likes.
ANVIL = ("--timestamp", "1900000000", "--gas-limit", str(10**11), "--no-request-size-limit")

if __name__ == "__main__":
    raise SystemExit(main())
