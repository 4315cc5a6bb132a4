"""Gas of the market, from receipts, beside Seaport's basic order and a 0x-style limit order.

Usage: .venv/bin/python scripts/bench_market.py [--json]

Whole transactions with allowances given before, on the embedded chain, with our compiler settings, the fee
taken and booked. "first" is an order's first part, "later" another part of it; both sides have credits and
the token before. The figures beside it are published ones, quoted, not run here. Seaport's basic order moves
one NFT against coin, keeps no part of an order and books no fee. 0x v4 publishes none of its own; the limit
order protocol of 1inch is of the same kind (signed orders of two ERC-20s, in parts) and measured a part
at 99,216 and a whole "RFQ" order at 90,333 (github.com/1inch/limit-order-protocol/pull/245); neither takes a
fee.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parent))

from bench_gas import Bench, make_epoch

from timebank_chain.artifacts import load_artifact
from timebank_chain.chain import Call, LocalSigner, send
from timebank_chain.chain.addresses import address_bytes
from timebank_chain.chain.attention_credit import AttentionCredit
from timebank_chain.chain.contract import encode_constructor
from timebank_chain.chain.credit_exchange import COIN, TradeOrder
from timebank_chain.units import MicroCredit

#: Cited: ``fulfillBasicOrder``, whole transaction.
SEAPORT_BASIC = 101_000
#: Cited: a part of an order of version 4.0.0, whole transaction.
LIMIT_ORDER_PART = 99_216
UNLIMITED = (1 << 256) - 1
CREDITS = 500_000
UNITS = 10**15


@dataclass(frozen=True)
class Row:
    """One operation: its gas, and the figure it is to stay at or below (``None``: nothing to compare)."""

    operation: str
    gas: int
    name: str = ""
    beside: int | None = None


class MarketBench(Bench):
    """A maker and a taker with credits and another token, both of which the exchange may move."""

    def __init__(self) -> None:
        super().__init__()
        people = (self.payer, self.holder)
        epoch = make_epoch([(index, address_bytes(one.address)) for index, one in enumerate(people)], 1)
        self.run_epoch(epoch, 1)
        creation = load_artifact("AttentionCredit").bytecode + encode_constructor(
            "AttentionCredit", ("Another", "ANO", "")
        )
        made = send(self.connection, self.deployer, Call("Another", "constructor", None, creation))
        self.token = AttentionCredit(self.connection, str(made.contract_address))
        exchange = self.timebank.credit_exchange.address
        for one in people:
            self.claim(epoch, address_bytes(one.address))
            self.send(one, self.timebank.attention_credit.approve(exchange, UNLIMITED))
            mint = Call(
                "Another",
                "mint",
                self.token.address,
                self.timebank.attention_credit._write("mint", to=one.address, amount=10**18).data,
            )
            send(self.connection, self.deployer, mint)
            send(self.connection, one, self.token.approve(exchange, UNLIMITED))

    def order(self, *, sells: bool, token: str) -> tuple[TradeOrder, bytes]:
        """An order of the payer with its signature."""
        exchange = self.timebank.credit_exchange
        order = TradeOrder(
            maker=self.payer.address,
            taker=COIN,
            token=token,  # type: ignore[arg-type]  # checksummed
            sells_credits=sells,
            credits=MicroCredit(CREDITS),
            amount=UNITS,
            max_fee_bps=100,
            expires_at=self.connection.timestamp() + 10**6,
            series=0,
            salt=secrets.randbits(256),
        )
        return order, order.sign(self.payer, self.connection.chain_id, exchange.address)

    def fills(self, *, sells: bool, token: str) -> tuple[int, int]:
        """Fill an order in two parts; return the gas of each."""
        order, signature = self.order(sells=sells, token=token)
        limit = UNITS if sells else 0
        call = self.timebank.credit_exchange.fill(order, signature, CREDITS // 2, limit)
        return self.gas(self.holder, call), self.gas(self.holder, call)

    def rest(self) -> int:
        """Fill a half of an order for coin, then ask for all of it; return the gas of what is left."""
        order, signature = self.order(sells=True, token=COIN)
        exchange = self.timebank.credit_exchange
        self.gas(self.holder, exchange.fill(order, signature, CREDITS // 2, UNITS))
        return self.gas(self.holder, exchange.fill(order, signature, CREDITS, UNITS))

    def gas(self, signer: LocalSigner, call: Call) -> int:
        """Send a call and return its gas."""
        return self.send(signer, call).gas_used


def measure() -> list[Row]:
    """Run everything and return the table."""
    bench = MarketBench()
    exchange, token = bench.timebank.credit_exchange, bench.token.address
    bench.fills(sells=True, token=COIN)  # opens the pool's accounts
    coin, coin_later = bench.fills(sells=True, token=COIN)
    rest = bench.rest()
    sale, sale_later = bench.fills(sells=True, token=token)
    purchase, purchase_later = bench.fills(sells=False, token=token)
    order, _ = bench.order(sells=True, token=token)
    cancel = bench.gas(bench.payer, exchange.cancel(order))
    bench.send(bench.payer, exchange.cancel_all())
    cancel_all = bench.gas(bench.payer, exchange.cancel_all())
    seaport = ("Seaport basic order", SEAPORT_BASIC)
    limit = ("0x-style limit order, a part (1inch v4)", LIMIT_ORDER_PART)
    return [
        Row("fill an order that sells for coin, first", coin, *seaport),
        Row("fill an order that sells for coin, later", coin_later, *seaport),
        Row("the same, the whole asked for and half the coin back", rest, *seaport),
        Row("fill an order that sells for a token, first", sale, *limit),
        Row("fill an order that sells for a token, later", sale_later, *limit),
        Row("fill an order that buys with a token, first", purchase, *limit),
        Row("fill an order that buys with a token, later", purchase_later, *limit),
        Row("cancel one", cancel),
        Row("cancel all, later", cancel_all),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print the table, naming what costs more than the figure beside it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args(arguments)
    print("gas of the market from receipts on the embedded chain", file=sys.stderr)
    rows = measure()
    if options.json:
        body = [
            {"operation": row.operation, "gas": row.gas, "beside": row.name or None, "gas_beside": row.beside}
            for row in rows
        ]
        print(json.dumps({"schema": "timebank.bench.market/1", "rows": body}, indent=2))
    else:
        table = Table(title="Gas of the market, from receipts", box=None)
        for name in ("operation", "gas", "beside", "gas there", ""):
            table.add_column(name, justify="right" if name.startswith("gas") else "left")
        for row in rows:
            there = "" if row.beside is None else f"{row.beside:,}"
            mark = "" if row.beside is None else ("above" if row.gas > row.beside else "at or below")
            table.add_row(row.operation, f"{row.gas:,}", row.name, there, mark)
        Console(width=110).print(table)
    above = [row.operation for row in rows if row.beside is not None and row.gas > row.beside]
    for operation in above:
        print(f"above the figure beside it: {operation}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
