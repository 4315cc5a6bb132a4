"""Every movement of an account's credits by its reason: events tell what the token's transfers meant.

A contract tells what it does in an event of its own; the credits then move by plain transfers. Here each
event says which transfers it stands for, and how the statements of both sides name them. Within a
transaction a told transfer is looked for behind its event (our contracts announce first and move then), or
before it where the event comes last. What no event tells is a plain transfer, mint or burn.

A claim that was routed never reaches the wallet whole. Its statement books it whole all the same, and
books out at once what repaid a debt or became a deposit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

from eth_typing import ChecksumAddress

from timebank_chain.chain.bank_events import (
    Borrowed,
    BorrowedOnStanding,
    Deposited,
    ExitedEarly,
    FeesPaid,
    IncomeCollected,
    IncomeReceived,
    LeaseRepaid,
    LeaseSettled,
    LeaseTaken,
    Liquidated,
    Recovered,
    Repaid,
    RolledOver,
    StandingRepaid,
    Supplied,
    SupplyWithdrawn,
    Withdrawn,
    WrittenOff,
)
from timebank_chain.chain.credit_payments import NO_MEMO
from timebank_chain.chain.event import Event, Place
from timebank_chain.chain.events import Claimed, ClaimRouted, Paid, Transfer
from timebank_chain.chain.exchange_events import TradeFilled
from timebank_chain.chain.member_registry import ZERO_ADDRESS
from timebank_chain.chain.service_events import (
    ServiceAccepted,
    ServiceCancelled,
    ServiceCountered,
    ServiceOrdered,
    ServiceSettled,
)
from timebank_chain.errors import CheckFailed

#: What a statement's movements are read from.
MOVEMENT_EVENTS: tuple[type[Event], ...] = (
    Transfer,
    Claimed,
    ClaimRouted,
    Paid,
    Deposited,
    Withdrawn,
    ExitedEarly,
    IncomeCollected,
    RolledOver,
    IncomeReceived,
    Supplied,
    SupplyWithdrawn,
    Borrowed,
    Repaid,
    Liquidated,
    BorrowedOnStanding,
    StandingRepaid,
    WrittenOff,
    Recovered,
    FeesPaid,
    LeaseTaken,
    LeaseRepaid,
    LeaseSettled,
    TradeFilled,
    ServiceOrdered,
    ServiceCountered,
    ServiceAccepted,
    ServiceCancelled,
    ServiceSettled,
)


@dataclass(frozen=True)
class Line:
    """A movement before it has a time and a running balance; micro-credits.

    ``parts`` says what the amount, or the event behind it, consists of; ``units`` of ``token`` went the other
    way.
    """

    at: Place
    kind: str
    amount: int
    other: ChecksumAddress
    fee: int = 0
    epoch: int = 0
    memo_hash: bytes | None = None
    receipt_id: int = 0
    lease_id: int = 0
    order_id: int = 0
    parts: Mapping[str, int] = field(default_factory=dict)
    token: ChecksumAddress | None = None
    units: int = 0


@dataclass(frozen=True)
class _Words:
    """How a statement names a transfer; ``other`` is the transfer's other side when not given."""

    kind: str
    other: ChecksumAddress | None = None
    fee: int = 0
    epoch: int = 0
    memo_hash: bytes | None = None
    receipt_id: int = 0
    lease_id: int = 0
    order_id: int = 0
    parts: Mapping[str, int] = field(default_factory=dict)
    token: ChecksumAddress | None = None
    units: int = 0

    def line(self, at: Place, amount: int, other: ChecksumAddress) -> Line:
        return Line(
            at,
            self.kind,
            amount,
            self.other or other,
            self.fee,
            self.epoch,
            self.memo_hash,
            self.receipt_id,
            self.lease_id,
            self.order_id,
            self.parts,
            self.token,
            self.units,
        )


@dataclass(frozen=True)
class _Told:
    """A transfer an event stands for.

    Attributes
    ----------
    outgoing, incoming
        How the sender's and the receiver's statement name it; an outgoing ``None`` adds it to the line that
        the sender has for the same event.
    before
        Whether the transfer comes before its event.
    """

    sender: ChecksumAddress
    receiver: ChecksumAddress
    amount: int
    outgoing: _Words | None
    incoming: _Words
    before: bool = False


@dataclass
class _LeaseState:
    principal: int
    rent: int
    lender: ChecksumAddress
    lessee: ChecksumAddress
    repaid: int = 0


@dataclass
class _OrderState:
    buyer: ChecksumAddress
    provider: ChecksumAddress
    held: int = 0


class Movements:
    """Explains transfers to one account; keeps what later events need to know of earlier ones.

    Parameters
    ----------
    account
        Whose statement is read.
    addresses
        Every contract's address by name.
    """

    def __init__(self, account: ChecksumAddress, addresses: Mapping[str, ChecksumAddress]) -> None:
        self._account = account
        self._fee_pool = addresses["FeePool"]
        self._bank = addresses["TimeBank"]
        self._pool = addresses["CreditLending"]
        self._lease = addresses["CreditLease"]
        self._distributor = addresses["CreditDistributor"]
        self._escrow = addresses["ServiceEscrow"]
        self._leases: dict[int, _LeaseState] = {}
        self._orders: dict[int, _OrderState] = {}

    def lines(self, events: Iterable[Event]) -> Iterator[Line]:
        """Turn events, in the order of the chain, into the account's lines.

        Lines stand in the order of their transfers; each has the place of the event that explains it.
        """
        for _, group in groupby(events, key=lambda event: event.at.transaction):
            yield from self._transaction(list(group))

    @classmethod
    def of_nobody(cls, addresses: Mapping[str, ChecksumAddress]) -> Movements:
        """Return one that explains transfers without belonging to an account."""
        return cls(ZERO_ADDRESS, addresses)

    def plain_transfers(self, events: Iterable[Event]) -> Iterator[Transfer]:
        """Give the transfers between accounts, whoever's they are, that no other event explains.

        ``events`` stand in the order of the chain. Mints and burns are left out.
        """
        for _, group in groupby(events, key=lambda event: event.at.transaction):
            held = list(group)
            transfers = [event for event in held if isinstance(event, Transfer)]
            for event in held:
                for told in self._tell(event):
                    _take(transfers, told, event.at)
            yield from (one for one in transfers if ZERO_ADDRESS not in (one.sender, one.receiver))

    def _transaction(self, events: list[Event]) -> list[Line]:
        transfers = [event for event in events if isinstance(event, Transfer)]
        found: list[tuple[int, Line]] = []  # with the log index of the transfer
        for event in events:
            if isinstance(event, Transfer):
                continue
            routed = self._routed_claim(event, events)
            if routed:
                # One of the mints may have reached the wallet: the whole claim stands in its place.
                rest = sum(line.amount for line in routed)
                _take(transfers, _Told(ZERO_ADDRESS, self._account, rest, None, _Words("claim")), event.at)
                found += [(event.at.log_index, line) for line in routed]
                continue
            own = -1  # where the account's outgoing line for this event stands
            for told in self._tell(event):
                transfer = _take(transfers, told, event.at)
                if transfer is None or self._account not in (told.sender, told.receiver):
                    continue
                amount = told.amount * ((told.receiver == self._account) - (told.sender == self._account))
                if told.sender != self._account:
                    line = told.incoming.line(event.at, amount, told.sender)
                elif told.outgoing is not None:
                    own = len(found)
                    line = told.outgoing.line(event.at, amount, told.receiver)
                else:
                    index, line = found[own]
                    found[own] = index, replace(line, amount=line.amount + amount)
                    continue
                found.append((transfer.at.log_index, line))
        found += [
            (transfer.at.log_index, _plain(transfer, self._account))
            for transfer in transfers
            if self._account in (transfer.sender, transfer.receiver)
        ]
        return [line for _, line in sorted(found, key=lambda item: item[0])]

    def _routed_claim(self, event: Event, events: list[Event]) -> list[Line]:
        """Return the lines of the account's own claim if it was routed."""
        if not isinstance(event, Claimed) or event.receiver != self._account:
            return []
        later = [other for other in events if other.at.log_index > event.at.log_index]
        routed = next(
            (other for other in later if isinstance(other, ClaimRouted) and other.account == event.account),
            None,
        )
        if routed is None:
            return []
        claim = Line(event.at, "claim", event.amount, event.account, epoch=event.epoch)
        lines = [claim]
        if routed.to_creditor:
            debt = replace(claim, kind="claim to debt", amount=-routed.to_creditor, other=routed.creditor)
            for other in later:
                if (
                    isinstance(other, LeaseRepaid)
                    and other.from_claim
                    and other.at.log_index < routed.at.log_index
                ):
                    debt = replace(debt, lease_id=other.lease_id)
            lines.append(debt)
        if routed.to_deposit:
            lines.append(
                replace(
                    claim,
                    kind="claim to deposit",
                    amount=-routed.to_deposit,
                    other=self._bank,
                    receipt_id=routed.deposit_id,
                )
            )
        return lines

    def _tell(self, event: Event) -> list[_Told]:
        rule = _RULES.get(type(event))
        return rule(self, event) if rule is not None else []

    # ------------------------------------------------------------ claims and payments

    def _claimed(self, event: Claimed) -> list[_Told]:
        words = _Words("claim", other=event.account, epoch=event.epoch)
        return [_Told(ZERO_ADDRESS, event.receiver, event.amount, None, words)]

    def _claim_routed(self, event: ClaimRouted) -> list[_Told]:
        debt = _Words("claim to debt", other=event.account)
        return [_Told(ZERO_ADDRESS, event.creditor, event.to_creditor, None, debt, before=True)]

    def _paid(self, event: Paid) -> list[_Told]:
        received = event.amount - event.fee
        memo = None if event.memo_hash == NO_MEMO else event.memo_hash
        return [
            _Told(
                event.payer,
                event.payee,
                received,
                _Words("payment out", fee=event.fee, memo_hash=memo),
                _Words("payment in", memo_hash=memo),
            ),
            self._fee(event.payer, event.fee),
        ]

    def _fee(self, payer: ChecksumAddress, fee: int, *, own_line: bool = False) -> _Told:
        """A fee: part of the payer's line, unless a contract pays it out of what it holds."""
        return _Told(payer, self._fee_pool, fee, _Words("fee") if own_line else None, _Words("fee in"))

    # ------------------------------------------------------------ the bank

    def _deposited(self, event: Deposited) -> list[_Told]:
        if event.depositor == self._distributor:
            words = _Words("claim to deposit", other=event.owner, receipt_id=event.receipt_id)
            return [_Told(ZERO_ADDRESS, self._bank, event.amount, None, words, before=True)]
        for_whom = None if event.owner == event.depositor else event.owner
        return [
            _Told(
                event.depositor,
                self._bank,
                event.amount,
                _Words("deposit", other=for_whom, receipt_id=event.receipt_id),
                _Words("deposit", receipt_id=event.receipt_id),
            )
        ]

    def _withdrawn(self, event: Withdrawn) -> list[_Told]:
        words = _Words(
            "withdrawal",
            fee=event.fee,
            receipt_id=event.receipt_id,
            parts={"principal": event.principal, "income": event.income},
        )
        paid = event.principal + event.income - event.fee
        return [_Told(self._bank, event.to, paid, words, words), self._bank_fee(event.fee)]

    def _exited_early(self, event: ExitedEarly) -> list[_Told]:
        words = _Words(
            "early exit",
            receipt_id=event.receipt_id,
            parts={
                "principal": event.principal,
                "penalty": event.penalty,
                "income forfeited": event.forfeited,
            },
        )
        return [_Told(self._bank, event.to, event.principal - event.penalty, words, words)]

    def _income_collected(self, event: IncomeCollected) -> list[_Told]:
        words = _Words("income", fee=event.fee, receipt_id=event.receipt_id, parts={"income": event.income})
        return [
            _Told(self._bank, event.to, event.income - event.fee, words, words),
            self._bank_fee(event.fee),
        ]

    def _rolled_over(self, event: RolledOver) -> list[_Told]:
        return [self._bank_fee(event.fee)]

    def _income_received(self, event: IncomeReceived) -> list[_Told]:
        words = _Words("income from fees")
        return [_Told(self._fee_pool, self._bank, event.from_fees, words, words, before=True)]

    def _bank_fee(self, fee: int) -> _Told:
        return self._fee(self._bank, fee, own_line=True)

    # ------------------------------------------------------------ the pool

    def _supplied(self, event: Supplied) -> list[_Told]:
        for_whom = None if event.owner == event.sender else event.owner
        parts = {"shares": event.shares}
        return [
            _Told(
                event.sender,
                self._pool,
                event.assets,
                _Words("supply", other=for_whom, parts=parts),
                _Words("supply", parts=parts),
            )
        ]

    def _supply_withdrawn(self, event: SupplyWithdrawn) -> list[_Told]:
        words = _Words("redemption", parts={"shares": event.shares})
        return [_Told(self._pool, event.receiver, event.assets, words, words)]

    def _borrowed(self, event: Borrowed) -> list[_Told]:
        words = _Words("loan", receipt_id=event.receipt_id)
        return [_Told(self._pool, event.receiver, event.amount, words, words)]

    def _borrowed_on_standing(self, event: BorrowedOnStanding) -> list[_Told]:
        words = _Words("loan on standing")
        return [_Told(self._pool, event.receiver, event.amount, words, words)]

    def _repaid(self, event: Repaid) -> list[_Told]:
        words = _Words("loan repayment", receipt_id=event.receipt_id)
        return [_Told(event.payer, self._pool, event.amount, words, words)]

    def _standing_repaid(self, event: StandingRepaid) -> list[_Told]:
        if event.from_claim:
            return []  # the claim tells where it went
        words = _Words("loan repayment", other=None if event.payer == event.borrower else event.borrower)
        return [_Told(event.payer, self._pool, event.amount, words, _Words("loan repayment"))]

    def _liquidated(self, event: Liquidated) -> list[_Told]:
        parts = {"proceeds": event.proceeds, "debt": event.debt, "repaid": event.repaid}
        incentive = _Words("liquidation incentive", receipt_id=event.receipt_id, parts=parts)
        rest = _Words("liquidation rest", receipt_id=event.receipt_id, parts=parts)
        return [
            _Told(self._pool, event.liquidator, event.incentive, incentive, incentive),
            _Told(self._pool, event.borrower, event.returned, rest, rest),
        ]

    def _written_off(self, event: WrittenOff) -> list[_Told]:
        words = _Words("loss covered", other=event.borrower, receipt_id=event.receipt_id)
        return [_Told(self._fee_pool, self._pool, event.from_reserve, words, words, before=True)]

    def _recovered(self, event: Recovered) -> list[_Told]:
        words = _Words("debt recovered", other=event.borrower)
        back = _Words("reserve restored", other=event.borrower)
        from_claim = event.payer == self._distributor
        whole = event.of_pool + event.of_reserve
        told = [_Told(self._pool, self._fee_pool, whole, back, back)]
        if not from_claim:
            told.append(_Told(event.payer, self._pool, whole, words, words))
        return told

    def _fees_paid(self, event: FeesPaid) -> list[_Told]:
        return [self._fee(self._pool, event.fees + event.strays, own_line=True)]

    # ------------------------------------------------------------ leases

    def _lease_taken(self, event: LeaseTaken) -> list[_Told]:
        self._leases[event.lease_id] = _LeaseState(event.principal, event.rent, event.lender, event.lessee)
        words = _Words(
            "lease principal",
            lease_id=event.lease_id,
            receipt_id=event.receipt_id,
            parts={"principal": event.principal, "rent to pay": event.rent},
        )
        return [_Told(event.lender, event.lessee, event.principal, words, words)]

    def _lease_repaid(self, event: LeaseRepaid) -> list[_Told]:
        lease = self._known(event.lease_id)
        before, lease.repaid = lease.repaid, lease.repaid + event.amount
        rent = max(0, lease.repaid - lease.principal) - max(0, before - lease.principal)
        words = _Words(
            "lease repayment",
            other=lease.lender,
            fee=event.fee,
            lease_id=event.lease_id,
            parts={"principal": event.amount - rent, "rent": rent},
        )
        payer = self._lease if event.from_claim else event.payer
        incoming = replace(words, other=event.payer)
        return [
            _Told(payer, lease.lender, event.amount - event.fee, words, incoming),
            self._fee(payer, event.fee, own_line=event.from_claim),
        ]

    def _lease_settled(self, event: LeaseSettled) -> list[_Told]:
        lease = self._known(event.lease_id)
        rent = max(0, event.to_lender + event.fee - lease.principal)
        to_lender = _Words(
            "lease settlement",
            other=lease.lessee,
            fee=event.fee,
            lease_id=event.lease_id,
            parts={"principal": event.to_lender + event.fee - rent, "rent": rent},
        )
        rest = _Words(
            "lease settlement rest",
            lease_id=event.lease_id,
            parts={"proceeds": event.proceeds, "owed": event.to_lender + event.fee},
        )
        return [
            _Told(self._lease, lease.lender, event.to_lender, to_lender, to_lender),
            self._fee(self._lease, event.fee, own_line=True),
            _Told(self._lease, lease.lessee, event.returned, rest, rest),
        ]

    # ------------------------------------------------------------ trades

    def _trade_filled(self, event: TradeFilled) -> list[_Told]:
        # The fee is a part of what the seller gave, and what the buyer does not get.
        sold = _Words("trade out", fee=event.fee, token=event.order.token, units=event.amount)
        bought = replace(sold, kind="trade in")
        return [
            _Told(event.seller, event.buyer, event.credits - event.fee, sold, bought),
            self._fee(event.seller, event.fee),
        ]

    def _known(self, lease_id: int) -> _LeaseState:
        if lease_id not in self._leases:
            raise CheckFailed(
                f"lease {lease_id} was repaid but never taken: an event is missing",
                hint="ask another node; if it says the same, run timebank audit",
            )
        return self._leases[lease_id]

    # ------------------------------------------------------------ services

    def _service_ordered(self, event: ServiceOrdered) -> list[_Told]:
        self._orders[event.order_id] = _OrderState(event.buyer, event.provider)
        return self._service_held(event)

    def _service_held(self, event: ServiceOrdered | ServiceCountered | ServiceAccepted) -> list[_Told]:
        """What came in from the buyer, or went back, so that ``held`` is in escrow from now on."""
        order = self._ordered(event.order_id)
        before, order.held = order.held, event.held
        if event.held < before:
            return [self._back_to_buyer(event.order_id, order, before - event.held)]
        words = _Words("service order", other=order.provider, order_id=event.order_id)
        incoming = _Words("service order", order_id=event.order_id)
        return [_Told(order.buyer, self._escrow, event.held - before, words, incoming)]

    def _service_cancelled(self, event: ServiceCancelled) -> list[_Told]:
        return [self._back_to_buyer(event.order_id, self._ordered(event.order_id), event.refunded)]

    def _service_settled(self, event: ServiceSettled) -> list[_Told]:
        order = self._ordered(event.order_id)
        words = _Words(
            "service pay",
            fee=event.fee,
            order_id=event.order_id,
            parts={"price paid": event.to_provider + event.fee},
        )
        return [
            _Told(self._escrow, order.provider, event.to_provider, words, replace(words, other=order.buyer)),
            self._back_to_buyer(event.order_id, order, event.to_buyer),
            self._fee(self._escrow, event.fee, own_line=True),
        ]

    def _back_to_buyer(self, order_id: int, order: _OrderState, amount: int) -> _Told:
        words = _Words("service refund", order_id=order_id)
        return _Told(self._escrow, order.buyer, amount, words, replace(words, other=order.provider))

    def _ordered(self, order_id: int) -> _OrderState:
        if order_id not in self._orders:
            raise CheckFailed(
                f"order {order_id} went on but was never placed: an event is missing",
                hint="ask another node; if it says the same, run timebank audit",
            )
        return self._orders[order_id]


_RULES: dict[type[Event], Callable[[Movements, Any], list[_Told]]] = {
    Claimed: Movements._claimed,
    ClaimRouted: Movements._claim_routed,
    Paid: Movements._paid,
    Deposited: Movements._deposited,
    Withdrawn: Movements._withdrawn,
    ExitedEarly: Movements._exited_early,
    IncomeCollected: Movements._income_collected,
    RolledOver: Movements._rolled_over,
    IncomeReceived: Movements._income_received,
    Supplied: Movements._supplied,
    SupplyWithdrawn: Movements._supply_withdrawn,
    Borrowed: Movements._borrowed,
    BorrowedOnStanding: Movements._borrowed_on_standing,
    Repaid: Movements._repaid,
    StandingRepaid: Movements._standing_repaid,
    Liquidated: Movements._liquidated,
    WrittenOff: Movements._written_off,
    Recovered: Movements._recovered,
    FeesPaid: Movements._fees_paid,
    LeaseTaken: Movements._lease_taken,
    LeaseRepaid: Movements._lease_repaid,
    LeaseSettled: Movements._lease_settled,
    TradeFilled: Movements._trade_filled,
    ServiceOrdered: Movements._service_ordered,
    ServiceCountered: Movements._service_held,
    ServiceAccepted: Movements._service_held,
    ServiceCancelled: Movements._service_cancelled,
    ServiceSettled: Movements._service_settled,
}


def _take(transfers: list[Transfer], told: _Told, at: Place) -> Transfer | None:
    """Remove the transfer an event tells and return it: the next one on its side, else any."""
    same = [
        transfer
        for transfer in transfers
        if (transfer.sender, transfer.receiver, transfer.amount) == (told.sender, told.receiver, told.amount)
    ]
    earlier = [transfer for transfer in same if transfer.at.log_index < at.log_index]
    later = [transfer for transfer in same if transfer.at.log_index > at.log_index]
    # The nearest on either side: last of the earlier ones, first of the later ones.
    order = [*earlier[::-1], *later] if told.before else [*later, *earlier[::-1]]
    if not order:
        return None
    transfers.remove(order[0])
    return order[0]


def _plain(transfer: Transfer, account: ChecksumAddress) -> Line:
    if transfer.sender == ZERO_ADDRESS:
        return Line(transfer.at, "mint", transfer.amount, ZERO_ADDRESS)
    if transfer.receiver == ZERO_ADDRESS:
        return Line(transfer.at, "burn", -transfer.amount, ZERO_ADDRESS)
    if transfer.sender == transfer.receiver:
        return Line(transfer.at, "transfer to itself", 0, account)
    if transfer.sender == account:
        return Line(transfer.at, "transfer out", -transfer.amount, transfer.receiver)
    return Line(transfer.at, "transfer in", transfer.amount, transfer.sender)
