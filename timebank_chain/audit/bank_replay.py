"""The bank from its events alone: time bank, lending pool and leases, and what stands between them.

Pure: takes decoded events in the order of the chain and the times of their blocks, gives a ``BankLedger``.
Each contract has a book of its own; what the contracts could never have emitted is kept as an anomaly, under
the name of the group of checks that reports it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from timebank_chain.audit.book import Anomalies
from timebank_chain.audit.claim_book import ClaimBook
from timebank_chain.audit.custody_book import CustodyBook
from timebank_chain.audit.deposit_book import DepositBook
from timebank_chain.audit.evidence import Event
from timebank_chain.audit.lease_book import LeaseBook
from timebank_chain.audit.pool_book import PoolBook
from timebank_chain.audit.report import Difference


@dataclass(frozen=True)
class BankLedger:
    """Everything the events say about the bank, at the end of the replay."""

    deposits: DepositBook
    pool: PoolBook
    leases: LeaseBook
    claims: ClaimBook
    custody: CustodyBook
    anomalies: Anomalies

    def anomalies_of(self, group: str) -> list[Difference]:
        """Return what the contracts of ``group`` could never have emitted."""
        return [difference for name, difference in self.anomalies if name == group]


def replay_bank(
    events: Iterable[Event],
    addresses: Mapping[str, str],
    clock: Callable[[int], int],
    initial_rate_at_target: int,
) -> BankLedger:
    """Replay decoded events in the order of the chain.

    Parameters
    ----------
    events
        Of all contracts of the deployment.
    addresses
        Contract name -> checksummed address.
    clock
        Block number -> Unix seconds.
    initial_rate_at_target
        What the lending pool was created with; no event says it.
    """
    anomalies: Anomalies = []
    deposits = DepositBook(addresses, anomalies)
    pool = PoolBook(addresses, anomalies, deposits, initial_rate_at_target)
    leases = LeaseBook(addresses, anomalies, deposits)
    creditors = {
        addresses["CreditLending"]: (pool.due_from_claims, pool.account_of),
        addresses["CreditLease"]: (leases.due_from_claims, leases.account_of),
    }
    claims = ClaimBook(addresses, anomalies, deposits, creditors)
    custody = CustodyBook(addresses, anomalies)
    for event in events:
        now = clock(event.block)
        if event.contract == "TimeBank":
            deposits.apply(event, now)
            if event.name == "Transfer":
                custody.apply(event, now)
        elif event.contract == "CreditLending":
            pool.apply(event, now)
            if event.name != "Transfer":
                custody.apply(event, now)
        elif event.contract == "CreditLease":
            leases.apply(event, now)
            custody.apply(event, now)
        elif event.contract == "CreditDistributor":
            claims.apply(event, now)
        elif (event.contract, event.name) == ("FeePool", "LossCovered"):
            pool.apply(event, now)
    for book in (claims, pool, custody):
        book.finish()
    return BankLedger(deposits, pool, leases, claims, custody, anomalies)
