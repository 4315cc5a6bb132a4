"""Parameters and bonds: what is in force is what the last event set, and no bond is lost."""

from __future__ import annotations

from timebank_chain.audit.case import AuditCase
from timebank_chain.audit.replay import GOVERNED, PAUSED_SET, ZERO_ADDRESS, pauses_of
from timebank_chain.audit.report import Check, Tally
from timebank_chain.audit.roles import check_roles

#: Events by which settings of the float, the bank and the market change.
BANK_SETTINGS = frozenset(
    {"FloatSet", "TermAdded", "TermOpenSet", "IncomeFeeSet", "ReleaseTimeSet", "RiskSet", "LeaseFeeSet"}
    | {"BorrowingPausedSet", "LeasingPausedSet"}
    | {"TradeFeeSet", "TradingPausedSet", "ServiceFeeSet", "OrderingPausedSet"}
)

_SILENT = "the parameter was changed without an event"


def check_parameters(case: AuditCase) -> Check:
    """Check every governed parameter against the last event that set it."""
    tally = Tally("A19", "parameters and roles in force = the last event that set them")
    ledger, call = case.ledger, case.evidence.call
    members, threshold = ledger.quorum.last or ((), 0)
    expected = {
        ("RateOracle", "policyHash"): ledger.policy.last,
        ("RateOracle", "rateQ24"): ledger.rate.last,
        ("RateOracle", "signers"): list(members),
        ("RateOracle", "threshold"): threshold,
        ("RateOracle", "bond"): ledger.bond.last,
        ("RateOracle", "challengeWindow"): ledger.window.last,
        ("RateOracle", "proposalsPaused"): bool(ledger.paused.last),
        ("CreditPayments", "feeBps"): ledger.fee_bps.last,
        ("TimeBank", "incomeFeeBps"): case.bank.deposits.income_fee_bps,
        ("TimeBank", "releaseSeconds"): case.bank.deposits.release_seconds,
        ("TimeBank", "termCount"): len(case.bank.deposits.terms),
        ("CreditLending", "risk"): case.bank.pool.risk.last,
        ("CreditLending", "acceptedPolicy"): case.bank.pool.policy.last or (bytes(32), 0),
        ("CreditLease", "leaseFeeBps"): case.bank.leases.fee_bps,
        ("CreditLease", "leasingPaused"): case.bank.leases.paused,
        ("CreditExchange", "tradeFeeBps"): case.exchange.fee_bps,
        ("CreditExchange", "tradingPaused"): case.exchange.paused,
        ("ServiceEscrow", "serviceFeeBps"): case.services.spec.service_fee_bps,
        ("ServiceEscrow", "orderingPaused"): case.services.spec.ordering_paused,
    }
    for (contract, view), value in expected.items():
        tally.equal(f"{contract}.{view}", value, call(contract, view), _SILENT)
    for contract in PAUSED_SET:
        latest = 0
        for event, latest in pauses_of(case.evidence.events, contract):
            tally.equal(f"{event.where}, pause", latest, int(event.args["pause"]), "pauses are miscounted")
        tally.equal(f"{contract}.pauses", latest, call(contract, "pauses"), _SILENT)
    everyone = {signer for _, (signers, _) in ledger.quorum.values for signer in signers}
    for signer in sorted(everyone):
        tally.equal(
            f"RateOracle.isSigner({signer})",
            signer in members,
            call("RateOracle", "isSigner", signer),
            _SILENT,
        )
    split = call("FeePool", "split")
    tally.equal("FeePool.split", ledger.split.last, (split["depositorsBps"], split["bonusBps"]), _SILENT)
    paused = call("CreditLending", "books")["paused"]
    tally.equal("CreditLending.books, paused", case.bank.pool.paused, paused, _SILENT)
    for term_id, term in enumerate(case.bank.deposits.terms):
        wanted = {
            "duration": term.duration,
            "multiplierMilli": term.multiplier_milli,
            "penaltyBps": term.penalty_bps,
            "open": term.open,
        }
        tally.equal(f"TimeBank.termOf({term_id})", wanted, call("TimeBank", "termOf", term_id), _SILENT)
    for contract in GOVERNED:
        authority = ledger.authority[contract].last if contract in ledger.authority else None
        tally.equal(
            f"{contract}.authority",
            authority,
            call(contract, "authority"),
            "another manager rules the contract than the events say",
        )
    roles, role_changes = check_roles(case, tally)
    changes = sum(
        max(0, len(line.values) - 1)
        for line in (ledger.policy, ledger.rate, ledger.quorum, ledger.bond, ledger.window, ledger.fee_bps)
    )
    # An epoch that moved the rate changed no setting.
    changes -= len(ledger.moves)
    changes += sum(
        event.name in BANK_SETTINGS
        and event.transaction != case.deployment.contracts[event.contract].creation_transaction
        for event in case.evidence.events
    )
    changes += role_changes
    tally.evidence.update(
        rate_q24=ledger.rate.last, threshold=threshold, signers=list(members), changes=changes
    )
    return tally.done(
        f"{len(expected) + len(GOVERNED) + 2} parameters, {roles} roles and permissions,"
        f" {changes} changes since deployment"
    )


def check_bonds(case: AuditCase) -> Check:
    """Check bonds: as in force when posted, credited or burned whole, and still there until withdrawn."""
    tally = Tally("A20", "bonds: posted as in force, credited or burned whole, held until withdrawn")
    ledger, call = case.ledger, case.evidence.call
    for difference in ledger.anomalies_of("bonds"):
        tally.add(difference)
    for proposal in ledger.proposals:
        place = proposal.event.position
        tally.equal(
            f"{proposal.event.where}, bond", ledger.bond.at(place), proposal.bond, "another bond was posted"
        )
        window = ledger.window.at(place) or 0
        tally.equal(
            f"{proposal.event.where}, challengeEndsAt",
            case.evidence.timestamp(proposal.event.block) + window,
            proposal.challenge_ends_at,
            "the challenge window is another than the one in force",
        )
    for owner, amount in sorted(ledger.withdrawable.items()):
        tally.equal(
            f"RateOracle.withdrawableBond({owner})",
            amount,
            call("RateOracle", "withdrawableBond", owner),
            "a bond was given or taken without an event",
        )
    last = ledger.proposals[-1] if ledger.proposals else None
    held = last.bond if last is not None and last.outcome == "pending" else 0
    pending = call("RateOracle", "pending")
    tally.equal(
        "RateOracle.pending",
        (last.epoch, last.header_hash, last.proposer, last.bond) if last is not None and held else None,
        (pending["epoch"], pending["headerHash"], pending["proposer"], pending["bond"])
        if held or pending["proposer"] != ZERO_ADDRESS
        else None,
        "another proposal waits than the one the events show",
    )
    owed = held + sum(ledger.withdrawable.values())
    balance = case.evidence.ether("RateOracle")
    tally.require(
        balance >= owed,
        "RateOracle, balance in wei",
        f"at least {owed} (pending and withdrawable bonds)",
        balance,
        "bonds cannot be paid back",
    )
    if balance > owed:
        tally.note(
            f"{balance - owed} wei more than the bonds were forced into the oracle; nobody can use them"
        )
    tally.evidence.update(owed_wei=owed, balance_wei=balance, withdrawn_wei=ledger.bonds_withdrawn)
    return tally.done(f"{len(ledger.proposals)} bonds, {owed} wei held")
