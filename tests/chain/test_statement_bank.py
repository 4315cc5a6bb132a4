"""Statements of a bank that has been lived in (tests/chain/bank_life.py), on a chain of its own.

::

    movements
    |- nobody's statement, and no contract's, has a movement without a reason
    |- each member's kinds in order; amounts, fees and parts of each kind
    |- a claim that repays a debt or becomes a deposit is booked whole, and out again
    |- a plain transfer that looks like a payment's stays plain
    `- a lender that repays its own lease pays the fee, no more
    accruals
    |- of every deposit and loan, at the end of every chapter: the chain's figures
    |- a release is divided among all deposits; a settled deposit's lines add up to nothing
    |- income goes with the receipt; a pledged deposit goes on earning for who pledged it
    |- a loan's lines add up to what is owed; a write-off stays owed and stops growing
    `- the pool's only borrower owes the whole debt, after two months and after two years
    an event missing -> CheckFailed, naming the deposit, the loan, the lease or the account
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.chain.bank_life import DAY, MEMBERS, WEEK, Life, begin, live
from tests.chain_fixtures import own_chain
from timebank_chain.chain import statement as statement_module
from timebank_chain.chain.accrual import Accrual
from timebank_chain.chain.bank_events import (
    Deposited,
    IncomeReleased,
    InterestAccrued,
    LeaseRepaid,
    LeaseTaken,
    Repaid,
    RolledOver,
)
from timebank_chain.chain.connection import Connection
from timebank_chain.chain.event import Event, Place
from timebank_chain.chain.events import Paid, Transfer
from timebank_chain.chain.loans import read_pool
from timebank_chain.chain.movements import Movements
from timebank_chain.chain.statement import Statement, read_statement
from timebank_chain.errors import CheckFailed

PLAIN = {"transfer in", "transfer out", "transfer to itself", "mint", "burn"}
WEEKS_RECEIPT = "week"


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    """A life on a chain of this module's own: it is only read here, and no clock of it matters elsewhere."""
    with own_chain() as connection:
        lived = begin(connection, tmp_path_factory.mktemp("life"))
        live(lived)
        yield lived


def of(life: Life, role: str, chapter: str = "liquidation") -> Statement:
    """A member's statement at the end of a chapter; read once, nothing changes it any more."""
    if (role, chapter) not in life.statements:
        life.statements[role, chapter] = read(life, role, chapter)
    return life.statements[role, chapter]


def read(life: Life, role: str, chapter: str) -> Statement:
    timebank = life.world.timebank
    return read_statement(timebank, life.world.address(role), to_block=life.blocks[chapter])


def lines(read: Statement, receipt_id: int, subject: str = "deposit") -> list[Accrual]:
    return [one for one in read.accruals if (one.subject, one.receipt_id) == (subject, receipt_id)]


def movement(read: Statement, kind: str, position: int = 0) -> statement_module.Movement:
    return [one for one in read.movements if one.kind == kind][position]


class TestMovements:
    def test_every_one_has_a_reason(self, life: Life) -> None:
        timebank = life.world.timebank
        people = [life.world.address(role) for role in (*MEMBERS.values(), "payee", "stranger")]
        for account in (*people, *timebank.addresses().values()):
            found = read_statement(timebank, account)
            assert not [one for one in found.movements if one.kind in PLAIN], account
            assert found.balance == timebank.attention_credit.balance_of(account)

    def test_kinds_in_order(self, life: Life) -> None:
        kinds = {role: [one.kind for one in of(life, role).movements] for role in MEMBERS.values()}
        assert kinds["member1"] == [
            "claim",
            "deposit",
            "deposit",
            "early exit",
            "loan",
            "claim",
            "loan on standing",
            "claim",
            "claim to debt",
            "claim to deposit",
            "loan",
        ]
        assert kinds["member2"] == [
            "claim",
            "deposit",
            "deposit",
            "income",
            "supply",
            "loan repayment",
            "lease principal",
            "lease repayment",
            "deposit",
            "lease principal",
            "lease settlement rest",
            "claim",
            "lease principal",
            "claim",
            "claim to debt",
        ]
        assert kinds["member3"] == [
            "claim",
            "payment out",
            "supply",
            "lease principal",
            "lease repayment",
            "lease principal",
            "lease settlement",
            "payment out",
            "lease principal",
            "lease repayment",
            "lease repayment",
            "loan on standing",
            "debt recovered",
            "claim",
            "claim to debt",
            "redemption",
        ]
        assert [one.kind for one in of(life, "stranger").movements] == ["liquidation incentive"]

    def test_amounts_of_deposits(self, life: Life) -> None:
        member1, member2, payee = (of(life, role) for role in ("member1", "member2", "payee"))
        left = movement(member1, "early exit")
        # A month's deposit costs two percent.
        assert (left.amount, left.parts["principal"], left.parts["penalty"]) == (2_940_000, 3_000_000, 60_000)
        assert left.receipt_id == life.receipts["left"]
        given = movement(member2, "deposit", 1)
        assert (given.amount, given.other) == (-2_000_000, life.world.address("member3"))
        income = movement(member2, "income")
        assert income.amount + income.fee == income.parts["income"] > 0
        assert income.fee == -(-income.parts["income"] * 500 // 10_000)
        closed = movement(payee, "withdrawal")
        assert closed.amount == closed.parts["principal"] + closed.parts["income"] - closed.fee
        assert closed.receipt_id == life.receipts["given"]

    def test_amounts_of_leases(self, life: Life) -> None:
        member2, member3 = of(life, "member2"), of(life, "member3")
        assert [
            (one.lease_id, one.amount, dict(one.parts))
            for one in member2.movements
            if one.kind == "lease principal"
        ] == [
            (1, 2_000_000, {"principal": 2_000_000, "rent to pay": 200_000}),
            (2, 1_500_000, {"principal": 1_500_000, "rent to pay": 150_000}),
            (3, 500_000, {"principal": 500_000, "rent to pay": 20_000}),
        ]
        paid, got = movement(member2, "lease repayment"), movement(member3, "lease repayment")
        # Two percent of the rent, out of the lender's pocket.
        assert (paid.amount, got.amount, paid.fee, got.fee) == (-2_200_000, 2_196_000, 4_000, 4_000)
        assert paid.parts == got.parts == {"principal": 2_000_000, "rent": 200_000}
        settled, rest = movement(member3, "lease settlement"), movement(member2, "lease settlement rest")
        assert (settled.amount, settled.fee) == (1_647_000, 3_000)
        assert settled.amount + settled.fee + rest.amount == rest.parts["proceeds"]
        parts = [one for one in member3.movements if one.kind == "lease repayment" and one.lease_id == 3]
        assert [(one.amount, one.fee, dict(one.parts)) for one in parts] == [
            (100_000, 0, {"principal": 100_000, "rent": 0}),
            (419_600, 400, {"principal": 400_000, "rent": 20_000}),
        ]
        assert [one.other for one in parts] == [life.world.address("payee"), life.world.address("member2")]

    def test_claim_is_booked_whole_and_out_again(self, life: Life) -> None:
        timebank, told = life.world.timebank, of(life, "member1")
        claim, debt, deposit = (
            movement(told, "claim", 2),
            movement(told, "claim to debt"),
            movement(told, "claim to deposit"),
        )
        assert claim.amount + debt.amount + deposit.amount == 0
        assert debt.other == timebank.credit_lending.address
        assert deposit.other == timebank.time_bank.address
        assert timebank.time_bank.position(deposit.receipt_id).principal == -deposit.amount
        assert claim.at.transaction == debt.at.transaction == deposit.at.transaction
        leased = movement(of(life, "member2"), "claim to debt")
        assert (leased.amount, leased.lease_id, leased.other) == (-420_000, 3, timebank.credit_lease.address)

    def test_liquidation(self, life: Life) -> None:
        read = movement(of(life, "stranger"), "liquidation incentive")
        # Two percent of what closing the pledge paid.
        assert read.amount == read.parts["proceeds"] * 200 // 10_000
        assert read.parts["repaid"] == read.parts["proceeds"] - read.amount < read.parts["debt"]


def _place(index: int) -> Place:
    return Place(1, index, b"t", ADDRESSES["AttentionCredit"])


def _address(number: int) -> str:
    from eth_utils import to_checksum_address

    return to_checksum_address(number.to_bytes(20, "big"))


ADDRESSES = {
    name: _address(number)
    for number, name in enumerate(
        (
            "AttentionCredit",
            "FeePool",
            "TimeBank",
            "CreditLending",
            "CreditLease",
            "ServiceEscrow",
            "CreditDistributor",
            "CreditPayments",
        ),
        start=1,
    )
}
PAYER, OTHER = _address(100), _address(101)


def explained(account: str, *events: Event) -> list[tuple[str, int, int]]:
    read = Movements(account, ADDRESSES).lines(events)
    return [(line.kind, line.amount, line.fee) for line in read]


class TestLookalikes:
    def test_plain_transfer_beside_a_payment_stays_plain(self) -> None:
        """A contract wallet can do both in one transaction, with the very same amount."""
        paid = Paid(_place(2), PAYER, OTHER, b"\x01" * 32, 100, 1)
        fee = Transfer(_place(4), PAYER, ADDRESSES["FeePool"], 1)
        one, two = Transfer(_place(1), PAYER, OTHER, 99), Transfer(_place(3), PAYER, OTHER, 99)
        assert explained(PAYER, one, paid, two, fee) == [("transfer out", -99, 0), ("payment out", -100, 1)]
        later = Transfer(_place(5), PAYER, OTHER, 99)
        assert explained(OTHER, paid, two, fee, later) == [("payment in", 99, 0), ("transfer in", 99, 0)]

    def test_lender_that_repays_its_own_lease_pays_the_fee(self) -> None:
        taken = LeaseTaken(_place(0), 1, bytes(32), OTHER, PAYER, 50, 10, 9, 7, _address(0), 200)
        lent = Transfer(_place(1), PAYER, OTHER, 50)
        repaid = LeaseRepaid(_place(2), 1, PAYER, 60, 1, False)
        itself = Transfer(_place(3), PAYER, PAYER, 59)
        fee = Transfer(_place(4), PAYER, ADDRESSES["FeePool"], 1)
        assert explained(PAYER, taken, lent, repaid, itself, fee) == [
            ("lease principal", -50, 0),
            ("lease repayment", -1, 1),
        ]

    def test_repayment_of_an_unknown_lease_is_refused(self) -> None:
        with pytest.raises(CheckFailed, match="lease 1 was repaid but never taken"):
            explained(PAYER, LeaseRepaid(_place(2), 1, PAYER, 60, 1, False))


class TestAccruals:
    def test_chains_figures_at_every_chapter(self, life: Life) -> None:
        timebank = life.world.timebank
        deposits, loans = 0, Counter[str]()
        for chapter, block in life.blocks.items():
            for role in MEMBERS.values():
                read = of(life, role, chapter)
                for deposit in read.deposits:
                    said = timebank.time_bank.income(deposit.receipt_id, block=block)
                    told = sum(one.amount for one in lines(read, deposit.receipt_id))
                    assert deposit.unpaid_income == said == told, (chapter, role)
                    position = timebank.time_bank.position(deposit.receipt_id, block=block)
                    assert (deposit.principal, deposit.term_id, deposit.matures_at) == (
                        position.principal,
                        position.term_id,
                        position.matures_at,
                    )
                    deposits += 1
                for loan in read.loans:
                    subject = "loan" if loan.receipt_id else "loan on standing"
                    if loan.receipt_id:
                        said = timebank.credit_lending.debt_of(loan.receipt_id, block=block)
                    else:
                        said = timebank.credit_lending.standing_debt_of(read.account, block=block)
                    told = sum(one.amount for one in lines(read, loan.receipt_id, subject))
                    assert loan.owed == said == told == loan.borrowed + loan.interest - loan.repaid
                    loans[subject] += 1
        assert deposits > 10
        assert loans["loan"] == 5

    def test_pool_shares_are_worth_what_the_pool_says(self, life: Life) -> None:
        pool = life.world.timebank.credit_lending
        kinds: set[str] = set()
        for chapter, block in life.blocks.items():
            for role in MEMBERS.values():
                read = of(life, role, chapter)
                rows = [one for one in read.accruals if one.subject == "pool shares"]
                worth = pool.convert_to_assets(pool.balance_of(read.account, block=block), block=block)
                assert sum(one.amount for one in rows) == worth, (chapter, role)
                assert not rows or rows[-1].total == worth
                kinds |= {one.kind for one in rows}
        assert {"supplied", "redeemed", "interest", "loss"} <= kinds

    def test_between_chapters_too(self, life: Life) -> None:
        """Whatever block a statement ends at, it adds up: reading it compares."""
        first, last = life.blocks["deposits"], life.blocks["liquidation"]
        for block in range(first, last, 11):
            for role in MEMBERS.values():
                read_statement(life.world.timebank, life.world.address(role), to_block=block)

    def test_release_is_divided_among_all(self, life: Life) -> None:
        brought: defaultdict[Place, list[Accrual]] = defaultdict(list)
        for role in MEMBERS.values():
            for one in of(life, role).accruals:
                if one.kind == "income" and one.at is not None:
                    brought[one.at].append(one)
        assert len(brought) >= 5
        for parts in brought.values():
            released = parts[0].released
            # Rounded down for each deposit, so that a unit of an earlier release may come with this one.
            assert abs(released - sum(one.amount for one in parts)) <= len(parts)
            assert sum(one.weight for one in parts) == parts[0].total_weight
            for one in parts:
                assert abs(one.amount - released * one.weight // one.total_weight) <= 1

    def test_settled_deposits_add_up_to_nothing(self, life: Life) -> None:
        read = of(life, "member1")
        for name, last in (("left", "income forfeited"), (WEEKS_RECEIPT, "income paid")):
            told = lines(read, life.receipts[name])
            assert (sum(one.amount for one in told), told[-1].kind, told[-1].total) == (0, last, 0)
        renewed = next(one for one in read.accruals if one.kind == "income to principal")
        assert renewed.receipt_id == life.receipts[WEEKS_RECEIPT]
        assert renewed.fee == -(renewed.amount * 500 // 10_000)

    def test_income_goes_with_the_receipt(self, life: Life) -> None:
        given = life.receipts["given"]
        gone, got = lines(of(life, "member3"), given), lines(of(life, "member1"), given)
        assert (gone[-1].kind, got[0].kind) == ("income handed over", "income acquired")
        assert got[0].amount == -gone[-1].amount == sum(one.amount for one in gone[:-1]) > 0
        assert gone[-1].at == got[0].at

    def test_pledged_deposit_earns_for_who_pledged_it(self, life: Life) -> None:
        read = of(life, "member1", "loan")
        held = {one.receipt_id: one for one in read.deposits}
        assert held[life.receipts[WEEKS_RECEIPT]].pledged_to == life.world.timebank.credit_lending.address
        assert lines(read, life.receipts[WEEKS_RECEIPT])[-1].kind == "income due"

    def test_loan_line_by_line(self, life: Life) -> None:
        read = of(life, "member1")
        told = lines(read, life.receipts[WEEKS_RECEIPT], "loan")
        assert told[0].kind == "borrowed"
        total = 0
        for one in told:
            total += one.amount
            assert one.total == total
        assert (told[-2].kind, told[-1].kind, total) == ("liquidated", "written off", 0)
        assert told[-2].amount == -movement(of(life, "stranger"), "liquidation incentive").parts["repaid"]
        assert read.loans == ()

    def test_write_off_stays_owed_and_stops_growing(self, life: Life) -> None:
        told = lines(of(life, "member3"), 0, "loan on standing")
        kinds = [one.kind for one in told]
        assert kinds[-3:] == ["written off", "repaid", "repaid from claim"]
        assert (told[-3].amount, told[-3].total) == (0, told[-4].total)
        assert told[-2].amount == -300_000
        assert told[-1].total == 0


class TestMissing:
    """A node that drops events: nothing is shown, and what does not fit is named."""

    def read_without(
        self,
        life: Life,
        role: str,
        kind: type[Event],
        monkeypatch: pytest.MonkeyPatch,
        *,
        chapter: str = "renewals",
        nth: int = -1,
        **having: object,
    ) -> str:
        real = statement_module.read_events

        def dropping(*arguments: object, **more: object) -> Sequence[Event]:
            events = list(real(*arguments, **more))  # type: ignore[arg-type]  # passed on as they came
            chosen = [event for event in events if isinstance(event, kind)]
            dropped = [
                event
                for event in chosen
                if all(getattr(event, name) == value for name, value in having.items())
            ][nth]
            return [event for event in events if event is not dropped]

        monkeypatch.setattr(statement_module, "read_events", dropping)
        with pytest.raises(CheckFailed) as caught:
            read(life, role, chapter)
        assert caught.value.exit_code == 3
        return str(caught.value)

    def test_last_release(self, life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
        said = self.read_without(life, "member1", IncomeReleased, monkeypatch, chapter="claims")
        receipts = (life.receipts[WEEKS_RECEIPT], life.receipts["given"])
        assert any(f"income of deposit {number} adds up to" in said for number in receipts)

    def test_release_before_a_settlement(self, life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
        said = self.read_without(life, "member2", IncomeReleased, monkeypatch, chapter="deposits", nth=0)
        assert f"deposit {life.receipts['demand']} was settled with an income of" in said

    def test_roll_over(self, life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
        said = self.read_without(life, "member2", RolledOver, monkeypatch)
        assert f"income of deposit {life.receipts['demand']}" in said

    def test_deposit(self, life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
        said = self.read_without(life, "member2", Deposited, monkeypatch, nth=1)
        assert f"deposit {life.receipts['demand']} changes but was never made" in said

    @pytest.mark.parametrize("kind", [InterestAccrued, Repaid])
    def test_interest_or_repayment(
        self, life: Life, kind: type[Event], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        interest = next(one.amount for one in lines(of(life, "member1"), 1, "loan") if one.kind == "interest")
        having = {"interest": interest} if kind is InterestAccrued else {}
        said = self.read_without(life, "member1", kind, monkeypatch, chapter="loan", **having)
        assert f"the debt behind the loan on receipt {life.receipts[WEEKS_RECEIPT]} adds up to" in said

    def test_lease(self, life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
        said = self.read_without(life, "member3", LeaseTaken, monkeypatch, nth=0)
        assert "lease 1 was repaid but never taken" in said

    def test_transfer(self, life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
        payee = life.world.address("payee")
        said = self.read_without(life, "payee", Transfer, monkeypatch, receiver=payee)
        assert "the movements of" in said


class TestTheOnlyBorrower:
    """Interest lets a debt grow and not its shares: rounded, all shares can owe less than all the debt."""

    def test_owes_the_whole_debt(self, anvil: Connection, tmp_path: Path) -> None:
        life = begin(anvil, tmp_path)
        timebank, pool = life.world.timebank, life.world.timebank.credit_lending
        member = life.world.address("member1")
        receipt = life.deposit("member1", 10_000_000, WEEK)
        life.world.send("member3", pool.deposit(9_000_000, life.world.address("member3")))
        life.borrow("member1", receipt, 8_900_000)
        for days in (60, 640):
            life.wait(days * DAY)
            (loan,) = read_statement(timebank, member).loans
            assert loan.owed == pool.debt_of(receipt) == pool.accrued_books().debt
            sent = life.world.send("stranger", pool.accrue())
            (loan,) = read_statement(timebank, member, to_block=sent.block_number).loans
            assert loan.owed == pool.debt_of(receipt)

    def test_on_standing(self, anvil: Connection, tmp_path: Path) -> None:
        life = begin(anvil, tmp_path)
        timebank, pool = life.world.timebank, life.world.timebank.credit_lending
        life.world.send("member3", pool.deposit(20_000_000, life.world.address("member3")))
        life.wait(DAY)  # then all of it counts for loans on standing
        life.borrow_on_standing("member1", 3_000_000)
        for days in (60, 640):
            life.wait(days * DAY)
            (loan,) = read_statement(timebank, life.world.address("member1")).loans
            assert loan.owed == pool.standing_debt_of(life.world.address("member1"))
            assert read_pool(timebank).unsecured == loan.owed
