"""Ways to fit a model, with scikit-learn, each ending in plain arrays (`Frozen`).

A recipe is a family and its settings. The first of each family is the one used where nothing is known yet
of how they do. Everything is fitted on the rows given and on no others: medians, scales and words too.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from timebank_chain.attention.extra import need
from timebank_chain.attention.model.dataset import CATEGORICAL, Dataset, Feature, Floats
from timebank_chain.attention.model.frozen import (
    BASELINES,
    BOOSTING,
    CUT,
    DAY_MS,
    MEAN,
    NETWORK,
    OTHERS,
    RECENT,
    RIDGE,
    SEASONAL,
    Array,
    Frozen,
    slot_of,
)
from timebank_chain.errors import TimebankError

WEEK_MS = 7 * DAY_MS
#: A word seen less often in training shares a column with the other rare ones.
RARE = 10
#: Most columns that one categorical column becomes.
MOST_WORDS = 40
#: Networks averaged, each from its own start: one alone depends much on where it began.
NETWORKS = 3


@dataclass(frozen=True, slots=True)
class Recipe:
    """A family and its settings."""

    family: str
    settings: tuple[tuple[str, float], ...] = ()

    @property
    def label(self) -> str:
        """Name in reports: ``ridge alpha=100``."""
        return " ".join([self.family, *(f"{name}={value:g}" for name, value in self.settings)])

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"family": self.family, "settings": dict(self.settings)}


def _recipe(family: str, **settings: float) -> Recipe:
    return Recipe(family, tuple((name, float(value)) for name, value in settings.items()))


BASELINE_RECIPES = tuple(Recipe(name) for name in BASELINES)
RECIPES = (
    _recipe(RIDGE, alpha=100),
    _recipe(RIDGE, alpha=10),
    _recipe(RIDGE, alpha=1000),
    _recipe(BOOSTING, trees=100, rate=0.05, leaves=8, least=20, penalty=1),
    _recipe(BOOSTING, trees=60, rate=0.05, leaves=4, least=20, penalty=10),
    _recipe(BOOSTING, trees=150, rate=0.05, leaves=12, least=30, penalty=10),
    _recipe(NETWORK, hidden=16, penalty=3, passes=40),
    _recipe(NETWORK, hidden=32, penalty=1, passes=20),
    _recipe(RIDGE, alpha=100, anchored=1),
    _recipe(RIDGE, alpha=1000, anchored=1),
    _recipe(BOOSTING, trees=100, rate=0.05, leaves=8, least=20, penalty=1, anchored=1),
    _recipe(BOOSTING, trees=60, rate=0.05, leaves=4, least=20, penalty=10, anchored=1),
    _recipe(NETWORK, hidden=16, penalty=3, passes=40, anchored=1),
)


def fit(recipe: Recipe, data: Dataset, *, seed: int) -> Frozen:
    """Fit a recipe on rows whose target is known.

    Parameters
    ----------
    recipe
        What to fit.
    data
        At least two rows; no target is NaN.
    seed
        Where chance starts. The same rows and seed give the same arrays, on the same libraries and kind of
        processor.

    Raises
    ------
    TimebankError
        If the arrays do not predict what scikit-learn predicts: its inner form has changed.
    """
    if recipe.family == MEAN:
        return Frozen(MEAN, {"level": np.array([data.target.mean()])})
    if recipe.family == RECENT:
        late = data.time_ms > data.time_ms.max() - WEEK_MS
        return Frozen(RECENT, {"level": np.array([data.target[late].mean()])})
    if recipe.family == SEASONAL:
        return _seasonal(data)
    settings = dict(recipe.settings)
    family = {RIDGE: _ridge, BOOSTING: _boosting, NETWORK: _network}[recipe.family]
    level = 0.0
    if settings.pop("anchored", 0.0):
        trailing, level = _levels(data)
        data = replace(data, target=data.target - trailing)
    # One thread: sums in another order are other numbers, and a model file must come out the same twice.
    with need("threadpoolctl").threadpool_limits(1):
        return family(data, settings, seed).raised(level)


def _levels(data: Dataset) -> tuple[Floats, float]:
    """Return the mean outcome of the week that was known before each row, and before the next row to come.

    A community's level drifts. An anchored model learns how far a row lies from the level of its time, and
    its predictions start from the newest level. Where a week knew no outcome, the mean of all rows stands in.
    """
    order = np.argsort(data.known_ms, kind="stable")
    known, sums = data.known_ms[order], np.concatenate([[0.0], np.cumsum(data.target[order])])
    at = np.append(data.time_ms, known[-1] + 1)
    last = np.searchsorted(known, at, side="left")
    first = np.searchsorted(known, at - WEEK_MS, side="left")
    count = last - first
    level = np.where(count > 0, (sums[last] - sums[first]) / np.maximum(count, 1), data.target.mean())
    return level[:-1], float(level[-1])


def _seasonal(data: Dataset) -> Frozen:
    """Mean by hour of the week; by weekday where the data tell no hours. An empty slot gets the mean."""
    slots = 168 if len(np.unique(data.time_ms % DAY_MS)) > 1 else 7
    slot = slot_of(data.time_ms, slots)
    count = np.bincount(slot, minlength=slots)
    total = np.bincount(slot, weights=data.target, minlength=slots)
    means = np.where(count > 0, total / np.maximum(count, 1), data.target.mean())
    return Frozen(SEASONAL, {"slots": means})


def _ridge(data: Dataset, settings: Mapping[str, float], seed: int) -> Frozen:
    encoder = _Encoder(data)
    seen = encoder.scaled()
    model = need("sklearn.linear_model").Ridge(alpha=settings["alpha"], solver="cholesky")
    model.fit(seen, data.target)
    frozen = Frozen(
        RIDGE,
        {
            **encoder.arrays,
            "weight": np.asarray(model.coef_, dtype=np.float64),
            "bias": np.array([model.intercept_], dtype=np.float64),
        },
    )
    return _checked(frozen, data, model.predict(seen))


def _boosting(data: Dataset, settings: Mapping[str, float], seed: int) -> Frozen:
    encoder = _Encoder(data)
    seen = encoder.raw()
    model = need("sklearn.ensemble").HistGradientBoostingRegressor(
        max_iter=int(settings["trees"]),
        learning_rate=settings["rate"],
        max_leaf_nodes=int(settings["leaves"]),
        min_samples_leaf=int(settings["least"]),
        l2_regularization=settings["penalty"],
        # Stopping early would hold back rows drawn by chance, from all times.
        early_stopping=False,
        random_state=seed,
    )
    model.fit(seen, data.target)
    # The trees have no public form; `_checked` tells if this one ever changes.
    trees = [predictor.nodes for (predictor,) in model._predictors]
    first = np.cumsum([0, *(len(nodes) for nodes in trees)])[:-1].astype(np.int64)
    nodes = np.concatenate(trees)
    shift = np.repeat(first, [len(one) for one in trees])
    leaf = nodes["is_leaf"].astype(np.int64)
    frozen = Frozen(
        BOOSTING,
        {
            **encoder.arrays,
            "first": first,
            "feature": nodes["feature_idx"].astype(np.int64) * (1 - leaf),
            "threshold": np.where(leaf == 1, 0.0, nodes["num_threshold"]),
            "missing_left": nodes["missing_go_to_left"].astype(np.int64),
            "left": (nodes["left"].astype(np.int64) + shift) * (1 - leaf),
            "right": (nodes["right"].astype(np.int64) + shift) * (1 - leaf),
            "leaf": leaf,
            "value": nodes["value"] * leaf,
            "bias": np.asarray(model._baseline_prediction, dtype=np.float64).reshape(1),
        },
    )
    return _checked(frozen, data, model.predict(seen))


def _network(data: Dataset, settings: Mapping[str, float], seed: int) -> Frozen:
    encoder = _Encoder(data)
    seen = encoder.scaled()
    centre, spread = float(data.target.mean()), float(data.target.std()) or 1.0
    arrays: dict[str, Array] = {
        **encoder.arrays,
        "centre": np.array([centre]),
        "spread": np.array([spread]),
    }
    total = np.zeros(len(data))
    perceptrons = need("sklearn.neural_network")
    for network in range(NETWORKS):
        model = perceptrons.MLPRegressor(
            hidden_layer_sizes=(int(settings["hidden"]),),
            alpha=settings["penalty"],
            max_iter=int(settings["passes"]),
            # Steps of a fixed size would take hours over millions of rows.
            batch_size=min(max(64, len(data) // 100), len(data)),
            random_state=seed * NETWORKS + network,
        )
        with warnings.catch_warnings():
            # The number of passes is a setting: few passes are what keeps a network from learning by heart.
            warnings.simplefilter("ignore", need("sklearn.exceptions").ConvergenceWarning)
            model.fit(seen, (data.target - centre) / spread)
        for layer, (weight, bias) in enumerate(zip(model.coefs_, model.intercepts_, strict=True)):
            arrays[f"{network}.{layer}.weight"] = np.asarray(weight, dtype=np.float64)
            arrays[f"{network}.{layer}.bias"] = np.asarray(bias, dtype=np.float64)
        total += model.predict(seen)
    return _checked(Frozen(NETWORK, arrays), data, total / NETWORKS * spread + centre)


def _checked(frozen: Frozen, data: Dataset, expected: Floats) -> Frozen:
    """Return the model if its arrays predict what the library predicts."""
    found = frozen.predict(data.values, data.time_ms)
    if not np.allclose(found, expected, rtol=1e-9, atol=1e-9):
        raise TimebankError(
            f"the arrays of a {frozen.kind} model do not predict what scikit-learn predicts",
            hint="report this with the version of scikit-learn; an older one may do",
        )
    return frozen


class _Encoder:
    """Missing numbers filled, all scaled, words as columns: fitted by scikit-learn, kept as arrays."""

    def __init__(self, data: Dataset) -> None:
        self.values = data.values
        self.compose = need("sklearn.compose")
        self.numeric = [
            place
            for place, feature in enumerate(data.features)
            # A column may hold nothing in the training rows, or one number only; it says nothing then.
            if feature.kind != CATEGORICAL and _varies(self.values[:, place])
        ]
        self.words = [place for place, feature in enumerate(data.features) if feature.kind == CATEGORICAL]
        scale = need("sklearn.pipeline").make_pipeline(
            need("sklearn.impute").SimpleImputer(strategy="median", add_indicator=True),
            need("sklearn.preprocessing").StandardScaler(),
        )
        self.hot = need("sklearn.preprocessing").OneHotEncoder(
            handle_unknown="infrequent_if_exist",
            min_frequency=RARE,
            max_categories=MOST_WORDS,
            sparse_output=False,
        )
        self.scaler = scale.fit(self.values[:, self.numeric]) if self.numeric else None
        if self.words:
            self.hot.fit(self.values[:, self.words])
        self.arrays = self._freeze(data.features)

    def scaled(self) -> Floats:
        """Return what linear models and networks see."""
        parts = [self._hot_part()]
        if self.scaler is not None:
            parts.insert(0, np.clip(self.scaler.transform(self.values[:, self.numeric]), -CUT, CUT))
        return np.hstack(parts)

    def raw(self) -> Floats:
        """Return what trees see: numbers as they are, missing ones too."""
        return np.hstack([self.values[:, self.numeric], self._hot_part()])

    def _hot_part(self) -> Floats:
        if not self.words:
            return np.zeros((len(self.values), 0))
        return np.asarray(self.hot.transform(self.values[:, self.words]), dtype=np.float64)

    def _freeze(self, features: tuple[Feature, ...]) -> dict[str, Array]:
        numeric = np.array(self.numeric, dtype=np.int64)
        if self.scaler is None:
            median, gaps = np.zeros(0), np.zeros(0, dtype=np.int64)
            mean, scale = np.zeros(0), np.zeros(0)
        else:
            imputer, standard = self.scaler[0], self.scaler[1]
            median = np.asarray(imputer.statistics_, dtype=np.float64)
            gaps = np.asarray(imputer.indicator_.features_, dtype=np.int64)
            mean = np.asarray(standard.mean_, dtype=np.float64)
            scale = np.asarray(standard.scale_, dtype=np.float64)
        column: list[int] = []
        code: list[int] = []
        for at, place in enumerate(self.words):
            rare = self.hot.infrequent_categories_[at]
            lumped = set() if rare is None else set(rare.tolist())
            own = [int(one) for one in self.hot.categories_[at].tolist() if one not in lumped]
            column += [place] * (len(own) + bool(lumped))
            code += [*own, OTHERS] if lumped else own
        return {
            "numeric": numeric,
            "median": median,
            "gaps": gaps,
            "mean": mean,
            "scale": scale,
            "hot_column": np.array(column, dtype=np.int64),
            "hot_code": np.array(code, dtype=np.int64),
        }


def _varies(column: Floats) -> bool:
    known = column[~np.isnan(column)]
    return len(known) > 1 and float(np.ptp(known)) > 0
