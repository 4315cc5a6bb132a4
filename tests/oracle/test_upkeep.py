"""Upkeep of the bank, against contracts on a chain of their own.

a day without care
|- everything is done, each once, and logged with what it came to
|- what was lost is lost, and the share price says so; the lender has principal and rent
|- orders of services past their deadline are moved on, others are not
|- nothing is sent where nothing waits; --no-upkeep leaves all as it is
|- a failed look is put off, and epochs are closed meanwhile
|- at most a batch of loans, leases and deposits a tick; the rest in the next
`- what the contract refuses by now is left alone, and the rest goes on
when
|- after every epoch, however little there is to collect, so that latecomers earn none of it
`- again after the interval, and only what is worth it
what runs
|- a look reads only what happened since, and what a reorganisation may have replaced
|- the journal's rows give the same items back
`- items that the pool contradicts are read again from the start
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from tests.oracle.owing import ANOTHER, DEMAND, KINDS, MATURE, PLEDGE, RENTED, tend
from tests.oracle.stage import Stage
from timebank_chain.chain.member_registry import ZERO_ADDRESS
from timebank_chain.chain.open_items import ITEM_EVENTS, ItemRow, OpenItems, read_open_items
from timebank_chain.errors import ChainError
from timebank_chain.oracle import upkeep
from timebank_chain.oracle.daemon import Did
from timebank_chain.spec.service_escrow import Listing, ListingKind, Periods, Proposal


def kinds(stage: Stage) -> list[str]:
    return [one.kind for one in stage.journal().intents() if one.kind in KINDS and one.outcome == "mined"]


def test_everything_is_done_once_and_logged(owing: Stage) -> None:
    with capture_logs() as logs:
        tend(owing.daemon())
    assert kinds(owing) == list(KINDS)
    told = {entry["event"]: entry for entry in logs if entry["event"] in KINDS}
    assert told["liquidate"]["about"] == f"receipt {PLEDGE}"
    assert told["liquidate"]["repaid"] == told["liquidate"]["debt"]
    assert told["write-off"]["about"] == owing.world.address("member3")
    assert float(told["write-off"]["from_pool"]) + float(told["write-off"]["from_reserve"]) > 1
    assert told["settle"]["to_lender"] == "2.009800"
    assert told["lapse"]["about"] == f"deposit {MATURE}"
    assert told["pay-fees"]["strays"] == "1.500000"
    assert float(told["collect"]["from_fees"]) > 0
    assert owing.daemon().tick().did is Did.PAUSED
    assert len(kinds(owing)) == len(KINDS)


def test_nothing_is_left_open(owing: Stage) -> None:
    timebank, connection = owing.world.timebank, owing.world.connection
    tend(owing.daemon())
    items = read_open_items(timebank, block=connection.block_number())
    assert (items.loans, items.standing, items.leases, set(items.bound)) == ({}, {}, {}, {ANOTHER})
    assert timebank.credit_lending.accrued_books().debt == 0
    assert timebank.credit_lease.lease_of(1) is None
    assert timebank.time_bank.position(MATURE).term_id == DEMAND
    assert timebank.time_bank.collectable() == 0


def test_overdue_orders_are_moved_on(owing: Stage) -> None:
    world, escrow = owing.world, owing.world.timebank.service_escrow
    hour, now = 3_600, owing.world.connection.timestamp()
    proposal = Proposal(10_000, hour, world.address("payee"), bytes(32))
    periods = Periods(hour, hour, hour, hour)
    listing = Listing(ZERO_ADDRESS, now + 99 * hour, ListingKind.OFFER, 9, 5_000, periods, proposal)
    world.send("member1", escrow.list_service(listing))
    world.send("member2", world.timebank.attention_credit.approve(escrow.address, 50_000))
    for _ in range(3):
        world.send("member2", escrow.place_order(1, proposal))
    world.connection.advance_time(1)  # what is overdue for longer is moved first
    world.send("member1", escrow.accept(1, 1))
    world.send("member1", escrow.deliver(1, bytes(32)))
    world.send("member2", escrow.cancel(3))
    world.send("member2", escrow.place_order(1, replace(proposal, price=9_999)))
    world.connection.advance_time(hour + 1)
    world.send("member2", escrow.place_order(1, proposal))
    with capture_logs() as logs:
        tend(owing.daemon())
    moved = [
        (entry["about"], entry.get("to_provider"), entry.get("refunded"))
        for entry in logs
        if entry["event"] == "move"
    ]
    assert moved == [("order 2", None, "0.010000"), ("order 1", "0.009950", None)]
    stages = [order.stage.name for number in range(1, 6) if (order := escrow.order_of(number)) is not None]
    assert stages == ["SETTLED", "CANCELLED", "CANCELLED", "ASKED_PROVIDER", "ASKED_PROVIDER"]
    items = read_open_items(world.timebank, block=world.connection.block_number())
    assert set(items.orders) == {4, 5}
    assert OpenItems.from_rows(items.rows()) == items


def test_without_upkeep_all_stays_as_it_is(owing: Stage) -> None:
    before = owing.world.connection.block_number()
    assert owing.daemon(upkeep=False).tick().did is Did.PAUSED
    assert owing.world.connection.block_number() == before


def test_a_failed_look_keeps_no_epoch_from_being_closed(
    owing: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ChainError("the node refuses the logs of block 17")

    monkeypatch.setattr(upkeep, "take_in_events", refuse)
    daemon = owing.daemon()
    with capture_logs() as logs:
        assert daemon.tick().did is Did.PAUSED
        owing.world.govern(
            owing.world.timebank.rate_oracle.resume_proposals(owing.world.timebank.rate_oracle.pauses())
        )
        assert daemon.tick().did is Did.PROPOSED
    assert [entry["event"] for entry in logs].count("the bank is tended later") == 1
    monkeypatch.undo()
    assert daemon.tick().did is Did.WAITING_FOR_WINDOW
    owing.world.connection.advance_time(daemon.settings.upkeep_seconds)
    for _ in range(5):
        daemon.tick()
    assert kinds(owing) == list(KINDS)


def test_at_most_a_batch_a_tick(owing: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "BATCH", 1)
    daemon = owing.daemon()
    for done in range(1, 4):
        assert daemon.tick().did is Did.TENDED
        assert kinds(owing) == list(KINDS[:done])
    tend(daemon)
    assert kinds(owing) == list(KINDS)


def test_what_is_refused_is_left_alone(owing: Stage) -> None:
    daemon = owing.daemon()
    state_block = owing.world.connection.block_number()
    look = daemon.upkeep._look

    def settled_by_somebody_else(state: object) -> object:
        found = look(state)  # type: ignore[arg-type]  # handed through
        if owing.world.connection.block_number() == state_block:
            owing.world.send("stranger", owing.world.timebank.credit_lease.settle(1))
        return found

    daemon.upkeep._look = settled_by_somebody_else  # type: ignore[method-assign,assignment]  # between look and send
    with capture_logs() as logs:
        tend(daemon)
    assert kinds(owing) == [kind for kind in KINDS if kind != "settle"]
    (left,) = [entry for entry in logs if entry["event"] == "left alone"]
    assert (left["about"], left["what"]) == ("lease 1", "CreditLease.settle")


def test_again_after_the_interval_and_only_what_is_worth_it(owing: Stage) -> None:
    world, timebank = owing.world, owing.world.timebank
    daemon = owing.daemon(upkeep_seconds=600)
    tend(daemon)

    def arrives(amount: int) -> None:
        world.send("payee", timebank.attention_credit.transfer(timebank.time_bank.address, amount))

    arrives(500_000)
    assert daemon.tick().did is Did.PAUSED
    world.connection.advance_time(601)
    assert daemon.tick().did is Did.PAUSED, "half a credit waits for the epoch's end"
    arrives(600_000)
    assert daemon.tick().did is Did.PAUSED, "the last look was just now"
    world.connection.advance_time(601)
    assert daemon.tick().did is Did.TENDED
    assert kinds(owing) == [*KINDS, "collect"]


def test_income_is_collected_after_every_epoch(owing: Stage) -> None:
    world, timebank = owing.world, owing.world.timebank
    daemon = owing.daemon(upkeep_seconds=10**9)
    tend(daemon)
    world.send("payee", timebank.attention_credit.transfer(timebank.time_bank.address, 7))
    assert daemon.tick().did is Did.PAUSED
    world.govern(timebank.rate_oracle.resume_proposals(timebank.rate_oracle.pauses()))
    owing.run_until(daemon, 2)
    assert kinds(owing) == [*KINDS, "collect"]
    assert timebank.time_bank.collectable() == 0


def test_a_look_reads_what_happened_since(owing: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "REORG_BLOCKS", 5)
    read: list[tuple[int, int]] = []
    take_in = upkeep.take_in_events

    def listening(timebank: object, items: OpenItems, first: int, last: int) -> None:
        read.append((first, last))
        take_in(timebank, items, first, last)  # type: ignore[arg-type]  # handed through

    monkeypatch.setattr(upkeep, "take_in_events", listening)
    daemon, connection = owing.daemon(upkeep_seconds=30), owing.world.connection
    block = connection.block_number()
    tend(daemon)
    first = owing.world.timebank.deployment.first_block
    assert read == [(first, block - 5), (block - 4, block)]
    connection.advance_time(60)
    later = connection.block_number()
    daemon.tick()
    assert read[2:] == [(block - 4, later - 5), (later - 4, later)]
    kept_to, rows = owing.journal().open_items()
    assert kept_to == later - 5
    assert OpenItems.from_rows(rows) == read_open_items(owing.world.timebank, block=later - 5)


def test_contradicted_items_are_read_again(owing: Stage) -> None:
    block = owing.world.connection.block_number()
    owing.journal().keep_open_items(block, [ItemRow("loan", "77", 5, 0)])
    with capture_logs() as logs:
        tend(owing.daemon())
    assert kinds(owing) == list(KINDS)
    assert [entry["attempt"] for entry in logs if "read again" in entry["event"]] == [1]


def test_rows_give_the_items_back() -> None:
    who = "0x" + "11" * 20
    items = OpenItems({PLEDGE: 2**95}, {who: (7, 1_700_000_000)}, {1: 5}, {RENTED: 6})  # type: ignore[dict-item]  # text
    assert OpenItems.from_rows(items.rows()) == items
    assert len(ITEM_EVENTS) == len(set(ITEM_EVENTS))
