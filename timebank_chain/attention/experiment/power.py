"""How many members an experiment needs, and what the smallest effect is that a number of them shows.

A fixed test looks once. Two rates: the two-sided z-test, pooled variance where there is no effect and the
arms' own where there is one (``statsmodels.stats.proportion.power_proportions_2indep``; Fleiss, Levin, Paik
2003, section 4.2), of the effect less the continuity correction that the test takes off. Two means: the
two-sided t-test (``statsmodels.stats.power.TTestIndPower``; Cohen 1988).

A pre-period covariate with correlation ``r`` leaves ``1 - r^2`` of the variance (CUPED: A. Deng, Y. Xu, R.
Kohavi, T. Walker, WSDM 2013), so that members count as ``1 / (1 - r^2)`` each.

Looking as often as one likes costs members: where a fixed test needs ``(z_a + z_b)^2`` units of them, the
confidence sequence needs ``(m + z_b)^2`` to have the same power at the horizon, ``m`` its boundary there.
That is the most it needs: it may end at any earlier look.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from timebank_chain.attention.experiment.sequence import horizon_product
from timebank_chain.attention.extra import need
from timebank_chain.errors import UsageError

_MOST = 1e9
#: Powers of ten an effect is looked for below the first guess.
_STEPS_DOWN = 5


@dataclass(frozen=True, slots=True)
class Design:
    """What a power calculation starts from.

    Attributes
    ----------
    kind
        ``rate`` or ``mean``.
    baseline, spread
        Mean and standard deviation under control, in the metric's unit.
    direction
        1 if the treatment is to raise the metric, -1 if to lower it.
    weights
        Of the arms, control first.
    level
        Two-sided error of one comparison.
    power
        Chance to see the effect if it is there.
    correlation
        Of the covariate with the metric; 0 without one.
    always_valid
        Whether it will be looked at as often as one likes.
    """

    kind: str
    baseline: float
    spread: float
    direction: int
    weights: tuple[int, ...]
    level: float
    power: float
    correlation: float = 0.0
    always_valid: bool = True

    @property
    def peeking_cost(self) -> float:
        """How many times the members of a fixed test always-valid looking takes; 1 for a fixed test."""
        if not self.always_valid:
            return 1.0
        normal = need("scipy.stats").norm
        z_power = float(normal.ppf(self.power))
        fixed = float(normal.isf(self.level / 2)) + z_power
        # At the optimum ln((1 + x) / alpha^2) = x, so that the boundary's square is 1 + x.
        always = math.sqrt(1.0 + horizon_product(self.level)) + z_power
        return (always / fixed) ** 2

    @property
    def variance_left(self) -> float:
        """Part of the variance that the covariate does not explain."""
        return 1.0 - self.correlation**2


def power_at(design: Design, members_per_arm: Sequence[float], effect: float) -> float:
    """Return the least power of the comparisons with the control, for an effect (absolute, positive)."""
    control = members_per_arm[0]
    count_each = 1.0 / (design.variance_left * design.peeking_cost)
    return min(
        _power(design, treated * count_each, control * count_each, effect) for treated in members_per_arm[1:]
    )


def members_needed(design: Design, effect: float) -> tuple[int, ...]:
    """Return the members each arm needs to show ``effect`` with the design's power.

    Raises
    ------
    UsageError
        If the effect is not possible, or needs more than a thousand million members.
    """
    _check_effect(design, effect)

    def lacking(unit: float) -> float:
        return power_at(design, [unit * weight for weight in design.weights], effect) - design.power

    # The smallest arm starts with two members: less has no variance.
    least = 2.0 / min(design.weights)
    if lacking(least) >= 0:
        return tuple(math.ceil(least * weight) for weight in design.weights)
    unit = _root(
        lacking,
        least,
        _MOST / max(design.weights),
        f"an effect of {effect:g} needs more than {_MOST:,.0f} members",
    )
    return tuple(math.ceil(unit * weight - 1e-6) for weight in design.weights)


def detectable_effect(design: Design, members_per_arm: Sequence[int]) -> float:
    """Return the smallest effect, in the metric's unit, that so many members show with the design's power.

    Raises
    ------
    UsageError
        If no possible effect is large enough.
    """
    if design.kind == "rate":
        most = (1.0 - design.baseline if design.direction > 0 else design.baseline) * (1.0 - 1e-9)
    else:
        most = design.spread * 1e4

    def lacking(effect: float) -> float:
        return power_at(design, members_per_arm, effect) - design.power

    least = most * 1e-9
    # Very many members show less than that; far below, the libraries' arithmetic ends.
    for _ in range(_STEPS_DOWN):
        if lacking(least) < 0:
            return _root(lacking, least, most, "so few members show no effect with this power")
        least /= 10
    raise UsageError("so many members show any effect", hint="fewer --members, or say --effect instead")


def _power(design: Design, treated: float, control: float, effect: float) -> float:
    if design.kind == "rate":
        proportion = need("statsmodels.stats.proportion")
        seen = effect - 0.5 * (1 / treated + 1 / control)
        if seen <= 0:
            return 0.0
        found = proportion.power_proportions_2indep(
            seen * design.direction,
            design.baseline,
            treated,
            ratio=control / treated,
            alpha=design.level,
            return_results=False,
        )
        return float(found)
    if treated + control <= 2.5:
        return 0.0  # no degree of freedom to speak of
    solver = need("statsmodels.stats.power").TTestIndPower()
    found = solver.power(effect / design.spread, treated, design.level, ratio=control / treated)
    if math.isfinite(found):
        return float(found)
    # Where the noncentral t fails (effects of very many standard deviations), the normal does not.
    normal = need("scipy.stats").norm
    shift = effect / design.spread / math.sqrt(1 / treated + 1 / control)
    return float(normal.sf(normal.isf(design.level / 2) - shift))


def _check_effect(design: Design, effect: float) -> None:
    if not effect > 0 or not math.isfinite(effect):
        raise UsageError(f"an effect of {effect:g} is none", hint="give a positive number, or a part: 10%")
    if design.kind == "rate" and not 0 < design.baseline + design.direction * effect < 1:
        raise UsageError(
            f"a rate of {design.baseline:g} cannot change by {effect:g} that way",
            hint="give a smaller --effect",
        )


def _root(lacking: Callable[[float], float], least: float, most: float, otherwise: str) -> float:
    # Turned so that a power that is no number is refused too.
    if not lacking(most) >= 0:
        raise UsageError(otherwise, hint="a larger effect, less power, or a covariate that explains more")
    # The range spans decades: search by orders of magnitude. There and back an end moves by a rounding, which
    # matters where the answer is the end.
    ends = math.log(least), math.log(most)
    for end, value, wrong in ((ends[0], least, 1.0), (ends[1], most, -1.0)):
        if lacking(math.exp(end)) * wrong >= 0:
            return value
    found = need("scipy.optimize").brentq(lambda exponent: lacking(math.exp(exponent)), *ends, xtol=1e-10)
    return math.exp(float(found))
