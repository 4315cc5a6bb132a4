"""What became of a lease, from its events: taken, repaid in parts or whole, settled, forgiven."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from timebank_chain.chain.accrual import ANOTHER_NODE
from timebank_chain.chain.bank_events import LeaseClosed, LeaseForgiven, LeaseRepaid, LeaseSettled, LeaseTaken
from timebank_chain.chain.bank_reverts import NoSuchLease
from timebank_chain.chain.credit_lease import Lease
from timebank_chain.chain.event import Event
from timebank_chain.chain.events import read_events
from timebank_chain.chain.node_errors import translated
from timebank_chain.chain.system import Timebank
from timebank_chain.errors import CheckFailed
from timebank_chain.units import MicroCredit


@dataclass(frozen=True)
class LeaseStep:
    """One thing that happened to a lease.

    Attributes
    ----------
    time, block
        Unix seconds and number of the block.
    kind
        ``taken``, ``repaid``, ``repaid from claim``, ``settled`` or ``forgiven``.
    amount, fee
        Micro-credits: lent, paid (the fee inside), recovered from the receipt, or given up.
    """

    time: int
    block: int
    kind: str
    amount: MicroCredit
    fee: MicroCredit


@dataclass(frozen=True)
class LeaseRecord:
    """A lease from its beginning; ``lease`` is ``None`` once it is over, ``time`` that of the block read."""

    taken: LeaseTaken
    steps: tuple[LeaseStep, ...]
    lease: Lease | None
    time: int

    @property
    def state(self) -> str:
        """``running``, ``overdue``, ``repaid``, ``settled`` or ``forgiven``."""
        if self.lease is not None:
            return "overdue" if self.time > self.lease.due_at else "running"
        return self.steps[-1].kind.removesuffix(" from claim")


def read_lease(
    timebank: Timebank, lease_id: int, *, progress: Callable[[int, int], None] | None = None
) -> LeaseRecord:
    """Read a lease, running or over.

    Raises
    ------
    NoSuchLease
        If there never was one of this number.
    CheckFailed
        If events and contract disagree about it.
    """
    connection, contract = timebank.connection, timebank.credit_lease
    block = connection.block_number()
    if not 0 < lease_id <= contract.lease_count(block=block):
        raise NoSuchLease({"leaseId": lease_id})
    kinds: tuple[type[Event], ...] = (LeaseTaken, LeaseRepaid, LeaseSettled, LeaseForgiven, LeaseClosed)
    taken, steps, closed = None, [], False
    for event in read_events(
        connection,
        timebank.addresses(),
        kinds,
        from_block=timebank.deployment.first_block,
        to_block=block,
        progress=progress,
    ):
        if getattr(event, "lease_id", None) != lease_id:
            continue
        if isinstance(event, LeaseTaken):
            taken = event
            steps.append((event.at.block, "taken", event.principal, 0))
        elif isinstance(event, LeaseRepaid):
            kind = "repaid from claim" if event.from_claim else "repaid"
            steps.append((event.at.block, kind, event.amount, event.fee))
        elif isinstance(event, LeaseSettled):
            steps.append((event.at.block, "settled", event.to_lender + event.fee, event.fee))
        elif isinstance(event, LeaseForgiven):
            steps.append((event.at.block, "forgiven", event.amount, 0))
        elif isinstance(event, LeaseClosed):
            closed = True
    lease = contract.lease_of(lease_id, block=block)
    if taken is None or closed != (lease is None):
        raise CheckFailed(
            f"the events of lease {lease_id} do not fit what the contract says: an event is missing",
            hint=ANOTHER_NODE,
        )
    with translated():
        times = {
            number: int(connection.w3.eth.get_block(number)["timestamp"])
            for number in {block, *(number for number, *_ in steps)}
        }
    return LeaseRecord(
        taken=taken,
        steps=tuple(
            LeaseStep(times[number], number, kind, MicroCredit(amount), MicroCredit(fee))
            for number, kind, amount, fee in steps
        ),
        lease=lease,
        time=times[block],
    )
