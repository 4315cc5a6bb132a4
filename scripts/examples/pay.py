"""Pay with a memo and a fee, in one transaction: the payment brings its approval as a signed permit.

    .venv/bin/python scripts/examples/pay.py 0x... 3 --memo "lesson of May 4" \\
        --rpc-url http://127.0.0.1:8545 --deployment deployment.json \\
        --keystore KEYSTORE.json --password-file pw
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from timebank_chain.chain import (
    Connection,
    LocalSigner,
    connect,
    load_deployment,
    open_timebank,
    parse_address,
    unlock,
)
from timebank_chain.chain.credit_payments import memo_hash
from timebank_chain.chain.keystore import read_password
from timebank_chain.units import format_micro, parse_credits


def main(arguments: Sequence[str] | None = None, connection: Connection | None = None) -> None:
    """Pay; ``connection`` is given by the tests, which run all examples on one embedded chain."""
    parser = argparse.ArgumentParser(description="Pay credits with a memo and a fee.")
    parser.add_argument("to", help="payee, EIP-55 checksummed")
    parser.add_argument("credits", help="amount, the fee included: 3 or 3.25")
    parser.add_argument("--memo", default="", help="what it is for; only its hash goes on chain")
    parser.add_argument("--rpc-url", default="embedded")
    parser.add_argument("--deployment", type=Path, required=True)
    parser.add_argument("--keystore", type=Path, help="keystore file that signs")
    parser.add_argument("--password-file", type=Path)
    options = parser.parse_args(arguments)
    amount, payee = parse_credits(options.credits), parse_address(options.to)

    connection = connection or connect(options.rpc_url)
    timebank = open_timebank(connection, load_deployment(options.deployment))
    if options.keystore:
        signer = unlock(options.keystore, read_password(options.password_file))
    elif connection.embedded:
        signer = LocalSigner(connection.development_keys()[0])
    else:
        parser.error("a node needs --keystore and --password-file")

    # 1. The fee comes out of the amount, rounded up to the next micro-credit.
    payments = timebank.credit_payments
    quote = payments.quote(amount)
    print(f"{format_micro(quote.received)} arrive, the fee is {format_micro(quote.fee)}")

    # 2. A permit (ERC-2612) is signed, not sent: it lets the payments contract take exactly this amount.
    deadline = connection.pending_timestamp() + 3600
    permit = timebank.attention_credit.sign_permit(signer, payments.address, amount, deadline)

    # 3. Permit, payment and fee: one transaction. Keep the memo's text, its hash finds the payment again.
    receipt = timebank.send(signer, payments.pay_with_permit(payee, amount, memo_hash(options.memo), permit))

    # 4. The fee has been divided among depositors, the bonus pot and the reserve.
    pool = timebank.fee_pool.accounts()
    print(f"paid in block {receipt.block_number}; the fee pool holds {format_micro(pool.total)}")


if __name__ == "__main__":
    main()
