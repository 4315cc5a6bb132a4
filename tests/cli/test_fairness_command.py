"""timebank fairness report, against a real anvil.

::

    report ........... what everybody has, exact fractions beside their value; text has every measure
    picture .......... readable XML, curves inside the frame, rising from corner to corner
        place ........ tried before anything is read: no folder, a folder itself; a file there is replaced, a
                       link stays one, a device is written to; a disk that fills up later costs no report
    refused .......... from after to; no epochs; a picture nowhere
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.chain_fixtures import free_port
from tests.cli.bank_stage import Stage, run
from timebank_chain.cli import fairness, pictures
from timebank_chain.epoch import read_epoch
from timebank_chain.errors import TimebankError

pytestmark = pytest.mark.anvil
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def busy(stage: Stage) -> Stage:
    """Everybody earned twice; one paid, one only received."""
    stage.done("member2", "wallet", "pay", stage.world.address("payee"), "10")
    stage.done("member1", "wallet", "send", stage.world.address("member3"), "2")
    stage.next_epoch()
    return stage


def test_report(busy: Stage) -> None:
    told = busy.told("fairness", "report")
    assert told["schema"] == "timebank.fairness.report/1"
    headers = [read_epoch(busy.folder / "epochs", number).header for number in (1, 2)]
    earned, fees = told["measures"]["earned"], told["measures"]["fees"]
    assert told["people"] == 5
    assert earned["total_micro"] == sum(header.total_earned for header in headers)
    assert (fees["total_micro"], fees["holders"], fees["gini"]["exact"]) == (50_000, 1, "4/5")
    assert Fraction(earned["gini"]["exact"]) == pytest.approx(earned["gini"]["value"])
    assert earned["theil"] == pytest.approx(earned["theil_within"] + earned["theil_between"], abs=1e-12)
    assert [group["name"] for group in earned["domains"]] == ["general", "(none)"]
    assert [epoch["newcomers"] for epoch in told["epochs"]] == [4, 0]
    assert told["epochs"][1]["mobility"]["rank_correlation"] == 1.0
    assert told["unclaimed_micro"] > 0
    text = run("fairness", "report")
    assert text.code == 0, text.err
    for words in ("Gini", "Theil", "between domains", "Jain", "top 1 %", "fees paid", "5 people"):
        assert words in text.out


def test_picture(busy: Stage) -> None:
    picture = busy.folder / "fairness.svg"
    assert busy.told("fairness", "report", "--svg", picture)["svg"] == str(picture)
    root = ElementTree.fromstring(picture.read_text())  # noqa: S314 - our own text
    width, height = (float(root.attrib[name]) for name in ("width", "height"))
    words = " ".join(text.text or "" for text in root.iter(f"{SVG}text"))
    for name in ("earned", "held", "received", "fees paid"):
        assert f"{name}: Gini" in words
    curves = 0
    for line in root.iter(f"{SVG}polyline"):
        points = [tuple(map(float, point.split(","))) for point in line.attrib["points"].split()]
        assert all(0 <= x <= width and 0 <= y <= height for x, y in points)
        if len(points) > 2:
            curves += 1
            assert points == sorted(points, key=lambda point: (point[0], -point[1]))
    assert curves == 4


def test_the_pictures_place_is_tried_first(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    # Nothing is read from a chain: there is none.
    monkeypatch.setenv("ETH_RPC_URL", f"http://127.0.0.1:{free_port()}")
    (stage.folder / "file").write_text("")
    for place in (stage.folder / "no" / "x.svg", stage.folder, stage.folder / "file" / "x.svg"):
        ran = run("fairness", "report", "--svg", place, "--json")
        assert ran.code == 1
        assert ran.error["message"].startswith("cannot write the picture: ")
        assert ran.error["where"] == str(place)
        assert ran.error["hint"]
    names = {path.name for path in stage.folder.iterdir()}
    assert run("fairness", "report", "--svg", stage.folder / "x.svg", "--json").error["code"] == (
        "ConnectionFailed"
    )
    assert {path.name for path in stage.folder.iterdir()} == names


def test_pictures_are_written_in_one_step(tmp_path: Path) -> None:
    target, link = tmp_path / "a.svg", tmp_path / "link.svg"
    target.write_text("before")
    link.symlink_to(target)
    pictures.check_place(link)
    assert target.read_text() == "before"
    pictures.write_picture(link, b"<svg/>")
    assert link.is_symlink() and target.read_bytes() == b"<svg/>"
    assert {path.name for path in tmp_path.iterdir()} == {"a.svg", "link.svg"}
    null = Path("/dev/null")
    pictures.check_place(null)
    pictures.write_picture(null, b"<svg/>")
    assert null.is_char_device()


def test_a_disk_that_fills_up_costs_the_picture_alone(busy: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_path: Path, _svg: bytes) -> None:
        raise TimebankError("cannot write the picture: No space left on device", hint="make room")

    # A full disk between the trial and the writing cannot be had otherwise.
    monkeypatch.setattr(fairness, "write_picture", full)
    ran = run("fairness", "report", "--svg", busy.folder / "x.svg")
    assert ran.code == 1
    assert "Gini" in ran.out
    assert "No space left" in ran.err


def test_refused(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = run("fairness", "report", "--from", 2, "--to", 1, "--json")
    assert (ran.code, ran.error["message"]) == (2, "epochs 2 to 1")
    assert run("fairness", "report", "--svg", stage.folder / "no" / "x.svg", "--json").code == 1
    monkeypatch.delenv("TIMEBANK_EPOCHS")
    assert run("fairness", "report", "--json").code == 2
