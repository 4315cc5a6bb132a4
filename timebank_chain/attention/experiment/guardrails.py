"""What a treatment may not harm on its way to a win: how equally attention is shared, and what else is named.

Every guardrail is a difference, treatment minus control, turned so that positive is harm, with a standard
error, and held against its tolerance: *kept* if the whole interval lies at or below it, *harmed* if the
whole interval lies above, *undecided* between. To ship, all must be kept; as that claim needs every one of
them, no level has to be divided among them (R. L. Berger's intersection-union test, 1982).

*Gini*: ``G = sum((2 i - n - 1) x_i) / ((n - 1) sum(x))`` with ``x`` ascending, which is free of the bias
that makes small arms look equal; its error by the jackknife over members, all leave-one-out values in
closed form.
*Exposure*: of all that was shown to an arm's members, the part that went to the offers least shown in both
arms together. The set is found from the pooled counts because each arm's own least shown would be biased by
the arm's size; the error is that of a ratio of members' sums, as one member's exposures are alike.
*Mean*: a difference of means.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from timebank_chain.attention.experiment.log import Exposures, OutcomeLog
from timebank_chain.attention.experiment.plan import Guardrail

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class GuardrailResult:
    """One guardrail of one treatment.

    Attributes
    ----------
    group
        Members of which group; ``None`` for all.
    control, treatment
        The measure in each arm; ``None`` where an arm has too few members for it.
    harm, low, high
        Treatment against control, positive is harm, and its interval.
    verdict
        ``kept``, ``harmed`` or ``undecided``.
    """

    kind: str
    name: str
    group: str | None
    tolerance: float
    control: float | None
    treatment: float | None
    harm: float | None
    low: float | None
    high: float | None
    verdict: str


@dataclass(frozen=True, slots=True)
class Measured:
    """A measure of one arm and its standard error."""

    value: float
    error: float


def check_guardrail(
    rule: Guardrail,
    log: OutcomeLog,
    treatment: int,
    exposures: Exposures | None,
    reach: float,
    *,
    control: int = 0,
) -> list[GuardrailResult]:
    """Hold a treatment against a guardrail: once for all members, and once for each group it names.

    Parameters
    ----------
    reach
        Standard errors the interval reaches to either side.
    """
    arms = (control, treatment)
    if rule.kind == "exposure":
        if exposures is None:
            raise ValueError("a guardrail on exposure without exposures")
        return [_result(rule, None, *_exposure(rule, log, exposures, arms), sign=-1, reach=reach)]
    values = log.numbers[rule.name]
    members: list[tuple[str | None, NDArray[np.bool_]]] = [(None, np.ones(len(values), dtype=np.bool_))]
    if rule.by is not None:
        groups = np.array(log.groups[rule.by])
        members += [(str(name), groups == name) for name in np.unique(groups)]
    measure = gini_with_error if rule.kind == "gini" else _mean
    sign = -1 if rule.better == "up" else 1
    return [
        _result(
            rule, name, *(measure(values[those & (log.arm == arm)]) for arm in arms), sign=sign, reach=reach
        )
        for name, those in members
    ]


def gini_with_error(amounts: Floats) -> Measured | None:
    """Return the unbiased Gini index of amounts and its error; ``None`` for less than three."""
    count = len(amounts)
    if count < 3:
        return None
    x = np.sort(amounts)
    total = float(x.sum())
    if total == 0:
        return Measured(0.0, 0.0)
    place = np.arange(1, count + 1, dtype=np.float64)
    by_place = float((place * x).sum())
    value = (2 * by_place - (count + 1) * total) / ((count - 1) * total)
    # Without row k the rows above it move down one place.
    above = total - np.cumsum(x)
    rest = total - x
    top = 2 * (by_place - place * x - above) - count * rest
    without = np.divide(top, (count - 2) * rest, out=np.zeros(count), where=rest > 0)
    error = math.sqrt((count - 1) / count * float(np.square(without - without.mean()).sum()))
    return Measured(value, error)


def _mean(values: Floats) -> Measured | None:
    if len(values) < 2:
        return None
    return Measured(float(values.mean()), float(values.std(ddof=1)) / math.sqrt(len(values)))


def _exposure(
    rule: Guardrail, log: OutcomeLog, exposures: Exposures, arms: tuple[int, int]
) -> tuple[Measured | None, ...]:
    seen_by = log.arm[exposures.member_row]
    counted = np.bincount(exposures.offer[np.isin(seen_by, arms)], minlength=len(exposures.offers))
    how_many = max(1, math.floor((rule.lowest or 0.0) * len(counted)))
    # Offers are in the order of their names, so that equals are taken in that order.
    least = np.zeros(len(counted), dtype=np.bool_)
    least[np.argsort(counted, kind="stable")[:how_many]] = True
    shown = np.bincount(exposures.member_row, minlength=len(log.arm)).astype(np.float64)
    low = np.bincount(
        exposures.member_row, weights=least[exposures.offer].astype(np.float64), minlength=len(log.arm)
    )
    return tuple(_ratio(low[log.arm == arm], shown[log.arm == arm]) for arm in arms)


def _ratio(part: Floats, whole: Floats) -> Measured | None:
    count, total = len(whole), float(whole.sum())
    if count < 2 or total == 0:
        return None
    value = float(part.sum()) / total
    spread = float(np.square(part - value * whole).sum()) * count / (count - 1)
    return Measured(value, math.sqrt(spread) / total)


def _result(
    rule: Guardrail,
    group: str | None,
    control: Measured | None,
    treatment: Measured | None,
    *,
    sign: int,
    reach: float,
) -> GuardrailResult:
    harm = low = high = None
    verdict = "undecided"
    if control is not None and treatment is not None:
        harm = sign * (treatment.value - control.value)
        half = reach * math.hypot(control.error, treatment.error)
        # Before an interval counts it is without end: nothing is kept or harmed yet.
        if math.isfinite(half):
            low, high = harm - half, harm + half
            verdict = "kept" if high <= rule.tolerance else "harmed" if low > rule.tolerance else "undecided"
    return GuardrailResult(
        kind=rule.kind,
        name=rule.name,
        group=group,
        tolerance=rule.tolerance,
        control=None if control is None else control.value,
        treatment=None if treatment is None else treatment.value,
        harm=harm,
        low=low,
        high=high,
        verdict=verdict,
    )
