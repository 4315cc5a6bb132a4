"""``timebank epoch fetch``: get a published epoch from where its header says, or from a mirror."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from timebank_chain.cli.fetching import DEFAULT_FETCHING, Fetching, takes_fetching
from timebank_chain.cli.options import AsJson
from timebank_chain.cli.output import out, print_json, say
from timebank_chain.errors import DataUnavailable


@takes_fetching
def command(
    header: Annotated[
        Path, typer.Option("--header", metavar="FILE", help="The header as it stands on chain (header.json).")
    ],
    to: Annotated[
        Path, typer.Option("--to", metavar="DIR", help="Folder of epochs to fetch into; what it has, stays.")
    ],
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="[SOURCE]",
            help="A folder, file:, http(s):, ipfs: or sha256: address (default: the header's own).",
        ),
    ] = None,
    fetching: Fetching = DEFAULT_FETCHING,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace another epoch of this number; its signatures are lost.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Fetch a published epoch and its policy, and check every byte against the header.

    Nothing but the header is trusted: take it from the chain. Whether the epoch is right is for `verify`.

    Example: timebank epoch fetch --header header.json --to fetched

    Example: timebank epoch fetch https://mirror.example/epochs --header header.json --to fetched
    """
    from timebank_chain.epoch import EpochHeader, fetch_epoch, fetch_policy
    from timebank_chain.epoch.file import read_json_object

    _, document = read_json_object(header)
    wanted = EpochHeader.from_json(document, where=str(header))
    options = fetching.options(source)
    fetched = fetch_epoch(wanted, to, options, replace=replace)
    try:
        fetch_policy(wanted, to, options)
    except DataUnavailable as error:
        has_policy = False
        say(f"the policy is not beside the epoch ({error.message}); it also stands in the chain's registry")
    else:
        has_policy = True
    if as_json:
        body = {
            "epoch": fetched.number,
            "headerHash": "0x" + wanted.hash().hex(),
            "dataHash": "0x" + wanted.data_hash.hex(),
            "folder": str(fetched.folder),
            "activities": len(fetched.activities),
            "accounts": len(fetched.accounts),
            "policy": has_policy,
        }
        print_json("timebank.epoch.fetch/1", body)
        return
    out().print(
        f"epoch {fetched.number} is in {fetched.folder}: {len(fetched.activities):,} activities, "
        f"{len(fetched.accounts):,} accounts, every byte as the header says"
    )
    out().print(f"recompute it: timebank epoch verify --epochs {to} --epoch {fetched.number}", markup=False)
