"""xAPI 1.0.3 and 2.0 (IEEE 9274.1.1): statements, checked as a learning record store must, and read.

`check_statement` refuses what a store answers with 400, and names the place. What it accepts may still tell
nothing to count (no time, a voiding statement): that is `statement_event`'s to say.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from typing import Any

from timebank_chain.attention.collect.event import MemberEvent, NothingToCount, Retraction
from timebank_chain.attention.collect.syntax import (
    Fault,
    duration_seconds,
    is_language_tag,
    is_media_type,
    is_uuid,
    key_path,
    read_time,
    require_iri,
    require_language_map,
    require_object,
    require_text,
    shown,
)
from timebank_chain.attention.collect.verbs import common_verb, last_segment

VOIDED = "http://adlnet.gov/expapi/verbs/voided"

_IDENTIFIERS = ("mbox", "mbox_sha1sum", "openid", "account")
_STATEMENT = {
    "id", "actor", "verb", "object", "result", "context", "timestamp", "stored", "authority", "version",
    "attachments",
}  # fmt: skip
_SUB_STATEMENT = {
    "objectType", "actor", "verb", "object", "result", "context", "timestamp", "attachments",
}  # fmt: skip
_CONTEXT = {
    "registration", "instructor", "team", "contextActivities", "contextAgents", "contextGroups", "revision",
    "platform", "language", "statement", "extensions",
}  # fmt: skip
_DEFINITION = {
    "name", "description", "type", "moreInfo", "interactionType", "correctResponsesPattern", "choices",
    "scale", "source", "target", "steps", "extensions",
}  # fmt: skip
#: Which lists of components an interaction has.
_COMPONENTS = {
    "true-false": (),
    "choice": ("choices",),
    "fill-in": (),
    "long-fill-in": (),
    "matching": ("source", "target"),
    "performance": ("steps",),
    "sequencing": ("choices",),
    "likert": ("scale",),
    "numeric": (),
    "other": (),
}
_ALL_COMPONENTS = ("choices", "scale", "source", "target", "steps")
_MAILBOX = re.compile(r"mailto:[^\s@:]+@[^\s@]+")
_SHA1 = re.compile(r"[0-9a-fA-F]{40}")
_SHA2 = re.compile(r"[0-9a-fA-F]{56,128}")
_VERSION = re.compile(r"1\.0(?:\.[0-9]+)?|2\.0\.[0-9]+")


def check_statement(document: Any) -> None:
    """Check a statement of xAPI 1.0.3 or 2.0.

    The versions differ in what a context may hold (agents and groups with their relevant types came with
    2.0); both are taken, since a statement need not say its version.

    Raises
    ------
    Fault
        Naming the place and what is wrong there.
    """
    statement = _object(document, "$", _STATEMENT)
    _no_null(statement, "$")
    _core(statement, "$")
    if "id" in statement:
        _uuid(statement["id"], "$.id")
    for name in ("timestamp", "stored"):
        if name in statement:
            _time(statement[name], f"$.{name}")
    if "authority" in statement:
        _authority(statement["authority"], "$.authority")
    if "version" in statement and not _VERSION.fullmatch(require_text(statement["version"], "$.version")):
        raise Fault("$.version", f"is neither 1.0.x nor 2.0.x: {shown(statement['version'])}")


def statement_event(statement: Mapping[str, Any]) -> MemberEvent:
    """Read a checked statement as an event.

    The value is the time spent (``result.duration``, seconds) or else the scaled score, -1 .. 1.

    Raises
    ------
    NothingToCount
        If it has no time, or its time has no zone.
    Retraction
        If it voids another.
    """
    verb = statement["verb"]["id"]
    if verb == VOIDED:
        voided = str(statement["object"]["id"]).lower()
        raise Retraction(
            "$.verb.id", f"voids another statement: {voided}", source="xapi", id=voided, member=None
        )
    moment = next((statement[name] for name in ("timestamp", "stored") if name in statement), None)
    if moment is None:
        raise NothingToCount("$.timestamp", "no time")
    read = read_time(moment, basic=True)
    if read is None or read[0] is None:
        what = "time out of range" if read is not None and read[1] else "time without a zone"
        raise NothingToCount("$.timestamp", f"{what}: {shown(moment)}")
    content = json.dumps(statement, sort_keys=True, ensure_ascii=True, default=str)
    value, unit = _value(statement.get("result", {}))
    thing = statement["object"]
    return MemberEvent(
        source="xapi",
        id=statement.get("id", "").lower() or hashlib.sha256(content.encode()).hexdigest(),
        member=_agent_name(statement["actor"]),
        at_ms=read[0],
        verb=common_verb(last_segment(verb)),
        object=_object_name(thing),
        domain=last_segment(thing.get("definition", {}).get("type", "")) or "learning",
        value=value,
        unit=unit,
    )


def _value(result: Mapping[str, Any]) -> tuple[float | None, str]:
    spent = duration_seconds(result.get("duration"))
    if spent is not None:
        return float(spent), "s"
    scaled = result.get("score", {}).get("scaled")
    return (None, "") if scaled is None else (float(scaled), "scaled")


def mailbox_hashes(name: str) -> list[str]:
    """Return what an agent's ``mbox_sha1sum`` is if they are known by a mail address; none of any other name.

    The hash of the address as it is written comes last; before it, if it is another, that of the address
    without capitals, which many a program makes.

    Examples
    --------
    >>> mailbox_hashes("ada@example.org")
    ['d714b8a95bd857a37405a7b56db9108b60ae42bd']
    """
    if not _MAILBOX.fullmatch(f"mailto:{name}"):
        return []
    spellings = dict.fromkeys((name.lower(), name))
    # The standard's own choice; nothing is secured by it.
    return [hashlib.sha1(f"mailto:{one}".encode(), usedforsecurity=False).hexdigest() for one in spellings]


def _agent_name(agent: Mapping[str, Any]) -> str:
    if "account" in agent:
        return f"{agent['account']['name']}@{agent['account']['homePage']}"
    if "mbox_sha1sum" in agent:
        return str(agent["mbox_sha1sum"]).lower()
    for name in ("mbox", "openid"):
        if name in agent:
            return str(agent[name]).removeprefix("mailto:")
    members = ",".join(sorted(_agent_name(member) for member in agent["member"]))
    return f"group:{hashlib.sha256(members.encode()).hexdigest()[:32]}"


def _object_name(thing: Mapping[str, Any]) -> str:
    kind = thing.get("objectType", "Activity")
    if kind in ("Agent", "Group"):
        return _agent_name(thing)
    return _object_name(thing["object"]) if kind == "SubStatement" else str(thing["id"])


def _core(statement: Mapping[str, Any], path: str) -> None:
    """Check what statements and sub-statements share."""
    for name in ("actor", "verb", "object"):
        if name not in statement:
            raise Fault(f"{path}.{name}", "is missing")
    _agent_or_group(statement["actor"], f"{path}.actor")
    _verb(statement["verb"], f"{path}.verb")
    thing = require_object(statement["object"], f"{path}.object")
    _statement_object(thing, f"{path}.object", inside=path != "$")
    if statement["verb"]["id"] == VOIDED and thing.get("objectType") != "StatementRef":
        raise Fault(f"{path}.object.objectType", "of a voiding statement is not StatementRef")
    if "result" in statement:
        _result(statement["result"], f"{path}.result")
    if "context" in statement:
        about_activity = thing.get("objectType", "Activity") == "Activity"
        _context(statement["context"], f"{path}.context", about_activity=about_activity)
    if "attachments" in statement:
        for place, item in _items(statement["attachments"], f"{path}.attachments"):
            _attachment(item, place)


def _statement_object(thing: Mapping[str, Any], path: str, *, inside: bool) -> None:
    kind = thing.get("objectType", "Activity")
    if kind == "Activity":
        _activity(thing, path)
    elif kind in ("Agent", "Group"):
        _agent_or_group(thing, path)
    elif kind == "StatementRef":
        _statement_ref(thing, path)
    elif kind == "SubStatement" and not inside:
        _object(thing, path, _SUB_STATEMENT)
        _core(thing, path)
        if "timestamp" in thing:
            _time(thing["timestamp"], f"{path}.timestamp")
    elif kind == "SubStatement":
        raise Fault(f"{path}.objectType", "is a sub-statement inside a sub-statement")
    else:
        raise Fault(f"{path}.objectType", f"is unknown: {shown(kind)}")


def _agent_or_group(value: Any, path: str, *, only: str | None = None) -> Mapping[str, Any]:
    actor = require_object(value, path)
    kind = actor.get("objectType", "Agent")
    if only == "Group" and "objectType" not in actor:
        raise Fault(f"{path}.objectType", "is missing: a Group must say that it is one")
    if kind not in ("Agent", "Group") or (only is not None and kind != only):
        raise Fault(f"{path}.objectType", f"is not {only or 'Agent or Group'}: {shown(kind)}")
    allowed = {"objectType", "name", *_IDENTIFIERS, *(("member",) if kind == "Group" else ())}
    _object(actor, path, allowed)
    if "name" in actor:
        require_text(actor["name"], f"{path}.name")
    given = [name for name in _IDENTIFIERS if name in actor]
    if len(given) > 1:
        raise Fault(f"{path}.{given[1]}", f"is a second identifier beside {given[0]}")
    if not given and (kind == "Agent" or "member" not in actor):
        wanted = f"one of {', '.join(_IDENTIFIERS)}" + (" or member" if kind == "Group" else "")
        raise Fault(path, f"has no identifier: {wanted} is needed")
    if given:
        _identifier(given[0], actor[given[0]], f"{path}.{given[0]}")
    if "member" in actor:
        members = _items(actor["member"], f"{path}.member")
        if not members and not given:
            raise Fault(f"{path}.member", "is empty, and the group has no identifier")
        for place, member in members:
            _agent_or_group(member, place, only="Agent")
    return actor


def _identifier(name: str, value: Any, path: str) -> None:
    if name == "account":
        account = _object(value, path, {"homePage", "name"})
        for part in ("homePage", "name"):
            if part not in account:
                raise Fault(f"{path}.{part}", "is missing")
        require_iri(account["homePage"], f"{path}.homePage")
        require_text(account["name"], f"{path}.name")
    elif name == "openid":
        require_iri(value, path)
    else:
        pattern, what = (_MAILBOX, "mailto: address") if name == "mbox" else (_SHA1, "SHA-1 in hexadecimal")
        if not pattern.fullmatch(require_text(value, path)):
            raise Fault(path, f"is not a {what}: {shown(value)}")


def _authority(value: Any, path: str) -> None:
    actor = _agent_or_group(value, path)
    if actor.get("objectType", "Agent") == "Group":
        named = next((name for name in _IDENTIFIERS if name in actor), None)
        if named is not None:
            raise Fault(f"{path}.{named}", "identifies a group: an authority's group is anonymous")
        if len(actor["member"]) != 2:
            raise Fault(f"{path}.member", f"has {len(actor['member'])} agents: an authority's group has two")


def _verb(value: Any, path: str) -> None:
    verb = _object(value, path, {"id", "display"})
    if "id" not in verb:
        raise Fault(f"{path}.id", "is missing")
    require_iri(verb["id"], f"{path}.id")
    if "display" in verb:
        require_language_map(verb["display"], f"{path}.display")


def _activity(value: Any, path: str) -> None:
    activity = _object(value, path, {"objectType", "id", "definition"})
    if activity.get("objectType", "Activity") != "Activity":
        raise Fault(f"{path}.objectType", f"is not Activity: {shown(activity['objectType'])}")
    if "id" not in activity:
        raise Fault(f"{path}.id", "is missing")
    require_iri(activity["id"], f"{path}.id")
    if "definition" in activity:
        _definition(activity["definition"], f"{path}.definition")


def _definition(value: Any, path: str) -> None:
    definition = _object(value, path, _DEFINITION)
    for name in ("name", "description"):
        if name in definition:
            require_language_map(definition[name], f"{path}.{name}")
    for name in ("type", "moreInfo"):
        if name in definition:
            require_iri(definition[name], f"{path}.{name}")
    if "extensions" in definition:
        _extensions(definition["extensions"], f"{path}.extensions")
    kind = definition.get("interactionType")
    if kind is not None and (not isinstance(kind, str) or kind not in _COMPONENTS):
        raise Fault(f"{path}.interactionType", f"is unknown: {shown(kind)}")
    if "correctResponsesPattern" in definition:
        if kind is None:
            raise Fault(f"{path}.interactionType", "is missing beside correctResponsesPattern")
        for place, item in _items(definition["correctResponsesPattern"], f"{path}.correctResponsesPattern"):
            require_text(item, place)
    for name in _ALL_COMPONENTS:
        if name not in definition:
            continue
        if kind is None or name not in _COMPONENTS[kind]:
            raise Fault(f"{path}.{name}", f"has no place in an interaction of type {shown(kind)}")
        _components(definition[name], f"{path}.{name}")


def _components(value: Any, path: str) -> None:
    seen: set[str] = set()
    for place, item in _items(value, path):
        component = _object(item, place, {"id", "description"})
        if "id" not in component:
            raise Fault(f"{place}.id", "is missing")
        name = require_text(component["id"], f"{place}.id")
        if not name or name in seen:
            raise Fault(f"{place}.id", f"repeats or is empty: {shown(name)}")
        seen.add(name)
        if "description" in component:
            require_language_map(component["description"], f"{place}.description")


def _statement_ref(value: Any, path: str) -> None:
    reference = _object(value, path, {"objectType", "id"})
    if reference.get("objectType") != "StatementRef":
        raise Fault(f"{path}.objectType", "is not StatementRef")
    if "id" not in reference:
        raise Fault(f"{path}.id", "is missing")
    _uuid(reference["id"], f"{path}.id")


def _result(value: Any, path: str) -> None:
    result = _object(value, path, {"score", "success", "completion", "response", "duration", "extensions"})
    for name in ("success", "completion"):
        if name in result and not isinstance(result[name], bool):
            raise Fault(f"{path}.{name}", f"is neither true nor false: {shown(result[name])}")
    if "response" in result:
        require_text(result["response"], f"{path}.response")
    if "duration" in result and duration_seconds(result["duration"]) is None:
        raise Fault(f"{path}.duration", f"is not an ISO 8601 duration: {shown(result['duration'])}")
    if "extensions" in result:
        _extensions(result["extensions"], f"{path}.extensions")
    if "score" in result:
        _score(result["score"], f"{path}.score")


def _score(value: Any, path: str) -> None:
    score = _object(value, path, {"scaled", "raw", "min", "max"})
    for name, number in score.items():
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise Fault(f"{path}.{name}", f"is not a number: {shown(number)}")
    scaled, raw, least, most = (score.get(name) for name in ("scaled", "raw", "min", "max"))
    if scaled is not None and not -1 <= scaled <= 1:
        raise Fault(f"{path}.scaled", f"is not between -1 and 1: {shown(scaled)}")
    if least is not None and most is not None and least >= most:
        raise Fault(f"{path}.min", f"is not below max: {shown(least)}")
    if raw is not None and ((least is not None and raw < least) or (most is not None and raw > most)):
        raise Fault(f"{path}.raw", f"is not between min and max: {shown(raw)}")


def _context(value: Any, path: str, *, about_activity: bool) -> None:
    context = _object(value, path, _CONTEXT)
    if "registration" in context:
        _uuid(context["registration"], f"{path}.registration")
    if "instructor" in context:
        _agent_or_group(context["instructor"], f"{path}.instructor")
    if "team" in context:
        _agent_or_group(context["team"], f"{path}.team", only="Group")
    for name in ("revision", "platform"):
        if name in context:
            require_text(context[name], f"{path}.{name}")
            if not about_activity:
                raise Fault(f"{path}.{name}", "has no place where the object is no activity")
    if "language" in context and not is_language_tag(context["language"]):
        raise Fault(f"{path}.language", f"is not a language tag: {shown(context['language'])}")
    if "statement" in context:
        _statement_ref(context["statement"], f"{path}.statement")
    if "extensions" in context:
        _extensions(context["extensions"], f"{path}.extensions")
    if "contextActivities" in context:
        inner = f"{path}.contextActivities"
        groups = _object(context["contextActivities"], inner, {"parent", "grouping", "category", "other"})
        for name, held in groups.items():
            one = isinstance(held, dict)
            for place, activity in [(f"{inner}.{name}", held)] if one else _items(held, f"{inner}.{name}"):
                _activity(activity, place)
    for plural, kind, name in (
        ("contextAgents", "contextAgent", "agent"),
        ("contextGroups", "contextGroup", "group"),
    ):
        if plural in context:
            for place, item in _items(context[plural], f"{path}.{plural}"):
                _relevant(item, place, kind, name)


def _relevant(value: Any, path: str, kind: str, name: str) -> None:
    item = _object(value, path, {"objectType", name, "relevantTypes"})
    if item.get("objectType") != kind:
        raise Fault(f"{path}.objectType", f"is not {kind}: {shown(item.get('objectType'))}")
    if name not in item:
        raise Fault(f"{path}.{name}", "is missing")
    _agent_or_group(item[name], f"{path}.{name}", only=name.capitalize())
    if "relevantTypes" in item:
        types = _items(item["relevantTypes"], f"{path}.relevantTypes")
        if not types:
            raise Fault(f"{path}.relevantTypes", "is empty")
        for place, relevant in types:
            require_iri(relevant, place)


def _attachment(value: Any, path: str) -> None:
    attachment = _object(
        value, path, {"usageType", "display", "description", "contentType", "length", "sha2", "fileUrl"}
    )
    for name in ("usageType", "display", "contentType", "length", "sha2"):
        if name not in attachment:
            raise Fault(f"{path}.{name}", "is missing")
    require_iri(attachment["usageType"], f"{path}.usageType")
    for name in ("display", "description"):
        if name in attachment:
            require_language_map(attachment[name], f"{path}.{name}")
    if not is_media_type(attachment["contentType"]):
        raise Fault(f"{path}.contentType", f"is not a media type: {shown(attachment['contentType'])}")
    length = attachment["length"]
    if isinstance(length, bool) or not isinstance(length, int) or length < 0:
        raise Fault(f"{path}.length", f"is not a number of bytes: {shown(length)}")
    if not _SHA2.fullmatch(require_text(attachment["sha2"], f"{path}.sha2")):
        raise Fault(f"{path}.sha2", f"is not a SHA-2 in hexadecimal: {shown(attachment['sha2'])}")
    if "fileUrl" in attachment:
        require_iri(attachment["fileUrl"], f"{path}.fileUrl")


def _extensions(value: Any, path: str) -> None:
    for key in require_object(value, path):
        require_iri(key, key_path(path, key))


def _no_null(value: Any, path: str) -> None:
    """Refuse null everywhere but in extensions, whose content is their owner's business."""
    if isinstance(value, dict):
        for key, held in value.items():
            if held is None:
                raise Fault(key_path(path, key), "is null")
            if key != "extensions" and isinstance(held, dict | list):
                _no_null(held, key_path(path, key))
    elif isinstance(value, list):
        for position, held in enumerate(value):
            if held is None:
                raise Fault(f"{path}[{position}]", "is null")
            _no_null(held, f"{path}[{position}]")


def _object(value: Any, path: str, known: Collection[str]) -> Mapping[str, Any]:
    held = require_object(value, path)
    for key in held:
        if key not in known:
            raise Fault(key_path(path, key), "is no property that xAPI has here")
    return held


def _items(value: Any, path: str) -> list[tuple[str, Any]]:
    if not isinstance(value, list):
        raise Fault(path, f"is not a list: {shown(value)}")
    return [(f"{path}[{position}]", item) for position, item in enumerate(value)]


def _uuid(value: Any, path: str) -> None:
    if not is_uuid(value):
        raise Fault(path, f"is not a UUID: {shown(value)}")


def _time(value: Any, path: str) -> None:
    if read_time(value, basic=True) is None:
        raise Fault(path, f"is not an ISO 8601 time: {shown(value)}")
