"""The fee pool: every fee divided between depositors, the bonus pot and the reserve; all spending counted."""

from __future__ import annotations

from dataclasses import dataclass, field

from timebank_chain.spec.attention_credit import AttentionCredit
from timebank_chain.spec.revert import require
from timebank_chain.units import MicroCredit

__all__ = ["ONE_BPS", "FeePool"]

#: One whole, in hundredths of a percent.
ONE_BPS = 10_000


@dataclass
class FeePool:
    """``token/FeePool.sol``: three accounts in micro-credits; after ``sync`` together its balance.

    Attributes
    ----------
    address
        Its own, as in the credit's balances.
    time_bank, lending
        Who may draw on the depositors' account and on the reserve.
    spenders
        Whose spending counts: payments, orders, trades.
    spent
        Micro-credits ever spent, fees included.
    depositors_bps, bonus_bps
        How later fees are divided; the reserve gets the rest and what rounding leaves.
    """

    credit: AttentionCredit
    address: str
    time_bank: str
    lending: str
    depositors_bps: int
    bonus_bps: int
    depositors: int = 0
    bonus: int = 0
    reserve: int = 0
    spent: int = 0
    spenders: set[str] = field(default_factory=set)

    def sync(self) -> MicroCredit:
        """Book what has arrived since the last time."""
        collected = self._unbooked()
        to_depositors = collected * self.depositors_bps // ONE_BPS
        to_bonus = collected * self.bonus_bps // ONE_BPS
        self.depositors += to_depositors
        self.bonus += to_bonus
        self.reserve += collected - to_depositors - to_bonus
        self.spent += collected
        return MicroCredit(collected)

    def record_spending(self, caller: str, amount: int) -> MicroCredit:
        """Count what reached the other side of a payment, order or trade, and book its fee."""
        require(caller in self.spenders, "NotSpender", caller)
        self.spent += amount
        return self.sync()

    def set_spenders(self, spenders: list[str]) -> None:
        """Set whose spending counts, once."""
        require(not self.spenders and len(spenders) > 0, "SpendersFixed", len(spenders))
        self.spenders = set(spenders)

    def burn_pot(self, amount: int) -> None:
        """Burn an epoch's pot from the bonus account; only the distributor does."""
        require(amount <= self.bonus, "InsufficientBonus", amount, self.bonus)
        self.bonus -= amount
        self.credit.burn(self.address, amount)

    def pay_depositors(self, caller: str) -> MicroCredit:
        """Pay the depositors' account, synced first, to the time bank."""
        require(caller == self.time_bank, "NotPayee", caller, self.time_bank)
        self.sync()
        amount, self.depositors = self.depositors, 0
        self.credit.transfer(self.address, self.time_bank, amount)
        return MicroCredit(amount)

    def cover_loss(self, caller: str, loss: int) -> MicroCredit:
        """Pay a loss of the lending pool from the reserve, synced first, as far as it goes."""
        require(caller == self.lending, "NotPayee", caller, self.lending)
        self.sync()
        paid = min(loss, self.reserve)
        self.reserve -= paid
        self.credit.transfer(self.address, self.lending, paid)
        return MicroCredit(paid)

    def restore_reserve(self, caller: str, amount: int) -> None:
        """Book credits the lending pool has just sent as the reserve's."""
        require(caller == self.lending, "NotPayee", caller, self.lending)
        require(amount <= self._unbooked(), "NothingRestored", amount, self._unbooked())
        self.reserve += amount

    def _unbooked(self) -> int:
        return self.credit.balance_of(self.address) - self.depositors - self.bonus - self.reserve
