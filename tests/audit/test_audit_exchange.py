"""The exchange: a real history of trades, its events changed, and its state forged; see audit.tree."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.chain_fixtures import own_chain
from tests.world import SIGNERS, World, deploy_world
from timebank_chain.artifacts import load_artifact
from timebank_chain.audit import code, exchange, governance, storage
from timebank_chain.audit.case import AuditCase
from timebank_chain.audit.evidence import CONTRACTS, Event, Evidence, read_artifacts
from timebank_chain.audit.replay import replay
from timebank_chain.audit.report import Check
from timebank_chain.audit.run import shipped_artifacts
from timebank_chain.audit.storage import LAYOUTS
from timebank_chain.audit.storage_root import mapping_slot
from timebank_chain.chain.attention_credit import AttentionCredit
from timebank_chain.chain.contract import encode_constructor
from timebank_chain.chain.credit_exchange import COIN, TradeOrder
from timebank_chain.chain.transactions import Call, send
from timebank_chain.units import MicroCredit

Change = Callable[[list[Event]], list[Event]]
CHECKS = {
    "A4": code.check_wiring,
    "A9": storage.check_storage,
    "A19": governance.check_parameters,
    "A52": exchange.check_exchange,
}
SOMEBODY = "0x" + "11" * 20


@dataclass
class Trades:
    """A system in which credits were traded, and the orders that are left."""

    world: World
    filled: bytes
    cancelled: bytes
    token: str

    def evidence(self, kind: type[Evidence] = Evidence) -> Evidence:
        deployment = self.world.timebank.deployment
        evidence = kind(
            w3=self.world.connection.w3,
            addresses={name: str(deployment.contracts[name].address) for name in CONTRACTS},
            artifacts=read_artifacts(shipped_artifacts()),
            from_block=deployment.first_block,
            to_block=self.world.connection.block_number(),
        )
        evidence.read_events()
        return evidence

    def checks(self, change: Change = list, kind: type[Evidence] = Evidence) -> dict[str, Check]:
        """Run the checks over the history with its events changed, or with evidence of another kind."""
        evidence = self.evidence(kind)
        changed = replace(evidence, events=change(list(evidence.events)))
        case = AuditCase(
            evidence=changed,
            ledger=replay(changed.events),
            deployment=self.world.timebank.deployment,
            chain_id=self.world.connection.chain_id,
            epochs_folder=Path(),
            artifacts_folder=shipped_artifacts(),
        )
        return {number: check(case) for number, check in CHECKS.items()}


def live(world: World) -> Trades:
    """Fill orders of both sides for a token and for coin, in parts, at two fees; cancel, end a series.

    More coin than a fill costs comes along with one; another asks for more than is left.
    """
    draw = random.Random(5)
    timebank, connection = world.timebank, world.connection
    trading = timebank.credit_exchange
    creation = load_artifact("AttentionCredit").bytecode + encode_constructor(
        "AttentionCredit", ("Another", "ANO", "")
    )
    made = send(connection, SIGNERS["deployer"], Call("Another", "constructor", None, creation))
    token = AttentionCredit(connection, str(made.contract_address))
    for role in ("member1", "member2"):
        world.give(role, 50_000_000)
        world.send(role, timebank.attention_credit.approve(trading.address, 1 << 60))
        mint = token._write("mint", to=world.address(role), amount=10**12)
        send(connection, SIGNERS["deployer"], mint)
        send(connection, SIGNERS[role], token.approve(trading.address, 1 << 60))

    def order(maker: str, *, sells: bool, what: str) -> tuple[TradeOrder, bytes]:
        signed = TradeOrder(
            maker=world.address(maker),
            taker=COIN,
            token=what,  # type: ignore[arg-type]  # checksummed
            sells_credits=sells,
            credits=MicroCredit(9_000_001),
            amount=7_777_777,
            max_fee_bps=50,
            expires_at=connection.timestamp() + 10**6,
            series=trading.series_of(world.address(maker)),
            salt=draw.getrandbits(256),
        )
        return signed, signed.sign(SIGNERS[maker], connection.chain_id, trading.address)

    sale, signature = order("member1", sells=True, what=COIN)
    world.send("member2", trading.fill(sale, signature, 1_000_003, 10**18))
    world.govern(trading.set_trade_fee(50))
    generous = trading.fill(sale, signature, 5_000_000, 10**18)
    world.send("stranger", replace(generous, value=generous.value + 5))
    purchase, signature = order("member2", sells=False, what=token.address)
    world.send("member1", trading.fill(purchase, signature, 9_999_999, 8_641_973))
    dropped, _ = order("member1", sells=True, what=token.address)
    world.send("member1", trading.cancel(dropped))
    world.send("member2", trading.cancel_all())
    world.send("guardian", trading.pause_trading())
    return Trades(world, trading.hash_order(sale), trading.hash_order(dropped), token.address)


@pytest.fixture(scope="module")
def trades() -> Iterator[Trades]:
    with own_chain() as connection:
        yield live(deploy_world(connection))


def red(found: dict[str, Check]) -> list[str]:
    return [number for number, check in found.items() if check.status == "failed"]


def altered(name: str, which: int = 0, **args: Any) -> Change:
    """Change what one event of a name says; of a fill's order under ``order``."""

    def change(events: list[Event]) -> list[Event]:
        one = [event for event in events if event.name == name][which]
        new = {**one.args, **args}
        if "order" in args:
            new["order"] = {**one.args["order"], **args["order"]}
        return [replace(event, args=new) if event is one else event for event in events]

    return change


def without(name: str, which: int = 0) -> Change:
    def change(events: list[Event]) -> list[Event]:
        gone = [event for event in events if event.name == name][which]
        return [event for event in events if event is not gone]

    return change


def earlier(name: str, before: str) -> Change:
    """Put the first event of a name before the first of another."""

    def change(events: list[Event]) -> list[Event]:
        one = next(event for event in events if event.name == name)
        at = next(event for event in events if event.name == before)
        moved = replace(one, block=at.block, log_index=at.log_index)
        rest = [event for event in events if event is not one]
        return [*rest[: rest.index(at)], moved, *rest[rest.index(at) :]]

    return change


def test_the_history_is_green(trades: Trades) -> None:
    found = trades.checks()
    assert red(found) == []
    assert found["A52"].figure == "3 fills of 2 orders, 15.000004 credits, 0.073002 of them fees"
    assert found["A52"].evidence["cancelled"] == 1
    assert found["A52"].notes == ()
    assert (found["A52"].evidence["token_logged"], found["A52"].evidence["token_silent"]) == (1, 0)


@pytest.mark.parametrize("value", [None, 7_777_776])
def test_a_token_that_logs_otherwise_is_said_and_turns_nothing_red(trades: Trades, value: int | None) -> None:
    """Whoever deploys a token decides what it logs, so it must not decide whether an audit is green."""

    class Logs(Evidence):
        def receipt(self, transaction: bytes) -> Any:
            receipt = dict(super().receipt(transaction))
            own = [log for log in receipt["logs"] if log["address"] == trades.token]
            rest = [log for log in receipt["logs"] if log["address"] != trades.token]
            other = [] if value is None else [{**log, "data": value.to_bytes(32, "big")} for log in own]
            return receipt | {"logs": [*rest, *other]}

    found = trades.checks(kind=Logs)
    assert red(found) == []
    assert found["A52"].evidence["token_silent"] == 1
    assert f"token {trades.token} logs no such transfer for 1 of its fills" in found["A52"].notes[0]


@pytest.mark.parametrize(
    ("change", "meaning"),
    [
        (altered("TradeFilled", fee=3_002), "another fee than 30 basis points"),
        (altered("TradeFilled", 1, fee=24_999), "another fee than 50 basis points"),
        (altered("TradeFilled", amount=864_199), "the price is not the order's"),
        (altered("TradeFilled", credits=1_000_004), "a trade was recorded that did not take place"),
        (altered("TradeFilled", credits=1_000_004), "a taker got what it did not ask for"),
        (altered("TradeFilled", 2, amount=7_777_775), "a taker got what it did not ask for"),
        (altered("TradeFeeSet", 1, feeBps=51), "a taker got what it did not ask for"),
        (altered("TradeFilled", amount=10**19), "other coin came along than the fill says"),
        (altered("TradeFilled", 2, taker=SOMEBODY), "a trade was recorded that did not take place"),
        (altered("TradeFilled", maker=SOMEBODY), "another than the order's maker gave"),
        (altered("TradeFilled", order={"amount": 7_777_776}), "the fill is of another order"),
        (altered("TradeFilled", orderHash=bytes(32)), "the exchange's storage was changed"),
        (altered("TradeFilled", order={"expiresAt": 1}), "an order was filled that did not allow it"),
        (altered("TradeFilled", order={"maxFeeBps": 29}), "an order was filled that did not allow it"),
        (altered("TradeFilled", order={"taker": SOMEBODY}), "an order was filled that did not allow it"),
        (altered("TradeFilled", order={"series": 1}), "an order was filled that did not allow it"),
        (altered("TradeFilled", order={"credits": 1_000_000}), "an order was filled that did not allow it"),
        (altered("TradeFilled", order={"amount": 0}), "an order over nothing was filled"),
        (without("TradeFilled"), "the exchange's storage was changed"),
        (earlier("TradingPausedSet", "TradeFilled"), "an order was filled that did not allow it"),
        (altered("TradeSeriesEnded", newSeries=2), "series follow one another"),
        (altered("TradeFeeSet", feeBps=501), "the fee on trades is bounded"),
        (altered("TradeFeeSet", 1, previousBps=29), "the fee was changed without an event"),
    ],
)
def test_what_is_not_so_is_named(trades: Trades, change: Change, meaning: str) -> None:
    found = trades.checks(change)
    assert "A52" in red(found)
    assert meaning in " | ".join(one.meaning for one in found["A52"].differences)


def test_an_order_cancelled_without_a_word_shows_in_storage_alone(trades: Trades) -> None:
    assert red(trades.checks(without("TradeOrderCancelled"))) == ["A9"]


def test_credits_sent_in_error_are_said(trades: Trades) -> None:
    here = trades.world.timebank.credit_exchange.address
    trades.world.send("member1", trades.world.timebank.attention_credit.transfer(here, 1_000))
    found = trades.checks()
    assert red(found) == []
    assert "0.001000 credits were sent to the exchange by a plain transfer" in found["A52"].notes[0]


@pytest.mark.anvil
class TestForgedState:
    def forge(self, world: World, slot: bytes, value: int) -> None:
        answer = world.connection.w3.provider.make_request(  # type: ignore[union-attr]  # synchronous
            "anvil_setStorageAt",  # type: ignore[arg-type]  # a method of anvil's
            [world.timebank.credit_exchange.address, "0x" + slot.hex(), f"0x{value:064x}"],
        )
        assert "error" not in answer

    def test_every_slot_is_looked_at(self, anvil_world: World) -> None:
        made = live(anvil_world)
        assert red(made.checks()) == []
        layout = LAYOUTS["CreditExchange"]
        series = mapping_slot(bytes.fromhex(made.world.address("member2")[2:]), layout["seriesOf"])
        settings = layout["_settings"].to_bytes(32, "big")
        for slot, forged, honest, numbers in (
            (mapping_slot(made.filled, layout["_orders"]), 6_000_002, 6_000_003, ["A9", "A52"]),
            (mapping_slot(made.cancelled, layout["_orders"]), 0, 1 << 64, ["A9", "A52"]),
            (mapping_slot(bytes(32), layout["_orders"]), 1, 0, ["A9"]),
            (series, 0, 1, ["A9", "A52"]),
            (settings, 1 << 16 | 49, 1 << 16 | 50, ["A9", "A19"]),
            (settings, 50, 1 << 16 | 50, ["A9", "A19"]),
        ):
            self.forge(anvil_world, slot, forged)
            assert red(made.checks()) == numbers
            self.forge(anvil_world, slot, honest)
            assert red(made.checks()) == []
