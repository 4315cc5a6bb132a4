"""Orders of the exchange: their EIP-712 digest, signature and books.

::

    digest
    |- equals eth-account's encoding of the types written out here, for any order
    |- the typed data for wallets encodes to it as well
    `- differs with every field, with the chain and with the contract
    order: numbers that do not fit, nothing for something, coin signed away -> TradeOrderError, by field
    amount_for: rounded for the maker, as the specification
    sign: recovers to the maker; another's wallet -> TradeOrderError
    signed_by_key: changed, foreign, malleable, short, long or wrong v -> False
    book
    |- reads back as it was appended, for any orders; a missing end of line is mended
    |- empty lines are skipped, what stands twice counts once
    |- bad lines: kept with number and reason, the good ones stay; none good, too many bad:
    |  TradeOrderError
    |- missing, unknown and double fields, another schema, floats, wrong types and sizes, addresses without
    |  checksum, a changed term -> TradeOrderError naming line and field
    `- no file, no JSON, too large, too deep -> TradeOrderError naming file and line
"""

from __future__ import annotations

import json
import tracemalloc
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
from timebank_chain.chain.credit_exchange import COIN, TradeOrder
from timebank_chain.chain.order_book import (
    MAX_BAD_LINES,
    MAX_LINES,
    BadLine,
    SignedOrder,
    append_order,
    parse_book,
    parse_order,
    read_book,
    sign_order,
)
from timebank_chain.chain.signer import LocalSigner
from timebank_chain.errors import TradeOrderError
from timebank_chain.spec import credit_exchange as spec
from timebank_chain.units import MicroCredit

GROUP_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
CHAIN_ID = 31_337
CONTRACT = address_text(b"\xc1" * 20)
MAKER = LocalSigner(keccak(text="maker"))
STRANGER = LocalSigner(keccak(text="stranger"))

ORDER = TradeOrder(
    maker=MAKER.address,
    taker=COIN,
    token=address_text(b"\xc2" * 20),
    sells_credits=True,
    credits=MicroCredit(10_000_000),
    amount=3 * 10**18,
    max_fee_bps=30,
    expires_at=1_800_000_000,
    series=2,
    salt=7,
)
SIGNED = sign_order(ORDER, MAKER, CHAIN_ID, CONTRACT)

addresses = st.binary(min_size=20, max_size=20).map(address_text)


@st.composite
def orders(draw: st.DrawFn) -> TradeOrder:
    return TradeOrder(
        maker=draw(addresses),
        taker=draw(addresses),
        token=draw(addresses.filter(lambda one: one != COIN)),
        sells_credits=draw(st.booleans()),
        credits=MicroCredit(draw(st.integers(1, (1 << 64) - 1))),
        amount=draw(st.integers(1, (1 << 128) - 1)),
        max_fee_bps=draw(st.integers(0, (1 << 16) - 1)),
        expires_at=draw(st.integers(0, (1 << 40) - 1)),
        series=draw(st.integers(0, (1 << 64) - 1)),
        salt=draw(st.integers(0, (1 << 256) - 1)),
    )


def hash_of(message: Any) -> bytes:
    return keccak(b"\x19" + message.version + message.header + message.body)


def independent_digest(order: TradeOrder, chain_id: int, contract: str) -> bytes:
    """The types as the contract documents them, encoded by eth-account."""
    types = (
        ("maker", "address"),
        ("taker", "address"),
        ("token", "address"),
        ("sellsCredits", "bool"),
        ("credits", "uint64"),
        ("amount", "uint128"),
        ("maxFeeBps", "uint16"),
        ("expiresAt", "uint40"),
        ("series", "uint64"),
        ("salt", "uint256"),
    )
    domain = (
        ("name", "string"),
        ("version", "string"),
        ("chainId", "uint256"),
        ("verifyingContract", "address"),
    )
    return hash_of(
        encode_typed_data(
            full_message={
                "types": {
                    "EIP712Domain": [{"name": name, "type": kind} for name, kind in domain],
                    "TradeOrder": [{"name": name, "type": kind} for name, kind in types],
                },
                "primaryType": "TradeOrder",
                "domain": {
                    "name": "timebank CreditExchange",
                    "version": "1",
                    "chainId": chain_id,
                    "verifyingContract": contract,
                },
                "message": dict(zip((name for name, _ in types), order.as_call(), strict=True)),
            }
        )
    )


@given(orders(), st.integers(1, (1 << 64) - 1), addresses)
def test_digest_is_eth_accounts(order: TradeOrder, chain_id: int, contract: str) -> None:
    assert order.digest(chain_id, contract) == independent_digest(order, chain_id, contract)
    typed = encode_typed_data(full_message=order.typed_data(chain_id, contract))
    assert hash_of(typed) == order.digest(chain_id, contract)


def test_digest_differs_with_everything() -> None:
    changes: tuple[dict[str, Any], ...] = (
        {"maker": STRANGER.address},
        {"taker": STRANGER.address},
        {"token": STRANGER.address},
        {"sells_credits": False},
        {"credits": ORDER.credits + 1},
        {"amount": ORDER.amount + 1},
        {"max_fee_bps": 31},
        {"expires_at": ORDER.expires_at + 1},
        {"series": 3},
        {"salt": 8},
    )
    found = {replace(ORDER, **change).digest(CHAIN_ID, CONTRACT) for change in changes}
    found |= {ORDER.digest(CHAIN_ID, CONTRACT), ORDER.digest(1, CONTRACT), ORDER.digest(CHAIN_ID, COIN)}
    assert len(found) == len(changes) + 3


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"credits": 0}, "credits"),
        ({"credits": 1 << 64}, "credits"),
        ({"amount": 0}, "amount"),
        ({"amount": 1 << 128}, "amount"),
        ({"max_fee_bps": 1 << 16}, "maxFeeBps"),
        ({"expires_at": -1}, "expiresAt"),
        ({"series": 1 << 64}, "series"),
        ({"salt": 1 << 256}, "salt"),
        ({"sells_credits": False, "token": COIN}, "token"),
    ],
)
def test_an_order_that_cannot_be(change: dict[str, Any], field: str) -> None:
    with pytest.raises(TradeOrderError) as refusal:
        replace(ORDER, **change)
    assert refusal.value.where == f"field {field!r}"


@given(orders(), st.data())
def test_price_of_a_part_is_the_specifications(order: TradeOrder, data: st.DataObject) -> None:
    part = data.draw(st.integers(1, order.credits))
    assert order.amount_for(part) == spec.amount_for(spec.TradeOrder(*order.as_call()), part)  # type: ignore[arg-type]  # the same fields


def test_only_the_maker_signs() -> None:
    recovered = Account._recover_hash(SIGNED.order_hash, signature=SIGNED.signature)
    assert recovered == MAKER.address
    assert SIGNED.signed_by_key()
    with pytest.raises(TradeOrderError, match="the wallet signs as"):
        sign_order(ORDER, STRANGER, CHAIN_ID, CONTRACT)


def test_what_is_not_the_makers_signature() -> None:
    r, s, v = SIGNED.signature[:32], SIGNED.signature[32:64], SIGNED.signature[64]
    high = (GROUP_ORDER - int.from_bytes(s, "big")).to_bytes(32, "big")
    for bad in (
        r + high + bytes([55 - v]),
        r + s,
        r + s + bytes([v, 0]),
        r + s + bytes([v - 27]),
        bytes(65),
        b"",
        STRANGER.sign_digest(SIGNED.order_hash),
    ):
        assert not replace(SIGNED, signature=bad).signed_by_key()
    assert not replace(SIGNED, chain_id=1).signed_by_key()


@given(st.lists(st.tuples(orders(), st.binary(max_size=80)), max_size=4, unique_by=lambda one: one[0].salt))
def test_a_book_reads_back(found: list[tuple[TradeOrder, bytes]]) -> None:
    signed = [SignedOrder(order, CHAIN_ID, CONTRACT, signature) for order, signature in found]
    lines = parse_book([one.line() for one in signed]).lines
    assert [line.signed for line in lines] == signed
    assert [line.number for line in lines] == list(range(1, len(signed) + 1))


def test_appending_and_joining(tmp_path: Path) -> None:
    path = tmp_path / "book.jsonl"
    other = sign_order(replace(ORDER, salt=8), MAKER, CHAIN_ID, CONTRACT)
    append_order(path, SIGNED)
    assert path.read_text() == SIGNED.line() + "\n"
    path.write_text(SIGNED.line())
    append_order(path, other)
    path.write_text(path.read_text() + "\n \n" + SIGNED.line() + "\r\n")
    assert [(line.number, line.signed) for line in read_book(path).lines] == [(1, SIGNED), (2, other)]


def changed(field: str, value: object) -> str:
    """SIGNED's line with one field changed: of the order, or of the document."""
    document = SIGNED.to_json()
    (document["order"] if field in document["order"] else document)[field] = value
    return json.dumps(document)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("credits", "10000000"),
        ("credits", True),
        ("credits", None),
        ("credits", 0),
        ("amount", 3 * 10**18),
        ("amount", "0"),
        ("amount", "-1"),
        ("amount", "1.5"),
        ("amount", "1e18"),
        ("amount", "１"),
        ("amount", "9" * 39),
        ("sellsCredits", 1),
        ("maker", MAKER.address.lower()),
        ("taker", "anybody"),
        ("token", 0),
        ("salt", "0x07"),
        ("salt", 7),
        ("maxFeeBps", 1 << 16),
        ("expiresAt", 1 << 40),
        ("series", -1),
        ("chainId", "31337"),
        ("chainId", 0),
        ("contract", "0x"),
        ("signature", "00"),
        ("signature", "0x0"),
        ("signature", "0x" + "00" * 8_193),
        ("orderHash", "0x" + "00" * 32),
        ("order", []),
    ],
)
def test_a_wrong_field_is_named_with_its_line(field: str, value: object) -> None:
    book = parse_book([SIGNED.line(), "", changed(field, value)], where="book.jsonl")
    assert [line.signed for line in book.lines] == [SIGNED]
    assert [(bad.number, bad.error.where) for bad in book.bad] == [(3, f"book.jsonl:3, field {field!r}")]


def test_a_changed_term_does_not_match_the_hash() -> None:
    for field, value in (("credits", 10_000_001), ("amount", "1"), ("sellsCredits", False), ("series", 0)):
        with pytest.raises(TradeOrderError) as refusal:
            parse_order(changed(field, value))
        assert refusal.value.where == "order, field 'orderHash'"


def without(document: dict[str, Any], field: str) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != field}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not an order's JSON"),
        ("[]", "not a timebank.market.order/1 document"),
        (changed("schema", "timebank.lease.offer/1"), "not a timebank.market.order/1 document"),
        (json.dumps(without(SIGNED.to_json(), "signature")), "field 'signature' is missing"),
        (json.dumps(SIGNED.to_json() | {"note": 1}), "unknown field 'note'"),
        (SIGNED.line()[:-1] + ',"chainId":1}', "a field stands twice"),
        (changed("series", 2.0), "2.0 is no whole number"),
        (SIGNED.line().replace(":2,", ":NaN,"), "NaN is no whole number"),
        ("[" * 200, "nested deeper"),
        (" " + SIGNED.line() + " " * 40_000, "too many for an order"),
        (SIGNED.line().encode()[:-2] + b"\xff", "utf-8"),
    ],
)
def test_what_is_no_order(line: str | bytes, message: str) -> None:
    with pytest.raises(TradeOrderError, match="book:1") as refusal:
        parse_book([line])
    assert message in refusal.value.message
    assert refusal.value.where == "book:1"


@given(st.lists(st.sampled_from(("good", "{", "[]", '{"schema":1}', "ÿ")), max_size=12))
def test_a_bad_line_spoils_no_other(kinds: list[str]) -> None:
    lines, good = [], []
    for salt, kind in enumerate(kinds):
        order = SignedOrder(replace(ORDER, salt=salt), CHAIN_ID, CONTRACT, b"")
        lines.append(order.line() if kind == "good" else kind)
        good += [order] if kind == "good" else []
    if kinds and not good:
        with pytest.raises(TradeOrderError, match="book:1: no line is an order: not a"):
            parse_book(lines)
        return
    book = parse_book(lines)
    assert [line.signed for line in book.lines] == good
    assert [bad.number for bad in book.bad] == [n for n, kind in enumerate(kinds, start=1) if kind != "good"]
    assert all(isinstance(bad, BadLine) and bad.error.where == f"book:{bad.number}" for bad in book.bad)


def test_many_bad_lines_are_counted_and_spoil_no_other(tmp_path: Path) -> None:
    all_kept = parse_book([SIGNED.line(), *["no order"] * MAX_BAD_LINES])
    assert (len(all_kept.bad), all_kept.more_bad) == (MAX_BAD_LINES, 0)
    last = SignedOrder(replace(ORDER, salt=9), CHAIN_ID, CONTRACT, b"")
    path = tmp_path / "book.jsonl"
    path.write_text("\n".join([SIGNED.line(), *["no order"] * (MAX_BAD_LINES + 7), last.line()]))
    book = read_book(path)
    assert [(line.number, line.signed) for line in book.lines] == [(1, SIGNED), (MAX_BAD_LINES + 9, last)]
    assert (len(book.bad), book.more_bad) == (MAX_BAD_LINES, 7)
    assert [bad.number for bad in book.bad] == list(range(2, MAX_BAD_LINES + 2))


def test_more_lines_than_orders_fit_in_are_no_book() -> None:
    assert MAX_LINES * len(SIGNED.line()) > 64 << 20, "a file of orders alone is not refused for its lines"
    unread = iter(["no order"] * (MAX_LINES + 10))
    with pytest.raises(TradeOrderError, match="too large for an order book: more than 200,000 lines"):
        parse_book([SIGNED.line(), *["", " "] * 5, *unread])
    assert len(list(unread)) == 0


def test_a_file_of_short_lines_is_read_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "book.jsonl"
    path.write_bytes(SIGNED.line().encode() + b"\n" + b"  \n" * (3 << 20))
    tracemalloc.start()
    try:
        assert [line.signed for line in read_book(path).lines] == [SIGNED]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Reading allocates the most a book may have; as a list its lines took another 130 MB.
    assert peak < (64 << 20) + 2 * path.stat().st_size


def test_what_is_no_book(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing.jsonl", tmp_path):
        with pytest.raises(TradeOrderError) as refusal:
            read_book(path)
        assert refusal.value.where == str(path)
