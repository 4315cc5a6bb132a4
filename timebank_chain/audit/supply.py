"""Supply and balances: nothing came into being but by a claim, and nobody holds what no event gave."""

from __future__ import annotations

from timebank_chain.audit.case import AuditCase
from timebank_chain.audit.replay import ZERO_ADDRESS
from timebank_chain.audit.report import Check, Tally
from timebank_chain.units import format_micro

_SILENT = "the contract's storage was changed without an event"


def check_supply(case: AuditCase) -> Check:
    """Check totalSupply = everything minted less everything burned, by the Transfer events."""
    tally = Tally("A7", "supply identity: totalSupply = claimed mints - burns")
    supply = case.evidence.call("AttentionCredit", "totalSupply")
    tally.equal("AttentionCredit.totalSupply", case.ledger.supply, supply, _SILENT)
    claimed = sum(claim.amount for claim in case.ledger.claims)
    tally.equal(
        "sum of Claimed amounts",
        case.ledger.minted,
        claimed,
        "credits came into being that no claim accounts for",
    )
    for difference in case.ledger.anomalies_of("supply"):
        tally.add(difference)
    tally.evidence.update(
        total_supply=supply, minted=case.ledger.minted, claimed=claimed, burned=case.ledger.burned
    )
    return tally.done(
        f"{format_micro(case.ledger.minted)} minted - {format_micro(case.ledger.burned)} burned"
        f" = {format_micro(case.ledger.supply)} credits"
    )


def check_balances(case: AuditCase) -> Check:
    """Check every known address's balance, and that together they are the whole supply."""
    tally = Tally("A8", "balances: balanceOf every known address = its transfers; their sum = totalSupply")
    addresses = set(case.ledger.balances)
    # Forged balances like to sit where people look least: everybody the ledger knows is asked, not
    # only who once received something.
    addresses |= {claim.account for claim in case.ledger.claims} | set(case.evidence.addresses.values())
    addresses |= {link.wallet for link in case.ledger.links.values()}
    addresses |= {proposal.proposer for proposal in case.ledger.proposals}
    addresses |= {address for pair in case.ledger.allowance_pairs for address in pair}
    for epoch in () if case.storage_is_whole else case.epochs[-1:]:
        addresses |= {case.checksum(account) for account in epoch.account_rows}
    addresses.discard(ZERO_ADDRESS)
    total = 0
    for index, address in enumerate(sorted(addresses)):
        if index % 500 == 0:
            case.progress(f"balances: {index:,} of {len(addresses):,}")
        balance = case.evidence.call("AttentionCredit", "balanceOf", address)
        total += balance
        tally.equal(
            f"AttentionCredit.balanceOf({address})",
            case.ledger.balances.get(address, 0),
            balance,
            "this address holds what no transfer gave it: the balance was forged past the contract",
        )
    supply = case.evidence.call("AttentionCredit", "totalSupply")
    tally.equal("sum of all balances", supply, total, "credits are held by nobody, or held without existing")
    tally.evidence.update(addresses=len(addresses), sum=total, total_supply=supply)
    return tally.done(f"{len(addresses):,} addresses, {format_micro(total)} credits")


def check_mints(case: AuditCase) -> Check:
    """Check that every mint is the other half of a claim: same transaction, receiver and amount."""
    tally = Tally("A10", "every mint belongs to one claim, with its receiver and amount")
    waiting = {
        (claim.event.transaction, claim.receiver, claim.amount, index): claim
        for index, claim in enumerate(case.ledger.claims)
    }
    by_value: dict[tuple[bytes, str, int], int] = {}
    for transaction, receiver, amount, _ in waiting:
        key = (transaction, receiver, amount)
        by_value[key] = by_value.get(key, 0) + 1
    for mint in case.ledger.mints:
        key = (mint.event.transaction, mint.receiver, mint.amount)
        if by_value.get(key, 0) > 0:
            by_value[key] -= 1
        else:
            tally.fail(
                mint.event.where,
                f"a claim of {mint.amount} for {mint.receiver} in the same transaction",
                "none",
                "credits came into being without having been earned",
            )
    for (_, receiver, amount), left in by_value.items():
        if left:
            tally.fail(
                f"claims for {receiver}", f"a mint of {amount}", "none", "a claim was recorded and never paid"
            )
    return tally.done(f"{len(case.ledger.mints):,} mints")
