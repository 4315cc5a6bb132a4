"""The plan of an experiment: fixed before the first member enters, named by its hash, held to afterwards.

::

    {
      "schema": "timebank.attention.experiment.plan/1",
      "name": "recommender",
      "salt": "0x...",                     32 bytes; who knows them knows every assignment
      "planned_ms": 1789990000000,         when the plan was made, by the clock of who made it
      "backdated": false,                  true, and only then, if it starts before that
      "start_ms": 1790000000000,           nobody enters before
      "end_ms": null,                      or: nobody enters from then on, and the test may conclude
      "assignment": "hash",                or "external": somebody else's assignment, not recomputed
      "arms": [{"name": "control", "weight": 1}, {"name": "new", "weight": 1}],     the first is the control
      "metric": {"name": "replies", "kind": "mean", "better": "up", "baseline": 2.0, "spread": 3.0},
      "covariate": {"name": "replies_before", "correlation": 0.6},                  or null
      "method": "always-valid",            or "fixed": looked at once, at the horizon
      "alpha": 0.05, "power": 0.8,
      "minimal_effect": 0.2,               in the metric's unit
      "members_per_arm": [1530, 1530],     the horizon
      "burn_in": 50,                       members an arm has before its first look counts
      "guardrails": [
        {"kind": "gini", "name": "replies", "by": "cohort", "tolerance": 0.02},
        {"kind": "exposure", "name": "offer", "lowest": 0.25, "tolerance": 0.01},
        {"kind": "mean", "name": "posts", "better": "up", "tolerance": 0.1}
      ],
      "hash": "0x..."                      Keccak-256 of the rest, canonical JSON
    }

A rate's values are 0 and 1 and its ``spread`` follows from the baseline. With several treatments each is
compared with the control at ``alpha`` divided by their number (Bonferroni).

A plan whose start is past may have been made with the outcomes at hand: it says so of itself, and every
analysis says it again. The clock is the planner's own; publishing the hash before the start proves more.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from timebank_chain.attention.experiment.fields import Fields, short
from timebank_chain.documents import TooDeep, TooLarge, parse_json, read_small, write_whole
from timebank_chain.epoch.keccak import keccak
from timebank_chain.errors import AttentionError, UsageError
from timebank_chain.units import MAX_TIME_MS, format_time

SCHEMA = "timebank.attention.experiment.plan/1"
METHODS = ("always-valid", "fixed")
METRIC_KINDS = ("rate", "mean")
GUARDRAIL_KINDS = ("gini", "exposure", "mean")
MAX_ARMS = 16
MAX_GUARDRAILS = 32
MAX_WEIGHT = 1_000_000
MAX_MEMBERS = 1_000_000_000
DEFAULT_BURN_IN = 50

_MAX_FILE_BYTES = 65_536
_FIELDS = (
    "schema",
    "name",
    "salt",
    "planned_ms",
    "backdated",
    "start_ms",
    "end_ms",
    "assignment",
    "arms",
    "metric",
    "covariate",
    "method",
    "alpha",
    "power",
    "minimal_effect",
    "members_per_arm",
    "burn_in",
    "guardrails",
)


@dataclass(frozen=True, slots=True)
class Arm:
    """One way members are treated; ``weight`` is its share against the other arms' weights."""

    name: str
    weight: int


@dataclass(frozen=True, slots=True)
class Metric:
    """What decides: a column of the log, one finished value a member.

    Attributes
    ----------
    kind
        ``rate`` (0 or 1) or ``mean``.
    better
        ``up`` or ``down``.
    baseline, spread
        Expected mean and standard deviation under control, in the column's unit.
    """

    name: str
    kind: str
    better: str
    baseline: float
    spread: float


@dataclass(frozen=True, slots=True)
class Covariate:
    """A column measured before the experiment, and its expected correlation with the metric."""

    name: str
    correlation: float


@dataclass(frozen=True, slots=True)
class Guardrail:
    """What a treatment may not harm by more than ``tolerance``.

    ``gini``: Gini index of column ``name`` among an arm's members (and within each group of column ``by``);
    ``exposure``: share of what is shown that goes to the least shown ``lowest`` of the offers (column
    ``name`` of the exposures); ``mean``: mean of column ``name``, ``better`` up or down.
    """

    kind: str
    name: str
    tolerance: float
    by: str | None = None
    lowest: float | None = None
    better: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """An experiment as it was planned; see the module for the fields."""

    name: str
    salt: bytes
    planned_ms: int
    backdated: bool
    start_ms: int
    end_ms: int | None
    assignment: str
    arms: tuple[Arm, ...]
    metric: Metric
    covariate: Covariate | None
    method: str
    alpha: float
    power: float
    minimal_effect: float
    members_per_arm: tuple[int, ...]
    burn_in: int
    guardrails: tuple[Guardrail, ...]

    @property
    def comparisons(self) -> int:
        """How many treatments are compared with the control."""
        return len(self.arms) - 1

    @property
    def warning(self) -> str | None:
        """What must be said beside every result: that the plan is younger than its start."""
        if not self.backdated:
            return None
        return (
            f"BACKDATED: planned {format_time(self.planned_ms)}, after its start "
            f"{format_time(self.start_ms)}: whoever planned it may have known outcomes"
        )

    @property
    def level(self) -> float:
        """Error level of one comparison: ``alpha`` over their number."""
        return self.alpha / self.comparisons

    def to_json(self) -> dict[str, Any]:
        """Return the document, its hash last."""
        body = self._body()
        return {**body, "hash": "0x" + _hash(body).hex()}

    def hash(self) -> bytes:
        """Return the plan's name: Keccak-256 of its canonical JSON without ``hash``."""
        return _hash(self._body())

    def _body(self) -> dict[str, Any]:
        metric, covariate = self.metric, self.covariate
        return {
            "schema": SCHEMA,
            "name": self.name,
            "salt": "0x" + self.salt.hex(),
            "planned_ms": self.planned_ms,
            "backdated": self.backdated,
            "start_ms": self.start_ms,
            "end_ms": self.end_ms,
            "assignment": self.assignment,
            "arms": [{"name": arm.name, "weight": arm.weight} for arm in self.arms],
            "metric": {
                "name": metric.name,
                "kind": metric.kind,
                "better": metric.better,
                "baseline": metric.baseline,
                "spread": metric.spread,
            },
            "covariate": covariate
            and {
                "name": covariate.name,
                "correlation": covariate.correlation,
            },
            "method": self.method,
            "alpha": self.alpha,
            "power": self.power,
            "minimal_effect": self.minimal_effect,
            "members_per_arm": list(self.members_per_arm),
            "burn_in": self.burn_in,
            "guardrails": [_guardrail_json(one) for one in self.guardrails],
        }


def plan_from_json(text: str | bytes, *, where: str = "plan") -> Plan:
    """Return the plan a JSON document states.

    Raises
    ------
    AttentionError
        If it is not JSON, breaks a rule (the field is named), or does not have the hash it states.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        if len(set(names)) != len(names):
            raise AttentionError(f"a field stands twice in {sorted(names)}", where=where)
        return dict(pairs)

    def no_constant(name: str) -> None:
        raise ValueError(f"{name} is no JSON number")

    try:
        found = parse_json(text, object_pairs_hook=unique, parse_constant=no_constant)
    except TooDeep as error:
        raise AttentionError(str(error), where=where) from None
    except ValueError as error:
        raise AttentionError(f"not JSON: {error}", where=where) from None
    document = Fields(found, where, (*_FIELDS, "hash"))
    schema = document.value("schema")
    if schema != SCHEMA:
        raise AttentionError(
            f"schema is {short(schema)}, this version reads {SCHEMA}",
            hint="make the plan with `timebank attention experiment plan`",
            where=where,
        )
    plan = _plan(document, where)
    stated = document.value("hash")
    if stated != "0x" + plan.hash().hex():
        raise AttentionError(
            f"the plan was changed after it was made: its hash is 0x{plan.hash().hex()}, "
            f"it states {short(stated)}",
            hint="take the plan as it was; another plan is another experiment",
            where=f"{where}, field 'hash'",
        )
    return plan


def check_plan(plan: Plan) -> Plan:
    """Return the plan as its document reads back, so that a made plan obeys the rules of a read one.

    Raises
    ------
    UsageError
        If it breaks a rule.
    """
    try:
        return plan_from_json(json.dumps(plan.to_json(), allow_nan=False))
    except AttentionError as error:
        raise UsageError(str(error), hint=error.hint) from None
    except ValueError as error:
        raise UsageError(f"a number of the plan is not finite: {error}") from None


def read_plan(path: Path) -> Plan:
    """Read a plan's file.

    Raises
    ------
    AttentionError
        If it cannot be read or is no plan.
    """
    try:
        return plan_from_json(read_small(path, _MAX_FILE_BYTES), where=str(path))
    except TooLarge as error:
        raise AttentionError(f"not a plan: {error}", where=str(path)) from None
    except OSError as error:
        raise AttentionError(
            f"cannot read the plan: {error.strerror or error}",
            hint="make one: timebank attention experiment plan --help",
            where=str(path),
        ) from None


def write_plan(path: Path, plan: Plan, *, force: bool = False) -> None:
    """Write a plan's file, whole or not at all.

    Raises
    ------
    UsageError
        If another plan is there and ``force`` is not set, or the file cannot be written.
    """
    if path.exists() and not force:
        raise UsageError(f"{path} is there already", hint="choose another -o, or --force to plan anew")
    write_text(path, json.dumps(plan.to_json(), indent=2, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file in one step.

    Raises
    ------
    UsageError
        If it cannot be written.
    """
    try:
        write_whole(path, text, mode=0o644)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}", hint="choose another -o") from None


def _hash(body: dict[str, Any]) -> bytes:
    return keccak(json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode())


def _guardrail_json(one: Guardrail) -> dict[str, Any]:
    extra = {"by": one.by, "lowest": one.lowest, "better": one.better}
    return {
        "kind": one.kind,
        "name": one.name,
        "tolerance": one.tolerance,
        **{name: value for name, value in extra.items() if value is not None},
    }


def _plan(document: Fields, where: str) -> Plan:
    arms = tuple(_arm(one) for one in document.parts("arms", ("name", "weight"), 2, MAX_ARMS))
    names = [arm.name for arm in arms]
    if len(set(names)) != len(names):
        raise AttentionError("two arms have the same name", where=f"{where}, field 'arms'")
    start_ms = document.integer("start_ms", 0, MAX_TIME_MS)
    planned_ms = document.integer("planned_ms", 0, MAX_TIME_MS)
    backdated = document.flag("backdated")
    if backdated != (start_ms < planned_ms):
        raise AttentionError(
            f"it starts {format_time(start_ms)}, was planned {format_time(planned_ms)} and says "
            f"{'' if backdated else 'not '}to be backdated",
            hint="plan before it starts, or say --backdated: the plan and every analysis tell it",
            where=f"{where}, field 'backdated'",
        )
    end_ms = None
    if document.value("end_ms") is not None:
        end_ms = document.integer("end_ms", 0, MAX_TIME_MS)
        if end_ms <= start_ms:
            raise AttentionError("the end is not after the start", where=f"{where}, field 'end_ms'")
    metric = _metric(document.part("metric", ("name", "kind", "better", "baseline", "spread")))
    covariate = None
    if document.value("covariate") is not None:
        fields = document.part("covariate", ("name", "correlation"))
        covariate = Covariate(fields.column("name"), fields.number("correlation", -0.999, 0.999))
        if covariate.name == metric.name:
            raise AttentionError(
                "the covariate is the metric itself",
                hint="a covariate is measured before the experiment starts",
                where=fields.place("name"),
            )
    planned = document.value("members_per_arm")
    if not isinstance(planned, list) or len(planned) != len(arms):
        raise AttentionError(
            f"expected one number for each of {len(arms)} arms", where=document.place("members_per_arm")
        )
    return Plan(
        name=document.label("name"),
        salt=document.salt(),
        planned_ms=planned_ms,
        backdated=backdated,
        start_ms=start_ms,
        end_ms=end_ms,
        assignment=document.choice("assignment", ("hash", "external")),
        arms=arms,
        metric=metric,
        covariate=covariate,
        method=document.choice("method", METHODS),
        alpha=document.number("alpha", 1e-6, 0.5),
        power=document.number("power", 0.5, 0.9999),
        minimal_effect=document.number("minimal_effect", 1e-12, 1e15),
        members_per_arm=tuple(
            document.integer_value(one, "members_per_arm", 2, MAX_MEMBERS) for one in planned
        ),
        burn_in=document.integer("burn_in", 2, MAX_MEMBERS),
        guardrails=tuple(
            _guardrail(one)
            for one in document.parts(
                "guardrails",
                ("kind", "name", "tolerance"),
                0,
                MAX_GUARDRAILS,
                maybe=("by", "lowest", "better"),
            )
        ),
    )


def _arm(fields: Fields) -> Arm:
    return Arm(fields.label("name"), fields.integer("weight", 1, MAX_WEIGHT))


def _metric(fields: Fields) -> Metric:
    kind = fields.choice("kind", METRIC_KINDS)
    if kind == "rate":
        baseline = fields.number("baseline", 1e-9, 1 - 1e-9)
    else:
        baseline = fields.number("baseline", -1e15, 1e15)
    metric = Metric(
        name=fields.column("name"),
        kind=kind,
        better=fields.choice("better", ("up", "down")),
        baseline=baseline,
        spread=fields.number("spread", 1e-12, 1e15),
    )
    follows = math.sqrt(baseline * (1 - baseline)) if kind == "rate" else metric.spread
    if not math.isclose(metric.spread, follows, rel_tol=1e-9):
        raise AttentionError(
            f"a rate of {baseline} has a standard deviation of {follows}", where=fields.place("spread")
        )
    return metric


def _guardrail(fields: Fields) -> Guardrail:
    kind = fields.choice("kind", GUARDRAIL_KINDS)
    takes = {"gini": "by", "exposure": "lowest", "mean": "better"}[kind]
    for extra in {"by", "lowest", "better"} & fields.given() - {takes}:
        raise AttentionError(f"a guardrail of kind {kind} has no {extra!r}", where=fields.place(extra))
    given = takes in fields.given()
    if not given and takes != "by":
        raise AttentionError(f"a guardrail of kind {kind} needs {takes!r}", where=fields.place(takes))
    most = 1.0 if kind != "mean" else 1e15
    return Guardrail(
        kind=kind,
        name=fields.column("name", own=kind == "exposure"),
        tolerance=fields.number("tolerance", 0.0, most),
        by=fields.column("by") if kind == "gini" and given else None,
        lowest=fields.number("lowest", 0.001, 0.9) if kind == "exposure" else None,
        better=fields.choice("better", ("up", "down")) if kind == "mean" else None,
    )
