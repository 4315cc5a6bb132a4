"""``timebank chain pause`` and ``resume``: stop new risk at once, allow it again after the delay."""

from __future__ import annotations

from enum import StrEnum
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
from timebank_chain.cli.writes import govern, leave_alone, perform

if TYPE_CHECKING:
    from timebank_chain.chain.system import Timebank
    from timebank_chain.chain.transactions import Call


class Pausable(StrEnum):
    """What the guardian can stop."""

    PROPOSALS = "proposals"
    BORROWING = "borrowing"
    LEASING = "leasing"
    TRADING = "trading"
    ORDERING = "ordering"

    def is_paused(self, timebank: Timebank) -> bool:
        """Return whether it is stopped now."""
        if self is Pausable.PROPOSALS:
            return timebank.rate_oracle.proposals_paused()
        if self is Pausable.BORROWING:
            return timebank.credit_lending.books().paused
        if self is Pausable.LEASING:
            return timebank.credit_lease.leasing_paused()
        if self is Pausable.TRADING:
            return timebank.credit_exchange.trading_paused()
        return timebank.service_escrow.ordering_paused()

    def pause(self, timebank: Timebank) -> Call:
        """Propose stopping it (guardian)."""
        return {
            Pausable.PROPOSALS: timebank.rate_oracle.pause_proposals,
            Pausable.BORROWING: timebank.credit_lending.pause_borrowing,
            Pausable.LEASING: timebank.credit_lease.pause_leasing,
            Pausable.TRADING: timebank.credit_exchange.pause_trading,
            Pausable.ORDERING: timebank.service_escrow.pause_ordering,
        }[self]()

    def resume(self, timebank: Timebank) -> Call:
        """Propose allowing it again (governor)."""
        return {
            Pausable.PROPOSALS: timebank.rate_oracle.resume_proposals,
            Pausable.BORROWING: timebank.credit_lending.resume_borrowing,
            Pausable.LEASING: timebank.credit_lease.resume_leasing,
            Pausable.TRADING: timebank.credit_exchange.resume_trading,
            Pausable.ORDERING: timebank.service_escrow.resume_ordering,
        }[self]()


def pause(
    what: Annotated[Pausable, typer.Option("--what", help="What to stop.")] = Pausable.PROPOSALS,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    keystore: Keystore = None,
    password_file: PasswordFile = None,
    sender: FromAddress = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Stop new proposals, borrowing, leasing, trades or orders at once (guardian).

    Claims, payments, repayments, withdrawals, liquidations and accepted orders always go on. The guardian can
    do nothing else: timebank chain resume is the governor's, after the delay.

    Example: timebank chain pause --from 0x...

    Example: timebank chain pause --what borrowing --from 0x...
    """
    timebank = open_system(rpc_url, deployment)
    perform(
        timebank,
        open_signer(keystore, sender, password_file),
        what.pause(timebank),
        question=f"stop new {what.value}?",
        schema="timebank.chain.pause/1",
        facts={"what": what.value, "paused": True},
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
    )


def resume(
    what: Annotated[Pausable, typer.Option("--what", help="What to allow again.")] = Pausable.PROPOSALS,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    keystore: Keystore = None,
    password_file: PasswordFile = None,
    sender: FromAddress = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Allow again what was paused (governor): run once to schedule, after the delay to execute.

    It can be scheduled while the danger is being mended; timebank chain cancel drops it, should it come too
    early.

    Example: timebank chain resume --from 0x...

    Example: timebank chain resume --what borrowing --from 0x...
    """
    timebank = open_system(rpc_url, deployment)
    signer = open_signer(keystore, sender, password_file)
    schema, facts = "timebank.chain.resume/1", {"what": what.value}
    if not what.is_paused(timebank):
        leave_alone(f"new {what.value} are not paused", schema=schema, facts=facts, as_json=as_json)
        return
    govern(
        timebank,
        signer,
        what.resume(timebank),
        question=f"allow {what.value} again?",
        schema=schema,
        facts=facts,
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
    )
