"""Services: every order went the way the specification allows, and escrow holds what is open."""

from __future__ import annotations

from timebank_chain.audit.case import AuditCase
from timebank_chain.audit.evidence import Event
from timebank_chain.audit.movements import Movement, lay_beside
from timebank_chain.audit.report import Check, Tally
from timebank_chain.audit.service_book import GROUP, listing_of, order_of
from timebank_chain.spec.service_escrow import Stage
from timebank_chain.units import format_micro

NAME = "ServiceEscrow"

_SILENT = "the escrow's storage was changed without an event"


def check_services(case: AuditCase) -> Check:
    """Check every order against its events: who, when, which credits; and that escrow holds what is open."""
    tally = Tally(
        "A53",
        "services: steps by who may take them, in time, rated by their sides; escrow holds the open orders",
    )
    book, call = case.services, case.evidence.call
    for group, difference in book.anomalies:
        if group == GROUP:
            tally.add(difference)

    def told(event: Event) -> list[Movement]:
        return [Movement(*moved) for moved in book.told.get(event.position, ())]

    movements = lay_beside(case.evidence.events, {case.evidence.address(NAME): NAME}, told)
    for difference in movements.differences:
        tally.add(difference)

    for number, listing in book.spec.listings.items():
        found = listing_of(call(NAME, "listingOf", number))
        tally.equal(f"{NAME}.listingOf({number})", listing, found, _SILENT)
    for number, order in book.spec.orders.items():
        tally.equal(f"{NAME}.orderOf({number})", order, order_of(call(NAME, "orderOf", number)), _SILENT)
    tally.equal(f"{NAME}.listingCount", len(book.spec.listings), call(NAME, "listingCount"), _SILENT)
    tally.equal(f"{NAME}.orderCount", len(book.spec.orders), call(NAME, "orderCount"), _SILENT)

    lost = movements.gifts[NAME]
    tally.equal(
        f"{NAME}, balance",
        book.held + lost,
        call("AttentionCredit", "balanceOf", case.evidence.address(NAME)),
        "escrow does not hold what the open orders are owed",
    )
    if lost:
        tally.note(f"{format_micro(lost)} credits were sent to the escrow in error; nobody can use them")
    over = (Stage.SETTLED, Stage.CANCELLED)
    still = sum(order.stage not in over for order in book.spec.orders.values())
    tally.evidence.update(
        listings=len(book.spec.listings),
        orders=len(book.spec.orders),
        open=still,
        held=book.held,
        ratings=book.ratings,
        lost_in_escrow=lost,
    )
    return tally.done(
        f"{len(book.spec.orders):,} orders, {still:,} open, {format_micro(book.held)} held, "
        f"{book.ratings:,} ratings"
    )
