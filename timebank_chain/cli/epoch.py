"""``timebank epoch``: build, inspect, verify and prove epochs, and explain them to one account."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from timebank_chain.cli import epoch_corrupt, epoch_fetch
from timebank_chain.cli.epoch_holds import (
    DEFAULT_RATE,
    HoldRate,
    HoldsFile,
    HoldSuspicious,
    PraiseFile,
    PublishedHolds,
    holding,
    tell,
)
from timebank_chain.cli.epoch_policy import choose_policy, require_policies
from timebank_chain.cli.epoch_rate import BuildRate, check_pots, choose_rates
from timebank_chain.cli.epoch_replace import require_replaceable
from timebank_chain.cli.epoch_view import (
    activity_table,
    epoch_document,
    header_table,
    print_receipt,
    top_accounts,
)
from timebank_chain.cli.options import (
    DEFAULT_RPC_URL,
    AsJson,
    DeploymentFile,
    EpochsFolder,
    RpcUrl,
    require_epochs,
)
from timebank_chain.cli.output import out, print_json, print_table, say
from timebank_chain.documents import write_whole
from timebank_chain.errors import CheckFailed, EpochError, UsageError
from timebank_chain.units import format_duration, format_micro, format_time, parse_duration, parse_time

if TYPE_CHECKING:
    from timebank_chain.epoch import EpochBuild, PublishedEpoch
    from timebank_chain.valuation import Policy

app = typer.Typer(
    help="Build, inspect, verify and prove epochs.\n\n"
    "Example: timebank epoch build --activity activity.parquet --policy git --epochs epochs "
    "--start 2026-01-01T00:00:00Z --every 28d --until 2026-06-30T00:00:00Z",
    no_args_is_help=True,
)
app.command("fetch")(epoch_fetch.command)
app.command("corrupt")(epoch_corrupt.command)

Number = Annotated[
    int | None, typer.Option("--epoch", metavar="N", min=1, help="Which epoch (default: the latest).")
]
MembersFile = Annotated[
    Path | None,
    typer.Option(
        "--members", metavar="FILE", help="Members file (CSV member,address); others: placeholders."
    ),
]
AccountAddress = Annotated[str | None, typer.Option("--account", metavar="ADDRESS", help="Whose account.")]
MemberId = Annotated[
    str | None, typer.Option("--member", metavar="ID", help="Outside id instead of the account.")
]

_EXIT_CHECK_FAILED = CheckFailed.exit_code
_MAX_PROOF_BYTES = 1 << 18


@app.command("build")
def build(
    activity: Annotated[
        Path,
        typer.Option("--activity", metavar="FILE", help="Activity table (Parquet, from timebank ingest)."),
    ],
    epochs: EpochsFolder = None,
    policy: Annotated[
        str | None,
        typer.Option(
            "--policy",
            metavar="P",
            help="Policy by name or file (default: what the deployment's chain requires, if an earlier epoch "
            "had it; without a deployment the previous epoch's).",
        ),
    ] = None,
    members: MembersFile = None,
    start: Annotated[
        str | None,
        typer.Option("--start", metavar="T", help="Start; the first epoch needs it, later ones follow on."),
    ] = None,
    end: Annotated[
        str | None,
        typer.Option("--end", metavar="T", help="End (default: the start and the policy's epoch length)."),
    ] = None,
    every: Annotated[
        str | None, typer.Option("--every", metavar="TIME", help="Length when several are built (28d).")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="T", help="Build epoch after epoch, up to this time.")
    ] = None,
    number: Annotated[
        int | None,
        typer.Option("--epoch", metavar="N", min=1, help="Build this one again (default: the next one)."),
    ] = None,
    rate_q24: Annotated[
        int | None,
        typer.Option(
            "--rate-q24",
            metavar="RATE",
            min=0,
            help="Micro-credits per micro-value, 16777216 = 1 (default: what the deployment's chain "
            "requires; without a deployment as before, first the policy's).",
        ),
    ] = None,
    pot: Annotated[
        int, typer.Option("--pot", metavar="MICRO", min=0, help="Bonus pot in micro-credits, of each epoch.")
    ] = 0,
    data_uri: Annotated[
        str, typer.Option("--data-uri", metavar="URI", help="Where the published files can be fetched.")
    ] = "",
    hold_suspicious: HoldSuspicious = False,
    holds: HoldsFile = None,
    praise: PraiseFile = None,
    hold_rate: HoldRate = DEFAULT_RATE,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an epoch published otherwise; its signatures are lost.")
    ] = False,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    as_json: AsJson = False,
) -> None:
    """Value the acts of an epoch and publish it.

    Takes the acts that settle after the start, up to the end; without --start it follows the last epoch.
    With --hold-suspicious, acts of members who stand out are held back until a person released them
    (timebank attention release); what is held or released is in a file that whoever signs needs too.
    With a deployment policy and rate are those its chain requires, and the rate may float; it says which it
    took and why. A bonus pot that its fee pool does not hold is refused, and so is --force where an epoch of
    another header is final or pending on chain.

    Example: timebank epoch build --activity activity.parquet --policy identity --epochs epochs
    --start 2026-01-01T00:00:00Z --end 2026-02-01T00:00:00Z

    Example: timebank epoch build --activity activity.parquet --epochs epochs --until 2026-06-30T00:00:00Z

    Example: timebank epoch build --activity activity.parquet --epochs epochs --hold-suspicious
    """
    from timebank_chain.activity import Members, load_members, read_activity
    from timebank_chain.epoch import build_epoch, publish, published_numbers, read_epoch
    from timebank_chain.oracle.holds import NothingHeld

    folder = require_epochs(epochs)
    last = (published_numbers(folder) or [0])[-1]
    target = number if number is not None else last + 1
    if target > last + 1:
        raise UsageError(f"epoch {target} cannot follow epoch {last}", hint=f"build epoch {last + 1} first")
    previous = read_epoch(folder, target - 1) if target > 1 else None
    chosen = choose_policy(
        target, given=policy, folder=folder, previous=previous, rpc_url=rpc_url, deployment=deployment
    )
    rules = chosen.rules
    intervals = list(_intervals(rules, previous, start=start, end=end, every=every, until=until))
    required = require_policies(target, len(intervals), chosen, rpc_url=rpc_url, deployment=deployment)
    table = read_activity(activity)
    roster = Members() if members is None else load_members(members)
    rates = choose_rates(
        target,
        len(intervals),
        given=rate_q24,
        rules=rules,
        previous=previous,
        rpc_url=rpc_url,
        deployment=deployment,
    )
    check_pots(target, len(intervals), pot, folder=folder, rpc_url=rpc_url, deployment=deployment)
    held = holding(folder, holds, judge=hold_suspicious, praise=praise, rate=hold_rate)
    built = []
    plan = zip(intervals, rates, required, strict=True)
    for current, ((start_ms, end_ms), rate, asked) in enumerate(plan, start=target):
        with (held or NothingHeld()).building(
            table, epoch=current, start_ms=start_ms, end_ms=end_ms, policy=rules
        ) as acts:
            said = {} if held is None else {"holds": tell(held.path, current, acts)}
            made = build_epoch(
                acts.table,
                roster,
                rules,
                start_ms=start_ms,
                end_ms=end_ms,
                previous=previous,
                rate_q24=rate.rate_q24,
                pot=pot,
                data_uri=data_uri,
            )
            if force:
                require_replaceable(made.header, folder, rpc_url=rpc_url, deployment=deployment)
            acts.publishing(made.header)
            previous = publish(made, folder, force=force)
        built.append(_built_document(made, previous, rate) | chosen.to_json(asked) | said)
        say(f"epoch {made.header.epoch} published in {previous.folder}")
    if as_json:
        print_json("timebank.epoch.build/1", {"epochs": built})
        return
    print_table(
        f"Epochs built by policy '{rules.name}'",
        [
            "epoch",
            "from",
            "to",
            ">acts",
            ">earlier",
            ">later",
            ">accounts",
            ">earned",
            ">mint",
            "header hash",
        ],
        [
            (
                entry["epoch"],
                format_time(entry["startMs"]),
                format_time(entry["endMs"]),
                entry["activityCount"],
                entry["left_out"]["earlier"],
                entry["left_out"]["later"],
                entry["accountCount"],
                format_micro(entry["totalEarned"]),
                format_micro(entry["totalMint"]),
                entry["headerHash"][:18] + "...",
            )
            for entry in built
        ],
    )
    out().print("earlier and later: acts of the table that settle before or after the epoch; not in it.")


@app.command("inspect")
def inspect(
    epochs: EpochsFolder = None,
    number: Number = None,
    top: Annotated[int, typer.Option("--top", metavar="N", min=0, help="Accounts to show.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Show an epoch's header, policy and greatest accounts.

    Example: timebank epoch inspect --epochs epochs --epoch 1 --top 20
    """
    from timebank_chain.epoch import read_epoch, read_policy

    folder = require_epochs(epochs)
    numbers, chosen = _choose(folder, number)
    published = read_epoch(folder, chosen)
    policy = read_policy(folder, published.header.policy_hash)
    if as_json:
        body = epoch_document(published, policy, top)
        print_json("timebank.epoch.inspect/1", {"epochs": numbers, **body})
        return
    header_table(published, policy)
    top_accounts(published, top)
    out().print(f"published epochs: {numbers[0]} to {numbers[-1]}")


@app.command("verify")
def verify(
    epochs: EpochsFolder = None,
    number: Annotated[
        int | None, typer.Option("--epoch", metavar="N", min=1, help="Only this one (default: all).")
    ] = None,
    activity: Annotated[
        Path | None,
        typer.Option("--activity", metavar="FILE", help="Also compare the record ids with this table."),
    ] = None,
    members: MembersFile = None,
    holds: HoldsFile = None,
    erased: Annotated[
        Path | None,
        typer.Option(
            "--erased",
            metavar="FILE",
            help="Who was erased since, with --activity (default: the oracle's list in EPOCHS, if there).",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Recompute published epochs and name what is wrong.

    Recomputed from the rows: every value, sum, standing and mint, roots, totals and the chain of headers.
    Exit code 3 names the first wrong row or field of each part; 1 a file that was cut or changed.

    Example: timebank epoch verify --epochs epochs --activity activity.parquet --members members.csv
    """
    from timebank_chain.activity import Members, load_members, read_activity
    from timebank_chain.epoch import read_epoch, read_policy, verify_epoch, verify_records

    folder = require_epochs(epochs)
    if members is not None and activity is None:
        raise UsageError(
            "--members tells who is who in an activity table, and none is given", hint="add --activity FILE"
        )
    if erased is not None and (activity is None or not erased.is_file()):
        raise UsageError(f"--erased {erased}: no such file, or no --activity beside it", hint="check both")
    numbers, _ = _choose(folder, number)
    wanted = numbers if number is None else [number]
    table = None if activity is None else read_activity(activity)
    known = None if table is None else PublishedHolds(table, folder, holds, erased)
    forgotten = frozenset() if known is None else known.forgotten()
    roster = Members() if members is None else load_members(members)
    results: list[dict[str, Any]] = []
    lines: list[str] = []
    previous = read_epoch(folder, wanted[0] - 1) if wanted[0] > 1 else None
    for current in wanted:
        published = read_epoch(folder, current)
        policy = read_policy(folder, published.header.policy_hash)
        findings = verify_epoch(published, previous, policy)
        if known is not None:
            findings += known.findings(current)
            findings += verify_records(published, known.table_of(published), roster, policy, forgotten)
        lines += [f"epoch {current}: {finding}" for finding in findings]
        results.append(
            {
                "epoch": current,
                "ok": not findings,
                "header_hash": "0x" + published.header.hash().hex(),
                "activities": len(published.activities),
                "accounts": len(published.accounts),
                "findings": [finding.to_json() for finding in findings],
            }
        )
        say(f"epoch {current}: {'recomputed, all right' if not findings else f'{len(findings)} findings'}")
        previous = published
    if as_json:
        print_json("timebank.epoch.verify/1", {"ok": not lines, "epochs": results})
        if lines:
            raise typer.Exit(_EXIT_CHECK_FAILED)
        return
    if lines:
        for line in lines:
            out().print(f"wrong: {line}", markup=False)
        raise CheckFailed(
            f"{len(lines)} findings; the first: {lines[0]}",
            hint="do not sign or claim from these epochs; fetch them again, or challenge the proposal",
        )
    acts = sum(entry["activities"] for entry in results)
    out().print(
        f"{len(results)} epochs with {acts:,} activities recomputed: every leaf, root and total holds"
    )


@app.command("prove")
def prove(
    epochs: EpochsFolder = None,
    number: Number = None,
    account: AccountAddress = None,
    member: MemberId = None,
    members: MembersFile = None,
    activity: Annotated[
        int | None, typer.Option("--activity", metavar="INDEX", min=0, help="An activity leaf instead.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write the proof here.")
    ] = None,
    check: Annotated[
        Path | None,
        typer.Option("--check", metavar="FILE", help="Check a proof file; with --epochs also its header."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Prove a leaf of an epoch, or check such a proof.

    A proof that does not hold ends with exit code 3.

    Example: timebank epoch prove --epochs epochs --member ada@example.org -o proof.json

    Example: timebank epoch prove --check proof.json
    """
    if check is not None:
        if account is not None or member is not None or activity is not None or output is not None:
            raise UsageError("--check takes a proof file and nothing else to prove", hint="drop the others")
        _check_proof(check, epochs, as_json=as_json)
        return
    from timebank_chain.epoch import account_proof, activity_proof, read_epoch

    folder = require_epochs(epochs)
    if (account is not None) + (member is not None) + (activity is not None) != 1:
        raise UsageError(
            "say what to prove", hint="add one of --account ADDRESS, --member ID or --activity INDEX"
        )
    _, chosen = _choose(folder, number)
    published = read_epoch(folder, chosen)
    if activity is not None:
        document = activity_proof(published, activity).to_json()
    else:
        document = account_proof(published, _account(account, member, members)).to_json()
    if output is not None:
        _write(output, json.dumps(document, indent=2) + "\n")
        say(f"proof written to {output}; check it with: timebank epoch prove --check {output}")
        if not as_json:
            return
    print_json(document.pop("schema"), document)


@app.command("receipt")
def show_receipt(
    epochs: EpochsFolder = None,
    number: Number = None,
    account: AccountAddress = None,
    member: MemberId = None,
    members: MembersFile = None,
    as_json: AsJson = False,
) -> None:
    """Explain step by step what an account received.

    Acts -> ranks -> quality -> weight -> value -> earned -> brackets -> mint, with the proof of its leaf.

    Example: timebank epoch receipt --epochs epochs --member ada@example.org
    """
    from timebank_chain.epoch import read_epoch, read_policy, receipt

    folder = require_epochs(epochs)
    if (account is not None) + (member is not None) != 1:
        raise UsageError("say whose receipt", hint="add --account ADDRESS or --member ID")
    _, chosen = _choose(folder, number)
    published = read_epoch(folder, chosen)
    previous = read_epoch(folder, chosen - 1) if chosen > 1 else None
    policy = read_policy(folder, published.header.policy_hash)
    result = receipt(published, previous, policy, _account(account, member, members))
    if as_json:
        print_json("timebank.receipt/1", result.to_json())
        return
    activity_table(result)
    print_receipt(result)


def _choose(folder: Path, number: int | None) -> tuple[list[int], int]:
    """Return the published epochs' numbers and the chosen one (default: the latest)."""
    from timebank_chain.epoch import published_numbers

    numbers = published_numbers(folder)
    if not numbers:
        raise EpochError(
            "no epoch is published here", where=str(folder), hint="build one: timebank epoch build --help"
        )
    if number is not None and number not in numbers:
        raise UsageError(f"there is no epoch {number}", hint=f"published: {numbers[0]} to {numbers[-1]}")
    return numbers, numbers[-1] if number is None else number


def _intervals(
    policy: Policy,
    previous: PublishedEpoch | None,
    *,
    start: str | None,
    end: str | None,
    every: str | None,
    until: str | None,
) -> Iterator[tuple[int, int]]:
    """Yield start and end of each epoch to build."""
    from timebank_chain.epoch.build import check_interval

    if end is not None and (until is not None or every is not None):
        raise UsageError("--end ends one epoch, --every and --until build several", hint="drop one of them")
    now = time.time_ns() // 1_000_000
    if start is not None:
        at = _time(start, "--start")
    elif previous is not None:
        at = previous.header.end_ms
    else:
        raise UsageError("the first epoch needs a start", hint="add --start 2026-01-01T00:00:00Z")
    if end is not None:
        stop, length = _time(end, "--end"), 0
    else:
        length = _length(every) if every is not None else policy.epoch_ms
        if not length:
            raise UsageError(
                f"policy '{policy.name}' leaves the length of an epoch open",
                hint="add --end T, or --every 28d --until T",
            )
        stop = at + length if until is None else _time(until, "--until")
    if stop > now:
        raise UsageError(
            f"the epoch would end at {format_time(stop)}, which is still to come",
            hint="what happens until then is not known yet; end it in the past",
        )
    if at + length > stop or at >= stop:
        raise UsageError(
            f"no epoch fits between {format_time(at)} and {format_time(stop)}",
            hint=f"an epoch is {format_duration(length)} long" if length else "end it after its start",
        )
    check_interval(policy, previous, start_ms=at, end_ms=at + length if length else stop)
    if not length:
        yield at, stop
        return
    while at + length <= stop:
        yield at, at + length
        at += length


def _time(text: str, flag: str) -> int:
    try:
        return parse_time(text)
    except ValueError as error:
        raise UsageError(f"{flag}: {error}", hint="write 2026-01-31T12:00:00Z") from None


def _length(text: str) -> int:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"--every: {error}", hint="write --every 7d or --every 28d") from None


def _account(account: str | None, member: str | None, members: Path | None) -> bytes:
    from timebank_chain.activity import Members, load_members
    from timebank_chain.chain.addresses import address_bytes, parse_account

    if account is not None:
        return address_bytes(parse_account(account, what="--account"))
    roster = Members() if members is None else load_members(members)
    return roster.account_of(member or "")


def _check_proof(path: Path, epochs: Path | None, *, as_json: bool) -> None:
    from timebank_chain.chain.addresses import address_text
    from timebank_chain.epoch import AccountProof, proof_from_json, read_epoch
    from timebank_chain.epoch.file import read_json_object

    _, document = read_json_object(path, limit=_MAX_PROOF_BYTES)
    try:
        proof = proof_from_json(document)
    except EpochError as error:
        raise CheckFailed(
            f"the proof does not hold: {error.message}",
            where=f"{path}, {error.where}" if error.where else str(path),
            hint=error.hint or "make it again: timebank epoch prove",
        ) from error
    header = proof.header
    if epochs is not None and read_epoch(epochs, header.epoch).header.hash() != header.hash():
        raise CheckFailed(
            f"the proof is of another epoch {header.epoch} than the published one",
            where=str(path),
            hint="ask for a proof against the published header",
        )
    leaf = proof.leaf
    what = "account" if isinstance(proof, AccountProof) else "activity"
    if as_json:
        body = {"ok": True, "kind": what, "epoch": header.epoch, "headerHash": "0x" + header.hash().hex()}
        print_json("timebank.epoch.prove.check/1", {**body, "leaf": leaf.to_json()})
        return
    out().print(f"the proof holds: {what} leaf {leaf.index} of epoch {header.epoch}")
    out().print(f"account      {address_text(leaf.account)}")
    if isinstance(proof, AccountProof):
        out().print(f"mint         {format_micro(proof.leaf.mint)} credits in this epoch")
        out().print(f"cumulative   {format_micro(proof.leaf.cumulative_mint)} credits up to it")
    else:
        out().print(f"value        {format_micro(proof.leaf.value)}")
    out().print(f"header hash  0x{header.hash().hex()}")
    if epochs is None:
        out().print("compare the header hash with the chain's, or check again with --epochs DIR")


def _built_document(made: EpochBuild, published: PublishedEpoch, rate: BuildRate) -> dict[str, Any]:
    header = made.header.to_json()
    del header["schema"]
    left_out = {"earlier": made.left_out.earlier, "later": made.left_out.later}
    return {**header, **rate.to_json(), "left_out": left_out, "folder": str(published.folder)}


def _write(path: Path, text: str) -> None:
    try:
        write_whole(path, text)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}", hint="choose another -o") from None
