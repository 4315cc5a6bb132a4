"""The fee pool: its three accounts follow from the events, are its balance, and pay whom they must."""

from __future__ import annotations

from collections import Counter

from timebank_chain.audit.case import AuditCase
from timebank_chain.audit.payments import ONE_BPS
from timebank_chain.audit.replay import ZERO_ADDRESS
from timebank_chain.audit.report import Check, Tally
from timebank_chain.units import format_micro


def check_fee_pool(case: AuditCase) -> Check:
    """Check split, accounts, burned pots, payments and balance of the fee pool."""
    tally = Tally("A18", "fee pool: split as in force; accounts = their events; their sum = its balance")
    ledger, call = case.ledger, case.evidence.call
    for difference in ledger.anomalies_of("fees"):
        tally.add(difference)
    collected = 0
    for event in case.evidence.named("FeePool", "FeesCollected"):
        amount = int(event.args["amount"])
        collected += amount
        split = ledger.split.at(event.position)
        if split is None:
            tally.fail(event.where, "a split in force", "none", "no event ever set the split")
            continue
        for name, share in zip(("toDepositors", "toBonus"), split, strict=True):
            tally.equal(
                f"{event.where}, {name}",
                amount * share // ONE_BPS,
                int(event.args[name]),
                "fees were divided otherwise than the split in force says",
            )
    for name in ("depositors", "bonus", "reserve"):
        tally.equal(
            f"FeePool.{name}",
            getattr(ledger.fees, name),
            call("FeePool", name),
            "the account was changed without an event",
        )
    pots = {proposal.epoch: int(proposal.header["pot"]) for proposal in ledger.finalised}
    burned: dict[int, int] = {}
    for event in ledger.pots_burned:
        burned[int(event.args["epoch"])] = burned.get(int(event.args["epoch"]), 0) + int(event.args["amount"])
    for epoch in sorted(set(pots) | set(burned)):
        tally.equal(
            f"epoch {epoch}, pot burned",
            pots.get(epoch, 0),
            burned.get(epoch, 0),
            "what members shared must be burned from the pool, or it would exist twice",
        )
    drawn = _check_draws(case, tally)
    balance = call("AttentionCredit", "balanceOf", case.evidence.address("FeePool"))
    surplus = balance - ledger.fees.total
    tally.require(
        surplus >= 0,
        "FeePool, balance",
        f"at least {ledger.fees.total} (its three accounts)",
        balance,
        "the pool promises more than it holds",
    )
    if surplus > 0:
        tally.note(f"{format_micro(surplus)} credits were sent to the pool and are not divided yet (sync)")
    tally.evidence.update(
        collected=collected, balance=balance, unsynced=surplus, pots_burned=sum(burned.values()), **drawn
    )
    return tally.done(
        f"{format_micro(collected)} collected, {format_micro(sum(burned.values()))} shared out as pots"
    )


def _check_draws(case: AuditCase, tally: Tally) -> dict[str, int]:
    """Check that the pool paid depositors through the bank, losses of the pool, pots, and nothing else."""
    named, address = case.evidence.named, case.evidence.address
    paid = sum(int(event.args["amount"]) for event in named("FeePool", "DepositorsPaid"))
    covered = sum(int(event.args["paid"]) for event in named("FeePool", "LossCovered"))
    burned = sum(int(event.args["amount"]) for event in case.ledger.pots_burned)
    expected = Counter({address("TimeBank"): paid, address("CreditLending"): covered, ZERO_ADDRESS: burned})
    left: Counter[str] = Counter()
    for transfer in case.ledger.transfers:
        if transfer.args["from"] == address("FeePool"):
            left[transfer.args["to"]] += int(transfer.args["value"])
    for receiver in sorted(set(expected) | set(left)):
        tally.equal(
            f"FeePool, paid to {receiver}",
            expected[receiver],
            left[receiver],
            "somebody drew on the pool without an event, or an event tells of what was not paid",
        )
    return {"depositors_paid": paid, "losses_covered": covered}
