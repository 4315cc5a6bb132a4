"""Would the escrow allow a step? Asked of the specification, before an approval is sent for nothing.

A step that pays into escrow needs an approval first, and can only be simulated once that is mined. Here the
step is tried on the specification, with the listing and the order as they are stored.
"""

from __future__ import annotations

from collections.abc import Callable

from web3.types import BlockIdentifier

from timebank_chain.chain.reverts import parameters, reverts
from timebank_chain.chain.system import Timebank
from timebank_chain.errors import ContractError
from timebank_chain.spec.attention_credit import ZERO_ADDRESS, AttentionCredit
from timebank_chain.spec.fee_pool import FeePool
from timebank_chain.spec.revert import Reverted
from timebank_chain.spec.service_escrow import ServiceEscrow


class _Enough(AttentionCredit):
    """The credit of somebody who has enough: what the step would move is looked at elsewhere."""

    def transfer(self, sender: str, receiver: str, amount: int) -> None:
        return

    def transfer_from(self, spender: str, owner: str, receiver: str, amount: int) -> None:
        return


def check_step(
    timebank: Timebank,
    step: Callable[[ServiceEscrow, int], object],
    *,
    listing_id: int,
    order_id: int | None = None,
    block: BlockIdentifier,
) -> None:
    """Raise what the contract would refuse a step with, credits and allowance aside.

    Parameters
    ----------
    step
        Makes the call on the specification, given the time in Unix seconds.
    listing_id, order_id
        What the step is about.
    block
        The block whose state and time are looked at.

    Raises
    ------
    ContractError
        The named refusal.
    """
    escrow = timebank.service_escrow
    credit = _Enough()
    spec = ServiceEscrow(
        credit,
        FeePool(
            credit, timebank.fee_pool.address, ZERO_ADDRESS, ZERO_ADDRESS, 0, 0, spenders={escrow.address}
        ),
        escrow.address,
        ZERO_ADDRESS,
        ZERO_ADDRESS,
        escrow.service_fee_bps(block=block),
        escrow.ordering_paused(block=block),
    )
    listing = escrow.listing_of(listing_id, block=block)
    if listing is not None:
        spec.listings[listing_id] = listing
    order = None if order_id is None else escrow.order_of(order_id, block=block)
    if order_id is not None and order is not None:
        spec.orders[order_id] = order
    try:
        step(spec, timebank.connection.pending_timestamp())
    except Reverted as refused:
        raise _named(refused) from None


def _named(refused: Reverted) -> ContractError:
    for kind in reverts():
        names, _ = parameters(kind)
        if kind.__name__ == refused.name and len(names) == len(refused.values):
            return kind(dict(zip(names, refused.values, strict=True)))
    raise LookupError(f"no exception is named {refused.name}")
