"""The vault: the folder with the keys, the roles and the ledger. Every access begins here.

::

    VAULT/  keyring.json   pseudonym.key   ledger.key   roles.json   ledger.jsonl   ledger.head

All of it is for its owner alone. Keep it, and its copies, apart from the data: a sealed file beside its key
is an open one. Losing it loses what is sealed, and is the surest way to delete it.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from timebank_chain.attention.privacy.keys import (
    Keyring,
    make_key,
    new_keyring,
    read_key,
    read_keyring,
    write_keyring,
    write_private,
)
from timebank_chain.attention.privacy.ledger import Ledger
from timebank_chain.attention.privacy.roles import Level, Person, Roles, read_roles, write_roles
from timebank_chain.errors import AttentionError

UNKNOWN = "unknown"
_ROLES_ACTION = "roles"


def now_ms() -> int:
    """Return the present, Unix milliseconds."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True)
class Vault:
    """A vault in its folder."""

    folder: Path

    @property
    def keyring_path(self) -> Path:
        """Keys of sealed files."""
        return self.folder / "keyring.json"

    @property
    def pseudonym_key_path(self) -> Path:
        """Key of pseudonyms."""
        return self.folder / "pseudonym.key"

    @property
    def roles_path(self) -> Path:
        """Who may see what."""
        return self.folder / "roles.json"

    @property
    def erased_path(self) -> Path:
        """Who was erased, where no oracle's state keeps that."""
        return self.folder / "erased.json"

    def keyring(self) -> Keyring:
        """Read the keyring."""
        return read_keyring(self.keyring_path)

    def pseudonym_key(self) -> bytes:
        """Read the key of pseudonyms."""
        return read_key(self.pseudonym_key_path, "the pseudonym key")

    def ledger(self) -> Ledger:
        """Return the ledger."""
        key = read_key(self.folder / "ledger.key", "the ledger's key")
        return Ledger(self.folder / "ledger.jsonl", self.folder / "ledger.head", key)

    def enter(self, identity: Path, action: str, level: Level, *, member: str | None = None) -> Session:
        """Let somebody in, or not; either way it is in the ledger before anything is read.

        Parameters
        ----------
        identity
            The person's identity file.
        action
            What they are about to do.
        level
            What that takes.
        member
            Whom it concerns.

        Raises
        ------
        AttentionError
            If the identity is nobody's, or the person may not do this.
        """
        token = read_key(identity, "the identity file")
        roles, _ = read_roles(self.roles_path)
        ledger = self.ledger()
        person = roles.who(token)
        allowed = person is not None and person.allowed(level)
        subject = "" if member is None else ledger.subject(member)
        with ledger.open() as pen:
            pen.write(
                UNKNOWN if person is None else person.name,
                action,
                level=level,
                outcome="granted" if allowed else "refused",
                subject=subject,
                now_ms=now_ms(),
            )
        if person is None:
            raise AttentionError(
                "this identity is nobody's here",
                where=str(identity),
                hint="ask who manages the vault for one: timebank attention privacy roles grant",
            )
        if not allowed:
            may = ", ".join(sorted(person.may))
            raise AttentionError(
                f"{person.name} may {may}, and this takes {level}",
                hint="ask who manages the vault; the attempt is in the ledger",
            )
        return Session(self, ledger, person, action, level, subject)

    def set_roles(self, session: Session, roles: Roles, detail: Mapping[str, Any]) -> None:
        """Write the roles, and into the ledger what they are now."""
        import hashlib

        write_roles(roles, self.roles_path)
        digest = hashlib.sha256(roles.encoded()).hexdigest()
        session.done({**detail, "roles_sha256": digest})

    def roles_are_recorded(self) -> bool:
        """Tell whether the roles file is as the ledger says it was left."""
        _, digest = read_roles(self.roles_path)
        last = None
        for entry in self.ledger().entries():
            if entry.action == _ROLES_ACTION and entry.outcome == "done":
                last = entry.detail.get("roles_sha256")
        return last == digest.hex()


@dataclass(frozen=True)
class Session:
    """Somebody at work, with leave to be."""

    vault: Vault
    ledger: Ledger
    person: Person
    action: str
    level: Level
    subject: str

    def done(self, detail: Mapping[str, Any]) -> None:
        """Record what came of it: numbers and plain words, never raw data."""
        with self.ledger.open() as pen:
            pen.write(
                self.person.name,
                self.action,
                level=self.level,
                outcome="done",
                subject=self.subject,
                detail=detail,
                now_ms=now_ms(),
            )


def make_vault(folder: Path, manager: str, identity: Path) -> Vault:
    """Make a vault with fresh keys, and an identity for who manages it and may see everything.

    Raises
    ------
    AttentionError
        If one of its files, or the identity, is there already: keys are never overwritten.
    """
    vault = Vault(folder)
    if vault.keyring_path.exists() or vault.roles_path.exists():
        raise AttentionError(
            "there is a vault already", where=str(folder), hint="use it, or name another folder"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
    except OSError as error:
        raise AttentionError(f"the vault cannot be made: {error.strerror}", where=str(folder)) from error
    token = make_identity(identity)
    make_key(folder / "ledger.key")
    make_key(vault.pseudonym_key_path)
    write_keyring(new_keyring(now_ms()), vault.keyring_path, replace=False)
    roles = Roles().with_person(manager, (Level.RAW, Level.MANAGE), token)
    write_roles(roles, vault.roles_path)
    session = vault.enter(identity, _ROLES_ACTION, Level.MANAGE)
    vault.set_roles(session, roles, {"made": manager})
    return vault


def make_identity(path: Path) -> bytes:
    """Make an identity file and return what it proves a person with."""
    token = secrets.token_bytes(32)
    write_private(path, token.hex().encode() + b"\n", replace=False)
    return token
