"""The bank's state forged past its contracts, on the real state of an anvil; see audit.tree."""

from __future__ import annotations

import pytest

from tests.audit.bank_history import BankHistory
from tests.audit.spoil import audit, failed, forge
from timebank_chain.audit.storage import LAYOUTS
from timebank_chain.audit.storage_root import mapping_slot

pytestmark = pytest.mark.anvil


def number(key: int) -> bytes:
    return key.to_bytes(32, "big")


def raw(history: BankHistory, role: str) -> bytes:
    return bytes.fromhex(history.world.address(role)[2:])


def entry(contract: str, variable: str, key: bytes) -> bytes:
    return mapping_slot(key, LAYOUTS[contract][variable])


def after(slot: bytes, count: int) -> bytes:
    return number(int.from_bytes(slot, "big") + count)


def word(history: BankHistory, contract: str, slot: bytes) -> int:
    found = history.connection.w3.eth.get_storage_at(
        history.address(contract),  # type: ignore[arg-type]  # checksummed
        int.from_bytes(slot, "big"),
    )
    return int.from_bytes(found, "big")


def add(history: BankHistory, contract: str, slot: bytes, amount: int, *, at_bit: int = 0) -> None:
    """Add to one field of a slot, past the contract."""
    before = word(history, contract, slot)
    assert before, "an empty slot: the test looks at the wrong place"
    forge(history, contract, slot, before + (amount << at_bit))


# ---------------------------------------------------------------- time bank


def test_forged_principal(bank_history: BankHistory) -> None:
    receipt = bank_history.receipts["pledged"]
    add(bank_history, "TimeBank", entry("TimeBank", "_deposits", number(receipt)), 1)
    report = audit(bank_history)
    assert failed(report) == ["A9", "A35"]
    assert report.check("A35").differences[0].where == f"TimeBank.positionOf({receipt})"


def test_forged_weight_of_a_deposit(bank_history: BankHistory) -> None:
    """The multiplier stands in the deposit's slot; no view shows it."""
    slot = entry("TimeBank", "_deposits", number(bank_history.receipts["pledged"]))
    add(bank_history, "TimeBank", slot, 1_000, at_bit=120)
    assert failed(audit(bank_history)) == ["A9"]


def test_forged_index_of_a_deposit(bank_history: BankHistory) -> None:
    slot = entry("TimeBank", "_deposits", number(bank_history.receipts["pledged"]))
    add(bank_history, "TimeBank", slot, -1, at_bit=136)
    assert failed(audit(bank_history)) == ["A9", "A35"]


def test_forged_deposit_nobody_made(bank_history: BankHistory) -> None:
    slot = entry("TimeBank", "_deposits", number(99))
    forge(bank_history, "TimeBank", slot, 1_000_000)
    report = audit(bank_history)
    assert failed(report) == ["A9"]
    assert slot.hex() in report.check("A9").differences[0].where


def test_forged_holder_of_a_receipt(bank_history: BankHistory) -> None:
    receipt = bank_history.receipts["approved"]
    slot = entry("TimeBank", "_owners", number(receipt))
    forge(bank_history, "TimeBank", slot, int.from_bytes(raw(bank_history, "stranger"), "big"))
    report = audit(bank_history)
    assert failed(report) == ["A9", "A35"]
    assert report.check("A35").differences[0].where == f"TimeBank.ownerOf({receipt})"


def test_forged_way_out_of_custody(bank_history: BankHistory) -> None:
    receipt = bank_history.receipts["pledged"]
    slot = entry("TimeBank", "_owners", number(receipt))
    forge(bank_history, "TimeBank", slot, int.from_bytes(raw(bank_history, "member4"), "big"))
    report = audit(bank_history)
    assert failed(report) == ["A9", "A35", "A43"]
    assert "not in custody" in report.check("A43").differences[0].meaning


def test_forged_approval_of_a_receipt(bank_history: BankHistory) -> None:
    slot = entry("TimeBank", "_tokenApprovals", number(bank_history.receipts["leased"]))
    forge(bank_history, "TimeBank", slot, int.from_bytes(raw(bank_history, "member4"), "big"))
    assert failed(audit(bank_history)) == ["A9", "A35"]


def test_forged_income_index(bank_history: BankHistory) -> None:
    slot = number(LAYOUTS["TimeBank"]["_ledger"] + 1)
    add(bank_history, "TimeBank", slot, 1)
    report = audit(bank_history)
    assert failed(report) == ["A9", "A35"]
    assert report.check("A35").differences[0].where == "TimeBank.books, incomeIndex"


def test_forged_income_from_nowhere(bank_history: BankHistory) -> None:
    slot = number(LAYOUTS["TimeBank"]["_ledger"] + 1)
    add(bank_history, "TimeBank", slot, 1, at_bit=184)
    report = audit(bank_history)
    assert failed(report) == ["A9", "A34", "A35", "A36"]
    assert report.check("A36").differences[0].where == "income paid + pending + owed"


def test_forged_income_taken_away(bank_history: BankHistory) -> None:
    """Owed to nobody any more: less than the deposits have earned."""
    slot = number(LAYOUTS["TimeBank"]["_ledger"] + 1)
    owed = bank_history.world.timebank.time_bank.books().owed
    add(bank_history, "TimeBank", slot, -owed, at_bit=120)
    report = audit(bank_history)
    assert failed(report) == ["A9", "A34", "A35", "A36"]
    assert report.check("A36").differences[1].where == "TimeBank.books, owed"


def test_forged_term(bank_history: BankHistory) -> None:
    add(bank_history, "TimeBank", entry("TimeBank", "_terms", number(2)), 500, at_bit=32)
    report = audit(bank_history)
    assert failed(report) == ["A9", "A19"]
    assert report.check("A19").differences[0].where == "TimeBank.termOf(2)"


def test_forged_income_fee(bank_history: BankHistory) -> None:
    add(bank_history, "TimeBank", number(LAYOUTS["TimeBank"]["_ledger"]), 1, at_bit=240)
    report = audit(bank_history)
    assert failed(report) == ["A9", "A19"]
    assert report.check("A19").differences[0].where == "TimeBank.incomeFeeBps"


def test_credits_taken_from_the_bank(bank_history: BankHistory) -> None:
    slot = entry("AttentionCredit", "_balances", bytes.fromhex(bank_history.address("TimeBank")[2:]))
    add(bank_history, "AttentionCredit", slot, -1_000_000)
    report = audit(bank_history)
    assert failed(report) == ["A8", "A9", "A34"]
    assert report.check("A34").differences[0].where == "TimeBank, balance"


# ---------------------------------------------------------------- lending pool


def test_forged_cash(bank_history: BankHistory) -> None:
    add(bank_history, "CreditLending", number(LAYOUTS["CreditLending"]["_ledger"]), 1, at_bit=64)
    report = audit(bank_history)
    assert failed(report) == ["A9", "A37"]
    places = [difference.where for difference in report.check("A37").differences]
    assert places == ["CreditLending.books, cash", "CreditLending, balance"]


def test_forged_debt(bank_history: BankHistory) -> None:
    add(bank_history, "CreditLending", number(LAYOUTS["CreditLending"]["_ledger"]), 1_000)
    report = audit(bank_history)
    assert failed(report) == ["A9", "A37", "A38"]
    assert report.check("A37").differences[0].where == "CreditLending.books, debt"


def test_forged_rate(bank_history: BankHistory) -> None:
    add(bank_history, "CreditLending", number(LAYOUTS["CreditLending"]["_ledger"] + 1), 1, at_bit=40)
    report = audit(bank_history)
    assert failed(report) == ["A9", "A37", "A38"]
    assert report.check("A38").differences[0].where == "CreditLending.accruedBooks, rateAtTarget"


def test_forged_shares_of_a_supplier(bank_history: BankHistory) -> None:
    slot = entry("CreditLending", "_balances", raw(bank_history, "payee"))
    add(bank_history, "CreditLending", slot, 10**12)
    report = audit(bank_history)
    assert failed(report) == ["A9", "A40"]
    assert bank_history.world.address("payee") in report.check("A40").differences[0].where


def test_forged_total_of_shares(bank_history: BankHistory) -> None:
    """Fewer shares: each is worth more, to whoever redeems first."""
    add(bank_history, "CreditLending", number(LAYOUTS["CreditLending"]["_totalSupply"]), -1_000)
    report = audit(bank_history)
    assert failed(report) == ["A9", "A40"]
    assert report.check("A40").differences[0].where == "CreditLending.totalSupply"


def test_forged_shares_of_a_loan(bank_history: BankHistory) -> None:
    receipt = bank_history.receipts["pledged"]
    add(bank_history, "CreditLending", entry("CreditLending", "_pledges", number(receipt)), -1, at_bit=160)
    report = audit(bank_history)
    assert failed(report) == ["A9", "A41"]
    assert report.check("A41").differences[0].where == f"CreditLending.pledgedLoan({receipt})"


def test_forged_borrower_of_a_pledge(bank_history: BankHistory) -> None:
    slot = entry("CreditLending", "_pledges", number(bank_history.receipts["pledged"]))
    add(bank_history, "CreditLending", slot, 1)
    assert failed(audit(bank_history)) == ["A9", "A41"]


def test_forged_due_day_of_a_loan_on_standing(bank_history: BankHistory) -> None:
    slot = after(entry("CreditLending", "_standing", raw(bank_history, "member1")), 1)
    add(bank_history, "CreditLending", slot, 86_400)
    assert failed(audit(bank_history)) == ["A9", "A41"]


def test_forged_loss_that_is_owed_no_more(bank_history: BankHistory) -> None:
    borrower = bank_history.world.address("member2")
    slot = after(entry("CreditLending", "_standing", raw(bank_history, "member2")), 1)
    lost = bank_history.world.timebank.credit_lending.standing_loan(borrower)
    add(bank_history, "CreditLending", slot, -lost.lost_by_pool, at_bit=40)
    report = audit(bank_history)
    assert failed(report) == ["A9", "A41", "A42"]
    assert "unaccounted for" in report.check("A42").differences[0].meaning


def test_forged_principal_that_the_reserve_would_pay_for(bank_history: BankHistory) -> None:
    slot = after(entry("CreditLending", "_standing", raw(bank_history, "member1")), 1)
    add(bank_history, "CreditLending", slot, 1_000_000, at_bit=168)
    assert failed(audit(bank_history)) == ["A9", "A41"]


def test_forged_base_of_the_cap_on_loans_on_standing(bank_history: BankHistory) -> None:
    add(bank_history, "CreditLending", after(number(LAYOUTS["CreditLending"]["_ledger"]), 1), -1, at_bit=160)
    assert failed(audit(bank_history)) == ["A9", "A37", "A38"]


def test_forged_sum_of_loans_on_standing(bank_history: BankHistory) -> None:
    add(bank_history, "CreditLending", number(LAYOUTS["CreditLending"]["_decayK"]), -1, at_bit=64)
    assert failed(audit(bank_history)) == ["A9", "A41"]


def test_forged_risk_settings(bank_history: BankHistory) -> None:
    add(bank_history, "CreditLending", number(LAYOUTS["CreditLending"]["_risk"]), 100)
    report = audit(bank_history)
    assert failed(report) == ["A9", "A19"]
    assert report.check("A19").differences[0].where == "CreditLending.risk"


def test_forged_policy(bank_history: BankHistory) -> None:
    add(bank_history, "CreditLending", number(LAYOUTS["CreditLending"]["_decayK"]), -1)
    assert failed(audit(bank_history)) == ["A9", "A19"]


def test_forged_pause(bank_history: BankHistory) -> None:
    add(bank_history, "CreditLending", number(LAYOUTS["CreditLending"]["_ledger"]), 1, at_bit=240)
    assert failed(audit(bank_history)) == ["A9", "A19", "A37"]


def test_forged_number_of_pauses(bank_history: BankHistory) -> None:
    add(bank_history, "CreditLending", number(LAYOUTS["CreditLending"]["_pauses"]), 1, at_bit=168)
    report = audit(bank_history)
    assert failed(report) == ["A9", "A19"]
    assert report.check("A19").differences[0].where == "CreditLending.pauses"


def test_credits_taken_from_the_pool(bank_history: BankHistory) -> None:
    slot = entry("AttentionCredit", "_balances", bytes.fromhex(bank_history.address("CreditLending")[2:]))
    add(bank_history, "AttentionCredit", slot, -1)
    report = audit(bank_history)
    assert failed(report) == ["A8", "A9", "A37"]
    assert report.check("A37").differences[0].where == "CreditLending, balance"


# ---------------------------------------------------------------- leases and pledges


def test_forged_principal_of_a_lease(bank_history: BankHistory) -> None:
    slot = after(entry("CreditLease", "_leases", number(4)), 1)
    add(bank_history, "CreditLease", slot, -1, at_bit=160)
    report = audit(bank_history)
    assert failed(report) == ["A9", "A45"]
    places = [difference.where for difference in report.check("A45").differences]
    assert places == ["CreditLease.leaseOf(4)", "principal + rent of all leases"]


def test_forged_lender_of_a_lease(bank_history: BankHistory) -> None:
    add(bank_history, "CreditLease", entry("CreditLease", "_leases", number(5)), 1)
    assert failed(audit(bank_history)) == ["A9", "A45"]


def test_forged_payment_of_a_lease(bank_history: BankHistory) -> None:
    add(bank_history, "CreditLease", after(entry("CreditLease", "_leases", number(5)), 3), 1)
    assert failed(audit(bank_history)) == ["A9", "A45"]


def test_forged_lease_nobody_took(bank_history: BankHistory) -> None:
    forge(bank_history, "CreditLease", after(entry("CreditLease", "_leases", number(77)), 2), 5)
    assert failed(audit(bank_history)) == ["A9"]


def test_forged_part_of_an_offer(bank_history: BankHistory) -> None:
    slot = entry("CreditLease", "_offers", bank_history.offers["taken"])
    add(bank_history, "CreditLease", slot, -1_000_000)
    report = audit(bank_history)
    assert failed(report) == ["A9", "A46"]
    assert "takenOf" in report.check("A46").differences[0].where


def test_forged_life_of_a_cancelled_offer(bank_history: BankHistory) -> None:
    forge(bank_history, "CreditLease", entry("CreditLease", "_offers", bank_history.offers["cancelled"]), 0)
    report = audit(bank_history)
    assert failed(report) == ["A9", "A46"]
    assert "isCancelled" in report.check("A46").differences[0].where


def test_forged_series(bank_history: BankHistory) -> None:
    add(bank_history, "CreditLease", entry("CreditLease", "seriesOf", raw(bank_history, "member2")), -1)
    report = audit(bank_history)
    assert failed(report) == ["A9", "A46"]
    assert bank_history.world.address("member2") in report.check("A46").differences[0].where


def test_forged_lease_fee(bank_history: BankHistory) -> None:
    add(bank_history, "CreditLease", number(LAYOUTS["CreditLease"]["_settings"]), 1, at_bit=64)
    assert failed(audit(bank_history)) == ["A9", "A19"]


def test_forged_freedom_of_pledged_claims(bank_history: BankHistory) -> None:
    slot = entry("CreditDistributor", "_records", raw(bank_history, "member1"))
    add(bank_history, "CreditDistributor", slot, -1, at_bit=64)
    report = audit(bank_history)
    assert {"A9", "A43"} <= set(failed(report))
    assert bank_history.world.address("member1") in report.check("A43").differences[0].where


def test_credits_put_into_the_lease(bank_history: BankHistory) -> None:
    slot = entry("AttentionCredit", "_balances", bytes.fromhex(bank_history.address("CreditLease")[2:]))
    add(bank_history, "AttentionCredit", slot, 1)
    report = audit(bank_history)
    assert failed(report) == ["A8", "A9", "A47"]
    assert report.check("A47").differences[0].where == "CreditLease, balance"
