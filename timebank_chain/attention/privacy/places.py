"""Where a community keeps raw data: files are told apart by what is in them, not by where they lie.

=========== ====================================================================================
rows        feeds and activity tables: CSV and JSON lines, packed or not, Parquet
records     JSON documents that hold lists of records: xAPI statements, ActivityStreams collections
rejects     rows of a feed that were turned away, with the original beside the reason
members     the members file
aliases     what the sources call the members (`timebank attention collect --aliases`)
text        a text kept off chain (`timebank_chain.content`)
sealed      any of these, encrypted
published   epochs: numbers and addresses under their hashes, needed by every audit; never changed
other       journals, keys, documents: only looked through for what may have been left
=========== ====================================================================================
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from timebank_chain.activity.clean import REJECT_COLUMNS
from timebank_chain.activity.sources.files import open_input
from timebank_chain.attention.privacy.record_lists import is_ours
from timebank_chain.attention.privacy.row_lines import ROWS, row_suffix
from timebank_chain.attention.privacy.sealed import is_sealed
from timebank_chain.epoch.file import DATA_FILES, HEADER_FILE, MANIFEST_FILE
from timebank_chain.errors import AttentionError

_MEMBERS_HEADER = ["member", "address"]
_ALIASES_HEADER = ["alias", "member"]
_TEXT_MAGIC = b"timebank.text/1\n"
_MAX_HEADER_BYTES = 1 << 20


class Kind(StrEnum):
    """What a file is."""

    ROWS = "rows"
    RECORDS = "records"
    REJECTS = "rejects"
    MEMBERS = "members"
    ALIASES = "aliases"
    TEXT = "text"
    SEALED = "sealed"
    PUBLISHED = "published"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Place:
    """A file that may hold raw data."""

    path: Path
    kind: Kind


def places(paths: Iterable[Path]) -> list[Place]:
    """Return the files under some paths with their kinds, each once, hidden ones too.

    Raises
    ------
    AttentionError
        If a path is not there, or cannot be read.
    """
    found: dict[Path, Place] = {}
    for path in paths:
        if not path.exists():
            raise AttentionError("there is no such file or folder", where=str(path), hint="check the options")
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and not file.is_symlink():
                found.setdefault(file.resolve(), Place(file, kind_of(file)))
    return list(found.values())


def kind_of(path: Path, name: str | None = None) -> Kind:
    """Tell what a file is; ``name`` is what it is called where it came from."""
    called = Path(name or path.name)
    try:
        if is_sealed(path):
            return Kind.SEALED
        if (
            called.name in {HEADER_FILE, MANIFEST_FILE, *DATA_FILES}
            and (path.parent / MANIFEST_FILE).exists()
        ):
            return Kind.PUBLISHED
        if row_suffix(called) == ".csv":
            return _kind_of_csv(path)
        if row_suffix(called) in ROWS:
            return Kind.ROWS
        if called.name.lower().removesuffix(".gz").endswith(".json"):
            return Kind.OTHER if is_ours(path) else Kind.RECORDS
        with path.open("rb") as file:
            return Kind.TEXT if file.read(len(_TEXT_MAGIC)) == _TEXT_MAGIC else Kind.OTHER
    except OSError as error:
        raise AttentionError(f"cannot be read: {error.strerror}", where=str(path)) from error


def _kind_of_csv(path: Path) -> Kind:
    with open_input(path) as binary:
        head = binary.readline(_MAX_HEADER_BYTES).decode("utf-8-sig", "replace")
    header = [cell.strip() for cell in next(csv.reader(io.StringIO(head)), [])]
    if header == list(REJECT_COLUMNS):
        return Kind.REJECTS
    if header == _ALIASES_HEADER:
        return Kind.ALIASES
    return Kind.MEMBERS if header == _MEMBERS_HEADER else Kind.ROWS
