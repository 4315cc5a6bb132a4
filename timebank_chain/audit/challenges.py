"""Voids and challenges: who ended a proposal and with what right, every proof judged again, every answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eth_abi.abi import encode
from eth_utils.abi import collapse_if_tuple

from timebank_chain.audit.case import AuditCase, EpochCase
from timebank_chain.audit.challenge_book import TREES, Inquiry
from timebank_chain.audit.evidence import Event
from timebank_chain.audit.replay import ZERO_ADDRESS, Proposal
from timebank_chain.audit.report import Check, Tally
from timebank_chain.audit.storage_root import keccak
from timebank_chain.spec import epoch_challenge, evidence
from timebank_chain.spec.epoch_tree import AccountLeaf, ActivityLeaf
from timebank_chain.spec.policy_registry import DomainPolicy, PolicyHead
from timebank_chain.spec.rate_oracle import EpochHeader
from timebank_chain.spec.revert import Reverted

ONE_BPS = 10_000

_HELD_FOR_EVER = (1 << 256) - 1


# ---------------------------------------------------------------- A49


def check_voids(case: AuditCase) -> Check:
    """Check that every void was governance's, a proof's or for a withheld leaf, and its bond shared out."""
    tally = Tally("A49", "every void: by governance, by proof or for a withheld leaf; its bond shared out")
    share = int(case.evidence.call("RateOracle", "challengerShareBps"))
    kinds = {"governance": 0, "proof": 0, "withheld": 0}
    spoken_for: set[tuple[int, int]] = set()
    for proposal in case.ledger.proposals:
        void = proposal.outcome_event
        if proposal.outcome != "voided" or void is None:
            continue
        reward = 0 if void.args["challenger"] == ZERO_ADDRESS else proposal.bond * share // ONE_BPS
        tally.equal(
            f"{void.where}, reward in wei", reward, void.args["reward"], "the challenger got another share"
        )
        tally.equal(
            f"{void.where}, burned in wei",
            proposal.bond - reward,
            void.args["burned"],
            "another part of the bond was burned",
        )
        cause = _cause(case, void)
        if cause is None:
            kinds["governance"] += _by_governance(case, tally, void)
            continue
        spoken_for.add(cause.position)
        by_proof = cause.name == "FaultProved"
        kinds["proof" if by_proof else "withheld"] += 1
        reason = (
            f"fault class {cause.args['faultClass']}: proved"
            if by_proof
            else "fault class 10: a leaf was withheld"
        )
        for name, expected in (
            ("epoch", cause.args["epoch"]),
            ("headerHash", cause.args["headerHash"]),
            ("challenger", cause.args["challenger"]),
            ("reason", reason),
        ):
            tally.equal(
                f"{void.where}, {name}", expected, void.args[name], f"{cause.contract} said something else"
            )
    for event in case.evidence.events:
        if event.name in ("FaultProved", "LeafWithheld") and event.position not in spoken_for:
            tally.fail(event.where, "a proposal voided for it", "none", "a proposal outlived its end")
    tally.evidence.update(kinds)
    return tally.done(
        f"{sum(kinds.values())} voids: {kinds['governance']} by governance, {kinds['proof']} by proof, "
        f"{kinds['withheld']} for a withheld leaf"
    )


def _cause(case: AuditCase, void: Event) -> Event | None:
    """Return the event right before a void by which a contract says why."""
    before = (void.block, void.log_index - 1)
    for event in case.evidence.events:
        if event.position == before and event.transaction == void.transaction:
            return event if event.name in ("FaultProved", "LeafWithheld") else None
    return None


def _by_governance(case: AuditCase, tally: Tally, void: Event) -> int:
    """Look for governance's word: an operation that was scheduled and executed, or the call itself."""
    words = (void.args["headerHash"], void.args["challenger"], void.args["reason"])
    wanted = keccak(b"voidProposal(bytes32,address,string)")[:4] + encode(
        ["bytes32", "address", "string"], words
    )
    executed = {
        event.args["operationId"]
        for event in case.evidence.named("AccessManager", "OperationExecuted")
        if event.transaction == void.transaction
    }
    scheduled = [
        event
        for event in case.evidence.named("AccessManager", "OperationScheduled")
        if event.args["operationId"] in executed and event.position < void.position
    ]
    if any(bytes(event.args["data"]) == wanted for event in scheduled):
        return 1
    transaction = case.evidence.transaction(void.transaction)
    to = str(transaction.get("to") or "").lower()
    names = {case.evidence.address(name).lower(): name for name in case.evidence.addresses}
    data = bytes(transaction["input"])
    if names.get(to) == "RateOracle" and data == wanted:
        return 1
    if names.get(to) == "AccessManager":
        executing = case.evidence.decode_input("AccessManager", "execute", data)
        if executing is not None and bytes(executing["data"]) == wanted:
            return 1
    if to not in names or names[to] == "AccessManager":
        tally.note(f"{void.where}: voided through another contract or in a bundle of calls, with no proof")
        return 1
    tally.fail(
        void.where,
        "governance's voidProposal, FaultProved or LeafWithheld",
        f"a call of {names[to]} with neither",
        "nobody who may void this proposal did",
    )
    return 0


# ---------------------------------------------------------------- A50


def check_proofs(case: AuditCase) -> Check:
    """Check every proof again: committed to before, and the rule broken by the leaves shown."""
    tally = Tally("A50", "every proof of a fault holds: committed to before, judged again from its leaves")
    proved = case.evidence.named("EpochChallenge", "FaultProved")
    judged = 0
    for event in proved:
        transaction = case.evidence.transaction(event.transaction)
        if str(transaction.get("to") or "").lower() != case.evidence.address("EpochChallenge").lower():
            tally.note(f"{event.where}: proved through another contract; its leaves cannot be read from here")
            continue
        data, sender = bytes(transaction["input"]), str(transaction["from"])
        tally.equal(
            f"{event.where}, challenger",
            sender.lower(),
            event.args["challenger"].lower(),
            "somebody else was rewarded than who showed the proof",
        )
        commitment = epoch_challenge.commitment_of(sender, data)
        made = [
            one
            for one in case.evidence.named("EpochChallenge", "Committed")
            if one.args["commitment"] == commitment and one.block < event.block
        ]
        tally.require(
            bool(made),
            f"{event.where}, commitment",
            f"0x{commitment.hex()} in an earlier block",
            "none",
            "a proof was accepted that could have been copied",
        )
        judged += _judge(case, tally, event, data)
    tally.evidence.update(proofs=len(proved), judged=judged)
    return tally.done(f"{judged} of {len(proved)} proofs judged again")


def _judge(case: AuditCase, tally: Tally, event: Event, data: bytes) -> int:
    """Judge what a transaction showed by the rule as plain integers; tell whether it could be read."""
    shown = _read_proof(case, data)
    if shown is None:
        tally.fail(event.where, "a call of a prove function", f"0x{data[:4].hex()}...", "nothing was shown")
        return 0
    function, arguments = shown
    proposal = _proposal_of(case, event)
    header = proposal.header if proposal is not None else None
    tally.equal(
        f"{event.where}, header shown",
        None if header is None else EpochHeader(*header.values()),
        arguments[0],
        "the proof is about another header than the one proposed",
    )
    try:
        fault = epoch_challenge.PROOFS[function](*arguments)
    except Reverted as refused:
        tally.fail(
            event.where,
            f"a fault of class {event.args['faultClass']}",
            f"{function}: {refused}",
            "an epoch was voided that this proof does not prove wrong",
        )
        return 1
    found = (int(event.args["faultClass"]), int(event.args["tree"]), int(event.args["index"]))
    tally.equal(
        event.where,
        (fault.fault_class, int(fault.tree), fault.index),
        found,
        "the proof proves another fault than the event names",
    )
    return 1


def _proposal_of(case: AuditCase, event: Event) -> Proposal | None:
    """Return the proposal that an event ended."""
    for proposal in case.ledger.proposals:
        void = proposal.outcome_event
        if void is not None and void.transaction == event.transaction and void.position > event.position:
            return proposal
    return None


def _read_proof(case: AuditCase, data: bytes) -> tuple[str, list[Any]] | None:
    """Decode a proof: the function's name and its arguments, without the salt, as the rules take them."""
    for entry in case.evidence.artifacts["EpochChallenge"].entries("function"):
        if entry["name"] not in epoch_challenge.PROOFS:
            continue
        types = ",".join(collapse_if_tuple(dict(one)) for one in entry["inputs"])
        if data[:4] != keccak(f"{entry['name']}({types})".encode())[:4]:
            continue
        call = case.evidence.decode_input("EpochChallenge", entry["name"], data)
        if call is None:
            return None
        kinds = [str(one["internalType"]).removeprefix("struct ") for one in entry["inputs"]]
        values = [_as_rule(kind, value) for kind, value in zip(kinds, call.values(), strict=True)]
        return entry["name"], values[1:]
    return None


def _as_rule(kind: str, value: Any) -> Any:
    """Give a decoded argument the type the rules take: addresses as 20 bytes, structs by name."""
    match kind:
        case "EpochHeader":
            return EpochHeader(*value.values())
        case "ActivityLeaf":
            return ActivityLeaf(*_plain(value))
        case "AccountLeaf":
            return AccountLeaf(*_plain(value))
        case "ActivityEvidence":
            leaves = [ActivityLeaf(*_plain(leaf)) for leaf in value["leaves"]]
            return evidence.ActivityEvidence(leaves, value["siblings"])
        case "AccountEvidence":
            return evidence.AccountEvidence(
                [AccountLeaf(*_plain(leaf)) for leaf in value["leaves"]], value["siblings"]
            )
        case "PolicyHead":
            return PolicyHead(*value.values())
        case "DomainEvidence":
            domain = DomainPolicy(*_plain(value["domain"]))
            return epoch_challenge.DomainEvidence(
                PolicyHead(*value["head"].values()), value["domainHashes"], domain
            )
        case "Bracket[]":
            return [_plain(bracket) for bracket in value]
    return value


def _plain(value: Any) -> Any:
    """Return structs as tuples in the order of their fields, and addresses as 20 bytes."""
    if isinstance(value, Mapping):
        return tuple(_plain(item) for item in value.values())
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return bytes.fromhex(value[2:]) if isinstance(value, str) else value


# ---------------------------------------------------------------- A51


def check_requests(case: AuditCase) -> Check:
    """Check requests for leaves: prices, times, deposits held, and that answers stand in the trees."""
    tally = Tally("A51", "requests for leaves: prices, times, deposits held; answers stand in the trees")
    book, call = case.challenges, case.evidence.call
    for difference in book.anomalies:
        tally.add(difference)
    answered = _check_answers(case, tally)
    for position, (still_open, held_until) in book.held.items():
        where = f"block {position[0]}, log {position[1]}, RateOracle.EpochFinalised"
        tally.equal(f"{where}, open requests", 0, still_open, "an epoch became final while leaves were asked")
        now = case.evidence.timestamp(position[0])
        tally.require(
            now >= held_until,
            where,
            f"not before {held_until} (Unix seconds)",
            now,
            "there was no time to prove an answer wrong",
        )
    for (header_hash, ends_at), inquiry in book.inquiries.items():
        what = f"0x{header_hash.hex()}, {ends_at}"
        held = _HELD_FOR_EVER if inquiry.open else max(ends_at, inquiry.held_until)
        for view, expected in (("openRequests", len(inquiry.open)), ("heldUntil", held)):
            tally.equal(
                f"LeafRequests.{view}({what})",
                expected,
                call("LeafRequests", view, header_hash, ends_at),
                "requests changed without an event",
            )
        _check_request_views(case, tally, header_hash, ends_at, inquiry)
    balance = case.evidence.ether("LeafRequests")
    tally.require(
        balance >= book.deposits,
        "LeafRequests, balance in wei",
        f"at least {book.deposits} (deposits of open requests)",
        balance,
        "deposits cannot be paid back",
    )
    if balance > book.deposits:
        tally.note(f"{balance - book.deposits} wei more than the deposits were forced into the contract")
    tally.evidence.update(
        requests=book.asked, answered=answered, deposits_wei=book.deposits, balance_wei=balance
    )
    return tally.done(f"{book.asked} requests, {answered} answers, {book.deposits} wei held")


def _check_request_views(
    case: AuditCase, tally: Tally, header_hash: bytes, ends_at: int, inquiry: Inquiry
) -> None:
    for requester in sorted({request.requester for request in inquiry.requests.values()}):
        tally.equal(
            f"LeafRequests.openRequestsOf(0x{header_hash.hex()}, {ends_at}, {requester})",
            inquiry.open_of(requester),
            case.evidence.call("LeafRequests", "openRequestsOf", header_hash, ends_at, requester),
            "a requester's requests changed without an event",
        )
    for (tree, index), request in inquiry.requests.items():
        waiting = request.state == "open"
        tally.equal(
            f"LeafRequests.requestOf(0x{header_hash.hex()}, {ends_at}, {TREES[tree]}, {index})",
            {
                "requester": request.requester if waiting else ZERO_ADDRESS,
                "deposit": request.deposit if waiting else 0,
                "answerUntil": request.answer_until,
            },
            case.evidence.call("LeafRequests", "requestOf", header_hash, ends_at, tree, index),
            "a request changed without an event",
        )


def _check_answers(case: AuditCase, tally: Tally) -> int:
    """Check each answer against the roots of its header, and against the published rows."""
    count = 0
    for event in case.evidence.events:
        if event.contract != "LeafRequests" or event.name not in ("ActivityAnswered", "AccountAnswered"):
            continue
        proposal = next(
            (
                one
                for one in reversed(case.ledger.proposals)
                if one.event.position < event.position and one.header_hash == event.args["headerHash"]
            ),
            None,
        )
        if proposal is None:
            continue  # no such proposal was pending: reported above
        count += 1
        header = EpochHeader(*proposal.header.values())
        tree = "activity" if event.name == "ActivityAnswered" else "account"
        shown = event.args[tree]
        try:
            if tree == "activity":
                evidence.activity(header, _as_rule("ActivityEvidence", shown))
                leaves = header.activity_count
            else:
                accounts = _as_rule("AccountEvidence", shown)
                evidence.account(header.account_root, header.account_count, accounts)
                leaves = header.account_count
        except Reverted as refused:
            tally.fail(
                event.where,
                "a leaf under the header's root",
                str(refused),
                "what was shown is not in the tree",
            )
            continue
        index = int(shown["leaves"][0]["index"])
        tally.equal(
            f"{event.where}, index", int(event.args["index"]), index, "another leaf was shown than asked for"
        )
        if index == leaves - 1:
            tally.equal(
                f"{event.where}, right of the last leaf",
                None,
                evidence.padded_right(index, shown["siblings"]),
                "something hides in the padding",
            )
        epoch = case.epoch(proposal.epoch)
        if epoch is not None and epoch.proposal is proposal:
            _check_published(tally, event, epoch, tree, index, shown["leaves"][0])
    return count


def _check_published(
    tally: Tally, event: Event, epoch: EpochCase, tree: str, index: int, leaf: Mapping[str, Any]
) -> None:
    """Compare a leaf shown on chain with the published row."""
    columns = epoch.files.activities if tree == "activity" else epoch.files.accounts
    if columns is None or index >= len(columns["account"]):
        return  # reported by A25
    for (name, column), (field, value) in zip(
        ((name, columns[name]) for name in _row_names(tree)), list(leaf.items())[1:], strict=True
    ):
        cell = column[index]
        expected = cell.tobytes() if cell.ndim else int(cell)
        tally.equal(
            f"{event.where}, {tree} {index}, {field}",
            expected,
            bytes.fromhex(value[2:]) if isinstance(value, str) else value,
            f"the published {name} is not what the root commits to",
        )


def _row_names(tree: str) -> tuple[str, ...]:
    kind = ActivityLeaf if tree == "activity" else AccountLeaf
    return tuple(kind.__dataclass_fields__)[1:]
