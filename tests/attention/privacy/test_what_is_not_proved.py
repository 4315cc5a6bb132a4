"""Rows and records that no search can find: short ids, numbers, and columns of other names.

column ............ a column that was named is matched whole: CSV, packed, JSON lines by path, Parquet, sealed
                    others' rows lose the name; the export finds the same rows
                    none is named: the table is told of, with the columns the id fills, and nothing is passed
                    over; FILE= says that nobody is in it; a name that can be searched for needs none
                    refused: a column that is not there, a file nobody looks into, no FILE=NAME
documents ......... statements, activities, envelopes in JSON lists: theirs go, the rest keeps its bytes
                    (any list, in any layout: Hypothesis); totalItems; packed; the export has them
                    others' records lose the name; records nobody can tell stay, and are told of
                    what stands in no list, is no JSON or ours, stays as it is
standards ......... whom `collect` takes a valid statement or activity for is among those who acted by it
addresses ......... the SHA-1 of an address is who has it, in any spelling, for erasure and `collect` alike
short aliases ..... what may stand under one is told of, again on every run, until it is settled
lines ............. a statement a line: its actor tells, a number too; others' lines stay
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.attention.collect.standard_documents import activitystreams_cases, xapi_cases
from tests.attention.privacy.conftest import Keeper
from tests.attention.privacy.test_member_tables import ADA, IDS
from tests.attention.privacy.test_privacy_commands import Desk
from tests.attention.privacy.test_privacy_commands import desk as desk  # noqa: PLC0414 - a fixture
from timebank_chain.activity.erased import load_erased
from timebank_chain.attention.collect import Fault, MemberEvent, NothingToCount
from timebank_chain.attention.collect.activitystreams import activitystreams_events, check_activitystreams
from timebank_chain.attention.collect.reading import parse_record
from timebank_chain.attention.collect.xapi import check_statement, statement_event
from timebank_chain.attention.privacy.erasure import Erasure, Oracle, erase_person
from timebank_chain.attention.privacy.member_tables import acting_names
from timebank_chain.attention.privacy.person import Search, export_person, find
from timebank_chain.attention.privacy.places import Kind, kind_of, places
from timebank_chain.attention.privacy.record_lists import without_records
from timebank_chain.attention.privacy.rows import Whose
from timebank_chain.attention.privacy.sealed import SUFFIX, seal, unseal
from timebank_chain.errors import AttentionError

#: Others whose ids hold the person's, or stand in other columns as numbers do.
ROWS = [("{id}", "1"), ("{id}x", "{id}"), ("cy", "thanks {id}"), ("{id}", "2")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "data"
    made.mkdir()
    return made


def search_in(folder: Path, columns: dict[str, str] | None = None, keeper: Keeper | None = None) -> Search:
    named = {(folder / name).resolve(): column for name, column in (columns or {}).items()}
    ring = None if keeper is None else keeper.vault.keyring()
    return Search(tuple(places([folder])), ring=ring, member_columns=named)


def erase(search: Search, folder: Path, member: str, *, dry_run: bool = False) -> Erasure:
    erased = folder.parent / "erased.json"
    return erase_person(search, member, erased_file=erased, oracle=Oracle(), dry_run=dry_run)


def known(folder: Path, member: str) -> None:
    """Write a feed the person is known from."""
    (folder / "known.csv").write_text(f"member,n\n{member},1\ncy,2\n")


def write(path: Path, member: str) -> None:
    rows = [(badge.format(id=member), note.format(id=member)) for badge, note in ROWS]
    if path.name.startswith("t.csv"):
        text = "badge,note\n" + "".join(f"{badge},{note}\n" for badge, note in rows)
    elif path.name.startswith("t.jsonl"):
        # Numbers are ids as well.
        made = ({"user": {"badge": int(b) if b.isdigit() else b}, "note": n} for b, n in rows)
        text = "".join(json.dumps(one) + "\n" for one in made)
    else:
        table = pa.table({"badge": [one for one, _ in rows], "note": [one for _, one in rows]})
        pq.write_table(table, path)
        return
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


def read(path: Path) -> list[tuple[str, str]]:
    if path.suffix == ".parquet":
        table = pq.read_table(path)
        return list(zip(table["badge"].to_pylist(), table["note"].to_pylist(), strict=True))
    content = path.read_bytes()
    text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
    if path.name.startswith("t.csv"):
        return [(line.split(",")[0], line.split(",")[1]) for line in text.split("\n")[1:] if line]
    lines = (json.loads(line) for line in text.split("\n") if line)
    return [(str(line["user"]["badge"]), line["note"]) for line in lines]


TABLES = {
    "t.csv": "badge",
    "t.csv.gz": "badge",
    "t.jsonl": "user.badge",
    "t.jsonl.gz": "user.badge",
    "t.parquet": "badge",
}


@pytest.mark.parametrize("member", IDS)
@pytest.mark.parametrize("name", TABLES)
def test_a_named_column_is_matched_whole(folder: Path, name: str, member: str) -> None:
    known(folder, member)
    write(folder / name, member)
    search = search_in(folder, {name: TABLES[name]})
    counts = export_person(search, find(search, member), None, folder.parent / "out.zip", 1_700_000_000_000)
    assert counts["rows"] == 3
    looked = erase(search, folder, member, dry_run=True)
    assert len(read(folder / name)) == 4
    result = erase(search, folder, member)
    assert result.changed == looked.changed == {str(folder / "known.csv"): 1, str(folder / name): 2}
    assert result.proved and looked.proved and result.unclear == {}
    # Short ids in other columns may be anything; a long one is taken out.
    note = "[erased]" if member == ADA else member
    assert read(folder / name) == [(f"{member}x", note), ("cy", f"thanks {note}")]
    assert erase(search, folder, member).nothing_to_do


def test_a_sealed_table_has_its_column_named_too(folder: Path, keeper: Keeper) -> None:
    known(folder, "4711")
    write(folder / "t.csv", "4711")
    sealed = folder / f"t.csv{SUFFIX}"
    seal(folder / "t.csv", sealed, keeper.vault.keyring())
    (folder / "t.csv").unlink()
    result = erase(search_in(folder, {sealed.name: "badge"}, keeper), folder, "4711")
    assert (result.changed[str(sealed)], result.proved) == (2, True)
    unseal(sealed, folder / "t.csv", keeper.vault.keyring())
    assert [badge for badge, _ in read(folder / "t.csv")] == ["4711x", "cy"]


@pytest.mark.parametrize("member", ["4711", "ben"])
@pytest.mark.parametrize("name", TABLES)
def test_without_a_column_the_table_is_told_of(folder: Path, name: str, member: str) -> None:
    known(folder, member)
    write(folder / name, member)
    before = (folder / name).read_bytes()
    for dry_run in (True, False, False):
        result = erase(search_in(folder), folder, member, dry_run=dry_run)
        assert not result.proved and list(result.unclear) == [str(folder / name)]
        why = result.unclear[str(folder / name)]
        assert "of 4 rows" in why
        # Of JSON lines the cells that are looked into lie deeper.
        assert ("the id fills cells of badge, note" in why) == ("jsonl" not in name)
    assert (folder / name).read_bytes() == before
    assert erase(search_in(folder, {name: ""}), folder, member).proved, "somebody says that nobody is in it"


def test_a_name_that_can_be_searched_for_needs_no_column(folder: Path) -> None:
    known(folder, ADA)
    (folder / "t.csv").write_text(f"badge,n\n{ADA},1\ncy,2\n")
    (folder / "weather.csv").write_text("hour,rain\n1,2\n")
    result = erase(search_in(folder), folder, ADA)
    assert result.proved and result.changed[str(folder / "t.csv")] == 1


def test_damaged_rows_that_hold_a_short_id_are_told_of(folder: Path) -> None:
    (folder / "known.csv").write_text("member,n\n4711,1\n4711\n4712\n")
    result = erase(search_in(folder), folder, "4711")
    assert result.unclear == {str(folder / "known.csv"): "1 rows that cannot be read hold the id"}


def test_a_column_that_is_not_there_is_refused(folder: Path) -> None:
    known(folder, "4711")
    write(folder / "t.csv", "4711")
    with pytest.raises(AttentionError, match="no column 'bagde'") as caught:
        erase(search_in(folder, {"t.csv": "bagde"}), folder, "4711")
    assert "badge" in str(caught.value.hint)


def test_the_command_ends_with_three_until_it_is_proved(desk: Desk) -> None:
    table = desk.folder / "badges.csv"
    table.write_text("badge,note\nben,1\ncy,2\n")
    words = ("erase", "ben", "--feed", desk.feed, "--data", table, "--yes")
    ran = desk.run(*words, "--json")
    assert (ran.code, list(ran.document["unclear"])) == (3, [str(table)])
    assert table.read_text() == "badge,note\nben,1\ncy,2\n"
    ran = desk.run(*words)
    assert (ran.code, "NOT PROVED" in ran.out, "--member-column" in ran.out + ran.err) == (3, True, True)
    for text in ("badge", "=badge", "nowhere.csv=badge"):
        assert "--member-column" in desk.refused(*words, "--member-column", text, code=2)["message"]
    told = desk.told(*words, "--member-column", f"{table}=badge")
    assert (told["changed"], told["unclear"]) == ({str(table): 1}, {})
    assert table.read_text().split() == ["badge,note", "cy,2"]


def statement(name: str, **more: Any) -> dict[str, Any]:
    account = {"account": {"homePage": "https://lms.example", "name": name}}
    return {"actor": account, "verb": {"id": "x:did"}, "object": {"id": "x:thing"}, **more}


def documents(member: str) -> dict[str, Any]:
    """Return a list of each kind, in which the second and the last record are the person's."""
    statements = [statement("cy"), statement(member), statement(f"{member}x"), statement(member)]
    acts = [
        {"type": "Like", "actor": "cy", "object": "p"},
        {"type": "Like", "actor": {"id": member}, "object": "p"},
        {"type": "Note", "attributedTo": f"{member}x"},
        {"type": "Note", "attributedTo": [member]},
    ]
    return {
        "array.json": statements,
        "store.json": {"more": "", "statements": statements},
        "outbox.json": {"type": "OrderedCollection", "totalItems": 4, "orderedItems": acts},
        "page.json": {"type": "Collection", "first": {"items": acts}, "totalItems": 9},
        "events.json": [
            {"id": "1", "authid": "cy"},
            {"id": "2", "authid": member},
            {"id": "3", "data": {"member": f"{member}x"}},
            {"id": "4", "data": {"member": member}},
        ],
        "mails.json": [
            statement("cy"),
            {"actor": {"mbox": f"mailto:{member}"}},
            {"actor": {"mbox": f"mailto:{member}x"}},
            {"actor": {"objectType": "Group", "member": [{"mbox": f"mailto:{member}"}]}},
        ],
    }


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", documents("x"))
@pytest.mark.parametrize("member", IDS)
def test_records_are_cut_out_of_documents(folder: Path, member: str, name: str, packed: bool) -> None:
    document = documents(member)[name]
    path = folder / (f"{name}.gz" if packed else name)
    text = json.dumps(document, indent=3)
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    search = search_in(folder)
    assert [one.kind for one in search.places] == [Kind.RECORDS]
    archive = folder.parent / "out.zip"
    assert export_person(search, find(search, member), None, archive, 1_700_000_000_000)["records"] == 2
    with zipfile.ZipFile(archive) as opened:
        lines = opened.read(next(one for one in opened.namelist() if one.startswith("records/"))).split(b"\n")
    assert [json.loads(line)["position"] for line in lines if line] == [2, 4]
    assert erase(search, folder, member, dry_run=True).changed == {str(path): 2}
    result = erase(search, folder, member)
    assert (result.changed, result.proved, result.redacted) == ({str(path): 2}, True, 0)
    content = path.read_bytes()
    after = json.loads(gzip.decompress(content) if packed else content)
    expected = documents(member)[name]
    for holder in (expected, *(expected.values() if isinstance(expected, dict) else ())):
        for kept in (holder, *(holder.values() if isinstance(holder, dict) else ())):
            if isinstance(kept, list) and len(kept) == 4:
                del kept[3], kept[1]
    if name == "outbox.json":
        expected["totalItems"] = 2
    assert after == expected
    assert erase(search, folder, member).nothing_to_do


NUMBERS = st.sampled_from(["1", "1.50", "-0.0", "1e400", "123456789012345678901234567890", "0.1000"])
OWNERS = st.sampled_from(["4711", "cy"])
LAYOUTS = st.sampled_from(["", " ", "\n\t", "  \r\n"])


@given(st.lists(st.tuples(OWNERS, NUMBERS, LAYOUTS), min_size=1), LAYOUTS, st.booleans())
def test_what_stays_keeps_its_bytes(
    tmp_path_factory: pytest.TempPathFactory, records: list[tuple[str, str, str]], space: str, wrapped: bool
) -> None:
    texts = [f'{gap}{{"actor":{gap}"{owner}","n":{gap}{number},"n":null}}' for owner, number, gap in records]
    text = f"[{','.join(texts)}{space}]"
    path = tmp_path_factory.mktemp("list") / "d.json"
    path.write_text(f'{{"a":{space}[1,2],"b":{text} ,"c":"["}}' if wrapped else text)
    done = without_records(path, Whose("4711"))
    kept = [one.strip() for one, (owner, *_) in zip(texts, records, strict=True) if owner == "cy"]
    assert len(done.theirs) == len(records) - len(kept)
    if done.content is None:
        assert len(kept) == len(records)
        return
    new = done.content.decode()
    json.loads(new)
    position = 0
    for one in kept:
        position = new.index(one, position) + len(one)
    assert new.count('"actor"') == len(kept)
    if wrapped:
        assert new.startswith(f'{{"a":{space}[1,2],"b":[') and new.endswith(' ,"c":"["}')


def test_others_records_lose_the_name(folder: Path) -> None:
    path = folder / "outbox.json"
    mine = {"type": "Like", "actor": ADA, "object": "p"}
    others = '{"type": "Note", "actor": "ben", "n": 1.50, "to": ["ada\\u0040example.org"]}'
    path.write_text(f"[{json.dumps(mine)}, {others}]")
    result = erase(search_in(folder), folder, ADA)
    assert (result.changed, result.redacted, result.left) == ({str(path): 1}, 1, {})
    assert path.read_text() == '[{"type": "Note", "actor": "ben", "n": 1.50, "to": ["[erased]"]}]'


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ([{"who": "4711"}, {"who": "cy"}], "of 2 records"),
        ({"rows": [{"who": "cy"}]}, "of 1 records"),
        (statement("4711"), "where no list"),
        ({"owner": 4711, "items": [statement("cy")]}, "where no list"),
        ({"ids": ["4711"]}, "where no list"),
        ("{", "not read as JSON"),
        ("[" * 80 + "]" * 80, "not read as JSON"),
    ],
)
def test_what_is_not_understood_is_told_of(folder: Path, document: Any, why: str) -> None:
    known(folder, "4711")
    path = folder / "d.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    before = path.read_bytes()
    result = erase(search_in(folder), folder, "4711")
    assert why in result.unclear[str(path)] and not result.proved
    assert path.read_bytes() == before
    assert erase(search_in(folder, {"d.json": ""}), folder, "4711").proved
    if why.startswith("of 2"):
        done = erase(search_in(folder, {"d.json": "who"}), folder, "4711")
        assert done.proved and json.loads(path.read_text()) == [{"who": "cy"}]


@pytest.mark.parametrize("member", ["4711", ADA])
def test_a_document_that_does_not_unpack_stops_nothing(folder: Path, member: str) -> None:
    known(folder, member)
    path = folder / "d.json.gz"
    path.write_bytes(gzip.compress(json.dumps([statement(member)]).encode())[:-9])
    before = path.read_bytes()
    result = erase(search_in(folder), folder, member)
    assert result.changed == {str(folder / "known.csv"): 1} and path.read_bytes() == before
    assert "does not unpack" in result.unseen[str(path)]
    assert (str(path) in result.unclear) == (member == "4711")


def test_of_a_name_in_no_list_the_search_tells(folder: Path) -> None:
    known(folder, ADA)
    (folder / "one.json").write_text(json.dumps({"actor": {"mbox": f"mailto:{ADA}"}}))
    (folder / "strange.json").write_text(json.dumps([{"who": ADA}]))
    result = erase(search_in(folder), folder, ADA)
    assert result.left == {str(folder / "one.json"): 1, str(folder / "strange.json"): 1}


def test_our_own_documents_stay(folder: Path) -> None:
    path = folder / "m.json"
    path.write_text(json.dumps({"schema": "timebank.x/1", "rows": [{"member": "4711"}]}))
    assert kind_of(path) is Kind.OTHER
    path.write_text(json.dumps({"schema": "https://x", "rows": [{"member": "4711"}]}))
    assert kind_of(path) is Kind.RECORDS


@pytest.mark.parametrize("member", IDS)
def test_the_actor_of_a_line_tells(folder: Path, member: str) -> None:
    path = folder / "lrs.jsonl"
    lines = [statement(member), statement("cy", note=f"by {member}"), statement(f"{member}x")]
    path.write_text("".join(json.dumps(one) + "\n" for one in lines))
    result = erase(search_in(folder), folder, member)
    assert (result.changed, result.proved) == ({str(path): 1}, True)
    note = f"by {'[erased]' if member == ADA else member}"
    assert [json.loads(line) for line in path.read_text().split("\n") if line] == [
        statement("cy", note=note),
        statement(f"{member}x"),
    ]


@pytest.mark.parametrize(
    ("record", "names"),
    [
        ({"actor": {"mbox": "mailto:a@b.c"}}, {"a@b.c"}),
        ({"actor": {"account": {"name": 7, "homePage": "https://x"}}}, {"7", "7@https://x"}),
        ({"actor": [{"id": "a"}, "b"], "attributedTo": "c"}, {"a", "b"}),
        ({"actor": True, "authid": ""}, set()),
        ({"data": {"member": "m"}}, {"m"}),
        ({"object": "o"}, set()),
    ],
)
def test_who_acted(record: dict[str, Any], names: set[str]) -> None:
    assert acting_names(record) == names


@pytest.mark.data
def test_collect_and_erasure_agree_whose_a_record_is() -> None:
    told = []
    # Most of the standards' examples have no time, without which nothing is counted.
    when = "2024-01-01T00:00:00Z"
    for case in (*xapi_cases("v1_0_3"), *xapi_cases("v2_0")):
        with suppress(Fault, NothingToCount):
            check_statement(case.document)
            told.append((case.document, statement_event({"timestamp": when} | case.document).member))
    for _, raw, _ in activitystreams_cases():
        with suppress(Fault):
            document = parse_record(raw)
            check_activitystreams(document)
            if "items" not in document and "orderedItems" not in document:
                found = activitystreams_events({"published": when} | document)
                told += [(document, one.member) for one in found if isinstance(one, MemberEvent)]
    # A group without a name is known to `collect` by the hash of its members, each of whom acted.
    people = [(document, member) for document, member in told if not member.startswith("group:")]
    assert len(people) > 300
    assert [(document, member) for document, member in people if member not in acting_names(document)] == []


def test_the_hash_of_an_address_is_theirs(folder: Path) -> None:
    def hashed(address: str) -> str:
        return hashlib.sha1(f"mailto:{address}".encode(), usedforsecurity=False).hexdigest()

    path = folder / "lrs.json"
    records = [
        {"actor": {"mbox_sha1sum": hashed(ADA)}, "n": 1},
        {"actor": {"mbox_sha1sum": hashed(ADA).upper()}, "n": 2},
        {"actor": {"mbox_sha1sum": hashed(f"x{ADA}")}, "n": 3},
        {"actor": {"mbox": "mailto:cy@example.org"}, "context": {"team": {"mbox_sha1sum": hashed(ADA)}}},
        {"actor": {"mbox_sha1sum": hashed("Ada.L@example.org")}, "n": 4},
        {"actor": {"mbox_sha1sum": hashed("ada.l@example.org")}, "n": 5},
    ]
    path.write_text(json.dumps(records))
    (folder / "aliases.csv").write_text(f"alias,member\nAda.L@example.org,{ADA}\n")
    (folder / "notes.txt").write_text(f"see {hashed(ADA)}")
    result = erase(search_in(folder), folder, ADA)
    assert (result.changed[str(path)], result.redacted) == (4, 1)
    assert list(result.left) == [str(folder / "notes.txt")]
    kept = [records[2], {**records[3], "context": {"team": {"mbox_sha1sum": "[erased]"}}}]
    assert json.loads(path.read_text()) == kept
    forgotten = load_erased(folder.parent / "erased.json")
    assert forgotten is not None and forgotten.has_member(hashed(ADA))


def test_a_short_alias_is_told_of_until_it_is_settled(folder: Path) -> None:
    (folder / "aliases.csv").write_text(f"alias,member\nm3,{ADA}\nm4,ben\n")
    known(folder, ADA)
    table = folder / "t.csv"
    table.write_text("badge,n\nm3,1\nm4,2\n")
    (folder / "lrs.json").write_text(json.dumps([{"who": "m3"}]))
    for dry_run in (True, False, False):
        result = erase(search_in(folder), folder, ADA, dry_run=dry_run)
        assert not result.proved and not result.searched
        assert {Path(name).name for name in result.unclear} == {"t.csv", "lrs.json", "aliases.csv"}
    assert table.read_text() == "badge,n\nm3,1\nm4,2\n"
    result = erase(search_in(folder, {"t.csv": "badge", "lrs.json": "who"}), folder, ADA)
    assert result.proved and result.changed[str(table)] == 1
    assert (folder / "aliases.csv").read_text() == "alias,member\nm4,ben\n"
    assert (table.read_text(), (folder / "lrs.json").read_text()) == ("badge,n\n\nm4,2\n", "[]")
