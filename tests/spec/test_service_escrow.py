"""The escrow in plain Python integers: every state an order can be in, and every call in each of them.

::

    walk of all states, from an offer and from a request
    |- the table of allowed calls is the whole truth: who, what, from which stage to which, for which part
    |- whatever is not in the table is refused and leaves no trace
    |- after the deadline only `move` works, by anybody, and ends the order; up to the deadline it never works
    |- who alone wants out gets out: a stranger's one call after the deadline, paused or not
    |- credits are neither made nor lost, held is what the order says, nothing is held once it is over
    |- the provider gets something only by the buyer's word, the arbiter's, or the silence the drawing names
    `- all stages are reached
    walk of all states of two orders for the last piece of a listing
    |- what happens to one leaves the other as it is, but for the stock they share
    `- holdings are the sum of both, and time ends both
    list: books the caller; refuses in the contract's order
    place_order: refuses in the contract's order; takes the price of an offer, nothing for a request
    counter: gives back or takes the difference, only when it is the buyer's
    accept: another revision, a listing that is sold out meanwhile; stock falls with it and only then
    contest, rule: parts within bounds
    fee: of the day of the order, rounded up; the odd micro-credit of a default split is the buyer's
    rate: sides of settled orders, 1 to 5, once each
    settings: by role, bounded; pausing stops new orders, counters and acceptances, nothing else
"""

from __future__ import annotations

import copy
from collections import Counter, deque
from dataclasses import dataclass, replace
from typing import Any

import pytest

from timebank_chain.spec.attention_credit import MAX_UINT256, ZERO_ADDRESS, AttentionCredit
from timebank_chain.spec.fee_pool import FeePool
from timebank_chain.spec.revert import Reverted
from timebank_chain.spec.service_escrow import (
    Listing,
    ListingKind,
    Order,
    Periods,
    Proposal,
    ServiceEscrow,
    Stage,
)

START = 1_800_000_000
HOUR = 3_600
DAY = 24 * HOUR
FUNDS = 1_000
PRICE, LOWER, HIGHER = 101, 60, 150
FEE_BPS = 500
DEFAULT_BPS = 5_000
PERIODS = Periods(response=DAY, review=2 * DAY, answer=3 * DAY, ruling=5 * DAY)
TEXT = b"\x07" * 32

ESCROW, FEES = "0x" + "e" * 40, "0x" + "f" * 40
BUYER, PROVIDER, ARBITER, STRANGER, GOVERNOR, GUARDIAN, OTHER_ARBITER = (
    f"0x{number:040x}" for number in range(1, 8)
)
ROLES = {BUYER: "buyer", PROVIDER: "provider", ARBITER: "arbiter", STRANGER: "stranger"}
PROPOSAL = Proposal(PRICE, 4 * DAY, ARBITER, TEXT)


def listing(kind: ListingKind = ListingKind.OFFER, **changes: Any) -> Listing:
    return replace(Listing(ZERO_ADDRESS, START + DAY, kind, 2, DEFAULT_BPS, PERIODS, PROPOSAL), **changes)


def build(fee_bps: int = FEE_BPS) -> ServiceEscrow:
    credit = AttentionCredit()
    pool = FeePool(credit, FEES, "0xb", "0xc", 5_000, 3_000, spenders={ESCROW})
    escrow = ServiceEscrow(credit, pool, ESCROW, GOVERNOR, GUARDIAN, fee_bps)
    for member in (BUYER, PROVIDER, STRANGER):
        credit.mint(member, FUNDS)
        credit.approve(member, ESCROW, MAX_UINT256)
    return escrow


def placed(kind: ListingKind = ListingKind.OFFER, fee_bps: int = FEE_BPS, **changes: Any) -> ServiceEscrow:
    """One order placed at the listing's own proposal: by the buyer of an offer, by a request's provider."""
    escrow = build(fee_bps)
    owner, other = (PROVIDER, BUYER) if kind == ListingKind.OFFER else (BUYER, PROVIDER)
    escrow.list(owner, listing(kind, **changes), now=START)
    assert escrow.place_order(other, 1, PROPOSAL, now=START) == 1
    return escrow


def disputed(part: int = 0, **changes: Any) -> ServiceEscrow:
    escrow = placed(**changes)
    escrow.accept(PROVIDER, 1, 1, now=START)
    escrow.deliver(PROVIDER, 1, now=START)
    escrow.contest(BUYER, 1, part, now=START)
    escrow.dispute(PROVIDER, 1, now=START)
    return escrow


def state(escrow: ServiceEscrow) -> Any:
    credit, pool = escrow.credit, escrow.fee_pool
    return (
        {holder: amount for holder, amount in credit.balances.items() if amount},
        {pair: amount for pair, amount in credit.allowances.items() if amount},
        (pool.depositors, pool.bonus, pool.reserve),
        (escrow.listings, escrow.orders, escrow.service_fee_bps, escrow.ordering_paused),
    )


def refused(
    escrow: ServiceEscrow, name: str, values: tuple[object, ...], verb: str, *arguments: Any, **times: int
) -> None:
    """A call that must revert with exactly this, and change nothing."""
    before = copy.deepcopy(state(escrow))
    with pytest.raises(Reverted) as caught:
        getattr(escrow, verb)(*arguments, **times)
    assert (caught.value.name, caught.value.values) == (name, values)
    assert state(escrow) == before


# Walk


@dataclass(frozen=True)
class Move:
    """One call on the order: who, what, with which arguments."""

    verb: str
    who: str
    arguments: tuple[Any, ...] = ()

    def run(self, escrow: ServiceEscrow, now: int, number: int = 1) -> None:
        arguments = self.arguments
        if self.verb == "accept":
            arguments = (escrow.order_of(number).revision,)
        if self.verb == "rate":
            escrow.rate(self.who, number, *arguments)
        else:
            getattr(escrow, self.verb)(self.who, number, *arguments, now=now)


def moves() -> list[Move]:
    every = []
    for who in ROLES:
        every += [Move("counter", who, (replace(PROPOSAL, price=price),)) for price in (LOWER, HIGHER)]
        every += [Move("contest", who, (part,)) for part in (0, 31)]
        every += [Move("rule", who, (part,)) for part in (0, 45)]
        every += [Move("rate", who, (stars,)) for stars in (1, 5)]
        plain = ("accept", "cancel", "deliver", "approve", "refund", "concede", "dispute", "move")
        every += [Move(verb, who) for verb in plain]
    return every


AGREED = (Stage.ACCEPTED, Stage.DELIVERED, Stage.CONTESTED, Stage.DISPUTED)
OPEN = (Stage.ASKED_PROVIDER, Stage.ASKED_BUYER, *AGREED)

#: What may be done until the deadline, (stage, who, verb) -> next stage, as the interface draws it.
ALLOWED: dict[tuple[Stage, str, str], Stage] = {
    (Stage.ASKED_PROVIDER, "provider", "accept"): Stage.ACCEPTED,
    (Stage.ASKED_PROVIDER, "provider", "counter"): Stage.ASKED_BUYER,
    (Stage.ASKED_PROVIDER, "provider", "cancel"): Stage.CANCELLED,
    (Stage.ASKED_PROVIDER, "buyer", "cancel"): Stage.CANCELLED,
    (Stage.ASKED_BUYER, "buyer", "accept"): Stage.ACCEPTED,
    (Stage.ASKED_BUYER, "buyer", "counter"): Stage.ASKED_PROVIDER,
    (Stage.ASKED_BUYER, "buyer", "cancel"): Stage.CANCELLED,
    (Stage.ASKED_BUYER, "provider", "cancel"): Stage.CANCELLED,
    (Stage.ACCEPTED, "provider", "deliver"): Stage.DELIVERED,
    (Stage.DELIVERED, "buyer", "contest"): Stage.CONTESTED,
    (Stage.CONTESTED, "provider", "concede"): Stage.SETTLED,
    (Stage.CONTESTED, "provider", "dispute"): Stage.DISPUTED,
    (Stage.DISPUTED, "provider", "concede"): Stage.SETTLED,
    (Stage.DISPUTED, "arbiter", "rule"): Stage.SETTLED,
    (Stage.SETTLED, "buyer", "rate"): Stage.SETTLED,
    (Stage.SETTLED, "provider", "rate"): Stage.SETTLED,
    **{(stage, "buyer", "approve"): Stage.SETTLED for stage in AGREED},
    **{(stage, "provider", "refund"): Stage.SETTLED for stage in AGREED},
}


def part_of(order: Order, move: Move) -> int:
    """What the provider must get, fee included, when this settles the order."""
    whole, named = order.held, order.part
    if move.verb == "move":
        silence = {
            Stage.ACCEPTED: 0,
            Stage.DELIVERED: whole,
            Stage.CONTESTED: named,
            Stage.DISPUTED: whole * DEFAULT_BPS // 10_000,
        }
        return silence[order.stage]
    if move.verb == "rule":
        ruled: int = move.arguments[0]
        return ruled
    return {"approve": whole, "refund": 0, "concede": named}[move.verb]


def check_books(escrow: ServiceEscrow) -> None:
    credit, pool = escrow.credit, escrow.fee_pool
    assert sum(credit.balances.values()) == credit.supply
    assert min(credit.balances.values()) >= 0
    assert credit.balance_of(ESCROW) == sum(order.held for order in escrow.orders.values())
    assert credit.balance_of(FEES) == pool.depositors + pool.bonus + pool.reserve
    for order in escrow.orders.values():
        if order.stage in AGREED:
            assert order.held == order.proposal.price
        if order.stage not in OPEN:
            assert order.held == 0 and order.deadline == 0


def check_divided(before: ServiceEscrow, after: ServiceEscrow, move: Move) -> None:
    """The two sides' and the pool's balances moved by exactly the part, the fee and the rest."""
    order = before.order_of(1)
    part = part_of(order, move)
    fee = -(-part * order.fee_bps // 10_000)
    gained = {
        who: after.credit.balance_of(who) - before.credit.balance_of(who) for who in (PROVIDER, BUYER, FEES)
    }
    assert gained == {PROVIDER: part - fee, BUYER: order.held - part, FEES: fee}
    assert after.order_of(1).part == part


def walk(start: ServiceEscrow) -> tuple[Counter[Stage], int]:
    """Try every call in every state that can be reached; return each stage's states, and the calls."""
    every, seen, stages, tried = moves(), set(), Counter[Stage](), 0
    queue = deque([start])
    while queue:
        escrow = queue.popleft()
        order = escrow.order_of(1)
        # Time matters only in relation to the deadline: two states that differ in nothing else are one.
        key = repr((replace(order, deadline=0), sorted(escrow.credit.balances.items()), escrow.listings))
        if key in seen:
            continue
        seen.add(key)
        stages[order.stage] += 1
        check_books(escrow)

        # The last second of the stage, and the first after it.
        for now in (order.deadline, order.deadline + 1) if order.stage in OPEN else (START,):
            late = order.stage in OPEN and now > order.deadline
            for move in every:
                if move.verb == "counter" and order.revision >= 3:
                    continue
                tried += 1
                after = copy.deepcopy(escrow)
                expected = ALLOWED.get((order.stage, ROLES[move.who], move.verb))
                if late:
                    over = Stage.SETTLED if order.stage in AGREED else Stage.CANCELLED
                    expected = over if move.verb == "move" else None
                if move.verb == "rate" and expected is not None:
                    stars = order.stars_by_buyer if move.who == BUYER else order.stars_by_provider
                    expected = None if stars else expected
                if expected is None:
                    with pytest.raises(Reverted):
                        move.run(after, now)
                    assert state(after) == state(escrow), (order.stage, move)
                    continue
                move.run(after, now)
                assert after.order_of(1).stage == expected, (order.stage, move)
                if order.stage in AGREED and expected == Stage.SETTLED:
                    check_divided(escrow, after, move)
                queue.append(after)

        if order.stage in OPEN:
            # Nobody needs the other side, the arbiter or the guardian: time and one call end it.
            for who in ROLES:
                alone = copy.deepcopy(escrow)
                alone.pause_ordering(GUARDIAN)
                alone.move(who, 1, now=order.deadline + 1)
                assert alone.order_of(1).stage in (Stage.SETTLED, Stage.CANCELLED)
                check_books(alone)
    return stages, tried


WALKED = {ListingKind.OFFER: (265, 18_240), ListingKind.REQUEST: (267, 18_464)}


@pytest.mark.parametrize("kind", ListingKind)
@pytest.mark.parametrize("fee_bps", [0, FEE_BPS])
def test_every_state_has_a_way_out_by_one_party_and_time(kind: ListingKind, fee_bps: int) -> None:
    stages, tried = walk(placed(kind, fee_bps))
    assert set(stages) == set(Stage) - {Stage.NONE}
    # As many as the README says: without and with a fee the same.
    assert (sum(stages.values()), tried) == WALKED[kind]


def test_the_walk_sees_a_stage_without_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def stuck(self: ServiceEscrow, caller: str, order_id: int, *, now: int) -> None:
        raise Reverted("Stuck")

    monkeypatch.setattr(ServiceEscrow, "move", stuck)
    with pytest.raises(Reverted, match="Stuck"):
        walk(placed())


def test_two_orders_for_the_last_piece_leave_each_other_alone() -> None:
    start = placed(stock=1)
    start.place_order(STRANGER, 1, PROPOSAL, now=START)
    plain = ("accept", "cancel", "deliver", "approve", "refund", "concede", "dispute", "move")
    people = (BUYER, STRANGER, PROVIDER, ARBITER)
    every = [Move(verb, who) for verb in plain for who in people]
    every += [Move(verb, who, (part,)) for verb, part in (("contest", 31), ("rule", 45)) for who in people]
    seen, queue, both = set(), deque([start]), set()
    while queue:
        escrow = queue.popleft()
        orders = {number: escrow.order_of(number) for number in (1, 2)}
        key = repr(([replace(order, deadline=0) for order in orders.values()], escrow.listings))
        if key in seen:
            continue
        seen.add(key)
        both.add((orders[1].stage, orders[2].stage))
        check_books(escrow)
        assert escrow.listing_of(1).stock == 1 - sum(
            order.stage in (*AGREED, Stage.SETTLED) for order in orders.values()
        )
        for number, order in orders.items():
            if order.stage not in OPEN:
                continue
            other = copy.deepcopy(orders[3 - number])
            for move in every:
                for now in (order.deadline, order.deadline + 1):
                    after = copy.deepcopy(escrow)
                    try:
                        move.run(after, now, number)
                    except Reverted:
                        assert state(after) == state(escrow)
                        continue
                    assert after.order_of(3 - number) == other
                    queue.append(after)
    # One of them may be agreed on, and only one; the other is then taken back, or lapses.
    over = {(Stage.SETTLED, Stage.CANCELLED), (Stage.CANCELLED, Stage.SETTLED), (Stage.CANCELLED,) * 2}
    ends = {pair for pair in both if not set(pair) & set(OPEN)}
    assert ends == over


# Listings


def test_listing_books_the_caller() -> None:
    escrow = build()
    assert escrow.list(PROVIDER, listing(owner=STRANGER), now=START) == 1
    assert escrow.listing_of(1) == listing(owner=PROVIDER)
    assert escrow.listing_of(2) == Listing()


def test_listing_is_refused_in_order() -> None:
    escrow = build()
    long = 365 * DAY + 1
    cases: list[tuple[dict[str, Any], str, tuple[object, ...]]] = [
        ({"expires_at": START - 1}, "ListingExpired", (0, START - 1, START)),
        ({"stock": 0}, "SoldOut", (0,)),
        ({"default_bps": 10_001}, "BadDefault", (10_001,)),
        ({"periods": replace(PERIODS, ruling=HOUR - 1)}, "BadPeriod", (HOUR - 1, HOUR, 365 * DAY)),
        ({"proposal": replace(PROPOSAL, price=1, delivery=long)}, "BadPrice", (1, 1)),
        ({"proposal": replace(PROPOSAL, delivery=long)}, "BadPeriod", (long, HOUR, 365 * DAY)),
        ({"proposal": replace(PROPOSAL, arbiter=PROVIDER)}, "BadArbiter", (PROVIDER,)),
    ]
    later: dict[str, Any] = {}
    for changes, name, values in reversed(cases):
        # The fault that is looked for first wins over all that come later.
        later = {**later, **changes}
        refused(escrow, name, values, "list", PROVIDER, listing(**later), now=START)


def test_only_the_owner_changes_the_stock() -> None:
    escrow = placed()
    refused(escrow, "NotListingOwner", (1, BUYER, PROVIDER), "set_stock", BUYER, 1, 9)
    refused(escrow, "NoSuchListing", (2,), "set_stock", BUYER, 2, 9)
    escrow.set_stock(PROVIDER, 1, 0)
    refused(escrow, "SoldOut", (1,), "place_order", STRANGER, 1, PROPOSAL, now=START)
    refused(escrow, "SoldOut", (1,), "accept", PROVIDER, 1, 1, now=START)


# Agreeing


def test_ordering_is_refused_in_order() -> None:
    escrow = build()
    escrow.list(PROVIDER, listing(), now=START)

    def refuses(
        name: str, *values: object, who: str = BUYER, number: int = 1, now: int = START, **changes: Any
    ) -> None:
        refused(escrow, name, values, "place_order", who, number, replace(PROPOSAL, **changes), now=now)

    refuses("NoSuchListing", 2, number=2)
    refuses("ListingExpired", 1, START + DAY, START + DAY + 1, now=START + DAY + 1)
    refuses("OwnListing", 1, PROVIDER, who=PROVIDER)
    refuses("BadPrice", 0, 0, price=0)
    refuses("BadPeriod", 0, HOUR, 365 * DAY, delivery=0)
    for arbiter in (ZERO_ADDRESS, BUYER, PROVIDER):
        refuses("BadArbiter", arbiter, arbiter=arbiter)
    refuses("ERC20InsufficientBalance", BUYER, FUNDS, FUNDS + 1, price=FUNDS + 1)
    escrow.credit.approve(BUYER, ESCROW, PRICE - 1)
    refuses("ERC20InsufficientAllowance", ESCROW, PRICE - 1, PRICE)
    escrow.pause_ordering(GUARDIAN)
    refuses("OrderingPaused", number=2)
    escrow.resume_ordering(GOVERNOR, escrow.pauses)
    escrow.credit.approve(BUYER, ESCROW, PRICE)
    escrow.place_order(BUYER, 1, PROPOSAL, now=START + DAY)


def test_only_the_buyers_word_moves_the_buyers_credits() -> None:
    escrow = placed()
    assert escrow.credit.balance_of(ESCROW) == PRICE
    escrow.counter(PROVIDER, 1, replace(PROPOSAL, price=HIGHER), now=START)
    assert escrow.credit.balance_of(ESCROW) == PRICE
    escrow.counter(BUYER, 1, replace(PROPOSAL, price=LOWER), now=START)
    assert escrow.credit.balance_of(ESCROW) == LOWER
    escrow.counter(PROVIDER, 1, replace(PROPOSAL, price=HIGHER, arbiter=OTHER_ARBITER), now=START)
    escrow.accept(BUYER, 1, 4, now=START)
    assert escrow.credit.balance_of(ESCROW) == HIGHER
    assert escrow.order_of(1).proposal.arbiter == OTHER_ARBITER

    request = placed(ListingKind.REQUEST)
    assert request.credit.balance_of(ESCROW) == 0
    request.accept(BUYER, 1, 1, now=START)
    assert request.credit.balance_of(ESCROW) == PRICE


def test_another_proposal_than_the_one_meant_is_not_accepted() -> None:
    escrow = placed()
    escrow.counter(PROVIDER, 1, replace(PROPOSAL, price=LOWER), now=START)
    refused(escrow, "WrongRevision", (1, 1, 2), "accept", BUYER, 1, 1, now=START)
    # A lower price needs no allowance.
    escrow.credit.approve(BUYER, ESCROW, 0)
    escrow.accept(BUYER, 1, 2, now=START)


def test_stock_falls_when_an_order_is_accepted_and_only_then() -> None:
    escrow = placed(stock=1)
    escrow.place_order(STRANGER, 1, PROPOSAL, now=START)
    assert escrow.listing_of(1).stock == 1
    escrow.accept(PROVIDER, 2, 1, now=START)
    assert escrow.listing_of(1).stock == 0
    refused(escrow, "SoldOut", (1,), "accept", PROVIDER, 1, 1, now=START)
    escrow.cancel(PROVIDER, 1, now=START)
    assert escrow.credit.balance_of(BUYER) == FUNDS


# Settling


def test_parts_and_rulings_stay_within_what_is_held() -> None:
    escrow = placed()
    escrow.accept(PROVIDER, 1, 1, now=START)
    escrow.deliver(PROVIDER, 1, now=START)
    refused(escrow, "BadPart", (PRICE, PRICE), "contest", BUYER, 1, PRICE, now=START)
    escrow.contest(BUYER, 1, PRICE - 1, now=START)
    escrow.dispute(PROVIDER, 1, now=START)
    refused(escrow, "BadPart", (PRICE + 1, PRICE), "rule", ARBITER, 1, PRICE + 1, now=START)
    escrow.rule(ARBITER, 1, PRICE, now=START)
    assert escrow.order_of(1).part == PRICE


def test_the_fee_is_that_of_the_day_of_the_order() -> None:
    escrow = placed()
    escrow.set_service_fee(GOVERNOR, 1_000)
    escrow.accept(PROVIDER, 1, 1, now=START)
    escrow.approve(BUYER, 1, now=START)
    # ceil(101 * 5 %)
    assert escrow.credit.balance_of(FEES) == 6
    assert escrow.credit.balance_of(PROVIDER) == FUNDS + PRICE - 6


def test_an_arbiter_who_never_answers_leaves_the_default_split() -> None:
    escrow = disputed()
    deadline = START + PERIODS.ruling
    refused(escrow, "NotOverdue", (1, deadline, deadline), "move", STRANGER, 1, now=deadline)
    refused(escrow, "TooLate", (1, deadline, deadline + 1), "rule", ARBITER, 1, 0, now=deadline + 1)
    escrow.move(STRANGER, 1, now=deadline + 1)
    # floor(101 / 2) less a fee of 3; the odd one is the buyer's.
    assert escrow.credit.balance_of(PROVIDER) == FUNDS + 50 - 3
    assert escrow.credit.balance_of(BUYER) == FUNDS - PRICE + 51


def test_a_deadline_belongs_to_its_stage() -> None:
    escrow = placed()
    accepted, delivered, contested = START + DAY, START + 5 * DAY, START + 7 * DAY
    escrow.accept(PROVIDER, 1, 1, now=accepted)
    assert escrow.order_of(1).deadline == delivered
    escrow.deliver(PROVIDER, 1, now=delivered)
    assert escrow.order_of(1).deadline == contested
    escrow.contest(BUYER, 1, 0, now=contested)
    assert escrow.order_of(1).deadline == contested + PERIODS.answer
    escrow.dispute(PROVIDER, 1, now=contested)
    assert escrow.order_of(1).deadline == contested + PERIODS.ruling


# Rating and settings


def test_only_the_sides_of_a_settled_order_rate_once_each() -> None:
    escrow = placed()
    refused(escrow, "WrongStage", (1, Stage.ASKED_PROVIDER), "rate", BUYER, 1, 5)
    refused(escrow, "WrongStage", (2, Stage.NONE), "rate", BUYER, 2, 5)
    escrow.accept(PROVIDER, 1, 1, now=START)
    escrow.approve(BUYER, 1, now=START)
    for outsider in (ARBITER, STRANGER, ESCROW):
        refused(escrow, "NotYours", (1, outsider), "rate", outsider, 1, 5)
    for stars in (0, 6):
        refused(escrow, "BadStars", (stars,), "rate", BUYER, 1, stars)
    escrow.rate(BUYER, 1, 5)
    refused(escrow, "AlreadyRated", (1, BUYER), "rate", BUYER, 1, 1)
    escrow.rate(PROVIDER, 1, 1)
    assert (escrow.order_of(1).stars_by_buyer, escrow.order_of(1).stars_by_provider) == (5, 1)


def test_a_cancelled_order_is_not_rated() -> None:
    escrow = placed()
    escrow.cancel(BUYER, 1, now=START)
    refused(escrow, "WrongStage", (1, Stage.CANCELLED), "rate", BUYER, 1, 5)


def test_settings_are_by_role_and_bounded() -> None:
    escrow = build()
    refused(escrow, "AccessManagedUnauthorized", (BUYER,), "set_service_fee", BUYER, 1)
    refused(escrow, "ServiceFeeTooHigh", (1_001, 1_000), "set_service_fee", GOVERNOR, 1_001)
    refused(escrow, "AccessManagedUnauthorized", (GOVERNOR,), "pause_ordering", GOVERNOR)
    refused(escrow, "AccessManagedUnauthorized", (GUARDIAN,), "resume_ordering", GUARDIAN, 1)
    with pytest.raises(Reverted, match="ServiceFeeTooHigh"):
        build(1_001)
