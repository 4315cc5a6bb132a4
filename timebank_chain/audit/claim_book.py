"""Pledges and standing orders as the distributor's events leave them, and where each claim had to go.

A claim pays an overdue debt first, then a standing order, then the wallet. What was due is taken from the
books of the creditor just before the claim.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from timebank_chain.audit.book import Anomalies, Book
from timebank_chain.audit.deposit_book import DepositBook
from timebank_chain.audit.evidence import Event
from timebank_chain.audit.replay import ZERO_ADDRESS

#: Borrower and Unix time -> micro-credits of the next claim that go to the debt.
DueFromClaims = Callable[[str, int], int]

#: Borrower -> the account its debt on standing was made on, ``None`` without such a debt.
AccountOf = Callable[[str], str | None]


class ClaimBook(Book):
    """What stands between claims and wallets.

    Attributes
    ----------
    pledged
        Account -> the creditor its claims are pledged to.
    ever_pledged
        Every account whose claims were pledged or freed.
    orders, ever_ordered
        Account -> term of its standing order, and every account that ever gave or ended one.
    """

    def __init__(
        self,
        addresses: Mapping[str, str],
        anomalies: Anomalies,
        deposits: DepositBook,
        creditors: Mapping[str, tuple[DueFromClaims, AccountOf]],
    ) -> None:
        super().__init__(addresses, anomalies)
        self.pledged: dict[str, str] = {}
        self.ever_pledged: set[str] = set()
        self.orders: dict[str, int] = {}
        self.ever_ordered: set[str] = set()
        self._deposits = deposits
        self._creditors = creditors
        # A claim, its creditor, what was due to it, and whether it was to be deposited, all as of the claim:
        # an order given before the next claim comes is none of its.
        self._claim: tuple[Event, str, int, bool] | None = None

    def finish(self) -> None:
        """Close the last claim: one that was not routed owed nothing and had no standing order."""
        if self._claim is not None:
            event, creditor, due, ordered = self._claim
            if due:
                self.anomaly(
                    "routes", event, f"{due} for {creditor}", "none", "a claim went past an overdue debt"
                )
            elif ordered:
                self.anomaly("routes", event, "a deposit", "none", "a claim went past a standing order")
        self._claim = None

    def _claimed(self, event: Event, now: int) -> None:
        self.finish()
        account = event.args["account"]
        receiver = event.args["receiver"]
        creditor = self.pledged.get(account) or self.pledged.get(receiver, ZERO_ADDRESS)
        due = 0
        if creditor in self._creditors:
            due = self._creditors[creditor][0](event.args["receiver"], now)
        self._claim = (event, creditor, min(due, int(event.args["amount"])), account in self.orders)

    def _routed(self, event: Event, now: int) -> None:
        claim, self._claim = self._claim, None
        if (
            claim is None
            or claim[0].transaction != event.transaction
            or claim[0].args["account"] != event.args["account"]
        ):
            self.anomaly(
                "routes", event, "the claim it follows", "none", "something was routed that was no claim"
            )
            return
        claimed, creditor, due, ordered = claim
        args, amount = event.args, int(claimed.args["amount"])
        self.equal(
            "routes", event, "creditor", creditor, "a claim went to another creditor than it is pledged to"
        )
        self.equal(
            "routes", event, "toCreditor", due, "a claim pays what is overdue, as far as it goes, first"
        )
        deposit_id, to_deposit = int(args["depositId"]), int(args["toDeposit"])
        rest = amount - int(args["toCreditor"]) if ordered else 0
        meaning = "a standing order deposits all that is left" if ordered else "nobody ordered a deposit"
        self.equal("routes", event, "toDeposit", rest, meaning)
        if deposit_id == 0:
            self.equal("routes", event, "toDeposit", 0, "something was deposited without a receipt")
            return
        deposit = self._deposits.deposits.get(deposit_id)
        holder = self._deposits.owners.get(deposit_id, ZERO_ADDRESS)
        self.require(
            deposit is not None and (deposit.principal, holder) == (to_deposit, claimed.args["receiver"]),
            "routes",
            event,
            f"deposit {deposit_id} of {to_deposit} for {claimed.args['receiver']}",
            f"{deposit} of {holder}",
            "the deposit is not the one the claim paid for",
        )

    def _pledge_set(self, event: Event, now: int) -> None:
        creditor = event.args["creditor"]
        self.require(
            creditor in (*self._creditors, ZERO_ADDRESS),
            "pledges",
            event,
            "the lending pool, the lease or nobody",
            creditor,
            "claims were pledged to somebody else",
        )
        self._require_debt(event)
        for account in (event.args["account"], event.args["wallet"]):
            self.ever_pledged.add(account)
            before = self.pledged.pop(account, creditor)
            self.require(
                creditor in (before, ZERO_ADDRESS),
                "pledges",
                event,
                f"{account} pledged to {before}",
                creditor,
                "claims were pledged to two creditors",
            )
            if creditor != ZERO_ADDRESS:
                self.pledged[account] = creditor

    def _require_debt(self, event: Event) -> None:
        """A pledge follows the debt it secures, and ends with it."""
        account, wallet, creditor = (event.args[name] for name in ("account", "wallet", "creditor"))
        if creditor == ZERO_ADDRESS:
            holder, expected = self.pledged.get(account, ZERO_ADDRESS), ""
        else:
            holder, expected = creditor, account
        if holder in self._creditors:
            self.equal(
                "pledges",
                event,
                "account",
                expected,
                "claims were pledged without a debt, or freed with one",
                found=self._creditors[holder][1](wallet) or "",
            )

    def _order_set(self, event: Event, now: int) -> None:
        account = event.args["account"]
        self.ever_ordered.add(account)
        self.orders.pop(account, None)
        if event.args["active"]:
            self.orders[account] = int(event.args["termId"])

    HANDLERS: ClassVar[Mapping[str, Callable[[Any, Event, int], None]]] = {
        "Claimed": _claimed,
        "ClaimRouted": _routed,
        "ClaimsPledgeSet": _pledge_set,
        "StandingOrderSet": _order_set,
    }
