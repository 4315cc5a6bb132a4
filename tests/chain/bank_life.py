"""A bank that has been lived in: everything that can move a credit or accrue has happened once.

Times are counted from the chain's own clock: a snapshot brings no clock back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.published import EPOCH_MS, finalise, identity, propose, publish_next
from tests.world import SIGNERS, World, deploy_world
from timebank_chain.chain.bank_events import Deposited, LeaseTaken
from timebank_chain.chain.claiming import prove_account, prove_claim
from timebank_chain.chain.connection import Connection
from timebank_chain.chain.credit_lease import LeaseOffer
from timebank_chain.chain.events import decode_logs
from timebank_chain.chain.lease_offers import sign_offer
from timebank_chain.chain.member_registry import ZERO_ADDRESS
from timebank_chain.chain.statement import Statement
from timebank_chain.chain.transactions import Receipt
from timebank_chain.valuation import policy_head_call

QUORUM = [SIGNERS[f"signer{n}"] for n in range(1, 4)]
DAY = 86_400
DEMAND, ONE_DAY, WEEK, MONTH = range(4)
#: Outside ids of the epochs' members.
MEMBERS = {"ada": "member1", "cyd": "member2", "dan": "member3"}


@dataclass
class Life:
    """A deployed bank, the published epochs, and short ways to do things."""

    world: World
    epochs: Path
    origin_ms: int
    receipts: dict[str, int] = field(default_factory=dict)
    blocks: dict[str, int] = field(default_factory=dict)
    statements: dict[tuple[str, str], Statement] = field(default_factory=dict)

    def mark(self, chapter: str) -> None:
        """Remember the block in which a chapter ended."""
        self.blocks[chapter] = self.world.connection.block_number()

    def epoch(self) -> None:
        """Publish and finalise the next epoch: every member earns."""
        published = publish_next(
            self.world.timebank,
            self.epochs,
            list(MEMBERS),
            {member: self.world.address(role) for member, role in MEMBERS.items()},
            origin_ms=self.origin_ms,
        )
        propose(self.world.timebank, published, QUORUM)
        finalise(self.world.timebank, published, SIGNERS["stranger"])

    def claim(self, *roles: str) -> None:
        for role in roles:
            call = prove_claim(self.world.timebank, self.epochs, self.world.address(role)).call
            self.world.send("stranger", call)

    def wait(self, seconds: int) -> None:
        self.world.connection.advance_time(seconds)

    def allow(self, role: str, *, amount: int = 1 << 60) -> None:
        """Let every room take the role's credits."""
        timebank = self.world.timebank
        for room in (timebank.time_bank, timebank.credit_lending, timebank.credit_lease):
            self.world.send(role, timebank.attention_credit.approve(room.address, amount))

    def deposit(self, role: str, amount: int, term: int, *, owner: str | None = None) -> int:
        whose = self.world.address(owner or role)
        receipt = self.world.send(role, self.world.timebank.time_bank.deposit(amount, term, whose))
        return self._first(receipt, Deposited).receipt_id

    def pay(self, role: str, to: str, amount: int) -> None:
        """Pay with a fee: what depositors' income comes from."""
        timebank = self.world.timebank
        payments = timebank.credit_payments
        self.world.send(role, timebank.attention_credit.approve(payments.address, amount))
        self.world.send(role, payments.pay(self.world.address(to), amount))

    def collect(self) -> None:
        self.world.send("stranger", self.world.timebank.time_bank.collect())

    def offer(self, role: str, amount: int, rent: int, **changes: object) -> tuple[LeaseOffer, bytes]:
        timebank = self.world.timebank
        terms = {
            "lender": self.world.address(role),
            "lessee": ZERO_ADDRESS,
            "amount": amount,
            "min_take": 1,
            "rent": rent,
            "term": 10 * DAY,
            "on_standing": True,
            "expires_at": timebank.connection.pending_timestamp() + 400 * DAY,
            "series": 0,
            "salt": 7,
        } | changes
        made = LeaseOffer(**terms)  # type: ignore[arg-type]  # a dict of mixed fields
        signed = sign_offer(made, SIGNERS[role], timebank.connection.chain_id, timebank.credit_lease.address)
        return made, signed.signature

    def take(self, role: str, offer: tuple[LeaseOffer, bytes], amount: int, receipt_id: int) -> int:
        timebank = self.world.timebank
        self.world.send(role, timebank.time_bank.approve(timebank.credit_lease.address, receipt_id))
        receipt = self.world.send(role, timebank.credit_lease.take(*offer, amount, receipt_id))
        return self._first(receipt, LeaseTaken).lease_id

    def take_on_standing(self, role: str, offer: tuple[LeaseOffer, bytes], amount: int) -> int:
        timebank = self.world.timebank
        proof = prove_account(timebank, self.epochs, self.world.address(role))
        receipt = self.world.send(
            role, timebank.credit_lease.take_on_standing(*offer, amount, proof.leaf, proof.siblings)
        )
        return self._first(receipt, LeaseTaken).lease_id

    def borrow(self, role: str, receipt_id: int, amount: int) -> None:
        timebank = self.world.timebank
        self.world.send(role, timebank.time_bank.approve(timebank.credit_lending.address, receipt_id))
        call = timebank.credit_lending.pledge_and_borrow(receipt_id, amount, self.world.address(role))
        self.world.send(role, call)

    def borrow_on_standing(self, role: str, amount: int) -> None:
        timebank = self.world.timebank
        proof = prove_account(timebank, self.epochs, self.world.address(role))
        self.world.send(
            role,
            timebank.credit_lending.borrow_on_standing(
                proof.leaf, proof.siblings, amount, self.world.address(role)
            ),
        )

    def balance(self, role: str) -> int:
        return self.world.timebank.attention_credit.balance_of(self.world.address(role))

    @staticmethod
    def _first(receipt: Receipt, kind: type) -> object:
        return next(event for event in decode_logs(receipt.logs, (kind,)) if isinstance(event, kind))


def begin(connection: Connection, folder: Path, roles: Sequence[str] = tuple(MEMBERS.values())) -> Life:
    """Deploy a bank, finalise a first epoch and let its members claim and approve everything."""
    world = deploy_world(connection, policy=identity())
    life = Life(world, folder / "epochs", connection.pending_timestamp() * 1_000 - 2 * EPOCH_MS)
    life.epoch()
    life.claim(*roles)
    for role in roles:
        life.allow(role)
    world.send("stranger", world.timebank.credit_lending.accept_policy(policy_head_call(identity())))
    return life


def live(life: Life) -> None:
    """Let everything happen once; ``life.blocks`` says in which block each chapter ended."""
    world, timebank = life.world, life.world.timebank
    bank, pool, lease = timebank.time_bank, timebank.credit_lending, timebank.credit_lease
    address = world.address

    # Deposits: a bound one, a demand one, one for somebody else, one that is left early.
    life.receipts["week"] = life.deposit("member1", 10_000_000, WEEK)
    life.receipts["demand"] = life.deposit("member2", 5_000_000, DEMAND)
    life.receipts["given"] = life.deposit("member2", 2_000_000, MONTH, owner="member3")
    life.receipts["left"] = life.deposit("member1", 3_000_000, MONTH)
    life.pay("member3", "payee", 9_000_000)
    life.collect()
    life.wait(DAY)
    world.send("member2", bank.collect_income(life.receipts["demand"], address("member2")))
    world.send("member1", bank.exit_early(life.receipts["left"], address("member1")))
    life.mark("deposits")

    # The pool: two suppliers, a loan against a receipt, which a stranger to it repays in part.
    world.send("member3", pool.deposit(10_000_000, address("member3")))
    world.send("member2", pool.deposit(1_000_000, address("member2")))
    life.borrow("member1", life.receipts["week"], 6_000_000)
    life.wait(2 * DAY)
    world.send("member2", pool.repay(life.receipts["week"], 1_000_000))
    world.send(
        "member2", pool.redeem(pool.balance_of(address("member2")), address("payee"), address("member2"))
    )
    life.mark("loan")

    # Leases on a receipt: one repaid, one overdue and settled.
    offer = life.offer("member3", 4_000_000, 400_000)
    repaid = life.take("member2", offer, 2_000_000, life.receipts["demand"])
    life.wait(DAY)
    world.send("member2", lease.repay(repaid, 1 << 40))
    life.receipts["settled"] = life.deposit("member2", 4_000_000, ONE_DAY)
    settled = life.take("member2", offer, 1_500_000, life.receipts["settled"])
    life.wait(10 * DAY + 1)
    world.send("stranger", lease.settle(settled))
    life.mark("leases")

    # What is mature: one goes on as a demand deposit, one as a week's; one changes hands.
    world.send("stranger", bank.lapse(life.receipts["week"]))
    world.send("member2", bank.roll_over(life.receipts["demand"], WEEK))
    world.send("member3", bank.transfer_from(address("member3"), address("member1"), life.receipts["given"]))
    life.pay("member3", "payee", 4_000_000)
    life.collect()
    life.mark("renewals")

    # On standing: a loan and a lease fall due; later claims repay them, what is left becomes a deposit.
    life.epoch()
    life.claim("member1", "member2")
    life.borrow_on_standing("member1", 1_000_000)
    world.send("member1", timebank.credit_distributor.set_standing_order(address("member1"), WEEK))
    on_standing = life.take_on_standing("member2", life.offer("member3", 500_000, 20_000), 500_000)
    world.send("payee", timebank.attention_credit.approve(lease.address, 100_000))
    world.send("payee", lease.repay(on_standing, 100_000))
    life.wait(31 * DAY)
    life.epoch()
    life.claim("member1", "member2")
    life.mark("claims")

    # On standing: a loan fails, is written off, and is recovered from a later claim.
    life.borrow_on_standing("member3", 2_000_000)
    life.wait(38 * DAY)
    world.send("stranger", pool.write_off(address("member3")))
    world.send("member3", pool.repay_standing(address("member3"), 300_000))
    life.epoch()
    life.claim("member3")
    world.send("stranger", pool.pay_fees())
    life.mark("write-off")

    # The pledge no longer covers its debt: all that is supplied is lent out, and time passes.
    world.send("member1", bank.withdraw(life.receipts["given"], address("payee")))
    pledge = life.receipts["week"]
    carries = bank.exit_value(pledge) * 9 // 10 - pool.debt_of(pledge) - 1
    more = min(carries, pool.accrued_books().cash - 400_000)
    world.send("member1", pool.borrow(pledge, more, address("member1")))
    cash = pool.max_withdraw(address("member3"))
    world.send("member3", pool.withdraw(cash, address("member3"), address("member3")))
    for _ in range(40):
        life.wait(30 * DAY)
        world.send("stranger", pool.accrue())
        if pool.debt_of(pledge) * 100 > bank.exit_value(pledge) * 95:
            break
    world.send("stranger", pool.liquidate(life.receipts["week"]))
    life.mark("liquidation")
