"""Crashes at every step: whatever was done stays done, whatever was not is done once.

A crash is an exception nobody catches, raised right after a step was made durable; the process's
memory is gone, journal, files and chain stay. Then a new daemon starts.

crash
|- after each named step of an epoch: one proposal, one finalisation, one claim an account, one bond
|- at every step, one after another, within one epoch
|- after the journal was written and before the broadcast: the very same transaction is sent
|- after the broadcast: its receipt is found
|- between two batches of claims: the rest is claimed, nothing twice
|- while leaves are asked for: each is shown once, whichever step of an answer was the last
|- with a journalled transaction that is not wanted any more: it is given up
|- after each named step of the bank's upkeep, and at all of them in turn: every loan, lease and deposit is
|  closed once, fees and income are passed on once
|- with the nonce taken by another program: the intent is superseded, the effect still comes once
`- a node that tells the nonce before the receipt: the receipt is waited for, nothing counts as superseded
"""

from __future__ import annotations

import pytest
from web3.types import TxReceipt

from tests.oracle.owing import KINDS, tend
from tests.oracle.stage import EPOCH_MS, WINDOW_SECONDS, Stage
from tests.world import SIGNERS
from timebank_chain.chain import transactions
from timebank_chain.chain.bank_events import (
    FeesPaid,
    IncomeReceived,
    LeaseSettled,
    Liquidated,
    RolledOver,
    WrittenOff,
)
from timebank_chain.chain.connection import Connection
from timebank_chain.chain.events import read_events
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
ANSWER_STEPS = ("answer: intended", "answer: broadcast", "answer: mined", "answered")
UPKEEP_STEPS = (
    *(f"{kind}: {step}" for kind in KINDS for step in ("intended", "broadcast", "mined")),
    "tended",
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
    end = (stage.start_ms + EPOCH_MS) // 1_000
    stage.world.connection.advance_time(end + 2 - stage.world.connection.timestamp())
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


@pytest.mark.parametrize(
    ("batch", "next_does"),
    [
        (1, Did.ANSWERED),  # the second leaf
        (50, Did.WAITING_FOR_WINDOW),  # both were in the transaction that is taken up again
    ],
)
@pytest.mark.parametrize("step", ANSWER_STEPS)
def test_a_crash_while_answering_shows_each_leaf_once(
    busy: Stage, monkeypatch: pytest.MonkeyPatch, step: str, batch: int, next_does: Did
) -> None:
    # Two requests, in one transaction or in two: the bound is fifty, and fifty-one requests take minutes.
    monkeypatch.setattr("timebank_chain.oracle.daemon.ANSWER_BATCH", batch)
    assert busy.daemon().tick().did is Did.PROPOSED
    header = read_epoch(busy.epochs, 1).header
    busy.world.ask("stranger", header, "activity", 1)
    busy.world.ask("stranger", header, "account", 2)
    crash_at(busy, step)
    assert busy.daemon().tick().did is next_does
    busy.world.connection.advance_time(WINDOW_SECONDS + 1)
    busy.run_until(busy.daemon(), 1)
    assert sorted((type(one).__name__, one.index) for one in busy.answers()) == [
        ("AccountAnswered", 2),
        ("ActivityAnswered", 1),
    ]
    assert busy.counts() == ONCE
    assert busy.journal().open_intents() == []


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


def test_a_receipt_that_comes_after_its_nonce_is_waited_for(
    busy: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What anvil does for some milliseconds, and providers with several nodes for seconds."""
    find, hidden = transactions.find_receipt, []

    def late(connection: Connection, transaction: bytes) -> TxReceipt | None:
        hidden.append(transaction)
        return find(connection, transaction) if hidden.count(transaction) > 3 else None

    # The real chain answers; only the first three answers are withheld, as no node does on demand.
    monkeypatch.setattr(transactions, "find_receipt", late)
    busy.run_until(busy.daemon(), 1)
    assert busy.counts() == ONCE
    assert {intent.outcome for intent in busy.journal().intents()} == {"mined"}


def test_somebody_else_finalises_first(busy: Stage) -> None:
    daemon = busy.daemon()
    assert daemon.tick().did is Did.PROPOSED
    busy.world.connection.advance_time(WINDOW_SECONDS + 1)
    busy.world.send("stranger", busy.world.timebank.rate_oracle.finalise(read_epoch(busy.epochs, 1).header))
    busy.run_until(daemon, 1)
    assert busy.counts() == ONCE


def tended_once(stage: Stage, first_block: int) -> None:
    """Everything was brought about once: by the chain's events, and by the journal."""
    timebank = stage.world.timebank
    events = read_events(
        timebank.connection,
        timebank.addresses(),
        [Liquidated, WrittenOff, LeaseSettled, RolledOver, FeesPaid, IncomeReceived],
        from_block=first_block,
    )
    names = [type(event).__name__ for event in events]
    assert {name: names.count(name) for name in names} == {
        "Liquidated": 1,
        "WrittenOff": 1,
        "LeaseSettled": 1,
        "RolledOver": 1,
        "FeesPaid": 1,
        "IncomeReceived": 1,
    }
    journal = stage.journal()
    assert journal.open_intents() == []
    mined = [one.kind for one in journal.intents() if one.outcome == "mined" and one.kind in KINDS]
    assert mined == list(KINDS)


@pytest.mark.parametrize("step", UPKEEP_STEPS)
def test_a_crash_after_any_step_of_upkeep_repeats_nothing(owing: Stage, step: str) -> None:
    first = owing.world.connection.block_number() + 1
    crash = Crash(step)
    with pytest.raises(Killed):
        tend(owing.daemon(checkpoint=crash))
    assert crash.hit
    tend(owing.daemon())
    tended_once(owing, first)


def test_a_crash_after_every_step_of_upkeep_in_turn_repeats_nothing(owing: Stage) -> None:
    first = owing.world.connection.block_number() + 1
    for step in UPKEEP_STEPS:
        try:
            tend(owing.daemon(checkpoint=Crash(step)))
        except Killed:
            continue
    tend(owing.daemon())
    tended_once(owing, first)
