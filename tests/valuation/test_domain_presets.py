"""The policies of the domains: each on a feed of its own, from recorded acts to a built epoch.

For each kind of act the feed (tests/feeds) has one that is good of its kind, a plain one and a poor one.

preset
  says for each domain why its scales are so
  good > plain > poor, and only what the policy penalises costs
  a plain act is worth a few credits, whatever its kind, and a good one no fortune
  listed and shown by the command
feed
  ingest csv -> value -> epoch build -> epoch verify, as a person would
"""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.cli.bank_stage import run
from timebank_chain.activity import PUBLIC_SALT_KEY, Members, clean
from timebank_chain.activity.sources import csv_rows
from timebank_chain.valuation import Policy, activities_of, explain, load_policy, tau_of

DAY_MS = 86_400_000
FEEDS = Path(__file__).resolve().parents[1] / "feeds"
#: preset -> its domains, and its mean lifetime in days.
PRESETS = {
    "art": (("work", "remix", "critique"), 180),
    "city": (("report", "volunteer", "proposal", "deliberation"), 365),
    "commerce": (("sale", "review", "support"), 90),
    "education": (("lesson", "practice", "teach", "material"), 365),
    "enterprise": (("delivery", "knowledge", "help", "improvement"), 90),
    "games": (("match", "creation", "mentoring", "moderation"), 60),
    "medicine": (("care", "opinion", "evidence", "safety"), 365),
}


def worth(name: str) -> tuple[Policy, dict[str, int]]:
    """What each act of a preset's feed is worth before age, micro-value."""
    policy = load_policy(name)
    windows = {domain.name: domain.window_ms for domain in policy.domains}
    cleaned = clean(
        csv_rows(FEEDS / f"{name}.csv"),
        now_ms=2**41,
        salt_key=PUBLIC_SALT_KEY,
        windows=windows,
        domains=policy.domain_names(),
    )
    assert not cleaned.rejects
    steps = explain(activities_of(cleaned.table, Members(), policy), policy, end_ms=2**41)
    return policy, dict(zip(cleaned.table.id, steps.incentive.tolist(), strict=True))


@pytest.mark.parametrize("name", PRESETS)
class TestPreset:
    def test_is_what_it_says(self, name: str) -> None:
        policy = load_policy(name)
        domains, days = PRESETS[name]
        assert (policy.name, policy.domain_names()) == (name, domains)
        assert round(tau_of(policy.decay_k) / DAY_MS) == days
        for domain in domains:
            assert domain in policy.sources or f"{domain}s" in policy.sources, f"{domain}: no reason given"
        assert f"tau {days}d" in policy.sources
        assert sum(text in policy.sources for text in ("19", "20")) > 0, "no source is named"

    def test_good_is_worth_more_than_plain_than_poor(self, name: str) -> None:
        policy, values = worth(name)
        assert len(values) == 3 * len(policy.domains)
        for domain in policy.domains:
            good, plain, poor = (values[f"{domain.name}-{kind}"] for kind in ("good", "plain", "poor"))
            assert good > 3 * plain > plain > poor, domain.name
            assert (poor < 0) == bool(domain.low and domain.penalty_milli), domain.name
            # A plain act is worth a few credits, whatever its kind; a good one no fortune.
            assert 1_000_000 <= plain <= 30_000_000, (domain.name, plain)
            assert good <= 400_000_000, (domain.name, good)

    def test_command_names_and_shows_it(self, name: str) -> None:
        listed = run("policy", "list", "--json").document["policies"]
        assert name in [one["name"] for one in listed]
        text = run("policy", "show", name)
        assert text.code == 0
        for domain in PRESETS[name][0]:
            assert f"Domain {domain} " in text.out
        assert "Why: " in text.out

    def test_feed_goes_all_the_way(self, name: str, tmp_path: Path) -> None:
        table, epochs = tmp_path / "activity.parquet", tmp_path / "epochs"
        feed = FEEDS / f"{name}.csv"
        rows = list(csv.DictReader(feed.read_text().splitlines()))
        ran = run("ingest", "csv", feed, "--policy", name, "-o", table, "--json")
        assert ran.code == 0, ran.out + ran.err
        at = "2026-03-01T00:00:00Z"
        valued = run("value", table, "--policy", name, "--at", at, "--json")
        assert valued.code == 0, valued.out + valued.err
        start, previous = "2026-01-01T00:00:00Z", 0
        for end in ("2026-01-29T00:00:00Z", "2026-02-26T00:00:00Z"):
            options = ["--start", start] if not epochs.exists() else []
            ran = run(
                "epoch", "build", "--activity", table, "--policy", name, "--epochs", epochs, *options,
                "--end", end, "--json",
            )  # fmt: skip
            assert ran.code == 0, ran.out + ran.err
            previous += sum(one["activityCount"] for one in ran.document["epochs"])
        assert previous == len(rows), "every act settles in one of two epochs"
        assert run("epoch", "verify", "--epochs", epochs, "--json").document["ok"]
        told = run("epoch", "inspect", "--epochs", epochs, "--epoch", 2, "--json").document
        mints = [account["cumulative_mint"] for account in told["top_accounts"]]
        assert len(mints) == 3 and sorted(mints)[0] < sorted(mints)[2]
