"""EIP-712: what people sign off chain for one of our contracts, and whether a signature is theirs.

Source of the encoding: https://eips.ethereum.org/EIPS/eip-712; every member of our messages is one word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from eth_abi.abi import encode as abi_encode
from eth_keys.datatypes import Signature
from eth_keys.exceptions import BadSignature
from eth_typing import ChecksumAddress
from eth_utils.crypto import keccak
from eth_utils.exceptions import ValidationError

from timebank_chain.errors import InputError

_DOMAIN_FIELDS = (
    ("name", "string"),
    ("version", "string"),
    ("chainId", "uint256"),
    ("verifyingContract", "address"),
)
_DOMAIN_TYPEHASH = keccak(text=f"EIP712Domain({','.join(f'{kind} {name}' for name, kind in _DOMAIN_FIELDS)})")
_HALF_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141 // 2
# Wallets read JSON with numbers of 53 bits.
_TEXT_BITS = 64


class Signable(Protocol):
    """What a person signs: a message of some type."""

    def as_call(self) -> tuple[str | int, ...]:
        """Return its values in the order of the type's fields."""
        ...

    def digest(self, chain_id: int, contract: str) -> bytes:
        """Return what is signed for a contract on a chain: 32 bytes."""
        ...


@dataclass(frozen=True)
class MessageType:
    """The EIP-712 type of a message for one of our contracts.

    Attributes
    ----------
    domain
        Name of the contract's domain; its version is 1.
    name
        Of the struct.
    fields
        (attribute, name in Solidity, type) in the order of the contract's struct; numbers, addresses and
        truth values only.
    """

    domain: str
    name: str
    fields: tuple[tuple[str, str, str], ...]
    version: str = "1"
    _typehash: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        members = ",".join(f"{kind} {name}" for _, name, kind in self.fields)
        object.__setattr__(self, "_typehash", keccak(text=f"{self.name}({members})"))

    def digest(self, values: Sequence[str | int], chain_id: int, contract: str) -> bytes:
        """Return the digest of a message for ``contract``: what is signed, and its name there.

        Parameters
        ----------
        values
            In the order of ``fields``.
        """
        domain = keccak(
            abi_encode(
                ["bytes32", "bytes32", "bytes32", "uint256", "address"],
                [_DOMAIN_TYPEHASH, keccak(text=self.domain), keccak(text=self.version), chain_id, contract],
            )
        )
        kinds = [kind for _, _, kind in self.fields]
        message = keccak(abi_encode(["bytes32", *kinds], [self._typehash, *values]))
        return keccak(b"\x19\x01" + domain + message)

    def for_wallet(self, values: Sequence[str | int], chain_id: int, contract: str) -> dict[str, Any]:
        """Return what a wallet shows and signs by ``eth_signTypedData_v4``; its large numbers are text."""
        return {
            "types": {
                "EIP712Domain": [{"name": name, "type": kind} for name, kind in _DOMAIN_FIELDS],
                self.name: [{"name": name, "type": kind} for _, name, kind in self.fields],
            },
            "primaryType": self.name,
            "domain": {
                "name": self.domain,
                "version": self.version,
                "chainId": chain_id,
                "verifyingContract": contract,
            },
            "message": {
                name: str(value) if _bits(kind) >= _TEXT_BITS else value
                for (_, name, kind), value in zip(self.fields, values, strict=True)
            },
        }

    def require_ranges(self, message: object, error: type[InputError]) -> None:
        """Refuse a message with a number that does not fit its type, as ``error`` naming the field."""
        for attribute, name, kind in self.fields:
            value = getattr(message, attribute)
            if _bits(kind) and not 0 <= value < 1 << _bits(kind):
                raise error(f"{value} is no {kind}", where=f"field {name!r}")


def is_key_signature(address: ChecksumAddress, digest: bytes, signature: bytes) -> bool:
    """Return whether a signature is one of an address's key over a digest, by our contracts' rules.

    65 bytes ``r || s || v`` with ``v`` 27 or 28 and ``s`` in the lower half. ``False`` also for a contract
    wallet's signature (ERC-1271): only its chain can tell.
    """
    r, s, v = signature[:32], signature[32:64], signature[64:]
    if len(v) != 1 or v[0] not in (27, 28) or int.from_bytes(s, "big") > _HALF_ORDER:
        return False
    try:
        key = Signature(r + s + bytes([v[0] - 27])).recover_public_key_from_msg_hash(digest)
    except (BadSignature, ValidationError):
        return False
    return key.to_checksum_address() == address


def _bits(kind: str) -> int:
    """Return the size of a number's type; 0 for what is no number."""
    return int(kind.removeprefix("uint")) if kind.startswith("uint") else 0
