"""Registered policies: a real history with its events changed; see audit.tree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.audit.history import History
from timebank_chain.audit import policies
from timebank_chain.audit.case import AuditCase
from timebank_chain.audit.evidence import CONTRACTS, Event, Evidence, read_artifacts
from timebank_chain.audit.replay import replay
from timebank_chain.audit.report import Check
from timebank_chain.audit.run import shipped_artifacts

Change = Callable[[list[Event]], list[Event]]
Run = Callable[[Change], Check]


@pytest.fixture(scope="module")
def run(lived_history: History) -> Run:
    """Run the check over the history with its events changed."""
    deployment = lived_history.world.timebank.deployment
    evidence = Evidence(
        w3=lived_history.connection.w3,
        addresses={name: str(deployment.contracts[name].address) for name in CONTRACTS},
        artifacts=read_artifacts(shipped_artifacts()),
        from_block=deployment.first_block,
        to_block=lived_history.connection.block_number(),
    )
    evidence.read_events()

    def check(change: Change) -> Check:
        changed = replace(evidence, events=change(list(evidence.events)))
        return policies.check_registered(
            AuditCase(
                evidence=changed,
                ledger=replay(changed.events),
                deployment=deployment,
                chain_id=lived_history.connection.chain_id,
                epochs_folder=lived_history.epochs,
                artifacts_folder=shipped_artifacts(),
            )
        )

    return check


def is_registration(event: Event) -> bool:
    return event.name == "PolicyRegistered"


def with_policy(**fields: Any) -> Change:
    """The registered policy with some fields changed."""

    def change(events: list[Event]) -> list[Event]:
        return [
            replace(event, args={**event.args, "policy": {**event.args["policy"], **fields}})
            if is_registration(event)
            else event
            for event in events
        ]

    return change


def test_the_history_as_it_is_passes(run: Run, lived_history: History) -> None:
    check = run(lambda events: events)
    assert check.status == "ok"
    assert check.figure == "1 registered, 1 times one set"
    assert list(check.evidence["registered"].values()) == [lived_history.policy.name]


def test_a_policy_that_was_never_registered(run: Run) -> None:
    check = run(lambda events: [event for event in events if not is_registration(event)])
    assert [(one.where.split(", ")[-1], one.found) for one in check.differences] == [
        ("RateOracle.PolicySet", "never registered")
    ]


def test_a_policy_registered_after_it_came_into_force(run: Run) -> None:
    def late(events: list[Event]) -> list[Event]:
        moved = [replace(event, block=event.block + 3) for event in events if is_registration(event)]
        return sorted(
            [*(event for event in events if not is_registration(event)), *moved],
            key=lambda event: event.position,
        )

    (difference,) = run(late).differences
    assert "PolicyRegistered" in difference.found


def test_a_policy_beside_another_ones_hash(run: Run) -> None:
    check = run(with_policy(decayK=7))
    assert check.differences[0].where.endswith("PolicyRegistry.PolicyRegistered")
    assert check.differences[1].where.endswith(".json, decayK")
    assert check.differences[1].expected == "7"


def test_a_policy_out_of_bounds(run: Run) -> None:
    assert run(with_policy(version=0)).differences[0].found == "VersionIsZero()"
    brackets = [{"fromMultipleMilli": 1, "slopeMilli": 5}]
    assert run(with_policy(brackets=brackets)).differences[0].found == "FirstBracketNotAtZero(1)"


def test_a_domain_of_the_published_file_that_differs(run: Run, lived_history: History) -> None:
    def change(events: list[Event]) -> list[Event]:
        (event,) = filter(is_registration, events)
        domains = [dict(domain) for domain in event.args["policy"]["domains"]]
        domains[1]["originality"] = domains[1]["originality"][:-1]
        domains[0]["engagement"] = [{"rawMilli": 0, "rankMilli": 77}, *domains[0]["engagement"][1:]]
        return with_policy(domains=domains)(events)

    places = [difference.where.split(".json, ")[-1] for difference in run(change).differences[1:]]
    assert places == ["domains[0].engagement[0].rankMilli", "domains[1].originality, count"]


def test_a_policy_registered_twice(run: Run) -> None:
    def twice(events: list[Event]) -> list[Event]:
        (event,) = filter(is_registration, events)
        return [*events, replace(event, block=events[-1].block + 1)]

    (difference,) = run(twice).differences
    assert difference.found == "registered again"
