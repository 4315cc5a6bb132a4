"""A published epoch as an auditor reads it: every file by itself, every fault kept, nothing raised.

``timebank_chain.epoch.read_epoch`` stops at the first fault, which is right for those who build on an
epoch. An auditor wants to know what else is wrong, and which row a changed file differs in: here a file
that does not match its manifest is reported and still read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from timebank_chain.audit.report import Difference
from timebank_chain.documents import parse_json, read_small, read_small_text
from timebank_chain.epoch import EpochHeader
from timebank_chain.errors import EpochError, PolicyError
from timebank_chain.valuation import Policy, load_policy

MANIFEST_SCHEMA = "timebank.epoch-data/1"
DATA_FILES = ("activities.parquet", "accounts.parquet")

Columns = Mapping[str, NDArray[Any]]

#: Column -> numpy type, or the width of a fixed-size binary.
ACTIVITY_COLUMNS: Mapping[str, str | int] = {
    "record_id": 32,
    "account": 20,
    "domain": "uint16",
    "occurred_ms": "int64",
    "interaction_milli": "uint32",
    "originality_milli": "uint32",
    "engagement_milli": "uint32",
    "value": "int64",
    "running": "int64",
}
ACCOUNT_COLUMNS: Mapping[str, str | int] = {
    "account": 20,
    "activity_end": "uint32",
    "earned": "int64",
    "running_earned": "int64",
    "running_active": "uint32",
    "standing": "int64",
    "mint": "int64",
    "running_mint": "int64",
    "cumulative_mint": "int64",
}


@dataclass
class EpochFiles:
    """What could be read of one published epoch.

    Attributes
    ----------
    problems
        Files that are missing, truncated, or not what their manifest says.
    header_problems
        Faults of ``header.json`` alone.
    """

    number: int
    folder: Path
    header: EpochHeader | None = None
    manifest_sha256: bytes | None = None
    activities: Columns | None = None
    accounts: Columns | None = None
    problems: list[Difference] = field(default_factory=list)
    header_problems: list[Difference] = field(default_factory=list)

    @property
    def present(self) -> bool:
        """Whether the epoch's folder exists at all."""
        return self.folder.is_dir()


def read_epoch_files(epochs: Path, number: int) -> EpochFiles:
    """Read what there is of epoch ``number`` under ``epochs``."""
    folder = epochs / f"{number:06d}"
    files = EpochFiles(number, folder)
    if not folder.is_dir():
        files.problems.append(
            Difference(
                str(folder),
                f"the published files of epoch {number}",
                "no such folder",
                "an epoch nobody can read is an epoch nobody can recompute",
            )
        )
        return files
    _read_header(files)
    _read_manifest(files)
    files.activities = _read_columns(files, "activities.parquet", ACTIVITY_COLUMNS)
    files.accounts = _read_columns(files, "accounts.parquet", ACCOUNT_COLUMNS)
    return files


def policy_path(epochs: Path, policy_hash: bytes) -> Path:
    """Return where the policy with this hash is published."""
    return epochs / "policies" / f"{policy_hash.hex()}.json"


def read_policy(epochs: Path, policy_hash: bytes) -> tuple[Policy | None, Difference | None]:
    """Read the published policy, or say what is wrong with its file."""
    path = policy_path(epochs, policy_hash)
    meaning = "without the policy nobody can recompute the epoch"
    if not path.is_file():
        return None, Difference(str(path), f"the policy 0x{policy_hash.hex()}", "no such file", meaning)
    try:
        return load_policy(path), None
    except PolicyError as error:
        return None, Difference(str(path), "a policy document", str(error), meaning)


def _read_header(files: EpochFiles) -> None:
    path = files.folder / "header.json"
    try:
        files.header = EpochHeader.from_json(parse_json(read_small_text(path)))
    except FileNotFoundError:
        found = "no such file"
    except (EpochError, ValueError, TypeError, AttributeError, OSError) as error:
        found = str(error)
    else:
        return
    files.header_problems.append(
        Difference(
            str(path),
            "a header document whose fields hash to its headerHash",
            found,
            "the published header is not the one that was signed",
        )
    )


def _read_manifest(files: EpochFiles) -> None:
    path = files.folder / "manifest.json"
    problem = _problem_at(files)
    try:
        raw = read_small(path)
        files.manifest_sha256 = hashlib.sha256(raw).digest()
        document = parse_json(raw)
        entries = {entry["name"]: (int(entry["bytes"]), str(entry["sha256"])) for entry in document["files"]}
    except FileNotFoundError:
        problem(path, "the list of the epoch's files", "no such file", "nothing says which data was signed")
        return
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        problem(path, f"a document {MANIFEST_SCHEMA}", str(error), "nothing says which data was signed")
        return
    if document.get("schema") != MANIFEST_SCHEMA or document.get("epoch") != files.number:
        found = f"{document.get('schema')}, epoch {document.get('epoch')}"
        problem(path, f"{MANIFEST_SCHEMA}, epoch {files.number}", found, "the list is of something else")
    if sorted(entries) != sorted(DATA_FILES):
        problem(path, ", ".join(DATA_FILES), ", ".join(entries), "the list must name both data files")
    for name, (size, sha256) in entries.items():
        if name not in DATA_FILES:
            continue
        data_path = files.folder / name
        if not data_path.is_file():
            continue  # reported when it is read
        content = data_path.read_bytes()
        if len(content) != size:
            problem(
                data_path,
                f"{size} bytes",
                f"{len(content)} bytes",
                "the file was cut or changed after signing",
            )
        found = hashlib.sha256(content).hexdigest()
        if found != sha256.removeprefix("0x"):
            problem(data_path, f"sha256 {sha256}", f"sha256 {found}", "the file was changed after signing")


def _read_columns(files: EpochFiles, name: str, columns: Mapping[str, str | int]) -> Columns | None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = files.folder / name
    problem = _problem_at(files)
    if not path.is_file():
        problem(path, f"{name} of epoch {files.number}", "no such file", "its rows cannot be recomputed")
        return None
    try:
        # Keys are hashes and do not compress: a small file of many rows is made to fill the memory.
        with pq.ParquetFile(path) as file:
            if file.metadata.num_rows > path.stat().st_size:
                raise ValueError(f"{file.metadata.num_rows} rows in {path.stat().st_size} bytes")
            table = file.read(columns=list(columns))
        return {
            column: _column(table.column(column).combine_chunks(), kind) for column, kind in columns.items()
        }
    except (pa.ArrowException, ValueError, KeyError, OSError, OverflowError) as error:
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
        problem(path, "a Parquet file with the columns of an epoch", text, "its rows cannot be recomputed")
        return None


def _column(array: Any, kind: str | int) -> NDArray[Any]:
    import pyarrow as pa

    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    if array.null_count:
        raise ValueError(f"{array.null_count} empty cells")
    if isinstance(kind, int):
        if array.type != pa.binary(kind):
            raise ValueError(f"a column is {array.type}, not {kind} bytes")
        raw = b"".join(array.to_pylist())
        return np.frombuffer(raw, dtype=np.uint8).reshape(len(array), kind)
    if str(array.type) != kind:
        raise ValueError(f"a column is {array.type}, not {kind}")
    return np.asarray(array.to_numpy(zero_copy_only=False), dtype=kind)


def _problem_at(files: EpochFiles) -> Any:
    def problem(path: Path, expected: str, found: str, meaning: str) -> None:
        files.problems.append(Difference(str(path), expected, found, meaning))

    return problem
