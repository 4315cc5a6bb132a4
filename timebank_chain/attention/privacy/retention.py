"""Raw data that has served its time: rows older than so many days, source by source.

Rules are TOML, the first that fits a file's name or path decides::

    [[rule]]
    source = "sensors/*.csv"
    days = 30

A row goes when it is older than the rule says *and* its epoch is final, because until then the oracle and
whoever signs read it again. Published epochs stay as they are; record ids of rows deleted from activity
tables are remembered beside those of the erased, so that an audit with the raw table knows they were there.
"""

from __future__ import annotations

import fnmatch
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn

from timebank_chain.activity.clean import occurred_ms
from timebank_chain.activity.erased import load_erased, new_erased, write_erased
from timebank_chain.activity.mapping import ColumnMapping
from timebank_chain.activity.record import RawRecord
from timebank_chain.attention.privacy.erasure import Oracle
from timebank_chain.attention.privacy.person import Say, is_activity, silent
from timebank_chain.attention.privacy.places import Kind, Place
from timebank_chain.attention.privacy.rows import without
from timebank_chain.documents import TooLarge, read_small_text
from timebank_chain.epoch import published_numbers, read_epoch, read_policy
from timebank_chain.errors import AttentionError

DAY_MS = 86_400_000
MAX_DAYS = 36_500

YOUNG = "younger than its rule"
OPEN = "its epoch is not final yet"
UNDATED = "no time that can be read"
NO_RULE = "no rule for this source"


@dataclass(frozen=True, slots=True)
class Rule:
    """Rows of files named so are kept for so many days."""

    source: str
    days: int

    def fits(self, path: Path) -> bool:
        """Tell whether a file falls under this rule."""
        return fnmatch.fnmatchcase(path.name, self.source) or fnmatch.fnmatchcase(
            path.as_posix(), f"*{self.source}"
        )


@dataclass(frozen=True)
class Settled:
    """What is final: acts that settled by ``end_ms``, under the windows (ms) of each domain."""

    end_ms: int
    windows: dict[str, int]

    def has(self, record: RawRecord, moment: int) -> bool:
        """Tell whether a record's epoch is final."""
        window = self.windows.get(record.domain, 0) if isinstance(record.domain, str) else 0
        return moment + window <= self.end_ms


@dataclass
class Retained:
    """What became of a file's rows: how many went, and how many stay for which reason."""

    path: Path
    days: int | None
    deleted: int = 0
    kept: dict[str, int] = field(default_factory=dict)
    oldest_ms: int | None = None


def load_rules(path: Path) -> tuple[Rule, ...]:
    """Read retention rules.

    Raises
    ------
    AttentionError
        If the file cannot be read, is no TOML, or an entry is missing, unknown or out of range.
    """
    where = str(path)

    def refuse(message: str) -> NoReturn:
        raise AttentionError(message, where=where, hint='write [[rule]] with source = "*.csv" and days = 90')

    try:
        document = tomllib.loads(read_small_text(path))
    except OSError as error:
        refuse(f"cannot be read: {error.strerror}")
    except (TooLarge, ValueError) as error:
        refuse(f"no retention rules: {error}")
    entries = document.get("rule")
    if set(document) != {"rule"} or not isinstance(entries, list) or not entries:
        refuse("there must be [[rule]] and nothing else")
    rules = []
    for number, entry in enumerate(entries, start=1):
        if not isinstance(entry, dict) or set(entry) != {"source", "days"}:
            refuse(f"rule {number} must have source and days")
        source, days = entry["source"], entry["days"]
        if not isinstance(source, str) or not source:
            refuse(f"rule {number}: source is no pattern: {source!r:.60}")
        rules.append(Rule(source, check_days(days, f"rule {number} of {where}")))
    return tuple(rules)


def check_days(days: object, what: str) -> int:
    """Return a number of days.

    Raises
    ------
    AttentionError
        If it is none, or out of range.
    """
    if type(days) is not int or not 0 <= days <= MAX_DAYS:
        raise AttentionError(f"{what}: not a number of days from 0 to {MAX_DAYS}: {days!r:.40}")
    return days


def settled_by(epochs: Path, final: Iterable[int]) -> Settled:
    """Return what is final of the published epochs.

    Parameters
    ----------
    final
        Epochs known to be final (the oracle's journal). An epoch that another one follows is final too.
    """
    numbers = published_numbers(epochs)
    last = max([0, *(number for number in final if number in numbers), *(n - 1 for n in numbers[-1:])])
    if last == 0:
        return Settled(0, {})
    header = read_epoch(epochs, last).header
    policy = read_policy(epochs, header.policy_hash)
    return Settled(header.end_ms, {domain.name: domain.window_ms for domain in policy.domains})


def retain(
    places: Iterable[Place],
    rules: tuple[Rule, ...],
    *,
    mapping: ColumnMapping | None,
    oracle: Oracle,
    epochs: Path | None,
    erased_file: Path,
    now_ms: int,
    dry_run: bool,
    say: Say = silent,
) -> list[Retained]:
    """Delete rows that are older than their rule says; return what became of each file's rows.

    Raises
    ------
    AttentionError
        If a file cannot be rewritten.
    OracleError
        If the oracle is running.
    """
    done = []
    with oracle.held() as marks:
        final = marks.journal.included_epochs() if marks.journal is not None else set()
        settled = None if epochs is None else settled_by(epochs, final)
        for place in places:
            if place.kind is not Kind.ROWS:
                continue
            say(f"looking into {place.path}")
            rule = next((one for one in rules if one.fits(place.path)), None)
            result = Retained(place.path, None if rule is None else rule.days)
            done.append(result)
            drop = _judge(result, rule, settled, now_ms)
            new = without(place.path, drop, mapping=mapping, mark=marks.of(place.path))
            if dry_run or new.part is None:
                new.discard()
                continue
            if is_activity(place.path):
                _remember_records(place.path, {record.line for record in new.dropped}, erased_file)
            marks.move(new.mark)
            new.replace()
    return done


def _judge(
    result: Retained, rule: Rule | None, settled: Settled | None, now_ms: int
) -> Callable[[RawRecord], bool]:
    def reason(record: RawRecord) -> str | None:
        if rule is None:
            return NO_RULE
        moment = occurred_ms(record)
        if moment is None:
            return UNDATED
        if moment > now_ms - rule.days * DAY_MS:
            result.oldest_ms = moment if result.oldest_ms is None else min(result.oldest_ms, moment)
            return YOUNG
        if settled is not None and not settled.has(record, moment):
            return OPEN
        return None

    def drop(record: RawRecord) -> bool:
        why = reason(record)
        if why is None:
            result.deleted += 1
            return True
        result.kept[why] = result.kept.get(why, 0) + 1
        return False

    return drop


def _remember_records(path: Path, lines: set[int], erased_file: Path) -> None:
    from timebank_chain.activity import read_activity, record_ids

    ids = record_ids(read_activity(path))
    before = load_erased(erased_file) or new_erased()
    gone = {ids[line - 1].tobytes() for line in lines}
    write_erased(replace(before, records=before.records | gone), erased_file)
