"""Options of the commands, and how their times are read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from timebank_chain import config
from timebank_chain.cli.lease_view import span
from timebank_chain.cli.options import MAX_NUMBER, until_seconds, whole_seconds
from timebank_chain.errors import UsageError

#: How long a side has when nobody says otherwise.
USUAL_ANSWER = "3d"
MAX_STOCK = (1 << 32) - 1

ContentFolder = Annotated[
    Path | None,
    typer.Option(
        "--content",
        envvar=config.ENV_CONTENT,
        metavar="DIR",
        help="Folder of texts kept off chain (default: the user's data folder).",
    ),
]
Price = Annotated[str, typer.Argument(metavar="CREDITS", help="Price in credits, fee included: 12 or 12.5.")]
Text = Annotated[
    str | None, typer.Option("--text", help="What it is about; kept in the content folder, hashed on chain.")
]
TextFile = Annotated[
    Path | None, typer.Option("--file", metavar="FILE", help="The same, from a file in UTF-8.")
]
Arbiter = Annotated[
    str, typer.Option("--arbiter", metavar="ADDRESS", help="Who rules if you quarrel; neither of you.")
]
OtherArbiter = Annotated[
    str | None,
    typer.Option("--arbiter", metavar="ADDRESS", help="Another arbiter than the one proposed so far."),
]
OtherDelivery = Annotated[
    str | None,
    typer.Option("--deliver", metavar="TIME", help="Another time for the delivery than proposed so far."),
]
Stock = Annotated[
    int, typer.Option("--stock", metavar="N", min=1, max=MAX_STOCK, help="How many orders can be accepted.")
]
Expires = Annotated[
    str, typer.Option("--expires", metavar="TIME", help="How long orders can be placed (30d), or until when.")
]
Delivery = Annotated[
    str, typer.Option("--deliver", metavar="TIME", help="From acceptance to delivery: 1h to 365d.")
]
Respond = Annotated[
    str, typer.Option("--respond", metavar="TIME", help="To answer an order or a counter-offer.")
]
Review = Annotated[str, typer.Option("--review", metavar="TIME", help="For the buyer to look at a delivery.")]
Answer = Annotated[
    str, typer.Option("--answer", metavar="TIME", help="For the provider to answer a rejection.")
]
Ruling = Annotated[str, typer.Option("--ruling", metavar="TIME", help="For the arbiter to rule.")]
DefaultBps = Annotated[
    int,
    typer.Option(
        "--default-bps",
        min=0,
        max=10_000,
        help="The provider's part, basis points, if the arbiter never rules.",
    ),
]
OrderId = Annotated[int, typer.Argument(metavar="ORDER", min=1, max=MAX_NUMBER, help="Number of the order.")]
ListingId = Annotated[
    int, typer.Argument(metavar="LISTING", min=1, max=MAX_NUMBER, help="Number of the listing.")
]


def period(text: str, name: str) -> int:
    """Read a time within the contract's bounds as seconds."""
    from timebank_chain.chain.service_escrow import MAX_PERIOD, MIN_PERIOD

    seconds = whole_seconds(text, name, least=1)
    if not MIN_PERIOD <= seconds <= MAX_PERIOD:
        raise UsageError(f"{name}: {text!r} is not {span(MIN_PERIOD)} to {span(MAX_PERIOD)}")
    return seconds


def expiry(text: str, now: int) -> int:
    """Read ``--expires`` as Unix seconds, at least a second ahead of ``now`` and within 40 bits."""
    until = until_seconds(text, "--expires", now=now)
    if until >= 1 << 40:
        raise UsageError(f"--expires: {text} is too far ahead")
    return until
