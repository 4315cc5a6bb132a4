"""Fitting a policy's clock to a history.

history
  more than one source, or none ......... refused with the way out
  an empty repository ................... refused, naming it
  a young repository
    windows and lifetime shrink with it
    the last epoch does not end in the future
    every settled act lies in exactly one epoch
  a table ............................... keeps its own windows (0)
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from timebank_chain.demo import fit_schedule, load_history
from timebank_chain.errors import ActivityError, UsageError
from timebank_chain.valuation import load_policy, tau_of

HOUR_MS = 3_600_000
MONTHS_AGO_S = 1_770_000_000


def git(repo: Path, *words: str, when: int | None = None) -> None:
    stamp = (
        {} if when is None else {"GIT_AUTHOR_DATE": f"{when} +0000", "GIT_COMMITTER_DATE": f"{when} +0000"}
    )
    identity = {"GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.org"}
    identity |= {"GIT_COMMITTER_NAME": "Ada", "GIT_COMMITTER_EMAIL": "ada@example.org"}
    environment = {"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": str(repo), **identity, **stamp}
    subprocess.run(["git", "-C", str(repo), *words], check=True, capture_output=True, env=environment)


def repository(folder: Path, *, commits: int, every_s: int, first: int = MONTHS_AGO_S) -> Path:
    git(folder, "init", "-q")
    for number in range(commits):
        (folder / f"file{number % 3}.txt").write_text("line\n" * (number + 1) * 3)
        git(folder, "add", "-A")
        git(folder, "commit", "-qm", f"change {number}", when=first + number * every_s)
    return folder


def load(repo: Path | None = None, **sources: Path | None) -> object:
    chosen: dict[str, Path | None] = {"stackexchange": None, "activity": None, "mapping": None, **sources}
    return load_history(repo=repo, **chosen, policy=None, now_ms=time.time_ns() // 1_000_000)


def test_refuses_no_source_and_two_sources(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="name one history") as refusal:
        load()
    assert "--stackexchange" in (refusal.value.hint or "")
    with pytest.raises(UsageError, match="name one history"):
        load(repo=tmp_path, activity=tmp_path)


def test_refuses_a_mapping_without_a_table(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--mapping"):
        load(repo=tmp_path, mapping=tmp_path)


def test_refuses_an_empty_repository(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    with pytest.raises(ActivityError) as refusal:
        load(repo=tmp_path)
    assert str(tmp_path) in str(refusal.value)


def test_a_young_history_shrinks_the_clock(tmp_path: Path) -> None:
    now_ms = time.time_ns() // 1_000_000
    history = load_history(
        repo=repository(tmp_path, commits=9, every_s=600),
        stackexchange=None, activity=None, mapping=None, policy=None, now_ms=now_ms,
    )  # fmt: skip
    windows = {domain.window_ms for domain in history.policy.domains}
    assert windows == {300_000}  # 80 minutes of history, a sixteenth of it
    schedule = fit_schedule(history, epochs=4, now_ms=now_ms)
    assert len(schedule.ends_ms) == 4
    settled = history.cleaned.table.occurred_ms + history.cleaned.table.window_ms
    lifetimes = 2 * (now_ms - int(settled.min()))
    assert abs(tau_of(schedule.policy.decay_k) - min(lifetimes, tau_of(load_policy("git").decay_k))) <= 2_000
    assert schedule.start_ms < settled.min()
    assert schedule.ends_ms[-1] == settled.max()
    assert schedule.ends_ms[0] - schedule.start_ms == schedule.policy.epoch_ms


def test_the_last_epoch_does_not_end_in_the_future(tmp_path: Path) -> None:
    now = int(time.time())
    now_ms = now * 1_000
    history = load_history(
        repo=repository(tmp_path, commits=40, every_s=600, first=now - 40 * 600),
        stackexchange=None, activity=None, mapping=None, policy=None, now_ms=now_ms,
    )  # fmt: skip
    schedule = fit_schedule(history, epochs=3, now_ms=now_ms)
    assert schedule.ends_ms[-1] <= now_ms
    # Acts whose reactions are still being counted wait, and are told apart from those that are wrong.
    assert any("window" in reason for reason in history.cleaned.reasons())


def test_an_old_history_keeps_the_preset(tmp_path: Path) -> None:
    now_ms = time.time_ns() // 1_000_000
    history = load_history(
        repo=repository(tmp_path, commits=5, every_s=90 * 86_400, first=1_600_000_000),
        stackexchange=None, activity=None, mapping=None, policy=None, now_ms=now_ms,
    )  # fmt: skip
    assert history.policy == load_policy("git")
    schedule = fit_schedule(history, epochs=4, now_ms=now_ms)
    assert schedule.policy.decay_k == history.policy.decay_k


def test_one_single_act_makes_one_epoch(tmp_path: Path) -> None:
    now_ms = time.time_ns() // 1_000_000
    history = load_history(
        repo=repository(tmp_path, commits=1, every_s=1),
        stackexchange=None, activity=None, mapping=None, policy=None, now_ms=now_ms,
    )  # fmt: skip
    schedule = fit_schedule(history, epochs=4, now_ms=now_ms)
    assert len(schedule.ends_ms) == 1


def test_refuses_times_in_seconds(tmp_path: Path) -> None:
    feed = tmp_path / "feed.csv"
    feed.write_text(
        "id,member,domain,occurred,interaction,originality,engagement\na,ada,code,1770000000,1,1,1\n"
    )
    with pytest.raises(ActivityError, match="Unix seconds"):
        load(activity=feed)
