"""Puts a built epoch where others find it: whole or not at all, and never twice differently."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from timebank_chain.documents import write_whole
from timebank_chain.epoch.build import EpochBuild
from timebank_chain.epoch.file import (
    SIGNATURES_FOLDER,
    PublishedEpoch,
    epoch_folder,
    policy_file,
    read_epoch,
    read_policy,
)
from timebank_chain.errors import EpochError, TamperedEpoch
from timebank_chain.valuation import policy_hash, policy_to_json


def publish(build: EpochBuild, epochs: Path | str, *, force: bool = False) -> PublishedEpoch:
    """Write a built epoch, and its policy, under the folder ``epochs``, and read it back.

    An epoch that is there already stays untouched if it is the same; another one is replaced only
    with ``force``, and its signatures go with it, since they are of another header.

    Raises
    ------
    EpochError
        If another epoch of this number is published, or the folder cannot be written.
    """
    folder = Path(epochs)
    target = epoch_folder(folder, build.header.epoch)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _publish_policy(build, folder, force=force)
        if target.exists():
            if _same(build, target):
                return read_epoch(folder, build.header.epoch)
            if not force:
                raise EpochError(
                    f"another epoch {build.header.epoch} is published already",
                    where=str(target),
                    hint="publish to another folder, or replace it with --force (its signatures are lost)",
                )
        fresh = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=folder))
        try:
            for name, content in build.files.items():
                write_synced(fresh / name, content)
            put_in_place(fresh, target)
        finally:
            if fresh.exists():
                shutil.rmtree(fresh)
    except OSError as error:
        raise EpochError(
            f"the epoch cannot be written: {error.strerror}",
            where=str(target),
            hint="choose another --epochs",
        ) from error
    return read_epoch(folder, build.header.epoch)


def put_in_place(fresh: Path, target: Path) -> None:
    """Give a finished folder its name, in place of what may be there; both are in the same folder."""
    fresh.chmod(0o755)
    if target.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{target.name}.old.", dir=target.parent))
        target.rename(old / target.name)
        fresh.rename(target)
        shutil.rmtree(old)
    else:
        fresh.rename(target)
    _sync(target.parent)


def write_synced(path: Path, content: bytes) -> None:
    """Write a file so that it survives a power cut."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _publish_policy(build: EpochBuild, folder: Path, *, force: bool) -> None:
    digest = policy_hash(build.policy)
    path = policy_file(folder, digest)
    if path.exists():
        try:
            read_policy(folder, digest)
        except TamperedEpoch:
            if not force:
                raise
        else:
            return
    path.parent.mkdir(exist_ok=True)
    write_whole(path, policy_to_json(build.policy), mode=0o644, sync=True)


def _same(build: EpochBuild, target: Path) -> bool:
    names = {entry.name for entry in target.iterdir() if not entry.name.startswith(".")}
    if names - {SIGNATURES_FOLDER} != set(build.files):
        return False
    return all((target / name).read_bytes() == content for name, content in build.files.items())


def _sync(folder: Path) -> None:
    """Make a rename survive a power cut, where the system lets a folder be synced."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)
