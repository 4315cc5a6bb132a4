"""``timebank service offer | request | stock | list``: what members do for each other, and for how much."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from timebank_chain.cli.lease_view import moment
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
    open_system,
)
from timebank_chain.cli.output import out, print_json
from timebank_chain.cli.service import view
from timebank_chain.cli.service.options import (
    MAX_STOCK,
    USUAL_ANSWER,
    Answer,
    Arbiter,
    ContentFolder,
    DefaultBps,
    Delivery,
    Expires,
    ListingId,
    Price,
    Respond,
    Review,
    Ruling,
    Stock,
    Text,
    TextFile,
    expiry,
    period,
)
from timebank_chain.cli.service.session import Session, listing_of
from timebank_chain.cli.service.texts import Note, open_store
from timebank_chain.errors import UsageError
from timebank_chain.units import format_micro

if TYPE_CHECKING:
    from timebank_chain.chain.transactions import Receipt
    from timebank_chain.spec.service_escrow import Listing


@dataclass(frozen=True)
class _Wanted:
    """What somebody offers or asks for, as typed."""

    price: str
    delivery: str
    arbiter: str
    stock: int
    expires: str
    default_bps: int
    respond: str
    review: str
    answer: str
    ruling: str

    def check(self, note: Note) -> None:
        """Refuse what can be seen to be wrong without asking a chain."""
        if note.document is None:
            raise UsageError("what is it?", hint="say it with --text or --file: orders are for a text")
        self.listing("offer", note, now=0)

    def listing(self, kind: Literal["offer", "request"], note: Note, *, now: int) -> Listing:
        """Read it; ``now`` in Unix seconds is what ``--expires`` is counted from."""
        from timebank_chain.chain.addresses import parse_address
        from timebank_chain.chain.member_registry import ZERO_ADDRESS
        from timebank_chain.spec.service_escrow import Listing, ListingKind, Periods, Proposal

        return Listing(
            owner=ZERO_ADDRESS,
            expires_at=expiry(self.expires, now),
            kind=ListingKind[kind.upper()],
            stock=self.stock,
            default_bps=self.default_bps,
            periods=Periods(
                response=period(self.respond, "--respond"),
                review=period(self.review, "--review"),
                answer=period(self.answer, "--answer"),
                ruling=period(self.ruling, "--ruling"),
            ),
            proposal=Proposal(
                amount_micro(self.price),
                period(self.delivery, "--deliver"),
                parse_address(self.arbiter, what="--arbiter"),
                note.content_hash,
            ),
        )


def _list_service(session: Session, kind: Literal["offer", "request"], wanted: _Wanted, note: Note) -> None:
    from timebank_chain.chain.events import decode_logs
    from timebank_chain.chain.service_events import ServiceListed

    timebank = session.timebank
    escrow, at = timebank.service_escrow, timebank.connection.simulation_block
    listing = wanted.listing(kind, note, now=timebank.connection.pending_timestamp())
    fee_bps = escrow.service_fee_bps(block=at)

    def learn(receipt: Receipt) -> Mapping[str, Any]:
        for event in decode_logs(receipt.logs, (ServiceListed,)):
            if isinstance(event, ServiceListed):
                return {"listing_id": event.listing_id}
        return {}

    session.show_terms(listing.proposal, listing, fee_bps)
    sent = session.perform(
        kind,
        [escrow.list_service(listing)],
        f"{kind} this for {format_micro(listing.proposal.price)} credits, {listing.stock} times until "
        f"{moment(listing.expires_at)}?",
        {
            "listing_id": None,
            **view.terms_document(listing.proposal, listing, fee_bps),
            "stock": listing.stock,
            "expires_at": listing.expires_at,
            **note.facts,
        },
        learn,
        note,
    )
    if sent is not None and not session.as_json:
        number = learn(sent)["listing_id"]
        out().print(f"listing {number}; orders are placed with: timebank service order {number}")


def offer_command(
    price: Price,
    arbiter: Arbiter,
    text: Text = None,
    file: TextFile = None,
    stock: Stock = 1,
    expires: Expires = "30d",
    delivery: Delivery = "7d",
    respond: Respond = USUAL_ANSWER,
    review: Review = USUAL_ANSWER,
    answer: Answer = USUAL_ANSWER,
    ruling: Ruling = "7d",
    default_bps: DefaultBps = 5_000,
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
    """Offer a service, or a reward of your organisation, to whoever orders it.

    Nothing is paid in yet. The text stays in the content folder: hand its file to whom it concerns.

    Example: timebank service offer 3 --text "an hour of English" --arbiter 0x... --from 0x...

    Example: timebank service offer 20 --file reward.txt --stock 12 --deliver 30d --arbiter 0x... --from 0x...
    """
    note = Note.read(content, text, file)
    terms = _Wanted(price, delivery, arbiter, stock, expires, default_bps, respond, review, answer, ruling)
    terms.check(note)
    session = Session.open(
        rpc_url, deployment, keystore, password_file, sender, yes=yes, dry_run=dry_run, as_json=as_json
    )
    _list_service(session, "offer", terms, note)


def request_command(
    price: Price,
    arbiter: Arbiter,
    text: Text = None,
    file: TextFile = None,
    stock: Stock = 1,
    expires: Expires = "30d",
    delivery: Delivery = "7d",
    respond: Respond = USUAL_ANSWER,
    review: Review = USUAL_ANSWER,
    answer: Answer = USUAL_ANSWER,
    ruling: Ruling = "7d",
    default_bps: DefaultBps = 5_000,
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
    """Ask for a service; whoever would do it places an order, and you accept the one you like.

    Credits go into escrow when you accept.

    Example: timebank service request 5 --text "help with my garden" --arbiter 0x... --from 0x...
    """
    note = Note.read(content, text, file)
    terms = _Wanted(price, delivery, arbiter, stock, expires, default_bps, respond, review, answer, ruling)
    terms.check(note)
    session = Session.open(
        rpc_url, deployment, keystore, password_file, sender, yes=yes, dry_run=dry_run, as_json=as_json
    )
    _list_service(session, "request", terms, note)


def stock_command(
    listing_id: ListingId,
    stock: Annotated[
        int, typer.Argument(metavar="N", min=0, max=MAX_STOCK, help="Orders that can still be accepted.")
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
    """Change how many orders of a listing of yours can still be accepted; 0 ends it.

    Example: timebank service stock 4 0 --from 0x...
    """
    session = Session.open(
        rpc_url, deployment, keystore, password_file, sender, yes=yes, dry_run=dry_run, as_json=as_json
    )
    listing = session.listing(listing_id)
    session.perform(
        "stock",
        [session.timebank.service_escrow.set_stock(listing_id, stock)],
        f"let {stock} more orders of listing {listing_id} be accepted (now {listing.stock})?",
        {"listing_id": listing_id, "previous": listing.stock, "stock": stock},
    )


def list_command(
    kind: Annotated[
        str | None, typer.Option("--kind", metavar="KIND", help="Only `offer` or only `request`.")
    ] = None,
    owner: Annotated[
        str | None, typer.Option("--owner", metavar="ADDRESS", help="Only this member's listings.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Also what is sold out or over.")] = False,
    content: ContentFolder = None,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    as_json: AsJson = False,
) -> None:
    """List what is offered and asked for, with texts where you have them.

    Example: timebank service list --kind offer
    """
    from timebank_chain.chain.addresses import parse_account

    if kind not in (None, "offer", "request"):
        raise UsageError(f"--kind {kind}", hint="write offer or request")
    whose = None if owner is None else parse_account(owner, what="--owner")
    timebank = open_system(rpc_url, deployment)
    at = timebank.connection.simulation_block
    escrow, now = timebank.service_escrow, timebank.connection.pending_timestamp()
    found = {}
    for number in range(1, escrow.listing_count(block=at) + 1):
        listing = listing_of(timebank, number)
        open_now = listing.stock > 0 and now <= listing.expires_at
        if (
            (every or open_now)
            and kind in (None, listing.kind.name.lower())
            and whose in (None, listing.owner)
        ):
            found[number] = listing
    store = open_store(content)
    if as_json:
        rows = [view.listing_document(number, one, store, now) for number, one in found.items()]
        print_json("timebank.service.list/1", {"time": now, "listings": rows})
        return
    view.print_listings(found, store, now)
