"""Receipts in custody: which came for a loan or a lease, and where each went when that was over.

The bank refuses a receipt that somebody just sends to the pool or the lease: nobody could get it back, and no
loan or lease would know of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from timebank_chain.audit.book import Anomalies, Book
from timebank_chain.audit.evidence import Event
from timebank_chain.audit.replay import ZERO_ADDRESS

ROOMS = ("CreditLending", "CreditLease")


class CustodyBook(Book):
    """Receipts the pool and the lease hold.

    Attributes
    ----------
    held
        Receipt -> room that took it for a loan or a lease.
    """

    def __init__(self, addresses: Mapping[str, str], anomalies: Anomalies) -> None:
        super().__init__(addresses, anomalies)
        self.held: dict[int, str] = {}
        self._rooms = {addresses[room]: room for room in ROOMS}
        self._coming: dict[tuple[str, int], tuple[Event, str]] = {}
        self._leaving: dict[tuple[str, int], tuple[Event, str]] = {}
        self._lease_receipts: dict[int, tuple[int, str]] = {}

    def finish(self) -> None:
        """Say which receipts were announced and never moved, or left for no reason told."""
        for (_, receipt), (event, holder) in self._coming.items():
            self.anomaly(
                "custody", event, f"receipt {receipt} from {holder}", "it never came", "a pledge without one"
            )
        for (_, receipt), (event, holder) in self._leaving.items():
            self.anomaly(
                "custody", event, f"receipt {receipt} for {holder}", "not so", "a receipt was kept or closed"
            )

    def _moved(self, event: Event, now: int) -> None:
        sender, receiver, receipt = event.args["from"], event.args["to"], int(event.args["tokenId"])
        if sender in self._rooms:
            self._left(event, self._rooms[sender], receipt, receiver)
        if receiver in self._rooms:
            room = self._rooms[receiver]
            announced = self._coming.pop((room, receipt), None)
            if announced is None:
                self.anomaly(
                    "custody", event, f"a receipt that {room} fetched", receipt, "it was sent to be lost"
                )
            else:
                self.require(
                    announced[1] == sender, "custody", event, announced[1], sender, "another gave the receipt"
                )
                self.held[receipt] = room

    def _left(self, event: Event, room: str, receipt: int, receiver: str) -> None:
        if receiver == ZERO_ADDRESS:
            # Closed for a liquidation or a settlement: the room says so right after.
            if self.held.pop(receipt, "") != room:
                self.anomaly(
                    "custody", event, "a receipt in custody", receipt, "it closed what was not pledged"
                )
            self._leaving[room, receipt] = (event, ZERO_ADDRESS)
            return
        announced = self._leaving.pop((room, receipt), None)
        self.held.pop(receipt, None)
        self.require(
            announced is not None and announced[1] == receiver,
            "custody",
            event,
            "nobody" if announced is None else announced[1],
            receiver,
            "a receipt left custody for somebody it does not belong to",
        )

    def _pledged(self, event: Event, now: int) -> None:
        self._coming["CreditLending", int(event.args["receiptId"])] = (event, event.args["borrower"])

    def _released(self, event: Event, now: int) -> None:
        self._leaving["CreditLending", int(event.args["receiptId"])] = (event, event.args["borrower"])

    def _liquidated(self, event: Event, now: int) -> None:
        self._close(event, "CreditLending", int(event.args["receiptId"]))

    def _lease_taken(self, event: Event, now: int) -> None:
        receipt = int(event.args["receiptId"])
        if receipt:
            self._coming["CreditLease", receipt] = (event, event.args["lessee"])
            self._lease_receipts[int(event.args["leaseId"])] = (receipt, event.args["lessee"])

    def _lease_settled(self, event: Event, now: int) -> None:
        receipt, _ = self._lease_receipts.pop(int(event.args["leaseId"]), (0, ""))
        self._close(event, "CreditLease", receipt)

    def _lease_closed(self, event: Event, now: int) -> None:
        receipt, lessee = self._lease_receipts.pop(int(event.args["leaseId"]), (0, ""))
        if receipt:
            self._leaving["CreditLease", receipt] = (event, lessee)

    def _close(self, event: Event, room: str, receipt: int) -> None:
        closed = self._leaving.pop((room, receipt), None)
        self.require(
            closed is not None and closed[1] == ZERO_ADDRESS and closed[0].transaction == event.transaction,
            "custody",
            event,
            f"receipt {receipt} closed in the same transaction",
            "not closed",
            "a pledge was used up without its deposit being closed",
        )

    HANDLERS: ClassVar[Mapping[str, Callable[[Any, Event, int], None]]] = {
        "Transfer": _moved,
        "Pledged": _pledged,
        "Released": _released,
        "Liquidated": _liquidated,
        "LeaseTaken": _lease_taken,
        "LeaseSettled": _lease_settled,
        "LeaseClosed": _lease_closed,
    }
