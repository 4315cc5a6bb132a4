"""The joined feed: each event once, ordered, standardised, kept with its hash.

feed
├── joining
│   ├── nothing is lost: read = kept + rejected, whatever came
│   ├── the order of files and lines changes neither feed nor hash
│   ├── repeated exactly: kept once; repeated differently: none is kept, all are named
│   ├── same id of another source: another event
│   ├── taken back by who did it, or by the source: not kept; by anybody else: kept
│   ├── the hash of an address is who has it, if anybody is known by that address; the exact spelling first
│   └── aliases make two sources' names one member, before repetitions are looked for
├── standardising: every unit to its base; unknown units stay; infinite values are refused
├── refused: future, control characters, lone surrogates, too long, empty names
├── time going backwards is counted by file
└── files: Parquet and CSV give back the same feed and hash; damaged, foreign and tampered ones are refused
"""

from __future__ import annotations

import hashlib
import math
import random
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.attention.collect.builders import HOUR_MS, NOON_MS, NOW_MS, collected, event, feed, statement
from timebank_chain.attention.collect import (
    Fault,
    MemberEvent,
    NothingToCount,
    Reading,
    Retraction,
    build_feed,
    manifest,
    read_feed,
    write_feed,
)
from timebank_chain.attention.collect.measures import CONVERSIONS, to_base
from timebank_chain.attention.collect.xapi import statement_event
from timebank_chain.errors import AttentionError

NAMES = st.text(st.characters(codec="utf-8"), max_size=6)
EVENTS = st.builds(
    MemberEvent,
    source=st.sampled_from(["a", "b", ""]),
    id=NAMES,
    member=NAMES,
    at_ms=st.integers(0, NOW_MS + 10),
    verb=st.sampled_from(["view", "create", "yodel"]),
    object=NAMES,
    value=st.none() | st.floats(),
    unit=st.sampled_from(["s", "min", "", "parsec"]),
)
FOUND = (
    EVENTS
    | st.builds(Fault, st.just("$.x"), st.just("wrong"))
    | st.builds(NothingToCount, st.just("$"), st.just("no"))
    | st.builds(
        Retraction,
        st.just("$"),
        st.just("undoes"),
        source=st.sampled_from(["a", "b"]),
        id=NAMES,
        member=st.none() | NAMES,
    )
)


@settings(deadline=None)
@given(st.lists(FOUND, max_size=20), st.randoms(use_true_random=False))
def test_nothing_is_lost_and_order_does_not_matter(found: list[object], chance: random.Random) -> None:
    readings = [
        Reading(f"f{number % 3}", number, "text", one)  # type: ignore[arg-type]  # the strategy draws all three kinds
        for number, one in enumerate(found)
    ]
    first = build_feed(readings, now_ms=NOW_MS)
    assert first.read == len(found) == len(first.feed) + len(first.rejects)
    assert len(first.rejects) == (
        first.refused + first.uncounted + first.duplicates + first.conflicting + first.retracted
    )
    chance.shuffle(readings)
    second = build_feed(readings, now_ms=NOW_MS)
    assert second.feed.data_hash() == first.feed.data_hash()
    assert second.rejects == first.rejects
    keys = list(zip(first.feed.at_ms.tolist(), first.feed.source, first.feed.id, strict=True))
    assert keys == sorted(set(keys))


def test_repeated_exactly_is_kept_once() -> None:
    result = collected(event(1), event(2), event(1))
    assert result.feed.id == ["e1", "e2"]
    (again,) = result.rejects
    assert (again.line, again.id, again.field, again.reason) == (3, "e1", "$.id", "duplicate: same as f:1")
    assert (result.duplicates, result.conflicting) == (1, 0)


def test_repeated_differently_is_not_kept_at_all() -> None:
    result = collected(event(1), event(1, member="bob"), event(1), event(2))
    assert result.feed.id == ["e2"]
    assert [one.line for one in result.rejects] == [1, 2, 3]
    assert result.reasons() == {"conflicting duplicate": 3}
    assert result.conflicting == 3


def test_same_id_of_another_source_is_another_event() -> None:
    assert len(collected(event(1), event(1, source="t")).feed) == 2


def test_what_is_taken_back_by_who_did_it_is_not_kept() -> None:
    mine = Retraction("$", "undoes", source="s", id="e1", member="ada@x")
    anothers = Retraction("$", "undoes", source="s", id="e2", member="thief")
    anybodys = Retraction("$", "voids", source="s", id="e3", member=None)
    found = [mine, event(1), event(2), event(3), event(1, id="e1#actor-2"), anothers, anybodys]
    readings = [Reading("f", line, "", one) for line, one in enumerate(found, 1)]
    result = build_feed(readings, now_ms=NOW_MS, aliases={"ada@x": "ada"})
    assert result.feed.id == ["e2"]
    assert (result.retracted, result.uncounted) == (3, 3)
    assert [one.reason for one in result.rejects if one.id == "e1"] == ["retracted: by f:1"]


def test_aliases_join_members_first() -> None:
    result = collected(
        event(1, member="ada@x"),
        event(1, member="7"),
        event(2, member="bob"),
        aliases={"ada@x": "ada", "7": "ada"},
    )
    assert result.feed.member == ["ada", "bob"]
    assert result.duplicates == 1


@pytest.mark.parametrize(
    ("value", "unit", "base"),
    [(90.0, "min", (5_400.0, "s")), (212.0, "degF", (100.0, "degC")), (0.0, "K", (-273.15, "degC")),
     (50.0, "%", (0.5, "ratio")), (2.0, "KiB", (2_048.0, "B")), (120.0, "bpm", (2.0, "Hz")),
     (5.0, "parsec", (5.0, "parsec")), (5.0, "", (5.0, ""))],
)  # fmt: skip
def test_units_become_their_base(value: float, unit: str, base: tuple[float, str]) -> None:
    got = to_base(value, unit)
    assert (got[0], got[1]) == (pytest.approx(base[0]), base[1])
    result = collected(event(1, value=value, unit=unit))
    assert (float(result.feed.value[0]), result.feed.unit[0]) == (pytest.approx(base[0]), base[1])


def test_every_base_unit_is_its_own_base() -> None:
    for known in CONVERSIONS.values():
        assert to_base(1.0, known.base) == (1.0, known.base)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"at_ms": NOW_MS + 1}, "$.at_ms"),
        ({"member": ""}, "$.member"),
        ({"member": "a\nb"}, "$.member"),
        ({"member": "\ud800"}, "$.member"),
        ({"object": "x" * 2_049}, "$.object"),
        ({"id": "é" * 300}, "$.id"),
        ({"value": math.inf, "unit": "s"}, "$.value"),
        ({"value": math.nan, "unit": "s"}, "$.value"),
    ],
)
def test_events_that_cannot_be_kept_are_refused_by_their_field(
    changes: dict[str, object], field: str
) -> None:
    result = collected(event(1, **changes), event(2))
    assert result.feed.id == ["e2"]
    assert [one.field for one in result.rejects] == [field]
    assert result.refused == 1


def test_time_going_backwards_is_counted_by_file() -> None:
    readings = [
        Reading("a", 1, "", event(5)),
        Reading("b", 1, "", event(1)),
        Reading("a", 2, "", event(3)),
        Reading("a", 3, "", event(4)),
        Reading("b", 2, "", event(2)),
    ]
    assert build_feed(readings, now_ms=NOW_MS).backwards == {"a": 2}


def test_nothing_makes_an_empty_feed() -> None:
    result = build_feed([], now_ms=NOW_MS)
    assert (len(result.feed), result.read) == (0, 0)
    assert len(result.feed.data_hash()) == 64


# ---------------------------------------------------------------- files

MIXED = [
    event(1, value=0.1, unit="s"),
    event(2, member='q"uo,te', object="ü ñ 漢", value=-2.5e300, unit=""),
    event(3, object="", domain=""),
]


@pytest.mark.parametrize("name", ["feed.parquet", "feed.csv"])
def test_written_and_read_back_it_is_the_same(tmp_path: Path, name: str) -> None:
    made = feed(MIXED)
    digest = write_feed(made, tmp_path / name)
    back = read_feed(tmp_path / name, data_hash=digest)
    assert list(back.rows()) == list(made.rows())
    assert back.data_hash() == digest == feed(MIXED).data_hash()
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]


def test_one_changed_value_changes_the_hash(tmp_path: Path) -> None:
    digest = feed(MIXED).data_hash()
    assert feed([*MIXED[:2], event(3, object="", domain="x")]).data_hash() != digest
    write_feed(feed(MIXED), tmp_path / "feed.csv")
    text = (tmp_path / "feed.csv").read_text()
    (tmp_path / "feed.csv").write_text(text.replace("ada", "eve"))
    with pytest.raises(AttentionError, match="not those of the given data hash"):
        read_feed(tmp_path / "feed.csv", data_hash=digest)


def test_a_tampered_parquet_file_is_refused_by_its_own_hash(tmp_path: Path) -> None:
    write_feed(feed(MIXED), tmp_path / "feed.parquet")
    table = pq.read_table(tmp_path / "feed.parquet")
    members = pa.array(["eve", *table.column("member").to_pylist()[1:]], pa.string())
    pq.write_table(
        table.set_column(2, table.schema.field("member"), members).replace_schema_metadata(
            table.schema.metadata
        ),
        tmp_path / "feed.parquet",
    )
    with pytest.raises(AttentionError, match="not those of its own data hash"):
        read_feed(tmp_path / "feed.parquet")


def test_rows_out_of_order_or_twice_are_refused(tmp_path: Path) -> None:
    from timebank_chain.attention.collect import feed_of

    for rows in ([event(2), event(1)], [event(1), event(1)]):
        with pytest.raises(AttentionError, match="not ordered"):
            write_feed(feed_of(rows), tmp_path / "feed.parquet")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.parquet", b"PAR1"),
        ("a.csv", b""),
        ("a.csv", b"a,b\n"),
        ("a.csv", b"source,id,member,at_ms,verb,object,domain,value,unit\ns,i,m,soon,v,o,d,,\n"),
        ("a.csv", b"source,id,member,at_ms,verb,object,domain,value,unit\ns,i,m,1,v,o,d,inf,s\n"),
        ("a.csv", b"source,id,member,at_ms,verb,object,domain,value,unit\ns,i,m,1\n"),
        ("a.csv", b"\xff\xfe"),
    ],
)
def test_files_that_are_no_feed(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(AttentionError) as error:
        read_feed(tmp_path / name)
    assert str(tmp_path / name) in str(error.value)


def test_files_that_are_not_there_or_another_table(tmp_path: Path) -> None:
    for name in ("none.parquet", "none.csv"):
        with pytest.raises(AttentionError):
            read_feed(tmp_path / name)
    pq.write_table(pa.table({"a": [1]}), tmp_path / "other.parquet")
    with pytest.raises(AttentionError, match="no feed of schema"):
        read_feed(tmp_path / "other.parquet")
    with pytest.raises(AttentionError, match="cannot write"):
        write_feed(feed(MIXED), tmp_path / "none" / "feed.parquet")


def test_the_manifest_says_what_the_feed_is_made_of(tmp_path: Path) -> None:
    source = tmp_path / "log.jsonl"
    source.write_text("{}\n")
    result = collected(event(1), event(2), event(2), file=str(source))
    write_feed(result.feed, tmp_path / "feed.parquet")
    told = manifest(result, output=tmp_path / "feed.parquet", inputs=[("table", source)], made_at_ms=5)
    assert told["data_sha256"] == result.feed.data_hash()
    assert (told["rows"], told["read"], told["rejected"], told["duplicates"]) == (2, 3, 1, 1)
    assert (told["first_ms"], told["last_ms"]) == (NOON_MS + HOUR_MS, NOON_MS + 2 * HOUR_MS)
    assert told["inputs"] == [
        {
            "kind": "table",
            "file": "log.jsonl",
            "sha256": "ca3d163bab055381827226140568f3bef7eaac187cebd76878e0b63e9e442356",
        }
    ]


def test_the_hash_of_an_address_is_who_has_it() -> None:
    def hashed(address: str) -> str:
        return hashlib.sha1(f"mailto:{address}".encode(), usedforsecurity=False).hexdigest()

    first, second = "ada@example.org", "Ben@example.org"
    named = [
        event(1, source="xapi", member=hashed(first)),
        event(2, source="xapi", member="cy", object=hashed(first)),
        event(3, source="forum", member=first),
        event(4, source="xapi", member=hashed("ben@example.org")),
        event(5, source="xapi", member=hashed("nobody@example.org")),
        event(6, source="forum", member=hashed(first)),
    ]
    result = collected(*named, aliases={second: "ben", "acct:dot": "dot@example.org"})
    assert result.feed.member == [first, "cy", first, "ben", hashed("nobody@example.org"), hashed(first)]
    assert result.feed.object[1] == first
    spelled = collected(
        event(1, source="xapi", member=hashed("ben@example.org")), event(2, member="ben@example.org"),
        event(3, source="xapi", member=hashed(second)), event(4, member=second),
        event(5, source="xapi", member=hashed("dot@example.org")), aliases={"acct:dot": "dot@example.org"},
    )  # fmt: skip
    assert spelled.feed.member == ["ben@example.org"] * 2 + [second] * 2 + ["dot@example.org"]


def test_hexadecimal_is_read_in_any_letters() -> None:
    digest = hashlib.sha1(b"mailto:ada@example.org", usedforsecurity=False).hexdigest()
    told = [statement_event(statement(actor={"mbox_sha1sum": one})) for one in (digest, digest.upper())]
    assert told[0] == replace(told[1], id=told[0].id) and told[0].member == digest
