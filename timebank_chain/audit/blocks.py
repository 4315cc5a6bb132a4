"""The record itself: every event decodes, and the log the node gives is the log of its blocks."""

from __future__ import annotations

from itertools import pairwise

from timebank_chain.audit.case import AuditCase
from timebank_chain.audit.report import Check, Tally

#: A longer range is checked at the blocks that hold events only; the report says so.
HEADERS_WALKED = 20_000


def check_events(case: AuditCase) -> Check:
    """Check that each log of our contracts is an event of its artifact's ABI."""
    tally = Tally("A5", "every event decodes with the artifacts' ABI")
    for where, problem in case.evidence.undecodable:
        tally.fail(where, "an event of the ABI", problem, "something happened that nobody can replay")
    kinds: dict[str, int] = {}
    for event in case.evidence.events:
        kind = f"{event.contract}.{event.name}"
        kinds[kind] = kinds.get(kind, 0) + 1
    tally.evidence.update(events=kinds)
    tally.require(
        bool(kinds),
        f"blocks {case.evidence.from_block} to {case.evidence.to_block}",
        "the events of the deployment",
        "none",
        "the node does not give the logs of these contracts",
    )
    return tally.done(f"{len(case.evidence.events):,} events")


def check_blocks(case: AuditCase) -> Check:
    """Check that logs are in order, blocks linked, and that receipts hold the very same logs."""
    tally = Tally("A6", "blocks are linked, and receipts hold exactly these logs, in order and without gaps")
    evidence = case.evidence
    for before, after in pairwise(evidence.logs):
        tally.require(
            (before.block, before.log_index) < (after.block, after.log_index),
            f"block {after.block}, log {after.log_index}",
            f"after block {before.block}, log {before.log_index}",
            "the same place again",
            "the node gives an event twice",
        )
    with_events = sorted({log.block for log in evidence.logs})
    span = evidence.to_block - evidence.from_block + 1
    walked = range(evidence.from_block, evidence.to_block + 1) if span <= HEADERS_WALKED else with_events
    if span > HEADERS_WALKED:
        tally.note(f"{span:,} blocks: only the {len(with_events):,} that hold events were looked at")
    previous = None
    for index, number in enumerate(walked):
        if index % 500 == 0:
            case.progress(f"blocks: {index:,} of {len(walked):,}")
        header = evidence.header(number)
        if previous is not None and int(previous["number"]) == number - 1:
            tally.equal(
                f"block {number}, parent",
                bytes(previous["hash"]),
                bytes(header["parentHash"]),
                "the blocks do not form one chain",
            )
            tally.require(
                header["timestamp"] >= previous["timestamp"],
                f"block {number}, time",
                f"not before {previous['timestamp']}",
                header["timestamp"],
                "time ran backwards",
            )
        previous = header
    _check_receipts(case, tally)
    return tally.done(f"{len(walked):,} blocks, {len(evidence.logs):,} logs in their receipts")


def _check_receipts(case: AuditCase, tally: Tally) -> None:
    evidence = case.evidence
    ours = {address.lower() for address in evidence.addresses.values()}
    given: dict[bytes, list[tuple[int, str, tuple[bytes, ...], bytes]]] = {}
    for log in evidence.logs:
        given.setdefault(log.transaction, []).append(
            (log.log_index, log.address.lower(), log.topics, log.data)
        )
        tally.equal(
            f"block {log.block}, log {log.log_index}",
            bytes(evidence.header(log.block)["hash"]),
            log.block_hash,
            "the log is of a block that is not part of this chain",
        )
        tally.require(
            not log.removed,
            f"block {log.block}, log {log.log_index}",
            "a log that stands",
            "removed",
            "the chain was reorganised during the audit: run it again",
        )
    for transaction, logs in given.items():
        receipt = evidence.receipt(transaction)
        where = f"transaction 0x{transaction.hex()}"
        indices = [int(log["logIndex"]) for log in receipt["logs"]]
        if indices:
            tally.equal(
                f"{where}, log indices",
                list(range(indices[0], indices[0] + len(indices))),
                indices,
                "the receipt's log has gaps",
            )
        recorded = [
            (
                int(log["logIndex"]),
                str(log["address"]).lower(),
                tuple(bytes(topic) for topic in log["topics"]),
                bytes(log["data"]),
            )
            for log in receipt["logs"]
            if str(log["address"]).lower() in ours
        ]
        if recorded != logs:
            tally.fail(
                where,
                f"{len(recorded)} logs as in its receipt",
                f"{len(logs)} logs, or other ones",
                "the node's event list is not what its receipts say",
            )
        tally.equal(f"{where}, status", 1, int(receipt["status"]), "a failed transaction left events")
