"""CloudEvents 1.0 in the JSON format: one envelope, a batch, or one a line.

An envelope says who sent what when; whose attention it was is the sender's business. It is looked for in the
extension ``authid`` (the standard's own for who caused an event) and in ``data.member``; for anything else a
feed mapping says where (``--cloudevents FILE=MAPPING``).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

from timebank_chain.attention.collect.event import MemberEvent, NothingToCount
from timebank_chain.attention.collect.syntax import (
    Fault,
    is_iri,
    is_media_type,
    is_reference,
    key_path,
    read_time,
    require_object,
    shown,
)
from timebank_chain.attention.collect.verbs import common_verb

_REQUIRED = ("specversion", "id", "source", "type")
_NAME = re.compile(r"[a-z0-9]+")
#: The type system's Integer is a signed 32-bit number.
_INTEGERS = range(-(2**31), 2**31)
#: What the type system's String may not hold.
_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]")


def check_cloudevent(document: Any) -> Mapping[str, Any]:
    """Check an envelope and return it without the attributes that are null (unset, says the standard).

    Raises
    ------
    Fault
        Naming the place and what is wrong there.
    """
    event = {key: value for key, value in require_object(document, "$").items() if value is not None}
    for name in _REQUIRED:
        if name not in event:
            raise Fault(f"$.{name}", "is missing")
        _text(event[name], f"$.{name}")
    if event["specversion"] != "1.0":
        raise Fault("$.specversion", f"is not 1.0: {shown(event['specversion'])}")
    if not is_reference(event["source"]):
        raise Fault("$.source", f"is not a URI reference: {shown(event['source'])}")
    if "datacontenttype" in event and not is_media_type(event["datacontenttype"]):
        raise Fault("$.datacontenttype", f"is not a media type: {shown(event['datacontenttype'])}")
    if "dataschema" in event and not is_iri(event["dataschema"]):
        raise Fault("$.dataschema", f"is not an absolute URI: {shown(event['dataschema'])}")
    if "subject" in event:
        _text(event["subject"], "$.subject")
    if "time" in event:
        read = read_time(event["time"])
        if read is None or not read[1] or not re.search(r":[0-9]{2}:[0-9]{2}", event["time"]):
            raise Fault("$.time", f"is not an RFC 3339 time: {shown(event['time'])}")
    if "data_base64" in event:
        if "data" in document:
            raise Fault("$.data_base64", "stands beside data: only one of the two may")
        _base64(event["data_base64"])
    for name, value in event.items():
        if name not in {
            *_REQUIRED,
            "datacontenttype",
            "dataschema",
            "subject",
            "time",
            "data",
            "data_base64",
        }:
            _extension(name, value)
    return event


def cloudevent_event(event: Mapping[str, Any]) -> MemberEvent:
    """Read a checked envelope as an event of the member in ``authid`` or ``data.member``.

    Raises
    ------
    NothingToCount
        If it has no time, or none of the two.
    """
    held = event.get("data")
    data: Mapping[str, Any] = held if isinstance(held, dict) else {}
    member = event.get("authid") or data.get("member")
    if not isinstance(member, str) or not member:
        raise NothingToCount("$.authid", "no member: neither authid nor data.member says whose it is")
    read = read_time(event.get("time"))
    if read is None or read[0] is None:
        raise NothingToCount("$.time", "no time" if "time" not in event else "time out of range")
    value = data.get("value")
    number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    unit = data.get("unit")
    kind = event["type"].rsplit(".", 1)
    return MemberEvent(
        source=event["source"],
        id=event["id"],
        member=member,
        at_ms=read[0],
        verb=common_verb(kind[-1]),
        object=str(event.get("subject", "")),
        domain=kind[0].rsplit(".", 1)[-1] if len(kind) > 1 else "event",
        value=number,
        unit=unit if number is not None and isinstance(unit, str) else "",
    )


def _text(value: Any, path: str) -> None:
    if not isinstance(value, str):
        raise Fault(path, f"is not text: {shown(value)}")
    if not value:
        raise Fault(path, "is empty")
    if _FORBIDDEN.search(value):
        raise Fault(path, f"holds a character that no attribute may: {shown(value)}")


def _extension(name: str, value: Any) -> None:
    path = key_path("$", name)
    if not _NAME.fullmatch(name):
        raise Fault(path, "is no attribute's name: only a-z and 0-9 may stand in it")
    if isinstance(value, bool):
        return
    if isinstance(value, str):
        if _FORBIDDEN.search(value):
            raise Fault(path, f"holds a character that no attribute may: {shown(value)}")
    elif not isinstance(value, int) or value not in _INTEGERS:
        raise Fault(path, f"is neither true, false, a 32-bit integer nor text: {shown(value)}")


def _base64(value: Any) -> None:
    if not isinstance(value, str):
        raise Fault("$.data_base64", f"is not text: {shown(value)}")
    try:
        base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise Fault("$.data_base64", f"is not Base64: {shown(value)}") from None
