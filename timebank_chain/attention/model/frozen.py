"""A fitted model as plain arrays, and what they predict: no library is needed, no code is ever loaded.

Scikit-learn's own way to keep a model is pickle, and opening a pickle runs whatever its writer put into it.
Here a model is numbers under names. Prediction is written out below, once, in numpy; fitting ends with a
check that both predict the same (`timebank_chain.attention.model.recipes`).

===========  ==========================================================================
kind         arrays
===========  ==========================================================================
mean         ``level`` (1): the training rows' mean
recent       ``level`` (1): the mean of the last week's
seasonal     ``slots`` (168 or 7): mean by hour of the week, or by weekday
ridge        encoding; ``weight`` (m), ``bias`` (1)
boosting     encoding; nodes of all trees in a row, ``first`` (trees) their roots, ``bias``
network      encoding; ``N.L.weight``, ``N.L.bias`` of layer L of network N; ``centre``, ``spread``
===========  ==========================================================================

Encoding of k columns as m: ``numeric`` (places of the numeric columns kept), ``median``, ``gaps`` (which of
them get a column "was missing"), ``mean`` and ``scale`` over both, and for each further column the place and
the code of the word it stands for (``hot_column``, ``hot_code``; `OTHERS`: any word without a column).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from timebank_chain.attention.model.dataset import Floats, Integers

MEAN, RECENT, SEASONAL = "mean", "recent", "seasonal"
RIDGE, BOOSTING, NETWORK = "ridge", "boosting", "network"
BASELINES = (MEAN, RECENT, SEASONAL)
FAMILIES = (RIDGE, BOOSTING, NETWORK)

#: A word that has no column of its own: rare in training, or never seen.
OTHERS = -3
#: Scaled numbers are cut to this many standard deviations: one wild cell must not carry a prediction away.
CUT = 5.0

HOUR_MS = 3_600_000
DAY_MS = 86_400_000

Array = NDArray[Any]

_ENCODING = ("numeric", "median", "gaps", "mean", "scale", "hot_column", "hot_code")
_TREES = ("first", "feature", "threshold", "missing_left", "left", "right", "leaf", "value", "bias")


class BadArrays(ValueError):
    """Arrays that are no model: one is missing, of the wrong shape, or points outside."""


@dataclass(frozen=True, slots=True)
class Frozen:
    """A fitted model.

    Parameters
    ----------
    kind
        See the table above.
    arrays
        float64 or int64 arrays by name.
    """

    kind: str
    arrays: Mapping[str, Array]

    def predict(self, values: Floats, time_ms: Integers) -> Floats:
        """Predict the target, in the model's units.

        Parameters
        ----------
        values
            (n, k) as in `Dataset.values`.
        time_ms
            (n) when each was posted.

        Returns
        -------
        Floats
            (n) finite numbers.
        """
        arrays = self.arrays
        if self.kind in {MEAN, RECENT}:
            return np.full(len(values), float(arrays["level"][0]))
        if self.kind == SEASONAL:
            slots = arrays["slots"]
            return np.asarray(slots[slot_of(time_ms, len(slots))], dtype=np.float64)
        if self.kind == RIDGE:
            return np.asarray(self.encode(values) @ arrays["weight"] + arrays["bias"][0], dtype=np.float64)
        if self.kind == BOOSTING:
            return self._walk(self.encode(values, scaled=False))
        return self._propagate(self.encode(values))

    def raised(self, level: float) -> Frozen:
        """Return a ridge, boosting or network model that predicts ``level`` more."""
        name = "centre" if self.kind == NETWORK else "bias"
        return Frozen(self.kind, {**self.arrays, name: self.arrays[name] + level})

    def encode(self, values: Floats, *, scaled: bool = True) -> Floats:
        """Return the (n, m) numbers the model itself sees: numeric columns, gaps, words."""
        arrays = self.arrays
        numeric = values[:, arrays["numeric"]]
        if scaled:
            missing = np.isnan(numeric)
            filled = np.where(missing, arrays["median"], numeric)
            gaps = missing[:, arrays["gaps"]].astype(np.float64)
            numeric = np.clip((np.hstack([filled, gaps]) - arrays["mean"]) / arrays["scale"], -CUT, CUT)
        hot = np.zeros((len(values), len(arrays["hot_column"])))
        pairs = list(zip(arrays["hot_column"].tolist(), arrays["hot_code"].tolist(), strict=True))
        for place, (column, code) in enumerate(pairs):
            if code == OTHERS:
                own = [other for at, other in pairs if at == column and other != OTHERS]
                hot[:, place] = ~np.isin(values[:, column], own)
            else:
                hot[:, place] = values[:, column] == code
        return np.hstack([numeric, hot])

    def _walk(self, seen: Floats) -> Floats:
        """Go down every tree with all rows at once."""
        arrays = self.arrays
        total = np.full(len(seen), float(arrays["bias"][0]))
        rows = np.arange(len(seen))
        leaf = arrays["leaf"].astype(bool)
        missing_left = arrays["missing_left"].astype(bool)
        for root in arrays["first"].tolist():
            node = np.full(len(seen), root)
            inner = ~leaf[node]
            while inner.any():
                here = node[inner]
                cell = seen[rows[inner], arrays["feature"][here]]
                left = np.where(np.isnan(cell), missing_left[here], cell <= arrays["threshold"][here])
                node[inner] = np.where(left, arrays["left"][here], arrays["right"][here])
                inner = ~leaf[node]
            total += arrays["value"][node]
        return total

    def _propagate(self, seen: Floats) -> Floats:
        """Send the rows through every network; the prediction is their mean."""
        arrays = self.arrays
        networks, layers = network_shape(arrays)
        total = np.zeros(len(seen))
        for network in range(networks):
            signal = seen
            for layer in range(layers):
                signal = signal @ arrays[f"{network}.{layer}.weight"] + arrays[f"{network}.{layer}.bias"]
                if layer < layers - 1:
                    signal = np.maximum(signal, 0.0)
            total += signal[:, 0]
        return np.asarray(total / networks * arrays["spread"][0] + arrays["centre"][0], dtype=np.float64)


def slot_of(time_ms: Integers, slots: int) -> Integers:
    """Return the hour of the week (168 slots) or the weekday (7 slots); slot 0 begins on Monday, UTC."""
    # The first of January 1970 was a Thursday, three days after a Monday.
    since_monday = time_ms + 3 * DAY_MS
    return since_monday // (HOUR_MS if slots == 168 else DAY_MS) % slots


def network_shape(arrays: Mapping[str, Array]) -> tuple[int, int]:
    """Return how many networks there are and how many layers each has."""
    names = [name.split(".") for name in arrays if name.endswith(".weight")]
    return len({name[0] for name in names}), len({name[1] for name in names})


def check(model: Frozen, columns: int) -> None:
    """Check that arrays from a file are a model over ``columns`` columns, so that predicting cannot fail.

    Raises
    ------
    BadArrays
        Naming the array. Trees are checked to lead downwards, so that no walk can go round in circles.
    """
    arrays = model.arrays
    for name, array in arrays.items():
        finite = np.isfinite(array).all() or (name == "threshold" and not np.isnan(array).any())
        if array.dtype not in {np.dtype(np.float64), np.dtype(np.int64)} or not finite:
            raise BadArrays(f"{name}: not finite numbers")
    if model.kind in {MEAN, RECENT}:
        _shapes(arrays, {"level": (1,)})
    elif model.kind == SEASONAL:
        slots = _length(arrays, "slots")
        if slots not in {7, 168}:
            raise BadArrays(f"slots: {slots}, not 7 or 168")
        _shapes(arrays, {"slots": (slots,)})
    elif model.kind in FAMILIES:
        _check_encoding(arrays, columns)
        width = len(arrays["mean"]) + len(arrays["hot_column"])
        if model.kind == RIDGE:
            _shapes(arrays, {"weight": (width,), "bias": (1,)}, _ENCODING)
        elif model.kind == BOOSTING:
            _check_trees(arrays, len(arrays["numeric"]) + len(arrays["hot_column"]))
        else:
            _check_network(arrays, width)
    else:
        raise BadArrays(f"unknown kind {model.kind!r:.40}")


def _length(arrays: Mapping[str, Array], name: str) -> int:
    if name not in arrays or arrays[name].ndim != 1:
        raise BadArrays(f"{name}: missing, or no row of numbers")
    return len(arrays[name])


def _shapes(
    arrays: Mapping[str, Array], wanted: Mapping[str, tuple[int, ...]], others: tuple[str, ...] = ()
) -> None:
    if set(arrays) != {*wanted, *others}:
        raise BadArrays(f"these arrays and no others are needed: {', '.join(sorted({*wanted, *others}))}")
    for name, shape in wanted.items():
        if arrays[name].shape != shape:
            raise BadArrays(f"{name}: shape {arrays[name].shape}, not {shape}")


def _places(arrays: Mapping[str, Array], name: str, end: int) -> None:
    array = arrays[name]
    if array.dtype != np.int64 or (array < 0).any() or (array >= end).any():
        raise BadArrays(f"{name}: points outside")


def _check_encoding(arrays: Mapping[str, Array], columns: int) -> None:
    numeric, gaps, hot = (_length(arrays, name) for name in ("numeric", "gaps", "hot_column"))
    part = {name: arrays[name] for name in _ENCODING if name in arrays}
    _shapes(
        part,
        {
            "numeric": (numeric,),
            "median": (numeric,),
            "gaps": (gaps,),
            "mean": (numeric + gaps,),
            "scale": (numeric + gaps,),
            "hot_column": (hot,),
            "hot_code": (hot,),
        },
    )
    _places(arrays, "numeric", columns)
    _places(arrays, "gaps", numeric)
    _places(arrays, "hot_column", columns)
    if not (arrays["scale"] > 0).all():
        raise BadArrays("scale: not above zero")


def _check_trees(arrays: Mapping[str, Array], width: int) -> None:
    nodes, trees = _length(arrays, "leaf"), _length(arrays, "first")
    wanted = dict.fromkeys(_TREES, (nodes,)) | {"first": (trees,), "bias": (1,)}
    _shapes(arrays, wanted, _ENCODING)
    _places(arrays, "first", nodes)
    for name in ("missing_left", "leaf"):
        _places(arrays, name, 2)
    inner = arrays["leaf"] == 0
    below = {name: arrays[name][inner] for name in ("feature", "left", "right")}
    _places(below, "feature", max(width, 0))
    here = np.flatnonzero(inner)
    for name in ("left", "right"):
        _places(below, name, nodes)
        if (below[name] <= here).any():
            raise BadArrays(f"{name}: leads back up the tree")


def _check_network(arrays: Mapping[str, Array], width: int) -> None:
    networks, layers = network_shape(arrays)
    if not networks or not layers:
        raise BadArrays("no layer of a network")
    wanted: dict[str, tuple[int, ...]] = {"centre": (1,), "spread": (1,)}
    for network in range(networks):
        size = width
        for layer in range(layers):
            name = f"{network}.{layer}.bias"
            out = 1 if layer == layers - 1 else _length(arrays, name)
            wanted |= {f"{network}.{layer}.weight": (size, out), name: (out,)}
            size = out
    _shapes(arrays, wanted, _ENCODING)
