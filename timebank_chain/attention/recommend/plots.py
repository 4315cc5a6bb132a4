"""The choice of a ranker as a picture: what each finds again, and whom the lists show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from timebank_chain.attention.extra import need

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from timebank_chain.attention.recommend.choose import Choice


def choice_figure(choice: Choice) -> Figure:
    """Draw recall and NDCG on the test part beside the exposure of the least seen half.

    The last bars are of the chosen ranker with places kept.
    """
    figure: Figure = need("matplotlib.figure").Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    kept = f"{choice.chosen.name},\nplaces kept"
    names = [*(one.name for one in choice.test), kept]
    found = [*(one.measures for one in choice.test), choice.guarded]
    places = range(len(names))
    left.bar([at - 0.2 for at in places], [one.recall for one in found], 0.4, label="recall", color="#1b4965")
    left.bar([at + 0.2 for at in places], [one.ndcg for one in found], 0.4, label="NDCG", color="#2a9d8f")
    # Above the bars, not on them.
    left.set_ylim(top=1.2 * left.get_ylim()[1])
    left.legend(frameon=False, ncols=2, loc="upper right")
    left.set_title(f"Found again, lists of {choice.k},\n{choice.split}", fontsize=10)
    right.bar(list(places), [100 * one.least_seen for one in found], 0.5, color="#8d5a97")
    right.set_ylabel("% of the exposure")
    right.set_title("To the half of the items taken least", fontsize=10)
    for axes in (left, right):
        axes.set_xticks(list(places), names, fontsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    return figure
