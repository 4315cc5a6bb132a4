"""Parquet: columns of any flat schema; our own tables too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from timebank_chain.activity.mapping import ColumnMapping, own_mapping
from timebank_chain.activity.record import RawRecord
from timebank_chain.errors import ActivityError


def parquet_rows(
    path: Path | str, mapping: ColumnMapping | None = None, *, source: str | None = None
) -> Iterator[RawRecord]:
    """Yield the rows of a Parquet file as raw records, a batch at a time.

    The line of a record is its row number, from 1.

    Parameters
    ----------
    path
        The file.
    mapping
        What the columns mean; ``None``: they carry our own names (`own_mapping`).
    source
        What the rejects call the file, default its path.

    Raises
    ------
    ActivityError
        If the file is missing, truncated, damaged, or lacks a column.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    name = source or str(path)
    if not Path(path).is_file():
        raise ActivityError("no such file", where=name, hint="name a Parquet file")
    try:
        with pq.ParquetFile(path) as file:
            columns = list(file.schema_arrow.names)
            rules = mapping or own_mapping(columns, name)
            rules.check_columns(columns, name)
            line = 0
            # Only what the rules read, and what the rejects must show: everything but the salt.
            wanted = [column for column in columns if column != "salt"]
            for batch in file.iter_batches(batch_size=8_192, columns=wanted):
                for row in batch.to_pylist():
                    line += 1
                    yield rules.record(row, name, line)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        lines = str(error).splitlines()
        raise ActivityError(
            f"not a readable Parquet file (truncated or damaged): {lines[0] if lines else error!r}",
            where=name,
            hint="write the file again",
        ) from error
