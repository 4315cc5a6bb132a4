"""The daemon while the rate floats, against contracts on a chain of their own.

several epochs with spending in between
|- each is valued at the rate its predecessor left, which is the specification's, and it really moves
|- everything minted is claimed; the audit finds nothing, and recomputes every move
an epoch that was published before the rate moved
`- is built again at the chain's rate, and becomes final
"""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.oracle.stage import EPOCH_MS, Stage
from timebank_chain.audit.run import run_audit
from timebank_chain.chain.events import read_events
from timebank_chain.chain.float_events import RateMoved
from timebank_chain.epoch import build_epoch, publish, read_epoch
from timebank_chain.oracle.daemon import Did
from timebank_chain.oracle.intake import read_intake
from timebank_chain.oracle.rate import required_rates
from timebank_chain.spec import floating_rate
from timebank_chain.spec.rate_float import RateFloat
from timebank_chain.units import Q24

#: Micro-credits that double the rate: what a few epochs mint.
STEP = 2_000_000_000
#: What is spent during each epoch, micro-credits paid to and fro: nothing, too much for one move, about what
#: is minted, less.
SPENT: tuple[tuple[int, ...], ...] = ((), (300_000_000,) * 4, (350_000_001, 340_000_000), (123_456_789,))


def past_end(stage: Stage, epoch: int) -> None:
    end = stage.start_ms // 1_000 + epoch * EPOCH_MS // 1_000 + 1
    stage.world.connection.advance_time(max(1, end - stage.world.connection.timestamp()))


def spend(stage: Stage, amounts: tuple[int, ...]) -> None:
    """Pay from member1, whose credits come from earlier epochs, to payee and in turn back."""
    world, (payer, payee) = stage.world, ("member1", "payee")
    payments = world.timebank.credit_payments
    for amount in amounts:
        most = min(amount, world.timebank.attention_credit.balance_of(world.address(payer)))
        world.send(payer, world.timebank.attention_credit.approve(payments.address, most))
        world.send(payer, payments.pay(world.address(payee), most, bytes(32)))
        payer, payee = payee, payer


@pytest.fixture
def floating(stage: Stage) -> Stage:
    """The stage, with a rate that floats from its first epoch on."""
    stage.world.govern(stage.world.timebank.rate_float.set_float(STEP))
    return stage


def test_epochs_get_the_moved_rate_claims_pay_and_the_audit_is_green(floating: Stage) -> None:
    stage, timebank = floating, floating.world.timebank
    expected = RateFloat(timebank.fee_pool.spent)
    expected.set_float(Q24, STEP)
    rate, rates, moved = Q24, [], []
    daemon = stage.daemon()
    for number, amounts in enumerate(SPENT, start=1):
        stage.act(f"a{number}", "member1", number * 60 - 30, ("9", "9", "9"))
        stage.act(f"b{number}", "member2", number * 60 - 20)
        spend(stage, amounts)
        past_end(stage, number)
        stage.run_until(daemon, number)
        header = read_epoch(stage.epochs, number).header
        assert header.rate_q24 == rate, f"epoch {number} is valued at another rate than was left to it"
        rates.append(rate)
        move = expected.follow(rate, header.total_mint)
        assert move is not None
        moved.append(move)
        rate = move.rate_q24
        assert timebank.rate_oracle.rate_q24() == rate
    assert all(one != other for one, other in pairwise(rates)), "the rate moved with every epoch"
    assert rates[1] < rates[0] and rates[2] > rates[1], "it fell without demand, and rose with it"
    bound = floating_rate.max_move(STEP)
    assert {abs(move.excess - move.excess_before) == bound for move in moved} == {True, False}

    told = read_events(
        timebank.connection,
        timebank.addresses(),
        (RateMoved,),
        from_block=timebank.deployment.first_block,
    )
    assert [(one.demand, one.excess, one.rate_q24) for one in told if isinstance(one, RateMoved)] == [
        (move.demand, move.excess, move.rate_q24) for move in moved
    ]
    mints = [read_epoch(stage.epochs, number).header.total_mint for number in range(1, len(SPENT) + 1)]
    assert sum(stage.claimed().values()) == sum(mints)
    assert mints[1] < mints[0], "the same acts mint less at a lower rate"

    report = run_audit(timebank.connection, timebank.deployment, stage.epochs)
    assert [(check.name, check.differences) for check in report.checks if not check.ok] == []
    (rate_check,) = (check for check in report.checks if check.number == "A54")
    assert rate_check.evidence["moves"] == len(SPENT)
    assert rate_check.evidence["rate_q24"] == rate


def test_an_epoch_published_at_the_old_rate_is_built_again(floating: Stage) -> None:
    """By hand, ahead of the chain: as nobody could know then what epoch 2 would need."""
    stage, timebank = floating, floating.world.timebank
    for number in (1, 2):
        stage.act(f"a{number}", "member1", number * 60 - 30)
    past_end(stage, 1)
    daemon = stage.daemon()
    stage.run_until(daemon, 1)
    first = read_epoch(stage.epochs, 1)
    assert required_rates(timebank, 3)[0].rate_q24 is None
    (needed,) = required_rates(timebank, 2)
    assert needed.rate_q24 == timebank.rate_oracle.rate_q24() != first.header.rate_q24

    intake = read_intake(
        {"feed.csv": stage.feed},
        None,
        stage.policy,
        start_ms=first.header.end_ms,
        end_ms=first.header.end_ms + EPOCH_MS,
        now_ms=first.header.end_ms + 2 * EPOCH_MS,
        salt_key=stage.settings.salt_key,
        is_closed=lambda _record: False,
        published=lambda _record: None,
    )
    stale = build_epoch(
        intake.table,
        stage.settings.read_members(),
        stage.policy,
        start_ms=first.header.end_ms,
        end_ms=first.header.end_ms + EPOCH_MS,
        previous=first,
    )
    assert stale.header.rate_q24 == first.header.rate_q24
    publish(stale, stage.epochs)
    past_end(stage, 2)
    assert daemon.tick().did is Did.PROPOSED
    assert read_epoch(stage.epochs, 2).header.rate_q24 == needed.rate_q24
    stage.run_until(daemon, 2)
    # Of final epochs the chain says with what they became final, whatever the rate is by now.
    assert [one.rate_q24 for one in required_rates(timebank, 1, 2)] == [Q24, needed.rate_q24]
    assert timebank.rate_oracle.rate_q24() != needed.rate_q24
