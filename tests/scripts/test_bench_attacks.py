"""scripts/bench_attacks.py: each attack on a small community, by hand, and all of them on a real one.

dump ............ written down and read again, a community is worth what its genuine dump is
split ........... without brackets and comments it gains exactly nothing; with brackets something
                  nobody's act is lost, everybody else's stays
flood ........... a question nobody notices is worth 0.5 before age, one voted down costs, as comments do
praise .......... one vote more for each post of both, none for anybody else's
all of them ..... on the small research data, as the command prints them; refused without members or data
"""

from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from tests.activity.builders import research_data, write_dump
from timebank_chain.activity import PUBLIC_SALT_KEY, Members, clean
from timebank_chain.activity.sources.stackexchange import stackexchange_acts
from timebank_chain.units import format_time
from timebank_chain.valuation import (
    Bracket,
    Policy,
    PreviousAccounts,
    activities_of,
    load_policy,
    settled_ms,
    value_epoch,
    weight,
)

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "bench_attacks.py"
DAY_MS = 86_400_000
EPOCH_MS = 28 * DAY_MS
#: The beginning of an epoch of the script's grid.
START = 700 * EPOCH_MS


@pytest.fixture(scope="module")
def attacks() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_attacks", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench_attacks"] = module
    spec.loader.exec_module(module)
    return module


def stackexchange() -> Policy:
    return load_policy("stackexchange")


def flat() -> Policy:
    return replace(stackexchange(), brackets=(Bracket(0, 1_000),))


def at(day: int) -> str:
    return format_time(START + day * DAY_MS).removesuffix("Z")


def question(number: int, owner: int, day: int) -> dict[str, object]:
    return {"Id": number, "PostTypeId": 1, "OwnerUserId": owner, "CreationDate": at(day), "Title": "secret"}


@pytest.fixture
def community(attacks: ModuleType, tmp_path: Path):
    """Member 1 asks eight questions in one epoch, 2 to 5 one each; 3 comments; somebody much later closes."""
    posts = [question(number, 1, number % 3) for number in range(1, 9)]
    posts += [question(10 + user, user, 1) for user in range(2, 6)]
    posts.append(question(99, 99, 200))
    votes = [
        {"Id": number, "PostId": number, "VoteTypeId": 2, "CreationDate": at(4)} for number in range(1, 9)
    ]
    comments = [{"Id": 1, "PostId": 12, "UserId": 3, "CreationDate": at(2), "Text": "secret"}]
    folder = tmp_path / "stackexchange_tea"
    write_dump(folder, posts=posts, comments=comments, votes=votes)
    return attacks.Community.read(folder)


def test_texts_are_left_out(community) -> None:
    assert "secret" not in repr(community)


class TestSplit:
    def test_gains_nothing_without_brackets(self, attacks, community) -> None:
        honest = attacks.value(community, flat())
        changed, cheats = attacks.split(community, "1", 4)
        after = attacks.value(changed, flat())
        assert [after.acts[user] for user in cheats] == [2, 2, 2, 2]
        assert after.together(cheats) == honest.together(["1"]) > 0
        assert {user: after.mint[user] for user in "2345"} == {user: honest.mint[user] for user in "2345"}

    def test_gains_what_the_brackets_take(self, attacks, community) -> None:
        honest, whole = attacks.value(community, stackexchange()), attacks.value(community, flat())
        changed, cheats = attacks.split(community, "1", 8)
        after = attacks.value(changed, stackexchange())
        assert honest.mint["1"] < whole.mint["1"] == after.together(cheats)

    def test_accounts_that_talk_count_as_others(self, attacks, community) -> None:
        own = {"Id": "2", "PostId": "1", "UserId": "1", "CreationDate": at(2)}
        chatty = replace(community, comments=(*community.comments, own))
        honest = attacks.value(chatty, flat())
        apart, cheats = attacks.split(chatty, "1", 2)
        assert attacks.value(apart, flat()).together(cheats) == honest.together(["1"])
        meeting, cheats = attacks.split(chatty, "1", 2, talking=True)
        # Nine acts in turn: the comment falls to another account than the post it stands under.
        assert attacks.value(meeting, flat()).together(cheats) > honest.together(["1"])


class TestFlood:
    def test_unnoticed_questions(self, attacks, community) -> None:
        changed, cheats = attacks.flood_questions(community, "7", 4, START + EPOCH_MS, down_votes=0)
        after = attacks.value(changed, flat())
        rules = flat()
        # Asked on days 0, 7, 14 and 21 of an epoch, they settle a week later: the last at its very end.
        expected = [500_000 * weight(EPOCH_MS - day * DAY_MS, rules.decay_k) >> 31 for day in (0, 7, 14, 21)]
        assert (cheats, after.acts["7"]) == (["7"], 4)
        assert after.mint["7"] == sum(expected)

    def test_down_votes_and_comments_cost(self, attacks, community) -> None:
        honest = attacks.value(community, flat())
        for votes in (2, 3):
            changed, _ = attacks.flood_questions(community, "2", 20, START, down_votes=votes)
            assert len(changed.votes) == len(community.votes) + 20 * votes
            assert attacks.value(changed, flat()).mint["2"] < honest.mint["2"]
        post = next(row for row in community.posts if row["Id"] == "1")
        few, _ = attacks.flood_comments(community, "7", 3, post)
        many, _ = attacks.flood_comments(community, "7", 60, post)
        assert attacks.value(few, flat()).mint["7"] > attacks.value(many, flat()).mint["7"] == 0


class TestPraise:
    def test_one_vote_for_each_post(self, attacks, community) -> None:
        honest = attacks.value(community, flat())
        changed, cheats, votes = attacks.praise(community, "1", "2", with_comments=False)
        after = attacks.value(changed, flat())
        assert (cheats, votes) == (["1", "2"], 9)
        gained = {user: after.mint[user] - honest.mint[user] for user in honest.mint}
        assert gained["1"] > 0 and gained["2"] > 0
        assert not any(gained[user] for user in gained if user not in cheats)
        assert after.acts == honest.acts
        louder, _, _ = attacks.praise(community, "1", "2", with_comments=True)
        loudest = attacks.value(louder, flat())
        assert loudest.together(cheats) > after.together(cheats)
        # Each wrote a comment on every post of the other.
        assert loudest.acts["1"] - honest.acts["1"] == 1
        assert loudest.acts["2"] - honest.acts["2"] == 8


def test_too_few_members(attacks, community) -> None:
    alone = replace(community, posts=community.posts[:8] + community.posts[-1:], comments=())
    with pytest.raises(ValueError, match="1 members were credited, at least four"):
        attacks.simulate(alone, stackexchange())


@pytest.mark.data
class TestRealCommunity:
    def test_worth_what_its_genuine_dump_is(self, attacks: ModuleType) -> None:
        folder, rules = research_data("stackexchange_conlang_meta"), flat()
        windows = {domain.name: domain.window_ms for domain in rules.domains}
        acts = stackexchange_acts(folder, windows=windows, now_ms=2**41)
        table = clean(acts, now_ms=2**41, salt_key=PUBLIC_SALT_KEY, domains=rules.domain_names()).table
        activities = activities_of(table, Members(), rules)
        outcome = attacks.value(attacks.Community.read(folder), rules)
        assert sum(outcome.acts.values()) == len(table)
        # Epoch by epoch, each with its own end: the mint is the sum.
        start = int(table.occurred_ms.min()) // EPOCH_MS * EPOCH_MS
        settled, total, previous = settled_ms(activities, rules), 0, PreviousAccounts.none()
        while start < int(settled.max()):
            rows = (settled > start) & (settled <= start + EPOCH_MS)
            valued = value_epoch(
                activities.take(rows), previous, rules,
                start_ms=start, end_ms=start + EPOCH_MS, rate_q24=rules.initial_rate_q24, pot=0,
            )  # fmt: skip
            total, start = total + valued.totals.total_mint, start + EPOCH_MS
        assert sum(outcome.mint.values()) == total > 0

    def test_as_the_command_prints_it(self, attacks: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
        folder = research_data("stackexchange_conlang_meta")
        assert attacks.main(["--data", str(folder), "--flood", "20", "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["schema"] == "timebank.bench.attacks/1"
        by_kind = {one["attack"]: one for one in told["attacks"] if "median" in one["who"]}
        assert by_kind["20 questions that nobody notices"]["gained"] > 0
        assert by_kind["20 questions that three vote down"]["gained"] <= 0
        assert all(one["gained"] == one["after"] - one["before"] for one in told["attacks"])
        assert len(told["attacks"]) == 2 * 2 * 3 + 4 + 4
        splits = [
            one["gained"]
            for one in told["attacks"]
            if one["who"] == "the richest" and "never meet" in one["attack"]
        ]
        # More accounts also lower the mean that the brackets go by: more need not be better.
        assert len(splits) == 3 and min(splits) > 0
        assert attacks.main(["--data", str(folder), "--flood", "20"]) == 0
        assert "vote up everything of each other" in capsys.readouterr().out


def test_without_data_it_says_so(
    attacks: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert attacks.main(["--data", str(tmp_path / "none")]) == 0
    assert "skipped" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        attacks.main(["--flood", "0"])
