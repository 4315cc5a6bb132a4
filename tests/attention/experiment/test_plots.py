"""An experiment as a picture.

plots
├── a panel a treatment, effect and both intervals in it; horizon, decision and alarms where they are
└── before anything is known there is a picture too
"""

from __future__ import annotations

import numpy as np

from tests.attention.experiment.builders import alternating, log_of, make
from timebank_chain.attention.experiment.analyse import Analysis, analyse
from timebank_chain.attention.experiment.plan import Arm
from timebank_chain.attention.experiment.plots import experiment_figure
from timebank_chain.attention.pictures import picture_bytes


def analysed(members: int = 2_000, treatments: int = 1) -> Analysis:
    arms = tuple(Arm(f"arm{number}", 1) for number in range(treatments + 1))
    plan = make(arms=arms, members_per_arm=(300,) * len(arms))
    arm = np.arange(members, dtype=np.int64) % len(arms)
    outcome = np.random.default_rng(1).gamma(4.0, 0.5, members) + 0.3 * (arm == 1)
    return analyse(plan, log_of(plan, arm, outcome))


def test_a_panel_a_treatment() -> None:
    found = analysed(3_000, 2)
    panels = experiment_figure(found).axes
    assert [panel.get_title("left") for panel in panels] == [
        f"{one.arm} against arm0: {one.verdict}" for one in found.treatments
    ]
    words = [text.get_text() for text in panels[0].get_legend().get_texts()]
    assert {"effect", "always-valid interval", "fixed interval", "horizon", "decided"} <= set(words)
    line = panels[0].lines[0]
    np.testing.assert_allclose(line.get_ydata(), found.treatments[0].looks.effect)
    assert "decided" not in [text.get_text() for text in panels[1].get_legend().get_texts()]


def test_picture_before_anything_is_known() -> None:
    plan = make()
    chance = np.random.default_rng(2)
    early = analyse(plan, log_of(plan, alternating(12), chance.gamma(2.0, 1.0, 12), days=6))
    assert picture_bytes(lambda: experiment_figure(early), "png").startswith(b"\x89PNG")
