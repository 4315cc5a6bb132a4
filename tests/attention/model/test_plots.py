"""Pictures of how a model does.

├── PNG and SVG, the same bytes for the same figures
├── the words and points that matter are in it
└── a name that says no kind, a folder that is not there: refused
"""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure

from timebank_chain.attention.model.evidence import Score
from timebank_chain.attention.model.intervals import deciles
from timebank_chain.attention.model.plots import blocks_figure, calibration_figure
from timebank_chain.attention.pictures import picture_bytes


def calibration() -> Figure:
    predicted = np.linspace(0, 3, 100)
    parts = deciles(predicted, predicted + 0.1, predicted - 1, predicted + 1)
    return calibration_figure(parts, coverage=0.9, inside=0.873)


def blocks() -> Figure:
    return blocks_figure({"ridge": [Score(5, 1.0, 0.3, 0.5), Score(5, 1.0, None, None)], "mean": []})


@pytest.mark.parametrize("draw", [calibration, blocks])
@pytest.mark.parametrize("kind", ["png", "svg"])
def test_same_figures_same_bytes(draw: object, kind: str) -> None:
    first, second = (picture_bytes(draw, kind) for _ in range(2))  # type: ignore[arg-type]  # both are functions
    assert first == second
    if kind == "png":
        assert first.startswith(b"\x89PNG")
    else:
        assert ElementTree.fromstring(first).tag.endswith("svg")  # noqa: S314 - our own text


def test_what_is_drawn() -> None:
    axes = calibration().axes[0]
    words = [text.get_text() for text in axes.get_legend().get_texts()]
    assert "interval: meant 90%, held 87.3%" in words
    observed = next(line for line in axes.lines if line.get_label() == "observed mean")
    x, y = observed.get_data()
    assert len(x) == 10
    np.testing.assert_allclose(np.asarray(y) - np.asarray(x), 0.1)


def test_undefined_blocks_are_left_out() -> None:
    line = next(one for one in blocks().axes[0].lines if one.get_label() == "ridge")
    assert [float(one) for one in line.get_ydata()] == [0.3]
