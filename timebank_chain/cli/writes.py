"""What every command that writes to the chain does: show it, ask, send it, report it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from timebank_chain.cli.options import confirm
from timebank_chain.cli.output import print_json, print_table, say
from timebank_chain.units import format_time

if TYPE_CHECKING:
    from timebank_chain.chain.signer import Signer
    from timebank_chain.chain.system import Timebank
    from timebank_chain.chain.transactions import Call, Receipt

ETHER = 10**18


def format_ether(wei: int) -> str:
    """Write wei in whole coins: ``10000000000000000`` gives ``0.01``."""
    whole, rest = divmod(wei, ETHER)
    return f"{whole}.{rest:018d}".rstrip("0").rstrip(".")


def perform(
    timebank: Timebank,
    signer: Signer,
    call: Call,
    *,
    question: str,
    schema: str,
    facts: Mapping[str, Any],
    yes: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Simulate a call, ask, send it and print what became of it.

    Parameters
    ----------
    question
        What is about to happen, as a sentence ending in a question mark.
    facts
        What the JSON document says beyond the transaction.
    dry_run
        Print what would be sent and stop; nobody is asked.
    """
    receipt = timebank.send(signer, call, dry_run=True)
    if not dry_run:
        if not as_json and not yes:
            print_receipt(receipt)
        confirm(question, yes=yes)
        receipt = timebank.send(signer, call)
    report(receipt, schema=schema, facts=facts, as_json=as_json)


def report(receipt: Receipt, *, schema: str, facts: Mapping[str, Any], as_json: bool) -> None:
    """Print what became of a transaction."""
    if as_json:
        print_json(schema, {**facts, **receipt.to_json()})
        return
    print_receipt(receipt)
    if not receipt.sent:
        say("dry run: nothing was sent")


def print_receipt(receipt: Receipt) -> None:
    """Print a transaction, sent or not, as a table."""
    document = receipt.to_json()
    rows: list[tuple[str, object]] = [
        ("call", document["call"]),
        ("to", document["to"] or "a new contract"),
        ("from", document["from"]),
        ("chain", document["chain_id"]),
    ]
    rows += [(f"  {name}", _shorten(value)) for name, value in document["arguments"].items()]
    if document["value_wei"]:
        rows.append(("value", f"{format_ether(document['value_wei'])} coin"))
    if receipt.sent:
        rows += [
            ("transaction", document["transaction"]),
            ("block", document["block"]),
            ("gas used", f"{document['gas']:,}"),
            ("gas cost", f"{format_ether(document['gas'] * document['gas_price_wei'])} coin"),
        ]
    else:
        rows += [
            ("nonce", document["nonce"]),
            ("gas limit", f"{document['gas']:,}"),
            ("costs at most", f"{format_ether(document['max_cost_wei'])} coin"),
        ]
    print_table("Sent" if receipt.sent else "To be sent", ["", ""], rows)


def govern(
    timebank: Timebank,
    signer: Signer,
    call: Call,
    *,
    question: str,
    schema: str,
    facts: Mapping[str, Any] | None = None,
    yes: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Do the next step of a restricted call: schedule it, tell how long to wait, or execute it.

    ``facts`` is what the JSON document says beyond the state and the transaction.
    """
    step = timebank.govern(signer, call, dry_run=True)
    if step.receipt is not None and not dry_run:
        if not as_json and not yes:
            print_receipt(step.receipt)
        confirm(question, yes=yes)
        step = timebank.govern(signer, call)
    if as_json:
        body: dict[str, Any] = {**(facts or {}), "state": step.state.value, "ready_at": step.ready_at or None}
        if step.receipt is not None:
            body |= step.receipt.to_json()
        print_json(schema, body)
        return
    if step.receipt is not None:
        print_receipt(step.receipt)
    if dry_run:
        say("dry run: nothing was sent")
    elif step.state == "done":
        say("done")
    else:
        say(f"{step.state.value}: run the same command again at {format_time(step.ready_at * 1000)} or later")


def _shorten(value: object) -> str:
    text = str(value)
    return text if len(text) <= 80 else text[:77] + "..."
