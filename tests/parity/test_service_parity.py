"""The escrow on chain and its specification walk side by side: results, refusals, books, to the unit.

::

    any sequence of calls by members, arbiters and outsiders, at any time
    |- the contract returns what the specification returns, and refuses with the same error and values
    |- listings and orders read through the client are the specification's
    |- balances of everybody, of the escrow and of the fee pool are the specification's
    `- every function succeeds somewhere, every refusal of the contract comes up, every stage is seen

The shipped artifacts run on the embedded chain's machine.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

from eth_abi.abi import decode
from eth_abi.abi import encode as abi_encode
from eth_utils.abi import collapse_if_tuple

from tests.walk.chain_side import encoded_error, told
from tests.walk.evm import Evm
from tests.world import World
from timebank_chain.artifacts import load_artifact
from timebank_chain.chain.contract import encode, function_abi
from timebank_chain.chain.member_registry import ZERO_ADDRESS
from timebank_chain.chain.service_escrow import (
    listing_as_call,
    listing_from_call,
    order_from_call,
    proposal_as_call,
)
from timebank_chain.spec.attention_credit import MAX_UINT256, AttentionCredit
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

SEEDS = (7, 8)
STEPS = 1_500
HOUR = 3_600
MEMBERS = ("member1", "member2", "member3", "member4", "payee", "stranger")
FUNDS = 10**9


class Walk:
    """The contract, the specification, and what was seen of both."""

    def __init__(self, world: World, seed: int) -> None:
        self.draw = random.Random(seed)
        self.evm = Evm(world.connection)
        timebank = world.timebank
        self.address = timebank.service_escrow.address
        self.credit_address, pool = timebank.attention_credit.address, timebank.fee_pool.address
        self.pool_address = pool
        self.members = [world.address(role) for role in MEMBERS]
        self.roles = (world.address("governor"), world.address("guardian"))
        self.manager_address = timebank.access_manager.address
        self.governance_delay = timebank.deployment.plan.governance_delay
        self.credit = AttentionCredit()
        bank, lending = timebank.time_bank.address, timebank.credit_lending.address
        split = timebank.fee_pool.split()
        fee_pool = FeePool(self.credit, pool, bank, lending, *split[:2], spenders={self.address})
        fee_bps = timebank.service_escrow.service_fee_bps()
        self.spec = ServiceEscrow(self.credit, fee_pool, self.address, *self.roles, fee_bps)
        self.seen: Counter[str] = Counter()
        minter = timebank.credit_distributor.address
        for member in self.members:
            self.credit.mint(member, FUNDS)
            done = self.evm.call(
                minter, self.credit_address, encode("AttentionCredit", "mint", member, FUNDS)
            )
            assert done.succeeded
            self.approve(member, MAX_UINT256)

    def approve(self, member: str, amount: int) -> None:
        self.credit.approve(member, self.address, amount)
        data = encode("AttentionCredit", "approve", self.address, amount)
        assert self.evm.call(member, self.credit_address, data).succeeded

    def step(self) -> None:
        """One call, by the contract and by the specification."""
        function, caller, arguments, spec_name, spec_arguments, timed = self.choose()
        data = encode("ServiceEscrow", function, *arguments)
        extra = {"now": self.evm.now} if timed else {}
        done = self.evm.call(caller, self.address, data)
        try:
            result = getattr(self.spec, spec_name)(caller, *spec_arguments, **extra)
        except Reverted as refused:
            assert not done.succeeded, (function, refused)
            assert done.returned == encoded_error(refused), (function, refused, told(done.returned))
            self.seen[refused.name] += 1
        else:
            assert done.succeeded, (function, told(done.returned))
            assert done.returned == (b"" if result is None else abi_encode(["uint256"], [result])), function
            self.seen[function] += 1
        self.compare()

    def compare(self) -> None:
        """All balances, and every listing and order that could have changed."""
        for holder in (*self.members, self.address, self.pool_address):
            data = encode("AttentionCredit", "balanceOf", holder)
            found = int.from_bytes(self.evm.call(holder, self.credit_address, data).returned, "big")
            assert found == self.credit.balance_of(holder), holder
        held = sum(order.held for order in self.spec.orders.values())
        assert self.credit.balance_of(self.address) == held
        if self.spec.listings:
            number = self.draw.randint(1, len(self.spec.listings))
            assert listing_from_call(self.view("listingOf", number)) == self.spec.listing_of(number)
        for number in self.watched():
            assert order_from_call(self.view("orderOf", number)) == self.spec.order_of(number)

    def watched(self) -> set[int]:
        count = len(self.spec.orders)
        return {self.order_id, count, self.draw.randint(1, count)} - {0} if count else set()

    def view(self, function: str, number: int) -> Any:
        (output,) = function_abi("ServiceEscrow", function)["outputs"]
        done = self.evm.call(self.members[0], self.address, encode("ServiceEscrow", function, number))
        return decode([collapse_if_tuple(dict(output))], done.returned)[0]

    # What to call: mostly what could work, now and then anything

    order_id = 0

    def choose(self) -> tuple[str, str, tuple[Any, ...], str, tuple[Any, ...], bool]:
        draw, spec = self.draw, self.spec
        self.wait()
        kind, now = draw.random(), self.evm.now
        usable = [number for number, one in spec.listings.items() if one.stock and one.expires_at >= now]
        still = [number for number, order in spec.orders.items() if order.deadline]
        if kind < 0.02 or (not usable and kind < 0.5) or not spec.listings:
            listing = self.listing()
            return "list", draw.choice(self.members), (listing_as_call(listing),), "list", (listing,), True
        listing_id = draw.randint(1, len(spec.listings) + 1)
        if kind < 0.04:
            owner = spec.listing_of(listing_id).owner
            caller = owner if draw.random() < 0.8 and owner != ZERO_ADDRESS else draw.choice(self.members)
            arguments = (listing_id, draw.choice((0, 1, 5, 20)))
            return "setStock", caller, arguments, "set_stock", arguments, False
        if kind < 0.06:
            self.approve(draw.choice(self.members), draw.choice((50, MAX_UINT256, MAX_UINT256, MAX_UINT256)))
        if kind < 0.08 and (spec.ordering_paused or draw.random() < 0.3):
            return self.pause_or_resume()
        if kind < 0.2 or (len(still) < 5 and kind < 0.6):
            if usable and draw.random() < 0.9:
                listing_id = draw.choice(usable)
            wanted = spec.listing_of(listing_id).proposal
            proposal = wanted if draw.random() < 0.8 else self.proposal()
            caller = draw.choice(self.members)
            call = (listing_id, proposal_as_call(proposal))
            return "placeOrder", caller, call, "place_order", (listing_id, proposal), True
        self.order_id = draw.choice(still) if still and kind < 0.9 else draw.randint(1, len(spec.orders) + 1)
        return self.act(spec.order_of(self.order_id))

    def pause_or_resume(self) -> tuple[str, str, tuple[Any, ...], str, tuple[Any, ...], bool]:
        """The guardian pauses at once, the governor resumes what it has scheduled; others are refused."""
        governor, guardian = self.roles
        if not self.spec.ordering_paused:
            caller = guardian if self.draw.random() < 0.9 else self.draw.choice(self.members)
            return "pauseOrdering", caller, (), "pause_ordering", (), False
        caller = governor if self.draw.random() < 0.9 else self.draw.choice((guardian, *self.members))
        pause = self.spec.pauses - self.draw.choice((0, 0, 0, 1))
        if caller == governor:
            resume = encode("ServiceEscrow", "resumeOrdering", pause)
            data = encode("AccessManager", "schedule", self.address, resume, 0)
            assert self.evm.call(governor, self.manager_address, data).succeeded
            self.evm.next_block(self.governance_delay)
        return "resumeOrdering", caller, (pause,), "resume_ordering", (pause,), False

    def act(self, order: Order) -> tuple[str, str, tuple[Any, ...], str, tuple[Any, ...], bool]:
        draw, number = self.draw, self.order_id
        possible = {
            Stage.ASKED_PROVIDER: ("accept", "accept", "accept", "counter", "cancel", "move"),
            Stage.ASKED_BUYER: ("accept", "accept", "accept", "counter", "cancel", "move"),
            Stage.ACCEPTED: ("deliver", "deliver", "deliver", "approve", "refund", "move"),
            Stage.DELIVERED: ("contest", "contest", "contest", "approve", "refund", "move"),
            Stage.CONTESTED: (
                "dispute",
                "dispute",
                "dispute",
                "concede",
                "concede",
                "approve",
                "refund",
                "move",
            ),
            Stage.DISPUTED: ("rule", "rule", "concede", "concede", "approve", "refund", "move"),
        }
        every = tuple({verb for verbs in possible.values() for verb in verbs} | {"rate"})
        verbs = possible.get(order.stage, ("rate",)) if draw.random() < 0.85 else sorted(every)
        verb = draw.choice(verbs)
        if self.evm.now > order.deadline > 0 and draw.random() < 0.7:
            verb = "move"
        asked = order.provider if order.stage == Stage.ASKED_PROVIDER else order.buyer
        right = {
            "accept": asked,
            "counter": asked,
            "contest": order.buyer,
            "approve": order.buyer,
            "rule": order.proposal.arbiter,
        }.get(verb, draw.choice((order.provider, order.provider, order.buyer)))
        caller = right if draw.random() < 0.9 and right != ZERO_ADDRESS else draw.choice(self.members)
        text = draw.randbytes(32)
        if verb == "accept":
            arguments: tuple[Any, ...] = (number, order.revision - int(draw.random() < 0.05) & 0xFFFF)
            return verb, caller, arguments, verb, arguments, True
        if verb == "counter":
            proposal = self.proposal()
            return verb, caller, (number, proposal_as_call(proposal)), verb, (number, proposal), True
        if verb in ("contest", "rule"):
            part = draw.choice((0, 1, order.held // 3, max(0, order.held - 1), order.held, order.held + 1))
            return verb, caller, (number, part, text), verb, (number, part), True
        if verb in ("deliver", "dispute"):
            return verb, caller, (number, text), verb, (number,), True
        if verb == "rate":
            stars = draw.choice((0, 1, 3, 5, 6))
            return verb, caller, (number, stars, text), verb, (number, stars), False
        return verb, caller, (number,), verb, (number,), True

    def wait(self) -> None:
        """Mostly little time; sometimes just to a deadline, or a second past it."""
        order = self.spec.order_of(self.draw.randint(1, len(self.spec.orders))) if self.spec.orders else None
        ahead = 0 if order is None else order.deadline - self.evm.now
        if ahead >= 0 and self.draw.random() < 0.015:
            self.evm.next_block(ahead + self.draw.randint(0, 1))
        else:
            self.evm.next_block(self.draw.choice((1, 1, 1, 60)))

    def listing(self) -> Listing:
        draw = self.draw
        periods = [
            draw.choice((HOUR, 24 * HOUR, 48 * HOUR)) - int(draw.random() < 0.03) * HOUR for _ in "four"
        ]
        return Listing(
            owner=ZERO_ADDRESS,
            expires_at=self.evm.now + draw.choice((-1, HOUR, 90 * HOUR, 900 * HOUR)),
            kind=draw.choice(tuple(ListingKind)),
            stock=draw.choice((0, 1, 10, 50, 50)),
            default_bps=draw.choice((0, 3_333, 5_000, 10_000, 10_001)),
            periods=Periods(*periods),
            proposal=self.proposal(),
        )

    def proposal(self) -> Proposal:
        draw = self.draw
        return Proposal(
            price=draw.choice((0, 1, 7, 1_001, 10**6 + 1, 10**6 + 1, 10**6 + 1, 2 * FUNDS)),
            delivery=draw.choice((HOUR, 24 * HOUR, 24 * HOUR, 365 * 24 * HOUR, 0)),
            arbiter=draw.choice((*self.members[3:], *self.members[3:], ZERO_ADDRESS)),
            content_hash=draw.randbytes(32),
        )


def test_contract_and_specification_take_the_same_steps(embedded_world: World) -> None:
    stages: Counter[Stage] = Counter()
    seen: Counter[str] = Counter()
    for seed in SEEDS:
        walk = Walk(embedded_world, seed)
        with walk.evm.undone():
            for _ in range(STEPS):
                walk.step()
                if walk.order_id:
                    stages[walk.spec.order_of(walk.order_id).stage] += 1
        seen += walk.seen
    assert set(stages) == set(Stage)
    abi = load_artifact("ServiceEscrow").abi
    functions = {
        entry["name"]
        for entry in abi
        if entry["type"] == "function" and entry["stateMutability"] == "nonpayable"
    }
    # The fee and who governs are compared by the tests of roles; the credit refuses by its own names.
    assert functions - {"setAuthority", "setServiceFee"} <= set(seen)
    errors = {entry["name"] for entry in abi if entry["type"] == "error"}
    inherited = {
        "AccessManagedInvalidAuthority",
        "AccessManagedRequiredDelay",
        "SafeCastOverflowedUintDowncast",
        "SafeERC20FailedOperation",
    }
    assert errors - inherited - {"ServiceFeeTooHigh"} <= set(seen), errors - set(seen)
    assert {"ERC20InsufficientAllowance", "ERC20InsufficientBalance"} <= set(seen)
