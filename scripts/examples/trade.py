"""Trade credits for the chain's coin: the seller signs an order, whoever fills it pays and gets them at once.

    .venv/bin/python scripts/examples/trade.py sell 5 --for 0.01 --book book.jsonl WHERE
    .venv/bin/python scripts/examples/trade.py fill 2 --book book.jsonl WHERE
    .venv/bin/python scripts/examples/trade.py cancel --book book.jsonl WHERE

WHERE is ``--rpc-url http://127.0.0.1:8545 --deployment deployment.json --keystore KEYSTORE.json
--password-file pw``: the seller's keystore for selling and cancelling, the buyer's for filling.
"""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from timebank_chain.chain import (
    Connection,
    LocalSigner,
    Timebank,
    connect,
    load_deployment,
    open_timebank,
    unlock,
)
from timebank_chain.chain.credit_exchange import COIN, TradeOrder
from timebank_chain.chain.events import decode_logs
from timebank_chain.chain.exchange_events import TradeFilled
from timebank_chain.chain.keystore import read_password
from timebank_chain.chain.market import best_of, read_market
from timebank_chain.chain.member_registry import ZERO_ADDRESS
from timebank_chain.chain.order_book import append_order, read_book, sign_order
from timebank_chain.units import format_micro, parse_credits

WEI = 10**18


def main(arguments: Sequence[str] | None = None, connection: Connection | None = None) -> None:
    """Sell, fill or cancel; ``connection`` is given by the tests, which run all examples on one chain."""
    parser = argparse.ArgumentParser(description="Trade credits for the chain's coin.")
    parser.add_argument("what", choices=("sell", "fill", "cancel"))
    parser.add_argument("credits", nargs="?", default="1", help="how many to sell or to buy")
    parser.add_argument("--for", dest="price", default="0.01", help="coin for all the credits sold")
    parser.add_argument("--book", type=Path, default=Path("book.jsonl"), help="signed orders, one a line")
    parser.add_argument("--rpc-url", default="embedded")
    parser.add_argument("--deployment", type=Path, required=True)
    parser.add_argument("--keystore", type=Path, help="keystore file that signs")
    parser.add_argument("--password-file", type=Path)
    options = parser.parse_args(arguments)

    connection = connection or connect(options.rpc_url)
    timebank = open_timebank(connection, load_deployment(options.deployment))
    if options.keystore:
        signer = unlock(options.keystore, read_password(options.password_file))
    elif connection.embedded:
        signer = LocalSigner(connection.development_keys()[0])
    else:
        parser.error("a node needs --keystore and --password-file")
    if options.what == "sell":
        sell(timebank, signer, options)
    elif options.what == "fill":
        fill(timebank, signer, options)
    else:
        cancel(timebank, signer, options)


def sell(timebank: Timebank, seller: LocalSigner, options: argparse.Namespace) -> None:
    """Seller: approve the credits once, sign the terms off chain, hand the book to whom you like."""
    exchange, amount = timebank.credit_exchange, parse_credits(options.credits)
    timebank.send(seller, timebank.attention_credit.approve(exchange.address, amount))
    order = TradeOrder(
        maker=seller.address,
        taker=ZERO_ADDRESS,  # anybody
        token=COIN,
        sells_credits=True,
        credits=amount,
        amount=int(Decimal(options.price) * WEI),
        max_fee_bps=exchange.trade_fee_bps(),
        expires_at=timebank.connection.pending_timestamp() + 7 * 86_400,
        series=exchange.series_of(seller.address),
        salt=secrets.randbits(256),
    )
    # EIP-712: a wallet shows what is signed. Chain and contract are part of it: elsewhere it is void.
    append_order(options.book, sign_order(order, seller, timebank.connection.chain_id, exchange.address))
    print(f"offered {format_micro(amount)} credits for {options.price} coin in {options.book}")


def fill(timebank: Timebank, buyer: LocalSigner, options: argparse.Namespace) -> None:
    """Buyer: ask the chain which orders are open, take the best; one transaction an order."""
    state, entries = read_market(timebank, read_book(options.book).lines, buyer.address)
    for entry in entries:
        if entry.dead is not None:
            print(f"line {entry.line} is dead: {entry.dead.message}")
    sweep = best_of(entries, COIN, parse_credits(options.credits), state.fee_bps, buying=True)
    for part in sweep.parts:
        # Up to this much, at this price and fee or not at all: if somebody is faster, what is left.
        call = timebank.credit_exchange.fill(
            part.entry.order,
            part.entry.signed.signature,
            part.credits,
            part.amount,
            least=part.least,
            max_fee_bps=state.fee_bps,
        )
        for event in decode_logs(timebank.send(buyer, call).logs, [TradeFilled]):
            assert isinstance(event, TradeFilled)  # noqa: S101 - for the type checker: nothing else was asked for
            got, paid = format_micro(event.credits - event.fee), Decimal(event.amount) / WEI
            print(f"line {part.entry.line}: {got} credits for {paid} coin")
    if sweep.missing:
        print(f"{format_micro(sweep.missing)} credits find no order")


def cancel(timebank: Timebank, seller: LocalSigner, options: argparse.Namespace) -> None:
    """Seller: take back what is left of every open order of yours in the book."""
    own = [line for line in read_book(options.book).lines if line.signed.order.maker == seller.address]
    for entry in read_market(timebank, own)[1]:
        if entry.dead is None:
            timebank.send(seller, timebank.credit_exchange.cancel(entry.order))
            print(f"line {entry.line}: {format_micro(entry.left)} credits are no longer for sale")


if __name__ == "__main__":
    main()
