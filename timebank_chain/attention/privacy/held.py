"""What the files of holds say of a person: handed over with the rest, and erased with the rest.

The file of a community's holds lies beside its epochs and names whom it holds, with reasons and acts. It is
one document that builds, signers and audits go on needing, so a person is taken out of it and it stays.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from timebank_chain.activity import read_activity
from timebank_chain.activity.erased import load_erased, new_erased, write_erased
from timebank_chain.attention.monitor.hold_checks import Checker
from timebank_chain.attention.monitor.holds import default_path, erase_from_holds, holds_of

_ENDING = ".holds.json"


def holds_files(paths: Iterable[Path], epochs: Path | None) -> list[Path]:
    """Return the files of holds: the one beside the epochs, and those among some paths that are called so."""
    found = {path.resolve(): path for path in paths if path.name.endswith(_ENDING) and path.exists()}
    if epochs is not None and default_path(epochs).exists():
        found.setdefault(default_path(epochs).resolve(), default_path(epochs))
    return list(found.values())


def held_pieces(files: Iterable[Path], member: str) -> dict[Path, list[dict[str, Any]]]:
    """Return a member's holds per file, as JSON values; files without any are left out.

    Raises
    ------
    AttentionError
        If a file is none.
    """
    found = {path: [one.to_json() for one in holds_of(path, member)] for path in files}
    return {path: pieces for path, pieces in found.items() if pieces}


def erase_held(
    files: Iterable[Path],
    member: str,
    erased_file: Path,
    *,
    tables: Iterable[Path] = (),
    epochs: Path | None = None,
    dry_run: bool = False,
) -> dict[Path, int]:
    """Take a member out of files of holds; return how many holds changed, or would, per file.

    The list of the erased grows first: by the acts, and by the record ids under which epochs took released
    ones, since these stand in no activity table.

    Parameters
    ----------
    tables, epochs
        Activity tables and published epochs, from which those record ids are found where a file written by
        an earlier release does not have them.

    Raises
    ------
    AttentionError
        If a file is none, or cannot be written.
    """
    changed = {}
    for path in files:
        theirs = holds_of(path, member)
        if dry_run:
            changed[path] = len(theirs)
            continue
        listed = load_erased(erased_file) or new_erased()
        if theirs:
            acts = [act for one in theirs for act in one.acts]
            records = {bytes.fromhex(record) for one in theirs for record in (*one.records, *one.entered)}
            if epochs is not None and not all(one.entered for one in theirs if one.taken is not None):
                for table in tables:
                    records |= Checker(read_activity(table), epochs, None).entered_records(theirs)
            listed = listed.with_person(member, acts, records - {b""})
            write_erased(listed, erased_file)
        changed[path] = erase_from_holds(path, member, erased=listed)
    return {path: count for path, count in changed.items() if count}
