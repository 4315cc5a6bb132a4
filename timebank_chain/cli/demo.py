"""``timebank demo``: the whole road in one run, on a real history."""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from timebank_chain.cli.options import AsJson
from timebank_chain.cli.output import out, print_json, print_table, say
from timebank_chain.cli.policy import show_duration
from timebank_chain.errors import CheckFailed, UsageError
from timebank_chain.units import format_micro, format_time

if TYPE_CHECKING:
    from timebank_chain.demo import Story

SCHEMA = "timebank.demo/1"


def command(
    repo: Annotated[
        Path | None,
        typer.Option("--repo", metavar="PATH", help="Value this git repository (default: this checkout)."),
    ] = None,
    stackexchange: Annotated[
        Path | None,
        typer.Option("--stackexchange", metavar="DIR", help="Value a Stack Exchange dump (folder of XML)."),
    ] = None,
    activity: Annotated[
        Path | None,
        typer.Option("--activity", metavar="FILE", help="Value a CSV, JSON lines or Parquet file."),
    ] = None,
    mapping: Annotated[
        Path | None,
        typer.Option("--mapping", metavar="TOML", help="What the columns of --activity mean."),
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option("--policy", metavar="P", help="Policy whose scoring is used (default: the source's)."),
    ] = None,
    epochs: Annotated[int, typer.Option("--epochs", min=1, max=50, help="How many epochs.")] = 4,
    rpc_url: Annotated[
        str,
        typer.Option(
            "--rpc-url",
            metavar="URL",
            # Not from ETH_RPC_URL: the demo moves the clock of the chain it runs on.
            help="A development node (anvil) instead of the embedded chain; its clock is moved on.",
        ),
    ] = "embedded",
    keep: Annotated[
        Path | None,
        typer.Option("--keep", metavar="DIR", help="Keep epochs, deployment, activity and story here."),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Turn a real history into spendable credits and audit every step.

    Values the history in several epochs; signs, proposes, finalises and claims them on a chain; sends
    credits and pays with a fee; deposits, lends, borrows, leases, defaults and recovers; buys services and
    lets the rate follow what is spent; shows who earned what and why; then audits all of it.
    Exit code 0: the audit is green; 3: it is red; 1: trouble; 2: wrong usage.

    Example: timebank demo

    Example: timebank demo --repo ~/src/project --keep ~/timebank-demo

    Example: timebank demo --activity commits.csv --mapping "$(timebank examples libuv.mapping.toml)"
    """
    from timebank_chain.chain.connection import connect
    from timebank_chain.demo import DemoOptions, fit_schedule, load_history, run_demo
    from timebank_chain.demo.road import story_file

    if repo is None and stackexchange is None and activity is None:
        repo = _own_checkout()
    if keep is not None and keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
        raise UsageError(
            f"{keep} is not an empty folder", hint="give --keep a new folder; nothing is overwritten"
        )
    now_ms = time.time_ns() // 1_000_000
    say(f"Reading {repo or stackexchange or activity}")
    history = load_history(
        repo=repo,
        stackexchange=stackexchange,
        activity=activity,
        mapping=mapping,
        policy=policy,
        now_ms=now_ms,
    )
    schedule = fit_schedule(history, epochs=epochs, now_ms=now_ms)
    say(
        f"{len(history.cleaned.table):,} acts kept of {history.cleaned.read:,} read; policy "
        f"'{schedule.policy.name}', {len(schedule.ends_ms)} epochs of "
        f"{show_duration(schedule.policy.epoch_ms)}"
    )
    connection = connect(rpc_url)
    with ExitStack() as stack:
        if keep is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="timebank-demo-")))
        else:
            folder = keep
            folder.mkdir(parents=True, exist_ok=True)
        story = run_demo(connection, history, schedule, DemoOptions(folder=folder, progress=say))
        if keep is not None:
            story_file(story)
        if as_json:
            print_json(SCHEMA, story.to_json())
        else:
            _print_story(story, kept=keep is not None)
    assert story.audit is not None  # noqa: S101 - run_demo ends with the audit
    return 0 if story.audit.ok else CheckFailed.exit_code


def _own_checkout() -> Path:
    here = Path(__file__).resolve().parents[2]
    for candidate in (here, Path.cwd()):
        if (candidate / ".git").exists():
            return candidate
    raise UsageError(
        "this is not a git checkout, so it has no history of its own",
        hint="name one: timebank demo --repo PATH (or --stackexchange DIR, --activity FILE)",
    )


def _print_story(story: Story, *, kept: bool) -> None:
    from timebank_chain.cli.audit import print_report
    from timebank_chain.cli.epoch_view import activity_table, print_receipt
    from timebank_chain.valuation import half_life_of, tau_of

    assert story.receipt is not None and story.audit is not None  # noqa: S101 - set by run_demo
    console = out()
    rejected = ", ".join(f"{count:,} {reason}" for reason, count in story.rejected.items()) or "none"
    print_table(
        "\nWhat was valued",
        ("", ""),
        (
            ("history", f"{story.kind}: {story.place}"),
            ("acts", f"{story.kept:,} kept of {story.read:,} read"),
            ("turned away", rejected),
            (
                "decay",
                f"mean lifetime {show_duration(tau_of(story.policy.decay_k))}, half-life "
                f"{show_duration(half_life_of(story.policy.decay_k))}",
            ),
            ("chain", f"{story.chain_id}, {len(story.contracts)} contracts"),
        ),
    )
    print_table(
        "\nThe epochs",
        ("epoch", "until", ">acts", ">active", ">minted", ">bonus pot", ">claimed"),
        [
            (
                epoch.published.number,
                format_time(epoch.published.header.end_ms),
                f"{epoch.published.header.activity_count:,}",
                f"{epoch.published.header.active_count:,}",
                format_micro(epoch.published.header.total_mint),
                format_micro(epoch.published.header.pot),
                format_micro(epoch.claimed_micro),
            )
            for epoch in story.epochs
        ],
    )
    for title, scenes in (("The bank", story.bank), ("The market", story.services)):
        if not scenes:
            continue
        print_table(
            f"\n{title}",
            ("what", "who", ">credits", "", ">gas"),
            [
                (scene.what, scene.member, format_micro(scene.amount_micro), scene.note, f"{scene.gas:,}")
                for scene in scenes
            ],
        )
    if story.rates:
        console.print("\nThe value that floats", style="bold", markup=False)
        for move in story.rates:
            console.print(f"After epoch {move.epoch} {move.sentence()}.", markup=False)
    print_table(
        "\nWho earned what",
        ("member", "wallet", ">granted", ">standing", ">balance"),
        [
            (
                member.member,
                member.address,
                format_micro(member.granted_micro),
                format_micro(member.standing_micro),
                format_micro(member.balance_micro),
            )
            for member in story.members
        ],
    )
    console.print(f"\nWhy: the receipt of {story.receipt_member}", style="bold", markup=False)
    activity_table(story.receipt)
    print_receipt(story.receipt)
    console.print()
    print_report(story.audit)
    if kept:
        console.print(
            f"\nKept in {story.folder}: activity.parquet, rejects.csv, members.csv, epochs/, "
            "deployment.json, story.json",
            markup=False,
        )
