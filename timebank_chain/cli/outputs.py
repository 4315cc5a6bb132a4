"""Where a command writes, checked before it reads: in a folder that is there, and never over an input.

A file is replaced in one step when all is written, so an output that is also an input would be read to its
end, and then gone without a word.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from timebank_chain.errors import UsageError

#: What commands read from a folder: a dump's XML, a feed's files, published epochs.
_READ_FROM_FOLDERS = frozenset({".xml", ".csv", ".json", ".jsonl", ".parquet", ".gz"})


def check_outputs(outputs: Iterable[tuple[str, Path | None]], inputs: Iterable[Path | None]) -> None:
    """Refuse outputs that cannot be written, are an input, or are each other; links are followed.

    Parameters
    ----------
    outputs
        Option and file; ``None`` where the option was not given.
    inputs
        Files and folders the command reads; of a folder every data file is an input.

    Raises
    ------
    UsageError
        Naming the option and the file.
    """
    read = [path for path in inputs if path is not None]
    taken: list[tuple[str, Path]] = []
    for option, target in outputs:
        if target is None:
            continue
        if target.is_dir() or not target.parent.is_dir():
            problem = "is a folder" if target.is_dir() else "lies in no folder that is there"
            raise UsageError(f"{option} {problem}: {target}", hint="name a file in a folder that exists")
        if any(_same(target, path) or _within(target, path) for path in read):
            raise UsageError(f"{option} would overwrite an input: {target}", hint="choose another name")
        for other, place in taken:
            if _same(target, place):
                raise UsageError(
                    f"{other} and {option} are the same file: {target}", hint="choose another name"
                )
        taken.append((option, target))


def _same(one: Path, other: Path) -> bool:
    if one.resolve() == other.resolve():
        return True
    # A hard link has another path and is the same file.
    return one.is_file() and other.is_file() and one.samefile(other)


def _within(target: Path, folder: Path) -> bool:
    """Return whether a file is one of those that are read from a folder."""
    return (
        target.is_file()
        and target.suffix.lower() in _READ_FROM_FOLDERS
        and folder.is_dir()
        and folder.resolve() in target.resolve().parents
    )
