"""What an epoch was worth: every act's value, every account's earned, standing and mint.

Follows the design's section 4 to the integer. ``value_epoch`` takes acts in any order and gives them
sorted by (account, record id), so that shuffled input has one result. Rows are worked on in blocks that
stay inside a core's cache, on as many threads as there are cores: numpy lets go of the interpreter
while it counts, and each row's value depends on that row alone, so threads cannot change a result.

Bounds, checked: ``|value| <= 4e9`` micro-value, an epoch has fewer than 2^31 acts, so that any sum of
values stays under 2^63; standing, mint and their sums must stay under 2^63 as well.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from timebank_chain.errors import EpochError
from timebank_chain.units import MAX_AMOUNT, MAX_TIME_MS
from timebank_chain.valuation import fairness
from timebank_chain.valuation.decay import decayed, weight, weights
from timebank_chain.valuation.order import accounts_as_keys, keys_as_accounts, leaf_order
from timebank_chain.valuation.policy import MAX_RATE_Q24, Policy
from timebank_chain.valuation.quality import incentive, quality, ranks

#: Acts an epoch can hold: 2^31 values of at most 4e9 cannot leave 63 bits.
MAX_ACTIVITIES = (1 << 31) - 1

# Rows: small enough that a thread's four columns of 512 KiB stay in the cache, large enough that threads
# rarely wait for the interpreter between two array operations (measured: 2^14 is twice as slow with two).
_BLOCK = 1 << 16
_MAX_THREADS = 8
_Rows = slice | NDArray[np.intp]


def _column(name: str, values: NDArray[np.generic], kind: type[np.generic], *shape: int) -> None:
    if values.dtype != kind or values.shape != shape:
        raise EpochError(
            f"column {name} is {values.dtype}{list(values.shape)}, not {np.dtype(kind)}{list(shape)}"
        )


@dataclass(frozen=True)
class Activities:
    """Acts to be valued, one row each, in any order.

    Attributes
    ----------
    record_id
        (n, 32) bytes: keccak of salt and canonical record.
    account
        (n, 20) bytes.
    domain
        u16, position of the domain in the policy.
    occurred_ms
        i64, Unix milliseconds.
    interaction, originality, engagement
        u32, raw indicators in thousandths.
    """

    record_id: NDArray[np.uint8]
    account: NDArray[np.uint8]
    domain: NDArray[np.uint16]
    occurred_ms: NDArray[np.int64]
    interaction: NDArray[np.uint32]
    originality: NDArray[np.uint32]
    engagement: NDArray[np.uint32]

    def __post_init__(self) -> None:
        n = len(self.record_id)
        _column("record_id", self.record_id, np.uint8, n, 32)
        _column("account", self.account, np.uint8, n, 20)
        _column("domain", self.domain, np.uint16, n)
        _column("occurred_ms", self.occurred_ms, np.int64, n)
        for name in ("interaction", "originality", "engagement"):
            _column(name, getattr(self, name), np.uint32, n)

    def __len__(self) -> int:
        return len(self.record_id)

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> Activities:
        """Return the chosen rows (positions or a mask), in that order."""
        return Activities(*(getattr(self, field.name)[rows] for field in fields(Activities)))


@dataclass(frozen=True)
class PreviousAccounts:
    """What the epoch before left behind, one row per account ever credited, in any order.

    Attributes
    ----------
    account
        (m, 20) bytes, each once.
    standing
        i64 micro-value.
    cumulative_mint
        i64 micro-credits.
    """

    account: NDArray[np.uint8]
    standing: NDArray[np.int64]
    cumulative_mint: NDArray[np.int64]

    def __post_init__(self) -> None:
        m = len(self.account)
        _column("account", self.account, np.uint8, m, 20)
        _column("standing", self.standing, np.int64, m)
        _column("cumulative_mint", self.cumulative_mint, np.int64, m)

    @classmethod
    def none(cls) -> PreviousAccounts:
        """Return the state before the first epoch."""
        return cls(np.zeros((0, 20), np.uint8), np.zeros(0, np.int64), np.zeros(0, np.int64))

    def __len__(self) -> int:
        return len(self.account)


@dataclass(frozen=True)
class ValuedActivities:
    """The acts sorted by (account, record id), with their values.

    Attributes
    ----------
    value
        i64 micro-value, negative for a penalised act.
    running
        i64, sum of ``value`` up to and including the row, over the whole epoch.
    source_row
        i64, the row's position in the input.
    """

    record_id: NDArray[np.uint8]
    account: NDArray[np.uint8]
    domain: NDArray[np.uint16]
    occurred_ms: NDArray[np.int64]
    interaction: NDArray[np.uint32]
    originality: NDArray[np.uint32]
    engagement: NDArray[np.uint32]
    value: NDArray[np.int64]
    running: NDArray[np.int64]
    source_row: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.record_id)


@dataclass(frozen=True)
class ValuedAccounts:
    """Every account with acts in the epoch or a place in the one before, sorted by account.

    Attributes
    ----------
    activity_end
        u32, exclusive end of its rows in ``ValuedActivities``; they start at the row before's end.
    earned, running_earned, phi, standing
        i64 micro-value; ``phi`` (what counts after the fairness brackets) is shown, not committed.
    running_active
        u32, accounts with ``earned > 0`` up to and including this one.
    mint, running_mint, cumulative_mint
        i64 micro-credits.
    """

    account: NDArray[np.uint8]
    activity_end: NDArray[np.uint32]
    earned: NDArray[np.int64]
    running_earned: NDArray[np.int64]
    running_active: NDArray[np.uint32]
    phi: NDArray[np.int64]
    standing: NDArray[np.int64]
    mint: NDArray[np.int64]
    running_mint: NDArray[np.int64]
    cumulative_mint: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.account)


@dataclass(frozen=True)
class Totals:
    """Sums over an epoch: micro-value, accounts, micro-credits."""

    total_earned: int
    active_count: int
    total_mint: int

    @property
    def mean_earned(self) -> int:
        """Micro-value, over active accounts, floored; 0 when nobody earned anything."""
        return self.total_earned // self.active_count if self.active_count else 0


@dataclass(frozen=True)
class EpochValuation:
    """An epoch, valued."""

    activities: ValuedActivities
    accounts: ValuedAccounts
    totals: Totals


@dataclass(frozen=True)
class Explanation:
    """How each act came to its value: ranks -> quality -> incentive -> weight -> value.

    Attributes
    ----------
    interaction_rank, originality_rank, engagement_rank
        i64 thousandths.
    quality, incentive, value
        i64 micro-value: S, S after the bands, and after decay.
    age_ms
        i64.
    weight
        i64 Q31.
    """

    interaction_rank: NDArray[np.int64]
    originality_rank: NDArray[np.int64]
    engagement_rank: NDArray[np.int64]
    quality: NDArray[np.int64]
    incentive: NDArray[np.int64]
    age_ms: NDArray[np.int64]
    weight: NDArray[np.int64]
    value: NDArray[np.int64]


def settled_ms(activities: Activities, policy: Policy) -> NDArray[np.int64]:
    """Return when each act settles: ``occurred + window`` of its domain, Unix milliseconds."""
    _check_domains(activities.domain, policy)
    windows = np.array([domain.window_ms for domain in policy.domains], dtype=np.int64)
    return activities.occurred_ms + windows[activities.domain]


def settles_in(activities: Activities, policy: Policy, *, start_ms: int, end_ms: int) -> NDArray[np.bool_]:
    """Return which acts belong to the epoch ``start < occurred + window <= end``."""
    settled = settled_ms(activities, policy)
    return (settled > start_ms) & (settled <= end_ms)


def activity_values(
    activities: Activities | ValuedActivities, policy: Policy, *, end_ms: int, threads: int | None = None
) -> NDArray[np.int64]:
    """Return each act's value at the epoch's end, in micro-value and in the order given.

    ``v = (incentive * w) >> 31``, rounded down also where a penalty makes it negative.

    Parameters
    ----------
    end_ms
        The epoch's end; no act may be later.
    threads
        Default: one per core, at most eight; the result is the same for any number.
    """
    n = len(activities)
    _check_domains(activities.domain, policy)
    result = np.empty(n, dtype=np.int64)
    blocks = -(-n // _BLOCK)
    workers = min(threads or min(os.cpu_count() or 1, _MAX_THREADS), blocks)

    def fill(worker: int) -> None:
        room = np.empty((4, min(_BLOCK, n)), dtype=np.int64)
        for block in range(worker, blocks, workers):
            start, stop = block * _BLOCK, min((block + 1) * _BLOCK, n)
            _value_block(activities, policy, end_ms, start, result[start:stop], room[:, : stop - start])

    if workers == 1:
        fill(0)
    elif workers > 1:
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(fill, range(workers)))
    return result


def explain(activities: Activities | ValuedActivities, policy: Policy, *, end_ms: int) -> Explanation:
    """Return every step from raw indicator to value, row by row: the substance of a receipt."""
    _check_domains(activities.domain, policy)
    n = len(activities)
    interaction, originality, engagement, after_bands = np.zeros((4, n), dtype=np.int64)
    for index, domain in enumerate(policy.domains):
        rows = np.flatnonzero(activities.domain == index)
        interaction[rows] = ranks(activities.interaction[rows], domain.interaction)
        originality[rows] = ranks(activities.originality[rows], domain.originality)
        engagement[rows] = ranks(activities.engagement[rows], domain.engagement)
    worth = quality(interaction, originality, engagement)
    for index, domain in enumerate(policy.domains):
        rows = np.flatnonzero(activities.domain == index)
        after_bands[rows] = incentive(worth[rows], domain)
    age_ms = end_ms - activities.occurred_ms
    weight_q31 = weights(age_ms, policy.decay_k)
    return Explanation(
        interaction, originality, engagement, worth, after_bands, age_ms, weight_q31,
        value=(after_bands * weight_q31) >> 31,
    )  # fmt: skip


def value_epoch(
    activities: Activities,
    previous: PreviousAccounts,
    policy: Policy,
    *,
    start_ms: int,
    end_ms: int,
    rate_q24: int,
    pot: int,
) -> EpochValuation:
    """Value the epoch ``(start, end]``.

    Parameters
    ----------
    activities
        Exactly the acts that settle in the epoch (see ``settles_in``), in any order.
    previous
        The accounts of the epoch before; ``PreviousAccounts.none()`` for the first.
    start_ms, end_ms
        Unix milliseconds.
    rate_q24
        Micro-credits per micro-value, Q24.
    pot
        Micro-credits shared among active accounts in proportion to what they earned.

    Raises
    ------
    EpochError
        If an act does not settle in the epoch, a record or account stands twice, a domain is unknown
        to the policy, or an amount leaves 63 bits.
    """
    _check_epoch(len(activities), start_ms, end_ms, rate_q24, pot)
    settled = settled_ms(activities, policy)
    outside = np.flatnonzero((settled <= start_ms) | (settled > end_ms))
    if len(outside):
        row = int(outside[0])
        raise EpochError(
            f"act {activities.record_id[row].tobytes().hex()[:16]}... settles at {int(settled[row])} ms, "
            f"outside the epoch ({start_ms}, {end_ms}]",
            hint="give only the acts of this epoch",
            where=f"activity {row + 1}",
        )
    values = activity_values(activities, policy, end_ms=end_ms)
    order, names, ends = leaf_order(activities.account, activities.record_id)
    valued = _sorted_activities(activities, order, values)
    raw_earned = account_sums(valued.running, ends)
    accounts, totals = _value_accounts(
        names, ends, np.maximum(raw_earned, 0), previous, policy,
        elapsed_ms=end_ms - start_ms, rate_q24=rate_q24, pot=pot,
    )  # fmt: skip
    return EpochValuation(valued, accounts, totals)


def account_sums(running: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the sum of values of each account, from running sums and the accounts' exclusive ends."""
    if not len(ends):
        return np.zeros(0, dtype=np.int64)
    return np.diff(running[ends - 1], prepend=0)


def _value_block(
    acts: Activities | ValuedActivities,
    policy: Policy,
    end_ms: int,
    start: int,
    result: NDArray[np.int64],
    room: NDArray[np.int64],
) -> None:
    stop = start + len(result)
    domain = acts.domain[start:stop]
    first = int(domain[0])
    if len(policy.domains) == 1 or bool((domain == first).all()):
        _value_rows(acts, slice(start, stop), policy, first, end_ms, result, room)
        return
    for index in np.flatnonzero(np.bincount(domain, minlength=len(policy.domains))).tolist():
        rows = np.flatnonzero(domain == index)
        values = np.empty(len(rows), dtype=np.int64)
        _value_rows(acts, rows + start, policy, index, end_ms, values, room[:, : len(rows)])
        result[rows] = values


def _value_rows(
    acts: Activities | ValuedActivities,
    rows: _Rows,
    policy: Policy,
    domain_index: int,
    end_ms: int,
    result: NDArray[np.int64],
    room: NDArray[np.int64],
) -> None:
    domain = policy.domains[domain_index]
    first, second, third, scratch = room
    ranks(acts.interaction[rows], domain.interaction, out=first, scratch=scratch)
    ranks(acts.originality[rows], domain.originality, out=second, scratch=scratch)
    ranks(acts.engagement[rows], domain.engagement, out=third, scratch=scratch)
    quality(first, second, third, out=first)
    incentive(first, domain, out=first)
    np.subtract(end_ms, acts.occurred_ms[rows], out=result)
    if not 0 <= int(result.min()) <= int(result.max()) <= end_ms:
        wrong = int(np.flatnonzero((result < 0) | (result > end_ms))[0])
        raise EpochError(
            f"an act occurred at {end_ms - int(result[wrong])} ms, outside 0 .. {end_ms} (the epoch's end)",
            hint="give only acts from before the epoch's end",
        )
    weights(result, policy.decay_k, out=second, scratch=room[2:])
    # |incentive| <= 4e9 and w <= 2^31: the product stays under 2^63. numpy shifts signed numbers down.
    np.multiply(first, second, out=result)
    result >>= 31


def _sorted_activities(
    activities: Activities, order: NDArray[np.int64], values: NDArray[np.int64]
) -> ValuedActivities:
    value = values.take(order)
    return ValuedActivities(
        # Whole words move many times faster than single bytes.
        record_id=np.ascontiguousarray(activities.record_id)
        .view(np.uint64)
        .take(order, axis=0)
        .view(np.uint8),
        account=np.ascontiguousarray(activities.account).view(np.uint32).take(order, axis=0).view(np.uint8),
        domain=activities.domain.take(order),
        occurred_ms=activities.occurred_ms.take(order),
        interaction=activities.interaction.take(order),
        originality=activities.originality.take(order),
        engagement=activities.engagement.take(order),
        value=value,
        running=np.cumsum(value, dtype=np.int64),
        source_row=order,
    )


def _value_accounts(
    names: NDArray[np.bytes_],
    ends: NDArray[np.int64],
    earned_now: NDArray[np.int64],
    previous: PreviousAccounts,
    policy: Policy,
    *,
    elapsed_ms: int,
    rate_q24: int,
    pot: int,
) -> tuple[ValuedAccounts, Totals]:
    before = accounts_as_keys(previous.account)
    everyone = np.union1d(names, before)
    if len(np.unique(before)) != len(before):
        raise EpochError("an account stands twice among the previous epoch's accounts")
    for label, amounts in (("standing", previous.standing), ("cumulative mint", previous.cumulative_mint)):
        if len(amounts) and int(amounts.min()) < 0:
            raise EpochError(f"a previous {label} is negative: {int(amounts.min())}")
    m = len(everyone)
    place_now = np.searchsorted(everyone, names)
    place_before = np.searchsorted(everyone, before)

    earned = np.zeros(m, dtype=np.int64)
    earned[place_now] = earned_now
    counts = np.zeros(m, dtype=np.int64)
    counts[place_now] = np.diff(ends, prepend=0)
    standing_before = np.zeros(m, dtype=np.int64)
    standing_before[place_before] = previous.standing
    minted_before = np.zeros(m, dtype=np.int64)
    minted_before[place_before] = previous.cumulative_mint

    running_earned = np.cumsum(earned, dtype=np.int64)
    running_active = np.cumsum(earned > 0, dtype=np.int64)
    total_earned = int(running_earned[-1]) if m else 0
    active_count = int(running_active[-1]) if m else 0
    mean_earned = total_earned // active_count if active_count else 0

    share = fairness.phi(earned, mean_earned, policy.brackets)
    minted = fairness.mint(share, earned, rate_q24=rate_q24, pot=pot, total_earned=total_earned)
    total_mint = sum(minted)
    _fits("the epoch's mint", total_mint)
    mint = np.array(minted, dtype=np.int64)
    kept = decayed(standing_before, weight(min(elapsed_ms, MAX_TIME_MS), policy.decay_k))
    standing = _sum("standing", kept, earned)
    accounts = ValuedAccounts(
        account=keys_as_accounts(everyone),
        activity_end=np.cumsum(counts, dtype=np.int64).astype(np.uint32),
        earned=earned,
        running_earned=running_earned,
        running_active=running_active.astype(np.uint32),
        phi=share,
        standing=standing,
        mint=mint,
        running_mint=np.cumsum(mint, dtype=np.int64),
        cumulative_mint=_sum("cumulative mint", minted_before, mint),
    )
    return accounts, Totals(total_earned, active_count, total_mint)


def _check_epoch(count: int, start_ms: int, end_ms: int, rate_q24: int, pot: int) -> None:
    if not 0 <= start_ms < end_ms <= MAX_TIME_MS:
        raise EpochError(
            f"an epoch cannot run from {start_ms} to {end_ms} ms",
            hint=f"its start lies before its end, both within 0 .. {MAX_TIME_MS}",
        )
    if not 0 <= rate_q24 <= MAX_RATE_Q24:
        raise EpochError(f"rate {rate_q24} does not fit 64 bits", hint=f"use 0 .. {MAX_RATE_Q24}")
    if not 0 <= pot <= MAX_AMOUNT:
        raise EpochError(f"pot {pot} is out of range", hint=f"use 0 .. {MAX_AMOUNT} micro-credits")
    if count > MAX_ACTIVITIES:
        raise EpochError(
            f"{count} acts are more than one epoch can hold ({MAX_ACTIVITIES})", hint="use shorter epochs"
        )


def _check_domains(domain: NDArray[np.uint16], policy: Policy) -> None:
    if len(domain) and int(domain.max()) >= len(policy.domains):
        row = int(np.flatnonzero(domain >= len(policy.domains))[0])
        raise EpochError(
            f"domain {int(domain[row])} is unknown: policy '{policy.name}' has {len(policy.domains)} "
            f"({', '.join(policy.domain_names())})",
            where=f"activity {row + 1}",
        )


def _fits(what: str, amount: int) -> None:
    if amount > MAX_AMOUNT:
        raise EpochError(
            f"{what} would be {amount}, more than a 64-bit ledger holds ({MAX_AMOUNT})",
            hint="lower the rate",
        )


def _sum(what: str, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.int64]:
    # Both are 0 .. 2^63 - 1, so an overflow shows as a negative number.
    total = left + right
    if len(total) and int(total.min()) < 0:
        row = int(total.argmin())
        _fits(f"{what} of one account", int(left[row]) + int(right[row]))
    return total
