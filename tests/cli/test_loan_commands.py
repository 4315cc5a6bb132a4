"""timebank loan and the bank's governance, against a real anvil.

::

    pool ............. empty, lent out: rates, utilisation, cap, JSON and text
    supply ........... approved first, for exactly the amount; a dry run shows both; by allowance
    withdraw ......... a part, all; what is lent out stays; more than that refused; nothing supplied
    quote ............ what comes true; what would be refused is said, exit 3: another's receipt, a leased one
    open --receipt ... approve, pledge and borrow; more on the same pledge; approved already
        refused ...... before an approval is sent: too much, too little, no cash, paused, another's receipt
    repay, close ..... a part; whole with a minute's interest; receipt back; another's debt; too little money;
                       more than is owed; a repaid receipt is still pledged
    liquidate ........ refused while covered; the incentive, the rest to the borrower
    open --standing .. the policy is shown first, once; claims pledged; overdue: refused, claims repay it
        refused ...... too much for standing, for the cap; nothing earned; another's placeholder; another than
                       the loan's account; claims that secure a lease
    write-off ........ refused before its time; reserve and suppliers lose; a later repayment brings it back
    bad loans ........ uncovered, failed: in `pool` with the command, no yield; supplying refused, exit 3;
                       `list` and `outlook` warn borrower and supplier; once closed all is well
    accept-policy .... from the epochs' folder; another policy refused
    fees ............. interest's fee and strays reach the fee pool
    chain bank ....... add, close and open a term, fees, release time, risk; a stranger; impossible values and
                       terms that are not there or as wanted already: nothing is scheduled
    chain pause ...... borrowing, leasing, proposals by default
    usage ............ contradicting or missing options: exit 2, no chain asked
"""

from __future__ import annotations

import json

import pytest

from tests.cli.bank_stage import NOBODY, Stage, run
from timebank_chain.chain.bank_plan import BankPlan
from timebank_chain.chain.claiming import prove_account
from timebank_chain.chain.credit_lease import LeaseOffer
from timebank_chain.chain.loans import WAD, yearly_ppm
from timebank_chain.cli import chain_bank, loan, loan_pool
from timebank_chain.cli.wallet_link import placeholder_of
from timebank_chain.units import MicroCredit

DAY, WEEK = 86_400, 7 * 86_400


@pytest.mark.parametrize(
    "arguments",
    [
        ("loan", "open", "1"),
        ("loan", "open", "1", "--receipt", "1", "--standing"),
        ("loan", "open", "0", "--receipt", "1"),
        ("loan", "open", "1", "--receipt", "1", "--member", "bob"),
        ("loan", "quote", "1"),
        ("loan", "quote", "1", "--receipt", "1", "--for", "soon"),
        ("loan", "close"),
        ("loan", "close", "1", "--standing"),
        ("loan", "close", "1", "--amount", "-1"),
        ("loan", "repay"),
        ("loan", "repay", "1", "--borrower", "0x" + "11" * 20),
        ("loan", "repay", "--standing", "--borrower", "nobody"),
        ("loan", "withdraw"),
        ("loan", "withdraw", "1", "--all"),
        ("loan", "supply", "1.0000001"),
        ("loan", "write-off", "nobody"),
        ("loan", "liquidate", "0"),
        ("loan", "list", "nobody"),
        ("chain", "bank", "set-fee", "everything", "1"),
        ("chain", "bank", "set-fee", "income", "70000"),
        ("chain", "bank", "set-fee", "payments", "1001"),
        ("chain", "bank", "set-fee", "income", "2001"),
        ("chain", "bank", "set-fee", "rent", "2001"),
        ("chain", "bank", "set-release", "0s"),
        ("chain", "bank", "set-release", "300d"),
        ("chain", "bank", "set-release", "7776001s"),
        ("chain", "bank", "add-term", "--duration", "long", "--multiplier", "1000"),
        ("chain", "bank", "set-split", "4000/4000/2001"),
        ("chain", "bank", "set-split", "all"),
        ("chain", "pause", "--what", "everything"),
        ("chain", "resume", "--what", "everything"),
    ],
)
def test_wrong_usage_asks_no_chain(arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ETH_RPC_URL", "http://127.0.0.1:9")
    ran = run(*arguments, "--json")
    assert ran.code == 2, ran.out + ran.err
    assert ran.error["hint"] or ran.error["message"]


def test_standing_needs_published_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIMEBANK_EPOCHS", raising=False)
    for command in (("open", "1", "--standing"), ("quote", "1", "--standing"), ("accept-policy",)):
        ran = run("loan", *command, "--json")
        assert (ran.code, "--epochs" in ran.error["hint"]) == (2, True)


def test_every_command_has_an_example_and_json() -> None:
    for words, app in (
        (["loan"], loan.app),
        (["loan"], loan_pool.app),
        (["chain", "bank"], chain_bank.app),
    ):
        for command in app.registered_commands:
            text = run(*words, command.name, "--help").out
            assert f"Example: timebank {' '.join(words)}" in text, command.name
            assert "--json" in text, command.name


def lent(stage: Stage, *, supply: str = "20", deposit: str = "10", term: str = "week") -> int:
    """Let member2 supply the pool and member1 deposit; return the receipt."""
    stage.done("member2", "loan", "supply", supply)
    opened = stage.done("member1", "deposit", "open", deposit, "--term", term)
    return int(opened["receipt_id"])


def set_risk(stage: Stage, **changes: int) -> None:
    """Change the pool's settings by governance."""
    document = BankPlan().to_json()
    document["risk"] |= changes
    path = stage.folder / "bank.json"
    path.write_text(json.dumps(document))
    stage.govern("chain", "bank", "set-risk", path)


@pytest.mark.anvil
class TestSupply:
    def test_is_approved_first_for_exactly_the_amount(self, stage: Stage) -> None:
        world, block = stage.world, stage.world.connection.block_number()
        lending, credit = world.timebank.credit_lending, world.timebank.attention_credit
        dry = stage.done("member2", "loan", "supply", "20", "--dry-run")
        assert [one["call"] for one in dry["transactions"]] == [
            "AttentionCredit.approve",
            "CreditLending.deposit",
        ]
        assert dry["sent"] is False
        first, second = dry["transactions"]
        assert first["arguments"] == {"spender": lending.address, "amount": 20_000_000}
        assert (first["gas"] > 0, second["gas"], second["nonce"]) == (True, None, first["nonce"] + 1)
        text = run("loan", "supply", "20", "--from", world.address("member2"), "--dry-run")
        assert text.code == 0, text.err
        assert "known when the ones before it are mined" in text.out
        assert "nothing was sent" in text.err
        assert world.connection.block_number() == block

        done = stage.done("member2", "loan", "supply", "20")
        assert world.connection.block_number() == block + 2
        assert all(one["transaction"] for one in done["transactions"])
        assert lending.balance_of(world.address("member2")) == done["shares"] > 0
        assert credit.allowance(world.address("member2"), lending.address) == 0
        world.send("member3", credit.approve(lending.address, 5_000_000))
        assert len(stage.done("member3", "loan", "supply", "5")["transactions"]) == 1

    def test_nothing_is_approved_without_the_money(self, stage: Stage) -> None:
        assert stage.refused("member2", "loan", "supply", "100000") == "ERC20InsufficientBalance"

    def test_withdraw_a_part_and_all(self, stage: Stage) -> None:
        stage.done("member2", "loan", "supply", "20")
        before = stage.balance("member2")
        assert stage.done("member2", "loan", "withdraw", "5")["amount_micro"] == 5_000_000
        payee = stage.world.address("payee")
        rest = stage.done("member2", "loan", "withdraw", "--all", "--to", payee)
        assert (stage.balance("member2"), stage.balance("payee")) == (before + 5_000_000, 15_000_000)
        assert rest["amount_micro"] == 15_000_000
        assert stage.world.timebank.credit_lending.balance_of(stage.world.address("member2")) == 0
        assert stage.refused("member2", "loan", "withdraw", "--all") == "ChainError"
        assert stage.refused("member2", "loan", "withdraw", "1") == "ERC4626ExceededMaxWithdraw"

    def test_what_is_lent_out_stays(self, stage: Stage) -> None:
        receipt = lent(stage, supply="10", deposit="20")
        stage.done("member1", "loan", "open", "10", "--receipt", receipt)
        assert stage.refused("member2", "loan", "withdraw", "--all") == "NotEnoughCash"
        stage.done("member1", "loan", "repay", receipt, "--amount", "4")
        ran = run("loan", "withdraw", "--all", "--from", stage.world.address("member2"), "--yes", "--json")
        assert ran.code == 0, ran.err
        assert ran.document["amount_micro"] == pytest.approx(4_000_000, abs=1)
        assert "lent out at present" in ran.err


@pytest.mark.anvil
class TestPool:
    def test_empty_and_lent_out(self, stage: Stage) -> None:
        empty = stage.told("loan", "pool")
        assert empty["schema"] == "timebank.loan.pool/1"
        assert (empty["total_assets_micro"], empty["utilisation_wad"], empty["paused"]) == (0, 0, False)
        receipt = lent(stage)
        stage.done("member1", "loan", "open", "5", "--receipt", receipt)
        pool = stage.told("loan", "pool")
        lending = stage.world.timebank.credit_lending
        assert (pool["cash_micro"], pool["debt_micro"]) == (15_000_000, 5_000_000)
        assert pool["utilisation_wad"] == WAD // 4
        assert pool["borrow_rate_wad"] == lending.borrow_rate(block=pool["block"])
        assert pool["borrow_year_ppm"] == yearly_ppm(pool["borrow_rate_wad"])
        assert 0 < pool["supply_year_ppm"] < pool["borrow_year_ppm"] // 4
        # Supply counts for loans on standing as it stays: a few seconds' of it so far, all of it in a day.
        assert pool["unsecured_cap_micro"] < 20_000_000 // 5 // 100
        stage.world.connection.advance_time(DAY)
        later = stage.told("loan", "pool")
        assert later["unsecured_cap_micro"] == later["total_assets_micro"] // 5 >= 20_000_000 // 5
        text = run("loan", "pool")
        assert text.code == 0, text.err
        assert "25.00 %" in text.out


@pytest.mark.anvil
class TestOnReceipt:
    def test_quote_open_more_part_close(self, stage: Stage) -> None:
        receipt, world = lent(stage), stage.world
        lending, bank = world.timebank.credit_lending, world.timebank.time_bank
        member = world.address("member1")
        quoted = stage.told("loan", "quote", "5", "--receipt", receipt)
        assert (quoted["refused"], quoted["due_at"], quoted["account"]) == (None, None, None)
        assert quoted["limit_micro"] == 9_900_000 * 9 // 10
        assert quoted["threshold_micro"] == 9_900_000 * 95 // 100
        assert quoted["year_ppm"] < quoted["year_after_ppm"]
        assert 0 < quoted["interest_micro"] < 50_000
        refused = run("loan", "quote", "15", "--receipt", receipt)
        assert (refused.code, "refuse" in refused.out, "carries" in refused.err) == (3, True, True)

        dry = stage.done("member1", "loan", "open", "5", "--receipt", receipt, "--dry-run")
        assert [one["call"] for one in dry["transactions"]] == [
            "TimeBank.approve",
            "CreditLending.pledgeAndBorrow",
        ]
        before = stage.balance("member1")
        opened = stage.done("member1", "loan", "open", "5", "--receipt", receipt)
        assert opened["debt_micro"] == quoted["debt_micro"]
        assert (stage.balance("member1"), bank.owner_of(receipt)) == (before + 5_000_000, lending.address)
        assert lending.debt_of(receipt) == pytest.approx(quoted["debt_micro"], abs=1)

        more = stage.done("member1", "loan", "open", "1", "--receipt", receipt)
        assert [one["call"] for one in more["transactions"]] == ["CreditLending.borrow"]
        listed = stage.told("loan", "list", member)
        only = listed["loans"][0]
        assert (only["receipt_id"], only["liquidatable"]) == (receipt, False)
        assert only["health_bps"] == only["threshold_micro"] * 10_000 // only["debt_micro"] > 15_000
        assert stage.told("deposit", "list", member)["deposits"][0]["creditor"] == "lending"
        assert "the lending pool" in run("deposit", "show", receipt).out
        assert run("loan", "list", member).code == 0
        assert stage.refused("member1", "deposit", "close", receipt, "--early") == "NotReceiptHolder"

        stage.done("member1", "loan", "close", receipt, "--amount", "2")
        assert lending.debt_of(receipt) == pytest.approx(4_000_000, abs=5)
        world.connection.advance_time(WEEK)
        owed = lending.debt_of(receipt)
        assert owed > 4_000_000
        before = stage.balance("member1")
        closed = stage.done("member1", "loan", "close", receipt)
        assert [one["call"] for one in closed["transactions"]] == [
            "AttentionCredit.approve",
            "CreditLending.repay",
            "CreditLending.release",
        ]
        assert closed["released"] is True
        assert before - stage.balance("member1") == closed["paid_micro"] == pytest.approx(owed, abs=5)
        assert closed["paid_micro"] < closed["approved_micro"] < owed * 1.001
        assert bank.owner_of(receipt) == member
        assert stage.told("loan", "list", member)["loans"] == []
        assert stage.refused("member1", "loan", "close", receipt) == "NotBorrower"
        assert stage.refused("member1", "loan", "close", 999) == "ERC721NonexistentToken"

    def test_refused_before_anything_is_approved(self, stage: Stage) -> None:
        receipt = lent(stage, supply="8")
        command = ["loan", "open"]
        assert stage.refused("member1", *command, "8.5", "--receipt", receipt) == "NotEnoughCash"
        assert stage.refused("member1", *command, "0.005", "--receipt", receipt) == "LoanTooSmall"
        assert stage.refused("member3", *command, "1", "--receipt", receipt) == "NotReceiptHolder"
        assert stage.refused("member1", *command, "1", "--receipt", 99) == "ERC721NonexistentToken"
        stage.done("member3", "loan", "supply", "10")
        assert stage.refused("member1", *command, "8.92", "--receipt", receipt) == "PledgeTooSmall"
        stage.done("guardian", "chain", "pause", "--what", "borrowing")
        assert stage.told("loan", "pool")["paused"] is True
        assert stage.refused("member1", *command, "1", "--receipt", receipt) == "BorrowingPaused"
        refused = run("loan", "quote", "1", "--receipt", receipt, "--json")
        assert (refused.code, refused.document["refused"]["code"]) == (3, "BorrowingPaused")
        stage.govern("chain", "resume", "--what", "borrowing")
        stage.done("member1", *command, "1", "--receipt", receipt, "--to", stage.world.address("payee"))
        assert stage.balance("payee") == 1_000_000

    def test_quote_knows_whose_receipt_it_is(self, stage: Stage) -> None:
        receipt, world = lent(stage), stage.world
        quote = ("loan", "quote", "1", "--receipt", receipt)
        own, other = (("--from", world.address(role)) for role in ("member1", "member3"))

        def code(*asking: str) -> str:
            ran = run(*quote, *asking, "--json")
            assert ran.code == 3, ran.out + ran.err
            return str(ran.document["refused"]["code"])

        assert stage.told(*quote, *own)["refused"] is None
        assert code(*other) == "NotReceiptHolder"
        stage.done("member1", "loan", "open", "1", "--receipt", receipt)
        assert stage.told(*quote)["refused"] is stage.told(*quote, *own)["refused"] is None
        assert code(*other) == "NotReceiptHolder"

        rented = stage.done("member1", "deposit", "open", "5", "--term", "week")["receipt_id"]
        offer = stage.folder / "offer.json"
        stage.done("member3", "lease", "offer", "2", "--rent", "0.1", "--term", "9d", "-o", offer)
        stage.done("member1", "lease", "open", offer, "--receipt", rented)
        quote = ("loan", "quote", "1", "--receipt", rented)
        assert code() == "ERC721InsufficientApproval"
        assert "custody of the CreditLease" in run(*quote).err
        assert code(*own) == "NotReceiptHolder"

    def test_anybody_repays_and_the_borrower_releases(self, stage: Stage) -> None:
        receipt = lent(stage)
        stage.done("member1", "loan", "open", "5", "--receipt", receipt)
        assert stage.refused("payee", "loan", "repay", receipt) == "ERC20InsufficientBalance"
        repaid = stage.done("member3", "loan", "repay", receipt)
        assert (repaid["released"], repaid["pledged"], len(repaid["transactions"])) == (False, True, 2)
        assert stage.refused("member3", "loan", "repay", receipt) == "NoDebt"
        assert stage.refused("member3", "loan", "close", receipt) == "NotBorrower"
        closed = stage.done("member1", "loan", "close", receipt)
        assert [one["call"] for one in closed["transactions"]] == ["CreditLending.release"]

    def test_repaying_more_than_is_owed_takes_what_is(self, stage: Stage) -> None:
        receipt = lent(stage)
        stage.done("member1", "loan", "open", "5", "--receipt", receipt)
        before = stage.balance("member3")
        signed = ("--from", stage.world.address("member3"), "--yes")
        ran = run("loan", "repay", receipt, "--amount", "9", *signed)
        assert ran.code == 0, ran.err
        assert before - stage.balance("member3") == pytest.approx(5_000_000, abs=5)
        words = " ".join(ran.err.split())
        assert "credits are owed: less than --amount 9.000000 is taken" in words
        assert f"receipt {receipt} is still pledged" in words
        assert f"timebank loan close {receipt}" in words

    def test_liquidation(self, stage: Stage) -> None:
        receipt = lent(stage)
        stage.done("member1", "loan", "open", "8", "--receipt", receipt)
        assert stage.refused("member3", "loan", "liquidate", receipt) == "PledgeCovers"
        set_risk(stage, max_ltv_bps=5_000, liquidation_ltv_bps=6_000)
        listed = stage.told("loan", "list", stage.world.address("member1"))["loans"][0]
        assert listed["liquidatable"] is True
        assert "can be liquidated" in run("loan", "list", stage.world.address("member1")).out
        before, borrower = stage.balance("member3"), stage.balance("member1")
        done = stage.done("member3", "loan", "liquidate", receipt)
        assert done["proceeds_micro"] == 9_900_000
        assert stage.balance("member3") == before + done["incentive_micro"] == before + 198_000
        assert stage.balance("member1") == borrower + done["returned_micro"]
        parts = (done["incentive_micro"], done["repaid_micro"], done["returned_micro"])
        assert sum(parts) == done["proceeds_micro"]
        assert stage.told("loan", "list", stage.world.address("member1"))["loans"] == []
        assert stage.refused("member3", "loan", "liquidate", receipt) == "NoDebt"


def supplied(stage: Stage) -> None:
    """Supply, and wait until all of it counts for loans on standing."""
    stage.done("member2", "loan", "supply", "20")
    stage.world.connection.advance_time(DAY)


@pytest.mark.anvil
class TestOnStanding:
    def test_the_policy_is_shown_first_and_claims_are_pledged(self, stage: Stage) -> None:
        supplied(stage)
        world, member = stage.world, stage.world.address("member1")
        lending = world.timebank.credit_lending
        quoted = stage.told("loan", "quote", "2", "--standing", "--from", member)
        assert (quoted["refused"], quoted["account"]) == (None, member)
        assert lending.accepted_policy()[0] == bytes(32), "a quote sends nothing"
        opened = stage.done("member1", "loan", "open", "2", "--standing")
        assert [one["call"] for one in opened["transactions"]] == [
            "CreditLending.acceptPolicy",
            "CreditLending.borrowOnStanding",
        ]
        assert opened["limit_micro"] == pytest.approx(quoted["limit_micro"], rel=1e-3)
        loan_now = lending.standing_loan(member)
        assert opened["due_at"] == loan_now.due_at == world.connection.timestamp() + 30 * DAY
        assert stage.told("deposit", "order", "show", member)["creditor"] == lending.address
        more = stage.done("member1", "loan", "open", "1", "--standing")
        assert [one["call"] for one in more["transactions"]] == ["CreditLending.borrowOnStanding"]
        listed = stage.told("loan", "list", member)["standing_loan"]
        assert (listed["overdue"], listed["due_from_claims_micro"]) == (False, 0)
        assert listed["debt_micro"] == pytest.approx(3_000_000, abs=5)

        part = stage.done("member3", "loan", "repay", "--standing", "--borrower", member, "--amount", "1")
        assert (part["borrower"], part["paid_micro"]) == (member, 1_000_000)
        closed = stage.done("member1", "loan", "close", "--standing")
        assert closed["released"] is False
        assert lending.standing_loan(member).due_at == 0
        assert stage.told("deposit", "order", "show", member)["creditor"] is None
        assert stage.refused("member1", "loan", "close", "--standing") == "NoDebt"

    def test_refusals(self, stage: Stage) -> None:
        supplied(stage)
        command = ["loan", "open"]
        limit = stage.told("loan", "quote", "1", "--standing", "--from", stage.world.address("member1"))
        assert stage.refused("member1", *command, "15", "--standing") == "StandingTooLow"
        assert 4_000_000 < limit["limit_micro"] < 15_000_000
        assert stage.refused("member1", *command, "5", "--standing") == "UnsecuredCapReached"
        assert stage.refused("stranger", *command, "1", "--standing") == "EpochError"
        assert stage.refused("member1", *command, "1", "--standing", "--member", NOBODY) == "NotAccountHolder"
        wrong = [*command, "1", "--standing", "--policy", "git"]
        assert stage.refused("member1", *wrong) == "NotPolicyInForce"

    def test_of_a_placeholder_by_its_wallet(self, stage: Stage) -> None:
        supplied(stage)
        wallet = stage.world.address("member3")
        stage.done("registrar", "wallet", "link", "request", NOBODY, wallet)
        stage.world.connection.advance_time(7_201)
        stage.done("stranger", "wallet", "link", "confirm", NOBODY)
        before = stage.balance("member3")
        opened = stage.done("member3", "loan", "open", "1", "--standing", "--member", NOBODY)
        assert (opened["account"], stage.balance("member3")) == (placeholder_of(NOBODY), before + 1_000_000)
        assert stage.told("deposit", "order", "show", "--member", NOBODY)["creditor"] is not None
        # One loan, one account: the wallet's own standing cannot add to it.
        assert stage.refused("member3", "loan", "open", "1", "--standing") == "OtherAccount"

    def test_claims_secure_one_creditor_at_a_time(self, stage: Stage) -> None:
        supplied(stage)
        stage.done("stranger", "loan", "accept-policy")
        world, timebank = stage.world, stage.world.timebank
        lender, lessee = world.address("member3"), world.address("member1")
        contract = timebank.credit_lease
        offer = LeaseOffer(
            lender=lender,
            lessee=lessee,
            amount=MicroCredit(2_000_000),
            min_take=MicroCredit(1),
            rent=MicroCredit(10_000),
            term=DAY,
            on_standing=True,
            expires_at=world.connection.pending_timestamp() + DAY,
            series=contract.series_of(lender),
            salt=1,
        )
        signature = offer.sign(world.signers["member3"], world.connection.chain_id, contract.address)
        world.send("member3", timebank.attention_credit.approve(contract.address, 2_000_000))
        proof = prove_account(timebank, stage.folder / "epochs", lessee)
        taken = contract.take_on_standing(offer, signature, 2_000_000, proof.leaf, proof.siblings)
        world.send("member1", taken)
        assert stage.refused("member1", "loan", "open", "1", "--standing") == "ClaimsPledged"
        shown = stage.told("deposit", "order", "show", lessee)
        assert shown["creditor"] == contract.address
        assert "the lender of the lease" in run("deposit", "order", "show", lessee).out

    def test_overdue_claims_repay_then_it_is_written_off_and_comes_back(self, stage: Stage) -> None:
        set_risk(stage, standing_term=DAY, grace=3_600)
        supplied(stage)
        world, member = stage.world, stage.world.address("member1")
        lending = world.timebank.credit_lending
        stage.done("member1", "loan", "open", "3", "--standing")
        assert stage.refused("member3", "loan", "write-off", member) == "NotYetFailed"
        world.connection.advance_time(DAY)
        listed = stage.told("loan", "list", member)["standing_loan"]
        assert listed["overdue"] is True
        assert listed["due_from_claims_micro"] == listed["debt_micro"]
        text = run("loan", "list", member).out
        assert "overdue: claims repay it" in text
        assert "can be written off from" in text
        assert stage.refused("member1", "loan", "open", "1", "--standing") == "LoanOverdue"

        world.connection.advance_time(3_600)
        owed = lending.standing_debt_of(member)
        lost = stage.done("member3", "loan", "write-off", member)
        assert lost["from_reserve_micro"] + lost["from_pool_micro"] == pytest.approx(owed, abs=2)
        listed = stage.told("loan", "list", member)["standing_loan"]
        assert listed["written_off_micro"] == listed["debt_micro"] == lost["debt_micro"]
        assert "can be written off" not in run("loan", "list", member).out
        assert stage.refused("member3", "loan", "write-off", member) == "NoDebt"

        stage.next_epoch()
        before = stage.balance("member1")
        claimed = stage.done("stranger", "wallet", "claim", "--account", member)
        assert stage.balance("member1") == before + claimed["amount_micro"] - lost["debt_micro"]
        assert claimed["creditor"] == lending.address
        ways = (claimed["to_creditor_micro"], claimed["to_deposit_micro"], claimed["to_wallet_micro"])
        assert ways == (lost["debt_micro"], 0, claimed["amount_micro"] - lost["debt_micro"])
        assert claimed["deposit_id"] is None
        assert stage.told("loan", "list", member)["standing_loan"] is None

    def test_accept_policy(self, stage: Stage) -> None:
        shown = stage.done("stranger", "loan", "accept-policy")
        lending = stage.world.timebank.credit_lending
        assert lending.accepted_policy() == (bytes.fromhex(shown["policy_hash"][2:]), shown["decay_k"])
        assert stage.refused("stranger", "loan", "accept-policy", "git") == "NotPolicyInForce"
        assert stage.done("stranger", "loan", "accept-policy", "identity")["policy"] == "identity"
        for file in (stage.folder / "epochs" / "policies").iterdir():
            file.unlink()
        assert stage.refused("stranger", "loan", "accept-policy") == "TamperedEpoch"


@pytest.mark.anvil
def test_fees_and_strays_reach_the_fee_pool(stage: Stage) -> None:
    receipt = lent(stage)
    stage.done("member1", "loan", "open", "8", "--receipt", receipt)
    world = stage.world
    stage.done("member3", "wallet", "send", world.timebank.credit_lending.address, "0.5")
    world.connection.advance_time(30 * DAY)
    owed = stage.told("loan", "pool")["fees_owed_micro"]
    pool = world.timebank.fee_pool.address
    before = world.timebank.attention_credit.balance_of(pool)
    paid = stage.done("stranger", "loan", "fees")
    assert (paid["strays_micro"], paid["fees_micro"]) == (500_000, pytest.approx(owed, abs=1))
    assert paid["fees_micro"] > 0
    after = world.timebank.attention_credit.balance_of(pool)
    assert after == before + paid["fees_micro"] + paid["strays_micro"]


@pytest.mark.anvil
class TestGovernance:
    def test_terms_fees_and_release(self, stage: Stage) -> None:
        timebank = stage.world.timebank
        bank = timebank.time_bank
        added = ["chain", "bank", "add-term", "--duration", "90d", "--multiplier", 4_000]
        stage.govern(*added, "--penalty-bps", 300)
        term = bank.terms()[-1]
        assert (term.duration, term.multiplier_milli, term.penalty_bps, term.open) == (
            90 * DAY,
            4_000,
            300,
            True,
        )
        stage.govern("chain", "bank", "close-term", term.term_id)
        assert not bank.term(term.term_id).open
        stage.govern("chain", "bank", "open-term", term.term_id)
        assert bank.term(term.term_id).open
        for what, read in (
            ("income", bank.income_fee_bps),
            ("rent", timebank.credit_lease.lease_fee_bps),
            ("payments", timebank.credit_payments.fee_bps),
        ):
            stage.govern("chain", "bank", "set-fee", what, 77)
            assert read() == 77
        stage.govern("chain", "bank", "set-release", "3d")
        assert bank.release_seconds() == 3 * DAY

    def test_nothing_is_scheduled_that_will_be_refused(self, stage: Stage) -> None:
        bank = ["chain", "bank"]
        assert stage.refused("governor", *bank, "open-term", 9) == "NoSuchTerm"
        assert stage.refused("governor", *bank, "close-term", 9) == "NoSuchTerm"
        assert stage.refused("governor", *bank, "open-term", 2, code=2) == "UsageError"
        stage.govern(*bank, "close-term", 2)
        assert stage.refused("governor", *bank, "close-term", 2, code=2) == "UsageError"
        path = stage.folder / "bank.json"
        for name, value in (
            ("liquidation_ltv_bps", 4_999),
            ("incentive_bps", 501),
            ("standing_bps", 10_001),
            ("unsecured_cap_bps", 5_001),
            ("fee_bps", 2_501),
            ("standing_term", DAY - 1),
            ("standing_term", 730 * DAY + 1),
            ("grace", 365 * DAY + 1),
        ):
            document = BankPlan().to_json()
            document["risk"][name] = value
            path.write_text(json.dumps(document))
            assert stage.refused("governor", *bank, "set-risk", path) == "DeploymentError", name
        for what, most in (("payments", 1_000), ("income", 2_000), ("rent", 2_000)):
            assert stage.done("governor", *bank, "set-fee", what, most, "--dry-run")["sent"] is False
        assert stage.done("governor", *bank, "set-release", "90d", "--dry-run")["sent"] is False

    def test_risk(self, stage: Stage) -> None:
        path = stage.folder / "bank.json"
        document = BankPlan().to_json()
        document["risk"]["standing_bps"] = 4_000
        path.write_text(json.dumps(document))
        command = ["chain", "bank", "set-risk", path]
        dry = stage.done("governor", *command, "--dry-run")
        assert dry["changes"] == {"standing_bps": {"before": 5_000, "after": 4_000}}
        text = run(*command, "--from", stage.world.address("governor"), "--dry-run")
        assert "standing_bps: 5000 becomes 4000" in text.err
        stage.govern(*command)
        assert stage.world.timebank.credit_lending.risk().standing_bps == 4_000
        assert stage.refused("stranger", *command) == "AccessManagedUnauthorized"
        document["risk"]["max_ltv_bps"] = 9_900
        path.write_text(json.dumps(document))
        assert stage.refused("governor", *command) == "DeploymentError"
        impossible = ["chain", "bank", "add-term", "--duration", "90d", "--multiplier", 20_000]
        assert stage.refused("governor", *impossible) == "DeploymentError"
        assert (
            stage.refused("stranger", "chain", "bank", "set-fee", "income", 1) == "AccessManagedUnauthorized"
        )

    def test_split(self, stage: Stage) -> None:
        split = stage.world.timebank.fee_pool.split()
        same = "/".join(map(str, split))
        assert stage.done("governor", "chain", "bank", "set-split", same)["state"] == "unchanged"
        stage.govern("chain", "bank", "set-split", "1000/2000/7000")
        assert stage.world.timebank.fee_pool.split() == (1_000, 2_000, 7_000)

    def test_pausing(self, stage: Stage) -> None:
        timebank = stage.world.timebank
        paused = stage.done("guardian", "chain", "pause")
        assert (paused["what"], paused["paused"]) == ("proposals", True)
        assert timebank.rate_oracle.proposals_paused()
        stage.done("guardian", "chain", "pause", "--what", "leasing")
        assert timebank.credit_lease.leasing_paused()
        assert not timebank.credit_lending.books().paused
        stage.govern("chain", "resume", "--what", "leasing")
        assert not timebank.credit_lease.leasing_paused()
        refused = stage.refused("stranger", "chain", "pause", "--what", "borrowing")
        assert refused == "AccessManagedUnauthorized"


@pytest.mark.anvil
class TestBadLoans:
    def test_an_uncovered_loan(self, stage: Stage) -> None:
        receipt = lent(stage, supply="9")
        stage.done("member1", "loan", "open", "8.9", "--receipt", receipt)
        borrower, supplier = stage.world.address("member1"), stage.world.address("member2")
        assert stage.told("loan", "pool")["warnings"] == []
        assert stage.told("loan", "list", borrower)["warnings"] == []
        stage.world.connection.advance_time(700 * DAY)

        command = f"timebank loan liquidate {receipt}"
        pool = stage.told("loan", "pool")
        (bad,) = pool["uncovered"]
        assert (bad["receipt_id"], pool["failed"], pool["supply_year_ppm"]) == (receipt, [], None)
        assert bad["lost_micro"] == bad["debt_micro"] - (bad["worth_micro"] - bad["worth_micro"] // 50)
        assert pool["lost_micro"] == bad["lost_micro"] > 5_000_000
        assert [one["command"] for one in pool["warnings"]] == [command]
        text = run("loan", "pool").out
        assert "unknown: see below" in text and command in text

        ran = run("loan", "supply", "5", "--from", stage.world.address("member3"), "--yes", "--json")
        assert (ran.code, ran.error["code"], command in ran.error["hint"]) == (3, "CheckFailed", True)
        assert "1 uncovered, 0 failed" in ran.error["message"]
        dry = stage.done("member3", "loan", "supply", "5", "--accept-losses", "--dry-run")
        assert dry["lost_micro"] > 5_000_000

        for words in (("loan", "list"), ("wallet", "outlook")):
            (own,) = stage.told(*words, borrower)["warnings"]
            assert own["command"] == f"timebank loan repay {receipt}"
            (theirs,) = stage.told(*words, supplier)["warnings"]
            assert theirs["command"] == command
            assert f"try: {command}" in run(*words, supplier).err

        stage.done("member3", "loan", "liquidate", receipt)
        assert stage.told("loan", "pool")["warnings"] == []
        assert stage.told("loan", "pool")["supply_year_ppm"] == 0
        assert stage.told("loan", "list", supplier)["warnings"] == []
        stage.done("member3", "loan", "supply", "5")

    def test_a_failed_loan(self, stage: Stage) -> None:
        set_risk(stage, standing_term=DAY, grace=3_600)
        stage.done("member2", "loan", "supply", "20")
        stage.world.connection.advance_time(DAY)  # then all of it counts for loans on standing
        stage.done("member1", "loan", "open", "3", "--standing")
        member = stage.world.address("member1")
        stage.world.connection.advance_time(DAY)
        (overdue,) = stage.told("loan", "list", member)["warnings"]
        assert ("overdue" in overdue["message"], overdue["command"]) == (
            True,
            "timebank loan close --standing",
        )
        assert stage.told("loan", "pool")["failed"] == []
        stage.done("member3", "loan", "supply", "1")

        stage.world.connection.advance_time(3_600)
        command = f"timebank loan write-off {member}"
        for words in (("loan", "list"), ("wallet", "outlook")):
            (failed,) = stage.told(*words, member)["warnings"]
            assert "failed" in failed["message"] and command in failed["command"]
            assert command in run(*words, member).err
        pool = stage.told("loan", "pool")
        (bad,) = pool["failed"]
        assert (bad["borrower"], pool["uncovered"], pool["supply_year_ppm"]) == (member, [], None)
        assert bad["debt_micro"] == pool["lost_micro"] >= 3_000_000
        assert command in run("loan", "pool").out
        assert stage.refused("member3", "loan", "supply", "1", code=3) == "CheckFailed"

        stage.done("member3", "loan", "write-off", member)
        assert stage.told("loan", "list", member)["warnings"] == []
        stage.done("member3", "loan", "supply", "1")
