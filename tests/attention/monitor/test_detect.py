"""What does not fit, and how it is said.

judge
├── false alarms: the stated share of steps at most, over many simulated communities, also with scatter
├── a burst, a lull and a level that doubles are found, and nothing before them
├── an hour that is busy every day is no burst
├── a change of one step's value moves no earlier expectation (nothing leaks backwards)
├── unknown steps are neither found nor learned from
└── refused: infinite, all missing, constant, a training part too short for the rate, odd settings
suppress
├── one warning of a kind within the cool-down, the others counted; kinds do not hush each other
├── a restart says nothing twice; the state file is written in one step
├── a member is said again after the cool-down only; the state keeps the newest members
└── a state file that is none, or of a kind nobody knows, is refused; the version before is read
sinks
├── all are told, whatever one of them does
├── what was not delivered is kept, over a restart too, and tried again in order; one attempt a look
├── a warning nobody takes blocks no other; a full queue drops the oldest and says so
├── webhook: posted as JSON; tried again where it may pass, not where it was refused
├── webhook: inner addresses and redirects refused; the path, which may hold a token, is never shown
└── log: one line with kind and numbers
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from timebank_chain.attention.monitor.detect import BURST, DRIFT, LULL, DetectorSettings, Finding, judge
from timebank_chain.attention.monitor.outbox import LogSink, Outbox, WebhookSink
from timebank_chain.attention.monitor.series import DAY_MS, HOUR_MS, Series
from timebank_chain.attention.monitor.state import MAX_MEMBERS, MAX_PENDING, Mark, State
from timebank_chain.attention.monitor.warn import Suppressor, Warned
from timebank_chain.epoch.guarded_http import Transient
from timebank_chain.errors import AttentionError, DataUnavailable, TimebankError, UsageError

MONDAY_MS = 4 * DAY_MS
HOURS = 10 * 168


def community(seed: int, *, scatter: float = 0.0, mean: float = 8.0) -> Series:
    """Return ten weeks of counts with a season."""
    chance = np.random.default_rng(seed)
    clock = np.arange(HOURS)
    rate = mean * np.exp(0.6 * np.sin(2 * np.pi * clock / 24))
    if scatter:
        rate = rate * chance.gamma(1 / scatter, scatter, size=HOURS)
    return Series("activity", MONDAY_MS, HOUR_MS, chance.poisson(rate).astype(np.float64))


def changed(series: Series, place: slice, factor: float) -> Series:
    values = series.values.copy()
    values[place] = np.rint(values[place] * factor)
    return Series(series.name, series.start_ms, series.step_ms, values)


@pytest.mark.parametrize("scatter", [0.0, 0.5])
def test_no_more_false_alarms_than_stated(scatter: float) -> None:
    found = steps = drifting = 0
    for seed in range(60):
        judged = judge(community(seed, scatter=scatter), DetectorSettings(rate=0.01))
        steps += HOURS - judged.trained
        found += sum(one.kind != DRIFT for one in judged.findings)
        drifting += any(one.kind == DRIFT for one in judged.findings)
    # 50,400 steps: three standard errors are 0.0013.
    assert found / steps <= 0.0113
    assert found > 0, "a detector that never speaks would pass too"
    assert drifting <= 3


def test_a_burst_a_lull_and_a_lasting_change_are_found() -> None:
    quiet = community(1)
    at = HOURS * 3 // 4
    burst = judge(changed(quiet, slice(at, at + 1), 12.0), DetectorSettings())
    assert [one.kind for one in burst.findings if one.at_ms == quiet.start_ms + (at + 1) * HOUR_MS] == [BURST]
    lull = judge(changed(quiet, slice(at, at + 24), 0.0), DetectorSettings())
    assert any(
        one.kind == LULL and 0 < one.at_ms - quiet.start_ms - at * HOUR_MS <= DAY_MS for one in lull.findings
    )
    doubled = judge(changed(quiet, slice(at, None), 2.0), DetectorSettings())
    drift = [one for one in doubled.findings if one.kind == DRIFT]
    assert drift and drift[0].at_ms > quiet.start_ms + at * HOUR_MS
    assert drift[0].value > 1.5 * drift[0].expected
    assert not [one for one in judge(quiet, DetectorSettings()).findings if one.kind == DRIFT]


def test_an_hour_that_is_busy_every_day_is_no_burst() -> None:
    series = community(2, mean=20.0)
    values = series.values.copy()
    values[9::24] *= 10
    judged = judge(Series("activity", MONDAY_MS, HOUR_MS, values), DetectorSettings(rate=0.01))
    nine = [one for one in judged.findings if (one.at_ms - HOUR_MS) // HOUR_MS % 24 == 9]
    assert len(nine) <= 3


@settings(max_examples=15)
@given(st.integers(900, HOURS - 1), st.integers(0, 500))
def test_nothing_leaks_backwards(step: int, value: int) -> None:
    series = community(3)
    values = series.values.copy()
    values[step] = value
    one, other = (
        judge(Series("activity", MONDAY_MS, HOUR_MS, these), DetectorSettings(train=800))
        for these in (series.values, values)
    )
    assert np.array_equal(one.expected[: step + 1], other.expected[: step + 1])
    assert np.array_equal(one.scores[:step], other.scores[:step])
    assert np.array_equal(one.slow_scores[:step], other.slow_scores[:step])
    assert (one.above, one.below) == (other.above, other.below)


def test_unknown_steps_are_neither_found_nor_learned_from() -> None:
    series = community(4)
    values = series.values.copy()
    values[HOURS * 3 // 4 : HOURS * 3 // 4 + 48] = np.nan
    judged = judge(Series("activity", MONDAY_MS, HOUR_MS, values), DetectorSettings(rate=0.01))
    silent = range(HOURS * 3 // 4 + 1, HOURS * 3 // 4 + 49)
    assert not [one for one in judged.findings if (one.at_ms - MONDAY_MS) // HOUR_MS in silent]
    gap = judged.expected[HOURS * 3 // 4 : HOURS * 3 // 4 + 48]
    assert np.isfinite(gap).all() and gap.max() > 2 * gap.min(), "the season goes on"


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([1.0, np.inf] * 400, "infinite"),
        ([np.nan] * 800, "all values are missing"),
        ([], "all values are missing"),
        ([0.0] * 800, "same value"),
        ([1.0, 2.0] * 60, "needs 199"),
    ],
)
def test_columns_that_teach_nothing_are_refused(values: list[float], reason: str) -> None:
    with pytest.raises(AttentionError, match=reason):
        judge(Series("activity", 0, HOUR_MS, np.array(values)), DetectorSettings())


@pytest.mark.parametrize(
    "odd", [{"rate": 0.0}, {"rate": 0.5}, {"train": 0.0}, {"smooth": -1}, {"drift_delta": 1.0}]
)
def test_odd_settings_are_refused(odd: dict[str, float]) -> None:
    with pytest.raises(AttentionError):
        DetectorSettings(**odd)  # type: ignore[arg-type]  # whole numbers for smooth are floats to the checker


def finding(hour: int, kind: str = BURST) -> Finding:
    return Finding(kind, hour * HOUR_MS, 90.0, 4.0, 3.1, 1.2)


def test_repeats_are_kept_back_and_counted() -> None:
    held = Suppressor(6 * HOUR_MS)
    said = held.sift([finding(1), finding(2), finding(3, LULL), finding(5), finding(7), finding(8)])
    assert [(one.at_ms // HOUR_MS, one.kind, kept) for one, kept in said] == [
        (1, BURST, 0),
        (3, LULL, 0),
        (7, BURST, 2),
    ]
    assert held.marks[BURST].kept == 1 and held.kept_back[BURST] == 3
    assert held.sift([finding(8), finding(9)]) == [], "8 was seen before, 9 is too soon"
    assert held.marks[BURST].kept == 2


def test_a_restart_says_nothing_twice(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    state = State.load(file)
    held = Suppressor(6 * HOUR_MS, state.kinds)
    assert len(held.sift([finding(1), finding(3)])) == 1
    state.save()
    again = Suppressor(6 * HOUR_MS, State.load(file).kinds)
    assert again.sift([finding(1), finding(3), finding(5)]) == []
    assert again.marks[BURST].kept == 2
    assert [one.at_ms for one, _ in again.sift([finding(7)])] == [7 * HOUR_MS]
    assert list(tmp_path.iterdir()) == [file], "no half-written file is left"
    changed = file.stat().st_mtime_ns, file.stat().st_ino
    state.save()
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == changed, "nothing new, nothing written"


def test_a_member_is_said_again_after_the_cool_down_only() -> None:
    held = Suppressor(7 * DAY_MS)
    assert held.admit("eve", DAY_MS) == 0
    assert [held.admit("eve", day * DAY_MS) for day in (1, 2, 2, 7)] == [None] * 4
    assert held.admit("mallory", 2 * DAY_MS) == 0, "members do not hush each other"
    assert held.admit("eve", 8 * DAY_MS) == 2
    held.forget(9 * DAY_MS)
    assert set(held.marks) == {"eve"}


def test_a_state_of_the_version_before_is_read_and_is_bounded(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    entry = {"warnedMs": 5, "seenMs": 6, "suppressed": 1}
    file.write_text(json.dumps({"schema": "timebank.attention.monitor.state/1", "kinds": {"burst": entry}}))
    state = State.load(file)
    assert state.kinds == {"burst": Mark(5, 6, 1)} and not state.members and not state.pending
    state.members.update({f"m{number}": Mark(number, number) for number in range(MAX_MEMBERS + 3)})
    state.save()
    again = State.load(file)
    assert len(again.members) == MAX_MEMBERS and "m2" not in again.members, "the newest are kept"


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"schema": "timebank.other/1"}',
        '{"schema": "timebank.attention.monitor.state/1", "kinds": {"burst": {"warnedMs": -1}}}',
        '{"schema": "timebank.attention.monitor.state/1", "kinds":'
        ' {"storm": {"warnedMs": 1, "seenMs": 1, "suppressed": 0}}}',
        '{"schema": "timebank.attention.monitor.state/2", "kinds": {}}',
        '{"schema": "timebank.attention.monitor.state/2", "kinds": {}, "members": {}, "pending": {"x": [1]}}',
        '{"schema": "timebank.attention.monitor.state/2", "kinds": {}, "members": {}, "pending": {"x": '
        + json.dumps([{"message": "x"}] * 201)
        + "}}",
        "[" * 100 + "]" * 100,
        " " * 70_000,
    ],
)
def test_a_foreign_state_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "state.json"
    file.write_text(text)
    with pytest.raises(AttentionError, match="not a state of the monitor"):
        State.load(file)


def test_a_state_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    held = State(tmp_path / "missing" / "state.json")
    with pytest.raises(AttentionError, match="cannot be written"):
        held.save()


class Hook:
    """A server that answers with the given statuses, one after the other, and keeps what it was sent."""

    def __init__(self, *statuses: int) -> None:
        self.bodies: list[dict[str, object]] = []
        left = list(statuses)

        class Handler(BaseHTTPRequestHandler):
            def do_POST(inner) -> None:  # noqa: N805 - the outer self is needed
                length = int(inner.headers["Content-Length"])
                self.bodies.append(json.loads(inner.rfile.read(length)))
                status = left.pop(0) if left else 200
                inner.send_response(status)
                if status in (301, 307):
                    inner.send_header("Location", "http://127.0.0.1:1/elsewhere")
                inner.send_header("Content-Length", "0")
                inner.end_headers()

            def log_message(inner, format: str, *arguments: object) -> None:  # noqa: A002, N805 - as above
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/hook/s3cret?token=s3cret"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def hooks() -> Iterator[list[Hook]]:
    opened: list[Hook] = []
    yield opened
    for one in opened:
        one.close()


WARNED = Warned("activity", finding(5), 0.001, 2)


def send(hook: Hook, *, allow_private: bool = True) -> list[float]:
    slept: list[float] = []
    WebhookSink(hook.url, sleep=slept.append, allow_private=allow_private).send(WARNED.to_json())
    return slept


def test_webhook_posts_json_and_tries_again(hooks: list[Hook]) -> None:
    hooks.append(Hook(503, 429, 204))
    assert send(hooks[0]) == [1.0, 2.0]
    assert len(hooks[0].bodies) == 3
    body = hooks[0].bodies[0]
    assert body["schema"] == "timebank.attention.warning/1"
    assert (body["kind"], body["value"], body["suppressedBefore"]) == ("burst", 90.0, 2)
    assert "0.001" in str(body["message"])


@pytest.mark.parametrize("statuses", [(503,) * 3, (400,), (307,)])
def test_webhook_gives_up_without_telling_the_secret(hooks: list[Hook], statuses: tuple[int, ...]) -> None:
    hooks.append(Hook(*statuses))
    with pytest.raises(DataUnavailable) as error:
        send(hooks[0])
    assert len(hooks[0].bodies) == len(statuses)
    assert "s3cret" not in str(error.value) + str(error.value.hint)
    assert isinstance(error.value, Transient) == (statuses[0] == 503)


def test_webhook_keeps_off_the_inner_network(hooks: list[Hook]) -> None:
    hooks.append(Hook())
    with pytest.raises(DataUnavailable, match="not on the public internet") as error:
        send(hooks[0], allow_private=False)
    assert not hooks[0].bodies and "s3cret" not in str(error.value)


@pytest.mark.parametrize("url", ["file:///etc/hosts", "ftp://example.org/s3cret", "http://", "nonsense"])
def test_webhook_takes_http_only(url: str) -> None:
    with pytest.raises(UsageError, match="not an http") as error:
        WebhookSink(url, sleep=lambda _: None).send(WARNED.to_json())
    assert "s3cret" not in str(error.value)


def test_a_dead_server_is_no_end(hooks: list[Hook]) -> None:
    hooks.append(Hook())
    hooks[0].close()
    with pytest.raises(Transient, match="nobody took it") as error:
        send(hooks.pop())
    assert "s3cret" not in str(error.value)


class Deaf:
    name = "deaf"

    def send(self, warning: Mapping[str, Any]) -> None:
        raise TimebankError("nobody home")


class Moody:
    """A sink that fails as long as it is told to."""

    name = "moody"

    def __init__(self) -> None:
        self.failure: TimebankError | None = None
        self.heard: list[str] = []
        self.tries = 0

    def send(self, warning: Mapping[str, Any]) -> None:
        self.tries += 1
        if self.failure is not None:
            raise self.failure
        self.heard.append(warning["message"])


def test_what_was_not_delivered_is_kept_and_tried_again_in_order(tmp_path: Path) -> None:
    file, sink = tmp_path / "state.json", Moody()
    state = State.load(file)
    outbox = Outbox([sink], state)
    sink.failure = Transient("down")
    assert [outbox.hand({"message": text}) for text in "abc"] == [{"moody": False}] * 3
    assert sink.tries == 1, "an outage costs one attempt a look"
    assert outbox.waiting == {"moody": 3} and outbox.counts == {("moody", "failed"): 1}
    assert not outbox.retry() and sink.tries == 2
    state.save()
    # A restart, without the sink first: what waits for it stays.
    without = State.load(file)
    assert Outbox([], without).waiting == {"moody": 3}
    again = Outbox([sink], without)
    sink.failure = None
    assert again.retry() and sink.heard == ["a", "b", "c"] and again.waiting == {"moody": 0}
    assert again.hand({"message": "d"}) == {"moody": True} and sink.heard[-1] == "d"
    assert not again.retry(), "nothing is sent twice"
    without.save()
    assert json.loads(file.read_text())["pending"] == {}


def test_a_warning_nobody_takes_blocks_no_other() -> None:
    class Picky(Moody):
        def send(self, warning: Mapping[str, Any]) -> None:
            self.failure = DataUnavailable("refused") if warning["message"] == "odd" else None
            super().send(warning)

    sink = Picky()
    outbox = Outbox([sink], State())
    outbox.hand({"message": "odd"})
    outbox.hand({"message": "plain"})
    outbox.retry()
    outbox.retry()
    assert sink.heard == ["plain"] and outbox.waiting == {"moody": 1}


def test_a_full_queue_drops_the_oldest_and_says_so() -> None:
    sink = Moody()
    sink.failure = Transient("down")
    state = State()
    outbox = Outbox([sink], state)
    with structlog.testing.capture_logs() as lines:
        for number in range(MAX_PENDING + 2):
            outbox.hand({"message": str(number)})
    assert [one["message"] for one in state.pending["moody"]][:1] == ["2"]
    assert outbox.counts["moody", "dropped"] == 2
    assert [line["lost"] for line in lines if "lost" in line] == ["0", "1"]


def test_every_sink_is_told() -> None:
    with structlog.testing.capture_logs() as lines:
        heard = Outbox([Deaf(), LogSink()], State()).hand(WARNED.to_json())
    assert heard == {"deaf": False, "log": True}
    assert [line["log_level"] for line in lines] == ["error", "warning"]
    assert lines[1]["kind"] == "burst" and "about 4 expected" in lines[1]["event"]
    drift = Warned("activity", finding(5, DRIFT), None, 0)
    assert "changed for good" in drift.message
