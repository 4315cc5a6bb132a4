"""The forms the standards share.

syntax
├── language tags: well-formed ones; doubled regions, digits first, nine letters
├── durations: seconds; what is none; only the last part may be a fraction
├── times
│   ├── any moment with any offset is read as the clock of the standard library reads it
│   ├── without a zone: a time, but no moment; offset minus zero, impossible days: no time
│   └── leap seconds, seconds left out, fractions cut to the millisecond
├── IRIs: absolute ones; relative, spaced, quoted, wrong schemes
└── paths: keys that are no names are quoted
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from timebank_chain.attention.collect.syntax import (
    duration_seconds,
    is_iri,
    is_language_tag,
    is_reference,
    is_uuid,
    key_path,
    read_time,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "tag",
    ["en", "en-US", "zh-Hant", "zh-cmn-Hans-CN", "tlh", "es-419", "sl-rozaj-biske", "de-CH-1996", "x-own",
     "en-a-myext-b-another", "en-US-x-twain"],
)  # fmt: skip
def test_language_tags(tag: str) -> None:
    assert is_language_tag(tag)


@pytest.mark.parametrize(
    "tag", ["", "a", "de-419-DE", "a12345", "something", "en_US", "en-", "en--US", 5, "e n"]
)
def test_what_is_no_language_tag(tag: object) -> None:
    assert not is_language_tag(tag)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("PT0S", 0),
        ("PT1H30M", 5_400),
        ("PT16559.14S", Decimal("16559.14")),
        ("PT1,5M", 90),
        ("P1D", 86_400),
        ("P4W", 2_419_200),
        ("P1Y", 31_556_952),
        ("P1M", 2_629_746),
    ],
)
def test_durations(text: str, seconds: object) -> None:
    assert duration_seconds(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "P", "PT", "P1DT", "P4W1D", "1H", "PT1.5H30M", "PA1H0M0S", "-PT1H", "P1S", "PT1D", None, 60, "PT١S"],
)
def test_what_is_no_duration(text: object) -> None:
    assert duration_seconds(text) is None


@settings(deadline=None)
@given(
    st.datetimes(min_value=datetime(1970, 1, 3), max_value=datetime(2200, 1, 1)),
    st.integers(-23 * 60, 23 * 60).filter(lambda minutes: minutes != 0),
)
def test_any_moment_is_read_as_the_library_reads_it(moment: datetime, offset: int) -> None:
    zoned = moment.replace(tzinfo=timezone(timedelta(minutes=offset)))
    read = read_time(zoned.isoformat())
    assert read == ((zoned - EPOCH) // timedelta(milliseconds=1), True)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("2015-12-12T12:34Z", (1_449_923_640_000, True)),
        ("2015-12-12t12:34:56.7899z", (1_449_923_696_789, True)),
        ("2016-12-31T23:59:60Z", (1_483_228_800_000, True)),
        ("2015-04-21T12:34:56", (None, False)),
        ("1969-12-31T23:59:59Z", (None, True)),
        ("9999-12-31T00:00:00Z", (253_402_214_400_000, True)),
    ],
)
def test_times(text: str, read: object) -> None:
    assert read_time(text) == read


@pytest.mark.parametrize(
    "text",
    ["", "2015-01-01", "2015-02-30T00:00:00Z", "2015-01-01T24:01:00Z", "2015-01-01T12:00:61Z",
     "2008-09-15T15:53:00.601-00:00", "2008-09-15T15:53:00.601-0000", "2008-09-15T15:53:00.601-00",
     "2015-01-01 12:00:00Z", "01/011/2015", "20150101T120000Z", 5, "2015-01-01T12:00:60Z",
     "2015-01-01T12:00:00+24:00"],
)  # fmt: skip
def test_what_is_no_time(text: object) -> None:
    assert read_time(text) is None


def test_the_basic_format_is_a_time_where_it_is_allowed() -> None:
    assert read_time("20150101T120000Z", basic=True) == read_time("2015-01-01T12:00:00Z")


@pytest.mark.parametrize("text", ["http://example.org/é", "urn:isbn:1", "mailto:a@b", "acct:a@b"])
def test_iris(text: str) -> None:
    assert is_iri(text)
    assert is_reference(text)


@pytest.mark.parametrize(
    "text",
    ["images/sally.jpg", "should fail", "ab=c://should.fail.com", "http:", "http://a b", "x:<y>", 5, "9p:x"],
)
def test_what_is_no_absolute_iri(text: object) -> None:
    assert not is_iri(text)


def test_uuids_have_a_version_and_a_variant() -> None:
    assert is_uuid("ec531277-b57b-4c15-8d91-d292c5b2b8f7")
    assert not is_uuid("ec531277-b57b-0c15-8d91-d292c5b2b8f7")
    assert not is_uuid("ec531277-b57b-4c15-fd91-d292c5b2b8f7")
    assert not is_uuid("ec531277b57b4c158d91d292c5b2b8f7")


def test_paths_quote_what_is_no_name() -> None:
    assert key_path("$.a", "b") == "$.a.b"
    assert key_path("$", "de-DE") == "$['de-DE']"
