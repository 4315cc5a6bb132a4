"""``timebank attention monitor``: watch a feed, forecast it, warn of what does not fit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from timebank_chain.cli.attention.forecast import (
    AsOf,
    EpochLength,
    FeedPath,
    FeesFile,
    MappingFile,
    Plot,
    Step,
    duration,
    moment,
    open_feed,
    print_outlooks,
)
from timebank_chain.cli.options import (
    DEFAULT_RPC_URL,
    AsJson,
    DeploymentFile,
    EpochsFolder,
    RpcUrl,
    whole_seconds,
)
from timebank_chain.cli.oracle_session import log_to_stderr, stop_on_signals
from timebank_chain.cli.output import out, print_json, say
from timebank_chain.cli.outputs import check_outputs
from timebank_chain.errors import AttentionError, CheckFailed, TimebankError, UsageError
from timebank_chain.units import format_duration, format_time

if TYPE_CHECKING:
    from timebank_chain.attention.monitor.metrics import Metrics
    from timebank_chain.attention.monitor.outbox import Sink
    from timebank_chain.attention.monitor.run import Look, Monitor
    from timebank_chain.attention.monitor.series import Series

#: So many failed looks in a row, and the monitor is not ready.
_FAILURES = 3
#: Most a rate of false alarms may be, as in the detector's settings.
_MOST_RATE = 0.2
_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS
_YEAR_MS = 366 * _DAY_MS
_MAX_ADDRESS_BYTES = 1 << 13


def command(
    feed: FeedPath,
    mapping: MappingFile = None,
    step: Step = "1h",
    rate: Annotated[
        float,
        typer.Option(
            "--rate", metavar="SHARE", help="False alarms: share of ordinary steps that are warned of."
        ),
    ] = 0.01,
    train: Annotated[
        float,
        typer.Option("--train", metavar="SHARE", help="Part of the history thresholds are learned from."),
    ] = 0.5,
    cool_down: Annotated[
        str,
        typer.Option(
            "--cool-down",
            metavar="TIME",
            help="After a warning, none of its kind for so long; of a member, an epoch's length at least.",
        ),
    ] = "6h",
    fresh: Annotated[
        str, typer.Option("--fresh", metavar="TIME", help="Older findings are history, not warned of.")
    ] = "1d",
    suspects: Annotated[
        bool,
        typer.Option(
            "--suspects/--no-suspects",
            help="Judge members too; keeps whole acts in memory, not times only.",
        ),
    ] = True,
    lag: Annotated[
        str,
        typer.Option(
            "--lag",
            metavar="TIME",
            help="How late acts reach the feed (7d where it waits for reactions): look at what was then.",
        ),
    ] = "0s",
    epoch_length: EpochLength = None,
    epochs: EpochsFolder = None,
    fees: FeesFile = None,
    state: Annotated[
        Path | None,
        typer.Option("--state", metavar="FILE", help="Where what was said, and not heard yet, is kept."),
    ] = None,
    webhook_file: Annotated[
        Path | None,
        typer.Option(
            "--webhook-file",
            metavar="FILE",
            help="File whose first line is an http(s) address that warnings are posted to.",
        ),
    ] = None,
    allow_private: Annotated[
        bool, typer.Option("--allow-private", help="Let the webhook lead to addresses of the inner network.")
    ] = False,
    host: Annotated[
        str, typer.Option("--host", metavar="HOST", help="Where /metrics, /live and /ready are served.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", metavar="PORT", min=0, max=65_535, help="Its port; 0: a free one.")
    ] = 9465,
    poll: Annotated[str, typer.Option("--poll", metavar="TIME", help="Pause between two looks.")] = "30s",
    once: Annotated[
        bool,
        typer.Option("--once", help="One look, nothing is served, then end; 3 if it warns or is not heard."),
    ] = False,
    as_of: AsOf = None,
    plot: Plot = None,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    json_logs: Annotated[
        bool, typer.Option("--json-logs", help="Log lines as JSON (standard error).")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Watch a feed: forecasts, and warnings of bursts, lulls, drift and bought attention.

    Serves /metrics (Prometheus), /live and /ready. Warnings go to the log and, if named, a webhook; after
    one, others of its kind (of the same member) are kept back for a while. What the webhook does not take is
    kept in --state and tried again at every look. Ends promptly on SIGTERM or Ctrl-C.

    Fees are forecast from the chain (--deployment) or a file (--fees), value and mint from --epochs.

    A feed of acts that wait for reactions ends an observation window ago: without --lag that is silence.

    Rows in the future of the clock are passed over, with a note. With --as-of nothing later counts.

    Exit codes with --once: 0 nothing new to warn of, and all that was said is heard; 3 something is warned
    of, or a warning still waits for the webhook; 1 the feed cannot be read; 2 wrong usage. What cannot be
    judged yet is a note, no warning. A running monitor ends with 0.

    Example: timebank attention monitor feed --state monitor.json --epochs epochs

    Example: timebank attention monitor activity.parquet --once --as-of latest --json
    """
    if as_json and not once:
        raise UsageError("--json is for one look", hint="add --once; a running monitor serves /metrics")
    if (as_of is not None or plot is not None) and not once:
        raise UsageError("--as-of and --plot are for one look", hint="add --once")
    if plot is not None:
        from timebank_chain.attention.pictures import picture_kind

        picture_kind(plot)
    # The state is read and written, and refused by its reader if it is another kind of file.
    check_outputs([("--plot", plot)], [feed, mapping, epochs, fees, state, webhook_file, deployment])
    from timebank_chain.attention.monitor.detect import DetectorSettings
    from timebank_chain.attention.monitor.outbox import LogSink, WebhookSink
    from timebank_chain.attention.monitor.run import Monitor, MonitorSettings
    from timebank_chain.attention.monitor.series import HOUR_MS
    from timebank_chain.attention.monitor.state import State
    from timebank_chain.oracle.clock import SystemClock

    step_ms = duration(step, "--step")
    if step_ms > HOUR_MS or HOUR_MS % step_ms:
        raise UsageError(f"--step: {step} does not divide an hour", hint="write 5m, 15m or 1h")
    if not 0.0 < rate <= _MOST_RATE:
        raise UsageError(f"--rate: {rate:g} is not above 0 and up to {_MOST_RATE:g}", hint="write 0.01")
    if not 0.0 < train < 1.0:
        raise UsageError(f"--train: {train:g} is not between 0 and 1", hint="write 0.5: half the history")
    settings = MonitorSettings(
        step_ms=step_ms,
        epoch_ms=_epoch_ms(epoch_length, epochs),
        fresh_ms=_bounded(fresh, "--fresh", step_ms),
        cool_down_ms=_bounded(cool_down, "--cool-down", 1_000),
        detector=DetectorSettings(rate=rate, train=train),
    )
    lag_ms = 1_000 * whole_seconds(lag, "--lag")
    if lag_ms > _YEAR_MS:
        raise UsageError(f"--lag: {lag} is more than a year", hint="write 7d")
    pause_s = _bounded(poll, "--poll", 1_000, _DAY_MS) / 1_000
    stop = threading.Event()
    clock = SystemClock(stop)
    log_to_stderr(as_json=json_logs)
    sinks: list[Sink] = [LogSink()]
    if webhook_file is not None:
        sinks.append(WebhookSink(_address(webhook_file), sleep=clock.sleep, allow_private=allow_private))
    remembered = State.load(state)
    read_fees = _fees(fees, deployment, rpc_url)
    if not feed.exists():
        # What was there at the last look may be gone at this one: the feed is wrong, not the command.
        raise AttentionError(f"no such feed: {feed}", hint="name a file or a folder of files")
    source = open_feed(feed, mapping, keep_acts=suspects)
    if once:
        monitor = Monitor(source, settings, state=remembered, sinks=sinks, epochs=epochs, fees=read_fees)
        now_ms = clock.now_ms()
        asked_ms = None if as_of is None else moment(as_of, now_ms)
        seen = monitor.look(now_ms=now_ms, as_of_ms=asked_ms, lag_ms=lag_ms)
        _report(seen, plot, as_json=as_json)
        # What waits for a sink of an earlier run, and not of this one, is shown and waits on.
        if seen.warned or any(seen.waiting[sink.name] for sink in sinks):
            raise typer.Exit(CheckFailed.exit_code)
        return
    from timebank_chain.attention.monitor.metrics import Metrics

    # From here on a signal asks; a single look may be interrupted.
    stop_on_signals(stop)
    metrics = Metrics([sink.name for sink in sinks])
    monitor = Monitor(
        source, settings, state=remembered, sinks=sinks, metrics=metrics, epochs=epochs, fees=read_fees
    )
    _watch(monitor, metrics, stop, host=host, port=port, pause_s=pause_s, lag_ms=lag_ms)


def _watch(
    monitor: Monitor,
    metrics: Metrics,
    stop: threading.Event,
    *,
    host: str,
    port: int,
    pause_s: float,
    lag_ms: int,
) -> None:
    """Look again and again until asked to stop, serving meanwhile."""
    import structlog

    from timebank_chain.attention.monitor.serve import Server
    from timebank_chain.oracle.clock import SystemClock

    log = structlog.get_logger("timebank.attention")
    clock = SystemClock(stop)
    failures, why, looked = 0, "no look yet", False

    def ready() -> tuple[bool, str]:
        return looked and failures < _FAILURES, why

    with Server(host, port, render=metrics.render, content_type=metrics.content_type, ready=ready) as server:
        log.info("watching", address=f"http://{host}:{server.port}/metrics")
        while not stop.is_set():
            try:
                now_ms = clock.now_ms()
                seen = monitor.look(now_ms=now_ms, lag_ms=lag_ms)
            except (TimebankError, OSError) as error:
                failures, why = failures + 1, str(error)
                metrics.add("looks_total", outcome="failed")
                log.error("will look again", error=str(error), hint=getattr(error, "hint", None))
            else:
                is_first = not looked
                failures, why, looked = 0, "", True
                metrics.add("looks_total", outcome="done")
                if is_first:
                    log.info("first look", acts=seen.acts, refused=seen.refused, notes=list(seen.notes))
            clock.sleep(pause_s)
        log.info("stopped")


def _report(seen: Look, plot: Path | None, *, as_json: bool) -> None:
    if plot is not None:
        if seen.judged is None:
            raise UsageError("there is nothing to draw yet", hint=seen.notes[0] if seen.notes else "wait")
        from timebank_chain.attention.monitor.plots import warnings_figure
        from timebank_chain.attention.pictures import write_picture

        judged = seen.judged
        write_picture(plot, lambda: warnings_figure(judged))
    if as_json:
        body = {**seen.to_json(), "plot": str(plot) if plot else None}
        print_json("timebank.attention.monitor/1", body)
        return
    if seen.outlooks:
        print_outlooks(list(seen.outlooks))
    for note in seen.notes:
        out().print(note, markup=False)
    if seen.judged is not None:
        found, judged = seen.judged.findings, seen.judged
        out().print(
            f"{len(judged.series) - judged.trained:,} steps judged until {format_time(seen.until_ms)}, "
            f"{len(found)} do not fit; at most {judged.rate:g} of ordinary steps are called so",
            markup=False,
        )
    for one in () if seen.verdict is None else seen.verdict.held:
        out().print(f"stands out: {one.who}, {one.acts} acts: {one.reasons[0].text}", markup=False)
    for warned, _ in seen.warned:
        out().print(f"warning: {warned.message}", markup=False)
    for sink, count in seen.waiting.items():
        if count:
            out().print(f"{count} warnings wait for the {sink}", markup=False)
    if plot is not None:
        say(f"picture: {plot}")


def _bounded(text: str, option: str, least_ms: int, most_ms: int = _YEAR_MS) -> int:
    found = duration(text, option)
    if not least_ms <= found <= most_ms:
        raise UsageError(
            f"{option}: {text} is not from {format_duration(least_ms)} to {format_duration(most_ms)}",
            hint=f"write {option} 6h" if option != "--poll" else "write --poll 30s",
        )
    return found


def _epoch_ms(epoch_length: str | None, epochs: Path | None) -> int:
    """Return the epoch's length: as told, else as the last published epoch's, else a week."""
    if epoch_length is not None:
        return _bounded(epoch_length, "--epoch-length", _HOUR_MS)
    if epochs is not None:
        from timebank_chain.attention.monitor.ledger import epoch_length_ms

        return epoch_length_ms(epochs) or 7 * _DAY_MS
    return 7 * _DAY_MS


def _fees(file: Path | None, deployment: Path | None, rpc_url: str) -> Callable[[], Series] | None:
    """Return what reads the fees anew at every forecast; a file that is none is refused at once."""
    if file is not None:
        from timebank_chain.attention.monitor.series import HOUR_MS, read_counts

        if not file.is_file():
            raise UsageError(f"--fees: no such file: {file}", hint="CSV of two columns: time, credits")
        read_counts(file, step_ms=HOUR_MS, name="fees")
        return lambda: read_counts(file, step_ms=HOUR_MS, name="fees").until(time.time_ns() // 1_000_000)
    if deployment is None:
        return None
    from timebank_chain.attention.monitor.ledger import fee_series
    from timebank_chain.cli.options import open_system

    system = open_system(rpc_url, deployment)
    return lambda: fee_series(system)


def _address(path: Path) -> str:
    """Read the webhook's address; it may hold a token, so no message shows it."""
    from timebank_chain.documents import read_small

    try:
        first = read_small(path, _MAX_ADDRESS_BYTES).decode().split("\n", 1)[0].strip()
    except (OSError, ValueError) as error:
        raise UsageError(f"--webhook-file: {path} cannot be read: {error}", hint="name a text file") from None
    if not first.startswith(("http://", "https://")):
        raise UsageError(
            f"--webhook-file: the first line of {path} is no http(s) address", hint="write https://..."
        )
    return first
