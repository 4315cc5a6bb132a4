"""What the oracle is about to do on chain, written down before it does it.

A signed transaction is stored, raw bytes and all, *before* it is broadcast. After a crash the same
bytes are sent again: same nonce, same hash, so the effect cannot happen twice. What came of it is
written afterwards. At most one intent per (kind, epoch, key) is open or done; failed ones stay as
history and free the place for another attempt.

The file is SQLite in WAL mode and holds no secrets: a signed transaction is public once it is sent.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from timebank_chain.chain.open_items import ItemRow
from timebank_chain.errors import OracleError

Kind = Literal[
    "propose",
    "finalise",
    "claim",
    "withdraw-bond",
    # Challenges: answering for our own epochs, and the watchtower's.
    "answer",
    "commit",
    "prove",
    "request",
    "void",
    "reclaim",
    # Upkeep of the bank and of the market:
    "liquidate",
    "write-off",
    "move",
    "settle",
    "lapse",
    "pay-fees",
    "collect",
]
Outcome = Literal["mined", "reverted", "superseded", "abandoned", "voided"]

_SCHEMA_VERSION: Final = 2
_SCHEMA: Final = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE intents (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    key TEXT NOT NULL,
    sender TEXT NOT NULL,
    nonce INTEGER NOT NULL,
    tx_hash TEXT NOT NULL UNIQUE,
    raw BLOB NOT NULL,
    contract TEXT NOT NULL,
    function TEXT NOT NULL,
    target TEXT NOT NULL,
    data BLOB NOT NULL,
    value TEXT NOT NULL,  -- wei: more than an SQLite integer holds
    created_ms INTEGER NOT NULL,
    outcome TEXT CHECK (outcome IN ('mined', 'reverted', 'superseded', 'abandoned', 'voided')),
    block INTEGER,
    settled_ms INTEGER
) STRICT;
-- One effect, one intent: a second one can be written only after the first has failed.
CREATE UNIQUE INDEX one_live_intent ON intents (kind, epoch, key) WHERE outcome IS NULL OR outcome = 'mined';
CREATE TABLE feed_files (
    name TEXT PRIMARY KEY, size INTEGER NOT NULL, sha256 TEXT NOT NULL, rows INTEGER NOT NULL
) STRICT;
CREATE TABLE included (record_id BLOB PRIMARY KEY, epoch INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE claimed (account BLOB PRIMARY KEY, cumulative INTEGER NOT NULL) STRICT, WITHOUT ROWID;
"""
#: Since version 2: what runs in the bank, up to a block that stands in ``meta``.
_OPEN_ITEMS: Final = """
CREATE TABLE open_items (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    shares TEXT NOT NULL,  -- 96 bits: more than an SQLite integer holds
    due_at INTEGER NOT NULL,
    PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class IntendedCall:
    """What the signed transaction calls; ``value`` in wei."""

    contract: str
    function: str
    target: str
    data: bytes
    value: int


@dataclass(frozen=True, slots=True)
class Intent:
    """One effect on chain: what was signed, and what came of it (``outcome`` is None while open)."""

    id: int
    kind: Kind
    epoch: int
    key: str
    sender: str
    nonce: int
    tx_hash: str
    raw: bytes
    call: IntendedCall
    created_ms: int
    outcome: Outcome | None
    block: int | None


@dataclass(frozen=True, slots=True)
class FeedMark:
    """How much of a feed file has been taken up: bytes, their SHA-256, and rows (Parquet)."""

    name: str
    size: int
    sha256: str
    rows: int


class Journal:
    """The oracle's memory between runs.

    Parameters
    ----------
    path
        The SQLite file; created when absent.
    identity
        What this state belongs to (chain id, oracle address). A file written for another identity
        is refused: its nonces and hashes would mean nothing here.

    Raises
    ------
    OracleError
        If the file is no journal, is of a newer version, or belongs to another deployment.
    """

    def __init__(self, path: Path, identity: Mapping[str, str]) -> None:
        self.path = path
        try:
            self._db = sqlite3.connect(path, isolation_level=None, timeout=5.0)
            self._db.execute("PRAGMA journal_mode = WAL")
            # FULL: an intent must be on the disk, not in its cache, before the broadcast.
            self._db.execute("PRAGMA synchronous = FULL")
            self._prepare(identity)
        except sqlite3.DatabaseError as error:
            raise OracleError(
                f"the journal cannot be used: {error}",
                where=str(path),
                hint="if the file is damaged, move it away: the oracle goes by the chain's state "
                "and repeats nothing that is already there",
            ) from error

    def _prepare(self, identity: Mapping[str, str]) -> None:
        version = int(self._db.execute("PRAGMA user_version").fetchone()[0])
        if version == 0:
            self._db.executescript(
                f"BEGIN; {_SCHEMA} {_OPEN_ITEMS} PRAGMA user_version = {_SCHEMA_VERSION}; COMMIT;"
            )
            self._db.executemany("INSERT INTO meta VALUES (?, ?)", sorted(identity.items()))
        elif version == 1:
            self._db.executescript(f"BEGIN; {_OPEN_ITEMS} PRAGMA user_version = {_SCHEMA_VERSION}; COMMIT;")
        elif version != _SCHEMA_VERSION:
            raise OracleError(
                f"the journal is of version {version}, this program knows {_SCHEMA_VERSION}",
                where=str(self.path),
                hint="run the newer timebank, or choose another --state folder",
            )
        known = dict(self._db.execute("SELECT key, value FROM meta").fetchall())
        for key, value in identity.items():
            if known.setdefault(key, value) != value:
                raise OracleError(
                    f"the state belongs to another {key}: {known[key]}, not {value}",
                    where=str(self.path),
                    hint="choose another --state folder for this deployment",
                )

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    # --- intents -----------------------------------------------------------------------------------

    def intend(
        self,
        kind: Kind,
        epoch: int,
        key: str,
        call: IntendedCall,
        *,
        sender: str,
        nonce: int,
        tx_hash: str,
        raw: bytes,
        now_ms: int,
    ) -> Intent:
        """Write down a signed transaction; call this before broadcasting it.

        Raises
        ------
        OracleError
            If the same effect is already open or done.
        """
        what = (call.contract, call.function, call.target, call.data, str(call.value))
        try:
            cursor = self._db.execute(
                "INSERT INTO intents (kind, epoch, key, sender, nonce, tx_hash, raw,"
                " contract, function, target, data, value, created_ms)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (kind, epoch, key, sender, nonce, tx_hash, raw, *what, now_ms),
            )
        except sqlite3.IntegrityError as error:
            raise OracleError(
                f"{kind} of epoch {epoch} ({key}) is already in the journal: {error}",
                where=str(self.path),
                hint="the journal never sends one effect twice; `timebank oracle status` shows what is there",
            ) from error
        return self._one("id = ?", (cursor.lastrowid,))

    def settle(self, intent: Intent, outcome: Outcome, *, block: int | None, now_ms: int) -> Intent:
        """Write down what came of an intent."""
        self._db.execute(
            "UPDATE intents SET outcome = ?, block = ?, settled_ms = ? WHERE id = ?",
            (outcome, block, now_ms, intent.id),
        )
        return self._one("id = ?", (intent.id,))

    def reopen(self, intent: Intent) -> Intent:
        """Take back an outcome: the block that held the transaction is gone."""
        self._db.execute(
            "UPDATE intents SET outcome = NULL, block = NULL, settled_ms = NULL WHERE id = ?", (intent.id,)
        )
        return self._one("id = ?", (intent.id,))

    def live(self, kind: Kind, epoch: int, key: str) -> Intent | None:
        """Return the open or done intent for an effect, if there is one."""
        found = self._many(
            "kind = ? AND epoch = ? AND key = ? AND (outcome IS NULL OR outcome = 'mined')",
            (kind, epoch, key),
        )
        return found[0] if found else None

    def live_keys(self, kind: Kind, epoch: int) -> set[str]:
        """Return what open or done intents of an epoch are about, for proposals the header hashes."""
        rows = self._db.execute(
            "SELECT key FROM intents WHERE kind = ? AND epoch = ? AND (outcome IS NULL OR outcome = 'mined')",
            (kind, epoch),
        )
        return {str(row[0]) for row in rows}

    def open_intents(self) -> list[Intent]:
        """Return the intents without an outcome, in the order of their nonces."""
        return sorted(self._many("outcome IS NULL", ()), key=lambda intent: (intent.sender, intent.nonce))

    def intents(self, *, limit: int = 1_000) -> list[Intent]:
        """Return the newest intents, oldest first."""
        return self._many("1 = 1", (), limit=limit)

    def _many(self, where: str, values: tuple[object, ...], *, limit: int = 1_000) -> list[Intent]:
        rows = self._db.execute(
            # `where` is one of the literals above, never data.
            "SELECT id, kind, epoch, key, sender, nonce, tx_hash, raw,"  # noqa: S608
            " contract, function, target, data, value, created_ms, outcome, block"
            f" FROM intents WHERE {where} ORDER BY id DESC LIMIT {int(limit)}",
            values,
        ).fetchall()
        return [_intent(row) for row in reversed(rows)]

    def _one(self, where: str, values: tuple[object, ...]) -> Intent:
        return self._many(where, values)[0]

    # --- what the feed gave ----------------------------------------------------------------------

    def feed_marks(self) -> dict[str, FeedMark]:
        """Return what was taken up of each feed file, by name."""
        rows = self._db.execute("SELECT name, size, sha256, rows FROM feed_files").fetchall()
        return {row[0]: FeedMark(*row) for row in rows}

    def mark_feed(self, marks: Iterable[FeedMark]) -> None:
        """Remember how far the feed has been read."""
        with _transaction(self._db):
            self._db.executemany(
                "INSERT OR REPLACE INTO feed_files VALUES (?, ?, ?, ?)",
                [(mark.name, mark.size, mark.sha256, mark.rows) for mark in marks],
            )

    def forget_feed(self) -> None:
        """Forget how far the feed was read: its files were replaced on purpose."""
        self._db.execute("DELETE FROM feed_files")

    # --- what is closed --------------------------------------------------------------------------

    def included_epochs(self) -> set[int]:
        """Return the epochs whose record ids are known."""
        rows = self._db.execute("SELECT value FROM meta WHERE key LIKE 'included:%'").fetchall()
        return {int(row[0]) for row in rows}

    def include(self, epoch: int, record_ids: Iterable[bytes]) -> None:
        """Remember which records a finalised epoch holds."""
        with _transaction(self._db):
            self._db.executemany(
                # What we passed over as late may stand in an epoch that somebody else closed.
                "INSERT OR REPLACE INTO included VALUES (?, ?)",
                [(record_id, epoch) for record_id in record_ids],
            )
            self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (f"included:{epoch}", str(epoch)))

    def is_included(self, record_id: bytes) -> bool:
        """Tell whether a finalised epoch holds this record, or it was passed over as late."""
        found = self._db.execute("SELECT 1 FROM included WHERE record_id = ?", (record_id,)).fetchone()
        return found is not None

    def epoch_of(self, record_id: bytes) -> int | None:
        """Return the finalised epoch that holds this record, ``None`` if none does."""
        found = self._db.execute(
            "SELECT epoch FROM included WHERE record_id = ? AND epoch > 0", (record_id,)
        ).fetchone()
        return None if found is None else int(found[0])

    def pass_over(self, record_ids: Iterable[bytes]) -> None:
        """Remember late records that were listed in the rejects, so that each is listed once."""
        with _transaction(self._db):
            self._db.executemany(
                "INSERT OR IGNORE INTO included VALUES (?, 0)", [(record_id,) for record_id in record_ids]
            )

    def built(self, epoch: int, header_hash: bytes) -> None:
        """Remember that this header was built here, from our own feed."""
        self._db.execute(
            "INSERT OR REPLACE INTO meta VALUES (?, ?)", (f"built:0x{header_hash.hex()}", str(epoch))
        )

    def was_built(self, header_hash: bytes) -> bool:
        """Tell whether a header was built here."""
        return self._meta(f"built:0x{header_hash.hex()}") is not None

    # --- what is claimed -------------------------------------------------------------------------

    def claimed(self) -> dict[bytes, int]:
        """Return the last cumulative claim seen per account, micro-credits (it never falls on chain)."""
        return {
            bytes(row[0]): int(row[1]) for row in self._db.execute("SELECT account, cumulative FROM claimed")
        }

    def saw_claimed(self, claimed: Mapping[bytes, int]) -> None:
        """Remember cumulative claims read from the chain, so that settled accounts are not asked again."""
        with _transaction(self._db):
            self._db.executemany("INSERT OR REPLACE INTO claimed VALUES (?, ?)", list(claimed.items()))

    def claims_done(self, epoch: int) -> bool:
        """Tell whether everybody's claims of an epoch were pushed."""
        return self._meta(f"claims-done:{epoch}") is not None

    def finish_claims(self, epoch: int) -> None:
        """Remember that everybody's claims of an epoch were pushed."""
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (f"claims-done:{epoch}", str(epoch)))

    # --- upkeep of the bank ------------------------------------------------------------------------

    def open_items(self) -> tuple[int | None, list[ItemRow]]:
        """Return what runs in the bank, and the block up to which it is known (``None``: nothing is)."""
        block = self._meta("open-items")
        rows = self._db.execute("SELECT kind, name, shares, due_at FROM open_items").fetchall()
        return None if block is None else int(block), [
            ItemRow(kind, name, int(shares), due_at) for kind, name, shares, due_at in rows
        ]

    def keep_open_items(self, block: int, rows: Iterable[ItemRow]) -> None:
        """Remember what runs in the bank after a block, in place of what was known before."""
        with _transaction(self._db):
            self._db.execute("DELETE FROM open_items")
            self._db.executemany(
                "INSERT INTO open_items VALUES (?, ?, ?, ?)",
                [(row.kind, row.name, str(row.shares), row.due_at) for row in rows],
            )
            self._db.execute("INSERT OR REPLACE INTO meta VALUES ('open-items', ?)", (str(block),))

    def forget_open_items(self) -> None:
        """Forget what runs in the bank: all events are read again."""
        with _transaction(self._db):
            self._db.execute("DELETE FROM open_items")
            self._db.execute("DELETE FROM meta WHERE key = 'open-items'")

    def tended(self) -> tuple[int, int] | None:
        """Return after which epoch the bank was last tended, and when (Unix milliseconds)."""
        found = self._meta("tended")
        if found is None:
            return None
        epoch, at_ms = found.split(":")
        return int(epoch), int(at_ms)

    def mark_tended(self, epoch: int, at_ms: int) -> None:
        """Remember that the bank was tended."""
        self._db.execute("INSERT OR REPLACE INTO meta VALUES ('tended', ?)", (f"{epoch}:{at_ms}",))

    def _meta(self, key: str) -> str | None:
        found = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if found is None else str(found[0])


def _intent(row: tuple[Any, ...]) -> Intent:
    kind, epoch, key = row[1:4]
    contract, function, target, data, value = row[8:13]
    return Intent(
        id=row[0],
        kind=kind,
        epoch=epoch,
        key=key,
        sender=row[4],
        nonce=row[5],
        tx_hash=row[6],
        raw=row[7],
        call=IntendedCall(contract, function, target, data, int(value)),
        created_ms=row[13],
        outcome=row[14],
        block=row[15],
    )


class _transaction:  # noqa: N801 - reads as a statement: `with _transaction(db):`
    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, value: object, trace: object) -> None:
        self._db.execute("COMMIT" if kind is None else "ROLLBACK")
