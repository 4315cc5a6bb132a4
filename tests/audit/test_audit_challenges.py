"""Challenges: a real history with its events changed, and with its state forged; see audit.tree."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.audit.history import History
from tests.audit.spoil import audit, failed, forge, rpc
from tests.epoch import sample
from timebank_chain.audit import challenges
from timebank_chain.audit.case import AuditCase
from timebank_chain.audit.challenge_book import ChallengeRules, replay_challenges
from timebank_chain.audit.evidence import CONTRACTS, Event, Evidence, read_artifacts
from timebank_chain.audit.replay import Proposal, replay
from timebank_chain.audit.report import Check
from timebank_chain.audit.run import shipped_artifacts
from timebank_chain.audit.storage import LAYOUTS
from timebank_chain.audit.storage_root import keccak, mapping_slot
from timebank_chain.epoch import evidence as epoch_evidence
from timebank_chain.epoch import evidence_of, find_faults, position_fault, publish, read_epoch
from timebank_chain.epoch.corrupt import corrupt_epoch, write_corruption
from timebank_chain.epoch.lies import variants
from timebank_chain.spec.epoch_challenge import PROOFS

Change = Callable[[list[Event]], list[Event]]
CHECKS = {
    "A49": challenges.check_voids,
    "A50": challenges.check_proofs,
    "A51": challenges.check_requests,
}
Run = Callable[[Change], dict[str, Check]]


def evidence_of_chain(history: History) -> Evidence:
    deployment = history.world.timebank.deployment
    evidence = Evidence(
        w3=history.connection.w3,
        addresses={name: str(deployment.contracts[name].address) for name in CONTRACTS},
        artifacts=read_artifacts(shipped_artifacts()),
        from_block=deployment.first_block,
        to_block=history.connection.block_number(),
    )
    evidence.read_events()
    return evidence


def checks(history: History, evidence: Evidence, change: Change) -> dict[str, Check]:
    changed = replace(evidence, events=change(list(evidence.events)))
    case = AuditCase(
        evidence=changed,
        ledger=replay(changed.events),
        deployment=history.world.timebank.deployment,
        chain_id=history.connection.chain_id,
        epochs_folder=history.epochs,
        artifacts_folder=shipped_artifacts(),
    )
    return {number: check(case) for number, check in CHECKS.items()}


@pytest.fixture(scope="module")
def run(lived_challenge_history: History) -> Run:
    """Run the checks over the history with its events changed."""
    evidence = evidence_of_chain(lived_challenge_history)
    return lambda change: checks(lived_challenge_history, evidence, change)


def same(events: list[Event]) -> list[Event]:
    return events


def without(name: str, which: int = 0) -> Change:
    """Leave one event of a name out."""

    def change(events: list[Event]) -> list[Event]:
        gone = [event for event in events if event.name == name][which]
        return [event for event in events if event is not gone]

    return change


def altered(name: str, which: int = 0, **args: Any) -> Change:
    """Change what one event of a name says."""

    def change(events: list[Event]) -> list[Event]:
        one = [event for event in events if event.name == name][which]
        return [replace(event, args={**event.args, **args}) if event is one else event for event in events]

    return change


def red(found: dict[str, Check]) -> list[str]:
    return [number for number, check in found.items() if check.status == "failed"]


def meanings(checks: Iterable[Check]) -> str:
    return " | ".join(difference.meaning for check in checks for difference in check.differences)


def test_the_history_as_it_is_is_green(lived_challenge_history: History) -> None:
    report = audit(lived_challenge_history)
    assert failed(report) == []
    assert report.check("A49").figure == "2 voids: 0 by governance, 1 by proof, 1 for a withheld leaf"
    assert report.check("A50").figure == "1 of 1 proofs judged again"
    assert report.check("A51").figure.startswith("6 requests, 3 answers, ")
    price = lived_challenge_history.world.timebank.leaf_requests.request_deposit_wei()
    assert report.check("A51").evidence["deposits_wei"] == 2 * price


@pytest.mark.anvil
def test_the_history_on_anvil_is_green(challenge_history: History) -> None:
    assert failed(audit(challenge_history)) == []


def test_voids_of_governance_are_told_from_others(lived_history: History) -> None:
    evidence = evidence_of_chain(lived_history)
    found = checks(lived_history, evidence, same)
    assert red(found) == []
    assert found["A49"].figure == "1 voids: 1 by governance, 0 by proof, 0 for a withheld leaf"
    assert found["A49"].notes == ()
    # Scheduled or not, the call that the manager carried out is governance's.
    unscheduled = checks(lived_history, evidence, altered("OperationScheduled", 1, data=b"something else"))
    assert (red(unscheduled), unscheduled["A49"].notes) == ([], ())
    # With another reason in the event neither is, and only a bundle of calls could be.
    other = checks(lived_history, evidence, altered("EpochVoided", reason="another"))
    assert "voided through another contract or in a bundle of calls" in other["A49"].notes[0]


@pytest.mark.parametrize(
    ("change", "numbers", "meaning"),
    [
        (without("FaultProved"), ["A49"], "nobody who may void this proposal did"),
        (without("LeafWithheld"), ["A49"], "nobody who may void this proposal did"),
        (without("EpochVoided"), ["A49", "A50"], "a proposal outlived its end"),
        (altered("EpochVoided", reward=0), ["A49"], "the challenger got another share"),
        (altered("EpochVoided", burned=0), ["A49"], "another part of the bond was burned"),
        (altered("EpochVoided", reason="because"), ["A49"], "EpochChallenge said something else"),
        (altered("EpochVoided", 1, reason="because"), ["A49"], "LeafRequests said something else"),
        (altered("FaultProved", faultClass=2), ["A49", "A50"], "the proof proves another fault"),
        (altered("FaultProved", index=77), ["A50"], "the proof proves another fault"),
        (altered("FaultProved", challenger="0x" + "11" * 20), ["A49", "A50"], "somebody else was rewarded"),
        (without("Committed"), ["A50"], "a proof was accepted that could have been copied"),
        (without("LeafRequested"), ["A51"], "nobody had waited in vain"),
        (altered("LeafRequested", deposit=1), ["A51"], "each request of one requester costs more"),
        (altered("LeafRequested", answerUntil=1), ["A51"], "a fixed time to show it"),
        (altered("LeafRequested", index=10_000), ["A51"], "a leaf was asked for that is not there"),
        (altered("LeafRequested", headerHash=bytes(32)), ["A51"], "no such proposal is pending"),
        (without("AccountAnswered"), ["A51"], "an epoch became final while leaves were asked"),
        (altered("AccountAnswered", deposit=1), ["A51"], "another deposit than was paid in"),
        (altered("AccountAnswered", heldUntil=1), ["A51"], "a fixed time to prove an answer wrong"),
        (altered("AccountAnswered", index=1), ["A51"], "nobody was waiting for it"),
        (altered("LeafWithheld", index=4), ["A51"], "nobody had waited in vain"),
        (without("DepositReturned"), ["A51"], "a request changed without an event"),
        (altered("DepositReturned", deposit=1), ["A51"], "another deposit than was paid in"),
    ],
)
def test_changed_events_are_found(run: Run, change: Change, numbers: list[str], meaning: str) -> None:
    found = run(change)
    assert red(found) == numbers
    assert meaning in meanings(found.values())


def test_an_answer_that_is_not_in_the_tree_is_found(run: Run) -> None:
    def change(events: list[Event]) -> list[Event]:
        one = next(event for event in events if event.name == "ActivityAnswered")
        leaf = {**one.args["activity"]["leaves"][0], "value": 5}
        shown = {**one.args["activity"], "leaves": [leaf]}
        return [
            replace(event, args={**event.args, "activity": shown}) if event is one else event
            for event in events
        ]

    found = run(change)
    assert red(found) == ["A51"]
    assert "what was shown is not in the tree" in meanings(found.values())


def test_a_request_made_twice_or_paid_back_twice_is_found(run: Run) -> None:
    def twice(name: str) -> Change:
        def change(events: list[Event]) -> list[Event]:
            one = next(event for event in events if event.name == name)
            at = events.index(one)
            return [*events[: at + 1], one, *events[at + 1 :]]

        return change

    assert "a leaf is asked for once" in meanings(run(twice("LeafRequested")).values())
    assert "a deposit was given back that was not held" in meanings(run(twice("DepositReturned")).values())


def test_published_rows_other_than_the_answers_are_found(
    lived_challenge_history: History, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = AuditCase._read_epochs

    def spoiled(case: AuditCase) -> Any:
        epochs = real(case)
        columns = dict(epochs[0].files.activities or {})
        columns["value"] = columns["value"] + 1
        epochs[0].files.activities = columns
        return epochs

    # Files changed on disk fail their checksum first: only what was read of them can differ from answers.
    monkeypatch.setattr(AuditCase, "_read_epochs", spoiled)
    found = run(same)
    assert red(found) == ["A51"]
    assert "the published value is not what the root commits to" in meanings(found.values())


def test_every_kind_of_proof_is_read_and_judged(lived_challenge_history: History, tmp_path: Path) -> None:
    """From a planted fault to its transaction and back: client, artifact and rules agree on every word."""
    history, policy = lived_challenge_history, sample.policy()
    case = AuditCase(
        evidence=evidence_of_chain(history),
        ledger=replay([]),
        deployment=history.world.timebank.deployment,
        chain_id=1,
        epochs_folder=tmp_path,
        artifacts_folder=shipped_artifacts(),
    )
    epochs = sample.publish_all(tmp_path / "epochs", 2)
    last = sample.START + 2 * sample.EPOCH - 7 * sample.DAY
    # In the third epoch two members rest, so that there is somebody to drop.
    rows = [row for row in sample.records() if row.member not in ("m1", "m3") or row.occurred < last]
    honest = publish(sample.build(3, epochs[-1], table=sample.table_of(rows)), tmp_path / "epochs")
    seen = set()
    for variant in variants():
        if variant.fault_class == 10 or variant.name.startswith("empty-"):
            continue
        made = corrupt_epoch(honest, epochs[1], policy, fault_class=variant.fault_class, variant=variant.name)
        if made.shown is not None:
            shown = position_fault(made.header, made.shown)
            assert shown is not None
            faults = [(shown, honest)]
        else:
            folder = write_corruption(made, tmp_path / "epochs", tmp_path / variant.name)
            wrong = read_epoch(folder.parent, 3)
            found = find_faults(wrong, epochs[1], policy)
            faults = [(fault, wrong) for fault in found if fault.fault_class == variant.fault_class]
        for fault, wrong in faults:
            if made.shown is None:
                evidence = evidence_of(fault, wrong, epochs[1], policy)
            else:
                arguments = (made.shown.leaf, made.shown.position, made.shown.siblings)
                evidence = epoch_evidence.Evidence(fault.function, made.header, arguments)
            call = history.world.timebank.epoch_challenge.prove(evidence, b"\x01" * 32)
            read = challenges._read_proof(case, call.data)
            assert read is not None
            function, values = read
            assert function == fault.function
            assert PROOFS[function](*values).fault_class in (fault.fault_class, 2)
            seen.add(function)
    assert seen == set(PROOFS)


def test_one_header_twice_in_a_second_is_one_proposal() -> None:
    """Asked for, voided, paid back, proposed again and asked for again: all under one key."""
    header = {"activityCount": 4, "accountCount": 4}
    asking = {"headerHash": b"\x01" * 32, "requester": "0x1", "tree": 1, "index": 2, "deposit": 10}

    def event(block: int, name: str, **args: object) -> Event:
        return Event("LeafRequests", name, {**asking, **args}, block, 0, bytes(32), 0)

    def proposed(block: int) -> Proposal:
        return Proposal(event(block, "-"), 1, b"\x01" * 32, "0x2", header, [], 1, 100)

    first, second = proposed(1), proposed(5)
    first.outcome, first.outcome_event = "voided", event(3, "-")
    events = [
        event(2, "LeafRequested", answerUntil=60),
        event(4, "DepositReturned"),
        event(6, "LeafRequested", answerUntil=60),
    ]
    rules = ChallengeRules(answer_time=10, request_deposit=10, timestamp=lambda _block: 50)
    book = replay_challenges(events, [first, second], rules)
    assert book.anomalies == []
    (inquiry,) = book.inquiries.values()
    assert (book.asked, len(inquiry.open), book.deposits) == (2, 1, 10)
    assert inquiry.proposal is second
    again = replay_challenges([*events, event(7, "DepositReturned")], [first, second], rules)
    assert [one.meaning for one in again.anomalies] == ["a deposit was given back that was not held"]


def inquiry_slot(history: History) -> bytes:
    """Where the pending proposal's requests are."""
    pending = history.world.timebank.rate_oracle.pending()
    assert pending is not None
    key = keccak(pending.header_hash + pending.challenge_ends_at.to_bytes(32, "big"))
    return mapping_slot(key, LAYOUTS["LeafRequests"]["_inquiries"])


@pytest.mark.anvil
class TestForgedState:
    def test_commitments(self, challenge_history: History) -> None:
        forge(challenge_history, "EpochChallenge", mapping_slot(b"\x06" * 32, 0), 1)
        assert failed(audit(challenge_history)) == ["A9"]
        forge(challenge_history, "EpochChallenge", mapping_slot(b"\x06" * 32, 0), 0)
        forge(challenge_history, "EpochChallenge", mapping_slot(b"\x05" * 32, 0), 0)
        assert failed(audit(challenge_history)) == ["A9"]

    def test_requests(self, challenge_history: History) -> None:
        first = inquiry_slot(challenge_history)
        forge(challenge_history, "LeafRequests", first, 0)
        assert failed(audit(challenge_history)) == ["A9", "A51"]

    def test_a_single_request(self, challenge_history: History) -> None:
        inner = (int.from_bytes(inquiry_slot(challenge_history), "big") + 2).to_bytes(32, "big")
        request = mapping_slot(bytes([5]), mapping_slot(bytes([0]), inner))
        forge(challenge_history, "LeafRequests", request, 0)
        assert failed(audit(challenge_history)) == ["A9", "A51"]

    def test_whose_requests_are_open(self, challenge_history: History) -> None:
        inner = (int.from_bytes(inquiry_slot(challenge_history), "big") + 1).to_bytes(32, "big")
        payee = bytes.fromhex(challenge_history.world.address("payee")[2:])
        forge(challenge_history, "LeafRequests", mapping_slot(payee, inner), 9)
        assert failed(audit(challenge_history)) == ["A9", "A51"]

    def test_who_voids_by_proof(self, challenge_history: History) -> None:
        forge(challenge_history, "RateOracle", LAYOUTS["RateOracle"]["challenge"], 0xDEADBEEF)
        assert failed(audit(challenge_history)) == ["A4", "A9"]

    def test_deposits_taken(self, challenge_history: History) -> None:
        rpc(challenge_history, "anvil_setBalance", challenge_history.address("LeafRequests"), "0x1")
        assert failed(audit(challenge_history)) == ["A51"]
