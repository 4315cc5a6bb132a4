"""Addresses as people write them: EIP-55 checksummed, or refused with the right spelling.

What gets credits or a role must carry its checksum (`parse_address`); what is only looked at need not
(`parse_account`).
"""

from __future__ import annotations

import re

from eth_typing import ChecksumAddress
from eth_utils.address import to_checksum_address

from timebank_chain.errors import UsageError

_ADDRESS = re.compile(r"^0x[0-9a-fA-F]{40}$")


def parse_address(text: str, *, what: str = "address") -> ChecksumAddress:
    """Read an address that carries its checksum.

    Parameters
    ----------
    text
        ``0x`` and 40 hex digits in EIP-55 spelling.
    what
        Name of the flag or field, for the message.

    Raises
    ------
    UsageError
        If it is no address, or its letters' case is not the checksum (one mistyped digit would
        otherwise send credits to nobody).
    """
    stripped = text.strip()
    if not _ADDRESS.match(stripped):
        raise UsageError(
            f"{what}: not an address: {text!r}", hint="write 0x and 40 hex digits in EIP-55 spelling"
        )
    checksummed = to_checksum_address(stripped)
    if stripped == checksummed:
        return checksummed
    has_no_checksum = stripped[2:] in (stripped[2:].lower(), stripped[2:].upper())
    fault = "has no checksum" if has_no_checksum else "has a wrong checksum"
    raise UsageError(f"{what}: {stripped} {fault}", hint=f"compare it, then write {checksummed}")


def parse_account(text: str, *, what: str = "account") -> ChecksumAddress:
    """Read the address of an account that is only asked about: all letters of one case will do.

    A mistyped digit costs an empty answer here, no credits. Where both cases stand, they are a checksum, and
    a wrong one is refused.

    Raises
    ------
    UsageError
        If it is no address, or letters of both cases are not its checksum.
    """
    stripped = text.strip()
    if _ADDRESS.match(stripped) and stripped[2:] in (stripped[2:].lower(), stripped[2:].upper()):
        return to_checksum_address(stripped)
    return parse_address(text, what=what)


def address_bytes(address: str) -> bytes:
    """Return the 20 bytes of an address."""
    return bytes.fromhex(address.removeprefix("0x"))


def address_text(raw: bytes) -> ChecksumAddress:
    """Return 20 bytes as a checksummed address."""
    return to_checksum_address(raw)
