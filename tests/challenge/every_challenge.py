"""Every challenge that can be made of an epoch's trees: all leaves, pairs, proofs, positions, policies.

Where a function takes one or two leaves, ``wide`` evidence is every choice of none, one or two leaves (all
ordered pairs) with the siblings of every place, of this epoch and of the one before. Where it takes more, it
is every piece of evidence that stands: what does not stand is refused whatever else is shown with it.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import prod
from typing import Any

from tests.challenge.small_epochs import Case
from tests.challenge.spec_side import (
    spec_account,
    spec_activity,
    spec_arguments,
    spec_brackets,
    spec_head,
    spec_header,
    spec_rules,
)
from timebank_chain.epoch.evidence import evidence_of
from timebank_chain.epoch.faults import Fault
from timebank_chain.epoch.file import PublishedEpoch
from timebank_chain.spec.epoch_challenge import PROOFS, DomainEvidence
from timebank_chain.spec.epoch_tree import AccountLeaf, ActivityLeaf
from timebank_chain.spec.evidence import AccountEvidence, ActivityEvidence
from timebank_chain.spec.rate_oracle import NO_HEADER, EpochHeader
from timebank_chain.spec.revert import Reverted
from timebank_chain.valuation.policy import Policy

Challenge = tuple[str, tuple[Any, ...]]


@dataclass(frozen=True)
class Trees:
    """What can be shown of one epoch."""

    published: PublishedEpoch

    @cached_property
    def activities(self) -> tuple[ActivityLeaf, ...]:
        rows = self.published.activities
        return tuple(spec_activity(rows.leaf(row)) for row in range(len(rows)))

    @cached_property
    def accounts(self) -> tuple[AccountLeaf, ...]:
        rows = self.published.accounts
        return tuple(spec_account(rows.leaf(row)) for row in range(len(rows)))

    @cached_property
    def activity_siblings(self) -> tuple[tuple[bytes, ...], ...]:
        return _siblings(self.published.activities.tree, len(self.activities))

    @cached_property
    def account_siblings(self) -> tuple[tuple[bytes, ...], ...]:
        return _siblings(self.published.accounts.tree, len(self.accounts))

    @cached_property
    def standing_activities(self) -> list[ActivityEvidence]:
        """Evidence that stands, and none."""
        places = _places(self.activities, self.activity_siblings)
        return [ActivityEvidence(), *(ActivityEvidence(*place) for place in places)]

    @cached_property
    def standing_accounts(self) -> list[AccountEvidence]:
        """Evidence that stands, and none."""
        places = _places(self.accounts, self.account_siblings)
        return [AccountEvidence(), *(AccountEvidence(*place) for place in places)]

    @cached_property
    def wide_activities(self) -> list[ActivityEvidence]:
        """Any leaves with any siblings."""
        return [ActivityEvidence(*one) for one in _wide(self.activities, self.activity_siblings)]

    @cached_property
    def wide_accounts(self) -> list[AccountEvidence]:
        """Any leaves with any siblings."""
        return [AccountEvidence(*one) for one in _wide(self.accounts, self.account_siblings)]


class Challenges:
    """What anybody can try against one epoch, by function; ``wide`` as in the module."""

    def __init__(self, case: Case, other_policy: Policy, *, wide: bool) -> None:
        self.header = spec_header(case.published.header)
        self.now = Trees(case.published)
        self.before = None if case.previous is None else Trees(case.previous)
        self.policy, self.other_policy = case.policy, other_policy
        both = [self.now] if self.before is None else [self.now, self.before]
        self.standing_activities = [one for trees in both for one in trees.standing_activities]
        self.standing_accounts = [one for trees in both for one in trees.standing_accounts]
        self.activities, self.accounts = self.standing_activities, self.standing_accounts
        if wide:
            self.activities = [one for trees in both for one in trees.wide_activities]
            self.accounts = [one for trees in both for one in trees.wide_accounts]

    def all(self) -> Iterator[Challenge]:
        """Every challenge."""
        for function in PROOFS:
            for arguments in product(*self.choices(function)):
                yield function, arguments
        yield from self.positions()

    def some(self, draw: random.Random, each: int) -> Iterator[Challenge]:
        """A few of every function, of the right policy and header more often than not."""
        for function in PROOFS:
            choices = self.choices(function)
            for _ in range(each if all(choices) else 0):
                yield (
                    function,
                    tuple(
                        draw.choice(one[: draw.choice([1, len(one)])])
                        if _is_context(one)
                        else draw.choice(one)
                        for one in choices
                    ),
                )
        placed = list(self.positions())
        yield from draw.sample(placed, min(2 * each, len(placed)))

    def most(self, draw: random.Random, limit: int) -> Iterator[Challenge]:
        """Every challenge of a function that has at most so many; of the others so many by chance."""
        for function in PROOFS:
            for arguments in _most(draw, self.choices(function), limit):
                yield function, arguments
        for function, choices in self._placements():
            for leaf, position, siblings in _most(draw, choices, limit):
                yield function, (leaf, position, siblings)

    def choices(self, function: str) -> list[Sequence[Any]]:
        """What each argument after the header can be; nothing for positions, which go by leaf."""
        return {
            "proveValue": [self.rules, self.activities],
            "proveActivitySum": [self.activities],
            "proveActivityPosition": [[]],
            "proveActivityOrder": [self.activities],
            "proveDuplicate": [self.standing_activities, self.activities],
            "proveSettlement": [self.rules, self.activities],
            "proveAccountSum": [self.accounts],
            "proveAccountPosition": [[]],
            "proveAccountOrder": [self.accounts],
            "proveRange": [self.accounts, self.standing_activities],
            "proveRangeEnd": [self.accounts],
            "proveEarned": [self.standing_accounts, self.standing_activities, self.standing_activities],
            "proveStanding": [self.headers, self.heads, self.standing_accounts, self.standing_accounts],
            "proveMint": [self.heads, self.brackets, self.accounts],
            "proveDropped": [self.headers, self.standing_accounts, self.accounts],
            "proveInvented": [self.headers, self.standing_accounts, self.accounts],
            "proveTotals": [self.accounts],
            "proveLength": [self.heads],
        }[function]

    @cached_property
    def headers(self) -> list[EpochHeader]:
        """The header before, this one, an empty one."""
        before = [] if self.before is None else [spec_header(self.before.published.header)]
        return [*before, self.header, NO_HEADER]

    @cached_property
    def heads(self) -> list[Any]:
        """The policy's head, and another's."""
        return [spec_head(self.policy), spec_head(self.other_policy)]

    @cached_property
    def brackets(self) -> list[Any]:
        """The policy's brackets, another's, none."""
        return [spec_brackets(self.policy), spec_brackets(self.other_policy), ()]

    @cached_property
    def rules(self) -> list[DomainEvidence]:
        """Every domain of the policy, with the list of domains in and out of order, and another policy's."""
        own = [spec_rules(self.policy, domain) for domain in range(len(self.policy.domains))]
        others = [spec_rules(self.other_policy, domain) for domain in range(len(self.other_policy.domains))]
        mixed = [DomainEvidence(own[0].head, others[0].domain_hashes, others[0].domain)]
        mixed += [DomainEvidence(own[0].head, own[0].domain_hashes[::-1], one.domain) for one in own]
        mixed += [DomainEvidence(own[0].head, (), own[0].domain)]
        mixed += [DomainEvidence(own[0].head, own[0].domain_hashes[:-1], own[0].domain)]
        return [*own, *others, *mixed]

    def positions(self) -> Iterator[Challenge]:
        """Every leaf at every position of the tree and somewhat beyond, with the siblings of every place."""
        for function, choices in self._placements():
            for leaf, position, siblings in product(*choices):
                yield function, (leaf, position, siblings)

    def _placements(self) -> Iterator[tuple[str, list[Sequence[Any]]]]:
        """Leaves, positions and siblings, by function and tree."""
        reach = range(2 * max(len(self.now.activities), len(self.now.accounts)) + 2)
        for trees in [self.now] if self.before is None else [self.now, self.before]:
            yield "proveActivityPosition", [trees.activities, reach, trees.activity_siblings]
            yield "proveAccountPosition", [trees.accounts, reach, trees.account_siblings]


def accusations(case: Case) -> Iterator[Challenge]:
    """What would prove a fault of every kind in every place: each leaf that stands, shown as it should be."""
    published, previous = case.published, case.previous
    header, acts, people = published.header, published.activities, published.accounts
    single = ("proveValue", "proveActivitySum", "proveActivityOrder", "proveSettlement")
    faults = [Fault(0, name, "activity", row, "", "") for name in single for row in range(len(acts))]
    single = ("proveAccountSum", "proveAccountOrder", "proveRangeEnd", "proveEarned", "proveMint")
    faults += [Fault(0, name, "account", row, "", "") for name in single for row in range(len(people))]
    faults += [
        Fault(0, "proveDuplicate", "activity", row - 1, "", "", other=row) for row in range(1, len(acts))
    ]
    for row in range(len(people)):
        own = people.activities_of(row)
        faults += [
            Fault(0, "proveRange", "account", row, "", "", other=act) for act in range(own.start, own.stop)
        ]
    if previous is not None or header.epoch == 1:
        both = ("proveStanding", "proveInvented")
        faults += [Fault(0, name, "account", row, "", "") for name in both for row in range(len(people))]
    if previous is not None:
        gone = range(len(previous.accounts))
        faults += [Fault(0, "proveDropped", "account", row, "", "") for row in gone]
    faults.append(Fault(0, "proveLength", "account", 0, "", ""))
    faults.append(Fault(0, "proveTotals", "account", 0, "total_earned", ""))
    for fault in faults:
        evidence = evidence_of(fault, published, previous, case.policy)
        yield fault.function, spec_arguments(evidence)[1:]
    now = Trees(published)
    for index, leaf in enumerate(now.activities):
        yield "proveActivityPosition", (leaf, index, now.activity_siblings[index])
    for index, account in enumerate(now.accounts):
        yield "proveAccountPosition", (account, index, now.account_siblings[index])


def try_all(header: EpochHeader, challenges: Iterable[Challenge], outcomes: Counter[str]) -> None:
    """Try challenges against an honest epoch: each must be refused with a named error."""
    for function, arguments in challenges:
        try:
            fault = PROOFS[function](header, *arguments)
        except Reverted as refusal:
            outcomes[f"{function} {refusal.name}"] += 1
        else:
            raise AssertionError(f"an honest epoch was voided: {fault} by {function}{arguments}, {header}")


def _most(draw: random.Random, choices: Sequence[Sequence[Any]], limit: int) -> Iterator[tuple[Any, ...]]:
    """Every combination of one of each, or so many different ones by chance."""
    total = prod(map(len, choices))
    if total <= limit:
        yield from product(*choices)
        return
    for number in draw.sample(range(total), limit):
        chosen = []
        for one in choices:
            number, at = divmod(number, len(one))
            chosen.append(one[at])
        yield tuple(chosen)


def _is_context(choices: Sequence[Any]) -> bool:
    """Whether these are headers, heads, brackets or rules, of which the first is right."""
    return not isinstance(choices[0], ActivityEvidence | AccountEvidence)


def _siblings(tree: Any, count: int) -> tuple[tuple[bytes, ...], ...]:
    """Siblings of every leaf, then of every two neighbours; none at all last."""
    ones = [tuple(tree.proof(index)) for index in range(count)]
    twos = [tuple(tree.range_proof(first, 2)) for first in range(count - 1)]
    return (*ones, *twos, ())


def _places(leaves: Sequence[Any], siblings: Sequence[tuple[bytes, ...]]) -> Iterator[Any]:
    count = len(leaves)
    for index in range(count):
        yield (leaves[index],), siblings[index]
    for first in range(count - 1):
        yield leaves[first : first + 2], siblings[count + first]


def _wide(leaves: Sequence[Any], siblings: Sequence[tuple[bytes, ...]]) -> Iterator[Any]:
    distinct = list(dict.fromkeys(siblings))
    for size in range(3):
        for chosen in product(leaves, repeat=size):
            for one in distinct:
                yield chosen, one
