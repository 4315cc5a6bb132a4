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
from timebank_chain.errors import AttentionError, UsageError

if TYPE_CHECKING:
    from timebank_chain.activity import ActivityTable
    from timebank_chain.attention.monitor.holds import HoldsBook
    from timebank_chain.attention.monitor.suspicion import Praise, SuspicionSettings
    from timebank_chain.epoch import PublishedEpoch

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


@dataclass
class Holding:
    """The holds of a run of builds."""

    book: HoldsBook
    judge: bool
    praise: Praise
    settings: SuspicionSettings

    def before(
        self, table: ActivityTable, *, epoch: int, start_ms: int, end_ms: int
    ) -> tuple[ActivityTable, dict[str, Any]]:
        """Return the acts to build an epoch from, and what was held and brought in.

        The book is saved before anything is published: no act can enter two epochs.
        """
        fresh: list[Any] = []
        note = None
        if self.judge:
            from timebank_chain.attention.monitor.suspicion import spans_of, suspects

            span, earlier = spans_of(
                table, self.praise, start_ms=start_ms, end_ms=end_ms, without=self.book.held_ids()
            )
            try:
                verdict = suspects(span, earlier, self.settings)
            except AttentionError as error:
                note = f"nobody is judged: {error.message}"
                say(f"epoch {epoch}: {note}")
            else:
                fresh = self.book.hold(
                    verdict.held,
                    span.acts,
                    epoch=epoch,
                    end_ms=end_ms,
                    now_ms=time.time_ns() // 1_000_000,
                    threshold=verdict.threshold,
                    rate=verdict.rate,
                )
        adjusted = self.book.adjust(table, epoch=epoch, start_ms=start_ms, end_ms=end_ms)
        if self.book.holds:
            self.book.save()
        for one in fresh:
            say(f"held: {one.member}, {len(one.acts)} acts, score {one.score:.2f}: {one.reasons[0]}")
        if adjusted.held_back or adjusted.brought_in:
            say(
                f"epoch {epoch}: {adjusted.held_back} acts held back, {adjusted.brought_in} released ones "
                f"brought in; whoever signs needs {self.book.path}"
            )
        return adjusted.table, {
            "file": str(self.book.path),
            "newly_held": [one.to_json() for one in fresh],
            "acts_held_back": adjusted.held_back,
            "acts_brought_in": adjusted.brought_in,
            "note": note,
        }


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
    from timebank_chain.attention.monitor.suspicion import Praise, SuspicionSettings, read_praise

    given = Praise.none() if praise is None else read_praise(praise)
    return Holding(HoldsBook.load(path), judge, given, SuspicionSettings(rate=rate))


def as_published(
    table: ActivityTable, published: PublishedEpoch, epochs: Path, holds: Path | None
) -> ActivityTable:
    """Return the acts that a published epoch should hold, by what was held and released."""
    path = _path(epochs, holds, missing_ok=False)
    if path is None:
        return table
    from timebank_chain.attention.monitor.holds import HoldsBook

    header = published.header
    seen = HoldsBook.load(path).seen_from(
        table, epoch=header.epoch, start_ms=header.start_ms, end_ms=header.end_ms
    )
    if seen.held_back or seen.brought_in:
        say(
            f"epoch {header.epoch}: by {path}, {seen.held_back} acts are held back and {seen.brought_in} "
            "released ones brought in; read there why"
        )
    return seen.table


@contextmanager
def records_file(activity: Path | None, epochs: Path, holds: Path | None) -> Iterator[Path | None]:
    """Yield the activity table to audit with: as given, or with the records of released acts added."""
    path = None if activity is None else _path(epochs, holds, missing_ok=False)
    if activity is None or path is None:
        yield activity
        return
    from timebank_chain.activity import read_activity, write_activity
    from timebank_chain.attention.monitor.holds import HoldsBook
    from timebank_chain.epoch import epoch_folder
    from timebank_chain.epoch.file import read_header

    book, table = HoldsBook.load(path), read_activity(activity)
    taken = {one.taken for one in book.holds if one.taken is not None and one.taken != one.epoch}
    for epoch in sorted(taken):
        header = read_header(epoch_folder(epochs, epoch), epoch)
        table = book.with_released(table, epoch=epoch, start_ms=header.start_ms, end_ms=header.end_ms)
    with tempfile.TemporaryDirectory(prefix="timebank-audit-") as folder:
        # Under its own name, which the audit's findings show.
        copy = Path(folder) / activity.name
        write_activity(table, copy)
        yield copy


def _path(epochs: Path, holds: Path | None, *, missing_ok: bool) -> Path | None:
    from timebank_chain.attention.monitor.holds import default_path

    path = default_path(epochs) if holds is None else holds
    if path.exists() or missing_ok:
        return path
    if holds is not None:
        raise UsageError(f"--holds: no such file: {holds}", hint="leave it out where nothing is held")
    return None
