"""``timebank chain pause`` and ``resume``: stop new risk at once, allow it again after the delay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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
    from timebank_chain.chain.pausing import Pausing
    from timebank_chain.chain.system import Timebank
    from timebank_chain.chain.transactions import Call


@dataclass(frozen=True)
class Switch:
    """What a contract does that can be paused: whether it is, and the calls that pause and resume it."""

    contract: Pausing
    is_paused: Callable[[], bool]
    pause: Callable[[], Call]
    resume: Callable[[int], Call]


class Pausable(StrEnum):
    """What the guardian can stop."""

    PROPOSALS = "proposals"
    BORROWING = "borrowing"
    LEASING = "leasing"
    TRADING = "trading"
    ORDERING = "ordering"

    def switch(self, timebank: Timebank) -> Switch:
        """Return what turns it off and on, in the contract that does it."""
        oracle, pool = timebank.rate_oracle, timebank.credit_lending
        lease, trade, service = timebank.credit_lease, timebank.credit_exchange, timebank.service_escrow
        return {
            Pausable.PROPOSALS: Switch(
                oracle, oracle.proposals_paused, oracle.pause_proposals, oracle.resume_proposals
            ),
            Pausable.BORROWING: Switch(
                pool, lambda: pool.books().paused, pool.pause_borrowing, pool.resume_borrowing
            ),
            Pausable.LEASING: Switch(lease, lease.leasing_paused, lease.pause_leasing, lease.resume_leasing),
            Pausable.TRADING: Switch(trade, trade.trading_paused, trade.pause_trading, trade.resume_trading),
            Pausable.ORDERING: Switch(
                service, service.ordering_paused, service.pause_ordering, service.resume_ordering
            ),
        }[self]


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
        what.switch(timebank).pause(),
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

    It ends the pause that lasts now and no later one, so it can be scheduled while the danger is being
    mended: should another appear, the guardian pauses again. timebank chain cancel drops it as well.

    Example: timebank chain resume --from 0x...

    Example: timebank chain resume --what borrowing --from 0x...
    """
    timebank = open_system(rpc_url, deployment)
    signer = open_signer(keystore, sender, password_file)
    switch = what.switch(timebank)
    # Named, so that what is scheduled now does not end a pause that begins meanwhile.
    latest = switch.contract.pauses()
    schema, facts = "timebank.chain.resume/1", {"what": what.value, "pause": latest}
    if not switch.is_paused():
        leave_alone(f"new {what.value}: not paused", schema=schema, facts=facts, as_json=as_json)
        return
    govern(
        timebank,
        signer,
        switch.resume(latest),
        question=f"end pause {latest} of {what.value}?",
        schema=schema,
        facts=facts,
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
    )
