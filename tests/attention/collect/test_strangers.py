"""Documents no sender ever meant: whatever stands where, it ends as an event, a fault, or nothing to count.

strangers
├── any value anywhere in a good document, of each standard
├── any JSON at all
└── any bytes as a line of each kind of file: the lines beside it are unhurt, and nothing is lost
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.attention.collect.builders import NOW_MS, activity, envelope, statement
from timebank_chain.attention.collect import (
    Fault,
    MemberEvent,
    NothingToCount,
    Reading,
    activitystreams_readings,
    build_feed,
    cloudevents_readings,
    weblog_readings,
    xapi_readings,
)
from timebank_chain.attention.collect.activitystreams import activitystreams_events, check_activitystreams
from timebank_chain.attention.collect.cloudevents import check_cloudevent, cloudevent_event
from timebank_chain.attention.collect.xapi import check_statement, statement_event

KEYS = st.sampled_from(
    ["id", "type", "actor", "object", "items", "objectType", "member", "definition", "extensions", "data",
     "time", "name", "@context", "published", "first", "score", "duration", "mbox", "account", "x"]
)  # fmt: skip
WORDS = ["https://x.example/a", "Agent", "Group", "Collection", "Create", "2024-01-01T00:00:00Z", "P1D"]
ATOMS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(WORDS)
)
ANY = st.recursive(
    ATOMS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=8
)
RICH_STATEMENT = statement(
    actor={"objectType": "Group", "member": [{"account": {"homePage": "https://x.example", "name": "a"}}]},
    object={
        "id": "https://x.example/q",
        "definition": {
            "type": "https://x.example/t",
            "name": {"en": "q"},
            "interactionType": "choice",
            "choices": [{"id": "a"}],
            "correctResponsesPattern": ["a"],
        },
    },
    result={"score": {"scaled": 0.5, "raw": 5, "min": 0, "max": 10}, "duration": "PT1M"},
    context={
        "team": {"objectType": "Group", "mbox": "mailto:t@x.example"},
        "contextActivities": {"parent": {"id": "https://x.example/p"}},
        "contextAgents": [{"objectType": "contextAgent", "agent": {"openid": "https://x.example/o"}}],
    },
)
RICH_ACTIVITY = activity(
    type="Create",
    object={
        "type": "Note",
        "id": "https://x.example/n",
        "inReplyTo": ["https://x.example/m"],
        "nameMap": {"en": "n"},
        "replies": {"type": "Collection", "totalItems": 1, "first": {"type": "CollectionPage", "items": []}},
    },
)


def read_activity(document: Any) -> list[Any]:
    check_activitystreams(document)
    return list(activitystreams_events(document))


def read_statement(document: Any) -> list[Any]:
    check_statement(document)
    return [statement_event(document)]


def read_envelope(document: Any) -> list[Any]:
    return [cloudevent_event(check_cloudevent(document))]


STANDARDS = [
    pytest.param(RICH_ACTIVITY, read_activity, id="activitystreams"),
    pytest.param(RICH_STATEMENT, read_statement, id="xapi"),
    pytest.param(envelope(), read_envelope, id="cloudevents"),
]


def outcome(read: Callable[[Any], Iterable[Any]], document: Any) -> list[Any]:
    try:
        return list(read(document))
    except (Fault, NothingToCount) as problem:
        return [problem]


def check(found: list[Any]) -> None:
    for one in found:
        if isinstance(one, MemberEvent):
            assert one.member
            assert one.id
            assert one.at_ms >= 0
            texts = (one.source, one.verb, one.object, one.domain, one.unit)
            assert all(isinstance(text, str) for text in texts)
        else:
            assert one.path.startswith("$")


def places(document: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if here:
        yield here
    if isinstance(document, dict | list):
        keys = document if isinstance(document, dict) else range(len(document))
        for key in keys:
            yield from places(document[key], (*here, key))


@pytest.mark.parametrize(("good", "read"), STANDARDS)
@settings(deadline=None)
@given(data=st.data())
def test_any_value_anywhere(good: Any, read: Callable[[Any], Iterable[Any]], data: st.DataObject) -> None:
    assert isinstance(outcome(read, good)[0], MemberEvent)
    document = copy.deepcopy(good)
    *way, last = data.draw(st.sampled_from(list(places(good))))
    held = document
    for step in way:
        held = held[step]
    held[last] = data.draw(ANY)
    check(outcome(read, document))


@pytest.mark.parametrize(("good", "read"), STANDARDS)
@settings(deadline=None)
@given(document=ANY)
def test_any_json(good: Any, read: Callable[[Any], Iterable[Any]], document: Any) -> None:
    check(outcome(read, document))
    if isinstance(document, dict):
        check(outcome(read, {**good, **document}))


READERS: list[tuple[Callable[[Path], Iterator[Reading]], bytes]] = [
    (xapi_readings, json.dumps(statement()).encode()),
    (activitystreams_readings, json.dumps(activity()).encode()),
    (cloudevents_readings, json.dumps(envelope()).encode()),
    (weblog_readings, b'127.0.0.1 - ada [01/Jan/2024:13:00:00 +0100] "GET / HTTP/1.1" 200 5'),
]
LINES = st.lists(st.binary(max_size=40).map(lambda raw: raw.replace(b"\n", b"").strip()), max_size=4)


# The folder is one for all examples; each writes its file anew.
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(strange=LINES)
def test_any_bytes(tmp_path: Path, strange: list[bytes]) -> None:
    path = tmp_path / "a.jsonl"
    for reader, good in READERS:
        path.write_bytes(b"\n".join([good, *strange, good]))
        readings = list(reader(path))
        assert isinstance(readings[0].found, MemberEvent)
        assert isinstance(readings[-1].found, MemberEvent)
        result = build_feed(readings, now_ms=NOW_MS)
        assert result.read == len(readings) == len(result.feed) + len(result.rejects)
        assert len(result.feed) >= 1
