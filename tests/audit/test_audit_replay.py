"""The replay alone: what the contracts could never have emitted is an anomaly; signatures are recovered.

replay
├── transfers, mints and burns add up
├── spending what nobody gave is an anomaly
├── a claim that does not continue the last is an anomaly
├── a route belongs to the claim before it, once
├── depositors are paid their whole account, losses as far as the reserve goes; what comes back joins it
├── rooms and payees set a second time are anomalies
├── a second link, a confirmation without a request, a rejection of nothing are anomalies
├── an epoch finalised or voided that is not pending is an anomaly
├── a bond withdrawn that is not the owner's is an anomaly
└── parameters are those set before, not at, a position
recover
├── gives the signer
└── refuses malleable, short and impossible signatures
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.world import signer
from timebank_chain.audit.epochs import recover
from timebank_chain.audit.evidence import Event
from timebank_chain.audit.replay import ZERO_ADDRESS, Ledger, Timeline, replay

GIVER, TAKER = "0x" + "11" * 20, "0x" + "22" * 20
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def played(*steps: tuple[str, str, dict[str, Any]]) -> Ledger:
    return replay(
        Event(contract, name, args, block, 0, bytes([block]) * 32, 0)
        for block, (contract, name, args) in enumerate(steps, start=1)
    )


def transfer(sender: str, receiver: str, value: int) -> tuple[str, str, dict[str, Any]]:
    return "AttentionCredit", "Transfer", {"from": sender, "to": receiver, "value": value}


def claimed(amount: int, cumulative: int) -> tuple[str, str, dict[str, Any]]:
    args = {"account": GIVER, "receiver": GIVER, "epoch": 1, "amount": amount, "cumulative": cumulative}
    return "CreditDistributor", "Claimed", args


def registry(name: str, wallet: str = TAKER) -> tuple[str, str, dict[str, Any]]:
    return "MemberRegistry", name, {"placeholder": GIVER, "wallet": wallet, "effectiveAt": 5, "caller": GIVER}


def proposed(epoch: int = 1, bond: int = 100) -> tuple[str, str, dict[str, Any]]:
    args = {
        "epoch": epoch,
        "headerHash": b"\x01" * 32,
        "proposer": GIVER,
        "header": {},
        "signers": [],
        "bond": bond,
        "challengeEndsAt": 9,
    }
    return "RateOracle", "EpochProposed", args


def closing(epoch: int = 1, header: bytes = b"\x01" * 32) -> dict[str, Any]:
    return {"epoch": epoch, "headerHash": header}


def voided(reward: int, burned: int, header: bytes = b"\x01" * 32) -> tuple[str, str, dict[str, Any]]:
    args = {**closing(header=header), "challenger": TAKER, "reward": reward, "burned": burned}
    return "RateOracle", "EpochVoided", args


def test_transfers_add_up() -> None:
    ledger = played(
        transfer(ZERO_ADDRESS, GIVER, 100), transfer(GIVER, TAKER, 30), transfer(TAKER, ZERO_ADDRESS, 10)
    )
    assert (ledger.minted, ledger.burned, ledger.supply) == (100, 10, 90)
    assert dict(ledger.balances) == {GIVER: 70, TAKER: 20}
    assert not ledger.anomalies


def test_spending_what_nobody_gave() -> None:
    ledger = played(transfer(ZERO_ADDRESS, GIVER, 100), transfer(GIVER, TAKER, 101))
    (difference,) = ledger.anomalies_of("supply")
    assert difference.where == "block 2, log 0, AttentionCredit.Transfer"
    assert "at most 100" in difference.expected


@pytest.mark.parametrize("second", [claimed(5, 16), claimed(5, 14), claimed(0, 10), claimed(10, 10)])
def test_a_claim_that_does_not_continue_the_last(second: tuple[str, str, dict[str, Any]]) -> None:
    assert len(played(claimed(10, 10), second).anomalies_of("claims")) == 1
    assert not played(claimed(10, 10), claimed(5, 15)).anomalies


def routed(account: str = GIVER) -> tuple[str, str, dict[str, Any]]:
    args = {"account": account, "creditor": TAKER, "toCreditor": 4, "depositId": 0, "toDeposit": 0}
    return "CreditDistributor", "ClaimRouted", args


def in_one_transaction(*steps: tuple[str, str, dict[str, Any]]) -> Ledger:
    return replay(Event(*step, 1, log, bytes(32), 0) for log, step in enumerate(steps))


def test_a_route_belongs_to_the_claim_before_it() -> None:
    ledger = in_one_transaction(claimed(10, 10), routed(), claimed(5, 15))
    assert not ledger.anomalies
    assert [ledger.routes.get(claim.event.position) is not None for claim in ledger.claims] == [True, False]


@pytest.mark.parametrize(
    "steps", [[routed()], [claimed(5, 5), routed(TAKER)], [claimed(5, 5), routed(), routed()]]
)
def test_a_route_without_its_claim(steps: list[tuple[str, str, dict[str, Any]]]) -> None:
    assert len(in_one_transaction(*steps).anomalies_of("claims")) == 1


def test_a_route_in_another_transaction() -> None:
    assert len(played(claimed(5, 5), routed()).anomalies_of("claims")) == 1


def fee_pool(name: str, **args: Any) -> tuple[str, str, dict[str, Any]]:
    return "FeePool", name, args


COLLECTED = fee_pool("FeesCollected", amount=100, toDepositors=50, toBonus=30, toReserve=20)


def test_payees_draw_on_their_accounts() -> None:
    ledger = played(
        COLLECTED,
        fee_pool("DepositorsPaid", amount=50),
        fee_pool("LossCovered", loss=15, paid=15),
        fee_pool("LossCovered", loss=15, paid=5),
        fee_pool("LossCovered", loss=15, paid=0),
        fee_pool("ReserveRestored", amount=7),
    )
    assert not ledger.anomalies
    assert (ledger.fees.depositors, ledger.fees.bonus, ledger.fees.reserve) == (0, 30, 7)


@pytest.mark.parametrize(
    "draw",
    [
        fee_pool("DepositorsPaid", amount=49),
        fee_pool("DepositorsPaid", amount=51),
        fee_pool("LossCovered", loss=15, paid=14),
        fee_pool("LossCovered", loss=15, paid=16),
        fee_pool("LossCovered", loss=25, paid=21),
    ],
)
def test_a_draw_of_another_sum(draw: tuple[str, str, dict[str, Any]]) -> None:
    assert len(played(COLLECTED, draw).anomalies_of("fees")) == 1


def test_rooms_and_payees_set_twice() -> None:
    rooms = ("CreditDistributor", "RoomsSet", {"timeBank": GIVER, "lending": TAKER, "lease": ZERO_ADDRESS})
    payees = fee_pool("PayeesSet", timeBank=GIVER, lending=TAKER)
    ledger = played(rooms, payees)
    assert not ledger.anomalies
    assert (ledger.rooms["lending"], ledger.payees) == (TAKER, {"timeBank": GIVER, "lending": TAKER})
    assert len(played(rooms, rooms, payees, payees).anomalies_of("wiring")) == 2


@pytest.mark.parametrize(
    "steps",
    [
        [registry("LinkRequested"), registry("LinkConfirmed"), registry("LinkRequested", GIVER)],
        [registry("LinkRequested"), registry("LinkConfirmed"), registry("LinkConfirmed")],
        [registry("LinkRequested"), registry("LinkConfirmed"), registry("LinkRejected")],
        [registry("LinkRequested"), registry("LinkConfirmed", GIVER)],
        [registry("LinkConfirmed")],
        [registry("LinkRejected")],
    ],
)
def test_impossible_links(steps: list[tuple[str, str, dict[str, Any]]]) -> None:
    assert len(played(*steps).anomalies_of("registry")) == 1


def test_a_rejected_request_can_be_made_again() -> None:
    ledger = played(
        registry("LinkRequested", GIVER),
        registry("LinkRejected", GIVER),
        registry("LinkRequested"),
        registry("LinkConfirmed"),
    )
    assert not ledger.anomalies
    assert ledger.link_history[GIVER].at((4, 0)) is None  # not yet at the confirmation itself
    assert ledger.link_history[GIVER].at((4, 1)) == TAKER


@pytest.mark.parametrize(
    "steps",
    [
        [("RateOracle", "EpochFinalised", closing())],
        [proposed(), ("RateOracle", "EpochFinalised", closing(2))],
        [
            proposed(),
            ("RateOracle", "EpochFinalised", closing()),
            ("RateOracle", "EpochFinalised", closing()),
        ],
        [
            proposed(),
            ("RateOracle", "EpochFinalised", closing()),
            voided(0, 0),
        ],
    ],
)
def test_an_epoch_closed_that_is_not_pending(steps: list[tuple[str, str, dict[str, Any]]]) -> None:
    assert len(played(*steps).anomalies_of("epochs")) == 1


def test_an_epoch_closed_under_another_header() -> None:
    other = b"\x02" * 32
    finalised = ("RateOracle", "EpochFinalised", closing(header=other))
    for close in (finalised, voided(40, 60, other)):
        (difference,) = played(proposed(), close).anomalies_of("epochs")
        assert other.hex() in difference.found
        assert (b"\x01" * 32).hex() in difference.expected


def test_bonds() -> None:
    void = voided(40, 60)
    ledger = played(proposed(), void, ("RateOracle", "BondWithdrawn", {"owner": TAKER, "amount": 40}))
    assert not ledger.anomalies
    assert ledger.withdrawable[TAKER] == 0
    lost = voided(40, 59)
    assert len(played(proposed(), lost).anomalies_of("bonds")) == 1
    stolen = ("RateOracle", "BondWithdrawn", {"owner": GIVER, "amount": 1})
    assert len(played(proposed(), void, stolen).anomalies_of("bonds")) == 1


def test_a_pot_that_was_never_collected() -> None:
    collected = {"amount": 10, "toDepositors": 4, "toBonus": 4, "toReserve": 2}
    steps = ("FeePool", "FeesCollected", collected), ("FeePool", "PotBurned", {"epoch": 1, "amount": 5})
    assert len(played(*steps).anomalies_of("fees")) == 1
    short = ("FeePool", "FeesCollected", {**collected, "toReserve": 1})
    assert len(played(short).anomalies_of("fees")) == 1


def test_a_parameter_is_in_force_after_its_event() -> None:
    line: Timeline[int] = Timeline()
    line.set((3, 1), 50)
    line.set((7, 0), 60)
    assert [line.at(place) for place in [(1, 0), (3, 1), (3, 2), (7, 0), (7, 1)]] == [None, None, 50, 50, 60]
    assert line.last == 60


def test_recover_gives_the_signer() -> None:
    member = signer("signer1")
    digest = bytes(range(32))
    assert recover(digest, member.sign_digest(digest)) == member.address
    assert recover(bytes(32), member.sign_digest(digest)) != member.address


def test_recover_refuses_what_the_contract_refuses() -> None:
    digest = bytes(range(32))
    good = signer("signer1").sign_digest(digest)
    s = int.from_bytes(good[32:64], "big")
    twin = good[:32] + (ORDER - s).to_bytes(32, "big") + bytes([55 - good[64]])
    for bad in (twin, good[:64], good + b"\0", good[:64] + b"\x1d", bytes(64) + b"\x1b"):
        assert recover(digest, bad) is None
