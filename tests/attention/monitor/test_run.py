"""Following a feed, looking at it, showing it.

feed
├── appended lines are read once; a half line waits; the sum is that of reading it whole
├── duplicates and rows that cannot be are not counted twice; refused ones are counted
├── an activity table and a file of counts
└── refused: a file that shrank, one that vanished
look
├── members that stand out are counted and warned of, once, also over a restart
├── warns of what is fresh, once; history is not warned of
├── says why nothing is judged or forecast while history is short
└── metrics: every one that is listed is exposed, and moves
dashboard: shows every metric, and only those that exist; the command prints it
serve: /metrics, /live, /ready (503 before the first look), 404
commands
├── forecast: JSON document, picture, a fee file; refused: no such feed, odd times
├── monitor --once: 3 with a warning, then 0, since it was said; 3 as long as the webhook did not hear it
├── monitor: bought attention reaches webhook, exit code and state, once
├── monitor: what the webhook missed in an outage is posted once it is back, once
├── the newest row of a file of counts is seen, by forecast too; one in the future of the clock is not:
│   a note in every look, a line of the log once; it counts when its time has come
├── rows after --as-of change nothing; --as-of in the future is refused
├── monitor: an epoch is as long as the last published one
├── monitor: fees from a file are forecast and shown; one that goes away blinds nothing
├── monitor --lag: a feed that comes late is no silence
├── monitor: serves on a free port, takes appended acts up, ends on SIGTERM
└── refused: --json without --once, numbers and times that make no sense, a step that divides no hour, a
    webhook file that is none; a feed that is not there ends with 1
bench: precision, recall and delay beside a z-score; the monitor's F1 is the better
"""

from __future__ import annotations

import importlib.util
import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import structlog
from typer.testing import CliRunner

from tests.activity.builders import research_data
from tests.attention.monitor.test_suspicion import START_MS, WEEK_MS, community
from tests.epoch.sample import EPOCH, NOW, publish_all, records, table_of
from timebank_chain.activity import write_activity
from timebank_chain.attention.monitor.dashboard import dashboard
from timebank_chain.attention.monitor.detect import BURST, DetectorSettings
from timebank_chain.attention.monitor.feed import Feed
from timebank_chain.attention.monitor.metrics import METRICS, Metrics
from timebank_chain.attention.monitor.run import Monitor, MonitorSettings
from timebank_chain.attention.monitor.series import HOUR_MS, read_counts
from timebank_chain.attention.monitor.serve import Server
from timebank_chain.attention.monitor.state import State
from timebank_chain.cli.attention import app
from timebank_chain.errors import AttentionError, TimebankError, UsageError
from timebank_chain.units import format_time

ROOT = Path(__file__).resolve().parents[3]
NOW_MS = 1_780_000_000_000 // HOUR_MS * HOUR_MS
HEADER = "id,member,domain,occurred,interaction,originality,engagement\n"


def line(number: int, at_ms: int) -> str:
    return f"a{number},m{number % 7},work,{format_time(at_ms)},1,1,1\n"


def history(weeks: int = 6, *, end_ms: int = NOW_MS, seed: int = 0, burst: int = 0) -> list[str]:
    """Return lines of a feed up to ``end_ms``, with a burst in its last hour."""
    chance = np.random.default_rng(seed)
    times = np.sort(end_ms - chance.integers(1, weeks * 168 * HOUR_MS, size=weeks * 168 * 3))
    times = np.concatenate([times, np.full(burst, end_ms - HOUR_MS // 2)])
    return [line(number, at) for number, at in enumerate(times.tolist())]


class Heard:
    name = "heard"

    def __init__(self) -> None:
        self.warned: list[Mapping[str, Any]] = []

    def send(self, warned: Mapping[str, Any]) -> None:
        self.warned.append(warned)


def test_appended_lines_are_read_once(tmp_path: Path) -> None:
    file = tmp_path / "feed.csv"
    lines = history(1)
    file.write_text(HEADER + "".join(lines[:100]) + lines[100][:20])
    feed = Feed(tmp_path)
    assert feed.read(now_ms=NOW_MS) == 100
    assert feed.read(now_ms=NOW_MS) == 0
    with file.open("a") as writer:
        writer.write(lines[100][20:] + "".join(lines[101:]) + lines[3] + "odd,m,work,never,1,1,1\n")
    assert feed.read(now_ms=NOW_MS) == len(lines) - 100
    assert feed.refused == 1
    whole = Feed(file)
    whole.read(now_ms=NOW_MS)
    one, other = (each.series(step_ms=HOUR_MS, until_ms=NOW_MS).values for each in (feed, whole))
    assert np.array_equal(one, other) and one.sum() == len(lines)


def test_a_header_alone_and_jsonl(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(HEADER[:10])
    rows = tmp_path / "b.jsonl"
    row = {"id": "j", "member": "m", "domain": "work", "occurred": format_time(NOW_MS - HOUR_MS * 2)}
    rows.write_text(json.dumps({**row, "interaction": 1, "originality": 1, "engagement": 1}) + "\n")
    feed = Feed(tmp_path)
    assert feed.read(now_ms=NOW_MS) == 1
    (tmp_path / "a.csv").write_text(HEADER + line(1, NOW_MS - 5 * HOUR_MS))
    assert feed.read(now_ms=NOW_MS) == 1
    assert feed.latest_ms == NOW_MS - HOUR_MS * 2


def test_an_activity_table_and_a_file_of_counts(tmp_path: Path) -> None:
    acts = table_of(records())
    write_activity(acts, tmp_path / "activity.parquet")
    feed = Feed(tmp_path / "activity.parquet")
    assert feed.read(now_ms=NOW) == len(acts)
    assert feed.latest_ms == int(acts.occurred_ms.max())
    counts = tmp_path / "counts.csv"
    counts.write_text("time,n\n2026-01-01T00:00:00Z,4\n2026-01-01T02:00:00Z,6\n")
    told = Feed(counts)
    assert told.read(now_ms=NOW) == 2 and told.read(now_ms=NOW) == 0
    series = told.series(step_ms=HOUR_MS, until_ms=NOW)
    np.testing.assert_array_equal(series.values, [4, np.nan, 6])


def test_acts_cannot_be_taken_back(tmp_path: Path) -> None:
    file = tmp_path / "feed.csv"
    file.write_text(HEADER + "".join(history(1)[:5]))
    feed = Feed(tmp_path)
    feed.read(now_ms=NOW_MS)
    file.write_text(HEADER)
    with pytest.raises(AttentionError, match="shrank"):
        feed.read(now_ms=NOW_MS)
    file.unlink()
    with pytest.raises(TimebankError, match="vanished"):
        feed.read(now_ms=NOW_MS)


def watch(feed: Path, sink: Heard, *, state: Path | None = None, metrics: Metrics | None = None) -> Monitor:
    settings = MonitorSettings(detector=DetectorSettings(rate=0.01))
    return Monitor(Feed(feed), settings, state=State.load(state), sinks=[sink], metrics=metrics)


def test_a_fresh_burst_is_warned_of_once(tmp_path: Path) -> None:
    file = tmp_path / "feed.csv"
    file.write_text(HEADER + "".join(history(burst=60)))
    heard, state = Heard(), tmp_path / "state.json"
    monitor = watch(file, heard, state=state)
    seen = monitor.look(now_ms=NOW_MS + 60_000)
    assert [(one["kind"], one["value"]) for one in heard.warned] == [(BURST, seen.judged.series.values[-1])]  # type: ignore[union-attr]  # judged, or nothing was warned of
    assert len(seen.outlooks) == 1 and len(seen.outlooks[0].forecasts) == 3
    monitor.look(now_ms=NOW_MS + 120_000)
    again = Heard()
    watch(file, again, state=state).look(now_ms=NOW_MS + 120_000)
    late = Heard()
    watch(file, late).look(now_ms=NOW_MS + 60_000 + 48 * HOUR_MS)
    assert len(heard.warned) == 1 and not again.warned
    assert not [one for one in late.warned if one["kind"] == BURST], "two days later it is history"
    assert json.loads(json.dumps(seen.to_json()))["warnings"][0]["delivered"] == {"heard": True}


def test_members_that_stand_out_are_warned_of_once(tmp_path: Path) -> None:
    acts = community()
    write_activity(acts, tmp_path / "activity.parquet")
    until = START_MS - 1 + 4 * WEEK_MS
    settings = MonitorSettings(epoch_ms=WEEK_MS, detector=DetectorSettings(rate=0.05))
    metrics = Metrics()
    feed = Feed(tmp_path, keep_acts=True)
    heard, file = Heard(), tmp_path.parent / "state.json"
    monitor = Monitor(feed, settings, state=State.load(file), sinks=[heard], metrics=metrics)
    seen = monitor.look(now_ms=until + WEEK_MS, as_of_ms=until)
    monitor.look(now_ms=until + WEEK_MS, as_of_ms=until + HOUR_MS)
    assert seen.verdict is not None
    held = {one.who for one in seen.verdict.held}
    assert held >= {"bot-clock", "bot-likes-1", "bot-likes-2"}
    told = [one["who"] for one in heard.warned if one["kind"] == "suspect"]
    assert len(told) == len(set(told)) and held <= set(told)
    assert {warned.kind for warned, _ in seen.warned} >= {"suspect"}
    one = next(one for one in heard.warned if one.get("who") == "bot-likes-1")
    assert one["score"] > one["threshold"] and "bot-likes-1" in one["message"] and one["reasons"]
    found = exposed(metrics)
    assert found["timebank_attention_suspects"] >= 3
    assert found['timebank_attention_warnings_total{kind="suspect"}'] == len(told)
    assert found['timebank_attention_suppressed_total{kind="suspect"}'] >= 3
    again = Heard()
    monitor = Monitor(Feed(tmp_path, keep_acts=True), settings, state=State.load(file), sinks=[again])
    monitor.look(now_ms=until + WEEK_MS, as_of_ms=until + 2 * HOUR_MS)
    assert not [one for one in again.warned if one["who"] in held], "said before the restart"
    assert len(seen.to_json()["suspects"]["found"]) == len(held)


def test_a_short_history_says_what_is_missing(tmp_path: Path) -> None:
    file = tmp_path / "feed.csv"
    file.write_text(HEADER + "".join(history(1)))
    seen = watch(file, Heard()).look(now_ms=NOW_MS)
    assert seen.judged is None and not seen.outlooks
    assert seen.verdict is None
    assert len(seen.notes) == 2 and "needs 199" in seen.notes[0] and "at least 336" in seen.notes[1]


def exposed(metrics: Metrics) -> dict[str, float]:
    found = {}
    for text in metrics.render().decode().splitlines():
        if not text.startswith("#"):
            name, value = text.rsplit(" ", 1)
            found[name] = float(value)
    return found


def test_every_metric_is_exposed_and_moves(tmp_path: Path) -> None:
    file = tmp_path / "feed.csv"
    lines = history(burst=60)
    file.write_text(HEADER + "".join(lines))
    metrics = Metrics(["heard"])
    born = exposed(metrics)
    for name in (
        'warnings_total{kind="burst"}',
        'warnings_total{kind="suspect"}',
        'looks_total{outcome="failed"}',
        'suppressed_total{kind="lull"}',
        'deliveries_total{outcome="failed",sink="heard"}',
        'waiting{sink="heard"}',
    ):
        assert born[f"timebank_attention_{name}"] == 0, "a counter must stand at 0 before it first rises"
    monitor = watch(file, Heard(), metrics=metrics)
    monitor.look(now_ms=NOW_MS)
    found = exposed(metrics)
    names = {re.sub(r"\{.*", "", name) for name in found}
    assert {one.name for one in METRICS} == {name for name in names if not name.endswith("_created")}
    assert found["timebank_attention_acts_total"] == len(lines)
    assert found['timebank_attention_warnings_total{kind="burst"}'] == 1
    assert found['timebank_attention_deliveries_total{outcome="delivered",sink="heard"}'] == 1
    assert found["timebank_attention_last_step_timestamp_seconds"] == NOW_MS / 1_000
    with file.open("a") as writer:
        writer.write(line(-1, NOW_MS - 3 * HOUR_MS))
    monitor.look(now_ms=NOW_MS)
    assert exposed(metrics)["timebank_attention_acts_total"] == len(lines) + 1


def test_the_dashboard_shows_every_metric_and_only_those() -> None:
    shown = [target["expr"] for panel in dashboard()["panels"] for target in panel["targets"]]
    named = [set(re.findall(r"timebank_[a-z_]+", text)) for text in shown]
    assert sorted(name for names in named for name in names) == sorted(one.name for one in METRICS)
    places = [(one["gridPos"]["x"], one["gridPos"]["y"]) for one in dashboard()["panels"]]
    assert len(set(places)) == len(places)
    for panel in dashboard()["panels"]:
        assert panel["title"] and panel["description"]
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
    for one in METRICS:
        assert (one.kind == "counter") == one.name.endswith("_total")
    warned = next(text for text in shown if "warnings_total" in text)
    assert "unless" in warned and "increase(" in warned, "warnings of the first look are seen too"


def get(url: str) -> tuple[int, str]:
    answer = requests.get(url, timeout=10)
    return answer.status_code, answer.text


def test_what_is_served() -> None:
    metrics, is_ready = Metrics(), [False]
    with Server(
        "127.0.0.1", 0, render=metrics.render, content_type=metrics.content_type,
        ready=lambda: (is_ready[0], "no look yet"),
    ) as server:  # fmt: skip
        url = f"http://127.0.0.1:{server.port}"
        assert get(f"{url}/live") == (200, "live\n")
        assert get(f"{url}/ready") == (503, "not ready: no look yet\n")
        is_ready[0] = True
        assert get(f"{url}/ready") == (200, "ready\n")
        status, text = get(f"{url}/metrics?x=1")
        assert status == 200 and "timebank_attention_acts_total" in text
        assert get(f"{url}/")[0] == 404
        with pytest.raises(UsageError, match="cannot listen"):
            Server("127.0.0.1", server.port, render=metrics.render, content_type="", ready=lambda: (True, ""))


def run(*words: str) -> tuple[int, str, str]:
    try:
        done = CliRunner().invoke(app, list(words))
    finally:
        structlog.reset_defaults()  # the log went to the runner's standard error, which is closed now
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


def test_forecast_command(tmp_path: Path) -> None:
    file, fees = tmp_path / "feed.csv", tmp_path / "fees.csv"
    file.write_text(HEADER + "".join(history(4)))
    hours = [f"{format_time(NOW_MS - hour * HOUR_MS)},{hour % 5}\n" for hour in range(500, 0, -1)]
    fees.write_text("time,credits\n" + "".join(hours))
    code, text, _ = run(
        "forecast", str(file), "--fees", str(fees), "--plot", str(tmp_path / "f.svg"), "--json"
    )
    document = json.loads(text)
    assert code == 0 and document["schema"] == "timebank.attention.forecast/1"
    assert [one["quantity"] for one in document["outlooks"]] == ["activity", "fees"]
    assert [one["horizon"] for one in document["outlooks"][0]["forecasts"]] == ["hour", "day", "epoch"]
    assert (tmp_path / "f.svg").read_text("utf-8").startswith("<?xml")
    code, text, _ = run("forecast", str(file), "--epoch-length", "2d")
    assert code == 0 and "meant to hold" in text
    for words in (["nowhere"], [str(file), "--as-of", "noon"], [str(file), "--epoch-length", "soon"]):
        with pytest.raises(UsageError):
            run("forecast", *words)
    with pytest.raises(AttentionError, match="no act to count"):
        run("forecast", str(file), "--as-of", "2020-01-01T00:00:00Z")


def test_monitor_once(tmp_path: Path) -> None:
    file, state = tmp_path / "feed.csv", tmp_path / "state.json"
    file.write_text(HEADER + "".join(history(burst=60)))
    words = ["monitor", str(file), "--once", "--as-of", format_time(NOW_MS), "--state", str(state)]
    code, text, _ = run(*words, "--json", "--plot", str(tmp_path / "w.png"))
    document = json.loads(text)
    assert code == 3 and document["schema"] == "timebank.attention.monitor/1"
    assert [one["kind"] for one in document["warnings"] if one["kind"] != "suspect"] == ["burst"]
    assert (tmp_path / "w.png").read_bytes().startswith(b"\x89PNG")
    code, text, _ = run(*words)
    assert code == 0 and "do not fit" in text and "warning:" not in text


class Hook:
    """A server that takes what is posted to it."""

    def __init__(self, port: int = 0) -> None:
        self.bodies: list[dict[str, Any]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(inner) -> None:  # noqa: N805 - the outer self is needed
                self.bodies.append(json.loads(inner.rfile.read(int(inner.headers["Content-Length"]))))
                inner.send_response(204)
                inner.end_headers()

            def log_message(inner, *_: object) -> None:  # noqa: N805 - as above
                pass

        self._server = HTTPServer(("127.0.0.1", port), Handler)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def test_bought_attention_reaches_webhook_exit_code_and_state(tmp_path: Path) -> None:
    acts = community()
    until = START_MS - 1 + 4 * WEEK_MS
    kept = np.flatnonzero(acts.occurred_ms <= until)
    write_activity(acts.take(kept), tmp_path / "activity.parquet")
    hook = Hook()
    try:
        (tmp_path / "hook").write_text(f"http://127.0.0.1:{hook.port}/hook\n")
        words = [
            "monitor", str(tmp_path / "activity.parquet"), "--once", "--as-of", "latest", "--rate", "0.05",
            "--state", str(tmp_path / "st.json"), "--webhook-file", str(tmp_path / "hook"), "--allow-private",
        ]  # fmt: skip
        code, text, _ = run(*words)
        who = {one["who"] for one in hook.bodies if one["kind"] == "suspect"}
        assert code == 3 and who >= {"bot-clock", "bot-likes-1", "bot-likes-2"}
        assert "warning: engagement stands out: bot-clock" in text
        assert set(json.loads((tmp_path / "st.json").read_text())["members"]) == who
        posted = len(hook.bodies)
        code, text, err = run(*words)
        assert code == 0 and len(hook.bodies) == posted
        assert "warning:" not in text and "engagement stands out" not in err
    finally:
        hook.close()


def test_an_outage_of_the_webhook_loses_no_warning(tmp_path: Path) -> None:
    file, state = tmp_path / "feed.csv", tmp_path / "state.json"
    file.write_text(HEADER + "".join(history(burst=60)))
    down = Hook()
    down.close()  # nobody listens there now
    (tmp_path / "hook").write_text(f"http://127.0.0.1:{down.port}/hook\n")
    words = [
        "monitor", str(file), "--once", "--as-of", format_time(NOW_MS), "--no-suspects", "--json",
        "--state", str(state), "--webhook-file", str(tmp_path / "hook"), "--allow-private",
    ]  # fmt: skip
    code, text, _ = run(*words)
    document = json.loads(text)
    assert code == 3 and document["waiting"] == {"log": 0, "webhook": 1}
    assert document["warnings"][0]["delivered"] == {"log": True, "webhook": False}
    code, text, _ = run(*words)
    assert (code, json.loads(text)["warnings"]) == (3, []), "nothing new, but not heard yet"
    assert run(*words[:-3])[0] == 0, "a sink this run does not have is not waited for"
    up = Hook(down.port)
    try:
        code, text, _ = run(*words)
        assert code == 0 and [one["kind"] for one in up.bodies] == ["burst"]
        assert json.loads(text)["waiting"] == {"log": 0, "webhook": 0}
        run(*words)
        assert len(up.bodies) == 1, "delivered once"
    finally:
        up.close()


@pytest.mark.parametrize("minutes", [5, 60])
def test_the_newest_row_of_counts_is_seen(tmp_path: Path, minutes: int) -> None:
    file, chance = tmp_path / "counts.csv", np.random.default_rng(0)
    each = minutes * 60_000
    times = range(NOW_MS - 8 * WEEK_MS, NOW_MS, each)
    counts = [int(count) for count in chance.poisson(20, size=len(times))]
    counts[-1] += 4_000
    file.write_text(
        "time,n\n" + "".join(f"{format_time(at)},{n}\n" for at, n in zip(times, counts, strict=True))
    )
    code, text, _ = run("monitor", str(file), "--once", "--as-of", "latest", "--json")
    document = json.loads(text)
    assert document["untilMs"] == NOW_MS
    assert code == 3 and [one["kind"] for one in document["warnings"]] == ["burst"]
    _, text, _ = run("forecast", str(file), "--json")
    assert json.loads(text)["outlooks"][0]["forecasts"][0]["beginMs"] == NOW_MS


def counted(file: Path, *more: str, last: int = 20, seed: int = 0) -> Path:
    """Write eight weeks of hourly counts up to now, the last as told, and what else is told of."""
    chance = np.random.default_rng(seed)
    times = range(NOW_MS - 8 * WEEK_MS, NOW_MS, HOUR_MS)
    counts = [*chance.poisson(20, size=len(times) - 1).tolist(), last]
    rows = [f"{format_time(at)},{n}" for at, n in zip(times, counts, strict=True)]
    file.write_text("\n".join(["time,n", *rows, *more]) + "\n")
    return file


def monitor_of(file: Path, *, heard: Heard | None = None) -> Monitor:
    settings = MonitorSettings(detector=DetectorSettings(rate=0.01))
    return Monitor(Feed(file), settings, sinks=[] if heard is None else [heard])


def test_a_row_of_counts_in_the_future_waits_for_its_time(tmp_path: Path) -> None:
    soon, never = (
        f"{format_time(NOW_MS + 2 * HOUR_MS)},4000",
        "9999-12-31T00:00:00Z,4000",
    )
    file, plain = counted(tmp_path / "c.csv", soon, never), counted(tmp_path / "plain.csv")
    heard = Heard()
    monitor, other = monitor_of(file, heard=heard), monitor_of(plain)
    now_ms = NOW_MS + HOUR_MS
    with structlog.testing.capture_logs() as logged:
        for as_of in (-1, None):
            seen = monitor.look(now_ms=now_ms, as_of_ms=as_of)
            known = other.look(now_ms=now_ms, as_of_ms=as_of)
            assert seen.until_ms == known.until_ms == NOW_MS
            assert seen.judged is not None and known.judged is not None
            np.testing.assert_array_equal(seen.judged.scores, known.judged.scores)
            assert "2 rows lie in the future" in seen.notes[0] and not known.notes
    assert [one["event"] for one in logged if "future" in one["event"]] == [seen.notes[0]], "said once"
    assert not heard.warned
    later = monitor.look(now_ms=NOW_MS + 3 * HOUR_MS)
    assert later.until_ms == NOW_MS + 3 * HOUR_MS and "1 rows lie" in later.notes[0]
    assert [one["kind"] for one in heard.warned] == [BURST], "its time has come"


def test_a_row_whose_time_is_not_over_is_not_judged(tmp_path: Path) -> None:
    file = counted(tmp_path / "c.csv", f"{format_time(NOW_MS)},4000")
    monitor = monitor_of(file)
    for as_of in (-1, None):
        seen = monitor.look(now_ms=NOW_MS + HOUR_MS // 2, as_of_ms=as_of)
        assert seen.until_ms == NOW_MS and not seen.warned and not seen.notes
    assert [one.kind for one, _ in monitor.look(now_ms=NOW_MS + HOUR_MS, as_of_ms=-1).warned] == [BURST]


def test_acts_in_the_future_are_passed_over_and_said(tmp_path: Path) -> None:
    acts = community()
    write_activity(acts, tmp_path / "activity.parquet")
    middle = START_MS + 3 * WEEK_MS
    table = Feed(tmp_path / "activity.parquet", keep_acts=True)
    table.read(now_ms=middle)
    assert table.latest_ms == max(at for at in acts.occurred_ms.tolist() if at <= middle)
    assert table.ahead == int((acts.occurred_ms > middle).sum()) > 0
    assert table.series(step_ms=HOUR_MS, until_ms=middle + WEEK_MS).end_ms <= middle
    table.read(now_ms=middle + 10 * WEEK_MS)
    assert table.ahead == 0 and table.latest_ms == int(acts.occurred_ms.max())
    lines = tmp_path / "feed.csv"
    lines.write_text(HEADER + "".join(history(1)) + line(-1, NOW_MS + HOUR_MS))
    feed = Feed(lines)
    feed.read(now_ms=NOW_MS)
    assert (feed.refused, feed.ahead) == (1, 1)


def test_nothing_after_as_of_is_used(tmp_path: Path) -> None:
    at_ms = NOW_MS - 24 * HOUR_MS
    one = counted(tmp_path / "a.csv", last=4_000)
    other = tmp_path / "b.csv"
    other.write_text("".join(one.read_text().splitlines(keepends=True)[: 8 * 168 - 24 + 1]))
    fees = counted(tmp_path / "fees.csv", last=4_000, seed=1)
    words = ["--as-of", format_time(at_ms), "--fees", str(fees), "--json"]
    found = []
    for file in (one, other):
        code, text, _ = run("monitor", str(file), "--once", *words)
        document = json.loads(text)
        assert code == 0 and document["untilMs"] == at_ms
        assert [each["quantity"] for each in document["outlooks"]] == ["activity", "fees"]
        assert {each["forecasts"][0]["beginMs"] for each in document["outlooks"]} == {at_ms}
        found.append({**document, "acts": None})
        forecast = json.loads(run("forecast", str(file), *words)[1])["outlooks"]
        assert forecast == document["outlooks"]
    assert found[0] == found[1]
    with pytest.raises(UsageError, match="lies in the future"):
        run("monitor", str(one), "--once", "--as-of", "9990-01-01T00:00:00Z")
    with pytest.raises(AttentionError, match="no row to count"):
        run("monitor", str(one), "--once", "--as-of", "2001-01-01T00:00:00Z")


def test_a_threshold_that_is_not_known_is_null_in_json(tmp_path: Path) -> None:
    file, chance = tmp_path / "counts.csv", np.random.default_rng(0)
    times = range(NOW_MS - 60 * HOUR_MS, NOW_MS, HOUR_MS // 12)
    file.write_text("time,n\n" + "".join(f"{format_time(at)},{chance.poisson(9)}\n" for at in times))
    feed = Feed(file)
    monitor = Monitor(feed, MonitorSettings(step_ms=HOUR_MS // 12, detector=DetectorSettings(rate=0.05)))
    body = json.loads(json.dumps(monitor.look(now_ms=NOW_MS).to_json(), allow_nan=False))
    assert body["detector"]["trainedSteps"] == 360 and body["detector"]["below"] is None


def test_an_epoch_is_as_long_as_the_last_published_one(tmp_path: Path) -> None:
    file = tmp_path / "feed.csv"
    file.write_text(HEADER + "".join(history(4)))
    publish_all(tmp_path / "epochs")
    words = ["monitor", str(file), "--once", "--as-of", format_time(NOW_MS), "--no-suspects", "--json"]
    for more, hours in (
        ((), 168),
        (("--epochs", str(tmp_path / "epochs")), EPOCH // HOUR_MS),
        (("--epochs", str(tmp_path / "epochs"), "--epoch-length", "2d"), 48),
    ):
        _, text, _ = run(*words, *more)
        assert json.loads(text)["outlooks"][0]["forecasts"][2]["hours"] == hours


def test_the_monitor_forecasts_fees(tmp_path: Path) -> None:
    file, fees = tmp_path / "feed.csv", tmp_path / "fees.csv"
    file.write_text(HEADER + "".join(history(4)))
    hours = [f"{format_time(NOW_MS - hour * HOUR_MS)},{hour % 5}\n" for hour in range(500, 0, -1)]
    fees.write_text("time,credits\n" + "".join(hours))
    words = ["monitor", str(file), "--once", "--as-of", format_time(NOW_MS), "--no-suspects", "--json"]
    _, text, _ = run(*words, "--fees", str(fees))
    assert [one["quantity"] for one in json.loads(text)["outlooks"]] == ["activity", "fees"]
    metrics = Metrics()
    monitor = Monitor(
        Feed(file),
        MonitorSettings(),
        metrics=metrics,
        fees=lambda: read_counts(fees, step_ms=HOUR_MS, name="fees"),
    )
    monitor.look(now_ms=NOW_MS)
    found = exposed(metrics)
    assert found['timebank_attention_forecast{bound="value",horizon="day",quantity="fees"}'] > 0
    fees.unlink()
    with pytest.raises(UsageError, match="no such file"):
        run(*words, "--fees", str(fees))
    seen = monitor.look(now_ms=NOW_MS + HOUR_MS)
    assert len(seen.outlooks) == 1 and any("fees" in note for note in seen.notes), (
        "and the feed is still seen"
    )


def test_a_feed_that_comes_late_is_looked_at_late(tmp_path: Path) -> None:
    file = tmp_path / "feed.csv"
    now_ms = time.time_ns() // 1_000_000
    # Acts of the last two days wait for reactions and are not in the feed yet.
    file.write_text(HEADER + "".join(history(6, end_ms=now_ms - 48 * HOUR_MS)))
    words = ["monitor", str(file), "--once", "--json", "--no-suspects"]
    code, text, _ = run(*words)
    assert code == 3 and "lull" in {one["kind"] for one in json.loads(text)["warnings"]}
    code, text, _ = run(*words, "--lag", "2d")
    assert "lull" not in {one["kind"] for one in json.loads(text)["warnings"]}
    assert now_ms - json.loads(text)["untilMs"] >= 48 * HOUR_MS


def test_monitor_refusals(tmp_path: Path) -> None:
    file, hook = tmp_path / "feed.csv", tmp_path / "hook"
    file.write_text(HEADER + "".join(history(1)))
    hook.write_text("gopher://s3cret\n")
    for words in (["--json"], ["--as-of", "latest"], ["--step", "7m", "--once"], ["--rate", "2", "--once"]):
        with pytest.raises(TimebankError):
            run("monitor", str(file), *words)
    for option, texts in {
        "--train": ("1e9", "1", "0", "-1", "nan", "inf"),
        "--rate": ("0", "-0.1", "nan", "0.3"),
        "--cool-down": ("0s", "-1h", "500d"),
        "--fresh": ("1m", "400d"),
        "--poll": ("1ms", "2d"),
        "--lag": ("-1s", "500d"),
        "--epoch-length": ("1m", "2000d"),
    }.items():
        for text in texts:
            with pytest.raises(UsageError, match=option):
                run("monitor", str(file), "--once", f"{option}={text}")
    with pytest.raises(UsageError, match="no http") as error:
        run("monitor", str(file), "--once", "--webhook-file", str(hook))
    assert "s3cret" not in str(error.value)


@pytest.mark.parametrize("words", [("--once",), ("--once", "--json"), ()])
def test_a_feed_that_is_not_there_is_no_wrong_usage(tmp_path: Path, words: tuple[str, ...]) -> None:
    with pytest.raises(AttentionError, match="no such feed") as error:
        run("monitor", str(tmp_path / "nope"), *words)
    assert error.value.exit_code == 1


def test_monitor_serves_and_ends_on_sigterm(tmp_path: Path) -> None:
    file = tmp_path / "feed.csv"
    now_ms = time.time_ns() // 1_000_000
    file.write_text(HEADER + "".join(history(3, end_ms=now_ms)))
    code = "from timebank_chain.cli.main import run; run()"
    words = ["attention", "monitor", str(file), "--port", "0", "--poll", "1s", "--json-logs"]
    with subprocess.Popen(
        [sys.executable, "-c", code, *words], cwd=ROOT, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        try:
            address = json.loads(process.stderr.readline())["address"]
            for text in process.stderr:
                if json.loads(text)["event"] == "first look":
                    break
            assert get(address.replace("/metrics", "/ready"))[0] == 200
            with file.open("a") as writer:
                writer.write(line(-1, now_ms - 3 * HOUR_MS))
            wanted = f"timebank_attention_acts_total {3 * 168 * 3 + 1}.0"
            until = time.monotonic() + 60
            while wanted not in get(address)[1] and time.monotonic() < until:
                time.sleep(0.1)
            assert wanted in get(address)[1]
        finally:
            process.send_signal(signal.SIGTERM)
        rest = process.stderr.read()
        assert process.wait(timeout=60) == 0
        assert '"stopped"' in rest


def test_dashboard_command(tmp_path: Path) -> None:
    code, text, _ = run("dashboard")
    assert code == 0 and json.loads(text) == dashboard()
    run("dashboard", "-o", str(tmp_path / "d.json"))
    assert json.loads((tmp_path / "d.json").read_text()) == dashboard()


@pytest.mark.data
def test_bench_beside_a_z_score() -> None:
    folder = research_data("nab")
    spec = importlib.util.spec_from_file_location(
        "bench_attention_monitor", ROOT / "scripts" / "bench_attention_monitor.py"
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench_attention_monitor"] = module
    spec.loader.exec_module(module)
    figures = module.measure(folder)
    ours, plain = figures["monitor, rate 0.001, mean of an hour"], figures["z-score above 3"]
    assert ours["windows"] == plain["windows"] == 13
    assert ours["f1"] > plain["f1"] and ours["precision"] > 2 * plain["precision"]
    assert ours["median_delay_hours"] > 0
    simulated = module.simulate(4)
    assert simulated["level doubles after 9 weeks"]["told"] == 1.0
