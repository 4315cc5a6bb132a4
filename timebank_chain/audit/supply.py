"""Supply and balances: nothing came into being but by a claim, and nobody holds what no event gave."""

from __future__ import annotations

from collections import defaultdict

from timebank_chain.audit.case import AuditCase
from timebank_chain.audit.replay import ZERO_ADDRESS, Claim, Mint
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
    """Check that every mint is part of a claim: in its transaction, to whom it went, nothing left over."""
    tally = Tally(
        "A10", "every mint belongs to one claim: its creditor's, its deposit's or its receiver's part"
    )
    claims = case.ledger.claims
    waiting: dict[bytes, list[Mint]] = defaultdict(list)
    for mint in case.ledger.mints:
        waiting[mint.event.transaction].append(mint)
    for claim, following in zip(claims, [*claims[1:], None], strict=False):  # no claim: nothing to pair
        mints = waiting[claim.event.transaction]
        # A claim is told of before its parts are minted, and those before the next claim.
        own = [
            mint
            for mint in mints
            if claim.event.position < mint.event.position
            and (following is None or mint.event.position < following.event.position)
        ]
        for receiver, amount in _parts(case, claim):
            found = next((mint for mint in own if (mint.receiver, mint.amount) == (receiver, amount)), None)
            if found is None:
                tally.fail(
                    f"{claim.event.where}, {claim.account}",
                    f"a mint of {amount} for {receiver}",
                    "none",
                    "a claim was recorded and not paid where it says",
                )
                continue
            own.remove(found)
            mints.remove(found)
    for mint in (mint for mints in waiting.values() for mint in mints):
        tally.fail(
            mint.event.where,
            f"a claim that pays {mint.amount} to {mint.receiver} in the same transaction",
            "none",
            "credits came into being without having been earned",
        )
    routed = len(case.ledger.routes)
    return tally.done(
        f"{len(case.ledger.mints):,} mints of {len(claims):,} claims, {routed:,} of them routed"
    )


def _parts(case: AuditCase, claim: Claim) -> list[tuple[str, int]]:
    """Who got what of a claim, in the order of the mints."""
    route = case.ledger.routes.get(claim.event.position)
    if route is None:
        return [(claim.receiver, claim.amount)]
    to_creditor, to_deposit = int(route.args["toCreditor"]), int(route.args["toDeposit"])
    parts = [
        (route.args["creditor"], to_creditor),
        (case.evidence.address("TimeBank"), to_deposit),
        (claim.receiver, claim.amount - to_creditor - to_deposit),
    ]
    return [part for part in parts if part[1]]
