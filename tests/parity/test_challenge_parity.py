"""``spec.epoch_challenge`` and ``EpochChallenge.sol`` say the same, to the byte of every revert.

challenge parity
├── evidence of every fault of wrong epochs            the same class, tree and index; the bond is shared
├── the same evidence with something changed           the same error with the same arguments
├── what can be shown of honest epochs                 the same error, and never a fault
├── leaves at any position                             the same
└── commitments and headers                            the same

Calls are executed by the embedded chain's machine against the deployed contracts. What is pending and what
was committed is written into their storage, so that nothing has to be mined for each of a thousand calls.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak

from tests.challenge.corruptions import corruptions, mislabelled
from tests.challenge.court import SALT, Court
from tests.challenge.every_challenge import Challenges
from tests.challenge.mutations import mutated
from tests.challenge.small_epochs import Case, draw_chain, draw_policy
from tests.challenge.spec_side import calldata, spec_arguments
from tests.walk.chain_side import encoded_error
from tests.world import deploy_world
from timebank_chain.chain.connection import connect
from timebank_chain.chain.contract import encode as encode_call
from timebank_chain.epoch.evidence import evidence_of
from timebank_chain.epoch.faults import find_faults, position_fault
from timebank_chain.spec.epoch_challenge import PROOFS, commitment_of
from timebank_chain.spec.evidence import AccountEvidence, Tree
from timebank_chain.spec.rate_oracle import EpochHeader, hash_header
from timebank_chain.spec.revert import Reverted

WINDOW = 3_600
POSITIONS = {"proveActivityPosition", "proveAccountPosition"}


@pytest.fixture(scope="module")
def court() -> Court:
    world = deploy_world(connect(), challenge_window=WINDOW)
    world.propose(world.make_epoch({world.address("member1"): 5}).header)
    return Court(world.timebank, world.address("stranger"))


def cases(seed: int) -> Iterator[Case]:
    draw = random.Random(seed)
    while True:
        yield from (case for case in draw_chain(draw) if len(case.published.accounts))


def real_faults(seed: int) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """One corruption in four of random epochs, each fault with its evidence, header first."""
    draw = random.Random(seed)
    for case in cases(seed):
        for _, wrong in corruptions(draw, case):
            if draw.random() < 0.25:
                for fault in find_faults(wrong, case.previous, case.policy):
                    evidence = evidence_of(fault, wrong, case.previous, case.policy)
                    yield evidence.function, spec_arguments(evidence)
        for wrong, shown in mislabelled(draw, case.published):
            fault = position_fault(wrong.header, shown)
            assert fault is not None
            evidence = evidence_of(fault, wrong, case.previous, case.policy)
            yield evidence.function, spec_arguments(evidence)


def few_of_each(found: Iterator[tuple[str, tuple[Any, ...]]], each: int) -> Iterator[tuple[str, Any]]:
    """So many of every function."""
    seen = Counter[str]()
    for function, arguments in found:
        if seen[function] < each:
            seen[function] += 1
            yield function, arguments
        if len(seen) == len(PROOFS) and min(seen.values()) == each:
            return


@pytest.fixture(scope="module")
def faults() -> list[tuple[str, Any]]:
    return list(few_of_each(real_faults(41), 10))


def lasts(header: EpochHeader) -> bool:
    """Whether the oracle would take the header's times."""
    return header.start_ms < header.end_ms


def test_every_fault_is_proved_alike(court: Court, faults: list[tuple[str, Any]]) -> None:
    for function, arguments in faults:
        assert court.judge(function, *arguments)
        if function == "proveValue":
            # An act of no domain, or after the end: whose business is it?
            court.judge("proveSettlement", *arguments)
        if function == "proveSettlement":
            court.judge("proveValue", *arguments)


def test_changed_evidence_is_refused_alike(court: Court, faults: list[tuple[str, Any]]) -> None:
    draw = random.Random(42)
    for function, arguments in faults:
        for _ in range(4):
            changed = list(arguments)
            at = draw.randrange(len(changed))
            changed[at] = mutated(draw, changed[at])
            if lasts(changed[0]):
                court.judge(function, *changed)
    names = {name.split()[1] for name in court.counts}
    assert names >= {"NotInTree", "NotNeighbours", "PolicyMismatch", "PreviousHeaderMismatch"}


def test_what_can_be_shown_of_honest_epochs_is_refused_alike(court: Court) -> None:
    draw = random.Random(44)
    many = cases(45)
    for _ in range(12):
        case = next(many)
        challenges = Challenges(case, draw_policy(draw), wide=draw.random() < 0.3)
        for function, arguments in challenges.some(draw, 3):
            assert not court.judge(function, challenges.header, *arguments)
        for header, kept, here in still_there(challenges):
            assert not court.judge("proveDropped", challenges.header, header, kept, here)
    assert {name.split()[0] for name in court.counts if name.endswith("NotAFault")} >= set(PROOFS) - POSITIONS


def still_there(challenges: Challenges) -> Iterator[tuple[EpochHeader, AccountEvidence, AccountEvidence]]:
    """The first account of the epoch before, and its leaf in this one."""
    before, now = challenges.before, challenges.now
    if before is not None and before.accounts:
        account = before.accounts[0].account
        (row,) = (row for row, leaf in enumerate(now.accounts) if leaf.account == account)
        yield challenges.headers[0], before.standing_accounts[1], now.standing_accounts[1 + row]


def test_commitments_are_judged_alike(court: Court, faults: list[tuple[str, Any]]) -> None:
    function, (header, *arguments) = faults[0]
    data = calldata(function, SALT, header, *arguments)
    commitment = commitment_of(court.challenger, data)
    view = encode_call("EpochChallenge", "commitmentOf", court.challenger, data)
    assert court.evm.call(court.challenger, court.contract, view).returned == commitment
    with court.evm.undone():
        done = court.evm.call(court.challenger, court.contract, data)
        assert done.returned == encoded_error(Reverted("NotCommitted", commitment))
        commit = encode_call("EpochChallenge", "commit", commitment)
        assert court.evm.call(court.challenger, court.contract, commit).succeeded
        block = court.evm.block
        done = court.evm.call(court.challenger, court.contract, commit)
        assert done.returned == encoded_error(Reverted("AlreadyCommitted", commitment, block))
        done = court.evm.call(court.challenger, court.contract, data)
        assert done.returned == encoded_error(Reverted("CommittedInThisBlock", commitment, block))
        court.evm.next_block()
        done = court.evm.call(court.challenger, court.contract, data)
        pending = court.evm.storage(court.oracle, court.pending_slot).to_bytes(32, "big")
        assert done.returned == encoded_error(Reverted("HeaderNotPending", hash_header(header), pending))


def test_bytes_of_an_error_are_those_of_the_abi() -> None:
    refusal = Reverted("NotInTree", Tree.ACCOUNT, 3, 2)
    selector = keccak(text="NotInTree(uint8,uint256,uint256)")[:4]
    assert encoded_error(refusal) == selector + encode(["uint8", "uint256", "uint256"], [1, 3, 2])
