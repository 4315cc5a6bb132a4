"""``timebank attention forecast``: what the next hour, day and epoch will bring, with tried intervals."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from timebank_chain.cli.options import DEFAULT_RPC_URL, AsJson, DeploymentFile, EpochsFolder, RpcUrl
from timebank_chain.cli.output import out, print_json, print_table, say
from timebank_chain.cli.outputs import check_outputs
from timebank_chain.errors import AttentionError, UsageError
from timebank_chain.units import format_time, parse_duration, parse_time

if TYPE_CHECKING:
    from timebank_chain.attention.monitor import Outlook
    from timebank_chain.attention.monitor.feed import Feed

FeedPath = Annotated[
    Path,
    typer.Argument(
        metavar="FEED",
        help="Feed of acts (file or folder), activity table, or CSV of two columns: time, count.",
    ),
]
MappingFile = Annotated[
    Path | None, typer.Option("--mapping", metavar="FILE", help="What the columns mean (TOML).")
]
Step = Annotated[
    str, typer.Option("--step", metavar="TIME", help="Length of a step: an hour or what divides it.")
]
AsOf = Annotated[
    str | None,
    typer.Option("--as-of", metavar="T", help="Look as if it were this time; 'latest': of the last act."),
]
EpochLength = Annotated[
    str | None,
    typer.Option("--epoch-length", metavar="TIME", help="Default: as the last published epoch, else 7d."),
]
FeesFile = Annotated[
    Path | None, typer.Option("--fees", metavar="FILE", help="Fees by time, CSV: time, credits.")
]
Plot = Annotated[Path | None, typer.Option("--plot", metavar="FILE", help="Also draw it, as .png or .svg.")]


def command(
    feed: FeedPath,
    mapping: MappingFile = None,
    epoch_length: EpochLength = None,
    nominal: Annotated[
        float, typer.Option("--interval", metavar="SHARE", min=0.5, max=0.99, help="Nominal coverage.")
    ] = 0.9,
    as_of: AsOf = "latest",
    fees: FeesFile = None,
    plot: Plot = None,
    epochs: EpochsFolder = None,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    as_json: AsJson = False,
) -> None:
    """Forecast activity, value, mint and fees of the next hour, day and epoch.

    Activity comes from the feed; value and mint from published epochs (--epochs); fees from the chain
    (--deployment) or a file (--fees). Beside each interval stands how many of its like held on the end of
    the history. What has too short a history is left out, and said so.

    Example: timebank attention forecast activity.parquet --epochs epochs --plot forecast.png

    Example: timebank attention forecast tweets.csv --interval 0.8 --json
    """
    from timebank_chain.attention.monitor.forecast import outlook
    from timebank_chain.attention.monitor.series import DAY_MS, HOUR_MS, read_counts
    from timebank_chain.attention.pictures import picture_kind, write_picture

    if plot is not None:
        picture_kind(plot)
    check_outputs([("--plot", plot)], [feed, mapping, epochs, fees, deployment])
    now_ms = time.time_ns() // 1_000_000
    source = open_feed(feed, mapping)
    source.read(now_ms=now_ms)
    until = moment(as_of, now_ms)
    if until < 0:
        until = source.latest_ms or now_ms
    activity = source.series(step_ms=HOUR_MS, until_ms=until)
    quantities, notes = [activity], []
    if source.ahead:
        notes.append(f"{source.ahead:,} rows lie in the future of this machine's clock and are passed over")
    length = 7 * DAY_MS
    if epochs is not None:
        from timebank_chain.attention.monitor.ledger import epoch_series

        found, length = epoch_series(epochs)
        quantities += found.values()
    if fees is not None:
        quantities.append(read_counts(fees, step_ms=HOUR_MS, name="fees").until(now_ms))
    elif deployment is not None:
        from timebank_chain.attention.monitor.ledger import fee_series
        from timebank_chain.cli.options import open_system

        try:
            quantities.append(fee_series(open_system(rpc_url, deployment)))
        except AttentionError as error:
            notes.append(f"no forecast of fees: {error.message}")
    if as_of not in (None, "latest"):
        quantities = [one.until(until) for one in quantities]
    if epoch_length is not None:
        length = duration(epoch_length, "--epoch-length")
    horizons = {"hour": 1, "day": 24, "epoch": max(1, round(length / HOUR_MS))}
    made: list[Outlook] = []
    for one in quantities:
        say(f"trying forecasts of {one.name} on {len(one):,} hours")
        try:
            made.append(outlook(one, horizons, nominal=nominal))
        except AttentionError as error:
            if one is activity:
                raise
            notes.append(f"no forecast of {one.name}: {error.message}")
    if plot is not None:
        from timebank_chain.attention.monitor.plots import forecast_figure

        write_picture(plot, lambda: forecast_figure(activity, made[0]))
    if as_json:
        body = {"outlooks": [one.to_json() for one in made], "notes": notes}
        print_json("timebank.attention.forecast/1", {**body, "plot": str(plot) if plot else None})
        return
    print_outlooks(made)
    for note in notes:
        out().print(note, markup=False)
    if plot is not None:
        say(f"picture: {plot}")


def print_outlooks(made: list[Outlook]) -> None:
    """Show forecasts as a table, and under it what they come from."""
    from timebank_chain.attention.monitor.forecast import told

    print_table(
        "What comes next",
        ["of", "next", "from", ">forecast", ">low", ">high", ">meant to hold", ">held", ">tried", "way"],
        [
            (
                one.quantity,
                forecast.horizon,
                format_time(forecast.begin_ms),
                told(forecast.value),
                "-" if forecast.low is None else told(forecast.low),
                "-" if forecast.high is None else told(forecast.high),
                f"{forecast.nominal:.0%}",
                "-" if forecast.backtest.coverage is None else f"{forecast.backtest.coverage:.1%}",
                f"{forecast.backtest.origins:,} ({forecast.backtest.independent:,} apart)",
                forecast.way,
            )
            for one in made
            for forecast in one.forecasts
        ],
    )
    for one in made:
        season = (
            "every hour had the same value: nothing varies, and intervals without width say no more than that"
            if one.season_strength is None
            else f"the hour of the week explains {one.season_strength:.0%} of the hourly variance"
        )
        level, trend = told(one.level), told(one.trend, "+,.3g")
        out().print(f"{one.quantity}: {level} a day, trend {trend} a day; {season}", markup=False)


def open_feed(path: Path, mapping: Path | None, *, keep_acts: bool = False) -> Feed:
    """Return the feed; refuse one that is not there."""
    from timebank_chain.activity.mapping_file import load_mapping
    from timebank_chain.attention.monitor.feed import Feed

    if not path.exists():
        raise UsageError(f"no such feed: {path}", hint="name a file or a folder of files")
    return Feed(path, None if mapping is None else load_mapping(mapping), keep_acts=keep_acts)


def moment(text: str | None, now_ms: int) -> int:
    """Read ``--as-of``: the present where not given, -1 for ``latest``; what is yet to come is refused."""
    if text is None:
        return now_ms
    if text == "latest":
        return -1
    try:
        found = int(parse_time(text))
    except ValueError as error:
        raise UsageError(f"--as-of: {error}", hint="write 2026-01-31T12:00:00Z, or latest") from None
    if found > now_ms:
        raise UsageError(
            f"--as-of: {text} lies in the future", hint="leave it out for now, or check this machine's clock"
        )
    return found


def duration(text: str, option: str) -> int:
    """Read a duration as milliseconds."""
    try:
        return int(parse_duration(text))
    except ValueError as error:
        raise UsageError(f"{option}: {error}", hint=f"write {option} 1h") from None
