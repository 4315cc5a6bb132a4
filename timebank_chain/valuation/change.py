"""Why an account's numbers are others than an epoch ago: new activity, ageing, parameters, nothing left over.

An epoch's numbers follow from everybody's acts, from the age these have at its end, and from the parameters:
policy, rate and pot. Between two epochs all three change, so they are exchanged one after the other, and each
exchange is valued by the same arithmetic as the epochs themselves::

    acts of the epoch before, of no age, its parameters
      | new activity    this epoch's acts instead: first the account's own, then everybody else's
    acts of this epoch, of no age, the parameters before
      | ageing          what age takes from this epoch's acts, less what it took from those before
    acts of this epoch, as old as they are, the parameters before
      | parameters      this epoch's policy, then its rate, then its pot
    this epoch

Standing is not made anew but carried on: there, new activity is what this epoch's acts add, and ageing is
also what the time since has taken from the standing before. Domains are matched by their names; an act of a
domain that a policy does not know is worth nothing under it. All parts are integers; they sum to the
difference.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from timebank_chain.units import MAX_TIME_MS
from timebank_chain.valuation import fairness
from timebank_chain.valuation.decay import decayed, weight
from timebank_chain.valuation.policy import Policy
from timebank_chain.valuation.value import Activities, explain

# Rows explained at once: each takes eight columns of 8 bytes.
_BLOCK = 1 << 18


@dataclass(frozen=True, slots=True)
class Parameters:
    """What decides an epoch's numbers beside the acts: policy, rate (Q24) and pot (micro-credits)."""

    policy: Policy
    rate_q24: int
    pot: int


@dataclass(frozen=True)
class EpochActs:
    """An epoch as it was valued.

    Attributes
    ----------
    activities
        Sorted by account, as published; ``domain`` counts in the policy of ``parameters``.
    account
        (m, 20) bytes, the accounts of the epoch.
    activity_end
        Exclusive end of each account's rows.
    start_ms, end_ms
        Unix milliseconds.
    """

    activities: Activities
    account: NDArray[np.uint8]
    activity_end: NDArray[np.uint32]
    start_ms: int
    end_ms: int
    parameters: Parameters


@dataclass(frozen=True, slots=True)
class Change:
    """How one number of an account went from an epoch to the next; millionths.

    Attributes
    ----------
    before, after
        As the two epochs have it.
    own_activity, others_activity
        What the account's own new acts change, and what those of all others do (through mean and total).
    ageing
        What the passing of time changes.
    policy, rate, pot
        What each parameter changes for the same acts.
    """

    before: int
    after: int
    own_activity: int
    others_activity: int
    ageing: int
    policy: int
    rate: int
    pot: int

    @property
    def new_activity(self) -> int:
        """What new acts change, the account's own and all others'."""
        return self.own_activity + self.others_activity

    @property
    def parameters(self) -> int:
        """What policy, rate and pot change for the same acts."""
        return self.policy + self.rate + self.pot

    @property
    def difference(self) -> int:
        """How much it changed in all."""
        return self.after - self.before

    @property
    def remainder(self) -> int:
        """What no part explains: 0, or one of the epochs is not what its acts and parameters give."""
        return self.difference - self.new_activity - self.ageing - self.parameters


@dataclass(frozen=True, slots=True)
class AccountChange:
    """An account's earned and standing (micro-value) and mint (micro-credits)."""

    earned: Change
    standing: Change
    mint: Change


@dataclass(frozen=True, slots=True)
class Numbers:
    """An account's earned, standing (micro-value) and mint (micro-credits) in an epoch."""

    earned: int = 0
    standing: int = 0
    mint: int = 0


@dataclass(frozen=True, slots=True)
class _Earned:
    """What one account earned, what all did, and how many earned anything; micro-value."""

    own: int = 0
    total: int = 0
    active: int = 0

    def with_own(self, own: int) -> _Earned:
        """Return the same with another ``own``; all others stay."""
        return _Earned(own, self.total - self.own + own, self.active - (self.own > 0) + (own > 0))

    def mint(self, by: Parameters) -> int:
        mean = self.total // self.active if self.active else 0
        own = np.array([self.own], dtype=np.int64)
        phi = fairness.phi(own, mean, by.policy.brackets)
        return fairness.mint(phi, own, rate_q24=by.rate_q24, pot=by.pot, total_earned=self.total)[0]


@dataclass(frozen=True, slots=True)
class _Picture:
    """What was earned, if no act had any age, and as old as they are."""

    fresh: _Earned = _Earned()
    aged: _Earned = _Earned()


def explain_change(
    before: EpochActs | None, now: EpochActs, account: bytes, numbers_before: Numbers, numbers: Numbers
) -> AccountChange:
    """Divide the change of an account's numbers into its causes.

    Parameters
    ----------
    before
        The epoch before; ``None`` for the first, whose parameters then count as having always been there.
    now
        The epoch to explain.
    account
        20 bytes.
    numbers_before, numbers
        The account's numbers as the two epochs have them; zeros where it has no place in one. A part is never
        worked out from them, so that a false number shows as a remainder.
    """
    new = now.parameters
    old = new if before is None else before.parameters
    was = _Picture() if before is None else _picture(before, old.policy, account)
    same_rules = _picture(now, old.policy, account)
    as_is = same_rules if new.policy == old.policy else _picture(now, new.policy, account)

    aged_by_rules = as_is.aged.own - same_rules.aged.own
    age_took = same_rules.aged.own - same_rules.fresh.own
    age_took_before = was.aged.own - was.fresh.own
    earned = Change(
        before=numbers_before.earned,
        after=numbers.earned,
        own_activity=same_rules.fresh.own - was.fresh.own,
        others_activity=0,
        ageing=age_took - age_took_before,
        policy=aged_by_rules,
        rate=0,
        pot=0,
    )
    elapsed = now.end_ms - now.start_ms
    kept_by_old = _kept(numbers_before.standing, elapsed, old.policy)
    kept = _kept(numbers_before.standing, elapsed, new.policy)
    standing = Change(
        before=numbers_before.standing,
        after=numbers.standing,
        own_activity=same_rules.fresh.own,
        others_activity=0,
        ageing=kept_by_old - numbers_before.standing + age_took,
        policy=kept - kept_by_old + aged_by_rules,
        rate=0,
        pot=0,
    )
    own_new = was.fresh.with_own(same_rules.fresh.own).mint(old)
    mint_fresh, mint_aged = same_rules.fresh.mint(old), same_rules.aged.mint(old)
    by_policy = as_is.aged.mint(replace(old, policy=new.policy))
    by_rate = as_is.aged.mint(replace(new, pot=old.pot))
    mint = Change(
        before=numbers_before.mint,
        after=numbers.mint,
        own_activity=own_new - was.fresh.mint(old),
        others_activity=mint_fresh - own_new,
        ageing=(mint_aged - mint_fresh) - (was.aged.mint(old) - was.fresh.mint(old)),
        policy=by_policy - mint_aged,
        rate=by_rate - by_policy,
        pot=as_is.aged.mint(new) - by_rate,
    )
    return AccountChange(earned, standing, mint)


def _picture(epoch: EpochActs, policy: Policy, account: bytes) -> _Picture:
    fresh, aged = _worth(epoch, policy)
    ends = epoch.activity_end.astype(np.int64)
    starts = np.concatenate([np.zeros(1, dtype=np.int64), ends[:-1]])
    row = np.flatnonzero((epoch.account == np.frombuffer(account, dtype=np.uint8)).all(axis=1))

    def earned(values: NDArray[np.int64]) -> _Earned:
        running = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(values, dtype=np.int64)])
        of_accounts = np.maximum(running[ends] - running[starts[: len(ends)]], 0)
        own = int(of_accounts[row[0]]) if len(row) else 0
        return _Earned(own, int(of_accounts.sum()), int((of_accounts > 0).sum()))

    return _Picture(earned(fresh), earned(aged))


def _worth(epoch: EpochActs, policy: Policy) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return each act's value under a policy, of no age and at the epoch's end; micro-value."""
    acts = epoch.activities
    fresh, aged = np.zeros((2, len(acts)), dtype=np.int64)
    known = {name: index for index, name in enumerate(policy.domain_names())}
    domains = np.array([known.get(name, -1) for name in epoch.parameters.policy.domain_names()])
    for start in range(0, len(acts), _BLOCK):
        domain = domains[acts.domain[start : start + _BLOCK]]
        rows = start + np.flatnonzero(domain >= 0)
        chosen = replace(acts.take(rows), domain=domain[domain >= 0].astype(np.uint16))
        steps = explain(chosen, policy, end_ms=epoch.end_ms)
        fresh[rows], aged[rows] = steps.incentive, steps.value
    return fresh, aged


def _kept(standing: int, elapsed_ms: int, policy: Policy) -> int:
    left = weight(min(elapsed_ms, MAX_TIME_MS), policy.decay_k)
    return int(decayed(np.array([standing], dtype=np.int64), left)[0])
