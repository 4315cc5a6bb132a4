"""``timebank service orders | show | move | rate | ratings``: where orders stand, and what became of them."""

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
    account_of,
    open_system,
)
from timebank_chain.cli.output import print_json
from timebank_chain.cli.service import view
from timebank_chain.cli.service.options import ContentFolder, OrderId, Text, TextFile
from timebank_chain.cli.service.session import Session, listing_of
from timebank_chain.cli.service.texts import Note, open_store


def orders_command(
    account: Annotated[
        str | None, typer.Argument(metavar="[ADDRESS]", help="Whose orders (default: your wallet's).")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Also orders that are over.")] = False,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    keystore: Keystore = None,
    sender: FromAddress = None,
    as_json: AsJson = False,
) -> None:
    """List an account's orders, as buyer, provider or arbiter: what each side may do next, and until when.

    Example: timebank service orders 0x...
    """
    whose = account_of(account, keystore, sender)
    timebank = open_system(rpc_url, deployment)
    at = timebank.connection.simulation_block
    escrow, now = timebank.service_escrow, timebank.connection.pending_timestamp()
    found = []
    for number in range(1, escrow.order_count(block=at) + 1):
        order = escrow.order_of(number, block=at)
        if order is None or not (order.deadline or every):
            continue
        if whose in (order.buyer, order.provider, order.proposal.arbiter):
            found.append((number, order, listing_of(timebank, order.listing_id)))
    if as_json:
        rows = [view.order_document(number, order, listing, now) for number, order, listing in found]
        print_json("timebank.service.orders/1", {"account": whose, "time": now, "orders": rows})
        return
    view.print_orders(whose, found, now)


def show(
    order_id: OrderId,
    content: ContentFolder = None,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    as_json: AsJson = False,
) -> None:
    """Show an order: where it stands, who may do what until when, and all that happened to it.

    Example: timebank service show 7
    """
    from timebank_chain.chain.service_history import read_order

    timebank = open_system(rpc_url, deployment)
    record = read_order(timebank, order_id)
    store = open_store(content)
    now = timebank.connection.pending_timestamp()
    if as_json:
        print_json("timebank.service.show/1", view.record_document(record, store, now))
        return
    view.print_record(record, store, now)


def move(
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
    """Move on an order whose deadline has passed. Anybody may, and there is one way it can go.

    Example: timebank service move 7 --from 0x...
    """
    from timebank_chain.chain.service_steps import lapse_effect

    session = Session.open(
        rpc_url, deployment, keystore, password_file, sender, yes=yes, dry_run=dry_run, as_json=as_json
    )
    order = session.order(order_id)
    effect = lapse_effect(order, session.listing(order.listing_id))
    session.step(
        "move",
        order_id,
        [session.timebank.service_escrow.move(order_id)],
        f"end order {order_id}: {effect}?",
        {"effect": effect},
    )


def rate(
    order_id: OrderId,
    stars: Annotated[int, typer.Argument(metavar="STARS", min=1, max=5, help="1 to 5.")],
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
    """Rate the other side of a settled order, once.

    Example: timebank service rate 7 5 --text "patient and clear" --from 0x...
    """
    note = Note.read(content, text, file)
    session = Session.open(
        rpc_url, deployment, keystore, password_file, sender, yes=yes, dry_run=dry_run, as_json=as_json
    )
    order = session.order(order_id)
    other = order.provider if session.signer.address == order.buyer else order.buyer
    session.step(
        "rate",
        order_id,
        [session.timebank.service_escrow.rate(order_id, stars, note.content_hash)],
        f"give {other} {stars} of 5 stars for order {order_id}?",
        {"rated": other, "stars": stars},
        note,
    )


def ratings(
    account: Annotated[
        str | None, typer.Argument(metavar="[ADDRESS]", help="Whose ratings (default: your wallet's).")
    ] = None,
    content: ContentFolder = None,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    keystore: Keystore = None,
    sender: FromAddress = None,
    as_json: AsJson = False,
) -> None:
    """List what others say of a member, and what was paid for the order each says it about.

    Example: timebank service ratings 0x...
    """
    from timebank_chain.chain.service_history import read_ratings

    whose = account_of(account, keystore, sender)
    found = read_ratings(open_system(rpc_url, deployment), whose)
    store = open_store(content)
    if as_json:
        print_json("timebank.service.ratings/1", view.ratings_document(whose, found, store))
        return
    view.print_ratings(whose, found, store)
