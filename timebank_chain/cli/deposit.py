"""``timebank deposit``: deposits that earn what was really paid in, each a receipt in the wallet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from timebank_chain.cli import deposit_order
from timebank_chain.cli.options import (
    DEFAULT_RPC_URL,
    MAX_NUMBER,
    Account,
    Amount,
    AsJson,
    DeploymentFile,
    DryRun,
    FromAddress,
    Keystore,
    PasswordFile,
    RpcUrl,
    To,
    Yes,
    account_of,
    amount_micro,
    open_signer,
    open_system,
    receiver_of,
    whole_seconds,
)
from timebank_chain.cli.output import out, print_json, print_table, say
from timebank_chain.cli.pictures import check_place, write_picture
from timebank_chain.cli.writes import perform
from timebank_chain.errors import UsageError
from timebank_chain.units import format_duration, format_micro, format_time, mul_div_up

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eth_typing import ChecksumAddress

    from timebank_chain.chain.portfolio import HeldDeposit
    from timebank_chain.chain.system import Timebank
    from timebank_chain.chain.time_bank import Position, Term
    from timebank_chain.chain.transactions import Receipt

app = typer.Typer(
    help=(
        "Deposit credits and earn a share of what fees and interest really bring in; no interest is promised."
        "\n\nExample: timebank deposit open 10 --term week --from 0x..."
    ),
    no_args_is_help=True,
)
app.add_typer(deposit_order.app, name="order")

PERMIT_SECONDS = 3_600
ONE_BPS = 10_000
#: How far a quote for a demand deposit looks ahead when nobody says otherwise.
DEMAND_HORIZON_SECONDS = 30 * 86_400

ReceiptId = Annotated[
    int, typer.Argument(metavar="ID", min=1, max=MAX_NUMBER, help="Number of the deposit's receipt.")
]
TermName = Annotated[
    str, typer.Option("--term", metavar="NAME|N", help="demand, day, week, month, or a number of `terms`.")
]


@app.command("terms")
def terms_command(
    rpc_url: RpcUrl = DEFAULT_RPC_URL, deployment: DeploymentFile = None, as_json: AsJson = False
) -> None:
    """List the kinds of deposit, and what income waits to be shared out.

    Example: timebank deposit terms
    """
    timebank = open_system(rpc_url, deployment)
    bank, block = timebank.time_bank, timebank.connection.block_number()
    terms, books = bank.terms(block=block), bank.books(block=block)
    fee_bps, release = bank.income_fee_bps(block=block), bank.release_seconds(block=block)
    waiting = timebank.fee_pool.accounts(block=block).depositors
    if as_json:
        body = {
            "block": block,
            "terms": [_term_json(term) for term in terms],
            "income_fee_bps": fee_bps,
            "release_seconds": release,
            "min_deposit_micro": bank.min_deposit(),
            "principal_micro": books.principal,
            "pending_micro": books.pending,
            "owed_micro": books.owed,
            "uncollected_micro": waiting,
        }
        print_json("timebank.deposit.terms/1", body)
        return
    print_table(
        "Terms",
        [">", "name", ">bound for", ">weight", ">early exit costs", "new deposits"],
        [
            (
                term.term_id,
                term.name,
                format_duration(term.duration * 1_000) if term.duration else "no time",
                f"{term.multiplier_milli / 1_000:g}",
                f"{term.penalty_bps / 100:g} %",
                "open" if term.open else "closed",
            )
            for term in terms
        ],
    )
    print_table(
        "The bank",
        ["", ">"],
        [
            ("deposited", format_micro(books.principal)),
            ("income earned, not paid yet", format_micro(books.owed)),
            ("income to be shared out", format_micro(books.pending)),
            ("more waits in the fee pool", format_micro(waiting)),
            ("fee on income", f"{fee_bps / 100:g} %"),
            ("half is shared out after", format_duration(release * 1_000)),
        ],
    )


@app.command("quote")
def quote(
    amount: Amount,
    term: TermName = "demand",
    horizon: Annotated[
        str | None,
        typer.Option("--for", metavar="TIME", help="Look so far ahead (default: the term; 30d for demand)."),
    ] = None,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    as_json: AsJson = False,
) -> None:
    """Say what a deposit would earn if no more income came in than waits now. Nothing of it is promised.

    Example: timebank deposit quote 10 --term week
    """
    from timebank_chain.chain.deposits import find_term, quote_deposit

    micro = amount_micro(amount)
    seconds = None if horizon is None else whole_seconds(horizon, "--for", least=1)
    timebank = open_system(rpc_url, deployment)
    connection, bank = timebank.connection, timebank.time_bank
    chosen = find_term(bank.terms(), term)
    now = connection.pending_timestamp()
    quoted = quote_deposit(
        bank,
        micro,
        chosen,
        seconds=seconds or chosen.duration or DEMAND_HORIZON_SECONDS,
        now=now,
        uncollected=timebank.fee_pool.accounts().depositors,
    )
    matures_at = now + chosen.duration
    if as_json:
        body = {
            "amount_micro": micro,
            "term": _term_json(chosen),
            "matures_at": matures_at,
            "penalty_micro": quoted.penalty,
            "pending_micro": quoted.pending,
            "uncollected_micro": quoted.uncollected,
            "share_ppm": quoted.share_ppm,
            "until": quoted.until,
            "income_micro": quoted.income,
            "fee_micro": quoted.fee,
            "promised": False,
        }
        print_json("timebank.deposit.quote/1", body)
        return
    print_table(
        f"{format_micro(micro)} credits, {chosen.name}",
        ["", ">"],
        [
            ("matures", format_time(matures_at * 1_000) if chosen.duration else "at any time"),
            ("early exit costs", f"{format_micro(quoted.penalty)} and all income"),
            ("share of the income", f"{quoted.share_ppm / 10_000:.4f} %"),
            ("income to be shared out", format_micro(quoted.pending)),
            (f"of it by {format_time(quoted.until * 1_000)}", format_micro(quoted.income)),
            ("fee on that", format_micro(quoted.fee)),
        ],
    )
    say("an estimate from what waits now; what comes in, and who else deposits, nobody knows")


@app.command("open")
def open_command(
    amount: Amount,
    term: TermName,
    owner: Annotated[
        str | None,
        typer.Option("--owner", metavar="ADDRESS", help="Who gets the receipt (default: your wallet)."),
    ] = None,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    keystore: Keystore = None,
    password_file: PasswordFile = None,
    sender: FromAddress = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Deposit credits and get a receipt; who holds the receipt disposes of the deposit.

    One transaction: the deposit brings a signed permit along, no approval is needed before.

    Example: timebank deposit open 10 --term week --from 0x...
    """
    from timebank_chain.chain.addresses import parse_address
    from timebank_chain.chain.deposits import find_term

    micro = amount_micro(amount)
    named = None if owner is None else parse_address(owner, what="--owner")
    timebank = open_system(rpc_url, deployment)
    _require_outside(timebank, named)
    signer = open_signer(keystore, sender, password_file)
    bank, credit = timebank.time_bank, timebank.attention_credit
    chosen, holder = find_term(bank.terms(), term), named or signer.address
    now = timebank.connection.pending_timestamp()
    if credit.allowance(signer.address, bank.address) >= micro:
        call = bank.deposit(micro, chosen.term_id, holder)
    else:
        permit = credit.sign_permit(signer, bank.address, micro, now + PERMIT_SECONDS)
        call = bank.deposit_with_permit(micro, chosen.term_id, holder, permit)
    receipt = perform(
        timebank,
        signer,
        call,
        question=f"deposit {format_micro(micro)} credits, {_bound(chosen, now)}?",
        schema="timebank.deposit.open/1",
        facts={
            "receipt_id": None,
            "owner": holder,
            "amount_micro": micro,
            "term": _term_json(chosen),
            "matures_at": now + chosen.duration,
        },
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
        learn=_opened,
    )
    if receipt.sent and not as_json:
        number = _opened(receipt).get("receipt_id")
        out().print(f"receipt {number}; see it: timebank deposit show {number} --svg FILE")


def _require_outside(timebank: Timebank, owner: ChecksumAddress | None) -> None:
    """Refuse an owner that could never dispose of the deposit."""
    name = next((name for name, address in timebank.addresses().items() if address == owner), None)
    if name is not None:
        raise UsageError(
            f"--owner {owner} is the deployment's {name}: the deposit would be lost",
            hint="give a wallet's address, or leave --owner out for your own",
        )


def _opened(receipt: Receipt) -> Mapping[str, Any]:
    from timebank_chain.chain.bank_events import Deposited
    from timebank_chain.chain.events import decode_logs

    for event in decode_logs(receipt.logs, (Deposited,)):
        if isinstance(event, Deposited):
            return {"receipt_id": event.receipt_id, "matures_at": event.matures_at}
    return {}


@app.command("close")
def close(
    receipt_id: ReceiptId,
    early: Annotated[
        bool, typer.Option("--early", help="Close before maturity: pay the penalty, forfeit the income.")
    ] = False,
    to: To = None,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    keystore: Keystore = None,
    password_file: PasswordFile = None,
    sender: FromAddress = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Close a deposit: principal and income, less the fee on income, come back.

    Before maturity it refuses, unless --early is given; then it says first what that costs.

    Example: timebank deposit close 7 --from 0x...

    Example: timebank deposit close 7 --early --from 0x...
    """
    from timebank_chain.chain.bank_reverts import NotMature

    receiver = receiver_of(to)
    timebank = open_system(rpc_url, deployment)
    bank, at = timebank.time_bank, timebank.connection.simulation_block
    position, now = bank.position(receipt_id, block=at), timebank.connection.pending_timestamp()
    signer = open_signer(keystore, sender, password_file)
    _require_holder(timebank, receipt_id, signer.address)
    mature = now >= position.matures_at
    if not (mature or early):
        refusal = NotMature({"id": receipt_id, "maturesAt": position.matures_at, "current": now})
        refusal.hint = (
            f"wait, or close it now and pay the penalty: timebank deposit close {receipt_id} --early"
        )
        raise refusal
    paid_to = receiver or signer.address
    income = bank.income(receipt_id, block=at)
    if mature:
        fee, penalty, forfeited = mul_div_up(income, bank.income_fee_bps(block=at), ONE_BPS), 0, 0
        paid = position.principal + income - fee
        question = f"close deposit {receipt_id}: {format_micro(paid)} credits come back?"
        call = bank.withdraw(receipt_id, paid_to)
        if early and not as_json:
            say("the deposit is mature: closing it costs nothing")
    else:
        fee, forfeited = 0, income
        penalty = mul_div_up(position.principal, bank.term(position.term_id, block=at).penalty_bps, ONE_BPS)
        paid = position.principal - penalty
        cost = (
            f"{format_micro(penalty)} credits of penalty and {format_micro(forfeited)} of income are lost, "
            f"{format_micro(paid)} come back; it matures at {format_time(position.matures_at * 1_000)}"
        )
        say(f"closing deposit {receipt_id} early: {cost}")
        question = f"close deposit {receipt_id} early and lose {format_micro(penalty + forfeited)} credits?"
        call = bank.exit_early(receipt_id, paid_to)
    perform(
        timebank,
        signer,
        call,
        question=question,
        schema="timebank.deposit.close/1",
        facts={
            "receipt_id": receipt_id,
            "receiver": paid_to,
            "early": not mature,
            "principal_micro": position.principal,
            "income_micro": income,
            "fee_micro": fee,
            "penalty_micro": penalty,
            "forfeited_micro": forfeited,
            "paid_micro": paid,
        },
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
        learn=_closed,
    )


def _require_holder(timebank: Timebank, receipt_id: int, account: ChecksumAddress) -> None:
    """Refuse whoever may not dispose of a deposit, before anything is said about it."""
    from timebank_chain.chain.bank_reverts import NotReceiptHolder

    bank = timebank.time_bank
    owner = bank.owner_of(receipt_id, block=timebank.connection.simulation_block)
    if account in (owner, bank.approved(receipt_id)) or bank.is_approved_for_all(owner, account):
        return
    raise NotReceiptHolder({"id": receipt_id, "caller": account})


def _closed(receipt: Receipt) -> Mapping[str, Any]:
    """Say what was paid, to the unit: income goes on between question and block."""
    from timebank_chain.chain.bank_events import ExitedEarly, Withdrawn
    from timebank_chain.chain.events import decode_logs

    for event in decode_logs(receipt.logs, (Withdrawn, ExitedEarly)):
        if isinstance(event, Withdrawn):
            return {
                "income_micro": event.income,
                "fee_micro": event.fee,
                "paid_micro": event.principal + event.income - event.fee,
            }
        if isinstance(event, ExitedEarly):
            return {
                "income_micro": event.forfeited,
                "forfeited_micro": event.forfeited,
                "penalty_micro": event.penalty,
                "paid_micro": event.principal - event.penalty,
            }
    return {}


@app.command("list")
def list_command(
    account: Account = None,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    keystore: Keystore = None,
    sender: FromAddress = None,
    as_json: AsJson = False,
) -> None:
    """List an account's deposits, pledged ones too, with what each is worth at one block.

    Example: timebank deposit list 0x...
    """
    from timebank_chain.chain.portfolio import read_portfolio

    whose = account_of(account, keystore, sender)
    timebank = open_system(rpc_url, deployment)
    portfolio = read_portfolio(timebank, whose)
    if as_json:
        body = {
            "account": whose,
            "block": portfolio.block,
            "time": portfolio.time,
            "deposits": [_deposit_json(one) for one in portfolio.deposits],
        }
        print_json("timebank.deposit.list/1", body)
        return
    if not portfolio.deposits:
        say(f"{whose} has no deposit at block {portfolio.block}; make one: timebank deposit open")
        return
    print_table(
        f"{whose}, block {portfolio.block}",
        [">receipt", "term", ">principal", ">income", ">closing pays", "matures", "held by"],
        [
            (
                one.receipt_id,
                one.term.name,
                format_micro(one.principal),
                format_micro(one.income),
                format_micro(one.exit_value),
                _matures(one.term, one.matures_at, mature=one.mature),
                _holder(one),
            )
            for one in portfolio.deposits
        ],
    )


@app.command("show")
def show(
    receipt_id: ReceiptId,
    svg: Annotated[
        Path | None,
        typer.Option("--svg", metavar="FILE", help="Write the receipt's on-chain picture there."),
    ] = None,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    as_json: AsJson = False,
) -> None:
    """Show a deposit and its receipt, whoever holds it; --svg keeps the picture a wallet shows.

    Example: timebank deposit show 7 --svg receipt.svg
    """
    from timebank_chain.chain.deposits import read_metadata

    if svg is not None:
        check_place(svg)
    timebank = open_system(rpc_url, deployment)
    bank, block = timebank.time_bank, timebank.connection.block_number()
    position, owner = bank.position(receipt_id, block=block), bank.owner_of(receipt_id, block=block)
    term = bank.term(position.term_id, block=block)
    income, worth = bank.income(receipt_id, block=block), bank.exit_value(receipt_id, block=block)
    mature = _time(timebank, block) >= position.matures_at
    metadata = read_metadata(bank.token_uri(receipt_id, block=block))
    if svg is not None:
        write_picture(svg, metadata.svg)
    if as_json:
        body = {
            "receipt_id": receipt_id,
            "block": block,
            "owner": owner,
            "term": _term_json(term),
            "principal_micro": position.principal,
            "income_micro": income,
            "exit_value_micro": worth,
            "matures_at": position.matures_at,
            "mature": mature,
            "svg": None if svg is None else str(svg),
            "metadata": {name: value for name, value in metadata.document.items() if name != "image"},
        }
        print_json("timebank.deposit.show/1", body)
        return
    print_table(
        str(metadata.document.get("name", f"receipt {receipt_id}")),
        ["", ""],
        [
            ("receipt", receipt_id),
            ("holder", _named(timebank, owner)),
            ("term", _term_words(term)),
            ("principal", format_micro(position.principal)),
            ("income so far", format_micro(income)),
            ("closing pays", f"{format_micro(worth)} at block {block}"),
            ("matures", _matures(term, position.matures_at, mature=mature)),
        ],
    )
    if svg is not None:
        say(f"picture: {svg}")


@app.command("collect")
def collect(
    receipt_id: Annotated[
        int | None,
        typer.Argument(
            metavar="[ID]",
            min=1,
            max=MAX_NUMBER,
            help="Pay out this deposit's income; without it, take in what all share.",
        ),
    ] = None,
    to: To = None,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    keystore: Keystore = None,
    password_file: PasswordFile = None,
    sender: FromAddress = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Pay out the income of a mature or demand deposit, which goes on.

    Without ID: take the depositors' part of the fees into the bank, for everybody; anyone may.

    Example: timebank deposit collect 7 --from 0x...

    Example: timebank deposit collect --from 0x...
    """
    receiver = receiver_of(to)
    timebank = open_system(rpc_url, deployment)
    bank, at = timebank.time_bank, timebank.connection.simulation_block
    signer = open_signer(keystore, sender, password_file)
    paid_to = receiver or signer.address
    facts: dict[str, Any]
    if receipt_id is None:
        fees = timebank.fee_pool.accounts(block=at).depositors
        call = bank.collect()
        question = f"take {format_micro(fees)} credits of fees in, for all depositors?"
        facts = {"receipt_id": None, "from_fees_micro": fees, "gifts_micro": 0}
    else:
        _require_holder(timebank, receipt_id, signer.address)
        income = bank.income(receipt_id, block=at)
        fee = mul_div_up(income, bank.income_fee_bps(block=at), ONE_BPS)
        call = bank.collect_income(receipt_id, paid_to)
        question = f"pay out {format_micro(income - fee)} credits that deposit {receipt_id} has earned?"
        facts = {
            "receipt_id": receipt_id,
            "receiver": paid_to,
            "income_micro": income,
            "fee_micro": fee,
            "paid_micro": income - fee,
        }
    perform(
        timebank,
        signer,
        call,
        question=question,
        schema="timebank.deposit.collect/1",
        facts=facts,
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
        learn=_collected,
    )


def _collected(receipt: Receipt) -> Mapping[str, Any]:
    from timebank_chain.chain.bank_events import IncomeCollected, IncomeReceived
    from timebank_chain.chain.events import decode_logs

    for event in decode_logs(receipt.logs, (IncomeCollected, IncomeReceived)):
        if isinstance(event, IncomeCollected):
            return {
                "income_micro": event.income,
                "fee_micro": event.fee,
                "paid_micro": event.income - event.fee,
            }
        if isinstance(event, IncomeReceived):
            return {"from_fees_micro": event.from_fees, "gifts_micro": event.gifts}
    return {}


@app.command("roll")
def roll(
    receipt_id: ReceiptId,
    term: TermName,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    keystore: Keystore = None,
    password_file: PasswordFile = None,
    sender: FromAddress = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Start a mature or demand deposit anew under a term; its income, less the fee, is added to it.

    Example: timebank deposit roll 7 --term month --from 0x...
    """
    from timebank_chain.chain.deposits import find_term

    timebank = open_system(rpc_url, deployment)
    bank, at = timebank.time_bank, timebank.connection.simulation_block
    chosen = find_term(bank.terms(), term)
    now = timebank.connection.pending_timestamp()
    position = bank.position(receipt_id, block=at)
    signer = open_signer(keystore, sender, password_file)
    _require_holder(timebank, receipt_id, signer.address)
    perform(
        timebank,
        signer,
        bank.roll_over(receipt_id, chosen.term_id),
        question=f"start deposit {receipt_id} anew, {_bound(chosen, now)}?",
        schema="timebank.deposit.roll/1",
        facts=_renewal_facts(timebank, receipt_id, position, chosen, now),
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
        learn=_rolled,
    )


@app.command("lapse")
def lapse(
    receipt_id: ReceiptId,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    keystore: Keystore = None,
    password_file: PasswordFile = None,
    sender: FromAddress = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Move a mature term deposit to demand, its income added to it; anyone may, for anyone's.

    Example: timebank deposit lapse 7 --from 0x...
    """
    timebank = open_system(rpc_url, deployment)
    bank, at = timebank.time_bank, timebank.connection.simulation_block
    position, demand = bank.position(receipt_id, block=at), bank.term(0, block=at)
    now = timebank.connection.pending_timestamp()
    perform(
        timebank,
        open_signer(keystore, sender, password_file),
        bank.lapse(receipt_id),
        question=f"move deposit {receipt_id} to demand?",
        schema="timebank.deposit.lapse/1",
        facts=_renewal_facts(timebank, receipt_id, position, demand, now),
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
        learn=_rolled,
    )


def _renewal_facts(
    timebank: Timebank, receipt_id: int, position: Position, term: Term, now: int
) -> dict[str, Any]:
    bank, at = timebank.time_bank, timebank.connection.simulation_block
    income = bank.income(receipt_id, block=at)
    fee = mul_div_up(income, bank.income_fee_bps(block=at), ONE_BPS)
    return {
        "receipt_id": receipt_id,
        "term": _term_json(term),
        "income_micro": income,
        "fee_micro": fee,
        "principal_micro": position.principal + income - fee,
        "matures_at": now + term.duration,
    }


def _rolled(receipt: Receipt) -> Mapping[str, Any]:
    from timebank_chain.chain.bank_events import RolledOver
    from timebank_chain.chain.events import decode_logs

    for event in decode_logs(receipt.logs, (RolledOver,)):
        if isinstance(event, RolledOver):
            return {
                "income_micro": event.income,
                "fee_micro": event.fee,
                "principal_micro": event.principal,
                "matures_at": event.matures_at,
            }
    return {}


def _time(timebank: Timebank, block: int) -> int:
    return int(timebank.connection.w3.eth.get_block(block)["timestamp"])


def _bound(term: Term, now: int) -> str:
    if term.duration == 0:
        return "payable at any time"
    return f"bound until {format_time((now + term.duration) * 1_000)}"


def _term_words(term: Term) -> str:
    bound = format_duration(term.duration * 1_000) if term.duration else "not bound"
    return (
        f"{term.name} (term {term.term_id}): {bound}, weight {term.multiplier_milli / 1_000:g}, "
        f"early exit costs {term.penalty_bps / 100:g} %"
    )


def _matures(term: Term, matures_at: int, *, mature: bool) -> str:
    if term.duration == 0:
        return "at any time"
    return format_time(matures_at * 1_000) + (" (mature)" if mature else "")


def _holder(deposit: HeldDeposit) -> str:
    if deposit.creditor is None:
        return "the wallet"
    return "the lending pool" if deposit.lease_id is None else f"lease {deposit.lease_id}"


def _named(timebank: Timebank, owner: str) -> str:
    rooms = {
        timebank.credit_lending.address: "the lending pool",
        timebank.credit_lease.address: "the lease contract",
    }
    return f"{owner} ({rooms[owner]})" if owner in rooms else owner  # type: ignore[index]  # checksummed like the keys


def _term_json(term: Term) -> dict[str, Any]:
    return {
        "term_id": term.term_id,
        "name": term.name,
        "duration": term.duration,
        "multiplier_milli": term.multiplier_milli,
        "penalty_bps": term.penalty_bps,
        "open": term.open,
    }


def _deposit_json(deposit: HeldDeposit) -> dict[str, Any]:
    return {
        "receipt_id": deposit.receipt_id,
        "term": _term_json(deposit.term),
        "principal_micro": deposit.principal,
        "income_micro": deposit.income,
        "exit_value_micro": deposit.exit_value,
        "matures_at": deposit.matures_at,
        "mature": deposit.mature,
        "creditor": None if deposit.creditor is None else deposit.creditor.value,
        "lease_id": deposit.lease_id,
    }
