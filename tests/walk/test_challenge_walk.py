"""Challenges and requests on the embedded chain, specification beside them; any length by hand.

challenge walk
├── hundreds of steps agree to the byte: returns, reverts, faults, requests, bonds and money
├── a proof copied from a challenger is worth nothing to a thief, nor is a commitment of the same block
├── two challengers in one block: the second finds nothing pending
├── a challenge works after the window until the epoch is final, and not after
├── the same number is proposed again at once after a void, earlier claims untouched
├── a leaf asked for and not shown voids the epoch: the reward is the requester's, and so is the deposit
├── an answer holds the epoch for the time to look at it
├── a leaf that was reclaimed can be asked for again when the same proposal comes back in the same second
└── a requester can ask for 16 leaves at once, each dearer than the one before, and crowds nobody out
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.challenge.every_challenge import Trees
from tests.challenge.small_epochs import Case, rehashed
from tests.challenge.spec_side import spec_arguments, spec_header
from tests.walk.challenge_walk import ANSWER_TIME, WINDOW, ChallengeWalk, Plan
from timebank_chain.epoch.evidence import evidence_of
from timebank_chain.epoch.faults import find_faults
from timebank_chain.spec.evidence import Tree
from timebank_chain.spec.rate_oracle import EpochHeader

STEPS, SEED = 800, 4


@pytest.fixture(scope="module")
def world() -> ChallengeWalk:
    return ChallengeWalk(SEED)


@pytest.fixture
def walk(world: ChallengeWalk) -> Iterator[ChallengeWalk]:
    """The walk as it was deployed; what a test does is undone."""
    from copy import deepcopy

    spec, case = deepcopy(world.spec), world.case
    with world.evm.undone():
        world.evm.next_block()
        yield world
    world.spec, world.case, world.final, world.asked, world.plans = spec, case, None, [], []


def wrong_case(walk: ChallengeWalk) -> Case:
    """An epoch of accounts whose first one has too much."""
    case = walk.honest_case()
    while len(case.published.accounts) < 2:
        case = walk.honest_case()
    header = case.published.header
    return replace(case, published=rehashed(case.published, active_count=header.active_count + 1))


def proof_of(walk: ChallengeWalk, case: Case, challenger: str) -> Plan:
    fault = find_faults(case.published, case.previous, case.policy)[-1]
    evidence = evidence_of(fault, case.published, case.previous, case.policy)
    return walk.plan(challenger, evidence.function, spec_arguments(evidence))


def header_of(case: Case) -> EpochHeader:
    return spec_header(case.published.header)


def refusals(walk: ChallengeWalk, name: str) -> int:
    return sum(count for step, count in walk.counts.items() if step.endswith(f" {name}"))


def refused(walk: ChallengeWalk, name: str, done: bool, before: int) -> bool:
    return not done and refusals(walk, name) == before + 1


def test_contracts_and_specification_agree_to_the_byte() -> None:
    walk = ChallengeWalk(SEED)
    walk.run(STEPS)
    done = {name for name in walk.counts if " " not in name}
    assert done >= DONE, sorted(DONE - done)
    seen = {name.split()[1] for name in walk.counts if " " in name}
    assert seen >= REFUSED, sorted(REFUSED - seen)


DONE = {
    "answerAccount", "answerActivity", "answerMany", "commit", "finalise", "propose", "reclaimDeposit",
    "requestLeaf", "voidUnanswered", "withdrawBond",
}  # fmt: skip
REFUSED = {
    "AlreadyCommitted", "AlreadyRequested", "AnswerTimeOpen", "ChallengeWindowOpen", "CommittedInThisBlock",
    "EpochHeld", "EpochPending", "HeaderNotPending", "NoBondToWithdraw", "NoSuchLeaf", "NoneRequested",
    "NotAFault",
    "NotCommitted", "NotInTree", "NotNeighbours", "NotRequested", "NothingPending", "ProposalStillPending",
    "RequestsClosed", "WrongBond", "WrongDeposit",
}  # fmt: skip


def test_a_copied_proof_is_worth_nothing_to_a_thief(walk: ChallengeWalk) -> None:
    proposer, challenger, thief = walk.people[:3]
    case = wrong_case(walk)
    assert walk.propose(case, caller=proposer)
    plan = proof_of(walk, case, challenger)
    walk.commit(challenger, plan.commitment)
    before = refusals(walk, "CommittedInThisBlock")
    assert refused(walk, "CommittedInThisBlock", walk.prove(plan), before)
    walk.evm.next_block()
    before = refusals(walk, "NotCommitted")
    assert refused(walk, "NotCommitted", walk.prove(plan, caller=thief), before)
    copied = replace(plan, challenger=thief)
    walk.commit(thief, copied.commitment)
    before = refusals(walk, "CommittedInThisBlock")
    assert refused(walk, "CommittedInThisBlock", walk.prove(copied), before)
    assert walk.prove(plan)
    assert walk.spec.oracle.withdrawable[challenger] == walk.spec.oracle.bond // 2


def test_the_second_of_two_challengers_in_one_block_finds_nothing_pending(walk: ChallengeWalk) -> None:
    proposer, first, second = walk.people[:3]
    case = wrong_case(walk)
    walk.propose(case, caller=proposer)
    plans = [proof_of(walk, case, who) for who in (first, second)]
    for plan in plans:
        walk.commit(plan.challenger, plan.commitment)
    walk.evm.next_block()
    assert walk.prove(plans[0])
    before = refusals(walk, "HeaderNotPending")
    assert refused(walk, "HeaderNotPending", walk.prove(plans[1]), before)
    assert second not in walk.spec.oracle.withdrawable


@pytest.mark.parametrize("final", [False, True])
def test_a_challenge_works_after_the_window_until_the_epoch_is_final(
    walk: ChallengeWalk, final: bool
) -> None:
    proposer, challenger = walk.people[:2]
    case = wrong_case(walk)
    walk.propose(case, caller=proposer)
    plan = proof_of(walk, case, challenger)
    walk.commit(challenger, plan.commitment)
    walk.evm.next_block(WINDOW + 1)
    if final:
        assert walk.finalise(challenger, header_of(case))
        before = refusals(walk, "HeaderNotPending")
        assert refused(walk, "HeaderNotPending", walk.prove(plan), before)
        assert walk.spec.oracle.withdrawable == {proposer: walk.spec.oracle.bond}
    else:
        assert walk.prove(plan)


def test_the_same_number_is_proposed_again_at_once_earlier_claims_untouched(walk: ChallengeWalk) -> None:
    proposer, challenger = walk.people[:2]
    first = walk.honest_case()
    while not first.published.header.total_mint:
        first = walk.honest_case()
    walk.propose(first, caller=proposer)
    walk.evm.next_block(WINDOW)
    assert walk.finalise(proposer, header_of(first))
    walk.final = first.published
    root = walk.view("CreditDistributor", "accountRoot")

    wrong = wrong_case(walk)
    walk.propose(wrong, caller=proposer)
    plan = proof_of(walk, wrong, challenger)
    walk.commit(challenger, plan.commitment)
    walk.evm.next_block()
    assert walk.prove(plan)
    right = replace(
        wrong, published=rehashed(wrong.published, active_count=wrong.published.header.active_count - 1)
    )
    assert header_of(right).epoch == header_of(wrong).epoch == 2
    assert walk.propose(right, caller=proposer)
    assert walk.view("CreditDistributor", "accountRoot") == root
    walk.evm.next_block(WINDOW)
    assert walk.finalise(challenger, header_of(right))


def test_a_leaf_that_is_not_shown_voids_the_epoch(walk: ChallengeWalk) -> None:
    proposer, requester, stranger = walk.people[:3]
    case = wrong_case(walk)
    header = header_of(case)
    walk.propose(case, caller=proposer)
    ends_at = walk.spec.oracle.pending.challenge_ends_at
    assert walk.ask(requester, header, Tree.ACCOUNT, 1)
    before = refusals(walk, "AnswerTimeOpen")
    done = walk.void_unanswered(stranger, header, Tree.ACCOUNT, 1)
    assert refused(walk, "AnswerTimeOpen", done, before)
    walk.evm.next_block(ANSWER_TIME)
    assert walk.void_unanswered(stranger, header, Tree.ACCOUNT, 1)
    assert walk.spec.oracle.withdrawable == {requester: walk.spec.oracle.bond // 2}
    (key,) = walk.spec.requests.inquiries
    assert key[1] == ends_at
    assert walk.reclaim(stranger, *key, Tree.ACCOUNT, 1)
    assert walk.spec.requests.paid == {requester: walk.spec.requests.request_deposit}
    before = refusals(walk, "NotRequested")
    assert refused(walk, "NotRequested", walk.reclaim(stranger, *key, Tree.ACCOUNT, 1), before)


def test_an_answer_holds_the_epoch_for_the_time_to_look_at_it(walk: ChallengeWalk) -> None:
    proposer, requester, responder = walk.people[:3]
    case = wrong_case(walk)
    header = header_of(case)
    walk.propose(case, caller=proposer)
    walk.evm.next_block(WINDOW - 1)
    assert walk.ask(requester, header, Tree.ACCOUNT, 0)
    walk.evm.next_block(5)
    before = refusals(walk, "EpochHeld")
    assert refused(walk, "EpochHeld", walk.finalise(proposer, header), before)
    assert walk.answer(responder, header, Trees(case.published).standing_accounts[1])
    walk.evm.next_block(ANSWER_TIME - 1)
    assert refused(walk, "EpochHeld", walk.finalise(proposer, header), before + 1)
    walk.evm.next_block(1)
    assert walk.finalise(proposer, header)


def test_a_reclaimed_leaf_can_be_asked_for_again_in_the_same_second(walk: ChallengeWalk) -> None:
    # Whoever withholds a leaf could ask for it, have the proposal voided, reclaim and propose it anew, all in
    # one second: nobody may be kept from asking for it then.
    proposer, accomplice, watcher = walk.people[:3]
    case = wrong_case(walk)
    header = header_of(case)
    plan = proof_of(walk, case, accomplice)
    walk.commit(accomplice, plan.commitment)
    walk.evm.next_block()
    walk.propose(case, caller=proposer)
    key = header, walk.spec.oracle.pending.challenge_ends_at
    assert walk.ask(accomplice, header, Tree.ACCOUNT, 1)
    assert walk.prove(plan)
    assert walk.reclaim(accomplice, walk.asked[-1][0], key[1], Tree.ACCOUNT, 1)
    assert walk.propose(case, caller=proposer)
    assert walk.spec.oracle.pending.challenge_ends_at == key[1]
    assert walk.ask(watcher, header, Tree.ACCOUNT, 1)
    walk.evm.next_block(ANSWER_TIME)
    assert walk.void_unanswered(watcher, header, Tree.ACCOUNT, 1)


def test_a_requester_can_ask_for_16_leaves_at_once_and_crowds_nobody_out(walk: ChallengeWalk) -> None:
    proposer, requester, other = walk.people[:3]
    case = wrong_case(walk)
    case = replace(case, published=rehashed(case.published, account_count=300))
    header = header_of(case)
    walk.propose(case, caller=proposer)
    for index in range(16):
        assert walk.ask(requester, header, Tree.ACCOUNT, index)
    before = refusals(walk, "TooManyRequests")
    assert refused(walk, "TooManyRequests", walk.ask(requester, header, Tree.ACCOUNT, 16), before)
    spent = sum(request.deposit for request in one_inquiry(walk))
    assert spent == walk.spec.requests.request_deposit * sum(n * n for n in range(1, 17))
    assert walk.spec.requests.request_price(other) == walk.spec.requests.request_deposit
    assert walk.ask(other, header, Tree.ACCOUNT, 16)


def one_inquiry(walk: ChallengeWalk) -> Iterator[object]:
    (inquiry,) = walk.spec.requests.inquiries.values()
    yield from inquiry.requests.values()
