"""``timebank market``: exchange credits for other tokens or the chain's coin, by signed orders in files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from timebank_chain.cli import market_sweep, market_view
from timebank_chain.cli.market_order import make_order
from timebank_chain.cli.market_sweep import Side
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
    open_signer,
    open_system,
)
from timebank_chain.cli.output import print_json, say
from timebank_chain.cli.writes import perform, perform_all
from timebank_chain.errors import CheckFailed, TradeOrderError, UsageError
from timebank_chain.units import format_micro

app = typer.Typer(
    help=(
        "Exchange credits for tokens or coin: signed orders, kept in files, filled whole or in part."
        "\n\nExample: timebank market quote book.jsonl 10"
    ),
    no_args_is_help=True,
)

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
        "--max-fee-bps", metavar="BPS", min=0, help="Highest fee, at most 500 (default: the one in force)."
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
    make_order(
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
    make_order(
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

    A line that is no order is shown as dead with its reason; only a file without any order is an error.

    Example: timebank market book book.jsonl
    """
    from timebank_chain.chain.addresses import parse_account

    who = None if taker is None else parse_account(taker, what="--for")
    timebank = open_system(rpc_url, deployment)
    state, entries, read = market_sweep.read_orders(timebank, file, who)
    if as_json:
        print_json(
            "timebank.market.book/1",
            {
                "time": state.time,
                "paused": state.paused,
                "fee_bps": state.fee_bps,
                "orders": [market_view.entry_document(entry) for entry in entries],
                **market_view.bad_lines_document(read),
            },
        )
        return
    tokens = {
        address: market_view.known_token(timebank, address)
        for address in dict.fromkeys(entry.order.token for entry in entries)
    }
    market_view.print_book(state, entries, read, tokens)


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
    """Say what buying or selling credits across a book costs, best price first; exit 3 if some find no order.

    Also says which orders and lines are dead, and why. The amount is what is exchanged, fee included.

    Example: timebank market quote book.jsonl 10

    Example: timebank market quote book.jsonl 10 --side sell --token 0x...
    """
    from timebank_chain.chain.addresses import parse_account

    who, micro = None if taker is None else parse_account(taker, what="--for"), amount_micro(amount)
    timebank = open_system(rpc_url, deployment)
    state, entries, read = market_sweep.read_orders(timebank, file, who)
    chosen, sweep = market_sweep.choose(timebank, state, entries, micro, side, token, which)
    buying = side is Side.BUY
    if as_json:
        body = market_view.sweep_document(sweep, chosen, micro, buying=buying)
        dead = [market_view.entry_document(entry) for entry in entries if entry.dead is not None]
        body |= {"fee_bps": state.fee_bps, "dead": dead, **market_view.bad_lines_document(read)}
        print_json("timebank.market.quote/1", body)
        if sweep.missing:
            raise typer.Exit(CheckFailed.exit_code)
        return
    market_view.print_sweep(sweep, chosen, buying=buying)
    market_view.say_dead(entries, read)
    market_sweep.require_whole(sweep)


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
    all_or_nothing: Annotated[
        bool,
        typer.Option(
            "--all-or-nothing", help="Fill each order as far as shown, or not: not what others left of it."
        ),
    ] = False,
    max_fee_bps: MaxFee = None,
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

    One transaction an order, at the price and fee shown or not at all; what the exchange may not take from
    you yet is approved first. Where somebody was faster you get what is left of the order, unless you want
    all or nothing, or rounding would worsen the price by more than 1 %; if nothing is left, those filled
    before it stay filled and the rest stops.

    Example: timebank market fill book.jsonl 10 --limit 0.005 --from 0x...

    Example: timebank market fill book.jsonl 10 --all-or-nothing --max-fee-bps 30 --from 0x...

    Example: timebank market fill book.jsonl 10 --side sell --order 3 --from 0x...
    """
    from timebank_chain.chain.exchange_reverts import TradeFeeAboveTerms

    micro = amount_micro(amount)
    market_sweep.require_fee_bound(max_fee_bps)
    timebank = open_system(rpc_url, deployment)
    signer = open_signer(keystore, sender, password_file)
    state, entries, read = market_sweep.read_orders(timebank, file, signer.address)
    chosen, sweep = market_sweep.choose(timebank, state, entries, micro, side, token, which)
    buying = side is Side.BUY
    if sweep.missing and not as_json:
        market_view.say_dead(entries, read)
    market_sweep.require_whole(sweep)
    # What was shown is what is agreed to: a fee raised in the meantime is refused by the contract.
    fee_bound = state.fee_bps if max_fee_bps is None else max_fee_bps
    if state.fee_bps > fee_bound:
        raise TradeFeeAboveTerms({"feeBps": state.fee_bps, "maxFeeBps": fee_bound})
    if limit is not None:
        bound = chosen.parse(limit, "--limit")
        if sweep.amount > bound if buying else sweep.amount < bound:
            raise CheckFailed(
                f"you would {market_view.sentence(sweep, chosen, buying=buying)}: beyond --limit {limit}",
                hint="choose another limit, or wait for better orders: timebank market quote",
            )
    approvals = market_sweep.approvals(timebank, signer.address, sweep, chosen, buying=buying)
    exchange = timebank.credit_exchange
    fills = [
        exchange.fill(
            part.entry.order,
            part.entry.signed.signature,
            part.credits,
            part.amount,
            least=part.credits if all_or_nothing else part.least,
            max_fee_bps=fee_bound,
        )
        for part in sweep.parts
    ]
    filled = market_sweep.Filled()
    if not as_json:
        market_view.print_sweep(sweep, chosen, buying=buying)
    done = perform_all(
        timebank,
        signer,
        [*approvals, *fills],
        question=f"{market_view.sentence(sweep, chosen, buying=buying)}?",
        schema="timebank.market.fill/1",
        facts=market_view.sweep_document(sweep, chosen, micro, buying=buying)
        | {"all_or_nothing": all_or_nothing, "max_fee_bps": fee_bound},
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
        learn=filled.learn,
    )
    if done is not None and filled.credits < sweep.credits:
        say(
            f"others were faster: {format_micro(filled.credits)} of {format_micro(sweep.credits)} credits "
            f"were exchanged, for {chosen.write(filled.amount)} {chosen.name}"
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

    Of an order that nobody can fill any more (cancelled, filled, ended) it says so, and sends nothing.

    Example: timebank market cancel book.jsonl --order 3 --from 0x...

    Example: timebank market cancel --all --from 0x...
    """
    from timebank_chain.chain.market import end_of
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
    own = [line for line in read_book(file).lines if line.signed.order.maker == signer.address]
    line = market_sweep.find_line(own, which, f"orders of {signer.address} in {file}")
    signed = line.signed
    if (signed.chain_id, signed.contract) != (timebank.connection.chain_id, exchange.address):
        raise TradeOrderError(
            f"the order is for {signed.contract} on chain {signed.chain_id}",
            hint="give the deployment it was signed for with --deployment",
        )
    facts = {"order_hash": "0x" + signed.order_hash.hex(), "credits_micro": signed.order.credits}
    over = end_of(timebank, line)
    if over is not None:
        if as_json:
            print_json(
                "timebank.market.cancel/1",
                {**facts, "sent": False, "refusal": market_view.refusal_document(over)},
            )
        else:
            say(f"nobody can fill it any more, so nothing was sent: {over.message}")
        return
    perform(
        timebank,
        signer,
        exchange.cancel(signed.order),
        question=f"cancel 0x{signed.order_hash.hex()} over {format_micro(signed.order.credits)} credits?",
        schema="timebank.market.cancel/1",
        facts={**facts, "refusal": None},
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
    )
