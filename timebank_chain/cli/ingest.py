"""``timebank ingest``: bring recorded activity in, from files, repositories and dumps."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from timebank_chain import config
from timebank_chain.cli.options import AsJson
from timebank_chain.cli.output import err, out, print_json, print_table, say
from timebank_chain.cli.outputs import check_outputs
from timebank_chain.errors import ActivityError, UsageError
from timebank_chain.units import format_duration, format_time, parse_duration, parse_time

if TYPE_CHECKING:
    from timebank_chain.activity import CleanResult, RawRecord
    from timebank_chain.activity.erased import Erased
    from timebank_chain.activity.mapping import ColumnMapping

app = typer.Typer(
    help=(
        "Bring recorded activity in: one clean, ordered table, and a file of everything turned away.\n\n"
        "Example: timebank ingest git . -o activity.parquet"
    ),
    no_args_is_help=True,
)

Output = Annotated[
    Path, typer.Option("--output", "-o", metavar="FILE", help="Activity table to write (Parquet).")
]
Rejects = Annotated[
    Path | None,
    typer.Option(
        "--rejects",
        metavar="FILE",
        help="Where rows go that are turned away (default: beside the output, as .rejects.csv).",
    ),
]
SaltKey = Annotated[
    Path | None,
    typer.Option(
        "--salt-key",
        envvar=config.ENV_SALT_KEY,
        metavar="FILE",
        help="File of at least 16 secret bytes that blind the record ids; without it they can be guessed.",
    ),
]
Until = Annotated[
    str | None,
    typer.Option(
        "--until", metavar="TIME", help="Look at things as they were then (2026-01-31T12:00:00Z or Unix ms)."
    ),
]
PolicyOption = Annotated[
    str | None,
    typer.Option(
        "--policy",
        metavar="NAME|FILE",
        help="Policy that names the domains and their observation windows.",
    ),
]
Window = Annotated[
    str | None,
    typer.Option(
        "--window",
        metavar="DURATION",
        help="Count reactions for this long (14d; 0s) instead of the policy's.",
    ),
]
MappingFile = Annotated[
    Path | None,
    typer.Option("--mapping", metavar="FILE", help="TOML file that says what the columns mean."),
]
Files = Annotated[
    list[Path], typer.Argument(metavar="FILE...", help="Files to read, plain or gzip.", show_default=False)
]

SkipRejected = Annotated[
    bool, typer.Option("--skip-rejected", help="Keep the good rows although others were turned away.")
]

FinalEpochs = Annotated[
    Path | None,
    typer.Option(
        "--final-epochs",
        metavar="DIR",
        help="Folder of finalised epochs: of rows with one id, the published one stays.",
    ),
]

ErasedFile = Annotated[
    Path | None,
    typer.Option(
        "--erased",
        metavar="FILE",
        help="Who asked to be forgotten (`timebank attention privacy erase` wrote it): turned away.",
    ),
]

_PROGRESS_STEP = 1_000


@dataclass(frozen=True, slots=True)
class _Job:
    """What every ingest has in common, checked before anything is read."""

    kind: str
    inputs: tuple[Path, ...]
    output: Path
    rejects: Path
    rejects_wanted: bool
    skip_rejected: bool
    salt_key: bytes
    salt_is_public: bool
    now_ms: int
    until_ms: int | None
    policy: str | None
    windows: Mapping[str, int]
    domains: tuple[str, ...] | None
    as_json: bool
    erased: Erased | None


@app.command("git")
def ingest_git(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A clone; bare and shallow ones too.")],
    output: Output,
    policy: PolicyOption = "git",
    window: Window = None,
    until: Until = None,
    keep_bots: Annotated[
        bool,
        typer.Option("--keep-bots/--exclude-bots", help="Count dependabot and the like, or turn them away."),
    ] = False,
    bot: Annotated[
        list[str] | None,
        typer.Option(
            "--bot", metavar="REGEX", help="Turn away who matches, too (`name <address>`, lower case)."
        ),
    ] = None,
    salt_key: SaltKey = None,
    rejects: Rejects = None,
    erased: ErasedFile = None,
    as_json: AsJson = False,
) -> None:
    """Read a git history: who changed what, who reviewed it, who wrote it together.

    Example: timebank ingest git ~/src/project -o activity.parquet

    Example: timebank ingest git . --window 1h --until 2026-01-31T00:00:00Z -o activity.parquet
    """
    import re

    from timebank_chain.activity.sources import DEFAULT_BOTS, git_acts

    patterns = [*([] if keep_bots else DEFAULT_BOTS), *(bot or [])]
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            raise UsageError(
                f"--bot is no regular expression: {pattern!r} ({error})", hint="try --bot 'release-robot'"
            ) from error
    job = _job("git", [path], output, rejects, salt_key, until, policy, window, as_json, erased)
    with _progress(f"reading the history of {path}", "commits") as advance:
        records = git_acts(
            path,
            windows=job.windows,
            now_ms=job.now_ms,
            until_ms=job.until_ms,
            bots=patterns,
            progress=advance,
        )
        result = _clean(job, records)
    _finish(job, result)


@app.command("stackexchange")
def ingest_stackexchange(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder with Posts, Comments and Votes.")],
    output: Output,
    site: Annotated[
        str | None,
        typer.Option("--site", metavar="NAME", help="Name of the site in ids (default: the folder's)."),
    ] = None,
    policy: PolicyOption = "stackexchange",
    window: Window = None,
    until: Until = None,
    salt_key: SaltKey = None,
    rejects: Rejects = None,
    erased: ErasedFile = None,
    as_json: AsJson = False,
) -> None:
    """Read a Stack Exchange data dump: questions, answers, comments, and how others took them.

    Example: timebank ingest stackexchange dumps/quantumcomputing -o activity.parquet
    """
    from timebank_chain.activity.sources import stackexchange_acts

    job = _job("stackexchange", [folder], output, rejects, salt_key, until, policy, window, as_json, erased)
    with _progress(f"reading the dump in {folder}", "rows") as advance:
        records = stackexchange_acts(
            folder,
            windows=job.windows,
            now_ms=job.now_ms,
            until_ms=job.until_ms,
            site=site,
            progress=advance,
        )
        result = _clean(job, records)
    _finish(job, result)


@app.command("csv")
def ingest_csv(
    files: Files,
    output: Output,
    mapping: MappingFile = None,
    policy: PolicyOption = None,
    until: Until = None,
    salt_key: SaltKey = None,
    rejects: Rejects = None,
    skip_rejected: SkipRejected = False,
    final_epochs: FinalEpochs = None,
    erased: ErasedFile = None,
    as_json: AsJson = False,
) -> None:
    """Read CSV: in our columns (id, member, domain, occurred, [window,] interaction, originality,
    engagement), or in any others through a mapping file.

    Example: timebank ingest csv commits.csv --mapping libuv.mapping.toml --policy git -o activity.parquet
    """
    from timebank_chain.activity.sources import csv_rows

    job = _job(
        "csv", files, output, rejects, salt_key, until, policy, None, as_json, erased, skip=skip_rejected
    )
    _ingest_files(job, csv_rows, mapping, final_epochs)


@app.command("jsonl")
def ingest_jsonl(
    files: Files,
    output: Output,
    mapping: MappingFile = None,
    policy: PolicyOption = None,
    until: Until = None,
    salt_key: SaltKey = None,
    rejects: Rejects = None,
    skip_rejected: SkipRejected = False,
    final_epochs: FinalEpochs = None,
    erased: ErasedFile = None,
    as_json: AsJson = False,
) -> None:
    """Read JSON lines, one object a line; a mapping may name nested keys (actor.name).

    Example: timebank ingest jsonl events.jsonl.gz --mapping events.mapping.toml -o activity.parquet
    """
    from timebank_chain.activity.sources import jsonl_rows

    job = _job(
        "jsonl", files, output, rejects, salt_key, until, policy, None, as_json, erased, skip=skip_rejected
    )
    _ingest_files(job, jsonl_rows, mapping, final_epochs)


@app.command("parquet")
def ingest_parquet(
    files: Files,
    output: Output,
    mapping: MappingFile = None,
    policy: PolicyOption = None,
    until: Until = None,
    salt_key: SaltKey = None,
    rejects: Rejects = None,
    skip_rejected: SkipRejected = False,
    final_epochs: FinalEpochs = None,
    erased: ErasedFile = None,
    as_json: AsJson = False,
) -> None:
    """Read Parquet of any flat schema, or our own activity tables (to merge or to salt them anew).

    Example: timebank ingest parquet january.parquet february.parquet -o activity.parquet
    """
    from timebank_chain.activity.sources import parquet_rows

    job = _job(
        "parquet", files, output, rejects, salt_key, until, policy, None, as_json, erased, skip=skip_rejected
    )
    _ingest_files(job, parquet_rows, mapping, final_epochs)


def _ingest_files(
    job: _Job,
    read: Callable[[Path, ColumnMapping | None], Iterator[RawRecord]],
    mapping: Path | None,
    final_epochs: Path | None,
) -> None:
    from timebank_chain.activity.mapping_file import load_mapping

    rules = None if mapping is None else load_mapping(mapping)
    names = ", ".join(str(file) for file in job.inputs)
    with _progress(f"reading {names}", "rows") as advance:
        rows = _counted((row for file in job.inputs for row in read(file, rules)), advance)
        result = _clean(job, rows, _published(final_epochs))
    _finish(job, result)


def _published(final_epochs: Path | None) -> Callable[[bytes], int | None] | None:
    if final_epochs is None:
        return None
    from timebank_chain.epoch import published_numbers, read_epoch
    from timebank_chain.oracle.recompute import final_records

    numbers = published_numbers(final_epochs)
    if not numbers:
        raise UsageError(f"--final-epochs holds no epoch: {final_epochs}", hint="leave the option out")
    return final_records(final_epochs, read_epoch(final_epochs, numbers[-1]), is_final=lambda: True)


def _job(
    kind: str,
    inputs: list[Path],
    output: Path,
    rejects: Path | None,
    salt_key: Path | None,
    until: str | None,
    policy: str | None,
    window: str | None,
    as_json: bool,
    erased: Path | None,
    *,
    skip: bool = True,
) -> _Job:
    """Check the options before anything is read, so that nothing fails after long work.

    A repository or dump always holds rows that are no acts; a table is its owner's to correct, so there
    ``skip`` has to be asked for.
    """
    from timebank_chain.activity import load_salt_key

    if output.is_dir():
        raise UsageError(f"--output is a folder: {output}", hint="name a file in it")
    place = rejects or output.with_name(f"{output.name.removesuffix('.parquet')}.rejects.csv")
    # Of a repository its commits are read, of a dump its XML: results may lie beside them.
    files = [file for one in inputs for file in (one.glob("*.xml*") if one.is_dir() else (one,))]
    check_outputs((("--output", output), ("--rejects", place)), [*files, salt_key, erased])
    windows: dict[str, int] = {}
    domains = None
    if policy is not None:
        from timebank_chain.valuation import load_policy

        rules = load_policy(policy)
        windows = {domain.name: domain.window_ms for domain in rules.domains}
        domains = rules.domain_names()
    if window is not None:
        windows = dict.fromkeys(windows, _duration(window))
    return _Job(
        kind=kind,
        inputs=tuple(inputs),
        output=output,
        rejects=place,
        rejects_wanted=rejects is not None,
        skip_rejected=skip,
        salt_key=load_salt_key(salt_key),
        salt_is_public=salt_key is None,
        now_ms=time.time_ns() // 1_000_000,
        until_ms=None if until is None else _moment(until),
        policy=policy,
        windows=windows,
        domains=domains,
        as_json=as_json,
        erased=_forgotten(erased),
    )


def _forgotten(erased: Path | None) -> Erased | None:
    from timebank_chain.activity.erased import load_erased

    found = None if erased is None else load_erased(erased)
    if erased is not None and found is None:
        raise UsageError(f"no such file: {erased}", hint="check --erased")
    return found


def _duration(text: str) -> int:
    if text in {"0", "0s"}:
        return 0
    try:
        return int(parse_duration(text))
    except ValueError as error:
        raise UsageError(f"--window: {error}", hint="write for example 14d, 36h or 0s") from error


def _moment(text: str) -> int:
    try:
        return int(parse_time(text))
    except ValueError as error:
        raise UsageError(f"--until: {error}", hint="write for example 2026-01-31T00:00:00Z") from error


def _clean(
    job: _Job,
    records: Iterable[RawRecord],
    published: Callable[[bytes], int | None] | None = None,
) -> CleanResult:
    from timebank_chain.activity import clean

    return clean(
        records if job.erased is None else job.erased.turned_away(records),
        now_ms=job.now_ms,
        salt_key=job.salt_key,
        windows=job.windows,
        domains=job.domains,
        until_ms=job.until_ms,
        published=published,
    )


def _finish(job: _Job, result: CleanResult) -> None:
    """Write both files and say what is in them."""
    from timebank_chain.activity import write_activity, write_rejects

    rejected = len(result.rejects)
    # A file of an earlier run must not pass for this one's.
    if rejected or job.rejects_wanted or job.rejects.exists():
        write_rejects(job.rejects, result.rejects)
    if rejected:
        err().print(
            f"warning: {rejected:,} of {result.read:,} rows were turned away; each stands with its reason "
            f"in {job.rejects}",
            style="bold yellow",
            markup=False,
        )
    if not len(result.table):
        reasons = "; ".join(f"{count:,} {reason}" for reason, count in list(result.reasons().items())[:3])
        raise ActivityError(
            f"no row can be used of {result.read:,} read" + (f" ({reasons})" if reasons else ""),
            where=", ".join(str(path) for path in job.inputs),
            hint=_way_out(job, result),
        )
    wrong = [reject for reject in result.rejects if not reject.reason.startswith(("duplicate: ", "erased: "))]
    if wrong and not job.skip_rejected:
        first = wrong[0]
        field = f", field {first.field!r}" if first.field else ""
        raise ActivityError(
            f"{len(wrong):,} of {result.read:,} rows cannot be used, the first because of {first.reason}",
            where=f"{first.source}:{first.line}{field}",
            hint=f"correct them (all stand in {job.rejects}), or add --skip-rejected to keep the other "
            f"{len(result.table):,}",
        )
    write_activity(result.table, job.output)
    body = _body(job, result)
    if job.as_json:
        print_json("timebank.ingest/1", body)
        return
    print_table(
        "Activity",
        ["domain", ">acts", ">members", "window"],
        [
            (row["domain"], f"{row['acts']:,}", f"{row['members']:,}", row["window"])
            for row in body["domains"]
        ],
    )
    if result.rejects:
        print_table(
            "Turned away", ["reason", ">rows"], [(why, f"{n:,}") for why, n in result.reasons().items()]
        )
    kept = len(result.table)
    span = f"{format_time(body['first_ms'])} to {format_time(body['last_ms'])}"
    console = out()
    console.print(
        f"{result.read:,} rows read = {kept:,} kept + {rejected:,} turned away; {span}",
        markup=False,
    )
    console.print(f"wrote {job.output}", markup=False)
    if job.salt_is_public:
        say(
            "note: record ids are salted with the public key, which is fine for public data; "
            "add --salt-key FILE for data of people who may want it forgotten"
        )


def _way_out(job: _Job, result: CleanResult) -> str:
    if not result.rejects:
        return "the input is empty"
    if job.kind in {"git", "stackexchange"} and "window still open" in result.reasons():
        longest = max(job.windows.values(), default=0)
        return (
            f"an act counts once its reactions have been watched for {format_duration(longest)}; wait, or "
            f"watch for less: --window 1h (all stand in {job.rejects})"
        )
    return f"see {job.rejects}"


def _body(job: _Job, result: CleanResult) -> dict[str, Any]:
    table = result.table
    acts = Counter(table.domain)
    members: dict[str, set[str]] = {}
    windows: dict[str, set[int]] = {}
    for domain, member, window in zip(table.domain, table.member, table.window_ms.tolist(), strict=True):
        members.setdefault(domain, set()).add(member)
        windows.setdefault(domain, set()).add(window)
    return {
        "source": job.kind,
        "inputs": [str(path) for path in job.inputs],
        "output": str(job.output),
        "sha256": hashlib.sha256(job.output.read_bytes()).hexdigest(),
        "rows_read": result.read,
        "rows_kept": len(table),
        "rows_rejected": len(result.rejects),
        "duplicates": result.duplicates,
        "rejects": str(job.rejects) if job.rejects.exists() else None,
        "reasons": result.reasons(),
        "members": len(set(table.member)),
        "domains": [
            {
                "domain": domain,
                "acts": acts[domain],
                "members": len(members[domain]),
                "window": ", ".join(
                    format_duration(window) if window else "0s" for window in sorted(windows[domain])[:3]
                ),
                "windows_ms": sorted(windows[domain])[:100],
            }
            for domain in sorted(acts)
        ],
        "first_ms": int(table.occurred_ms[0]),
        "last_ms": int(table.occurred_ms[-1]),
        "policy": job.policy,
        "until_ms": job.until_ms,
        "salt": "public" if job.salt_is_public else "keyed",
    }


def _counted(records: Iterable[RawRecord], advance: Callable[[int], None]) -> Iterator[RawRecord]:
    for count, record in enumerate(records, start=1):
        advance(count)
        yield record


@contextmanager
def _progress(what: str, unit: str) -> Iterator[Callable[[int], None]]:
    """Show a running count on standard error; a plain line where that is no terminal."""
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = err()
    if not console.is_terminal:
        say(what)
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what)

        def advance(count: int) -> None:
            if count % _PROGRESS_STEP == 0:
                bar.update(task, description=f"{what}: {count:,} {unit}")

        yield advance
