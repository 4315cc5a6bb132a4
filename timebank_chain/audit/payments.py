"""Payments: the fee is the formula's, and payer, payee and pool moved exactly what was recorded."""

from __future__ import annotations

from collections import Counter

from timebank_chain.audit.case import AuditCase
from timebank_chain.audit.report import Check, Tally
from timebank_chain.units import format_micro, mul_div_up

#: One whole, in hundredths of a percent.
ONE_BPS = 10_000


def check_fee_formula(case: AuditCase) -> Check:
    """Check each fee = amount times the rate in force, rounded up."""
    tally = Tally("A16", "each payment's fee = amount * rate in force, rounded up")
    fees = 0
    for event in case.ledger.payments:
        amount, fee = int(event.args["amount"]), int(event.args["fee"])
        fees += fee
        rate = case.ledger.fee_bps.at(event.position)
        if rate is None:
            tally.fail(event.where, "a fee rate in force", "none", "no event ever set the fee")
            continue
        tally.equal(
            f"{event.where}, fee on {amount}",
            mul_div_up(amount, rate, ONE_BPS),
            fee,
            f"the payer was charged another fee than {rate} hundredths of a percent",
        )
    tally.evidence.update(payments=len(case.ledger.payments), fees=fees)
    return tally.done(f"{len(case.ledger.payments):,} payments, {format_micro(fees)} credits of fees")


def check_payment_transfers(case: AuditCase) -> Check:
    """Check that each payment moved amount - fee to the payee and the fee to the pool, in its transaction."""
    tally = Tally("A17", "each payment moved amount - fee to the payee and the fee to the pool")
    pool = case.evidence.address("FeePool")
    moved = Counter(
        (event.transaction, event.args["from"], event.args["to"], int(event.args["value"]))
        for event in case.ledger.transfers
    )
    for event in case.ledger.payments:
        payer, payee = event.args["payer"], event.args["payee"]
        amount, fee = int(event.args["amount"]), int(event.args["fee"])
        parts = [(payee, amount - fee)] + ([(pool, fee)] if fee else [])
        for receiver, part in parts:
            key = (event.transaction, payer, receiver, part)
            if moved[key]:
                moved[key] -= 1
            else:
                tally.fail(
                    event.where,
                    f"a transfer of {part} from {payer} to {receiver} in the same transaction",
                    "none",
                    "a payment was recorded that did not take place as recorded",
                )
    return tally.done(f"{len(case.ledger.payments):,} payments")
