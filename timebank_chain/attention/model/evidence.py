"""How well a recipe does: always on rows later than those it learned from, whose targets were known by then.

A random split asks a model about rows between those it has seen, and calls that forecasting. It is offered
only beside the honest figure, and marked so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from timebank_chain.attention.extra import need
from timebank_chain.attention.model.dataset import MIN_ROWS, Dataset, Floats, Integers
from timebank_chain.attention.model.frozen import BASELINES, FAMILIES
from timebank_chain.attention.model.recipes import Recipe, fit

#: A block of time with fewer rows to learn from is passed over.
MIN_TRAINING = MIN_ROWS
#: Blocks inside the first block's training rows, to choose among recipes before anything else is known.
WARM_UP_BLOCKS = 3

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Score:
    """How near predictions came.

    Parameters
    ----------
    rows
        How many were predicted.
    mse
        Mean squared error, in squared units of the (transformed) target.
    r2
        1 - mse / variance of these rows' targets: 0 is as good as knowing their mean. ``None`` where they do
        not vary.
    spearman
        Rank correlation; 0 where all predictions are alike, which ranks nothing; ``None`` where the targets
        are.
    """

    rows: int
    mse: float
    r2: float | None
    spearman: float | None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"rows": self.rows, "mse": self.mse, "r2": self.r2, "spearman": self.spearman}


@dataclass(frozen=True, slots=True)
class Fold:
    """Rows to learn from and later rows to predict; ``left_out``: earlier ones not yet known then."""

    train: Integers
    test: Integers
    left_out: int


@dataclass(frozen=True, slots=True)
class Validation:
    """What every recipe predicted, block after block.

    Parameters
    ----------
    folds
        Blocks in order of time.
    predictions
        By recipe, in the order of preference: one array a fold.
    target
        The targets of each fold's rows.
    warm_up
        Squared error by recipe over blocks inside the first fold's training rows: what is known of the
        recipes before the first block. 0 where those rows are too few.
    """

    folds: tuple[Fold, ...]
    predictions: Mapping[Recipe, tuple[Floats, ...]]
    target: tuple[Floats, ...]
    warm_up: Mapping[Recipe, float]

    def scores(self, recipe: Recipe) -> tuple[Score, ...]:
        """Score one recipe, block after block."""
        return tuple(
            score(true, found) for true, found in zip(self.target, self.predictions[recipe], strict=True)
        )

    def best(self, families: Sequence[str] | None = None, *, before: int | None = None) -> Recipe:
        """Return the recipe with the least squared error over the first ``before`` blocks (default: all).

        The warm-up counts too. Equal errors go to the earlier one in the list, so it is taken where nothing
        is known yet.
        """
        asked = [recipe for recipe in self.predictions if families is None or recipe.family in families]
        until = len(self.folds) if before is None else before

        def error(recipe: Recipe) -> float:
            pairs = zip(self.target[:until], self.predictions[recipe][:until], strict=True)
            return self.warm_up[recipe] + float(sum(((true - found) ** 2).sum() for true, found in pairs))

        return min(asked, key=error)

    def followed(self, families: Sequence[str] | None = None) -> tuple[Score, ...]:
        """Score, in each block, the recipe that had done best in the blocks before it.

        So the choice among settings is never made on the rows it is judged by.
        """
        return tuple(
            score(self.target[place], self.predictions[self.best(families, before=place)][place])
            for place in range(len(self.folds))
        )


def score(true: Floats, found: Floats) -> Score:
    """Compare predictions with what came."""
    mse = float(np.mean((true - found) ** 2))
    varies = len(true) > 1 and float(np.ptp(true)) > 0
    ranked = varies and float(np.ptp(found)) > 0
    ranks = float(need("scipy.stats").spearmanr(true, found).statistic) if ranked else 0.0
    return Score(
        len(true),
        mse,
        1.0 - mse / float(np.var(true)) if varies else None,
        ranks if varies else None,
    )


def mean_score(scores: Sequence[Score]) -> Score:
    """Return the mean over blocks, each counting the same; a measure undefined in a block skips it."""

    def mean(found: list[float]) -> float | None:
        return float(np.mean(found)) if found else None

    return Score(
        sum(one.rows for one in scores),
        float(np.mean([one.mse for one in scores])),
        mean([one.r2 for one in scores if one.r2 is not None]),
        mean([one.spearman for one in scores if one.spearman is not None]),
    )


def known_before(data: Dataset, at_ms: int) -> Integers:
    """Return the rows whose target was known before a time.

    A row posted before, but whose window was still open, is not among them: its votes overlap those of the
    rows to be predicted.
    """
    return np.flatnonzero((data.known_ms < at_ms) & (data.time_ms < at_ms))


def time_folds(data: Dataset, splits: int) -> tuple[Fold, ...]:
    """Cut rows into ``splits`` later blocks, each predicted from everything known before it.

    Expanding windows as scikit-learn's `TimeSeriesSplit` cuts them, less the rows not yet known at the
    block's beginning. A block with fewer than `MIN_TRAINING` rows to learn from is passed over.
    """
    if len(data) <= splits:
        return ()
    cut = need("sklearn.model_selection").TimeSeriesSplit(n_splits=splits)
    folds = []
    for earlier, test in cut.split(data.values):
        train = known_before(data, int(data.time_ms[test[0]]))
        if len(train) >= MIN_TRAINING:
            folds.append(Fold(train, test.astype(np.int64), len(earlier) - len(train)))
    return tuple(folds)


def random_folds(data: Dataset, splits: int, seed: int) -> tuple[Fold, ...]:
    """Cut rows by chance: no evidence of anything, for comparison with others' figures only."""
    cut = need("sklearn.model_selection").KFold(n_splits=splits, shuffle=True, random_state=seed)
    return tuple(
        Fold(train.astype(np.int64), test.astype(np.int64), 0) for train, test in cut.split(data.values)
    )


def validate(
    data: Dataset,
    recipes: Sequence[Recipe],
    folds: Sequence[Fold],
    *,
    seed: int,
    progress: Progress | None = None,
) -> Validation:
    """Fit every recipe on every fold's training rows and predict its later rows."""
    found: dict[Recipe, tuple[Floats, ...]] = {}
    warm_up: dict[Recipe, float] = {}
    first = data.take(folds[0].train)
    early = time_folds(first, WARM_UP_BLOCKS)
    for number, recipe in enumerate(recipes, start=1):
        found[recipe] = tuple(_predictions(recipe, data, fold, seed) for fold in folds)
        warm_up[recipe] = float(
            sum(
                ((first.target[one.test] - _predictions(recipe, first, one, seed)) ** 2).sum()
                for one in early
            )
        )
        if progress is not None:
            errors = [
                np.mean((data.target[fold.test] - one) ** 2)
                for fold, one in zip(folds, found[recipe], strict=True)
            ]
            progress(f"[{number}/{len(recipes)}] {recipe.label}: mean squared error {np.mean(errors):.4f}")
    return Validation(tuple(folds), found, tuple(data.target[fold.test] for fold in folds), warm_up)


def _predictions(recipe: Recipe, data: Dataset, fold: Fold, seed: int) -> Floats:
    model = fit(recipe, data.take(fold.train), seed=seed)
    return model.predict(data.values[fold.test], data.time_ms[fold.test])


def rows_of(validation: Validation) -> dict[str, tuple[Score, ...]]:
    """Return the table's rows: baselines, families with their settings followed, and the choice of all."""
    present = {recipe.family for recipe in validation.predictions}
    table = {name: validation.followed([name]) for name in (*BASELINES, *FAMILIES) if name in present}
    return {**table, "chosen": validation.followed()}
