"""Crashes at every step: whatever was done stays done, whatever was not is done once.

A crash is an exception nobody catches, raised right after a step was made durable; the process's
memory is gone, journal, files and chain stay. Then a new daemon starts.

crash
|- after each named step of an epoch: one proposal, one finalisation, one claim an account, one bond
|- at every step, one after another, within one epoch
|- after the journal was written and before the broadcast: the very same transaction is sent
|- after the broadcast: its receipt is found
|- between two batches of claims: the rest is claimed, nothing twice
|- with a journalled transaction that is not wanted any more: it is given up
`- with the nonce taken by another program: the intent is superseded, the effect still comes once
"""

from __future__ import annotations

import pytest

from tests.oracle.stage import EPOCH_MS, WINDOW_SECONDS, Stage
from tests.world import SIGNERS
from timebank_chain.chain import transactions
from timebank_chain.chain.transactions import Call
from timebank_chain.epoch import read_epoch
from timebank_chain.oracle.daemon import Did

STEPS = (
    "published",
    "signed",
    "propose: intended",
    "propose: broadcast",
    "propose: mined",
    "proposed",
    "finalise: intended",
    "finalise: broadcast",
    "finalise: mined",
    "finalised",
    "claim: intended",
    "claim: broadcast",
    "claim: mined",
    "claims batch",
    "withdraw-bond: intended",
    "withdraw-bond: broadcast",
    "withdraw-bond: mined",
)
ONCE = {"BondWithdrawn": 1, "Claimed": 3, "EpochFinalised": 1, "EpochProposed": 1}


class Killed(BaseException):
    """The process is gone."""


class Crash:
    """Raises at the first occurrence of a step."""

    def __init__(self, step: str) -> None:
        self.step = step
        self.hit = False

    def __call__(self, step: str) -> None:
        if step == self.step and not self.hit:
            self.hit = True
            raise Killed(step)


@pytest.fixture
def busy(stage: Stage) -> Stage:
    """An ended epoch with three members in it."""
    for second, member in enumerate(("member1", "member2", "member3"), start=5):
        stage.act(f"act {second}", member, second)
    stage.world.connection.advance_time(EPOCH_MS // 1_000 + 2)
    return stage


def crash_at(stage: Stage, step: str, **settings: object) -> None:
    crash = Crash(step)
    with pytest.raises(Killed):
        stage.run_until(stage.daemon(checkpoint=crash, **settings), 1)
    assert crash.hit


@pytest.mark.parametrize("step", STEPS)
def test_a_crash_after_any_step_repeats_nothing(busy: Stage, step: str) -> None:
    crash_at(busy, step)
    busy.run_until(busy.daemon(), 1)
    assert busy.counts() == ONCE
    assert sum(busy.claimed().values()) == read_epoch(busy.epochs, 1).header.total_mint
    assert busy.journal().open_intents() == []


def test_a_crash_after_every_step_in_turn_repeats_nothing(busy: Stage) -> None:
    for step in STEPS:
        crash = Crash(step)
        try:
            busy.run_until(busy.daemon(checkpoint=crash), 1)
        except Killed:
            continue
    busy.run_until(busy.daemon(), 1)
    assert busy.counts() == ONCE


def test_the_journalled_transaction_itself_is_sent(busy: Stage) -> None:
    crash_at(busy, "propose: intended")
    (intent,) = busy.journal().open_intents()
    connection = busy.world.connection
    assert transactions.find_receipt(connection, bytes.fromhex(intent.tx_hash[2:])) is None
    busy.daemon().tick()
    receipt = transactions.find_receipt(connection, bytes.fromhex(intent.tx_hash[2:]))
    assert receipt is not None
    assert receipt["status"] == 1
    assert busy.journal().live("propose", 1, intent.key).outcome == "mined"  # type: ignore[union-attr]  # it is there


def test_a_broadcast_transaction_is_found_again(busy: Stage) -> None:
    crash_at(busy, "propose: broadcast")
    (intent,) = busy.journal().open_intents()
    nonce = busy.world.connection.w3.eth.get_transaction_count(SIGNERS["signer1"].address)
    busy.daemon().tick()
    assert busy.world.connection.w3.eth.get_transaction_count(SIGNERS["signer1"].address) == nonce
    assert busy.journal().live("propose", 1, intent.key).outcome == "mined"  # type: ignore[union-attr]  # it is there


def test_claims_go_on_in_the_middle(busy: Stage) -> None:
    crash_at(busy, "claims batch", claim_batch=1)
    assert busy.counts()["Claimed"] == 1
    busy.run_until(busy.daemon(claim_batch=1), 1)
    assert busy.counts() == ONCE


def test_a_transaction_that_is_not_wanted_any_more_is_given_up(busy: Stage) -> None:
    crash_at(busy, "finalise: intended")
    header = read_epoch(busy.epochs, 1).header
    busy.world.send("stranger", busy.world.timebank.rate_oracle.finalise(header))
    busy.run_until(busy.daemon(), 1)
    assert busy.counts() == ONCE
    outcomes = {intent.kind: intent.outcome for intent in busy.journal().intents()}
    assert outcomes["finalise"] == "abandoned"


def test_an_effect_comes_once_when_another_program_took_the_nonce(busy: Stage) -> None:
    crash_at(busy, "propose: intended")
    (intent,) = busy.journal().open_intents()
    nothing = Call("coin", "transfer", SIGNERS["stranger"].address, b"", value=1)
    transactions.send(busy.world.connection, SIGNERS["signer1"], nothing)
    busy.run_until(busy.daemon(), 1)
    assert busy.counts() == ONCE
    outcomes = [other.outcome for other in busy.journal().intents() if other.kind == "propose"]
    assert outcomes == ["superseded", "mined"]
    assert intent.outcome is None


def test_somebody_else_finalises_first(busy: Stage) -> None:
    daemon = busy.daemon()
    assert daemon.tick().did is Did.PROPOSED
    busy.world.connection.advance_time(WINDOW_SECONDS + 1)
    busy.world.send("stranger", busy.world.timebank.rate_oracle.finalise(read_epoch(busy.epochs, 1).header))
    busy.run_until(daemon, 1)
    assert busy.counts() == ONCE
