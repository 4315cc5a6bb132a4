"""An experiment as a picture: the effect day by day, with both intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from timebank_chain.attention.experiment.analyse import Analysis
from timebank_chain.attention.extra import need

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def experiment_figure(analysis: Analysis) -> Figure:
    """Draw one panel a treatment: effect, fixed interval, confidence sequence, alarms, horizon.

    The fixed interval is drawn at every day to show what it pretends; only the one at the horizon counts.
    """
    plan, treatments = analysis.plan, analysis.treatments
    # Figure itself, not pyplot: no state is shared, and its canvas is Agg's.
    figure: Figure = need("matplotlib.figure").Figure(
        figsize=(8.0, 3.6 * len(treatments)), layout="constrained"
    )
    reach = float(need("scipy.stats").norm.isf(plan.level / 2))
    panels = figure.subplots(len(treatments), 1, squeeze=False)[:, 0]
    for panel, one in zip(panels, treatments, strict=True):
        looks = one.looks
        day = np.arange(1, len(looks.effect) + 1)
        valid = np.isfinite(looks.low)
        panel.fill_between(
            day, looks.low, looks.high, where=valid, color="#9ecae1", label="always-valid interval"
        )
        half = reach * looks.error
        panel.fill_between(
            day, looks.effect - half, looks.effect + half, color="#3182bd", alpha=0.45, label="fixed interval"
        )
        panel.plot(day, looks.effect, color="black", linewidth=1.2, marker=".", label="effect")
        panel.axhline(0.0, color="grey", linewidth=0.8)
        if one.alarms:
            panel.plot(
                [alarm.day + 1 for alarm in one.alarms],
                [alarm.effect for alarm in one.alarms],
                "x",
                color="#d62728",
                label="a fixed test would have said yes",
            )
        if analysis.horizon_day is not None:
            panel.axvline(analysis.horizon_day + 1, color="grey", linestyle="--", label="horizon")
        if one.decided_day is not None:
            decided = "decided" if plan.method != "fixed" else "would decide, if it were planned"
            panel.axvline(one.decided_day + 1, color="#2ca02c", label=decided)
        # Early intervals are wide as a house: the picture is of where they end up.
        spread = np.nanmax(np.abs(np.concatenate([looks.effect, looks.error * 4.0])))
        panel.set_ylim(-1.3 * spread, 1.3 * spread)
        panel.set_title(f"{one.arm} against {plan.arms[0].name}: {one.verdict}", loc="left")
        panel.set_xlabel("day")
        panel.xaxis.get_major_locator().set_params(integer=True)
        panel.set_ylabel(f"effect on {plan.metric.name}")
        panel.legend(loc="upper right", fontsize="small", frameon=False)
    return figure
