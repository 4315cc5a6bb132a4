"""How offers and leases look: tables for people, plain values (micro-credits) for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from timebank_chain.cli.output import out, print_table, say
from timebank_chain.units import format_duration, format_micro, format_time, mul_div_down, mul_div_up

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eth_typing import ChecksumAddress

    from timebank_chain.chain.credit_lease import LeaseOffer
    from timebank_chain.chain.lease_check import EarlySettlement, OfferState
    from timebank_chain.chain.lease_history import LeaseRecord
    from timebank_chain.chain.portfolio import OwnLease, Portfolio
    from timebank_chain.errors import ContractError

ONE_BPS = 10_000
YEAR = 31_536_000


def whom(lessee: ChecksumAddress) -> str:
    """Name who an offer is for."""
    return "anybody" if int(lessee, 16) == 0 else lessee


def span(seconds: int) -> str:
    """Write seconds in the largest unit that divides them."""
    return format_duration(seconds * 1000)


def moment(seconds: int) -> str:
    """Write Unix seconds as time."""
    return format_time(seconds * 1000)


def print_offer(offer: LeaseOffer, offer_hash: bytes) -> None:
    """Print what an offer says."""
    print_table(
        f"Offer 0x{offer_hash.hex()}",
        ["", ""],
        [
            ("lender", offer.lender),
            ("for", whom(offer.lessee)),
            ("credits", format_micro(offer.amount)),
            ("rent", f"{format_micro(offer.rent)} for the whole, {_yearly(offer)} a year"),
            ("term", span(offer.term)),
            ("smallest part", format_micro(offer.min_take)),
            ("security", "a receipt, or standing" if offer.on_standing else "a receipt"),
            ("can be taken until", moment(offer.expires_at)),
        ],
    )


def _yearly(offer: LeaseOffer) -> str:
    return f"{yearly_bps(offer) / 100:g} %"


def yearly_bps(offer: LeaseOffer) -> int:
    """Return the rent as basis points of the amount a year, rounded down; to compare with a loan's rate."""
    return mul_div_down(offer.rent * ONE_BPS, YEAR, offer.amount * offer.term)


def quote_document(state: OfferState, amount: int, refusal: ContractError | None) -> dict[str, Any]:
    """Return what taking a part of an offer would mean."""
    offer = state.offer.offer
    rent = offer.rent_for(amount)
    fee = mul_div_up(rent, state.fee_bps, ONE_BPS)
    return {
        "offer_hash": "0x" + state.offer.offer_hash.hex(),
        "lender": offer.lender,
        "amount_micro": amount,
        "left_micro": state.left,
        "rent_micro": rent,
        "owed_micro": amount + rent,
        "fee_micro": fee,
        "to_lender_micro": amount + rent - fee,
        "yearly_rent_bps": yearly_bps(offer),
        "due_at": state.time + offer.term,
        "on_standing": offer.on_standing,
        "takable": refusal is None,
        "refusal": None if refusal is None else {"code": refusal.code, "message": refusal.message},
    }


def settlement_document(receipt_id: int | None, cost: EarlySettlement | None) -> dict[str, Any]:
    """Return what settling would cost before the receipt matures; nulls if it matures in time."""
    return {
        "receipt_id": receipt_id,
        "matures_after_due_at": None if cost is None else cost.matures_at,
        "settlement_penalty_micro": None if cost is None else cost.penalty,
    }


def say_settlement(receipt_id: int | None, cost: EarlySettlement | None) -> None:
    """Warn of a receipt that matures after the due day."""
    if cost is not None:
        say(
            f"receipt {receipt_id} matures at {moment(cost.matures_at)}, after the due day: settled before, "
            f"it is closed early, which costs {format_micro(cost.penalty)} credits of penalty and its income"
        )


def print_quote(state: OfferState, amount: int) -> None:
    """Print what taking a part of an offer would mean."""
    offer, document = state.offer.offer, quote_document(state, amount, None)
    to_lender, fee = format_micro(document["to_lender_micro"]), format_micro(document["fee_micro"])
    print_table(
        f"{format_micro(amount)} credits of {offer.lender}",
        ["", ""],
        [
            ("rent", f"{format_micro(document['rent_micro'])} ({_yearly(offer)} a year)"),
            ("to repay", format_micro(document["owed_micro"])),
            ("until", f"{moment(document['due_at'])} if taken now ({span(offer.term)})"),
            ("the lender gets", f"{to_lender}, the fee is {fee}"),
            (
                "security",
                f"a receipt worth {format_micro(document['owed_micro'])}"
                + (", or standing that allows as much" if offer.on_standing else ""),
            ),
            ("left of the offer", format_micro(state.left)),
        ],
    )


def check_document(state: OfferState, refusals: Sequence[ContractError]) -> dict[str, Any]:
    """Return the state of an offer and every reason against taking it."""
    signed = state.offer
    return {
        "ok": not refusals,
        "offer": signed.to_json(),
        "time": state.time,
        "signed": state.signed,
        "taken_micro": state.taken,
        "left_micro": state.left,
        "covered_micro": state.covered,
        "cancelled": state.cancelled,
        "series": state.series,
        "paused": state.paused,
        "balance_micro": state.balance,
        "allowance_micro": state.allowance,
        "refusals": [{"code": one.code, "message": one.message, "hint": one.hint} for one in refusals],
    }


def print_check(state: OfferState) -> None:
    """Print the state of an offer."""
    offer = state.offer.offer
    expired = state.time > offer.expires_at
    rows = [
        (state.signed, "signature", "the lender's" if state.signed else "not the lender's"),
        (not expired, "expiry", f"{moment(offer.expires_at)}, it is {moment(state.time)}"),
        (offer.series == state.series, "series", f"{offer.series}, the lender is at {state.series}"),
        (not state.cancelled, "cancelled", "yes" if state.cancelled else "no"),
        (not state.paused, "leasing", "paused" if state.paused else "open"),
        (state.left > 0, "left", f"{format_micro(state.left)} of {format_micro(offer.amount)}"),
        (state.balance >= state.smallest, "lender's balance", format_micro(state.balance)),
        (state.allowance >= state.smallest, "allowance", format_micro(state.allowance)),
    ]
    print_table("Check", ["", "what", "found"], [("ok" if ok else "FAILED", *row) for ok, *row in rows])


def print_leases(portfolio: Portfolio) -> None:
    """Print an account's running leases."""
    rows = [_row(one, "lent to", one.lease.lessee, one.to_lender) for one in portfolio.leases_lent]
    rows += [_row(one, "rented from", one.lease.lender, one.lease.owed) for one in portfolio.leases_owed]
    if not rows:
        say(f"{portfolio.account} has no lease at block {portfolio.block}")
        return
    print_table(
        f"{portfolio.account}, block {portfolio.block}",
        [">lease", "", "with", ">principal", ">rent", ">still comes or owed", "due", "security"],
        rows,
    )


def _row(own: OwnLease, what: str, other: str, left: int) -> tuple[object, ...]:
    lease = own.lease
    return (
        lease.lease_id,
        what,
        other,
        format_micro(lease.principal),
        format_micro(lease.rent),
        format_micro(left),
        moment(lease.due_at) + (" OVERDUE" if own.overdue else ""),
        f"receipt {lease.receipt_id}" if lease.receipt_id else "standing",
    )


def lease_document(own: OwnLease) -> dict[str, Any]:
    """Return a running lease."""
    lease = own.lease
    return {
        "lease_id": lease.lease_id,
        "offer_hash": "0x" + own.offer_hash.hex(),
        "lender": lease.lender,
        "lessee": lease.lessee,
        "principal_micro": lease.principal,
        "rent_micro": lease.rent,
        "repaid_micro": lease.repaid,
        "owed_micro": lease.owed,
        "to_lender_micro": own.to_lender,
        "due_at": lease.due_at,
        "overdue": own.overdue,
        "receipt_id": lease.receipt_id,
        "account": lease.account,
    }


def record_document(record: LeaseRecord) -> dict[str, Any]:
    """Return a lease with everything that happened to it."""
    taken, lease = record.taken, record.lease
    return {
        "lease_id": taken.lease_id,
        "state": record.state,
        "offer_hash": "0x" + taken.offer_hash.hex(),
        "lender": taken.lender,
        "lessee": taken.lessee,
        "principal_micro": taken.principal,
        "rent_micro": taken.rent,
        "fee_bps": taken.fee_bps,
        "due_at": taken.due_at,
        "receipt_id": taken.receipt_id or None,
        "account": None if taken.receipt_id else taken.account,
        "owed_micro": 0 if lease is None else lease.owed,
        "steps": [
            {
                "time": step.time,
                "block": step.block,
                "kind": step.kind,
                "amount_micro": step.amount,
                "fee_micro": step.fee,
            }
            for step in record.steps
        ],
    }


def print_record(record: LeaseRecord) -> None:
    """Print a lease with everything that happened to it."""
    taken, lease = record.taken, record.lease
    security = f"receipt {taken.receipt_id}" if taken.receipt_id else f"the standing of {taken.account}"
    print_table(
        f"Lease {taken.lease_id}: {record.state}",
        ["", ""],
        [
            ("lender", taken.lender),
            ("lessee", taken.lessee),
            ("principal", format_micro(taken.principal)),
            ("rent", format_micro(taken.rent)),
            ("due", moment(taken.due_at)),
            ("security", security),
            ("owed", format_micro(0 if lease is None else lease.owed)),
        ],
    )
    print_table(
        "What happened",
        ["time", "what", ">credits", ">of it fee"],
        [
            (
                moment(step.time),
                step.kind,
                format_micro(step.amount),
                format_micro(step.fee) if step.fee else "",
            )
            for step in record.steps
        ],
    )
    if record.state == "overdue":
        out().print(
            f"settle it: timebank lease settle {taken.lease_id}"
            if taken.receipt_id
            else "the lessee's claims repay it first"
        )
