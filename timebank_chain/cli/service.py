"""``timebank service``: offer services, ask for them, order, deliver, settle, rate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

from timebank_chain import config
from timebank_chain.cli import service_view
from timebank_chain.cli.lease_view import moment, span
from timebank_chain.cli.options import (
    DEFAULT_RPC_URL,
    MAX_NUMBER,
    Amount,
    AsJson,
    DeploymentFile,
    DryRun,
    FromAddress,
    Keystore,
    PasswordFile,
    RpcUrl,
    Yes,
    account_of,
    amount_micro,
    open_signer,
    open_system,
    whole_seconds,
)
from timebank_chain.cli.output import out, print_json, say
from timebank_chain.cli.writes import perform_all
from timebank_chain.content import ContentStore, draft, hash_of
from timebank_chain.documents import read_small_text
from timebank_chain.errors import ContentError, UsageError
from timebank_chain.units import format_micro, parse_time

if TYPE_CHECKING:
    from timebank_chain.chain.signer import LocalSigner
    from timebank_chain.chain.system import Timebank
    from timebank_chain.chain.transactions import Call, Receipt
    from timebank_chain.spec.service_escrow import Listing, ListingKind, Order, Proposal, ServiceEscrow

app = typer.Typer(
    help=(
        "Offer services and ask for them; credits wait in escrow until the work is done."
        '\n\nExample: timebank service offer 3 --text "an hour of English" --arbiter 0x... --from 0x...'
    ),
    no_args_is_help=True,
)

#: How long a side has when nobody says otherwise.
USUAL_ANSWER = "3d"
MAX_STOCK = (1 << 32) - 1

ContentFolder = Annotated[
    Path | None,
    typer.Option(
        "--content",
        envvar=config.ENV_CONTENT,
        metavar="DIR",
        help="Folder of texts kept off chain (default: the user's data folder).",
    ),
]
Price = Annotated[str, typer.Argument(metavar="CREDITS", help="Price in credits, fee included: 12 or 12.5.")]
Text = Annotated[
    str | None, typer.Option("--text", help="What it is about; kept in the content folder, hashed on chain.")
]
TextFile = Annotated[
    Path | None, typer.Option("--file", metavar="FILE", help="The same, from a file in UTF-8.")
]
Arbiter = Annotated[
    str, typer.Option("--arbiter", metavar="ADDRESS", help="Who rules if you quarrel; neither of you.")
]
OtherArbiter = Annotated[
    str | None,
    typer.Option("--arbiter", metavar="ADDRESS", help="Another arbiter than the one proposed so far."),
]
OtherDelivery = Annotated[
    str | None,
    typer.Option("--deliver", metavar="TIME", help="Another time for the delivery than proposed so far."),
]
Stock = Annotated[
    int, typer.Option("--stock", metavar="N", min=1, max=MAX_STOCK, help="How many orders can be accepted.")
]
Expires = Annotated[
    str, typer.Option("--expires", metavar="TIME", help="How long orders can be placed (30d), or until when.")
]
Delivery = Annotated[
    str, typer.Option("--deliver", metavar="TIME", help="From acceptance to delivery: 1h to 365d.")
]
Respond = Annotated[
    str, typer.Option("--respond", metavar="TIME", help="To answer an order or a counter-offer.")
]
Review = Annotated[str, typer.Option("--review", metavar="TIME", help="For the buyer to look at a delivery.")]
Answer = Annotated[
    str, typer.Option("--answer", metavar="TIME", help="For the provider to answer a rejection.")
]
Ruling = Annotated[str, typer.Option("--ruling", metavar="TIME", help="For the arbiter to rule.")]
DefaultBps = Annotated[
    int,
    typer.Option(
        "--default-bps",
        min=0,
        max=10_000,
        help="The provider's part, basis points, if the arbiter never rules.",
    ),
]
OrderId = Annotated[int, typer.Argument(metavar="ORDER", min=1, max=MAX_NUMBER, help="Number of the order.")]
ListingId = Annotated[
    int, typer.Argument(metavar="LISTING", min=1, max=MAX_NUMBER, help="Number of the listing.")
]


# ---------------------------------------------------------------- what commands share


@dataclass(frozen=True)
class _Session:
    """Who acts on which system, and how it is shown."""

    timebank: Timebank
    signer: LocalSigner
    yes: bool
    dry_run: bool
    as_json: bool

    @classmethod
    def open(
        cls,
        rpc_url: str,
        deployment: Path | None,
        keystore: Path | None,
        password_file: Path | None,
        sender: str | None,
        *,
        yes: bool,
        dry_run: bool,
        as_json: bool,
    ) -> Self:
        timebank = open_system(rpc_url, deployment)
        return cls(timebank, open_signer(keystore, sender, password_file), yes, dry_run, as_json)

    def order(self, order_id: int) -> Order:
        from timebank_chain.chain.service_reverts import WrongStage
        from timebank_chain.spec.service_escrow import Stage

        at = self.timebank.connection.simulation_block
        order = self.timebank.service_escrow.order_of(order_id, block=at)
        if order is None:
            raise WrongStage({"orderId": order_id, "stage": Stage.NONE})
        return order

    def listing(self, listing_id: int) -> Listing:
        return _listing(self.timebank, listing_id)

    def check(
        self, step: Callable[[ServiceEscrow, int], object], listing_id: int, order_id: int | None = None
    ) -> None:
        """Refuse what the contract would refuse, before an approval is sent for it."""
        from timebank_chain.chain.service_check import check_step

        at = self.timebank.connection.simulation_block
        check_step(self.timebank, step, listing_id=listing_id, order_id=order_id, block=at)

    def pay_in(self, amount: int) -> list[Call]:
        """The approval that is missing for so much more in escrow, if any; refuses what is not there."""
        from timebank_chain.chain.openzeppelin_reverts import ERC20InsufficientBalance

        credit, escrow = self.timebank.attention_credit, self.timebank.service_escrow
        at, me = self.timebank.connection.simulation_block, self.signer.address
        balance = credit.balance_of(me, block=at)
        if balance < amount:
            raise ERC20InsufficientBalance({"sender": me, "balance": balance, "needed": amount})
        if amount > 0 and credit.allowance(me, escrow.address, block=at) < amount:
            return [credit.approve(escrow.address, amount)]
        return []

    def perform(
        self,
        verb: str,
        calls: Sequence[Call],
        question: str,
        facts: Mapping[str, Any],
        learn: Callable[[Receipt], Mapping[str, Any]] | None = None,
    ) -> Receipt | None:
        return perform_all(
            self.timebank,
            self.signer,
            calls,
            question=question,
            schema=f"timebank.service.{verb}/1",
            facts=facts,
            yes=self.yes,
            dry_run=self.dry_run,
            as_json=self.as_json,
            learn=learn,
        )

    def step(
        self,
        verb: str,
        order_id: int,
        calls: Sequence[Call],
        question: str,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        """Move an order one step, and say where it stands then."""

        def learn(_receipt: Receipt) -> Mapping[str, Any]:
            order = self.timebank.service_escrow.order_of(order_id)
            if order is None:
                return {}
            return {"stage": order.stage.name.lower(), "deadline": order.deadline or None}

        known = {"order_id": order_id, "stage": None, "deadline": None, **(facts or {})}
        sent = self.perform(verb, calls, question, known, learn)
        if sent is not None and not self.as_json:
            _say_next(self.timebank, order_id)


@dataclass(frozen=True)
class _Note:
    """A text that goes with a call: kept before anything is sent, so that no hash is on chain without it."""

    store: ContentStore
    document: bytes | None

    @classmethod
    def read(cls, content: Path | None, text: str | None, file: Path | None) -> Self:
        """Take the text of --text or --file; none is allowed."""
        store = ContentStore(content or config.content_folder())
        if text is not None and file is not None:
            raise UsageError("--text and --file at once", hint="give one of them")
        if file is not None:
            try:
                text = read_small_text(file)
            except (OSError, ValueError) as error:
                raise ContentError(f"the text cannot be read: {error}", where=str(file)) from error
        return cls(store, None if text is None else draft(text))

    @property
    def content_hash(self) -> bytes:
        return bytes(32) if self.document is None else hash_of(self.document)

    @property
    def facts(self) -> dict[str, Any]:
        if self.document is None:
            return {"content_hash": None, "content_file": None}
        return {
            "content_hash": "0x" + self.content_hash.hex(),
            "content_file": str(self.store.path(self.content_hash)),
        }

    def keep(self, session: _Session) -> None:
        if self.document is not None and not session.dry_run:
            self.store.keep(self.document)
            if not session.as_json:
                say(f"hand this text to the other side: {self.store.path(self.content_hash)}")


def _listing(timebank: Timebank, listing_id: int) -> Listing:
    from timebank_chain.chain.service_reverts import NoSuchListing

    listing = timebank.service_escrow.listing_of(listing_id, block=timebank.connection.simulation_block)
    if listing is None:
        raise NoSuchListing({"listingId": listing_id})
    return listing


def _say_next(timebank: Timebank, order_id: int) -> None:
    """Say whose turn it is now, and until when."""
    order = timebank.service_escrow.order_of(order_id)
    if order is not None:
        listing = _listing(timebank, order.listing_id)
        out().print(service_view.next_line(order_id, order, listing, timebank.connection.timestamp()))


def _period(text: str, name: str) -> int:
    """Read a time within the contract's bounds as seconds."""
    from timebank_chain.chain.service_escrow import MAX_PERIOD, MIN_PERIOD

    seconds = whole_seconds(text, name, least=1)
    if not MIN_PERIOD <= seconds <= MAX_PERIOD:
        raise UsageError(f"{name}: {text!r} is not {span(MIN_PERIOD)} to {span(MAX_PERIOD)}")
    return seconds


def _until(text: str, now: int) -> int:
    """Read how long or until when as Unix seconds, at least a second ahead."""
    try:
        until = parse_time(text) // 1000 if "T" in text or "-" in text else None
    except ValueError as error:
        raise UsageError(f"--expires: {error}") from None
    if until is None:
        until = now + whole_seconds(text, "--expires", least=1)
    if until <= now:
        raise UsageError(f"--expires: {text} has passed, it is {moment(now)}")
    if until >= 1 << 40:
        raise UsageError(f"--expires: {text} is too far ahead")
    return until


def _changed(
    proposal: Proposal, price: str | None, delivery: str | None, arbiter: str | None, note: _Note
) -> Proposal:
    """Return a proposal with what was given changed."""
    from timebank_chain.chain.addresses import parse_address

    if price is not None:
        proposal = replace(proposal, price=amount_micro(price))
    if delivery is not None:
        proposal = replace(proposal, delivery=_period(delivery, "--deliver"))
    if arbiter is not None:
        proposal = replace(proposal, arbiter=parse_address(arbiter, what="--arbiter"))
    if note.document is not None:
        proposal = replace(proposal, content_hash=note.content_hash)
    return proposal


def _terms(proposal: Proposal) -> dict[str, Any]:
    return {
        "price_micro": proposal.price,
        "delivery_seconds": proposal.delivery,
        "arbiter": proposal.arbiter,
        "terms_hash": "0x" + proposal.content_hash.hex(),
    }


# ---------------------------------------------------------------- listings


def _list_service(
    session: _Session,
    kind: ListingKind,
    proposal: Proposal,
    note: _Note,
    stock: int,
    expires: str,
    periods: Mapping[str, str],
    default_bps: int,
) -> None:
    from timebank_chain.chain.events import decode_logs
    from timebank_chain.chain.member_registry import ZERO_ADDRESS
    from timebank_chain.chain.service_events import ServiceListed
    from timebank_chain.spec.service_escrow import Listing, Periods

    listing = Listing(
        owner=ZERO_ADDRESS,
        expires_at=_until(expires, session.timebank.connection.pending_timestamp()),
        kind=kind,
        stock=stock,
        default_bps=default_bps,
        periods=Periods(**{name: _period(text, f"--{_FLAGS[name]}") for name, text in periods.items()}),
        proposal=proposal,
    )

    def learn(receipt: Receipt) -> Mapping[str, Any]:
        for event in decode_logs(receipt.logs, (ServiceListed,)):
            if isinstance(event, ServiceListed):
                return {"listing_id": event.listing_id}
        return {}

    verb = kind.name.lower()
    note.keep(session)
    sent = session.perform(
        verb,
        [session.timebank.service_escrow.list_service(listing)],
        f"{verb} this for {format_micro(proposal.price)} credits, {stock} times until "
        f"{moment(listing.expires_at)}?",
        {
            "listing_id": None,
            **_terms(proposal),
            "stock": stock,
            "expires_at": listing.expires_at,
            **note.facts,
        },
        learn,
    )
    if sent is not None and not session.as_json:
        number = learn(sent)["listing_id"]
        out().print(f"listing {number}; orders are placed with: timebank service order {number}")


#: Field of the contract's ``Periods`` -> option.
_FLAGS = {"response": "respond", "review": "review", "answer": "answer", "ruling": "ruling"}


@app.command("offer")
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
    from timebank_chain.chain.addresses import parse_address
    from timebank_chain.spec.service_escrow import ListingKind, Proposal

    note = _Note.read(content, text, file)
    if note.document is None:
        raise UsageError("what is it?", hint="say it with --text or --file: orders are for a text")
    proposal = Proposal(
        amount_micro(price),
        _period(delivery, "--deliver"),
        parse_address(arbiter, what="--arbiter"),
        note.content_hash,
    )
    periods = {"response": respond, "review": review, "answer": answer, "ruling": ruling}
    for field, given in periods.items():
        _period(given, f"--{_FLAGS[field]}")
    session = _Session.open(
        rpc_url, deployment, keystore, password_file, sender, yes=yes, dry_run=dry_run, as_json=as_json
    )
    _list_service(session, ListingKind.OFFER, proposal, note, stock, expires, periods, default_bps)


@app.command("request")
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
    from timebank_chain.chain.addresses import parse_address
    from timebank_chain.spec.service_escrow import ListingKind, Proposal

    note = _Note.read(content, text, file)
    if note.document is None:
        raise UsageError("what is it?", hint="say it with --text or --file: orders are for a text")
    proposal = Proposal(
        amount_micro(price),
        _period(delivery, "--deliver"),
        parse_address(arbiter, what="--arbiter"),
        note.content_hash,
    )
    periods = {"response": respond, "review": review, "answer": answer, "ruling": ruling}
    for field, given in periods.items():
        _period(given, f"--{_FLAGS[field]}")
    session = _Session.open(
        rpc_url, deployment, keystore, password_file, sender, yes=yes, dry_run=dry_run, as_json=as_json
    )
    _list_service(session, ListingKind.REQUEST, proposal, note, stock, expires, periods, default_bps)


@app.command("stock")
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
    session = _Session.open(
        rpc_url, deployment, keystore, password_file, sender, yes=yes, dry_run=dry_run, as_json=as_json
    )
    listing = session.listing(listing_id)
    session.perform(
        "stock",
        [session.timebank.service_escrow.set_stock(listing_id, stock)],
        f"let {stock} more orders of listing {listing_id} be accepted (now {listing.stock})?",
        {"listing_id": listing_id, "previous": listing.stock, "stock": stock},
    )


@app.command("list")
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
        listing = _listing(timebank, number)
        open_now = listing.stock > 0 and now <= listing.expires_at
        if (
            (every or open_now)
            and kind in (None, listing.kind.name.lower())
            and whose in (None, listing.owner)
        ):
            found[number] = listing
    store = ContentStore(content or config.content_folder())
    if as_json:
        rows = [service_view.listing_document(number, one, store, now) for number, one in found.items()]
        print_json("timebank.service.list/1", {"time": now, "listings": rows})
        return
    service_view.print_listings(found, store, now)


@app.command("orders")
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
            found.append((number, order, _listing(timebank, order.listing_id)))
    if as_json:
        rows = [service_view.order_document(number, order, listing, now) for number, order, listing in found]
        print_json("timebank.service.orders/1", {"account": whose, "time": now, "orders": rows})
        return
    service_view.print_orders(whose, found, now)


@app.command("show")
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
    store = ContentStore(content or config.content_folder())
    now = timebank.connection.pending_timestamp()
    if as_json:
        print_json("timebank.service.show/1", service_view.record_document(record, store, now))
        return
    service_view.print_record(record, store, now)


# ---------------------------------------------------------------- agreeing


@app.command("order")
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

    note = _Note.read(content, text, file)
    if price is not None:
        amount_micro(price)
    if delivery is not None:
        _period(delivery, "--deliver")
    session = _Session.open(
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

    note.keep(session)
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
            **_terms(proposal),
            "held_micro": proposal.price if is_offer else 0,
            "deadline": None,
            **note.facts,
        },
        learn,
    )
    if sent is not None and not as_json:
        _say_next(session.timebank, learn(sent)["order_id"])


@app.command("accept")
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
    session = _Session.open(
        rpc_url, deployment, keystore, password_file, sender, yes=yes, dry_run=dry_run, as_json=as_json
    )
    order, me = session.order(order_id), session.signer.address
    session.check(
        lambda spec, now: spec.accept(me, order_id, order.revision, now=now), order.listing_id, order_id
    )
    calls = session.pay_in(order.proposal.price - order.held) if me == order.buyer else []
    price = format_micro(order.proposal.price)
    session.step(
        "accept",
        order_id,
        [*calls, session.timebank.service_escrow.accept(order_id, order.revision)],
        f"accept order {order_id} for {price} credits, delivered within {span(order.proposal.delivery)}?",
        {"revision": order.revision, **_terms(order.proposal)},
    )


@app.command("counter")
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
    note = _Note.read(content, text, file)
    if price is None and delivery is None and arbiter is None and note.document is None:
        raise UsageError("nothing is proposed", hint="give a price, --deliver, --arbiter or --text")
    if price is not None:
        amount_micro(price)
    if delivery is not None:
        _period(delivery, "--deliver")
    session = _Session.open(
        rpc_url, deployment, keystore, password_file, sender, yes=yes, dry_run=dry_run, as_json=as_json
    )
    order, me = session.order(order_id), session.signer.address
    proposal = _changed(order.proposal, price, delivery, arbiter, note)
    session.check(lambda spec, now: spec.counter(me, order_id, proposal, now=now), order.listing_id, order_id)
    calls = session.pay_in(proposal.price - order.held) if me == order.buyer else []
    note.keep(session)
    session.step(
        "counter",
        order_id,
        [*calls, session.timebank.service_escrow.counter(order_id, proposal)],
        f"propose {format_micro(proposal.price)} credits and {span(proposal.delivery)} for order {order_id}?",
        {**_terms(proposal), **note.facts},
    )


def _end_early(session: _Session, verb: str, order_id: int) -> None:
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


@app.command("decline")
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
    session = _Session.open(
        rpc_url, deployment, keystore, password_file, sender, yes=yes, dry_run=dry_run, as_json=as_json
    )
    _end_early(session, "decline", order_id)


@app.command("cancel")
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
    session = _Session.open(
        rpc_url, deployment, keystore, password_file, sender, yes=yes, dry_run=dry_run, as_json=as_json
    )
    _end_early(session, "cancel", order_id)


# ---------------------------------------------------------------- delivering and quarrelling


@app.command("deliver")
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
    note = _Note.read(content, text, file)
    session = _Session.open(
        rpc_url, deployment, keystore, password_file, sender, yes=yes, dry_run=dry_run, as_json=as_json
    )
    order = session.order(order_id)
    note.keep(session)
    session.step(
        "deliver",
        order_id,
        [session.timebank.service_escrow.deliver(order_id, note.content_hash)],
        f"say that order {order_id} for {order.buyer} is done?",
        note.facts,
    )


@app.command("approve")
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
    session = _Session.open(
        rpc_url, deployment, keystore, password_file, sender, yes=yes, dry_run=dry_run, as_json=as_json
    )
    order = session.order(order_id)
    session.step(
        "approve",
        order_id,
        [session.timebank.service_escrow.approve(order_id)],
        f"pay {format_micro(order.held)} credits to {order.provider}?",
    )


@app.command("reject")
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
    note = _Note.read(content, text, file)
    session = _Session.open(
        rpc_url, deployment, keystore, password_file, sender, yes=yes, dry_run=dry_run, as_json=as_json
    )
    session.order(order_id)
    note.keep(session)
    session.step(
        "reject",
        order_id,
        [session.timebank.service_escrow.contest(order_id, 0, note.content_hash)],
        f"reject the delivery of order {order_id}?",
        note.facts,
    )


@app.command("partial")
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
    note = _Note.read(content, text, file)
    part = amount_micro(amount)
    session = _Session.open(
        rpc_url, deployment, keystore, password_file, sender, yes=yes, dry_run=dry_run, as_json=as_json
    )
    order = session.order(order_id)
    note.keep(session)
    session.step(
        "partial",
        order_id,
        [session.timebank.service_escrow.contest(order_id, part, note.content_hash)],
        f"pay {format_micro(part)} of {format_micro(order.held)} credits for order {order_id}?",
        {"part_micro": part, **note.facts},
    )


@app.command("agree")
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
    session = _Session.open(
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


@app.command("dispute")
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
    note = _Note.read(content, text, file)
    session = _Session.open(
        rpc_url, deployment, keystore, password_file, sender, yes=yes, dry_run=dry_run, as_json=as_json
    )
    order = session.order(order_id)
    note.keep(session)
    session.step(
        "dispute",
        order_id,
        [session.timebank.service_escrow.dispute(order_id, note.content_hash)],
        f"ask {order.proposal.arbiter} to rule on order {order_id}?",
        note.facts,
    )


@app.command("rule")
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
    note = _Note.read(content, text, file)
    part = 0 if amount.strip() in ("0", "0.0") else amount_micro(amount)
    session = _Session.open(
        rpc_url, deployment, keystore, password_file, sender, yes=yes, dry_run=dry_run, as_json=as_json
    )
    order = session.order(order_id)
    note.keep(session)
    session.step(
        "rule",
        order_id,
        [session.timebank.service_escrow.rule(order_id, part, note.content_hash)],
        f"give {format_micro(part)} credits to the provider and the rest of "
        f"{format_micro(order.held)} to the buyer?",
        {"part_micro": part, **note.facts},
    )


@app.command("move")
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

    session = _Session.open(
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


@app.command("rate")
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
    note = _Note.read(content, text, file)
    session = _Session.open(
        rpc_url, deployment, keystore, password_file, sender, yes=yes, dry_run=dry_run, as_json=as_json
    )
    order = session.order(order_id)
    other = order.provider if session.signer.address == order.buyer else order.buyer
    note.keep(session)
    session.step(
        "rate",
        order_id,
        [session.timebank.service_escrow.rate(order_id, stars, note.content_hash)],
        f"give {other} {stars} of 5 stars for order {order_id}?",
        {"rated": other, "stars": stars, **note.facts},
    )


@app.command("ratings")
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
    store = ContentStore(content or config.content_folder())
    if as_json:
        print_json("timebank.service.ratings/1", service_view.ratings_document(whose, found, store))
        return
    service_view.print_ratings(whose, found, store)


@app.command("text")
def text_command(
    content_hash: Annotated[str, typer.Argument(metavar="HASH", help="Hash of the text, 0x and 64 digits.")],
    erase: Annotated[
        bool, typer.Option("--erase", help="Erase the text and its salt; the hash stays.")
    ] = False,
    content: ContentFolder = None,
    as_json: AsJson = False,
) -> None:
    """Show the text behind a hash, if it is in your content folder, or erase it.

    Example: timebank service text 0x...

    Example: timebank service text 0x... --erase
    """
    digits = content_hash.removeprefix("0x")
    try:
        wanted = bytes.fromhex(digits)
    except ValueError:
        wanted = b""
    if len(wanted) != 32:
        raise UsageError(f"not a hash: {content_hash}", hint="write 0x and 64 digits")
    store = ContentStore(content or config.content_folder())
    if erase:
        was = store.erase(wanted)
        if as_json:
            print_json("timebank.service.text/1", {"content_hash": "0x" + wanted.hex(), "erased": was})
        else:
            say("erased; whoever has a copy still has it" if was else "it was not here")
        return
    text = store.get(wanted)
    if text is None:
        raise ContentError(
            "this text is not here", where=str(store.folder), hint="ask who wrote it for its file"
        )
    if as_json:
        print_json("timebank.service.text/1", {"content_hash": "0x" + wanted.hex(), "text": text})
        return
    out().print(text, markup=False)
