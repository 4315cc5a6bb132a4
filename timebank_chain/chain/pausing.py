"""What contracts that can be paused have in common: their pauses have numbers."""

from __future__ import annotations

from web3.types import BlockIdentifier

from timebank_chain.chain.contract import ContractClient


class Pausing(ContractClient):
    """A contract with something that the guardian can pause."""

    def pauses(self, *, block: BlockIdentifier = "latest") -> int:
        """Return how many pauses there have been: the number of the latest one."""
        return int(self._read("pauses", block=block))
