"""How a statement is shown: as a document, as comma-separated values, as tables."""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from timebank_chain.cli.output import out, print_table
from timebank_chain.cli.writes import format_ether
from timebank_chain.units import format_micro, format_time

if TYPE_CHECKING:
    from timebank_chain.chain.accrual import Accrual
    from timebank_chain.chain.statement import Movement, Statement

_MOVEMENT_FIELDS = (
    "time",
    "block",
    "log_index",
    "transaction",
    "kind",
    "amount_micro",
    "fee_micro",
    "balance_micro",
    "other",
    "epoch",
    "memo_hash",
    "memo",
    "receipt_id",
    "lease_id",
    "order_id",
    "parts",
    "token",
    "units",
)
_ACCRUAL_FIELDS = (
    "time",
    "block",
    "log_index",
    "transaction",
    "subject",
    "receipt_id",
    "kind",
    "amount_micro",
    "total_micro",
    "fee_micro",
    "released_micro",
    "weight",
    "total_weight",
)


def document(read: Statement, texts: Mapping[bytes, str]) -> dict[str, Any]:
    """Return the body of ``timebank.wallet.statement/1``; ``texts`` are known memos by their hash."""
    return {
        "account": read.account,
        "block": read.block,
        "balance_micro": read.balance,
        "movements": [_movement_row(one, texts) for one in read.movements],
        "accruals": [_accrual_row(one) for one in read.accruals],
        "deposits": [
            {
                "receipt_id": one.receipt_id,
                "principal_micro": one.principal,
                "term_id": one.term_id,
                "matures_at": one.matures_at,
                "unpaid_income_micro": one.unpaid_income,
                "pledged_to": one.pledged_to,
            }
            for one in read.deposits
        ],
        "loans": [
            {
                "receipt_id": one.receipt_id or None,
                "borrowed_micro": one.borrowed,
                "repaid_micro": one.repaid,
                "interest_micro": one.interest,
                "owed_micro": one.owed,
            }
            for one in read.loans
        ],
        "supply": None
        if read.supply is None
        else {"shares": read.supply.shares, "worth_micro": read.supply.worth},
    }


def print_csv(read: Statement, texts: Mapping[bytes, str], *, accruals: bool) -> None:
    """Print movements, or accruals; the parts of a movement as ``principal_micro=100;income_micro=5``."""
    if accruals:
        rows = [_accrual_row(one) for one in read.accruals]
    else:
        rows = [_movement_row(one, texts) for one in read.movements]
    writer = csv.DictWriter(sys.stdout, fieldnames=_ACCRUAL_FIELDS if accruals else _MOVEMENT_FIELDS)
    writer.writeheader()
    for row in rows:
        cells = {key: "" if cell is None else cell for key, cell in row.items()}
        if "parts" in cells:
            cells["parts"] = ";".join(f"{name}={amount}" for name, amount in row["parts"].items())
        writer.writerow(cells)


def print_movements(read: Statement, texts: Mapping[bytes, str]) -> None:
    """Print the movements and the balance they add up to."""
    print_table(
        f"{read.account}, to block {read.block}",
        ["time", "what", ">credits", ">of it fee", ">balance", "with", "about"],
        [
            (
                format_time(one.time * 1000),
                one.kind,
                format_micro(one.amount),
                format_micro(one.fee) if one.fee else "",
                format_micro(one.balance),
                one.other,
                _about(one, texts),
            )
            for one in read.movements
        ],
    )
    out().print(f"balance {format_micro(read.balance)} credits, as on chain")


def print_accruals(read: Statement) -> None:
    """Print the accruals and the totals they add up to."""
    print_table(
        "Accruals: unpaid income of deposits, before its fee, what loans owe, what pool shares are worth",
        ["time", "of", "what", ">credits", ">total"],
        [
            (
                format_time(one.time * 1000),
                f"{one.subject} {one.receipt_id}" if one.receipt_id else one.subject,
                one.kind,
                format_micro(one.amount),
                format_micro(one.total),
            )
            for one in read.accruals
        ],
    )
    for deposit in read.deposits:
        out().print(
            f"deposit {deposit.receipt_id}: income {format_micro(deposit.unpaid_income)} credits, as on chain"
        )
    for loan in read.loans:
        name = f"loan {loan.receipt_id}" if loan.receipt_id else "loan on standing"
        out().print(f"{name}: {format_micro(loan.owed)} credits owed, as on chain")
    if read.supply is not None:
        out().print(f"pool shares: worth {format_micro(read.supply.worth)} credits, as on chain")


def _about(one: Movement, texts: Mapping[bytes, str]) -> str:
    """Say in a line what a movement is about: memo, epoch, receipt, lease and what it consists of."""
    words = []
    if one.memo_hash:
        words.append(texts.get(one.memo_hash) or "0x" + one.memo_hash.hex())
    for name, number in (
        ("epoch", one.epoch),
        ("receipt", one.receipt_id),
        ("lease", one.lease_id),
        ("order", one.order_id),
    ):
        if number:
            words.append(f"{name} {number}")
    words += [f"{name} {format_micro(part)}" for name, part in one.parts.items() if name != "shares" and part]
    if one.token is not None:
        is_coin = int(one.token, 16) == 0
        words.append(f"for {format_ether(one.units)} coin" if is_coin else f"for {one.units} of {one.token}")
    return ", ".join(words)


def _movement_row(one: Movement, texts: Mapping[bytes, str]) -> dict[str, Any]:
    return {
        "time": one.time,
        "block": one.at.block,
        "log_index": one.at.log_index,
        "transaction": "0x" + one.at.transaction.hex(),
        "kind": one.kind,
        "amount_micro": one.amount,
        "fee_micro": one.fee,
        "balance_micro": one.balance,
        "other": one.other,
        "epoch": one.epoch or None,
        "memo_hash": "0x" + one.memo_hash.hex() if one.memo_hash else None,
        "memo": texts.get(one.memo_hash) if one.memo_hash else None,
        "receipt_id": one.receipt_id or None,
        "lease_id": one.lease_id or None,
        "order_id": one.order_id or None,
        "parts": {
            name if name == "shares" else f"{name.replace(' ', '_')}_micro": part
            for name, part in one.parts.items()
        },
        "token": one.token,
        # As text: many readers of JSON round numbers of that size.
        "units": str(one.units) if one.token is not None else None,
    }


def _accrual_row(one: Accrual) -> dict[str, Any]:
    return {
        "time": one.time,
        "block": one.at.block if one.at else None,
        "log_index": one.at.log_index if one.at else None,
        "transaction": "0x" + one.at.transaction.hex() if one.at else None,
        "subject": one.subject,
        "receipt_id": one.receipt_id or None,
        "kind": one.kind,
        "amount_micro": one.amount,
        "total_micro": one.total,
        "fee_micro": one.fee,
        "released_micro": one.released,
        "weight": one.weight,
        "total_weight": one.total_weight,
    }
