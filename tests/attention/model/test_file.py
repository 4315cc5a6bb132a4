"""A model's file.

kept
├── comes back the same, for every kind, and is written the same again
├── written whole or not at all
└── nothing in it is a pickle; opening imports no scikit-learn
refused
├── any changed byte, anywhere; a file cut short; a longer one
├── another version's, with its name
├── a hash other than the one its maker told
├── sealed anew with a pickle, a packed or further member, a loop of nodes, a claim of a huge array
└── no zip at all, no file
"""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.attention.model.communities import community
from timebank_chain.attention.model.file import (
    _zip,
    decode_model,
    encode_model,
    file_sha256,
    read_model,
    write_model,
)
from timebank_chain.attention.model.trained import TrainedModel
from timebank_chain.attention.model.training import Plan, train
from timebank_chain.errors import AttentionError

KINDS = ("ridge", "boosting", "network", "baseline")


@cache
def model(kind: str) -> TrainedModel:
    if kind == "baseline":
        # Of noise, a mean is the best that can be had; chance decides whether it looks so.
        noise = (community(300, seed=seed, signal=0.0) for seed in range(9))
        made = (train(data, Plan(families=("ridge",), splits=2)) for data in noise)
        return next(one for one in made if one.card["model"]["is_baseline"])
    return train(community(300), Plan(families=(kind,), splits=2))


@cache
def content(kind: str = "ridge") -> bytes:
    return encode_model(model(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_comes_back_the_same(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.model"
    digest = write_model(path, model(kind))
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    back = read_model(path, expected_sha256=digest.upper())
    data = community(50, seed=8)
    assert (back.predict(data).expected == model(kind).predict(data).expected).all()
    assert (back.predict(data).upper == model(kind).predict(data).upper).all()
    assert back.card == model(kind).card
    assert back.learned == model(kind).learned
    assert encode_model(back) == path.read_bytes()
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.model"]


def test_kinds_are_what_they_are_called() -> None:
    assert [model(kind).frozen.kind for kind in KINDS[:3]] == list(KINDS[:3])
    assert model("baseline").card["model"]["is_baseline"]


def test_opening_needs_no_scikit_learn(tmp_path: Path) -> None:
    write_model(tmp_path / "a.model", model("boosting"))
    code = (
        "import sys; from pathlib import Path\n"
        "from timebank_chain.attention.model.file import read_model\n"
        "read_model(Path(sys.argv[1]))\n"
        "sys.exit(str({'sklearn', 'joblib', 'matplotlib'} & set(sys.modules) or '') or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.model")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_failed_write_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(AttentionError, match="cannot write the model"):
        write_model(tmp_path / "taken", model("ridge"))
    assert [entry.name for entry in tmp_path.iterdir()] == ["taken"]
    with pytest.raises(AttentionError, match="cannot write the model"):
        write_model(tmp_path / "nowhere" / "a.model", model("ridge"))


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_changed_byte_is_noticed(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(content()) - 1))
    bit = data.draw(st.integers(0, 7))
    changed = bytearray(content())
    changed[place] ^= 1 << bit
    with pytest.raises(AttentionError):
        decode_model(bytes(changed))


@pytest.mark.parametrize("cut", [0, 1, 100, -1, -30])
def test_file_cut_short_is_refused(cut: int) -> None:
    with pytest.raises(AttentionError):
        decode_model(content()[:cut])


@pytest.mark.parametrize("more", [b"\0", b"x" * 100])
def test_longer_file_is_refused(more: bytes) -> None:
    for changed in (content() + more, more + content()):
        with pytest.raises(AttentionError):
            decode_model(changed)


def sealed_anew(change: Callable[[dict[str, bytes], dict[str, object]], None]) -> bytes:
    """What somebody makes who knows the format: every hash right."""
    with zipfile.ZipFile(io.BytesIO(content("boosting"))) as archive:
        members = {one.filename: archive.read(one) for one in archive.infolist()}
    manifest = json.loads(members.pop("manifest.json"))
    members.pop("seal")
    change(members, manifest)
    manifest["members"] = {name: hashlib.sha256(one).hexdigest() for name, one in members.items()}
    return _zip(json.dumps(manifest).encode(), members)


def npy(array: np.ndarray) -> bytes:  # type: ignore[type-arg]  # any kind is the point
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=array.dtype == object)
    return buffer.getvalue()


class Bomb:
    """Unpickled, it would leave a file."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return open, (self.path, "w")


def test_pickle_is_never_opened(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    array = np.empty(1, dtype=object)
    array[0] = Bomb(str(mark))
    for bomb in (npy(array), pickle.dumps(Bomb(str(mark)))):
        made = sealed_anew(lambda members, _, bomb=bomb: members.update({"weights/model/value.npy": bomb}))
        with pytest.raises(AttentionError, match="the content is no model"):
            decode_model(made)
    assert not mark.exists()


def loop(members: dict[str, bytes], manifest: dict[str, object]) -> None:
    left = np.load(io.BytesIO(members["weights/model/left.npy"]))
    members["weights/model/left.npy"] = npy(np.zeros_like(left))


def huge(members: dict[str, bytes], manifest: dict[str, object]) -> None:
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "<f8", "fortran_order": False, "shape": (1 << 50,)})
    members["weights/model/value.npy"] = head.getvalue() + bytes(8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (loop, "left: leads back up the tree"),
        (huge, "bytes for a shape of"),
        (lambda members, _: members.update({"weights/model/extra.npy": npy(np.zeros(1))}), "these arrays"),
        (lambda members, _: members.update({"run.py": b"print()"}), "no model"),
        (lambda members, _: members.pop("card.json"), "card.json"),
        (lambda members, _: members.pop("weights/mean/level.npy"), "arrays are missing"),
        (lambda _, manifest: manifest["recipe"].update(family="oracle"), "recipe: not one of ours"),
        (lambda _, manifest: manifest["intervals"].update(low=1e9), "intervals"),
        (lambda _, manifest: manifest["intervals"].update(low=None), "no model"),
        (lambda _, manifest: manifest.pop("features"), "no model: 'features'"),
        (lambda members, _: members.update({"card.json": b"{}"}), "no model: 'data'"),
        (lambda _, manifest: manifest.update(task={"kind": "dump", "window_ms": "soon"}), "task: not ours"),
        (lambda _, manifest: manifest.update(task={"kind": "table", "task": {}}), "missing: schema"),
        (lambda _, manifest: manifest.update(features=manifest["features"][:1]), "points outside"),
        (lambda _, manifest: manifest["features"][0].update(kind="secret"), "a kind of column"),
    ],
)
def test_sealed_anew_but_no_model(
    change: Callable[[dict[str, bytes], dict[str, object]], None], message: str
) -> None:
    with pytest.raises(AttentionError, match=message):
        decode_model(sealed_anew(change))


def test_change_without_the_seal_is_named() -> None:
    with zipfile.ZipFile(io.BytesIO(content())) as archive:
        members = {one.filename: archive.read(one) for one in archive.infolist()}
    manifest = members.pop("manifest.json")
    members.pop("seal")
    with pytest.raises(AttentionError, match=r"card.json was changed after the model was made"):
        decode_model(_zip(manifest, {**members, "card.json": b"{}"}))
    with pytest.raises(AttentionError, match="members were added or taken away"):
        decode_model(_zip(manifest, {**members, "more": b""}))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, member in {"manifest.json": manifest, **members}.items():
            archive.writestr(name, member)
    with pytest.raises(AttentionError, match="a packed member"):
        decode_model(packed.getvalue())


def test_another_version_is_named() -> None:
    made = sealed_anew(lambda _, manifest: manifest.update(schema="timebank.attention.model/2"))
    with pytest.raises(
        AttentionError, match=r"made by another version: 'timebank.attention.model/2'"
    ) as error:
        decode_model(made)
    assert "train it anew" in (error.value.hint or "")


def test_other_hash_than_told_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.model"
    write_model(path, model("ridge"))
    with pytest.raises(AttentionError, match=f"SHA-256 is {file_sha256(content())}, not the expected 00"):
        read_model(path, expected_sha256="00" * 32)


def test_what_is_no_file_of_ours(tmp_path: Path) -> None:
    with pytest.raises(AttentionError, match="cannot read the model"):
        read_model(tmp_path / "none")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(AttentionError, match="no model file, or damaged") as error:
        read_model(tmp_path / "text")
    assert error.value.where == str(tmp_path / "text")
    empty = io.BytesIO()
    zipfile.ZipFile(empty, "w").close()
    with pytest.raises(AttentionError, match="no manifest or seal"):
        decode_model(empty.getvalue())
