"""Events.

::

    every event of our own contracts has a class whose fields follow the ABI
    the ABIs' other events are known and listed
    read_events
    |- in the order of the chain, decoded to the last field
    |- the same whatever the chunk
    |- only the contracts asked for, only the range asked for
    |- a log of a foreign contract with the same topic is not ours
    `- a node that refuses large ranges gets smaller ones
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from web3.exceptions import Web3RPCError

from tests.world import World
from timebank_chain.artifacts import artifact_names, load_artifact
from timebank_chain.chain import events as catalogue
from timebank_chain.chain.events import (
    EVENTS,
    Claimed,
    EpochFinalised,
    EpochProposed,
    FeesCollected,
    Paid,
    Transfer,
    decode_logs,
    field_names,
    read_events,
)
from timebank_chain.chain.member_registry import ZERO_ADDRESS

#: Declared by the ABIs, moving nothing of ours.
WITHOUT_CLASS = {
    "AuthorityUpdated",
    "ContractURIUpdated",
    "EIP712DomainChanged",
    "RoleAdminChanged",
    "RoleGuardianChanged",
    "RoleLabel",
    "TargetClosed",
}

#: Declared by token standards: who may move receipts and pool shares is asked of the contracts.
APPROVALS = {("TimeBank", "Approval"), ("TimeBank", "ApprovalForAll"), ("CreditLending", "Approval")}

#: Standard names that stand for something plainer here, and one that Python keeps for itself.
RENAMED = {
    "from": {"sender"},
    "to": {"to", "receiver"},
    "value": {"amount", "shares"},
    "id": {"receipt_id"},
    "token_id": {"receipt_id"},
    "open": {"is_open"},
}


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def declared() -> dict[tuple[str, str], list[str]]:
    found = {}
    for contract in artifact_names():
        for entry in load_artifact(contract).abi:
            if entry["type"] == "event":
                found[contract, entry["name"]] = [snake(one["name"]) for one in entry["inputs"]]
    return found


def key(kind: type[catalogue.Event]) -> tuple[str, str]:
    return kind.CONTRACT, kind.NAME or kind.__name__


def test_every_event_has_a_class_or_is_known_to_move_nothing() -> None:
    with_class = {key(kind) for kind in EVENTS}
    missing = set(declared()) - with_class
    assert {name for _, name in missing - APPROVALS} == WITHOUT_CLASS
    assert missing >= APPROVALS
    assert with_class <= set(declared())


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)
def test_fields_follow_the_abi(kind: type[catalogue.Event]) -> None:
    found = field_names(kind)
    for field, name in zip(found, declared()[key(kind)], strict=True):
        assert field in RENAMED.get(name, {name})


@pytest.fixture
def lived(world: World) -> World:
    """An epoch, two claims, an approval, a payment with a fee."""
    member1, member2 = world.address("member1"), world.address("member2")
    epoch = world.run_epoch({member1: 5_000_000, member2: 7_000_000})
    distributor, payments = world.timebank.credit_distributor, world.timebank.credit_payments
    for account in (member1, member2):
        world.send("stranger", distributor.claim(epoch.leaf(account), epoch.proof(account)))
    world.send("member1", world.timebank.attention_credit.approve(payments.address, 1_000_001))
    world.send("member1", payments.pay(world.address("payee"), 1_000_001, b"\x09" * 32))
    return world


def test_events_in_the_order_of_the_chain(lived: World) -> None:
    timebank = lived.timebank
    found = list(
        read_events(lived.connection, timebank.addresses(), from_block=timebank.deployment.first_block)
    )
    places = [(event.at.block, event.at.log_index) for event in found]
    assert places == sorted(places)
    assert len(set(places)) == len(places)
    proposed = next(event for event in found if isinstance(event, EpochProposed))
    assert proposed.header.hash() == proposed.header_hash == timebank.rate_oracle.header_hash_of(1)
    assert len(proposed.signers) == 3
    assert proposed.proposer == lived.address("proposer")
    finalised = next(event for event in found if isinstance(event, EpochFinalised))
    assert (finalised.epoch, finalised.total_mint, finalised.pot) == (1, 12_000_000, 0)
    claimed = [event for event in found if isinstance(event, Claimed)]
    assert [(one.account, one.amount, one.cumulative, one.epoch) for one in claimed] == [
        (lived.address("member1"), 5_000_000, 5_000_000, 1),
        (lived.address("member2"), 7_000_000, 7_000_000, 1),
    ]
    paid = next(event for event in found if isinstance(event, Paid))
    assert (paid.payer, paid.payee) == (lived.address("member1"), lived.address("payee"))
    assert (paid.amount, paid.fee, paid.memo_hash) == (1_000_001, 5_001, b"\x09" * 32)
    collected = next(event for event in found if isinstance(event, FeesCollected))
    assert collected.amount == collected.to_depositors + collected.to_bonus + collected.to_reserve == 5_001


def test_supply_follows_from_transfers(lived: World) -> None:
    timebank = lived.timebank
    supply = 0
    for event in read_events(
        lived.connection, timebank.addresses(), (Transfer,), from_block=timebank.deployment.first_block
    ):
        assert isinstance(event, Transfer)
        supply += event.amount * ((event.sender == ZERO_ADDRESS) - (event.receiver == ZERO_ADDRESS))
    assert supply == timebank.attention_credit.total_supply() == 12_000_000


@pytest.mark.parametrize("chunk", [1, 3, 10_000])
def test_chunks_change_nothing(lived: World, chunk: int) -> None:
    timebank = lived.timebank
    first = timebank.deployment.first_block
    whole = list(read_events(lived.connection, timebank.addresses(), from_block=first))
    seen: list[tuple[int, int]] = []
    parts = list(
        read_events(
            lived.connection,
            timebank.addresses(),
            from_block=first,
            chunk_blocks=chunk,
            progress=lambda done, of: seen.append((done, of)),
        )
    )
    assert parts == whole
    assert seen[-1][0] == seen[-1][1] == lived.connection.block_number() - first + 1


def test_only_what_was_asked_for(lived: World) -> None:
    timebank = lived.timebank
    first = timebank.deployment.first_block
    addresses = timebank.addresses()
    claims = list(read_events(lived.connection, addresses, (Claimed,), from_block=first))
    assert {type(event) for event in claims} == {Claimed}
    until = claims[0].at.block
    assert (
        len(list(read_events(lived.connection, addresses, (Claimed,), from_block=first, to_block=until))) == 1
    )
    assert list(read_events(lived.connection, addresses, (Claimed,), from_block=first, to_block=first)) == []
    assert list(read_events(lived.connection, {}, (Claimed,), from_block=first)) == []


def test_foreign_contract_with_the_same_topic_is_not_ours(lived: World) -> None:
    timebank = lived.timebank
    addresses = dict(timebank.addresses())
    addresses["AttentionCredit"], addresses["FeePool"] = addresses["FeePool"], addresses["AttentionCredit"]
    found = list(read_events(lived.connection, addresses, (Transfer, FeesCollected), from_block=0))
    assert found == []


def test_logs_of_a_receipt(lived: World) -> None:
    receipt = lived.send("member2", lived.timebank.attention_credit.transfer(lived.address("payee"), 42))
    (event,) = decode_logs(receipt.logs)
    assert isinstance(event, Transfer)
    assert (event.sender, event.receiver, event.amount) == (
        lived.address("member2"),
        lived.address("payee"),
        42,
    )
    assert event.at.transaction == receipt.hash


def test_node_that_refuses_large_ranges_gets_smaller_ones(
    embedded_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The strictest public nodes allow few blocks; this one, like them, allows two."""
    world = embedded_world
    world.give("member1", 1_000)
    first = world.timebank.deployment.first_block
    whole = list(read_events(world.connection, world.timebank.addresses(), from_block=first))
    eth: Any = world.connection.w3.eth
    real = eth.get_logs

    def strict(query: dict[str, Any]) -> Any:
        if query["toBlock"] - query["fromBlock"] > 1:
            raise Web3RPCError("{'code': -32005, 'message': 'block range too large, limit is 2'}")
        return real(query)

    monkeypatch.setattr(eth, "get_logs", strict)
    assert list(read_events(world.connection, world.timebank.addresses(), from_block=first)) == whole
