"""The commands of ``timebank loan`` that are about the pool: its state, its supply, its upkeep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from timebank_chain.cli.loan_calls import (
    accept_call,
    approvals,
    moment,
    percent,
    policy_in_force,
    require_balance,
)
from timebank_chain.cli.loan_warnings import pool_warnings, ways_out
from timebank_chain.cli.options import (
    DEFAULT_RPC_URL,
    MAX_NUMBER,
    Amount,
    AsJson,
    DeploymentFile,
    DryRun,
    EpochsFolder,
    FromAddress,
    Keystore,
    PasswordFile,
    RpcUrl,
    To,
    Yes,
    amount_micro,
    open_signer,
    open_system,
    receiver_of,
    require_epochs,
)
from timebank_chain.cli.output import out, print_json, print_table, say
from timebank_chain.cli.writes import perform, perform_all
from timebank_chain.errors import CheckFailed, UsageError
from timebank_chain.units import format_duration, format_micro

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eth_typing import ChecksumAddress

    from timebank_chain.chain.open_items import BadLoans
    from timebank_chain.chain.system import Timebank
    from timebank_chain.chain.transactions import Receipt

app = typer.Typer()


@app.command("pool")
def pool_command(
    rpc_url: RpcUrl = DEFAULT_RPC_URL, deployment: DeploymentFile = None, as_json: AsJson = False
) -> None:
    """Show the lending pool: rates a year, utilisation, cash, debts, fees owed, settings, at one block.

    Loans that are not covered any more or have failed are listed with the command that closes them. While
    there are any nobody knows what suppliers earn, and no yield is shown.

    Example: timebank loan pool
    """
    from timebank_chain.chain.loans import read_pool, yearly_ppm
    from timebank_chain.chain.open_items import read_bad_loans

    timebank = open_system(rpc_url, deployment)
    block = timebank.connection.block_number()
    pool = read_pool(timebank, block=block)
    books, risk = pool.books, pool.risk
    bad = read_bad_loans(timebank, block=block, now=books.accrued_at)
    if as_json:
        body = {
            "block": block,
            "time": books.accrued_at,
            "total_assets_micro": books.total_assets,
            "cash_micro": books.cash,
            "debt_micro": books.debt,
            "unsecured_micro": pool.unsecured,
            "unsecured_cap_micro": pool.unsecured_cap,
            "fees_owed_micro": books.fees_owed,
            "reserve_micro": pool.reserve,
            "share_supply": pool.share_supply,
            "utilisation_wad": pool.utilisation,
            "borrow_rate_wad": pool.borrow_rate,
            "borrow_year_ppm": yearly_ppm(pool.borrow_rate),
            "supply_year_ppm": None if bad else yearly_ppm(pool.supply_rate),
            "rate_at_target_wad": books.rate_at_target,
            "paused": books.paused,
            "risk": dict(vars(risk)),
            **_bad_json(bad),
        }
        print_json("timebank.loan.pool/1", body)
        return
    print_table(
        f"Lending pool, block {block}",
        ["", ">"],
        [
            ("supplied, with interest", format_micro(books.total_assets)),
            ("lent out", format_micro(books.debt)),
            (
                "of it on standing",
                f"{format_micro(pool.unsecured)} of at most {format_micro(pool.unsecured_cap)}",
            ),
            ("cash", format_micro(books.cash)),
            ("utilisation", f"{pool.utilisation / 10**16:.2f} %"),
            ("borrowers pay a year", percent(yearly_ppm(pool.borrow_rate))),
            ("suppliers earn a year", "unknown: see below" if bad else percent(yearly_ppm(pool.supply_rate))),
            ("fees owed to the fee pool", format_micro(books.fees_owed)),
            ("reserve against losses", format_micro(pool.reserve)),
            ("borrowing", "paused" if books.paused else "open"),
            ("a receipt carries", f"{risk.max_ltv_bps / 100:g} % of what closing it pays"),
            ("it is liquidated above", f"{risk.liquidation_ltv_bps / 100:g} %"),
            ("standing carries", f"{risk.standing_bps / 100:g} % of its worth"),
            ("a loan on standing is due in", format_duration(risk.standing_term * 1_000)),
            ("and written off after", format_duration(risk.grace * 1_000) if risk.grace else "no time"),
            ("smallest loan", format_micro(risk.min_loan)),
        ],
    )
    if bad:
        _print_bad(bad)
    say("rates follow utilisation and move with every loan and repayment")


def _bad_json(bad: BadLoans) -> dict[str, Any]:
    return {
        "uncovered": [
            {
                "receipt_id": one.receipt_id,
                "debt_micro": one.debt,
                "worth_micro": one.worth,
                "lost_micro": one.lost,
            }
            for one in bad.uncovered
        ],
        "failed": [
            {"borrower": one.borrower, "debt_micro": one.debt, "failed_at": one.failed_at}
            for one in bad.failed
        ],
        "lost_micro": bad.lost,
        "warnings": [one.to_json() for one in pool_warnings(bad)],
    }


def _print_bad(bad: BadLoans) -> None:
    rows = [
        (
            f"receipt {one.receipt_id} is not enough",
            format_micro(one.debt),
            format_micro(one.lost),
            f"timebank loan liquidate {one.receipt_id}",
        )
        for one in bad.uncovered
    ]
    rows += [
        (
            f"failed at {moment(one.failed_at)}",
            format_micro(one.debt),
            format_micro(one.debt),
            f"timebank loan write-off {one.borrower}",
        )
        for one in bad.failed
    ]
    print_table("Loans to be closed; anyone may", ["why", ">owed", ">lost", "command"], rows)
    out().print(
        f"{format_micro(bad.lost)} credits are lost and stand in the pool's worth all the same; "
        "the reserve may pay a part"
    )


@app.command("supply")
def supply(
    amount: Amount,
    accept_losses: Annotated[
        bool, typer.Option("--accept-losses", help="Supply even while losses are not booked yet.")
    ] = False,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    keystore: Keystore = None,
    password_file: PasswordFile = None,
    sender: FromAddress = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Supply credits to the pool for a share of the interest; losses are shared too.

    The pool takes no permit: the amount is approved first, in a transaction of its own. While a loan is not
    covered any more or has failed, its loss is not booked yet: who supplies then pays for it. That is refused
    (exit 3) with the commands that close such loans, unless --accept-losses is given.

    Example: timebank loan supply 10 --from 0x...
    """
    micro = amount_micro(amount)
    timebank = open_system(rpc_url, deployment)
    bad = _bad_loans_now(timebank)
    if bad and not accept_losses:
        raise _losses_ahead(timebank, bad)
    signer = open_signer(keystore, sender, password_file)
    lending = timebank.credit_lending
    require_balance(timebank, signer.address, micro)
    perform_all(
        timebank,
        signer,
        [*approvals(timebank, signer, micro), lending.deposit(micro, signer.address)],
        question=f"supply {format_micro(micro)} credits to the lending pool"
        + (f", which is about to lose {format_micro(bad.lost)}?" if bad else "?"),
        schema="timebank.loan.supply/1",
        facts={"amount_micro": micro, "shares": lending.preview_deposit(micro), "lost_micro": bad.lost},
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
        learn=_supplied,
    )


def _bad_loans_now(timebank: Timebank) -> BadLoans:
    from timebank_chain.chain.open_items import read_bad_loans

    connection = timebank.connection
    return read_bad_loans(timebank, block=connection.block_number(), now=connection.pending_timestamp())


def _losses_ahead(timebank: Timebank, bad: BadLoans) -> CheckFailed:
    reserve = timebank.fee_pool.accounts().reserve
    total = timebank.credit_lending.total_assets()
    return CheckFailed(
        f"of the {format_micro(total)} credits that the pool counts, {format_micro(bad.lost)} are lost and "
        f"not booked yet ({len(bad.uncovered)} uncovered, {len(bad.failed)} failed); the reserve has "
        f"{format_micro(reserve)}: whoever supplies now pays for the rest",
        hint=f"anyone may book them first: {ways_out(bad)}; or supply all the same with --accept-losses",
    )


def _supplied(receipt: Receipt) -> Mapping[str, Any]:
    from timebank_chain.chain.bank_events import Supplied
    from timebank_chain.chain.events import decode_logs

    for event in decode_logs(receipt.logs, (Supplied,)):
        if isinstance(event, Supplied):
            return {"amount_micro": event.assets, "shares": event.shares}
    return {}


@app.command("withdraw")
def withdraw(
    amount: Annotated[
        str | None, typer.Argument(metavar="[CREDITS]", help="Amount in credits: 12 or 12.5.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All your shares, as far as the pool has cash.")
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
    """Take supplied credits and their interest out of the pool again; what is lent out must come back first.

    Example: timebank loan withdraw 2.5 --from 0x...

    Example: timebank loan withdraw --all --from 0x...
    """
    if (amount is None) == (not everything):
        raise UsageError("how much?", hint="give an amount, or --all")
    micro = None if amount is None else amount_micro(amount)
    receiver = receiver_of(to)
    timebank = open_system(rpc_url, deployment)
    signer = open_signer(keystore, sender, password_file)
    lending, at = timebank.credit_lending, timebank.connection.simulation_block
    paid_to = receiver or signer.address
    if micro is not None:
        expected, call = micro, lending.withdraw(micro, paid_to, signer.address)
        question = f"withdraw {format_micro(micro)} credits from the pool?"
    else:
        shares = lending.max_redeem(signer.address, block=at)
        if shares == 0:
            raise _nothing_to_withdraw(timebank, signer.address)
        expected = lending.preview_redeem(shares, block=at)
        call = lending.redeem(shares, paid_to, signer.address)
        question = f"withdraw all that can be, {format_micro(expected)} credits?"
        left = lending.balance_of(signer.address, block=at) - shares
        if left:
            worth = format_micro(lending.convert_to_assets(left, block=at))
            say(f"{worth} credits stay: they are lent out at present")
    perform(
        timebank,
        signer,
        call,
        question=question,
        schema="timebank.loan.withdraw/1",
        facts={"receiver": paid_to, "amount_micro": expected, "shares": None},
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
        learn=_withdrawn,
    )


def _nothing_to_withdraw(timebank: Timebank, account: ChecksumAddress) -> Exception:
    from timebank_chain.chain.bank_reverts import NotEnoughCash
    from timebank_chain.errors import ChainError

    lending = timebank.credit_lending
    shares = lending.balance_of(account)
    if shares == 0:
        return ChainError(f"{account} has supplied nothing", hint="see it: timebank loan list")
    worth = lending.convert_to_assets(shares)
    return NotEnoughCash({"amount": worth, "cash": lending.accrued_books().cash})


def _withdrawn(receipt: Receipt) -> Mapping[str, Any]:
    from timebank_chain.chain.bank_events import SupplyWithdrawn
    from timebank_chain.chain.events import decode_logs

    for event in decode_logs(receipt.logs, (SupplyWithdrawn,)):
        if isinstance(event, SupplyWithdrawn):
            return {"amount_micro": event.assets, "shares": event.shares}
    return {}


@app.command("fees")
def fees(
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    keystore: Keystore = None,
    password_file: PasswordFile = None,
    sender: FromAddress = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Pass the pool's fees and stray credits on to the fee pool, which divides them; anyone may.

    Example: timebank loan fees --from 0x...
    """
    timebank = open_system(rpc_url, deployment)
    lending, at = timebank.credit_lending, timebank.connection.simulation_block
    books = lending.accrued_books(block=at)
    ready = min(books.fees_owed, books.cash)
    strays = timebank.attention_credit.balance_of(lending.address, block=at) - books.cash
    perform(
        timebank,
        open_signer(keystore, sender, password_file),
        lending.pay_fees(),
        question=f"pass {format_micro(ready)} credits of fees and {format_micro(strays)} strays on?",
        schema="timebank.loan.fees/1",
        facts={"fees_micro": ready, "strays_micro": strays},
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
        learn=_fees_paid,
    )


def _fees_paid(receipt: Receipt) -> Mapping[str, Any]:
    from timebank_chain.chain.bank_events import FeesPaid
    from timebank_chain.chain.events import decode_logs

    for event in decode_logs(receipt.logs, (FeesPaid,)):
        if isinstance(event, FeesPaid):
            return {"fees_micro": event.fees, "strays_micro": event.strays}
    return {}


@app.command("liquidate")
def liquidate(
    receipt_id: Annotated[
        int, typer.Argument(metavar="ID", min=1, max=MAX_NUMBER, help="Number of the pledged receipt.")
    ],
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    keystore: Keystore = None,
    password_file: PasswordFile = None,
    sender: FromAddress = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Close a pledge that no longer covers its debt; anyone may, for the incentive.

    Example: timebank loan liquidate 7 --from 0x...
    """
    timebank = open_system(rpc_url, deployment)
    lending, at = timebank.credit_lending, timebank.connection.simulation_block
    debt = lending.debt_of(receipt_id, block=at)
    perform(
        timebank,
        open_signer(keystore, sender, password_file),
        lending.liquidate(receipt_id),
        question=f"liquidate receipt {receipt_id}, on which {format_micro(debt)} credits are owed?",
        schema="timebank.loan.liquidate/1",
        facts={
            "receipt_id": receipt_id,
            "debt_micro": debt,
            "proceeds_micro": None,
            "incentive_micro": None,
            "repaid_micro": None,
            "returned_micro": None,
        },
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
        learn=_liquidated,
    )


def _liquidated(receipt: Receipt) -> Mapping[str, Any]:
    from timebank_chain.chain.bank_events import Liquidated
    from timebank_chain.chain.events import decode_logs

    for event in decode_logs(receipt.logs, (Liquidated,)):
        if isinstance(event, Liquidated):
            return {
                "debt_micro": event.debt,
                "proceeds_micro": event.proceeds,
                "incentive_micro": event.incentive,
                "repaid_micro": event.repaid,
                "returned_micro": event.returned,
            }
    return {}


@app.command("write-off")
def write_off(
    borrower: Annotated[str, typer.Argument(metavar="ADDRESS", help="Whose loan on standing has failed.")],
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    keystore: Keystore = None,
    password_file: PasswordFile = None,
    sender: FromAddress = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Write a loan on standing off when due day and grace are over; anyone may.

    The reserve pays first, then the suppliers. The debt stays: later claims still repay it.

    Example: timebank loan write-off 0x... --from 0x...
    """
    from timebank_chain.chain.addresses import parse_address

    whose = parse_address(borrower, what="ADDRESS")
    timebank = open_system(rpc_url, deployment)
    lending, at = timebank.credit_lending, timebank.connection.simulation_block
    debt = lending.standing_debt_of(whose, block=at)
    perform(
        timebank,
        open_signer(keystore, sender, password_file),
        lending.write_off(whose),
        question=f"write off the {format_micro(debt)} credits that {whose} owes?",
        schema="timebank.loan.write-off/1",
        facts={
            "borrower": whose,
            "debt_micro": debt,
            "from_reserve_micro": None,
            "from_pool_micro": None,
        },
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
        learn=_written_off,
    )


def _written_off(receipt: Receipt) -> Mapping[str, Any]:
    from timebank_chain.chain.bank_events import WrittenOff
    from timebank_chain.chain.events import decode_logs

    for event in decode_logs(receipt.logs, (WrittenOff,)):
        if isinstance(event, WrittenOff):
            return {
                "debt_micro": event.from_reserve + event.from_pool,
                "from_reserve_micro": event.from_reserve,
                "from_pool_micro": event.from_pool,
            }
    return {}


@app.command("accept-policy")
def accept_policy(
    policy: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME|FILE]", help="The policy in force (default: as published beside the epochs)."
        ),
    ] = None,
    epochs: EpochsFolder = None,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    keystore: Keystore = None,
    password_file: PasswordFile = None,
    sender: FromAddress = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Show the pool the policy in force, so that it knows how standing decays; anyone may.

    Example: timebank loan accept-policy --epochs epochs --from 0x...
    """
    folder = require_epochs(epochs) if policy is None else epochs
    timebank = open_system(rpc_url, deployment)
    document = policy_in_force(timebank, folder, policy)
    facts = {
        "policy": document.name,
        "policy_hash": "0x" + timebank.rate_oracle.policy_hash().hex(),
        "decay_k": document.decay_k,
    }
    perform(
        timebank,
        open_signer(keystore, sender, password_file),
        accept_call(timebank, document),
        question=f"show the pool the policy {document.name!r}?",
        schema="timebank.loan.accept-policy/1",
        facts=facts,
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
    )
