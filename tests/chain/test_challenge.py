"""Challenging a proposal through the clients, on both chains.

::

    commitment: computed here as the contract does; used up by its proof
    proof
    |- voids the proposal; the event says class, tree and index; the share is the challenger's
    |- not committed, committed by somebody else, nothing wrong, another header -> named
    requests
    |- price grows with what is open; what is asked for is seen, answered, held
    |- refusals by name
    |- unanswered: voided for who asked, deposits come back, once
    `- a request for the first of two proposals of one header is none for the second
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.world import FinalisedEpoch, World
from timebank_chain.chain.challenge_events import (
    AccountAnswered,
    Committed,
    DepositReturned,
    FaultProved,
    LeafRequested,
    LeafWithheld,
)
from timebank_chain.chain.challenge_reverts import (
    AlreadyRequested,
    AnswerTimeOpen,
    HeaderNotPending,
    NoSuchLeaf,
    NotAFault,
    NotCommitted,
    NotRequested,
    ProposalStillPending,
    WrongDeposit,
)
from timebank_chain.chain.events import EpochVoided, decode_logs
from timebank_chain.chain.inquiries import open_requests
from timebank_chain.chain.leaf_requests import LeafRequest
from timebank_chain.chain.rate_oracle import PendingEpoch
from timebank_chain.chain.reverts import EpochHeld
from timebank_chain.epoch.evidence import AccountEvidence, Evidence
from timebank_chain.epoch.header import EpochHeader

#: What a watcher would draw at random.
SALT = b"\x07" * 32


def proposed(world: World, **changes: object) -> FinalisedEpoch:
    """Three accounts without any act, proposed; nobody looks at that here."""
    made = world.make_epoch({world.address(f"member{n}"): n * 1_000_000 for n in (1, 2, 3)})
    made = replace(made, header=replace(made.header, **changes))  # type: ignore[arg-type]  # fields of the header
    world.propose(made.header)
    return made


def shown(made: FinalisedEpoch, index: int) -> AccountEvidence:
    return AccountEvidence((made.leaves[index],), tuple(made.tree.range_proof(index, 1)))


def totals(made: FinalisedEpoch) -> Evidence:
    return Evidence("proveTotals", made.header, (shown(made, 2),))


def pending(world: World) -> PendingEpoch:
    found = world.timebank.rate_oracle.pending()
    assert found is not None
    return found


def proposal(world: World) -> tuple[bytes, int]:
    found = pending(world)
    return found.header_hash, found.challenge_ends_at


class TestProof:
    def test_a_wrong_total_is_proved(self, world: World) -> None:
        made = proposed(world, total_earned=6_000_001)
        challenge, oracle = world.timebank.epoch_challenge, world.timebank.rate_oracle
        call = challenge.prove(totals(made), SALT)
        stranger = world.address("stranger")
        commitment = challenge.commitment_of(stranger, call.data)
        assert commitment == bytes(challenge._read("commitmentOf", stranger, call.data))
        assert challenge.committed_at(commitment) == 0
        (committed,) = decode_logs(world.send("stranger", challenge.commit(commitment)).logs)
        assert isinstance(committed, Committed)
        assert (committed.commitment, committed.sender) == (commitment, stranger)
        assert challenge.committed_at(commitment) == committed.at.block
        world.connection.advance_time(1)
        with pytest.raises(NotCommitted):
            world.send("payee", call)
        proved, voided = decode_logs(world.send("stranger", call).logs)
        assert isinstance(proved, FaultProved)
        assert (proved.fault_class, proved.tree, proved.index) == (9, "account", 0)
        assert (proved.challenger, proved.header_hash) == (stranger, made.header.hash())
        assert isinstance(voided, EpochVoided)
        assert voided.reason == "fault class 9: proved"
        assert oracle.withdrawable_wei(stranger) == voided.reward == voided.burned > 0
        assert challenge.committed_at(commitment) == 0
        assert oracle.pending() is None

    def test_what_is_right_is_no_fault(self, world: World) -> None:
        made = proposed(world)
        with pytest.raises(NotAFault) as caught:
            world.prove("stranger", totals(made))
        assert caught.value.values == {"faultClass": 9}
        other = replace(made, header=replace(made.header, data_uri="elsewhere"))
        with pytest.raises(HeaderNotPending):
            world.prove("stranger", totals(other))

    def test_a_salt_has_32_bytes(self, embedded_world: World) -> None:
        made = embedded_world.make_epoch({embedded_world.address("member1"): 1})
        with pytest.raises(ValueError, match="a salt of 3 bytes"):
            embedded_world.timebank.epoch_challenge.prove(Evidence("proveTotals", made.header, ()), b"abc")


class TestRequests:
    def test_what_is_asked_for_is_shown(self, world: World) -> None:
        made = proposed(world)
        requests, price = world.timebank.leaf_requests, world.timebank.leaf_requests.request_deposit_wei()
        key = proposal(world)
        stranger = world.address("stranger")
        assert requests.request_price(stranger) == price
        assert requests.held_until(*key) == key[1]
        assert requests.request_of(*key, "account", 2) is None
        (asked,) = decode_logs(world.ask("stranger", made.header, "account", 2).logs)
        assert isinstance(asked, LeafRequested)
        assert (asked.tree, asked.index, asked.deposit) == ("account", 2, price)
        assert requests.request_of(*key, "account", 2) == LeafRequest(
            world.address("stranger"), price, asked.answer_until
        )
        assert (requests.open_requests(*key), requests.request_price(stranger)) == (1, 4 * price)
        # Nobody else is priced out.
        assert requests.request_price(world.address("proposer")) == price
        assert requests.held_until(*key) is None
        assert open_requests(world.timebank, pending(world), asked.at.block) == [asked]
        world.connection.advance_time(world.timebank.rate_oracle.challenge_window() - 20)
        # Late, but nobody has voided it yet.
        (answered,) = decode_logs(
            world.send("proposer", requests.answer_account(made.header, shown(made, 2))).logs
        )
        assert isinstance(answered, AccountAnswered)
        assert (answered.account, answered.deposit) == (shown(made, 2), price)
        assert (requests.open_requests(*key), requests.held_until(*key)) == (0, answered.held_until)
        world.connection.advance_time(30)
        with pytest.raises(EpochHeld, match="requests for leaves hold the epoch until"):
            world.send("stranger", world.timebank.rate_oracle.finalise(made.header))
        world.connection.advance_time(requests.answer_time())
        world.send("stranger", world.timebank.rate_oracle.finalise(made.header))

    def test_refusals_by_name(self, world: World) -> None:
        made = proposed(world)
        requests = world.timebank.leaf_requests
        price = requests.request_price(world.address("stranger"))
        with pytest.raises(WrongDeposit, match="1 wei were sent"):
            world.send("stranger", requests.request_leaf(made.header, "account", 0, 1))
        with pytest.raises(NoSuchLeaf, match="there is no activity 0"):
            world.send("stranger", requests.request_leaf(made.header, "activity", 0, price))
        with pytest.raises(NotRequested, match="account 1 is not being asked for"):
            world.send("stranger", requests.answer_account(made.header, shown(made, 1)))
        world.ask("stranger", made.header, "account", 1)
        with pytest.raises(AlreadyRequested):
            world.ask("payee", made.header, "account", 1)
        with pytest.raises(AnswerTimeOpen):
            world.send("stranger", requests.void_unanswered(made.header, "account", 1))
        with pytest.raises(ProposalStillPending):
            world.send("stranger", requests.reclaim_deposit(*proposal(world), "account", 1))

    def test_what_nobody_shows_voids_the_proposal(self, world: World) -> None:
        made = proposed(world)
        requests, key = world.timebank.leaf_requests, proposal(world)
        world.ask("stranger", made.header, "account", 0)
        world.ask("member1", made.header, "account", 1)
        world.connection.advance_time(requests.answer_time() + 1)
        withheld, voided = decode_logs(
            world.send("payee", requests.void_unanswered(made.header, "account", 0)).logs
        )
        assert isinstance(withheld, LeafWithheld)
        assert (withheld.challenger, withheld.tree, withheld.index) == (
            world.address("stranger"),
            "account",
            0,
        )
        assert isinstance(voided, EpochVoided)
        assert voided.challenger == world.address("stranger")
        assert open_requests_again(world, made.header) == []
        before = world.connection.balance_wei(world.address("member1"))
        (returned,) = decode_logs(world.send("payee", requests.reclaim_deposit(*key, "account", 1)).logs)
        assert isinstance(returned, DepositReturned)
        assert world.connection.balance_wei(world.address("member1")) == before + returned.deposit
        with pytest.raises(NotRequested):
            world.send("payee", requests.reclaim_deposit(*key, "account", 1))


def open_requests_again(world: World, header: EpochHeader) -> list[LeafRequested]:
    """Propose the same header once more; what was asked of it before counts no longer."""
    world.propose(header)
    return open_requests(world.timebank, pending(world), world.connection.block_number())
