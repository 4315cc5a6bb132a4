"""People who asked to be forgotten do not come back with the next collection; numbers that are none.

erased ............ by member, by alias, by an event's id; of their rejects nothing but place and reason
                    others' events lose their name; what they took back stays taken back
                    nothing of anybody else changes
command ........... --erased turns away and counts; a list that is not there is wrong usage
numbers ........... what a unit makes too large is a reject, with field and reason; so are 1_000 and digits of
                    other scripts; the rest of the table is kept
features .......... sums beyond all numbers are refused with member and span
"""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import pytest

from tests.attention.collect.builders import DAY_MS, NOW_MS, collected, event, feed, write
from tests.attention.collect.builders import statement as xapi_statement
from tests.cli.bank_stage import run
from timebank_chain.activity.erased import REASON, Erased, new_erased, write_erased
from timebank_chain.attention.collect import (
    Fault,
    NothingToCount,
    Reading,
    Retraction,
    bucket_features,
    build_feed,
    read_feed,
)
from timebank_chain.errors import AttentionError

ADA = "ada@example.org"
MAPPING = """
schema = "timebank.feed-mapping/1"
unit = "min"
[fields.member]
column = "badge"
[fields.at]
column = "at"
[fields.verb]
constant = "attend"
[fields.value]
column = "stayed"
"""


@pytest.fixture
def forgotten() -> Erased:
    return new_erased().with_person(ADA, ["e7"], [])


def test_their_events_are_turned_away_whatever_they_are_called(forgotten: Erased) -> None:
    result = collected(
        event(1, member=ADA),
        event(2, member="acct:ada"),
        event(7, member="deleted-user"),
        event(3, member="ben", object=ADA),
        event(4, member="ben", object="acct:ada"),
        event(5, member="ben"),
        aliases={"acct:ada": ADA},
        erased=forgotten,
    )
    assert result.feed.id == ["e3", "e4", "e5"]
    assert result.feed.object == ["[erased]", "[erased]", "page"]
    assert (result.erased, len(result.rejects)) == (3, 3)
    assert {(one.id, one.reason, one.record) for one in result.rejects} == {("", REASON, "")}


def test_nothing_of_what_was_refused_is_kept_of_them(forgotten: Erased) -> None:
    texts = [
        f'1.2.3.4 - {ADA} [01/Jan/2024:12:00:00 +0000] "GET / HTTP/1.1" 404 1',
        json.dumps({"actor": {"mbox": f"mailto:{ADA}"}}),
        f"{ADA},01.01.2024,A",
        "ben,01.01.2024,A",
    ]
    found = [
        Fault("$", "is wrong"),
        NothingToCount("$", "nothing"),
        Fault("$", "is wrong"),
        Fault("$", "is wrong"),
    ]
    readings = [
        Reading("f", line, text, one) for line, (text, one) in enumerate(zip(texts, found, strict=True))
    ]
    result = build_feed(readings, now_ms=NOW_MS, erased=forgotten)
    assert [one.record for one in result.rejects] == ["", "", "", texts[-1]]
    assert (result.erased, result.refused, result.uncounted) == (3, 1, 0)


def test_others_rejects_lose_the_record_that_names_them(forgotten: Erased) -> None:
    text = json.dumps({"actor": "ben", "object": f"about {ADA}, and more"})
    again = event(1, member="ben")
    readings = [
        Reading("f", line, text, one) for line, one in enumerate((again, again, event(2, at_ms=NOW_MS + 1)))
    ]
    result = build_feed(readings, now_ms=NOW_MS, erased=forgotten)
    assert (result.feed.id, result.erased) == (["e1"], 0)
    assert [(one.record, one.reason) for one in result.rejects] == [("", "duplicate"), ("", "refused")]


def test_what_they_took_back_stays_taken_back(forgotten: Erased) -> None:
    undo = Retraction("$", "takes back", source="s", id="e1", member=None)
    readings = [Reading("f", 1, "e1", event(1, member="ben")), Reading("f", 2, json.dumps({"by": ADA}), undo)]
    result = build_feed(readings, now_ms=NOW_MS, erased=forgotten)
    assert (len(result.feed), result.retracted, result.erased) == (0, 1, 1)


def test_the_command_turns_them_away(
    tmp_path: Path, forgotten: Erased, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "xapi.jsonl", xapi_statement())
    (tmp_path / "room.csv").write_text(
        f"badge,at,stayed\n{ADA},2024-01-01T12:00:00Z,2\nben,2024-01-01T12:00:00Z,2\n"
    )
    (tmp_path / "room.toml").write_text(MAPPING)
    (tmp_path / "aliases.csv").write_text(f"alias,member\nmailto:{ADA},ada\n")
    write_erased(forgotten.with_person("ada", [], []), tmp_path / "erased.json")
    inputs = (
        "--xapi",
        "xapi.jsonl",
        "--table",
        "room.csv=room.toml",
        "--aliases",
        "aliases.csv",
        "-o",
        "feed.csv",
    )
    ran = run("attention", "collect", *inputs, "--erased", "erased.json", "--json")
    assert ran.code == 0, ran.out + ran.err
    assert (ran.document["rows"], ran.document["erased"], ran.document["rejected"]) == (1, 2, 2)
    for name in ("feed.csv", "feed.rejects.csv", "feed.manifest.json"):
        assert "ada" not in (tmp_path / name).read_text(), name
    ran = run("attention", "collect", *inputs, "--erased", "none.json")
    assert (ran.code, "--erased" in ran.err) == (2, True)


def test_numbers_that_are_none_are_rejected_and_the_others_kept(tmp_path: Path) -> None:
    cells = ["1e308", "1_000", "\u0661\u0662", "12", "-1.5e1", ".5", "", "0x10", "1e999"]
    with (tmp_path / "room.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(
            [
                ["badge", "at", "stayed"],
                *([f"m{n}", "2024-01-01T12:00:00Z", cell] for n, cell in enumerate(cells)),
            ]
        )
    (tmp_path / "room.toml").write_text(MAPPING)
    out = tmp_path / "feed.parquet"
    ran = run(
        "attention",
        "collect",
        "--table",
        f"{tmp_path / 'room.csv'}={tmp_path / 'room.toml'}",
        "-o",
        out,
        "--json",
    )
    assert ran.code == 0, ran.out + ran.err
    kept = read_feed(out)
    values = dict(zip(kept.member, kept.value.tolist(), strict=True))
    assert math.isnan(values.pop("m6"))
    assert values == {"m3": 720.0, "m4": -900.0, "m5": 30.0}
    with (tmp_path / "feed.rejects.csv").open(newline="", encoding="utf-8") as file:
        rejects = {row["line"]: (row["field"], row["reason"]) for row in csv.DictReader(file)}
    assert set(rejects) == {"2", "3", "4", "9", "10"}
    assert {field for field, _ in rejects.values()} == {"$.value"}
    assert "too large: 1e+308 min" in rejects["2"][1]
    assert all("not a number" in rejects[line][1] for line in ("3", "4", "9"))


def test_sums_beyond_all_numbers_are_refused_by_name() -> None:
    huge = feed(event(n, member="ben", value=1e308, unit="s") for n in (1, 2))
    with pytest.raises(AttentionError, match=r"'ben' in s add up .* 2024-01-01") as caught:
        bucket_features(huge, DAY_MS)
    assert caught.value.hint
