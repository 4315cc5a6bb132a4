"""Gas of the market for services, from receipts.

Usage: .venv/bin/python scripts/bench_service.py [--json]

Whole transactions with an allowance given before, on the embedded chain, with our compiler settings; somebody
else has used the contract before. An order from placing to approval is beside what the same payment costs
without escrow, ``pay`` with memo and fee, measured in the same run.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parent))

from bench_bank import BankBench

from timebank_chain.chain.credit_payments import memo_hash
from timebank_chain.chain.member_registry import ZERO_ADDRESS
from timebank_chain.spec.service_escrow import Listing, ListingKind, Periods, Proposal

DAY = 86_400
PRICE = 10_001
TEXT = b"\x07" * 32
UNLIMITED = (1 << 256) - 1


def measure() -> dict[str, int]:
    """Run everything and return gas by operation."""
    bench = BankBench()
    timebank, buyer, provider, arbiter = bench.timebank, bench.payer, bench.holder, bench.deployer
    escrow, payments = timebank.service_escrow, timebank.credit_payments
    for spender in (escrow, payments):
        bench.send(buyer, timebank.attention_credit.approve(spender.address, UNLIMITED))
    proposal = Proposal(PRICE, DAY, arbiter.address, TEXT)
    listing = Listing(
        ZERO_ADDRESS,
        bench.connection.timestamp() + 99 * DAY,
        ListingKind.OFFER,
        99,
        5_000,
        Periods(DAY, DAY, DAY, DAY),
        proposal,
    )
    bench.gas(provider, escrow.list_service(listing))
    found = {"list": bench.gas(provider, escrow.list_service(listing))}

    def delivered() -> int:
        bench.send(buyer, escrow.place_order(1, proposal))
        number = escrow.order_count()
        bench.send(provider, escrow.accept(number, 1))
        bench.send(provider, escrow.deliver(number, TEXT))
        return number

    # The fee pool's books and the escrow's balance are not written for the first time below.
    bench.send(buyer, escrow.approve(delivered()))
    bench.send(buyer, escrow.place_order(1, proposal))

    found["placeOrder"] = bench.gas(buyer, escrow.place_order(1, proposal))
    number = escrow.order_count()
    found["counter, provider"] = bench.gas(provider, escrow.counter(number, proposal))
    found["counter, buyer, same price"] = bench.gas(buyer, escrow.counter(number, proposal))
    found["accept"] = bench.gas(provider, escrow.accept(number, 3))
    found["deliver"] = bench.gas(provider, escrow.deliver(number, TEXT))
    found["approve, with fee"] = bench.gas(buyer, escrow.approve(number))
    found["rate"] = bench.gas(buyer, escrow.rate(number, 5, TEXT))

    number = delivered()
    found["contest"] = bench.gas(buyer, escrow.contest(number, 3_000, TEXT))
    found["dispute"] = bench.gas(provider, escrow.dispute(number, TEXT))
    found["rule, both paid"] = bench.gas(arbiter, escrow.rule(number, 5_000, TEXT))
    number = delivered()
    bench.connection.advance_time(DAY + 1)
    found["move, after the deadline"] = bench.gas(buyer, escrow.move(number))
    bench.send(buyer, escrow.place_order(1, proposal))
    found["cancel"] = bench.gas(buyer, escrow.cancel(escrow.order_count()))
    road = ("placeOrder", "accept", "deliver", "approve, with fee")
    found["an order that goes well, together"] = sum(found[step] for step in road)
    bench.send(buyer, payments.pay(provider.address, PRICE, memo_hash("a lesson")))
    found["beside it: CreditPayments.pay"] = bench.gas(
        buyer, payments.pay(provider.address, PRICE, memo_hash("a lesson"))
    )
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args(arguments)
    found = measure()
    if options.json:
        print(json.dumps({"schema": "timebank.bench.service/1", "gas": found}, indent=2))
        return 0
    table = Table(title="Gas of ServiceEscrow, from receipts", box=None)
    table.add_column("operation")
    table.add_column("gas", justify="right")
    for operation, gas in found.items():
        table.add_row(operation, f"{gas:,}")
    Console(width=110).print(table)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
