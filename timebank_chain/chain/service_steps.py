"""What each side of an order may do next, and what time does when nobody acts.

Verbs are those of ``timebank service``. Everything here follows from an order and its listing as they are
stored; whether a call would go through beyond that (credits, allowance, stock) only its simulation says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from timebank_chain.spec.service_escrow import Listing, Order, Stage
from timebank_chain.units import MicroCredit, format_micro, mul_div_down

ONE_BPS = 10_000

Who = Literal["buyer", "provider", "arbiter", "anybody"]


@dataclass(frozen=True)
class NextStep:
    """One thing somebody may do with an order now.

    Attributes
    ----------
    who
        Whose step it is.
    verb
        Name of the command.
    effect
        What becomes of the order and its credits, in words.
    """

    who: Who
    verb: str
    effect: str


def overdue(order: Order, now: int) -> bool:
    """Whether the deadline has passed, so that nothing but ``move`` works; ``now`` in Unix seconds."""
    return 0 < order.deadline < now


def lapse_part(order: Order, listing: Listing) -> MicroCredit:
    """Return what the provider gets, fee included, if time ends the order in its present stage."""
    parts = {
        Stage.DELIVERED: order.held,
        Stage.CONTESTED: order.part,
        Stage.DISPUTED: mul_div_down(order.held, listing.default_bps, ONE_BPS),
    }
    return MicroCredit(parts.get(order.stage, 0))


def lapse_effect(order: Order, listing: Listing) -> str:
    """Say what time does to the order once its deadline has passed; empty for one that is over."""
    if not order.deadline:
        return ""
    part = lapse_part(order, listing)
    if order.stage in (Stage.ASKED_PROVIDER, Stage.ASKED_BUYER):
        return f"cancelled, {format_micro(order.held)} back to the buyer"
    return f"settled, {format_micro(part)} to the provider, {format_micro(order.held - part)} to the buyer"


def next_steps(order: Order, listing: Listing, now: int) -> tuple[NextStep, ...]:
    """Return what may be done with an order at ``now``, Unix seconds."""
    if overdue(order, now):
        return (NextStep("anybody", "move", lapse_effect(order, listing)),)
    steps = [NextStep(*step) for step in _STEPS.get(order.stage, ())]
    if order.stage == Stage.SETTLED:
        if not order.stars_by_buyer:
            steps.append(NextStep("buyer", "rate", "the provider is rated, 1 to 5"))
        if not order.stars_by_provider:
            steps.append(NextStep("provider", "rate", "the buyer is rated, 1 to 5"))
    return tuple(steps)


_ALL_TO_PROVIDER = "settled, all to the provider"
_ALL_TO_BUYER = "settled, all to the buyer"
_ASKED: tuple[tuple[Who, str, str], ...] = (
    ("buyer", "cancel", "cancelled, all that is held to the buyer"),
    ("provider", "cancel", "cancelled, all that is held to the buyer"),
)

_STEPS: dict[Stage, tuple[tuple[Who, str, str], ...]] = {
    Stage.ASKED_PROVIDER: (
        ("provider", "accept", "accepted, time for the delivery begins"),
        ("provider", "counter", "the buyer is asked"),
        *_ASKED,
    ),
    Stage.ASKED_BUYER: (
        ("buyer", "accept", "accepted, the price is in escrow, time for the delivery begins"),
        ("buyer", "counter", "the price is in escrow, the provider is asked"),
        *_ASKED,
    ),
    Stage.ACCEPTED: (
        ("provider", "deliver", "delivered, time for the buyer's review begins"),
        ("provider", "cancel", _ALL_TO_BUYER),
        ("buyer", "approve", _ALL_TO_PROVIDER),
    ),
    Stage.DELIVERED: (
        ("buyer", "approve", _ALL_TO_PROVIDER),
        ("buyer", "reject", "contested: nothing to the provider, unless it disputes"),
        ("buyer", "partial", "contested: a part to the provider, unless it disputes"),
        ("provider", "cancel", _ALL_TO_BUYER),
    ),
    Stage.CONTESTED: (
        ("provider", "agree", "settled, the named part to the provider"),
        ("provider", "dispute", "the arbiter is asked"),
        ("provider", "cancel", _ALL_TO_BUYER),
        ("buyer", "approve", _ALL_TO_PROVIDER),
    ),
    Stage.DISPUTED: (
        ("arbiter", "rule", "settled as ruled"),
        ("provider", "agree", "settled, the named part to the provider"),
        ("provider", "cancel", _ALL_TO_BUYER),
        ("buyer", "approve", _ALL_TO_PROVIDER),
    ),
}
