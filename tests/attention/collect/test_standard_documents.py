"""The standards' own test documents: refused is what must be, accepted what is valid; both counted.

standards
├── xAPI
│   ├── every case of the conformance suite, 1.0.3 and 2.0, judged as the suite judges it
│   ├── a refusal names a place that is in the statement, or one that is missing from it
│   ├── building blocks: statements without actor, verb or object are refused there
│   └── accepted statements with a time are events, voiding ones take back
├── ActivityStreams
│   ├── 20 documents must be refused: each is, at the place its name says
│   ├── 213 are examples: accepted but for three, each of which is no ActivityStreams 2.0
│   └── accepted activities with actor and time are events
└── CloudEvents: the specification's examples are accepted; each required attribute is missed by its name
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from tests.activity.builders import research_data
from tests.attention.collect.standard_documents import (
    activitystreams_cases,
    xapi_blocks,
    xapi_cases,
)
from timebank_chain.attention.collect import Fault, MemberEvent, NothingToCount
from timebank_chain.attention.collect.activitystreams import activitystreams_events, check_activitystreams
from timebank_chain.attention.collect.cloudevents import check_cloudevent
from timebank_chain.attention.collect.reading import parse_record
from timebank_chain.attention.collect.xapi import check_statement, statement_event

pytestmark = pytest.mark.data

#: Examples that the index calls good and the standard does not: why, and where.
NOT_ACTIVITYSTREAMS = {
    # Raw line breaks inside a string: RFC 8259 forbids them. A slip upstream, as the data's readme says.
    "test/vocabulary-ex196-jsonld.json": "$",
    # `name` as a map is an early draft's; test/fail/namemap-as-name.json, which must be refused, is the same.
    "test/simple0011.json": "$.name",
    "test/simple0012.json": "$.name",
}
#: Where each document under test/fail is wrong.
WRONG_AT = {
    "array-at-top": "$",
    "bad-character-set": "$",
    "collection-with-non-page-first": "$.first",
    "content-map-with-invalid-language-tag": "$.contentMap['de-419-DE']",
    "name-as-namemap": "$.nameMap",
    "namemap-as-name": "$.name",
    "number-as-actor": "$.actor",
    "number-as-content": "$.content",
    "number-as-context": "$.@context",
    "number-as-id": "$.id",
    "number-as-name": "$.name",
    "number-as-object": "$.object",
    "number-as-type": "$.type",
    "number-at-top": "$",
    "ordered-collection-with-items": "$.items",
    "ordered-collection-with-non-page-first": "$.first",
    "other-context": "$.@context",
    "relative-uri-for-url": "$.url",
    "string-at-top": "$",
    "unordered-collection-with-ordered-items": "$.orderedItems",
}


def fault_of(check: Any, document: Any) -> Fault | None:
    try:
        check(document)
    except Fault as fault:
        return fault
    return None


@pytest.mark.parametrize(("version", "valid", "invalid"), [("v1_0_3", 343, 607), ("v2_0", 349, 623)])
def test_xapi_conformance_suite(version: str, valid: int, invalid: int) -> None:
    cases = xapi_cases(version)
    assert Counter(case.valid for case in cases) == {True: valid, False: invalid}
    wrong = [case.name for case in cases if (fault_of(check_statement, case.document) is None) != case.valid]
    assert wrong == []


@pytest.mark.parametrize("version", ["v1_0_3", "v2_0"])
def test_xapi_refusals_name_the_place(version: str) -> None:
    for case in xapi_cases(version):
        fault = fault_of(check_statement, case.document)
        if fault is None:
            continue
        assert fault.path.startswith("$"), case.name
        # What is missing cannot be there; everything else is.
        assert ("missing" in fault.problem) != stands_in(case.document, fault.path), (case.name, str(fault))


def stands_in(document: Any, path: str) -> bool:
    """Whether a path of plain keys and positions leads somewhere."""
    steps = path[1:].replace("]", "").replace("[", ".").split(".")[1:]
    held = document
    if "'" in path or '"' in path:
        return True  # a quoted key: it came from the document itself
    for step in steps:
        if isinstance(held, list) and step.isdigit() and int(step) < len(held):
            held = held[int(step)]
        elif isinstance(held, dict) and step in held:
            held = held[step]
        else:
            return False
    return True


@pytest.mark.parametrize("version", ["v1_0_3", "v2_0"])
@pytest.mark.parametrize("part", ["actor", "verb", "object"])
def test_xapi_blocks_without_a_part_are_refused_there(version: str, part: str) -> None:
    fault = fault_of(check_statement, xapi_blocks(version)[f"statements.no_{part}"])
    assert fault is not None
    assert (fault.path, fault.problem) == (f"$.{part}", "is missing")


def test_all_240_xapi_documents_are_judged() -> None:
    """Whole statements of the folder are good; what is meant to be filled in first is not."""
    judged = {
        (version, name): fault_of(check_statement, block)
        for version in ("v1_0_3", "v2_0")
        for name, block in xapi_blocks(version).items()
    }
    assert len(judged) == 240
    good = {name for (_, name), fault in judged.items() if fault is None}
    assert good == {
        f"statements.{name}"
        for name in (
            "attachment", "context", "context_sans_objectType", "default", "multiple_actor",
            "object_agent_default", "object_group_default", "object_statementref",
            "object_substatement_default", "result", "unicode", "voiding",
        )
    }  # fmt: skip
    assert sum(fault is None for fault in judged.values()) == 24


def test_accepted_xapi_statements_are_events() -> None:
    said: Counter[str] = Counter()
    for case in (*xapi_cases("v1_0_3"), *xapi_cases("v2_0")):
        if not case.valid:
            continue
        stamped = {"timestamp": "2024-05-01T12:00:00Z", **case.document}
        try:
            event = statement_event(stamped)
        except NothingToCount as nothing:
            said[nothing.reason.split(":")[0]] += 1
        else:
            assert event.member
            assert event.at_ms > 0
            said[event.verb] += 1
    assert said["attend"] > 650
    assert said["voids another statement"] >= 4
    assert sum(said.values()) == 343 + 349


def test_activitystreams_documents() -> None:
    cases = activitystreams_cases()
    assert Counter(valid for _, _, valid in cases) == {True: 213, False: 20}
    refused = {}
    for file, raw, valid in cases:
        fault = fault_of(lambda held: check_activitystreams(parse_record(held)), raw)
        if fault is not None:
            refused[file] = fault.path
        else:
            assert valid, f"{file} must be refused"
    expected = {f"test/fail/{name}.json": path for name, path in WRONG_AT.items()}
    assert refused == {**expected, **NOT_ACTIVITYSTREAMS}
    assert (len(cases) - len(refused), len(refused)) == (210, 23)


def test_activitystreams_examples_tell_what_they_hold() -> None:
    events: list[MemberEvent] = []
    nothing: Counter[str] = Counter()
    for _file, raw, valid in activitystreams_cases():
        if not valid:
            continue
        try:
            document = parse_record(raw)
            check_activitystreams(document)
        except Fault:
            continue
        for found in activitystreams_events(document):
            if isinstance(found, NothingToCount):
                nothing[found.reason.split(":")[0]] += 1
            else:
                events.append(found)
    assert Counter(event.verb for event in events) == {
        "like": 4, "add": 2, "create": 2, "delete": 1, "dislike": 1,
    }  # fmt: skip
    assert set(nothing) == {
        "neither activity nor authored", "no time", "no actor with an id", "only a reference",
        "an empty collection", "undoes",
    }  # fmt: skip


def test_cloudevents_examples() -> None:
    lines = (research_data("cloudevents") / "examples.jsonl").read_text(encoding="utf-8").splitlines()
    envelopes = [json.loads(line)["event"] for line in lines]
    assert len(envelopes) == 10
    for envelope in envelopes:
        check_cloudevent(envelope)
        for name in ("specversion", "id", "source", "type"):
            fault = fault_of(check_cloudevent, {key: held for key, held in envelope.items() if key != name})
            assert fault is not None
            assert (fault.path, fault.problem) == (f"$.{name}", "is missing")
