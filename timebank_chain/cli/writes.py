"""What every command that writes to the chain does: show it, ask, send it, report it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import TYPE_CHECKING, Any

from timebank_chain.cli.options import confirm
from timebank_chain.cli.output import print_json, print_table, say
from timebank_chain.errors import UsageError
from timebank_chain.units import format_time

if TYPE_CHECKING:
    from timebank_chain.chain.signer import Signer
    from timebank_chain.chain.system import Timebank
    from timebank_chain.chain.transactions import Call, Receipt

#: What a receipt tells that was not known before, for example the number of a new deposit.
Learn = Callable[["Receipt"], Mapping[str, Any]]

ETHER = 10**18

_MOST_WEI = (1 << 256) - 1
#: Digits of the most wei and more: nothing is rounded.
_EXACT = Context(prec=100, traps=[Inexact, InvalidOperation])


def parse_ether(text: str, option: str = "") -> int:
    """Read an amount of the chain's own coin (``0.01``) as wei, to the last digit.

    ``option`` is named where the text is no amount.
    """
    wrong = f"{option}: not an amount of coins: {text!r}" if option else f"not an amount of coins: {text!r}"
    try:
        wei = _EXACT.multiply(Decimal(text), Decimal(ETHER))
    except Inexact:
        wei = Decimal("NaN")  # more digits than any amount of wei has
    except InvalidOperation:
        raise UsageError(wrong, hint="write 0.01") from None
    if not wei.is_finite() or not 0 <= wei <= _MOST_WEI or wei != wei.to_integral_value():
        raise UsageError(wrong, hint="at least 0, at most 18 decimals")
    return int(wei)


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
    learn: Learn | None = None,
) -> Receipt:
    """Simulate a call, ask, send it and print what became of it.

    Parameters
    ----------
    question
        What is about to happen, as a sentence ending in a question mark.
    facts
        What the JSON document says beyond the transaction.
    dry_run
        Print what would be sent and stop; nobody is asked.
    learn
        Called with the mined receipt; what it returns replaces ``facts`` of the same names.
    """
    receipt = timebank.send(signer, call, dry_run=True)
    if not dry_run:
        if not as_json and not yes:
            print_receipt(receipt)
        confirm(question, yes=yes)
        receipt = timebank.send(signer, call)
    learnt = learn(receipt) if learn is not None and receipt.sent else {}
    report(receipt, schema=schema, facts={**facts, **learnt}, as_json=as_json)
    return receipt


def perform_all(
    timebank: Timebank,
    signer: Signer,
    calls: Sequence[Call],
    *,
    question: str,
    schema: str,
    facts: Mapping[str, Any],
    yes: bool,
    dry_run: bool,
    as_json: bool,
    learn: Learn | None = None,
    before_last: Callable[[], None] | None = None,
) -> Receipt | None:
    """Do several calls in turn, asked for once; each is simulated when the ones before it are mined.

    The JSON document lists them under ``transactions``. A dry run simulates the first only: what the others
    need (an approval, say) is not there yet, so they carry no gas. Callers check beforehand whatever can be
    read, so that no approval is sent for something that will be refused.

    Parameters
    ----------
    learn
        Called with every receipt in turn; what it returns replaces ``facts`` of the same names.
    before_last
        Called when the simulation of the last call has passed, before it is sent.

    Returns
    -------
    Receipt
        Of the last call; ``None`` after a dry run.
    """
    first = timebank.send(signer, calls[0], dry_run=True)
    documents = [first.to_json(), *(_planned(first, call, n) for n, call in enumerate(calls[1:], start=1))]
    if dry_run or not (as_json or yes):
        if as_json:
            print_json(schema, {**facts, "sent": False, "transactions": documents})
            return None
        for document in documents:
            print_transaction(document)
        if dry_run:
            say("dry run: nothing was sent")
            return None
    confirm(question, yes=yes)
    receipts = []
    for n, call in enumerate(calls, start=1):
        ahead = before_last if n == len(calls) else None
        receipts.append(timebank.send(signer, call, before_broadcast=ahead))
        if n < len(calls):
            say(f"{n} of {len(calls)} is in block {receipts[-1].block_number}: {call.name}")
    learnt: dict[str, Any] = {}
    if learn is not None:
        for receipt in receipts:
            learnt |= learn(receipt)
    if as_json:
        sent = [receipt.to_json() for receipt in receipts]
        print_json(schema, {**facts, **learnt, "sent": True, "transactions": sent})
    else:
        for receipt in receipts:
            print_receipt(receipt)
    return receipts[-1]


def _planned(first: Receipt, call: Call, after: int) -> dict[str, Any]:
    """Return a call that waits for others, in the shape of a transaction that is not sent."""
    from timebank_chain.chain.transactions import plain

    return {
        **first.to_json(),
        "call": call.name,
        "to": call.target,
        "arguments": {name: plain(value) for name, value in call.arguments.items()},
        "value_wei": call.value,
        "gas": None,
        "gas_price_wei": None,
        "max_cost_wei": None,
        "nonce": first.prepared.fields["nonce"] + after,
    }


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
    print_transaction(receipt.to_json())


def print_transaction(document: Mapping[str, Any]) -> None:
    """Print a transaction's JSON (``Receipt.to_json``) as a table."""
    rows: list[tuple[str, object]] = [
        ("call", document["call"]),
        ("to", document["to"] or "a new contract"),
        ("from", document["from"]),
        ("chain", document["chain_id"]),
    ]
    rows += [(f"  {name}", _shorten(value)) for name, value in document["arguments"].items()]
    if document["value_wei"]:
        rows.append(("value", f"{format_ether(document['value_wei'])} coin"))
    if document["sent"]:
        rows += [
            ("transaction", document["transaction"]),
            ("block", document["block"]),
            ("gas used", f"{document['gas']:,}"),
            ("gas cost", f"{format_ether(document['gas'] * document['gas_price_wei'])} coin"),
        ]
    else:
        rows.append(("nonce", document["nonce"]))
        if document["gas"] is None:
            rows.append(("gas", "known when the ones before it are mined"))
        else:
            rows += [
                ("gas limit", f"{document['gas']:,}"),
                ("costs at most", f"{format_ether(document['max_cost_wei'])} coin"),
            ]
    print_table("Sent" if document["sent"] else "To be sent", ["", ""], rows)


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


def leave_alone(fact: str, *, schema: str, facts: Mapping[str, Any], as_json: bool) -> None:
    """Say that a setting is already as wanted; nothing is sent.

    ``fact`` is the setting as it stands, as the end of a sentence; the JSON document is that of
    :func:`govern` with the state ``unchanged``.
    """
    if as_json:
        print_json(schema, {**facts, "state": "unchanged", "ready_at": None, "sent": False})
        return
    say(f"already so, nothing was sent: {fact}")


def _shorten(value: object) -> str:
    text = str(value)
    return text if len(text) <= 80 else text[:77] + "..."
