"""``timebank service deliver | approve``: the work is done, and paid."""

from __future__ import annotations

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
)
from timebank_chain.cli.service.options import ContentFolder, OrderId, Text, TextFile
from timebank_chain.cli.service.session import Session
from timebank_chain.cli.service.texts import Note
from timebank_chain.units import format_micro


def deliver(
    order_id: OrderId,
    text: Text = None,
    file: TextFile = None,
    content: ContentFolder = None,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    keystore: Keystore = None,
    password_file: PasswordFile = None,
    sender: FromAddress = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Say that the work is done; the buyer's time to look at it begins.

    Example: timebank service deliver 7 --text "the plan is in your mailbox" --from 0x...
    """
    note = Note.read(content, text, file)
    session = Session.open(
        rpc_url, deployment, keystore, password_file, sender, yes=yes, dry_run=dry_run, as_json=as_json
    )
    order = session.order(order_id)
    session.step(
        "deliver",
        order_id,
        [session.timebank.service_escrow.deliver(order_id, note.content_hash)],
        f"say that order {order_id} for {order.buyer} is done?",
        note=note,
    )


def approve(
    order_id: OrderId,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    keystore: Keystore = None,
    password_file: PasswordFile = None,
    sender: FromAddress = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Pay the provider in full.

    Example: timebank service approve 7 --from 0x...
    """
    session = Session.open(
        rpc_url, deployment, keystore, password_file, sender, yes=yes, dry_run=dry_run, as_json=as_json
    )
    order = session.order(order_id)
    session.step(
        "approve",
        order_id,
        [session.timebank.service_escrow.approve(order_id)],
        f"pay {format_micro(order.held)} credits to {order.provider}?",
    )
