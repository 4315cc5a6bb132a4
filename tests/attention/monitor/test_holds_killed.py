"""A build that is killed between writing the file of holds and publishing the epoch: nobody loses by it.

Each scenario is one build, killed right before its first file takes its place, then before the second, and so
on until it comes to its end. After every kill the epochs after it are built as if nothing had been.

killed ............ a new epoch that takes what was released
                    an epoch built again that takes what was released since
                    an epoch built again with its own released acts
                    an epoch built again that holds suspicious acts, which are released later
always ............ every released act is paid once, in one epoch; verify agrees; nothing is left of the build
released meanwhile  what is held can be released before the next build; where the epoch was not published,
                    nothing is held, and it is said so; without the epochs, both versions are released
erased meanwhile .. both versions lose the name
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.attention.monitor.test_holds import CLOCK, findings, later
from tests.attention.monitor.test_suspicion import START_MS, WEEK_MS, Bench
from timebank_chain.activity import read_activity, record_ids, write_activity
from timebank_chain.activity.erased import new_erased
from timebank_chain.attention.monitor.hold_rows import as_entered
from timebank_chain.attention.monitor.holds import HoldsBook, erase_from_holds, holds_of
from timebank_chain.cli.main import run
from timebank_chain.epoch import epoch_folder, published_numbers, read_epoch
from timebank_chain.errors import AttentionError

#: Processes to be killed, forked from one that has imported everything, which takes longer than a build.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload([__name__])


def run_and_kill(below: str, left: int, words: list[str], said: str) -> None:
    """Run ``timebank`` and kill it right before so many-th file or folder below a path takes its place."""

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        if event == "os.rename" and str(arguments[1]).startswith(below):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    with Path(said).open("w") as sys.stderr:
        sys.argv = ["timebank", *words]
        run()


def killed_at(below: Path, at: int, *words: object, said: Path) -> bool:
    """Run a command in a process that is killed; tell whether it was, or came to its end."""
    process = PROCESSES.Process(target=run_and_kill, args=(str(below), at, list(map(str, words)), str(said)))
    process.start()
    process.join(120)
    assert process.exitcode in (0, -signal.SIGKILL), said.read_text()
    return process.exitcode != 0


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three epochs built, acts of six."""
    folder = tmp_path_factory.mktemp("three")
    made = Bench(folder)
    write_activity(later(made), made.file)
    for number in range(1, 4):
        made.build(number)
    return folder


def copied(source: Path, target: Path) -> Bench:
    target.mkdir()
    made = Bench(target)
    shutil.copytree(source, target, dirs_exist_ok=True)
    return made


def killed(bench: Bench, at: int, number: int, *words: str) -> bool:
    """Build an epoch in a process that is killed; tell whether it was."""
    start = START_MS - 1 + (number - 1) * WEEK_MS
    build = [
        "epoch", "build", "--activity", bench.file, "--policy", "identity", "--epochs", bench.epochs,
        "--start", start, "--end", start + WEEK_MS, "--epoch", number, *words,
    ]  # fmt: skip
    return killed_at(bench.file.parent, at, *build, said=bench.file.parent / "said")


def payments(bench: Bench) -> dict[str, list[int]]:
    """Return the epochs that have each act that was ever held, as itself or as released."""
    table = read_activity(bench.file)
    rows = {act: row for row, act in enumerate(table.id)}
    found: dict[str, list[int]] = {act: [] for one in bench.book().holds for act in one.acts}
    for number in published_numbers(bench.epochs):
        published = read_epoch(bench.epochs, number)
        inside = {record.tobytes() for record in published.activities.record_id}
        header = published.header
        for one in bench.book().holds:
            theirs = [rows[act] for act in one.acts]
            ids = [record_ids(table.take(np.array(theirs, dtype=np.int64)))]
            if number > one.epoch:
                moved = as_entered(
                    table,
                    theirs,
                    epoch=one.epoch,
                    own_end_ms=one.end_ms,
                    start_ms=header.start_ms,
                    end_ms=header.end_ms,
                )
                ids.append(record_ids(moved))
            for each in ids:
                for act, record in zip(one.acts, each, strict=True):
                    found[act] += [number] * (record.tobytes() in inside)
    return found


def new_epoch(bench: Bench) -> tuple[int, tuple[str, ...]]:
    bench.build(4, "--hold-suspicious")
    bench.release("--all", "--reason", "looked at")
    return 5, ()


def built_again(bench: Bench) -> tuple[int, tuple[str, ...]]:
    bench.build(4, "--hold-suspicious")
    bench.build(5)
    bench.release("--all", "--reason", "looked at")
    return 5, ("--force",)


def its_own(bench: Bench) -> tuple[int, tuple[str, ...]]:
    bench.build(4, "--hold-suspicious")
    bench.release("--all", "--reason", "looked at")
    return 4, ("--force",)


def holds_anew(bench: Bench) -> tuple[int, tuple[str, ...]]:
    bench.build(4)
    return 4, ("--hold-suspicious", "--force")


@pytest.mark.parametrize("scenario", [new_epoch, built_again, its_own, holds_anew])
def test_every_released_act_is_paid_once(
    three: Path, tmp_path: Path, scenario: Callable[[Bench], tuple[int, tuple[str, ...]]]
) -> None:
    ready = copied(three, tmp_path / "ready")
    number, words = scenario(ready)
    steps = 0
    while True:
        steps += 1
        bench = copied(ready.file.parent, tmp_path / f"step{steps}")
        was_killed = killed(bench, steps, number, *words)
        # Whoever reads file and epochs side by side sees what is in force, before anything is built.
        assert findings(bench) == []
        gone_on(bench, number)
        if not was_killed:
            break
    # The holds before and after, and the epoch, in whose place there may have been another.
    assert steps - 1 == 3 + ("--force" in words)


def gone_on(bench: Bench, number: int) -> None:
    """Go on after a kill, and see that nothing was lost and nothing paid twice."""
    if not epoch_folder(bench.epochs, number).exists():
        bench.build(number)
    if any(one.release is None for one in HoldsBook.load(bench.holds, bench.epochs).holds):
        bench.release("--all", "--reason", "looked at")
    bench.build(number + 1)
    assert findings(bench) == []
    paid = payments(bench)
    assert {len(epochs) for epochs in paid.values()} <= {1}, paid
    assert bench.book().building is None


def interrupted(three: Path, folder: Path) -> Bench:
    """Return a community whose build of epoch 4 was killed before it was published: nobody is held yet."""
    bench = copied(three, folder)
    assert killed(bench, 2, 4, "--hold-suspicious")
    assert not epoch_folder(bench.epochs, 4).exists()
    assert bench.book().holds == [] and bench.book().building is not None
    return bench


def test_a_release_after_the_kill_goes_by_the_published_epochs(three: Path, tmp_path: Path) -> None:
    bench = interrupted(three, tmp_path / "a")
    with pytest.raises(AttentionError, match="nothing of 'bot-clock' is held"):
        bench.release(CLOCK, "--reason", "looked at")
    book = HoldsBook.load(bench.holds)
    assert [one.member for one in book.release(CLOCK, by="a person", reason="fine", now_ms=1)] == [CLOCK]
    again = copied(three, tmp_path / "b")
    assert killed(again, 3, 4, "--hold-suspicious")
    assert epoch_folder(again.epochs, 4).exists() and again.book().building is not None
    again.release(CLOCK, "--reason", "looked at")
    assert again.book().building is None
    assert again.build(5)["holds"]["acts_brought_in"] == 33


def test_both_versions_lose_the_name(three: Path, tmp_path: Path) -> None:
    bench = interrupted(three, tmp_path / "a")
    assert len(holds_of(bench.holds, CLOCK)) == 1
    assert erase_from_holds(bench.holds, CLOCK, erased=new_erased()) == 1
    assert CLOCK not in bench.holds.read_text()
    assert holds_of(bench.holds, CLOCK) == []


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        ({"epoch": 0}, "is no epoch"),
        ({"headerHash": "ab"}, "is no hash"),
        ({"holds": [1]}, "not a file"),
    ],
)
def test_what_is_being_built_is_read_with_care(
    three: Path, tmp_path: Path, odd: dict[str, object], why: str
) -> None:
    bench = interrupted(three, tmp_path / "a")
    document = json.loads(bench.holds.read_text())
    document["building"] |= odd
    bench.holds.write_text(json.dumps(document))
    with pytest.raises(AttentionError, match=why):
        HoldsBook.load(bench.holds)
