"""Suspicious acts, for the commands: held back, brought in when released, said so, and compared with."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from timebank_chain.cli.output import say
from timebank_chain.errors import AttentionError, CheckFailed, UsageError

if TYPE_CHECKING:
    from timebank_chain.activity import ActivityTable
    from timebank_chain.activity.erased import Erased
    from timebank_chain.attention.monitor.holding import Holding
    from timebank_chain.epoch import Finding, PublishedEpoch
    from timebank_chain.oracle.holds import HeldEpoch

HoldsFile = Annotated[
    Path | None,
    typer.Option(
        "--holds", metavar="FILE", help="What is held and released (default: EPOCHS.holds.json beside it)."
    ),
]
PraiseFile = Annotated[
    Path | None,
    typer.Option("--praise", metavar="FILE", help="Who praised whom (CSV: giver,receiver,occurred)."),
]
HoldRate = Annotated[
    float,
    typer.Option("--hold-rate", metavar="SHARE", help="Share of honest members that may be held."),
]
DEFAULT_RATE = 0.03


HoldSuspicious = Annotated[
    bool,
    typer.Option("--hold-suspicious", help="Hold back acts that look bought or automated, and say why."),
]


def holding(
    epochs: Path,
    holds: Path | None,
    *,
    judge: bool,
    praise: Path | None,
    rate: float,
    erased: Path | None = None,
    made_later: bool = False,
) -> Holding | None:
    """Return the holds that apply; ``None`` where there is neither a file of them nor a wish to hold.

    Parameters
    ----------
    erased
        The list of the erased; default: the oracle's beside the epochs.
    made_later
        Whether the file applies as soon as it is there, as to who builds epoch after epoch.

    Raises
    ------
    AttentionError
        If a file is none.
    UsageError
        If who praised whom is given and nobody is to be judged, a named file is missing, or judging needs a
        library that is not installed.
    """
    if praise is not None and not judge:
        raise UsageError("--praise is for judging members", hint="add --hold-suspicious")
    path = _path(epochs, holds, missing_ok=judge or (made_later and holds is None))
    if path is None:
        return None
    from timebank_chain.attention.monitor.holding import Holding
    from timebank_chain.attention.monitor.spans import Praise, read_praise
    from timebank_chain.attention.monitor.suspicion import SuspicionSettings

    return Holding(
        path,
        epochs,
        judge=SuspicionSettings(rate=rate) if judge else None,
        praise=Praise.none() if praise is None else read_praise(praise),
        erased=erased or oracles_list(epochs),
        waiting=say,
    )


def tell(path: Path, epoch: int, held: HeldEpoch) -> dict[str, Any]:
    """Say what is held and brought in, and return it as JSON values."""
    if held.note is not None:
        say(f"epoch {epoch}: {held.note}")
    for one in held.fresh:
        say(f"held: {one.member}, {len(one.acts)} acts, score {one.score:.2f}: {one.reasons[0]}")
    if held.held_back or held.brought_in:
        say(
            f"epoch {epoch}: {held.held_back} acts held back, {held.brought_in} released ones "
            f"brought in; whoever signs needs {path}"
        )
    if held.gone:
        member, act = held.gone[0]
        say(
            f"epoch {epoch}: {len(held.gone)} released acts were erased, the first is {act!r} of {member!r}: "
            "they are left out and will not be paid"
        )
    if held.missing:
        member, act = held.missing[0]
        say(
            f"epoch {epoch}: {len(held.missing)} released acts have no row in the table, the first is "
            f"{act!r} of {member!r}: the next epoch that finds them takes them. If only a part of the feed "
            "was ingested, ingest all of it; if a second row has the same id and other contents, take it out"
        )
    for text in held.lacking:
        say(f"warning: {text}")
    return {
        "file": str(path),
        "newly_held": [one.to_json() for one in held.fresh],
        "acts_held_back": held.held_back,
        "acts_brought_in": held.brought_in,
        "acts_gone": [{"member": member, "act": act} for member, act in held.gone],
        "acts_missing": [{"member": member, "act": act} for member, act in held.missing],
        "lacking": list(held.lacking),
        "note": held.note,
    }


def holds_document(epochs: Path | None, holds: Path | None) -> dict[str, Any]:
    """Return what waits for a person, and what was released and waits for the next epoch, as JSON values.

    A file that this user may not read is no reason to say nothing else: then it says why.
    """
    from timebank_chain.attention.monitor.holds import HoldsBook, default_path

    path = holds if holds is not None or epochs is None else default_path(epochs)
    if path is None or not path.exists():
        return {"holds": None}
    try:
        book = HoldsBook.load(path, epochs)
    except AttentionError as error:
        return {"holds": {"file": str(path), "unreadable": error.message, "waiting": [], "acts_taken": None}}
    waiting = [
        {
            "member": one.member,
            "epoch": one.epoch,
            "acts": len(one.acts),
            "score": one.score,
            "reasons": list(one.reasons),
            "released": None if one.release is None else one.release.reason,
            "missing": list(one.acts) if one.missed else [],
        }
        for one in book.holds
        if one.taken is None and not one.erased
    ]
    taken = sum(len(one.acts) for one in book.holds if one.taken is not None)
    return {"holds": {"file": str(path), "unreadable": None, "waiting": waiting, "acts_taken": taken}}


def holds_rows(document: dict[str, Any]) -> tuple[str, list[str], list[tuple[Any, ...]]]:
    """Return the same as a table: its title, columns and rows."""
    title = f"held back, {document['file']}"
    if document["unreadable"] is not None:
        return title, ["cannot be read"], [(document["unreadable"],)]
    columns = ["member", ">epoch", ">acts", ">score", "why", "released"]
    waits = "no: timebank attention release"
    return (
        title,
        columns,
        [
            (
                one["member"],
                one["epoch"],
                one["acts"],
                f"{one['score']:.2f}",
                "; ".join(one["reasons"]),
                waits if one["released"] is None else f"{one['released']}; {_when_taken(one['missing'])}",
            )
            for one in document["waiting"]
        ],
    )


def _when_taken(missing: list[str]) -> str:
    if not missing:
        return "the next epoch takes them"
    more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
    return f"no row, or several, in the feed: {', '.join(missing[:3])}{more}"


class PublishedHolds:
    """What was held and released, for whoever compares published epochs with a table of their own.

    Parameters
    ----------
    erased
        The list of the erased, where there is one.
    """

    def __init__(
        self, table: ActivityTable, epochs: Path, holds: Path | None, erased: Path | None = None
    ) -> None:
        from timebank_chain.attention.monitor.hold_checks import Checker
        from timebank_chain.attention.monitor.holds import HoldsBook

        self.path = _path(epochs, holds, missing_ok=False)
        self._table = table
        self._list = _erased(epochs, erased)
        self._book = None if self.path is None else HoldsBook.load(self.path, epochs)
        self._checker = Checker(table, epochs, self._list)

    def table_of(self, published: PublishedEpoch) -> ActivityTable:
        """Return the acts that a published epoch should hold."""
        if self._book is None:
            return self._table
        header = published.header
        seen = self._book.seen_from(
            self._table, epoch=header.epoch, start_ms=header.start_ms, end_ms=header.end_ms
        )
        if seen.held_back or seen.brought_in:
            say(
                f"epoch {header.epoch}: by {self.path}, {seen.held_back} acts are held back and "
                f"{seen.brought_in} released ones brought in; read there why"
            )
        return seen.table

    def objections(self, epoch: int | None = None) -> list[str]:
        """Return what is wrong with the holds a published epoch depends on, or with any."""
        if self._book is None:
            return []
        return self._checker.objections(
            [one for one in self._book.holds if epoch is None or one.decides(epoch)], until=epoch
        )

    def lacking(self, but: int) -> list[str]:
        """Return what published epochs, all ``but`` one, took by the file and do not have."""
        return [] if self._book is None else self._checker.lacking(self._book.holds, but=but)

    def findings(self, epoch: int) -> list[Finding]:
        """Return the same as findings of a verification."""
        from timebank_chain.epoch import Finding

        return [Finding("holds", str(self.path), text) for text in self.objections(epoch)]

    def forgotten(self) -> frozenset[bytes]:
        """Return the record ids of published acts that were erased, the released ones among them."""
        listed = self.list_with_released()
        return frozenset() if listed is None else listed.records

    def list_with_released(self) -> Erased | None:
        """Return the list of the erased with the records as which epochs took their released acts."""
        from timebank_chain.attention.monitor.hold_checks import with_gone

        if self._list is None or self._book is None:
            return self._list
        return with_gone(self._list, self._checker.gone_records(self._book.holds))

    def with_released(self, epochs: Path) -> ActivityTable:
        """Return the table with the records as which published epochs took released acts."""
        from timebank_chain.epoch import epoch_folder
        from timebank_chain.epoch.file import read_header

        table = self._table
        if self._book is None:
            return table
        for epoch in sorted({one.taken for one in self._book.holds if one.taken not in (None, one.epoch)}):
            header = read_header(epoch_folder(epochs, epoch), epoch)
            table = self._book.with_released(
                table, epoch=epoch, start_ms=header.start_ms, end_ms=header.end_ms
            )
        return table


def as_signed(
    table: ActivityTable,
    published: PublishedEpoch,
    epochs: Path,
    holds: Path | None,
    erased: Path | None = None,
) -> tuple[ActivityTable, frozenset[bytes]]:
    """Return the acts that an epoch must hold to be signed, and the record ids of erased ones.

    What another epoch took by the file and does not have is no fault of this one; it is said.

    Raises
    ------
    CheckFailed
        If a hold the epoch depends on is not true.
    """
    from timebank_chain.attention.monitor.holding import NOT_TRUE_HINT, first_of

    known = PublishedHolds(table, epochs, holds, erased)
    objections = known.objections(published.number)
    if objections:
        hint = f"nothing was signed; {NOT_TRUE_HINT}"
        raise CheckFailed(first_of(objections), where=str(known.path), hint=hint)
    for text in known.lacking(but=published.number):
        say(f"warning: {text}")
    return known.table_of(published), known.forgotten()


@contextmanager
def records_file(
    activity: Path | None, epochs: Path, holds: Path | None, erased: Path | None = None
) -> Iterator[tuple[Path | None, Path | None]]:
    """Yield the activity table and the list of the erased to audit with.

    As given, or copies with what follows from the holds: the records of released acts.

    Raises
    ------
    CheckFailed
        If a hold is not true.
    """
    path = None if activity is None else _path(epochs, holds, missing_ok=False)
    if activity is None or path is None:
        yield activity, erased
        return
    from timebank_chain.activity import read_activity, write_activity
    from timebank_chain.activity.erased import write_erased
    from timebank_chain.attention.monitor.holding import NOT_TRUE_HINT, first_of

    known = PublishedHolds(read_activity(activity), epochs, holds, erased)
    objections = known.objections()
    if objections:
        raise CheckFailed(first_of(objections), where=str(path), hint=NOT_TRUE_HINT)
    with tempfile.TemporaryDirectory(prefix="timebank-audit-") as folder:
        # Under its own name, which the audit's findings show.
        copy = Path(folder) / activity.name
        write_activity(known.with_released(epochs), copy)
        listed = known.list_with_released() if erased is not None else None
        if listed is None or erased is None:
            yield copy, erased
            return
        inner = Path(folder) / "erased"
        write_erased(listed, inner / erased.name)
        yield copy, inner / erased.name


def _erased(epochs: Path, named: Path | None) -> Erased | None:
    """Return the list of the erased: a named one, or that of the oracle beside the epochs."""
    from timebank_chain.activity.erased import load_erased

    return load_erased(named or oracles_list(epochs))


def oracles_list(epochs: Path) -> Path:
    """Return where the oracle that publishes these epochs keeps the list of the erased."""
    from timebank_chain.oracle.settings import ERASED_FILE, STATE_FOLDER

    return epochs / STATE_FOLDER / ERASED_FILE


def _path(epochs: Path, holds: Path | None, *, missing_ok: bool) -> Path | None:
    from timebank_chain.attention.monitor.holds import default_path

    path = default_path(epochs) if holds is None else holds
    if path.exists() or missing_ok:
        return path
    if holds is not None:
        raise UsageError(f"--holds: no such file: {holds}", hint="leave it out where nothing is held")
    return None
