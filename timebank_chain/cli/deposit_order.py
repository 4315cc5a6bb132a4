"""``timebank deposit order``: the standing order that turns later claims into deposits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from timebank_chain.cli import wallet_link
from timebank_chain.cli.options import (
    DEFAULT_RPC_URL,
    Account,
    AsJson,
    DeploymentFile,
    DryRun,
    FromAddress,
    Keystore,
    PasswordFile,
    RpcUrl,
    Yes,
    account_of,
    open_signer,
    open_system,
)
from timebank_chain.cli.output import print_json, print_table
from timebank_chain.cli.writes import perform
from timebank_chain.errors import UsageError

if TYPE_CHECKING:
    from eth_typing import ChecksumAddress

app = typer.Typer(
    help=(
        "Order that your later claims become deposits by themselves, whoever pushes the claim.\n\n"
        "Example: timebank deposit order set --term week --from 0x..."
    ),
    no_args_is_help=True,
)

Member = Annotated[
    str | None,
    typer.Option(
        "--member", metavar="ID", help="The claims of this outside id's placeholder, linked to your wallet."
    ),
]


def _claimant(member: str | None, wallet: ChecksumAddress) -> ChecksumAddress:
    return wallet if member is None else wallet_link.placeholder_of(member)


@app.command("set")
def set_command(
    term: Annotated[
        str,
        typer.Option("--term", metavar="NAME|N", help="demand, day, week, month, or a number of `terms`."),
    ],
    member: Member = None,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    keystore: Keystore = None,
    password_file: PasswordFile = None,
    sender: FromAddress = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Deposit later claims under a term; an earlier order is replaced.

    A term that is closed by the time of a claim becomes demand. An overdue debt is repaid first.

    Example: timebank deposit order set --term week --from 0x...

    Example: timebank deposit order set --term week --member ada@example.org --from 0x...
    """
    from timebank_chain.chain.deposits import find_term

    timebank = open_system(rpc_url, deployment)
    chosen = find_term(timebank.time_bank.terms(), term)
    signer = open_signer(keystore, sender, password_file)
    whose = _claimant(member, signer.address)
    perform(
        timebank,
        signer,
        timebank.credit_distributor.set_standing_order(whose, chosen.term_id),
        question=f"deposit what {whose} claims from now on, term {chosen.name}?",
        schema="timebank.deposit.order.set/1",
        facts={"account": whose, "term_id": chosen.term_id, "term": chosen.name},
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
    )


@app.command("end")
def end(
    member: Member = None,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    keystore: Keystore = None,
    password_file: PasswordFile = None,
    sender: FromAddress = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """End a standing order: later claims go to the wallet again. Deposits made so far are untouched.

    Example: timebank deposit order end --from 0x...
    """
    timebank = open_system(rpc_url, deployment)
    signer = open_signer(keystore, sender, password_file)
    whose = _claimant(member, signer.address)
    perform(
        timebank,
        signer,
        timebank.credit_distributor.end_standing_order(whose),
        question=f"let what {whose} claims go to the wallet again?",
        schema="timebank.deposit.order.end/1",
        facts={"account": whose},
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
    )


@app.command("show")
def show(
    account: Account = None,
    member: Member = None,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    keystore: Keystore = None,
    sender: FromAddress = None,
    as_json: AsJson = False,
) -> None:
    """Show where an account's claims go: standing order, and a creditor that is repaid first once overdue.

    Example: timebank deposit order show 0x...
    """
    if account is not None and member is not None:
        raise UsageError("an address and --member name the same thing twice", hint="give one of them")
    whose = account_of(account, keystore, sender) if member is None else wallet_link.placeholder_of(member)
    timebank = open_system(rpc_url, deployment)
    distributor, block = timebank.credit_distributor, timebank.connection.block_number()
    term_id = distributor.standing_order_of(whose, block=block)
    term = None if term_id is None else timebank.time_bank.term(term_id, block=block)
    creditor = distributor.creditor_of(whose, block=block)
    receiver = distributor.receiver_of(whose, block=block)
    if as_json:
        body = {
            "account": whose,
            "block": block,
            "receiver": receiver,
            "term_id": term_id,
            "term": None if term is None else term.name,
            "creditor": creditor,
        }
        print_json("timebank.deposit.order.show/1", body)
        return
    rooms = {
        timebank.credit_lending.address: "the lending pool, once the loan on standing is overdue",
        timebank.credit_lease.address: "the lender of the lease on standing, once it is overdue",
    }
    print_table(
        f"Claims of {whose}, block {block}",
        ["", ""],
        [
            ("go to", receiver or "nobody yet: no wallet is linked"),
            ("standing order", "none" if term is None else f"term {term.term_id}, {term.name}"),
            ("repay first", "nobody" if creditor is None else rooms.get(creditor, creditor)),
        ],
    )
