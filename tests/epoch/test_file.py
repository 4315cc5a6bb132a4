"""read_epoch: what a reader refuses, always naming the file
|- any flipped bit in any published file (every bit of the small ones, a sample of the large)
|- any file cut short, emptied, or removed; a file too many
|- a manifest that is large, of another epoch, with other files, or padded
|- a Parquet file whose manifest and header vouch for it, but that is no Parquet, of other columns, of
|  more or fewer rows than the header counts, or claims more rows than its bytes can hold
|- the header of another epoch
|- a policy file that was changed; epochs with a gap
`- columns that come back as they were written
"""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.epoch import sample
from timebank_chain.epoch import publish, published_numbers, read_epoch, read_policy
from timebank_chain.epoch.file import (
    ACCOUNTS_FILE,
    ACTIVITIES_FILE,
    DATA_FILES,
    HEADER_FILE,
    MANIFEST_FILE,
    encode_header,
    encode_manifest,
    policy_file,
)
from timebank_chain.errors import EpochError, TamperedEpoch

ALL_FILES = [HEADER_FILE, MANIFEST_FILE, ACTIVITIES_FILE, ACCOUNTS_FILE]


@pytest.fixture
def epochs(tmp_path: Path) -> Path:
    publish(sample.build(1, None), tmp_path)
    return tmp_path


def vouch(epochs: Path, *, manifest: bytes | None = None, **files: bytes) -> None:
    """Put other data in place, with a manifest and a header that vouch for it."""
    folder = epochs / "000001"
    header = read_epoch(epochs, 1).header
    for name, content in files.items():
        (folder / f"{name}.parquet").write_bytes(content)
    data = {name: (folder / name).read_bytes() for name in DATA_FILES}
    text = encode_manifest(1, data) if manifest is None else manifest
    (folder / MANIFEST_FILE).write_bytes(text)
    other = replace(header, data_hash=hashlib.sha256(text).digest())
    (folder / HEADER_FILE).write_bytes(encode_header(other))


def test_rows_come_back_as_written(tmp_path: Path) -> None:
    made = sample.build(1, None)
    published = publish(made, tmp_path)
    for written, read in ((made.activities, published.activities), (made.accounts, published.accounts)):
        for name, column in written.columns().items():
            back = getattr(read, name)
            assert back.dtype == column.dtype
            assert np.array_equal(back, column), name
    assert published.header == made.header


@pytest.mark.parametrize("name", ALL_FILES)
def test_any_flipped_bit_is_noticed(epochs: Path, name: str) -> None:
    path = epochs / "000001" / name
    genuine = path.read_bytes()
    step = 1 if len(genuine) < 2_000 else 997
    for bit in range(0, 8 * len(genuine), step):
        changed = bytearray(genuine)
        changed[bit // 8] ^= 1 << bit % 8
        if name == HEADER_FILE and json_equal(bytes(changed), genuine):
            continue  # white space turned into other white space: the same document
        path.write_bytes(bytes(changed))
        with pytest.raises(EpochError) as caught:
            read_epoch(epochs, 1)
        assert (caught.value.where or "").startswith(str(path)), (bit, caught.value)


def json_equal(changed: bytes, genuine: bytes) -> bool:
    try:
        return bool(json.loads(changed) == json.loads(genuine))
    except ValueError:
        return False


@pytest.mark.parametrize("name", ALL_FILES)
@pytest.mark.parametrize("left", [0, 1, 0.5, -1])
def test_a_file_cut_short_is_named(epochs: Path, name: str, left: float) -> None:
    path = epochs / "000001" / name
    content = path.read_bytes()
    keep = int(len(content) * left) if isinstance(left, float) else left
    cut = content[:keep]
    if name == HEADER_FILE and left == -1:
        cut = content[:-2]  # the last byte is only a line feed
    path.write_bytes(cut)
    with pytest.raises(TamperedEpoch) as caught:
        read_epoch(epochs, 1)
    assert (caught.value.where or "").startswith(str(path))


@pytest.mark.parametrize("name", ALL_FILES)
def test_a_missing_file_is_named(epochs: Path, name: str) -> None:
    path = epochs / "000001" / name
    path.unlink()
    with pytest.raises(TamperedEpoch, match="cannot be read: No such file") as caught:
        read_epoch(epochs, 1)
    assert caught.value.where == str(path)


@pytest.mark.parametrize("name", DATA_FILES)
def test_a_larger_file_is_refused_before_it_is_decoded(epochs: Path, name: str) -> None:
    path = epochs / "000001" / name
    size = path.stat().st_size
    path.write_bytes(path.read_bytes() + b"\x00")
    with pytest.raises(TamperedEpoch, match=f"{size + 1} bytes, the manifest says {size}"):
        read_epoch(epochs, 1)


def test_a_file_too_many_is_named(epochs: Path) -> None:
    path = epochs / "000001" / "more.parquet"
    path.write_bytes(b"")
    with pytest.raises(TamperedEpoch, match="does not belong") as caught:
        read_epoch(epochs, 1)
    assert caught.value.where == str(path)


def test_a_huge_header_is_not_read(epochs: Path) -> None:
    (epochs / "000001" / HEADER_FILE).write_bytes(b" " * (1 << 17))
    with pytest.raises(TamperedEpoch, match="larger than 65536 bytes"):
        read_epoch(epochs, 1)


@pytest.mark.parametrize("text", ["[]", '"x"', "{", '{"schema": 1, "schema": 2}', "[" * 60_000])
def test_what_is_no_json_object_is_refused(epochs: Path, text: str) -> None:
    (epochs / "000001" / HEADER_FILE).write_text(text)
    with pytest.raises(TamperedEpoch, match=r"not valid JSON|not a JSON object") as caught:
        read_epoch(epochs, 1)
    assert caught.value.where == str(epochs / "000001" / HEADER_FILE)


def manifest_with(epochs: Path, **changes: Any) -> bytes:
    document = json.loads((epochs / "000001" / MANIFEST_FILE).read_bytes())
    return json.dumps({**document, **changes}).encode()


def entries(epochs: Path) -> list[dict[str, Any]]:
    return list(json.loads((epochs / "000001" / MANIFEST_FILE).read_bytes())["files"])


def test_a_manifest_the_header_vouches_for_must_still_be_one(epochs: Path) -> None:
    first, second = entries(epochs)
    cases = [
        ({"schema": "timebank.epoch-data/2"}, "not a document timebank.epoch-data/1"),
        ({"more": 1}, "not a document timebank.epoch-data/1"),
        ({"epoch": 2}, "manifest of epoch 2, not 1"),
        ({"files": [first]}, "the files must be"),
        ({"files": [second, first]}, "the files must be"),
        ({"files": [first, second, {**first, "name": "../../secret"}]}, "the files must be"),
        ({"files": [{**first, "extra": 1}, second]}, "the files must be"),
        ({"files": {}}, "the files must be"),
        ({"files": [{**first, "bytes": -1}, second]}, "not a size: -1"),
        ({"files": [{**first, "bytes": True}, second]}, "not a size: True"),
        ({"files": [{**first, "bytes": "9"}, second]}, "not a size: '9'"),
        ({"files": [{**first, "sha256": "00"}, second]}, "not 32 bytes"),
        ({"files": [{**first, "sha256": None}, second]}, "not 32 bytes"),
    ]
    genuine = [(epochs / "000001" / name).read_bytes() for name in (HEADER_FILE, MANIFEST_FILE)]
    for changes, message in cases:
        vouch(epochs, manifest=manifest_with(epochs, **changes))
        with pytest.raises(EpochError, match=message):
            read_epoch(epochs, 1)
        for name, content in zip((HEADER_FILE, MANIFEST_FILE), genuine, strict=True):
            (epochs / "000001" / name).write_bytes(content)


def parquet_of(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return bytes(sink.getvalue().to_pybytes())


def test_data_that_is_vouched_for_must_still_be_an_epochs(epochs: Path) -> None:
    genuine = pq.read_table(epochs / "000001" / ACTIVITIES_FILE)
    count = len(genuine)
    wide = genuine.set_column(3, "occurred_ms", genuine["occurred_ms"].cast(pa.float64()))
    value = genuine["value"].to_pylist()
    hole = genuine.set_column(7, "value", pa.array([None, *value[1:]], pa.int64()))
    cases = [
        (b"PAR1" + bytes(40 * count) + b"PAR1", "not a readable Parquet file"),
        (parquet_of(genuine.slice(1)), f"{count - 1} rows, the header counts {count}"),
        (parquet_of(wide), "its columns are not those of"),
        (parquet_of(genuine.drop_columns(["running"])), "its columns are not those of"),
        (parquet_of(genuine.replace_schema_metadata(None)), "its columns are not those of"),
        (parquet_of(hole), "its columns are not those of"),
    ]
    before = (epochs / "000001" / HEADER_FILE).read_bytes()
    files = {name: (epochs / "000001" / name).read_bytes() for name in [MANIFEST_FILE, *DATA_FILES]}
    for content, message in cases:
        vouch(epochs, activities=content)
        with pytest.raises(TamperedEpoch, match=message) as caught:
            read_epoch(epochs, 1)
        assert caught.value.where == str(epochs / "000001" / ACTIVITIES_FILE)
        for name, original in files.items():
            (epochs / "000001" / name).write_bytes(original)
        (epochs / "000001" / HEADER_FILE).write_bytes(before)


def test_a_small_file_that_claims_many_rows_is_refused(epochs: Path) -> None:
    header = replace(read_epoch(epochs, 1).header, activity_count=4_000_000_000)
    (epochs / "000001" / HEADER_FILE).write_bytes(encode_header(header))
    with pytest.raises(TamperedEpoch, match="cannot hold the 4000000000 rows"):
        read_epoch(epochs, 1)


def test_the_header_of_another_epoch_is_refused(tmp_path: Path) -> None:
    sample.publish_all(tmp_path, 2)
    (tmp_path / "000002" / HEADER_FILE).write_bytes((tmp_path / "000001" / HEADER_FILE).read_bytes())
    with pytest.raises(TamperedEpoch, match="this is the header of epoch 1, not 2"):
        read_epoch(tmp_path, 2)


def test_a_changed_policy_is_refused(epochs: Path) -> None:
    digest = read_epoch(epochs, 1).header.policy_hash
    path = policy_file(epochs, digest)
    path.write_text(path.read_text().replace('"bonus_milli": 1500', '"bonus_milli": 1600'))
    with pytest.raises(TamperedEpoch, match="the policy hashes to") as caught:
        read_policy(epochs, digest)
    assert caught.value.where == str(path)
    path.write_text("{")
    with pytest.raises(TamperedEpoch, match="not a readable policy"):
        read_policy(epochs, digest)


def test_a_changed_policy_is_not_built_upon_without_force(epochs: Path) -> None:
    digest = read_epoch(epochs, 1).header.policy_hash
    policy_file(epochs, digest).write_text("{}")
    with pytest.raises(TamperedEpoch):
        publish(sample.build(1, None), epochs)
    publish(sample.build(1, None), epochs, force=True)
    assert read_policy(epochs, digest) == sample.policy()


def test_a_gap_between_published_epochs_is_named(tmp_path: Path) -> None:
    sample.publish_all(tmp_path, 3)
    (tmp_path / "000002").rename(tmp_path / "elsewhere")
    with pytest.raises(TamperedEpoch, match="epoch 2 is missing, epoch 3 is there"):
        published_numbers(tmp_path)


def test_an_epoch_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert published_numbers(tmp_path / "nowhere") == []
    with pytest.raises(EpochError, match="there is no published epoch 9"):
        read_epoch(tmp_path, 9)
