"""``timebank wallet``: keys, balances, transfers, payments, claims and statements."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from timebank_chain import config
from timebank_chain.cli import outlook, statement_view, wallet_link, why
from timebank_chain.cli.options import (
    DEFAULT_RPC_URL,
    Account,
    Amount,
    AsCsv,
    AsJson,
    DeploymentFile,
    DryRun,
    EpochsFolder,
    FromAddress,
    Keystore,
    PasswordFile,
    RpcUrl,
    Yes,
    account_of,
    amount_micro,
    open_signer,
    open_system,
    require_epochs,
)
from timebank_chain.cli.output import out, print_json, print_table, say
from timebank_chain.cli.writes import format_ether, perform
from timebank_chain.documents import read_small_text
from timebank_chain.errors import TimebankError, UsageError, WalletError
from timebank_chain.units import format_micro

if TYPE_CHECKING:
    from collections.abc import Mapping

    from timebank_chain.chain.keystore import KeystoreWallets
    from timebank_chain.chain.system import Timebank
    from timebank_chain.chain.transactions import Receipt

app = typer.Typer(
    help="Keys, balances, transfers, payments, claims and statements.\n\nExample: timebank wallet create",
    no_args_is_help=True,
)
app.add_typer(wallet_link.app, name="link")
app.command("outlook")(outlook.command)
app.command("why")(why.command)

PERMIT_SECONDS = 3600

Receiver = Annotated[str, typer.Argument(metavar="TO", help="Receiver's address, EIP-55 checksummed.")]
KeystoreFolder = Annotated[
    Path | None,
    typer.Option(
        "--keystore",
        metavar="DIR",
        help=f"Folder of wallets (default: {config.ENV_KEYSTORES}, else the user's data folder).",
    ),
]


def _folder(folder: Path | None) -> KeystoreWallets:
    from timebank_chain.chain.keystore import KeystoreWallets

    return KeystoreWallets(folder or config.keystore_folder())


def _new_password(password_file: Path | None) -> str:
    from timebank_chain.chain.keystore import read_password

    if password_file is not None:
        return read_password(password_file)
    if not sys.stdin.isatty():
        raise UsageError(
            "no password and no terminal to ask on",
            hint=f"add --password-file FILE (or set {config.ENV_PASSWORD} to a file)",
        )
    return str(typer.prompt("new password", hide_input=True, confirmation_prompt=True, err=True))


@app.command("create")
def create(
    keystore: KeystoreFolder = None, password_file: PasswordFile = None, as_json: AsJson = False
) -> None:
    """Make a new wallet: a key under a password, in a keystore V3 file only you can read.

    Example: timebank wallet create --password-file ~/.timebank-password
    """
    wallet = _folder(keystore).create(_new_password(password_file))
    if as_json:
        print_json("timebank.wallet.create/1", {"address": wallet.address, "path": str(wallet.path)})
        return
    out().print(wallet.address)
    say(f"kept in {wallet.path}; back it up: file and password together are the only way to its credits")


@app.command("import")
def import_command(
    key_file: Annotated[
        Path | None,
        typer.Option(
            "--key-file",
            metavar="FILE|-",
            help="File with the private key in hex, or - for standard input; asked for when not given.",
        ),
    ] = None,
    keystore: KeystoreFolder = None,
    password_file: PasswordFile = None,
    as_json: AsJson = False,
) -> None:
    """Keep an existing private key. The key comes from a prompt, a file or standard input, never an argument.

    Example: timebank wallet import --key-file key.txt --password-file password.txt
    """
    from timebank_chain.chain.keystore import parse_private_key

    if key_file is not None and str(key_file) == "-":
        text = sys.stdin.readline()
    elif key_file is not None:
        try:
            text = read_small_text(key_file)
        except (OSError, ValueError) as error:
            raise WalletError(f"cannot read the key file: {error}") from error
    elif sys.stdin.isatty():
        text = str(typer.prompt("private key", hide_input=True, err=True))
    else:
        raise UsageError("no private key given", hint="add --key-file FILE, or --key-file - to pipe it in")
    wallet = _folder(keystore).import_key(parse_private_key(text), _new_password(password_file))
    if as_json:
        print_json("timebank.wallet.import/1", {"address": wallet.address, "path": str(wallet.path)})
        return
    out().print(wallet.address)
    say(f"kept in {wallet.path}")


@app.command("list")
def list_command(keystore: KeystoreFolder = None, as_json: AsJson = False) -> None:
    """List the wallets in the folder.

    Example: timebank wallet list
    """
    folder = _folder(keystore)
    wallets = folder.wallets()
    if as_json:
        body = [{"address": one.address, "path": str(one.path)} for one in wallets]
        print_json("timebank.wallet.list/1", {"folder": str(folder.folder), "wallets": body})
        return
    if not wallets:
        say(f"no wallet in {folder.folder}; make one: timebank wallet create")
        return
    print_table("Wallets", ["address", "file"], [(one.address, one.path) for one in wallets])


@app.command("balance")
def balance(
    account: Account = None,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    keystore: Keystore = None,
    sender: FromAddress = None,
    as_json: AsJson = False,
) -> None:
    """Show an account's credits, what it has claimed so far, and its coin for gas.

    Example: timebank wallet balance 0x... --deployment deployments/31337/deployment.json
    """
    whose = account_of(account, keystore, sender)
    timebank = open_system(rpc_url, deployment)
    block = timebank.connection.block_number()
    credits_micro = timebank.attention_credit.balance_of(whose, block=block)
    claimed = timebank.credit_distributor.claimed(whose, block=block)
    coin = timebank.connection.balance_wei(whose)
    if as_json:
        body = {
            "account": whose,
            "block": block,
            "balance_micro": credits_micro,
            "claimed_micro": claimed,
            "coin_wei": coin,
        }
        print_json("timebank.wallet.balance/1", body)
        return
    print_table(
        whose,
        ["", ">"],
        [
            ("credits", format_micro(credits_micro)),
            ("claimed so far", format_micro(claimed)),
            ("coin for gas", format_ether(coin)),
        ],
    )


@app.command("send")
def send_command(
    to: Receiver,
    amount: Amount,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    keystore: Keystore = None,
    password_file: PasswordFile = None,
    sender: FromAddress = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Send credits: the whole amount arrives, there is no fee.

    Example: timebank wallet send 0x... 12.5 --from 0x...
    """
    from timebank_chain.chain.addresses import parse_address

    receiver = parse_address(to, what="TO")
    micro = amount_micro(amount)
    timebank = open_system(rpc_url, deployment)
    perform(
        timebank,
        open_signer(keystore, sender, password_file),
        timebank.attention_credit.transfer(receiver, micro),
        question=f"send {format_micro(micro)} credits to {receiver}?",
        schema="timebank.wallet.send/1",
        facts={"receiver": receiver, "amount_micro": micro},
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
    )


@app.command("pay")
def pay(
    to: Receiver,
    amount: Amount,
    memo: Annotated[
        str, typer.Option(help="What it is for; only its hash is public, so keep the text.")
    ] = "",
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    keystore: Keystore = None,
    password_file: PasswordFile = None,
    sender: FromAddress = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Pay with a memo; the fee comes out of the amount and feeds the fee pool.

    One transaction: the payment brings a signed permit along, no approval is needed before.

    Example: timebank wallet pay 0x... 3 --memo "lesson of May 4" --from 0x...
    """
    from timebank_chain.chain.addresses import parse_address
    from timebank_chain.chain.credit_payments import memo_hash

    receiver = parse_address(to, what="TO")
    micro = amount_micro(amount)
    timebank = open_system(rpc_url, deployment)
    signer = open_signer(keystore, sender, password_file)
    payments = timebank.credit_payments
    quote = payments.quote(micro)
    digest = memo_hash(memo)
    if timebank.attention_credit.allowance(signer.address, payments.address) >= micro:
        call = payments.pay(receiver, micro, digest)
    else:
        deadline = timebank.connection.pending_timestamp() + PERMIT_SECONDS
        permit = timebank.attention_credit.sign_permit(signer, payments.address, micro, deadline)
        call = payments.pay_with_permit(receiver, micro, digest, permit)
    perform(
        timebank,
        signer,
        call,
        question=(
            f"pay {format_micro(micro)} credits to {receiver} "
            f"({format_micro(quote.received)} arrive, the fee is {format_micro(quote.fee)})?"
        ),
        schema="timebank.wallet.pay/1",
        facts={
            "receiver": receiver,
            "amount_micro": micro,
            "fee_micro": quote.fee,
            "received_micro": quote.received,
            "memo_hash": "0x" + digest.hex(),
        },
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
    )


@app.command("claim")
def claim(
    epochs: EpochsFolder = None,
    account: Annotated[
        str | None,
        typer.Option("--account", metavar="ADDRESS", help="Claim for this account (default: your wallet)."),
    ] = None,
    member: Annotated[
        str | None,
        typer.Option("--member", metavar="ID", help="Claim for the placeholder of this outside id."),
    ] = None,
    epoch: Annotated[
        int | None, typer.Option("--epoch", metavar="N", help="Insist on this epoch (default: newest final).")
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
    """Claim what finalised epochs grant; your wallet pays the gas, the credits go to who earned them.

    A placeholder's credits go to the wallet the registrar has linked it to. An overdue debt is repaid first,
    a standing order makes a deposit of the rest; the command says what went where.

    Example: timebank wallet claim --epochs epochs --from 0x...

    Example: timebank wallet claim --epochs epochs --member ada@example.org --from 0x...
    """
    from timebank_chain.chain.addresses import parse_account
    from timebank_chain.chain.claiming import prove_claim

    folder = require_epochs(epochs)
    if account is not None and member is not None:
        raise UsageError("--account and --member name the same thing twice", hint="give one of them")
    timebank = open_system(rpc_url, deployment)
    signer = open_signer(keystore, sender, password_file)
    if member is not None:
        whose = wallet_link.placeholder_of(member)
    elif account is not None:
        whose = parse_account(account, what="--account")
    else:
        whose = signer.address
    proven = prove_claim(timebank, folder, whose, epoch=epoch)
    receipt = perform(
        timebank,
        signer,
        proven.call,
        question=f"claim {format_micro(proven.claimable)} credits for {whose} from epoch {proven.epoch}?",
        schema="timebank.wallet.claim/1",
        facts={
            "account": whose,
            "epoch": proven.epoch,
            "amount_micro": proven.claimable,
            "cumulative_micro": proven.leaf.cumulative_mint,
            "receiver": None,
            "to_creditor_micro": None,
            "creditor": None,
            "deposit_id": None,
            "to_deposit_micro": None,
            "to_wallet_micro": None,
        },
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
        learn=_claimed,
    )
    if receipt.sent and not as_json:
        _print_ways(timebank, _claimed(receipt))


def _claimed(receipt: Receipt) -> Mapping[str, Any]:
    """Say what was claimed, and where it went: to a debt, to a deposit, to the wallet."""
    from timebank_chain.chain.events import Claimed, ClaimRouted, decode_logs

    learnt: dict[str, Any] = {}
    for event in decode_logs(receipt.logs, (Claimed, ClaimRouted)):
        if isinstance(event, Claimed):
            learnt |= {
                "amount_micro": event.amount,
                "receiver": event.receiver,
                "to_creditor_micro": 0,
                "to_deposit_micro": 0,
                "to_wallet_micro": event.amount,
            }
        if isinstance(event, ClaimRouted):
            learnt |= {
                "to_creditor_micro": event.to_creditor,
                "creditor": event.creditor if event.to_creditor else None,
                "deposit_id": event.deposit_id if event.to_deposit else None,
                "to_deposit_micro": event.to_deposit,
                "to_wallet_micro": learnt["amount_micro"] - event.to_creditor - event.to_deposit,
            }
    return learnt


def _print_ways(timebank: Timebank, learnt: Mapping[str, Any]) -> None:
    if not learnt:
        return
    rooms = {
        timebank.credit_lending.address: "the lending pool",
        timebank.credit_lease.address: "the lender of the lease",
    }
    rows = []
    if learnt["to_creditor_micro"]:
        creditor = rooms.get(learnt["creditor"], learnt["creditor"])
        rows.append((f"an overdue debt, to {creditor}", format_micro(learnt["to_creditor_micro"])))
    if learnt["to_deposit_micro"]:
        rows.append((f"a deposit, receipt {learnt['deposit_id']}", format_micro(learnt["to_deposit_micro"])))
    if learnt["to_wallet_micro"]:
        rows.append((f"the wallet {learnt['receiver']}", format_micro(learnt["to_wallet_micro"])))
    print_table("Where the credits went", ["", ">"], rows)


@app.command("statement")
def statement(
    account: Account = None,
    memos: Annotated[
        list[str] | None,
        typer.Option("--memo", metavar="TEXT", help="A memo's text: shown where its hash is met; repeat it."),
    ] = None,
    memo_file: Annotated[
        Path | None, typer.Option("--memo-file", metavar="FILE", help="File of memo texts, one a line.")
    ] = None,
    accruals: Annotated[
        bool, typer.Option("--accruals", help="Also list what deposits earned and loans cost.")
    ] = False,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    keystore: Keystore = None,
    sender: FromAddress = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """List every movement of an account with its running balance, checked against the chain.

    With --accruals also what deposits earned and loans cost, event by event; --json has both always.

    Example: timebank wallet statement 0x... --memo "lesson of May 4" --csv

    Example: timebank wallet statement 0x... --accruals
    """
    from timebank_chain.chain.statement import read_statement

    if as_json and as_csv:
        raise UsageError("--json and --csv at once", hint="give one of them")
    whose = account_of(account, keystore, sender)
    texts = _memo_texts(memos or [], memo_file)
    read = read_statement(open_system(rpc_url, deployment), whose)
    if as_json:
        print_json("timebank.wallet.statement/1", statement_view.document(read, texts))
    elif as_csv:
        statement_view.print_csv(read, texts, accruals=accruals)
    else:
        statement_view.print_movements(read, texts)
        if accruals:
            statement_view.print_accruals(read)


def _memo_texts(memos: list[str], memo_file: Path | None) -> dict[bytes, str]:
    from timebank_chain.chain.credit_payments import memo_hash

    lines = list(memos)
    if memo_file is not None:
        try:
            lines += read_small_text(memo_file).splitlines()
        except (OSError, ValueError) as error:
            raise TimebankError(f"cannot read the memo file: {error}", where=str(memo_file)) from error
    return {memo_hash(line): line for line in lines if line}
