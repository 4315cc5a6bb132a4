"""State forged past the contracts, on the real state of an anvil; see audit.tree."""

from __future__ import annotations

import pytest

from tests.audit.history import NEWCOMER, History
from tests.audit.spoil import audit, failed, forge, rpc
from timebank_chain.activity import placeholder_address
from timebank_chain.audit.storage_root import keccak, mapping_slot

pytestmark = pytest.mark.anvil

UNKNOWN = bytes.fromhex("00000000000000000000000000000000deadbeef")
SUPPLY_SLOT = 2


def raw(history: History, role: str) -> bytes:
    return bytes.fromhex(history.world.address(role)[2:])


def test_forged_balance_of_a_known_address(history: History) -> None:
    forge(history, "AttentionCredit", mapping_slot(raw(history, "member3"), 0), 10**15)
    report = audit(history)
    assert failed(report) == ["A8", "A9"]
    first = report.check("A8").differences[0]
    assert history.world.address("member3") in first.where
    assert first.found == str(10**15)
    assert "sum of all balances" in report.check("A8").differences[1].where


def test_forged_balance_of_an_unknown_address(history: History) -> None:
    slot = mapping_slot(UNKNOWN, 0)
    forge(history, "AttentionCredit", slot, 5_000_000)
    report = audit(history)
    assert failed(report) == ["A9"]
    assert slot.hex() in report.check("A9").differences[0].where
    assert report.check("A9").differences[0].found == "5000000"


def test_forged_unknown_balance_with_a_matching_supply(history: History) -> None:
    supply = history.world.timebank.attention_credit.total_supply()
    forge(history, "AttentionCredit", mapping_slot(UNKNOWN, 0), 5_000_000)
    forge(history, "AttentionCredit", SUPPLY_SLOT, supply + 5_000_000)
    assert failed(audit(history)) == ["A7", "A8", "A9"]


def test_forged_total_supply(history: History) -> None:
    supply = history.world.timebank.attention_credit.total_supply()
    forge(history, "AttentionCredit", SUPPLY_SLOT, supply - 1)
    report = audit(history)
    assert failed(report) == ["A7", "A8", "A9"]
    assert report.check("A7").differences[0].expected == str(supply)
    assert report.check("A7").differences[0].found == str(supply - 1)


def test_forged_claimed(history: History) -> None:
    forge(history, "CreditDistributor", mapping_slot(raw(history, "member1"), 2), 0)
    report = audit(history)
    assert failed(report) == ["A9", "A12"]
    assert history.world.address("member1") in report.check("A12").differences[0].where


def test_forged_standing_order(history: History) -> None:
    """A bank's friend has a member's later claims deposited: no event, and no sum is off."""
    slot = mapping_slot(raw(history, "member1"), 2)
    claimed = history.world.timebank.credit_distributor.claimed(history.world.address("member1"))
    forge(history, "CreditDistributor", slot, claimed | 1 << 72)
    assert failed(audit(history)) == ["A9"]


@pytest.mark.parametrize("creditor", [1, 2])
def test_forged_pledge_of_claims(history: History, creditor: int) -> None:
    slot = mapping_slot(raw(history, "member1"), 2)
    claimed = history.world.timebank.credit_distributor.claimed(history.world.address("member1"))
    forge(history, "CreditDistributor", slot, claimed | creditor << 64)
    assert failed(audit(history)) == ["A9"]


@pytest.mark.parametrize("contract", ["CreditDistributor", "FeePool"])
def test_forged_room_or_payee(history: History, contract: str) -> None:
    """Whoever took the lending pool's place could pledge all claims, or empty the reserve."""
    forge(history, contract, 4 if contract == "CreditDistributor" else 3, int.from_bytes(UNKNOWN, "big"))
    report = audit(history)
    assert failed(report) == ["A4", "A9"]
    assert report.check("A4").differences[0].where == f"{contract}.lending"


def test_forged_root_that_claims_are_paid_from(history: History) -> None:
    forge(history, "CreditDistributor", 1, (1 << 224) | 3)
    report = audit(history)
    assert failed(report) == ["A9", "A32"]
    assert "another root" in report.check("A32").differences[0].meaning


def test_forged_fee_pool_account(history: History) -> None:
    books = history.connection.w3.eth.get_storage_at(history.address("FeePool"), 1)  # type: ignore[arg-type]  # checksummed
    forge(history, "FeePool", 1, int.from_bytes(books, "big") + 1)
    report = audit(history)
    assert failed(report) == ["A9", "A18"]
    assert report.check("A18").differences[0].where == "FeePool.depositors"


def test_forged_fee_rate(history: History) -> None:
    forge(history, "CreditPayments", 1, 1_000)
    report = audit(history)
    assert failed(report) == ["A9", "A19"]
    assert (report.check("A19").differences[0].expected, report.check("A19").differences[0].found) == (
        "333",
        "1000",
    )


def test_forged_link_of_a_placeholder(history: History) -> None:
    slot = mapping_slot(placeholder_address(NEWCOMER), 1)
    forge(history, "MemberRegistry", slot, int.from_bytes(UNKNOWN, "big"))
    assert failed(audit(history)) == ["A9", "A14"]


def test_forged_header_hash(history: History) -> None:
    # headerHashOf is found by its value, so that the test does not repeat the storage layout.
    oracle, epoch = history.address("RateOracle"), (2).to_bytes(32, "big")
    wanted = history.world.timebank.rate_oracle.header_hash_of(2)
    slots = [keccak(epoch + base.to_bytes(32, "big")) for base in range(16)]
    (slot,) = [
        slot
        for slot in slots
        if bytes(history.connection.w3.eth.get_storage_at(oracle, int.from_bytes(slot, "big"))) == wanted  # type: ignore[arg-type]  # checksummed
    ]
    forge(history, "RateOracle", slot, 7)
    report = audit(history)
    assert failed(report) == ["A9", "A22"]
    assert report.check("A22").differences[0].where == "RateOracle.headerHashOf(2)"


def test_forged_state_that_no_view_shows(history: History) -> None:
    """A link request nobody made: no event, no number that is off, but confirmable by anybody."""
    placeholder = placeholder_address("somebody else")
    request = int.from_bytes(raw(history, "stranger"), "big") | 1 << 160
    forge(history, "MemberRegistry", mapping_slot(placeholder, 2), request)
    assert failed(audit(history)) == ["A9"]


def test_forged_policy_registration(history: History) -> None:
    """Rules that nobody saw could be put in force: no event, and no view of a known policy is off."""
    forge(history, "PolicyRegistry", mapping_slot(b"\x07" * 32, 0), 1)
    assert failed(audit(history)) == ["A9"]


def test_forgotten_policy_registration(history: History) -> None:
    digest = history.world.timebank.rate_oracle.policy_hash()
    forge(history, "PolicyRegistry", mapping_slot(digest, 0), 0)
    report = audit(history)
    assert failed(report) == ["A9", "A48"]
    assert report.check("A48").differences[0].where == f"PolicyRegistry.isRegistered(0x{digest.hex()})"


def test_forged_signer(history: History) -> None:
    forge(history, "RateOracle", mapping_slot(raw(history, "stranger"), 8), 1)
    assert failed(audit(history)) == ["A9"]


def test_forged_role(history: History) -> None:
    """The registrar's role taken away in storage; the manager's layout is OpenZeppelin's own."""
    manager, role = history.address("AccessManager"), (3).to_bytes(32, "big")
    members = keccak(role + (1).to_bytes(32, "big"))
    slot = mapping_slot(raw(history, "registrar"), members)
    assert int.from_bytes(
        history.connection.w3.eth.get_storage_at(manager, int.from_bytes(slot, "big")), "big"
    )  # type: ignore[arg-type]  # checksummed
    forge(history, "AccessManager", slot, 0)
    report = audit(history)
    assert failed(report) == ["A19"]
    assert history.world.address("registrar") in report.check("A19").differences[0].where


def test_emptied_oracle_cannot_pay_its_bonds(history: History) -> None:
    rpc(history, "anvil_setBalance", history.address("RateOracle"), "0x0")
    assert failed(audit(history)) == ["A20"]


def test_other_code(history: History) -> None:
    code = history.connection.w3.eth.get_code(history.address("CreditPayments"))  # type: ignore[arg-type]  # checksummed
    changed = bytearray(code)
    changed[-1] ^= 1
    rpc(history, "anvil_setCode", history.address("CreditPayments"), "0x" + bytes(changed).hex())
    report = audit(history)
    assert failed(report) == ["A3"]
    assert "CreditPayments at" in report.check("A3").differences[0].where


def test_other_immutable(history: History) -> None:
    """A token whose minter is somebody else has the same code, immutables masked."""
    code = bytes(history.connection.w3.eth.get_code(history.address("AttentionCredit")))  # type: ignore[arg-type]  # checksummed
    minter = bytes.fromhex(history.address("CreditDistributor")[2:])
    assert code.count(minter) >= 1
    rpc(
        history,
        "anvil_setCode",
        history.address("AttentionCredit"),
        "0x" + code.replace(minter, raw(history, "stranger")).hex(),
    )
    report = audit(history)
    assert failed(report) == ["A3", "A4"]
    assert report.check("A4").differences[0].where == "AttentionCredit.minter"


def test_no_code_at_all_is_a_finding_not_a_crash(history: History) -> None:
    rpc(history, "anvil_setCode", history.address("FeePool"), "0x")
    report = audit(history)
    assert {"A3", "A4", "A18"} <= set(failed(report))
    assert "no code" in report.check("A3").differences[0].found
