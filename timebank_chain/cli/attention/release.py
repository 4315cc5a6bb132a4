"""``timebank attention release``: a person looks at a hold and lets the acts go on."""

from __future__ import annotations

import getpass
import time
from pathlib import Path
from typing import Annotated

import typer

from timebank_chain.cli.epoch_holds import HoldsFile
from timebank_chain.cli.options import AsJson, EpochsFolder
from timebank_chain.cli.oracle_session import log_to_stderr
from timebank_chain.cli.output import out, print_json, say
from timebank_chain.errors import UsageError


def command(
    member: Annotated[str | None, typer.Argument(metavar="[MEMBER]", help="Whose acts; or --all.")] = None,
    everybody: Annotated[bool, typer.Option("--all", help="Release everybody.")] = False,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="What you found.")] = "",
    by: Annotated[
        str | None, typer.Option("--by", metavar="NAME", help="Who releases (default: your user name).")
    ] = None,
    epochs: EpochsFolder = None,
    holds: HoldsFile = None,
    as_json: AsJson = False,
) -> None:
    """Release held acts, so that the next epoch takes them.

    They enter the next epoch that is built, as records `released:N:...` of the value they would have had; or
    their own, if that is built again before it is signed: timebank epoch build --epoch N --force.

    Example: timebank attention release ada@example.org --reason "a club's weekly news" --epochs epochs

    Example: timebank attention release --all --reason "checked by hand" --holds epochs.holds.json
    """
    if (member is None) != everybody:
        raise UsageError("say whose acts", hint="name a MEMBER, or --all")
    if not reason.strip():
        raise UsageError("a release needs a reason", hint='add --reason "what you found"')
    path = _path(epochs, holds)
    import structlog

    from timebank_chain.attention.monitor.holds import HoldsBook, locked

    name = by or getpass.getuser()
    # A build that runs now reads, judges and writes the same file.
    with locked(path, say):
        # After a build that was interrupted, the published epochs tell what is held.
        book = HoldsBook.load(path, epochs)
        released = book.release(member, by=name, reason=reason, now_ms=time.time_ns() // 1_000_000)
        book.save()
    log_to_stderr(as_json=False)
    log = structlog.get_logger("timebank.attention")
    for one in released:
        log.info(
            "released", member=one.member, epoch=one.epoch, acts=len(one.acts), by=name, reason=reason.strip()
        )
    if as_json:
        body = {"file": str(path), "released": [one.to_json() for one in released]}
        print_json("timebank.attention.release/1", body)
        return
    for one in released:
        out().print(
            f"{one.member}: {len(one.acts)} acts of epoch {one.epoch} enter the next epoch that is built",
            markup=False,
        )


def _path(epochs: Path | None, holds: Path | None) -> Path:
    from timebank_chain.attention.monitor.holds import default_path

    if holds is None and epochs is None:
        raise UsageError("no holds given", hint="add --holds FILE, or --epochs DIR")
    path = holds if holds is not None else default_path(epochs)  # type: ignore[arg-type]  # one of them is given
    if not path.exists():
        raise UsageError(f"nothing is held: there is no {path}", hint="check --holds or --epochs")
    return path
