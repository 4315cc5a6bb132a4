"""Lend: supply credits to the pool for shares of it (ERC-4626), which interest makes worth more.

    .venv/bin/python scripts/examples/lend.py 20 --rpc-url http://127.0.0.1:8545 \\
        --deployment deployment.json --keystore KEYSTORE.json --password-file pw
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from timebank_chain.chain import Connection, LocalSigner, connect, load_deployment, open_timebank, unlock
from timebank_chain.chain.keystore import read_password
from timebank_chain.chain.loans import read_pool, yearly_ppm
from timebank_chain.units import format_micro, parse_credits


def main(arguments: Sequence[str] | None = None, connection: Connection | None = None) -> None:
    """Lend; ``connection`` is given by the tests, which run all examples on one embedded chain."""
    parser = argparse.ArgumentParser(description="Supply credits to the lending pool.")
    parser.add_argument("credits", help="amount: 20 or 20.5")
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

    # 1. The pool takes no permit: it is approved for exactly this amount first.
    lending = timebank.credit_lending
    timebank.send(signer, timebank.attention_credit.approve(lending.address, amount))

    # 2. Shares are minted at today's price; from now on interest belongs to them, and so do losses.
    timebank.send(signer, lending.deposit(amount, signer.address))
    shares = lending.balance_of(signer.address)
    print(f"{shares} shares, worth {format_micro(lending.convert_to_assets(shares))} credits")

    # 3. What they earn depends on how much of the pool is lent out, and moves with it.
    pool = read_pool(timebank)
    lent_out, earned = pool.utilisation / 10**16, yearly_ppm(pool.supply_rate) / 10_000
    print(f"{lent_out:.1f} % is lent out; suppliers earn {earned:.2f} % a year")
    print(f"can be withdrawn now: {format_micro(lending.max_withdraw(signer.address))}")


if __name__ == "__main__":
    main()
