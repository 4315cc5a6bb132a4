"""Statements, claims from files, governance, permits.

::

    statement
    |- every kind of movement, fee and memo, running balance; adds up to the chain
    |- of the fee pool: its income
    |- of nobody: empty
    |- payment to the fee pool itself
    |- at an earlier block
    `- an event missing -> CheckFailed
    claim from published files
    |- wallet, placeholder before and after linking, by anybody
    |- second -> NothingToClaim; unknown account -> EpochError
    |- nothing final, proposed only, superseded -> named
    `- files of another header -> TamperedEpoch
    governance
    |- schedule, wait, execute; a stranger is refused; the canceller cancels, the guardian cannot
    |- voiding within the window splits the bond
    `- the guardian pauses at once, the governor resumes
    permit: pays once, not twice; of another key refused
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.published import finalise, identity, propose, publish_next
from tests.world import SIGNERS, World, deploy_world
from timebank_chain.activity.members import placeholder_address
from timebank_chain.chain import statement as statement_module
from timebank_chain.chain.addresses import address_text
from timebank_chain.chain.claiming import EpochNotFinalised, EpochSuperseded, prove_claim
from timebank_chain.chain.connection import Connection, connect
from timebank_chain.chain.credit_payments import memo_hash
from timebank_chain.chain.openzeppelin_reverts import (
    AccessManagedUnauthorized,
    AccessManagerNotScheduled,
    AccessManagerUnauthorizedCancel,
    ERC2612InvalidSigner,
)
from timebank_chain.chain.reverts import (
    NoEpochFinalised,
    NothingToClaim,
    NotLinked,
    ProposalNotPending,
    ProposalsPaused,
    TooEarly,
)
from timebank_chain.chain.statement import read_statement
from timebank_chain.chain.system import GovernanceState
from timebank_chain.epoch import PublishedEpoch
from timebank_chain.errors import CheckFailed, EpochError, TamperedEpoch

QUORUM = [SIGNERS[f"signer{n}"] for n in range(1, 4)]


@pytest.fixture
def lived(world: World) -> World:
    timebank = world.timebank
    world.give("member1", 10_000_000)
    credit, payments = timebank.attention_credit, timebank.credit_payments
    world.send("member1", credit.transfer(world.address("member2"), 1_000_000))
    world.send("member1", credit.transfer(world.address("member1"), 5))
    world.send("member1", credit.approve(payments.address, 4_000_000))
    world.send("member1", payments.pay(world.address("payee"), 2_000_001, memo_hash("a lesson")))
    world.send("member1", payments.pay(world.address("payee"), 100))
    world.send("payee", credit.transfer(world.address("member1"), 7))
    world.send("member1", credit.burn(11))
    return world


class TestStatement:
    def test_every_movement_with_its_running_balance(self, lived: World) -> None:
        read = read_statement(lived.timebank, lived.address("member1"))
        assert [(one.kind, one.amount, one.fee, one.balance) for one in read.movements] == [
            ("claim", 10_000_000, 0, 10_000_000),
            ("transfer out", -1_000_000, 0, 9_000_000),
            ("transfer to itself", 0, 0, 9_000_000),
            ("payment out", -2_000_001, 10_001, 6_999_999),
            ("payment out", -100, 1, 6_999_899),
            ("transfer in", 7, 0, 6_999_906),
            ("burn", -11, 0, 6_999_895),
        ]
        assert read.balance == lived.timebank.attention_credit.balance_of(lived.address("member1"))
        claim, payment, small = read.movements[0], read.movements[3], read.movements[4]
        assert (claim.epoch, claim.other) == (1, lived.address("member1"))
        assert (payment.memo_hash, payment.other) == (memo_hash("a lesson"), lived.address("payee"))
        assert small.memo_hash is None
        times = [one.time for one in read.movements]
        assert times == sorted(times)

    def test_of_the_payee(self, lived: World) -> None:
        read = read_statement(lived.timebank, lived.address("payee"))
        assert [(one.kind, one.amount, one.fee) for one in read.movements] == [
            ("payment in", 1_990_000, 0),
            ("payment in", 99, 0),
            ("transfer out", -7, 0),
        ]

    def test_of_the_fee_pool_is_its_income(self, lived: World) -> None:
        read = read_statement(lived.timebank, lived.timebank.fee_pool.address)
        assert [(one.kind, one.amount) for one in read.movements] == [("fee in", 10_001), ("fee in", 1)]
        assert read.balance == lived.timebank.fee_pool.accounts().total

    def test_payment_to_the_fee_pool_itself(self, world: World) -> None:
        world.give("member1", 1_000)
        pool, payments = world.timebank.fee_pool, world.timebank.credit_payments
        world.send("member1", world.timebank.attention_credit.approve(payments.address, 1_000))
        world.send("member1", payments.pay(pool.address, 1_000))
        read = read_statement(world.timebank, pool.address)
        assert [(one.kind, one.amount) for one in read.movements] == [("payment in", 995), ("fee in", 5)]
        assert read_statement(world.timebank, world.address("member1")).balance == 0

    def test_of_nobody_is_empty(self, lived: World) -> None:
        read = read_statement(lived.timebank, lived.address("stranger"))
        assert (read.balance, read.movements) == (0, ())

    def test_at_an_earlier_block(self, lived: World) -> None:
        whole = read_statement(lived.timebank, lived.address("member1"))
        block = whole.movements[1].at.block
        earlier = read_statement(lived.timebank, lived.address("member1"), to_block=block)
        assert earlier.movements == whole.movements[:2]
        assert earlier.balance == 9_000_000

    def test_missing_event_is_refused(self, lived: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """A node that drops a log: the sum no longer matches, and nothing is shown."""
        real = statement_module.read_events
        monkeypatch.setattr(
            statement_module,
            "read_events",
            lambda *args, **more: (event for n, event in enumerate(real(*args, **more)) if n != 2),
        )
        with pytest.raises(CheckFailed, match="an event is missing"):
            read_statement(lived.timebank, lived.address("member1"))


@pytest.fixture
def claimable(anvil: Connection, tmp_path: Path) -> tuple[World, Path, PublishedEpoch]:
    """A system under the identity policy with one published, proposed, not yet final epoch."""
    world = deploy_world(anvil, policy=identity())
    epochs = tmp_path / "epochs"
    published = publish_next(world.timebank, epochs, ["ada", "bob"], {"ada": SIGNERS["member1"].address})
    propose(world.timebank, published, QUORUM)
    return world, epochs, published


class TestClaimFromFiles:
    def test_once(self, claimable: tuple[World, Path, PublishedEpoch]) -> None:
        world, epochs, published = claimable
        account = world.address("member1")
        with pytest.raises(NoEpochFinalised):
            prove_claim(world.timebank, epochs, account)
        with pytest.raises(EpochNotFinalised, match="epoch 1 is proposed but not final"):
            prove_claim(world.timebank, epochs, account, epoch=1)
        finalise(world.timebank, published, SIGNERS["stranger"])
        proven = prove_claim(world.timebank, epochs, account)
        assert proven.claimable == proven.leaf.cumulative_mint > 0
        world.send("stranger", proven.call)
        assert world.timebank.attention_credit.balance_of(account) == proven.claimable
        again = prove_claim(world.timebank, epochs, account)
        assert again.claimable == 0
        with pytest.raises(NothingToClaim):
            world.send("stranger", again.call)
        with pytest.raises(EpochError, match="no account in epoch 1"):
            prove_claim(world.timebank, epochs, world.address("stranger"))
        with pytest.raises(EpochNotFinalised, match="epoch 2 is not on chain"):
            prove_claim(world.timebank, epochs, account, epoch=2)

    def test_placeholder_before_and_after_linking(
        self, claimable: tuple[World, Path, PublishedEpoch]
    ) -> None:
        world, epochs, published = claimable
        finalise(world.timebank, published, SIGNERS["stranger"])
        placeholder = address_text(placeholder_address("bob"))
        registry = world.timebank.member_registry
        assert registry.is_placeholder(placeholder)
        proven = prove_claim(world.timebank, epochs, placeholder)
        with pytest.raises(NotLinked, match=placeholder):
            world.send("stranger", proven.call)
        world.send("registrar", registry.request_link(placeholder, world.address("member2")))
        requested = registry.requested_link(placeholder)
        assert requested is not None and requested.wallet == world.address("member2")
        with pytest.raises(TooEarly):
            world.send("stranger", registry.confirm_link(placeholder))
        world.connection.advance_time(registry.link_delay() + 1)
        world.send("stranger", registry.confirm_link(placeholder))
        assert registry.wallet_of(placeholder) == world.address("member2")
        assert registry.requested_link(placeholder) is None
        world.send("stranger", proven.call)
        read = read_statement(world.timebank, world.address("member2"))
        assert [(one.kind, one.amount, one.other) for one in read.movements] == [
            ("claim", proven.claimable, placeholder)
        ]

    def test_superseded_epoch_and_cumulative_claim(
        self, claimable: tuple[World, Path, PublishedEpoch]
    ) -> None:
        world, epochs, published = claimable
        finalise(world.timebank, published, SIGNERS["stranger"])
        account = world.address("member1")
        second = publish_next(world.timebank, epochs, ["ada", "bob"], {"ada": account})
        propose(world.timebank, second, QUORUM)
        finalise(world.timebank, second, SIGNERS["stranger"])
        with pytest.raises(EpochSuperseded, match="2 is the newest"):
            prove_claim(world.timebank, epochs, account, epoch=1)
        proven = prove_claim(world.timebank, epochs, account)
        assert proven.epoch == 2
        assert proven.claimable > proven.leaf.mint
        world.send("member1", proven.call)
        assert world.timebank.attention_credit.balance_of(account) == proven.leaf.cumulative_mint

    def test_files_of_another_header(
        self, claimable: tuple[World, Path, PublishedEpoch], tmp_path: Path
    ) -> None:
        world, _, published = claimable
        finalise(world.timebank, published, SIGNERS["stranger"])
        other = deploy_world(connect(), policy=identity())
        elsewhere = tmp_path / "elsewhere"
        publish_next(other.timebank, elsewhere, ["ada"], {"ada": world.address("member1")})
        with pytest.raises(TamperedEpoch, match="final on chain"):
            prove_claim(world.timebank, elsewhere, world.address("member1"))


class TestGovernance:
    def test_schedule_wait_execute(self, world: World) -> None:
        timebank, governor = world.timebank, world.signers["governor"]
        call = timebank.rate_oracle.set_rate(123)
        first = timebank.govern(governor, call)
        assert first.state is GovernanceState.SCHEDULED
        assert first.ready_at >= world.connection.timestamp() + 590
        waiting = timebank.govern(governor, call)
        assert (waiting.state, waiting.receipt) == (GovernanceState.WAITING, None)
        assert waiting.ready_at == first.ready_at
        assert timebank.rate_oracle.rate_q24() != 123
        world.connection.advance_time(601)
        assert timebank.govern(governor, call).state is GovernanceState.DONE
        assert timebank.rate_oracle.rate_q24() == 123

    def test_dry_run_schedules_nothing(self, world: World) -> None:
        timebank, governor = world.timebank, world.signers["governor"]
        call = timebank.rate_oracle.set_rate(123)
        step = timebank.govern(governor, call, dry_run=True)
        assert step.receipt is not None and not step.receipt.sent
        assert timebank.access_manager.ready_at(governor.address, call) == 0

    def test_stranger_is_refused(self, world: World) -> None:
        with pytest.raises(AccessManagedUnauthorized):
            world.timebank.govern(world.signers["stranger"], world.timebank.rate_oracle.set_rate(1))

    def test_canceller_cancels_what_should_not_run(self, world: World) -> None:
        timebank, governor = world.timebank, world.signers["governor"]
        call = timebank.credit_payments.set_fee(1000)
        timebank.govern(governor, call)
        cancel = timebank.access_manager.cancel(governor.address, call)
        with pytest.raises(AccessManagerUnauthorizedCancel):
            world.send("guardian", cancel)
        world.send("canceller", cancel)
        world.connection.advance_time(601)
        with pytest.raises(AccessManagerNotScheduled):
            world.send("governor", timebank.access_manager.execute(call))
        assert timebank.credit_payments.fee_bps() == 50

    def test_voiding_within_the_window_splits_the_bond(self, world: World) -> None:
        timebank, governor = world.timebank, world.signers["governor"]
        epoch = world.make_epoch({world.address("member1"): 5})
        world.propose(epoch.header)
        found = world.address("stranger")
        call = timebank.rate_oracle.void_proposal(epoch.header.hash(), found, "leaf 0 is wrong")
        timebank.govern(governor, call)
        world.connection.advance_time(601)
        assert timebank.govern(governor, call).state is GovernanceState.DONE
        assert timebank.rate_oracle.pending() is None
        share = timebank.rate_oracle.bond_wei() // 2
        assert timebank.rate_oracle.withdrawable_wei(world.address("stranger")) == share
        receiver = "0x" + "42" * 20
        world.send("stranger", timebank.rate_oracle.withdraw_bond(receiver))
        assert world.connection.balance_wei(receiver) == share
        world.run_epoch({world.address("member1"): 5})
        assert timebank.rate_oracle.latest_epoch() == 1

    def test_scheduled_void_meets_no_other_proposal(self, world: World) -> None:
        """Of two scheduled voids one is executed; the other must not meet the corrected proposal."""
        timebank, governor, oracle = world.timebank, world.signers["governor"], world.timebank.rate_oracle
        wrong = world.make_epoch({world.address("member1"): 5}).header
        world.propose(wrong)
        scheduled = oracle.void_proposal(wrong.hash(), world.address("stranger"), "leaf 0 is wrong")
        other = oracle.void_proposal(wrong.hash(), world.address("payee"), "leaf 0 is wrong")
        timebank.govern(governor, scheduled)
        timebank.govern(governor, other)
        world.connection.advance_time(601)
        timebank.govern(governor, other)

        right = world.make_epoch({world.address("member1"): 6}).header
        assert (right.epoch, right.hash() != wrong.hash()) == (wrong.epoch, True)
        world.propose(right)
        with pytest.raises(ProposalNotPending) as caught:
            timebank.govern(governor, scheduled)
        assert caught.value.values == {"headerHash": wrong.hash(), "pendingHash": right.hash()}
        assert "0x" + wrong.hash().hex() in caught.value.message
        pending = oracle.pending()
        assert pending is not None
        assert pending.header_hash == right.hash()
        world.finalise(right)

    def test_pausing_at_once(self, world: World) -> None:
        timebank = world.timebank
        world.give("member1", 5)
        world.send("guardian", timebank.rate_oracle.pause_proposals())
        with pytest.raises(ProposalsPaused):
            world.propose(world.make_epoch({world.address("member1"): 5}).header)
        world.send("member1", timebank.attention_credit.transfer(world.address("payee"), 5))
        with pytest.raises(AccessManagedUnauthorized):
            world.send("guardian", timebank.rate_oracle.resume_proposals(timebank.rate_oracle.pauses()))
        world.govern(timebank.rate_oracle.resume_proposals(timebank.rate_oracle.pauses()))
        world.run_epoch({world.address("member1"): 5})


class TestPermit:
    def test_pays_once(self, world: World) -> None:
        world.give("member1", 2_000)
        timebank, payments = world.timebank, world.timebank.credit_payments
        deadline = world.connection.timestamp() + 100
        permit = timebank.attention_credit.sign_permit(
            world.signers["member1"], payments.address, 1_000, deadline
        )
        call = payments.pay_with_permit(world.address("payee"), 1_000, memo_hash(""), permit)
        world.send("member1", call)
        assert timebank.attention_credit.balance_of(world.address("payee")) == 995
        with pytest.raises(ERC2612InvalidSigner):
            world.send("member1", call)

    def test_of_another_key_is_refused(self, world: World) -> None:
        world.give("member1", 2_000)
        timebank, payments = world.timebank, world.timebank.credit_payments
        deadline = world.connection.timestamp() + 100
        permit = timebank.attention_credit.sign_permit(
            world.signers["stranger"], payments.address, 1_000, deadline
        )
        with pytest.raises(ERC2612InvalidSigner):
            world.send("member1", payments.pay_with_permit(world.address("payee"), 1_000, bytes(32), permit))


def test_governance_state_is_plain_text_in_json() -> None:
    assert json.dumps(GovernanceState.SCHEDULED) == '"scheduled"'
