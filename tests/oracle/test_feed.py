"""Reading a feed that grows.

snapshot
|- takes whole lines and holds a partial last line back until it is complete
|- takes nothing of a file without any newline
|- lines longer than a read block are found
|- a folder: nested files by relative name; hidden files skipped; unknown formats named
|- a missing feed, an unknown format: one sentence and a way out
`- against what was read before
   |- growth is fine
   |- a vanished, shrunk, truncated-within-a-line or rewritten file stops the oracle
   `- Parquet: more rows are fine, fewer stop, half a file stops
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from timebank_chain.errors import OracleError
from timebank_chain.oracle.feed import FeedSnapshot, take_snapshot
from timebank_chain.oracle.journal import FeedMark


class Reader:
    """Takes one snapshot after another, remembering marks as the daemon does."""

    def __init__(self, tmp_path: Path, feed: Path) -> None:
        self.folder = tmp_path / "copies"
        self.feed = feed
        self.marks: dict[str, FeedMark] = {}
        self.count = 0

    def read(self) -> FeedSnapshot:
        self.count += 1
        into = self.folder / str(self.count)
        into.mkdir(parents=True)
        snapshot = take_snapshot(self.feed, self.marks, into)
        self.marks = {mark.name: mark for mark in snapshot.marks}
        return snapshot


def append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


def test_a_partial_last_line_waits_until_it_is_complete(tmp_path: Path) -> None:
    feed = tmp_path / "feed.csv"
    append(feed, "id,member\n1,ann\n2,b")
    reader = Reader(tmp_path, feed)
    first = reader.read()
    assert first.files["feed.csv"].read_text() == "id,member\n1,ann\n"
    assert first.held_back == {"feed.csv": 3}
    append(feed, "ob\n")
    second = reader.read()
    assert second.files["feed.csv"].read_text() == "id,member\n1,ann\n2,bob\n"
    assert second.held_back == {}


def test_a_file_without_a_newline_gives_nothing_yet(tmp_path: Path) -> None:
    feed = tmp_path / "feed.jsonl"
    append(feed, '{"id": 1')
    snapshot = Reader(tmp_path, feed).read()
    assert snapshot.files["feed.jsonl"].read_bytes() == b""
    assert snapshot.held_back == {"feed.jsonl": 8}


def test_lines_longer_than_a_block_are_found(tmp_path: Path) -> None:
    feed = tmp_path / "feed.jsonl"
    line = "x" * (3 << 20) + "\n"
    append(feed, line + "y" * (2 << 20))
    snapshot = Reader(tmp_path, feed).read()
    assert snapshot.files["feed.jsonl"].stat().st_size == len(line)


def test_a_folder_is_read_file_by_file(tmp_path: Path) -> None:
    feed = tmp_path / "feed"
    (feed / "2026").mkdir(parents=True)
    append(feed / "2026" / "a.csv", "id\n")
    append(feed / "b.jsonl", "{}\n")
    append(feed / ".b.jsonl.swp", "{}\n")
    append(feed / "notes.txt", "hello\n")
    snapshot = Reader(tmp_path, feed).read()
    assert list(snapshot.files) == ["2026/a.csv", "b.jsonl"]
    assert snapshot.ignored == ("notes.txt",)


def test_a_missing_feed_and_an_unknown_format_are_named(tmp_path: Path) -> None:
    with pytest.raises(OracleError, match="the feed is not there"):
        Reader(tmp_path, tmp_path / "none.csv").read()
    odd = tmp_path / "feed.xlsx"
    odd.touch()
    with pytest.raises(OracleError, match=r"no known feed format: '\.xlsx'"):
        take_snapshot(odd, {}, tmp_path)
    packed = odd.rename(tmp_path / "feed.csv.gz")
    with pytest.raises(OracleError, match=r"no known feed format: '\.gz'") as caught:
        take_snapshot(packed, {}, tmp_path)
    assert "unpacked first, or taken by timebank ingest" in (caught.value.hint or "")


def test_growth_is_fine(tmp_path: Path) -> None:
    feed = tmp_path / "feed.csv"
    append(feed, "id\n1\n")
    reader = Reader(tmp_path, feed)
    for row in range(3):
        reader.read()
        append(feed, f"{row}\n")
    assert reader.read().files["feed.csv"].read_text() == feed.read_text()


def test_a_vanished_file_stops(tmp_path: Path) -> None:
    feed = tmp_path / "feed"
    feed.mkdir()
    append(feed / "a.csv", "id\n")
    append(feed / "b.csv", "id\n")
    reader = Reader(tmp_path, feed)
    reader.read()
    (feed / "a.csv").unlink()
    with pytest.raises(OracleError, match="vanished") as caught:
        reader.read()
    assert caught.value.where == "a.csv"
    assert "--forget-feed" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("after", "message"),
    [
        ("id\n1\n", "shrank from 7 to 5 bytes"),
        ("", "shrank from 7 to 0 bytes"),
        ("id\n9\n2\n", "rewritten: its first 7 bytes"),
        ("id\n1\n2 and no newline any more", "rewritten after it was read"),
    ],
)
def test_a_shrunk_or_rewritten_file_stops(tmp_path: Path, after: str, message: str) -> None:
    feed = tmp_path / "feed.csv"
    append(feed, "id\n1\n2\n")
    reader = Reader(tmp_path, feed)
    reader.read()
    feed.write_text(after)
    with pytest.raises(OracleError, match=message):
        reader.read()


def test_parquet_may_gain_rows_but_not_lose_them(tmp_path: Path) -> None:
    feed = tmp_path / "feed.parquet"
    reader = Reader(tmp_path, feed)
    for rows in (2, 3):
        pq.write_table(pa.table({"id": list(range(rows))}), feed)
        assert reader.read().marks[0].rows == rows
    pq.write_table(pa.table({"id": [0]}), feed)
    with pytest.raises(OracleError, match="shrank from 3 to 1 rows"):
        reader.read()


def test_half_a_parquet_file_stops(tmp_path: Path) -> None:
    feed = tmp_path / "feed.parquet"
    pq.write_table(pa.table({"id": list(range(1000))}), feed)
    feed.write_bytes(feed.read_bytes()[:-10])
    with pytest.raises(OracleError, match="not a whole Parquet file") as caught:
        Reader(tmp_path, feed).read()
    assert "rename" in (caught.value.hint or "")
