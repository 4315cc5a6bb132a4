"""Repay a loan against a receipt whole, and take the receipt back.

    .venv/bin/python scripts/examples/repay.py --receipt 7 --rpc-url http://127.0.0.1:8545 \\
        --deployment deployment.json --keystore KEYSTORE.json --password-file pw
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from timebank_chain.chain import Connection, LocalSigner, connect, load_deployment, open_timebank, unlock
from timebank_chain.chain.bank_events import Repaid
from timebank_chain.chain.events import decode_logs
from timebank_chain.chain.keystore import read_password
from timebank_chain.chain.loans import owed_with_margin
from timebank_chain.units import format_micro


def main(arguments: Sequence[str] | None = None, connection: Connection | None = None) -> None:
    """Repay; ``connection`` is given by the tests, which run all examples on one embedded chain."""
    parser = argparse.ArgumentParser(description="Repay a loan against a receipt.")
    parser.add_argument("--receipt", type=int, required=True, help="number of the pledged receipt")
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

    # 1. Interest goes on until the repayment is mined: an hour more of it is approved. More than is owed is
    #    never taken.
    lending = timebank.credit_lending
    most = owed_with_margin(lending.debt_of(options.receipt), lending.borrow_rate())
    timebank.send(signer, timebank.attention_credit.approve(lending.address, most))
    repaid = timebank.send(signer, lending.repay(options.receipt, most))
    for event in decode_logs(repaid.logs, [Repaid]):
        assert isinstance(event, Repaid)  # noqa: S101 - for the type checker: nothing else was asked for
        print(f"repaid {format_micro(event.amount)}, principal and interest")

    # 2. Without debt the receipt goes back to who pledged it.
    timebank.send(signer, lending.release(options.receipt))
    print(f"receipt {options.receipt} is held by {timebank.time_bank.owner_of(options.receipt)} again")


if __name__ == "__main__":
    main()
