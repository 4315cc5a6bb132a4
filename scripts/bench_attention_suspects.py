"""Planted bots in a real community's record: how many are held, and how many honest members with them.

Usage: .venv/bin/python scripts/bench_attention_suspects.py [--data DIR] [--days N] [--plants N] [--json]

The Stack Exchange dump is ingested (7 days of observation) and cut into spans of 28 days (and of 14, 21, 35
and 42). Into each span but the first two, bots are planted, ten times over with other seeds:

clockwork      an act every few hours, day and night, give or take some per cent; engagement as others get
patient        the same number of acts at random times of day and night, engagement as others get
bought likes   times and acts of a real member of another span, each act with 5 to 15 likes more
ring of four   the same, and each of the four praises nearly every act of the others

Spans before are the reference, without bots. Honest members of a span are counted once, without bots (which
change nothing about them, since only earlier spans are the reference): among all, and among those with the
five acts it takes to be scored, with Wilson's 95 % interval. Spans of other lengths cut the same record anew,
so their counts are not independent. Who praised whom is taken from comments on others' posts.

So few members show no rate: that is shown by simulated communities of 35 honest members, seventy of them
judged in a week that two weeks precede (70 scores), and again in one that four precede.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from rich.console import Console
from rich.table import Table
from statsmodels.stats.proportion import proportion_confint

from tests.attention.monitor.test_suspicion import community, judged
from timebank_chain.activity import ActivityTable, clean
from timebank_chain.activity.sources import stackexchange_acts
from timebank_chain.activity.sources.dump_xml import xml_rows
from timebank_chain.attention.monitor.series import DAY_MS, HOUR_MS
from timebank_chain.attention.monitor.spans import Praise, Span, spans_of
from timebank_chain.attention.monitor.suspicion import SuspicionSettings, suspects
from timebank_chain.config import setting
from timebank_chain.errors import AttentionError
from timebank_chain.units import parse_time

NOW_MS = int(parse_time("2026-11-01T00:00:00Z"))
DOMAINS = ("question", "answer", "comment")
KINDS = ("clockwork", "patient", "bought likes", "ring of four")
SKIPPED = 2
LENGTHS = (14, 21, 28, 35, 42)
#: Simulated communities, members of each, and how many weeks precede the one that is judged.
COMMUNITIES, MEMBERS = 70, 35
WEEKS_BEFORE = (2, 4)
Loaded = tuple[ActivityTable, Praise]


def load(folder: Path) -> Loaded:
    """Ingest a dump; return its acts, and who commented on whose post."""
    windows = dict.fromkeys(DOMAINS, 7 * DAY_MS)
    acts = clean(
        stackexchange_acts(folder, windows=windows, now_ms=NOW_MS),
        now_ms=NOW_MS,
        salt_key=b"a bench's own key",
    ).table
    prefix = acts.member[0].rsplit(":", 1)[0]
    owner: dict[str, str] = {}
    for _, row in xml_rows(_find(folder, "Posts"), "posts"):
        if "OwnerUserId" in row:
            owner[row["Id"]] = row["OwnerUserId"]
    given = [
        (
            f"{prefix}:{row['UserId']}",
            f"{prefix}:{owner[row['PostId']]}",
            int(parse_time(row["CreationDate"] + "Z")),
        )
        for _, row in xml_rows(_find(folder, "Comments"), "comments")
        if "UserId" in row and row["PostId"] in owner and row["UserId"] != owner[row["PostId"]]
    ]
    times = np.array([time for _, _, time in given], dtype=np.int64)
    return acts, Praise(tuple(one for one, _, _ in given), tuple(one for _, one, _ in given), times)


def _find(folder: Path, name: str) -> Path:
    packed = folder / f"{name}.xml.gz"
    return packed if packed.is_file() else folder / f"{name}.xml"


class Planter:
    """Adds bots to a span."""

    def __init__(self, span: Span, start_ms: int, end_ms: int, seed: int) -> None:
        self._span, self._chance = span, np.random.default_rng(seed)
        self._start, self._end = start_ms, end_ms
        self._rows: list[tuple[str, str, str, int, int, int, int]] = []
        self._praise: list[tuple[str, str, int]] = []
        self.kind: dict[str, str] = {}

    def plant(self) -> Span:
        """Plant two of each kind, the ring being one of four."""
        for number in range(2):
            self._clockwork(f"bot:clockwork:{number}")
            self._patient(f"bot:patient:{number}")
            self._bought(f"bot:bought:{number}")
        self._ring([f"bot:ring:{number}" for number in range(4)])
        span, rows, count = self._span, self._rows, len(self._rows)

        def whole(column: int, kind: type[np.generic]) -> Any:
            return np.array([row[column] for row in rows], dtype=kind)

        acts = ActivityTable(
            id=[*span.acts.id, *(row[0] for row in rows)],
            member=[*span.acts.member, *(row[1] for row in rows)],
            domain=[*span.acts.domain, *(row[2] for row in rows)],
            occurred_ms=np.concatenate([span.acts.occurred_ms, whole(3, np.int64)]),
            window_ms=np.concatenate([span.acts.window_ms, np.full(count, 7 * DAY_MS, dtype=np.int64)]),
            interaction_milli=np.concatenate([span.acts.interaction_milli, whole(4, np.uint32)]),
            originality_milli=np.concatenate([span.acts.originality_milli, whole(5, np.uint32)]),
            engagement_milli=np.concatenate([span.acts.engagement_milli, whole(6, np.uint32)]),
            salt=np.concatenate([span.acts.salt, np.zeros((count, 16), dtype=np.uint8)]),
        )
        praise = Praise(
            (*span.praise.giver, *(one for one, _, _ in self._praise)),
            (*span.praise.receiver, *(one for _, one, _ in self._praise)),
            np.concatenate(
                [span.praise.occurred_ms, np.array([one for _, _, one in self._praise], dtype=np.int64)]
            ),
        )
        return Span(acts, tuple(acts.member), praise)

    def _add(self, name: str, at_ms: int, kind: str, *, likes: int = 0, comments: int = 0) -> None:
        """Add an act at a time, in everything else like a real one of the span."""
        self.kind[name] = kind
        acts = self._span.acts
        like = int(self._chance.integers(len(acts)))
        self._rows.append(
            (
                f"{name}:{len(self._rows)}", name, acts.domain[like], at_ms,
                int(acts.interaction_milli[like]) + 1_000 * comments, int(acts.originality_milli[like]),
                int(acts.engagement_milli[like]) + 1_000 * likes,
            )
        )  # fmt: skip

    def _clockwork(self, name: str) -> None:
        every = self._chance.uniform(4, 24) * HOUR_MS
        jitter = self._chance.uniform(0, 0.05)
        at = self._start + self._chance.uniform(0, every)
        while at < self._end:
            self._add(name, int(at), "clockwork")
            at += every * (1 + self._chance.uniform(-jitter, jitter))

    def _patient(self, name: str) -> None:
        count = int(self._chance.integers(30, 90))
        for at in self._chance.integers(self._start, self._end, size=count):
            self._add(name, int(at), "patient")

    def _human_times(self) -> list[int]:
        """Return the times of a real member with at least eight acts."""
        busy = [name for name, count in Counter(self._span.acts.member).items() if count >= 8]
        if not busy:
            raise AttentionError(
                "a span has nobody with eight acts to plant bots after", hint="take longer --days"
            )
        name = busy[int(self._chance.integers(len(busy)))]
        rows = [row for row, member in enumerate(self._span.acts.member) if member == name]
        shift = int(self._chance.integers(-30, 31)) * 60_000
        return [int(self._span.acts.occurred_ms[row]) + shift for row in rows]

    def _bought(self, name: str) -> None:
        for at in self._human_times():
            self._add(name, at, "bought likes", likes=int(self._chance.integers(5, 16)))

    def _ring(self, names: list[str]) -> None:
        for name in names:
            for at in self._human_times():
                others = [other for other in names if other != name and self._chance.random() < 0.9]
                self._add(name, at, "ring of four", likes=len(others), comments=len(others))
                self._praise += [(other, name, at + 60_000) for other in others]


def measure(
    folder: Path, *, days: int = 28, plants: int = 10, rate: float = 0.03, loaded: Loaded | None = None
) -> dict[str, Any]:
    """Plant, judge and count; return shares held by kind, and of honest members.

    Raises
    ------
    AttentionError
        If spans of this length have too few members, or there are too few spans.
    """
    acts, praise = loaded or load(folder)
    length = days * DAY_MS
    settled = acts.occurred_ms + acts.window_ms
    begin, last = int(settled.min()), int(settled.max())
    spans = (last - begin) // length
    if spans <= SKIPPED:
        raise AttentionError(
            f"{spans} spans of {days} days, {SKIPPED + 1} are needed", hint="take less --days"
        )
    planted: Counter[str] = Counter()
    held: Counter[str] = Counter()
    honest = scored = honest_held = in_turn_held = 0
    left_held: set[str] = set()
    reasons: Counter[str] = Counter()
    settings = SuspicionSettings(rate=rate)
    for number in range(SKIPPED, spans):
        start, end = begin + number * length, begin + (number + 1) * length
        span, earlier = spans_of(acts, praise, start_ms=start, end_ms=end)
        alone = suspects(span, earlier, settings)
        honest += len(set(span.who))
        honest_held += len(alone.held)
        scored += len(alone.found)
        # As epochs are built one after the other, when nobody ever releases anybody.
        span_in_turn, learned = spans_of(acts, praise, start_ms=start, end_ms=end, held=frozenset(left_held))
        stood_out = {one.who for one in suspects(span_in_turn, learned, settings).held}
        in_turn_held += len(stood_out)
        left_held.update(act for act, who in zip(span.acts.id, span.who, strict=True) if who in stood_out)
        for seed in range(plants):
            planter = Planter(span, start - 7 * DAY_MS, end - 7 * DAY_MS, seed)
            verdict = suspects(planter.plant(), earlier, settings)
            planted.update(planter.kind.values())
            for one in verdict.held:
                kind = planter.kind.get(one.who)
                if kind is not None:
                    held[kind] += 1
                    reasons[f"{kind}: {one.reasons[0].measure}"] += 1
    return {
        "spans": spans - SKIPPED,
        "days": days,
        "rate": rate,
        "planted": {kind: planted[kind] for kind in KINDS},
        "held": {kind: held[kind] / planted[kind] if planted[kind] else 0.0 for kind in KINDS},
        "first_reasons": dict(reasons.most_common()),
        "honest_members": honest,
        "honest_scored": scored,
        "honest_held": honest_held,
        "honest_held_interval": list(
            map(float, proportion_confint(honest_held, max(scored, 1), method="wilson"))
        ),
        "honest_held_of_all": honest_held / honest if honest else 0.0,
        "honest_held_of_scored": honest_held / scored if scored else 0.0,
        "held_if_never_released_of_scored": in_turn_held / scored if scored else 0.0,
    }


def simulate(communities: int = COMMUNITIES, rate: float = 0.03) -> list[dict[str, Any]]:
    """Judge simulated honest members; return how many were held, by the number of weeks known before."""
    rows = []
    for before in WEEKS_BEFORE:
        verdicts = [
            judged(community(seed, people=MEMBERS, bots=False), before, rate=rate)
            for seed in range(communities)
        ]
        rows.append(
            {
                "weeks_before": before,
                "scored": sum(len(one.found) for one in verdicts),
                "held": sum(len(one.held) for one in verdicts),
            }
        )
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Planted bots and honest members held.")
    root = setting("TIMEBANK_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(root) / "stackexchange_quantumcomputing"
    parser.add_argument("--data", type=Path, default=folder, metavar="DIR")
    parser.add_argument("--days", type=int, default=28, metavar="N")
    parser.add_argument("--plants", type=int, default=10, metavar="N")
    parser.add_argument("--rate", type=float, default=0.03, metavar="SHARE")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    given = parser.parse_args()
    if not given.data.is_dir():
        print(f"no data at {given.data}: skipped (set TIMEBANK_TEST_DATA, or add --data)", file=sys.stderr)
        return
    loaded = load(given.data)
    lengths = sorted({*LENGTHS, given.days})
    found: dict[int, dict[str, Any]] = {}
    refused: dict[int, str] = {}
    for days in lengths:
        try:
            found[days] = measure(given.data, days=days, plants=given.plants, rate=given.rate, loaded=loaded)
        except AttentionError as error:
            refused[days] = error.message
    if given.json:
        if given.days not in found:
            sys.exit(f"spans of {given.days} days: {refused[given.days]}")
        document = {
            "schema": "timebank.bench.attention_suspects/2",
            **found[given.days],
            "simulated": simulate(rate=given.rate),
            "lengths": list(found.values()),
            "refused": [{"days": days, "reason": reason} for days, reason in refused.items()],
        }
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
        return
    _show(found, given.rate)
    for row in simulate(rate=given.rate):
        print(
            f"simulated honest members, {row['weeks_before']} weeks known before: {row['held']:,} of "
            f"{row['scored']:,} held, {row['held'] / row['scored']:.1%}"
        )
    for days, reason in refused.items():
        print(f"spans of {days} days are refused: {reason}")
    if given.days in refused:
        sys.exit(1)


def _show(found: dict[int, dict[str, Any]], rate: float) -> None:
    table = Table(title=f"Held, of bots planted and of honest members once (stated {rate:.0%})", box=None)
    columns = ("days", "spans", *KINDS, "honest, scored", "held", "95 % of", "held of all", "never released")
    for name in columns:
        table.add_column(name, justify="right")
    for days, one in found.items():
        low, high = one["honest_held_interval"]
        table.add_row(
            str(days),
            str(one["spans"]),
            *(f"{one['held'][kind]:.0%}" for kind in KINDS),
            f"{one['honest_scored']:,}",
            f"{one['honest_held']} = {one['honest_held_of_scored']:.1%}",
            f"{low:.1%} to {high:.1%}",
            f"{one['honest_held_of_all']:.2%}",
            f"{one['held_if_never_released_of_scored']:.1%}",
        )
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
