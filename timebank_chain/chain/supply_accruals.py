"""What an account's shares of the lending pool earned and lost, event by event, in the pool's own integers.

Shares are worth their part of what belongs to the suppliers, rounded down. So the pool's books are replayed:
cash, debt and the fees it owes.
"""

from __future__ import annotations

from dataclasses import dataclass

from eth_typing import ChecksumAddress

from timebank_chain.chain.accrual import Accrual
from timebank_chain.chain.bank_events import (
    Borrowed,
    BorrowedOnStanding,
    FeesPaid,
    InterestAccrued,
    Liquidated,
    Repaid,
    RiskSet,
    SharesTransferred,
    StandingRepaid,
    Supplied,
    SupplyWithdrawn,
    WrittenOff,
)
from timebank_chain.chain.bank_plan import ONE_BPS, RiskPlan
from timebank_chain.chain.credit_lending import PoolBooks
from timebank_chain.chain.event import Event, Place
from timebank_chain.chain.member_registry import ZERO_ADDRESS
from timebank_chain.spec.share_math import to_assets_down

#: What the accruals of pool shares are read from.
SUPPLY_EVENTS: tuple[type[Event], ...] = (
    RiskSet,
    InterestAccrued,
    Supplied,
    SupplyWithdrawn,
    SharesTransferred,
    Borrowed,
    BorrowedOnStanding,
    Repaid,
    StandingRepaid,
    Liquidated,
    WrittenOff,
    FeesPaid,
)


@dataclass(frozen=True)
class SupplyTotal:
    """Shares of the pool and the micro-credits they are worth."""

    shares: int
    worth: int


class SupplyLedger:
    """Replays the pool's events for one account's shares.

    Attributes
    ----------
    shares
        Held now.
    worth
        Micro-credits they are worth; to be compared with the pool's ``convertToAssets``.
    accruals
        Every change of ``worth``: ``supplied``, ``redeemed``, ``shares received``, ``shares sent``,
        ``interest``, ``interest due``, ``loss`` and ``rounding``.
    """

    def __init__(self, account: ChecksumAddress) -> None:
        self._account = account
        self._cash = self._debt = self._fees_owed = self._fee_bps = self._supply = 0
        self.shares = self.worth = 0
        self.accruals: list[Accrual] = []

    def take_in(self, event: Event) -> None:
        """Take in an event, in the order of the chain."""
        kind = "rounding"
        if isinstance(event, RiskSet):
            self._fee_bps = RiskPlan(*event.settings).fee_bps
        elif isinstance(event, InterestAccrued):
            kind = "interest"
            self._debt += event.interest
            self._fees_owed += event.fee
        elif isinstance(event, Supplied):
            # Its shares came just before it. Others' supplies move these by a rounding.
            kind = "supplied" if event.owner == self._account else kind
            self._cash += event.assets
        elif isinstance(event, SupplyWithdrawn):
            kind = "redeemed" if event.owner == self._account else kind
            self._cash -= event.assets
        elif isinstance(event, SharesTransferred):
            self._move_shares(event)
            if ZERO_ADDRESS in (event.sender, event.receiver):
                return  # a supply or a redemption follows and completes it
            kind = "shares received" if event.receiver == self._account else "shares sent"
        elif isinstance(event, Borrowed | BorrowedOnStanding):
            self._cash -= event.amount
            self._debt += event.amount
        elif isinstance(event, Repaid | StandingRepaid):
            self._cash += event.amount
            self._debt -= min(event.amount, self._debt)
        elif isinstance(event, Liquidated):
            self._cash += event.repaid
            self._debt -= min(event.debt, self._debt)
            if event.repaid < event.debt:
                return  # what is missing is written off next
        elif isinstance(event, WrittenOff):
            kind = "loss"
            self._write_off(event)
        elif isinstance(event, FeesPaid):
            self._cash -= event.fees
            self._fees_owed -= event.fees
        self._book(event.at, kind)

    def due(self, accrued: PoolBooks) -> None:
        """Add the interest since the last event: the pool counts it in a share's worth already."""
        self._debt, self._fees_owed = accrued.debt, accrued.fees_owed
        self._book(None, "interest due")

    def total(self) -> SupplyTotal | None:
        """Return the shares held and their worth, ``None`` without any."""
        return SupplyTotal(self.shares, self.worth) if self.shares else None

    def _write_off(self, event: WrittenOff) -> None:
        if not event.receipt_id:
            debt = event.from_reserve + event.from_pool
            self._debt -= min(debt, self._debt)
        self._cash += event.from_reserve
        fees_left = max(0, self._fees_owed - event.interest * self._fee_bps // ONE_BPS)
        self._fees_owed = min(fees_left, self._cash + self._debt)

    def _move_shares(self, event: SharesTransferred) -> None:
        if event.sender == ZERO_ADDRESS:
            self._supply += event.shares
        elif event.sender == self._account:
            self.shares -= event.shares
        if event.receiver == ZERO_ADDRESS:
            self._supply -= event.shares
        elif event.receiver == self._account:
            self.shares += event.shares

    def _book(self, at: Place | None, kind: str) -> None:
        assets = self._cash + self._debt - self._fees_owed
        worth = to_assets_down(self.shares, assets, self._supply)
        change, self.worth = worth - self.worth, worth
        if change:
            self.accruals.append(Accrual(at, "pool shares", 0, kind, change, worth))
