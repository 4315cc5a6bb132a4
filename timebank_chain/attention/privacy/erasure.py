"""Erasing one member: every row, line and text of theirs, and then a look whether anything was left.

What stays, and why: the leaves of published epochs and the chain. A leaf holds an address, a time, a domain
and numbers under a record id, the hash of salt and record. Without record and salt nobody can say what the
act was; without the leaf nobody could recompute the epoch. Two things can still be found out by who knows
enough: that a member of a known id earned under their placeholder address, which is the hash of that id; and,
where the salts came from a key that still is there (the public one above all), that a record they can guess
in full stands in the tree.

The order is such that a crash at any moment leaves something that is finished by erasing again: the list of
the erased first, so that nothing comes back; then, file by file, what the oracle remembers of it, and the
file.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from timebank_chain.activity import PUBLIC_SALT_KEY
from timebank_chain.activity.clean import REJECT_COLUMNS
from timebank_chain.activity.erased import Erased, load_erased, new_erased, write_erased
from timebank_chain.activity.members import checksum_address
from timebank_chain.activity.record import canonical_records, salt_of
from timebank_chain.activity.sources.files import open_input
from timebank_chain.attention.monitor.holds import default_path
from timebank_chain.attention.privacy.held import erase_held, held_pieces, holds_files
from timebank_chain.attention.privacy.leftovers import leftovers, remove
from timebank_chain.attention.privacy.person import (
    Person,
    Search,
    Source,
    called_in_reject,
    find,
    is_activity,
    is_their_alias,
    is_their_reject,
    is_their_text,
    published_of,
    require_known,
)
from timebank_chain.attention.privacy.places import Kind, Place, places
from timebank_chain.attention.privacy.record_lists import without_records
from timebank_chain.attention.privacy.row_lines import is_packed
from timebank_chain.attention.privacy.rows import unclear_rows, without
from timebank_chain.attention.privacy.sealed import read_header, seal
from timebank_chain.attention.privacy.spellings import Doubts, equals
from timebank_chain.attention.privacy.traces import Traces, distinctive
from timebank_chain.documents import write_whole
from timebank_chain.errors import AttentionError
from timebank_chain.oracle.feed import list_feed
from timebank_chain.oracle.journal import FeedMark, Journal
from timebank_chain.oracle.lock import InstanceLock
from timebank_chain.oracle.settings import JOURNAL_FILE, LOCK_FILE

_ALIASES_WAIT = "it alone knows their short aliases: it waits until the other files are settled"
_ORDER = {
    kind: place
    for place, kind in enumerate(
        (
            Kind.TEXT,
            Kind.REJECTS,
            Kind.SEALED,
            Kind.RECORDS,
            Kind.ROWS,
            Kind.MEMBERS,
            Kind.ALIASES,
            Kind.PUBLISHED,
            Kind.OTHER,
        )
    )
}


@dataclass(frozen=True)
class Oracle:
    """The oracle that reads the feed: its state, to be held alone while the feed is rewritten.

    Attributes
    ----------
    feed
        The file or folder it reads.
    state
        Journal, lock and rejects; ``None`` or an absent folder where no oracle ran.
    """

    feed: Path | None = None
    state: Path | None = None

    @contextmanager
    def held(self) -> Iterator[Marks]:
        """Hold the state alone.

        Raises
        ------
        OracleError
            If the oracle is running.
        """
        if self.state is None or not self.state.is_dir():
            yield Marks({}, None)
            return
        with InstanceLock(self.state / LOCK_FILE), ExitStack() as stack:
            path = self.state / JOURNAL_FILE
            if not path.is_file():
                yield Marks({}, None)
                return
            journal = Journal(path, {})
            stack.callback(journal.close)
            names: dict[Path, str] = {}
            if self.feed is not None and self.feed.exists():
                names = {path.resolve(): name for name, path in list_feed(self.feed)[0].items()}
            yield Marks(names, journal)


@dataclass(frozen=True)
class Marks:
    """What the oracle remembers of the feed's files."""

    names: dict[Path, str]
    journal: Journal | None

    def of(self, path: Path) -> FeedMark | None:
        """Return what it remembers of a file."""
        name = self.names.get(path.resolve())
        if self.journal is None or name is None:
            return None
        return self.journal.feed_marks().get(name)

    def move(self, mark: FeedMark | None) -> None:
        """Make it remember the file as it will be."""
        if self.journal is not None and mark is not None:
            self.journal.mark_feed([mark])


@dataclass
class Erasure:
    """What was erased, and what is left.

    Attributes
    ----------
    again
        Whether the member had been erased before.
    known
        Whether anything certainly is theirs, or was; if not, nothing was changed.
    changed
        Rows, lines or texts taken out, per file.
    redacted
        Other members' rows that named the member in a column nobody reads.
    left
        Files in which the member's id, or an act's, still stands, with how often; of an act whose id is
        no longer known here, because it was erased before, by the hash that is.
    unclear
        Files in which rows or records of theirs may be left that no search finds, with the reason: a short
        id, or a number, and no member's column.
    unseen
        Files and members of archives that could not be looked into, with the reason.
    removed
        What killed commands had left, files and folders: copies that nobody reads.
    published
        How many leaves stay published, by epoch and address alone.
    guessable
        Whether the salts came from the public key: who guesses a record in full finds its leaf.
    searched
        Whether the id could be looked for in text: one that is short or a number stands anywhere.
    """

    member: str
    again: bool
    known: bool
    changed: dict[str, int] = field(default_factory=dict)
    redacted: int = 0
    left: dict[str, int] = field(default_factory=dict)
    unclear: dict[str, str] = field(default_factory=dict)
    unseen: dict[str, str] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    acts: int = 0
    records: int = 0
    accounts: list[str] = field(default_factory=list)
    published: int = 0
    guessable: bool = False
    searched: bool = True

    @property
    def nothing_to_do(self) -> bool:
        """Whether there was nothing (any more)."""
        return not self.changed and not self.redacted and not self.removed

    @property
    def proved(self) -> bool:
        """Whether nothing is left, as far as any file could be looked into."""
        return not self.left and not self.unclear


def erase_person(
    search: Search,
    member: str,
    *,
    erased_file: Path,
    oracle: Oracle,
    epochs: Path | None = None,
    dry_run: bool = False,
) -> Erasure:
    """Erase a member from all places of a search.

    Parameters
    ----------
    erased_file
        The list of the erased, which grows by the member's hashes.
    oracle
        Whose feed it is.
    epochs
        The published epochs, to say what stays in them.
    dry_run
        Look what would be erased and what would be left, and change nothing.

    Raises
    ------
    AttentionError
        If nothing is known of the member, they were not erased before, and no file may hold them in a way
        nobody can tell; or a file cannot be rewritten.
    OracleError
        If the oracle is running.
    """
    search = _with_holds(search, epochs)
    with oracle.held() as marks:
        before = load_erased(erased_file)
        stale = leftovers((place.path for place in search.places), epochs, oracle.state)
        search = replace(search, places=tuple(one for one in search.places if not _lies_in(one.path, stale)))
        again = before is not None and before.has_member(member)
        person = find(search, member)
        held = holds_files((place.path for place in search.places), epochs)
        unknown = not again and not person.total and not held_pieces(held, member)
        # Nothing is changed for somebody who may be mistyped; where nobody can tell, that is said.
        dry_run = dry_run or unknown
        result = Erasure(member, again, not unknown, acts=len(person.whose.acts), records=len(person.records))
        result.searched = person.whose.distinctive
        result.removed = list(map(str, stale))
        result.accounts = sorted(map(checksum_address, person.accounts))
        if epochs is not None:
            result.published = sum(1 for _ in published_of(epochs, person.accounts))
        if not dry_run and person.total:
            _remember(before or new_erased(), person, erased_file)
        if not dry_run:
            for path in stale:
                _remove(path)
        # The holds next: their acts and released records join the list before any row is gone.
        rows = (place.path for place in search.places if place.kind is Kind.ROWS)
        tables = [path for path in rows if is_activity(path)] if held else []
        gone = erase_held(held, member, erased_file, tables=tables, epochs=epochs, dry_run=dry_run)
        result.changed |= {str(path): count for path, count in gone.items()}
        # What a later step needs to know stands in files that are changed later: if this is interrupted,
        # erasing again still finds it.
        apart = {path.resolve() for path in held}  # done already, in their own way
        others = (one for one in search.places if one.path.resolve() not in apart)
        order = replace(search, places=tuple(sorted(others, key=lambda one: _ORDER[one.kind])))
        traces = Traces(person.whose.names, person.whose.acts, before)
        for source in order.sources():
            _erase_from(source, search, person, marks, result, traces if dry_run else None)
        if not dry_run:
            search.say("looking for what may be left")
            paths = {place.path.resolve() for place in search.places}
            beside = [Place(path, Kind.OTHER) for path in held if path.resolve() not in paths]
            rest = (*(place for place in search.places if place.path.exists()), *beside)
            result.left = what_is_left(replace(search, places=rest), traces)
        if unknown and result.proved:
            require_known(person)
        result.unseen = traces.unseen
    return result


def _with_holds(search: Search, epochs: Path | None) -> Search:
    """Return a search that looks into the oracle's holds too: they lie beside the epochs and name members."""
    holds = None if epochs is None else default_path(epochs)
    if holds is None or not holds.is_file() or any(one.path.samefile(holds) for one in search.places):
        return search
    return replace(search, places=(*search.places, *places([holds])))


def what_is_left(search: Search, traces: Traces) -> dict[str, int]:
    """Return the files in which anything that is looked for still stands, with how often."""
    left: dict[str, int] = {}
    for source in search.sources():
        count = traces.in_file(source.plain, place=source.place.path)
        if count:
            left[str(source.place.path)] = count
    return left


def _remember(before: Erased, person: Person, path: Path) -> None:
    after = before.with_person(person.whose.member, person.whose.acts, person.records)
    for alias in person.whose.aliases:
        after = after.with_person(alias, (), ())
    write_erased(after, path)


def _erase_from(
    source: Source, search: Search, person: Person, marks: Marks, result: Erasure, dry: Traces | None
) -> None:
    """Erase a person from a file; with ``dry``, look what would be left in it instead."""
    dry_run = dry is not None
    left = 0
    where, column = str(source.place.path), search.column_of(source)
    unclear = ""
    if source.kind is Kind.ROWS:
        unclear = unclear_rows(source.plain, search.mapping, person.whose, column)
        if not result.guessable and is_activity(source.plain):
            result.guessable = _is_public(source.plain, person.whose.names)
        # A file the oracle reads lies where it reads it: a sealed one is no feed.
        mark = marks.of(source.plain)
        new = without(
            source.plain,
            person.whose.owns,
            mapping=search.mapping,
            whose=person.whose,
            mark=mark,
            column=column,
        )
        if dry is not None:
            try:
                left = dry.in_file(new.part or source.plain, place=source.place.path)
            finally:
                new.discard()
        else:
            marks.move(new.mark)
            new.replace()
        count, result.redacted = len(new.dropped), result.redacted + new.redacted
        touched = bool(count or new.redacted)
    elif source.kind in (Kind.MEMBERS, Kind.ALIASES, Kind.REJECTS, Kind.RECORDS):
        cut = _cut(source, person, column)
        if source.kind is Kind.ALIASES and result.unclear and not all(map(distinctive, person.whose.aliases)):
            # Without this file nobody would know any more what may be left: the next run would be content.
            cut = _Cut(0, None, unclear=_ALIASES_WAIT)
        count, unclear, touched = cut.count, cut.unclear, cut.content is not None
        result.redacted += cut.redacted
        if dry is not None and cut.content is None:
            left = dry.in_file(source.plain, place=source.place.path)
        elif dry is not None and cut.content is not None:
            left = dry.in_bytes(cut.content) + dry.in_name(source.place.path.name)
        elif cut.content is not None:
            _replace(source.plain, cut.content)
    elif source.kind is Kind.TEXT:
        count = int(is_their_text(source.plain, person))
        touched = bool(count)
        if count and not dry_run:
            source.plain.unlink()
        elif dry is not None and not count:
            left = dry.in_file(source.plain, place=source.place.path)
    else:
        count, touched = 0, False
        left = 0 if dry is None else dry.in_file(source.plain, place=source.place.path)
    if left:
        result.left[where] = left
    if unclear:
        result.unclear[where] = unclear
    if count:
        result.changed[where] = count
    if touched and source.place.kind is Kind.SEALED and not dry_run:
        if search.ring is None or not source.plain.exists():
            source.place.path.unlink()
        else:
            seal(source.plain, source.place.path, search.ring, name=read_header(source.place.path).name)


@dataclass(frozen=True)
class _Cut:
    """What goes of a file nobody remembers by its bytes, and what it is then: ``None`` if it stays."""

    count: int
    content: bytes | None
    redacted: int = 0
    unclear: str = ""


def _cut(source: Source, person: Person, column: str | None) -> _Cut:
    if source.kind is not Kind.RECORDS:
        return _without_lines(source, person)
    done = without_records(source.plain, person.whose, column)
    return _Cut(len(done.theirs), done.content, done.redacted, done.unclear)


def _without_lines(source: Source, person: Person) -> _Cut:
    """Take lines out of a members, alias or rejects file."""
    import csv
    import io

    whose = person.whose
    doubts = Doubts()

    def theirs(cells: list[str]) -> bool:
        if source.kind is Kind.MEMBERS:
            found, ids = bool(cells) and cells[0].strip() in whose.names, cells[:1]
        elif source.kind is Kind.ALIASES:
            found, ids = is_their_alias(cells, whose), cells[:2]
        else:
            found = cells != list(REJECT_COLUMNS) and is_their_reject(cells, whose)
            ids = [] if found or not cells else called_in_reject(cells[-1])
        for one in ids:
            if not found and equals(one, whose.names):
                doubts.add(one)
        return found

    with open_input(source.plain) as binary:
        content = binary.read().decode("utf-8", "surrogateescape")
    taken: list[str] = []

    def lines() -> Iterator[str]:
        for line in io.StringIO(content, newline=""):
            taken.append(line)
            yield line

    kept: list[str] = []
    gone = 0
    for number, cells in enumerate(csv.reader(lines())):
        if number and theirs(cells):
            gone += 1
        else:
            kept.extend(taken)
        taken.clear()
    new = "".join(kept).encode("utf-8", "surrogateescape")
    unclear = doubts.told("ids")
    if not gone:
        return _Cut(0, None, unclear=unclear)
    return _Cut(gone, gzip.compress(new, mtime=0) if is_packed(source.plain) else new, unclear=unclear)


def _lies_in(path: Path, folders: Iterable[Path]) -> bool:
    resolved = path.resolve()
    return any(resolved.is_relative_to(folder) for folder in folders)


def _remove(path: Path) -> None:
    try:
        remove(path)
    except OSError as error:
        raise AttentionError(f"cannot be removed: {error.strerror}", where=str(path)) from error


def _replace(path: Path, content: bytes) -> None:
    try:
        write_whole(path, content, mode=path.stat().st_mode & 0o777, sync=True)
    except OSError as error:
        raise AttentionError(f"cannot be rewritten: {error.strerror}", where=str(path)) from error


def _is_public(path: Path, names: frozenset[str]) -> bool:
    """Tell whether a member's records are salted with the key everybody knows."""
    from timebank_chain.activity import read_activity

    table = read_activity(path)
    for row, record in enumerate(canonical_records(table)):
        if table.member[row] in names:
            return bool(table.salt[row].tobytes() == salt_of(PUBLIC_SALT_KEY, record))
    return False
