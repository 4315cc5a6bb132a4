"""A random walk through proposals, challenges and requests, contracts and specification side by side.

Epochs right and wrong are proposed; five people commit, prove, ask, answer, void, reclaim, finalise and
withdraw as chance has it, with good arguments and bad, in one block or minutes apart. For every step the
specification says beforehand what the contract must return or revert with, to the byte; after every step what
they remember agrees. A wrong epoch is finalised only to see that nothing can be proved afterwards, and the
step is undone.

::

    .venv/bin/python -m tests.walk.challenge_walk --steps 5000 --seed 1
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import astuple, dataclass, field, replace
from functools import partial
from typing import Any

from eth_abi.abi import decode
from eth_utils.crypto import keccak

from tests.challenge.corruptions import corruptions
from tests.challenge.every_challenge import Challenges, Trees
from tests.challenge.mutations import mutated
from tests.challenge.small_epochs import ACCOUNTS, Case, draw_acts, draw_policy, publish, rehashed
from tests.challenge.spec_side import calldata, spec_arguments, spec_header
from tests.walk.chain_side import encoded_error, encoded_result, told
from tests.walk.evm import Evm
from tests.world import World, deploy_world
from timebank_chain.chain.connection import connect
from timebank_chain.chain.contract import encode
from timebank_chain.epoch.evidence import evidence_of
from timebank_chain.epoch.faults import find_faults
from timebank_chain.epoch.file import PublishedEpoch
from timebank_chain.spec.epoch_challenge import EpochChallenge, Fault, commitment_of
from timebank_chain.spec.evidence import AccountEvidence, ActivityEvidence, Tree
from timebank_chain.spec.leaf_requests import LeafRequests
from timebank_chain.spec.rate_oracle import NO_PROPOSAL, EpochHeader, RateOracle, hash_header
from timebank_chain.spec.revert import Reverted
from timebank_chain.valuation import policy_hash

PEOPLE = ("proposer", "member1", "member2", "member3", "stranger")
WINDOW, ANSWER_TIME = 300, 20
#: Two domains, four brackets, bonus and penalty; about every other epoch has something penalised.
POLICY = replace(draw_policy(random.Random(39)), epoch_ms=0)
FAULT_PROVED = int.from_bytes(keccak(text="FaultProved(uint32,bytes32,address,uint8,uint8,uint256)"), "big")
#: Seconds from one block to the next: some chains have several in a second.
PAUSES = (0, 0, 1, 1, 1, 5, 5, 19, 20, 60, 300)
RICH = 10**24


class Disagreement(AssertionError):
    """Contract and specification differ; the message says where."""


@dataclass(frozen=True)
class Plan:
    """A proof somebody means to send."""

    challenger: str
    function: str
    arguments: tuple[Any, ...]
    data: bytes

    @property
    def commitment(self) -> bytes:
        """What the challenger commits to."""
        return commitment_of(self.challenger, self.data)


@dataclass
class Specified:
    """The three contracts as the specification has them."""

    oracle: RateOracle
    challenge: EpochChallenge
    requests: LeafRequests


@dataclass
class ChallengeWalk:
    """One walk: a deployed system on the embedded chain, five people, and the specification.

    ``counts`` says how often each function succeeded and with which error it reverted.
    """

    seed: int
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.draw = random.Random(self.seed)
        self.world: World = deploy_world(
            connect(),
            policy=POLICY,
            challenge_window=WINDOW,
            answer_time=ANSWER_TIME,
            governance_delay=WINDOW // 2,
        )
        self.evm = Evm(self.world.connection)
        self.at = {name: str(at).lower() for name, at in self.world.timebank.addresses().items()}
        self.people = [str(self.world.address(role)).lower() for role in PEOPLE]
        for person in self.people:
            self.evm.set_balance(person, RICH)
        plan = self.world.timebank.deployment.plan
        oracle = RateOracle(
            policy_hash(POLICY),
            plan.rate_q24,
            plan.bond_wei,
            plan.challenge_window,
            plan.challenger_share_bps,
            challenge=self.at["EpochChallenge"],
            leaf_requests=self.at["LeafRequests"],
        )
        requests = LeafRequests(oracle, self.at["LeafRequests"], plan.answer_time, plan.request_deposit_wei)
        oracle.held_until = requests.held_until
        self.spec = Specified(oracle, EpochChallenge(oracle, self.at["EpochChallenge"]), requests)
        self.final: PublishedEpoch | None = None
        self.case: Case | None = None
        self.plans: list[Plan] = []
        self.asked: list[tuple[bytes, int, Tree, int]] = []
        self._voided: Case | None = None
        self._genesis = self.evm.now * 1000 - 10**9

    # ------------------------------------------------------------------ one step

    def step(
        self,
        caller: str,
        contract: str,
        function: str,
        data: bytes,
        specified: Callable[[], Any],
        *,
        value: int = 0,
    ) -> bool:
        """Let both sides do one thing and compare; return whether it succeeded."""
        expected: Any
        try:
            expected = specified()
        except Reverted as refusal:
            expected = refusal
        done = self.evm.call(caller, self.at[contract], data, value=value)
        refused = isinstance(expected, Reverted)
        self.counts[f"{function} {expected.name}" if refused else function] += 1
        if refused:
            agree = not done.succeeded and done.returned == encoded_error(expected)
        elif isinstance(expected, Fault):
            agree = done.succeeded and self._proved(done.logs) == expected
        else:
            returns = function in ("withdrawBond", "answerMany")
            result = encoded_result(contract, function, expected if returns else None)
            agree = done.succeeded and done.returned == result
        if not agree:
            raise Disagreement(
                f"{function} of {caller} at {self.evm.now}: the contract "
                f"{'succeeded' if done.succeeded else 'reverted'} with {told(done.returned)}, the "
                f"specification says {expected!r}; called with 0x{data.hex()}"
            )
        self._compare()
        return not refused

    def propose(self, case: Case, *, caller: str | None = None, sent: int | None = None) -> bool:
        """Propose an epoch, signed by the quorum."""
        header = spec_header(case.published.header)
        who = caller or self.people[0]
        wei = self.spec.oracle.bond if sent is None else sent
        signatures = self.world.quorum_signatures(case.published.header)
        done = self.step(
            who,
            "RateOracle",
            "propose",
            encode("RateOracle", "propose", astuple(header), signatures),
            lambda: self.spec.oracle.propose(who, header, sent=wei, now=self.evm.now),
            value=wei,
        )
        if done:
            self.case = case
        return done

    def plan(self, challenger: str, function: str, arguments: tuple[Any, ...], salt: int = 0) -> Plan:
        """Prepare a proof; the arguments start with the header."""
        return Plan(challenger, function, arguments, calldata(function, salt.to_bytes(32, "big"), *arguments))

    def commit(self, caller: str, commitment: bytes) -> bool:
        """Commit to a proof."""
        return self.step(
            caller,
            "EpochChallenge",
            "commit",
            encode("EpochChallenge", "commit", commitment),
            lambda: self.spec.challenge.commit(caller, commitment, block=self.evm.block),
        )

    def prove(self, plan: Plan, *, caller: str | None = None) -> bool:
        """Send a proof."""
        who = caller or plan.challenger
        done = self.step(
            who,
            "EpochChallenge",
            plan.function,
            plan.data,
            lambda: self.spec.challenge.prove(
                who, plan.data, plan.function, *plan.arguments, block=self.evm.block
            ),
        )
        self._forget_if_gone()
        return done

    def ask(
        self, caller: str, header: EpochHeader, tree: Tree, index: int, *, sent: int | None = None
    ) -> bool:
        """Ask for a leaf, at its price by default."""
        wei = self.spec.requests.request_price(caller) if sent is None else sent
        key = hash_header(header), self.spec.oracle.pending.challenge_ends_at
        done = self.step(
            caller,
            "LeafRequests",
            "requestLeaf",
            encode("LeafRequests", "requestLeaf", astuple(header), int(tree), index),
            lambda: self.spec.requests.request_leaf(caller, header, tree, index, sent=wei, now=self.evm.now),
            value=wei,
        )
        if done:
            self.asked.append((*key, tree, index))
        return done

    def answer(self, caller: str, header: EpochHeader, shown: ActivityEvidence | AccountEvidence) -> bool:
        """Answer a request."""
        requests, now = self.spec.requests, self.evm.now
        leaves = tuple(map(astuple, shown.leaves)), tuple(shown.siblings)
        if isinstance(shown, ActivityEvidence):
            function = "answerActivity"
            specified: Callable[[], Any] = partial(requests.answer_activity, caller, header, shown, now=now)
        else:
            function = "answerAccount"
            specified = partial(requests.answer_account, caller, header, shown, now=now)
        data = encode("LeafRequests", function, astuple(header), leaves)
        return self.step(caller, "LeafRequests", function, data, specified)

    def answer_many(
        self, caller: str, header: EpochHeader, shown: Sequence[ActivityEvidence | AccountEvidence]
    ) -> bool:
        """Answer many requests at once."""
        acts = [one for one in shown if isinstance(one, ActivityEvidence)]
        accounts = [one for one in shown if isinstance(one, AccountEvidence)]
        given = [
            [(tuple(map(astuple, one.leaves)), tuple(one.siblings)) for one in part]
            for part in (acts, accounts)
        ]
        return self.step(
            caller,
            "LeafRequests",
            "answerMany",
            encode("LeafRequests", "answerMany", astuple(header), *given),
            lambda: self.spec.requests.answer_many(caller, header, acts, accounts, now=self.evm.now),
        )

    def void_unanswered(self, caller: str, header: EpochHeader, tree: Tree, index: int) -> bool:
        """Void because of a request nobody answered."""
        done = self.step(
            caller,
            "LeafRequests",
            "voidUnanswered",
            encode("LeafRequests", "voidUnanswered", astuple(header), int(tree), index),
            lambda: self.spec.requests.void_unanswered(caller, header, tree, index, now=self.evm.now),
        )
        self._forget_if_gone()
        return done

    def reclaim(self, caller: str, header_hash: bytes, ends_at: int, tree: Tree, index: int) -> bool:
        """Give a deposit back."""
        return self.step(
            caller,
            "LeafRequests",
            "reclaimDeposit",
            encode("LeafRequests", "reclaimDeposit", header_hash, ends_at, int(tree), index),
            lambda: self.spec.requests.reclaim_deposit(caller, header_hash, ends_at, tree, index),
        )

    def finalise(self, caller: str, header: EpochHeader) -> bool:
        """Make the pending epoch final."""
        return self.step(
            caller,
            "RateOracle",
            "finalise",
            encode("RateOracle", "finalise", astuple(header)),
            lambda: self.spec.oracle.finalise(caller, header, now=self.evm.now),
        )

    def withdraw(self, caller: str) -> bool:
        """Withdraw a bond or reward."""
        return self.step(
            caller,
            "RateOracle",
            "withdrawBond",
            encode("RateOracle", "withdrawBond", caller),
            lambda: self.spec.oracle.withdraw_bond(caller),
        )

    # ------------------------------------------------------------------ comparing

    def _proved(self, logs: Any) -> Fault:
        (log,) = (log for log in logs if log[1][0] == FAULT_PROVED)
        fault_class, tree, index = decode(["uint8", "uint8", "uint256"], log[2])
        return Fault(fault_class, Tree(tree), index)

    def view(self, contract: str, function: str, *arguments: Any) -> bytes:
        """What a view returns, encoded."""
        return self.evm.call(
            self.people[-1], self.at[contract], encode(contract, function, *arguments)
        ).returned

    def _compare(self) -> None:
        """What both remember: the proposal, a person's bond, a request, the money."""
        oracle, requests = self.spec.oracle, self.spec.requests
        self._same("RateOracle", "pending", astuple(oracle.pending))
        person = self.draw.choice(self.people)
        self._same("RateOracle", "withdrawableBond", oracle.withdrawable.get(person, 0), person)
        self._same("LeafRequests", "requestPrice", requests.request_price(person), person)
        if self.asked:
            header_hash, ends_at, tree, index = self.draw.choice(self.asked[-12:])
            key = header_hash, ends_at
            self._same("LeafRequests", "heldUntil", requests.held_until(*key), *key)
            self._same("LeafRequests", "openRequests", requests.open_requests(*key), *key)
            mine = requests.open_requests_of(*key, person)
            self._same("LeafRequests", "openRequestsOf", mine, *key, person)
            request = requests.request_of(*key, tree, index)
            self._same("LeafRequests", "requestOf", astuple(request), *key, int(tree), index)
        held = oracle.pending.bond + sum(oracle.withdrawable.values())
        deposits = sum(
            request.deposit for one in requests.inquiries.values() for request in one.requests.values()
        )
        wei = [self.evm.balance(self.at[name]) for name in ("RateOracle", "LeafRequests")]
        if wei != [held, deposits]:
            raise Disagreement(f"the contracts hold {wei} wei, the specification {[held, deposits]}")

    def _same(self, contract: str, function: str, expected: Any, *arguments: Any) -> None:
        found = self.view(contract, function, *arguments)
        wanted = encoded_result(contract, function, expected)
        if found != wanted:
            raise Disagreement(f"{function}{arguments} is {found.hex()}, the specification says {expected}")

    def _forget_if_gone(self) -> None:
        if self.spec.oracle.pending == NO_PROPOSAL and self.case is not None:
            self._voided, self.case = self.case, None

    # ------------------------------------------------------------------ chance

    def anybody(self) -> str:
        """Some person."""
        return self.draw.choice(self.people)

    def honest_case(self) -> Case:
        """The next epoch as it should be."""
        draw, oracle = self.draw, self.spec.oracle
        start = oracle.latest_end_ms or self._genesis
        end = start + draw.choice([1, 1_000, 60_000])
        acts = draw_acts(draw, POLICY, list(ACCOUNTS[1:5]), start, end, draw.randint(0, 6))
        published = publish(acts, POLICY, self.final, start_ms=start, end_ms=end, rate_q24=oracle.rate_q24)
        return Case(published, self.final, POLICY)

    def some_case(self) -> Case:
        """The next epoch, right or wrong, or one that cannot be proposed."""
        case, chance = self.honest_case(), self.draw.random()
        header = case.published.header
        if chance < 0.65:
            wrong = list(corruptions(self.draw, case))
            if wrong:
                return replace(case, published=self.draw.choice(wrong)[1])
        if chance > 0.9:
            changes: list[dict[str, Any]] = [
                {"epoch": header.epoch + 1},
                {"start_ms": header.start_ms - 1},
                {"end_ms": (self.evm.now + 10) * 1000},
                {"previous_header_hash": b"\x01" * 32},
                {"policy_hash": b"\x01" * 32},
                {"rate_q24": header.rate_q24 + 1},
                {"pot": 1},
                {"total_mint": 2**60},
            ]
            return replace(case, published=rehashed(case.published, **self.draw.choice(changes)))
        return case

    def pending_case(self) -> Case:
        """What is pending, or was, or could be."""
        return self.case or self._voided or self.honest_case()

    def some_plan(self) -> Plan:
        """A proof of something real, something changed, or nothing."""
        draw, case = self.draw, self.pending_case()
        faults = find_faults(case.published, case.previous, case.policy)
        if faults and draw.random() < 0.8:
            fault = draw.choice(faults)
            evidence = evidence_of(fault, case.published, case.previous, case.policy)
            function, arguments = evidence.function, list(spec_arguments(evidence))
            if draw.random() < 0.4:
                at = draw.randrange(1, len(arguments))
                arguments[at] = mutated(draw, arguments[at])
        else:
            challenges = Challenges(case, POLICY, wide=False)
            function, rest = draw.choice(list(challenges.some(draw, 1)))
            arguments = [challenges.header, *rest]
        return self.plan(self.anybody(), function, tuple(arguments), draw.randrange(3))

    def some_leaf(self) -> tuple[EpochHeader, Tree, int]:
        """A leaf of what is pending: one that was asked for, one there is, or one there is not."""
        case, draw = self.pending_case(), self.draw
        header = spec_header(case.published.header)
        pending = hash_header(header), self.spec.oracle.pending.challenge_ends_at
        recent = [one for one in self.asked[-6:] if one[:2] == pending]
        if recent and draw.random() < 0.75:
            return header, *draw.choice(recent)[2:]
        tree = draw.choice(list(Tree))
        count = header.activity_count if tree == Tree.ACTIVITY else header.account_count
        return header, tree, draw.randrange(count + 1)

    def some_answer(self) -> tuple[EpochHeader, ActivityEvidence | AccountEvidence]:
        """A leaf, mostly one that was asked for, mostly as it stands."""
        header, tree, index = self.some_leaf()
        trees = Trees(self.pending_case().published)
        places: list[Any] = trees.standing_activities if tree == Tree.ACTIVITY else trees.standing_accounts
        shown = places[min(index + 1, len(places) - 1)]
        if self.draw.random() < 0.2:
            shown = self.draw.choice([mutated(self.draw, shown), places[-1]])
        return header, shown

    def one(self) -> None:
        """Do one thing by chance."""
        if self.spec.oracle.pending == NO_PROPOSAL and self.draw.random() < 0.3:
            _propose(self)
            return
        kinds, weights = zip(*_STEPS, strict=True)
        self.draw.choices(kinds, weights)[0](self)

    def run(self, steps: int, progress: Callable[[int], None] = lambda _: None) -> None:
        """Walk so many steps."""
        for taken in range(1, steps + 1):
            self.one()
            if taken % 500 == 0:
                progress(taken)


def _propose(walk: ChallengeWalk) -> None:
    case = walk._voided if walk._voided and walk.draw.random() < 0.35 else walk.some_case()
    bond = walk.spec.oracle.bond
    walk.propose(case, caller=walk.anybody(), sent=walk.draw.choice([bond] * 15 + [0, bond + 1]))


def _commit(walk: ChallengeWalk) -> None:
    if walk.plans and walk.draw.random() < 0.1:
        walk.commit(walk.anybody(), walk.draw.choice(walk.plans[-4:]).commitment)
        return
    plan = walk.some_plan()
    walk.plans.append(plan)
    walk.commit(plan.challenger, plan.commitment)


def _prove(walk: ChallengeWalk) -> None:
    if walk.plans:
        plan = walk.draw.choice(walk.plans[-3:])
        walk.prove(plan, caller=walk.anybody() if walk.draw.random() < 0.1 else None)


def _ask(walk: ChallengeWalk) -> None:
    header, tree, index = walk.some_leaf()
    off = walk.draw.choice([0] * 12 + [1, -1])
    requester = walk.anybody()
    walk.ask(requester, header, tree, index, sent=walk.spec.requests.request_price(requester) + off)


def _answer(walk: ChallengeWalk) -> None:
    walk.answer(walk.anybody(), *walk.some_answer())


def _answer_many(walk: ChallengeWalk) -> None:
    header = walk.some_leaf()[0]
    shown = [walk.some_answer()[1] for _ in range(walk.draw.randint(1, 4))]
    walk.answer_many(walk.anybody(), header, shown)


def _void_unanswered(walk: ChallengeWalk) -> None:
    header, tree, index = walk.some_leaf()
    if walk.draw.random() < 0.5:
        # Nobody answers for a while.
        walk.evm.next_block(ANSWER_TIME)
    walk.void_unanswered(walk.anybody(), header, tree, index)


def _reclaim(walk: ChallengeWalk) -> None:
    if walk.asked:
        walk.reclaim(walk.anybody(), *walk.draw.choice(walk.asked[-8:]))


def _finalise(walk: ChallengeWalk) -> None:
    case = walk.pending_case()
    header = spec_header(case.published.header)
    if not find_faults(case.published, case.previous, case.policy):
        if walk.finalise(walk.anybody(), header):
            walk.final, walk.case, walk._voided = case.published, None, None
        return
    held = deepcopy(walk.spec)
    with walk.evm.undone():
        if walk.finalise(walk.anybody(), header):
            for plan in walk.plans[-3:]:
                walk.prove(plan)
    walk.spec, walk.case = held, case if held.oracle.pending != NO_PROPOSAL else None


def _withdraw(walk: ChallengeWalk) -> None:
    walk.withdraw(walk.anybody())


def _pass_time(walk: ChallengeWalk) -> None:
    walk.evm.next_block(walk.draw.choice(PAUSES))


_STEPS: tuple[tuple[Callable[[ChallengeWalk], None], int], ...] = (
    (_propose, 8),
    (_commit, 11),
    (_prove, 11),
    (_ask, 16),
    (_answer, 12),
    (_answer_many, 6),
    (_void_unanswered, 5),
    (_reclaim, 7),
    (_finalise, 6),
    (_withdraw, 3),
    (_pass_time, 22),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Walk, and say what happened how often."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--steps", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    began = time.monotonic()

    def progress(taken: int) -> None:
        print(f"{taken:,} steps, {time.monotonic() - began:.0f} s", file=sys.stderr)

    walk = ChallengeWalk(options.seed)
    walk.run(options.steps, progress)
    for name, count in sorted(walk.counts.items()):
        print(f"{count:>8,}  {name}")
    print(f"{sum(walk.counts.values()):,} calls agreed to the byte")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
