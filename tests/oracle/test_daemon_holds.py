"""The daemon with holds, tick by tick: suspicious acts wait for a person, and enter when they are released.

one that holds
|- holds who stands out, says why, proposes the others' acts; what was held is no late row
|- what was released enters the next epoch and is paid once, by a daemon that holds nobody itself, too
|- an act of which two rows say different things waits, is named, and is paid once it has one row again
`- too few to judge: said, and nobody is held
killed
`- between file of holds and epoch, at either side: released acts are paid once
another member's daemon
|- with the file of holds it signs what the first one published; without, it builds its own
`- a file of holds that would pay twice stops the epoch, not the daemon
erased before enough have signed
`- the epoch is built again without them; one with enough signatures stays
a dry run writes nothing
"""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from tests.oracle.stage import EPOCH_MS, Stage, placeholder
from tests.oracle.test_crash import Crash, Killed
from tests.oracle.test_daemon import past_end
from timebank_chain.activity.erased import new_erased, write_erased
from timebank_chain.attention.monitor.hold import Hold, Release
from timebank_chain.attention.monitor.holding import Holding
from timebank_chain.attention.monitor.holds import HoldsBook, default_path
from timebank_chain.attention.monitor.spans import Praise
from timebank_chain.attention.monitor.suspicion import SuspicionSettings
from timebank_chain.epoch import epoch_folder, read_epoch
from timebank_chain.errors import AttentionError
from timebank_chain.oracle.daemon import Did, OracleDaemon

BOT = "bot"
PEOPLE = 8
ACTS = 5


def week(stage: Stage, epoch: int, *, bought: bool) -> None:
    """Write an epoch of eight people, and of a bot that buys engagement or does not."""
    chance = np.random.default_rng(epoch)
    for member in [f"m{number}" for number in range(PEOPLE)] + [BOT]:
        likes = 60 if bought and member == BOT else 5
        for act in range(ACTS):
            second = (epoch - 1) * 60 + int(chance.integers(1, 59))
            ranks = ("3", "2", str(likes + int(chance.integers(0, 4))))
            stage.act(f"{member}:{epoch}:{act}", member, second, ranks)


def holding(stage: Stage, *, judge: bool, path: Path | None = None) -> Holding:
    return Holding(
        path or default_path(stage.epochs),
        stage.epochs,
        judge=SuspicionSettings(rate=0.1) if judge else None,
        praise=Praise.none(),
        erased=stage.settings.erased_path,
        waiting=lambda _text: None,
    )


def daemon(stage: Stage, *roles: str, judge: bool = False, **changes: object) -> OracleDaemon:
    made = stage.daemon(*roles, push_claims=False, upkeep=False, **changes)  # type: ignore[arg-type]  # settings
    made.closer.holds = holding(stage, judge=judge)
    return made


def close(stage: Stage, epoch: int, *, judge: bool = False) -> None:
    past_end(stage, epoch)
    stage.run_until(daemon(stage, judge=judge), epoch)


def earned(stage: Stage, epoch: int) -> int:
    """Return how many acts of the bot an epoch has."""
    rows = read_epoch(stage.epochs, epoch).activities
    return sum(row.tobytes() == placeholder(BOT) for row in rows.account)


def rejected(stage: Stage) -> list[str]:
    with stage.settings.rejects_path.open(encoding="utf-8", newline="") as file:
        return [row["id"] for row in csv.DictReader(file)]


def bots_hold(stage: Stage) -> Hold:
    """Return the bot's hold; by chance, somebody else may be held beside it."""
    (mine,) = [one for one in HoldsBook.load(default_path(stage.epochs)).holds if one.member == BOT]
    return mine


def release(stage: Stage) -> None:
    book = HoldsBook.load(default_path(stage.epochs))
    book.release(BOT, by="a person", reason="a club's weekly news", now_ms=stage.start_ms + 3 * EPOCH_MS + 1)
    book.save()


@pytest.fixture
def held(stage: Stage) -> Stage:
    """Two ordinary epochs; of the third the bot's acts are held."""
    for epoch in (1, 2):
        week(stage, epoch, bought=False)
        close(stage, epoch)
    assert not default_path(stage.epochs).exists()
    week(stage, 3, bought=True)
    close(stage, 3, judge=True)
    return stage


def test_who_stands_out_waits_and_it_is_said_why(stage: Stage) -> None:
    for epoch in (1, 2):
        week(stage, epoch, bought=False)
        close(stage, epoch)
    week(stage, 3, bought=True)
    past_end(stage, 3)
    with capture_logs() as said:
        assert daemon(stage, judge=True).tick().did is Did.PROPOSED
    (why,) = [one for one in said if one["event"] == "held" and one["member"] == BOT]
    assert (why["epoch"], why["acts"]) == (3, ACTS)
    assert "engagement" in why["why"] and why["log_level"] == "warning"
    (file,) = [one for one in said if one["event"].startswith("whoever signs")]
    assert file["file"] == str(default_path(stage.epochs))
    assert earned(stage, 3) == 0
    assert read_epoch(stage.epochs, 3).header.activity_count == (PEOPLE + 1) * ACTS - file["held_back"]
    assert bots_hold(stage).release is None and len(bots_hold(stage).records) == ACTS


def test_what_was_released_enters_the_next_epoch_once(held: Stage) -> None:
    release(held)
    for epoch in (4, 5):
        week(held, epoch, bought=False)
        close(held, epoch)
    # Their own five of the fourth, and the five of the third.
    assert [earned(held, epoch) for epoch in (3, 4, 5)] == [0, 2 * ACTS, ACTS]
    assert bots_hold(held).taken == 4
    assert rejected(held) == [], "held acts did not come late"


def test_what_is_not_released_stays_out_and_is_no_late_row(held: Stage) -> None:
    week(held, 4, bought=False)
    held.act("late", "m1", 3 * 60 - 20)
    close(held, 4)
    assert earned(held, 4) == ACTS
    assert rejected(held) == ["late"]


def test_a_row_of_the_same_id_does_not_lose_released_pay(held: Stage) -> None:
    release(held)
    sound = held.feed.read_text()
    held.act(f"{BOT}:3:0", BOT, 130, ("9", "2", "1"))
    past_end(held, 4)
    with capture_logs() as said:
        close(held, 4)
    (why,) = [one for one in said if one["event"].startswith("a released act has no row")]
    assert (why["member"], why["act"], why["epoch"]) == (BOT, f"{BOT}:3:0", 4)
    assert earned(held, 4) == ACTS - 1
    held.feed.write_text(sound)
    journal = held.journal()
    journal.forget_feed()
    journal.close()
    close(held, 5)
    assert earned(held, 5) == 1
    close(held, 6)
    assert earned(held, 6) == 0
    book = HoldsBook.load(default_path(held.epochs))
    assert sorted(one.taken or 0 for one in book.holds if one.member == BOT) == [4, 5]


def test_too_few_to_judge_is_said(stage: Stage) -> None:
    stage.act("a", "member1", 5)
    past_end(stage)
    with capture_logs() as said:
        assert daemon(stage, judge=True).tick().did is Did.PROPOSED
    (why,) = [one for one in said if one["event"] == "not judged"]
    assert "a rate of 0.1 needs 9" in why["reason"]
    assert not default_path(stage.epochs).exists()


@pytest.mark.parametrize("step", ["holds written", "folder published", "published"])
def test_a_kill_between_holds_and_epoch_pays_once(held: Stage, step: str) -> None:
    release(held)
    week(held, 4, bought=False)
    past_end(held, 4)
    crash = Crash(step)
    dying = daemon(held, checkpoint=crash)
    # Nothing runs after a kill, so what would tidy up must not.
    dying.closer.holds = Unsettled(held)
    with pytest.raises(Killed):
        dying.tick()
    assert crash.hit and (
        step == "published" or HoldsBook.load(default_path(held.epochs)).building is not None
    )
    assert epoch_folder(held.epochs, 4).exists() == (step != "holds written")
    close(held, 4)
    week(held, 5, bought=False)
    close(held, 5)
    assert [earned(held, epoch) for epoch in (3, 4, 5)] == [0, 2 * ACTS, ACTS]
    assert HoldsBook.load(default_path(held.epochs)).building is None


class Unsettled(Holding):
    """Holds of a process that is killed inside `building`: the file stays as it was written."""

    def __init__(self, stage: Stage) -> None:
        made = holding(stage, judge=False)
        super().__init__(
            made.path, made.epochs, judge=None, praise=made.praise, erased=made.erased, waiting=made.waiting
        )

    def _put(self, book: HoldsBook) -> None:
        pass


def test_another_members_daemon_needs_the_file(held: Stage) -> None:
    release(held)
    week(held, 4, bought=False)
    past_end(held, 4)
    assert daemon(held, "signer1").tick().did is Did.WAITING_FOR_SIGNATURES
    first = read_epoch(held.epochs, 4).header.hash()
    # A journal of their own: what is published is not of their making.
    theirs = replace(held, settings=replace(held.settings, state=held.folder / "theirs"))
    second = daemon(theirs, "signer2")
    assert second.tick().did is Did.PROPOSED
    assert read_epoch(held.epochs, 4).header.hash() == first


def test_without_the_file_another_members_daemon_builds_its_own(held: Stage) -> None:
    release(held)
    week(held, 4, bought=False)
    past_end(held, 4)
    daemon(held, "signer1").tick()
    first = read_epoch(held.epochs, 4).header.hash()
    theirs = replace(held, settings=replace(held.settings, state=held.folder / "theirs"))
    second = theirs.daemon("signer2", push_claims=False, upkeep=False)
    with capture_logs() as said:
        assert second.tick().did is Did.WAITING_FOR_SIGNATURES
    assert any("our own feed differs" in str(one.get("reason")) for one in said)
    assert read_epoch(held.epochs, 4).header.hash() != first


def test_holds_that_would_pay_twice_build_nothing(held: Stage) -> None:
    path = default_path(held.epochs)
    book = HoldsBook.load(path)
    end_ms = held.start_ms + 2 * EPOCH_MS
    paid = tuple(f"m1:2:{act}" for act in range(ACTS))
    book.holds.append(
        Hold("m1", 2, end_ms, end_ms, 9.0, 1.0, 0.03, (), paid, release=Release(end_ms, "a friend", "fine"))
    )
    book.save()
    week(held, 4, bought=False)
    past_end(held, 4)
    with pytest.raises(AttentionError, match="epoch 2 has paid it already"):
        daemon(held).tick()
    assert not epoch_folder(held.epochs, 4).exists()


def test_who_is_erased_before_enough_have_signed_is_left_out(stage: Stage) -> None:
    week(stage, 1, bought=False)
    past_end(stage)
    assert daemon(stage, "signer1").tick().did is Did.WAITING_FOR_SIGNATURES
    before = read_epoch(stage.epochs, 1)
    rows = [
        place for place, row in enumerate(before.activities.account) if row.tobytes() == placeholder("m1")
    ]
    records = [before.activities.record_id[place].tobytes() for place in rows]
    erased = new_erased().with_person("m1", [f"m1:1:{act}" for act in range(ACTS)], records)
    write_erased(erased, stage.settings.erased_path)
    with capture_logs() as said:
        assert daemon(stage, "signer1").tick().did is Did.WAITING_FOR_SIGNATURES
    assert any("were erased since" in str(one.get("reason")) for one in said)
    after = read_epoch(stage.epochs, 1)
    assert after.header.activity_count == before.header.activity_count - ACTS
    with capture_logs() as said:
        assert daemon(stage, "signer1", "signer2").tick().did is Did.PROPOSED
    assert not any("building again" in one["event"] for one in said)
    assert read_epoch(stage.epochs, 1).header.hash() == after.header.hash()


def test_what_enough_have_signed_stays(stage: Stage) -> None:
    week(stage, 1, bought=False)
    past_end(stage)
    crash = Crash("signed")
    with pytest.raises(Killed):
        daemon(stage, checkpoint=crash).tick()
    before = read_epoch(stage.epochs, 1)
    record = before.activities.record_id[0].tobytes()
    write_erased(replace(new_erased(), records=frozenset([record])), stage.settings.erased_path)
    assert daemon(stage).tick().did is Did.PROPOSED
    assert read_epoch(stage.epochs, 1).header.hash() == before.header.hash()


def test_a_dry_run_writes_nothing(held: Stage) -> None:
    release(held)
    before = default_path(held.epochs).read_bytes()
    week(held, 4, bought=True)
    past_end(held, 4)
    _, build = daemon(held, judge=True).preview()
    assert build is not None
    assert sum(row.tobytes() == placeholder(BOT) for row in build.activities.account) == ACTS, "released ones"
    assert default_path(held.epochs).read_bytes() == before
    assert not epoch_folder(held.epochs, 4).exists()
