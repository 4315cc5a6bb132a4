"""The leases as their events leave them: who owes whom, what came in, which offers and series are over.

Money comes in for the principal first, then for the rent; the fee is a part of the rent. When ``r`` of the
rent has come in, all fees so far are ``r`` times the rate, rounded up, and a payment pays the growth of that.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from timebank_chain.audit.book import ONE_BPS, Anomalies, Book
from timebank_chain.audit.deposit_book import DepositBook
from timebank_chain.audit.evidence import Event
from timebank_chain.audit.replay import ZERO_ADDRESS
from timebank_chain.units import mul_div_up

#: Bounds of the contract.
MAX_LEASE_FEE_BPS = 2_000
MAX_LEASE_TERM = 4 * 365 * 86_400
MAX_UINT64 = (1 << 64) - 1


@dataclass
class Lease:
    """One lease, also after its end; micro-credits, Unix seconds, hundredths of a percent.

    Attributes
    ----------
    series
        The lender's series when it was taken.
    repaid, fees
        Of principal and rent what came in (all payments and the settlement), and the fees of it.
    forgiven, short
        What the lender gave up, and what a settlement did not bring.
    ended
        ``""`` while it runs; then ``repaid``, ``settled`` or ``forgiven``, or with ``LeaseClosed`` ``over``.
    """

    taken: Event
    offer_hash: bytes
    lender: str
    lessee: str
    principal: int
    rent: int
    due_at: int
    receipt: int
    account: str
    fee_bps: int
    series: int
    repaid: int = 0
    fees: int = 0
    forgiven: int = 0
    short: int = 0
    ended: str = ""
    over: bool = False

    @property
    def total(self) -> int:
        """Principal and rent."""
        return self.principal + self.rent

    @property
    def owed(self) -> int:
        """What is still to come in."""
        return self.total - self.repaid - self.forgiven - self.short

    def fee_at(self, repaid: int) -> int:
        """Return all fees once ``repaid`` has come in."""
        return mul_div_up(max(0, repaid - self.principal), self.fee_bps, ONE_BPS)


class LeaseBook(Book):
    """The state of the leases.

    Attributes
    ----------
    leases
        Every lease there ever was, by number.
    standing_of
        Lessee -> its one running lease on standing.
    taken, cancelled
        Offer -> micro-credits taken of it; offers cancelled.
    series
        Lender -> its series.
    """

    def __init__(self, addresses: Mapping[str, str], anomalies: Anomalies, deposits: DepositBook) -> None:
        super().__init__(addresses, anomalies)
        self._deposits = deposits
        self.leases: dict[int, Lease] = {}
        self.standing_of: dict[str, int] = {}
        self.taken: dict[bytes, int] = defaultdict(int)
        self.cancelled: dict[bytes, Event] = {}
        self.series: dict[str, int] = defaultdict(int)
        self.fee_bps = 0
        self.paused = False

    @property
    def running(self) -> dict[int, Lease]:
        """The leases that are not over, by number."""
        return {number: lease for number, lease in self.leases.items() if not lease.over}

    def due_from_claims(self, lessee: str, now: int) -> int:
        """Return how much of the lessee's next claims goes to its lease."""
        lease = self.leases.get(self.standing_of.get(lessee, 0))
        return lease.owed if lease is not None and now > lease.due_at else 0

    def account_of(self, lessee: str) -> str | None:
        """Return the account a lessee's lease on standing was made on."""
        number = self.standing_of.get(lessee)
        return None if number is None else self.leases[number].account

    # ------------------------------------------------------------------ taking

    def _taken(self, event: Event, now: int) -> None:
        args = event.args
        number, receipt = int(args["leaseId"]), int(args["receiptId"])
        lease = Lease(
            taken=event,
            offer_hash=args["offerHash"],
            lender=args["lender"],
            lessee=args["lessee"],
            principal=int(args["principal"]),
            rent=int(args["rent"]),
            due_at=int(args["dueAt"]),
            receipt=receipt,
            account=args["account"],
            fee_bps=int(args["feeBps"]),
            series=self.series.get(args["lender"], 0),
        )
        self.equal("leases", event, "leaseId", len(self.leases) + 1, "leases are numbered in order")
        self.equal("leases", event, "feeBps", self.fee_bps, "a lease carries the fee in force when taken")
        self.require(
            not self.paused, "leases", event, "no lease while paused", "a lease", "taking was paused"
        )
        self.require(
            lease.offer_hash not in self.cancelled,
            "leases",
            event,
            "an offer that stands",
            f"0x{lease.offer_hash.hex()}",
            "an offer was taken that its lender had cancelled",
        )
        self.require(
            lease.lender not in (lease.lessee, ZERO_ADDRESS)
            and lease.principal > 0
            and lease.total <= MAX_UINT64
            and now < lease.due_at <= now + MAX_LEASE_TERM,
            "leases",
            event,
            f"two members, some principal, due within {MAX_LEASE_TERM} seconds from {now}",
            f"{lease.lender} to {lease.lessee}, {lease.principal}, due {lease.due_at}",
            "a lease was made that the contract refuses",
        )
        self.require(
            (receipt == 0) != (lease.account == ZERO_ADDRESS),
            "leases",
            event,
            "a receipt or an account as security, not both",
            f"receipt {receipt}, account {lease.account}",
            "a lease without security, or with two",
        )
        if receipt:
            self._take_receipt(event, lease, now)
        else:
            running = self.standing_of.get(lease.lessee, 0)
            self.require(
                running == 0, "leases", event, "no other lease on standing", running, "one a lessee, no more"
            )
            self.standing_of[lease.lessee] = number
        self.taken[lease.offer_hash] += lease.principal
        self.leases[number] = lease

    def _take_receipt(self, event: Event, lease: Lease, now: int) -> None:
        holder = self._deposits.owners.get(lease.receipt, ZERO_ADDRESS)
        self.require(
            holder == lease.lessee and lease.receipt in self._deposits.deposits,
            "leases",
            event,
            f"receipt {lease.receipt} of {lease.lessee}",
            holder,
            "a lease was secured by a receipt its lessee did not hold",
        )
        if lease.receipt in self._deposits.deposits:
            value = self._deposits.exit_value(lease.receipt, now)
            self.require(
                value >= lease.total,
                "leases",
                event,
                f"an exit value of at least {lease.total}",
                value,
                "the receipt did not cover principal and rent",
            )

    # ------------------------------------------------------------------ repaying

    def _repaid(self, event: Event, now: int) -> None:
        lease = self._running(event)
        if lease is None:
            return
        amount = int(event.args["amount"])
        on_receipt = lease.receipt != 0
        self.require(
            (amount == lease.owed) if on_receipt else 0 < amount <= lease.owed,
            "leases",
            event,
            f"{lease.owed}" if on_receipt else f"1 to {lease.owed}",
            amount,
            "another sum was paid than is owed",
        )
        if event.args["fromClaim"]:
            self.require(
                not on_receipt and now > lease.due_at and event.args["payer"] == lease.lessee,
                "leases",
                event,
                "an overdue lease on standing, paid by its lessee's claim",
                f"due {lease.due_at}, payer {event.args['payer']} at {now}",
                "a claim was taken for a lease that was not due",
            )
        self._book(event, lease, amount)
        if lease.owed == 0:
            lease.ended = "repaid"

    def _settled(self, event: Event, now: int) -> None:
        lease = self._running(event)
        if lease is None:
            return
        args = {name: int(event.args[name]) for name in ("proceeds", "toLender", "fee", "returned")}
        closing = self._deposits.closed.get(lease.receipt)
        self.require(
            lease.receipt != 0 and now > lease.due_at,
            "leases",
            event,
            f"an overdue lease on a receipt (due {lease.due_at})",
            f"receipt {lease.receipt} at {now}",
            "a lease was settled that could not be",
        )
        here = self.addresses["CreditLease"]
        if closing is None or (closing.transaction, closing.to, closing.owner) != (
            event.transaction,
            here,
            here,
        ):
            self.anomaly(
                "leases",
                event,
                f"receipt {lease.receipt} closed for it",
                closing,
                "no deposit was closed for it",
            )
        else:
            self.equal("leases", event, "proceeds", closing.paid, "the deposit brought another sum")
        paid = min(args["proceeds"], lease.owed)
        meaning = "what a settlement brings is the lender's up to principal and rent, the rest the lessee's"
        self.equal("leases", event, "returned", args["proceeds"] - paid, meaning)
        self.require(
            args["toLender"] + args["fee"] == paid,
            "leases",
            event,
            paid,
            args["toLender"] + args["fee"],
            meaning,
        )
        self._book(event, lease, paid)
        lease.short = lease.owed
        lease.ended = "settled"

    def _forgiven(self, event: Event, now: int) -> None:
        lease = self._running(event)
        if lease is not None:
            self.equal("leases", event, "amount", lease.owed, "another sum was given up than was left")
            lease.forgiven = lease.owed
            lease.ended = "forgiven"

    def _closed(self, event: Event, now: int) -> None:
        lease = self._running(event)
        if lease is None:
            return
        self.require(
            bool(lease.ended),
            "leases",
            event,
            "a lease that is paid, settled or forgiven",
            lease.owed,
            "it is not",
        )
        lease.over = True
        if lease.receipt == 0:
            self.standing_of.pop(lease.lessee, None)

    def _book(self, event: Event, lease: Lease, amount: int) -> None:
        fee = int(event.args["fee"])
        growth = lease.fee_at(lease.repaid + amount) - lease.fee_at(lease.repaid)
        self.equal("leases", event, "fee", growth, "the fee is what the rent so far owes more than before")
        lease.repaid += amount
        lease.fees += fee

    def _running(self, event: Event) -> Lease | None:
        number = int(event.args["leaseId"])
        lease = self.leases.get(number)
        if lease is None or lease.over:
            self.anomaly(
                "leases", event, f"lease {number} running", "none", "there is no such lease, or it is over"
            )
            return None
        return lease

    # ------------------------------------------------------------------ offers and settings

    def _cancelled(self, event: Event, now: int) -> None:
        self.cancelled.setdefault(event.args["offerHash"], event)

    def _series_ended(self, event: Event, now: int) -> None:
        lender = event.args["lender"]
        self.equal("leases", event, "newSeries", self.series[lender] + 1, "series are numbered in order")
        self.series[lender] = int(event.args["newSeries"])

    def _fee_set(self, event: Event, now: int) -> None:
        meaning = "the fee before was another than the last one set"
        self.equal("leases", event, "previousBps", self.fee_bps, meaning)
        self.fee_bps = int(event.args["feeBps"])
        self.require(
            self.fee_bps <= MAX_LEASE_FEE_BPS,
            "leases",
            event,
            f"at most {MAX_LEASE_FEE_BPS}",
            self.fee_bps,
            "no fee on rent can be this high",
        )

    def _paused_set(self, event: Event, now: int) -> None:
        self.paused = bool(event.args["paused"])

    HANDLERS: ClassVar[Mapping[str, Callable[[Any, Event, int], None]]] = {
        "LeaseTaken": _taken,
        "LeaseRepaid": _repaid,
        "LeaseSettled": _settled,
        "LeaseForgiven": _forgiven,
        "LeaseClosed": _closed,
        "OfferCancelled": _cancelled,
        "SeriesEnded": _series_ended,
        "LeaseFeeSet": _fee_set,
        "LeasingPausedSet": _paused_set,
    }
