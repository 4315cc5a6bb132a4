"""An honest history of the bank for the audit to look at, on top of epochs as tests.audit.history makes them.

1.  epochs are finalised and claimed; payments fill the depositors' account
2.  deposits of every kind, by permit and by a claim's standing order; income is collected, paid, rolled over;
    a term deposit lapses; one is closed whole, one early
3.  the pool is supplied by assets and by shares; loans against receipts are repaid, released, liquidated with
    something left and, last of all and after a long time at full utilisation, at a loss
4.  loans on standing fall due, a claim repays part of one, both are written off; what is recovered goes to
    the suppliers, then to the reserve; what a claim brings beyond it is deposited
5.  leases on receipts are repaid and settled; one on standing is repaid in part, by a claim too, and forgiven
    at last; an offer is cancelled, a series ended
6.  at the end some of everything stands open, and credits and a receipt lie where they were sent in error
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.audit.history import History
from tests.world import deploy_world, signer
from timebank_chain.activity import (
    PUBLIC_SALT_KEY,
    ActivityTable,
    Members,
    RawRecord,
    clean,
    write_activity,
)
from timebank_chain.chain.addresses import address_bytes
from timebank_chain.chain.bank_plan import RiskPlan
from timebank_chain.chain.connection import Connection
from timebank_chain.chain.contract import encode
from timebank_chain.chain.credit_lease import LeaseOffer
from timebank_chain.chain.credit_lending import CreditLending
from timebank_chain.chain.member_registry import ZERO_ADDRESS
from timebank_chain.chain.transactions import Call
from timebank_chain.epoch import PublishedEpoch, account_proof, build_epoch, publish, range_proof, tree_depth
from timebank_chain.units import Q24, MicroCredit
from timebank_chain.valuation import policy_from_json, policy_head_call

CREDIT = 1_000_000
HOUR = 3_600
DAY = 86_400
MEMBERS = ("member1", "member2", "member3", "member4")
DEMAND, DAY_TERM, WEEK_TERM, MONTH_TERM = range(4)

POLICY = """
{
  "schema": "timebank.policy/1", "name": "bank history", "version": 1,
  "title": "For tests", "sources": "Tests.",
  "tau": "365d", "epoch_ms": 3600000, "initial_rate_q24": 16777216,
  "brackets": [{"from_multiple_milli": 0, "slope_milli": 1000}],
  "domains": [
    {"name": "code", "window": "0s", "low": 8000000, "high": 150000000, "bonus_milli": 1000,
     "penalty_milli": 1000,
     "interaction": [[0, 5000], [20000, 10000]], "originality": [[0, 5000], [10000, 9000]],
     "engagement": [[0, 5000], [10000, 10000]]}
  ]
}
"""


@dataclass
class BankHistory(History):
    """The history, and what is needed to go on with it."""

    start_ms: int = 0
    epoch: PublishedEpoch | None = None
    receipts: dict[str, int] = field(default_factory=dict)
    offers: dict[str, bytes] = field(default_factory=dict)
    records: list[RawRecord] = field(default_factory=list)

    # ------------------------------------------------------------------ time and epochs

    def wait(self, seconds: int) -> None:
        """Move the chain's clock."""
        self.connection.advance_time(seconds)

    def run_epoch(self, *, quiet: bool = False) -> PublishedEpoch:
        """Live through the next epoch: everybody acts, or hardly; it is published, proposed and finalised."""
        epoch_ms = self.policy.epoch_ms
        start = self.start_ms if self.epoch is None else self.epoch.header.end_ms
        behind = (start + epoch_ms) // 1000 + 1 - self.connection.timestamp()
        if behind > 0:
            self.wait(behind)
        records = list(_records(start, epoch_ms, 1 if quiet else 4))
        self.records += records
        built = build_epoch(
            _table(records, start + epoch_ms),
            Members({name: address_bytes(self.world.address(name)) for name in MEMBERS}),
            self.policy,
            start_ms=start,
            end_ms=start + epoch_ms,
            previous=self.epoch,
            rate_q24=self.world.timebank.rate_oracle.rate_q24(),
            pot=0,
        )
        self.epoch = publish(built, self.epochs)
        self.world.propose(self.epoch.header)
        self.world.finalise(self.epoch.header)
        return self.epoch

    def proof(self, role: str) -> Any:
        assert self.epoch is not None
        return account_proof(self.epoch, address_bytes(self.world.address(role)))

    def claim(self, role: str) -> None:
        proof = self.proof(role)
        self.world.send("stranger", self.world.timebank.credit_distributor.claim(proof.leaf, proof.siblings))

    def claim_everybody(self) -> None:
        assert self.epoch is not None
        leaves = [account_proof(self.epoch, row.tobytes()).leaf for row in self.epoch.accounts.account]
        proof = range_proof(self.epoch, 0, len(leaves))
        call = self.world.timebank.credit_distributor.claim_many(
            leaves, proof.siblings, tree_depth(len(leaves))
        )
        self.world.send("stranger", call)

    # ------------------------------------------------------------------ deposits, loans, leases

    def deposit(self, role: str, amount: int, term: int) -> int:
        """Deposit and return the receipt's number."""
        bank = self.world.timebank.time_bank
        receipt = bank.books().next_id
        self.world.send(role, bank.deposit(amount, term, self.world.address(role)))
        return receipt

    def approve_rooms(self, role: str) -> None:
        """Let the three contracts draw on a role's credits."""
        timebank = self.world.timebank
        for room in (timebank.time_bank, timebank.credit_lending, timebank.credit_lease):
            self.world.send(role, timebank.attention_credit.approve(room.address, 1 << 62))

    def offer(self, lender: str, **changes: Any) -> tuple[LeaseOffer, bytes]:
        """Make and sign an offer of ten credits for a day."""
        lease = self.world.timebank.credit_lease
        address = self.world.address(lender)
        terms: dict[str, Any] = {
            "lender": address,
            "lessee": ZERO_ADDRESS,
            "amount": MicroCredit(10 * CREDIT),
            "min_take": MicroCredit(CREDIT),
            "rent": MicroCredit(333_333),
            "term": DAY,
            "on_standing": False,
            "expires_at": self.connection.timestamp() + DAY,
            "series": lease.series_of(address),
            "salt": 1,
        }
        offer = LeaseOffer(**(terms | changes))
        return offer, offer.sign(signer(lender), self.connection.chain_id, lease.address)

    def approve_receipt(self, role: str, receipt: int, room: str) -> None:
        """Approve a room for a receipt."""
        timebank = self.world.timebank
        self.world.send(role, timebank.time_bank.approve(self.address(room), receipt))


def make_bank_history(connection: Connection, folder: Path) -> BankHistory:
    """Live through the whole history on a fresh chain."""
    policy = policy_from_json(POLICY)
    world = deploy_world(connection, policy=policy, rate_q24=Q24 // 32)
    start_ms = (connection.timestamp() - 4 * HOUR) * 1000
    history = BankHistory(
        world,
        folder,
        folder / "epochs",
        folder / "deployment.json",
        folder / "activity.parquet",
        policy,
        start_ms=start_ms,
    )
    history.deployment.write_text(json.dumps(world.timebank.deployment.to_json()))
    history.run_epoch()
    history.claim_everybody()
    for role in MEMBERS:
        history.approve_rooms(role)
    for step in (_fees, _deposits, _loans, _standing, _leases, _losses, _loose_ends):
        step(history)
    write_activity(_table(history.records, connection.timestamp() * 1000), history.activity)
    return history


def shares_call(pool: CreditLending, function: str, *arguments: object) -> Call:
    """Propose a function of the shares' standards (ERC-20, ERC-4626) that the client does not offer."""
    return Call(pool.NAME, function, pool.address, encode(pool.NAME, function, *arguments))


def _records(start_ms: int, epoch_ms: int, acts: int) -> Iterator[RawRecord]:
    """Yield one epoch's acts: the same number of everybody."""
    draw = random.Random(acts)
    for line in range(acts * len(MEMBERS)):
        yield RawRecord(
            source="bank history",
            line=line,
            id=f"act:{start_ms}:{line}",
            member=MEMBERS[line % len(MEMBERS)],
            domain="code",
            occurred=start_ms + draw.randint(1, epoch_ms),
            interaction=draw.randint(0, 25),
            originality=draw.randint(0, 11),
            engagement=draw.randint(0, 14),
        )


def _table(records: Iterable[RawRecord], now_ms: int) -> ActivityTable:
    result = clean(list(records), now_ms=now_ms, salt_key=PUBLIC_SALT_KEY, windows={"code": 0})
    assert not result.rejects
    return result.table


def _fees(history: BankHistory) -> None:
    """Payments, whose fees are the depositors' first income."""
    world = history.world
    payments = world.timebank.credit_payments
    world.send("member1", world.timebank.attention_credit.approve(payments.address, 1 << 62))
    world.send("member1", payments.pay(world.address("payee"), 20 * CREDIT))


def _deposits(history: BankHistory) -> None:
    world, bank = history.world, history.world.timebank.time_bank
    credit, distributor = world.timebank.attention_credit, world.timebank.credit_distributor
    world.send("stranger", bank.collect())  # before the first depositor: nothing is released
    receipts = history.receipts
    receipts["demand"] = history.deposit("member1", 5 * CREDIT, DEMAND)
    receipts["week"] = history.deposit("member1", 20 * CREDIT + 7, WEEK_TERM)
    permit = credit.sign_permit(
        signer("member2"), bank.address, 35 * CREDIT, history.connection.timestamp() + DAY
    )
    receipts["month"] = bank.books().next_id
    world.send("member2", bank.deposit_with_permit(35 * CREDIT, MONTH_TERM, world.address("member2"), permit))
    receipts["early"] = history.deposit("member3", 5 * CREDIT + 1, MONTH_TERM)
    world.send("member4", distributor.set_standing_order(world.address("member4"), DAY_TERM))
    world.send("member3", credit.transfer(bank.address, CREDIT))  # a gift
    history.wait(HOUR)
    world.send("stranger", bank.collect())
    history.run_epoch()
    receipts["claimed"] = bank.books().next_id
    history.claim_everybody()
    world.govern(bank.set_term_open(DAY_TERM, False))
    history.wait(DAY)
    world.send("member1", bank.collect_income(receipts["demand"], world.address("payee")))
    world.send("stranger", bank.lapse(receipts["claimed"]))
    world.send("member3", bank.exit_early(receipts["early"], world.address("member3")))
    history.wait(HOUR)
    world.send("member1", bank.roll_over(receipts["demand"], DEMAND))
    world.govern(bank.set_income_fee(777))
    world.govern(bank.set_release_time(3 * DAY))
    world.govern(bank.add_term(2 * DAY, 1_200, 75))
    world.send(
        "member4",
        bank.transfer_from(world.address("member4"), world.address("payee"), receipts["claimed"]),
    )
    world.send("payee", bank.withdraw(receipts["claimed"], world.address("payee")))


def _loans(history: BankHistory) -> None:
    world, timebank = history.world, history.world.timebank
    bank, pool = timebank.time_bank, timebank.credit_lending
    member1, member3 = world.address("member1"), world.address("member3")
    world.send("member1", pool.deposit(40 * CREDIT, member1))
    world.send("member3", shares_call(pool, "mint", 20 * CREDIT * 10**6 + 1, member3))
    month, week = history.receipts["month"], history.receipts["week"]
    history.approve_receipt("member2", month, "CreditLending")
    world.send("member2", pool.pledge(month))
    world.send("member2", pool.borrow(month, 15 * CREDIT, world.address("member2")))
    history.approve_receipt("member1", week, "CreditLending")
    world.send("member1", pool.pledge_and_borrow(week, 15 * CREDIT, member1))
    history.wait(DAY)
    world.send("member2", pool.repay(month, 5 * CREDIT + 3))
    world.send("member2", pool.repay(month, 100 * CREDIT))
    world.send("member2", pool.release(month))
    world.govern(pool.set_risk(RiskPlan(max_ltv_bps=5_000, liquidation_ltv_bps=6_000)))
    world.send("stranger", pool.liquidate(week))  # it covers its debt, and something is left
    world.govern(pool.set_risk(RiskPlan(unsecured_cap_bps=5_000, standing_bps=9_000)))
    world.send("member1", pool.withdraw(CREDIT, world.address("payee"), member1))
    world.send("member3", pool.redeem(3 * CREDIT * 10**6, member3, member3))
    world.send("guardian", pool.pause_borrowing())
    world.govern(pool.resume_borrowing(pool.pauses()))
    world.send("member1", shares_call(pool, "transfer", world.address("payee"), 10**6 * CREDIT))
    world.send("member1", shares_call(pool, "approve", member3, 10**6))
    world.send("member3", shares_call(pool, "redeem", 10**6, member3, member1))
    world.send("member1", timebank.attention_credit.transfer(pool.address, 12_345))  # a stray
    world.send("stranger", pool.pay_fees())
    world.send("stranger", bank.collect())


def _standing(history: BankHistory) -> None:
    """Loans on standing through everything that can become of them."""
    world, timebank = history.world, history.world.timebank
    pool, distributor = timebank.credit_lending, timebank.credit_distributor
    member2, member3 = world.address("member2"), world.address("member3")
    history.run_epoch()
    history.claim_everybody()
    world.send("stranger", pool.accept_policy(policy_head_call(history.policy)))
    for role, amount in (("member3", 8 * CREDIT), ("member3", 15 * CREDIT), ("member2", 2 * CREDIT)):
        proof = history.proof(role)
        world.send(role, pool.borrow_on_standing(proof.leaf, proof.siblings, amount, world.address(role)))
    world.send("member3", pool.repay_standing(member3, CREDIT))
    history.run_epoch(quiet=True)
    history.claim("member3")  # not due yet: the claim is the member's
    assert pool.due_from_claims(member3) == 0
    history.wait(31 * DAY)
    history.run_epoch(quiet=True)
    history.claim("member3")
    assert pool.standing_debt_of(member3) > 5 * CREDIT
    history.wait(7 * DAY)
    world.send("stranger", pool.write_off(member3))
    world.send("stranger", pool.write_off(member2))
    world.send("member3", pool.repay_standing(member3, 6 * CREDIT))
    world.send("member2", pool.repay_standing(member2, CREDIT // 2))
    world.send("member3", distributor.set_standing_order(member3, DEMAND))
    history.run_epoch(quiet=True)
    history.claim("member3")
    assert pool.standing_debt_of(member3) == 0
    assert distributor.creditor_of(member3) is None


def _leases(history: BankHistory) -> None:
    world, timebank = history.world, history.world.timebank
    lease, receipt = timebank.credit_lease, history.receipts["month"]
    history.claim("member4")  # its standing order's term is closed by now: a demand deposit
    offer, signature = history.offer("member1")
    history.approve_receipt("member2", receipt, "CreditLease")
    world.send("member2", lease.take(offer, signature, 4 * CREDIT + 1, receipt))
    world.send("member2", lease.repay(1, 100 * CREDIT))
    history.approve_receipt("member2", receipt, "CreditLease")
    world.send("member2", lease.take(offer, signature, 5 * CREDIT, receipt))
    history.wait(DAY + 1)
    world.send("stranger", lease.settle(2))
    world.govern(lease.set_lease_fee(1_234))
    offer, signature = history.offer(
        "member1", amount=MicroCredit(40 * CREDIT), rent=MicroCredit(CREDIT), on_standing=True, salt=2
    )
    proof = history.proof("member4")
    world.send("member4", lease.take_on_standing(offer, signature, 30 * CREDIT, proof.leaf, proof.siblings))
    world.send("payee", timebank.attention_credit.approve(lease.address, 1 << 62))
    world.send("payee", lease.repay(3, CREDIT))
    history.wait(DAY + 1)
    history.run_epoch(quiet=True)
    history.claim("member4")
    assert 0 < lease.owed_on(3) < 29 * CREDIT
    world.send("payee", lease.repay(3, lease.owed_on(3) - 100_000))  # some of the rent, with its fee
    world.send("member1", lease.forgive(3))
    world.send("guardian", lease.pause_leasing())
    world.govern(lease.resume_leasing(lease.pauses()))
    other, _ = history.offer("member1", salt=3)
    world.send("member1", lease.cancel(other))
    history.offers = {"taken": lease.hash_offer(offer), "cancelled": lease.hash_offer(other)}
    world.send("member2", lease.cancel_all())


def _losses(history: BankHistory) -> None:
    """A pledge that a long time at full utilisation made worth less than its debt."""
    world, pool = history.world, history.world.timebank.credit_lending
    member2 = world.address("member2")
    for role in ("member3", "member1"):
        supplier = world.address(role)
        amount = min(pool.books().cash - 10 * CREDIT, pool.max_withdraw(supplier))
        world.send(role, pool.withdraw(amount, supplier, supplier))
    receipt = history.deposit("member2", 12 * CREDIT, DEMAND)
    history.approve_receipt("member2", receipt, "CreditLending")
    world.send("member2", pool.pledge_and_borrow(receipt, 10 * CREDIT, member2))
    history.wait(100 * DAY)
    world.send("stranger", pool.liquidate(receipt))


def _loose_ends(history: BankHistory) -> None:
    """Some of everything stands open, and some credits lie where nobody wanted them."""
    world, timebank = history.world, history.world.timebank
    bank, pool, lease = timebank.time_bank, timebank.credit_lending, timebank.credit_lease
    member1, member4 = world.address("member1"), world.address("member4")
    history.run_epoch()
    for role in ("member1", "member3", "member4"):  # member2's would recover the last of its lost loan
        history.claim(role)
    world.send("member1", pool.deposit(20 * CREDIT, member1))
    receipts = history.receipts
    receipts["pledged"] = history.deposit("member4", 6 * CREDIT, MONTH_TERM)
    history.approve_receipt("member4", receipts["pledged"], "CreditLending")
    world.send("member4", pool.pledge_and_borrow(receipts["pledged"], 4 * CREDIT, member4))
    proof = history.proof("member1")
    world.send("member1", pool.borrow_on_standing(proof.leaf, proof.siblings, 3 * CREDIT, member1))
    receipts["leased"] = history.deposit("member4", 11 * CREDIT, WEEK_TERM)
    history.approve_receipt("member4", receipts["leased"], "CreditLease")
    offer, signature = history.offer("member3", on_standing=True)
    world.send("member4", lease.take(offer, signature, 5 * CREDIT, receipts["leased"]))
    proof = history.proof("member4")
    world.send("member4", lease.take_on_standing(offer, signature, 2 * CREDIT, proof.leaf, proof.siblings))
    world.send("member4", lease.repay(5, CREDIT))
    receipts["approved"] = history.deposit("member3", CREDIT, DEMAND)
    history.approve_receipt("member3", receipts["approved"], "CreditLending")
    world.send(
        "member3",
        Call(
            bank.NAME,
            "setApprovalForAll",
            bank.address,
            encode(bank.NAME, "setApprovalForAll", world.address("payee"), True),
        ),
    )
    for room in ("TimeBank", "CreditLending", "CreditLease"):
        world.send("member1", timebank.attention_credit.transfer(history.address(room), 1_000))
