"""What the columns of a table are: a small JSON document, or the options of the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from timebank_chain.attention.model.dataset import LOG1P, TRANSFORMS
from timebank_chain.documents import TooLarge, parse_json, read_small
from timebank_chain.errors import AttentionError
from timebank_chain.units import parse_duration

SCHEMA = "timebank.attention.task/1"
#: How a time is written: ISO-8601 with a zone or a date (UTC), Unix ms or s, days since 1970, or how many
#: days old a row was when the table was made.
TIME_KINDS = ("iso", "ms", "s", "days", "age_days")
#: A feature known when the post appears.
AT_POSTING = "posting"
#: Every other column whose cells are numbers.
ALL = "*"
NONE = "0s"
#: Most columns of one kind.
MOST_COLUMNS = 2_000

_MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Task:
    """What a table's columns mean.

    Parameters
    ----------
    time
        Column telling when a row was posted, written as ``time_kind`` says.
    target
        Column of the attention received, ``transform`` as it is modelled.
    known_after
        How long after posting the target was counted (``7d``); ``0s``: not stated.
    id
        Column that names a row; without it rows are numbered.
    numeric, categorical, text_length
        Columns to learn from. ``numeric`` may be ``*``. Of a text only its length is used.
    available
        When a column's value is known: ``posting`` (the default), a duration after it (``7d``), or
        ``column:NAME`` where another column says it row by row, written as the time is.
    ignore
        Columns left out of ``*``; none that is named to be learned from.
    limits
        Sentences for the model card.
    """

    time: str
    target: str
    time_kind: str = "iso"
    transform: str = LOG1P
    known_after: str = NONE
    id: str | None = None
    numeric: tuple[str, ...] = (ALL,)
    categorical: tuple[str, ...] = ()
    text_length: tuple[str, ...] = ()
    available: Mapping[str, str] = field(default_factory=dict)
    ignore: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.time_kind not in TIME_KINDS:
            raise AttentionError(
                f"unknown kind of time {self.time_kind!r:.40}", hint=f"use one of {', '.join(TIME_KINDS)}"
            )
        if self.transform not in TRANSFORMS:
            raise AttentionError(
                f"unknown transform {self.transform!r:.40}", hint=f"use one of {', '.join(TRANSFORMS)}"
            )
        duration(self.known_after)
        for column, when in self.available.items():
            if when != AT_POSTING and not when.startswith("column:"):
                try:
                    duration(when)
                except AttentionError as error:
                    raise AttentionError(
                        f"column {column!r} is available {when!r:.40}: not a time",
                        hint="say posting, a duration like 7d, or column:NAME",
                    ) from error
        named = [*self.numeric, *self.categorical, *self.text_length]
        for name in named:
            if named.count(name) > 1:
                raise AttentionError(f"column {name!r:.80} is named twice", hint="name each feature once")
            if name in self.ignore:
                raise AttentionError(
                    f"column {name!r:.80} is both named to be learned from and ignored",
                    hint="say one of the two",
                )
            if name in {self.time, self.target} and name != ALL:
                raise AttentionError(
                    f"column {name!r:.80} is the {'time' if name == self.time else 'target'}, not a feature"
                )

    def to_json(self) -> dict[str, Any]:
        """Return the document a file would hold."""
        return {
            "schema": SCHEMA,
            "time": {"column": self.time, "kind": self.time_kind},
            "target": {
                "column": self.target,
                "transform": self.transform,
                "known_after": self.known_after,
            },
            "id": self.id,
            "numeric": list(self.numeric),
            "categorical": list(self.categorical),
            "text_length": list(self.text_length),
            "available": dict(self.available),
            "ignore": list(self.ignore),
            "limits": list(self.limits),
        }


def lengths_of(text: str) -> tuple[str, str]:
    """Return the names of the two features made of a text column."""
    return f"{text}:characters", f"{text}:words"


def duration(text: str) -> int:
    """Read a duration in ms; ``0s`` is none.

    Raises
    ------
    AttentionError
        If it is none.
    """
    try:
        return 0 if text == NONE else int(parse_duration(text))
    except ValueError as error:
        raise AttentionError(str(error), hint="write 7d, 12h or 0s") from None


def read_task(path: Path) -> Task:
    """Read a task file.

    Raises
    ------
    AttentionError
        If it cannot be read, or is no `timebank.attention.task/1` document.
    """
    try:
        document = parse_json(read_small(path, _MAX_BYTES))
    except OSError as error:
        raise AttentionError(f"cannot read the task: {error.strerror}", where=str(path)) from error
    except (TooLarge, ValueError) as error:
        raise AttentionError(f"no task document: {error}", where=str(path)) from error
    try:
        return task_from_json(document)
    except AttentionError as error:
        raise AttentionError(error.message, hint=error.hint, where=error.where or str(path)) from error


def task_from_json(document: object) -> Task:
    """Read a task document.

    Raises
    ------
    AttentionError
        Naming the field, if one is missing, unknown or of the wrong type.
    """
    body = _fields(
        document,
        "",
        {"schema", "time", "target"},
        {"id", "numeric", "categorical", "text_length", "available", "ignore", "limits"},
    )
    if body["schema"] != SCHEMA:
        raise AttentionError(
            f"schema {body['schema']!r:.60}, this version reads {SCHEMA!r}", hint="make the task anew"
        )
    time = _fields(body["time"], "time", {"column"}, {"kind"})
    target = _fields(body["target"], "target", {"column"}, {"transform", "known_after"})
    available = _fields(body.get("available", {}), "available", set(), None)
    name = body.get("id")
    return Task(
        time=_text(time["column"], "time.column"),
        time_kind=_text(time.get("kind", "iso"), "time.kind"),
        target=_text(target["column"], "target.column"),
        transform=_text(target.get("transform", LOG1P), "target.transform"),
        known_after=_text(target.get("known_after", NONE), "target.known_after"),
        id=None if name is None else _text(name, "id"),
        numeric=_names(body.get("numeric", [ALL]), "numeric"),
        categorical=_names(body.get("categorical", []), "categorical"),
        text_length=_names(body.get("text_length", []), "text_length"),
        available={column: _text(when, f"available.{column}") for column, when in available.items()},
        ignore=_names(body.get("ignore", []), "ignore"),
        limits=_names(body.get("limits", []), "limits"),
    )


def _fields(document: object, place: str, needed: set[str], optional: set[str] | None) -> dict[str, Any]:
    where = f"field {place!r}" if place else None
    if not isinstance(document, dict):
        raise AttentionError("not a JSON object", where=where)
    missing = needed - set(document)
    if missing:
        raise AttentionError(f"missing: {', '.join(sorted(missing))}", where=where)
    unknown = set(document) - needed - (set(document) if optional is None else optional)
    if unknown:
        raise AttentionError(f"unknown: {', '.join(sorted(str(one)[:60] for one in unknown))}", where=where)
    return cast("dict[str, Any]", document)


def _text(value: object, place: str) -> str:
    if not isinstance(value, str) or not value:
        raise AttentionError("not a text", where=f"field {place!r}")
    return value


def _names(value: object, place: str) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > MOST_COLUMNS:
        raise AttentionError(f"not a list of at most {MOST_COLUMNS} names", where=f"field {place!r}")
    return tuple(_text(one, place) for one in value)
