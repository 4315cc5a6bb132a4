"""Small honest epochs by chance: policies, acts and predecessors drawn, valued by the valuation."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from timebank_chain.epoch.build import value_and_commit
from timebank_chain.epoch.file import PublishedEpoch
from timebank_chain.epoch.header import EpochHeader
from timebank_chain.epoch.keccak import keccak
from timebank_chain.epoch.rows import AccountRows, ActivityRows
from timebank_chain.units import Q24
from timebank_chain.valuation import Activities
from timebank_chain.valuation.policy import Bracket, DomainPolicy, Knot, Policy

#: Accounts an epoch draws from: the smallest and largest address, neighbours, a placeholder.
ACCOUNTS = tuple(
    bytes.fromhex(text)
    for text in (
        "00" * 20,
        "00" * 19 + "01",
        "1111111111111111111111111111111111111111",
        "1111111111111111111111111111111111111112",
        "74696d6562616e6b" + "00" * 11 + "07",
        "74696d6562616e6b" + "ab" * 12,
        "f0" * 20,
        "ff" * 20,
    )
)
_NOWHERE = Path("nowhere")

Rows = TypeVar("Rows", ActivityRows, AccountRows)


@dataclass(frozen=True)
class Case:
    """An epoch, the one before and the policy it was built by."""

    published: PublishedEpoch
    previous: PublishedEpoch | None
    policy: Policy


def draw_policy(draw: random.Random) -> Policy:
    """Any policy that a registry takes, of few domains and knots."""
    return Policy(
        name=f"policy {draw.randrange(1000)}",
        version=draw.randint(1, 9),
        title="drawn by chance",
        sources="chance",
        decay_k=draw.choice([1, 10**6, 10**9, 10**12, draw.getrandbits(50) + 1, 103_957_133_576_908_769]),
        epoch_ms=draw.choice([0, 0, 1, 1_000, 86_400_000]),
        initial_rate_q24=Q24,
        brackets=_brackets(draw),
        domains=tuple(_domain(draw, number) for number in range(draw.randint(1, 3))),
    )


def draw_chain(draw: random.Random, *, most_acts: int = 6, accounts: int = 4) -> Iterator[Case]:
    """One to three epochs, one after the other; now and then the policy changes in between."""
    policy = draw_policy(draw)
    pool = sorted(draw.sample(ACCOUNTS, min(accounts, len(ACCOUNTS))))
    end_ms = draw.choice([0, 1, 1_700_000_000_000])
    previous: PublishedEpoch | None = None
    for _ in range(draw.randint(1, 3)):
        if previous is not None and draw.random() < 0.2:
            policy = draw_policy(draw)
        start_ms, length = end_ms, policy.epoch_ms or draw.choice([1, 999, 86_400_000, 10**10])
        end_ms = start_ms + length
        acts = draw_acts(draw, policy, pool, start_ms, end_ms, draw.randint(0, most_acts))
        published = publish(
            acts,
            policy,
            previous,
            start_ms=start_ms,
            end_ms=end_ms,
            rate_q24=draw.choice([0, 1, Q24, Q24, Q24 * 3 // 2]),
            pot=draw.choice([0, 0, 1, 123_456_789]),
        )
        yield Case(published, previous, policy)
        previous = published


def publish(
    acts: Activities,
    policy: Policy,
    previous: PublishedEpoch | None,
    *,
    start_ms: int,
    end_ms: int,
    rate_q24: int,
    pot: int = 0,
) -> PublishedEpoch:
    """Build the honest epoch of these acts."""
    valued = value_and_commit(
        acts,
        policy,
        previous,
        start_ms=start_ms,
        end_ms=end_ms,
        rate_q24=rate_q24,
        pot=pot,
        data_hash=keccak(b"data"),
    )
    return PublishedEpoch(_NOWHERE, valued.header, valued.activities, valued.accounts)


def rehashed(
    published: PublishedEpoch,
    *,
    activities: ActivityRows | None = None,
    accounts: AccountRows | None = None,
    **fields: Any,
) -> PublishedEpoch:
    """The epoch with other rows or header fields; roots and counts follow the rows unless they are given."""
    acts, people = activities or published.activities, accounts or published.accounts
    values: dict[str, Any] = {name: getattr(published.header, name) for name in EpochHeader.__slots__}
    values |= {
        "activity_root": acts.tree.root,
        "activity_count": len(acts),
        "account_root": people.tree.root,
        "account_count": len(people),
    }
    return PublishedEpoch(_NOWHERE, EpochHeader(**(values | fields)), acts, people)


def with_cell(rows: Rows, name: str, row: int, value: int | bytes) -> Rows:
    """The rows with one cell changed."""
    columns = rows.columns()
    column = columns[name].copy()
    column[row] = np.frombuffer(value, dtype=np.uint8) if isinstance(value, bytes) else value
    return type(rows)(**(columns | {name: column}))


def with_rows(rows: Rows, order: list[int]) -> Rows:
    """The rows in another order, some left out or repeated."""
    return type(rows)(**{name: column[order] for name, column in rows.columns().items()})


def acts_of(columns: Mapping[str, list[Any]]) -> Activities:
    """Acts from plain lists."""
    count = len(columns["domain"])
    return Activities(
        record_id=np.frombuffer(b"".join(columns["record_id"]), dtype=np.uint8).reshape(count, 32),
        account=np.frombuffer(b"".join(columns["account"]), dtype=np.uint8).reshape(count, 20),
        domain=np.array(columns["domain"], dtype=np.uint16),
        occurred_ms=np.array(columns["occurred_ms"], dtype=np.int64),
        interaction=np.array(columns["interaction"], dtype=np.uint32),
        originality=np.array(columns["originality"], dtype=np.uint32),
        engagement=np.array(columns["engagement"], dtype=np.uint32),
    )


def draw_acts(
    draw: random.Random, policy: Policy, pool: list[bytes], start_ms: int, end_ms: int, count: int
) -> Activities:
    """At most so many acts that settle in an epoch, at its edges more often than not."""
    columns: dict[str, list[Any]] = {
        name: []
        for name in (
            "record_id", "account", "domain", "occurred_ms", "interaction", "originality", "engagement",
        )
    }  # fmt: skip
    records = set[bytes]()
    for _ in range(count):
        domain = draw.randrange(len(policy.domains))
        window = policy.domains[domain].window_ms
        settled = draw.choice([start_ms + 1, end_ms, draw.randint(start_ms + 1, end_ms)])
        record = draw.choice([draw.randbytes(32), bytes(31) + bytes([draw.randrange(256)])])
        if settled < window or record in records:
            continue
        records.add(record)
        columns["record_id"].append(record)
        columns["account"].append(draw.choice(pool))
        columns["domain"].append(domain)
        columns["occurred_ms"].append(settled - window)
        for name in ("interaction", "originality", "engagement"):
            columns[name].append(draw.choice([0, draw.randint(0, 12_000), 2**32 - 1]))
    return acts_of(columns)


def _domain(draw: random.Random, number: int) -> DomainPolicy:
    high = draw.choice([0, draw.randint(1, 10**9), 30_000_000])
    low = draw.choice([0, draw.randint(0, high or 10**9)])
    return DomainPolicy(
        name=f"domain {number}",
        window_ms=draw.choice([0, 0, 1, 500, 86_400_000]),
        low=low,
        high=high,
        bonus_milli=draw.choice([1_000, 1_250, 4_000]),
        penalty_milli=draw.choice([0, 500, 4_000]),
        interaction=_knots(draw),
        originality=_knots(draw),
        engagement=_knots(draw),
    )


def _knots(draw: random.Random) -> tuple[Knot, ...]:
    raws = sorted(draw.sample(range(12_000), draw.randint(1, 4)))
    return tuple(Knot(raw, draw.choice([0, 10_000, draw.randint(0, 10_000)])) for raw in raws)


def _brackets(draw: random.Random) -> tuple[Bracket, ...]:
    starts = [0, *sorted(draw.sample(range(1, 6_000), draw.randint(0, 3)))]
    slopes = sorted((draw.randint(0, 1_000) for _ in starts), reverse=True)
    return tuple(Bracket(start, slope) for start, slope in zip(starts, slopes, strict=True))
