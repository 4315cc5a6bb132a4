"""What an account is worth today and will be later, if nothing happens but time: the ageing view.

Exact is what depends on nobody else: credits in the wallet, what a bound deposit pays, what a lease owes, how
standing decays. The rest is an estimate and says so: income that is pending today is released by the bank's
own formula with today's weights, and nothing more comes in; the pool's rate stays what it is today.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from eth_typing import ChecksumAddress

from timebank_chain.chain.addresses import address_bytes
from timebank_chain.chain.claiming import final_epoch
from timebank_chain.chain.deposit_accruals import income_down, release_due
from timebank_chain.chain.loans import Pool, read_pool, standing_limit
from timebank_chain.chain.portfolio import HeldDeposit, Portfolio, read_portfolio
from timebank_chain.chain.system import Timebank
from timebank_chain.chain.time_bank import BankBooks, Position
from timebank_chain.epoch import PublishedEpoch, published_numbers, read_epoch, read_policy
from timebank_chain.spec import adaptive_rate, decay
from timebank_chain.spec.share_math import VIRTUAL_SHARES
from timebank_chain.units import MAX_TIME_MS, mul_div_down, mul_div_up

ONE_BPS = 10_000
WAD = adaptive_rate.WAD
DAY = 86_400


@dataclass(frozen=True)
class OutlookRow:
    """One thing an account has or owes, at every date.

    Attributes
    ----------
    kind
        ``wallet``, ``deposit``, ``supply``, ``lease lent``, ``claimable``; owed: ``loan``,
        ``loan on standing``, ``lease``.
    number
        Of the receipt or lease, else ``None``.
    owed
        Whether it counts against the account.
    amounts
        Micro-credits at each date, never negative.
    exact
        Whether each of them is certain, as long as nobody does anything.
    """

    kind: str
    number: int | None
    owed: bool
    amounts: tuple[int, ...]
    exact: tuple[bool, ...]


@dataclass(frozen=True)
class CalendarEntry:
    """Something that falls on a day: ``amount`` micro-credits, ``time`` Unix seconds.

    ``kind`` is ``deposit matures``, ``lease due`` (owed), ``lease lent due``, ``loan on standing due`` or
    ``loan on standing fails`` (from then on it can be written off).
    """

    time: int
    kind: str
    number: int | None
    amount: int


@dataclass(frozen=True)
class EpochPart:
    """What is left of what an account earned in one epoch; micro-value.

    Attributes
    ----------
    epoch
        ``None`` for what no file at hand explains: earlier epochs, and units lost to rounding.
    earned
        In that epoch; for ``None`` what is left of it at the end of the newest.
    left
        At each date.
    """

    epoch: int | None
    earned: int
    left: tuple[int, ...]

    @property
    def fading(self) -> int:
        """What of it goes from the first date to the second."""
        return self.left[0] - self.left[1] if len(self.left) > 1 else 0


@dataclass(frozen=True)
class StandingOutlook:
    """How the standing of an account fades; micro-value, micro-credits, milliseconds.

    Attributes
    ----------
    account
        The account itself, or a placeholder linked to it.
    epoch, end_ms
        Of the newest final epoch, where ``standing`` stands.
    left
        What is left at each date.
    limits
        What could be owed on it at each date, at today's rate and settings.
    parts
        By epoch, the one that fades most first.
    """

    account: ChecksumAddress
    epoch: int
    end_ms: int
    standing: int
    left: tuple[int, ...]
    limits: tuple[int, ...]
    parts: tuple[EpochPart, ...]


@dataclass(frozen=True)
class Outlook:
    """An account's outlook at dates, the first being the block's own time (Unix seconds).

    ``standings`` and the row ``claimable`` need published epochs; without them both are missing.
    """

    account: ChecksumAddress
    block: int
    dates: tuple[int, ...]
    rows: tuple[OutlookRow, ...]
    calendar: tuple[CalendarEntry, ...]
    standings: tuple[StandingOutlook, ...]

    def total(self, *, owed: bool) -> tuple[int, ...]:
        """Return what the account has, or owes, at each date."""
        chosen = [row.amounts for row in self.rows if row.owed == owed]
        return tuple(sum(amounts) for amounts in zip(*chosen, strict=True)) or (0,) * len(self.dates)

    @property
    def net(self) -> tuple[int, ...]:
        """What it has less what it owes, at each date."""
        return tuple(
            has - owes for has, owes in zip(self.total(owed=False), self.total(owed=True), strict=True)
        )


@dataclass(frozen=True)
class _Standing:
    account: ChecksumAddress
    epoch: int
    end_ms: int
    standing: int
    parts: tuple[tuple[int | None, int, int], ...]  # epoch, earned, left at the end of the newest


@dataclass(frozen=True)
class OutlookBasis:
    """Everything read from the chain and the files, from which :meth:`at` works out any dates."""

    portfolio: Portfolio
    books: BankBooks
    release_seconds: int
    positions: dict[int, Position]
    pool: Pool
    claimable: int | None
    standings: tuple[_Standing, ...]
    decay_k: int
    rate_q24: int

    def at(self, dates: Sequence[int]) -> Outlook:
        """Work out the outlook.

        Parameters
        ----------
        dates
            Unix seconds, none before the block's time.
        """
        dates = tuple(dates)
        if any(date < self.portfolio.time for date in dates):
            raise ValueError(f"an outlook looks ahead of {self.portfolio.time}, not at {min(dates)}")
        portfolio = self.portfolio
        now = tuple(date == portfolio.time for date in dates)
        always = (True,) * len(dates)
        rows = [OutlookRow("wallet", None, False, (portfolio.balance,) * len(dates), always)]
        if self.claimable is not None:
            rows.append(OutlookRow("claimable", None, False, (self.claimable,) * len(dates), always))
        for held in portfolio.deposits:
            amounts = tuple(self._deposit(held, date) for date in dates)
            # Until it matures its income does not count, and the penalty is known.
            exact = tuple(date == portfolio.time or date < held.matures_at for date in dates)
            rows.append(OutlookRow("deposit", held.receipt_id, False, amounts, exact))
        if portfolio.supply.shares:
            worth = tuple(self._supply(date) for date in dates)
            rows.append(OutlookRow("supply", None, False, worth, now))
        for lent in portfolio.leases_lent:
            rows.append(
                OutlookRow("lease lent", lent.lease_id, False, (lent.to_lender,) * len(dates), always)
            )
        for loan in portfolio.loans:
            if loan.debt:
                owed = tuple(self._grown(loan.debt, date) for date in dates)
                rows.append(OutlookRow("loan", loan.receipt_id, True, owed, now))
        standing_loan = portfolio.standing_loan
        if standing_loan is not None:
            # What was written off does not grow any more.
            lost = standing_loan.written_off
            owed = tuple(lost + self._grown(standing_loan.debt - lost, date) for date in dates)
            exact = always if standing_loan.debt == lost else now
            rows.append(OutlookRow("loan on standing", None, True, owed, exact))
        for rented in portfolio.leases_owed:
            amounts = (rented.lease.owed,) * len(dates)
            rows.append(OutlookRow("lease", rented.lease_id, True, amounts, always))
        return Outlook(
            account=portfolio.account,
            block=portfolio.block,
            dates=dates,
            rows=tuple(rows),
            calendar=self._calendar(),
            standings=tuple(self._standing(one, dates) for one in self.standings),
        )

    def _deposit(self, held: HeldDeposit, date: int) -> int:
        """What closing it at a date would pay: the bank's ``exitValueOf`` if nothing happens until then."""
        term = held.term
        if date < held.matures_at:
            return held.principal - mul_div_up(held.principal, term.penalty_bps, ONE_BPS)
        _, index = release_due(self.books, self.release_seconds, date)
        weight = held.principal * term.multiplier_milli
        income = income_down(weight, self.positions[held.receipt_id].income_index, index)
        return held.principal + income - mul_div_up(income, self.portfolio.income_fee_bps, ONE_BPS)

    def _growth(self, date: int) -> int:
        return adaptive_rate.growth(self.pool.borrow_rate, date - self.portfolio.time)

    def _grown(self, debt: int, date: int) -> int:
        return debt + mul_div_up(debt, self._growth(date), WAD)

    def _supply(self, date: int) -> int:
        """What the account's shares stand for when all loans grow at today's rate and nobody repays."""
        books, risk = self.pool.books, self.pool.risk
        interest = mul_div_down(books.debt, self._growth(date), WAD)
        assets = books.total_assets + interest - mul_div_down(interest, risk.fee_bps, ONE_BPS)
        return mul_div_down(self.portfolio.supply.shares, assets + 1, self.pool.share_supply + VIRTUAL_SHARES)

    def _calendar(self) -> tuple[CalendarEntry, ...]:
        portfolio = self.portfolio
        found = [
            CalendarEntry(held.matures_at, "deposit matures", held.receipt_id, held.principal)
            for held in portfolio.deposits
            if not held.mature
        ]
        for own in portfolio.leases_owed:
            found.append(CalendarEntry(own.lease.due_at, "lease due", own.lease_id, own.lease.owed))
        for own in portfolio.leases_lent:
            found.append(CalendarEntry(own.lease.due_at, "lease lent due", own.lease_id, own.to_lender))
        loan = portfolio.standing_loan
        # What is written off stays owed, but no day is left on which anything happens to it.
        if loan is not None and loan.debt > loan.written_off:
            found.append(CalendarEntry(loan.due_at, "loan on standing due", None, loan.debt))
            found.append(CalendarEntry(loan.fails_at, "loan on standing fails", None, loan.debt))
        return tuple(sorted(found, key=lambda entry: (entry.time, entry.kind, entry.number or 0)))

    def _standing(self, one: _Standing, dates: Sequence[int]) -> StandingOutlook:
        ages = [_age_ms(date, one.end_ms) for date in dates]
        parts = [
            EpochPart(epoch, earned, tuple(_faded(left, age, self.decay_k) for age in ages))
            for epoch, earned, left in one.parts
        ]
        return StandingOutlook(
            account=one.account,
            epoch=one.epoch,
            end_ms=one.end_ms,
            standing=one.standing,
            left=tuple(_faded(one.standing, age, self.decay_k) for age in ages),
            limits=tuple(
                standing_limit(
                    one.standing,
                    age_ms=age,
                    decay_k=self.decay_k,
                    rate_q24=self.rate_q24,
                    standing_bps=self.pool.risk.standing_bps,
                )
                for age in ages
            ),
            parts=tuple(sorted(parts, key=lambda part: (-part.fading, part.epoch or 0))),
        )


def read_outlook(timebank: Timebank, account: ChecksumAddress, *, epochs: Path | None = None) -> OutlookBasis:
    """Read what an outlook is worked out from, all at one block.

    Parameters
    ----------
    epochs
        Folder of published epochs; without it standing and claimable credits are left out.

    Raises
    ------
    CheckFailed
        If events and contracts disagree about what is the account's.
    TamperedEpoch
        If the published epochs are not the ones on chain.
    """
    portfolio = read_portfolio(timebank, account)
    block, bank, oracle = portfolio.block, timebank.time_bank, timebank.rate_oracle
    standings: tuple[_Standing, ...] = ()
    claimable, decay_k = None, 0
    if epochs is not None:
        claimable = 0
        if oracle.latest_epoch(block=block):
            newest = final_epoch(timebank, epochs)
            decay_k = read_policy(epochs, oracle.policy_hash(block=block)).decay_k
            accounts = [route.account for route in portfolio.claims]
            standings = tuple(_standings(epochs, newest, accounts))
            for whose in accounts:
                claimed = timebank.credit_distributor.claimed(whose, block=block)
                index = newest.accounts.find(address_bytes(whose))
                if index is not None:
                    claimable += max(0, newest.accounts.leaf(index).cumulative_mint - claimed)
    return OutlookBasis(
        portfolio=portfolio,
        books=bank.books(block=block),
        release_seconds=bank.release_seconds(block=block),
        positions={
            held.receipt_id: bank.position(held.receipt_id, block=block) for held in portfolio.deposits
        },
        pool=read_pool(timebank, block=block),
        claimable=claimable,
        standings=standings,
        decay_k=decay_k,
        rate_q24=oracle.rate_q24(block=block),
    )


def _standings(epochs: Path, newest: PublishedEpoch, accounts: Sequence[ChecksumAddress]) -> list[_Standing]:
    """Follow what each epoch brought to each account through every later one, as the valuation did."""
    left: dict[ChecksumAddress, dict[int | None, tuple[int, int]]] = {account: {} for account in accounts}
    before: PublishedEpoch | None = None
    for number in published_numbers(epochs):
        if number > newest.number:
            break
        published = newest if number == newest.number else read_epoch(epochs, number)
        if before is not None:
            elapsed = min(published.header.end_ms - before.header.end_ms, MAX_TIME_MS)
            decay_k = read_policy(epochs, published.header.policy_hash).decay_k
        for account, parts in left.items():
            if before is not None:
                for epoch, (earned, part) in parts.items():
                    parts[epoch] = earned, _faded(part, elapsed, decay_k)
            index = published.accounts.find(address_bytes(account))
            if index is not None and published.accounts.earned[index]:
                earned = int(published.accounts.earned[index])
                parts[number] = earned, earned
        before = published
    found = []
    for account, parts in left.items():
        index = newest.accounts.find(address_bytes(account))
        if index is None:
            continue
        standing = int(newest.accounts.standing[index])
        rest = standing - sum(part for _, part in parts.values())
        if rest:
            parts[None] = rest, rest
        found.append(
            _Standing(
                account,
                newest.number,
                newest.header.end_ms,
                standing,
                tuple((epoch, earned, part) for epoch, (earned, part) in parts.items()),
            )
        )
    return found


def _age_ms(date: int, end_ms: int) -> int:
    return min(max(0, date * 1_000 - end_ms), MAX_TIME_MS)


def _faded(standing: int, age_ms: int, decay_k: int) -> int:
    return standing * decay.weight(age_ms, decay_k) >> 31
