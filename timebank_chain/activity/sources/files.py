"""Opening input files: plain or gzip, told apart by their first bytes, never by their name."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from timebank_chain.errors import ActivityError

#: Most of a line, or of a CSV row over several lines: bytes of JSON, characters of CSV. Packed, gigabytes of
#: one line are a file of a few kilobytes.
MAX_LINE = 1 << 20

_GZIP_MAGIC = b"\x1f\x8b"


@contextmanager
def open_input(path: Path | str) -> Iterator[BinaryIO]:
    """Open a file for reading bytes, unpacking gzip on the way.

    Raises
    ------
    ActivityError
        If the file cannot be read, or, while it is read, its gzip stream is damaged or truncated.
    """
    where = str(path)
    try:
        with Path(path).open("rb") as plain:
            packed = plain.read(2) == _GZIP_MAGIC
            plain.seek(0)
            if not packed:
                yield plain
                return
            with gzip.open(plain, "rb") as unpacked:
                yield cast("BinaryIO", unpacked)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ActivityError(
            f"the gzip stream is damaged or truncated: {error}", where=where, hint="fetch the file again"
        ) from error
    except OSError as error:
        raise ActivityError(
            f"cannot read the file: {error.strerror or error}", where=where, hint="name a readable file"
        ) from error
