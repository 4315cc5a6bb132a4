"""What killed commands leave behind: copies that name people, which nobody reads any more.

========================== =================================================================================
`.<16 hex>.part`           a document that was not whole yet (`timebank_chain.documents`): files of holds,
                           members, aliases; beside any file that is looked into and beside the epochs
`.NAME.<8>.part.EXT`       a table without somebody's rows, that had not taken the table's place
`EPOCHS/.NNNNNN.<8>`       an epoch that was not published, or not fetched whole
`EPOCHS/.NNNNNN.old.<8>`   one that another took the place of; where none did, it is the only copy, and stays
`STATE/feed-<8>`           the feed as the oracle read it
========================== =================================================================================

They can only be told to be left behind while nobody writes: erasure holds the oracle's state alone, and of
documents the kernel knows the writer.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from timebank_chain.documents import stale_parts
from timebank_chain.errors import AttentionError

_TABLE_PART = re.compile(r"\.(.+)\.[a-z0-9_]{8}\.part(?:\.[a-z0-9]+)?")
_EPOCH = re.compile(r"\.([0-9]{6,})\.(old\.|fetch-)?[a-z0-9_]{8}")
_SNAPSHOT = re.compile(r"feed-[a-z0-9_]{8}")


def leftovers(files: Iterable[Path], epochs: Path | None, state: Path | None) -> list[Path]:
    """Return the files and folders that killed commands left.

    Parameters
    ----------
    files
        What is looked into; leftovers lie beside them.
    epochs, state
        The published epochs, and the oracle's state, to be held alone; ``None``: there is none.

    Raises
    ------
    AttentionError
        If a folder cannot be looked into.
    """
    try:
        return sorted(_found(files, epochs, state))
    except OSError as error:
        raise AttentionError(
            f"cannot be looked into for what killed commands left: {error.strerror}",
            where=str(error.filename),
            hint="ask for the right to read the folder",
        ) from error


def _found(files: Iterable[Path], epochs: Path | None, state: Path | None) -> Iterator[Path]:
    folders = {path.parent.resolve() for path in files}
    if epochs is not None:
        folders.add(epochs.resolve().parent)
    for folder in folders:
        yield from stale_parts(folder)
        yield from _parts(folder)
    if epochs is not None and epochs.is_dir():
        yield from _epochs(epochs.resolve())
    if state is not None and state.is_dir():
        inside = state.resolve().iterdir()
        yield from (one for one in inside if _SNAPSHOT.fullmatch(one.name) and one.is_dir())


def remove(path: Path) -> None:
    """Remove a leftover, a folder with all that is in it.

    Raises
    ------
    OSError
        If it cannot be removed.
    """
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _parts(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        named = _TABLE_PART.fullmatch(path.name)
        # Beside what it was to take the place of: anything else may be somebody's own.
        if named and path.is_file() and (folder / named[1]).is_file():
            yield path


def _epochs(epochs: Path) -> Iterator[Path]:
    for path in epochs.iterdir():
        named = _EPOCH.fullmatch(path.name)
        if named is None or not path.is_dir():
            continue
        if named[2] != "old." or (epochs / named[1]).is_dir():
            yield path
