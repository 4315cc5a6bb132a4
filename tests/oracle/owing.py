"""A bank in which everything wants tending: what a day without anybody's care leaves behind.

member1 owes on a pledged receipt more than it carries (governance lowered the bound), rents on another one
past the due day, and has a day's deposit that is mature; member2 supplies and lends; member3 owes on standing
past due day and grace. Fees of a payment and stray credits wait to be passed on. Proposals are paused, so
that the daemon has nothing else to do.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from tests.chain_fixtures import snapshot
from tests.oracle.stage import EPOCH_MS, Stage, set_stage
from tests.world import SIGNERS
from timebank_chain.chain.bank_plan import RiskPlan
from timebank_chain.chain.claiming import prove_account
from timebank_chain.chain.connection import Connection
from timebank_chain.chain.credit_lease import LeaseOffer
from timebank_chain.chain.lease_offers import sign_offer
from timebank_chain.oracle.daemon import Did, OracleDaemon
from timebank_chain.units import MicroCredit
from timebank_chain.valuation import policy_head_call

HOUR, DAY = 3_600, 86_400
DEMAND, ONE_DAY, WEEK = 0, 1, 2
#: What waits, in the order it is done.
KINDS = ("liquidate", "write-off", "settle", "lapse", "pay-fees", "collect")
PLEDGE, RENTED, MATURE, ANOTHER = 1, 2, 3, 4


@dataclass
class Owing:
    """The stage, in a state with everything undone; ``copy`` gives it to one test."""

    stage: Stage
    back: Callable[[], None]

    def copy(self, folder: Path) -> Stage:
        self.back()
        shutil.copytree(self.stage.folder, folder, dirs_exist_ok=True)
        settings = replace(
            self.stage.settings,
            feed=folder / "feed.csv",
            members=folder / "members.csv",
            epochs=folder / "epochs",
        )
        return replace(self.stage, folder=folder, settings=settings)


def tend(daemon: OracleDaemon, ticks: int = 10) -> None:
    """Tick until there is nothing left to tend."""
    for _ in range(ticks):
        if daemon.tick().did is Did.PAUSED:
            return
    raise AssertionError("there is always more to tend")


def set_owing(connection: Connection, folder: Path) -> Owing:
    """Live through an epoch and a day."""
    stage = set_stage(connection, folder)
    world, timebank = stage.world, stage.world.timebank
    bank, pool, lease, credit = (
        timebank.time_bank,
        timebank.credit_lending,
        timebank.credit_lease,
        timebank.attention_credit,
    )
    for second in range(5, 45):
        stage.act(f"act {second}", f"member{second % 3 + 1}", second)
    world.connection.advance_time(EPOCH_MS // 1_000 + 2)
    stage.run_until(stage.daemon(upkeep=False), 1)
    world.send("guardian", timebank.rate_oracle.pause_proposals())
    world.govern(pool.set_risk(RiskPlan(standing_term=DAY, grace=0)))
    world.send("stranger", pool.accept_policy(policy_head_call(stage.policy)))
    one, two, three = (world.address(f"member{number}") for number in (1, 2, 3))

    world.send("member2", credit.approve(pool.address, 20_000_000))
    world.send("member2", pool.deposit(20_000_000, two))
    world.connection.advance_time(DAY)  # then all of it counts for loans on standing
    world.send("member1", credit.approve(bank.address, 25_000_000))
    for amount, term in ((10_000_000, WEEK), (4_000_000, DEMAND), (2_000_000, ONE_DAY), (3_000_000, WEEK)):
        world.send("member1", bank.deposit(amount, term, one))
    world.send("member1", bank.approve(pool.address, PLEDGE))
    world.send("member1", pool.pledge_and_borrow(PLEDGE, 8_000_000, one))
    proof = prove_account(timebank, stage.epochs, three)
    world.send("member3", pool.borrow_on_standing(proof.leaf, proof.siblings, 1_000_000, three))
    offer = LeaseOffer(
        lender=two,
        lessee=one,
        amount=MicroCredit(2_000_000),
        min_take=MicroCredit(2_000_000),
        rent=MicroCredit(10_000),
        term=HOUR,
        on_standing=False,
        expires_at=world.connection.timestamp() + DAY,
        series=0,
        salt=1,
    )
    signed = sign_offer(offer, SIGNERS["member2"], world.connection.chain_id, lease.address)
    world.send("member2", credit.approve(lease.address, 2_000_000))
    world.send("member1", bank.approve(lease.address, RENTED))
    world.send("member1", lease.take(offer, signed.signature, 2_000_000, RENTED))
    world.send("member3", credit.approve(timebank.credit_payments.address, 8_000_000))
    world.send("member3", timebank.credit_payments.pay(world.address("payee"), 8_000_000))
    world.send("member3", credit.transfer(pool.address, 1_500_000))
    world.govern(pool.set_risk(RiskPlan(5_000, 6_000, standing_term=DAY, grace=0)))
    world.connection.advance_time(DAY + 60)
    return Owing(stage, snapshot(world.connection))
