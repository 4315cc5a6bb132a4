"""The exchange's specification against the contract, on eth-tester: random orders, fills and refusals.

Three members and a stranger make orders with a credit and a token of their own, fill parts of them (also up
to more than is left, too late, with another's signature, beyond a limit, above their bound on the fee, with
too little or too much coin), cancel, end series, change
allowances; the guardian pauses, the governor does the rest. Each step is predicted: what moves, or the
refusal with its values. At the end every balance, allowance and order is the specification's.

::

    spec.hash_order .. equals the client's digest and the contract's, for any order
    walk ............. STEPS steps; every kind of step and most refusals occur
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import astuple, replace

from hypothesis import given
from hypothesis import strategies as st

from tests.world import SIGNERS, World
from timebank_chain.artifacts import load_artifact
from timebank_chain.chain.addresses import address_text
from timebank_chain.chain.attention_credit import AttentionCredit as CreditClient
from timebank_chain.chain.contract import encode_constructor
from timebank_chain.chain.credit_exchange import COIN
from timebank_chain.chain.credit_exchange import TradeOrder as SentOrder
from timebank_chain.chain.foreign_token import ForeignToken as TokenClient
from timebank_chain.chain.revert import Revert
from timebank_chain.chain.transactions import Call, Receipt, send
from timebank_chain.spec.attention_credit import AttentionCredit
from timebank_chain.spec.credit_exchange import (
    CreditExchange,
    FillTerms,
    ForeignToken,
    TradeOrder,
    hash_order,
)
from timebank_chain.spec.fee_pool import FeePool
from timebank_chain.spec.revert import Reverted

MAKERS = ("member1", "member2", "member3")
EVERYBODY = (*MAKERS, "stranger")
SEED = 1
STEPS = 320
CREDITS = 20_000_000
UNITS = 10**12

addresses = st.binary(min_size=20, max_size=20).map(address_text)


def as_sent(order: TradeOrder) -> SentOrder:
    """The same order as the client knows it; without the client's own checks, which refuse earlier."""
    sent = object.__new__(SentOrder)
    for name, value in zip(SentOrder.__dataclass_fields__, astuple(order), strict=True):
        object.__setattr__(sent, name, value)
    return sent


@given(
    maker=addresses,
    taker=addresses,
    token=addresses,
    sells=st.booleans(),
    numbers=st.tuples(*(st.integers(0, (1 << bits) - 1) for bits in (64, 128, 16, 40, 64, 256))),
    chain_id=st.integers(1, 1 << 64),
    contract=addresses,
)
def test_hash_is_the_clients(
    maker: str,
    taker: str,
    token: str,
    sells: bool,
    numbers: tuple[int, ...],
    chain_id: int,
    contract: str,
) -> None:
    order = TradeOrder(maker, taker, token, sells, *numbers)
    assert hash_order(order, chain_id, contract) == as_sent(order).digest(chain_id, contract)


class Pair:
    """The contract and its specification, step by step."""

    def __init__(self, world: World, seed: int) -> None:
        self.world, self.random, self.seen = world, random.Random(seed), Counter[str]()
        self.exchange = world.timebank.credit_exchange
        self.token = self._make_token()
        pool = world.timebank.fee_pool.address
        credit = AttentionCredit()
        self.spec = CreditExchange(
            credit=credit,
            credit_address=world.timebank.attention_credit.address,
            fee_pool=FeePool(
                credit, pool, "nobody", "nobody", 4_000, 4_000, spenders={self.exchange.address}
            ),
            address=self.exchange.address,
            chain_id=world.connection.chain_id,
            governor=world.address("governor"),
            guardian=world.address("guardian"),
            trade_fee_bps=self.exchange.trade_fee_bps(),
            tokens={self.token.address: ForeignToken()},
        )
        for role in EVERYBODY:
            world.give(role, CREDITS)
            credit.mint(world.address(role), CREDITS)
            send(world.connection, SIGNERS["deployer"], self.minter.mint(world.address(role), UNITS))
            self._token.balances[world.address(role)] = UNITS
            self.approve(role, 10**30)
        self.coin_before = {role: world.connection.balance_wei(world.address(role)) for role in EVERYBODY}
        self.orders: list[TradeOrder] = []
        self.filled: list[TradeOrder] = []

    @property
    def _token(self) -> ForeignToken:
        return self.spec.tokens[self.token.address]

    def _make_token(self) -> TokenClient:
        arguments = encode_constructor("AttentionCredit", ("Another", "ANO", ""))
        creation = Call("Another", "constructor", None, load_artifact("AttentionCredit").bytecode + arguments)
        made = send(self.world.connection, SIGNERS["deployer"], creation)
        assert made.contract_address is not None
        self.minter = _Minter(self.world.connection, made.contract_address)
        return TokenClient(self.world.connection, made.contract_address)

    def order(self) -> TradeOrder:
        """An order known already, or a new one, now and then an impossible one."""
        draw = self.random
        if self.filled and draw.random() < 0.4:
            return draw.choice(self.filled[-6:])
        if self.orders and draw.random() < 0.1:
            return draw.choice(self.orders)
        maker = self.world.address(draw.choice(MAKERS))
        made = TradeOrder(
            maker=maker,
            taker=self.world.address(draw.choice(EVERYBODY)) if draw.random() < 0.1 else COIN,
            token=draw.choices(
                (self.token.address, COIN, self.spec.credit_address, self.world.address("payee")),
                (16, 5, 1, 1),
            )[0],
            sells_credits=draw.random() < 0.6,
            credits=draw.choice((0, 7, 1_000, 3_000_001)) if draw.random() < 0.2 else draw.randint(1, 10**6),
            amount=draw.choice((0, 1, 3)) if draw.random() < 0.1 else draw.randint(1, 10**9),
            max_fee_bps=draw.choice((0, 29)) if draw.random() < 0.1 else draw.choice((100, 10_000)),
            expires_at=self.world.connection.timestamp() + (10**6 if draw.random() < 0.95 else -9_000),
            series=self.spec.series_of(maker) + (draw.random() < 0.05),
            salt=draw.getrandbits(256),
        )
        self.orders.append(made)
        return made

    def step(self) -> None:
        kinds: tuple[tuple[Callable[[], None], int], ...] = (
            (self.fill, 40),
            (self.cancel, 3),
            (self.cancel_all, 1),
            (self.change_allowance, 4),
            (self.pause, 1),
            (self.set_fee, 1),
        )
        self.random.choices([kind for kind, _ in kinds], [weight for _, weight in kinds])[0]()

    def same(self, role: str, call: Call, predicted: Callable[[int], object]) -> Receipt | None:
        """Do a step on both sides: both succeed, or both refuse by the same name and values."""
        now, refusal = self.world.connection.timestamp(), None
        try:
            predicted(now)
        except Reverted as error:
            refusal = error
        try:
            receipt = self.world.send(role, call)
        except Revert as error:
            assert refusal is not None, f"the contract alone refuses: {error!r}"
            assert (type(error).__name__) == refusal.name
            if refusal.name != "TradeOrderExpired":  # the simulation's clock is not the last block's
                assert tuple(error.values.values()) == refusal.values
            self.seen[refusal.name] += 1
            return None
        assert refusal is None, f"the specification alone refuses: {refusal}"
        self.seen[call.function] += 1
        return receipt

    def fill(self) -> None:
        draw, order = self.random, self.order()
        others = [one for one in EVERYBODY if self.world.address(one) != order.maker]
        role = draw.choice(others if draw.random() < 0.95 else EVERYBODY)
        caller = self.world.address(role)
        left = order.credits - self.spec.filled_of(self.spec.hash_order(order))
        part = draw.choice((0, 1, left + 1, left)) if draw.random() < 0.15 else draw.randint(1, max(1, left))
        amount = self.spec.quote(order, part)[0] if order.credits else 0
        terms = FillTerms(
            most=part,
            least=part if draw.random() < 0.5 else draw.choice((0, 0, 0, 1, 1, part + 1)),
            max_fee_bps=draw.choices((29, 500, 10_000), (1, 9, 9))[0],
            limit=amount if draw.random() < 0.9 else draw.choice((0, amount + 1, 10**38)),
        )
        value = amount if order.token == COIN else 0
        if draw.random() < 0.1:
            value = max(0, value + draw.choice((-1, 1)))
        sent, valid = as_sent(order), draw.random() < 0.95
        maker = next(one for one in MAKERS if self.world.address(one) == order.maker)
        digest = sent.digest(self.spec.chain_id, self.exchange.address)
        signature = SIGNERS[maker if valid else "payee"].sign_digest(digest)
        call = replace(
            self.exchange._write(
                "fill", order=sent.as_call(), signature=signature, terms=tuple(astuple(terms))
            ),
            value=value,
        )

        def predicted(now: int) -> None:
            self.spec.fill(caller, order, valid, terms, value=value, now=now)

        receipt = self.same(role, call, predicted)
        if receipt is not None:
            self.filled.append(order)
            self.coin_before[role] -= receipt.gas_used * receipt.effective_gas_price

    def _pay_gas(self, role: str, receipt: Receipt | None) -> None:
        if receipt is not None and role in self.coin_before:
            self.coin_before[role] -= receipt.gas_used * receipt.effective_gas_price

    def cancel(self) -> None:
        order, role = self.order(), self.random.choice(EVERYBODY)
        call = self.exchange._write("cancel", order=as_sent(order).as_call())
        caller = self.world.address(role)
        self._pay_gas(role, self.same(role, call, lambda _: self.spec.cancel(caller, order)))

    def cancel_all(self) -> None:
        role = self.random.choice(MAKERS)
        call, caller = self.exchange.cancel_all(), self.world.address(role)
        self._pay_gas(role, self.same(role, call, lambda _: self.spec.cancel_all(caller)))

    def change_allowance(self) -> None:
        role = self.random.choice(EVERYBODY)
        for receipt in self.approve(role, self.random.choice((500_000, 10**30, 10**30, 10**30))):
            self._pay_gas(role, receipt)

    def approve(self, role: str, amount: int) -> list[Receipt]:
        owner, spender = self.world.address(role), self.exchange.address
        self.spec.credit.approve(owner, spender, amount)
        self._token.allowances[owner, spender] = amount
        credit = self.world.timebank.attention_credit
        return [
            self.world.send(role, credit.approve(spender, amount)),
            self.world.send(role, self.token.approve(spender, amount)),
        ]

    def pause(self) -> None:
        role = self.random.choice(("guardian", "guardian", "stranger"))
        if self.random.random() < 0.5:
            return
        call, caller = self.exchange.pause_trading(), self.world.address(role)
        self._pay_gas(role, self.same(role, call, lambda _: self.spec.pause_trading(caller)))
        if self.spec.trading_paused:  # a fill must be refused, then the governor lets it go on
            self.fill()
            call = self.exchange.resume_trading(self.exchange.pauses())
            self._pay_gas(
                role, self.same(role, call, lambda _: self.spec.resume_trading(caller, self.spec.pauses))
            )
            self.world.govern(call)
            self.spec.resume_trading(self.world.address("governor"), self.spec.pauses)

    def set_fee(self) -> None:
        fee = self.random.choice((0, 29, 30, 30, 31, 100))
        self.world.govern(self.exchange.set_trade_fee(fee))
        self.spec.set_trade_fee(self.world.address("governor"), fee)

    def compare(self) -> None:
        """Everything the specification keeps is what the chain says."""
        timebank, spec = self.world.timebank, self.spec
        spender = self.exchange.address
        for role in EVERYBODY:
            who = self.world.address(role)
            assert timebank.attention_credit.balance_of(who) == spec.credit.balance_of(who)
            assert timebank.attention_credit.allowance(who, spender) == spec.credit.allowances[who, spender]
            assert self.token.balance_of(who) == self._token.balances[who]
            assert self.token.allowance(who, spender) == self._token.allowances[who, spender]
            assert self.world.connection.balance_wei(who) == self.coin_before[role] + spec.coin[who]
            assert self.exchange.series_of(who) == spec.series_of(who)
        for order in self.orders:
            digest = spec.hash_order(order)
            assert self.exchange.hash_order(as_sent(order)) == digest
            assert self.exchange.filled_of(digest) == spec.filled_of(digest)
            assert self.exchange.is_cancelled(digest) == spec.is_cancelled(digest)
        accounts = timebank.fee_pool.accounts()
        pool = spec.fee_pool
        assert (accounts.depositors, accounts.bonus, accounts.reserve) == (
            pool.depositors,
            pool.bonus,
            pool.reserve,
        )
        assert timebank.attention_credit.balance_of(spender) == self.token.balance_of(spender) == 0
        assert self.world.connection.balance_wei(spender) == 0


class _Minter(CreditClient):
    """The other token's minter is who deployed it."""

    def mint(self, to: str, amount: int) -> Call:
        return self._write("mint", to=to, amount=amount)


def test_walks_are_as_specified(embedded_world: World) -> None:
    pair = Pair(embedded_world, SEED)
    for _ in range(STEPS):
        pair.step()
    pair.compare()
    done = {"fill", "cancel", "cancelAll", "pauseTrading"}
    assert done <= set(pair.seen), pair.seen
    assert pair.seen["fill"] >= STEPS // 5, pair.seen
    refusals = set(pair.seen) - done
    assert {"TradeFeeAboveTerms", "BadFill", "WrongCoin"} <= refusals, pair.seen
    assert len(refusals) >= 12, pair.seen
