"""decode: a stranger's Parquet file takes no more than its rows can need
|- apart and in process give the same cells
|- refused from the footer: other rows, columns, nullable or nested ones, tiny or huge row groups, a large
|  footer, sizes beyond the rows
|- refused while decoding apart: a page of a gigabyte behind an honest footer (and what it takes in
|  process), a page that claims two, one that takes too long
|- any flipped bit: refused, or as many cells as there are rows
`- a decoder that is killed or cannot start is nobody's fault
"""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from timebank_chain.epoch import decode as decoder
from timebank_chain.epoch.decode import (
    Columns,
    DecoderFailed,
    Undecodable,
    arrow_schema,
    decode,
    decode_apart,
    row_bytes,
)

COLUMNS: Columns = {"key": 20, "number": "uint32", "amount": "int64"}
LABEL = "sample/1"
MEBIBYTE = 1 << 20


def table(count: int) -> pa.Table:
    chance = np.random.default_rng(7)
    keys = pa.py_buffer(chance.bytes(20 * count))
    arrays = [
        pa.FixedSizeBinaryArray.from_buffers(pa.binary(20), count, [None, keys]),
        pa.array(chance.integers(0, 1 << 32, count), pa.uint32()),
        pa.array(chance.integers(0, 1 << 62, count), pa.int64()),
    ]
    return pa.Table.from_arrays(arrays, schema=arrow_schema(COLUMNS, LABEL))


def parquet_of(rows: pa.Table, **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink, **{"compression": "zstd", "use_dictionary": False, **options})
    return bytes(sink.getvalue().to_pybytes())


def cells(rows: pa.Table) -> bytes:
    return b"".join(
        bytes(rows[name].combine_chunks().buffers()[1])[: len(rows) * row_bytes({name: COLUMNS[name]})]
        for name in COLUMNS
    )


def apart(folder: Path, content: bytes, count: int) -> bytes:
    path = folder / "file.parquet"
    path.write_bytes(content)
    sha256 = hashlib.sha256(content).digest()
    return b"".join(decode_apart(path, COLUMNS, LABEL, count, size=len(content), sha256=sha256))


def varint(number: int) -> bytes:
    """A Thrift compact i32 that is not negative."""
    number *= 2
    made = bytearray()
    while number > 127:
        made.append(number & 127 | 128)
        number >>= 7
    return bytes([*made, number])


def page_header(uncompressed: int, compressed: int, values: int) -> bytes:
    """A Parquet data page header: plain values, no levels."""
    inner = b"\x15" + varint(values) + b"\x15\x00\x15\x06\x15\x06\x00"
    return b"\x15\x00\x15" + varint(uncompressed) + b"\x15" + varint(compressed) + b"\x2c" + inner + b"\x00"


def packed_zeros(codec: str, size: int) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, codec) as stream:
        for _ in range(size // MEBIBYTE):
            stream.write(bytes(MEBIBYTE))
    return bytes(sink.getvalue().to_pybytes())


def with_lying_page(count: int, *, claimed: int, payload: bytes, codec: str = "zstd") -> bytes:
    """A file whose footer is honest and whose last column's only page is not."""
    content = bytearray(parquet_of(table(count), compression=codec))
    chunk = pq.ParquetFile(pa.BufferReader(bytes(content))).metadata.row_group(0).column(2)
    page = page_header(claimed, len(payload), count) + payload
    assert len(page) <= chunk.total_compressed_size
    start = chunk.data_page_offset
    content[start : start + len(page)] = page
    return bytes(content)


@pytest.fixture(scope="module")
def gigabyte_page() -> bytes:
    return with_lying_page(15_000, claimed=1 << 30, payload=packed_zeros("zstd", 1 << 30))


@pytest.mark.parametrize("count", [0, 1, 5_000])
@pytest.mark.parametrize("groups", [None, 4_096])
def test_cells_come_back_as_written(tmp_path: Path, count: int, groups: int | None) -> None:
    rows = table(count)
    content = parquet_of(rows, row_group_size=groups, use_dictionary=["key"])
    assert b"".join(decode(content, COLUMNS, LABEL, count)) == cells(rows)
    assert apart(tmp_path, content, count) == cells(rows)


def nullable(rows: pa.Table) -> pa.Table:
    schema = rows.schema.set(2, pa.field("amount", pa.int64(), nullable=True))
    return pa.Table.from_arrays(rows.columns, schema=schema)


def nested(rows: pa.Table) -> pa.Table:
    return rows.set_column(2, "amount", pa.array([{"amount": 1}] * len(rows)))


def lists(rows: pa.Table) -> pa.Table:
    return rows.set_column(2, "amount", pa.array([[1, 2]] * len(rows)))


def dictionary(rows: pa.Table) -> pa.Table:
    return rows.set_column(1, "number", rows["number"].dictionary_encode())


@pytest.mark.parametrize("change", [nullable, nested, lists, dictionary])
def test_other_columns_are_refused_before_a_page_is_read(change: Callable[[pa.Table], pa.Table]) -> None:
    with pytest.raises(Undecodable, match="its columns are not those of sample/1"):
        list(decode(parquet_of(change(table(100))), COLUMNS, LABEL, 100))


def test_other_numbers_of_rows_are_refused() -> None:
    with pytest.raises(Undecodable, match="99 rows, the header counts 100"):
        list(decode(parquet_of(table(99)), COLUMNS, LABEL, 100))


def test_a_file_made_of_row_groups_is_refused() -> None:
    with pytest.raises(Undecodable, match="10 row groups for 100 rows"):
        list(decode(parquet_of(table(100), row_group_size=10), COLUMNS, LABEL, 100))
    with pytest.raises(Undecodable, match=r"a footer of \d+ bytes, at most 65536 make sense"):
        list(decode(parquet_of(table(2_000), row_group_size=1), COLUMNS, LABEL, 2_000))


def test_a_huge_footer_is_refused_before_it_is_parsed() -> None:
    stuffed = table(10).replace_schema_metadata({b"more": bytes(16 * MEBIBYTE)})
    with pytest.raises(Undecodable, match="a footer of"):
        list(decode(parquet_of(stuffed), COLUMNS, LABEL, 10))
    # A length that points outside the file.
    content = parquet_of(table(10))
    with pytest.raises(Undecodable, match="a footer of 4294967295 bytes"):
        list(decode(content[:-8] + b"\xff" * 4 + b"PAR1", COLUMNS, LABEL, 10))


def test_many_equal_rows_in_one_group_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    # The rule is the same at a thousand rows as at millions; a file of those takes minutes to make.
    monkeypatch.setattr(decoder, "MAX_GROUP_ROWS", 1_000)
    with pytest.raises(Undecodable, match="row group 0 has 1001 rows, at most 1000 make sense"):
        list(decode(parquet_of(table(1_001)), COLUMNS, LABEL, 1_001))


def test_claimed_sizes_beyond_the_rows_are_refused() -> None:
    content = parquet_of(table(3_000), data_page_size=1, write_batch_size=1, compression="none")
    with pytest.raises(Undecodable, match=r"'key': \d+ bytes uncompressed, at most 124096 make sense"):
        list(decode(content, COLUMNS, LABEL, 3_000))


MEASURE = """
import resource, sys
from pathlib import Path
from tests.epoch.test_decode import COLUMNS, LABEL, apart, decode
from timebank_chain.epoch.decode import Undecodable
content = Path(sys.argv[1]).read_bytes()
def most():  # of this process; what getrusage says begins with what its parent took
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
before = most()
try:
    got = apart(Path(sys.argv[2]), content, 15_000) if sys.argv[3] == "apart" else list(
        decode(content, COLUMNS, LABEL, 15_000))
    print("decoded", end=" ")
except Undecodable as error:
    print("refused", end=" ")
print(most() - before, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def test_a_page_that_unpacks_to_a_gigabyte_is_refused_in_bounded_memory(
    tmp_path: Path, gigabyte_page: bytes
) -> None:
    assert len(gigabyte_page) < MEBIBYTE
    bomb = tmp_path / "bomb.parquet"
    bomb.write_bytes(gigabyte_page)

    def measure(how: str) -> tuple[str, int, int]:
        arguments = [sys.executable, "-c", MEASURE, str(bomb), str(tmp_path), how]
        done = subprocess.run(arguments, capture_output=True, text=True, check=True)
        outcome, own, child = done.stdout.split()
        return outcome, int(own) // 1024, int(child) // 1024

    # It is a bomb: decoded in process it takes the gigabyte, and the footer shows nothing.
    outcome, own_mib, _ = measure("here")
    assert outcome == "decoded"
    assert own_mib > 900
    outcome, own_mib, child_mib = measure("apart")
    assert outcome == "refused"
    assert own_mib < 50
    assert child_mib < 500


def test_a_page_that_only_claims_gigabytes_is_refused(tmp_path: Path) -> None:
    content = with_lying_page(1_000, claimed=(1 << 31) - 1, payload=b"\x28\xb5\x2f\xfd" + bytes(60))
    with pytest.raises(Undecodable, match="more memory than its rows can need"):
        apart(tmp_path, content, 1_000)


def test_a_page_that_takes_too_long_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    payload = packed_zeros("gzip", 1 << 30)
    content = with_lying_page(150_000, claimed=1 << 30, payload=payload, codec="gzip")
    # Memory is out of the way: time must end it, and after a second, or the test would take minutes.
    monkeypatch.setattr(decoder, "memory_bytes", lambda *_: 8 << 30)
    monkeypatch.setattr(decoder, "cpu_seconds", lambda *_: 1)
    with pytest.raises(Undecodable, match="more time than its rows can need"):
        apart(tmp_path, content, 150_000)


def test_any_flipped_bit_is_refused_or_harmless(tmp_path: Path) -> None:
    count = 300
    genuine = parquet_of(table(count))
    chance = random.Random(3)
    for _ in range(12):
        changed = bytearray(genuine)
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
        try:
            got = apart(tmp_path, bytes(changed), count)
        except Undecodable:
            continue
        assert len(got) == count * row_bytes(COLUMNS)


def test_what_is_not_the_announced_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file.parquet"
    content = parquet_of(table(10))
    path.write_bytes(content)
    for size, sha256, message in [
        (len(content) + 1, bytes(32), f"{len(content)} bytes, the manifest says {len(content) + 1}"),
        (len(content), bytes(32), "the manifest says 0000"),
    ]:
        with pytest.raises(Undecodable, match=message):
            list(decode_apart(path, COLUMNS, LABEL, 10, size=size, sha256=sha256))


def test_a_decoder_that_is_killed_is_nobodys_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoder, "_WALL_SECONDS_PER_CPU_SECOND", 0)
    with pytest.raises(DecoderFailed, match="signal 9"):
        apart(tmp_path, parquet_of(table(10)), 10)


def test_a_decoder_that_cannot_start_is_nobodys_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    with pytest.raises(DecoderFailed, match="cannot be started"):
        apart(tmp_path, parquet_of(table(10)), 10)
