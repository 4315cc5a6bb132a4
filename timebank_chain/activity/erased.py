"""Who asked to be forgotten, as hashes: enough to turn their records away, too little to read their names.

::

    {"schema": "timebank.erased/1", "key": "<64 hex digits>",
     "members": ["<hash>", ...],     HMAC-SHA256 of an outside id under the key
     "acts":    ["<hash>", ...],     the same of an act's id
     "records": ["<record id>", ...]}   ids of erased records, as they stand in published epochs anyway

The key is made with the file and lies in it, because whoever turns records away needs both. So a holder of
the file can find out whether a name *they know* is in it, and nothing else; the file is made for its owner
alone (mode 0600).
"""

from __future__ import annotations

import hmac
import json
import math
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from timebank_chain.activity.record import RawRecord
from timebank_chain.documents import MAX_DIGITS, TooLarge, parse_json, read_small, write_whole
from timebank_chain.errors import ActivityError

SCHEMA = "timebank.erased/1"
#: Room for some three million acts.
MAX_ERASED_BYTES = 512 << 20
#: What a turned-away record leaves in the rejects: no id, no member, no cell.
REASON = "erased: a person asked to be forgotten"

_KEY_BYTES = 32
#: From here on not every integer is a float.
_INEXACT = 2**53
_HASH = re.compile(r"[0-9a-f]{64}")
_BETWEEN_CELLS = re.compile(r"[,;\t\"{}\[\]]|: ")
_LISTS = ("members", "acts", "records")
_HINT = "restore it from a copy: without it erased records are taken up again"


@dataclass(frozen=True)
class Erased:
    """Who and what is erased; all hashes are 32 bytes.

    Attributes
    ----------
    key
        Key of the hashes of ``members`` and ``acts``.
    records
        Record ids, unkeyed: they are public in the epochs.
    """

    key: bytes = field(repr=False)
    members: frozenset[bytes] = frozenset()
    acts: frozenset[bytes] = frozenset()
    records: frozenset[bytes] = frozenset()

    def member_hash(self, member: str) -> bytes:
        """Return the hash a member is known by here."""
        return hmac.digest(self.key, b"member:" + _bytes(member.strip()), "sha256")

    def act_hash(self, act: str) -> bytes:
        """Return the hash an act is known by here."""
        return hmac.digest(self.key, b"act:" + _bytes(act.strip()), "sha256")

    def has_member(self, member: str) -> bool:
        """Tell whether a member is erased."""
        return self.member_hash(member) in self.members

    def with_person(self, member: str, acts: Iterable[str], records: Iterable[bytes]) -> Erased:
        """Return these and one more person."""
        return replace(
            self,
            members=self.members | {self.member_hash(member)},
            acts=self.acts | {self.act_hash(act) for act in acts},
            records=self.records | set(records),
        )

    def turned_away(self, records: Iterable[RawRecord]) -> Iterator[RawRecord]:
        """Yield records as they come; of an erased person's, the place and the reason alone.

        Nothing of such a record may reach the rejects file, so it is emptied before the cleaner sees it.
        """
        for record in records:
            if self._is_erased(record):
                yield RawRecord(record.source, record.line, refused=("member", REASON))
            else:
                yield record

    def _is_erased(self, record: RawRecord) -> bool:
        if isinstance(record.member, str) and self.has_member(record.member):
            return True
        if isinstance(record.id, str) and self.act_hash(record.id) in self.acts:
            return True
        # What the source itself refused has no member yet: look into its cells.
        return record.refused is not None and any(map(self.has_member, cells_of(record.original)))


def new_erased() -> Erased:
    """Return an empty list under a key of its own."""
    return Erased(secrets.token_bytes(_KEY_BYTES))


def load_erased(path: Path | str) -> Erased | None:
    """Read the list; ``None`` where there is no file.

    Raises
    ------
    ActivityError
        If the file is no such list. Going on without it would take erased records up again.
    """
    where = str(path)
    try:
        document = parse_json(read_small(path, MAX_ERASED_BYTES))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ActivityError(f"cannot be read: {error.strerror}", where=where, hint=_HINT) from error
    except TooLarge as error:
        raise ActivityError(f"the list of the erased has {error}", where=where, hint=_HINT) from error
    except ValueError as error:
        raise ActivityError(f"no list of the erased: {error}", where=where, hint=_HINT) from error
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise ActivityError(f"not a document {SCHEMA}", where=where, hint=_HINT)
    if set(document) != {"schema", "key", *_LISTS}:
        raise ActivityError(f"the fields must be schema, key, {', '.join(_LISTS)}", where=where, hint=_HINT)
    lists = {name: frozenset(_hashes(document[name], f"{where}, field {name!r}")) for name in _LISTS}
    (key,) = _hashes([document["key"]], f"{where}, field 'key'")
    return Erased(key, **lists)


def write_erased(erased: Erased, path: Path | str) -> None:
    """Write the list, for its owner alone; whole or not at all.

    Raises
    ------
    ActivityError
        If it cannot be written.
    """
    target = Path(path)
    document: dict[str, Any] = {"schema": SCHEMA, "key": erased.key.hex()}
    document |= {name: sorted(one.hex() for one in getattr(erased, name)) for name in _LISTS}
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, json.dumps(document, indent=1) + "\n", mode=0o600, sync=True)
    except OSError as error:
        raise ActivityError(
            f"the list of the erased cannot be written: {error.strerror}",
            where=str(target),
            hint="make room or name another place",
        ) from error


def cells_of(original: object) -> Iterator[str]:
    """Yield the texts and whole numbers of what a source read, without the spaces around them.

    A line that could not be taken apart is split where any table would be.
    """
    if isinstance(original, str):
        yield from (part.strip() for part in _BETWEEN_CELLS.split(original) if part.strip())
        return
    waiting = [original]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Mapping):
            waiting.extend(value.values())
        elif isinstance(value, list | tuple):
            waiting.extend(value)
        elif (text := id_text(value)) is not None:
            yield text


def id_text(value: object) -> str | None:
    """Return a cell as an id may stand in it, without the spaces around it; ``None`` where none can.

    Of integers with a gap between them many a program makes floats: 4711.0 says 4711. A float from 2**53 on
    may stand for several integers and says none; neither do bytes that are no UTF-8, nor any other type.

    Examples
    --------
    >>> id_text(4711.0), id_text(b"ada"), id_text(True)
    ('4711', 'ada', None)
    """
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8").strip()
        except UnicodeDecodeError:
            return None
    if isinstance(value, float):
        if not math.isfinite(value) or abs(value) >= _INEXACT:
            return None
        return str(int(value)) if value.is_integer() else str(value)
    if isinstance(value, Decimal):
        # An exponent alone can stand for more digits than any memory holds.
        if not value.is_finite() or value.adjusted() > MAX_DIGITS:
            return None
        return str(int(value)) if value == value.to_integral_value() else str(value)
    return str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else None


def _hashes(values: object, where: str) -> Iterator[bytes]:
    if not isinstance(values, list):
        raise ActivityError("not a list", where=where, hint=_HINT)
    for value in values:
        if not isinstance(value, str) or not _HASH.fullmatch(value):
            raise ActivityError(f"not 64 hexadecimal digits: {value!r:.80}", where=where, hint=_HINT)
        yield bytes.fromhex(value)


def _bytes(text: str) -> bytes:
    # A feed's bytes that are no UTF-8 arrive as lone surrogates.
    return text.encode("utf-8", "surrogatepass")
