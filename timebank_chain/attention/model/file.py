"""A model's file: one zip of plain arrays and JSON, byte for byte determined by the model.

::

    manifest.json      schema, versions, features, recipe, intervals, data hash, SHA-256 of every other member
    card.json          the model card
    weights/NAME.npy   an array each, float64 or int64
    seal               SHA-256 of manifest.json, hex

Opening a file runs nothing: there is no pickle in it, and arrays are read by their declared shape only. It is
refused unless it is exactly the file this module would write: members in order, stored, at a fixed date,
every hash right. So any changed byte is noticed. Who can write files can also make a different, sound one:
against that, ``expected_sha256`` compares the whole file with the hash its maker told.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from timebank_chain.attention.model.card import card_markdown
from timebank_chain.attention.model.dataset import CATEGORICAL, NUMERIC, TRANSFORMS, Feature
from timebank_chain.attention.model.frozen import BASELINES, FAMILIES, Array, BadArrays, Frozen, check
from timebank_chain.attention.model.intervals import Decile, Intervals
from timebank_chain.attention.model.recipes import Recipe
from timebank_chain.attention.model.task import task_from_json
from timebank_chain.attention.model.trained import Learned, TrainedModel
from timebank_chain.documents import TooLarge, parse_json, read_small, write_whole
from timebank_chain.errors import AttentionError

SCHEMA = "timebank.attention.model/1"
#: Largest file that is opened.
MAX_FILE_BYTES = 128 << 20
MAX_MEMBERS = 500

_MANIFEST, _CARD, _SEAL = "manifest.json", "card.json", "seal"
_LIBRARIES = ("numpy", "scikit-learn", "scipy")
# The earliest date a zip can hold: a clock must not make two files of one model.
_DATE = (1980, 1, 1, 0, 0, 0)
_HINT = "get the file again from who made it, or train anew"


def encode_model(model: TrainedModel) -> bytes:
    """Return the bytes of a model's file."""
    arrays = {f"model/{name}": array for name, array in model.frozen.arrays.items()}
    for kind, one in model.baselines.items():
        arrays |= {f"{kind}/{name}": array for name, array in one.arrays.items()}
    members = {f"weights/{name}.npy": _npy(array) for name, array in sorted(arrays.items())}
    members[_CARD] = _json(model.card)
    manifest = {
        "schema": SCHEMA,
        "made_with": {name: _version(name) for name in ("timebank-chain", *_LIBRARIES)},
        "features": [feature.to_json() for feature in model.features],
        "task": dict(model.task),
        "target": {
            "name": model.target_name,
            "transform": model.transform,
            "window_ms": model.window_ms,
        },
        "recipe": model.recipe.to_json(),
        "baselines": sorted(model.baselines),
        "intervals": model.intervals.to_json(),
        "data": {
            "name": model.learned.name,
            "sha256": model.learned.digest,
            "rows": model.learned.rows,
            "first_ms": model.learned.first_ms,
            "last_ms": model.learned.last_ms,
        },
        "seed": model.seed,
        "members": {name: hashlib.sha256(content).hexdigest() for name, content in sorted(members.items())},
    }
    return _zip(_json(manifest), members)


def file_sha256(content: bytes) -> str:
    """Return the hash by which a model's file is told apart."""
    return hashlib.sha256(content).hexdigest()


def write_model(path: Path, model: TrainedModel) -> str:
    """Write a model's file, whole or not at all, and return its SHA-256 (hex).

    Raises
    ------
    AttentionError
        If it cannot be written.
    """
    content = encode_model(model)
    try:
        write_whole(path, content, mode=0o644, sync=True)
    except OSError as error:
        raise AttentionError(
            f"cannot write the model: {error.strerror}", where=str(path), hint="choose another -o"
        ) from error
    return file_sha256(content)


def read_model(path: Path, *, expected_sha256: str | None = None) -> TrainedModel:
    """Read a model's file.

    Parameters
    ----------
    path
        The file.
    expected_sha256
        Hash of the whole file as its maker told it.

    Raises
    ------
    AttentionError
        If it is no model, another version's, damaged, changed in any byte, or not the expected one.
    """
    try:
        content = read_small(path, MAX_FILE_BYTES)
    except OSError as error:
        raise AttentionError(
            f"cannot read the model: {error.strerror}", where=str(path), hint="name a model file"
        ) from error
    except TooLarge as error:
        raise AttentionError(f"no model of ours: {error}", where=str(path), hint=_HINT) from error
    found = file_sha256(content)
    if expected_sha256 is not None and found != expected_sha256.strip().lower():
        raise AttentionError(
            f"the file's SHA-256 is {found}, not the expected {expected_sha256.strip()[:64]}",
            where=str(path),
            hint=_HINT,
        )
    try:
        return decode_model(content)
    except AttentionError as error:
        raise AttentionError(error.message, hint=error.hint, where=str(path)) from error


def decode_model(content: bytes) -> TrainedModel:
    """Return the model of a file's bytes; see :func:`read_model`."""
    members = _unzip(content)
    manifest_bytes, seal = members.pop(_MANIFEST, None), members.pop(_SEAL, None)
    if manifest_bytes is None or seal is None:
        raise AttentionError("no model file: it has no manifest or seal", hint=_HINT)
    try:
        manifest = parse_json(manifest_bytes)
    except ValueError as error:
        raise AttentionError(f"the manifest is damaged: {error}", hint=_HINT) from error
    schema = manifest.get("schema") if isinstance(manifest, dict) else None
    if schema != SCHEMA:
        raise AttentionError(
            f"the model was made by another version: {str(schema)[:60]!r}, this one reads {SCHEMA!r}",
            hint="train it anew with this version, or use the version that made it",
        )
    if seal != hashlib.sha256(manifest_bytes).hexdigest().encode():
        raise AttentionError("the manifest was changed after the model was made", hint=_HINT)
    stated = manifest.get("members")
    if not isinstance(stated, dict) or set(stated) != set(members):
        raise AttentionError("members were added or taken away after the model was made", hint=_HINT)
    for name, member in members.items():
        if stated[name] != hashlib.sha256(member).hexdigest():
            raise AttentionError(f"{name} was changed after the model was made", hint=_HINT)
    if _zip(manifest_bytes, members) != content:
        raise AttentionError("the file was changed after the model was made", hint=_HINT)
    try:
        return _model(manifest, members)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        # Whoever sealed this meant to: the hashes are right and the content is no model.
        raise AttentionError(f"the content is no model: {error}", hint=_HINT) from error


def _model(manifest: Mapping[str, Any], members: Mapping[str, bytes]) -> TrainedModel:
    arrays: dict[str, dict[str, Array]] = {}
    for name, member in members.items():
        if name == _CARD:
            continue
        folder, owner, short = name.split("/")
        if folder != "weights" or not short.endswith(".npy"):
            raise BadArrays(f"{name}: no member of a model")
        arrays.setdefault(owner, {})[short.removesuffix(".npy")] = _array(name, member)
    features = tuple(
        Feature(str(one["name"]), str(one["kind"]), tuple(str(word) for word in one["words"]))
        for one in manifest["features"]
    )
    if any(one.kind not in {NUMERIC, CATEGORICAL} for one in features):
        raise BadArrays("features: a kind of column we do not know")
    recipe = manifest["recipe"]
    family = str(recipe["family"])
    if family not in (*FAMILIES, *BASELINES) or set(arrays) != {"model", *manifest["baselines"]}:
        raise BadArrays("recipe: not one of ours, or its arrays are missing")
    frozen = Frozen(family, arrays["model"])
    baselines = {str(name): Frozen(str(name), arrays[str(name)]) for name in manifest["baselines"]}
    for one in (frozen, *baselines.values()):
        check(one, len(features))
    target, data, intervals = manifest["target"], manifest["data"], manifest["intervals"]
    ends = float(intervals["low"]), float(intervals["high"])
    if not np.isfinite(ends).all() or ends[0] > ends[1] or target["transform"] not in TRANSFORMS:
        raise BadArrays("intervals or target: not ours")
    card = parse_json(members[_CARD])
    # What is shown later must be there: a card that cannot be written is none.
    card_markdown(card)
    parts = [Decile(**one) for one in card["rehearsal"]["deciles"]]
    if not all(np.isfinite([one.predicted, one.observed, one.lower, one.upper]).all() for one in parts):
        raise BadArrays("card.json: no card")
    task = dict(manifest["task"])
    if task["kind"] == "table":
        task_from_json(task["task"])
    elif task["kind"] != "dump" or not isinstance(task["window_ms"], int | None):
        raise BadArrays("task: not ours")
    return TrainedModel(
        features=features,
        task=task,
        target_name=str(target["name"]),
        transform=str(target["transform"]),
        window_ms=int(target["window_ms"]),
        recipe=Recipe(family, tuple((str(k), float(v)) for k, v in recipe["settings"].items())),
        frozen=frozen,
        baselines=baselines,
        intervals=Intervals(float(intervals["coverage"]), ends[0], ends[1], int(intervals["rows"])),
        learned=Learned(
            str(data["name"]),
            str(data["sha256"]),
            int(data["rows"]),
            int(data["first_ms"]),
            int(data["last_ms"]),
        ),
        seed=int(manifest["seed"]),
        card=card,
    )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"


def _json(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False).encode("utf-8") + b"\n"


def _npy(array: Array) -> bytes:
    whole = np.issubdtype(array.dtype, np.integer)
    buffer = io.BytesIO()
    # Little-endian, rows first: the same bytes on every machine.
    np.lib.format.write_array(
        buffer,
        np.ascontiguousarray(array, dtype="<i8" if whole else "<f8"),
        version=(1, 0),
        allow_pickle=False,
    )
    return buffer.getvalue()


def _array(name: str, member: bytes) -> Array:
    """Read an array by its header; what the header claims must be exactly what is there."""
    buffer = io.BytesIO(member)
    if np.lib.format.read_magic(buffer) != (1, 0):
        raise BadArrays(f"{name}: no array of version 1.0")
    shape, by_columns, kind = np.lib.format.read_array_header_1_0(buffer)
    if kind not in {np.dtype("<f8"), np.dtype("<i8")} or by_columns or len(shape) > 2:
        raise BadArrays(f"{name}: no plain array")
    body = member[buffer.tell() :]
    size = 8
    for extent in shape:
        size *= extent
    if size != len(body):
        raise BadArrays(f"{name}: {len(body)} bytes for a shape of {shape}")
    return np.frombuffer(body, dtype=kind).reshape(shape)


def _zip(manifest: bytes, members: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        parts = [(_MANIFEST, manifest), *sorted(members.items())]
        parts.append((_SEAL, hashlib.sha256(manifest).hexdigest().encode()))
        for name, content in parts:
            member = zipfile.ZipInfo(name, _DATE)
            member.create_system = 3
            member.external_attr = 0o644 << 16
            archive.writestr(member, content)
    return buffer.getvalue()


def _unzip(content: bytes) -> dict[str, bytes]:
    """Return the members; nothing is unpacked, so nothing can grow."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            if len(entries) > MAX_MEMBERS or len({one.filename for one in entries}) != len(entries):
                raise AttentionError("no model file: too many members, or one twice", hint=_HINT)
            if any(one.compress_type != zipfile.ZIP_STORED for one in entries):
                raise AttentionError("no model file: a packed member", hint=_HINT)
            if sum(one.file_size for one in entries) > len(content):
                raise AttentionError("no model file: members larger than the file", hint=_HINT)
            return {one.filename: archive.read(one) for one in entries}
    except (zipfile.BadZipFile, ValueError, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise AttentionError(f"no model file, or damaged: {error}", hint=_HINT) from error
