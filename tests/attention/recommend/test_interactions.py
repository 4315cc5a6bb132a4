"""Who took what, and the cuts in time.

interactions
├── CSV and Parquet of the same rows are the same table, in order of time, with the same hash
├── another value, time or name: another hash
├── a row without a member announces an item
├── a wrong cell is refused with row and column: name, kind, time, value, cells; a later row than now
├── missing columns, nothing at all, a folder that is no dump, no file, no Parquet: refused with a way out
├── a dump: nobody takes what is their own, and the counts are those of its files (real data)
├── a dump's members by the names of activity tables
└── under: the same rows with other items first
splits
├── the last of each member: so many a member, the latest
└── a moment for all: nothing that came after is before
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.activity.builders import research_data
from tests.attention.recommend import planted
from timebank_chain.attention.recommend import LastOfEach, TimeShare, dump_name, read_dump, read_interactions
from timebank_chain.errors import AttentionError

HEADER = "member,object,at_ms,kind,value\n"


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "took.csv"
    path.write_text(text, "utf-8")
    return path


def test_rows_stand_in_order_of_time(tmp_path: Path) -> None:
    found = read_interactions(written(tmp_path, HEADER + "b,y,30,offer,2.5\na,x,10,,\na,y,20,offer,1\n"))
    assert found.at_ms.tolist() == [10, 20, 30]
    assert [found.members[one] for one in found.member] == ["a", "a", "b"]
    assert [(found.items[one], found.kinds[one]) for one in found.item] == [
        ("x", "activity"),
        ("y", "offer"),
        ("y", "offer"),
    ]
    assert math.isnan(found.value[0])
    assert found.value[1:].tolist() == [1, 2.5]
    assert found.taken().tolist() == [2, 1]  # y stands first: it was read first


def test_parquet_and_csv_are_the_same_table(tmp_path: Path) -> None:
    csv = planted.write(tmp_path / "took.csv")
    rows = planted.rows()
    parquet = tmp_path / "took.parquet"
    names = ("member", "object", "at_ms")
    pq.write_table(pa.table({name: [row[at] for row in rows] for at, name in enumerate(names)}), parquet)
    one, other = read_interactions(csv), read_interactions(parquet)
    assert one.members == other.members
    assert one.items == other.items
    assert one.data_hash() == other.data_hash()


@pytest.mark.parametrize("changed", ["a,x,11,,3", "b,x,10,,3", "a,y,10,,3", "a,x,10,offer,3", "a,x,10,,4"])
def test_any_change_is_another_hash(tmp_path: Path, changed: str) -> None:
    honest = read_interactions(written(tmp_path, HEADER + "a,x,10,,3\n")).data_hash()
    assert read_interactions(written(tmp_path, HEADER + changed + "\n")).data_hash() != honest


def test_row_without_a_member_announces(tmp_path: Path) -> None:
    found = read_interactions(written(tmp_path, HEADER + "a,x,10,,\n,new,11,offer,\n"))
    assert len(found) == 1
    assert dict(zip(found.items, found.offered.tolist(), strict=True)) == {"x": False, "new": True}
    assert found.taken().tolist() == [1, 0]


@pytest.mark.parametrize(
    ("row", "where", "words"),
    [
        ("a,,10,,", "column 'object'", "is no name"),
        (f"{'m' * 513},x,10,,", "column 'member'", "is no name"),
        ("a,x\x07,10,,", "column 'object'", "is no name"),
        ("a,x,10,person,", "column 'kind'", "'person' is no kind"),
        ("a,x,soon,,", "column 'at_ms'", "no time"),
        ("a,x,-1,,", "column 'at_ms'", "is no time in Unix milliseconds"),
        (f"a,x,{1 << 48},,", "column 'at_ms'", "is no time in Unix milliseconds"),
        ("a,x,,,", "column 'at'", "no time"),
        (",x,10,,3", "column 'member'", "a value, and nobody who gave it"),
        ("a,x,10,,nan", "column 'value'", "no finite number"),
        ("a,x,10,,inf", "column 'value'", "no finite number"),
        ("a,x,10,,good", "column 'value'", "no finite number"),
        ("a,x,10", "took.csv:3", "3 cells where the header has 5"),
    ],
)
def test_wrong_cell_is_named(tmp_path: Path, row: str, where: str, words: str) -> None:
    with pytest.raises(AttentionError, match=words) as error:
        read_interactions(written(tmp_path, HEADER + "a,x,10,,\n" + row + "\n"))
    assert where in str(error.value.where)
    assert "took.csv:3" in str(error.value.where)


def test_future_is_refused_where_the_present_is_told(tmp_path: Path) -> None:
    path = written(tmp_path, "member,item,at\na,x,2026-01-01T00:00:00Z\na,y,2026-01-01T00:00:00.001Z\n")
    assert len(read_interactions(path)) == 2
    with pytest.raises(AttentionError, match="time in the future") as error:
        read_interactions(path, now_ms=1_767_225_600_000)
    assert "took.csv:3, column 'at'" in str(error.value.where)


def test_names_of_activity_tables_are_those_of_a_dump() -> None:
    assert dump_name("stackexchange:quantumcomputing:409") == dump_name("409") == "409"
    for other in ("stackexchange:quantumcomputing:ada", "git:409", "stackexchange:409", "ada"):
        assert dump_name(other) == other


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no column member"),
        (HEADER, "nobody who took anything"),
        ("member,at_ms\na,1\n", "no column object or item"),
        ("member,item\na,x\n", "no column at_ms or at"),
        ('member,item,at_ms\na,"x,1\n', "cannot be read"),
    ],
)
def test_unusable_file_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(AttentionError, match=words):
        read_interactions(written(tmp_path, text))


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AttentionError, match=r"no Posts\.xml"):
        read_interactions(tmp_path)
    with pytest.raises(AttentionError, match="cannot be read"):
        read_interactions(tmp_path / "nothing.csv")
    (tmp_path / "no.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(AttentionError, match="cannot be read"):
        read_interactions(tmp_path / "no.parquet")


@pytest.mark.data
def test_dump_is_read_without_ones_own() -> None:
    found = read_dump(research_data("stackexchange_conlang_meta"))
    assert set(found.kinds) == {"activity", "member"}
    pairs = zip(found.member, found.item, strict=True)
    thanked = [(who, found.items[what]) for who, what in pairs if found.kinds[what] == "member"]
    assert thanked
    assert all(found.members[who] != whom for who, whom in thanked)
    assert "-1" not in found.members
    assert (np.diff(found.at_ms) >= 0).all()


def test_under_puts_other_items_first(tmp_path: Path) -> None:
    found = read_interactions(written(tmp_path, HEADER + "a,x,10,,\na,y,20,offer,\n,z,1,,\n"))
    moved = found.under(["gone", "y"], ["activity", "offer"])
    assert moved.items == ("gone", "y", "x", "z")
    assert moved.kinds == ("activity", "offer", "activity", "activity")
    assert [moved.items[one] for one in moved.item] == ["x", "y"]
    assert moved.offered.tolist() == [False, False, False, True]
    assert moved.data_hash() == found.data_hash()


def test_last_of_each_member(tmp_path: Path) -> None:
    found = read_interactions(planted.write(tmp_path / "took.csv"))
    held = LastOfEach(2).held(found)
    for member in range(len(found.members)):
        own = found.member == member
        assert held[own].tolist() == [False] * (planted.ACTS - 2) + [True] * 2


def test_member_with_no_more_than_that_has_no_past(tmp_path: Path) -> None:
    rows = "a,x,10,,\na,y,20,,\nb,x,30,,\nb,y,30,,\nb,z,30,,\n"
    found = read_interactions(written(tmp_path, HEADER + rows))
    assert LastOfEach(2).held(found).tolist() == [True, True, False, True, True]


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
def test_one_moment_for_all(tmp_path: Path, share: float) -> None:
    found = read_interactions(planted.write(tmp_path / "took.csv"))
    held = TimeShare(share).held(found)
    assert found.at_ms[~held].max() < found.at_ms[held].min()
    assert held.mean() == pytest.approx(share, abs=0.01)
