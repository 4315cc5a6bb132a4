"""timebank lease, against a real anvil.

::

    usage ............ amounts, durations, contradictions, a file that is there: exit 2, no chain asked
    offer ............ file that checks out; approval only where it is missing, or none; dry run keeps nothing
    check ............ takable: exit 0; cancelled, expired, other series, paused, taken, not covered, not
                       signed, for somebody else: exit 3, by name; another deployment's: refused
    quote ............ a part's rent rounds up; what the lender gets; a receipt that matures after the due
                       day, and what its settlement then costs; what cannot be taken: exit 3
    open ............. on a receipt: approved and taken, in parts; on standing: the policy is shown first
        refused ...... another's receipt, too small a receipt, own offer, too much, on standing twice or too
                       much, another's standing; nothing is sent
    close ............ whole; a part only on standing; more than is owed pays what is owed; by anybody
    settle, forgive .. not before the due day; only by the lender
    list, show ....... running, overdue, repaid, settled, forgiven; repaid from a claim
    cancel, cancel-all  only one's own; leases taken before go on
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.cli.bank_stage import NOBODY, Stage, run
from tests.published import identity
from tests.world import SIGNERS
from timebank_chain.chain.lease_offers import SignedOffer, read_offer, sign_offer, write_offer
from timebank_chain.cli import lease, lease_view
from timebank_chain.valuation import policy_head_call

DAY = 86_400
SOMEBODY = SIGNERS["payee"].address


@pytest.mark.parametrize(
    "arguments",
    [
        ("offer", "0", "--rent", "1", "--term", "1d"),
        ("offer", "1.0000001", "--rent", "1", "--term", "1d"),
        ("offer", "1", "--term", "1d"),
        ("offer", "1", "--rent", "1"),
        ("offer", "1", "--rent", "much", "--term", "1d"),
        ("offer", "1", "--rent", "1", "--term", "soon"),
        ("offer", "1", "--rent", "1", "--term", "0s"),
        ("offer", "1", "--rent", "1", "--term", "9999d"),
        ("offer", "1", "--rent", "1", "--term", "10ms"),
        ("offer", "1", "--rent", "1", "--term", "1d", "--min-take", "2"),
        ("offer", "1", "--rent", "1", "--term", "1d", "--to", "0xabc"),
        ("offer", "1", "--rent", "1", "--term", "1d", "--allow", "0.5"),
        ("offer", "1", "--rent", "1", "--term", "1d", "--allow", "2", "--no-approve"),
        ("offer", "1", "--rent", "1", "--term", "1d", "-o", "no/such/folder/offer.json"),
        ("offer", "1", "--rent", "1", "--term", "1d", "-o", __file__),
        ("open", "offer.json"),
        ("open", "offer.json", "--receipt", "1", "--standing"),
        ("open", "offer.json", "--receipt", "0"),
        ("open", "offer.json", "--receipt", "1", "--member", "bob"),
        ("open", "offer.json", "--standing", "--member", "bob", "--account", SOMEBODY),
        ("open", "offer.json", "--standing"),
        ("check", "offer.json", "--for", "bob"),
        ("close", "0"),
        ("close", "1", "all"),
        ("show", "first"),
    ],
)
def test_wrong_usage_asks_no_chain(arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ETH_RPC_URL", "http://127.0.0.1:9")
    monkeypatch.delenv("TIMEBANK_EPOCHS", raising=False)
    ran = run("lease", *arguments, "--json")
    assert ran.code == 2, ran.out + ran.err
    assert ran.error["hint"] or ran.error["message"]


def test_file_that_is_no_offer(tmp_path: Path) -> None:
    (tmp_path / "offer.json").write_text('{"schema": "timebank.lease.offer/1"}')
    for name in ("offer.json", "nothing.json"):
        ran = run("lease", "check", tmp_path / name, "--json")
        assert (ran.code, ran.error["code"]) == (1, "OfferError")
        assert name in ran.error["where"]


def test_every_command_has_an_example_and_json() -> None:
    for command in lease.app.registered_commands:
        text = run("lease", command.name, "--help").out
        assert "Example: timebank lease" in text, command.name
        assert "--json" in text, command.name


def offered(stage: Stage, *more: object, role: str = "member3", name: str = "offer.json") -> Path:
    """An offer of 4 credits for 0.1 over ten days, in parts from a credit on, signed by ``role``."""
    path = stage.folder / name
    arguments = ["4", "--rent", "0.1", "--term", "10d", "--min-take", "1", "--on-standing", "-o", path]
    stage.done(role, "lease", "offer", *arguments, *more)
    return path


def deposited(stage: Stage, role: str, amount: str = "6", term: str = "demand") -> int:
    return int(stage.done(role, "deposit", "open", amount, "--term", term)["receipt_id"])


def taken(stage: Stage, role: str = "member1", amount: str = "2", **more: Any) -> tuple[int, int]:
    """A lease on a fresh receipt, and that receipt."""
    receipt = deposited(stage, role, **more)
    path = offered(stage, name=f"offer-{receipt}.json")
    return int(stage.done(role, "lease", "open", path, amount, "--receipt", receipt)["lease_id"]), receipt


def names(path: Path, *arguments: object) -> list[str]:
    """The refusals that ``check`` names; none means exit 0."""
    ran = run("lease", "check", path, *arguments, "--json")
    document = ran.document
    found = [str(one["code"]) for one in document["refusals"]]
    assert ran.code == (3 if found else 0), ran.out
    assert document["ok"] is not bool(found)
    text = run("lease", "check", path, *arguments)
    assert text.code == ran.code
    assert ("FAILED" in text.out or "cannot be taken" in text.err) == bool(found)
    return found


@pytest.mark.anvil
class TestOffer:
    def test_file_and_approval(self, stage: Stage) -> None:
        timebank, lender = stage.world.timebank, stage.world.address("member3")
        path = stage.folder / "offer.json"
        command = ["lease", "offer", "4", "--rent", "0.1", "--term", "10d", "-o", path]
        block = stage.world.connection.block_number()
        dry = stage.done("member3", *command, "--dry-run")
        assert dry["sent"] is False
        assert "signature" not in dry["offer"]
        assert [one["call"] for one in dry["transactions"]] == ["AttentionCredit.approve"]
        assert not path.exists()
        assert stage.world.connection.block_number() == block

        made = stage.done("member3", *command)
        assert made["schema"] == "timebank.lease.offer-made/1"
        assert stage.world.connection.block_number() == block + 1
        assert timebank.attention_credit.allowance(lender, timebank.credit_lease.address) == 4_000_000
        assert json.loads(path.read_text()) == made["offer"]
        signed = read_offer(path)
        assert signed.signed_by_key()
        assert made["offer_hash"] == "0x" + timebank.credit_lease.hash_offer(signed.offer).hex()
        offer = signed.offer
        assert (offer.lender, offer.amount, offer.min_take) == (lender, 4_000_000, 4_000_000)
        assert (offer.rent, offer.term, offer.on_standing) == (100_000, 10 * DAY, False)
        left = offer.expires_at - stage.world.connection.timestamp()
        assert 7 * DAY - 60 < left <= 7 * DAY + 60

        # The approval covers it already: nothing is sent for a second one of the same size.
        block = stage.world.connection.block_number()
        again = stage.done("member3", *command[:-1], stage.folder / "second.json", "--to", SOMEBODY)
        assert (again["sent"], again["transactions"]) == (False, [])
        assert stage.world.connection.block_number() == block
        second = read_offer(stage.folder / "second.json").offer
        assert (second.lessee, second.salt != offer.salt) == (SOMEBODY, True)
        assert stage.refused("member3", *command, code=2) == "UsageError"

    def test_several_offers_draw_on_one_approval(self, stage: Stage) -> None:
        timebank, lender = stage.world.timebank, stage.world.address("member3")
        first = offered(stage, "--allow", "8")
        assert timebank.attention_credit.allowance(lender, timebank.credit_lease.address) == 8_000_000
        block = stage.world.connection.block_number()
        second = offered(stage, name="second.json")
        assert stage.world.connection.block_number() == block
        for role, path in (("member1", first), ("member2", second)):
            receipt = deposited(stage, role)
            stage.done(role, "lease", "open", path, "--receipt", receipt)
        assert timebank.attention_credit.allowance(lender, timebank.credit_lease.address) == 0

    def test_without_an_approval(self, stage: Stage) -> None:
        block = stage.world.connection.block_number()
        path = offered(stage, "--no-approve")
        assert stage.world.connection.block_number() == block
        assert names(path) == ["ERC20InsufficientAllowance"]

    def test_of_more_than_there_is_warns(self, stage: Stage) -> None:
        path = stage.folder / "large.json"
        ran = run(
            *("lease", "offer", "100000", "--rent", "0", "--term", "1d", "-o", path, "--yes"),
            *("--from", stage.world.address("member1")),
        )
        assert ran.code == 0, ran.err
        assert "more cannot be taken of it at present" in ran.err
        assert names(path) == ["ERC20InsufficientBalance"]

    def test_nobody_to_ask(self, stage: Stage) -> None:
        path = stage.folder / "offer.json"
        ran = run(
            *("lease", "offer", "4", "--rent", "0.1", "--term", "10d", "--no-approve", "-o", path),
            *("--from", stage.world.address("member3")),
        )
        assert (ran.code, path.exists()) == (2, False)
        assert "--yes" in ran.err

    def test_until_a_time(self, stage: Stage) -> None:
        until = "2100-01-01T00:00:00Z"
        assert read_offer(offered(stage, "--expires", until)).offer.expires_at == 4_102_444_800
        command = ["lease", "offer", "4", "--rent", "0", "--term", "1d", "-o", stage.folder / "late.json"]
        assert stage.refused("member3", *command, "--expires", "2001-01-01T00:00:00Z", code=2)


@pytest.mark.anvil
class TestCheck:
    def test_takable(self, stage: Stage) -> None:
        path = offered(stage)
        assert names(path) == []
        assert names(path, "4") == names(path, "1.5", "--for", stage.world.address("member1")) == []
        text = run("lease", "check", path).out
        assert "up to 4.000000 credits can be taken now" in text
        assert text.count("ok") >= 8

    def test_part_that_cannot_be(self, stage: Stage) -> None:
        path = offered(stage)
        assert names(path, "0.5") == ["BadTake"]
        assert "BadTake" in names(path, "4.000001")

    def test_for_whom(self, stage: Stage) -> None:
        path = offered(stage, "--to", SOMEBODY)
        assert names(path) == names(path, "--for", SOMEBODY) == []
        assert names(path, "--for", stage.world.address("member1")) == ["NotForCaller"]
        mine = offered(stage, name="mine.json")
        assert names(mine, "--for", stage.world.address("member3")) == ["LenderIsLessee"]

    def test_cancelled_and_series(self, stage: Stage) -> None:
        path = offered(stage)
        stage.done("member3", "lease", "cancel", path)
        assert names(path) == ["OfferIsCancelled"]
        stage.done("member3", "lease", "cancel-all")
        assert names(path) == ["SeriesIsOver", "OfferIsCancelled"]

    def test_expired(self, stage: Stage) -> None:
        path = offered(stage, "--expires", "1h")
        stage.world.connection.advance_time(3_700)
        assert names(path) == ["OfferExpired"]

    def test_paused(self, stage: Stage) -> None:
        path, world = offered(stage), stage.world
        world.send("guardian", world.timebank.credit_lease.pause_leasing())
        assert names(path) == ["LeasingPaused"]

    def test_spent(self, stage: Stage) -> None:
        path, world = offered(stage), stage.world
        everything = stage.balance("member3")
        world.send("member3", world.timebank.attention_credit.transfer(SOMEBODY, everything - 999_999))
        assert names(path) == ["ERC20InsufficientBalance"]

    def test_signature_of_another(self, stage: Stage) -> None:
        path = offered(stage)
        document = json.loads(path.read_text())
        raw = bytearray.fromhex(document["signature"][2:])
        raw[10] ^= 1
        path.write_text(json.dumps(document | {"signature": "0x" + raw.hex()}))
        assert names(path) == ["BadOfferSignature"]
        receipt = deposited(stage, "member1")
        command = ["lease", "open", path, "--receipt", receipt]
        assert stage.refused("member1", *command) == "BadOfferSignature"

    def test_contract_wallet_is_asked(self, stage: Stage) -> None:
        """ERC-1271: a lender that is a contract answers for itself; any other answer, or none, is no."""
        path, wallet = offered(stage), SIGNERS["proposer"].address
        signed = read_offer(path)
        offer = replace(signed.offer, lender=wallet)
        write_offer(path, SignedOffer(offer, signed.chain_id, signed.contract, b"whatever it likes"))
        assert "BadOfferSignature" in names(path)
        magic = "1626ba7e" + "00" * 28
        for code, accepted in (
            (f"7f{magic}60005260206000f3", True),
            (f"7f{'ff' * 32}60005260206000f3", False),
            ("60006000fd", False),
            ("00", False),
        ):
            request = stage.world.connection.w3.provider.make_request
            # web3's types do not know anvil's own methods.
            assert "error" not in request("anvil_setCode", [wallet, "0x" + code])  # type: ignore[arg-type]
            assert ("BadOfferSignature" not in names(path)) is accepted, code
            assert run("lease", "check", path, "--json").document["signed"] is accepted

    def test_of_another_deployment(self, stage: Stage) -> None:
        path = offered(stage)
        signed = read_offer(path)
        for chain_id, contract in ((5, signed.contract), (signed.chain_id, SOMEBODY)):
            write_offer(path, sign_offer(signed.offer, SIGNERS["member3"], chain_id, contract))
            ran = run("lease", "check", path, "--json")
            assert (ran.code, ran.error["code"]) == (1, "OfferError")
            assert str(chain_id) in ran.error["message"] and contract in ran.error["message"]


@pytest.mark.anvil
class TestQuote:
    def test_of_a_part(self, stage: Stage) -> None:
        path = offered(stage)
        whole, part = stage.told("lease", "quote", path), stage.told("lease", "quote", path, "1.000001")
        assert (whole["amount_micro"], whole["rent_micro"], whole["fee_micro"]) == (4_000_000, 100_000, 2_000)
        # 100,000 * 1,000,001 / 4,000,000 rounds up, two percent of it too.
        assert (part["rent_micro"], part["fee_micro"]) == (25_001, 501)
        assert part["owed_micro"] == part["to_lender_micro"] + part["fee_micro"] == 1_025_002
        assert part["takable"] is True
        # A fortieth in ten days is 91.25 percent a year.
        assert whole["yearly_rent_bps"] == 9_125
        small = run("lease", "quote", path, "0.1", "--json")
        assert (small.code, small.document["takable"]) == (3, False)
        assert small.document["refusal"]["code"] == "BadTake"
        told = run("lease", "quote", path, "0.1")
        assert (told.code, "it cannot be taken" in told.err) == (3, True)
        receipt = deposited(stage, "member1", amount="1")
        small = run("lease", "quote", path, "1", "--receipt", receipt, "--json")
        assert (small.code, small.document["refusal"]["code"]) == (3, "ReceiptTooSmall")
        text = run("lease", "quote", path)
        assert "91.25 % a year" in text.out

    def test_receipt_that_matures_after_the_due_day(self, stage: Stage) -> None:
        path = offered(stage)
        month = deposited(stage, "member1", term="month")
        quoted = stage.told("lease", "quote", path, "2", "--receipt", month)
        matures_at = stage.world.timebank.time_bank.position(month).matures_at
        # Two percent of six credits, which is what its term costs.
        assert (quoted["matures_after_due_at"], quoted["settlement_penalty_micro"]) == (matures_at, 120_000)
        assert "0.120000 credits of penalty" in run("lease", "quote", path, "2", "--receipt", month).err
        for term in ("demand", "week"):
            soon = deposited(stage, "member1", amount="2", term=term)
            quoted = stage.told("lease", "quote", path, "1", "--receipt", soon)
            assert (quoted["matures_after_due_at"], quoted["settlement_penalty_micro"]) == (None, None)
        opened = run(
            *("lease", "open", path, "2", "--receipt", month),
            *("--from", stage.world.address("member1"), "--yes", "--json"),
        )
        assert opened.code == 0, opened.err
        assert opened.document["settlement_penalty_micro"] == 120_000
        assert "after the due day" in opened.err
        worth = stage.world.timebank.time_bank.exit_value(month)
        stage.world.connection.advance_time(10 * DAY + 1)
        settled = stage.done("stranger", "lease", "settle", opened.document["lease_id"])
        assert settled["proceeds_micro"] == worth == 6_000_000 - 120_000


@pytest.mark.anvil
class TestOpen:
    def test_the_due_day_told_is_the_one_on_chain(self, stage: Stage) -> None:
        """The approval's block comes first: the due day is what the event says, not what was foreseen."""
        path, receipt = offered(stage), deposited(stage, "member1")
        request = stage.world.connection.w3.provider.make_request
        assert "error" not in request("anvil_setBlockTimestampInterval", [1_000])  # type: ignore[arg-type]  # anvil's own
        arguments = ("lease", "open", path, "2", "--receipt", receipt, "--yes")
        ran = run(*arguments, "--from", stage.world.address("member1"))
        assert "error" not in request("anvil_removeBlockTimestampInterval", [])  # type: ignore[arg-type]  # as above
        assert ran.code == 0, ran.err
        due_at = stage.told("lease", "show", "1")["due_at"]
        assert f"repay it until {lease_view.moment(due_at)}:" in ran.out

    def test_on_a_receipt_in_parts(self, stage: Stage) -> None:
        timebank, member = stage.world.timebank, stage.world.address("member1")
        path, receipt, second = offered(stage), deposited(stage, "member1"), deposited(stage, "member1")
        before, block = stage.balance("member1"), stage.world.connection.block_number()
        command = ["lease", "open", path, "1.5", "--receipt", receipt]
        dry = stage.done("member1", *command, "--dry-run")
        assert [one["call"] for one in dry["transactions"]] == ["TimeBank.approve", "CreditLease.take"]
        assert stage.world.connection.block_number() == block
        opened = stage.done("member1", *command)
        assert stage.world.connection.block_number() == block + 2
        held = timebank.credit_lease.lease_of(opened["lease_id"])
        assert held is not None
        assert (held.principal, held.rent, held.due_at) == (1_500_000, 37_500, opened["due_at"])
        assert opened["due_at"] == stage.world.connection.timestamp() + 10 * DAY
        assert timebank.time_bank.owner_of(receipt) == timebank.credit_lease.address
        assert stage.balance("member1") == before + 1_500_000
        # All that is left is the default.
        rest = stage.done("member1", "lease", "open", path, "--receipt", second)
        assert (rest["amount_micro"], rest["rent_micro"]) == (2_500_000, 62_500)
        assert names(path) == ["BadTake"]
        listed = stage.told("lease", "list", member)
        assert [one["lease_id"] for one in listed["rented"]] == [opened["lease_id"], rest["lease_id"]]

    def test_refusals_send_nothing(self, stage: Stage) -> None:
        path, receipt = offered(stage), deposited(stage, "member1", amount="1.5")
        command = ["lease", "open", path]
        assert stage.refused("member1", *command, "--receipt", receipt) == "ReceiptTooSmall"
        assert stage.refused("member2", *command, "1", "--receipt", receipt) == "NotReceiptOwner"
        assert stage.refused("member1", *command, "1", "--receipt", 99) == "ERC721NonexistentToken"
        assert stage.refused("member1", *command, "5", "--receipt", receipt) == "BadTake"
        own = deposited(stage, "member3")
        assert stage.refused("member3", *command, "1", "--receipt", own) == "LenderIsLessee"
        strict = stage.folder / "strict.json"
        stage.done("member3", "lease", "offer", "1", "--rent", "0", "--term", "1d", "-o", strict)
        assert stage.refused("member1", "lease", "open", strict, "--standing") == "StandingNotAccepted"

    def test_on_standing(self, stage: Stage) -> None:
        timebank, member = stage.world.timebank, stage.world.address("member1")
        path, block = offered(stage), stage.world.connection.block_number()
        command = ["lease", "open", path, "1", "--standing"]
        opened = stage.done("member1", *command)
        assert [one["call"] for one in opened["transactions"]] == [
            "CreditLending.acceptPolicy",
            "CreditLease.takeOnStanding",
        ]
        assert stage.world.connection.block_number() == block + 2
        assert (opened["receipt_id"], opened["account"], opened["owed_micro"]) == (None, member, 1_025_000)
        assert timebank.credit_lease.standing_lease_of(member) == opened["lease_id"]
        assert timebank.credit_distributor.creditor_of(member) == timebank.credit_lease.address
        assert stage.refused("member1", *command) == "StandingLeaseRuns"
        second = stage.done("member2", *command)
        assert [one["call"] for one in second["transactions"]] == ["CreditLease.takeOnStanding"]

    def test_refused_on_standing(self, stage: Stage) -> None:
        path = offered(stage)
        command = ["lease", "open", path, "1", "--standing"]
        assert stage.refused("member1", *command, "--member", NOBODY) == "NotAccountHolder"
        other = ["--account", stage.world.address("member2")]
        assert stage.refused("member1", *command, *other) == "NotAccountHolder"
        assert stage.refused("stranger", *command) == "EpochError"
        large = stage.folder / "large.json"
        stage.done(
            *("member3", "lease", "offer", "30", "--rent", "0", "--term", "1d", "--on-standing"),
            *("-o", large),
        )
        assert stage.refused("member1", "lease", "open", large, "--standing") == "StandingTooLow"
        world = stage.world
        world.send("stranger", world.timebank.credit_lending.accept_policy(policy_head_call(identity())))
        supply = ["loan", "supply", "10"]
        stage.done("member2", *supply)
        stage.world.connection.advance_time(DAY)  # then all of it counts for loans on standing
        stage.done("member1", "loan", "open", "1", "--standing")
        assert stage.refused("member1", *command) == "ClaimsPledged"


@pytest.mark.anvil
class TestClose:
    def test_whole_gives_the_receipt_back(self, stage: Stage) -> None:
        lease_id, receipt = taken(stage)
        timebank, before, lender = stage.world.timebank, stage.balance("member1"), stage.balance("member3")
        assert stage.refused("member1", "lease", "close", lease_id, "1") == "PartialRepayment"
        closed = stage.done("member1", "lease", "close", lease_id)
        assert [one["call"] for one in closed["transactions"]] == [
            "AttentionCredit.approve",
            "CreditLease.repay",
        ]
        assert (closed["paid_micro"], closed["owed_micro"], closed["over"]) == (2_050_000, 0, True)
        assert stage.balance("member1") == before - 2_050_000
        # Two percent of the rent went to the fee pool.
        assert stage.balance("member3") == lender + 2_049_000
        assert timebank.time_bank.owner_of(receipt) == stage.world.address("member1")
        assert stage.refused("member1", "lease", "close", lease_id) == "NoSuchLease"

    def test_in_parts_on_standing_by_anybody(self, stage: Stage) -> None:
        path = offered(stage)
        lease_id = stage.done("member1", "lease", "open", path, "1", "--standing")["lease_id"]
        part = stage.done("member2", "lease", "close", lease_id, "0.4")
        assert (part["paid_micro"], part["owed_micro"], part["over"]) == (400_000, 625_000, False)
        rest = stage.done("member2", "lease", "close", lease_id, "100")
        assert (rest["paid_micro"], rest["over"]) == (625_000, True)
        distributor = stage.world.timebank.credit_distributor
        assert distributor.creditor_of(stage.world.address("member1")) is None

    def test_of_a_poor_wallet_approves_nothing(self, stage: Stage) -> None:
        lease_id, _ = taken(stage)
        assert stage.refused("payee", "lease", "close", lease_id) == "ERC20InsufficientBalance"


@pytest.mark.anvil
class TestEnds:
    def test_settled_after_the_due_day(self, stage: Stage) -> None:
        lease_id, receipt = taken(stage)
        assert stage.refused("stranger", "lease", "settle", lease_id) == "NotDue"
        stage.world.connection.advance_time(10 * DAY + 1)
        assert stage.told("lease", "show", lease_id)["state"] == "overdue"
        assert "OVERDUE" in run("lease", "list", stage.world.address("member1")).out
        before = stage.balance("member1")
        settled = stage.done("stranger", "lease", "settle", lease_id)
        assert (settled["to_lender_micro"], settled["fee_micro"]) == (2_049_000, 1_000)
        assert settled["proceeds_micro"] - 2_050_000 == settled["returned_micro"] >= 3_950_000
        assert stage.balance("member1") == before + settled["returned_micro"]
        shown = stage.told("lease", "show", lease_id)
        assert (shown["state"], shown["owed_micro"], shown["receipt_id"]) == ("settled", 0, receipt)
        assert [one["kind"] for one in shown["steps"]] == ["taken", "settled"]

    def test_forgiven_by_its_lender(self, stage: Stage) -> None:
        lease_id, receipt = taken(stage)
        assert stage.refused("member1", "lease", "forgive", lease_id) == "NotLender"
        given = stage.done("member3", "lease", "forgive", lease_id)
        assert (given["forgiven_micro"], given["lessee"]) == (2_050_000, stage.world.address("member1"))
        assert stage.told("lease", "show", lease_id)["state"] == "forgiven"
        bank = stage.world.timebank.time_bank
        assert bank.owner_of(receipt) == stage.world.address("member1")

    def test_repaid_from_a_claim_once_overdue(self, stage: Stage) -> None:
        path = offered(stage)
        lease_id = stage.done("member1", "lease", "open", path, "1", "--standing")["lease_id"]
        stage.world.connection.advance_time(10 * DAY + 1)
        stage.next_epoch()
        stage.done("member1", "wallet", "claim")
        shown = stage.told("lease", "show", lease_id)
        assert shown["state"] == "repaid"
        assert [(one["kind"], one["amount_micro"], one["fee_micro"]) for one in shown["steps"]] == [
            ("taken", 1_000_000, 0),
            ("repaid from claim", 1_025_000, 500),
        ]
        text = run("lease", "show", lease_id)
        assert "repaid from claim" in text.out

    def test_lists_of_both_sides(self, stage: Stage) -> None:
        lease_id, receipt = taken(stage)
        lender, lessee = stage.world.address("member3"), stage.world.address("member1")
        lent, rented = stage.told("lease", "list", lender), stage.told("lease", "list", lessee)
        assert (lent["rented"], rented["lent"]) == ([], [])
        assert lent["lent"] == rented["rented"]
        assert lent["lent"][0] | {"due_at": 0, "offer_hash": ""} == {
            "lease_id": lease_id,
            "offer_hash": "",
            "lender": lender,
            "lessee": lessee,
            "principal_micro": 2_000_000,
            "rent_micro": 50_000,
            "repaid_micro": 0,
            "owed_micro": 2_050_000,
            "to_lender_micro": 2_049_000,
            "due_at": 0,
            "overdue": False,
            "receipt_id": receipt,
            "account": None,
        }
        assert "lent to" in run("lease", "list", lender).out
        assert "has no lease" in run("lease", "list", SOMEBODY).err
        assert run("lease", "show", "99", "--json").error["code"] == "NoSuchLease"


@pytest.mark.anvil
class TestCancel:
    def test_only_ones_own_and_leases_go_on(self, stage: Stage) -> None:
        path, receipt = offered(stage), deposited(stage, "member1")
        lease_id = stage.done("member1", "lease", "open", path, "1", "--receipt", receipt)["lease_id"]
        assert stage.refused("member1", "lease", "cancel", path) == "NotOfferLender"
        dry = stage.done("member3", "lease", "cancel", path, "--dry-run")
        assert (dry["sent"], names(path)) == (False, [])
        stage.done("member3", "lease", "cancel", path)
        assert names(path) == ["OfferIsCancelled"]
        second = deposited(stage, "member2")
        assert stage.refused("member2", "lease", "open", path, "--receipt", second) == "OfferIsCancelled"
        assert stage.told("lease", "show", lease_id)["state"] == "running"

    def test_all_of_a_series(self, stage: Stage) -> None:
        first, second = offered(stage), offered(stage, name="second.json")
        ended = stage.done("member3", "lease", "cancel-all")
        assert (ended["ended_series"], ended["series"]) == (0, 1)
        assert names(first) == names(second) == ["SeriesIsOver"]
        assert names(offered(stage, name="third.json")) == []
