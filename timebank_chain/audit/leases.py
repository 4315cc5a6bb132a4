"""Leases: what is owed has come in, is owed still or was given up, and every offer is its lender's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eth_abi.abi import encode

from timebank_chain.audit.case import AuditCase
from timebank_chain.audit.epochs import recover
from timebank_chain.audit.evidence import Event
from timebank_chain.audit.lease_book import Lease
from timebank_chain.audit.lending import standing_limit
from timebank_chain.audit.replay import ZERO_ADDRESS
from timebank_chain.audit.report import Check, Tally
from timebank_chain.audit.storage_root import keccak
from timebank_chain.units import format_micro, mul_div_up

_SILENT = "the lease's storage was changed without an event"
_DOMAIN = b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
_OFFER = (
    b"LeaseOffer(address lender,address lessee,uint64 amount,uint64 minTake,uint64 rent,uint32 term,"
    b"bool onStanding,uint40 expiresAt,uint64 series,uint256 salt)"
)
_OFFER_TYPES = [part.split()[0] for part in _OFFER.decode()[len("LeaseOffer(") : -1].split(",")]


def check_leases(case: AuditCase) -> Check:
    """Check every lease against its events, and that principal and rent are paid, owed or given up."""
    tally = Tally("A45", "leases = their events: principal + rent = paid + owed + given up; fee as computed")
    book, call = case.bank.leases, case.evidence.call
    for difference in case.bank.anomalies_of("leases"):
        tally.add(difference)
    owed = 0
    for number, lease in book.leases.items():
        tally.require(
            lease.over or not lease.ended,
            f"lease {number}",
            "closed, being " + lease.ended,
            "open",
            "a lease that has ended goes on",
        )
        found = call("CreditLease", "leaseOf", number)
        tally.equal(f"CreditLease.leaseOf({number})", _stored(lease), found, _SILENT)
        owed += int(found["principal"]) + int(found["rent"]) - int(found["repaid"])
    every = book.leases.values()
    paid, given_up = (
        sum(lease.repaid for lease in every),
        sum(lease.forgiven + lease.short for lease in every),
    )
    tally.equal(
        "principal + rent of all leases",
        sum(lease.total for lease in every),
        paid + owed + given_up,
        "part of what was lent or promised is unaccounted for",
    )
    for lessee in sorted({lease.lessee for lease in every}):
        expected = book.standing_of.get(lessee, 0)
        found = call("CreditLease", "standingLeaseOf", lessee)
        tally.equal(f"CreditLease.standingLeaseOf({lessee})", expected, found, _SILENT)
    tally.equal("CreditLease.leaseCount", len(book.leases), call("CreditLease", "leaseCount"), _SILENT)
    for lease in every:
        if lease.account != ZERO_ADDRESS:
            _check_standing(case, tally, lease)
    tally.evidence.update(leases=len(book.leases), paid=paid, owed=owed, given_up=given_up)
    return tally.done(
        f"{len(book.leases):,} leases, {format_micro(paid)} paid, {format_micro(owed)} owed,"
        f" {format_micro(given_up)} given up"
    )


def _stored(lease: Lease) -> dict[str, Any]:
    """A lease as the contract keeps it: nothing when it is over."""
    if lease.over:
        addresses = dict.fromkeys(("lender", "lessee", "account"), ZERO_ADDRESS)
        numbers = dict.fromkeys(("dueAt", "receiptId", "feeBps", "principal", "rent", "repaid"), 0)
        return addresses | numbers
    return {
        "lender": lease.lender,
        "dueAt": lease.due_at,
        "receiptId": lease.receipt,
        "feeBps": lease.fee_bps,
        "lessee": lease.lessee,
        "principal": lease.principal,
        "account": lease.account,
        "rent": lease.rent,
        "repaid": lease.repaid,
    }


def _check_standing(case: AuditCase, tally: Tally, lease: Lease) -> None:
    now = case.evidence.timestamp(lease.taken.block)
    limit = standing_limit(case, lease.taken, now, lease.account)
    if limit is None:
        meaning = "nobody can say what standing allowed"
        tally.fail(lease.taken.where, "a leaf in the epoch that stood", "none", meaning)
        return
    tally.require(
        lease.total <= limit,
        lease.taken.where,
        f"at most {limit}, which the account's standing allowed",
        lease.total,
        "a lease on standing that the standing did not carry",
    )


def check_offers(case: AuditCase) -> Check:
    """Check every offer taken, cancelled or ended, and the lender's signature under it."""
    tally = Tally("A46", "every lease is its lender's signed offer, within its terms; cancelled ones stay so")
    book, call = case.bank.leases, case.evidence.call
    for offer_hash, taken in sorted(book.taken.items()):
        name = f"0x{offer_hash.hex()}"
        tally.equal(
            f"CreditLease.takenOf({name})", taken, call("CreditLease", "takenOf", offer_hash), _SILENT
        )
    for offer_hash in sorted(set(book.cancelled) | set(book.taken)):
        name, found = f"0x{offer_hash.hex()}", call("CreditLease", "isCancelled", offer_hash)
        tally.equal(f"CreditLease.isCancelled({name})", offer_hash in book.cancelled, found, _SILENT)
    for lender in sorted(set(book.series) | {lease.lender for lease in book.leases.values()}):
        expected = book.series.get(lender, 0)
        tally.equal(
            f"CreditLease.seriesOf({lender})", expected, call("CreditLease", "seriesOf", lender), _SILENT
        )
    seen, unseen = 0, 0
    taken_so_far: dict[bytes, int] = {}
    for lease in book.leases.values():
        before = taken_so_far.get(lease.offer_hash, 0)
        taken_so_far[lease.offer_hash] = before + lease.principal
        offered = _offer_of(case, lease.taken)
        if offered is None:
            unseen += 1
            continue
        seen += 1
        _check_offer(case, tally, lease, offered, before)
    if unseen:
        tally.note(f"{unseen:,} leases were taken through another contract: their offers are not in the call")
    tally.evidence.update(offers=len(book.taken), cancelled=len(book.cancelled), seen=seen, unseen=unseen)
    return tally.done(f"{len(book.taken):,} offers taken, {len(book.cancelled):,} cancelled")


def _offer_of(case: AuditCase, event: Event) -> Mapping[str, Any] | None:
    """Read the offer from the call that took it; ``None`` when another contract made that call."""
    transaction = case.evidence.transaction(event.transaction)
    if str(transaction.get("to") or "").lower() != case.evidence.address("CreditLease").lower():
        return None
    data = bytes(transaction["input"])
    for function in ("take", "takeOnStanding"):
        call = case.evidence.decode_input("CreditLease", function, data)
        if call is not None:
            return call
    return None


def offer_digest(offer: Mapping[str, Any], chain_id: int, contract: str) -> bytes:
    """Return the EIP-712 digest of an offer: what its lender signed."""
    domain = encode(
        ["bytes32", "bytes32", "bytes32", "uint256", "address"],
        [keccak(_DOMAIN), keccak(b"timebank CreditLease"), keccak(b"1"), chain_id, contract],
    )
    struct = encode(["bytes32", *_OFFER_TYPES], [keccak(_OFFER), *offer.values()])
    return keccak(b"\x19\x01" + keccak(domain) + keccak(struct))


def _check_offer(
    case: AuditCase, tally: Tally, lease: Lease, call: Mapping[str, Any], taken_before: int
) -> None:
    where, offer, amount = lease.taken.where, call["offer"], int(call["amount"])
    digest = offer_digest(offer, case.chain_id, case.evidence.address("CreditLease"))
    now = case.evidence.timestamp(lease.taken.block)
    tally.equal(f"{where}, offerHash", digest, lease.offer_hash, "the lease is of another offer")
    tally.equal(f"{where}, lender", offer["lender"], lease.lender, "the lease is another lender's")
    tally.equal(f"{where}, principal", amount, lease.principal, "another sum was taken")
    rent = mul_div_up(int(offer["rent"]), amount, int(offer["amount"]))
    tally.equal(f"{where}, rent", rent, lease.rent, "a part pays its share of the rent, rounded up")
    tally.equal(f"{where}, dueAt", now + int(offer["term"]), lease.due_at, "the term is another")
    tally.equal(f"{where}, series", offer["series"], lease.series, "the offer's series was over")
    left = int(offer["amount"]) - taken_before
    tally.require(
        amount <= left
        and (amount >= int(offer["minTake"]) or amount == left)
        and now <= int(offer["expiresAt"])
        and offer["lessee"] in (ZERO_ADDRESS, lease.lessee)
        and (lease.receipt != 0 or offer["onStanding"]),
        where,
        "a part within the offer's terms",
        f"{amount} of {left} left, by {lease.lessee} at {now}",
        "an offer was taken that did not allow it",
    )
    signer = recover(digest, bytes(call["signature"]))
    if signer != lease.lender and case.evidence.code_at(lease.lender):
        tally.note(f"{where}: the lender is a contract; what it signed is its own word (ERC-1271)")
        return
    tally.equal(f"{where}, signature", lease.lender, signer, "the lender did not sign this offer")
