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
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from timebank_chain.documents import parse_json
from timebank_chain.epoch.header import EpochHeader
from timebank_chain.epoch.leaves import read_hex
from timebank_chain.epoch.rows import AccountRows, ActivityRows
from timebank_chain.errors import EpochError, PolicyError, TamperedEpoch
from timebank_chain.valuation import Policy, load_policy, policy_hash

if TYPE_CHECKING:
    import pyarrow as pa

MANIFEST_SCHEMA = "timebank.epoch-data/1"
HEADER_FILE = "header.json"
MANIFEST_FILE = "manifest.json"
ACTIVITIES_FILE = "activities.parquet"
ACCOUNTS_FILE = "accounts.parquet"
SIGNATURES_FOLDER = "signatures"
POLICIES_FOLDER = "policies"
DATA_FILES = (ACTIVITIES_FILE, ACCOUNTS_FILE)

_EXPECTED = {HEADER_FILE, MANIFEST_FILE, ACTIVITIES_FILE, ACCOUNTS_FILE, SIGNATURES_FOLDER}
_MAX_JSON_BYTES = 1 << 16
_SCHEMA_KEY = b"timebank.schema"
_FETCH_AGAIN = "fetch the epoch again from its publisher and compare; do not build on this copy"

#: Column -> Parquet type; an integer is a fixed number of bytes.
_COLUMNS: Mapping[str, Mapping[str, str | int]] = {
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


def read_epoch(epochs: Path | str, number: int) -> PublishedEpoch:
    """Read epoch ``number`` and check header hash, manifest, sizes and checksums.

    This tells that the files are the ones the header vouches for; whether what they say is *right* is
    for :func:`timebank_chain.epoch.verify.verify_epoch`.

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
    for entry in sorted(folder.iterdir()):
        if entry.name not in _EXPECTED and not entry.name.startswith("."):
            raise TamperedEpoch(
                "this file does not belong to a published epoch", where=str(entry), hint="move it elsewhere"
            )
    header = _read_header(folder, number)
    sizes = _read_manifest(folder, header)
    activities = _read_data(folder, ACTIVITIES_FILE, sizes, header.activity_count)
    accounts = _read_data(folder, ACCOUNTS_FILE, sizes, header.account_count)
    return PublishedEpoch(folder, header, ActivityRows(**activities), AccountRows(**accounts))


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

    schema = _arrow_schema(name)
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


def read_json_object(path: Path, *, limit: int = _MAX_JSON_BYTES) -> tuple[bytes, dict[str, Any]]:
    """Read a small JSON object and its bytes.

    Raises
    ------
    TamperedEpoch
        If the file is missing, larger than ``limit`` bytes, no JSON object, or names a field twice.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) != len(pairs):
            raise ValueError("a field stands twice")
        return dict(pairs)

    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise TamperedEpoch(
            f"cannot be read: {error.strerror}", where=str(path), hint=_FETCH_AGAIN
        ) from error
    if len(content) > limit:
        raise TamperedEpoch(f"larger than {limit} bytes", where=str(path), hint=_FETCH_AGAIN)
    try:
        document = parse_json(content, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise TamperedEpoch(f"not valid JSON: {error}", where=str(path), hint=_FETCH_AGAIN) from error
    if not isinstance(document, dict):
        raise TamperedEpoch("not a JSON object", where=str(path), hint=_FETCH_AGAIN)
    return content, document


def _read_header(folder: Path, number: int) -> EpochHeader:
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


def _read_manifest(folder: Path, header: EpochHeader) -> dict[str, tuple[int, bytes]]:
    """Return size and sha256 of each data file, as the header's data hash vouches for."""
    path = folder / MANIFEST_FILE

    def refuse(message: str) -> NoReturn:
        raise TamperedEpoch(message, where=str(path), hint=_FETCH_AGAIN)

    content, document = read_json_object(path)
    digest = hashlib.sha256(content).digest()
    if digest != header.data_hash:
        refuse(f"sha256 is {digest.hex()}, the header's data hash is {header.data_hash.hex()}")
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
        sizes[entry["name"]] = size, read_hex(f"0x{checksum}", 32, field=f"{path}, {entry['name']}, sha256")
    return sizes


def _read_data(
    folder: Path, name: str, sizes: Mapping[str, tuple[int, bytes]], count: int
) -> dict[str, NDArray[Any]]:
    """Return the columns of a data file, which must be exactly what the manifest lists."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / name
    size, checksum = sizes[name]

    def refuse(message: str) -> NoReturn:
        raise TamperedEpoch(message, where=str(path), hint=_FETCH_AGAIN)

    try:
        found = path.stat().st_size
        if found != size:
            refuse(f"{found} bytes, the manifest says {size}")
        # Read once: what is hashed is what is decoded, even if the file changes meanwhile.
        with path.open("rb") as file:
            content = file.read(size + 1)
    except OSError as error:
        refuse(f"cannot be read: {error.strerror}")
    if hashlib.sha256(content).digest() != checksum:
        refuse(f"sha256 is {hashlib.sha256(content).hexdigest()}, the manifest says {checksum.hex()}")
    # A record id is a hash and does not compress, an account at most to a few bytes: a small file that
    # claims many rows is built to fill the reader's memory.
    most = size // 32 if name == ACTIVITIES_FILE else size
    if count > most:
        refuse(f"{size} bytes cannot hold the {count} rows the header counts")
    try:
        with pq.ParquetFile(pa.BufferReader(content)) as file:
            if file.metadata.num_rows != count:
                refuse(f"{file.metadata.num_rows} rows, the header counts {count}")
            table = file.read()
    except (pa.ArrowException, OSError) as error:
        refuse(f"not a readable Parquet file: {str(error).splitlines()[0] if str(error) else 'damaged'}")
    if not table.schema.equals(_arrow_schema(name), check_metadata=True):
        refuse(f"its columns are not those of {_SCHEMAS[name]}")
    return {column: _column(table, column, kind, refuse) for column, kind in _COLUMNS[name].items()}


def _column(table: pa.Table, column: str, kind: str | int, refuse: Any) -> NDArray[Any]:
    chunks = table[column]
    if chunks.null_count:
        refuse(f"column {column!r} has empty cells")
    if isinstance(kind, int):
        parts = [
            np.frombuffer(
                chunk.buffers()[1], dtype=np.uint8, count=len(chunk) * kind, offset=chunk.offset * kind
            )
            for chunk in chunks.chunks
            if len(chunk)
        ]
        flat = np.concatenate(parts) if parts else np.empty(0, dtype=np.uint8)
        return flat.reshape(-1, kind)
    return np.asarray(chunks.to_numpy(), dtype=kind)


def _arrow_schema(name: str) -> pa.Schema:
    import pyarrow as pa

    return pa.schema(
        [
            pa.field(
                column, pa.binary(kind) if isinstance(kind, int) else pa.type_for_alias(kind), nullable=False
            )
            for column, kind in _COLUMNS[name].items()
        ],
        metadata={_SCHEMA_KEY: _SCHEMAS[name].encode()},
    )
