"""The activity table: one row an act, typed, ordered, and the same bytes on every machine.

On disk it is one Parquet file. Its schema, in column order:

=================== ======================= ================================================================
column              type                    meaning
=================== ======================= ================================================================
id                  string                  names the act; unique in the table, prefixed by its source
member              string                  who did it, as the source knows them (an outside id, no address)
domain              string                  which scoring functions apply (``code``, ``answer``), <= 32 bytes
occurred_ms         int64                   when it was done, Unix milliseconds
window_ms           int64                   how long reactions were counted; 0 = indicators given directly
interaction_milli   uint32                  raw interaction indicator in thousandths
originality_milli   uint32                  raw originality indicator in thousandths
engagement_milli    uint32                  raw engagement indicator in thousandths
salt                fixed_size_binary(16)   keyed blinding of the record's id; delete it to forget the record
=================== ======================= ================================================================

Rows are ordered by ``(occurred_ms, id)``; ids compare by their UTF-8 bytes. The file's metadata
carries ``timebank.schema = timebank.activity/1``. No column has a null.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from timebank_chain.documents import writing_whole
from timebank_chain.errors import ActivityError
from timebank_chain.units import MAX_TIME_MS

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMA_NAME = "timebank.activity/1"
SALT_BYTES = 16
#: One row without its salt, as plain Python values in schema order.
ActivityRow = tuple[str, str, str, int, int, int, int, int]
ROW_FIELDS = (
    "id",
    "member",
    "domain",
    "occurred_ms",
    "window_ms",
    "interaction_milli",
    "originality_milli",
    "engagement_milli",
)
_METADATA_KEY = b"timebank.schema"
_REMAKE = "make the table again with 'timebank ingest'"


@dataclass(frozen=True, eq=False, slots=True)
class ActivityTable:
    """Acts in columns; every column has the same length.

    Attributes
    ----------
    id, member, domain
        Text, one entry a row.
    occurred_ms, window_ms
        Unix milliseconds and milliseconds, int64, 0 .. 2**48 - 1.
    interaction_milli, originality_milli, engagement_milli
        Raw indicators in thousandths, uint32.
    salt
        uint8 of shape (n, 16).
    """

    id: list[str]
    member: list[str]
    domain: list[str]
    occurred_ms: NDArray[np.int64]
    window_ms: NDArray[np.int64]
    interaction_milli: NDArray[np.uint32]
    originality_milli: NDArray[np.uint32]
    engagement_milli: NDArray[np.uint32]
    salt: NDArray[np.uint8]

    def __post_init__(self) -> None:
        rows = len(self.id)
        lengths = {
            "member": len(self.member),
            "domain": len(self.domain),
            "occurred_ms": len(self.occurred_ms),
            "window_ms": len(self.window_ms),
            "interaction_milli": len(self.interaction_milli),
            "originality_milli": len(self.originality_milli),
            "engagement_milli": len(self.engagement_milli),
            "salt": len(self.salt),
        }
        for column, length in lengths.items():
            if length != rows:
                raise ActivityError(f"column {column} has {length} rows where id has {rows}")
        if self.salt.shape != (rows, SALT_BYTES):
            raise ActivityError(f"salts must be {SALT_BYTES} bytes a row, the array is {self.salt.shape}")

    def __len__(self) -> int:
        return len(self.id)

    def take(self, rows: NDArray[np.int64]) -> ActivityTable:
        """Return the given rows, in the given order."""
        picked = rows.tolist()
        return ActivityTable(
            id=[self.id[row] for row in picked],
            member=[self.member[row] for row in picked],
            domain=[self.domain[row] for row in picked],
            occurred_ms=self.occurred_ms[rows],
            window_ms=self.window_ms[rows],
            interaction_milli=self.interaction_milli[rows],
            originality_milli=self.originality_milli[rows],
            engagement_milli=self.engagement_milli[rows],
            salt=self.salt[rows],
        )


def arrow_schema() -> pa.Schema:
    """Return the Parquet schema of the table, metadata included."""
    import pyarrow as pa

    return pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            pa.field("member", pa.string(), nullable=False),
            pa.field("domain", pa.string(), nullable=False),
            pa.field("occurred_ms", pa.int64(), nullable=False),
            pa.field("window_ms", pa.int64(), nullable=False),
            pa.field("interaction_milli", pa.uint32(), nullable=False),
            pa.field("originality_milli", pa.uint32(), nullable=False),
            pa.field("engagement_milli", pa.uint32(), nullable=False),
            pa.field("salt", pa.binary(SALT_BYTES), nullable=False),
        ],
        metadata={_METADATA_KEY: SCHEMA_NAME.encode()},
    )


def write_activity(table: ActivityTable, path: Path | str) -> None:
    """Write the table as Parquet; the file appears whole or not at all.

    The same table gives the same bytes with the same pyarrow.

    Raises
    ------
    ActivityError
        If the rows are not ordered by (occurred_ms, id), an id repeats, or the file cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    _check_rows(table, where=None)
    schema = arrow_schema()
    salts = np.ascontiguousarray(table.salt, dtype=np.uint8)
    columns = [
        pa.array(table.id, pa.string()),
        pa.array(table.member, pa.string()),
        pa.array(table.domain, pa.string()),
        pa.array(table.occurred_ms, pa.int64()),
        pa.array(table.window_ms, pa.int64()),
        pa.array(table.interaction_milli, pa.uint32()),
        pa.array(table.originality_milli, pa.uint32()),
        pa.array(table.engagement_milli, pa.uint32()),
        pa.FixedSizeBinaryArray.from_buffers(pa.binary(SALT_BYTES), len(table), [None, pa.py_buffer(salts)]),
    ]
    target = Path(path)
    arrow = pa.Table.from_arrays(columns, schema=schema)
    try:
        with writing_whole(target, mode=0o644) as file:
            pq.write_table(arrow, file, compression="zstd", version="2.6", store_schema=True)
    except OSError as error:
        raise ActivityError(
            f"cannot write the activity table: {error.strerror or error}",
            where=str(target),
            hint="choose another -o",
        ) from error


def read_activity(path: Path | str) -> ActivityTable:
    """Read a table and check it: schema, order, unique ids, ranges.

    Raises
    ------
    ActivityError
        If the file is missing, truncated, no Parquet, of another schema, or its rows are out of order,
        repeated or out of range.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    where = str(path)
    if not Path(path).is_file():
        raise ActivityError("no such file", where=where, hint="make one with 'timebank ingest ... -o FILE'")
    try:
        with pq.ParquetFile(path) as file:
            arrow = file.read()
    except (pa.ArrowException, OSError) as error:
        raise ActivityError(
            f"not a readable Parquet file (truncated or of another kind): {_first_line(error)}",
            where=where,
            hint=_REMAKE,
        ) from error
    _check_schema(arrow, where)
    table = ActivityTable(
        id=arrow["id"].to_pylist(),
        member=arrow["member"].to_pylist(),
        domain=arrow["domain"].to_pylist(),
        occurred_ms=_numbers(arrow, "occurred_ms", np.dtype(np.int64)),
        window_ms=_numbers(arrow, "window_ms", np.dtype(np.int64)),
        interaction_milli=_numbers(arrow, "interaction_milli", np.dtype(np.uint32)),
        originality_milli=_numbers(arrow, "originality_milli", np.dtype(np.uint32)),
        engagement_milli=_numbers(arrow, "engagement_milli", np.dtype(np.uint32)),
        salt=np.frombuffer(b"".join(arrow["salt"].to_pylist()), dtype=np.uint8).reshape(-1, SALT_BYTES),
    )
    _check_rows(table, where=where)
    return table


def rows_of(table: ActivityTable) -> Iterator[ActivityRow]:
    """Yield the rows as plain Python values, in schema order, without the salt."""
    return zip(
        table.id,
        table.member,
        table.domain,
        table.occurred_ms.tolist(),
        table.window_ms.tolist(),
        table.interaction_milli.tolist(),
        table.originality_milli.tolist(),
        table.engagement_milli.tolist(),
        strict=True,
    )


def _numbers(arrow: pa.Table, column: str, kind: np.dtype[Any]) -> NDArray[Any]:
    values: NDArray[Any] = arrow[column].to_numpy()
    return np.ascontiguousarray(values, dtype=kind)


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _check_schema(arrow: pa.Table, where: str) -> None:
    found = (arrow.schema.metadata or {}).get(_METADATA_KEY, b"").decode("utf-8", "replace")
    if found != SCHEMA_NAME:
        raise ActivityError(
            f"not an activity table: its schema says {found!r}, not {SCHEMA_NAME!r}",
            where=where,
            hint="bring foreign Parquet in with 'timebank ingest parquet FILE --mapping M -o OUT'",
        )
    for field in arrow_schema():
        position = arrow.schema.get_field_index(field.name)
        if position < 0:
            raise ActivityError(f"column {field.name!r} is missing", where=where, hint=_REMAKE)
        actual = arrow.schema.field(position).type
        if actual != field.type:
            raise ActivityError(
                f"column {field.name!r} is {actual}, not {field.type}", where=where, hint=_REMAKE
            )
        if arrow[field.name].null_count:
            raise ActivityError(f"column {field.name!r} has nulls", where=where, hint=_REMAKE)


def _check_rows(table: ActivityTable, *, where: str | None) -> None:
    """Refuse what would make two tables of one set of acts: order, repeats, impossible times."""
    rows = len(table)
    for name, times in (("occurred_ms", table.occurred_ms), ("window_ms", table.window_ms)):
        outside = np.flatnonzero((times < 0) | (times > MAX_TIME_MS))
        if len(outside):
            row = int(outside[0])
            raise ActivityError(
                f"{name} is out of range: {int(times[row])}", where=_row(where, row), hint=_REMAKE
            )
    keys = list(zip(table.occurred_ms.tolist(), table.id, strict=True))
    for row in range(1, rows):
        if keys[row - 1] > keys[row]:
            raise ActivityError(
                f"rows are not ordered by (occurred_ms, id): {table.id[row]!r} comes too late",
                where=_row(where, row),
                hint=_REMAKE,
            )
    seen: set[str] = set()
    for row, name in enumerate(table.id):
        if not name or name in seen:
            raise ActivityError(
                f"id repeats: {name!r}" if name else "id is empty", where=_row(where, row), hint=_REMAKE
            )
        seen.add(name)


def _row(where: str | None, row: int) -> str:
    return f"{where or 'activity table'}, row {row}"
