"""An experiment as a picture.

plots
├── a panel a treatment, effect and both intervals in it; horizon, decision and alarms where they are
├── the same analysis gives the same bytes, PNG and SVG
├── before anything is known there is a picture too
└── another ending is refused; a failed write leaves nothing
"""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from tests.attention.experiment.builders import alternating, log_of, make
from timebank_chain.attention.experiment.analyse import Analysis, analyse
from timebank_chain.attention.experiment.plan import Arm
from timebank_chain.attention.experiment.plots import (
    draw_experiment,
    experiment_figure,
    write_experiment_figure,
)
from timebank_chain.errors import UsageError


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


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_same_bytes(kind: str, tmp_path: Path) -> None:
    found = analysed()
    content = draw_experiment(found, kind)
    write_experiment_figure(tmp_path / f"a.{kind}", analysed())
    assert (tmp_path / f"a.{kind}").read_bytes() == content
    if kind == "svg":
        ElementTree.fromstring(content)  # noqa: S314 - our own text
    else:
        assert content.startswith(b"\x89PNG")


def test_picture_before_anything_is_known() -> None:
    plan = make()
    chance = np.random.default_rng(2)
    early = analyse(plan, log_of(plan, alternating(12), chance.gamma(2.0, 1.0, 12), days=6))
    assert draw_experiment(early, "png").startswith(b"\x89PNG")


def test_other_endings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"kind 'pdf'"):
        write_experiment_figure(tmp_path / "a.pdf", analysed(200))
    with pytest.raises(UsageError, match="cannot write"):
        write_experiment_figure(tmp_path / "nowhere" / "a.png", analysed(200))
    assert not list(tmp_path.iterdir())
