"""``timebank chain bank``: govern deposits, lending and leasing."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from timebank_chain.cli.chain_float import SPENDING, float_warnings
from timebank_chain.cli.options import (
    DEFAULT_RPC_URL,
    AsJson,
    DeploymentFile,
    DryRun,
    FromAddress,
    Keystore,
    PasswordFile,
    RpcUrl,
    Yes,
    open_signer,
    open_system,
    whole_seconds,
)
from timebank_chain.cli.output import say
from timebank_chain.cli.writes import govern, leave_alone
from timebank_chain.errors import UsageError
from timebank_chain.units import format_duration

if TYPE_CHECKING:
    from timebank_chain.chain.bank_plan import RiskPlan
    from timebank_chain.chain.system import Timebank

app = typer.Typer(
    help=(
        "Govern deposits, lending and leasing: run a command once to schedule it, after the delay to execute "
        "it.\n\nExample: timebank chain bank set-risk bank.json --from 0x..."
    ),
    no_args_is_help=True,
)

TermId = Annotated[int, typer.Argument(metavar="N", min=0, help="Number of the term (`deposit terms`).")]


class Fee(StrEnum):
    """What a fee is taken from."""

    PAYMENTS = "payments"
    INCOME = "income"
    RENT = "rent"
    TRADES = "trades"
    SERVICES = "services"


@app.command("add-term")
def add_term(
    duration: Annotated[str, typer.Option(metavar="TIME", help="How long it binds: 90d; 0s for demand.")],
    multiplier: Annotated[
        int, typer.Option(metavar="MILLI", help="Weight of a credit in the income, in thousandths.")
    ],
    penalty_bps: Annotated[
        int, typer.Option(metavar="BPS", help="What an early exit costs, basis points of the principal.")
    ] = 0,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    keystore: Keystore = None,
    password_file: PasswordFile = None,
    sender: FromAddress = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Add a kind of deposit. What it binds, weighs and costs can never be changed, only closed.

    Example: timebank chain bank add-term --duration 90d --multiplier 4000 --penalty-bps 300 --from 0x...
    """
    from timebank_chain.chain.bank_plan import TermPlan

    term = TermPlan(whole_seconds(duration, "--duration"), multiplier, penalty_bps)
    term.check("the term")
    timebank = open_system(rpc_url, deployment)
    span = format_duration(term.duration * 1_000) if term.duration else "demand"
    govern(
        timebank,
        open_signer(keystore, sender, password_file),
        timebank.time_bank.add_term(term.duration, term.multiplier_milli, term.penalty_bps),
        question=f"add a term of {span}, weight {multiplier / 1_000:g}, penalty {penalty_bps} bps?",
        schema="timebank.chain.bank.add-term/1",
        facts=dict(vars(term)),
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
    )


@app.command("open-term")
def open_term(
    term_id: TermId,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    keystore: Keystore = None,
    password_file: PasswordFile = None,
    sender: FromAddress = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Let a term take new deposits again.

    Example: timebank chain bank open-term 2 --from 0x...
    """
    timebank = open_system(rpc_url, deployment)
    _require_change(timebank, term_id, is_open=True)
    govern(
        timebank,
        open_signer(keystore, sender, password_file),
        timebank.time_bank.set_term_open(term_id, True),
        question=f"let term {term_id} take new deposits?",
        schema="timebank.chain.bank.open-term/1",
        facts={"term_id": term_id, "open": True},
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
    )


@app.command("close-term")
def close_term(
    term_id: TermId,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    keystore: Keystore = None,
    password_file: PasswordFile = None,
    sender: FromAddress = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Close a term for new deposits; those made under it go on, claims with an order for it go to demand.

    Example: timebank chain bank close-term 2 --from 0x...
    """
    timebank = open_system(rpc_url, deployment)
    _require_change(timebank, term_id, is_open=False)
    govern(
        timebank,
        open_signer(keystore, sender, password_file),
        timebank.time_bank.set_term_open(term_id, False),
        question=f"close term {term_id} for new deposits?",
        schema="timebank.chain.bank.close-term/1",
        facts={"term_id": term_id, "open": False},
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
    )


def _require_change(timebank: Timebank, term_id: int, *, is_open: bool) -> None:
    """Refuse a term that is not there or as wanted already, before anything is scheduled for it."""
    if timebank.time_bank.term(term_id, block=timebank.connection.simulation_block).open == is_open:
        state = "takes new deposits" if is_open else "is closed for new deposits"
        raise UsageError(f"term {term_id} {state} already", hint="see them: timebank deposit terms")


@app.command("set-fee")
def set_fee(
    what: Annotated[Fee, typer.Argument(help="What the fee is taken from.")],
    bps: Annotated[int, typer.Argument(metavar="BPS", min=0, help="The fee, basis points (50 is 0.5 %).")],
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    keystore: Keystore = None,
    password_file: PasswordFile = None,
    sender: FromAddress = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Change the fee on payments, depositors' income, rent, trades or services; on interest see set-risk.

    Where it is so already, nothing is sent. A fee of 0 is warned of.

    Example: timebank chain bank set-fee income 400 --from 0x...
    """
    from timebank_chain.chain.bank_plan import MAX_INCOME_FEE_BPS, MAX_LEASE_FEE_BPS
    from timebank_chain.chain.deployment_plan import MAX_FEE_BPS, MAX_SERVICE_FEE_BPS, MAX_TRADE_FEE_BPS

    limits = {
        Fee.PAYMENTS: MAX_FEE_BPS,
        Fee.INCOME: MAX_INCOME_FEE_BPS,
        Fee.RENT: MAX_LEASE_FEE_BPS,
        Fee.TRADES: MAX_TRADE_FEE_BPS,
        Fee.SERVICES: MAX_SERVICE_FEE_BPS,
    }
    if bps > limits[what]:
        raise UsageError(
            f"a fee of {bps} basis points on {what.value}",
            hint=f"at most {limits[what]} ({limits[what] / 100:g} %)",
        )
    timebank = open_system(rpc_url, deployment)
    read, change = {
        Fee.PAYMENTS: (timebank.credit_payments.fee_bps, timebank.credit_payments.set_fee),
        Fee.INCOME: (timebank.time_bank.income_fee_bps, timebank.time_bank.set_income_fee),
        Fee.RENT: (timebank.credit_lease.lease_fee_bps, timebank.credit_lease.set_lease_fee),
        Fee.TRADES: (timebank.credit_exchange.trade_fee_bps, timebank.credit_exchange.set_trade_fee),
        Fee.SERVICES: (timebank.service_escrow.service_fee_bps, timebank.service_escrow.set_service_fee),
    }[what]
    schema = "timebank.chain.bank.set-fee/1"
    facts: dict[str, Any] = {"what": what.value, "fee_bps": bps}
    if read() == bps:
        leave_alone(
            f"the fee on {what.value} is {bps} basis points", schema=schema, facts=facts, as_json=as_json
        )
        return
    warnings = [] if bps else _without_fee(timebank, what)
    if not as_json:
        for warning in warnings:
            say(f"warning: {warning}")
    govern(
        timebank,
        open_signer(keystore, sender, password_file),
        change(bps),
        question=f"make the fee on {what.value} {bps} basis points?",
        schema=schema,
        facts={**facts, "warnings": warnings},
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
    )


def _without_fee(timebank: Timebank, what: Fee) -> list[str]:
    """Return what a fee of 0 means: no income, and, where the rate floats, a demand that costs nothing."""
    found = [f"with a fee of 0 on {what.value} no income comes from there"]
    if what.value in SPENDING:
        found += float_warnings(timebank.rate_float.floating().step, {what.value: 0}, None)
    return found


@app.command("set-split")
def set_split(
    split: Annotated[
        str,
        typer.Argument(metavar="D/B/R", help="Shares of depositors, bonus pot and reserve, basis points."),
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
    """Change how later fees are divided.

    Example: timebank chain bank set-split 4000/4000/2000 --from 0x...
    """
    from timebank_chain.chain.deployment_plan import FeeSplit

    shares = FeeSplit.parse(split)
    timebank = open_system(rpc_url, deployment)
    wanted = (shares.depositors_bps, shares.bonus_bps, shares.reserve_bps)
    schema = "timebank.chain.bank.set-split/1"
    facts = dict(zip(("depositors_bps", "bonus_bps", "reserve_bps"), wanted, strict=True))
    if timebank.fee_pool.split() == wanted:
        leave_alone(f"fees are divided {split}", schema=schema, facts=facts, as_json=as_json)
        return
    govern(
        timebank,
        open_signer(keystore, sender, password_file),
        timebank.fee_pool.set_split(*wanted),
        question=f"divide later fees {split} among depositors, bonus pot and reserve?",
        schema=schema,
        facts=facts,
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
    )


@app.command("set-release")
def set_release(
    time: Annotated[
        str, typer.Argument(metavar="TIME", help="Half of what is pending is shared out after it.")
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
    """Change how fast income that has come in is shared out among depositors.

    Example: timebank chain bank set-release 7d --from 0x...
    """
    from timebank_chain.chain.bank_plan import MAX_RELEASE_SECONDS

    seconds = whole_seconds(time, "TIME", least=1)
    if seconds > MAX_RELEASE_SECONDS:
        raise UsageError(f"TIME: {time!r} is too long", hint="at most 90d")
    timebank = open_system(rpc_url, deployment)
    govern(
        timebank,
        open_signer(keystore, sender, password_file),
        timebank.time_bank.set_release_time(seconds),
        question=f"share half of the pending income out in {format_duration(seconds * 1_000)}?",
        schema="timebank.chain.bank.set-release/1",
        facts={"release_seconds": seconds},
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
    )


@app.command("set-risk")
def set_risk(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A bank's policy (`timebank examples bank.json`).")
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
    """Change the lending pool's settings to the `risk` part of a bank's policy; the rest is not read.

    Example: timebank chain bank set-risk bank.json --from 0x...
    """
    from timebank_chain.chain.bank_plan import load_bank_plan

    risk = load_bank_plan(file).risk
    timebank = open_system(rpc_url, deployment)
    changes = _changes(timebank.credit_lending.risk(), risk)
    if not as_json:
        for name, (before, after) in changes.items():
            say(f"{name}: {before} becomes {after}")
    govern(
        timebank,
        open_signer(keystore, sender, password_file),
        timebank.credit_lending.set_risk(risk),
        question=f"change {len(changes)} of the pool's settings?",
        schema="timebank.chain.bank.set-risk/1",
        facts={
            "risk": dict(vars(risk)),
            "changes": {
                name: {"before": before, "after": after} for name, (before, after) in changes.items()
            },
        },
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
    )


def _changes(before: RiskPlan, after: RiskPlan) -> dict[str, tuple[Any, Any]]:
    old, new = vars(before), vars(after)
    return {name: (old[name], new[name]) for name in new if old[name] != new[name]}
