"""The header of an epoch: the one thing a quorum signs and the chain stores the hash of.

The hash is the EIP-712 struct hash, so a wallet can show every field before it signs; the digest
binds it to one chain and one RateOracle, so a signature is worth nothing anywhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from timebank_chain.epoch.keccak import keccak
from timebank_chain.epoch.leaves import read_hex
from timebank_chain.errors import EpochError

HEADER_SCHEMA = "timebank.header/1"
DOMAIN_NAME = "timebank RateOracle"
DOMAIN_VERSION = "1"

#: (field, JSON and Solidity name, Solidity type) in the order of the struct ``EpochHeader``.
HEADER_FIELDS: tuple[tuple[str, str, str], ...] = (
    ("epoch", "epoch", "uint32"),
    ("start_ms", "startMs", "uint48"),
    ("end_ms", "endMs", "uint48"),
    ("policy_hash", "policyHash", "bytes32"),
    ("activity_root", "activityRoot", "bytes32"),
    ("activity_count", "activityCount", "uint32"),
    ("account_root", "accountRoot", "bytes32"),
    ("account_count", "accountCount", "uint32"),
    ("active_count", "activeCount", "uint32"),
    ("total_earned", "totalEarned", "uint64"),
    ("total_mint", "totalMint", "uint64"),
    ("rate_q24", "rateQ24", "uint64"),
    ("pot", "pot", "uint64"),
    ("previous_header_hash", "previousHeaderHash", "bytes32"),
    ("data_hash", "dataHash", "bytes32"),
    ("data_uri", "dataURI", "string"),
)
HEADER_TYPE = "EpochHeader(" + ",".join(f"{kind} {name}" for _, name, kind in HEADER_FIELDS) + ")"
HEADER_TYPE_HASH = keccak(HEADER_TYPE.encode())
_DOMAIN_TYPE = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
#: The RateOracle takes no longer one: every proof of a fault carries the header.
MAX_DATA_URI_BYTES = 512


@dataclass(frozen=True, slots=True)
class EpochHeader:
    """The header of epoch ``epoch``, covering (``start_ms``, ``end_ms``].

    ``total_earned`` is in micro-value, ``total_mint`` and ``pot`` in micro-credits, ``rate_q24`` in
    micro-credits per micro-value times 2**24, times in Unix milliseconds.
    """

    epoch: int
    start_ms: int
    end_ms: int
    policy_hash: bytes
    activity_root: bytes
    activity_count: int
    account_root: bytes
    account_count: int
    active_count: int
    total_earned: int
    total_mint: int
    rate_q24: int
    pot: int
    previous_header_hash: bytes
    data_hash: bytes
    data_uri: str

    def __post_init__(self) -> None:
        for field, _, kind in HEADER_FIELDS:
            value = getattr(self, field)
            if kind.startswith("uint"):
                if not 0 <= value < 1 << int(kind[4:]):
                    raise EpochError(f"{value} does not fit {kind}", where=f"header field {field!r}")
            elif kind == "bytes32" and len(value) != 32:
                raise EpochError(f"{len(value)} bytes, not 32", where=f"header field {field!r}")
        if not self.data_uri.isascii():
            raise EpochError(
                "the data URI is not ASCII",
                where="header field 'data_uri'",
                hint="write other characters as % and two hex digits",
            )
        if len(self.data_uri) > MAX_DATA_URI_BYTES:
            raise EpochError(
                f"the data URI has more than {MAX_DATA_URI_BYTES} bytes", where="header field 'data_uri'"
            )
        if self.epoch < 1:
            raise EpochError("epochs are numbered from 1", where="header field 'epoch'")
        if self.end_ms <= self.start_ms:
            raise EpochError(
                f"the end {self.end_ms} is not after the start {self.start_ms}", where="header field 'end_ms'"
            )

    def hash(self) -> bytes:
        """Return the header hash: EIP-712 ``hashStruct``."""
        words = [HEADER_TYPE_HASH]
        for field, _, kind in HEADER_FIELDS:
            value = getattr(self, field)
            if kind == "string":
                words.append(keccak(value.encode()))
            else:
                words.append(value if kind == "bytes32" else value.to_bytes(32, "big"))
        return keccak(b"".join(words))

    def digest(self, chain_id: int, oracle_address: bytes) -> bytes:
        """Return what a quorum member signs for the RateOracle at ``oracle_address`` (20 bytes)."""
        return keccak(b"\x19\x01" + domain_separator(chain_id, oracle_address) + self.hash())

    def as_call(self) -> tuple[int | bytes | str, ...]:
        """Return the fields in the order of the contracts' struct ``EpochHeader``."""
        return tuple(getattr(self, field.name) for field in fields(self))

    @classmethod
    def from_call(cls, values: tuple[Any, ...]) -> Self:
        """Read a header decoded from a call or event, in the order of the struct."""
        fields_by_name: dict[str, Any] = {}
        for (field, _, kind), value in zip(HEADER_FIELDS, values, strict=True):
            fields_by_name[field] = bytes(value) if kind == "bytes32" else value
        return cls(**fields_by_name)

    def to_json(self) -> dict[str, Any]:
        """Return the published document ``timebank.header/1``, including the header hash."""
        document: dict[str, Any] = {"schema": HEADER_SCHEMA}
        for field, name, kind in HEADER_FIELDS:
            value = getattr(self, field)
            document[name] = "0x" + value.hex() if kind == "bytes32" else value
        document["headerHash"] = "0x" + self.hash().hex()
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any], *, where: str = "header.json") -> Self:
        """Read a published header and check its hash.

        Raises
        ------
        EpochError
            If a field is missing, unknown, of the wrong type or range, or the hash is another's.
        """
        if document.get("schema") != HEADER_SCHEMA:
            raise EpochError(f"schema {document.get('schema')!r} is not {HEADER_SCHEMA!r}", where=where)
        known = {"schema", "headerHash", *(name for _, name, _ in HEADER_FIELDS)}
        for name in document:
            if name not in known:
                raise EpochError(f"unknown field {name!r}", where=where)
        values: dict[str, Any] = {}
        for field, name, kind in HEADER_FIELDS:
            value = document.get(name)
            place = f"{where}, field {name!r}"
            if kind == "bytes32":
                values[field] = read_hex(value, 32, field=place)
                continue
            if not isinstance(value, str if kind == "string" else int) or isinstance(value, bool):
                raise EpochError(f"not a {kind}: {value!r}", where=place)
            values[field] = value
        try:
            header = cls(**values)
        except EpochError as error:
            raise EpochError(error.message, where=f"{where}, {error.where}", hint=error.hint) from None
        claimed = read_hex(document.get("headerHash"), 32, field=f"{where}, field 'headerHash'")
        if claimed != header.hash():
            raise EpochError(
                f"the header hashes to 0x{header.hash().hex()}, not to the 0x{claimed.hex()} it names",
                where=where,
                hint="a field was changed after publishing; fetch the epoch again from its source",
            )
        return header


def domain_separator(chain_id: int, oracle_address: bytes) -> bytes:
    """Return the EIP-712 domain separator of the RateOracle at ``oracle_address`` (20 bytes)."""
    if len(oracle_address) != 20:
        raise EpochError(f"an address has 20 bytes, not {len(oracle_address)}")
    return keccak(
        keccak(_DOMAIN_TYPE.encode())
        + keccak(DOMAIN_NAME.encode())
        + keccak(DOMAIN_VERSION.encode())
        + chain_id.to_bytes(32, "big")
        + bytes(12)
        + oracle_address
    )
