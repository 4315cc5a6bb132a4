"""What a file of holds may not do, and what becomes of it when somebody in it is erased.

untrue holds
├── acts paid in an earlier epoch, released by hand once more: build, verify, sign and audit refuse,
│   naming the act; nothing is built and nothing written
├── the same where the next epoch has taken them: not a third time, whichever way the file is turned back
├── another member's act, an act of another epoch, an epoch's end that is not its end, an epoch that is
│   not published: each refused with its reason
├── an act that never was: left out by a build, which says and notes it; else refused by verify
└── an act held twice, taken before it was released or held, odd record ids: not a file of holds
somebody gone
├── a released act without a row is left out, named, and does not stop the build; the others' are paid
├── it waits, and the epoch that finds its row takes it, once; not if it was erased
├── erased after they were paid: verify passes with the list, by option or from its usual place; not without
├── a published act of somebody else, though near, is not covered by the list
└── rows deleted by age: known by the record ids beside the acts
erasing from the file
├── name, acts and reasons are gone, others' reasons lose the name; hashes and numbers stay
├── what is built, verified, signed and audited afterwards is as before
├── a hold of somebody erased is not released, not taken, and cannot be used to pay twice
└── nothing to do: no file, nobody of that name, erased before
a release in the middle of a build is not lost: it waits, and stands in the file afterwards
a build that fails leaves the file as it was: what was released is taken later, what was not held is not
what an earlier epoch took by the file, and does not have, is said by whoever builds or signs the next
a release waits for the build; an epoch without what it took, and a release no epoch took, are named
a folder named from within, from above or by a link has its holds where it has them by its name
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.attention.monitor.test_suspicion import BOTS, START_MS, WEEK_MS, Bench
from tests.world import World
from timebank_chain.activity import Members, read_activity, record_ids, write_activity
from timebank_chain.activity.erased import Erased, new_erased, write_erased
from timebank_chain.attention.monitor import holding, spans
from timebank_chain.attention.monitor.hold import ERASED_PREFIX, Hold, Release
from timebank_chain.attention.monitor.holds import (
    REDACTED,
    HoldsBook,
    default_path,
    erase_from_holds,
    holds_of,
    locked,
)
from timebank_chain.cli.epoch import app as epoch
from timebank_chain.cli.epoch_holds import holds_document, holds_rows, records_file
from timebank_chain.cli.oracle import app as oracle
from timebank_chain.epoch import read_epoch
from timebank_chain.errors import (
    AttentionError,
    CheckFailed,
    EpochError,
    OracleError,
    TimebankError,
    UsageError,
)

CLOCK = "bot-clock"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    for number in range(1, 4):
        made.build(number)
    return made


@pytest.fixture
def taken(bench: Bench) -> Bench:
    """Everybody who stood out in epoch 4 is held, released, and taken by epoch 5."""
    bench.build(4, "--hold-suspicious")
    bench.release("--all", "--reason", "looked at", "--by", "a person")
    bench.build(5)
    return bench


def acts_of(bench: Bench, member: str, number: int) -> list[str]:
    """Return the acts of a member that settle in an epoch."""
    acts = read_activity(bench.file)
    start = START_MS - 1 + (number - 1) * WEEK_MS
    return [
        act
        for act, who, at in zip(acts.id, acts.member, acts.occurred_ms.tolist(), strict=True)
        if who == member and start < at <= start + WEEK_MS
    ]


def by_hand(member: str, number: int, acts: list[str], **odd: Any) -> Hold:
    """Return a released hold as somebody would write it into the file."""
    end_ms = START_MS - 1 + number * WEEK_MS
    made = Hold(
        member, number, end_ms, end_ms, 9.0, 1.0, 0.03, ("stood out",), tuple(acts),
        release=Release(end_ms, "a friend", "all fine"),
    )  # fmt: skip
    return replace(made, **odd)


def write(bench: Bench, *holds: Hold) -> None:
    HoldsBook(bench.holds, [*bench.book().holds, *holds]).save()


def findings(bench: Bench, *words: str) -> list[str]:
    """Return what verify finds, and see that it ends with exit code 3 if it finds anything."""
    done = CliRunner().invoke(
        epoch,
        ["verify", "--epochs", str(bench.epochs), "--activity", str(bench.file), "--json", *words],
    )
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    found = [one["message"] for each in json.loads(done.stdout)["epochs"] for one in each["findings"]]
    assert done.exit_code == (3 if found else 0)
    return found


def signing(bench: Bench, world: World, number: int) -> list[str]:
    manifest = bench.file.parent / "deployment.json"
    manifest.write_text(json.dumps(world.timebank.deployment.to_json()))
    return [
        "sign", str(number), "--epochs", str(bench.epochs), "--activity", str(bench.file),
        "--deployment", str(manifest), "--dry-run",
    ]  # fmt: skip


# --- untrue holds --------------------------------------------------------------------------------------


def test_acts_that_were_paid_are_not_paid_again(bench: Bench, embedded_world: World) -> None:
    paid = acts_of(bench, "p00", 1)
    bench.build(4)
    write(bench, by_hand("p00", 3, paid))
    before = bench.holds.read_bytes()
    with pytest.raises(AttentionError, match=f"{paid[0]}.*settles at .* more like it") as caught:
        bench.build(5)
    assert caught.value.where == str(bench.holds) and caught.value.hint
    assert bench.holds.read_bytes() == before and not (bench.epochs / "000005").exists()
    # As the publisher's own program would go on, were it another one.
    book = bench.book()
    acts = read_activity(bench.file)
    end = START_MS - 1 + 5 * WEEK_MS
    pay = book.adjust(acts, epoch=5, start_ms=end - WEEK_MS, end_ms=end)
    honest = bench.file.read_bytes()
    bench.holds.unlink()
    write_activity(pay.table, bench.file)
    bench.build(5)
    bench.file.write_bytes(honest)
    book.save()
    found = findings(bench)
    assert any(paid[0] in one and "epoch 1 has paid it already" in one for one in found)
    with pytest.raises(CheckFailed, match="settles at"):
        bench.run(oracle, *signing(bench, embedded_world, 5))
    with (
        pytest.raises(CheckFailed, match="holds are not right"),
        records_file(bench.file, bench.epochs, None),
    ):
        pass


def test_acts_paid_in_the_very_epoch_of_the_hold(bench: Bench) -> None:
    paid = acts_of(bench, "p00", 3)
    write(bench, by_hand("p00", 3, paid))
    with pytest.raises(AttentionError, match="epoch 3 has paid it already"):
        bench.build(4)


@pytest.mark.parametrize("kept", ["records too", "names only"])
def test_what_the_next_epoch_took_no_third_one_takes(taken: Bench, kept: str) -> None:
    back = [
        replace(one, taken=None, entered=(), records=one.records if kept == "records too" else ())
        for one in taken.book().holds
    ]
    HoldsBook(taken.holds, back).save()
    words = ["--activity", str(taken.file), "--epochs", str(taken.epochs), "--end"]
    done = CliRunner().invoke(epoch, ["build", *words, str(START_MS - 1 + 6 * WEEK_MS)])
    assert isinstance(done.exception, AttentionError)
    assert "epoch 5 has paid it already" in str(done.exception)
    # Nor their own, built again.
    with pytest.raises(AttentionError, match="epoch 5 has paid it already"):
        taken.build(4, "--force")
    assert any("epoch 5 has paid it" in one for one in findings(taken))


def test_a_hold_must_be_of_its_member_and_its_epoch(bench: Bench) -> None:
    bench.build(4)
    mine, theirs = acts_of(bench, "p00", 4), acts_of(bench, "p01", 4)
    end = START_MS - 1 + 4 * WEEK_MS
    for hold, why in (
        (by_hand("p00", 4, theirs), "it is an act of 'p01'"),
        (by_hand("p00", 3, mine), "settles at"),
        (by_hand("p00", 4, mine, end_ms=end + 1), "says that epoch 4 ends at"),
        (by_hand("p00", 4, mine), "epoch 4 has paid it already"),
    ):
        HoldsBook(bench.holds, [hold]).save()
        with pytest.raises(AttentionError, match=why):
            bench.build(5)
        assert any(why in one for one in findings(bench))
    HoldsBook(bench.holds, [by_hand("p00", 9, mine)]).save()
    bench.build(5)
    with (
        pytest.raises(CheckFailed, match="epoch 9, which is not published"),
        records_file(bench.file, bench.epochs, None),
    ):
        pass


def test_an_act_that_never_was_is_not_paid(bench: Bench) -> None:
    bench.build(4)
    write(bench, by_hand("p00", 4, ["act:nowhere"]))
    entry = bench.build(5)
    assert entry["holds"]["acts_missing"] == [{"member": "p00", "act": "act:nowhere"}]
    assert entry["holds"]["acts_brought_in"] == 0
    assert findings(bench) == [], "the file says that it waits"
    HoldsBook(bench.holds, [replace(one, missed=()) for one in bench.book().holds]).save()
    found = findings(bench)
    assert "act 'act:nowhere' of the hold of 'p00' in epoch 4" in found[0]
    assert "neither in the activity table nor among the erased" in found[0]


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        ({"acts": ["a", "a"]}, "act 'a' is held twice"),
        ({"release": None, "taken": 5}, "took what was not released"),
        ({"taken": 3}, "not held yet"),
        ({"records": ["ab"]}, "record ids"),
        ({"records": 2 * ["ab" * 32]}, "not one record id an act"),
        ({"entered": "x"}, "record ids"),
        ({"erased": 1}, "neither true nor false"),
        ({"erased": True}, "something else than hashes"),
    ],
)
def test_what_contradicts_itself_is_no_file_of_holds(tmp_path: Path, odd: dict[str, Any], why: str) -> None:
    path = tmp_path / "epochs.holds.json"
    HoldsBook(path, [by_hand("p00", 4, ["a"])]).save()
    document = json.loads(path.read_text())
    document["holds"][0] |= odd
    path.write_text(json.dumps(document))
    with pytest.raises(AttentionError, match=why):
        HoldsBook.load(path)


def test_a_file_from_before_record_ids_were_kept_is_read(taken: Bench) -> None:
    document = json.loads(taken.holds.read_text())
    for one in document["holds"]:
        for name in ("records", "entered", "erased"):
            del one[name]
    taken.holds.write_text(json.dumps(document))
    assert findings(taken) == []
    taken.build(5)
    assert all(all(one.records) and all(one.entered) for one in taken.book().holds), "added by a build"


# --- somebody gone -------------------------------------------------------------------------------------


def drop(bench: Bench, member: str) -> tuple[list[str], list[bytes]]:
    """Delete a member's rows; return their acts and record ids."""
    acts = read_activity(bench.file)
    theirs = np.array([name == member for name in acts.member], dtype=bool)
    gone = acts.take(np.flatnonzero(theirs))
    write_activity(acts.take(np.flatnonzero(~theirs)), bench.file)
    return gone.id, [row.tobytes() for row in record_ids(gone)]


def forget(bench: Bench, member: str, path: Path) -> Erased:
    """Delete a member's rows and put them on a list of the erased, as an erasure does."""
    acts, records = drop(bench, member)
    erased = new_erased().with_person(member, acts, records)
    write_erased(erased, path)
    return erased


def test_who_is_gone_does_not_stop_the_build(bench: Bench) -> None:
    bench.build(4, "--hold-suspicious")
    released = bench.release("--all", "--reason", "fine")["released"]
    others = sum(len(one["acts"]) for one in released if one["member"] != CLOCK)
    everything = bench.file.read_bytes()
    drop(bench, CLOCK)
    done = CliRunner().invoke(
        epoch, ["build", "--activity", str(bench.file), "--epochs", str(bench.epochs), "--end",
                str(START_MS - 1 + 5 * WEEK_MS)],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "33 released acts have no row in the table" in done.stderr
    assert f"of '{CLOCK}': the next epoch that finds them takes them" in " ".join(done.stderr.split())
    account = Members().account_of(CLOCK)
    rows = read_epoch(bench.epochs, 5).activities
    assert not any(row.tobytes() == account for row in rows.account)
    assert findings(bench) == []
    waits = {one.member: one for one in bench.book().holds}[CLOCK]
    assert (waits.taken, waits.missed, waits.entered) == (None, (5,), ()) and all(waits.records)
    shown = holds_document(bench.epochs, None)["holds"]
    (mine,) = [one for one in shown["waiting"] if one["member"] == CLOCK]
    assert mine["missing"] == list(waits.acts)
    assert any("no row, or several" in row[-1] and waits.acts[0] in row[-1] for row in holds_rows(shown)[2])
    entry = bench.build(5)
    assert entry["holds"]["acts_brought_in"] == others
    assert len(entry["holds"]["acts_missing"]) == 33
    # A signer who still has the rows agrees; and where only the feed's end was read, all of it mends it.
    bench.file.write_bytes(everything)
    assert findings(bench) == []
    assert bench.build(5, "--force")["holds"]["acts_brought_in"] == others + 33
    assert findings(bench) == []


@pytest.mark.parametrize("listed", [False, True])
def test_acts_without_a_row_are_taken_when_they_have_one(bench: Bench, listed: bool) -> None:
    bench.build(4, "--hold-suspicious")
    bench.release(CLOCK, "--reason", "fine")
    everything = bench.file.read_bytes()
    acts = read_activity(bench.file)
    mine = acts_of(bench, CLOCK, 4)
    away = set(mine[::2])
    write_activity(
        acts.take(np.array([row for row, act in enumerate(acts.id) if act not in away], dtype=np.int64)),
        bench.file,
    )
    if listed:
        erased = new_erased()
        erased = replace(erased, acts=frozenset(erased.act_hash(act) for act in away))
        write_erased(erased, bench.epochs / ".oracle" / "erased.json")
    first = bench.build(5)["holds"]
    assert first["acts_brought_in"] == len(mine) - len(away)
    assert len(first["acts_gone" if listed else "acts_missing"]) == len(away)
    assert findings(bench) == []
    bench.file.write_bytes(everything)
    assert findings(bench) == []
    parts = [one for one in bench.book().holds if one.member == CLOCK]
    if listed:
        assert [one.taken for one in parts] == [5], "who was erased is not waited for"
        return
    assert [(one.taken, one.missed, len(one.acts)) for one in parts] == [
        (5, (), len(mine) - len(away)),
        (None, (5,), len(away)),
    ]
    assert bench.build(6)["holds"]["acts_brought_in"] == len(away)
    assert findings(bench) == []
    assert bench.build(7)["holds"]["acts_brought_in"] == 0
    account = Members().account_of(CLOCK)
    paid = [
        row.tobytes()
        for number in range(4, 8)
        for row in read_epoch(bench.epochs, number).activities.account
        if row.tobytes() == account
    ]
    assert len(paid) == len(mine), "each once"
    assert findings(bench) == []


def test_what_an_earlier_epoch_lacks_is_said_by_build_and_sign(taken: Bench, embedded_world: World) -> None:
    aside = taken.holds.read_bytes()
    taken.holds.unlink()
    taken.build(5, "--force")
    taken.holds.write_bytes(aside)
    lacking = taken.build(6)["holds"]["lacking"]
    assert any("epoch 5 took it by the file, and does not have it" in one for one in lacking)
    done = CliRunner().invoke(oracle, signing(taken, embedded_world, 6))
    assert done.exit_code == 0, done.output
    assert "epoch 5 took it by the file, and does not have it" in " ".join(done.stderr.split())


def test_erased_after_they_were_paid(taken: Bench) -> None:
    listed = taken.file.parent / "erased.json"
    forget(taken, CLOCK, listed)
    assert any("not in the activity table" in one for one in findings(taken))
    assert findings(taken, "--erased", str(listed)) == []
    usual = taken.epochs / ".oracle" / "erased.json"
    usual.parent.mkdir()
    listed.rename(usual)
    assert findings(taken) == [], "the oracle's own list is found by itself"
    with pytest.raises(UsageError, match="no such file"):
        findings(taken, "--erased", str(listed))
    # A list covers whom it names, and nobody else.
    drop(taken, "p00")
    assert any("not in the activity table" in one for one in findings(taken))
    with records_file(taken.file, taken.epochs, None, usual) as (_, erased):
        assert erased is not None and erased != usual
        known = json.loads(erased.read_text())["records"]
    (clock,) = (one for one in taken.book().holds if one.member == CLOCK)
    assert set(clock.entered) <= set(known)


def test_rows_deleted_by_age_are_known_by_their_record_ids(taken: Bench) -> None:
    listed = taken.file.parent / "erased.json"
    _, records = drop(taken, CLOCK)
    write_erased(replace(new_erased(), records=frozenset(records)), listed)
    assert findings(taken, "--erased", str(listed)) == []


# --- erasing from the file -----------------------------------------------------------------------------


def test_an_erased_member_leaves_numbers_and_hashes(taken: Bench, embedded_world: World) -> None:
    (mine,) = holds_of(taken.holds, CLOCK)
    others = [one for one in taken.book().holds if one.member != CLOCK]
    named = replace(others[0], reasons=(f"praised by {CLOCK} and back",))
    HoldsBook(taken.holds, [mine, named, *others[1:]]).save()
    listed = taken.file.parent / "erased.json"
    erased = forget(taken, CLOCK, listed)
    assert erase_from_holds(taken.holds, CLOCK, erased=erased) == 2
    text = taken.holds.read_text()
    assert CLOCK not in text and not any(f'"{act}"' in text for act in mine.acts)
    after = taken.book().holds
    assert after[0].erased and after[0].member == ERASED_PREFIX + erased.member_hash(CLOCK).hex()
    assert (after[0].epoch, after[0].taken, len(after[0].acts)) == (4, 5, len(mine.acts))
    assert (after[0].records, after[0].entered) == (mine.records, mine.entered)
    assert after[0].reasons == () and after[0].release is not None and after[0].release.reason == REDACTED
    assert after[1].reasons == (f"praised by {REDACTED} and back",)
    assert after[2:] == others[1:]
    assert holds_of(taken.holds, CLOCK) == []
    # Again: nothing to do, and nobody else's name is touched.
    assert erase_from_holds(taken.holds, CLOCK, erased=erased) == 0
    assert erase_from_holds(taken.holds, "p99", erased=erased) == 0
    assert erase_from_holds(taken.holds.with_name("none.json"), CLOCK, erased=erased) == 0
    # Everything goes on.
    assert findings(taken, "--erased", str(listed)) == []
    with records_file(taken.file, taken.epochs, None, listed):
        pass
    write_activity(later(taken), taken.file)
    taken.build(6, "--hold-suspicious")
    assert findings(taken, "--erased", str(listed)) == []
    assert taken.run(oracle, *signing(taken, embedded_world, 6))["epoch"] == 6
    # The released acts of epoch 5 are not there any more: who has not signed it before does not now.
    with pytest.raises(OracleError, match="not in the activity table"):
        taken.run(oracle, *signing(taken, embedded_world, 5))


def later(bench: Bench) -> Any:
    """Return the table with the fifth week once more, a week later."""
    acts = read_activity(bench.file)
    week = acts.take(np.flatnonzero(acts.occurred_ms > START_MS - 1 + 4 * WEEK_MS))
    moved = replace(week, id=[f"{act}:6" for act in week.id], occurred_ms=week.occurred_ms + WEEK_MS)
    return spans.joined(acts, moved)


def test_a_signer_who_still_has_the_rows_agrees(taken: Bench) -> None:
    acts = read_activity(taken.file)
    erased = new_erased().with_person(CLOCK, [], [])
    erase_from_holds(taken.holds, CLOCK, erased=erased)
    assert findings(taken) == [], "by the record ids"
    listed = taken.file.parent / "erased.json"
    write_erased(erased, listed)
    assert findings(taken, "--erased", str(listed)) == []
    # The hash is of one member: acts of others do not hide behind it.
    book = taken.book()
    paid = acts_of(taken, "p00", 4)
    ids = {act: row for row, act in enumerate(acts.id)}
    records = record_ids(acts.take(np.array([ids[act] for act in paid], dtype=np.int64)))
    (place,) = (place for place, one in enumerate(book.holds) if one.erased)
    book.holds[place] = replace(
        book.holds[place],
        acts=tuple(ERASED_PREFIX + erased.act_hash(act).hex() for act in paid),
        records=tuple(row.tobytes().hex() for row in records),
        entered=(),
    )
    book.save()
    found = findings(taken, "--erased", str(listed))
    assert any("it is an act of 'p00'" in one for one in found)
    assert any("epoch 4 has paid it already" in one for one in found)


def test_a_hold_of_somebody_erased_is_neither_released_nor_taken(bench: Bench) -> None:
    bench.build(4, "--hold-suspicious")
    erased = forget(bench, CLOCK, bench.file.parent / "erased.json")
    erase_from_holds(bench.holds, CLOCK, erased=erased)
    released = bench.release("--all", "--reason", "fine")["released"]
    assert released and {one["member"] for one in released} >= BOTS - {CLOCK}
    bench.build(5)
    assert [one.taken for one in bench.book().holds if one.erased] == [None]
    with pytest.raises(AttentionError, match="nothing is held"):
        bench.release("--all", "--reason", "fine")


def test_short_ids_and_numbers_stay_in_sentences(tmp_path: Path) -> None:
    path = tmp_path / "epochs.holds.json"
    erased = new_erased()
    holds = [by_hand("p00", 4, ["a"], reasons=("12 likes an act, usual are 3",)), by_hand("12", 4, ["b"])]
    holds[0] = replace(holds[0], release=Release(1, "12", "12 likes are fine"))
    HoldsBook(path, holds).save()
    assert erase_from_holds(path, "12", erased=erased) == 2
    other, gone = HoldsBook.load(path).holds
    assert other.reasons == ("12 likes an act, usual are 3",)
    assert other.release is not None and other.release.by == REDACTED, "a whole field is a name"
    assert gone.erased


# --- two commands at once ------------------------------------------------------------------------------


def during_the_judging(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> list[threading.Thread]:
    """Let something be begun while a build judges members; it has two seconds before the build goes on."""
    begun: list[threading.Thread] = []
    real = holding.suspects

    def judging(*words: Any, **more: Any) -> Any:
        verdict = real(*words, **more)
        begun.append(threading.Thread(target=act))
        begun[-1].start()
        begun[-1].join(timeout=2)
        return verdict

    # The moment between the build's reading and its writing, which no call from outside can hit for sure.
    monkeypatch.setattr(holding, "suspects", judging)
    return begun


def test_a_release_while_a_build_judges_is_not_lost(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.build(4, "--hold-suspicious")

    def release() -> None:
        with locked(bench.holds):
            book = HoldsBook.load(bench.holds)
            book.release(CLOCK, by="a person", reason="fine", now_ms=1)
            book.save()

    begun = during_the_judging(monkeypatch, release)
    bench.build(5, "--hold-suspicious")
    for thread in begun:
        thread.join(timeout=30)
    (mine,) = holds_of(bench.holds, CLOCK)
    assert mine.release is not None and mine.release.reason == "fine"
    assert mine.taken is None, "it waited: the epoch after takes it"


def test_who_waits_says_so_and_where_no_lock_can_be_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "epochs.holds.json"
    heard: list[str] = []
    inside = threading.Event()

    def second() -> None:
        with locked(path, heard.append):
            inside.set()

    with locked(path):
        thread = threading.Thread(target=second)
        thread.start()
        assert not inside.wait(0.3)
    thread.join(timeout=30)
    assert inside.is_set() and "waiting" in heard[0]
    (tmp_path / "file").write_text("")
    with pytest.raises(AttentionError, match="cannot be locked"), locked(tmp_path / "file" / "holds.json"):
        pass


@pytest.mark.parametrize(
    "words", [(), ("--force", "--pot", "9" * 30)], ids=["published already", "no such pot"]
)
def test_a_build_that_fails_takes_nothing(bench: Bench, words: tuple[str, ...]) -> None:
    bench.build(4, "--hold-suspicious")
    bench.release("--all", "--reason", "looked at", "--by", "a person")
    before = bench.holds.read_bytes()
    with pytest.raises((TimebankError, AssertionError)):
        bench.build(4, *words)
    assert bench.holds.read_bytes() == before
    assert bench.build(5)["holds"]["acts_brought_in"] > 0
    assert bench.verify()


def test_a_build_that_fails_holds_nobody(bench: Bench) -> None:
    bench.build(4)
    with pytest.raises(EpochError, match="published already"):
        bench.build(4, "--hold-suspicious")
    assert not bench.holds.exists()
    assert bench.verify()


def test_a_release_waits_until_the_epoch_is_published(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.build(4, "--hold-suspicious")
    begun: list[threading.Thread] = []

    def release() -> None:
        with locked(bench.holds):
            book = HoldsBook.load(bench.holds)
            book.release(None, by="a person", reason="fine", now_ms=1)
            book.save()

    def fails(*_: object, **__: object) -> None:
        begun.append(threading.Thread(target=release))
        begun[-1].start()
        begun[-1].join(timeout=0.3)
        assert begun[-1].is_alive()
        raise EpochError("the disk is full")

    # The moment between writing the file and publishing cannot be met otherwise.
    monkeypatch.setattr("timebank_chain.epoch.publish", fails)
    with pytest.raises(EpochError, match="the disk is full"):
        bench.build(4, "--hold-suspicious", "--force")
    begun[0].join(timeout=30)
    assert all(one.release is not None for one in bench.book().holds)
    assert bench.book().building is None


def test_an_epoch_without_what_it_took_is_named(taken: Bench) -> None:
    honest = read_epoch(taken.epochs, 5).header.hash()
    aside = taken.holds.read_bytes()
    taken.holds.unlink()
    taken.build(5, "--force")
    taken.holds.write_bytes(aside)
    assert read_epoch(taken.epochs, 5).header.hash() != honest
    assert any("epoch 5 took it by the file, and does not have it" in one for one in findings(taken))
    with (
        pytest.raises(CheckFailed, match="does not have it"),
        records_file(taken.file, taken.epochs, None),
    ):
        pass
    taken.build(5, "--force")
    assert findings(taken) == []
    assert read_epoch(taken.epochs, 5).header.hash() == honest


def test_a_release_that_never_entered_is_named(bench: Bench, embedded_world: World) -> None:
    bench.build(4, "--hold-suspicious")
    held = bench.holds.read_bytes()
    bench.holds.unlink()
    bench.build(5)
    bench.holds.write_bytes(held)
    bench.release(CLOCK, "--reason", "fine")
    assert findings(bench) == [], "released after epoch 5 had ended: the next one takes them"
    book = bench.book()
    end_ms = START_MS - 1 + 4 * WEEK_MS
    book.holds = [
        one if one.release is None else replace(one, release=replace(one.release, at_ms=end_ms + 1))
        for one in book.holds
    ]
    book.save()
    (why,) = findings(bench)
    assert f"the hold of '{CLOCK}' in epoch 4 was released" in why and "epoch 5, which ended" in why
    with pytest.raises(CheckFailed, match="did not take the acts"):
        bench.run(oracle, *signing(bench, embedded_world, 5))
    assert bench.run(oracle, *signing(bench, embedded_world, 4))["epoch"] == 4
    assert bench.build(5, "--force")["holds"]["acts_brought_in"] == 33
    assert findings(bench) == []


def test_the_file_is_the_same_however_the_folder_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    epochs, link = tmp_path / "epochs", tmp_path / "elsewhere" / "link"
    (epochs / "000001").mkdir(parents=True)
    link.parent.mkdir()
    link.symlink_to(epochs)
    beside = tmp_path / "epochs.holds.json"
    # A folder named relative to where one stands is what is tried here.
    monkeypatch.chdir(epochs / "000001")
    assert default_path(epochs) == default_path(Path("..")) == default_path(link) == beside
    monkeypatch.chdir(epochs)
    assert default_path(Path()) == beside
    own = link.with_name("link.holds.json")
    own.write_text("{}")
    assert default_path(link) == own
