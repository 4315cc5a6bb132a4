"""An honest history of the bank is green, wherever it is looked at from; see audit.tree."""

from __future__ import annotations

import pytest
from eth_utils.crypto import keccak

from tests.audit.bank_history import CREDIT, DEMAND, BankHistory
from tests.audit.spoil import audit, failed
from timebank_chain.audit import CHECKS
from timebank_chain.audit.role_book import PUBLIC_ROLE


def test_embedded_history_is_green_with_raw_records(embedded_bank_history: BankHistory) -> None:
    report = audit(embedded_bank_history, activity=embedded_bank_history.activity)
    assert failed(report) == []
    assert {check.status for check in report.checks} == {"ok"}
    assert report.verdict == f"GREEN: {len(CHECKS)} of {len(CHECKS)} checks passed, none failed"


@pytest.mark.anvil
def test_anvil_history_is_green(bank_history: BankHistory) -> None:
    report = audit(bank_history)
    assert failed(report) == []
    assert report.check("A35").figure == "9 deposits, 5 closed before"
    assert report.check("A39").figure == "3 deposits and 5 withdrawals of suppliers"
    assert report.check("A41").figure == "1 pledges and 2 loans on standing"
    assert report.check("A43").figure == "2 receipts and the claims of 3 accounts"
    assert report.check("A44").figure == "20 claims, 8 routed"
    assert report.check("A46").figure == "3 offers taken, 1 cancelled"


@pytest.mark.anvil
def test_what_was_sent_in_error_is_said(bank_history: BankHistory) -> None:
    report = audit(bank_history)
    notes = {number: " ".join(report.check(number).notes) for number in ("A34", "A37", "A47")}
    assert "0.001000 credits were given to the bank and are not collected yet" in notes["A34"]
    assert "0.001000 credits were sent to the pool and are not passed on yet" in notes["A37"]
    assert "0.001000 credits were sent to the lease by a plain transfer" in notes["A47"]


@pytest.mark.anvil
def test_a_gift_is_income_once_it_is_collected(bank_history: BankHistory) -> None:
    world = bank_history.world
    world.send("member1", world.timebank.attention_credit.transfer(bank_history.address("TimeBank"), 5_000))
    world.send("stranger", world.timebank.time_bank.collect())
    report = audit(bank_history)
    assert failed(report) == []
    assert report.check("A34").notes == ()


@pytest.mark.anvil
def test_who_has_the_bank_pay_itself_makes_a_gift(bank_history: BankHistory) -> None:
    world, bank = bank_history.world, bank_history.world.timebank.time_bank
    receipt = bank_history.deposit("member3", CREDIT, DEMAND)
    world.send("member3", bank.withdraw(receipt, bank.address))
    report = audit(bank_history)
    assert failed(report) == []
    assert "1.001000 credits were given" in report.check("A34").notes[0]


@pytest.mark.anvil
def test_an_earlier_block_can_be_audited(bank_history: BankHistory) -> None:
    """Views are asked at that block, with its time, whatever happened since."""
    last = bank_history.connection.block_number()
    bank_history.wait(86_400)
    bank_history.world.send("stranger", bank_history.world.timebank.credit_lending.accrue())
    report = audit(bank_history, to_block=last)
    assert failed(report) == []
    assert failed(audit(bank_history)) == []


@pytest.mark.anvil
def test_a_setting_opened_to_everybody_is_a_finding(bank_history: BankHistory) -> None:
    world = bank_history.world
    selector = keccak(text="setLeaseFee(uint16)")[:4]
    lease = world.timebank.credit_lease.address
    world.govern(world.timebank.access_manager.set_function_role(lease, [selector], PUBLIC_ROLE))
    report = audit(bank_history)
    assert failed(report) == ["A19"]
    assert report.check("A19").differences[0].meaning == "anybody may govern this"
