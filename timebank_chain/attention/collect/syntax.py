"""The small forms the standards share: IRIs, language tags, times, durations, UUIDs; and faults with a path.

A fault names the place as a JSON path (``$.actor.member[1].mbox``), so that whoever wrote the document finds
it at once. Nothing here looks anything up: a form is right or wrong by itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from timebank_chain.units import MAX_TIME_MS

#: RFC 3987: a scheme, a colon, something after it; never spaces, controls, quotes or angle brackets.
_IRI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s\x00-\x20\x7f<>\"{}|\\^`]+")
_REFERENCE = re.compile(r"[^\s\x00-\x20\x7f<>\"{}|\\^`]+")
#: RFC 5646, section 2.1, well-formedness; irregular grandfathered tags are not taken.
_LANGUAGE = re.compile(
    r"(?:(?:[a-z]{2,3}(?:-[a-z]{3}){0,3}|[a-z]{4}|[a-z]{5,8})"
    r"(?:-[a-z]{4})?(?:-(?:[a-z]{2}|[0-9]{3}))?"
    r"(?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*"
    r"(?:-[0-9a-wyz](?:-[a-z0-9]{2,8})+)*"
    r"(?:-x(?:-[a-z0-9]{1,8})+)?"
    r"|x(?:-[a-z0-9]{1,8})+)",
    re.IGNORECASE,
)
_RFC_UUID = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.IGNORECASE
)
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+*-]+(?:\s*;.*)?")
#: ISO 8601:2004, 4.4.3.2, the format with designators; weeks stand alone, the last part may be a fraction.
_DURATION = re.compile(
    r"P(?=[0-9T])(?:(?P<weeks>[0-9]+(?:[.,][0-9]+)?)W"
    r"|(?:(?P<years>[0-9]+(?:[.,][0-9]+)?)Y)?(?:(?P<months>[0-9]+(?:[.,][0-9]+)?)M)?"
    r"(?:(?P<days>[0-9]+(?:[.,][0-9]+)?)D)?"
    r"(?:T(?=[0-9])(?:(?P<hours>[0-9]+(?:[.,][0-9]+)?)H)?(?:(?P<minutes>[0-9]+(?:[.,][0-9]+)?)M)?"
    r"(?:(?P<seconds>[0-9]+(?:[.,][0-9]+)?)S)?)?)"
)
#: Average Gregorian year and month: a calendar duration has no length of its own.
_SECONDS = {
    "weeks": Decimal(604_800),
    "years": Decimal(31_556_952),
    "months": Decimal(2_629_746),
    "days": Decimal(86_400),
    "hours": Decimal(3_600),
    "minutes": Decimal(60),
    "seconds": Decimal(1),
}
_TIME = re.compile(
    r"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})[Tt]"
    r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]{1,30}))?)?"
    r"(?P<zone>[Zz]|[+-][0-9]{2}(?::?[0-9]{2})?)?"
)
_BASIC_TIME = re.compile(
    r"(?P<year>[0-9]{4})(?P<month>[0-9]{2})(?P<day>[0-9]{2})[Tt]"
    r"(?P<hour>[0-9]{2})(?P<minute>[0-9]{2})(?:(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]{1,30}))?)?"
    r"(?P<zone>[Zz]|[+-][0-9]{2}(?:[0-9]{2})?)?"
)
_KEY = re.compile(r"[A-Za-z_@][\w@]*")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHOWN = 60
#: Texts longer than this are no identifier, time or tag; patterns need not look at them.
_MAX_FORM = 8_192


class Fault(ValueError):
    """A document is not what its standard asks for.

    Attributes
    ----------
    path
        Where, as a JSON path from ``$``.
    problem
        What is wrong there.
    """

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem


def shown(value: object) -> str:
    """Return a value as it may stand in a message: short, on one line."""
    text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def is_iri(text: object) -> bool:
    """Tell whether a text is an absolute IRI (RFC 3987)."""
    return isinstance(text, str) and len(text) <= _MAX_FORM and _IRI.fullmatch(text) is not None


def is_reference(text: object) -> bool:
    """Tell whether a text is a URI reference (RFC 3986), absolute or relative, and not empty."""
    return isinstance(text, str) and len(text) <= _MAX_FORM and _REFERENCE.fullmatch(text) is not None


def is_language_tag(text: object) -> bool:
    """Tell whether a text is a well-formed language tag (RFC 5646).

    >>> is_language_tag("zh-Hans"), is_language_tag("de-419-DE")
    (True, False)
    """
    return isinstance(text, str) and len(text) <= 255 and _LANGUAGE.fullmatch(text) is not None


def is_uuid(text: object) -> bool:
    """Tell whether a text is a UUID of RFC 4122's variant and a version from 1 to 8."""
    return isinstance(text, str) and _RFC_UUID.fullmatch(text) is not None


def is_media_type(text: object) -> bool:
    """Tell whether a text is a media type with or without parameters (RFC 2046)."""
    return isinstance(text, str) and len(text) <= _MAX_FORM and _MEDIA_TYPE.fullmatch(text) is not None


def duration_seconds(text: object) -> Decimal | None:
    """Return the seconds of an ISO 8601 duration, ``None`` when it is none.

    A year counts 365.2425 days, a month a twelfth of it.

    >>> duration_seconds("PT1H30M")
    Decimal('5400')
    """
    if not isinstance(text, str) or len(text) > 255:
        return None
    match = _DURATION.fullmatch(text)
    if match is None:
        return None
    total, fraction = Decimal(0), False
    for part, value in match.groupdict().items():
        if value is None:
            continue
        if fraction:
            return None  # only the smallest part may be a fraction
        fraction = "." in value or "," in value
        total += Decimal(value.replace(",", ".")) * _SECONDS[part]
    return total


def read_time(text: object, *, basic: bool = False) -> tuple[int | None, bool] | None:
    """Read a date and time of ISO 8601, as RFC 3339 writes it.

    Seconds may be missing, as the standards' own examples have it. A leap second counts as the first
    instant of the next minute. An offset of minus zero is no time: ISO 8601 forbids it.

    Parameters
    ----------
    text
        The time.
    basic
        Whether ISO 8601's basic format (``20150101T120000Z``) counts too.

    Returns
    -------
    tuple[int | None, bool] | None
        Unix milliseconds, cut (``None`` outside 1970 .. 2**48 ms, or without a zone), and whether it has a
        zone; ``None`` when the text is no time.
    """
    if not isinstance(text, str) or len(text) > 80:
        return None
    match = _TIME.fullmatch(text) or (_BASIC_TIME.fullmatch(text) if basic else None)
    if match is None:
        return None
    part = match.groupdict()
    zone = part["zone"]
    second = int(part["second"] or 0)
    try:
        moment = datetime(
            int(part["year"]),
            int(part["month"]),
            int(part["day"]),
            int(part["hour"]),
            int(part["minute"]),
            min(second, 59),
            tzinfo=UTC,
        )
    except ValueError:
        return None
    if second > 60 or (second == 60 and part["minute"] != "59" and zone in {"Z", "z", None}):
        return None
    offset = _offset(zone)
    if offset is None:
        return None
    if zone is None:
        return None, False
    try:
        delta = moment - offset - _EPOCH
    except OverflowError:
        return None, True
    ms = (delta.days * 86_400 + delta.seconds + (second == 60)) * 1_000
    ms += int(((part["fraction"] or "") + "000")[:3]) if second < 60 else 0
    return (ms if 0 <= ms <= MAX_TIME_MS else None), True


def _offset(zone: str | None) -> timedelta | None:
    if zone is None or zone in {"Z", "z"}:
        return timedelta(0)
    digits = zone[1:].replace(":", "")
    hours, minutes = int(digits[:2]), int(digits[2:] or 0)
    if hours > 23 or minutes > 59 or (zone[0] == "-" and hours == minutes == 0):
        return None
    size = timedelta(hours=hours, minutes=minutes)
    return -size if zone[0] == "-" else size


def key_path(path: str, key: str) -> str:
    """Return the path of a key of the object at ``path``."""
    return f"{path}.{key}" if _KEY.fullmatch(key) else f"{path}[{shown(key)}]"


def require_object(value: Any, path: str) -> Mapping[str, Any]:
    """Return a JSON object.

    Raises
    ------
    Fault
        If it is anything else.
    """
    if not isinstance(value, dict):
        raise Fault(path, f"is not an object: {shown(value)}")
    return value


def require_text(value: Any, path: str) -> str:
    """Return a text.

    Raises
    ------
    Fault
        If it is anything else.
    """
    if not isinstance(value, str):
        raise Fault(path, f"is not text: {shown(value)}")
    return value


def require_iri(value: Any, path: str) -> str:
    """Return an absolute IRI.

    Raises
    ------
    Fault
        If it is anything else.
    """
    if not is_iri(value):
        raise Fault(path, f"is not an absolute IRI: {shown(value)}")
    return str(value)


def require_language_map(value: Any, path: str) -> None:
    """Check a map from language tags to texts.

    Raises
    ------
    Fault
        If it is no object, a key is no language tag, or a value is no text.
    """
    for tag, text in require_object(value, path).items():
        if not is_language_tag(tag):
            raise Fault(key_path(path, tag), f"is not under a language tag of RFC 5646: {shown(tag)}")
        require_text(text, key_path(path, tag))
