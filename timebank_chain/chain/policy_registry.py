"""PolicyRegistry: whole policies on chain, checked, for everybody to read."""

from __future__ import annotations

from typing import ClassVar

from web3.types import BlockIdentifier

from timebank_chain.chain.contract import ContractClient
from timebank_chain.chain.transactions import Call


class PolicyRegistry(ContractClient):
    """Knows which policies may come into force; the event PolicyRegistered carries each of them whole."""

    NAME: ClassVar[str] = "PolicyRegistry"

    def is_registered(self, policy_hash: bytes, *, block: BlockIdentifier = "latest") -> bool:
        """Return whether a policy of this hash was registered."""
        return bool(self._read("isRegistered", policy_hash, block=block))

    def register(self, policy: tuple[object, ...]) -> Call:
        """Propose registering a policy; anyone may, and doing it twice changes nothing.

        Parameters
        ----------
        policy
            The policy as the struct ``Policy`` (``valuation.policy_call``).
        """
        return self._write("register", policy=policy)
