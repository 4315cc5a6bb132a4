"""``timebank loan``: borrow from the pool against a receipt or on standing, repay, and supply the pool."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from timebank_chain.cli import loan_pool, wallet_link
from timebank_chain.cli.loan_calls import (
    accept_call,
    approvals,
    moment,
    percent,
    require_balance,
    unknown_policy,
)
from timebank_chain.cli.loan_warnings import read_warnings, say_warnings
from timebank_chain.cli.options import (
    DEFAULT_RPC_URL,
    MAX_NUMBER,
    Account,
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
    account_of,
    amount_micro,
    open_signer,
    open_system,
    receiver_of,
    require_epochs,
    whole_seconds,
)
from timebank_chain.cli.output import out, print_json, print_table, say
from timebank_chain.cli.writes import perform_all
from timebank_chain.errors import CheckFailed, UsageError
from timebank_chain.units import format_duration, format_micro

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eth_typing import ChecksumAddress

    from timebank_chain.chain.loans import LoanQuote
    from timebank_chain.chain.portfolio import Portfolio
    from timebank_chain.chain.signer import Signer
    from timebank_chain.chain.system import Timebank
    from timebank_chain.chain.transactions import Call, Receipt
    from timebank_chain.epoch import AccountProof
    from timebank_chain.valuation import Policy

app = typer.Typer(
    help=(
        "Borrow credits against a deposit's receipt or on proven standing, repay, and supply the pool.\n\n"
        "Example: timebank loan open 5 --receipt 7 --from 0x..."
    ),
    no_args_is_help=True,
)
# Without a name: its commands stand beside these.
app.add_typer(loan_pool.app)

ReceiptOption = Annotated[
    int | None,
    typer.Option(
        "--receipt", metavar="ID", min=1, max=MAX_NUMBER, help="Pledge this deposit's receipt as security."
    ),
]
Standing = Annotated[
    bool, typer.Option("--standing", help="On proven standing, without collateral: claims are pledged.")
]
Member = Annotated[
    str | None,
    typer.Option(
        "--member", metavar="ID", help="The standing of this outside id's placeholder, linked to your wallet."
    ),
]
Target = Annotated[
    int | None,
    typer.Argument(
        metavar="[ID]", min=1, max=MAX_NUMBER, help="Number of the pledged receipt.", show_default=False
    ),
]
PolicyOption = Annotated[
    str | None,
    typer.Option(
        "--policy", metavar="NAME|FILE", help="The policy in force (default: as published beside the epochs)."
    ),
]


@app.command("quote")
def quote_command(
    amount: Amount,
    receipt_id: ReceiptOption = None,
    standing: Standing = False,
    member: Member = None,
    horizon: Annotated[
        str, typer.Option("--for", metavar="TIME", help="Show the interest over this time.")
    ] = "30d",
    epochs: EpochsFolder = None,
    policy: PolicyOption = None,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    keystore: Keystore = None,
    sender: FromAddress = None,
    as_json: AsJson = False,
) -> None:
    """Say what a loan would cost and whether the pool would make it; exit 3 if it would not.

    Nothing is sent. Against a receipt it is asked for whoever holds it, or for the wallet of --from.

    Example: timebank loan quote 5 --receipt 7

    Example: timebank loan quote 5 --standing --epochs epochs --from 0x...
    """
    micro = amount_micro(amount)
    _one_security(receipt_id, standing, member)
    seconds = whole_seconds(horizon, "--for", least=1)
    folder = require_epochs(epochs) if standing else None
    timebank = open_system(rpc_url, deployment)
    if folder is None:
        named = sender is not None or (keystore is not None and keystore.is_file())
        asking = account_of(None, keystore, sender) if named else None
        quoted = _quote_on_receipt(timebank, asking, receipt_id, micro)
    else:
        borrower = account_of(None, keystore, sender)
        unknown = unknown_policy(timebank, folder, policy)
        quoted, _ = _quote_on_standing(timebank, borrower, folder, member, micro, unknown)
    if as_json:
        body = _quote_json(quoted, seconds) | {
            "refused": None
            if quoted.refusal is None
            else {"code": quoted.refusal.code, "message": quoted.refusal.message}
        }
        print_json("timebank.loan.quote/1", body)
        if quoted.refusal is not None:
            raise typer.Exit(CheckFailed.exit_code)
        return
    _print_quote(quoted, seconds)
    if quoted.refusal is not None:
        raise CheckFailed(f"the pool would refuse: {quoted.refusal.message}", hint=quoted.refusal.hint)


def _quote_on_receipt(
    timebank: Timebank, borrower: ChecksumAddress | None, receipt_id: int | None, micro: int
) -> LoanQuote:
    from timebank_chain.chain.loans import quote_on_receipt

    assert receipt_id is not None  # noqa: S101 - one of --receipt and --standing is given
    return quote_on_receipt(timebank, borrower, receipt_id, micro, block=timebank.connection.simulation_block)


def _quote_on_standing(
    timebank: Timebank,
    borrower: ChecksumAddress,
    folder: Path,
    member: str | None,
    micro: int,
    unknown: Policy | None,
) -> tuple[LoanQuote, AccountProof]:
    from timebank_chain.chain.claiming import prove_account
    from timebank_chain.chain.loans import quote_on_standing

    account = borrower if member is None else wallet_link.placeholder_of(member)
    proof = prove_account(timebank, folder, account)
    quoted = quote_on_standing(
        timebank,
        borrower,
        proof.leaf,
        micro,
        now=timebank.connection.pending_timestamp(),
        decay_k=None if unknown is None else unknown.decay_k,
        block=timebank.connection.simulation_block,
    )
    return quoted, proof


def _print_quote(quoted: LoanQuote, seconds: int) -> None:
    from timebank_chain.chain.loans import yearly_ppm

    rows: list[tuple[str, object]] = [
        (
            "security",
            f"receipt {quoted.receipt_id}" if quoted.receipt_id else f"standing of {quoted.account}",
        ),
        ("owed after it", format_micro(quoted.debt)),
        ("most it carries", format_micro(quoted.limit)),
    ]
    if quoted.threshold is not None:
        rows.append(("liquidated above", format_micro(quoted.threshold)))
    rows += [
        ("rate a year now", percent(yearly_ppm(quoted.rate))),
        ("rate a year after it", percent(yearly_ppm(quoted.rate_after))),
        (
            f"interest in {format_duration(seconds * 1_000)} at that rate",
            format_micro(quoted.interest(seconds)),
        ),
        ("due", "never, while the receipt covers it" if quoted.due_at is None else moment(quoted.due_at)),
        ("the pool would", "make it" if quoted.refusal is None else "refuse"),
    ]
    print_table(f"A loan of {format_micro(quoted.amount)} credits", ["", ">"], rows)
    say("the rate is not fixed: it follows the pool's utilisation")


def _quote_json(quoted: LoanQuote, seconds: int) -> dict[str, Any]:
    from timebank_chain.chain.loans import yearly_ppm

    return {
        "receipt_id": quoted.receipt_id,
        "account": quoted.account,
        "amount_micro": quoted.amount,
        "debt_micro": quoted.debt,
        "limit_micro": quoted.limit,
        "threshold_micro": quoted.threshold,
        "due_at": quoted.due_at,
        "year_ppm": yearly_ppm(quoted.rate),
        "year_after_ppm": yearly_ppm(quoted.rate_after),
        "interest_seconds": seconds,
        "interest_micro": quoted.interest(seconds),
    }


@app.command("open")
def open_command(
    amount: Amount,
    receipt_id: ReceiptOption = None,
    standing: Standing = False,
    member: Member = None,
    to: To = None,
    epochs: EpochsFolder = None,
    policy: PolicyOption = None,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    keystore: Keystore = None,
    password_file: PasswordFile = None,
    sender: FromAddress = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Borrow against a receipt, which the pool keeps until it is repaid, or on standing.

    A receipt is approved for the pool first, in a transaction of its own. On standing, your leaf is proved
    from the published epochs and your claims are pledged: once the loan is overdue they repay it first.

    Example: timebank loan open 5 --receipt 7 --from 0x...

    Example: timebank loan open 5 --standing --epochs epochs --from 0x...
    """
    micro = amount_micro(amount)
    _one_security(receipt_id, standing, member)
    folder = require_epochs(epochs) if standing else None
    receiver = receiver_of(to)
    timebank = open_system(rpc_url, deployment)
    signer = open_signer(keystore, sender, password_file)
    paid_to = receiver or signer.address
    if folder is None:
        quoted = _quote_on_receipt(timebank, signer.address, receipt_id, micro)
        calls = _receipt_calls(timebank, signer, quoted, paid_to)
        security = f"against receipt {receipt_id}"
    else:
        unknown = unknown_policy(timebank, folder, policy)
        quoted, proof = _quote_on_standing(timebank, signer.address, folder, member, micro, unknown)
        calls = [] if unknown is None else [accept_call(timebank, unknown)]
        calls.append(timebank.credit_lending.borrow_on_standing(proof.leaf, proof.siblings, micro, paid_to))
        security = f"on standing, due {moment(quoted.due_at or 0)}"
    if quoted.refusal is not None:
        raise quoted.refusal
    if len(calls) > 1:
        say(f"{calls[0].name} goes first, in a transaction of its own")
    receipt = perform_all(
        timebank,
        signer,
        calls,
        question=f"borrow {format_micro(micro)} credits {security}?",
        schema="timebank.loan.open/1",
        facts={
            "security": "standing" if standing else "receipt",
            "receipt_id": receipt_id,
            "account": quoted.account,
            "receiver": paid_to,
            "amount_micro": micro,
            "debt_micro": quoted.debt,
            "limit_micro": quoted.limit,
            "due_at": quoted.due_at,
        },
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
        learn=_borrowed,
    )
    if receipt is not None and not as_json:
        back = f"{receipt_id}" if receipt_id else "--standing"
        out().print(f"owed now: {format_micro(quoted.debt)}; repay it: timebank loan close {back}")


def _receipt_calls(timebank: Timebank, signer: Signer, quoted: LoanQuote, to: ChecksumAddress) -> list[Call]:
    """Borrow on a pledge, or approve the receipt where needed and pledge it in the same call."""
    bank, lending = timebank.time_bank, timebank.credit_lending
    receipt_id = quoted.receipt_id
    assert receipt_id is not None  # noqa: S101 - it is a loan against a receipt
    if lending.pledged_loan(receipt_id).borrower == signer.address:
        return [lending.borrow(receipt_id, quoted.amount, to)]
    calls = []
    approved = bank.approved(receipt_id) == lending.address
    if not approved and not bank.is_approved_for_all(signer.address, lending.address):
        calls.append(bank.approve(lending.address, receipt_id))
    return [*calls, lending.pledge_and_borrow(receipt_id, quoted.amount, to)]


def _borrowed(receipt: Receipt) -> Mapping[str, Any]:
    from timebank_chain.chain.bank_events import BorrowedOnStanding
    from timebank_chain.chain.events import decode_logs

    for event in decode_logs(receipt.logs, (BorrowedOnStanding,)):
        if isinstance(event, BorrowedOnStanding):
            return {"limit_micro": event.limit, "due_at": event.due_at}
    return {}


@app.command("close")
def close(
    receipt_id: Target = None,
    standing: Standing = False,
    amount: Annotated[
        str | None,
        typer.Option("--amount", metavar="CREDITS", help="Repay only so much (default: all that is owed)."),
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
    """Repay your loan whole and get the receipt back, or your claims free again.

    The pool takes no permit: the amount is approved first, in a transaction of its own. To repay all, an hour
    of interest more is approved, because interest goes on until the block; only what is owed is taken.

    Example: timebank loan close 7 --from 0x...

    Example: timebank loan close --standing --from 0x...
    """
    _one_loan(receipt_id, standing)
    part = None if amount is None else amount_micro(amount)
    timebank = open_system(rpc_url, deployment)
    signer = open_signer(keystore, sender, password_file)
    borrower = signer.address
    if receipt_id is not None:
        _require_borrower(timebank, receipt_id, borrower)
    _repay(
        timebank,
        signer,
        receipt_id,
        borrower,
        part,
        release=True,
        schema="timebank.loan.close/1",
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
    )


@app.command("repay")
def repay(
    receipt_id: Target = None,
    standing: Standing = False,
    borrower: Annotated[
        str | None,
        typer.Option(
            "--borrower", metavar="ADDRESS", help="Whose loan on standing (default: your own); anyone may."
        ),
    ] = None,
    amount: Annotated[
        str | None,
        typer.Option("--amount", metavar="CREDITS", help="How much (default: all that is owed)."),
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
    """Repay a loan, whole or in part, your own or another's; the receipt stays pledged.

    No more is taken than is owed. The borrower gets the receipt back with `timebank loan close ID`.

    Example: timebank loan repay 7 --amount 2.5 --from 0x...

    Example: timebank loan repay --standing --borrower 0x... --from 0x...
    """
    from timebank_chain.chain.addresses import parse_address

    _one_loan(receipt_id, standing)
    if borrower is not None and not standing:
        raise UsageError("--borrower without --standing", hint="a receipt's number tells whose loan it is")
    part = None if amount is None else amount_micro(amount)
    whose = None if borrower is None else parse_address(borrower, what="--borrower")
    timebank = open_system(rpc_url, deployment)
    signer = open_signer(keystore, sender, password_file)
    _repay(
        timebank,
        signer,
        receipt_id,
        whose or signer.address,
        part,
        release=False,
        schema="timebank.loan.repay/1",
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
    )


def _repay(
    timebank: Timebank,
    signer: Signer,
    receipt_id: int | None,
    borrower: ChecksumAddress,
    part: int | None,
    *,
    release: bool,
    schema: str,
    yes: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Approve, repay, and release a receipt on which nothing is left."""
    from timebank_chain.chain.bank_reverts import NoDebt
    from timebank_chain.chain.loans import owed_with_margin

    lending, at = timebank.credit_lending, timebank.connection.simulation_block
    if receipt_id is not None:
        debt = lending.debt_of(receipt_id, block=at) if lending.pledged_loan(receipt_id).debt_shares else 0
    elif lending.standing_loan(borrower, block=at).due_at:
        debt = lending.standing_debt_of(borrower, block=at)
    else:
        debt = 0
    if debt == 0 and not (release and receipt_id is not None):
        raise NoDebt({})
    whole = part is None or part > debt
    if debt and part is not None and whole:
        say(f"only {format_micro(debt)} credits are owed: less than --amount {format_micro(part)} is taken")
    most = owed_with_margin(debt, lending.borrow_rate(block=at)) if whole else part or 0
    calls: list[Call] = []
    if debt:
        require_balance(timebank, signer.address, debt if whole else most)
        calls += approvals(timebank, signer, most)
        calls.append(
            lending.repay_standing(borrower, most) if receipt_id is None else lending.repay(receipt_id, most)
        )
    if release and receipt_id is not None and whole:
        calls.append(lending.release(receipt_id))
    of = f"on receipt {receipt_id}" if receipt_id is not None else f"on the standing of {borrower}"
    paid = f"repay {format_micro(debt if whole else most)} credits {of}" if debt else ""
    free = f"take receipt {receipt_id} back" if calls[-1].function == "release" else ""
    receipt = perform_all(
        timebank,
        signer,
        calls,
        question=f"{' and '.join(part for part in (paid, free) if part)}?",
        schema=schema,
        facts={
            "receipt_id": receipt_id,
            "borrower": borrower,
            "debt_micro": debt,
            "paid_micro": debt if whole else most,
            "approved_micro": most if debt else 0,
            "asked_micro": part,
            "released": bool(free),
            "pledged": receipt_id is not None and not free,
        },
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
        learn=_repaid,
    )
    if receipt is not None and not as_json:
        left = lending.debt_of(receipt_id) if receipt_id else lending.standing_debt_of(borrower)
        out().print(f"still owed: {format_micro(0 if free else left)}")
        if receipt_id is not None and not free and left == 0:
            back = f"timebank loan close {receipt_id}"
            say(f"receipt {receipt_id} is still pledged; its borrower gets it back: {back}")


def _repaid(receipt: Receipt) -> Mapping[str, Any]:
    """Say what was taken, to the unit: interest goes on between question and block."""
    from timebank_chain.chain.bank_events import Recovered, Repaid, StandingRepaid
    from timebank_chain.chain.events import decode_logs

    for event in decode_logs(receipt.logs, (Repaid, StandingRepaid, Recovered)):
        if isinstance(event, Repaid | StandingRepaid):
            return {"paid_micro": event.amount}
        if isinstance(event, Recovered):
            return {"paid_micro": event.of_pool + event.of_reserve}
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
    """List an account's loans with their health, and what it has supplied to the pool, at one block.

    Warns of what is overdue, failed or not covered any more, and names the command that puts it right.

    Example: timebank loan list 0x...
    """
    from timebank_chain.chain.portfolio import read_portfolio

    whose = account_of(account, keystore, sender)
    timebank = open_system(rpc_url, deployment)
    portfolio = read_portfolio(timebank, whose)
    warnings = read_warnings(timebank, portfolio)
    if as_json:
        body = _loans_json(portfolio) | {"warnings": [one.to_json() for one in warnings]}
        print_json("timebank.loan.list/1", body)
        return
    if portfolio.loans:
        print_table(
            f"Loans of {whose} against receipts, block {portfolio.block}",
            [">receipt", ">owed", ">can borrow more", ">liquidated above", "health"],
            [
                (
                    one.receipt_id,
                    format_micro(one.debt),
                    format_micro(one.borrowable),
                    format_micro(one.threshold),
                    _health(one.health_bps, liquidatable=one.liquidatable),
                )
                for one in portfolio.loans
            ],
        )
    owed = portfolio.standing_loan
    if owed is not None:
        rows = [
            ("owed", format_micro(owed.debt)),
            ("written off of it", format_micro(owed.written_off)),
            ("due", moment(owed.due_at) + (" (overdue: claims repay it)" if owed.overdue else "")),
        ]
        if owed.written_off < owed.debt:
            rows.append(("can be written off from", moment(owed.fails_at)))
        print_table("On standing", ["", ">"], rows)
    if portfolio.supply.shares:
        print_table(
            "Supplied to the pool",
            ["", ">"],
            [
                ("worth", format_micro(portfolio.supply.worth)),
                ("can be withdrawn now", format_micro(portfolio.supply.withdrawable)),
            ],
        )
    if not (portfolio.loans or owed or portfolio.supply.shares):
        say(f"{whose} owes and has supplied nothing at block {portfolio.block}")
    say_warnings(warnings)


def _loans_json(portfolio: Portfolio) -> dict[str, Any]:
    owed = portfolio.standing_loan
    return {
        "account": portfolio.account,
        "block": portfolio.block,
        "time": portfolio.time,
        "loans": [
            {
                "receipt_id": one.receipt_id,
                "debt_micro": one.debt,
                "limit_micro": one.limit,
                "threshold_micro": one.threshold,
                "health_bps": one.health_bps,
                "liquidatable": one.liquidatable,
            }
            for one in portfolio.loans
        ],
        "standing_loan": None
        if owed is None
        else {
            "account": owed.account,
            "debt_micro": owed.debt,
            "written_off_micro": owed.written_off,
            "due_at": owed.due_at,
            "fails_at": owed.fails_at,
            "overdue": owed.overdue,
            "due_from_claims_micro": owed.due_from_claims,
        },
        "supply": {
            "shares": portfolio.supply.shares,
            "worth_micro": portfolio.supply.worth,
            "withdrawable_micro": portfolio.supply.withdrawable,
        },
    }


def _require_borrower(timebank: Timebank, receipt_id: int, account: ChecksumAddress) -> None:
    from timebank_chain.chain.bank_reverts import NotBorrower
    from timebank_chain.chain.member_registry import ZERO_ADDRESS

    borrower = timebank.credit_lending.pledged_loan(receipt_id).borrower
    if borrower == account:
        return
    if borrower == ZERO_ADDRESS:
        timebank.time_bank.owner_of(receipt_id)  # says so if there is no such receipt at all
    raise NotBorrower({"receiptId": receipt_id, "caller": account, "borrower": borrower})


def _one_security(receipt_id: int | None, standing: bool, member: str | None) -> None:
    if (receipt_id is None) == (not standing):
        raise UsageError("on which security?", hint="give --receipt ID, or --standing")
    if member is not None and not standing:
        raise UsageError("--member without --standing", hint="a receipt needs no standing")


def _one_loan(receipt_id: int | None, standing: bool) -> None:
    if (receipt_id is None) == (not standing):
        raise UsageError("which loan?", hint="give a receipt's number, or --standing")


def _health(bps: int | None, *, liquidatable: bool) -> str:
    if bps is None:
        return "no debt"
    return f"{bps / 100:.1f} %" + (" (can be liquidated)" if liquidatable else "")
