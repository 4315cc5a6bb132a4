"""``timebank wallet why``: what an account's numbers changed by since the epoch before, cause by cause."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from timebank_chain.cli.options import (
    DEFAULT_RPC_URL,
    AsJson,
    DeploymentFile,
    EpochsFolder,
    FromAddress,
    Keystore,
    RpcUrl,
    account_of,
    open_system,
    require_epochs,
)
from timebank_chain.cli.output import out, print_json, print_table
from timebank_chain.cli.wallet_link import placeholder_of
from timebank_chain.errors import UsageError
from timebank_chain.units import format_micro, format_time

if TYPE_CHECKING:
    from timebank_chain.epoch.change import ExplainedEpoch
    from timebank_chain.valuation.change import Change, Parameters


def command(
    epoch: Annotated[int, typer.Argument(metavar="EPOCH", help="The epoch to explain; a final one.")],
    account: Annotated[
        str | None, typer.Option("--account", metavar="ADDRESS", help="Whose (default: your wallet).")
    ] = None,
    member: Annotated[
        str | None,
        typer.Option("--member", metavar="ID", help="The placeholder of this outside id."),
    ] = None,
    epochs: EpochsFolder = None,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    keystore: Keystore = None,
    sender: FromAddress = None,
    as_json: AsJson = False,
) -> None:
    """Explain what an account earned, its standing and its mint by what changed since the epoch before.

    Three causes sum to the difference exactly: new activity (your acts, and those of all others, which move
    the mean and the total), ageing, and parameters (policy, rate, pot). Everything is worked out from the
    published acts of both epochs, whose headers must be the ones final on chain.

    Example: timebank wallet why 2 --account 0x... --epochs epochs

    Example: timebank wallet why 2 --member ada@example.org --json
    """
    from timebank_chain.chain.addresses import address_bytes
    from timebank_chain.chain.final_epochs import read_final_epoch
    from timebank_chain.epoch.change import explain_epoch
    from timebank_chain.epoch.file import read_policy

    folder = require_epochs(epochs)
    if account is not None and member is not None:
        raise UsageError("--account and --member name the same thing twice", hint="give one of them")
    if epoch < 1:
        raise UsageError(f"EPOCH is {epoch}, epochs are numbered from 1")
    whose = placeholder_of(member) if member is not None else account_of(account, keystore, sender)
    timebank = open_system(rpc_url, deployment)
    block = timebank.connection.block_number()
    published = read_final_epoch(timebank, folder, epoch, block=block)
    previous = read_final_epoch(timebank, folder, epoch - 1, block=block) if epoch > 1 else None
    explained = explain_epoch(
        published,
        previous,
        read_policy(folder, published.header.policy_hash),
        None if previous is None else read_policy(folder, previous.header.policy_hash),
        address_bytes(whose),
    )
    if as_json:
        body = {**explained.to_json(), "account": whose, "block": block}
        print_json("timebank.wallet.why/1", body)
        return
    _print(explained, whose)


def _print(seen: ExplainedEpoch, whose: str) -> None:
    columns: tuple[Change, ...] = (seen.change.earned, seen.change.standing, seen.change.mint)

    def row(name: str, field: str) -> list[str]:
        amounts = [int(getattr(change, field)) for change in columns]
        signed = field not in ("before", "after")
        return [
            name,
            *(f"{'+' if signed and amount > 0 else ''}{format_micro(amount)}" for amount in amounts),
        ]

    before = "before the first epoch" if seen.before is None else f"epoch {seen.epoch - 1}"
    print_table(
        f"{whose}: from {before} to epoch {seen.epoch} (until {format_time(seen.end_ms)})",
        ["", ">earned, value", ">standing, value", ">mint, credits"],
        [
            row(before, "before"),
            row("new activity", "new_activity"),
            row("  your own acts", "own_activity"),
            row("  all others' acts", "others_activity"),
            row("ageing", "ageing"),
            row("parameters", "parameters"),
            row("  policy", "policy"),
            row("  rate", "rate"),
            row("  bonus pot", "pot"),
            row(f"epoch {seen.epoch}", "after"),
            row("remainder", "remainder"),
        ],
    )
    out().print(f"{seen.acts} acts in this epoch, {seen.acts_before} in the one before", markup=False)
    for line in _changed(seen.before, seen.now):
        out().print(line, markup=False)


def _changed(before: Parameters | None, now: Parameters) -> list[str]:
    if before is None:
        return ["the first epoch: its parameters count as having always been there"]
    lines = []
    if before.policy != now.policy:
        old, new = (f"'{one.policy.name}' version {one.policy.version}" for one in (before, now))
        lines.append(f"policy: {old} before, {new} now")
    if before.rate_q24 != now.rate_q24:
        lines.append(f"rate: {before.rate_q24 / 2**24:g} before, {now.rate_q24 / 2**24:g} now")
    if before.pot != now.pot:
        lines.append(f"bonus pot: {format_micro(before.pot)} before, {format_micro(now.pot)} now")
    return lines or ["policy, rate and bonus pot are those of the epoch before"]
