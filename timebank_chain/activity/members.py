"""Members: which address an outside id earns under.

A members file is CSV with the header ``member,address``. Addresses carry their EIP-55 checksum, so
that one mistyped character is an error and not somebody else's wages. Who is not in the file earns
under a placeholder address, which nobody has a key to; the member registry links it to a wallet
later, once.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import sha3

from timebank_chain.documents import TooLarge, read_small
from timebank_chain.errors import MembersError

#: Room for more than a million members.
MAX_MEMBERS_BYTES = 128 << 20

#: First eight bytes of every placeholder; contracts recognise them.
PLACEHOLDER_PREFIX = b"timebank"
_DOMAIN = b"timebank.member/1:"
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_CHECKSUM_HINT = "copy the address with its upper and lower case letters from the wallet"


def placeholder_address(member: str) -> bytes:
    """Return the 20-byte address a member without a wallet earns under.

    >>> placeholder_address("ada@example.org")[:8]
    b'timebank'
    """
    return PLACEHOLDER_PREFIX + sha3.keccak_256(_DOMAIN + member.encode()).digest()[:12]  # type: ignore[no-any-return]  # sha3 ships no types


def is_placeholder(account: bytes) -> bool:
    """Tell whether an account is a placeholder."""
    return account[: len(PLACEHOLDER_PREFIX)] == PLACEHOLDER_PREFIX


@dataclass(frozen=True, slots=True)
class Members:
    """The known addresses, 20 bytes each, by outside id."""

    addresses: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))

    def __len__(self) -> int:
        return len(self.addresses)

    def account_of(self, member: str) -> bytes:
        """Return the 20-byte account a member earns under: their address, or their placeholder."""
        known = self.addresses.get(member)
        return placeholder_address(member) if known is None else known


def load_members(path: Path | str) -> Members:
    """Read a members file.

    Raises
    ------
    MembersError
        If the file cannot be read, the header is not ``member,address``, a row has an empty member,
        an address without its checksum, a member or an address that an earlier row has, the zero
        address, or a placeholder.
    """
    addresses: dict[str, bytes] = {}
    rows_by_member: dict[str, int] = {}
    rows_by_address: dict[bytes, int] = {}
    try:
        content = io.BytesIO(read_small(path, MAX_MEMBERS_BYTES))
        with io.TextIOWrapper(content, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [cell.strip() for cell in next(reader, [])]
            if header != ["member", "address"]:
                raise MembersError(
                    f"the header is {','.join(header)!r}, not 'member,address'",
                    where=f"{path}:1",
                    hint="make 'member,address' the first line",
                )
            for cells in reader:
                if not cells:
                    continue
                where = f"{path}:{reader.line_num}"
                if len(cells) != 2:
                    raise MembersError(
                        f"the row has {len(cells)} cells, not 2", where=where, hint="write member,address"
                    )
                member, text = cells[0].strip(), cells[1].strip()
                if not member:
                    raise MembersError(
                        "the member is empty", where=f"{where}, field 'member'", hint="write the outside id"
                    )
                account = _address(text, where)
                if member in rows_by_member:
                    raise MembersError(
                        f"member {member!r} stands already in row {rows_by_member[member]}",
                        where=f"{where}, field 'member'",
                        hint="keep one row a member",
                    )
                if account in rows_by_address:
                    raise MembersError(
                        f"address {text} belongs already to row {rows_by_address[account]}",
                        where=f"{where}, field 'address'",
                        hint="give each member an address of their own",
                    )
                rows_by_member[member] = reader.line_num
                rows_by_address[account] = reader.line_num
                addresses[member] = account
    except OSError as error:
        raise MembersError(
            f"cannot read the members file: {error.strerror}",
            where=str(path),
            hint="name a readable CSV file",
        ) from error
    except TooLarge as error:
        raise MembersError(
            f"the members file has {error}", where=str(path), hint="name the file of members"
        ) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise MembersError(
            f"not a CSV file in UTF-8: {error}", where=str(path), hint="save it as CSV, UTF-8"
        ) from error
    return Members(MappingProxyType(addresses))


def checksum_address(account: bytes) -> str:
    """Return an address with its EIP-55 checksum."""
    plain = account.hex()
    digest = sha3.keccak_256(plain.encode()).hexdigest()
    return "0x" + "".join(
        character.upper() if int(nibble, 16) >= 8 else character
        for character, nibble in zip(plain, digest, strict=False)
    )


def _address(text: str, where: str) -> bytes:
    where = f"{where}, field 'address'"
    if not _ADDRESS.fullmatch(text):
        raise MembersError(
            f"not an address: {text[:60]!r}", where=where, hint="write 0x and 40 hexadecimal digits"
        )
    account = bytes.fromhex(text[2:])
    if text != checksum_address(account):
        what = "carries no checksum" if text[2:].lower() == text[2:] else "has a wrong checksum"
        raise MembersError(f"address {what}: {text}", where=where, hint=_CHECKSUM_HINT)
    if not any(account):
        raise MembersError("the zero address belongs to nobody", where=where, hint=_CHECKSUM_HINT)
    if is_placeholder(account):
        raise MembersError(
            f"{text} is a placeholder, not a wallet",
            where=where,
            hint="leave the row out: the member earns under a placeholder by itself",
        )
    return account
