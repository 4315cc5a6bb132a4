"""``timebank service reject | partial | agree | dispute | rule``: when a delivery is not what was agreed."""

from __future__ import annotations

from typing import Annotated

import typer

from timebank_chain.cli.options import (
    DEFAULT_RPC_URL,
    Amount,
    AsJson,
    DeploymentFile,
    DryRun,
    FromAddress,
    Keystore,
    PasswordFile,
    RpcUrl,
    Yes,
    amount_micro,
)
from timebank_chain.cli.service.options import ContentFolder, OrderId, Text, TextFile
from timebank_chain.cli.service.session import Session
from timebank_chain.cli.service.texts import Note
from timebank_chain.units import format_micro


def reject(
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
    """Reject a delivery: you would pay nothing. The provider may agree, or ask the arbiter.

    Example: timebank service reject 7 --text "nobody came" --from 0x...
    """
    note = Note.read(content, text, file)
    session = Session.open(
        rpc_url, deployment, keystore, password_file, sender, yes=yes, dry_run=dry_run, as_json=as_json
    )
    session.order(order_id)
    session.step(
        "reject",
        order_id,
        [session.timebank.service_escrow.contest(order_id, 0, note.content_hash)],
        f"reject the delivery of order {order_id}?",
        note=note,
    )


def partial(
    order_id: OrderId,
    amount: Amount,
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
    """Accept a part of a delivery: you would pay so much. The provider may agree, or ask the arbiter.

    Example: timebank service partial 7 2 --text "two of three lessons" --from 0x...
    """
    note = Note.read(content, text, file)
    part = amount_micro(amount)
    session = Session.open(
        rpc_url, deployment, keystore, password_file, sender, yes=yes, dry_run=dry_run, as_json=as_json
    )
    order = session.order(order_id)
    session.step(
        "partial",
        order_id,
        [session.timebank.service_escrow.contest(order_id, part, note.content_hash)],
        f"pay {format_micro(part)} of {format_micro(order.held)} credits for order {order_id}?",
        {"part_micro": part},
        note,
    )


def agree(
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
    """Agree to the part the buyer would pay; after a rejection that is nothing.

    Example: timebank service agree 7 --from 0x...
    """
    session = Session.open(
        rpc_url, deployment, keystore, password_file, sender, yes=yes, dry_run=dry_run, as_json=as_json
    )
    order = session.order(order_id)
    session.step(
        "agree",
        order_id,
        [session.timebank.service_escrow.concede(order_id)],
        f"settle order {order_id} for {format_micro(order.part)} of {format_micro(order.held)} credits?",
        {"part_micro": order.part},
    )


def dispute(
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
    """Ask the arbiter to divide the credits.

    If the arbiter never rules, the listing's default part is yours.

    Example: timebank service dispute 7 --text "I was there, see the photograph" --from 0x...
    """
    note = Note.read(content, text, file)
    session = Session.open(
        rpc_url, deployment, keystore, password_file, sender, yes=yes, dry_run=dry_run, as_json=as_json
    )
    order = session.order(order_id)
    session.step(
        "dispute",
        order_id,
        [session.timebank.service_escrow.dispute(order_id, note.content_hash)],
        f"ask {order.proposal.arbiter} to rule on order {order_id}?",
        note=note,
    )


def rule(
    order_id: OrderId,
    amount: Annotated[
        str, typer.Argument(metavar="CREDITS", help="For the provider, fee included; 0 for nothing.")
    ],
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
    """Rule on a dispute you are the arbiter of: so much for the provider, the rest for the buyer.

    Example: timebank service rule 7 1.5 --text "half the work was done" --from 0x...
    """
    note = Note.read(content, text, file)
    part = 0 if amount.strip() in ("0", "0.0") else amount_micro(amount)
    session = Session.open(
        rpc_url, deployment, keystore, password_file, sender, yes=yes, dry_run=dry_run, as_json=as_json
    )
    order = session.order(order_id)
    session.step(
        "rule",
        order_id,
        [session.timebank.service_escrow.rule(order_id, part, note.content_hash)],
        f"give {format_micro(part)} credits to the provider and the rest of "
        f"{format_micro(order.held)} to the buyer?",
        {"part_micro": part},
        note,
    )
