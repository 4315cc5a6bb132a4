"""What the monitor remembers between two looks and over a restart: what it said, and what nobody heard yet.

One small file (``timebank.attention.monitor.state/2``; version 1, without members and undelivered warnings,
is read too). Members are bounded by the newest `MAX_MEMBERS`, undelivered warnings by `MAX_PENDING` a sink.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from timebank_chain.attention.monitor.detect import KINDS
from timebank_chain.documents import TooDeep, TooLarge, parse_json, read_small, write_whole
from timebank_chain.errors import AttentionError
from timebank_chain.units import MAX_TIME_MS

STATE_SCHEMA = "timebank.attention.monitor.state/2"
_READ_SCHEMAS = (STATE_SCHEMA, "timebank.attention.monitor.state/1")
_MAX_STATE_BYTES = 8 << 20
#: Most members whose last warning is remembered; of more, the oldest are forgotten and may be said again.
MAX_MEMBERS = 1_000
#: Most warnings kept for a sink that does not take them; of more, the oldest are dropped.
MAX_PENDING = 200


@dataclass(slots=True)
class Mark:
    """What was said of one kind, or one member.

    Attributes
    ----------
    warned_ms
        When what was last warned of happened, Unix milliseconds.
    seen_ms
        When what was last seen, warned of or kept back, happened.
    kept
        How many were kept back since the warning.
    """

    warned_ms: int
    seen_ms: int
    kept: int = 0


@dataclass
class State:
    """What is remembered.

    Attributes
    ----------
    path
        Where; ``None``: nowhere, and it ends with the process.
    kinds, members
        What was said, by kind of finding and by member.
    pending
        Warnings a sink did not take, by its name, oldest first.
    """

    path: Path | None = None
    kinds: dict[str, Mark] = field(default_factory=dict)
    members: dict[str, Mark] = field(default_factory=dict)
    pending: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    _written: dict[str, Any] | None = None

    @classmethod
    def load(cls, path: Path | None) -> State:
        """Read the file; where there is none, nothing was said.

        Raises
        ------
        AttentionError
            If the file is there and is not one of these.
        """
        made = cls(path)
        if path is None or not path.exists():
            return made
        try:
            document = parse_json(read_small(path, _MAX_STATE_BYTES))
            if document["schema"] not in _READ_SCHEMAS:
                raise ValueError(f"schema {document['schema']!r}")
            for kind, entry in document["kinds"].items():
                if kind not in KINDS:
                    raise ValueError(f"kind {kind!r}")
                made.kinds[kind] = _mark(entry)
            if document["schema"] == STATE_SCHEMA:
                made.members = {who: _mark(entry) for who, entry in document["members"].items()}
                made.pending = {sink: _warnings(sink, kept) for sink, kept in document["pending"].items()}
        except (OSError, TooLarge, TooDeep, ValueError, KeyError, TypeError, AttributeError) as error:
            raise AttentionError(
                f"not a state of the monitor: {error}",
                where=str(path),
                hint="remove it; what was warned of may then be said once more",
            ) from error
        return made

    def save(self) -> None:
        """Write the file in one step, if anything changed since it was written.

        Raises
        ------
        AttentionError
            If it cannot be written.
        """
        if self.path is None:
            return
        newest = sorted(self.members.items(), key=lambda item: (-item[1].warned_ms, item[0]))[:MAX_MEMBERS]
        document = {
            "schema": STATE_SCHEMA,
            "kinds": {kind: _entry(mark) for kind, mark in sorted(self.kinds.items())},
            "members": {who: _entry(mark) for who, mark in sorted(newest)},
            "pending": {sink: list(kept) for sink, kept in sorted(self.pending.items()) if kept},
        }
        if document != self._written:
            write_document(self.path, document)
            self._written = document


def write_document(path: Path, document: dict[str, Any]) -> None:
    """Write a JSON document in one step: whoever reads sees the old one or the new one.

    Raises
    ------
    AttentionError
        If it cannot be written.
    """
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    try:
        write_whole(path, text, mode=0o600, sync=True)
    except OSError as error:
        raise AttentionError(
            f"cannot be written: {error.strerror}", where=str(path), hint="name a folder you may write to"
        ) from error


def _entry(mark: Mark) -> dict[str, int]:
    return {"warnedMs": mark.warned_ms, "seenMs": mark.seen_ms, "suppressed": mark.kept}


def _mark(entry: Any) -> Mark:
    return Mark(*(_number(entry, name) for name in ("warnedMs", "seenMs", "suppressed")))


def _number(entry: Any, name: str) -> int:
    value = entry[name]
    if type(value) is not int or not 0 <= value <= MAX_TIME_MS:
        raise ValueError(f"field {name!r} is {value!r}")
    return value


def _warnings(sink: str, kept: Any) -> list[dict[str, Any]]:
    if not isinstance(kept, list) or len(kept) > MAX_PENDING:
        raise ValueError(f"what {sink!r} did not take is no list of at most {MAX_PENDING}")
    if not all(isinstance(one, dict) and isinstance(one.get("message"), str) for one in kept):
        raise ValueError(f"what {sink!r} did not take are no warnings")
    return kept
