"""The lending pool: its books balance, interest is the formula's, and shares lose value by losses alone."""

from __future__ import annotations

from timebank_chain.audit.book import ONE_BPS
from timebank_chain.audit.case import AuditCase
from timebank_chain.audit.evidence import Event
from timebank_chain.audit.replay import ZERO_ADDRESS
from timebank_chain.audit.report import Check, Tally
from timebank_chain.spec import adaptive_rate, decay
from timebank_chain.units import format_micro

_SILENT = "the pool's storage was changed without an event"
_NO_PLEDGE = {"borrower": ZERO_ADDRESS, "debtShares": 0}
_NO_LOAN = {
    "account": ZERO_ADDRESS,
    "debtShares": 0,
    "principal": 0,
    "dueAt": 0,
    "lostByPool": 0,
    "lostByReserve": 0,
}


def check_pool(case: AuditCase) -> Check:
    """Check the pool's books, that they balance, and that the cash is there."""
    tally = Tally("A37", "lending pool: books = events; cash + debt = assets + fees owed; the cash is there")
    pool, call = case.bank.pool, case.evidence.call
    for difference in case.bank.anomalies_of("pool"):
        tally.add(difference)
    expected = {
        "debt": pool.debt,
        "cash": pool.cash,
        "debtShares": pool.debt_shares,
        "feeBps": (pool.risk.last or {}).get("feeBps"),
        "paused": pool.paused,
        "accruedAt": pool.accrued_at,
        "rateAtTarget": pool.rate_at_target,
        "feesOwed": pool.fees_owed,
        "capBase": pool.cap_base,
    }
    books = call("CreditLending", "books")
    for name, value in books.items():
        tally.equal(f"CreditLending.books, {name}", expected.get(name), value, _SILENT)
    accrued, assets = call("CreditLending", "accruedBooks"), call("CreditLending", "totalAssets")
    tally.equal(
        "CreditLending, cash + debt",
        assets + accrued["feesOwed"],
        accrued["cash"] + accrued["debt"],
        "suppliers and the fee pool own another sum than the pool holds and is owed",
    )
    balance = call("AttentionCredit", "balanceOf", case.evidence.address("CreditLending"))
    strays = case.movements.gifts["CreditLending"]
    tally.equal(
        "CreditLending, balance", books["cash"] + strays, balance, "the pool holds another sum than its cash"
    )
    for difference in case.movements.gift_differences["CreditLending"]:
        tally.add(difference)
    if strays:
        tally.note(
            f"{format_micro(strays)} credits were sent to the pool and are not passed on yet (payFees)"
        )
    tally.evidence.update(cash=pool.cash, debt=pool.debt, fees_owed=pool.fees_owed, balance=balance)
    return tally.done(f"{format_micro(pool.cash)} of cash + {format_micro(pool.debt)} of debt")


def check_interest(case: AuditCase) -> Check:
    """Check every accrual, and what is due now, against rate, utilisation and time."""
    tally = Tally("A38", "interest = the rate formula, for every period; accrued before anything else")
    pool = case.bank.pool
    for difference in case.bank.anomalies_of("interest"):
        tally.add(difference)
    accrued = case.evidence.call("CreditLending", "accruedBooks")
    interest, fee, rate = pool.due_interest(int(accrued["accruedAt"]))
    for name, value in (
        ("debt", pool.debt + interest),
        ("feesOwed", pool.fees_owed + fee),
        ("rateAtTarget", rate),
        ("capBase", pool.due_cap_base(int(accrued["accruedAt"]))),
    ):
        tally.equal(
            f"CreditLending.accruedBooks, {name}", value, accrued[name], "time is accounted for otherwise"
        )
    periods = len(case.evidence.named("CreditLending", "InterestAccrued"))
    yearly = rate * adaptive_rate.YEAR / adaptive_rate.WAD
    tally.evidence.update(periods=periods, interest=pool.interest, fees=pool.fees, rate_at_target=rate)
    return tally.done(
        f"{periods:,} periods, {format_micro(pool.interest)} of interest; target {yearly:.2%} a year"
    )


def check_share_value(case: AuditCase) -> Check:
    """Check that shares were issued and redeemed at the pool's price, and fell by write-offs alone."""
    tally = Tally(
        "A39", "a share falls by a write-off alone; each one issued or redeemed at the pool's price"
    )
    for difference in case.bank.anomalies_of("shares"):
        tally.add(difference)
    named = case.evidence.named
    supplied = named("CreditLending", "Deposit")
    taken = named("CreditLending", "Withdraw")
    tally.evidence.update(
        supplied=sum(int(event.args["assets"]) for event in supplied),
        withdrawn=sum(int(event.args["assets"]) for event in taken),
    )
    return tally.done(f"{len(supplied):,} deposits and {len(taken):,} withdrawals of suppliers")


def check_share_balances(case: AuditCase) -> Check:
    """Check every supplier's shares, and that together they are all there are."""
    tally = Tally("A40", "shares: balanceOf every supplier = its events; their sum = totalSupply")
    pool, call = case.bank.pool, case.evidence.call
    total = 0
    holders = set(pool.shares) | {address for pair in pool.allowance_pairs for address in pair}
    for holder in sorted(holders | set(case.evidence.addresses.values())):
        found = call("CreditLending", "balanceOf", holder)
        total += found
        tally.equal(f"CreditLending.balanceOf({holder})", pool.shares.get(holder, 0), found, _SILENT)
    supply = call("CreditLending", "totalSupply")
    tally.equal("CreditLending.totalSupply", pool.supply, supply, _SILENT)
    tally.equal("sum of all shares", supply, total, "shares are held by nobody, or held without existing")
    tally.evidence.update(holders=len(holders), supply=supply)
    return tally.done(f"{sum(amount > 0 for amount in pool.shares.values()):,} suppliers")


def check_loans(case: AuditCase) -> Check:
    """Check every loan against its events, and what was allowed when it was made."""
    tally = Tally("A41", "every loan = its events, within what its pledge or standing allowed")
    pool, call = case.bank.pool, case.evidence.call
    for difference in case.bank.anomalies_of("loans"):
        tally.add(difference)
    for event in case.evidence.named("CreditLending", "Pledged"):
        receipt = int(event.args["receiptId"])
        pledge = pool.pledges.get(receipt)
        tally.equal(
            f"CreditLending.pledgedLoan({receipt})",
            _NO_PLEDGE if pledge is None else {"borrower": pledge.borrower, "debtShares": pledge.shares},
            call("CreditLending", "pledgedLoan", receipt),
            _SILENT,
        )
    for borrower in sorted({event.args["borrower"] for event, _ in pool.standing_borrowings}):
        loan = pool.standing.get(borrower)
        expected = _NO_LOAN if loan is None else {
            "account": loan.account,
            "debtShares": loan.shares,
            "principal": loan.principal,
            "dueAt": loan.due_at,
            "lostByPool": loan.lost_by_pool,
            "lostByReserve": loan.lost_by_reserve,
        }  # fmt: skip
        found = call("CreditLending", "standingLoan", borrower)
        tally.equal(f"CreditLending.standingLoan({borrower})", expected, found, _SILENT)
    unsecured = sum(loan.shares for loan in pool.standing.values())
    secured = sum(loan.shares for loan in pool.pledges.values())
    books = call("CreditLending", "books")
    meaning = "loans owe another debt than the pool counts"
    tally.equal("shares of all loans", books["debtShares"], secured + unsecured, meaning)
    tally.equal("shares of loans on standing", call("CreditLending", "unsecuredShares"), unsecured, meaning)
    for event, now in pool.standing_borrowings:
        limit = standing_limit(case, event, now, event.args["account"])
        if limit is None:
            tally.fail(
                event.where, "a leaf in the epoch that stood", "none", "nobody can say what standing allowed"
            )
        else:
            meaning = "the limit is another than the account's standing allowed then"
            tally.equal(f"{event.where}, limit", limit, int(event.args["limit"]), meaning)
    _check_policies(case, tally)
    tally.evidence.update(pledges=len(pool.pledges), standing=len(pool.standing))
    return tally.done(f"{len(pool.pledges):,} pledges and {len(pool.standing):,} loans on standing")


def _check_policies(case: AuditCase, tally: Tally) -> None:
    for place, (policy_hash, decay_k) in case.bank.pool.policy.values:
        where = f"block {place[0]}, log {place[1]}, CreditLending.PolicyAccepted"
        in_force = case.ledger.policy.at(place)
        tally.equal(where, in_force, policy_hash, "it was not the policy in force")
        known = case.ledger.registered.get(policy_hash)
        if known is None:
            tally.fail(
                where, "a registered policy", f"0x{policy_hash.hex()}", "nobody knows its decay constant"
            )
        else:
            meaning = "standing decays otherwise than the policy says"
            tally.equal(f"{where}, decayK", int(known.args["policy"]["decayK"]), decay_k, meaning)


def standing_limit(case: AuditCase, event: Event, now: int, account: str) -> int | None:
    """Return what an account's standing allowed at an event, or ``None`` where nobody can say."""
    place = event.position
    standing = case.ledger.accepted_before(place)
    epoch = None if standing is None else case.epoch(standing.epoch)
    leaf = None if epoch is None else epoch.leaf(account)
    policy, risk = case.bank.pool.policy.at(place), case.bank.pool.risk.at(place)
    rate = case.ledger.rate.at(place)
    if standing is None or leaf is None or policy is None or risk is None or rate is None:
        return None
    age_ms = now * 1000 - int(standing.header["endMs"])
    decayed = leaf["standing"] * decay.weight(age_ms, policy[1]) >> 31
    return (decayed * rate >> 24) * risk["standingBps"] // ONE_BPS


def check_losses(case: AuditCase) -> Check:
    """Check that every loss is borne by somebody, and every recovery goes to the reserve."""
    tally = Tally("A42", "losses: each written-off debt = reserve + suppliers; recoveries go to the reserve")
    pool, named = case.bank.pool, case.evidence.named
    for difference in case.bank.anomalies_of("losses"):
        tally.add(difference)
    still = 0
    for borrower in pool.standing:
        loan = case.evidence.call("CreditLending", "standingLoan", borrower)
        still += int(loan["lostByPool"]) + int(loan["lostByReserve"])
    tally.equal(
        "recovered + still owed + lost on pledges",
        pool.lost_by_pool + pool.lost_by_reserve,
        pool.recovered + still + pool.lost_on_pledges,
        "part of what was written off is unaccounted for",
    )
    tally.equal(
        "FeePool.LossCovered, paid",
        pool.lost_by_reserve,
        sum(int(event.args["paid"]) for event in named("FeePool", "LossCovered")),
        "the reserve paid another sum than the pool wrote off against it",
    )
    tally.equal(
        "FeePool.ReserveRestored, amount",
        pool.recovered,
        sum(int(event.args["amount"]) for event in named("FeePool", "ReserveRestored")),
        "the reserve got back another sum than was recovered for it",
    )
    tally.evidence.update(
        lost_by_pool=pool.lost_by_pool,
        lost_by_reserve=pool.lost_by_reserve,
        recovered=pool.recovered,
    )
    return tally.done(
        f"{format_micro(pool.lost_by_pool + pool.lost_by_reserve)} written off,"
        f" {format_micro(pool.recovered)} recovered"
    )
