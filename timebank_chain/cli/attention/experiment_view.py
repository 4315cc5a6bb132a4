"""What experiments look like: tables for people, JSON values for programs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from timebank_chain.cli.output import out, print_table
from timebank_chain.units import format_time

if TYPE_CHECKING:
    from timebank_chain.attention.experiment.analyse import Analysis, FixedResult, TreatmentResult
    from timebank_chain.attention.experiment.design import Sizes
    from timebank_chain.attention.experiment.guardrails import GuardrailResult
    from timebank_chain.attention.experiment.off_policy import OffPolicyResult
    from timebank_chain.attention.experiment.plan import Plan

_NONE = "-"


def print_plan(plan: Plan, sizes: Sizes) -> None:
    """Print a plan, and what its alternatives would take."""
    metric = plan.metric
    print_table(
        f"{plan.name}: {metric.name}, {metric.kind} {metric.baseline:g}, {metric.better} is better",
        ["arm", ">weight", ">members"],
        [
            (arm.name, arm.weight, f"{count:,}")
            for arm, count in zip(plan.arms, plan.members_per_arm, strict=True)
        ],
    )
    console = out()
    console.print(
        f"smallest effect seen  {plan.minimal_effect:.6g} with power {plan.power:g}, alpha {plan.alpha:g}"
    )
    console.print(f"method                {plan.method}")
    console.print(f"planned               {format_time(plan.planned_ms)}")
    console.print(f"starts                {format_time(plan.start_ms)}")
    if plan.warning is not None:
        console.print(f"warning: {plan.warning}", markup=False)
    if plan.end_ms is not None:
        console.print(f"ends                  {format_time(plan.end_ms)}")
    console.print(
        f"for the same effect   {_members(sizes.fixed)} members looked at once, "
        f"at most {_members(sizes.always_valid)} looked at as often as wanted"
    )
    if plan.covariate is not None:
        console.print(f"without the covariate {_members(sizes.without_covariate)} members")
    console.print(f"hash                  0x{plan.hash().hex()}")


def _members(count: int | None) -> str:
    return "too many" if count is None else f"{count:,}"


def analysis_document(found: Analysis) -> dict[str, Any]:
    """Return an analysis as JSON values; days count from 1, numbers that are not finite are null."""
    return {
        "plan_hash": "0x" + found.plan.hash().hex(),
        "planned_ms": found.plan.planned_ms,
        "backdated": found.plan.backdated,
        "warnings": [] if found.plan.warning is None else [found.plan.warning],
        "method": found.plan.method,
        "metric": found.plan.metric.name,
        "members": found.members,
        "days": found.days,
        "sample_ratio_p": found.ratio_p,
        "covariate_balance_p": found.covariate_p,
        "members_without_covariate": found.without_covariate,
        "horizon_day": _day(found.horizon_day),
        "notes": list(found.notes),
        "treatments": [_treatment_document(one) for one in found.treatments],
    }


def print_analysis(found: Analysis) -> None:
    """Print an analysis: verdict first, then the numbers behind it."""
    plan = found.plan
    console = out()
    if plan.warning is not None:
        console.print(f"warning: {plan.warning}", markup=False)
    for one in found.treatments:
        console.print(f"{one.arm} against {plan.arms[0].name}: {one.verdict.upper()}", markup=False)
        for reason in one.reasons:
            console.print(f"  {reason}", markup=False)
    for note in found.notes:
        console.print(f"note: {note}", markup=False)
    unplanned = "; not planned, for information"
    fixed = plan.method == "fixed"
    print_table(
        f"{plan.name}: {plan.metric.name} over {found.days} days, {sum(found.members.values()):,} members"
        + (unplanned if fixed else ""),
        [
            "treatment",
            ">control",
            ">treatment",
            ">effect",
            ">always-valid interval",
            ">p",
            ">would decide on day" if fixed else ">decided on day",
        ],
        [
            (
                one.arm,
                f"{one.control_mean:.6g}",
                f"{one.treatment_mean:.6g}",
                f"{one.looks.effect[-1]:+.6g}",
                _interval(float(one.looks.low[-1]), float(one.looks.high[-1])),
                f"{one.looks.p[-1]:.3g}",
                _day(one.decided_day) or _NONE,
            )
            for one in found.treatments
        ],
    )
    print_table(
        "Fixed test at the horizon" + ("" if fixed else unplanned),
        ["treatment", ">day", ">members", ">effect", ">interval", ">p", "significant", ">alarms before"],
        [(one.arm, *_fixed_cells(one.fixed), len(one.alarms)) for one in found.treatments],
    )
    guardrails = [(one.arm, rule) for one in found.treatments for rule in one.guardrails]
    if guardrails:
        print_table(
            "Guardrails: harm is positive",
            [
                "treatment",
                "guardrail",
                "group",
                ">control",
                ">treatment",
                ">harm",
                ">interval",
                ">allowed",
                "",
            ],
            [(arm, *_guardrail_cells(rule)) for arm, rule in guardrails],
        )
    ratio = "too few members to tell" if found.ratio_p is None else f"p = {found.ratio_p:.3g}"
    console.print(f"sample ratio fits the weights: {ratio}", markup=False)
    for one in found.treatments:
        if one.variance_reduction is not None:
            console.print(
                f"the covariate takes {one.variance_reduction:.1%} of the variance of {one.arm}'s effect away"
                + (f"; {found.without_covariate:,} members have none" if found.without_covariate else ""),
                markup=False,
            )


def off_policy_document(found: OffPolicyResult, alpha: float) -> dict[str, Any]:
    """Return off-policy estimates as JSON values."""
    return {
        "rows": found.rows,
        "alpha": alpha,
        "logged": {"mean": found.logged_mean, "error": found.logged_error},
        "effective_rows": found.effective_rows,
        "mean_weight": found.mean_weight,
        "mean_weight_error": found.mean_weight_error,
        "largest_weight": found.largest_weight,
        "clip": found.clip,
        "clipped_rows": found.clipped_rows,
        "unseen_mass": found.unseen_mass,
        "estimates": {
            one.name: {
                "value": one.value,
                "error": one.error,
                "normal": [one.low, one.high],
                "bootstrap": [one.bootstrap_low, one.bootstrap_high],
                "clip_bias": one.clip_bias,
            }
            for one in found.estimates
        },
        "warnings": list(found.warnings),
    }


def print_off_policy(found: OffPolicyResult, alpha: float) -> None:
    """Print off-policy estimates and how far to trust them."""
    sure = f"{1 - alpha:.4g}"
    print_table(
        f"Value of the policy, from {found.rows:,} rows of another's log",
        ["estimator", ">value", ">error", f">normal {sure}", f">bootstrap {sure}", ">bias by clipping"],
        [
            (
                one.name.upper(),
                f"{one.value:.6g}",
                f"{one.error:.3g}",
                _interval(one.low, one.high),
                _interval(one.bootstrap_low, one.bootstrap_high),
                _NONE if found.clip is None else f"{one.clip_bias:+.3g}",
            )
            for one in found.estimates
        ],
    )
    console = out()
    console.print(
        f"the log's own policy earned {found.logged_mean:.6g} +- {found.logged_error:.3g}", markup=False
    )
    console.print(
        f"effective rows {found.effective_rows:,.1f}; weights: mean {found.mean_weight:.4g} "
        f"+- {found.mean_weight_error:.2g}, largest {found.largest_weight:.4g}",
        markup=False,
    )
    for warning in found.warnings:
        console.print(f"warning: {warning}", markup=False)


def _treatment_document(one: TreatmentResult) -> dict[str, Any]:
    looks = one.looks
    return {
        "arm": one.arm,
        "verdict": one.verdict,
        "reasons": list(one.reasons),
        "significant": one.significant,
        "control_mean": one.control_mean,
        "treatment_mean": one.treatment_mean,
        "effect": _number(float(looks.effect[-1])),
        "always_valid": {
            "low": _number(float(looks.low[-1])),
            "high": _number(float(looks.high[-1])),
            "p": _number(float(looks.p[-1])),
            "decided_day": _day(one.decided_day),
        },
        "fixed": None if one.fixed is None else _fixed_document(one.fixed),
        "daily_fixed_alarms": [
            {"day": alarm.day + 1, "effect": alarm.effect, "p": alarm.p} for alarm in one.alarms
        ],
        "daily_fixed_alarms_false": one.false_alarms,
        "variance_reduction": one.variance_reduction,
        "guardrails": [_guardrail_document(rule) for rule in one.guardrails],
        "looks": [
            {
                "day": day + 1,
                "members": int(looks.members[day]),
                "effect": _number(float(looks.effect[day])),
                "low": _number(float(looks.low[day])),
                "high": _number(float(looks.high[day])),
                "p": _number(float(looks.p[day])),
                "fixed_p": _number(float(looks.fixed_p[day])),
            }
            for day in range(len(looks.effect))
        ],
    }


def _fixed_document(fixed: FixedResult) -> dict[str, Any]:
    return {
        "day": fixed.day + 1,
        "members": fixed.members,
        "effect": fixed.effect,
        "low": fixed.low,
        "high": fixed.high,
        "p": fixed.p,
        "significant": fixed.significant,
    }


def _guardrail_document(rule: GuardrailResult) -> dict[str, Any]:
    return {
        "kind": rule.kind,
        "name": rule.name,
        "group": rule.group,
        "control": rule.control,
        "treatment": rule.treatment,
        "harm": rule.harm,
        "low": rule.low,
        "high": rule.high,
        "tolerance": rule.tolerance,
        "verdict": rule.verdict,
    }


def _fixed_cells(fixed: FixedResult | None) -> tuple[object, ...]:
    if fixed is None:
        return (_NONE, _NONE, _NONE, _NONE, _NONE, "horizon not reached")
    return (
        fixed.day + 1,
        f"{fixed.members:,}",
        f"{fixed.effect:+.6g}",
        _interval(fixed.low, fixed.high),
        f"{fixed.p:.3g}",
        "yes" if fixed.significant else "no",
    )


def _guardrail_cells(rule: GuardrailResult) -> tuple[object, ...]:
    def cell(value: float | None, form: str) -> str:
        return _NONE if value is None else format(value, form)

    interval = _NONE if rule.low is None or rule.high is None else _interval(rule.low, rule.high)
    return (
        f"{rule.kind} of {rule.name}",
        rule.group if rule.group is not None else _NONE,
        cell(rule.control, ".4f"),
        cell(rule.treatment, ".4f"),
        cell(rule.harm, "+.4f"),
        interval,
        f"{rule.tolerance:g}",
        rule.verdict,
    )


def _interval(low: float, high: float) -> str:
    if not math.isfinite(low):
        return "not yet"
    return f"[{low:+.4g}, {high:+.4g}]"


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _day(day: int | None) -> int | None:
    return None if day is None else day + 1
