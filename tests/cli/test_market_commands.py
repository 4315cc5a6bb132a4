"""timebank market, against a real anvil.

::

    usage ............ amounts, tokens, contradictions: exit 2, no chain asked
    book files ....... what is no order is a dead line by its field, and an error where no line is an order
    sell, buy ........ signed, added to the book, approved where that is missing; dry run keeps nothing;
                       a book that cannot be written: nothing is sent; an allowance shared by orders is told;
                       coin cannot buy; a token that is none
    book ............. price, what is left and covered, and every reason why an order is dead
    quote ............ best price first across the book; one balance covers two orders once; too thin: exit 3
    fill ............. the best, or one; coin, token, credits; a limit; own, expired and spent orders;
                       approved first; dry run sends nothing; the statement and the audit agree;
                       somebody faster: what is left, or nothing; a fee raised meanwhile: nothing
    cancel ........... one by line or hash, all; only one's own; what is over already sends nothing
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.bank_stage import Stage, run
from tests.world import SIGNERS
from timebank_chain.artifacts import load_artifact
from timebank_chain.chain.attention_credit import AttentionCredit
from timebank_chain.chain.contract import encode_constructor
from timebank_chain.chain.order_book import read_book
from timebank_chain.chain.transactions import Call, send
from timebank_chain.cli import market

NOBODY = SIGNERS["payee"].address
ETHER = 10**18


@pytest.mark.parametrize(
    "arguments",
    [
        ("sell", "0", "--for", "1"),
        ("sell", "1.0000001", "--for", "1"),
        ("sell", "1"),
        ("sell", "1", "--for", "much"),
        ("sell", "1", "--for", "1", "--token", "0xabc"),
        ("sell", "1", "--for", "1", "--to", "bob"),
        ("sell", "1", "--for", "1", "--allow", "2", "--no-approve"),
        ("sell", "1", "--for", "1", "--max-fee-bps", "501"),
        ("sell", "1", "--for", "1", "--max-fee-bps", "-1"),
        ("buy", "1", "--for", "1", "--token", NOBODY, "--max-fee-bps", "10000"),
        ("fill", "book.jsonl", "1", "--max-fee-bps", "501"),
        ("sell", "1", "--for", "1", "-o", "no/such/folder/book.jsonl"),
        ("buy", "1", "--for", "1"),
        ("buy", "1", "--for", "1", "--token", "coin"),
        ("quote", "book.jsonl", "0"),
        ("quote", "book.jsonl", "1", "--side", "both"),
        ("quote", "book.jsonl", "1", "--for", "bob"),
        ("fill", "book.jsonl", "none"),
        ("cancel",),
        ("cancel", "book.jsonl", "--all"),
    ],
)
def test_wrong_usage_asks_no_chain(arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ETH_RPC_URL", "http://127.0.0.1:9")
    ran = run("market", *arguments, "--json")
    assert ran.code == 2, ran.out + ran.err
    assert ran.error["message"]


def test_a_bound_on_the_fee_above_the_contracts_is_refused_with_it() -> None:
    ran = run("market", "sell", "1", "--for", "1", "--max-fee-bps", "10000", "--json")
    assert ran.error["message"] == "--max-fee-bps 10000: no fee on trades can be above 500 basis points"


def test_every_command_has_an_example_and_json() -> None:
    for command in market.app.registered_commands:
        text = run("market", command.name, "--help").out
        assert "Example: timebank market" in text, command.name
        assert "--json" in text, command.name


def sold(stage: Stage, credits_: str, price: str, *more: object, role: str = "member3") -> str:
    """Add an order that sells to the book, and return its hash."""
    path = stage.folder / "book.jsonl"
    arguments = [credits_, "--for", price, "-o", path, *more]
    return str(stage.done(role, "market", "sell", *arguments)["order_hash"])


def another_token(stage: Stage) -> AttentionCredit:
    """A token of six decimals that the deployer mints; member1 has a thousand."""
    arguments = encode_constructor("AttentionCredit", ("Another", "ANO", ""))
    creation = Call("Another", "constructor", None, load_artifact("AttentionCredit").bytecode + arguments)
    connection = stage.world.connection
    made = send(connection, SIGNERS["deployer"], creation)
    token = AttentionCredit(connection, str(made.contract_address))
    mint = token._write("mint", to=stage.world.address("member1"), amount=1_000_000_000)
    send(connection, SIGNERS["deployer"], mint)
    return token


def codes(stage: Stage, path: Path, *arguments: object) -> list[str]:
    """Why each order of a book is dead, in the order of its lines; empty where it is not."""
    orders = stage.told("market", "book", path, *arguments)["orders"]
    return ["" if one["refusal"] is None else str(one["refusal"]["code"]) for one in orders]


@pytest.mark.anvil
class TestOrders:
    def test_sell_approves_signs_and_appends(self, stage: Stage) -> None:
        timebank, maker = stage.world.timebank, stage.world.address("member3")
        path = stage.folder / "book.jsonl"
        command = ["market", "sell", "4", "--for", "0.02", "-o", path]
        dry = stage.done("member3", *command, "--dry-run")
        assert (dry["sent"], path.exists()) == (False, False)
        assert "signature" not in dry["order"]
        made = stage.done("member3", *command)
        assert [one["call"] for one in made["transactions"]] == ["AttentionCredit.approve"]
        assert timebank.attention_credit.allowance(maker, timebank.credit_exchange.address) == 4_000_000
        again = stage.done("member3", *command)
        assert (again["sent"], again["transactions"]) == (False, [])
        lines = read_book(path).lines
        assert [line.number for line in lines] == [1, 2]
        assert json.loads(path.read_text().splitlines()[0]) == made["order"]
        signed = lines[0].signed
        assert signed.signed_by_key()
        assert made["order_hash"] == "0x" + timebank.credit_exchange.hash_order(signed.order).hex()
        order = signed.order
        assert (order.maker, order.credits, order.amount) == (maker, 4_000_000, 2 * 10**16)
        assert (order.max_fee_bps, order.sells_credits, int(order.token, 16)) == (30, True, 0)

    @pytest.mark.parametrize("place", ["", ".", "/dev/full"])
    def test_a_book_that_cannot_be_is_refused_before_anything_is_sent(self, stage: Stage, place: str) -> None:
        assert (
            stage.refused("member3", "market", "sell", "4", "--for", "0.02", "-o", place) == "TradeOrderError"
        )

    def test_a_shared_allowance_is_told(self, stage: Stage) -> None:
        command = ["market", "sell", "4", "--for", "0.02", "-o", stage.folder / "book.jsonl", "--yes"]
        command += ["--from", stage.world.address("member3")]
        first, second = run(*command), run(*command)
        assert (first.code, second.code) == (0, 0)
        assert "one allowance" not in first.err
        assert "share one allowance, of 4.000000 credits" in second.err

    def test_buy_with_a_token(self, stage: Stage) -> None:
        token, path = another_token(stage), stage.folder / "book.jsonl"
        exchange = stage.world.timebank.credit_exchange.address
        command = ["market", "buy", "2", "--for", "6.5", "--token", token.address, "-o", path]
        made = stage.done("member1", *command)
        assert [one["call"] for one in made["transactions"]] == ["ERC20.approve"]
        assert token.allowance(stage.world.address("member1"), exchange) == 6_500_000
        # More than is allowed: some tokens change an allowance from zero only.
        made = stage.done("member1", *command, "--allow", "20")
        assert [one["arguments"]["amount"] for one in made["transactions"]] == [0, 20_000_000]
        assert len(read_book(path).lines) == 2
        nothing = ["market", "buy", "2", "--for", "1", "--token", NOBODY, "-o", path]
        assert stage.refused("member1", *nothing) == "ChainError"
        nothing = ["market", "buy", "2", "--for", "1", "--token", exchange, "-o", path]
        assert stage.refused("member1", *nothing) == "TradeOrderError"
        itself = stage.world.timebank.attention_credit.address
        nothing = ["market", "buy", "2", "--for", "1", "--token", itself, "-o", path]
        assert stage.refused("member1", *nothing, code=2) == "UsageError"

    def test_an_order_nobody_could_fill_is_not_signed(self, stage: Stage) -> None:
        path = stage.folder / "book.jsonl"
        command = ["market", "sell", "1", "--for", "1", "-o", path]
        own = stage.world.address("member3")
        assert stage.refused("member3", *command, "--to", own, code=2) == "UsageError"
        assert stage.refused("member3", *command[:2], "0.000001", *command[3:], code=2) == "UsageError"
        assert not path.exists()

    def test_a_line_that_is_no_order_is_dead_and_no_other(self, stage: Stage) -> None:
        sold(stage, "4", "0.02")
        path = stage.folder / "book.jsonl"
        good = path.read_text().strip()
        document = json.loads(good)
        document["order"]["credits"] = "4"
        bad = (
            ("{", "book.jsonl:3"),
            (json.dumps(document), "book.jsonl:4, field 'credits'"),
            (good.replace('"credits":4000000', '"credits":4000001'), "book.jsonl:5, field 'orderHash'"),
            (good[:-1] + ',"note":1}', "book.jsonl:6"),
        )
        path.write_text("\n".join([good, "", *(line for line, _ in bad)]))
        told = stage.told("market", "book", path)
        assert [one["line"] for one in told["orders"]] == [1]
        assert told["orders"][0]["fillable"]
        assert [(one["line"], one["code"]) for one in told["bad_lines"]] == [
            (line, "TradeOrderError") for line in (3, 4, 5, 6)
        ]
        for one, (_, where) in zip(told["bad_lines"], bad, strict=True):
            assert one["where"].endswith(where)
        assert told["bad_lines"][3]["message"] == "unknown field 'note'"
        text = run("market", "book", path).out
        assert "1 of 1 orders can be filled" in text
        assert "line 6 is dead" in text
        quote = stage.told("market", "quote", path, "4")
        assert (quote["missing_micro"], len(quote["bad_lines"])) == (0, 4)
        assert stage.done("member1", "market", "fill", path, "4")["filled"]["credits_micro"] == 4_000_000
        path.write_text("\n".join([*["{"] * 1_003, good]))
        told = stage.told("market", "book", path)
        assert [one["line"] for one in told["orders"]] == [1_004]
        assert (len(told["bad_lines"]), told["more_bad_lines"]) == (1_000, 3)
        quote = run("market", "quote", path, "1", "--json").document
        assert (len(quote["bad_lines"]), quote["more_bad_lines"]) == (1_000, 3)
        text = run("market", "book", path).out
        assert "line 1000 is dead" in text
        assert "line 1001 is dead" not in text
        assert "and 3 more lines are no orders" in text
        path.write_text("\n\n{\n[]\n")
        ran = run("market", "book", path, "--json")
        assert (ran.code, ran.error["code"]) == (1, "TradeOrderError")
        assert ran.error["message"].startswith("no line is an order: not an order's JSON")
        assert ran.error["where"].endswith("book.jsonl:3")


@pytest.mark.anvil
class TestBook:
    def test_says_why_orders_are_dead(self, stage: Stage) -> None:
        path, exchange = stage.folder / "book.jsonl", stage.world.timebank.credit_exchange
        sold(stage, "1", "0.01", "--allow", "9")  # 1 open
        sold(stage, "1", "0.01", "--expires", "1s")  # 2 expires
        sold(stage, "1", "0.01", "--to", NOBODY)  # 3 for somebody else
        sold(stage, "1", "0.01", "--max-fee-bps", "29")  # 4 the fee is higher
        hash5 = sold(stage, "1", "0.01")  # 5 cancelled
        sold(stage, "1", "0.01", role="member2")  # 6 of a series that is over
        stage.done("member3", "market", "cancel", path, "--order", hash5)
        stage.done("member2", "market", "cancel", "--all")
        lines = path.read_text().splitlines()
        document = json.loads(lines[0])
        document["signature"] = document["signature"][:-2] + "00"
        other = json.loads(lines[0]) | {"signature": "0x"}
        path.write_text("\n".join([*lines, json.dumps(document), json.dumps(other)]))
        stage.world.connection.advance_time(60)
        assert codes(stage, path, "--for", stage.world.address("member1")) == [
            "",
            "TradeOrderExpired",
            "NotTradeTaker",
            "TradeFeeAboveOrder",
            "TradeOrderIsCancelled",
            "TradeSeriesIsOver",
            "BadOrderSignature",
            "BadOrderSignature",
        ]
        assert codes(stage, path)[2] == ""
        assert codes(stage, path, "--for", stage.world.address("member3"))[0] == "MakerIsTaker"
        text = run("market", "book", path)
        assert "2 of 8 orders can be filled" in text.out
        stage.done("guardian", "chain", "pause", "--what", "trading")
        assert set(codes(stage, path)) == {"TradingPaused"}
        stage.govern("chain", "resume", "--what", "trading")
        credit = stage.world.timebank.attention_credit
        stage.world.send("member3", credit.approve(exchange.address, 400_000))
        entry = stage.told("market", "book", path)["orders"][0]
        assert (entry["left_micro"], entry["covered_micro"]) == (1_000_000, 400_000)
        stage.world.send("member3", credit.approve(exchange.address, 0))
        assert codes(stage, path)[0] == "ERC20InsufficientAllowance"

    def test_a_fee_raised_by_governance_is_not_the_makers(self, stage: Stage) -> None:
        path = stage.folder / "book.jsonl"
        sold(stage, "1", "0.01")
        sold(stage, "1", "0.01", "--max-fee-bps", "31")
        command = ["chain", "bank", "set-fee", "trades"]
        assert stage.refused("governor", *command, "501", code=2) == "UsageError"
        assert stage.govern(*command, "31")["fee_bps"] == 31
        assert codes(stage, path) == ["TradeFeeAboveOrder", ""]
        assert stage.told("chain", "status")["trade_fee_bps"] == 31

    def test_of_another_deployment(self, stage: Stage) -> None:
        sold(stage, "1", "0.01")
        path = stage.folder / "book.jsonl"
        line = read_book(path).lines[0]
        foreign = line.signed.__class__(line.signed.order, 1, line.signed.contract, line.signed.signature)
        path.write_text(foreign.line() + "\n")
        assert codes(stage, path) == ["TradeOrderError"]
        assert stage.refused("member3", "market", "cancel", path) == "TradeOrderError"


@pytest.mark.anvil
class TestQuoteAndFill:
    def test_best_price_first(self, stage: Stage) -> None:
        path = stage.folder / "book.jsonl"
        sold(stage, "2", "0.04", "--allow", "6")  # 0.02 each
        sold(stage, "3", "0.03", role="member2")  # 0.01 each
        sold(stage, "2", "0.03")  # 0.015 each
        quote = stage.told("market", "quote", path, "4")
        assert [(one["line"], one["credits_micro"]) for one in quote["parts"]] == [
            (2, 3_000_000),
            (3, 1_000_000),
        ]
        assert quote["amount"] == str(45 * 10**15)
        assert (quote["fee_micro"], quote["net_micro"], quote["missing_micro"]) == (12_000, 3_988_000, 0)
        ran = run("market", "quote", path, "8", "--json")
        assert (ran.code, ran.document["missing_micro"]) == (3, 1_000_000)
        assert "too thin" in run("market", "quote", path, "8").err
        ran = run("market", "quote", path, "5.000001", "--json")
        assert (ran.code, ran.document["missing_micro"]) == (3, 1)
        assert ran.document["missing_refusal"]["code"] == "NothingTraded"
        said = run("market", "quote", path, "5.000001").err
        assert "too small for those that are left" in said
        assert "too thin" not in said
        assert stage.refused("member1", "market", "fill", path, "5.000001", code=3) == "CheckFailed"

    def test_one_balance_covers_two_orders_once(self, stage: Stage) -> None:
        path, credit = stage.folder / "book.jsonl", stage.world.timebank.attention_credit
        sold(stage, "2", "0.02", "--allow", "6")
        sold(stage, "2", "0.03")
        stage.world.send("member3", credit.approve(stage.world.timebank.credit_exchange.address, 3_000_000))
        ran = run("market", "quote", path, "4", "--json")
        assert [one["credits_micro"] for one in ran.document["parts"]] == [2_000_000, 1_000_000]
        assert ran.document["missing_micro"] == 1_000_000

    def test_fill_with_coin_up_to_a_limit(self, stage: Stage) -> None:
        path, world = stage.folder / "book.jsonl", stage.world
        sold(stage, "2", "0.04", "--allow", "2")
        sold(stage, "3", "0.03", role="member2")
        before, coin = stage.balance("member1"), world.connection.balance_wei(world.address("member3"))
        command = ["market", "fill", path, "4"]
        assert stage.refused("member1", *command, "--limit", "0.049", code=3) == "CheckFailed"
        block = world.connection.block_number()
        dry = stage.done("member1", *command, "--dry-run")
        assert (dry["sent"], world.connection.block_number()) == (False, block)
        done = stage.done("member1", *command, "--limit", "0.05")
        assert [one["call"] for one in done["transactions"]] == ["CreditExchange.fill"] * 2
        assert done["amount"] == str(5 * 10**16)
        assert stage.balance("member1") - before == 4_000_000 - 12_000
        assert world.connection.balance_wei(world.address("member3")) - coin == 2 * 10**16
        orders = stage.told("market", "book", path)["orders"]
        assert [one["left_micro"] for one in orders] == [1_000_000, 0]
        assert orders[1]["refusal"] == {
            "code": "BadFill",
            "message": "nothing is left of the order: all its credits were exchanged already",
        }
        more = run("market", "fill", path, "1.5", "--order", 1, "--from", world.address("member1"), "--json")
        assert more.error["message"] == (
            "only 1.000000 credits of the order are left, you want at least 1.500000"
        )

        statement = stage.told("wallet", "statement", world.address("member1"))["movements"][-2:]
        assert [(one["kind"], one["amount_micro"], one["fee_micro"]) for one in statement] == [
            ("trade in", 2_991_000, 9_000),
            ("trade in", 997_000, 3_000),
        ]
        assert [one["units"] for one in statement] == [str(3 * 10**16), str(2 * 10**16)]
        assert "for 0.03 coin" in run("wallet", "statement", world.address("member1")).out
        seller = stage.told("wallet", "statement", world.address("member3"))["movements"][-1]
        assert (seller["kind"], seller["amount_micro"]) == ("trade out", -1_000_000)
        report = stage.told("audit")
        check = next(one for one in report["checks"] if one["number"] == "A52")
        assert check["status"] == "ok"
        assert check["evidence"]["fills"] == 2

    def test_somebody_was_faster(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        """Between what is shown and what is sent, another takes a grain: the one moment a test can act in."""
        path, world = stage.folder / "book.jsonl", stage.world
        sold(stage, "2", "0.04")
        signed, exchange = read_book(path).lines[0].signed, world.timebank.credit_exchange

        def grain(*_: object, **__: object) -> None:
            world.send("member2", exchange.fill(signed.order, signed.signature, 7, 10**18))

        monkeypatch.setattr("timebank_chain.cli.writes.confirm", grain)
        arguments = ["market", "fill", path, "2", "--from", world.address("member1"), "--yes"]
        ran = run(*arguments, "--all-or-nothing", "--json")
        assert (ran.code, ran.error["code"]) == (1, "BadFill")
        before, coin = stage.balance("member1"), world.connection.balance_wei(world.address("member3"))
        ran = run(*[*arguments[:3], "1.999993", *arguments[4:]])
        assert ran.code == 0, ran.err
        # 7 of the first time, 7 of the second.
        assert "1.999986 of 1.999993 credits were exchanged, for 0.03999972 coin" in ran.err
        assert stage.balance("member1") - before == 1_999_986 - 6_000
        paid = world.connection.balance_wei(world.address("member3")) - coin
        assert paid == 7 * 2 * 10**10 + 1_999_986 * 2 * 10**10
        assert stage.told("market", "book", path)["orders"][0]["left_micro"] == 0
        check = next(one for one in stage.told("audit")["checks"] if one["number"] == "A52")
        assert check["status"] == "ok"

    def test_the_fee_shown_is_the_fee_agreed_to(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        path = stage.folder / "book.jsonl"
        sold(stage, "2", "0.04", "--max-fee-bps", "500")
        command = ["market", "fill", path, "1"]
        assert stage.refused("member1", *command, "--max-fee-bps", "29") == "TradeFeeAboveTerms"
        assert stage.done("governor", "chain", "bank", "set-fee", "trades", "31")["state"] == "scheduled"
        stage.world.connection.advance_time(601)
        timebank, governor = stage.world.timebank, SIGNERS["governor"]

        def raise_fee(*_: object, **__: object) -> None:
            assert timebank.govern(governor, timebank.credit_exchange.set_trade_fee(31)).state == "done"

        with monkeypatch.context() as patch:
            patch.setattr("timebank_chain.cli.writes.confirm", raise_fee)
            ran = run(*command, "--from", stage.world.address("member1"), "--yes", "--json")
        assert (ran.code, ran.error["code"]) == (1, "TradeFeeAboveTerms")
        assert stage.done("member1", *command, "--max-fee-bps", "31")["filled"]["fee_micro"] == 3_100

    def test_sell_into_a_purchase(self, stage: Stage) -> None:
        token, path, world = another_token(stage), stage.folder / "book.jsonl", stage.world
        command = ["market", "buy", "3", "--for", "9", "--token", token.address, "-o", path]
        stage.done("member1", *command)
        sold(stage, "1", "0.5")
        before = stage.balance("member2")
        ran = run("market", "quote", path, "2", "--side", "sell")
        assert ran.code == 0
        assert f"get 6 ANO ({token.address})" in ran.out
        command = ["market", "fill", path, "2", "--side", "sell"]
        assert stage.refused("member2", *command, "--limit", "6.000001", code=3) == "CheckFailed"
        assert stage.refused("member1", *command, "--order", "1") == "MakerIsTaker"
        assert stage.refused("member2", *command, "--order", "2", code=2) == "UsageError"
        done = stage.done("member2", *command, "--limit", "6", "--order", "1")
        calls = [one["call"] for one in done["transactions"]]
        assert calls == ["AttentionCredit.approve", "CreditExchange.fill"]
        assert before - stage.balance("member2") == 2_000_000
        assert token.balance_of(world.address("member2")) == 6_000_000

    def test_buy_with_a_token(self, stage: Stage) -> None:
        token, path, world = another_token(stage), stage.folder / "book.jsonl", stage.world
        sold(stage, "2", "5", "--token", token.address)
        none = run("market", "quote", path, "2", "--side", "sell", "--json")
        assert (none.code, none.error["code"]) == (2, "UsageError")
        assert none.error["message"] == "you want to sell credits, and no order in this book buys any"
        assert "make an order yourself: timebank market sell" in none.error["hint"]
        send(world.connection, SIGNERS["member1"], token.transfer(NOBODY, 997_000_000))
        command = ["market", "fill", path, "2"]
        assert stage.refused("member1", *command) == "TradeOrderError"
        done = stage.done("member1", *command[:-1], "1.2")
        assert [one["call"] for one in done["transactions"]] == ["ERC20.approve", "CreditExchange.fill"]
        assert token.balance_of(world.address("member3")) == 3_000_000
        assert token.allowance(world.address("member1"), world.timebank.credit_exchange.address) == 0
        sold(stage, "2", "0.02")
        several = run("market", "quote", path, "2", "--json")
        assert several.error["message"] == (
            "2 different tokens can be exchanged for credits in this book, and it is not said which one you "
            "want to pay with"
        )
        assert "--token" in several.error["hint"]


@pytest.mark.anvil
class TestCancel:
    def test_one_of_ones_own(self, stage: Stage) -> None:
        path = stage.folder / "book.jsonl"
        first = sold(stage, "1", "0.01", "--allow", "9")
        sold(stage, "1", "0.02")
        sold(stage, "1", "0.03", role="member2")
        command = ["market", "cancel", path]
        assert stage.refused("member3", *command, code=2) == "UsageError"
        assert stage.refused("member3", *command, "--order", "3", code=2) == "UsageError"
        assert stage.done("member3", *command, "--order", first[:14])["order_hash"] == first
        stage.done("member2", *command)
        assert codes(stage, path) == ["TradeOrderIsCancelled", "", "TradeOrderIsCancelled"]
        ended = stage.done("member3", "market", "cancel", "--all")
        assert (ended["ended_series"], ended["series"]) == (0, 1)
        assert codes(stage, path)[1] == "TradeSeriesIsOver"
        for line, reason in ((1, "TradeOrderIsCancelled"), (2, "TradeSeriesIsOver")):
            block = stage.world.connection.block_number()
            again = stage.done("member3", *command, "--order", line)
            assert (again["sent"], again["refusal"]["code"]) == (False, reason)
            assert stage.world.connection.block_number() == block
        ran = run(*command, "--order", 1, "--from", stage.world.address("member3"))
        assert (ran.code, "was cancelled" in ran.err, "nothing was sent" in ran.err) == (0, True, True)
        sold(stage, "1", "0.01")
        assert codes(stage, path)[3] == ""
