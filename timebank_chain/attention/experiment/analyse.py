"""What an experiment says: whether it may be believed, what each treatment did, and whether to ship it.

It is not believed, and nothing is concluded, if the arms' sizes do not fit the plan's weights (sample-ratio
mismatch: chi-square, p below 0.001; A. Fabijan et al., KDD 2019) or if the covariate, which was measured
before anybody was treated, differs between the arms as much.

A *fixed* analysis looks at the horizon: the first day at whose end every arm has its planned members, or
the planned end. Earlier it says to wait; members who came later do not count. An *always-valid* one may
conclude at any day. Both are computed whatever the plan says; the plan's own decides.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from timebank_chain.attention.experiment.guardrails import GuardrailResult, check_guardrail
from timebank_chain.attention.experiment.log import Exposures, OutcomeLog
from timebank_chain.attention.experiment.looks import Looks, compare, sums_by_look
from timebank_chain.attention.experiment.plan import Plan
from timebank_chain.attention.experiment.sequence import boundary
from timebank_chain.attention.extra import need
from timebank_chain.errors import AttentionError, CheckFailed

#: Below this a mismatch is no accident; so far below 5% because it is looked at often.
MISMATCH_P = 0.001
#: Chi-square is not to be trusted where fewer members than this are expected.
_LEAST_EXPECTED = 5.0
#: The z-test of rates errs a little more often than it says below so many successes or failures.
_FEW_SUCCESSES = 30
#: What no covariate from before leaves unexplained so little of.
_COPY = 1e-9

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FixedResult:
    """A fixed test at the horizon: day it is reached (from 0), members, effect, interval and p-value."""

    day: int
    members: int
    effect: float
    low: float
    high: float
    p: float
    significant: bool


@dataclass(frozen=True, slots=True)
class DailyAlarm:
    """A day at which a fixed test, looked at then as if it were the only look, would have said yes."""

    day: int
    effect: float
    p: float


@dataclass(frozen=True, slots=True)
class TreatmentResult:
    """One treatment against the control.

    Attributes
    ----------
    looks
        Every day; its last one is the state of things.
    decided_day
        First day at which the confidence sequence leaves out zero, from 0; ``None`` if none does.
    fixed
        The test at the horizon, ``None`` before it.
    alarms
        What daily looks with a fixed test would have said before the horizon.
    false_alarms
        Whether those alarms are not borne out by the plan's method.
    variance_reduction
        Part of the effect's variance the covariate took away; ``None`` without one.
    verdict
        ``ship``, ``do not ship``, ``hold``, ``no difference shown`` or ``wait``.
    """

    arm: str
    looks: Looks
    control_mean: float
    treatment_mean: float
    decided_day: int | None
    fixed: FixedResult | None
    alarms: tuple[DailyAlarm, ...]
    false_alarms: bool
    variance_reduction: float | None
    guardrails: tuple[GuardrailResult, ...]
    significant: bool
    verdict: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Analysis:
    """An experiment's result; ``ratio_p`` is ``None`` if too few members came to tell.

    ``notes`` say what a reader should know of the columns, and what changes no figure.
    """

    plan: Plan
    members: dict[str, int]
    days: int
    ratio_p: float | None
    covariate_p: float | None
    without_covariate: int
    horizon_day: int | None
    treatments: tuple[TreatmentResult, ...]
    notes: tuple[str, ...] = ()


def analyse(plan: Plan, log: OutcomeLog, exposures: Exposures | None = None, *, now_ms: int = 0) -> Analysis:
    """Analyse a log that fits its plan.

    Parameters
    ----------
    now_ms
        Time of the analysis, Unix milliseconds: at the plan's end or later the horizon is reached.

    Raises
    ------
    CheckFailed
        If the arms' sizes or the covariate say that the assignment is broken; nothing is concluded then.
    AttentionError
        If an arm has less than two members, the metric never varies, or the covariate is the metric.
    """
    counts = log.counts(len(plan.arms))
    sizes = {arm.name: int(count) for arm, count in zip(plan.arms, counts, strict=True)}
    ratio_p = check_ratio(plan, counts)
    for name, count in sizes.items():
        if count < 2:
            raise AttentionError(f"arm {name} has {count} members", hint="wait until both arms have some")
    if np.ptp(log.outcome) == 0:
        raise AttentionError(
            f"the metric {plan.metric.name!r} is {log.outcome[0]:g} for every member: nothing to compare",
            hint="look at how it is recorded",
        )
    covariate, missing = _filled(log)
    covariate_p = None
    if covariate is not None:
        _check_no_copy(plan, log, covariate)
        covariate_p = _check_balance(plan, log, covariate)
    days = int(log.day.max()) + 1
    horizon = _horizon_day(plan, log, days, now_ms)
    outcome = log.outcome
    if plan.metric.kind == "mean" or covariate is not None:
        # From the middle of the values squares keep their digits; differences do not change.
        outcome = outcome - outcome.mean()
    sums = sums_by_look(
        log.arm,
        log.day,
        outcome,
        None if covariate is None else covariate - covariate.mean(),
        arms=len(plan.arms),
        looks=days,
    )
    treatments = []
    for number in range(1, len(plan.arms)):
        planned = float(plan.members_per_arm[0] + plan.members_per_arm[number])
        looks = compare(
            sums,
            number,
            kind=plan.metric.kind,
            planned=planned,
            level=plan.level,
            burn_in=plan.burn_in,
        )
        treatments.append(_treatment(plan, log, covariate, exposures, number, looks, horizon, planned))
    return Analysis(
        plan=plan,
        members=sizes,
        days=days,
        ratio_p=ratio_p,
        covariate_p=covariate_p,
        without_covariate=missing,
        horizon_day=horizon,
        treatments=tuple(treatments),
        notes=_notes(plan, log),
    )


def check_ratio(plan: Plan, counts: NDArray[np.int64]) -> float | None:
    """Return the p-value of the arms' sizes under the plan's weights; ``None`` if too few members to tell.

    Raises
    ------
    CheckFailed
        If it is below ``MISMATCH_P``.
    """
    stats = need("scipy.stats")
    weights = np.array([arm.weight for arm in plan.arms], dtype=np.float64)
    expected = weights / weights.sum() * counts.sum()
    if expected.min() < _LEAST_EXPECTED:
        if len(plan.arms) > 2:
            return None
        found = float(stats.binomtest(int(counts[0]), int(counts.sum()), weights[0] / weights.sum()).pvalue)
    else:
        found = float(stats.chisquare(counts, expected).pvalue)
    if found < MISMATCH_P:
        told = ", ".join(
            f"{arm.name} has {count:,} (expected {share:,.0f})"
            for arm, count, share in zip(plan.arms, counts, expected, strict=True)
        )
        raise CheckFailed(
            f"sample-ratio mismatch, p = {found:.2g}: {told}; nothing is concluded",
            hint="find out whom the log lost (redirects, crashes, bots, late joins), then run it anew",
        )
    return found


def _filled(log: OutcomeLog) -> tuple[Floats | None, int]:
    """Give members without a covariate the mean of the others: their outcomes are left as they are."""
    if log.covariate is None:
        return None, 0
    there = ~np.isnan(log.covariate)
    missing = int((~there).sum())
    if missing == len(there):
        return np.zeros(len(there)), missing
    return np.where(there, log.covariate, log.covariate[there].mean()), missing


def _notes(plan: Plan, log: OutcomeLog) -> tuple[str, ...]:
    if plan.covariate is None or log.covariate is None:
        return ()
    there = log.covariate[~np.isnan(log.covariate)]
    name = plan.covariate.name
    if not len(there):
        return (f"no member has the covariate {name!r}: it takes no variance away",)
    if np.ptp(there) == 0:
        return (f"the covariate {name!r} is {there[0]:g} for every member: it takes no variance away",)
    return ()


def _check_no_copy(plan: Plan, log: OutcomeLog, covariate: Floats) -> None:
    """Refuse a covariate that is the metric under another name: adjusted by it nothing would be left."""
    if np.ptp(covariate) == 0:
        return
    deviations = []
    for values in (log.outcome, covariate):
        means = np.bincount(log.arm, weights=values) / np.maximum(np.bincount(log.arm), 1)
        deviations.append(values - means[log.arm])
    size = float(np.linalg.norm(deviations[0]) * np.linalg.norm(deviations[1]))
    if size > 0 and abs(float(deviations[0] @ deviations[1])) > (1 - _COPY) * size:
        name = plan.covariate.name if plan.covariate is not None else ""
        raise AttentionError(
            f"the covariate {name!r} tells the metric {plan.metric.name!r} exactly: it is not older than it",
            hint="take a column measured before the experiment starts",
        )


def _check_balance(plan: Plan, log: OutcomeLog, covariate: Floats) -> float | None:
    if np.ptp(covariate) == 0:
        return None
    groups = [covariate[log.arm == number] for number in range(len(plan.arms))]
    with warnings.catch_warnings():
        # Arms whose values are all alike: scipy says so and gives NaN.
        warnings.simplefilter("ignore")
        found = float(need("scipy.stats").f_oneway(*groups).pvalue)
    if math.isnan(found):
        return None
    if found < MISMATCH_P:
        means = ", ".join(
            f"{arm.name} {group.mean():.6g}" for arm, group in zip(plan.arms, groups, strict=True)
        )
        name = plan.covariate.name if plan.covariate is not None else ""
        raise CheckFailed(
            f"the covariate {name!r} differs between the arms, p = {found:.2g} ({means}); "
            "nothing is concluded",
            hint="it must be measured before the experiment starts, and members assigned by the plan",
        )
    return found


def _horizon_day(plan: Plan, log: OutcomeLog, days: int, now_ms: int) -> int | None:
    """Return the day at whose end the fixed test looks; ``None`` before. Depends on no outcome."""
    upto = np.zeros((days, len(plan.arms)))
    np.add.at(upto, (log.day, log.arm), 1)
    full = (upto.cumsum(axis=0) >= np.array(plan.members_per_arm)).all(axis=1)
    if full.any():
        return int(full.argmax())
    return days - 1 if plan.end_ms is not None and now_ms >= plan.end_ms else None


def _treatment(
    plan: Plan,
    log: OutcomeLog,
    covariate: Floats | None,
    exposures: Exposures | None,
    number: int,
    looks: Looks,
    horizon: int | None,
    planned: float,
) -> TreatmentResult:
    fixed = None if horizon is None else _fixed(plan, log, covariate, number, looks, horizon)
    outside = np.flatnonzero((looks.low > 0) | (looks.high < 0))
    decided = int(outside[0]) if outside.size else None
    upto = len(looks.effect) if horizon is None else horizon
    alarms = tuple(
        DailyAlarm(day, float(looks.effect[day]), float(looks.fixed_p[day]))
        for day in range(upto)
        if looks.fixed_p[day] < plan.level
    )
    if plan.method == "fixed":
        significant = fixed is not None and fixed.significant
        effect = 0.0 if fixed is None else fixed.effect
        reach = float(need("scipy.stats").norm.isf(plan.level / 2)) if horizon is not None else math.inf
    else:
        significant = decided is not None
        effect = 0.0 if decided is None else float(looks.effect[decided])
        started = math.isfinite(float(looks.low[-1]))
        reach = float(boundary(looks.members[-1], planned, plan.level)) if started else math.inf
    guardrails = tuple(
        result for rule in plan.guardrails for result in check_guardrail(rule, log, number, exposures, reach)
    )
    better = significant and (effect > 0) == (plan.metric.better == "up")
    verdict, reasons = _verdict(plan, significant, better, guardrails, horizon)
    arm = plan.arms[number].name
    if alarms and not significant:
        first = alarms[0]
        reasons.append(
            f"a fixed test looked at every day would have said yes on {len(alarms)} days, first on day "
            f"{first.day + 1} (effect {first.effect:+.4g}, p = {first.p:.3g}); looking often does that"
        )
    if plan.metric.kind == "rate":
        successes = float(log.outcome[(log.arm == 0) | (log.arm == number)].sum())
        rest = float(looks.members[-1]) - successes
        if min(successes, rest) < _FEW_SUCCESSES:
            reasons.append(
                f"only {min(successes, rest):,.0f} {'successes' if successes < rest else 'failures'} so far: "
                "p-values and intervals are rough"
            )
    return TreatmentResult(
        arm=arm,
        looks=looks,
        control_mean=float(log.outcome[log.arm == 0].mean()),
        treatment_mean=float(log.outcome[log.arm == number].mean()),
        decided_day=decided,
        fixed=fixed,
        alarms=alarms,
        false_alarms=bool(alarms) and not significant,
        variance_reduction=_reduction(plan, log, covariate, number, looks),
        guardrails=guardrails,
        significant=significant,
        verdict=verdict,
        reasons=tuple(reasons),
    )


def _fixed(
    plan: Plan, log: OutcomeLog, covariate: Floats | None, number: int, looks: Looks, horizon: int
) -> FixedResult:
    """Test once, with the libraries' tests; rates have Newcombe's interval (1998), means their test's own.

    Newcombe's knows no continuity correction: at the margin the p-value decides.
    """
    within = log.day <= horizon
    values = log.outcome
    if covariate is not None:
        values = values - float(np.nan_to_num(looks.theta[horizon])) * (covariate - covariate.mean())
    control, treated = (values[within & (log.arm == arm)] for arm in (0, number))
    if min(len(control), len(treated)) < 2:
        raise AttentionError("an arm has less than two members at the horizon")
    if plan.metric.kind == "rate" and covariate is None:
        successes, sizes = (int(treated.sum()), int(control.sum())), (len(treated), len(control))
        if sum(successes) in (0, sum(sizes)):
            p = 1.0
        else:
            failures = (sizes[0] - successes[0], sizes[1] - successes[1])
            # Of two by two, chi-square is z squared.
            p = float(need("scipy.stats").chi2_contingency((successes, failures), correction=True).pvalue)
        with np.errstate(divide="ignore", invalid="ignore"):
            # It computes the ratio of rates on the way, which is not asked for and may be 0 / 0.
            low, high = need("statsmodels.stats.proportion").confint_proportions_2indep(
                successes[0], sizes[0], successes[1], sizes[1], method="newcomb", alpha=plan.level
            )
    elif np.ptp(control) == 0 and np.ptp(treated) == 0:
        raise AttentionError(
            f"the metric {plan.metric.name!r} does not vary within an arm: nothing can be tested"
        )
    else:
        stats = need("scipy.stats")
        with warnings.catch_warnings():
            # One arm may be constant: scipy warns of its variance, which the other's outweighs.
            warnings.simplefilter("ignore", RuntimeWarning)
            both = [stats.ttest_ind(treated, control, equal_var=alike) for alike in (False, True)]
        tested = max(both, key=lambda one: float(one.pvalue))
        p = float(tested.pvalue)
        low, high = tested.confidence_interval(1 - plan.level)
    return FixedResult(
        day=horizon,
        members=len(control) + len(treated),
        effect=float(treated.mean() - control.mean()),
        low=float(low),
        high=float(high),
        p=p,
        significant=p < plan.level,
    )


def _verdict(
    plan: Plan,
    significant: bool,
    better: bool,
    guardrails: tuple[GuardrailResult, ...],
    horizon: int | None,
) -> tuple[str, list[str]]:
    def named(verdict: str) -> list[str]:
        return [
            f"{one.kind} of {one.name}" + (f" in group {one.group}" if one.group is not None else "")
            for one in guardrails
            if one.verdict == verdict
        ]

    harmed, undecided = named("harmed"), named("undecided")
    how = "fixed test" if plan.method == "fixed" else "always-valid interval"
    reasons = []
    if harmed:
        reasons.append(f"guardrail harmed: {', '.join(harmed)}")
    if significant and not better:
        return "do not ship", [f"worse than the control ({how})", *reasons]
    if significant and harmed:
        return "do not ship", [f"better than the control ({how}), but not at this price", *reasons]
    if harmed:
        return "do not ship", [f"no difference from the control is shown ({how})", *reasons]
    if significant and undecided:
        return "hold", [
            f"better than the control ({how})",
            f"guardrail not shown to be kept: {', '.join(undecided)}",
        ]
    if significant:
        return "ship", [f"better than the control ({how}), every guardrail kept"]
    if horizon is None:
        return "wait", [f"not significant so far ({how}), and the planned horizon is not reached"]
    return "no difference shown", [f"not significant ({how}) at the planned horizon: no difference is shown"]


def _reduction(
    plan: Plan, log: OutcomeLog, covariate: Floats | None, number: int, looks: Looks
) -> float | None:
    if covariate is None:
        return None
    plain = sum(
        float(log.outcome[log.arm == arm].var(ddof=1)) / int((log.arm == arm).sum()) for arm in (0, number)
    )
    return 1.0 - float(looks.error[-1]) ** 2 / plain if plain > 0 else 0.0
