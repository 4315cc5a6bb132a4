"""Offer a service, order it, do it, be paid: the buyer's credits wait in escrow in between.

    .venv/bin/python scripts/examples/service.py offer 2 --text "an hour of English" --arbiter 0x... WHERE
    .venv/bin/python scripts/examples/service.py order 1 WHERE
    .venv/bin/python scripts/examples/service.py accept 1 WHERE
    .venv/bin/python scripts/examples/service.py deliver 1 --text "we met on Monday" WHERE
    .venv/bin/python scripts/examples/service.py approve 1 WHERE

WHERE is ``--rpc-url http://127.0.0.1:8545 --deployment deployment.json --keystore KEYSTORE.json
--password-file pw``: the buyer's keystore to order and approve, the provider's for the rest.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from timebank_chain.chain import (
    Connection,
    LocalSigner,
    Timebank,
    connect,
    load_deployment,
    open_timebank,
    parse_address,
    unlock,
)
from timebank_chain.chain.events import decode_logs
from timebank_chain.chain.keystore import read_password
from timebank_chain.chain.member_registry import ZERO_ADDRESS
from timebank_chain.chain.service_events import ServiceListed, ServiceOrdered, ServiceSettled
from timebank_chain.content import ContentStore
from timebank_chain.spec.service_escrow import Listing, Periods, Proposal
from timebank_chain.units import format_micro, format_time, parse_credits

DAY = 86_400


def main(arguments: Sequence[str] | None = None, connection: Connection | None = None) -> None:
    """Take a step; ``connection`` is given by the tests, which run all examples on one chain."""
    parser = argparse.ArgumentParser(description="Offer, order, deliver and pay a service.")
    parser.add_argument("what", choices=("offer", "order", "accept", "deliver", "approve"))
    parser.add_argument(
        "number", help="price of the offer, number of the listing to order, else of the order"
    )
    parser.add_argument("--text", default="", help="what it is; kept in --content, hashed on chain")
    parser.add_argument("--arbiter", default=ZERO_ADDRESS, help="who rules on a quarrel, neither of the two")
    parser.add_argument("--content", type=Path, default=Path("texts"), help="folder of the texts")
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
    elif options.what == "order":
        order(timebank, signer, int(options.number))
    else:
        move_on(timebank, signer, options)


def offer(timebank: Timebank, provider: LocalSigner, options: argparse.Namespace) -> None:
    """Provider: say what, for how much, within which times, and who rules if the two of you quarrel."""
    # The text stays off chain; its file, with the salt in it, is for whoever is to read it.
    text = ContentStore(options.content).put(options.text)
    what = Proposal(parse_credits(options.number), 7 * DAY, parse_address(options.arbiter), text)
    listing = Listing(
        expires_at=timebank.connection.pending_timestamp() + 30 * DAY,
        stock=1,
        default_bps=5_000,  # of a dispute the arbiter never rules on: half and half
        periods=Periods(response=3 * DAY, review=3 * DAY, answer=3 * DAY, ruling=7 * DAY),
        proposal=what,
    )
    for event in decode_logs(
        timebank.send(provider, timebank.service_escrow.list_service(listing)).logs, [ServiceListed]
    ):
        assert isinstance(event, ServiceListed)  # noqa: S101 - for the type checker: nothing else was asked for
        print(f"listing {event.listing_id}: {format_micro(what.price)} credits")


def order(timebank: Timebank, buyer: LocalSigner, listing_id: int) -> None:
    """Buyer: approve the price, order on the listing's own terms; the credits go into escrow."""
    escrow = timebank.service_escrow
    listing = escrow.listing_of(listing_id)
    if listing is None:
        raise SystemExit(f"there is no listing {listing_id}")
    timebank.send(buyer, timebank.attention_credit.approve(escrow.address, listing.proposal.price))
    receipt = timebank.send(buyer, escrow.place_order(listing_id, listing.proposal))
    for event in decode_logs(receipt.logs, [ServiceOrdered]):
        assert isinstance(event, ServiceOrdered)  # noqa: S101 - for the type checker: nothing else was asked for
        until = format_time(event.deadline * 1000)
        print(f"order {event.order_id}: {format_micro(event.held)} in escrow; to be accepted until {until}")


def move_on(timebank: Timebank, signer: LocalSigner, options: argparse.Namespace) -> None:
    """Provider: accept, deliver. Buyer: approve, which pays the provider, less the fee."""
    escrow, order_id = timebank.service_escrow, int(options.number)
    standing = escrow.order_of(order_id)
    if standing is None:
        raise SystemExit(f"there is no order {order_id}")
    if options.what == "accept":
        call = escrow.accept(order_id, standing.revision)  # this proposal and no later one
    elif options.what == "deliver":
        call = escrow.deliver(order_id, ContentStore(options.content).put(options.text))
    else:
        call = escrow.approve(order_id)
    for event in decode_logs(timebank.send(signer, call).logs, [ServiceSettled]):
        assert isinstance(event, ServiceSettled)  # noqa: S101 - for the type checker: nothing else was asked for
        print(f"paid {format_micro(event.to_provider)}, the fee is {format_micro(event.fee)}")
    moved = escrow.order_of(order_id)
    if moved is not None:
        # Every stage has a deadline; once it has passed, anybody may move the order on.
        until = f", until {format_time(moved.deadline * 1000)}" if moved.deadline else ""
        print(f"order {order_id} is {moved.stage.name.lower()}{until}")


if __name__ == "__main__":
    main()
