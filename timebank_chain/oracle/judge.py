"""Judges a proposed epoch: takes its header, its files and what was shown of it on chain, gives a verdict.

Nothing is read or sent here. A verdict carries what is to be done about it: the evidence of a fault, or the
leaf to ask for next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from timebank_chain.epoch import (
    CommittedLeaf,
    EpochHeader,
    Evidence,
    Fault,
    PublishedEpoch,
    evidence_of,
    find_faults,
    position_fault,
)
from timebank_chain.epoch.evidence import Leaves
from timebank_chain.epoch.faults import TreeName
from timebank_chain.epoch.keccak import keccak
from timebank_chain.epoch.revealed import Question, reveal
from timebank_chain.errors import EpochError
from timebank_chain.valuation import Policy

#: Faults of each rule to try: of rows that were not committed to, the first may be of no leaf that was.
_TRIES = 64


class Verdict(StrEnum):
    """What is to be said of an epoch."""

    HONEST = "every number is right"
    FAULTY = "a fault can be proved"
    DISPUTED = "the published rows are not those that were committed"
    UNAVAILABLE = "files that fit the header cannot be had"
    MISPUBLISHED = "every committed number is right, but other rows were published"
    UNPROVED = "it is wrong, but what is at hand does not prove it"
    HALF_JUDGED = "right as far as it can be judged without the epoch before"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict and what follows from it.

    Attributes
    ----------
    faults
        The first fault of every rule that is broken, as far as it can be seen.
    evidence
        What proves one of them.
    questions
        Leaves to ask for, the next one first.
    reason
        Why there is no better verdict.
    """

    verdict: Verdict
    faults: tuple[Fault, ...] = ()
    evidence: Evidence | None = None
    questions: tuple[Question, ...] = ()
    reason: str = ""


def judge(
    published: PublishedEpoch,
    previous: PublishedEpoch | None,
    policy: Policy,
    shown: Sequence[CommittedLeaf],
    *,
    ask: int = 0,
) -> Judgement:
    """Judge an epoch whose files are at hand.

    Parameters
    ----------
    published
        As fetched: the files the header's data hash vouches for, whatever they say.
    previous
        The epoch before, as it was finalised; ``None`` for the first, or if it cannot be had.
    policy
        The policy the header names.
    shown
        Leaves that were shown on chain, in answer to questions.
    ask
        Leaves to ask for if the rows are such that no tree can be made of them.
    """
    header = published.header
    misplaced = judge_shown(header, shown)
    if misplaced is not None:
        return misplaced
    try:
        acts = reveal(published.activities, header, shown)
        holders = reveal(published.accounts, header, shown)
    except EpochError as error:
        return judge_unavailable(header, f"the published rows are none: {error}", ask=ask)
    known = replace(published, activities=acts.rows, accounts=holders.rows)
    blind = previous is None and header.epoch > 1
    faults = tuple(find_faults(known, previous, policy, limit=_TRIES, without_previous=blind))
    trees: dict[TreeName, Leaves] = {"activity": acts, "account": holders}
    for fault in faults:
        try:
            evidence = evidence_of(fault, known, previous, policy, trees=trees)
        except EpochError:
            # Of leaves that are not known to be committed, nothing is proved: another fault will do.
            continue
        return Judgement(Verdict.FAULTY, _one_of_each((fault, *faults)), evidence)
    complete = acts.complete and holders.complete
    questions = () if complete else tuple(one for one in (acts.question, holders.question) if one is not None)
    if questions:
        which = " and ".join(f"{question.tree} rows" for question in questions)
        reason = f"the published {which} do not have the header's root"
        return Judgement(Verdict.DISPUTED, _one_of_each(faults), None, questions, reason)
    if faults or not complete:
        reason = "no evidence can be made of what is known"
        return Judgement(Verdict.UNPROVED, _one_of_each(faults), reason=reason)
    if blind:
        return Judgement(
            Verdict.HALF_JUDGED, reason="the epoch before cannot be had: classes 6 and 8 are open"
        )
    as_published = all(
        rows.tree.root == root
        for rows, root in (
            (published.activities, header.activity_root),
            (published.accounts, header.account_root),
        )
    )
    return Judgement(Verdict.HONEST if as_published else Verdict.MISPUBLISHED)


def judge_shown(header: EpochHeader, shown: Sequence[CommittedLeaf]) -> Judgement | None:
    """Judge what was shown on chain by itself; ``None`` if every leaf is where it should be."""
    for leaf in shown:
        fault = position_fault(header, leaf)
        if fault is not None:
            evidence = Evidence(fault.function, header, (leaf.leaf, leaf.position, leaf.siblings))
            return Judgement(Verdict.FAULTY, (fault,), evidence)
    return None


def judge_unavailable(header: EpochHeader, reason: str, *, ask: int) -> Judgement:
    """Judge an epoch nobody gives us: ask for the last leaf of either tree and some by chance.

    By chance, yet the same ones in every look: they follow from the header's hash.
    """
    questions: list[Question] = []
    if header.activity_count:
        questions.append(Question("activity", header.activity_count - 1))
    if header.account_count:
        questions.append(Question("account", header.account_count - 1))
    draw = 0
    while header.activity_count and len(questions) < min(ask, header.activity_count + header.account_count):
        number = int.from_bytes(keccak(header.hash() + draw.to_bytes(4, "big")), "big")
        draw += 1
        tree_is_activity = bool(number & 1) or not header.account_count
        count = header.activity_count if tree_is_activity else header.account_count
        question = Question("activity" if tree_is_activity else "account", (number >> 1) % count)
        if question not in questions:
            questions.append(question)
    return Judgement(Verdict.UNAVAILABLE, (), None, tuple(questions[:ask]), reason)


def _one_of_each(faults: Sequence[Fault]) -> tuple[Fault, ...]:
    """Return the first fault of each function."""
    return tuple(
        {fault.function: fault for fault in reversed(faults)}[name]
        for name in dict.fromkeys(fault.function for fault in faults)
    )
