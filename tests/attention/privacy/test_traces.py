"""The search for what is left of a member, in every disguise a file may have.

disguises ......... other capitals, zip in zip, gzip, bzip2, xz, zstd, UTF-16, UTF-32, escapes of JSON, URLs
                    and HTML; none of them is taken for another member; capitals of an act's id count
parquet ........... strings, categories, an unused dictionary entry, nested cells, metadata
blocks ............ what lies across two blocks is found, and counted once
by hash ........... an erased act's id, and an alias, are found again when nobody knows them any more
unseen ............ an encrypted or damaged archive is named; so is one too deep
rewriting ......... a Parquet file with categories forgets the erased ones
erase ............. once more with nothing edited still says 3; the holds are looked into; a dry run tells
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from timebank_chain.activity.erased import new_erased
from timebank_chain.attention.privacy import traces
from timebank_chain.attention.privacy.erasure import Erasure, Oracle, erase_person
from timebank_chain.attention.privacy.person import Search
from timebank_chain.attention.privacy.places import places
from timebank_chain.attention.privacy.traces import Traces

ADA = "ada@example.org"
NAMES = frozenset({ADA})
FEED = (
    "id,member,domain,occurred,interaction,originality,engagement\n"
    f"post:4711,{ADA},forum,2024-01-01T12:00:00Z,1,1,1\n"
    "post:4712,ben@example.org,forum,2024-01-01T12:00:00Z,1,1,1\n"
)


def zipped(content: bytes, name: str = "inner.bin") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


def zstd(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as out:
        out.write(content)
    packed: bytes = sink.getvalue().to_pybytes()
    return packed


def saved(values: list[str]) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, members=np.array(values))
    return buffer.getvalue()


TEXT = f"present: {ADA}, and others".encode()
DISGUISES: dict[str, bytes] = {
    "plain": TEXT,
    "capitals": TEXT.replace(b"ada@e", b"Ada@E"),
    "zip": zipped(TEXT),
    "zip in zip": zipped(zipped(TEXT)),
    "zip member's name": zipped(b"a face", f"{ADA}.png"),
    "numpy": saved(["ben", ADA]),
    "gzip": gzip.compress(TEXT),
    "gzip twice": gzip.compress(gzip.compress(TEXT)),
    "bzip2": bz2.compress(TEXT),
    "xz": lzma.compress(TEXT),
    "zstd": zstd(TEXT),
    "utf-16": TEXT.decode().encode("utf-16"),
    "utf-16-be": b"x" + TEXT.decode().encode("utf-16-be"),
    "utf-32": TEXT.decode().encode("utf-32"),
    "json": TEXT.replace(b"@", b"\\u0040"),
    "json twice": TEXT.replace(b"@", b"\\\\u0040"),
    "url": TEXT.replace(b"@", b"%40"),
    "url twice": TEXT.replace(b"@", b"%2540"),
    "html": TEXT.replace(b"@", b"&#64;"),
}


def look(path: Path, **changes: frozenset[str]) -> int:
    return Traces(changes.get("names", NAMES), changes.get("acts", frozenset())).in_file(path)


@pytest.mark.parametrize("disguise", DISGUISES)
def test_every_disguise_is_seen_through(disguise: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(DISGUISES[disguise])
    # The name of a file in an archive stands there twice.
    assert look(path) == (2 if disguise == "zip member's name" else 1)
    assert look(path, names=frozenset({"da@example.org"})) == 0, "a part of a word is somebody else"


def test_letters_beyond_ascii_are_found_in_every_shape(tmp_path: Path) -> None:
    path = tmp_path / "file"
    name = frozenset({"Jürgen Weiß"})
    for content in (
        "mit JÜRGEN WEISS am Tisch".encode(),
        "mit Ju\u0308rgen Weiß am Tisch".encode(),
        "mit Jürgen Weiß am Tisch".encode("utf-16"),
        saved(["ben", "Jürgen Weiß"]),
        b"\x01" + "mit Jürgen Weiß am Tisch".encode("utf-16-le"),
        json.dumps("mit Jürgen Weiß am Tisch").encode(),
    ):
        path.write_bytes(content)
        assert look(path, names=name) == 1, content


def test_an_act_of_other_capitals_is_another_act(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("post:ABC")
    assert look(path, names=frozenset(), acts=frozenset({"post:ABC"})) == 1
    assert look(path, names=frozenset(), acts=frozenset({"post:abc"})) == 0


@settings(max_examples=40, deadline=None)
@given(
    st.integers(min_value=0, max_value=300), st.sampled_from([TEXT, DISGUISES["json"], DISGUISES["utf-32"]])
)
def test_what_lies_across_two_blocks_is_found_once(before: int, content: bytes) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(traces, "_BLOCK", 128)  # the real one would need files of megabytes
        assert Traces(NAMES, frozenset()).in_bytes(b"." * before + content + b" ." * 300) == 1


def test_parquet_is_read_to_its_last_page(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"

    def found(table: pa.Table) -> bool:
        pq.write_table(table, path, compression="zstd")
        return look(path) > 0

    unused = pa.DictionaryArray.from_arrays(pa.array([1, 1], pa.int8()), pa.array([ADA, "ben"]))
    assert found(pa.table({"who": [ADA]}))
    assert found(pa.table({"who": pa.array([ADA.encode()])}))
    assert found(pa.table({"who": [[{"by": ADA}]]}))
    assert found(pa.table({"who": unused}))
    assert found(pa.table({"who": unused}).replace_schema_metadata({"made by": ADA}))
    assert found(pa.table({ADA: [1]}))
    assert not found(pa.table({"who": ["ben"]}).replace_schema_metadata({"made by": "ben"}))


def test_what_was_erased_before_is_known_by_its_hash(tmp_path: Path) -> None:
    erased = new_erased().with_person(ADA, ["post:4711", "an act of many words", "n: tæt"], [])
    seeking = Traces(frozenset(), frozenset(), erased)
    for number, (content, count) in enumerate(
        (
            (b'["post:4711", "post:4712"]', 1),
            (b"id,x\npost:4711.,\n", 1),
            (gzip.compress(b"(post:4711)"), 1),
            (b"<b>Ada@Example.org</b>", 1),
            (b"1,an act of many words,2", 1),
            ("\ufeffpost:4711, ein Gruß".encode("utf-16-be"), 1),
            ("\ufeffn: tæt".encode("utf-16-le"), 1),
            (b"post:4712 post:47 4711", 0),
        )
    ):
        path = tmp_path / str(number)
        path.write_bytes(content)
        assert seeking.in_file(path) == count, content


def test_what_cannot_be_seen_is_named(tmp_path: Path) -> None:
    damaged = bytearray(zipped(TEXT * 50))
    damaged[45] ^= 0xFF
    deep = TEXT
    for _ in range(6):
        deep = gzip.compress(deep)
    encrypted = bytearray(zipped(TEXT))
    encrypted[6] |= 1  # the sign of encryption, in the member's own header and in the archive's list
    encrypted[encrypted.index(b"PK\x01\x02") + 8] |= 1
    for name, content in {"damaged": damaged, "deep": deep, "encrypted": encrypted}.items():
        path = tmp_path / name
        path.write_bytes(content)
        seeking = Traces(NAMES, frozenset())
        assert seeking.in_file(path) == 0
        assert [one.split("!")[0] for one in seeking.unseen] == [str(path)], name


@pytest.fixture
def erase(tmp_path: Path) -> Callable[..., Erasure]:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "feed.csv").write_text(FEED)

    def run(*more: Path, member: str = ADA, dry_run: bool = False, epochs: Path | None = None) -> Erasure:
        search = Search(tuple(places([folder, *more])))
        return erase_person(
            search,
            member,
            erased_file=tmp_path / "erased.json",
            oracle=Oracle(),
            epochs=epochs,
            dry_run=dry_run,
        )

    return run


def test_once_more_with_nothing_edited_still_finds_the_acts(
    erase: Callable[..., Erasure], tmp_path: Path
) -> None:
    (tmp_path / "data" / "ids.json").write_text('["post:4711"]')
    expected = tmp_path / "data" / "expected.txt"
    expected.write_text("post:4711 | ok\n")
    first = erase()
    assert set(first.left) == {str(tmp_path / "data" / name) for name in ("ids.json", "expected.txt")}
    again = erase()
    assert (again.again, again.changed, again.left) == (True, {}, first.left)
    expected.unlink()
    (tmp_path / "data" / "ids.json").write_text("[]")
    assert not erase().left


def test_a_rewritten_table_of_categories_forgets_the_erased(
    erase: Callable[..., Erasure], tmp_path: Path
) -> None:
    path = tmp_path / "data" / "old.parquet"
    frame = pd.DataFrame(
        {"member": [ADA, "ben", "ben"], "note": ["a", f"thanks {ADA}", None]}, dtype="category"
    )
    frame.to_parquet(path)
    result = erase()
    assert result.changed[str(path)] == 1
    assert not result.left
    assert look(path) == 0
    kept = pd.read_parquet(path)
    assert kept["member"].tolist() == ["ben", "ben"]
    assert kept["note"].iloc[0] == "thanks [erased]"
    assert isinstance(kept["member"].dtype, pd.CategoricalDtype)
