"""Who earned, holds, received and paid what, and how fair that is: from the chain and final epochs alone.

People are the accounts of final epochs, whose rows must have the roots on chain, and whoever else ever had
credits. A placeholder linked to a wallet is one person with it; the system's own contracts are nobody:

``earned``
    micro-value of all epochs looked at, from the account leaves
``held``
    micro-credits in the wallet, principals of deposits (pledged ones too), the worth of pool shares and what
    waits in escrow for orders one has placed; debts are not taken off, and what is not claimed yet is not
    held by anybody
``received``
    micro-credits that other people sent or paid, for services and credits too, and rent, after fees; sums
    lent by a lease do not count
``fees``
    micro-credits: the fees on payments of who paid, on income of whose deposit it was, on rent of the lender,
    on services of the provider, on trades of who sold credits.
    The pool's part of interest is paid by all borrowers together and counts for nobody

Domain of a person is where most of what they earned comes from.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from eth_typing import ChecksumAddress
from numpy.typing import NDArray

from timebank_chain.chain.addresses import address_bytes
from timebank_chain.chain.bank_events import (
    Deposited,
    ExitedEarly,
    IncomeCollected,
    LeaseRepaid,
    LeaseSettled,
    LeaseTaken,
    ReceiptTransferred,
    RolledOver,
    SharesTransferred,
    Withdrawn,
)
from timebank_chain.chain.event import Event
from timebank_chain.chain.events import LinkConfirmed, Paid, Transfer, read_events
from timebank_chain.chain.exchange_events import TradeFilled
from timebank_chain.chain.final_epochs import read_final_epoch
from timebank_chain.chain.member_registry import ZERO_ADDRESS
from timebank_chain.chain.reverts import NoEpochFinalised
from timebank_chain.chain.service_events import (
    ServiceAccepted,
    ServiceCancelled,
    ServiceCountered,
    ServiceOrdered,
    ServiceSettled,
)
from timebank_chain.chain.system import Timebank
from timebank_chain.epoch import PublishedEpoch, read_policy
from timebank_chain.epoch.proof import checked_tree
from timebank_chain.errors import CheckFailed, EpochError, UsageError
from timebank_chain.spec.share_math import to_assets_down
from timebank_chain.units import MAX_AMOUNT
from timebank_chain.valuation.inequality import Inequality, Mobility, exact_sum, measure, median, mobility
from timebank_chain.valuation.order import accounts_as_keys

#: What a person has: name of the column -> its unit.
QUANTITIES: Mapping[str, str] = {
    "earned": "value",
    "held": "credits",
    "received": "credits",
    "fees": "credits",
}
#: Whoever has earned nothing belongs to no domain.
NO_DOMAIN = "(none)"

DISTRIBUTION_EVENTS: tuple[type[Event], ...] = (
    Transfer,
    Paid,
    LinkConfirmed,
    ReceiptTransferred,
    Deposited,
    Withdrawn,
    ExitedEarly,
    IncomeCollected,
    RolledOver,
    SharesTransferred,
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

_ANOTHER_NODE = "ask another node; if it says the same, run timebank audit"
_Keys = NDArray[np.bytes_]


@dataclass(frozen=True)
class EpochShares:
    """What each person earned (micro-value) and was credited (micro-credits) in one epoch.

    ``known`` marks the people with a leaf in it.
    """

    epoch: int
    end_ms: int
    earned: NDArray[np.int64]
    mint: NDArray[np.int64]
    known: NDArray[np.bool_]


@dataclass(frozen=True)
class Distribution:
    """What everybody has, one row a person; units as in the module's text.

    Attributes
    ----------
    domain
        Index into ``domains`` of each person.
    unclaimed
        Micro-credits that final epochs grant and nobody has claimed.
    """

    block: int
    epochs: tuple[EpochShares, ...]
    earned: NDArray[np.int64]
    held: NDArray[np.int64]
    received: NDArray[np.int64]
    fees: NDArray[np.int64]
    domain: NDArray[np.intp]
    domains: tuple[str, ...]
    unclaimed: int

    @property
    def people(self) -> int:
        """How many people there are."""
        return len(self.earned)


@dataclass(frozen=True, slots=True)
class EpochFairness:
    """One epoch: how unequal it was, who was new, and how ranks moved since the epoch before.

    Attributes
    ----------
    people, active
        With a leaf, and of them who earned anything.
    gini, gini_active
        Of what was earned, among ``people`` and among ``active``; ``None`` where nobody earned anything.
    newcomers
        People whose first credits came from this epoch.
    newcomers_median, others_median
        Median mint (micro-credits) of them, and of the others who were credited in it.
    mobility
        Of earned among those who had a leaf in the epoch before and earned in either; ``None`` for the first.
    """

    epoch: int
    end_ms: int
    people: int
    active: int
    gini: Fraction | None
    gini_active: Fraction | None
    newcomers: int
    newcomers_median: Fraction | None
    others_median: Fraction | None
    mobility: Mobility | None


@dataclass(frozen=True)
class FairnessReport:
    """How fair a system is, at one block.

    Attributes
    ----------
    measures
        By quantity; ``None`` where there is nothing of it.
    never_credited
        People who never got a credit from any epoch looked at.
    """

    block: int
    people: int
    never_credited: int
    unclaimed: int
    measures: Mapping[str, Inequality | None]
    epochs: tuple[EpochFairness, ...]


def fairness_report(seen: Distribution) -> FairnessReport:
    """Measure a distribution."""
    epochs, credited = [], np.zeros(seen.people, dtype=np.bool_)
    before: EpochShares | None = None
    for epoch in seen.epochs:
        now = epoch.mint > 0
        new = now & ~credited
        among_all = measure(epoch.earned[epoch.known])
        among_active = measure(epoch.earned[epoch.earned > 0])
        moved = None
        if before is not None:
            both = before.known & ((before.earned > 0) | (epoch.earned > 0))
            moved = mobility(before.earned[both], epoch.earned[both])
        epochs.append(
            EpochFairness(
                epoch=epoch.epoch,
                end_ms=epoch.end_ms,
                people=int(epoch.known.sum()),
                active=int((epoch.earned > 0).sum()),
                gini=None if among_all is None else among_all.gini,
                gini_active=None if among_active is None else among_active.gini,
                newcomers=int(new.sum()),
                newcomers_median=median(epoch.mint[new]),
                others_median=median(epoch.mint[now & credited]),
                mobility=moved,
            )
        )
        credited |= now
        before = epoch
    return FairnessReport(
        block=seen.block,
        people=seen.people,
        never_credited=int((~credited).sum()),
        unclaimed=seen.unclaimed,
        measures={name: measure(getattr(seen, name), seen.domain, seen.domains) for name in QUANTITIES},
        epochs=tuple(epochs),
    )


def read_distribution(
    timebank: Timebank,
    epochs: Path,
    *,
    first: int = 1,
    last: int | None = None,
    progress: Callable[[str], None] | None = None,
) -> Distribution:
    """Gather what everybody has, at the newest block.

    Parameters
    ----------
    epochs
        Folder of published epochs.
    first, last
        Which final epochs ``earned`` is counted over; to the newest one where ``last`` is not given.
        Credits are always those of the newest block.

    Raises
    ------
    NoEpochFinalised
        If no epoch is final yet.
    UsageError
        If ``first`` is after ``last``.
    EpochError
        If an epoch is not published or not final.
    TamperedEpoch
        If a published epoch is not the one on chain, or its rows have other roots.
    CheckFailed
        If the transfers do not add up to the credits there are.
    """
    tell = progress or (lambda _text: None)
    block = timebank.connection.block_number()
    newest = timebank.rate_oracle.latest_epoch(block=block)
    if newest == 0:
        raise NoEpochFinalised({})
    until = newest if last is None else last
    if not 1 <= first <= until:
        raise UsageError(f"epochs {first} to {until}", hint=f"the final epochs are 1 to {newest}")
    tell("reading events")
    ledger = _Ledger(timebank.addresses())
    ledger.take_in(
        read_events(
            timebank.connection,
            timebank.addresses(),
            DISTRIBUTION_EVENTS,
            from_block=timebank.deployment.first_block,
            to_block=block,
        )
    )
    pool = timebank.credit_lending
    shares = pool.total_supply(block=block)
    for what, found, said in (
        ("credits", sum(ledger.balances.values()), timebank.attention_credit.total_supply(block=block)),
        ("pool shares", sum(ledger.shares.values()), shares),
        ("deposits", sum(ledger.principals.values()), timebank.time_bank.books(block=block).principal),
    ):
        if found != said:
            raise CheckFailed(
                f"by all events there are {found} {what}, by the chain {said}: an event is missing",
                hint=_ANOTHER_NODE,
            )
    holdings = ledger.holdings(pool.total_assets(block=block), shares)

    published = []
    for number in range(first, until + 1):
        tell(f"epoch {number}: checking")
        published.append(read_final_epoch(timebank, epochs, number, block=block))
        checked_tree(published[-1], "activity")
    final = published[-1] if until == newest else read_final_epoch(timebank, epochs, newest, block=block)
    return _distribution(
        block,
        published,
        [read_policy(epochs, one.header.policy_hash).domain_names() for one in published],
        holdings,
        ledger.links,
        exact_sum(final.accounts.cumulative_mint) - ledger.minted,
    )


def read_fees(timebank: Timebank) -> Fees:
    """Return who paid which fees so far, at the newest block; see the module's text."""
    ledger = _Ledger(timebank.addresses())
    block = timebank.connection.block_number()
    ledger.take_in(
        read_events(
            timebank.connection,
            timebank.addresses(),
            DISTRIBUTION_EVENTS,
            from_block=timebank.deployment.first_block,
            to_block=block,
        )
    )
    return Fees(ledger.holdings(0, 0).fees, ledger.links)


@dataclass(frozen=True)
class Fees:
    """Fees so far by account, micro-credits, and the wallets of linked placeholders."""

    paid: Mapping[str, int]
    links: Mapping[str, str]

    @property
    def total(self) -> int:
        """All of them together."""
        return sum(self.paid.values())

    def scaled(self, then: Mapping[str, int], now: Mapping[str, int]) -> int:
        """Return what all would have paid, had everybody spent the same part of other credits.

        Parameters
        ----------
        then, now
            Credits of each account, as they were and as they would have been; each person's fee is taken in
            that proportion, rounded down. Who was credited nothing pays what they paid.
        """
        was: dict[str, int] = defaultdict(int)
        would: dict[str, int] = defaultdict(int)
        for account, amount in then.items():
            was[self.links.get(account, account)] += amount
        for account, amount in now.items():
            would[self.links.get(account, account)] += amount
        return sum(
            fee * would[account] // was[account] if was.get(account) else fee
            for account, fee in self.paid.items()
        )


@dataclass
class _Holdings:
    """Micro-credits by account, the system's contracts left out."""

    held: dict[str, int]
    received: dict[str, int]
    fees: dict[str, int]


class _Ledger:
    """What events say of every account.

    Attributes
    ----------
    balances, shares
        Micro-credits and pool shares, contracts included.
    principals
        Micro-credits of each deposit, by its receipt.
    escrowed
        Micro-credits that wait in escrow, by order: the buyer's until the order is settled.
    minted
        Micro-credits that were claimed: nothing else is ever minted.
    links
        Placeholder -> wallet.
    """

    def __init__(self, addresses: Mapping[str, ChecksumAddress]) -> None:
        self._contracts = frozenset(addresses.values()) | {ZERO_ADDRESS}
        self.minted = 0
        self.balances: dict[str, int] = defaultdict(int)
        self.shares: dict[str, int] = defaultdict(int)
        self.links: dict[str, str] = {}
        self._received: dict[str, int] = defaultdict(int)
        self._fees: dict[str, int] = defaultdict(int)
        self._owner: dict[int, str] = {}
        self.principals: dict[int, int] = {}
        self._leases: dict[int, tuple[str, int, int]] = {}
        self._sides: dict[int, tuple[str, str]] = {}
        self.escrowed: dict[int, int] = {}

    def take_in(self, events: Iterable[Event]) -> None:
        """Take in events, in the order of the chain."""
        for event in events:
            try:
                self._RULES[type(event)](self, event)
            except KeyError as unknown:
                raise CheckFailed(
                    f"{type(event).__name__} is about number {unknown}, of which no event has told before",
                    hint=_ANOTHER_NODE,
                ) from unknown

    def holdings(self, pool_assets: int, pool_shares: int) -> _Holdings:
        """Return what each account holds, received and paid in fees.

        Parameters
        ----------
        pool_assets, pool_shares
            What belongs to the lending pool's suppliers (micro-credits), and all shares there are.
        """
        held: dict[str, int] = defaultdict(int)
        for account, amount in self.balances.items():
            held[account] += amount
        for receipt, principal in self.principals.items():
            held[self._owner[receipt]] += principal
        for order, amount in self.escrowed.items():
            held[self._sides[order][0]] += amount
        for account, shares in self.shares.items():
            held[account] += to_assets_down(shares, pool_assets, pool_shares)
        return _Holdings(*(self._people(one) for one in (held, self._received, self._fees)))

    def _people(self, amounts: Mapping[str, int]) -> dict[str, int]:
        return {who: amount for who, amount in amounts.items() if who not in self._contracts}

    # ------------------------------------------------------------ events

    def _transfer(self, event: Transfer) -> None:
        if event.sender == ZERO_ADDRESS:
            self.minted += event.amount
        else:
            self.balances[event.sender] -= event.amount
        if event.receiver != ZERO_ADDRESS:
            self.balances[event.receiver] += event.amount
        if event.sender not in self._contracts and event.sender != event.receiver:
            self._received[event.receiver] += event.amount

    def _paid(self, event: Paid) -> None:
        self._fees[event.payer] += event.fee

    def _linked(self, event: LinkConfirmed) -> None:
        self.links[event.placeholder] = event.wallet

    def _receipt_moved(self, event: ReceiptTransferred) -> None:
        # Pledged to a contract, it is still its member's.
        if event.receiver not in self._contracts:
            self._owner[event.receipt_id] = event.receiver

    def _deposited(self, event: Deposited) -> None:
        self._owner[event.receipt_id] = event.owner
        self.principals[event.receipt_id] = event.amount

    def _withdrawn(self, event: Withdrawn) -> None:
        self.principals[event.receipt_id] = 0
        self._fees[self._owner[event.receipt_id]] += event.fee

    def _exited(self, event: ExitedEarly) -> None:
        self.principals[event.receipt_id] = 0

    def _collected(self, event: IncomeCollected) -> None:
        self._fees[self._owner[event.receipt_id]] += event.fee

    def _rolled(self, event: RolledOver) -> None:
        self.principals[event.receipt_id] = event.principal
        self._fees[self._owner[event.receipt_id]] += event.fee

    def _shares_moved(self, event: SharesTransferred) -> None:
        if event.sender != ZERO_ADDRESS:
            self.shares[event.sender] -= event.shares
        if event.receiver != ZERO_ADDRESS:
            self.shares[event.receiver] += event.shares

    def _lease_taken(self, event: LeaseTaken) -> None:
        self._leases[event.lease_id] = event.lender, event.principal, 0
        self._received[event.lessee] -= event.principal

    def _lease_repaid(self, event: LeaseRepaid) -> None:
        lender, principal, repaid = self._leases[event.lease_id]
        self._leases[event.lease_id] = lender, principal, repaid + event.amount
        self._fees[lender] += event.fee
        # Principal first, then rent: what of this is principal was the lender's before.
        if event.from_claim:
            self._received[lender] += event.amount - event.fee
        elif event.payer == lender:
            return  # out of one pocket into the other
        self._received[lender] -= min(event.amount, max(0, principal - repaid))

    def _lease_settled(self, event: LeaseSettled) -> None:
        lender, principal, repaid = self._leases[event.lease_id]
        self._fees[lender] += event.fee
        self._received[lender] += max(0, event.to_lender - max(0, principal - repaid))

    def _trade_filled(self, event: TradeFilled) -> None:
        self._fees[event.seller] += event.fee

    def _service_ordered(self, event: ServiceOrdered) -> None:
        self._sides[event.order_id] = event.buyer, event.provider
        self.escrowed[event.order_id] = event.held

    def _service_held(self, event: ServiceCountered | ServiceAccepted) -> None:
        _ = self._sides[event.order_id]
        self.escrowed[event.order_id] = event.held

    def _service_cancelled(self, event: ServiceCancelled) -> None:
        _ = self._sides[event.order_id]
        self.escrowed[event.order_id] = 0

    def _service_settled(self, event: ServiceSettled) -> None:
        _, provider = self._sides[event.order_id]
        self.escrowed[event.order_id] = 0
        self._received[provider] += event.to_provider
        self._fees[provider] += event.fee

    _RULES: Mapping[type[Event], Callable[..., None]] = {
        Transfer: _transfer,
        Paid: _paid,
        LinkConfirmed: _linked,
        ReceiptTransferred: _receipt_moved,
        Deposited: _deposited,
        Withdrawn: _withdrawn,
        ExitedEarly: _exited,
        IncomeCollected: _collected,
        RolledOver: _rolled,
        SharesTransferred: _shares_moved,
        LeaseTaken: _lease_taken,
        LeaseRepaid: _lease_repaid,
        LeaseSettled: _lease_settled,
        TradeFilled: _trade_filled,
        ServiceOrdered: _service_ordered,
        ServiceCountered: _service_held,
        ServiceAccepted: _service_held,
        ServiceCancelled: _service_cancelled,
        ServiceSettled: _service_settled,
    }


def _distribution(
    block: int,
    published: Sequence[PublishedEpoch],
    domain_names: Sequence[Sequence[str]],
    holdings: _Holdings,
    links: Mapping[str, str],
    unclaimed: int,
) -> Distribution:
    accounts = [accounts_as_keys(one.accounts.account) for one in published]
    others = _as_keys([*holdings.held, *holdings.received, *holdings.fees, *links, *links.values()])
    keys = _union([*accounts[::-1], others])
    people, person = _people_of(keys, links)
    whose = [person[np.searchsorted(keys, of)] for of in accounts]

    def by_person(of: NDArray[np.intp], amounts: NDArray[np.int64]) -> NDArray[np.int64]:
        column = np.zeros(people, dtype=np.int64)
        np.add.at(column, of, amounts)
        return column

    def of_ledger(amounts: Mapping[str, int]) -> NDArray[np.int64]:
        of = person[np.searchsorted(keys, _as_keys(list(amounts)))]
        return by_person(of, np.array(list(amounts.values()), dtype=np.int64))

    if sum(one.header.total_earned for one in published) > MAX_AMOUNT:
        raise EpochError(
            "what these epochs earned does not fit 64 bits together", hint="look at fewer: --from, --to"
        )
    shares = []
    for one, of in zip(published, whose, strict=True):
        known = np.zeros(people, dtype=np.bool_)
        known[of] = True
        shares.append(
            EpochShares(
                epoch=one.number,
                end_ms=one.header.end_ms,
                earned=by_person(of, one.accounts.earned),
                mint=by_person(of, one.accounts.mint),
                known=known,
            )
        )
    earned = np.zeros(people, dtype=np.int64)
    for epoch in shares:
        earned += epoch.earned
    domains = sorted({name for names in domain_names for name in names})
    domain = _main_domains(published, domain_names, domains, whose, people)
    domain[earned == 0] = len(domains)
    return Distribution(
        block=block,
        epochs=tuple(shares),
        earned=earned,
        held=of_ledger(holdings.held),
        received=of_ledger(holdings.received),
        fees=of_ledger(holdings.fees),
        domain=domain,
        domains=(*domains, NO_DOMAIN),
        unclaimed=unclaimed,
    )


def _as_keys(accounts: Sequence[str]) -> _Keys:
    packed = b"".join(address_bytes(account) for account in accounts)
    return accounts_as_keys(np.frombuffer(packed, dtype=np.uint8).reshape(-1, 20))


def _union(columns: Sequence[_Keys]) -> _Keys:
    """Return all accounts once, ascending; fast where the first column ascends and has nearly all."""
    keys = columns[0]
    if not bool((keys[1:] > keys[:-1]).all()):
        keys = np.unique(keys)
    for column in columns[1:]:
        place = np.minimum(np.searchsorted(keys, column), len(keys) - 1)
        missing = column[keys[place] != column] if len(keys) else column
        if len(missing):
            keys = np.sort(np.concatenate([keys, np.unique(missing)]))
    return keys


def _people_of(keys: _Keys, links: Mapping[str, str]) -> tuple[int, NDArray[np.intp]]:
    """Return how many people there are, and which one each account is: a linked placeholder is its wallet."""
    owner = np.arange(len(keys))
    if links:
        owner[np.searchsorted(keys, _as_keys(list(links)))] = np.searchsorted(
            keys, _as_keys(list(links.values()))
        )
    numbers, person = np.unique(owner, return_inverse=True)
    return len(numbers), person


def _main_domains(
    published: Sequence[PublishedEpoch],
    domain_names: Sequence[Sequence[str]],
    domains: Sequence[str],
    whose: Sequence[NDArray[np.intp]],
    people: int,
) -> NDArray[np.intp]:
    """Return the domain in which each person's acts are worth most; of equals the first by name."""
    worth = np.zeros(people * len(domains), dtype=np.int64)
    place = {name: number for number, name in enumerate(domains)}
    for one, names, of in zip(published, domain_names, whose, strict=True):
        rows = one.activities
        ends = one.accounts.activity_end.astype(np.int64)
        starts = np.concatenate([np.zeros(1, dtype=np.int64), ends])[: len(ends)]
        columns = np.array([place[name] for name in names], dtype=np.intp)[rows.domain]
        np.add.at(worth, np.repeat(of, ends - starts) * len(domains) + columns, rows.value)
    return np.asarray(worth.reshape(people, len(domains)).argmax(axis=1), dtype=np.intp)
