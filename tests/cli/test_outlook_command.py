"""timebank wallet outlook, and what it says come true, against a real anvil.

::

    usage ............ days that are none or too many: exit 2, no chain asked
    rows ............. everything an account has and owes, totals, what is an estimate
    comes true ....... deposits, leases and standing to the unit, debts and shares nearly, when time passes
    calendar ......... what matures and falls due, in order
    standing ......... by epoch: what is left of each, exactly; the one that fades most first; placeholders
        no epochs .... left out, with a hint; claimable credits too
    chart ............ readable XML, every point inside, axes and names; of somebody with nothing
    statement ........ --accruals as text, CSV and JSON
"""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.cli.bank_stage import NOBODY, Stage, run
from tests.world import SIGNERS
from timebank_chain.chain.outlook import OutlookBasis, read_outlook
from timebank_chain.cli.wallet_link import placeholder_of
from timebank_chain.epoch import read_epoch
from timebank_chain.valuation import load_policy
from timebank_chain.valuation.decay import weight

DAY, WEEK = 86_400, 7 * 86_400
SOMEBODY = SIGNERS["payee"].address
SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("days", [("0",), ("-1",), ("1461",), ("soon",), ("7", "--days", "0")])
def test_wrong_usage_asks_no_chain(days: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ETH_RPC_URL", "http://127.0.0.1:9")
    ran = run("wallet", "outlook", SOMEBODY, "--days", *days, "--json")
    assert ran.code == 2, ran.out + ran.err


@pytest.fixture
def busy(stage: Stage) -> Stage:
    """member1 has deposits, a loan and a lease, member2 a loan on standing, member3 supplies and lends."""
    stage.done("member3", "loan", "supply", "20")
    stage.world.connection.advance_time(DAY)  # then all of it counts for loans on standing
    for amount, term in (("6", "week"), ("4", "month"), ("3", "demand")):
        stage.done("member1", "deposit", "open", amount, "--term", term)
    stage.done("member2", "wallet", "pay", SOMEBODY, "10")
    stage.done("stranger", "deposit", "collect")
    stage.done("member1", "loan", "open", "2", "--receipt", 2)
    offer = stage.folder / "offer.json"
    stage.done("member3", "lease", "offer", "2", "--rent", "0.05", "--term", "20d", "-o", offer)
    stage.done("member1", "lease", "open", offer, "--receipt", 3)
    stage.done("member2", "loan", "open", "1.5", "--standing")
    stage.next_epoch()
    return stage


def amounts(document: dict[str, object], kind: str, number: int | None = None) -> list[int]:
    rows = document["rows"]
    assert isinstance(rows, list)
    return next(list(row["amounts_micro"]) for row in rows if (row["kind"], row["number"]) == (kind, number))


def basis(stage: Stage, role: str) -> OutlookBasis:
    return read_outlook(stage.world.timebank, stage.world.address(role), epochs=stage.folder / "epochs")


@pytest.mark.anvil
class TestRows:
    def test_all_an_account_has_and_owes(self, busy: Stage) -> None:
        member = busy.world.address("member1")
        told = busy.told("wallet", "outlook", member)
        assert told["schema"] == "timebank.wallet.outlook/1"
        assert [date - told["dates"][0] for date in told["dates"]] == [0, 7 * DAY, 30 * DAY, 90 * DAY]
        assert [(row["kind"], row["number"], row["owed"]) for row in told["rows"]] == [
            ("wallet", None, False),
            ("claimable", None, False),
            ("deposit", 1, False),
            ("deposit", 2, False),
            ("deposit", 3, False),
            ("loan", 2, True),
            ("lease", 1, True),
        ]
        timebank, block = busy.world.timebank, told["block"]
        assert amounts(told, "wallet") == [timebank.attention_credit.balance_of(member, block=block)] * 4
        leaf = read_epoch(busy.folder / "epochs", 2).accounts
        index = leaf.find(bytes.fromhex(member[2:]))
        assert index is not None
        claimed = timebank.credit_distributor.claimed(member)
        assert amounts(told, "claimable") == [int(leaf.cumulative_mint[index]) - claimed] * 4
        for number in (1, 2, 3):
            assert amounts(told, "deposit", number)[0] == timebank.time_bank.exit_value(number, block=block)
        assert amounts(told, "loan", 2)[0] == timebank.credit_lending.debt_of(2, block=block)
        assert amounts(told, "lease", 1) == [2_050_000] * 4
        # An early exit of a week's deposit costs a percent, of a month's two; mature it has earned something.
        week, month = amounts(told, "deposit", 1), amounts(told, "deposit", 2)
        assert (week[0], month[:2]) == (5_940_000, [3_920_000, 3_920_000])
        assert week[2] > 6_000_000 and month[3] > 4_000_000
        assert week[1] < 6_000_000 or told["dates"][1] >= told["calendar"][0]["time"]
        for n in range(4):
            owns = sum(row["amounts_micro"][n] for row in told["rows"] if not row["owed"])
            owes = sum(row["amounts_micro"][n] for row in told["rows"] if row["owed"])
            assert (told["assets_micro"][n], told["owed_micro"][n]) == (owns, owes)
            assert told["net_micro"][n] == owns - owes

    def test_what_is_an_estimate(self, busy: Stage) -> None:
        told = busy.told("wallet", "outlook", busy.world.address("member1"), "--days", 1, "--days", 60)
        marked = {(row["kind"], row["number"]): row["estimated"] for row in told["rows"]}
        # The month's deposit is certain tomorrow (the penalty is known), the demand deposit never.
        assert marked["deposit", 2] == [False, False, True]
        assert marked["deposit", 3] == marked["loan", 2] == [False, True, True]
        assert marked["wallet", None] == marked["lease", 1] == [False, False, False]
        text = run("wallet", "outlook", busy.world.address("member1"), "--days", 1)
        assert text.code == 0, text.err
        assert "in 1 day" in text.out and "~" in text.out and "- loan 2" in text.out

    def test_lender_and_supplier(self, busy: Stage) -> None:
        told = busy.told("wallet", "outlook", busy.world.address("member3"))
        supply, lent = amounts(told, "supply"), amounts(told, "lease lent", 1)
        assert supply == sorted(supply) and supply[0] < supply[3]
        # Two percent of the rent goes to the fee pool.
        assert lent == [2_049_000] * 4

    def test_of_nobody(self, busy: Stage) -> None:
        told = busy.told("wallet", "outlook", SIGNERS["proposer"].address)
        assert told["net_micro"] == [0, 0, 0, 0]
        assert (told["calendar"], told["standings"]) == ([], [])


@pytest.mark.anvil
class TestComesTrue:
    @pytest.mark.parametrize("seconds", [DAY, 8 * DAY, 40 * DAY])
    def test_when_time_passes(self, busy: Stage, seconds: int) -> None:
        world = busy.world
        timebank, pool = world.timebank, world.timebank.credit_lending
        before = {role: basis(busy, role) for role in ("member1", "member2", "member3")}
        world.connection.advance_time(seconds)
        now = world.connection.timestamp()
        seen = {role: read.at([now]) for role, read in before.items()}

        def said(role: str, kind: str, number: int | None = None) -> int:
            rows = seen[role].rows
            return next(row.amounts[0] for row in rows if (row.kind, row.number) == (kind, number))

        for number in (1, 2, 3):
            assert said("member1", "deposit", number) == timebank.time_bank.exit_value(number)
        assert said("member1", "lease", 1) == timebank.credit_lease.owed_on(1)
        for standing in seen["member2"].standings:
            assert standing.limits[0] == pool.standing_limit(standing.standing)
        # The pool's rate moves: near, and the nearer the sooner.
        member2, member3 = world.address("member2"), world.address("member3")
        for estimate, real in (
            (said("member1", "loan", 2), pool.debt_of(2)),
            (said("member2", "loan on standing"), pool.standing_debt_of(member2)),
            (said("member3", "supply"), pool.convert_to_assets(pool.balance_of(member3))),
        ):
            assert abs(estimate - real) * 500 <= real

    def test_no_date_before_the_block(self, busy: Stage) -> None:
        read = basis(busy, "member1")
        with pytest.raises(ValueError, match="looks ahead"):
            read.at([read.portfolio.time - 1])


@pytest.mark.anvil
class TestCalendar:
    def test_in_order(self, busy: Stage) -> None:
        timebank = busy.world.timebank
        told = busy.told("wallet", "outlook", busy.world.address("member1"))["calendar"]
        week, month = timebank.time_bank.position(1), timebank.time_bank.position(2)
        held = timebank.credit_lease.lease_of(1)
        assert held is not None
        assert [(one["time"], one["kind"], one["number"], one["amount_micro"]) for one in told] == [
            (week.matures_at, "deposit matures", 1, 6_000_000),
            (held.due_at, "lease due", 1, 2_050_000),
            (month.matures_at, "deposit matures", 2, 4_000_000),
        ]
        loan = timebank.credit_lending.standing_loan(busy.world.address("member2"))
        owed = busy.told("wallet", "outlook", busy.world.address("member2"))["calendar"]
        assert [(one["time"], one["kind"]) for one in owed] == [
            (loan.due_at, "loan on standing due"),
            (loan.due_at + 7 * DAY, "loan on standing fails"),
        ]
        busy.world.connection.advance_time(loan.due_at + 7 * DAY - busy.world.connection.timestamp())
        busy.done("stranger", "loan", "write-off", busy.world.address("member2"))
        # Still owed, and taken from claims, but nothing of it falls due any more.
        told = busy.told("wallet", "outlook", busy.world.address("member2"))
        assert told["calendar"] == []
        assert amounts(told, "loan on standing")[0] > 0
        lent = busy.told("wallet", "outlook", busy.world.address("member3"))["calendar"]
        assert [(one["kind"], one["amount_micro"]) for one in lent] == [("lease lent due", 2_049_000)]


@pytest.mark.anvil
class TestStanding:
    def test_by_epoch(self, busy: Stage) -> None:
        busy.world.connection.advance_time(3 * DAY)
        busy.next_epoch()
        member, folder = busy.world.address("member2"), busy.folder / "epochs"
        told = busy.told("wallet", "outlook", member)
        (standing,) = told["standings"]
        decay_k = load_policy("identity").decay_k
        epochs = {number: read_epoch(folder, number) for number in (1, 2, 3)}
        index = {number: one.accounts.find(bytes.fromhex(member[2:])) for number, one in epochs.items()}
        end = epochs[3].header.end_ms

        def left(amount: int, milliseconds: int) -> int:
            return amount * weight(milliseconds, decay_k) >> 31

        whole = int(epochs[3].accounts.standing[index[3]])
        assert (standing["standing_micro"], standing["epoch"], standing["end_ms"]) == (whole, 3, end)
        assert standing["left_micro"] == [left(whole, date * 1000 - end) for date in told["dates"]]
        rest = whole
        for part in standing["epochs"]:
            if part["epoch"] is None:
                continue
            earned = int(epochs[part["epoch"]].accounts.earned[index[part["epoch"]]])
            now = earned
            for number in range(part["epoch"] + 1, 4):
                now = left(now, epochs[number].header.end_ms - epochs[number - 1].header.end_ms)
            rest -= now
            assert part["earned_micro"] == earned
            assert part["left_micro"] == [left(now, date * 1000 - end) for date in told["dates"]]
        assert {part["epoch"] for part in standing["epochs"]} - {None} == {1, 2, 3}
        # What is not explained are units lost to rounding, one an epoch at most.
        assert [part["earned_micro"] for part in standing["epochs"] if part["epoch"] is None] in ([], [rest])
        assert 0 <= rest <= 3
        fading = [part["left_micro"][0] - part["left_micro"][1] for part in standing["epochs"]]
        assert fading == sorted(fading, reverse=True)
        text = run("wallet", "outlook", member)
        assert "of epoch 3" in text.out and "can be owed on it" in text.out

    def test_of_a_linked_placeholder(self, busy: Stage) -> None:
        link = ["wallet", "link"]
        busy.done("registrar", *link, "request", NOBODY, SOMEBODY)
        busy.world.connection.advance_time(7_201)
        busy.done("stranger", *link, "confirm", NOBODY)
        told = busy.told("wallet", "outlook", SOMEBODY)
        assert [one["account"] for one in told["standings"]] == [placeholder_of(NOBODY)]
        assert amounts(told, "claimable")[0] > 0

    def test_without_epochs(self, busy: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("TIMEBANK_EPOCHS")
        member = busy.world.address("member1")
        told = busy.told("wallet", "outlook", member)
        assert told["standings"] == []
        assert "claimable" not in {row["kind"] for row in told["rows"]}
        assert "--epochs" in run("wallet", "outlook", member).err


def _points(chart: ElementTree.Element) -> list[tuple[float, float]]:
    found = []
    for line in chart.iter(f"{SVG}polyline"):
        for point in str(line.get("points")).split():
            x, y = point.split(",")
            found.append((float(x), float(y)))
    return found


@pytest.mark.anvil
class TestChart:
    def test_is_readable(self, busy: Stage, tmp_path: Path) -> None:
        path = tmp_path / "outlook.svg"
        told = busy.told("wallet", "outlook", busy.world.address("member1"), "--svg", path)
        assert told["svg"] == str(path)
        chart = ElementTree.fromstring(path.read_text())  # noqa: S314 - our own text
        width, height = (float(number) for number in str(chart.get("viewBox")).split()[2:])
        points = _points(chart)
        assert len(points) > 200
        assert all(84 <= x <= width - 196 and 52 <= y <= height - 64 for x, y in points)
        words = [str(text.text) for text in chart.iter(f"{SVG}text")]
        for word in (
            "credits",
            "standing (value)",
            "today",
            "30 d",
            "90 d",
            "days from today",
            "deposits",
            "owed",
        ):
            assert word in words, word
        # Nothing is fetched from elsewhere, nothing runs.
        assert not re.search(r"(href|script|style=|url\()", path.read_text())

    def test_of_somebody_with_nothing(self, busy: Stage, tmp_path: Path) -> None:
        path = tmp_path / "empty.svg"
        busy.told("wallet", "outlook", SIGNERS["proposer"].address, "--svg", path)
        chart = ElementTree.fromstring(path.read_text())  # noqa: S314 - our own text
        assert len({y for _, y in _points(chart)}) == 1

    def test_that_cannot_be_written(self, busy: Stage, tmp_path: Path) -> None:
        ran = run(*("wallet", "outlook", SOMEBODY, "--svg", tmp_path / "no" / "such.svg", "--json"))
        assert ran.code == 1
        assert "such.svg" in ran.error["where"]


@pytest.mark.anvil
class TestStatement:
    def test_with_accruals(self, busy: Stage) -> None:
        busy.world.connection.advance_time(WEEK + 60)
        busy.done("member1", "deposit", "collect", 1)
        member, timebank = busy.world.address("member1"), busy.world.timebank
        told = busy.told("wallet", "statement", member)
        assert [one["kind"] for one in told["movements"]] == [
            "claim",
            "deposit",
            "deposit",
            "deposit",
            "loan",
            "lease principal",
            "income",
        ]
        income = told["movements"][-1]
        assert income["receipt_id"] == 1
        assert income["parts"] == {"income_micro": income["amount_micro"] + income["fee_micro"]}
        paid = next(one for one in told["accruals"] if one["kind"] == "income paid")
        assert (paid["receipt_id"], paid["amount_micro"]) == (1, -income["parts"]["income_micro"])
        for deposit in told["deposits"]:
            said = timebank.time_bank.income(deposit["receipt_id"], block=told["block"])
            assert deposit["unpaid_income_micro"] == said
        (loan,) = told["loans"]
        assert loan["owed_micro"] == timebank.credit_lending.debt_of(2, block=told["block"])

        plain, wide = run("wallet", "statement", member), run("wallet", "statement", member, "--accruals")
        assert "Accruals" not in plain.out
        assert "receipt 1, income" in plain.out
        assert "deposit 1: income" in wide.out and "loan 2:" in wide.out
        rows = list(csv.DictReader(io.StringIO(run("wallet", "statement", member, "--csv").out)))
        assert rows[-1]["parts"] == f"income_micro={income['parts']['income_micro']}"
        accruals = run("wallet", "statement", member, "--csv", "--accruals").out
        kinds = [row["kind"] for row in csv.DictReader(io.StringIO(accruals))]
        assert kinds == [one["kind"] for one in told["accruals"]]

        supplier = busy.world.address("member3")
        shares = busy.told("wallet", "statement", supplier)["supply"]
        lending = timebank.credit_lending
        assert shares["shares"] == lending.balance_of(supplier)
        assert shares["worth_micro"] == lending.convert_to_assets(shares["shares"])
        assert "pool shares: worth" in run("wallet", "statement", supplier, "--accruals").out
        assert told["supply"] is None
