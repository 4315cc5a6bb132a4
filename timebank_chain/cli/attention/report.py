"""``timebank attention report``: forecast, warnings, models and experiments in one HTML page."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from timebank_chain.cli.attention.forecast import AsOf, MappingFile, moment, open_feed
from timebank_chain.cli.options import AsJson, progress
from timebank_chain.cli.output import print_json, say
from timebank_chain.cli.outputs import check_outputs
from timebank_chain.documents import write_whole
from timebank_chain.errors import AttentionError, TimebankError, UsageError
from timebank_chain.units import format_time

if TYPE_CHECKING:
    from timebank_chain.activity import ActivityTable
    from timebank_chain.attention.monitor import Series
    from timebank_chain.attention.monitor.feed import Feed
    from timebank_chain.attention.report import Section

_SPAN_MS = 28 * 86_400_000


def command(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="HTML page to write.")],
    feed: Annotated[
        Path | None,
        typer.Option("--feed", metavar="FEED", help="Feed or activity table: forecast, warnings, suspects."),
    ] = None,
    mapping: MappingFile = None,
    epochs: Annotated[
        Path | None,
        typer.Option("--epochs", metavar="DIR", help="Published epochs: value and mint are forecast too."),
    ] = None,
    as_of: AsOf = "latest",
    rate: Annotated[
        float, typer.Option("--rate", metavar="SHARE", help="Share of ordinary steps that may be warned of.")
    ] = 0.01,
    model: Annotated[
        Path | None, typer.Option("--model", metavar="FILE", help="A file of `attention model train`.")
    ] = None,
    recommender: Annotated[
        Path | None,
        typer.Option("--recommender", metavar="FILE", help="A file of `attention recommend train`."),
    ] = None,
    plan: Annotated[
        Path | None, typer.Option("--plan", metavar="FILE", help="An experiment's plan; needs --log.")
    ] = None,
    log: Annotated[Path | None, typer.Option("--log", metavar="FILE", help="The experiment's log.")] = None,
    exposures: Annotated[
        Path | None, typer.Option("--exposures", metavar="FILE", help="What was shown, if a guardrail asks.")
    ] = None,
    title: Annotated[str, typer.Option("--title", help="Title of the page.")] = "Attention",
    as_json: AsJson = False,
) -> None:
    """Put forecast, warnings, calibration, recommendations and an experiment into one HTML page.

    What is given is shown; the page loads nothing from elsewhere and has no script. A part that cannot be
    made stands in the page with its reason, and the exit code is what it would be alone: 3 where a check
    failed, else 1.

    Example: timebank attention report --feed activity.parquet --model attention.model -o report.html

    Example: timebank attention report --plan plan.json --log log.csv --recommender c.recommender -o r.html
    """
    if (plan is None) != (log is None):
        raise UsageError("an experiment needs both --plan and --log", hint="give both or neither")
    if exposures is not None and plan is None:
        raise UsageError("--exposures belongs to an experiment", hint="give --plan and --log")
    if not any((feed, model, recommender, plan)):
        raise UsageError("there is nothing to report", hint="give --feed, --model, --recommender or --plan")
    check_outputs([("--output", output)], [feed, mapping, epochs, model, recommender, plan, log, exposures])
    from timebank_chain.attention.report import Section, render

    now_ms = time.time_ns() // 1_000_000
    sections: list[Section] = []
    failed: list[TimebankError] = []

    def attempt(title: str, source: str, make: Callable[[], Section]) -> None:
        try:
            sections.append(make())
        except UsageError:
            raise  # a wrong option makes no page
        except TimebankError as error:
            failed.append(error)
            sections.append(Section(title, source, warning=f"Not made: {error}. {error.hint or ''}"))

    if feed is not None:
        source, name = open_feed(feed, mapping, keep_acts=True), str(feed)
        parts: list[tuple[str, Callable[[], Section]]] = []
        try:
            parts += _feed_sections(source, epochs, as_of, rate, now_ms)
        except UsageError:
            raise
        except TimebankError as error:
            unread = error
            parts.append(("The feed", lambda: _refuse(unread)))
        for heading, make in parts:
            attempt(heading, name, make)
    if model is not None:
        progress(f"reading {model}")
        attempt("What attention a post will get", str(model), lambda: _model_section(model))
    if recommender is not None:
        progress(f"reading {recommender}")
        attempt("What members may like next", str(recommender), lambda: _recommender_section(recommender))
    if plan is not None and log is not None:
        progress(f"analysing {log}")
        attempt("Experiment", str(log), lambda: _experiment_section(plan, log, exposures, now_ms))
    progress("drawing")
    _write(output, render(title, f"Made {format_time(now_ms)}", sections))
    if as_json:
        print_json(
            "timebank.attention.report/1",
            {
                "output": str(output),
                "sections": [one.title for one in sections],
                "failed": [str(one) for one in failed],
            },
        )
        if failed:
            raise typer.Exit(failed[0].exit_code)  # said in the document already
        return
    say(f"page: {output}")
    if failed:
        raise failed[0]


def _refuse(error: TimebankError) -> Section:
    raise error


def _feed_sections(
    feed: Feed, epochs: Path | None, as_of: str | None, rate: float, now_ms: int
) -> Iterator[tuple[str, Callable[[], Section]]]:
    """Yield headings and what makes the parts under them; the feed is read once, before them."""
    from timebank_chain.attention.monitor import DetectorSettings, judge
    from timebank_chain.attention.monitor.series import HOUR_MS
    from timebank_chain.attention.monitor.spans import Praise, last_settled_ms, spans_of
    from timebank_chain.attention.monitor.suspicion import SuspicionSettings, suspects
    from timebank_chain.attention.report import suspects_section, warnings_section

    name = str(feed.path)
    progress(f"reading {name}")
    feed.read(now_ms=now_ms)
    until = moment(as_of, now_ms)
    if until < 0:
        until = feed.latest_ms or now_ms
    activity = feed.series(step_ms=HOUR_MS, until_ms=until)
    table = feed.table()

    def warnings() -> Section:
        progress(f"judging {len(activity):,} hours")
        return warnings_section(judge(activity, DetectorSettings(rate=rate)), name)

    def stand_out(acts: ActivityTable) -> Section:
        progress(f"scoring members by {len(acts):,} acts")
        # As `attention suspects`: up to the settling of the last act, or the time that was asked for.
        end_ms = last_settled_ms(acts) if as_of == "latest" and len(acts) else until
        start_ms = end_ms - _SPAN_MS
        now, earlier = spans_of(acts, Praise.none(), start_ms=start_ms, end_ms=end_ms)
        span = f"acts that settled from {format_time(start_ms)} to {format_time(end_ms)}"
        return suspects_section(suspects(now, earlier, SuspicionSettings()), f"{name}, {span}")

    yield "What comes next", lambda: _forecast(activity, epochs, name)
    yield "What does not fit", warnings
    if table is not None:
        yield "Who stands out", lambda: stand_out(table)


def _forecast(activity: Series, epochs: Path | None, name: str) -> Section:
    from timebank_chain.attention.monitor import outlook
    from timebank_chain.attention.monitor.series import DAY_MS, HOUR_MS
    from timebank_chain.attention.report import forecast_section

    others: list[Series] = []
    length = 7 * DAY_MS
    if epochs is not None:
        from timebank_chain.attention.monitor.ledger import epoch_series

        found, length = epoch_series(epochs)
        others = list(found.values())
    horizons = {"hour": 1, "day": 24, "epoch": max(1, round(length / HOUR_MS))}
    progress(f"trying forecasts of {activity.name} on {len(activity):,} hours")
    made, notes = [outlook(activity, horizons)], []
    for one in others:
        progress(f"trying forecasts of {one.name} on {len(one):,} hours")
        try:
            made.append(outlook(one, horizons))
        except AttentionError as error:
            notes.append(f"No forecast of {one.name}: {error.message}.")
    return forecast_section(activity, made, notes, name if epochs is None else f"{name}, {epochs}")


def _model_section(path: Path) -> Section:
    from timebank_chain.attention.model import read_model
    from timebank_chain.attention.report import model_section

    kept = read_model(path)
    return model_section(kept.card, f"{path}, data SHA-256 {kept.card['data']['sha256']}")


def _recommender_section(path: Path) -> Section:
    from timebank_chain.attention.recommend import load_recommender
    from timebank_chain.attention.report import recommender_section

    kept = load_recommender(path)
    return recommender_section(kept, f"{path}, data SHA-256 {kept.data_hash}")


def _experiment_section(plan_file: Path, log_file: Path, exposures: Path | None, now_ms: int) -> Section:
    from timebank_chain.attention.experiment.analyse import analyse
    from timebank_chain.attention.experiment.log import read_exposures, read_log, require_exposures
    from timebank_chain.attention.experiment.plan import read_plan
    from timebank_chain.attention.report import experiment_section

    plan = read_plan(plan_file)
    column = require_exposures(plan, exposures)
    log = read_log(log_file, plan)
    shown = None if exposures is None or column is None else read_exposures(exposures, column, log)
    found = analyse(plan, log, shown, now_ms=now_ms)
    return experiment_section(found, f"{plan_file} (hash 0x{plan.hash().hex()}), {log_file}")


def _write(path: Path, text: str) -> None:
    try:
        write_whole(path, text)
    except OSError as error:
        raise AttentionError(
            f"cannot write the page: {error.strerror}", where=str(path), hint="choose another file"
        ) from error
