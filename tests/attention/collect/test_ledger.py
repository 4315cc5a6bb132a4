"""The ledger's own history as events, on a real chain.

ledger
├── claims, payments, transfers, deposits and a service from offer to rating: who, what, how much, when
├── plain transfers are those that the accounts' own statements call so
├── members by their outside id; joined with another source's events of the same member
└── read twice it is the same feed
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.attention.collect.builders import envelope, write
from tests.cli.bank_stage import MEMBERS, Stage, run
from timebank_chain.attention.collect import read_feed
from timebank_chain.attention.collect.ledger import ledger_events
from timebank_chain.chain.events import Transfer, read_events
from timebank_chain.chain.member_registry import ZERO_ADDRESS
from timebank_chain.chain.movements import MOVEMENT_EVENTS, Movements
from timebank_chain.config import ENV_CONTENT

pytestmark = pytest.mark.anvil


@pytest.fixture
def busy(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setenv(ENV_CONTENT, str(stage.folder / "texts"))
    payee, member3 = stage.world.address("payee"), stage.world.address("member3")
    stage.done("member2", "wallet", "pay", payee, "2")
    stage.done("member1", "wallet", "send", member3, "1.5")
    stage.done("member1", "deposit", "open", "3", "--term", "demand")
    stage.done("member1", "service", "offer", "1", "--text", "an hour of English", "--arbiter", payee)
    stage.done("member2", "service", "order", 1)
    stage.done("member1", "service", "accept", 1)
    stage.done("member1", "service", "deliver", 1, "--text", "done")
    stage.done("member2", "service", "approve", 1)
    stage.done("member2", "service", "rate", 1, 4)
    return stage


def test_everything_members_did_is_there_once(busy: Stage) -> None:
    events = list(ledger_events(busy.world.timebank))
    member1, member2 = (busy.world.address(role) for role in ("member1", "member2"))
    assert Counter(one.verb for one in events) == {
        "claim": 3, "pay": 1, "send": 1, "deposit": 1, "offer": 1, "order": 1, "deliver": 1, "settle": 1,
        "rate": 1,
    }  # fmt: skip
    told = {one.verb: one for one in events if one.verb != "claim"}
    assert (told["pay"].member, told["pay"].object, told["pay"].value) == (
        member2,
        busy.world.address("payee"),
        2.0,
    )
    assert (told["send"].member, told["send"].value) == (member1, 1.5)
    assert (told["deposit"].member, told["deposit"].value, told["deposit"].unit) == (member1, 3.0, "credit")
    assert (told["deliver"].member, told["deliver"].object) == (member1, "listing:1")
    assert (told["rate"].member, told["rate"].value, told["rate"].unit) == (member2, 4.0, "stars")
    assert {one.member for one in events if one.verb == "claim"} == {
        busy.world.address(role) for role in MEMBERS.values()
    }
    assert [one.at_ms for one in events] == sorted(one.at_ms for one in events)
    block = busy.world.connection.w3.eth.get_block("latest")
    assert events[-1].at_ms == int(block["timestamp"]) * 1_000
    assert len({(one.source, one.id) for one in events}) == len(events)


def test_plain_transfers_are_those_that_statements_call_so(busy: Stage) -> None:
    timebank = busy.world.timebank
    addresses = timebank.addresses()
    events = list(
        read_events(
            timebank.connection, addresses, MOVEMENT_EVENTS, from_block=timebank.deployment.first_block
        )
    )
    plain = Counter(one.sender for one in Movements.of_nobody(addresses).plain_transfers(events))
    accounts = {one.sender for one in events if isinstance(one, Transfer)} - {ZERO_ADDRESS}
    said = Counter(
        account
        for account in accounts
        for line in Movements(account, addresses).lines(events)
        if line.kind == "transfer out"
    )
    assert plain == said == {busy.world.address("member1"): 1}
    # Both members and the escrow sent something.
    assert len(accounts) == 3


def test_the_ledger_joins_other_sources_by_member(busy: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    folder: Path = busy.folder
    monkeypatch.chdir(folder)
    lines = [f"{member},{busy.world.address(role)}" for member, role in MEMBERS.items()]
    (folder / "members.csv").write_text("member,address\n" + "\n".join(lines) + "\n")
    write(folder / "ce.jsonl", envelope())
    words = ("attention", "collect", "--ledger", "--members", "members.csv", "--cloudevents", "ce.jsonl")
    ran = run(*words, "-o", "feed.parquet", "--json")
    assert ran.code == 0, ran.out + ran.err
    assert (ran.document["rows"], ran.document["rejected"]) == (12, 0)
    feed = read_feed(folder / "feed.parquet")
    verbs = {verb for member, verb in zip(feed.member, feed.verb, strict=True) if member == "ada"}
    assert verbs == {"view", "claim", "send", "deposit", "offer", "deliver"}
    again = run(*words, "-o", "again.csv", "--json").document
    assert again["data_sha256"] == ran.document["data_sha256"]
