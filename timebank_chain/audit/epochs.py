"""Epochs as the chain accepted them: the chain of headers, their hashes, signatures, rules and files."""

from __future__ import annotations

from coincurve import PublicKey
from web3 import Web3

from timebank_chain.audit.case import AuditCase, header_of
from timebank_chain.audit.files import policy_path
from timebank_chain.audit.replay import Proposal
from timebank_chain.audit.report import Check, Tally
from timebank_chain.audit.storage import LAYOUTS, latest_slot
from timebank_chain.audit.storage_root import keccak
from timebank_chain.epoch import EpochHeader
from timebank_chain.units import format_micro, format_time
from timebank_chain.valuation import policy_hash

#: Half of secp256k1's order: a signature's s above it has a twin, so the contract refuses it.
_HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0


def check_header_chain(case: AuditCase) -> Check:
    """Check that epochs follow each other without a gap in number, time or hash."""
    tally = Tally("A21", "epochs follow each other: numbers, times, previous header hashes")
    for difference in case.ledger.anomalies_of("epochs"):
        tally.add(difference)
    latest: EpochHeader | None = None
    for proposal in case.ledger.proposals:
        header, fault = header_of(proposal.header)
        where = f"epoch {proposal.epoch} (block {proposal.event.block})"
        if header is None:
            tally.fail(where, "a header", fault, "its fields make no header")
            continue
        number = 1 if latest is None else latest.epoch + 1
        previous_hash = bytes(32) if latest is None else latest.hash()
        tally.equal(where, number, header.epoch, "epochs are numbered without gaps")
        tally.equal(where, number, proposal.epoch, "the event names another epoch than its header")
        tally.equal(
            f"{where}, previousHeaderHash",
            previous_hash,
            header.previous_header_hash,
            "the header does not continue the epoch before it",
        )
        if latest is not None:
            tally.equal(
                f"{where}, startMs",
                latest.end_ms,
                header.start_ms,
                "time between two epochs is lost or doubled",
            )
        if proposal.outcome == "finalised":
            latest = header
    stands = len(case.ledger.finalised)
    voided = sum(proposal.outcome == "voided" for proposal in case.ledger.proposals)
    pending = sum(proposal.outcome == "pending" for proposal in case.ledger.proposals)
    for proposal in case.ledger.proposals:
        if proposal.outcome == "voided" and proposal.outcome_event is not None:
            reason = proposal.outcome_event.args.get("reason", "")
            tally.note(
                f"epoch {proposal.epoch} proposed in block {proposal.event.block} was voided: {reason!r}"
            )
    tally.evidence.update(finalised=stands, voided=voided, pending=pending)
    extra = "".join(
        f", {count} {word}" for count, word in ((voided, "voided"), (pending, "pending")) if count
    )
    return tally.done(f"{stands} finalised epochs{extra}")


def check_header_hashes(case: AuditCase) -> Check:
    """Check event's header = its hash = what the oracle stores = published header.json."""
    tally = Tally("A22", "header in the event = its hash = the oracle's record = header.json")
    for proposal in case.ledger.proposals:
        header, fault = header_of(proposal.header)
        where = f"epoch {proposal.epoch} (block {proposal.event.block})"
        if header is None:
            tally.fail(where, "a header", fault, "its fields make no header")
            continue
        tally.equal(
            f"{where}, headerHash",
            header.hash(),
            proposal.header_hash,
            "the hash in the event is not the hash of the header beside it",
        )
        if proposal.outcome != "finalised" or proposal.outcome_event is None:
            continue
        final = proposal.outcome_event
        for name, expected in (
            ("headerHash", header.hash()),
            ("accountRoot", header.account_root),
            ("totalMint", header.total_mint),
            ("pot", header.pot),
        ):
            if name in final.args:
                tally.equal(
                    f"{final.where}, {name}", expected, final.args[name], "another header was finalised"
                )
        tally.equal(
            f"RateOracle.headerHashOf({proposal.epoch})",
            header.hash(),
            case.evidence.call("RateOracle", "headerHashOf", proposal.epoch),
            "the oracle's storage was changed without an event",
        )
    for epoch in case.epochs:
        if not epoch.files.present:
            continue  # reported by A25
        for difference in epoch.files.header_problems:
            tally.add(difference)
        if epoch.files.header is None or epoch.header is None or epoch.files.header == epoch.header:
            continue
        published, accepted = epoch.files.header.to_json(), epoch.header.to_json()
        names = [name for name in accepted if accepted[name] != published[name] and name != "headerHash"]
        for name in names:
            tally.fail(
                f"{epoch.files.folder / 'header.json'}, {name}",
                accepted[name],
                published[name],
                "the published header is not the one the chain accepted",
            )
    return tally.done(f"{len(case.ledger.proposals)} headers")


def check_signatures(case: AuditCase) -> Check:
    """Check that enough members of the quorum in force signed each proposed header."""
    tally = Tally("A23", "signatures recover to the quorum in force, at least its threshold")
    counted = 0
    oracle = bytes.fromhex(case.evidence.address("RateOracle")[2:])
    for proposal in case.ledger.proposals:
        where = f"epoch {proposal.epoch} (block {proposal.event.block})"
        quorum = case.ledger.quorum.at(proposal.event.position)
        if quorum is None:
            tally.fail(where, "a quorum in force", "none", "no event ever named who may sign")
            continue
        members, threshold = quorum
        signers = proposal.signers
        tally.require(
            len(set(signers)) >= threshold,
            where,
            f"at least {threshold} signers",
            f"{len(set(signers))}",
            "an epoch was accepted without its quorum",
        )
        for signer in signers:
            tally.require(
                signer in members,
                where,
                "a member of the quorum",
                signer,
                "a stranger's signature was counted",
            )
        counted += _check_recovery(case, tally, proposal, where, oracle)
    tally.note("signatures are read from the transactions; the files in signatures/ are not relied on")
    return tally.done(f"{counted} signatures on {len(case.ledger.proposals)} headers")


def _check_recovery(case: AuditCase, tally: Tally, proposal: Proposal, where: str, oracle: bytes) -> int:
    header, fault = header_of(proposal.header)
    if header is None:
        tally.fail(where, "a header", fault, "nothing was signed that could be checked")
        return 0
    transaction = case.evidence.transaction(proposal.event.transaction)
    data = bytes(transaction["input"])
    direct = str(transaction.get("to") or "").lower() == case.evidence.address("RateOracle").lower()
    call = case.evidence.decode_input("RateOracle", "propose", data) if direct else None
    if call is None:
        tally.note(f"{where}: proposed through another contract; its signatures cannot be read from here")
        return 0
    digest = header.digest(case.chain_id, oracle)
    recovered = []
    for position, signature in enumerate(call["signatures"]):
        address = recover(digest, bytes(signature))
        if address is None:
            tally.fail(
                f"{where}, signature {position + 1}", "a signature", signature, "it recovers to nobody"
            )
        else:
            recovered.append(address)
    tally.equal(
        where,
        proposal.signers,
        recovered,
        "the signatures in the transaction are not of those the event names",
    )
    return len(recovered)


def recover(digest: bytes, signature: bytes) -> str | None:
    """Return the address that signed ``digest``, or ``None`` if this is no valid signature."""
    if len(signature) != 65 or int.from_bytes(signature[32:64], "big") > _HALF_ORDER:
        return None
    version = signature[64] - 27 if signature[64] >= 27 else signature[64]
    if version not in (0, 1):
        return None
    try:
        key = PublicKey.from_signature_and_message(signature[:64] + bytes([version]), digest, hasher=None)
    except (ValueError, Exception):
        return None
    return Web3.to_checksum_address(keccak(key.format(compressed=False)[1:])[-20:])


def check_rules(case: AuditCase) -> Check:
    """Check each header against what was in force when it was proposed."""
    tally = Tally("A24", "policy, rate, pot, length, bounds and challenge window as in force at the time")
    for proposal in case.ledger.proposals:
        header, _ = header_of(proposal.header)
        if header is None:
            continue  # reported by A22
        where = f"epoch {proposal.epoch} (block {proposal.event.block})"
        place = proposal.event.position
        tally.equal(
            f"{where}, policyHash",
            case.ledger.policy.at(place),
            header.policy_hash,
            "it was valued by other rules than those in force",
        )
        tally.equal(
            f"{where}, rateQ24",
            case.ledger.rate.at(place),
            header.rate_q24,
            "it was paid at another rate than the one in force",
        )
        bonus = case.ledger.bonus.at(place) or 0
        tally.require(
            header.pot <= bonus,
            f"{where}, pot",
            f"at most {bonus} (the bonus account then)",
            header.pot,
            "more was shared out than fees had brought in",
        )
        bound = (header.total_earned * header.rate_q24 >> 24) + header.pot
        tally.require(
            header.total_mint <= bound,
            f"{where}, totalMint",
            f"at most {bound} (earned times rate, plus the pot)",
            header.total_mint,
            "more was minted than was earned",
        )
        proposed_ms = case.evidence.timestamp(proposal.event.block) * 1000
        tally.require(
            header.end_ms <= proposed_ms,
            f"{where}, endMs",
            f"at most {format_time(proposed_ms)} (the block's time)",
            format_time(header.end_ms),
            "the epoch was closed before it was over",
        )
        final = proposal.outcome_event
        if proposal.outcome == "finalised" and final is not None:
            at = case.evidence.timestamp(final.block)
            tally.require(
                at >= proposal.challenge_ends_at,
                f"{where}, finalised in block {final.block}",
                f"not before {format_time(proposal.challenge_ends_at * 1000)}",
                format_time(at * 1000),
                "the challenge window was cut short",
            )
    for epoch in case.epochs:
        if epoch.policy is None or epoch.header is None or not epoch.policy.epoch_ms:
            continue
        tally.equal(
            f"epoch {epoch.number}, length",
            epoch.policy.epoch_ms,
            epoch.header.end_ms - epoch.header.start_ms,
            "the policy says how long an epoch is",
        )
    return tally.done(f"{len(case.ledger.proposals)} headers against the rules of their time")


def check_files(case: AuditCase) -> Check:
    """Check that every standing epoch is published whole and as signed."""
    tally = Tally("A25", "published files are complete and are the ones the header names (data hash)")
    size = 0
    for epoch in case.epochs:
        for difference in epoch.files.problems:
            tally.add(difference)
        if not epoch.files.present:
            continue
        size += sum(path.stat().st_size for path in epoch.files.folder.glob("*.parquet"))
        if epoch.header is not None and epoch.files.manifest_sha256 is not None:
            tally.equal(
                f"{epoch.files.folder / 'manifest.json'}, sha256",
                epoch.header.data_hash,
                epoch.files.manifest_sha256,
                "this is not the data the quorum signed",
            )
    tally.evidence.update(bytes=size)
    return tally.done(f"{len(case.epochs)} epochs, {size:,} bytes")


def check_policies(case: AuditCase) -> Check:
    """Check that every policy in use is published and hashes to its name."""
    tally = Tally("A26", "policy files hash to the policy the chain names")
    seen: dict[bytes, str] = {}
    for epoch in case.epochs:
        if epoch.header is None or epoch.header.policy_hash in seen:
            continue
        seen[epoch.header.policy_hash] = ""
        if epoch.policy_fault is not None:
            tally.add(epoch.policy_fault)
        elif epoch.policy is not None:
            seen[epoch.header.policy_hash] = f"{epoch.policy.name} version {epoch.policy.version}"
            tally.equal(
                str(policy_path(case.epochs_folder, epoch.header.policy_hash)),
                epoch.header.policy_hash,
                policy_hash(epoch.policy),
                "the published rules are not those the chain names",
            )
    tally.evidence.update(policies={"0x" + key.hex(): name for key, name in seen.items()})
    return tally.done(f"{len(seen)} policies")


def check_latest(case: AuditCase) -> Check:
    """Check that oracle and distributor stand where the events left them."""
    tally = Tally("A32", "oracle and distributor stand at the last finalised epoch")
    finalised = case.ledger.finalised
    last = finalised[-1] if finalised else None
    header = header_of(last.header)[0] if last else None
    call = case.evidence.call
    meaning = "the contract's storage was changed without an event"
    tally.equal(
        "RateOracle.latestEpoch", last.epoch if last else 0, call("RateOracle", "latestEpoch"), meaning
    )
    tally.equal(
        "RateOracle.latestHeaderHash",
        header.hash() if header else bytes(32),
        call("RateOracle", "latestHeaderHash"),
        meaning,
    )
    tally.equal(
        "RateOracle.latestEndMs",
        header.end_ms if header else 0,
        call("RateOracle", "latestEndMs"),
        meaning,
    )
    tally.equal(
        "CreditDistributor.epoch", last.epoch if last else 0, call("CreditDistributor", "epoch"), meaning
    )
    root = header.account_root if header else bytes(32)
    tally.equal("CreditDistributor.accountRoot", root, call("CreditDistributor", "accountRoot"), meaning)
    # No view shows the slot that single claims are checked against.
    slot = case.evidence.storage_at("CreditDistributor", LAYOUTS["CreditDistributor"]["_latest"])
    if slot is not None:
        tally.equal(
            "CreditDistributor, slot of the latest epoch and the head of its root",
            latest_slot(last.epoch if last else 0, root),
            slot,
            "claims are paid from another root than the finalised one",
        )
    minted = sum(int(proposal.header["totalMint"]) for proposal in finalised)
    tally.evidence.update(epoch=last.epoch if last else 0, total_mint=minted)
    return tally.done(
        f"epoch {last.epoch if last else 0}, {format_micro(minted)} credits minted in all epochs"
    )
