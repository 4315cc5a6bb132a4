"""timebank service, against a real anvil.

::

    usage ............. amounts, times, contradictions, hashes: exit 2, no chain asked; an example where
                        something is missing
    offer, request .... listed, with the text kept beside; dry run keeps and sends nothing; list finds them
    the short road .... order, accept, deliver, approve, rate by both; what stands next after each step
    the long road ..... counter-offers, partial, dispute, rule
    before and after .. who commits sees arbiter, times and default split first (list, order, accept, show);
                        what is over shows what was paid, refunded and taken as fee
    silence ........... what is overdue is said, and moved by a stranger
    refused ........... sold out, own listing, wrong side, too late: by name, before an approval is sent
    cancel, decline ... before acceptance by either side, after it by the provider
    hints ............. an unknown order, a part that is too large: the way out is one
    texts ............. shown where they are, missing where not, erased and the audit whole; kept when nothing
                        but sending is left, so not for what is refused or not wanted; told of if that fails
    governance ........ the fee of services, pausing of orders
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.bank_stage import Stage, run
from tests.world import SIGNERS
from timebank_chain.chain import transactions
from timebank_chain.cli import service
from timebank_chain.config import ENV_CONTENT
from timebank_chain.errors import ConnectionFailed

DAY = 86_400
ARBITER = SIGNERS["payee"].address
NOT_USUAL = SIGNERS["registrar"].address
OFFER = ("service", "offer", "1.5", "--text", "an hour of English", "--arbiter", ARBITER)


@pytest.mark.parametrize(
    "arguments",
    [
        ("offer", "0", "--text", "x", "--arbiter", ARBITER),
        ("offer", "1", "--text", "x"),
        ("offer", "1", "--arbiter", ARBITER),
        ("offer", "1", "--text", "x", "--arbiter", "somebody"),
        ("offer", "1", "--text", "x", "--arbiter", ARBITER, "--stock", "0"),
        ("offer", "1", "--text", "x", "--arbiter", ARBITER, "--deliver", "30m"),
        ("offer", "1", "--text", "x", "--arbiter", ARBITER, "--ruling", "366d"),
        ("offer", "1", "--text", "x", "--arbiter", ARBITER, "--default-bps", "10001"),
        ("offer", "1", "--text", "x", "--file", "x.txt", "--arbiter", ARBITER),
        ("request", "much", "--text", "x", "--arbiter", ARBITER),
        ("order", "0"),
        ("order", "1", "--price", "0"),
        ("order", "1", "--deliver", "soon"),
        ("counter", "1"),
        ("counter", "1", "nothing"),
        ("partial", "1"),
        ("partial", "1", "0"),
        ("rate", "1", "6"),
        ("list", "--kind", "swap"),
        ("text", "0x12"),
        ("show", "first"),
    ],
)
def test_wrong_usage_asks_no_chain(arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ETH_RPC_URL", "http://127.0.0.1:9")
    ran = run("service", *arguments, "--json")
    assert ran.code == 2, ran.out + ran.err
    assert ran.error["hint"] or ran.error["message"]


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    for name in ("bytes", "nothing"):
        ran = run("service", "offer", "1", "--file", tmp_path / name, "--arbiter", ARBITER, "--json")
        assert (ran.code, ran.error["code"]) == (1, "ContentError")
        assert name in ran.error["where"]


@pytest.mark.parametrize(
    ("arguments", "example"),
    [
        (("rate", "2"), "timebank service rate 7 5"),
        (("partial", "1"), "timebank service partial 7 2"),
        (("rule", "1"), "timebank service rule 7 1.5"),
        (("offer",), "timebank service offer 3"),
    ],
)
def test_what_is_missing_is_shown_by_an_example(arguments: tuple[str, ...], example: str) -> None:
    ran = run("service", *arguments, "--json")
    assert ran.code == 2
    assert "Missing argument" in ran.error["message"]
    assert f"for example: {example}" in ran.error["hint"]
    assert example in run("service", *arguments).err


def test_every_command_has_an_example_and_json() -> None:
    assert [command.name for command in service.app.registered_commands] == list(service.COMMANDS)
    for command in service.app.registered_commands:
        text = run("service", command.name, "--help").out
        assert "Example: timebank service" in text, command.name
        assert "--json" in text, command.name


@pytest.fixture
def market(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """The bank's stage, with a folder for texts; member1 offers an hour of English, two times."""
    monkeypatch.setenv(ENV_CONTENT, str(stage.folder / "texts"))
    assert stage.done("member1", *OFFER, "--stock", "2")["listing_id"] == 1
    return stage


def step(stage: Stage, role: str, *arguments: object) -> str:
    """Take a step and return the stage the order is in then."""
    return str(stage.done(role, "service", *arguments)["stage"])


def turns(stage: Stage, order: int = 1) -> set[tuple[str, str]]:
    shown = stage.told("service", "show", order)
    return {(one["who"], one["verb"]) for one in shown["next"]}


@pytest.mark.anvil
class TestListings:
    def test_offers_and_requests_are_found_with_their_texts(self, market: Stage) -> None:
        request = ("service", "request", "5", "--text", "help with my garden", "--arbiter", ARBITER)
        assert market.done("member2", *request)["listing_id"] == 2
        listed = market.told("service", "list")["listings"]
        assert [(one["kind"], one["price_micro"], one["stock"], one["text"]) for one in listed] == [
            ("offer", 1_500_000, 2, "an hour of English"),
            ("request", 5_000_000, 1, "help with my garden"),
        ]
        assert [
            one["listing_id"] for one in market.told("service", "list", "--kind", "request")["listings"]
        ] == [2]
        mine = ("service", "list", "--owner", market.world.address("member1"))
        assert [one["listing_id"] for one in market.told(*mine)["listings"]] == [1]
        assert "an hour of English" in run("service", "list").out

        market.done("member1", "service", "stock", 1, 0)
        assert [one["listing_id"] for one in market.told("service", "list")["listings"]] == [2]
        assert len(market.told("service", "list", "--all")["listings"]) == 2
        assert market.refused("member2", "service", "stock", 1, 3) == "NotListingOwner"
        assert market.refused("member2", "service", "stock", 9, 3) == "NoSuchListing"

    def test_a_dry_run_keeps_and_sends_nothing(self, market: Stage) -> None:
        block, texts = market.world.connection.block_number(), list((market.folder / "texts").iterdir())
        dry = market.done("member2", *OFFER, "--dry-run")
        assert (dry["sent"], dry["listing_id"]) == (False, None)
        assert list((market.folder / "texts").iterdir()) == texts
        assert market.world.connection.block_number() == block


@pytest.mark.anvil
class TestRoads:
    def test_from_order_to_rating(self, market: Stage) -> None:
        before = market.balance("member1"), market.balance("member2")
        ordered = market.done("member2", "service", "order", 1)
        assert (ordered["order_id"], ordered["held_micro"]) == (1, 1_500_000)
        assert [one["call"] for one in ordered["transactions"]] == [
            "AttentionCredit.approve",
            "ServiceEscrow.placeOrder",
        ]
        assert turns(market) == {
            *(("provider", verb) for verb in ("accept", "counter", "cancel")),
            ("buyer", "cancel"),
        }
        assert step(market, "member1", "accept", 1) == "accepted"
        assert market.told("service", "list")["listings"][0]["stock"] == 1
        assert step(market, "member1", "deliver", 1, "--text", "we met on Monday") == "delivered"
        assert turns(market) == {
            *(("buyer", verb) for verb in ("approve", "reject", "partial")),
            ("provider", "cancel"),
        }
        assert step(market, "member2", "approve", 1) == "settled"
        assert market.balance("member2") == before[1] - 1_500_000
        assert market.balance("member1") == before[0] + 1_492_500

        assert turns(market) == {("buyer", "rate"), ("provider", "rate")}
        rated = market.done("member2", "service", "rate", 1, 5, "--text", "patient and clear")
        assert (rated["rated"], rated["stars"]) == (market.world.address("member1"), 5)
        market.done("member1", "service", "rate", 1, 4)
        assert market.refused("member1", "service", "rate", 1, 1) == "AlreadyRated"
        assert market.refused("stranger", "service", "rate", 1, 1) == "NotYours"
        shown = market.told("service", "show", 1)
        assert (shown["stars_by_buyer"], shown["stars_by_provider"], shown["next"]) == (5, 4, [])
        assert [one["kind"] for one in shown["steps"]] == [
            *("ordered", "accepted", "delivered", "settled: approved", "rated", "rated")
        ]
        assert shown["steps"][2]["text"] == "we met on Monday"
        assert "patient and clear" in run("service", "show", 1).out
        rated_provider = market.told("service", "ratings", market.world.address("member1"))
        assert (rated_provider["count"], rated_provider["mean_milli_stars"]) == (1, 5_000)
        (rating,) = rated_provider["ratings"]
        assert (rating["as"], rating["stars"], rating["paid_micro"]) == ("provider", 5, 1_500_000)
        assert rating["text"] == "patient and clear"
        assert (
            market.told("service", "ratings", market.world.address("member2"))["ratings"][0]["as"] == "buyer"
        )
        assert "5.0 stars from 1" in run("service", "ratings", market.world.address("member1")).out
        assert market.told("service", "ratings", market.world.address("payee"))["count"] == 0
        movements = market.told("wallet", "statement", market.world.address("member1"))["movements"]
        assert [(one["kind"], one["order_id"]) for one in movements][-1] == ("service pay", 1)

    def test_from_counter_offers_to_a_ruling(self, market: Stage) -> None:
        request = ("service", "request", "5", "--text", "help with my garden", "--arbiter", ARBITER)
        market.done("member2", *request)
        before = market.balance("member2")
        ordered = market.done("member3", "service", "order", 2, "--price", "6", "--text", "I bring tools")
        assert (ordered["held_micro"], len(ordered["transactions"])) == (0, 1)
        number = ordered["order_id"]
        assert step(market, "member2", "counter", number, "5.5", "--deliver", "14d") == "asked_provider"
        assert market.balance("member2") == before - 5_500_000
        assert step(market, "member3", "counter", number, "5.25") == "asked_buyer"
        assert step(market, "member2", "accept", number) == "accepted"
        assert market.balance("member2") == before - 5_250_000
        assert step(market, "member3", "deliver", number) == "delivered"
        assert step(market, "member2", "partial", number, "2", "--text", "half of it") == "contested"
        shown = market.told("service", "show", number)
        assert "2.000000 to the provider, 3.250000 to the buyer" in shown["after_deadline"]
        assert step(market, "member3", "dispute", number, "--text", "all of it") == "disputed"
        assert market.refused("member3", "service", "rule", number, "5") == "NotYours"
        assert step(market, "payee", "rule", number, "4", "--text", "four fifths") == "settled"
        assert market.balance("member2") == before - 4_000_000
        for role, side in (("member3", "provider"), ("payee", "arbiter")):
            out = run("service", "orders", market.world.address(role), "--all").out
            assert side in out and "settled" in out
        assert market.told("service", "orders", market.world.address("payee"))["orders"] == []

    def test_agreeing_to_a_rejection_gives_all_back(self, market: Stage) -> None:
        before = market.balance("member2")
        market.done("member2", "service", "order", 1)
        step(market, "member1", "accept", 1)
        step(market, "member1", "deliver", 1)
        assert step(market, "member2", "reject", 1, "--text", "nobody came") == "contested"
        assert step(market, "member1", "agree", 1) == "settled"
        assert market.balance("member2") == before

    def test_what_nobody_does_time_does(self, market: Stage) -> None:
        before = market.balance("member1")
        market.done("member2", "service", "order", 1)
        step(market, "member1", "accept", 1)
        step(market, "member1", "deliver", 1)
        assert market.refused("stranger", "service", "move", 1) == "NotOverdue"
        market.world.connection.advance_time(3 * DAY + 1)
        assert turns(market) == {("anybody", "move")}
        assert "OVERDUE" in run("service", "orders", market.world.address("member2")).out
        assert market.refused("member2", "service", "reject", 1) == "TooLate"
        moved = market.done("stranger", "service", "move", 1)
        assert (moved["stage"], moved["deadline"]) == ("settled", None)
        assert market.balance("member1") == before + 1_492_500


TERMS = {
    "arbiter": ARBITER,
    "delivery_seconds": 7 * DAY,
    "response_seconds": 2 * DAY,
    "review_seconds": 4 * DAY,
    "answer_seconds": 5 * DAY,
    "ruling_seconds": 6 * DAY,
    "default_bps": 3_000,
}
TIMES = (*("--respond", "2d"), *("--review", "4d"), *("--answer", "5d"), *("--ruling", "6d"))
#: What a table says of them.
TOLD = (ARBITER, "4d", "5d", "6d", "30 % to the provider")


@pytest.mark.anvil
class TestBeforeAndAfter:
    """Listing 2 has terms of its own; the fee is half a percent, rounded up."""

    @pytest.fixture
    def market(self, market: Stage) -> Stage:
        done = market.done("member1", *OFFER, *TIMES, "--default-bps", "3000", "--dry-run")
        assert TERMS.items() <= done.items()
        market.done("member1", *OFFER, *TIMES, "--default-bps", "3000")
        return market

    def test_a_buyer_sees_who_rules_and_what_silence_means(self, market: Stage) -> None:
        assert TERMS.items() <= market.told("service", "list")["listings"][1].items()
        listed = run("service", "list").out
        assert all(word in listed for word in TOLD), listed

        who = ("--from", market.world.address("member2"))
        dry = run("service", "order", 2, "--price", "2", *who, "--dry-run").out
        asked = run("service", "order", 2, "--price", "2", *who)
        assert asked.code == 2 and "nobody to ask" in asked.err
        for said in (dry, asked.out):
            assert all(word in said for word in TOLD), said
            assert "2.000000, of which 1.990000 reach the provider (fee 0.5 %)" in said
            assert "70 % to the buyer" in said
        told = market.done("member2", "service", "order", 2, "--price", "2", "--dry-run")
        assert TERMS.items() <= told.items()
        assert (told["fee_bps"], told["to_provider_micro"]) == (50, 1_990_000)

        ordered = market.done("member2", "service", "order", 2, "--deliver", "9d", "--arbiter", NOT_USUAL)
        known = {**TERMS, "delivery_seconds": 9 * DAY, "arbiter": NOT_USUAL}
        assert known.items() <= ordered.items()
        assert known.items() <= market.told("service", "show", 1).items()
        shown = run("service", "show", 1).out
        assert all(word in shown for word in ("9d from acceptance", NOT_USUAL, *TOLD[1:])), shown
        assert market.told("service", "show", 1)["settlement"] is None
        accepting = run("service", "accept", 1, "--from", market.world.address("member1"), "--dry-run").out
        assert "9d from acceptance" in accepting and NOT_USUAL in accepting

    def test_a_settled_order_says_where_its_credits_went(self, market: Stage) -> None:
        market.done("member2", "service", "order", 2)
        step(market, "member1", "accept", 1)
        step(market, "member1", "deliver", 1)
        step(market, "member2", "partial", 1, "0.500001")
        step(market, "member1", "agree", 1)
        assert market.told("service", "show", 1)["settlement"] == {
            "outcome": "conceded",
            "to_provider_micro": 497_500,
            "fee_micro": 2_501,
            "refunded_micro": 999_999,
        }
        shown = run("service", "show", 1).out
        for line in ("conceded", "0.497500", "0.002501 (0.5 % of the provider's part)", "0.999999"):
            assert line in shown, shown
        assert "in escrow" not in shown

    def test_so_does_a_cancelled_one(self, market: Stage) -> None:
        market.done("member2", "service", "order", 2)
        step(market, "member1", "decline", 1)
        assert market.told("service", "show", 1)["settlement"] == {
            "outcome": "cancelled",
            "to_provider_micro": 0,
            "fee_micro": 0,
            "refunded_micro": 1_500_000,
        }


@pytest.mark.anvil
class TestHints:
    def test_lead_somewhere_else(self, market: Stage) -> None:
        ran = run("service", "show", 99, "--json")
        assert (ran.code, ran.error["code"]) == (1, "WrongStage")
        assert ran.error["message"] == "there is no order 99"
        assert ran.error["hint"] == "see yours: timebank service orders"

        market.done("member2", "service", "order", 1)
        for role, verb in (("member1", "accept"), ("member1", "deliver")):
            step(market, role, verb, 1)
        who = ("--yes", "--json", "--from")
        whole = run("service", "partial", 1, "1.5", *who, market.world.address("member2")).error
        assert (whole["code"], "timebank service approve" in whole["hint"]) == ("BadPart", True)
        step(market, "member2", "reject", 1)
        step(market, "member1", "dispute", 1)
        over = run("service", "rule", 1, "1.6", *who, market.world.address("payee")).error
        assert (over["code"], over["hint"]) == ("BadPart", "name at most 1.500000")


@pytest.mark.anvil
class TestRefused:
    def test_before_an_approval_is_sent(self, market: Stage) -> None:
        assert market.refused("member1", "service", "order", 1) == "OwnListing"
        assert market.refused("member2", "service", "order", 9) == "NoSuchListing"
        assert market.refused(
            "member2", "service", "order", 1, "--arbiter", market.world.address("member2")
        ) == ("BadArbiter")
        assert market.refused("stranger", "service", "order", 1) == "ERC20InsufficientBalance"
        market.done("member2", "service", "order", 1)
        assert market.refused("member2", "service", "accept", 1) == "NotYours"
        assert market.refused("member3", "service", "counter", 1, "1") == "NotYours"
        assert market.refused("member1", "service", "approve", 1) == "WrongStage"
        assert market.refused("member1", "service", "accept", 7) == "WrongStage"
        market.done("member1", "service", "stock", 1, 0)
        assert market.refused("member1", "service", "accept", 1) == "SoldOut"
        assert market.refused("member3", "service", "order", 1) == "SoldOut"

    def test_cancelling_and_declining(self, market: Stage) -> None:
        before = market.balance("member2")
        for number, (role, verb) in enumerate((("member2", "cancel"), ("member1", "decline")), start=1):
            market.done("member2", "service", "order", 1)
            assert step(market, role, verb, number) == "cancelled"
            assert market.balance("member2") == before
        market.done("member2", "service", "order", 1)
        step(market, "member1", "accept", 3)
        assert market.refused("member2", "service", "cancel", 3, code=2) == "UsageError"
        assert step(market, "member1", "cancel", 3) == "settled"
        assert market.balance("member2") == before
        assert market.refused("member1", "service", "cancel", 3) == "WrongStage"


def texts(stage: Stage) -> set[str]:
    return {path.name for path in (stage.folder / "texts").iterdir()}


@pytest.mark.anvil
class TestTexts:
    def test_what_is_refused_leaves_no_text_behind(self, market: Stage) -> None:
        note, kept = ("--text", "for nobody"), texts(market)
        assert market.refused("member1", "service", "order", 1, *note) == "OwnListing"
        market.done("member2", "service", "order", 1)
        assert market.refused("stranger", "service", "counter", 1, "1", *note) == "NotYours"
        assert market.refused("member1", "service", "deliver", 1, *note) == "WrongStage"
        assert market.refused("member2", "service", "reject", 1, *note) == "WrongStage"
        assert market.refused("member2", "service", "partial", 1, "1", *note) == "WrongStage"
        assert market.refused("member1", "service", "dispute", 1, *note) == "WrongStage"
        assert market.refused("payee", "service", "rule", 1, "1", *note) == "WrongStage"
        assert market.refused("member2", "service", "rate", 1, 5, *note) == "WrongStage"
        own = ("--arbiter", market.world.address("member2"))
        assert market.refused("member2", "service", "offer", "1", *note, *own) == "BadArbiter"
        step(market, "member1", "accept", 1)
        # Nobody says yes: standard input is no terminal.
        ran = run("service", "deliver", 1, *note, "--from", market.world.address("member1"))
        assert ran.code == 2 and "nobody to ask" in ran.err
        assert texts(market) == kept

    def test_a_text_whose_transaction_fails_is_told_of(
        self, market: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def down(*_: object) -> None:
            raise ConnectionFailed("the node went away")

        kept = texts(market)
        arguments = ("service", "order", 1, "--text", "please on Monday", "--yes", "--json")
        who = ("--from", market.world.address("member2"))
        market.world.send(
            "member2",
            market.world.timebank.attention_credit.approve(
                market.world.timebank.service_escrow.address, 10**9
            ),
        )
        with monkeypatch.context() as patch:
            # A node that answers all questions and then takes no transaction; anvil cannot be told to.
            patch.setattr(transactions, "broadcast", down)
            ran = run(*arguments, *who)
        assert (ran.code, ran.error["code"]) == (1, "ConnectionFailed")
        (new,) = texts(market) - kept
        assert str(market.folder / "texts" / new) in ran.err
        assert f"timebank service text 0x{new.removesuffix('.txt')} --erase" in ran.err
        assert market.told("service", "text", new.removesuffix(".txt"))["text"] == "please on Monday"

    def test_a_folder_that_takes_nothing_stops_the_transaction(self, market: Stage) -> None:
        (market.folder / "file").write_text("")
        before = market.world.connection.block_number()
        ran = run(
            *OFFER, "--content", market.folder / "file", "--yes", "--json", "--from",
            market.world.address("member1"),
        )  # fmt: skip
        assert (ran.code, ran.error["code"]) == (1, "ContentError")
        assert market.world.connection.block_number() == before

    def test_an_erased_text_leaves_the_rest_and_the_audit_whole(self, market: Stage) -> None:
        content_hash = market.told("service", "list")["listings"][0]["content_hash"]
        market.done("member2", *OFFER)
        assert market.told("service", "text", content_hash)["text"] == "an hour of English"
        assert run("service", "text", content_hash).out == "an hour of English\n"
        assert market.told("service", "text", content_hash, "--erase")["erased"] is True
        ran = run("service", "text", content_hash, "--json")
        assert (ran.code, ran.error["code"]) == (1, "ContentError")
        listed = market.told("service", "list")["listings"]
        assert [one["text"] for one in listed] == [None, "an hour of English"]
        assert listed[0]["content_hash"] == content_hash
        assert market.told("service", "text", content_hash, "--erase")["erased"] is False
        report = run("audit", "--json")
        assert report.code == 0, report.out


@pytest.mark.anvil
class TestGovernance:
    def test_fee_and_pause(self, market: Stage) -> None:
        escrow = market.world.timebank.service_escrow
        market.govern("chain", "bank", "set-fee", "services", 77)
        assert escrow.service_fee_bps() == 77
        assert (
            market.refused("governor", "chain", "bank", "set-fee", "services", 1_001, code=2) == "UsageError"
        )
        market.done("member2", "service", "order", 1)
        market.done("guardian", "chain", "pause", "--what", "ordering")
        assert escrow.ordering_paused()
        assert market.refused("member3", "service", "order", 1) == "OrderingPaused"
        assert market.refused("member1", "service", "accept", 1) == "OrderingPaused"
        assert step(market, "member2", "cancel", 1) == "cancelled"
        market.govern("chain", "resume", "--what", "ordering")
        assert not escrow.ordering_paused()
