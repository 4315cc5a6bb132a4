"""What an account has in the bank, on the embedded chain and on anvil.

::

    portfolio
    |- of nobody: empty, worth what the wallet holds
    |- deposits: held, pledged to the pool, in a lease's custody, received from another, handed on, closed
    |- loans: debt, limit, threshold and health are the contract's; released and liquidated ones are gone
    |- loan on standing: due, overdue, written off, repaid
    |- leases: lent and owed, what the lender still gets after the fee; settled ones are gone
    |- pool shares: worth what redeeming them pays; handed on
    |- claims: the standing order, the creditor, placeholders linked to the wallet
    |- assets, debts and net add up; credits are not lost: all accounts together
    |- one block: an earlier one shows the earlier picture
    `- an event missing -> CheckFailed (receipts, shares, pledges, leases)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from tests.world import SIGNERS, World, deploy_world
from timebank_chain.activity.members import placeholder_address
from timebank_chain.chain import portfolio as portfolio_module
from timebank_chain.chain.addresses import address_text
from timebank_chain.chain.bank_events import (
    Deposited,
    LeaseClosed,
    LeaseTaken,
    Pledged,
    ReceiptTransferred,
    SharesTransferred,
)
from timebank_chain.chain.bank_plan import BankPlan, RiskPlan
from timebank_chain.chain.connection import Connection, connect
from timebank_chain.chain.credit_lease import LeaseOffer
from timebank_chain.chain.event import Event
from timebank_chain.chain.events import decode_logs
from timebank_chain.chain.member_registry import ZERO_ADDRESS
from timebank_chain.chain.portfolio import Creditor, Portfolio, read_portfolio
from timebank_chain.chain.transactions import Receipt
from timebank_chain.errors import CheckFailed
from timebank_chain.units import MicroCredit, mul_div_up
from timebank_chain.valuation.policy import load_policy, policy_hash, policy_head_call

DAY, WEEK = 86_400, 7 * 86_400
DEMAND_TERM, DAY_TERM, WEEK_TERM = 0, 1, 2
E = TypeVar("E", bound=Event)


def of(world: World, role: str, **options: int) -> Portfolio:
    return read_portfolio(world.timebank, world.address(role), **options)


def first(receipt: Receipt, kind: type[E]) -> E:
    found = decode_logs(receipt.logs, (kind,))[0]
    assert isinstance(found, kind)
    return found


def deposit(world: World, role: str, amount: int, term: int) -> int:
    bank = world.timebank.time_bank
    world.send(role, world.timebank.attention_credit.approve(bank.address, amount))
    return first(world.send(role, bank.deposit(amount, term, world.address(role))), Deposited).receipt_id


def supply(world: World, role: str, amount: int) -> None:
    lending = world.timebank.credit_lending
    world.send(role, world.timebank.attention_credit.approve(lending.address, amount))
    world.send(role, lending.deposit(amount, world.address(role)))


def borrow(world: World, role: str, receipt_id: int, amount: int) -> None:
    bank, lending = world.timebank.time_bank, world.timebank.credit_lending
    world.send(role, bank.approve(lending.address, receipt_id))
    world.send(role, lending.pledge_and_borrow(receipt_id, amount, world.address(role)))


def lease(world: World, lender: str, lessee: str, receipt_id: int, amount: int, rent: int) -> int:
    """Let ``lessee`` take a day's offer of ``lender`` on a receipt."""
    timebank = world.timebank
    contract = timebank.credit_lease
    offer = LeaseOffer(
        lender=world.address(lender),
        lessee=ZERO_ADDRESS,
        amount=MicroCredit(amount),
        min_take=MicroCredit(1),
        rent=MicroCredit(rent),
        term=DAY,
        on_standing=False,
        expires_at=world.connection.pending_timestamp() + DAY,
        series=contract.series_of(world.address(lender)),
        salt=receipt_id,
    )
    signature = offer.sign(world.signers[lender], world.connection.chain_id, contract.address)
    world.send(lender, timebank.attention_credit.approve(contract.address, amount))
    world.send(lessee, timebank.time_bank.approve(contract.address, receipt_id))
    return first(world.send(lessee, contract.take(offer, signature, amount, receipt_id)), LeaseTaken).lease_id


def spread(world: World, amount: int = 50_000_000) -> None:
    """Give four members credits out of one epoch."""
    roles = [f"member{n}" for n in range(1, 5)]
    epoch = world.run_epoch({world.address(role): amount for role in roles})
    for role in roles:
        account = world.address(role)
        world.send(role, world.timebank.credit_distributor.claim(epoch.leaf(account), epoch.proof(account)))


@pytest.fixture
def bank(world: World) -> World:
    spread(world)
    return world


def test_of_nobody(bank: World) -> None:
    read = of(bank, "stranger")
    assert (read.deposits, read.loans, read.leases_lent, read.leases_owed) == ((), (), (), ())
    assert (read.standing_loan, read.supply.shares, read.supply.worth) == (None, 0, 0)
    assert (read.assets, read.debts, read.net) == (0, 0, 0)
    member = of(bank, "member1")
    assert member.assets == member.net == member.balance == 50_000_000
    assert member.time == bank.connection.w3.eth.get_block(member.block)["timestamp"]


class TestDeposits:
    def test_held_handed_on_and_closed(self, bank: World) -> None:
        week = deposit(bank, "member1", 5_000_001, WEEK_TERM)
        demand = deposit(bank, "member1", 3_000_000, DEMAND_TERM)
        gone = deposit(bank, "member1", 2_000_000, DEMAND_TERM)
        member, other = bank.address("member1"), bank.address("member2")
        bank.send("member1", bank.timebank.time_bank.transfer_from(member, other, demand))
        bank.send("member1", bank.timebank.time_bank.withdraw(gone, member))
        read = of(bank, "member1")
        assert [one.receipt_id for one in read.deposits] == [week]
        held = read.deposits[0]
        assert (held.principal, held.term.name, held.creditor, held.lease_id) == (
            5_000_001,
            "week",
            None,
            None,
        )
        assert held.exit_value == 5_000_001 - mul_div_up(5_000_001, 100, 10_000)
        assert not held.mature
        assert [one.receipt_id for one in of(bank, "member2").deposits] == [demand]
        bank.connection.advance_time(WEEK)
        held = of(bank, "member1").deposits[0]
        assert (held.mature, held.exit_value) == (True, 5_000_001)

    def test_income_is_the_banks(self, bank: World) -> None:
        receipt = deposit(bank, "member1", 5_000_000, DEMAND_TERM)
        timebank = bank.timebank
        bank.send("member2", timebank.attention_credit.transfer(timebank.time_bank.address, 1_000_000))
        bank.send("stranger", timebank.time_bank.collect())
        bank.connection.advance_time(WEEK)
        read = of(bank, "member1")
        only = read.deposits[0]
        assert only.income == pytest.approx(500_000, rel=1e-3)
        assert only.exit_value == 5_000_000 + only.income - mul_div_up(
            only.income, read.income_fee_bps, 10_000
        )
        bank.send("member1", timebank.time_bank.collect_income(receipt, bank.address("member1")))
        assert of(bank, "member1").deposits[0].income < 10

    def test_in_custody(self, bank: World) -> None:
        pledged = deposit(bank, "member1", 10_000_000, WEEK_TERM)
        leased = deposit(bank, "member1", 8_000_000, DAY_TERM)
        supply(bank, "member2", 20_000_000)
        borrow(bank, "member1", pledged, 4_000_000)
        lease_id = lease(bank, "member3", "member1", leased, 5_000_000, 100_000)
        read = of(bank, "member1")
        assert [(one.receipt_id, one.creditor, one.lease_id) for one in read.deposits] == [
            (pledged, Creditor.LENDING, None),
            (leased, Creditor.LEASE, lease_id),
        ]
        assert of(bank, "member2").deposits == of(bank, "member3").deposits == ()
        assert read.deposit(pledged) is read.deposits[0]
        assert read.deposit(99) is None


class TestLoans:
    def test_debt_limit_health(self, bank: World) -> None:
        receipt = deposit(bank, "member1", 10_000_000, WEEK_TERM)
        supply(bank, "member2", 20_000_000)
        borrow(bank, "member1", receipt, 4_000_000)
        bank.connection.advance_time(30 * DAY)
        lending = bank.timebank.credit_lending
        read = of(bank, "member1")
        only = read.loan(receipt)
        assert only is not None
        assert only.debt == lending.debt_of(receipt, block=read.block) > 4_000_000
        assert (only.limit, only.threshold) == (9_000_000, 9_500_000)  # mature by now: worth its principal
        assert only.borrowable == 9_000_000 - only.debt
        assert only.health_bps == 9_500_000 * 10_000 // only.debt
        assert not only.liquidatable
        assert read.debts == only.debt

        bank.send("member1", bank.timebank.attention_credit.approve(lending.address, 5_000_000))
        bank.send("member1", lending.repay(receipt, 5_000_000))
        read = of(bank, "member1")
        cleared = read.loan(receipt)
        assert cleared is not None
        assert (cleared.debt, cleared.health_bps, read.debts) == (0, None, 0)
        bank.send("member1", lending.release(receipt))
        read = of(bank, "member1")
        assert (read.loans, read.deposits[0].creditor) == ((), None)

    def test_liquidated_is_gone(self, bank: World) -> None:
        receipt = deposit(bank, "member1", 10_000_000, WEEK_TERM)
        supply(bank, "member2", 20_000_000)
        borrow(bank, "member1", receipt, 8_000_000)
        lending, risk = bank.timebank.credit_lending, RiskPlan()
        call = lending.set_risk(replace(risk, max_ltv_bps=5_000, liquidation_ltv_bps=6_000))
        bank.timebank.govern(SIGNERS["governor"], call)
        bank.connection.advance_time(601)
        bank.timebank.govern(SIGNERS["governor"], call)
        only = of(bank, "member1").loans[0]
        assert only.liquidatable
        assert only.health_bps is not None and only.health_bps < 10_000
        assert only.borrowable == 0
        bank.send("member3", lending.liquidate(receipt))
        read = of(bank, "member1")
        assert (read.deposits, read.loans) == ((), ())


class TestLeases:
    def test_lent_and_owed(self, bank: World) -> None:
        receipt = deposit(bank, "member1", 8_000_000, WEEK_TERM)
        lease_id = lease(bank, "member3", "member1", receipt, 5_000_000, 100_001)
        fee = mul_div_up(100_001, bank.timebank.credit_lease.lease_fee_bps(), 10_000)
        lender, lessee = of(bank, "member3"), of(bank, "member1")
        assert [one.lease_id for one in lender.leases_lent] == [lease_id]
        assert [one.lease_id for one in lessee.leases_owed] == [lease_id]
        assert (lender.leases_owed, lessee.leases_lent) == ((), ())
        assert lender.leases_lent[0].to_lender == 5_100_001 - fee
        assert lender.assets == 45_000_000 + 5_100_001 - fee
        assert lessee.debts == 5_100_001
        assert not lessee.leases_owed[0].overdue
        bank.connection.advance_time(DAY + 1)
        assert of(bank, "member1").leases_owed[0].overdue
        before = lender.balance
        bank.send("stranger", bank.timebank.credit_lease.settle(lease_id))
        lender, lessee = of(bank, "member3"), of(bank, "member1")
        assert (lender.leases_lent, lessee.leases_owed, lessee.deposits) == ((), (), ())
        assert lender.balance == before + 5_100_001 - fee


class TestSupply:
    def test_shares_and_their_worth(self, bank: World) -> None:
        receipt = deposit(bank, "member1", 20_000_000, WEEK_TERM)
        supply(bank, "member2", 20_000_000)
        borrow(bank, "member1", receipt, 15_000_000)
        bank.connection.advance_time(30 * DAY)
        lending, member = bank.timebank.credit_lending, bank.address("member2")
        read = of(bank, "member2").supply
        assert read.worth > 20_000_000
        assert read.withdrawable == 5_000_000
        assert read.shares == lending.balance_of(member)
        bank.send("member2", lending.withdraw(5_000_000, member, member))
        left = of(bank, "member2").supply
        assert left.worth == pytest.approx(read.worth - 5_000_000, abs=10)
        assert left.withdrawable == 0


class TestClaims:
    def test_order_creditor_and_placeholders(self, bank: World) -> None:
        timebank, wallet = bank.timebank, bank.address("member4")
        placeholder = address_text(placeholder_address("bob"))
        bank.send("registrar", timebank.member_registry.request_link(placeholder, wallet))
        bank.connection.advance_time(timebank.member_registry.link_delay() + 1)
        bank.send("stranger", timebank.member_registry.confirm_link(placeholder))
        bank.send("member4", timebank.credit_distributor.set_standing_order(wallet, WEEK_TERM))
        bank.send("member4", timebank.credit_distributor.set_standing_order(placeholder, DAY_TERM))
        routes = of(bank, "member4").claims
        assert [(one.account, one.order and one.order.name, one.creditor) for one in routes] == [
            (wallet, "week", None),
            (placeholder, "day", None),
        ]
        bank.send("member4", timebank.credit_distributor.end_standing_order(wallet))
        assert of(bank, "member4").claims[0].order is None


class TestStanding:
    @pytest.fixture(params=["embedded", pytest.param("anvil", marks=pytest.mark.anvil)])
    def lending_world(self, request: pytest.FixtureRequest) -> World:
        """A world whose policy the pool can know, and whose epochs are of today: standing fades."""
        connection: Connection = (
            connect() if request.param == "embedded" else request.getfixturevalue("anvil")
        )
        policy = load_policy("identity")
        plan = replace(BankPlan(), risk=replace(RiskPlan(), standing_term=DAY, grace=3_600))
        world = deploy_world(connection, policy=policy, bank=plan)
        made = world.make_epoch({world.address(f"member{n}"): 50_000_000 for n in (1, 2)})
        now_ms = connection.pending_timestamp() * 1_000
        header = replace(
            made.header, start_ms=now_ms - 120_000, end_ms=now_ms - 60_000, policy_hash=policy_hash(policy)
        )
        world.propose(header)
        world.finalise(header)
        for role in ("member1", "member2"):
            account = world.address(role)
            call = world.timebank.credit_distributor.claim(made.leaf(account), made.proof(account))
            world.send(role, call)
        supply(world, "member2", 40_000_000)
        world.connection.advance_time(DAY)  # then all of it counts for loans on standing
        world.send("stranger", world.timebank.credit_lending.accept_policy(policy_head_call(policy)))
        account = world.address("member1")
        world.send(
            "member1",
            world.timebank.credit_lending.borrow_on_standing(
                made.leaf(account), made.proof(account), 5_000_000, account
            ),
        )
        return world

    def test_from_due_to_written_off_to_repaid(self, lending_world: World) -> None:
        world, lending = lending_world, lending_world.timebank.credit_lending
        member = world.address("member1")
        read = of(world, "member1")
        owed = read.standing_loan
        assert owed is not None
        assert (owed.account, owed.overdue, owed.written_off, owed.due_from_claims) == (member, False, 0, 0)
        assert owed.due_at == read.time + DAY
        assert owed.fails_at == owed.due_at + 3_600
        assert read.debts == owed.debt >= 5_000_000
        assert read.claims[0].creditor is Creditor.LENDING

        world.connection.advance_time(owed.due_at - world.connection.timestamp())
        owed = of(world, "member1").standing_loan
        assert owed is not None
        assert owed.overdue
        assert owed.due_from_claims == owed.debt > 5_000_000

        world.connection.advance_time(3_600)
        world.send("stranger", lending.write_off(member))
        owed = of(world, "member1").standing_loan
        assert owed is not None
        assert owed.written_off == owed.debt

        world.send("member1", world.timebank.attention_credit.approve(lending.address, owed.debt))
        world.send("member1", lending.repay_standing(member, owed.debt))
        read = of(world, "member1")
        assert (read.standing_loan, read.debts, read.claims[0].creditor) == (None, 0, None)


def test_everybody_together_has_what_there_is(bank: World) -> None:
    """No credit is lost or counted twice, but for what belongs to no member: fees, and rounding."""
    week = deposit(bank, "member1", 10_000_000, WEEK_TERM)
    deposit(bank, "member4", 4_000_000, DEMAND_TERM)
    day = deposit(bank, "member2", 8_000_000, DAY_TERM)
    supply(bank, "member2", 20_000_000)
    borrow(bank, "member1", week, 6_000_000)
    lease(bank, "member3", "member2", day, 5_000_000, 100_000)
    bank.connection.advance_time(WEEK)
    block = bank.connection.block_number()
    net = sum(of(bank, f"member{n}", block=block).net for n in range(1, 5))
    fees = bank.timebank.credit_lending.accrued_books(block=block).fees_owed + 2_000  # 2 % of the rent
    assert net == pytest.approx(bank.timebank.attention_credit.total_supply() - fees, abs=10)


def test_at_one_block(bank: World) -> None:
    deposit(bank, "member1", 5_000_000, WEEK_TERM)
    block = bank.connection.block_number()
    before = of(bank, "member1")
    receipt = deposit(bank, "member1", 3_000_000, DEMAND_TERM)
    supply(bank, "member1", 4_000_000)
    assert of(bank, "member1", block=block) == before
    assert of(bank, "member1").deposit(receipt) is not None


class TestMissingEvents:
    """A node that leaves an event out is caught: the portfolio is not shown."""

    @pytest.fixture
    def lived(self, embedded_world: World) -> World:
        spread(embedded_world)
        pledged = deposit(embedded_world, "member1", 10_000_000, WEEK_TERM)
        leased = deposit(embedded_world, "member1", 8_000_000, DAY_TERM)
        supply(embedded_world, "member1", 20_000_000)
        borrow(embedded_world, "member1", pledged, 4_000_000)
        number = lease(embedded_world, "member3", "member1", leased, 5_000_000, 100_000)
        credit = embedded_world.timebank.attention_credit
        contract = embedded_world.timebank.credit_lease
        embedded_world.send("member1", credit.approve(contract.address, 5_100_000))
        embedded_world.send("member1", contract.repay(number, 5_100_000))
        deposit(embedded_world, "member1", 1_000_000, DEMAND_TERM)
        return embedded_world

    @pytest.mark.parametrize(
        ("kind", "drop", "said"),
        [
            (ReceiptTransferred, lambda event: event.sender == ZERO_ADDRESS, "receipts"),
            (ReceiptTransferred, lambda event: event.receiver != ZERO_ADDRESS, "receipts"),
            (SharesTransferred, lambda _: True, "shares"),
            (Pledged, lambda _: True, "nobody pledged receipt 1"),
            (LeaseTaken, lambda _: True, "0 leases"),
            (LeaseClosed, lambda _: True, "lease 1 runs"),
        ],
    )
    def test_is_refused(
        self,
        lived: World,
        monkeypatch: pytest.MonkeyPatch,
        kind: type[Event],
        drop: Callable[[Any], bool],
        said: str,
    ) -> None:
        real = portfolio_module.read_events

        def read_events(*arguments: Any, **options: Any) -> Iterator[Event]:
            return (one for one in real(*arguments, **options) if not (isinstance(one, kind) and drop(one)))

        assert of(lived, "member1").deposits
        monkeypatch.setattr(portfolio_module, "read_events", read_events)
        with pytest.raises(CheckFailed, match=said):
            of(lived, "member1")

    def test_a_pledge_of_another_receipt_is_refused(
        self, lived: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = portfolio_module.read_events

        def read_events(*arguments: Any, **options: Any) -> Iterator[Event]:
            for one in real(*arguments, **options):
                yield replace(one, receipt_id=2) if isinstance(one, Pledged) else one

        monkeypatch.setattr(portfolio_module, "read_events", read_events)
        with pytest.raises(CheckFailed, match="nobody pledged receipt 1"):
            of(lived, "member1")
