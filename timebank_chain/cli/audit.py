"""``timebank audit``: was it right? Replays the chain, recomputes the epochs, says what holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from timebank_chain.cli.epoch_holds import HoldsFile, oracles_list, records_file
from timebank_chain.cli.options import (
    DEFAULT_RPC_URL,
    AsJson,
    DeploymentFile,
    EpochsFolder,
    RpcUrl,
    progress,
    require_deployment,
    require_epochs,
)
from timebank_chain.cli.output import out, print_json
from timebank_chain.errors import CheckFailed, UsageError

if TYPE_CHECKING:
    from timebank_chain.audit import AuditReport

SCHEMA = "timebank.audit/1"
_WORDS = {"ok": "ok", "failed": "FAILED", "not checked": "not checked"}
_STYLES = {"ok": "green", "failed": "bold red", "not checked": "yellow"}


def command(
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    epochs: EpochsFolder = None,
    activity: Annotated[
        Path | None,
        typer.Option(
            "--activity",
            metavar="FILE",
            help="Raw activity table (Parquet): also check that published record ids are its records'.",
        ),
    ] = None,
    holds: HoldsFile = None,
    erased: Annotated[
        Path | None,
        typer.Option(
            "--erased",
            metavar="FILE",
            help="Who was erased since, with --activity (default: the oracle's list in EPOCHS, if there).",
        ),
    ] = None,
    artifacts: Annotated[
        Path | None,
        typer.Option(
            "--artifacts",
            metavar="DIR",
            help="Compiled contracts to compare with (default: those shipped).",
        ),
    ] = None,
    from_block: Annotated[
        int | None,
        typer.Option("--from-block", min=0, help="First block of the replay (default: the deployment's)."),
    ] = None,
    to_block: Annotated[
        int | None, typer.Option("--to-block", min=0, help="Block to audit at (default: the newest).")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Audit a deployment from the chain and the published epochs alone.

    Replays every event and recomputes every epoch from its activities. Nothing is sent and no key is
    needed. Exit code 0: every check passed; 3: a check failed; 2: wrong usage; 1: trouble (no node).

    Example: timebank audit --rpc-url http://127.0.0.1:8545 --deployment deployment.json --epochs epochs
    """
    from timebank_chain.audit import run_audit
    from timebank_chain.chain.connection import connect
    from timebank_chain.chain.deployment import load_deployment

    manifest = require_deployment(deployment)
    folder = require_epochs(epochs)
    for path, option, kind in ((folder, "--epochs", "folder"), (artifacts, "--artifacts", "folder")):
        if path is not None and not path.is_dir():
            raise UsageError(f"no such {kind}: {path}", hint=f"check {option}")
    if activity is not None and not activity.is_file():
        raise UsageError(f"no such file: {activity}", hint="check --activity")
    if erased is not None and (activity is None or not erased.is_file()):
        raise UsageError(f"--erased {erased}: no such file, or no --activity beside it", hint="check both")
    if erased is None and activity is not None and oracles_list(folder).is_file():
        erased = oracles_list(folder)
        progress(f"who was erased since: {erased}")
    with records_file(activity, folder, holds, erased) as (records, forgotten):
        report = run_audit(
            connect(rpc_url),
            load_deployment(manifest),
            folder,
            deployment_file=manifest,
            activity=records,
            erased=forgotten,
            artifacts=artifacts,
            from_block=from_block,
            to_block=to_block,
            progress=progress,
        )
    if as_json:
        print_json(SCHEMA, report.body())
    else:
        print_report(report)
    return 0 if report.ok else CheckFailed.exit_code


def print_report(report: AuditReport) -> None:
    """Print an audit for people: one line per check, what differs under each that failed, the verdict."""
    from rich.table import Table
    from rich.text import Text

    console = out()
    if not console.is_terminal:
        console.width = max(console.width, 160)  # a file or pipe has no edge to wrap at
    table = Table(
        title=f"Audit of chain {report.chain_id}, blocks {report.from_block} to {report.to_block}",
        title_justify="left",
        title_style="bold",
        header_style="bold",
        box=None,
    )
    table.add_column("check", justify="right")
    table.add_column("outcome")
    table.add_column("what was checked")
    table.add_column("looked at")
    for check in report.checks:
        outcome = Text(_WORDS[check.status], style=_STYLES[check.status])
        table.add_row(check.number, outcome, Text(check.name), Text(check.figure))
    console.print(table)
    for check in report.checks:
        for note in check.notes:
            console.print(f"{check.number} note: {note}", style="dim", markup=False)
    for check in report.failed:
        console.print(
            f"\n{check.number} FAILED: {check.name} ({check.difference_count} differences)",
            style="bold red",
            markup=False,
        )
        for difference in check.differences:
            console.print(f"  {difference.where}", style="bold", markup=False)
            console.print(f"    expected  {difference.expected}", markup=False)
            console.print(f"    found     {difference.found}", markup=False)
            console.print(f"    meaning   {difference.meaning}", markup=False)
        left = check.difference_count - len(check.differences)
        if left > 0:
            console.print(f"  ... and {left} more", markup=False)
    if report.warnings:
        console.print()
    for number, text in report.warnings:
        console.print(f"{number} WARNING: {text}", style="bold yellow", markup=False)
    console.print(f"\n{report.verdict}", style="bold green" if report.ok else "bold red", markup=False)
