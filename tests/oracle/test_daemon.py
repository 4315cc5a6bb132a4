"""The daemon, tick by tick, against contracts on a chain of their own.

one epoch
|- nothing is proposed before the epoch and its grace have passed
|- from feed to claimed credits: proposed, finalised, claimed, bond back, each once
|- placeholders without a wallet are skipped, and paid once they are linked
|- an epoch without acts is proposed too
|- a second daemon on the same folder and chain repeats nothing
several epochs
|- follow each other without a gap; late rows are rejected once, with their reason
|- a newcomer with a published id is rejected alone, also by a fresh journal; signers agree
|- after a pause, missed epochs are closed one after another
quorum
|- waits for the other members' signatures, then proposes
|- files that are no valid signature are refused and named
`- a member whose feed differs does not sign: it builds its own
requests for leaves
|- what is asked for is shown, once; the epoch is held, then finalised, and the bond comes back
|- without the published files it waits, and goes on when somebody else has answered
|- a flood of requests under many names is answered in one transaction
`- what somebody else shows first is passed over
void
|- a voided epoch is built again from the corrected feed
|- the same header is not proposed twice, whether governance voided it or a proof
`- one voided only for a withheld leaf is proposed again
trouble
|- another policy than the chain's is fatal at the start; brought into force meanwhile, nothing is built or
|  signed by the old one, what is pending becomes final, and the daemon of the new one goes on
|- a wrong folder, no first start, a paused oracle
|- a feed that shrank ends the run; a damaged row does not
|- what a later tick can mend is tried again, waiting longer each time
`- stop between steps
"""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import pytest
from hexbytes import HexBytes

from tests.oracle.stage import ANSWER_SECONDS, EPOCH_MS, WINDOW_SECONDS, ChainClock, Stage, placeholder
from tests.world import SIGNERS
from timebank_chain.chain.events import EpochProposed
from timebank_chain.chain.inquiries import open_requests
from timebank_chain.chain.rate_oracle import PendingEpoch
from timebank_chain.epoch import (
    EpochBuild,
    build_epoch,
    epoch_folder,
    evidence_of,
    find_faults,
    read_epoch,
    read_policy,
    verify_epoch,
)
from timebank_chain.epoch.file import HEADER_FILE, encode_header
from timebank_chain.errors import ActivityError, OracleError
from timebank_chain.oracle.answer import answer_call
from timebank_chain.oracle.daemon import Did
from timebank_chain.oracle.feed import FeedChanged
from timebank_chain.oracle.intake import read_intake
from timebank_chain.oracle.propose import Voided, finalise_call, propose_call, voided_headers
from timebank_chain.oracle.recompute import differences, final_records
from timebank_chain.oracle.sign import SIGNATURES_FOLDER, sign_header, write_signature
from timebank_chain.oracle.state import OracleState, read_state
from timebank_chain.units import format_time
from timebank_chain.valuation import load_policy, policy_call, policy_hash


def past_end(stage: Stage, epoch: int = 1) -> None:
    """Move the chain past the end of an epoch."""
    end = stage.start_ms // 1_000 + epoch * EPOCH_MS // 1_000 + 1
    stage.world.connection.advance_time(max(1, end - stage.world.connection.timestamp()))


def rejects(stage: Stage) -> list[dict[str, str]]:
    with stage.settings.rejects_path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_waits_for_the_end_and_for_the_grace(stage: Stage) -> None:
    daemon = stage.daemon(grace_ms=30_000)
    tick = daemon.tick()
    assert (tick.did, tick.until_ms) == (Did.WAITING_FOR_END, stage.start_ms + EPOCH_MS + 30_000)
    past_end(stage)
    assert daemon.tick().did is Did.WAITING_FOR_END
    assert stage.counts() == {}
    stage.world.connection.advance_time(30)
    assert daemon.tick().did is Did.PROPOSED


def test_from_feed_to_claimed_credits_each_effect_once(stage: Stage) -> None:
    for second in (5, 10, 15):
        stage.act(f"a{second}", "member1", second)
    stage.act("b", "member2", 20)
    past_end(stage)
    daemon = stage.daemon()
    daemon.startup()
    assert daemon.tick().did is Did.PROPOSED
    assert daemon.tick().did is Did.WAITING_FOR_WINDOW
    stage.world.connection.advance_time(WINDOW_SECONDS + 1)
    assert daemon.tick().did is Did.FINALISED
    assert daemon.tick().did is Did.CLAIMED
    assert daemon.tick().did is Did.WAITING_FOR_END
    assert stage.counts() == {"BondWithdrawn": 1, "Claimed": 2, "EpochFinalised": 1, "EpochProposed": 1}
    published = read_epoch(stage.epochs, 1)
    policy = read_policy(stage.epochs, published.header.policy_hash)
    assert verify_epoch(published, None, policy) == []
    assert sum(stage.claimed().values()) == published.header.total_mint > 0
    credit = stage.world.timebank.attention_credit
    assert credit.balance_of(SIGNERS["member1"].address) == stage.claimed()[SIGNERS["member1"].address]


def test_placeholders_wait_for_their_wallet(stage: Stage) -> None:
    stage.act("a", "member1", 5)
    stage.act("b", "somebody without a wallet", 6)
    past_end(stage)
    daemon = stage.daemon()
    stage.run_until(daemon, 1)
    assert set(stage.claimed()) == {SIGNERS["member1"].address}
    registry = stage.world.timebank.member_registry
    address = "0x" + placeholder("somebody without a wallet").hex()
    stage.world.send("registrar", registry.request_link(address, SIGNERS["member4"].address))
    stage.world.connection.advance_time(2)
    stage.world.send("stranger", registry.confirm_link(address))
    past_end(stage, 2)
    stage.run_until(daemon, 2)
    paid = stage.world.timebank.attention_credit.balance_of(SIGNERS["member4"].address)
    accounts = read_epoch(stage.epochs, 2).accounts
    assert paid == accounts.cumulative_mint[accounts.find(placeholder("somebody without a wallet"))] > 0


def test_an_epoch_without_acts_is_proposed_too(stage: Stage) -> None:
    past_end(stage)
    stage.run_until(stage.daemon(), 1)
    assert stage.counts() == {"BondWithdrawn": 1, "EpochFinalised": 1, "EpochProposed": 1}
    assert read_epoch(stage.epochs, 1).header.activity_count == 0


def test_a_fresh_journal_repeats_nothing(stage: Stage) -> None:
    stage.act("a", "member1", 5)
    past_end(stage)
    stage.run_until(stage.daemon(), 1)
    before = stage.counts()
    stage.settings.journal_path.unlink()
    stage.run_until(stage.daemon(), 1)
    assert stage.counts() == before


def test_epochs_follow_each_other_and_late_rows_are_rejected_once(stage: Stage) -> None:
    daemon = stage.daemon()
    for epoch in (1, 2, 3):
        stage.act(f"in {epoch}", "member1", epoch * 60 - 30)
        if epoch > 1:
            stage.act(f"late {epoch}", "member2", epoch * 60 - 70)
        past_end(stage, epoch)
        stage.run_until(daemon, epoch)
    assert stage.counts()["EpochProposed"] == 3
    headers = [read_epoch(stage.epochs, number).header for number in (1, 2, 3)]
    assert [header.activity_count for header in headers] == [1, 1, 1]
    assert headers[2].previous_header_hash == headers[1].hash()
    late = [row for row in rejects(stage) if row["reason"].startswith("late: ")]
    assert [row["id"] for row in late] == ["late 2", "late 3"]
    assert late[0]["source"] == "feed.csv"
    assert late[0]["line"] == "4"
    assert format_time(stage.start_ms + 50_000) in late[0]["reason"]


def test_a_newcomer_with_a_published_id_is_rejected_alone(stage: Stage) -> None:
    stage.act("a", "member1", 5)
    stage.act("b", "member2", 6)
    past_end(stage)
    stage.run_until(stage.daemon(), 1)
    first = read_epoch(stage.epochs, 1)

    stage.act("a", "member3", 70, ("9", "9", "9"))
    stage.act("c", "member2", 75)
    stage.settings.journal_path.unlink()  # what is published says it, not what we remember
    past_end(stage, 2)
    stage.run_until(stage.daemon(), 2)
    second = read_epoch(stage.epochs, 2)
    assert second.header.activity_count == 1
    assert [(row["id"], row["line"], row["reason"]) for row in rejects(stage)] == [
        ("a", "4", "id already published in epoch 1")
    ]

    oracle = stage.world.timebank.rate_oracle
    source = {"feed.csv": stage.feed}
    for published, previous in ((first, None), (second, first)):
        number = published.number
        known = final_records(
            stage.epochs,
            published,
            is_final=lambda number=number: oracle.latest_epoch() >= number,  # type: ignore[misc]  # bound now
        )
        intake = read_intake(
            source,
            None,
            stage.policy,
            start_ms=published.header.start_ms,
            end_ms=published.header.end_ms,
            now_ms=published.header.end_ms + EPOCH_MS,
            salt_key=stage.settings.salt_key,
            is_closed=lambda _record: True,
            published=known,
        )
        own = (intake.table, stage.settings.read_members())
        assert differences(published, previous, stage.policy, own) == []


def test_a_finalised_epoch_has_nothing_left_to_propose(stage: Stage) -> None:
    stage.act("a", "member1", 5)
    past_end(stage)
    stage.run_until(stage.daemon(), 1)
    header = read_epoch(stage.epochs, 1).header
    timebank = stage.world.timebank
    with pytest.raises(OracleError) as caught:
        propose_call(timebank, _state(stage), header, [])
    assert caught.value.message == "epoch 1 is finalised already, nothing to do"
    assert "the next one is 2" in (caught.value.hint or "")
    with pytest.raises(OracleError, match="finalised already, with the header 0x") as caught:
        propose_call(timebank, _state(stage), replace(header, data_uri="elsewhere"), [])
    assert "fetch the finalised epoch's files" in (caught.value.hint or "")


def test_missed_epochs_are_closed_one_after_another(stage: Stage) -> None:
    stage.act("first", "member1", 30)
    stage.act("third", "member1", 150)
    past_end(stage, 3)
    stage.run_until(stage.daemon(), 3)
    assert [read_epoch(stage.epochs, n).header.activity_count for n in (1, 2, 3)] == [1, 0, 1]
    # On a slow machine a fourth epoch may end meanwhile: none is left out, none proposed twice.
    proposed = [event.epoch for event in stage.events() if isinstance(event, EpochProposed)]
    assert proposed == list(range(1, len(proposed) + 1))
    assert proposed[:3] == [1, 2, 3]


def test_waits_for_the_other_members_signatures(stage: Stage) -> None:
    stage.act("a", "member1", 5)
    past_end(stage)
    daemon = stage.daemon("signer1")
    assert daemon.tick().did is Did.WAITING_FOR_SIGNATURES
    published = read_epoch(stage.epochs, 1)
    timebank = stage.world.timebank
    oracle = bytes.fromhex(timebank.rate_oracle.address[2:])
    chain_id = timebank.connection.chain_id

    foreign = sign_header(published.header, SIGNERS["stranger"], chain_id, oracle)
    write_signature(published.folder, foreign)
    other_chain = sign_header(published.header, SIGNERS["signer2"], chain_id + 1, oracle)
    path = write_signature(published.folder, other_chain)
    (published.folder / SIGNATURES_FOLDER / "junk.json").write_text("{")
    assert daemon.tick().did is Did.WAITING_FOR_SIGNATURES
    refused = dict(daemon.closer.collect(published, _state(stage)).refused)
    assert "no member of the quorum" in refused[f"{SIGNERS['stranger'].address}.json"]
    assert "was not made by" in refused[path.name]
    assert "not a readable JSON file" in refused["junk.json"]

    write_signature(published.folder, sign_header(published.header, SIGNERS["signer2"], chain_id, oracle))
    assert daemon.tick().did is Did.PROPOSED


def test_a_member_whose_feed_differs_builds_its_own(stage: Stage) -> None:
    stage.act("a", "member1", 5)
    past_end(stage)
    stage.daemon("signer1").tick()
    theirs = read_epoch(stage.epochs, 1).header
    other_feed = stage.folder / "other.csv"
    other_feed.write_text(stage.feed.read_text().replace(",4,3,5", ",4,3,4"))
    other = stage.daemon(
        "signer2", feed=other_feed, state=stage.folder / "other-state", journal=_other(stage)
    )
    assert other.tick().did is Did.WAITING_FOR_SIGNATURES
    ours = read_epoch(stage.epochs, 1)
    assert ours.header.hash() != theirs.hash()
    assert [path.stem for path in (ours.folder / SIGNATURES_FOLDER).iterdir()] == [SIGNERS["signer2"].address]


def test_a_member_with_the_same_feed_adds_its_signature(stage: Stage) -> None:
    stage.act("a", "member1", 5)
    past_end(stage)
    stage.daemon("signer1").tick()
    other = stage.daemon("signer2", state=stage.folder / "other-state", journal=_other(stage))
    assert other.tick().did is Did.PROPOSED


def test_a_voided_epoch_is_built_again_from_the_corrected_feed(stage: Stage) -> None:
    stage.act("a", "member1", 5)
    past_end(stage)
    daemon = stage.daemon()
    assert daemon.tick().did is Did.PROPOSED
    _void(stage, "member1 did not do that")
    with pytest.raises(OracleError, match="comes out again exactly as it was voided"):
        daemon.tick()
    stage.act("forgotten", "member2", 6)
    assert daemon.tick().did is Did.PROPOSED
    assert read_epoch(stage.epochs, 1).header.activity_count == 2
    assert stage.counts()["EpochProposed"] == 2


def test_leaves_that_are_asked_for_are_shown_once(stage: Stage) -> None:
    for second, member in enumerate(("member1", "member2", "member3"), start=5):
        stage.act(f"act {second}", member, second)
    past_end(stage)
    daemon = stage.daemon()
    assert daemon.tick().did is Did.PROPOSED
    header = read_epoch(stage.epochs, 1).header
    stage.world.ask("stranger", header, "activity", 2)
    stage.world.ask("payee", header, "account", 0)
    assert _state(stage).open_requests == 2
    assert daemon.tick().did is Did.ANSWERED
    assert daemon.tick().did is Did.WAITING_FOR_WINDOW
    shown = stage.answers()
    assert {type(one).__name__: (one.index, one.responder) for one in shown} == {
        "ActivityAnswered": (2, SIGNERS["signer1"].address),
        "AccountAnswered": (0, SIGNERS["signer1"].address),
    }
    stage.world.connection.advance_time(WINDOW_SECONDS + 1)
    stage.run_until(daemon, 1)
    assert stage.answers() == shown
    assert stage.counts()["BondWithdrawn"] == stage.counts()["EpochFinalised"] == 1


def test_a_flood_of_requests_is_answered_in_one_transaction(stage: Stage) -> None:
    """Under many names each request costs the deposit alone: showing leaves must be cheaper than asking."""
    for second, member in enumerate(("member1", "member2", "member3", "member4"), start=5):
        stage.act(f"act {second}", member, second)
    past_end(stage)
    daemon = stage.daemon()
    assert daemon.tick().did is Did.PROPOSED
    header = read_epoch(stage.epochs, 1).header
    names = [role for role in SIGNERS if role not in ("signer1", "proposer")]
    asked = [("activity", index) for index in range(4)] + [("account", index) for index in range(4)]
    gas = [
        stage.world.ask(role, header, tree, index).gas_used
        for role, (tree, index) in zip(names, asked, strict=False)
    ]
    assert len(gas) == 8
    assert daemon.tick().did is Did.ANSWERED
    assert len(stage.answers()) == 8
    (transaction,) = {one.at.transaction for one in stage.answers()}
    spent = stage.world.connection.w3.eth.get_transaction_receipt(HexBytes(transaction))["gasUsed"]
    assert spent < sum(gas) / 2
    assert _state(stage).open_requests == 0


def test_waits_while_the_epoch_is_held(stage: Stage) -> None:
    stage.act("a", "member1", 5)
    past_end(stage)
    daemon = stage.daemon()
    assert daemon.tick().did is Did.PROPOSED
    published = read_epoch(stage.epochs, 1)
    hidden = stage.folder / "hidden"
    epoch_folder(stage.epochs, 1).rename(hidden)
    stage.world.connection.advance_time(WINDOW_SECONDS - 5)
    stage.world.ask("stranger", published.header, "account", 0)
    assert daemon.tick().did is Did.WAITING_FOR_WINDOW
    stage.world.connection.advance_time(5)
    assert (daemon.tick().did, daemon.tick().until_ms) == (Did.HELD, None)
    with pytest.raises(OracleError, match="cannot become final while a leaf is asked for"):
        finalise_call(stage.world.timebank, _state(stage), published.header)
    (request,) = open_requests(stage.world.timebank, *_pending(stage))
    stage.world.send("signer2", answer_call(stage.world.timebank, published, request))
    assert open_requests(stage.world.timebank, *_pending(stage)) == []
    tick = daemon.tick()
    (answered,) = stage.answers()
    assert (tick.did, tick.until_ms) == (Did.HELD, answered.held_until * 1_000)
    with pytest.raises(OracleError, match="is held until"):
        finalise_call(stage.world.timebank, _state(stage), published.header)
    hidden.rename(epoch_folder(stage.epochs, 1))
    stage.world.connection.advance_time(ANSWER_SECONDS + 1)
    stage.run_until(daemon, 1)
    assert stage.counts()["EpochFinalised"] == 1


def test_what_somebody_else_shows_first_is_passed_over(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.act("a", "member1", 5)
    stage.act("b", "member2", 6)
    past_end(stage)
    daemon = stage.daemon()
    assert daemon.tick().did is Did.PROPOSED
    published = read_epoch(stage.epochs, 1)
    for index in (0, 1):
        stage.world.ask("stranger", published.header, "account", index)
    seen = open_requests(stage.world.timebank, *_pending(stage))
    monkeypatch.setattr("timebank_chain.oracle.daemon.open_requests", lambda *_: seen)
    stage.world.send("payee", answer_call(stage.world.timebank, published, seen[0]))
    assert daemon.tick().did is Did.ANSWERED
    assert [(one.index, one.responder) for one in stage.answers()] == [
        (0, SIGNERS["payee"].address),
        (1, SIGNERS["signer1"].address),
    ]


def test_a_header_that_was_proved_wrong_is_not_proposed_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.act("a", "member1", 5)
    past_end(stage)
    daemon = stage.daemon()

    def wrong(*arguments: object, **options: object) -> EpochBuild:
        made = build_epoch(*arguments, **options)  # type: ignore[arg-type]  # handed on
        header = replace(made.header, total_earned=made.header.total_earned + 1)
        return replace(made, header=header, files={**made.files, HEADER_FILE: encode_header(header)})

    with monkeypatch.context() as patch:
        patch.setattr("timebank_chain.oracle.close.build_epoch", wrong)
        assert daemon.tick().did is Did.PROPOSED
        published = read_epoch(stage.epochs, 1)
        fault = find_faults(published, None, stage.policy)[-1]
        assert fault.function == "proveTotals"
        stage.world.prove("stranger", evidence_of(fault, published, None, stage.policy))
        assert voided_headers(stage.world.timebank, 1) == {
            published.header.hash(): Voided("fault class 9: proved", withheld=False)
        }
        with pytest.raises(OracleError, match=r"exactly as it was voided \(fault class 9: proved\)"):
            daemon.tick()
    assert daemon.tick().did is Did.PROPOSED
    assert find_faults(read_epoch(stage.epochs, 1), None, stage.policy) == []


def test_a_header_voided_only_for_a_withheld_leaf_is_proposed_again(stage: Stage) -> None:
    stage.act("a", "member1", 5)
    past_end(stage)
    assert stage.daemon().tick().did is Did.PROPOSED
    header = read_epoch(stage.epochs, 1).header
    stage.world.ask("stranger", header, "account", 0)
    stage.world.connection.advance_time(ANSWER_SECONDS + 1)
    stage.world.send("payee", stage.world.timebank.leaf_requests.void_unanswered(header, "account", 0))
    assert voided_headers(stage.world.timebank, 1)[header.hash()].withheld
    daemon = stage.daemon()
    assert daemon.tick().did is Did.PROPOSED
    assert read_epoch(stage.epochs, 1).header == header
    # A request for the first proposal is none for the second one.
    assert open_requests(stage.world.timebank, *_pending(stage)) == []
    stage.run_until(daemon, 1)
    assert stage.counts()["EpochProposed"] == 2


def test_another_policy_is_fatal_at_the_start(stage: Stage) -> None:
    with pytest.raises(OracleError, match="the chain asks for 0x"):
        stage.daemon(policy=load_policy("identity")).startup()


def test_nothing_is_signed_by_a_policy_that_went_out_of_force(stage: Stage) -> None:
    for number in (1, 2):
        stage.act(f"a{number}", "member1", number * 60 - 30)
    stage.world.connection.advance_time(2 * EPOCH_MS // 1_000 + 1)
    daemon = stage.daemon()
    assert daemon.tick().did is Did.PROPOSED
    # The second epoch, as the old policy's quorum had it before governance changed the policy.
    old = read_epoch(stage.epochs, 1).header.policy_hash
    changed = replace(stage.policy, name="from the second epoch on")
    registry, oracle = stage.world.timebank.policy_registry, stage.world.timebank.rate_oracle
    stage.world.send("stranger", registry.register(policy_call(changed)))
    stage.world.govern(oracle.set_policy(policy_hash(changed), ""))
    with pytest.raises(OracleError, match="the chain asks for 0x" + policy_hash(changed).hex()) as refused:
        stage.run_until(daemon, 2)
    assert "--policy FILE" in (refused.value.hint or "")
    assert oracle.latest_epoch() == 1, "what was pending under the old policy is final"
    assert stage.claimed(), "and claimed"
    assert not epoch_folder(stage.epochs, 2).exists(), "nothing was built by the old policy"

    successor = stage.daemon(policy=changed)
    successor.startup()
    stage.run_until(successor, 2)
    assert read_epoch(stage.epochs, 2).header.policy_hash == policy_hash(changed) != old


def test_what_was_published_by_the_old_policy_is_not_signed_again(stage: Stage) -> None:
    """One of two signatures is there when the policy changes; the other must not come."""
    stage.act("a1", "member1", 30)
    stage.world.connection.advance_time(EPOCH_MS // 1_000 + 1)
    assert stage.daemon("signer1").tick().did is Did.WAITING_FOR_SIGNATURES
    changed = replace(stage.policy, name="the first epoch's after all")
    registry, oracle = stage.world.timebank.policy_registry, stage.world.timebank.rate_oracle
    stage.world.send("stranger", registry.register(policy_call(changed)))
    stage.world.govern(oracle.set_policy(policy_hash(changed), ""))
    with pytest.raises(OracleError, match="the chain asks for"):
        stage.daemon("signer1", "signer2").tick()
    signatures = list((epoch_folder(stage.epochs, 1) / "signatures").glob("*.json"))
    assert [path.stem for path in signatures] == [SIGNERS["signer1"].address]
    stage.run_until(stage.daemon("signer1", "signer2", policy=changed), 1)
    assert read_epoch(stage.epochs, 1).header.policy_hash == policy_hash(changed)


def test_the_first_epoch_needs_a_start(stage: Stage) -> None:
    with pytest.raises(OracleError, match="nothing says where the first one starts") as caught:
        stage.daemon(first_epoch_start_ms=None).startup()
    assert "--first-epoch-start" in (caught.value.hint or "")


def test_a_folder_of_another_history_stops(stage: Stage) -> None:
    stage.act("a", "member1", 5)
    past_end(stage)
    stage.run_until(stage.daemon(), 1)
    header = epoch_folder(stage.epochs, 1) / "header.json"
    document = json.loads(header.read_text())
    document["dataURI"] = "https://elsewhere.example"
    document.pop("headerHash")
    from timebank_chain.epoch import EpochHeader

    forged = read_epoch(stage.epochs, 1).header
    changed = EpochHeader(
        **{name: getattr(forged, name) for name in forged.__slots__ if name != "data_uri"},
        data_uri="elsewhere",
    )
    header.write_text(json.dumps(changed.to_json()))
    with pytest.raises(OracleError, match="the chain finalised 0x"):
        stage.daemon().startup()


def test_waits_while_proposals_are_paused(stage: Stage) -> None:
    past_end(stage)
    oracle = stage.world.timebank.rate_oracle
    stage.world.send("guardian", oracle.pause_proposals())
    daemon = stage.daemon()
    assert daemon.tick().did is Did.PAUSED
    stage.world.govern(oracle.resume_proposals(oracle.pauses()))
    assert daemon.tick().did is Did.PROPOSED


def test_a_feed_that_shrank_ends_the_run(stage: Stage) -> None:
    stage.act("a", "member1", 5)
    past_end(stage)
    daemon = stage.daemon()
    stage.run_until(daemon, 1)
    stage.feed.write_text("id\n")
    past_end(stage, 2)
    with pytest.raises(FeedChanged, match="shrank"):
        daemon.run(poll_seconds=1)
    stage.feed.unlink()
    with pytest.raises(FeedChanged, match="vanished"):
        daemon.run(poll_seconds=1)
    assert stage.counts()["EpochProposed"] == 1


def test_what_a_later_tick_can_mend_is_tried_again(stage: Stage) -> None:
    whole = stage.feed.read_text()
    stage.feed.write_text("not our columns\n1\n")
    past_end(stage)
    daemon = stage.daemon()
    naps: list[float] = []

    class MendingClock(ChainClock):
        def sleep(self, seconds: float) -> None:
            naps.append(seconds)
            super().sleep(seconds)
            if len(naps) == 3:
                stage.feed.write_text(whole)

    daemon.clock = MendingClock(stage.world.connection)
    daemon.checkpoint = lambda step: daemon.stop.set() if step == "proposed" else None
    daemon.run(poll_seconds=1)
    assert naps == [1, 2, 4]
    assert stage.counts() == {"EpochProposed": 1}
    with pytest.raises(ActivityError):
        stage.feed.write_text("not our columns\n1\n" + "x" * 200 + "\n")
        stage.journal().forget_feed()
        past_end(stage, 2)
        fresh = stage.daemon()
        stage.world.connection.advance_time(WINDOW_SECONDS + 1)
        fresh.run(poll_seconds=1, once=True)


def test_malformed_rows_are_rejected_and_the_rest_is_valued(stage: Stage) -> None:
    stage.act("good", "member1", 5)
    stage.act("negative", "member1", 6, ("-4", "3", "5"))
    stage.act("words", "member1", 7, ("four", "3", "5"))
    with stage.feed.open("a") as file:
        file.write("short,row\n")
        file.write(f"x,member1,no such domain,{stage.start_ms + 1},1,1,1\n")
        file.write("partial,member1")
    past_end(stage)
    stage.run_until(stage.daemon(), 1)
    assert read_epoch(stage.epochs, 1).header.activity_count == 1
    found = {row["id"]: row for row in rejects(stage)}
    assert found["negative"]["field"] == "interaction"
    assert found["negative"]["reason"].startswith("negative number")
    assert found["words"]["reason"].startswith("not a number")
    assert found["x"]["reason"].startswith("unknown domain")
    assert any(row["reason"].startswith("wrong number of cells: 2") for row in rejects(stage))
    assert "partial" not in found


def test_a_damaged_publication_is_built_again(stage: Stage) -> None:
    stage.act("a", "member1", 5)
    past_end(stage)
    daemon = stage.daemon("signer1")
    daemon.tick()
    rows = epoch_folder(stage.epochs, 1) / "activities.parquet"
    content = bytearray(rows.read_bytes())
    content[len(content) // 2] ^= 1
    rows.write_bytes(content)
    daemon.tick()
    assert verify_epoch(read_epoch(stage.epochs, 1), None, stage.policy) == []


def test_a_stop_is_taken_between_steps_and_the_next_run_goes_on(stage: Stage) -> None:
    stage.act("a", "member1", 5)
    past_end(stage)
    daemon = stage.daemon()
    daemon.checkpoint = lambda step: None
    daemon.closer.checkpoint = lambda step: daemon.stop.set() if step == "signed" else None
    daemon.run(poll_seconds=1)
    assert stage.counts() == {}
    stage.run_until(stage.daemon(), 1)
    assert stage.counts()["EpochProposed"] == 1


def _state(stage: Stage) -> OracleState:
    return read_state(stage.world.timebank, SIGNERS["signer1"].address)


def _pending(stage: Stage) -> tuple[PendingEpoch, int]:
    pending = stage.world.timebank.rate_oracle.pending()
    assert pending is not None
    return pending, stage.world.connection.block_number()


def _other(stage: Stage) -> object:
    from timebank_chain.oracle.journal import Journal

    (stage.folder / "other-state").mkdir()
    return Journal(stage.folder / "other-state" / "journal.sqlite", {"chain": "test"})


def _void(stage: Stage, reason: str) -> None:
    timebank = stage.world.timebank
    pending = timebank.rate_oracle.pending()
    assert pending is not None
    call = timebank.rate_oracle.void_proposal(pending.header_hash, SIGNERS["stranger"].address, reason)
    for _ in range(3):
        step = timebank.govern(SIGNERS["governor"], call)
        if step.state == "done":
            return
        stage.world.connection.advance_time(5)
    raise AssertionError("not voided")
