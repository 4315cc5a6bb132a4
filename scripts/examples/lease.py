"""Lease credits from member to member: the lender signs an offer, whoever takes it repays with rent.

    .venv/bin/python scripts/examples/lease.py offer 5 --rent 0.1 --term 10d --file offer.json WHERE
    .venv/bin/python scripts/examples/lease.py take 2 --receipt 7 --file offer.json WHERE
    .venv/bin/python scripts/examples/lease.py repay 1 WHERE

WHERE is ``--rpc-url http://127.0.0.1:8545 --deployment deployment.json --keystore KEYSTORE.json
--password-file pw``: the lender's keystore for the offer, the lessee's for taking and repaying.
"""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Sequence
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
from timebank_chain.chain.bank_events import LeaseTaken
from timebank_chain.chain.credit_lease import LeaseOffer
from timebank_chain.chain.events import decode_logs
from timebank_chain.chain.keystore import read_password
from timebank_chain.chain.lease_check import read_offer_state
from timebank_chain.chain.lease_offers import read_offer, sign_offer, write_offer
from timebank_chain.chain.member_registry import ZERO_ADDRESS
from timebank_chain.units import format_micro, format_time, parse_credits, parse_duration


def main(arguments: Sequence[str] | None = None, connection: Connection | None = None) -> None:
    """Offer, take or repay; ``connection`` is given by the tests, which run all examples on one chain."""
    parser = argparse.ArgumentParser(description="Lease credits from member to member.")
    parser.add_argument("what", choices=("offer", "take", "repay"))
    parser.add_argument("number", help="credits to offer or take, or the number of the lease to repay")
    parser.add_argument("--rent", default="0.1", help="credits for the whole amount and term")
    parser.add_argument("--term", default="10d", help="from taking to the due day")
    parser.add_argument("--receipt", type=int, help="the deposit's receipt that secures what is taken")
    parser.add_argument("--file", type=Path, default=Path("offer.json"), help="the signed offer")
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
    if options.what == "offer":
        offer(timebank, signer, options)
    elif options.what == "take":
        take(timebank, signer, options)
    else:
        repay(timebank, signer, int(options.number))


def offer(timebank: Timebank, lender: LocalSigner, options: argparse.Namespace) -> None:
    """Lender: approve the sum once, sign the terms off chain, publish the file wherever you like."""
    lease, amount = timebank.credit_lease, parse_credits(options.number)
    timebank.send(lender, timebank.attention_credit.approve(lease.address, amount))
    terms = LeaseOffer(
        lender=lender.address,
        lessee=ZERO_ADDRESS,  # anybody
        amount=amount,
        min_take=parse_credits("0.5"),
        rent=parse_credits(options.rent),
        term=parse_duration(options.term) // 1000,
        on_standing=False,  # a receipt is asked for
        expires_at=timebank.connection.pending_timestamp() + 7 * 86_400,
        series=lease.series_of(lender.address),
        salt=secrets.randbits(256),
    )
    # EIP-712: a wallet shows what is signed. Chain and contract are part of it: elsewhere it is void.
    write_offer(options.file, sign_offer(terms, lender, timebank.connection.chain_id, lease.address))
    print(f"offered {format_micro(amount)} credits in {options.file}")


def take(timebank: Timebank, lessee: LocalSigner, options: argparse.Namespace) -> None:
    """Lessee: look whether the chain would refuse, put the receipt into custody, get the credits at once."""
    signed, amount, lease = read_offer(options.file), parse_credits(options.number), timebank.credit_lease
    for refusal in read_offer_state(timebank, signed).refusals(amount, lessee.address):
        raise refusal
    timebank.send(lessee, timebank.time_bank.approve(lease.address, options.receipt))
    receipt = timebank.send(lessee, lease.take(signed.offer, signed.signature, amount, options.receipt))
    for event in decode_logs(receipt.logs, [LeaseTaken]):
        assert isinstance(event, LeaseTaken)  # noqa: S101 - for the type checker: nothing else was asked for
        owed, due = format_micro(event.principal + event.rent), format_time(event.due_at * 1000)
        print(f"lease {event.lease_id}: {owed} credits are owed until {due}")


def repay(timebank: Timebank, payer: LocalSigner, lease_id: int) -> None:
    """Anybody: pay principal and rent; the receipt goes back to its lessee."""
    lease = timebank.credit_lease
    owed = lease.owed_on(lease_id)
    timebank.send(payer, timebank.attention_credit.approve(lease.address, owed))
    timebank.send(payer, lease.repay(lease_id, owed))
    print(f"repaid {format_micro(owed)} credits; lease {lease_id} is over")


if __name__ == "__main__":
    main()
