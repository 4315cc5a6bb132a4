"""How a model does, as pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from timebank_chain.attention.extra import need
from timebank_chain.attention.model.evidence import Score
from timebank_chain.attention.model.intervals import Decile

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BLUE, _GREY, _ORANGE = "#2b6cb0", "#8a8f98", "#c05621"


def calibration_figure(
    parts: Sequence[Decile],
    *,
    coverage: float,
    inside: float,
    title: str = "Predicted and observed attention",
    unit: str = "log(1 + attention)",
) -> Figure:
    """Draw predicted against observed by tenths of the prediction, with the mean interval of each tenth.

    Parameters
    ----------
    parts
        From `Evaluation.deciles`.
    coverage, inside
        Share of rows meant to lie in their interval, and share that did.
    title, unit
        Words on the picture.
    """
    figure, axes = _axes()
    predicted = [one.predicted for one in parts]
    axes.plot(
        (min(predicted), max(predicted)),
        (min(predicted), max(predicted)),
        color=_GREY,
        linestyle="--",
        linewidth=1,
        label="predicted = observed",
    )
    axes.vlines(
        predicted,
        [one.lower for one in parts],
        [one.upper for one in parts],
        color=_BLUE,
        alpha=0.35,
        linewidth=4,
        label=f"interval: meant {coverage:.0%}, held {inside:.1%}",
    )
    axes.plot(
        predicted,
        [one.observed for one in parts],
        color=_ORANGE,
        marker="o",
        linewidth=1.5,
        label="observed mean",
    )
    axes.set_xlabel(f"predicted {unit}, mean of each tenth")
    axes.set_ylabel(f"observed {unit}")
    axes.set_title(title)
    axes.legend(frameon=False, loc="upper left")
    return figure


def blocks_figure(
    scores: Mapping[str, Sequence[Score]], *, title: str = "R2 by block of time, oldest first"
) -> Figure:
    """Draw each model's R2 block by block; below zero is worse than knowing the block's own mean."""
    figure, axes = _axes()
    for name, blocks in scores.items():
        drawn = [(place, one.r2) for place, one in enumerate(blocks, start=1) if one.r2 is not None]
        # Far below zero all are useless, and would hide the others.
        axes.plot(
            [place for place, _ in drawn],
            [max(r2, -1.0) for _, r2 in drawn],
            marker="o",
            linewidth=1.5,
            label=name,
        )
    axes.axhline(0.0, color=_GREY, linewidth=1)
    axes.set_xlabel("block of time")
    axes.set_ylabel("R2 (cut at -1)")
    axes.set_title(title)
    axes.legend(frameon=False, loc="lower right", fontsize=8)
    return figure


def _axes() -> tuple[Figure, Axes]:
    need("matplotlib")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # No pyplot: it keeps figures alive and asks for a screen.
    figure = Figure(figsize=(7.0, 4.5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
