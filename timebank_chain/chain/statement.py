"""An account's statement: every movement of its credits, from events, with a running balance.

A movement is one thing a person did or got: a claim, a payment with its fee and memo, a transfer, a
burn. The running balance at the end must equal the balance on chain; if it does not, an event is
missing and the statement is refused rather than shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from eth_typing import ChecksumAddress

from timebank_chain.chain.credit_payments import NO_MEMO
from timebank_chain.chain.events import Claimed, Event, Paid, Place, Transfer, read_events
from timebank_chain.chain.member_registry import ZERO_ADDRESS
from timebank_chain.chain.node_errors import translated
from timebank_chain.chain.system import Timebank
from timebank_chain.errors import CheckFailed


@dataclass(frozen=True)
class Movement:
    """One line of a statement; micro-credits.

    Attributes
    ----------
    at, time
        Place on the chain and the block's Unix seconds.
    kind
        ``claim``, ``mint``, ``burn``, ``transfer in``, ``transfer out``, ``payment in``, ``payment out``.
    amount
        Signed change of the balance.
    balance
        Balance after it.
    other
        The other side: sender, receiver, payer or payee; for a claim the account that earned.
    fee
        Part of a payment that went to the fee pool (paid by the payer, inside ``amount``).
    epoch
        Epoch of a claim, else 0.
    memo_hash
        Of a payment, else ``None``.
    """

    at: Place
    time: int
    kind: str
    amount: int
    balance: int
    other: ChecksumAddress
    fee: int
    epoch: int
    memo_hash: bytes | None


@dataclass(frozen=True)
class Statement:
    """An account's movements up to a block, and the balance they add up to (micro-credits)."""

    account: ChecksumAddress
    block: int
    balance: int
    movements: tuple[Movement, ...]


@dataclass(frozen=True)
class _Line:
    at: Place
    kind: str
    amount: int
    other: ChecksumAddress
    fee: int = 0
    epoch: int = 0
    memo_hash: bytes | None = None


def read_statement(
    timebank: Timebank,
    account: ChecksumAddress,
    *,
    to_block: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Statement:
    """Read an account's statement.

    Parameters
    ----------
    to_block
        Last block; the newest when not given. The balance is compared at the same block.

    Raises
    ------
    CheckFailed
        If the movements do not add up to the balance on chain.
    """
    connection = timebank.connection
    block = connection.block_number() if to_block is None else to_block
    events = read_events(
        connection,
        timebank.addresses(),
        (Transfer, Claimed, Paid),
        from_block=timebank.deployment.first_block,
        to_block=block,
        progress=progress,
    )
    lines = list(_lines(events, account, timebank.fee_pool.address))
    times = _times(timebank, sorted({line.at.block for line in lines}))
    movements, balance = [], 0
    for line in lines:
        balance += line.amount
        movements.append(
            Movement(
                at=line.at,
                time=times[line.at.block],
                kind=line.kind,
                amount=line.amount,
                balance=balance,
                other=line.other,
                fee=line.fee,
                epoch=line.epoch,
                memo_hash=line.memo_hash,
            )
        )
    on_chain = timebank.attention_credit.balance_of(account, block=block)
    if balance != on_chain:
        raise CheckFailed(
            f"the movements of {account} add up to {balance}, the balance on chain is {on_chain} "
            "micro-credits: an event is missing",
            hint="ask another node; if it says the same, run timebank audit",
        )
    return Statement(account, block, balance, tuple(movements))


def _lines(events: Iterable[Event], account: ChecksumAddress, fee_pool: ChecksumAddress) -> Iterable[_Line]:
    """Turn transfers into lines, each explained by the claim or payment announced just before it.

    Contracts announce first and move then: ``Claimed`` is followed by its mint, ``Paid`` by the
    payee's transfer and the fee's.
    """
    transaction = b""
    announced: list[tuple[tuple[ChecksumAddress, ChecksumAddress, int], _Line | None]] = []
    for event in events:
        if event.at.transaction != transaction:
            transaction, announced = event.at.transaction, []
        if isinstance(event, Claimed):
            line = _Line(event.at, "claim", event.amount, event.account, epoch=event.epoch)
            announced.append(((ZERO_ADDRESS, event.receiver, event.amount), line))
        elif isinstance(event, Paid):
            received = event.amount - event.fee
            memo = None if event.memo_hash == NO_MEMO else event.memo_hash
            if account == event.payer:
                line = _Line(event.at, "payment out", -event.amount, event.payee, event.fee, memo_hash=memo)
            else:
                line = _Line(event.at, "payment in", received, event.payer, memo_hash=memo)
            announced.append(((event.payer, event.payee, received), line))
            if event.fee:
                # The payer's line holds the fee already; for the pool itself it is income.
                income = _Line(event.at, "fee in", event.fee, event.payer)
                announced.append(
                    ((event.payer, fee_pool, event.fee), income if account == fee_pool else None)
                )
        elif isinstance(event, Transfer):
            explained = next((item for item in announced if item[0] == _key(event)), None)
            if explained is not None:
                announced.remove(explained)
            if account not in (event.sender, event.receiver):
                continue
            line_or_none = explained[1] if explained is not None else _plain(event, account)
            if line_or_none is not None:
                yield line_or_none


def _key(event: Transfer) -> tuple[ChecksumAddress, ChecksumAddress, int]:
    return event.sender, event.receiver, event.amount


def _plain(event: Transfer, account: ChecksumAddress) -> _Line:
    if event.sender == ZERO_ADDRESS:
        return _Line(event.at, "mint", event.amount, ZERO_ADDRESS)
    if event.receiver == ZERO_ADDRESS:
        return _Line(event.at, "burn", -event.amount, ZERO_ADDRESS)
    if event.sender == event.receiver:
        return _Line(event.at, "transfer to itself", 0, account)
    if event.sender == account:
        return _Line(event.at, "transfer out", -event.amount, event.receiver)
    return _Line(event.at, "transfer in", event.amount, event.sender)


def _times(timebank: Timebank, blocks: list[int]) -> dict[int, int]:
    with translated():
        return {block: int(timebank.connection.w3.eth.get_block(block)["timestamp"]) for block in blocks}
