"""FeePool: what fees came in and who they are for. Amounts are micro-credits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from web3.types import BlockIdentifier

from timebank_chain.chain.contract import ContractClient
from timebank_chain.chain.transactions import Call
from timebank_chain.units import MicroCredit


@dataclass(frozen=True)
class FeeAccounts:
    """The pool's accounts; together they are its balance once synced."""

    depositors: MicroCredit
    bonus: MicroCredit
    reserve: MicroCredit

    @property
    def total(self) -> MicroCredit:
        """Sum of the three accounts."""
        return MicroCredit(self.depositors + self.bonus + self.reserve)


class FeePool(ContractClient):
    """Collects fees and splits them between depositors, the bonus pot and a loss reserve."""

    NAME: ClassVar[str] = "FeePool"

    def accounts(self, *, block: BlockIdentifier = "latest") -> FeeAccounts:
        """Return the three accounts."""
        return FeeAccounts(
            depositors=MicroCredit(self._read("depositors", block=block)),
            bonus=self.bonus(block=block),
            reserve=MicroCredit(self._read("reserve", block=block)),
        )

    def bonus(self, *, block: BlockIdentifier = "latest") -> MicroCredit:
        """Return what the bonus pot holds: the most an epoch's ``pot`` may be."""
        return MicroCredit(self._read("bonus", block=block))

    def split(self, *, block: BlockIdentifier = "latest") -> tuple[int, int, int]:
        """Return the shares of depositors, bonus and reserve, basis points."""
        depositors, bonus, reserve = self._read("split", block=block)
        return int(depositors), int(bonus), int(reserve)

    def set_split(self, depositors_bps: int, bonus_bps: int, reserve_bps: int) -> Call:
        """Propose other shares for later fees (governance)."""
        return self._write("setSplit", newSplit=(depositors_bps, bonus_bps, reserve_bps))

    def sync(self) -> Call:
        """Propose splitting whatever has arrived since the last sync; anyone may."""
        return self._write("sync")
