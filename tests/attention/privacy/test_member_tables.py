"""Erasing and retaining in what `timebank attention collect` writes, and under what sources call a member.

feed .............. rows out of Parquet and CSV, objects redacted, data hash and manifest agree
                    ids that are numbers or short words are matched whole, and nobody else's
features .......... rows out, the manifest counts anew; an activity file likewise
packed ............ feed.csv.gz and feed.jsonl.gz are rewritten and stay packed
rejects ........... a web log's lines, rows of a table, documents; short ids by whole cells
aliases ........... documents, rows, rejects and the alias file itself; a dry run sees the same
                    what comes under an alias later is known to the list
                    an alias is refused, by erasure and export: it is half of a person
retention ......... at_ms and start_ms are times; the feed stays readable
dry run ........... says what would be left named, and changes nothing
holds ............. beside the epochs, always looked into
"""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.attention.collect.builders import DAY_MS, NOON_MS, collected, event
from timebank_chain.activity.clean import Reject, write_rejects
from timebank_chain.activity.erased import load_erased
from timebank_chain.attention.collect import manifest, read_feed, write_feed
from timebank_chain.attention.collect.feed import COLUMNS
from timebank_chain.attention.collect.files import file_sha256, write_json
from timebank_chain.attention.privacy.erasure import Erasure, Oracle, erase_person
from timebank_chain.attention.privacy.person import Search
from timebank_chain.attention.privacy.places import Kind, places
from timebank_chain.attention.privacy.retention import YOUNG, Rule, retain
from timebank_chain.errors import AttentionError

ADA = "ada@example.org"
#: Ids that stand anywhere by chance, and one that does not.
IDS = ("4711", "ben", ADA)
Erase = Callable[..., Erasure]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "data"
    made.mkdir()
    return made


@pytest.fixture
def erase(folder: Path, tmp_path: Path) -> Erase:
    def run(member: str = ADA, *, dry_run: bool = False, epochs: Path | None = None) -> Erasure:
        return erase_person(
            Search(tuple(places([folder]))),
            member,
            erased_file=tmp_path / "erased.json",
            oracle=Oracle(),
            epochs=epochs,
            dry_run=dry_run,
        )

    return run


def joined(folder: Path, member: str, name: str = "feed.parquet") -> Path:
    """Write a feed in which a member acts and is acted upon, and the manifest that goes with it."""
    result = collected(
        event(1, member=member),
        event(2, member="cy", object=member),
        event(3, member="cy", object="page", value=4711.0, unit="count"),
        event(4, member=f"{member}x", object=f"{member}x"),
        event(5, member=member, object="page"),
    )
    path = folder / name
    write_feed(result.feed, path)
    more = {"features": {"file": "daily.csv", "rows": 3}, "activity": {"file": "acts.csv", "acts": 2}}
    stem = name.partition(".")[0]
    document = manifest(result, output=path, inputs=[], made_at_ms=NOON_MS, more=more)
    write_json(folder / f"{stem}.manifest.json", document)
    return path


def told(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / "feed.manifest.json").read_text())
    return document


@pytest.mark.parametrize("member", IDS)
@pytest.mark.parametrize("name", ["feed.parquet", "feed.csv"])
def test_a_feed_and_its_manifest_stay_agreed(folder: Path, erase: Erase, member: str, name: str) -> None:
    path = joined(folder, member, name)
    before = told(folder)
    result = erase(member)
    assert (result.changed, result.redacted, result.left) == ({str(path): 2}, 1, {})
    feed = read_feed(path, data_hash=told(folder)["data_sha256"])
    assert feed.member == ["cy", "cy", f"{member}x"]
    assert feed.object == ["[erased]", "page", f"{member}x"]
    assert feed.id == ["e2", "e3", "e4"]
    after = told(folder)
    assert after["file_sha256"] == file_sha256(path)
    assert (after["rows"], after["members"], before["rows"]) == (3, 2, 5)
    assert (after["first_ms"], after["last_ms"]) == (int(feed.at_ms[0]), int(feed.at_ms[-1]))
    assert after["features"] == before["features"]
    assert erase(member).nothing_to_do


def test_features_and_activity_are_counted_anew(folder: Path, erase: Erase) -> None:
    joined(folder, "4711")
    (folder / "daily.csv").write_text(
        "member,start_ms,events\n4711,1704067200000,2\ncy,1704067200000,4711\n4712,1704067200000,1\n"
    )
    (folder / "acts.csv").write_text(
        "id,member,domain,occurred,window,interaction,originality,engagement\n"
        "e1,4711,web,1704110400000,14d,1,1,1\ne4,cy,web,1704110400000,14d,1,1,1\n"
    )
    changed = erase("4711").changed
    assert {Path(name).name: count for name, count in changed.items()} == {
        "feed.parquet": 2, "daily.csv": 1, "acts.csv": 1,
    }  # fmt: skip
    assert (folder / "daily.csv").read_text().split() == [
        "member,start_ms,events", "cy,1704067200000,4711", "4712,1704067200000,1",
    ]  # fmt: skip
    assert (told(folder)["features"]["rows"], told(folder)["activity"]["acts"]) == (2, 1)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.sampled_from(["4711", "47", "ben", "bens"]), st.sampled_from(["47", "ben", "p"])))
)
def test_only_whole_ids_are_matched(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("feed")
    path = folder / "feed.csv"
    write_feed(collected(*(event(n, member=m, object=o) for n, (m, o) in enumerate(rows, 1))).feed, path)
    if any(member == "ben" for member, _ in rows):
        erase_person(
            Search(tuple(places([folder]))), "ben", erased_file=folder / "erased.json", oracle=Oracle()
        )
    expected = [
        (member, "[erased]" if thing == "ben" and any(m == "ben" for m, _ in rows) else thing)
        for member, thing in rows
        if member != "ben"
    ]
    feed = read_feed(path)
    assert list(zip(feed.member, feed.object, strict=True)) == expected


@pytest.mark.parametrize("name", ["old.csv.gz", "old.jsonl.gz"])
def test_packed_feeds_are_rewritten_and_stay_packed(folder: Path, erase: Erase, name: str) -> None:
    rows = [{"member": ADA, "note": "x"}, {"member": "ben", "note": f"thanks {ADA}"}]
    if name.startswith("old.csv"):
        text = "member,note\n" + "".join(f"{row['member']},{row['note']}\n" for row in rows)
    else:
        text = "".join(json.dumps(row) + "\n" for row in rows)
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()))
    result = erase()
    assert (result.changed, result.redacted, result.left) == ({str(path): 1}, 1, {})
    new = gzip.decompress(path.read_bytes()).decode()
    assert (ADA in new, "thanks [erased]" in new, "ben" in new) == (False, True, True)


def test_a_name_behind_an_escape_is_taken_out_of_a_line(folder: Path, erase: Erase) -> None:
    path = folder / "notes.jsonl"
    path.write_text('{"member": "ben", "n": 1.50, "note": "thanks ada\\u0040example.org"}\n')
    result = erase_with_feed(folder, erase)
    assert (result.left, result.redacted) == ({}, 2)
    assert path.read_text() == '{"member": "ben", "n": 1.50, "note": "thanks [erased]"}\n'


def erase_with_feed(folder: Path, erase: Erase) -> Erasure:
    joined(folder, ADA)
    return erase()


@pytest.mark.parametrize("member", IDS)
@pytest.mark.parametrize("packed", [False, True])
def test_rejects_of_every_source_are_understood(
    folder: Path, erase: Erase, member: str, packed: bool
) -> None:
    joined(folder, member)
    records = [
        f'1.2.3.4 - {member} [01/Jan/2024:12:00:00 +0000] "GET / HTTP/1.1" 404 1',
        f"{member},01.01.2024 12:00,A",
        json.dumps({"actor": {"account": {"name": member}}}),
        f'1.2.3.4 - {member}x [01/Jan/2024:12:00:00 +0000] "GET /x HTTP/1.1" 404 1',
        f"{member}x,01.01.2024 12:00,A",
        json.dumps({"actor": {"account": {"name": f"{member}x"}}}),
    ]
    path = folder / "feed.rejects.csv"
    write_rejects(
        path, [Reject("f", line, "", "$", "refused: no", text) for line, text in enumerate(records)]
    )
    if packed:
        (folder / "feed.rejects.csv.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
        path = folder / "feed.rejects.csv.gz"
    assert erase(member).changed[str(path)] == 3
    content = path.read_bytes()
    lines = csv.DictReader((gzip.decompress(content) if packed else content).decode().splitlines())
    assert [line["record"] for line in lines] == records[3:]


ALIASES = f"alias,member\nacct:x,{ADA}\nhttps://example.org/ada,{ADA}\nacct:y,ben\n"


def test_what_stands_under_an_alias_is_theirs(folder: Path, erase: Erase, tmp_path: Path) -> None:
    joined(folder, ADA)
    (folder / "aliases.csv").write_text(ALIASES)
    documents = [
        {"actor": "acct:x", "n": 1},
        {"actor": "acct:y", "n": 2},
        {"actor": "https://example.org/ada"},
    ]
    documents.append({"actor": {"mbox": f"mailto:{ADA}"}})
    (folder / "outbox.jsonl").write_text("".join(json.dumps(one) + "\n" for one in documents))
    (folder / "raw.csv").write_text("member,to\nacct:x,1\nacct:y,acct:x\n")
    rejects = [json.dumps({"actor": "acct:x"}), json.dumps({"actor": "acct:y"})]
    write_rejects(
        folder / "feed.rejects.csv",
        [Reject("f", line, "", "$", "refused: no", text) for line, text in enumerate(rejects)],
    )
    assert [one.kind for one in places([folder / "aliases.csv"])] == [Kind.ALIASES]
    looked = erase(dry_run=True)
    result = erase()
    assert (looked.changed, looked.left, result.left) == (result.changed, {}, {})
    assert {Path(name).name: count for name, count in result.changed.items()} == {
        "feed.parquet": 2, "aliases.csv": 2, "outbox.jsonl": 3, "raw.csv": 1, "feed.rejects.csv": 1,
    }  # fmt: skip
    assert (folder / "aliases.csv").read_text() == "alias,member\nacct:y,ben\n"
    assert json.loads((folder / "outbox.jsonl").read_text()) == documents[1]
    assert (folder / "raw.csv").read_text().split() == ["member,to", "acct:y,[erased]"]
    erased = load_erased(tmp_path / "erased.json")
    assert erased is not None
    assert [erased.has_member(name) for name in (ADA, "acct:x", "acct:y", "ben")] == [
        True,
        True,
        False,
        False,
    ]
    # Nobody knows the alias any more, and still a copy that comes back is found.
    (folder / "copy.txt").write_text("seen: acct:x")
    assert erase().left == {str(folder / "copy.txt"): 1}


def test_times_of_feeds_and_features_are_retained_by(folder: Path, tmp_path: Path) -> None:
    path = joined(folder, ADA)
    (folder / "daily.csv").write_text(
        f"member,start_ms,events\ncy,{NOON_MS},1\ncy,{NOON_MS + 9 * DAY_MS},1\n"
    )
    done = retain(
        places([folder]),
        (Rule("*", 1),),
        mapping=None,
        oracle=Oracle(),
        epochs=None,
        erased_file=tmp_path / "erased.json",
        # The feed's events stand at one to five hours after noon.
        now_ms=NOON_MS + DAY_MS + 3 * 3_600_000 + 1,
        dry_run=False,
    )
    by_name = {one.path.name: (one.deleted, one.kept) for one in done}
    assert by_name == {"feed.parquet": (3, {YOUNG: 2}), "daily.csv": (1, {YOUNG: 1})}
    assert read_feed(path, data_hash=told(folder)["data_sha256"]).id == ["e4", "e5"]
    assert told(folder)["rows"] == 2
    assert told(folder)["features"]["rows"] == 1


def test_a_dry_run_says_what_would_be_left(folder: Path, erase: Erase) -> None:
    joined(folder, ADA, "feed.csv")
    (folder / "minutes.txt").write_text(f"present: {ADA.upper()}")
    (folder / "free.csv").write_text(f"what,note\n1,thanks {ADA}\n")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    looked = erase(dry_run=True)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    assert looked.left == {str(folder / "minutes.txt"): 1, str(folder / "free.csv"): 1}
    assert looked.left == erase().left


def test_the_holds_beside_the_epochs_are_looked_into(folder: Path, erase: Erase, tmp_path: Path) -> None:
    joined(folder, ADA)
    epochs = tmp_path / "epochs"
    epochs.mkdir()
    holds = tmp_path / "epochs.holds.json"
    # Held by nobody's name of theirs, but told of in somebody else's reason, under an escape.
    reason = "praises ada@example.org back".replace("@", "\\u0040")
    other = {
        "member": "ben", "epoch": 1, "endMs": 2, "heldAtMs": 3, "score": 1.5, "threshold": 1.0, "rate": 0.03,
        "reasons": ["REASON"], "acts": ["b1"], "release": None, "taken": None,
    }  # fmt: skip
    document = {"schema": "timebank.attention.holds/1", "holds": [other]}
    holds.write_text(json.dumps(document).replace("REASON", reason))
    assert not erase(epochs=epochs).left
    assert "ada" not in holds.read_text()
    holds.write_text(json.dumps({"member": "ada@example.org"}))
    with pytest.raises(AttentionError, match="not a file of holds"):
        erase(epochs=epochs)


def test_a_damaged_feed_is_refused_with_a_way_out(folder: Path, erase: Erase) -> None:
    path = joined(folder, ADA, "feed.csv")
    path.write_text(path.read_text().replace(str(NOON_MS + 3_600_000), "noon"))
    assert path.read_text().startswith(",".join(COLUMNS))
    with pytest.raises(Exception, match="no row of a feed") as caught:
        erase()
    assert getattr(caught.value, "hint", None)
    assert not list(folder.glob(".*"))
