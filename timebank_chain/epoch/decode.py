"""Reads Parquet files of fixed-width columns that a stranger wrote, within bounds known beforehand.

What the footer claims (columns, row groups, sizes) is checked before a page is decoded. A page can still
claim more than the footer does, so a stranger's file is decoded by a process of its own that may use only
so much memory and time: run with ``python decode.py``, it takes a task as JSON on its standard input and
gives the columns, one after the other, on its standard output. It imports nothing of this project and
knows nothing it could give away; nothing it answers is believed beyond its length.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

SCHEMA_KEY = b"timebank.schema"
#: pyarrow writes groups of a million rows; more would have to be held at once.
MAX_GROUP_ROWS = 1 << 22
#: Fewer rows in a group than this on average: a file made of its footer.
MIN_AVERAGE_GROUP_ROWS = 1 << 12

_MEBIBYTE = 1 << 20
_FOOTER_BYTES = 1 << 16
_FOOTER_BYTES_PER_GROUP = 1 << 14
_CHUNK_BYTES = 1 << 12
_MAX_STRING_BYTES = 1 << 16
_CODECS = {"UNCOMPRESSED", "SNAPPY", "GZIP", "BROTLI", "ZSTD", "LZ4", "LZ4_RAW"}
# What the decoder may use beyond the file itself and one decoded row group.
_SPARE_MEMORY_BYTES = 256 * _MEBIBYTE
_COPIES = 6
_CPU_SECONDS = 20
_BYTES_PER_CPU_SECOND = 8 * _MEBIBYTE
_ROWS_PER_CPU_SECOND = 100_000
_WALL_SECONDS_PER_CPU_SECOND = 10
_MAX_SAID_BYTES = 1 << 14
_REFUSED = 3
_TOO_MUCH_MEMORY = "decoding it takes more memory than its rows can need"

#: Column -> Parquet type; an integer is a fixed number of bytes.
Columns = Mapping[str, str | int]


class Undecodable(ValueError):
    """The file is not the table it should be; the text says why."""


class DecoderFailed(RuntimeError):
    """The decoding process could not do its work, for no fault of the file."""


def arrow_schema(columns: Columns, label: str) -> pa.Schema:
    """Return the schema of a file with these columns, named ``label`` in its metadata."""
    import pyarrow as pa

    return pa.schema(
        [
            pa.field(
                column, pa.binary(kind) if isinstance(kind, int) else pa.type_for_alias(kind), nullable=False
            )
            for column, kind in columns.items()
        ],
        metadata={SCHEMA_KEY: label.encode()},
    )


def row_bytes(columns: Columns) -> int:
    """Return how many bytes a row of these columns takes."""
    return sum(_width(kind) for kind in columns.values())


def largest_file_bytes(columns: Columns, count: int) -> int:
    """Return a size in bytes that no file of ``count`` rows needs: twice the rows, and its footer."""
    return 2 * count * row_bytes(columns) + _footer_limit(count)


def decode(content: bytes, columns: Columns, label: str, count: int) -> Iterator[memoryview]:
    """Yield the cells of the columns, column after column in pieces, little-endian and without gaps.

    Parameters
    ----------
    content
        The whole Parquet file.
    columns, label
        What :func:`arrow_schema` makes its schema of.
    count
        How many rows it must have.

    Raises
    ------
    Undecodable
        If it is anything else, or claims more than its rows can need.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    _check_footer_length(content, count)
    try:
        with pq.ParquetFile(
            pa.BufferReader(content),
            pre_buffer=False,
            thrift_string_size_limit=_MAX_STRING_BYTES,
            thrift_container_size_limit=_group_limit(count) + 64,
            arrow_extensions_enabled=False,
        ) as file:
            _check_footer(file, columns, label, count, len(content))
            for name, kind in columns.items():
                for group in range(file.metadata.num_row_groups):
                    rows = file.metadata.row_group(group).num_rows
                    table = file.read_row_group(group, columns=[name], use_threads=False)
                    yield from _cells(table, name, kind, rows)
    except MemoryError as error:
        raise Undecodable(_TOO_MUCH_MEMORY) from error
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else "damaged"
        raise Undecodable(f"not a readable Parquet file: {reason}") from error


def decode_apart(
    path: Path, columns: Columns, label: str, count: int, *, size: int, sha256: bytes
) -> Iterator[bytearray]:
    """Yield each column's cells whole, decoded by a process that is ended when it takes too much.

    Parameters
    ----------
    path
        The Parquet file; the process reads it once, and decodes what it hashed.
    columns, label, count
        As for :func:`decode`.
    size, sha256
        Bytes and checksum the file must have.

    Raises
    ------
    Undecodable
        If the file is not that table, or decoding it takes more than such a table can need.
    DecoderFailed
        If the process cannot be started, is ended by somebody else, or the machine is too busy.
    """
    seconds = cpu_seconds(size, count)
    task = {
        "path": str(path.absolute()),
        "columns": dict(columns),
        "label": label,
        "count": count,
        "size": size,
        "sha256": sha256.hex(),
        "memory_bytes": memory_bytes(size, columns, count),
        "cpu_seconds": seconds,
    }
    with tempfile.TemporaryFile() as said:
        try:
            # -P: a file beside this one, or where we stand, must not pass for a library.
            process = subprocess.Popen(
                [sys.executable, "-P", __file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
            )
        except OSError as error:
            raise DecoderFailed(f"the decoder cannot be started: {error.strerror}") from error
        overdue = threading.Timer(_WALL_SECONDS_PER_CPU_SECOND * seconds, process.kill)
        overdue.start()
        try:
            with process:
                assert process.stdin is not None and process.stdout is not None  # noqa: S101 - both are pipes
                with contextlib.suppress(BrokenPipeError), process.stdin as stdin:
                    stdin.write(json.dumps(task).encode())
                for kind in columns.values():
                    column = bytearray(count * _width(kind))
                    if not _fill(process.stdout, column):
                        break
                    yield column
                more = process.stdout.read(1)
                _judge(process.wait(), more, said)
        finally:
            overdue.cancel()
            process.kill()


def memory_bytes(size: int, columns: Columns, count: int) -> int:
    """Return how many bytes decoding may take, beyond what the process takes before it begins."""
    widest = max(_width(kind) for kind in columns.values())
    return _SPARE_MEMORY_BYTES + size + _COPIES * min(count, MAX_GROUP_ROWS) * widest


def cpu_seconds(size: int, count: int) -> int:
    """Return how many seconds of one core decoding may take."""
    return _CPU_SECONDS + size // _BYTES_PER_CPU_SECOND + count // _ROWS_PER_CPU_SECOND


def _check_footer_length(content: bytes, count: int) -> None:
    """Refuse a footer that is larger than its rows can need before anything parses it."""
    if len(content) < 12 or content[:4] != b"PAR1" or content[-4:] != b"PAR1":
        raise Undecodable("not a readable Parquet file: it does not begin and end as one")
    length = int.from_bytes(content[-8:-4], "little")
    limit = _footer_limit(count)
    if length > min(limit, len(content) - 12):
        raise Undecodable(
            f"not a readable Parquet file: a footer of {length} bytes, at most {limit} make sense"
        )


def _check_footer(file: pq.ParquetFile, columns: Columns, label: str, count: int, size: int) -> None:
    """Compare what the footer claims with what ``count`` rows of these columns can be."""
    footer = file.metadata
    if footer.num_rows != count:
        raise Undecodable(f"{footer.num_rows} rows, the header counts {count}")
    if not file.schema_arrow.equals(arrow_schema(columns, label), check_metadata=True):
        raise Undecodable(f"its columns are not those of {label}")
    for index in range(len(columns)):
        column = file.schema.column(index)
        # The levels are what the pages are read by; the Arrow schema above could tell another story.
        if column.max_definition_level or column.max_repetition_level or "." in column.path:
            raise Undecodable(f"its columns are not those of {label}: {column.path!r} is not flat and whole")
    if footer.num_row_groups > _group_limit(count):
        raise Undecodable(f"{footer.num_row_groups} row groups for {count} rows")
    total = 0
    for index in range(footer.num_row_groups):
        group = footer.row_group(index)
        if not 0 <= group.num_rows <= MAX_GROUP_ROWS or (count and not group.num_rows):
            raise Undecodable(
                f"row group {index} has {group.num_rows} rows, at most {MAX_GROUP_ROWS} make sense"
            )
        if group.num_columns != len(columns):
            raise Undecodable(f"row group {index} has {group.num_columns} columns")
        total += group.num_rows
        for position, (name, kind) in enumerate(columns.items()):
            chunk = group.column(position)
            place = f"row group {index}, column {name!r}"
            most = 2 * group.num_rows * _width(kind) + _CHUNK_BYTES
            if chunk.num_values != group.num_rows:
                raise Undecodable(f"{place}: {chunk.num_values} values for {group.num_rows} rows")
            if not 0 <= chunk.total_uncompressed_size <= most:
                raise Undecodable(
                    f"{place}: {chunk.total_uncompressed_size} bytes uncompressed, at most {most} make sense"
                )
            if not 0 <= chunk.total_compressed_size <= size:
                raise Undecodable(f"{place}: {chunk.total_compressed_size} bytes in a file of {size}")
            if chunk.compression not in _CODECS:
                raise Undecodable(f"{place}: compressed by {chunk.compression!r}")
    if total != count:
        raise Undecodable(f"{total} rows in its row groups, the header counts {count}")


def _cells(table: pa.Table, name: str, kind: str | int, rows: int) -> Iterator[memoryview]:
    if len(table) != rows or table.num_columns != 1:
        raise Undecodable(f"column {name!r} has {len(table)} of {rows} rows")
    width = _width(kind)
    for chunk in table.column(0).chunks:
        if chunk.null_count:
            raise Undecodable(f"column {name!r} has empty cells")
        if len(chunk):
            cells = memoryview(chunk.buffers()[1])
            yield cells[chunk.offset * width : (chunk.offset + len(chunk)) * width]


def _group_limit(count: int) -> int:
    return 1 + count // MIN_AVERAGE_GROUP_ROWS


def _footer_limit(count: int) -> int:
    return _FOOTER_BYTES + _FOOTER_BYTES_PER_GROUP * (_group_limit(count) - 1)


def _width(kind: str | int) -> int:
    return kind if isinstance(kind, int) else {"uint16": 2, "uint32": 4, "int64": 8}[kind]


def _fill(source: IO[bytes], column: bytearray) -> bool:
    view, filled = memoryview(column), 0
    while filled < len(column):
        got = source.readinto(view[filled : filled + _MEBIBYTE])  # type: ignore[attr-defined]  # a pipe's reader
        if not got:
            return False
        filled += got
    return True


def _judge(code: int, more: bytes, said: IO[bytes]) -> None:
    """Say what the end of the process means."""
    if code == 0 and not more:
        return
    said.seek(0)
    text = said.read(_MAX_SAID_BYTES).decode("utf-8", "replace").strip()
    if code == _REFUSED and text:
        raise Undecodable("".join(letter if letter.isprintable() else "?" for letter in text[:500]))
    if code in {-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT}:
        raise DecoderFailed(f"the decoder was ended by signal {-code}: the machine is too busy or too small")
    if code == -signal.SIGXCPU:
        raise Undecodable("decoding it takes more time than its rows can need")
    if code < 0 or "MemoryError" in text:
        raise Undecodable(f"{_TOO_MUCH_MEMORY}, or ends the decoder otherwise")
    raise DecoderFailed(f"the decoder ended with code {code}: {text.splitlines()[-1] if text else 'silent'}")


def _limit_self(memory: int, seconds: int) -> None:
    """Bound this process: what it holds now and ``memory`` bytes more, ``seconds`` of one core, no files."""
    try:
        held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:
        held = 1 << 30
    for limit, soft, hard in (
        (resource.RLIMIT_AS, held + memory, held + memory),
        (resource.RLIMIT_CPU, seconds, seconds + 5),
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_FSIZE, _MAX_SAID_BYTES, _MAX_SAID_BYTES),
    ):
        # A limit that is lower already stays.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(limit, (soft, hard))


def _main() -> int:
    # Each thread and pool reserves address space, which is what is limited here.
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", ARROW_DEFAULT_MEMORY_POOL="system")
    task: dict[str, Any] = json.loads(sys.stdin.buffer.read())
    import pyarrow.parquet as pq

    del pq
    _limit_self(task["memory_bytes"], task["cpu_seconds"])
    try:
        content = read_whole(Path(task["path"]), task["size"], bytes.fromhex(task["sha256"]))
        for cells in decode(content, task["columns"], task["label"], task["count"]):
            sys.stdout.buffer.write(cells)
        sys.stdout.buffer.flush()
    except (Undecodable, MemoryError) as error:
        reason = str(error) if isinstance(error, Undecodable) else _TOO_MUCH_MEMORY
        print(reason, file=sys.stderr)  # noqa: T201 - how this process answers
        return _REFUSED
    return 0


def read_whole(path: Path, size: int, sha256: bytes) -> bytes:
    """Read a file once and return it, if it has this size in bytes and this checksum.

    Raises
    ------
    Undecodable
        If it cannot be read or is another.
    """
    try:
        found = path.stat().st_size
        if found != size:
            raise Undecodable(f"{found} bytes, the manifest says {size}")
        with path.open("rb") as file:
            content = file.read(size + 1)
    except OSError as error:
        raise Undecodable(f"cannot be read: {error.strerror}") from error
    digest = hashlib.sha256(content)
    if digest.digest() != sha256:
        raise Undecodable(f"sha256 is {digest.hexdigest()}, the manifest says {sha256.hex()}")
    return content


if __name__ == "__main__":
    sys.exit(_main())
