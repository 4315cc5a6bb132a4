"""FeePool: what fees came in and who they are for. Amounts are micro-credits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from eth_typing import ChecksumAddress
from eth_utils.address import to_checksum_address
from web3.types import BlockIdentifier

from timebank_chain.chain.contract import ContractClient
from timebank_chain.chain.member_registry import ZERO_ADDRESS
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


@dataclass(frozen=True)
class Payees:
    """Who may draw: the time bank on the depositors' account, the lending pool on the reserve."""

    time_bank: ChecksumAddress
    lending: ChecksumAddress


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

    def spent(self, *, block: BlockIdentifier = "latest") -> MicroCredit:
        """Return what was ever spent through payments, orders and trades, and all fees."""
        return MicroCredit(self._read("spent", block=block))

    def is_spender(self, account: str, *, block: BlockIdentifier = "latest") -> bool:
        """Return whether an account's spending counts."""
        return bool(self._read("isSpender", account, block=block))

    def payees(self, *, block: BlockIdentifier = "latest") -> Payees | None:
        """Return who may draw on the accounts, or ``None`` before it is set."""
        time_bank, lending = (
            to_checksum_address(self._read(view, block=block)) for view in ("timeBank", "lending")
        )
        return None if ZERO_ADDRESS in (time_bank, lending) else Payees(time_bank, lending)

    def set_payees(self, time_bank: str, lending: str) -> Call:
        """Propose who may draw on the accounts: once, by the access manager's administrator."""
        return self._write("setPayees", newTimeBank=time_bank, newLending=lending)

    def set_spenders(self, spenders: Sequence[str]) -> Call:
        """Propose whose spending counts: once, by the access manager's administrator."""
        return self._write("setSpenders", newSpenders=list(spenders))

    def set_split(self, depositors_bps: int, bonus_bps: int, reserve_bps: int) -> Call:
        """Propose other shares for later fees (governance)."""
        return self._write("setSplit", newSplit=(depositors_bps, bonus_bps, reserve_bps))

    def sync(self) -> Call:
        """Propose splitting whatever has arrived since the last sync; anyone may."""
        return self._write("sync")
