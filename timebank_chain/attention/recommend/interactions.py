"""Who took what and when: the one table every ranker learns from, and how it is cut in time.

A row says that a member took an item (answered a question, ordered an offer, thanked a member). Columns of
a file: ``member``, ``object`` (or ``item``), ``at_ms`` (or ``at``: ISO 8601 with its zone), and where there
are any ``kind`` (``activity``, ``offer``, ``member``; default ``activity``) and ``value`` (how good it
was) and ``maker`` (whose it is: nobody is shown their own). A row without a member announces an item that
nobody need have taken yet.
"""

from __future__ import annotations

import csv
import hashlib
import math
import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from timebank_chain.activity.sources.dump_xml import xml_rows
from timebank_chain.errors import AttentionError, TimebankError
from timebank_chain.units import format_time, parse_time

ACTIVITY, OFFER, MEMBER = "activity", "offer", "member"
KINDS = (ACTIVITY, OFFER, MEMBER)
#: Longest name of a member or item; a longer one is no name.
MAX_NAME = 512
_ANSWER, _QUESTION = "2", "1"
#: A member as `timebank ingest stackexchange` names them; the site is the ingester's word, not the dump's.
_ACTIVITY_NAME = re.compile(r"stackexchange:[^:]+:(?P<user>\d+)")


@dataclass(frozen=True)
class Interactions:
    """Rows in order of time, ties as they were read.

    ``member`` and ``item`` are int32 positions in ``members`` and ``items``; ``at_ms`` is int64 Unix
    milliseconds; ``value`` float64, NaN where a source gives none. ``kinds`` and ``offered`` (announced,
    be it that nobody took it) have one entry an item. ``makers`` has the position in ``members`` of who made
    an item, -1 where nobody is known: nobody is shown their own.
    """

    members: tuple[str, ...]
    items: tuple[str, ...]
    kinds: tuple[str, ...]
    offered: NDArray[np.bool_]
    makers: NDArray[np.int32]
    member: NDArray[np.int32]
    item: NDArray[np.int32]
    at_ms: NDArray[np.int64]
    value: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.at_ms)

    def where(self, rows: NDArray[np.bool_]) -> Interactions:
        """Return some of the rows under the same names."""
        return Interactions(
            self.members,
            self.items,
            self.kinds,
            self.offered,
            self.makers,
            self.member[rows],
            self.item[rows],
            self.at_ms[rows],
            self.value[rows],
        )

    def under(self, items: Sequence[str], kinds: Sequence[str]) -> Interactions:
        """Return the same rows with the given items first, in their order, then those of its own."""
        at = {pair: place for place, pair in enumerate(zip(kinds, items, strict=True))}
        places = np.array(
            [at.setdefault(pair, len(at)) for pair in zip(self.kinds, self.items, strict=True)],
            dtype=np.int32,
        )
        offered = np.zeros(len(at), dtype=np.bool_)
        offered[places[self.offered]] = True
        makers = np.full(len(at), -1, dtype=np.int32)
        makers[places] = self.makers
        return Interactions(
            self.members,
            tuple(name for _, name in at),
            tuple(kind for kind, _ in at),
            offered,
            makers,
            self.member,
            places[self.item],
            self.at_ms,
            self.value,
        )

    def taken(self) -> NDArray[np.int64]:
        """Return by item how many members took it."""
        pairs = np.unique(self.member.astype(np.int64) * len(self.items) + self.item)
        return np.bincount(pairs % len(self.items), minlength=len(self.items)).astype(np.int64)

    def position(self, member: str) -> int | None:
        """Return where a member stands in ``members``, if anywhere."""
        return self.members.index(member) if member in self.members else None

    def data_hash(self) -> str:
        """Return SHA-256 over all rows, names spelled out: what a model was learned from."""
        digest = hashlib.sha256(b"timebank.interactions/1\n")
        for member, item, at, value in zip(self.member, self.item, self.at_ms, self.value, strict=True):
            name, kind = self.items[item], self.kinds[item]
            digest.update(f"{self.members[member]}\t{kind}\t{name}\t{at}\t{float(value)!r}\n".encode())
        return digest.hexdigest()


class Split(Protocol):
    """A way to cut interactions into a past and what came after it."""

    def held(self, interactions: Interactions) -> NDArray[np.bool_]:
        """Return which rows came after."""
        ...


@dataclass(frozen=True)
class LastOfEach:
    """The last ``count`` rows of every member came after; members with no more than that have no past.

    No moment lies between past and after: of a member who left early, others' later rows are learned from.
    """

    count: int = 5

    def held(self, interactions: Interactions) -> NDArray[np.bool_]:
        """Return which rows came after."""
        held = np.zeros(len(interactions), dtype=np.bool_)
        # Rows are in order of time, so a stable sort by member keeps each member's own order.
        order = np.argsort(interactions.member, kind="stable")
        of = interactions.member[order]
        ends = np.searchsorted(of, of, side="right")
        held[order[ends - np.arange(len(of)) <= self.count]] = True
        return held

    def __str__(self) -> str:
        return f"last {self.count} of each member, with a look at other members' later rows"


@dataclass(frozen=True)
class TimeShare:
    """The latest part of all rows came after: one moment for everybody, so nothing is learned ahead of it."""

    share: float = 0.2

    def held(self, interactions: Interactions) -> NDArray[np.bool_]:
        """Return which rows came after."""
        if not len(interactions):
            return np.zeros(0, dtype=np.bool_)
        first = min(math.floor(len(interactions) * (1 - self.share)), len(interactions) - 1)
        after: NDArray[np.bool_] = interactions.at_ms >= interactions.at_ms[first]
        return after

    def __str__(self) -> str:
        return f"latest {self.share:.0%} of all"


class _Builder:
    """Collects rows in any order."""

    def __init__(self) -> None:
        self.members: dict[str, int] = {}
        self.items: dict[tuple[str, str], int] = {}
        self.member, self.item, self.at = array("i"), array("i"), array("q")
        self.value = array("d")
        self.offered: set[int] = set()
        self.makers: dict[tuple[str, str], str] = {}

    def announce(self, kind: str, item: str) -> None:
        self.offered.add(self.items.setdefault((kind, item), len(self.items)))

    def made(self, kind: str, item: str, maker: str) -> None:
        self.makers[kind, item] = maker

    def add(self, member: str, kind: str, item: str, at_ms: int, value: float = math.nan) -> None:
        self.member.append(self.members.setdefault(member, len(self.members)))
        self.item.append(self.items.setdefault((kind, item), len(self.items)))
        self.at.append(at_ms)
        self.value.append(value)

    def finish(self, source: str) -> Interactions:
        if not self.at:
            raise AttentionError(
                "there is nobody who took anything", where=source, hint="give a file with rows"
            )
        at = np.frombuffer(self.at, dtype=np.int64)
        order = np.argsort(at, kind="stable")
        offered = np.zeros(len(self.items), dtype=np.bool_)
        offered[list(self.offered)] = True
        makers = [
            self.members.get(name if kind == MEMBER else self.makers.get((kind, name), ""), -1)
            for kind, name in self.items
        ]
        return Interactions(
            tuple(self.members),
            tuple(name for _, name in self.items),
            tuple(kind for kind, _ in self.items),
            offered,
            np.array(makers, dtype=np.int32),
            np.frombuffer(self.member, dtype=np.int32)[order],
            np.frombuffer(self.item, dtype=np.int32)[order],
            at[order],
            np.frombuffer(self.value, dtype=np.float64)[order],
        )


def dump_name(member: str) -> str:
    """Return a dump's name of whom activity tables call ``stackexchange:<site>:<id>``; others as they are."""
    found = _ACTIVITY_NAME.fullmatch(member)
    return found["user"] if found else member


def read_interactions(path: Path | str, *, now_ms: int | None = None) -> Interactions:
    """Read a CSV or Parquet file of interactions, or a Stack Exchange dump's folder.

    Parameters
    ----------
    path
        The file or folder.
    now_ms
        The present, Unix milliseconds: later rows of a file are refused. ``None`` does not ask.

    Raises
    ------
    AttentionError
        If it cannot be read, a column lacks, or a row is wrong: row and column are named.
    """
    path = Path(path)
    if path.is_dir():
        return read_dump(path)
    builder = _Builder()
    for where, row in _parquet_rows(path) if path.suffix == ".parquet" else _csv_rows(path):
        member, kind, item, at_ms, value = _checked(row, where, now_ms)
        if row.get("maker"):
            builder.made(kind, item, _name(row["maker"], "maker", where))
        if member:
            builder.add(member, kind, item, at_ms, value)
        else:
            builder.announce(kind, item)
    return builder.finish(str(path))


def read_dump(folder: Path | str) -> Interactions:
    """Read a Stack Exchange dump: who answered or commented on which question, and on whose post.

    A member takes the *activity* ``question:<id>`` and the *member* who asked or answered. Deleted users
    and what people do under their own posts are left out.

    Raises
    ------
    AttentionError
        If the folder is no dump; what its files lack is the dump reader's own error.
    """
    folder = Path(folder)
    posts = _dump_file(folder, "Posts.xml")
    question_of: dict[str, str] = {}
    owner_of: dict[str, str] = {}
    acts: list[tuple[str, str, str]] = []
    for _, row in xml_rows(posts, "posts"):
        number, owner, kind = row.get("Id", ""), row.get("OwnerUserId", ""), row.get("PostTypeId", "")
        if kind not in {_QUESTION, _ANSWER}:
            continue
        question_of[number] = number if kind == _QUESTION else row.get("ParentId", "")
        owner_of[number] = owner
        if kind == _ANSWER:
            acts.append((owner, row.get("ParentId", ""), row.get("CreationDate", "")))
    for _, row in xml_rows(_dump_file(folder, "Comments.xml"), "comments"):
        acts.append((row.get("UserId", ""), row.get("PostId", ""), row.get("CreationDate", "")))
    builder = _Builder()
    for number, question in question_of.items():
        if number == question:
            builder.made(ACTIVITY, f"question:{number}", owner_of[number])
    for who, post, when in acts:
        owner = owner_of.get(post, "")
        if not who or who == "-1" or post not in question_of or who == owner or not when:
            continue
        at = int(parse_time(when + "Z"))
        builder.add(who, ACTIVITY, f"question:{question_of[post]}", at)
        if owner and owner != "-1":
            builder.add(who, MEMBER, owner, at)
    return builder.finish(str(folder))


def _dump_file(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.exists():
            return path
    raise AttentionError(
        f"no {name} in the folder",
        where=str(folder),
        hint="give a CSV or Parquet file, or the folder of a dump",
    )


def _csv_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [cell.strip() for cell in next(reader, [])]
            _check_columns(header, str(path))
            for cells in reader:
                where = f"{path}:{reader.line_num}"
                if len(cells) != len(header):
                    raise AttentionError(
                        f"{len(cells)} cells where the header has {len(header)}", where=where
                    )
                yield where, dict(zip(header, cells, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise AttentionError(f"cannot be read: {error}", where=str(path)) from error


def _parquet_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            _check_columns(file.schema_arrow.names, str(path))
            wanted = [name for name in _COLUMNS if name in file.schema_arrow.names]
            number = 0
            for batch in file.iter_batches(columns=wanted):
                for row in batch.to_pylist():
                    yield (
                        f"{path}, row {number}",
                        {name: row[name] for name in wanted if row[name] is not None},
                    )
                    number += 1
    except (OSError, pa.ArrowException) as error:
        raise AttentionError(f"cannot be read: {error}", where=str(path)) from error


_COLUMNS = ("member", "object", "item", "at_ms", "at", "kind", "value", "maker")


def _check_columns(names: Sequence[str], where: str) -> None:
    for wanted in (("member",), ("object", "item"), ("at_ms", "at")):
        if not any(name in names for name in wanted):
            raise AttentionError(
                f"no column {' or '.join(wanted)}",
                where=where,
                hint="columns: member, object (or item), at_ms (or at); kind, value, maker if there are any",
            )


def _checked(row: dict[str, Any], where: str, now_ms: int | None) -> tuple[str, str, str, int, float]:
    member = _name(row.get("member") or "", "member", where, least=0)
    item = _name(row.get("object", row.get("item")), "object", where)
    kind = str(row.get("kind") or ACTIVITY)
    if kind not in KINDS:
        raise AttentionError(
            f"{kind!r} is no kind", where=f"{where}, column 'kind'", hint=f"kinds: {', '.join(KINDS)}"
        )
    value = _value(row.get("value"), where)
    if not member and not math.isnan(value):
        raise AttentionError(
            "a value, and nobody who gave it",
            where=f"{where}, column 'member'",
            hint="name the member; a row that only announces an item has neither",
        )
    return member, kind, item, _time(row, where, now_ms), value


def _name(value: object, column: str, where: str, *, least: int = 1) -> str:
    text = "" if value is None else str(value).strip()
    if not least <= len(text) <= MAX_NAME or not text.isprintable():
        raise AttentionError(
            f"{text[:40]!r} is no name ({least} to {MAX_NAME} printable characters)",
            where=f"{where}, column '{column}'",
        )
    return text


def _time(row: dict[str, Any], where: str, now_ms: int | None) -> int:
    text = str(row.get("at_ms", "")).strip()
    try:
        at = int(text) if text else int(parse_time(str(row.get("at", ""))))
    except (ValueError, TimebankError) as error:
        raise AttentionError(
            f"no time: {error}", where=f"{where}, column '{'at_ms' if text else 'at'}'"
        ) from error
    if not 0 <= at < 1 << 48:
        raise AttentionError(f"{at} is no time in Unix milliseconds", where=f"{where}, column 'at_ms'")
    if now_ms is not None and at > now_ms:
        raise AttentionError(
            f"time in the future: {format_time(at)}",
            where=f"{where}, column '{'at_ms' if text else 'at'}'",
            hint="times are Unix milliseconds, or ISO 8601 with a zone",
        )
    return at


def _value(value: object, where: str) -> float:
    text = "" if value is None else str(value).strip()
    if not text:
        return math.nan
    try:
        number = float(text)
    except ValueError:
        number = math.inf
    if not math.isfinite(number):
        raise AttentionError(f"{text!r} is no finite number", where=f"{where}, column 'value'")
    return number
