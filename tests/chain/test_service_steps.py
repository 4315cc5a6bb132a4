"""What each side may do next.

::

    in every stage, up to the deadline and after it: the steps named are those the specification allows
    what time would do is what the specification does
"""

from __future__ import annotations

import copy

import pytest

from tests.spec.test_service_escrow import ARBITER, BUYER, PROPOSAL, PROVIDER, START, STRANGER, placed
from timebank_chain.chain.service_steps import lapse_effect, lapse_part, next_steps
from timebank_chain.spec.revert import Reverted
from timebank_chain.spec.service_escrow import ListingKind, ServiceEscrow, Stage

PEOPLE = {"buyer": BUYER, "provider": PROVIDER, "arbiter": ARBITER, "anybody": STRANGER}


def do(escrow: ServiceEscrow, verb: str, who: str, now: int) -> None:
    """What a command of ``timebank service`` does."""
    order = escrow.order_of(1)
    asked = order.stage in (Stage.ASKED_PROVIDER, Stage.ASKED_BUYER)
    call = {"reject": "contest", "partial": "contest", "agree": "concede"}.get(verb, verb)
    if verb == "cancel" and not asked:
        call = "refund"
    arguments: tuple[object, ...] = {
        "accept": (order.revision,),
        "counter": (PROPOSAL,),
        "reject": (0,),
        "partial": (1,),
        "rule": (1,),
        "rate": (5,),
    }.get(verb, ())
    times = {} if verb == "rate" else {"now": now}
    getattr(escrow, call)(who, 1, *arguments, **times)


VERBS = (
    *("accept", "counter", "cancel", "deliver", "approve", "reject", "partial"),
    *("agree", "dispute", "rule", "move", "rate"),
)


def stages() -> list[ServiceEscrow]:
    """An order in each of its stages."""
    found = [placed(ListingKind.REQUEST), placed()]
    escrow = placed()
    for verb, who in (
        ("accept", PROVIDER),
        ("deliver", PROVIDER),
        ("partial", BUYER),
        ("dispute", PROVIDER),
        ("rule", ARBITER),
        ("rate", BUYER),
        ("rate", PROVIDER),
    ):
        do(escrow, verb, who, START)
        found.append(copy.deepcopy(escrow))
    cancelled = placed()
    cancelled.cancel(BUYER, 1, now=START)
    return [*found, cancelled]


@pytest.mark.parametrize("escrow", stages(), ids=lambda escrow: escrow.order_of(1).stage.name)
@pytest.mark.parametrize("late", [False, True])
def test_the_steps_named_are_those_allowed(escrow: ServiceEscrow, late: bool) -> None:
    order = escrow.order_of(1)
    now = order.deadline + int(late)
    named = {(step.who, step.verb) for step in next_steps(order, escrow.listing_of(1), now)}
    allowed = set()
    for name, who in PEOPLE.items():
        for verb in VERBS:
            try:
                do(copy.deepcopy(escrow), verb, who, now)
            except Reverted:
                continue
            if verb != "move" or name == "anybody":
                allowed.add((name, verb))
    assert named == allowed


@pytest.mark.parametrize("escrow", stages(), ids=lambda escrow: escrow.order_of(1).stage.name)
def test_time_does_what_is_said(escrow: ServiceEscrow) -> None:
    order, listing = copy.deepcopy(escrow.order_of(1)), escrow.listing_of(1)
    said = lapse_effect(order, listing)
    if not order.deadline:
        assert said == ""
        return
    escrow = copy.deepcopy(escrow)
    escrow.move(STRANGER, 1, now=order.deadline + 1)
    after = escrow.order_of(1)
    assert said.startswith(after.stage.name.lower())
    if after.stage == Stage.SETTLED:
        assert after.part == lapse_part(order, listing)
