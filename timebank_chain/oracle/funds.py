"""What a challenger's account must hold: a commitment, the dearest proof and one request for a leaf."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from eth_typing import ChecksumAddress

from timebank_chain.chain.system import Timebank
from timebank_chain.chain.transactions import GAS_MARGIN_PERCENT, most_per_gas
from timebank_chain.units import format_coins

#: Gas of whole transactions under the dearest policy and header there can be, as measured, rounded up
#: (README, "Measured"): a commitment, the dearest proof, the first request of a proposal.
COMMIT_GAS = 50_000
PROOF_GAS = 260_000
REQUEST_GAS = 150_000


@dataclass(frozen=True, slots=True)
class Funds:
    """What an account has, and what ending one epoch may take of it; all in wei.

    Attributes
    ----------
    per_gas
        Most a transaction sent now may pay for a unit of gas; nodes want that much to be there.
    deposit
        What the first request for a leaf costs, beside its gas.
    """

    account: ChecksumAddress
    balance: int
    per_gas: int
    deposit: int

    @property
    def commit(self) -> int:
        """What a commitment may cost."""
        return self._reserved(COMMIT_GAS)

    @property
    def proof(self) -> int:
        """What the dearest proof may cost."""
        return self._reserved(PROOF_GAS)

    @property
    def request(self) -> int:
        """What asking for one leaf may cost, its deposit included."""
        return self._reserved(REQUEST_GAS) + self.deposit

    @property
    def needed(self) -> int:
        """What has to be there for all three."""
        return self.commit + self.proof + self.request

    @property
    def enough(self) -> bool:
        """Whether it is there."""
        return self.balance >= self.needed

    def _reserved(self, gas: int) -> int:
        return gas * (100 + GAS_MARGIN_PERCENT) // 100 * self.per_gas

    def to_coins(self) -> dict[str, str]:
        """Return the figures in the chain's coin, for people."""
        figures = {
            "balance": self.balance,
            "needed": self.needed,
            "commit": self.commit,
            "proof": self.proof,
            "request": self.request,
            "deposit": self.deposit,
        }
        return {name: format_coins(wei) for name, wei in figures.items()}

    def to_json(self) -> dict[str, Any]:
        """Return the figures as JSON values, in wei."""
        return {
            "account": self.account,
            "enough": self.enough,
            "balanceWei": self.balance,
            "neededWei": self.needed,
            "commitWei": self.commit,
            "proofWei": self.proof,
            "requestWei": self.request,
            "depositWei": self.deposit,
            "perGasWei": self.per_gas,
        }


def read_funds(timebank: Timebank, account: ChecksumAddress) -> Funds:
    """Return what an account has, and needs at the present gas price."""
    return Funds(
        account=account,
        balance=timebank.connection.balance_wei(account),
        per_gas=most_per_gas(timebank.connection),
        deposit=timebank.leaf_requests.request_deposit_wei(),
    )
