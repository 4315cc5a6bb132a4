"""Who signs: the seam between a key and everything that needs a signature."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_typing import ChecksumAddress, Hash32

from timebank_chain.errors import WalletError


@dataclass(frozen=True)
class SignedTransaction:
    """A signed transaction and the hash the chain will know it by."""

    raw: bytes
    hash: bytes


class Signer(Protocol):
    """Whatever can sign as one address: a keystore today, a device or a remote service tomorrow."""

    @property
    def address(self) -> ChecksumAddress:
        """The address it signs as."""
        ...

    def sign_transaction(self, transaction: Mapping[str, Any]) -> SignedTransaction:
        """Sign a complete transaction (chain id, nonce, gas and fees set)."""
        ...

    def sign_digest(self, digest: bytes) -> bytes:
        """Sign a 32-byte digest (EIP-712 or other) and return the 65 bytes ``r || s || v``, v 27 or 28."""
        ...


class LocalSigner:
    """Signs with a key held in this process's memory.

    The key comes from an unlocked keystore (or from a development chain); it is never printed.
    """

    def __init__(self, private_key: bytes) -> None:
        try:
            self._account: LocalAccount = Account.from_key(private_key)
        except (
            Exception
        ) as error:  # eth-keys raises its own ValidationError, eth-utils ValueError or TypeError
            raise WalletError(
                "not a private key: 32 bytes below the order of secp256k1 are needed",
                hint="give 64 hex digits, with or without 0x",
            ) from error

    @property
    def address(self) -> ChecksumAddress:
        """The address it signs as."""
        return self._account.address

    def sign_transaction(self, transaction: Mapping[str, Any]) -> SignedTransaction:
        """Sign a complete transaction (chain id, nonce, gas and fees set)."""
        signed = self._account.sign_transaction(dict(transaction))
        return SignedTransaction(raw=bytes(signed.raw_transaction), hash=bytes(signed.hash))

    def sign_digest(self, digest: bytes) -> bytes:
        """Sign a 32-byte digest and return ``r || s || v``.

        "Unsafe" in eth-account's name means that the signer cannot see what is hashed; callers pass
        digests of typed data they built themselves.
        """
        if len(digest) != 32:
            raise WalletError(f"a digest has 32 bytes, not {len(digest)}")
        return bytes(self._account.unsafe_sign_hash(Hash32(digest)).signature)

    def __repr__(self) -> str:
        return f"LocalSigner({self.address})"
