"""The floating rate.

::

    a plan's step is in force from the start, and the manifest keeps it
    on both chains
    |- a payment counts whole, a transfer not at all
    |- an epoch moves the rate as the specification says, with all its inputs in the event
    |- the next epoch is proposed at the new rate, at the old one it is refused
    |- a rate set by the governor is the new base
    `- fixed again, an epoch moves nothing
    the contract refuses a step at which the rate never moves
    nobody but the governor sets the float; what is wired is wired once
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.world import SIGNERS, World, deploy_world, plan
from timebank_chain.chain.connection import Connection
from timebank_chain.chain.deployment import deploy, load_deployment
from timebank_chain.chain.deployment_plan import MAX_FLOAT_STEP
from timebank_chain.chain.events import FeesCollected, read_events
from timebank_chain.chain.float_events import FloatSet, RateFloatSet, RateMoved, SpendersSet, Spent
from timebank_chain.chain.float_reverts import NotSpender, RateFloatFixed, SpendersFixed, StepTooSmall
from timebank_chain.chain.openzeppelin_reverts import AccessManagedUnauthorized
from timebank_chain.chain.rate_float import Floating
from timebank_chain.chain.reverts import NotOracle, RateMismatch
from timebank_chain.chain.system import open_timebank
from timebank_chain.chain.transactions import Call
from timebank_chain.errors import DeploymentError
from timebank_chain.spec import rate_float as specified
from timebank_chain.spec.floating_rate import MIN_STEP
from timebank_chain.units import Q24

STEP = 20_000_000


@pytest.fixture
def floating(chain: Connection) -> World:
    """A world with credits in a wallet, whose rate floats since its first epoch."""
    world = deploy_world(chain)
    member = world.address("member1")
    epoch = world.run_epoch({member: 5_000_000, world.address("member2"): 1_000_000})
    world.send("stranger", world.timebank.credit_distributor.claim(epoch.leaf(member), epoch.proof(member)))
    assert moves(world) == []
    world.govern(world.timebank.rate_float.set_float(STEP))
    return world


def moves(world: World) -> list[RateMoved]:
    timebank = world.timebank
    return [
        event
        for event in read_events(
            world.connection,
            timebank.addresses(),
            (RateMoved,),
            from_block=timebank.deployment.first_block,
        )
        if isinstance(event, RateMoved)
    ]


def pay(world: World, amount: int) -> None:
    payments = world.timebank.credit_payments
    world.send("member1", world.timebank.attention_credit.approve(payments.address, amount))
    world.send("member1", payments.pay(world.address("payee"), amount, b"\x09" * 32))


def test_a_plans_step_is_in_force_from_the_start(embedded: Connection, tmp_path: Path) -> None:
    path = tmp_path / "deployment.json"
    made = deploy(embedded, SIGNERS["deployer"], plan(float_step_micro=STEP), path)
    assert load_deployment(path) == made
    timebank = open_timebank(embedded, made)
    assert timebank.rate_float.floating() == Floating(STEP, Q24, Q24, 0, 0)  # type: ignore[arg-type]  # plain integers as rates
    told = list(
        read_events(
            embedded,
            timebank.addresses(),
            (SpendersSet, RateFloatSet, FloatSet),
            from_block=made.first_block,
        )
    )
    assert {type(event) for event in told} == {SpendersSet, RateFloatSet, FloatSet}
    for event in told:
        if isinstance(event, FloatSet):
            assert (event.previous_step, event.step, event.base_rate_q24, event.spent) == (0, STEP, Q24, 0)


@pytest.mark.parametrize("step", [-1, 1, MIN_STEP - 1, MAX_FLOAT_STEP + 1])
def test_an_impossible_step_is_refused(step: int) -> None:
    with pytest.raises(DeploymentError, match="float step"):
        plan(float_step_micro=step).check()
    plan(float_step_micro=MIN_STEP).check()


def test_an_epoch_moves_the_rate_as_specified(floating: World) -> None:
    world, timebank = floating, floating.timebank
    float_ = specified.RateFloat(timebank.fee_pool.spent)
    float_.set_float(Q24, STEP)
    pay(world, 4_000_001)
    world.send("member1", timebank.attention_credit.transfer(world.address("payee"), 500_000))
    assert timebank.fee_pool.spent() == 4_000_001
    told = [
        event
        for event in read_events(
            world.connection,
            timebank.addresses(),
            (Spent, FeesCollected),
            from_block=timebank.deployment.first_block,
        )
        if isinstance(event, Spent | FeesCollected)
    ]
    assert [type(event) for event in told] == [FeesCollected, Spent]
    assert sum(event.amount for event in told) == 4_000_001

    epoch = world.run_epoch({world.address("member1"): 1_000_000})
    move = float_.follow(Q24, epoch.header.total_mint)
    assert move is not None
    assert (move.demand, move.supply) == (4_000_001, 1_000_000)
    last = moves(world)[-1]
    assert last.epoch == 2
    assert (last.demand, last.supply, last.excess_before, last.excess, last.rate_q24) == (
        move.demand,
        move.supply,
        move.excess_before,
        move.excess,
        move.rate_q24,
    )
    shown = timebank.rate_float.floating()
    assert (shown.step, shown.base_rate_q24, shown.rate_q24, shown.excess, shown.spent_at_last) == (
        STEP,
        Q24,
        move.rate_q24,
        move.excess,
        4_000_001,
    )
    assert timebank.rate_oracle.rate_q24() == move.rate_q24 > Q24
    stale = world.make_epoch({world.address("member1"): 1_000_000})
    with pytest.raises(RateMismatch):
        world.propose(replace(stale.header, rate_q24=Q24))

    world.govern(timebank.rate_oracle.set_rate(3 * Q24))
    assert timebank.rate_float.floating().base_rate_q24 == 3 * Q24
    assert timebank.rate_float.floating().excess == 0
    world.run_epoch({world.address("member1"): 1_000_000})
    assert moves(world)[-1].excess_before == 0
    assert timebank.rate_float.floating().base_rate_q24 == 3 * Q24

    world.govern(timebank.rate_float.set_float(0))
    rate, count = timebank.rate_oracle.rate_q24(), len(moves(world))
    world.run_epoch({world.address("member1"): 1_000_000})
    assert (timebank.rate_oracle.rate_q24(), len(moves(world))) == (rate, count)


@pytest.mark.parametrize("step", [1, MIN_STEP - 1])
def test_a_step_that_never_moves_the_rate_is_refused(world: World, step: int) -> None:
    float_ = world.timebank.rate_float
    with pytest.raises(
        StepTooSmall, match=r"0\.00000\d credits the rate never moves; the least is 0\.000006"
    ):
        world.govern(float_.set_float(step))
    world.govern(float_.set_float(MIN_STEP))
    assert float_.floating().step == MIN_STEP


def test_nobody_else_sets_or_moves_it(world: World) -> None:
    timebank = world.timebank
    with pytest.raises(AccessManagedUnauthorized):
        world.send("stranger", timebank.rate_float.set_float(1))
    for call in (
        timebank.fee_pool.set_spenders([world.address("stranger")]),
        timebank.rate_oracle.set_rate_float(world.address("stranger")),
    ):
        with pytest.raises(AccessManagedUnauthorized):
            world.send("stranger", call)
    record = timebank.fee_pool._write("recordSpending", amount=5)
    with pytest.raises(NotSpender):
        world.send("stranger", record)
    follow: Call = timebank.rate_float._write("follow", epoch=1, rateQ24=Q24, supply=0)
    with pytest.raises(NotOracle):
        world.send("stranger", follow)


def test_the_administrator_cannot_wire_it_again(world: World) -> None:
    timebank = world.timebank
    for call, refusal in (
        (timebank.fee_pool.set_spenders([world.address("stranger")]), SpendersFixed),
        (timebank.rate_oracle.set_rate_float(world.address("stranger")), RateFloatFixed),
    ):
        with pytest.raises(refusal):
            world.govern(call)
