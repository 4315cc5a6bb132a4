"""header
|- hash and digest equal eth-account's EIP-712 for any header
|- JSON and call tuple read back what was written
|- every changed field changes the hash, and is noticed when a published header is read
`- refused: out of range, end before start, epoch 0, unknown, missing or mistyped JSON
"""

from dataclasses import replace
from typing import Any

import pytest
from eth_account.messages import encode_typed_data
from eth_utils import keccak as reference
from hypothesis import given
from hypothesis import strategies as st

from timebank_chain.epoch.header import HEADER_FIELDS, EpochHeader, domain_separator
from timebank_chain.errors import EpochError

ORACLE = bytes(range(20))


def header_of(**changes: Any) -> EpochHeader:
    fields: dict[str, Any] = {
        "epoch": 3,
        "start_ms": 1_767_225_600_000,
        "end_ms": 1_767_830_400_000,
        "policy_hash": b"\x01" * 32,
        "activity_root": b"\x02" * 32,
        "activity_count": 40,
        "account_root": b"\x03" * 32,
        "account_count": 7,
        "active_count": 6,
        "total_earned": 269_108_441,
        "total_mint": 250_000_000,
        "rate_q24": 1 << 24,
        "pot": 17,
        "previous_header_hash": b"\x04" * 32,
        "data_hash": b"\x05" * 32,
        "data_uri": "ipfs://example",
    }
    return EpochHeader(**{**fields, **changes})


@st.composite
def headers(draw: Any) -> EpochHeader:
    values: dict[str, Any] = {}
    for field, _, kind in HEADER_FIELDS:
        if kind == "string":
            values[field] = draw(st.text(st.characters(codec="ascii"), max_size=60))
        elif kind == "bytes32":
            values[field] = draw(st.binary(min_size=32, max_size=32))
        else:
            values[field] = draw(st.integers(0, (1 << int(kind[4:])) - 1))
    values["epoch"] = max(1, values["epoch"])
    values["start_ms"] = min(values["start_ms"], (1 << 48) - 2)
    values["end_ms"] = max(values["end_ms"], values["start_ms"] + 1)
    return EpochHeader(**values)


@given(headers(), st.integers(1, 2**63))
def test_digest_equals_eip_712_of_eth_account(header: EpochHeader, chain_id: int) -> None:
    typed = encode_typed_data(
        full_message={
            "types": {
                "EIP712Domain": [
                    {"name": "name", "type": "string"},
                    {"name": "version", "type": "string"},
                    {"name": "chainId", "type": "uint256"},
                    {"name": "verifyingContract", "type": "address"},
                ],
                "EpochHeader": [{"name": name, "type": kind} for _, name, kind in HEADER_FIELDS],
            },
            "primaryType": "EpochHeader",
            "domain": {
                "name": "timebank RateOracle",
                "version": "1",
                "chainId": chain_id,
                "verifyingContract": "0x" + ORACLE.hex(),
            },
            "message": {name: getattr(header, field) for field, name, _ in HEADER_FIELDS},
        }
    )
    assert typed.header == domain_separator(chain_id, ORACLE)
    assert typed.body == header.hash()
    assert reference(b"\x19\x01" + typed.header + typed.body) == header.digest(chain_id, ORACLE)


@given(headers())
def test_json_and_call_read_back(header: EpochHeader) -> None:
    assert EpochHeader.from_json(header.to_json()) == header
    assert EpochHeader.from_call(header.as_call()) == header


def test_digest_is_bound_to_chain_and_contract() -> None:
    digests = {
        header_of().digest(chain_id, oracle)
        for chain_id, oracle in [(1, ORACLE), (2, ORACLE), (1, ORACLE[::-1])]
    }
    assert len(digests) == 3


@pytest.mark.parametrize("field", [field for field, _, _ in HEADER_FIELDS])
def test_a_changed_field_is_noticed(field: str) -> None:
    header = header_of()
    value = getattr(header, field)
    if isinstance(value, bytes):
        changed: Any = bytes([value[0] ^ 1]) + value[1:]
    elif isinstance(value, str):
        changed = value + "/"
    else:
        changed = value ^ 1
    other = replace(header, **{field: changed})
    assert other.hash() != header.hash()
    document = {**other.to_json(), "headerHash": "0x" + header.hash().hex()}
    with pytest.raises(EpochError, match="the header hashes to"):
        EpochHeader.from_json(document)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epoch": 0}, "numbered from 1"),
        ({"epoch": 1 << 32}, "does not fit uint32"),
        ({"start_ms": -1}, "does not fit uint48"),
        ({"end_ms": 1_767_225_600_000}, "is not after the start"),
        ({"total_mint": 1 << 64}, "does not fit uint64"),
        ({"policy_hash": b"\x01" * 31}, "31 bytes, not 32"),
        ({"data_uri": "x" * 513}, "more than 512 bytes"),
        ({"data_uri": "https://example.org/\u00e9pochs"}, "not ASCII"),
    ],
)
def test_a_value_out_of_range_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(EpochError, match=message):
        header_of(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": "timebank.header/2"}, "schema"),
        ({"extra": 1}, "unknown field 'extra'"),
        ({"epoch": "3"}, "not a uint32"),
        ({"epoch": True}, "not a uint32"),
        ({"epoch": 3.0}, "not a uint32"),
        ({"dataURI": 5}, "not a string"),
        ({"policyHash": "0x01"}, "not 32 bytes"),
        ({"headerHash": None}, "not 32 bytes"),
    ],
)
def test_wrong_json_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(EpochError, match=message):
        EpochHeader.from_json({**header_of().to_json(), **changes})


@pytest.mark.parametrize("name", [name for _, name, _ in HEADER_FIELDS])
def test_a_missing_field_is_refused(name: str) -> None:
    document = header_of().to_json()
    del document[name]
    with pytest.raises(EpochError, match=r"not a|not 32 bytes"):
        EpochHeader.from_json(document)


def test_an_oracle_address_has_twenty_bytes() -> None:
    with pytest.raises(EpochError, match="20 bytes"):
        domain_separator(1, b"\x01")
