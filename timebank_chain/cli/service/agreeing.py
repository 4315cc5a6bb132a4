"""``timebank service order | accept | counter | decline | cancel``: until both sides agree, or do not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from timebank_chain.cli.lease_view import span
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
    amount_micro,
)
from timebank_chain.cli.service import view
from timebank_chain.cli.service.options import (
    ContentFolder,
    ListingId,
    OrderId,
    OtherArbiter,
    OtherDelivery,
    Text,
    TextFile,
    period,
)
from timebank_chain.cli.service.session import Session
from timebank_chain.cli.service.texts import Note
from timebank_chain.errors import UsageError
from timebank_chain.units import format_micro

if TYPE_CHECKING:
    from timebank_chain.chain.transactions import Receipt
    from timebank_chain.spec.service_escrow import Proposal


def _changed(
    proposal: Proposal, price: str | None, delivery: str | None, arbiter: str | None, note: Note
) -> Proposal:
    """Return a proposal with what was given changed."""
    from timebank_chain.chain.addresses import parse_address

    if price is not None:
        proposal = replace(proposal, price=amount_micro(price))
    if delivery is not None:
        proposal = replace(proposal, delivery=period(delivery, "--deliver"))
    if arbiter is not None:
        proposal = replace(proposal, arbiter=parse_address(arbiter, what="--arbiter"))
    if note.document is not None:
        proposal = replace(proposal, content_hash=note.content_hash)
    return proposal


def order_command(
    listing_id: ListingId,
    price: Annotated[
        str | None,
        typer.Option("--price", metavar="CREDITS", help="Propose another price than the listing's."),
    ] = None,
    delivery: OtherDelivery = None,
    arbiter: OtherArbiter = None,
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
    """Order what is offered, or offer to do what is asked for.

    The price of an offer goes into escrow (a transaction approves it first when needed). Who would do what is
    asked for pays nothing.

    Example: timebank service order 4 --from 0x...

    Example: timebank service order 4 --price 2.5 --text "half an hour is enough" --from 0x...
    """
    from timebank_chain.chain.events import decode_logs
    from timebank_chain.chain.service_events import ServiceOrdered
    from timebank_chain.spec.service_escrow import ListingKind

    note = Note.read(content, text, file)
    if price is not None:
        amount_micro(price)
    if delivery is not None:
        period(delivery, "--deliver")
    session = Session.open(
        rpc_url, deployment, keystore, password_file, sender, yes=yes, dry_run=dry_run, as_json=as_json
    )
    listing, escrow = session.listing(listing_id), session.timebank.service_escrow
    proposal = _changed(listing.proposal, price, delivery, arbiter, note)
    is_offer, me = listing.kind == ListingKind.OFFER, session.signer.address
    session.check(lambda spec, now: spec.place_order(me, listing_id, proposal, now=now), listing_id)
    calls = session.pay_in(proposal.price) if is_offer else []

    def learn(receipt: Receipt) -> Mapping[str, Any]:
        for event in decode_logs(receipt.logs, (ServiceOrdered,)):
            if isinstance(event, ServiceOrdered):
                return {"order_id": event.order_id, "deadline": event.deadline}
        return {}

    fee_bps = escrow.service_fee_bps(block=session.timebank.connection.simulation_block)
    session.show_terms(proposal, listing, fee_bps)
    cost = format_micro(proposal.price)
    sent = session.perform(
        "order",
        [*calls, escrow.place_order(listing_id, proposal)],
        f"put {cost} credits into escrow for what {listing.owner} offers?"
        if is_offer
        else f"offer to do for {cost} credits what {listing.owner} asks for?",
        {
            "order_id": None,
            "listing_id": listing_id,
            **view.terms_document(proposal, listing, fee_bps),
            "held_micro": proposal.price if is_offer else 0,
            "deadline": None,
            **note.facts,
        },
        learn,
        note,
    )
    if sent is not None and not as_json:
        session.say_next(learn(sent)["order_id"])


def accept(
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
    """Accept the order, or counter-offer, you are asked about.

    As the buyer you put the price into escrow (approved first when needed).

    Example: timebank service accept 7 --from 0x...
    """
    session = Session.open(
        rpc_url, deployment, keystore, password_file, sender, yes=yes, dry_run=dry_run, as_json=as_json
    )
    order, me = session.order(order_id), session.signer.address
    session.check(
        lambda spec, now: spec.accept(me, order_id, order.revision, now=now), order.listing_id, order_id
    )
    calls = session.pay_in(order.proposal.price - order.held) if me == order.buyer else []
    listing = session.listing(order.listing_id)
    session.show_terms(order.proposal, listing, order.fee_bps)
    price = format_micro(order.proposal.price)
    session.step(
        "accept",
        order_id,
        [*calls, session.timebank.service_escrow.accept(order_id, order.revision)],
        f"accept order {order_id} for {price} credits, delivered within {span(order.proposal.delivery)}?",
        {"revision": order.revision, **view.terms_document(order.proposal, listing, order.fee_bps)},
    )


def counter(
    order_id: OrderId,
    price: Annotated[
        str | None, typer.Argument(metavar="[CREDITS]", help="Another price (default: as it stands).")
    ] = None,
    delivery: OtherDelivery = None,
    arbiter: OtherArbiter = None,
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
    """Propose something else than you are asked about: price, time, arbiter, or other words.

    Example: timebank service counter 7 2.5 --deliver 14d --from 0x...
    """
    note = Note.read(content, text, file)
    if price is None and delivery is None and arbiter is None and note.document is None:
        raise UsageError("nothing is proposed", hint="give a price, --deliver, --arbiter or --text")
    if price is not None:
        amount_micro(price)
    if delivery is not None:
        period(delivery, "--deliver")
    session = Session.open(
        rpc_url, deployment, keystore, password_file, sender, yes=yes, dry_run=dry_run, as_json=as_json
    )
    order, me = session.order(order_id), session.signer.address
    proposal = _changed(order.proposal, price, delivery, arbiter, note)
    session.check(lambda spec, now: spec.counter(me, order_id, proposal, now=now), order.listing_id, order_id)
    calls = session.pay_in(proposal.price - order.held) if me == order.buyer else []
    listing = session.listing(order.listing_id)
    session.show_terms(proposal, listing, order.fee_bps)
    session.step(
        "counter",
        order_id,
        [*calls, session.timebank.service_escrow.counter(order_id, proposal)],
        f"propose {format_micro(proposal.price)} credits and {span(proposal.delivery)} for order {order_id}?",
        view.terms_document(proposal, listing, order.fee_bps),
        note,
    )


def _end_early(session: Session, verb: str, order_id: int) -> None:
    """Cancel before acceptance; after it the provider may still give everything back."""
    from timebank_chain.spec.service_escrow import Stage

    order, escrow = session.order(order_id), session.timebank.service_escrow
    asked = order.stage in (Stage.ASKED_PROVIDER, Stage.ASKED_BUYER)
    if not asked and session.signer.address == order.buyer and order.deadline:
        raise UsageError(
            f"order {order_id} is accepted: only its provider can still cancel it",
            hint="wait for the deadline, or reject the delivery: timebank service show " + str(order_id),
        )
    session.step(
        verb,
        order_id,
        [escrow.cancel(order_id) if asked else escrow.refund(order_id)],
        f"end order {order_id} and give {format_micro(order.held)} credits back to the buyer?",
        {"refunded_micro": order.held},
    )


def decline(
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
    """Decline an order or counter-offer; what is held goes back to the buyer.

    Example: timebank service decline 7 --from 0x...
    """
    session = Session.open(
        rpc_url, deployment, keystore, password_file, sender, yes=yes, dry_run=dry_run, as_json=as_json
    )
    _end_early(session, "decline", order_id)


def cancel(
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
    """Take an order back before it is accepted; as its provider also later: the buyer gets everything back.

    Example: timebank service cancel 7 --from 0x...
    """
    session = Session.open(
        rpc_url, deployment, keystore, password_file, sender, yes=yes, dry_run=dry_run, as_json=as_json
    )
    _end_early(session, "cancel", order_id)
