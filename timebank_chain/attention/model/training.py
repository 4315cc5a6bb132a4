"""From data to a model: refuse what leaks, choose on the past, rehearse on what came later, then deliver.

Rows in order of time are cut into three blocks::

    |---------------- choose ----------------|-- calibrate --|--- judge ---|
     blocks of time, each predicted from        intervals       measured once
     what was known before it

Rehearsal: the recipe chosen in the first block is fitted on it, its intervals are calibrated on the second,
and both are measured on the third. Delivery: the same recipe is fitted on the first two blocks and calibrated
on the third. So what is delivered knows the newest rows, and what the card says of it was measured on rows
that had no say in the choice.

Wherever one block ends and the next begins, rows whose window was still open at that moment are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from timebank_chain.attention.model.card import card_document
from timebank_chain.attention.model.dataset import Dataset, in_order, usable
from timebank_chain.attention.model.doubt import find_doubt
from timebank_chain.attention.model.evidence import (
    Validation,
    known_before,
    random_folds,
    time_folds,
    validate,
)
from timebank_chain.attention.model.frozen import FAMILIES, Frozen
from timebank_chain.attention.model.intervals import Intervals, calibrate
from timebank_chain.attention.model.leakage import find_leaks, refuse_leaks
from timebank_chain.attention.model.recipes import BASELINE_RECIPES, RECIPES, Recipe, fit
from timebank_chain.attention.model.trained import Learned, TrainedModel
from timebank_chain.errors import AttentionError, UsageError
from timebank_chain.units import format_time

#: Shares of the rows that calibrate and that judge.
CALIBRATE, JUDGE = 0.15, 0.15


@dataclass(frozen=True, slots=True)
class Plan:
    """What a training is asked to do.

    Parameters
    ----------
    seed
        Where chance starts.
    splits
        Blocks of time to choose on, 2 to 20.
    coverage
        Share of rows meant to lie in their interval.
    families
        Which of ``ridge``, ``boosting``, ``network`` take part; the baselines always do.
    trusted
        Columns let through although they look as if they knew the future.
    random_split
        Also score a random split: no evidence, for comparison with others' figures.
    """

    seed: int = 0
    splits: int = 5
    coverage: float = 0.9
    families: tuple[str, ...] = FAMILIES
    trusted: tuple[str, ...] = ()
    random_split: bool = False

    def __post_init__(self) -> None:
        unknown = set(self.families) - set(FAMILIES)
        if unknown or not self.families:
            raise UsageError(
                f"no such family of models: {', '.join(sorted(unknown)) or 'none'}",
                hint=f"use some of {', '.join(FAMILIES)}",
            )
        if not 2 <= self.splits <= 20:
            raise UsageError(f"{self.splits} blocks of time", hint="use 2 to 20")
        if not 0 <= self.seed <= 1_000_000:
            raise UsageError(f"a seed of {self.seed}", hint="use 0 to 1000000")

    @property
    def recipes(self) -> tuple[Recipe, ...]:
        """What is compared, in order of preference where errors are equal."""
        return (*(one for one in RECIPES if one.family in self.families), *BASELINE_RECIPES)


def train(
    data: Dataset,
    plan: Plan | None = None,
    *,
    where: str = "data",
    progress: Callable[[str], None] | None = None,
) -> TrainedModel:
    """Make a model.

    Parameters
    ----------
    data
        As read from a table or a dump; rows without a target are passed over.
    plan
        What to do.
    where
        What errors call the data.
    progress
        Told what is being done.

    Returns
    -------
    TrainedModel
        The same data, plan and libraries give the same model.

    Raises
    ------
    AttentionError
        If the data cannot be learned from, or are too few for the blocks.
    CheckFailed
        If a column looks as if it knew the future; it names the column.
    """
    plan = plan or Plan()
    tell = progress or (lambda _: None)
    if len(data) and not np.isfinite(data.target).any():
        raise AttentionError(
            f"none of the {len(data):,} rows has a known target",
            where=where,
            hint="collect longer, or take a shorter window",
        )
    rows = usable(in_order(data).labelled(), where=where)
    if np.ptp(rows.time_ms) == 0:
        raise AttentionError(
            f"all {len(rows):,} times are equal ({format_time(int(rows.time_ms[0]))}): nothing is later than "
            "anything else, so nothing can be judged",
            where=where,
            hint="name another column of times: --time, or say how they are written: --time-kind",
        )
    unknown = set(plan.trusted) - set(rows.names)
    if unknown:
        raise UsageError(f"there is no feature {min(unknown)!r} to trust", hint=", ".join(rows.names[:12]))
    tell(f"{len(rows):,} rows, {len(rows.features)} features; looking for columns that know the future")
    suspects = find_leaks(rows, seed=plan.seed)
    refuse_leaks(suspects, plan.trusted, where=where, task=rows.task)

    judged = int(len(rows) * (1 - JUDGE))
    calibrated = int(len(rows) * (1 - JUDGE - CALIBRATE))
    judge = rows.take(np.arange(judged, len(rows)))
    past = rows.take(known_before(rows, int(judge.time_ms[0])))
    choose = rows.take(known_before(rows, int(rows.time_ms[calibrated])))
    between = past.take(past.time_ms >= rows.time_ms[calibrated])
    folds = time_folds(choose, plan.splits)
    if not folds:
        raise AttentionError(
            f"{len(choose)} rows to choose on are too few for {plan.splits} blocks of time",
            where=where,
            hint="collect longer, take a shorter window, or fewer --splits",
        )
    validation = validate(choose, plan.recipes, folds, seed=plan.seed, progress=tell)
    recipe = validation.best()
    tell(f"chosen: {recipe.label}; rehearsing on what came later")
    frozen, intervals = _fit_and_calibrate(recipe, choose, between, plan)
    rehearsal = _model(rows, plan, recipe, frozen, intervals, choose, {}).judge(judge)
    doubt = find_doubt(rows, judge, frozen, rehearsal, validation.followed(), seed=plan.seed)
    tell("fitting it on everything but the newest block, calibrating on that")
    frozen, intervals = _fit_and_calibrate(recipe, past, judge, plan)
    random = None
    if plan.random_split:
        tell("a random split, for comparison only")
        random = _random(rows, plan)
    card = card_document(
        rows,
        recipe=recipe,
        validation=validation,
        rehearsal=rehearsal,
        intervals=intervals,
        suspects=suspects,
        trusted=plan.trusted,
        doubt=doubt,
        seed=plan.seed,
        splits=plan.splits,
        blocks={
            "choose": _span(choose),
            "calibrate": _span(between),
            "judge": _span(judge),
            "delivered_learned_from": _span(past),
        },
        random=random,
    )
    return _model(rows, plan, recipe, frozen, intervals, past, card)


def _fit_and_calibrate(
    recipe: Recipe, learn: Dataset, later: Dataset, plan: Plan
) -> tuple[Frozen, Intervals]:
    frozen = fit(recipe, learn, seed=plan.seed)
    return frozen, calibrate(later.target - frozen.predict(later.values, later.time_ms), plan.coverage)


def _model(
    rows: Dataset,
    plan: Plan,
    recipe: Recipe,
    frozen: Frozen,
    intervals: Intervals,
    learn: Dataset,
    card: dict[str, Any],
) -> TrainedModel:
    return TrainedModel(
        features=rows.features,
        task=rows.task,
        target_name=rows.target_name,
        transform=rows.transform,
        window_ms=rows.window_ms,
        recipe=recipe,
        frozen=frozen,
        baselines={one.family: fit(one, learn, seed=plan.seed) for one in BASELINE_RECIPES},
        intervals=intervals,
        learned=Learned(rows.name, rows.digest(), len(rows), int(rows.time_ms[0]), int(rows.time_ms[-1])),
        seed=plan.seed,
        card=card,
    )


def _random(rows: Dataset, plan: Plan) -> Validation:
    return validate(rows, plan.recipes, random_folds(rows, plan.splits, plan.seed), seed=plan.seed)


def _span(data: Dataset) -> dict[str, Any]:
    if not len(data):
        return {"rows": 0, "from": None, "to": None}
    return {
        "rows": len(data),
        "from": format_time(int(data.time_ms[0])),
        "to": format_time(int(data.time_ms[-1])),
    }
