"""A recommender in a file: a zip of arrays, a manifest that names each by its hash, and the manifest's hash.

Nothing in it is executed when it is read: arrays are plain (no pickled objects), the manifest is JSON. Its
own hashes tell a damaged file, not a forged one; against that the SHA-256 of the whole file, which `train`
printed, can be asked for.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from timebank_chain.attention.recommend.choose import Choice, Judged
from timebank_chain.attention.recommend.measures import Measures
from timebank_chain.attention.recommend.rankers import make_ranker
from timebank_chain.attention.recommend.suggest import Recommender
from timebank_chain.documents import parse_json, read_small, write_whole
from timebank_chain.errors import AttentionError

SCHEMA = "timebank.recommender/1"
MAX_BYTES = 1 << 30
_MANIFEST, _SEAL = "manifest.json", "manifest.sha256"
# Zip entries carry a time: a fixed one, so that equal recommenders are equal files.
_EPOCH = (1980, 1, 1, 0, 0, 0)


def save_recommender(recommender: Recommender, path: Path | str) -> str:
    """Write a recommender in one step; return the SHA-256 of the file.

    Raises
    ------
    AttentionError
        If it cannot be written.
    """
    path = Path(path)
    arrays = {name: _npy(array) for name, array in recommender.ranker.arrays().items()}
    manifest = {
        "schema": SCHEMA,
        "ranker": recommender.ranker.name,
        "parameters": recommender.ranker.parameters,
        "items": list(recommender.items),
        "kinds": list(recommender.kinds),
        "data_sha256": recommender.data_hash,
        "choice": asdict(recommender.choice),
        "arrays": {name: hashlib.sha256(content).hexdigest() for name, content in sorted(arrays.items())},
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        text = (json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()
        file.writestr(zipfile.ZipInfo(_MANIFEST, _EPOCH), text, zipfile.ZIP_DEFLATED)
        file.writestr(zipfile.ZipInfo(_SEAL, _EPOCH), hashlib.sha256(text).hexdigest())
        for name, content in sorted(arrays.items()):
            file.writestr(zipfile.ZipInfo(f"{name}.npy", _EPOCH), content, zipfile.ZIP_DEFLATED)
    try:
        write_whole(path, buffer.getvalue(), mode=0o644)
    except OSError as error:
        raise AttentionError(f"cannot be written: {error}", where=str(path)) from error
    return hashlib.sha256(buffer.getvalue()).hexdigest()


def load_recommender(path: Path | str, *, expected_sha256: str | None = None) -> Recommender:
    """Read a recommender.

    Parameters
    ----------
    path
        The file.
    expected_sha256
        SHA-256 of the file in hex, if only that one is wanted.

    Raises
    ------
    AttentionError
        If it cannot be read, is of another version or not the one expected, or if its manifest or an array
        is not the one that was written.
    """
    path = Path(path)
    try:
        content = read_small(path, MAX_BYTES)
        found = hashlib.sha256(content).hexdigest()
        if expected_sha256 is not None and found != expected_sha256.lower():
            raise AttentionError(f"the file's SHA-256 is {found}, not the one asked for", where=str(path))
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            sizes = {one.filename: one.file_size for one in file.infolist()}
            if sum(sizes.values()) > MAX_BYTES:
                raise AttentionError(f"unpacks to more than {MAX_BYTES:,} bytes", where=str(path))
            text = _member(file, _MANIFEST, sizes)
            manifest = parse_json(text)
            if not isinstance(manifest, dict) or manifest.get("schema") != SCHEMA:
                version = manifest.get("schema") if isinstance(manifest, dict) else None
                raise AttentionError(
                    f"the file is of version {version!r}, this program reads {SCHEMA!r}",
                    where=str(path),
                    hint="train it again: timebank attention recommend train",
                )
            if _member(file, _SEAL, sizes).decode("ascii") != hashlib.sha256(text).hexdigest():
                raise AttentionError("the manifest is not the one that was written", where=str(path))
            arrays = {
                name: _array(_member(file, f"{name}.npy", sizes), digest, name, path)
                for name, digest in manifest["arrays"].items()
            }
        return _assemble(manifest, arrays)
    except (OSError, zipfile.BadZipFile, zipfile.LargeZipFile) as error:
        raise AttentionError(f"no recommender can be read: {error}", where=str(path)) from error
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise AttentionError(
            f"no recommender: {error}",
            where=str(path),
            hint="train it again: timebank attention recommend train",
        ) from error


def _member(file: zipfile.ZipFile, name: str, sizes: dict[str, int]) -> bytes:
    # A central directory may lie about sizes: never unpack more than it says.
    with file.open(name) as member:
        return member.read(sizes[name])


def _npy(array: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _array(content: bytes, digest: str, name: str, path: Path) -> NDArray[Any]:
    if hashlib.sha256(content).hexdigest() != digest:
        raise AttentionError(f"array {name!r} is not the one the manifest names", where=str(path))
    array: NDArray[Any] = np.load(io.BytesIO(content), allow_pickle=False)
    return array


def _assemble(manifest: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Recommender:
    items, kinds = tuple(manifest["items"]), tuple(manifest["kinds"])
    if len(items) != len(kinds) or not all(isinstance(one, str) for one in (*items, *kinds)):
        raise ValueError("items and kinds do not fit")
    ranker = make_ranker(manifest["ranker"], manifest["parameters"])
    ranker.take(arrays)
    if ranker.size != len(items):
        raise ValueError(f"{ranker.size} items were learned, {len(items)} are named")
    choice = manifest["choice"]
    return Recommender(
        ranker,
        items,
        kinds,
        manifest["data_sha256"],
        Choice(
            split=choice["split"],
            k=choice["k"],
            floor=choice["floor"],
            validation=tuple(_judged(one) for one in choice["validation"]),
            test=tuple(_judged(one) for one in choice["test"]),
            chosen=_judged(choice["chosen"]),
            guarded=Measures(**choice["guarded"]),
        ),
    )


def _judged(document: dict[str, Any]) -> Judged:
    return Judged(document["name"], document["parameters"], Measures(**document["measures"]))
