"""Texts kept off chain.

::

    put, get: the same text, under the hash of the file's bytes; the same text twice has two hashes
    get
    |- None for what is not here
    |- one flipped bit anywhere in the file is noticed
    |- a file of the right hash that is no text of ours, too long, no UTF-8 or full of control characters
    `- never follows a name out of the folder: names are hashes
    put: refuses what get would refuse; leaves no part of a file behind
    erase: that text is gone, the others stay; a second time there is nothing to erase
    hashes: what is here, whatever else lies in the folder
"""

from __future__ import annotations

from pathlib import Path

import pytest
from eth_utils.crypto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from timebank_chain.content import MAX_TEXT_BYTES, ContentStore
from timebank_chain.errors import ContentError

TEXT = "Two hours of help with your garden\nin spring, 两小时 👩\u200d🌾"


@pytest.fixture
def store(tmp_path: Path) -> ContentStore:
    return ContentStore(tmp_path / "texts")


def planted(store: ContentStore, document: bytes) -> bytes:
    """A file that somebody else wrote, under its right name."""
    store.folder.mkdir(exist_ok=True)
    content_hash = bytes(keccak(document))
    store.path(content_hash).write_bytes(document)
    return content_hash


def test_keeps_a_text_under_the_hash_of_its_file(store: ContentStore) -> None:
    content_hash = store.put(TEXT)
    assert store.get(content_hash) == TEXT
    assert keccak(store.path(content_hash).read_bytes()) == content_hash
    assert store.put(TEXT) != content_hash


@settings(deadline=None)
@given(text=st.text(st.characters(exclude_categories=("Cc", "Cf", "Cs")), min_size=1, max_size=200))
def test_gives_back_any_text(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    store = ContentStore(tmp_path_factory.mktemp("texts"))
    assert store.get(store.put(text)) == text


def test_knows_nothing_of_what_is_not_here(store: ContentStore) -> None:
    assert store.get(bytes(32)) is None
    assert list(store.hashes()) == []
    assert not store.erase(bytes(32))


def test_notices_every_flipped_bit(store: ContentStore) -> None:
    content_hash = store.put("x")
    path = store.path(content_hash)
    whole = path.read_bytes()
    for at in range(len(whole) * 8):
        spoiled = bytearray(whole)
        spoiled[at // 8] ^= 1 << (at % 8)
        path.write_bytes(bytes(spoiled))
        with pytest.raises(ContentError, match="not the text of this hash"):
            store.get(content_hash)
    for cut in (whole[:-1], whole + b" ", b""):
        path.write_bytes(cut)
        with pytest.raises(ContentError, match="not the text of this hash"):
            store.get(content_hash)


HEAD = b"timebank.text/1\n" + b"a" * 64 + b"\n"


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (b"something else", "no text of ours"),
        (HEAD.replace(b"/1", b"/2") + b"text", "no text of ours"),
        (HEAD.replace(b"a" * 64, b"g" * 64) + b"text", "no text of ours"),
        (HEAD, "there is no text"),
        (HEAD + b"\xff", "no UTF-8"),
        (HEAD + b"\x1b[31mred", r"U\+001B"),
        (HEAD + "\u202eolleh".encode(), r"U\+202E"),
    ],
)
def test_refuses_files_that_are_no_text_of_ours(store: ContentStore, document: bytes, message: str) -> None:
    content_hash = planted(store, document)
    with pytest.raises(ContentError, match=message):
        store.get(content_hash)


def test_reads_no_more_than_the_longest_text(store: ContentStore) -> None:
    longest = "x" * MAX_TEXT_BYTES
    assert store.get(store.put(longest)) == longest
    with pytest.raises(ContentError):
        store.get(planted(store, HEAD + b"x" * (MAX_TEXT_BYTES + 1)))


@pytest.mark.parametrize(
    "text", ["", "x" * (MAX_TEXT_BYTES + 1), "a\x00b", "\x9b31m", "\udc80", "\ud800", "a\u2066b"]
)
def test_keeps_nothing_that_could_not_be_shown(store: ContentStore, text: str) -> None:
    with pytest.raises(ContentError):
        store.put(text)
    assert not store.folder.exists()


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ContentError, match="cannot be kept"):
        ContentStore(tmp_path / "file").put(TEXT)


def test_a_write_that_fails_leaves_nothing(store: ContentStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ContentError, match="no space left"):
        store.put(TEXT)
    assert list(store.folder.iterdir()) == []


def test_erases_one_and_leaves_the_rest(store: ContentStore) -> None:
    first, second = store.put("first"), store.put("second")
    (store.folder / "notes.txt").write_text("not a text of the store")
    assert set(store.hashes()) == {first, second}
    assert store.erase(first)
    assert store.get(first) is None
    assert store.get(second) == "second"
    assert list(store.hashes()) == [second]
    assert not store.erase(first)
