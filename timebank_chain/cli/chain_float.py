"""``timebank chain set-float``: let the rate follow what is spent; which step may be, which is warned of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

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
)
from timebank_chain.cli.output import say
from timebank_chain.cli.writes import govern, leave_alone
from timebank_chain.errors import UsageError
from timebank_chain.spec.floating_rate import MAX_MOVE_Q24, MIN_RATE_Q24, MIN_STEP
from timebank_chain.units import Q24, format_micro, format_rate, parse_credits

if TYPE_CHECKING:
    from timebank_chain.chain.system import Timebank

#: What members spend through; what passes there is the demand that moves the rate.
SPENDING = ("payments", "trades", "services")

#: So many of the newest epochs tell what an epoch mints.
_LOOKED_AT = 10


def parse_step(text: str, what: str) -> int:
    """Read the credits that double a floating rate, as micro-credits; 0 is a fixed rate.

    Raises
    ------
    UsageError
        If it is no amount of credits, or so few that the rate could never move.
    """
    if text == "0":
        return 0
    try:
        step = int(parse_credits(text))
    except ValueError as error:
        raise UsageError(f"{what}: {error}", hint="credits, for example 250000; 0 fixes the rate") from None
    if step < MIN_STEP:
        raise UsageError(
            f"{what}: with a step of {text.strip()} credits the rate never moves: an epoch moves the excess "
            f"by at most {step} * {MAX_MOVE_Q24} / 2**24 micro-credits, rounded down to 0",
            hint=f"at least {format_micro(MIN_STEP)} credits, better what an epoch mints or more; "
            "0 fixes the rate",
        )
    return step


def require_movable(rate_q24: int, step: int) -> None:
    """Refuse a rate so small that it could never move, where it is to float.

    Raises
    ------
    UsageError
        If an eighth of the rate, the most it moves by in an epoch, is less than the unit it is counted in.
    """
    if step and rate_q24 < MIN_RATE_Q24:
        raise UsageError(
            f"a rate of {rate_q24} (Q24) never moves: an epoch moves it by at most an eighth, and that is "
            "less than one unit of it",
            hint=f"a rate that floats is at least {MIN_RATE_Q24} (one to one is {Q24}); a float of 0 "
            "fixes it",
        )


def describe_step(step: int) -> str:
    """Return how a rate floats, in words."""
    return f"doubles with {format_micro(step)} credits spent beyond what is minted" if step else "fixed"


def float_warnings(step: int, fees_bps: Mapping[str, int], minted: int | None) -> list[str]:
    """Return what speaks against letting the rate float so.

    Parameters
    ----------
    step
        Micro-credits of excess that double the rate; 0: it is fixed, and nothing is warned of.
    fees_bps
        The fees on what counts as spent, by name.
    minted
        Micro-credits that an epoch mints; ``None``: there was none yet.
    """
    if not step:
        return []
    free = [name for name, bps in fees_bps.items() if bps == 0]
    found = []
    if free:
        found.append(
            f"the fee on {' and '.join(free)} is 0: credits sent there in a circle move the rate for the gas "
            "alone, so that what is spent no longer measures demand, and no income comes from there; set "
            "one: timebank chain bank set-fee"
        )
    if minted is not None and step < minted:
        found.append(
            f"a step of {format_micro(step)} credits is less than what an epoch mints "
            f"({format_micro(minted)}): the rate jumps by up to 12.5 % with every epoch and swings instead "
            "of settling; take that or more"
        )
    return found


def fees_on_spending(timebank: Timebank) -> dict[str, int]:
    """Return the fees on what counts as spent, basis points."""
    fees = (
        timebank.credit_payments.fee_bps(),
        timebank.credit_exchange.trade_fee_bps(),
        timebank.service_escrow.service_fee_bps(),
    )
    return dict(zip(SPENDING, fees, strict=True))


def minted_by_an_epoch(timebank: Timebank) -> int | None:
    """Return the most that one of the newest epochs minted, micro-credits; ``None`` before the first."""
    from timebank_chain.chain.events import EpochFinalised, read_events

    mints = [
        event.total_mint
        for event in read_events(
            timebank.connection,
            timebank.addresses(),
            (EpochFinalised,),
            from_block=timebank.deployment.first_block,
            to_block=timebank.connection.block_number(),
        )
        if isinstance(event, EpochFinalised)
    ]
    return max(mints[-_LOOKED_AT:], default=None)


def command(
    step: Annotated[
        str,
        typer.Argument(
            metavar="CREDITS", help="Credits spent beyond what is minted that double the rate; 0 fixes it."
        ),
    ],
    anew: Annotated[
        bool,
        typer.Option(
            "--anew", help="Also if the step is so already: from the rate that stands, with an excess of 0."
        ),
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
    """Let the rate follow what is spent, from where it stands: run once to schedule, then to execute.

    After each epoch the rate is base * 2**(excess / CREDITS), the excess being what was spent beyond what
    was minted; it moves by at most an eighth (12.5 %) an epoch, within 1/16 and 16 times its base, and never
    below 8 units of 2**-24. Where it is so already, nothing is sent. Float only with fees, and with a step
    of at least what an epoch mints.

    Example: timebank chain set-float 250000 --from 0x...
    """
    micro = parse_step(step, "CREDITS")
    timebank = open_system(rpc_url, deployment)
    current = timebank.rate_float.floating()
    schema, facts = "timebank.chain.set-float/1", {"step_micro": micro}
    if current.step == micro and not (anew and micro):
        so = f"the rate is {format_rate(current.rate_q24)}, its float: {describe_step(micro)}"
        leave_alone(so, schema=schema, facts=facts, as_json=as_json)
        return
    warnings = (
        float_warnings(micro, fees_on_spending(timebank), minted_by_an_epoch(timebank)) if micro else []
    )
    require_movable(current.rate_q24, micro)
    if not as_json:
        for warning in warnings:
            say(f"warning: {warning}")
    govern(
        timebank,
        open_signer(keystore, sender, password_file),
        timebank.rate_float.set_float(micro),
        question=f"let the rate double with {format_micro(micro)} credits?" if micro else "fix the rate?",
        schema=schema,
        facts={**facts, "warnings": warnings},
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
    )
