"""timebank deposit, against a real anvil.

::

    terms ............ text, JSON; a closed term shows so
    quote ............ what comes true when nothing else happens; nobody is promised anything
    open ............. by permit in one transaction; by allowance; dry run; for another owner
        refused ...... too little, no such term, closed term, more than there is; owner a contract of ours
    close ............ refuses before maturity (nothing sent); --early says the cost; mature: whole
        refused ...... another's, pledged, none; who may not is told so before anything else
    list, show ....... held and pledged; the picture is the chain's
    collect .......... fees for everybody; income of one deposit; no income
    roll, lapse ...... by its holder; by anybody after maturity
    order ............ set, show, end; a pushed claim becomes a deposit; a placeholder's wallet
    usage ............ amounts, numbers, durations, missing terms: exit 2, no chain asked; numbers that no
                       contract takes: exit 2
"""

from __future__ import annotations

import base64

import pytest

from tests.cli.bank_stage import NOBODY, Stage, run
from tests.world import SIGNERS
from timebank_chain.cli import deposit, deposit_order
from timebank_chain.cli.options import MAX_NUMBER
from timebank_chain.cli.wallet_link import placeholder_of
from timebank_chain.units import mul_div_up

DAY, WEEK = 86_400, 7 * 86_400


@pytest.mark.parametrize(
    "arguments",
    [
        ("open", "0", "--term", "week"),
        ("open", "1.0000001", "--term", "week"),
        ("open", "\u0661", "--term", "week"),
        ("quote", "1", "--for", "\u0661d"),
        ("open", "1"),
        ("quote", "x"),
        ("quote", "1", "--for", "soon"),
        ("quote", "1", "--for", "0s"),
        ("close", "seven"),
        ("close", "0"),
        ("roll", "1"),
        ("close", "1", "--to", "nobody"),
        ("open", "1", "--term", "week", "--owner", "0xabc"),
        ("order", "show", SIGNERS["payee"].address, "--member", "ada"),
        ("order", "set"),
    ],
)
def test_wrong_usage_asks_no_chain(arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ETH_RPC_URL", "http://127.0.0.1:9")
    ran = run("deposit", *arguments, "--json")
    assert ran.code == 2, ran.out + ran.err
    assert ran.error["hint"] or ran.error["message"]


def test_time_beyond_all_times_is_too_long() -> None:
    ran = run("deposit", "quote", "1", "--for", "999999999999d", "--json")
    assert (ran.code, ran.error["message"]) == (2, "--for: too long: '999999999999d'")


def test_every_command_has_an_example_and_json() -> None:
    for words, app in ((["deposit"], deposit.app), (["deposit", "order"], deposit_order.app)):
        for command in app.registered_commands:
            text = run(*words, command.name, "--help").out
            assert "Example: timebank deposit" in text, command.name
            assert "--json" in text, command.name


@pytest.mark.anvil
def test_number_beyond_the_chain_is_wrong_usage(stage: Stage) -> None:
    huge = 1 << 256
    for command in (
        ("deposit", "show", huge),
        ("deposit", "close", huge),
        ("deposit", "collect", huge),
        ("loan", "quote", 1, "--receipt", huge),
        ("loan", "liquidate", huge),
        ("lease", "settle", huge),
    ):
        signed = (
            () if command[1] in ("show", "quote") else ("--from", stage.world.address("member1"), "--yes")
        )
        ran = run(*command, *signed, "--json")
        assert (ran.code, ran.error["code"]) == (2, "UsageError"), command
        assert str(MAX_NUMBER) in ran.error["message"], "the numbers there are, not a contract's parameter"
        assert "TimeBank" not in ran.error["message"]
        text = run(*command, *signed)
        assert (text.code, "Traceback" in text.err) == (2, False), command


@pytest.mark.anvil
class TestTerms:
    def test_terms_and_a_closed_one(self, stage: Stage) -> None:
        told = stage.told("deposit", "terms")
        assert told["schema"] == "timebank.deposit.terms/1"
        assert [(one["name"], one["open"]) for one in told["terms"]] == [
            ("demand", True),
            ("day", True),
            ("week", True),
            ("month", True),
        ]
        assert told["min_deposit_micro"] == 1_000
        stage.govern("chain", "bank", "close-term", 1)
        text = run("deposit", "terms")
        assert text.code == 0, text.err
        assert "closed" in text.out
        assert stage.refused("member1", "deposit", "open", "1", "--term", "day") == "TermClosed"


@pytest.mark.anvil
class TestOpen:
    def test_by_permit_in_one_transaction(self, stage: Stage) -> None:
        before, block = stage.balance("member1"), stage.world.connection.block_number()
        command = ["deposit", "open", "5", "--term", "week"]
        dry = stage.done("member1", *command, "--dry-run")
        assert (dry["sent"], dry["receipt_id"], dry["call"]) == (False, None, "TimeBank.depositWithPermit")
        assert stage.world.connection.block_number() == block
        opened = stage.done("member1", *command)
        assert stage.world.connection.block_number() == block + 1
        bank = stage.world.timebank.time_bank
        position = bank.position(opened["receipt_id"])
        assert (position.principal, position.term_id) == (5_000_000, 2)
        assert opened["matures_at"] == position.matures_at == stage.world.connection.timestamp() + WEEK
        assert bank.owner_of(opened["receipt_id"]) == stage.world.address("member1") == opened["owner"]
        assert stage.balance("member1") == before - 5_000_000

    def test_by_allowance_for_another_owner(self, stage: Stage) -> None:
        world = stage.world
        world.send(
            "member1", world.timebank.attention_credit.approve(world.timebank.time_bank.address, 10**9)
        )
        opened = stage.done(
            "member1", "deposit", "open", "1.5", "--term", 0, "--owner", world.address("payee")
        )
        assert opened["call"] == "TimeBank.deposit"
        assert world.timebank.time_bank.owner_of(opened["receipt_id"]) == world.address("payee")

    def test_contract_of_the_deployment_is_no_owner(self, stage: Stage) -> None:
        for name, address in stage.world.timebank.addresses().items():
            ran = run(
                *("deposit", "open", "1", "--term", "week", "--owner", address),
                *("--from", stage.world.address("member1"), "--yes", "--json"),
            )
            assert (ran.code, ran.error["code"]) == (2, "UsageError")
            assert name in ran.error["message"]

    def test_refusals(self, stage: Stage) -> None:
        command = ["deposit", "open"]
        assert stage.refused("member1", *command, "0.0009", "--term", "day") == "DepositTooSmall"
        assert stage.refused("member1", *command, "1", "--term", 9, code=2) == "UsageError"
        assert stage.refused("member1", *command, "1", "--term", "year", code=2) == "UsageError"
        assert stage.refused("member1", *command, "100000", "--term", "day") == "ERC20InsufficientBalance"
        ran = run(*command, "1", "--term", "day", "--from", stage.world.address("member1"))
        assert (ran.code, "--yes" in ran.err) == (2, True)


@pytest.mark.anvil
class TestClose:
    def test_early_says_the_cost_first(self, stage: Stage) -> None:
        opened = stage.done("member1", "deposit", "open", "5.000001", "--term", "week")
        receipt, before = opened["receipt_id"], stage.balance("member1")
        refused = run(
            "deposit", "close", receipt, "--from", stage.world.address("member1"), "--yes", "--json"
        )
        assert (refused.code, refused.error["code"]) == (1, "NotMature")
        assert "--early" in refused.error["hint"]
        penalty = mul_div_up(5_000_001, 100, 10_000)
        dry = run(
            "deposit", "close", receipt, "--early", "--from", stage.world.address("member1"), "--dry-run"
        )
        assert dry.code == 0, dry.err
        assert "0.050001 credits of penalty" in dry.err
        assert stage.balance("member1") == before
        closed = stage.done("member1", "deposit", "close", receipt, "--early")
        assert (closed["early"], closed["penalty_micro"]) == (True, penalty)
        assert stage.balance("member1") == before + closed["paid_micro"] == before + 5_000_001 - penalty

    def test_mature_comes_back_whole_to_whom_is_named(self, stage: Stage) -> None:
        receipt = stage.done("member1", "deposit", "open", "5", "--term", "day")["receipt_id"]
        assert stage.refused("member2", "deposit", "close", receipt, "--early") == "NotReceiptHolder"
        stage.world.connection.advance_time(DAY)
        payee = stage.world.address("payee")
        closed = stage.done("member1", "deposit", "close", receipt, "--to", payee)
        assert (closed["early"], closed["penalty_micro"], closed["receiver"]) == (False, 0, payee)
        assert stage.balance("payee") == closed["paid_micro"] == 5_000_000
        assert stage.refused("member1", "deposit", "close", receipt) == "ERC721NonexistentToken"

    def test_strangers_learn_that_it_is_not_theirs(self, stage: Stage) -> None:
        receipt = stage.done("member1", "deposit", "open", "5", "--term", "day")["receipt_id"]
        for command in (("close", receipt), ("collect", receipt), ("roll", receipt, "--term", "week")):
            assert stage.refused("member2", "deposit", *command) == "NotReceiptHolder"
        for role, command in (
            ("member1", ("collect", receipt)),
            ("member1", ("roll", receipt, "--term", "week")),
            ("member2", ("lapse", receipt)),
        ):
            ran = run("deposit", *command, "--from", stage.world.address(role), "--yes", "--json")
            assert (ran.code, ran.error["code"]) == (1, "NotMature")
            assert ran.error["hint"] == "wait until it matures"
        world = stage.world
        world.send("member1", world.timebank.time_bank.approve(world.address("member2"), receipt))
        dry = stage.done("member2", "deposit", "close", receipt, "--early", "--dry-run")
        assert dry["receiver"] == world.address("member2")

    def test_maturity_counts_on_a_node_that_was_idle(self, stage: Stage) -> None:
        receipt = stage.done("member1", "deposit", "open", "5", "--term", "day")["receipt_id"]
        request = stage.world.connection.w3.provider.make_request
        request("evm_increaseTime", [DAY])  # type: ignore[arg-type]  # no block is mined
        assert stage.done("member1", "deposit", "close", receipt)["paid_micro"] == 5_000_000


@pytest.mark.anvil
class TestLook:
    def test_list_and_show(self, stage: Stage) -> None:
        member = stage.world.address("member1")
        assert stage.told("deposit", "list", member)["deposits"] == []
        week = stage.done("member1", "deposit", "open", "5", "--term", "week")["receipt_id"]
        demand = stage.done("member1", "deposit", "open", "2", "--term", "demand")["receipt_id"]
        listed = stage.told("deposit", "list", member)
        assert [
            (one["receipt_id"], one["term"]["name"], one["principal_micro"], one["exit_value_micro"])
            for one in listed["deposits"]
        ] == [(week, "week", 5_000_000, 4_950_000), (demand, "demand", 2_000_000, 2_000_000)]
        assert [one["mature"] for one in listed["deposits"]] == [False, True]
        text = run("deposit", "list", member)
        assert "4.950000" in text.out
        assert "the wallet" in text.out

        picture = stage.folder / "receipt.svg"
        shown = stage.told("deposit", "show", week, "--svg", picture)
        assert (shown["owner"], shown["principal_micro"]) == (member, 5_000_000)
        assert "image" not in shown["metadata"]
        drawn = picture.read_bytes()
        assert drawn.startswith(b"<svg")
        uri = stage.world.timebank.time_bank.token_uri(week)
        assert base64.b64encode(drawn) in base64.b64decode(uri.partition(",")[2])
        assert run("deposit", "show", week).code == 0
        ran = run("deposit", "show", week, "--svg", stage.folder / "no" / "such.svg", "--json")
        assert (ran.code, "no/such.svg" in ran.error["where"]) == (1, True)
        assert run("deposit", "show", 99, "--json").error["code"] == "ERC721NonexistentToken"


@pytest.mark.anvil
class TestIncome:
    def pay(self, stage: Stage, amount: str) -> None:
        """Bring fees in: half a percent of a payment, two fifths of it for depositors."""
        stage.done("member2", "wallet", "pay", stage.world.address("payee"), amount)

    def test_a_quote_comes_true_when_nothing_else_happens(self, stage: Stage) -> None:
        stage.done("member2", "deposit", "open", "3", "--term", "month")
        self.pay(stage, "20")
        collected = stage.done("member3", "deposit", "collect")
        assert collected["from_fees_micro"] == 40_000
        quoted = stage.told("deposit", "quote", "5", "--term", "week")
        assert (quoted["promised"], quoted["uncollected_micro"]) == (False, 0)
        assert quoted["penalty_micro"] == 50_000
        assert quoted["share_ppm"] == 10**6 * 7_500_000 // (7_500_000 + 7_500_000)
        assert 0 < quoted["income_micro"] < quoted["pending_micro"] <= 40_000
        receipt = stage.done("member1", "deposit", "open", "5", "--term", "week")["receipt_id"]
        stage.world.connection.advance_time(WEEK)
        closed = stage.done("member1", "deposit", "close", receipt)
        # Between quote and deposit seconds passed, and one more than the week: nothing else differs.
        assert closed["income_micro"] == pytest.approx(quoted["income_micro"], abs=2)
        assert closed["fee_micro"] == mul_div_up(closed["income_micro"], 500, 10_000)

    def test_what_waits_in_the_fee_pool_is_counted(self, stage: Stage) -> None:
        self.pay(stage, "20")
        quoted = stage.told("deposit", "quote", "5", "--term", "week", "--for", "7d")
        assert (quoted["uncollected_micro"], quoted["pending_micro"]) == (40_000, 40_000)
        assert quoted["income_micro"] == pytest.approx(20_000, abs=1)
        assert "nobody knows" in run("deposit", "quote", "5").err

    def test_collect_roll_and_lapse(self, stage: Stage) -> None:
        demand = stage.done("member1", "deposit", "open", "5", "--term", "demand")["receipt_id"]
        assert stage.refused("member1", "deposit", "collect", demand) == "NoIncome"
        self.pay(stage, "20")
        stage.done("member3", "deposit", "collect")
        stage.world.connection.advance_time(WEEK)
        before = stage.balance("member1")
        collected = stage.done("member1", "deposit", "collect", demand)
        assert stage.balance("member1") == before + collected["paid_micro"] > before

        stage.world.connection.advance_time(WEEK)
        rolled = stage.done("member1", "deposit", "roll", demand, "--term", "day")
        position = stage.world.timebank.time_bank.position(demand)
        assert (position.term_id, position.principal) == (1, rolled["principal_micro"])
        assert (
            rolled["principal_micro"] == 5_000_000 + rolled["income_micro"] - rolled["fee_micro"] > 5_000_000
        )
        assert stage.refused("member3", "deposit", "lapse", demand) == "NotMature"
        assert stage.refused("member1", "deposit", "roll", demand, "--term", "week") == "NotMature"
        stage.world.connection.advance_time(DAY)
        lapsed = stage.done("member3", "deposit", "lapse", demand)
        position = stage.world.timebank.time_bank.position(demand)
        assert (position.term_id, position.principal) == (0, lapsed["principal_micro"])
        assert stage.refused("member3", "deposit", "lapse", demand) == "NothingToLapse"


@pytest.mark.anvil
class TestOrder:
    def test_a_pushed_claim_becomes_a_deposit(self, stage: Stage) -> None:
        member = stage.world.address("member1")
        assert stage.told("deposit", "order", "show", member)["term"] is None
        stage.done("member1", "deposit", "order", "set", "--term", "week")
        shown = stage.told("deposit", "order", "show", member)
        assert (shown["term"], shown["term_id"], shown["receiver"]) == ("week", 2, member)
        assert "week" in run("deposit", "order", "show", member).out
        stage.next_epoch()
        before = stage.balance("member1")
        claimed = stage.done("stranger", "wallet", "claim", "--account", member)
        assert stage.balance("member1") == before
        deposits = stage.told("deposit", "list", member)["deposits"]
        assert [one["principal_micro"] for one in deposits] == [claimed["amount_micro"]]
        assert (claimed["deposit_id"], claimed["to_deposit_micro"]) == (
            deposits[0]["receipt_id"],
            claimed["amount_micro"],
        )
        assert (claimed["to_creditor_micro"], claimed["creditor"], claimed["to_wallet_micro"]) == (0, None, 0)
        stage.done("member1", "deposit", "order", "end")
        assert stage.told("deposit", "order", "show", member)["term_id"] is None
        assert stage.refused("member1", "deposit", "order", "set", "--term", 9, code=2) == "UsageError"

    def test_of_a_placeholder_by_its_wallet(self, stage: Stage) -> None:
        order = ["deposit", "order", "set", "--term", "day", "--member", NOBODY]
        assert stage.refused("member1", *order) == "NotAccountHolder"
        stage.done("registrar", "wallet", "link", "request", NOBODY, stage.world.address("payee"))
        stage.world.connection.advance_time(7_201)
        stage.done("payee", "wallet", "link", "confirm", NOBODY)
        assert stage.done("payee", *order)["account"] == placeholder_of(NOBODY)
        shown = stage.told("deposit", "order", "show", "--member", NOBODY)
        assert (shown["term"], shown["receiver"]) == ("day", stage.world.address("payee"))
        text = run(
            *("wallet", "claim", "--member", NOBODY, "--yes"), *("--from", stage.world.address("stranger"))
        )
        assert "a deposit, receipt 1" in text.out
        assert len(stage.told("deposit", "list", stage.world.address("payee"))["deposits"]) == 1
        stage.done("payee", "deposit", "order", "end", "--member", NOBODY)
