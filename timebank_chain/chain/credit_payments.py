"""CreditPayments: payments with a memo and a fee. Amounts are micro-credits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from eth_utils.crypto import keccak
from web3.types import BlockIdentifier

from timebank_chain.chain.attention_credit import Permit
from timebank_chain.chain.contract import ContractClient
from timebank_chain.chain.transactions import Call
from timebank_chain.units import MicroCredit

NO_MEMO = bytes(32)


@dataclass(frozen=True)
class Quote:
    """How a payment divides: ``fee`` to the FeePool, ``received`` to the payee; together the amount."""

    fee: MicroCredit
    received: MicroCredit


def memo_hash(memo: str) -> bytes:
    """Return keccak256 of a memo's UTF-8 text; 32 zero bytes for an empty one.

    Only the hash is public: whoever knows the text can find the payment, nobody else can read it.
    """
    return keccak(text=memo) if memo else NO_MEMO


class CreditPayments(ContractClient):
    """Pays credits with a memo; the fee comes out of the amount."""

    NAME: ClassVar[str] = "CreditPayments"

    def fee_bps(self, *, block: BlockIdentifier = "latest") -> int:
        """Return the fee in basis points (hundredths of a percent)."""
        return int(self._read("feeBps", block=block))

    def quote(self, amount: int, *, block: BlockIdentifier = "latest") -> Quote:
        """Return how a payment of ``amount`` would divide."""
        fee, received = self._read("quote", amount, block=block)
        return Quote(MicroCredit(fee), MicroCredit(received))

    def pay(self, to: str, amount: int, memo: bytes = NO_MEMO) -> Call:
        """Propose a payment; the sender has approved this contract for ``amount`` before."""
        return self._write("pay", to=to, amount=amount, memoHash=memo)

    def pay_with_permit(self, to: str, amount: int, memo: bytes, permit: Permit) -> Call:
        """Propose a payment that brings its own approval: one transaction, no ``approve`` before."""
        return self._write(
            "payWithPermit",
            to=to,
            amount=amount,
            memoHash=memo,
            deadline=permit.deadline,
            v=permit.v,
            r=permit.r,
            s=permit.s,
        )

    def set_fee(self, fee_bps: int) -> Call:
        """Propose another fee (governance)."""
        return self._write("setFee", newFeeBps=fee_bps)
