"""Everything raw about one member: found wherever it lies, and handed over in one archive.

::

    person.zip
      person.json          what is in it: for each file where it came from, rows and SHA-256
      rows/01-feed.csv.jsonl        the member's rows as they were read, with source and line
      tables/01-activity.parquet.jsonl  the same of activity tables, with salt and record id: with these the
                                        member can show which published acts are theirs, and nobody else can
      records/03-outbox.json.jsonl  their records out of JSON documents, with their position in the list
      rejects/, texts/              rows turned away; texts they wrote
      members/, aliases/            their lines of the members and the alias file
      holds/                        what was held of theirs before it was paid, why, and who released it
      published.jsonl               what the epochs say of their account, in numbers
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from timebank_chain.activity import placeholder_address, read_activity, record_ids
from timebank_chain.activity.clean import REJECT_COLUMNS
from timebank_chain.activity.erased import cells_of, id_text
from timebank_chain.activity.mapping import ColumnMapping
from timebank_chain.activity.members import checksum_address
from timebank_chain.activity.sources.files import open_input
from timebank_chain.activity.table import SCHEMA_NAME
from timebank_chain.attention.collect.weblog import log_names
from timebank_chain.attention.collect.xapi import mailbox_hashes
from timebank_chain.attention.privacy.held import held_pieces, holds_files
from timebank_chain.attention.privacy.keys import Keyring
from timebank_chain.attention.privacy.places import Kind, Place, kind_of
from timebank_chain.attention.privacy.record_lists import without_records
from timebank_chain.attention.privacy.rows import Whose, rows_of_file
from timebank_chain.attention.privacy.sealed import read_header, unseal
from timebank_chain.content import hash_of
from timebank_chain.documents import parse_json, writing_whole
from timebank_chain.epoch import published_numbers, read_epoch
from timebank_chain.errors import AttentionError, UsageError

_WORTH_SAYING = 1 << 20
EXPORT_SCHEMA = "timebank.person/1"

#: Told what is being looked at.
Say = Callable[[str], None]
#: Tells which texts some accounts wrote (`texts.texts_by`); none where no chain is asked.
TextsBy = Callable[[frozenset[bytes]], frozenset[bytes]]


def no_texts(_accounts: frozenset[bytes]) -> frozenset[bytes]:
    """Know of no text."""
    return frozenset()


def silent(_text: str) -> None:
    """Say nothing."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file to look into: itself, or what a sealed one holds, opened in a folder of its own."""

    place: Place
    plain: Path
    kind: Kind
    name: str


@dataclass(frozen=True)
class Search:
    """Where to look, and how.

    Attributes
    ----------
    places
        The files.
    mapping
        What the columns of feeds mean, where they carry other names than ours.
    ring
        What opens the sealed ones.
    texts_by
        Tells which texts an account wrote.
    member_columns
        Which column (of JSON: path) holds the member, by resolved path, where somebody named it; empty where
        nobody is in the file.
    """

    places: tuple[Place, ...]
    mapping: ColumnMapping | None = None
    ring: Keyring | None = None
    texts_by: TextsBy = no_texts
    say: Say = silent
    member_columns: Mapping[Path, str] = field(default_factory=dict)

    def column_of(self, source: Source) -> str | None:
        """Return the column that was named for a file; ``None`` where none was."""
        return self.member_columns.get(source.place.path.resolve())

    def sources(self) -> Iterator[Source]:
        """Yield the files one after the other; an opened one is gone when the next is asked for.

        Raises
        ------
        AttentionError
            If one is sealed and does not open.
        """
        for place in self.places:
            if place.path.stat().st_size >= _WORTH_SAYING:
                self.say(f"looking into {place.path}")
            if place.kind is not Kind.SEALED:
                yield Source(place, place.path, place.kind, place.path.name)
                continue
            if self.ring is None:
                raise AttentionError(
                    "it is sealed, and no keyring is there to open it",
                    where=str(place.path),
                    hint="add --vault",
                )
            with tempfile.TemporaryDirectory(prefix="timebank-open-") as folder:
                name = Path(read_header(place.path).name).name
                plain = Path(folder) / name
                unseal(place.path, plain, self.ring)
                yield Source(place, plain, kind_of(plain), name)


@dataclass
class Person:
    """What there is of a member.

    Attributes
    ----------
    accounts
        Addresses they earn or earned under, 20 bytes each: from the members files, and the placeholder.
    records
        Ids of their records in activity tables.
    texts
        Hashes of what they wrote.
    found
        Rows, lines and texts per file.
    """

    whose: Whose
    accounts: frozenset[bytes]
    records: frozenset[bytes]
    texts: frozenset[bytes]
    found: dict[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """How many rows, lines and texts there are."""
        return sum(self.found.values())


def find(search: Search, member: str) -> Person:
    """Find what there is of a member; nothing is changed.

    Raises
    ------
    AttentionError
        If a file cannot be read, or the id is empty.
    UsageError
        If it is an alias.
    """
    if not member.strip() or member != member.strip():
        raise AttentionError(f"not a member: {member!r:.80}", hint="give the id as the feed has it")
    require_no_alias(search, member)
    aliases = aliases_of(search, member)
    whose = Whose(member, aliases=aliases | _hashed({member, *aliases}))
    acts: set[str] = set()
    records: set[bytes] = set()
    accounts = {placeholder_address(name) for name in whose.names}
    for source in search.sources():
        if source.kind is Kind.ROWS:
            rows = rows_of_file(source.plain, search.mapping, search.column_of(source))
            mine = [one for one in rows if whose.owns(one)]
            acts.update(one.id for one in mine if isinstance(one.id, str))
            if mine and is_activity(source.plain):
                records.update(row["record_id"] for row in _table_rows(source.plain, whose))
        elif source.kind is Kind.MEMBERS:
            accounts.update(_account(cells) for cells in member_lines(source.plain, whose))
    whose = replace(whose, acts=frozenset(acts))
    texts = search.texts_by(frozenset(accounts))
    person = Person(whose, frozenset(accounts), frozenset(records), texts)
    for source in search.sources():
        count = sum(1 for _ in _pieces(source, person, search))
        if count:
            person.found[str(source.place.path)] = count
    return person


def aliases_of(search: Search, member: str) -> frozenset[str]:
    """Return what sources call a member, from the alias files among the places.

    Raises
    ------
    AttentionError
        If a file cannot be read.
    """
    return frozenset(alias for alias, known_as in _aliases(search) if known_as == member and alias)


def _hashed(names: Iterable[str]) -> frozenset[str]:
    """Return what stands for mail addresses in xAPI where they are not to be read."""
    return frozenset(one for name in names for one in mailbox_hashes(name))


def require_no_alias(search: Search, member: str) -> None:
    """Refuse what sources call somebody whom the feed calls otherwise: it would be half of that person.

    Raises
    ------
    UsageError
        Naming the person.
    AttentionError
        If a file cannot be read.
    """
    known_as = next((name for alias, name in _aliases(search) if alias == member != name and name), None)
    if known_as is not None:
        raise UsageError(
            f"{member!r:.80} is an alias of {known_as!r:.80}",
            hint=f"name the member, whose aliases are found with them: {known_as}",
        )


def _aliases(search: Search) -> Iterator[tuple[str, str]]:
    """Yield each alias with the member it stands for, from the alias files among the places."""
    asked = tuple(one for one in search.places if one.kind in (Kind.ALIASES, Kind.SEALED))
    for source in replace(search, places=asked).sources():
        if source.kind is Kind.ALIASES:
            for cells in table_cells(source.plain):
                if len(cells) > 1:
                    yield cells[0].strip(), cells[1].strip()


def require_known(person: Person) -> None:
    """Refuse a member of whom there is nothing.

    Raises
    ------
    AttentionError
        Naming what was asked for.
    """
    if not person.total:
        raise AttentionError(
            f"nothing is known of a member {person.whose.member!r:.80}",
            hint="write the id as the feed has it (capitals count), and name every place: --feed, --data",
        )


def export_person(
    search: Search, person: Person, epochs: Path | None, target: Path, now_ms: int
) -> dict[str, int]:
    """Write everything raw about a member into an archive for its owner alone; return rows by kind.

    Raises
    ------
    AttentionError
        If there is nothing, the archive is there already, or it cannot be written.
    """
    held = held_pieces(holds_files((place.path for place in search.places), epochs), person.whose.member)
    if not held:
        require_known(person)
    if target.exists():
        raise AttentionError("the archive is there already", where=str(target), hint="name another --out")
    counts: dict[str, int] = {}
    listed: list[dict[str, Any]] = []
    try:
        with (
            writing_whole(target, mode=0o600, replace=False) as file,
            zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
        ):

            def put(folder: str, source: str, content: bytes, rows: int) -> None:
                number = len(listed) + 1
                inner = f"{folder}/{number:02d}-{Path(source).name}" if folder else source
                inner += "" if folder in ("", "texts") else ".jsonl"
                archive.writestr(_entry(inner, now_ms), content)
                digest = hashlib.sha256(content).hexdigest()
                listed.append({"file": inner, "source": source, "rows": rows, "sha256": digest})
                counts[folder or Path(source).stem] = counts.get(folder or Path(source).stem, 0) + rows

            for source in search.sources():
                pieces = list(_pieces(source, person, search))
                if not pieces:
                    continue
                where = str(source.place.path)
                if source.kind is Kind.TEXT:
                    put("texts", where, source.plain.read_bytes(), 1)
                else:
                    folder = "tables" if is_activity(source.plain) else source.kind.value
                    put(folder, where, _json_lines(pieces), len(pieces))
            for path, holds in held.items():
                put("holds", str(path), _json_lines(holds), len(holds))
            leaves = list(published_of(epochs, person.accounts)) if epochs is not None else []
            put("", "published.jsonl", _json_lines(leaves), len(leaves))
            document = {
                "schema": EXPORT_SCHEMA,
                "member": person.whose.member,
                "accounts": sorted(map(checksum_address, person.accounts)),
                "exported_ms": now_ms,
                "files": listed,
            }
            archive.writestr(
                _entry("person.json", now_ms), json.dumps(document, indent=2, ensure_ascii=False)
            )
    except OSError as error:
        raise AttentionError(f"cannot be written: {error.strerror}", where=str(target)) from error
    return counts


def published_of(epochs: Path, accounts: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """Yield what the published epochs say of some accounts: leaves, in numbers."""
    wanted = set(accounts)
    for number in published_numbers(epochs):
        epoch = read_epoch(epochs, number)
        for row, account in enumerate(epoch.accounts.account):
            if account.tobytes() in wanted:
                yield {
                    "epoch": number,
                    "leaf": "account",
                    "account": checksum_address(account.tobytes()),
                    "earned": int(epoch.accounts.earned[row]),
                    "standing": int(epoch.accounts.standing[row]),
                    "cumulative_mint": int(epoch.accounts.cumulative_mint[row]),
                }
        for row, account in enumerate(epoch.activities.account):
            if account.tobytes() in wanted:
                yield {
                    "epoch": number,
                    "leaf": "activity",
                    "account": checksum_address(account.tobytes()),
                    "record_id": epoch.activities.record_id[row].tobytes().hex(),
                    "occurred_ms": int(epoch.activities.occurred_ms[row]),
                    "value": int(epoch.activities.value[row]),
                }


def is_activity(path: Path) -> bool:
    """Tell whether a file is an activity table of ours."""
    if path.suffix.lower() != ".parquet":
        return False
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_schema(path).metadata or {}
    except (pa.ArrowException, OSError) as error:
        raise AttentionError(f"not a readable Parquet file: {error}", where=str(path)) from error
    return bool(metadata.get(b"timebank.schema") == SCHEMA_NAME.encode())


def member_lines(path: Path, whose: Whose) -> list[list[str]]:
    """Return a member's lines of a members file."""
    return [cells for cells in table_cells(path) if cells and cells[0].strip() in whose.names]


def alias_lines(path: Path, whose: Whose) -> list[list[str]]:
    """Return a member's lines of an alias file."""
    return [cells for cells in table_cells(path) if is_their_alias(cells, whose)]


def is_their_alias(cells: list[str], whose: Whose) -> bool:
    """Tell whether a line of an alias file is about a member."""
    return any(cell.strip() in whose.names for cell in cells[:2])


def is_their_reject(cells: list[str], whose: Whose) -> bool:
    """Tell whether a line of a rejects file is about a member's record."""
    if len(cells) != len(REJECT_COLUMNS):
        return whose.redacted(",".join(cells)) != ",".join(cells)
    record_id, record = cells[2], cells[5]
    if record_id in whose.acts:
        return True
    if any(map(whose.is_called, called_in_reject(record))):
        return True
    return any(whose.redacted(cell) != cell for cell in cells)


def called_in_reject(record: str) -> list[str]:
    """Return what a record that was turned away may call its member."""
    try:
        original = parse_json(record)
    except ValueError:
        original = record
    if isinstance(original, dict) and (member := id_text(original.get("member"))) is not None:
        return [member]
    # What was turned away has no columns any more: an id that fills a cell tells, a number too.
    return [*cells_of(original), *log_names(record)]


def table_cells(path: Path) -> Iterator[list[str]]:
    """Yield the cells of a small CSV file's rows, without its header."""
    with (
        open_input(path) as binary,
        io.TextIOWrapper(binary, encoding="utf-8-sig", errors="surrogateescape", newline="") as text,
    ):
        reader = csv.reader(text)
        next(reader, None)
        yield from (cells for cells in reader if cells)


def is_their_text(path: Path, person: Person) -> bool:
    """Tell whether a member wrote a text, or it names them."""
    document = path.read_bytes()
    text = document.decode("utf-8", "replace")
    return hash_of(document) in person.texts or person.whose.redacted(text) != text


def _pieces(source: Source, person: Person, search: Search) -> Iterator[Any]:
    """Yield what a file holds of a person, as JSON values."""
    whose = person.whose
    if source.kind is Kind.ROWS:
        if is_activity(source.plain):
            for row in _table_rows(source.plain, whose):
                yield row | {"record_id": row["record_id"].hex(), "salt": row["salt"].hex()}
            return
        for record in rows_of_file(source.plain, search.mapping, search.column_of(source)):
            if whose.owns(record):
                yield {"line": record.line, "row": record.original}
    elif source.kind is Kind.RECORDS:
        for position, listed in without_records(source.plain, whose, search.column_of(source)).theirs:
            yield {"position": position, "record": listed}
    elif source.kind is Kind.REJECTS:
        yield from (cells for cells in table_cells(source.plain) if is_their_reject(cells, whose))
    elif source.kind is Kind.MEMBERS:
        yield from member_lines(source.plain, whose)
    elif source.kind is Kind.ALIASES:
        yield from alias_lines(source.plain, whose)
    elif source.kind is Kind.TEXT and is_their_text(source.plain, person):
        yield source.name


def _table_rows(path: Path, whose: Whose) -> Iterator[dict[str, Any]]:
    import numpy as np

    table = read_activity(path)
    mine = table.take(np.flatnonzero(np.array([name in whose.names for name in table.member], dtype=bool)))
    for row, record in enumerate(record_ids(mine)):
        yield {
            "id": mine.id[row],
            "member": mine.member[row],
            "domain": mine.domain[row],
            "occurred_ms": int(mine.occurred_ms[row]),
            "window_ms": int(mine.window_ms[row]),
            "interaction_milli": int(mine.interaction_milli[row]),
            "originality_milli": int(mine.originality_milli[row]),
            "engagement_milli": int(mine.engagement_milli[row]),
            "salt": mine.salt[row].tobytes(),
            "record_id": record.tobytes(),
        }


def _account(cells: list[str]) -> bytes:
    text = cells[1].strip() if len(cells) > 1 else ""
    try:
        return bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        raise AttentionError(f"the members file has no address for this member: {text!r:.60}") from None


def _entry(name: str, now_ms: int) -> zipfile.ZipInfo:
    from datetime import UTC, datetime

    moment = datetime.fromtimestamp(now_ms // 1_000, UTC)
    entry = zipfile.ZipInfo(name, moment.timetuple()[:6])
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o600 << 16
    return entry


def _json_lines(pieces: Iterable[Any]) -> bytes:
    lines = (json.dumps(piece, ensure_ascii=False, default=str) for piece in pieces)
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace")
