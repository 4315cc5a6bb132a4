"""The floating rate in a real history, its events changed one by one, its state forged; see audit.tree."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest

from tests.audit.history import FLOAT_STEP, History
from tests.audit.spoil import audit, failed, forge
from timebank_chain.audit import rates
from timebank_chain.audit.case import AuditCase
from timebank_chain.audit.evidence import CONTRACTS, Event, Evidence, read_artifacts
from timebank_chain.audit.replay import replay
from timebank_chain.audit.report import Check
from timebank_chain.audit.run import shipped_artifacts
from timebank_chain.audit.storage import LAYOUTS
from timebank_chain.audit.storage_root import mapping_slot
from timebank_chain.spec import floating_rate

Change = Callable[[list[Event]], list[Event]]
STRANGER = "0x" + "57" * 20


@pytest.fixture(scope="module")
def evidence(lived_history: History) -> Evidence:
    deployment = lived_history.world.timebank.deployment
    found = Evidence(
        w3=lived_history.connection.w3,
        addresses={name: str(deployment.contracts[name].address) for name in CONTRACTS},
        artifacts=read_artifacts(shipped_artifacts()),
        from_block=deployment.first_block,
        to_block=lived_history.connection.block_number(),
    )
    found.read_events()
    return found


@pytest.fixture
def run(lived_history: History, evidence: Evidence) -> Callable[[Change], Check]:
    """Run the check over the history with its events changed."""

    def check(change: Change) -> Check:
        changed = replace(evidence, events=change(list(evidence.events)))
        return rates.check_rate(
            AuditCase(
                evidence=changed,
                ledger=replay(changed.events),
                deployment=lived_history.world.timebank.deployment,
                chain_id=lived_history.connection.chain_id,
                epochs_folder=lived_history.epochs,
                artifacts_folder=shipped_artifacts(),
            )
        )

    return check


Run = Callable[[Change], Check]


def of(events: Iterable[Event], contract: str, name: str) -> list[Event]:
    return [event for event in events if (event.contract, event.name) == (contract, name)]


def altered(contract: str, name: str, number: int, **changes: Callable[[Any], Any]) -> Change:
    """Change values of the event of this name and number."""

    def change(events: list[Event]) -> list[Event]:
        one = of(events, contract, name)[number]
        args = {**one.args, **{key: by(one.args[key]) for key, by in changes.items()}}
        return [replace(event, args=args) if event.position == one.position else event for event in events]

    return change


def dropped(contract: str, name: str, number: int) -> Change:
    def change(events: list[Event]) -> list[Event]:
        one = of(events, contract, name)[number]
        return [event for event in events if event.position != one.position]

    return change


def repeated(contract: str, name: str, number: int) -> Change:
    def change(events: list[Event]) -> list[Event]:
        at = events.index(of(events, contract, name)[number])
        return [*events[: at + 1], *events[at:]]

    return change


def plus_one(value: int) -> int:
    return int(value) + 1


def test_the_history_as_it_is_passes(run: Run, evidence: Evidence) -> None:
    found = run(lambda events: events)
    assert found.status == "ok", found.differences
    assert found.evidence["moves"] == 2
    assert found.evidence["step"] == FLOAT_STEP
    first, second = of(evidence.events, "RateFloat", "RateMoved")
    assert first.args["demand"] == 20_000_001 + 7_654_321 + 5_000_000
    # By hand: what was spent less what was minted, within the bound of one move.
    moved = first.args["demand"] - first.args["supply"]
    bound = floating_rate.max_move(FLOAT_STEP)
    assert first.args["excess"] == max(-bound, min(moved, bound))
    # The governor set another rate in between: the second move starts from an excess of 0.
    assert second.args["excessBefore"] == 0
    assert first.args["excess"] != 0


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("name", ["epoch", "demand", "supply", "excessBefore", "excess", "rateQ24"])
def test_a_move_that_tells_something_else(run: Run, name: str, number: int) -> None:
    found = run(altered("RateFloat", "RateMoved", number, **{name: plus_one}))
    assert found.status == "failed"
    assert found.differences[0].where.endswith(f", {name}")


@pytest.mark.parametrize("number", [0, 1])
def test_a_move_left_out_or_told_twice(run: Run, number: int) -> None:
    found = run(dropped("RateFloat", "RateMoved", number))
    assert "did not follow" in found.differences[0].meaning
    found = run(repeated("RateFloat", "RateMoved", number))
    assert "without an epoch" in found.differences[0].meaning


@pytest.mark.parametrize("number", [0, 1, 2])
def test_spending_that_was_not_paid(run: Run, number: int) -> None:
    for change in (
        altered("FeePool", "Spent", number, amount=plus_one),
        altered("FeePool", "Spent", number, spender=lambda _: STRANGER),
        dropped("FeePool", "Spent", number),
        repeated("FeePool", "Spent", number),
        altered("CreditPayments", "Paid", number, fee=plus_one),
        dropped("CreditPayments", "Paid", number),
    ):
        found = run(change)
        assert found.status == "failed"
        assert any("not what was paid" in one.meaning for one in found.differences)


@pytest.mark.parametrize(
    "change",
    [
        altered("FeePool", "FeesCollected", 0, amount=plus_one),
        dropped("FeePool", "FeesCollected", 0),
        altered("RateOracle", "EpochFinalised", 1, totalMint=plus_one),
        altered("RateOracle", "RateSet", 1, rateQ24=plus_one),
        altered("RateOracle", "RateSet", 1, previousRateQ24=plus_one),
        dropped("RateOracle", "RateSet", 1),
        altered("RateFloat", "FloatSet", 0, step=plus_one),
        altered("RateFloat", "FloatSet", 0, previousStep=plus_one),
        altered("RateFloat", "FloatSet", 0, baseRateQ24=plus_one),
        altered("RateFloat", "FloatSet", 0, spent=plus_one),
        dropped("RateFloat", "FloatSet", 0),
        dropped("FeePool", "SpendersSet", 0),
        repeated("FeePool", "SpendersSet", 0),
        altered("FeePool", "SpendersSet", 0, spenders=lambda found: [*found, STRANGER]),
    ],
)
def test_any_other_input_changed(run: Run, change: Change) -> None:
    assert run(change).status == "failed"


# Forged state, on the real state of an anvil


@pytest.mark.anvil
@pytest.mark.parametrize(
    ("contract", "slot", "by", "wanted"),
    [
        ("FeePool", LAYOUTS["FeePool"]["spent"], 1, ["A9", "A54"]),
        ("RateFloat", LAYOUTS["RateFloat"]["_floating"], 1, ["A9", "A54"]),
        ("RateFloat", LAYOUTS["RateFloat"]["_floating"] + 1, 1 << 128, ["A9", "A54"]),
        ("RateOracle", LAYOUTS["RateOracle"]["_state"], 1 << 160, ["A9", "A19", "A54"]),
    ],
)
def test_forged_state(history: History, contract: str, slot: int, by: int, wanted: list[str]) -> None:
    held = history.connection.w3.eth.get_storage_at(history.address(contract), slot)  # type: ignore[arg-type]  # checksummed
    forge(history, contract, slot, int.from_bytes(held, "big") + by)
    assert failed(audit(history)) == wanted


@pytest.mark.anvil
def test_forged_spender(history: History) -> None:
    """Who records spending without payments moves the rate as it likes: only all of the storage shows it."""
    base = LAYOUTS["FeePool"]["isSpender"]
    forge(history, "FeePool", mapping_slot(bytes.fromhex(STRANGER[2:]), base), 1)
    assert failed(audit(history)) == ["A9"]
    payments = bytes.fromhex(history.address("CreditPayments")[2:])
    forge(history, "FeePool", mapping_slot(payments, base), 0)
    assert failed(audit(history)) == ["A9", "A54"]


@pytest.mark.anvil
def test_forged_float_contract(history: History) -> None:
    forge(history, "RateOracle", LAYOUTS["RateOracle"]["rateFloat"], int(STRANGER, 16))
    assert failed(audit(history)) == ["A4", "A9"]
