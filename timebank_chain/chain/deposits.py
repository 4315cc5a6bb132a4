"""Choosing a term, and what a deposit would earn: the bank's own arithmetic, before anything is sent."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from web3.types import BlockIdentifier

from timebank_chain.chain.bank_reverts import TermClosed
from timebank_chain.chain.deposit_accruals import income_down, release_due
from timebank_chain.chain.time_bank import Term, TimeBank
from timebank_chain.documents import parse_json
from timebank_chain.errors import ChainError, UsageError
from timebank_chain.units import MicroCredit, mul_div_down, mul_div_up

ONE_BPS = 10_000
_JSON_PREFIX = "data:application/json;base64,"
_SVG_PREFIX = "data:image/svg+xml;base64,"


def find_term(terms: Sequence[Term], text: str) -> Term:
    """Find a term by its number (``2``) or name (``week``); of terms with one name the newest open one.

    Raises
    ------
    TermClosed
        If the term is there and takes no deposits.
    UsageError
        If there is no term of that number or name.
    """
    if text.isascii() and text.isdecimal():
        found = [term for term in terms if str(term.term_id) == (text.lstrip("0") or "0")]
    else:
        found = [term for term in terms if term.name == text.strip().lower()]
    if not found:
        names = ", ".join(dict.fromkeys(term.name for term in terms if term.open))
        raise UsageError(f"there is no term {text!r}", hint=f"choose {names}, or a number of `deposit terms`")
    chosen = next((term for term in reversed(found) if term.open), None)
    if chosen is None:
        raise TermClosed({"termId": found[-1].term_id})
    return chosen


@dataclass(frozen=True)
class DepositQuote:
    """What a deposit made now would earn if nothing more came in and nobody else came or went.

    Attributes
    ----------
    amount, term
        What would be deposited (micro-credits), and how.
    seconds, until
        How long the estimate looks ahead, and to which Unix second.
    pending
        Micro-credits of income that wait to be released, the fee pool's share for depositors included.
    uncollected
        The part of it that still lies in the fee pool.
    share_ppm
        The deposit's share of all weight, in millionths.
    income, fee
        Micro-credits it would earn in that time, and the fee on them.
    penalty
        Micro-credits an early exit would cost; the income would be forfeited too.
    """

    amount: MicroCredit
    term: Term
    seconds: int
    until: int
    pending: MicroCredit
    uncollected: MicroCredit
    share_ppm: int
    income: MicroCredit
    fee: MicroCredit
    penalty: MicroCredit


def quote_deposit(
    bank: TimeBank,
    amount: int,
    term: Term,
    *,
    seconds: int,
    now: int,
    uncollected: int = 0,
    block: BlockIdentifier = "latest",
) -> DepositQuote:
    """Estimate a deposit's income from what is pending at present; nothing of it is promised.

    Parameters
    ----------
    seconds
        How far to look ahead, from the deposit on.
    now
        When the deposit would be made, Unix seconds.
    uncollected
        Micro-credits for depositors that lie in the fee pool; taken as collected right after the deposit.
    """
    books = bank.books(block=block)
    release = bank.release_seconds(block=block)
    fee_bps = bank.income_fee_bps(block=block)
    released, index = release_due(books, release, max(now, books.accrued_at))
    weight = amount * term.multiplier_milli
    total = books.total_weight + weight
    waiting = books.pending - released + uncollected
    with_it = replace(books, pending=MicroCredit(waiting), total_weight=total, accrued_at=now)
    _, index_then = release_due(with_it, release, now + seconds, income_index=index)
    income = income_down(weight, index, index_then)
    return DepositQuote(
        amount=MicroCredit(amount),
        term=term,
        seconds=seconds,
        until=now + seconds,
        pending=MicroCredit(waiting),
        uncollected=MicroCredit(uncollected),
        share_ppm=mul_div_down(weight, 10**6, total) if total else 0,
        income=MicroCredit(income),
        fee=MicroCredit(mul_div_up(income, fee_bps, ONE_BPS)),
        penalty=MicroCredit(mul_div_up(amount, term.penalty_bps, ONE_BPS)),
    )


@dataclass(frozen=True)
class ReceiptMetadata:
    """What a receipt says about itself on chain: the metadata document and its picture (SVG)."""

    document: dict[str, Any]
    svg: bytes


def read_metadata(token_uri: str) -> ReceiptMetadata:
    """Read a receipt's ``tokenURI``.

    Raises
    ------
    ChainError
        If it is no data URI of a JSON document with an SVG picture.
    """
    try:
        document = parse_json(_data(token_uri, _JSON_PREFIX))
        svg = _data(document["image"], _SVG_PREFIX)
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise ChainError(
            f"the receipt's metadata cannot be read: {error}",
            hint="check the bank's code: timebank chain verify",
        ) from error
    return ReceiptMetadata(document, svg)


def _data(uri: object, prefix: str) -> bytes:
    if not isinstance(uri, str) or not uri.startswith(prefix):
        raise ValueError(f"not a {prefix.removesuffix(',')} URI")
    return base64.b64decode(uri.removeprefix(prefix), validate=True)
