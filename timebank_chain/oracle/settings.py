"""What an oracle is told once, at its start."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from timebank_chain.activity import PUBLIC_SALT_KEY, Members, load_members
from timebank_chain.activity.mapping import ColumnMapping
from timebank_chain.oracle.claims import BATCH
from timebank_chain.valuation import Policy

UPKEEP_SECONDS = 600
STATE_FOLDER = ".oracle"
JOURNAL_FILE = "journal.sqlite"
LOCK_FILE = "lock"
REJECTS_FILE = "rejects.csv"
ERASED_FILE = "erased.json"


@dataclass(frozen=True)
class OracleSettings:
    """Where the oracle reads and writes, and how it behaves.

    Attributes
    ----------
    feed, mapping
        What people did, and how its columns are read (``None``: our own names).
    members
        The members file, read anew for every epoch; without one everybody earns under a placeholder.
    epochs
        Where epochs are published.
    state
        Journal, lock and rejects; inside ``epochs`` unless said otherwise.
    first_epoch_start_ms
        Where the first epoch starts; needed only until one is final.
    grace_ms
        How long after its end an epoch waits for stragglers.
    upkeep, upkeep_seconds
        Whether the bank is tended, and after how long again when no epoch comes before.
    data_uri_base
        Public address of ``epochs``; the header then names ``<base>/000001``.
    erased
        Who asked to be forgotten, as hashes; inside ``state`` unless said otherwise, may not exist.
    """

    feed: Path
    members: Path | None
    policy: Policy
    epochs: Path
    mapping: ColumnMapping | None = None
    state: Path | None = None
    first_epoch_start_ms: int | None = None
    grace_ms: int = 0
    push_claims: bool = True
    upkeep: bool = True
    upkeep_seconds: int = UPKEEP_SECONDS
    claim_batch: int = BATCH
    data_uri_base: str = ""
    salt_key: bytes = field(default=PUBLIC_SALT_KEY, repr=False)
    erased: Path | None = None

    @property
    def state_folder(self) -> Path:
        """Where journal, lock and rejects are."""
        return self.state or self.epochs / STATE_FOLDER

    @property
    def journal_path(self) -> Path:
        """The journal."""
        return self.state_folder / JOURNAL_FILE

    @property
    def lock_path(self) -> Path:
        """The single-instance lock."""
        return self.state_folder / LOCK_FILE

    @property
    def rejects_path(self) -> Path:
        """The rejects file."""
        return self.state_folder / REJECTS_FILE

    @property
    def erased_path(self) -> Path:
        """The hashes of who asked to be forgotten; read anew for every epoch."""
        return self.erased or self.state_folder / ERASED_FILE

    def read_members(self) -> Members:
        """Read the members file as it is now."""
        return load_members(self.members) if self.members else Members()

    def data_uri(self, number: int) -> str:
        """Return the address an epoch's files will have, empty when none was given."""
        return f"{self.data_uri_base.rstrip('/')}/{number:06d}" if self.data_uri_base else ""
