"""Collecting: the standards' own test documents judged, and how fast records become a feed.

Usage: .venv/bin/python scripts/bench_attention_collect.py [--events N] [--json]

The documents are those of W3C's ActivityStreams 2.0 tests, ADL's xAPI conformance suite (its cases are
JavaScript: Node evaluates them) and the examples of the CloudEvents specification, in the folder that
TIMEBANK_TEST_DATA names (default: shared/data beside this checkout). Speed is measured on N made events of
each kind, the last tenth of them repeating the first, in processor time of one core: reading, checking,
joining, and writing the feed. A log's lines have no names, so there alike lines are two requests.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import pytest
from rich.console import Console
from rich.table import Table

from tests.activity.builders import research_data
from tests.attention.collect.standard_documents import activitystreams_cases, xapi_cases
from timebank_chain.attention.collect import (
    Fault,
    Reading,
    activitystreams_readings,
    bucket_features,
    build_feed,
    cloudevents_readings,
    weblog_readings,
    write_feed,
    xapi_readings,
)
from timebank_chain.attention.collect.activitystreams import check_activitystreams
from timebank_chain.attention.collect.cloudevents import check_cloudevent
from timebank_chain.attention.collect.reading import parse_record
from timebank_chain.attention.collect.xapi import check_statement

EVENTS = 100_000
START_MS = 1_704_067_200_000
DAY_MS = 86_400_000


def accepted(check: Callable[[Any], object], document: Any) -> bool:
    """Whether a check lets a document through."""
    try:
        check(document)
    except Fault:
        return False
    return True


def judged(name: str, cases: list[tuple[Any, bool]], check: Callable[[Any], object]) -> dict[str, Any]:
    """Judge every case of a standard; ``valid`` is what its publishers say."""
    bad = [accepted(check, document) for document, valid in cases if not valid]
    good = [accepted(check, document) for document, valid in cases if valid]
    return {
        "standard": name,
        "invalid": len(bad),
        "refused": bad.count(False),
        "valid": len(good),
        "accepted": good.count(True),
    }


def standards() -> list[dict[str, Any]]:
    """Judge the documents of all three standards."""
    found = [
        judged(
            "ActivityStreams 2.0",
            [(raw, valid) for _, raw, valid in activitystreams_cases()],
            lambda raw: check_activitystreams(parse_record(raw)),
        )
    ]
    for name, version in (("xAPI 1.0.3", "v1_0_3"), ("xAPI 2.0", "v2_0")):
        found.append(
            judged(name, [(one.document, one.valid) for one in xapi_cases(version)], check_statement)
        )
    lines = (research_data("cloudevents") / "examples.jsonl").read_text(encoding="utf-8").splitlines()
    envelopes = [json.loads(line)["event"] for line in lines]
    lacking = [
        ({key: held for key, held in one.items() if key != name}, False)
        for one in envelopes
        for name in ("specversion", "id", "source", "type")
    ]
    found.append(judged("CloudEvents 1.0", [*((one, True) for one in envelopes), *lacking], check_cloudevent))
    return found


def stamp(number: int) -> str:
    """The time of a made event, a second apart."""
    seconds = START_MS // 1_000 + number
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def made(kind: str, number: int) -> str:
    """One made record of a kind, as a line."""
    member = f"member-{number % 997}"
    if kind == "weblog":
        when = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(START_MS // 1_000 + number))
        return (
            f'10.0.0.1 - {member} [{when}] "GET /page/{number % 499} HTTP/1.1" 200 512 "-" "Browser {number}"'
        )
    records: dict[str, dict[str, Any]] = {
        "activitystreams": {
            "@context": "https://www.w3.org/ns/activitystreams",
            "type": "Like",
            "id": f"https://example.org/likes/{number}",
            "actor": f"https://example.org/{member}",
            "object": f"https://example.org/notes/{number % 499}",
            "published": stamp(number),
        },
        "xapi": {
            "id": f"{number:08x}-1234-4321-8765-123456789012",
            "actor": {"account": {"homePage": "https://example.org", "name": member}},
            "verb": {"id": "http://adlnet.gov/expapi/verbs/experienced", "display": {"en": "experienced"}},
            "object": {"id": f"https://example.org/course/{number % 499}"},
            "result": {"duration": "PT1M30S"},
            "timestamp": stamp(number),
        },
        "cloudevents": {
            "specversion": "1.0",
            "id": str(number),
            "source": "https://example.org/app",
            "type": "org.example.page.viewed",
            "subject": f"page/{number % 499}",
            "time": stamp(number),
            "authid": member,
            "data": {"value": 1.5, "unit": "min"},
        },
    }
    return json.dumps(records[kind])


def speeds(events: int) -> list[dict[str, Any]]:
    """Measure every reader on ``events`` records of which a tenth comes twice."""
    readers: dict[str, Callable[[Path], Iterator[Reading]]] = {
        "activitystreams": activitystreams_readings,
        "xapi": xapi_readings,
        "cloudevents": cloudevents_readings,
        "weblog": weblog_readings,
    }
    rows = []
    fresh = events - events // 10
    with tempfile.TemporaryDirectory() as folder:
        for kind, reader in readers.items():
            path = Path(folder) / f"{kind}.jsonl"
            lines = [made(kind, number) for number in (*range(fresh), *range(events - fresh))]
            path.write_text("\n".join(lines) + "\n", encoding="utf-8")
            began = time.process_time()
            result = build_feed(reader(path), now_ms=time.time_ns() // 1_000_000)
            joined = time.process_time()
            write_feed(result.feed, Path(folder) / "feed.parquet")
            written = time.process_time()
            table = bucket_features(result.feed, DAY_MS)
            rows.append(
                {
                    "kind": kind,
                    "events": events,
                    "kept": len(result.feed),
                    "duplicates": result.duplicates,
                    "read_and_join_s": joined - began,
                    "hash_and_write_s": written - joined,
                    "features_s": time.process_time() - written,
                    "feature_rows": len(table.member),
                    "events_per_s": events / (written - began),
                }
            )
    return rows


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    os.environ.setdefault("TIMEBANK_TEST_DATA", str(Path(__file__).resolve().parents[2] / "shared" / "data"))
    try:
        documents = standards()
    except pytest.skip.Exception as absent:
        # The tests' own readers find the documents; where data or Node is absent they skip, and this goes on.
        print(f"standards' documents: {absent}", file=sys.stderr)
        documents = []
    measured = speeds(options.events)
    if options.json:
        print(json.dumps({"standards": documents, "speed": measured}, indent=2))
        return 0
    console = Console()
    table = Table(
        "standard", "must be refused", "refused", "valid", "accepted", title="The standards' documents"
    )
    for row in documents:
        table.add_row(*(str(row[name]) for name in ("standard", "invalid", "refused", "valid", "accepted")))
    console.print(table)
    heads = ("records", "events", "kept", "read, join", "write", "features", "events/s")
    table = Table(*heads, title="Speed, processor time")
    for row in measured:
        table.add_row(
            row["kind"],
            f"{row['events']:,}",
            f"{row['kept']:,}",
            f"{row['read_and_join_s']:.2f} s",
            f"{row['hash_and_write_s']:.2f} s",
            f"{row['features_s']:.2f} s",
            f"{row['events_per_s']:,.0f}",
        )
    console.print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
