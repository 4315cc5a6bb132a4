"""Transfer credits: an ordinary ERC-20 transfer, no fee, the whole amount arrives.

    .venv/bin/python scripts/examples/transfer.py 0x... 12.5 --rpc-url http://127.0.0.1:8545 \\
        --deployment deployment.json --keystore KEYSTORE.json --password-file pw
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
from timebank_chain.chain.events import Transfer, decode_logs
from timebank_chain.chain.keystore import read_password
from timebank_chain.units import format_micro, parse_credits


def main(arguments: Sequence[str] | None = None, connection: Connection | None = None) -> None:
    """Transfer; ``connection`` is given by the tests, which run all examples on one embedded chain."""
    parser = argparse.ArgumentParser(description="Transfer credits.")
    parser.add_argument("to", help="receiver, EIP-55 checksummed")
    parser.add_argument("credits", help="amount: 12 or 12.5")
    parser.add_argument("--rpc-url", default="embedded")
    parser.add_argument("--deployment", type=Path, required=True)
    parser.add_argument("--keystore", type=Path, help="keystore file that signs")
    parser.add_argument("--password-file", type=Path)
    options = parser.parse_args(arguments)

    # 1. Amounts are integers in micro-credits from here on; an address must carry its checksum.
    amount = parse_credits(options.credits)
    receiver = parse_address(options.to)

    # 2. The deployed system and a key.
    connection = connection or connect(options.rpc_url)
    timebank = open_timebank(connection, load_deployment(options.deployment))
    if options.keystore:
        signer = unlock(options.keystore, read_password(options.password_file))
    elif connection.embedded:
        signer = LocalSigner(connection.development_keys()[0])
    else:
        parser.error("a node needs --keystore and --password-file")

    # 3. A client's write is only a proposal; `send` checks chain id and code, simulates it (a refusal is
    #    a named exception: ERC20InsufficientBalance), prices, signs, sends and waits.
    proposed = timebank.attention_credit.transfer(receiver, amount)
    receipt = timebank.send(signer, proposed)

    # 4. What happened stands in the receipt's events.
    for event in decode_logs(receipt.logs, [Transfer]):
        assert isinstance(event, Transfer)  # noqa: S101 - for the type checker: only transfers were asked for
        print(f"{event.sender} -> {event.receiver}: {format_micro(event.amount)}")
    print(f"balance {format_micro(timebank.attention_credit.balance_of(signer.address))}")


if __name__ == "__main__":
    main()
