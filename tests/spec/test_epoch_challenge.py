"""Faults and refusals by ``spec.epoch_challenge``: no honest epoch is voided, no wrong one stands.

epoch challenge
├── soundness
│   ├── small honest epochs, everything that can be shown of them: refused with a named error
│   ├── random honest epochs, every challenge of leaves that stand: refused with a named error
│   └── larger honest epochs, some of every challenge: refused with a named error
├── completeness
│   ├── one cell, row or total changed and all hashed anew: proved, by every function the finder names
│   └── one leaf under another index: proved by its position
├── mutated evidence of a real fault
│   ├── one bit flipped in a leaf, its siblings or its index: not in the tree
│   ├── one bit flipped in head, brackets, domain, domain hashes or the header before: mismatch
│   ├── one bit flipped in the header: not pending
│   └── evidence of another epoch, index, tree or policy: refused by name
└── commitments
    ├── a proof counts from the block after its commitment on, and only once
    ├── two challengers in one block: the second finds nothing pending
    ├── a copied call was not committed to by the thief
    ├── a challenge works after the window until the epoch is final, and not after
    └── the same number is proposed again at once after a void; the bond is shared
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import pytest

from tests.challenge.corruptions import corruptions, is_honest, mislabelled
from tests.challenge.every_challenge import Challenges, try_all
from tests.challenge.mutations import flipped, flipped_domain, flipped_field, flipped_head
from tests.challenge.small_epochs import Case, draw_chain, draw_policy, rehashed
from tests.challenge.soundness import run
from tests.challenge.spec_side import calldata, spec_arguments, spec_head, spec_header, spec_rules
from timebank_chain.epoch.evidence import evidence_of
from timebank_chain.epoch.faults import find_faults, position_fault
from timebank_chain.spec.epoch_challenge import (
    PROOFS,
    DomainEvidence,
    EpochChallenge,
    Fault,
    commitment_of,
)
from timebank_chain.spec.epoch_tree import AccountLeaf, ActivityLeaf
from timebank_chain.spec.evidence import AccountEvidence, ActivityEvidence, Tree
from timebank_chain.spec.policy_registry import PolicyHead
from timebank_chain.spec.rate_oracle import NO_PROPOSAL, ZERO_HASH, EpochHeader, RateOracle, hash_header
from timebank_chain.spec.revert import Reverted

CHALLENGER, THIEF, PROPOSER = ("0x" + digit * 40 for digit in "abc")
CONTRACT = "0x" + "d" * 40
SALT = bytes(range(32))
BOND, SHARE_BPS = 10_001, 5_000


def cases(seed: int, count: int, **size: int) -> Iterator[Case]:
    """So many small epochs with something in them."""
    draw, made = random.Random(seed), 0
    while made < count:
        for case in draw_chain(draw, **size):
            if len(case.published.accounts):
                yield case
                made += 1


# Soundness


def test_everything_that_can_be_shown_of_small_honest_epochs_is_refused() -> None:
    draw, outcomes = random.Random(4), Counter[str]()
    for case in cases(11, 24, most_acts=4, accounts=3):
        challenges = Challenges(case, draw_policy(draw), wide=True)
        try_all(challenges.header, challenges.all(), outcomes)
    assert {name.split()[0] for name in outcomes if name.endswith("NotAFault")} == set(PROOFS)
    assert sum(outcomes.values()) > 60_000


def test_random_honest_epochs_are_never_voided() -> None:
    outcomes = run(epochs=150, seed=5, each=None)
    assert outcomes.pop("epochs") >= 150
    assert {name.split()[0] for name in outcomes if name.endswith("NotAFault")} == set(PROOFS)


def test_larger_honest_epochs_are_never_voided() -> None:
    outcomes = run(epochs=100, seed=6, each=15)
    assert {name.split()[0] for name in outcomes if name.endswith("NotAFault")} == set(PROOFS)


# Completeness


def test_one_changed_cell_row_or_total_is_proved() -> None:
    draw, proved, unchanged = random.Random(7), Counter[str](), 0
    for case in cases(12, 16):
        for what, wrong in corruptions(draw, case):
            faults = find_faults(wrong, case.previous, case.policy)
            if is_honest(case, wrong):
                # Another act, indicator or record is another epoch, and a right one.
                assert not faults, what
                unchanged += 1
                continue
            assert faults, what
            for fault in faults:
                evidence = evidence_of(fault, wrong, case.previous, case.policy)
                found = PROOFS[evidence.function](*spec_arguments(evidence))
                # Where several sums of one account are broken, the contract names the first.
                several = fault.function == "proveAccountSum" and found.fault_class == 2
                assert found.fault_class == fault.fault_class or several, what
                proved[f"{fault.function} {fault.field}"] += 1
    assert unchanged
    positions = {"proveActivityPosition", "proveAccountPosition"}
    assert {name.split()[0] for name in proved} >= set(PROOFS) - positions


def test_a_leaf_under_another_index_is_proved() -> None:
    proved = set()
    for case in cases(13, 20):
        for wrong, shown in mislabelled(random.Random(8), case.published):
            fault = position_fault(wrong.header, shown)
            assert fault is not None
            evidence = evidence_of(fault, wrong, case.previous, case.policy)
            tree = Tree.ACTIVITY if shown.tree == "activity" else Tree.ACCOUNT
            found = PROOFS[evidence.function](*spec_arguments(evidence))
            assert found == Fault(2, tree, shown.position)
            proved.add(evidence.function)
    assert proved == {"proveActivityPosition", "proveAccountPosition"}


# Mutated evidence


def real_faults(seed: int, count: int) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Faults of random wrong epochs with their evidence, header first; every one is proved as it is."""
    draw = random.Random(seed)
    for case in cases(seed, count):
        for _, wrong in corruptions(draw, case):
            for fault in find_faults(wrong, case.previous, case.policy):
                evidence = evidence_of(fault, wrong, case.previous, case.policy)
                yield evidence.function, spec_arguments(evidence)


def but_index(leaf: Any) -> list[str]:
    """All fields of a leaf but its index."""
    return [one.name for one in fields(leaf) if one.name != "index"]


def refusal(function: str, arguments: tuple[Any, ...]) -> str:
    """The name of the error a proof is refused with."""
    with pytest.raises(Reverted) as refused:
        PROOFS[function](*arguments)
    return refused.value.name


def with_argument(arguments: tuple[Any, ...], at: int, value: Any) -> tuple[Any, ...]:
    return (*arguments[:at], value, *arguments[at + 1 :])


def test_one_bit_flipped_in_leaf_or_sibling_is_not_in_the_tree() -> None:
    draw, seen = random.Random(9), Counter[str]()
    for function, arguments in real_faults(21, 6):
        for at, argument in enumerate(arguments):
            if not isinstance(argument, ActivityEvidence | AccountEvidence) or not argument.leaves:
                continue
            leaves, siblings = list(argument.leaves), list(argument.siblings)
            which = draw.randrange(len(leaves))
            wrong_leaves = [
                *leaves[:which],
                flipped_field(draw, leaves[which], *but_index(leaves[which])),
                *leaves[which + 1 :],
            ]
            changed = replace(argument, leaves=tuple(wrong_leaves))
            assert refusal(function, with_argument(arguments, at, changed)) == "NotInTree"
            moved = [*leaves[:which], flipped_field(draw, leaves[which], "index"), *leaves[which + 1 :]]
            changed = replace(argument, leaves=tuple(moved))
            expected = {"NotInTree"} if len(leaves) == 1 else {"NotNeighbours", "NotInTree"}
            assert refusal(function, with_argument(arguments, at, changed)) in expected
            changed = replace(argument, siblings=(*siblings, ZERO_HASH))
            assert refusal(function, with_argument(arguments, at, changed)) == "NotInTree"
            seen[function] += 3
            if siblings:
                which = draw.randrange(len(siblings))
                siblings[which] = flipped(draw, siblings[which], 256)
                changed = replace(argument, siblings=tuple(siblings))
                assert refusal(function, with_argument(arguments, at, changed)) == "NotInTree"
                changed = replace(argument, siblings=tuple(siblings[1:]))
                assert refusal(function, with_argument(arguments, at, changed)) == "NotInTree"
                seen[function] += 2
    untouched = {"proveActivityPosition", "proveAccountPosition", "proveLength"}
    assert set(seen) == set(PROOFS) - untouched


def test_one_bit_flipped_in_a_position_or_what_stands_there_is_not_in_the_tree() -> None:
    draw, seen = random.Random(10), set()
    for case in cases(22, 15):
        for wrong, shown in mislabelled(draw, case.published):
            fault = position_fault(wrong.header, shown)
            assert fault is not None
            evidence = evidence_of(fault, wrong, case.previous, case.policy)
            header, leaf, position, siblings = spec_arguments(evidence)
            seen.add(evidence.function)
            tries: list[tuple[Any, ...]] = [
                (header, flipped_field(draw, leaf), position, siblings),
                (header, leaf, position ^ 1 << draw.randrange(64), siblings),
                (header, leaf, position + (1 << len(siblings)), siblings),
                (header, leaf, position, (*siblings, ZERO_HASH)),
                (header, leaf, position, siblings[1:] if siblings else (ZERO_HASH,)),
            ]
            for one in tries:
                assert refusal(evidence.function, one) == "NotInTree"
    assert seen == {"proveActivityPosition", "proveAccountPosition"}


def test_one_bit_flipped_in_the_rules_is_a_mismatch() -> None:
    draw, seen = random.Random(11), Counter[str]()
    for function, arguments in real_faults(23, 8):
        header = arguments[0]
        for at, argument in enumerate(arguments):
            if isinstance(argument, PolicyHead):
                changed = with_argument(arguments, at, flipped_head(draw, argument))
                assert refusal(function, changed) == "PolicyMismatch"
            elif isinstance(argument, DomainEvidence):
                for wrong in flipped_rules(draw, argument, arguments[2].leaves[0].domain):
                    assert refusal(function, with_argument(arguments, at, wrong)) == "PolicyMismatch"
            elif isinstance(argument, EpochHeader) and at and header.previous_header_hash != ZERO_HASH:
                changed = with_argument(arguments, at, flipped_field(draw, argument))
                assert refusal(function, changed) == "PreviousHeaderMismatch"
            elif function == "proveMint" and at == 2:
                start, slope = argument[0]
                wrong_brackets = ((start ^ 1 << draw.randrange(32), slope), *argument[1:])
                assert refusal(function, with_argument(arguments, at, wrong_brackets)) == "PolicyMismatch"
            else:
                continue
            seen[type(argument).__name__] += 1
    assert set(seen) == {"PolicyHead", "DomainEvidence", "EpochHeader", "tuple"}


def flipped_rules(draw: random.Random, rules: DomainEvidence, domain_index: int) -> Iterator[DomainEvidence]:
    """Rules with one bit changed in the head, a domain's hash or, where there is one, the domain itself."""
    yield replace(rules, head=flipped_head(draw, rules.head))
    hashes = list(rules.domain_hashes)
    which = draw.randrange(len(hashes))
    hashes[which] = flipped(draw, hashes[which], 256)
    yield replace(rules, domain_hashes=tuple(hashes))
    if domain_index < len(hashes):
        yield replace(rules, domain=flipped_domain(draw, rules.domain))


def test_evidence_of_another_epoch_index_tree_or_policy_is_refused() -> None:
    draw = random.Random(12)
    seen = Counter[str]()
    for case in cases(24, 60, most_acts=6):
        acts, people = case.published.activities, case.published.accounts
        header = spec_header(case.published.header)
        challenges = Challenges(case, draw_policy(draw), wide=False)
        own, before = challenges.now, challenges.before
        if before is not None and len(before.accounts) and before.accounts[0] not in own.accounts:
            assert refusal("proveRangeEnd", (header, before.standing_accounts[1])) == "NotInTree"
            seen["epoch"] += 1
        if len(acts) > 2:
            other_place = ActivityEvidence(own.activities[:1], own.activity_siblings[1])
            assert refusal("proveActivitySum", (header, other_place)) == "NotInTree"
            seen["index"] += 1
        if len(acts) > 1 and len(people) > 1:
            other_tree = ActivityEvidence(own.activities[:1], own.account_siblings[0])
            assert refusal("proveActivitySum", (header, other_tree)) == "NotInTree"
            wrong_tree = AccountEvidence(own.accounts[:1], own.activity_siblings[0])
            assert refusal("proveAccountSum", (header, wrong_tree)) == "NotInTree"
            seen["tree"] += 1
        if len(acts):
            shown = own.standing_activities[1]
            other = spec_rules(challenges.other_policy, 0)
            assert refusal("proveValue", (header, other, shown)) == "PolicyMismatch"
            seen["policy"] += 1
        assert refusal("proveLength", (header, spec_head(challenges.other_policy))) == "PolicyMismatch"
    assert set(seen) == {"epoch", "index", "tree", "policy"}


# Commitments


class Stage:
    """A pending epoch whose total is wrong, and what proves it."""

    def __init__(self, *, wrong: bool = True) -> None:
        case = next(cases(31, 1))
        self.published = (
            rehashed(case.published, total_mint=case.published.header.total_mint + 1)
            if wrong
            else case.published
        )
        self.header = spec_header(self.published.header)
        last = len(case.published.accounts) - 1
        trees = Challenges(case, case.policy, wide=False).now
        self.arguments = (AccountEvidence((trees.accounts[last],), trees.account_siblings[last]),)
        self.oracle = RateOracle(
            self.header.policy_hash,
            self.header.rate_q24,
            BOND,
            challenge_window=100,
            challenger_share_bps=SHARE_BPS,
            available_pot=self.header.pot,
            challenge=CONTRACT,
            latest_epoch=self.header.epoch - 1,
            latest_end_ms=self.header.start_ms,
        )
        self.oracle.header_hash_of[self.header.epoch - 1] = self.header.previous_header_hash
        self.contract = EpochChallenge(self.oracle, CONTRACT)
        self.now = self.header.end_ms // 1000 + 1

    def propose(self) -> None:
        # The grant of a proposal is bounded by what was earned, which a wrong total may leave.
        self.oracle.available_pot = 2**63
        header = self.header
        self.oracle.propose(PROPOSER, header, sent=BOND, now=self.now)

    def data(self, salt: bytes = SALT) -> bytes:
        return calldata("proveTotals", salt, self.header, *self.arguments)

    def commit(self, challenger: str, block: int, salt: bytes = SALT) -> bytes:
        commitment = commitment_of(challenger, self.data(salt))
        self.contract.commit(challenger, commitment, block=block)
        return commitment

    def prove(self, challenger: str, block: int, salt: bytes = SALT) -> Fault:
        return self.contract.prove(
            challenger, self.data(salt), "proveTotals", self.header, *self.arguments, block=block
        )


def refused_with(name: str) -> Any:
    return pytest.raises(Reverted, match=rf"^{name}\(")


def test_a_proof_counts_from_the_block_after_its_commitment_on() -> None:
    stage = Stage()
    stage.propose()
    with refused_with("NotCommitted"):
        stage.prove(CHALLENGER, 7)
    stage.commit(CHALLENGER, 7)
    with refused_with("CommittedInThisBlock"):
        stage.prove(CHALLENGER, 7)
    with refused_with("AlreadyCommitted"):
        stage.commit(CHALLENGER, 8)
    assert stage.prove(CHALLENGER, 8) == Fault(9, Tree.ACCOUNT, 0)
    assert stage.oracle.pending == NO_PROPOSAL
    assert stage.oracle.withdrawable == {CHALLENGER: 5_000}
    assert stage.oracle.burned == 5_001
    with refused_with("NotCommitted"):
        stage.prove(CHALLENGER, 9)


def test_a_refused_proof_keeps_its_commitment() -> None:
    stage = Stage(wrong=False)
    stage.propose()
    commitment = stage.commit(CHALLENGER, 1)
    with refused_with("NotAFault"):
        stage.prove(CHALLENGER, 2)
    assert stage.contract.committed_at == {commitment: 1}


def test_the_second_of_two_challengers_in_one_block_finds_nothing_pending() -> None:
    stage = Stage()
    stage.propose()
    stage.commit(CHALLENGER, 1)
    stage.commit(THIEF, 1)
    stage.prove(CHALLENGER, 2)
    with refused_with("HeaderNotPending"):
        stage.prove(THIEF, 2)
    assert stage.oracle.withdrawable == {CHALLENGER: 5_000}


def test_a_thief_who_copies_the_call_did_not_commit_to_it() -> None:
    stage = Stage()
    stage.propose()
    stage.commit(CHALLENGER, 1)
    with refused_with("NotCommitted"):
        stage.prove(THIEF, 2)
    stage.commit(THIEF, 2)
    with refused_with("CommittedInThisBlock"):
        stage.prove(THIEF, 2)
    stage.prove(CHALLENGER, 2)


def test_a_challenge_works_after_the_window_until_the_epoch_is_final() -> None:
    late = Stage()
    late.propose()
    late.commit(CHALLENGER, 1)
    late.now += 10_000
    late.prove(CHALLENGER, 2)

    too_late = Stage()
    too_late.propose()
    too_late.commit(CHALLENGER, 1)
    too_late.oracle.finalise(THIEF, too_late.header, now=too_late.now + 100)
    with refused_with("HeaderNotPending"):
        too_late.prove(CHALLENGER, 2)
    assert too_late.oracle.withdrawable == {PROPOSER: BOND}


def test_the_same_number_is_proposed_again_at_once_after_a_void() -> None:
    stage = Stage()
    before = stage.oracle.latest_epoch, stage.oracle.latest_header_hash()
    stage.propose()
    stage.commit(CHALLENGER, 1)
    stage.prove(CHALLENGER, 2)
    honest = replace(stage.header, total_mint=stage.header.total_mint - 1)
    assert (stage.oracle.latest_epoch, stage.oracle.latest_header_hash()) == before
    stage.oracle.propose(PROPOSER, honest, sent=BOND, now=stage.now)
    stage.oracle.finalise(THIEF, honest, now=stage.now + 100)
    assert stage.oracle.header_hash_of[honest.epoch] == hash_header(honest)


def test_one_bit_flipped_in_the_header_is_not_pending() -> None:
    draw, stage = random.Random(13), Stage()
    stage.propose()
    header = stage.header
    for block in range(1, 200):
        stage.header, salt = flipped_field(draw, header), block.to_bytes(32, "big")
        stage.commit(CHALLENGER, block, salt)
        with refused_with("HeaderNotPending"):
            stage.prove(CHALLENGER, block + 1, salt)


def test_leaves_of_the_specification_are_those_of_the_trees() -> None:
    for case in cases(32, 5):
        trees = Challenges(case, case.policy, wide=False).now
        assert all(isinstance(leaf, ActivityLeaf) for leaf in trees.activities)
        assert all(isinstance(leaf, AccountLeaf) for leaf in trees.accounts)
        assert hash_header(spec_header(case.published.header)) == case.published.header.hash()
