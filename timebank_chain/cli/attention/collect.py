"""``timebank attention collect``: other people's records into one feed of members' events."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from timebank_chain.cli.options import DEFAULT_RPC_URL, AsJson, DeploymentFile, RpcUrl, open_system, progress
from timebank_chain.cli.output import err, out, print_json, print_table, say
from timebank_chain.cli.outputs import check_outputs
from timebank_chain.errors import AttentionError, UsageError
from timebank_chain.units import MAX_TIME_MS, format_time, parse_duration, parse_time

if TYPE_CHECKING:
    from timebank_chain.attention.collect import CollectResult, FeatureTable, Quality, Reading

_FILE = "FILE"
_PROGRESS_STEP = 50_000
_STRICT_EXIT = 3


@dataclass(frozen=True, slots=True)
class _Input:
    """A file to read: its kind, and the mapping it comes with."""

    kind: str
    path: Path
    mapping: Path | None = None


@dataclass(frozen=True, slots=True)
class _Outputs:
    """Where everything goes."""

    feed: Path
    manifest: Path
    rejects: Path
    rejects_wanted: bool
    quality: Path | None
    features: Path | None
    activity: Path | None


def command(
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar=_FILE, help="Feed to write: Parquet, or CSV by its name."),
    ],
    activitystreams: Annotated[
        list[Path] | None,
        typer.Option(
            "--activitystreams", metavar=_FILE, help="ActivityStreams 2.0: a document, or one a line."
        ),
    ] = None,
    xapi: Annotated[
        list[Path] | None,
        typer.Option("--xapi", metavar=_FILE, help="xAPI 1.0.3 or 2.0: a statement, a list, or one a line."),
    ] = None,
    cloudevents: Annotated[
        list[str] | None,
        typer.Option(
            "--cloudevents",
            metavar="FILE[=MAPPING]",
            help="CloudEvents 1.0: an envelope, a batch, or one a line; a feed mapping says whose they are.",
        ),
    ] = None,
    weblog: Annotated[
        list[Path] | None,
        typer.Option(
            "--weblog", metavar=_FILE, help="A web server's log in the Common or Combined Log Format."
        ),
    ] = None,
    table: Annotated[
        list[str] | None,
        typer.Option(
            "--table",
            metavar="FILE=MAPPING",
            help="A sensor's log or any table (.csv, .jsonl, .parquet) through a feed mapping.",
        ),
    ] = None,
    ledger: Annotated[
        bool, typer.Option("--ledger", help="Also the ledger's own events; needs --deployment.")
    ] = False,
    aliases: Annotated[
        Path | None,
        typer.Option("--aliases", metavar=_FILE, help="CSV alias,member: who the sources' names belong to."),
    ] = None,
    members: Annotated[
        Path | None,
        typer.Option(
            "--members", metavar=_FILE, help="CSV member,address: who the ledger's accounts belong to."
        ),
    ] = None,
    weblog_by_address: Annotated[
        bool, typer.Option("--weblog-by-address", help="Count requests without a user for their address.")
    ] = False,
    erased: Annotated[
        Path | None,
        typer.Option(
            "--erased",
            metavar=_FILE,
            help="List of who asked to be forgotten (erased.json): their records are turned away.",
        ),
    ] = None,
    rejects: Annotated[
        Path | None,
        typer.Option(
            "--rejects", metavar=_FILE, help="Where what is turned away goes (default: FEED.rejects.csv)."
        ),
    ] = None,
    quality: Annotated[
        Path | None, typer.Option("--quality", metavar=_FILE, help="Also write the quality report as JSON.")
    ] = None,
    features: Annotated[
        Path | None,
        typer.Option("--features", metavar=_FILE, help="Also write features by member and span, as CSV."),
    ] = None,
    bucket: Annotated[
        str, typer.Option("--bucket", metavar="DURATION", help="Width of a span (1h, 1d).")
    ] = "1d",
    fill: Annotated[
        bool, typer.Option("--fill", help="Spans in which nothing happened get a row, too.")
    ] = False,
    scale: Annotated[
        str | None,
        typer.Option("--scale", metavar="METHOD", help="Scale the features: zscore or robust."),
    ] = None,
    fit_until: Annotated[
        str | None,
        typer.Option(
            "--fit-until", metavar="TIME", help="Learn the scaling from spans before this time only."
        ),
    ] = None,
    activity: Annotated[
        Path | None,
        typer.Option("--activity", metavar=_FILE, help="Also write acts for `timebank ingest csv`."),
    ] = None,
    window: Annotated[
        str, typer.Option("--window", metavar="DURATION", help="How long reactions to an act count.")
    ] = "14d",
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 3 when the quality report has faults.")
    ] = False,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    as_json: AsJson = False,
) -> None:
    """Read records of any sources into one feed: source, id, member, time, verb, object, domain, value, unit.

    Each record is checked against its standard; what is refused, repeats, or tells of nobody goes to the
    rejects with the field (a JSON path) and the reason. Events are joined by source and id, times become Unix
    ms, values their base unit. Beside the feed stands its manifest: inputs, counts, data hash, scaling.

    To the ledger: `--activity acts.csv` writes what members made, with how many answered and took note
    within the window; then `timebank ingest csv acts.csv -o activity.parquet` makes it an activity table.

    Who asked to be forgotten (`timebank attention privacy erase`) comes back with the next run unless it is
    given --erased FILE: their records are turned away, and nothing of them is kept but place and reason.

    Example: timebank attention collect --activitystreams outbox.jsonl --xapi lrs.json -o feed.parquet

    Example: timebank attention collect --table room.csv=room.feed.toml --ledger -o feed.parquet --strict

    Example: timebank attention collect --weblog access.log -o feed.csv --features daily.csv --scale robust
    """
    from timebank_chain.activity.erased import load_erased
    from timebank_chain.attention.collect import build_feed, feed_quality, load_aliases

    inputs = _inputs(activitystreams, xapi, cloudevents, weblog, table)
    if not inputs and not ledger:
        raise UsageError("nothing to collect", hint="add --activitystreams, --xapi, --table ..., or --ledger")
    outputs = _outputs(
        output, rejects, quality, features, activity, inputs, [aliases, members, erased, deployment]
    )
    widths = {name: _duration(name, text) for name, text in (("--bucket", bucket), ("--window", window))}
    fit_ms = None if fit_until is None else _moment(fit_until)
    if scale not in {None, "zscore", "robust"}:
        raise UsageError(f"--scale is {scale!r}", hint="write zscore or robust")
    if (scale or fit_until) and features is None:
        raise UsageError("--scale and --fit-until are about features", hint="add --features FILE")
    now_ms = time.time_ns() // 1_000_000
    forgotten = None if erased is None else load_erased(erased)
    if erased is not None and forgotten is None:
        # Going on without it would take erased people up again.
        raise UsageError(f"--erased names no file: {erased}", hint="name the list, or leave --erased out")
    names = {} if aliases is None else load_aliases(aliases)
    history: Iterator[Reading] = iter(())
    if ledger:
        history, chain_ms = _ledger(rpc_url, deployment, members)
        # A rehearsal's chain may be ahead of the clock on the wall: what it recorded is past all the same.
        now_ms = max(now_ms, chain_ms)
    readings = chain(_readings(inputs, weblog_by_address), history)
    result = build_feed(_counted(readings), now_ms=now_ms, aliases=names, erased=forgotten)
    report = feed_quality(result)
    body = _write(result, report, outputs, inputs, now_ms, widths, fill, scale, fit_ms)
    if as_json:
        print_json("timebank.attention.collect/1", body)
    else:
        _print(report, body)
    if strict and body["faults"]:
        raise typer.Exit(_STRICT_EXIT)


def _inputs(
    activitystreams: list[Path] | None,
    xapi: list[Path] | None,
    cloudevents: list[str] | None,
    weblog: list[Path] | None,
    table: list[str] | None,
) -> list[_Input]:
    found = [_Input("activitystreams", path) for path in activitystreams or ()]
    found += [_Input("xapi", path) for path in xapi or ()]
    for kind, words in (("cloudevents", cloudevents), ("table", table)):
        for word in words or ():
            # A file's own name may hold the sign, too.
            whole = "=" not in word or (kind == "cloudevents" and Path(word).is_file())
            name, _, mapping = (word, "", "") if whole else word.rpartition("=")
            if kind == "table" and not mapping:
                raise UsageError(
                    f"--table has no mapping: {word!r}", hint="write --table log.csv=log.feed.toml"
                )
            found.append(_Input(kind, Path(name), Path(mapping) if mapping else None))
    found += [_Input("weblog", path) for path in weblog or ()]
    for one in found:
        for path in (one.path, one.mapping):
            if path is not None and not path.is_file():
                raise UsageError(f"--{one.kind} names no file: {path}", hint="name a readable file")
    return found


def _outputs(
    output: Path,
    rejects: Path | None,
    quality: Path | None,
    features: Path | None,
    activity: Path | None,
    inputs: list[_Input],
    others: list[Path | None],
) -> _Outputs:
    """Check the places before anything is read, so that nothing fails after long work."""
    if output.is_dir():
        raise UsageError(f"--output is a folder: {output}", hint="name a file in it")
    stem = output.name.removesuffix(".parquet").removesuffix(".csv")
    outputs = _Outputs(
        output,
        output.with_name(f"{stem}.manifest.json"),
        rejects or output.with_name(f"{stem}.rejects.csv"),
        rejects is not None,
        quality,
        features,
        activity,
    )
    check_outputs(
        (
            ("--output", outputs.feed),
            ("the manifest", outputs.manifest),
            ("--rejects", outputs.rejects),
            ("--quality", quality),
            ("--features", features),
            ("--activity", activity),
        ),
        [path for one in inputs for path in (one.path, one.mapping)] + others,
    )
    return outputs


def _readings(inputs: list[_Input], by_host: bool) -> Iterator[Reading]:
    from timebank_chain.attention import collect

    # Mappings are read first: one that is wrong must not show after hours.
    rules = {one.mapping: collect.load_feed_mapping(one.mapping) for one in inputs if one.mapping is not None}
    readers: dict[str, Callable[[_Input], Iterator[Reading]]] = {
        "activitystreams": lambda one: collect.activitystreams_readings(one.path),
        "xapi": lambda one: collect.xapi_readings(one.path),
        "cloudevents": lambda one: collect.cloudevents_readings(
            one.path, None if one.mapping is None else rules[one.mapping]
        ),
        "weblog": lambda one: collect.weblog_readings(one.path, by_host=by_host),
        "table": lambda one: collect.table_readings(one.path, rules[one.mapping or one.path]),
    }

    def read() -> Iterator[Reading]:
        for one in inputs:
            progress(f"reading {one.path}")
            yield from readers[one.kind](one)

    return read()


def _ledger(rpc_url: str, deployment: Path | None, members: Path | None) -> tuple[Iterator[Reading], int]:
    """Return the ledger's history up to the newest block, and that block's time (Unix milliseconds)."""
    from timebank_chain.activity import load_members
    from timebank_chain.attention.collect import ledger_readings
    from timebank_chain.attention.collect.ledger import ledger_events
    from timebank_chain.chain.addresses import address_text

    timebank = open_system(rpc_url, deployment)
    known = {} if members is None else load_members(members).addresses
    names: dict[str, str] = {address_text(address): member for member, address in known.items()}
    last = timebank.connection.block_number()

    def read() -> Iterator[Reading]:
        progress("reading the ledger")
        yield from ledger_readings(ledger_events(timebank, to_block=last), names)

    return read(), timebank.connection.timestamp() * 1_000


def _counted(readings: Iterator[Reading]) -> Iterator[Reading]:
    for number, reading in enumerate(readings, 1):
        if number % _PROGRESS_STEP == 0:
            progress(f"{number:,} records")
        yield reading


def _write(
    result: CollectResult,
    report: Quality,
    outputs: _Outputs,
    inputs: list[_Input],
    now_ms: int,
    widths: dict[str, int],
    fill: bool,
    scale: str | None,
    fit_ms: int | None,
) -> dict[str, Any]:
    """Write every file and return the body of the JSON document."""
    from timebank_chain.activity import write_rejects
    from timebank_chain.attention.collect import features_quality, manifest, write_feed
    from timebank_chain.attention.collect.files import write_json

    # A file of an earlier run must not pass for this one's.
    if result.rejects or outputs.rejects_wanted or outputs.rejects.exists():
        write_rejects(outputs.rejects, result.rejects)
    if len(result.feed) == 0:
        reasons = "; ".join(f"{count:,} {reason}" for reason, count in list(result.reasons().items())[:3])
        raise AttentionError(
            f"no event is left of {result.read:,} read" + (f" ({reasons})" if reasons else ""),
            where=", ".join(str(one.path) for one in inputs) or "the ledger",
            hint=f"each stands with its reason in {outputs.rejects}",
        )
    more: dict[str, Any] = {}
    faults, quality = list(report.faults), report.document()
    if outputs.features is not None:
        table, more["features"] = _features(result, widths["--bucket"], fill, scale, fit_ms, outputs.features)
        about = features_quality(table)
        quality["features"] = about.document()
        faults += [f"features: {fault}" for fault in about.faults]
    if outputs.activity is not None:
        more["activity"] = _activity(result, widths["--window"], now_ms, outputs.activity)
    write_feed(result.feed, outputs.feed)
    document = manifest(
        result,
        output=outputs.feed,
        inputs=[(one.kind, path) for one in inputs for path in (one.path, one.mapping) if path is not None],
        made_at_ms=now_ms,
        more=more,
    )
    write_json(outputs.manifest, document)
    if outputs.quality is not None:
        write_json(outputs.quality, quality)
    return {
        **{key: value for key, value in document.items() if key != "schema"},
        "feed": str(outputs.feed),
        "manifest": str(outputs.manifest),
        "rejects": str(outputs.rejects) if result.rejects else None,
        "faults": faults,
        "quality": quality,
    }


def _features(
    result: CollectResult, width_ms: int, fill: bool, scale: str | None, fit_ms: int | None, path: Path
) -> tuple[FeatureTable, dict[str, Any]]:
    import numpy as np

    from timebank_chain.attention.collect import bucket_features, fit_scaling
    from timebank_chain.attention.collect.files import write_rows

    table = bucket_features(result.feed, width_ms, empty=fill)
    # A span belongs to the past only when it has ended by then.
    rows = table.start_ms + width_ms <= (MAX_TIME_MS if fit_ms is None else fit_ms)
    if scale is None:
        rows = np.ones(len(table.member), dtype=bool)
    # Of a column without a value nothing can be learned: it is left out, and named in the manifest.
    usable = [
        number for number in range(len(table.columns)) if not np.isnan(table.values[rows, number]).all()
    ]
    left_out = [name for number, name in enumerate(table.columns) if number not in usable and rows.any()]
    if left_out:
        names = tuple(name for name in table.columns if name not in left_out)
        table = replace(table, columns=names, values=table.values[:, usable])
    values, scaling = table.values, None
    if scale is not None:
        scaling = fit_scaling(table.columns, values, method=scale, rows=rows)
        values = scaling.apply(table.columns, values)
    cells = [["" if math.isnan(value) else repr(value) for value in row] for row in values.tolist()]
    keys = zip(table.member, table.start_ms.tolist(), cells, strict=True)
    write_rows(
        path, ("member", "start_ms", *table.columns), [[member, start, *row] for member, start, row in keys]
    )
    return table, {
        "file": path.name,
        "rows": len(table.member),
        "bucket_ms": width_ms,
        "left_out": left_out,
        "fitted_until_ms": fit_ms,
        "scaling": None if scaling is None else scaling.document(),
    }


def _activity(result: CollectResult, window_ms: int, now_ms: int, path: Path) -> dict[str, Any]:
    from timebank_chain.attention.collect import acts_of, write_acts

    acts, still_open = acts_of(result.feed, window_ms=window_ms, now_ms=now_ms)
    if not acts:
        raise AttentionError(
            "nobody made anything in this feed"
            + (f" ({still_open:,} windows are open)" if still_open else ""),
            hint="acts are events with the verb create, offer, deliver or teach; leave --activity out",
        )
    write_acts(acts, path)
    return {"file": path.name, "acts": len(acts), "window_ms": window_ms, "window_open": still_open}


def _print(report: Quality, body: dict[str, Any]) -> None:
    print_table(
        "Quality",
        [
            "column",
            ">rows",
            ">missing",
            ">different",
            ">infinite",
            ">out of range",
            ">unknown",
            ">rejected",
            "note",
        ],
        [
            (
                one.name,
                f"{one.rows:,}",
                f"{one.missing:,}",
                f"{one.distinct:,}",
                f"{one.infinite:,}",
                f"{one.out_of_range:,}",
                f"{one.unknown:,}",
                f"{one.rejected:,}",
                "constant" if one.constant else ", ".join(one.examples),
            )
            for one in report.columns
        ],
    )
    console = out()
    console.print(
        f"{body['read']:,} read = {body['rows']:,} kept + {body['rejected']:,} turned away; "
        f"{body['members']:,} members, {format_time(body['first_ms'])} to {format_time(body['last_ms'])}",
        markup=False,
    )
    for reason, count in report.reasons.items():
        console.print(f"  {count:,} {reason}", markup=False)
    for fault in body["faults"]:
        err().print(f"fault: {fault}", style="bold yellow", markup=False)
    for note in report.notes:
        say(f"note: {note}")
    console.print(f"data sha256 {body['data_sha256']}", markup=False)
    console.print(f"feed: {body['feed']}; manifest: {body['manifest']}", markup=False)
    if body["rejects"]:
        console.print(f"rejects: {body['rejects']}", markup=False)


def _duration(option: str, text: str) -> int:
    try:
        return int(parse_duration(text))
    except ValueError as error:
        raise UsageError(f"{option}: {error}", hint="write for example 1h, 1d or 14d") from error


def _moment(text: str) -> int:
    try:
        return int(parse_time(text))
    except ValueError as error:
        raise UsageError(f"--fit-until: {error}", hint="write for example 2026-01-31T00:00:00Z") from error
