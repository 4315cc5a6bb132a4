"""Who may see what. A person proves who they are with an identity file; the roles hold its hash alone.

::

    {"schema": "timebank.privacy-roles/1",
     "people": [{"name": "ana", "may": ["raw", "manage"], "identity": "<sha256 of the identity>"}]}

There are three levels of reading, each with those below it (raw data can be counted), and one of managing:

============= ==============================================================================
aggregates    reports over at least k members, and aggregates with noise
pseudonymised rows under pseudonyms
raw           rows as they are: opening sealed files, exporting a person's data
manage        sealing, rotation, retention, erasure, and these roles; reads nothing by itself
============= ==============================================================================

Roles bind whoever goes through this program. They do not bind who can read the vault's files: run the
program as the vault's owner, and give people identity files.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from timebank_chain.attention.privacy.keys import read_private, write_private
from timebank_chain.documents import parse_json
from timebank_chain.errors import AttentionError

SCHEMA = "timebank.privacy-roles/1"

_MAX_ROLES_BYTES = 4 << 20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_HEX = re.compile(r"[0-9a-f]{64}")


class Level(StrEnum):
    """What may be seen or done."""

    AGGREGATES = "aggregates"
    PSEUDONYMISED = "pseudonymised"
    RAW = "raw"
    MANAGE = "manage"


#: What each level lets a person do.
_ALLOWS = {
    Level.AGGREGATES: {Level.AGGREGATES},
    Level.PSEUDONYMISED: {Level.AGGREGATES, Level.PSEUDONYMISED},
    Level.RAW: {Level.AGGREGATES, Level.PSEUDONYMISED, Level.RAW},
    Level.MANAGE: {Level.MANAGE},
}


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who works with the data; ``identity`` is the SHA-256 of what they prove themselves with."""

    name: str
    may: frozenset[Level]
    identity: bytes = field(repr=False)

    def allowed(self, level: Level) -> bool:
        """Tell whether the person may see or do this."""
        return any(level in _ALLOWS[own] for own in self.may)


@dataclass(frozen=True)
class Roles:
    """Everybody who works with the data, by name."""

    people: tuple[Person, ...] = ()

    def who(self, identity: bytes) -> Person | None:
        """Return whose identity this is."""
        digest = hashlib.sha256(identity).digest()
        return next((person for person in self.people if person.identity == digest), None)

    def named(self, name: str) -> Person:
        """Return the person of a name.

        Raises
        ------
        AttentionError
            If there is none.
        """
        for person in self.people:
            if person.name == name:
                return person
        raise AttentionError(
            f"nobody is called {name!r} here", hint="see: timebank attention privacy roles list --vault DIR"
        )

    def with_person(self, name: str, may: Iterable[Level], identity: bytes) -> Roles:
        """Return these with one more person, or another role of the same.

        Raises
        ------
        AttentionError
            If the name is not one, or no level is given.
        """
        if not _NAME.fullmatch(name):
            raise AttentionError(
                f"not a name for a role: {name!r:.80}", hint="letters, digits and ._@-, at most 64"
            )
        levels = frozenset(may)
        if not levels:
            raise AttentionError(f"{name} may do nothing", hint="add --may LEVEL, or revoke the role")
        fresh = Person(name, levels, hashlib.sha256(identity).digest())
        others = [person for person in self.people if person.name != name]
        return Roles(tuple(sorted([*others, fresh], key=lambda person: person.name)))

    def without(self, name: str) -> Roles:
        """Return these without a person.

        Raises
        ------
        AttentionError
            If there is no such person, or nobody would be left to manage.
        """
        gone = self.named(name)
        left = Roles(tuple(person for person in self.people if person != gone))
        if not any(person.allowed(Level.MANAGE) for person in left.people):
            raise AttentionError(f"{name} is the last who may manage", hint="let somebody else manage first")
        return left

    def encoded(self) -> bytes:
        """Return the roles as their file holds them."""
        document = {
            "schema": SCHEMA,
            "people": [
                {"name": one.name, "may": sorted(one.may), "identity": one.identity.hex()}
                for one in self.people
            ],
        }
        return json.dumps(document, indent=2).encode() + b"\n"


def write_roles(roles: Roles, path: Path) -> None:
    """Write the roles for their owner alone."""
    write_private(path, roles.encoded(), replace=True)


def read_roles(path: Path) -> tuple[Roles, bytes]:
    """Read the roles, and the SHA-256 of their file.

    Raises
    ------
    AttentionError
        If the file is damaged, names a level that does not exist, or others may read it.
    """
    content = read_private(path, "the roles file", limit=_MAX_ROLES_BYTES)
    try:
        document = parse_json(content)
        if document["schema"] != SCHEMA:
            raise ValueError(f"schema {document['schema']!r:.60}")
        roles = Roles()
        for entry in document["people"]:
            if not _HEX.fullmatch(entry["identity"]):
                raise ValueError(f"the identity of {entry['name']!r:.60} is no hash")
            if any(person.name == entry["name"] for person in roles.people):
                raise ValueError(f"{entry['name']!r:.60} stands twice")
            person = Person(
                str(entry["name"]), frozenset(map(Level, entry["may"])), bytes.fromhex(entry["identity"])
            )
            roles = Roles((*roles.people, person))
    except (ValueError, KeyError, TypeError) as error:
        raise AttentionError(
            f"not a roles file: {error}", where=str(path), hint="restore it from a copy"
        ) from None
    return roles, hashlib.sha256(content).digest()
