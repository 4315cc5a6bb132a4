"""Whether a file of holds is true: held against the activity table and the published epochs.

A file of holds decides whose acts an epoch leaves out and which it takes in addition, so whoever could write
into it could have acts paid twice. Every hold that an epoch uses is therefore checked before its acts count:
they are in the table (or known to be erased), the member's, settle in the hold's epoch, and no published
epoch has them but the one the file names. That one must have them, and a release that an epoch could have
taken must have been: otherwise somebody's pay is lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from timebank_chain.activity import ActivityTable
from timebank_chain.activity.erased import Erased
from timebank_chain.attention.monitor.hold import ERASED_PREFIX, Hold
from timebank_chain.attention.monitor.hold_rows import RowsOfActs
from timebank_chain.epoch import epoch_folder, published_numbers, read_epoch, read_policy
from timebank_chain.epoch.file import read_header
from timebank_chain.units import format_time
from timebank_chain.valuation import Policy


@dataclass(frozen=True, slots=True)
class Span:
    """An epoch's bounds, Unix milliseconds, and the policy that says when its acts settle."""

    epoch: int
    start_ms: int
    end_ms: int
    policy: Policy


class Checker:
    """Holds against one table and one folder of published epochs.

    Parameters
    ----------
    table
        The activity table; it may hold acts of any epoch.
    epochs
        The folder of published epochs.
    erased
        Who is erased; ``None`` where nobody is known to be.
    """

    def __init__(self, table: ActivityTable, epochs: Path, erased: Erased | None) -> None:
        self.table = table
        self._acts = RowsOfActs(table)
        self._epochs = epochs
        self._erased = erased
        self._spans: dict[int, Span] = {}
        self._records: dict[bytes, NDArray[np.void]] = {}

    def objections(
        self,
        holds: Sequence[Hold],
        *,
        building: Span | None = None,
        gone_is_fine: bool = False,
        until: int | None = None,
    ) -> list[str]:
        """Return what is wrong with some holds, one sentence an act or hold.

        Parameters
        ----------
        building
            The epoch being built: what is published under its number is about to be replaced.
        gone_is_fine
            Whether an act without a row is no fault even where nobody says it was erased. A build leaves it
            out, says so and notes it; if nothing is noted, to an auditor it is an act that never was.
        until
            The last epoch that may be blamed for not taking what was released (default: the last one).

        Raises
        ------
        EpochError
            If a published epoch cannot be read.
        """
        if not holds:
            return []
        published = [
            self._span(number)
            for number in published_numbers(self._epochs)
            if building is None or number != building.epoch
        ]
        spans = {one.epoch: one for one in (*published, *([building] if building else []))}
        rows = [self._acts.rows(one) for one in holds]
        found: list[str] = []
        for one, theirs in zip(holds, rows, strict=True):
            found += self._of_hold(one, theirs, spans, gone_is_fine)
        for span in published:
            found += self._paid_in(span, holds, rows)
            found += self._lacking_in(span, holds, rows)
        if building is None:
            asked = [span for span in published if until is None or span.epoch <= until]
            found += _never_entered(holds, asked)
        return found

    def lacking(self, holds: Sequence[Hold], *, but: int) -> list[str]:
        """Return the acts that published epochs, all ``but`` one, took by the file and do not have."""
        found: list[str] = []
        for number in published_numbers(self._epochs):
            theirs = [one for one in holds if one.taken == number]
            if theirs and number != but:
                rows = [self._acts.rows(one) for one in theirs]
                found += self._lacking_in(self._span(number), theirs, rows)
        return found

    def gone_records(self, holds: Sequence[Hold]) -> frozenset[bytes]:
        """Return the published record ids of released acts whose own record is known to be erased.

        Such a leaf stands under the id of ``released:N:<id>``, which is not on the list of the erased if the
        list was written before that was looked for, or by who deletes old rows.
        """
        records = set()
        for one in holds:
            for place, (entered, row) in enumerate(
                zip(one.entered or ("",) * len(one.acts), self._acts.rows(one), strict=True)
            ):
                if entered and row is None and self.is_erased(one, place):
                    records.add(bytes.fromhex(entered))
        return frozenset(records)

    def entered_records(self, holds: Sequence[Hold]) -> frozenset[bytes]:
        """Return the record ids as which published epochs took released acts, as far as the rows are there.

        Files written before these ids were kept do not have them.
        """
        records: set[bytes] = set()
        numbers = set(published_numbers(self._epochs))
        for one in holds:
            if one.taken is None or one.taken == one.epoch or one.taken not in numbers:
                continue
            span = self._span(one.taken)
            entered = self._acts.entered(
                one, self._acts.rows(one), start_ms=span.start_ms, end_ms=span.end_ms
            )
            records |= {bytes.fromhex(record) for record in entered if record}
        return frozenset(records)

    def _span(self, number: int) -> Span:
        if number not in self._spans:
            header = read_header(epoch_folder(self._epochs, number), number)
            policy = read_policy(self._epochs, header.policy_hash)
            self._spans[number] = Span(number, header.start_ms, header.end_ms, policy)
        return self._spans[number]

    def forget(self, number: int) -> None:
        """Forget the bounds of an epoch that was published again."""
        self._spans.pop(number, None)

    def _of_hold(
        self, one: Hold, rows: Sequence[int | None], spans: dict[int, Span], gone_is_fine: bool
    ) -> Iterator[str]:
        span = spans.get(one.epoch)
        if span is None:
            yield f"the hold of {one.member!r} is for epoch {one.epoch}, which is not published"
            return
        if span.end_ms != one.end_ms:
            yield (
                f"the hold of {one.member!r} says that epoch {one.epoch} ends at {format_time(one.end_ms)}; "
                f"it ends at {format_time(span.end_ms)}"
            )
        windows = {domain.name: domain.window_ms for domain in span.policy.domains}
        for place, (act, row) in enumerate(zip(one.acts, rows, strict=True)):
            if row is None:
                harmless = gone_is_fine or one.erased or one.left_out(place) or bool(one.missed)
                if not harmless and not self.is_erased(one, place):
                    yield self._named(one, act, "it is neither in the activity table nor among the erased")
                continue
            if not self._is_theirs(one, row):
                yield self._named(one, act, f"it is an act of {self.table.member[row]!r}")
            window = windows.get(self.table.domain[row])
            if window is None:
                domain = self.table.domain[row]
                yield self._named(one, act, f"the policy of its epoch does not know domain {domain!r}")
                continue
            settled = int(self.table.occurred_ms[row]) + window
            if not span.start_ms < settled <= span.end_ms:
                yield self._named(
                    one,
                    act,
                    f"it settles at {format_time(settled)}, outside ({format_time(span.start_ms)}, "
                    f"{format_time(span.end_ms)}]",
                )

    def _paid_in(self, span: Span, holds: Sequence[Hold], rows: Sequence[list[int | None]]) -> Iterator[str]:
        """Yield the acts that a published epoch has, and by the file should not."""
        wanted: list[tuple[Hold, str, bytes]] = []
        for one, theirs in zip(holds, rows, strict=True):
            if one.taken == span.epoch:
                # It has them as itself or as released; the other one would be the second time.
                own, later = one.epoch != span.epoch, False
            else:
                own, later = True, one.epoch < span.epoch
            records = self._acts.records(theirs)
            if own:
                kept = one.records or ("",) * len(records)
                wanted += [
                    (one, act, bytes.fromhex(now or before))
                    for act, now, before in zip(one.acts, records, kept, strict=True)
                    if now or before
                ]
            if later:
                entered = self._acts.entered(one, theirs, start_ms=span.start_ms, end_ms=span.end_ms)
                wanted += [
                    (one, act, bytes.fromhex(record))
                    for act, record in zip(one.acts, entered, strict=True)
                    if record
                ]
        if not wanted:
            return
        ids = np.array([record for *_, record in wanted], dtype="V32")
        for place in np.flatnonzero(np.isin(ids, self._published(span.epoch))):
            one, act, _ = wanted[place]
            yield self._named(one, act, f"epoch {span.epoch} has paid it already")

    def _lacking_in(
        self, span: Span, holds: Sequence[Hold], rows: Sequence[list[int | None]]
    ) -> Iterator[str]:
        """Yield the acts that a published epoch took by the file, and does not have."""
        for one, theirs in zip(holds, rows, strict=True):
            # Who is erased is in no epoch that is built again since, whatever one took before.
            if one.taken != span.epoch or one.erased:
                continue
            if one.epoch == span.epoch:
                records = self._acts.records(theirs)
            else:
                found = self._acts.entered(one, theirs, start_ms=span.start_ms, end_ms=span.end_ms)
                noted = one.entered or ("",) * len(found)
                records = tuple(
                    "" if one.left_out(place) else then or now
                    for place, (then, now) in enumerate(zip(noted, found, strict=True))
                )
            wanted = np.array([bytes.fromhex(record) for record in records if record], dtype="V32")
            acts = [act for act, record in zip(one.acts, records, strict=True) if record]
            for place in np.flatnonzero(~np.isin(wanted, self._published(span.epoch))):
                yield self._named(
                    one,
                    acts[place],
                    f"epoch {span.epoch} took it by the file, and does not have it; build that epoch again "
                    "(--force) before it is signed, or, if it is final, let 'taken' be null and 'entered' "
                    "empty in the file, so that the next one takes it",
                )

    def _published(self, number: int) -> NDArray[np.void]:
        key = read_header(epoch_folder(self._epochs, number), number).hash()
        if key not in self._records:
            records = np.ascontiguousarray(read_epoch(self._epochs, number).activities.record_id)
            self._records[key] = records.view("V32").ravel()
        return self._records[key]

    def _is_theirs(self, one: Hold, row: int) -> bool:
        member = self.table.member[row]
        if not one.erased:
            return member == one.member
        # Without the list nobody can tell whose hash it is; that nothing is paid twice is seen all the same.
        return self._erased is None or one.member == ERASED_PREFIX + self._erased.member_hash(member).hex()

    def is_erased(self, one: Hold, place: int) -> bool:
        """Tell whether an act of a hold, by its place, is on the list of the erased."""
        if self._erased is None:
            return False
        act = one.acts[place]
        if one.erased:
            known = bytes.fromhex(act.removeprefix(ERASED_PREFIX)) in self._erased.acts
        else:
            known = self._erased.act_hash(act) in self._erased.acts
        return known or bool(
            one.records and one.records[place] and bytes.fromhex(one.records[place]) in self._erased.records
        )

    def _named(self, one: Hold, act: str, why: str) -> str:
        return f"act {act!r} of the hold of {one.member!r} in epoch {one.epoch}: {why}"


def _never_entered(holds: Sequence[Hold], published: Sequence[Span]) -> Iterator[str]:
    """Yield the releases that were there before an epoch ended, and that it did not take."""
    for one in holds:
        if one.release is None or one.erased or one.taken is not None:
            continue
        missed = [
            span
            for span in published
            if span.epoch > one.epoch
            and span.end_ms > one.release.at_ms
            # It found no row of them, and says so.
            and span.epoch not in one.missed
        ]
        if missed:
            yield (
                f"the hold of {one.member!r} in epoch {one.epoch} was released at "
                f"{format_time(one.release.at_ms)}, and epoch {missed[0].epoch}, which ended at "
                f"{format_time(missed[0].end_ms)}, did not take the acts"
            )


def with_gone(erased: Erased, records: frozenset[bytes]) -> Erased:
    """Return the list of the erased with the records as which an epoch took their released acts."""
    return replace(erased, records=erased.records | records)
