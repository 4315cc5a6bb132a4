"""``timebank wallet link``: give a placeholder's owner their wallet, once, with time to object."""

from __future__ import annotations

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
from timebank_chain.cli.output import print_json, print_table
from timebank_chain.cli.writes import perform
from timebank_chain.units import format_time

if TYPE_CHECKING:
    from eth_typing import ChecksumAddress

app = typer.Typer(
    help=(
        "Link a placeholder (who earned before having a wallet) to a wallet: the registrar requests, after "
        "the delay anyone confirms, and until then the wallet or the canceller can reject.\n\n"
        "Example: timebank wallet link request ada@example.org 0x... --from 0x..."
    ),
    no_args_is_help=True,
)

Member = Annotated[
    str, typer.Argument(metavar="MEMBER", help="Outside id, as in the activity, or a placeholder address.")
]


def placeholder_of(member: str) -> ChecksumAddress:
    """Return the placeholder address of an outside id; a placeholder itself is taken as it is."""
    from timebank_chain.activity.members import is_placeholder, placeholder_address
    from timebank_chain.chain.addresses import address_bytes, address_text, parse_address

    if member.startswith("0x") and len(member) == 42:
        address = parse_address(member, what="MEMBER")
        if is_placeholder(address_bytes(address)):
            return address
    return address_text(placeholder_address(member))


@app.command("show")
def show(
    member: Member,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    as_json: AsJson = False,
) -> None:
    """Show a member's placeholder, its wallet and a waiting request.

    Example: timebank wallet link show ada@example.org
    """
    placeholder = placeholder_of(member)
    timebank = open_system(rpc_url, deployment)
    wallet = timebank.member_registry.wallet_of(placeholder)
    requested = timebank.member_registry.requested_link(placeholder)
    if as_json:
        body = {
            "member": member,
            "placeholder": placeholder,
            "wallet": wallet,
            "requested": None
            if requested is None
            else {"wallet": requested.wallet, "effective_at": requested.effective_at},
        }
        print_json("timebank.wallet.link.show/1", body)
        return
    waiting = "none"
    if requested is not None:
        waiting = f"{requested.wallet}, may be confirmed from {format_time(requested.effective_at * 1000)} on"
    print_table(
        member, ["", ""], [("placeholder", placeholder), ("wallet", wallet or "none"), ("requested", waiting)]
    )


@app.command("request")
def request(
    member: Member,
    wallet: Annotated[str, typer.Argument(metavar="WALLET", help="The member's address.")],
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    keystore: Keystore = None,
    password_file: PasswordFile = None,
    sender: FromAddress = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Request a link (registrar). It can be confirmed after the delay.

    Example: timebank wallet link request ada@example.org 0x... --from 0x...
    """
    from timebank_chain.chain.addresses import parse_address

    placeholder, address = placeholder_of(member), parse_address(wallet, what="WALLET")
    timebank = open_system(rpc_url, deployment)
    perform(
        timebank,
        open_signer(keystore, sender, password_file),
        timebank.member_registry.request_link(placeholder, address),
        question=f"request linking {member} ({placeholder}) to {address}?",
        schema="timebank.wallet.link.request/1",
        facts={"member": member, "placeholder": placeholder, "wallet": address},
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
    )


@app.command("confirm")
def confirm_command(
    member: Member,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    keystore: Keystore = None,
    password_file: PasswordFile = None,
    sender: FromAddress = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Make a requested link final after its delay; anyone may, once for ever.

    Example: timebank wallet link confirm ada@example.org --from 0x...
    """
    placeholder = placeholder_of(member)
    timebank = open_system(rpc_url, deployment)
    perform(
        timebank,
        open_signer(keystore, sender, password_file),
        timebank.member_registry.confirm_link(placeholder),
        question=f"link {member} ({placeholder}) for ever?",
        schema="timebank.wallet.link.confirm/1",
        facts={"member": member, "placeholder": placeholder},
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
    )


@app.command("reject")
def reject(
    member: Member,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    keystore: Keystore = None,
    password_file: PasswordFile = None,
    sender: FromAddress = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Drop a requested link (the wallet itself, or the canceller).

    Example: timebank wallet link reject ada@example.org --from 0x...
    """
    placeholder = placeholder_of(member)
    timebank = open_system(rpc_url, deployment)
    perform(
        timebank,
        open_signer(keystore, sender, password_file),
        timebank.member_registry.reject_link(placeholder),
        question=f"reject the link requested for {member} ({placeholder})?",
        schema="timebank.wallet.link.reject/1",
        facts={"member": member, "placeholder": placeholder},
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
    )
