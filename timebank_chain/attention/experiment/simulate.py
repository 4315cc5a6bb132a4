"""Simulated A/A tests: both arms the same, so that every alarm is false, and counted.

Three ways to conclude from the same experiments: a fixed test at the horizon, the confidence sequence
looked at every day, and what should not be done, the fixed test looked at every day until it says yes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from timebank_chain.attention.experiment.looks import Looks, Sums, compare

Floats = NDArray[np.float64]

#: Experiments drawn together: their members' values are in memory at once.
_BATCH = 100


@dataclass(frozen=True, slots=True)
class Setting:
    """What is simulated: ``daily`` members of control a day, over ``days`` days, ``experiments`` times.

    Attributes
    ----------
    kind
        ``rate`` (a chance of ``baseline``) or ``mean`` (log-normal attention of mean ``baseline`` whose
        logarithm deviates by 1: skewed, as attention is).
    treated
        Members of the treatment a day; as many as control unless said.
    correlation
        Of the logarithms with those of a pre-period covariate, which is adjusted for unless it is ``None``.
    lift
        What the treatment's mean is multiplied by.
    """

    kind: str
    baseline: float
    daily: int = 100
    treated: int | None = None
    days: int = 28
    experiments: int = 10_000
    correlation: float | None = None
    lift: float = 1.0
    level: float = 0.05
    burn_in: int = 50

    @property
    def a_day(self) -> tuple[int, int]:
        """Members of control and treatment a day."""
        return self.daily, self.daily if self.treated is None else self.treated


@dataclass(frozen=True, slots=True)
class Alarms:
    """Parts of the experiments in which each way of concluding sees an effect.

    ``missed`` is the part whose confidence sequence left out the true effect at some look.
    """

    experiments: int
    fixed: float
    always_valid: float
    peeked: float
    missed: float

    def error_of(self, part: float) -> float:
        """Return the standard error of such a part, from the number of experiments."""
        return float(np.sqrt(part * (1 - part) / self.experiments))


def simulate(setting: Setting, *, seed: int) -> Alarms:
    """Run the experiments; the same seed gives the same ones."""
    chance = np.random.default_rng(seed)
    found = np.zeros(4)
    left = setting.experiments
    while left:
        size = min(left, 10 * _BATCH if setting.kind == "rate" else _BATCH)
        looks = compare(
            _draw(setting, size, chance),
            1,
            kind=setting.kind,
            planned=float(sum(setting.a_day) * setting.days),
            level=setting.level,
            burn_in=setting.burn_in,
        )
        found += _alarms(looks, setting)
        left -= size
    fixed, always, peeked, missed = (found / setting.experiments).tolist()
    return Alarms(setting.experiments, fixed, always, peeked, missed)


def _draw(setting: Setting, size: int, chance: np.random.Generator) -> Sums:
    a_day = np.array(setting.a_day, dtype=np.float64)
    members = np.cumsum(np.broadcast_to(a_day, (size, setting.days, 2)), axis=1)
    if setting.kind == "rate":
        rates = setting.baseline * np.array([1.0, setting.lift])
        successes = chance.binomial(setting.a_day, rates, size=members.shape).cumsum(axis=1).astype(float)
        return Sums(members, successes, successes)
    control = _sums_of_arm(setting, (size, setting.days, setting.a_day[0]), 1.0, chance)
    treatment = _sums_of_arm(setting, (size, setting.days, setting.a_day[1]), setting.lift, chance)
    return Sums(members, *(np.stack(both, axis=-1) for both in zip(control, treatment, strict=True)))


def _sums_of_arm(
    setting: Setting, shape: tuple[int, int, int], lift: float, chance: np.random.Generator
) -> list[Floats]:
    """Draw an arm's members, (experiments, days, members), and sum them up to each day."""
    normal = chance.standard_normal(shape)
    # The mean of exp(N(m, 1)) is exp(m + 1/2).
    outcome = setting.baseline * lift * np.exp(normal - 0.5)
    values = [outcome, outcome**2]
    if setting.correlation is not None:
        own = np.sqrt(1 - setting.correlation**2)
        before = np.exp(setting.correlation * normal + own * chance.standard_normal(shape) - 0.5)
        values += [before, before**2, before * outcome]
    return [np.asarray(one.sum(axis=2).cumsum(axis=1)) for one in values]


def _alarms(looks: Looks, setting: Setting) -> Floats:
    truth = setting.baseline * (setting.lift - 1.0)
    missed = (looks.low > truth) | (looks.high < truth)
    alarm = (looks.low > 0) | (looks.high < 0)
    fixed = looks.fixed_p < setting.level
    return np.array(
        [fixed[:, -1].sum(), alarm.any(axis=1).sum(), fixed.any(axis=1).sum(), missed.any(axis=1).sum()],
        dtype=np.float64,
    )
