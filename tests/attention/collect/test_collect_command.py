"""timebank attention collect, as a person at a terminal meets it.

collect
├── several sources into one feed: files, counts, quality, JSON document; the same data hash as CSV
├── to the ledger: --activity, then timebank ingest csv reads it
├── features: scaled, learned from before --fit-until; parameters in the manifest
├── --strict: 3 with a fault, 0 without
├── a run without rejects leaves no rejects of an earlier run
├── nothing usable: trouble, the rejects are written, no feed is
└── wrong usage: named before anything is read
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from tests.attention.collect.builders import NOON_MS, activity, envelope, statement, write
from tests.attention.collect.test_records import LOG, MAPPING
from tests.cli.bank_stage import Ran, run
from timebank_chain.activity import read_activity
from timebank_chain.attention.collect import read_feed, scaling_from_document

DAY_MS = 86_400_000


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of one file of each kind, and the working directory."""
    monkeypatch.chdir(tmp_path)
    note = {"type": "Note", "id": "https://example.org/notes/1"}
    made = activity(
        id="https://example.org/makes/1", type="Create", object=note, actor="https://example.org/maker"
    )
    write(tmp_path / "as.jsonl", made, activity(published="2024-01-01T13:00:00Z"))
    write(tmp_path / "xapi.jsonl", statement())
    write(tmp_path / "ce.jsonl", envelope())
    (tmp_path / "access.log").write_text(LOG + "\n")
    (tmp_path / "room.csv").write_text("badge,entered,room,stayed\nada,02.01.2024 13:00,A,30\n")
    (tmp_path / "room.toml").write_text(MAPPING)
    (tmp_path / "aliases.csv").write_text("alias,member\nada@example.org,ada\nhttps://example.org/ada,ada\n")
    return tmp_path


INPUTS = (
    "--activitystreams", "as.jsonl", "--xapi", "xapi.jsonl", "--cloudevents", "ce.jsonl",
    "--weblog", "access.log", "--table", "room.csv=room.toml", "--aliases", "aliases.csv",
)  # fmt: skip


def collect(*arguments: object) -> Ran:
    return run("attention", "collect", *arguments)


def document(*arguments: object) -> dict[str, Any]:
    ran = collect(*arguments, "--json")
    assert ran.code == 0, ran.out + ran.err
    return ran.document


def test_several_sources_become_one_feed(folder: Path) -> None:
    told = document(*INPUTS, "-o", "feed.parquet", "--quality", "quality.json", "--strict")
    assert told["schema"] == "timebank.attention.collect/1"
    assert (told["read"], told["rows"], told["rejected"], told["members"]) == (6, 6, 0, 2)
    assert told["faults"] == []
    feed = read_feed(folder / "feed.parquet", data_hash=told["data_sha256"])
    assert set(feed.source) == {"activitystreams", "xapi", "https://example.org/app", "weblog", "room"}
    assert feed.member.count("ada") == 5
    assert feed.at_ms.tolist()[:4] == [NOON_MS] * 4
    assert 1_800.0 in feed.value.tolist()
    assert not (folder / "feed.rejects.csv").exists()
    kept = json.loads((folder / "feed.manifest.json").read_text())
    assert kept["data_sha256"] == told["data_sha256"]
    assert [one["kind"] for one in kept["inputs"]] == [
        "activitystreams", "xapi", "cloudevents", "table", "table", "weblog",
    ]  # fmt: skip
    quality = json.loads((folder / "quality.json").read_text())
    assert quality["schema"] == "timebank.attention.quality/1"
    assert {one["name"]: one["rows"] for one in quality["columns"]}["value"] == 6
    again = document(*INPUTS, "-o", "feed.csv")
    assert again["data_sha256"] == told["data_sha256"]
    assert list(read_feed(folder / "feed.csv").rows()) == list(feed.rows())


def test_the_text_shows_the_report_and_what_became_of_all(folder: Path) -> None:
    write(
        folder / "more.jsonl",
        activity(),
        activity(),
        activity(published=None, id="https://example.org/x"),
        {"a": 1},
    )
    ran = collect("--activitystreams", "more.jsonl", "-o", "feed.parquet")
    assert ran.code == 0, ran.err
    assert "4 read = 1 kept + 3 turned away" in ran.out
    for words in (
        "Quality",
        "infinite",
        "1 duplicate",
        "1 no time",
        "1 neither activity nor authored",
        "data sha256",
    ):
        assert words in ran.out
    assert "2 valid records give no event" in ran.err
    with (folder / "feed.rejects.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["line"], row["field"]) for row in rows] == [
        ("2", "$.id"),
        ("3", "$.published"),
        ("4", "$.actor"),
    ]
    assert json.loads(rows[2]["record"]) == {"a": 1}


def test_the_feed_goes_on_to_the_ledger(folder: Path) -> None:
    told = document(*INPUTS, "-o", "feed.parquet", "--activity", "acts.csv", "--window", "1d")
    assert told["activity"] == {"file": "acts.csv", "acts": 1, "window_ms": DAY_MS, "window_open": 0}
    ran = run("ingest", "csv", "acts.csv", "-o", "activity.parquet", "--json")
    assert ran.code == 0, ran.out
    table = read_activity(folder / "activity.parquet")
    assert (table.member, table.domain) == (["https://example.org/maker"], ["note"])
    assert (table.engagement_milli.tolist(), table.interaction_milli.tolist()) == ([1_000], [0])
    assert table.window_ms.tolist() == [DAY_MS]


def test_features_are_scaled_by_what_was_known(folder: Path) -> None:
    features = ("--features", "daily.csv", "--bucket", "1d", "--fill")
    plain = document(*INPUTS, "-o", "feed.parquet", *features)
    assert plain["features"]["scaling"] is None
    told = document(
        *INPUTS, "-o", "feed.parquet", *features, "--scale", "zscore", "--fit-until", "2024-01-02T00:00:00Z"
    )
    scaling = scaling_from_document(told["features"]["scaling"])
    names = {column.name: column for column in scaling.columns}
    # Of three spans two ended by then; nobody had been seen before, so there is no age to scale.
    assert names["events"].fitted_on == 2
    assert told["features"]["left_out"] == ["since_ms"]
    assert "since_ms" not in names
    with (folder / "daily.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["member"] for row in rows] == ["ada", "ada", "https://example.org/maker"]
    assert "since_ms" not in rows[0]
    events = [float(row["events"]) for row in rows]
    assert events[0] == pytest.approx((4 - names["events"].centre) / names["events"].spread)
    assert json.loads((folder / "feed.manifest.json").read_text())["features"] == told["features"]


def test_a_scaling_that_nothing_can_be_learned_for_is_trouble(folder: Path) -> None:
    options = (
        "--features",
        "daily.csv",
        "--scale",
        "robust",
        "--fit-until",
        "2023-01-01T00:00:00Z",
        "--json",
    )
    ran = collect(*INPUTS, "-o", "feed.parquet", *options)
    assert (ran.code, ran.error["message"]) == (1, "no row to learn a scaling from")
    assert not (folder / "feed.parquet").exists()
    alone = ("--xapi", "xapi.jsonl", "-o", "feed.parquet", "--features", "daily.csv", "--strict")
    assert document(*alone)["features"]["left_out"] == ["since_ms"]


def test_strict_ends_with_3_when_there_is_a_fault(folder: Path) -> None:
    write(folder / "bad.jsonl", statement(), {"id": 5})
    ran = collect("--xapi", "bad.jsonl", "-o", "feed.parquet", "--strict")
    assert ran.code == 3
    assert "fault: 1 records were refused" in ran.err
    assert collect("--xapi", "bad.jsonl", "-o", "feed.parquet").code == 0
    assert (folder / "feed.rejects.csv").exists()
    assert collect("--xapi", "xapi.jsonl", "-o", "feed.parquet", "--strict").code == 0
    # The other run's rejects must not pass for this one's.
    assert (folder / "feed.rejects.csv").read_text().count("\n") == 1


def test_nothing_usable_is_trouble_and_nothing_is_lost(folder: Path) -> None:
    write(folder / "bad.jsonl", {"id": 5})
    ran = collect("--xapi", "bad.jsonl", "-o", "feed.parquet", "--json")
    assert (ran.code, ran.error["code"]) == (1, "AttentionError")
    assert "no event is left of 1 read (1 refused)" in ran.error["message"]
    assert "$.actor" in (folder / "feed.rejects.csv").read_text()
    assert not (folder / "feed.parquet").exists()
    (folder / "empty.jsonl").write_text("")
    ran = collect("--xapi", "empty.jsonl", "-o", "feed.parquet", "--json")
    assert (ran.code, ran.error["where"]) == (1, "empty.jsonl")
    ran = collect("--xapi", "xapi.jsonl", "-o", "feed.parquet", "--activity", "acts.csv", "--json")
    assert (ran.code, "nobody made anything" in ran.error["message"]) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "f.parquet"], "nothing to collect"),
        (["--xapi", "none", "-o", "f.parquet"], "--xapi names no file"),
        (["--table", "room.csv", "-o", "f.parquet"], "--table has no mapping"),
        (["--xapi", "xapi.jsonl", "-o", "xapi.jsonl"], "--output would overwrite an input"),
        (["--xapi", "xapi.jsonl", "-o", "none/f"], "lies in no folder"),
        (["--xapi", "xapi.jsonl", "-o", "."], "--output is a folder"),
        (["--xapi", "xapi.jsonl", "-o", "f", "--rejects", "f"], "are the same file"),
        (["--xapi", "xapi.jsonl", "-o", "f", "--scale", "log", "--features", "g"], "--scale is 'log'"),
        (["--xapi", "xapi.jsonl", "-o", "f", "--scale", "zscore"], "are about features"),
        (["--xapi", "xapi.jsonl", "-o", "f", "--bucket", "soon"], "--bucket: not a duration"),
        (["--xapi", "xapi.jsonl", "-o", "f", "--features", "g", "--fit-until", "2024"], "--fit-until"),
    ],
)
def test_wrong_usage_is_named_before_anything_is_read(
    folder: Path, arguments: list[str], message: str
) -> None:
    before = sorted(folder.iterdir())
    if arguments[-1] == "2024":
        arguments = [*arguments[:-1], "2024-01-01T00:00:00"]
    ran = collect(*arguments, "--json")
    assert ran.code == 2, ran.out
    assert message in ran.error["message"]
    assert sorted(folder.iterdir()) == before


def test_help_has_examples_and_the_way_to_the_ledger() -> None:
    text = collect("--help").out
    assert text.count("Example: timebank attention collect") == 3
    assert "timebank ingest csv" in text
