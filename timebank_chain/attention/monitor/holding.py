"""Holds applied to the epochs somebody builds: who stands out is held, what was released is brought in.

One build has the file for itself from reading it to publishing: a release meanwhile waits, and is not lost.
What the file becomes is written before the epoch is published, beside what it is, under the header's hash
(`holds.Building`); so whichever moment the process ends, the published epochs tell which of both is in force.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from timebank_chain.activity import ActivityTable
from timebank_chain.activity.erased import load_erased
from timebank_chain.attention.extra import need
from timebank_chain.attention.monitor.hold import Hold
from timebank_chain.attention.monitor.hold_checks import Checker, Span
from timebank_chain.attention.monitor.holds import Building, HoldsBook, locked
from timebank_chain.attention.monitor.spans import Praise, spans_of
from timebank_chain.attention.monitor.suspicion import SuspicionSettings, suspects
from timebank_chain.epoch import EpochHeader, PublishedEpoch
from timebank_chain.errors import AttentionError
from timebank_chain.valuation import Policy

NOT_TRUE_HINT = "it would pay twice, or take a stranger's pay: restore the file from a copy, ask who wrote it"


@dataclass(frozen=True, eq=False, slots=True)
class Held:
    """An epoch as the holds leave it; `timebank_chain.oracle.holds.HeldEpoch` says what each part is."""

    table: ActivityTable
    fresh: tuple[Hold, ...]
    held_back: int
    brought_in: int
    gone: tuple[tuple[str, str], ...]
    missing: tuple[tuple[str, str], ...]
    lacking: tuple[str, ...]
    note: str | None
    _write: Callable[[EpochHeader], None]

    def publishing(self, header: EpochHeader) -> None:
        """Write down what holds once this header is published; call it right before that."""
        self._write(header)


class Holding:
    """The holds beside a folder of epochs, for whoever builds these.

    Parameters
    ----------
    path, epochs
        The file of holds, which may not exist, and the folder of published epochs.
    judge
        How to judge members; ``None`` where nobody is to be held anew.
    praise
        Who praised whom.
    erased
        The list of the erased, which may not exist.
    waiting
        Told when another command has the file.
    """

    def __init__(
        self,
        path: Path,
        epochs: Path,
        *,
        judge: SuspicionSettings | None,
        praise: Praise,
        erased: Path,
        waiting: Callable[[str], None],
    ) -> None:
        if judge is not None:
            # Said at once, not when the first epoch ends.
            need("scipy.stats")
        self.path = path
        self.epochs = epochs
        self.judge = judge
        self.praise = praise
        self.erased = erased
        self.waiting = waiting
        self._checker: Checker | None = None
        # A file that is none stops everything at once, not after the first epoch.
        HoldsBook.load(path)

    @contextmanager
    def building(
        self, table: ActivityTable, *, epoch: int, start_ms: int, end_ms: int, policy: Policy
    ) -> Iterator[Held]:
        """Have the holds for oneself while an epoch is built and published.

        Parameters
        ----------
        table
            The acts, of all times: earlier ones tell what is usual, and released ones are among them.

        Raises
        ------
        AttentionError
            If a hold that the epoch depends on is not true; nothing is written then.
        """
        with locked(self.path, self.waiting):
            book = HoldsBook.load(self.path)
            if book.settle(self.epochs):
                self._put(book)
            before = list(book.holds)
            fresh, note = self._judged(book, table, epoch=epoch, start_ms=start_ms, end_ms=end_ms)
            span = Span(epoch, start_ms, end_ms, policy)
            checker = self._checking(table, epoch)
            objections = checker.objections(
                [one for one in book.holds if one.concerns(epoch)], building=span, gone_is_fine=True
            )
            if objections:
                raise AttentionError(first_of(objections), where=str(self.path), hint=NOT_TRUE_HINT)
            # Said, no reason to stop: what an earlier epoch has or lacks is not changed by this one.
            lacking = tuple(checker.lacking(book.holds, but=epoch))
            adjusted = book.adjust(
                table, epoch=epoch, start_ms=start_ms, end_ms=end_ms, is_erased=checker.is_erased
            )
            gone = tuple(one for one in adjusted.gone if one not in adjusted.missing)

            def write(header: EpochHeader) -> None:
                if book.holds != before:
                    building = Building(epoch, header.hash(), book.holds)
                    HoldsBook(self.path, before, building).save()

            held = (adjusted.held_back, adjusted.brought_in, gone, adjusted.missing, lacking)
            try:
                yield Held(adjusted.table, tuple(fresh), *held, note, write)
            finally:
                written = HoldsBook.load(self.path)
                if written.settle(self.epochs):
                    self._put(written)

    def seen_from(self, table: ActivityTable, published: PublishedEpoch) -> ActivityTable:
        """Return the acts that a published epoch should have by the holds.

        Raises
        ------
        AttentionError
            If a hold that it depends on is not true.
        """
        book = HoldsBook.load(self.path, self.epochs)
        number = published.number
        objections = self._checking(table, number).objections(
            [one for one in book.holds if one.decides(number)], until=number
        )
        if objections:
            raise AttentionError(first_of(objections), where=str(self.path), hint=NOT_TRUE_HINT)
        header = published.header
        return book.seen_from(table, epoch=number, start_ms=header.start_ms, end_ms=header.end_ms).table

    def records(self) -> frozenset[bytes]:
        """Return the record ids of all acts that are, or were, held."""
        book = HoldsBook.load(self.path, self.epochs)
        return frozenset(bytes.fromhex(record) for one in book.holds for record in one.records if record)

    def _checking(self, table: ActivityTable, building: int) -> Checker:
        if self._checker is None or self._checker.table is not table:
            self._checker = Checker(table, self.epochs, load_erased(self.erased))
        # Published between two builds, or built again by this one.
        self._checker.forget(building)
        return self._checker

    def _put(self, book: HoldsBook) -> None:
        if book.holds:
            book.save()
        else:
            self.path.unlink()

    def _judged(
        self, book: HoldsBook, table: ActivityTable, *, epoch: int, start_ms: int, end_ms: int
    ) -> tuple[list[Hold], str | None]:
        if self.judge is None:
            return [], None
        span, earlier = spans_of(table, self.praise, start_ms=start_ms, end_ms=end_ms, held=book.held_ids())
        try:
            verdict = suspects(span, earlier, self.judge)
        except AttentionError as error:
            return [], f"nobody is judged: {error.message}"
        return book.hold(
            verdict.held,
            span.acts,
            epoch=epoch,
            end_ms=end_ms,
            now_ms=time.time_ns() // 1_000_000,
            threshold=verdict.threshold,
            rate=verdict.rate,
        ), None


def first_of(objections: list[str]) -> str:
    """Return the first objection as a message, and how many more there are."""
    more = f" ({len(objections) - 1} more like it)" if len(objections) > 1 else ""
    return f"the holds are not right: {objections[0]}{more}"
