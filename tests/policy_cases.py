"""Policies as the registry takes them, drawn within their bounds, and with a bound broken here and there."""

from __future__ import annotations

import random
from typing import Any

from timebank_chain.spec.policy_registry import (
    MAX_BRACKETS,
    MAX_DECAY_K,
    MAX_DOMAINS,
    MAX_FACTOR_MILLI,
    MAX_KNOTS,
    MAX_QUALITY,
    MAX_RANK_MILLI,
    MAX_TIME_MS,
    ONE_MILLI,
    DomainPolicy,
    Policy,
)

UINT16, UINT32, UINT64 = (1 << 16) - 1, (1 << 32) - 1, (1 << 64) - 1


def text32(text: str) -> bytes:
    return text.encode().ljust(32, b"\0")


def honest(draw: random.Random) -> Policy:
    """A policy within all bounds, often on one of them."""
    count = draw.choice([1, 2, 3, MAX_BRACKETS])
    starts = [0, *sorted(draw.sample(range(1, draw.choice([20, UINT32])), count - 1))]
    slopes = sorted((draw.choice([0, ONE_MILLI, draw.randint(0, ONE_MILLI)]) for _ in starts), reverse=True)
    return Policy(
        name=text32(f"policy {draw.randint(0, 99)}"),
        version=draw.choice([1, UINT32, draw.randint(1, UINT32)]),
        decay_k=draw.choice([1, MAX_DECAY_K, draw.randint(1, MAX_DECAY_K)]),
        epoch_ms=draw.choice([0, MAX_TIME_MS, draw.randint(0, MAX_TIME_MS)]),
        initial_rate_q24=draw.choice([1, UINT64, draw.randint(1, UINT64)]),
        brackets=tuple(zip(starts, slopes, strict=True)),
        domains=tuple(_domain(draw, n) for n in range(draw.choice([1, 2, 3, 5]))),
    )


def _domain(draw: random.Random, number: int) -> DomainPolicy:
    low, high = sorted(draw.choice([0, 1, MAX_QUALITY, draw.randint(0, MAX_QUALITY)]) for _ in range(2))
    return DomainPolicy(
        text32(f"domain {number}"),
        draw.choice([0, MAX_TIME_MS, draw.randint(0, MAX_TIME_MS)]),
        low,
        draw.choice([0, high]),
        draw.choice([ONE_MILLI, MAX_FACTOR_MILLI, draw.randint(ONE_MILLI, MAX_FACTOR_MILLI)]),
        draw.choice([0, MAX_FACTOR_MILLI, draw.randint(0, MAX_FACTOR_MILLI)]),
        *(_knots(draw) for _ in range(3)),
    )


def _knots(draw: random.Random) -> tuple[tuple[int, int], ...]:
    count = draw.choice([1, 2, 5, MAX_KNOTS])
    raws = sorted(draw.sample(range(draw.choice([20, UINT32 + 1])), count))
    return tuple((raw, draw.choice([0, MAX_RANK_MILLI, draw.randint(0, MAX_RANK_MILLI)])) for raw in raws)


def spoiled(draw: random.Random) -> Policy:
    """An honest policy with one part, or two, changed to something on or beyond a bound."""
    policy = honest(draw)
    for _ in range(draw.choice([1, 1, 1, 2])):
        policy = _change(draw, policy)
    return policy


def _change(draw: random.Random, policy: Policy) -> Policy:
    part = draw.choice(["head", "brackets", "domains", "domain", "domain", "knots", "knots"])
    if part == "head":
        values: dict[str, list[Any]] = {
            "name": [bytes(32), b"\xff" * 32],
            "version": [0, 1],
            "decay_k": [0, MAX_DECAY_K, MAX_DECAY_K + 1, UINT64],
            "epoch_ms": [MAX_TIME_MS, MAX_TIME_MS + 1, UINT64],
            "initial_rate_q24": [0, 1],
        }
        name = draw.choice(list(values))
        return policy._replace(**{name: draw.choice(values[name])})
    if part == "brackets":
        return policy._replace(brackets=_pairs(draw, policy.brackets, MAX_BRACKETS, ONE_MILLI))
    domains = list(policy.domains)
    if part == "domains" and draw.random() < 0.5:
        count = draw.choice([0, MAX_DOMAINS, MAX_DOMAINS + 1])
        return policy._replace(domains=tuple(_domain(draw, n) for n in range(count)))
    if not domains:
        return policy
    at = draw.randrange(len(domains))
    domain = domains[at]
    if part == "domains":
        domains[at] = domain._replace(name=draw.choice([bytes(32), domains[0].name, domains[-1].name]))
    elif part == "domain":
        name = draw.choice(["low", "high", "bonus_milli", "penalty_milli"])
        bounds = {"low": MAX_QUALITY, "high": MAX_QUALITY}.get(name, MAX_FACTOR_MILLI)
        most = UINT32 if bounds == MAX_QUALITY else UINT16
        edges = [0, 1, ONE_MILLI - 1, ONE_MILLI, bounds, bounds + 1, most]
        domains[at] = domain._replace(**{name: draw.choice(edges)})
    else:
        name = draw.choice(["interaction", "originality", "engagement"])
        changed = _pairs(draw, getattr(domain, name), MAX_KNOTS, MAX_RANK_MILLI)
        domains[at] = domain._replace(**{name: changed})
    return policy._replace(domains=tuple(domains))


def _pairs(draw: random.Random, pairs: Any, count: int, most: int) -> tuple[tuple[int, int], ...]:
    how = draw.choice(["none", "full", "too many", "first", "second", "swap", "same"])
    if how in ("none", "full", "too many"):
        return tuple((n, most - n) for n in range({"none": 0, "full": count}.get(how, count + 1)))
    changed = [tuple(pair) for pair in pairs]
    if not changed:
        return ()
    at, other = draw.randrange(len(changed)), draw.randrange(len(changed))
    first, second = changed[at]
    if how == "first":
        first = draw.choice([0, 1, max(first - 1, 0), UINT32])
    elif how == "second":
        second = draw.choice([0, most, most + 1, UINT16])
    elif how == "swap":
        changed[other], (first, second) = (first, second), changed[other]
    else:
        first = changed[other][0]
    changed[at] = (first, second)
    return tuple(changed)  # type: ignore[arg-type]  # pairs
