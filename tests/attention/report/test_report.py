"""One page a run.

page
├── the same sections are the same bytes; it parses as HTML, every link leads to a part
├── words from outside are escaped, in titles, tables, words of pictures and sources
├── nothing is loaded from elsewhere: no script, no address but the pictures within
└── a row that does not fit its columns is an error of ours, not a crooked table
command
├── feed, model, recommender, experiment: each part with its figures, as the other commands say them
├── who stands out is judged over the span that `suspects` judges, of acts that settle after they are done
├── a feed too short, a broken model, arms that do not fit: the page is written with the rest, says so where
│   the part would stand, and the exit code is what the part would have by itself
└── nothing to report, a plan without its log, no such folder: usage errors, nothing is written
"""

from __future__ import annotations

import io
import json
import re
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from tests.attention.monitor.test_suspicion import WEEK_MS, community
from tests.attention.recommend import planted
from timebank_chain.activity import write_activity
from timebank_chain.attention.report import Picture, Section, Table, render
from timebank_chain.cli import main
from timebank_chain.units import format_time

HOUR_MS = 3_600_000
START_MS = 1_700_006_400_000


class Reader(HTMLParser):
    """Collects tags, attributes and text; the standard parser is lenient, so nesting is checked here."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in {"meta", "img"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    assert not reader.open
    return reader


def drawn() -> Figure:
    figure = Figure(figsize=(2.0, 1.0))
    figure.subplots().plot([1, 2])
    return figure


def run(*arguments: object) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        # The entry point without a process for each of many cases.
        patch.setattr(sys, "argv", ["timebank", "attention", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main.run()
    return int(ended.value.code or 0), out.getvalue(), err.getvalue()


def test_page_is_whole_and_the_same_twice() -> None:
    sections = [
        Section("First", "a file", parts=["words", Picture(drawn, "a line")]),
        Section("Second", "b", warning="careful", parts=[Table("t", ["a", ">b"], [("x", 1), ("y", 2)])]),
    ]
    page = render("Title", "Made now", sections)
    assert page == render("Title", "Made now", sections)
    reader = read(page)
    identifiers = {value for name, value in reader.attributes if name == "id"}
    links = [value for name, value in reader.attributes if name == "href"]
    assert [link.removeprefix("#") in identifiers for link in links] == [True, True]
    assert reader.tags.count("td") == 4
    assert ("class", "number") in reader.attributes
    assert "careful" in reader.text


def test_words_from_outside_stay_words() -> None:
    bad = '<script>alert("1")</script>&'
    parts = [bad, Table(bad, [bad], [(bad,)]), Picture(drawn, bad)]
    page = render(bad, bad, [Section(bad, bad, warning=bad, parts=parts)])
    reader = read(page)
    assert "script" not in reader.tags
    assert reader.text.count(bad) == 12
    assert ("alt", bad) in reader.attributes


def test_nothing_is_loaded_from_elsewhere() -> None:
    page = render("t", "m", [Section("s", "f", parts=[Picture(drawn, "a line")])])
    reader = read(page)
    sources = [value for name, value in reader.attributes if name in {"src", "href"} and value[0] != "#"]
    assert len(sources) == 1
    assert sources[0].startswith("data:image/svg+xml;base64,")
    assert not re.search(r"https?://", re.sub(r"base64,[^\"]*", "", page))


def test_row_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(ValueError, match="zip"):
        render("t", "m", [Section("s", "f", parts=[Table("t", ["a", "b"], [("only one",)])])])


def feed(path: Path, hours: int) -> Path:
    """Write acts of forty members over so many hours, a third of them in the first hours of each day."""
    chance = np.random.default_rng(3)
    lines = ["id,member,domain,occurred,interaction,originality,engagement"]
    for hour in range(hours):
        for number in range(int(chance.poisson(2.0 if hour % 24 < 8 else 1.0))):
            at = START_MS + hour * HOUR_MS + int(chance.integers(HOUR_MS))
            member = f"person {int(chance.integers(40))}"
            lines.append(f"{hour}-{number},{member},code,{at},{int(chance.integers(1, 9))},1,2")
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def experiment_files(folder: Path) -> tuple[Path, Path]:
    plan, members = folder / "plan.json", folder / "members.csv"
    start = "2026-01-01T00:00:00Z"
    code, _, err = run(
        "experiment", "plan", "--metric", "replies", "--baseline", 2, "--spread", 1, "--effect", "0.4",
        "--start", start, "--backdated", "-o", plan,
    )  # fmt: skip
    assert code == 0, err
    members.write_text("member\n" + "".join(f"m{one}\n" for one in range(300)), "utf-8")
    assigned = folder / "assigned.csv"
    code, _, err = run("experiment", "assign", plan, members, "-o", assigned)
    assert code == 0, err
    chance = np.random.default_rng(5)
    rows = [line.split(",")[:2] for line in assigned.read_text("utf-8").splitlines()[1:]]
    arms = sorted({arm for _, arm in rows})
    lines = []
    for number, (member, arm) in enumerate(rows):
        replies = chance.normal(2.0 + (arm != arms[0]), 1.0)
        lines.append(f"{member},{arm},2026-01-{2 + number % 9:02}T12:00:00Z,{replies:.3f}")
    log = folder / "log.csv"
    log.write_text("member,arm,at,replies\n" + "\n".join(lines) + "\n", "utf-8")
    return plan, log


def test_everything_in_one_page(tmp_path: Path) -> None:
    history = planted.write(tmp_path / "took.csv")
    kept = tmp_path / "community.recommender"
    assert run("recommend", "train", history, "-o", kept, "--split", "last:2")[0] == 0
    chance = np.random.default_rng(0)
    posts = ["posted,replies,words,topic"]
    for number in range(400):
        words = int(chance.integers(1, 400))
        replies = int(chance.poisson(words / 40 + 3 * (number % 3 == 0)))
        posted = f"2026-{1 + number // 100:02}-{1 + number % 28:02}T{number % 24:02}:00:00Z"
        posts.append(f"{posted},{replies},{words},topic{number % 3}")
    table = tmp_path / "posts.csv"
    table.write_text("\n".join(posts) + "\n", "utf-8")
    learned = tmp_path / "a.model"
    code, _, err = run(
        "model", "train", table, "--time", "posted", "--target", "replies", "--categorical", "topic",
        "--trust", "words", "--families", "ridge", "-o", learned,
    )  # fmt: skip
    assert code == 0, err
    plan, log = experiment_files(tmp_path)
    page = tmp_path / "report.html"
    code, out, err = run(
        "report", "--feed", feed(tmp_path / "feed.csv", 24 * 60), "--model", learned, "--recommender", kept,
        "--plan", plan, "--log", log, "-o", page, "--json",
    )  # fmt: skip
    assert code == 0, out
    document = json.loads(out)
    assert document["failed"] == []
    assert document["sections"][:3] == ["What comes next", "What does not fit", "Who stands out"]
    assert len(document["sections"]) == 6
    reader = read(page.read_text("utf-8"))
    assert reader.tags.count("img") == 5
    card = json.loads(run("model", "card", learned, "--json")[1])["card"]
    assert f"{card['rehearsal']['model']['mse']:.4g}" in reader.text
    judged = json.loads(run("recommend", "evaluate", history, "--split", "last:2", "--json")[1])
    assert f"{judged['guarded']['recall']:.4f}" in reader.text
    assert "ship" in reader.text
    assert "BACKDATED: planned " in reader.text


def test_feed_too_short_is_said_in_the_page(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    code, _, err = run("report", "--feed", feed(tmp_path / "feed.csv", 30), "-o", page)
    assert code == 1
    assert "error:" in err
    assert "Not made: " in read(page.read_text("utf-8")).text


def test_a_feed_that_cannot_be_read_takes_nothing_else_away(tmp_path: Path) -> None:
    history = planted.write(tmp_path / "took.csv")
    kept, feed_file = tmp_path / "community.recommender", tmp_path / "bad.parquet"
    assert run("recommend", "train", history, "-o", kept, "--split", "last:2")[0] == 0
    feed_file.write_bytes(b"PAR1xxxxPAR1")
    page = tmp_path / "report.html"
    code, out, _ = run("report", "--feed", feed_file, "--recommender", kept, "-o", page, "--json")
    assert (code, json.loads(out)["sections"]) == (1, ["The feed", "What members may like next"])
    assert "Not made: " in read(page.read_text("utf-8")).text


def test_what_cannot_be_made_takes_nothing_else_away(tmp_path: Path) -> None:
    history = planted.write(tmp_path / "took.csv")
    kept = tmp_path / "community.recommender"
    assert run("recommend", "train", history, "-o", kept, "--split", "last:2")[0] == 0
    broken = tmp_path / "broken.model"
    broken.write_bytes(b"PK\x03\x04 and no more")
    plan, log = experiment_files(tmp_path)
    header, *rows = log.read_text("utf-8").splitlines()
    control = sorted({row.split(",")[1] for row in rows})[0]
    # Arms lost unevenly: nothing can be concluded.
    kept_rows = [row for row in rows if row.split(",")[1] != control]
    kept_rows += [row for row in rows if row.split(",")[1] == control][:20]
    log.write_text("\n".join([header, *kept_rows]) + "\n", "utf-8")
    page = tmp_path / "report.html"
    code, out, _ = run("report", "--recommender", kept, "--plan", plan, "--log", log, "-o", page, "--json")
    assert (code, len(json.loads(out)["failed"])) == (3, 1)
    text = read(page.read_text("utf-8")).text
    assert "Not made: " in text
    assert "Chosen on validation rows" in text
    code, out, _ = run("report", "--model", broken, "--recommender", kept, "-o", page, "--json")
    assert (code, len(json.loads(out)["failed"])) == (1, 1)
    assert "Chosen on validation rows" in read(page.read_text("utf-8")).text


def test_who_stands_out_is_judged_over_the_same_span(tmp_path: Path) -> None:
    table, page = tmp_path / "activity.parquet", tmp_path / "report.html"
    acts = community(people=60, bots=False)
    write_activity(replace(acts, window_ms=np.full(len(acts), WEEK_MS, dtype=np.int64)), table)
    code, out, _ = run("suspects", table, "--span", "28d", "--top", 100, "--json")
    found = json.loads(out)
    assert code == 0
    code, _, err = run("report", "--feed", table, "-o", page)
    assert code == 0, err
    words = f"{len(found['found'])} members have acts enough to be scored, {found['unscored']} have not."
    assert words in read(page.read_text("utf-8")).text
    span = f"acts that settled from {format_time(found['startMs'])} to {format_time(found['endMs'])}"
    assert span in read(page.read_text("utf-8")).text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "nothing to report"),
        (("--plan", "p"), "both --plan and --log"),
        (("--exposures", "e", "--feed", "f"), "--exposures belongs"),
        (("--feed", "FOLDER/no-such"), "no such feed"),
    ],
)
def test_wrong_use_writes_nothing(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    given = [one.replace("FOLDER", str(tmp_path)) for one in arguments]
    code, _, err = run("report", *given, "-o", tmp_path / "r.html")
    assert (code, words in err) == (2, True), err
    code, _, err = run("report", "--feed", tmp_path, "-o", tmp_path / "no" / "r.html")
    assert (code, "lies in no folder that is there" in err) == (2, True), err
    assert not list(tmp_path.iterdir())
