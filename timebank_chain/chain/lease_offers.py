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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_typing import ChecksumAddress

from timebank_chain.chain.credit_lease import OFFER_TYPE, LeaseOffer
from timebank_chain.chain.signed_documents import DocumentKind, Signed
from timebank_chain.chain.signer import Signer
from timebank_chain.chain.typed_data import is_key_signature
from timebank_chain.documents import write_whole
from timebank_chain.errors import OfferError

OFFER_SCHEMA = "timebank.lease.offer/1"

_KIND = DocumentKind(OFFER_SCHEMA, "offer", "a lease offer", "lender", OFFER_TYPE, LeaseOffer, OfferError)
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
        return is_key_signature(self.offer.lender, self.offer_hash, self.signature)

    def to_json(self) -> dict[str, Any]:
        """Return the document ``timebank.lease.offer/1``."""
        return _KIND.document(Signed(self.offer, self.chain_id, self.contract, self.signature))


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
    write_whole(path, text, mode=0o644, sync=True)


def read_offer(path: Path) -> SignedOffer:
    """Read an offer's file.

    Raises
    ------
    OfferError
        If it is no ``timebank.lease.offer/1`` document, a field is missing, unknown, twice there, of the
        wrong type or range, or the hash is not the offer's.
    """
    return parse_offer(_KIND.read_file(path, _MAX_FILE_BYTES), where=str(path))


def parse_offer(content: str | bytes, *, where: str = "offer") -> SignedOffer:
    """Read the text of an offer's file; see :func:`read_offer`."""
    found = _KIND.parse(content, where=where)
    return SignedOffer(found.message, found.chain_id, found.contract, found.signature)
