"""Which policies may come into force, and what stands for one on chain.

The structs are those of ``libraries/Policy.sol``, field for field, so a plain tuple of the same shape will do
for each of them. Their ABI encoding is written out word by word here: nothing else is hashed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from timebank_chain.spec.epoch_tree import keccak
from timebank_chain.spec.revert import require

__all__ = [
    "DomainPolicy",
    "Policy",
    "PolicyHead",
    "PolicyRegistry",
    "hash_brackets",
    "hash_domain",
    "hash_domains",
    "hash_head",
    "hash_policy",
    "head_of",
]

#: A point of a scoring function: raw indicator and rank, thousandths.
Knot = tuple[int, int]

#: A fairness step: where it begins in thousandths of the mean, and the share that counts, thousandths.
Bracket = tuple[int, int]

#: ``round(2^56 / ln 2)``: a mean lifetime of one millisecond.
MAX_DECAY_K = 103_957_133_576_908_769
MAX_TIME_MS = (1 << 48) - 1
MAX_BRACKETS = 8
MAX_DOMAINS = 64
MAX_KNOTS = 16
ONE_MILLI = 1_000
MAX_FACTOR_MILLI = 4_000
MAX_RANK_MILLI = 10_000
#: Micro-value: three ranks of ten multiplied.
MAX_QUALITY = 1_000_000_000

_NO_NAME = bytes(32)


class DomainPolicy(NamedTuple):
    """One domain's rules; units as in ``libraries/Policy.sol``, the name as 32 bytes."""

    name: bytes
    window_ms: int
    low: int
    high: int
    bonus_milli: int
    penalty_milli: int
    interaction: Sequence[Knot]
    originality: Sequence[Knot]
    engagement: Sequence[Knot]


class Policy(NamedTuple):
    """A whole policy; units as in ``libraries/Policy.sol``, the name as 32 bytes."""

    name: bytes
    version: int
    decay_k: int
    epoch_ms: int
    initial_rate_q24: int
    brackets: Sequence[Bracket]
    domains: Sequence[DomainPolicy]


class PolicyHead(NamedTuple):
    """A policy with its lists replaced by their hashes."""

    name: bytes
    version: int
    decay_k: int
    epoch_ms: int
    initial_rate_q24: int
    brackets_hash: bytes
    domains_hash: bytes


# What stands for a policy


def hash_head(head: PolicyHead) -> bytes:
    """Return a policy's identity: keccak256 of its head's seven words."""
    name, version, decay_k, epoch_ms, initial_rate_q24, brackets_hash, domains_hash = head
    numbers = _words(version, decay_k, epoch_ms, initial_rate_q24)
    return keccak(name + numbers + brackets_hash + domains_hash)


def hash_brackets(brackets: Sequence[Bracket]) -> bytes:
    """Return keccak256 of ``abi.encode(Bracket[])``.

    >>> hash_brackets([(0, 1_000)]) == keccak(_words(32, 1, 0, 1_000))
    True
    """
    return keccak(_words(32) + _pairs(brackets))


def hash_domain(domain: DomainPolicy) -> bytes:
    """Return keccak256 of ``abi.encode(DomainPolicy)``: nine words, then the three lists of knots."""
    name, *numbers, interaction, originality, engagement = domain
    lists = [_pairs(knots) for knots in (interaction, originality, engagement)]
    first = 32 * len(domain)
    second = first + len(lists[0])
    third = second + len(lists[1])
    return keccak(_words(32) + name + _words(*numbers, first, second, third) + b"".join(lists))


def hash_domains(domain_hashes: Sequence[bytes]) -> bytes:
    """Return keccak256 of the domains' hashes, one after the other."""
    return keccak(b"".join(domain_hashes))


def head_of(policy: Policy) -> PolicyHead:
    """Return the policy with its lists replaced by their hashes."""
    name, version, decay_k, epoch_ms, initial_rate_q24, brackets, domains = policy
    return PolicyHead(
        name,
        version,
        decay_k,
        epoch_ms,
        initial_rate_q24,
        hash_brackets(brackets),
        hash_domains([hash_domain(domain) for domain in domains]),
    )


def hash_policy(policy: Policy) -> bytes:
    """Return a whole policy's identity."""
    return hash_head(head_of(policy))


def _words(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(32, "big") for number in numbers)


def _pairs(pairs: Sequence[tuple[int, int]]) -> bytes:
    """A list of pairs as the ABI has it: how many, then all their words."""
    return _words(len(pairs), *(number for pair in pairs for number in pair))


# The registry


@dataclass
class PolicyRegistry:
    """``oracle/PolicyRegistry.sol``: the identities of the policies that were shown and found in bounds."""

    registered: set[bytes] = field(default_factory=set)

    def register(self, policy: Policy) -> bytes:
        """Check a policy and return its identity; a second time nothing changes."""
        policy = Policy(*policy)
        _require_head(policy)
        _require_brackets(policy.brackets)
        _require_domains([DomainPolicy(*domain) for domain in policy.domains])
        digest = hash_policy(policy)
        self.registered.add(digest)
        return digest

    def is_registered(self, policy_hash: bytes) -> bool:
        """Return whether a policy of this identity was registered."""
        return policy_hash in self.registered


def _require_head(policy: Policy) -> None:
    require(policy.name != _NO_NAME, "PolicyWithoutName")
    require(policy.version != 0, "VersionIsZero")
    require(1 <= policy.decay_k <= MAX_DECAY_K, "DecayOutOfRange", policy.decay_k, MAX_DECAY_K)
    require(policy.epoch_ms <= MAX_TIME_MS, "EpochTooLong", policy.epoch_ms, MAX_TIME_MS)
    require(policy.initial_rate_q24 != 0, "InitialRateIsZero")


def _require_brackets(brackets: Sequence[Bracket]) -> None:
    count = len(brackets)
    require(1 <= count <= MAX_BRACKETS, "BadBracketCount", count, MAX_BRACKETS)
    require(brackets[0][0] == 0, "FirstBracketNotAtZero", brackets[0][0])
    previous, steepest = -1, ONE_MILLI
    for position, (start, slope) in enumerate(brackets):
        require(start > previous, "BracketsNotAscending", position, start, previous)
        require(slope <= steepest, "SlopeTooSteep", position, slope, steepest)
        previous, steepest = start, slope


def _require_domains(domains: Sequence[DomainPolicy]) -> None:
    count = len(domains)
    require(1 <= count <= MAX_DOMAINS, "BadDomainCount", count, MAX_DOMAINS)
    first_of: dict[bytes, int] = {}
    for position, domain in enumerate(domains):
        require(domain.name != _NO_NAME, "DomainWithoutName", position)
        first = first_of.setdefault(domain.name, position)
        require(first == position, "DomainNamedTwice", position, first, domain.name)
        _require_domain(position, domain)


def _require_domain(position: int, domain: DomainPolicy) -> None:
    low, high, bonus, penalty = domain.low, domain.high, domain.bonus_milli, domain.penalty_milli
    require(low <= MAX_QUALITY, "BandTooHigh", position, low, MAX_QUALITY)
    require(high <= MAX_QUALITY, "BandTooHigh", position, high, MAX_QUALITY)
    require(high == 0 or low <= high, "LowAboveHigh", position, low, high)
    require(
        ONE_MILLI <= bonus <= MAX_FACTOR_MILLI,
        "BonusOutOfRange",
        position,
        bonus,
        ONE_MILLI,
        MAX_FACTOR_MILLI,
    )
    require(penalty <= MAX_FACTOR_MILLI, "PenaltyTooLarge", position, penalty, MAX_FACTOR_MILLI)
    for dimension, knots in enumerate((domain.interaction, domain.originality, domain.engagement)):
        _require_knots(position, dimension, knots)


def _require_knots(domain: int, dimension: int, knots: Sequence[Knot]) -> None:
    count = len(knots)
    require(1 <= count <= MAX_KNOTS, "BadKnotCount", domain, dimension, count, MAX_KNOTS)
    previous = -1
    for position, (raw, rank) in enumerate(knots):
        require(raw > previous, "KnotsNotAscending", domain, dimension, position, raw, previous)
        require(rank <= MAX_RANK_MILLI, "RankTooHigh", domain, dimension, position, rank, MAX_RANK_MILLI)
        previous = raw
