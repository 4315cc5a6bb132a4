"""What everybody has, in a bank that has been lived in (tests/chain/bank_life.py).

::

    read_distribution
    |- held, received and fees of every person as their own statements have them
    |- services and trades: what waits in escrow is the buyer's, fees are the provider's and the seller's
    |- earned as the leaves have it; nothing is lost: all people and contracts together hold the supply
    |- a linked placeholder is one person with its wallet
    |- fewer epochs: earnings of those only, credits as they are
    `- refused: no final epoch, from after to, an epoch that is not published, other files, an event missing
    fairness_report
    `- newcomers, ranks and Gini epoch by epoch, against plain counting
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.chain.bank_life import MEMBERS, Life, begin, live
from tests.chain_fixtures import own_chain, snapshot
from tests.published import EPOCH_MS, finalise, propose, publish_next
from tests.world import SIGNERS, World
from timebank_chain.activity.members import placeholder_address
from timebank_chain.chain import distribution as distribution_module
from timebank_chain.chain.addresses import address_text
from timebank_chain.chain.bank_events import ExitedEarly, LeaseTaken, RolledOver, SharesTransferred, Withdrawn
from timebank_chain.chain.claiming import EpochNotFinalised
from timebank_chain.chain.credit_exchange import COIN, TradeOrder
from timebank_chain.chain.distribution import (
    Distribution,
    EpochShares,
    fairness_report,
    read_distribution,
)
from timebank_chain.chain.event import Event
from timebank_chain.chain.events import Transfer, read_events
from timebank_chain.chain.member_registry import ZERO_ADDRESS
from timebank_chain.chain.reverts import NoEpochFinalised
from timebank_chain.chain.statement import Statement, read_statement
from timebank_chain.epoch import read_epoch
from timebank_chain.errors import CheckFailed, EpochError, TamperedEpoch, UsageError
from timebank_chain.spec.service_escrow import Listing, ListingKind, Periods, Proposal
from timebank_chain.units import MicroCredit

DAY = 86_400
QUORUM = [SIGNERS[f"signer{n}"] for n in range(1, 4)]


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Life, Callable[[], None]]]:
    with own_chain() as connection:
        life = begin(connection, tmp_path_factory.mktemp("life"))
        live(life)
        yield life, snapshot(connection)


@pytest.fixture
def life(lived: tuple[Life, Callable[[], None]]) -> Iterator[Life]:
    yield lived[0]
    lived[1]()


def people(life: Life) -> list[str]:
    return [life.world.address(role) for role in (*MEMBERS.values(), "payee", "stranger")]


def received_by(seen: Statement, everybody: set[str]) -> int:
    """What others sent: payments and transfers in, and the rent inside of lease money."""
    total = 0
    for line in seen.movements:
        if line.kind in ("payment in", "transfer in") and line.other in everybody:
            total += line.amount
        if line.kind in ("lease repayment", "lease settlement") and line.amount > 0:
            total += line.parts["rent"] - line.fee
    return total


def fees_of(seen: Statement) -> int:
    paid_out = sum(line.fee for line in seen.movements if line.kind == "payment out")
    own_income = sum(
        line.fee
        for line in seen.movements
        if line.kind in ("income", "withdrawal")
        or (line.kind in ("lease repayment", "lease settlement") and line.amount > 0)
    )
    return paid_out + own_income


def test_as_everybodys_own_statement(life: Life) -> None:
    timebank = life.world.timebank
    seen = read_distribution(timebank, life.epochs)
    accounts = sorted(people(life), key=str.lower)
    assert seen.people == len(accounts)
    # What a renewed deposit pays, or one that is closed in a creditor's hands, moves through no wallet.
    apart = sum(
        event.fee
        for event in read_events(
            timebank.connection,
            timebank.addresses(),
            (RolledOver, Withdrawn),
            from_block=timebank.deployment.first_block,
        )
        if isinstance(event, RolledOver)
        or (isinstance(event, Withdrawn) and event.to in timebank.addresses().values())
    )
    fees = 0
    for row, account in enumerate(accounts):
        statement = read_statement(timebank, account)
        held = statement.balance + sum(one.principal for one in statement.deposits)
        held += statement.supply.worth if statement.supply else 0
        assert seen.held[row] == held, account
        assert seen.received[row] == received_by(statement, set(accounts)), account
        fees += fees_of(statement)
        leaves = [read_epoch(life.epochs, number).accounts for number in range(1, 5)]
        found = [(rows, rows.find(bytes.fromhex(account[2:]))) for rows in leaves]
        earned = sum(int(rows.earned[index]) for rows, index in found if index is not None)
        assert seen.earned[row] == earned
    assert int(seen.fees.sum()) == fees + apart > apart > 0
    assert set(np.take(seen.domains, seen.domain)) == {"general", "(none)"}


def test_nothing_is_lost(life: Life) -> None:
    timebank = life.world.timebank
    seen = read_distribution(timebank, life.epochs)
    granted = read_epoch(life.epochs, 4).header
    claimed = sum(timebank.credit_distributor.claimed(account) for account in people(life))
    total = sum(read_epoch(life.epochs, number).header.total_mint for number in range(1, 5))
    assert granted.epoch == timebank.rate_oracle.latest_epoch()
    assert seen.unclaimed == total - claimed


def test_what_the_market_moves(life: Life) -> None:
    """A service that is settled, one that waits in escrow, and credits sold for coin."""
    world, timebank = life.world, life.world.timebank
    escrow, exchange, credit = timebank.service_escrow, timebank.credit_exchange, timebank.attention_credit
    buyer = max(MEMBERS.values(), key=lambda role: credit.balance_of(world.address(role)))
    before = read_distribution(timebank, life.epochs)
    price, sold, now = 10_001, 20_000, world.connection.timestamp()
    proposal = Proposal(price, DAY, world.address("payee"), b"\x07" * 32)
    periods = Periods(DAY, DAY, DAY, DAY)
    offer = Listing(ZERO_ADDRESS, now + DAY, ListingKind.OFFER, 2, 5_000, periods, proposal)
    for role, call in (
        ("stranger", escrow.list_service(offer)),
        (buyer, credit.approve(escrow.address, 2 * price)),
        (buyer, escrow.place_order(1, proposal)),
        ("stranger", escrow.accept(1, 1)),
        ("stranger", escrow.deliver(1, b"\x08" * 32)),
        (buyer, escrow.approve(1)),
        (buyer, escrow.place_order(1, proposal)),
        (buyer, credit.approve(exchange.address, sold)),
    ):
        world.send(role, call)
    order = TradeOrder(
        maker=world.address(buyer), taker=COIN, token=COIN, sells_credits=True, credits=MicroCredit(sold),
        amount=1_000, max_fee_bps=100, expires_at=now + DAY, series=0, salt=1,
    )  # fmt: skip
    signature = order.sign(world.signers[buyer], world.connection.chain_id, exchange.address)
    world.send("stranger", exchange.fill(order, signature, sold, 1_000))

    after = read_distribution(timebank, life.epochs)
    accounts = sorted(people(life), key=str.lower)
    at = {role: accounts.index(world.address(role)) for role in (buyer, "stranger")}
    changes = {
        (what, role): int(getattr(after, what)[row]) - int(getattr(before, what)[row])
        for what in ("held", "received", "fees")
        for role, row in at.items()
    }
    service_fee, trade_fee = -(-price * 50 // 10_000), -(-sold * 30 // 10_000)
    got = price - service_fee + sold - trade_fee
    assert changes == {
        # What waits in escrow is the buyer's still.
        ("held", buyer): -price - sold,
        ("held", "stranger"): got,
        ("received", buyer): 0,
        ("received", "stranger"): got,
        ("fees", buyer): trade_fee,
        ("fees", "stranger"): service_fee,
    }


def test_a_linked_placeholder_is_one_person(life: Life) -> None:
    timebank = life.world.timebank
    published = publish_next(
        timebank,
        life.epochs,
        ["erin"],
        {},
        origin_ms=life.origin_ms,
    )
    try:
        propose(timebank, published, QUORUM)
        finalise(timebank, published, SIGNERS["stranger"])
        before = read_distribution(timebank, life.epochs)
        placeholder, wallet = address_text(placeholder_address("erin")), life.world.address("payee")
        life.world.send("registrar", timebank.member_registry.request_link(placeholder, wallet))
        life.wait(7_201)
        life.world.send("stranger", timebank.member_registry.confirm_link(placeholder))
        after = read_distribution(timebank, life.epochs)
        assert after.people == before.people - 1
        assert int(after.earned.sum()) == int(before.earned.sum())
        row = sorted(people(life), key=str.lower).index(wallet)
        assert after.earned[row] == published.header.total_earned
        assert after.received[row] == max(before.received)
    finally:
        shutil.rmtree(published.folder)


def test_fewer_epochs(life: Life) -> None:
    seen = read_distribution(life.world.timebank, life.epochs, first=2, last=3)
    assert [one.epoch for one in seen.epochs] == [2, 3]
    headers = [read_epoch(life.epochs, number).header for number in (2, 3)]
    assert int(seen.earned.sum()) == sum(header.total_earned for header in headers)
    assert headers[1].end_ms - headers[0].end_ms == EPOCH_MS
    whole = read_distribution(life.world.timebank, life.epochs)
    assert seen.held.tolist() == whole.held.tolist() and seen.unclaimed == whole.unclaimed


class TestRefused:
    def test_wrong_way_round(self, life: Life) -> None:
        with pytest.raises(UsageError, match="epochs 3 to 2"):
            read_distribution(life.world.timebank, life.epochs, first=3, last=2)

    def test_not_final(self, life: Life) -> None:
        with pytest.raises(EpochNotFinalised, match="epoch 5 is not final"):
            read_distribution(life.world.timebank, life.epochs, last=5)

    def test_not_published(self, life: Life, tmp_path: Path) -> None:
        with pytest.raises(EpochError, match="no published epoch 1"):
            read_distribution(life.world.timebank, tmp_path)

    def test_other_files(self, life: Life, tmp_path: Path) -> None:
        shutil.copytree(life.epochs, tmp_path / "epochs")
        shutil.rmtree(tmp_path / "epochs" / "000002")
        shutil.copytree(life.epochs / "000001", tmp_path / "epochs" / "000002")
        with pytest.raises(TamperedEpoch):
            read_distribution(life.world.timebank, tmp_path / "epochs")

    @pytest.mark.parametrize(
        ("kind", "words"),
        [
            (Transfer, r"by all events there are \d+ credits, by the chain"),
            (SharesTransferred, "pool shares, by the chain"),
            (ExitedEarly, "deposits, by the chain"),
            (LeaseTaken, "LeaseRepaid is about number 1, of which no event has told"),
        ],
    )
    def test_an_event_missing(
        self, life: Life, monkeypatch: pytest.MonkeyPatch, kind: type[Event], words: str
    ) -> None:
        def all_but_one(*arguments: object, **options: object) -> list[object]:
            found = list(read_events(*arguments, **options))  # type: ignore[arg-type]  # handed through
            place = next(n for n, one in enumerate(found) if isinstance(one, kind))
            return found[:place] + found[place + 1 :]

        # A node that leaves one event out: no real one here does.
        monkeypatch.setattr(distribution_module, "read_events", all_but_one)
        with pytest.raises(CheckFailed, match=words):
            read_distribution(life.world.timebank, life.epochs)


def test_before_the_first_epoch(embedded_world: World, tmp_path: Path) -> None:
    with pytest.raises(NoEpochFinalised):
        read_distribution(embedded_world.timebank, tmp_path)


def test_report_epoch_by_epoch() -> None:
    def column(*values: int) -> np.ndarray:
        return np.array(values, dtype=np.int64)

    nobody = column(0, 0, 0, 0)
    known = np.array([True, True, True, False])
    seen = Distribution(
        block=9,
        epochs=(
            EpochShares(1, 1_000, column(4, 2, 0, 0), column(40, 20, 0, 0), known),
            EpochShares(2, 2_000, column(1, 2, 3, 6), column(10, 20, 30, 60), np.array([True] * 4)),
            EpochShares(3, 3_000, nobody, nobody, np.array([True] * 4)),
        ),
        earned=column(5, 4, 3, 6),
        held=nobody,
        received=column(1, 0, 0, 0),
        fees=nobody,
        domain=np.array([0, 0, 1, 1]),
        domains=("art", "code", "(none)"),
        unclaimed=5,
    )
    found = fairness_report(seen)
    assert (found.block, found.people, found.never_credited, found.unclaimed) == (9, 4, 0, 5)
    assert found.measures["held"] is found.measures["fees"] is None
    received, earned = found.measures["received"], found.measures["earned"]
    assert received is not None and received.gini == Fraction(3, 4)
    assert earned is not None and [one.amount for one in earned.groups] == [9, 9]
    first, second, third = found.epochs
    assert (first.people, first.active, first.newcomers, first.gini) == (3, 2, 2, Fraction(4, 9))
    assert first.gini_active == Fraction(1, 6)
    assert (first.newcomers_median, first.others_median, first.mobility) == (30, None, None)
    assert (second.newcomers, second.newcomers_median, second.others_median) == (2, 45, 15)
    # Of the three who were there before, everybody's order turned around.
    assert second.mobility is not None
    assert (second.mobility.people, second.mobility.correlation) == (3, -1.0)
    assert (third.active, third.gini, third.gini_active, third.newcomers_median, third.others_median) == (
        0,
        *[None] * 4,
    )
    assert third.mobility is not None and third.mobility.correlation is None


def test_accounts_are_found_whatever_column_they_stand_in() -> None:
    chance = random.Random(4)
    for _ in range(200):
        columns = [
            sorted(chance.sample(range(40), chance.randrange(12)), key=lambda _: chance.random())
            for _ in range(3)
        ]
        if chance.random() < 0.5:
            columns[0].sort()
        keys = [distribution_module._as_keys([f"0x{number << 8:040x}" for number in one]) for one in columns]
        expected = [number << 8 for number in sorted({number for one in columns for number in one})]
        found = [int.from_bytes(key.ljust(20, b"\0")) for key in distribution_module._union(keys)]
        assert found == expected
