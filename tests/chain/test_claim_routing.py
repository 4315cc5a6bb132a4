"""What the clients say and do about claims on their way to the wallet, on both chains.

::

    rooms and payees
    |- are this deployment's
    `- cannot be set again
    standing order
    |- given, a claim becomes a deposit and says so; ended, it goes to the wallet
    `- refused for a stranger and for a term that is not there, by name
    a leaf is the latest until the next epoch
    a placeholder has no receiver until it is linked
"""

from __future__ import annotations

import pytest

from tests.world import World
from timebank_chain.activity import placeholder_address
from timebank_chain.chain.addresses import address_text
from timebank_chain.chain.bank_events import Deposited
from timebank_chain.chain.bank_reverts import NoSuchTerm
from timebank_chain.chain.credit_distributor import Rooms
from timebank_chain.chain.events import (
    Claimed,
    ClaimRouted,
    PayeesSet,
    RoomsSet,
    StandingOrderSet,
    read_events,
)
from timebank_chain.chain.events import decode_logs as decode
from timebank_chain.chain.fee_pool import Payees
from timebank_chain.chain.member_registry import ZERO_ADDRESS
from timebank_chain.chain.openzeppelin_reverts import AccessManagedUnauthorized
from timebank_chain.chain.reverts import NotAccountHolder, NotAdministrator

WEEK_TERM = 2


def test_rooms_and_payees_are_this_deployments(world: World) -> None:
    timebank = world.timebank
    bank, lending, lease = (
        room.address for room in (timebank.time_bank, timebank.credit_lending, timebank.credit_lease)
    )
    assert timebank.credit_distributor.rooms() == Rooms(bank, lending, lease)
    assert timebank.fee_pool.payees() == Payees(bank, lending)
    first = timebank.deployment.first_block
    rooms, payees = read_events(
        world.connection, timebank.addresses(), (RoomsSet, PayeesSet), from_block=first
    )
    assert isinstance(rooms, RoomsSet)
    assert isinstance(payees, PayeesSet)
    assert (rooms.time_bank, rooms.lending, rooms.lease) == (bank, lending, lease)
    assert (payees.time_bank, payees.lending) == (bank, lending)


def test_rooms_and_payees_cannot_be_set_by_anybody_else(world: World) -> None:
    timebank, stranger = world.timebank, world.address("stranger")
    with pytest.raises(NotAdministrator):
        world.send("stranger", timebank.credit_distributor.set_rooms(stranger, stranger, stranger))
    with pytest.raises(AccessManagedUnauthorized):
        world.send("stranger", timebank.fee_pool.set_payees(stranger, stranger))


def test_a_standing_order_until_it_is_ended(world: World) -> None:
    distributor, member = world.timebank.credit_distributor, world.address("member1")
    assert distributor.standing_order_of(member) is None
    given = world.send("member1", distributor.set_standing_order(member, WEEK_TERM))
    assert distributor.standing_order_of(member) == WEEK_TERM
    (event,) = decode(given.logs)
    assert isinstance(event, StandingOrderSet)
    assert (event.account, event.active, event.term_id) == (member, True, WEEK_TERM)

    epoch = world.run_epoch({member: 5_000_000})
    claim = world.send("stranger", distributor.claim(epoch.leaf(member), epoch.proof(member)))
    claimed, deposited, routed = decode(claim.logs, (Claimed, Deposited, ClaimRouted))
    assert isinstance(claimed, Claimed)
    assert isinstance(deposited, Deposited)
    assert isinstance(routed, ClaimRouted)
    assert (claimed.receiver, claimed.amount) == (member, 5_000_000)
    assert (deposited.owner, deposited.amount, deposited.term_id) == (member, 5_000_000, WEEK_TERM)
    assert (routed.account, routed.creditor, routed.to_creditor) == (member, ZERO_ADDRESS, 0)
    assert (routed.deposit_id, routed.to_deposit) == (deposited.receipt_id, 5_000_000)
    assert world.timebank.attention_credit.balance_of(member) == 0

    world.send("member1", distributor.end_standing_order(member))
    assert distributor.standing_order_of(member) is None
    assert distributor.standing_order_of(member, block=claim.block_number) == WEEK_TERM
    world.give("member1", 3_000_000)
    assert world.timebank.attention_credit.balance_of(member) == 3_000_000
    assert distributor.creditor_of(member) is None


def test_orders_are_refused_by_name(world: World) -> None:
    distributor, member = world.timebank.credit_distributor, world.address("member1")
    with pytest.raises(NotAccountHolder) as refused:
        world.send("stranger", distributor.set_standing_order(member, WEEK_TERM))
    assert refused.value.values == {"account": member, "caller": world.address("stranger")}
    with pytest.raises(NotAccountHolder):
        world.send("stranger", distributor.end_standing_order(member))
    with pytest.raises(NoSuchTerm):
        world.send("member1", distributor.set_standing_order(member, 99))


def test_a_leaf_is_the_latest_until_the_next_epoch(world: World) -> None:
    distributor, member = world.timebank.credit_distributor, world.address("member1")
    first = world.run_epoch({member: 1_000_000, world.address("member2"): 1})
    leaf, proof = first.leaf(member), first.proof(member)
    assert distributor.is_latest_leaf(leaf, proof)
    assert not distributor.is_latest_leaf(leaf, [])
    world.run_epoch({member: 1_000_000})
    assert not distributor.is_latest_leaf(leaf, proof)


def test_a_placeholder_has_no_receiver_until_it_is_linked(world: World) -> None:
    timebank, wallet = world.timebank, world.address("member2")
    placeholder = address_text(placeholder_address("somebody"))
    assert timebank.credit_distributor.receiver_of(placeholder) is None
    assert timebank.credit_distributor.receiver_of(wallet) == wallet
    world.send("registrar", timebank.member_registry.request_link(placeholder, wallet))
    world.connection.advance_time(timebank.member_registry.link_delay() + 1)
    world.send("stranger", timebank.member_registry.confirm_link(placeholder))
    assert timebank.credit_distributor.receiver_of(placeholder) == wallet
