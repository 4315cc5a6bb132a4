"""Aggregates with noise, on a budget: any one member changes what can be learned by at most e^epsilon.

The unit is a *member with everything they did*: their rows become one number, held between 0 and a cap, and
the sum over members gets discrete Laplace noise of scale cap / epsilon (Dwork, McSherry, Nissim and Smith
2006; sampled exactly by OpenDP, which also proves the epsilon spent). Several figures of one release share
its epsilon evenly, because one member may be in all of them. The list of domains comes from who asks, not
from the data, so that an empty one is no tell.

Budgets add up (basic composition) over all releases of a vault, whatever data they were made from. The
ledger is the account: a release is written there before it is computed, and refused when it would cost more
than is left. Only who manages sets a budget, and that stands in the ledger as well.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum

from timebank_chain.activity import ActivityTable
from timebank_chain.attention.extra import need
from timebank_chain.attention.privacy.ledger import Entry
from timebank_chain.attention.privacy.vault import Session, now_ms
from timebank_chain.errors import AttentionError

BUDGET = "budget"
RELEASE = "noisy"
MOST_EPSILON = Decimal(100)
#: The largest cap: sums of a million members fit 64 bits.
MOST_CAP = 1 << 40


class Query(StrEnum):
    """What is counted; the cap is on what one member adds."""

    MEMBERS = "members"
    ACTS = "acts"
    INTERACTION = "interaction"
    ORIGINALITY = "originality"
    ENGAGEMENT = "engagement"


@dataclass(frozen=True, slots=True)
class Account:
    """A budget: allowed and spent, in epsilon."""

    allowed: Decimal
    spent: Decimal

    @property
    def left(self) -> Decimal:
        """What is left of it."""
        return self.allowed - self.spent


@dataclass(frozen=True, slots=True)
class NoisyFigure:
    """A figure with noise.

    Attributes
    ----------
    value
        In whole units, or thousandths for the indicators; may be negative, and is left so: cutting at 0
        would make sums of figures too large.
    within
        The noise is no larger than this in 95 of 100 releases.
    """

    domain: str
    value: int
    epsilon: Decimal
    scale: float
    within: int


def read_epsilon(text: str) -> Decimal:
    """Read an epsilon.

    Raises
    ------
    AttentionError
        If it is no number above 0 and at most 100 with at most six decimals.
    """
    try:
        epsilon = Decimal(text)
    except InvalidOperation:
        epsilon = Decimal("NaN")
    if not epsilon.is_finite() or not 0 < epsilon <= MOST_EPSILON or epsilon != round(epsilon, 6):
        raise AttentionError(
            f"not an epsilon: {text!r:.40}", hint="a number above 0, at most 100, with at most six decimals"
        )
    return epsilon


def account(entries: Iterable[Entry]) -> Account:
    """Return what the ledger says is allowed and spent."""
    allowed = spent = Decimal(0)
    for entry in entries:
        if entry.action == BUDGET and entry.outcome == "done":
            allowed = Decimal(entry.detail["epsilon"])
        elif entry.action == RELEASE and entry.outcome == "spent":
            spent += Decimal(entry.detail["epsilon"])
    return Account(allowed, spent)


def spend(session: Session, epsilon: Decimal, detail: dict[str, object]) -> Account:
    """Take a release's epsilon off the budget, before anything is computed; return what is left.

    Raises
    ------
    AttentionError
        If less is left.
    """
    with session.ledger.open() as pen:
        before = account(pen.entries())
        if epsilon > before.left:
            pen.write(
                session.person.name,
                RELEASE,
                level=session.level,
                outcome="refused",
                detail={"epsilon": str(epsilon), "left": str(before.left)},
                now_ms=now_ms(),
            )
            hint = "ask for less, or wait for who manages to decide on more"
            if not before.allowed:
                hint = "set one: timebank attention privacy budget --set EPSILON"
            raise AttentionError(
                f"this costs epsilon {epsilon}, and {before.left} of {before.allowed} is left", hint=hint
            )
        pen.write(
            session.person.name,
            RELEASE,
            level=session.level,
            outcome="spent",
            detail={**detail, "epsilon": str(epsilon)},
            now_ms=now_ms(),
        )
    return Account(before.allowed, before.spent + epsilon)


def check(domains: tuple[str, ...], query: Query, cap: int) -> int:
    """Return the cap; refuse what `release` could not do, before it is paid for.

    Raises
    ------
    AttentionError
        If the cap is out of range, or a domain is named twice.
    """
    if not 1 <= cap <= MOST_CAP:
        raise AttentionError(f"a cap of {cap}: from 1 to {MOST_CAP}")
    if query is Query.MEMBERS and cap != 1:
        raise AttentionError(f"a cap of {cap}: a member is one member", hint="leave --cap out")
    if len(set(domains)) != len(domains):
        raise AttentionError("a domain is named twice", hint="name each once: each costs a part of epsilon")
    return cap


def release(
    table: ActivityTable, query: Query, domains: tuple[str, ...], cap: int, epsilon: Decimal
) -> list[NoisyFigure]:
    """Return a figure per domain with noise; call `spend` first.

    Parameters
    ----------
    domains
        The domains asked about; none: one figure over all.
    cap
        The most one member adds to a figure (whole acts, or thousandths of an indicator); 1 for members.

    Raises
    ------
    AttentionError
        If the cap is out of range, or a domain is named twice.
    UsageError
        If OpenDP is not installed.
    """
    check(domains, query, cap)
    wanted: tuple[str | None, ...] = domains or (None,)
    part = epsilon / len(wanted)
    values = _per_member(table, query)
    figures = []
    for domain in wanted:
        mine: Counter[str] = Counter()
        for (member, of), value in values.items():
            if domain is None or of == domain:
                mine[member] += value
        if query is Query.MEMBERS:
            mine = Counter(dict.fromkeys(mine, 1))
        value, scale = _noisy_sum(list(mine.values()), cap, math.nextafter(float(part), 0))
        # P(|noise| > t) <= exp(-t / scale) for the discrete Laplace distribution.
        figures.append(NoisyFigure(domain or "", value, part, scale, math.ceil(scale * math.log(20))))
    return figures


def _per_member(table: ActivityTable, query: Query) -> Counter[tuple[str, str]]:
    values: Counter[tuple[str, str]] = Counter()
    counted = query in (Query.MEMBERS, Query.ACTS)
    column = [1] * len(table) if counted else getattr(table, f"{query.value}_milli").tolist()
    for member, domain, value in zip(table.member, table.domain, column, strict=True):
        values[member, domain] += value
    return values


def _noisy_sum(values: list[int], cap: int, epsilon: float) -> tuple[int, float]:
    """Return the sum of capped values with noise, and the noise's scale."""
    dp = need("opendp.prelude", "private")
    dp.enable_features("contrib")
    kind = "i64"
    space = dp.vector_domain(dp.atom_domain(T=kind)), dp.symmetric_distance()
    total = space >> dp.t.then_clamp((0, cap)) >> dp.t.then_sum()
    # A float a little below cap / epsilon would cost a little more than epsilon: step up until it does not.
    scale = cap / epsilon
    measure = total >> dp.m.then_laplace(scale)
    while measure.map(1) > epsilon:
        scale = math.nextafter(scale * (1 + 1e-15), math.inf)
        measure = total >> dp.m.then_laplace(scale)
    # Larger values mean the same, and would not fit.
    return int(measure([min(value, cap) for value in values])), scale
