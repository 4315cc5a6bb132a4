"""From what somebody wants to know to a plan: the power calculation decides the horizon."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from timebank_chain.attention.experiment.plan import (
    MAX_MEMBERS,
    Arm,
    Covariate,
    Guardrail,
    Metric,
    Plan,
    check_plan,
)
from timebank_chain.attention.experiment.power import Design, detectable_effect, members_needed
from timebank_chain.errors import UsageError
from timebank_chain.units import format_time


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked; see :class:`~timebank_chain.attention.experiment.plan.Plan` for the fields' meaning.

    Exactly one of ``effect`` (absolute, in the metric's unit) and ``members`` (of all arms) is given; the
    other is computed.
    """

    name: str
    salt: bytes
    planned_ms: int
    backdated: bool
    start_ms: int
    end_ms: int | None
    external: bool
    arms: tuple[Arm, ...]
    metric: Metric
    covariate: Covariate | None
    method: str
    alpha: float
    power: float
    effect: float | None
    members: int | None
    burn_in: int
    guardrails: tuple[Guardrail, ...]


@dataclass(frozen=True, slots=True)
class Sizes:
    """A plan's members beside those of its alternatives, all arms together.

    ``fixed`` without a look before the horizon, ``always_valid`` with as many as wanted,
    ``without_covariate`` by the plan's own method (``None`` if it has no covariate). ``None`` too where it
    would take more members than can be planned with.
    """

    planned: int
    fixed: int | None
    always_valid: int | None
    without_covariate: int | None


def make_plan(question: Question) -> Plan:
    """Plan an experiment.

    Raises
    ------
    UsageError
        If a number is out of range, or no number of members answers the question.
    """
    if (question.effect is None) == (question.members is None):
        raise UsageError(
            "say either the smallest effect worth seeing or how many members there are",
            hint="one of --effect and --members; the other is computed",
        )
    if question.start_ms < question.planned_ms and not question.backdated:
        raise UsageError(
            f"the start, {format_time(question.start_ms)}, is past",
            hint="leave --start out, or say --backdated: the plan and every analysis will tell it",
        )
    if question.backdated and question.start_ms >= question.planned_ms:
        raise UsageError("the start is not past: there is nothing backdated", hint="leave --backdated out")
    # A plan that breaks a rule must not reach the power calculation, which would fail less clearly.
    draft = check_plan(_plan(question, 1.0 if question.effect is None else question.effect, None))
    design = design_of(draft)
    if question.members is None:
        sizes = members_needed(design, draft.minimal_effect)
        return check_plan(_plan(question, draft.minimal_effect, sizes))
    total = sum(arm.weight for arm in question.arms)
    sizes = tuple(question.members * arm.weight // total for arm in question.arms)
    if max(sizes) > MAX_MEMBERS:
        raise UsageError(
            f"{question.members} members give an arm more than {MAX_MEMBERS:,}", hint="give fewer --members"
        )
    if min(sizes) < 2:
        raise UsageError(f"{question.members} members give an arm less than two", hint="give more --members")
    return check_plan(_plan(question, detectable_effect(design, sizes), sizes))


def design_of(plan: Plan, *, method: str | None = None, covariate: bool = True) -> Design:
    """Return what the power calculation of a plan starts from, by its own or another method."""
    used = plan.covariate if covariate else None
    return Design(
        kind=plan.metric.kind,
        baseline=plan.metric.baseline,
        spread=plan.metric.spread,
        direction=1 if plan.metric.better == "up" else -1,
        weights=tuple(arm.weight for arm in plan.arms),
        level=plan.level,
        power=plan.power,
        correlation=0.0 if used is None else used.correlation,
        always_valid=(method or plan.method) == "always-valid",
    )


def compare_sizes(plan: Plan) -> Sizes:
    """Return the members of a plan beside those the other ways would take for the same effect."""

    def needed(**changes: str | bool) -> int | None:
        design = design_of(plan, **changes)  # type: ignore[arg-type]  # names and types are those below
        try:
            return sum(members_needed(design, plan.minimal_effect))
        except UsageError:
            # The plan stands; only this way of doing it differently does not.
            return None

    return Sizes(
        planned=sum(plan.members_per_arm),
        fixed=needed(method="fixed"),
        always_valid=needed(method="always-valid"),
        without_covariate=None if plan.covariate is None else needed(covariate=False),
    )


def rate_spread(baseline: float) -> float:
    """Return the standard deviation of a rate's values."""
    if not 0 < baseline < 1:
        raise UsageError(f"a rate of {baseline:g} is none", hint="a --baseline between 0 and 1")
    return math.sqrt(baseline * (1 - baseline))


def _plan(question: Question, effect: float, members: Sequence[int] | None) -> Plan:
    return Plan(
        name=question.name,
        salt=question.salt,
        planned_ms=question.planned_ms,
        backdated=question.backdated,
        start_ms=question.start_ms,
        end_ms=question.end_ms,
        assignment="external" if question.external else "hash",
        arms=question.arms,
        metric=question.metric,
        covariate=question.covariate,
        method=question.method,
        alpha=question.alpha,
        power=question.power,
        minimal_effect=effect,
        members_per_arm=tuple(members) if members is not None else (2,) * len(question.arms),
        burn_in=question.burn_in,
        guardrails=question.guardrails,
    )
