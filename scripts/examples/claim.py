"""Mint by claiming: prove an account's leaf under the finalised root and claim its credits.

Nobody can mint in any other way. Anyone may pay for anyone's claim; the credits go to who earned them.

    .venv/bin/python scripts/examples/claim.py --rpc-url http://127.0.0.1:8545 --deployment deployment.json \\
        --epochs epochs --keystore KEYSTORE.json --password-file pw [--account 0x...]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from timebank_chain.chain import (
    Connection,
    LocalSigner,
    address_bytes,
    connect,
    load_deployment,
    open_timebank,
    parse_address,
    unlock,
)
from timebank_chain.chain.keystore import read_password
from timebank_chain.epoch import account_proof, read_epoch
from timebank_chain.units import format_micro


def main(arguments: Sequence[str] | None = None, connection: Connection | None = None) -> None:
    """Claim; ``connection`` is given by the tests, which run all examples on one embedded chain."""
    parser = argparse.ArgumentParser(description="Claim what the newest finalised epoch grants.")
    parser.add_argument("--rpc-url", default="embedded")
    parser.add_argument("--deployment", type=Path, required=True)
    parser.add_argument("--epochs", type=Path, required=True, help="folder of published epochs")
    parser.add_argument("--account", help="who earned (default: the signer)")
    parser.add_argument("--keystore", type=Path, help="keystore file that signs")
    parser.add_argument("--password-file", type=Path)
    options = parser.parse_args(arguments)

    # 1. The deployed system. Opening it checks that the node serves the manifest's chain.
    connection = connection or connect(options.rpc_url)
    timebank = open_timebank(connection, load_deployment(options.deployment))
    if options.keystore:
        signer = unlock(options.keystore, read_password(options.password_file))
    elif connection.embedded:
        signer = LocalSigner(connection.development_keys()[0])
    else:
        parser.error("a node needs --keystore and --password-file")
    account = parse_address(options.account) if options.account else signer.address

    # 2. The newest final epoch: its number from the chain, its leaves from the published files. Reading
    #    verifies the files against their header; the header must be the one on chain.
    number = timebank.rate_oracle.latest_epoch()
    if number == 0:
        parser.exit(1, "no epoch is final yet\n")
    published = read_epoch(options.epochs, number)
    if published.header.hash() != timebank.rate_oracle.header_hash_of(number):
        parser.exit(1, f"the published epoch {number} is not the one on chain\n")

    # 3. The leaf says what the account may have in all; the siblings lead from it to the root.
    proof = account_proof(published, address_bytes(account))

    # 4. Simulated first: a second claim raises NothingToClaim here and costs nothing.
    receipt = timebank.send(signer, timebank.credit_distributor.claim(proof.leaf, proof.siblings))
    balance = timebank.attention_credit.balance_of(account)
    print(
        f"claimed in block {receipt.block_number} for {receipt.gas_used} gas; balance {format_micro(balance)}"
    )


if __name__ == "__main__":
    main()
