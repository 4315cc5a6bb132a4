"""``timebank watch``: recompute every proposal and end those that are wrong."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from timebank_chain.cli.fetching import DEFAULT_FETCHING, Fetching, takes_fetching
from timebank_chain.cli.options import (
    DEFAULT_RPC_URL,
    AsJson,
    DeploymentFile,
    FromAddress,
    Keystore,
    PasswordFile,
    RpcUrl,
    open_signer,
    open_system,
)
from timebank_chain.cli.oracle_session import log_to_stderr, open_state, stop_on_signals
from timebank_chain.cli.output import error_body, out, print_error, print_json
from timebank_chain.cli.writes import parse_ether
from timebank_chain.errors import CheckFailed, TimebankError, UsageError
from timebank_chain.units import format_coins, format_time, parse_duration

if TYPE_CHECKING:
    from timebank_chain.epoch import FetchOptions
    from timebank_chain.oracle.watchtower import Look

_DEFAULT_MAX_DEPOSIT = "0.05"
_DEFAULT_BUDGET = "0.25"


def _folder(text: str) -> Path:
    """Take a folder by its name; an empty one would be the folder the shell is in."""
    if not text:
        raise UsageError("an empty text names no folder", hint="write its path; . is the present folder")
    return Path(text)


@takes_fetching
def command(
    deployment: DeploymentFile = None,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    cache: Annotated[
        Path | None,
        typer.Option(
            "--cache",
            metavar="DIR",
            parser=_folder,
            help="Folder of epochs to fetch into; what it has is not fetched again.",
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--source",
            metavar="URI",
            help="Fetch from here instead of where the header says: a folder of epochs, http(s):, ipfs:.",
        ),
    ] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option("--policy", metavar="P", help="Policy at hand (default: as registered on chain)."),
    ] = None,
    keystore: Keystore = None,
    sender: FromAddress = None,
    password_file: PasswordFile = None,
    state: Annotated[
        Path | None,
        typer.Option(
            "--state", metavar="DIR", parser=_folder, help="Journal, lock and secret (default: CACHE/.watch)."
        ),
    ] = None,
    poll: Annotated[str, typer.Option("--poll", metavar="TIME", help="Pause between two looks.")] = "5s",
    once: Annotated[bool, typer.Option("--once", help="Do what is due, then end.")] = False,
    ask: Annotated[
        int,
        typer.Option(
            "--ask", metavar="N", min=0, help="Leaves to ask for of an epoch whose files cannot be had."
        ),
    ] = 4,
    max_deposit: Annotated[
        str, typer.Option("--max-deposit", metavar="COIN", help="Most a request may cost, in coins: 0.5.")
    ] = _DEFAULT_MAX_DEPOSIT,
    budget: Annotated[
        str,
        typer.Option("--budget", metavar="COIN", help="Most to spend on requests for leaves of one epoch."),
    ] = _DEFAULT_BUDGET,
    fetching: Fetching = DEFAULT_FETCHING,
    json_logs: Annotated[
        bool, typer.Option("--json-logs", help="Log lines as JSON (standard error).")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Look only: no key is needed and nothing is sent.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Recompute every proposed epoch from its published file, and prove the wrong ones wrong.

    Fetches what the header names, checks it against its hash, values it anew and compares. A fault is
    committed to, then proved, which ends the epoch and pays a part of the bond. Where other rows were
    published than committed, or none, leaves are asked for on chain. Ends cleanly on SIGTERM or Ctrl-C.

    Exit code 3: an epoch was wrong. Exit code 1: one could not be judged.

    Example: timebank watch --deployment deployment.json --cache fetched --keystore challenger.json
    --password-file password

    Example: timebank watch --deployment deployment.json --cache fetched --once --dry-run --json
    """
    if cache is None:
        raise UsageError("no folder to fetch into", hint="add --cache DIR; it is made if it is not there")
    for option, place in (("--cache", cache), ("--state", state)):
        if place is not None and place.exists() and not place.is_dir():
            raise UsageError(
                f"{option}: not a folder: {place}", hint="name another; it is made if it is not there"
            )
    try:
        pause = parse_duration(poll) / 1_000
    except ValueError as error:
        raise UsageError(f"--poll: {error}") from None
    from timebank_chain.oracle.clock import SystemClock
    from timebank_chain.oracle.loop import FATAL, repeat
    from timebank_chain.oracle.watchtower import WatchSettings, Watchtower, keep_secret
    from timebank_chain.valuation import load_policy

    settings = WatchSettings(
        cache=cache,
        fetch=_watched_places(fetching, source),
        policies=tuple(load_policy(name) for name in policy or ()),
        ask=ask,
        max_deposit_wei=parse_ether(max_deposit, "--max-deposit"),
        budget_wei=parse_ether(budget, "--budget"),
    )
    try:
        # Also to look only: what is fetched is kept there.
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"--cache: {cache} cannot be made: {error.strerror}", hint="name a folder you may write to"
        ) from error
    stop = threading.Event()
    stop_on_signals(stop)
    log_to_stderr(as_json=json_logs)
    timebank = open_system(rpc_url, deployment)
    signer = None if dry_run else open_signer(keystore, sender, password_file)
    folder = state or cache / ".watch"
    looks: list[Look] = []
    with open_state(timebank, folder, throwaway=dry_run) as journal:
        clock = SystemClock(stop)
        tower = Watchtower(
            timebank, settings, signer, journal, clock, secret=keep_secret(journal.path.parent), stop=stop
        )
        tower.startup()

        def keep(look: Look) -> None:
            # Of looks that saw the same as the one before, one is enough.
            if not looks or look != looks[-1]:
                looks.append(look)
                if not as_json:
                    _show(look, None if signer is None else signer.address)

        def step() -> bool:
            try:
                look = tower.look()
            except TimebankError:
                # What it saw before it failed is not lost.
                if tower.seen is not None:
                    keep(tower.seen)
                raise
            keep(look)
            return not (look.sent or look.voided)

        failure = None
        try:
            repeat(step, stop=stop, clock=clock, poll_seconds=pause, fatal=FATAL, once=once)
        except TimebankError as error:
            if not looks:
                raise
            failure = error
            print_error(error, as_json=False)
    if as_json:
        body = {
            "funds": None if tower.funds is None else tower.funds.to_json(),
            "looks": [look.to_json() for look in looks],
            "error": None if failure is None else error_body(failure),
        }
        print_json("timebank.watch/1", body)
    if any(look.wrong for look in looks):
        raise typer.Exit(CheckFailed.exit_code)
    if failure is not None:
        raise typer.Exit(failure.exit_code)
    if looks and looks[-1].unjudged:
        raise typer.Exit(1)


def _watched_places(fetching: Fetching, source: str | None) -> FetchOptions:
    """Return where epochs are fetched from, refusing what would hold one epoch only."""
    options = fetching.options(source)
    if source is not None and source.lower().startswith("sha256:"):
        raise UsageError(
            f"--source: a content address is of one epoch, a watchtower needs them all: {source!r}",
            hint="leave --source out; give --store for headers that name content addresses",
        )
    return options


def _show(look: Look, me: str | None) -> None:
    """Say what a look saw and did; ``me`` is the address of who watches."""
    console = out()
    if look.pending is None or look.header is None or look.judgement is None:
        if look.ended is None:
            console.print("nothing is pending")
    else:
        pending, judgement = look.pending, look.judgement
        console.print(
            f"epoch {pending.epoch} by {pending.proposer}, until "
            f"{format_time(pending.challenge_ends_at * 1_000)}: {judgement.verdict.value}",
            markup=False,
        )
        if judgement.reason:
            console.print(f"  {judgement.reason}", markup=False)
        for fault in judgement.faults:
            console.print(f"  {fault}", markup=False)
    for action in look.actions:
        if action.tx is None:
            sent = "not sent (--dry-run)"
        elif action.waiting:
            sent = f"on its way in {action.tx}, in no block yet; the next start goes on from there"
        else:
            sent = f"sent in {action.tx}" + ("" if action.gas_used is None else f", {action.gas_used:,} gas")
        value = f" with {format_coins(action.value)} coins" if action.value else ""
        console.print(f"  {action.what}{value}: {sent}", markup=False)
    if look.ended is not None:
        by = "this account" if look.ended.by == me else f"somebody else, {look.ended.by}"
        reward = format_coins(look.ended.reward)
        console.print(
            f"epoch {look.ended.epoch} was wrong and is ended by {by}, for {reward} coins", markup=False
        )
