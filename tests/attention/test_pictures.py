"""Figures as files.

pictures
├── the same figure is the same bytes, as PNG and as SVG, in a file and in memory; no date in them
├── an ending that is neither: usage error, nothing is drawn
└── a place that cannot be written: said, nothing is left behind
"""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from matplotlib.figure import Figure

from timebank_chain.attention.pictures import picture_bytes, write_picture
from timebank_chain.errors import AttentionError, UsageError


def drawn() -> Figure:
    figure = Figure(figsize=(3.0, 2.0))
    figure.subplots().plot([1, 3, 2], label="as it was")
    figure.legend()
    return figure


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_same_figure_same_bytes(kind: str, tmp_path: Path) -> None:
    content = picture_bytes(drawn, kind)
    write_picture(tmp_path / f"a.{kind.upper()}", drawn)
    assert (tmp_path / f"a.{kind.upper()}").read_bytes() == content
    assert b"Matplotlib v" not in content
    if kind == "svg":
        ElementTree.fromstring(content)  # noqa: S314 - our own text
        assert b"<dc:date>" not in content
    else:
        assert content.startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["a.pdf", "a", ".png"])
def test_other_endings_are_refused(name: str, tmp_path: Path) -> None:
    def never() -> Figure:
        raise AssertionError("it was drawn")

    with pytest.raises(UsageError, match="a picture named") as error:
        write_picture(tmp_path / name, never)
    assert error.value.hint == "end its name in .png or .svg"


def test_unwritable_place_is_said(tmp_path: Path) -> None:
    (tmp_path / "taken.png").mkdir()
    for place in (tmp_path / "nowhere" / "a.png", tmp_path / "taken.png"):
        with pytest.raises(AttentionError, match="cannot write the picture"):
            write_picture(place, drawn)
    assert [one.name for one in tmp_path.iterdir()] == ["taken.png"]
