"""Records of each kind, right and wrong, out of files.

records
├── files
│   ├── one document, a list, lines; gzip; a first mark of UTF-8; lines under a name that promises a document
│   ├── empty, only spaces, missing, half a gzip: the whole file, named
│   └── a line with a huge, deep, doubled, endless or foreign content spoils itself only
├── xAPI: a store's answer; member by each identifier; value; no time, no zone; a name without id by content
├── ActivityStreams: actors, replies, collections, questions, authored notes; a list is one (refused) document
├── CloudEvents: attributes one by one; null is unset; member; through a mapping
├── web logs: both formats; users, addresses, robots, errors; escaped quotes; wrong months; twins in a file
└── tables: CSV, JSON lines, Parquet; zones, units, missing and infinite values; missing and doubled columns
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.attention.collect.builders import NOON_MS, NOW_MS, activity, envelope, statement, write
from timebank_chain.attention.collect import (
    Fault,
    MemberEvent,
    NothingToCount,
    Reading,
    activitystreams_readings,
    build_feed,
    cloudevents_readings,
    load_aliases,
    load_feed_mapping,
    table_readings,
    weblog_readings,
    xapi_readings,
)
from timebank_chain.attention.collect.cloudevents import check_cloudevent
from timebank_chain.attention.collect.reading import parse_record
from timebank_chain.attention.collect.xapi import check_statement
from timebank_chain.errors import ActivityError, AttentionError

LOG = (
    '127.0.0.1 - ada [01/Jan/2024:13:00:00 +0100] "GET /page?key=secret HTTP/1.1" 200 512 '
    '"-" "Mozilla \\"5\\""'
)


def events_of(readings: Any) -> list[MemberEvent]:
    return [one.found for one in readings if isinstance(one.found, MemberEvent)]


def problems(readings: Any) -> list[tuple[int, str]]:
    """Line and text of everything that is no event."""
    return [(one.line, str(one.found)) for one in readings if not isinstance(one.found, MemberEvent)]


# ---------------------------------------------------------------- files


def test_one_document_a_list_and_lines_are_the_same(tmp_path: Path) -> None:
    other = statement(id="22345678-1234-4321-8765-123456789012")
    (tmp_path / "list.json").write_text(json.dumps([statement(), other]))
    (tmp_path / "answer.json").write_text(json.dumps({"statements": [statement(), other], "more": ""}))
    write(tmp_path / "lines.jsonl", statement(), other)
    (tmp_path / "lines.jsonl.gz").write_bytes(gzip.compress((tmp_path / "lines.jsonl").read_bytes()))
    write(tmp_path / "lines.json", statement(), other)
    (tmp_path / "marked.json").write_bytes(b"\xef\xbb\xbf" + (tmp_path / "list.json").read_bytes())
    read = [events_of(xapi_readings(path)) for path in sorted(tmp_path.iterdir())]
    assert len(read) == 6
    assert all(one == read[0] for one in read)
    assert len(read[0]) == 2


@pytest.mark.parametrize("content", [b"", b" \n\n", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_a_file_without_records_is_named(tmp_path: Path, content: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(AttentionError, match="empty") as error:
        list(xapi_readings(tmp_path / name))
    assert error.value.where == str(tmp_path / name)


def test_a_file_that_is_not_there_or_half_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(AttentionError, match="cannot read"):
        list(xapi_readings(tmp_path / "none.json"))
    packed = gzip.compress(json.dumps(statement()).encode())
    (tmp_path / "half.json").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(AttentionError, match="truncated"):
        list(xapi_readings(tmp_path / "half.json"))


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"{", "is not JSON"),
        (b'{"id": 1, "id": 2}', "stands twice"),
        (b'{"result": {"score": {"raw": NaN}}}', "NaN"),
        (b'{"result": {"score": {"raw": 1e999}}}', "beyond all numbers"),
        (b'{"a": ' + b"9" * 100 + b"}", "100 digits"),
        (b'{"actor": ' * 70 + b"1" + b"}" * 70, "deeper than 64"),
        (b"[" * 200_000, "deeper than 64"),
        (b'{"a": "\xff"}', "is not UTF-8: byte 0xff at 7"),
        ('{"a": "b"}'.encode("utf-16"), "is not UTF-8"),
        (b"42", "is not an object"),
        (b'{"a": "' + b"x" * (16 << 20) + b'"}', "more than 16,777,216 bytes"),
    ],
)
def test_a_spoilt_line_spoils_itself_only(tmp_path: Path, line: bytes, problem: str) -> None:
    good = json.dumps(statement()).encode()
    (tmp_path / "a.jsonl").write_bytes(good + b"\n" + line.replace(b"\n", b" ") + b"\n" + good)
    readings = list(xapi_readings(tmp_path / "a.jsonl"))
    assert [one.line for one in readings] == [1, 2, 3]
    assert isinstance(readings[0].found, MemberEvent)
    assert isinstance(readings[2].found, MemberEvent)
    assert problem in str(readings[1].found)
    assert len(readings[1].text) <= 1 << 20


@pytest.mark.parametrize(
    ("line", "path"),
    [
        (b'{"a": 1, "a": 2}', "$.a"),
        (b'{"actor": {"mbox": 1, "mbox": 2}}', "$.actor.mbox"),
        (b'{"to": [{"id": 1}, {"id": 1, "id": 2}]}', "$.to[1].id"),
        # What the second key drives out holds one, too.
        (b'{"x": {"b": 1, "b": 1}, "x": 3}', "$.x"),
    ],
)
def test_key_that_stands_twice_is_told_by_its_path(line: bytes, path: str) -> None:
    with pytest.raises(Fault) as error:
        parse_record(line)
    assert error.value.path == path


def test_lines_under_another_name_are_lines_though_the_first_is_spoilt(tmp_path: Path) -> None:
    good = json.dumps(statement())
    (tmp_path / "a.json").write_text(f"{{\n{good}\n")
    readings = list(xapi_readings(tmp_path / "a.json"))
    assert [type(one.found) for one in readings] == [Fault, MemberEvent]
    (tmp_path / "b.json").write_text(json.dumps(statement(), indent=1)[:-1])
    assert [type(one.found) for one in xapi_readings(tmp_path / "b.json")] == [Fault]


def test_a_file_of_more_than_16_mib_is_lines_or_refused(tmp_path: Path) -> None:
    line = json.dumps(statement(context={"extensions": {"https://x.example/e": "x" * (6 << 20)}}))
    (tmp_path / "many.json").write_text("\n".join([line] * 3))
    assert [one.line for one in xapi_readings(tmp_path / "many.json")] == [1, 2, 3]
    (tmp_path / "list.json").write_text(f"[{line}, {line}, {line}]")
    with pytest.raises(AttentionError, match="a list of more than") as error:
        list(xapi_readings(tmp_path / "list.json"))
    assert error.value.where == str(tmp_path / "list.json")


# ---------------------------------------------------------------- xAPI


@pytest.mark.parametrize(
    ("actor", "member"),
    [
        ({"mbox": "mailto:ada@example.org"}, "ada@example.org"),
        ({"mbox_sha1sum": "c" * 40}, "c" * 40),
        ({"openid": "https://id.example/ada"}, "https://id.example/ada"),
        ({"account": {"homePage": "https://x.example", "name": "7"}}, "7@https://x.example"),
    ],
)
def test_xapi_members(tmp_path: Path, actor: dict[str, Any], member: str) -> None:
    (event,) = events_of(xapi_readings(write(tmp_path / "a.jsonl", statement(actor=actor))))
    assert event == MemberEvent(
        "xapi", statement()["id"], member, NOON_MS, "view", "http://example.org/course", "learning"
    )


def test_xapi_anonymous_groups_are_named_by_their_members_in_any_order(tmp_path: Path) -> None:
    members = [{"mbox": "mailto:a@x"}, {"mbox": "mailto:b@x"}]
    groups = [{"objectType": "Group", "member": held} for held in (members, members[::-1])]
    path = write(tmp_path / "a.jsonl", *(statement(actor=group) for group in groups))
    first, second = events_of(xapi_readings(path))
    assert first.member == second.member
    assert first.member.startswith("group:")


@pytest.mark.parametrize(
    ("result", "value"),
    [
        ({"duration": "PT2M", "score": {"scaled": 0.5}}, (120.0, "s")),
        ({"score": {"scaled": -0.5}}, (-0.5, "scaled")),
        ({"score": {"raw": 7}}, (None, "")),
        ({}, (None, "")),
    ],
)
def test_xapi_values(tmp_path: Path, result: dict[str, Any], value: object) -> None:
    (event,) = events_of(xapi_readings(write(tmp_path / "a.jsonl", statement(result=result))))
    assert (event.value, event.unit) == value


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"timestamp": "2024-01-01T12:00:00"}, "$.timestamp: time without a zone"),
        ({"timestamp": "1969-01-01T12:00:00Z"}, "$.timestamp: time out of range"),
        ({"timestamp": "yesterday"}, "$.timestamp: is not an ISO 8601 time"),
        ({"result": {"score": {"scaled": 2}}}, "$.result.score.scaled: is not between -1 and 1"),
        ({"Actor": 1}, "$.Actor: is no property"),
        ({"actor": []}, "$.actor: is not an object"),
        ({"actor": {"objectType": {}}}, "$.actor.objectType: is not Agent or Group"),
        ({"context": {"extensions": {"not an iri": 1}}}, "$.context.extensions['not an iri']"),
        ({"context": {"platform": None}}, "$.context.platform: is null"),
    ],
)
def test_xapi_problems_name_the_place(tmp_path: Path, changes: dict[str, Any], problem: str) -> None:
    ((_, text),) = problems(xapi_readings(write(tmp_path / "a.jsonl", statement(**changes))))
    assert text.startswith(problem)


def test_xapi_without_a_time_and_without_an_id(tmp_path: Path) -> None:
    plain = {key: held for key, held in statement().items() if key not in {"id", "timestamp"}}
    path = write(tmp_path / "a.jsonl", plain, {**plain, "stored": "2024-01-01T12:00:00Z"})
    readings = list(xapi_readings(path))
    assert str(readings[0].found) == "$.timestamp: no time"
    assert isinstance(readings[1].found, MemberEvent)
    assert len(readings[1].found.id) == 64


def test_a_faulty_statement_of_an_answer_is_named_by_its_position(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"statements": [statement(), {}, statement()]}))
    readings = list(xapi_readings(tmp_path / "a.json"))
    assert [type(one.found) for one in readings] == [MemberEvent, Fault, MemberEvent]
    assert str(readings[1].found) == "$.statements[1].actor: is missing"


def test_null_is_let_through_in_extensions_only() -> None:
    check_statement(statement(context={"extensions": {"http://x.example/a": {"b": None}}}))
    with pytest.raises(Fault, match=r"\$\.verb\.display\.en: is null"):
        check_statement(statement(verb={"id": "http://x.example/v", "display": {"en": None}}))


# ---------------------------------------------------------------- ActivityStreams


def told(tmp_path: Path, *documents: Any) -> list[Reading]:
    return list(activitystreams_readings(write(tmp_path / "a.jsonl", *documents)))


def test_activitystreams_several_actors_are_several_events(tmp_path: Path) -> None:
    actors = ["https://x.example/a", {"type": "Person", "id": "https://x.example/b"}, {"type": "Person"}]
    events = events_of(told(tmp_path, activity(actor=actors)))
    assert [one.member for one in events] == ["https://x.example/a", "https://x.example/b"]
    assert len({one.id for one in events}) == 2


def test_activitystreams_a_created_reply_is_an_act_and_a_comment(tmp_path: Path) -> None:
    note = {
        "type": "Note",
        "id": "https://x.example/n/2",
        "inReplyTo": "https://x.example/n/1",
        "published": "2024-01-01T12:00:00Z",
    }
    made = activity(type="Create", object=note, published=None)
    created, comment = events_of(told(tmp_path, made))
    assert (created.verb, created.object, created.domain) == ("create", "https://x.example/n/2", "note")
    assert (comment.verb, comment.object) == ("comment", "https://x.example/n/1")
    assert created.at_ms == comment.at_ms == NOON_MS
    alone = {**note, "attributedTo": "https://x.example/a"}
    assert [one.verb for one in events_of(told(tmp_path, alone))] == ["create", "comment"]


def test_activitystreams_collections_give_their_items(tmp_path: Path) -> None:
    collection = {
        "@context": "https://www.w3.org/ns/activitystreams",
        "type": "OrderedCollection",
        "orderedItems": [
            activity(),
            "https://x.example/unknown",
            activity(id="https://x.example/2", published=None),
        ],
    }
    readings = told(tmp_path, collection)
    assert [type(one.found) for one in readings] == [MemberEvent, NothingToCount, NothingToCount]
    assert str(readings[2].found) == "$.items[2].published: no time"


def test_activitystreams_time_spent(tmp_path: Path) -> None:
    listened = activity(type="Listen", duration="PT90S")
    travelled = activity(
        type="Travel", published=None, startTime="2024-01-01T12:00:00Z", endTime="2024-01-01T14:00:00+01:00"
    )
    backwards = activity(startTime="2024-01-01T12:00:00Z", endTime="2024-01-01T11:00:00Z")
    values = [(one.value, one.unit) for one in events_of(told(tmp_path, listened, travelled, backwards))]
    assert values == [(90.0, "s"), (3_600.0, "s"), (None, "")]


def test_undo_and_voiding_take_back_what_they_name(tmp_path: Path) -> None:
    undo = activity(type="Undo", id="https://x.example/u", object=activity())
    readings = told(tmp_path, activity(), undo, activity(type="Undo", actor=None))
    assert str(readings[2].found) == "$.actor: no actor with an id"
    result = build_feed(readings, now_ms=NOW_MS)
    assert (len(result.feed), result.retracted) == (0, 1)
    thief = {**undo, "actor": "https://example.org/thief"}
    assert len(build_feed(told(tmp_path, activity(), thief), now_ms=NOW_MS).feed) == 1
    voiding = statement(
        id="22345678-1234-4321-8765-123456789012",
        verb={"id": "http://adlnet.gov/expapi/verbs/voided"},
        object={"objectType": "StatementRef", "id": statement()["id"].upper()},
    )
    path = write(tmp_path / "x.jsonl", statement(), voiding)
    assert build_feed(xapi_readings(path), now_ms=NOW_MS).retracted == 1


def test_activitystreams_questions_are_created(tmp_path: Path) -> None:
    asked = activity(type="Question", object=None, oneOf=[{"name": "a"}, {"name": "b"}])
    (event,) = events_of(told(tmp_path, asked))
    assert (event.verb, event.object, event.domain) == ("create", asked["id"], "question")


def test_activitystreams_a_list_at_the_top_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps([activity()]))
    ((_, text),) = problems(activitystreams_readings(tmp_path / "a.json"))
    assert text.startswith("$: is not an object")


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"object": {"type": "Place", "latitude": 91}}, "$.object.latitude"),
        ({"object": {"type": "Note", "tag": [{"name": "x"}, 5]}}, "$.object.tag[1]"),
        ({"published": "1 January"}, "$.published"),
        ({"duration": "2 hours"}, "$.duration"),
        ({"object": {"type": "Link", "href": "x y"}}, "$.object.href"),
        ({"object": {"type": "Collection", "totalItems": -1}}, "$.object.totalItems"),
        ({"@context": ["https://schema.org", 7]}, "$.@context[1]"),
        ({"type": ["Like", ""]}, "$.type[1]"),
    ],
)
def test_activitystreams_problems_name_the_place(tmp_path: Path, changes: dict[str, Any], path: str) -> None:
    ((_, text),) = problems(told(tmp_path, activity(**changes)))
    assert text.startswith(f"{path}: ")


# ---------------------------------------------------------------- CloudEvents


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"specversion": "0.3"}, "$.specversion"),
        ({"id": ""}, "$.id"),
        ({"id": 7}, "$.id"),
        ({"source": "a b"}, "$.source"),
        ({"type": None}, "$.type"),
        ({"time": "2024-01-01"}, "$.time"),
        ({"time": "2024-01-01T12:00Z"}, "$.time"),
        ({"time": "2024-01-01T12:00:00"}, "$.time"),
        ({"subject": ""}, "$.subject"),
        ({"dataschema": "relative"}, "$.dataschema"),
        ({"datacontenttype": "json"}, "$.datacontenttype"),
        ({"data_base64": "AQ=="}, "$.data_base64"),
        ({"data": None, "data_base64": "?"}, "$.data_base64"),
        ({"MyExtension": "x"}, "$.MyExtension"),
        ({"my-ext": "x"}, "$['my-ext']"),
        ({"ext": 1.5}, "$.ext"),
        ({"ext": 2**31}, "$.ext"),
        ({"ext": {"a": 1}}, "$.ext"),
        ({"ext": "a\x00b"}, "$.ext"),
    ],
)
def test_cloudevents_attributes(changes: dict[str, Any], path: str) -> None:
    with pytest.raises(Fault) as fault:
        check_cloudevent(envelope(**changes))
    assert fault.value.path == path


def test_cloudevents_null_is_unset_and_extensions_are_taken() -> None:
    held = check_cloudevent(
        envelope(subject=None, ext=True, number=-(2**31), datacontenttype="application/json")
    )
    assert "subject" not in held
    without = {key: value for key, value in envelope().items() if key != "data"}
    check_cloudevent({**without, "data_base64": "AQID"})


def test_cloudevents_batches_and_members(tmp_path: Path) -> None:
    nobody = envelope(id="2", authid=None)
    inside = envelope(id="3", authid=None, data={"member": "bob"})
    timeless = envelope(id="4", time=None)
    (tmp_path / "batch.json").write_text(json.dumps([envelope(), nobody, inside, timeless]))
    readings = list(cloudevents_readings(tmp_path / "batch.json"))
    first, second = events_of(readings)
    assert first == MemberEvent(
        "https://example.org/app", "1", "ada", NOON_MS, "view", "page/1", "page", 90.0, "s"
    )
    assert (second.member, second.value) == ("bob", None)
    assert [text.split(":")[0] for _, text in problems(readings)] == ["$.authid", "$.time"]


def test_cloudevents_through_a_mapping(tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_text(
        'schema = "timebank.feed-mapping/1"\nunit = "min"\n'
        '[fields.member]\ncolumn = "data.user.id"\n[fields.at]\ncolumn = "time"\n'
        '[fields.verb]\ncolumn = "type"\n[fields.value]\ncolumn = "data.minutes"\n'
    )
    sent = envelope(type="watched", data={"user": {"id": "cat"}, "minutes": 2})
    path = write(tmp_path / "a.jsonl", sent)
    (event,) = events_of(cloudevents_readings(path, load_feed_mapping(tmp_path / "m.toml")))
    assert (event.source, event.id, event.member) == ("https://example.org/app", "1", "cat")
    assert (event.verb, event.value, event.unit) == ("view", 2.0, "min")


# ---------------------------------------------------------------- web logs


def test_weblog_lines(tmp_path: Path) -> None:
    lines = [
        LOG,
        LOG,
        LOG.replace(" ada ", " - "),
        LOG.replace("200", "404"),
        LOG.replace("Mozilla", "Googlebot"),
        LOG.replace("GET", "get"),
        LOG.replace("Jan", "Jam"),
        LOG.replace("01/Jan", "31/Feb"),
        "nonsense",
        '::1 - bob [01/Jan/2024:12:00:00 -0030] "POST /form HTTP/2.0" 304 -',
    ]
    (tmp_path / "access.log").write_text("\n".join(lines) + "\n")
    readings = list(weblog_readings(tmp_path / "access.log"))
    first, twin, form = events_of(readings)
    assert (first.member, first.at_ms, first.verb, first.object) == ("ada", NOON_MS, "view", "/page")
    assert (first.value, first.unit, twin.id) == (512.0, "B", f"{first.id}-2")
    assert (form.verb, form.at_ms, form.value) == ("request", NOON_MS + 30 * 60_000, None)
    assert [text.partition(":")[0] for _, text in problems(readings)] == [
        "$.user", "$.status", "$.agent", "$.request", "$.time", "$.time", "$",
    ]  # fmt: skip
    assert "secret" not in first.object
    again = events_of(weblog_readings(tmp_path / "access.log"))
    assert [one.id for one in again] == [first.id, twin.id, form.id]


def test_weblog_by_address_and_empty(tmp_path: Path) -> None:
    (tmp_path / "access.log").write_text(LOG.replace(" ada ", " - ") + "\n")
    (event,) = events_of(weblog_readings(tmp_path / "access.log", by_host=True))
    assert event.member == "127.0.0.1"
    (tmp_path / "access.log").write_text("")
    with pytest.raises(AttentionError, match="empty"):
        list(weblog_readings(tmp_path / "access.log"))


def test_weblog_bytes_that_are_no_text_and_endless_lines(tmp_path: Path) -> None:
    raw = LOG.encode() + b"\n\xff\xfe\x00\n" + b"x" * ((16 << 20) + 5) + b"\n" + LOG.encode()
    (tmp_path / "access.log").write_bytes(raw)
    readings = list(weblog_readings(tmp_path / "access.log"))
    assert [one.line for one in readings] == [1, 2, 3, 4]
    assert len(events_of(readings)) == 2


# ---------------------------------------------------------------- tables

MAPPING = """
schema = "timebank.feed-mapping/1"
source = "room"
unit = "min"
[fields.member]
column = "badge"
[fields.at]
column = "entered"
format = "%d.%m.%Y %H:%M"
zone = "Europe/Berlin"
[fields.verb]
constant = "attend"
[fields.object]
column = "room"
[fields.value]
column = "stayed"
[[reject]]
column = "badge"
equals = "cleaner"
reason = "not a visit"
"""


def room(tmp_path: Path, name: str, content: str) -> list[Reading]:
    (tmp_path / "room.toml").write_text(MAPPING)
    (tmp_path / name).write_text(content)
    return list(table_readings(tmp_path / name, load_feed_mapping(tmp_path / "room.toml")))


def test_tables_csv(tmp_path: Path) -> None:
    readings = room(
        tmp_path,
        "room.csv",
        "badge,entered,room,stayed\n"
        "ada,01.01.2024 13:00,A,30\n"
        "bob,01.01.2024 13:00,,\n"
        "cat,01.07.2024 14:00,A,inf\n"
        "dan,31.03.2024 02:30,A,1\n"
        "eve,01.13.2024 14:00,A,1\n"
        ",01.01.2024 13:00,A,1\n"
        "cleaner,01.01.2024 13:00,A,1\n"
        "fay,01.01.2024 13:00\n"
        "gil,01.01.2024 13:00,A,many\n",
    )
    ada, bob = events_of(readings)
    assert (ada.source, ada.member, ada.at_ms, ada.verb, ada.object, ada.value, ada.unit) == (
        "room", "ada", NOON_MS, "attend", "A", 30.0, "min",
    )  # fmt: skip
    assert (bob.object, bob.value, bob.unit) == ("", None, "")
    assert [text.partition(":")[0] for _, text in problems(readings)] == [
        "$.value", "$.at", "$.at", "$.member", "$.badge", "$", "$.value",
    ]  # fmt: skip
    assert "infinite" in problems(readings)[0][1]
    assert "exists twice or never" in problems(readings)[1][1]


def test_tables_json_lines_and_parquet_say_the_same(tmp_path: Path) -> None:
    rows = [{"badge": "ada", "entered": "01.01.2024 13:00", "room": "A", "stayed": 1.25}]
    readings = room(tmp_path, "room.jsonl", json.dumps(rows[0]) + "\n[]\n{}\n")
    (event,) = events_of(readings)
    assert event.value == 1.25
    assert [line for line, _ in problems(readings)] == [2, 3]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "room.parquet")
    (same,) = events_of(table_readings(tmp_path / "room.parquet", load_feed_mapping(tmp_path / "room.toml")))
    assert (same.member, same.at_ms, same.value) == (event.member, event.at_ms, event.value)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.csv", "", "the file is empty"),
        ("a.csv", "badge,entered,room,stayed\n", "a header and no row"),
        ("a.csv", "badge,entered,room\nx,y,z\n", "no column 'stayed'"),
        ("a.csv", "badge,badge,entered,room,stayed\n", "stands twice"),
        ("a.csv", 'badge,entered,room,stayed\n"ada', "not CSV"),
        ("a.csv", "badge,entered,room,stayed\n" + "x" * 200_000 + ",a,b,c\n", "not CSV"),
        ("a.csv", "badge,entered,room,stayed\n" + "x" * ((16 << 20) + 1), "a line is longer"),
        ("a.xlsx", "PK", "no kind of table"),
        ("a.parquet", "PAR1", "not a readable Parquet file"),
        ("a.jsonl", "", "the file is empty"),
    ],
)
def test_tables_that_are_none(tmp_path: Path, name: str, content: str, problem: str) -> None:
    with pytest.raises(AttentionError, match=problem):
        room(tmp_path, name, content)


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        (MAPPING.replace("feed-mapping/1", "feed-mapping/2"), "schema is"),
        (MAPPING.replace("[fields.member]", "[fields.menber]"), "unknown entry 'fields.menber'"),
        (MAPPING.replace('[fields.verb]\nconstant = "attend"\n', ""), "fields.verb is missing"),
        (MAPPING.replace("Europe/Berlin", "Europe/Nowhere"), "is no zone"),
        (MAPPING.replace('source = "room"', "source = 5"), "source is not text"),
        ("not toml", "not TOML"),
    ],
)
def test_mappings_that_are_none(tmp_path: Path, broken: str, problem: str) -> None:
    (tmp_path / "m.toml").write_text(broken)
    with pytest.raises(ActivityError, match=problem):
        load_feed_mapping(tmp_path / "m.toml")


def test_the_mapping_in_the_readme_reads(tmp_path: Path) -> None:
    rooms = Path(__file__).resolve().parents[3] / "timebank_chain" / "attention"
    readme = (rooms / "README.md").read_text(encoding="utf-8")
    block = next(
        text for text in readme.split("```toml\n") if text.startswith('schema = "timebank.feed-mapping/1"')
    )
    (tmp_path / "m.toml").write_text(block.partition("```")[0], encoding="utf-8")
    (tmp_path / "a.csv").write_text("badge,entered,stayed\nada,01.01.2024 13:00,30\n")
    (event,) = events_of(table_readings(tmp_path / "a.csv", load_feed_mapping(tmp_path / "m.toml")))
    assert (event.source, event.at_ms, event.value, event.unit) == ("reading-room", NOON_MS, 30.0, "min")


# ---------------------------------------------------------------- aliases


def test_aliases(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("alias,member\nada@x,ada\n7@x,ada\n\n7@x,ada\n")
    assert load_aliases(tmp_path / "a.csv") == {"ada@x": "ada", "7@x": "ada"}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"member,alias\n", "header is not"),
        (b"alias,member\na\n", "a row is not"),
        (b"alias,member\na,\n", "a row is not"),
        (b"alias,member\na,x\na,y\n", "belongs to two members"),
        (b"\xff\xfe", "cannot read"),
    ],
)
def test_aliases_that_are_none(tmp_path: Path, content: bytes, problem: str) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(AttentionError, match=problem):
        load_aliases(tmp_path / "a.csv")
