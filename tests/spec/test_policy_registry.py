"""Which policies may come into force.

::

    policy registry
    |- every bound: its error with the values, and the nearest policy that keeps it
    |- a policy is registered once; a second time nothing changes
    |- nothing refused is registered
    |- refuses exactly the documents that are refused as files
    `- hashes as the valuation does
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given

from tests.policy_cases import honest, spoiled, text32
from tests.valuation.valuation_cases import policies
from timebank_chain.errors import PolicyError
from timebank_chain.policies import preset_names
from timebank_chain.spec import policy_registry as spec
from timebank_chain.spec.policy_registry import DomainPolicy, Policy, PolicyRegistry
from timebank_chain.spec.revert import Reverted
from timebank_chain.units import MAX_RANK_MILLI, MAX_TIME_MS, MILLI
from timebank_chain.valuation import (
    brackets_call,
    decay,
    domain_call,
    domain_hashes,
    load_policy,
    policy_call,
    policy_from_json,
    policy_hash,
    policy_head_call,
)
from timebank_chain.valuation import policy as document

LINE = ((0, 0), (10_000, 10_000))
DOMAIN = DomainPolicy(text32("code"), 0, 5, 9, 1_250, 500, LINE, LINE, LINE)
POLICY = Policy(text32("a policy"), 1, 6_684_486, 0, 1 << 24, ((0, 1_000), (2_000, 750)), (DOMAIN,))
K = spec.MAX_DECAY_K


def other(**changes: Any) -> Policy:
    return POLICY._replace(**changes)


def domain(**changes: Any) -> Policy:
    """The policy with a second domain that differs."""
    return other(domains=(DOMAIN, DOMAIN._replace(name=text32("review"))._replace(**changes)))


def brackets(*pairs: tuple[int, int]) -> Policy:
    return other(brackets=pairs)


def points(count: int) -> tuple[tuple[int, int], ...]:
    return tuple((n, n) for n in range(count))


def steps(count: int) -> Policy:
    return brackets(*((n, 1_000 - n) for n in range(count)))


def many(count: int) -> Policy:
    return other(domains=tuple(DOMAIN._replace(name=text32(f"domain {n}")) for n in range(count)))


BOUNDS: list[tuple[Policy, Policy, str, tuple[object, ...]]] = [
    (other(name=bytes(32)), other(name=text32("x")), "PolicyWithoutName", ()),
    (other(version=0), other(version=1), "VersionIsZero", ()),
    (other(decay_k=0), other(decay_k=1), "DecayOutOfRange", (0, K)),
    (other(decay_k=K + 1), other(decay_k=K), "DecayOutOfRange", (K + 1, K)),
    (other(epoch_ms=1 << 48), other(epoch_ms=(1 << 48) - 1), "EpochTooLong", (1 << 48, (1 << 48) - 1)),
    (other(initial_rate_q24=0), other(initial_rate_q24=1), "InitialRateIsZero", ()),
    (brackets(), steps(1), "BadBracketCount", (0, 8)),
    (steps(9), steps(8), "BadBracketCount", (9, 8)),
    (brackets((1, 9)), brackets((0, 9)), "FirstBracketNotAtZero", (1,)),
    (brackets((0, 9), (5, 9), (5, 9)), brackets((0, 9), (5, 9), (6, 9)), "BracketsNotAscending", (2, 5, 5)),
    (brackets((0, 1_001)), brackets((0, 1_000)), "SlopeTooSteep", (0, 1_001, 1_000)),
    (brackets((0, 8), (5, 9)), brackets((0, 8), (5, 8)), "SlopeTooSteep", (1, 9, 8)),
    (many(0), many(1), "BadDomainCount", (0, 64)),
    (many(65), many(64), "BadDomainCount", (65, 64)),
    (domain(name=bytes(32)), domain(name=text32("x")), "DomainWithoutName", (1,)),
    (domain(name=DOMAIN.name), domain(name=text32("coda")), "DomainNamedTwice", (1, 0, DOMAIN.name)),
    (domain(low=10**9 + 1, high=0), domain(low=10**9, high=0), "BandTooHigh", (1, 10**9 + 1, 10**9)),
    (domain(high=10**9 + 1), domain(high=10**9), "BandTooHigh", (1, 10**9 + 1, 10**9)),
    (domain(low=8, high=7), domain(low=7, high=7), "LowAboveHigh", (1, 8, 7)),
    (domain(low=8, high=1), domain(low=8, high=0), "LowAboveHigh", (1, 8, 1)),
    (domain(bonus_milli=999), domain(bonus_milli=1_000), "BonusOutOfRange", (1, 999, 1_000, 4_000)),
    (domain(bonus_milli=4_001), domain(bonus_milli=4_000), "BonusOutOfRange", (1, 4_001, 1_000, 4_000)),
    (domain(penalty_milli=4_001), domain(penalty_milli=4_000), "PenaltyTooLarge", (1, 4_001, 4_000)),
    (domain(interaction=()), domain(interaction=points(1)), "BadKnotCount", (1, 0, 0, 16)),
    (domain(originality=points(17)), domain(originality=points(16)), "BadKnotCount", (1, 1, 17, 16)),
    (
        domain(engagement=((3, 1), (3, 1))),
        domain(engagement=((3, 1), (4, 1))),
        "KnotsNotAscending",
        (1, 2, 1, 3, 3),
    ),
    (
        domain(originality=((3, 1), (4, 10_001))),
        domain(originality=((3, 1), (4, 10_000))),
        "RankTooHigh",
        (1, 1, 1, 10_001, 10_000),
    ),
]


@pytest.mark.parametrize(("broken", "kept", "name", "values"), BOUNDS)
def test_each_bound(broken: Policy, kept: Policy, name: str, values: tuple[object, ...]) -> None:
    registry = PolicyRegistry()
    with pytest.raises(Reverted) as refused:
        registry.register(broken)
    assert (refused.value.name, refused.value.values) == (name, values)
    assert not registry.registered
    assert registry.is_registered(registry.register(kept))


def test_a_second_time_nothing_changes() -> None:
    registry = PolicyRegistry()
    digest = registry.register(POLICY)
    assert registry.register(POLICY) == digest == spec.hash_policy(POLICY)
    assert registry.registered == {digest}
    assert not registry.is_registered(bytes(32))


def test_bounds_are_the_documents() -> None:
    assert spec.MAX_DECAY_K == decay.MAX_DECAY_K
    assert spec.MAX_TIME_MS == MAX_TIME_MS
    assert (spec.MAX_BRACKETS, spec.MAX_DOMAINS, spec.MAX_KNOTS) == (
        document.MAX_BRACKETS,
        document.MAX_DOMAINS,
        document.MAX_KNOTS,
    )
    assert (spec.ONE_MILLI, spec.MAX_FACTOR_MILLI) == (MILLI, document.MAX_FACTOR_MILLI)
    assert (spec.MAX_RANK_MILLI, spec.MAX_QUALITY) == (MAX_RANK_MILLI, document.MAX_QUALITY)


def as_document(policy: Policy) -> str:
    """The policy as a file would state it."""

    def name(raw: bytes) -> str:
        return raw.rstrip(b"\0").decode("latin-1")[:16]

    return json.dumps(
        {
            "name": name(policy.name),
            "version": policy.version,
            "title": "drawn",
            "sources": "drawn",
            "decay_k": policy.decay_k,
            "epoch_ms": policy.epoch_ms,
            "initial_rate_q24": policy.initial_rate_q24,
            "brackets": [
                {"from_multiple_milli": start, "slope_milli": slope} for start, slope in policy.brackets
            ],
            "domains": [
                {
                    "name": name(one.name),
                    "window_ms": one.window_ms,
                    "low": one.low,
                    "high": one.high,
                    "bonus_milli": one.bonus_milli,
                    "penalty_milli": one.penalty_milli,
                    "interaction": one.interaction,
                    "originality": one.originality,
                    "engagement": one.engagement,
                }
                for one in policy.domains
            ],
        }
    )


def accepted(check: Callable[[], object], *refusals: type[Exception]) -> bool:
    try:
        check()
    except refusals:
        return False
    return True


def test_refuses_exactly_what_is_refused_as_a_document() -> None:
    draw = random.Random(20_261)
    verdicts = []
    for number in range(4_000):
        policy = honest(draw) if number % 4 == 0 else spoiled(draw)
        verdict = accepted(lambda policy=policy: PolicyRegistry().register(policy), Reverted)  # type: ignore[misc]  # bound at once
        text = as_document(policy)
        assert verdict == accepted(lambda text=text: policy_from_json(text), PolicyError), text  # type: ignore[misc]  # as above
        assert verdict or number % 4
        verdicts.append(verdict)
    assert 1_500 < sum(verdicts) < 3_000


@given(policies())
def test_hashes_as_the_valuation_does(policy: document.Policy) -> None:
    call = Policy(*policy_call(policy))  # type: ignore[arg-type]  # the fields of the struct
    assert spec.hash_policy(call) == policy_hash(policy)
    assert tuple(spec.head_of(call)) == policy_head_call(policy)
    assert spec.hash_brackets(brackets_call(policy)) == spec.head_of(call).brackets_hash
    hashes = [spec.hash_domain(domain_call(one)) for one in policy.domains]  # type: ignore[arg-type]  # as above
    assert tuple(hashes) == domain_hashes(policy)
    assert spec.hash_domains(hashes) == spec.head_of(call).domains_hash


@pytest.mark.parametrize("name", preset_names())
def test_shipped_policies_are_within_the_bounds(name: str) -> None:
    registry = PolicyRegistry()
    policy = load_policy(name)
    assert registry.register(policy_call(policy)) == policy_hash(policy)  # type: ignore[arg-type]  # as above
