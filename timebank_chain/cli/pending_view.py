"""The pending proposal as `chain status` and `oracle status` show it: who asks for leaves, what holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from timebank_chain.units import format_time

if TYPE_CHECKING:
    from timebank_chain.chain.rate_oracle import PendingEpoch
    from timebank_chain.chain.system import Timebank

#: Most requests named in a table; JSON has them all.
NAMED = 5


def pending_body(timebank: Timebank, pending: PendingEpoch | None, *, block: int) -> dict[str, Any] | None:
    """Return the pending proposal as JSON values, with the leaves of it that are asked for."""
    if pending is None:
        return None
    from timebank_chain.chain.inquiries import open_requests

    held_until = timebank.leaf_requests.held_until(
        pending.header_hash, pending.challenge_ends_at, block=block
    )
    # Only where something is open are its events looked for.
    asked = open_requests(timebank, pending, block) if held_until is None else []
    return {
        "epoch": pending.epoch,
        "header_hash": "0x" + pending.header_hash.hex(),
        "proposer": pending.proposer,
        "bond_wei": pending.bond_wei,
        "challenge_ends_at": pending.challenge_ends_at,
        "held_until": held_until,
        "open_requests": [
            {
                "tree": one.tree,
                "index": one.index,
                "requester": one.requester,
                "deposit_wei": one.deposit,
                "answer_until": one.answer_until,
            }
            for one in asked
        ],
    }


def pending_rows(pending: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what holds the proposal beyond its challenge window, as rows of a table."""
    asked = pending["open_requests"]
    rows = [
        (
            "asked for" if number == 0 else "",
            f"{one['tree']} {one['index']}, to be shown by {format_time(one['answer_until'] * 1_000)}",
        )
        for number, one in enumerate(asked[:NAMED])
    ]
    if len(asked) > NAMED:
        rows.append(("", f"and {len(asked) - NAMED} more"))
    if asked:
        rows.append(("held until", "all that is asked for is shown, or it is voided"))
    elif pending["held_until"] > pending["challenge_ends_at"]:
        rows.append(("held until", format_time(pending["held_until"] * 1_000)))
    return rows
