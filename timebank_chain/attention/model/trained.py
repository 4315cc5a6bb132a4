"""A model ready for use: what it predicts, how sure it is, and how it does on rows later than its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from timebank_chain.attention.model.dataset import (
    CATEGORICAL,
    LARGEST,
    LOG1P,
    UNKNOWN_CODE,
    Dataset,
    Feature,
    Floats,
    backward,
)
from timebank_chain.attention.model.evidence import Score, score
from timebank_chain.attention.model.frozen import Frozen
from timebank_chain.attention.model.intervals import Decile, Intervals, deciles, share_inside
from timebank_chain.attention.model.recipes import Recipe
from timebank_chain.errors import AttentionError
from timebank_chain.units import format_time


@dataclass(frozen=True, slots=True)
class Learned:
    """What data a model was made from.

    Parameters
    ----------
    name, digest, rows
        Of the data: name, SHA-256 (`Dataset.digest`) and rows with a target.
    first_ms, last_ms
        When the first and the last row were posted; every row up to ``last_ms`` may have been used.
    """

    name: str
    digest: str
    rows: int
    first_ms: int
    last_ms: int


@dataclass(frozen=True, slots=True)
class Prediction:
    """What is expected of rows, in the target's own units; (n) each."""

    expected: Floats
    lower: Floats
    upper: Floats
    unknown_words: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How a model did on rows later than those it was made from.

    ``left_out`` rows were not later. ``deciles`` are in the model's units.
    """

    rows: int
    left_out: int
    first_ms: int
    last_ms: int
    model: Score
    baselines: Mapping[str, Score]
    coverage: float
    inside: float
    width: float
    deciles: tuple[Decile, ...]

    @property
    def beats_baselines(self) -> bool:
        """Whether the squared error is below that of every baseline."""
        return all(self.model.mse < one.mse for one in self.baselines.values())

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "rows": self.rows,
            "left_out": self.left_out,
            "from": format_time(self.first_ms),
            "to": format_time(self.last_ms),
            "model": self.model.to_json(),
            "baselines": {name: one.to_json() for name, one in self.baselines.items()},
            "beats_baselines": self.beats_baselines,
            "intervals": {"coverage": self.coverage, "inside": self.inside, "mean_width": self.width},
            "deciles": [one.to_json() for one in self.deciles],
        }


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A model with all that is needed to use it and to judge it.

    Parameters
    ----------
    features
        The columns it reads, in order.
    task
        How the data are read (`Dataset.task`).
    target_name, transform, window_ms
        Of the target.
    recipe, frozen
        How it was fitted, and what came out.
    baselines
        The honest alternatives, fitted on the same rows.
    intervals
        How sure it is.
    learned
        What it was made from.
    seed
        Where chance started.
    card
        The model card as JSON values.
    """

    features: tuple[Feature, ...]
    task: Mapping[str, Any]
    target_name: str
    transform: str
    window_ms: int
    recipe: Recipe
    frozen: Frozen
    baselines: Mapping[str, Frozen]
    intervals: Intervals
    learned: Learned
    seed: int
    card: Mapping[str, Any]

    def predict(self, data: Dataset) -> Prediction:
        """Predict, with intervals, in the target's own units.

        Raises
        ------
        AttentionError
            If the data have other features than the model reads.
        """
        values = self._values(data)
        predicted = self.frozen.predict(values, data.time_ms)
        lower, upper = self.ends(predicted)
        expected = np.maximum(predicted, 0.0) if self.transform == LOG1P else predicted
        words = [place for place, one in enumerate(self.features) if one.kind == CATEGORICAL]
        return Prediction(
            backward(self.transform, expected),
            backward(self.transform, lower),
            backward(self.transform, upper),
            int((values[:, words] == UNKNOWN_CODE).sum()),
        )

    def infinite(self, data: Dataset) -> dict[str, int]:
        """Count, by column it reads, the infinite numbers: they count as missing, as in training."""
        numeric = {one.name for one in self.features if one.kind != CATEGORICAL}
        counted = {
            name: int((np.abs(data.values[:, place]) > LARGEST).sum())
            for place, name in enumerate(data.names)
            if name in numeric
        }
        return {name: count for name, count in counted.items() if count}

    def ends(self, predicted: Floats) -> tuple[Floats, Floats]:
        """Return the ends of the intervals, in the model's units; a count is never below nothing."""
        lower, upper = self.intervals.around(predicted)
        if self.transform == LOG1P:
            return np.maximum(lower, 0.0), np.maximum(upper, 0.0)
        return lower, upper

    def evaluate(self, data: Dataset) -> Evaluation:
        """Judge it on rows later than its own whose target is known.

        Raises
        ------
        AttentionError
            If there are no such rows, or the data have other features.
        """
        if self.task.get("kind") == "table" and self.task["task"]["time"]["kind"] == "age_days":
            raise AttentionError(
                "the model learned from ages in days, which tell no time in another table",
                hint="train on a table with times, then evaluate on a later one",
            )
        later = np.isfinite(data.target) & (data.time_ms > self.learned.last_ms)
        if later.sum() < 2:
            raise AttentionError(
                f"{int(later.sum())} rows with a target are later than {format_time(self.learned.last_ms)}",
                hint="a model is judged on what came after its data: collect on, then evaluate",
            )
        rows = data.take(later)
        left_out = int(np.isfinite(data.target).sum() - later.sum())
        return self.judge(rows, left_out=left_out)

    def judge(self, rows: Dataset, *, left_out: int = 0) -> Evaluation:
        """Compare predictions of rows with their targets, whenever they were."""
        values = self._values(rows)
        predicted = self.frozen.predict(values, rows.time_ms)
        lower, upper = self.ends(predicted)
        return Evaluation(
            len(rows),
            left_out,
            int(rows.time_ms[0]),
            int(rows.time_ms[-1]),
            score(rows.target, predicted),
            {
                name: score(rows.target, one.predict(values, rows.time_ms))
                for name, one in self.baselines.items()
            },
            self.intervals.coverage,
            share_inside(rows.target, lower, upper),
            float(np.mean(upper - lower)),
            deciles(predicted, rows.target, lower, upper),
        )

    def _values(self, data: Dataset) -> Floats:
        """Return the model's columns in its order; words are coded as it knows them."""
        place = {feature.name: at for at, feature in enumerate(data.features)}
        columns = []
        for feature in self.features:
            if feature.name not in place or data.features[place[feature.name]].kind != feature.kind:
                raise AttentionError(
                    f"the data lack the {feature.kind} feature {feature.name!r} that the model reads",
                    hint="predict from data of the kind the model learned from",
                )
            column = data.values[:, place[feature.name]]
            own = data.features[place[feature.name]].words
            if feature.kind == CATEGORICAL and own != feature.words:
                known = {word: at for at, word in enumerate(feature.words)}
                codes = np.array([known.get(word, UNKNOWN_CODE) for word in own] or [UNKNOWN_CODE])
                code = column.astype(np.int64)
                column = np.where(code >= 0, codes[np.maximum(code, 0)], column).astype(np.float64)
            columns.append(column)
        values = np.column_stack(columns)
        # What is no number to the training is none here either.
        numeric = [at for at, feature in enumerate(self.features) if feature.kind != CATEGORICAL]
        part = values[:, numeric]
        values[:, numeric] = np.where(np.abs(part) <= LARGEST, part, np.nan)
        return values
