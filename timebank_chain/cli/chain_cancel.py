"""``timebank chain cancel``: drop an operation that waits for its delay."""

from __future__ import annotations

from typing import Annotated

import typer

from timebank_chain.cli.options import (
    DEFAULT_RPC_URL,
    AsJson,
    DeploymentFile,
    DryRun,
    FromAddress,
    Keystore,
    PasswordFile,
    RpcUrl,
    Yes,
    open_signer,
    open_system,
)
from timebank_chain.cli.output import say
from timebank_chain.cli.scheduled_view import describe, operation_document
from timebank_chain.cli.writes import perform


def command(
    operation: Annotated[
        str,
        typer.Argument(metavar="ID", help="Its id, or the first eight hex digits: timebank chain powers."),
    ],
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    keystore: Keystore = None,
    password_file: PasswordFile = None,
    sender: FromAddress = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Drop a scheduled operation that should not run (canceller, administrator, or who scheduled it).

    The canceller drops what the governor has scheduled, but not what an administrator schedules as such,
    above all changes of roles: timebank chain powers says who may drop which.

    Example: timebank chain cancel 0x1c9e64f0 --from 0x...
    """
    from timebank_chain.chain.scheduled import find_scheduled

    timebank = open_system(rpc_url, deployment)
    found = find_scheduled(timebank, operation)
    what = describe(found, {address: name for name, address in timebank.addresses().items()})
    if not as_json and (yes or dry_run):
        say(f"drops {what}")
    document = operation_document(found)
    # In this document, `arguments` are those of the transaction that drops it.
    document["scheduled_arguments"] = document.pop("arguments")
    perform(
        timebank,
        open_signer(keystore, sender, password_file),
        timebank.access_manager.cancel(found.caller, found.call),
        question=f"drop {what}, scheduled by {found.caller}?",
        schema="timebank.chain.cancel/1",
        facts=document,
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
    )
