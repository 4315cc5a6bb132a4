"""``timebank market``: exchange credits for other tokens or the chain's coin, by signed orders in files."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from timebank_chain.cli import market_view
from timebank_chain.cli.options import (
    DEFAULT_RPC_URL,
    Amount,
    AsJson,
    DeploymentFile,
    DryRun,
    FromAddress,
    Keystore,
    PasswordFile,
    RpcUrl,
    Yes,
    amount_micro,
    confirm,
    open_signer,
    open_system,
    until_seconds,
)
from timebank_chain.cli.output import print_json, say
from timebank_chain.cli.writes import format_ether, perform, perform_all
from timebank_chain.errors import CheckFailed, TradeOrderError, UsageError
from timebank_chain.units import format_micro

if TYPE_CHECKING:
    from eth_typing import ChecksumAddress

    from timebank_chain.chain.market import BookEntry, MarketState, Sweep
    from timebank_chain.chain.order_book import BookLine
    from timebank_chain.chain.system import Timebank
    from timebank_chain.chain.transactions import Call, Receipt
    from timebank_chain.cli.market_view import Token

app = typer.Typer(
    help=(
        "Exchange credits for tokens or coin: signed orders, kept in files, filled whole or in part."
        "\n\nExample: timebank market quote book.jsonl 10"
    ),
    no_args_is_help=True,
)


class Side(StrEnum):
    """What the one who fills does with credits."""

    BUY = "buy"
    SELL = "sell"


Book = Annotated[Path, typer.Argument(metavar="BOOK", help="A file of orders, one a line (JSON Lines).")]
For = Annotated[
    str, typer.Option("--for", metavar="AMOUNT", help="What all the credits are exchanged for, in the token.")
]
TokenOption = Annotated[
    str, typer.Option("--token", metavar="ADDRESS|coin", help="The other token, or the chain's own coin.")
]
WhichToken = Annotated[
    str | None,
    typer.Option(
        "--token", metavar="ADDRESS|coin", help="The other token (default: the only one of the book)."
    ),
]
SideOption = Annotated[Side, typer.Option("--side", help="Whether you buy or sell credits.")]
Which = Annotated[
    str | None,
    typer.Option("--order", metavar="LINE|HASH", help="Only this order: its line, or how its hash begins."),
]
ToTaker = Annotated[
    str | None, typer.Option("--to", metavar="ADDRESS", help="Who may fill it (default: anybody).")
]
Expires = Annotated[
    str, typer.Option("--expires", metavar="TIME", help="How long it can be filled (7d), or until when.")
]
MaxFee = Annotated[
    int | None,
    typer.Option(
        "--max-fee-bps", metavar="BPS", min=0, max=10_000, help="Highest fee (default: the one in force)."
    ),
]
Output = Annotated[
    Path, typer.Option("--output", "-o", metavar="BOOK", help="The book the signed order is added to.")
]
NoApprove = Annotated[
    bool, typer.Option("--no-approve", help="Send no transaction: it is approved already, or later.")
]
Allow = Annotated[
    str | None,
    typer.Option(
        "--allow", metavar="AMOUNT", help="Approve this much: for all your open orders that give the same."
    ),
]


@app.command("sell")
def sell(
    amount: Amount,
    price: For,
    token: TokenOption = market_view.COIN_WORD,
    to: ToTaker = None,
    expires: Expires = "7d",
    max_fee_bps: MaxFee = None,
    output: Output = Path("book.jsonl"),
    no_approve: NoApprove = False,
    allow: Allow = None,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    keystore: Keystore = None,
    password_file: PasswordFile = None,
    sender: FromAddress = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Sign an order that sells credits and add it to a book; hand the book to whom you like.

    Signing costs nothing. When the exchange may not take the credits yet, a transaction approves them first.
    Whoever fills it pays you exactly the price, rounded in your favour; the fee comes off the credits.

    Example: timebank market sell 50 --for 0.02 --token coin -o book.jsonl --from 0x...

    Example: timebank market sell 50 --for 100 --token 0x... --expires 30d --to 0x... --from 0x...
    """
    _make(
        sells=True,
        amount=amount,
        price=price,
        token=token,
        to=to,
        expires=expires,
        max_fee_bps=max_fee_bps,
        output=output,
        no_approve=no_approve,
        allow=allow,
        system=(rpc_url, deployment),
        signing=(keystore, sender, password_file),
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
    )


@app.command("buy")
def buy(
    amount: Amount,
    price: For,
    token: TokenOption,
    to: ToTaker = None,
    expires: Expires = "7d",
    max_fee_bps: MaxFee = None,
    output: Output = Path("book.jsonl"),
    no_approve: NoApprove = False,
    allow: Allow = None,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    keystore: Keystore = None,
    password_file: PasswordFile = None,
    sender: FromAddress = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Sign an order that buys credits with a token and add it to a book.

    You get the credits less the fee. The chain's own coin cannot be signed away, because nothing could fetch
    it: to buy with coin, wrap it first, or fill somebody's order that sells (timebank market fill).

    Example: timebank market buy 50 --for 100 --token 0x... -o book.jsonl --from 0x...
    """
    if int(market_view.parse_token(token), 16) == 0:
        raise UsageError(
            "an order cannot buy with the chain's own coin: nothing could fetch it",
            hint="wrap it first and name that token, or fill an order that sells: timebank market fill",
        )
    _make(
        sells=False,
        amount=amount,
        price=price,
        token=token,
        to=to,
        expires=expires,
        max_fee_bps=max_fee_bps,
        output=output,
        no_approve=no_approve,
        allow=allow,
        system=(rpc_url, deployment),
        signing=(keystore, sender, password_file),
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
    )


def _make(
    *,
    sells: bool,
    amount: str,
    price: str,
    token: str,
    to: str | None,
    expires: str,
    max_fee_bps: int | None,
    output: Path,
    no_approve: bool,
    allow: str | None,
    system: tuple[str, Path | None],
    signing: tuple[Path | None, str | None, Path | None],
    yes: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Approve what the order gives where that is missing, then sign it and add it to the book."""
    from timebank_chain.chain.addresses import parse_address
    from timebank_chain.chain.credit_exchange import TradeOrder
    from timebank_chain.chain.foreign_token import ForeignToken
    from timebank_chain.chain.member_registry import ZERO_ADDRESS
    from timebank_chain.chain.order_book import SignedOrder, append_order, sign_order

    # Whatever needs no chain is looked at first.
    micro = amount_micro(amount)
    market_view.require_amount(price, "--for")
    if allow is not None:
        market_view.require_amount(allow, "--allow")
        if no_approve:
            raise UsageError("--allow and --no-approve at once", hint="give one of them")
    other = market_view.parse_token(token)
    taker = ZERO_ADDRESS if to is None else parse_address(to, what="--to")
    if not output.parent.is_dir():
        raise UsageError(f"there is no folder {output.parent}", hint="make it, or choose another with -o")
    timebank = open_system(*system)
    exchange, credit = timebank.credit_exchange, timebank.attention_credit
    at, now = timebank.connection.simulation_block, timebank.connection.pending_timestamp()
    until = until_seconds(expires, "--expires", now=now)
    named = market_view.open_token(timebank, other)
    units = named.parse(price, "--for")
    given = allowed = micro if sells else units
    if allow is not None:
        allowed = amount_micro(allow) if sells else named.parse(allow, "--allow")
        if allowed < given:
            raise UsageError(f"--allow {allow} is less than the order gives")
    fee_bps = exchange.trade_fee_bps(block=at)
    signer = open_signer(*signing)
    made = TradeOrder(
        maker=signer.address,
        taker=taker,
        token=named.address,
        sells_credits=sells,
        credits=micro,
        amount=units,
        max_fee_bps=fee_bps if max_fee_bps is None else max_fee_bps,
        expires_at=until,
        series=exchange.series_of(signer.address, block=at),
        salt=secrets.randbits(256),
    )
    if fee_bps > made.max_fee_bps:
        say(f"the fee is {fee_bps} basis points: while it is, nobody can fill this order")
    foreign = ForeignToken(timebank.connection, named.address)
    approvals: list[Call] = []
    if sells:
        balance = credit.balance_of(signer.address, block=at)
        if credit.allowance(signer.address, exchange.address, block=at) < allowed:
            approvals = [credit.approve(exchange.address, allowed)]
        if balance < micro:
            say(f"{signer.address} has {format_micro(balance)} credits: no more can be sold at present")
    else:
        held = foreign.balance_of(signer.address, block=at)
        approvals = foreign.approvals(signer.address, exchange.address, allowed, block=at)
        if held < units:
            say(f"{signer.address} has {named.write(held)} {named.name}: no more can be paid at present")
    unsigned = SignedOrder(made, timebank.connection.chain_id, exchange.address, b"")
    facts: dict[str, Any] = {
        "order_hash": "0x" + unsigned.order_hash.hex(),
        "book": str(output),
        "order": {name: value for name, value in unsigned.to_json().items() if name != "signature"},
    }
    verb = "sell" if sells else "buy"
    question = (
        f"offer {'anybody' if to is None else taker} to {verb} {format_micro(micro)} credits for "
        f"{named.write(units)} {named.name}, until {market_view.moment(until)}?"
    )

    def keep(_receipt: Receipt | None = None) -> Mapping[str, Any]:
        signed = sign_order(made, signer, unsigned.chain_id, unsigned.contract)
        append_order(output, signed)
        return {"order": signed.to_json()}

    schema = f"timebank.market.{verb}/1"
    if approvals and not no_approve:
        # Approved first: an order in the open that nobody can fill is worth nothing.
        sent = perform_all(
            timebank,
            signer,
            approvals,
            question=question,
            schema=schema,
            facts=facts,
            yes=yes,
            dry_run=dry_run,
            as_json=as_json,
            learn=_once(keep),
        )
        if sent is not None and not as_json:
            say(f"signed order 0x{unsigned.order_hash.hex()}, added to {output}")
        return
    if not dry_run:
        confirm(question, yes=yes)
        facts |= keep()
    if as_json:
        print_json(schema, {**facts, "sent": False, "transactions": []})
    elif dry_run:
        say("dry run: nothing was signed")
    else:
        say(f"signed order 0x{unsigned.order_hash.hex()}, added to {output}")


def _once(keep: Any) -> Any:
    """Several approvals are learnt from in turn; the order is signed and kept with the first."""
    kept: dict[str, Any] = {}

    def learn(receipt: Receipt) -> Mapping[str, Any]:
        if not kept:
            kept.update(keep(receipt))
        return kept

    return learn


@app.command("book")
def book(
    file: Book,
    taker: Annotated[
        str | None, typer.Option("--for", metavar="ADDRESS", help="As seen by who would fill it.")
    ] = None,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    as_json: AsJson = False,
) -> None:
    """Show a book: each order's price, what is left of it, and why it cannot be filled if it cannot.

    Example: timebank market book book.jsonl
    """
    from timebank_chain.chain.addresses import parse_account

    who = None if taker is None else parse_account(taker, what="--for")
    timebank = open_system(rpc_url, deployment)
    state, entries = _read(timebank, file, who)
    if as_json:
        document = [market_view.entry_document(entry) for entry in entries]
        print_json(
            "timebank.market.book/1",
            {"time": state.time, "paused": state.paused, "fee_bps": state.fee_bps, "orders": document},
        )
        return
    tokens = {
        address: market_view.known_token(timebank, address)
        for address in dict.fromkeys(entry.order.token for entry in entries)
    }
    market_view.print_book(state, entries, tokens)


@app.command("quote")
def quote(
    file: Book,
    amount: Amount,
    side: SideOption = Side.BUY,
    token: WhichToken = None,
    which: Which = None,
    taker: Annotated[
        str | None, typer.Option("--for", metavar="ADDRESS", help="As seen by who would fill.")
    ] = None,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    as_json: AsJson = False,
) -> None:
    """Say what buying or selling credits across a book costs, best price first; exit 3 if it is too thin.

    Also says which orders are dead, and why. The amount is what is exchanged, fee included.

    Example: timebank market quote book.jsonl 10

    Example: timebank market quote book.jsonl 10 --side sell --token 0x...
    """
    from timebank_chain.chain.addresses import parse_account

    who, micro = None if taker is None else parse_account(taker, what="--for"), amount_micro(amount)
    timebank = open_system(rpc_url, deployment)
    state, entries = _read(timebank, file, who)
    chosen, sweep = _choose(timebank, state, entries, micro, side, token, which)
    buying = side is Side.BUY
    if as_json:
        body = market_view.sweep_document(sweep, chosen, micro, buying=buying)
        dead = [market_view.entry_document(entry) for entry in entries if entry.dead is not None]
        print_json("timebank.market.quote/1", {**body, "fee_bps": state.fee_bps, "dead": dead})
        if sweep.missing:
            raise typer.Exit(CheckFailed.exit_code)
        return
    market_view.print_sweep(sweep, chosen, buying=buying)
    market_view.say_dead(entries)
    _require_whole(sweep)


@app.command("fill")
def fill(
    file: Book,
    amount: Amount,
    side: SideOption = Side.BUY,
    token: WhichToken = None,
    which: Which = None,
    limit: Annotated[
        str | None,
        typer.Option("--limit", metavar="AMOUNT", help="Pay no more, or get no less, in the token, in all."),
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
    """Buy or sell credits by filling the best orders of a book, or the one you name.

    One transaction an order, each at the price shown or not at all; what the exchange may not take from you
    yet is approved first. If an order is gone in the meantime, those before it stay filled and the rest
    stops.

    Example: timebank market fill book.jsonl 10 --limit 0.005 --from 0x...

    Example: timebank market fill book.jsonl 10 --side sell --order 3 --from 0x...
    """
    micro = amount_micro(amount)
    timebank = open_system(rpc_url, deployment)
    signer = open_signer(keystore, sender, password_file)
    state, entries = _read(timebank, file, signer.address)
    chosen, sweep = _choose(timebank, state, entries, micro, side, token, which)
    buying = side is Side.BUY
    if sweep.missing and not as_json:
        market_view.say_dead(entries)
    _require_whole(sweep)
    if limit is not None:
        bound = chosen.parse(limit, "--limit")
        if sweep.amount > bound if buying else sweep.amount < bound:
            raise CheckFailed(
                f"you would {market_view.sentence(sweep, chosen, buying=buying)}: beyond --limit {limit}",
                hint="choose another limit, or wait for better orders: timebank market quote",
            )
    approvals = _approvals(timebank, signer.address, sweep, chosen, buying=buying)
    exchange = timebank.credit_exchange
    fills = [
        exchange.fill(part.entry.order, part.entry.signed.signature, part.credits, part.amount)
        for part in sweep.parts
    ]
    if not as_json:
        market_view.print_sweep(sweep, chosen, buying=buying)
    perform_all(
        timebank,
        signer,
        [*approvals, *fills],
        question=f"{market_view.sentence(sweep, chosen, buying=buying)}?",
        schema="timebank.market.fill/1",
        facts=market_view.sweep_document(sweep, chosen, micro, buying=buying),
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
    )


@app.command("cancel")
def cancel(
    file: Annotated[
        Path | None, typer.Argument(metavar="[BOOK]", help="The book your order stands in.")
    ] = None,
    which: Which = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Void every order you have signed so far, also lost ones.")
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
    """Cancel an order of yours, or all of them: nobody can fill it any more. What was filled stays.

    Example: timebank market cancel book.jsonl --order 3 --from 0x...

    Example: timebank market cancel --all --from 0x...
    """
    from timebank_chain.chain.order_book import read_book

    if everything == (file is not None):
        raise UsageError(
            "which orders?" if file is None else "--all takes no book: it voids every order you signed",
            hint="give a book and --order, or --all",
        )
    timebank = open_system(rpc_url, deployment)
    signer = open_signer(keystore, sender, password_file)
    exchange = timebank.credit_exchange
    if file is None:
        series = exchange.series_of(signer.address, block=timebank.connection.simulation_block)
        perform(
            timebank,
            signer,
            exchange.cancel_all(),
            question=f"void every order {signer.address} has signed so far?",
            schema="timebank.market.cancel-all/1",
            facts={"maker": signer.address, "ended_series": series, "series": series + 1},
            yes=yes,
            dry_run=dry_run,
            as_json=as_json,
        )
        return
    own = [line for line in read_book(file) if line.signed.order.maker == signer.address]
    line = _find(own, which, f"orders of {signer.address} in {file}")
    signed = line.signed
    if (signed.chain_id, signed.contract) != (timebank.connection.chain_id, exchange.address):
        raise TradeOrderError(
            f"the order is for {signed.contract} on chain {signed.chain_id}",
            hint="give the deployment it was signed for with --deployment",
        )
    perform(
        timebank,
        signer,
        exchange.cancel(signed.order),
        question=f"cancel 0x{signed.order_hash.hex()} over {format_micro(signed.order.credits)} credits?",
        schema="timebank.market.cancel/1",
        facts={"order_hash": "0x" + signed.order_hash.hex(), "credits_micro": signed.order.credits},
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
    )


def _read(
    timebank: Timebank, file: Path, taker: ChecksumAddress | None
) -> tuple[MarketState, list[BookEntry]]:
    from timebank_chain.chain.market import read_market
    from timebank_chain.chain.order_book import read_book

    lines = read_book(file)
    if not lines:
        raise TradeOrderError("the book is empty", where=str(file), hint="add an order: timebank market sell")
    return read_market(timebank, lines, taker)


def _find(lines: Sequence[BookLine], which: str | None, what: str) -> BookLine:
    """Find the one line meant: by its number, by how its hash begins, or because it is the only one."""
    if which is None:
        found = list(lines)
    elif which.isascii() and which.isdigit():
        found = [line for line in lines if line.number == int(which)]
    else:
        start = which.lower()
        found = [line for line in lines if f"0x{line.signed.order_hash.hex()}".startswith(start)]
    if len(found) != 1:
        raise UsageError(
            f"{len(found) or 'none'} of the {what} {'is' if len(found) < 2 else 'are'} meant",
            hint="name one with --order: its line, or how its hash begins (timebank market book)",
        )
    return found[0]


def _choose(
    timebank: Timebank,
    state: MarketState,
    entries: Sequence[BookEntry],
    micro: int,
    side: Side,
    token: str | None,
    which: str | None,
) -> tuple[Token, Sweep]:
    """Return the token, and the parts to fill: of the order named, or of the best ones."""
    from timebank_chain.chain.market import Sweep, best_of, require_part
    from timebank_chain.chain.order_book import BookLine
    from timebank_chain.units import MicroCredit

    buying = side is Side.BUY
    fitting = [entry for entry in entries if entry.order.sells_credits == buying]
    if which is not None:
        lines = [BookLine(entry.line, entry.signed) for entry in entries]
        number = _find(lines, which, "orders of the book").number
        entry = next(one for one in entries if one.line == number)
        if entry not in fitting:
            raise UsageError(
                f"the order in line {number} {'buys' if buying else 'sells'} credits, like you",
                hint=f"give --side {'sell' if buying else 'buy'}",
            )
        part = require_part(entry, micro, state.fee_bps)
        return market_view.known_token(timebank, entry.order.token), Sweep((part,), MicroCredit(0))
    if token is not None:
        chosen = market_view.open_token(timebank, market_view.parse_token(token))
    else:
        addresses = list(dict.fromkeys(entry.order.token for entry in fitting))
        if len(addresses) != 1:
            verb = "sell" if buying else "buy"
            raise UsageError(
                f"the orders that {verb} credits are for {len(addresses) or 'no'} tokens",
                hint="choose one with --token" if addresses else "see the book: timebank market book",
            )
        chosen = market_view.known_token(timebank, addresses[0])
    return chosen, best_of(entries, chosen.address, micro, state.fee_bps, buying=buying)


def _require_whole(sweep: Sweep) -> None:
    if sweep.missing:
        raise CheckFailed(
            f"the book is too thin: {format_micro(sweep.missing)} of the credits find no order",
            hint=f"ask for {format_micro(sweep.credits)} or less" if sweep.parts else None,
        )


def _approvals(
    timebank: Timebank, taker: ChecksumAddress, sweep: Sweep, token: Token, *, buying: bool
) -> list[Call]:
    """Check that the taker has what it gives, and propose the approval that is missing."""
    from timebank_chain.chain.credit_exchange import COIN
    from timebank_chain.chain.foreign_token import ForeignToken
    from timebank_chain.chain.openzeppelin_reverts import ERC20InsufficientBalance

    exchange, credit = timebank.credit_exchange.address, timebank.attention_credit
    at = timebank.connection.simulation_block
    if not buying:
        balance = credit.balance_of(taker, block=at)
        if balance < sweep.credits:
            raise ERC20InsufficientBalance({"sender": taker, "balance": balance, "needed": sweep.credits})
        allowed = credit.allowance(taker, exchange, block=at)
        return [] if allowed >= sweep.credits else [credit.approve(exchange, sweep.credits)]
    if token.address == COIN:
        wei = timebank.connection.balance_wei(taker)
        if wei < sweep.amount:
            raise TradeOrderError(
                f"{taker} has {format_ether(wei)} coin, {token.write(sweep.amount)} are needed"
            )
        return []
    foreign = ForeignToken(timebank.connection, token.address)
    held = foreign.balance_of(taker, block=at)
    if held < sweep.amount:
        raise TradeOrderError(
            f"{taker} has {token.write(held)} {token.name}, {token.write(sweep.amount)} are needed"
        )
    return foreign.approvals(taker, exchange, sweep.amount, block=at)
