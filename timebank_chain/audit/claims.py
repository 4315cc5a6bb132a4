"""Claims: everybody was paid exactly what the finalised leaves say, once."""

from __future__ import annotations

from timebank_chain.audit.case import AuditCase
from timebank_chain.audit.report import Check, Tally
from timebank_chain.units import format_micro


def check_claims(case: AuditCase) -> Check:
    """Check that every claim is the account's leaf in the epoch that stood, less what it had before."""
    tally = Tally("A11", "every claim = the account's leaf in the finalised epoch - what it had claimed")
    for difference in case.ledger.anomalies_of("claims"):
        tally.add(difference)
    for claim in case.ledger.claims:
        standing = case.ledger.accepted_before(claim.event.position)
        if standing is None:
            tally.fail(
                claim.event.where, "a finalised epoch", "none", "credits were claimed before any epoch"
            )
            continue
        tally.equal(
            claim.event.where, standing.epoch, claim.epoch, "the claim was paid from another epoch's root"
        )
        epoch = case.epoch(standing.epoch)
        leaf = None if epoch is None else epoch.leaf(claim.account)
        if leaf is None:
            tally.fail(
                claim.event.where,
                f"a leaf of {claim.account} in epoch {standing.epoch}",
                "none in the published files",
                "somebody was paid who is not in the epoch, or the epoch's files cannot be read",
            )
            continue
        tally.equal(
            f"{claim.event.where}, {claim.account}",
            leaf["cumulative_mint"],
            claim.cumulative,
            "the claim pays another amount than the account earned",
        )
    paid = sum(claim.amount for claim in case.ledger.claims)
    tally.evidence.update(claims=len(case.ledger.claims), paid=paid)
    return tally.done(f"{len(case.ledger.claims):,} claims, {format_micro(paid)} credits")


def check_claimed_views(case: AuditCase) -> Check:
    """Check the distributor's record of every account ever credited against the replayed claims."""
    tally = Tally("A12", "claimed() of every account = its claims, never more than its leaf")
    last = next((epoch for epoch in reversed(case.epochs) if epoch.proposal.outcome == "finalised"), None)
    accounts = set(case.ledger.claimed)
    if last is not None and not case.storage_is_whole:
        accounts |= {case.checksum(account) for account in last.account_rows}
    for index, account in enumerate(sorted(accounts)):
        if index % 500 == 0:
            case.progress(f"claims: {index:,} of {len(accounts):,} accounts")
        found = case.evidence.call("CreditDistributor", "claimed", account)
        tally.equal(
            f"CreditDistributor.claimed({account})",
            case.ledger.claimed.get(account, 0),
            found,
            "the record of what was paid was changed without an event",
        )
        leaf = None if last is None else last.leaf(account)
        if leaf is not None:
            tally.require(
                found <= leaf["cumulative_mint"],
                f"CreditDistributor.claimed({account})",
                f"at most {leaf['cumulative_mint']} (its leaf in epoch {last.number if last else 0})",
                found,
                "more was claimed than was ever earned",
            )
    return tally.done(f"{len(accounts):,} accounts")


def check_claim_totals(case: AuditCase) -> Check:
    """Check at every claim that all claims so far are within all that was minted by epochs so far."""
    tally = Tally("A13", "claims so far never exceed the total mint of the epochs finalised so far")
    per_epoch: dict[int, int] = {}
    claimed = 0
    for claim in case.ledger.claims:
        claimed += claim.amount
        per_epoch[claim.epoch] = per_epoch.get(claim.epoch, 0) + claim.amount
        granted = sum(
            int(proposal.header["totalMint"])
            for proposal in case.ledger.finalised
            if proposal.outcome_event is not None and proposal.outcome_event.position < claim.event.position
        )
        tally.require(
            claimed <= granted,
            claim.event.where,
            f"at most {granted} claimed in all",
            claimed,
            "more was paid out than all epochs granted",
        )
    granted = sum(int(proposal.header["totalMint"]) for proposal in case.ledger.finalised)
    tally.evidence.update(granted=granted, claimed=claimed, claimed_while_epoch_stood=per_epoch)
    return tally.done(f"{format_micro(claimed)} of {format_micro(granted)} granted credits claimed")
