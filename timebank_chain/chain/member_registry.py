"""MemberRegistry: placeholder accounts and the wallets they are linked to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from eth_typing import ChecksumAddress
from eth_utils.address import to_checksum_address
from web3.types import BlockIdentifier

from timebank_chain.chain.contract import ContractClient
from timebank_chain.chain.transactions import Call

ZERO_ADDRESS = to_checksum_address("0x" + "00" * 20)


@dataclass(frozen=True)
class RequestedLink:
    """A requested link: ``wallet`` becomes the placeholder's at ``effective_at`` (Unix seconds)."""

    wallet: ChecksumAddress
    effective_at: int


class MemberRegistry(ContractClient):
    """Links the placeholder of somebody without a wallet to their wallet: once, after a delay."""

    NAME: ClassVar[str] = "MemberRegistry"

    def link_delay(self) -> int:
        """Return the seconds between request and confirmation."""
        return int(self._read("linkDelay"))

    def is_placeholder(self, account: str) -> bool:
        """Return whether an address is a placeholder (by its 8-byte prefix)."""
        return bool(self._read("isPlaceholder", account))

    def wallet_of(self, placeholder: str, *, block: BlockIdentifier = "latest") -> ChecksumAddress | None:
        """Return the linked wallet, or ``None``."""
        wallet = to_checksum_address(self._read("walletOf", placeholder, block=block))
        return None if wallet == ZERO_ADDRESS else wallet

    def requested_link(self, placeholder: str, *, block: BlockIdentifier = "latest") -> RequestedLink | None:
        """Return the requested, not yet confirmed link, or ``None``."""
        wallet, effective_at = self._read("requestedLink", placeholder, block=block)
        if to_checksum_address(wallet) == ZERO_ADDRESS:
            return None
        return RequestedLink(to_checksum_address(wallet), int(effective_at))

    def request_link(self, placeholder: str, wallet: str) -> Call:
        """Propose linking (registrar)."""
        return self._write("requestLink", placeholder=placeholder, wallet=wallet)

    def reject_link(self, placeholder: str) -> Call:
        """Propose dropping a requested link (canceller, or the wallet itself)."""
        return self._write("rejectLink", placeholder=placeholder)

    def confirm_link(self, placeholder: str) -> Call:
        """Propose making a requested link final after its delay; anyone may, once for ever."""
        return self._write("confirmLink", placeholder=placeholder)
