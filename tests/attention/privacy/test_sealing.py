"""Keys and sealed files.

key files ......... mode 0600; others' reading, a folder, damage and absence refused, never shown
keyring ........... a new key is active, older ones still open; damaged rings refused
sealing ........... what goes in comes out, at every length around a piece (property)
                    two sealings of one file share nothing
tampering ......... any flipped byte, any cut, pieces swapped, another file's header: refused (property)
                    nothing is written then
wrong key ......... refused, with the way out; another name is refused
rotation .......... wraps anew, pieces untouched; old ring no longer opens once dropped
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from timebank_chain.attention.privacy import sealed
from timebank_chain.attention.privacy.keys import (
    Keyring,
    make_key,
    new_keyring,
    read_key,
    read_keyring,
    write_keyring,
)
from timebank_chain.attention.privacy.sealed import (
    is_sealed,
    read_header,
    rewrap,
    seal,
    sealed_files,
    unseal,
)
from timebank_chain.errors import AttentionError

RING = new_keyring(1_700_000_000_000)
SMALL = 64


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    # Pieces of 64 bytes show at a few hundred bytes what those of a mebibyte do at gigabytes.
    monkeypatch.setattr(sealed, "CHUNK_BYTES", SMALL)


def put(folder: Path, content: bytes, name: str = "feed.csv", ring: Keyring = RING) -> Path:
    plain = folder / name
    plain.write_bytes(content)
    target = folder / f"{name}.sealed"
    seal(plain, target, ring)
    return target


def refused(path: Path, ring: Keyring = RING) -> str:
    out = path.parent / "out"
    with pytest.raises(AttentionError) as caught:
        unseal(path, out, ring)
    assert not out.exists()
    assert not list(path.parent.glob(".out*"))
    assert caught.value.hint
    return caught.value.message


def test_a_key_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "some.key"
    key = make_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_key(path, "the key") == key
    with pytest.raises(AttentionError, match="there already"):
        make_key(path)
    for mode in (0o640, 0o604, 0o660):
        path.chmod(mode)
        with pytest.raises(AttentionError, match="others can read the key") as caught:
            read_key(path, "the key")
        assert "chmod 600" in (caught.value.hint or "")
        assert key.hex() not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize("content", [b"", b"ff" * 31, b"zz" * 32, b"\xff" * 64, b"0" * 70_000])
def test_a_damaged_key_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "some.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(AttentionError, match="the key"):
        read_key(path, "the key")


def test_no_key_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AttentionError, match="missing"):
        read_key(tmp_path / "none", "the key")
    with pytest.raises(AttentionError, match="no plain file"):
        read_key(tmp_path, "the key")


def test_a_keyring_grows_and_is_read_back(tmp_path: Path) -> None:
    ring = RING.with_new_key(2).with_new_key(3)
    path = tmp_path / "keyring.json"
    write_keyring(ring, path, replace=False)
    assert read_keyring(path) == ring
    assert [key.id for key in ring.keys] == ["k1", "k2", "k3"]
    assert ring.active == "k3"
    assert ring.without_old_keys().with_new_key(4).active == "k4", "an id is never used twice"
    assert RING.sealing.key.hex() not in repr(ring)


@pytest.mark.parametrize(
    "damage",
    [
        {"active": "k9"},
        {"schema": "timebank.keyring/2"},
        {"keys": []},
        {"keys": [{"id": "k1", "created_ms": 1, "key": "00"}]},
        {"keys": [{"id": "k1", "created_ms": 1, "key": "00" * 32}] * 2},
        {"keys": "k1"},
    ],
)
def test_a_damaged_keyring_is_refused_without_a_word_of_it(tmp_path: Path, damage: dict[str, object]) -> None:
    path = tmp_path / "keyring.json"
    write_keyring(RING, path, replace=False)
    document = json.loads(path.read_text()) | damage
    path.write_text(json.dumps(document))
    with pytest.raises(AttentionError, match="not a keyring") as caught:
        read_keyring(path)
    assert RING.sealing.key.hex() not in str(caught.value)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.one_of(st.binary(max_size=300), st.sampled_from([0, 63, 64, 65, 128]).map(bytes)))
def test_what_goes_in_comes_out(tmp_path: Path, content: bytes) -> None:
    path = put(tmp_path, content)
    out = tmp_path / "out"
    assert unseal(path, out, RING).name == "feed.csv"
    assert out.read_bytes() == content
    assert out.stat().st_mode & 0o777 == 0o600
    pieces = max(1, -(-len(content) // SMALL))
    assert path.stat().st_size == len(read_header(path).encoded()) + len(content) + 16 * pieces


def test_two_sealings_share_nothing(tmp_path: Path) -> None:
    first = put(tmp_path, b"x" * 100).read_bytes()
    second = put(tmp_path, b"x" * 100).read_bytes()
    head = len(read_header(tmp_path / "feed.csv.sealed").encoded())
    assert first[head:] != second[head:]
    assert b"xxxx" not in first


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_flipped_bit_and_any_cut_is_refused(tmp_path: Path, data: st.DataObject) -> None:
    path = put(tmp_path, bytes(range(200)))
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[place] ^= 1 << data.draw(st.integers(0, 7))
    else:
        del content[place:]
    path.write_bytes(content)
    refused(path)


def test_a_file_cut_between_pieces_and_one_with_pieces_swapped_are_refused(tmp_path: Path) -> None:
    path = put(tmp_path, bytes(200))
    content, head = path.read_bytes(), len(read_header(path).encoded())
    piece = SMALL + 16
    path.write_bytes(content[: head + 2 * piece])
    assert "changed, moved or cut off" in refused(path)
    first, second = content[head : head + piece], content[head + piece : head + 2 * piece]
    path.write_bytes(content[:head] + second + first + content[head + 2 * piece :])
    assert "piece 1" in refused(path)
    path.write_bytes(content + b"more")
    refused(path)


def test_a_file_cannot_be_handed_over_in_anothers_place(tmp_path: Path) -> None:
    members = put(tmp_path, b"m" * 100, "members.csv")
    feed = put(tmp_path, b"f" * 100, "feed.csv")
    content = members.read_bytes()
    renamed = content.replace(b'"members.csv"', b'"feed.csv"')
    members.write_bytes(renamed)
    assert "its header was changed" in refused(members)
    head, other = len(read_header(feed).encoded()), len(renamed) - 116
    feed.write_bytes(feed.read_bytes()[:head] + renamed[other:])
    assert "piece 1" in refused(feed)


def test_a_wrong_ring_is_refused(tmp_path: Path) -> None:
    path = put(tmp_path, b"secret")
    assert "key k1 of this keyring does not open it" in refused(path, new_keyring(0))
    later = put(tmp_path, b"secret", "later.csv", RING.with_new_key(2))
    assert "has no key 'k2', only k1" in refused(later)


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (b"", "not a sealed file"),
        (b"id,member\n", "not a sealed file"),
        (b"timebank.sealed/2\n{}\n", "not a sealed file"),
        (b"timebank.sealed/1\n", "header is damaged"),
        (b"timebank.sealed/1\n[]\n", "header is damaged"),
        (b"timebank.sealed/1\n{}\n", "header is damaged"),
        (b"timebank.sealed/1\n" + b"[" * 5_000, "header is damaged"),
        (
            b'timebank.sealed/1\n{"chunk": 0, "key": "k1", "name": "a", "nonce": "00", "wrapped": "00"}\n',
            "pieces of 0 bytes",
        ),
        (
            b'timebank.sealed/1\n{"chunk": 9, "key": "k1", "name": "a", "nonce": "00", "wrapped": "00"}\n',
            "not 7 bytes",
        ),
    ],
)
def test_what_is_no_sealed_file_is_refused(tmp_path: Path, head: bytes, said: str) -> None:
    path = tmp_path / "some.sealed"
    path.write_bytes(head)
    assert said in refused(path)


def test_rotation_wraps_the_key_anew_and_leaves_the_pieces(tmp_path: Path) -> None:
    content = bytes(range(256))
    path = put(tmp_path, content)
    before, head = path.read_bytes(), len(read_header(path).encoded())
    ring = RING.with_new_key(2)
    assert rewrap(path, ring)
    assert not rewrap(path, ring), "there is nothing to do twice"
    assert read_header(path).key_id == "k2"
    assert path.read_bytes()[len(read_header(path).encoded()) :] == before[head:]
    out = tmp_path / "out"
    unseal(path, out, ring.without_old_keys())
    assert out.read_bytes() == content
    out.unlink()
    assert "has no key 'k2'" in refused(path, RING)
    stranger = put(tmp_path, b"x", "other.csv", new_keyring(0))
    untouched = stranger.read_bytes()
    with pytest.raises(AttentionError, match="does not open it"):
        rewrap(stranger, ring)
    assert stranger.read_bytes() == untouched


def test_sealed_files_are_found_by_what_they_are(tmp_path: Path) -> None:
    path = put(tmp_path, b"x")
    (tmp_path / "plain.sealed").write_text("not sealed")
    assert sealed_files(tmp_path) == [path]
    assert sealed_files(path) == [path]
    assert sealed_files(tmp_path / "feed.csv") == []
    assert is_sealed(path)


def test_a_name_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "feed.csv"
    path.write_bytes(b"x")
    for name in ("", "a\nb", "x" * 300, "..", "a/b", "/a"):
        with pytest.raises(AttentionError, match="not a name"):
            seal(path, tmp_path / "out", RING, name=name)
    with pytest.raises(AttentionError, match="cannot be read"):
        seal(tmp_path / "none", tmp_path / "out", RING)
