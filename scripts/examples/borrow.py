"""Borrow against a deposit's receipt: the pool keeps it until it is repaid; it goes on earning.

    .venv/bin/python scripts/examples/borrow.py 5 --receipt 7 --rpc-url http://127.0.0.1:8545 \\
        --deployment deployment.json --keystore KEYSTORE.json --password-file pw
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from timebank_chain.chain import Connection, LocalSigner, connect, load_deployment, open_timebank, unlock
from timebank_chain.chain.keystore import read_password
from timebank_chain.chain.loans import quote_on_receipt, yearly_ppm
from timebank_chain.units import format_micro, parse_credits


def main(arguments: Sequence[str] | None = None, connection: Connection | None = None) -> None:
    """Borrow; ``connection`` is given by the tests, which run all examples on one embedded chain."""
    parser = argparse.ArgumentParser(description="Borrow against a receipt.")
    parser.add_argument("credits", help="amount: 5 or 5.5")
    parser.add_argument("--receipt", type=int, required=True, help="number of the deposit's receipt")
    parser.add_argument("--rpc-url", default="embedded")
    parser.add_argument("--deployment", type=Path, required=True)
    parser.add_argument("--keystore", type=Path, help="keystore file that signs")
    parser.add_argument("--password-file", type=Path)
    options = parser.parse_args(arguments)
    amount = parse_credits(options.credits)

    connection = connection or connect(options.rpc_url)
    timebank = open_timebank(connection, load_deployment(options.deployment))
    if options.keystore:
        signer = unlock(options.keystore, read_password(options.password_file))
    elif connection.embedded:
        signer = LocalSigner(connection.development_keys()[0])
    else:
        parser.error("a node needs --keystore and --password-file")

    # 1. The same asset on both sides: no price feed, so a receipt carries most of what closing it would pay.
    #    The quote is the contract's arithmetic; what it would refuse is known before anything is sent.
    quote = quote_on_receipt(timebank, signer.address, options.receipt, amount)
    if quote.refusal is not None:
        parser.exit(1, f"the pool would refuse: {quote.refusal.message}\n")
    rate = yearly_ppm(quote.rate_after) / 10_000
    print(f"the receipt carries {format_micro(quote.limit)} credits, at {rate:.2f} % a year")

    # 2. The receipt is approved for the pool, then pledged and borrowed against in one transaction.
    lending = timebank.credit_lending
    timebank.send(signer, timebank.time_bank.approve(lending.address, options.receipt))
    timebank.send(signer, lending.pledge_and_borrow(options.receipt, amount, signer.address))

    # 3. Interest grows every second; anybody may liquidate once the debt is above the threshold.
    print(f"owed: {format_micro(lending.debt_of(options.receipt))}")
    if quote.threshold is not None:
        print(f"liquidated above: {format_micro(quote.threshold)}")


if __name__ == "__main__":
    main()
