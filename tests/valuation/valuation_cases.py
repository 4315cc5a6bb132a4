"""Random policies and epochs, and the plain-integer valuation they are compared with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from timebank_chain.spec import decay as spec_decay
from timebank_chain.spec import fairness as spec_fairness
from timebank_chain.spec import quality as spec_quality
from timebank_chain.valuation import (
    Activities,
    Bracket,
    DomainPolicy,
    Knot,
    Policy,
    PreviousAccounts,
    decay_constant,
)

END_MS = 1_800_000_000_000
HOUR_MS = 3_600_000


@dataclass(frozen=True)
class Act:
    record: bytes
    account: bytes
    domain: int
    occurred_ms: int
    raw: tuple[int, int, int]


@st.composite
def knots(draw: st.DrawFn, widest: int = 2**32 - 1) -> tuple[Knot, ...]:
    raws = sorted(
        draw(st.sets(st.integers(0, draw(st.sampled_from([20, 20_000, widest]))), min_size=1, max_size=16))
    )
    return tuple(Knot(raw, draw(st.integers(0, 10_000))) for raw in raws)


@st.composite
def domain_policies(draw: st.DrawFn, name: str) -> DomainPolicy:
    low, high = sorted(draw(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9))))
    return DomainPolicy(
        name=name,
        window_ms=draw(st.integers(0, 48 * HOUR_MS)),
        low=draw(st.sampled_from([0, low])),
        high=draw(st.sampled_from([0, high])) if low == 0 else high,
        bonus_milli=draw(st.integers(1_000, 4_000)),
        penalty_milli=draw(st.integers(0, 4_000)),
        interaction=draw(knots()),
        originality=draw(knots()),
        engagement=draw(knots()),
    )


@st.composite
def bracket_lists(draw: st.DrawFn) -> tuple[Bracket, ...]:
    starts = [0, *sorted(draw(st.sets(st.integers(1, 2**32 - 1) | st.integers(1, 10_000), max_size=7)))]
    slopes = sorted(
        draw(st.lists(st.integers(0, 1_000), min_size=len(starts), max_size=len(starts))), reverse=True
    )
    return tuple(Bracket(start, slope) for start, slope in zip(starts, slopes, strict=True))


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    return Policy(
        name="drawn",
        version=1,
        title="drawn",
        sources="drawn",
        decay_k=decay_constant(draw(st.integers(1, 10**12))),
        epoch_ms=0,
        initial_rate_q24=1 << 24,
        brackets=draw(bracket_lists()),
        domains=tuple(draw(domain_policies(f"domain-{n}")) for n in range(draw(st.integers(1, 3)))),
    )


def account(number: int) -> bytes:
    """Accounts that differ late, differ early, and end in zero bytes."""
    return (
        (b"timebank" + number.to_bytes(12, "big"))
        if number % 2
        else number.to_bytes(8, "big").ljust(20, b"\0")
    )


@st.composite
def epochs(draw: st.DrawFn, policy: Policy, max_size: int = 25) -> list[Act]:
    raw = st.integers(0, 20_000) | st.integers(0, 2**32 - 1)
    acts = []
    for number in range(draw(st.integers(0, max_size))):
        domain = draw(st.integers(0, len(policy.domains) - 1))
        youngest = END_MS - policy.domains[domain].window_ms
        acts.append(
            Act(
                # Few distinct first bytes, so that ties of the sort's short key occur.
                draw(st.sampled_from([b"\0" * 28, b"\xff" * 28])) + number.to_bytes(4, "big"),
                account(draw(st.integers(0, 5))),
                domain,
                draw(st.integers(youngest - 100 * HOUR_MS, youngest) | st.integers(1, youngest)),
                (draw(raw), draw(raw), draw(raw)),
            )
        )
    return acts


def to_activities(acts: list[Act]) -> Activities:
    n = len(acts)
    return Activities(
        record_id=np.frombuffer(b"".join(a.record for a in acts), np.uint8).reshape(n, 32),
        account=np.frombuffer(b"".join(a.account for a in acts), np.uint8).reshape(n, 20),
        domain=np.array([a.domain for a in acts], np.uint16),
        occurred_ms=np.array([a.occurred_ms for a in acts], np.int64),
        interaction=np.array([a.raw[0] for a in acts], np.uint32),
        originality=np.array([a.raw[1] for a in acts], np.uint32),
        engagement=np.array([a.raw[2] for a in acts], np.uint32),
    )


def to_previous(before: dict[bytes, tuple[int, int]]) -> PreviousAccounts:
    return PreviousAccounts(
        np.frombuffer(b"".join(before), np.uint8).reshape(len(before), 20),
        np.array([standing for standing, _ in before.values()], np.int64),
        np.array([minted for _, minted in before.values()], np.int64),
    )


def pairs(points: tuple[Knot, ...]) -> list[tuple[int, int]]:
    return [(knot.raw_milli, knot.rank_milli) for knot in points]


def spec_value(act: Act, policy: Policy, end_ms: int = END_MS) -> int:
    rules = policy.domains[act.domain]
    worth = spec_quality.quality(
        spec_quality.rank(act.raw[0], pairs(rules.interaction)),
        spec_quality.rank(act.raw[1], pairs(rules.originality)),
        spec_quality.rank(act.raw[2], pairs(rules.engagement)),
    )
    effective = spec_quality.incentive(worth, rules.low, rules.high, rules.bonus_milli, rules.penalty_milli)
    return spec_quality.value(effective, spec_decay.weight(end_ms - act.occurred_ms, policy.decay_k))


@dataclass(frozen=True)
class SpecAccount:
    earned: int
    standing: int
    mint: int
    cumulative_mint: int


def spec_epoch(
    acts: list[Act],
    before: dict[bytes, tuple[int, int]],
    policy: Policy,
    *,
    elapsed_ms: int,
    rate_q24: int,
    pot: int,
) -> dict[bytes, SpecAccount]:
    """The whole epoch the slow way, from the executable specification."""
    sums = dict.fromkeys(before, 0)
    for act in acts:
        sums[act.account] = sums.get(act.account, 0) + spec_value(act, policy)
    earned = {name: max(0, total) for name, total in sums.items()}
    total = sum(earned.values())
    mean = spec_fairness.mean(total, sum(1 for amount in earned.values() if amount))
    steps = [(bracket.from_multiple_milli, bracket.slope_milli) for bracket in policy.brackets]
    fade = spec_decay.weight(elapsed_ms, policy.decay_k)
    result = {}
    for name in sorted(earned):
        standing, minted = before.get(name, (0, 0))
        mint = spec_fairness.mint(
            spec_fairness.phi(earned[name], mean, steps), rate_q24, earned[name], pot, total
        )
        result[name] = SpecAccount(earned[name], (standing * fade >> 31) + earned[name], mint, minted + mint)
    return result
