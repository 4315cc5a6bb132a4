"""What cheating gains: a real community's record, changed as cheats would change it, and valued again.

Usage: .venv/bin/python scripts/bench_attacks.py [--data FOLDER] [--policy NAME|FILE] [--json]

Each attack is written into a copy of the dump (posts, comments, votes), which is then read, cleaned and
valued epoch by epoch exactly as the genuine one, so whatever the source or the policy does against it counts.
What the cheats were credited is compared with what they were credited before:

split   one member's threads, shared out in turn among k accounts: what the brackets take less. Or all posts
        and comments in turn, so that the accounts talk to each other, which counts as others' interest
flood   one member adds worthless acts within one epoch: questions nobody notices, questions that two or three
        readers vote down, comments in a row on one post
praise  two members vote up everything the other wrote a day later, and comment on it as well
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np
from rich.console import Console
from rich.table import Table

from timebank_chain.activity import PUBLIC_SALT_KEY, Members, clean
from timebank_chain.activity.sources.dump_xml import xml_rows
from timebank_chain.activity.sources.stackexchange import stackexchange_acts
from timebank_chain.config import setting
from timebank_chain.units import MICRO, format_time, parse_time
from timebank_chain.valuation import (
    Policy,
    PreviousAccounts,
    activities_of,
    load_policy,
    settles_in,
    value_epoch,
)

SITE = "stackexchange_quantumcomputing"
FILES = ("Posts", "Comments", "Votes")
DAY_MS = 86_400_000
UP, DOWN = "2", "3"
#: Ids from here on are nobody's.
FRESH = 900_000_000
SPLITS = (2, 5, 10)
FLOOD = 100
_TEXT = ("Body", "Text", "Title", "Tags", "UserDisplayName", "OwnerDisplayName")

Row = Mapping[str, str]


@dataclass(frozen=True)
class Community:
    """The rows of a dump, without their texts."""

    posts: tuple[Row, ...]
    comments: tuple[Row, ...]
    votes: tuple[Row, ...]

    @classmethod
    def read(cls, folder: Path) -> Community:
        """Read a dump."""
        columns = []
        for name in FILES:
            path = folder / f"{name}.xml"
            path = path if path.is_file() else folder / f"{name}.xml.gz"
            rows = (row for _, row in xml_rows(path, name.lower()))
            columns.append(tuple({key: row[key] for key in row if key not in _TEXT} for row in rows))
        return cls(*columns)

    def write(self, folder: Path) -> None:
        """Write a dump that the source reads as it reads the genuine one."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, rows in zip(FILES, (self.posts, self.comments, self.votes), strict=True):
            lines = [
                "<row " + " ".join(f"{key}={quoteattr(row[key])}" for key in row) + " />" for row in rows
            ]
            text = "\n".join([f"<{name.lower()}>", *lines, f"</{name.lower()}>"])
            (folder / f"{name}.xml").write_text(f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n')

    def posts_of(self, user: str) -> list[Row]:
        """Return a member's posts, oldest first."""
        return sorted((row for row in self.posts if row.get("OwnerUserId") == user), key=created)


@dataclass(frozen=True)
class Outcome:
    """What members were credited over all epochs (micro-credits), and how many acts they have."""

    mint: Mapping[str, int]
    acts: Mapping[str, int]

    def ranked(self) -> list[str]:
        """Return the members who were credited anything, the richest first."""
        some = [user for user, amount in self.mint.items() if amount]
        return sorted(some, key=lambda user: (-self.mint[user], user))

    def together(self, users: Iterable[str]) -> int:
        """Return what some members were credited together, micro-credits."""
        return sum(self.mint.get(user, 0) for user in users)


@dataclass(frozen=True)
class Gain:
    """One attack: what its authors were credited without it and with it, micro-credits.

    ``effort`` is how many accounts, acts or votes it took.
    """

    attack: str
    who: str
    effort: int
    before: int
    after: int

    @property
    def gained(self) -> int:
        """Micro-credits."""
        return self.after - self.before

    @property
    def percent(self) -> float | None:
        """Of what they had."""
        return 100 * self.gained / self.before if self.before else None


def created(row: Row) -> int:
    """Return when a row was written, Unix ms."""
    return int(parse_time(row["CreationDate"] + "Z"))


def stamp(ms: int) -> str:
    """Write Unix ms as the dump does."""
    return format_time(ms).removesuffix("Z")


def value(community: Community, policy: Policy) -> Outcome:
    """Write a community down, read it as its dump is read, and value it epoch by epoch."""
    windows = {domain.name: domain.window_ms for domain in policy.domains}
    with tempfile.TemporaryDirectory(prefix="bench-attacks-") as scratch:
        folder = Path(scratch) / "stackexchange_site"
        community.write(folder)
        acts = stackexchange_acts(folder, windows=windows, now_ms=2**41)
        table = clean(acts, now_ms=2**41, salt_key=PUBLIC_SALT_KEY, domains=policy.domain_names()).table
    activities = activities_of(table, Members(), policy)
    names = {}
    for member, account in zip(table.member, activities.account, strict=True):
        names[account.tobytes()] = member.rpartition(":")[2]
    counts: dict[str, int] = {}
    for member in table.member:
        user = member.rpartition(":")[2]
        counts[user] = counts.get(user, 0) + 1
    length = policy.epoch_ms or 28 * DAY_MS
    # One grid for the genuine dump and all changed ones: whole epochs since 1970.
    start = int(table.occurred_ms.min()) // length * length
    previous = PreviousAccounts.none()
    while True:
        chosen = settles_in(activities, policy, start_ms=start, end_ms=start + length)
        valuation = value_epoch(
            activities.take(chosen),
            previous,
            policy,
            start_ms=start,
            end_ms=start + length,
            rate_q24=policy.initial_rate_q24,
            pot=0,
        )
        accounts = valuation.accounts
        previous = PreviousAccounts(accounts.account, accounts.standing, accounts.cumulative_mint)
        start += length
        if start > int(table.occurred_ms.max()) + max(windows.values()):
            break
    amounts = accounts.cumulative_mint.tolist()
    mint = {names[row.tobytes()]: amount for row, amount in zip(accounts.account, amounts, strict=True)}
    return Outcome(mint, counts)


def split(
    community: Community, user: str, count: int, *, talking: bool = False
) -> tuple[Community, list[str]]:
    """Share a member's acts out among ``count`` accounts, in turn.

    Parameters
    ----------
    talking
        Act by act, so that the accounts answer each other; otherwise thread by thread: they never meet.
    """
    accounts = [user, *(str(FRESH + number) for number in range(1, count))]
    threads = {row["Id"]: row.get("ParentId", row["Id"]) for row in community.posts}
    mine = [("posts", row) for row in community.posts if row.get("OwnerUserId") == user]
    mine += [("comments", row) for row in community.comments if row.get("UserId") == user]
    mine.sort(key=lambda one: (created(one[1]), one[0], int(one[1]["Id"])))
    turns: dict[tuple[str, ...], str] = {}
    turn: dict[tuple[str, str], str] = {}
    for kind, row in mine:
        post = row["Id"] if kind == "posts" else row["PostId"]
        what = (kind, row["Id"]) if talking else (threads.get(post, post),)
        turns.setdefault(what, accounts[len(turns) % count])
        turn[kind, row["Id"]] = turns[what]

    def shared(kind: str, rows: Sequence[Row], key: str) -> tuple[Row, ...]:
        return tuple(
            {**row, key: turn[kind, row["Id"]]} if (kind, row["Id"]) in turn else row for row in rows
        )

    changed = replace(
        community,
        posts=shared("posts", community.posts, "OwnerUserId"),
        comments=shared("comments", community.comments, "UserId"),
    )
    return changed, accounts


def flood_questions(
    community: Community, user: str, count: int, at_ms: int, *, down_votes: int
) -> tuple[Community, list[str]]:
    """Let a member ask ``count`` questions within four weeks, each voted down so many times a day later."""
    step = 28 * DAY_MS // count
    posts, votes = [], []
    for number in range(count):
        when = at_ms + number * step
        post = {
            "Id": str(FRESH + number),
            "PostTypeId": "1",
            "OwnerUserId": user,
            "CreationDate": stamp(when),
        }
        posts.append(post)
        for voter in range(down_votes):
            votes.append(_vote(FRESH + number * down_votes + voter, post["Id"], DOWN, when))
    changed = replace(community, posts=(*community.posts, *posts), votes=(*community.votes, *votes))
    return changed, [user]


def flood_comments(community: Community, user: str, count: int, post: Row) -> tuple[Community, list[str]]:
    """Let a member write ``count`` comments on one post of somebody else, one a minute."""
    start = created(post) + DAY_MS
    comments = [
        {
            "Id": str(FRESH + number),
            "PostId": post["Id"],
            "UserId": user,
            "CreationDate": stamp(start + 60_000 * number),
        }
        for number in range(count)
    ]
    return replace(community, comments=(*community.comments, *comments)), [user]


def praise(
    community: Community, first: str, second: str, *, with_comments: bool
) -> tuple[Community, list[str], int]:
    """Let two members vote up all the other's posts, and comment on each; return also how many votes."""
    votes, comments = [], []
    for author, admirer in ((first, second), (second, first)):
        for post in community.posts_of(author):
            if post.get("PostTypeId") not in ("1", "2"):
                continue
            when = created(post)
            votes.append(_vote(FRESH + len(votes), post["Id"], UP, when))
            if with_comments:
                comments.append(
                    {
                        "Id": str(FRESH + len(comments)),
                        "PostId": post["Id"],
                        "UserId": admirer,
                        "CreationDate": stamp(when + 3_600_000),
                    }
                )
    changed = replace(community, votes=(*community.votes, *votes), comments=(*community.comments, *comments))
    return changed, [first, second], len(votes)


def _vote(number: int, post: str, kind: str, posted_ms: int) -> Row:
    day = stamp((posted_ms // DAY_MS + 1) * DAY_MS)
    return {"Id": str(number), "PostId": post, "VoteTypeId": kind, "CreationDate": day}


def simulate(community: Community, policy: Policy, *, flood: int = FLOOD) -> list[Gain]:
    """Run every attack and return what each gained."""
    honest = value(community, policy)
    ranked = honest.ranked()
    if len(ranked) < 4:
        raise ValueError(f"{len(ranked)} members were credited, at least four are needed")
    richest, ninth, middle = ranked[0], ranked[len(ranked) // 10], ranked[len(ranked) // 2]
    roles = {richest: "the richest", ninth: "at the ninth decile", middle: "the median"}
    gains: list[Gain] = []

    def compare(attack: str, who: str, effort: int, made: tuple[Community, list[str]]) -> None:
        changed, cheats = made
        after = value(changed, policy).together(cheats)
        gains.append(Gain(attack, who, effort, honest.together(cheats), after))

    for user in (richest, ninth):
        for talking, how in ((False, "that never meet"), (True, "that talk to each other")):
            for count in SPLITS:
                made = split(community, user, count, talking=talking)
                compare(f"split into {count} accounts {how}", roles[user], count, made)
    times = sorted(created(row) for row in community.posts)
    # Late enough that the community is there, early enough that every window closes.
    at_ms = times[len(times) // 2]
    for down_votes, words in ((0, "nobody notices"), (2, "two vote down"), (3, "three vote down")):
        made = flood_questions(community, middle, flood, at_ms, down_votes=down_votes)
        compare(f"{flood} questions that {words}", roles[middle], flood, made)
    busy = next(
        row
        for row in sorted(community.posts, key=created)
        if created(row) >= at_ms and row.get("OwnerUserId") not in (None, middle)
    )
    compare(
        f"{flood} comments in a row on one post",
        roles[middle],
        flood,
        flood_comments(community, middle, flood, busy),
    )
    place = len(ranked) // 10
    for pair, who in (
        ((ranked[0], ranked[1]), "the two richest"),
        ((ranked[place], ranked[place + 1]), "two at the ninth decile"),
    ):
        for with_comments in (False, True):
            changed, cheats, votes = praise(community, *pair, with_comments=with_comments)
            how = "vote up and comment on" if with_comments else "vote up"
            compare(f"{how} everything of each other", who, votes, (changed, cheats))
    return gains


def summary(community: Community, policy: Policy) -> dict[str, Any]:
    """Return what the community is like before anybody cheats."""
    honest = value(community, policy)
    amounts = np.array([honest.mint[user] for user in honest.ranked()], dtype=np.int64)
    return {
        "members_credited": len(amounts),
        "acts": sum(honest.acts.values()),
        "mint_micro": int(amounts.sum()),
        "median_micro": int(np.median(amounts)),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Simulate and print; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--data", type=Path, help="folder of a Stack Exchange dump")
    parser.add_argument("--policy", default="stackexchange", metavar="NAME|FILE")
    parser.add_argument("--flood", type=int, default=FLOOD, metavar="N", help="worthless acts of a flood")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    given = parser.parse_args(arguments)
    if given.flood < 1:
        parser.error(f"--flood must be at least 1, not {given.flood}")
    shared = setting("TIMEBANK_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = given.data or Path(shared) / SITE
    if not folder.is_dir():
        print(f"no dump at {folder}: skipped (set TIMEBANK_TEST_DATA, or add --data)", file=sys.stderr)
        return 0
    policy = load_policy(given.policy)
    community = Community.read(folder)
    before = summary(community, policy)
    gains = simulate(community, policy, flood=given.flood)
    if given.json:
        body = [{**vars(one), "gained": one.gained, "percent": one.percent} for one in gains]
        document = {"schema": "timebank.bench.attacks/1", "site": folder.name, "policy": policy.name}
        print(json.dumps({**document, "before": before, "attacks": body}, indent=2))
        return 0
    table = Table(
        title=f"{folder.name}: {before['members_credited']:,} members credited "
        f"{before['mint_micro'] / MICRO:,.0f} for {before['acts']:,} acts, the median "
        f"{before['median_micro'] / MICRO:,.1f}",
        box=None,
    )
    for name in ("attack", "who", "effort", "before", "after", "gain", "%", "gain each"):
        table.add_column(name, justify="left" if name in ("attack", "who") else "right")
    for one in gains:
        percent = "-" if one.percent is None else f"{one.percent:+.1f}"
        table.add_row(
            one.attack,
            one.who,
            str(one.effort),
            f"{one.before / MICRO:,.2f}",
            f"{one.after / MICRO:,.2f}",
            f"{one.gained / MICRO:+,.2f}",
            percent,
            f"{one.gained / MICRO / one.effort:+,.3f}",
        )
    Console(width=160).print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
