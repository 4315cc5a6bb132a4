"""What `timebank epoch` does with suspicious acts: hold them back, bring in what was released, say so."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from timebank_chain.cli.output import say
from timebank_chain.errors import AttentionError, CheckFailed, UsageError

if TYPE_CHECKING:
    from timebank_chain.activity import ActivityTable
    from timebank_chain.activity.erased import Erased
    from timebank_chain.attention.monitor.hold_checks import Checker
    from timebank_chain.attention.monitor.holds import Adjusted, HoldsBook
    from timebank_chain.attention.monitor.spans import Praise
    from timebank_chain.attention.monitor.suspicion import SuspicionSettings
    from timebank_chain.epoch import Finding, PublishedEpoch
    from timebank_chain.valuation import Policy

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


_HINT = "it would pay twice, or take a stranger's pay: restore the file from a copy, ask who wrote it"


@dataclass
class Holding:
    """The holds of a run of builds."""

    path: Path
    epochs: Path
    judge: bool
    praise: Praise
    settings: SuspicionSettings
    checker: Checker | None = None
    _before: bytes | None = None
    _after: bytes | None = None

    def before(
        self, table: ActivityTable, *, epoch: int, start_ms: int, end_ms: int, policy: Policy
    ) -> tuple[ActivityTable, dict[str, Any]]:
        """Return the acts to build an epoch from, and what was held and brought in.

        The file is read, judged by and written under its lock, so no release falls in between; and written
        before anything is published, so no act can enter two epochs.

        Raises
        ------
        AttentionError
            If a hold that the epoch depends on is not true; nothing is written then.
        """
        from timebank_chain.attention.monitor.hold_checks import Checker, Span
        from timebank_chain.attention.monitor.holds import HoldsBook, locked

        fresh: list[Any] = []
        note = None
        with locked(self.path, say):
            self._before = self.path.read_bytes() if self.path.exists() else None
            book = HoldsBook.load(self.path)
            if self.judge:
                fresh, note = self._judged(book, table, epoch=epoch, start_ms=start_ms, end_ms=end_ms)
            if self.checker is None:
                self.checker = Checker(table, self.epochs, _erased(self.epochs, None))
            # Published between two builds, or built again by this one.
            self.checker.forget(epoch)
            objections = self.checker.objections(
                [one for one in book.holds if one.concerns(epoch)],
                building=Span(epoch, start_ms, end_ms, policy),
                gone_is_fine=True,
            )
            if objections:
                raise AttentionError(_first(objections), where=str(self.path), hint=_HINT)
            adjusted = book.adjust(table, epoch=epoch, start_ms=start_ms, end_ms=end_ms)
            if book.holds:
                book.save()
            self._after = self.path.read_bytes() if self.path.exists() else None
        for one in fresh:
            say(f"held: {one.member}, {len(one.acts)} acts, score {one.score:.2f}: {one.reasons[0]}")
        self._tell(epoch, adjusted)
        return adjusted.table, {
            "file": str(self.path),
            "newly_held": [one.to_json() for one in fresh],
            "acts_held_back": adjusted.held_back,
            "acts_brought_in": adjusted.brought_in,
            "acts_gone": [{"member": member, "act": act} for member, act in adjusted.gone],
            "note": note,
        }

    def undo(self) -> None:
        """Put the file back as it was before `before`: the epoch it was written for was not published.

        What somebody else wrote since stays.
        """
        from timebank_chain.attention.monitor.holds import locked
        from timebank_chain.documents import write_whole

        with locked(self.path, say):
            now = self.path.read_bytes() if self.path.exists() else None
            if now != self._after or now == self._before:
                return
            if self._before is None:
                self.path.unlink()
            else:
                write_whole(self.path, self._before, mode=0o600, sync=True)

    def _judged(
        self, book: HoldsBook, table: ActivityTable, *, epoch: int, start_ms: int, end_ms: int
    ) -> tuple[list[Any], str | None]:
        from timebank_chain.attention.monitor.spans import spans_of
        from timebank_chain.attention.monitor.suspicion import suspects

        span, earlier = spans_of(
            table, self.praise, start_ms=start_ms, end_ms=end_ms, without=book.held_ids()
        )
        try:
            verdict = suspects(span, earlier, self.settings)
        except AttentionError as error:
            note = f"nobody is judged: {error.message}"
            say(f"epoch {epoch}: {note}")
            return [], note
        fresh = book.hold(
            verdict.held,
            span.acts,
            epoch=epoch,
            end_ms=end_ms,
            now_ms=time.time_ns() // 1_000_000,
            threshold=verdict.threshold,
            rate=verdict.rate,
        )
        return fresh, None

    def _tell(self, epoch: int, adjusted: Adjusted) -> None:
        if adjusted.held_back or adjusted.brought_in:
            say(
                f"epoch {epoch}: {adjusted.held_back} acts held back, {adjusted.brought_in} released ones "
                f"brought in; whoever signs needs {self.path}"
            )
        if adjusted.gone:
            member, act = adjusted.gone[0]
            say(
                f"epoch {epoch}: {len(adjusted.gone)} released acts have no row any more (erased, or deleted "
                f"by age), the first is {act!r} of {member!r}: they are left out and will not be paid. If "
                "only the end of the feed was ingested, ingest all of it and build this epoch again: "
                f"--epoch {epoch} --force"
            )


def holding(
    epochs: Path, holds: Path | None, *, judge: bool, praise: Path | None, rate: float
) -> Holding | None:
    """Return the holds that apply; ``None`` where there is neither a file of them nor a wish to hold.

    Raises
    ------
    AttentionError
        If a file is none.
    UsageError
        If who praised whom is given and nobody is to be judged, or a named file is missing.
    """
    if praise is not None and not judge:
        raise UsageError("--praise is for judging members", hint="add --hold-suspicious")
    path = _path(epochs, holds, missing_ok=judge)
    if path is None:
        return None
    from timebank_chain.attention.monitor.holds import HoldsBook
    from timebank_chain.attention.monitor.spans import Praise, read_praise
    from timebank_chain.attention.monitor.suspicion import SuspicionSettings

    # A file that is none stops everything at once, not after the first epoch.
    HoldsBook.load(path)

    given = Praise.none() if praise is None else read_praise(praise)
    return Holding(path, epochs, judge, given, SuspicionSettings(rate=rate))


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
        self._book = None if self.path is None else HoldsBook.load(self.path)
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
            [one for one in self._book.holds if epoch is None or epoch in (one.epoch, one.taken)]
        )

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
    table: ActivityTable, published: PublishedEpoch, epochs: Path, holds: Path | None
) -> ActivityTable:
    """Return the acts that an epoch must hold to be signed.

    Raises
    ------
    CheckFailed
        If a hold the epoch depends on is not true.
    """
    known = PublishedHolds(table, epochs, holds)
    objections = known.objections(published.number)
    if objections:
        raise CheckFailed(_first(objections), where=str(known.path), hint=f"nothing was signed; {_HINT}")
    return known.table_of(published)


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

    known = PublishedHolds(read_activity(activity), epochs, holds, erased)
    objections = known.objections()
    if objections:
        raise CheckFailed(_first(objections), where=str(path), hint=_HINT)
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


def _first(objections: list[str]) -> str:
    more = f" ({len(objections) - 1} more like it)" if len(objections) > 1 else ""
    return f"the holds are not right: {objections[0]}{more}"


def _erased(epochs: Path, named: Path | None) -> Erased | None:
    """Return the list of the erased: a named one, or that of the oracle beside the epochs."""
    from timebank_chain.activity.erased import load_erased
    from timebank_chain.oracle.settings import ERASED_FILE, STATE_FOLDER

    return load_erased(named or epochs / STATE_FOLDER / ERASED_FILE)


def _path(epochs: Path, holds: Path | None, *, missing_ok: bool) -> Path | None:
    from timebank_chain.attention.monitor.holds import default_path

    path = default_path(epochs) if holds is None else holds
    if path.exists() or missing_ok:
        return path
    if holds is not None:
        raise UsageError(f"--holds: no such file: {holds}", hint="leave it out where nothing is held")
    return None
