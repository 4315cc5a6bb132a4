"""What an audit found: numbered checks, what differs in each, and the verdict.

A check has one of three states. ``ok`` and ``failed`` speak for themselves; ``not checked`` means that
the evidence was not at hand (a node that serves no storage proofs, no ``--activity`` file) and says so:
an audit never calls green what it has not looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from timebank_chain.errors import CheckFailed

Status = Literal["ok", "failed", "not checked"]

#: A corrupted file can make every row differ: the report keeps the first ones and counts the rest.
DIFFERENCES_KEPT = 20


@dataclass(frozen=True)
class Difference:
    """One place where the chain or a file is not what it must be.

    Attributes
    ----------
    where
        Contract, block, epoch, file, row or account.
    expected, found
        Both values as text; amounts in micro-credits.
    meaning
        What follows from the difference, in one sentence.
    """

    where: str
    expected: str
    found: str
    meaning: str


@dataclass(frozen=True)
class Check:
    """One numbered check with its outcome.

    Attributes
    ----------
    number
        Stable name (``A7``): the same check keeps its number in every version.
    name
        What was checked.
    status
        ``ok``, ``failed`` or ``not checked``.
    figure
        How much was looked at ("412 leaves in 3 epochs").
    differences
        The first differences (at most ``DIFFERENCES_KEPT``).
    difference_count
        How many there are in all.
    notes
        What a reader should know although nothing is wrong.
    warnings
        What a reader must know although it broke no rule: said again beside the verdict.
    evidence
        Numbers behind the outcome, for programs.
    """

    number: str
    name: str
    status: Status
    figure: str
    differences: tuple[Difference, ...] = ()
    difference_count: int = 0
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    evidence: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether nothing was found wrong."""
        return self.status != "failed"

    @property
    def detail(self) -> str:
        """The first difference in one sentence, or the figure."""
        if not self.differences:
            return self.figure
        first = self.differences[0]
        more = f" (and {self.difference_count - 1} more)" if self.difference_count > 1 else ""
        return f"{first.where}: expected {first.expected}, found {first.found}. {first.meaning}{more}"


class Tally:
    """Collects the outcome of one check while it runs."""

    def __init__(self, number: str, name: str) -> None:
        self.number = number
        self.name = name
        self._differences: list[Difference] = []
        self._count = 0
        self._notes: list[str] = []
        self._warnings: list[str] = []
        self.evidence: dict[str, Any] = {}

    def fail(self, where: str, expected: object, found: object, meaning: str) -> None:
        """Record a difference."""
        self._count += 1
        if len(self._differences) < DIFFERENCES_KEPT:
            self._differences.append(Difference(where, _text(expected), _text(found), meaning))

    def add(self, difference: Difference) -> None:
        """Record a difference found elsewhere."""
        self.fail(difference.where, difference.expected, difference.found, difference.meaning)

    def more(self, count: int) -> None:
        """Count differences that are too many to be listed."""
        self._count += count

    def equal(self, where: str, expected: object, found: object, meaning: str) -> bool:
        """Record a difference unless both values are the same; tell whether they are."""
        if expected == found:
            return True
        self.fail(where, expected, found, meaning)
        return False

    def require(self, condition: bool, where: str, expected: object, found: object, meaning: str) -> bool:
        """Record a difference unless ``condition`` holds; tell whether it does."""
        if not condition:
            self.fail(where, expected, found, meaning)
        return condition

    def note(self, text: str) -> None:
        """Say something that is not a fault."""
        self._notes.append(text)

    def warn(self, text: str) -> None:
        """Say something that is not a fault, and that nobody may miss."""
        self._warnings.append(text)

    @property
    def clean(self) -> bool:
        """Whether no difference was recorded so far."""
        return self._count == 0

    def done(self, figure: str) -> Check:
        """Finish: the check is ``ok`` if no difference was recorded."""
        return self._finish("ok" if self.clean else "failed", figure)

    def not_checked(self, reason: str) -> Check:
        """Finish without evidence; a difference recorded before still fails the check."""
        return self._finish("not checked" if self.clean else "failed", reason)

    def _finish(self, status: Status, figure: str) -> Check:
        return Check(
            number=self.number,
            name=self.name,
            status=status,
            figure=figure,
            differences=tuple(self._differences),
            difference_count=self._count,
            notes=tuple(self._notes),
            warnings=tuple(self._warnings),
            evidence=self.evidence,
        )


@dataclass(frozen=True)
class AuditReport:
    """The whole audit of one deployment over a range of blocks."""

    chain_id: int
    rpc: str
    deployment: str
    epochs: str
    from_block: int
    to_block: int
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether no check failed."""
        return not self.failed

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if check.status == "failed")

    @property
    def warnings(self) -> tuple[tuple[str, str], ...]:
        """What broke no rule and must be known: the number of the check, and the sentence."""
        return tuple((check.number, text) for check in self.checks for text in check.warnings)

    @property
    def verdict(self) -> str:
        """One line: what the whole comes to."""
        skipped = [check.number for check in self.checks if check.status == "not checked"]
        passed = sum(check.status == "ok" for check in self.checks)
        tail = f"; not checked: {', '.join(skipped)}" if skipped else ""
        if self.warnings:
            numbers = ", ".join(dict.fromkeys(number for number, _ in self.warnings))
            plural = "" if len(self.warnings) == 1 else "s"
            tail += f"; {len(self.warnings)} warning{plural}: {numbers}"
        if self.ok:
            return f"GREEN: {passed} of {len(self.checks)} checks passed, none failed{tail}"
        names = ", ".join(f"{check.number} ({check.name})" for check in self.failed)
        return f"RED: {len(self.failed)} of {len(self.checks)} checks failed: {names}{tail}"

    def check(self, number: str) -> Check:
        """Return the check called ``number``.

        Raises
        ------
        KeyError
            If there is none of that number.
        """
        for candidate in self.checks:
            if candidate.number == number:
                return candidate
        raise KeyError(number)

    def raise_if_failed(self) -> None:
        """Raise ``CheckFailed`` naming the failed checks, if there are any."""
        if not self.ok:
            raise CheckFailed(self.verdict, hint="read the differences under each failed check")

    def body(self) -> dict[str, Any]:
        """Return the report as the body of a ``timebank.audit/1`` document."""
        return {
            "ok": self.ok,
            "verdict": self.verdict,
            "chain_id": self.chain_id,
            "rpc": self.rpc,
            "deployment": self.deployment,
            "epochs": self.epochs,
            "from_block": self.from_block,
            "to_block": self.to_block,
            "failed": [check.number for check in self.failed],
            "warnings": [{"number": number, "text": text} for number, text in self.warnings],
            "checks": [_check_body(check) for check in self.checks],
        }


def _check_body(check: Check) -> dict[str, Any]:
    return {
        "number": check.number,
        "name": check.name,
        "status": check.status,
        "ok": check.ok,
        "figure": check.figure,
        "difference_count": check.difference_count,
        "differences": [
            {"where": d.where, "expected": d.expected, "found": d.found, "meaning": d.meaning}
            for d in check.differences
        ],
        "notes": list(check.notes),
        "warnings": list(check.warnings),
        "evidence": dict(check.evidence),
    }


def _text(value: object) -> str:
    if isinstance(value, bytes | bytearray):
        return "0x" + bytes(value).hex()
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, str):
        return value
    if isinstance(value, Sequence):
        return "[" + ", ".join(_text(item) for item in value) + "]"
    return str(value)
