"""Services: a real history of orders with its events changed, and with its state forged.

::

    the honest history is green as a whole, on both chains
    an event left out, doubled or altered (who, when, how much, which stage, which stars): A53 says why
    a stage there is not: red, not a crash
    storage forged: an order, a listing, the settings, the holdings: A53 and the storage check are red
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.audit.history import History
from tests.audit.service_history import ARBITER, BUYER, OFFERER, OTHER, PRICE, make_service_history
from tests.audit.spoil import audit, failed, forge
from tests.audit.test_audit_challenges import altered, evidence_of_chain, same, without
from tests.chain_fixtures import own_anvil, own_chain, snapshot
from timebank_chain.audit import services
from timebank_chain.audit.case import AuditCase
from timebank_chain.audit.evidence import Event
from timebank_chain.audit.replay import replay
from timebank_chain.audit.report import Check
from timebank_chain.audit.run import shipped_artifacts
from timebank_chain.audit.storage import LAYOUTS
from timebank_chain.audit.storage_root import mapping_slot

Change = Callable[[list[Event]], list[Event]]
Run = Callable[[Change], Check]


@pytest.fixture(scope="module")
def lived_service_history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    """The history for whoever reads it; nobody may change it."""
    with own_chain() as connection:
        yield make_service_history(connection, tmp_path_factory.mktemp("lived-service-history"))


@pytest.fixture(scope="module")
def _anvil_service_history(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[History, Callable[[], None]]]:
    with own_anvil() as connection:
        yield (
            make_service_history(connection, tmp_path_factory.mktemp("anvil-service-history")),
            snapshot(connection),
        )


@pytest.fixture
def service_history(_anvil_service_history: tuple[History, Callable[[], None]]) -> History:
    """The history on anvil, to be spoiled: the chain is rolled back."""
    made, back = _anvil_service_history
    back()
    return made


@pytest.fixture(scope="module")
def run(lived_service_history: History) -> Run:
    """Run the check over the history with its events changed."""
    history, evidence = lived_service_history, evidence_of_chain(lived_service_history)

    def check(change: Change) -> Check:
        changed = replace(evidence, events=change(list(evidence.events)))
        return services.check_services(
            AuditCase(
                evidence=changed,
                ledger=replay(changed.events),
                deployment=history.world.timebank.deployment,
                chain_id=history.connection.chain_id,
                epochs_folder=history.epochs,
                artifacts_folder=shipped_artifacts(),
            )
        )

    return check


def test_the_history_is_green(lived_service_history: History) -> None:
    report = audit(lived_service_history)
    assert failed(report) == []
    found = report.check("A53")
    held = 5 * PRICE
    assert found.figure == "16 orders, 6 open, 0.050005 held, 2 ratings"
    assert found.evidence["held"] == held
    assert found.evidence["lost_in_escrow"] == 123
    assert "0.000123 credits were sent to the escrow in error" in found.notes[0]


def doubled(name: str, which: int = 0) -> Change:
    """Tell one event of a name twice."""

    def change(events: list[Event]) -> list[Event]:
        one = [event for event in events if event.name == name][which]
        at = events.index(one)
        return [*events[: at + 1], one, *events[at + 1 :]]

    return change


def swapped(name: str, parameter: str, role: str, which: int = 0) -> Callable[[History], Change]:
    """Let somebody else have done it."""
    return lambda history: altered(name, which, **{parameter: history.world.address(role)})


def plain(change: Change) -> Callable[[History], Change]:
    return lambda _: change


def inside(name: str, parameter: str, which: int = 0, **values: Any) -> Callable[[History], Change]:
    """Change a struct in an event."""

    def change(events: list[Event]) -> list[Event]:
        one = [event for event in events if event.name == name][which]
        args = {**one.args, parameter: {**one.args[parameter], **values}}
        return [replace(event, args=args) if event is one else event for event in events]

    return plain(change)


REFUSED = "the contract allows no such call at that time"
OTHERWISE = "the event says otherwise than the call that made it"
SILENT = "the escrow's storage was changed without an event"
UNTOLD = "credits left ServiceEscrow and nobody says why"
UNMOVED = "credits were booked that did not move"


@pytest.mark.parametrize(
    ("change", "meaning"),
    [
        *((plain(without(name)), REFUSED) for name in ("ServiceListed", "ServiceOrdered", "ServiceAccepted")),
        *((plain(without(name, 1)), REFUSED) for name in ("ServiceCountered", "ServiceDelivered")),
        *((plain(without(name)), REFUSED) for name in ("ServiceContested", "ServiceDisputed")),
        (plain(without("ServiceSettled")), UNTOLD),
        (plain(without("ServiceCancelled")), UNTOLD),
        (plain(without("ServiceRated")), SILENT),
        (plain(without("ServiceStockSet")), SILENT),
        (plain(doubled("ServiceSettled")), REFUSED),
        (plain(doubled("ServiceRated")), REFUSED),
        (plain(doubled("ServiceCancelled")), REFUSED),
        (plain(doubled("ServiceAccepted")), REFUSED),
        (plain(altered("ServiceSettled", toProvider=PRICE, fee=0)), OTHERWISE),
        (plain(altered("ServiceSettled", toBuyer=1)), OTHERWISE),
        (plain(altered("ServiceSettled", outcome=1)), REFUSED),
        (plain(altered("ServiceSettled", outcome=6)), OTHERWISE),
        (plain(altered("ServiceSettled", outcome=99)), REFUSED),
        (swapped("ServiceSettled", "caller", OFFERER), REFUSED),
        (swapped("ServiceSettled", "caller", BUYER, which=2), REFUSED),
        (swapped("ServiceAccepted", "caller", BUYER), REFUSED),
        (swapped("ServiceCountered", "caller", OTHER), REFUSED),
        (swapped("ServiceCancelled", "caller", ARBITER), REFUSED),
        (swapped("ServiceOrdered", "provider", OTHER), OTHERWISE),
        (swapped("ServiceOrdered", "buyer", OTHER), UNMOVED),
        (swapped("ServiceRated", "rater", ARBITER), REFUSED),
        (swapped("ServiceRated", "rated", ARBITER), OTHERWISE),
        (plain(altered("ServiceRated", stars=6)), REFUSED),
        (plain(altered("ServiceRated", stars=4)), SILENT),
        (plain(altered("ServiceOrdered", feeBps=0)), OTHERWISE),
        (plain(altered("ServiceOrdered", held=0)), OTHERWISE),
        (plain(altered("ServiceOrdered", orderId=9)), OTHERWISE),
        (plain(altered("ServiceOrdered", deadline=1)), OTHERWISE),
        (plain(altered("ServiceDelivered", deadline=1)), OTHERWISE),
        (plain(altered("ServiceContested", part=PRICE)), REFUSED),
        (plain(altered("ServiceContested", 1, part=1)), OTHERWISE),
        (swapped("ServiceDisputed", "arbiter", OTHER), OTHERWISE),
        (plain(altered("ServiceCountered", revision=9)), OTHERWISE),
        (plain(altered("ServiceAccepted", stock=0)), OTHERWISE),
        (plain(altered("ServiceCancelled", refunded=1)), OTHERWISE),
        (plain(altered("ServiceCancelled", lapsed=True)), REFUSED),
        (plain(altered("ServiceStockSet", previous=0)), OTHERWISE),
        (plain(altered("ServiceFeeSet", which=1, previousBps=0)), OTHERWISE),
        (plain(altered("ServiceFeeSet", which=1, feeBps=1_001)), REFUSED),
        (inside("ServiceListed", "listing", stock=19), OTHERWISE),
        (inside("ServiceListed", "listing", kind=1), REFUSED),
        (inside("ServiceListed", "listing", kind=7), REFUSED),
        (inside("ServiceOrdered", "proposal", price=PRICE + 1), UNMOVED),
    ],
)
def test_no_event_can_be_left_out_doubled_or_altered(
    run: Run, lived_service_history: History, change: Callable[[History], Change], meaning: str
) -> None:
    found = run(change(lived_service_history))
    assert found.status == "failed"
    assert meaning in " | ".join(difference.meaning for difference in found.differences)


def test_an_unchanged_history_is_green_for_this_check(run: Run) -> None:
    assert run(same).status == "ok"


def test_acting_after_the_deadline_is_seen(run: Run, lived_service_history: History) -> None:
    """The event of a lapse, told as if the buyer had approved in time, and the other way round."""
    buyer = lived_service_history.world.address(OTHER)
    lapsed = altered("ServiceSettled", 4, caller=buyer, outcome=0)
    assert "TooLate" in str(run(lapsed).differences)
    early = altered("ServiceSettled", 0, outcome=5)
    assert "NotOverdue" in str(run(early).differences)


@pytest.mark.anvil
@pytest.mark.parametrize("variable", ["_orders", "_listings"])
@pytest.mark.parametrize("word", [0, 1])
def test_forged_storage_is_seen(service_history: History, variable: str, word: int) -> None:
    first = int.from_bytes(mapping_slot((1).to_bytes(32, "big"), LAYOUTS["ServiceEscrow"][variable]), "big")
    evidence = evidence_of_chain(service_history)
    before = evidence.storage_at("ServiceEscrow", first + word)
    assert before
    forge(service_history, "ServiceEscrow", first + word, before ^ 1)
    assert failed(audit(service_history)) == ["A9", "A53"]


@pytest.mark.anvil
def test_a_forged_fee_is_seen(service_history: History) -> None:
    slot = LAYOUTS["ServiceEscrow"]["_settings"]
    before = evidence_of_chain(service_history).storage_at("ServiceEscrow", slot)
    assert before
    forge(service_history, "ServiceEscrow", slot, before ^ 1 << 96)
    assert failed(audit(service_history)) == ["A9", "A19"]
