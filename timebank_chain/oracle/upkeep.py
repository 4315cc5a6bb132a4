"""Upkeep of the bank and the market: what anybody may do for it and nobody else is sure to do.

After the claims of an epoch, and again whenever some minutes have passed::

    liquidate   pledges that no longer cover their debt    what is lost is booked while suppliers look on
    write off   loans on standing that have failed         their interest stops
    settle      leases on receipts after the due day       the lender gets principal and rent
    lapse       deposits that are bound no longer          they stop earning as if they were
    move        orders of services past their deadline     nobody's credits stay in escrow
    pay fees    of the lending pool, when it is worth it   the fee pool divides them
    collect     the depositors' part of the fees           it goes to who was there in this epoch

What runs is known from events. The journal keeps them up to where no reorganisation reaches, so that a look
reads only what happened since. Every step goes through the journal like those of an epoch: written down
before it is sent, never sent when the contract would refuse.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass

import structlog

from timebank_chain.chain import transactions
from timebank_chain.chain.bank_events import (
    FeesPaid,
    IncomeReceived,
    LeaseSettled,
    Liquidated,
    RolledOver,
    WrittenOff,
)
from timebank_chain.chain.event import Event
from timebank_chain.chain.events import decode_logs
from timebank_chain.chain.node_errors import InsufficientFunds, NotMined
from timebank_chain.chain.open_items import BadLoans, OpenItems, find_bad_loans, take_in_events
from timebank_chain.chain.service_events import ServiceCancelled, ServiceSettled
from timebank_chain.chain.system import Timebank
from timebank_chain.chain.transactions import Call
from timebank_chain.errors import CheckFailed, ContractError, TransactionFailed
from timebank_chain.oracle.journal import Intent, Journal, Kind
from timebank_chain.oracle.settings import OracleSettings
from timebank_chain.oracle.state import OracleState
from timebank_chain.oracle.submit import Checkpoint, Submitter
from timebank_chain.units import MICRO, format_micro

log = structlog.get_logger("timebank.oracle")

#: Blocks whose events are read anew each time: they may still be replaced by others.
REORG_BLOCKS = 64
#: Loans, leases and deposits that one tick closes; the rest waits for the next.
BATCH = 20
#: Fees below this are left to grow between epochs, micro-credits: passing them on costs gas.
WORTHWHILE = MICRO
#: Orders that hold less are left to whom they concern, micro-credits: nobody shall make us pay gas for dust.
WORTH_MOVING = 10_000


@dataclass(frozen=True, slots=True)
class _Task:
    """One thing to do: ``name`` says to which loan, lease or deposit."""

    kind: Kind
    name: str
    call: Call


class Upkeep:
    """Tends the bank from one account.

    Parameters
    ----------
    stop
        Looked at between two steps.
    checkpoint
        Called when a step is done; tests crash there.
    """

    def __init__(
        self,
        timebank: Timebank,
        settings: OracleSettings,
        journal: Journal,
        submitter: Submitter,
        *,
        stop: threading.Event,
        checkpoint: Checkpoint,
    ) -> None:
        self.timebank = timebank
        self.settings = settings
        self.journal = journal
        self.submitter = submitter
        self.stop = stop
        self.checkpoint = checkpoint
        self._not_before_ms = 0

    def is_due(self, state: OracleState) -> bool:
        """Tell whether an epoch was finalised since the last look, or it is long ago."""
        if not self.settings.upkeep or state.time_ms < self._not_before_ms:
            return False
        last = self.journal.tended()
        if last is None:
            return True
        epoch, at_ms = last
        return epoch != state.latest_epoch or state.time_ms >= at_ms + self.settings.upkeep_seconds * 1_000

    def put_off(self, state: OracleState) -> None:
        """Wait for as long as between two looks: the last one failed."""
        self._not_before_ms = state.time_ms + self.settings.upkeep_seconds * 1_000

    def run(self, state: OracleState) -> bool:
        """Do what is needed, at most ``BATCH`` loans, leases and deposits; return whether anything was sent.

        Raises
        ------
        NotMined
            If no block holds a step yet; it is in the journal.
        """
        last = self.journal.tended()
        # Depositors of an epoch get its income in it, however little.
        least = 1 if last is None or last[0] != state.latest_epoch else WORTHWHILE
        sent = 0
        for task in self._closings(state):
            if self.stop.is_set() or sent == BATCH:
                return sent > 0
            sent += self._do(task, state)
        for task in self._income(state, least):
            if self.stop.is_set():
                return sent > 0
            sent += self._do(task, state)
        self.journal.mark_tended(state.latest_epoch, state.time_ms)
        return sent > 0

    # --- what there is to do -----------------------------------------------------------------------

    def _closings(self, state: OracleState) -> Iterator[_Task]:
        """Find what can be closed at the state's block, the largest loss and the longest overdue first."""
        found = self._look(state)
        if found is None:
            return
        items, bad = found
        lending, now = self.timebank.credit_lending, state.time_ms // 1_000
        for loan in bad.uncovered:
            yield _Task("liquidate", f"receipt {loan.receipt_id}", lending.liquidate(loan.receipt_id))
        for failed in bad.failed:
            yield _Task("write-off", failed.borrower, lending.write_off(failed.borrower))
        for due_at, lease_id in sorted((due_at, number) for number, due_at in items.leases.items()):
            if due_at < now:
                yield _Task("settle", f"lease {lease_id}", self.timebank.credit_lease.settle(lease_id))
        bank = self.timebank.time_bank
        for matures_at, receipt_id in sorted((at, number) for number, at in items.bound.items()):
            if matures_at > now:
                break
            # Governance may have made a second term without a time: what is in it is not bound.
            if bank.term(bank.position(receipt_id, block=state.block).term_id, block=state.block).duration:
                yield _Task("lapse", f"deposit {receipt_id}", bank.lapse(receipt_id))
        for deadline, order_id, held in sorted(
            (at, number, held) for number, (held, at) in items.orders.items()
        ):
            if deadline < now and held >= WORTH_MOVING:
                yield _Task("move", f"order {order_id}", self.timebank.service_escrow.move(order_id))

    def _income(self, state: OracleState, least: int) -> Iterator[_Task]:
        """Pass the pool's fees on, then take in the depositors' part; each is asked when its turn comes."""
        lending, bank = self.timebank.credit_lending, self.timebank.time_bank
        at = self.timebank.connection.simulation_block
        if lending.payable_fees(block=at) >= WORTHWHILE:
            yield _Task("pay-fees", "", lending.pay_fees())
        if bank.collectable(block=at) >= least:
            yield _Task("collect", f"epoch {state.latest_epoch}", bank.collect())

    def _look(self, state: OracleState) -> tuple[OpenItems, BadLoans] | None:
        """Return what runs, and which loans are bad; ``None`` if events and pool contradict each other."""
        now = state.time_ms // 1_000
        for attempt in (1, 2):
            items = self._items(state.block)
            try:
                return items, find_bad_loans(self.timebank, items, block=state.block, now=now)
            except CheckFailed as error:
                # The chain was reorganised further back than we read anew, or the node keeps events back.
                self.journal.forget_open_items()
                log.warning("what runs in the bank is read again", reason=str(error), attempt=attempt)
        return None

    def _items(self, block: int) -> OpenItems:
        known_to, rows = self.journal.open_items()
        items = OpenItems.from_rows(rows)
        first = self.timebank.deployment.first_block if known_to is None else known_to + 1
        settled = block - REORG_BLOCKS
        if settled >= first:
            take_in_events(self.timebank, items, first, settled)
            self.journal.keep_open_items(settled, items.rows())
            first = settled + 1
        take_in_events(self.timebank, items, first, block)
        return items

    # --- doing it ----------------------------------------------------------------------------------

    def _do(self, task: _Task, state: OracleState) -> bool:
        """Do one thing; return whether it was sent. What the contract refuses by now is left alone."""
        key = f"{task.name} at {state.block}".strip()
        try:
            intent = self.submitter.perform(task.kind, state.latest_epoch, key, task.call)
        except NotMined:
            raise
        except (ContractError, TransactionFailed) as error:
            level = log.error if isinstance(error, InsufficientFunds) else log.warning
            level("left alone", what=task.call.name, about=task.name, reason=str(error), hint=error.hint)
            return False
        log.info(task.kind, about=task.name, **self._outcome(intent), tx=intent.tx_hash, block=intent.block)
        self.checkpoint("tended")
        return True

    def _outcome(self, intent: Intent) -> dict[str, str]:
        """Return what a mined step came to, in credits."""
        receipt = transactions.find_receipt(self.timebank.connection, bytes.fromhex(intent.tx_hash[2:]))
        if receipt is None:
            return {}
        told: dict[str, int] = {}
        for event in decode_logs(receipt["logs"], tuple(_TOLD)):
            told |= {name: getattr(event, name) for name in _TOLD[type(event)]}
        return {name: format_micro(amount) for name, amount in told.items()}


#: Which amounts of which event say what a step came to.
_TOLD: dict[type[Event], tuple[str, ...]] = {
    Liquidated: ("debt", "repaid", "incentive", "returned"),
    WrittenOff: ("from_reserve", "from_pool"),
    LeaseSettled: ("to_lender", "returned"),
    RolledOver: ("principal", "income"),
    ServiceSettled: ("to_provider", "to_buyer"),
    ServiceCancelled: ("refunded",),
    FeesPaid: ("fees", "strays"),
    IncomeReceived: ("from_fees", "gifts"),
}
