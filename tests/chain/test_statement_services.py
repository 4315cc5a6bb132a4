"""Statements of services.

::

    order, counter-offers up and down, settlement with a split: both sides' lines, with the order
    cancelled: what went in comes back
    statements of the escrow and of the fee pool add up, too
    the client reads listings and orders as they are stored; nothing where there is nothing
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.world import World
from timebank_chain.chain.member_registry import ZERO_ADDRESS
from timebank_chain.chain.statement import read_statement
from timebank_chain.spec.service_escrow import Listing, ListingKind, Periods, Proposal, Stage

DAY = 86_400
FUNDS = 10_000_000
PRICE = 1_000_001
PERIODS = Periods(DAY, 2 * DAY, 3 * DAY, 4 * DAY)


@pytest.fixture
def lived(embedded_world: World) -> World:
    """Order 1: asked for 1,000,001, settled at 1,300,000 with 500,001 to the provider; order 2: cancelled."""
    world = embedded_world
    world.give("member1", FUNDS)
    escrow, credit = world.timebank.service_escrow, world.timebank.attention_credit
    proposal = Proposal(PRICE, DAY, world.address("payee"), b"\x07" * 32)
    listing = Listing(
        ZERO_ADDRESS,
        world.connection.timestamp() + 30 * DAY,
        ListingKind.OFFER,
        3,
        5_000,
        PERIODS,
        proposal,
    )
    world.send("member2", escrow.list_service(listing))
    world.send("member1", credit.approve(escrow.address, FUNDS))
    world.send("member1", escrow.place_order(1, proposal))
    world.send("member2", escrow.counter(1, replace(proposal, price=2_000_000)))
    world.send("member1", escrow.counter(1, replace(proposal, price=900_000)))
    world.send("member2", escrow.counter(1, replace(proposal, price=1_300_000)))
    world.send("member1", escrow.accept(1, 4))
    world.send("member2", escrow.deliver(1, b"\x08" * 32))
    world.send("member1", escrow.contest(1, 0, b"\x09" * 32))
    world.send("member2", escrow.dispute(1, b"\x0a" * 32))
    world.send("payee", escrow.rule(1, 500_001, b"\x0b" * 32))
    world.send("member1", escrow.place_order(1, proposal))
    world.send("member2", escrow.cancel(2))
    return world


def lines(world: World, account: str) -> list[tuple[str, int, int, int, str]]:
    read = read_statement(world.timebank, account)
    return [(one.kind, one.amount, one.fee, one.order_id, one.other) for one in read.movements]


#: ceil(500,001 * 0.5 %)
FEE = 2_501


def test_the_buyer_sees_what_went_in_and_came_back(lived: World) -> None:
    provider, escrow = lived.address("member2"), lived.timebank.service_escrow.address
    assert lines(lived, lived.address("member1"))[1:] == [
        ("service order", -PRICE, 0, 1, provider),
        ("service refund", 100_001, 0, 1, provider),
        ("service order", -400_000, 0, 1, provider),
        ("service refund", 799_999, 0, 1, provider),
        ("service order", -PRICE, 0, 2, provider),
        ("service refund", PRICE, 0, 2, provider),
    ]
    assert lived.timebank.attention_credit.balance_of(escrow) == 0


def test_the_provider_sees_its_pay_and_the_fee(lived: World) -> None:
    read = read_statement(lived.timebank, lived.address("member2"))
    (pay,) = read.movements
    assert (pay.kind, pay.amount, pay.fee, pay.order_id) == ("service pay", 500_001 - FEE, FEE, 1)
    assert pay.other == lived.address("member1")
    assert pay.parts == {"price paid": 500_001}


def test_escrow_and_fee_pool_have_statements_that_add_up(lived: World) -> None:
    escrow, pool = lived.timebank.service_escrow.address, lived.timebank.fee_pool.address
    kinds = [kind for kind, *_ in lines(lived, escrow)]
    assert kinds == [
        "service order",
        "service refund",
        "service order",
        "service pay",
        "service refund",
        "fee",
        "service order",
        "service refund",
    ]
    assert lines(lived, pool) == [("fee in", FEE, 0, 0, escrow)]


def test_the_client_reads_what_is_stored(lived: World) -> None:
    escrow = lived.timebank.service_escrow
    listing, order = escrow.listing_of(1), escrow.order_of(1)
    assert listing is not None and order is not None
    assert (listing.owner, listing.stock, listing.periods) == (lived.address("member2"), 2, PERIODS)
    assert (order.stage, order.revision, order.part, order.held) == (Stage.SETTLED, 4, 500_001, 0)
    assert (order.buyer, order.provider) == (lived.address("member1"), lived.address("member2"))
    assert order.proposal == replace(listing.proposal, price=1_300_000)
    assert escrow.listing_of(2) is None
    assert escrow.order_of(3) is None
    assert (escrow.listing_count(), escrow.order_count()) == (1, 2)
    assert (escrow.service_fee_bps(), escrow.max_service_fee_bps()) == (50, 1_000)
    assert (escrow.min_period(), escrow.max_period()) == (3_600, 365 * DAY)
    assert escrow.credit() == lived.timebank.attention_credit.address
    assert escrow.fee_pool() == lived.timebank.fee_pool.address
    assert not escrow.ordering_paused()
