"""``timebank lease``: lend a fixed sum for a fixed time at a fixed rent, from member to member."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from timebank_chain.cli import lease_view, wallet_link
from timebank_chain.cli.loan_calls import accept_call, unknown_policy
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
    Yes,
    account_of,
    amount_micro,
    confirm,
    open_signer,
    open_system,
    require_epochs,
    until_seconds,
    whole_seconds,
)
from timebank_chain.cli.output import out, print_json, say
from timebank_chain.cli.writes import perform, perform_all
from timebank_chain.errors import CheckFailed, UsageError
from timebank_chain.units import format_micro

if TYPE_CHECKING:
    from eth_typing import ChecksumAddress

    from timebank_chain.chain.credit_lease import Lease
    from timebank_chain.chain.lease_check import OfferState
    from timebank_chain.chain.system import Timebank
    from timebank_chain.chain.transactions import Call, Receipt

app = typer.Typer(
    help=(
        "Lend and rent credits: a fixed sum, a fixed time, a fixed rent."
        "\n\nExample: timebank lease offer 50 --rent 0.4 --term 30d -o offer.json --from 0x..."
    ),
    no_args_is_help=True,
)

OFFER_MADE = "timebank.lease.offer-made/1"

OfferFile = Annotated[Path, typer.Argument(metavar="OFFER", help="An offer's file.")]
Part = Annotated[
    str | None, typer.Argument(metavar="[CREDITS]", help="Part of the offer (default: all that is left).")
]
LeaseId = Annotated[int, typer.Argument(metavar="ID", min=1, max=MAX_NUMBER, help="Number of the lease.")]


@app.command("offer")
def offer_command(
    amount: Amount,
    rent: Annotated[
        str, typer.Option("--rent", metavar="CREDITS", help="For the whole amount and term; 0 for none.")
    ],
    term: Annotated[str, typer.Option("--term", metavar="TIME", help="From taking to the due day: 30d.")],
    to: Annotated[
        str | None, typer.Option("--to", metavar="ADDRESS", help="Who may take it (default: anybody).")
    ] = None,
    min_take: Annotated[
        str | None,
        typer.Option("--min-take", metavar="CREDITS", help="Smallest part (default: only the whole)."),
    ] = None,
    on_standing: Annotated[
        bool, typer.Option("--on-standing", help="Accept standing as security, not only a receipt.")
    ] = False,
    expires: Annotated[
        str,
        typer.Option("--expires", metavar="TIME", help="How long it can be taken (7d), or until when."),
    ] = "7d",
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Where the signed offer goes.")
    ] = Path("offer.json"),
    no_approve: Annotated[
        bool, typer.Option("--no-approve", help="Send no transaction: the sum is approved already, or later.")
    ] = False,
    allow: Annotated[
        str | None,
        typer.Option(
            "--allow", metavar="CREDITS", help="Approve this much: for all your open offers together."
        ),
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
    """Sign an offer and write it to a file; hand the file to whom you like.

    Signing costs nothing. When the contract may not take the sum yet, a transaction approves it first. All
    your offers draw on one approval: with several open at once, approve their sum with --allow.

    Example: timebank lease offer 50 --rent 0.4 --term 30d -o offer.json --from 0x...

    Example: timebank lease offer 50 --rent 0.4 --term 30d --min-take 5 --on-standing --to 0x... --from 0x...
    """
    from timebank_chain.chain.addresses import parse_address
    from timebank_chain.chain.credit_lease import MAX_LEASE_TERM, LeaseOffer
    from timebank_chain.chain.lease_offers import SignedOffer, sign_offer, write_offer
    from timebank_chain.chain.member_registry import ZERO_ADDRESS
    from timebank_chain.units import MicroCredit

    micro = amount_micro(amount)
    smallest = micro if min_take is None else amount_micro(min_take)
    if smallest > micro:
        raise UsageError(f"--min-take {min_take} is more than the whole, {amount}")
    allowed = micro if allow is None else amount_micro(allow)
    if allowed < micro:
        raise UsageError(f"--allow {allow} is less than the offer, {amount}")
    if allow is not None and no_approve:
        raise UsageError("--allow and --no-approve at once", hint="give one of them")
    rent_micro = _rent(rent)
    seconds = whole_seconds(term, "--term", least=1)
    if seconds > MAX_LEASE_TERM:
        raise UsageError(f"--term: {term!r} is too long", hint=f"at most {lease_view.span(MAX_LEASE_TERM)}")
    lessee = ZERO_ADDRESS if to is None else parse_address(to, what="--to")
    if output.exists():
        raise UsageError(f"there is a file {output} already", hint="choose another with -o FILE")
    if not output.parent.is_dir():
        raise UsageError(
            f"there is no folder {output.parent}", hint="make it, or choose another with -o FILE"
        )
    timebank = open_system(rpc_url, deployment)
    now = timebank.connection.pending_timestamp()
    until = until_seconds(expires, "--expires", now=now)
    signer = open_signer(keystore, sender, password_file)
    contract, credit = timebank.credit_lease, timebank.attention_credit
    at = timebank.connection.simulation_block
    made = LeaseOffer(
        lender=signer.address,
        lessee=lessee,
        amount=micro,
        min_take=smallest,
        rent=MicroCredit(rent_micro),
        term=seconds,
        on_standing=on_standing,
        expires_at=until,
        series=contract.series_of(signer.address, block=at),
        salt=secrets.randbits(256),
    )
    approvals = []
    if not no_approve and credit.allowance(signer.address, contract.address, block=at) < allowed:
        approvals.append(credit.approve(contract.address, allowed))
    balance = credit.balance_of(signer.address, block=at)
    if balance < micro:
        say(f"{signer.address} has {format_micro(balance)} credits: more cannot be taken of it at present")
    unsigned = SignedOffer(made, timebank.connection.chain_id, contract.address, b"")
    facts: dict[str, Any] = {
        "offer_hash": "0x" + unsigned.offer_hash.hex(),
        "file": str(output),
        "offer": {name: value for name, value in unsigned.to_json().items() if name != "signature"},
    }
    question = (
        f"offer {lease_view.whom(lessee)} {format_micro(micro)} credits for {lease_view.span(seconds)} "
        f"at a rent of {format_micro(rent_micro)}, to be taken until {lease_view.moment(until)}?"
    )

    def keep(_receipt: Receipt | None = None) -> Mapping[str, Any]:
        signed = sign_offer(made, signer, unsigned.chain_id, unsigned.contract)
        write_offer(output, signed)
        return {"offer": signed.to_json()}

    if not as_json:
        lease_view.print_offer(made, unsigned.offer_hash)
    if approvals:
        # Approved first: an offer in the open that nobody can take is worth nothing.
        perform_all(
            timebank,
            signer,
            approvals,
            question=question,
            schema=OFFER_MADE,
            facts=facts,
            yes=yes,
            dry_run=dry_run,
            as_json=as_json,
            learn=keep,
        )
    else:
        if not dry_run:
            confirm(question, yes=yes)
            facts |= keep()
        if as_json:
            print_json(OFFER_MADE, {**facts, "sent": False, "transactions": []})
        elif dry_run:
            say("dry run: nothing was signed")
    if not (as_json or dry_run):
        say(f"signed offer: {output}")


def _rent(text: str) -> int:
    return 0 if text.strip() in ("0", "0.0") else amount_micro(text)


@app.command("quote")
def quote(
    offer: OfferFile,
    amount: Part = None,
    receipt_id: Annotated[
        int | None,
        typer.Option(
            "--receipt",
            metavar="ID",
            min=1,
            max=MAX_NUMBER,
            help="Look whether this receipt secures it, too.",
        ),
    ] = None,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    as_json: AsJson = False,
) -> None:
    """Say what taking an offer would cost, when it is due and what secures it; exit 3 if it cannot be taken.

    With --receipt also whether that receipt is worth enough, and what a settlement after the due day would
    cost if it matures later.

    Example: timebank lease quote offer.json 20

    Example: timebank lease quote offer.json 20 --receipt 7
    """
    from timebank_chain.chain.lease_check import early_settlement, read_offer_state, receipt_refusals
    from timebank_chain.chain.lease_offers import read_offer

    signed = read_offer(offer)
    timebank = open_system(rpc_url, deployment)
    state = read_offer_state(timebank, signed)
    micro = _part(state, amount)
    refusals, cost = list(state.refusals(micro)), None
    if receipt_id is not None:
        holder = timebank.time_bank.owner_of(receipt_id, block=timebank.connection.simulation_block)
        refusals += receipt_refusals(timebank, state, micro, holder, receipt_id)
        cost = early_settlement(timebank, receipt_id, state.time + signed.offer.term)
    refusal = refusals[0] if refusals else None
    document = lease_view.quote_document(state, micro, refusal)
    document |= lease_view.settlement_document(receipt_id, cost)
    if as_json:
        print_json("timebank.lease.quote/1", document)
        if refusal is not None:
            raise typer.Exit(CheckFailed.exit_code)
        return
    lease_view.print_quote(state, micro)
    lease_view.say_settlement(receipt_id, cost)
    if refusal is not None:
        raise CheckFailed(f"it cannot be taken: {refusal.message}", hint=refusal.hint)


def _part(state: OfferState, amount: str | None) -> int:
    return state.left if amount is None else amount_micro(amount)


@app.command("open")
def open_command(
    offer: OfferFile,
    amount: Part = None,
    receipt_id: Annotated[
        int | None,
        typer.Option("--receipt", metavar="ID", min=1, max=MAX_NUMBER, help="Your receipt that secures it."),
    ] = None,
    standing: Annotated[
        bool, typer.Option("--standing", help="Your standing secures it: your claims repay it when overdue.")
    ] = False,
    epochs: EpochsFolder = None,
    account: Annotated[
        str | None,
        typer.Option(
            "--account", metavar="ADDRESS", help="Whose standing: a placeholder of yours (default: you)."
        ),
    ] = None,
    member: Annotated[
        str | None,
        typer.Option("--member", metavar="ID", help="Whose standing: the placeholder of this outside id."),
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
    """Take an offer, whole or in part: the credits are yours at once.

    With --receipt the receipt goes into custody until you repay (a transaction approves that first when
    needed). With --standing nothing is handed over; once overdue, your claims repay it first.

    Example: timebank lease open offer.json 20 --receipt 7 --from 0x...

    Example: timebank lease open offer.json --standing --epochs epochs --from 0x...
    """
    from timebank_chain.chain.addresses import parse_address
    from timebank_chain.chain.lease_check import early_settlement, read_offer_state
    from timebank_chain.chain.lease_offers import read_offer

    if (receipt_id is not None) == standing:
        raise UsageError(
            "what secures it?" if receipt_id is None else "--receipt and --standing at once",
            hint="give --receipt ID or --standing",
        )
    if (account or member) and not standing:
        raise UsageError("--account and --member are for --standing")
    if account is not None and member is not None:
        raise UsageError("--account and --member name the same thing twice", hint="give one of them")
    if standing:
        require_epochs(epochs)
    signed = read_offer(offer)
    timebank = open_system(rpc_url, deployment)
    signer = open_signer(keystore, sender, password_file)
    state = read_offer_state(timebank, signed)
    micro = _part(state, amount)
    for refusal in state.refusals(micro, signer.address):
        raise refusal
    rent = signed.offer.rent_for(micro)
    if receipt_id is not None:
        whose, security = None, f"receipt {receipt_id} in custody"
        calls = _on_receipt(timebank, state, micro, signer.address, receipt_id)
    else:
        if member is not None:
            whose = wallet_link.placeholder_of(member)
        else:
            whose = parse_address(account, what="--account") if account else signer.address
        security = f"the standing of {whose}"
        calls = _on_standing(timebank, state, micro, signer.address, whose, require_epochs(epochs))
    # If the next block takes it; the due day counts from the block that does.
    due = state.time + signed.offer.term
    cost = None if receipt_id is None else early_settlement(timebank, receipt_id, due)
    lease_view.say_settlement(receipt_id, cost)
    sent = perform_all(
        timebank,
        signer,
        calls,
        question=(
            f"take {format_micro(micro)} credits of {signed.offer.lender} against {security}, "
            f"and owe {format_micro(micro + rent)} by about {lease_view.moment(due)}?"
        ),
        schema="timebank.lease.open/1",
        facts={
            "lease_id": None,
            "offer_hash": "0x" + signed.offer_hash.hex(),
            "lender": signed.offer.lender,
            "amount_micro": micro,
            "rent_micro": rent,
            "owed_micro": micro + rent,
            "due_at": due,
            "account": whose,
            **lease_view.settlement_document(receipt_id, cost),
        },
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
        learn=_taken,
    )
    if sent is not None and not as_json:
        taken = _taken(sent)
        number, until = taken["lease_id"], lease_view.moment(taken["due_at"])
        out().print(f"lease {number}; repay it until {until}: timebank lease close {number}")


def _on_receipt(
    timebank: Timebank, state: OfferState, micro: int, taker: ChecksumAddress, receipt_id: int
) -> list[Call]:
    """Taking against a receipt, and the approval of custody before it where it is missing."""
    from timebank_chain.chain.lease_check import receipt_refusals

    for refusal in receipt_refusals(timebank, state, micro, taker, receipt_id):
        raise refusal
    lease, bank, signed = timebank.credit_lease, timebank.time_bank, state.offer
    take = lease.take(signed.offer, signed.signature, micro, receipt_id)
    if bank.approved(receipt_id) == lease.address or bank.is_approved_for_all(taker, lease.address):
        return [take]
    return [bank.approve(lease.address, receipt_id), take]


def _on_standing(
    timebank: Timebank,
    state: OfferState,
    micro: int,
    taker: ChecksumAddress,
    whose: ChecksumAddress,
    epochs: Path,
) -> list[Call]:
    """Taking on standing; before it the policy in force is shown to the pool if that does not know it."""
    from timebank_chain.chain.claiming import prove_account
    from timebank_chain.chain.lease_check import standing_refusals

    proof, unknown = prove_account(timebank, epochs, whose), unknown_policy(timebank, epochs, None)
    decay_k = unknown.decay_k if unknown else timebank.credit_lending.accepted_policy()[1]
    for refusal in standing_refusals(timebank, state, micro, taker, proof.leaf, decay_k=decay_k):
        raise refusal
    signed = state.offer
    take = timebank.credit_lease.take_on_standing(
        signed.offer, signed.signature, micro, proof.leaf, proof.siblings
    )
    return [accept_call(timebank, unknown), take] if unknown else [take]


def _taken(receipt: Receipt) -> Mapping[str, Any]:
    """Say which lease was made, and when it is due to the second; nothing of a receipt that made none."""
    from timebank_chain.chain.bank_events import LeaseTaken
    from timebank_chain.chain.events import decode_logs

    for event in decode_logs(receipt.logs, (LeaseTaken,)):
        if isinstance(event, LeaseTaken):
            return {"lease_id": event.lease_id, "due_at": event.due_at}
    return {}


@app.command("close")
def close(
    lease_id: LeaseId,
    amount: Annotated[
        str | None,
        typer.Argument(metavar="[CREDITS]", help="A part, on standing only (default: all that is owed)."),
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
    """Repay a lease, yours or anybody's: the receipt goes back to its lessee, or the claims are free.

    A transaction approves the sum first when needed.

    Example: timebank lease close 3 --from 0x...
    """
    from timebank_chain.chain.bank_reverts import PartialRepayment
    from timebank_chain.chain.openzeppelin_reverts import ERC20InsufficientBalance

    asked = None if amount is None else amount_micro(amount)
    timebank = open_system(rpc_url, deployment)
    contract, credit = timebank.credit_lease, timebank.attention_credit
    lease = _running(timebank, lease_id)
    micro = lease.owed if asked is None else min(asked, lease.owed)
    if lease.receipt_id and micro < lease.owed:
        raise PartialRepayment({"leaseId": lease_id, "owed": lease.owed, "amount": micro})
    signer = open_signer(keystore, sender, password_file)
    at = timebank.connection.simulation_block
    balance = credit.balance_of(signer.address, block=at)
    if balance < micro:
        raise ERC20InsufficientBalance({"sender": signer.address, "balance": balance, "needed": micro})
    calls = [contract.repay(lease_id, micro)]
    if credit.allowance(signer.address, contract.address, block=at) < micro:
        calls.insert(0, credit.approve(contract.address, micro))
    left = lease.owed - micro
    perform_all(
        timebank,
        signer,
        calls,
        question=f"repay {format_micro(micro)} credits of lease {lease_id} ({format_micro(left)} stay owed)?",
        schema="timebank.lease.close/1",
        facts={"lease_id": lease_id, "paid_micro": micro, "owed_micro": left, "over": left == 0},
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
        learn=_repaid,
    )


def _repaid(receipt: Receipt) -> Mapping[str, Any]:
    """Say what was paid, to the unit: a claim may have repaid a part in between."""
    from timebank_chain.chain.bank_events import LeaseClosed, LeaseRepaid
    from timebank_chain.chain.events import decode_logs

    events = decode_logs(receipt.logs, (LeaseRepaid, LeaseClosed))
    over = any(isinstance(event, LeaseClosed) for event in events)
    paid = sum(event.amount for event in events if isinstance(event, LeaseRepaid))
    return {"paid_micro": paid, "over": True, "owed_micro": 0} if over else {"paid_micro": paid}


def _running(timebank: Timebank, lease_id: int) -> Lease:
    from timebank_chain.chain.bank_reverts import NoSuchLease

    lease = timebank.credit_lease.lease_of(lease_id, block=timebank.connection.simulation_block)
    if lease is None:
        raise NoSuchLease({"leaseId": lease_id})
    return lease


@app.command("list")
def list_command(
    account: Account = None,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    keystore: Keystore = None,
    sender: FromAddress = None,
    as_json: AsJson = False,
) -> None:
    """List an account's running leases, lent and rented.

    Example: timebank lease list 0x...
    """
    from timebank_chain.chain.portfolio import read_portfolio

    whose = account_of(account, keystore, sender)
    portfolio = read_portfolio(open_system(rpc_url, deployment), whose)
    if as_json:
        body = {
            "account": whose,
            "block": portfolio.block,
            "time": portfolio.time,
            "lent": [lease_view.lease_document(one) for one in portfolio.leases_lent],
            "rented": [lease_view.lease_document(one) for one in portfolio.leases_owed],
        }
        print_json("timebank.lease.list/1", body)
        return
    lease_view.print_leases(portfolio)


@app.command("show")
def show(
    lease_id: LeaseId,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    as_json: AsJson = False,
) -> None:
    """Show a lease and everything that happened to it, also when it is over.

    Example: timebank lease show 3
    """
    from timebank_chain.chain.lease_history import read_lease

    record = read_lease(open_system(rpc_url, deployment), lease_id)
    if as_json:
        print_json("timebank.lease.show/1", lease_view.record_document(record))
        return
    lease_view.print_record(record)


@app.command("settle")
def settle(
    lease_id: LeaseId,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    keystore: Keystore = None,
    password_file: PasswordFile = None,
    sender: FromAddress = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Settle an overdue lease from its receipt: the lender is paid, the rest goes to the lessee.

    Anybody may; the deposit is closed, early if it must.

    Example: timebank lease settle 3 --from 0x...
    """
    from timebank_chain.chain.bank_events import LeaseSettled
    from timebank_chain.chain.events import decode_logs

    timebank = open_system(rpc_url, deployment)
    lease = _running(timebank, lease_id)

    def settled(receipt: Receipt) -> Mapping[str, Any]:
        for event in decode_logs(receipt.logs, (LeaseSettled,)):
            if isinstance(event, LeaseSettled):
                return {
                    "proceeds_micro": event.proceeds,
                    "to_lender_micro": event.to_lender,
                    "fee_micro": event.fee,
                    "returned_micro": event.returned,
                }
        return {}

    perform(
        timebank,
        open_signer(keystore, sender, password_file),
        timebank.credit_lease.settle(lease_id),
        question=f"close receipt {lease.receipt_id} to pay the {format_micro(lease.owed)} credits owed?",
        schema="timebank.lease.settle/1",
        facts={"lease_id": lease_id, "receipt_id": lease.receipt_id, "owed_micro": lease.owed},
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
        learn=settled,
    )


@app.command("forgive")
def forgive(
    lease_id: LeaseId,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    keystore: Keystore = None,
    password_file: PasswordFile = None,
    sender: FromAddress = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Give up what is left of a lease you lent: receipt and claims are free. Nobody can undo it.

    Example: timebank lease forgive 3 --from 0x...
    """
    timebank = open_system(rpc_url, deployment)
    lease = _running(timebank, lease_id)
    perform(
        timebank,
        open_signer(keystore, sender, password_file),
        timebank.credit_lease.forgive(lease_id),
        question=f"give up {format_micro(lease.owed)} credits that {lease.lessee} owes on lease {lease_id}?",
        schema="timebank.lease.forgive/1",
        facts={"lease_id": lease_id, "lessee": lease.lessee, "forgiven_micro": lease.owed},
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
    )


@app.command("cancel")
def cancel(
    offer: OfferFile,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    keystore: Keystore = None,
    password_file: PasswordFile = None,
    sender: FromAddress = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Cancel an offer of yours: nobody can take it any more. Leases taken of it go on.

    Example: timebank lease cancel offer.json --from 0x...
    """
    from timebank_chain.chain.lease_check import require_same_contract
    from timebank_chain.chain.lease_offers import read_offer

    signed = read_offer(offer)
    timebank = open_system(rpc_url, deployment)
    require_same_contract(timebank, signed)
    perform(
        timebank,
        open_signer(keystore, sender, password_file),
        timebank.credit_lease.cancel(signed.offer),
        question=f"cancel offer 0x{signed.offer_hash.hex()} of {format_micro(signed.offer.amount)} credits?",
        schema="timebank.lease.cancel/1",
        facts={"offer_hash": "0x" + signed.offer_hash.hex(), "amount_micro": signed.offer.amount},
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
    )


@app.command("cancel-all")
def cancel_all(
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    keystore: Keystore = None,
    password_file: PasswordFile = None,
    sender: FromAddress = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Void every offer you have signed so far, also those whose files you have lost.

    Example: timebank lease cancel-all --from 0x...
    """
    timebank = open_system(rpc_url, deployment)
    signer = open_signer(keystore, sender, password_file)
    series = timebank.credit_lease.series_of(signer.address, block=timebank.connection.simulation_block)
    perform(
        timebank,
        signer,
        timebank.credit_lease.cancel_all(),
        question=f"void every offer {signer.address} has signed so far?",
        schema="timebank.lease.cancel-all/1",
        facts={"lender": signer.address, "ended_series": series, "series": series + 1},
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
    )


@app.command("check")
def check(
    offer: OfferFile,
    amount: Part = None,
    account: Annotated[
        str | None, typer.Option("--for", metavar="ADDRESS", help="Check for who would take it.")
    ] = None,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    as_json: AsJson = False,
) -> None:
    """Check an offer against the chain; exit 3 if it cannot be taken.

    Signature, expiry, what is left, whether it was cancelled, and whether the lender's balance and
    allowance cover it: the smallest part, or the one you name.

    Example: timebank lease check offer.json
    """
    from timebank_chain.chain.addresses import parse_account
    from timebank_chain.chain.lease_check import read_offer_state
    from timebank_chain.chain.lease_offers import read_offer

    taker = None if account is None else parse_account(account, what="--for")
    wanted = None if amount is None else amount_micro(amount)
    signed = read_offer(offer)
    state = read_offer_state(open_system(rpc_url, deployment), signed)
    refusals = list(state.refusals(wanted, taker))
    if as_json:
        print_json("timebank.lease.check/1", lease_view.check_document(state, refusals))
        if refusals:
            raise typer.Exit(CheckFailed.exit_code)
        return
    lease_view.print_offer(signed.offer, signed.offer_hash)
    lease_view.print_check(state)
    if refusals:
        raise CheckFailed(f"it cannot be taken: {refusals[0].message}", hint=refusals[0].hint)
    out().print(f"up to {format_micro(state.covered)} credits can be taken now")
