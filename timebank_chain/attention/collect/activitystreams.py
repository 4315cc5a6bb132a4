"""ActivityStreams 2.0: documents checked against core and vocabulary, and read as members' events.

Checked is what the standard says of every property it defines, at every depth; properties of other
vocabularies are let through unseen, as the standard wants. A collection gives the events of its items; a
Note or the like with an author and a time counts as created then; what replies to something is a comment on
it too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from timebank_chain.attention.collect.event import MemberEvent, NothingToCount, Retraction
from timebank_chain.attention.collect.syntax import (
    Fault,
    duration_seconds,
    is_iri,
    is_language_tag,
    is_media_type,
    read_time,
    require_language_map,
    require_object,
    shown,
)
from timebank_chain.attention.collect.verbs import common_verb, last_segment

_NAMESPACE = "www.w3.org/ns/activitystreams"
_CONTEXTS = {f"{scheme}://{_NAMESPACE}{end}" for scheme in ("http", "https") for end in ("", "#")}

ACTIVITIES = frozenset(
    {
        "Accept", "Activity", "Add", "Announce", "Arrive", "Block", "Create", "Delete", "Dislike", "Flag",
        "Follow", "Ignore", "IntransitiveActivity", "Invite", "Join", "Leave", "Like", "Listen", "Move",
        "Offer", "Question", "Read", "Reject", "Remove", "TentativeAccept", "TentativeReject", "Travel",
        "Undo", "Update", "View",
    }
)  # fmt: skip
_ACTORS = frozenset({"Application", "Group", "Organization", "Person", "Service"})
_LINKS = frozenset({"Link", "Mention"})
_COLLECTIONS = frozenset({"Collection", "OrderedCollection", "CollectionPage", "OrderedCollectionPage"})
_PAGES = frozenset({"CollectionPage", "OrderedCollectionPage"})


def check_activitystreams(document: Any) -> None:
    """Check a document.

    Raises
    ------
    Fault
        Naming the place and what is wrong there.
    """
    top = require_object(document, "$")
    if "@context" in top:
        _context(top["@context"], "$.@context")
    _thing(top, "$")


def activitystreams_events(document: Mapping[str, Any]) -> Iterator[MemberEvent | NothingToCount]:
    """Read a checked document: its events, and of what in it gives none, why.

    Parts of a collection without an id of their own are named by their content.
    """
    types = _types(document)
    if types & _COLLECTIONS:
        items = _many(document.get("items")) + _many(document.get("orderedItems"))
        if not items:
            yield NothingToCount("$.items", "an empty collection")
        for position, item in enumerate(items):
            if not isinstance(item, dict):
                yield NothingToCount(f"$.items[{position}]", f"only a reference: {shown(item)}")
                continue
            for found in activitystreams_events(item):
                if isinstance(found, NothingToCount):
                    found = NothingToCount(f"$.items[{position}]{found.path[1:]}", found.reason)
                yield found
        return
    try:
        if "Undo" in types:
            yield from _undone(document)
        elif types & ACTIVITIES or ("actor" in document and not types & _ACTORS):
            yield from _activity_events(document, types)
        else:
            yield from _object_events(document, types)
    except NothingToCount as nothing:
        yield nothing


def _activity_events(activity: Mapping[str, Any], types: frozenset[str]) -> Iterator[MemberEvent]:
    actors = [name for name in map(_name, _many(activity.get("actor"))) if name]
    if not actors:
        raise NothingToCount("$.actor", "no actor with an id")
    inner = [thing for thing in _many(activity.get("object")) if isinstance(thing, dict)]
    known = sorted(types & ACTIVITIES - {"Activity", "IntransitiveActivity"})
    verb = common_verb(known[0] if known else last_segment(next(iter(sorted(types)), "activity")))
    times = [activity.get(name) for name in ("published", "updated", "startTime", "endTime")]
    if verb == "create":
        times += [thing.get("published") for thing in inner]
    at_ms = _first_time(times)
    value, unit = _spent(activity)
    name = _identity(activity)
    thing_name = next((found for found in map(_name, _many(activity.get("object"))) if found), "")
    kinds = sorted(set().union(*(_types(thing) for thing in inner)) - {"Object"})
    domain = last_segment(kinds[0]).lower() if kinds else "post"
    if "Question" in types:
        thing_name, verb, domain = thing_name or name, "create", "question"
    for number, actor in enumerate(actors):
        # Several actors of one activity are several members' events.
        own = name if number == 0 else f"{name}#actor-{number + 1}"
        yield MemberEvent("activitystreams", own, actor, at_ms, verb, thing_name, domain, value, unit)
        if verb == "create":
            yield from _replies(own, actor, at_ms, domain, [activity, *inner])


def _undone(activity: Mapping[str, Any]) -> Iterator[Retraction]:
    """Take back what an ``Undo`` names, for each of its actors their own."""
    actors = [name for name in map(_name, _many(activity.get("actor"))) if name]
    if not actors:
        raise NothingToCount("$.actor", "no actor with an id")
    for thing in _many(activity.get("object")):
        undone = thing if isinstance(thing, str) else _identity(thing)
        for actor in actors:
            yield Retraction(
                "$.object", f"undoes: {undone}", source="activitystreams", id=undone, member=actor
            )


def _object_events(thing: Mapping[str, Any], types: frozenset[str]) -> Iterator[MemberEvent]:
    authors = [name for name in map(_name, _many(thing.get("attributedTo"))) if name]
    if not authors:
        raise NothingToCount(
            "$.actor", f"neither activity nor authored: {', '.join(sorted(types)) or 'untyped'}"
        )
    at_ms = _first_time([thing.get("published"), thing.get("updated")])
    name = _identity(thing)
    kinds = sorted(types - {"Object"})
    domain = last_segment(kinds[0]).lower() if kinds else "post"
    for number, author in enumerate(authors):
        own = f"{name}#created" if number == 0 else f"{name}#author-{number + 1}"
        yield MemberEvent("activitystreams", own, author, at_ms, "create", _name(thing) or name, domain)
        yield from _replies(own, author, at_ms, domain, [thing])


def _replies(
    name: str, member: str, at_ms: int, domain: str, things: list[Mapping[str, Any]]
) -> Iterator[MemberEvent]:
    targets = [_name(target) for thing in things for target in _many(thing.get("inReplyTo"))]
    for number, target in enumerate(dict.fromkeys(target for target in targets if target)):
        end = "" if number == 0 else f"-{number + 1}"
        yield MemberEvent("activitystreams", f"{name}#reply{end}", member, at_ms, "comment", target, domain)


def _first_time(candidates: list[Any]) -> int:
    given = [text for text in candidates if text is not None]
    if not given:
        raise NothingToCount("$.published", "no time")
    read = read_time(given[0])
    if read is None or read[0] is None:
        what = "time out of range" if read is not None and read[1] else "time without a zone"
        raise NothingToCount("$.published", f"{what}: {shown(given[0])}")
    return read[0]


def _spent(activity: Mapping[str, Any]) -> tuple[float | None, str]:
    seconds = duration_seconds(activity.get("duration"))
    if seconds is not None:
        return float(seconds), "s"
    start, end = (read_time(activity.get(name)) for name in ("startTime", "endTime"))
    if start is None or end is None or start[0] is None or end[0] is None or end[0] < start[0]:
        return None, ""
    return (end[0] - start[0]) / 1_000, "s"


def _identity(thing: Mapping[str, Any]) -> str:
    named = _name(thing)
    if named:
        return named
    content = json.dumps(thing, sort_keys=True, ensure_ascii=True, default=str)
    return f"sha256:{hashlib.sha256(content.encode()).hexdigest()}"


def _name(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        for key in ("id", "@id", "href"):
            if isinstance(value.get(key), str):
                return str(value[key])
    return ""


def _many(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]


def _types(thing: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(
        name.removeprefix("as:")
        for name in _many(thing.get("type", thing.get("@type")))
        if isinstance(name, str)
    )


# ---------------------------------------------------------------- checking


def _context(value: Any, path: str) -> None:
    parts = value if isinstance(value, list) else [value]
    for position, part in enumerate(parts):
        if part is not None and not isinstance(part, str | dict):
            place = f"{path}[{position}]" if isinstance(value, list) else path
            raise Fault(place, f"is neither IRI nor object: {shown(part)}")
    ours = any(
        part in _CONTEXTS if isinstance(part, str) else isinstance(part, dict) and _vocabulary(part)
        for part in parts
    )
    if not ours:
        raise Fault(path, f"is not that of ActivityStreams: {shown(value)}")


def _vocabulary(part: Mapping[str, Any]) -> bool:
    return any(value in _CONTEXTS for value in part.values() if isinstance(value, str))


def _thing(thing: Mapping[str, Any], path: str) -> None:
    for key in ("type", "@type"):
        for position, name in enumerate(_many(thing.get(key))):
            if not isinstance(name, str) or not name:
                place = f"{path}.{key}[{position}]" if isinstance(thing[key], list) else f"{path}.{key}"
                raise Fault(place, f"is not the name of a type: {shown(name)}")
    types = _types(thing)
    ordered, plain = ("OrderedCollection", "OrderedCollectionPage"), ("Collection", "CollectionPage")
    if "items" in thing and types.intersection(ordered):
        raise Fault(f"{path}.items", "has no place in an ordered collection: it has orderedItems")
    if "orderedItems" in thing and types.intersection(plain) and not types.intersection(ordered):
        raise Fault(f"{path}.orderedItems", "has no place in an unordered collection: it has items")
    for key, value in thing.items():
        rule = _RULES.get(key)
        # JSON-LD: a property that is null is as good as not there.
        if rule is not None and value is not None:
            rule(value, f"{path}.{key}")


def _each(check: Callable[[Any, str], None]) -> Callable[[Any, str], None]:
    """Return a check of one value or of every one of a list."""

    def run(value: Any, path: str) -> None:
        if isinstance(value, list):
            for position, item in enumerate(value):
                check(item, f"{path}[{position}]")
        else:
            check(value, path)

    return run


def _reference(value: Any, path: str) -> None:
    """An object, a link, or the IRI of one."""
    if isinstance(value, dict):
        _thing(value, path)
    elif not isinstance(value, str):
        raise Fault(path, f"is neither object, link nor IRI: {shown(value)}")
    elif not _is_name(value):
        raise Fault(path, f"is not an absolute IRI: {shown(value)}")


def _relationship(value: Any, path: str) -> None:
    """A kind of relationship: an object, or a word: the standard's examples have words that are no IRIs."""
    if isinstance(value, dict):
        _thing(value, path)
    else:
        _text(value, path)


def _page(value: Any, path: str) -> None:
    _reference(value, path)
    if isinstance(value, dict):
        types = _types(value)
        if types and not types & (_PAGES | _LINKS):
            raise Fault(path, f"is no page of a collection: {', '.join(sorted(types))}")


def _current(value: Any, path: str) -> None:
    _reference(value, path)
    if isinstance(value, dict):
        types = _types(value)
        if types and not types & (_COLLECTIONS | _LINKS):
            raise Fault(path, f"is no collection: {', '.join(sorted(types))}")


def _url(value: Any, path: str) -> None:
    _reference(value, path)
    if isinstance(value, dict) and not _types(value) & _LINKS and "href" not in value:
        raise Fault(path, "is neither IRI nor Link")


def _is_name(text: str) -> bool:
    return is_iri(text) or text.startswith("_:")


def _iri(value: Any, path: str) -> None:
    if not isinstance(value, str) or not _is_name(value):
        raise Fault(path, f"is not an absolute IRI: {shown(value)}")


def _text(value: Any, path: str) -> None:
    if not isinstance(value, str):
        raise Fault(path, f"is not text: {shown(value)}")


def _moment(value: Any, path: str) -> None:
    if read_time(value) is None:
        raise Fault(path, f"is not an xsd:dateTime: {shown(value)}")


def _closed(value: Any, path: str) -> None:
    if isinstance(value, bool) or read_time(value) is not None:
        return
    _reference(value, path)


def _duration(value: Any, path: str) -> None:
    if duration_seconds(value.removeprefix("-") if isinstance(value, str) else value) is None:
        raise Fault(path, f"is not an xsd:duration: {shown(value)}")


def _count(value: Any, path: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise Fault(path, f"is not a non-negative integer: {shown(value)}")


def _number(least: float, most: float) -> Callable[[Any, str], None]:
    def run(value: Any, path: str) -> None:
        try:
            # xsd:float has a textual form too, and the standard's examples use it.
            number = float("x" if isinstance(value, bool) else value)
        except (TypeError, ValueError, OverflowError):
            raise Fault(path, f"is not a number: {shown(value)}") from None
        if not least <= number <= most:
            raise Fault(path, f"is not between {least:g} and {most:g}: {shown(value)}")

    return run


def _media_type(value: Any, path: str) -> None:
    if not is_media_type(value):
        raise Fault(path, f"is not a media type: {shown(value)}")


def _language(value: Any, path: str) -> None:
    if not is_language_tag(value):
        raise Fault(path, f"is not a language tag of RFC 5646: {shown(value)}")


_ANY = float("inf")
_RULES: dict[str, Callable[[Any, str], None]] = {
    "id": _iri,
    "@id": _iri,
    "href": _iri,
    "url": _each(_url),
    "mediaType": _media_type,
    "hreflang": _language,
    "rel": _each(_text),
    "units": _text,
    "formerType": _each(_text),
    "duration": _duration,
    "closed": _each(_closed),
    "latitude": _number(-90, 90),
    "longitude": _number(-180, 180),
    "altitude": _number(-_ANY, _ANY),
    "accuracy": _number(0, 100),
    "radius": _number(0, _ANY),
    "current": _current,
    "partOf": _current,
    "relationship": _each(_relationship),
    **dict.fromkeys(("name", "content", "summary"), _each(_text)),
    **dict.fromkeys(("nameMap", "contentMap", "summaryMap"), require_language_map),
    **dict.fromkeys(("published", "updated", "startTime", "endTime", "deleted"), _moment),
    **dict.fromkeys(("totalItems", "startIndex", "width", "height"), _count),
    **dict.fromkeys(("first", "last", "next", "prev"), _page),
    **dict.fromkeys(
        (
            "actor", "anyOf", "attachment", "attributedTo", "audience", "bcc", "bto", "cc", "context",
            "describes", "generator", "icon", "image", "inReplyTo", "instrument", "items", "location",
            "object", "oneOf", "orderedItems", "origin", "preview", "replies", "result",
            "subject", "tag", "target", "to",
        ),
        _each(_reference),
    ),
}  # fmt: skip
