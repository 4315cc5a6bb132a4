"""An account's statement: every movement of its credits with a running balance, and every accrual beside.

A movement is one thing a person did or got: a claim, a payment with its fee and memo, a deposit, a loan, a
transfer. The running balance at the end must equal the balance on chain. An accrual changes no balance yet: a
deposit earned, a loan cost interest. What the accruals add up to must equal what the bank says is earned and
owed. If either does not, an event is missing and the statement is refused rather than shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from eth_typing import ChecksumAddress

from timebank_chain.chain.accrual import ANOTHER_NODE, Accrual
from timebank_chain.chain.deposit_accruals import DEPOSIT_EVENTS, DepositLedger, DepositTotal
from timebank_chain.chain.event import Event, Place
from timebank_chain.chain.events import read_events
from timebank_chain.chain.loan_accruals import LOAN_EVENTS, LoanLedger, LoanTotal
from timebank_chain.chain.movements import MOVEMENT_EVENTS, Movements
from timebank_chain.chain.node_errors import translated
from timebank_chain.chain.supply_accruals import SUPPLY_EVENTS, SupplyLedger, SupplyTotal
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
        ``claim``, ``mint``, ``burn``, ``transfer in``, ``transfer out``, ``payment in``, ``payment out``;
        ``claim to debt`` and ``claim to deposit``, what of a claim never reached the wallet;
        ``deposit``, ``withdrawal``, ``early exit``, ``income``; ``supply``, ``redemption``; ``loan``,
        ``loan on standing``, ``loan repayment``, ``debt recovered``, ``liquidation incentive``,
        ``liquidation rest``; ``lease principal``, ``lease repayment``, ``lease settlement``,
        ``lease settlement rest``; ``trade out`` and ``trade in``, credits exchanged for a token or coin;
        ``service order``, ``service pay``, ``service refund``.
        In the statements of our contracts also ``fee``, ``fee in``, ``income from fees``, ``loss covered``
        and ``reserve restored``.
    amount
        Signed change of the balance.
    balance
        Balance after it.
    other
        The other side: sender, receiver, payer or payee; for a claim the account that earned, for what was
        done for somebody else that member.
    fee
        Part that went to the fee pool: of a payment inside ``amount``, of income and rent already taken off.
    epoch
        Epoch of a claim, else 0.
    memo_hash
        Of a payment, else ``None``.
    receipt_id, lease_id, order_id
        The deposit, the lease and the order of a service it belongs to, else 0.
    parts
        What it consists of: ``principal``, ``income``, ``penalty``, ``rent``, ... in micro-credits;
        ``shares`` of the pool in shares.
    token, units
        Of a trade, what went the other way: the token (the zero address is the chain's coin) and how many of
        its smallest units.
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
    receipt_id: int = 0
    lease_id: int = 0
    order_id: int = 0
    parts: Mapping[str, int] = field(default_factory=dict)
    token: ChecksumAddress | None = None
    units: int = 0


@dataclass(frozen=True)
class Statement:
    """An account's movements and accruals up to a block (micro-credits).

    Attributes
    ----------
    balance
        What the movements add up to: the balance on chain.
    accruals
        Changes of unpaid income and of debts, in the order of the chain; what is due stands last.
    deposits, loans, supply
        Open at that block, with what the accruals add up to: the bank's own figures. ``supply`` is ``None``
        for whoever holds no shares of the pool.
    """

    account: ChecksumAddress
    block: int
    time: int
    balance: int
    movements: tuple[Movement, ...]
    accruals: tuple[Accrual, ...]
    deposits: tuple[DepositTotal, ...]
    loans: tuple[LoanTotal, ...]
    supply: SupplyTotal | None


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
        Last block; the newest when not given. Balance and totals are compared at the same block.

    Raises
    ------
    CheckFailed
        If the movements do not add up to the balance on chain, or the accruals of a deposit or loan to what
        the bank says of it.
    """
    connection = timebank.connection
    block = connection.block_number() if to_block is None else to_block
    events = list(
        read_events(
            connection,
            timebank.addresses(),
            tuple(dict.fromkeys((*MOVEMENT_EVENTS, *DEPOSIT_EVENTS, *LOAN_EVENTS, *SUPPLY_EVENTS))),
            from_block=timebank.deployment.first_block,
            to_block=block,
            progress=progress,
        )
    )
    lines = list(Movements(account, timebank.addresses()).lines(events))
    accruals, deposits, loans, supply = _accruals(timebank, account, events, block)
    places = [line.at for line in lines] + [one.at for one in accruals if one.at is not None]
    times = _times(timebank, {place.block for place in places} | {block})
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
                receipt_id=line.receipt_id,
                lease_id=line.lease_id,
                order_id=line.order_id,
                parts=line.parts,
                token=line.token,
                units=line.units,
            )
        )
    on_chain = timebank.attention_credit.balance_of(account, block=block)
    if balance != on_chain:
        raise CheckFailed(
            f"the movements of {account} add up to {balance}, the balance on chain is {on_chain} "
            "micro-credits: an event is missing",
            hint=ANOTHER_NODE,
        )
    return Statement(
        account=account,
        block=block,
        time=times[block],
        balance=balance,
        movements=tuple(movements),
        accruals=tuple(replace(one, time=times[one.at.block if one.at else block]) for one in accruals),
        deposits=deposits,
        loans=loans,
        supply=supply,
    )


def _accruals(
    timebank: Timebank, account: ChecksumAddress, events: Sequence[Event], block: int
) -> tuple[list[Accrual], tuple[DepositTotal, ...], tuple[LoanTotal, ...], SupplyTotal | None]:
    """Replay the bank's events for an account and hold the result against the bank."""
    bank, pool = timebank.time_bank, timebank.credit_lending
    deposits = DepositLedger(
        account,
        {term.term_id: term.multiplier_milli for term in bank.terms(block=block)},
        (pool.address, timebank.credit_lease.address),
    )
    loans = LoanLedger(account, timebank.credit_distributor.address)
    for _, group in groupby(events, key=lambda event: event.at.transaction):
        deposits.transaction(list(group))
    shares = SupplyLedger(account)
    for event in events:
        loans.take_in(event)
        shares.take_in(event)
    now = _times(timebank, {block})[block]
    deposits.due(bank.books(block=block), bank.release_seconds(block=block), now)
    accrued = pool.accrued_books(block=block)
    loans.due(pool.books(block=block), accrued)
    shares.due(accrued)
    _require_equal(
        "worth of the pool shares", shares.worth, pool.convert_to_assets(shares.shares, block=block)
    )
    _require_equal("number of pool shares", shares.shares, pool.balance_of(account, block=block))
    held, owed = deposits.open_deposits(), loans.open_loans()
    for deposit in held:
        said = bank.income(deposit.receipt_id, block=block)
        _require_equal(f"income of deposit {deposit.receipt_id}", deposit.unpaid_income, said)
    for loan in owed:
        if loan.receipt_id:
            said = pool.debt_of(loan.receipt_id, block=block)
            _require_equal(f"loan on receipt {loan.receipt_id}", loan.owed, said)
        else:
            _require_equal("loan on standing", loan.owed, pool.standing_debt_of(account, block=block))
    accruals = sorted(
        [*deposits.accruals, *loans.accruals, *shares.accruals],
        key=lambda one: (one.at.block, one.at.log_index) if one.at else (block + 1, 0),
    )
    return accruals, tuple(held), tuple(owed), shares.total()


def _require_equal(what: str, replayed: int, said: int) -> None:
    if replayed != said:
        raise CheckFailed(
            f"the {what} adds up to {replayed}, the chain says {said} micro-credits: an event is missing",
            hint=ANOTHER_NODE,
        )


def _times(timebank: Timebank, blocks: Iterable[int]) -> dict[int, int]:
    with translated():
        return {
            block: int(timebank.connection.w3.eth.get_block(block)["timestamp"]) for block in sorted(blocks)
        }
