"""The bank's replay alone: a real history, changed event by event; what could not have been is an anomaly.

replay of a real history
├── no anomaly, no movement untold, nothing left over
├── any number of any event changed by one        an anomaly, an untold movement, or another state
├── most numbers changed                          an anomaly or an untold movement, whatever the state
├── any event left out                            the same
└── any event of money twice                      the same
time bank
├── a release of more or less than is due
├── income paid that the index did not bring
├── a deposit under a closed or a missing term, too small, or maturing at another time
└── a deposit closed that was not there
pool
├── a share that loses value without a write-off
├── a loss of more than was written off
├── interest paid by the reserve, or a loss on a pledge
├── more on standing than the base of the cap allows, which falls at once and rises in a day
├── interest of another rate, or twice
└── shares minted for nothing
claims
├── a claim that goes past an overdue debt
└── a pledge taken from another creditor
custody
├── a receipt that leaves for somebody else
└── a receipt just sent there
movements
├── nearest transfer on its side of the event is the one told of
├── what comes in untold is a gift, until it is taken in
├── what leaves untold is a fault
└── taking in more gifts than were given is a fault
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import pytest

from tests.audit.bank_history import BankHistory
from timebank_chain.audit.bank_replay import BankLedger, replay_bank
from timebank_chain.audit.book import Book
from timebank_chain.audit.claim_book import ClaimBook
from timebank_chain.audit.custody_book import CustodyBook
from timebank_chain.audit.deposit_book import Deposit, DepositBook, Term
from timebank_chain.audit.evidence import CONTRACTS, Event, Evidence, read_artifacts
from timebank_chain.audit.movements import ROOMS, Movements, trace
from timebank_chain.audit.pool_book import PledgedLoan, PoolBook, _Loss
from timebank_chain.audit.replay import ZERO_ADDRESS
from timebank_chain.audit.run import shipped_artifacts

ADDRESSES = {name: "0x" + f"{index:02x}" * 20 for index, name in enumerate(CONTRACTS, start=0xC0)}
SAVER, BORROWER, OTHER = "0x" + "11" * 20, "0x" + "22" * 20, "0x" + "33" * 20

#: What an event may say freely as far as the other events go; the check that looks at it elsewhere.
FREE = {
    ("TimeBank", "TermAdded", "duration"): "A19: termOf",
    ("TimeBank", "TermAdded", "penaltyBps"): "A19: termOf",
    ("TimeBank", "TermAdded", "multiplierMilli"): "A19: termOf",
    ("TimeBank", "IncomeFeeSet", "feeBps"): "A19: incomeFeeBps",
    ("TimeBank", "ReleaseTimeSet", "releaseSeconds"): "A19: releaseSeconds",
    ("CreditLending", "BorrowingPausedSet", "pause"): "A19: pauses",
    ("CreditLease", "LeasingPausedSet", "pause"): "A19: pauses",
    ("CreditLending", "BorrowedOnStanding", "limit"): "A41: the account's leaf",
    ("CreditLending", "PolicyAccepted", "decayK"): "A41: the published policy",
    ("CreditLease", "LeaseTaken", "rent"): "A46: the offer",
    ("CreditLease", "LeaseTaken", "dueAt"): "A46: the offer",
    ("CreditLease", "LeaseFeeSet", "feeBps"): "A19: leaseFeeBps",
}

#: Bookings that balance inside one room: no credit moves, and no later event has to notice.
QUIET = {"Transfer", "Approval", "ApprovalForAll", "OfferCancelled", "TermOpenSet", "PolicyAccepted"}


@dataclass(frozen=True)
class Chain:
    """What the replay takes, from a real chain."""

    events: tuple[Event, ...]
    addresses: Mapping[str, str]
    clock: Callable[[int], int]
    rate: int

    def replayed(self, events: Sequence[Event]) -> tuple[BankLedger, Movements]:
        return (
            replay_bank(events, self.addresses, self.clock, self.rate),
            trace(events, self.addresses),
        )


@pytest.fixture(scope="module")
def chain(lived_bank_history: BankHistory) -> Chain:
    history = lived_bank_history
    deployment = history.world.timebank.deployment
    evidence = Evidence(
        w3=history.connection.w3,
        addresses={name: str(deployment.contracts[name].address) for name in CONTRACTS},
        artifacts=read_artifacts(shipped_artifacts()),
        from_block=deployment.first_block,
        to_block=history.connection.block_number(),
    )
    evidence.read_events()
    times = {event.block: evidence.timestamp(event.block) for event in evidence.events}
    arguments = deployment.contracts["CreditLending"].constructor_arguments
    return Chain(
        tuple(evidence.events), evidence.addresses, times.__getitem__, int.from_bytes(arguments[-32:], "big")
    )


def plain(value: Any) -> Any:
    """A state as plain values, without the events it remembers and the anomalies."""
    if isinstance(value, Event):
        return None
    if isinstance(value, Book):
        return {
            name: plain(part) for name, part in vars(value).items() if name not in ("anomalies", "addresses")
        }
    if is_dataclass(value):
        return {part.name: plain(getattr(value, part.name)) for part in fields(value)}
    if isinstance(value, Mapping):
        return {repr(key): plain(part) for key, part in value.items() if part != 0}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return value if isinstance(value, int | str | bytes | bool) else repr(type(value))


def state(ledger: BankLedger, movements: Movements) -> Any:
    books = (ledger.deposits, ledger.pool, ledger.leases, ledger.claims, ledger.custody)
    return [*(plain(book) for book in books), dict(movements.gifts)]


def contradictions(ledger: BankLedger, movements: Movements) -> int:
    untold = len(movements.differences) + sum(len(found) for found in movements.gift_differences.values())
    return len(ledger.anomalies) + untold


def of_the_bank(chain: Chain) -> Iterator[tuple[int, Event]]:
    return ((at, event) for at, event in enumerate(chain.events) if event.contract in ROOMS)


def numbers(event: Event) -> list[str]:
    return [
        name for name, value in event.args.items() if isinstance(value, int) and not isinstance(value, bool)
    ]


def with_args(event: Event, **changes: Any) -> Event:
    return replace(event, args={**event.args, **changes})


def test_a_real_history_has_no_contradiction(chain: Chain) -> None:
    ledger, movements = chain.replayed(chain.events)
    assert ledger.anomalies == []
    assert movements.differences == []
    assert not any(movements.gift_differences.values())
    names = {(event.contract, event.name) for _, event in of_the_bank(chain)}
    handled = {("TimeBank", name) for name in DepositBook.HANDLERS}
    handled |= {("CreditLending", name) for name in PoolBook.HANDLERS if name != "LossCovered"}
    handled |= {("CreditLease", name) for name in type(ledger.leases).HANDLERS}
    assert names - handled == {(room, "AuthorityUpdated") for room in ROOMS}
    assert handled - names == set(), "the history leaves something out"


def test_any_changed_number_is_noticed(chain: Chain) -> None:
    honest = state(*chain.replayed(chain.events))
    unnoticed, uncontradicted = set(), set()
    for at, event in of_the_bank(chain):
        for name in numbers(event):
            changed = [*chain.events]
            changed[at] = with_args(event, **{name: event.args[name] + 1})
            found = chain.replayed(changed)
            if not contradictions(*found):
                place = (event.contract, event.name, name)
                uncontradicted.add(place)
                if state(*found) == honest:
                    unnoticed.add(place)
    assert {place for place in unnoticed if place[1] != "Approval"} - set(FREE) == set()
    assert {place for place in uncontradicted if place[1] not in QUIET} - set(FREE) == set()


def test_any_changed_address_is_noticed(chain: Chain) -> None:
    honest = state(*chain.replayed(chain.events))
    unnoticed = set()
    for at, event in of_the_bank(chain):
        for name, value in event.args.items():
            if not (isinstance(value, str) and value.startswith("0x")):
                continue
            changed = [*chain.events]
            changed[at] = with_args(event, **{name: OTHER})
            found = chain.replayed(changed)
            if not contradictions(*found) and state(*found) == honest:
                unnoticed.add((event.name, name))
    # None of them moves anything: who approves and cancels is the contract's to check, who settles is free.
    assert {place for place in unnoticed if place[0] != "Approval"} <= {
        ("OfferCancelled", "lender"),
        ("LeaseSettled", "caller"),
        ("Withdraw", "sender"),
        ("AuthorityUpdated", "authority"),
    }


@pytest.mark.parametrize("twice", [False, True])
def test_any_event_left_out_or_told_twice_is_noticed(chain: Chain, twice: bool) -> None:
    honest = state(*chain.replayed(chain.events))
    unnoticed = set()
    for at, event in of_the_bank(chain):
        again = [event, event] if twice else []
        found = chain.replayed([*chain.events[:at], *again, *chain.events[at + 1 :]])
        if not contradictions(*found) and state(*found) == honest:
            unnoticed.add(event.name)
    harmless = {"AuthorityUpdated"}
    if twice:  # they set what is set already
        harmless |= {"Approval", "ApprovalForAll", "OfferCancelled", "TermOpenSet"}
        harmless |= {"BorrowingPausedSet", "LeasingPausedSet"}
    else:  # set and taken back at once, or never looked at again
        harmless |= {"BorrowingPausedSet", "LeasingPausedSet", "Approval"}
    assert unnoticed <= harmless


# ---------------------------------------------------------------- by hand


def logs(*steps: tuple[str, str, dict[str, Any]], transaction: int = 1) -> list[Event]:
    """Events of one transaction, in order."""
    return [
        Event(contract, name, args, transaction, at, bytes([transaction]) * 32, 0)
        for at, (contract, name, args) in enumerate(steps)
    ]


def moved(sender: str, receiver: str, value: int) -> tuple[str, str, dict[str, Any]]:
    return "AttentionCredit", "Transfer", {"from": sender, "to": receiver, "value": value}


def groups(book: Book) -> list[str]:
    return [group for group, _ in book.anomalies]


@pytest.fixture
def bank() -> DepositBook:
    """A day after 1000 credits of income came in, with one deposit of 3 credits under a week's term."""
    book = DepositBook(ADDRESSES, [])
    book.terms = [Term(0, 1_000, 0), Term(604_800, 1_500, 100), Term(86_400, 1_100, 50, open=False)]
    book.deposits = {1: Deposit(3_000_000, 700_000, 1, 0)}
    book.owners, book.next_id, book.total_weight = {1: SAVER}, 2, 4_500_000_000
    book.pending, book.accrued_at, book.release_seconds, book.income_fee_bps = 1_000_000_000, 0, 86_400, 500
    return book


def apply(book: Book, now: int, *steps: tuple[str, str, dict[str, Any]]) -> list[str]:
    for event in logs(*steps):
        book.apply(event, now)
    return groups(book)


def released(book: DepositBook, now: int, more: int = 0) -> tuple[str, str, dict[str, Any]]:
    amount, index = book.release_due(now)
    args = {"amount": amount + more, "incomeIndex": index, "totalWeight": book.total_weight}
    return "TimeBank", "IncomeReleased", args


def test_half_of_what_is_pending_is_released_after_the_release_time(bank: DepositBook) -> None:
    amount, index = bank.release_due(86_400)
    assert 500_000_000 - 1 <= amount <= 500_000_000
    assert index == (500_000_000 << 64) // 4_500_000_000
    assert apply(bank, 86_400, released(bank, 86_400)) == []
    assert bank.income(bank.deposits[1]) <= bank.owed == amount
    assert bank.release_due(86_400)[0] == 0


@pytest.mark.parametrize("more", [1, -1])
def test_a_release_of_more_or_less_than_is_due(bank: DepositBook, more: int) -> None:
    assert apply(bank, 86_400, released(bank, 86_400, more)) == ["income"]


def test_income_that_is_due_is_released_before_anything_else(bank: DepositBook) -> None:
    received = ("TimeBank", "IncomeReceived", {"fromFees": 1, "gifts": 0})
    assert apply(bank, 86_400, received) == ["income"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"termId": 2, "maturesAt": 86_400}, ["deposits"]),  # closed
        ({"termId": 3, "maturesAt": 0}, ["deposits"]),  # missing
        ({"amount": 999}, ["deposits"]),
        ({"maturesAt": 604_801}, ["deposits"]),
        ({"id": 3}, ["deposits", "deposits"]),  # out of order, and nobody's
        ({"owner": OTHER}, ["deposits"]),
        ({"depositor": ADDRESSES["CreditDistributor"], "amount": 1}, []),
        ({"depositor": ADDRESSES["CreditDistributor"], "termId": 2, "maturesAt": 86_400}, ["deposits"]),
    ],
)
def test_a_deposit_that_could_not_be(bank: DepositBook, changes: dict[str, Any], expected: list[str]) -> None:
    bank.pending = 0
    minted = ("TimeBank", "Transfer", {"from": ZERO_ADDRESS, "to": SAVER, "tokenId": 2})
    args = {"id": 2, "owner": SAVER, "depositor": SAVER, "amount": 5_000, "termId": 1, "maturesAt": 604_800}
    assert apply(bank, 0, minted, ("TimeBank", "Deposited", args | changes)) == expected


def test_the_demand_term_takes_claims_even_when_closed(bank: DepositBook) -> None:
    bank.pending, bank.terms[0].open = 0, False
    minted = ("TimeBank", "Transfer", {"from": ZERO_ADDRESS, "to": SAVER, "tokenId": 2})
    args = {"id": 2, "owner": SAVER, "amount": 5_000, "termId": 0, "maturesAt": 0}
    by_claim = args | {"depositor": ADDRESSES["CreditDistributor"]}
    assert apply(bank, 0, minted, ("TimeBank", "Deposited", by_claim)) == []


def test_a_withdrawal_pays_principal_and_income_less_the_fee_rounded_up(bank: DepositBook) -> None:
    now = 700_000
    burned = ("TimeBank", "Transfer", {"from": SAVER, "to": ZERO_ADDRESS, "tokenId": 1})
    assert apply(bank, now, released(bank, now), burned) == []
    income = bank.income(bank.deposits[1])
    fee = -(-income * 500 // 10_000)
    args = {"id": 1, "owner": SAVER, "to": OTHER, "principal": 3_000_000, "income": income, "fee": fee}
    assert apply(bank, now, ("TimeBank", "Withdrawn", args)) == []
    assert bank.closed[1].paid == 3_000_000 + income - fee
    assert (bank.owed, bank.total_weight) == (0, 0)  # the remainder went back to what is pending


@pytest.mark.parametrize(
    ("name", "by", "expected"),
    [
        ("income", 20, ["income", "income"]),  # and another fee
        ("fee", -1, ["income"]),
        ("principal", 1, ["deposits"]),
        ("id", 1, ["deposits"]),
    ],
)
def test_a_withdrawal_that_could_not_be(bank: DepositBook, name: str, by: int, expected: list[str]) -> None:
    bank.pending, bank.income_fee_bps = 0, 500
    burned = ("TimeBank", "Transfer", {"from": SAVER, "to": ZERO_ADDRESS, "tokenId": 1})
    bank.income_index, bank.owed = 1 << 64, 4_500_000_000
    args = {"id": 1, "owner": SAVER, "to": SAVER, "principal": 3_000_000}
    args |= {"income": 4_500_000_000, "fee": 225_000_000}
    changed = ("TimeBank", "Withdrawn", args | {name: args[name] + by})
    assert apply(bank, 700_000, burned, changed) == expected


def test_an_early_exit_is_charged_its_penalty_rounded_up(bank: DepositBook) -> None:
    bank.pending, bank.deposits[1].principal = 0, 3_000_001
    burned = ("TimeBank", "Transfer", {"from": SAVER, "to": ZERO_ADDRESS, "tokenId": 1})
    args = {"id": 1, "owner": SAVER, "to": SAVER, "principal": 3_000_001, "penalty": 30_001, "forfeited": 0}
    assert apply(bank, 699_999, burned, ("TimeBank", "ExitedEarly", args)) == []
    assert bank.pending == bank.penalties == 30_001
    assert bank.accrued_at == 699_999  # no time before is paid for out of it


def test_a_mature_deposit_pays_no_penalty(bank: DepositBook) -> None:
    bank.pending = 0
    burned = ("TimeBank", "Transfer", {"from": SAVER, "to": ZERO_ADDRESS, "tokenId": 1})
    args = {"id": 1, "owner": SAVER, "to": SAVER, "principal": 3_000_000, "penalty": 30_000, "forfeited": 0}
    assert apply(bank, 700_000, burned, ("TimeBank", "ExitedEarly", args)) == ["deposits"]


RISK = {
    "maxLtvBps": 9_000,
    "liquidationLtvBps": 9_500,
    "incentiveBps": 200,
    "standingBps": 5_000,
    "unsecuredCapBps": 2_000,
    "feeBps": 1_000,
    "standingTerm": 86_400,
    "grace": 3_600,
    "minLoan": 10_000,
}


@pytest.fixture
def pool(bank: DepositBook) -> PoolBook:
    """A pool of 100 credits, half of them lent on standing; a share is worth a micro-credit in a million."""
    book = PoolBook(ADDRESSES, bank.anomalies, bank, 10**9)
    apply(book, 1_000, ("CreditLending", "RiskSet", {"settings": RISK}))
    supplied(book, 100_000_000, 100_000_000 * 10**6)
    book.risk.values[-1][1]["unsecuredCapBps"] = 5_000  # type: ignore[index]  # a dict of this test
    book.cap_base = book.assets  # as if it had stayed for a day
    args = {"borrower": BORROWER, "account": BORROWER, "receiver": BORROWER, "dueAt": 87_400}
    args |= {"amount": 50_000_000, "shares": 50_000_000 * 10**6, "limit": 50_000_000}
    assert apply(book, 1_000, ("CreditLending", "BorrowedOnStanding", args)) == []
    return book


def supplied(book: PoolBook, assets: int, shares: int) -> list[str]:
    minted = ("CreditLending", "Transfer", {"from": ZERO_ADDRESS, "to": SAVER, "value": shares})
    args = {"sender": SAVER, "owner": SAVER, "assets": assets, "shares": shares}
    return apply(book, book.accrued_at, minted, ("CreditLending", "Deposit", args))


def accrued(book: PoolBook, now: int, **changes: int) -> tuple[str, str, dict[str, Any]]:
    interest, fee, rate = book.due_interest(now)
    args = {"interest": interest, "fee": fee, "rateAtTarget": rate}
    return (
        "CreditLending",
        "InterestAccrued",
        {name: value + changes.get(name, 0) for name, value in args.items()},
    )


def test_interest_is_split_between_suppliers_and_fees(pool: PoolBook) -> None:
    assert apply(pool, 1_000 + 365 * 86_400, accrued(pool, 1_000 + 365 * 86_400)) == []
    assert pool.interest > 0
    assert pool.fees == pool.fees_owed == pool.interest // 10
    assert pool.assets == 100_000_000 + pool.interest - pool.fees


@pytest.mark.parametrize("name", ["interest", "fee", "rateAtTarget"])
def test_interest_of_another_rate(pool: PoolBook, name: str) -> None:
    later = 1_000 + 365 * 86_400
    assert apply(pool, later, accrued(pool, later, **{name: 1})) == ["interest"]


def test_interest_twice(pool: PoolBook) -> None:
    assert apply(pool, 1_000, accrued(pool, 1_000)) == ["interest"]


@pytest.mark.parametrize(("assets", "shares", "fine"), [(7, 7 * 10**6, True), (7, 7 * 10**6 + 1, False)])
def test_shares_are_issued_at_the_pools_price(pool: PoolBook, assets: int, shares: int, fine: bool) -> None:
    # A share more than the price allows also takes a little from all others.
    assert supplied(pool, assets, shares) == ([] if fine else ["shares", "shares"])


def test_shares_minted_for_nothing(pool: PoolBook) -> None:
    apply(pool, 1_000, ("CreditLending", "Transfer", {"from": ZERO_ADDRESS, "to": SAVER, "value": 5}))
    pool.finish()
    assert groups(pool) == ["shares"]


def borrowed_on_standing(amount: int, **changes: Any) -> tuple[str, str, dict[str, Any]]:
    args = {"borrower": OTHER, "account": OTHER, "receiver": OTHER, "dueAt": 87_400, "limit": amount}
    args |= {"amount": amount, "shares": amount * 10**6}
    return "CreditLending", "BorrowedOnStanding", args | changes


def withdrawn(book: PoolBook, assets: int) -> list[str]:
    burned = ("CreditLending", "Transfer", {"from": SAVER, "to": ZERO_ADDRESS, "value": assets * 10**6})
    args = {"sender": SAVER, "receiver": SAVER, "owner": SAVER, "assets": assets, "shares": assets * 10**6}
    return apply(book, book.accrued_at, burned, ("CreditLending", "Withdraw", args))


def test_supply_counts_for_the_cap_as_it_stays(pool: PoolBook) -> None:
    assert supplied(pool, 50_000_000, 50_000_000 * 10**6) == []
    assert pool.cap_base == 100_000_000
    assert withdrawn(pool, 60_000_000) == []
    assert pool.cap_base == pool.assets == 90_000_000
    pool.cap_base, pool.risk.values[-1][1]["unsecuredCapBps"] = 0, 0  # type: ignore[index]  # of this test
    half = 1_000 + 43_200
    assert apply(pool, half, accrued(pool, half)) == []
    assert pool.cap_base == -(-pool.assets // 2)
    later = half + 43_260
    interest, fee, _ = pool.due_interest(later)
    assert pool.due_cap_base(later) == pool.assets + interest - fee


def test_more_on_standing_than_the_cap(pool: PoolBook) -> None:
    assert apply(pool, 1_000, borrowed_on_standing(10_000)) == ["loans"]


def written_off(
    from_reserve: int, from_pool: int, lent: int = 50_000_000, **changes: int
) -> list[tuple[str, str, dict[str, Any]]]:
    args = {"borrower": BORROWER, "receiptId": 0, "fromReserve": from_reserve, "fromPool": from_pool}
    args |= {"interest": from_reserve + from_pool - lent}
    return [
        ("FeePool", "LossCovered", {"loss": lent, "paid": from_reserve}),
        ("CreditLending", "WrittenOff", args | changes),
    ]


def test_the_reserve_pays_no_interest(pool: PoolBook) -> None:
    failed_at = 87_400 + 3_600
    apply(pool, failed_at, accrued(pool, failed_at))
    debt = pool.owed(pool.standing[BORROWER].shares)
    more = written_off(50_000_001, debt - 50_000_001, 50_000_001)
    # What it was asked for, what it paid, and what of the loss was interest.
    assert apply(pool, failed_at, *more) == ["losses", "losses"]


def test_what_was_repaid_is_no_more_the_reserves(pool: PoolBook) -> None:
    args = {"borrower": BORROWER, "payer": OTHER, "amount": 20_000_000, "shares": 20_000_000 * 10**6}
    repaid = ("CreditLending", "StandingRepaid", args | {"fromClaim": False})
    assert apply(pool, 1_000, repaid) == []
    failed_at = 87_400 + 3_600
    apply(pool, failed_at, accrued(pool, failed_at))
    debt = pool.owed(pool.standing[BORROWER].shares)
    fees = pool.fees_owed
    assert apply(pool, failed_at, *written_off(30_000_000, debt - 30_000_000, 30_000_000)) == []
    assert pool.fees_owed == fees - (debt - 30_000_000) // 10


def test_a_failed_loan_is_lost_by_reserve_and_pool(pool: PoolBook) -> None:
    failed_at = 87_400 + 3_600
    assert apply(pool, failed_at, accrued(pool, failed_at)) == []
    debt, assets = pool.owed(pool.standing[BORROWER].shares), pool.assets
    assert apply(pool, failed_at, *written_off(9_000_000, debt - 9_000_000)) == []
    assert pool.assets >= assets - (debt - 9_000_000)
    assert pool.lost == debt
    assert pool.due_from_claims(BORROWER, failed_at) == debt
    payment = {"borrower": BORROWER, "payer": OTHER, "ofPool": debt - 9_000_000, "ofReserve": 0}
    assert apply(pool, failed_at, ("CreditLending", "Recovered", payment)) == []
    rest = {"borrower": BORROWER, "payer": OTHER, "ofPool": 0, "ofReserve": 9_000_000}
    assert apply(pool, failed_at, ("CreditLending", "Recovered", rest)) == []
    assert BORROWER not in pool.standing


@pytest.mark.parametrize(("reserve", "less"), [(0, 1), (0, -1), (9_000_000, 1)])
def test_a_loss_of_another_sum_than_the_debt(pool: PoolBook, reserve: int, less: int) -> None:
    failed_at = 87_400 + 3_600
    apply(pool, failed_at, accrued(pool, failed_at))
    debt = pool.owed(pool.standing[BORROWER].shares)
    assert "losses" in apply(pool, failed_at, *written_off(reserve, debt - reserve - less))


def test_a_loan_written_off_before_its_time(pool: PoolBook) -> None:
    early = 87_400 + 3_599
    apply(pool, early, accrued(pool, early))
    debt = pool.owed(pool.standing[BORROWER].shares)
    assert apply(pool, early, *written_off(0, debt)) == ["losses"]


@pytest.mark.parametrize("reserve", [0, 1])
def test_the_reserve_pays_nothing_for_a_pledge(pool: PoolBook, reserve: int) -> None:
    pool.fees_owed, pool._loss = 3_000_000, _Loss(BORROWER, 1, 7_000_000)
    pool._value = (1, 10**7)  # its debt is out of the books already
    covered, off = written_off(reserve, 7_000_000 - reserve, receiptId=1, interest=7_000_000)
    assert apply(pool, 1_000, *([covered] if reserve else []), off) == (["losses"] if reserve else [])
    assert pool.fees_owed == 3_000_000 - 700_000


def test_the_reserve_is_recovered_last(pool: PoolBook) -> None:
    failed_at = 87_400 + 3_600
    apply(pool, failed_at, accrued(pool, failed_at))
    debt = pool.owed(pool.standing[BORROWER].shares)
    apply(pool, failed_at, *written_off(9_000_000, debt - 9_000_000))
    early = {"borrower": BORROWER, "payer": OTHER, "ofPool": 1, "ofReserve": 1}
    assert apply(pool, failed_at, ("CreditLending", "Recovered", early)) == ["losses"]


def test_a_debt_that_vanishes(pool: PoolBook, bank: DepositBook) -> None:
    """A liquidation that brings too little, and no word about the rest."""
    bank.pending = 0
    room = ADDRESSES["CreditLending"]
    pool.pledges[1] = PledgedLoan(BORROWER, 5_000_000 * 10**6)
    pool.debt, pool.debt_shares = pool.debt + 5_000_000, pool.debt_shares + 5_000_000 * 10**6
    pool.cash -= 5_000_000
    bank.owners[1] = room
    closing = [
        ("TimeBank", "Transfer", {"from": room, "to": ZERO_ADDRESS, "tokenId": 1}),
        (
            "TimeBank",
            "ExitedEarly",
            {"id": 1, "owner": room, "to": room, "principal": 3_000_000, "penalty": 30_000, "forfeited": 0},
        ),
    ]
    assert apply(bank, 1_000, *closing) == []
    args = {"receiptId": 1, "borrower": BORROWER, "liquidator": OTHER, "proceeds": 2_970_000}
    args |= {"incentive": 59_400, "debt": 5_000_000, "repaid": 2_910_600, "returned": 0}
    assert apply(pool, 1_000, ("CreditLending", "Liquidated", args)) == []
    pool.finish()
    assert groups(pool) == ["losses"]


def claim(amount: int, account: str = BORROWER) -> tuple[str, str, dict[str, Any]]:
    args = {"account": account, "receiver": account, "epoch": 1, "amount": amount, "cumulative": amount}
    return "CreditDistributor", "Claimed", args


def debtors(borrower: str) -> str | None:
    return borrower


def pledge_of(account: str, creditor: str) -> tuple[str, str, dict[str, Any]]:
    args = {"account": account, "wallet": account, "creditor": creditor}
    return "CreditDistributor", "ClaimsPledgeSet", args


def ordered(*, active: bool = True) -> tuple[str, str, dict[str, Any]]:
    return "CreditDistributor", "StandingOrderSet", {"account": BORROWER, "active": active, "termId": 0}


def routed(to_creditor: int, deposit_id: int = 0, to_deposit: int = 0) -> tuple[str, str, dict[str, Any]]:
    args = {"account": BORROWER, "creditor": ADDRESSES["CreditLending"], "toCreditor": to_creditor}
    return "CreditDistributor", "ClaimRouted", args | {"depositId": deposit_id, "toDeposit": to_deposit}


@pytest.mark.parametrize(
    ("due", "steps", "expected"),
    [
        (0, [claim(10)], []),
        (7, [claim(10), routed(7)], []),
        (70, [claim(10), routed(10)], []),
        (7, [claim(10)], ["routes"]),
        (7, [claim(10), claim(10, OTHER)], ["routes"]),
        (7, [claim(10), routed(6)], ["routes"]),
        (0, [claim(10), routed(1)], ["routes"]),
        (7, [routed(7)], ["routes"]),
        (7, [claim(10), routed(7, 1, 3)], ["routes"]),  # nobody ordered it
        (7, [ordered(), claim(10), routed(7, 1, 3)], []),
        (7, [ordered(), claim(10), routed(7, 1, 2)], ["routes", "routes"]),  # not all, not the deposit
        (7, [ordered(), claim(10), routed(7, 5, 3)], ["routes"]),  # no such deposit
        (7, [ordered(), claim(10), routed(7, 0, 3)], ["routes"]),
        (0, [ordered(), claim(10)], ["routes"]),
        (0, [ordered(), ordered(active=False), claim(10)], []),
        (0, [claim(10), ordered()], []),  # an order is none of the claims before it
        (0, [ordered(), claim(10), ordered(active=False)], ["routes"]),  # and its end none either
    ],
)
def test_a_claim_pays_what_is_overdue_first(
    bank: DepositBook, due: int, steps: list[tuple[str, str, dict[str, Any]]], expected: list[str]
) -> None:
    creditor = ADDRESSES["CreditLending"]
    bank.deposits[1].principal, bank.owners[1] = 3, BORROWER
    book = ClaimBook(ADDRESSES, bank.anomalies, bank, {creditor: (lambda _account, _now: due, debtors)})
    apply(book, 0, pledge_of(BORROWER, creditor), *steps)
    book.finish()
    assert groups(book) == expected


def test_a_pledge_taken_from_another_creditor(bank: DepositBook) -> None:
    lending, lease = ADDRESSES["CreditLending"], ADDRESSES["CreditLease"]
    creditors = {lending: (lambda _account, _now: 0, debtors), lease: (lambda _account, _now: 0, debtors)}
    book = ClaimBook(ADDRESSES, bank.anomalies, bank, creditors)
    assert apply(book, 0, pledge_of(BORROWER, lending), pledge_of(BORROWER, lease)) == ["pledges"]
    assert apply(book, 0, pledge_of(OTHER, SAVER))[1:] == ["pledges"]


def test_a_pledge_follows_its_debt_and_ends_with_it(bank: DepositBook) -> None:
    lending = ADDRESSES["CreditLending"]
    debts = {BORROWER: BORROWER}
    book = ClaimBook(ADDRESSES, bank.anomalies, bank, {lending: (lambda _account, _now: 0, debts.get)})
    assert apply(book, 0, pledge_of(OTHER, lending)) == ["pledges"]
    bank.anomalies.clear()
    assert apply(book, 0, pledge_of(BORROWER, lending)) == []
    assert apply(book, 0, pledge_of(BORROWER, ZERO_ADDRESS)) == ["pledges"]
    bank.anomalies.clear()
    apply(book, 0, pledge_of(BORROWER, lending))
    debts.clear()
    assert apply(book, 0, pledge_of(BORROWER, ZERO_ADDRESS)) == []


def receipt_moved(sender: str, receiver: str) -> tuple[str, str, dict[str, Any]]:
    return "TimeBank", "Transfer", {"from": sender, "to": receiver, "tokenId": 1}


def test_custody() -> None:
    room = ADDRESSES["CreditLending"]
    pledged = ("CreditLending", "Pledged", {"receiptId": 1, "borrower": BORROWER})
    freed = ("CreditLending", "Released", {"receiptId": 1, "borrower": BORROWER})
    book = CustodyBook(ADDRESSES, [])
    assert apply(book, 0, pledged, receipt_moved(BORROWER, room)) == []
    assert book.held == {1: "CreditLending"}
    assert apply(book, 0, freed, receipt_moved(room, BORROWER)) == []
    book.finish()
    assert groups(book) == []
    assert apply(book, 0, pledged, receipt_moved(BORROWER, room), receipt_moved(room, OTHER)) == ["custody"]
    sent = CustodyBook(ADDRESSES, [])
    assert apply(sent, 0, receipt_moved(BORROWER, room)) == ["custody"]
    assert sent.held == {}
    never = CustodyBook(ADDRESSES, [])
    apply(never, 0, pledged)
    never.finish()
    assert groups(never) == ["custody"]


BANK, POOL = ADDRESSES["TimeBank"], ADDRESSES["FeePool"]


def received(fees: int, gifts: int) -> tuple[str, str, dict[str, Any]]:
    return "TimeBank", "IncomeReceived", {"fromFees": fees, "gifts": gifts}


def deposited(amount: int) -> tuple[str, str, dict[str, Any]]:
    return "TimeBank", "Deposited", {"depositor": SAVER, "amount": amount}


@pytest.mark.parametrize(
    ("steps", "faults", "gifts"),
    [
        ([deposited(5), moved(SAVER, BANK, 5)], 0, 0),
        ([moved(SAVER, BANK, 5), deposited(5)], 1, 5),  # a deposit is paid after it is told
        ([moved(SAVER, BANK, 5), deposited(5), moved(SAVER, BANK, 5)], 0, 5),
        ([moved(SAVER, BANK, 5), received(0, 5), deposited(5), moved(SAVER, BANK, 5)], 0, 0),
        ([deposited(5), moved(SAVER, BANK, 5), received(0, 5)], 1, 0),  # a deposit is no gift
        ([moved(POOL, BANK, 9), received(9, 0)], 0, 0),
        ([received(9, 0), moved(POOL, BANK, 9)], 1, 9),
        ([moved(BANK, OTHER, 1)], 1, 0),
        ([moved(SAVER, BANK, 5), received(0, 6)], 1, 0),
        ([moved(SAVER, BANK, 5), received(0, 4)], 1, 0),
    ],
)
def test_movements(steps: list[tuple[str, str, dict[str, Any]]], faults: int, gifts: int) -> None:
    found = trace(logs(*steps), ADDRESSES)
    told = sum(len(differences) for differences in found.gift_differences.values())
    assert len(found.differences) + told == faults
    assert found.gifts["TimeBank"] == gifts
