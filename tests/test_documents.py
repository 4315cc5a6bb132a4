"""Documents from strangers: what is refused, and what is not. Files of ours: there whole or not at all.

parse_json
  deeper than 64 levels ...... refused, even where other packages raised the recursion limit
  brackets inside strings .... do not count
  exactly 64 levels .......... read
  more than 78 digits ........ refused by their number, whatever Python's own limit is
read_small
  up to its limit ............ read; one byte more is refused
  a device that never ends ... refused by whatever reads a document, in little memory
writing_whole, write_whole
  any bytes, any text ........ read back as they were; text as UTF-8, line ends untouched
  mode ....................... the one asked for whatever the umask; without one, the umask's
  while it is written ........ the name shows the old file; a file with a mode is its owner's alone
  fails in the middle ........ in the body, in fsync, in the rename: the old file, no temporary
  text that is no UTF-8 ...... the old file, no temporary
  sync ....................... fsync before the file has its name, and only when asked for
  not to replace ............. what is there stays, even when it came while the file was written
  a link ..................... replaced, what it points to untouched
  a folder that is missing ... OSError, nothing made; a folder in its place: OSError, no temporary
  the longest name ........... written
  many writers at once ....... every reader sees one whole file; no temporary in the end
stale_parts
  a killed writer ............ its part is found, nobody else's: of a writer at work, empty, of another name
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timebank_chain.documents import (
    MAX_DEPTH,
    TooDeep,
    TooLarge,
    parse_json,
    read_small,
    read_small_text,
    stale_parts,
    write_whole,
    writing_whole,
)

#: What reads a document somebody else may have written, by module and name.
READERS = {
    "timebank_chain.activity.mapping_file": "load_mapping",
    "timebank_chain.activity.members": "load_members",
    "timebank_chain.activity.record": "load_salt_key",
    "timebank_chain.valuation": "load_policy",
    "timebank_chain.epoch.file": "read_json_object",
    "timebank_chain.chain.bank_plan": "load_bank_plan",
    "timebank_chain.chain.keystore": "read_password",
    "timebank_chain.chain.lease_offers": "read_offer",
    "timebank_chain.chain.order_book": "read_book",
    "timebank_chain.oracle.sign": "read_signature",
}
_READ_ENDLESS = """
import importlib, pathlib, resource, sys
from timebank_chain.errors import TimebankError
reader = getattr(importlib.import_module(sys.argv[1]), sys.argv[2])
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
try:
    reader(pathlib.Path("/dev/zero"))
except TimebankError as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize("bracket", ["[", '{"a":'])
def test_refuses_a_bomb_that_would_end_the_process(bracket: str) -> None:
    code = (
        "import sys; sys.setrecursionlimit(1_000_000)\n"
        "from timebank_chain.documents import TooDeep, parse_json\n"
        f"try:\n    parse_json({bracket!r} * 300_000)\n"
        "except TooDeep: print('refused')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "refused\n", (done.returncode, done.stderr[-200:])


def test_brackets_in_strings_do_not_nest() -> None:
    text = '{"a": "' + "[{" * 500 + '\\"[["}'
    assert parse_json(text) == {"a": "[{" * 500 + '"[['}


def test_reads_up_to_the_bound_and_no_further() -> None:
    parse_json("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    with pytest.raises(TooDeep):
        parse_json("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1))


def test_bytes_must_be_utf8() -> None:
    assert parse_json(b'{"a": 1}') == {"a": 1}
    with pytest.raises(ValueError, match="utf-8"):
        parse_json(b"\xff")


def test_integers_end_where_contracts_do() -> None:
    largest = 2**256 - 1
    assert parse_json(f"[{largest}, -{largest}, -1]") == [largest, -largest, -1]
    with pytest.raises(ValueError, match=r"^a number of 5000 digits, at most 78 are read$"):
        parse_json("8" * 5_000)


def test_a_small_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"ab\r\nc")
    assert read_small(path, 5) == b"ab\r\nc"
    assert read_small_text(path, 5) == path.read_text() == "ab\nc"
    with pytest.raises(TooLarge, match=r"^more than 4 bytes$"):
        read_small(path, 4)


@pytest.mark.parametrize("module", READERS)
def test_a_file_without_end_is_refused(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _READ_ENDLESS, module, READERS[module]],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-500:]
    assert "Error" in done.stdout or "Tampered" in done.stdout
    assert "/dev/zero" in done.stdout


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@contextmanager
def _umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Return a file alone in its folder."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    return path


def _untouched(old: Path) -> bool:
    return old.read_bytes() == b"old" and list(old.parent.iterdir()) == [old]


@given(content=st.binary() | st.text(st.characters(codec="utf-8")))
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, content: bytes | str) -> None:
    path = tmp_path_factory.mktemp("written") / "file"
    write_whole(path, content)
    assert path.read_bytes() == (content if isinstance(content, bytes) else content.encode())
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("mode", "mask", "found"),
    [
        (None, 0o022, 0o644),
        (None, 0o077, 0o600),
        (None, 0o002, 0o664),
        (0o644, 0o077, 0o644),
        (0o600, 0o000, 0o600),
        (0o640, 0o022, 0o640),
    ],
)
def test_has_the_mode_asked_for(old: Path, mode: int | None, mask: int, found: int) -> None:
    old.chmod(0o777)
    with _umask(mask):
        write_whole(old, "new", mode=mode)
    assert _mode(old) == found
    assert old.read_text() == "new"


@pytest.mark.parametrize(("mode", "meanwhile"), [(None, 0o644), (0o644, 0o600), (0o600, 0o600)])
def test_shows_the_old_file_until_all_is_written(old: Path, mode: int | None, meanwhile: int) -> None:
    with _umask(0o022), writing_whole(str(old), mode=mode) as file:
        file.write(b"new")
        file.flush()
        (part,) = (path for path in old.parent.iterdir() if path != old)
        assert part.name.startswith(".")
        assert (part.read_bytes(), _mode(part)) == (b"new", meanwhile)
        assert old.read_bytes() == b"old"
    assert old.read_bytes() == b"new"
    assert not part.exists()


@pytest.mark.parametrize("error", [ValueError("in the middle"), KeyboardInterrupt("in the middle")])
def test_a_body_that_fails_leaves_the_old_file(old: Path, error: BaseException) -> None:
    def fail() -> None:
        with writing_whole(old) as file:
            file.write(b"n" * 100_000)
            raise error

    with pytest.raises(type(error), match="in the middle"):
        fail()
    assert _untouched(old)


@pytest.mark.parametrize("step", ["os.fsync", "os.fchmod", "pathlib.Path.replace"])
def test_a_step_that_fails_leaves_the_old_file(old: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    # A disk that is full at this very step is not to be had otherwise.
    monkeypatch.setattr(step, full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(old, b"new", mode=0o644, sync=True)
    monkeypatch.undo()
    assert _untouched(old)


def test_text_that_is_no_utf8_leaves_the_old_file(old: Path) -> None:
    with pytest.raises(UnicodeEncodeError):
        write_whole(old, "new \ud800")
    assert _untouched(old)


def test_syncs_before_the_file_has_its_name_and_only_when_asked(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[bytes, int]] = []

    def note(_: int) -> None:
        (part,) = (path for path in old.parent.iterdir() if path != old)
        synced.append((part.read_bytes(), _mode(part)))

    # What a power cut leaves cannot be seen from here, only that the system was asked in time.
    monkeypatch.setattr("os.fsync", note)
    write_whole(old, b"unsynced")
    assert synced == []
    write_whole(old, b"synced", mode=0o644, sync=True)
    assert synced == [(b"synced", 0o644)]


def test_does_not_replace_what_is_there_or_comes_meanwhile(old: Path) -> None:
    with pytest.raises(FileExistsError):
        write_whole(old, b"new", replace=False)
    assert _untouched(old)
    other = old.with_name("other")

    def beaten() -> None:
        with writing_whole(other, replace=False) as file:
            file.write(b"mine")
            other.write_bytes(b"theirs")

    with pytest.raises(FileExistsError):
        beaten()
    assert other.read_bytes() == b"theirs"
    other.unlink()
    write_whole(other, b"mine", mode=0o600, replace=False)
    assert (other.read_bytes(), _mode(other), other.stat().st_nlink) == (b"mine", 0o600, 1)
    assert sorted(old.parent.iterdir()) == [old, other]


def test_replaces_a_link_not_what_it_points_to(old: Path) -> None:
    link = old.with_name("link")
    link.symlink_to(old)
    write_whole(link, b"new")
    assert not link.is_symlink()
    assert (link.read_bytes(), old.read_bytes()) == (b"new", b"old")


def test_a_folder_that_is_missing_or_in_the_way_is_an_error(old: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_whole(old.parent / "missing" / "file", b"new")
    with pytest.raises(NotADirectoryError):
        write_whole(old / "file", b"new")
    assert _untouched(old)
    folder = old.with_name("folder")
    folder.mkdir()
    with pytest.raises(IsADirectoryError):
        write_whole(folder, b"new")
    with pytest.raises(FileExistsError):
        write_whole(folder, b"new", replace=False)
    assert sorted(old.parent.iterdir()) == [old, folder]
    assert list(folder.iterdir()) == []


def test_the_longest_name_is_written(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)
    write_whole(path, b"new")
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(OSError, match="name too long"):
        write_whole(tmp_path / ("n" * 256), b"new")
    assert list(tmp_path.iterdir()) == [path]


def test_of_many_writers_every_reader_sees_one_whole_file(old: Path) -> None:
    size, writers = 50_000, 4
    start = Barrier(writers)
    wholes = {bytes([ord("a") + number]) * size for number in range(writers)}

    def write(content: bytes) -> None:
        start.wait()
        for _ in range(25):
            with writing_whole(old) as file:
                for at in range(0, size, 10_000):
                    file.write(content[at : at + 10_000])
                    file.flush()
            assert old.read_bytes() in wholes

    with ThreadPoolExecutor(writers) as pool:
        list(pool.map(write, wholes))
    assert old.read_bytes() in wholes
    assert list(old.parent.iterdir()) == [old]


def test_what_a_killed_writer_leaves_is_found(old: Path) -> None:
    code = (
        "import os, signal, sys; from timebank_chain.documents import writing_whole\n"
        "with writing_whole(sys.argv[1]) as file:\n"
        "    file.write(b'half'); file.flush(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert stale_parts(old.parent) == []
    assert subprocess.run([sys.executable, "-c", code, old], check=False).returncode == -signal.SIGKILL
    (part,) = stale_parts(old.parent)
    assert part.read_bytes() == b"half"
    part.with_name(f".{'0' * 16}.part").touch()
    part.with_name(".draft.part").write_text("somebody's own")
    part.with_name(f".{'1' * 16}.part").symlink_to(part.name)
    with writing_whole(old) as file:
        file.write(b"new")
        file.flush()
        assert stale_parts(old.parent) == [part]
    assert old.read_bytes() == b"new"
    assert stale_parts(old.parent) == [part]
