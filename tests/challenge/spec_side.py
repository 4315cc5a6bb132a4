"""The specification's names for what the epoch package holds, and the calldata of each."""

from __future__ import annotations

from dataclasses import astuple
from functools import lru_cache
from typing import Any

from timebank_chain.chain.contract import encode
from timebank_chain.epoch import evidence as shown
from timebank_chain.epoch import header as published
from timebank_chain.epoch import leaves
from timebank_chain.spec import epoch_tree
from timebank_chain.spec.epoch_challenge import DomainEvidence
from timebank_chain.spec.evidence import AccountEvidence, ActivityEvidence
from timebank_chain.spec.policy_registry import DomainPolicy, PolicyHead
from timebank_chain.spec.rate_oracle import NO_HEADER, EpochHeader
from timebank_chain.valuation.policy import (
    Bracket,
    Policy,
    brackets_call,
    domain_call,
    domain_hashes,
    policy_head_call,
)


def spec_header(header: published.EpochHeader | None) -> EpochHeader:
    """A header; the empty one where there is none."""
    return NO_HEADER if header is None else EpochHeader(*header.as_call())  # type: ignore[arg-type]  # fields in order


@lru_cache(maxsize=256)
def spec_head(policy: Policy) -> PolicyHead:
    """A policy's head."""
    return PolicyHead(*policy_head_call(policy))  # type: ignore[arg-type]  # fields in order


@lru_cache(maxsize=256)
def spec_rules(policy: Policy, domain: int) -> DomainEvidence:
    """The rules of one domain."""
    return DomainEvidence(
        spec_head(policy),
        domain_hashes(policy),
        DomainPolicy(*domain_call(policy.domains[domain])),  # type: ignore[arg-type]  # fields in order
    )


def spec_activity(leaf: leaves.ActivityLeaf) -> epoch_tree.ActivityLeaf:
    """An activity."""
    return epoch_tree.ActivityLeaf(*(getattr(leaf, name) for name, _, _ in leaf.LAYOUT))


def spec_account(leaf: leaves.AccountLeaf) -> epoch_tree.AccountLeaf:
    """An account."""
    return epoch_tree.AccountLeaf(*leaf.as_call())


def spec_argument(argument: shown.Argument) -> Any:
    """One argument of a proof."""
    match argument:
        case None | published.EpochHeader():
            return spec_header(argument)
        case shown.DomainEvidence(policy, domain):
            return spec_rules(policy, domain)
        case shown.HeadEvidence(policy):
            return spec_head(policy)
        case shown.ActivityEvidence(members, siblings):
            return ActivityEvidence(tuple(map(spec_activity, members)), siblings)
        case shown.AccountEvidence(members, siblings):
            return AccountEvidence(tuple(map(spec_account, members)), siblings)
        case leaves.ActivityLeaf():
            return spec_activity(argument)
        case leaves.AccountLeaf():
            return spec_account(argument)
        case (Bracket(), *_):
            return tuple((one.from_multiple_milli, one.slope_milli) for one in argument)  # type: ignore[union-attr]  # matched
        case _:
            return argument


def spec_arguments(evidence: shown.Evidence) -> tuple[Any, ...]:
    """The arguments of a proof, header first."""
    return spec_header(evidence.header), *map(spec_argument, evidence.arguments)


def spec_brackets(policy: Policy) -> tuple[tuple[int, int], ...]:
    """A policy's fairness steps."""
    return brackets_call(policy)


def calldata(function: str, salt: bytes, *arguments: Any) -> bytes:
    """What is sent to the contract for a proof with these arguments of the specification."""
    return encode("EpochChallenge", function, salt, *map(_plain, arguments))


def _plain(argument: Any) -> Any:
    if isinstance(argument, int | bytes | str):
        return argument
    if isinstance(argument, EpochHeader | epoch_tree.ActivityLeaf | epoch_tree.AccountLeaf):
        return astuple(argument)
    if isinstance(argument, ActivityEvidence | AccountEvidence):
        return tuple(map(astuple, argument.leaves)), tuple(argument.siblings)
    if isinstance(argument, DomainEvidence):
        return tuple(argument.head), tuple(argument.domain_hashes), tuple(argument.domain)
    return tuple(argument)
