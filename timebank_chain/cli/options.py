"""Options the commands share: same names, same variables, same words everywhere.

Names and variables follow Foundry's ``cast`` where it has one. A password or private key is never an
option: the password comes from a file or a prompt.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from timebank_chain import config
from timebank_chain.cli.output import err, say
from timebank_chain.errors import UsageError

if TYPE_CHECKING:
    from timebank_chain.chain.connection import Connection
    from timebank_chain.chain.signer import LocalSigner
    from timebank_chain.chain.system import Timebank

RpcUrl = Annotated[
    str,
    typer.Option(
        "--rpc-url",
        envvar=config.ENV_RPC_URL,
        metavar="URL",
        help="JSON-RPC address of a node (http://127.0.0.1:8545), or `embedded`.",
    ),
]
DeploymentFile = Annotated[
    Path | None,
    typer.Option(
        "--deployment",
        envvar=config.ENV_DEPLOYMENT,
        metavar="FILE",
        help="Deployment manifest written by `timebank chain deploy`.",
    ),
]
EpochsFolder = Annotated[
    Path | None,
    typer.Option("--epochs", envvar=config.ENV_EPOCHS, metavar="DIR", help="Folder of published epochs."),
]
Keystore = Annotated[
    Path | None,
    typer.Option(
        "--keystore",
        envvar=config.ENV_KEYSTORE,
        metavar="PATH",
        help="Keystore file that signs, or a folder of them (default: the user's wallets).",
    ),
]
PasswordFile = Annotated[
    Path | None,
    typer.Option(
        "--password-file",
        envvar=config.ENV_PASSWORD,
        metavar="FILE",
        help="File whose first line is the keystore's password; asked for when not given.",
    ),
]
FromAddress = Annotated[
    str | None,
    typer.Option(
        "--from", envvar=config.ENV_FROM, metavar="ADDRESS", help="Wallet to use when there are several."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one versioned JSON document.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print comma-separated values.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before sending.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be sent, send nothing.")]

DEFAULT_RPC_URL = "http://127.0.0.1:8545"


def require_deployment(path: Path | None) -> Path:
    """Return the deployment's path, or say how to give one."""
    if path is None:
        raise UsageError(
            "no deployment given",
            hint=f"add --deployment FILE (or set {config.ENV_DEPLOYMENT}); `timebank chain deploy` writes it",
        )
    return path


def require_epochs(path: Path | None) -> Path:
    """Return the folder of published epochs, or say how to give one."""
    if path is None:
        raise UsageError(
            "no folder of published epochs given", hint=f"add --epochs DIR (or set {config.ENV_EPOCHS})"
        )
    return path


def open_system(rpc_url: str, deployment: Path | None) -> Timebank:
    """Connect, load the deployment and check that the chain is its chain."""
    from timebank_chain.chain.connection import connect
    from timebank_chain.chain.deployment import load_deployment
    from timebank_chain.chain.system import open_timebank

    manifest = load_deployment(require_deployment(deployment))
    return open_timebank(connect(rpc_url), manifest)


def open_connection(rpc_url: str) -> Connection:
    """Connect to the node at ``rpc_url``."""
    from timebank_chain.chain.connection import connect

    return connect(rpc_url)


def keystore_path(keystore: Path | None, sender: str | None) -> Path:
    """Find the keystore file that signs: given, the only one of a folder, or the one of ``--from``."""
    from timebank_chain.chain.addresses import parse_address
    from timebank_chain.chain.keystore import KeystoreWallets

    place = keystore or config.keystore_folder()
    if keystore is not None and not place.exists():
        raise UsageError(f"no such keystore: {place}", hint="see `timebank wallet list`")
    if place.is_file():
        return place
    wallets = KeystoreWallets(place)
    if sender is not None:
        return wallets.find(parse_address(sender, what="--from")).path
    found = wallets.wallets()
    if len(found) == 1:
        return found[0].path
    if not found:
        raise UsageError(f"no wallet in {place}", hint="make one: timebank wallet create")
    raise UsageError(
        f"{len(found)} wallets in {place}",
        hint="choose one with --from: " + ", ".join(wallet.address for wallet in found),
    )


def open_signer(keystore: Path | None, sender: str | None, password_file: Path | None) -> LocalSigner:
    """Unlock the keystore that signs.

    Raises
    ------
    WrongPassword
        If the password does not open it.
    UsageError
        If the keystore is another address's than ``--from``.
    """
    from timebank_chain.chain.addresses import parse_address
    from timebank_chain.chain.keystore import unlock

    path = keystore_path(keystore, sender)
    signer = unlock(path, password_for(path, password_file))
    if sender is not None and signer.address != parse_address(sender, what="--from"):
        raise UsageError(f"--from is {sender}, the keystore {path} belongs to {signer.address}")
    return signer


def password_for(path: Path, password_file: Path | None) -> str:
    """Read the password of a keystore from its file, or ask on a terminal."""
    from timebank_chain.chain.keystore import read_password

    if password_file is not None:
        return read_password(password_file)
    if not sys.stdin.isatty():
        raise UsageError(
            f"no password for {path.name} and no terminal to ask on",
            hint=f"add --password-file FILE (or set {config.ENV_PASSWORD} to a file)",
        )
    return str(typer.prompt(f"password of {path.name}", hide_input=True, err=True))


def confirm(question: str, *, yes: bool) -> None:
    """Ask before sending.

    Raises
    ------
    UsageError
        If there is no terminal to ask on and ``--yes`` is missing.
    Abort
        If the answer is no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(
            f"nobody to ask: {question}", hint="add --yes to send without asking, or --dry-run to look first"
        )
    if not typer.confirm(question, err=True):
        say("nothing was sent")
        raise typer.Abort


def progress(message: str) -> None:
    """Tell what is being done (standard error), quietly styled."""
    err().print(message, style="dim", markup=False)
