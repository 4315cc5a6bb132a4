"""Gas of the bank, from receipts, beside Synthetix StakingRewards and Morpho Blue.

Usage: .venv/bin/python scripts/bench_bank.py [--json]

Whole transactions with an allowance given before, on the embedded chain, with our compiler settings. "first"
is a member's first of its kind, "again" a later one; somebody else has used the contract before. The others'
figures are cited, measured by their authors with the same optimiser settings, and not run here. Deposits and
withdrawals are taken on a bank that has income to release, so that every accumulator is written.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parent))

from bench_gas import Bench, make_epoch

from timebank_chain.chain import Call, LocalSigner
from timebank_chain.chain.addresses import address_bytes
from timebank_chain.chain.attention_credit import AttentionCredit
from timebank_chain.chain.bank_events import Deposited
from timebank_chain.chain.credit_lease import LeaseOffer
from timebank_chain.chain.events import decode_logs
from timebank_chain.chain.member_registry import ZERO_ADDRESS
from timebank_chain.chain.transactions import Receipt
from timebank_chain.units import MicroCredit
from timebank_chain.valuation import load_policy, policy_head_call

DAY = 86_400
DEMAND, WEEK = 0, 2
#: Cited, whole transactions: (first, again).
SYNTHETIX = {"stake": (116_000, 102_000), "getReward": (86_000, 75_000)}
MORPHO = {"supply": (96_000, 79_000), "borrow": (85_000,), "repay": (79_000,), "withdraw": (78_000,)}
UNLIMITED = (1 << 256) - 1


@dataclass(frozen=True)
class Row:
    """One operation: its gas, and the figure it is to stay at or below (``None``: nothing to compare)."""

    operation: str
    gas: int
    name: str = ""
    beside: int | None = None


class BankBench(Bench):
    """Two members with credits, one of them proved in an epoch."""

    def __init__(self) -> None:
        self.policy = load_policy("identity")
        super().__init__(self.policy)
        self.epochs = [
            make_epoch(
                [(4_711, address_bytes(self.payer.address)), (900_001, address_bytes(self.holder.address))],
                number,
            )
            for number in (1, 2)
        ]
        self.run_epoch(self.epochs[0], 1)
        for one in (self.payer, self.holder):
            self.claim(self.epochs[0], address_bytes(one.address))
        credit: AttentionCredit = self.timebank.attention_credit
        rooms = (self.timebank.time_bank, self.timebank.credit_lending, self.timebank.credit_lease)
        for one in (self.payer, self.holder):
            for room in rooms:
                self.send(one, credit.approve(room.address, UNLIMITED))

    def gas(self, signer: LocalSigner, call: Call) -> int:
        """Send a call and return its gas."""
        return self.send(signer, call).gas_used

    def deposit(self, signer: LocalSigner, amount: int, term_id: int) -> tuple[int, int]:
        """Deposit; return the receipt's number and the gas."""
        done = self.send(signer, self.timebank.time_bank.deposit(amount, term_id, signer.address))
        return receipt_of(done), done.gas_used


def receipt_of(done: Receipt) -> int:
    """Return the receipt that a transaction made."""
    (event,) = [one for one in decode_logs(done.logs, (Deposited,)) if isinstance(one, Deposited)]
    return event.receipt_id


def measure() -> list[Row]:
    """Run everything and return the table."""
    bench = BankBench()
    timebank, connection = bench.timebank, bench.connection
    bank, pool, lease = timebank.time_bank, timebank.credit_lending, timebank.credit_lease
    payer, holder = bench.payer, bench.holder
    credit = timebank.attention_credit

    def wait(seconds: int) -> None:
        connection.advance_time(seconds)

    def feed() -> None:
        """Bring income into the bank, so that the next step releases some."""
        bench.send(payer, credit.transfer(bank.address, 10_000))
        bench.send(payer, bank.collect())
        wait(DAY)

    bench.deposit(payer, 100_000, DEMAND)
    feed()
    demand, first_deposit = bench.deposit(holder, 100_000, DEMAND)
    feed()
    again, deposit_again = bench.deposit(holder, 100_000, DEMAND)
    feed()
    bench.send(holder, bank.collect_income(demand, holder.address))  # opens the pool's accounts
    feed()
    collect = bench.gas(holder, bank.collect_income(again, holder.address))
    feed()
    withdraw = bench.gas(holder, bank.withdraw(again, holder.address))
    week, _ = bench.deposit(holder, 500_000, WEEK)
    early, _ = bench.deposit(holder, 100_000, WEEK)
    feed()
    exit_early = bench.gas(holder, bank.exit_early(early, holder.address))

    bench.send(payer, pool.deposit(1_000_000, payer.address))
    wait(60)
    supply_first = bench.gas(holder, pool.deposit(200_000, holder.address))
    bench.send(holder, bank.approve(pool.address, week))
    pledge = bench.gas(holder, pool.pledge(week))
    bench.send(holder, pool.borrow(week, 50_000, holder.address))
    wait(DAY)
    supply_again = bench.gas(holder, pool.deposit(200_000, holder.address))
    wait(60)
    borrow = bench.gas(holder, pool.borrow(week, 50_000, holder.address))
    wait(60)
    repay = bench.gas(holder, pool.repay(week, 20_000))
    wait(60)
    redeem = bench.gas(holder, pool.withdraw(100_000, holder.address, holder.address))
    wait(60)
    bench.send(holder, pool.repay(week, 1_000_000))
    release = bench.gas(holder, pool.release(week))

    bench.send(payer, pool.accept_policy(policy_head_call(bench.policy)))
    epoch = bench.epochs[0]
    leaf = epoch.leaves[address_bytes(holder.address)]
    proof = epoch.tree.proof(leaf.index)
    on_standing = bench.gas(holder, pool.borrow_on_standing(leaf, proof, 20_000, holder.address))
    wait(DAY)
    repay_standing = bench.gas(holder, pool.repay_standing(holder.address, 1_000_000))

    offer = LeaseOffer(
        lender=payer.address,
        lessee=ZERO_ADDRESS,
        amount=MicroCredit(400_000),
        min_take=MicroCredit(1_000),
        rent=MicroCredit(8_000),
        term=DAY,
        on_standing=True,
        expires_at=connection.timestamp() + 365 * DAY,
        series=lease.series_of(payer.address),
        salt=1,
    )
    signature = offer.sign(payer, connection.chain_id, lease.address)
    bench.send(holder, bank.approve(lease.address, week))
    take = bench.gas(holder, lease.take(offer, signature, 100_000, week))
    wait(60)
    repay_lease = bench.gas(holder, lease.repay(1, 1_000_000))

    return [
        Row("TimeBank deposit, first", first_deposit, "Synthetix stake", SYNTHETIX["stake"][0]),
        Row("TimeBank deposit, again", deposit_again, "Synthetix stake", SYNTHETIX["stake"][1]),
        Row("TimeBank collectIncome", collect, "Synthetix getReward", SYNTHETIX["getReward"][1]),
        Row("TimeBank withdraw, with income and fee", withdraw),
        Row("TimeBank exitEarly", exit_early),
        Row("CreditLending supply, first", supply_first, "Morpho Blue supply", MORPHO["supply"][0]),
        Row("CreditLending supply, again", supply_again, "Morpho Blue supply", MORPHO["supply"][1]),
        Row("CreditLending borrow, pledged before", borrow, "Morpho Blue borrow", MORPHO["borrow"][0]),
        Row("CreditLending repay, in part", repay, "Morpho Blue repay", MORPHO["repay"][0]),
        Row("CreditLending withdraw", redeem, "Morpho Blue withdraw", MORPHO["withdraw"][0]),
        Row("CreditLending pledge", pledge),
        Row("CreditLending release", release),
        Row("CreditLending borrowOnStanding, 20-deep", on_standing),
        Row("CreditLending repayStanding, whole", repay_standing),
        Row("CreditLease take, on a receipt", take),
        Row("CreditLease repay, with fee", repay_lease),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print the table, naming what costs more than the figure beside it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args(arguments)
    print("gas of the bank from receipts on the embedded chain", file=sys.stderr)
    rows = measure()
    if options.json:
        body = [
            {"operation": row.operation, "gas": row.gas, "beside": row.name or None, "gas_beside": row.beside}
            for row in rows
        ]
        print(json.dumps({"schema": "timebank.bench.bank/1", "rows": body}, indent=2))
    else:
        table = Table(title="Gas of the bank, from receipts", box=None)
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
