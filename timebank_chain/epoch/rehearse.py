"""What past epochs would have been under another policy: the same acts, the same code, other rules.

Takes published epochs and a policy; gives each epoch as it is and as it would have been. Acts, rates and pots
are those of the headers: they were decided on chain, not by the policy; its initial rate only says where a
new deployment begins. Standings and cumulative mints carry
on from epoch to epoch as rehearsed; before the first rehearsed epoch they are as published. Under the
policies they were valued by, every root and total comes out as it is.

Indicators were counted over the observation windows of the policy of their time and cannot be counted again:
a policy with other windows, another epoch length or without a domain of the acts is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from timebank_chain.epoch.file import PublishedEpoch, published_numbers, read_epoch, read_policy
from timebank_chain.epoch.proof import checked_tree
from timebank_chain.epoch.rows import AccountRows, ActivityRows, rows_of_valuation
from timebank_chain.errors import EpochError, PolicyError, TamperedEpoch
from timebank_chain.units import RateQ24, format_duration
from timebank_chain.valuation import Activities, Policy, PreviousAccounts, value_epoch
from timebank_chain.valuation.inequality import Inequality, exact_sum, measure
from timebank_chain.valuation.order import accounts_as_keys


@dataclass(frozen=True, eq=False)
class RehearsedEpoch:
    """An epoch as published, and as it would have been.

    ``own_policy`` is the one it was valued by; ``total_earned`` is in micro-value, ``total_mint`` in
    micro-credits.
    """

    published: PublishedEpoch
    own_policy: Policy
    activities: ActivityRows
    accounts: AccountRows
    total_earned: int
    active_count: int
    total_mint: int

    @cached_property
    def identical(self) -> bool:
        """Whether every leaf, root and total is the published one, bit for bit."""
        header = self.published.header
        return (
            (self.total_earned, self.active_count, self.total_mint)
            == (header.total_earned, header.active_count, header.total_mint)
            and (len(self.activities), len(self.accounts)) == (header.activity_count, header.account_count)
            and self.activities.tree.root == header.activity_root
            and self.accounts.tree.root == header.account_root
        )


@dataclass(frozen=True)
class EpochEffect:
    """One epoch then and now: earned (micro-value), mint (micro-credits), how unequal the mint was."""

    epoch: int
    identical: bool
    earned: tuple[int, int]
    active: tuple[int, int]
    mint: tuple[int, int]
    mint_inequality: tuple[Inequality | None, Inequality | None]


@dataclass(frozen=True, eq=False)
class Rehearsal:
    """Everything that would have been different.

    Attributes
    ----------
    policy
        The rehearsed one.
    own_policy, rate_q24
        The policy and the rate the last epoch was valued by; micro-credits per micro-value, 2**24 = 1.0.
    accounts
        (m, 20) bytes: every account of the last epoch.
    mint, standing
        Then and now, one row an account: micro-credits of all rehearsed epochs, and micro-value at their end.
    """

    policy: Policy
    own_policy: Policy
    rate_q24: RateQ24
    epochs: tuple[EpochEffect, ...]
    accounts: NDArray[np.uint8]
    mint: tuple[NDArray[np.int64], NDArray[np.int64]]
    standing: tuple[NDArray[np.int64], NDArray[np.int64]]

    @property
    def identical(self) -> bool:
        """Whether every epoch came out bit for bit as published."""
        return all(one.identical for one in self.epochs)

    @property
    def other_initial_rate(self) -> bool:
        """Whether the rehearsed policy begins with another rate: that was not, and cannot be, rehearsed."""
        return self.policy.initial_rate_q24 != self.own_policy.initial_rate_q24

    @cached_property
    def difference(self) -> NDArray[np.int64]:
        """What each account would have been credited more, micro-credits."""
        return self.mint[1] - self.mint[0]

    @cached_property
    def gained(self) -> int:
        """Sum over all who would have got more, micro-credits."""
        return exact_sum(np.maximum(self.difference, 0))

    @cached_property
    def lost(self) -> int:
        """Sum over all who would have got less, micro-credits."""
        return exact_sum(np.maximum(-self.difference, 0))

    @property
    def winners(self) -> int:
        """How many accounts would have got more."""
        return int((self.difference > 0).sum())

    @property
    def losers(self) -> int:
        """How many accounts would have got less."""
        return int((self.difference < 0).sum())

    @cached_property
    def mint_inequality(self) -> tuple[Inequality | None, Inequality | None]:
        """How unequal the mint of all rehearsed epochs is, then and now."""
        return measure(self.mint[0]), measure(self.mint[1])

    @cached_property
    def standing_inequality(self) -> tuple[Inequality | None, Inequality | None]:
        """How unequal the standings at the end are, then and now."""
        return measure(self.standing[0]), measure(self.standing[1])

    def most_moved(self, count: int, *, up: bool) -> list[int]:
        """Return the rows of those who win (or lose) most, greatest first; of equals the first."""
        order = np.argsort(-self.difference if up else self.difference, kind="stable")[:count]
        return [int(row) for row in order if (self.difference[row] > 0 if up else self.difference[row] < 0)]


def rehearse(
    epochs: Path,
    policy: Policy,
    *,
    first: int = 1,
    last: int | None = None,
    read: Callable[[int], PublishedEpoch] | None = None,
    progress: Callable[[str], None] | None = None,
) -> Rehearsal:
    """Run a policy over published epochs.

    Parameters
    ----------
    epochs
        Folder of published epochs.
    first, last
        The policy is in force from ``first`` on, up to ``last`` (default: the newest).
    read
        How an epoch is read; default: from the folder. Somebody with a chain checks it against that here.

    Raises
    ------
    EpochError
        If there is no such epoch.
    TamperedEpoch
        If one is missing in between, does not follow the one before, or has rows of another root.
    PolicyError
        If the policy cannot be held against these epochs: another length or windows, or a missing domain.
    """
    numbers = published_numbers(epochs)
    if not numbers:
        raise EpochError(
            "no epoch is published", where=str(epochs), hint="build or fetch some: timebank epoch fetch"
        )
    until = numbers[-1] if last is None else last
    if not 1 <= first <= until <= numbers[-1]:
        raise EpochError(
            f"epochs {first} to {until} are not all there: {numbers[0]} to {numbers[-1]} are published",
            where=str(epochs),
            hint="choose among them with --from and --to",
        )
    tell = progress or (lambda _text: None)
    return _summed_up(policy, list(_run(_chain_of(epochs, first, until, read), policy, first, tell)))


def rehearse_epoch(
    published: PublishedEpoch, previous: PreviousAccounts, own_policy: Policy, policy: Policy
) -> RehearsedEpoch:
    """Value an epoch's acts under a policy, from the accounts ``previous`` left behind.

    Parameters
    ----------
    own_policy
        The policy the epoch was valued by: its acts count domains by it.

    Raises
    ------
    PolicyError
        As :func:`rehearse`.
    """
    header = published.header
    where = f"policy '{policy.name}' over epoch {header.epoch}"
    length = header.end_ms - header.start_ms
    if policy.epoch_ms not in (0, length):
        raise PolicyError(
            f"the epoch is {format_duration(length)} long, the policy's {format_duration(policy.epoch_ms)}",
            hint='rehearse it with "epoch_ms": 0, which leaves the length free',
            where=where,
        )
    valuation = value_epoch(
        _under(published.activities.as_activities(), own_policy, policy, where),
        previous,
        policy,
        start_ms=header.start_ms,
        end_ms=header.end_ms,
        rate_q24=header.rate_q24,
        pot=header.pot,
    )
    activities, accounts = rows_of_valuation(valuation)
    totals = valuation.totals
    return RehearsedEpoch(
        published,
        own_policy,
        activities,
        accounts,
        totals.total_earned,
        totals.active_count,
        totals.total_mint,
    )


def _chain_of(
    epochs: Path, first: int, last: int, read: Callable[[int], PublishedEpoch] | None
) -> Iterator[tuple[PublishedEpoch, Policy]]:
    """Yield each epoch with its policy, from the one before ``first`` on; check that they hang together."""

    def of_folder(number: int) -> PublishedEpoch:
        return read_epoch(epochs, number)

    previous: PublishedEpoch | None = None
    for number in range(max(1, first - 1), last + 1):
        published = (read or of_folder)(number)
        if previous is not None and published.header.previous_header_hash != previous.header.hash():
            raise TamperedEpoch(
                f"epoch {number} does not follow the published epoch {number - 1}",
                where=str(epochs),
                hint="fetch both again from one publisher",
            )
        checked_tree(published, "account")
        checked_tree(published, "activity")
        yield published, read_policy(epochs, published.header.policy_hash)
        previous = published


def _run(
    chain: Iterable[tuple[PublishedEpoch, Policy]],
    policy: Policy,
    first: int,
    tell: Callable[[str], None],
) -> Iterator[RehearsedEpoch]:
    before = PreviousAccounts.none()
    for published, own_policy in chain:
        if published.number < first:
            before = published.accounts.as_previous()  # stands as it is
            continue
        tell(f"epoch {published.number}: valuing anew")
        one = rehearse_epoch(published, before, own_policy, policy)
        before = one.accounts.as_previous()
        yield one


def _under(acts: Activities, own_policy: Policy, policy: Policy, where: str) -> Activities:
    """Return acts with their domains counted as ``policy`` counts them."""
    known = {domain.name: index for index, domain in enumerate(policy.domains)}
    places = np.zeros(len(own_policy.domains), dtype=np.uint16)
    counts = np.bincount(acts.domain, minlength=len(own_policy.domains))
    for index, domain in enumerate(own_policy.domains):
        if not counts[index]:
            continue
        if domain.name not in known:
            raise PolicyError(
                f"{int(counts[index]):,} acts are of domain {domain.name!r}, which the policy does not know; "
                f"it values {', '.join(known)}",
                hint="add the domain, if only with ranks of 0",
                where=where,
            )
        places[index] = known[domain.name]
        window_ms = policy.domains[known[domain.name]].window_ms
        if window_ms != domain.window_ms:
            raise PolicyError(
                f"what was recorded of {domain.name!r} was counted over {format_duration(domain.window_ms)}, "
                f"the policy asks for {format_duration(window_ms)}",
                hint="keep the window: what happened later, or sooner, stands in no published file",
                where=where,
            )
    return replace(acts, domain=places[acts.domain])


def _summed_up(policy: Policy, rehearsed: Sequence[RehearsedEpoch]) -> Rehearsal:
    end = rehearsed[-1]
    accounts = end.accounts.account
    then, now = np.zeros((2, len(accounts)), dtype=np.int64)
    keys = accounts_as_keys(accounts)
    effects = []
    for one in rehearsed:
        if not np.array_equal(one.accounts.account, one.published.accounts.account):
            raise TamperedEpoch(
                "its accounts are others than those of its acts and of the epoch before",
                where=str(one.published.folder),
                hint="run: timebank epoch verify --epochs DIR",
            )
        rows = np.searchsorted(keys, accounts_as_keys(one.accounts.account))
        then[rows] += one.published.accounts.mint
        now[rows] += one.accounts.mint
        header = one.published.header
        effects.append(
            EpochEffect(
                epoch=header.epoch,
                identical=one.identical,
                earned=(header.total_earned, one.total_earned),
                active=(header.active_count, one.active_count),
                mint=(header.total_mint, one.total_mint),
                mint_inequality=(measure(one.published.accounts.mint), measure(one.accounts.mint)),
            )
        )
    return Rehearsal(
        policy=policy,
        own_policy=end.own_policy,
        rate_q24=RateQ24(end.published.header.rate_q24),
        epochs=tuple(effects),
        accounts=accounts,
        mint=(then, now),
        standing=(end.published.accounts.standing, end.accounts.standing),
    )
