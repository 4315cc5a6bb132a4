"""Claims and the fee pool in a real history of the bank, changed event by event; see audit.tree."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

import pytest

from tests.audit.bank_history import BankHistory
from timebank_chain.audit import code, fees, pledges, registry, supply
from timebank_chain.audit.case import AuditCase
from timebank_chain.audit.evidence import CONTRACTS, Event, Evidence, read_artifacts
from timebank_chain.audit.replay import ZERO_ADDRESS, replay
from timebank_chain.audit.report import Check
from timebank_chain.audit.run import shipped_artifacts

Change = Callable[[list[Event]], list[Event]]
STRANGER = "0x" + "57" * 20


@pytest.fixture(scope="module")
def evidence(lived_bank_history: BankHistory) -> Evidence:
    history = lived_bank_history
    deployment = history.world.timebank.deployment
    found = Evidence(
        w3=history.connection.w3,
        addresses={name: str(deployment.contracts[name].address) for name in CONTRACTS},
        artifacts=read_artifacts(shipped_artifacts()),
        from_block=deployment.first_block,
        to_block=history.connection.block_number(),
    )
    found.read_events()
    return found


@pytest.fixture
def run(
    lived_bank_history: BankHistory, evidence: Evidence
) -> Callable[[Callable[[AuditCase], Check], Change], Check]:
    """Run one check over the history with its events changed."""
    history = lived_bank_history

    def check(function: Callable[[AuditCase], Check], change: Change) -> Check:
        changed = replace(evidence, events=change(list(evidence.events)))
        return function(
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


Run = Callable[[Callable[[AuditCase], Check], Change], Check]


def of(events: Iterable[Event], contract: str, name: str) -> list[Event]:
    return [event for event in events if (event.contract, event.name) == (contract, name)]


def routes(events: Iterable[Event], part: str) -> list[Event]:
    return [event for event in of(events, "CreditDistributor", "ClaimRouted") if event.args[part]]


def swap(events: list[Event], old: Event, **args: object) -> list[Event]:
    """The events with some values of one of them changed."""
    return [
        replace(event, args={**event.args, **args}) if event.position == old.position else event
        for event in events
    ]


def drop(events: list[Event], gone: Event) -> list[Event]:
    return [event for event in events if event.position != gone.position]


def unchanged(events: list[Event]) -> list[Event]:
    return events


@pytest.mark.parametrize(
    "check",
    [
        code.check_wiring,
        supply.check_mints,
        registry.check_receivers,
        fees.check_fee_pool,
        pledges.check_claims_first,
    ],
)
def test_the_history_as_it_is_passes(run: Run, check: Callable[[AuditCase], Check]) -> None:
    assert run(check, unchanged).status == "ok"


def test_the_history_has_every_kind_of_claim(evidence: Evidence) -> None:
    claims, routed = of(evidence.events, "CreditDistributor", "Claimed"), routes(evidence.events, "account")
    both = [event for event in routed if event.args["toCreditor"] and event.args["toDeposit"]]
    assert routes(evidence.events, "toCreditor")
    assert routes(evidence.events, "toDeposit")
    assert both
    assert len(claims) > len(routed)


# Mints (A10)


@pytest.mark.parametrize("part", ["toCreditor", "toDeposit"])
@pytest.mark.parametrize("by", [-1, 1])
def test_a_route_that_tells_another_split(run: Run, part: str, by: int) -> None:
    def change(events: list[Event]) -> list[Event]:
        route = routes(events, part)[0]
        return swap(events, route, **{part: route.args[part] + by})

    assert run(supply.check_mints, change).status == "failed"


def test_a_route_that_tells_another_creditor(run: Run) -> None:
    def change(events: list[Event]) -> list[Event]:
        return swap(events, routes(events, "toCreditor")[0], creditor=STRANGER)

    found = run(supply.check_mints, change).differences
    assert [STRANGER in found[0].expected, "earned" in found[1].meaning, len(found)] == [True, True, 2]


def test_a_route_left_out(run: Run) -> None:
    assert (
        run(supply.check_mints, lambda events: drop(events, routes(events, "account")[0])).status == "failed"
    )


def test_a_mint_for_somebody_else(run: Run) -> None:
    def mints(events: list[Event]) -> list[Event]:
        return [
            event for event in of(events, "AttentionCredit", "Transfer") if event.args["from"] == ZERO_ADDRESS
        ]

    for change in (
        lambda events: swap(events, mints(events)[0], to=STRANGER),
        lambda events: drop(events, mints(events)[0]),
        lambda events: [mints(events)[0], *events],
    ):
        assert run(supply.check_mints, change).status == "failed"


def test_a_mint_before_its_claim(run: Run) -> None:
    """The same mints in the same transaction, but told of too late."""

    def change(events: list[Event]) -> list[Event]:
        claim = of(events, "CreditDistributor", "Claimed")[0]
        return [
            replace(event, log_index=event.log_index + 1_000) if event.position == claim.position else event
            for event in events
        ]

    assert run(supply.check_mints, change).status == "failed"


# Receivers (A15)


def test_a_claim_for_somebody_else(run: Run) -> None:
    def change(events: list[Event]) -> list[Event]:
        return swap(events, of(events, "CreditDistributor", "Claimed")[0], receiver=STRANGER)

    assert [one.found for one in run(registry.check_receivers, change).differences] == [STRANGER]


def test_a_pledge_of_somebody_elses_claims(run: Run) -> None:
    def change(events: list[Event]) -> list[Event]:
        return swap(events, of(events, "CreditDistributor", "ClaimsPledgeSet")[0], wallet=STRANGER)

    assert [one.found for one in run(registry.check_receivers, change).differences] == [STRANGER]


# Orders (A44)


def test_an_order_nobody_heard_of(run: Run) -> None:
    """Without the order, the deposits made by it are nobody's wish, and the view tells of it."""

    def change(events: list[Event]) -> list[Event]:
        return drop(events, of(events, "CreditDistributor", "StandingOrderSet")[0])

    meanings = {one.meaning for one in run(pledges.check_claims_first, change).differences}
    assert "nobody ordered a deposit" in meanings


def test_an_order_of_another_term_or_never_given(run: Run, evidence: Evidence) -> None:
    order = of(evidence.events, "CreditDistributor", "StandingOrderSet")[-1]
    for args in (
        {"termId": int(order.args["termId"]) + 1, "active": True},
        {"active": not order.args["active"]},
    ):
        found = run(pledges.check_claims_first, lambda events, args=args: swap(events, order, **args))  # type: ignore[misc]  # bound
        assert any("standingOrderOf" in one.where for one in found.differences)


def test_a_claim_that_went_past_an_order(run: Run) -> None:
    def change(events: list[Event]) -> list[Event]:
        return drop(events, routes(events, "toDeposit")[0])

    meanings = {one.meaning for one in run(pledges.check_claims_first, change).differences}
    assert meanings & {"a claim went past a standing order", "a claim went past an overdue debt"}


# Fee pool (A18) and wiring (A4)


@pytest.mark.parametrize(("name", "value"), [("DepositorsPaid", "amount"), ("LossCovered", "paid")])
def test_a_draw_of_another_sum(run: Run, name: str, value: str) -> None:
    def change(events: list[Event]) -> list[Event]:
        draw = next(event for event in of(events, "FeePool", name) if event.args[value])
        return swap(events, draw, **{value: draw.args[value] - 1})

    wheres = [one.where for one in run(fees.check_fee_pool, change).differences]
    assert any("paid to" in where for where in wheres)


def test_a_draw_without_an_event(run: Run, evidence: Evidence) -> None:
    pool = evidence.address("FeePool")
    for name, value in (("DepositorsPaid", "amount"), ("LossCovered", "paid"), ("ReserveRestored", "amount")):
        # A loss of which nothing was paid moves no credits.
        told = next(event for event in of(evidence.events, "FeePool", name) if event.args[value])
        found = run(fees.check_fee_pool, partial(drop, gone=told))
        assert found.status == "failed", name
    draw = next(
        event for event in of(evidence.events, "AttentionCredit", "Transfer") if event.args["from"] == pool
    )
    found = run(fees.check_fee_pool, lambda events: swap(events, draw, to=STRANGER))
    assert f"FeePool, paid to {STRANGER}" in [one.where for one in found.differences]


@pytest.mark.parametrize(("contract", "name"), [("CreditDistributor", "RoomsSet"), ("FeePool", "PayeesSet")])
def test_rooms_or_payees_set_twice(run: Run, contract: str, name: str) -> None:
    found = run(code.check_wiring, lambda events: [*events, of(events, contract, name)[0]])
    assert ["for ever" in one.meaning for one in found.differences] == [True]
