"""Deposit credits for a term: one transaction, a receipt (ERC-721), a share of what others pay in.

    .venv/bin/python scripts/examples/deposit.py 10 --term week --rpc-url http://127.0.0.1:8545 \\
        --deployment deployment.json --keystore KEYSTORE.json --password-file pw
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from timebank_chain.chain import Connection, LocalSigner, connect, load_deployment, open_timebank, unlock
from timebank_chain.chain.bank_events import Deposited
from timebank_chain.chain.deposits import find_term
from timebank_chain.chain.events import decode_logs
from timebank_chain.chain.keystore import read_password
from timebank_chain.units import format_micro, format_time, parse_credits


def main(arguments: Sequence[str] | None = None, connection: Connection | None = None) -> None:
    """Deposit; ``connection`` is given by the tests, which run all examples on one embedded chain."""
    parser = argparse.ArgumentParser(description="Deposit credits for a term.")
    parser.add_argument("credits", help="amount: 10 or 10.5")
    parser.add_argument("--term", default="week", help="demand, day, week, month, or a term's number")
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

    # 1. A term says how long the credits are bound, how much they weigh in the income, and what leaving early
    #    costs. A deposit keeps what it was made under, whatever governance decides later.
    bank = timebank.time_bank
    term = find_term(bank.terms(), options.term)
    print(f"{term.name}: weight {term.multiplier_milli / 1000:g}, early exit {term.penalty_bps / 100:g} %")

    # 2. A permit (ERC-2612) is signed, not sent: it lets the bank take exactly this amount.
    deadline = connection.pending_timestamp() + 3600
    permit = timebank.attention_credit.sign_permit(signer, bank.address, amount, deadline)
    receipt = timebank.send(signer, bank.deposit_with_permit(amount, term.term_id, signer.address, permit))

    # 3. The receipt's number stands in the event. Who holds the receipt disposes of the deposit.
    for event in decode_logs(receipt.logs, [Deposited]):
        assert isinstance(event, Deposited)  # noqa: S101 - for the type checker: nothing else was asked for
        matures = format_time(event.matures_at * 1000)
        print(f"receipt {event.receipt_id}: {format_micro(event.amount)} credits, matures {matures}")
        print(f"closing it now would pay {format_micro(bank.exit_value(event.receipt_id))}")


if __name__ == "__main__":
    main()
