"""Every wrong epoch is ended by a watchtower that knows nothing but the chain and the published files.

::

    watchtower
    |- a planted fault, of every variant: proved or withheld, bond shared; on the embedded chain and on anvil
    |   (every combination of place and rehash: python -m tests.oracle.drill [--anvil URL])
    |- an honest epoch: nothing is sent, on either chain
    |- nothing pending: deposits come back, rewards are drawn, once; also of a header proposed twice
    |- a dry run: says what it would do, needs no key, sends nothing
    |- files that cannot be had: leaves are asked for; answered, the epoch lives; unanswered, it is void
    |- honest rows published, others committed, and the proposer answers: found leaf by leaf
    |- other rows published than committed, yet what was committed is right: said, and nothing is voided
    |- honest rows published and every leaf committed to another: one of them is enough
    |- an amount that no file holds: shown, and proved wrong
    |- an epoch before that cannot be had, or has other rows: the rest is judged, nothing called right
    |- a request that costs more than allowed, or more than the budget: not made
    |- what an account is said to need covers what is used
    |- asked to stop between commitment and proof: the next start proves
    |- the commitment's block is gone: the same commitment is made again
    |- killed after any step: the epoch still ends once, with one reward; the next start names it
    |- somebody else ends the epoch between two looks, or between our look and our proof: said, no error
    `- the same number proposed again: judged anew
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.chain_fixtures import own_anvil, snapshot
from tests.epoch.sample import changed, policy
from tests.oracle.drill import ALL, CHALLENGER, Case, Drill, settle
from timebank_chain.chain.challenge_events import (
    Committed,
    DepositReturned,
    FaultProved,
    LeafRequested,
    LeafWithheld,
)
from timebank_chain.chain.connection import connect
from timebank_chain.chain.events import BondWithdrawn, EpochVoided
from timebank_chain.epoch import ActivityRows, CommittedLeaf, EpochHeader, FetchOptions, MerkleTree
from timebank_chain.epoch.corrupt import Corruption, Planted, corrupt_epoch
from timebank_chain.epoch.faults import TreeName
from timebank_chain.epoch.file import (
    ACCOUNTS_FILE,
    ACTIVITIES_FILE,
    HEADER_FILE,
    MANIFEST_FILE,
    encode_header,
    encode_manifest,
    encode_rows,
)
from timebank_chain.epoch.leaves import hash_account_leaves
from timebank_chain.epoch.lies import variants
from timebank_chain.errors import OracleError
from timebank_chain.oracle.funds import COMMIT_GAS, PROOF_GAS, REQUEST_GAS
from timebank_chain.oracle.judge import Verdict
from timebank_chain.oracle.watchtower import keep_secret

#: Every variant once on anvil, every third on the embedded chain; places change, alone and rehashed in turn.
ANVIL = [ALL[6 * number + number % 6] for number in range(len(ALL) // 6)]
EMBEDDED = [ALL[6 * number + (number + 3) % 6] for number in range(0, len(ALL) // 6, 3)]
STEPS = [f"{kind}: {at}" for kind in ("commit", "prove") for at in ("intended", "broadcast", "mined")]


@pytest.fixture(scope="module")
def embedded_ground(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Drill]:
    return ground(settle(connect(), tmp_path_factory.mktemp("embedded")))


@pytest.fixture(scope="module")
def anvil_ground(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[Path], Drill]]:
    with own_anvil() as connection:
        yield ground(settle(connection, tmp_path_factory.mktemp("anvil")))


def ground(made: Drill) -> Callable[[Path], Drill]:
    """Return what gives a drill on the chain as it was."""
    back = snapshot(made.world.connection)

    def again(folder: Path) -> Drill:
        back()
        return replace(made, folder=folder, looks=[], corruption=None, state=None)

    return again


@pytest.fixture
def drill(anvil_ground: Callable[[Path], Drill], tmp_path: Path) -> Drill:
    return anvil_ground(tmp_path)


def end(drill: Drill, case: Case) -> None:
    """Plant, watch, and look at what came of it."""
    made = drill.plant(case)
    if made is None:
        pytest.skip("the sample has no place for it")
    oracle = drill.world.timebank.rate_oracle
    # Who shows what is asked for keeps an epoch without files alive: that has a test of its own.
    last = drill.run(drill.tower(), answers=not case.variant.endswith("-file"))
    assert last.voided, drill.looks
    assert oracle.pending() is None
    assert len(drill.happened(FaultProved, LeafWithheld)) == 1
    (ended,) = drill.happened(EpochVoided)
    assert isinstance(ended, EpochVoided)
    assert ended.header_hash == made.header.hash()
    assert ended.challenger == drill.world.address(CHALLENGER)
    assert ended.reward == oracle.bond_wei() * oracle.challenger_share_bps() // 10_000
    assert ended.reward + ended.burned == oracle.bond_wei()


@pytest.mark.anvil
@pytest.mark.parametrize("case", ANVIL, ids=str)
def test_a_planted_fault_ends_the_epoch(drill: Drill, case: Case) -> None:
    end(drill, case)


@pytest.mark.parametrize("case", EMBEDDED, ids=str)
def test_a_planted_fault_ends_the_epoch_on_the_embedded_chain(
    embedded_ground: Callable[[Path], Drill], tmp_path: Path, case: Case
) -> None:
    end(embedded_ground(tmp_path), case)


def test_every_variant_has_its_cases() -> None:
    assert {(case.fault_class, case.variant) for case in ANVIL} == {
        (fault_class, one.name) for fault_class in range(1, 11) for one in variants(fault_class)
    }


@pytest.mark.parametrize("ground", ["embedded_ground", pytest.param("anvil_ground", marks=pytest.mark.anvil)])
def test_an_honest_epoch_lives(request: pytest.FixtureRequest, tmp_path: Path, ground: str) -> None:
    drill: Drill = request.getfixturevalue(ground)(tmp_path)
    drill.propose_honest()
    last = drill.run(drill.tower())
    assert last.judgement is not None
    assert last.judgement.verdict is Verdict.HONEST
    assert not last.wrong
    assert not drill.happened(Committed, LeafRequested, EpochVoided)
    drill.world.finalise(drill.third.header)
    assert drill.world.timebank.rate_oracle.latest_epoch() == 3


def test_rewards_are_drawn_and_deposits_come_back(drill: Drill) -> None:
    assert drill.plant(Case(10, "no-activities-file", "first", rehash=False)) is not None
    tower = drill.tower()
    assert drill.run(tower, answers=False).voided
    asked = drill.happened(LeafRequested)
    assert len(asked) > 1
    while (look := tower.look()).sent:
        drill.looks.append(look)
    assert len(drill.happened(DepositReturned)) == len(asked)
    assert len(drill.happened(BondWithdrawn)) == 1
    requests = drill.world.timebank.leaf_requests
    assert drill.world.connection.balance_wei(requests.address) == 0
    assert drill.world.timebank.rate_oracle.withdrawable_wei(drill.world.address(CHALLENGER)) == 0


def test_each_deposit_comes_back_once_when_a_header_is_proposed_again(drill: Drill) -> None:
    """Which leaves are asked for follows from the header: each of its proposals is asked for the same one."""
    made = drill.plant(Case(10, "no-activities-file", "first", rehash=False))
    assert made is not None
    tower = drill.tower(ask=1)
    for time in (1, 2):
        if time == 2:
            drill.world.propose(made.header)
        assert drill.run(tower, answers=False).voided
        while tower.look().sent:
            pass
        assert len(drill.happened(LeafRequested)) == len(drill.happened(DepositReturned)) == time
    requests = drill.world.timebank.leaf_requests
    assert drill.world.connection.balance_wei(requests.address) == 0


def test_a_dry_run_only_says_what_it_would_do(drill: Drill) -> None:
    assert drill.plant(Case(7, "mint", "last", rehash=True)) is not None
    before = drill.world.connection.block_number()
    look = drill.tower(act=False).look()
    assert look.wrong
    assert [action.kind for action in look.actions] == ["commit", "prove"]
    assert all(action.tx is None for action in look.actions)
    assert drill.world.connection.block_number() == before
    document = look.to_json()
    assert document["verdict"] == "faulty"
    assert document["faults"][0]["class"] == 7
    assert "mint is" in document["faults"][0]["message"]


def test_an_answered_epoch_without_files_lives(drill: Drill) -> None:
    """A proposer that shows what it is asked for keeps its bond: a few leaves prove nothing of the rest."""
    made = drill.plant(Case(10, "no-accounts-file", "first", rehash=False))
    assert made is not None
    last = drill.run(drill.tower())
    assert last.unjudged
    assert not last.voided
    assert not drill.happened(EpochVoided)
    assert len(drill.happened(LeafRequested)) == 4


def beside(drill: Drill, made: Corruption, activities: ActivityRows) -> Corruption:
    """Publish other rows beside a commitment: these activities, and the honest accounts."""
    data = {
        ACTIVITIES_FILE: encode_rows(ACTIVITIES_FILE, activities),
        ACCOUNTS_FILE: encode_rows(ACCOUNTS_FILE, drill.third.accounts),
    }
    manifest = encode_manifest(3, data)
    header = replace(made.header, data_hash=hashlib.sha256(manifest).digest())
    files = {HEADER_FILE: encode_header(header), MANIFEST_FILE: manifest, **data}
    return replace(made, header=header, files=files)


def honest(drill: Drill, header: EpochHeader, shown: CommittedLeaf | None = None) -> Corruption:
    """What an honest proposer holds, as a corruption of nothing."""
    third = drill.third
    planted = Planted(10, "other rows", "activity", 0, False, "the file alone is wrong")
    trees: dict[TreeName, MerkleTree] = {"activity": third.activities.tree, "account": third.accounts.tree}
    return Corruption(planted, header, {}, third.activities, third.accounts, trees, shown)


def test_right_leaves_beside_a_wrong_file_are_not_voided(drill: Drill) -> None:
    """Committed honestly, published otherwise: found out leaf by leaf, said, and left alone."""
    rows = changed(drill.third.activities, "value", 5, 1)
    drill.serve(beside(drill, honest(drill, drill.third.header), rows))
    last = drill.run(drill.tower())
    assert last.judgement is not None
    assert last.judgement.verdict is Verdict.MISPUBLISHED, last.judgement
    assert not drill.happened(EpochVoided)


@pytest.mark.parametrize(
    ("fault_class", "variant"), [(1, "value"), (2, "running"), (5, "earned"), (6, "standing"), (7, "mint")]
)
def test_one_wrong_leaf_is_enough_when_all_the_others_differ_too(
    drill: Drill, fault_class: int, variant: str
) -> None:
    """Honest rows published, and every leaf committed to is another: nobody could ask for all of them."""
    made = corrupt_epoch(
        drill.third, drill.second, policy(), fault_class=fault_class, variant=variant, at="first", rehash=True
    )
    drill.serve(beside(drill, made, drill.third.activities))
    last = drill.run(drill.tower())
    assert last.voided, last.judgement
    assert len(drill.happened(FaultProved)) == 1
    assert len(drill.happened(LeafRequested)) <= 2 * (made.trees["activity"].depth + 1)


def test_an_amount_no_file_holds_is_proved_wrong(drill: Drill) -> None:
    third = drill.third
    leaf = replace(third.accounts.leaf(0), standing=(1 << 63) + 5)
    hashes = hash_account_leaves(third.accounts.columns()).copy()
    hashes[0] = np.frombuffer(leaf.hash(), dtype=np.uint8)
    tree = MerkleTree(hashes)
    shown = CommittedLeaf("account", 0, leaf, tuple(tree.proof(0)))
    made = honest(drill, replace(third.header, account_root=tree.root), shown)
    made = replace(made, trees={"activity": third.activities.tree, "account": tree})
    drill.serve(beside(drill, made, third.activities))
    last = drill.run(drill.tower())
    assert last.voided, last.judgement
    (proved,) = drill.happened(FaultProved)
    assert isinstance(proved, FaultProved)
    assert proved.fault_class == 6


@pytest.mark.parametrize("loss", ["missing", "other rows"])
def test_without_the_epoch_before_the_rest_is_judged(drill: Drill, tmp_path: Path, loss: str) -> None:
    """Nothing is called right that was not looked at, and what can be proved without it is proved."""
    drill.propose_honest()
    drill.lose_second(loss)
    look = drill.tower(cache=tmp_path / "empty").look()
    assert look.judgement is not None
    assert look.judgement.verdict is Verdict.HALF_JUDGED
    assert look.unjudged
    assert not look.sent


def test_without_the_epoch_before_a_wrong_value_is_proved(drill: Drill, tmp_path: Path) -> None:
    assert drill.plant(Case(1, "value", "last", rehash=True)) is not None
    drill.lose_second("missing")
    assert drill.run(drill.tower(cache=tmp_path / "empty")).voided


def test_a_wrong_standing_is_not_called_right_without_the_epoch_before(drill: Drill, tmp_path: Path) -> None:
    assert drill.plant(Case(6, "standing", "last", rehash=True)) is not None
    drill.lose_second("other rows")
    look = drill.tower(cache=tmp_path / "empty").look()
    assert look.judgement is not None
    assert look.judgement.verdict is Verdict.HALF_JUDGED


def test_rows_that_no_leaf_can_hold_are_asked_about(drill: Drill) -> None:
    rows = changed(drill.third.activities, "occurred_ms", 0, -1)
    drill.serve(beside(drill, honest(drill, drill.third.header), rows))
    look = drill.tower().look()
    assert look.judgement is not None
    assert look.judgement.verdict is Verdict.UNAVAILABLE
    assert look.sent


def test_the_budget_of_an_epoch_is_kept(drill: Drill) -> None:
    assert drill.plant(Case(10, "no-activities-file", "first", rehash=False)) is not None
    price = drill.world.timebank.leaf_requests.request_deposit_wei()
    tower = drill.tower(budget_wei=price + 1)
    assert tower.look().sent
    assert not tower.look().sent
    assert len(drill.happened(LeafRequested)) == 1


def test_a_request_that_costs_too_much_is_not_made(drill: Drill) -> None:
    assert drill.plant(Case(10, "no-activities-file", "first", rehash=False)) is not None
    look = drill.tower(max_deposit_wei=1).look()
    assert not look.sent
    assert not drill.happened(LeafRequested)


def test_a_header_may_not_lead_to_our_files(drill: Drill) -> None:
    """The proposer chooses the URI: without a source of our own, local paths are not read."""
    drill.propose_honest()
    look = drill.tower(fetch=FetchOptions(), ask=0).look()
    assert look.unjudged


@pytest.mark.parametrize(
    "case", [Case(5, "earned", "last", rehash=True), Case(10, "activity", "first", rehash=False)], ids=str
)
def test_what_an_account_is_said_to_need_covers_what_is_used(drill: Drill, case: Case) -> None:
    """Small epochs under an ordinary policy; scripts/bench_challenge.py measures the dearest there can be."""
    reserved = {"commit": COMMIT_GAS, "prove": PROOF_GAS, "request": REQUEST_GAS}
    assert drill.plant(case) is not None
    drill.run(drill.tower(), answers=False)
    used = [action for look in drill.looks for action in look.actions if action.kind in reserved]
    assert used
    for action in used:
        assert action.gas_used is not None
        assert reserved[action.kind] / 3 < action.gas_used <= reserved[action.kind], action


def test_a_stop_between_commitment_and_proof_loses_nothing(
    embedded_ground: Callable[[Path], Drill], tmp_path: Path
) -> None:
    # anvil simulates on the block to come, where the proof needs to wait no longer.
    drill = embedded_ground(tmp_path)
    assert drill.plant(Case(1, "value", "last", rehash=True)) is not None
    tower = drill.tower()
    assert tower.look().sent
    tower.stop.set()
    look = tower.look()
    assert look.wrong
    assert not look.sent
    assert drill.run(drill.tower(same_state=True)).voided
    assert len(drill.happened(Committed)) == 1


def test_a_commitment_whose_block_is_gone_is_made_again(drill: Drill) -> None:
    assert drill.plant(Case(1, "value", "last", rehash=True)) is not None
    back = snapshot(drill.world.connection)
    tower = drill.tower()
    assert tower.look().sent
    back()
    assert not drill.happened(Committed)
    assert drill.run(tower, most=3).voided
    assert len(drill.happened(Committed)) == 1


class Killed(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("step", STEPS)
def test_killed_after_any_step_it_ends_the_epoch_once(drill: Drill, step: str) -> None:
    assert drill.plant(Case(6, "standing", "first", rehash=False)) is not None
    seen: list[str] = []

    def kill(name: str) -> None:
        seen.append(name)
        if name == step and seen.count(step) == 1:
            raise Killed

    tower = drill.tower(checkpoint=kill)
    with pytest.raises(Killed):
        drill.run(tower)
    again = drill.tower(same_state=True)
    looks = [again.look()]
    while (looks[-1].sent or looks[-1].voided) and len(looks) < 9:
        looks.append(again.look())
    made = drill.corruption
    assert made is not None
    told = [look.ended for look in looks if look.ended is not None]
    # What the killed process was not told it can tell no more, if the journal knows of the proof already.
    assert [one.header_hash for one in told] == [made.header.hash()] * (step != "prove: mined")
    assert all(one.by == drill.world.address(CHALLENGER) and one.epoch == 3 for one in told)
    assert looks[-1].pending is None
    assert len(drill.happened(EpochVoided)) == 1
    assert len(drill.happened(FaultProved)) == 1
    assert len(drill.happened(Committed)) == 1


@pytest.mark.parametrize("late", [False, True])
def test_who_is_beaten_says_by_whom(drill: Drill, monkeypatch: pytest.MonkeyPatch, *, late: bool) -> None:
    assert drill.plant(Case(1, "value", "last", rehash=True)) is not None
    winner, loser = drill.tower(role="payee"), drill.tower()
    assert winner.look().sent
    assert loser.look().sent
    if late:
        # The winner's block comes while the loser is about to send its proof.
        monkeypatch.setattr(loser, "_await_block_after", lambda _commitment: winner.look().voided)
    else:
        assert winner.look().voided
    look = loser.look()
    assert look.wrong
    assert not look.sent
    assert look.judgement is not None
    assert look.judgement.verdict is Verdict.FAULTY
    assert look.ended is not None
    assert look.ended.by == drill.world.address("payee")
    assert look.to_json()["ended"]["by"] == look.ended.by
    assert loser.look().ended is None


def test_killed_before_its_proof_was_sent_and_beaten_it_says_by_whom(drill: Drill) -> None:
    assert drill.plant(Case(1, "value", "last", rehash=True)) is not None

    def kill(name: str) -> None:
        if name == "prove: intended":
            raise Killed

    winner, loser = drill.tower(role="payee"), drill.tower(checkpoint=kill)
    assert winner.look().sent
    assert loser.look().sent
    with pytest.raises(Killed):
        loser.look()
    assert winner.look().voided
    look = drill.tower(same_state=True).look()
    assert look.wrong
    assert not look.sent
    assert look.ended is not None
    assert look.ended.by == drill.world.address("payee")


def test_the_same_number_proposed_again_is_judged_anew(drill: Drill) -> None:
    assert drill.plant(Case(1, "value", "first", rehash=True)) is not None
    tower = drill.tower()
    assert drill.run(tower).voided
    shutil.rmtree(drill.served)
    drill.propose_honest()
    last = drill.run(tower)
    assert last.judgement is not None
    assert last.judgement.verdict is Verdict.HONEST


def test_the_secret_is_kept_and_for_its_owner_alone(tmp_path: Path) -> None:
    secret = keep_secret(tmp_path)
    assert keep_secret(tmp_path) == secret
    assert (tmp_path / "watch.secret").stat().st_mode & 0o777 == 0o600
    (tmp_path / "watch.secret").write_bytes(b"short")
    with pytest.raises(OracleError, match="5 bytes, not 32"):
        keep_secret(tmp_path)
