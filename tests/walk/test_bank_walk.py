"""The random walk over all bank contracts, specification beside them; any length by hand.

bank walk
├── 20,000 steps agree to the unit: returns, reverts, books and all state; everybody gets out what is theirs
└── every function succeeded and was refused somewhere on the way: the walk sees both sides of each
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chain_fixtures import start_anvil, stop
from tests.walk.bank_walk import ANVIL, FUNCTIONS, NEVER_REFUSED, Walk

#: Enough to see everything there is to see, in a minute and a half; by hand as many as one likes.
STEPS, SEED = 20_000, 20_261_128
pytestmark = pytest.mark.anvil


@pytest.fixture
def url() -> Iterator[str]:
    process, address = start_anvil(*ANVIL)
    try:
        yield address
    finally:
        stop(process)


def test_contract_and_specification_agree_to_the_unit(url: str) -> None:
    walk = Walk(url, SEED)
    walk.run(STEPS)
    assert sum(walk.counts.values()) >= STEPS
    never = [function for function in (*FUNCTIONS, *NEVER_REFUSED) if not walk.counts[function]]
    assert not never, f"never succeeded: {never}"
    refused = {name.split()[0] for name in walk.counts if " " in name}
    assert not set(FUNCTIONS) - refused, f"never refused: {sorted(set(FUNCTIONS) - refused)}"
    refusals = {name.split()[1] for name in walk.counts if " " in name}
    assert refusals >= MUST_HAPPEN, f"never seen: {sorted(MUST_HAPPEN - refusals)}"


#: Refusals the walk must have met, or it would not have looked where it matters.
MUST_HAPPEN = {
    "AlreadyMature",
    "BadOfferSignature",
    "ClaimsPledged",
    "DebtLeft",
    "DepositTooSmall",
    "ERC20InsufficientBalance",
    "ERC4626ExceededMaxRedeem",
    "ERC4626ExceededMaxWithdraw",
    "LoanOverdue",
    "NoIncome",
    "NoSuchLease",
    "NoSuchTerm",
    "NotAccountHolder",
    "NotBorrower",
    "NotDue",
    "NotEnoughCash",
    "NotMature",
    "NotReceiptHolder",
    "NotYetFailed",
    "NothingToClaim",
    "OfferExpired",
    "PledgeCovers",
    "PledgeTooSmall",
    "ReceiptTooSmall",
    "StandingNotProven",
    "StandingTooLow",
    "UnaskedReceipt",
    "UnsecuredCapReached",
    "ZeroAmount",
}
