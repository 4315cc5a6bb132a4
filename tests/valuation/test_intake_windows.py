"""One rule about windows, for whoever values a table: a row's window is its domain's.

windows
|- equal ones fit, also when both are 0
|- an explicit 0 in a domain that waits is refused, by value and by epoch alike, naming the row
|- any other window too
`- `other_windows` lists the rows; a row of an unknown domain is an error that names it
"""

from __future__ import annotations

import pytest

from timebank_chain.activity import PUBLIC_SALT_KEY, ActivityTable, Members, RawRecord, clean
from timebank_chain.epoch import build_epoch
from timebank_chain.errors import ActivityError, PolicyError
from timebank_chain.valuation import Policy, activities_of, load_policy, other_windows, policy_with

NOW_MS = 1_800_000_000_000
ACT_MS = 1_700_000_000_000
WAITING = policy_with(load_policy("identity"), window_ms=3_600_000)
AT_ONCE = load_policy("identity")


def table(*windows: str, domain: str = "general") -> ActivityTable:
    rows = [
        RawRecord("feed.csv", line, f"act {line}", "m", domain, ACT_MS + line, window, "1", "1", "1")
        for line, window in enumerate(windows, start=1)
    ]
    cleaned = clean(rows, now_ms=NOW_MS, salt_key=PUBLIC_SALT_KEY)
    assert cleaned.rejects == ()
    return cleaned.table


def refusals(acts: ActivityTable, policy: Policy) -> list[ActivityError]:
    found = []
    for use in (
        lambda: activities_of(acts, Members(), policy),
        lambda: build_epoch(
            acts, Members(), policy, start_ms=ACT_MS, end_ms=ACT_MS + 10_000_000, previous=None
        ),
    ):
        with pytest.raises(ActivityError) as caught:
            use()
        found.append(caught.value)
    return found


@pytest.mark.parametrize(("window", "policy"), [("0s", AT_ONCE), ("1h", WAITING)])
def test_equal_windows_fit(window: str, policy: Policy) -> None:
    acts = table(window, window)
    assert len(activities_of(acts, Members(), policy).domain) == 2
    assert other_windows(acts, policy).tolist() == []


@pytest.mark.parametrize(
    ("window", "said"), [("0s", "given directly (window 0)"), ("2h", "counted within 2h")]
)
def test_another_window_is_refused_by_value_and_by_epoch_alike(window: str, said: str) -> None:
    acts = table("1h", window)
    by_value, by_epoch = refusals(acts, WAITING)
    assert said in by_value.message
    assert by_value.where == "activity row 2 (id 'act 2'), field 'window_ms'"
    assert (by_value.message, by_value.where, by_value.hint) == (
        by_epoch.message, by_epoch.where, by_epoch.hint,
    )  # fmt: skip
    assert other_windows(acts, WAITING).tolist() == [1]


def test_a_window_where_none_is_waited_for_is_refused() -> None:
    assert all("counted within 1h" in error.message for error in refusals(table("1h"), AT_ONCE))


def test_an_unknown_domain_is_named() -> None:
    with pytest.raises(PolicyError, match="elsewhere"):
        other_windows(table("0s", domain="elsewhere"), AT_ONCE)
