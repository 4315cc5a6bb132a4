"""Where a published epoch may be had: takes a URI, refuses what a stranger may not name, gives places.

A header is written by whoever proposes an epoch, so its URI may not make us read our own files or knock at
our own network. What the operator names himself (a source, a gateway, a store) may be both.
"""

from __future__ import annotations

import os
import posixpath
import re
import stat
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol
from urllib.parse import urlsplit, urlunsplit
from urllib.request import url2pathname

from timebank_chain.epoch.header import EpochHeader
from timebank_chain.errors import DataUnavailable, TimebankError, UsageError

if TYPE_CHECKING:
    from timebank_chain.epoch.guarded_http import Deadline, HttpReader

DEFAULT_GATEWAY = "http://127.0.0.1:8080"

_CHUNK_BYTES = 1 << 20
_SCHEMES = "a path, file:, http:, https:, ipfs: or sha256:"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_CID = re.compile(r"[A-Za-z0-9]{1,128}")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_ADD_A_STORE = "add --store DIR or URL"
_NAME_A_SOURCE = "name a mirror as a source; if nobody has it, ask for its leaves"


@dataclass(frozen=True)
class FetchOptions:
    """Where epochs are fetched from, and what that may take.

    Attributes
    ----------
    source
        A path or URI that takes the place of the header's: a mirror. It may be local or private.
    gateway
        http(s) address of an IPFS gateway.
    store
        Folder or http(s) address where ``sha256:`` addresses are looked up, as
        ``<store>/<hex>/manifest.json`` or as a folder of epochs.
    allow_private
        Connect to addresses that are not on the public internet, though a header names them.
    allow_local
        Read a local path or ``file:`` URI, though a header names it.
    max_bytes
        Most bytes the files of an epoch may have, and their rows in memory.
    deadline_s
        Most seconds fetching an epoch may take, all attempts together; decoding has limits of its own.
    connect_timeout_s, read_timeout_s
        Longest wait in seconds for a connection, and for the next bytes.
    attempts
        How often a file is asked for; only failures that may pass are tried again.
    pause_s
        Seconds before the second attempt, doubled before each further one.
    """

    source: str | None = None
    gateway: str = DEFAULT_GATEWAY
    store: str | None = None
    allow_private: bool = False
    allow_local: bool = False
    max_bytes: int = 4 << 30
    deadline_s: float = 600.0
    connect_timeout_s: float = 10.0
    read_timeout_s: float = 30.0
    attempts: int = 3
    pause_s: float = 0.5


class Place(Protocol):
    """A folder that may be the epoch's."""

    @property
    def where(self) -> str:
        """Its address, for people."""

    def read(self, name: str, limit: int) -> Generator[bytes, None, None]:
        """Yield a file of it (``../`` leads beside it), at most ``limit`` bytes and one more.

        Raises
        ------
        DataUnavailable
            If it cannot be had.
        """


@dataclass(frozen=True)
class LocalPlace:
    """A folder of this machine."""

    folder: Path

    @property
    def where(self) -> str:
        """Its path."""
        return str(self.folder)

    def read(self, name: str, limit: int) -> Generator[bytes, None, None]:
        """Yield a regular file in pieces; a pipe or a device would never end."""
        path = self.folder.parent / name.removeprefix("../") if name.startswith("../") else self.folder / name
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123 - opened above, without blocking
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise DataUnavailable("not a regular file", where=str(path), hint=_NAME_A_SOURCE)
                left = limit + 1
                while left and (piece := file.read(min(left, _CHUNK_BYTES))):
                    left -= len(piece)
                    yield piece
        except OSError as error:
            raise DataUnavailable(
                f"cannot be read: {error.strerror}", where=str(path), hint=_NAME_A_SOURCE
            ) from error


@dataclass(frozen=True)
class HttpPlace:
    """A folder served over HTTP."""

    url: str
    reader: HttpReader

    @property
    def where(self) -> str:
        """Its URL."""
        return self.url

    def read(self, name: str, limit: int) -> Generator[bytes, None, None]:
        """Yield a file, from one attempt."""
        return self.reader.read(_joined(self.url, name), limit)


def check_places(options: FetchOptions) -> None:
    """Refuse a source, gateway or store that is none, before there is an epoch to fetch.

    Raises
    ------
    UsageError
        Naming it; also for a source or store of this machine that is not there.
    """

    def refuse(message: str, hint: str = f"a source is {_SCHEMES}") -> TimebankError:
        return UsageError(f"the source {_shown(options.source or '')!r}: {message}", hint=hint)

    _operators(options.gateway, "gateway")
    if options.store is not None:
        if _SCHEME.match(options.store):
            _operators(options.store, "store")
        elif not Path(options.store).is_dir():
            raise UsageError(
                f"the store {_shown(options.store)!r}: no such folder", hint="make it, or leave --store out"
            )
    if options.source is None:
        return
    if not options.source:
        raise refuse("names nothing", "leave it out: then epochs are fetched from where their headers say")
    address = _address(options.source, refuse)
    if address.scheme == "file" and not Path(address.below).is_dir():
        raise refuse("no such folder", "name the folder that holds 000001, 000002, ...")
    if address.scheme == "sha256" and options.store is None:
        raise refuse("a content address, and there is no store to look it up", _ADD_A_STORE)


def places_of(header: EpochHeader, options: FetchOptions, deadline: Deadline) -> Sequence[Place]:
    """Return the folders to look into, the likelier first: what is named, and the epoch's number below it.

    Raises
    ------
    DataUnavailable
        If the header names no place, or one that it may not.
    UsageError
        If the operator's own source, gateway or store is none.
    """
    named = options.source is None
    uri = header.data_uri if options.source is None else options.source

    def refuse(message: str, hint: str = _NAME_A_SOURCE) -> TimebankError:
        return (DataUnavailable if named else UsageError)(message, where=_shown(uri), hint=hint)

    if not uri:
        raise DataUnavailable(
            f"the header of epoch {header.epoch} names no place",
            hint="ask its publisher and name a source; if nobody has it, ask for its leaves",
        )
    local_refused = named and not options.allow_local
    address = _address(uri, refuse, local_refused=local_refused)
    below = address.below
    if address.scheme == "file":
        return _local_places(Path(below), header.epoch)
    if address.scheme == "http":
        return _http_places(uri, header, options, deadline, trusted=not named)
    if address.scheme == "ipfs":
        url = _joined(_operators(options.gateway, "gateway"), f"ipfs/{below}")
        return _http_places(url, header, options, deadline, trusted=True)
    if below != header.data_hash.hex():
        raise refuse(f"the header's data hash is {header.data_hash.hex()}")
    if options.store is None:
        raise refuse("a content address, and there is no store to look it up", _ADD_A_STORE)
    if not _SCHEME.match(options.store):
        store = Path(options.store)
        return [LocalPlace(store / below), *_local_places(store, header.epoch)]
    base = _operators(options.store, "store")
    places = _http_places(base, header, options, deadline, trusted=True)
    return [HttpPlace(_joined(base, below), places[0].reader), *places]


@dataclass(frozen=True, slots=True)
class _Address:
    """A URI taken apart: ``file`` with its path, ``http``, ``ipfs`` with CID and path, ``sha256`` in hex."""

    scheme: Literal["file", "http", "ipfs", "sha256"]
    below: str


def _address(uri: str, refuse: Refuse, *, local_refused: bool = False) -> _Address:
    """Take a URI apart; what is no address is refused, and a path of this machine if that is not allowed."""
    if not uri.isprintable() or uri != uri.strip():
        raise refuse("holds characters that no address has")
    found = _SCHEME.match(uri)
    scheme = found[1].lower() if found else "file"
    below = uri[found.end() :] if found else uri
    if scheme == "file":
        if local_refused:
            raise refuse(
                "a header may not name a path of this machine",
                "if it is your own header, allow it: --allow-local (allow_local=True); else name a source",
            )
        path = _local_path(uri) if found else Path(uri)
        if path is None:
            raise refuse("not a file of this machine")
        return _Address("file", str(path))
    if scheme in {"http", "https"}:
        if not _is_server(uri):
            raise refuse("not an address of a server")
        return _Address("http", uri)
    if scheme == "ipfs":
        cid, _, path_below = below.removeprefix("//").partition("/")
        if not _CID.fullmatch(cid) or ".." in path_below.split("/"):
            raise refuse("not an IPFS address: ipfs://CID or ipfs://CID/path")
        return _Address("ipfs", f"{cid}/{path_below}".rstrip("/"))
    if scheme == "sha256":
        if not _SHA256.fullmatch(below):
            raise refuse("not a content address: sha256: and 64 hex digits")
        return _Address("sha256", below.lower())
    raise refuse(f"cannot fetch from {scheme}: addresses, only from {_SCHEMES}")


def _local_places(path: Path, number: int) -> list[Place]:
    return [LocalPlace(path), LocalPlace(path / f"{number:06d}")]


def _local_path(uri: str) -> Path | None:
    try:
        parts = urlsplit(uri)
        path = url2pathname(parts.path)
    except ValueError:
        return None
    if parts.netloc not in {"", "localhost"} or not path.startswith("/") or "\0" in path:
        return None
    return Path(path)


def _http_places(
    url: str, header: EpochHeader, options: FetchOptions, deadline: Deadline, *, trusted: bool
) -> list[HttpPlace]:
    from timebank_chain.epoch.guarded_http import HttpReader, origin

    reader = HttpReader(
        deadline,
        connect_timeout_s=options.connect_timeout_s,
        read_timeout_s=options.read_timeout_s,
        allow_private=options.allow_private,
        trusted=frozenset({origin(url)}) if trusted else frozenset(),
    )
    return [HttpPlace(url, reader), HttpPlace(_joined(url, f"{header.epoch:06d}"), reader)]


class Refuse(Protocol):
    """Makes the error for an address, by who named it."""

    def __call__(self, message: str, hint: str = ...) -> TimebankError:
        """Return it, to be raised."""


def _operators(address: str, what: str) -> str:
    """Return an http(s) address from the options."""
    if not _is_server(address):
        raise UsageError(
            f"the {what} {_shown(address)!r}: not an http or https address",
            hint=f"--{what} {DEFAULT_GATEWAY} would be one",
        )
    return address


def _is_server(address: str) -> bool:
    """Tell whether this is an http(s) address of a host, on a port that there is."""
    try:
        parts = urlsplit(address)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _joined(url: str, name: str) -> str:
    """Return the URL of a file in the folder at ``url``; a query stays, a fragment goes."""
    parts = urlsplit(url)
    path = "/" + posixpath.normpath(f"/{parts.path}/{name}").lstrip("/")
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


def _shown(text: str) -> str:
    """Return foreign text without what a terminal would obey, and not too much of it."""
    clean = "".join(letter if letter.isprintable() else "?" for letter in text)
    return clean if len(clean) <= 200 else clean[:200] + "..."
