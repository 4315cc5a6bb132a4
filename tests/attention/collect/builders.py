"""Events and documents for the tests of collecting, each right until a test makes it wrong."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from timebank_chain.attention.collect import CollectResult, Feed, MemberEvent, Reading, build_feed, feed_of

NOON_MS = 1_704_110_400_000  # 2024-01-01T12:00:00Z
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
NOW_MS = NOON_MS + 365 * DAY_MS


def event(number: int = 1, **changes: Any) -> MemberEvent:
    """An event; the number names it and moves it on by hours."""
    fields: dict[str, Any] = {
        "source": "s",
        "id": f"e{number}",
        "member": "ada",
        "at_ms": NOON_MS + number * HOUR_MS,
        "verb": "view",
        "object": "page",
        "domain": "web",
        **changes,
    }
    return MemberEvent(**fields)


def collected(*events: MemberEvent, file: str = "f", **options: Any) -> CollectResult:
    readings = [Reading(file, line, one.id, one) for line, one in enumerate(events, 1)]
    return build_feed(readings, now_ms=options.pop("now_ms", NOW_MS), **options)


def feed(events: Iterable[MemberEvent]) -> Feed:
    return feed_of(sorted(events, key=lambda one: (one.at_ms, one.source, one.id)))


def statement(**changes: Any) -> dict[str, Any]:
    return {
        "id": "12345678-1234-4321-8765-123456789012",
        "actor": {"mbox": "mailto:ada@example.org"},
        "verb": {"id": "http://adlnet.gov/expapi/verbs/experienced"},
        "object": {"id": "http://example.org/course"},
        "timestamp": "2024-01-01T12:00:00Z",
        **changes,
    }


def activity(**changes: Any) -> dict[str, Any]:
    return {
        "@context": "https://www.w3.org/ns/activitystreams",
        "type": "Like",
        "id": "https://example.org/likes/1",
        "actor": "https://example.org/ada",
        "object": "https://example.org/notes/1",
        "published": "2024-01-01T12:00:00Z",
        **changes,
    }


def envelope(**changes: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": "1",
        "source": "https://example.org/app",
        "type": "org.example.page.viewed",
        "time": "2024-01-01T12:00:00Z",
        "subject": "page/1",
        "authid": "ada",
        "data": {"value": 90, "unit": "s"},
        **changes,
    }


def write(path: Path, *records: Any) -> Path:
    """Write records as JSON lines."""
    path.write_text("".join(json.dumps(one) + "\n" for one in records), encoding="utf-8")
    return path
