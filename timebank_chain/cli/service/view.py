"""How listings and orders look: tables for people, plain values (micro-credits, seconds) for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from timebank_chain.cli.lease_view import moment, span
from timebank_chain.cli.output import print_table, say
from timebank_chain.errors import ContentError
from timebank_chain.units import format_micro, mul_div_up

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from eth_typing import ChecksumAddress

    from timebank_chain.chain.service_history import OrderRecord, Rating
    from timebank_chain.content import ContentStore
    from timebank_chain.spec.service_escrow import Listing, Order, Proposal

#: Characters of a text that a table shows.
_SHORT = 60
ONE_BPS = 10_000


def text_of(store: ContentStore, content_hash: bytes | None) -> str | None:
    """Return a text that is here and whole; ``None`` otherwise: somebody else's folder is not our trouble."""
    if content_hash is None or not any(content_hash):
        return None
    try:
        return store.get(content_hash)
    except ContentError:
        return None


def _shown(store: ContentStore, content_hash: bytes | None) -> str:
    """Return a text, shortened to a line, or its hash."""
    if content_hash is None or not any(content_hash):
        return ""
    text = text_of(store, content_hash)
    if text is None:
        return f"0x{content_hash.hex()}"
    line = " ".join(text.split())
    return line if len(line) <= _SHORT else line[: _SHORT - 3] + "..."


def _periods_document(listing: Listing) -> dict[str, Any]:
    """Return what orders take from their listing and can bargain nothing about."""
    periods = listing.periods
    return {
        "response_seconds": periods.response,
        "review_seconds": periods.review,
        "answer_seconds": periods.answer,
        "ruling_seconds": periods.ruling,
        "default_bps": listing.default_bps,
    }


def terms_document(proposal: Proposal, listing: Listing, fee_bps: int) -> dict[str, Any]:
    """Return what somebody is about to agree to; the fee is what it would be today."""
    return {
        "price_micro": proposal.price,
        "fee_bps": fee_bps,
        "to_provider_micro": proposal.price - mul_div_up(proposal.price, fee_bps, ONE_BPS),
        "delivery_seconds": proposal.delivery,
        "arbiter": proposal.arbiter,
        **_periods_document(listing),
        "terms_hash": "0x" + proposal.content_hash.hex(),
    }


def print_terms(proposal: Proposal, listing: Listing, fee_bps: int) -> None:
    """Print what somebody is about to agree to."""
    net = format_micro(proposal.price - mul_div_up(proposal.price, fee_bps, ONE_BPS))
    price = f"{format_micro(proposal.price)}, of which {net} reach the provider (fee {_percent(fee_bps)})"
    periods = listing.periods
    rows = [
        ("price", price),
        ("to answer an order", f"{span(periods.response)}; then it is cancelled"),
        ("to deliver", f"{span(proposal.delivery)} from acceptance; then all goes back to the buyer"),
        *_quarrel_rows(proposal, listing),
    ]
    print_table("Terms", ["", ""], rows)


def _quarrel_rows(proposal: Proposal, listing: Listing) -> list[tuple[str, str]]:
    """Say who has how long after a delivery, and what silence means."""
    periods = listing.periods
    return [
        ("to review", f"{span(periods.review)} from delivery; then the provider is paid in full"),
        ("to answer a rejection", f"{span(periods.answer)}; then the provider gets the part the buyer named"),
        ("arbiter", proposal.arbiter),
        ("to rule", f"{span(periods.ruling)}; then {_default(listing)}"),
    ]


def _default(listing: Listing) -> str:
    """Say how a dispute is divided that no arbiter rules on."""
    rest = ONE_BPS - listing.default_bps
    return f"{_percent(listing.default_bps)} to the provider, {_percent(rest)} to the buyer"


def _percent(bps: int) -> str:
    return f"{bps / 100:g} %"


def listing_document(number: int, listing: Listing, store: ContentStore, now: int) -> dict[str, Any]:
    """Return a listing."""
    proposal = listing.proposal
    return {
        "listing_id": number,
        "kind": listing.kind.name.lower(),
        "owner": listing.owner,
        "open": listing.stock > 0 and now <= listing.expires_at,
        "stock": listing.stock,
        "expires_at": listing.expires_at,
        "price_micro": proposal.price,
        "arbiter": proposal.arbiter,
        "delivery_seconds": proposal.delivery,
        **_periods_document(listing),
        "content_hash": "0x" + proposal.content_hash.hex(),
        "text": text_of(store, proposal.content_hash),
    }


def print_listings(listings: Mapping[int, Listing], store: ContentStore, now: int) -> None:
    """Print listings."""
    if not listings:
        say("nothing is offered or asked for")
        return
    print_table(
        f"Services, {moment(now)}",
        [
            *(">listing", "kind", "by", ">credits", ">left", "until", "delivered in"),
            *("review / answer / ruling", "if nobody rules", "arbiter", "what"),
        ],
        [
            (
                number,
                one.kind.name.lower(),
                one.owner,
                format_micro(one.proposal.price),
                one.stock,
                moment(one.expires_at) + (" OVER" if now > one.expires_at else ""),
                span(one.proposal.delivery),
                " / ".join(map(span, (one.periods.review, one.periods.answer, one.periods.ruling))),
                f"{_percent(one.default_bps)} to the provider",
                one.proposal.arbiter,
                _shown(store, one.proposal.content_hash),
            )
            for number, one in listings.items()
        ],
    )


def order_document(number: int, order: Order, listing: Listing, now: int) -> dict[str, Any]:
    """Return an order, with what each side may do next and what time will do."""
    from timebank_chain.chain.service_steps import lapse_effect, next_steps, overdue

    proposal = order.proposal
    return {
        "order_id": number,
        "listing_id": order.listing_id,
        "stage": order.stage.name.lower(),
        "buyer": order.buyer,
        "provider": order.provider,
        "arbiter": proposal.arbiter,
        "price_micro": proposal.price,
        "held_micro": order.held,
        "part_micro": order.part,
        "fee_bps": order.fee_bps,
        "revision": order.revision,
        "delivery_seconds": proposal.delivery,
        **_periods_document(listing),
        "content_hash": "0x" + proposal.content_hash.hex(),
        "deadline": order.deadline or None,
        "overdue": overdue(order, now),
        "after_deadline": lapse_effect(order, listing) or None,
        "next": [
            {"who": step.who, "verb": step.verb, "effect": step.effect}
            for step in next_steps(order, listing, now)
        ],
        "stars_by_buyer": order.stars_by_buyer or None,
        "stars_by_provider": order.stars_by_provider or None,
    }


def next_line(number: int, order: Order, listing: Listing, now: int) -> str:
    """Say in a line where an order stands, whose turn it is, and what time will do."""
    from timebank_chain.chain.service_reverts import STAGE_WORDS
    from timebank_chain.chain.service_steps import lapse_effect, overdue

    line = f"order {number} is {STAGE_WORDS[order.stage]}"
    if not order.deadline:
        return line
    effect = lapse_effect(order, listing)
    if overdue(order, now):
        return f"{line}, overdue since {moment(order.deadline)}: timebank service move {number} ({effect})"
    return f"{line}, until {moment(order.deadline)}; then: {effect}"


def _turns(order: Order, listing: Listing, now: int) -> str:
    from timebank_chain.chain.service_steps import next_steps

    by: dict[str, list[str]] = {}
    for step in next_steps(order, listing, now):
        by.setdefault(step.who, []).append(step.verb)
    return "; ".join(f"{who}: {', '.join(verbs)}" for who, verbs in by.items())


def print_orders(account: ChecksumAddress, orders: Sequence[tuple[int, Order, Listing]], now: int) -> None:
    """Print an account's orders."""
    from timebank_chain.chain.service_reverts import STAGE_WORDS

    if not orders:
        say(f"{account} has no order")
        return
    print_table(
        f"{account}, {moment(now)}",
        [">order", ">listing", "you are", "with", ">credits", "stage", "until", "next"],
        [
            (
                number,
                order.listing_id,
                _side(account, order),
                order.provider if account == order.buyer else order.buyer,
                format_micro(order.proposal.price),
                STAGE_WORDS[order.stage],
                _deadline(order, now),
                _turns(order, listing, now),
            )
            for number, order, listing in orders
        ],
    )


def _side(account: ChecksumAddress, order: Order) -> str:
    if account == order.buyer:
        return "buyer"
    return "provider" if account == order.provider else "arbiter"


def _deadline(order: Order, now: int) -> str:
    if not order.deadline:
        return ""
    return moment(order.deadline) + (" OVERDUE" if now > order.deadline else "")


def record_document(record: OrderRecord, store: ContentStore, now: int) -> dict[str, Any]:
    """Return an order with everything that happened to it."""
    return {
        **order_document(record.order_id, record.order, record.listing, now),
        "text": text_of(store, record.order.proposal.content_hash),
        "settlement": _settlement_document(record),
        "steps": [
            {
                "time": step.time,
                "block": step.block,
                "kind": step.kind,
                "by": step.by,
                "amount_micro": None if step.kind == "rated" else step.amount,
                "stars": step.amount if step.kind == "rated" else None,
                "content_hash": None if step.content_hash is None else "0x" + step.content_hash.hex(),
                "text": text_of(store, step.content_hash),
            }
            for step in record.steps
        ],
    }


def _settlement_document(record: OrderRecord) -> dict[str, Any] | None:
    """Return where the credits of an order that is over went; ``None`` while it is open."""
    division = record.division
    if division is None:
        return None
    return {
        "outcome": division.outcome,
        "to_provider_micro": division.to_provider,
        "fee_micro": division.fee,
        "refunded_micro": division.to_buyer,
    }


def print_record(record: OrderRecord, store: ContentStore, now: int) -> None:
    """Print an order with everything that happened to it."""
    from timebank_chain.chain.service_reverts import STAGE_WORDS
    from timebank_chain.chain.service_steps import lapse_effect, next_steps

    order, listing = record.order, record.listing
    rows = [("buyer", order.buyer), ("provider", order.provider)]
    price, division = format_micro(order.proposal.price), record.division
    if division is None:
        rows += [
            ("price", f"{price}, of which {format_micro(order.held)} in escrow"),
            ("fee", f"{_percent(order.fee_bps)} of what the provider gets"),
        ]
    else:
        rows += [
            ("price", price),
            ("ended", division.outcome),
            ("paid to the provider", format_micro(division.to_provider)),
            ("fee paid", f"{format_micro(division.fee)} ({_percent(order.fee_bps)} of the provider's part)"),
            ("refunded to the buyer", format_micro(division.to_buyer)),
        ]
    rows += [
        ("to deliver", f"{span(order.proposal.delivery)} from acceptance"),
        *_quarrel_rows(order.proposal, listing),
        ("about", _shown(store, order.proposal.content_hash)),
    ]
    if order.deadline:
        rows += [("until", _deadline(order, now)), ("then", lapse_effect(order, listing))]
    print_table(
        f"Order {record.order_id} of listing {order.listing_id}: {STAGE_WORDS[order.stage]}", ["", ""], rows
    )
    steps = next_steps(order, listing, now)
    if steps:
        print_table(
            "What can be done now",
            ["who", "command", "then"],
            [(step.who, f"timebank service {step.verb} {record.order_id}", step.effect) for step in steps],
        )
    print_table(
        "What happened",
        ["time", "what", "by", ">credits", "about"],
        [
            (
                moment(step.time),
                step.kind,
                step.by or "",
                f"{step.amount} stars"
                if step.kind == "rated"
                else format_micro(step.amount)
                if step.amount
                else "",
                _shown(store, step.content_hash),
            )
            for step in record.steps
        ],
    )


def ratings_document(
    account: ChecksumAddress, ratings: Sequence[Rating], store: ContentStore
) -> dict[str, Any]:
    """Return an account's ratings; the mean is in thousandths of a star, rounded down."""
    total = sum(one.stars for one in ratings)
    return {
        "account": account,
        "count": len(ratings),
        "mean_milli_stars": total * 1_000 // len(ratings) if ratings else None,
        "ratings": [
            {
                "order_id": one.order_id,
                "rater": one.rater,
                "as": "provider" if one.of_provider else "buyer",
                "stars": one.stars,
                "paid_micro": one.paid,
                "content_hash": None if one.content_hash is None else "0x" + one.content_hash.hex(),
                "text": text_of(store, one.content_hash),
            }
            for one in ratings
        ],
    }


def print_ratings(account: ChecksumAddress, ratings: Sequence[Rating], store: ContentStore) -> None:
    """Print an account's ratings and their mean."""
    if not ratings:
        say(f"nobody has rated {account}")
        return
    mean = ratings_document(account, ratings, store)["mean_milli_stars"]
    print_table(
        f"{account}: {mean // 1_000}.{mean % 1_000 // 100} stars from {len(ratings)}",
        [">order", "by", "as", ">stars", ">paid", "about"],
        [
            (
                one.order_id,
                one.rater,
                "provider" if one.of_provider else "buyer",
                one.stars,
                format_micro(one.paid),
                _shown(store, one.content_hash),
            )
            for one in ratings
        ],
    )
