"""Files encrypted at rest: AES-256-GCM, bound to their names, readable a piece at a time.

::

    timebank.sealed/1\\n
    {"chunk": 1048576, "key": "k2", "name": "feed.csv", "nonce": "<14 hex>", "wrapped": "<120 hex>"}\\n
    pieces of at most ``chunk`` bytes, each followed by its tag of 16 bytes

Each file has a random key of its own, wrapped under a key of the ring; rotation wraps that key anew and
leaves the pieces as they are. A piece's nonce is the file's 7 random bytes, the piece's number (4 bytes) and
whether it is the last (1 byte), the construction STREAM of Hoang, Reyhanitabar, Rogaway and Vizar (2015,
"Online authenticated-encryption and its nonce-reuse misuse-resistance"): pieces that are changed, moved,
left out or cut off at the end are all refused. The name is authenticated with every piece and with the
wrapped key, so one file cannot be handed over in another's place; the ring key's id only with the latter.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from timebank_chain.attention.extra import need
from timebank_chain.attention.privacy.keys import KEY_BYTES, Keyring
from timebank_chain.documents import parse_json, writing_whole
from timebank_chain.errors import AttentionError

SUFFIX = ".sealed"
CHUNK_BYTES = 1 << 20

_MAGIC = b"timebank.sealed/1\n"
_TAG_BYTES = 16
_PREFIX_BYTES = 7
_WRAP_NONCE_BYTES = 12
_MAX_HEADER = 4_096
_MAX_NAME_BYTES = 255
_HEX = re.compile(r"(?:[0-9a-f]{2})+")
_DAMAGED = "restore it from a copy; what was changed cannot be told from what was not"

#: Told how many bytes of the content are done.
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class SealedHeader:
    """What stands in front of a sealed file.

    Attributes
    ----------
    name
        The file's own name, which its content is bound to.
    key_id
        The key of the ring its key is wrapped under.
    chunk
        Most bytes of a piece.
    prefix
        First 7 bytes of every nonce.
    wrapped
        Nonce (12 bytes), wrapped key and tag.
    """

    name: str
    key_id: str
    chunk: int
    prefix: bytes
    wrapped: bytes

    def encoded(self) -> bytes:
        """Return the two lines the file begins with."""
        document = {
            "chunk": self.chunk,
            "key": self.key_id,
            "name": self.name,
            "nonce": self.prefix.hex(),
            "wrapped": self.wrapped.hex(),
        }
        return _MAGIC + json.dumps(document, sort_keys=True).encode() + b"\n"


def seal(
    source: Path, target: Path, ring: Keyring, *, name: str | None = None, progress: Progress | None = None
) -> SealedHeader:
    """Seal a file under the ring's active key.

    Parameters
    ----------
    name
        What to bind the content to, default the source's own name.

    Raises
    ------
    AttentionError
        If a file cannot be read or written, or the name is too long.
    """
    bound = source.name if name is None else name
    short = 0 < len(bound.encode()) <= _MAX_NAME_BYTES
    # No path: whoever opens it writes a file of this name into a folder of their own.
    if not short or not bound.isprintable() or Path(bound).name != bound or bound == "..":
        raise AttentionError(f"not a name to seal under: {bound!r:.80}", hint="name a plain file name")
    file_key = secrets.token_bytes(KEY_BYTES)
    header = SealedHeader(
        bound, ring.active, CHUNK_BYTES, secrets.token_bytes(_PREFIX_BYTES), _wrap(ring, bound, file_key)
    )
    with _reading(source) as reader, _writing(target) as writer:
        writer.write(header.encoded())
        cipher = _cipher(file_key)
        for number, last, piece in _pieces(reader, header.chunk, source):
            writer.write(cipher.encrypt(_nonce(header, number, last), piece, _piece_aad(header)))
            if progress is not None:
                progress(number * header.chunk + len(piece))
    return header


def unseal(source: Path, target: Path, ring: Keyring, *, progress: Progress | None = None) -> SealedHeader:
    """Write the content of a sealed file to ``target``, for its owner alone; all of it or nothing.

    Raises
    ------
    AttentionError
        If it is no sealed file, was changed or cut off, or the ring does not open it.
    """
    with _writing(target) as writer:
        return _open(source, writer, ring, progress)


def read_header(path: Path) -> SealedHeader:
    """Read what stands in front of a sealed file; nothing of it is believed before it opens."""
    with _reading(path) as reader:
        return _read_header(reader, path)


def is_sealed(path: Path) -> bool:
    """Tell whether a file begins as a sealed one does."""
    with _reading(path) as reader:
        return reader.read(len(_MAGIC)) == _MAGIC


def rewrap(path: Path, ring: Keyring) -> bool:
    """Wrap a file's key under the ring's active key; return whether there was anything to do.

    The pieces are copied as they are. A file that does not open under the ring is left alone.

    Raises
    ------
    AttentionError
        As for `unseal`, as far as the key is concerned; the pieces are not looked at.
    """
    with _reading(path) as reader:
        header = _read_header(reader, path)
        if header.key_id == ring.active:
            return False
        file_key = _unwrap(ring, header, path)
        fresh = SealedHeader(
            header.name, ring.active, header.chunk, header.prefix, _wrap(ring, header.name, file_key)
        )
        with _writing(path) as writer:
            writer.write(fresh.encoded())
            while block := reader.read(CHUNK_BYTES):
                writer.write(block)
    return True


def sealed_files(folder: Path) -> list[Path]:
    """Return the sealed files of a folder and its folders, or the one file named."""
    if folder.is_file():
        return [folder] if is_sealed(folder) else []
    return sorted(path for path in folder.rglob(f"*{SUFFIX}") if path.is_file() and is_sealed(path))


def _open(source: Path, writer: BinaryIO, ring: Keyring, progress: Progress | None) -> SealedHeader:
    invalid_tag = need("cryptography.exceptions").InvalidTag

    with _reading(source) as reader:
        header = _read_header(reader, source)
        cipher = _cipher(_unwrap(ring, header, source))
        for number, last, piece in _pieces(reader, header.chunk + _TAG_BYTES, source):
            try:
                plain = cipher.decrypt(_nonce(header, number, last), piece, _piece_aad(header))
            except invalid_tag:
                raise AttentionError(
                    f"piece {number + 1} does not open: it was changed, moved or cut off",
                    where=str(source),
                    hint=_DAMAGED,
                ) from None
            writer.write(plain)
            if progress is not None:
                progress(number * header.chunk + len(plain))
    return header


def _pieces(reader: BinaryIO, size: int, where: Path) -> Iterator[tuple[int, bool, bytes]]:
    """Yield number, whether it is the last, and bytes; an empty file has one empty piece."""
    piece, number = reader.read(size), 0
    while True:
        following = reader.read(size)
        yield number, not following, piece
        if not following:
            return
        piece, number = following, number + 1
        if number >= 1 << 32:
            raise AttentionError("too large to be sealed in one file", where=str(where), hint="split it")


def _nonce(header: SealedHeader, number: int, last: bool) -> bytes:
    return header.prefix + number.to_bytes(4, "big") + bytes([last])


def _piece_aad(header: SealedHeader) -> bytes:
    return _MAGIC + header.chunk.to_bytes(4, "big") + header.name.encode()


def _key_aad(key_id: str, name: str) -> bytes:
    return _MAGIC + f"{key_id}\n{name}".encode()


# The library types its class; naming the type would import it with this module.
def _cipher(key: bytes):  # type: ignore[no-untyped-def]  # see above
    return need("cryptography.hazmat.primitives.ciphers.aead").AESGCM(key)


def _wrap(ring: Keyring, name: str, file_key: bytes) -> bytes:
    nonce = secrets.token_bytes(_WRAP_NONCE_BYTES)
    sealed: bytes = _cipher(ring.sealing.key).encrypt(nonce, file_key, _key_aad(ring.active, name))
    return nonce + sealed


def _unwrap(ring: Keyring, header: SealedHeader, where: Path) -> bytes:
    invalid_tag = need("cryptography.exceptions").InvalidTag
    nonce, sealed = header.wrapped[:_WRAP_NONCE_BYTES], header.wrapped[_WRAP_NONCE_BYTES:]
    try:
        key = ring.find(header.key_id).key
        file_key: bytes = _cipher(key).decrypt(nonce, sealed, _key_aad(header.key_id, header.name))
    except AttentionError as error:
        raise AttentionError(error.message, where=str(where), hint=error.hint) from None
    except invalid_tag:
        raise AttentionError(
            f"key {header.key_id} of this keyring does not open it, or its header was changed",
            where=str(where),
            hint="use the keyring it was sealed under",
        ) from None
    return file_key


def _read_header(reader: BinaryIO, path: Path) -> SealedHeader:
    if reader.read(len(_MAGIC)) != _MAGIC:
        raise AttentionError(
            "not a sealed file", where=str(path), hint="seal one: timebank attention privacy seal FILE"
        )
    line = reader.readline(_MAX_HEADER)
    try:
        if not line.endswith(b"\n"):
            raise ValueError("it is cut off")
        document = parse_json(line)
        if set(document) != {"chunk", "key", "name", "nonce", "wrapped"}:
            raise ValueError("its fields are others")
        chunk, name, key_id = document["chunk"], document["name"], document["key"]
        if not (isinstance(name, str) and isinstance(key_id, str) and type(chunk) is int):
            raise ValueError("a field is of another kind")
        if not 1 <= chunk <= 1 << 26:
            raise ValueError(f"pieces of {chunk} bytes")
        header = SealedHeader(
            name,
            key_id,
            chunk,
            _bytes(document["nonce"], _PREFIX_BYTES),
            _bytes(document["wrapped"], _WRAP_NONCE_BYTES + KEY_BYTES + _TAG_BYTES),
        )
    except (ValueError, TypeError) as error:
        raise AttentionError(f"its header is damaged: {error}", where=str(path), hint=_DAMAGED) from None
    return header


def _bytes(text: object, size: int) -> bytes:
    if not isinstance(text, str) or not _HEX.fullmatch(text) or len(text) != 2 * size:
        raise ValueError(f"not {size} bytes in hexadecimal")
    return bytes.fromhex(text)


@contextmanager
def _reading(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise AttentionError(f"cannot be read: {error.strerror}", where=str(path)) from error


@contextmanager
def _writing(path: Path) -> Iterator[BinaryIO]:
    """Write a file for its owner alone; it appears whole or not at all."""
    try:
        with writing_whole(path, mode=0o600, sync=True) as file:
            yield file
    except OSError as error:
        raise AttentionError(f"cannot be written: {error.strerror}", where=str(path)) from error
