"""The log of an experiment, held against its plan before anything is concluded from it.

One row a member: ``member, arm, at`` and the plan's columns. ``at`` is when the member's outcome was
complete; what a member does over a week is summed up before, because values that still change belong to no
look. What was shown is a second file, one row an exposure: ``member`` and the guardrail's column.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from timebank_chain.attention.experiment.assign import assign_many
from timebank_chain.attention.experiment.columns import Columns, read_columns
from timebank_chain.attention.experiment.plan import Plan
from timebank_chain.errors import AttentionError, UsageError
from timebank_chain.units import format_time

DAY_MS = 86_400_000
#: A longer experiment is another one.
MAX_DAYS = 3_660


@dataclass(frozen=True, slots=True)
class OutcomeLog:
    """Outcomes of an experiment's members; arrays of shape (members,), rows as in the file.

    Attributes
    ----------
    arm
        Number of the member's arm in the plan.
    day
        Whole days since the plan's start.
    last_ms
        Time of the newest outcome.
    outcome
        The metric.
    covariate
        The pre-period covariate, NaN where a member has none; ``None`` if the plan has none.
    numbers, groups
        The guardrails' columns: numbers, and texts to group by.
    """

    member: list[str]
    arm: NDArray[np.int64]
    day: NDArray[np.int64]
    last_ms: int
    outcome: NDArray[np.float64]
    covariate: NDArray[np.float64] | None
    numbers: dict[str, NDArray[np.float64]]
    groups: dict[str, list[str]]

    def counts(self, arms: int) -> NDArray[np.int64]:
        """Return the members of each of ``arms`` arms."""
        return np.bincount(self.arm, minlength=arms).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Exposures:
    """What was shown; arrays of shape (exposures,): the row of the log whose member saw it, and its offer."""

    member_row: NDArray[np.int64]
    offer: NDArray[np.int64]
    offers: list[str]


def read_log(path: Path, plan: Plan) -> OutcomeLog:
    """Read a log and check that it is one of this plan.

    Raises
    ------
    AttentionError
        If a column or value is missing or no number, an arm is unknown, a member is in two arms, twice in
        one, in another than the plan assigns, or outside the plan's time; file, line and field are named.
    """
    table = read_columns(path)
    metric = plan.metric
    numeric = {one.name for one in plan.guardrails if one.kind in ("gini", "mean")}
    grouping = {one.by for one in plan.guardrails if one.by is not None}
    needed = ["member", "arm", "at", metric.name, *(() if plan.covariate is None else (plan.covariate.name,))]
    table.require([*needed, *sorted((numeric | grouping) - set(needed))], what="this plan's log")
    member = table.text("member")
    arm = _arms(table, plan)
    _one_row_each(table, member, arm, plan)
    _as_assigned(table, member, arm, plan)
    at = table.times("at")
    _within(table, at, plan)
    day = (at - plan.start_ms) // DAY_MS
    if int(day.max()) >= MAX_DAYS:
        row = int(day.argmax())
        raise AttentionError(f"more than {MAX_DAYS} days after the start", where=table.place(row, "at"))
    outcome = table.numbers(metric.name)
    if metric.kind == "rate":
        _check(table, metric.name, (outcome == 0) | (outcome == 1), "a rate's values are 0 and 1")
    covariate = None
    if plan.covariate is not None:
        covariate = table.numbers(plan.covariate.name, empty=np.nan)
    numbers = {name: table.numbers(name) for name in sorted(numeric)}
    for one in plan.guardrails:
        if one.kind == "gini":
            _check(table, one.name, numbers[one.name] >= 0, "a Gini index is of amounts, not negative ones")
    return OutcomeLog(
        member=member,
        arm=arm,
        day=day,
        last_ms=int(at.max()),
        outcome=outcome,
        covariate=covariate,
        numbers=numbers,
        groups={name: table.text(name) for name in sorted(grouping)},
    )


def read_exposures(path: Path, column: str, log: OutcomeLog) -> Exposures:
    """Read what was shown to the members of a log.

    Raises
    ------
    AttentionError
        If a column or value is missing, or a member is not in the log.
    """
    table = read_columns(path)
    table.require(["member", column], what="the exposures' file")
    rows = {name: row for row, name in enumerate(log.member)}
    member_row = np.empty(len(table), dtype=np.int64)
    for row, name in enumerate(table.text("member")):
        found = rows.get(name)
        if found is None:
            raise AttentionError(
                f"member {name[:60]!r} is not in the log",
                hint="give the exposures of the experiment's members only",
                where=table.place(row, "member"),
            )
        member_row[row] = found
    offers, offer = np.unique(np.array(table.text(column)), return_inverse=True)
    return Exposures(member_row, offer.astype(np.int64), [str(one) for one in offers])


def read_members(path: Path) -> list[str]:
    """Read the column ``member`` of a file; each may stand once.

    Raises
    ------
    AttentionError
        If the column is missing, a cell is empty, or a member stands twice.
    """
    table = read_columns(path)
    table.require(["member"], what="assignment")
    members = table.text("member")
    first: dict[str, int] = {}
    for row, name in enumerate(members):
        if first.setdefault(name, row) != row:
            raise AttentionError(
                f"member {name[:60]!r} stands in line {table.lines[first[name]]} already",
                where=table.place(row, "member"),
            )
    return members


def require_exposures(plan: Plan, given: Path | None) -> str | None:
    """Return the column of exposures the plan's guardrails need, or ``None``.

    Raises
    ------
    UsageError
        If exposures are needed and not given, given and not needed, or needed by two names.
    """
    names = sorted({one.name for one in plan.guardrails if one.kind == "exposure"})
    if len(names) > 1:
        raise UsageError(f"the plan's guardrails name {len(names)} columns of exposures: {', '.join(names)}")
    if names and given is None:
        raise UsageError(
            "the plan has a guardrail on exposure", hint=f"add --exposures FILE (columns: member, {names[0]})"
        )
    if not names and given is not None:
        raise UsageError("the plan has no guardrail on exposure", hint="leave --exposures out")
    return names[0] if names else None


def _arms(table: Columns, plan: Plan) -> NDArray[np.int64]:
    numbers = {arm.name: number for number, arm in enumerate(plan.arms)}
    found = np.empty(len(table), dtype=np.int64)
    for row, name in enumerate(table.text("arm")):
        if name not in numbers:
            raise AttentionError(
                f"arm {name[:60]!r} is none of the plan's",
                hint=f"the plan {plan.name} has {', '.join(numbers)}",
                where=table.place(row, "arm"),
            )
        found[row] = numbers[name]
    return found


def _one_row_each(table: Columns, member: list[str], arm: NDArray[np.int64], plan: Plan) -> None:
    first: dict[str, int] = {}
    for row, name in enumerate(member):
        before = first.setdefault(name, row)
        if before == row:
            continue
        line = table.lines[before]
        if arm[before] != arm[row]:
            arms = f"{plan.arms[arm[before]].name} (line {line}) and {plan.arms[arm[row]].name}"
            raise AttentionError(
                f"member {name[:60]!r} is in two arms: {arms}",
                hint="who saw both tells nothing of either: find out how it happened, do not pick one",
                where=table.place(row, "arm"),
            )
        raise AttentionError(
            f"member {name[:60]!r} stands in line {line} already",
            hint="one row a member: sum up what a member did before",
            where=table.place(row, "member"),
        )


def _as_assigned(table: Columns, member: list[str], arm: NDArray[np.int64], plan: Plan) -> None:
    if plan.assignment != "hash":
        return
    for row, name in enumerate(assign_many(plan, member)):
        logged = plan.arms[arm[row]].name
        if logged != name:
            raise AttentionError(
                f"member {member[row][:60]!r} is logged in arm {logged}, the plan assigns {name}",
                hint="take the arm from `timebank attention experiment assign`; if another system assigns, "
                "plan with --external-assignment",
                where=table.place(row, "arm"),
            )


def _within(table: Columns, at: NDArray[np.int64], plan: Plan) -> None:
    before = np.flatnonzero(at < plan.start_ms)
    if before.size:
        row = int(before[0])
        raise AttentionError(
            f"{format_time(int(at[row]))} is before the experiment's start, {format_time(plan.start_ms)}",
            where=table.place(row, "at"),
        )
    after = np.flatnonzero(at >= plan.end_ms) if plan.end_ms is not None else before
    if after.size:
        row = int(after[0])
        raise AttentionError(
            f"{format_time(int(at[row]))} is not before the experiment's end, "
            f"{format_time(plan.end_ms or 0)}",
            where=table.place(row, "at"),
        )


def _check(table: Columns, name: str, fine: NDArray[np.bool_], rule: str) -> None:
    wrong = np.flatnonzero(~fine)
    if wrong.size:
        row = int(wrong[0])
        raise AttentionError(f"{table.cells[name][row][:60]!r}: {rule}", where=table.place(row, name))
