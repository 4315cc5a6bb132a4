"""One act: as a source hands it over, and as the bytes that are committed.

A committed record is named by ``keccak256(salt ‖ canonical record)``. The salt is derived from a
key, so whoever holds neither record nor key cannot guess a person's acts from the ids on chain;
delete record and salt, and only a meaningless number is left in the tree.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import sha3
from numpy.typing import NDArray

from timebank_chain.activity.table import ROW_FIELDS, SALT_BYTES, ActivityRow, ActivityTable, rows_of
from timebank_chain.documents import TooLarge, read_small
from timebank_chain.errors import ActivityError

#: Used when no key is given: record ids can then be guessed by whoever guesses the record.
PUBLIC_SALT_KEY = b"timebank.public-salt/1"
MIN_SALT_KEY_BYTES = 16

_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


class Thousandths(int):
    """An indicator a source has already counted in thousandths (plain numbers are whole units)."""


@dataclass(frozen=True, slots=True)
class RawRecord:
    """An act as a source hands it over: nothing is believed yet.

    Attributes
    ----------
    source, line
        Where it stood: file (or repository) and line (or position), 1-based; both end in the rejects file.
    id, member, domain
        Text.
    occurred
        ISO-8601 text with a zone, integer Unix milliseconds, or an aware ``datetime``.
    window
        Duration text (``14d``), integer milliseconds, or ``None`` for the domain's default.
    interaction, originality, engagement
        Decimal text, ``int``, ``Decimal``, ``float`` (read by its shortest decimal), or `Thousandths`.
    original
        What the source read, for the rejects file.
    refused
        ``(field, reason)`` when the source itself turns the record away; it then goes to the rejects.
    """

    source: str
    line: int
    id: object = None
    member: object = None
    domain: object = None
    occurred: object = None
    window: object = None
    interaction: object = None
    originality: object = None
    engagement: object = None
    original: Mapping[str, object] | str = field(default_factory=dict)
    refused: tuple[str, str] | None = None


def canonical_bytes(row: ActivityRow) -> bytes:
    """Return the record as canonical JSON: sorted keys, no spaces, UTF-8, integers only."""
    return _encode(dict(zip(ROW_FIELDS, row, strict=True))).encode()


def canonical_record(table: ActivityTable, row: int) -> bytes:
    """Return the canonical bytes of one row of a table."""
    return canonical_bytes(
        (
            table.id[row],
            table.member[row],
            table.domain[row],
            int(table.occurred_ms[row]),
            int(table.window_ms[row]),
            int(table.interaction_milli[row]),
            int(table.originality_milli[row]),
            int(table.engagement_milli[row]),
        )
    )


def canonical_records(table: ActivityTable) -> Iterator[bytes]:
    """Yield the canonical bytes of every row, in order (faster than row by row)."""
    return (canonical_bytes(row) for row in rows_of(table))


def salt_of(key: bytes, record: bytes) -> bytes:
    """Return the 16-byte salt of a canonical record under a salt key."""
    return hmac.digest(key, record, "sha256")[:SALT_BYTES]


def record_id(salt: bytes, record: bytes) -> bytes:
    """Return the 32-byte id under which a record is committed: ``keccak256(salt ‖ record)``."""
    return sha3.keccak_256(salt + record).digest()  # type: ignore[no-any-return]  # sha3 ships no types


def record_ids(table: ActivityTable) -> NDArray[np.uint8]:
    """Return the record ids of all rows, uint8 of shape (n, 32)."""
    salts = (row.tobytes() for row in table.salt)
    ids = b"".join(
        record_id(salt, record) for salt, record in zip(salts, canonical_records(table), strict=True)
    )
    return np.frombuffer(ids, dtype=np.uint8).reshape(-1, 32)


def load_salt_key(path: Path | str | None) -> bytes:
    """Read the salt key, byte for byte; without a file, the public key.

    Raises
    ------
    ActivityError
        If the file cannot be read or holds fewer than 16 bytes. The key itself is never shown.
    """
    if path is None:
        return PUBLIC_SALT_KEY
    try:
        key = read_small(path)
    except OSError as error:
        raise ActivityError(
            f"cannot read the salt key: {error.strerror}", where=str(path), hint="name a readable file"
        ) from error
    except TooLarge as error:
        raise ActivityError(
            f"the salt key has {error}", where=str(path), hint="keep 32 random bytes in it"
        ) from error
    if len(key) < MIN_SALT_KEY_BYTES:
        raise ActivityError(
            f"the salt key has {len(key)} bytes, at least {MIN_SALT_KEY_BYTES} are needed",
            where=str(path),
            hint=f"make one with: head -c 32 /dev/urandom > {path}",
        )
    return key
