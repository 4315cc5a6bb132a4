"""The published epoch: a folder anybody can fetch, check and recompute.

::

    EPOCHS/
      policies/<policy hash>.json      the policy, named by its hash
      000001/
        header.json                    timebank.header/1: what is signed and stands on chain
        manifest.json                  timebank.epoch-data/1: name, size and sha256 of the two files
        activities.parquet             the activity rows, leaf by leaf
        accounts.parquet               the account rows, leaf by leaf
        signatures/<address>.json      the quorum's signatures

The header's data hash is the sha256 of the manifest, so header, manifest and files hang together and
nothing is read that the header does not vouch for. Sizes are checked before anything is decoded.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from timebank_chain.documents import TooLarge, parse_json, read_small
from timebank_chain.epoch.decode import (
    Columns,
    DecoderFailed,
    Undecodable,
    arrow_schema,
    decode,
    decode_apart,
    largest_file_bytes,
    read_whole,
    row_bytes,
)
from timebank_chain.epoch.header import EpochHeader
from timebank_chain.epoch.leaves import read_hex
from timebank_chain.epoch.rows import AccountRows, ActivityRows
from timebank_chain.errors import EpochError, PolicyError, TamperedEpoch
from timebank_chain.valuation import Policy, load_policy, policy_hash

MANIFEST_SCHEMA = "timebank.epoch-data/1"
HEADER_FILE = "header.json"
MANIFEST_FILE = "manifest.json"
ACTIVITIES_FILE = "activities.parquet"
ACCOUNTS_FILE = "accounts.parquet"
SIGNATURES_FOLDER = "signatures"
POLICIES_FOLDER = "policies"
DATA_FILES = (ACTIVITIES_FILE, ACCOUNTS_FILE)

_EXPECTED = {HEADER_FILE, MANIFEST_FILE, ACTIVITIES_FILE, ACCOUNTS_FILE, SIGNATURES_FOLDER}
#: Header and manifest are a few hundred bytes.
MAX_JSON_BYTES = 1 << 16
_FETCH_AGAIN = "fetch the epoch again from its publisher and compare; do not build on this copy"

_COLUMNS: Mapping[str, Columns] = {
    ACTIVITIES_FILE: {
        "record_id": 32,
        "account": 20,
        "domain": "uint16",
        "occurred_ms": "int64",
        "interaction_milli": "uint32",
        "originality_milli": "uint32",
        "engagement_milli": "uint32",
        "value": "int64",
        "running": "int64",
    },
    ACCOUNTS_FILE: {
        "account": 20,
        "activity_end": "uint32",
        "earned": "int64",
        "running_earned": "int64",
        "running_active": "uint32",
        "standing": "int64",
        "mint": "int64",
        "running_mint": "int64",
        "cumulative_mint": "int64",
    },
}
_SCHEMAS = {ACTIVITIES_FILE: "timebank.epoch-activities/1", ACCOUNTS_FILE: "timebank.epoch-accounts/1"}


@dataclass(frozen=True, eq=False)
class PublishedEpoch:
    """An epoch as published and read back; its files match their manifest, its header its hash."""

    folder: Path
    header: EpochHeader
    activities: ActivityRows
    accounts: AccountRows

    @property
    def number(self) -> int:
        """The epoch's number."""
        return self.header.epoch

    @property
    def signatures_folder(self) -> Path:
        """Where the quorum's signatures of this epoch are kept; may not exist yet."""
        return self.folder / SIGNATURES_FOLDER


def epoch_folder(epochs: Path | str, number: int) -> Path:
    """Return the folder of epoch ``number`` under the folder of published epochs."""
    return Path(epochs) / f"{number:06d}"


def published_numbers(epochs: Path | str) -> list[int]:
    """Return the numbers of the published epochs, ascending; an absent folder holds none.

    Raises
    ------
    TamperedEpoch
        If one is missing in between.
    """
    folder = Path(epochs)
    if not folder.is_dir():
        return []
    numbers = sorted(
        int(entry.name)
        for entry in folder.iterdir()
        if entry.is_dir() and entry.name.isascii() and entry.name.isdigit() and len(entry.name) >= 6
    )
    for expected, number in enumerate(numbers, start=1):
        if number != expected:
            raise TamperedEpoch(
                f"epoch {expected} is missing, epoch {number} is there", where=str(folder), hint=_FETCH_AGAIN
            )
    return numbers


def read_epoch(epochs: Path | str, number: int, *, isolated: bool = False) -> PublishedEpoch:
    """Read epoch ``number`` and check header hash, manifest, sizes and checksums.

    This tells that the files are the ones the header vouches for; whether what they say is *right* is
    for :func:`timebank_chain.epoch.verify.verify_epoch`.

    Parameters
    ----------
    epochs
        The folder of published epochs.
    number
        Which epoch.
    isolated
        Decode in a process of its own with bounded memory and time, as befits a stranger's files
        (:mod:`timebank_chain.epoch.decode`); half a second slower.

    Raises
    ------
    EpochError
        If there is no such epoch.
    TamperedEpoch
        If a file is missing, superfluous, truncated or changed; it names the file.
    """
    folder = epoch_folder(epochs, number)
    if not folder.is_dir():
        raise EpochError(
            f"there is no published epoch {number}",
            where=str(folder),
            hint="see which there are: timebank epoch inspect --epochs DIR",
        )
    return read_epoch_folder(folder, number, isolated=isolated)


def read_epoch_folder(folder: Path, number: int, *, isolated: bool = False) -> PublishedEpoch:
    """Read epoch ``number`` from its own folder, wherever that is; otherwise as :func:`read_epoch`."""
    for entry in sorted(folder.iterdir()):
        if entry.name not in _EXPECTED and not entry.name.startswith("."):
            raise TamperedEpoch(
                "this file does not belong to a published epoch", where=str(entry), hint="move it elsewhere"
            )
    header = read_header(folder, number)
    path = folder / MANIFEST_FILE
    sizes = parse_manifest(_read_small(path), header, where=str(path))
    for name, (size, _) in sizes.items():
        check_size(name, size, header, where=str(folder / name))
    activities = _read_data(folder, ACTIVITIES_FILE, sizes, header.activity_count, isolated=isolated)
    accounts = _read_data(folder, ACCOUNTS_FILE, sizes, header.account_count, isolated=isolated)
    return PublishedEpoch(folder, header, ActivityRows(**activities), AccountRows(**accounts))


def parse_manifest(content: bytes, header: EpochHeader, *, where: str) -> dict[str, tuple[int, bytes]]:
    """Return size in bytes and sha256 of each data file, as the header's data hash vouches for.

    Raises
    ------
    TamperedEpoch
        If this is not the manifest the header names, or not one of its epoch.
    """

    def refuse(message: str) -> NoReturn:
        raise TamperedEpoch(message, where=where, hint=_FETCH_AGAIN)

    digest = hashlib.sha256(content).digest()
    if digest != header.data_hash:
        refuse(f"sha256 is {digest.hex()}, the header's data hash is {header.data_hash.hex()}")
    document = _json_object(content, where=where)
    if document.get("schema") != MANIFEST_SCHEMA or set(document) != {"schema", "epoch", "files"}:
        refuse(f"not a document {MANIFEST_SCHEMA} with schema, epoch and files")
    if document["epoch"] != header.epoch:
        refuse(f"this is the manifest of epoch {document['epoch']!r}, not {header.epoch}")
    entries = document["files"]
    if (
        not isinstance(entries, list)
        or not all(isinstance(entry, dict) and set(entry) == {"name", "bytes", "sha256"} for entry in entries)
        or [entry["name"] for entry in entries] != list(DATA_FILES)
    ):
        refuse(f"the files must be {' and '.join(DATA_FILES)}, each with name, bytes and sha256")
    sizes: dict[str, tuple[int, bytes]] = {}
    for entry in entries:
        size, checksum = entry["bytes"], entry["sha256"]
        if isinstance(size, bool) or not isinstance(size, int) or size < 0:
            refuse(f"{entry['name']}: not a size: {size!r}")
        try:
            digest = read_hex(f"0x{checksum}", 32, field=f"{where}, {entry['name']}, sha256")
        except EpochError as error:
            raise TamperedEpoch(error.message, where=error.where, hint=_FETCH_AGAIN) from error
        sizes[entry["name"]] = size, digest
    return sizes


def check_size(name: str, size: int, header: EpochHeader, *, where: str) -> None:
    """Refuse a size in bytes that the header's number of rows cannot have, before anything is read.

    Raises
    ------
    TamperedEpoch
        If the rows do not fit into the file, or it is far larger than they are.
    """
    count = row_count(name, header)
    # A record id is a hash and does not compress, an account at most to a few bytes: a small file that
    # claims many rows is built to fill the reader's memory.
    most_rows = size // 32 if name == ACTIVITIES_FILE else size
    if count > most_rows:
        raise TamperedEpoch(
            f"{size} bytes cannot hold the {count} rows the header counts", where=where, hint=_FETCH_AGAIN
        )
    most = largest_file_bytes(_COLUMNS[name], count)
    if size > most:
        raise TamperedEpoch(
            f"{size} bytes for the {count} rows the header counts, at most {most} make sense",
            where=where,
            hint=_FETCH_AGAIN,
        )


def row_count(name: str, header: EpochHeader) -> int:
    """Return how many rows the header counts in the data file ``name``."""
    return header.activity_count if name == ACTIVITIES_FILE else header.account_count


def decoded_bytes(header: EpochHeader) -> int:
    """Return how many bytes of memory the rows of an epoch take."""
    return sum(row_count(name, header) * row_bytes(_COLUMNS[name]) for name in DATA_FILES)


def policy_file(epochs: Path | str, digest: bytes) -> Path:
    """Return where the policy with this hash is published."""
    return Path(epochs) / POLICIES_FOLDER / f"{digest.hex()}.json"


def read_policy(epochs: Path | str, digest: bytes) -> Policy:
    """Read the published policy with this hash.

    Raises
    ------
    TamperedEpoch
        If it is missing, unreadable, or hashes to something else than its name.
    """
    path = policy_file(epochs, digest)
    if not path.is_file():
        raise TamperedEpoch("the policy of the epoch is missing", where=str(path), hint=_FETCH_AGAIN)
    try:
        policy = load_policy(path)
    except PolicyError as error:
        raise TamperedEpoch(
            f"not a readable policy: {error.message}", where=error.where or str(path), hint=_FETCH_AGAIN
        ) from error
    if policy_hash(policy) != digest:
        raise TamperedEpoch(
            f"the policy hashes to {policy_hash(policy).hex()}, not to its name",
            where=str(path),
            hint=_FETCH_AGAIN,
        )
    return policy


def encode_rows(name: str, rows: ActivityRows | AccountRows) -> bytes:
    """Return rows as the Parquet file ``name``: the same bytes for the same rows and pyarrow."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = arrow_schema(_COLUMNS[name], _SCHEMAS[name])
    arrays = []
    for column, kind in _COLUMNS[name].items():
        values = np.ascontiguousarray(getattr(rows, column))
        if isinstance(kind, int):
            buffers = [None, pa.py_buffer(values.tobytes())]
            arrays.append(pa.FixedSizeBinaryArray.from_buffers(pa.binary(kind), len(values), buffers))
        else:
            arrays.append(pa.array(values, schema.field(column).type))
    sink = pa.BufferOutputStream()
    pq.write_table(
        pa.Table.from_arrays(arrays, schema=schema),
        sink,
        compression="zstd",
        version="2.6",
        store_schema=True,
        use_dictionary=["account", "domain"] if name == ACTIVITIES_FILE else False,
    )
    return bytes(sink.getvalue().to_pybytes())


def encode_manifest(number: int, files: Mapping[str, bytes]) -> bytes:
    """Return the manifest of the data files, as canonical JSON."""
    document = {
        "schema": MANIFEST_SCHEMA,
        "epoch": number,
        "files": [
            {"name": name, "bytes": len(files[name]), "sha256": hashlib.sha256(files[name]).hexdigest()}
            for name in DATA_FILES
        ],
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def encode_header(header: EpochHeader) -> bytes:
    """Return the published form of a header."""
    return (json.dumps(header.to_json(), indent=2, ensure_ascii=False) + "\n").encode()


def read_json_object(path: Path, *, limit: int = MAX_JSON_BYTES) -> tuple[bytes, dict[str, Any]]:
    """Read a small JSON object and its bytes.

    Raises
    ------
    TamperedEpoch
        If the file is missing, larger than ``limit`` bytes, no JSON object, or names a field twice.
    """

    content = _read_small(path, limit=limit)
    return content, _json_object(content, where=str(path))


def _read_small(path: Path, *, limit: int = MAX_JSON_BYTES) -> bytes:
    try:
        return read_small(path, limit)
    except OSError as error:
        raise TamperedEpoch(
            f"cannot be read: {error.strerror}", where=str(path), hint=_FETCH_AGAIN
        ) from error
    except TooLarge as error:
        raise TamperedEpoch(f"larger than {limit} bytes", where=str(path), hint=_FETCH_AGAIN) from error


def _json_object(content: bytes, *, where: str) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) != len(pairs):
            raise ValueError("a field stands twice")
        return dict(pairs)

    try:
        document = parse_json(content, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise TamperedEpoch(f"not valid JSON: {error}", where=where, hint=_FETCH_AGAIN) from error
    if not isinstance(document, dict):
        raise TamperedEpoch("not a JSON object", where=where, hint=_FETCH_AGAIN)
    return document


def read_header(folder: Path, number: int) -> EpochHeader:
    """Read the header of epoch ``number`` in the epoch's own folder and check its hash.

    Raises
    ------
    TamperedEpoch
        If it is missing, damaged, or another epoch's.
    """
    path = folder / HEADER_FILE
    _, document = read_json_object(path)
    try:
        header = EpochHeader.from_json(document, where=str(path))
    except EpochError as error:
        raise TamperedEpoch(error.message, where=error.where or str(path), hint=_FETCH_AGAIN) from error
    if header.epoch != number:
        raise TamperedEpoch(
            f"this is the header of epoch {header.epoch}, not {number}", where=str(path), hint=_FETCH_AGAIN
        )
    return header


def _read_data(
    folder: Path, name: str, sizes: Mapping[str, tuple[int, bytes]], count: int, *, isolated: bool
) -> dict[str, NDArray[Any]]:
    """Return the columns of a data file, which must be exactly what the manifest lists."""
    path = folder / name
    size, sha256 = sizes[name]
    columns, label = _COLUMNS[name], _SCHEMAS[name]
    try:
        if isolated:
            cells = decode_apart(path, columns, label, count, size=size, sha256=sha256)
            return {
                column: _column(whole, kind)
                for (column, kind), whole in zip(columns.items(), cells, strict=True)
            }
        content = read_whole(path, size, sha256)
        return _columns(decode(content, columns, label, count), columns, count)
    except Undecodable as error:
        raise TamperedEpoch(str(error), where=str(path), hint=_FETCH_AGAIN) from error
    except DecoderFailed as error:
        raise EpochError(
            str(error), where=str(path), hint="try again when the machine has memory and time to spare"
        ) from error


def _columns(cells: Iterator[memoryview], columns: Columns, count: int) -> dict[str, NDArray[Any]]:
    """Return the columns of cells that come in pieces, column after column."""
    result = {}
    for column, kind in columns.items():
        width = row_bytes({column: kind})
        whole, filled = bytearray(count * width), 0
        while filled < len(whole):
            piece = next(cells)
            whole[filled : filled + len(piece)] = piece
            filled += len(piece)
        result[column] = _column(whole, kind)
    # What comes after the last cell is a check, not a cell.
    for _ in cells:
        raise Undecodable("more cells than rows")
    return result


def _column(cells: bytearray, kind: str | int) -> NDArray[Any]:
    if isinstance(kind, int):
        return np.frombuffer(cells, dtype=np.uint8).reshape(-1, kind)
    return np.frombuffer(cells, dtype=np.dtype(kind).newbyteorder("<"))
