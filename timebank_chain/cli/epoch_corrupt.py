"""``timebank epoch corrupt``: makes a wrong epoch out of an honest one, for tests and drills only."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from timebank_chain.cli.options import AsJson, EpochsFolder, require_epochs
from timebank_chain.cli.output import out, print_json, print_table
from timebank_chain.errors import UsageError

if TYPE_CHECKING:
    from timebank_chain.epoch.corrupt import Place


def command(
    fault_class: Annotated[
        int | None,
        typer.Option("--class", metavar="N", min=1, max=10, help="Fault class, 1 to 10; see --list."),
    ] = None,
    variant: Annotated[
        str | None,
        typer.Option("--variant", metavar="NAME", help="Which lie (default: the class's first); see --list."),
    ] = None,
    at: Annotated[
        str,
        typer.Option("--at", metavar="PLACE", help="Which fitting leaf: first, last, random or an index."),
    ] = "first",
    rehash: Annotated[
        bool,
        typer.Option(
            "--rehash/--alone", help="Also compute again what follows from the lie, or change it alone."
        ),
    ] = False,
    seed: Annotated[
        int, typer.Option("--seed", metavar="S", min=0, help="Decides where --at random is.")
    ] = 0,
    epochs: EpochsFolder = None,
    number: Annotated[
        int | None, typer.Option("--epoch", metavar="N", min=1, help="Which epoch (default: the latest).")
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="DIR", help="Folder for the wrong epoch and those before it."),
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="List the variants and end.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make an epoch wrong on purpose. FOR TESTS AND DRILLS ONLY.

    Takes an honest published epoch and plants one lie. Roots, header and checksums are made anew, so that
    the files hold together and only who recomputes them sees it. Sign and propose the result on a test chain
    (`timebank oracle sign N --drill` and `timebank oracle propose N --drill` go by the header alone, because
    files may be withheld), and watch whether anybody objects.

    Classes: 1 value, 2 sums and positions, 3 order and duplicates, 4 settlement, 5 range and earned,
    6 standing, 7 mint, 8 dropped or invented accounts, 9 totals and length, 10 withheld data.

    Example: timebank epoch corrupt --class 7 --at random --rehash --epochs epochs --to drill

    Example: timebank epoch corrupt --list
    """
    from timebank_chain.epoch import published_numbers, read_epoch, read_policy
    from timebank_chain.epoch.corrupt import corrupt_epoch, write_corruption
    from timebank_chain.epoch.lies import variants

    if listed:
        _list(as_json=as_json)
        return
    if fault_class is None:
        raise UsageError("say what shall be wrong", hint="add --class N; see: timebank epoch corrupt --list")
    if variant is not None and variant not in {one.name for one in variants(fault_class)}:
        names = ", ".join(one.name for one in variants(fault_class))
        raise UsageError(f"class {fault_class} has no variant {variant!r}", hint=f"choose one of: {names}")
    place = _place(at)
    folder = require_epochs(epochs)
    if to is None:
        raise UsageError("no folder for the wrong epoch given", hint="add --to DIR")
    numbers = published_numbers(folder)
    chosen = number if number is not None else (numbers or [1])[-1]
    published = read_epoch(folder, chosen)
    previous = read_epoch(folder, chosen - 1) if chosen > 1 else None
    policy = read_policy(folder, published.header.policy_hash)
    made = corrupt_epoch(
        published,
        previous,
        policy,
        fault_class=fault_class,
        variant=variant,
        at=place,
        rehash=rehash,
        seed=seed,
    )
    target = write_corruption(made, folder, to)
    header_hash = "0x" + made.header.hash().hex()
    if as_json:
        shown = None
        if made.shown is not None:
            shown = {
                "tree": made.shown.tree,
                "position": made.shown.position,
                "leaf": made.shown.leaf.to_json(),
                "siblings": ["0x" + node.hex() for node in made.shown.siblings],
            }
        body = {
            "purpose": "tests and drills only",
            "epoch": chosen,
            "planted": made.planted.to_json(),
            "proposable": made.proposable,
            "shown": shown,
            "headerHash": header_hash,
            "honestHeaderHash": "0x" + published.header.hash().hex(),
            "folder": str(target),
        }
        print_json("timebank.epoch.corrupt/1", body)
        return
    planted = made.planted
    out().print("for tests and drills only: this epoch is wrong on purpose", style="bold", markup=False)
    out().print(
        f"planted      class {planted.fault_class}, {planted.variant}: {planted.message}", markup=False
    )
    follows = "computed again from it" if planted.rehashed else "left as it was"
    out().print(f"what follows {follows}; roots, header and checksums are made anew", markup=False)
    if not made.proposable:
        out().print("an oracle refuses it: it mints more than its rate allows", markup=False)
    out().print(f"header hash  {header_hash}")
    out().print(f"folder       {target}", markup=False)
    if made.proposable:
        out().print(f"sign it      timebank oracle sign {chosen} --drill --epochs {to}", markup=False)
        out().print(f"propose it   timebank oracle propose {chosen} --drill --epochs {to}", markup=False)


def _place(text: str) -> Place:
    match text:
        case "first" | "last" | "random":
            return text
    if text.isascii() and text.isdigit() and len(text) <= 10:
        return int(text)
    raise UsageError(f"--at: {text!r} is no place", hint="write first, last, random, or a leaf's index")


def _list(*, as_json: bool) -> None:
    from timebank_chain.epoch.faults import FAULT_CLASSES
    from timebank_chain.epoch.lies import variants

    if as_json:
        entries = [
            {"class": one.fault_class, "variant": one.name, "tree": one.tree, "help": one.help}
            for one in variants()
        ]
        print_json("timebank.epoch.corrupt.list/1", {"variants": entries})
        return
    print_table(
        "What can be planted, for tests and drills only",
        [">class", "about", "variant", "what is wrong"],
        [(one.fault_class, FAULT_CLASSES[one.fault_class], one.name, one.help) for one in variants()],
    )
