"""Shipped policies on what real communities recorded: ordinary acts are worth something, few cost.

Needs the shared research data (marker ``data``).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.activity.builders import research_data
from timebank_chain.activity import PUBLIC_SALT_KEY, ActivityTable, Members, clean
from timebank_chain.activity.mapping_file import load_mapping
from timebank_chain.activity.sources import csv_rows
from timebank_chain.activity.sources.stackexchange import stackexchange_acts
from timebank_chain.examples import example_path
from timebank_chain.valuation import (
    Explanation,
    Policy,
    PreviousAccounts,
    activities_of,
    explain,
    load_policy,
    policy_with,
    settled_ms,
    value_epoch,
)

NOW_MS = 2**41  # 2039: later than anything recorded

pytestmark = pytest.mark.data


def cleaned(rows: object, policy: Policy) -> ActivityTable:
    return clean(rows, now_ms=NOW_MS, salt_key=PUBLIC_SALT_KEY, domains=policy.domain_names()).table


def check(table: ActivityTable, policy: Policy) -> tuple[Explanation, np.ndarray]:
    acts = activities_of(table, Members(), policy)
    end_ms = int(settled_ms(acts, policy).max())
    steps = explain(acts, policy, end_ms=end_ms)
    assert (steps.incentive > 0).mean() > 0.97
    assert (steps.incentive > steps.quality).mean() < 0.2  # the bonus stays an exception
    result = value_epoch(
        acts, PreviousAccounts.none(), policy, start_ms=0, end_ms=end_ms, rate_q24=1 << 24, pot=0
    )
    assert 0 < result.totals.total_mint <= result.totals.total_earned
    assert int(np.sum(steps.value)) <= result.totals.total_earned
    return steps, acts.domain


@pytest.mark.parametrize("site", ["conlang_meta", "quantumcomputing"])
def test_stackexchange_policy_on_a_community(site):
    policy = load_policy("stackexchange")
    windows = {domain.name: domain.window_ms for domain in policy.domains}
    folder: Path = research_data(f"stackexchange_{site}")
    table = cleaned(stackexchange_acts(folder, windows=windows, now_ms=NOW_MS), policy)
    steps, domain = check(table, policy)
    question, answer, comment = (np.median(steps.incentive[domain == index]) for index in range(3))
    # A remark is worth less than an answer or a question, by an order of magnitude.
    assert comment * 10 < min(question, answer)


def test_git_policy_on_a_long_history():
    # The mapping says that its indicators were given directly: no window.
    policy = policy_with(load_policy("git"), window_ms=0)
    rules = load_mapping(example_path("libuv.mapping.toml"))
    table = cleaned(csv_rows(research_data("git_libuv") / "commits.csv", rules), policy)
    steps, _ = check(table, policy)
    # The median commit is worth a few credits, not none and not hundreds.
    assert 1_000_000 < np.median(steps.incentive) < 20_000_000
