"""Ids that are written another way than the feed has them: nothing is erased on a likeness, and it is told.

numbers ........... grouped, zeros around, exponents, signs, other scripts' digits; rounded; a number as any
                    spreadsheet writes it is told of (Hypothesis); other values are not
words ............. a cell that has the id among its words, in lists and addresses, in capitals
tables ............ CSV, JSON lines, Parquet, JSON documents: exit code 3, rows stay; that spelling erased: 0
our own ........... members, aliases, rejects and feeds: told of too
other encodings ... UTF-16 with a named column is refused, GBK and Latin-1 cells are told of or found
rounded floats .... a float32 that may stand for several integers is of a kind no id is compared with
keys and rows ...... an id that is a key of a document, or fills a cell of a row of nobody, is told of
nobody known ...... exit code 3 where nobody can tell, 1 where it is certain; nothing is changed
"""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.attention.privacy.test_privacy_commands import Desk
from tests.attention.privacy.test_privacy_commands import desk as desk  # noqa: PLC0414 - a fixture
from tests.attention.privacy.test_what_is_not_proved import erase, known, search_in
from tests.attention.privacy.test_what_is_not_proved import folder as folder  # noqa: PLC0414 - a fixture
from timebank_chain.attention.privacy.spellings import may_be
from timebank_chain.attention.privacy.traces import Traces
from timebank_chain.errors import AttentionError

SAME = [
    "4,711", "4.711", "4 711", "4\u00a0711", "4\u202f711", "4'711", "4_711", "4.711e3", "4.711E+03",
    "47110e-1", "04711", "+4711", "4711,0", "4711.000", "'4711",
    "\uff14\uff17\uff11\uff11", "\u0664\u0667\u0661\u0661",
    "#4711", "No.4711", "$4711", "4711-4712", "4711\u00b74712", "4711%2C4712",
    "id_4711", "4711\u200b", "4711;4712", "12,4711", "no 04711!", "https://example.org/users/4711",
    "acct:4711",
]  # fmt: skip
OTHERS = [
    "4711.5",
    "14711",
    "47110",
    "4711x",
    "x4711",
    "4.711e2",
    "4712",
    "",
    "cy",
    "e",
    "4711e999",
    "0",
    ".",
]


@pytest.mark.parametrize("cell", SAME)
def test_it_may_be_the_id(cell: str) -> None:
    assert may_be(cell, ["12345", "4711"])


@pytest.mark.parametrize("cell", OTHERS)
def test_it_is_another(cell: str) -> None:
    assert not may_be(cell, ["4711"])


@pytest.mark.parametrize(
    ("cell", "name", "told"),
    [
        ("1.23457E+11", "123456789012", True),
        ("1.23456E+11", "123456789012", False),
        ("1E+11", "123456789012", True),
        ("4711", "04711", True),
        ("Ben", "ben", True),
        ("ben, cy", "ben", True),
        ("Ben Lee", "ben", True),
        ("ben%20", "ben", True),
        ("user-ben", "ben", True),
        ("\u738b\u4f1f\u3001\u674e\u5a1c", "\u738b\u4f1f", True),
        ("\u201c\u738b\u4f1f\u201d", "\u738b\u4f1f", True),
        ("\u738b \u4f1f", "\u738b\u4f1f", True),
        ("\u738b\u4f1f\u660e", "\u738b\u4f1f", False),
        ("benny", "ben", False),
        ("9" * 70, "9", False),
        ("1e999", "9" * 300, False),
        ("7", "9" * 5_000, False),
    ],
)
def test_rounded_values_and_words(cell: str, name: str, told: bool) -> None:
    assert may_be(cell, [name]) is told


@given(st.integers(0, 10**15), st.sampled_from([",", ".", " ", "'"]), st.integers(0, 3), st.integers(0, 3))
def test_however_a_number_is_grouped_and_filled(number: int, mark: str, before: int, behind: int) -> None:
    grouped = f"{number:,}".replace(",", mark)
    point = "," if mark == "." else "."
    cell = "0" * before + grouped + (point + "0" * behind if behind else "")
    assert may_be(cell, [str(number)])
    # An odd number is no multiple of ten, so that no reading with a fraction hits it.
    assert not may_be(str(2 * number + 1), [str(2 * number + 3)])
    assert may_be(f"{number:.6e}", [str(number)])


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.json", "t.parquet"])
@pytest.mark.parametrize("cell", ["4,711", "4.711e3", "04711"])
def test_a_table_with_another_spelling_is_not_proved(folder: Path, name: str, cell: str) -> None:
    known(folder, "4711")
    path = folder / name
    cells = ["4711", cell, "12"]
    if name == "t.csv":
        path.write_text("badge\n" + "".join(f'"{one}"\n' for one in cells))
    elif name == "t.parquet":
        pq.write_table(pa.table({"badge": cells}), path)
    else:
        rows = [json.dumps({"badge": one}) for one in cells]
        path.write_text(f"[{', '.join(rows)}]" if name == "t.json" else "".join(f"{row}\n" for row in rows))
    search = search_in(folder, {name: "badge"})
    for dry_run in (True, False, False):
        result = erase(search, folder, "4711", dry_run=dry_run)
        assert not result.proved and f"may be the id in another writing ({cell})" in result.unclear[str(path)]
    assert "12" in path.read_bytes().decode("latin-1")
    assert erase(search, folder, cell).changed == {str(path): 1}
    result = erase(search, folder, "4711")
    assert result.proved and result.nothing_to_do


def test_a_named_path_that_holds_an_address(folder: Path) -> None:
    known(folder, "ben")
    path = folder / "outbox.jsonl"
    path.write_text(
        '{"actor": "https://example.org/users/ben"}\n{"actor": "https://example.org/users/benny"}\n'
    )
    why = "1 cells of member may be the id in another writing (https://example.org/users/ben)"
    assert why in erase(search_in(folder), folder, "ben").unclear[str(path)]


def test_files_of_ours_are_told_of(folder: Path) -> None:
    known(folder, "4711")
    members, aliases, rejects = folder / "members.csv", folder / "aliases.csv", folder / "rejects.csv"
    members.write_text("member,address\n4711,0x00\n04711,0x01\n")
    aliases.write_text("alias,member\nx-1,4711.50\nx-2,+4711\n")
    record = json.dumps({"member": "4,711"}).replace('"', '""')
    rejects.write_text(f'source,line,id,field,reason,record\nt,1,,n,not a number,"{record}"\n')
    feed = folder / "feed.csv"
    head = "id,member,domain,occurred,interaction,originality,engagement\n"
    feed.write_text(f"{head}e1,04711,web,2026-01-01T00:00:00Z,1,1,1\n")
    result = erase(search_in(folder), folder, "4711")
    assert set(result.unclear) == {str(members), str(aliases), str(rejects), str(feed)}
    assert result.changed[str(members)] == 1 and "04711,0x01" in members.read_text()
    for other in ("04711", "+4711", "4,711"):
        erase(search_in(folder), folder, other)
    assert erase(search_in(folder), folder, "4711").proved


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32"])
def test_wide_tables_with_a_named_column_are_refused(folder: Path, encoding: str) -> None:
    known(folder, "4711")
    path = folder / "t.csv"
    text = "badge,n\n4711,1\n"
    path.write_bytes(("\ufeff" + text if encoding == "utf-16-be" else text).encode(encoding))
    with pytest.raises(AttentionError, match="UTF-16 or UTF-32") as caught:
        erase(search_in(folder, {"t.csv": "badge"}), folder, "4711")
    assert "save the table as UTF-8" in str(caught.value.hint)
    assert not erase(search_in(folder), folder, "4711").proved, "and told of where none is named"


@pytest.mark.parametrize(("name", "encoding"), [("\u738b\u5c0f\u660e", "gb18030"), ("Zo\u00eb", "latin-1")])
def test_short_names_in_other_encodings_are_told_of(folder: Path, name: str, encoding: str) -> None:
    known(folder, name)
    path = folder / "t.csv"
    path.write_bytes(f"badge,n\n{name},1\n".encode(encoding))
    result = erase(search_in(folder, {"t.csv": "badge"}), folder, name)
    assert not result.proved and "text that is no UTF-8" in result.unclear[str(path)]


@pytest.mark.parametrize("feed", [True, False])
def test_a_name_in_gbk_that_is_valid_utf_8_is_told_of(folder: Path, feed: bool) -> None:
    name = "\u90d1\u4f1f"
    name.encode("gbk").decode("utf-8")
    known(folder, name)
    path = folder / "t.csv"
    text = (
        "id,member,domain,occurred,interaction,originality,engagement\ne1,{},web,2026-01-01T00:00:00Z,1,1,1\n"
    )
    path.write_bytes((text if feed else "member,n\n{},1\n").format(name).encode("gbk"))
    assert "may be the id in another writing" in erase(search_in(folder), folder, name).unclear[str(path)]


def test_a_header_that_is_no_utf_8_is_refused(folder: Path) -> None:
    known(folder, "4711")
    (folder / "t.csv").write_bytes("\u6210\u5458,n\n4711,1\n".encode("gbk"))
    with pytest.raises(AttentionError, match="no UTF-8") as caught:
        erase(search_in(folder, {"t.csv": "\u6210\u5458"}), folder, "4711")
    assert "save the table as UTF-8" in str(caught.value.hint)


@pytest.mark.parametrize(
    "document",
    [
        {"ben": {"n": 5}, "ada": {"n": 1}},
        {"u": {"Ben": {"n": 5}}},
        {"rows": [{"member": "ada", "ben": 1}]},
    ],
)
def test_an_id_that_is_a_key_is_told_of(folder: Path, document: object) -> None:
    known(folder, "ben")
    path = folder / "d.json"
    path.write_text(json.dumps(document))
    assert erase(search_in(folder), folder, "ben").unclear == {str(path): "the id is a key"}


@pytest.mark.parametrize(("name", "row"), [("ben", ",ben,1"), ("ben", " ,Ben,1"), ("4711", ",04711,1")])
def test_a_row_of_nobody_that_holds_the_id_is_told_of(folder: Path, name: str, row: str) -> None:
    known(folder, name)
    path = folder / "t.csv"
    path.write_text(f"member,who,n\n{row}\nada,eve,2\n")
    why = "no member's column is known of 1 rows; the id fills cells of who"
    assert erase(search_in(folder), folder, name).unclear == {str(path): why}


@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        ("\u738b\u5c0f\u660e\u5148\u751f", "gb18030"),
        ("\u738b\u5c0f\u660e\u5148\u751f", "big5"),
        ("J\u00f6rg Groß", "cp1252"),
        ("\u0418\u0432\u0430\u043d", "cp1251"),
    ],
)
def test_long_names_in_other_encodings_are_found(tmp_path: Path, name: str, encoding: str) -> None:
    path = tmp_path / "notes.txt"
    for written in (name, name.upper() if "ß" not in name else name):
        path.write_bytes(f"thanks {written}, again".encode(encoding))
        assert Traces(frozenset({name}), frozenset()).in_file(path) == 1
    assert Traces(frozenset({"Someone Else"}), frozenset()).in_file(path) == 0


def test_a_float_of_few_bits_says_no_id(folder: Path) -> None:
    known(folder, "16777217")
    path = folder / "t.parquet"
    pq.write_table(pa.table({"badge": pa.array([16777217.0, 12.0], pa.float32())}), path)
    search = search_in(folder, {"t.parquet": "badge"})
    assert "no id is compared with: float32" in erase(search, folder, "16777217").unclear[str(path)]
    pq.write_table(pa.table({"badge": pa.array([16777215.0, 12.0], pa.float32())}), path)
    known(folder, "16777215")
    assert erase(search, folder, "16777215").changed[str(path)] == 1


def test_of_nobody_known_it_is_told_what_nobody_can_tell(desk: Desk) -> None:
    table = desk.folder / "badges.csv"
    table.write_text("badge,note\n4711,1\ncy,2\n")
    before = {path: path.read_bytes() for path in desk.folder.rglob("*.csv")}
    words = ("erase", "4711", "--feed", desk.feed, "--data", table, "--yes")
    ran = desk.run(*words, "--json")
    assert (ran.code, ran.document["known"], list(ran.document["unclear"])) == (3, False, [str(table)])
    ran = desk.run(*words)
    assert (ran.code, "nothing is known of a member '4711': nothing was changed" in ran.out) == (3, True)
    assert {path: path.read_bytes() for path in desk.folder.rglob("*.csv")} == before
    said = desk.refused(*words, "--member-column", f"{table}=", code=1)["message"]
    assert "nothing is known of a member '4711'" in said
    told = desk.told(*words, "--member-column", f"{table}=badge")
    assert (told["known"], told["changed"]) == (True, {str(table): 1})
