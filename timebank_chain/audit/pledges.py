"""Pledges: every receipt in custody and every pledged claim belongs to a loan or a lease, and pays first."""

from __future__ import annotations

from timebank_chain.audit.case import AuditCase
from timebank_chain.audit.replay import ZERO_ADDRESS
from timebank_chain.audit.report import Check, Tally


def check_pledges(case: AuditCase) -> Check:
    """Check receipts in custody and claims pledged against the loans and leases they secure."""
    tally = Tally(
        "A43", "each receipt in custody and each claim pledged secures one loan or lease, and no other"
    )
    bank, call, address = case.bank, case.evidence.call, case.evidence.address
    for group in ("custody", "pledges"):
        for difference in bank.anomalies_of(group):
            tally.add(difference)
    secured = dict.fromkeys(bank.pool.pledges, "CreditLending")
    claims: dict[str, str] = {}
    for borrower, loan in bank.pool.standing.items():
        claims |= {loan.account: address("CreditLending"), borrower: address("CreditLending")}
    for number, lease in bank.leases.running.items():
        if lease.receipt:
            meaning = "one receipt secures a loan and a lease"
            tally.require(
                lease.receipt not in secured,
                f"receipt {lease.receipt}",
                f"lease {number} alone",
                secured,
                meaning,
            )
            secured[lease.receipt] = "CreditLease"
        else:
            claims |= {lease.account: address("CreditLease"), lease.lessee: address("CreditLease")}
    tally.equal("receipts in custody", secured, bank.custody.held, "a receipt without a loan, or the reverse")
    for receipt, room in sorted(secured.items()):
        tally.equal(
            f"TimeBank.ownerOf({receipt})",
            address(room),
            call("TimeBank", "ownerOf", receipt),
            "what secures a debt is not in custody",
        )
    for account in sorted(set(claims) | set(bank.claims.ever_pledged)):
        expected = claims.get(account, ZERO_ADDRESS)
        meaning = "claims are pledged without a debt, or a debt has lost its claims"
        tally.equal(f"pledge of {account}", expected, bank.claims.pledged.get(account, ZERO_ADDRESS), meaning)
        found = call("CreditDistributor", "creditorOf", account)
        tally.equal(f"CreditDistributor.creditorOf({account})", expected, found, meaning)
    tally.evidence.update(receipts=len(secured), claims=len(claims))
    return tally.done(f"{len(secured):,} receipts and the claims of {len(claims):,} accounts")


def check_claims_first(case: AuditCase) -> Check:
    """Check that each claim paid what was overdue first, then the standing order, then the wallet."""
    tally = Tally("A44", "each claim pays what is overdue first, then its standing order, then the wallet")
    for difference in case.bank.anomalies_of("routes"):
        tally.add(difference)
    orders = case.bank.claims.orders
    for account in sorted(case.bank.claims.ever_ordered):
        found = case.evidence.call("CreditDistributor", "standingOrderOf", account)
        tally.equal(
            f"CreditDistributor.standingOrderOf({account})",
            (account in orders, orders.get(account, 0)),
            found,
            "a standing order was given or ended without an event",
        )
    routed = case.evidence.named("CreditDistributor", "ClaimRouted")
    repaid = sum(int(event.args["toCreditor"]) for event in routed)
    deposited = sum(int(event.args["toDeposit"]) for event in routed)
    tally.evidence.update(
        routed=len(routed), to_creditors=repaid, deposited=deposited, standing_orders=len(orders)
    )
    return tally.done(f"{len(case.ledger.claims):,} claims, {len(routed):,} routed")
