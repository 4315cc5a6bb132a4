"""What a member of the walk may do, and how often."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple
from typing import Any

from tests.walk.bank_members import Members
from tests.walk.bank_sides import WALKERS, Planned
from tests.walk.chain_side import Step
from timebank_chain.spec.attention_credit import MAX_UINT256
from timebank_chain.spec.credit_lease import LeaseOffer


def draw_step(walk: Members) -> Planned:
    """One step of one member, as chance has it."""
    kinds, weights = zip(*_KINDS, strict=True)
    kind: Callable[[Members, int], Planned] = walk.draw.choices(kinds, weights)[0]
    return kind(walk, walk.draw.randrange(WALKERS))


def _offer_call(offer: LeaseOffer) -> tuple[Any, ...]:
    return astuple(offer)


def _take(walk: Members, walker: int) -> Planned:
    offer, valid = walk.offer(), walk.draw.random() < 0.97
    signature = b"\x01" if valid else walk.draw.choice([b"", b"\x02", b"\x01\x01"])
    state = walk.lease.offers.get(walk.lease.hash_offer(offer))
    amount = walk.amount(offer.amount - (state.taken if state else 0))
    receipt = walk.receipt(walker)
    step = Step(walker, "CreditLease", "take", (_offer_call(offer), signature, amount, receipt))
    return Planned(step, (offer, valid, amount, receipt))


def _take_on_standing(walk: Members, walker: int) -> Planned:
    offer, valid = walk.offer(), walk.draw.random() < 0.97
    signature = b"\x01" if valid else b"\x02"
    proven, amount = walk.proof(walker), walk.amount(offer.amount)
    words = (_offer_call(offer), signature, amount, proven.leaf.as_call(), list(proven.proof))
    step = Step(walker, "CreditLease", "takeOnStanding", words)
    return Planned(step, (offer, valid, amount, proven.leaf, proven.proof))


def _borrow_on_standing(walk: Members, walker: int) -> Planned:
    proven = walk.proof(walker)
    # Mostly what the cap lets through, now and then as much as it must refuse.
    wanted = walk.lending.books.cash // walk.draw.choice((8, 8, 8, 2))
    amount = walk.amount(min(proven.leaf.standing // 2, wanted))
    words = (proven.leaf.as_call(), list(proven.proof), amount, walk.someone())
    step = Step(walker, "CreditLending", "borrowOnStanding", words)
    return Planned(step, (proven.leaf, proven.proof, amount, words[3]))


def _cancel(walk: Members, walker: int) -> Planned:
    offer = walk.offer()
    if walk.draw.random() < 0.1:
        return walk.plan(walker, "CreditLease", "cancelAll")
    if walk.draw.random() < 0.8:
        walker = walk.numbers[offer.lender]
    return Planned(Step(walker, "CreditLease", "cancel", (_offer_call(offer),)), (offer,))


def _claim_many(walk: Members, walker: int) -> Planned:
    order = sorted(walk.accounts)
    first = walk.draw.randrange(len(order) - 1)
    count = walk.draw.randrange(1, len(order) - first + 1)
    proven = [walk.proven[account] for account in order[first : first + count]]
    depth = max(0, (len(order) - 1).bit_length())
    proof = list(walk.tree.range_proof(first, count))
    words = ([one.leaf.as_call() for one in proven], proof, depth)
    leaves = [one.leaf for one in proven]
    return Planned(Step(walker, "CreditDistributor", "claimMany", words), (leaves, proof, depth))


def _account(walk: Members, walker: int) -> str:
    mine = walk.accounts_of(walker)
    return walk.draw.choice([*mine, *mine, *mine, walk.draw.choice(walk.accounts)])


def _receiver(walk: Members) -> str:
    """Of a receipt: somebody, now and then a room that did not ask for it."""
    return walk.draw.choice(walk.rooms[1:]) if walk.draw.random() < 0.05 else walk.someone()


#: What a member may do, and how often.
_KINDS: tuple[tuple[Callable[[Members, int], Planned], int], ...] = (
    (
        lambda w, n: w.plan(
            n, "TimeBank", "deposit", w.amount(w.balance(n) // 3), w.draw.randrange(5), _receiver(w)
        ),
        9,
    ),
    (lambda w, n: w.plan(n, "TimeBank", "withdraw", w.receipt(n), w.someone()), 5),
    (lambda w, n: w.plan(n, "TimeBank", "exitEarly", w.receipt(n), w.someone()), 3),
    (lambda w, n: w.plan(n, "TimeBank", "close", w.receipt(n), w.someone()), 2),
    (lambda w, n: w.plan(n, "TimeBank", "collectIncome", w.receipt(n), w.someone()), 4),
    (lambda w, n: w.plan(n, "TimeBank", "rollOver", w.receipt(n), w.draw.randrange(5)), 4),
    (lambda w, n: w.plan(n, "TimeBank", "lapse", w.receipt()), 3),
    (lambda w, n: w.plan(n, "TimeBank", "collect"), 4),
    (lambda w, n: w.plan(n, "TimeBank", "approve", w.draw.choice(w.rooms), w.receipt(n)), 8),
    (
        lambda w, n: w.plan(
            n,
            "TimeBank",
            "setApprovalForAll",
            w.draw.choice([*w.rooms, w.someone()]),
            w.draw.random() < 0.7,
        ),
        1,
    ),
    (lambda w, n: w.plan(n, "TimeBank", "transferFrom", w.members[n], _receiver(w), w.receipt(n)), 3),
    (lambda w, n: w.plan(n, "CreditLending", "deposit", w.amount(w.balance(n) // 3), w.someone()), 6),
    (lambda w, n: w.plan(n, "CreditLending", "mint", w.amount(w.balance(n) * 10**5), w.someone()), 2),
    (
        lambda w, n: w.plan(
            n,
            "CreditLending",
            "withdraw",
            w.amount(w.lending.max_withdraw(w.members[n], now=w.now)),
            w.someone(),
            w.members[n] if w.draw.random() < 0.9 else w.someone(),
        ),
        3,
    ),
    (
        lambda w, n: w.plan(
            n,
            "CreditLending",
            "redeem",
            w.amount(w.lending.max_redeem(w.members[n], now=w.now)),
            w.someone(),
            w.members[n] if w.draw.random() < 0.9 else w.someone(),
        ),
        3,
    ),
    (lambda w, n: w.plan(n, "CreditLending", "pledge", w.receipt(n)), 6),
    (
        lambda w, n: w.plan(n, "CreditLending", "borrow", *w.pledge_and_room(n), w.someone()),
        7,
    ),
    (
        lambda w, n: w.plan(
            n,
            "CreditLending",
            "pledgeAndBorrow",
            w.receipt(n),
            w.amount(w.lending.books.cash // 20),
            w.someone(),
        ),
        3,
    ),
    (lambda w, n: w.plan(n, "CreditLending", "repay", w.pledge_of(n), w.amount(w.balance(n) // 4)), 6),
    (lambda w, n: w.plan(n, "CreditLending", "release", w.pledge_of(n)), 4),
    (lambda w, n: w.plan(n, "CreditLending", "liquidate", w.pledge_of(None)), 3),
    (_borrow_on_standing, 8),
    (lambda w, n: w.plan(n, "CreditLending", "repayStanding", w.someone(), w.amount(w.balance(n) // 4)), 3),
    (lambda w, n: w.plan(n, "CreditLending", "writeOff", w.someone()), 3),
    (lambda w, n: w.plan(n, "CreditLending", "accrue"), 1),
    (lambda w, n: w.plan(n, "CreditLending", "payFees"), 2),
    (_take, 7),
    (_take_on_standing, 6),
    (lambda w, n: w.plan(n, "CreditLease", "repay", w.lease_id(), w.amount(w.balance(n) // 4)), 5),
    (lambda w, n: w.plan(n, "CreditLease", "settle", w.lease_id()), 4),
    (lambda w, n: w.plan(n, "CreditLease", "forgive", w.lease_id()), 1),
    (_cancel, 1),
    (lambda w, n: w.claim(_account(w, n)), 5),
    (_claim_many, 1),
    (
        lambda w, n: w.plan(n, "CreditDistributor", "setStandingOrder", _account(w, n), w.draw.randrange(5)),
        2,
    ),
    (lambda w, n: w.plan(n, "CreditDistributor", "endStandingOrder", _account(w, n)), 1),
    (lambda w, n: w.plan(n, "FeePool", "sync"), 1),
    (
        lambda w, n: w.plan(
            n,
            "AttentionCredit",
            "transfer",
            w.draw.choice(
                [*w.members, *(w.addresses[name] for name in ("TimeBank", "CreditLending", "FeePool"))]
            ),
            w.amount(w.balance(n) // 20),
        ),
        4,
    ),
    (
        lambda w, n: w.plan(
            n,
            "AttentionCredit",
            "approve",
            w.draw.choice(w.rooms),
            w.draw.choice([MAX_UINT256, MAX_UINT256, MAX_UINT256, w.amount(w.balance(n))]),
        ),
        2,
    ),
)
