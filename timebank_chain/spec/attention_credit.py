"""The credit: balances and allowances of an ERC-20, with the errors of ERC-6093.

``check_*`` says whether a movement would revert, without moving: a call that moves credits last must know
before it writes anything.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from timebank_chain.spec.revert import Reverted
from timebank_chain.units import MicroCredit

__all__ = ["MAX_UINT256", "ZERO_ADDRESS", "AttentionCredit"]

MAX_UINT256 = (1 << 256) - 1
ZERO_ADDRESS = "0x" + "0" * 40


@dataclass
class AttentionCredit:
    """``token/AttentionCredit.sol``: amounts in micro-credits, addresses as text."""

    balances: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    allowances: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    supply: int = 0

    def balance_of(self, holder: str) -> MicroCredit:
        """Return a balance."""
        return MicroCredit(self.balances[holder])

    def approve(self, owner: str, spender: str, amount: int) -> None:
        """Set an allowance; the largest number means without limit."""
        self.allowances[owner, spender] = amount

    def check_transfer(self, sender: str, receiver: str, amount: int) -> None:
        """Revert where ``transfer`` would."""
        if receiver == ZERO_ADDRESS:
            raise Reverted("ERC20InvalidReceiver", ZERO_ADDRESS)
        if self.balances[sender] < amount:
            raise Reverted("ERC20InsufficientBalance", sender, self.balances[sender], amount)

    def check_transfer_from(self, spender: str, owner: str, receiver: str, amount: int) -> None:
        """Revert where ``transferFrom`` would: the allowance is looked at first."""
        allowed = self.allowances[owner, spender]
        if allowed < amount:
            raise Reverted("ERC20InsufficientAllowance", spender, allowed, amount)
        self.check_transfer(owner, receiver, amount)

    def transfer(self, sender: str, receiver: str, amount: int) -> None:
        """Move credits of the sender."""
        self.check_transfer(sender, receiver, amount)
        self.balances[sender] -= amount
        self.balances[receiver] += amount

    def transfer_from(self, spender: str, owner: str, receiver: str, amount: int) -> None:
        """Move credits of an owner out of an allowance."""
        self.check_transfer_from(spender, owner, receiver, amount)
        if self.allowances[owner, spender] != MAX_UINT256:
            self.allowances[owner, spender] -= amount
        self.transfer(owner, receiver, amount)

    def mint(self, receiver: str, amount: int) -> None:
        """Create credits; only the distributor does."""
        self.balances[receiver] += amount
        self.supply += amount

    def burn(self, holder: str, amount: int) -> None:
        """Destroy credits of the holder."""
        if self.balances[holder] < amount:
            raise Reverted("ERC20InsufficientBalance", holder, self.balances[holder], amount)
        self.balances[holder] -= amount
        self.supply -= amount
