"""From findings to warnings, said once and not at every step.

After a warning, others of its kind (of the same member, where one stands out) are kept back for a while,
and counted. What was said is remembered (`State`), so that a restart, which reads the same history, says
nothing twice. ``outbox`` hands warnings to whoever listens.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from timebank_chain.attention.monitor.detect import DRIFT, KINDS, Finding
from timebank_chain.attention.monitor.state import Mark
from timebank_chain.attention.monitor.suspicion import Suspicion
from timebank_chain.units import format_time

SUSPECT = "suspect"
#: Every kind of warning.
WARNING_KINDS = (*KINDS, SUSPECT)


@dataclass(frozen=True, slots=True)
class Warned:
    """A warning as it is sent.

    ``suppressed`` counts findings of the kind that were kept back since the warning before.
    ``rate`` is the stated rate of false alarms a step, ``None`` for drift (see ``detect``).
    """

    series: str
    finding: Finding
    rate: float | None
    suppressed: int

    @property
    def kind(self) -> str:
        """``burst``, ``lull`` or ``drift``."""
        return self.finding.kind

    @property
    def message(self) -> str:
        """Say it in a sentence."""
        one = self.finding
        if one.kind == DRIFT:
            return (
                f"{self.series} has changed for good: {one.value:g} a step lately, {one.expected:g} before "
                f"(seen {format_time(one.at_ms)})"
            )
        word = "more" if one.score > 0 else "less"
        return (
            f"{one.kind} of {self.series}: {one.value:g} in the step to {format_time(one.at_ms)}, about "
            f"{one.expected:.3g} expected; {word} than all but {self.rate:g} of ordinary steps differ"
        )

    def to_json(self) -> dict[str, Any]:
        """Return the warning as JSON values."""
        one = self.finding
        return {
            "series": self.series,
            "kind": one.kind,
            "atMs": one.at_ms,
            "value": one.value,
            "expected": one.expected,
            "score": one.score,
            "threshold": one.threshold,
            "falseAlarmRate": self.rate,
            "suppressedBefore": self.suppressed,
            "message": self.message,
        }


@dataclass(frozen=True, slots=True)
class Suspected:
    """A warning that somebody's engagement looks bought or automated.

    Attributes
    ----------
    at_ms
        End of the span that was judged.
    threshold, rate
        Score beyond which somebody stands out, and the stated share of honest members beyond it.
    suppressed
        How often the member stood out since the warning before.
    """

    suspicion: Suspicion
    at_ms: int
    threshold: float
    rate: float
    suppressed: int

    @property
    def kind(self) -> str:
        """``suspect``."""
        return SUSPECT

    @property
    def message(self) -> str:
        """Say it in a sentence."""
        one = self.suspicion
        return (
            f"engagement stands out: {one.who}, {one.acts} acts until {format_time(self.at_ms)}: "
            f"{one.reasons[0].text}; at most {self.rate:g} of honest members are to stand out"
        )

    def to_json(self) -> dict[str, Any]:
        """Return the warning as JSON values."""
        one = self.suspicion
        return {
            "series": "members",
            "kind": SUSPECT,
            "atMs": self.at_ms,
            "who": one.who,
            "acts": one.acts,
            "value": one.reported,
            "expected": one.expected,
            "score": one.score,
            "threshold": self.threshold,
            "falseAlarmRate": self.rate,
            "reasons": [reason.text for reason in one.reasons],
            "suppressedBefore": self.suppressed,
            "message": self.message,
        }


@dataclass
class Suppressor:
    """Lets one of a key (a kind, a member) through, then none for a while.

    Attributes
    ----------
    cool_down_ms
        How long, counted in the findings' own time.
    marks
        What was said, by key.
    kept_back
        How many were kept back in this process, by key.
    """

    cool_down_ms: int
    marks: dict[str, Mark] = field(default_factory=dict)
    kept_back: Counter[str] = field(default_factory=Counter)

    def admit(self, key: str, at_ms: int) -> int | None:
        """Return how many were kept back since the last warning; ``None`` if this one is kept back too."""
        mark = self.marks.get(key)
        if mark is not None:
            if at_ms <= max(mark.seen_ms, mark.warned_ms):
                return None  # of a history that was read before
            if at_ms - mark.warned_ms < self.cool_down_ms:
                mark.seen_ms, mark.kept = at_ms, mark.kept + 1
                self.kept_back[key] += 1
                return None
        self.marks[key] = Mark(at_ms, at_ms)
        return 0 if mark is None else mark.kept

    def sift(self, findings: Iterable[Finding]) -> list[tuple[Finding, int]]:
        """Return the findings to warn of, in order, each with how many of its kind were kept back before."""
        admitted = ((one, self.admit(one.kind, one.at_ms)) for one in findings)
        return [(one, kept) for one, kept in admitted if kept is not None]

    def forget(self, now_ms: int) -> None:
        """Forget what keeps nothing back any more."""
        for key in [key for key, mark in self.marks.items() if now_ms - mark.warned_ms >= self.cool_down_ms]:
            del self.marks[key]
