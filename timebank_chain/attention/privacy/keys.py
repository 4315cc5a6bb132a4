"""Keys in files: made with the system's randomness, for their owner alone, never on a command line.

The *keyring* holds the keys that wrap the keys of sealed files. One is active; older ones still open what
was sealed under them until it has been wrapped anew (`sealed.rewrap`)::

    {"schema": "timebank.keyring/1", "active": "k2",
     "keys": [{"id": "k1", "created_ms": ..., "key": "<64 hex digits>"}, ...]}
"""

from __future__ import annotations

import json
import re
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from timebank_chain.documents import TooLarge, parse_json, read_small, write_whole
from timebank_chain.errors import AttentionError

KEY_BYTES = 32
KEYRING_SCHEMA = "timebank.keyring/1"

_MAX_KEY_FILE = 1 << 16
_ID = re.compile(r"k[1-9][0-9]{0,5}")
_HEX = re.compile(r"[0-9a-f]{64}")
_NO_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def write_private(path: Path, content: bytes, *, replace: bool) -> None:
    """Write a file for its owner alone (mode 0600); whole or not at all.

    Raises
    ------
    AttentionError
        If it cannot be written, or is there already and ``replace`` is false.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_whole(path, content, mode=0o600, sync=True, replace=replace)
    except FileExistsError:
        raise AttentionError(
            "the file is there already", where=str(path), hint="keys are never overwritten; name another"
        ) from None
    except OSError as error:
        raise AttentionError(f"cannot be written: {error.strerror}", where=str(path)) from error


def read_private(path: Path, what: str, *, limit: int = _MAX_KEY_FILE) -> bytes:
    """Read a file that only its owner may read.

    Raises
    ------
    AttentionError
        If it is missing, not a plain file, too large, or others may read or write it. Its content is
        never shown.
    """
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            raise AttentionError(f"{what} is no plain file", where=str(path), hint="name a file")
        if mode & _NO_OTHERS:
            raise AttentionError(
                f"others can read {what}: its mode is {stat.S_IMODE(mode):04o}",
                where=str(path),
                hint=f"chmod 600 {path}, and make a new key if somebody may have seen it",
            )
        return read_small(path, limit)
    except FileNotFoundError:
        raise AttentionError(
            f"{what} is missing",
            where=str(path),
            hint="check --vault; a new one is made with: timebank attention privacy init --vault DIR",
        ) from None
    except TooLarge as error:
        raise AttentionError(f"{what} has {error}", where=str(path), hint="name a key file") from error
    except OSError as error:
        raise AttentionError(f"{what} cannot be read: {error.strerror}", where=str(path)) from error


def make_key(path: Path) -> bytes:
    """Make a key file of 32 random bytes, written in hexadecimal, and return the key."""
    key = secrets.token_bytes(KEY_BYTES)
    write_private(path, key.hex().encode() + b"\n", replace=False)
    return key


def read_key(path: Path, what: str) -> bytes:
    """Read a key file.

    Raises
    ------
    AttentionError
        If it is not 64 hexadecimal digits, or as `read_private` says.
    """
    text = read_private(path, what).decode("ascii", "replace").strip()
    if not _HEX.fullmatch(text):
        raise AttentionError(
            f"{what} is not 64 hexadecimal digits", where=str(path), hint="it is damaged, or no key file"
        )
    return bytes.fromhex(text)


@dataclass(frozen=True, slots=True)
class RingKey:
    """A key of the ring: 32 bytes under a short id."""

    id: str
    created_ms: int
    key: bytes = field(repr=False)


@dataclass(frozen=True)
class Keyring:
    """The keys that open sealed files; ``active`` is the id of the one that seals new ones."""

    keys: tuple[RingKey, ...]
    active: str

    @property
    def sealing(self) -> RingKey:
        """The key new files are sealed under."""
        return self.find(self.active)

    def find(self, key_id: str) -> RingKey:
        """Return the key of an id.

        Raises
        ------
        AttentionError
            If it is not on the ring.
        """
        for key in self.keys:
            if key.id == key_id:
                return key
        raise AttentionError(
            f"the keyring has no key {key_id!r:.40}, only {', '.join(key.id for key in self.keys)}",
            hint="it was sealed under another keyring, or its key was dropped",
        )

    def with_new_key(self, now_ms: int) -> Keyring:
        """Return the ring with a fresh key, which is now the active one."""
        number = max((int(key.id[1:]) for key in self.keys), default=0) + 1
        fresh = RingKey(f"k{number}", now_ms, secrets.token_bytes(KEY_BYTES))
        return Keyring((*self.keys, fresh), fresh.id)

    def without_old_keys(self) -> Keyring:
        """Return the ring with its active key alone: what was sealed under others is gone for good."""
        return Keyring((self.sealing,), self.active)


def new_keyring(now_ms: int) -> Keyring:
    """Return a ring with one fresh key."""
    return Keyring((), "").with_new_key(now_ms)


def write_keyring(ring: Keyring, path: Path, *, replace: bool) -> None:
    """Write a keyring for its owner alone."""
    document = {
        "schema": KEYRING_SCHEMA,
        "active": ring.active,
        "keys": [{"id": key.id, "created_ms": key.created_ms, "key": key.key.hex()} for key in ring.keys],
    }
    write_private(path, json.dumps(document, indent=2).encode() + b"\n", replace=replace)


def read_keyring(path: Path) -> Keyring:
    """Read a keyring.

    Raises
    ------
    AttentionError
        If it is damaged, or as `read_private` says.
    """
    content = read_private(path, "the keyring")
    try:
        document = parse_json(content)
        ring = Keyring(tuple(_ring_key(entry) for entry in document["keys"]), document["active"])
        if document["schema"] != KEYRING_SCHEMA or len({key.id for key in ring.keys}) != len(ring.keys):
            raise ValueError("another schema, or an id stands twice")
        ring.find(ring.active)
    except (ValueError, KeyError, TypeError, AttentionError) as error:
        # Never the content: it is all keys.
        raise AttentionError(
            f"not a keyring ({type(error).__name__})", where=str(path), hint="restore it from a copy"
        ) from None
    return ring


def _ring_key(entry: Any) -> RingKey:
    key_id, created, key = entry["id"], entry["created_ms"], entry["key"]
    if not (_ID.fullmatch(key_id) and isinstance(created, int) and _HEX.fullmatch(key)):
        raise ValueError("not a key")
    return RingKey(key_id, created, bytes.fromhex(key))
