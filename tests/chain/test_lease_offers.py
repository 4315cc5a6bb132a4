"""Lease offers: their EIP-712 digest, signature and files.

::

    digest
    |- equals eth-account's encoding of the types written out here, for any offer
    |- the typed data for wallets encodes to it as well
    |- the struct hash in the forge test is eth-account's
    `- differs with every field, with the chain and with the contract
    offer: numbers that do not fit, a smallest part of 0 or above the amount, no or too long a term,
           amount and rent beyond 64 bits -> OfferError naming the field; rent of a part rounds up
    sign: recovers to the lender; another's wallet -> OfferError
    signed_by_key: changed, foreign, malleable, short, long or wrong v -> False
    file
    |- reads back as it was written, for any offer; written whole
    |- missing, unknown and double fields, another schema, floats, text, bools and nulls for numbers, numbers
    |  for text, addresses without checksum, wrong sizes, wrong ranges -> OfferError naming the field
    |- one term changed -> the hash does not match
    `- no file, no JSON, too large, too deep, endless numbers -> OfferError naming the file
    lease: the contract's struct reads as a lease; zeros as none
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from timebank_chain.chain.addresses import address_text
from timebank_chain.chain.credit_lease import MAX_LEASE_TERM, Lease, LeaseOffer
from timebank_chain.chain.lease_offers import (
    OFFER_SCHEMA,
    SignedOffer,
    parse_offer,
    read_offer,
    sign_offer,
    write_offer,
)
from timebank_chain.chain.member_registry import ZERO_ADDRESS
from timebank_chain.chain.signer import LocalSigner
from timebank_chain.errors import OfferError
from timebank_chain.units import MicroCredit

FORGE_TEST = Path(__file__).parents[2] / "contracts/test/CreditLease.t.sol"
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
CHAIN_ID = 31_337
CONTRACT = address_text(b"\xc1" * 20)
LENDER = LocalSigner(keccak(text="lender"))
STRANGER = LocalSigner(keccak(text="stranger"))

OFFER = LeaseOffer(
    lender=LENDER.address,
    lessee=ZERO_ADDRESS,
    amount=MicroCredit(50_000_000),
    min_take=MicroCredit(1_000_000),
    rent=MicroCredit(400_000),
    term=604_800,
    on_standing=True,
    expires_at=1_800_000_000,
    series=2,
    salt=7,
)

#: As `_vector` of the forge test: every byte of every field is another.
VECTOR = LeaseOffer(
    lender=address_text(bytes.fromhex("0102030405060708090a0b0c0d0e0f1011121314")),
    lessee=address_text(bytes.fromhex("2122232425262728292a2b2c2d2e2f3031323334")),
    amount=MicroCredit(0x4142434445464748),
    min_take=MicroCredit(0x3132333435363738),
    rent=MicroCredit(0x5152535455565758),
    term=0x01020304,
    on_standing=True,
    expires_at=0x6162636465,
    series=0x7172737475767778,
    salt=int.from_bytes(bytes(range(0x81, 0xA1)), "big"),
)

addresses = st.binary(min_size=20, max_size=20).map(address_text)


@st.composite
def offers(draw: st.DrawFn) -> LeaseOffer:
    amount = draw(st.integers(1, (1 << 64) - 1))
    return LeaseOffer(
        lender=draw(addresses),
        lessee=draw(addresses),
        amount=MicroCredit(amount),
        min_take=MicroCredit(draw(st.integers(1, amount))),
        rent=MicroCredit(draw(st.integers(0, (1 << 64) - 1 - amount))),
        term=draw(st.integers(1, MAX_LEASE_TERM)),
        on_standing=draw(st.booleans()),
        expires_at=draw(st.integers(0, (1 << 40) - 1)),
        series=draw(st.integers(0, (1 << 64) - 1)),
        salt=draw(st.integers(0, (1 << 256) - 1)),
    )


def independent_encoding(offer: LeaseOffer, chain_id: int, contract: str) -> Any:
    """The types as the contract documents them, encoded by eth-account."""
    return encode_typed_data(
        full_message={
            "types": {
                "EIP712Domain": [
                    {"name": "name", "type": "string"},
                    {"name": "version", "type": "string"},
                    {"name": "chainId", "type": "uint256"},
                    {"name": "verifyingContract", "type": "address"},
                ],
                "LeaseOffer": [
                    {"name": "lender", "type": "address"},
                    {"name": "lessee", "type": "address"},
                    {"name": "amount", "type": "uint64"},
                    {"name": "minTake", "type": "uint64"},
                    {"name": "rent", "type": "uint64"},
                    {"name": "term", "type": "uint32"},
                    {"name": "onStanding", "type": "bool"},
                    {"name": "expiresAt", "type": "uint40"},
                    {"name": "series", "type": "uint64"},
                    {"name": "salt", "type": "uint256"},
                ],
            },
            "primaryType": "LeaseOffer",
            "domain": {
                "name": "timebank CreditLease",
                "version": "1",
                "chainId": chain_id,
                "verifyingContract": contract,
            },
            "message": {
                "lender": offer.lender,
                "lessee": offer.lessee,
                "amount": offer.amount,
                "minTake": offer.min_take,
                "rent": offer.rent,
                "term": offer.term,
                "onStanding": offer.on_standing,
                "expiresAt": offer.expires_at,
                "series": offer.series,
                "salt": offer.salt,
            },
        }
    )


def digest_of(message: Any) -> bytes:
    return keccak(b"\x19" + message.version + message.header + message.body)


# digest


@given(offers(), st.integers(1, (1 << 256) - 1), addresses)
def test_digest_equals_an_independent_encoding(offer: LeaseOffer, chain_id: int, contract: Any) -> None:
    assert offer.digest(chain_id, contract) == digest_of(independent_encoding(offer, chain_id, contract))


@given(offers(), addresses)
def test_typed_data_for_wallets_encodes_to_the_digest(offer: LeaseOffer, contract: Any) -> None:
    document = json.loads(json.dumps(offer.typed_data(CHAIN_ID, contract)))
    assert digest_of(encode_typed_data(full_message=document)) == offer.digest(CHAIN_ID, contract)


def test_forge_test_holds_the_independent_struct_hash() -> None:
    body = independent_encoding(VECTOR, CHAIN_ID, CONTRACT).body
    text = FORGE_TEST.read_text("utf-8")
    found = re.search(r"VECTOR_STRUCT_HASH\s*=\s*0x([0-9a-f]{64});", text)
    assert found is not None, "the forge test holds no VECTOR_STRUCT_HASH"
    assert found.group(1) == body.hex()


@pytest.mark.parametrize(
    "other",
    [
        replace(OFFER, lender=STRANGER.address),
        replace(OFFER, lessee=STRANGER.address),
        replace(OFFER, amount=MicroCredit(50_000_001)),
        replace(OFFER, min_take=MicroCredit(1_000_001)),
        replace(OFFER, rent=MicroCredit(400_001)),
        replace(OFFER, term=604_801),
        replace(OFFER, on_standing=False),
        replace(OFFER, expires_at=1_800_000_001),
        replace(OFFER, series=3),
        replace(OFFER, salt=8),
    ],
)
def test_digest_differs_with_every_field(other: LeaseOffer) -> None:
    assert other.digest(CHAIN_ID, CONTRACT) != OFFER.digest(CHAIN_ID, CONTRACT)


def test_digest_differs_with_chain_and_contract() -> None:
    digests = {
        OFFER.digest(CHAIN_ID, CONTRACT),
        OFFER.digest(CHAIN_ID + 1, CONTRACT),
        OFFER.digest(CHAIN_ID, STRANGER.address),
    }
    assert len(digests) == 3


# offer


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"amount": 1 << 64}, "amount"),
        ({"amount": -1}, "amount"),
        ({"min_take": 0}, "minTake"),
        ({"min_take": OFFER.amount + 1}, "minTake"),
        ({"rent": -1}, "rent"),
        ({"rent": (1 << 64) - OFFER.amount}, "rent"),
        ({"term": 0}, "term"),
        ({"term": MAX_LEASE_TERM + 1}, "term"),
        ({"expires_at": 1 << 40}, "expiresAt"),
        ({"series": 1 << 64}, "series"),
        ({"salt": 1 << 256}, "salt"),
        ({"salt": -1}, "salt"),
    ],
)
def test_offer_that_cannot_be_is_refused(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(OfferError) as caught:
        replace(OFFER, **changes)
    assert caught.value.where == f"field {field!r}"


def test_offer_of_nothing_is_refused() -> None:
    with pytest.raises(OfferError, match="1 to 0"):
        replace(OFFER, amount=MicroCredit(0))


def test_rent_of_a_part_rounds_up() -> None:
    offer = replace(OFFER, amount=MicroCredit(3), min_take=MicroCredit(1), rent=MicroCredit(10))
    assert [offer.rent_for(part) for part in (1, 2, 3)] == [4, 7, 10]


# sign


@given(offers())
def test_signature_recovers_to_the_lender(offer: LeaseOffer) -> None:
    signed = sign_offer(replace(offer, lender=LENDER.address), LENDER, CHAIN_ID, CONTRACT)
    message = independent_encoding(signed.offer, CHAIN_ID, CONTRACT)
    assert Account.recover_message(message, signature=signed.signature) == LENDER.address
    assert signed.signed_by_key()


def test_another_wallet_cannot_sign() -> None:
    with pytest.raises(OfferError, match=STRANGER.address):
        sign_offer(OFFER, STRANGER, CHAIN_ID, CONTRACT)


def test_wrong_signatures_are_not_the_lenders() -> None:
    signed = sign_offer(OFFER, LENDER, CHAIN_ID, CONTRACT)
    r, s, v = signed.signature[:32], signed.signature[32:64], signed.signature[64]
    upper = (ORDER - int.from_bytes(s, "big")).to_bytes(32, "big")
    wrong = {
        "changed": bytes([r[0] ^ 1]) + signed.signature[1:],
        "foreign": STRANGER.sign_digest(signed.offer_hash),
        "malleable": r + upper + bytes([55 - v]),
        "v of 0 or 1": r + s + bytes([v - 27]),
        "other v": r + s + bytes([55 - v]),
        "short": signed.signature[:64],
        "long": signed.signature + b"\x00",
        "zeros": bytes(65),
        "zeros with v": bytes(64) + b"\x1b",
        "nothing": b"",
    }
    accepted = [
        name for name, signature in wrong.items() if replace(signed, signature=signature).signed_by_key()
    ]
    assert accepted == []
    assert not replace(signed, chain_id=CHAIN_ID + 1).signed_by_key()
    assert not replace(signed, contract=STRANGER.address).signed_by_key()
    assert not replace(signed, offer=replace(OFFER, salt=8)).signed_by_key()


# file


@given(offers(), st.integers(1, (1 << 256) - 1), addresses, st.binary(max_size=200))
def test_file_reads_back_as_written(
    offer: LeaseOffer, chain_id: int, contract: Any, signature: bytes
) -> None:
    signed = SignedOffer(offer, chain_id, contract, signature)
    assert parse_offer(json.dumps(signed.to_json())) == signed


def test_file_is_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "offer.json"
    signed = sign_offer(OFFER, LENDER, CHAIN_ID, CONTRACT)
    write_offer(path, signed)
    write_offer(path, signed)
    assert [found.name for found in tmp_path.iterdir()] == ["offer.json"]
    assert path.stat().st_mode & 0o777 == 0o644
    assert read_offer(path) == signed


def document() -> dict[str, Any]:
    return sign_offer(OFFER, LENDER, CHAIN_ID, CONTRACT).to_json()


def refused(changed: object) -> OfferError:
    with pytest.raises(OfferError) as caught:
        parse_offer(json.dumps(changed), where="offer.json")
    return caught.value


def test_document_has_the_schema_and_nothing_else() -> None:
    assert list(document()) == ["schema", "chainId", "contract", "offer", "offerHash", "signature"]
    assert document()["schema"] == OFFER_SCHEMA == "timebank.lease.offer/1"


@pytest.mark.parametrize("content", [None, [], 7, "offer", {}, {"schema": "timebank.lease.offer/2"}])
def test_other_documents_are_refused(content: object) -> None:
    assert OFFER_SCHEMA in refused(content).message


@pytest.mark.parametrize("name", [name for name in document() if name != "schema"])
def test_missing_field_is_named(name: str) -> None:
    changed = document()
    del changed[name]
    assert refused(changed).message == f"field {name!r} is missing"


@pytest.mark.parametrize("name", list(document()["offer"]))
def test_missing_term_is_named(name: str) -> None:
    changed = document()
    del changed["offer"][name]
    assert refused(changed).message == f"field {name!r} is missing"


def test_unknown_fields_are_refused() -> None:
    assert refused(document() | {"note": 1}).message == "unknown field 'note'"
    changed = document()
    changed["offer"]["collateral"] = "none"
    assert refused(changed).message == "unknown field 'collateral'"


def test_field_that_stands_twice_is_refused() -> None:
    text = json.dumps(document()).replace('"rent": 400000', '"rent": 400000, "rent": 400000')
    with pytest.raises(OfferError, match="twice"):
        parse_offer(text)


@pytest.mark.parametrize("number", ["400000.0", "4e5", "NaN", "Infinity", "-Infinity"])
def test_floats_are_refused(number: str) -> None:
    text = json.dumps(document()).replace('"rent": 400000', f'"rent": {number}')
    with pytest.raises(OfferError, match="no whole number"):
        parse_offer(text)


@pytest.mark.parametrize("value", ["400000", True, None, [], {}])
@pytest.mark.parametrize("name", ["amount", "minTake", "rent", "term", "expiresAt", "series"])
def test_what_is_no_number_is_refused(name: str, value: object) -> None:
    changed = document()
    changed["offer"][name] = value
    assert refused(changed).where == f"offer.json, field {name!r}"


@pytest.mark.parametrize("value", [0, 1, "true", None])
def test_what_is_no_bool_is_refused(value: object) -> None:
    changed = document()
    changed["offer"]["onStanding"] = value
    assert refused(changed).where == "offer.json, field 'onStanding'"


@pytest.mark.parametrize("value", [-1, 1 << 64, 0])
def test_numbers_out_of_range_are_refused(value: int) -> None:
    changed = document()
    changed["offer"]["amount"] = value
    assert (refused(changed).where or "").startswith("offer.json, field ")


@pytest.mark.parametrize(
    "value", [7, None, "", "7", "0x07", "0x" + "0" * 63, "0x" + "g" * 64, "0x" + "00" * 33, "0x " + "00" * 32]
)
def test_salt_is_32_bytes(value: object) -> None:
    changed = document()
    changed["offer"]["salt"] = value
    assert refused(changed).where == "offer.json, field 'salt'"


@pytest.mark.parametrize(
    "value", [None, 7, "", "0x", LENDER.address.lower(), LENDER.address[:-1], LENDER.address + " "]
)
@pytest.mark.parametrize("name", ["lender", "lessee"])
def test_addresses_carry_their_checksum(name: str, value: object) -> None:
    changed = document()
    changed["offer"][name] = value
    assert refused(changed).where == f"offer.json, field {name!r}"


def test_contract_carries_its_checksum() -> None:
    error = refused(document() | {"contract": CONTRACT.lower()})
    assert error.where == "offer.json, field 'contract'"
    assert CONTRACT in (error.hint or "")


@pytest.mark.parametrize("value", [0, -1, "31337", True, None, 1 << 256])
def test_chain_id_is_a_positive_number(value: object) -> None:
    assert refused(document() | {"chainId": value}).where == "offer.json, field 'chainId'"


@pytest.mark.parametrize("value", [None, 7, "", "27", "0xg0", "0x123", "0x" + "00" * 8_193])
def test_signature_is_hexadecimal(value: object) -> None:
    assert refused(document() | {"signature": value}).where == "offer.json, field 'signature'"


@pytest.mark.parametrize("value", [7, None, []])
def test_offer_is_an_object(value: object) -> None:
    assert refused(document() | {"offer": value}).where == "offer.json, field 'offer'"


@pytest.mark.parametrize(
    ("name", "value"), [("rent", 0), ("term", 1), ("lessee", STRANGER.address), ("onStanding", False)]
)
def test_changed_term_does_not_match_the_hash(name: str, value: object) -> None:
    changed = document()
    changed["offer"][name] = value
    error = refused(changed)
    assert error.where == "offer.json, field 'offerHash'"
    assert "ask the lender" in (error.hint or "")


@pytest.mark.parametrize(
    "changes", [{"chainId": 1}, {"contract": STRANGER.address}, {"offerHash": "0x" + "00" * 32}]
)
def test_changed_place_does_not_match_the_hash(changes: dict[str, object]) -> None:
    assert refused(document() | changes).where == "offer.json, field 'offerHash'"


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100, b" " * 32_769])
def test_what_is_no_document_is_refused_by_the_files_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "offer.json"
    path.write_bytes(content)
    with pytest.raises(OfferError) as caught:
        read_offer(path)
    assert caught.value.where == str(path)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(OfferError, match="No such file") as caught:
        read_offer(tmp_path / "offer.json")
    assert caught.value.where == str(tmp_path / "offer.json")


# lease


def test_struct_reads_as_a_lease() -> None:
    lender, lessee, account = LENDER.address.lower(), STRANGER.address.lower(), CONTRACT.lower()
    on_receipt = Lease.from_call(3, (lender, 1_900_000_000, 9, 500, lessee, 1_000, ZERO_ADDRESS, 101, 0))
    assert on_receipt is not None
    assert (on_receipt.receipt_id, on_receipt.account) == (9, None)
    assert (on_receipt.owed, on_receipt.fee) == (1_101, 6)
    on_standing = Lease.from_call(4, (lender, 1_900_000_000, 0, 500, lessee, 1_000, account, 101, 1_001))
    assert on_standing is not None
    assert (on_standing.lender, on_standing.lessee) == (LENDER.address, STRANGER.address)
    assert (on_standing.receipt_id, on_standing.account) == (None, CONTRACT)
    assert (on_standing.owed, on_standing.fee) == (100, 6)


def test_zeros_read_as_no_lease() -> None:
    assert Lease.from_call(5, (ZERO_ADDRESS, 0, 0, 0, ZERO_ADDRESS, 0, ZERO_ADDRESS, 0, 0)) is None


def test_endless_number_is_refused_in_our_own_words() -> None:
    text = json.dumps(document()).replace("604800", "8" * 5_000)
    with pytest.raises(OfferError, match="a number of 5000 digits, at most 78 are read"):
        parse_offer(text)
