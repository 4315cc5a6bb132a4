"""Pseudonyms: under one key a member always has the same name, and names under two keys tell nothing.

A pseudonym is ``p`` and 26 characters of base32: the first 16 bytes of HMAC-SHA256 under the key. Among a
million members two collide with a probability of about 1.5e-27. Without the key nobody can find a member's
pseudonym by trying names; with it, anybody can: the key is what has to be kept, and deleting it makes the
pseudonyms names of nobody.
"""

from __future__ import annotations

import base64
import codecs
import csv
import hmac
from collections.abc import Callable
from pathlib import Path

from timebank_chain.activity.sources.files import open_input
from timebank_chain.documents import writing_whole
from timebank_chain.errors import AttentionError

_DOMAIN = b"timebank.pseudonym/1:"
_BYTES = 16


def pseudonym(key: bytes, member: str) -> str:
    """Return a member's name under a key.

    >>> pseudonym(bytes(32), "ada") == pseudonym(bytes(32), "ada")
    True
    >>> len(pseudonym(bytes(32), "ada"))
    27
    """
    digest = hmac.digest(key, _DOMAIN + member.encode("utf-8", "surrogatepass"), "sha256")
    return "p" + base64.b32encode(digest[:_BYTES]).decode().rstrip("=").lower()


def pseudonymise_csv(
    source: Path,
    target: Path,
    columns: tuple[str, ...],
    key: bytes,
    *,
    drop: tuple[str, ...] = (),
    progress: Callable[[int], None] = lambda _rows: None,
) -> int:
    """Copy a CSV file with the members of some columns under their pseudonyms; return its rows.

    Parameters
    ----------
    columns
        Columns that hold members; an empty cell stays empty.
    drop
        Columns to leave out: free text names people whatever is done to the others.

    Raises
    ------
    AttentionError
        If a column is missing, a row has too few or too many cells, or a file cannot be read or written.
    """
    rows = 0
    try:
        with writing_whole(target, mode=0o600) as file, open_input(source) as binary:
            lines = (line.decode("utf-8") for line in binary)
            reader = csv.DictReader(lines, strict=True)
            header = reader.fieldnames or []
            for column in (*columns, *drop):
                if column not in header:
                    raise AttentionError(
                        f"no column {column!r}", where=str(source), hint=f"it has: {', '.join(header)}"
                    )
            kept = [column for column in header if column not in drop]
            writer = csv.DictWriter(
                codecs.getwriter("utf-8")(file), kept, extrasaction="ignore", lineterminator="\n"
            )
            writer.writeheader()
            for row in reader:
                if None in row or None in row.values():
                    raise AttentionError("wrong number of cells", where=f"{source}:{reader.line_num}")
                for column in columns:
                    if row[column]:
                        row[column] = pseudonym(key, row[column])
                writer.writerow(row)
                rows += 1
                progress(rows)
    except (csv.Error, UnicodeDecodeError) as error:
        raise AttentionError(f"not CSV in UTF-8: {error}", where=str(source)) from error
    except OSError as error:
        raise AttentionError(f"cannot be written: {error.strerror}", where=str(target)) from error
    return rows
