"""A book against the chain: what can be filled, what the best orders cost, and orders that harm others.

::

    best_of
    |- against every way to fill as much: none is cheaper (buying) or brings more (selling)
    |- one maker's balance is spent once; parts that round to nothing are left out
    |- the least of a part: whatever others leave above it costs 1 % more, or brings 1 % less, at the most
    |- an order that stands there under two signatures counts once
    |- a rest that is too small for what is left is told from a book that is too thin
    `- the largest part a purchase covers, and no unit more
    read_market
    |- dead, each by its reason: all is fee, the rest rounds to nothing, the taker is the maker, no contract
    |  where the token should be, no ERC-20; none of them is quoted, and one that could be filled still is
    `- a token that spends all gas makes its own order dead and no other
    tokens of others
    |- decimals and names as they say, nothing where they are odd or silent
    `- an allowance is changed from zero
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.world import SIGNERS, World
from timebank_chain.chain.addresses import address_text
from timebank_chain.chain.credit_exchange import COIN, OrderStatus, TradeOrder, trade_fee
from timebank_chain.chain.exchange_reverts import NothingTraded
from timebank_chain.chain.foreign_token import ForeignToken, require_token
from timebank_chain.chain.market import BookEntry, Part, best_of, read_market, require_part
from timebank_chain.chain.order_book import BookLine, SignedOrder, sign_order
from timebank_chain.chain.transactions import Call, send
from timebank_chain.errors import ChainError, ContractError
from timebank_chain.units import MicroCredit

TOKEN = address_text(b"\xc2" * 20)
MAKERS = tuple(address_text(bytes([number]) * 20) for number in (1, 2))
FEE_BPS = 30


def entry(line: int, maker: int, *, sells: bool, micro: int, amount: int, given_: int) -> BookEntry:
    order = TradeOrder(
        maker=MAKERS[maker],
        taker=COIN,
        token=TOKEN,
        sells_credits=sells,
        credits=MicroCredit(micro),
        amount=amount,
        max_fee_bps=FEE_BPS,
        expires_at=1,
        series=0,
        salt=line,
    )
    signed = SignedOrder(order, 1, TOKEN, b"")
    status = OrderStatus(bytes(32), MicroCredit(0), False, True, 0, given_, given_)
    return BookEntry(line, signed, status, order.credits, order.credits, None)


@st.composite
def books(draw: st.DrawFn) -> tuple[list[BookEntry], bool]:
    sells = draw(st.booleans())
    funds = [draw(st.integers(0, 2_000_000)) for _ in MAKERS]
    entries = []
    for line in range(1, draw(st.integers(1, 4)) + 1):
        maker = draw(st.integers(0, 1))
        entries.append(
            entry(
                line,
                maker,
                sells=sells,
                micro=draw(st.integers(1_000, 10**6)),
                amount=draw(st.integers(1, 10**6)),
                given_=funds[maker],
            )
        )
    return entries, sells


def greedy(entries: Any, wanted: int, *, buying: bool) -> tuple[int, int]:
    """Fill orders in the order given; return micro-credits and units."""
    spent = dict.fromkeys(MAKERS, 0)
    filled = units = 0
    for one in entries:
        left = min(wanted - filled, one.order.credits)
        have = one.status.balance - spent[one.order.maker]
        while left > 0 and (left if buying else one.order.amount_for(left)) > have:
            left = min(left - 1, have if buying else have * one.order.credits // one.order.amount + 1)
        if left <= 0 or not one.order.amount_for(left) or trade_fee(left, FEE_BPS) >= left:
            continue
        amount = one.order.amount_for(left)
        spent[one.order.maker] += left if buying else amount
        filled, units = filled + left, units + amount
    return filled, units


@settings(max_examples=150, deadline=None)
@given(books(), st.integers(1, 3 * 10**6))
def test_no_other_order_of_filling_is_better(book: tuple[list[BookEntry], bool], wanted: int) -> None:
    entries, buying = book
    sweep = best_of(entries, TOKEN, wanted, FEE_BPS, buying=buying)
    assert sweep.credits + sweep.missing == wanted
    for maker in MAKERS:
        given_ = sum(
            part.credits if buying else part.amount for part in sweep.parts if part.entry.order.maker == maker
        )
        assert given_ <= max((one.status.balance for one in entries if one.status), default=0)
    for part in sweep.parts:
        assert part.amount > 0
        assert part.credits > part.fee == trade_fee(part.credits, FEE_BPS)
    if sweep.missing:
        return
    for order in permutations(entries):
        filled, units = greedy(order, wanted, buying=buying)
        if filled == wanted and len({one.order.maker for one in entries}) == len(entries):
            # Each part is rounded for its maker: up to a unit a part lies between the ways.
            slack = len(entries)
            assert sweep.amount <= units + slack if buying else sweep.amount >= units - slack


@given(st.integers(1, 10**12), st.integers(1, 10**24), st.integers(0, 10**24))
def test_a_purchase_covers_as_much_as_its_maker_can_pay(micro: int, amount: int, given_: int) -> None:
    one = entry(1, 0, sells=False, micro=micro, amount=amount, given_=given_)
    parts = best_of([one], TOKEN, micro, 0, buying=False).parts
    covered = parts[0].credits if parts else 0
    assert one.order.amount_for(covered) <= given_
    if parts and covered < micro:
        assert one.order.amount_for(covered + 1) > given_


@given(st.booleans(), st.integers(1, 10**12), st.integers(1, 10**24), st.data())
def test_rounding_of_a_rest_is_bounded(sells: bool, micro: int, amount: int, data: st.DataObject) -> None:
    one = entry(1, 0, sells=sells, micro=micro, amount=amount, given_=10**24)
    wanted = data.draw(st.integers(1, micro))
    part = Part(one, MicroCredit(wanted), MicroCredit(0), one.order.amount_for(wanted))
    assert 0 < part.least <= wanted
    if part.least < wanted:
        rest = data.draw(st.integers(part.least, wanted))
        fair, units = Fraction(amount * rest, micro), one.order.amount_for(rest)
        assert abs(units - fair) * 100 <= fair


def test_the_least_of_a_part_by_hand() -> None:
    # A credit for 0.02 coin: a millionth of it is 2e10 wei, no rounding to speak of.
    coin = entry(1, 0, sells=True, micro=10**6, amount=2 * 10**16, given_=10**6)
    assert Part(coin, MicroCredit(10**6), MicroCredit(0), 2 * 10**16).least == 1
    # A thousand credits for 3 units: all or nothing.
    coarse = entry(1, 0, sells=True, micro=10**9, amount=3, given_=10**9)
    assert Part(coarse, MicroCredit(10**9), MicroCredit(0), 3).least == 10**9
    # A thousand credits for 400 units: a hundred units are 250 credits.
    between = entry(1, 0, sells=True, micro=10**9, amount=400, given_=10**9)
    assert Part(between, MicroCredit(10**9), MicroCredit(0), 400).least == 250 * 10**6


def test_an_order_under_two_signatures_is_there_once() -> None:
    # A contract wallet may accept any: what is left of the order is left once.
    one = entry(1, 0, sells=True, micro=1_000, amount=5_000, given_=10**6)
    again = replace(one, line=2, signed=replace(one.signed, signature=b"another"))
    sweep = best_of([one, again], TOKEN, 2_000, FEE_BPS, buying=True)
    assert ([part.entry.line for part in sweep.parts], sweep.missing) == ([1], 1_000)


@pytest.mark.parametrize(("wanted", "small"), [(2_001, True), (2_000, False), (3_001, False)])
def test_a_rest_too_small_is_not_a_book_too_thin(wanted: int, small: bool) -> None:
    entries = [entry(1, 0, sells=True, micro=1_000, amount=5_000, given_=10**6)]
    entries.append(entry(2, 1, sells=True, micro=1_000, amount=6_000, given_=10**6))
    entries.append(entry(3, 1, sells=True, micro=1_000, amount=7_000, given_=10**6))
    sweep = best_of(entries, TOKEN, wanted, FEE_BPS, buying=True)
    assert sweep.missing == (1 if small or wanted > 3_000 else 0)
    assert [one.values for one in sweep.too_small] == (
        [{"credits": 1, "fee": 1, "amount": 7}] if small else []
    )


def test_a_part_of_an_order_that_is_all_fee_is_refused_by_name() -> None:
    one = entry(1, 0, sells=True, micro=1_000, amount=5_000, given_=10**6)
    with pytest.raises(NothingTraded):
        require_part(one, 1, FEE_BPS)
    assert require_part(one, 2, FEE_BPS).fee == 1


def made_of(world: World, runtime: str) -> str:
    """Put a few bytes of code on chain."""
    code = bytes.fromhex(runtime)
    # PUSH the code as one word, MSTORE it at 0, RETURN its last bytes.
    creation = (
        bytes([0x5F + len(code)]) + code + bytes.fromhex(f"5f5260{len(code):02x}60{32 - len(code):02x}f3")
    )
    made = send(world.connection, SIGNERS["stranger"], Call("Odd", "constructor", None, creation))
    return str(made.contract_address)


def bought(world: World, token: str, salt: int) -> SignedOrder:
    exchange = world.timebank.credit_exchange
    order = TradeOrder(
        maker=world.address("member1"),
        taker=COIN,
        token=address_text(bytes.fromhex(token[2:])),
        sells_credits=False,
        credits=MicroCredit(1_000_000),
        amount=5,
        max_fee_bps=FEE_BPS,
        expires_at=world.connection.timestamp() + 10_000,
        series=0,
        salt=salt,
    )
    return sign_order(order, SIGNERS["member1"], world.connection.chain_id, exchange.address)


def test_what_nobody_can_fill_is_dead_by_its_reason(world: World) -> None:
    timebank, exchange = world.timebank, world.timebank.credit_exchange
    maker, credit = world.address("member1"), world.timebank.attention_credit
    world.give("member1", 10_000_000)
    world.send("member1", credit.approve(exchange.address, 10_000_000))
    silent = made_of(world, "5f5ffd")  # reverts on everything
    lines: list[BookLine] = []

    def add(**changed: Any) -> SignedOrder:
        terms: dict[str, Any] = {"taker": COIN, "token": COIN, "credits": MicroCredit(1_000), "amount": 1_000}
        order = TradeOrder(
            maker=maker,
            sells_credits=True,
            max_fee_bps=FEE_BPS,
            expires_at=world.connection.timestamp() + 10_000,
            series=0,
            salt=len(lines),
            **{**terms, **changed},
        )
        signed = sign_order(order, SIGNERS["member1"], world.connection.chain_id, exchange.address)
        lines.append(BookLine(len(lines) + 1, signed))
        return signed

    add()
    add(credits=MicroCredit(1))
    rest = add(credits=MicroCredit(501))
    add(taker=maker)
    add(token=world.address("payee"))
    add(token=address_text(bytes.fromhex(silent[2:])))
    add(token=exchange.address)
    add(token=credit.address)
    world.give("member2", 1)
    world.send("member2", exchange.fill(rest.order, rest.signature, 500, 1_000))

    _, entries = read_market(timebank, lines)
    assert [one.dead.code if one.dead else None for one in entries] == [
        None,
        "NothingTraded",
        "NothingTraded",
        "MakerIsTaker",
        "TradeOrderError",
        "TradeOrderError",
        "TradeOrderError",
        "TokenIsCredit",
    ]
    assert "there is no contract at" in str(entries[4].dead)
    assert "is no ERC-20: it does not answer balanceOf" in str(entries[5].dead)
    assert "is no ERC-20: it does not answer balanceOf" in str(entries[6].dead)
    assert [part.entry.line for part in best_of(entries, COIN, 2_000, FEE_BPS, buying=True).parts] == [1]
    # And so the contract says: what is shown as dead cannot be filled, what is shown as open can.
    for one in entries:
        call = exchange.fill(one.order, one.signed.signature, one.left, 10**9)
        if one.dead is None:
            world.send("member2", call)
        else:
            with pytest.raises(ContractError):
                world.send("member2", call)


@pytest.mark.anvil
def test_a_token_that_spends_all_gas_harms_no_other_order(anvil_world: World) -> None:
    endless = made_of(anvil_world, "5b5f56")  # JUMPDEST, JUMP to it
    # Answers 9 to everything: a balance and an allowance of nine units.
    nine = made_of(anvil_world, "60095f5260205ff3")
    signed = [bought(anvil_world, token, salt) for salt, token in enumerate((nine, endless, nine, nine))]
    lines = [BookLine(number, one) for number, one in enumerate(signed, start=1)]
    state, entries = read_market(anvil_world.timebank, lines)
    assert (state.fee_bps, state.paused) == (FEE_BPS, False)
    assert [one.dead is None for one in entries] == [True, False, True, True]
    assert [one.covered for one in entries] == [1_000_000, 0, 1_000_000, 1_000_000]
    assert "does not answer balanceOf" in str(entries[1].dead) or "no answer" in str(entries[1].dead)


def test_what_a_token_says_of_itself(world: World) -> None:
    credit = ForeignToken(world.connection, world.timebank.attention_credit.address)
    assert (credit.decimals(), credit.symbol()) == (6, "ATC")
    odd = ForeignToken(world.connection, made_of(world, "60ff5f5260205ff3"))  # 255 to everything
    assert (odd.decimals(), odd.symbol(), odd.balance_of(COIN)) == (None, None, 255)
    silent = ForeignToken(world.connection, made_of(world, "5f5ffd"))  # reverts
    assert (silent.decimals(), silent.symbol(), silent.allowance(COIN, COIN)) == (None, None, 0)
    nobody = ForeignToken(world.connection, world.address("payee"))
    assert (nobody.decimals(), nobody.balance_of(COIN)) == (None, 0)
    with pytest.raises(ChainError, match="no contract"):
        require_token(nobody)


def test_an_allowance_is_changed_from_zero(world: World) -> None:
    token = ForeignToken(world.connection, world.timebank.attention_credit.address)
    owner, spender = world.address("member1"), world.timebank.credit_exchange.address

    def amounts(wanted: int) -> list[object]:
        calls = token.approvals(owner, spender, wanted, block="latest")
        return [call.arguments["amount"] for call in calls]

    assert amounts(7) == [7]
    world.send("member1", token.approve(spender, 7))
    assert amounts(7) == []
    assert amounts(8) == [0, 8]
