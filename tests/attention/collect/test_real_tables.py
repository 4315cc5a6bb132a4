"""Real records through a feed mapping: every row accounted for.

real tables
├── 5,596 commits are one feed; nothing is lost, time goes backwards and the report says so
└── spans and last-before agree with a count by hand on it
"""

from __future__ import annotations

from collections import Counter
from functools import cache

import numpy as np
import pytest

from tests.activity.builders import research_data
from tests.attention.collect.builders import DAY_MS
from timebank_chain.activity.mapping import FieldRules
from timebank_chain.activity.rules import NumberRule, TextRule, TimeRule
from timebank_chain.attention.collect import (
    CollectResult,
    bucket_features,
    build_feed,
    feed_quality,
    last_before,
    table_readings,
)
from timebank_chain.units import parse_time

pytestmark = pytest.mark.data
NOW_MS = int(parse_time("2026-11-01T00:00:00Z"))


def commits() -> FieldRules:
    return FieldRules(
        texts={
            "id": TextRule(("sha",)),
            "member": TextRule(("author",)),
            "verb": TextRule(constant="create"),
            "object": TextRule(("sha",)),
            "domain": TextRule(constant="code"),
        },
        times={"at": TimeRule("author_time")},
        numbers={"value": NumberRule(terms=(("insertions", 1),))},  # type: ignore[arg-type]  # 1 is a Decimal's equal
        settings={"unit": "count"},
    )


@cache
def libuv() -> CollectResult:
    return build_feed(table_readings(research_data("git_libuv") / "commits.csv", commits()), now_ms=NOW_MS)


def test_every_commit_is_accounted_for() -> None:
    result = libuv()
    assert result.read == 5_596 == len(result.feed) + len(result.rejects)
    report = feed_quality(result)
    assert report.counts["refused"] == 0
    # Authors' clocks: a patch is written before it is taken, so times in the file's order go back.
    assert report.counts["backwards"] > 100
    assert any("time goes backwards" in fault for fault in report.faults)
    columns = {column.name: column for column in report.columns}
    assert (columns["verb"].constant, columns["member"].distinct, columns["value"].missing) == (True, 669, 0)


def test_spans_and_ages_agree_with_a_count_by_hand() -> None:
    feed = libuv().feed
    table = bucket_features(feed, 7 * DAY_MS)
    by_hand = Counter(
        (member, at // (7 * DAY_MS)) for member, at in zip(feed.member, feed.at_ms.tolist(), strict=True)
    )
    assert table.column("events").tolist() == [
        by_hand[member, start // (7 * DAY_MS)]
        for member, start in zip(table.member, table.start_ms.tolist(), strict=True)
    ]
    assert np.nansum(table.column("value_count")) == feed.value.sum()
    busiest = Counter(feed.member).most_common(1)[0][0]
    own = [row for row, member in enumerate(feed.member) if member == busiest]
    found = last_before([busiest] * len(own), feed.at_ms[own], feed)
    times = feed.at_ms[own]
    for place, row in enumerate(found.tolist()):
        earlier = times[times < times[place]]
        assert (row < 0) == (len(earlier) == 0)
        assert row < 0 or feed.at_ms[row] == earlier.max()
