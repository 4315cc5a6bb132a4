"""The registry: a placeholder gets one wallet, after its delay, for ever; its claims go there."""

from __future__ import annotations

from timebank_chain.audit.case import AuditCase
from timebank_chain.audit.replay import ZERO_ADDRESS, Position
from timebank_chain.audit.report import Check, Tally

#: First bytes of every placeholder address: "timebank".
PLACEHOLDER_PREFIX = "0x" + b"timebank".hex()


def is_placeholder(account: str) -> bool:
    """Whether an address stands for a member without a wallet."""
    return account.lower().startswith(PLACEHOLDER_PREFIX)


def check_links(case: AuditCase) -> Check:
    """Check that each link was requested, waited for, confirmed once, and still stands."""
    tally = Tally("A14", "registry: each placeholder linked at most once, after its delay, as recorded")
    for difference in case.ledger.anomalies_of("registry"):
        tally.add(difference)
    delay = case.evidence.call("MemberRegistry", "linkDelay")
    confirmed = 0
    for placeholder, link in case.ledger.links.items():
        tally.require(
            is_placeholder(placeholder),
            link.requested.where,
            "a placeholder address",
            placeholder,
            "an ordinary address cannot be redirected",
        )
        requested_at = case.evidence.timestamp(link.requested.block)
        tally.equal(
            link.requested.where,
            requested_at + delay,
            link.effective_at,
            "the member had less time to object than the registry promises",
        )
        wallet = ZERO_ADDRESS
        if link.confirmed is not None:
            confirmed += 1
            wallet = link.wallet
            at = case.evidence.timestamp(link.confirmed.block)
            tally.require(
                at >= link.effective_at,
                link.confirmed.where,
                f"not before {link.effective_at} (Unix seconds)",
                at,
                "the link was confirmed before its delay was over",
            )
        tally.equal(
            f"MemberRegistry.walletOf({placeholder})",
            wallet,
            case.evidence.call("MemberRegistry", "walletOf", placeholder),
            "the link was changed without an event",
        )
    last = () if case.storage_is_whole else case.epochs[-1:]
    unlinked = {account for epoch in last for account in map(case.checksum, epoch.account_rows)}
    for account in sorted(filter(is_placeholder, unlinked - set(case.ledger.links))):
        tally.equal(
            f"MemberRegistry.walletOf({account})",
            ZERO_ADDRESS,
            case.evidence.call("MemberRegistry", "walletOf", account),
            "a placeholder has a wallet that no event gave it",
        )
    return tally.done(f"{confirmed} links confirmed, {len(case.ledger.links) - confirmed} waiting")


def check_receivers(case: AuditCase) -> Check:
    """Check that what an account earned was its own, or for a placeholder its linked wallet's."""
    tally = Tally("A15", "claims were the account's own, or a placeholder's linked wallet's; so were pledges")
    redirected = 0
    for claim in case.ledger.claims:
        redirected += is_placeholder(claim.account)
        tally.equal(
            f"{claim.event.where}, {claim.account}",
            _receiver(case, claim.account, claim.event.position) or "no linked wallet, so no claim",
            claim.receiver,
            "somebody else was paid",
        )
    for event in case.evidence.named("CreditDistributor", "ClaimsPledgeSet"):
        if event.args["creditor"] != ZERO_ADDRESS:
            account = event.args["account"]
            tally.equal(
                f"{event.where}, {account}",
                _receiver(case, account, event.position) or "no linked wallet, so no pledge",
                event.args["wallet"],
                "somebody else's claims were pledged",
            )
    return tally.done(f"{len(case.ledger.claims):,} claims, {redirected} of placeholders")


def _receiver(case: AuditCase, account: str, position: Position) -> str | None:
    """Who got what an account claimed at ``position``: itself, or a placeholder's wallet by then."""
    return case.ledger.link_history[account].at(position) if is_placeholder(account) else account
