"""Bought and automated attention, and what is done about it.

suspects
├── a clockwork, one whose likes are bought, and a ring stand out, each with its reason
├── who is honest is held at the stated rate at most, over many communities
├── the same where only two earlier spans are known
├── order of the acts and names of the members decide nothing
├── forty spans in turn, nobody ever released: honest members go on being held at the stated rate
├── bots in every span, held and never released, do not set the measure
├── without history the present span stands in, and no more than the rate are held
├── offers are judged like members; acts of no offer are left out
└── refused: too few members, odd settings
holds
├── held acts leave the epoch and stand in the file with their reasons; verify knows them by it
├── released before signing: the same epoch built again is the one without any hold
├── released later: the next epoch takes them, of the same value, within its bounds; verified
├── no act enters two epochs, whatever is built again
├── who was released for an epoch is not held in it again; who is held stays so
├── what a file of holds may not do, and who is erased: test_holds.py
├── an audit finds the records of released acts among its own
├── a signer's own table agrees by the file, and not without it
└── refused: a file that is none, a release without a reason or of nobody
bench: on a real community, the kinds planted are held and at most 5 % of honest members
"""

from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import structlog
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from tests.activity.builders import research_data
from tests.world import World
from timebank_chain.activity import ActivityTable, Members, read_activity, record_ids, write_activity
from timebank_chain.attention.monitor.holds import HoldsBook, default_path
from timebank_chain.attention.monitor.series import DAY_MS, HOUR_MS
from timebank_chain.attention.monitor.spans import Praise, spans_of
from timebank_chain.attention.monitor.suspicion import SuspicionSettings, Verdict, suspects
from timebank_chain.cli.attention import app as attention
from timebank_chain.cli.epoch import app as epoch
from timebank_chain.cli.epoch_holds import records_file
from timebank_chain.cli.oracle import app as oracle
from timebank_chain.epoch import read_epoch, verify_epoch, verify_records
from timebank_chain.errors import AttentionError, OracleError, TimebankError, UsageError
from timebank_chain.units import format_time
from timebank_chain.valuation import load_policy

ROOT = Path(__file__).resolve().parents[3]
START_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z
WEEK_MS = 7 * DAY_MS
EPOCHS = 5
Row = tuple[str, int, float, float]


def person(name: str, week: int, chance: np.random.Generator) -> list[Row]:
    """Return a person's week: bursts by day, engagement like that of everybody."""
    taste, rows = float(chance.normal(0, 0.2)), []
    for _ in range(int(chance.integers(3, 8))):
        at = week * WEEK_MS + int(chance.integers(7)) * DAY_MS + int(chance.normal(15, 3.5) % 24 * HOUR_MS)
        for _ in range(int(chance.integers(1, 5))):
            at = min(at + int(chance.exponential(20)) * 60_000 + 1_000, (week + 1) * WEEK_MS - 1)
            interaction = int(chance.poisson(1.5))
            likes = int(chance.poisson(np.exp(0.6 + 0.25 * interaction + taste)))
            rows.append((name, at, interaction, likes))
    return rows


def clockwork(name: str, week: int) -> list[Row]:
    return [(name, week * WEEK_MS + 1_000 + turn * 5 * HOUR_MS, 1, 2) for turn in range(33)]


def bought(name: str, week: int, chance: np.random.Generator) -> list[Row]:
    return [(who, at, seen, likes + 12) for who, at, seen, likes in person(name, week, chance)]


def table(rows: list[Row]) -> ActivityTable:
    ordered = sorted(
        (START_MS + at, f"act:{number:06d}", name, seen, likes)
        for number, (name, at, seen, likes) in enumerate(rows)
    )
    count = len(ordered)
    return ActivityTable(
        id=[one[1] for one in ordered],
        member=[one[2] for one in ordered],
        domain=["general"] * count,
        occurred_ms=np.array([one[0] for one in ordered], dtype=np.int64),
        window_ms=np.zeros(count, dtype=np.int64),
        interaction_milli=np.array([one[3] * 1_000 for one in ordered], dtype=np.uint32),
        originality_milli=np.full(count, 2_000, dtype=np.uint32),
        engagement_milli=np.array([one[4] * 1_000 for one in ordered], dtype=np.uint32),
        salt=np.zeros((count, 16), dtype=np.uint8),
    )


def community(seed: int = 0, *, people: int = 40, bots: bool = True) -> ActivityTable:
    """Return five weeks of forty people; in the last but one a clockwork and two buyers of likes."""
    chance = np.random.default_rng(seed)
    rows = [
        row
        for week in range(EPOCHS)
        for number in range(people)
        for row in person(f"p{number:02d}", week, chance)
    ]
    if bots:
        rows += clockwork("bot-clock", EPOCHS - 2)
        for name in ("bot-likes-1", "bot-likes-2"):
            rows += bought(name, EPOCHS - 2, chance)
    return table(rows)


def in_turn(acts: ActivityTable, weeks: int) -> list[Verdict]:
    """Judge week after week, as epochs are built, when nobody who is held is ever released."""
    left_held: set[str] = set()
    verdicts = []
    for week in range(weeks):
        start = START_MS - 1 + week * WEEK_MS
        span, earlier = spans_of(
            acts, Praise.none(), start_ms=start, end_ms=start + WEEK_MS, held=frozenset(left_held)
        )
        verdicts.append(suspects(span, earlier, SuspicionSettings()))
        stood_out = {one.who for one in verdicts[-1].held}
        left_held |= {act for act, who in zip(span.acts.id, span.who, strict=True) if who in stood_out}
    return verdicts


def judged(acts: ActivityTable, week: int, praise: Praise | None = None, **odd: Any) -> Verdict:
    start = START_MS - 1 + week * WEEK_MS
    span, earlier = spans_of(acts, praise or Praise.none(), start_ms=start, end_ms=start + WEEK_MS)
    return suspects(span, earlier, SuspicionSettings(**odd))


def test_bots_stand_out_each_with_its_reason() -> None:
    verdict = judged(community(), EPOCHS - 2)
    assert {one.who for one in verdict.held} >= {"bot-clock", "bot-likes-1", "bot-likes-2"}
    by_name = {one.who: one for one in verdict.found}
    assert "clockwork" in {one.measure for one in by_name["bot-clock"].reasons}
    assert by_name["bot-likes-1"].reasons[0].measure == "engagement"
    assert by_name["bot-likes-1"].reported > 3 * by_name["bot-likes-1"].expected
    assert all(one.reasons and one.reasons[0].text for one in verdict.held)
    assert verdict.reference >= 3 * 35


@pytest.mark.parametrize("seed", [0, 2])
def test_holds_nobody_releases_do_not_hold_more_and_more(seed: int) -> None:
    chance, weeks = np.random.default_rng(seed), 40
    rows = [
        row for week in range(weeks) for number in range(40) for row in person(f"p{number:02d}", week, chance)
    ]
    verdicts = in_turn(table(rows), weeks)
    for quarter in (verdicts[10:20], verdicts[20:30], verdicts[30:]):
        scored = sum(len(one.found) for one in quarter)
        assert scored > 380
        assert 0.0 < sum(len(one.held) for one in quarter) / scored < 0.05, "3 % are stated"


def test_bots_that_were_held_do_not_set_the_measure() -> None:
    chance, weeks = np.random.default_rng(1), 20
    rows = [
        row for week in range(weeks) for number in range(40) for row in person(f"p{number:02d}", week, chance)
    ]
    for week in range(2, weeks):
        for number in range(3):
            rows += clockwork(f"bot-clock-{number}", week) + bought(f"bot-likes-{number}", week, chance)
    verdicts = in_turn(table(rows), weeks)[2:]
    held = [one.who for verdict in verdicts for one in verdict.held]
    bots = [one.who for verdict in verdicts for one in verdict.found if one.who.startswith("bot-")]
    assert len(bots) > 5.8 * len(verdicts), "hardly any has fewer than five acts"
    assert sum(who.startswith("bot-") for who in held) >= 0.98 * len(bots)
    honest = sum(len(one.found) for one in verdicts) - len(bots)
    assert sum(who.startswith("p") for who in held) / honest < 0.05


def test_a_ring_is_known_by_who_praises_whom() -> None:
    acts, chance = community(bots=False), np.random.default_rng(1)
    names = [f"p{number:02d}" for number in range(40)]
    givers, receivers, times = [], [], []
    for at in chance.integers(START_MS, START_MS + EPOCHS * WEEK_MS, size=4_000):
        one, other = chance.choice(names, 2, replace=False)
        givers.append(str(one)), receivers.append(str(other)), times.append(int(at))
    ring = names[:4]
    for at in chance.integers(START_MS + 3 * WEEK_MS, START_MS + 4 * WEEK_MS, size=240):
        one, other = chance.choice(ring, 2, replace=False)
        givers.append(str(one)), receivers.append(str(other)), times.append(int(at))
    praise = Praise(tuple(givers), tuple(receivers), np.array(times, dtype=np.int64))
    verdict = judged(acts, 3, praise)
    found = {one.who for one in verdict.held if "praise ring" in {reason.measure for reason in one.reasons}}
    assert found == set(ring)
    assert not {one.who for one in judged(acts, 3).held} & set(ring)


def test_honest_members_are_held_at_the_stated_rate_at_most() -> None:
    held = scored = 0
    for seed in range(25):
        verdict = judged(community(seed, bots=False), EPOCHS - 1, rate=0.05)
        held += len(verdict.held)
        scored += len(verdict.found)
    # About 1,000 members: three standard errors are 0.02.
    assert scored > 900
    assert held / scored <= 0.05 + 0.02
    assert held > 0, "who never holds would pass too"


def test_a_small_reference_keeps_the_stated_rate() -> None:
    held = scored = 0
    for seed in range(60):
        verdict = judged(community(seed, people=35, bots=False), 2)
        assert verdict.reference <= 70
        held += len(verdict.held)
        scored += len(verdict.found)
    # Two earlier spans of 35 members: the plain quantile holds 5 %; three standard errors are 0.011.
    assert scored > 2_000
    assert 0.01 < held / scored <= 0.03 + 0.011


@settings(max_examples=10, deadline=None)
@given(st.randoms())
def test_names_and_order_decide_nothing(random: Any) -> None:
    acts = community(people=20)
    names = sorted(set(acts.member))
    other = dict(
        zip(names, random.sample([f"n{number}" for number in range(len(names))], len(names)), strict=True)
    )
    renamed = replace(acts, member=[other[name] for name in acts.member])
    one, two = judged(acts, 3), judged(renamed, 3)
    assert {other[found.who]: found.score for found in one.found} == pytest.approx(
        {found.who: found.score for found in two.found}
    )


def test_without_history_the_present_stands_in() -> None:
    verdict = judged(community(), 0, rate=0.1)
    assert verdict.reference == 0
    assert len(verdict.held) <= 0.1 * len(verdict.found)


def test_offers_are_judged_like_members() -> None:
    acts = community()
    offers = {
        act: f"offer of {name}" for act, name in zip(acts.id, acts.member, strict=True) if name != "p00"
    }
    start = START_MS - 1 + 3 * WEEK_MS
    span, earlier = spans_of(acts, Praise.none(), start_ms=start, end_ms=start + WEEK_MS, who=offers)
    verdict = suspects(span, earlier, SuspicionSettings())
    assert "offer of bot-clock" in {one.who for one in verdict.held}
    assert "offer of p00" not in {one.who for one in verdict.found}


def test_what_cannot_be_judged_is_refused() -> None:
    with pytest.raises(AttentionError, match="needs 33"):
        judged(community(people=5), 0)
    for odd in ({"rate": 0.0}, {"rate": 0.5}, {"min_acts": 2}):
        with pytest.raises(AttentionError):
            SuspicionSettings(**odd)  # type: ignore[arg-type]  # odd on purpose


class Bench:
    """A community's table and epochs on disk, and the commands."""

    def __init__(self, folder: Path) -> None:
        self.file, self.epochs = folder / "activity.parquet", folder / "epochs"
        write_activity(community(), self.file)
        self.holds = default_path(self.epochs)

    def run(self, app: typer.Typer, *words: str) -> dict[str, Any]:
        done = CliRunner().invoke(app, [*words, "--json"])
        structlog.reset_defaults()  # the log went to the runner's standard error, which is closed now
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == 0, done.output
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    def build(self, number: int, *words: str) -> dict[str, Any]:
        start = START_MS - 1 + (number - 1) * WEEK_MS
        entry: dict[str, Any] = self.run(
            epoch, "build", "--activity", str(self.file), "--policy", "identity",
            "--epochs", str(self.epochs), "--start", str(start), "--end", str(start + WEEK_MS),
            "--epoch", str(number), *words,
        )["epochs"][0]  # fmt: skip
        return entry

    def release(self, *words: str) -> dict[str, Any]:
        return self.run(attention, "release", *words, "--epochs", str(self.epochs))

    def verify(self, *words: str) -> bool:
        found = self.run(epoch, "verify", "--epochs", str(self.epochs), "--activity", str(self.file), *words)
        return bool(found["ok"])

    def book(self) -> HoldsBook:
        return HoldsBook.load(self.holds)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    for number in range(1, EPOCHS - 1):
        made.build(number)
    return made


BOTS = {"bot-clock", "bot-likes-1", "bot-likes-2"}


def test_held_acts_leave_the_epoch_and_stand_in_the_file(bench: Bench) -> None:
    assert not bench.holds.exists()
    entry = bench.build(4, "--hold-suspicious")
    book = bench.book()
    held = {one.member for one in book.holds}
    assert held >= BOTS and len(held - BOTS) <= 3
    assert entry["holds"]["acts_held_back"] == sum(len(one.acts) for one in book.holds)
    assert all(one.reasons and one.score > one.threshold and one.epoch == 4 for one in book.holds)
    acts = read_activity(bench.file)
    inside = (acts.occurred_ms > START_MS - 1 + 3 * WEEK_MS) & (
        acts.occurred_ms <= START_MS - 1 + 4 * WEEK_MS
    )
    assert entry["activityCount"] == int(inside.sum()) - entry["holds"]["acts_held_back"]
    assert bench.verify()
    published, rules = read_epoch(bench.epochs, 4), load_policy("identity")
    assert verify_epoch(published, read_epoch(bench.epochs, 3), rules) == [], (
        "arithmetic needs no file of holds"
    )
    assert "missing from the epoch" in verify_records(published, acts, Members(), rules)[0].message


def test_released_before_signing_the_epoch_is_as_if_never_held(bench: Bench) -> None:
    plain = bench.build(4)
    held = bench.build(4, "--hold-suspicious", "--force")
    assert held["headerHash"] != plain["headerHash"]
    bench.release("--all", "--reason", "looked at each", "--by", "a person")
    again = bench.build(4, "--hold-suspicious", "--force")
    assert again["headerHash"] == plain["headerHash"]
    assert again["holds"]["newly_held"] == [], "a person has spoken"
    assert {one.taken for one in bench.book().holds} == {4}
    assert bench.build(5)["holds"]["acts_brought_in"] == 0
    assert bench.verify()


def test_released_later_the_next_epoch_takes_them_at_their_value(bench: Bench) -> None:
    bench.build(4, "--hold-suspicious")
    released = bench.release("bot-clock", "--reason", "a weather station, known to all")["released"][0]
    assert released["release"]["reason"] == "a weather station, known to all"
    assert bench.verify(), "released and not yet taken: the published epoch still agrees"
    entry = bench.build(5)
    assert entry["holds"]["acts_brought_in"] == len(released["acts"]) == 33
    assert bench.verify()
    published = {row.tobytes() for row in read_epoch(bench.epochs, 5).activities.record_id}
    with records_file(bench.file, bench.epochs, None) as (records, erased):
        assert erased is None
        assert records is not None and records.name == bench.file.name
        known = {row.tobytes() for row in record_ids(read_activity(records))}
    assert published <= known, "so the audit finds every published act among the records"
    account = Members().account_of("bot-clock")
    late = read_epoch(bench.epochs, 5).accounts
    place = late.find(account)
    assert place is not None
    # The epochs differ in who else earned, so compare what was earned before fairness.
    earned_late = int(late.earned[place])
    bench.holds.unlink()
    bench.build(4, "--force")
    own = read_epoch(bench.epochs, 4).accounts
    place = own.find(account)
    assert place is not None and int(own.earned[place]) == earned_late > 0


def test_no_act_enters_two_epochs(bench: Bench) -> None:
    bench.build(4, "--hold-suspicious")
    bench.release("--all", "--reason", "fine")
    bench.build(5)
    assert {one.taken for one in bench.book().holds} == {5}
    again = bench.build(4)
    assert again["holds"]["acts_held_back"] > 0, "the next epoch has them"
    assert bench.build(5)["holds"]["acts_brought_in"] == again["holds"]["acts_held_back"]
    assert bench.verify()


def test_who_is_held_stays_so_until_released(bench: Bench) -> None:
    bench.build(4, "--hold-suspicious")
    before = [(one.member, one.acts, one.held_at_ms) for one in bench.book().holds]
    again = bench.build(4, "--hold-suspicious")
    assert again["holds"]["newly_held"] == []
    assert [(one.member, one.acts, one.held_at_ms) for one in bench.book().holds] == before
    assert bench.build(5)["holds"]["acts_brought_in"] == 0
    with pytest.raises(AttentionError, match="nothing of 'p00'") as error:
        bench.release("p00", "--reason", "why not")
    assert "bot-clock" in (error.value.hint or "")


def test_a_signers_own_table_agrees_by_the_file_only(bench: Bench, tmp_path: Path) -> None:
    bench.build(4, "--hold-suspicious")
    copy = tmp_path / "from-the-publisher.json"
    bench.holds.rename(copy)
    with pytest.raises(AssertionError, match="missing from the epoch"):
        bench.verify()
    assert bench.verify("--holds", str(copy))
    with pytest.raises(UsageError, match="no such file"):
        bench.verify("--holds", str(tmp_path / "nowhere.json"))


def test_acts_settle_in_a_shorter_epoch_too() -> None:
    acts = community()
    book = HoldsBook(Path("unused.json"))
    verdict = judged(acts, 3)
    end = START_MS - 1 + 4 * WEEK_MS
    span, _ = spans_of(acts, Praise.none(), start_ms=end - WEEK_MS, end_ms=end)
    book.hold(verdict.held, span.acts, epoch=4, end_ms=end, now_ms=end, threshold=1.0, rate=0.03)
    book.release(None, by="me", reason="fine", now_ms=end)
    adjusted = book.adjust(acts, epoch=5, start_ms=end, end_ms=end + DAY_MS)
    brought = [row for row, name in enumerate(adjusted.table.id) if name.startswith("released:4:")]
    times = adjusted.table.occurred_ms[brought]
    assert len(brought) == adjusted.brought_in > 0
    assert (times > end).all() and (times <= end + DAY_MS).all()
    keys = list(zip(adjusted.table.occurred_ms.tolist(), adjusted.table.id, strict=True))
    assert keys == sorted(keys)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[:-20],
        lambda text: text.replace("holds/1", "holds/2"),
        lambda text: text.replace('"epoch": 4', '"epoch": "4"'),
        lambda text: text.replace('"member"', '"name"'),
        lambda text: text.replace('"reasons": [', '"reasons": [1, '),
        lambda text: "[" * 90,
        lambda text: json.dumps(
            {"schema": "timebank.attention.holds/1", "holds": 2 * json.loads(text)["holds"][:1]}
        ),
    ],
)
def test_a_file_that_is_none_stops_the_build(bench: Bench, spoil: Any) -> None:
    bench.build(4, "--hold-suspicious")
    bench.holds.write_text(spoil(bench.holds.read_text()))
    with pytest.raises(AttentionError, match="not a file of holds"):
        bench.build(5)


def test_releases_need_a_name_and_a_reason(bench: Bench) -> None:
    for words in (
        ["--all"],
        ["--all", "--reason", " "],
        ["--reason", "x"],
        ["p00", "--all", "--reason", "x"],
    ):
        with pytest.raises(UsageError):
            bench.release(*words)
    with pytest.raises(UsageError, match="nothing is held"):
        bench.release("--all", "--reason", "x")
    with pytest.raises(UsageError, match="--praise"):
        bench.build(4, "--praise", "praise.csv")


def test_suspects_command(bench: Bench, tmp_path: Path) -> None:
    words = ["suspects", str(bench.file), "--span", "7d", "--until", format_time(START_MS - 1 + 4 * WEEK_MS)]
    found = bench.run(attention, *words)
    assert found["schema"] == "timebank.attention.suspects/1"
    assert {one["who"] for one in found["found"] if one["held"]} >= BOTS
    done = CliRunner().invoke(attention, words)
    assert done.exit_code == 0 and "would be held" in done.stdout
    offers = tmp_path / "offers.csv"
    acts = read_activity(bench.file)
    offers.write_text(
        "id,offer\n" + "".join(f"{act},o-{name}\n" for act, name in zip(acts.id, acts.member, strict=True))
    )
    assert bench.run(attention, *words, "--offers", str(offers))["judged"] == "offer"
    with pytest.raises(TimebankError):
        bench.run(attention, "suspects", str(bench.file), "--until", "noon")


def test_too_few_members_hold_nobody_and_say_so(tmp_path: Path) -> None:
    made = Bench(tmp_path)
    write_activity(community(people=4), made.file)
    entry = made.build(1, "--hold-suspicious")
    assert entry["holds"]["newly_held"] == [] and "nobody is judged" in entry["holds"]["note"]
    assert not made.holds.exists()


@pytest.mark.data
def test_planted_bots_in_a_real_community() -> None:
    folder = research_data("stackexchange_quantumcomputing")
    file = ROOT / "scripts" / "bench_attention_suspects.py"
    spec = importlib.util.spec_from_file_location("bench_attention_suspects", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench_attention_suspects"] = module
    spec.loader.exec_module(module)
    figures = module.measure(folder, plants=2)
    assert figures["held"]["clockwork"] >= 0.9
    assert figures["held"]["bought likes"] >= 0.9
    assert figures["held"]["ring of four"] >= 0.8
    assert figures["honest_held_of_scored"] <= 0.05
    # Each member of each span once, however often bots are planted beside them.
    assert figures["honest_scored"] == module.measure(folder, plants=1)["honest_scored"] >= 50
    low, high = figures["honest_held_interval"]
    assert low < figures["honest_held_of_scored"] < high
    assert figures["honest_held"] == round(figures["honest_held_of_scored"] * figures["honest_scored"])
    with pytest.raises(AttentionError, match="needs 33"):
        module.measure(folder, days=7, plants=1)


def test_who_signs_needs_the_file(bench: Bench, embedded_world: World, tmp_path: Path) -> None:
    manifest = tmp_path / "deployment.json"
    manifest.write_text(json.dumps(embedded_world.timebank.deployment.to_json()))
    bench.build(4, "--hold-suspicious")
    words = [
        "sign", "4", "--epochs", str(bench.epochs), "--activity", str(bench.file),
        "--deployment", str(manifest), "--dry-run",
    ]  # fmt: skip
    assert bench.run(oracle, *words)["epoch"] == 4
    bench.holds.rename(tmp_path / "elsewhere.json")
    with pytest.raises(OracleError, match="missing from the epoch"):
        bench.run(oracle, *words)
    assert bench.run(oracle, *words, "--holds", str(tmp_path / "elsewhere.json"))["epoch"] == 4
