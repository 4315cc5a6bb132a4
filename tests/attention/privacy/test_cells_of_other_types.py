"""Tables in which a member's id is no text, and tables whose cells no comma parts.

types ............. floats, decimals, bytes and ``4711.0`` in a named column are the person's; others stay
                    the export finds the same rows
not compared ...... a kind of cell that no id is compared with is told of, exit code 3, of long names too
our own ........... a feed takes 4711.0 for another member: told of, and nothing is taken out
cells ............. what a cell says as an id
delimiters ........ tabs and semicolons: rows out, the others keep their bytes, a name in them goes
search ............ a name in bytes of a fixed length, or in another encoding, is found
"""

from __future__ import annotations

import gzip
import json
import uuid
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.attention.privacy.test_member_tables import ADA
from tests.attention.privacy.test_what_is_not_proved import erase, known, search_in
from tests.attention.privacy.test_what_is_not_proved import folder as folder  # noqa: PLC0414 - a fixture
from timebank_chain.activity.erased import id_text
from timebank_chain.attention.privacy.member_tables import whole_number
from timebank_chain.attention.privacy.person import export_person, find
from timebank_chain.attention.privacy.places import Kind, kind_of
from timebank_chain.attention.privacy.rows import _without_views

#: A person, somebody else, nobody, and the person again.
COLUMNS = {
    "float64": pa.array([4711.0, 12.0, None, 4711.0], pa.float64()),
    "not a number": pa.array([4711.0, 12.0, float("nan"), 4711.0], pa.float64()),
    "decimal": pa.array([Decimal("4711.00"), Decimal("12.50"), None, Decimal(4711)], pa.decimal128(9, 2)),
    "binary": pa.array([b"4711", b"12", None, b"4711"], pa.binary()),
    "fixed": pa.array([b"4711", b"0012", None, b"4711"], pa.binary(4)),
    "texts": pa.array(["4711.0", "12.0", "", "4711."], pa.string()),
    "integers": pa.array([4711, 12, None, 4711], pa.int16()),
}


@pytest.mark.parametrize("column", ["badge", "member"])
@pytest.mark.parametrize("kind", COLUMNS)
def test_a_number_of_any_type_is_the_persons(folder: Path, kind: str, column: str) -> None:
    known(folder, "4711")
    path = folder / "t.parquet"
    pq.write_table(pa.table({column: COLUMNS[kind], "n": [1, 2, 3, 4]}), path)
    search = search_in(folder, {"t.parquet": "badge"} if column == "badge" else None)
    archive = folder.parent / "out.zip"
    assert export_person(search, find(search, "4711"), None, archive, 1_700_000_000_000)["rows"] == 3
    result = erase(search, folder, "4711")
    assert (result.changed[str(path)], result.unclear, result.proved) == (2, {}, True)
    assert pq.read_table(path)["n"].to_pylist() == [2, 3]


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.json"])
def test_a_number_with_an_empty_fraction_in_text(folder: Path, name: str) -> None:
    known(folder, "4711")
    path = folder / name
    if name == "t.csv":
        path.write_text("badge,entered\n4711.0,2026\n12.0,2026\n4711.5,4711\n14711.0,1\n")
    else:
        rows = [f'{{"badge": {badge}}}' for badge in ("4711.0", "12.0", "4711.5", '"4711.0"', "14711.0")]
        path.write_text(f"[{', '.join(rows)}]" if name == "t.json" else "".join(f"{row}\n" for row in rows))
    result = erase(search_in(folder, {name: "badge"}), folder, "4711")
    assert result.proved and result.changed[str(path)] == (1 if name == "t.csv" else 2)
    text = path.read_text()
    assert "4711.5" in text and "14711.0" in text and "12.0" in text
    assert erase(search_in(folder, {name: "badge"}), folder, "4711").nothing_to_do


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (pa.array([date(2026, 1, 1)]), "date"),
        (pa.array([True]), "bool"),
        (pa.array([[4711]]), "list"),
        (pa.array([{"id": 4711}]), "dict"),
        (pa.array([float(2**53)]), "float"),
        (pa.array([uuid.uuid5(uuid.NAMESPACE_URL, ADA).bytes], pa.binary(16)), "bytes"),
    ],
)
@pytest.mark.parametrize("member", ["4711", ADA])
def test_a_column_no_id_is_compared_with_is_told_of(folder: Path, member: str, cells: Any, kind: str) -> None:
    known(folder, member)
    path = folder / "t.parquet"
    pq.write_table(pa.table({"badge": cells}), path)
    for dry_run in (True, False, False):
        result = erase(search_in(folder, {"t.parquet": "badge"}), folder, member, dry_run=dry_run)
        why = f"1 cells of badge are of a kind that no id is compared with: {kind}"
        assert (result.unclear, result.proved) == ({str(path): why}, False)
    assert erase(search_in(folder, {"t.parquet": ""}), folder, member).proved


def test_a_feed_of_ours_takes_it_for_another_member(folder: Path) -> None:
    known(folder, "4711")
    path = folder / "feed.csv"
    head = "id,member,domain,occurred,interaction,originality,engagement\n"
    path.write_text(
        f"{head}e1,4711,web,2026-01-01T00:00:00Z,1,1,1\ne2,4711.0,web,2026-01-01T00:00:00Z,1,1,1\n"
    )
    result = erase(search_in(folder), folder, "4711")
    assert result.changed[str(path)] == 1 and "e2,4711.0" in path.read_text()
    assert "1 cells of members may be the id in another writing (4711.0)" in result.unclear[str(path)]
    assert erase(search_in(folder), folder, "4711.0").changed == {str(path): 1}


def test_rows_of_ours_whose_member_is_a_float_are_told_of(folder: Path) -> None:
    known(folder, "4711")
    cells = {name: [1] for name in ("domain", "occurred", "interaction", "originality", "engagement")}
    path = folder / "t.parquet"
    pq.write_table(pa.table({"id": ["e1"], "member": [4711.0], **cells}), path)
    result = erase(search_in(folder), folder, "4711")
    assert result.unclear == {str(path): "1 rows that cannot be read hold the id"}


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (4711, "4711"), (4711.0, "4711"), (-3.0, "-3"), (47.5, "47.5"), (Decimal("4711.00"), "4711"),
        (Decimal("0.5"), "0.5"), (b" ada ", "ada"), (" ada ", "ada"), (b"\xff", None), (True, None),
        (None, None), (float("inf"), None), (float("nan"), None), (2.0**53, None), (Decimal("1e99999"), None),
        (Decimal("NaN"), None), ([4711], None),
    ],
)  # fmt: skip
def test_what_a_cell_says(cell: object, text: str | None) -> None:
    assert id_text(cell) == text


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("name", "mark"), [("t.tsv", "\t"), ("t.tab", "\t"), ("t.csv", ";"), ("t.csv", "|"), ("t.csv", "\t")]
)
def test_cells_between_other_marks(folder: Path, name: str, mark: str, packed: bool) -> None:
    known(folder, "4711")
    path = folder / (f"{name}.gz" if packed else name)
    rows = ["badge,stay,note", "4711,1,x", '12,"1,5",4711', "ben,2,y"]
    text = "".join(f"{row.replace(',', mark, 1)[::-1].replace(',', mark, 1)[::-1]}\r\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    assert kind_of(path) is Kind.ROWS
    assert (
        "no member's column is known of 3 rows"
        in erase(search_in(folder), folder, "4711", dry_run=True).unclear[str(path)]
    )
    result = erase(search_in(folder, {path.name: "badge"}), folder, "4711")
    assert result.proved and result.changed[str(path)] == 1
    content = path.read_bytes()
    after = (gzip.decompress(content) if packed else content).decode()
    lines = text.split("\r\n")
    assert after.split("\r\n") == [lines[0], "", *lines[2:]]


def test_a_name_goes_out_of_others_cells_between_other_marks(folder: Path) -> None:
    path = folder / "t.csv"
    path.write_text(f'member;note\n{ADA};1\ncy;thanks {ADA}; or not\ncy;"thanks {ADA}; and ben"\n')
    path.write_text(path.read_text().replace("; or not", ""))
    result = erase(search_in(folder), folder, ADA)
    assert (result.changed, result.redacted, result.proved) == ({str(path): 1}, 2, True)
    assert path.read_text() == 'member;note\n\ncy;thanks [erased]\ncy;"thanks [erased]; and ben"\n'


def test_a_semicolon_in_a_table_of_ours_is_text(folder: Path) -> None:
    path = folder / "t.csv"
    path.write_text(f"member,a;b\n{ADA},1;2\ncy,3;4\n")
    assert erase(search_in(folder), folder, ADA).changed == {str(path): 1}
    assert path.read_text() == "member,a;b\n\ncy,3;4\n"


@pytest.mark.parametrize("coded", [ADA.encode().ljust(32, b"\0"), ADA.encode("utf-16-le").ljust(32, b" ")])
def test_a_name_in_bytes_is_found(folder: Path, coded: bytes) -> None:
    known(folder, ADA)
    path = folder / "t.parquet"
    pq.write_table(pa.table({"who": pa.array([coded], pa.binary(32))}), path, compression="zstd")
    result = erase(search_in(folder), folder, ADA)
    assert list(result.left) == [str(path)] and not result.proved


def test_a_reject_names_them_as_a_float(folder: Path) -> None:
    known(folder, "4711")
    path = folder / "rejects.csv"
    record = json.dumps({"member": 4711.0, "n": 1}).replace('"', '""')
    path.write_text(f'source,line,id,field,reason,record\nt,1,,member,not text,"{record}"\n')
    assert erase(search_in(folder), folder, "4711").changed[str(path)] == 1


def test_views_and_decimal_commas() -> None:
    table = pa.table({"member": pa.array(["ada", "grace"], pa.string_view()), "age": [1, 2]})
    assert _without_views(table).filter(pa.array([True, False])).to_pylist() == [{"member": "ada", "age": 1}]
    assert [whole_number(text) for text in ("4711,0", "4711,00", "4711.000", "4,000", "4,711")] == [
        *("4711",) * 3,
        "4,000",
        "4,711",
    ]
