"""The exchange in plain Python integers: every refusal in its order, sums that hold at random.

::

    fill
    |- refuses in the contract's order, each time without a trace
    |- any parts: never against the maker, never more than the order
    |- up to: what is left, however little was filled before; a limit fair for the whole fits every part
    `- coin moves with the call, and what is too much of it comes back; a token moves by allowance
    cancel, cancel_all: the maker's alone
    settings: by role, bounded
    any sequence of calls: no credits or units made, lost or kept; fees are in the fee pool's books
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from timebank_chain.spec.attention_credit import MAX_UINT256, ZERO_ADDRESS, AttentionCredit
from timebank_chain.spec.credit_exchange import CreditExchange, FillTerms, ForeignToken, TradeOrder
from timebank_chain.spec.fee_pool import FeePool
from timebank_chain.spec.revert import Reverted

EXCHANGE, FEES, CREDIT, TOKEN, SHRINKING = (f"0x{number:040x}" for number in range(0xC1, 0xC6))
MAKER, TAKER, STRANGER, GOVERNOR, GUARDIAN = (f"0x{number:040x}" for number in range(1, 6))
NOW = 1_800_000_000
FEE_BPS = 30
PLENTY = 10**15
CREDITS = 10_000_000
AMOUNT = 3 * 10**18

ORDER = TradeOrder(
    maker=MAKER,
    taker=ZERO_ADDRESS,
    token=TOKEN,
    sells_credits=True,
    credits=CREDITS,
    amount=AMOUNT,
    max_fee_bps=FEE_BPS,
    expires_at=NOW + 100,
    series=0,
    salt=0,
)
PURCHASE = replace(ORDER, sells_credits=False)
FOR_COIN = replace(ORDER, token=ZERO_ADDRESS)


def make_exchange() -> CreditExchange:
    credit = AttentionCredit()
    pool = FeePool(credit, FEES, STRANGER, STRANGER, 4_000, 4_000, spenders={EXCHANGE})
    tokens = {TOKEN: ForeignToken(), SHRINKING: ForeignToken(arriving=lambda amount: amount - 1)}
    exchange = CreditExchange(credit, CREDIT, pool, EXCHANGE, 1, GOVERNOR, GUARDIAN, FEE_BPS, tokens=tokens)
    for who in (MAKER, TAKER):
        credit.mint(who, PLENTY)
        credit.approve(who, EXCHANGE, MAX_UINT256)
        exchange.coin[who] = 10**30
        for token in tokens.values():
            token.balances[who] = 10**40
            token.allowances[who, EXCHANGE] = MAX_UINT256
    return exchange


def fill(exchange: CreditExchange, order: TradeOrder, part: int, **changed: Any) -> int:
    """All of a part or nothing, unless the terms are changed; returns the units that moved."""
    terms = FillTerms(
        most=part,
        least=changed.pop("least", part),
        max_fee_bps=changed.pop("max_fee_bps", 500),
        limit=changed.pop("limit", 10**40 if order.sells_credits else 0),
    )
    call: dict[str, Any] = {
        "caller": TAKER,
        "signature_valid": True,
        "value": exchange.quote(order, part)[0] if order.token == ZERO_ADDRESS and order.credits else 0,
        "now": NOW,
        **changed,
    }
    return exchange.fill(call.pop("caller"), order, call.pop("signature_valid"), terms, **call)[1]


def state(exchange: CreditExchange) -> str:
    return repr(
        (
            exchange.credit,
            exchange.fee_pool,
            [(dict(token.balances), dict(token.allowances)) for token in exchange.tokens.values()],
            dict(exchange.coin),
            exchange.orders,
            exchange.series,
        )
    )


def refused(
    exchange: CreditExchange, name: str, order: TradeOrder, part: int, *values: object, **changed: Any
) -> None:
    before = state(copy.deepcopy(exchange))
    with pytest.raises(Reverted) as refusal:
        fill(exchange, order, part, **changed)
    assert refusal.value.name == name
    if values:
        assert refusal.value.values == values
    assert state(exchange) == before


def test_a_token_moves_one_way_and_credits_the_other() -> None:
    exchange = make_exchange()
    assert fill(exchange, ORDER, 4_000_001) == 1_200_000_300_000_000_000
    assert exchange.credit.balance_of(TAKER) == PLENTY + 3_988_000
    assert exchange.credit.balance_of(FEES) == 12_001
    assert exchange.filled_of(exchange.hash_order(ORDER)) == 4_000_001
    fill(exchange, PURCHASE, CREDITS)
    assert exchange.credit.balance_of(MAKER) == PLENTY - 4_000_001 + 9_970_000


def test_coin_moves_with_the_call() -> None:
    exchange = make_exchange()
    fill(exchange, FOR_COIN, 5_000_000)
    assert exchange.coin[MAKER] == 10**30 + 15 * 10**17
    assert exchange.coin[TAKER] == 10**30 - 15 * 10**17


def test_a_grain_filled_before_does_not_stop_a_fill_up_to() -> None:
    exchange = make_exchange()
    fill(exchange, FOR_COIN, 7)
    refused(exchange, "BadFill", FOR_COIN, CREDITS, CREDITS, CREDITS, CREDITS - 7)
    before = exchange.coin[TAKER]
    paid = fill(exchange, FOR_COIN, CREDITS, least=1, limit=AMOUNT)
    assert paid == AMOUNT - 2_100_000_000_000 == before - exchange.coin[TAKER]
    assert exchange.filled_of(exchange.hash_order(FOR_COIN)) == CREDITS
    refused(exchange, "BadFill", FOR_COIN, CREDITS, CREDITS, 0, 0, least=0)


@settings(max_examples=200)
@given(
    sells=st.booleans(),
    total=st.integers(2, 10**12),
    amount=st.integers(1, (1 << 128) - 1),
    data=st.data(),
)
def test_a_limit_for_the_whole_fits_every_part(
    sells: bool, total: int, amount: int, data: st.DataObject
) -> None:
    order = replace(ORDER, sells_credits=sells, credits=total, amount=amount)
    exchange = make_exchange()
    most, grain = data.draw(st.integers(1, total)), data.draw(st.integers(0, total - 1))
    if grain:
        try:
            fill(exchange, order, grain)
        except Reverted as refusal:
            assert refusal.name == "NothingTraded"
            return
    fair, part = exchange.quote(order, most)[0], min(most, total - grain)
    try:
        paid = fill(exchange, order, most, least=0, limit=fair)
    except Reverted as refusal:
        assert refusal.name == "NothingTraded"
        return
    assert exchange.filled_of(exchange.hash_order(order)) == grain + part
    if sells:
        assert (paid - 1) * most < fair * part
    else:
        assert (paid + 1) * most > fair * part


def test_refuses_in_the_contracts_order() -> None:
    exchange = make_exchange()
    spent = make_exchange()
    spent.credit.approve(MAKER, EXCHANGE, 999_999)
    order = replace(ORDER, taker=STRANGER, max_fee_bps=FEE_BPS - 1, series=1, expires_at=NOW - 1)
    order = replace(order, sells_credits=False, token=ZERO_ADDRESS)
    exchange.pause_trading(GUARDIAN)
    refused(exchange, "TradingPaused", replace(order, amount=0), 0)
    with pytest.raises(Reverted, match=r"WrongPause\(0, 1\)"):
        exchange.resume_trading(GOVERNOR, 0)
    exchange.resume_trading(GOVERNOR, exchange.pauses)
    refused(exchange, "NoPrice", replace(order, amount=0), 0, CREDITS, 0)
    refused(exchange, "NoPrice", replace(order, credits=0), 0, 0, AMOUNT)
    refused(exchange, "TokenIsCredit", replace(order, token=CREDIT), 0, CREDIT)
    refused(exchange, "CoinCannotBeSigned", order, 0, MAKER)
    order = replace(order, token=TOKEN)
    refused(exchange, "TradeOrderExpired", order, 0, NOW - 1, NOW)
    order = replace(order, expires_at=NOW)
    refused(exchange, "TradeSeriesIsOver", order, 0, 1, 0)
    order = replace(order, series=0)
    cancelled = copy.deepcopy(exchange)
    cancelled.cancel(MAKER, order)
    refused(cancelled, "TradeOrderIsCancelled", order, 0, cancelled.hash_order(order))
    refused(exchange, "NotTradeTaker", order, 0, STRANGER, TAKER)
    refused(exchange, "MakerIsTaker", replace(order, taker=MAKER), 0, MAKER, caller=MAKER)
    order = replace(order, taker=TAKER)
    refused(exchange, "TradeFeeAboveOrder", order, 0, FEE_BPS, FEE_BPS - 1)
    order = replace(order, max_fee_bps=FEE_BPS)
    refused(exchange, "TradeFeeAboveTerms", order, 0, FEE_BPS, FEE_BPS - 1, max_fee_bps=FEE_BPS - 1)
    refused(exchange, "BadFill", order, 0, 0, 0, CREDITS)
    refused(exchange, "BadFill", order, CREDITS + 1, CREDITS + 1, CREDITS + 1, CREDITS)
    refused(exchange, "BadFill", order, 7, 7, 8, CREDITS, least=8)
    refused(exchange, "NothingTraded", order, 1, 1, 1, 3 * 10**11)
    refused(exchange, "NothingTraded", replace(order, amount=1), 9_999_999, 9_999_999, 30_000, 0)
    unsigned: dict[str, Any] = {"signature_valid": False}
    bad = {**unsigned, "value": 5}
    refused(exchange, "LimitNotMet", order, CREDITS, AMOUNT, AMOUNT + 1, limit=AMOUNT + 1, **bad)
    refused(exchange, "LimitNotMet", ORDER, CREDITS, AMOUNT, AMOUNT - 1, limit=AMOUNT - 1, **bad)
    refused(exchange, "WrongCoin", order, CREDITS, 5, 0, **bad)
    refused(exchange, "WrongCoin", FOR_COIN, CREDITS, 5, AMOUNT, **bad)
    refused(exchange, "BadOrderSignature", FOR_COIN, CREDITS, value=AMOUNT + 1, **unsigned)
    refused(
        spent, "BadOrderSignature", ORDER, 1_003_009, MAKER, spent.hash_order(ORDER), signature_valid=False
    )
    refused(spent, "ERC20InsufficientAllowance", ORDER, 1_003_010, EXCHANGE, 999_999, 1_000_000)
    refused(spent, "ERC20InsufficientAllowance", ORDER, 1_000_000, EXCHANGE, 2_999, 3_000)
    nobody = "0x" + "9" * 40
    refused(exchange, "TokenNotMoved", replace(ORDER, token=nobody), CREDITS, nobody, TAKER, MAKER, AMOUNT)
    refused(
        exchange,
        "TokenMovedOtherwise",
        replace(ORDER, token=SHRINKING),
        CREDITS,
        SHRINKING,
        AMOUNT - 1,
        AMOUNT,
    )
    exchange.refuses_coin.add(MAKER)
    exchange.refuses_coin.add(TAKER)
    refused(exchange, "CoinRefused", FOR_COIN, CREDITS, MAKER, AMOUNT)
    exchange.refuses_coin.remove(MAKER)
    refused(exchange, "CoinRefused", FOR_COIN, CREDITS, TAKER, 1, value=AMOUNT + 1)
    fill(exchange, FOR_COIN, CREDITS)


def test_only_the_maker_cancels() -> None:
    exchange = make_exchange()
    with pytest.raises(Reverted, match="NotOrderMaker"):
        exchange.cancel(TAKER, ORDER)
    assert exchange.cancel_all(MAKER) == 1
    refused(exchange, "TradeSeriesIsOver", ORDER, 1_000, 0, 1)
    fill(exchange, replace(ORDER, series=1), 1_000)


def test_settings_are_by_role_and_bounded() -> None:
    exchange = make_exchange()
    with pytest.raises(Reverted, match="AccessManagedUnauthorized"):
        exchange.set_trade_fee(GUARDIAN, 1)
    with pytest.raises(Reverted, match="AccessManagedUnauthorized"):
        exchange.pause_trading(GOVERNOR)
    with pytest.raises(Reverted, match="AccessManagedUnauthorized"):
        exchange.resume_trading(GUARDIAN, exchange.pauses)
    with pytest.raises(Reverted, match=r"TradeFeeTooHigh\(501, 500\)"):
        exchange.set_trade_fee(GOVERNOR, 501)
    exchange.set_trade_fee(GOVERNOR, 500)
    refused(exchange, "TradeFeeAboveOrder", ORDER, 1_000, 500, FEE_BPS)


@settings(max_examples=200)
@given(
    sells=st.booleans(),
    total=st.integers(1, 10**12),
    amount=st.integers(1, (1 << 128) - 1),
    parts=st.lists(st.integers(1, 10**12), max_size=8),
)
def test_no_parts_are_against_the_maker(sells: bool, total: int, amount: int, parts: list[int]) -> None:
    exchange = make_exchange()
    order = replace(ORDER, sells_credits=sells, credits=total, amount=amount)
    supply = sum(exchange.tokens[TOKEN].balances.values())
    filled = paid = 0
    for part in parts:
        try:
            moved = fill(exchange, order, part)
        except Reverted as refusal:
            assert refusal.name in ("BadFill", "NothingTraded")
            continue
        filled, paid = filled + part, paid + moved
        for moved_in_all, part_in_all in ((moved, part), (paid, filled)):
            if sells:
                assert moved_in_all * total >= amount * part_in_all
            else:
                assert moved_in_all * total <= amount * part_in_all
    assert filled == exchange.filled_of(exchange.hash_order(order)) <= total
    credit, pool = exchange.credit, exchange.fee_pool
    assert sum(credit.balances.values()) == credit.supply == 2 * PLENTY
    assert credit.balance_of(FEES) == pool.depositors + pool.bonus + pool.reserve
    assert credit.balance_of(EXCHANGE) == exchange.tokens[TOKEN].balances[EXCHANGE] == 0
    assert sum(exchange.tokens[TOKEN].balances.values()) == supply
