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

    Example: timebank chain cancel 0x1c9e64f0 --from 0x...
    """
    from timebank_chain.chain.scheduled import find_scheduled

    timebank = open_system(rpc_url, deployment)
    found = find_scheduled(timebank, operation)
    perform(
        timebank,
        open_signer(keystore, sender, password_file),
        timebank.access_manager.cancel(found.caller, found.call),
        question=f"drop {found.call.name}, scheduled by {found.caller}?",
        schema="timebank.chain.cancel/1",
        facts={
            "operation_id": "0x" + found.operation_id.hex(),
            "contract": found.call.contract,
            "function": found.call.function,
            "caller": found.caller,
            "ready_at": found.ready_at,
        },
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
    )
