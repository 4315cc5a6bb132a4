"""Evidence with something changed at random: a bit, a leaf, a sibling, a position, a rule, a header."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

from timebank_chain.spec.epoch_challenge import DomainEvidence
from timebank_chain.spec.epoch_tree import AccountLeaf, ActivityLeaf
from timebank_chain.spec.evidence import AccountEvidence, ActivityEvidence
from timebank_chain.spec.policy_registry import DomainPolicy, PolicyHead
from timebank_chain.spec.rate_oracle import EpochHeader

#: Bits of every field of leaves, headers and rules that is an integer; signed ones without the sign.
BITS = {
    "index": 32, "domain": 16, "occurred_ms": 48, "interaction_milli": 32, "originality_milli": 32,
    "engagement_milli": 32, "value": 63, "running": 63, "activity_end": 32, "running_active": 32,
    "epoch": 32, "start_ms": 48, "end_ms": 48, "activity_count": 32, "account_count": 32,
    "active_count": 32, "version": 32, "window_ms": 48, "low": 32, "high": 32, "bonus_milli": 16,
    "penalty_milli": 16,
}  # fmt: skip


def flipped(draw: random.Random, value: Any, bits: int) -> Any:
    """An integer or bytes with one bit changed."""
    if isinstance(value, bytes):
        size = len(value)
        return (int.from_bytes(value, "big") ^ 1 << draw.randrange(8 * size)).to_bytes(size, "big")
    return value ^ 1 << draw.randrange(bits)


def flipped_field(draw: random.Random, record: Any, *names: str) -> Any:
    """A leaf or header with one bit of one of these fields changed; of any field by default."""
    name = draw.choice(names or [one.name for one in fields(record) if one.name != "data_uri"])
    return replace(record, **{name: flipped(draw, getattr(record, name), BITS.get(name, 64))})


def flipped_head(draw: random.Random, head: PolicyHead) -> PolicyHead:
    """A policy head with one bit changed."""
    name = draw.choice(PolicyHead._fields)
    return head._replace(**{name: flipped(draw, getattr(head, name), BITS.get(name, 64))})


def flipped_domain(draw: random.Random, domain: DomainPolicy) -> DomainPolicy:
    """A domain's rules with one bit changed."""
    name = draw.choice(DomainPolicy._fields)
    value = getattr(domain, name)
    if isinstance(value, int | bytes):
        return domain._replace(**{name: flipped(draw, value, BITS.get(name, 64))})
    (raw, rank), *rest = value
    return domain._replace(**{name: ((flipped(draw, raw, 32), rank), *rest)})


def rearranged(draw: random.Random, items: tuple[Any, ...]) -> tuple[Any, ...]:
    """A list with something left out, repeated, swapped, or nothing left."""
    if not items:
        return items
    at = draw.randrange(len(items))
    other = draw.randrange(len(items))
    swapped = list(items)
    swapped[at], swapped[other] = swapped[other], swapped[at]
    return draw.choice(
        [(*items[:at], *items[at + 1 :]), (*items[:at], items[at], *items[at:]), tuple(swapped), ()]
    )


def mutated(draw: random.Random, argument: Any) -> Any:
    """One argument with something changed."""
    if isinstance(argument, int):
        return flipped(draw, argument, draw.choice([2, 256]))
    if isinstance(argument, ActivityLeaf | AccountLeaf | EpochHeader):
        return flipped_field(draw, argument)
    if isinstance(argument, PolicyHead):
        return flipped_head(draw, argument)
    if isinstance(argument, DomainEvidence):
        return draw.choice(_RULES)(draw, argument)
    if isinstance(argument, ActivityEvidence | AccountEvidence):
        part = draw.choice(["leaves", "siblings"])
        return replace(argument, **{part: _mutated_list(draw, tuple(getattr(argument, part)))})
    return _mutated_list(draw, tuple(argument))


def _mutated_list(draw: random.Random, items: tuple[Any, ...]) -> tuple[Any, ...]:
    """Leaves, hashes or pairs: one changed, or another arrangement."""
    if not items or draw.random() < 0.4:
        return rearranged(draw, items)
    at = draw.randrange(len(items))
    item = items[at]
    if isinstance(item, bytes):
        changed: Any = flipped(draw, item, 256)
    elif isinstance(item, tuple):
        changed = (flipped(draw, item[0], 32), *item[1:])
    else:
        changed = flipped_field(draw, item)
    return (*items[:at], changed, *items[at + 1 :])


_RULES: tuple[Callable[[random.Random, DomainEvidence], DomainEvidence], ...] = (
    lambda draw, rules: replace(rules, head=flipped_head(draw, rules.head)),
    lambda draw, rules: replace(rules, domain_hashes=_mutated_list(draw, tuple(rules.domain_hashes))),
    lambda draw, rules: replace(rules, domain=flipped_domain(draw, rules.domain)),
)
