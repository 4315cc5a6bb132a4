"""AttentionCredit: balances, transfers, permits. Amounts are micro-credits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from eth_typing import ChecksumAddress
from eth_utils.address import to_checksum_address
from web3.types import BlockIdentifier

from timebank_chain.chain.addresses import address_bytes
from timebank_chain.chain.contract import ContractClient
from timebank_chain.chain.signer import Signer
from timebank_chain.chain.transactions import Call
from timebank_chain.chain.typed_data import MessageType
from timebank_chain.units import MicroCredit

#: ERC-2612's message, as the standard has it.
_PERMIT_FIELDS = (
    ("owner", "owner", "address"),
    ("spender", "spender", "address"),
    ("amount", "value", "uint256"),
    ("nonce", "nonce", "uint256"),
    ("deadline", "deadline", "uint256"),
)


@dataclass(frozen=True)
class Permit:
    """A signed ERC-2612 permit: ``spender`` may take ``amount`` micro-credits until ``deadline``."""

    owner: ChecksumAddress
    spender: ChecksumAddress
    amount: MicroCredit
    deadline: int
    v: int
    r: bytes
    s: bytes


class AttentionCredit(ContractClient):
    """The ERC-20 of attention credits, 6 decimals."""

    NAME: ClassVar[str] = "AttentionCredit"

    def name(self) -> str:
        """Return the token's name."""
        return str(self._read("name"))

    def symbol(self) -> str:
        """Return the token's symbol."""
        return str(self._read("symbol"))

    def total_supply(self, *, block: BlockIdentifier = "latest") -> MicroCredit:
        """Return all credits in existence."""
        return MicroCredit(self._read("totalSupply", block=block))

    def balance_of(self, account: str, *, block: BlockIdentifier = "latest") -> MicroCredit:
        """Return an account's balance."""
        return MicroCredit(self._read("balanceOf", account, block=block))

    def allowance(self, owner: str, spender: str, *, block: BlockIdentifier = "latest") -> MicroCredit:
        """Return what ``spender`` may still take from ``owner``."""
        return MicroCredit(self._read("allowance", owner, spender, block=block))

    def nonces(self, owner: str) -> int:
        """Return the nonce of the owner's next permit."""
        return int(self._read("nonces", owner))

    def minter(self) -> ChecksumAddress:
        """Return the only address that can mint (the distributor)."""
        return to_checksum_address(self._read("minter"))

    def transfer(self, to: str, amount: int) -> Call:
        """Propose moving ``amount`` to ``to``."""
        return self._write("transfer", to=to, amount=amount)

    def approve(self, spender: str, amount: int) -> Call:
        """Propose letting ``spender`` take up to ``amount``."""
        return self._write("approve", spender=spender, amount=amount)

    def transfer_from(self, owner: str, to: str, amount: int) -> Call:
        """Propose moving ``amount`` of ``owner``'s credits by allowance."""
        return self._write("transferFrom", owner=owner, to=to, amount=amount)

    def burn(self, amount: int) -> Call:
        """Propose destroying ``amount`` of the sender's credits."""
        return self._write("burn", amount=amount)

    def sign_permit(self, signer: Signer, spender: str, amount: int, deadline: int) -> Permit:
        """Sign a permit off chain: no transaction, no gas.

        Parameters
        ----------
        deadline
            Unix seconds after which the permit is void.
        """
        values = (signer.address, spender, amount, self.nonces(signer.address), deadline)
        permit = MessageType(self.name(), "Permit", _PERMIT_FIELDS)
        signature = signer.sign_digest(permit.digest(values, self.connection.chain_id, self.address))
        return Permit(
            owner=signer.address,
            spender=to_checksum_address(address_bytes(spender)),
            amount=MicroCredit(amount),
            deadline=deadline,
            v=signature[64],
            r=signature[:32],
            s=signature[32:64],
        )
