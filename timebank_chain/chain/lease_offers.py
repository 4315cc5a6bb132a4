"""Lease offers as files: what a lender publishes, and whoever wants to take it reads.

::

    {
      "schema": "timebank.lease.offer/1",
      "chainId": 31337,
      "contract": "0x...",                 the CreditLease it is signed for
      "offer": {
        "lender": "0x...", "lessee": "0x...", "amount": 50000000, "minTake": 1000000, "rent": 400000,
        "term": 604800, "onStanding": false, "expiresAt": 1800000000, "series": 0, "salt": "0x..."
      },
      "offerHash": "0x...",                its EIP-712 digest there
      "signature": "0x..."
    }

Amounts are micro-credits, times Unix seconds; a lessee of zero means anybody. A file that was changed is
refused by its hash. How a file travels (a chat, a web page, a disk) does not matter: a wrong one is worth
nothing.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from eth_keys.datatypes import Signature
from eth_keys.exceptions import BadSignature
from eth_typing import ChecksumAddress
from eth_utils.exceptions import ValidationError

from timebank_chain.chain.addresses import parse_address
from timebank_chain.chain.credit_lease import OFFER_FIELDS, LeaseOffer
from timebank_chain.chain.signer import Signer
from timebank_chain.documents import TooLarge, parse_json, read_small
from timebank_chain.errors import OfferError, UsageError

OFFER_SCHEMA = "timebank.lease.offer/1"

_FIELDS = ("schema", "chainId", "contract", "offer", "offerHash", "signature")
_HEX = re.compile(r"0x(?:[0-9a-fA-F]{2})*")
_HALF_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141 // 2
# A contract wallet's signature can be longer than a key's 65 bytes.
_MAX_SIGNATURE_BYTES = 8_192
_MAX_FILE_BYTES = 32_768


@dataclass(frozen=True, slots=True)
class SignedOffer:
    """An offer with its signature, for one CreditLease on one chain.

    ``signature`` is ``r || s || v`` of a key, or whatever the lender's contract wallet takes.
    """

    offer: LeaseOffer
    chain_id: int
    contract: ChecksumAddress
    signature: bytes

    @property
    def offer_hash(self) -> bytes:
        """Its name on that contract: the digest that is signed."""
        return self.offer.digest(self.chain_id, self.contract)

    def signed_by_key(self) -> bool:
        """Return whether the signature is one of the lender's key, by the contract's rules.

        ``False`` also for a contract wallet's (ERC-1271): only its chain can tell.
        """
        r, s, v = self.signature[:32], self.signature[32:64], self.signature[64:]
        if len(v) != 1 or v[0] not in (27, 28) or int.from_bytes(s, "big") > _HALF_ORDER:
            return False
        try:
            key = Signature(r + s + bytes([v[0] - 27])).recover_public_key_from_msg_hash(self.offer_hash)
        except (BadSignature, ValidationError):
            return False
        return key.to_checksum_address() == self.offer.lender

    def to_json(self) -> dict[str, Any]:
        """Return the document ``timebank.lease.offer/1``."""
        values = dict(zip((name for _, name, _ in OFFER_FIELDS), self.offer.as_call(), strict=True))
        return {
            "schema": OFFER_SCHEMA,
            "chainId": self.chain_id,
            "contract": self.contract,
            "offer": values | {"salt": f"0x{self.offer.salt:064x}"},
            "offerHash": "0x" + self.offer_hash.hex(),
            "signature": "0x" + self.signature.hex(),
        }


def sign_offer(offer: LeaseOffer, signer: Signer, chain_id: int, contract: ChecksumAddress) -> SignedOffer:
    """Sign an offer for the CreditLease at ``contract``.

    Raises
    ------
    OfferError
        If the signer is not the lender.
    """
    return SignedOffer(offer, chain_id, contract, offer.sign(signer, chain_id, contract))


def write_offer(path: Path, signed: SignedOffer) -> None:
    """Write an offer's file, whole or not at all."""
    text = json.dumps(signed.to_json(), indent=2) + "\n"
    handle, part = tempfile.mkstemp(prefix=".", suffix=".part", dir=path.parent)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    Path(part).chmod(0o644)
    Path(part).replace(path)


def read_offer(path: Path) -> SignedOffer:
    """Read an offer's file.

    Raises
    ------
    OfferError
        If it is no ``timebank.lease.offer/1`` document, a field is missing, unknown, twice there, of the
        wrong type or range, or the hash is not the offer's.
    """
    try:
        content = read_small(path, _MAX_FILE_BYTES)
    except TooLarge as error:
        raise OfferError(f"too large for a lease offer: {error}", where=str(path)) from error
    except OSError as error:
        raise OfferError(f"not a readable file: {error.strerror}", where=str(path)) from error
    return parse_offer(content, where=str(path))


def parse_offer(content: str | bytes, *, where: str = "offer") -> SignedOffer:
    """Read the text of an offer's file; see :func:`read_offer`."""
    try:
        document = parse_json(
            content, object_pairs_hook=_unique, parse_float=_no_float, parse_constant=_no_float
        )
    except ValueError as error:
        raise OfferError(f"not a lease offer's JSON: {error}", where=where) from error
    if not isinstance(document, dict) or document.get("schema") != OFFER_SCHEMA:
        raise OfferError(f"not a {OFFER_SCHEMA} document", where=where)
    _require_fields(document, _FIELDS, where)
    terms = document["offer"]
    if not isinstance(terms, dict):
        raise OfferError(f"not an object: {terms!r}", where=f"{where}, field 'offer'")
    _require_fields(terms, tuple(name for _, name, _ in OFFER_FIELDS), where)
    values = {
        attribute: _value(terms[name], kind, f"{where}, field {name!r}")
        for attribute, name, kind in OFFER_FIELDS
    }
    try:
        offer = LeaseOffer(**values)
    except OfferError as error:
        raise OfferError(error.message, where=f"{where}, {error.where}") from None
    chain_id = document["chainId"]
    if type(chain_id) is not int or not 0 < chain_id < 1 << 256:
        raise OfferError(f"not a chain id: {chain_id!r}", where=f"{where}, field 'chainId'")
    signed = SignedOffer(
        offer=offer,
        chain_id=chain_id,
        contract=_address(document["contract"], f"{where}, field 'contract'"),
        signature=_hex(document["signature"], f"{where}, field 'signature'"),
    )
    if len(signed.signature) > _MAX_SIGNATURE_BYTES:
        raise OfferError(f"{len(signed.signature)} bytes are too many", where=f"{where}, field 'signature'")
    if _hex(document["offerHash"], f"{where}, field 'offerHash'") != signed.offer_hash:
        raise OfferError(
            f"the offer's hash is 0x{signed.offer_hash.hex()}",
            where=f"{where}, field 'offerHash'",
            hint="the file was changed after it was signed: ask the lender for it again",
        )
    return signed


def _require_fields(document: dict[str, Any], names: tuple[str, ...], where: str) -> None:
    for name in names:
        if name not in document:
            raise OfferError(f"field {name!r} is missing", where=where)
    for name in document:
        if name not in names:
            raise OfferError(f"unknown field {name!r}", where=where)


def _value(value: object, kind: str, where: str) -> Any:
    """Read one term of an offer; its range is the offer's own matter."""
    if kind == "address":
        return _address(value, where)
    if kind == "uint256":
        raw = _hex(value, where)
        if len(raw) != 32:
            raise OfferError(f"{len(raw)} bytes, not 32", where=where)
        return int.from_bytes(raw, "big")
    # bool is an int for Python, so the type itself is compared.
    if type(value) is not (bool if kind == "bool" else int):
        raise OfferError(f"not a {kind}: {value!r}", where=where)
    return value


def _address(value: object, where: str) -> ChecksumAddress:
    if not isinstance(value, str) or value != value.strip():
        raise OfferError(f"not an address: {value!r}", where=where)
    try:
        return parse_address(value, what="contents")
    except UsageError as error:
        raise OfferError(error.message, where=where, hint=error.hint) from None


def _hex(value: object, where: str) -> bytes:
    # Python's own reading of hexadecimal lets spaces pass.
    if not isinstance(value, str) or not _HEX.fullmatch(value):
        raise OfferError(f"not hexadecimal with 0x: {value!r}", where=where)
    return bytes.fromhex(value[2:])


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a field stands twice")
    return document


def _no_float(text: str) -> NoReturn:
    raise ValueError(f"{text} is no whole number")
