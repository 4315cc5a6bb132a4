"""Fetches a published epoch into a folder of one's own, trusting nothing but its header.

Takes a header (from the chain's event), gives the epoch as :func:`timebank_chain.epoch.file.read_epoch` reads
it. The header's data hash vouches for the manifest, the manifest for the two data files; nothing gets its
final name before that was checked and before the rows were decoded apart, within bounds. What the folder
already holds is not fetched again.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace as replaced
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from timebank_chain.epoch.file import (
    DATA_FILES,
    HEADER_FILE,
    MANIFEST_FILE,
    MAX_JSON_BYTES,
    POLICIES_FOLDER,
    SIGNATURES_FOLDER,
    PublishedEpoch,
    check_size,
    decoded_bytes,
    encode_header,
    epoch_folder,
    parse_manifest,
    policy_file,
    read_epoch_folder,
    read_header,
    read_policy,
)
from timebank_chain.epoch.header import EpochHeader
from timebank_chain.epoch.places import FetchOptions, Place, places_of
from timebank_chain.epoch.publisher import put_in_place, write_synced
from timebank_chain.errors import DataUnavailable, EpochError, PolicyError, TamperedEpoch
from timebank_chain.valuation import Policy, load_policy, policy_hash

if TYPE_CHECKING:
    from timebank_chain.epoch.guarded_http import Deadline

_Taken = TypeVar("_Taken")
_MAX_POLICY_BYTES = 1 << 20
_WAIT_FOR_LOCK_S = 0.1
_OTHER_BYTES = (
    "do not build on it: fetch from another source, or rebuild the epoch and challenge it leaf by leaf"
)


def fetch_epoch(
    header: EpochHeader, cache: Path | str, options: FetchOptions | None = None, *, replace: bool = False
) -> PublishedEpoch:
    """Return the epoch of a header, fetched into the folder of epochs ``cache`` if it is not there yet.

    Parameters
    ----------
    header
        The header as it stands on chain; its ``data_hash`` is all that is trusted.
    cache
        A folder of epochs, as :func:`read_epoch` reads it; made if it is not there.
    options
        Source, permissions and limits.
    replace
        Put this epoch in place of another of the same number, as after a voided proposal.

    Returns
    -------
    PublishedEpoch
        The epoch in ``cache``, with this very header. Whether it is *right* is for ``verify_epoch``.

    Raises
    ------
    DataUnavailable
        If it cannot be had: no place, a place that may not be asked, missing, refused, too slow, too large.
    TamperedEpoch
        If what is served is not what the header vouches for, or what it vouches for is no epoch.
    EpochError
        If the cache holds another epoch of this number, or cannot be written.
    UsageError
        If ``options`` name a source, gateway or store that is none.

    Notes
    -----
    A damaged copy of the same header is fetched again and replaced. Two fetches of one epoch wait for each
    other; one that was killed leaves a hidden folder, which the next one removes.
    """
    from timebank_chain.epoch.guarded_http import Deadline

    chosen = FetchOptions() if options is None else options
    folder = Path(cache)
    target = epoch_folder(folder, header.epoch)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with Deadline(chosen.deadline_s) as deadline, _alone(folder, target.name, deadline):
            if (found := _cached(target, header, replace=replace)) is not None:
                return found
            _check_needs(decoded_bytes(header), chosen, header)
            for left in folder.glob(f".{target.name}.fetch-*"):
                shutil.rmtree(left)
            fresh = Path(tempfile.mkdtemp(prefix=f".{target.name}.fetch-", dir=folder))
            try:
                published = _fetch_into(fresh, header, chosen, deadline)
                _keep_signatures(target, fresh, header)
                put_in_place(fresh, target)
            finally:
                if fresh.exists():
                    shutil.rmtree(fresh)
    except OSError as error:
        raise EpochError(
            f"the epoch cannot be kept: {error.strerror}", where=str(target), hint="choose another folder"
        ) from error
    return replaced(published, folder=target)


def fetch_policy(header: EpochHeader, cache: Path | str, options: FetchOptions | None = None) -> Policy:
    """Return the policy of a header, fetched from beside its epoch into ``cache`` if it is not there yet.

    The policy also stands in the registry's event on chain, for whoever reads that.

    Raises
    ------
    DataUnavailable
        If it is not beside the epoch.
    TamperedEpoch
        If what is there hashes to something else than the header's policy hash.
    """
    from timebank_chain.epoch.guarded_http import Deadline

    chosen = FetchOptions() if options is None else options
    digest = header.policy_hash
    path = policy_file(cache, digest)
    if path.exists():
        return read_policy(cache, digest)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with (
            Deadline(chosen.deadline_s) as deadline,
            tempfile.TemporaryDirectory(prefix=f".{path.name}.fetch-", dir=path.parent) as part,
        ):
            name = f"../{POLICIES_FOLDER}/{path.name}"
            fresh = Path(part) / path.name

            def take(place: Place) -> Policy:
                _download(place, name, fresh, _MAX_POLICY_BYTES, chosen, deadline)
                where = f"{place.where}/{name}"
                try:
                    policy = load_policy(fresh)
                except PolicyError as error:
                    message = f"not a readable policy: {error.message}"
                    raise TamperedEpoch(message, where=where, hint=_OTHER_BYTES) from error
                if policy_hash(policy) != digest:
                    message = f"this policy hashes to {policy_hash(policy).hex()}, not to {digest.hex()}"
                    raise TamperedEpoch(message, where=where, hint=_OTHER_BYTES)
                return policy

            policy, _ = _first(take, places_of(header, chosen, deadline))
            fresh.replace(path)
    except OSError as error:
        raise EpochError(
            f"the policy cannot be kept: {error.strerror}", where=str(path), hint="choose another folder"
        ) from error
    return policy


def _fetch_into(
    fresh: Path, header: EpochHeader, options: FetchOptions, deadline: Deadline
) -> PublishedEpoch:
    """Fill an empty folder with the epoch, and read it as a stranger's."""

    def take_manifest(place: Place) -> dict[str, tuple[int, bytes]]:
        path = fresh / MANIFEST_FILE
        _download(place, MANIFEST_FILE, path, MAX_JSON_BYTES, options, deadline)
        return parse_manifest(path.read_bytes(), header, where=f"{place.where}/{MANIFEST_FILE}")

    sizes, place = _first(take_manifest, places_of(header, options, deadline))
    for name, (size, _) in sizes.items():
        check_size(name, size, header, where=f"{place.where}/{name}")
    _check_needs(sum(size for size, _ in sizes.values()), options, header)
    for name in DATA_FILES:
        size, sha256 = sizes[name]
        got, digest = _download(place, name, fresh / name, size, options, deadline)
        where = f"{place.where}/{name}"
        if got != size:
            raise TamperedEpoch(f"{got} bytes, the manifest says {size}", where=where, hint=_OTHER_BYTES)
        if digest != sha256:
            raise TamperedEpoch(
                f"sha256 is {digest.hex()}, the manifest says {sha256.hex()}", where=where, hint=_OTHER_BYTES
            )
    write_synced(fresh / HEADER_FILE, encode_header(header))
    try:
        return read_epoch_folder(fresh, header.epoch, isolated=True)
    except TamperedEpoch as error:
        where = f"{place.where}/{Path(error.where or '').name}"
        raise TamperedEpoch(error.message, where=where, hint=_OTHER_BYTES) from error


def _first(take: Callable[[Place], _Taken], places: Sequence[Place]) -> tuple[_Taken, Place]:
    """Return what the first place gives that has it; else raise what tells most."""
    failures: list[DataUnavailable | TamperedEpoch] = []
    for place in places:
        try:
            return take(place), place
        except (DataUnavailable, TamperedEpoch) as error:
            failures.append(error)
    raise next((error for error in failures if isinstance(error, TamperedEpoch)), failures[0])


def _download(
    place: Place, name: str, path: Path, limit: int, options: FetchOptions, deadline: Deadline
) -> tuple[int, bytes]:
    """Write a file of a place to ``path``, if it has at most ``limit`` bytes; return its size and sha256."""
    from timebank_chain.epoch.guarded_http import Transient

    pause = options.pause_s
    for attempt in range(1, max(1, options.attempts) + 1):
        digest, got = hashlib.sha256(), 0
        try:
            with path.open("wb") as file, closing(place.read(name, limit)) as pieces:
                for piece in pieces:
                    got += len(piece)
                    if got > limit:
                        raise TamperedEpoch(
                            f"more than the {limit} bytes that belong to it",
                            where=f"{place.where}/{name}",
                            hint=_OTHER_BYTES,
                        )
                    digest.update(piece)
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
        except Transient as error:
            if attempt >= options.attempts or pause >= deadline.left_s:
                raise DataUnavailable(error.message, where=error.where, hint=error.hint) from error
            time.sleep(pause)
            pause *= 2
        else:
            return got, digest.digest()
    raise AssertionError("the last attempt returns or raises")


def _check_needs(needed: int, options: FetchOptions, header: EpochHeader) -> None:
    if needed > options.max_bytes:
        raise DataUnavailable(
            f"epoch {header.epoch} needs {needed} bytes, allowed are {options.max_bytes}",
            hint="allow more: --max-mib (max_bytes=...)",
        )


def _cached(target: Path, header: EpochHeader, *, replace: bool) -> PublishedEpoch | None:
    """Return the epoch if it is there and whole; ``None`` if it is to be fetched."""
    if not target.exists():
        return None
    if _is_of(target, header):
        try:
            # It was decoded apart before it came here: decoding it again takes no more than that.
            return read_epoch_folder(target, header.epoch)
        except TamperedEpoch:
            return None
    if not replace:
        raise EpochError(
            f"another epoch {header.epoch} is kept here",
            where=str(target),
            hint="fetch to another folder, or replace it (--replace); its signatures are lost",
        )
    return None


def _is_of(folder: Path, header: EpochHeader) -> bool:
    try:
        return read_header(folder, header.epoch).hash() == header.hash()
    except TamperedEpoch:
        return False


def _keep_signatures(target: Path, fresh: Path, header: EpochHeader) -> None:
    """Take the signatures of a damaged copy over; they are of this very header."""
    signatures = target / SIGNATURES_FOLDER
    if signatures.is_dir() and _is_of(target, header):
        shutil.copytree(signatures, fresh / SIGNATURES_FOLDER)


@contextmanager
def _alone(folder: Path, name: str, deadline: Deadline) -> Iterator[None]:
    """Hold the lock of an epoch; the kernel releases it when the process ends, however it ends."""
    path = folder / f".{name}.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not deadline.left_s:
                    raise EpochError(
                        "another process has been fetching this epoch all the time",
                        where=str(path),
                        hint="let it finish, or fetch to another folder",
                    ) from None
                time.sleep(_WAIT_FOR_LOCK_S)
            else:
                break
        yield
    finally:
        os.close(descriptor)
