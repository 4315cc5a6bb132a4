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
from timebank_chain.errors import UsageError, WalletError
from timebank_chain.units import MicroCredit, format_time, parse_credits, parse_duration, parse_time

if TYPE_CHECKING:
    from eth_typing import ChecksumAddress

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
Account = Annotated[str | None, typer.Argument(metavar="[ADDRESS]", help="Account (default: your wallet).")]
Amount = Annotated[str, typer.Argument(metavar="CREDITS", help="Amount in credits: 12 or 12.5.")]
To = Annotated[
    str | None, typer.Option("--to", metavar="ADDRESS", help="Who gets the credits (default: your wallet).")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one versioned JSON document.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print comma-separated values.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before sending.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be sent, send nothing.")]

#: The contracts number receipts and leases in 32 bits.
MAX_NUMBER = (1 << 32) - 1

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


def account_of(account: str | None, keystore: Path | None, sender: str | None) -> ChecksumAddress:
    """Return the account asked about: given, or the wallet's own (its keystore tells without a password)."""
    from timebank_chain.chain.addresses import parse_account, parse_address
    from timebank_chain.chain.keystore import KeystoreWallets

    if account is not None:
        return parse_account(account)
    if sender is not None:
        return parse_address(sender, what="--from")
    path = keystore_path(keystore, None)
    for wallet in KeystoreWallets(path.parent).wallets():
        if wallet.path == path:
            return wallet.address
    raise WalletError("not a keystore V3 file", where=str(path))


def receiver_of(to: str | None) -> ChecksumAddress | None:
    """Read ``--to``; ``None`` when it is not given."""
    from timebank_chain.chain.addresses import parse_address

    return None if to is None else parse_address(to, what="--to")


def amount_micro(text: str) -> MicroCredit:
    """Read an amount of credits as micro-credits.

    Raises
    ------
    UsageError
        If it is no positive amount of at most six decimals.
    """
    try:
        return parse_credits(text)
    except ValueError as error:
        raise UsageError(str(error)) from None


def whole_seconds(text: str, what: str, *, least: int = 0) -> int:
    """Read a duration (``7d``) as whole seconds; ``0s`` means none.

    Raises
    ------
    UsageError
        If it is no duration, no whole number of seconds, or less than ``least``.
    """
    if text.strip() in ("0", "0s"):
        seconds = 0
    else:
        try:
            ms = parse_duration(text)
        except ValueError as error:
            raise UsageError(f"{what}: {error}") from None
        if ms % 1000:
            raise UsageError(f"{what}: {text!r} is not a whole number of seconds")
        seconds = ms // 1000
    if seconds < least:
        raise UsageError(f"{what}: {text!r} is too short", hint=f"at least {least} s")
    return seconds


def until_seconds(text: str, what: str, *, now: int) -> int:
    """Read how long (``7d``) or until when as Unix seconds, at least a second ahead of ``now``."""
    try:
        until = parse_time(text) // 1000 if "T" in text or "-" in text else None
    except ValueError as error:
        raise UsageError(f"{what}: {error}") from None
    if until is None:
        until = now + whole_seconds(text, what, least=1)
    if until <= now:
        raise UsageError(f"{what}: {text} has passed, it is {format_time(now * 1000)}")
    return until


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
