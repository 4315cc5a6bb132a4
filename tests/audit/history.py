"""An honest history for the audit to look at: three epochs with everything that can happen in them.

1. epoch 1 is proposed, finalised and claimed; a member without a wallet earns under a placeholder
2. the placeholder is linked, and claims; payments with fees, before and after the fee is raised
3. epoch 2 hands out the bonus pot that the fees filled, and is claimed by all at once
4. a wrong epoch 3 is proposed, and voided by governance; the rate changes
5. the right epoch 3 is finalised; credits are burned, a bond is withdrawn, credits are sent to the
   fee pool that nobody has divided yet
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tests.world import World, deploy_world, signer
from timebank_chain.activity import (
    PUBLIC_SALT_KEY,
    ActivityTable,
    Members,
    RawRecord,
    checksum_address,
    clean,
    placeholder_address,
    write_activity,
)
from timebank_chain.chain.addresses import address_bytes
from timebank_chain.chain.connection import Connection
from timebank_chain.chain.credit_payments import memo_hash
from timebank_chain.epoch import (
    AccountLeaf,
    EpochBuild,
    PublishedEpoch,
    account_proof,
    build_epoch,
    publish,
    range_proof,
    tree_depth,
)
from timebank_chain.units import Q24
from timebank_chain.valuation import Policy, policy_from_json

START_MS = 1_700_000_000_000
EPOCH_MS = 3_600_000
#: Micro-credits that double the rate: as many as some epochs mint.
FLOAT_STEP = 50_000_000
NEWCOMER = "newcomer"
WINDOW_MS = 60_000

POLICY = """
{
  "schema": "timebank.policy/1", "name": "history", "version": 1, "title": "For tests", "sources": "Tests.",
  "tau": "2h", "epoch_ms": 3600000, "initial_rate_q24": 16777216,
  "brackets": [
    {"from_multiple_milli": 0, "slope_milli": 1000},
    {"from_multiple_milli": 1500, "slope_milli": 700},
    {"from_multiple_milli": 3000, "slope_milli": 300}
  ],
  "domains": [
    {"name": "code", "window": "0s", "low": 8000000, "high": 150000000, "bonus_milli": 1500,
     "penalty_milli": 700,
     "interaction": [[0, 0], [5000, 6000], [20000, 10000]], "originality": [[0, 500], [10000, 9000]],
     "engagement": [[0, 0], [10000, 10000]]},
    {"name": "review", "window": "60s", "low": 0, "high": 0, "bonus_milli": 1000, "penalty_milli": 0,
     "interaction": [[0, 1000], [8000, 9000]], "originality": [[1000, 0], [9000, 8000]],
     "engagement": [[0, 0], [3000, 7000], [12000, 4000]]}
  ]
}
"""


@dataclass
class History:
    """What a test needs to audit the history, or to spoil it."""

    world: World
    folder: Path
    epochs: Path
    deployment: Path
    activity: Path
    policy: Policy

    @property
    def connection(self) -> Connection:
        return self.world.connection

    def address(self, contract: str) -> str:
        return self.world.timebank.deployment.address(contract)


def the_policy() -> Policy:
    return policy_from_json(POLICY)


def the_members(world: World) -> Members:
    """Four members with wallets; the newcomer has none."""
    return Members({f"member{n}": address_bytes(world.address(f"member{n}")) for n in range(1, 5)})


def the_activity() -> ActivityTable:
    """Three epochs of acts, some of them worthless; member4 does nothing after the first epoch."""
    draw = random.Random(20_231_114)
    records = list(_records(draw))
    draw.shuffle(records)
    result = clean(
        records,
        now_ms=START_MS + 100 * EPOCH_MS,
        salt_key=PUBLIC_SALT_KEY,
        windows={"code": 0, "review": WINDOW_MS},
    )
    assert not result.rejects
    return result.table


def _records(draw: random.Random) -> Iterator[RawRecord]:
    for number in range(3):
        start = START_MS + number * EPOCH_MS
        people = ["member1", "member2", "member3", NEWCOMER] + (["member4"] if number == 0 else [])
        for line in range(40):
            domain = draw.choice(["code", "code", "review"])
            most = EPOCH_MS - (WINDOW_MS if domain == "review" else 0)
            yield RawRecord(
                source="history",
                line=number * 100 + line,
                id=f"act:{number}:{line}",
                member=draw.choice(people) if line >= len(people) else people[line],
                domain=domain,
                occurred=start + draw.randint(1, most),
                interaction=draw.randint(0, 25),
                originality=draw.randint(0, 11),
                engagement=draw.randint(0, 14),
            )


def make_history(connection: Connection, folder: Path) -> History:
    """Live through the whole history on a fresh chain."""
    policy = the_policy()
    world = deploy_world(connection, policy=policy, link_delay=600)
    history = History(
        world, folder, folder / "epochs", folder / "deployment.json", folder / "activity.parquet", policy
    )
    import json

    history.deployment.write_text(json.dumps(world.timebank.deployment.to_json()))
    table, members = the_activity(), the_members(world)
    write_activity(table, history.activity)
    first = run_epoch(history, build(history, table, members, None))
    _claim(world, first, "member1")
    _claim_everybody(world, first)
    _link_and_claim(world, first)
    world.govern(world.timebank.rate_float.set_float(FLOAT_STEP))
    _pay(world)
    pot = world.timebank.fee_pool.bonus()
    assert pot > 0
    second = run_epoch(history, build(history, table, members, first, pot=pot))
    _claim_everybody(world, second)
    wrong = build(history, table, members, second, pot=0)
    _propose_and_void(world, wrong)
    world.govern(world.timebank.rate_oracle.set_rate(Q24 // 2))
    third = run_epoch(history, build(history, table, members, second))
    _claim(world, third, "member2")
    world.send("member2", world.timebank.attention_credit.burn(12_345))
    world.send("proposer", world.timebank.rate_oracle.withdraw_bond(world.address("proposer")))
    world.send("member1", world.timebank.attention_credit.transfer(history.address("FeePool"), 1_000))
    return history


def build(
    history: History,
    table: ActivityTable,
    members: Members,
    previous: PublishedEpoch | None,
    *,
    pot: int = 0,
    policy: Policy | None = None,
) -> EpochBuild:
    start = START_MS if previous is None else previous.header.end_ms
    return build_epoch(
        table,
        members,
        policy or history.policy,
        start_ms=start,
        end_ms=start + EPOCH_MS,
        previous=previous,
        rate_q24=history.world.timebank.rate_oracle.rate_q24(),
        pot=pot,
    )


def run_epoch(history: History, built: EpochBuild) -> PublishedEpoch:
    """Publish, propose and finalise."""
    published = publish(built, history.epochs)
    history.world.propose(published.header)
    history.world.finalise(published.header)
    return published


def _claim(world: World, epoch: PublishedEpoch, role: str) -> None:
    proof = account_proof(epoch, address_bytes(world.address(role)))
    world.send(role, world.timebank.credit_distributor.claim(proof.leaf, proof.siblings))


def _leaves(epoch: PublishedEpoch) -> list[AccountLeaf]:
    return [account_proof(epoch, row.tobytes()).leaf for row in epoch.accounts.account]


def _claim_everybody(world: World, epoch: PublishedEpoch) -> None:
    leaves = _leaves(epoch)
    proof = range_proof(epoch, 0, len(leaves))
    world.send(
        "stranger",
        world.timebank.credit_distributor.claim_many(leaves, proof.siblings, tree_depth(len(leaves))),
    )


def _link_and_claim(world: World, epoch: PublishedEpoch) -> None:
    registry, placeholder = world.timebank.member_registry, placeholder_address(NEWCOMER)
    shown = checksum_address(placeholder)
    world.send("registrar", registry.request_link(shown, world.address("stranger")))
    world.send("canceller", registry.reject_link(shown))
    world.send("registrar", registry.request_link(shown, world.address("payee")))
    world.connection.advance_time(601)
    world.send("stranger", registry.confirm_link(shown))
    proof = account_proof(epoch, placeholder)
    world.send("stranger", world.timebank.credit_distributor.claim(proof.leaf, proof.siblings))


def _pay(world: World) -> None:
    timebank = world.timebank
    credit, payments = timebank.attention_credit, timebank.credit_payments
    world.send("member1", credit.approve(payments.address, 100_000_000))
    world.send("member1", payments.pay(world.address("member2"), 20_000_001, memo_hash("a lesson")))
    world.govern(payments.set_fee(333))
    world.send("member1", payments.pay(world.address("payee"), 7_654_321))
    permit = credit.sign_permit(
        signer("member2"), payments.address, 5_000_000, world.connection.timestamp() + 10_000
    )
    world.send(
        "member2",
        payments.pay_with_permit(world.address("member3"), 5_000_000, memo_hash("seeds"), permit),
    )
    world.send("member3", credit.transfer(world.address("stranger"), 1_234))


def _propose_and_void(world: World, built: EpochBuild) -> None:
    """Propose an epoch that pays one account less than it earned, and void it."""
    wrong = replace(built.header, total_mint=built.header.total_mint - 1)
    world.propose(wrong)
    oracle = world.timebank.rate_oracle
    world.govern(oracle.void_proposal(wrong.hash(), world.address("stranger"), "a wrong total"))
